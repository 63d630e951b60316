"""The pulse of a process: a watchdog that kills it when it stops responding, for whatever reason."""

from __future__ import annotations

import logging
import socket
import subprocess
import threading

log = logging.getLogger("mediagate")

START_S = 120.0
"""Time limit of the first answer: until then the process loads its modules."""
PAUSE_S = 2.0
"""Pause between an answer and the next request."""
ANSWER_S = 5.0
"""Time limit of each further answer."""
STEP_S = 0.5


class Pulse:
    """Pings a process through a socket, from a thread of its own, until the process ends or ``stop`` is called.

    The process echoes whatever it receives.
    """

    def __init__(self, process: subprocess.Popen[bytes], wire: socket.socket) -> None:
        self._process = process
        self._wire = wire
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="mediagate-pulse", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop pinging; the process is not killed any more."""
        self._stopped.set()
        self._thread.join()

    def _watch(self) -> None:
        within_s = START_S
        with self._wire as wire:
            wire.settimeout(STEP_S)
            while not self._stopped.is_set():
                try:
                    wire.send(b".")
                    if not self._answers(wire, within_s):
                        log.error("fork server killed: unresponsive for %g s", within_s)
                        self._process.kill()
                        return
                except OSError:
                    return  # it has ended
                within_s = ANSWER_S
                self._stopped.wait(PAUSE_S)

    def _answers(self, wire: socket.socket, within_s: float) -> bool:
        # In steps: if this process itself was suspended meanwhile, the suspension counts as one step only.
        for _ in range(round(within_s / STEP_S)):
            if self._stopped.is_set():
                return True
            try:
                wire.recv(1)
            except TimeoutError:
                continue
            return True
        return False
