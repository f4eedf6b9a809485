"""No text has an effect on GitHub after it was neutralised, by the judgement of a full CommonMark parser."""

import json
import re
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from reviewbot.invisible import show_invisible
from reviewbot.markdown import code, fenced, length, neutralise, neutralise_line

ORACLE = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
ALLOWED = {
    "paragraph", "bullet_list", "ordered_list", "list_item", "blockquote", "table", "thead", "tbody", "tr", "th", "td",
    "hr", "fence", "inline", "text", "text_special", "softbreak", "hardbreak", "code_inline", "em", "strong",
}  # fmt: skip
# What GitHub, or a bot that reads comments, acts on outside of code.
LIVE = re.compile(
    r"@\w|#\d|\bgh-\d|://|\bwww\.|\bmailto:|\$|\bduplicate\s+of\b|\bbors r\+|^/[a-z]"
    r"|\b(?=[a-f]*\d)(?=\d*[a-f])[0-9a-f]{40}\b",
    re.I | re.M,
)
INVISIBLE = re.compile("[\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff\U000e0001\U000e0020-\U000e007f\x00-\x08]")


def _flat(tokens: list[Token]) -> list[Token]:
    return [each for token in tokens for each in (token, *_flat(token.children or []))]


def _prose(tokens: list[Token]) -> list[str]:
    """What a reader sees outside of code, block by block, with a blank for every code span."""
    return [
        "".join(
            "\n" if child.type.endswith("break") else " " if child.type == "code_inline" else child.content
            for child in token.children or []
        )
        for token in tokens
        if token.type == "inline"
    ]


def assert_harmless(written: str) -> None:
    tokens = ORACLE.parse(written)
    kinds = {token.type.removesuffix("_open").removesuffix("_close") for token in _flat(tokens)}
    assert kinds <= ALLOWED
    assert not [block for block in _prose(tokens) if LIVE.search(block)]
    assert not INVISIBLE.search(written)
    assert not any(line.startswith(("/", "<!--")) for line in written.split("\n"))
    assert all(token.info.lower() not in ("math", "mermaid", "geojson", "suggestion") for token in tokens)
    # Nothing stays open: what our own templates write behind it is outside.
    assert ORACLE.parse(f"{written}\n\n## footer")[-3].type == "heading_open"


SAMPLES = Path(__file__).parent / "samples" / "hostile_markdown.json"
HOSTILE: list[str] = [text for group in json.loads(SAMPLES.read_text(encoding="ascii")).values() for text in group]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_has_no_effect(text: str) -> None:
    for written in (neutralise(text), neutralise_line(text), neutralise(f"before\n\n{text}\n\nafter")):
        assert_harmless(written)
    assert "\n" not in neutralise_line(text)


@pytest.mark.parametrize("text", HOSTILE)
def test_neutralising_twice_changes_nothing(text: str) -> None:
    assert neutralise(neutralise(text)) == neutralise(text)
    assert neutralise_line(neutralise_line(text)) == neutralise_line(text)


MARKS = "\n \t`*_<>\\$|[]()!#@&;:=~-a"
PIECES = st.sampled_from([*HOSTILE, *MARKS, "\n\n", "```", "~~~", "**", "- ", "1. ", "> ", "    ", "word"])


@settings(max_examples=400, deadline=None)
@given(st.lists(PIECES | st.text(max_size=5), max_size=12).map("".join))
@example("````\n```\n````@octocat\\````\n```\n````")
def test_no_mixture_of_hostile_pieces_has_an_effect(text: str) -> None:
    written = neutralise(text)
    assert_harmless(written)
    assert neutralise(written) == written
    line = neutralise_line(text)
    assert_harmless(line)
    assert neutralise_line(line) == line


@settings(max_examples=50, deadline=None)
@given(st.lists(PIECES | st.text(max_size=5), max_size=60).map("".join), st.integers(100, 400))
@example("duplicate\nof #1a | b\n--|--\n@u | #1", 100)  # two blocks make no phrase
def test_the_length_is_bounded_and_the_cut_is_harmless_too(text: str, limit: int) -> None:
    written = neutralise(text, limit=limit)
    assert length(written) <= limit
    assert_harmless(written)
    assert neutralise(written, limit=limit) == written


def test_whatever_is_cut_away_leaves_an_ellipsis() -> None:
    for text in ("word " * 100, "a" + "\n" * 500 + "b", "\n" * 500 + "b"):
        assert neutralise(text, limit=100).endswith("\u2026")


@pytest.mark.parametrize(
    "text",
    [
        "A plain sentence, with snake_case and `code`.",
        "**Bold** and *emphasis*.\n\n- one\n- two\n\n3. three",
        " ```python\n if x:\n     @decorated\n ```",
        "| a | b |\n| --- | --: |\n| 1 | 2 |",
        "> quoted\n> more",
        "a -> b, x != y, 3 + 4 = 7, 50 %, C#",
    ],
)
def test_harmless_markdown_stays_as_it_is(text: str) -> None:
    assert neutralise(text) == text


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("Ask @bob, see (#12).", "Ask `@bob`, see (`#12`)."),
        ("[docs](https://x.example/a) say so", "docs (`https://x.example/a`) say so"),
        ("![alt](https://x.example/a.png)", "!alt (`https://x.example/a.png`)"),
        ("Use <details> and <T>", "Use \\<details> and \\<T>"),
        ("`$HOME` or $HOME", "`$HOME` or `$HOME`"),
        ("# Title", "**Title**"),
        ("hidden\u202etext", "hidden\\<U+202E>text"),
        ("Mentions in `@code` stay", "Mentions in `@code` stay"),
    ],
)
def test_what_is_broken_stays_readable(text: str, written: str) -> None:
    assert neutralise(text) == written


def test_a_code_span_holds_any_file_name() -> None:
    for name in ("a.py", "a`b``c", "`", " ", "a\nb", "@u/#1", "x\u202ey", "a|b"):
        assert_harmless(code(name))
        assert "\n" not in code(name)


@given(
    st.lists(st.sampled_from(["`", "```", "~~~", "\n", " ", "x"]) | st.text(max_size=5), max_size=20).map("".join),
    st.sampled_from(["", "python", "math", "suggestion", "a b", "```"]),
)
@example("```", "")
@example("x\n````\n~~~", "python")
def test_a_fenced_block_is_one_block_of_exactly_that_code(text: str, language: str) -> None:
    tokens = ORACLE.parse(f"{fenced(text, language)}\n\nafter")
    assert [token.type for token in tokens][:2] == ["fence", "paragraph_open"]
    assert tokens[0].info in ("", "python", "a")
    assert tokens[0].content.strip("\n") == show_invisible(text).strip("\n")
    assert_harmless(fenced(text, language))


def test_a_long_fenced_block_is_cut_inside_its_fence() -> None:
    for text in ("x" * 5000, "`" * 5000, "\u200b" * 5000, "\U0001f600" * 5000):
        block = fenced(text, limit=1000)
        assert length(block) <= 1000
        assert [token.type for token in ORACLE.parse(block)] == ["fence"]
