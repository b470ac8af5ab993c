"""Find the secrets that a container cannot start without: nobody here looks them up.

A Mesos agent asks its secret resolver module for them (Mesos docs/secrets.md). The embedded cluster
has none, and a task that started without its password would only fail in a stranger way.
"""

from collections.abc import Iterator

from scheduler.local.resources import JsonObject


def find_secret_problem(command: JsonObject, container: JsonObject) -> str | None:
    """Return why a container cannot start if it needs a secret, else None.

    Args:
        command: the CommandInfo of the task or executor.
        container: its ContainerInfo; empty if it has none.
    """
    found = next(_secrets(command, container), None)
    if found is None:
        return None
    what, secret = found
    name = secret.get("reference", {}).get("name", "")
    return (
        "Failed to launch container: the embedded cluster has no secret resolver to look up"
        f" '{name}' for {what}"
    )


def _secrets(command: JsonObject, container: JsonObject) -> Iterator[tuple[str, JsonObject]]:
    for variable in command.get("environment", {}).get("variables", []):
        if variable.get("type") == "SECRET":
            yield f"the environment variable {variable['name']}", variable.get("secret", {})
    for volume in container.get("volumes", []):
        source = volume.get("source", {})
        if source.get("type") == "SECRET":
            yield f"the volume {volume.get('container_path', '')}", source.get("secret", {})
    config = container.get("mesos", {}).get("image", {}).get("docker", {}).get("config")
    if config is not None:
        yield "pulling the image", config
