"""Nothing an operator can set or watch is left out of the documents."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from scheduler.config import OPTIONS

REPOSITORY = Path(__file__).resolve().parent.parent.parent


def sources(*folders: str) -> Iterator[Path]:
    for folder in folders:
        yield from sorted((REPOSITORY / folder).rglob("*.py"))


def strings_in(path: Path) -> Iterator[str]:
    """Yield the string constants of a module that are not docstrings or parts of sentences."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " not in node.value:
            yield node.value


def options_in(path: Path) -> Iterator[str]:
    """Yield the `--flags` of the click options that a module declares."""
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.Call):
            continue
        if getattr(node.func, "attr", getattr(node.func, "id", "")) != "option":
            continue
        for argument in node.args:
            if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                yield from (part for part in argument.value.split("/") if part.startswith("--"))


def missing_from(document: str, names: set[str]) -> list[str]:
    path = REPOSITORY / "docs" / document
    text = path.read_text() if path.exists() else ""
    return sorted(name for name in names if not re.search(rf"(?<![\w-]){name}(?![\w-])", text))


def test_every_flag_of_the_scheduler_is_in_the_configuration_page() -> None:
    """Who moves from Marathon looks there for the flag that takes the place of theirs."""
    flags = {option.flag for option in OPTIONS}
    flags |= set(options_in(REPOSITORY / "scheduler/cli/scheduler.py"))
    assert missing_from("configuration.md", flags) == []


def test_every_flag_of_the_other_commands_is_in_the_page_of_the_command_line() -> None:
    """Whoever writes a script reads that page, not the help of twenty commands."""
    flags = {flag for path in sources("scheduler/cli") for flag in options_in(path)}
    flags -= set(options_in(REPOSITORY / "scheduler/cli/scheduler.py"))
    assert len(flags) > 15
    assert missing_from("cli.md", flags) == []


def test_every_environment_variable_is_in_the_configuration_page() -> None:
    """A variable that nobody can find is a trap."""
    variables = {
        text
        for path in sources("scheduler", "executor")
        for text in strings_in(path)
        if re.fullmatch(r"EGRET_[A-Z_]*[A-Z]", text)
    }
    assert missing_from("configuration.md", variables) == []


def test_every_metric_is_in_the_metrics_page() -> None:
    """An alert is written from that page, not from the source."""
    metrics = {
        text
        for path in sources("scheduler")
        for text in strings_in(path)
        if re.fullmatch(r"egret_[a-z0-9_]+[a-z0-9]", text)
    }
    assert missing_from("metrics.md", metrics) == []


def test_every_test_that_the_page_of_pains_names_is_there() -> None:
    """The page promises that a named test would fail; one that was renamed promises nothing."""
    text = (REPOSITORY / "docs/marathon-pains.md").read_text()
    named = set(re.findall(r"`(test_\w+)`", text))
    tests = {
        node.name: path
        for path in sources("tests/unit")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    assert len(named) > 30
    assert named - tests.keys() == set()
    pains = {name for name, path in tests.items() if path.name == "test_pains.py"}
    assert {name for name in pains if name.startswith("test_")} - named == set()
