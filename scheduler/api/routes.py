"""List every path of the API with the handler of each method."""

from scheduler.api import apps, deployments, egret, groups, info, page, queue, tasks
from scheduler.api.context import Handler
from scheduler.api.stream import stream_events

_GROUP: dict[str, Handler] = {
    "GET": groups.show_group,
    "POST": groups.create_group,
    "PUT": groups.put_group,
    "DELETE": groups.delete_group,
}

# The longer paths of an app come first: an id may hold slashes.
TABLE: tuple[tuple[str, dict[str, Handler]], ...] = (
    ("/", {"GET": page.show_page}),
    ("/page.js", {"GET": page.show_script}),
    ("/page.css", {"GET": page.show_style}),
    ("/ping", {"GET": info.ping}),
    ("/metrics", {"GET": info.show_metrics}),
    ("/metrics/prometheus", {"GET": info.show_prometheus}),
    ("/downloads/{name}", {"GET": info.download}),
    ("/v2/info", {"GET": info.show_info}),
    ("/v2/leader", {"GET": info.show_leader, "DELETE": info.abdicate}),
    (
        "/v2/apps",
        {
            "GET": apps.list_apps,
            "POST": apps.create_app,
            "PUT": apps.put_apps,
            "PATCH": apps.patch_apps,
        },
    ),
    ("/v2/apps/{id:path}/tasks/{task_id}", {"DELETE": tasks.delete_app_task}),
    ("/v2/apps/{id:path}/tasks", {"GET": tasks.list_app_tasks, "DELETE": tasks.delete_app_tasks}),
    ("/v2/apps/{id:path}/versions/{version}", {"GET": apps.show_version}),
    ("/v2/apps/{id:path}/versions", {"GET": apps.list_versions}),
    ("/v2/apps/{id:path}/restart", {"POST": apps.restart_app}),
    (
        "/v2/apps/{id:path}",
        {
            "GET": apps.show_app,
            "PUT": apps.put_app,
            "PATCH": apps.patch_app,
            "DELETE": apps.delete_app,
        },
    ),
    ("/v2/groups", _GROUP),
    ("/v2/groups/apps", {"GET": groups.list_group_apps}),
    ("/v2/groups/versions", {"GET": groups.list_group_versions}),
    ("/v2/groups/versions/{version}", {"GET": groups.show_group_version}),
    ("/v2/groups/{id:path}/apps", {"GET": groups.list_group_apps}),
    ("/v2/groups/{id:path}/versions", {"GET": groups.list_group_versions}),
    ("/v2/groups/{id:path}/versions/{version}", {"GET": groups.show_group_version}),
    ("/v2/groups/{id:path}", {**_GROUP, "PATCH": groups.patch_group}),
    ("/v2/tasks", {"GET": tasks.list_tasks}),
    ("/v2/tasks/delete", {"POST": tasks.delete_tasks}),
    ("/v2/deployments", {"GET": deployments.list_deployments}),
    ("/v2/deployments/{deployment_id}", {"DELETE": deployments.cancel_deployment}),
    ("/v2/deployments/{deployment_id}/abort", {"POST": deployments.abort_deployment}),
    ("/v2/deployments/{deployment_id}/pause", {"POST": deployments.pause_deployment}),
    ("/v2/deployments/{deployment_id}/promote", {"POST": deployments.promote_deployment}),
    ("/v2/deployments/{deployment_id}/resume", {"POST": deployments.resume_deployment}),
    ("/v2/queue", {"GET": queue.show_queue}),
    ("/v2/queue/{id:path}/delay", {"DELETE": queue.reset_delay}),
    ("/v2/pods", {"GET": info.no_pods, "HEAD": info.no_pods, "POST": info.refuse_pods}),
    (
        "/v2/pods/{rest:path}",
        {
            "GET": info.no_pods,
            "PUT": info.refuse_pods,
            "DELETE": info.no_pods,
        },
    ),
    ("/v2/events", {"GET": stream_events}),
    ("/v2/egret/deployments/{deployment_id}", {"GET": deployments.show_deployment}),
    ("/v2/egret/discovery", {"GET": egret.show_discovery}),
    ("/v2/egret/unknown-tasks", {"GET": egret.list_unknown_tasks}),
    ("/v2/egret/unknown-tasks/kill", {"POST": egret.kill_unknown_tasks}),
    ("/v2/egret/brake", {"GET": egret.show_brake}),
    ("/v2/egret/brake/release", {"POST": egret.release_brake}),
    ("/v2/egret/teardown", {"POST": info.teardown}),
)
