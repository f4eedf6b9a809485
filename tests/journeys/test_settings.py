"""A repository's settings on the whole way: from its base branch alone, shown when they are at fault, and replayed."""

from __future__ import annotations

import pytest

from tests.journeys.model import FINDING, answer
from tests.journeys.rig import Place

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.xdist_group("journeys")]

LOW = {**FINDING, "severity": "low", "title": "A trifle", "line": 12, "quote": None}
SECOND = {**FINDING, "severity": "medium", "title": "The second", "line": 16, "quote": None}


async def test_the_settings_of_the_head_change_nothing(place: Place) -> None:
    await place.open("own-settings", title="Switches itself off")
    await place.ends("completed")
    assert (len(place.reviews()), place.conclusions()) == (1, ["neutral"])


async def test_a_repository_that_switched_reviews_off_gets_a_skipped_check_run_that_says_so(place: Place) -> None:
    await place.open(base="switched-off", title="Nobody asked")
    (job,) = await place.ends("skipped")
    assert job.reason == ".reviewbot.yml on the base branch says enabled: false"
    (run,) = place.check_runs()
    assert (run.conclusion, place.reviews()) == ("skipped", [])
    assert "enabled: false" in str(run.output)
    assert place.rig.model.calls["Nobody asked"] == 0


async def test_threshold_limit_paths_and_instructions_take_effect_and_are_replayed(place: Place) -> None:
    place.rig.model.behave("By the book", answer(FINDING, SECOND, LOW))
    await place.open(base="settled", title="By the book")
    (job,) = await place.ends("completed")
    (review,), (comment,) = place.reviews(), place.rig.standin.comments(place.name, 1)
    assert "Everything is swallowed" in comment.body
    assert "The second" in review.body
    assert "beyond the limit of 1 inline comments" in review.body
    assert "A trifle" not in review.body
    assert "1 findings below medium are not shown." in review.body
    asked = place.rig.model.asked["By the book"]
    assert "in German." in asked
    assert "Mind the <money>." in asked
    assert "About files that match *.py:\nWe use Decimal." in asked
    assert "We wrap errors." not in asked
    result = place.replay(job.job)
    assert result.returncode == 0, result.stdout + result.stderr


async def test_ignored_files_are_left_out_with_the_reason(place: Place) -> None:
    await place.open("own-settings", base="ignoring", title="Some of it")
    await place.ends("completed")
    (review,) = place.reviews()
    assert "shop/app.py` is left out by `ignore` in .reviewbot.yml".replace("`", "") in review.body.replace("`", "")


async def test_faults_are_shown_with_line_and_reason_and_the_defaults_stand(place: Place) -> None:
    await place.open(base="faulty", title="At fault")
    (job,) = await place.ends("completed")
    (run,) = place.check_runs()
    shown = str(run.output).replace("\\\\", "").replace("\\", "")
    assert "the defaults stand instead" in shown
    assert "line 2" in shown
    assert "did you mean" in shown
    assert "in English." in place.rig.model.asked["At fault"]
    assert place.replay(job.job).returncode == 0


async def test_a_file_with_faults_leaves_the_last_good_settings_in_force(place: Place) -> None:
    await place.open(base="settled", title="Good")
    await place.ends("completed")
    place.rig.model.behave("Then at fault", answer(FINDING, LOW))
    number = await place.open(base="faulty", head="later", title="Then at fault")
    (job,) = await place.ends("completed", number=number)
    assert "in German." in place.rig.model.asked["Then at fault"]
    assert "A trifle" not in place.reviews(number)[0].body
    assert "those of commit" in str(place.check_runs()[-1].output)
    assert place.replay(job.job).returncode == 0


async def test_drafts_are_reviewed_where_the_repository_wants_it_and_as_long_as_it_does(place: Place) -> None:
    await place.open(base="drafting", title="Ready")
    await place.ends("completed")
    number = await place.open("later", base="drafting", title="A draft", draft=True)
    await place.ends("completed", number=number)
    await place.standin.ready_for_review(place.name, number)
    await place.standin.convert_to_draft(place.name, number)
    assert await place.states(number) == ["completed"]
    third = await place.open("latest", base="settled", title="Drafts wait here", draft=True)
    (job,) = await place.ends("cancelled", number=third)
    assert (job.reason, place.reviews(third)) == ("draft", [])
    assert place.rig.model.calls["Drafts wait here"] == 0


async def test_a_repository_that_wants_the_rules_shows_its_code_to_no_model(place: Place) -> None:
    await place.open(base="rules-only", title="To nobody")
    (job,) = await place.ends("completed")
    assert (job.provider, place.rig.model.calls["To nobody"]) == ("rules", 0)
    assert len(place.reviews()) == 1
    assert place.replay(job.job).returncode == 0


async def test_providers_that_are_not_offered_are_replaced_by_nobody(place: Place) -> None:
    await place.open(base="others-only", title="To others")
    (job,) = await place.ends("skipped")
    assert (
        job.reason
        == ".reviewbot.yml allows the providers anthropic, google alone, and here are openai-compatible, rules"
    )
    assert (place.conclusions(), place.rig.model.calls["To others"]) == (["skipped"], 0)
