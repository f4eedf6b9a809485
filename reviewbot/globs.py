"""Paths against patterns of a .gitignore that strangers wrote, in bounded time. Pure.

A library's regular expressions backtrack: five stars in one pattern and a path made for it cost minutes. Here each star
takes the first place that fits and never another, which is enough, since what stands between two stars has one length.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

_TOKEN = re.compile(
    r"\\(?P<escaped>.)|(?P<star>\*+)|(?P<any>\?)|(?P<class>\[[!^]?\]?[^]]*\])|(?P<literal>.)", re.DOTALL
)
_TO_THE_END = r"(?=/|\Z)"  # of a name in the path


class GlobError(ValueError):
    """The pattern means nothing; the message goes on after "the pattern"."""


class Glob(NamedTuple):
    """One pattern, ready for use."""

    expression: re.Pattern[str]
    takes_back: bool  # written with a "!" before it


def parse_glob(pattern: str) -> Glob:
    """Read one line of a .gitignore: `*`, `**`, `?`, `[a-z]`, `!`, backslashes, slashes that anchor. Raises GlobError.

    Source: the manual page gitignore(5). Trailing blanks belong to no pattern.
    """
    rest = pattern.rstrip(" ")
    if not rest or rest.startswith("#"):
        raise GlobError("is empty" if not rest else 'is a comment: write a backslash before the "#"')
    takes_back = rest.startswith("!")
    rest = rest.removeprefix("!")
    folder = rest.endswith("/")
    names = rest.strip("/").split("/")
    if names == [""]:
        raise GlobError("names no path")
    if "/" not in rest.rstrip("/") and names != ["**"]:
        names.insert(0, "**")  # it may stand at any depth
    try:
        return Glob(re.compile(_expression(names, folder), re.DOTALL), takes_back)
    except re.error as error:
        raise GlobError(f"cannot be read: {error.msg}") from error


def matches_globs(globs: Sequence[Glob], path: str) -> bool:
    """Whether the patterns mean a path: the last one that fits it, or a folder above it, decides."""
    return next((not glob.takes_back for glob in reversed(globs) if glob.expression.match(path)), False)


def _expression(names: Sequence[str], folder: bool) -> str:
    """Groups of names between `**`, each found at the first place where it fits."""
    below = names[-1] == "**"  # all that is in a folder, but not the folder
    groups: list[list[str]] = [[]]
    for name in names[:-1] if below else names:
        if name == "**":
            groups.append([])
        else:
            groups[-1].append(_name(name))
    found = "/".join(groups[0])
    for group in groups[1:]:
        if group:
            found += (r"/" if found else "") + rf"(?>(?:[^/]*+/)*?{'/'.join(group)})"
    if not found:
        return "[^/]+/." if folder else "."
    return rf"\A{found}" + ("/." if folder or below else r"(?:/|\Z)")


def _name(text: str) -> str:
    """The expression for one name of a path, between two slashes."""
    pieces = [""]
    for token in _TOKEN.finditer(text):
        if token["star"]:
            pieces.append("")
        else:
            pieces[-1] += _character(token)
    if not any(pieces):
        return "[^/]++"
    first, *later = pieces
    if not later:
        return first + _TO_THE_END
    middle = "".join(f"(?>[^/]*?{piece})" for piece in later[:-1] if piece)
    return first + middle + (f"(?>[^/]*?{later[-1]}{_TO_THE_END})" if later[-1] else "[^/]*+")


def _character(token: re.Match[str]) -> str:
    if token["any"]:
        return "[^/]"
    if token["class"]:
        return _class(token["class"][1:-1])
    return re.escape(token["escaped"] or token["literal"])


def _class(content: str) -> str:
    negated = content.startswith(("!", "^"))
    members = re.sub(r"([\\\[\]^&~|])", r"\\\1", content[negated:])
    return f"(?!/)[{'^' if negated else ''}{members}]"
