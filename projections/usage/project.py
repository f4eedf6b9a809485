"""The `usage` projection: load the calls of the jobs of a page, fold, write back what changed."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from projections.base import Connection, fact_of
from projections.usage.fold import TELLING, Call, Rows, fold
from schema.codec import Recorded
from schema.sql import load

HERE = "projections.usage"

_calls = msgspec.json.Decoder(list[Call])
_encoder = msgspec.json.Encoder()


class Usage:
    """Every call to a model, what it cost, and whether its answer was of use."""

    name = "usage"
    version = 1
    tables: tuple[str, ...] = ("model_calls",)
    functions: tuple[str, ...] = ()
    ahead = None
    prompt = False

    @property
    def script(self) -> str:
        return load(HERE, "table")

    @property
    def finish(self) -> str:
        return load(HERE, "finish")

    async def apply(self, connection: Connection, events: Sequence[Recorded]) -> None:
        telling = [(event, fact_of(event)) for event in events if event.topic in TELLING]
        if not telling:
            return
        jobs = list({event.stream for event, _ in telling})
        rows = Rows(_calls.decode(await connection.fetchval(load(HERE, "load"), jobs)))
        for event, fact in telling:
            fold(rows, event, fact)
        if rows.changed:
            await connection.execute(load(HERE, "save"), _encoder.encode(list(rows.changed.values())))

    async def replay(self, connection: Connection, events: Sequence[Recorded]) -> None:
        await self.apply(connection, events)
