"""Keep in mind what Mesos has lost sight of: instances waited for, and those given up lately.

The disaster brake (``Brake``) judges by it. An app whose ``unreachableStrategy`` waits
for nothing is replaced task by task while a network breaks apart; without a memory of those nobody
would see that half the cluster has gone. They are remembered until their agent is heard of again,
an operator says that they are really lost, or ``Settings.brake_memory_ms`` has passed.
"""

from collections import Counter

from scheduler.core.ids import AgentId


class Sight:
    """Counts by agent. What is given up or accepted is of this term: a new leader begins anew."""

    def __init__(self) -> None:
        self.unreachable = 0
        """Instances on agents that Mesos cannot reach, still waited for."""
        self._unreachable_on: Counter[AgentId] = Counter()
        self._given_up: dict[AgentId, tuple[int, int]] = {}
        """Agent → how many instances were given up there, and when the last one was."""
        self.given_up = 0
        """Instances given up and remembered."""
        self._accepted: dict[AgentId, None] = {}
        """Agents that an operator knows to be lost: what is missing there proves no disaster."""
        self._missing_on: Counter[AgentId] = Counter()
        """Agent → what counts as missing there."""
        self.missing = 0
        """Instances that count for the brake."""

    @property
    def agents(self) -> int:
        """How many agents are concerned."""
        return len(self._missing_on)

    def count(self, agent_id: AgentId, sign: int) -> None:
        """Count an instance that is waited for in (+1) or out (-1)."""
        self.unreachable += sign
        _add(self._unreachable_on, agent_id, sign)
        if agent_id not in self._accepted:
            self._miss(agent_id, sign)

    def give_up(self, agent_id: AgentId, now_ms: int) -> bool:
        """Remember one more; tells whether it is the first of its agent."""
        if agent_id in self._accepted:
            return False
        count, _ = self._given_up.get(agent_id, (0, 0))
        self._given_up[agent_id] = (count + 1, now_ms)
        self.given_up += 1
        self._miss(agent_id, +1)
        return count == 0

    def hear_of(self, agent_id: AgentId) -> None:
        """An agent is there: what was given up on it is no part of a disaster."""
        if agent_id in self._given_up:
            count, _ = self._given_up.pop(agent_id)
            self.given_up -= count
            self._miss(agent_id, -count)
        if agent_id in self._accepted:
            del self._accepted[agent_id]
            self._miss(agent_id, self._unreachable_on[agent_id])

    def last_given_up_ms(self, agent_id: AgentId) -> int | None:
        """When the last instance on an agent was given up; None if none is remembered."""
        known = self._given_up.get(agent_id)
        return None if known is None else known[1]

    def accept(self) -> None:
        """Take all agents that are missing now for lost."""
        self._accepted.update(dict.fromkeys(self._missing_on))
        self._given_up.clear()
        self._missing_on.clear()
        self.given_up = self.missing = 0

    def take_back(self) -> None:
        """Accept no loss any more. What was given up meanwhile is forgotten."""
        self.accept()
        self._accepted.clear()
        for agent_id, count in self._unreachable_on.items():
            self._miss(agent_id, count)

    def _miss(self, agent_id: AgentId, change: int) -> None:
        self.missing += change
        _add(self._missing_on, agent_id, change)


def _add(counter: Counter[AgentId], agent_id: AgentId, change: int) -> None:
    count = counter[agent_id] + change
    if count > 0:
        counter[agent_id] = count
    else:
        counter.pop(agent_id, None)
