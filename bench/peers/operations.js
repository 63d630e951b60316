"use strict";
// sharp: CPU milliseconds of each operation on raw pixels. Arguments: a PPM file and the number of runs.

const { readFileSync } = require("node:fs");
const sharp = require("sharp");

sharp.cache(false);
sharp.concurrency(1);

const file = readFileSync(process.argv[2]);
const head = /^P6\s+(\d+)\s+(\d+)\s+255\s/.exec(file.subarray(0, 40).toString("latin1"));
const [width, height] = [Number(head[1]), Number(head[2])];
const pixels = file.subarray(head[0].length);
const halfWidth = Math.max(1, width >> 1);
const halfHeight = Math.max(1, height >> 1);
const blocks = Math.max(1, Math.floor(width / 16));
const open = () => sharp(pixels, { raw: { width, height, channels: 3 } });
const text = Buffer.from(
  `<svg width="${width}" height="${height}"><text x="90%" y="95%" text-anchor="end" font-size="${Math.ceil(width / 20)}" ` +
    'fill="#fff" fill-opacity="0.5">mediagate</text></svg>',
);
const sepia = [
  [0.227, 0.765, 0.077],
  [0.2, 0.672, 0.068],
  [0.157, 0.529, 0.053],
];

const cases = {
  "resize to a half": () => open().resize(halfWidth, halfHeight, { fit: "fill" }),
  "crop to a half": () =>
    open().extract({ left: width >> 2, top: height >> 2, width: halfWidth, height: halfHeight }),
  "rotate by 90": () => open().rotate(90),
  "rotate by 10": () => open().rotate(10, { background: "#000" }),
  flip: () => open().flip(),
  mirror: () => open().flop(),
  pad: () => open().extend({ top: 100, bottom: 100, left: 100, right: 100, background: "#f00" }),
  look: () => open().recomb(sepia),
  blur: () => open().blur(5),
  sharpen: () => open().sharpen({ sigma: 1 }),
  watermark: () => open().composite([{ input: text }]),
  "save webp": () => open().webp({ quality: 80, effort: 4 }),
  "save avif": () => open().avif({ quality: 80, effort: 3, chromaSubsampling: "4:2:0" }),
  "save jpeg": () => open().jpeg({ quality: 80, progressive: true, optimiseCoding: true }),
  "save png": () => open().png({ compressionLevel: 6 }),
};

async function cost(run) {
  const before = process.cpuUsage();
  await run();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}

async function main() {
  const runs = Number(process.argv[3]);
  const costs = {};
  for (const [name, make] of Object.entries(cases)) {
    const run = () => (name.startsWith("save") ? make().toBuffer() : make().raw().toBuffer());
    await run();
    costs[name] = [];
    for (let number = 0; number < runs; number++) costs[name].push(await cost(run));
  }
  // Two resizes of one picture are two pipelines.
  const small = () => open().resize(blocks, null, { kernel: "nearest" }).raw().toBuffer({ resolveWithObject: true });
  const pixelate = async () => {
    const { data, info } = await small();
    const raw = { width: info.width, height: info.height, channels: 3 };
    await sharp(data, { raw }).resize(width, height, { fit: "fill", kernel: "nearest" }).raw().toBuffer();
  };
  costs.pixelate = [];
  for (let number = 0; number < runs; number++) costs.pixelate.push(await cost(pixelate));
  process.stdout.write(JSON.stringify(costs));
}

main();
