"""What must hold after every fault, whatever it was: checked on the log, the table and the stand-in, from outside.

Written against the events alone, without a line of the code that makes them.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from uuid import UUID

import asyncpg

from reviewbot.render import find_marker
from schema import events as e
from schema.codec import Recorded
from schema.log import recorded
from schema.sql import load
from tests.journeys.rig import Rig

# What may follow what in the life of a review; "" is its beginning. Requests may come at any time.
GATHERED = {"ChangesGathered", "ReviewPrepared", "ModelAsked"}
ENDS = {"ReviewFailed", "ReviewReleased", "ReviewSuperseded", "ReviewCancelled", "ReviewSkipped"}
AT_WORK = {"HeadResolved", "SettingsRead", *GATHERED, "ReviewPosted", "ReviewCompleted", *ENDS}
NEXT: dict[str, set[str]] = {
    "": set(),
    "ReviewRequested": {"ReviewStarted", "ReviewSuperseded", "ReviewCancelled"},
    "ReviewStarted": AT_WORK,
    "HeadResolved": AT_WORK,
    "SettingsRead": AT_WORK,
    "ChangesGathered": AT_WORK,
    "ModelAsked": {"AnswerReceived", "ModelCallFailed", *ENDS},
    "AnswerReceived": AT_WORK,
    "ModelCallFailed": ENDS,
    "ReviewPrepared": {"ReviewPosted", *ENDS},
    "ReviewPosted": {"ReviewCompleted", *ENDS},
    "ReviewFailed": {"ReviewStarted", "ReviewSuperseded", "ReviewCancelled"},
    "ReviewReleased": {"ReviewStarted", "ReviewSuperseded", "ReviewCancelled"},
}
BY_A_WORKER = {*AT_WORK, "AnswerReceived", "ModelCallFailed"} - {"ReviewSuperseded", "ReviewCancelled"}


@dataclass(frozen=True)
class Scene:
    """All there is after a fault, when everything has come to rest."""

    events: Sequence[Recorded]
    jobs: Sequence[asyncpg.Record]
    inbox: frozenset[UUID]
    rig: Rig
    acknowledged: frozenset[UUID] = frozenset()  # deliveries that were answered with 2xx
    answers: tuple[int, ...] = ()  # the status of every answer to a delivery, 0 for none

    def streams(self) -> dict[UUID, list[Recorded]]:
        """The events of each job."""
        streams: dict[UUID, list[Recorded]] = defaultdict(list)
        known = {event.stream for event in self.events if isinstance(event.fact, e.ReviewRequested)}
        for event in self.events:
            if event.stream in known:
                streams[event.stream].append(event)
        return streams


async def scene(rig: Rig, acknowledged: Iterable[UUID] = (), answers: Iterable[int] = ()) -> Scene:
    """Look at everything. What the stand-in delivered counts as well."""
    deliveries = rig.standin.deliveries
    told = [UUID(each.message.guid) for each in deliveries if 200 <= each.status_code < 300]
    # One snapshot: the service may still be taking in what its own writes caused.
    async with rig.pool.acquire() as connection, connection.transaction(isolation="repeatable_read", readonly=True):
        return Scene(
            events=recorded(await connection.fetch(load("schema.queries", "read_after"), 0, 1_000_000)),
            jobs=await connection.fetch("select * from jobs"),
            inbox=frozenset(row["delivery"] for row in await connection.fetch("select delivery from inbox")),
            rig=rig,
            acknowledged=frozenset([*acknowledged, *told]),
            answers=(*answers, *(each.status_code for each in deliveries)),
        )


async def assert_all_hold(rig: Rig, acknowledged: Iterable[UUID] = (), answers: Iterable[int] = ()) -> None:
    """Every invariant; fails with all that is broken."""
    found = await scene(rig, acknowledged, answers)
    broken = [f"{check.__name__}: {what}" for check in ALL for what in check(found)]
    assert not broken, "\n".join(broken)


def i1_what_was_acknowledged_is_stored(scene: Scene) -> Iterator[str]:
    lost = scene.acknowledged - scene.inbox
    if lost:
        yield f"{len(lost)} of {len(scene.acknowledged)} acknowledged deliveries are lost"


def i2_a_delivery_asks_once(scene: Scene) -> Iterator[str]:
    asked = Counter(event.delivery for event in scene.events if isinstance(event.fact, e.ReviewRequested))
    for delivery, times in asked.items():
        if delivery is not None and times > 1:
            yield f"delivery {delivery} asked {times} times"


def i3_every_request_has_its_job_and_every_delivery_its_event(scene: Scene) -> Iterator[str]:
    differing = scene.streams().keys() ^ {row["job"] for row in scene.jobs}
    if differing:
        yield f"requests and jobs differ in {differing}"
    silent = scene.inbox - {event.delivery for event in scene.events}
    if silent:
        yield f"stored deliveries without an event: {silent}"


def i4_one_job_for_each_meaning(scene: Scene) -> Iterator[str]:
    pushes = {"opened", "synchronize", "reopened", "ready_for_review"}
    meanings: dict[tuple[object, ...], set[UUID]] = defaultdict(set)
    for event in scene.events:
        fact = event.fact
        if isinstance(fact, e.ReviewRequested) and fact.trigger in pushes:
            meanings[fact.installation, fact.repository_id, fact.pull_request, fact.head_sha].add(event.stream)
    for meaning, jobs in meanings.items():
        if len(jobs) > 1:
            yield f"{len(jobs)} jobs for {meaning}"


def i5_one_visible_review_and_one_check_run_for_each_job(scene: Scene) -> Iterator[str]:
    visible = Counter(job for job, state in reviews(scene.rig) if state != "PENDING")
    yield from (f"job {job} has {times} visible reviews" for job, times in visible.items() if times > 1)
    runs = Counter(run.external_id for repo in scene.rig.standin.world.repositories.values() for run in repo.checks)
    for job, stream in scene.streams().items():
        requests = sum(isinstance(event.fact, e.ReviewRequested) for event in stream)
        if runs[str(job)] > requests:
            yield f"job {job} has {runs[str(job)]} check runs for {requests} requests"


def i6_a_completed_job_has_its_review_and_a_review_its_completed_job(scene: Scene) -> Iterator[str]:
    shown = {job for job, state in reviews(scene.rig) if state != "PENDING"}
    completed = {row["job"] for row in scene.jobs if row["state"] == "completed"}
    given_up = {row["job"] for row in scene.jobs if row["state"] in ("superseded", "cancelled")}
    yield from (f"job {job} is completed, without a review" for job in completed - shown)
    yield from (f"job {job} has a review and is not completed" for job in shown - completed - given_up)
    yield from (f"job {job} left a pending review" for job, state in reviews(scene.rig) if state == "PENDING")


def i7_nothing_is_left_half_done(scene: Scene) -> Iterator[str]:
    for row in scene.jobs:
        if row["state"] in ("queued", "running", "ending"):
            yield f"job {row['job']} is still {row['state']}"
        elif row["head_sha"] is not None and not row["check_concluded"]:
            yield f"the check run of job {row['job']} is still open"


def i8_only_the_newest_claim_writes(scene: Scene) -> Iterator[str]:
    for job, stream in scene.streams().items():
        claim_no = position = 0
        for event in stream:
            if isinstance(event.fact, e.ReviewStarted):
                if event.fact.claim_no <= claim_no:
                    yield f"job {job}: claim {event.fact.claim_no} follows {claim_no}"
                claim_no, position = event.fact.claim_no, event.position
            elif event.fact.TOPIC in BY_A_WORKER and event.causation != position:
                yield f"job {job}: {event.fact.TOPIC} was written under an older claim"


def i9_one_thing_follows_another(scene: Scene) -> Iterator[str]:
    for job, stream in scene.streams().items():
        before = ""
        for event in stream:
            topic = event.fact.TOPIC
            if topic == "ReviewRequested":
                before = before if before in NEXT and before else topic
            elif topic not in NEXT.get(before, set()):
                yield f"job {job}: {topic} after {before or 'nothing'}"
            else:
                before = topic


def i12_positions_have_no_holes(scene: Scene) -> Iterator[str]:
    positions = [event.position for event in scene.events]
    if positions != list(range(1, len(positions) + 1)):
        yield "positions are not dense"


def i22_no_answer_is_a_500(scene: Scene) -> Iterator[str]:
    odd = [status for status in scene.answers if status and status >= 500 and status != 503]
    if odd:
        yield f"deliveries were answered with {odd}"


ALL = (
    i1_what_was_acknowledged_is_stored,
    i2_a_delivery_asks_once,
    i3_every_request_has_its_job_and_every_delivery_its_event,
    i4_one_job_for_each_meaning,
    i5_one_visible_review_and_one_check_run_for_each_job,
    i6_a_completed_job_has_its_review_and_a_review_its_completed_job,
    i7_nothing_is_left_half_done,
    i8_only_the_newest_claim_writes,
    i9_one_thing_follows_another,
    i12_positions_have_no_holes,
    i22_no_answer_is_a_500,
)


def reviews(rig: Rig) -> Iterator[tuple[UUID, str]]:
    """The job and the state of each review of ours on the stand-in."""
    for repository in rig.standin.world.repositories.values():
        for pull in repository.pulls.values():
            for review in pull.reviews:
                marker = find_marker(review.body)
                if marker is not None:
                    yield marker.job, review.state
