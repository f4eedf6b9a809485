"""The stand-in as a command, driven by a person with curl, and as GitHub Enterprise Server."""

from __future__ import annotations

import asyncio
import stat
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from reviewbot.demo.git import GitError
from reviewbot.demo.run import load_app_key, new_app_key, run_standin
from reviewbot.demo.standin import Standin
from reviewbot.errors import ConfigError
from tests.demo.contract import check_exchanges
from tests.demo.hub import APP_ID, INSTALLATION, REPO, SECRET, Commits, Hub, webhook


async def control(hub: Hub, command: str, **fields: Any) -> Any:
    reply = await hub.call("POST", f"/_standin/{command}", authorization="", json=fields)
    assert reply.status == 201, reply
    return reply.json


async def test_a_person_can_do_everything_with_curl(hub: Hub) -> None:
    opened = await control(hub, "pulls", repo=REPO, base="main", head="topic", title="By hand", draft=True)
    assert opened == {"number": 1, "html_url": f"{hub.url}/{REPO}/pull/1"}
    await control(hub, "push", repo=REPO, number=1, head="later")
    for action in ("ready", "draft", "close", "reopen", "rerun", "merge"):
        await control(hub, "act", repo=REPO, number=1, action=action)
    await control(hub, "comments", repo=REPO, number=1, body="@reviewbot review", author="mia")
    await control(hub, "permissions", repo=REPO, login="mia", role="write")
    await control(hub, "trouble", rule="GET /meta unavailable")
    assert (await hub.call("GET", "/meta")).status == 503
    held = await control(hub, "webhooks", mode="held")
    assert held["mode"] == "held"
    await control(hub, "rename", repo=REPO, name="market")
    assert (await control(hub, "webhooks", mode="normal", release="in-order"))["released"] == 1
    for action in ("install", "suspend", "unsuspend", "delete"):
        await control(hub, "installations", installation_id=INSTALLATION, action=action)
    assert [event.rpartition(".")[2] for event in hub.events() if event.startswith("pull_request.")] == [
        "opened", "synchronize", "ready_for_review", "converted_to_draft", "closed", "reopened", "closed",
    ]  # fmt: skip
    help_text = (await hub.call("GET", "/_standin", authorization="")).content.decode()
    assert "POST /_standin/trouble" in help_text


@pytest.mark.parametrize(
    ("command", "fields", "status", "message"),
    [
        ("push", {"repo": "no/where", "number": 1, "head": "x"}, 422, "no repository no/where; there are: acme/shop"),
        ("push", {"repo": REPO, "number": 9, "head": "x"}, 422, "acme/shop has no pull request 9; there are: none"),
        ("push", {"repo": REPO}, 400, "Fields: repo, number, head"),
        ("pulls", {"repo": REPO, "base": "main", "head": "nowhere", "title": "x"}, 422, "nowhere"),
        ("pulls", {"repo": REPO, "base": "--help", "head": "topic", "title": "x"}, 422, "names no commit"),
        ("permissions", {"repo": REPO, "login": "x", "role": "king"}, 422, "'king' is no role"),
        ("installations", {"installation_id": 3, "action": "delete"}, 422, "there is no installation 3"),
        ("trouble", {"rule": "boom"}, 422, "Example: "),
    ],
)  # fmt: skip
async def test_a_command_that_cannot_be_done_says_why(
    hub: Hub, command: str, fields: dict[str, Any], status: int, message: str
) -> None:
    reply = await hub.call("POST", f"/_standin/{command}", authorization="", json=fields)
    assert reply.status == status
    assert message in reply.json["message"]


async def test_a_form_of_another_site_cannot_drive_the_stand_in(hub: Hub) -> None:
    body = b'{"repo": "acme/shop", "base": "main", "head": "topic", "title": "x"}'
    reply = await hub.call(
        "POST", "/_standin/pulls", authorization="", data=body, headers={"Content-Type": "text/plain"}
    )
    assert reply.status == 415
    assert hub.standin.repository(REPO).pulls == {}


