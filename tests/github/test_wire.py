"""What can go wrong between us and GitHub: redirects, foreign hosts, sizes, timeouts, answers that are none."""

from __future__ import annotations

import asyncio
import gzip
from contextlib import nullcontext
from typing import Any

import aiohttp
import pytest

from reviewbot.errors import ConfigError, GitHubRateLimited, GitHubRefused, GitHubUnavailable, ReviewBotError
from reviewbot.github import pulls
from reviewbot.github.client import Client, GitHub
from reviewbot.github.models import AppRef
from reviewbot.github.replies import TOO_LARGE
from reviewbot.github.transport import API_VERSION
from reviewbot.metrics import Metrics
from tests.github.conftest import INSTALLATION
from tests.github.scripted import Answer, Hands, ScriptedGitHub, issued

THING = Answer({"id": 1, "slug": "x"})
DIFF = {"content-type": "application/vnd.github.v3.diff; charset=utf-8"}


async def ask(client: Client) -> AppRef:
    return await client.get("/thing", {}, AppRef)


# --- requests ---------------------------------------------------------------------------------------------------


async def test_a_request_says_who_asks_for_what_and_in_which_version(fake: ScriptedGitHub, client: Client) -> None:
    fake.script("POST", "/thing", Answer({"id": 1}, status=201))
    await client.post("/thing", {}, {"text": "é"}, AppRef)
    sent = fake.requests("POST", "/thing")[0]
    assert sent.headers["user-agent"] == "reviewbot"
    assert sent.headers["accept"] == "application/vnd.github+json"
    assert sent.headers["x-github-api-version"] == API_VERSION
    assert sent.headers["content-type"] == "application/json; charset=utf-8"
    assert sent.json == {"text": "é"}


async def test_a_server_that_does_not_know_our_api_version_is_asked_without_it_from_then_on(
    fake: ScriptedGitHub, github: GitHub
) -> None:
    unknown = Answer({"message": f"API version {API_VERSION} is not supported."}, status=400)
    fake.script("GET", "/thing", unknown, THING)
    fake.script("GET", "/other", THING)
    await ask(github.installation(INSTALLATION))
    await github.installation(INSTALLATION, 8).get("/other", {}, AppRef)
    versions = [seen.headers.get("x-github-api-version") for seen in fake.seen if seen.method == "GET"]
    assert versions == [API_VERSION, None, None]


async def test_a_bad_request_of_another_kind_is_refused_at_once(fake: ScriptedGitHub, client: Client) -> None:
    fake.script("POST", "/thing", Answer({"message": "Problems parsing JSON"}, status=400))
    with pytest.raises(GitHubRefused, match="Problems parsing JSON"):
        await client.post("/thing", {}, {}, AppRef)
    assert len(fake.requests("POST", "/thing")) == 1


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("src/{id}.py", "src%2F%7Bid%7D.py"),
        ("a b/é?#&%.py", "a%20b%2F%C3%A9%3F%23%26%25.py"),
        ("../../../app", "..%2F..%2F..%2Fapp"),
        ("//evil.example/x", "%2F%2Fevil.example%2Fx"),
        ("https://evil.example/", "https%3A%2F%2Fevil.example%2F"),
    ],
)
async def test_no_path_changes_the_address_it_is_put_into(
    fake: ScriptedGitHub, client: Client, path: str, target: str
) -> None:
    expected = f"/repos/o/r/contents/{target}?ref=abc"
    fake.script("GET", expected, Answer({"type": "file", "size": 2, "encoding": "base64", "content": "aGk=\n"}))
    assert await pulls.file_content(client, "o/r", path, "abc", limit=100) == b"hi"


@pytest.mark.parametrize("path", ["..", ".", "", "\udcff.py"])
async def test_a_path_that_no_address_can_hold_is_a_file_that_does_not_exist(
    fake: ScriptedGitHub, client: Client, path: str
) -> None:
    assert await pulls.file_content(client, "o/r", path, "abc", limit=100) is None
    assert [seen for seen in fake.seen if seen.method == "GET"] == []


