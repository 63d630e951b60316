// The control of one parameter: a label, an input that fits the type, a hint, and a fault.

import { element } from "./elements.js";

let made = 0;

const HEX = /^#[0-9a-f]{6}/i;

const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);

/** What a control shows for a value, and which value it has: `read` returns undefined if none is set. */
const KINDS = {
  choice(field, id) {
    const unset = field.required || field.initial !== undefined ? [] : [new Option("not set", "")];
    const input = element("select", { id }, ...unset, ...field.options.map((option) => new Option(option, option)));
    const read = () => field.options.find((option) => String(option) === input.value);
    return { input, read, write: (value) => { input.value = value ?? input.options[0]?.value ?? ""; } };
  },

  switch(field, id) {
    const input = element("input", { id, type: "checkbox" });
    return { input, read: () => input.checked, write: (value) => { input.checked = value === true; } };
  },

  number(field, id) {
    const limits = { min: field.low ?? "", max: field.high ?? "" };
    const input = element("input", { id, type: "number", step: field.whole ? "1" : "any", ...limits });
    const parts = field.unit ? [input, element("span", { className: "unit", textContent: field.unit })] : [input];
    const write = (value) => { input.value = value ?? ""; };
    // Sent as it is, whole or not, within the range or not: the gate says what is wrong with it.
    const read = () => (input.value === "" ? undefined : input.valueAsNumber);
    const broken = () => (input.validity.badInput ? "not a number" : "");
    if (!field.slides) return { input, parts, read, write, broken };
    const ariaLabel = `${field.label}, slider`;
    const slider = element("input", { type: "range", ...limits, step: field.notch, ariaLabel });
    const follow = () => { slider.value = input.value === "" ? field.initial : input.value; };
    input.addEventListener("input", follow);
    slider.addEventListener("input", () => { input.value = slider.value; });
    return { input, parts: [slider, ...parts], read, write: (value) => { write(value); follow(); }, broken };
  },

  colour(field, id) {
    const input = element("input", { id, type: "text", spellcheck: false, autocomplete: "off" });
    const swatch = element("input", { type: "color", ariaLabel: `${field.label}, colour picker` });
    const follow = () => { swatch.value = (HEX.exec(input.value)?.[0] ?? "#000000").toLowerCase(); };
    input.addEventListener("input", follow);
    swatch.addEventListener("input", () => { input.value = swatch.value; });
    const write = (value) => {
      input.value = value ?? "";
      follow();
    };
    return { input, parts: [swatch, input], read: () => input.value.trim() || undefined, write };
  },

  text(field, id) {
    const input = element("input", { id, type: "text", autocomplete: "off" });
    if (field.longest) input.maxLength = field.longest;
    return { input, read: () => input.value || undefined, write: (value) => { input.value = value ?? ""; } };
  },

  /** A text of many lines, such as the content of a file. */
  long(field, id) {
    const input = element("textarea", { id, rows: 3, spellcheck: false });
    const file = element("input", { type: "file", ariaLabel: `${field.label}, from a file` });
    file.addEventListener("change", async () => {
      if (!file.files.length) return;
      input.value = await file.files[0].text();
      input.dispatchEvent(new Event("input", { bubbles: true }));
    });
    const write = (value) => { input.value = value ?? ""; };
    return { input, parts: [input, file], read: () => input.value || undefined, write };
  },

  json(field, id) {
    const input = element("textarea", { id, rows: 3, spellcheck: false });
    const parsed = () => {
      try {
        return { value: input.value.trim() === "" ? undefined : JSON.parse(input.value) };
      } catch {
        return { broken: "not valid JSON" };
      }
    };
    const write = (value) => { input.value = value === undefined ? "" : JSON.stringify(value); };
    return { input, read: () => parsed().value, write, broken: () => parsed().broken ?? "" };
  },

  /** A file that goes with the request under a name of its own. */
  picture(field, id) {
    const input = element("input", { id, type: "file", accept: "image/*" });
    return { input, read: () => input.files[0], write: () => { input.value = ""; } };
  },
};

export class Control {
  constructor(field) {
    const id = `control-${made += 1}`;
    const { input, parts = [input], read, write, broken = () => "" } = KINDS[field.kind](field, id);
    this.field = field;
    this.input = input;
    this.read = read;
    this.broken = broken;
    this.hint = element("p", { id: `${id}-hint`, className: "quiet", textContent: field.hint });
    this.said = element("p", { id: `${id}-fault`, className: "fault", hidden: true });
    this.root = element("div", { className: `control of-${field.kind}` },
      element("label", { htmlFor: id, textContent: field.required ? `${field.label} (required)` : field.label }),
      element("div", { className: "parts" }, ...parts), this.hint, this.said);
    if (field.missing) {
      for (const part of this.root.querySelectorAll("input, select, textarea")) part.disabled = true;
      this.hint.append(" Not installed: ", element("code", { textContent: field.missing }));
    }
    this.hint.hidden = !this.hint.textContent;
    input.required = field.required;
    input.setAttribute("aria-describedby", `${id}-hint ${id}-fault`);
    this.write = write;
    write(field.initial);
    this.root.addEventListener("input", () => this.fault(""));
  }

  /** The value, or undefined if it is not set or is what it would be anyway. */
  get value() {
    const value = this.read();
    return this.field.required || !same(value, this.field.initial) ? value : undefined;
  }

  fault(text) {
    this.said.textContent = text;
    this.said.hidden = !text;
    if (text) this.input.setAttribute("aria-invalid", "true");
    else this.input.removeAttribute("aria-invalid");
  }
}
