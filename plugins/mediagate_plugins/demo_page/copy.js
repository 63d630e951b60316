// Texts for developers to copy: the job as JSON, and curl commands.

import { announce } from "./announcer.js";
import { outputUrl, requestJson } from "./pipelines.js";
import { address } from "./upload.js";

const KEY = ' -H "Authorization: Bearer $MEDIAGATE_API_KEY"';

const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;

/** Control characters in a name could escape its quotes when pasted into a terminal. */
const harmless = (name) => name.replace(/\p{Cc}/gu, "?");

/** Controls and invisible characters as escapes, which JSON allows in its texts: they could change what a terminal shows. */
const visible = (json) => json.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (character) =>
  character.split("").map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`).join(""));

/** The job's JSON from the gate, without the signatures of private URLs, which grant access. */
export function jobJson(state) {
  const signed = state.kind === "pipeline" || Boolean(state.media?.urlsExpireAt);
  const unsigned = (key, value) => (signed && typeof value === "string" && /^(https?:\/)?\//.test(value)
    ? value.replace(/\?.*/s, "?SIGNATURE_LEFT_OUT") : value);
  return JSON.stringify(state, unsigned, 2);
}

export const statusLine = (jobId, needsKey) =>
  `curl${needsKey ? KEY : ""} ${quoted(address(`status/${encodeURIComponent(jobId)}?http=200`))}`;

const fileField = (field, file) =>
  quoted(`${field}=@"${harmless(file.name || "picture").replace(/["\\]/g, "\\$&")}"`);

export function uploadLine(file, { sourceType, sourceId }, needsKey) {
  // curl reads a value of -F that begins with @ or < from a file, and takes what follows a ; for options.
  const plain = /^[@<]|;/.test(sourceId) ? "--form-string" : "-F";
  const fields = [`-F ${quoted(`sourceType=${sourceType}`)}`, `${plain} ${quoted(`sourceId=${sourceId}`)}`];
  const form = [...fields, `-F ${fileField("file", file)}`].join(" ");
  return `curl${needsKey ? KEY : ""} ${form} ${quoted(address("upload"))}`;
}

/** `--form-string`, because `-F` would take `;type=` in a text as an option of its own. */
export function pipelineLine(asked, needsKey) {
  const { picture, files } = asked;
  const sent = picture?.media ? [] : [["file", picture?.file ?? {}]];
  const fields = [...sent, ...files].map(([name, file]) => `-F ${fileField(name, file)}`);
  const form = [...fields, `--form-string ${quoted(`request=${visible(requestJson(asked))}`)}`].join(" ");
  return `curl${needsKey ? KEY : ""} ${form} ${quoted(address("pipelines"))}`;
}

export const downloadLine = (jobId, needsKey) =>
  `curl${needsKey ? KEY : ""} -OJ ${quoted(outputUrl(jobId))}`;

/** Return a function that copies a text, says so, and resolves to whether that succeeded. */
export const copying = (title, name, text) => async () => {
  const done = await copy(text());
  announce(title, `${name} ${done ? "copied." : "could not be copied."}`);
  return done;
};

async function copy(text) {
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
