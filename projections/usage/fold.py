"""How events become model calls: what each cost, and whether a review came of its answer. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal
from uuid import UUID

import msgspec

from schema import events as e
from schema.codec import Recorded

Outcome = Literal["asked", "answered", "failed"]
Use = Literal["open", "used", "unused"]


class Call(msgspec.Struct, gc=False):
    """A row of `model_calls`, its fields in the order of the columns; table.sql says what they mean."""

    job: UUID
    position: int
    installation: int | None
    asked_at: datetime
    provider: str
    model: str
    prompt: str
    outcome: Outcome = "asked"
    input_tokens: int = 0
    output_tokens: int = 0
    cached_input_tokens: int = 0
    cost_usd: Decimal | None = None
    price_table: str | None = None
    read: bool = False
    use: Use = "open"


class Rows:
    """The calls of the jobs that a page of events tells of, as loaded and then folded; those of a job in order."""

    def __init__(self, calls: Iterable[Call] = ()) -> None:
        self.jobs: dict[UUID, list[Call]] = {}
        self.changed: dict[int, Call] = {}  # by position
        for call in sorted(calls, key=lambda call: call.position):
            self.jobs.setdefault(call.job, []).append(call)

    def add(self, call: Call) -> Call:
        self.jobs.setdefault(call.job, []).append(call)
        return self.change(call)

    def change(self, call: Call) -> Call:
        self.changed[call.position] = call
        return call

    def open(self, job: UUID) -> list[Call]:
        """The calls of a job of which it is not decided yet whether they were of use."""
        return [call for call in self.jobs.get(job, ()) if call.use == "open"]


def fold(rows: Rows, event: Recorded, fact: e.Fact) -> None:
    """Take in one event of a topic in `TELLING`."""
    STEPS[type(fact)](rows, event, fact)


def _asked(rows: Rows, event: Recorded, fact: e.ModelAsked) -> None:
    rows.add(_call(event, fact))


def _call(event: Recorded, fact: e.ModelAsked | e.AnswerReceived | e.ModelCallFailed) -> Call:
    return Call(
        job=event.stream,
        position=event.position,
        installation=event.installation,
        asked_at=event.recorded_at,
        provider=fact.provider,
        model=fact.model,
        prompt=fact.prompt,
    )


def _told(rows: Rows, event: Recorded, fact: e.AnswerReceived | e.ModelCallFailed) -> Call:
    """The call that this is the end of: the newest one that waits for it."""
    waiting = [call for call in rows.open(event.stream) if call.outcome == "asked"]
    return rows.change(waiting[-1]) if waiting else rows.add(_call(event, fact))


def _answered(rows: Rows, event: Recorded, fact: e.AnswerReceived) -> None:
    call = _told(rows, event, fact)
    call.outcome, call.model, call.prompt = "answered", fact.model, fact.prompt
    call.input_tokens, call.output_tokens = fact.input_tokens, fact.output_tokens
    call.cached_input_tokens = fact.cached_input_tokens
    call.cost_usd, call.price_table = fact.cost_usd, fact.price_table


def _unanswered(rows: Rows, event: Recorded, fact: e.ModelCallFailed) -> None:
    call = _told(rows, event, fact)
    call.outcome, call.use = "failed", "unused"


def _prepared(rows: Rows, event: Recorded, fact: e.ReviewPrepared) -> None:
    """The newest answer to each of its prompts was read; events of long ago do not name the prompts."""
    calls = rows.open(event.stream)
    newest = {call.prompt: call for call in calls if call.outcome == "answered"}
    for call in calls:
        call.read = newest.get(call.prompt) is call and (not fact.prompts or call.prompt in fact.prompts)
        rows.change(call)


def _done(rows: Rows, event: Recorded, fact: e.ReviewPosted | e.ReviewCompleted) -> None:
    for call in rows.open(event.stream):
        call.use = "used" if call.read else "unused"
        rows.change(call)


def _failed(rows: Rows, event: Recorded, fact: e.ReviewFailed) -> None:
    if fact.retry_at is None:
        _in_vain(rows, event, fact)


def _in_vain(rows: Rows, event: Recorded, fact: e.Fact) -> None:
    for call in rows.open(event.stream):
        call.use = "unused"
        rows.change(call)


STEPS: Mapping[type[e.Fact], Callable[[Rows, Recorded, Any], None]] = {
    e.ModelAsked: _asked,
    e.AnswerReceived: _answered,
    e.ModelCallFailed: _unanswered,
    e.ReviewPrepared: _prepared,
    e.ReviewPosted: _done,
    e.ReviewCompleted: _done,
    e.ReviewFailed: _failed,
    e.ReviewSuperseded: _in_vain,
    e.ReviewCancelled: _in_vain,
    e.ReviewSkipped: _in_vain,
}
TELLING: frozenset[str] = frozenset(kind.TOPIC for kind in STEPS)
