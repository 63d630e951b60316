// The client of the gate: sends a file, follows its job, lists and deletes.

const ROOT = document.body.dataset.root;
const SCORES = "demo/scores/";
const FIRST_POLLS = 20;
const FIRST_POLL_MS = 250;
const READABLE_MS = 600;

/** The page is in English, so the gate's messages must be too. */
const ENGLISH = { "Accept-Language": "en" };

let credentials = {};
/** Send this key with each request to the gate from now on; it is stored nowhere else. */
export const showKey = (key) => { credentials = key ? { Authorization: `Bearer ${key}` } : {}; };

export const keyGiven = () => "Authorization" in credentials;

/** The headers of each request to the gate. */
export const common = () => ({ ...credentials, ...ENGLISH });

/** The absolute address of a route, without the user name and query of the page's own address. */
export const address = (path) => new URL(`${ROOT}${path}`, `${location.origin}${location.pathname}`).href;

/** The text for a refusal: for the file size the same as before sending, otherwise the detail for developers. */
const textOf = ({ code, message, detail }) => (code === "upload_too_large" ? message : detail);

export class Refused extends Error {
  constructor(problem, status) {
    const lacksKey = status === 401;
    super(lacksKey ? "Enter a valid API key, then try again." : textOf(problem) ?? `The service answered ${status}.`);
    this.state = "REFUSED";
    this.code = problem.code;
    this.status = status;
    this.errors = problem.errors ?? [];
    this.retryable = problem.retryable ?? status >= 500;
    this.lacksKey = lacksKey;
  }
}

export class Unreachable extends Error {
  constructor() {
    super("The service cannot be reached. Check your connection, then try again.");
    this.state = "UNREACHED";
    this.errors = [];
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

/** crypto.randomUUID is missing on plain http to any host but localhost, such as from a phone on the network. */
export const newKey = () =>
  [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");

/** Resolves to the JSON of the response. Uses XMLHttpRequest, because fetch does not report upload progress. */
export function transfer(method, url, headers, body, onProgress, signal) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    signal?.addEventListener("abort", () => { request.abort(); reject(signal.reason); });
    request.open(method, url);
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
    request.upload.onprogress = (event) => event.lengthComputable && onProgress(event.loaded / event.total);
    request.onerror = () => reject(new Unreachable());
    request.onload = () => {
      const answer = parsed(request.responseText);
      if (request.status >= 200 && request.status < 300) resolve(answer);
      else reject(new Refused(answer, request.status));
    };
    request.send(body);
  });
}

/** Send a file through the gate; resolves to the accepted job. */
export function send(file, { sourceType, sourceId }, key, onProgress) {
  const form = new FormData();
  form.set("sourceType", sourceType);
  form.set("sourceId", sourceId);
  form.set("file", file, file.name || "pasted");
  return transfer("POST", `${ROOT}upload`, { ...common(), "Idempotency-Key": key }, form, onProgress);
}

/** Send a file to the gate's upload target; a retry with the same `sent` resumes after the last completed step. */
export async function sendDirect(file, { sourceType, sourceId }, sent, onProgress) {
  sent.target ??= await ask("uploads", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ sourceType, sourceId, contentType: file.type, size: file.size, filename: file.name }),
  });
  const { uploadId, method, url, headers } = sent.target;
  try {
    if (!sent.arrived) await transfer(method, url, headers, file, onProgress);
  } catch (error) {
    if (error.code !== "upload_received") throw error;
  }
  sent.arrived = true;
  return ask(`uploads/${encodeURIComponent(uploadId)}/complete`, { method: "POST" });
}

export async function ask(path, options = {}, root = ROOT) {
  let response;
  let text;
  try {
    response = await fetch(`${root}${path}`, { ...options, headers: { ...common(), ...options.headers } });
    text = await response.text();
  } catch {
    throw new Unreachable();
  }
  const body = parsed(text);
  if (!response.ok) throw new Refused(body, response.status);
  return body;
}

/** The states of a job, to its end. */
export async function* polled(job) {
  yield { status: "PENDING", stage: "queued", progress: 0 };
  for (let polls = 0; ; polls += 1) {
    const state = await ask(`status/${encodeURIComponent(job.jobId)}?http=200`);
    yield state;
    if (!runs(state)) return;
    await pause(polls < FIRST_POLLS ? FIRST_POLL_MS : state.pollAfterMs);
  }
}

/** Follow a job to its end, with each step shown long enough to be read, however fast the job is. */
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

/** The score of each label, if the page is configured to show scores. */
export const scoresOf = (jobId) => ask(`${SCORES}${encodeURIComponent(jobId)}`, {}, "").then(({ scores }) => scores);

export const remove = (mediaId) => ask(`media/${encodeURIComponent(mediaId)}`, { method: "DELETE" });
