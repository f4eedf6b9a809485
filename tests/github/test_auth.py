"""Who we are to GitHub: the App's JWT and the tokens of its installations."""

from __future__ import annotations

import asyncio
import logging
import traceback

import aiohttp
import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from reviewbot.errors import ConfigError, GitHubRefused, GitHubUnavailable, InstallationGone, NotPermitted
from reviewbot.github import deliveries, reviews
from reviewbot.github.client import Client, GitHub
from reviewbot.github.models import AppRef
from tests.github.conftest import INSTALLATION, REPOSITORY
from tests.github.scripted import Answer, Hands, ScriptedGitHub, issued

TOKENS = f"/app/installations/{INSTALLATION}/access_tokens"
APP = {"id": 123, "slug": "reviewbot"}
UNAUTHORIZED = Answer({"message": "Bad credentials"}, status=401)
NOT_YET = Answer({"message": "Resource not accessible by integration"}, status=403)


async def ask(client: Client) -> AppRef:
    return await client.get("/thing", {}, AppRef)


def authorizations(fake: ScriptedGitHub, target: str = "/thing") -> list[str]:
    return [seen.headers["authorization"] for seen in fake.requests("GET", target)]


async def test_the_jwt_names_the_app_and_lives_within_githubs_ten_minutes(
    fake: ScriptedGitHub, github: GitHub, private_key: rsa.RSAPrivateKey
) -> None:
    fake.script("GET", "/app", Answer(APP))
    assert await deliveries.get_app(github.app) == AppRef(id=123, slug="reviewbot")
    kind, _, token = fake.seen[0].headers["authorization"].partition(" ")
    claims = jwt.decode(token, private_key.public_key(), algorithms=["RS256"])
    assert kind == "bearer"
    assert claims["iss"] == "123"
    assert claims["exp"] - claims["iat"] == 540
    assert set(claims) == {"iss", "iat", "exp"}


async def test_the_jwt_is_signed_once_in_seven_minutes(fake: ScriptedGitHub, github: GitHub, hands: Hands) -> None:
    fake.script("GET", "/app", Answer(APP))
    for seconds in (0, 419, 1):
        hands.turn(seconds)
        await deliveries.get_app(github.app)
    # Two in the same second are equal, so it is the object in the cache that tells them apart.
    first = await github.app._credential.grant()
    assert await github.app._credential.grant() is first
    hands.turn(420)
    assert await github.app._credential.grant() is not first


@pytest.mark.parametrize(
    "wrong", ["", "not a key", "-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----"]
)
async def test_a_private_key_that_is_none_is_refused_at_the_start(session: aiohttp.ClientSession, wrong: str) -> None:
    with pytest.raises(ConfigError, match="GITHUB_PRIVATE_KEY"):
        GitHub(session, app_id=1, private_key=wrong)


async def test_a_private_key_of_another_kind_is_refused_at_the_start(session: aiohttp.ClientSession) -> None:
    key = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    with pytest.raises(ConfigError, match="RSA"):
        GitHub(session, app_id=1, private_key=key.decode())


async def test_a_token_is_narrowed_to_the_repository_and_to_what_a_review_needs(
    fake: ScriptedGitHub, client: Client
) -> None:
    fake.script("GET", "/thing", Answer(APP))
    await ask(client)
    assert fake.requests("POST", TOKENS)[0].json == {
        "repository_ids": [REPOSITORY],
        "permissions": {
            "checks": "write",
            "pull_requests": "write",
            "contents": "read",
            "metadata": "read",
            "issues": "read",
        },
    }
    assert authorizations(fake) == ["token ghs_first"]


async def test_the_new_long_token_format_is_taken_as_it_comes(fake: ScriptedGitHub, client: Client) -> None:
    token = "ghs_123_" + "eyJhbGciOiJSUzI1NiJ9." * 24 + "a-b_c"
    fake.script("POST", TOKENS, issued(token))
    fake.script("GET", "/thing", Answer(APP))
    await ask(client)
    assert authorizations(fake) == [f"token {token}"]


