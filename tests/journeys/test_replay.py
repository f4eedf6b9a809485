"""What a real service posted, a command in another process makes again byte by byte, under whatever settings."""

from __future__ import annotations

import json

import pytest

from tests.journeys.model import FINDING, answer, answers_text
from tests.journeys.rig import Place

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.xdist_group("journeys")]


async def test_what_stands_on_github_is_what_a_replay_makes(place: Place) -> None:
    text = '{"summary": "Two things.", "findings": [' + json.dumps(FINDING) + ', {"path": "shop/app.py", "ti'
    place.rig.model.behave("Broken off", answers_text(text, finish="truncated"))
    await place.open(title="Broken off")
    (job,) = await place.ends("completed")
    (review,) = place.reviews()
    result = place.replay(job.job)
    assert result.returncode == 0, result.stdout + result.stderr
    assert f"Equal to what was posted as review {review.id}, byte by byte." in result.stdout
    assert str(job.plan) in result.stdout


async def test_other_settings_and_many_reviews_at_once(place: Place) -> None:
    low = {**FINDING, "severity": "low", "title": "A trifle", "line": 12, "quote": None}
    place.rig.model.behave("Two kinds", answer(FINDING, low))
    await place.open(title="Two kinds")
    await place.ends("completed")
    result = place.replay("--since", "1h", "--repository", place.name, "--min-severity", "high", "--json")
    assert result.returncode == 1, result.stdout + result.stderr
    said = json.loads(result.stdout)
    assert (said["posted"]["findings"], said["made"]["findings"]) == (2, 1)
    result = place.replay("--since", "1h", "--repository", place.name)
    assert result.stdout == "1 reviews: 1 equal, 0 different, 0 unknown.\n"
    result = place.replay("--since", "1h", "--repository", place.name, "--with-settings")
    assert "another model (some-model then, another now)" in result.stdout
    assert result.returncode == 2
