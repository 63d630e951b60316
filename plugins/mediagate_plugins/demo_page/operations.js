// The tab of operations: a picture, and steps or a preset to run on it.

import { announce } from "./announcer.js";
import { Control } from "./controls.js";
import { copying, pipelineLine } from "./copy.js";
import { copyButton } from "./elements.js";
import { fillPalette } from "./palette.js";
import { PictureChoice } from "./picture.js";
import { catalogue, order, requestJson } from "./pipelines.js";
import { Run } from "./run.js";
import { fieldsOf } from "./schema.js";
import { StepList } from "./steps.js";
import { accepted, counted, hours, label, milliseconds, sentence } from "./words.js";

const OWN = "";

const find = (id) => document.getElementById(id);
const [preset, params, fault, results] = ["preset", "preset-params", "pipeline-fault", "results"].map(find);

const unescaped = (part) => part.replaceAll("~1", "/").replaceAll("~0", "~");

export class Operations {
  /** `sources` are those of the page; `askForKey` is called when the gate asks for a key, `needsKey` tells whether it has. */
  constructor(sources, askForKey, needsKey) {
    [this.sources, this.askForKey, this.needsKey] = [sources, askForKey, needsKey];
    this.known = null;
    this.controls = [];
    this.zone = find("picture-drop");
    const changed = () => this.changed();
    this.steps = new StepList(find("steps"), changed);
    const places = { chosen: find("chosen"), published: find("published"), input: find("picture") };
    this.picture = new PictureChoice(places, changed);
    find("pipeline").addEventListener("submit", (event) => {
      event.preventDefault();
      this.run();
    });
    find("check").addEventListener("click", () => this.check());
    find("load").addEventListener("click", () => this.load());
    find("as-steps").addEventListener("click", () => this.editPreset());
    preset.addEventListener("change", () => this.choosePreset());
    params.addEventListener("input", changed);
    this.copies("JSON", () => requestJson(this.asked(), 2));
    this.copies("curl", () => pipelineLine(this.asked(), needsKey()));
  }

  copies(name, text) {
    const made = copyButton(name, copying("Request", name, text), find("request-copies"));
    made.setAttribute("aria-label", `Copy ${name} of the request`);
  }

  take(files) {
    this.picture.take(files);
  }

  /** Ask what this gate offers, unless that is known. */
  async load() {
    if (this.known) return;
    try {
      this.known = await catalogue();
    } catch (error) {
      this.say(`The operations cannot be loaded. ${sentence(error.message)}`);
      if (error.lacksKey) this.askForKey();
      find("load").hidden = false;
      return;
    }
    find("load").hidden = true;
    this.say("");
    this.show();
  }

  get source() {
    return this.sources[this.known.sourceType];
  }

  show() {
    const { adHoc, limits, operations, presets } = this.known;
    this.steps.operations = new Map(operations.map((operation) => [operation.op, operation]));
    find("picture-limits").textContent = accepted(this.source);
    find("picture").accept = this.source.accept;
    find("run-limits").textContent =
      `Up to ${limits.steps} steps. Files are private, and are deleted after ${hours(limits.ttlHours)}.`;
    preset.replaceChildren(...(adHoc ? [new Option("none: your own steps", OWN)] : []),
      ...presets.map(({ name }) => new Option(name, name)));
    find("as-steps").hidden = !adHoc;
    fillPalette(find("palette"), operations, (operation) => this.add(operation));
    this.choosePreset();
    find("builder").hidden = find("go").hidden = !preset.options.length;
    if (!preset.options.length) this.say("This service has no presets, and takes no steps from you.", "quiet");
  }

  add(operation) {
    const step = this.steps.add(operation);
    announce(`Step ${this.steps.items.length}, ${step.title}`, "added.");
    step.focus();
  }

  choosePreset() {
    const chosen = this.known.presets.find(({ name }) => name === preset.value);
    find("own-steps").hidden = Boolean(chosen);
    find("preset-place").hidden = !chosen;
    this.controls = chosen ? fieldsOf(chosen.params).map((field) => new Control(field)) : [];
    params.replaceChildren(...this.controls.map(({ root }) => root));
    this.changed();
  }

