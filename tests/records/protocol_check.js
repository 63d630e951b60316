'use strict';
// What the Python client writes, and what the engine takes: run by test_protocol.py with the path of protocol.js.

const assert = require('node:assert/strict');
const { translate, untag } = require(process.argv[2]);

const MODELS = new Set(['Job', 'JobOrThrow', 'Media', 'ManyJob']);

function query(text) {
  const { alias, json } = translate(text, MODELS);
  assert.equal(alias, 'result');
  return JSON.parse(json);
}

const CHECKS = {
  'scalars, lists, nested objects and enums'() {
    const text = `mutation {
      result: updateManyJob(
        where: { a: 1, b: -2.5e-3, c: true, d: null, e: asc, in: ["x", "y"], none: [], deep: { er: [{ x: {} }, [1]] } }
        data: {n: {increment: 1}},
      ) { count }
    }`;
    assert.deepEqual(query(text), {
      modelName: 'Job',
      action: 'updateMany',
      query: {
        arguments: {
          where: {
            a: 1, b: -0.0025, c: true, d: null, e: 'asc', in: ['x', 'y'], none: [], deep: { er: [{ x: {} }, [1]] },
          },
          data: { n: { increment: 1 } },
        },
        selection: { count: true },
      },
    });
  },
  'strings with every kind of escape'() {
    for (const value of ['', '\\', '\\\\', '"', '\\"', 'a\\', '{}[](),:', '\n\r\t\b\f', '\u0000\u001f', '\u2028', 'é🐈', '"}) { x }']) {
      const text = `query { result: findUniqueJob(where: {id: ${JSON.stringify(value)}, next: "${'\\\\'}"}) { id } }`;
      assert.deepEqual(query(text).query.arguments, { where: { id: value, next: '\\' } }, JSON.stringify(value));
    }
  },
  'numbers keep their digits'() {
    for (const number of ['9007199254740993', '0.1234567890123456789', '1e400', '-0', '-12E+3', '0.5']) {
      const { json } = translate(`query { result: findManyJob(take: ${number}) { id } }`, MODELS);
      assert.ok(json.includes(`"take":${number}}`), json);
    }
  },
  'selections nest, with and without arguments'() {
    assert.deepEqual(query('query{result:findFirstMedia{id variants(take:2){name} job{id}}}').query, {
      arguments: {},
      selection: {
        id: true,
        variants: { arguments: { take: 2 }, selection: { name: true } },
        job: { arguments: {}, selection: { id: true } },
      },
    });
  },
  'OrThrow belongs to the action unless a model is called so'() {
    const action = (name) => {
      const { action, modelName } = query(`query { result: ${name} { id } }`);
      return [action, modelName];
    };
    assert.deepEqual(action('findUniqueMediaOrThrow'), ['findUniqueOrThrow', 'Media']);
    assert.deepEqual(action('findFirstMediaOrThrow'), ['findFirstOrThrow', 'Media']);
    assert.deepEqual(action('findUniqueJobOrThrow'), ['findUnique', 'JobOrThrow']);
    assert.deepEqual(action('createOneManyJob'), ['createOne', 'ManyJob']);
    assert.deepEqual(action('queryRaw'), ['queryRaw', undefined]);
  },
  'what is no query is a bad request'() {
    for (const text of [
      '', 'subscription { result: findManyJob { id } }', 'query { findManyJob { id } }', 'query { result: dropJob { id } }',
      'query { result: findManyNobody { id } }', 'query { result: findManyJob(a: "open) { id } }', 'query { result: findManyJob { id }',
      'query { result: findManyJob(a: [1) { id } }', 'query { result: findManyJob(a 1) { id } }',
      'query { result: findManyJob { id } } more', 'query { result: findManyJob(a: "x\\") { id } }', 'query { result: findManyJob(a: $v) { id } }',
    ]) {
      assert.throws(() => translate(text, MODELS), (error) => error.badRequest === true, text);
    }
  },
  'replies are unwrapped, and text that looks wrapped is left'() {
    const wrapped = { at: { $type: 'DateTime', value: '2026-01-01T00:00:00.000Z' }, big: { $type: 'BigInt', value: '12' } };
    const text = '{"$type":"DateTime","value":"no"}';
    const quoted = { $type: 'Json', value: '{"a":"\\\\\\"b"}' };
    assert.deepEqual(JSON.parse(untag(JSON.stringify({ wrapped, text, list: [quoted] }))), {
      wrapped: { at: '2026-01-01T00:00:00.000Z', big: '12' },
      text,
      list: [quoted.value],
    });
  },
};

for (const [name, check] of Object.entries(CHECKS)) {
  try {
    check();
    console.log(`ok ${name}`);
  } catch (error) {
    console.log(`not ok ${name}\n${error.message}`);
    process.exitCode = 1;
  }
}
