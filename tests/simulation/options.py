"""Draw the conditions of one simulated run from its seed.

Each run has its own mix of faults (a fault that is always there hides others), so every
probability is itself drawn, and about half of the faults are switched off in each run.
"""

from random import Random
from typing import Any

from attrs import evolve, fields, frozen


@frozen
class Options:
    """What goes wrong, how often (per message, per second or per commit), and for how long."""

    seed: int
    apps: int
    agents: int
    chaos_ms: int
    latency_ms: int
    jitter_ms: int
    p_drop_event: float
    p_duplicate_event: float
    p_drop_call: float
    p_task_fails: float
    p_task_ignores_kill: float
    p_store_unavailable: float
    p_store_unknown: float
    store_delay_ms: int
    mean_crash_ms: float
    mean_agent_fault_ms: float
    mean_master_fault_ms: float
    mean_disconnect_ms: float
    mean_rescind_ms: float
    mean_command_ms: float
    mean_task_death_ms: float
    p_two_leaders: float
    p_freeze: float
    """A leader stands still for a while instead of dying."""
    clock_jump_ms: int
    discovery: bool
    p_discovery_lost: float
    is_discovery_down: bool
    """Consul never answers, not even after all else has healed."""
    has_alien: bool
    """A task runs under our framework id that no record of ours knows."""
    cpus_milli: int
    """What each agent has."""
    p_agent_forgotten: float
    """The master forgets an agent that is gone, and answers UNKNOWN for its tasks."""
    p_launch_lost: float
    """The master takes a launch, the agent never hears of it."""
    p_late_restart: float
    """A scheduler that has died stays away for long."""
    mean_blind_ms: float
    """Between two times in which every health check fails, whatever the tasks do."""
    mean_damage_ms: float
    """Between two crashes after which a record cannot be read, until it is restored."""
    mean_split_ms: float
    """Between two times at which most agents go out of sight at once."""
    mean_illness_ms: float
    """Between two times at which a task falls ill: it fails its checks until it is ended."""
    p_task_tells_kill: float
    """A task says that it is being killed, and takes a while to end."""
    mean_drain_ms: float
    """Between two times at which an operator drains an agent."""

    @staticmethod
    def draw(seed: int) -> "Options":
        """Draw the options of ``seed``; the same seed gives the same options for ever."""
        rng = Random(f"options {seed}")

        def maybe(most: float) -> float:
            return rng.uniform(0, most) if rng.random() < 0.5 else 0.0

        def rate(least_ms: float) -> float:
            """Mean time between two faults of a kind; infinity switches it off."""
            return rng.uniform(least_ms, 4 * least_ms) if rng.random() < 0.5 else float("inf")

        return Options(
            seed=seed,
            apps=rng.randint(1, 4),
            agents=rng.randint(2, 6),
            chaos_ms=rng.randint(60_000, 240_000),
            latency_ms=rng.choice([0, 1, 5, 50]),
            jitter_ms=rng.choice([0, 5, 100, 2_000]),
            p_drop_event=maybe(0.2),
            p_duplicate_event=maybe(0.2),
            p_drop_call=maybe(0.2),
            p_task_fails=maybe(0.2),
            p_task_ignores_kill=maybe(0.3),
            p_store_unavailable=maybe(0.2),
            p_store_unknown=maybe(0.2),
            store_delay_ms=rng.choice([0, 0, 5, 300]),
            mean_crash_ms=rate(10_000),
            mean_agent_fault_ms=rate(15_000),
            mean_master_fault_ms=rate(30_000),
            mean_disconnect_ms=rate(15_000),
            mean_rescind_ms=rate(5_000),
            mean_command_ms=rng.uniform(2_000, 15_000),
            mean_task_death_ms=rate(5_000),
            p_two_leaders=maybe(0.7),
            p_freeze=maybe(0.4),
            clock_jump_ms=rng.choice([0, 0, 0, 20_000]),
            discovery=rng.random() < 0.5,
            p_discovery_lost=maybe(0.5),
            is_discovery_down=rng.random() < 0.05,
            has_alien=rng.random() < 0.3,
            cpus_milli=rng.choice([4_000, 4_000, 1_200]),
            p_agent_forgotten=maybe(0.6),
            p_launch_lost=maybe(0.1),
            p_late_restart=maybe(0.5),
            mean_blind_ms=rate(30_000),
            mean_damage_ms=rate(60_000),
            mean_split_ms=rate(45_000),
            mean_illness_ms=rate(15_000),
            p_task_tells_kill=maybe(1.0),
            mean_drain_ms=rate(30_000),
        )

    @staticmethod
    def calm(seed: int = 0) -> "Options":
        """Options under which nothing goes wrong and nobody asks for anything."""
        drawn = Options.draw(seed)
        return evolve(
            drawn,
            **drawn.quiet(),
            latency_ms=1,
            discovery=False,
            cpus_milli=4_000,
            mean_command_ms=float("inf"),
        )

    def quiet(self) -> dict[str, Any]:
        """For each fault that these options have: the value that switches it off."""
        found: dict[str, Any] = {}
        for attribute in fields(Options):
            name = attribute.name
            value = getattr(self, name)
            is_rate = name.startswith("mean_") and name != "mean_command_ms"
            if name.startswith(("p_", "is_", "has_")) and value:
                found[name] = type(value)()
            elif is_rate and value != float("inf"):
                found[name] = float("inf")
            elif name in {"jitter_ms", "store_delay_ms", "clock_jump_ms"} and value:
                found[name] = 0
        return found
