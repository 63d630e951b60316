// The page: accepts files, creates a card for each, and lists the pictures of the source id.

import { announce } from "./announcer.js";
import { Tile, Upload } from "./card.js";
import { copying, jobJson, statusLine, uploadLine } from "./copy.js";
import { Operations } from "./operations.js";
import { openTabs } from "./tabs.js";
import { follow, list, newKey, Refused, remove, scoresOf, send, sendDirect, showKey } from "./upload.js";
import { accepted, sentence } from "./words.js";

const find = (id) => document.getElementById(id);
const [form, files, drop, sourceType, sourceId] = ["form", "files", "drop", "source-type", "source-id"].map(find);
const [uploads, earlier, more, limits] = ["uploads", "earlier", "more", "limits"].map(find);
const direct = find("direct");
const sources = JSON.parse(document.body.dataset.sources);
const showsScores = document.body.dataset.scores === "yes";
const calm = matchMedia("(prefers-reduced-motion: reduce)");
const shown = new Set();
const needsKey = () => !find("with-key").hidden;
const askForKey = () => { find("with-key").hidden = false; };
const operations = document.body.dataset.operations === "yes" ? new Operations(sources, askForKey, needsKey) : null;
let cursor = null;
let listing = 0;
let asked = 0;
let open = "upload";

const owner = () => ({ sourceType: sourceType.value, sourceId: sourceId.value.trim() });

function sure() {
  const dialog = find("sure");
  const turn = asked += 1;
  dialog.returnValue = "no";
  dialog.showModal();
  return new Promise((resolve) => {
    const closed = () => {
      // The close event is asynchronous: it may belong to the previous dialog while this one is already open.
      if (turn === asked && dialog.open) return;
      dialog.removeEventListener("close", closed);
      resolve(turn === asked && dialog.returnValue === "yes");
    };
    dialog.addEventListener("close", closed);
  });
}

function deletable(card, media) {
  operations?.picture.offer(media, card.title);
  const button = card.action("Delete", async () => {
    if (!await sure()) return;
    const place = card.root.parentElement;
    button.disabled = true;
    try {
      await remove(media.id);
      card.root.remove();
      operations?.picture.withdraw(media.id);
      announce(card.title, "deleted.");
      find(`${place.id}-title`).hidden = !place.children.length;
      (place.children.length ? find(`${place.id}-title`) : files).focus();
      if (place === earlier && !place.children.length && cursor) showEarlier(cursor);
    } catch (error) {
      button.disabled = false;
      button.textContent = "Try to delete again";
      card.fault(sentence(error.message));
      announce(card.title, error.message);
      button.focus();
    }
  });
  button.setAttribute("aria-label", `Delete ${card.title}`);
}

function copyable({ card, file, to }, state) {
  const texts = {
    JSON: () => jobJson(state),
    "curl: status": () => statusLine(state.jobId, needsKey()),
    "curl: upload": () => uploadLine(file, to, needsKey()),
  };
  for (const [label, text] of Object.entries(texts)) {
    card.copies(label, copying(card.title, label, text));
  }
}

/** The scores of a job, or null if the gate does not provide them; the verdict is then shown without. */
async function judged({ jobId, status }) {
  if (!showsScores || (status !== "COMPLETE" && status !== "REJECTED")) return null;
  const scores = await scoresOf(jobId).catch(() => ({}));
  return Object.keys(scores).length ? scores : null;
}

async function ended(upload, state) {
  const { card } = upload;
  const scores = await judged(state);
  if (state.status === "COMPLETE" && state.media) {
    announce(card.title, card.complete(state.media, scores));
    shown.add(state.media.id);
    deletable(card, state.media);
  } else if (state.status === "COMPLETE") announce(card.title, card.stopped({ message: "The picture has been deleted" }));
  else if (state.status === "REJECTED") announce(card.title, card.rejected(state, scores));
  else if (state.status === "FAILED") {
    announce(card.title, card.failed(state));
    if (state.retryable) card.action("Send again", () => run({ ...upload, key: newKey(), sent: {}, job: null }));
  } else announce(card.title, card.stopped({ state: state.status, message: "The upload was cancelled" }));
  copyable(upload, state);
}

