"use strict";
// The line protocol of protocol.py, for contestants in Node.

const { readFileSync, writeFileSync } = require("node:fs");
const { readFile, writeFile } = require("node:fs/promises");
const path = require("node:path");
const readline = require("node:readline");

const WIDTHS = [64, 256, 640, 1280, 1920];

function memoryMb(field) {
  return Number(readFileSync("/proc/self/status", "utf8").match(new RegExp(`${field}:\\s+(\\d+)`))[1]) / 1024;
}

async function answer(render, request) {
  const { files, parallel = 1, quality = 80, effort = 4, original, out } = request;
  writeFileSync("/proc/self/clear_refs", "5"); // the peak starts anew
  const idle = memoryMb("VmRSS");
  const cpu = process.cpuUsage();
  const started = performance.now();
  let bytes = 0;
  let next = 0;
  async function lane() {
    while (next < files.length) {
      const file = files[next++];
      const variants = await render(await readFile(file), { quality, effort, original });
      for (const [width, data] of variants) {
        bytes += data.length;
        if (out) await writeFile(path.join(out, `${path.parse(file).name}-${width}`), data);
      }
    }
  }
  await Promise.all(Array.from({ length: parallel }, lane));
  const used = process.cpuUsage(cpu);
  return {
    wall_ms: performance.now() - started,
    cpu_ms: (used.user + used.system) / 1000,
    rss_idle_mb: idle,
    rss_peak_mb: memoryMb("VmHWM"),
    bytes,
  };
}

// `render(buffer, { quality, effort, original })` resolves to pairs of a width and a WebP file; `original` is the format of
// a cleaned original, if it is to be made as well.
async function serve(render) {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    let said;
    try {
      said = await answer(render, JSON.parse(line));
    } catch (error) {
      said = { error: String(error) };
    }
    process.stdout.write(`${JSON.stringify(said)}\n`);
  }
}

module.exports = { WIDTHS, serve };
