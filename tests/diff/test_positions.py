"""Claims of a model about a place, against what GitHub accepts on the diff."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reviewbot.diff.model import Anchor, FileDiff, Side
from reviewbot.diff.parse import parse, parse_patch
from reviewbot.diff.positions import MAX_RANGE_LINES, Unplaced, accepted, find_file, locate, reach
from reviewbot.diff.render import render

SAMPLES = Path(__file__).parents[1] / "samples" / "diffs"
PULL_REQUESTS = [json.loads(line) for line in (SAMPLES / "pull_requests.jsonl").read_text().split("\n") if line]

PATCH = """\
@@ -10,8 +10,9 @@ def setup():
 import os

 def load(path):
-    handle = open(path)
-    return handle.read()
+    with open(path) as handle:
+        return handle.read()
+    # never reached

 def store(path, text):
     return None
@@ -40,5 +41,6 @@ class Cache:
     def get(self, key):
-        return self.items[key]
+        value = self.items.get(key)
+        return value

     def store(self, path):
         return None
"""
FILE = parse_patch(filename="app.py", previous_filename=None, status="modified", patch=PATCH)


def place(
    line: int | None = None, end_line: int | None = None, side: Side = "RIGHT", quote: str | None = None
) -> tuple[Side, int, int] | str:
    """What `locate` makes of a claim on FILE: (side, first line, last line), or the reason."""
    anchor = locate(FILE, line=line, end_line=end_line, side=side, quote=quote)
    if isinstance(anchor, Unplaced):
        return anchor.reason
    assert anchor.path == "app.py"
    assert anchor.start_line is None or anchor.start_line < anchor.line
    return anchor.side, anchor.start_line or anchor.line, anchor.line


@pytest.mark.parametrize("record", PULL_REQUESTS, ids=lambda record: record["pull_request"])
def test_reviewers_places_on_real_pull_requests_are_reached_as_recorded(record: dict[str, object]) -> None:
    files = parse(str(record["diff"]))
    places = record["places"]
    assert isinstance(places, list)
    for claim in places:
        file = find_file(files, claim["path"])
        assert file is not None
        start, end, side = claim["start_line"], claim["end_line"], claim["side"]
        assert reach(file, side=side, start=start, end=end) == claim["position"]
        anchor = locate(file, line=start, end_line=end, side=side, quote=None)
        if claim["position"] == "exact":
            expected = Anchor(path=file.path, side=side, line=end, start_line=start if start < end else None)
            assert anchor == expected
        else:
            assert isinstance(anchor, Unplaced)


def test_github_accepts_new_and_unchanged_lines_right_and_old_and_unchanged_lines_left() -> None:
    first, second = FILE.hunks
    assert (accepted(first, "RIGHT"), accepted(first, "LEFT")) == (range(10, 19), range(10, 18))
    assert (accepted(second, "RIGHT"), accepted(second, "LEFT")) == (range(41, 47), range(40, 45))


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [(13, 15, "exact"), (10, 10, "exact"), (5, 12, "partly"), (18, 42, "partly"), (15, 20, "file"), (30, 30, "file")],
)
def test_the_last_line_of_a_range_decides_whether_it_can_be_marked(start: int, end: int, expected: str) -> None:
    assert reach(FILE, side="RIGHT", start=start, end=end) == expected


def test_numbers_alone_mark_their_lines_in_either_order_and_one_line_is_no_range() -> None:
    assert place(13, 15) == place(15, 13) == ("RIGHT", 13, 15)
    assert place(13) == place(13, 13) == place(None, 13) == ("RIGHT", 13, 13)
    anchor = locate(FILE, line=13, end_line=13, side="RIGHT", quote=None)
    assert anchor == Anchor(path="app.py", side="RIGHT", line=13, start_line=None)


def test_a_range_is_cut_to_the_hunk_of_its_last_line() -> None:
    assert place(1, 12) == ("RIGHT", 10, 12)
    assert place(12, 43) == ("RIGHT", 41, 43)


def test_a_range_is_cut_to_a_sensible_length_and_a_quote_in_it_wins() -> None:
    patch = "@@ -0,0 +1,500 @@\n" + "\n".join(f"+line {n}" for n in range(1, 501))
    file = parse_patch(filename="f", previous_filename=None, status="added", patch=patch)
    long = locate(file, line=1, end_line=500, side="RIGHT", quote=None)
    assert long == Anchor(path="f", side="RIGHT", line=MAX_RANGE_LINES, start_line=1)
    quoted = locate(file, line=1, end_line=500, side="RIGHT", quote="line 321")
    assert quoted == Anchor(path="f", side="RIGHT", line=321)


def test_a_unique_quote_wins_over_a_number_that_disagrees() -> None:
    assert place(30, quote="# never reached") == ("RIGHT", 15, 15)
    assert place(10, quote="# never reached") == ("RIGHT", 15, 15)
    assert place(None, quote="# never reached") == ("RIGHT", 15, 15)
    assert place(10, 13, quote="with open(path) as handle:\n  return handle.read()") == ("RIGHT", 13, 14)


def test_numbers_around_or_within_the_quote_are_kept() -> None:
    assert place(13, 15, quote="return handle.read()") == ("RIGHT", 13, 15)
    assert place(14, quote="with open(path) as handle:\n        return handle.read()") == ("RIGHT", 14, 14)


def test_of_an_ambiguous_quote_the_one_at_the_number_counts_and_else_the_number() -> None:
    assert place(17, 18, quote="    return None") == ("RIGHT", 17, 18)
    assert place(46, quote="    return None") == ("RIGHT", 46, 46)
    assert place(13, quote="    return None") == ("RIGHT", 13, 13)


def test_without_a_place_the_reason_says_what_was_tried() -> None:
    assert place() == "no line was named, and nothing was quoted"
    assert place(0) == "no line was named, and nothing was quoted"
    assert place(30) == "line 30 of the new side is not on the diff, and nothing was quoted"
    assert place(30, side="LEFT", quote="no such code") == (
        "line 30 of the old side is not on the diff, and the quoted code is on the diff nowhere"
    )
    assert place(30, quote="return None") == (
        "line 30 of the new side is not on the diff, and the quoted code is on the diff 2 times"
    )


def test_removed_lines_are_marked_left_and_unchanged_ones_right() -> None:
    assert place(13, side="LEFT") == ("LEFT", 13, 13)
    assert place(11, 14, side="LEFT") == ("LEFT", 11, 14)
    assert place(42, side="LEFT") == ("RIGHT", 44, 44)
    assert place(43, 44, side="LEFT") == ("RIGHT", 45, 46)


def test_a_quote_of_a_removed_line_is_found_although_the_right_side_was_claimed() -> None:
    assert place(13, quote="handle = open(path)") == ("LEFT", 13, 13)
    assert place(None, side="LEFT", quote="value = self.items.get(key)") == ("RIGHT", 42, 42)


@pytest.mark.parametrize(
    "quote",
    [
        "with open(path) as handle:\n        return handle.read()",
        "\n\n   with  open( path )  as handle :\n\treturn handle.read()   \n\n",
        "```python\nwith open(path) as handle:\n    return handle.read()\n```",
        "+    with open(path) as handle:\n+        return handle.read()",
        "-    return handle.read()\n+    with open(path) as handle:\n+        return handle.read()",
        "R13 +     with open(path) as handle:\nR14 +         return handle.read()",
        "13: with open(path) as handle:\n14: return handle.read()",
        "L14 -     return handle.read()\nR13 +     with open(path) as handle:\nR14 +         return handle.read()",
        "with open(path) as handle:\r\n        return handle.read()",
        "...\nwith open(path) as handle:\n    return handle.read()\n...",
        "with open(path) ...\n   return handle.read()",
        "with open(path) as…\n   return handle.read()",
    ],
)
def test_a_quote_is_found_however_loosely_it_was_copied(quote: str) -> None:
    assert place(None, quote=quote) == ("RIGHT", 13, 14)


@pytest.mark.parametrize(
    ("quote", "expected"),
    [
        ("def load(path):\n...\n# never reached", ("RIGHT", 12, 15)),
        ("import os\ndef load(path):", ("RIGHT", 10, 12)),
        ("open(path) as handle:\n   return handle", ("RIGHT", 13, 14)),
        ("self.items.get", ("RIGHT", 42, 42)),
        ("items[key]", ("LEFT", 41, 41)),
        ("return value", ("RIGHT", 43, 43)),
    ],
)
def test_a_quote_may_skip_lines_or_begin_within_one(quote: str, expected: tuple[Side, int, int]) -> None:
    assert place(None, quote=quote) == expected


@pytest.mark.parametrize(
    "quote", ["", "\n", "```", "...", "…\n...", "(", "abc", "def load(path):\n...\nreturn value", " "]
)
def test_a_quote_that_says_too_little_or_spans_hunks_has_no_place(quote: str) -> None:
    assert isinstance(place(None, quote=quote), str)


def test_an_ellipsis_of_code_is_not_taken_for_one_of_prose() -> None:
    patch = "@@ -1,2 +1,3 @@\n call(\n+  ...args,\n )"
    file = parse_patch(filename="f", previous_filename=None, status="modified", patch=patch)
    assert locate(file, line=None, end_line=None, side="RIGHT", quote="...args,") == Anchor(
        path="f", side="RIGHT", line=2
    )


def test_a_quote_with_invisible_characters_is_found_as_it_is_and_as_it_was_shown() -> None:
    patch = "@@ -1 +1,2 @@\n a\n+if admin\u202e:\u00a0 # \u2066x\r"
    file = parse_patch(filename="f", previous_filename=None, status="modified", patch=patch)
    for quote in ("if admin\u202e: # \u2066x", "if admin<U+202E>:<U+00A0> # <U+2066>x", "if admin: # x"):
        assert locate(file, line=None, end_line=None, side="RIGHT", quote=quote) == Anchor(
            path="f", side="RIGHT", line=2
        )


def test_files_without_lines_say_why_nothing_can_be_marked() -> None:
    def reason(file: FileDiff) -> str:
        found = locate(file, line=1, end_line=None, side="RIGHT", quote=None)
        assert isinstance(found, Unplaced)
        return found.reason

    assert "binary" in reason(FileDiff(old_path="x", new_path="x", status="modified", binary=True))
    assert "no patch" in reason(FileDiff(old_path="x", new_path="x", status="modified", patch_missing=True))
    assert "no changed lines" in reason(FileDiff(old_path="x", new_path="y", status="renamed"))


def test_a_file_is_found_by_the_names_that_models_give_it() -> None:
    renamed = FileDiff(old_path="old.py", new_path="new.py", status="renamed")
    copied = FileDiff(old_path="source.py", new_path="copy.py", status="copied")
    odd = FileDiff(old_path="a/x.py", new_path="a/x.py", status="modified")
    files = (renamed, copied, odd)
    assert find_file(files, "new.py") is renamed
    assert find_file(files, "b/new.py") is find_file(files, "./new.py") is find_file(files, "old.py") is renamed
    assert find_file(files, "a/x.py") is odd
    assert find_file(files, "source.py") is None
    new_at_old_name = FileDiff(old_path=None, new_path="old.py", status="added")
    assert find_file((new_at_old_name, renamed), "old.py") is new_at_old_name


SIDES: list[Side] = ["LEFT", "RIGHT"]


@settings(deadline=None)
@given(
    line=st.none() | st.integers(-5, 60),
    end_line=st.none() | st.integers(-5, 60),
    side=st.sampled_from(SIDES),
    quote=st.none()
    | st.text("(){}.+- \n…reads", max_size=12)
    | st.tuples(st.integers(0, 25), st.integers(0, 4)).map(
        lambda cut: "\n".join(PATCH.split("\n")[cut[0] : cut[0] + cut[1]])
    ),
)
def test_every_anchor_lies_on_its_side_of_one_hunk(
    line: int | None, end_line: int | None, side: Side, quote: str | None
) -> None:
    found = place(line, end_line, side, quote)
    if isinstance(found, str):
        assert "not on the diff" in found or "no line was named" in found
    else:
        at, start, end = found
        assert any(start in accepted(hunk, at) and end in accepted(hunk, at) for hunk in FILE.hunks)


@pytest.mark.parametrize("record", PULL_REQUESTS, ids=lambda record: record["pull_request"])
def test_lines_copied_from_the_prompt_are_found_where_they_were(record: dict[str, object]) -> None:
    for file in parse(str(record["diff"])):
        for shown, line in zip(_code_lines(render(file)), (x for h in file.hunks for x in h.lines), strict=True):
            if len(line.text.strip()) < 25 or line.kind == " ":
                continue
            anchor = locate(file, line=line.new or line.old, end_line=None, side="RIGHT", quote=shown)
            number, side = (line.old, "LEFT") if line.new is None else (line.new, "RIGHT")
            assert isinstance(anchor, Anchor)
            # The same text may stand on both sides; then the right one counts.
            texts = {(x.new, x.text.strip()) for h in file.hunks for x in h.lines}
            same = "".join(line.text.split()) in {"".join(text.split()) for new, text in texts if new is not None}
            assert (anchor.side, anchor.line) == (side, number) or (side == "LEFT" and same)


def _code_lines(text: str) -> list[str]:
    return [line for line in text.split("\n") if line[:1] in ("L", "R")]
