"""A review made again from the log and the stored bytes alone, and compared with what was posted; nobody is called.

What other settings would have posted is the business of `reviewbot.counterfactual`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal
from uuid import UUID

import msgspec
from msgspec.structs import replace

from reviewbot.differences import Difference, differences
from reviewbot.errors import FinalError, ReviewBotError
from reviewbot.llm.base import Answer
from reviewbot.planning import Fixed, Withheld, fix, gather, recorded_answer
from reviewbot.policy import Policy
from reviewbot.review import ReviewJob
from reviewbot.reviewer import Scope
from schema import events as e
from schema.codec import Recorded
from schema.keys import WrongKey
from schema.log import Log
from schema.vault import Erased, KeyLost, Vault


class NotReplayable(FinalError):
    """The review cannot be made again from what is stored."""


class Stored(msgspec.Struct, frozen=True, kw_only=True):
    """All that the log and the artifacts hold of one review. Read it with `load`."""

    job: UUID
    request: e.ReviewRequested
    terms: e.Terms
    policy: Policy
    prepared: e.ReviewPrepared
    posted: e.ReviewPosted | None
    prompt_versions: frozenset[str]  # of the prompts that were answered
    changes: bytes
    answers: tuple[Answer, ...]  # one for each portion, in order
    plan: bytes  # as it was fixed before it was posted

    @property
    def withheld(self) -> Withheld:
        return Withheld(self.prepared.withheld, self.prepared.summary_withheld)


class Counts(msgspec.Struct, frozen=True):
    """A review in numbers."""

    findings: int
    comments: int  # inline
    conclusion: str


class Replayed(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the replay of one review came to; "unknown" has nothing but the sentence that says why."""

    job: UUID
    outcome: Literal["equal", "different", "unknown"]
    told: str  # in a sentence
    repository: str = ""
    pull_request: int = 0
    head_sha: str = ""
    digest: str = ""  # of the posted plan, as its artifact is called
    posted: Counts | None = None
    made: Counts | None = None  # None: it could not be made
    remarks: tuple[str, ...] = ()  # what the comparison cannot show, in sentences
    differences: tuple[Difference, ...] = ()


# --- from the log -----------------------------------------------------------------------------------------------------


async def load(vault: Vault, log: Log, job: UUID) -> Stored:
    """What is stored of a job's newest review. Raises NotReplayable with the reason why there is none to replay."""
    events = await log.read_stream(job)
    state = ReviewJob.replay(job, events)
    if state.request is None:
        raise NotReplayable(f"The log knows no job {job}.")
    before, after = _around_the_plan(state, events)
    prepared, changes = _prepared(after), _changes(before)
    if changes is None or changes.terms is None:
        raise NotReplayable(
            f"Job {job} was reviewed by a version of ReviewBot that did not record its settings: "
            "what it posted is in the log, but it cannot be made again exactly."
        )
    answers = ReviewJob.replay(job, before).answers
    received = [answers[prompt] for prompt in prepared.prompts if prompt in answers]
    if len(received) < len(prepared.prompts):
        raise NotReplayable(f"The log does not hold every answer that job {job} was made from.")
    read = _Reader(vault, state.request.installation, job)
    return Stored(
        job=job,
        request=state.request,
        terms=changes.terms,
        policy=await _policy(read, changes.settings),
        prepared=prepared,
        posted=next((event.fact for event in after if isinstance(event.fact, e.ReviewPosted)), None),
        prompt_versions=_prompt_versions(before, prepared.prompts),
        changes=await read("changes", changes.changes),
        answers=tuple([recorded_answer(each, await read("answer", each.answer)) for each in received]),
        plan=await read("plan", prepared.plan),
    )


class _Reader:
    """Reads the artifacts of a job."""

    def __init__(self, vault: Vault, installation: int, job: UUID) -> None:
        self._vault, self._installation, self._job = vault, installation, job

    async def __call__(self, kind: str, ref: str) -> bytes:
        try:
            return await self._vault.read_artifact(self._installation, ref)
        except Erased as erased:
            raise NotReplayable(
                f"The texts of installation {erased.installation} were erased on {erased.at:%Y-%m-%d}: "
                f"job {self._job} cannot be replayed."
            ) from erased
        except (LookupError, ValueError, KeyLost, WrongKey) as error:
            raise NotReplayable(f"The stored {kind} of job {self._job} cannot be read: {error}.") from error


async def _policy(read: _Reader, ref: str | None) -> Policy:
    if ref is None:  # the repository had no settings
        return Policy()
    try:
        return msgspec.json.decode(await read("settings", ref), type=Policy)
    except msgspec.MsgspecError as error:
        raise NotReplayable(f"The stored settings have a shape that this version does not know: {error}.") from error


