"""Patterns of a .gitignore mean what a library takes them to mean, and no pattern and path are slow together."""

from __future__ import annotations

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pathspec import GitIgnoreSpec

from reviewbot.globs import GlobError, matches_globs, parse_glob

NAMES = [
    "a",
    "b",
    "ab",
    "*",
    "**",
    "a*",
    "*b",
    "a*b",
    "*a*b*",
    "?",
    "a?",
    "[ab]",
    "[!a]b",
    "*.a",
    ".a",
    "[a-b]*",
    r"\*",
]
PATTERNS = st.builds(
    lambda anchor, names, end: anchor + "/".join(names) + end,
    st.sampled_from(["", "/"]),
    st.lists(st.sampled_from(NAMES), min_size=1, max_size=4),
    st.sampled_from(["", "/"]),
)
PATHS = st.lists(
    st.text("ab.*", min_size=1, max_size=4).filter(lambda name: name.strip(".")), min_size=1, max_size=5
).map("/".join)


def means(pattern: str, path: str) -> bool:
    return matches_globs([parse_glob(pattern)], path)


@settings(max_examples=500)
@given(PATTERNS, PATHS)
def test_a_pattern_means_what_the_library_says(pattern: str, path: str) -> None:
    try:
        expected = GitIgnoreSpec.from_lines([pattern]).match_file(path)
    except ValueError:
        assume(False)
    assert means(pattern, path) == expected


@pytest.mark.parametrize(
    "pattern", ["*a" * 120 + "b", "**/*a*a*a/**/*a*b/", "**/a" * 60 + "/x", "[a-z]*?" * 36, "*a/" * 60]
)
@pytest.mark.parametrize("path", ["a" * 4096, "a/" * 2048 + "a", "aa/" * 1300 + "a"])
def test_a_pattern_and_a_path_made_for_each_other_are_decided_at_once(pattern: str, path: str) -> None:
    """With a library's expressions, each of the first ones takes longer than anybody can wait."""
    for _ in range(20):
        assert means(pattern, path) in (True, False)


def test_the_last_pattern_that_fits_decides() -> None:
    globs = [parse_glob(pattern) for pattern in ("docs/", "!docs/api/", "docs/api/old.md")]
    assert [matches_globs(globs, f"docs/{name}") for name in ("a.md", "api/new.md", "api/old.md")] == [
        True,
        False,
        True,
    ]


@pytest.mark.parametrize("pattern", ["", "  ", "/", "!", "# a comment", "[z-a]"])
def test_what_means_nothing_is_refused(pattern: str) -> None:
    with pytest.raises(GlobError):
        parse_glob(pattern)


def test_line_ends_in_a_path_are_characters_like_others() -> None:
    assert means("*.py", "a\nb/c\n.py")
    assert not means("*.py", "a.py\n")


@given(st.text(max_size=60), st.text(max_size=60))
def test_any_text_is_a_pattern_or_is_refused(pattern: str, path: str) -> None:
    try:
        means(pattern, path)
    except GlobError:
        return
