"""Do with the Python package `marathon` what its users do. Usage: use_marathon.py URL."""

import sys
import threading
import time

from marathon import MarathonClient, MarathonHttpError, NotFoundError
from marathon.models import MarathonApp, MarathonHealthCheck
from marathon.models.container import MarathonContainer, MarathonContainerPortMapping
from marathon.models.group import MarathonGroup


def until(probe, what):
    give_up_at = time.monotonic() + 60
    while not (found := probe()):
        assert time.monotonic() < give_up_at, f"not in time: {what}"
        time.sleep(0.1)
    return found


def idle(client):
    until(lambda: not client.list_deployments(), "no deployments")


# The package expects more of a deployment's plan than Marathon has sent since 1.8.
READABLE = (
    "api_post_event",
    "event_stream_attached",
    "status_update_event",
    "app_terminated_event",
)


def follow_events(client, seen):
    def follow():
        for event in client.event_stream(event_types=READABLE):
            seen.append(event)

    threading.Thread(target=follow, daemon=True).start()
    until(lambda: any(e.event_type == "event_stream_attached" for e in seen), "the event stream")


def use_apps(client):
    app = MarathonApp(
        cmd="sleep 1000",
        cpus=0.1,
        mem=32,
        instances=2,
        labels={"team": "a"},
        health_checks=[MarathonHealthCheck(protocol="MESOS_TCP", port_index=0)],
        constraints=[("hostname", "LIKE", ".*")],
    )
    created = client.create_app("/py/web", app)
    assert (created.id, created.instances) == ("/py/web", 2)
    until(lambda: client.get_app("/py/web").tasks_running == 2, "two tasks")
    client.get_app("/py/web", embed_tasks=True, embed_counts=True, embed_task_stats=True)
    (listed,) = client.list_apps(app_id="py/web", label="team==a", embed_tasks=True)
    assert len(listed.tasks) == 2
    assert {task.app_id for task in client.list_tasks("/py/web")} == {"/py/web"}
    assert len(client.list_tasks()) == 2
    bridged = MarathonApp(
        cmd="x",
        instances=0,
        networks=[{"mode": "container/bridge"}],
        container=MarathonContainer(
            type="MESOS", port_mappings=[MarathonContainerPortMapping(container_port=80)]
        ),
    )
    client.create_app("/py/bridged", bridged)
    assert client.get_app("/py/bridged").container.port_mappings[0].service_port >= 10_000


def change_apps(client):
    client.scale_app("/py/web", instances=3, force=True)
    until(lambda: client.get_app("/py/web").tasks_running == 3, "three tasks")
    app = client.get_app("/py/web")
    first = app.version
    app.cmd = "sleep 2000"
    client.update_app("/py/web", app, force=True)
    assert client.get_app("/py/web").cmd == "sleep 2000"
    client.update_apps([client.get_app("/py/web")], force=True)
    assert first in client.list_versions("/py/web")
    assert client.get_version("/py/web", first).cmd == "sleep 1000"
    client.rollback_app("/py/web", first, force=True)
    assert client.get_app("/py/web").cmd == "sleep 1000"
    client.restart_app("/py/web", force=True)
    for deployment in client.list_deployments():
        assert deployment.affected_apps
    client.delete_deployment(client.list_deployments()[0].id, force=True)


def use_tasks(client):
    def all_run():
        return until(lambda: client.get_app("/py/web").tasks_running == 3, "three tasks")

    all_run()
    client.kill_task("/py/web", client.list_tasks("/py/web")[0].id)
    all_run()
    client.kill_given_tasks([client.list_tasks("/py/web")[-1].id], force=True)
    all_run()
    client.kill_tasks("/py/web", scale=True)
    until(lambda: client.get_app("/py/web").instances == 0, "a smaller app")


def use_groups(client):
    inner = MarathonApp(id="/py2/a", cmd="sleep 1", instances=0)
    client.create_group(MarathonGroup(id="/py2", apps=[inner]))
    assert [app.id for app in client.get_group("/py2").apps] == ["/py2/a"]
    assert "/py2" in {group.id for group in client.list_groups()}
    idle(client)
    client.scale_group("/py2", 2)
    client.update_group("/py2", MarathonGroup(id="/py2", apps=[inner]), force=True)
    client.delete_group("/py2", force=True)


def refusal_of(ask):
    try:
        ask()
    except MarathonHttpError as error:
        return error
    raise AssertionError("what should be refused was done")


def use_the_rest(client):
    client.create_app("/py/never", MarathonApp(cmd="x", constraints=[("hostname", "LIKE", "no")]))
    # Its list_queue knows no role, which Marathon shows since 1.9.
    client.reset_delay("/py/never")
    assert client.get_info().framework_id
    assert ":" in client.get_leader()["leader"]
    client.ping()
    assert client.get_metrics()["version"]
    unknown = refusal_of(lambda: client.get_app("/py/nothing"))
    assert isinstance(unknown, NotFoundError)
    broken = refusal_of(lambda: client.create_app("/py/bad", MarathonApp(cmd="x", args=["y"])))
    assert broken.status_code == 422


def main(url):
    client, seen = MarathonClient(url), []
    follow_events(client, seen)
    use_apps(client)
    idle(client)
    change_apps(client)
    idle(client)
    use_tasks(client)
    idle(client)
    use_groups(client)
    use_the_rest(client)
    for app_id in ("/py/web", "/py/bridged", "/py/never"):
        client.delete_app(app_id, force=True)
    until(lambda: not client.list_apps(), "no apps")
    types = {event.event_type for event in seen}
    assert types == set(READABLE), types
    print("marathon (Python): all well")


main(sys.argv[1])
