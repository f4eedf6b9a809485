"""The bot's own GitHub client against the stand-in: each of its requests is held to GitHub's description."""

from __future__ import annotations

import pytest

from reviewbot.errors import GitHubRateLimited, GitHubRefused, GitHubUnavailable, InstallationGone
from reviewbot.github import checks, deliveries, pulls, reviews
from reviewbot.github.client import Client, GitHub
from reviewbot.github.models import CheckOutput, DraftComment
from tests.demo.contract import NOT_DESCRIBED
from tests.demo.hub import APP_ID, INSTALLATION, REPO, Commits, Hub


@pytest.fixture
def github(hub: Hub) -> GitHub:
    return GitHub(
        hub.session, app_id=APP_ID, private_key=hub.private_pem, api_url=hub.url, timeout_seconds=5, write_limits=()
    )


@pytest.fixture
def client(hub: Hub, github: GitHub) -> Client:
    return github.installation(INSTALLATION, hub.standin.repository(REPO).id)


async def test_a_whole_review_goes_through_and_every_request_is_described(
    hub: Hub, client: Client, commits: Commits
) -> None:
    await hub.open()
    asked = await hub.standin.comment(REPO, 1, "@reviewbot review", author="mia")
    pull = await pulls.get_pull(client, REPO, 1)
    assert (await pulls.diff(client, REPO, 1)).startswith(b"diff --git")
    assert len(await pulls.files(client, REPO, 1)) == pull.changed_files == 9
    assert await pulls.file_content(client, REPO, ".reviewbot.yml", pull.base.sha, limit=1000) == b"enabled: true\n"
    assert (await pulls.compare(client, REPO, commits.head, commits.later)).status == "ahead"
    assert (await pulls.permission(client, REPO, "mia")).permission == "read"
    run = await checks.create(client, REPO, name="ReviewBot", head_sha=pull.head.sha, external_id="job")
    await checks.update(client, REPO, run.id, status="in_progress")
    draft = DraftComment(path="src/app.py", body="Why?", line=6, side="RIGHT", start_line=5, start_side="RIGHT")
    review = await reviews.create_pending(client, REPO, 1, commit_id=pull.head.sha, body="Look.", comments=[draft])
    await reviews.delete_pending(client, REPO, 1, review.id)
    review = await reviews.create_pending(client, REPO, 1, commit_id=pull.head.sha, body="Look.", comments=[draft])
    await reviews.submit(client, REPO, 1, review.id)
    assert [found.id for found in await reviews.list_reviews(client, REPO, 1)] == [review.id]
    assert [found.line for found in await reviews.list_review_comments(client, REPO, 1, review.id)] == [6]
    output = CheckOutput(title="1 finding", summary="See the review.")
    await checks.update(client, REPO, run.id, conclusion="neutral", output=output)
    assert [found.id for found in await checks.list_for_ref(client, REPO, pull.head.sha, name="ReviewBot", app_id=7)]
    await reviews.react(client, REPO, asked.id, "eyes")
    await reviews.comment_on_issue(client, REPO, 1, "Done.")
    assert [item.state for item in hub.standin.reviews(REPO, 1)] == ["COMMENTED"]
    templates = {(item.method, item.template) for item in hub.standin.requests}
    assert len(templates) >= 15
    assert all(template is not None for _, template in templates - NOT_DESCRIBED)


async def test_the_bot_reads_its_delivery_log_and_asks_for_a_redelivery(hub: Hub, github: GitHub) -> None:
    await hub.open()
    page = await deliveries.list_deliveries(github.app)
    await deliveries.redeliver(github.app, page.deliveries[-1].id)
    await hub.standin.settle()
    assert (await deliveries.get_delivery(github.app, page.deliveries[-1].id)).guid == page.deliveries[-1].guid
    assert [item.redelivery for item in hub.standin.deliveries] == [False, False, True]


async def test_the_bot_understands_each_refusal_as_what_it_is(hub: Hub, client: Client, commits: Commits) -> None:
    await hub.open()
    outside = DraftComment(path="src/app.py", body="Why?", line=20, side="RIGHT")
    with pytest.raises(GitHubRefused) as refused:
        await reviews.create_pending(client, REPO, 1, commit_id=commits.head, body="x", comments=[outside])
    assert (refused.value.status, "must be part of the diff" in refused.value.errors[0]) == (422, True)
    hub.standin.trouble("GET /repos/*/pulls/1", "secondary-limit", status=429, retry_after=3600)
    with pytest.raises(GitHubRateLimited):
        await pulls.get_pull(client, REPO, 1)


@pytest.mark.parametrize("kind", ["bad-gateway", "html-502", "lost-reply", "dropped", "unavailable"])
async def test_the_bot_takes_passing_trouble_for_passing(hub: Hub, client: Client, commits: Commits, kind: str) -> None:
    await hub.open()
    hub.standin.trouble("POST /repos/*/reviews", kind)  # type: ignore[arg-type]  # one of the kinds above
    with pytest.raises(GitHubUnavailable):
        await reviews.create_pending(client, REPO, 1, commit_id=commits.head, body="x", comments=())


async def test_the_bot_follows_a_renamed_repository_and_gives_up_a_deleted_installation(
    hub: Hub, client: Client, commits: Commits
) -> None:
    await hub.open()
    await hub.standin.rename_repository(REPO, "market")
    assert (await pulls.get_pull(client, REPO, 1)).number == 1
    made = await checks.create(client, REPO, name="ReviewBot", head_sha=commits.head, external_id="job")
    assert [run.id for run in hub.standin.check_runs("acme/market")] == [made.id]
    await hub.standin.suspend_installation(INSTALLATION)
    with pytest.raises(InstallationGone):
        await pulls.get_pull(client, REPO, 1)
