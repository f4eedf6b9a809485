"""Posting: exactly one review, whatever goes wrong between us and GitHub; and broken twins that are seen to fail."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from uuid import UUID, uuid4

import pytest

from reviewbot import publisher
from reviewbot.demo.standin import Standin
from reviewbot.demo.state import Review as Shown
from reviewbot.errors import GitHubRateLimited, GitHubRefused, GitHubUnavailable
from reviewbot.github import reviews
from reviewbot.github.client import Client, GitHub
from reviewbot.github.models import CheckOutput, DraftComment, Review
from reviewbot.publisher import Plan, PlannedComment, Posted, Publisher
from reviewbot.render import marker
from reviewbot.story import FenceLost
from tests.demo.hub import REPO, Commits
from tests.world import BOT, client_of, github_world, visible

JOB = UUID("00000000-0000-4000-8000-000000000001")
CREATE = "POST /repos/*/pulls/1/reviews"
SUBMIT = "POST /repos/*/pulls/1/reviews/*/events"
LIST = "GET /repos/*/pulls/1/reviews"


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publisher, "LOOKS_AFTER_DOUBT", (0.0, 0.0, 0.0, 0.0))


@pytest.fixture
async def github(commits: Commits, key: tuple[str, str]) -> AsyncIterator[tuple[Standin, GitHub]]:
    async with github_world(commits, key) as (standin, github):
        await standin.open_pull_request(REPO, base="main", head="topic", title="A change")
        yield standin, github


@pytest.fixture
def standin(github: tuple[Standin, GitHub]) -> Standin:
    return github[0]


@pytest.fixture
def client(github: tuple[Standin, GitHub]) -> Client:
    return client_of(*github)


async def nothing_against_it() -> None:
    return


def planned(line: int, path: str = "src/app.py") -> PlannedComment:
    return PlannedComment(DraftComment(path=path, body=f"About {line}.", line=line, side="RIGHT"), f"Moved: {line}.")


def plan_for(head: str, *comments: PlannedComment, job: UUID = JOB) -> Plan:
    return Plan(
        job=job,
        head_sha=head,
        body=f"{marker(job, head)}\n\n### What was found\n\n<details><summary>2 files</summary>\n\n</details>",
        comments=comments or (planned(5),),
        conclusion="neutral",
        check=CheckOutput(title="t", summary="s"),
    )


async def post(
    client: Client,
    plan: Plan,
    guard: Callable[[], Awaitable[None]] = nothing_against_it,
    kind: type[Publisher] = Publisher,
) -> Posted:
    return await kind(client, REPO, 1, BOT, guard).publish(plan)


def inline(standin: Standin) -> list[int | None]:
    return [comment.line for comment in standin.pull(REPO, 1).submitted_comments()]


def nothing_is_left(standin: Standin) -> bool:
    """No pending review of anybody."""
    return all(review.state != "PENDING" for review in standin.reviews(REPO, 1))


# --- all is well ------------------------------------------------------------------------------------------------------


async def test_a_review_is_posted_with_its_comments(standin: Standin, client: Client, commits: Commits) -> None:
    posted = await post(client, plan_for(commits.head, planned(5), planned(6)))
    (shown,) = visible(standin)
    assert posted == Posted(shown.id, posted.url, 2, found=False)
    assert posted.url.endswith(f"/pull/1#pullrequestreview-{shown.id}")
    assert (shown.state, shown.commit_id, inline(standin)) == ("COMMENTED", commits.head, [5, 6])


async def test_publishing_again_finds_the_review_and_posts_nothing(
    standin: Standin, client: Client, commits: Commits
) -> None:
    first = await post(client, plan_for(commits.head))
    second = await post(client, plan_for(commits.head))
    assert (second.review_id, second.comments, second.found) == (first.review_id, 1, True)
    assert len(visible(standin)) == 1


async def test_a_review_of_another_job_or_head_does_not_count_as_ours(
    standin: Standin, client: Client, commits: Commits
) -> None:
    await post(client, plan_for(commits.head))
    await post(client, plan_for(commits.head, job=uuid4()))
    assert len(visible(standin)) == 2


# --- replies that lie or never come -----------------------------------------------------------------------------------


@pytest.mark.parametrize("request_of", [CREATE, SUBMIT])
@pytest.mark.parametrize("kind", ["bad-gateway", "html-502", "lost-reply", "dropped", "unavailable"])
async def test_trouble_in_passing_leaves_exactly_one_review(
    standin: Standin, client: Client, commits: Commits, request_of: str, kind: str
) -> None:
    trouble = standin.trouble(request_of, kind, times=2)  # type: ignore[arg-type]  # one of the kinds above
    posted = await post(client, plan_for(commits.head))
    assert trouble.fired >= 1
    assert [review.id for review in visible(standin)] == [posted.review_id]
    assert inline(standin) == [5]
    assert nothing_is_left(standin)


@pytest.mark.parametrize("request_of", [CREATE, SUBMIT])
@pytest.mark.parametrize("kind", ["bad-gateway", "lost-reply", "unavailable"])
async def test_trouble_that_lasts_is_raised_and_the_next_attempt_ends_with_one_review(
    standin: Standin, client: Client, commits: Commits, request_of: str, kind: str
) -> None:
    standin.trouble(request_of, kind, times=9)  # type: ignore[arg-type]  # one of the kinds above
    standin.trouble("GET /repos/*/pulls/1/reviews*", "unavailable", skip=1, times=9)
    with pytest.raises(GitHubUnavailable):
        await post(client, plan_for(commits.head))
    standin.troubles.clear()
    await post(client, plan_for(commits.head))
    assert len(visible(standin)) == 1
    assert nothing_is_left(standin)


async def test_a_review_that_shows_late_after_a_lost_reply_is_waited_for(
    standin: Standin, client: Client, commits: Commits
) -> None:
    standin.trouble(CREATE, "delayed-visibility", requests=3)
    standin.trouble(CREATE, "lost-reply")
    assert (await post(client, plan_for(commits.head))).found is False
    assert len(visible(standin)) == 1


async def test_a_pending_review_that_never_shows_is_left_for_a_later_attempt(
    standin: Standin, client: Client, commits: Commits
) -> None:
    standin.trouble(CREATE, "delayed-visibility", requests=100)
    standin.trouble(CREATE, "lost-reply")
    with pytest.raises(GitHubUnavailable, match="may appear later"):
        await post(client, plan_for(commits.head))
    assert visible(standin) == []
    for review in standin.reviews(REPO, 1):
        review.hidden = None
    await post(client, plan_for(commits.head))
    assert len(visible(standin)) == 1


async def test_a_submitted_review_that_lists_do_not_show_is_known_by_its_id(
    standin: Standin, client: Client, commits: Commits
) -> None:
    standin.trouble(CREATE, "delayed-visibility", requests=100)
    standin.trouble(SUBMIT, "lost-reply")
    posted = await post(client, plan_for(commits.head))
    assert [review.id for review in visible(standin)] == [posted.review_id]


async def test_a_listing_in_trouble_is_asked_again(standin: Standin, client: Client, commits: Commits) -> None:
    standin.trouble(LIST, "unavailable", times=2)
    await post(client, plan_for(commits.head))
    assert len(visible(standin)) == 1


@pytest.mark.parametrize("request_of", [LIST, CREATE, SUBMIT])
async def test_a_rate_limit_is_handed_on_and_the_next_attempt_ends_with_one_review(
    standin: Standin, client: Client, github: tuple[Standin, GitHub], commits: Commits, request_of: str
) -> None:
    standin.trouble(request_of, "secondary-limit", status=429, retry_after=1)
    with pytest.raises(GitHubRateLimited) as limited:
        await post(client, plan_for(commits.head))
    assert limited.value.retry_after is not None
    assert visible(standin) == []
    github[1]._gates.clear()  # as after the wait
    await post(client_of(*github), plan_for(commits.head))
    assert len(visible(standin)) == 1


# --- reviews that are there already -----------------------------------------------------------------------------------


async def leave_pending(client: Client, head: str, body: str) -> int:
    draft = planned(6).comment
    return (await reviews.create_pending(client, REPO, 1, commit_id=head, body=body, comments=[draft])).id


async def test_a_pending_review_of_an_earlier_attempt_is_submitted_as_it_is(
    standin: Standin, client: Client, commits: Commits
) -> None:
    plan = plan_for(commits.head)
    left = await leave_pending(client, commits.head, plan.body)
    assert (await post(client, plan)).review_id == left
    assert [review.id for review in visible(standin)] == [left]


@pytest.mark.parametrize("whose", ["another job's", "an older head's", "nobody's"])
async def test_a_pending_review_of_anything_else_is_deleted_first(
    standin: Standin, client: Client, commits: Commits, whose: str
) -> None:
    bodies = {
        "another job's": plan_for(commits.head, job=uuid4()).body,
        "an older head's": plan_for("d" * 40).body,
        "nobody's": "Without a marker.",
    }
    left = await leave_pending(client, commits.head, bodies[whose])
    posted = await post(client, plan_for(commits.head))
    assert posted.review_id != left
    assert [review.id for review in standin.reviews(REPO, 1)] == [posted.review_id]
    assert inline(standin) == [5]


async def test_a_deletion_whose_reply_was_lost_does_no_harm(standin: Standin, client: Client, commits: Commits) -> None:
    await leave_pending(client, commits.head, "Without a marker.")
    standin.trouble("DELETE /repos/*/pulls/1/reviews/*", "lost-reply")
    await post(client, plan_for(commits.head))
    assert len(visible(standin)) == 1


async def test_a_pending_review_that_somebody_deletes_first_does_no_harm(
    standin: Standin, client: Client, commits: Commits
) -> None:
    left = await leave_pending(client, commits.head, "Without a marker.")

    async def quicker() -> None:
        await reviews.delete_pending(client, REPO, 1, left)

    calls = iter([nothing_against_it, quicker])

    async def guard() -> None:
        await next(calls, nothing_against_it)()

    await post(client, plan_for(commits.head), guard)
    assert len(visible(standin)) == 1


def forge(standin: Standin, body: str) -> None:
    """Somebody else posts a review that carries our marker."""
    standin.pull(REPO, 1).reviews.append(
        Shown(standin.world.next_id(), standin.world.account("mallory"), "COMMENTED", body, "e" * 40, 1.0)
    )


async def test_a_forged_marker_is_not_believed(standin: Standin, client: Client, commits: Commits) -> None:
    plan = plan_for(commits.head)
    forge(standin, plan.body)
    assert (await post(client, plan)).found is False
    assert len(visible(standin)) == 1


# --- what may not be posted any more ----------------------------------------------------------------------------------


@pytest.mark.parametrize("allowed", [0, 1, 2])
async def test_nothing_is_shown_once_the_fence_is_lost(
    standin: Standin, client: Client, commits: Commits, allowed: int
) -> None:
    passed = 0

    async def guard() -> None:
        nonlocal passed
        passed += 1
        if passed > allowed:
            raise FenceLost("another worker has it")

    with pytest.raises(FenceLost):
        await post(client, plan_for(commits.head), guard)
    assert visible(standin) == []


async def test_a_push_between_creation_and_submission_leaves_nothing_visible(
    standin: Standin, client: Client, commits: Commits
) -> None:
    class Moved(Exception):
        pass

    async def guard() -> None:
        if standin.reviews(REPO, 1):  # it is created, and pending
            await standin.push(REPO, 1, "forced")
        if standin.pull(REPO, 1).head_sha != commits.head:
            raise Moved

    with pytest.raises(Moved):
        await post(client, plan_for(commits.head), guard)
    assert visible(standin) == []


# --- refusals ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "refused",
    [{20}, {20, 21}, {1, 2, 20, 21, 22, 23}],
    ids=["one of seven", "two of eight", "six of twelve"],
)
async def test_comments_whose_place_is_refused_move_to_the_body_and_the_rest_is_posted(
    standin: Standin, client: Client, commits: Commits, refused: set[int]
) -> None:
    good = [3, 4, 5, 6, 7, 8]
    lines = sorted([*good, *refused - set(good)])
    bad = [line for line in lines if line not in range(2, 10) and line not in range(28, 35)]
    posted = await post(client, plan_for(commits.head, *map(planned, lines)))
    (shown,) = visible(standin)
    assert [line for line in lines if f"Moved: {line}." in shown.body] == bad
    assert inline(standin) == [line for line in lines if line not in bad]
    assert posted.comments == len(lines) - len(bad)
    assert nothing_is_left(standin)


async def test_the_search_for_refused_places_is_bounded(standin: Standin, client: Client, commits: Commits) -> None:
    lines = range(12, 27)  # all of them outside of the diff
    await post(client, plan_for(commits.head, *map(planned, [*lines, 5])))
    (shown,) = visible(standin)
    creations = [each for each in standin.requests if each.method == "POST" and each.path.endswith("/reviews")]
    assert len(creations) <= publisher.ANCHOR_TRIALS + 2
    assert all(f"Moved: {line}." in shown.body for line in lines)


@pytest.mark.parametrize("kind", ["bad-gateway", "lost-reply"])
async def test_trouble_while_searching_leaves_exactly_one_review_and_no_trial(
    standin: Standin, client: Client, commits: Commits, kind: str
) -> None:
    standin.trouble(CREATE, kind, skip=1)  # type: ignore[arg-type]  # one of the kinds above
    await post(client, plan_for(commits.head, planned(5), planned(20), planned(6)))
    (shown,) = visible(standin)
    assert "Moved: 20." in shown.body
    assert inline(standin) == [5, 6]
    assert nothing_is_left(standin)


async def test_a_path_that_is_not_part_of_the_diff_moves_to_the_body(
    standin: Standin, client: Client, commits: Commits
) -> None:
    await post(client, plan_for(commits.head, planned(5), planned(1, "no/such.py")))
    (shown,) = visible(standin)
    assert "Moved: 1." in shown.body
    assert inline(standin) == [5]


async def test_another_refusal_is_final_and_nothing_is_searched_for(
    standin: Standin, client: Client, commits: Commits
) -> None:
    long = PlannedComment(DraftComment(path="src/app.py", body="x" * 70_000, line=5, side="RIGHT"), "Moved.")
    with pytest.raises(GitHubRefused, match="too long"):
        await post(client, plan_for(commits.head, long))
    assert sum(each.method == "POST" and each.path.endswith("/reviews") for each in standin.requests) == 1
    assert standin.reviews(REPO, 1) == []


async def test_a_refusal_after_a_push_is_explained_by_the_push(
    standin: Standin, client: Client, commits: Commits
) -> None:
    class Moved(Exception):
        pass

    async def guard() -> None:
        if standin.pull(REPO, 1).head_sha != commits.head:
            raise Moved

    standin.trouble(CREATE, "force-push", head="main", pull=1)
    with pytest.raises(Moved):
        await post(client, plan_for("f" * 40), guard)
    assert visible(standin) == []


async def test_a_body_at_its_limit_holds_all_that_fits_of_what_was_moved(
    standin: Standin, client: Client, commits: Commits
) -> None:
    wide = [
        PlannedComment(DraftComment(path="src/app.py", body="b", line=line, side="RIGHT"), "y" * 20_000)
        for line in (12, 13, 14, 15)
    ]
    await post(client, plan_for(commits.head, planned(5), *wide))
    (shown,) = visible(standin)
    assert shown.body.count("y" * 20_000) == 3
    assert "1 more finding not shown here" in shown.body


# --- broken twins: each of these defects is one that the tests above would catch --------------------------------------


async def test_a_publisher_that_does_not_look_for_its_marker_posts_twice(
    standin: Standin, client: Client, commits: Commits
) -> None:
    class Blind(Publisher):
        async def _find(self, plan: Plan) -> Review | None:
            return None

    await post(client, plan_for(commits.head), kind=Blind)
    await post(client, plan_for(commits.head), kind=Blind)
    assert len(visible(standin)) == 2


async def test_a_publisher_that_believes_everybody_takes_a_forgery_for_its_review(
    standin: Standin, client: Client, commits: Commits
) -> None:
    class Credulous(Publisher):
        def _is_ours(self, review: Review) -> bool:
            return True

    plan = plan_for(commits.head)
    forge(standin, plan.body)
    assert (await post(client, plan, kind=Credulous)).found is True
    assert visible(standin) == []


async def test_a_publisher_that_ignores_the_fence_posts_for_somebody_who_lost_the_job(
    standin: Standin, client: Client, commits: Commits
) -> None:
    class Unfenced(Publisher):
        async def publish(self, plan: Plan) -> Posted:
            self._guard = nothing_against_it
            return await super().publish(plan)

    async def lost() -> None:
        raise FenceLost

    await post(client, plan_for(commits.head), lost, kind=Unfenced)
    assert len(visible(standin)) == 1
