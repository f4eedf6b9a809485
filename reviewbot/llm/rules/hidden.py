"""Finds characters that make code read differently from how it runs: bidirectional, tag and zero-width ones."""

from __future__ import annotations

import re
from collections.abc import Iterator

from reviewbot.llm.base import ChangedFile
from reviewbot.llm.rules.model import Clock, Hit, added_lines

# CVE-2021-42574 ("Trojan Source"): embeddings, overrides and isolates. The plain marks U+200E and U+200F, which
# ordinary right-to-left text needs, reorder nothing around them and are left alone.
_BIDI = re.compile("[\u202a-\u202e\u2066-\u2069]")
# UTS #51, emoji tag sequences: a black flag, two to six tag letters or digits, and the cancel tag.
_TAG_FLAG = re.compile("\U0001f3f4[\U000e0030-\U000e0039\U000e0061-\U000e007a]{2,6}\U000e007f")
_TAGS = re.compile("[\U000e0000-\U000e007f]+")
# Between two ASCII word characters no joiner, space or soft hyphen of zero width has any use in any script.
_ZERO_WIDTH = re.compile("(?<=[0-9A-Za-z_])[\u00ad\u180e\u200b-\u200d\u2060-\u2064\ufeff]+(?=[0-9A-Za-z_])")
_INVISIBLE_LETTER = re.compile("[\u115f\u1160\u3164\uffa0]")  # Hangul fillers: letters to a compiler, blank to a reader


def check(file: ChangedFile, clock: Clock) -> Iterator[Hit]:
    for number, text in added_lines(file):
        if text.isascii():
            continue
        clock.remaining()
        if found := _BIDI.findall(text):
            yield _hit("hidden-bidi", number, "Bidirectional control character", _BIDI_BODY, found)
        if found := _TAGS.findall(_TAG_FLAG.sub("", text)):
            yield _hit("hidden-tags", number, "Invisible tag characters", _TAGS_BODY, list("".join(found)))
        if found := _ZERO_WIDTH.findall(text) + _INVISIBLE_LETTER.findall(text):
            yield _hit(
                "hidden-zero-width", number, "Invisible character inside a word", _ZERO_WIDTH_BODY, list("".join(found))
            )


_BIDI_BODY = (
    "can make an editor show this line in another order than the compiler reads it, so that code looks like a comment "
    "or the other way round. Remove it; where text needs it, write it as an escape."
)
_TAGS_BODY = (
    "shows nothing but can carry a whole hidden message, for a person's tools or for a language model. "
    "Only flag emoji use such characters. Remove them."
)
_ZERO_WIDTH_BODY = (
    "makes two names that look the same differ, and breaks search and comparison. Remove it; if a string needs it, "
    "write it as an escape."
)


def _hit(rule: str, line: int, title: str, body: str, found: list[str]) -> Hit:
    names = sorted({f"U+{ord(char):04X}" for char in found})
    shown = ", ".join(names[:5]) + (f" and {len(names) - 5} others" if len(names) > 5 else "")
    return Hit(
        rule=rule,
        severity="medium" if rule == "hidden-zero-width" else "high",
        category="security",
        title=title,
        body=f"The hidden {shown} on this line {body}",
        line=line,
        end_line=line,
        quotable=False,
    )