def _around_the_plan(state: ReviewJob, events: Sequence[Recorded]) -> tuple[Sequence[Recorded], Sequence[Recorded]]:
    """The events before the newest plan, and those from it on. Raises NotReplayable when there is none."""
    for at in range(len(events) - 1, -1, -1):
        if events[at].topic == e.ReviewPrepared.TOPIC:
            return events[:at], events[at:]
    if state.state in ("queued", "running"):
        raise NotReplayable(f"Job {state.id} is {state.state}: it has no review yet.")
    reasons = (event.fact.reason for event in reversed(events) if isinstance(event.fact, _WITH_REASON))
    reason = next(reasons, "a newer request took its place")
    raise NotReplayable(f"Job {state.id} {state.state} before there was a review: {reason.rstrip('.')}.")


_WITH_REASON = (e.ReviewFailed, e.ReviewCancelled, e.ReviewSkipped)


def _prepared(events: Sequence[Recorded]) -> e.ReviewPrepared:
    fact = events[0].fact
    assert isinstance(fact, e.ReviewPrepared)
    return fact


def _changes(events: Sequence[Recorded]) -> e.ChangesGathered | None:
    """The changes that a plan was made of: of its own attempt, so the last ones before it."""
    return next((event.fact for event in reversed(events) if isinstance(event.fact, e.ChangesGathered)), None)


def _prompt_versions(events: Sequence[Recorded], prompts: Sequence[str]) -> frozenset[str]:
    asked = (event.fact for event in events if isinstance(event.fact, e.ModelAsked))
    return frozenset(fact.prompt_version for fact in asked if fact.prompt in prompts)


# --- made again -------------------------------------------------------------------------------------------------------


def gathered(stored: Stored) -> Scope:
    """What this version reviews of the stored change, under the terms of then. Raises DiffError and NotReplayable."""
    try:
        return gather(stored.changes, stored.terms, stored.policy)
    except msgspec.MsgspecError as error:
        raise NotReplayable(f"The stored changes have a shape that this version does not know: {error}.") from error


def remake(stored: Stored, scope: Scope) -> Fixed:
    """The review as this version of ReviewBot makes it of the stored answers, under the terms of then.

    `scope` is what was `gathered`. Raises AnswerUnusable, which the version of then did not, and NotReplayable.
    """
    prompts, answers = len(scope.chunks), len(stored.answers)
    if prompts != answers:
        raise NotReplayable(f"This version divides the change into {prompts} prompts, and {answers} were answered.")
    return fix(
        stored.job,
        stored.prepared.head_sha,
        scope,
        stored.answers,
        stored.terms,
        stored.policy,
        last_attempt=stored.prepared.last_attempt,
        withhold=lambda _: stored.withheld,
    )


def replay(stored: Stored, version: str) -> Replayed:
    """Make the review again and compare; `version` is that of this ReviewBot."""
    try:
        made = remake(stored, gathered(stored))
    except ReviewBotError as error:
        told = f"It cannot be made again: {str(error).rstrip('.')}{_by_version(stored, version)}"
        return compared(stored, None, "", told)
    equal = f"Equal to what was {_posted(stored)}, byte by byte."
    return compared(stored, made, equal, f"NOT what was {_posted(stored)}{_by_version(stored, version)}")


def compared(stored: Stored, made: Fixed | None, equal: str, different: str, remarks: Sequence[str] = ()) -> Replayed:
    """A review that was `made` beside what was posted; `equal` and `different` say what it means to be so."""
    plan = b"" if made is None else msgspec.json.encode(made.plan)
    same = plan == stored.plan
    prepared = stored.prepared
    shown = prepared.findings - len(prepared.withheld)
    return Replayed(
        job=stored.job,
        outcome="equal" if same else "different",
        told=equal if same else different,
        repository=stored.request.repository,
        pull_request=stored.request.pull_request,
        head_sha=prepared.head_sha,
        digest=prepared.plan,
        posted=Counts(shown, prepared.inline, prepared.conclusion),
        made=None if made is None else _counts(made),
        remarks=tuple(remarks),
        differences=() if made is None or same else _differences(stored, plan),
    )


def _differences(stored: Stored, plan: bytes) -> tuple[Difference, ...]:
    try:
        return differences(stored.plan, plan)
    except msgspec.ValidationError as error:
        raise NotReplayable(f"The stored plan has a shape that this version does not know: {error}.") from error


def unknown(stored: Stored, told: str) -> Replayed:
    """A review of which it cannot be told what else would have been posted."""
    return replace(compared(stored, None, "", told), outcome="unknown")


def _counts(made: Fixed) -> Counts:
    return Counts(len(made.verdict.located), len(made.plan.comments), made.plan.conclusion)


def _posted(stored: Stored) -> str:
    if stored.posted is None:
        return "fixed (it was not posted)"
    missing = stored.prepared.inline - stored.posted.comments
    moved = f", where GitHub refused the places of {missing} comments, which stand in its body" if missing > 0 else ""
    return f"posted as review {stored.posted.review_id}{moved}"


def _by_version(stored: Stored, version: str) -> str:
    then = stored.prepared.version
    return f" (made by ReviewBot {then}, replayed by {version})." if then != version else "."
