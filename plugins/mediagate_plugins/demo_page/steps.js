// The list of steps: each has controls for its parameters, and can be moved and removed.

import { announce } from "./announcer.js";
import { Control } from "./controls.js";
import { button, element } from "./elements.js";
import { fieldsOf } from "./schema.js";
import { label, sentence } from "./words.js";

const SHOWN = 4;
const ORIGINAL = "original";
const START = {
  name: "from", label: "Starts from", kind: "choice", options: [], initial: undefined,
  hint: "the picture that the step before left, or another one",
};
const ON_ERROR = {
  name: "onError", label: "If it fails", kind: "choice", options: ["fail", "skip"], initial: "fail",
  hint: "fail: the job ends; skip: the picture stays as it was, with a warning",
};

class Step {
  constructor(operation, values, list) {
    this.operation = operation;
    this.title = label(operation.op);
    const fields = fieldsOf(operation.schema, operation.inputs, operation.optionsNeed);
    const controls = fields.map((field) => new Control(field));
    const common = [START, ON_ERROR].map((field) => new Control({ ...field }));
    const [shown, hidden] = [controls.slice(0, SHOWN), [...controls.slice(SHOWN), ...common]];
    this.start = common[0];
    this.controls = [...controls, ...common];
    this.heading = element("h3", { tabIndex: -1 });
    const group = (list) => element("div", { className: "controls" }, ...list.map(({ root }) => root));
    this.more = element("details", {}, element("summary", { textContent: "More options" }), group(hidden));
    this.buttons = [
      button("Up", () => list.move(this, -1)),
      button("Down", () => list.move(this, 1)),
      button("Remove", () => list.remove(this)),
    ];
    this.grip = element("span", { className: "grip", title: "Drag to another place" });
    this.grip.setAttribute("aria-hidden", "true");
    this.said = element("p", { className: "fault", hidden: true });
    this.root = element("li", { className: "card step" },
      element("div", { className: "head" }, this.grip, this.heading,
        element("div", { className: "actions" }, ...this.buttons)),
      element("p", { className: "quiet", textContent: operation.description }), this.said,
      group(shown), this.more);
    this.root.addEventListener("input", () => this.fault(""));
    this.write(values);
  }

  write(values) {
    for (const control of this.controls) {
      const value = values[control.field.name];
      if (value === undefined || value === null || control.field.kind === "picture") continue;
      if (control === this.start) this.renameResults([value]);
      control.write(value);
      if (this.more.contains(control.root) && control.value !== undefined) this.more.open = true;
    }
  }

  /** The step for a request; pictures are added to `files` under names of their own. */
  value(number, files) {
    const step = { op: this.operation.op };
    for (const { field, value } of this.controls) {
      if (value === undefined) continue;
      if (field.kind === "picture") files.set(`picture${number + 1}`, value);
      step[field.name] = field.kind === "picture" ? `picture${number + 1}` : value;
    }
    return step;
  }

  /** The name under which it saves a picture, if it does. */
  get result() {
    if (this.operation.op !== "save") return undefined;
    const named = this.controls.find(({ field }) => field.name === "as");
    return named?.value ?? named?.field.initial;
  }

  /** Offer the names of earlier results as the picture to start from. */
  renameResults(names) {
    const { input, value } = this.start;
    const options = [...new Set([ORIGINAL, ...names, ...(value === undefined ? [] : [value])])];
    this.start.field.options = options;
    input.replaceChildren(new Option("the step before", ""), ...options.map((name) => new Option(name, name)));
    input.value = value ?? "";
  }

  renumber(number, count) {
    this.heading.textContent = `${number + 1}. ${this.title}`;
    const [up, down] = this.buttons;
    for (const each of this.buttons) {
      each.setAttribute("aria-label", `${each.textContent}: step ${number + 1}, ${this.title}`);
    }
    up.disabled = number === 0;
    down.disabled = number === count - 1;
  }

  focus() {
    (this.controls[0].field.name === START.name ? this.heading : this.controls[0].input).focus();
  }

