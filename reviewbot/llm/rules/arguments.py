"""Predicates for what a pattern cannot say: whether a format string and its arguments agree in number."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ast_grep_py import SgNode

_PERCENT = re.compile(r"%(?P<flags>[-+# 0,(]*)(?P<width>\*|\d+)?(?:\.(?P<precision>\*|\d+))?[hlL]?(?P<verb>[a-zA-Z%])")
_INDEXED = re.compile(r"%\d+\$|%<|%\[|%\(")  # arguments chosen by number or name: not counted here
_STRINGS = {"string", "interpreted_string_literal", "raw_string_literal", "string_literal"}
_SPREADS = {"list_splat", "dictionary_splat", "spread_element", "variadic_argument"}
_IGNORED = {"comment", "line_comment", "block_comment"}


def percent_mismatch(node: SgNode) -> bool:
    """A call or a Python `%` whose format asks for another number of arguments than stand behind it."""
    counted = _format_and_arguments(node)
    if counted is None:
        return False
    text, given = counted
    wanted = _percent_count(text)
    return wanted is not None and wanted != given


def percent_shortage(node: SgNode) -> bool:
    """As `percent_mismatch`, for formatters that append what is left over: only too few arguments count."""
    counted = _format_and_arguments(node)
    if counted is None:
        return False
    text, given = counted
    wanted = _percent_count(text)
    return wanted is not None and wanted > given > 0


def brace_shortage(node: SgNode) -> bool:
    """A call whose format has more `{}` than arguments behind it."""
    counted = _format_and_arguments(node)
    return counted is not None and counted[0].replace(r"\\{}", "").count("{}") > counted[1] > 0


def _format_and_arguments(node: SgNode) -> tuple[str, int] | None:
    """The first plain string among the arguments and how many follow it; None when they cannot be counted."""
    container = node.field("arguments") or node.field("right")
    if container is None:
        return None
    operands = [child for child in container.named_children() if child.kind() not in _IGNORED]
    if node.kind() == "binary_operator":
        left = node.field("left")
        operands = ([left] if left else []) + (operands if container.kind() == "tuple" else [container])
    if any(operand.kind() in _SPREADS or operand.text().endswith("...") for operand in operands):
        return None
    for place, operand in enumerate(operands[:2]):
        if operand.kind() in _STRINGS and not any(part.kind() == "interpolation" for part in operand.children()):
            return operand.text(), len(operands) - place - 1
    return None


def _percent_count(text: str) -> int | None:
    """How many values a `%` format asks for; None when that depends on the values themselves."""
    if _INDEXED.search(text):
        return None
    verbs = [match for match in _PERCENT.finditer(text) if match["verb"] not in "%n"]  # %n: Java's line break
    if any("*" in (match["width"], match["precision"]) for match in verbs):
        return None
    return len(verbs)


PREDICATES: dict[str, Callable[[SgNode], bool]] = {
    "percent-mismatch": percent_mismatch,
    "percent-shortage": percent_shortage,
    "brace-shortage": brace_shortage,
}
