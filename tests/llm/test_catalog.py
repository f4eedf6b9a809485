"""The catalog: defaults, what must be given, and that nothing heavy is loaded before it is needed."""

from __future__ import annotations

import subprocess
import sys

import pytest

from reviewbot.errors import ProviderMisconfigured
from reviewbot.llm.catalog import PROVIDERS, create, find
from reviewbot.llm.connection import Connection
from tests.fakes_llm import OPENAI, VENDORS, says
from tests.llm.given import KEY, PROMPT, Start


def test_an_unknown_provider_is_refused_with_the_names_there_are():
    with pytest.raises(ProviderMisconfigured, match="openai, anthropic, google, openai-compatible, rules"):
        find("chatty")


@pytest.mark.parametrize("vendor", VENDORS, ids=lambda vendor: vendor.name)
def test_a_key_is_all_that_a_vendor_needs(vendor):
    provider = create(vendor.name, api_key=KEY)
    assert (provider.name, provider.model) == (vendor.name, find(vendor.name).default_model)
    assert provider.context_tokens >= 200_000
    assert not provider.needs_content


def test_what_is_missing_is_named_all_at_once():
    with pytest.raises(ProviderMisconfigured, match=r"a key \(ANTHROPIC_API_KEY\)"):
        create("anthropic", api_key="  ")
    with pytest.raises(ProviderMisconfigured, match=r"a base URL \(OPENAI_BASE_URL\) and the name of a model"):
        create("openai-compatible")


def test_rules_need_nothing():
    provider = create("rules")
    assert (provider.name, provider.needs_content) == ("rules", True)


def test_names_are_unique():
    assert len({entry.name for entry in PROVIDERS}) == len(PROVIDERS)


@pytest.mark.parametrize("key", ["sk test", "sk\ntest", "sk-tést", "sk-\x00"])
def test_a_key_that_no_header_can_carry_is_refused_without_showing_it(key: str):
    with pytest.raises(ProviderMisconfigured, match="copy it again") as caught:
        create("openai", api_key=key)
    assert key not in str(caught.value)


async def test_white_space_around_a_key_is_taken_off(start: Start):
    fake = await start(says(OPENAI.answer("{}")))
    provider = create("openai", api_key=f" {KEY}\n", base_url=fake.url("/v1"))
    await provider.ask(PROMPT)
    await provider.close()
    assert fake.seen[0].headers["Authorization"] == f"Bearer {KEY}"


def test_a_connection_does_not_show_its_key():
    connection = Connection(
        provider="p", model="m", base_url="http://h", context_tokens=1, timeout_seconds=1, api_key=KEY
    )
    assert KEY not in f"{connection} {connection!r}"


@pytest.mark.parametrize(
    "model", ["", "../../admin", "models/../../admin", "model?key=1", "a b", "model#x", "-x", "m" * 300]
)
def test_a_model_name_that_could_change_the_address_is_refused(model: str):
    with pytest.raises(ProviderMisconfigured, match="model"):
        create("openai-compatible", base_url="http://127.0.0.1:8080/v1", model=model)


@pytest.mark.parametrize(
    "model", ["gpt-6", "meta-llama/Llama-3.1-8B", "qwen2.5-coder:7b", "org/model@sha", "models/g-3.8"]
)
def test_model_names_of_every_house_are_accepted(model: str):
    assert create("openai-compatible", base_url="http://127.0.0.1:8080/v1", model=model).model == model


@pytest.mark.parametrize(
    "url",
    [
        "127.0.0.1:8080",
        "file:///etc/passwd",
        "ftp://host/v1",
        "https://",
        "https://user:secret@host/v1",
        "https://host/v1?key=secret",
        "https://host/v1#part",
        "https://host:99999/v1",
        "https://[::1/v1",
        "https://ho st/v1",
    ],
)
def test_a_base_url_that_is_no_plain_http_address_is_refused(url: str):
    with pytest.raises(ProviderMisconfigured, match="base URL") as caught:
        create("openai", api_key=KEY, base_url=url)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("limits", [{"timeout_seconds": 0.0}, {"timeout_seconds": -1.0}, {"context_tokens": -5}])
def test_limits_must_be_above_nothing(limits):
    with pytest.raises(ProviderMisconfigured, match="above 0"):
        create("openai", api_key=KEY, **limits)


def test_making_a_provider_loads_no_sdk():
    program = (
        "import sys; from reviewbot.llm.catalog import create\n"
        "for name in ('openai', 'anthropic', 'google'): create(name, api_key='k')\n"
        "assert not {'openai', 'anthropic', 'google.genai', 'httpx2', 'pydantic'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=30)


async def test_an_openai_compatible_endpoint_needs_no_key_and_gets_the_older_limit(start: Start):
    fake = await start(says(OPENAI.answer("{}")))
    provider = create("openai-compatible", base_url=fake.url("/api/v1"), model="local", context_tokens=8192)
    answer = await provider.ask(PROMPT)
    await provider.close()
    [seen] = fake.seen
    assert answer.provider == "openai-compatible"
    assert provider.context_tokens == 8192
    assert seen.path == "/api/v1/chat/completions"
    assert seen.body["max_tokens"] == PROMPT.max_output_tokens
    assert "max_completion_tokens" not in seen.body
    assert "Authorization" not in seen.headers


async def test_a_provider_that_was_never_asked_can_be_closed():
    await create("openai", api_key=KEY).close()
