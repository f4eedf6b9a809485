"""What happens to a pull request from its opening to its end, over real HTTP and a real database."""

from __future__ import annotations

import asyncio

import pytest

from tests.helpers import wait_until
from tests.journeys.model import FINDING, Gate, answer
from tests.journeys.rig import Place

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.xdist_group("journeys")]

CANCEL_SECONDS = 5.0  # within which a running review must end that nobody wants any more


async def test_an_opened_pull_request_gets_one_review_with_its_comment_and_one_check_run(place: Place) -> None:
    await place.open()
    await place.ends("completed")
    (review,), (run,) = place.reviews(), place.check_runs()
    assert (review.state, review.author.login) == ("COMMENTED", "reviewbot[bot]")
    assert "One thing to look at." in review.body
    (comment,) = place.rig.standin.comments(place.name, 1)
    assert (comment.path, comment.line) == ("shop/app.py", 11)
    assert "Everything is swallowed" in comment.body
    assert (run.name, run.status, run.conclusion) == ("ReviewBot", "completed", "neutral")


async def test_a_change_without_findings_is_green(place: Place) -> None:
    place.rig.model.behave("Nothing wrong", answer(summary="Fine."))
    await place.open("clean", title="Nothing wrong")
    await place.ends("completed")
    assert (len(place.reviews()), place.conclusions()) == (1, ["success"])


async def running(place: Place, title: str) -> Gate:
    """A pull request whose review is waiting for the model."""
    gate = Gate(answer(FINDING))
    place.rig.model.behave(title, gate, answer(FINDING))
    await place.open(title=title)
    await asyncio.wait_for(gate.entered.wait(), 10)
    return gate


async def test_a_newer_push_ends_the_running_review_and_gets_its_own(place: Place) -> None:
    await running(place, "Pushed twice")
    await place.standin.push(place.name, 1, "later")
    await place.ends("superseded", "completed", seconds=CANCEL_SECONDS)
    (review,) = place.reviews()
    assert review.commit_id == place.rig.standin.pull(place.name, 1).head_sha
    assert place.conclusions() == ["cancelled", "neutral"]


async def test_of_three_quick_pushes_only_the_last_is_reviewed(place: Place) -> None:
    await running(place, "Pushed thrice")
    await place.standin.push(place.name, 1, "later")
    await place.standin.push(place.name, 1, "latest")
    await place.ends("superseded", "superseded", "completed", seconds=CANCEL_SECONDS)
    (review,) = place.reviews()
    assert review.commit_id == place.rig.standin.pull(place.name, 1).head_sha


async def test_closing_ends_the_running_review_and_reopening_asks_again(place: Place) -> None:
    await running(place, "Closed too soon")
    await place.standin.close(place.name, 1)
    await place.ends("cancelled", seconds=CANCEL_SECONDS)
    assert (place.reviews(), place.conclusions()) == ([], ["cancelled"])
    await place.standin.reopen(place.name, 1)
    await place.ends("completed")
    assert (len(place.reviews()), place.conclusions()) == (1, ["cancelled", "neutral"])


async def test_a_merge_ends_the_running_review(place: Place) -> None:
    await running(place, "Merged too soon")
    await place.standin.close(place.name, 1, merged=True)
    (job,) = await place.ends("cancelled", seconds=CANCEL_SECONDS)
    assert (job.reason, place.reviews()) == ("merged", [])


async def test_a_draft_waits_until_it_is_ready(place: Place) -> None:
    await place.open(draft=True)
    assert any("pull_request.opened 202" in line for line in await place.delivered())
    assert await place.states() == []
    await place.standin.ready_for_review(place.name, 1)
    await place.ends("completed")
    assert len(place.reviews()) == 1


async def test_back_to_a_draft_ends_the_running_review(place: Place) -> None:
    await running(place, "Not ready after all")
    await place.standin.convert_to_draft(place.name, 1)
    await place.ends("cancelled", seconds=CANCEL_SECONDS)
    assert place.reviews() == []


async def test_the_rerun_button_brings_a_second_review_of_the_same_head(place: Place) -> None:
    await place.open()
    await place.ends("completed")
    await place.standin.rerequest_check_run(place.name, place.check_runs()[0].id)
    await place.ends("completed", "completed")
    assert (len(place.reviews()), place.conclusions()) == (2, ["neutral", "neutral"])