async def test_a_token_that_would_break_the_header_is_refused_unseen(fake: ScriptedGitHub, client: Client) -> None:
    fake.script("POST", TOKENS, issued("ghs_secret\r\nx-evil: 1"))
    with pytest.raises(GitHubUnavailable) as caught:
        await ask(client)
    assert "ghs_secret" not in str(caught.value)
    assert fake.requests("GET", "/thing") == []


async def test_fifty_callers_at_once_share_one_token(fake: ScriptedGitHub, github: GitHub) -> None:
    fake.script("POST", TOKENS, issued("ghs_first"), issued("ghs_second"))
    fake.script("GET", "/thing", Answer(APP))
    await asyncio.gather(*(ask(github.installation(INSTALLATION, REPOSITORY)) for _ in range(50)))
    assert len(fake.requests("POST", TOKENS)) == 1
    assert set(authorizations(fake)) == {"token ghs_first"}


async def test_two_repositories_do_not_share_a_token(fake: ScriptedGitHub, github: GitHub) -> None:
    fake.script("POST", TOKENS, issued("ghs_first"), issued("ghs_second"))
    fake.script("GET", "/thing", Answer(APP))
    await ask(github.installation(INSTALLATION, 1))
    await ask(github.installation(INSTALLATION, 2))
    assert authorizations(fake) == ["token ghs_first", "token ghs_second"]


async def test_a_token_is_replaced_five_minutes_before_github_ends_it(
    fake: ScriptedGitHub, client: Client, hands: Hands
) -> None:
    # The local clock is two days fast; what counts is GitHub's Date.
    hour = {"date": "Tue, 01 Dec 2026 10:00:00 GMT"}
    first = {"token": "ghs_first", "expires_at": "2026-12-01T11:00:00Z"}
    fake.script("POST", TOKENS, Answer(first, status=201, headers=hour), issued("ghs_second"))
    fake.script("GET", "/thing", Answer(APP))
    await ask(client)
    hands.turn(55 * 60 - 1)
    await ask(client)
    hands.turn(1)
    await ask(client)
    assert authorizations(fake) == ["token ghs_first", "token ghs_first", "token ghs_second"]


async def test_a_401_gets_one_new_token_and_the_request_goes_again(
    fake: ScriptedGitHub, client: Client, hands: Hands
) -> None:
    fake.script("POST", TOKENS, issued("ghs_first"), issued("ghs_second"))
    fake.script("GET", "/thing", Answer(APP), UNAUTHORIZED, Answer(APP))
    await ask(client)
    hands.turn(600)
    await ask(client)
    assert authorizations(fake) == ["token ghs_first", "token ghs_first", "token ghs_second"]
    assert hands.slept == []


@pytest.mark.parametrize("refusal", [UNAUTHORIZED, NOT_YET])
async def test_a_fresh_token_that_is_not_known_yet_is_tried_again_after_a_second(
    fake: ScriptedGitHub, client: Client, hands: Hands, refusal: Answer
) -> None:
    fake.script("GET", "/thing", refusal, Answer(APP))
    await ask(client)
    assert hands.slept == [1.0]
    assert len(fake.requests("POST", TOKENS)) == 1


async def test_a_fresh_token_that_stays_unknown_is_githubs_fault_after_three_tries(
    fake: ScriptedGitHub, client: Client, hands: Hands
) -> None:
    fake.script("GET", "/thing", UNAUTHORIZED)
    with pytest.raises(GitHubUnavailable, match="just issued"):
        await ask(client)
    assert hands.slept == [1.0, 2.0]
    assert len(authorizations(fake)) == 3


async def test_a_jwt_that_github_does_not_accept_is_final(fake: ScriptedGitHub, github: GitHub) -> None:
    fake.script("GET", "/app", Answer({"message": "A JSON web token could not be decoded"}, status=401))
    with pytest.raises(GitHubRefused, match="could not be decoded") as caught:
        await deliveries.get_app(github.app)
    assert caught.value.status == 401
    assert len(fake.requests("GET", "/app")) == 2


async def test_a_deleted_installation_is_gone(fake: ScriptedGitHub, client: Client) -> None:
    fake.script("POST", TOKENS, Answer({"message": "Not Found"}, status=404))
    with pytest.raises(InstallationGone, match="uninstalled"):
        await ask(client)


