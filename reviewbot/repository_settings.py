"""Reads a repository's settings at the base commit, and writes down what was found and what stands for one review.

Never from the head: whoever may open a pull request must not decide how it is reviewed.
"""

from __future__ import annotations

import asyncio

import msgspec

from reviewbot.github import pulls
from reviewbot.github.client import Client
from reviewbot.github.pulls import RepositoryFile
from reviewbot.policy import PATH, Policy, Settings, read_settings
from reviewbot.story import Story
from reviewbot.strict_yaml import MAX_BYTES, Fault
from schema import events as e
from schema.vault import Erased, KeyLost, Vault

PARSE_SECONDS = 5.0  # within the limits a file takes a few milliseconds


class Standing(msgspec.Struct, frozen=True):
    """What stands for one review, and under which artifact digest it is kept; None: the repository has no file."""

    policy: Policy
    ref: str | None


async def read_standing(client: Client, story: Story, vault: Vault, base_sha: str) -> Standing:
    """Read the file as it is in the commit `base_sha`, and record it. Raises GitHub's errors and FenceLost.

    A file with faults says nothing at all: half of what somebody wanted may be the opposite of it.
    """
    row = story.row
    file = await pulls.repository_file(client, row.repository, PATH, base_sha, limit=MAX_BYTES)
    if file is None:
        return Standing(Policy(), None)
    found = await _read(file)
    earlier, faults = None, 0
    if isinstance(found, Settings):
        policy = Policy(settings=found)
    else:
        earlier, settings = await _earlier(story, vault)
        faults = len(found)
        policy = Policy(settings=settings, notes=_notes(found, earlier))
    kept = await vault.pack(row.installation, "settings", msgspec.json.encode(policy))
    fact = e.SettingsRead(
        repository_id=row.repository_id,
        base_sha=base_sha,
        blob_sha=file.sha,
        settings=kept.ref,
        faults=faults,
        instead=earlier.position if earlier else None,
        drafts=policy.settings.drafts == "review",
    )
    await story.record(fact, [kept])
    return Standing(policy, kept.ref)


async def _read(file: RepositoryFile) -> Settings | tuple[Fault, ...]:
    if file.content is None:
        what = f"has {file.size:,} bytes, and at most {MAX_BYTES:,} are read" if file.size > MAX_BYTES else "is no file"
        return (Fault(1, what),)
    try:
        async with asyncio.timeout(PARSE_SECONDS):
            return await asyncio.to_thread(read_settings, file.content)
    except TimeoutError:
        return (Fault(1, "takes too long to read"),)


class _Earlier(msgspec.Struct, frozen=True):
    position: int
    base_sha: str


async def _earlier(story: Story, vault: Vault) -> tuple[_Earlier | None, Settings]:
    """The newest settings of the repository that had no fault, else the defaults."""
    recorded = await story.earlier_settings()
    if recorded is None or not isinstance(fact := recorded.fact, e.SettingsRead):
        return None, Settings()
    try:
        kept = await vault.read_artifact(story.row.installation, fact.settings)
    except (Erased, KeyLost, LookupError):  # nobody can read them any more
        return None, Settings()
    policy = msgspec.json.decode(kept, type=Policy)
    return _Earlier(recorded.position, fact.base_sha), policy.settings


def _notes(faults: tuple[Fault, ...], earlier: _Earlier | None) -> tuple[str, ...]:
    stand = f"those of commit {earlier.base_sha[:12]} stand" if earlier else "the defaults stand"
    return (
        f"The settings in {PATH} on the base branch have faults and are not used: {stand} instead.",
        *(f"{PATH}, {fault}." for fault in faults),
    )
