"""Which events somebody asks for: the filter, and how it is read from words."""

from __future__ import annotations

import difflib
import re
from datetime import UTC, datetime, timedelta
from typing import TypeAlias
from uuid import UUID

import msgspec

from reviewbot.errors import ConfigError
from schema.events import BY_TOPIC

Moment: TypeAlias = "datetime | int"  # a time, or a position of the log

REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+", re.ASCII)
HEAD = re.compile(r"[0-9a-f]{4,64}")
_AGO = re.compile(r"(\d{1,9}) ?(s|min|m|h|d|w)")
_UNITS = {"s": 1, "m": 60, "min": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_POSITION = re.compile(r"\d{1,18}")


class BadFilter(ConfigError):
    """The filter cannot be understood; `parameter` is the part at fault."""

    def __init__(self, sentence: str | None = None, *, parameter: str = "") -> None:
        super().__init__(sentence)
        self.parameter = parameter


class Filter(msgspec.Struct, frozen=True, kw_only=True):
    """What the events asked for have in common. A part that is left out excludes nothing."""

    repository: str | None = None  # owner/name, now or at any time before
    pull_request: int | None = None
    head: str | None = None  # the first hex digits of the head's SHA
    job: UUID | None = None
    delivery: UUID | None = None  # and everything that followed from it
    installation: int | None = None
    topics: tuple[str, ...] = ()  # any of them
    actor: str | None = None
    since: Moment | None = None  # inclusive
    until: Moment | None = None  # inclusive

    def checked(self) -> Filter:
        """This filter. Raises BadFilter for what can match nothing at all."""
        if self.repository is not None and not REPOSITORY.fullmatch(self.repository):
            raise BadFilter(
                f"The repository {self.repository!r} is not understood: write OWNER/NAME.", parameter="repository"
            )
        if self.pull_request is not None and self.repository is None:
            raise BadFilter(
                "A pull request has a number within a repository: name the repository too.", parameter="pull_request"
            )
        if self.pull_request is not None and not 0 < self.pull_request < 1 << 31:
            raise BadFilter(f"There is no pull request {self.pull_request}.", parameter="pull_request")
        if self.installation is not None and not 0 < self.installation < 1 << 63:
            raise BadFilter(f"There is no installation {self.installation}.", parameter="installation")
        if self.head is not None and not HEAD.fullmatch(self.head):
            raise BadFilter(
                f"The head {self.head!r} is not understood: give 4 to 64 lower-case hex digits.", parameter="head"
            )
        for topic in self.topics:
            _check_topic(topic)
        return self


def _check_topic(topic: str) -> None:
    if topic not in BY_TOPIC:
        near = difflib.get_close_matches(topic, BY_TOPIC, n=1, cutoff=0.4)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(BY_TOPIC)}."
        raise BadFilter(f"No event is called {topic!r}: {hint}", parameter="topics")


def read_moment(text: str, now: datetime, parameter: str) -> Moment:
    """A position (4711), how long ago (90s, 15min, 2h, 7d, 1w), or an ISO time, UTC unless it says otherwise.

    Raises BadFilter.
    """
    said = text.strip()
    if _POSITION.fullmatch(said):
        return int(said)
    try:
        if ago := _AGO.fullmatch(said):
            return now - timedelta(seconds=int(ago[1]) * _UNITS[ago[2]])
        moment = datetime.fromisoformat(said)
    except (ValueError, OverflowError) as error:
        sentence = (
            f"{text!r} is neither a time (2026-01-31T12:00, or 2h ago as 2h) nor a position of the log (a number)."
        )
        raise BadFilter(sentence, parameter=parameter) from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
