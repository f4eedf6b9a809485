"""Every model provider there is, with its defaults. A new one is one file and one entry here."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from reviewbot.errors import ProviderMisconfigured
from reviewbot.llm.base import Provider
from reviewbot.llm.connection import Connection
from reviewbot.llm.lazy import LazyProvider

DEFAULT_TIMEOUT_SECONDS = 120.0


# Imports stand inside: the three SDKs together take 130 MB of memory and three seconds, and one process needs one.


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


def _rules(_: Connection) -> Provider:
    from reviewbot.llm.rules.provider import RulesProvider

    return RulesProvider()


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """A provider and its defaults. Where a remote one has none, an operator must give the value."""

    name: str
    factory: Callable[[Connection], Provider]
    key_variable: str = ""  # the environment variable that holds the key
    url_variable: str = ""  # the one that holds another base URL
    remote: bool = True  # False: in process, and nothing of the connection matters
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
    Entry(name="rules", factory=_rules, remote=False),
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

    Raises ProviderMisconfigured when something needed is missing or malformed. Nothing is sent or loaded yet.
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
    if not entry.remote:
        return entry.factory(connection)
    _check_complete(entry, connection)
    connection.check()
    return LazyProvider(connection, entry.factory)


def _check_complete(entry: Entry, connection: Connection) -> None:
    missing = (
        (entry.needs_key and not connection.api_key, f"a key ({entry.key_variable})"),
        (not connection.base_url, f"a base URL ({entry.url_variable})"),
        (not connection.model, "the name of a model"),
    )
    wanted = [what for is_missing, what in missing if is_missing]
    if wanted:
        raise ProviderMisconfigured(f"Provider {entry.name} cannot be used: it needs {' and '.join(wanted)}.")
