// Runs poll.js on a picture, then webhook.js on the job that it made: node run.mjs <origin> <picture>
import { readFile } from "node:fs/promises";

const [origin, picture] = process.argv.slice(2);
const read = (name) => readFile(new URL(name, import.meta.url), "utf8");
const AsyncFunction = (async () => {}).constructor;

const here = (url) => new URL(String(url).replace("http://localhost:3000", ""), origin);
const fetchHere = (url, options) => fetch(here(url), options);

let jobId;
async function uploadFile(file) {
  const form = new FormData();
  form.set("file", file, "photo.jpg");
  form.set("sourceType", "avatar");
  form.set("sourceId", "user-abc123");
  const body = await (await fetchHere("/image-pipeline/upload", { method: "POST", body: form })).json();
  jobId = body.jobId;
  return body;
}

const said = [];
const result = {};
try {
  const poll = new AsyncFunction("fetch", "uploadFile", "file", "console", await read("poll.js"));
  await poll(fetchHere, uploadFile, new Blob([await readFile(picture)]), { log: (line) => said.push(line) });
  result.url = said[0];
} catch (error) {
  result.thrown = error.message;
}

const sent = [];
let handler;
const fastify = {
  post: (path, route) => { handler = route; },
  notifications: { send: async (userId, message) => sent.push({ userId, ...message }) },
};
const webhook = new AsyncFunction("fetch", "fastify", await read("webhook.js"));
await webhook(fetchHere, fastify);
result.answer = await handler({ body: { jobId, userId: "user-abc123" } });
result.sent = sent;
console.log(JSON.stringify(result));
