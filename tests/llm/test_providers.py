"""The three vendors' SDKs over real HTTP: what is asked, what is read, and what becomes of every kind of trouble."""

from __future__ import annotations

import asyncio
import gzip
import json
import logging
import traceback

import pytest

from reviewbot.errors import ProviderMisconfigured, ProviderRateLimited, ProviderUnavailable, ReviewBotError
from reviewbot.llm.answer_schema import narrowed
from reviewbot.llm.base import Provider, Usage
from tests.fakes_llm import (
    GOOGLE,
    OPENAI,
    Behaviour,
    Vendor,
    drips,
    drops_mid_body,
    floods,
    gzip_bomb,
    hangs,
    redirects,
    says,
    sends,
)
from tests.llm.given import KEY, PROMPT, Connect, Start

TEXT = '{"summary": "Fine. \\u00e4\\ud83d\\ude00", "findings": []}'


async def _failure(provider: Provider) -> ReviewBotError:
    with pytest.raises(ReviewBotError) as caught:
        await provider.ask(PROMPT)
    return caught.value


async def test_an_answer_comes_with_its_text_model_usage_and_request_id(vendor: Vendor, start: Start, connect: Connect):
    fake = await start(says(vendor.answer(TEXT, cached=40), headers={vendor.request_id: "req-7"}))
    answer = await connect(vendor, fake).ask(PROMPT)
    assert answer.text == TEXT
    assert (answer.provider, answer.model, answer.finish) == (vendor.name, "model-as-reported", "complete")
    assert answer.usage == Usage(input_tokens=100, output_tokens=20, cached_input_tokens=40)
    assert answer.request_id == ("resp-1" if vendor is GOOGLE else "req-7")
    assert answer.structured
    assert 0 <= answer.latency_ms < 5000


async def test_a_reported_model_name_is_kept_in_characters_that_can_be_stored(start: Start, connect: Connect):
    fake = await start(says(OPENAI.answer(TEXT) | {"model": "m\0\u202e"}))
    assert (await connect(OPENAI, fake).ask(PROMPT)).model == "m<U+0000><U+202E>"


async def test_the_request_carries_the_key_the_schema_and_the_limit_and_offers_no_tool(
    vendor: Vendor, start: Start, connect: Connect
):
    fake = await start(says(vendor.answer(TEXT)))
    await connect(vendor, fake).ask(PROMPT)
    [seen] = fake.seen
    assert seen.headers[vendor.key_header].removeprefix("Bearer ") == KEY
    assert vendor.schema_in(seen.body) == narrowed(PROMPT.answer_schema)
    assert vendor.text_limit_in(seen.body) == PROMPT.max_output_tokens
    assert PROMPT.user in json.dumps(seen.body)
    assert PROMPT.system in json.dumps(seen.body)
    assert seen.path == vendor.path
    assert seen.body.get("model", "some-model") == "some-model"
    assert not {"tools", "functions"} & seen.body.keys()


@pytest.mark.parametrize("finish", ["truncated", "refused"])
async def test_an_answer_that_the_vendor_cut_short_says_so_and_keeps_its_text(
    vendor: Vendor, finish: str, start: Start, connect: Connect
):
    fake = await start(says(vendor.answer('{"summary": "Half', finish)))
    answer = await connect(vendor, fake).ask(PROMPT)
    assert (answer.finish, answer.text) == (finish, '{"summary": "Half')


async def test_absurd_counts_and_names_are_cut_to_size(start: Start, connect: Connect):
    body = OPENAI.answer(TEXT)
    body |= {"model": "m" * 10_000, "usage": {"prompt_tokens": 10**15, "completion_tokens": -4}}
    answer = await connect(OPENAI, await start(says(body))).ask(PROMPT)
    assert answer.model == "m" * 200
    assert answer.usage == Usage(input_tokens=2**31 - 1, output_tokens=0)


async def test_openais_own_refusal_field_is_a_refusal(start: Start, connect: Connect):
    body = OPENAI.answer("")
    body["choices"][0]["message"] = {"role": "assistant", "content": None, "refusal": "I would rather not."}
    answer = await connect(OPENAI, await start(says(body))).ask(PROMPT)
    assert (answer.finish, answer.text) == ("refused", "I would rather not.")


