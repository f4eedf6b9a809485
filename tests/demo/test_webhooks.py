"""Deliveries of the stand-in: their shape, headers and signature, the log of them, and sending them again."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from reviewbot.demo import webhooks
from tests.demo.hub import APP_ID, INSTALLATION, REPO, SECRET, Commits, Hub

SAMPLES = Path(__file__).parent.parent / "samples" / "github" / "deliveries"
DELIVERIES = "/app/hook/deliveries"
# What the samples show of 2019 and GitHub writes otherwise today, or what the App cannot hear of.
DATED = re.compile(
    r".*\.installation\.(created_at|updated_at)"  # seconds then, ISO 8601 now
    r"|.*\.installation\.permissions\..*"  # every App has its own
    r"|.*\.app\.permissions\..*"
    r"|ping\.(repository|sender|hook\.(url|test_url|ping_url|last_response))"  # the sample's hook is a repository's
)


async def everything_happens(hub: Hub, commits: Commits) -> None:
    """Once through all that a delivery can tell of."""
    standin = hub.standin
    await standin.events.ping()
    await standin.install(INSTALLATION)
    other = await standin.add_repository("acme/other", commits.path)
    await standin.events.repositories(standin.installation(INSTALLATION), [other], [])
    await standin.events.repositories(standin.installation(INSTALLATION), [], [other])
    await hub.open(body="Please look", draft=True)
    await standin.ready_for_review(REPO, 1)
    await standin.convert_to_draft(REPO, 1)
    await standin.push(REPO, 1, "later")
    await standin.comment(REPO, 1, "@reviewbot review")
    body = {"name": "ReviewBot", "head_sha": commits.later, "conclusion": "success"}
    run = (await hub.call("POST", f"/repos/{REPO}/check-runs", json=body)).json
    await standin.rerequest_check_run(REPO, run["id"])
    await standin.rerequest_check_suite(REPO, 1)
    remark = {"path": "src/app.py", "line": 6, "body": "Why?", "commit_id": commits.later}
    await hub.call("POST", f"/repos/{REPO}/pulls/1/comments", json=remark)
    await hub.call("POST", f"/repos/{REPO}/pulls/1/reviews", json={"event": "COMMENT", "body": "x"})
    await standin.resolve_thread(REPO, 1, standin.comments(REPO, 1)[0])
    await standin.resolve_thread(REPO, 1, standin.comments(REPO, 1)[0], resolved=False)
    await standin.close(REPO, 1)
    await standin.reopen(REPO, 1)
    await standin.rename_repository(REPO, "market")
    await standin.settle()
    await standin.suspend_installation(INSTALLATION)
    await standin.unsuspend_installation(INSTALLATION)
    await standin.delete_installation(INSTALLATION)


def differences(sample: object, ours: object, path: str = "") -> Iterator[str]:
    """Where ours lacks a key of the sample or has another type of value; null goes with everything."""
    if DATED.fullmatch(path) or sample is None or ours is None:
        return
    if type(sample) is not type(ours):
        yield f"{path}: {type(ours).__name__} instead of {type(sample).__name__}"
    elif isinstance(sample, dict) and isinstance(ours, dict):
        for name, value in sample.items():
            where = f"{path}.{name}".lstrip(".")
            if name in ours:
                yield from differences(value, ours[name], where)
            elif not DATED.fullmatch(where):
                yield f"{where} is missing"
    elif isinstance(sample, list) and isinstance(ours, list) and sample and ours:
        yield from differences(sample[0], ours[0], f"{path}[]")


async def test_every_delivery_has_the_fields_and_types_of_a_real_one(hub: Hub, commits: Commits) -> None:
    hub.standin.repository(REPO).owner.type = "Organization"
    await everything_happens(hub, commits)
    ours = {f"{item.message.event}.{item.message.action}": item.message.payload for item in hub.standin.deliveries}
    ours["ping"] = ours.pop("ping.None")
    faults, compared = [], set[str]()
    for file in sorted(SAMPLES.glob("*.json")):
        name = file.stem
        if name not in ours:
            continue
        compared.add(name)
        sample = json.loads(file.read_bytes())
        faults += [f"{name}: {fault}" for fault in differences({name: sample}, {name: json.loads(ours[name])})]
    assert not faults, "\n".join(faults)
    assert compared >= {
        "check_run.rerequested", "check_suite.requested", "check_suite.rerequested", "installation.created",
        "installation.deleted", "installation.suspend", "installation.unsuspend", "installation_repositories.added",
        "installation_repositories.removed", "issue_comment.created", "ping", "pull_request.closed",
        "pull_request.converted_to_draft", "pull_request.opened", "pull_request.ready_for_review",
        "pull_request.reopened", "pull_request.synchronize", "pull_request_review.submitted",
        "pull_request_review_comment.created", "pull_request_review_thread.resolved",
        "pull_request_review_thread.unresolved", "repository.renamed",
    }  # fmt: skip


def test_the_comparison_with_real_deliveries_sees_a_missing_field_and_a_wrong_type() -> None:
    assert list(differences({"a": {"b": 1}}, {"a": {}})) == ["a.b is missing"]
    assert list(differences({"a": [{"b": 1}]}, {"a": [{"b": "1"}]})) == ["a[].b: str instead of int"]


async def test_a_delivery_carries_the_full_header_set_and_both_signatures(hub: Hub) -> None:
    await hub.open()
    delivery = hub.received[0]
    headers = delivery.headers
    assert headers["X-GitHub-Event"] == "pull_request"
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", headers["X-GitHub-Delivery"])
    assert headers["X-GitHub-Hook-ID"].isdigit()
    assert headers["X-GitHub-Hook-Installation-Target-Type"] == "integration"
    assert headers["X-GitHub-Hook-Installation-Target-ID"] == str(APP_ID)
    assert headers["User-Agent"].startswith("GitHub-Hookshot/")
    assert headers["Content-Type"] == "application/json"
    for name, algorithm in (("X-Hub-Signature-256", "sha256"), ("X-Hub-Signature", "sha1")):
        expected = hmac.new(SECRET.encode(), delivery.body, algorithm).hexdigest()
        assert headers[name] == f"{algorithm}={expected}"


async def test_a_push_tells_the_heads_before_and_after(hub: Hub, commits: Commits) -> None:
    await hub.open()
    await hub.standin.push(REPO, 1, "later")
    payload = json.loads(hub.received[-2].body)
    assert (payload["action"], payload["before"], payload["after"]) == ("synchronize", commits.head, commits.later)
    assert payload["pull_request"]["head"]["sha"] == commits.later


async def test_a_fork_s_push_asks_for_no_check_suite(hub: Hub) -> None:
    await hub.open(fork=True)
    assert hub.events() == ["pull_request.opened"]


async def test_events_that_the_app_did_not_subscribe_to_are_not_sent(hub: Hub) -> None:
    hub.standin.world.events = ("issue_comment",)
    await hub.open()
    await hub.standin.comment(REPO, 1, "hello")
    assert hub.events() == ["issue_comment.created"]


async def test_the_delivery_log_is_paged_by_cursor_and_filtered_by_status(hub: Hub) -> None:
    await hub.open()
    hub.webhook_status = 503
    await hub.standin.comment(REPO, 1, "a")
    hub.webhook_status = 202
    await hub.standin.comment(REPO, 1, "b")
    seen, path = [], f"{DELIVERIES}?per_page=3"
    while path:
        reply = await hub.as_app("GET", path)
        seen += reply.json
        path = reply.headers.get("Link", "").partition(">")[0].removeprefix("<")
    assert [item["event"] for item in seen] == ["issue_comment", "issue_comment", "check_suite", "pull_request"]
    assert [item["status"] for item in seen] == ["OK", "Invalid HTTP Response: 503", "OK", "OK"]
    failed = (await hub.as_app("GET", f"{DELIVERIES}?status=failure")).json
    assert [item["status_code"] for item in failed] == [503]
    assert len((await hub.as_app("GET", f"{DELIVERIES}?status=success")).json) == 3
    assert (await hub.as_app("GET", f"{DELIVERIES}?cursor=odd")).status == 400
    assert (await hub.as_app("GET", f"{DELIVERIES}?status=odd")).status == 422


async def test_a_redelivery_has_the_same_guid_and_body_under_a_new_id(hub: Hub) -> None:
    await hub.open()
    first = hub.standin.deliveries[0]
    shown = (await hub.as_app("GET", f"{DELIVERIES}/{first.id}")).json
    assert shown["request"]["headers"]["X-GitHub-Delivery"] == first.message.guid
    assert shown["response"]["payload"] == "thanks"
    assert (await hub.as_app("POST", f"{DELIVERIES}/{first.id}/attempts")).status == 202
    await hub.standin.settle()
    again = hub.standin.deliveries[-1]
    assert (again.message.guid, again.redelivery) == (first.message.guid, True)
    assert again.id != first.id
    assert hub.received[-1].body == hub.received[0].body
    hub.standin.world.advance(3 * 24 * 3600 + 1)
    late = f"Bearer {hub.app_jwt(ago=-3 * 24 * 3600 + 60)}"
    assert (await hub.call("POST", f"{DELIVERIES}/{first.id}/attempts", authorization=late)).status == 404


async def test_deliveries_can_come_twice_out_of_order_or_not_at_all(hub: Hub) -> None:
    sender = hub.standin.webhooks
    sender.mode = "held"
    await hub.open()
    await hub.standin.comment(REPO, 1, "later")
    assert hub.received == []
    sender.mode = "normal"
    await sender.release("reversed")
    assert [item.headers["X-GitHub-Event"] for item in hub.received] == ["issue_comment", "check_suite", "pull_request"]
    sender.mode = "duplicate"
    await hub.standin.comment(REPO, 1, "twice")
    assert len({item.headers["X-GitHub-Delivery"] for item in hub.received[-2:]}) == 1
    sender.mode = "dropped"
    await hub.standin.comment(REPO, 1, "lost")
    assert len(hub.received) == 5
    assert hub.standin.deliveries[-1].status == "failed to connect to host"


async def test_shuffling_held_deliveries_can_be_repeated_by_its_seed(hub: Hub) -> None:
    await hub.open()
    orders = []
    for _ in range(2):
        hub.standin.webhooks.mode = "held"
        for number in range(6):
            await hub.standin.comment(REPO, 1, str(number))
        hub.standin.webhooks.mode = "normal"
        released = await hub.standin.webhooks.release("shuffled", seed=3)
        orders.append([json.loads(item.message.payload)["comment"]["body"] for item in released])
    assert orders[0] == orders[1] != sorted(orders[0])


async def test_no_answer_in_time_is_logged_and_not_tried_again(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhooks, "TIMEOUT_SECONDS", 0.2)
    await hub.standin.webhooks.close()
    await hub.standin.webhooks.open()
    connections = 0

    async def silent(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await asyncio.sleep(0.5)
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    hub.standin.webhooks.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    await hub.standin.events.ping()
    assert (hub.standin.deliveries[-1].status, hub.standin.deliveries[-1].status_code) == ("timed out", 0)
    assert connections == 1
    server.close()


async def test_a_closed_port_is_logged_as_a_failed_connection(hub: Hub) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        hub.standin.webhooks.url = f"http://127.0.0.1:{free.getsockname()[1]}/"
    await hub.standin.events.ping()
    assert hub.standin.deliveries[-1].status == "failed to connect to host"


async def test_a_payload_over_25_mb_is_never_sent(hub: Hub) -> None:
    assert await hub.standin.webhooks.deliver("ping", {"zen": "x" * 25 * 1024 * 1024}) is None
    assert hub.standin.deliveries == []


async def test_the_hook_s_settings_hide_the_secret(hub: Hub) -> None:
    config = (await hub.as_app("GET", "/app/hook/config")).json
    assert (config["url"], config["secret"]) == (hub.standin.webhooks.url, "********")


def test_both_signatures_are_those_of_python_s_own_hmac() -> None:
    # GitHub's documents give this very example.
    digest = hmac.new(b"It's a Secret to Everybody", b"Hello, World!", hashlib.sha256).hexdigest()
    assert digest == "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
