'use strict';
// Who may write to the SQLite file: one query or transaction of this process at a time, and fair to other processes.

const { setTimeout: sleep } = require('node:timers/promises');

const SQLITE_BUSY = 5;
const WAIT_MS = 5000;
const ASK_AGAIN_MS = 2;
const RUN_MS = 50;
const PAUSE_MS = 5;

/** Do something again until no other process's writing is in the way, or until that moment; reads go on meanwhile. */
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

  /** Wait for one's turn; resolves to {release, until}: what ends it, and how long to wait for other processes. */
  async take() {
    // Counted from here, else each write would wait for the failures of all before it when the file stays locked.
    const until = performance.now() + WAIT_MS;
    let release;
    const before = this.#last;
    this.#last = new Promise((resolve) => { release = resolve; });
    this.#waiting += 1;
    await before;
    // Turns that follow without a gap would shut other processes out: they ask every other millisecond.
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
