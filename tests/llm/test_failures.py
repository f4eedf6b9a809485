"""Error answers, sorted: real bodies of each vendor, waits in every form, and nothing hidden that slips through."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reviewbot.errors import FinalError, ProviderMisconfigured, ProviderRateLimited, ProviderUnavailable, RetryableError
from reviewbot.llm.base import Prompt
from reviewbot.llm.connection import Connection
from reviewbot.llm.failures import MAX_WAIT_SECONDS, Call, Refusal
from tests.llm.given import KEY

CALL = Call(
    Connection(
        provider="openai", model="m-1", base_url="https://host", context_tokens=1, timeout_seconds=1, api_key=KEY
    ),
    Prompt(
        system="Be a careful reviewer of code.",
        user="the secret plan of the mice",
        answer_schema={},
        max_output_tokens=1,
    ),
)


def _sorted(status: int, body: Any, **headers: str) -> RetryableError | FinalError:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Refusal(status, named, msgspec.json.encode(body)).sort(CALL)


def _wait(body: Any = None, **headers: str) -> float | None:
    failure = _sorted(429, body, **headers)
    assert isinstance(failure, ProviderRateLimited)
    return failure.retry_after


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry_after": "12"}, 12),
        ({"retry_after": "1.5"}, 1.5),
        ({"retry_after_ms": "250"}, 0.25),
        ({"retry_after_ms": "250", "retry_after": "12"}, 0.25),
        ({"retry_after": "-5"}, 0),
        ({"retry_after": "86400"}, MAX_WAIT_SECONDS),
        ({"retry_after": "soon"}, None),
        ({"retry_after": "nan"}, None),
        ({"retry_after": "inf"}, None),
        ({"retry_after": "Wed, 25 Nov 2026 10:00:30 GMT", "date": "Wed, 25 Nov 2026 10:00:00 GMT"}, 30),
        ({"retry_after": "Wed, 25 Nov 2026 09:00:00 GMT", "date": "Wed, 25 Nov 2026 10:00:00 GMT"}, 0),
        ({"retry_after": "Wed, 25 Nov 1026 10:00:30 GMT"}, 0),
        ({"retry_after": "Wed, 25 Nov 9999 10:00:30 -0000"}, MAX_WAIT_SECONDS),
    ],
)
def test_the_wait_that_was_asked_for_is_read_and_bounded(headers: dict[str, str], seconds: float | None):
    assert _wait(**headers) == seconds


def test_geminis_wait_stands_in_the_body():
    details = [
        {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": []},
        {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "37.5s"},
    ]
    assert (
        _wait({"error": {"code": 429, "message": "Quota", "status": "RESOURCE_EXHAUSTED", "details": details}}) == 37.5
    )


def test_a_wait_is_kept_for_a_server_error_too():
    assert getattr(_sorted(503, {}, retry_after="20"), "retry_after", None) == 20


def test_an_empty_account_is_final_although_it_comes_as_429():
    body = {
        "error": {
            "message": "You exceeded your current quota",
            "type": "insufficient_quota",
            "code": "insufficient_quota",
        }
    }
    failure = _sorted(429, body)
    assert type(failure) is ProviderMisconfigured
    assert "Top up" in str(failure)


def test_geminis_bad_key_is_told_from_a_bad_request():
    body = {"error": {"code": 400, "message": "API key not valid", "details": [{"reason": "API_KEY_INVALID"}]}}
    assert "refused the key" in str(_sorted(400, body))
    assert "refused the request" in str(_sorted(400, {"error": {"code": 400, "message": "Bad"}}))


@pytest.mark.parametrize(
    "body",
    [
        {"error": {"message": "too hot"}},
        {"type": "error", "error": {"type": "overloaded_error", "message": "too hot"}},
        [{"error": {"code": 529, "message": "too hot"}}],
        {"object": "error", "message": "too hot", "code": 529},
        {"error": "too hot"},
    ],
    ids=["openai", "anthropic", "gemini", "vllm", "ollama"],
)
def test_the_reason_is_found_in_every_vendors_error(body: Any):
    assert "too hot" in str(_sorted(529, body))


def test_the_message_is_one_printable_line():
    assert _sorted(500, {"error": {"message": "a\n\n b\x1b[31m\u202e c\t"}}).args[0].endswith("a b[31m c")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["error", "message", "code", "type", "details", "reason", "retryDelay"]), inner
        )
    ),
    max_leaves=12,
)


@given(
    status=st.integers(300, 599),
    body=json_values.map(msgspec.json.encode) | st.binary(max_size=40),
    wait=st.text(max_size=12) | st.none(),
)
def test_whatever_a_server_says_becomes_one_of_the_three_errors(status: int, body: bytes, wait: str | None):
    headers = {} if wait is None else {"retry-after": wait}
    failure = Refusal(status, headers, body).sort(CALL)
    assert type(failure) in (ProviderUnavailable, ProviderRateLimited, ProviderMisconfigured)
    waited = getattr(failure, "retry_after", None)
    assert waited is None or 0 <= waited <= MAX_WAIT_SECONDS


@given(
    before=st.text(max_size=60),
    hidden=st.sampled_from([KEY, CALL.prompt.system, CALL.prompt.user]),
    cut=st.integers(0, 2),
    after=st.text(max_size=400),
)
def test_a_repeated_key_or_prompt_is_masked_wherever_it_stands(before: str, hidden: str, cut: int, after: str):
    quoted = CALL.quote(before + hidden[cut:] + after)
    assert hidden[cut:] not in quoted
    assert len(quoted) <= 300


def test_without_a_key_and_a_prompt_nothing_is_masked():
    bare = Call(
        Connection(provider="p", model="m", base_url="http://h", context_tokens=1, timeout_seconds=1),
        Prompt(system="", user="", answer_schema={}, max_output_tokens=1),
    )
    assert bare.quote("all of it") == "all of it"


@pytest.mark.parametrize(
    ("status", "message", "concerns"),
    [
        (400, "This response_format type is unavailable now", True),
        (422, "json_schema is not supported", True),
        (400, "Failed to parse grammar", True),
        (400, "max_tokens is too large", False),
        (401, "response_format", False),
        (500, "response_format", False),
    ],
)
def test_only_a_clear_400_about_the_schema_counts_as_a_refusal_of_it(status: int, message: str, concerns: bool):
    assert Refusal(status, {}, msgspec.json.encode({"error": {"message": message}})).concerns_schema() is concerns
