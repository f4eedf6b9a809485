"""Going on deliberately with a log that was restored from a backup, though more of it had been sealed.

Nothing is forgotten by it: the checkpoint from which the log goes on names the one that it gives up, and why, under the
same signature, and joins the copies outside.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import asyncpg

from schema.notes import Checkpoint, GivenUp
from schema.outside import Copies, Keys, collect
from schema.verify import Pass, Progress, snapshot


class AdoptionRefused(Exception):
    """The log is not one that was restored and nothing else; the message says why."""


async def propose(
    pool: asyncpg.Pool[asyncpg.Record],
    keys: Keys,
    outside: Sequence[Path],
    reason: str,
    progress: Progress = lambda done, total: None,
) -> Checkpoint:
    """The checkpoint to go on from: of the whole log as it is, with what is given up. Changes nothing.

    What fits no longer may only be the newest copies outside, for the log ends before them or has grown anew since.
    Raises AdoptionRefused, OSError, NoteError for a key that cannot be used, else what asyncpg raises.
    """
    verifiers = keys.verifiers()
    collected = collect(outside, verifiers)
    doubtful = [flaw for flaw in collected.flaws if not flaw.harmless]
    if doubtful:
        raise AdoptionRefused(f"not every checkpoint can be read: {doubtful[0].sentence}")
    async with snapshot(pool) as connection:
        found = await Pass(connection, verifiers, collected.copies).run(progress)
        if not found.verdict.problems:
            raise AdoptionRefused("the log is what was sealed: there is nothing to give up")
        fitting = {size: copy for size, copy in collected.copies.items() if size <= found.intact}
        rest = await Pass(connection, verifiers, fitting).run(progress)
    if rest.verdict.problems:
        raise AdoptionRefused(f"more than a restore happened to the log: {rest.verdict.problems[0]}")
    newest = collected.copies[max(collected.copies)]
    given_up = GivenUp(found.intact, newest.size, newest.root, reason)
    return Checkpoint(keys.origin, found.growth.size, found.growth.root(), given_up)


def adopt(checkpoint: Checkpoint, keys: Keys, copies: Copies) -> None:
    """Sign it, and let it be the newest copy: every sealer goes on from there. Raises OutsideError."""
    copies.append(keys.signer().sign(checkpoint.text))