async def test_a_suspended_installation_is_gone(fake: ScriptedGitHub, client: Client) -> None:
    fake.script("POST", TOKENS, Answer({"message": "This installation has been suspended"}, status=403))
    with pytest.raises(InstallationGone, match="unsuspend"):
        await ask(client)


async def test_an_installation_deleted_while_its_token_lives_is_gone(
    fake: ScriptedGitHub, client: Client, hands: Hands
) -> None:
    fake.script("POST", TOKENS, issued("ghs_first"), Answer({"message": "Not Found"}, status=404))
    fake.script("GET", "/thing", Answer(APP), UNAUTHORIZED)
    await ask(client)
    hands.turn(60)
    with pytest.raises(InstallationGone):
        await ask(client)


async def test_a_missing_permission_is_named(fake: ScriptedGitHub, client: Client, hands: Hands) -> None:
    headers = {"x-accepted-github-permissions": "pull_requests=write; issues=write"}
    fake.script("POST", "/repos/o/r/issues/1/comments", Answer(NOT_YET.body, status=403, headers=headers))
    with pytest.raises(NotPermitted, match="pull_requests=write; issues=write"):
        await reviews.comment_on_issue(client, "o/r", 1, "hello")


async def test_an_installation_that_has_not_accepted_the_issues_permission_works_without_it(
    fake: ScriptedGitHub, client: Client
) -> None:
    refused = Answer({"message": "The permissions requested are not granted to this installation."}, status=422)
    fake.script("POST", TOKENS, refused, issued("ghs_first"))
    fake.script("GET", "/thing", Answer(APP))
    await ask(client)
    asked = [seen.json["permissions"] for seen in fake.requests("POST", TOKENS)]
    assert [("issues" in permissions) for permissions in asked if isinstance(permissions, dict)] == [True, False]


async def test_an_installation_without_the_needed_permissions_is_told_which(
    fake: ScriptedGitHub, client: Client
) -> None:
    refused = Answer({"message": "The permissions requested are not granted to this installation."}, status=422)
    fake.script("POST", TOKENS, refused)
    with pytest.raises(NotPermitted, match="checks: write, pull_requests: write"):
        await ask(client)


async def test_a_repository_outside_of_the_installation_is_refused_but_the_installation_is_not_gone(
    fake: ScriptedGitHub, client: Client
) -> None:
    message = "There is at least one repository that does not exist or is not accessible to the parent installation."
    fake.script("POST", TOKENS, Answer({"message": message}, status=422))
    with pytest.raises(GitHubRefused, match="not accessible to the parent") as caught:
        await ask(client)
    assert caught.value.status == 422
    assert len(fake.requests("POST", TOKENS)) == 1


async def test_a_token_in_an_answer_that_cannot_be_read_is_not_shown_either(
    fake: ScriptedGitHub, client: Client
) -> None:
    fake.script("POST", TOKENS, Answer(b'{"token": "ghs_canary", "expires_at": "\xff"}', status=201))
    with pytest.raises(GitHubUnavailable) as caught:
        await ask(client)
    error: BaseException | None = caught.value
    while error is not None:
        assert "ghs_canary" not in repr(error)
        error = error.__cause__ or error.__context__


@pytest.mark.parametrize(
    "trouble",
    [
        Answer(status=500),
        Answer({"message": "no"}, status=422),
        Answer(b"<html>", status=200),
        Answer(drop=True),
        Answer(status=307, headers={"location": "https://elsewhere.example/"}),
    ],
)
async def test_no_error_no_log_line_and_no_repr_shows_a_token(
    fake: ScriptedGitHub, client: Client, github: GitHub, caplog: pytest.LogCaptureFixture, trouble: Answer,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    caplog.set_level(logging.DEBUG)
    fake.script("POST", TOKENS, issued("ghs_canary"))
    fake.script("GET", "/thing", trouble)
    with pytest.raises((GitHubUnavailable, GitHubRefused)) as caught:
        await ask(client)
    assert authorizations(fake)[0] == "token ghs_canary"
    grant = await client._credential.grant()
    shown = "".join(traceback.format_exception(caught.value)) + repr(caught.value) + repr([grant, client, github])
    printed = capsys.readouterr()
    assert "ghs_canary" not in shown + caplog.text + printed.out + printed.err
