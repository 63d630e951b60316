// What one picture looks like on the page. Text goes in through textContent only.

import { paint } from "./blurhash.js";

const STAGES = {
  queued: "waiting for its turn",
  moderate: "being checked and resized",
  publish: "being published",
  record: "being recorded",
};
const REMOVED = {
  gps: "its location",
  serial: "camera serial numbers",
  thumbnail: "the embedded thumbnail",
  exif: "camera data",
  xmp: "XMP data",
  iptc: "IPTC data",
  comment: "comments",
  text: "text notes",
};

const element = (name, properties = {}, ...children) => {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
};

export const bytes = (count) => {
  if (count < 1024) return `${count} B`;
  return count < 1024 ** 2 ? `${(count / 1024).toFixed(1)} KB` : `${(count / 1024 ** 2).toFixed(1)} MB`;
};

const sentence = (parts) => {
  const words = parts.map((part) => REMOVED[part] ?? part);
  if (!words.length) return "It carried no hidden data.";
  const last = words.pop();
  return `Left out of every file: ${words.length ? `${words.join(", ")} and ` : ""}${last}.`;
};

export class Card {
  constructor(title) {
    this.picture = element("div", { className: "picture" });
    this.state = element("p", { className: "state" });
    this.detail = element("div");
    this.bar = element("progress", { max: 100, value: 0, hidden: true });
    this.bar.setAttribute("aria-label", `Progress of ${title}`);
    this.actions = element("div", { className: "actions" });
    const text = element("div", {}, element("h3", { textContent: title }), this.state, this.bar, this.detail, this.actions);
    this.root = element("li", { className: "card" }, this.picture, text);
  }

  say(state, text, progress) {
    this.state.dataset.state = state;
    this.state.textContent = text;
    this.bar.hidden = progress === undefined;
    if (progress !== undefined) this.bar.value = progress;
    this.detail.replaceChildren();
    this.actions.replaceChildren();
    return text;
  }

  sending(part) {
    return this.say("SENDING", `Sending… ${Math.round(part * 100)} %`, part * 100);
  }

  working({ status, stage, progress }) {
    return this.say(status, `${status}: ${STAGES[stage] ?? stage}`, progress);
  }

  rejected({ reason, moderationDetails }) {
    const text = this.say("REJECTED", `REJECTED: ${reason}`);
    const { flags, confidence } = moderationDetails;
    if (flags.length) {
      const found = `Found: ${flags.join(", ")} (confidence ${Math.round(confidence * 100)} %).`;
      this.detail.append(element("p", { className: "quiet", textContent: `${found} Nothing of it was published.` }));
    }
    return text;
  }

  failed({ error, code, attempts }) {
    const text = this.say("FAILED", `FAILED: ${error}`);
    const tried = attempts === 1 ? "one attempt" : `${attempts} attempts`;
    this.detail.append(element("p", { className: "quiet", textContent: `After ${tried}; code ${code}.` }));
    return text;
  }

  refused(error) {
    return this.say("ERROR", `${error.message[0].toUpperCase()}${error.message.slice(1)}${error.message.endsWith(".") ? "" : "."}`);
  }

  action(label, run) {
    const button = element("button", { type: "button", textContent: label });
    button.addEventListener("click", () => run(button));
    this.actions.append(button);
    return button;
  }

  complete(media) {
    const text = this.say("COMPLETE", "COMPLETE");
    this.show(media);
    const rows = media.variants.map((variant) => element("tr", {},
      element("td", {}, element("a", { href: variant.url, textContent: variant.name, target: "_blank", rel: "noopener" })),
      element("td", { textContent: `${variant.width} × ${variant.height}` }),
      element("td", { textContent: variant.format }),
      element("td", { textContent: bytes(variant.bytes) })));
    const head = element("tr", {}, ...["Size", "Pixels", "Format", "Bytes"].map((textContent) =>
      element("th", { textContent, scope: "col" })));
    const facts = `${media.width} × ${media.height}, ${media.aspectRatio}, ${bytes(media.bytes)} as ${media.format}.`;
    this.detail.append(
      element("p", { className: "quiet", textContent: `${facts} ${sentence(media.removed)}` }),
      element("table", {}, element("thead", {}, head), element("tbody", {}, ...rows)),
    );
    if (media.originalUrl) {
      const link = element("a", { href: media.originalUrl, textContent: "Cleaned original", target: "_blank", rel: "noopener" });
      this.detail.append(element("p", {}, link));
    }
    return text;
  }

  /** Paint the placeholder at the right shape at once, and fade the picture in when it has come. */
  show(media) {
    const canvas = element("canvas");
    canvas.setAttribute("aria-hidden", "true");
    paint(canvas, media.blurhash);
    const wanted = media.variants.find((variant) => variant.width >= 400) ?? media.variants.at(-1);
    this.picture.style.aspectRatio = `${wanted.width} / ${wanted.height}`;
    const image = element("img", { alt: `Picture ${media.id}`, width: wanted.width, height: wanted.height });
    image.addEventListener("load", () => image.classList.add("loaded"));
    image.src = wanted.url;
    this.picture.replaceChildren(canvas, image);
  }
}
