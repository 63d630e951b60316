'use strict';
// Copies the licence texts of bundled packages, as the packages bring them, to <folder>/<name>/<version>/.

const fs = require('node:fs');
const path = require('node:path');

const LICENCE_FILE = /^(licen[cs]e|copying|notice)/i;
const LICENCE_HEADING = /^#+\s*licen[cs]e\b/i;
// A published file may itself be a bundle, in which such a comment names the package that the lines below it are from:
// `// ../node_modules/.pnpm/kleur@4.1.5/node_modules/kleur/colors.mjs`
const INNER_PACKAGE = /^\/\/ \S*\/\.pnpm\/\S+@([^@_/\s]+)\S*\/node_modules\/((?:@[^/\s]+\/)?[^/\s]+)\//gm;

// Return the folders of the packages that these files belong to or contain.
function packagesOf(files, modules) {
  const found = new Set();
  for (const file of files) {
    const parts = path.relative(modules, file).split(path.sep);
    if (parts[0] === '..') continue;
    const at = parts.lastIndexOf('node_modules') + 1;
    found.add(path.join(modules, ...parts.slice(0, at + (parts[at].startsWith('@') ? 2 : 1))));
    for (const [, version, name] of read(file).matchAll(INNER_PACKAGE)) {
      const folder = path.join(modules, name);
      if (!fs.existsSync(folder) || manifest(folder).version !== version) {
        throw new Error(`pin ${name} ${version}, which ${file} contains, in query_engine/package.json`);
      }
      found.add(folder);
    }
  }
  return [...found];
}

function licencesOf(folder) {
  const files = fs.readdirSync(folder);
  const texts = files.filter((file) => LICENCE_FILE.test(file)).map((file) => [file, read(path.join(folder, file))]);
  if (texts.length) return texts;
  const readme = files.find((file) => /^readme/i.test(file));
  const section = readme && read(path.join(folder, readme)).split(/^(?=#)/m).find((part) => LICENCE_HEADING.test(part));
  if (!section || !/copyright/i.test(section)) throw new Error(`${folder} has no licence text`);
  return [['LICENSE', section]];
}

function manifest(folder) {
  return JSON.parse(read(path.join(folder, 'package.json')));
}

function read(file) {
  return fs.readFileSync(file, 'utf8');
}

function copyLicences(packages, folder) {
  for (const each of packages) {
    const texts = licencesOf(each);
    const { name, version } = manifest(each);
    const target = path.join(folder, name, version);
    fs.mkdirSync(target, { recursive: true });
    for (const [file, text] of texts) fs.writeFileSync(path.join(target, file), text);
  }
}

module.exports = { packagesOf, copyLicences };
