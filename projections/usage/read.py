"""What is asked of the model calls."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import TypeAlias

import asyncpg
import msgspec

from projections.usage.project import HERE
from schema.events import Budget
from schema.sql import load

Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"


class Spent(msgspec.Struct, frozen=True):
    """What an installation has spent in the day, week or month of now, in US dollars, by what is in the log."""

    span: Budget
    until: datetime  # the end of it
    usd: Decimal


async def spent(pool: Pool, installation: int) -> list[Spent]:
    """The three sums of an installation. Days, weeks (from Monday) and months are those of UTC."""
    return [Spent(*row) for row in await pool.fetch(load(HERE, "spent"), installation)]
