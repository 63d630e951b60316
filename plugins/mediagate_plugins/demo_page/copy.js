// Texts for developers to copy: the job as JSON, and curl commands.

import { address } from "./upload.js";

const KEY = ' -H "Authorization: Bearer $MEDIAGATE_API_KEY"';

const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;

/** Control characters in a name could escape its quotes when pasted into a terminal. */
const harmless = (name) => name.replace(/\p{Cc}/gu, "?");

/** The job's JSON from the gate, without the signatures of private URLs, which grant access. */
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
  // curl reads a value of -F that begins with @ or < from a file, and takes what follows a ; for options.
  const plain = /^[@<]|;/.test(sourceId) ? "--form-string" : "-F";
  const fields = [`-F ${quoted(`sourceType=${sourceType}`)}`, `${plain} ${quoted(`sourceId=${sourceId}`)}`];
  return `curl${needsKey ? KEY : ""} ${fields.join(" ")} -F ${quoted(`file=@"${name}"`)} ${quoted(address("upload"))}`;
}

/** Copy a text to the clipboard; resolves to whether that succeeded. */
export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return selected(text);
  }
}

/** Fallback for pages on plain http, such as from a phone on the network, which have no clipboard API. */
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
