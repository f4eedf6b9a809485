"""What the log keeps for ever of a failure holds no text of a pull request: canaries in everything that others say."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from multidict import CIMultiDict

from reviewbot.diff.parse import parse, parse_patch
from reviewbot.errors import DiffError, GitHubUnavailable, ReviewBotError
from reviewbot.github.replies import Reply, decode, refusal
from reviewbot.llm import failures
from reviewbot.llm.base import Prompt
from reviewbot.llm.connection import Connection
from schema.log import Log
from tests.deliveries import event_of, sample
from tests.intake import Pool, serving

CANARY = "canary7f3a"
HEADER = "diff --git a/x b/x\n--- a/x\n+++ b/x\n"


def said(error: ReviewBotError) -> tuple[bool, bool]:
    """Whether the canary is in what the operator reads, and in what is kept."""
    return CANARY in str(error), CANARY in error.kept


@pytest.mark.parametrize("status", [400, 403, 404, 408, 409, 410, 413, 422, 500, 502])
@pytest.mark.parametrize("hint", ["", CANARY, "checks=write"])
def test_what_github_says_is_told_to_the_operator_alone(status: int, hint: str) -> None:
    body = msgspec.json.encode({"message": f"no {CANARY}", "errors": [{"message": CANARY}, CANARY, {"x": CANARY}]})
    headers = CIMultiDict({"x-accepted-github-permissions": hint})
    reply = Reply(f"GET /repos/octo/spoon/contents/src/{CANARY}.py?ref={CANARY}", status, headers, body)
    error = refusal(reply)
    assert said(error) == (True, False)
    assert str(status) in error.kept


def test_a_suspended_installation_is_said_without_githubs_words() -> None:
    body = msgspec.json.encode({"message": f"This installation has been suspended {CANARY}"})
    assert said(refusal(Reply("GET /x", 403, CIMultiDict(), body))) == (True, False)


def test_an_answer_that_cannot_be_read_is_not_repeated() -> None:
    with pytest.raises(GitHubUnavailable) as caught:
        decode(Reply(f"GET /repos/octo/spoon/contents/{CANARY}", 200, CIMultiDict(), b"{"), dict[str, int])
    assert said(caught.value) == (True, False)


@pytest.mark.parametrize(
    "diff",
    [
        CANARY,
        f"diff --git a/{CANARY} b/other\n",
        f"diff --git a/x b/x\n--- {CANARY}\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n",
        f"{HEADER}@@ {CANARY} @@\n",
        f"{HEADER}@@ -1,2 +1,2 @@\n a\n{CANARY}\n",
        f"{HEADER}@@ -1 +1 @@\n-a\n+b\n{CANARY}\n",
    ],
)
def test_a_diff_that_cannot_be_read_is_named_by_its_line_alone(diff: str) -> None:
    with pytest.raises(DiffError) as caught:
        parse(diff.encode())
    assert said(caught.value) == (True, False)
    assert f"line {caught.value.line}" in caught.value.kept


def test_a_file_of_an_unknown_kind_is_not_named() -> None:
    with pytest.raises(DiffError) as caught:
        parse_patch(filename=CANARY, previous_filename=None, status="odd", patch="")
    assert said(caught.value) == (True, False)


CALL = failures.Call(
    Connection(provider="openai", model="m", base_url="https://h", context_tokens=1, timeout_seconds=1, api_key="k"),
    Prompt(system="s", user="u", answer_schema={}, max_output_tokens=1),
)


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 408, 422, 429, 500, 529])
def test_what_a_provider_says_is_told_to_the_operator_alone(status: int) -> None:
    body = msgspec.json.encode({"error": {"message": f"refused: {CANARY}", "code": CANARY, "type": CANARY}})
    error = failures.Refusal(status, {"retry-after": CANARY}, body).sort(CALL)
    assert said(error) == (True, False)
    assert str(status) in error.kept


def test_a_call_that_broke_off_is_kept_by_its_kind() -> None:
    assert said(failures.lost(CALL, ValueError(CANARY))) == (True, False)


# --- deliveries -------------------------------------------------------------------------------------------------------

# What queries need, and the log therefore keeps: names of repositories and accounts, and GitHub's own vocabulary.
KEPT = {("action",), ("repository", "full_name"), ("installation", "account", "login")}


def spoiled(payload: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The payload with the canary in every text at once, and then in the place of each value that is read."""
    everywhere = copy.deepcopy(payload)
    _fill(everywhere, ())
    yield everywhere
    for path in _read(payload, ()):
        if path not in KEPT:
            changed = copy.deepcopy(payload)
            place = changed
            for key in path[:-1]:
                place = place[key]
            place[path[-1]] = CANARY
            yield changed


def _fill(value: Any, path: tuple[str, ...]) -> None:
    for key, inner in value.items():
        if isinstance(inner, dict):
            _fill(inner, (*path, key))
        elif isinstance(inner, str) and (*path, key) not in KEPT and not key.endswith(("sha", "_at", "state", "type")):
            value[key] = f"{CANARY} {inner}"


def _read(value: dict[str, Any], path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """The paths down to the third level: nothing below is read of any delivery."""
    for key, inner in value.items():
        yield (*path, key)
        if isinstance(inner, dict) and len(path) < 2 and key != "_links":
            yield from _read(inner, (*path, key))


@pytest.mark.parametrize("name", ["pull_request.opened", "issue_comment.created", "installation.created"])
async def test_whatever_a_delivery_holds_its_events_hold_no_text_of_it(pool: Pool, log: Log, name: str) -> None:
    """Of 100 and more deliveries each: those that are understood, those that are not, and those that cannot be."""
    statuses = set()
    async with serving(pool, log) as service:
        for payload in spoiled(sample(name)):
            statuses.add((await service.deliver(payload, event_of(name))).status)
    events = await pool.fetch("select data::text, actor from event")
    assert len(events) > 50
    assert statuses <= {200, 202}
    assert [row for row in events if CANARY in row["data"] or CANARY in row["actor"]] == []
