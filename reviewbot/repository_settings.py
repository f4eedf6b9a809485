"""Reads a repository's settings at the base commit, and writes down what was found and what stands for one review.

Never from the head: whoever may open a pull request must not decide how it is reviewed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import msgspec

from reviewbot.github import pulls
from reviewbot.github.client import Client
from reviewbot.github.pulls import RepositoryFile
from reviewbot.llm.base import Provider
from reviewbot.policy import PATH, Policy, Settings, fault_notes, read_settings
from reviewbot.story import NotWanted, Story
from reviewbot.strict_yaml import MAX_BYTES, Fault
from schema import events as e
from schema.vault import Erased, KeyLost, Vault

PARSE_SECONDS = 5.0  # within the limits a file takes a few milliseconds


class Standing(msgspec.Struct, frozen=True):
    """What stands for one review, and who makes it."""

    policy: Policy
    ref: str | None  # artifact digest of the policy; None: the repository never had a file
    provider: Provider


async def read_standing(
    client: Client, story: Story, vault: Vault, base_sha: str, providers: Sequence[Provider]
) -> Standing:
    """Read the file as it is in the commit `base_sha`, and record it; `providers` are those on offer, the usual first.

    Raises NotWanted when the repository wants no review, or by none of these, GitHub's errors, and FenceLost.
    A file with faults says nothing at all: half of what somebody wanted may be the opposite of it.
    """
    row = story.row
    file = await pulls.repository_file(client, row.repository, PATH, base_sha, limit=MAX_BYTES)
    if file is None and await story.earlier_settings(faulty=True) is None:
        return Standing(Policy(), None, providers[0])
    found = await _read(file) if file else Settings()
    earlier, faults = None, 0
    if isinstance(found, Settings):
        policy = Policy(settings=found)
    else:
        earlier, settings = await _earlier(story, vault)
        faults = len(found)
        instead = f"those of commit {earlier.base_sha[:12]}" if earlier else "the defaults"
        policy = Policy(settings=settings, notes=fault_notes(found, instead))
    kept = await vault.pack(row.installation, "settings", msgspec.json.encode(policy))
    fact = e.SettingsRead(
        repository_id=row.repository_id,
        base_sha=base_sha,
        blob_sha=file.sha if file else None,
        settings=kept.ref,
        faults=faults,
        instead=earlier.position if earlier else None,
        drafts=policy.settings.drafts == "review",
    )
    await story.record(fact, [kept])
    if not policy.settings.enabled:
        raise NotWanted(e.ReviewSkipped(reason=f"{PATH} on the base branch says enabled: false"))
    return Standing(policy, kept.ref, _choose(policy.settings, providers))


def _choose(settings: Settings, providers: Sequence[Provider]) -> Provider:
    """The first one that the repository lists and the operator offers. Raises NotWanted when there is none.

    Who lists providers says who may read the code: nobody else takes their place.
    """
    if not settings.providers:
        return providers[0]
    offered = {provider.name: provider for provider in providers}
    chosen = next((offered[name] for name in settings.providers if name in offered), None)
    if chosen is None:
        allowed, there = ", ".join(settings.providers), ", ".join(offered)
        raise NotWanted(e.ReviewSkipped(reason=f"{PATH} allows the providers {allowed} alone, and here are {there}"))
    return chosen


async def _read(file: RepositoryFile) -> Settings | tuple[Fault, ...]:
    if file.content is None:
        what = (
            f"the file has {file.size:,} bytes, and at most {MAX_BYTES:,} are read"
            if file.size > MAX_BYTES
            else "this is no file"
        )
        return (Fault(1, what),)
    try:
        async with asyncio.timeout(PARSE_SECONDS):
            return await asyncio.to_thread(read_settings, file.content)
    except TimeoutError:
        return (Fault(1, "the file takes too long to read"),)


class _Earlier(msgspec.Struct, frozen=True):
    position: int
    base_sha: str


async def _earlier(story: Story, vault: Vault) -> tuple[_Earlier | None, Settings]:
    """The newest settings of the repository that had no fault, else the defaults."""
    recorded = await story.earlier_settings(faulty=False)
    if recorded is None or not isinstance(fact := recorded.fact, e.SettingsRead):
        return None, Settings()
    try:
        kept = await vault.read_artifact(story.row.installation, fact.settings)
    except (Erased, KeyLost, LookupError):  # nobody can read them any more
        return None, Settings()
    policy = msgspec.json.decode(kept, type=Policy)
    return _Earlier(recorded.position, fact.base_sha), policy.settings
