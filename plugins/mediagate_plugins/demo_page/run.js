// One run of a request: sent, followed to the end of its job, cancelled, or taken up again after a lost connection.

import { announce } from "./announcer.js";
import { copying, downloadLine, jobJson, statusLine } from "./copy.js";
import { cancel, order } from "./pipelines.js";
import { Result } from "./result.js";
import { newKey, polled, Refused } from "./upload.js";
import { failure, sentence } from "./words.js";

const CANCELLED = { state: "CANCELLED", message: "The run was cancelled" };

export class Run {
  /** `page` tells the limits of the source, whether the gate needs a key, and where to show faults of `steps`. */
  constructor(asked, steps, page) {
    [this.asked, this.steps, this.page] = [asked, steps, page];
    this.card = new Result(asked.picture);
    this.key = newKey();
    this.job = null;
  }

  async follow() {
    const { card } = this;
    this.aborted = new AbortController();
    let announced = "";
    const tell = (state, text) => {
      if (state !== announced) announce(card.title, text);
      announced = state;
    };
    try {
      if (!this.job) await this.send(tell);
      for await (const state of polled(this.job)) {
        if (state.status !== "PENDING" && state.status !== "PROCESSING") this.keepFocus(() => this.end(state));
        else this.keepFocus(() => tell(state.status, card.working(state, () => this.cancel())));
      }
    } catch (error) {
      this.keepFocus(() => this.stop(error));
    }
  }

  async send(tell) {
    const { asked, card, page: { source } } = this;
    if (asked.picture.file?.size > source.maxBytes) throw new Refused({ detail: source.tooLarge }, 413);
    const onProgress = (part) => card.sending(part, () => this.cancel());
    this.keepFocus(() => tell("SENDING", onProgress(0)));
    this.job = await order(asked, { key: this.key, onProgress, signal: this.aborted.signal });
  }

  stop(error) {
    if (error.errors?.length) {
      this.page.withdraw(this);
      this.page.blame(error, this.steps);
      return;
    }
    announce(this.card.title, this.card.stopped(error));
    // With the same key: if the first attempt did arrive, the response is its job and nothing is duplicated.
    if (error.retryable || error.lacksKey) this.card.action("Retry", () => this.follow());
    if (error.lacksKey) this.page.askForKey();
  }

  async cancel() {
    const { card } = this;
    try {
      if (this.job) await cancel(this.job.jobId);
      else this.aborted.abort(CANCELLED);
    } catch (error) {
      card.fault(sentence(error.message));
      announce(card.title, error.message);
    }
  }

  end(state) {
    const { card, steps, page: { needsKey } } = this;
    if (state.status === "COMPLETE") announce(card.title, card.complete(state));
    else if (state.status === "REJECTED") announce(card.title, card.rejected(state));
    else if (state.status === "FAILED") {
      announce(card.title, card.failed(state));
      // The first stage judges the picture.
      const failed = state.stages.findIndex(({ op, status }) => op && status === "failed") - 1;
      steps[failed]?.fault(failure(state.error));
    } else announce(card.title, card.stopped(CANCELLED));
    const texts = { JSON: jobJson(state), "curl: status": statusLine(state.jobId, needsKey()) };
    if (state.outputs.length) texts["curl: download"] = downloadLine(state.jobId, needsKey());
    for (const [name, text] of Object.entries(texts)) {
      card.copies(name, copying(card.title, name, () => text));
    }
  }

  /** Change the card; if that removes the button that has the focus, move it to the next one, or to the title. */
  keepFocus(change) {
    const { root } = this.card;
    const held = root.contains(document.activeElement);
    change();
    if (!held || document.activeElement !== document.body) return;
    (root.querySelector(".actions :is(button, a)") ?? root.querySelector("h3")).focus();
  }
}
