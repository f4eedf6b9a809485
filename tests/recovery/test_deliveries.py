"""Deliveries that failed, were lost behind our OK, or were never sent: each comes back, once, whatever goes wrong."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from uuid import UUID

import msgspec
import pytest
from structlog.testing import capture_logs

from reviewbot.errors import GitHubRateLimited, GitHubRefused, GitHubUnavailable
from reviewbot.github.client import Client
from reviewbot.github.deliveries import redeliver as really_redeliver
from reviewbot.github.models import Delivery
from reviewbot.recovery import deliveries
from reviewbot.recovery.deliveries import Bounds
from reviewbot.recovery.keeper import Recovery
from reviewbot.recovery.store import Missing, Store
from reviewbot.recovery.sweep import Swept
from reviewbot.recovery.work import LeaseLost
from schema.events import DeliveryLost, DeliveryMissed, IntakeGap
from schema.processes import Processes
from tests.helpers import project
from tests.recovery.ground import Ground, Recoverer


async def outage(ground: Ground, each: int) -> None:
    """Deliveries fail, are acknowledged by somebody else, and are not sent at all; then all is well again."""
    for trouble in (ground.is_down, ground.is_deaf, ground.is_forgotten):
        trouble()
        await ground.open(each)
    ground.hears()


async def recover_all(ground: Ground, process: Recoverer) -> None:
    """What the service does in the minutes after an outage."""
    await process.recover()
    await ground.standin.settle()
    await project(ground.service.pool)
    await process.sweep()
    await process.recover()


# --- the whole of it ------------------------------------------------------------------------------------------------


async def test_three_hundred_missed_deliveries_are_recovered_each_once(ground: Ground) -> None:
    await outage(ground, 100)
    process = ground.recoverer()
    await recover_all(ground, process)
    assert await ground.faults() == []
    assert Counter(trigger for _, trigger in await ground.requests()) == {"opened": 200, "sweep": 100}
    assert set(ground.asked_again().values()) == {1}
    assert len(await ground.facts(DeliveryMissed)) == 100
    assert process.count("reviewbot_deliveries_missing_total", kind="failed") == 100
    assert process.count("reviewbot_deliveries_missing_total", kind="promised") == 100
    assert process.count("reviewbot_deliveries_recovered_total") == 200
    before = await ground.service.events()
    await project(ground.service.pool)
    await recover_all(ground, ground.recoverer())
    assert await ground.service.events() == before


async def nothing_absent(_store: Store, _guids: list[UUID]) -> dict[UUID, bool]:
    """A comparison that finds nothing."""
    return {}


async def no_sweep(_recovery: Recovery, _swept: Swept, **_: object) -> None:
    """Deliveries are all there is."""


def believing(listed: Iterable[Delivery]) -> dict[UUID, Missing]:
    """What GitHub has our OK for is taken for received."""
    return {guid: each for guid, each in BY_GUID(listed).items() if not each.promised}


BY_GUID = deliveries._by_guid
TWINS: dict[str, tuple[object, str, object, int]] = {  # each: what is put in the place of what, and the faults it makes
    "nothing is missing": (Store, "absent", nothing_absent, 4),  # four deliveries; the sweep asks for the reviews
    "an OK is believed": (deliveries, "_by_guid", believing, 2),
    "no sweep": (Recovery, "sweep", no_sweep, 2),
}


@pytest.mark.parametrize("twin", TWINS)
async def test_a_recovery_that_leaves_something_out_is_found_out(
    ground: Ground, monkeypatch: pytest.MonkeyPatch, twin: str
) -> None:
    owner, name, broken, faults = TWINS[twin]
    await outage(ground, 2)
    monkeypatch.setattr(owner, name, broken)
    await recover_all(ground, ground.recoverer())
    assert len(await ground.faults()) == faults


async def test_what_arrived_is_left_alone(ground: Ground) -> None:
    await ground.open(3)
    found = await ground.recoverer().recover()
    assert (found.compared, found.failed, found.promised, found.asked) == (3, 0, 0, 0)
    assert ground.asked_again() == {}


async def test_a_delivery_that_arrived_though_github_saw_it_fail_is_not_asked_for(ground: Ground) -> None:
    await ground.open()
    ground.change_newest(status="timed out", status_code=0)
    found = await ground.recoverer().recover()
    assert (found.failed, found.asked) == (0, 0)


async def test_a_redelivery_of_what_was_recovered_changes_nothing(ground: Ground) -> None:
    ground.is_down()
    await ground.open()
    ground.hears()
    await ground.recoverer().recover()
    await ground.standin.settle()
    before = await ground.service.events()
    again = await ground.standin.webhooks.redeliver(ground.standin.deliveries[0])
    assert (again.status_code, "duplicate" in again.response_body) == (200, True)
    assert await ground.service.events() == before


async def test_a_broken_promise_is_said_loudly_and_once(ground: Ground) -> None:
    ground.is_deaf()
    await ground.open()
    with capture_logs() as lines:
        for _ in range(3):
            await ground.recoverer().recover()
    (fact,) = await ground.facts(DeliveryMissed)
    assert isinstance(fact, DeliveryMissed)
    assert (fact.event, fact.action) == ("pull_request", "opened")
    (event,) = await ground.service.events()
    assert str(event.delivery) == ground.standin.deliveries[0].message.guid
    loud = [line for line in lines if line["log_level"] == "error"]
    assert len(loud) == 1
    assert "not in the inbox" in loud[0]["event"]


async def test_a_delivery_that_goes_on_failing_is_asked_for_ever_more_rarely(ground: Ground) -> None:
    ground.is_down()
    await ground.pings(1)
    waits = []
    for _ in range(3):
        assert (await ground.recoverer().recover()).asked == 1
        assert (await ground.recoverer().recover()).asked == 0
        await ground.standin.settle()
        query = "update missing_delivery set ask_after = now() returning extract(epoch from old.ask_after - now())"
        waits.append(round(float(await ground.service.pool.fetchval(query)) / 60))
    assert waits == [1, 2, 4]


async def test_an_entry_that_names_no_delivery_is_passed_over(ground: Ground) -> None:
    ground.is_down()
    await ground.pings(2)
    newest = ground.standin.deliveries[-1]
    ground.change_newest(message=msgspec.structs.replace(newest.message, guid="none"))
    assert (await ground.recoverer().recover()).failed == 1


# --- too late -------------------------------------------------------------------------------------------------------


async def test_downtime_longer_than_github_remembers_is_said_loudly_and_once(ground: Ground) -> None:
    last = datetime.now(UTC) - timedelta(days=5)
    await ground.service.pool.execute("update recovery set covered_until = $1", last)
    process = ground.recoverer()
    with capture_logs() as lines:
        found = await process.recover()
        await process.recover()
    assert found.gap is not None
    (gap,) = await ground.facts(IntakeGap)
    assert isinstance(gap, IntakeGap)
    assert gap.since == last
    assert abs(gap.until - (datetime.now(UTC) - timedelta(days=3))) < timedelta(minutes=1)
    assert [line["log_level"] for line in lines if "forgotten" in line["event"]] == ["error"]
    assert process.count("reviewbot_intake_gaps_total") == 1


async def test_a_quiet_week_is_no_gap(ground: Ground) -> None:
    await ground.service.pool.execute("update recovery set covered_until = now() - interval '2 days 23 hours'")
    assert (await ground.recoverer().recover()).gap is None
    assert await ground.facts(IntakeGap) == []


async def test_what_github_has_forgotten_is_lost_loudly_and_once(ground: Ground) -> None:
    ground.is_down()
    await ground.pings(1)
    await ground.recoverer().recover()
    await ground.standin.settle()
    await ground.service.pool.execute("update missing_delivery set delivered_at = now() - interval '4 days'")
    with capture_logs() as lines:
        for _ in range(2):
            found = await ground.recoverer().recover()
    assert found.lost == 0
    (fact,) = await ground.facts(DeliveryLost)
    assert isinstance(fact, DeliveryLost)
    assert (fact.event, fact.asked, fact.status) == ("ping", 1, "failed to connect to host")
    assert [line["event"] for line in lines if line["log_level"] == "error"] == ["a delivery is lost for good"]
    assert sum(ground.asked_again().values()) == 1


async def test_a_delivery_that_github_does_not_find_any_more_is_lost(ground: Ground) -> None:
    ground.is_down()
    await ground.pings(1)
    process = ground.recoverer()
    ground.standin.trouble("POST /app/hook/deliveries/*", "unavailable")
    await process.recover()
    ground.standin.webhooks.log.clear()
    await ground.service.pool.execute("update missing_delivery set ask_after = now()")
    assert (await process.recover()).lost == 1


# --- broken off and taken up ----------------------------------------------------------------------------------------


def crash_at(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """The process dies at its n-th request to send something again."""
    calls = 0

    async def redeliver(app: Client, delivery_id: int) -> None:
        nonlocal calls
        calls += 1
        if calls == number:
            raise KeyboardInterrupt
        await really_redeliver(app, delivery_id)

    monkeypatch.setattr(deliveries, "redeliver", redeliver)


async def crash_and_resume(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> set[int]:
    """Ten deliveries, a crash at the fifth request, and another process that goes on; how often each was sent again."""
    ground.is_down()
    await ground.pings(10)
    crash_at(monkeypatch, 5)
    with pytest.raises(KeyboardInterrupt):
        await ground.recoverer().recover()
    await ground.recoverer().recover()
    await ground.standin.settle()
    asked = ground.asked_again()
    assert len(asked) == 10
    return set(asked.values())


async def test_after_a_crash_the_next_process_goes_on_where_it_happened(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await crash_and_resume(ground, monkeypatch) == {1}


async def test_a_recovery_that_forgets_what_it_asked_for_is_found_out(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def forget(*_: object) -> None:
        return

    monkeypatch.setattr(Store, "save_asked", forget)
    assert await crash_and_resume(ground, monkeypatch) == {1, 2}


async def test_a_long_list_is_compared_in_bounded_runs_page_by_page(ground: Ground) -> None:
    ground.is_down()
    await ground.pings(250)
    bounds = Bounds(pace=0.0, pages=1, asks=0)
    compared = []
    for run in range(3):
        found = await ground.recoverer(bounds=bounds).recover()
        compared.append(found.compared)
        covered = await ground.service.pool.fetchval("select covered_until from recovery")
        assert (covered is not None) == (run == 2)
    assert compared == [100, 100, 50]
    assert await ground.service.pool.fetchval("select count(*) from missing_delivery") == 250


async def test_what_comes_while_a_long_list_is_compared_is_compared_next(ground: Ground) -> None:
    ground.is_down()
    await ground.pings(150)
    await ground.recoverer(bounds=Bounds(pace=0.0, pages=1, asks=0)).recover()
    await ground.pings(7)
    await ground.recoverer(bounds=Bounds(pace=0.0, asks=0)).recover()
    assert await ground.service.pool.fetchval("select count(*) from missing_delivery") == 157


async def test_a_delivery_that_the_list_showed_late_is_recovered_all_the_same(ground: Ground) -> None:
    ground.is_down()
    await ground.pings(1)
    late = ground.change_newest(delivered_at=ground.standin.deliveries[0].delivered_at - 600)
    listed = ground.standin.webhooks.log
    listed.remove(late)
    ground.hears()
    await ground.pings(100)  # a page of its own
    process = ground.recoverer()
    await process.recover()
    listed.insert(0, late)
    await process.recover()
    await ground.standin.settle()
    assert set(ground.asked_again()) == {late.message.guid}


async def test_a_place_in_the_list_that_github_refuses_is_forgotten(ground: Ground) -> None:
    await ground.service.pool.execute("update recovery set cursor = 'nonsense', top = now()")
    ground.is_down()
    await ground.pings(1)
    with pytest.raises(GitHubRefused, match="cursor"):
        await ground.recoverer().recover()
    assert (await ground.recoverer().recover()).failed == 1


async def test_a_limit_in_the_middle_stops_the_run_and_the_rest_follows_after_it(ground: Ground) -> None:
    ground.is_down()
    await ground.pings(6)
    ground.standin.trouble("POST /app/hook/deliveries/*", "secondary-limit", skip=2, retry_after=77)
    process = ground.recoverer()
    with pytest.raises(GitHubRateLimited):
        await process.recover()
    wait = await ground.service.pool.fetchval("select extract(epoch from recover_due - now()) from recovery")
    assert 70 < wait <= 77
    with pytest.raises(GitHubRateLimited):
        await process.recover()
    await ground.standin.settle()
    assert sum(ground.asked_again().values()) == 2
    await ground.recoverer().recover()  # its gate knows of no limit: the time has passed
    await ground.standin.settle()
    assert sorted(ground.asked_again().values()) == [1] * 6


async def test_a_delivery_that_github_cannot_send_does_not_hold_up_the_others(ground: Ground) -> None:
    ground.is_down()
    await ground.pings(4)
    ground.standin.trouble("POST /app/hook/deliveries/*", "unavailable", times=2)
    assert (await ground.recoverer().recover()).asked == 2
    assert (await ground.recoverer().recover()).asked == 0


async def test_a_github_that_is_down_is_left_alone_after_a_few_tries(ground: Ground) -> None:
    ground.is_down()
    await ground.pings(9)
    rule = ground.standin.trouble("POST /app/hook/deliveries/*", "unavailable", times=9)
    with pytest.raises(GitHubUnavailable):
        await ground.recoverer().recover()
    assert rule.fired == 3


# --- one at a time --------------------------------------------------------------------------------------------------


async def both_at_once(ground: Ground) -> tuple[list[bool], set[int]]:
    """Two processes recover five deliveries; whether each did, and how often each delivery was sent again."""
    ground.is_down()
    await ground.pings(5)
    # GitHub takes its time, so that two who work at once ask for the same.
    ground.standin.trouble("POST /app/hook/deliveries/*", "force-push", times=20, hook=lambda: asyncio.sleep(0.1))
    one, other = ground.recoverer(), ground.recoverer()
    done = await asyncio.gather(one.recovery.step(starting=True), other.recovery.step(starting=True))
    await ground.standin.settle()
    return sorted(done), set(ground.asked_again().values())


async def test_two_processes_never_recover_at_the_same_time(ground: Ground) -> None:
    assert await both_at_once(ground) == ([False, True], {1})


async def test_two_that_do_recover_at_the_same_time_are_found_out(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def always(*_: object) -> bool:
        return True

    monkeypatch.setattr(Processes, "take_lease", always)
    done, asked = await both_at_once(ground)
    assert done == [True, True]
    assert 2 in asked


async def test_a_process_whose_lease_was_taken_stops_before_its_next_request(ground: Ground) -> None:
    ground.is_down()
    await ground.pings(5)

    async def take_over() -> None:
        await ground.service.pool.execute("update lease set holder = gen_random_uuid()")

    ground.standin.trouble("POST /app/hook/deliveries/*", "force-push", skip=1, hook=take_over)
    process = ground.recoverer()
    with pytest.raises(LeaseLost):
        await process.recovery.step(starting=True)
    await ground.standin.settle()
    assert sum(ground.asked_again().values()) == 2


async def test_the_next_run_waits_until_it_is_due_but_for_a_process_that_starts(ground: Ground) -> None:
    process = ground.recoverer()
    assert await process.recovery.step()
    seen = len(ground.standin.requests)
    assert await process.recovery.step()
    assert len(ground.standin.requests) == seen
    await process.recovery.step(starting=True)
    lists = [each.path for each in ground.standin.requests[seen:]]
    assert lists == ["/app/hook/deliveries"], "the deliveries are compared, and the young sweep is not repeated"


async def test_the_loop_survives_whatever_happens(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    steps, went_on = [], asyncio.Event()

    async def step(self: Recovery, *, starting: bool = False) -> bool:
        steps.append(starting)
        if len(steps) == 1:
            raise RuntimeError("nobody thought of this")
        if len(steps) == 3:
            went_on.set()
        return True

    monkeypatch.setattr(Recovery, "step", step)
    loop = asyncio.create_task(ground.recoverer().recovery.run(poll_seconds=0.0))
    await asyncio.wait_for(went_on.wait(), 5)
    loop.cancel()
    assert steps[:3] == [True, True, False]
