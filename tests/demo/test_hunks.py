"""Hunks of a patch: every number names the line it claims, and lines are found again after a change."""

from __future__ import annotations

import difflib

from hypothesis import given, settings
from hypothesis import strategies as st

from reviewbot.demo.hunks import at_position, carry, locate, parse_patch

# Lines that look like parts of a patch are the hard ones.
LINES = st.lists(
    st.sampled_from(["a", "b", "", "-", "+", "@@ -1 +1 @@", "--- x", "+++ y", "\\ no", " c\r"]), max_size=25
)


def patch_between(old: list[str], new: list[str]) -> str:
    """What GitHub shows as `patch`, made by difflib."""
    return "\n".join(list(difflib.unified_diff(old, new, lineterm=""))[2:])


@given(LINES, LINES)
@settings(max_examples=150, deadline=None)
def test_every_number_in_a_hunk_names_the_line_it_claims(old: list[str], new: list[str]) -> None:
    hunks = parse_patch(patch_between(old, new))
    position = 0
    for nth, hunk in enumerate(hunks):
        position += nth > 0
        for index, line in enumerate(hunk.lines):
            position += 1
            assert line.position == position
            assert at_position(hunks, position) == (hunk, index)
            if line.old is not None:
                assert old[line.old - 1] == line.text
                assert locate(hunks, "LEFT", line.old) == (hunk, index)
            if line.new is not None:
                assert new[line.new - 1] == line.text
                assert locate(hunks, "RIGHT", line.new) == (hunk, index)
    assert sum(line.kind == "+" for hunk in hunks for line in hunk.lines) - sum(
        line.kind == "-" for hunk in hunks for line in hunk.lines
    ) == len(new) - len(old)


@given(LINES, LINES)
@settings(max_examples=150, deadline=None)
def test_a_line_carried_over_a_change_is_the_same_line_or_none(old: list[str], new: list[str]) -> None:
    hunks = parse_patch(patch_between(old, new))
    removed = {line.old for hunk in hunks for line in hunk.lines if line.kind == "-"}
    for number, text in enumerate(old, start=1):
        there = carry(hunks, number)
        assert (there is None) == (number in removed)
        assert there is None or new[there - 1] == text


def test_a_missing_newline_takes_no_line_number_but_a_position() -> None:
    (hunk,) = parse_patch("@@ -1 +1 @@\n-a\n\\ No newline at end of file\n+b")
    assert [(line.kind, line.old, line.new, line.position) for line in hunk.lines] == [
        ("-", 1, None, 1), ("\\", None, None, 2), ("+", None, 1, 3),
    ]  # fmt: skip


def test_a_file_without_hunks_has_no_place_for_comments() -> None:
    assert parse_patch("") == ()
    assert locate((), "RIGHT", 1) is None
