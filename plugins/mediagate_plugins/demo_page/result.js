// The card of a run: its stages, and what became of the picture.

import { Card, row, table } from "./card.js";
import { comparison } from "./compare.js";
import { button, element } from "./elements.js";
import { outputUrl, save } from "./pipelines.js";
import { keyGiven } from "./upload.js";
import * as words from "./words.js";

const SENDING_SHARE = 20;
const RUNNING = ["SENDING", "PENDING", "PROCESSING"];
const STAGE_STATES = { pending: "waiting", running: "running", skipped: "skipped", failed: "failed" };

const stageName = ({ op, name }, number) => (op ? `${number}. ${words.label(op)}` : words.label(name));
const stageState = ({ status, ms }) => STAGE_STATES[status] ?? (ms === null ? "done" : words.milliseconds(ms));

export class Result extends Card {
  /** `picture` is what the steps ran on: its title, and the URL of a preview. */
  constructor(picture) {
    super(picture.title);
    this.picture = picture;
    this.badge = element("p", { className: "badge" });
    this.said = element("p", { className: "said" });
    this.bar = element("progress", { max: 100, value: 0 });
    this.bar.setAttribute("aria-label", `Progress of ${picture.title}`);
    this.stages = element("ol", { className: "stages", ariaLabel: `Stages of ${picture.title}` });
    this.detail = element("div");
    this.root.append(element("h3", { textContent: picture.title, tabIndex: -1 }), this.badge, this.said, this.bar,
      this.detail, this.stages, this.actions, this.texts);
  }

  /** Show a state; `cancel` is for the button of a run that has not ended. */
  say(state, text, cancel) {
    const ran = RUNNING.includes(this.root.dataset.state);
    const runs = RUNNING.includes(state);
    if (!ran || !runs) for (const place of [this.actions, this.texts, this.detail]) place.replaceChildren();
    if (!runs) this.root.querySelector(":scope > .fault")?.remove();
    if (!ran && runs) this.action("Cancel", cancel);
    this.root.dataset.state = state;
    this.badge.textContent = words.BADGES[state] ?? state;
    this.said.textContent = text;
    this.bar.hidden = !runs;
    return `${this.badge.textContent}. ${text}`;
  }

  showStages(stages = []) {
    this.stages.replaceChildren(...stages.map((stage, number) => {
      const item = element("li", {}, element("span", { textContent: stageName(stage, number) }), ` ${stageState(stage)}`);
      item.dataset.status = stage.status;
      return item;
    }));
  }

  sending(part, cancel) {
    this.bar.value = part * SENDING_SHARE;
    return this.say("SENDING", `${Math.round(part * 100)} % sent.`, cancel);
  }

  working({ status, progress, stages }, cancel) {
    this.bar.value = SENDING_SHARE + progress * (1 - SENDING_SHARE / 100);
    this.showStages(stages);
    const running = stages?.findIndex((stage) => stage.status === "running") ?? -1;
    const doing = running < 0 ? "Running." : `Running: ${stageName(stages[running], running)}.`;
    return this.say(status, status === "PENDING" ? "Waiting in the queue." : doing, cancel);
  }

  complete(state) {
    const { outputs, warnings, data, stages, expiresAt, retention } = state;
    const files = outputs.length ? [words.counted(outputs.length, "file")] : [];
    const made = [...files, ...(Object.keys(data).length ? ["data"] : [])].join(" and ");
    const warned = warnings.length ? ` ${words.counted(warnings.length, "warning")}.` : "";
    const text = this.say("COMPLETE", `The result: ${made || "nothing"}.${warned}`);
    this.showStages(stages);
    if (outputs.length) this.showOutputs(state.jobId, outputs);
    if (warnings.length) {
      // The first stage judges the picture.
      const place = ({ step }) => `Step ${step + 1}, ${words.label(stages[step + 1]?.op ?? "")}: `;
      const lines = warnings.map((warning) => element("li", {},
        element("strong", { textContent: place(warning) }), words.sentence(warning.detail)));
      this.detail.append(element("ul", { className: "warnings", ariaLabel: "Warnings" }, ...lines));
    }
    for (const [op, found] of Object.entries(data)) {
      const title = `Data of ${words.label(op)}`;
      const json = JSON.stringify(found.map(({ value }) => value), null, 2);
      this.detail.append(element("details", {}, element("summary", { textContent: title }),
        element("pre", { textContent: json, tabIndex: 0, role: "region", ariaLabel: title })));
    }
    if (outputs.length) {
      this.detail.append(element("p", { className: "quiet", textContent: words.kept(expiresAt, retention) }));
    }
    return text;
  }

  showOutputs(jobId, outputs) {
    const frame = element("div", { className: "comparison" });
    const choices = element("div", { className: "actions", role: "group", ariaLabel: "Output to compare" });
    const show = (output) => {
      frame.replaceChildren(comparison(this.picture.url, output.url, output.width / output.height, output.filename));
      [...choices.children].forEach((one, at) => one.setAttribute("aria-pressed", String(outputs[at] === output)));
    };
    if (outputs.length > 1) choices.append(...outputs.map((output) => button(output.name, () => show(output))));
    show(outputs[0]);
    const rows = outputs.map((output) => row(this.download(jobId, output, output.filename),
      words.pixels(output), output.format, words.bytes(output.bytes)));
    const made = table(rows, ["Output", "Pixels", "Format", "Bytes"]);
    made.classList.add("outputs");
    this.detail.append(...(outputs.length > 1 ? [choices] : []), frame, made);
    const archive = { filename: `${jobId}.zip`, url: outputUrl(jobId) };
    this.actions.append(outputs.length > 1
      ? this.download(jobId, archive, "Download all (ZIP)", archive.url) : this.download(jobId, outputs[0], "Download"));
  }

  download(jobId, { filename }, textContent, url = outputUrl(jobId, filename)) {
    const made = element("a", { href: url, download: filename, textContent });
    made.addEventListener("click", async (event) => {
      if (!keyGiven()) return;
      event.preventDefault();
      await save(url, filename).catch((error) => this.fault(words.sentence(error.message)));
    });
    return made;
  }

  rejected({ reason, stages, moderationDetails: { flags, confidence } }) {
    const text = this.say("REJECTED", words.sentence(reason));
    this.showStages(stages);
    if (flags.length) {
      this.detail.append(element("p", { textContent: `Found with ${Math.round(confidence * 100)} % confidence:` }),
        element("ul", { className: "labels" }, ...flags.map((textContent) => element("li", { textContent }))));
    }
    const nothing = "The picture or a result of the steps is not allowed. Nothing that was made of it is kept.";
    this.detail.append(element("p", { className: "quiet", textContent: nothing }));
    return `${text} ${flags.join(", ")}`;
  }

  failed({ error, code, stages }) {
    const text = this.say("FAILED", words.failure(error));
    this.showStages(stages);
    this.detail.append(element("p", { className: "quiet", textContent: `Code ${code}.` }));
    return text;
  }

  stopped({ state = "FAILED", message }) {
    this.showStages();
    return this.say(state, words.sentence(message));
  }
}
