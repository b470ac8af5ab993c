"""Constraints judged as Marathon's documentation says, operator by operator."""

from collections import Counter

import pytest
from attrs import evolve

from scheduler.core.app import Constraint, Operator
from scheduler.core.constraints import unmet
from scheduler.core.instance import TaskState
from scheduler.core.offer import Agent
from tests.unit.core.game import WEB, Game, agent, launched_in, offer, spec, update

HERE = evolve(agent(1, rack="r1", size="2.50"), region="eu", zone="eu-1")

Op = Operator
Row = tuple[str, Operator, str | None, dict[str, int], bool]

ROWS: dict[str, list[Row]] = {
    "UNIQUE": [
        ("hostname", Op.UNIQUE, None, {}, True),
        ("hostname", Op.UNIQUE, None, {"host2": 3}, True),
        ("hostname", Op.UNIQUE, None, {"host1": 1}, False),
        ("rack", Op.UNIQUE, None, {"r1": 1}, False),
        ("missing", Op.UNIQUE, None, {}, False),
    ],
    "CLUSTER": [
        ("rack", Op.CLUSTER, "r1", {}, True),
        ("rack", Op.CLUSTER, "r2", {}, False),
        ("rack", Op.CLUSTER, None, {}, True),
        ("rack", Op.CLUSTER, None, {"r1": 2}, True),
        ("rack", Op.CLUSTER, None, {"r2": 2}, False),
        ("missing", Op.CLUSTER, "r1", {}, False),
    ],
    "GROUP_BY with a number": [
        # Five instances in two groups: one of three and one of two.
        ("rack", Op.GROUP_BY, "2", {}, True),
        ("rack", Op.GROUP_BY, "2", {"r1": 2}, True),
        ("rack", Op.GROUP_BY, "2", {"r1": 3}, False),
        ("rack", Op.GROUP_BY, "2", {"r1": 2, "r2": 3}, False),
        ("rack", Op.GROUP_BY, "2", {"r1": 1, "r2": 3}, True),
        ("rack", Op.GROUP_BY, "2", {"r2": 1}, True),
        ("rack", Op.GROUP_BY, "2", {"r2": 1, "r3": 1}, False),
        ("missing", Op.GROUP_BY, "2", {}, False),
    ],
    "GROUP_BY without": [
        ("rack", Op.GROUP_BY, None, {}, True),
        ("rack", Op.GROUP_BY, None, {"r2": 1}, True),
        ("rack", Op.GROUP_BY, None, {"r1": 1, "r2": 1}, True),
        ("rack", Op.GROUP_BY, None, {"r1": 2, "r2": 1}, False),
        ("rack", Op.GROUP_BY, None, {"r1": 1, "r2": 2}, True),
    ],
    "LIKE": [
        ("rack", Op.LIKE, "r[1-3]", {}, True),
        ("rack", Op.LIKE, "r", {}, False),
        ("rack", Op.LIKE, "1", {}, False),
        ("hostname", Op.LIKE, "host(1|2)", {}, True),
        ("missing", Op.LIKE, ".*", {}, False),
    ],
    "UNLIKE": [
        ("rack", Op.UNLIKE, "r[1-3]", {}, False),
        ("rack", Op.UNLIKE, "r", {}, True),
        ("missing", Op.UNLIKE, ".*", {}, True),
    ],
    "MAX_PER": [
        ("rack", Op.MAX_PER, "2", {"r1": 1}, True),
        ("rack", Op.MAX_PER, "2", {"r1": 2}, False),
        ("rack", Op.MAX_PER, "2", {"r2": 2}, True),
        ("missing", Op.MAX_PER, "2", {}, False),
    ],
    "IS": [
        ("rack", Op.IS, "r1", {}, True),
        ("rack", Op.IS, "R1", {}, False),
        ("size", Op.IS, "2.5", {}, True),
        ("size", Op.IS, "2.5004", {}, True),
        ("size", Op.IS, "2.51", {}, False),
        ("missing", Op.IS, "r1", {}, False),
    ],
    "fault domains": [
        ("@region", Op.IS, "eu", {}, True),
        ("@region", Op.IS, "us", {}, False),
        ("@zone", Op.UNIQUE, None, {"eu-2": 1}, True),
        ("@zone", Op.UNIQUE, None, {"eu-1": 1}, False),
        ("@hostname", Op.IS, "host1", {}, True),
    ],
}