@pytest.mark.parametrize("repo", ["", "o", "o/", "/r", "o/r/x", "../r", "o/.."])
async def test_what_is_no_repository_name_is_refused_before_anything_is_sent(
    fake: ScriptedGitHub, client: Client, repo: str
) -> None:
    with pytest.raises(GitHubRefused):
        await pulls.get_pull(client, repo, 1)
    assert [seen for seen in fake.seen if seen.method == "GET"] == []


async def test_text_that_is_not_unicode_is_refused_before_anything_is_sent(
    fake: ScriptedGitHub, client: Client
) -> None:
    with pytest.raises(GitHubRefused, match="lone surrogate"):
        await client.post("/thing", {}, {"body": "\ud800"}, AppRef)
    assert fake.seen == []


async def test_an_enterprise_server_is_asked_below_its_prefix(
    fake: ScriptedGitHub, session: aiohttp.ClientSession, pem: str
) -> None:
    github = GitHub(session, app_id=1, private_key=pem, api_url=fake.url + "/api/v3/")
    fake.script("POST", f"/api/v3/app/installations/{INSTALLATION}/access_tokens", issued("ghs_first"))
    fake.script("GET", "/api/v3/thing", THING)
    assert (await ask(github.installation(INSTALLATION))).id == 1


@pytest.mark.parametrize(
    "url", ["", "api.github.com", "ftp://host", "https://", "https://user:pw@host", "https://host/?a=b", "https://[::1"]
)
async def test_an_api_url_that_is_none_is_refused_at_the_start(
    session: aiohttp.ClientSession, pem: str, url: str
) -> None:
    with pytest.raises(ConfigError, match="GITHUB_API_URL"):
        GitHub(session, app_id=1, private_key=pem, api_url=url)


# --- redirects --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_a_get_is_redirected_within_github(fake: ScriptedGitHub, client: Client, status: int) -> None:
    fake.script("GET", "/thing", Answer(status=status, headers={"location": "/repositories/7/thing"}))
    fake.script("GET", "/repositories/7/thing", THING)
    assert (await ask(client)).id == 1
    assert fake.seen[-1].headers["authorization"] == "token ghs_first"


@pytest.mark.parametrize("status", [307, 308])
async def test_a_post_is_redirected_as_a_post_with_its_body(fake: ScriptedGitHub, client: Client, status: int) -> None:
    location = {"location": fake.url + "/repositories/7/thing"}
    fake.script("POST", "/thing", Answer({"message": "Moved"}, status=status, headers=location))
    fake.script("POST", "/repositories/7/thing", Answer({"id": 5}, status=201))
    assert (await client.post("/thing", {}, {"a": 1}, AppRef)).id == 5
    assert fake.seen[-1].json == {"a": 1}


@pytest.mark.parametrize("status", [301, 302])
async def test_a_post_that_would_turn_into_a_get_is_refused(fake: ScriptedGitHub, client: Client, status: int) -> None:
    fake.script("POST", "/thing", Answer(status=status, headers={"location": "/repositories/7/thing"}))
    fake.script("GET", "/repositories/7/thing", THING)
    with pytest.raises(GitHubRefused, match="moved") as caught:
        await client.post("/thing", {}, {"a": 1}, AppRef)
    assert caught.value.status == status
    assert fake.requests("GET", "/repositories/7/thing") == []


async def test_no_other_host_is_ever_asked_let_alone_given_the_token(fake: ScriptedGitHub, client: Client) -> None:
    foreign = ScriptedGitHub()
    async with foreign.server:
        for location in (f"{foreign.url}/thing", f"//127.0.0.1:{foreign.server.port}/thing"):
            fake.script("GET", "/thing", Answer(status=302, headers={"location": location}))
            with pytest.raises(GitHubRefused, match="GITHUB_API_URL"):
                await ask(client)
        fake.script("GET", "/thing", Answer([], headers={"link": f'<{foreign.url}/thing?page=2>; rel="next"'}))
        with pytest.raises(GitHubRefused, match="GITHUB_API_URL"):
            [item async for item in client.pages("/thing", {}, AppRef)]
        assert foreign.seen == []


