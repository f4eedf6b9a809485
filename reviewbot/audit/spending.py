"""What model calls cost together, and how much of it was of no use. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from typing import Self

import msgspec

from projections.usage.fold import TELLING, Call, Rows, fold
from reviewbot.audit.sentences import counted
from reviewbot.prices import Rate, cost, shown
from schema.codec import Recorded


class Spent(msgspec.Struct, kw_only=True):
    """Sums over calls, in US dollars. A call whose price is not known counts as nothing, and is counted."""

    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    usd: Decimal = Decimal(0)
    unused: int = 0  # answers that no posted review was made from
    unused_usd: Decimal = Decimal(0)  # part of `usd`
    priced_now: int = 0  # recorded without a price, and priced by what is known today
    unpriced: int = 0
    unanswered: int = 0  # that may have been paid for: the answer never came, and nobody said why

    @classmethod
    def of(cls, calls: Iterable[Call], own: Sequence[Rate] = ()) -> Self:
        """Add up; `own` are the operator's prices, for calls that were recorded without one."""
        spent = cls()
        for call in calls:
            spent.add(call, own)
        return spent

    def add(self, call: Call, own: Sequence[Rate]) -> None:
        self.calls += 1
        if call.outcome != "answered":
            self.unanswered += call.outcome == "asked" and call.use == "unused"
            return
        self.input_tokens += call.input_tokens
        self.output_tokens += call.output_tokens
        usd, unused = call.cost_usd, call.use == "unused"
        if call.price_table is None:
            usd = price_now(call, own)
            self.priced_now += usd is not None
        self.unpriced += usd is None
        self.unused += unused
        self.usd += usd or 0
        self.unused_usd += (usd or Decimal(0)) if unused else 0

    def words(self) -> Iterator[str]:
        """The sum, and what must be known of it."""
        yield shown(self.usd)
        if self.unused:
            yield f"{shown(self.unused_usd)} of it for {counted(self.unused, 'answer')} that no review came of"
        if self.unanswered:
            yield f"{counted(self.unanswered, 'call')} without an answer may have cost something too"
        if self.unpriced:
            yield f"without {counted(self.unpriced, 'answer')} of a model whose price is not known"
        if self.priced_now:
            yield f"{counted(self.priced_now, 'answer')} recorded without a price, at today's list"


def calls_of(events: Iterable[Recorded]) -> Rows:
    """The model calls that these events tell of, all of which this version can read; they are in order."""
    rows = Rows()
    for event in events:
        if event.topic in TELLING:
            fold(rows, event, event.fact)
    return rows


def price_now(call: Call, own: Sequence[Rate]) -> Decimal | None:
    """What an answer cost that was recorded without a price: the list of today knows the prices of back then."""
    return cost(
        call.provider,
        (call.model,),
        input_tokens=call.input_tokens,
        output_tokens=call.output_tokens,
        cached_input_tokens=call.cached_input_tokens,
        at=call.asked_at,
        own=own,
    ).usd
