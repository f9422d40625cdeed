"""What faults with saving and restoring have in common."""

from __future__ import annotations

from kmclcheck.engines.simulate.drivers.save_restore import SavingServer
from kmclcheck.engines.simulate.faults.injector import Injector
from kmclcheck.engines.simulate.faults.packet_tools import sends_before, slow
from kmclcheck.engines.simulate.faults.tools import client_of, server_of

BEGIN, CONTINUE, END = "VmbChannelSaveBegin", "VmbChannelSaveContinue", "VmbChannelSaveEnd"
CONTINUE_SCALARS = " SaveBuffer=0x1000 SaveBufferSize=512"


def saver_of(inject: Injector, packets: int = 3) -> SavingServer:
    """Return the server of the scenario that saves; some packets will be in flight at every save."""
    server = server_of(inject)
    assert isinstance(server, SavingServer)

    sends_before(server, "move", packets)
    slow(client_of(inject), 600_000.0)
    return server
