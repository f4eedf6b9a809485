"""The documents keep up with the code: what can be set, called or watched is named there, and what they name exists."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Any

import click
import msgspec
import pytest
import yaml

from reviewbot.variables import VARIABLES, Variable
from tests.house.tree import ROOT, files, files_of_packages, read

METRIC_TYPES = {"Counter", "Gauge", "Histogram", "Summary", "Info", "Enum"}
ALERTS = "ops/prometheus/rules.yml"
# For compose itself: the password that it puts into DATABASE_URL, and the folder of the backups.
SET_FOR_COMPOSE = {"POSTGRES_PASSWORD", "BACKUP_DIR"}


def documents() -> dict[str, str]:
    """What a user or an operator reads; the record of decisions and of changes explains nothing to them."""
    paths = [path for path in files() if re.fullmatch(r"README\.md|ops/[\w-]+\.md", path)]
    return {path: read(path) for path in paths if path != "ops/decisions.md"}


class Metric(msgspec.Struct, frozen=True):
    """A Prometheus metric as a module makes it; `attribute` is what it is called in Python, empty for a local name."""

    name: str
    kind: str
    meaning: str
    labels: tuple[str, ...]
    attribute: str

    @property
    def series(self) -> set[str]:
        """What a query may call it."""
        return {self.name} | (
            {f"{self.name}_{end}" for end in ("bucket", "sum", "count")} if self.kind == "histogram" else set()
        )


def metrics(source: str) -> list[Metric]:
    """The Prometheus metrics that a module makes and keeps under a name, in order."""
    assignments = (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Assign))
    return [made for node in assignments if (made := metric(node)) is not None]


def metric(node: ast.Assign) -> Metric | None:
    call, target = node.value, node.targets[0]
    if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id in METRIC_TYPES):
        return None
    name, meaning, *labels = map(ast.literal_eval, call.args)
    attribute = target.attr if isinstance(target, ast.Attribute) else ""
    return Metric(name, call.func.id.lower(), meaning, tuple(labels[0]) if labels else (), attribute)


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


def row(*cells: str) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def variable_row(variable: Variable) -> str:
    default = f"`{variable.default}`" if variable.default else variable.computed
    values = f"{variable.low:,} to {variable.high:,}" if variable.kind == "number" else variable.kind
    return row(f"`{variable.name}`", variable.meaning, default, values)


def metric_row(made: Metric) -> str:
    return row(f"`{made.name}`", made.kind, ", ".join(f"`{label}`" for label in made.labels), made.meaning)


def table(markdown: str, header: str) -> list[str]:
    """The rows of the table with this header."""
    _, _, rest = markdown.partition(header + "\n")
    return rest.partition("\n\n")[0].splitlines()[1:]


def alerts() -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(read(ALERTS))["groups"] for rule in group["rules"]]


def series_in(expression: str) -> set[str]:
    """The metrics of ours that a query reads, with the labels and values it asks for left out."""
    return set(re.findall(r"\b(?:reviewbot|aiohttp)_\w+", re.sub(r"\{.*?\}", "", expression)))


def anchors(markdown: str) -> set[str]:
    """The fragments that GitHub gives the headings of a document."""
    headings = re.findall(r"^#+ (.+)$", markdown, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_table_of_the_configuration_is_what_the_code_says_word_for_word() -> None:
    rows = table(read("README.md"), "| Variable | Meaning | Default | Values |")
    assert rows == [variable_row(variable) for variable in VARIABLES]


def test_the_table_of_the_metrics_is_what_the_code_says_word_for_word() -> None:
    rows = table(read("README.md"), "| Metric | Type | Labels | Meaning |")
    assert rows == [metric_row(made) for made in metrics(read("reviewbot/metrics.py"))]


def test_every_metric_is_set_somewhere() -> None:
    rest = "\n".join(
        read(path) for path in files_of_packages() if path.endswith(".py") and path != "reviewbot/metrics.py"
    )
    kept = [made.attribute for made in metrics(read("reviewbot/metrics.py")) if made.attribute]
    assert [name for name in kept if not re.search(rf"metrics\.{name}\b", rest)] == []


def test_every_alert_reads_metrics_that_exist_and_says_where_to_go_on() -> None:
    known = {name for made in metrics(read("reviewbot/metrics.py")) for name in made.series}
    for alert in alerts():
        assert series_in(alert["expr"]) <= known, alert["alert"]
        assert alert["labels"]["severity"] in {"page", "warn"}
        assert alert["annotations"]["summary"]
        path, _, fragment = alert["annotations"]["runbook"].partition("#")
        assert fragment in anchors(read(path)), alert["alert"]
    names = [alert["alert"] for alert in alerts()]
    assert len(names) == len(set(names)) > 5


def test_every_label_that_an_alert_asks_for_is_one_of_its_metric() -> None:
    by_name = {name: made for made in metrics(read("reviewbot/metrics.py")) for name in made.series}
    for alert in alerts():
        for name, asked in re.findall(r"\b(reviewbot_\w+)\{(.*?)\}", alert["expr"]):
            assert set(re.findall(r"(\w+)\s*[=!]", asked)) <= set(by_name[name].labels), alert["alert"]


def test_the_number_of_syntax_rules_is_what_the_rule_books_hold() -> None:
    books = [
        read(path) for path in files_of_packages() if path.startswith("reviewbot/llm/rules/") and path.endswith(".yml")
    ]
    there = sum(len(re.findall(r"^  - id: ", book, re.MULTILINE)) for book in books)
    assert re.findall(r"(\d+) syntax rules", read("README.md")) == [str(there)]


def test_every_answer_of_the_webhook_is_in_its_table() -> None:
    told = {
        tuple(re.findall(r"\d{3}|(?<=`)\w+(?=`)", line)[:2])
        for line in table(read("README.md"), "| Code | `status` | When |")
    }
    refused = {(code, "refused") for code in re.findall(r"Refused\((\d{3})", read("reviewbot/intake.py"))}
    assert {code for code, _ in refused} > {"401", "413", "503"}
    outcomes = re.search(r"class Outcome.*?Literal\[(.*?)\]", read("reviewbot/recorder.py"), re.DOTALL)
    assert outcomes
    stored = set(re.findall(r'"(\w+)"', outcomes[1]))
    assert told == refused | {("200" if name in {"ignored", "duplicate"} else "202", name) for name in stored}


def test_every_fragment_of_a_link_is_a_heading() -> None:
    broken = [
        f"{path}: {target}"
        for path, text in documents().items()
        for target in re.findall(r"\]\(([^)\s]*#[^)\s]+)\)", text)
        if not re.match(r"[a-z]+:", target) and not leads_to_a_heading(path, target)
    ]
    assert broken == []


def leads_to_a_heading(path: str, target: str) -> bool:
    file, _, fragment = target.partition("#")
    there = (ROOT / path).parent / file if file else ROOT / path
    return fragment in anchors(there.read_text(encoding="utf-8"))


def test_every_command_is_documented() -> None:
    from reviewbot.cli import main

    names = set(commands(main, "reviewbot"))
    assert {"reviewbot serve", "reviewbot demo"} <= names
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
    assert metrics('self.a = Histogram("a_seconds", "A.", ["x"])\nb = Gauge("busy", "Now.")\nc = list("x")\n') == [
        Metric("a_seconds", "histogram", "A.", ("x",), "a"),
        Metric("busy", "gauge", "Now.", (), ""),
    ]
    assert series_in('sum(increase(reviewbot_a_total{reason="reviewbot_b"}[5m])) > 1') == {"reviewbot_a_total"}
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
