"""The story of a job in plain words, from the log alone."""

from __future__ import annotations

import re
from typing import Any, get_args, get_type_hints

import pytest

from reviewbot.audit import history, jobs_of, sentence
from schema import events as e
from schema.codec import Recorded, encode
from tests.demo.hub import REPO
from tests.helpers import START, meta, project, requested
from tests.world import World


def said(fact: e.Fact) -> str:
    about = meta()
    return sentence(
        Recorded(1, about.correlation, 1, fact.TOPIC, encode(fact), 42, None, "test", about.correlation, None, START)
    )


def example(kind: type[e.Fact]) -> e.Fact:
    """A fact of that kind with something in every field."""
    values: dict[str, Any] = {}
    for name, hint in get_type_hints(kind).items():
        if name in ("TOPIC", "VERSION"):
            continue
        plain = [each for each in get_args(hint) if each is not type(None)] or [hint]
        values[name] = _value(name, plain[0])
    return kind(**values)


def _value(name: str, hint: Any) -> object:
    literals = {"trigger": "opened", "finish": "complete", "conclusion": "neutral", "pause": "provider"}
    if name in literals:
        return literals[name]
    if name in ("added", "removed"):
        return (1, 2)
    known = {int: 7, bool: True, str: "word", type(START): START}
    return known.get(hint, meta().correlation)


@pytest.mark.parametrize("kind", e.FACTS, ids=lambda kind: kind.TOPIC)
def test_every_fact_has_a_sentence_of_its_own_in_plain_words(kind: type[e.Fact]) -> None:
    words = said(example(kind))
    assert words != kind.TOPIC
    assert "None" not in words
    assert not re.search(r"[A-Z][a-z]+[A-Z][a-z]+\(", words)
    assert len(words.splitlines()) == 1


def test_endings_and_retries_read_differently() -> None:
    assert said(e.ReviewFailed(code="c", reason="It broke.")) == "review failed for good (c): It broke."
    assert said(e.ReviewFailed(code="c", reason="It broke.", retry_at=START)) == (
        "attempt failed (c), next one at 00:00:00: It broke."
    )
    assert said(e.ReviewPosted(review_id=5, url="u", comments=2, found=True)).startswith(
        "review 5 found already posted"
    )
    assert said(requested(head_sha=None, trigger="comment")) == (
        "review of octo/hello#1 at the newest commit requested (comment)"
    )


async def test_the_history_of_a_job_has_its_check_runs_in_between(world: World) -> None:
    job = await world.request()
    keeper = world.keeper()
    await keeper.step()
    story = world.story(await world.claim())
    await story.load()
    await world.steps().review(story)
    await project(world.pool)
    await keeper.step()
    topics = [event.topic for event in await history(world.log, job)]
    assert topics[:4] == ["ReviewRequested", "CheckRunCreated", "ReviewStarted", "HeadResolved"]
    assert topics[-2:] == ["ReviewCompleted", "CheckRunConcluded"]


async def test_the_jobs_of_a_pull_request_come_in_the_order_of_their_requests_whatever_its_name_is_now(
    world: World,
) -> None:
    first = await world.request()
    await world.standin.push(REPO, 1, "later")
    second = await world.request()
    await world.open("forced")
    await world.request(2)
    assert await jobs_of(world.pool, REPO, 1) == [first, second]
    assert await jobs_of(world.pool, "acme/other", 1) == []
