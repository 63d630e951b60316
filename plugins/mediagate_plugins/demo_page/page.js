// The page: takes files, makes a card for each, and lists what the owner has.

import { Card, bytes } from "./card.js";
import { follow, list, remove, send } from "./upload.js";

const find = (id) => document.getElementById(id);
const [form, files, drop, sourceType, sourceId] = ["form", "files", "drop", "source-type", "source-id"].map(find);
const [uploads, earlier, more, limits, announcer] = ["uploads", "earlier", "more", "limits", "announcer"].map(find);
const sources = JSON.parse(find("sources").textContent);
const shown = new Set();
let cursor = null;

const announce = (title, text) => { announcer.textContent = `${title}: ${text}`; };
const owner = () => ({ sourceType: sourceType.value, sourceId: sourceId.value.trim() });

function deletable(card, title, media) {
  card.action("Delete", async (button) => {
    if (!window.confirm("Delete this picture and all its files?")) return;
    button.disabled = true;
    try {
      await remove(media.id);
      card.root.remove();
      announce(title, "deleted");
      find("source-id").focus();
    } catch (error) {
      button.disabled = false;
      announce(title, error.message);
      button.textContent = "Delete (failed, try again)";
    }
  });
}

async function take(file, card, key, to) {
  const title = file.name || "Pasted picture";
  try {
    card.sending(0);
    const job = await send(file, to, key, (part) => card.sending(part));
    for await (const state of follow(job.jobId)) {
      if (state.status === "COMPLETE") {
        announce(title, card.complete(state.media));
        shown.add(state.media.id);
        deletable(card, title, state.media);
      } else if (state.status === "REJECTED") announce(title, card.rejected(state));
      else if (state.status === "FAILED") announce(title, card.failed(state));
      else if (state.status === "CANCELLED") announce(title, card.say("ERROR", "CANCELLED"));
      else card.working(state);
    }
  } catch (error) {
    announce(title, card.refused(error));
    // The same key: should the first attempt have arrived after all, its job is answered and nothing is doubled.
    if (error.retryable) card.action("Try again", () => take(file, card, key, to)).focus();
  }
}

function takeAll(chosen) {
  if (!form.reportValidity()) return;
  const to = owner();
  for (const file of chosen) {
    const card = new Card(file.name || "Pasted picture");
    uploads.prepend(card.root);
    take(file, card, key(), to);
  }
  find("uploads-title").hidden = false;
}

/** crypto.randomUUID is missing on plain http to another host than localhost; a phone on the network is one. */
const key = () => [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");

async function showEarlier(from) {
  const { sourceType: type, sourceId: id } = owner();
  if (!from) earlier.replaceChildren();
  cursor = null;
  more.hidden = true;
  if (!form.checkValidity()) return;
  try {
    const page = await list(type, id, from);
    for (const media of page.items.filter((item) => !shown.has(item.id))) {
      const title = new Date(media.createdAt).toLocaleString();
      const card = new Card(title);
      card.complete(media);
      deletable(card, title, media);
      earlier.append(card.root);
    }
    cursor = page.nextCursor;
    more.hidden = cursor === null;
  } catch (error) {
    announce("Earlier pictures", error.message);
  }
  find("earlier-title").hidden = !earlier.children.length;
}

const showLimits = () => { limits.textContent = `JPEG, PNG, WebP, GIF or AVIF, up to ${bytes(sources[sourceType.value])}`; };

sourceType.append(...Object.keys(sources).map((name) => new Option(name, name)));
showLimits();
showEarlier();

sourceType.addEventListener("change", () => { showLimits(); showEarlier(); });
sourceId.addEventListener("change", () => showEarlier());
more.addEventListener("click", () => showEarlier(cursor));
form.addEventListener("submit", (event) => event.preventDefault());
files.addEventListener("change", () => { takeAll([...files.files]); files.value = ""; });
for (const name of ["dragover", "dragleave", "drop"]) {
  document.addEventListener(name, (event) => {
    event.preventDefault();
    drop.classList.toggle("over", name === "dragover");
    if (name === "drop") takeAll([...event.dataTransfer.files]);
  });
}
document.addEventListener("paste", (event) => {
  if (event.clipboardData.files.length) takeAll([...event.clipboardData.files]);
});
