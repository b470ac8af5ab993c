"""Keep the house in order: what a reviewer would otherwise have to notice by eye."""

import ast
import functools
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent.parent
EDGES = {"core", "spec"}
INNER = {"mesos", "health", "store", "discovery", "telemetry"}

# Who may import whom inside `scheduler`. `config` and `app` are modules beside the rooms.
MAY_IMPORT: dict[str, set[str]] = {
    "core": set(),
    "spec": {"core"},
    **dict.fromkeys(INNER, EDGES),
    "runtime": EDGES | INNER,
    "api": EDGES | {"runtime", "telemetry"},
    "cli": {"spec"},
    "local": set(),
    "config": EDGES,
    "app": EDGES | INNER | {"runtime", "api", "config"},
}
# Two commands of `cli` start the things they are named after.
COMMANDS_MAY_IMPORT = {
    "scheduler/cli/scheduler.py": {"app", "config"},
    "scheduler/cli/local.py": {"local"},
}
MAX_LINES = 600
MAX_TEST_LINES = 800
TEXT_SUFFIXES = {".py", ".pyi", ".md", ".toml", ".sh", ".in", ".lock", ".json", ".proto", ".html"}


@functools.cache
def kept_files() -> tuple[Path, ...]:
    """Every file that git tracks or would track: new files count before they are committed."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=REPOSITORY,
        capture_output=True,
        check=True,
        text=True,
    ).stdout
    paths = sorted({REPOSITORY / name for name in listing.split("\0") if name})
    return tuple(path for path in paths if path.is_file())


def name_of(path: Path) -> str:
    return path.relative_to(REPOSITORY).as_posix()


def sources(*folders: str) -> list[Path]:
    return [
        path
        for path in kept_files()
        if path.suffix == ".py" and name_of(path).startswith(tuple(f"{f}/" for f in folders))
    ]


def is_generated(path: Path) -> bool:
    return "_pb2" in path.name


@functools.cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), str(path))


def imports_of(path: Path) -> Iterator[tuple[int, str]]:
    """Yield each imported module as (line, dotted name), relative imports made absolute."""
    package = name_of(path.parent).split("/")
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            if node.level == 0:
                prefix = node.module or ""
            else:
                base = package[: len(package) - node.level + 1]
                prefix = ".".join([*base, *([node.module] if node.module else [])])
            for alias in node.names:
                yield node.lineno, f"{prefix}.{alias.name}"


def room_of(dotted: str) -> str | None:
    """Return the room (or top module) of `scheduler` that a dotted name lies in."""
    parts = dotted.split(".")
    return parts[1] if parts[0] == "scheduler" and len(parts) > 1 else None


def test_rooms_import_only_what_lies_further_in() -> None:
    """The core stays pure and testable only as long as nothing leaks into it from outside."""
    broken: list[str] = []
    for path in sources("scheduler"):
        own_parts = name_of(path).removesuffix(".py").split("/")
        own = own_parts[1] if len(own_parts) > 1 else ""
        if own == "__init__":
            own = ""
        allowed = MAY_IMPORT.get(own, set()) | COMMANDS_MAY_IMPORT.get(name_of(path), set())
        for line, dotted in imports_of(path):
            room = room_of(dotted)
            if own == "app" and dotted.startswith("executor.build."):
                continue  # The scheduler builds and serves the executor's archive.
            if room is None and dotted.split(".")[0] != "executor":
                continue
            if room is None or room not in allowed | {own}:
                broken.append(f"{name_of(path)}:{line} imports {dotted}")
    assert not broken


def test_every_room_of_the_scheduler_has_an_import_rule() -> None:
    """A new room gets a place in the order, on purpose."""
    entries = {name_of(path).split("/")[1].removesuffix(".py") for path in sources("scheduler")}
    assert entries - {"__init__", "__main__"} <= set(MAY_IMPORT)


def test_executor_imports_nothing_of_the_scheduler() -> None:
    """It travels to the agents alone, in one archive."""
    assert not [
        f"{name_of(path)}:{line} imports {dotted}"
        for path in sources("executor")
        for line, dotted in imports_of(path)
        if dotted.split(".")[0] in {"scheduler", "tests"}
    ]


@pytest.mark.parametrize("module", ["asyncio", "logging", "random", "socket", "threading", "time"])
def test_core_has_no_clock_no_chance_and_no_io(module: str) -> None:
    """Same events in, same bytes out: the simulator depends on it.

    `Random` may be named: an event brings a seeded one. The module's own functions may not.
    """
    assert not [
        f"{name_of(path)}:{line}"
        for path in sources("scheduler/core")
        for line, dotted in imports_of(path)
        if dotted.split(".")[0] == module and dotted != "random.Random"
    ]


def test_files_fit_in_a_head() -> None:
    """The aim is 400 lines; far beyond that a file is split by noun."""
    assert not [
        f"{name_of(path)}: {count} lines"
        for path in sources("scheduler", "executor", "deploy", "tests")
        if not is_generated(path)
        and (count := path.read_text().count("\n"))
        > (MAX_TEST_LINES if name_of(path).startswith("tests/") else MAX_LINES)
    ]


def test_every_module_says_what_it_is_for() -> None:
    """Line one of a module is what a reader sees first; a room's is its sign on the door."""
    assert not [
        name_of(path)
        for path in sources("scheduler", "executor", "deploy")
        if not is_generated(path) and not ast.get_docstring(tree_of(path))
    ]


