"""The calls that a host makes from Python; the HTTP routes go through the same ones."""

from __future__ import annotations

from mediagate.api.defaults import jobs_at_once
from mediagate.api.uploads import UploadCalls
from mediagate.parts import Parts


class Calls(UploadCalls):
    """What an open gate can be asked. URLs start with ``public_base_url`` when it is set, else with ``base_url``.

    ``owner`` keeps a call to what this owner uploaded: whatever is somebody else's is not there. ``None``: to nothing.
    """

    @property
    def parts(self) -> Parts:
        """What the open gate works with."""
        return self.runtime.parts

    @property
    def jobs_at_once(self) -> int:
        """How many jobs a worker of this gate has in hand at once: one more than it has image processes."""
        return jobs_at_once(self.settings.model_copy(update={"worker": True}))

    async def work(self, job_id: str) -> None:
        """Make one attempt at the job whose turn it is, since this one waits; for engines that run the workers."""
        await self.runtime.worker.attend()

    async def check(self) -> None:
        """Raise ``Unavailable`` unless records, storage, spool and, if this process works, the worker do their work."""
        await self.runtime.check()

    def withdraw(self) -> None:
        """Answer 503 on ``/readyz`` from now on, so that load balancers go elsewhere; all else goes on as before."""
        if self._runtime is not None:
            self._runtime.withdrawn = True

    @property
    def withdrawn(self) -> bool:
        """Whether ``/readyz`` says that the process is about to end."""
        return self._runtime is not None and self._runtime.withdrawn
