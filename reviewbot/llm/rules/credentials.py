"""Finds secrets in added lines: keys of known make by Kingfisher's detectors, passwords and tokens by their name."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING

from reviewbot.llm.base import ChangedFile
from reviewbot.llm.rules.model import Clock, Hit, NotChecked, Severity, added_lines, is_test_path

if TYPE_CHECKING:
    from kingfisher_sdk import Scanner

_NAME = (
    r"(?:pass(?:word|wd|phrase)|\bpwd|_pwd|secret(?!s?_?(?:name|id|arn|path|ref|manager))|api_?key|access_?key|auth_?key"
    r"|signing_?key|encryption_?key|private_?key|client_?key|(?:api|auth|access|bearer|refresh|session|bot)?_?token|credentials?)"
)
# The start of a word and the bounds keep a line of 2,000 hostile characters below a few milliseconds.
# name = "value", name: "value", "name": "value", name := "value", name="value"; a type may stand after the name.
_QUOTED = re.compile(
    r"""(?ix) (?<![\w.$-]) (?P<name>[\w.$-]{0,60}?"""
    + _NAME
    + r"""(?:[_-]?(?:key|value|str|string|default|prod|dev|live|[0-9]))?)
    ["'\]]{0,2} \s{0,20} (?: :\s{0,9}[\w.<>|\[\] ]{1,40}?= | :?=(?!=) | : | => ) \s{0,20} (?:[rb]|@)? (?P<quote>["'`])
    (?P<value>[^"'`\s]{8,200}) (?P=quote)"""
)
_BARE = re.compile(
    r"(?i)^\s*(?:export\s+|set\s+|-\s+)?(?P<name>[\w.-]*"
    + _NAME
    + r")\s*[=:]\s*(?P<value>[^\s\"'#;]{8,200})\s*(?:#.*)?$"
)
_BARE_FILES = re.compile(
    r"(?i)(?:^|/)(?:\.env[^/]*|[^/]*\.env|dockerfile[^/]*)$|\.(?:properties|ini|cfg|conf|toml|ya?ml|tfvars)$"
)
_IN_URL = re.compile(
    r"""(?i)\b[a-z][a-z0-9+.-]{1,20}://[^\s:/@"'`?#$<{]{1,60}:(?P<value>[^\s:/@"'`?#]{4,100})@[\w.-]+"""
)
_PLACEHOLDER = re.compile(
    r"(?i)\$\{|\$\(|\{\{|\{\w*\}|^\$\w|%\(|%s|%v|<[^>]*>|^\[|\.\.\.|x{4,}|\*{3,}|change.?me|replace|example|placeholder|dummy|sample|your[_-]|"
    r"insert|todo|redacted|masked|hidden|undefined|null|foo|bar\b|test|fake|mock|^process\.env|^os\.|getenv|^env[.(_]|^vault:|^arn:|^ref\+"
)
_WORDS = re.compile(r"^[A-Za-z]+(?:[ _.:/-][A-Za-z0-9]*)*$|^[a-z]+(?:[A-Z][a-z]+)*$|^[/.~]|^https?://[^@]*$|^\d+$")
_MIN_ENTROPY = 2.8  # bits a character

_ADVICE = (
    "Anyone who can read the repository, now or later, can use it, and removing the line does not remove it from the "
    "history. Revoke it, issue a new one, and read it at run time from the environment or a secret store."
)


def check(file: ChangedFile, clock: Clock) -> Iterator[Hit]:
    if not file.added:
        return
    known: set[int] = set()
    for line, end_line, make in _known_keys(file, clock):
        known.update(range(line, end_line + 1))
        yield _hit("secret-known-key", "critical", line, end_line, make)
    if is_test_path(file.path):
        return
    bare = _BARE_FILES.search(file.path) is not None
    for number, text in added_lines(file):
        clock.remaining()
        if number not in known and (what := _named_secret(text[:2000], bare)):
            yield _hit("secret-in-code", "high", number, number, what)


def _known_keys(file: ChangedFile, clock: Clock) -> Iterator[tuple[int, int, str]]:
    """First line, last line and maker of each key that a detector knows, where it touches an added line."""
    numbers = [
        number for fragment in file.fragments for number in range(fragment.start, fragment.start + len(fragment.lines))
    ]
    lines = [line.replace("\r", " ") for fragment in file.fragments for line in fragment.lines]
    try:
        found = _scanner().scan("\n".join(lines).encode("utf-8", "replace"), timeout=clock.remaining())
    except TimeoutError:
        raise NotChecked("took too long") from None
    for secret in found:
        place = secret.location
        span = numbers[place["line"] - 1 : place["end_line"]]
        if secret.visible and not file.added.isdisjoint(span):
            yield span[0], span[-1], secret.rule_name


@cache
def _scanner() -> Scanner:
    """The compiled detectors (3 s without the library's cache on disk, 0.3 s with it). Scanning uses no network."""
    from kingfisher_sdk import Rules, Scanner  # 36 MB of native code: only a process that scans loads it

    return Scanner(Rules(confidence="medium"), base64=False)


def _named_secret(text: str, bare: bool) -> str | None:
    """What kind of secret a line holds by the look of it, or None."""
    if (
        (match := _IN_URL.search(text))
        and not _PLACEHOLDER.search(match["value"])
        and match["value"].lower() not in _COMMON
    ):
        return "A password inside an address"
    match = _QUOTED.search(text) or (_BARE.search(text) if bare else None)
    if match and _looks_random(match["value"]):
        return f"A literal value for `{match['name'].strip('.$-')}`"
    return None


_COMMON = frozenset(
    {"password", "pass", "postgres", "root", "admin", "guest", "user", "mysql", "secret", "redis", "token"}
)


def _looks_random(value: str) -> bool:
    if _PLACEHOLDER.search(value) or _WORDS.match(value):
        return False
    has_digit_and_letter = any(char.isdigit() for char in value) and any(char.isalpha() for char in value)
    return has_digit_and_letter and _entropy(value) >= _MIN_ENTROPY


def _entropy(value: str) -> float:
    """Shannon's entropy in bits a character."""
    return -sum(count / len(value) * math.log2(count / len(value)) for count in Counter(value).values())


def _hit(rule: str, severity: Severity, line: int, end_line: int, what: str) -> Hit:
    return Hit(
        rule=rule,
        severity=severity,
        category="hard-coded-secret",
        title="Secret in the code",
        body=f"{what} is part of this change. {_ADVICE}",
        line=line,
        end_line=end_line,
        quotable=False,
    )
