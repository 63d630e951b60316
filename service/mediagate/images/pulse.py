"""The pulse of a process: one that gives no sign of life is killed, whatever keeps it."""

from __future__ import annotations

import logging
import socket
import subprocess
import threading

log = logging.getLogger("mediagate")

START_S = 120.0
"""How long the first sign of life may take: until then the process loads what it needs."""
PAUSE_S = 2.0
"""How long after a sign of life the next one is asked for."""
ANSWER_S = 5.0
"""How long each further one may take."""
STEP_S = 0.5


class Pulse:
    """Asks a process for signs of life through a socket, from a thread of its own, until it ends or ``stop``.

    The process sends back whatever it gets there.
    """

    def __init__(self, process: subprocess.Popen[bytes], wire: socket.socket) -> None:
        self._process = process
        self._wire = wire
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="mediagate-pulse", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ask no more; the process is left alone."""
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
                        log.error("a process gave no sign of life for %g s and is killed", within_s)
                        self._process.kill()
                        return
                except OSError:
                    return  # it has ended
                within_s = ANSWER_S
                self._stopped.wait(PAUSE_S)

    def _answers(self, wire: socket.socket, within_s: float) -> bool:
        # In steps: of a pause in which this process stood still itself only one counts.
        for _ in range(round(within_s / STEP_S)):
            if self._stopped.is_set():
                return True
            try:
                wire.recv(1)
            except TimeoutError:
                continue
            return True
        return False
