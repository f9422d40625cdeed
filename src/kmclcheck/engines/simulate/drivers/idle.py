"""A pair that is connected and has nothing to say."""

from __future__ import annotations

from kmclcheck.engines.simulate.drivers.common import ClientDriver, ServerDriver
from kmclcheck.engines.simulate.kernel import Task, Thread


class IdleServer(ServerDriver):
    """Is there."""


class IdleClient(ClientDriver):
    """Is there for a while."""

    def job(self, t: Thread) -> Task:
        yield self.kernel.random() * 1_000_000
