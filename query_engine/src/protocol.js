'use strict';
// The Python client sends GraphQL text; the engine in WebAssembly accepts only Prisma's JSON protocol. One pass
// translates the text. Literals are copied verbatim, so that 64-bit integers and floats keep their digits.

const SPACE = /[\s,]*/y;
const NAME = /[_A-Za-z][_0-9A-Za-z]*/y;
const NUMBER = /-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const KEYWORDS = new Set(['true', 'false', 'null']);
const OPERATION =
  /^(createOne|updateOne|upsertOne|deleteOne|createMany|updateMany|deleteMany|findMany|findFirst|findUnique|aggregate|groupBy)(\w+)$/;

function badRequest(message) {
  return Object.assign(new Error(message), { badRequest: true });
}

class Reader {
  constructor(text) {
    this.text = text;
    this.at = 0;
  }

  expected(what) {
    throw badRequest(`GraphQL: expected ${what} at offset ${this.at}`);
  }

  /** Skip token separators and return the next character. */
  peek() {
    SPACE.lastIndex = this.at;
    SPACE.test(this.text);
    this.at = SPACE.lastIndex;
    return this.text[this.at];
  }

  takes(character) {
    if (this.peek() !== character) return false;
    this.at += 1;
    return true;
  }

  take(character) {
    if (!this.takes(character)) this.expected(character);
  }

  match(pattern, what) {
    this.peek();
    pattern.lastIndex = this.at;
    if (!pattern.test(this.text)) this.expected(what);
    const found = this.text.slice(this.at, pattern.lastIndex);
    this.at = pattern.lastIndex;
    return found;
  }

  name() {
    return this.match(NAME, 'a name');
  }

  string() {
    const start = this.at;
    let end = start;
    for (let escaped = true; escaped; ) {
      end = this.text.indexOf('"', end + 1);
      if (end < 0) this.expected('a closing quote');
      let before = end - 1;
      while (this.text[before] === '\\') before -= 1;
      escaped = (end - before) % 2 === 0;
    }
    this.at = end + 1;
    return this.text.slice(start, this.at);
  }

  value() {
    const next = this.peek();
    if (next === '"') return this.string();
    if (next === '{') return this.pairs('{', '}');
    if (next === '[') return this.list();
    if (next === '-' || (next >= '0' && next <= '9')) return this.match(NUMBER, 'a number');
    const name = this.name();
    return KEYWORDS.has(name) ? name : JSON.stringify(name);
  }

  list() {
    this.take('[');
    const values = [];
    while (!this.takes(']')) values.push(this.value());
    return `[${values.join()}]`;
  }

  pairs(open, close) {
    this.take(open);
    const pairs = [];
    while (!this.takes(close)) {
      const key = this.name();
      this.take(':');
      pairs.push(`"${key}":${this.value()}`);
    }
    return `{${pairs.join()}}`;
  }

  /** Parse the arguments and the selection after a field's name; null where there are none. */
  field() {
    const args = this.peek() === '(' ? this.pairs('(', ')') : null;
    const selection = this.peek() === '{' ? this.selection() : null;
    return { args, selection };
  }

  selection() {
    this.take('{');
    const fields = [];
    while (!this.takes('}')) {
      const name = this.name();
      const { args, selection } = this.field();
      const plain = args === null && selection === null;
      fields.push(`"${name}":${plain ? 'true' : `{"arguments":${args ?? '{}'},"selection":${selection ?? '{}'}}`}`);
    }
    return `{${fields.join()}}`;
  }
}

/** Split a root field such as findUniqueJobOrThrow into its action and its model. */
function operation(name, models) {
  if (name === 'queryRaw' || name === 'executeRaw') return { action: name };
  const found = OPERATION.exec(name);
  if (found) {
    const [, action, model] = found;
    if (models.has(model)) return { action, model };
    const orThrow = model.replace(/OrThrow$/, '');
    if (models.has(orThrow)) return { action: `${action}OrThrow`, model: orThrow };
  }
  throw badRequest(`unknown operation ${name}`);
}

/** Translate one query; returns its alias and the JSON text for the engine. */
function translate(text, models) {
  const reader = new Reader(text);
  if (!['query', 'mutation'].includes(reader.name())) reader.expected('query or mutation');
  reader.take('{');
  const alias = reader.name();
  reader.take(':');
  const { action, model } = operation(reader.name(), models);
  const { args, selection } = reader.field();
  reader.take('}');
  if (reader.peek() !== undefined) reader.expected('the end');
  const query = `{"arguments":${args ?? '{}'},"selection":${selection ?? '{}'}}`;
  return { alias, json: `{${model ? `"modelName":"${model}",` : ''}"action":"${action}","query":${query}}` };
}

// Replies wrap some values as {"$type":"DateTime","value":"…"}; the client expects them bare. Replacing them in JSON
// text is safe: inside a JSON string a quote is always escaped, so {"$type" cannot occur in one.
const TAGGED = /\{"\$type":"\w+","value":("[^"\\]*(?:\\.[^"\\]*)*")\}/g;

function untag(json) {
  return json.includes('{"$type"') ? json.replace(TAGGED, '$1') : json;
}

module.exports = { translate, untag };