@pytest.mark.parametrize(
    "row", [row for rows in ROWS.values() for row in rows], ids=lambda row: " ".join(map(str, row))
)
def test_an_operator_means_what_is_documented(row: Row) -> None:
    name, operator, value, counts, is_met = row
    constraint = Constraint(name, operator, value)
    found = unmet((constraint,), HERE, {name: Counter(counts)}, 5)
    assert found is (None if is_met else constraint)


def test_all_constraints_must_be_met_and_the_first_unmet_one_is_named() -> None:
    like = Constraint("rack", Operator.LIKE, "r.")
    unique = Constraint("hostname", Operator.UNIQUE)
    group = Constraint("rack", Operator.CLUSTER, "r9")
    placed = {"hostname": Counter({"host1": 1})}
    assert unmet((like, unique, group), HERE, placed, 1) is unique
    assert unmet((like,), HERE, {}, 1) is None


def test_an_agent_without_a_fault_domain_has_no_region() -> None:
    bare = agent()
    assert bare.value_of("@region") is None
    assert bare.value_of("@zone") is None
    assert bare.value_of("hostname") == bare.value_of("@hostname") == "host1"


def test_an_attribute_may_not_hide_the_host_name() -> None:
    assert agent(1, hostname="fake").value_of("hostname") == "host1"


def launch_on(*agents: Agent, instances: int, constraint: Constraint) -> list[str]:
    """Launch an app with room for all of it on each agent; returns the hosts used."""
    game = Game()
    game.connect()
    game.upsert(spec(instances=instances, constraints=(constraint,)))
    batch = game.offer(*(offer(at=one) for one in agents))
    placements = [one.placement for one in launched_in(batch)]
    return sorted(placement.host for placement in placements)


def test_constraints_hold_among_the_launches_of_one_moment() -> None:
    """Two launches decided together must see each other."""
    unique = Constraint("hostname", Operator.UNIQUE)
    assert launch_on(agent(1), agent(2), instances=5, constraint=unique) == ["host1", "host2"]
    most = Constraint("rack", Operator.MAX_PER, "2")
    racks = [agent(1, rack="a"), agent(2, rack="a"), agent(3)]
    hosts = launch_on(*racks, instances=5, constraint=most)
    assert len(hosts) == 2
    assert "host3" not in hosts


def test_groups_come_out_even() -> None:
    """Five over two racks: three and two, wherever the room is."""
    by_rack = Constraint("rack", Operator.GROUP_BY, "2")
    agents = [agent(1, rack="a"), agent(2, rack="b"), agent(3, rack="b"), agent(4, rack="c")]
    hosts = launch_on(*agents, instances=5, constraint=by_rack)
    racks = Counter(dict(one.attributes)["rack"] for h in hosts for one in agents if one.host == h)
    assert sorted(racks.values()) == [2, 3]


def test_an_upgrade_may_use_the_hosts_of_the_old_version() -> None:
    """Otherwise an app with one instance on every host could never be upgraded in place."""
    unique = (Constraint("hostname", Operator.UNIQUE),)
    game = Game()
    game.connect()
    game.upsert(spec(instances=2, constraints=unique))
    game.run_all(agents=[1, 2])
    game.upsert(spec(instances=2, constraints=unique, cmd="better"))
    game.run_all(agents=[1, 2])
    assert game.conditions() == ["Running", "Running"]
    assert game.world.deployments == {}


def test_an_agent_whose_attributes_change_is_counted_as_it_is_now() -> None:
    """Operators add attributes to running agents: counts must not be left at the old value."""
    unique = (Constraint("rack", Operator.UNIQUE),)
    game = Game()
    game.connect()
    game.upsert(spec(instances=2, constraints=unique))
    game.offer(offer(at=agent(1, rack="a")))
    (first,) = (i for i in game.world.instances.values() if i.task_id)
    game.offer(offer(at=agent(1, rack="b")))
    (tally,) = game.world.tallies[WEB].values()
    # The first is where it was, in a rack of another name; the second has found room beside it.
    assert tally.placed["rack"] == Counter({"b": 2})
    game.send(update(first.task_id, TaskState.FAILED))
    assert tally.placed["rack"] == Counter({"b": 1})
