"""The project speaks of itself alone: nothing in it leads to the place where it was written."""

from __future__ import annotations

import re

import pytest

from tests.house.tree import ROOT, files

# Each pattern is written so that it does not match itself.
FOREIGN = {
    "a path of one machine": r"/w[o]rk/\w|/h[o]me/(?!runner\b)[a-z]\w*/|/U[s]ers/\w+/|/r[o]ot/\.|/f[a]rm/",
    "a package registry": r"p[y]pi\.org|p[y]thonhosted|r[e]gistry\.npmjs|n[p]mjs\.|d[e]b\.debian|i[n]dex\.docker\.io",
    "a document outside the repository": r"\b(d[e]sign|t[h]reats|g[i]thub|s[t]yle|f[e]atures)\.md\b",
    "a number in somebody's list": r"(?i)\bi[s]sue (no\.? ?|number )?\d+\b",
}
# Recorded from other people's repositories, or made of text that attackers write: kept exactly as it came.
FOREIGN_BY_NATURE = ("tests/samples/",)


def foreign_words(text: str) -> list[str]:
    return [f"{what}: {m.group()!r}" for what, pattern in FOREIGN.items() for m in re.finditer(pattern, text)]


def test_no_file_speaks_of_the_place_where_it_was_written() -> None:
    found = []
    for path in files():
        if not path.startswith(FOREIGN_BY_NATURE):
            text = path + "\n" + (ROOT / path).read_bytes().decode("utf-8", "replace")
            found += [f"{path}: {words}" for words in foreign_words(text)]
    assert not found, "\n" + "\n".join(found)


@pytest.mark.parametrize(
    "text",
    [
        "see /" + "work/main/reviewbot",
        "open('/" + "home/anna/key.pem')",
        "from https://" + "pypi" + ".org/simple",
        "as " + "design" + ".md says in section 3",
        "closes Iss" + "ue 12",
    ],
)
def test_a_foreign_word_is_found(text: str) -> None:
    assert len(foreign_words(text)) == 1


@pytest.mark.parametrize("text", ["the network at work", "a pytest session", "an issue of its own", "GITHUB_APP_ID"])
def test_an_everyday_word_is_let_through(text: str) -> None:
    assert foreign_words(text) == []