async def test_rerunning_all_checks_brings_a_second_review_of_the_same_head(place: Place) -> None:
    await place.open()
    await place.ends("completed")
    await place.standin.rerequest_check_suite(place.name, 1)
    await place.ends("completed", "completed")
    assert (len(place.reviews()), place.conclusions()) == (2, ["neutral", "neutral"])


async def test_who_may_write_can_ask_for_a_review_in_a_comment(place: Place) -> None:
    await place.open()
    await place.ends("completed")
    place.standin.set_permission(place.name, "mia", "write")
    await place.standin.comment(place.name, 1, "@reviewbot review", author="mia")
    jobs = await place.ends("completed", "completed")
    assert (jobs[1].trigger, len(place.reviews())) == ("comment", 2)


async def test_who_may_only_read_cannot_ask_for_a_review_in_a_comment(place: Place) -> None:
    await place.open()
    await place.ends("completed")
    place.standin.set_permission(place.name, "eve", "read")
    await place.standin.comment(place.name, 1, "@reviewbot review", author="eve")
    jobs = await place.reaches("completed", "skipped")
    assert "no write permission" in str(jobs[1].reason)
    assert len(place.reviews()) == 1


async def test_uninstalling_ends_the_running_review_and_nothing_more_is_posted(place: Place) -> None:
    await running(place, "Uninstalled meanwhile")
    installation = (await place.jobs())[0].installation
    await place.standin.delete_installation(installation)
    (job,) = await place.ends("cancelled", seconds=CANCEL_SECONDS)
    assert (job.reason, place.reviews()) == ("the App was uninstalled", [])


async def test_a_pull_request_from_a_fork_is_reviewed(place: Place) -> None:
    await place.open(fork=True)
    await place.ends("completed")
    assert (len(place.reviews()), place.conclusions()) == (1, ["neutral"])


async def test_a_repository_that_is_renamed_in_between_gets_its_review(place: Place) -> None:
    gate = await running(place, "Renamed meanwhile")
    await place.standin.rename_repository(place.name, "market")
    gate.open.set()
    place.name = place.name.replace("/shop", "/market")
    await place.ends("completed")
    assert (len(place.reviews()), place.conclusions()) == (1, ["neutral"])


async def test_a_change_with_nothing_to_review_says_so_and_asks_no_model(place: Place) -> None:
    await place.open("lock-only", title="Only a lock file")
    await place.ends("completed")
    (review,) = place.reviews()
    assert "poetry.lock" in review.body
    assert place.rig.model.calls["Only a lock file"] == 0


async def test_a_change_that_is_too_large_for_one_diff_is_read_file_by_file(place: Place) -> None:
    await place.open("huge", title="Far too much")
    await place.ends("completed")
    answers = [
        (item.status, item.path) for item in place.rig.standin.requests if item.path.startswith(f"/repos/{place.name}/")
    ]
    assert (406, f"/repos/{place.name}/pulls/1") in answers
    (review,) = place.reviews()
    assert "huge.csv" in review.body
    assert [comment.path for comment in place.rig.standin.comments(place.name, 1)] == ["shop/app.py"]


async def test_the_bot_does_not_answer_itself(place: Place) -> None:
    await place.open()
    await place.ends("completed")
    await place.rig.standin.settle()
    echoes = [line for line in await place.delivered() if line.startswith("pull_request_review.submitted")]
    assert echoes
    assert all('"status":"ignored"' in line for line in echoes)
    assert await place.states() == ["completed"]


async def test_a_thousand_shuffled_and_repeated_deliveries_leave_one_review_of_the_newest_head(place: Place) -> None:
    standin = place.rig.standin
    standin.webhooks.mode = "held"
    await place.open(title="Many pushes")
    for n in range(60):
        await place.standin.push(place.name, 1, ("later", "latest", "topic")[n % 3])
    await place.standin.push(place.name, 1, "latest")
    standin.webhooks.mode = "normal"
    sent = await standin.webhooks.release("shuffled", seed=7)
    for _ in range(1000 // len(sent)):
        await asyncio.gather(*map(standin.webhooks.redeliver, sent))
    answered = [delivery.status_code for delivery in standin.deliveries if delivery.message.repository_id == place.id]
    assert (len(answered) >= 1000, set(answered) <= {200, 202}) == (True, True)

    async def settled() -> bool:
        return {job.state for job in await place.jobs()} <= {"completed", "superseded"}

    await wait_until(settled, what="all jobs ended")
    head = standin.pull(place.name, 1).head_sha
    newest = [job.head_sha for job in await place.jobs() if job.state == "completed"]
    assert newest == [head]
    assert [review.commit_id for review in place.reviews()] == [head]
