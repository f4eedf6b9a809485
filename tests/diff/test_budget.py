"""What a model is shown of a diff, and how a diff is cut into prompts."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reviewbot.diff.budget import MIN_BUDGET_TOKENS, Chunk, chunk, estimate_tokens
from reviewbot.diff.files import LeftOut
from reviewbot.diff.model import FileDiff, Line
from reviewbot.diff.parse import parse_patch
from reviewbot.diff.render import MAX_LINE_CHARACTERS, render

from .oracle import apply


def modified(path: str, *hunks: str) -> FileDiff:
    return parse_patch(filename=path, previous_filename=None, status="modified", patch="\n".join(hunks))


def added(path: str, lines: list[str]) -> FileDiff:
    patch = f"@@ -0,0 +1,{len(lines)} @@\n" + "".join(f"+{line}\n" for line in lines)
    return parse_patch(filename=path, previous_filename=None, status="added", patch=patch)


def test_every_line_is_shown_with_its_side_and_number() -> None:
    patch = "@@ -10,3 +20,3 @@ def f(x):\n a = 1\n-b = 2\n+b = 3\n \n\\ No newline at end of file"
    file = parse_patch(filename="new.py", previous_filename="old.py", status="renamed", patch=patch)
    assert render(file) == (
        "File: new.py (renamed from old.py)\n"
        "@@ L10-12 R20-22 @@ def f(x):\n"
        "R20   a = 1\n"
        "L11 - b = 2\n"
        "R21 + b = 3\n"
        "R22   \n"
        "\\ no line feed at the end of the file\n"
    )


def test_a_side_without_lines_is_named_so_and_a_change_of_mode_is_told() -> None:
    assert "@@ Lnone R1-1 @@\n" in render(added("x", ["a"]))
    file = FileDiff(old_path="x", new_path="x", status="modified", old_mode="100644", new_mode="100755")
    assert render(file) == "File: x (modified, mode 100644 is now 100755)\n"


def test_the_side_that_lost_its_last_line_feed_is_the_one_marked() -> None:
    shown = render(modified("x", "@@ -1 +1 @@\n-a\n\\ No newline at end of file\n+a"))
    assert shown.endswith("L1 - a\n\\ no line feed at the end of the file\nR1 + a\n")


def test_invisible_and_bidi_characters_are_written_out() -> None:
    shown = render(modified("a\u200bb\n.py", "@@ -1 +1 @@ \u202e\n-a\u2028b\x0c\n+x\u2066 \ufeff\U000e0041 \x1b[31m"))
    assert shown == (
        "File: a<U+200B>b<U+000A>.py (modified)\n@@ L1-1 R1-1 @@ <U+202E>\n"
        "L1 - a<U+2028>b<U+000C>\nR1 + x<U+2066> <U+FEFF><U+E0041> <U+001B>[31m\n"
    )


def test_line_ends_of_crlf_are_told_once_when_all_lines_have_them_and_each_time_when_not() -> None:
    assert render(modified("x", "@@ -1 +1 @@\n-a\r\n+b\r")) == (
        "File: x (modified, lines end in CRLF)\n@@ L1-1 R1-1 @@\nL1 - a\nR1 + b\n"
    )
    assert "L1 - a<U+000D>\nR1 + a\n" in render(modified("x", "@@ -1 +1 @@\n-a\r\n+a"))
    assert "R1 + a<U+000D>b\n" in render(modified("x", "@@ -1 +1 @@\n-a\n+a\rb"))


@settings(deadline=None)
@given(st.text(), st.text(), st.text())
def test_no_text_of_the_pull_request_begins_a_line_of_its_own(name: str, section: str, line: str) -> None:
    section, line = section.replace("\n", " "), line.replace("\n", " ")
    shown = render(modified(name or "x", f"@@ -1 +1 @@ {section}\n-{line}\n+b"))
    assert [text[:5] for text in shown.splitlines()] == ["File:", "@@ L1", "L1 - ", "R1 + "]


def test_a_huge_line_is_cut_and_says_how_much_is_left() -> None:
    shown = render(added("x", ["y" * 20_000_000]))
    assert shown.endswith("y<... 19998000 more characters>\n")
    assert len(shown) < MAX_LINE_CHARACTERS + 200
    hidden = render(added("x", ["\u202e" * 3_000]))
    assert hidden.endswith(f"<U+202E><... {3_000 - MAX_LINE_CHARACTERS // 8} more characters>\n")


def test_an_estimate_is_no_lower_than_counts_of_public_tokenizers() -> None:
    # Tokens of the hungriest of cl100k, o200k, Llama 3 and Qwen 3.
    assert estimate_tokens("") == 0
    assert estimate_tokens("検査") >= 2
    assert estimate_tokens("1234567890") >= 10
    assert estimate_tokens("R20   return self.value\n") >= 9
    assert estimate_tokens("\ud800") > 0


def small(n: int) -> FileDiff:
    return added(f"f{n}.py", [f"line number {at}" for at in range(40)])


def test_whole_files_share_a_chunk_as_long_as_they_fit_and_stay_in_order() -> None:
    files = [small(n) for n in range(100)]
    chunks = chunk(files, budget_tokens=MIN_BUDGET_TOKENS)
    assert [file for made in chunks for file in made.files] == files
    assert 3 < len(chunks) < 10
    assert all(made.tokens > MIN_BUDGET_TOKENS * 0.9 for made in chunks[:-1])


def test_a_large_file_is_cut_between_its_hunks() -> None:
    hunks = [
        f"@@ -{at},100 +{at},100 @@\n" + "\n".join(f"-old line {n}\n+new line {n}" for n in range(100))
        for at in range(1, 5_000, 500)
    ]
    file = modified("x", *hunks)
    chunks = chunk([small(1), file, small(2)], budget_tokens=MIN_BUDGET_TOKENS)
    parts = [part for made in chunks for part in made.files if part.path == "x"]
    assert len(parts) > 1
    assert tuple(hunk for part in parts for hunk in part.hunks) == file.hunks
    assert all("one part of its changes" in render(part) for part in parts)
    assert [len({part.path for part in made.files}) == len(made.files) for made in chunks] == [True] * len(chunks)


def test_a_hunk_beyond_the_budget_is_cut_at_an_unchanged_line() -> None:
    body = "\n".join(f"-old {n}\n+new {n}\n unchanged {n}" for n in range(2_000))
    file = modified("x", f"@@ -1,4000 +1,4000 @@\n{body}")
    parts = [part for made in chunk([file], budget_tokens=MIN_BUDGET_TOKENS) for part in made.files]
    assert len(parts) > 2
    assert all(part.hunks[-1].lines[-1].kind == " " for part in parts)
    old = b"".join(b"old %d\nunchanged %d\n" % (n, n) for n in range(2_000))
    whole = FileDiff(old_path="x", new_path="x", status="modified", hunks=tuple(p.hunks[0] for p in parts))
    assert apply(whole, old) == old.replace(b"old", b"new")


def test_parts_of_a_hunk_that_only_removes_or_only_adds_stay_where_the_hunk_is_on_the_other_side() -> None:
    lines = [f"line {n} with some words" for n in range(2_000)]
    removing = modified("x", "@@ -1,2000 +7,0 @@\n" + "\n".join(f"-{line}" for line in lines))
    adding = modified("x", "@@ -7,0 +1,2000 @@\n" + "\n".join(f"+{line}" for line in lines))
    removed, made = (
        [part.files[0].hunks[0] for part in chunk([file], budget_tokens=MIN_BUDGET_TOKENS)]
        for file in (removing, adding)
    )
    assert len(removed) > 2
    assert {(hunk.new_start, hunk.new_count) for hunk in removed} == {(7, 0)}
    assert {(hunk.old_start, hunk.old_count) for hunk in made} == {(7, 0)}


def test_lines_too_long_to_show_are_named_with_their_chunk() -> None:
    files = [small(1), added("x.py", ["y" * 3_000, "z", "y" * 2_001]), added("z.py", ["\u202e" * 300])]
    (made,) = chunk(files, budget_tokens=50_000)
    assert made.left_out == (
        LeftOut("x.py", "has 2 lines of more than 2,000 characters: only the beginning was read"),
        LeftOut("z.py", "has a line of more than 2,000 characters: only the beginning was read"),
    )


def test_a_budget_that_may_not_hold_a_single_line_is_refused() -> None:
    with pytest.raises(ValueError, match="needs 8000 tokens at least, not 7999"):
        chunk([small(1)], budget_tokens=MIN_BUDGET_TOKENS - 1)


def test_the_worst_line_of_the_worst_file_fits_the_least_budget() -> None:
    worst = "\U0001f600" * 5_000
    patch = f"@@ -1,20 +1,20 @@ {worst}\n" + f"-{worst}\n+{worst}\n" * 20
    file = parse_patch(filename=worst, previous_filename=worst + "x", status="renamed", patch=patch)
    for made in chunk([file], budget_tokens=MIN_BUDGET_TOKENS):
        assert estimate_tokens(made.text()) <= made.tokens <= MIN_BUDGET_TOKENS


def test_no_files_make_no_chunk() -> None:
    assert chunk([], budget_tokens=MIN_BUDGET_TOKENS) == ()


LINES = st.lists(
    st.tuples(st.sampled_from(" +-"), st.sampled_from(["", "x", "9" * 700, "é\r", "\u202e" * 90, "a\r"])), min_size=1
)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(LINES, st.integers(1, 60)), max_size=5), st.booleans())
def test_chunks_hold_every_line_once_within_the_budget(
    made: list[tuple[list[tuple[str, str]], int]], bare: bool
) -> None:
    files = [_random_file(f"f{n}", lines * times, bare=bare) for n, (lines, times) in enumerate(made)]
    chunks = chunk(files, budget_tokens=MIN_BUDGET_TOKENS)
    for one in chunks:
        assert estimate_tokens(one.text()) <= one.tokens <= MIN_BUDGET_TOKENS
    for file in files:
        assert _lines_of(file.path, chunks) == [line for hunk in file.hunks for line in hunk.lines]
        hunks = tuple(hunk for one in chunks for part in one.files if part.path == file.path for hunk in part.hunks)
        old = "".join(f"{line.text}\n" for hunk in file.hunks for line in hunk.lines if line.old is not None).encode()
        old = old.removesuffix(b"\n") if bare else old
        parts = FileDiff(old_path="x", new_path="x", status="modified", hunks=hunks)
        assert apply(parts, old) == apply(file, old)


def _random_file(path: str, lines: list[tuple[str, str]], *, bare: bool) -> FileDiff:
    """A file of one hunk that ends in an unchanged line, without a line feed behind it if `bare`."""
    lines = [*lines, (" ", "end")]
    olds, news = (sum(kind != other for kind, _ in lines) for other in "+-")
    body = "".join(f"{kind}{text}\n" for kind, text in lines)
    return modified(path, f"@@ -1,{olds} +1,{news} @@\n{body}" + "\\ No newline at end of file\n" * bare)


def _lines_of(path: str, chunks: tuple[Chunk, ...]) -> list[Line]:
    parts = (part for made in chunks for part in made.files if part.path == path)
    return [line for part in parts for hunk in part.hunks for line in hunk.lines]
