// The client of the gate's pipelines: what can be asked for, a request, its cancellation, and its files.

import { address, ask, common, Refused, transfer, Unreachable } from "./upload.js";

/** The operations, presets and limits of the gate. */
export const catalogue = () => ask("pipelines/operations");

/** The JSON of a request, which names a published picture itself. */
export const requestJson = ({ request, picture }, indent) =>
  JSON.stringify(picture?.media ? { ...request, mediaId: picture.media.id } : request, null, indent);

/** Send a request with its picture, a file or a published one; resolves to the accepted job, or to a dry run. */
export function order({ request, picture, files }, { key, dryRun = false, onProgress = () => {}, signal } = {}) {
  const form = new FormData();
  form.set("request", requestJson({ request, picture }));
  if (picture?.file) form.set("file", picture.file, picture.file.name || "pasted");
  for (const [name, file] of files) form.set(name, file, file.name);
  const headers = key ? { ...common(), "Idempotency-Key": key } : common();
  return transfer("POST", address(`pipelines${dryRun ? "?dryRun=1" : ""}`), headers, form, onProgress, signal);
}

export const cancel = (jobId) => ask(`jobs/${encodeURIComponent(jobId)}/cancel`, { method: "POST" });

export const outputUrl = (jobId, filename) =>
  address(`jobs/${encodeURIComponent(jobId)}/download${filename ? `?${new URLSearchParams({ output: filename })}` : ""}`);

/** Save a file of a gate that asks for a key, which a link cannot send. */
export async function save(url, filename) {
  let response;
  try {
    response = await fetch(url, { headers: common() });
  } catch {
    throw new Unreachable();
  }
  if (!response.ok) throw new Refused(await response.json().catch(() => ({})), response.status);
  const blob = URL.createObjectURL(await response.blob());
  Object.assign(document.createElement("a"), { href: blob, download: filename }).click();
  URL.revokeObjectURL(blob);
}