async def test_the_command_says_what_the_bot_needs_and_serves(commits: Commits, tmp_path: Path) -> None:
    said: list[str] = []
    key_file = tmp_path / "keys" / "app.pem"
    running = asyncio.create_task(
        run_standin(
            repositories=[(REPO, commits.path)], key_file=key_file, say=said.append, webhook_url=None,
            troubles=["GET /meta unavailable"],
        )
    )  # fmt: skip
    while not any("_standin" in line for line in said):
        assert not running.done(), running.exception()
        await asyncio.sleep(0.01)
    url = next(line.partition("=")[2] for line in said if "GITHUB_API_URL" in line)
    async with aiohttp.ClientSession() as session, session.get(f"{url}/meta") as reply:
        assert reply.status == 503
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert stat.S_IMODE(key_file.stat().st_mode) == 0o600
    assert key_file.read_text().startswith("-----BEGIN RSA PRIVATE KEY-----")
    assert load_app_key(key_file).startswith("-----BEGIN PUBLIC KEY-----")


async def test_the_command_refuses_what_cannot_work(commits: Commits, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no repository to serve"):
        await run_standin(repositories=[], key_file=tmp_path / "k", say=print)
    with pytest.raises(ConfigError, match="write owner/name"):
        await run_standin(repositories=[("shop", commits.path)], key_file=tmp_path / "k", say=print)
    with pytest.raises(GitError, match="is no git repository"):
        await run_standin(repositories=[(REPO, tmp_path)], key_file=tmp_path / "k", say=print)
    (tmp_path / "bad").write_text("nothing")
    with pytest.raises(ConfigError, match="holds no private key"):
        await run_standin(repositories=[(REPO, commits.path)], key_file=tmp_path / "bad", say=print)


async def test_enterprise_server_has_its_api_below_a_prefix(commits: Commits, key: tuple[str, str]) -> None:
    standin = Standin(app_id=APP_ID, public_key_pem=key[1], webhook_secret=SECRET, enterprise=True)
    await standin.add_repository(REPO, commits.path, installation_id=INSTALLATION)
    async with aiohttp.ClientSession() as session, standin.serve() as url:
        assert url.endswith("/api/v3")
        hub = Hub(standin, url, session, key[0], commits)
        async with webhook(hub) as standin.webhooks.url:
            await hub.open()
            assert hub.received[0].headers["X-GitHub-Enterprise-Host"] == standin.world.html_url.removeprefix("http://")
            pull = await hub.get(f"/repos/{REPO}/pulls/1")
            assert pull["url"] == f"{url}/repos/{REPO}/pulls/1"
            assert pull["html_url"] == f"{standin.world.html_url}/{REPO}/pull/1"
            newer = {"X-GitHub-Api-Version": "2026-03-10"}
            assert (await hub.call("GET", f"/repos/{REPO}", headers=newer)).status == 400
            query = {"query": '{ repository(owner: "acme", name: "shop") { nameWithOwner } }'}
            graphql = await hub.call("POST", f"{standin.world.html_url}/api/graphql", json=query)
            assert graphql.json["data"]["repository"]["nameWithOwner"] == REPO
            await standin.rename_repository(REPO, "market")
            moved = await hub.call("GET", f"/repos/{REPO}/pulls/1")
            assert moved.headers["Location"].startswith(f"{url}/repositories/")
            assert (await hub.call("GET", moved.headers["Location"])).status == 200
    check_exchanges(standin.requests)


def test_a_public_key_of_the_wrong_kind_is_refused_at_once(key: tuple[str, str]) -> None:
    for wrong in ("nothing", key[0]):
        with pytest.raises(ConfigError, match="public key"):
            Standin(app_id=APP_ID, public_key_pem=wrong, webhook_secret=SECRET)


def test_a_new_app_key_is_in_the_form_that_github_gives_out() -> None:
    private, public = new_app_key()
    assert private.startswith("-----BEGIN RSA PRIVATE KEY-----")
    assert public.startswith("-----BEGIN PUBLIC KEY-----")
