"""Hidden characters, conflict markers and secrets, in any kind of text file."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reviewbot.llm.base import ChangedFile, Fragment
from reviewbot.llm.rules import credentials, hidden, leftovers
from reviewbot.llm.rules.model import Check, Clock, Hit


def hits(check: Check, text: str, path: str = "src/a.py") -> list[Hit]:
    lines = tuple(text.split("\n"))
    file = ChangedFile(path=path, fragments=(Fragment(1, lines),), added=frozenset(range(1, len(lines) + 1)))
    return list(check(file, Clock(file_seconds=600, total_seconds=600)))


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("if level != 'user\u202e \u2066// admin\u2069 \u2066':", "hidden-bidi"),
        ("ok = 1 \U000e0068\U000e0069", "hidden-tags"),
        ("\U0001f3f4\U000e0067\U000e0062 not closed", "hidden-tags"),
        ("is_ad\u200bmin = True", "hidden-zero-width"),
        ("const \u3164 = 1", "hidden-zero-width"),
    ],
)
def test_a_character_that_hides_something_is_reported(text: str, rule: str) -> None:
    [hit] = hits(hidden.check, text)
    assert (hit.rule, hit.line, hit.quotable) == (rule, 1, False)
    assert "U+" in hit.body
    assert hit.body.isascii()


@pytest.mark.parametrize(
    "text",
    [
        "flag = '\U0001f3f4\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f'",  # Scotland
        "family = '\U0001f468\u200d\U0001f469\u200d\U0001f467'",
        "heart = '\u2764\ufe0f'",
        "# \u0627\u0644\u0639\u0631\u0628\u064a\u0629 and \u05e2\u05d1\u05e8\u05d9\u05ea, with a mark\u200f",
        "# \u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",  # Persian needs the joiner
        "caf\u00e9 = 'na\u00efve'",
        "\ufeffimport os",
    ],
)
def test_flags_emoji_and_right_to_left_text_do_not_alarm(text: str) -> None:
    assert hits(hidden.check, text) == []


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=60))
def test_any_bidi_control_in_any_text_is_reported(text: str) -> None:
    line = text.replace("\n", " ") + "\u202e"
    assert "hidden-bidi" in {hit.rule for hit in hits(hidden.check, line)}


def test_all_markers_of_a_conflict_are_reported() -> None:
    text = "<<<<<<< HEAD\na\n||||||| base\nb\n=======\nc\n>>>>>>> topic\n"
    assert [hit.line for hit in hits(leftovers.check, text)] == [1, 3, 7, 5]


@pytest.mark.parametrize(
    "text", ["Title\n=======\n", "  <<<<<<< HEAD", "a <<<<<<< b", "<<<<<<<<<<", "x = 1 << 2", "=======\n"]
)
def test_headings_and_shifts_are_no_conflict_markers(text: str) -> None:
    assert hits(leftovers.check, text, "README.md") == []


# Put together here so that no scanner takes this file for a leak.
GITHUB_TOKEN = "ghp_" + "16C7e42F292c6912E7710c838347Ae178B4a"
PRIVATE_KEY = (
    "-----BEGIN RSA "
    + "PRIVATE KEY-----\n"
    + "MIIEpAIBAAKCAQEAuTqbvZFJx6NqkVf0kVqL2Wm5n3P5cQk1o9S0t0VhTz8nF4rJ\n" * 2
    + "-----END RSA PRIVATE KEY-----"
)


def test_a_key_of_known_make_is_reported_without_being_repeated() -> None:
    [hit] = hits(credentials.check, f"key = '{GITHUB_TOKEN}'")
    assert (hit.rule, hit.severity, hit.quotable) == ("secret-known-key", "critical", False)
    assert GITHUB_TOKEN not in hit.body


def test_a_known_key_is_reported_in_tests_too() -> None:
    assert hits(credentials.check, f"key = '{GITHUB_TOKEN}'", "tests/test_a.py")


def test_a_private_key_is_one_finding_over_its_lines() -> None:
    [hit] = hits(credentials.check, "x\n" + PRIVATE_KEY)
    assert (hit.line, hit.end_line) == (2, 5)


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("a.py", 'API_TOKEN = "7f3d9a61c04be82f5e17a9d3b6c2804417fd0b9e"'),
        ("a.go", 'dsn := "postgres://reporter:Kx9_vq2Lw7zTb4@db.internal:5432/reports"'),
        ("a.js", "const clientSecret = 'h8Qz1LmPw0vT4rXy7NbK';"),
        ("a.ts", "const apiKey: string = 'h8Qz1LmPw0vT4rXy7NbK';"),
        ("A.java", 'private static final String PASSWORD = "Tr0ub4dor&3x";'),
        ("deploy/.env", "DB_PASSWORD=Tr0ub4dor&3x"),
        ("a.yml", "  password: Tr0ub4dor&3x"),
    ],
)
def test_a_literal_secret_is_reported(path: str, text: str) -> None:
    [hit] = hits(credentials.check, text, path)
    assert hit.category == "hard-coded-secret"


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("a.py", 'API_TOKEN_VARIABLE = "SMS_API_TOKEN"'),
        ("a.py", 'token = os.environ["API_TOKEN_2024X"]'),
        ("a.py", 'password = "<your-password-1>"'),
        ("a.py", 'PASSWORD_FIELD = "input-password-2"'),
        ("a.py", 'secret = f"{user}9zQx1"'),
        ("a.go", 'dsn := fmt.Sprintf("postgres://reporter:%s@db.internal:5432/reports", pw)'),
        ("a.js", "const url = `https://user:${password}@host`;"),
        ("tests/test_a.py", 'password = "Tr0ub4dor&3x"'),
        ("a.yml", "  password: ${DB_PASSWORD_1}"),
        ("a.py", "token = parse_token_2(value)"),
    ],
)
def test_names_placeholders_and_lookups_are_no_secrets(path: str, text: str) -> None:
    assert hits(credentials.check, text, path) == []
