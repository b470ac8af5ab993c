"""The map of the code shows what is there: a page of wrong names is worse than none."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent.parent
PAGE = (REPOSITORY / "docs" / "architecture.md").read_text()
README = (REPOSITORY / "README.md").read_text()

_NAME = re.compile(r"`([\w/]+\.py)(?::([\w.]+))?`")
_Definition = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
_POINTS = re.compile(r"The points: (.+?)\.\n", re.DOTALL)


def file_of(path: str) -> Path:
    found = REPOSITORY / "scheduler" / path
    return found if found.exists() else REPOSITORY / path


def defined_in(body: list[ast.stmt]) -> Iterator[_Definition]:
    for node in body:
        if isinstance(node, _Definition):
            yield node


def names_in(path: Path) -> set[str]:
    """What a module defines: classes, functions, and the methods of its classes."""
    names: set[str] = set()
    for node in defined_in(ast.parse(path.read_text()).body):
        names.add(node.name)
        if isinstance(node, ast.ClassDef):
            names |= {f"{node.name}.{inner.name}" for inner in defined_in(node.body)}
    return names


def test_every_file_and_function_on_the_map_exists() -> None:
    missing: list[str] = []
    for name, inner in _NAME.findall(PAGE):
        path = file_of(name)
        if not path.exists():
            missing.append(name)
        elif inner and inner not in names_in(path):
            missing.append(f"{name}:{inner}")
    assert not missing


def test_every_room_of_the_scheduler_is_on_the_map() -> None:
    rooms = {path.parent.name for path in (REPOSITORY / "scheduler").glob("*/__init__.py")}
    assert not [room for room in sorted(rooms) if f"`{room}`" not in PAGE]


def test_the_crash_points_on_the_map_are_those_of_the_code() -> None:
    listed = _POINTS.search(PAGE)
    assert listed is not None
    sources = (REPOSITORY / "scheduler" / "runtime").glob("*.py")
    placed = {
        name
        for path in sources
        for name in re.findall(r'^ +crash_here\("(\w+)"\)', path.read_text(), re.MULTILINE)
    }
    assert set(re.findall(r"`(\w+)`", listed[1])) == placed


def test_links_lead_to_pages_that_exist() -> None:
    for folder, text in ((REPOSITORY / "docs", PAGE), (REPOSITORY, README)):
        targets = [target.partition("#")[0] for target in re.findall(r"\]\(([^)]+)\)", text)]
        local = [target for target in targets if target and "://" not in target]
        assert not [target for target in local if not (folder / target).exists()]
    headings = {
        re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")
        for heading in re.findall(r"^## (.+)$", PAGE, re.MULTILINE)
    }
    assert set(re.findall(r"\]\(#([^)]+)\)", PAGE)) <= headings
