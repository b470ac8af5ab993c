"""Give each agent ports of its own, also beside other clusters on the same machine.

Ports come in units of a hundred. A unit is claimed by an abstract Unix socket with its name: that
costs no port, is exclusive on the machine, and ends with the process, however it dies.
"""

import socket

from attrs import define, field

TASK_PORTS = (10_000, 31_999)
"""Up to where Mesos's own default ends, and below the ports that Linux gives to outgoing
connections: of those a task could be given one that is taken."""
UNIT = 100


@define(eq=False)
class PortBlocks:
    """The blocks that one cluster holds."""

    _claims: list[socket.socket] = field(factory=list[socket.socket])

    def claim(self, units: int) -> tuple[int, int]:
        """Claim so many units in a row, the highest free ones, and return (first, last) port.

        Raises:
            OSError: there are no such units left on this machine.
        """
        low, high = TASK_PORTS
        size = units * UNIT
        for last in range(high, low + size - 2, -size):
            first = last - size + 1
            if self._claim_all(range(first, last, UNIT)):
                return first, last
        raise OSError(f"No {size} ports are left for the tasks of an agent")

    def release(self) -> None:
        """Give every block back."""
        for claim in self._claims:
            claim.close()
        self._claims.clear()

    def _claim_all(self, firsts: range) -> bool:
        claims: list[socket.socket] = []
        for first in firsts:
            claim = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            claims.append(claim)
            try:
                claim.bind(f"\0egret-task-ports-{first}")
            except OSError:  # Another cluster has it.
                for one in claims:
                    one.close()
                return False
        self._claims += claims
        return True
