"""Where a remote model is and how to reach it, checked before the first call. Pure."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

import msgspec

from reviewbot.errors import ProviderMisconfigured

_MODEL_NAME = re.compile(r"[A-Za-z0-9][\w.:/@+-]{0,199}", re.ASCII)


class Connection(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that a remote provider needs to know. An empty `api_key` means that the endpoint asks for none."""

    provider: str  # the catalog's name, e.g. "openai"
    model: str
    base_url: str
    context_tokens: int
    timeout_seconds: float  # for one whole call, from the connection to the answer's last byte
    api_key: str = ""

    def __repr__(self) -> str:
        return f"Connection({self.provider}, {self.model}, {self.base_url})"

    def check(self) -> None:
        """Raise ProviderMisconfigured for what could only fail later, or leak on its way."""
        problem = (
            _key_problem(self.api_key)
            or _model_problem(self.model)
            or _url_problem(self.base_url)
            or ("the timeout must be above 0 seconds" if self.timeout_seconds <= 0 else None)
            or ("the context must be above 0 tokens" if self.context_tokens <= 0 else None)
        )
        if problem:
            raise ProviderMisconfigured(f"Provider {self.provider} cannot be used: {problem}.")


def _key_problem(key: str) -> str | None:
    # A line break or a letter outside ASCII cannot stand in a header, and the HTTP library would quote it in its error.
    if key and not (key.isascii() and key.isprintable() and " " not in key):
        return "its key holds spaces, line breaks or letters that no key has; copy it again"
    return None


def _model_problem(model: str) -> str | None:
    # Some vendors put the model into the path of the address, where "..", "?" and "#" would mean something else.
    if not _MODEL_NAME.fullmatch(model) or ".." in model:
        return f"{model[:80]!r} is not a model name"
    return None


def _url_problem(url: str) -> str | None:
    advice = "must look like https://host/path, without user, query or fragment"
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and parts.hostname and (parts.port is None or parts.port > 0)
    except ValueError:
        return f"its base URL {advice}"
    if not usable or parts.username is not None or parts.query or parts.fragment or not url.isprintable() or " " in url:
        return f"its base URL {advice}"
    return None
