"""Each syntax rule reports what it must and is silent about what it must not."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from reviewbot.llm.base import ChangedFile, Fragment
from reviewbot.llm.rules import structure
from reviewbot.llm.rules.model import Clock, Language
from reviewbot.llm.rules.rulebook import RULE_FILES, Rule, load

ENDINGS: dict[Language, str] = {
    "python": "py",
    "javascript": "js",
    "typescript": "ts",
    "tsx": "tsx",
    "go": "go",
    "java": "java",
}
RULES = [rule for name in RULE_FILES for rule in load(name)]


def new_file(language: Language, code: str) -> ChangedFile:
    lines = tuple(code.split("\n"))
    return ChangedFile(
        path=f"src/code.{ENDINGS[language]}",
        fragments=(Fragment(1, lines),),
        added=frozenset(range(1, len(lines) + 1)),
        content=code,
    )


def reported(language: Language, code: str) -> set[str]:
    return {hit.rule for hit in structure.check(new_file(language, code), Clock(file_seconds=60, total_seconds=60))}


def examples(kind: str) -> Iterator[object]:
    for rule in RULES:
        for number, code in enumerate(rule.fails if kind == "fails" else rule.passes, 1):
            yield pytest.param(rule, code, id=f"{rule.id}-{number}")


@pytest.mark.parametrize(("rule", "code"), list(examples("fails")))
def test_the_failing_example_is_reported(rule: Rule, code: str) -> None:
    for language in rule.languages:
        assert rule.id in reported(language, code)


@pytest.mark.parametrize(("rule", "code"), list(examples("passes")))
def test_the_passing_example_is_not_reported(rule: Rule, code: str) -> None:
    for language in rule.languages:
        assert rule.id not in reported(language, code)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_every_rule_has_a_failing_and_a_passing_example(rule: Rule) -> None:
    assert rule.fails
    assert rule.passes


def test_rule_ids_are_unique() -> None:
    assert len({rule.id for rule in RULES}) == len(RULES)


def test_every_language_has_at_least_twenty_rules() -> None:
    for language in ENDINGS:
        assert sum(language in rule.languages for rule in RULES) >= 20
