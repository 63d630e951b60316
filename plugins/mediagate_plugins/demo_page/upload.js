// Talks to the gate: sends a file, follows its job, lists and deletes.

const ROOT = document.body.dataset.root;
const WAIT_S = 10;

export class Refused extends Error {
  constructor(problem, status) {
    super(problem.detail ?? `The service answered ${status}.`);
    this.code = problem.code;
    this.retryable = problem.retryable ?? status >= 500;
  }
}

export class Unreachable extends Error {
  constructor() {
    super("The service cannot be reached. Look at your connection, then try again.");
    this.retryable = true;
  }
}

const parsed = (text) => {
  try {
    return JSON.parse(text);
  } catch {
    return {};
  }
};

/** Send a file; resolves to the accepted job. XMLHttpRequest, because fetch does not tell how much has been sent. */
export function send(file, { sourceType, sourceId }, key, onProgress) {
  return new Promise((resolve, reject) => {
    const form = new FormData();
    form.set("sourceType", sourceType);
    form.set("sourceId", sourceId);
    form.set("file", file, file.name || "pasted");
    const request = new XMLHttpRequest();
    request.open("POST", `${ROOT}/upload`);
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
  try {
    response = await fetch(`${ROOT}/${path}`, options);
  } catch {
    throw new Unreachable();
  }
  const body = parsed(await response.text());
  if (!response.ok) throw new Refused(body, response.status);
  return body;
}

/** Follow a job; yields each state until the last. */
export async function* follow(jobId) {
  const path = `status/${encodeURIComponent(jobId)}?http=200`;
  let state = await ask(path);
  yield state;
  while (state.status === "PENDING" || state.status === "PROCESSING") {
    const wait = state.status === "PENDING" ? 0 : WAIT_S;
    if (!wait) await new Promise((resolve) => { setTimeout(resolve, 150); });
    state = await ask(wait ? `${path}&wait=${wait}` : path);
    yield state;
  }
}

export const list = (sourceType, sourceId, cursor) =>
  ask(`media?${new URLSearchParams({ sourceType, sourceId, limit: "6", ...(cursor ? { cursor } : {}) })}`);

export const remove = (mediaId) => ask(`media/${encodeURIComponent(mediaId)}`, { method: "DELETE" });
