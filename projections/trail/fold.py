"""How events become a trail: which values occur in which block of the log, and what each stream is about. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal
from uuid import UUID

import msgspec

from schema import events as e
from schema.codec import Recorded

BLOCK = 256  # positions; table.sql says so too
Facet = Literal["repository", "installation", "topic", "actor", "story"]
Mark = tuple[Facet, str, int]


class Subject(msgspec.Struct, gc=False):
    """A row of `trail_subjects`, its fields in the order of the columns."""

    stream: UUID
    repository_id: int
    pull_request: int | None = None
    head_sha: str | None = None
    job: UUID | None = None


class Rows:
    """What a page of events adds to the trail; `subjects` are those loaded for it, and then its own."""

    def __init__(self, subjects: Iterable[Subject] = ()) -> None:
        self.subjects = {subject.stream: subject for subject in subjects}
        self.changed: set[UUID] = set()
        self.names: set[tuple[str, int]] = set()
        # Values with blocks, as they come: there are many more events than marks, and a text is made of these alone.
        self.topics: set[tuple[str, int]] = set()
        self.actors: set[tuple[str, int]] = set()
        self.stories: set[tuple[UUID, int]] = set()
        self.installations: set[tuple[int, int]] = set()
        self.repositories: set[tuple[int, int]] = set()

    def marks(self) -> list[Mark]:
        """The rows of `trail`, in one order, so that two writers meet in it and neighbours share a page."""
        found: tuple[tuple[Facet, Iterable[tuple[object, int]]], ...] = (
            ("topic", self.topics),
            ("actor", self.actors),
            ("story", self.stories),
            ("installation", self.installations),
            ("repository", self.repositories),
        )
        return sorted((facet, str(value), block) for facet, values in found for value, block in values)


# The facts that say what their stream is about. All others are told by their columns and their stream.
TELLING: frozenset[str] = frozenset(
    kind.TOPIC
    for kind in (
        e.ReviewRequested,
        e.HeadResolved,
        e.CheckRunCreated,
        e.CheckRunConcluded,
        e.PullRequestClosed,
        e.PullRequestDrafted,
        e.RepositoryRenamed,
        e.DeliveryIgnored,
        e.HeadLeftOut,
    )
)


def needs(events: Iterable[Recorded], facts: Iterable[e.Fact | None]) -> set[UUID]:
    """The streams whose subjects must be known before a page can be folded."""
    wanted = set()
    for event, fact in zip(events, facts, strict=True):
        wanted.add(event.stream)
        if isinstance(fact, e.CheckRunCreated | e.CheckRunConcluded | e.DeliveryIgnored) and fact.job is not None:
            wanted.add(fact.job)
    return wanted


def fold(rows: Rows, event: Recorded, fact: e.Fact | None) -> None:
    """Take one event in; `fact` is needed for the topics in `TELLING` alone."""
    block = event.position // BLOCK
    rows.topics.add((event.topic, block))
    rows.actors.add((event.actor, block))
    rows.stories.add((event.correlation, block))
    if event.installation is not None:
        rows.installations.add((event.installation, block))
    if fact is not None:
        _learn(rows, event.stream, fact)
    subject = rows.subjects.get(event.stream)
    if subject is not None:
        rows.repositories.add((subject.repository_id, block))


def _learn(rows: Rows, stream: UUID, fact: e.Fact) -> None:
    match fact:
        case e.ReviewRequested():
            _name(rows, fact.repository, fact.repository_id)
            known = rows.subjects.get(stream)
            head = fact.head_sha or (known.head_sha if known else None)
            _set(rows, Subject(stream, fact.repository_id, fact.pull_request, head, stream))
        case e.HeadResolved():
            known = rows.subjects.get(stream)
            if known is not None and known.head_sha != fact.head_sha:
                _set(rows, msgspec.structs.replace(known, head_sha=fact.head_sha))
        case e.CheckRunCreated() | e.CheckRunConcluded():
            job = rows.subjects.get(fact.job)
            if job is not None:
                _set(rows, msgspec.structs.replace(job, stream=stream))
        case e.PullRequestClosed():
            _name(rows, fact.repository, fact.repository_id)
            _set(rows, Subject(stream, fact.repository_id, fact.pull_request))
        case e.PullRequestDrafted() | e.HeadLeftOut():
            _name(rows, fact.repository, fact.repository_id)
            _set(rows, Subject(stream, fact.repository_id, fact.pull_request, fact.head_sha))
        case e.RepositoryRenamed():
            _name(rows, fact.repository, fact.repository_id)
            _name(rows, fact.before, fact.repository_id)
            _set(rows, Subject(stream, fact.repository_id))
        case e.DeliveryIgnored() if fact.repository_id is not None:
            _name(rows, fact.repository, fact.repository_id)
            job = rows.subjects.get(fact.job) if fact.job else None
            pull = fact.pull_request or (job.pull_request if job else None)
            head = fact.head_sha or (job.head_sha if job else None)
            _set(rows, Subject(stream, fact.repository_id, pull, head, fact.job))


def _name(rows: Rows, repository: str | None, repository_id: int) -> None:
    if repository is not None:
        rows.names.add((repository.lower(), repository_id))


def _set(rows: Rows, subject: Subject) -> None:
    if rows.subjects.get(subject.stream) != subject:
        rows.subjects[subject.stream] = subject
        rows.changed.add(subject.stream)
