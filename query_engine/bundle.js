'use strict';
// Bundles src/ with the adapters into one file and places it next to the engine's WebAssembly, for the package.
// node bundle.js <node_modules> <output folder>

const fs = require('node:fs');
const path = require('node:path');

const [modules, output] = process.argv.slice(2);
const esbuild = require(path.join(modules, 'esbuild'));

fs.rmSync(output, { recursive: true, force: true });
fs.mkdirSync(output, { recursive: true });
for (const provider of ['sqlite', 'postgresql']) {
  for (const kind of ['js', 'wasm']) {
    const name = `query_engine_bg.${provider}.${kind}`;
    fs.copyFileSync(path.join(modules, '@prisma/client/runtime', name), path.join(output, name));
  }
}
esbuild.buildSync({
  entryPoints: [path.join(__dirname, 'src/main.js')],
  outfile: path.join(output, 'query-engine.js'),
  bundle: true,
  platform: 'node',
  target: 'node22',
  external: ['pg-native', 'node:sqlite'],
  nodePaths: [modules],
  legalComments: 'inline',
  logLevel: 'error',
});
