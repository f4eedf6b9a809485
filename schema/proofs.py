"""Proof bundles: what shows somebody without database or trust that some events are in the log that was sealed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import asyncpg
import msgspec

from schema.codec import Recorded
from schema.entries import leaf, microseconds
from schema.merkle import verify_consistency, verify_inclusion
from schema.notes import Checkpoint, Verifier, open_checkpoint, to_base64
from schema.outside import Copy
from schema.sql import load
from schema.tree import Tree, TreeError

FORMAT = "reviewbot-proof-1"


class NotProvable(Exception):
    """The proof that was asked for cannot be made; the message says why."""


class ProvenEvent(msgspec.Struct, frozen=True, kw_only=True):
    """An event with all that its leaf is made of, and the hashes that lead from there to the root."""

    position: int
    stream: str
    version: int
    topic: str
    data: str  # base64 of the stored bytes
    installation: int | None
    delivery: str | None
    actor: str
    correlation: str
    causation: int | None
    recorded_at: int  # microseconds since 1970, UTC
    proof: list[str]  # base64


class Earlier(msgspec.Struct, frozen=True, kw_only=True):
    """A checkpoint that somebody kept, and the hashes that show that the bundle's one continues it."""

    size: int
    root: str  # base64
    proof: list[str]  # base64


class Bundle(msgspec.Struct, frozen=True, kw_only=True):
    """The events, the signed checkpoint that vouches for them, and the way from kept checkpoints to it."""

    format: str = FORMAT
    checkpoint: str  # a signed note
    events: list[ProvenEvent]
    earlier: list[Earlier]


async def prove(
    pool: asyncpg.Pool[asyncpg.Record],
    verifiers: tuple[Verifier, ...],
    events: Sequence[Recorded],
    kept: Iterable[Copy],
) -> Bundle:
    """The bundle for these events, under the newest checkpoint of the database. Raises NotProvable.

    Every proof is checked before it is handed out.
    """
    async with pool.acquire() as connection:
        row = await connection.fetchrow(load("schema.queries", "newest_tree_head"))
        newest = max((event.position for event in events), default=0)
        if row is None or row["size"] < newest:
            raise NotProvable(f"event {newest} is not sealed yet: try again in a moment; does a sealer run?")
        checkpoint = open_checkpoint(row["note"], verifiers)
        try:
            tree = await Tree.open(connection, checkpoint.size)
            proven = [await _prove(tree, checkpoint, event) for event in events]
            earlier = [await _continue(tree, checkpoint, copy) for copy in kept if 0 < copy.size <= checkpoint.size]
        except TreeError as error:
            raise NotProvable(f"{error}: run reviewbot verify") from error
    return Bundle(checkpoint=row["note"], events=proven, earlier=earlier)


async def _prove(tree: Tree, checkpoint: Checkpoint, event: Recorded) -> ProvenEvent:
    index = event.position - 1
    proof = await tree.inclusion_proof(index)
    if not verify_inclusion(leaf(event), index, checkpoint.size, proof, checkpoint.root):
        raise NotProvable(f"event {event.position} is not what was sealed: run reviewbot verify")
    return ProvenEvent(
        position=event.position,
        stream=str(event.stream),
        version=event.version,
        topic=event.topic,
        data=to_base64(event.data),
        installation=event.installation,
        delivery=str(event.delivery) if event.delivery is not None else None,
        actor=event.actor,
        correlation=str(event.correlation),
        causation=event.causation,
        recorded_at=microseconds(event.recorded_at),
        proof=[to_base64(each) for each in proof],
    )


async def _continue(tree: Tree, checkpoint: Checkpoint, copy: Copy) -> Earlier:
    proof = await tree.consistency_proof(copy.size)
    if not verify_consistency(copy.size, copy.root, checkpoint.size, checkpoint.root, proof):
        raise NotProvable(f"the log does not continue the checkpoint of {copy.place}: run reviewbot verify")
    return Earlier(size=copy.size, root=to_base64(copy.root), proof=[to_base64(each) for each in proof])
