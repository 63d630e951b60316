'use strict';
// Write access to the SQLite file: one query or transaction of this process at a time, and fair to other processes.

const { setTimeout: sleep } = require('node:timers/promises');

const SQLITE_BUSY = 5;
const WAIT_MS = 5000;
const ASK_AGAIN_MS = 2;
const RUN_MS = 50;
const PAUSE_MS = 5;

/** Repeat an action until no other process is writing, or until the deadline; reads continue meanwhile. */
async function whenFree(action, until) {
  for (;;) {
    const result = action();
    // The low byte is the primary code: https://sqlite.org/rescode.html
    const busy = !result.ok && (result.error.extendedCode & 0xff) === SQLITE_BUSY;
    if (!busy || performance.now() > until) return result;
    await sleep(ASK_AGAIN_MS * (0.5 + Math.random()));
  }
}

class Turns {
  #last = Promise.resolve();
  #waiting = 0;
  #runSince = null;

  /** Wait for a turn; resolves to {release, until}: the function that ends it, and the deadline for other processes. */
  async take() {
    // The deadline starts here: otherwise, while the file stays locked, each write would wait for all earlier failures.
    const until = performance.now() + WAIT_MS;
    let release;
    const before = this.#last;
    this.#last = new Promise((resolve) => { release = resolve; });
    this.#waiting += 1;
    await before;
    // Turns without a gap would starve other processes, which poll every two milliseconds.
    const now = performance.now();
    this.#runSince ??= now;
    if (now - this.#runSince > RUN_MS) {
      await sleep(PAUSE_MS);
      this.#runSince = performance.now();
    }
    return {
      until,
      release: () => {
        this.#waiting -= 1;
        if (!this.#waiting) this.#runSince = null;
        release();
      },
    };
  }
}

module.exports = { Turns, whenFree };
