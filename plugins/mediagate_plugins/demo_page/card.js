// The card of one picture. Text is inserted through textContent only.

import { paint } from "./blurhash.js";
import { button, copyButton, element, link } from "./elements.js";
import * as words from "./words.js";

const PREVIEW_WIDTH = 400;
const SENDING_SHARE = 30;
const LABELS_SHOWN = 8;

/** Paint the placeholder in the picture's shape at once, and fade the picture in when it has loaded. */
function picture(media, alt) {
  const canvas = element("canvas");
  canvas.setAttribute("aria-hidden", "true");
  paint(canvas, media.blurhash, media.width, media.height);
  const wanted = media.variants.find((variant) => variant.width >= PREVIEW_WIDTH) ?? media.variants.at(-1);
  const image = element("img", { alt, width: wanted.width, height: wanted.height });
  const shape = element("div", { className: "shape" }, canvas, image);
  shape.style.setProperty("--shape", wanted.width / wanted.height);
  image.addEventListener("load", () => image.classList.add("loaded"));
  image.src = wanted.url;
  return shape;
}

export function table(rows, columns = ["Size", "Pixels", "Format", "Bytes"]) {
  const head = columns.map((textContent) => element("th", { textContent, scope: "col" }));
  return element("table", {}, element("thead", {}, element("tr", {}, ...head)), element("tbody", {}, ...rows));
}

export const row = (first, ...cells) => element("tr", {}, element("th", { scope: "row" }, first),
  ...cells.map((textContent) => element("td", { textContent })));

const sizes = (variants) => table(variants.map((variant) => row(link(variant.url, variant.name),
  words.pixels(variant), variant.format, words.bytes(variant.bytes))));

/** An empty table of the same height, so that the layout of the card is stable. */
function sizesToCome(names) {
  const made = table(names.map((name) => row(name, "–", "–", "–")));
  made.classList.add("empty");
  made.setAttribute("aria-hidden", "true");
  return made;
}

/** A local preview of the file, or a tile with its format if the browser cannot show it. */
function preview(file, title) {
  const image = element("img", { className: "local", alt: `Preview of ${title}`, decoding: "async" });
  const url = URL.createObjectURL(file);
  image.addEventListener("load", () => {
    URL.revokeObjectURL(url);
    image.classList.add("shown");
  });
  image.addEventListener("error", () => {
    URL.revokeObjectURL(url);
    const kind = /\.(\w{1,5})$/.exec(file.name)?.[1].toUpperCase() ?? "File";
    image.replaceWith(element("p", { className: "tile" }, element("strong", { textContent: kind }), "This browser cannot preview it."));
  });
  image.src = url;
  return image;
}

/** The model's scores, highest first: a line that opens a table. */
function verdict(decision, scores, open) {
  const sorted = Object.entries(scores).sort(([a, x], [b, y]) => y - x || (a < b ? -1 : 1));
  const shown = sorted.slice(0, LABELS_SHOWN);
  const rows = table(shown.map(([label, score]) => row(label, words.percent(score))), ["Label", "Score"]);
  rows.prepend(element("caption", { className: "unseen", textContent: "Moderation scores, highest first" }));
  const rest = sorted.length - shown.length;
  return element("details", { className: "verdict", open },
    element("summary", { textContent: words.verdict(decision, sorted) }), rows,
    ...(rest ? [element("p", { className: "quiet", textContent: `And ${rest} more, each at most ${words.percent(sorted[shown.length][1])}.` })] : []));
}

/** The base of all cards: a title, actions, and texts to copy. */
export class Card {
  constructor(title) {
    this.title = title;
    this.actions = element("div", { className: "actions" });
    this.texts = element("div", { className: "actions copies", role: "group", ariaLabel: `Copy, of ${title}` });
    this.root = element("li", { className: "card" });
  }

  action(label, run) {
    const made = button(label, run);
    this.actions.append(made);
    return made;
  }

  fault(textContent) {
    this.root.querySelector(".fault")?.remove();
    this.actions.before(element("p", { className: "fault", textContent }));
  }

  /** Add a button for a text; `copy` resolves to whether the text was copied. */
  copies(label, copy) {
    if (!this.texts.firstChild) this.texts.append(element("span", { textContent: "Copy" }));
    copyButton(label, copy, this.texts).setAttribute("aria-label", `Copy ${label} of ${this.title}`);
  }
}

