"""Keep in mind what Mesos has lost sight of: instances waited for, and those given up lately.

The disaster brake (``World.is_braked``) judges by it. An app whose ``unreachableStrategy`` waits
for nothing is replaced task by task while a network breaks apart; without a memory of those nobody
would see that half the cluster has gone. They are remembered until their agent is heard of again,
an operator says that they are really lost, or ``Settings.brake_memory_ms`` has passed.
"""

from collections import Counter

from scheduler.core.ids import AgentId

SIGHT_KEY = "^"
"""Prefix of the timer keys that are agents whose losses may be forgotten."""
BRAKE_LOOK_MS = 10_000
"""How often what the brake holds back is looked at again."""


class Sight:
    """Counts by agent. What is given up is of this term: a new leader begins without it."""

    def __init__(self) -> None:
        self.unreachable = 0
        """Instances on agents that Mesos cannot reach, still waited for."""
        self._unreachable_on: Counter[AgentId] = Counter()
        self._given_up: dict[AgentId, tuple[int, int]] = {}
        """Agent → how many instances were given up there, and when the last one was."""
        self.given_up = 0
        """Instances given up and remembered."""

    @property
    def missing(self) -> int:
        return self.unreachable + self.given_up

    @property
    def agents(self) -> int:
        """How many agents are concerned. O(agents out of sight)."""
        return len(self._unreachable_on.keys() | self._given_up.keys())

    def count(self, agent_id: AgentId, sign: int) -> None:
        """Count an instance that is waited for in (+1) or out (-1)."""
        self.unreachable += sign
        self._unreachable_on[agent_id] += sign
        if self._unreachable_on[agent_id] <= 0:
            del self._unreachable_on[agent_id]

    def give_up(self, agent_id: AgentId, now_ms: int) -> bool:
        """Remember one more; tells whether its agent is the first time in this list."""
        count, _ = self._given_up.get(agent_id, (0, 0))
        self._given_up[agent_id] = (count + 1, now_ms)
        self.given_up += 1
        return count == 0

    def hear_of(self, agent_id: AgentId) -> None:
        """An agent is there: what was given up on it is no part of a disaster."""
        if agent_id in self._given_up:
            self.given_up -= self._given_up.pop(agent_id)[0]

    def last_given_up_ms(self, agent_id: AgentId) -> int | None:
        """When the last instance on an agent was given up; None if none is remembered."""
        known = self._given_up.get(agent_id)
        return None if known is None else known[1]

    def forget_given_up(self) -> None:
        self._given_up.clear()
        self.given_up = 0
