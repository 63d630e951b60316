// Talks to the gate: sends a file, follows its job, lists and deletes.

const ROOT = document.body.dataset.root;
const FIRST_POLLS = 20;
const FIRST_POLL_MS = 250;
const READABLE_MS = 600;

export class Refused extends Error {
  constructor(problem, status) {
    super(problem.detail ?? `The service answered ${status}.`);
    this.state = "REFUSED";
    this.retryable = problem.retryable ?? status >= 500;
  }
}

export class Unreachable extends Error {
  constructor() {
    super("The service cannot be reached. Look at your connection, then try again.");
    this.state = "UNREACHED";
    this.retryable = true;
  }
}

const parsed = (text) => {
  try {
    return JSON.parse(text) ?? {};
  } catch {
    return {};
  }
};
const pause = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });
const runs = ({ status }) => status === "PENDING" || status === "PROCESSING";

/** crypto.randomUUID is missing on plain http to another host than localhost; a phone on the network is one. */
export const newKey = () =>
  [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");

/** Send a file; resolves to the accepted job. XMLHttpRequest, because fetch does not tell how much has been sent. */
export function send(file, { sourceType, sourceId }, key, onProgress) {
  return new Promise((resolve, reject) => {
    const form = new FormData();
    form.set("sourceType", sourceType);
    form.set("sourceId", sourceId);
    form.set("file", file, file.name || "pasted");
    const request = new XMLHttpRequest();
    request.open("POST", `${ROOT}upload`);
    request.setRequestHeader("Idempotency-Key", key);
    request.upload.onprogress = (event) => event.lengthComputable && onProgress(event.loaded / event.total);
    request.onerror = () => reject(new Unreachable());
    request.onload = () => {
      const body = parsed(request.responseText);
      if (request.status === 202) resolve(body);
      else reject(new Refused(body, request.status));
    };
    request.send(form);
  });
}

async function ask(path, options) {
  let response;
  let text;
  try {
    response = await fetch(`${ROOT}${path}`, options);
    text = await response.text();
  } catch {
    throw new Unreachable();
  }
  const body = parsed(text);
  if (!response.ok) throw new Refused(body, response.status);
  return body;
}

async function* polled(job) {
  yield { status: "PENDING", stage: "queued", progress: 0 };
  for (let polls = 0; ; polls += 1) {
    const state = await ask(`status/${encodeURIComponent(job.jobId)}?http=200`);
    yield state;
    if (!runs(state)) return;
    await pause(polls < FIRST_POLLS ? FIRST_POLL_MS : state.pollAfterMs);
  }
}

/** Follow a job to its end. A person can read every step, also of a job that is done faster than a person reads. */
export async function* follow(job) {
  let step = null;
  let since = 0;
  let processed = false;
  for await (const state of polled(job)) {
    const worked = !runs(state) && state.status !== "CANCELLED";
    const passed = !worked || processed ? [] : [{ status: "PROCESSING", stage: "moderate", progress: 50 }];
    for (const next of [...passed, state]) {
      const name = `${next.status} ${next.stage}`;
      if (step !== null && name !== step) await pause(since + READABLE_MS - performance.now());
      if (name !== step) [step, since] = [name, performance.now()];
      processed ||= next.status === "PROCESSING";
      yield next;
    }
  }
}

export const list = ({ sourceType, sourceId }, cursor) =>
  ask(`media?${new URLSearchParams({ sourceType, sourceId, limit: "6", ...(cursor ? { cursor } : {}) })}`);

export const remove = (mediaId) => ask(`media/${encodeURIComponent(mediaId)}`, { method: "DELETE" });
