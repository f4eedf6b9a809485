"""Every model provider there is, with its defaults. A new one is one file and one entry here."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from reviewbot.errors import ProviderMisconfigured
from reviewbot.llm.base import Provider
from reviewbot.llm.connection import Connection

DEFAULT_TIMEOUT_SECONDS = 120.0


# Imported on first use: the three SDKs together take 130 MB of memory and three seconds, and one process needs one.


def _openai(connection: Connection) -> Provider:
    from reviewbot.llm.openai import OpenAIProvider

    return OpenAIProvider(connection)


def _openai_compatible(connection: Connection) -> Provider:
    from reviewbot.llm.openai import OpenAIProvider

    return OpenAIProvider(connection, official=False)


def _anthropic(connection: Connection) -> Provider:
    from reviewbot.llm.anthropic import AnthropicProvider

    return AnthropicProvider(connection)


def _google(connection: Connection) -> Provider:
    from reviewbot.llm.google import GoogleProvider

    return GoogleProvider(connection)


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """A provider and its defaults. An empty default is something that an operator must give."""

    name: str
    factory: Callable[[Connection], Provider]
    key_variable: str = ""  # the environment variable that holds the key
    url_variable: str = ""  # the one that holds another base URL
    needs_key: bool = True
    default_model: str = ""
    default_base_url: str = ""
    context_tokens: int = 0  # of the default model


PROVIDERS = (
    Entry(
        name="openai",
        factory=_openai,
        key_variable="OPENAI_API_KEY",
        url_variable="OPENAI_BASE_URL",
        default_model="gpt-6.1-sol",
        default_base_url="https://api.openai.com/v1",
        context_tokens=1_050_000,
    ),
    Entry(
        name="anthropic",
        factory=_anthropic,
        key_variable="ANTHROPIC_API_KEY",
        url_variable="ANTHROPIC_BASE_URL",
        default_model="claude-sonnet-5-5",
        default_base_url="https://api.anthropic.com",
        context_tokens=1_000_000,
    ),
    Entry(
        name="google",
        factory=_google,
        key_variable="GEMINI_API_KEY",
        url_variable="GEMINI_BASE_URL",
        default_model="gemini-3.8-flash",
        default_base_url="https://generativelanguage.googleapis.com",
        context_tokens=1_000_000,
    ),
    Entry(
        name="openai-compatible",
        factory=_openai_compatible,
        key_variable="OPENAI_API_KEY",
        url_variable="OPENAI_BASE_URL",
        needs_key=False,
        context_tokens=32_768,
    ),
)


def find(name: str) -> Entry:
    """The entry called `name`. Raises ProviderMisconfigured with the names there are."""
    for entry in PROVIDERS:
        if entry.name == name:
            return entry
    known = ", ".join(entry.name for entry in PROVIDERS)
    raise ProviderMisconfigured(f"There is no model provider called {name[:80]!r}; there are: {known}.")


def create(
    name: str,
    *,
    api_key: str = "",
    model: str = "",
    base_url: str = "",
    context_tokens: int = 0,
    timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS,
) -> Provider:
    """The provider called `name`, ready to be asked; close it after use. What is left empty comes from its entry.

    Raises ProviderMisconfigured when something needed is missing or malformed. Nothing is sent yet.
    """
    entry = find(name)
    connection = Connection(
        provider=name,
        model=model or entry.default_model,
        base_url=base_url or entry.default_base_url,
        context_tokens=context_tokens or entry.context_tokens,
        timeout_seconds=timeout_seconds,
        api_key=api_key.strip(),
    )
    if entry.needs_key and not connection.api_key:
        raise ProviderMisconfigured(f"Provider {name} needs a key: set {entry.key_variable}.")
    connection.check()
    return entry.factory(connection)
