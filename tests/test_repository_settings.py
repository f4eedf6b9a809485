"""What stands for a review when a repository's file cannot be used, and what is written down of it."""

from __future__ import annotations

import time

import pytest

from reviewbot import repository_settings
from reviewbot.github import pulls
from reviewbot.github.client import Client
from reviewbot.github.pulls import RepositoryFile
from reviewbot.policy import Settings
from reviewbot.repository_settings import Standing, read_standing
from reviewbot.story import NotWanted, Story
from reviewbot.strict_yaml import MAX_BYTES
from schema import events as e
from tests.demo.hub import REPO
from tests.helpers import append
from tests.world import World, client_of

GONE = b"(there is none)"


async def standing(world: World, story: Story, content: bytes | None, size: int = 0) -> Standing:
    """What stands when GitHub gives this file."""

    async def given(client: Client, repo: str, path: str, sha: str, *, limit: int) -> RepositoryFile | None:
        assert (repo, path, sha, limit) == (REPO, ".reviewbot.yml", "b" * 40, MAX_BYTES)
        if content is GONE:
            return None
        return RepositoryFile("f" * 40, size or len(content or b""), content)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(repository_settings.pulls, "repository_file", given)
        return await read_standing(
            client_of(world.standin, world.github), story, world.vault, "b" * 40, [world.provider]
        )


async def claimed(world: World) -> Story:
    await world.request()
    story = world.story(await world.claim())
    await story.load()
    return story


async def recorded(world: World, story: Story) -> e.SettingsRead:
    """The newest one of the job."""
    facts = await world.facts(story.row.job)
    return next(fact for fact in reversed(facts) if isinstance(fact, e.SettingsRead))


async def test_what_was_read_is_written_down_with_the_blobs_id(world: World) -> None:
    story = await claimed(world)
    found = await standing(world, story, b"max_files: 3\ndrafts: review\n")
    assert found.policy.settings == Settings(max_files=3, drafts="review")
    fact = await recorded(world, story)
    assert (fact.blob_sha, fact.base_sha, fact.faults, fact.drafts) == ("f" * 40, "b" * 40, 0, True)
    assert fact.settings == found.ref


@pytest.mark.parametrize(
    ("content", "size", "words"),
    [(None, 20_000, "the file has 20,000 bytes"), (None, 0, "this is no file"), (b"x: 1", 0, "`x` is no setting")],
)
async def test_a_file_that_cannot_be_used_leaves_the_defaults_and_says_why(
    world: World, content: bytes | None, size: int, words: str
) -> None:
    story = await claimed(world)
    found = await standing(world, story, content, size)
    assert found.policy.settings == Settings()
    assert "the defaults stand instead" in found.policy.notes[0]
    assert words in found.policy.notes[1]
    assert (await recorded(world, story)).faults == 1


async def test_the_newest_good_settings_stand_over_any_number_of_faulty_ones(world: World) -> None:
    story = await claimed(world)
    await standing(world, story, b"max_files: 3")
    await standing(world, story, b"max_files: 4")
    for _ in range(2):
        found = await standing(world, story, b"max_files: many")
        assert found.policy.settings == Settings(max_files=4)
        assert "those of commit bbbbbbbbbbbb stand instead" in found.policy.notes[0]


async def test_a_file_that_is_gone_leaves_nothing_behind(world: World) -> None:
    story = await claimed(world)
    await standing(world, story, b"max_files: 3\ndrafts: review")
    assert await story.reviews_drafts()
    found = await standing(world, story, GONE)
    assert (found.policy.settings, await story.reviews_drafts()) == (Settings(), False)
    assert (await recorded(world, story)).blob_sha is None
    assert (await standing(world, story, b"x: 1")).policy.settings == Settings()


async def test_of_a_repository_that_never_had_a_file_nothing_is_written_down(world: World) -> None:
    story = await claimed(world)
    assert (await standing(world, story, GONE)).ref is None
    assert "SettingsRead" not in await world.told(story.row.job)


async def test_good_settings_that_nobody_can_read_any_more_are_none(world: World) -> None:
    story = await claimed(world)
    fact = e.SettingsRead(
        repository_id=story.row.repository_id, base_sha="a" * 40, blob_sha="c" * 40, settings="00" * 32
    )
    await append(world.log, story.row.job, fact, after=story.job.version, about=story._meta)
    await story.load()
    found = await standing(world, story, b"max_files: many")
    assert found.policy.settings == Settings()
    assert (await recorded(world, story)).instead is None


async def test_a_file_that_takes_too_long_is_at_fault(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(raw: bytes) -> Settings:
        time.sleep(0.2)
        return Settings()

    monkeypatch.setattr(repository_settings, "PARSE_SECONDS", 0.01)
    monkeypatch.setattr(repository_settings, "read_settings", slow)
    found = await standing(world, await claimed(world), b"max_files: 3")
    assert "takes too long to read" in found.policy.notes[1]


async def test_a_repository_that_is_switched_off_or_allows_nobody_here_is_not_reviewed(world: World) -> None:
    story = await claimed(world)
    for content in (b"enabled: false", b"providers: [rules]"):
        with pytest.raises(NotWanted) as caught:
            await standing(world, story, content)
        assert isinstance(caught.value.fact, e.ReviewSkipped)


async def test_a_commit_without_the_file_is_nothing_to_write_down(world: World) -> None:
    client = client_of(world.standin, world.github)
    head = world.standin.pull(REPO, 1).head_sha
    assert await pulls.repository_file(client, REPO, "none.yml", head, limit=100) is None
    folder = await pulls.repository_file(client, REPO, "src", head, limit=100)
    assert folder is not None
    assert folder.content is None
    large = await pulls.repository_file(client, REPO, "src/app.py", head, limit=10)
    assert large is not None
    assert (large.content, large.size > 10) == (None, True)
