"""Apps, installations and tokens of the stand-in."""

from __future__ import annotations

import re
import time
from typing import Any

import jwt
import pytest

from reviewbot.demo.run import new_app_key
from tests.demo.hub import INSTALLATION, REPO, Commits, Hub

TOKENS = f"/app/installations/{INSTALLATION}/access_tokens"


async def test_the_app_sees_itself_its_installations_and_where_it_is_installed(hub: Hub) -> None:
    assert (await hub.as_app("GET", "/app")).json["slug"] == "reviewbot"
    assert [item["id"] for item in (await hub.as_app("GET", "/app/installations")).json] == [INSTALLATION]
    assert (await hub.as_app("GET", f"/app/installations/{INSTALLATION}")).json["account"]["login"] == "acme"
    assert (await hub.as_app("GET", f"/repos/{REPO}/installation")).json["id"] == INSTALLATION


@pytest.mark.parametrize(
    ("claims", "message"),
    [
        ({"lifetime": 700}, "'Expiration time' claim ('exp') is too far in the future"),
        ({"ago": 700}, "'Expiration time' claim ('exp') must be a numeric value representing the future time"),
        ({"ago": -30}, "'Issued at' claim ('iat') must be an Integer representing the time"),
        ({"issuer": "8"}, "'Issuer' claim ('iss') must be an Integer"),
    ],
)
async def test_a_jwt_outside_github_s_limits_is_refused_with_401(
    hub: Hub, claims: dict[str, Any], message: str
) -> None:
    reply = await hub.call("GET", "/app", authorization=f"Bearer {hub.app_jwt(**claims)}")
    assert reply.status == 401
    assert reply.json["message"].startswith(message)


async def test_a_jwt_of_another_key_or_another_algorithm_is_refused(hub: Hub) -> None:
    now = int(time.time())
    claims = {"iat": now - 60, "exp": now + 300, "iss": "7"}
    for forged in (
        jwt.encode(claims, new_app_key()[0], algorithm="RS256"),
        jwt.encode(claims, "x" * 32, algorithm="HS256"),
        jwt.encode(claims, "", algorithm="none"),
        jwt.encode(claims, hub.private_pem, algorithm="RS512"),
    ):
        reply = await hub.call("GET", "/app", authorization=f"Bearer {forged}")
        assert (reply.status, reply.json["message"]) == (401, "A JSON web token could not be decoded")


async def test_tokens_come_in_both_shapes(hub: Hub) -> None:
    stateless = await hub.as_app("POST", TOKENS, headers={"X-GitHub-Stateless-S2S-Token": "enabled"})
    classic = await hub.as_app("POST", TOKENS, headers={"X-GitHub-Stateless-S2S-Token": "disabled"})
    assert re.fullmatch(r"ghs_7_[\w-]+\.[\w-]+\.[\w-]+", stateless.json["token"])
    assert 480 <= len(stateless.json["token"]) <= 560
    assert re.fullmatch(r"ghs_[A-Za-z0-9]{36}", classic.json["token"])
    for reply in (stateless, classic):
        listed = await hub.call("GET", "/installation/repositories", authorization=f"token {reply.json['token']}")
        assert [repo["full_name"] for repo in listed.json["repositories"]] == [REPO]


async def test_a_token_is_worth_nothing_after_an_hour_or_once_revoked(hub: Hub) -> None:
    await hub.get("/installation/repositories")
    hub.standin.world.advance(3601)
    assert (await hub.call("GET", "/installation/repositories")).status == 401
    hub.standin.world.advance(-3601)
    assert (await hub.call("DELETE", "/installation/token")).status == 204
    assert (await hub.call("GET", "/installation/repositories")).json["message"] == "Bad credentials"


async def test_a_narrowed_token_opens_only_its_repositories_and_permissions(hub: Hub, commits: Commits) -> None:
    other = await hub.standin.add_repository("acme/secret", commits.path, private=True)
    await hub.standin.add_repository("acme/open", commits.path)
    await hub.open()
    shop = hub.standin.repository(REPO)
    token = await hub.new_token(repository_ids=[shop.id], permissions={"checks": "write", "pull_requests": "read"})
    narrowed: dict[str, Any] = {"authorization": f"token {token}"}
    assert (await hub.call("GET", f"/repos/{REPO}/pulls/1", **narrowed)).status == 200
    assert (await hub.call("GET", "/repos/acme/secret", **narrowed)).status == 404
    assert (await hub.call("GET", f"/repositories/{other.id}", **narrowed)).status == 404
    assert (await hub.call("GET", "/repos/acme/open", **narrowed)).status == 200
    body = {"name": "x", "head_sha": commits.head}
    reply = await hub.call("POST", "/repos/acme/open/check-runs", json=body, **narrowed)
    assert reply.status == 403
    reply = await hub.call("POST", f"/repos/{REPO}/pulls/1/reviews", json={}, **narrowed)
    assert (reply.status, reply.json["message"]) == (403, "Resource not accessible by integration")
    assert reply.headers["X-Accepted-GitHub-Permissions"] == "pull_requests=write"


@pytest.mark.parametrize(
    "body", [{"repository_ids": [1]}, {"repositories": ["nothing"]}, {"permissions": {"contents": "write"}}]
)
async def test_a_token_for_more_than_the_installation_has_is_refused_with_422(
    hub: Hub, body: dict[str, object]
) -> None:
    assert (await hub.as_app("POST", TOKENS, json=body)).status == 422


async def test_a_suspended_installation_answers_403_and_hears_nothing_more(hub: Hub) -> None:
    await hub.get("/installation/repositories")
    await hub.standin.suspend_installation(INSTALLATION)
    reply = await hub.call("GET", "/installation/repositories")
    assert (reply.status, reply.json["message"]) == (403, "This installation has been suspended")
    assert (await hub.as_app("POST", TOKENS)).status == 403
    await hub.open()
    assert hub.events() == ["installation.suspend"]
    await hub.standin.unsuspend_installation(INSTALLATION)
    assert (await hub.call("GET", "/installation/repositories")).status == 200


async def test_a_deleted_installation_answers_404(hub: Hub) -> None:
    await hub.get("/installation/repositories")
    await hub.standin.delete_installation(INSTALLATION)
    assert (await hub.call("GET", "/installation/repositories")).status == 404
    assert (await hub.as_app("POST", TOKENS)).status == 404
    assert (await hub.as_app("GET", f"/repos/{REPO}/installation")).status == 404
    assert hub.events() == ["installation.deleted"]


async def test_nobody_gets_anywhere_without_credentials_or_with_the_wrong_kind(hub: Hub) -> None:
    assert (await hub.call("GET", f"/repos/{REPO}", authorization="")).status == 401
    assert (await hub.call("GET", "/app")).status == 401
    assert (await hub.as_app("GET", f"/repos/{REPO}")).status == 401
    assert (await hub.call("GET", "/app", authorization="Basic eDp4")).status == 401
    assert (await hub.call("GET", "/meta", authorization="")).status == 200


async def test_a_person_s_permission_is_told_and_a_stranger_is_unknown(hub: Hub) -> None:
    hub.standin.set_permission(REPO, "mia", "maintain")
    path = f"/repos/{REPO}/collaborators"
    told = await hub.get(f"{path}/Mia/permission")
    assert (told["permission"], told["role_name"]) == ("write", "maintain")
    assert (await hub.get(f"{path}/acme/permission"))["permission"] == "admin"
    assert (await hub.call("GET", f"{path}/nobody/permission")).status == 404
