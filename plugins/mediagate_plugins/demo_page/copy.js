// What a developer takes along: the job as JSON, and lines for a shell.

import { address } from "./upload.js";

const KEY = ' -H "Authorization: Bearer $MEDIAGATE_API_KEY"';

const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;

/** A name with control characters could end the quotes of a terminal that it is pasted into. */
const harmless = (name) => name.replace(/\p{Cc}/gu, "?");

/** The job as the gate told it; a signature is left out of the URLs of private files, for it lets anybody in. */
export function jobJson(state) {
  const signed = Boolean(state.media?.urlsExpireAt);
  const unsigned = (key, value) => (signed && typeof value === "string" && /^(https?:\/)?\//.test(value)
    ? value.replace(/\?.*/s, "?SIGNATURE_LEFT_OUT") : value);
  return JSON.stringify(state, unsigned, 2);
}

export const statusLine = (jobId, needsKey) =>
  `curl${needsKey ? KEY : ""} ${quoted(address(`status/${encodeURIComponent(jobId)}?http=200`))}`;

export function uploadLine(file, { sourceType, sourceId }, needsKey) {
  const name = harmless(file.name || "picture").replace(/["\\]/g, "\\$&");
  const fields = [`sourceType=${sourceType}`, `sourceId=${sourceId}`, `file=@"${name}"`];
  return `curl${needsKey ? KEY : ""} ${fields.map((field) => `-F ${quoted(field)}`).join(" ")} ${quoted(address("upload"))}`;
}

/** Put a text on the clipboard; resolves to whether it is there. */
export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return selected(text);
  }
}

/** Pages on plain http, as a phone on the network sees this one, have no other way to the clipboard. */
function selected(text) {
  const before = document.activeElement;
  const area = Object.assign(document.createElement("textarea"), { value: text, readOnly: true, className: "unseen" });
  document.body.append(area);
  area.focus({ preventScroll: true });
  area.select();
  const done = document.execCommand("copy");
  area.remove();
  before?.focus({ preventScroll: true });
  return done;
}