async def test_a_redirect_out_of_the_enterprise_prefix_is_not_followed(
    fake: ScriptedGitHub, session: aiohttp.ClientSession, pem: str
) -> None:
    github = GitHub(session, app_id=1, private_key=pem, api_url=fake.url + "/api/v3")
    for location in ("/login", "/api/v3x/thing", "/api/v3/../../login", "/api/v3/%2e%2e/login"):
        fake.script("GET", "/api/v3/app", Answer(status=302, headers={"location": location}))
        with pytest.raises(GitHubRefused):
            await github.app.get("/app", {}, AppRef)
    assert {seen.target for seen in fake.seen} == {"/api/v3/app"}


@pytest.mark.parametrize(
    ("location", "kind"),
    [("http://user@HOST/x", GitHubRefused), ("https://HOST/x", GitHubRefused), ("http://[", GitHubUnavailable)],
)
async def test_a_redirect_to_another_scheme_or_user_is_not_followed(
    fake: ScriptedGitHub, client: Client, location: str, kind: type[ReviewBotError]
) -> None:
    location = location.replace("HOST", fake.url.removeprefix("http://"))
    fake.script("GET", "/thing", Answer(status=302, headers={"location": location}))
    with pytest.raises(kind):
        await ask(client)
    assert len(fake.requests("GET", "/thing")) == 1


async def test_redirects_in_a_circle_end_after_five(fake: ScriptedGitHub, client: Client) -> None:
    fake.script("GET", "/thing", Answer(status=307, headers={"location": "/thing"}))
    with pytest.raises(GitHubRefused, match="more than 5 times"):
        await ask(client)
    assert len(fake.requests("GET", "/thing")) == 5


async def test_a_redirect_to_nowhere_is_said_plainly(fake: ScriptedGitHub, client: Client) -> None:
    fake.script("GET", "/thing", Answer(status=302))
    with pytest.raises(GitHubUnavailable, match="not where to"):
        await ask(client)


# --- pages ------------------------------------------------------------------------------------------------------


async def test_the_link_header_leads_through_all_pages(fake: ScriptedGitHub, client: Client) -> None:
    link = f'<{fake.url}/thing?page=1>; rel="prev", <{fake.url}/things?page=2&x=%7Bid%7D>; rel="next"'
    fake.script("GET", "/thing", Answer([{"id": 1}, {"id": 2}], headers={"link": link}))
    fake.script("GET", "/things?page=2&x=%7Bid%7D", Answer([{"id": 3}]))
    assert [item.id async for item in client.pages("/thing", {}, AppRef)] == [1, 2, 3]


async def test_a_list_without_end_is_left_after_a_hundred_pages(fake: ScriptedGitHub, client: Client) -> None:
    fake.script("GET", "/thing", Answer([], headers={"link": f'<{fake.url}/thing>; rel="next"'}))
    with pytest.raises(GitHubRefused, match="more than 100 pages"):
        [item async for item in client.pages("/thing", {}, AppRef)]
    assert len(fake.requests("GET", "/thing")) == 100


async def test_a_wrapped_list_without_its_key_is_an_error_and_not_an_empty_list(
    fake: ScriptedGitHub, client: Client
) -> None:
    fake.script("GET", "/thing", Answer({"total_count": 0}))
    with pytest.raises(GitHubUnavailable, match="`check_runs`"):
        [item async for item in client.pages("/thing", {}, AppRef, key="check_runs")]


# --- answers that are none --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "answer",
    [
        Answer(b"<html>502</html>", headers={"content-type": "application/json"}),
        Answer(b"", headers={"content-type": "application/json"}),
        Answer(b'{"id": 1, "slug": "\xff"}'),
        Answer(b"[" * 100_000),
        Answer(b'{"id": "one"}'),
        Answer(b"null"),
        Answer(status=204),
        Answer(status=304),
        Answer(status=399),
        Answer(b"<html>", status=500, headers={"content-type": "application/json"}),
        Answer(b"\xff\xfe", status=500, headers={"content-type": "text/html; charset=nonsense"}),
        Answer(b"[1]", status=520),
        Answer(b"", status=599),
    ],
)
async def test_an_answer_that_cannot_be_read_means_github_is_unavailable(
    fake: ScriptedGitHub, client: Client, answer: Answer
) -> None:
    fake.script("GET", "/thing", answer)
    with pytest.raises(GitHubUnavailable):
        await ask(client)


