"""The driver on a cluster that answers as Mesos does: calls have the effects they should."""

import asyncio
from collections.abc import Callable

import pytest

from scheduler.core.app import HealthCheck, HealthProtocol
from scheduler.core.effects import Decline, Kill, Reconcile, Revive, Suppress
from scheduler.core.events import Disconnected, MesosError, OffersReceived, StatusUpdate
from scheduler.core.instance import TaskState
from scheduler.local import Cluster
from scheduler.mesos import DriverEnd, Framework, OfferWishes, Refused, Sent
from tests.integration.mesos.conftest import ROLE, Client
from tests.support import eventually

Clients = Callable[..., Client]


async def test_a_task_lives_from_its_offer_to_its_kill(clients: Clients):
    client = clients()
    offer = await client.offer()
    task_id = client.launch(offer)
    running = await client.until_state(task_id, TaskState.RUNNING)
    assert running.agent_id == offer.agent.id
    assert client.states(task_id)[0] is TaskState.STARTING
    client.dispatch.send(Kill(task_id, running.agent_id, 1))
    killed = await client.until_state(task_id, TaskState.KILLED)
    assert killed.source == "SOURCE_EXECUTOR"
    assert not client.problems


async def test_a_task_that_ends_by_itself_says_how(clients: Clients):
    client = clients()
    done = client.launch(await client.offer(), "exit 0")
    await client.until_state(done, TaskState.FINISHED)
    failed = client.launch(await client.offer(), "exit 3")
    update = await client.until_state(failed, TaskState.FAILED)
    assert update.message == "Command exited with status 3"


async def test_a_check_beside_the_task_reports_its_health(clients: Clients):
    client = clients()
    check = HealthCheck(
        HealthProtocol.COMMAND, command="true", delay_s=0, interval_s=1, grace_period_s=0
    )
    task_id = client.launch(await client.offer(), health_checks=(check,))
    await eventually(
        lambda: any(update.healthy for update in client.updates(task_id)), what="healthy"
    )


async def test_the_task_gets_its_environment(clients: Clients):
    client = clients()
    task_id = client.launch(
        await client.offer(),
        'test "$MARATHON_APP_ID" != "" && test "$GREETING" = hello && exit 0; exit 9',
        env=(("GREETING", "hello"),),
    )
    await client.until_state(task_id, TaskState.FINISHED)


async def test_an_update_is_repeated_until_it_is_acknowledged_and_blocks_the_next(
    clients: Clients,
):
    client = clients()
    client.acknowledges = False
    task_id = client.launch(await client.offer())
    first = await client.until_state(task_id, TaskState.STARTING)
    # The order of messages is kept: what the master says now comes after any later update.
    client.dispatch.send(Reconcile(((task_id, first.agent_id),)))
    await eventually(
        lambda: any(update.uuid is None for update in client.updates(task_id)), what="an answer"
    )
    delivered = {update.state for update in client.updates(task_id) if update.uuid}
    assert delivered == {TaskState.STARTING}
    client.acknowledges = True
    client.acknowledge(first)
    await client.until_state(task_id, TaskState.RUNNING)


async def test_reconciliation_answers_for_the_known_and_the_unknown(clients: Clients):
    client = clients()
    task_id = client.launch(await client.offer())
    running = await client.until_state(task_id, TaskState.RUNNING)
    await asyncio.sleep(0)
    before = len(client.updates(task_id))
    never = type(task_id)("never-launched")
    client.dispatch.send(Reconcile(((task_id, running.agent_id), (never, None))))
    unknown = await client.until_state(never, TaskState.UNKNOWN)
    assert unknown.reason == "REASON_RECONCILIATION"
    answer = await eventually(lambda: client.updates(task_id)[before:], what="an answer")
    assert answer[0].state is TaskState.RUNNING
    assert answer[0].uuid is None
    before = len(client.updates(task_id))
    client.dispatch.send(Reconcile(()))
    await eventually(lambda: len(client.updates(task_id)) > before, what="an implicit answer")


