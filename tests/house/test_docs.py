"""The documents keep up with the code: what can be set, called or watched is named there, and what they name exists."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import click
import pytest

from reviewbot.variables import VARIABLES
from tests.house.tree import ROOT, files, read

METRIC_TYPES = {"Counter", "Gauge", "Histogram", "Summary", "Info", "Enum"}
# For compose itself: the password that it puts into DATABASE_URL.
SET_FOR_COMPOSE = {"POSTGRES_PASSWORD"}


def documents() -> dict[str, str]:
    """What a user or an operator reads; the record of decisions and of changes explains nothing to them."""
    paths = [path for path in files() if re.fullmatch(r"README\.md|ops/[\w-]+\.md", path)]
    return {path: read(path) for path in paths if path != "ops/decisions.md"}


def metrics(source: str) -> set[str]:
    """The names of the Prometheus metrics that a module makes."""
    calls = (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call) and node.args)
    return {
        call.args[0].value
        for call in calls
        if isinstance(call.func, ast.Name | ast.Attribute)
        and (call.func.id if isinstance(call.func, ast.Name) else call.func.attr) in METRIC_TYPES
        and isinstance(call.args[0], ast.Constant)
        and isinstance(call.args[0].value, str)
    }


def commands(group: click.Command, so_far: str) -> Iterator[str]:
    """Every command that can be typed, with the groups before it: `reviewbot rebuild`."""
    if isinstance(group, click.Group):
        for name, command in group.commands.items():
            if not command.hidden:
                yield from commands(command, f"{so_far} {name}")
    else:
        yield so_far


def code_spans(markdown: str) -> list[str]:
    """The lines of code blocks and the inline code of a document."""
    blocks = re.findall(r"^```.*?\n(.*?)^```", markdown, re.DOTALL | re.MULTILINE)
    prose = re.sub(r"^```.*?^```", "", markdown, flags=re.DOTALL | re.MULTILINE)
    return [line for block in blocks for line in block.splitlines()] + re.findall(r"`([^`\n]+)`", prose)


def targets_named(markdown: str) -> set[str]:
    found = (re.match(r"\s*(?:\$ )?make ((?:[a-z]+ ?)*)", span) for span in code_spans(markdown))
    return {target for match in found if match for target in match[1].split()}


def links(markdown: str) -> set[str]:
    """The relative links of a document, without their fragments."""
    found = re.findall(r"\]\(([^)\s#]+)(?:#[^)]*)?\)", markdown)
    return {target for target in found if not re.match(r"[a-z]+:", target)}


def unnamed(names: set[str]) -> set[str]:
    text = "\n".join(documents().values())
    return {name for name in names if not re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", text)}


def test_every_environment_variable_is_documented() -> None:
    assert unnamed({variable.name for variable in VARIABLES}) == set()


def test_every_command_is_documented() -> None:
    from reviewbot.cli import main

    names = set(commands(main, "reviewbot"))
    assert {"reviewbot serve", "reviewbot demo"} <= names
    assert unnamed(names) == set()


def test_every_metric_is_documented() -> None:
    names = metrics(read("reviewbot/metrics.py"))
    assert names
    assert unnamed(names) == set()


def test_every_make_target_that_a_document_names_exists() -> None:
    (phony,) = re.findall(r"^\.PHONY: (.*)$", read("Makefile"), re.MULTILINE)
    named = targets_named("\n".join(documents().values()))
    assert {"demo", "test"} <= named
    assert named <= set(phony.split())


def test_every_link_inside_the_repository_leads_somewhere() -> None:
    broken = [
        f"{path}: {target}"
        for path, text in documents().items()
        for target in links(text)
        if not (ROOT / path).parent.joinpath(target).exists()
    ]
    assert broken == []


def test_the_example_environment_sets_nothing_that_is_not_read() -> None:
    names = set(re.findall(r"^#?([A-Z][A-Z0-9_]+)=", read("ops/env.example"), re.MULTILINE))
    assert names - SET_FOR_COMPOSE <= {variable.name for variable in VARIABLES}


def test_the_changelog_opens_with_the_version_of_the_project() -> None:
    (version,) = re.findall(r'^version = "(.+)"$', read("pyproject.toml"), re.MULTILINE)
    assert re.findall(r"^## (\S+)", read("CHANGELOG.md"), re.MULTILINE)[0] == version


def test_metrics_and_commands_are_found() -> None:
    assert metrics('a = Counter("jobs_total", "Jobs.")\nb = p.Gauge("busy", "Now.")\nc = list("x")\n') == {
        "jobs_total",
        "busy",
    }
    group = click.Group("x", {"a": click.Command("a"), "b": click.Group("b", {"c": click.Command("c")})})
    assert list(commands(group, "x")) == ["x a", "x b c"]


@pytest.mark.parametrize(
    ("markdown", "targets"),
    [
        ("Run `make demo ONCE=1`.", {"demo"}),
        ("```sh\nmake clean test\n```\n", {"clean", "test"}),
        ("This will make sense of `x`.", set()),
    ],
)
def test_targets_are_found_in_code_but_not_in_prose(markdown: str, targets: set[str]) -> None:
    assert targets_named(markdown) == targets


def test_links_are_found_without_their_fragments() -> None:
    assert links("[a](ops/a.md#b) [c](https://example.org) [d](#e) ![f](f.svg)") == {"ops/a.md", "f.svg"}
