// The picture that the steps run on: a file, or one that has been published.

import { announce } from "./announcer.js";
import { element } from "./elements.js";
import { bytes, facts, pixels } from "./words.js";

const MOST = 8;
const THUMB_WIDTH = 120;

/** The URL of the file that the gate takes as input: the original if it is kept, otherwise the largest size. */
const largest = ({ originalUrl, variants }) =>
  originalUrl ?? variants.reduce((most, one) => (one.width > most.width ? one : most)).url;

const thumb = ({ variants }) => variants.find(({ width }) => width >= THUMB_WIDTH) ?? variants.at(-1);

export class PictureChoice {
  /** `places` are the elements of the page; `onChange` is called when another picture is chosen. */
  constructor({ chosen, published, input }, onChange) {
    [this.chosen, this.published, this.input, this.onChange] = [chosen, published, input, onChange];
    this.value = null;
    this.offered = new Map();
    input.addEventListener("change", () => { this.take([...input.files]); input.value = ""; });
  }

  /** Choose the first of the files that were given. */
  take([file]) {
    if (!file) return;
    const title = file.name || "Pasted picture";
    this.choose({ file, title, url: URL.createObjectURL(file) }, bytes(file.size));
  }

  choose(value, text) {
    this.value = value;
    const image = element("img", { src: value.url, alt: "" });
    image.addEventListener("error", () => image.remove());
    this.chosen.replaceChildren(image, element("p", {}, element("strong", { textContent: value.title }), ` ${text}`));
    this.chosen.hidden = false;
    for (const [id, one] of this.offered) one.setAttribute("aria-pressed", String(id === value.media?.id));
    announce(value.title, "chosen.");
    this.onChange();
  }

  /** Offer a picture that the gate has published. */
  offer(media, title) {
    if (this.offered.has(media.id)) return;
    const image = element("img", { src: thumb(media).url, alt: `${title}, ${pixels(media)}`, loading: "lazy" });
    const one = element("button", { type: "button" }, image);
    one.setAttribute("aria-pressed", "false");
    one.addEventListener("click", () => this.choose({ media, title, url: largest(media) }, facts(media)));
    this.offered.set(media.id, one);
    this.show();
  }

  /** A deleted picture can be chosen no longer. */
  withdraw(id) {
    this.offered.delete(id);
    if (this.value?.media?.id === id) {
      this.value = null;
      this.chosen.hidden = true;
      this.onChange();
    }
    this.show();
  }

  show() {
    const newest = [...this.offered.values()].slice(-MOST).reverse();
    const title = element("p", { className: "quiet", textContent: "Or choose one of your uploads:" });
    this.published.replaceChildren(title, ...newest);
    this.published.hidden = !newest.length;
  }
}