async def test_a_missing_field_is_named(fake: ScriptedGitHub, client: Client) -> None:
    fake.script("GET", "/thing", Answer({"slug": "x"}))
    with pytest.raises(GitHubUnavailable, match=r"GET /thing .*`id`"):
        await ask(client)


@pytest.mark.parametrize("content_type", ["text/html; charset=utf-8", "application/json"])
async def test_a_page_instead_of_a_diff_is_not_taken_for_one(
    fake: ScriptedGitHub, client: Client, content_type: str
) -> None:
    fake.script("GET", "/repos/o/r/pulls/1", Answer(b"<html>", headers={"content-type": content_type}))
    with pytest.raises(GitHubUnavailable, match=content_type.split(";", maxsplit=1)[0]):
        await pulls.diff(client, "o/r", 1)


async def test_a_server_that_answers_too_late_is_unavailable_and_not_asked_again(
    fake: ScriptedGitHub, session: aiohttp.ClientSession, pem: str
) -> None:
    late = asyncio.Event()
    github = GitHub(session, app_id=1, private_key=pem, api_url=fake.url, timeout_seconds=0.05)
    fake.script("GET", "/app", Answer({"id": 1}, hold=late))
    with pytest.raises(GitHubUnavailable, match=r"within 0\.05 s"):
        await github.app.get("/app", {}, AppRef)
    late.set()
    assert len(fake.seen) == 1


async def test_a_connection_that_nobody_takes_is_unavailable(
    session: aiohttp.ClientSession, pem: str, hands: Hands, unused_tcp_port: int
) -> None:
    url = f"http://127.0.0.1:{unused_tcp_port}"
    github = GitHub(session, app_id=1, private_key=pem, api_url=url, clock=hands.clock)
    with pytest.raises(GitHubUnavailable, match="could not be reached"):
        await github.app.get("/app", {}, AppRef)


