'use strict';
// Bundles src/ with the adapters into one file and places it next to the engine's WebAssembly, for the package.
// Copies the licence texts of everything that it bundles or places there.
// node bundle.js <node_modules> <output folder> <folder of licences>

const fs = require('node:fs');
const path = require('node:path');

const { copyLicences, packagesOf } = require('./licences');

const [modules, output, licences] = process.argv.slice(2);
const esbuild = require(path.join(modules, 'esbuild'));

for (const folder of [output, licences]) {
  fs.rmSync(folder, { recursive: true, force: true });
  fs.mkdirSync(folder, { recursive: true });
}
const files = [];
for (const provider of ['sqlite', 'postgresql']) {
  for (const kind of ['js', 'wasm']) {
    const name = `query_engine_bg.${provider}.${kind}`;
    files.push(path.join(modules, '@prisma/client/runtime', name));
    // Not .js, which a package.json in a parent folder could declare as an ES module.
    fs.copyFileSync(files.at(-1), path.join(output, name.replace(/js$/, 'cjs')));
  }
}
const { metafile } = esbuild.buildSync({
  entryPoints: [path.join(__dirname, 'src/main.js')],
  outfile: path.join(output, 'query-engine.cjs'),
  bundle: true,
  platform: 'node',
  target: 'node22',
  external: ['pg-native', 'node:sqlite'],
  nodePaths: [modules],
  legalComments: 'inline',
  logLevel: 'error',
  metafile: true,
});
// esbuild adds a few lines of its own to each bundle.
const own = path.join(modules, 'esbuild', 'package.json');
files.push(own, ...Object.keys(metafile.inputs).map((input) => path.resolve(input)));
copyLicences(packagesOf(files, path.resolve(modules)), licences);
