"""From a pull request and a part of its diff to the two texts that a model is asked with. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from functools import cache
from importlib import resources
from itertools import count
from string import Template

import msgspec

from reviewbot.invisible import show_invisible
from reviewbot.leaks import redact

MAX_NAME_LENGTH = 300  # characters of a title or a branch
MAX_BODY_LENGTH = 5_000  # characters of a description


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a pull request beside its diff. All but `language` is written by its author."""

    title: str = ""
    body: str = ""
    head_branch: str = ""
    base_branch: str = ""
    language: str = "English"  # of the answer


class Wish(msgspec.Struct, frozen=True):
    """What a repository wants minded, in its own words: everywhere, or in the files that `paths` means."""

    paths: tuple[str, ...]  # patterns of a .gitignore
    text: str


def render(
    subject: Subject,
    diff: str,
    *,
    part: int = 1,
    parts: int = 1,
    max_findings: int = 20,
    wishes: Sequence[Wish] = (),
) -> tuple[str, str]:
    """The system and the user text for one part of a diff, as `reviewbot.diff.budget` writes it.

    What the author wrote stands between delimiters that occur nowhere in it; invisible characters are shown as code
    points, and what has the form of a credential is left out. The same arguments give the same texts.
    """
    author = {
        "title": _given(subject.title, MAX_NAME_LENGTH),
        "branches": " into ".join(_given(name, MAX_NAME_LENGTH) for name in (subject.head_branch, subject.base_branch)),
        "body": _given(subject.body, MAX_BODY_LENGTH),
        "diff": redact(show_invisible(diff)).strip("\n"),
    }
    wanted = [_wanted(wish) for wish in wishes]
    delimiter = _delimiter((*author.values(), *wanted))
    of = f" Its diff is long; this is part {part} of {parts}, and the other parts are reviewed by themselves."
    # The system text does not depend on the pull request, so that providers can cache it.
    system = Template(_text("system.md")).substitute(max_findings=max_findings, language=subject.language)
    fenced = "".join(f"<<<{delimiter} wishes\n{text}\n{delimiter}>>>\n\n" for text in wanted)
    part_of = of if parts > 1 else ""
    user = Template(_text("user.md")).substitute(author, delimiter=delimiter, part=part_of, wishes=fenced)
    return system, user


def _wanted(wish: Wish) -> str:
    about = f"About files that match {', '.join(wish.paths)}:\n" if wish.paths else ""
    return redact(show_invisible(about + wish.text)).strip()


@cache
def prompt_version() -> str:
    """12 hex digits that change whenever a template does."""
    return _digest(name + "\0" + _text(name) for name in ("system.md", "user.md"))


@cache
def _text(name: str) -> str:
    return resources.files("reviewbot.prompts").joinpath(name).read_text(encoding="utf-8")


def _given(text: str, limit: int) -> str:
    shown = redact(show_invisible(text)).strip()
    if not shown:
        return "(none)"
    return shown if len(shown) <= limit else f"{shown[:limit]}\u2026 (cut: {len(shown) - limit} more characters)"


def _delimiter(texts: Iterable[str]) -> str:
    """A word that is in none of the texts, made from them so that the same prompt is written the same way."""
    content = "\0".join(texts)
    words = (f"DATA-{_digest((content, str(number)))}" for number in count())
    return next(word for word in words if word not in content)


def _digest(texts: Iterable[str]) -> str:
    digest = hashlib.sha256()
    for text in texts:
        digest.update(text.encode("utf-8"))
    return digest.hexdigest()[:12]
