"""What each event asks for: real payloads, and the ways in which they may differ."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reviewbot.review import job_id
from reviewbot.webhooks.catalog import ROUTERS, decide
from reviewbot.webhooks.incoming import App, Decision, Ignored, Incoming, NotUnderstood, Request, Requests, Told
from reviewbot.webhooks.issue_comment import spoken_command
from reviewbot.webhooks.known import Known
from schema import events as e
from schema.log import Log
from tests.deliveries import APP_ID, SAMPLES, SLUG, event_of, sample
from tests.helpers import append, job_of, project, requested
from tests.intake import Pool

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
PULL = 2
PULL_REPOSITORY = 186853002
HEAD = "ec26c3e57ca3a959ca5aad62de7213c562f8c821"


class Unasked:
    """For events that say everything themselves."""

    async def request(self, job: UUID) -> e.ReviewRequested | None:
        raise AssertionError("nothing had to be looked up")

    async def pull_requests_of_head(self, repository_id: int, head_sha: str) -> list[int]:
        raise AssertionError("nothing had to be looked up")

    async def reviews_drafts(self, installation: int, repository_id: int) -> bool:
        return False


async def decision(payload: object, event: str, known: Known | Unasked | None = None) -> Decision:
    body = payload if isinstance(payload, bytes) else msgspec.json.encode(payload)
    incoming = Incoming(
        delivery=uuid4(),
        event=event,
        body=body,
        received_at=NOW,
        app=App(APP_ID, SLUG),
        known=known or Unasked(),  # type: ignore[arg-type]  # stands in for the two look-ups
    )
    return await decide(incoming)


async def of(name: str, **changes: Any) -> Decision:
    return await decision(sample(name, **changes), event_of(name))


def ignored(decision: Decision) -> str:
    assert isinstance(decision, Ignored)
    return decision.reason


def fact(decision: Decision) -> e.Fact:
    assert isinstance(decision, Told)
    (told,) = decision.facts
    return told


# --- every real payload ---------------------------------------------------------------------------------------------

EXPECTED: dict[str, type] = {
    "installation.created": e.InstallationCreated,
    "installation.deleted": e.InstallationDeleted,
    "installation.suspend": e.InstallationSuspended,
    "installation.unsuspend": e.InstallationUnsuspended,
    "installation_repositories.added": e.RepositoriesChanged,
    "installation_repositories.removed": e.RepositoriesChanged,
    "pull_request.closed": e.PullRequestClosed,
    "pull_request.converted_to_draft": e.PullRequestDrafted,
    "pull_request.opened": Request,
    "pull_request.ready_for_review": Request,
    "pull_request.reopened": Request,
    "pull_request.synchronize": Request,
    "repository.renamed": e.RepositoryRenamed,
}


@pytest.mark.parametrize("name", sorted(path.stem for path in SAMPLES.glob("*.json")))
async def test_every_real_payload_is_decided(name: str) -> None:
    decided = await of(name)
    assert type(fact(decided) if isinstance(decided, Told) else decided) is EXPECTED.get(name, Ignored)


def test_every_route_has_exactly_one_handler() -> None:
    for event, router in ROUTERS.items():
        assert set(router._deep_routes) == {event}
        assert not router._shallow_routes
        for handlers in router._deep_routes[event]["action"].values():
            assert len(handlers) == 1


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("ping", "ping"),
        ("push", "push asks for nothing"),
        ("pull_request.labeled", "pull_request.labeled asks for nothing"),
        ("merge_group.checks_requested", "merge groups are not reviewed: each of their pull requests was"),
    ],
)
async def test_what_is_ignored_has_its_reason(name: str, reason: str) -> None:
    assert ignored(await of(name)) == reason


# --- pull requests --------------------------------------------------------------------------------------------------


async def test_a_push_asks_for_one_review_of_its_head() -> None:
    decided = await of("pull_request.synchronize")
    assert isinstance(decided, Request)
    assert decided.job == job_id(42, PULL_REPOSITORY, PULL, HEAD)
    assert decided.fact == e.ReviewRequested(
        installation=42,
        repository_id=PULL_REPOSITORY,
        repository="Codertocat/Hello-World",
        pull_request=PULL,
        head_sha=HEAD,
        trigger="synchronize",
        asked_at=datetime(2019, 5, 15, 15, 20, 33, tzinfo=UTC),
        requested_by=21031067,
    )


async def test_all_automatic_triggers_of_a_head_mean_the_same_job() -> None:
    names = ("opened", "synchronize", "reopened", "ready_for_review")
    decisions = [await of(f"pull_request.{name}") for name in names]
    assert len({decided.job for decided in decisions if isinstance(decided, Request)}) == 1
    assert [decided.fact.trigger for decided in decisions if isinstance(decided, Request)] == list(names)


@pytest.mark.parametrize("action", ["opened", "synchronize", "reopened", "converted_to_draft"])
async def test_a_draft_waits(action: str) -> None:
    told = fact(await of("pull_request.opened", action=action, pull_request__draft=True))
    assert isinstance(told, e.PullRequestDrafted)
    assert (told.pull_request, told.head_sha) == (PULL, HEAD)


async def test_a_bots_push_is_ignored_but_its_close_is_a_fact() -> None:
    bot = {"sender__type": "Bot", "sender__login": "dependabot[bot]"}
    assert ignored(await of("pull_request.opened", **bot)) == "a bot did this"
    assert isinstance(fact(await of("pull_request.closed", **bot)), e.PullRequestClosed)


async def test_closing_tells_when_and_whether_it_was_merged() -> None:
    told = fact(await of("pull_request.closed", pull_request__merged=True))
    assert isinstance(told, e.PullRequestClosed)
    assert (told.merged, told.at) == (True, datetime(2019, 5, 15, 15, 21, 18, tzinfo=UTC))


async def test_another_base_asks_again_and_another_title_does_not() -> None:
    title = await of("pull_request.opened", action="edited", changes={"title": {"from": "x"}})
    assert ignored(title) == "only the title or the text was edited"
    base = {"base": {"ref": {"from": "old"}, "sha": {"from": "b" * 40}}}
    moved = await of("pull_request.opened", action="edited", changes=base)
    pushed = await of("pull_request.opened")
    assert isinstance(moved, Request)
    assert isinstance(pushed, Request)
    assert (moved.fact.trigger, moved.fact.head_sha) == ("base_changed", HEAD)
    assert moved.job != pushed.job


async def test_a_time_from_the_far_future_counts_as_now() -> None:
    soon, far = NOW + timedelta(minutes=4), NOW + timedelta(days=400)
    for claimed, taken in ((soon, soon), (far, NOW)):
        decided = await of("pull_request.opened", pull_request__updated_at=claimed.isoformat())
        assert isinstance(decided, Request)
        assert decided.fact.asked_at == taken


# --- comments -------------------------------------------------------------------------------------------------------


async def comment_decision(body: str, **changes: Any) -> Decision:
    payload = sample("issue_comment.created", comment__body=body, **changes)
    payload["issue"].setdefault("pull_request", {"url": "x"})
    return await decision(payload, "issue_comment")


async def test_a_comment_asks_for_a_review_of_whatever_the_head_is() -> None:
    decided = await comment_decision(f"@{SLUG} review")
    assert isinstance(decided, Request)
    assert decided.job == job_id(42, PULL_REPOSITORY, 1, None, "comment:492700400")
    assert decided.fact.head_sha is None
    assert (decided.fact.comment_id, decided.fact.requested_by, decided.fact.trigger) == (
        492700400,
        21031067,
        "comment",
    )


@pytest.mark.parametrize(
    "body",
    [f"@{SLUG} review", f"@{SLUG.upper()}\tREVIEW  ", f" @{SLUG} review\r\nPlease.", f"@{SLUG}[bot] review"],
)
def test_the_command_is_understood(body: str) -> None:
    assert spoken_command(body, SLUG) == "review"


@pytest.mark.parametrize(
    "body",
    [
        "",
        "looks good",
        f"hey @{SLUG} review",
        f"@{SLUG}review",
        f"@{SLUG}-2 review",
        f"> @{SLUG} review",
        f"\n@{SLUG} review",
        "/review --config.base_url=https://evil.example",
    ],
)
async def test_a_comment_that_does_not_address_the_app_is_ignored(body: str) -> None:
    assert ignored(await comment_decision(body)) == "the comment does not address the App"


@pytest.mark.parametrize(
    "tail",
    [
        "",
        " help",
        " review please",
        " review --model=x",
        " review; rm -rf /",
        ' "review"',
        " review\u00a0",
        "\u2028review",
    ],
)
async def test_anything_but_the_one_command_is_unknown(tail: str) -> None:
    reason = ignored(await comment_decision(f"@{SLUG}{tail}"))
    assert reason == ("the comment does not address the App" if tail.startswith("\u2028") else "unknown command")


@given(st.text(alphabet=st.characters(blacklist_characters="\n"), min_size=1).filter(str.strip))
def test_no_tail_of_the_command_is_ever_taken_for_the_command(tail: str) -> None:
    assert spoken_command(f"@{SLUG} review {tail}", SLUG) != "review" or not tail.strip(" \t\r")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"issue__pull_request": None}, "the comment is on an issue"),
        ({"issue__state": "closed"}, "the pull request is closed"),
        ({"comment__user": {"id": 1, "login": "other[bot]", "type": "Bot"}}, "a bot did this"),
        ({"comment__user": {"id": 1, "login": f"{SLUG}[bot]", "type": "User"}}, "a bot did this"),
        ({"action": "edited"}, "issue_comment.edited asks for nothing"),
    ],
)
async def test_a_comment_in_the_wrong_place_is_ignored(changes: dict[str, Any], reason: str) -> None:
    assert ignored(await comment_decision(f"@{SLUG} review", **changes)) == reason


# --- "Re-run" -------------------------------------------------------------------------------------------------------


BY_A_PERSON = {"check_suite__app": {"id": APP_ID}, "sender__type": "User"}


async def test_rerunning_our_check_run_finds_the_pull_request_by_our_job(log: Log, pool: Pool) -> None:
    before = requested(pull_request=9, repository_id=526)
    await append(log, job_of(before), before)
    payload = sample("check_run.rerequested", check_run__app={"id": APP_ID}, check_run__external_id=str(job_of(before)))
    decided = await decision(payload, "check_run", Known(log, pool))
    assert isinstance(decided, Request)
    assert decided.job == job_id(42, 526, 9, payload["check_run"]["head_sha"], "check_run:4")
    assert (decided.fact.pull_request, decided.fact.trigger) == (9, "check_run_rerequested")
    assert decided.fact.asked_at == datetime(2018, 5, 4, 1, 14, 52, tzinfo=UTC)


@pytest.mark.parametrize("external_id", ["", None, "not a job", str(UUID(int=5))])
async def test_a_check_run_that_names_no_job_of_ours_is_ignored(log: Log, pool: Pool, external_id: str | None) -> None:
    payload = sample("check_run.rerequested", check_run__app={"id": APP_ID}, check_run__external_id=external_id)
    assert ignored(await decision(payload, "check_run", Known(log, pool))) == "the Check Run names no review of ours"


async def test_a_job_of_another_repository_cannot_be_rerun(log: Log, pool: Pool) -> None:
    foreign = requested(repository_id=999)
    await append(log, job_of(foreign), foreign)
    payload = sample(
        "check_run.rerequested", check_run__app={"id": APP_ID}, check_run__external_id=str(job_of(foreign))
    )
    assert ignored(await decision(payload, "check_run", Known(log, pool))) == "the Check Run names no review of ours"


async def test_the_check_runs_and_suites_of_other_apps_are_ignored() -> None:
    assert ignored(await of("check_run.rerequested")) == "the Check Run belongs to another App"
    assert ignored(await of("check_suite.rerequested")) == "the check suite belongs to another App"


async def test_rerunning_all_checks_takes_the_pull_request_that_github_names() -> None:
    decided = await of("check_suite.rerequested", **BY_A_PERSON)
    assert isinstance(decided, Request)
    assert (decided.fact.pull_request, decided.fact.head_sha) == (2, HEAD)
    assert decided.fact.asked_at == datetime(2019, 5, 15, 15, 21, 14, tzinfo=UTC)


async def test_rerunning_all_checks_of_a_commit_in_two_pull_requests_takes_both() -> None:
    payload = sample("check_suite.rerequested", **BY_A_PERSON)
    (named,) = payload["check_suite"]["pull_requests"]
    payload["check_suite"]["pull_requests"] = [named, named | {"number": 8}, named]
    decided = await decision(payload, "check_suite")
    assert isinstance(decided, Requests)
    assert [request.fact.pull_request for request in decided.each] == [PULL, 8]
    assert len({request.job for request in decided.each}) == 2


async def test_a_pull_request_into_another_repository_is_not_the_one_to_rerun(log: Log, pool: Pool) -> None:
    payload = sample("check_suite.rerequested", **BY_A_PERSON)
    payload["check_suite"]["pull_requests"][0]["base"]["repo"]["id"] = 999
    reason = ignored(await decision(payload, "check_suite", Known(log, pool)))
    assert reason == "the commit belongs to no pull request that was reviewed"


async def test_rerunning_all_checks_of_a_fork_takes_the_pull_request_that_we_reviewed(log: Log, pool: Pool) -> None:
    before = requested(pull_request=11, repository_id=PULL_REPOSITORY, head_sha=HEAD)
    await append(log, job_of(before), before)
    await project(pool)
    payload = sample("check_suite.rerequested", **BY_A_PERSON, check_suite__pull_requests=[])
    decided = await decision(payload, "check_suite", Known(log, pool))
    assert isinstance(decided, Request)
    assert decided.fact.pull_request == 11
    other = requested(pull_request=12, repository_id=PULL_REPOSITORY, head_sha=HEAD)
    await append(log, job_of(other), other)
    await project(pool)
    both = await decision(payload, "check_suite", Known(log, pool))
    assert isinstance(both, Requests)
    assert [request.fact.pull_request for request in both.each] == [12, 11]
    payload["check_suite"]["head_sha"] = "c" * 40
    reason = ignored(await decision(payload, "check_suite", Known(log, pool)))
    assert reason == "the commit belongs to no pull request that was reviewed"


# --- installations and repositories ---------------------------------------------------------------------------------


async def test_an_installation_is_remembered_with_its_account() -> None:
    assert fact(await of("installation.created")) == e.InstallationCreated(
        installation=957387, account_id=21031067, account="Codertocat", at=datetime.fromtimestamp(1557933591, UTC)
    )


async def test_a_suspension_is_dated_by_github_and_its_end_by_its_arrival() -> None:
    suspended, unsuspended = (
        fact(await of("installation.suspend")),
        fact(await of("installation.unsuspend")),
    )
    assert isinstance(suspended, e.InstallationSuspended)
    assert isinstance(unsuspended, e.InstallationUnsuspended)
    assert (suspended.at, unsuspended.at) == (datetime(2021, 4, 29, 2, 32, 50, tzinfo=UTC), NOW)


async def test_a_renamed_repository_keeps_its_id_and_tells_its_old_name() -> None:
    told = fact(await of("repository.renamed"))
    assert isinstance(told, e.RepositoryRenamed)
    assert (told.repository_id, told.repository) == (186853261, "Octocoders/Hello-World")
    assert told.before is not None
    assert told.before.startswith("Octocoders/")


async def test_a_transferred_repository_tells_its_old_owner() -> None:
    changes = {"owner": {"from": {"user": {"login": "before"}}}}
    told = fact(await of("repository.renamed", action="transferred", changes=changes))
    assert isinstance(told, e.RepositoryRenamed)
    assert told.before == "before/Hello-World"


# --- what cannot be understood --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes",
    [
        {"installation": None},
        {"repository": None},
        {"pull_request": None},
        {"pull_request__number": None},
        {"pull_request__number": 0},
        {"pull_request__number": 2**31},
        {"repository__id": 2**63},
        {"pull_request__head": {"sha": "not a sha"}},
        {"pull_request__head": {"sha": "a" * 40 + "\n"}},
        {"pull_request__updated_at": "yesterday"},
        {"pull_request__updated_at": "2019-05-15T15:20:33"},
        {"sender": {"login": "x"}},
        {"sender": None},
        {"action": ["opened"]},
    ],
)
async def test_a_missing_or_impossible_field_is_not_understood(changes: dict[str, Any]) -> None:
    with pytest.raises(NotUnderstood):
        await of("pull_request.opened", **changes)


async def test_fields_that_nobody_needs_may_be_missing_or_odd() -> None:
    odd = sample("pull_request.opened", pull_request__title=5, pull_request__user=None, number="x", zzz=[None])
    assert isinstance(await decision(odd, "pull_request"), Request)


@pytest.mark.parametrize(
    ("escaped", "name"),
    [
        (rb"a\ud83d\ude00", "a\U0001f600"),
        (rb"a\ud83d", "a\ufffd"),
        (rb"a\ude00\ud83d", "a\ufffd\ufffd"),
        (rb"a\\ud83d", r"a\ud83d"),
        (rb"a\\\ud83d", "a\\\ufffd"),
    ],
    ids=["pair", "first half", "halves the wrong way round", "no escape", "escape after a backslash"],
)
async def test_half_a_character_is_read_as_the_replacement_character(escaped: bytes, name: str) -> None:
    body = msgspec.json.encode(sample("pull_request.opened", pull_request__title="?")) + b" "
    decided = await decision(
        body.replace(b"Codertocat/Hello-World", escaped).replace(b'"?"', rb'"\udfff"'), "pull_request"
    )
    assert isinstance(decided, Request)
    assert decided.fact.repository == name


@given(st.binary(max_size=200))
async def test_any_bytes_are_decided_or_not_understood(body: bytes) -> None:
    try:
        assert isinstance(await decision(body, "pull_request"), Ignored)
    except NotUnderstood as error:
        assert str(error)  # noqa: PT017 - one of two good outcomes


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=8,
)


@given(st.sampled_from(["action", "installation", "repository", "sender", "pull_request", "changes"]), JSON)
async def test_any_json_in_place_of_a_field_is_decided_or_not_understood(field: str, value: object) -> None:
    try:
        assert isinstance(await of("pull_request.opened", **{field: value}), Request | Told | Ignored)
    except NotUnderstood as error:
        assert str(error)  # noqa: PT017 - one of two good outcomes
