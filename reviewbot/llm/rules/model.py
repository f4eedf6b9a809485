"""What the offline checks share: a hit, the language of a path, and the time they may take."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator
from typing import Literal

import msgspec

from reviewbot.llm.base import ChangedFile

Severity = Literal["critical", "high", "medium", "low"]
Language = Literal["python", "javascript", "typescript", "tsx", "go", "java"]

_TEST_PATH = re.compile(
    r"(^|/)(tests?|__tests__|__mocks__|testing|testdata|test[-_]fixtures|fixtures|specs?|e2e|cypress|examples?|samples?)/"
    r"|(^|/)(test_[^/]*|[^/]*_test|conftest)\.py$|_test\.go$"
    r"|\.(test|spec|cy|stories)\.[cm]?[jt]sx?$|(Test|Tests|IT|TestCase)\.java$"
)


class Hit(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that a check found. Lines are 1-based, inclusive, on the new side."""

    rule: str
    severity: Severity
    category: str
    title: str
    body: str
    line: int
    end_line: int
    quotable: bool = True  # False: the line holds what must not be repeated


class NotChecked(Exception):
    """A file cannot be checked to its end; the message says why, for the summary. What was found before counts."""


class Clock:
    """Bounds the work by the file and in all. Checked between steps, so a single step may overrun."""

    def __init__(self, *, file_seconds: float, total_seconds: float) -> None:
        self._file_seconds = file_seconds
        self._end = time.monotonic() + total_seconds
        self._file_end = self._end
        self._cancelled = threading.Event()

    def start_file(self) -> None:
        self._file_end = min(self._end, time.monotonic() + self._file_seconds)

    def cancel(self) -> None:
        """Makes the next check raise, from whichever thread."""
        self._cancelled.set()

    def remaining(self) -> float:
        """Seconds left for this file, above 0. Raises NotChecked when none are."""
        left = self._file_end - time.monotonic()
        if left <= 0 or self._cancelled.is_set():
            raise NotChecked("took too long")
        return left


Check = Callable[[ChangedFile, Clock], Iterator[Hit]]


def added_lines(file: ChangedFile) -> Iterator[tuple[int, str]]:
    """Number and text of each added line, in order."""
    for fragment in file.fragments:
        for number, text in enumerate(fragment.lines, fragment.start):
            if number in file.added:
                yield number, text


def is_test_path(path: str) -> bool:
    """Whether a path looks like tests, samples or fixtures, where made-up secrets and debugging are at home."""
    return _TEST_PATH.search(path) is not None
