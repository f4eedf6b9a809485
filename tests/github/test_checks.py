"""Check runs: what is sent, what is cut, and how ours are found again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reviewbot.github import checks
from reviewbot.github.client import Client
from reviewbot.github.models import CheckOutput
from tests.github.scripted import Answer, ScriptedGitHub

RUNS = "/repos/octo/spoon/check-runs"
RUN = {
    "id": 4,
    "name": "ReviewBot",
    "head_sha": "a" * 40,
    "status": "queued",
    "conclusion": None,
    "external_id": "job",
    "html_url": "https://github.com/octo/spoon/runs/4",
    "app": {"id": 123, "slug": "reviewbot", "name": "ReviewBot"},
    "pull_requests": [],
}


async def test_a_check_run_is_queued_started_and_completed(fake: ScriptedGitHub, client: Client) -> None:
    fake.script("POST", RUNS, Answer(RUN, status=201))
    fake.script("PATCH", RUNS + "/4", Answer(RUN))
    made = await checks.create(client, "octo/spoon", name="ReviewBot", head_sha="a" * 40, external_id="job")
    assert (made.id, made.external_id, made.app and made.app.id) == (4, "job", 123)
    assert fake.seen[-1].json == {
        "name": "ReviewBot",
        "head_sha": "a" * 40,
        "external_id": "job",
        "status": "queued",
    }
    await checks.update(client, "octo/spoon", 4, status="in_progress")
    assert fake.seen[-1].json == {"status": "in_progress"}
    await checks.update(client, "octo/spoon", 4, conclusion="neutral", output=CheckOutput("T", "S"))
    assert fake.seen[-1].json == {
        "status": "completed",
        "conclusion": "neutral",
        "output": {"title": "T", "summary": "S"},
    }


async def test_a_check_run_can_be_complete_from_the_start(fake: ScriptedGitHub, client: Client) -> None:
    fake.script("POST", RUNS, Answer(RUN, status=201))
    output = CheckOutput("Skipped", "No code changed.", "Details")
    await checks.create(
        client, "octo/spoon", name="ReviewBot", head_sha="a", external_id="job", conclusion="skipped", output=output
    )
    sent = fake.seen[-1].json
    assert (sent["status"], sent["conclusion"]) == ("completed", "skipped")
    assert sent["output"] == {"title": "Skipped", "summary": "No code changed.", "text": "Details"}


async def test_our_check_runs_are_found_by_name_and_app_older_ones_too(fake: ScriptedGitHub, client: Client) -> None:
    target = "/repos/octo/spoon/commits/topic%2Fx/check-runs?check_name=Review%20Bot&app_id=123&filter=all&per_page=100"
    fake.script("GET", target, Answer({"total_count": 2, "check_runs": [RUN, {**RUN, "id": 5, "app": None}]}))
    found = await checks.list_for_ref(client, "octo/spoon", "topic/x", name="Review Bot", app_id=123)
    assert [run.id for run in found] == [4, 5]


@pytest.mark.parametrize(
    ("field", "limit"), [("title", checks.TITLE_LIMIT), ("summary", checks.TEXT_LIMIT), ("text", checks.TEXT_LIMIT)]
)
def test_a_text_is_cut_only_when_it_is_too_long_and_then_says_so(field: str, limit: int) -> None:
    def fitted(text: str) -> str:
        output = checks.fitted(CheckOutput(**{"title": "T", "summary": "S", field: text}))
        assert output is not None
        cut = getattr(output, field)
        assert isinstance(cut, str)
        return cut

    assert fitted("x" * limit) == "x" * limit
    cut = fitted("x" * (limit + 1))
    assert len(cut.encode()) == limit
    assert cut.endswith(("…", "*Cut here: GitHub takes no more.*"))


@given(st.text(st.characters(), min_size=100, max_size=400))
def test_a_cut_title_is_whole_characters_within_the_limit(title: str) -> None:
    output = checks.fitted(CheckOutput(title, "S"))
    assert output is not None
    assert len(output.title.encode()) <= checks.TITLE_LIMIT
