"""Reads the syntax rules that lie beside this file, one YAML file a language, each rule with its examples."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files
from typing import Any

import msgspec

from reviewbot.llm.rules.model import Language, Severity

RULE_FILES = ("python.yml", "javascript.yml", "go.yml", "java.yml")


class Rule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One syntax rule. `rule`, `constraints` and `utils` are ast-grep's own rule form.

    `words` are texts of which at least one stands in every match: without any of them the rule is not even compiled.
    `report` names the meta-variable whose lines are told instead of the whole match; `only_if` a predicate of
    arguments.py that the match must pass too. `whole_file` rules look for something that is missing elsewhere, so
    they do not run on fragments; `skip_tests` rules do not run on tests, samples and fixtures.
    """

    id: str
    severity: Severity
    category: str
    title: str
    body: str
    rule: dict[str, Any]
    constraints: dict[str, Any] = {}
    utils: dict[str, Any] = {}
    languages: tuple[Language, ...] = ()  # empty: those of the file
    words: tuple[str, ...] = ()
    report: str | None = None
    only_if: str | None = None
    whole_file: bool = False
    skip_tests: bool = False
    fails: tuple[str, ...]
    passes: tuple[str, ...]

    @property
    def config(self) -> Any:
        """What ast-grep's `find_all` takes; its own type for it is a TypedDict that YAML cannot promise."""
        return {"rule": self.rule, "constraints": self.constraints, "utils": self.utils}


class RuleFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One YAML file: rules for the same languages, and helper rules that any of them may use by `matches`."""

    languages: tuple[Language, ...]
    rules: tuple[Rule, ...]
    utils: dict[str, Any] = {}


@cache
def load(name: str) -> tuple[Rule, ...]:
    """The rules of one file, with what the file says for all of them filled in."""
    text = files("reviewbot.llm.rules").joinpath(name).read_bytes()
    book = msgspec.yaml.decode(text, type=RuleFile)
    return tuple(
        msgspec.structs.replace(
            rule,
            rule=_plain(rule.rule),
            constraints=_plain(rule.constraints),
            utils=_plain({name: util for name, util in {**book.utils, **rule.utils}.items() if name in str(rule)}),
            languages=rule.languages or book.languages,
        )
        for rule in book.rules
    )


_CLASS = re.compile(r"\\\\|\\[wsdb]|\[|\]|\\.")
_ASCII = {r"\w": "0-9A-Za-z_", r"\s": r" \t\r\n\f", r"\d": "0-9"}


def _plain(part: Any) -> Any:
    """The same rule with ASCII classes in its expressions: ast-grep compiles it for each file, Unicode ones slowly."""
    if isinstance(part, dict):
        return {key: _ascii(value) if key == "regex" else _plain(value) for key, value in part.items()}
    return [_plain(item) for item in part] if isinstance(part, list) else part


def _ascii(regex: str) -> str:
    in_class = False

    def swap(match: re.Match[str]) -> str:
        nonlocal in_class
        part = match[0]
        if part in ("[", "]"):
            in_class = part == "["
        if part == r"\b":
            return r"(?-u:\b)"
        if part in _ASCII:
            return _ASCII[part] if in_class else f"[{_ASCII[part]}]"
        return part

    return _CLASS.sub(swap, regex)


@cache
def rules_for(language: Language) -> tuple[Rule, ...]:
    """All rules for a language, in the order of their file."""
    return tuple(rule for name in RULE_FILES for rule in load(name) if language in rule.languages)