async def test_bytes_that_are_not_http_are_unavailable(session: aiohttp.ClientSession, pem: str, hands: Hands) -> None:
    async def babble(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"\x16\x03\x01 not http\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(babble, "127.0.0.1", 0)
    async with server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        github = GitHub(session, app_id=1, private_key=pem, api_url=url, clock=hands.clock)
        with pytest.raises(GitHubUnavailable, match="not HTTP"):
            await github.app.get("/app", {}, AppRef)


# --- trying again -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("trouble", [Answer(status=502), Answer(status=503), Answer(status=504)])
async def test_a_get_is_tried_again_when_github_stumbles(
    fake: ScriptedGitHub, client: Client, hands: Hands, trouble: Answer
) -> None:
    fake.script("GET", "/thing", trouble, trouble, THING)
    assert (await ask(client)).id == 1
    first, second = hands.slept
    assert 0.125 <= first <= 0.5
    assert 0.5 <= second <= 2.0


async def test_a_get_is_tried_three_times_and_no_more(fake: ScriptedGitHub, client: Client) -> None:
    fake.script("GET", "/thing", Answer(status=502))
    with pytest.raises(GitHubUnavailable):
        await ask(client)
    assert len(fake.requests("GET", "/thing")) == 3


async def test_a_get_is_tried_again_when_the_connection_breaks_but_not_for_ever(
    fake: ScriptedGitHub, client: Client, hands: Hands
) -> None:
    fake.script("GET", "/thing", Answer(drop=True), Answer(drop=True), THING)
    assert (await ask(client)).id == 1
    fake.script("GET", "/thing", Answer(drop=True))
    hands.slept.clear()
    with pytest.raises(GitHubUnavailable, match="could not be reached"):
        await ask(client)
    assert len(hands.slept) == 2


@pytest.mark.parametrize("method", ["POST", "PATCH"])
@pytest.mark.parametrize("trouble", [Answer(status=502), Answer(status=503), Answer(drop=True)])
async def test_a_write_whose_answer_is_lost_is_never_sent_again(
    fake: ScriptedGitHub, client: Client, method: str, trouble: Answer
) -> None:
    fake.script(method, "/thing", trouble)
    write = client.post if method == "POST" else client.patch
    with pytest.raises(GitHubUnavailable):
        await write("/thing", {}, {}, AppRef)
    assert len(fake.requests(method, "/thing")) == 1


async def test_a_503_with_retry_after_is_left_to_the_worker(fake: ScriptedGitHub, client: Client) -> None:
    fake.script("GET", "/thing", Answer(status=503, headers={"retry-after": "17"}))
    with pytest.raises(GitHubUnavailable) as caught:
        await ask(client)
    assert caught.value.retry_after == 17
    assert len(fake.requests("GET", "/thing")) == 1


async def test_every_request_is_counted_by_how_it_ended(
    fake: ScriptedGitHub, session: aiohttp.ClientSession, pem: str, hands: Hands
) -> None:
    metrics = Metrics()
    github = GitHub(session, app_id=1, private_key=pem, api_url=fake.url, clock=hands.clock, metrics=metrics)
    moved = Answer(status=301, headers={"location": "/thing"})
    limited = Answer({"message": "You have exceeded a secondary rate limit"}, status=403)
    fake.script("GET", "/thing", moved, Answer(status=502), THING, Answer(b"{"), Answer(status=410), limited)
    for outcome in (None, GitHubUnavailable, GitHubRefused, GitHubRateLimited):
        with nullcontext() if outcome is None else pytest.raises(outcome):
            await ask(github.app)
    fake.script("POST", "/thing", Answer(drop=True))
    hands.turn(60)
    with pytest.raises(GitHubUnavailable):
        await github.app.post("/thing", {}, {}, AppRef)
    name = "reviewbot_github_requests_total"
    outcomes = ("2xx", "3xx", "4xx", "5xx", "limited", "unreachable")
    counted = {outcome: metrics.registry.get_sample_value(name, {"outcome": outcome}) for outcome in outcomes}
    assert counted == {"2xx": 2, "3xx": 1, "4xx": 1, "5xx": 1, "limited": 1, "unreachable": 1}


# --- size -------------------------------------------------------------------------------------------------------


async def test_a_body_over_its_limit_is_refused_while_it_streams(fake: ScriptedGitHub, client: Client) -> None:
    fake.script("GET", "/thing", Answer(b"x" * 1001, headers=DIFF), Answer(b"x" * 1000, headers=DIFF))
    with pytest.raises(GitHubRefused, match="larger than 1,000 bytes") as caught:
        await client.get_bytes("/thing", {}, accept="x", limit=1000)
    assert caught.value.status == TOO_LARGE
    assert len(await client.get_bytes("/thing", {}, accept="x", limit=1000)) == 1000


async def test_a_compressed_bomb_stops_at_the_limit(
    fake: ScriptedGitHub, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    unpacked = 0
    read = aiohttp.StreamReader.iter_any

    def counted(self: aiohttp.StreamReader) -> Any:
        async def chunks() -> Any:
            nonlocal unpacked
            async for chunk in read(self):
                unpacked += len(chunk)
                yield chunk

        return chunks()

    monkeypatch.setattr(aiohttp.StreamReader, "iter_any", counted)
    bomb = gzip.compress(b"\0" * 200_000_000, compresslevel=1)
    fake.script("GET", "/thing", Answer(bomb, headers={"content-encoding": "gzip", **DIFF}))
    with pytest.raises(GitHubRefused):
        await client.get_bytes("/thing", {}, accept="x", limit=1_000_000)
    assert 1_000_000 < unpacked < 10_000_000


async def test_a_long_error_page_is_not_read_to_its_end_and_still_understood_by_its_status(
    fake: ScriptedGitHub, client: Client
) -> None:
    fake.script("POST", "/thing", Answer(b"x" * 5_000_000, status=500))
    with pytest.raises(GitHubUnavailable, match="with 500"):
        await client.post("/thing", {}, {}, AppRef)