async def test_revive_brings_back_at_once_what_was_declined_for_long(clients: Clients):
    client = clients()
    offer = await client.offer()
    client.dispatch.send(Decline((offer.id,), 3600.0))
    client.dispatch.send(Suppress())
    client.dispatch.send(Revive())
    again = await client.offer(lambda one: one.agent.id == offer.agent.id)
    assert again.id != offer.id


async def test_a_launch_on_an_offer_that_is_gone_is_dropped_by_the_master(clients: Clients):
    client = clients()
    offer = await client.offer()
    client.dispatch.send(Decline((offer.id,), 0.0))
    task_id = client.launch(offer)
    dropped = await client.until_state(task_id, TaskState.DROPPED)
    assert dropped.reason == "REASON_INVALID_OFFERS"
    assert dropped.uuid is None


async def test_a_newer_scheduler_takes_over_and_the_tasks_run_on(clients: Clients):
    first = clients()
    task_id = first.launch(await first.offer())
    running = await first.until_state(task_id, TaskState.RUNNING)
    second = clients(first.framework_id)
    await second.until_subscribed()
    assert await asyncio.wait_for(first.serving, 30) is DriverEnd.SUPERSEDED
    assert [event.removed for event in first.seen(MesosError)] == [False]
    assert second.framework_id == first.framework_id
    second.dispatch.send(Reconcile(((task_id, running.agent_id),)))
    await second.until_state(task_id, TaskState.RUNNING)


async def test_a_torn_down_framework_is_refused_for_good(clients: Clients):
    first = clients()
    await first.until_subscribed()
    framework_id = first.framework_id
    await first.close()
    second = clients(framework_id)
    assert await asyncio.wait_for(second.serving, 30) is DriverEnd.REMOVED
    assert [event.removed for event in second.seen(MesosError)] == [True]


async def test_stopping_and_coming_back_leaves_tasks_alone(clients: Clients):
    first = clients()
    task_id = first.launch(await first.offer())
    running = await first.until_state(task_id, TaskState.RUNNING)
    framework_id = first.framework_id
    await first.close(teardown=False)
    second = clients(framework_id)
    await second.until_subscribed()
    second.dispatch.send(Reconcile(((task_id, running.agent_id),)))
    await second.until_state(task_id, TaskState.RUNNING)


async def test_roles_and_offer_wishes_change_while_subscribed(clients: Clients):
    client = clients()
    await client.until_subscribed()
    driver = client.driver
    more = Framework(name="egret-test-roles", roles=(ROLE, f"{ROLE}-2"))
    assert await driver.call(driver.updateFramework, more, OfferWishes((ROLE,))) == Sent(200)
    client.events = [event for event in client.events if not isinstance(event, OffersReceived)]
    other = Framework(name="egret-test-roles", roles=(ROLE,), user="somebody-else")
    refused = await driver.call(driver.updateFramework, other, OfferWishes())
    assert isinstance(refused, Refused)
    assert "user" in refused.reason


async def test_a_lost_connection_is_made_again_and_offers_come_anew(
    clients: Clients, cluster: Cluster | None
):
    if cluster is None:
        pytest.skip("only the embedded master is restarted by a test")
    client = clients()
    task_id = client.launch(await client.offer())
    running = await client.until_state(task_id, TaskState.RUNNING)
    await cluster.restart_master()
    await client.until_subscribed(2)
    assert client.seen(Disconnected)
    before = len(client.updates(task_id))

    def asked_until_answered() -> list[StatusUpdate]:
        # A master answers for no agent that has not come back to it yet.
        client.dispatch.send(Reconcile(((task_id, running.agent_id),)))
        return client.updates(task_id)[before:]

    answers = await eventually(asked_until_answered, what="an answer after the restart")
    assert answers[0].state is TaskState.RUNNING
    assert not client.problems