/** The card of an upload, its progress and its result. */
export class Upload extends Card {
  constructor(file, sizeNames, showsScores) {
    const title = file.name || "Pasted picture";
    super(title);
    this.file = file;
    this.sizeNames = sizeNames;
    this.showsScores = showsScores;
    this.frame = element("div", { className: "frame" });
    this.badge = element("p", { className: "badge" });
    this.said = element("p", { className: "said" });
    this.bar = element("progress", { max: 100, value: 0 });
    this.bar.setAttribute("aria-label", `Progress of ${title}`);
    this.detail = element("div");
    this.root.append(this.frame, element("div", {},
      element("h3", { textContent: title }), this.badge, this.said, this.bar, this.detail, this.actions, this.texts));
  }

  say(state, text) {
    const over = !["SENDING", "PENDING", "PROCESSING"].includes(state);
    const changed = this.root.dataset.state !== state;
    this.root.dataset.state = state;
    this.badge.textContent = words.BADGES[state] ?? state;
    this.said.textContent = text;
    this.bar.classList.toggle("over", over);
    if (over) this.detail.replaceChildren();
    else if (changed) {
      const line = (className) => element("p", { className, textContent: "\u00a0" });
      const lines = this.showsScores ? [line("quiet"), line("verdict")] : [line("quiet")];
      this.detail.replaceChildren(...lines, sizesToCome(this.sizeNames));
    }
    if (changed) for (const buttons of [this.actions, this.texts]) buttons.replaceChildren();
    if (!over && !this.frame.firstChild) this.frame.append(preview(this.file, this.title));
    delete this.frame.dataset.mark;
    return `${this.badge.textContent}. ${text}`;
  }

  sending(part) {
    this.bar.value = part * SENDING_SHARE;
    return this.say("SENDING", `${Math.round(part * 100)} % sent.`);
  }

  working({ status, stage, progress }) {
    this.bar.value = SENDING_SHARE + progress * (1 - SENDING_SHARE / 100);
    return this.say(status, words.stage(stage));
  }

  /** The summary of the verdict, if the page shows one. */
  get verdict() {
    return this.detail.querySelector("summary")?.textContent ?? "";
  }

  /** Replace the preview with a mark, because there is no picture to show. */
  mark(sign) {
    this.frame.replaceChildren();
    this.frame.dataset.mark = sign;
  }

  rejected({ reason, moderationDetails: { flags, confidence, complete = true } }, scores) {
    const text = this.say("REJECTED", words.sentence(reason));
    this.mark("×");
    if (flags.length) {
      const found = `Found with ${Math.round(confidence * 100)} % confidence:`;
      this.detail.append(element("p", { textContent: found }),
        element("ul", { className: "labels" }, ...flags.map((textContent) => element("li", { textContent }))));
    }
    if (scores) this.detail.append(verdict("Rejected", scores, true));
    const unjudged = complete ? "" : " Moderation stopped there, so unchecked parts may have higher scores.";
    this.detail.append(element("p", { className: "quiet", textContent: `No part of this picture was published.${unjudged}` }));
    return [text, flags.join(", "), this.verdict].join(" ");
  }

  failed({ error, code, attempts }) {
    const text = this.say("FAILED", words.sentence(error));
    this.mark("!");
    const tried = attempts === 1 ? "one attempt" : `${attempts} attempts`;
    this.detail.append(element("p", { className: "quiet", textContent: `After ${tried}; code ${code}.` }));
    return text;
  }

  stopped({ state = "FAILED", message }) {
    const text = this.say(state, words.sentence(message));
    // A retry continues with the same preview.
    if (state !== "UNREACHED") this.mark("!");
    return text;
  }

  complete(media, scores) {
    const text = this.say("COMPLETE", words.facts(media));
    this.frame.replaceChildren(picture(media, this.title));
    this.detail.append(element("p", { className: "quiet", textContent: words.removed(media.removed) }),
      ...(scores ? [verdict("Allowed", scores, false)] : []), sizes(media.variants));
    if (media.originalUrl) this.actions.append(link(media.originalUrl, "Cleaned original"));
    return `${text} ${this.verdict}`;
  }
}

/** The card of an existing picture. */
export class Tile extends Card {
  constructor(media) {
    super(new Date(media.createdAt).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "medium" }));
    const time = element("time", { dateTime: media.createdAt, textContent: this.title });
    this.root.append(
      element("div", { className: "frame" }, picture(media, `Picture of ${this.title}`)),
      element("h3", { tabIndex: -1 }, time),
      element("p", { className: "quiet", textContent: `${words.facts(media)} ${words.removed(media.removed)}` }),
      element("details", {}, element("summary", { textContent: `${media.variants.length} sizes` }), sizes(media.variants)),
      this.actions);
    if (media.originalUrl) this.actions.append(link(media.originalUrl, "Cleaned original"));
  }
}
