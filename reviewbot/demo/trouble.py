"""Scripted trouble: what may go wrong between the bot and GitHub, chosen by request and told as text or by call."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from fnmatch import fnmatchcase
from typing import Literal, get_args

import msgspec

from reviewbot.errors import ConfigError

Kind = Literal[
    "bad-gateway",  # 502 after the work was done
    "unavailable",  # 503 (or status=) without doing anything
    "html-502",  # a proxy's HTML page under a JSON content type
    "lost-reply",  # the connection drops after the work was done
    "dropped",  # the connection drops before anything is done
    "hang",  # no answer for seconds=, then the connection drops
    "delayed-visibility",  # what was created is left out of the next requests= lists, or for seconds=
    "secondary-limit",  # status=403 or 429, with retry-after= when given
    "primary-limit",  # nothing left of the rate limit until seconds= from now
    "expired-token",  # 401, and the token used stays worthless
    "token-lag",  # 401 although the token is good: a fresh one is not known everywhere at once
    "force-push",  # the pull request's head moves to head= just before the request is served
]
KINDS: tuple[str, ...] = get_args(Kind)
METHODS = ("GET", "POST", "PATCH", "PUT", "DELETE", "*")
MAX_HANG_SECONDS = 600.0
EXAMPLE = "POST /repos/*/pulls/*/reviews lost-reply times=1"

_OPTIONS: dict[str, frozenset[str]] = {
    "unavailable": frozenset({"status"}),
    "hang": frozenset({"seconds"}),
    "delayed-visibility": frozenset({"requests", "seconds"}),
    "secondary-limit": frozenset({"status", "retry_after"}),
    "primary-limit": frozenset({"seconds"}),
    "force-push": frozenset({"head", "pull"}),
}


class Trouble(msgspec.Struct, kw_only=True):
    """One rule. `match` is "METHOD PATTERN" where `*` stands for anything, slashes included, in
    /repos/owner/name/...; it fires `times` times after having let `skip` requests pass."""

    match: str
    kind: Kind
    times: int = 1
    skip: int = 0
    status: int | None = None
    seconds: float | None = None
    requests: int | None = None
    retry_after: int | None = None
    head: str | None = None
    pull: int | None = None
    hook: Callable[[], Awaitable[object]] | None = None  # run instead of the push that `head` asks for
    fired: int = 0

    def __post_init__(self) -> None:
        """Refuse at once what could never work."""
        method, _, pattern = self.match.partition(" ")
        if method not in METHODS or not pattern.startswith(("/", "*")):
            raise _refused(self.match, f"the request must start with one of {', '.join(METHODS)} and a path")
        if self.kind not in KINDS:
            raise _refused(self.match, f"{self.kind!r} is no kind of trouble; there are {', '.join(KINDS)}")
        if self.times < 1 or self.skip < 0:
            raise _refused(self.match, "times= must be at least 1 and skip= at least 0")
        if self.kind == "hang" and not 0 < (self.seconds or 60) <= MAX_HANG_SECONDS:
            raise _refused(self.match, f"seconds= must lie between 0 and {MAX_HANG_SECONDS:.0f}")
        if self.kind == "secondary-limit" and self.status not in (None, 403, 429):
            raise _refused(self.match, "status= must be 403 or 429")
        if self.kind == "unavailable" and not 500 <= (self.status or 503) <= 599:
            raise _refused(self.match, "status= must lie between 500 and 599")
        if self.kind == "force-push" and self.hook is None and self.head is None:
            raise _refused(self.match, "force-push needs head=, the commit to move to")

    def meets(self, method: str, path: str) -> bool:
        """True when the rule is about this request and has not done all it was asked to."""
        wanted, _, pattern = self.match.partition(" ")
        return self.fired < self.times and wanted in ("*", method) and fnmatchcase(path, pattern)


class Troubles:
    """The rules in force."""

    def __init__(self) -> None:
        self._rules: list[Trouble] = []

    def add(self, trouble: Trouble) -> Trouble:
        """Put a rule in force; its `fired` tells later how often it struck."""
        self._rules.append(trouble)
        return trouble

    def clear(self) -> None:
        """End all trouble."""
        self._rules.clear()

    def take(self, method: str, path: str) -> list[Trouble]:
        """The rules that strike this request, each counted."""
        struck = []
        for rule in self._rules:
            if not rule.meets(method, path):
                continue
            if rule.skip > 0:
                rule.skip -= 1
                continue
            rule.fired += 1
            struck.append(rule)
        self._rules = [rule for rule in self._rules if rule.fired < rule.times]
        return struck


def parse_trouble(text: str) -> Trouble:
    """Read a rule from the command line, e.g. `POST /repos/*/pulls/*/reviews lost-reply times=1`.

    Raises ConfigError with what is wrong and what would be right.
    """
    words = text.split()
    if len(words) < 3:
        raise _refused(text, "it needs a method, a path and a kind")
    method, pattern, kind, *rest = words
    allowed = {"times", "skip"} | _OPTIONS.get(kind, frozenset())
    options: dict[str, object] = {}
    for word in rest:
        name, equals, value = word.partition("=")
        name = name.replace("-", "_")
        if not equals or name not in allowed:
            names = ", ".join(sorted(f"{option.replace('_', '-')}=" for option in allowed))
            raise _refused(text, f"{word!r} is not an option of {kind}; its options are {names}")
        options[name] = value
    fields = {"match": f"{method} {pattern}", "kind": kind, **options}
    try:
        return msgspec.convert(fields, Trouble, strict=False)
    except msgspec.ValidationError as error:
        if kind not in KINDS:
            raise _refused(text, f"{kind!r} is no kind of trouble; there are {', '.join(KINDS)}") from error
        raise _refused(text, str(error).replace("_", "-")) from error


def _refused(text: str, reason: str) -> ConfigError:
    return ConfigError(f"trouble {text!r}: {reason}. Example: {EXAMPLE}")