  fault(text) {
    this.said.textContent = text;
    this.said.hidden = !text;
  }

  clear() {
    this.fault("");
    for (const control of this.controls) control.fault("");
  }

  /** Show a fault at a parameter, or at the step; returns the element to focus. */
  blame(name, text) {
    const control = this.controls.find(({ field }) => field.name === name);
    if (!control) {
      this.fault(sentence(name ? `${name}: ${text}` : text));
      return this.heading;
    }
    control.fault(text);
    if (this.more.contains(control.root)) this.more.open = true;
    return control.input;
  }
}

export class StepList {
  /** `root` is the list; `onChange` is called after every change of the steps or their parameters. */
  constructor(root, onChange) {
    this.root = root;
    this.onChange = onChange;
    this.operations = new Map();
    this.items = [];
    root.addEventListener("input", () => this.changed());
    root.addEventListener("pointerdown", (event) => this.drag(event));
  }

  changed() {
    const results = [];
    this.items.forEach((step, number) => {
      step.renumber(number, this.items.length);
      step.renameResults(results);
      if (step.result) results.push(step.result);
    });
    this.onChange();
  }

  add(operation, values = {}) {
    const step = new Step(operation, values, this);
    this.items.push(step);
    this.root.append(step.root);
    this.changed();
    return step;
  }

  replace(steps) {
    this.items = [];
    this.root.replaceChildren();
    for (const { op, ...values } of steps) this.add(this.operations.get(op), values);
    this.changed();
  }

  remove(step) {
    const number = this.items.indexOf(step);
    this.items.splice(number, 1);
    step.root.remove();
    this.changed();
    announce(`Step ${number + 1}, ${step.title}`, "removed.");
    const next = this.items[Math.min(number, this.items.length - 1)];
    (next?.heading ?? document.getElementById("steps-title")).focus();
  }

  move(step, by) {
    const [from, focused] = [this.items.indexOf(step), document.activeElement];
    this.place(step, from + by);
    const [up, down] = step.buttons;
    if (focused.disabled) (focused === up ? down : up).focus();
    announce(step.title, `step ${from + by + 1} of ${this.items.length}.`);
  }

  place(step, to) {
    const from = this.items.indexOf(step);
    this.items.splice(from, 1);
    this.items.splice(to, 0, step);
    // The others are moved: a node that is moved loses the focus and the pointer.
    if (to > from) step.root.before(...this.items.slice(from, to).map(({ root }) => root));
    else step.root.after(...this.items.slice(to + 1, from + 1).map(({ root }) => root));
    this.changed();
  }

  /** Follow a pointer that holds a step's grip; the step changes place when it is past the middle of another. */
  drag(event) {
    const step = this.items.find(({ grip }) => grip === event.target);
    if (!step || event.button !== 0) return;
    event.preventDefault();
    step.root.classList.add("dragged");
    const began = this.items.indexOf(step);
    const move = ({ clientY }) => {
      const middle = ({ root }) => root.getBoundingClientRect().top + root.offsetHeight / 2;
      const others = this.items.filter((other) => other !== step);
      const to = others.filter((other) => middle(other) < clientY).length;
      if (to !== this.items.indexOf(step)) this.place(step, to);
    };
    const end = () => {
      document.removeEventListener("pointermove", move);
      for (const name of ["pointerup", "pointercancel"]) document.removeEventListener(name, end);
      step.root.classList.remove("dragged");
      const now = this.items.indexOf(step);
      if (now !== began) announce(step.title, `step ${now + 1} of ${this.items.length}.`);
    };
    document.addEventListener("pointermove", move);
    for (const name of ["pointerup", "pointercancel"]) document.addEventListener(name, end);
  }

  /** The steps for a request, and the pictures that they name. */
  value() {
    const files = new Map();
    return { steps: this.items.map((step, number) => step.value(number, files)), files };
  }

  get controls() {
    return this.items.flatMap(({ controls }) => controls);
  }

  clear() {
    for (const step of this.items) step.clear();
  }
}
