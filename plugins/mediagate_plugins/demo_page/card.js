// What one picture looks like on the page. Text goes in through textContent only.

import { paint } from "./blurhash.js";
import * as words from "./words.js";

const PREVIEW_WIDTH = 400;
const SENDING_SHARE = 30;

const element = (name, properties = {}, ...children) => {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
};
const link = (href, textContent) => element("a", { href, textContent, target: "_blank", rel: "noopener" });

/** Paint the placeholder at the picture's shape at once, and fade the picture in when it has come. */
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

function table(rows) {
  const head = ["Size", "Pixels", "Format", "Bytes"].map((textContent) => element("th", { textContent, scope: "col" }));
  return element("table", {}, element("thead", {}, element("tr", {}, ...head)), element("tbody", {}, ...rows));
}

const row = (first, ...cells) => element("tr", {}, element("th", { scope: "row" }, first),
  ...cells.map((textContent) => element("td", { textContent })));

const sizes = (variants) => table(variants.map((variant) => row(link(variant.url, variant.name),
  words.pixels(variant), variant.format, words.bytes(variant.bytes))));

/** The same table before there is anything in it: the card has its height from the start. */
function sizesToCome(names) {
  const made = table(names.map((name) => row(name, "–", "–", "–")));
  made.classList.add("empty");
  made.setAttribute("aria-hidden", "true");
  return made;
}

class Card {
  constructor(title) {
    this.title = title;
    this.actions = element("div", { className: "actions" });
    this.root = element("li", { className: "card" });
  }

  action(label, run) {
    const button = element("button", { type: "button", textContent: label });
    button.addEventListener("click", () => run(button));
    this.actions.append(button);
    return button;
  }

  fault(textContent) {
    this.root.querySelector(".fault")?.remove();
    this.actions.before(element("p", { className: "fault", textContent }));
  }
}

/** A picture on its way, and what became of it. */
export class Upload extends Card {
  constructor(title, sizeNames) {
    super(title);
    this.sizeNames = sizeNames;
    this.frame = element("div", { className: "frame" });
    this.badge = element("p", { className: "badge" });
    this.said = element("p", { className: "said" });
    this.bar = element("progress", { max: 100, value: 0 });
    this.bar.setAttribute("aria-label", `Progress of ${title}`);
    this.detail = element("div");
    this.root.append(this.frame, element("div", {},
      element("h3", { textContent: title }), this.badge, this.said, this.bar, this.detail, this.actions));
  }

  say(state, text) {
    const over = !["SENDING", "PENDING", "PROCESSING"].includes(state);
    const came = this.root.dataset.state !== state;
    this.root.dataset.state = state;
    this.badge.textContent = words.BADGES[state] ?? state;
    this.said.textContent = text;
    this.bar.classList.toggle("over", over);
    if (over) this.detail.replaceChildren();
    else if (came) this.detail.replaceChildren(element("p", { className: "quiet", textContent: "\u00a0" }), sizesToCome(this.sizeNames));
    if (came) this.actions.replaceChildren();
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

  rejected({ reason, moderationDetails: { flags, confidence } }) {
    const text = this.say("REJECTED", words.sentence(reason));
    this.frame.dataset.mark = "×";
    if (flags.length) {
      const found = `Found with ${Math.round(confidence * 100)} % confidence:`;
      this.detail.append(element("p", { textContent: found }),
        element("ul", { className: "labels" }, ...flags.map((textContent) => element("li", { textContent }))));
    }
    this.detail.append(element("p", { className: "quiet", textContent: "Nothing of this picture was published." }));
    return `${text} ${flags.join(", ")}`;
  }

  failed({ error, code, attempts }) {
    const text = this.say("FAILED", words.sentence(error));
    this.frame.dataset.mark = "!";
    const tried = attempts === 1 ? "one attempt" : `${attempts} attempts`;
    this.detail.append(element("p", { className: "quiet", textContent: `After ${tried}; code ${code}.` }));
    return text;
  }

  stopped({ state = "FAILED", message }) {
    const text = this.say(state, words.sentence(message));
    this.frame.dataset.mark = "!";
    return text;
  }

  complete(media) {
    const text = this.say("COMPLETE", words.facts(media));
    this.frame.replaceChildren(picture(media, this.title));
    this.detail.append(element("p", { className: "quiet", textContent: words.removed(media.removed) }), sizes(media.variants));
    if (media.originalUrl) this.actions.append(link(media.originalUrl, "Cleaned original"));
    return text;
  }
}

/** A picture that was there before. */
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