async def test_a_prompt_that_gemini_blocks_is_a_refusal(start: Start, connect: Connect):
    body = {"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}, "usageMetadata": {"promptTokenCount": 9}}
    answer = await connect(GOOGLE, await start(says(body))).ask(PROMPT)
    assert (answer.finish, answer.text, answer.usage.input_tokens) == ("refused", "", 9)


async def test_an_endpoint_that_refuses_the_schema_is_asked_in_words_and_never_bothered_with_it_again(
    vendor: Vendor, start: Start, connect: Connect
):
    word = {"openai": "response_format", "anthropic": "output_config", "google": "responseJsonSchema"}[vendor.name]
    refusal = says(vendor.error(f"'{word}' is not supported by this model"), status=400)
    fake = await start(refusal, says(vendor.answer(TEXT)))
    provider = connect(vendor, fake)
    first, second = await provider.ask(PROMPT), await provider.ask(PROMPT)
    assert (first.text, first.structured, second.structured) == (TEXT, False, False)
    assert [vendor.schema_in(seen.body) is None for seen in fake.seen] == [False, True, True]
    assert "must match this JSON Schema" in json.dumps(fake.seen[1].body)


async def test_a_request_that_is_refused_with_and_without_the_schema_is_asked_with_it_the_next_time(
    vendor: Vendor, start: Start, connect: Connect
):
    fake = await start(says(vendor.error("bad grammar in your prompt"), status=400))
    provider = connect(vendor, fake)
    for _ in range(2):
        assert isinstance(await _failure(provider), ProviderMisconfigured)
    assert [vendor.schema_in(seen.body) is None for seen in fake.seen] == [False, True, False, True]


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (400, ProviderMisconfigured),
        (401, ProviderMisconfigured),
        (402, ProviderMisconfigured),
        (403, ProviderMisconfigured),
        (404, ProviderMisconfigured),
        (408, ProviderUnavailable),
        (413, ProviderMisconfigured),
        (429, ProviderRateLimited),
        (500, ProviderUnavailable),
        (503, ProviderUnavailable),
        (529, ProviderUnavailable),
    ],
)
async def test_an_error_status_is_sorted_asked_once_and_names_provider_model_and_reason(
    vendor: Vendor, status: int, expected: type[ReviewBotError], start: Start, connect: Connect
):
    fake = await start(says(vendor.error("because of the moon"), status=status, headers={"Retry-After": "7"}))
    failure = await _failure(connect(vendor, fake))
    assert type(failure) is expected
    assert getattr(failure, "retry_after", 7) == 7
    assert all(part in str(failure) for part in (vendor.name, "some-model", str(status), "because of the moon"))
    assert len(fake.seen) == 1


TROUBLE: dict[str, Behaviour] = {
    "a dropped body": drops_mid_body,
    "broken JSON": sends(b'{"choices": [{"mess'),
    "no JSON": sends(b""),
    "another shape": says({"choices": "none", "content": 5, "candidates": {}}),
    "an empty object": says({}),
    "a list": says([1, 2]),
    "JSON of great depth": sends(b"[" * 100_000),
    "an error of great depth": sends(b"[" * 100_000, status=500),
    "an HTML page": sends(b"<html>Welcome to the hotel's network</html>", "text/html"),
    "an HTML error page": sends(b"<html>Bad gateway</html>", "text/html", status=502),
    "JSON said to be plain text": sends(json.dumps(OPENAI.answer(TEXT)).encode(), "text/plain"),
    "an error without a body": sends(b"", status=500),
    "an error that is a string": says({"error": "overloaded"}, status=503),
    "bytes that are no UTF-8": sends(b'{"\xff": 1}'),
}


@pytest.mark.parametrize("behaviour", TROUBLE.values(), ids=TROUBLE.keys())
async def test_an_answer_that_cannot_be_read_may_be_asked_for_again(
    vendor: Vendor, behaviour: Behaviour, start: Start, connect: Connect
):
    fake = await start(behaviour)
    failure = await _failure(connect(vendor, fake))
    assert type(failure) is ProviderUnavailable
    assert vendor.name in str(failure)
    assert len(str(failure)) < 450
    assert len(fake.seen) == 1


@pytest.mark.parametrize("behaviour", [hangs, drips])
async def test_the_time_limit_holds_for_silence_and_for_a_dripping_body(
    vendor: Vendor, behaviour: Behaviour, start: Start, connect: Connect
):
    fake = await start(behaviour)
    provider = connect(vendor, fake, timeout_seconds=0.06)
    async with asyncio.timeout(10):  # the SDK may still have to be imported
        failure = await _failure(provider)
    assert type(failure) is ProviderUnavailable
    assert "within 0.06 s" in str(failure)


async def test_nobody_at_the_address_is_retryable(vendor: Vendor, start: Start, connect: Connect):
    fake = await start(hangs)
    provider = connect(vendor, fake)
    await fake.stop()
    failure = await _failure(provider)
    assert type(failure) is ProviderUnavailable


async def test_a_cancelled_call_stays_cancelled(vendor: Vendor, start: Start, connect: Connect):
    fake = await start(hangs)
    call = asyncio.create_task(connect(vendor, fake).ask(PROMPT))
    await fake.arrived.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call


