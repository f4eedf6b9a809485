"""What a reader cannot see is shown, and what means what it looks like stays."""

import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reviewbot.invisible import show_invisible


def test_every_control_and_format_character_is_shown_by_its_code_point() -> None:
    for code in range(sys.maxunicode + 1):
        character = chr(code)
        if unicodedata.category(character) in ("Cc", "Cf", "Cs") and character not in "\t\n\r":
            assert show_invisible(f"a{character}b") == f"a<U+{code:04X}>b"


@pytest.mark.parametrize(
    "code", [0x034F, 0x115F, 0x1160, 0x2028, 0x2029, 0x2066, 0x2800, 0x3164, 0xFE00, 0xFE0F, 0xE0000, 0xE0100]
)
def test_blank_characters_of_other_categories_are_shown_too(code: int) -> None:
    assert show_invisible(f"a{chr(code)}b") == f"a<U+{code:04X}>b"


@pytest.mark.parametrize(
    "text",
    [
        "plain",
        "tab\tand\nline feed",
        "\U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f flag of England",
        "\U0001f1e9\U0001f1ea flag of Germany",
        "\U0001f468\u200d\U0001f469\u200d\U0001f467 family",
        "\u2764\ufe0f heart, 1\ufe0f\u20e3 keycap",
        "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645 Persian",
        "caf\u00e9 \u4e2d\u6587",
    ],
)
def test_text_that_means_what_it_looks_like_stays(text: str) -> None:
    assert show_invisible(text) == text


def test_tags_hidden_behind_a_flag_are_shown_when_they_are_too_many_for_a_region() -> None:
    smuggled = "\U0001f3f4" + "\U000e0061" * 7 + "\U000e007f"
    assert "<U+E0061>" in show_invisible(smuggled)


def test_line_ends_become_line_feeds() -> None:
    assert show_invisible("a\r\nb\rc") == "a\nb\nc"


@given(st.text())
def test_showing_twice_changes_nothing(text: str) -> None:
    assert show_invisible(show_invisible(text)) == show_invisible(text)
