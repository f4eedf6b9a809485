"""How much of a seeded set of defects the offline rules find, and how often they alarm on the clean twins."""

from __future__ import annotations

import difflib
from pathlib import Path

import msgspec

from reviewbot.llm.base import ChangedFile, Fragment
from reviewbot.llm.rules.model import Clock
from reviewbot.llm.rules.report import Finding, review

SAMPLES = Path(__file__).parents[2] / "samples" / "defects.jsonl"


class Pair(msgspec.Struct):
    """A file with a defect on some lines and its twin without."""

    path: str
    lines: list[int]
    defect: str
    control: str


PAIRS = [msgspec.json.decode(line, type=Pair) for line in SAMPLES.read_bytes().splitlines()]


def change(path: str, old: str, new: str) -> ChangedFile:
    """The change from one text to another as three-line-context fragments."""
    before, after = old.split("\n"), new.split("\n")
    fragments: list[Fragment] = []
    added: set[int] = set()
    for group in difflib.SequenceMatcher(None, before, after, autojunk=False).get_grouped_opcodes(3):
        first, last = group[0][3], group[-1][4]
        fragments.append(Fragment(first + 1, tuple(after[first:last])))
        for tag, _, _, start, end in group:
            if tag in ("insert", "replace"):
                added.update(range(start + 1, end + 1))
    return ChangedFile(path=path, fragments=tuple(fragments), added=frozenset(added), content=new)


def found(file: ChangedFile) -> list[Finding]:
    return review([file], Clock(file_seconds=60, total_seconds=60)).findings


def hit(findings: list[Finding], lines: list[int]) -> bool:
    return any(finding.line <= line <= finding.end_line for finding in findings for line in lines)


def test_at_least_28_of_30_defects_are_found_in_a_new_file() -> None:
    assert len(PAIRS) == 30
    assert sum(hit(found(change(pair.path, "", pair.defect)), pair.lines) for pair in PAIRS) >= 28


def test_at_least_27_of_30_defects_are_found_in_the_change_that_brings_them_in() -> None:
    assert sum(hit(found(change(pair.path, pair.control, pair.defect)), pair.lines) for pair in PAIRS) >= 27


def test_the_clean_twins_raise_no_alarm() -> None:
    assert [pair.path for pair in PAIRS if found(change(pair.path, "", pair.control))] == []


def test_the_change_that_mends_a_defect_raises_no_alarm() -> None:
    assert [pair.path for pair in PAIRS if found(change(pair.path, pair.defect, pair.control))] == []
