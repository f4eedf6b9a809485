"""Finds the markers of an unfinished merge in any text file."""

from __future__ import annotations

import re
from collections.abc import Iterator

from reviewbot.llm.base import ChangedFile
from reviewbot.llm.rules.model import Clock, Hit, added_lines

# What git writes: seven signs at the start of the line, then a blank and a label. A bare ======= is also how
# Markdown and reStructuredText underline a heading, so it counts only between an opening and a closing one.
_OPENING = re.compile(r"<{7} \S|\|{7} \S")
_MIDDLE = re.compile(r"={7}\r?$")
_CLOSING = re.compile(r">{7} \S")


def check(file: ChangedFile, clock: Clock) -> Iterator[Hit]:
    clock.remaining()
    openings: list[int] = []
    middles: list[int] = []
    for number, text in added_lines(file):
        if _OPENING.match(text):
            openings.append(number)
            yield _hit(number)
        elif _MIDDLE.match(text):
            middles.append(number)
        elif _CLOSING.match(text):
            yield _hit(number)
            yield from (_hit(middle) for middle in middles if openings and openings[-1] < middle <= number)
            middles.clear()


def _hit(line: int) -> Hit:
    return Hit(
        rule="conflict-marker",
        severity="critical",
        category="conflict-marker",
        title="Merge conflict marker left in the file",
        body="This marker of an unfinished merge is part of the change, so both sides of the conflict are in the file. "
        "Decide for one side (or join them) and remove all marker lines.",
        line=line,
        end_line=line,
    )
