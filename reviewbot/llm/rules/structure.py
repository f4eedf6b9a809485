"""Runs the syntax rules over the parsed code of a changed file and keeps what touches an added line."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import TYPE_CHECKING

import msgspec

from reviewbot.llm.base import ChangedFile, Fragment
from reviewbot.llm.rules.arguments import PREDICATES
from reviewbot.llm.rules.model import Clock, Hit, Language, NotChecked, is_test_path
from reviewbot.llm.rules.rulebook import Rule, rules_for

if TYPE_CHECKING:
    from ast_grep_py import SgNode

LANGUAGES: dict[str, Language] = {
    ".py": "python", ".pyi": "python", ".pyw": "python",
    ".js": "javascript", ".jsx": "javascript", ".mjs": "javascript", ".cjs": "javascript",
    ".ts": "typescript", ".mts": "typescript", ".cts": "typescript", ".tsx": "tsx",
    ".go": "go", ".java": "java",
}  # fmt: skip
# Rules look up and down the tree from each node, so deep nesting costs the square of its depth. Real code stays
# below 60 levels; long chains of operators or calls in generated code reach a few hundred.
MAX_DEPTH = 400
MAX_SPAN = 10  # lines; a longer match is told at its first added line


class Piece(msgspec.Struct, frozen=True):
    """Consecutive lines that are parsed together."""

    text: str
    first_line: int
    whole: bool  # the whole file


def check(file: ChangedFile, clock: Clock) -> Iterator[Hit]:
    language = LANGUAGES.get("." + file.path.rpartition(".")[2].lower())
    if language is None or not file.added:
        return
    in_tests = is_test_path(file.path)
    for piece in _pieces(file):
        rules = [
            rule
            for rule in rules_for(language)
            if (piece.whole or not rule.whole_file) and not (in_tests and rule.skip_tests)
        ]
        for rule, first, last in _matches(piece, language, rules, clock):
            if place := _place(first, last, file):
                yield _hit(rule, *place)


def _pieces(file: ChangedFile) -> Iterator[Piece]:
    if file.content is not None:
        yield Piece(_parsable(file.content), 1, whole=True)
        return
    for fragment in file.fragments:
        yield Piece(_parsable(textwrap.dedent("\n".join(fragment.lines))), fragment.start, whole=False)


def _parsable(text: str) -> str:
    return text.encode("utf-8", "replace").decode()  # the parser refuses lone surrogates


def _matches(piece: Piece, language: Language, rules: list[Rule], clock: Clock) -> Iterator[tuple[Rule, int, int]]:
    from ast_grep_py import SgRoot  # 45 MB of grammars: only a process that parses loads them

    clock.remaining()
    root = SgRoot(piece.text, language).root()
    if _deeper_than(root, MAX_DEPTH):
        raise NotChecked("nested too deeply for the syntax rules")
    for rule in rules:
        clock.remaining()
        if rule.words and not any(word in piece.text for word in rule.words):
            continue
        for node in root.find_all(rule.config):
            if rule.only_if and not PREDICATES[rule.only_if](node):
                continue
            shown = (node.get_match(rule.report) if rule.report else None) or node
            span = shown.range()
            last = span.end.line - (1 if span.end.column == 0 and span.end.line > span.start.line else 0)
            yield rule, span.start.line + piece.first_line, last + piece.first_line


def _deeper_than(root: SgNode, limit: int) -> bool:
    level = [root]
    for _ in range(limit):
        level = [child for node in level for child in node.children()]
        if not level:
            return False
    return True


def _place(first: int, last: int, file: ChangedFile) -> tuple[int, int] | None:
    """The lines to tell: within one fragment, touching an added line, and short enough to be read."""
    for fragment in file.fragments:
        start, end = max(first, fragment.start), min(last, _last_line(fragment))
        touched = next((line for line in range(start, end + 1) if line in file.added), None)
        if touched is not None:
            return (touched, touched) if end - start >= MAX_SPAN else (start, end)
    return None


def _last_line(fragment: Fragment) -> int:
    return fragment.start + len(fragment.lines) - 1


def _hit(rule: Rule, line: int, end_line: int) -> Hit:
    return Hit(
        rule=rule.id,
        severity=rule.severity,
        category=rule.category,
        title=rule.title,
        body=rule.body.strip(),
        line=line,
        end_line=end_line,
    )
