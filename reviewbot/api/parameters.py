"""What may be asked over HTTP: the parameters of each question, and how they are read from a query string."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Annotated, Literal, TypeVar
from uuid import UUID

import msgspec
from msgspec import Meta

from projections.jobs.rows import State
from reviewbot.audit.filters import BadFilter

LARGEST_PAGE = 1_000
LONGEST_VALUE = 1_000  # letters

Limit = Annotated[int, Meta(ge=1, le=LARGEST_PAGE, description="How many to answer at most.")]
Cursor = Annotated[
    str | None,
    Meta(description="Where the page begins: what `next` of the page before said. Leave the rest as it was."),
]
Repository = Annotated[
    str | None, Meta(description="owner/name, now or at any time before.", examples=["octocat/hello-world"])
]
PullRequest = Annotated[int, Meta(ge=1, lt=1 << 31, description="Its number. Name the repository, too.")] | None
Head = Annotated[str | None, Meta(description="The head's SHA, or its first digits (4 or more).")]
Installation = Annotated[int, Meta(ge=1, le=(1 << 63) - 1, description="The id of an installation of the App.")] | None
At = Annotated[
    str | None,
    Meta(
        description="Answer as it was then: a position of the log, an ISO 8601 time (UTC unless it says otherwise), or "
        "how long ago. The answer says which position it stands for.",
        examples=["4711", "2026-01-31T12:00:00Z", "2h"],
    ),
]
Kind = TypeVar("Kind", bound=msgspec.Struct)


class EventsAsked(msgspec.Struct, frozen=True, kw_only=True):
    """Which events."""

    repository: Repository = None
    pull_request: PullRequest = None
    head: Head = None
    job: Annotated[UUID | None, Meta(description="The id of a job: its own events and those of its Check Runs.")] = None
    delivery: Annotated[UUID | None, Meta(description="X-GitHub-Delivery, and all that followed from it.")] = None
    installation: Installation = None
    topic: Annotated[
        str | None, Meta(description="The kind of event, or several with commas.", examples=["ReviewFailed"])
    ] = None
    actor: Annotated[str | None, Meta(description="Who did it.", examples=["github", "user:1234"])] = None
    since: Annotated[
        str | None, Meta(description="The first position, or time, or how long ago.", examples=["4711", "2h"])
    ] = None
    until: Annotated[str | None, Meta(description="The last position, or time, or how long ago.")] = None
    order: Annotated[Literal["asc", "desc"], Meta(description="By position.")] = "asc"
    limit: Limit = 100
    cursor: Cursor = None


class JobsAsked(msgspec.Struct, frozen=True, kw_only=True):
    """Which jobs."""

    repository: Repository = None
    pull_request: PullRequest = None
    head: Head = None
    installation: Installation = None
    state: Annotated[State | None, Meta(description="`ending`: no longer wanted, its ending not written yet.")] = None
    at: At = None
    limit: Limit = 100
    cursor: Cursor = None


class JobAsked(msgspec.Struct, frozen=True, kw_only=True):
    """How one job is shown."""

    at: At = None


class JobEventsAsked(msgspec.Struct, frozen=True, kw_only=True):
    """Which part of a job's story."""

    order: Annotated[Literal["asc", "desc"], Meta(description="By position.")] = "asc"
    limit: Limit = 100
    cursor: Cursor = None


def read(given: Iterable[tuple[str, str]], kind: type[Kind]) -> Kind:
    """The parameters of a query string as `kind`. Raises BadFilter for the first that is wrong."""
    known = kind.__struct_fields__
    values: dict[str, str] = {}
    for name, value in given:
        if name not in known:
            said = name[:LONGEST_VALUE]
            raise BadFilter(f"There is no parameter {said!r}: there are {', '.join(known)}.", parameter=said)
        if name in values:
            raise BadFilter(f"The parameter {name} is given twice.", parameter=name)
        if not value or len(value) > LONGEST_VALUE or not value.isprintable():
            raise BadFilter(f"The parameter {name} is empty, too long, or not plain text.", parameter=name)
        values[name] = value
    try:
        return msgspec.convert(values, kind, strict=False)
    except msgspec.ValidationError as error:
        what, _, name = str(error).rpartition(" - at `$.")
        name = name.rstrip("`")
        raise BadFilter(f"The parameter {name} is wrong: {_plain(what)}.", parameter=name) from error


def position(cursor: str | None) -> int | None:
    """The place that a cursor stands for. Raises BadFilter."""
    if cursor is None:
        return None
    if not re.fullmatch(r"[0-9]{1,18}", cursor, re.ASCII):
        raise BadFilter("The cursor is none: give back exactly what `next` said, or leave it out.", parameter="cursor")
    return int(cursor)


def _plain(what: str) -> str:
    """msgspec's complaint without its type names' marks."""
    return what.replace("`", "").replace(" | null", "")[:1].lower() + what.replace("`", "").replace(" | null", "")[1:]