@pytest.mark.parametrize("status", [301, 307])
async def test_a_redirect_is_final_and_the_second_host_never_hears_of_it(
    vendor: Vendor, status: int, start: Start, connect: Connect
):
    second = await start(says(vendor.answer(TEXT)))
    first = await start(redirects(second.url("/v1/elsewhere"), status))
    failure = await _failure(connect(vendor, first))
    assert type(failure) is ProviderMisconfigured
    assert "never followed" in str(failure)
    assert len(first.seen) == 1
    assert second.seen == []


async def test_a_gzip_bomb_is_refused_unopened(vendor: Vendor, start: Start, connect: Connect):
    fake = await start(gzip_bomb())
    failure = await _failure(connect(vendor, fake))
    assert type(failure) is ProviderUnavailable
    assert "compressed" in str(failure)
    assert fake.seen[0].headers["Accept-Encoding"] == "identity"


async def test_an_error_in_gzip_is_not_opened_either(vendor: Vendor, start: Start, connect: Connect):
    fake = await start(sends(gzip.compress(b" " * 2**24), status=500, **{"Content-Encoding": "gzip"}))
    assert "compressed" in str(await _failure(connect(vendor, fake)))


async def test_a_body_without_end_is_left_after_eight_mebibytes(vendor: Vendor, start: Start, connect: Connect):
    fake = await start(floods)
    failure = await _failure(connect(vendor, fake))
    assert type(failure) is ProviderUnavailable
    assert "larger than 8 MiB" in str(failure)
    assert await fake.flooded.get() < 24  # what was read, and what the sockets buffer


async def test_neither_key_nor_prompt_is_repeated_however_the_vendor_quotes_them(
    vendor: Vendor, start: Start, connect: Connect
):
    for status in (302, 400, 401, 404, 429, 500):
        said = f"Wrong: Bearer {KEY}\n{KEY[:12]} for {PROMPT.user} and\t{PROMPT.system}" + "x" * 1000
        fake = await start(says(vendor.error(said), status=status))
        failure = await _failure(connect(vendor, fake))
        shown = "".join(traceback.format_exception(failure))
        assert not [word for word in (KEY[:8], "salary", "colleague") if word in shown]
        assert len(str(failure)) < 450


async def test_no_log_line_of_any_library_holds_the_key(
    vendor: Vendor, start: Start, connect: Connect, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.DEBUG)
    fake = await start(says(vendor.answer(TEXT)), says(vendor.error("no"), status=401))
    provider = connect(vendor, fake)
    await provider.ask(PROMPT)
    await _failure(provider)
    assert len(caplog.records) > 10
    assert KEY not in caplog.text


async def test_nothing_from_the_environment_reaches_the_vendor(
    vendor: Vendor, start: Start, connect: Connect, monkeypatch: pytest.MonkeyPatch
):
    second = await start(hangs)
    alien = {
        **dict.fromkeys(("HTTP_PROXY", "http_proxy"), second.url()),
        **dict.fromkeys(("ALL_PROXY", "all_proxy"), "socks5://127.0.0.1:1"),
        **dict.fromkeys(("OPENAI_BASE_URL", "ANTHROPIC_BASE_URL", "GOOGLE_GEMINI_BASE_URL"), second.url()),
        **dict.fromkeys(
            ("OPENAI_CUSTOM_HEADERS", "ANTHROPIC_CUSTOM_HEADERS"), "Authorization: alien\nX-Api-Key: alien\nHost: alien"
        ),
        **dict.fromkeys(("OPENAI_API_KEY", "OPENAI_ADMIN_KEY", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID"), "alien"),
        **dict.fromkeys(("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_PROFILE"), "alien"),
        **dict.fromkeys(("GOOGLE_API_KEY", "GOOGLE_CLOUD_PROJECT", "GOOGLE_CLOUD_LOCATION"), "alien"),
        **dict.fromkeys(("GOOGLE_GENAI_USE_VERTEXAI", "GOOGLE_GENAI_USE_ENTERPRISE"), "true"),
        "GOOGLE_GENAI_API_VERSION": "alien",
        "NO_PROXY": "",
        "no_proxy": "",
    }
    for name, value in alien.items():
        monkeypatch.setenv(name, value)
    fake = await start(says(vendor.answer(TEXT)))
    assert (await connect(vendor, fake).ask(PROMPT)).text == TEXT
    [seen] = fake.seen
    assert seen.path == vendor.path
    assert "alien" not in str(dict(seen.headers)) + json.dumps(seen.body)
    assert not [name for name in seen.headers if name.lower().startswith("x-stainless")]
    assert second.seen == []