  /** Put the steps of the preset, with the values of its parameters, into the list. */
  async editPreset() {
    if (!this.readable()) return;
    try {
      const { steps } = await order({ ...this.asked(), picture: null }, { dryRun: true });
      preset.value = OWN;
      this.choosePreset();
      this.steps.replace(steps);
      announce("Preset", `${counted(steps.length, "step")} to edit.`);
      this.steps.items[0].heading.focus();
    } catch (error) {
      this.blame(error);
    }
  }

  /** The request as it is on the page. */
  asked() {
    const picture = this.picture.value;
    if (preset.value === OWN) {
      const { steps, files } = this.steps.value();
      return { request: { steps }, picture, files };
    }
    const given = this.controls.filter(({ value }) => value !== undefined).map(({ field, value }) => [field.name, value]);
    const request = { preset: preset.value, ...(given.length ? { params: Object.fromEntries(given) } : {}) };
    return { request, picture, files: new Map() };
  }

  changed() {
    find("no-steps").hidden = this.steps.items.length > 0;
    find("request-json").textContent = requestJson(this.asked(), 2);
  }

  say(text, className = "fault") {
    Object.assign(fault, { className, textContent: text, hidden: !text });
  }

  /** Whether everything on the page is a value; otherwise the first that is not has the focus. */
  readable() {
    this.say("");
    this.steps.clear();
    const controls = preset.value === OWN ? this.steps.controls : this.controls;
    for (const control of controls) control.fault(control.broken());
    const first = controls.find((control) => control.broken());
    first?.input.focus();
    return !first;
  }

  /** Show each fault of a refused request where it is, and move to the first of them. */
  blame(error, steps = this.steps.items) {
    if (error.lacksKey) this.askForKey();
    const faults = error.errors.map((one) => this.place(one, steps));
    const elsewhere = faults.filter(({ input }) => !input).map(({ text }) => text);
    const inPlace = `${counted(faults.length, "fault")} in the request; each is shown in its place.`;
    this.say(faults.length ? elsewhere.join(" ") || inPlace : sentence(error.message));
    announce("Not accepted", faults.map(({ text }) => text).join(" ") || sentence(error.message));
    faults.find(({ input }) => input)?.input.focus();
  }

  /** Show one fault where its JSON Pointer says; returns its text, and the element to focus unless it is elsewhere. */
  place({ pointer, detail }, steps) {
    const [area, key, name] = pointer.split("/").slice(1).map(unescaped);
    const step = area === "steps" ? steps[key] : undefined;
    if (step) {
      const where = `Step ${this.steps.items.indexOf(step) + 1}${name ? `, ${label(name)}` : ""}`;
      return { text: `${where}: ${sentence(detail)}`, input: step.blame(name, detail) };
    }
    const control = area === "params" ? this.controls.find(({ field }) => field.name === key) : undefined;
    control?.fault(detail);
    return { text: control ? `${control.field.label}: ${sentence(detail)}` : sentence(detail), input: control?.input };
  }

  /** Ask the gate whether it would accept the request, and what it would cost. */
  async check() {
    if (!this.readable()) return;
    try {
      const { costs: [cost], outputs } = await order(this.asked(), { dryRun: true });
      const made = outputs.length ? `makes ${outputs.join(", ")}` : "makes data only";
      const text = `Valid: ${made}, in about ${milliseconds(cost.cpuMs)} for ${cost.width} × ${cost.height} pixels.`;
      this.say(text, "quiet");
      announce("Check", text);
    } catch (error) {
      this.blame(error);
    }
  }

  run() {
    if (!this.readable()) return;
    const asked = this.asked();
    if (!asked.picture) {
      this.say("Choose a picture first.");
      announce("Not accepted", "Choose a picture first.");
      find("picture").focus();
      return;
    }
    const run = new Run(asked, [...this.steps.items], this);
    results.prepend(run.card.root);
    find("results-title").hidden = false;
    run.follow();
    run.card.root.scrollIntoView({ block: "nearest" });
  }

  /** A request that is not accepted has no result: its faults are shown in their places. */
  withdraw(run) {
    run.card.root.remove();
    find("results-title").hidden = !results.children.length;
  }
}
