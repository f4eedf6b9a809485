"""A worker's process on a diff of FILES files with BYTES added bytes each; prints peak memory in MB and seconds.

Everything of a review but GitHub and the model: parse, choose, cut into prompts, render, store, judge, plan.
"""

from __future__ import annotations

import asyncio
import resource
import sys
import time
from uuid import UUID

import reviewbot.app  # noqa: F401 - its memory is part of a worker's
from reviewbot.llm.base import Answer, Prompt, Usage
from reviewbot.local import NoLedger
from reviewbot.planning import Withheld, fix, gather
from reviewbot.policy import Policy
from reviewbot.prompts.render import Subject
from reviewbot.reviewer import ask, terms
from schema.inbox import pack
from schema.keys import KEY_BYTES, DataKey


class Instant:
    """A model that says nothing, at once."""

    name, model, context_tokens, needs_content = "instant", "instant-1", 200_000, False

    async def ask(self, prompt: Prompt) -> Answer:
        text = '{"summary": "Fine.", "findings": []}'
        return Answer(text=text, provider=self.name, model=self.model, finish="complete", usage=Usage(), latency_ms=0)

    async def close(self) -> None:
        return None


def big_diff(files: int, size: int) -> bytes:
    """A unified diff that adds `size` bytes to each of `files` files."""
    line = b"+    value = compute(argument, other)  # as before\n"
    lines = size // len(line)
    parts = [
        b"diff --git a/src/f%d.py b/src/f%d.py\n--- a/src/f%d.py\n+++ b/src/f%d.py\n@@ -0,0 +1,%d @@\n"
        % (number, number, number, number, lines)
        + line * lines
        for number in range(files)
    ]
    return b"".join(parts)


async def main(files: int, size: int) -> None:
    provider = Instant()
    raw = big_diff(files, size)
    began = time.perf_counter()
    changes = pack(DataKey(UUID(int=1), 1, bytes(KEY_BYTES)), "changes", raw)
    policy = Policy()
    under = terms(provider, policy.settings, max_files=files, max_findings=20, max_output_tokens=16_384)
    found = gather(raw, under, policy)
    answers = await ask(
        Subject(title="Big"), found, provider, NoLedger(), content={}, terms=under, settings=policy.settings
    )
    job, head = UUID(int=1), "a" * 40
    fixed = fix(job, head, found, answers, under, policy, last_attempt=False, withhold=lambda _: Withheld())
    assert fixed.plan.body
    assert changes.size == len(raw)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, time.perf_counter() - began)


asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))