async function run(upload) {
  const { file, card, to, key, sent } = upload;
  const waits = document.activeElement?.closest(".card") === card.root;
  try {
    if (!upload.job) {
      const { maxBytes, tooLarge } = sources[to.sourceType];
      if (file.size > maxBytes) throw new Refused({ detail: tooLarge }, 413);
      card.sending(0);
      const progress = (part) => card.sending(part);
      upload.job = await (upload.direct ? sendDirect(file, to, sent, progress) : send(file, to, key, progress));
    }
    let announced = "";
    for await (const state of follow(upload.job)) {
      if (state.status !== "PENDING" && state.status !== "PROCESSING") await ended(upload, state);
      else {
        const text = card.working(state);
        if (state.status !== announced) announce(card.title, text);
        announced = state.status;
      }
    }
  } catch (error) {
    announce(card.title, card.stopped(error));
    // With the same key or declaration: if the first attempt did arrive, the response is its job and nothing is duplicated.
    if (error.retryable || error.lacksKey) card.action("Retry", () => run(upload));
    if (error.lacksKey) askForKey();
  }
  // The pressed button has been removed, so the focus moves to the next one of the card.
  if (waits && document.activeElement === document.body) (card.actions.querySelector("button") ?? files).focus();
}

function takeAll(chosen) {
  if (!chosen.length || !form.reportValidity()) return;
  const to = owner();
  let newest;
  for (const file of chosen) {
    const card = newest = new Upload(file, sources[to.sourceType].sizes, showsScores);
    uploads.prepend(card.root);
    // A browser that does not know the type of a file cannot declare it.
    run({ file, card, to, key: newKey(), sent: {}, direct: direct.checked && file.type !== "", job: null });
  }
  find("uploads-title").hidden = false;
  bringIntoView(newest);
}

/** Scroll to a card unless its status is already visible; its table may be below the fold. */
function bringIntoView({ root, bar }) {
  if (root.getBoundingClientRect().top >= 0 && bar.getBoundingClientRect().bottom <= innerHeight) return;
  root.scrollIntoView({ block: "start", behavior: calm.matches ? "instant" : "smooth" });
}

async function showEarlier(from) {
  const turn = listing += 1;
  if (!from) earlier.replaceChildren();
  const fault = find("earlier-fault");
  fault.hidden = true;
  more.disabled = true;
  try {
    let page = { items: [], nextCursor: from };
    let fresh = [];
    // A page may contain only pictures that are shown above as uploads; then load the next one without another click.
    while (form.checkValidity()) {
      page = await list(owner(), page.nextCursor);
      if (turn !== listing) return;
      fresh = page.items.filter((media) => !shown.has(media.id));
      if (fresh.length || !page.nextCursor) break;
    }
    const tiles = fresh.map((media) => {
      const tile = new Tile(media);
      deletable(tile, media);
      return tile;
    });
    earlier.append(...tiles.map((tile) => tile.root));
    cursor = page.nextCursor;
    more.hidden = !cursor;
    if (from) tiles[0]?.root.querySelector("h3").focus();
  } catch (error) {
    if (turn !== listing) return;
    fault.textContent = `Earlier pictures cannot be loaded. ${sentence(error.message)}`;
    fault.hidden = false;
    if (error.lacksKey) askForKey();
    cursor = from;
    more.hidden = false;
  }
  more.textContent = fault.hidden ? "Show more" : "Try again";
  more.disabled = false;
  find("earlier-title").hidden = !earlier.children.length && fault.hidden;
}

function showSource() {
  limits.textContent = `${accepted(sources[sourceType.value])} each`;
  files.accept = sources[sourceType.value].accept;
  showEarlier();
}

sourceType.append(...Object.keys(sources).map((name) => new Option(name, name)));
showSource();

sourceType.addEventListener("change", showSource);
sourceId.addEventListener("change", () => showEarlier());
find("key").addEventListener("change", (event) => {
  showKey(event.target.value.trim());
  showEarlier();
  if (open === "operations") operations.load();
});
more.addEventListener("click", () => showEarlier(cursor));
form.addEventListener("submit", (event) => event.preventDefault());
files.addEventListener("change", () => { takeAll([...files.files]); files.value = ""; });
for (const button of find("sure").querySelectorAll("button")) {
  button.addEventListener("click", () => find("sure").close(button.value));
}
const places = { upload: { zone: drop, take: takeAll }, operations };
for (const name of ["dragover", "dragleave", "drop"]) {
  document.addEventListener(name, (event) => {
    if (!event.dataTransfer.types.includes("Files")) return;
    event.preventDefault();
    places[open].zone.classList.toggle("over", name === "dragover");
    if (name === "drop") places[open].take([...event.dataTransfer.files]);
  });
}
document.addEventListener("paste", (event) => {
  if (event.clipboardData.files.length) places[open].take([...event.clipboardData.files]);
});
if (operations) {
  openTabs(find("tabs"), (name) => {
    open = name;
    if (name === "operations") operations.load();
  });
}
