'use strict';
// Reads the Prisma schema and derives the provider from the database URL, so that one generated client serves both.

const fs = require('node:fs');

function providerOf(url) {
  if (/^postgres(ql)?:/.test(url)) return 'postgresql';
  if (url.startsWith('file:')) return 'sqlite';
  throw new Error('the database URL must start with file: or postgresql://');
}

/** Return {text, models, url, provider, file} from the environment that the client sets. */
function loadSchema(env) {
  const source = env.PRISMA_DML
    ? Buffer.from(env.PRISMA_DML, 'base64').toString()
    : fs.readFileSync(env.PRISMA_DML_PATH, 'utf8');
  const datasource = /datasource\s+\w+\s*\{[^}]*\}/.exec(source)[0];
  const variable = /url\s*=\s*env\("([^"]+)"\)/.exec(datasource)?.[1];
  const overrides = env.OVERWRITE_DATASOURCES ? JSON.parse(env.OVERWRITE_DATASOURCES) : [];
  const url = overrides[0]?.url ?? env[variable];
  if (!url) throw new Error(`no database URL: set ${variable}`);
  const provider = providerOf(url);
  return {
    text: source.replace(datasource, datasource.replace(/provider\s*=\s*"[^"]+"/, `provider = "${provider}"`)),
    models: new Set([...source.matchAll(/^\s*model\s+(\w+)\s*\{/gm)].map((match) => match[1])),
    url,
    provider,
    file: provider === 'sqlite' ? url.slice('file:'.length).replace(/\?.*$/, '') : null,
  };
}

module.exports = { loadSchema };