# Written so that this file does not contain what it forbids.
BANNED = {
    "absolute path of one machine": re.compile(r"(?<![\w.])/(?:work|root|home)/[a-z.]"),
    "package registry host": re.compile(r"\b(?:pypi|pythonhosted|npmjs)[.]"),
    "merge conflict": re.compile(r"^(?:<{7}|>{7}) ", re.MULTILINE),
    "to-do without a link": re.compile(r"\b(?:TODO|FIXME|XXX)\b(?!.*https?://)"),
    "switched-off coverage of errors": re.compile(r"except(?: Exception)?:\s*pass\b"),
}


@pytest.mark.parametrize("what", BANNED)
def test_no_file_contains(what: str) -> None:
    """Such things are true on one machine, on one day, or for nobody."""
    found = [
        f"{name_of(path)}:{text.count(chr(10), 0, match.start()) + 1}: {match.group()}"
        for path in kept_files()
        if (path.suffix in TEXT_SUFFIXES or path.name in {"Makefile", "run"})
        and path != Path(__file__)
        and not name_of(path).startswith("tests/traces/")
        for text in [path.read_text()]
        for match in BANNED[what].finditer(text)
    ]
    assert not found


LINK = re.compile(r"\]\((?!https?://|mailto:|#)([^)#\s]+)(?:#([^)\s]+))?\)")


def anchors_of(path: Path) -> set[str]:
    """Return the anchors of a Markdown file's headings, made the way GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", path.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_links_in_the_documents_lead_somewhere() -> None:
    """A reader who meets one dead link stops trusting the rest."""
    dead: list[str] = []
    for path in kept_files():
        if path.suffix != ".md":
            continue
        for target, anchor in LINK.findall(path.read_text()):
            there = (path.parent / target).resolve()
            if not there.exists():
                dead.append(f"{name_of(path)}: {target}")
            elif anchor and there.suffix == ".md" and anchor not in anchors_of(there):
                dead.append(f"{name_of(path)}: {target}#{anchor}")
    assert not dead


def test_direct_dependencies_are_all_explained() -> None:
    """Each one costs upkeep and trust; docs/dependencies.md says what it is worth."""
    explained = (REPOSITORY / "docs/dependencies.md").read_text()
    wanted = [
        re.split(r"[=<>~ \[;]", line)[0]
        for kind in ("", "-build", "-dev", "-lint")
        for line in (REPOSITORY / f"requirements{kind}.in").read_text().splitlines()
        if line and not line.startswith(("#", "-"))
    ]
    assert len(wanted) > 10
    assert not [name for name in wanted if f"| {name} " not in explained]


def test_generated_code_is_what_the_protos_say(tmp_path: Path) -> None:
    """`make protos` was forgotten otherwise, and the store would write an old schema."""
    for proto in (REPOSITORY / "protos").glob("*.proto"):
        command = [sys.executable, "-m", "grpc_tools.protoc", "-I", str(proto.parent)]
        command += [f"--python_out={tmp_path}", f"--pyi_out={tmp_path}", str(proto)]
        subprocess.run(command, check=True)
    for kind in ("py", "pyi"):
        committed = REPOSITORY / f"scheduler/store/store_pb2.{kind}"
        assert committed.read_text() == (tmp_path / committed.name).read_text()


def test_locks_pin_every_package_by_hash() -> None:
    """pip refuses a lock with one hash missing, but only on the machine that needs that line."""
    pin = re.compile(r"^[a-z].*?==.*?(?=^[a-z#]|\Z)", re.MULTILINE | re.DOTALL)
    for lock in REPOSITORY.glob("requirements*.lock"):
        pins = pin.findall(lock.read_text())
        assert pins
        assert not [pin.split()[0] for pin in pins if "--hash=sha256:" not in pin]
