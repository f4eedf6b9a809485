"""What went wrong at a model provider, sorted into try again, wait, and an operator must act. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import msgspec

from reviewbot.errors import FinalError, ProviderMisconfigured, ProviderRateLimited, ProviderUnavailable, RetryableError
from reviewbot.llm.base import Prompt
from reviewbot.llm.connection import Connection

MAX_WAIT_SECONDS = 3600.0
MAX_QUOTE = 300

# OpenAI sends 429 for an empty account as well; waiting does not fill it.
_OUT_OF_CREDIT = frozenset(("insufficient_quota", "billing_hard_limit_reached", "billing_not_active"))
# How endpoints name structured output when they refuse it: llama.cpp, vLLM, DeepSeek, Anthropic, Gemini and others.
_SCHEMA_WORDS = (
    *("response_format", "json_schema", "json schema", "structured output", "grammar"),
    *("output_config", "output_format", "output format"),
    *("responsejsonschema", "response_json_schema", "responsemimetype", "response_mime_type", "json mode"),
)


class Call(msgspec.Struct, frozen=True):
    """What an error may name (the connection), and what it must never show (the key and the prompt)."""

    connection: Connection
    prompt: Prompt

    @property
    def to(self) -> str:
        return f"{self.connection.provider} ({self.connection.model})"

    def quote(self, said: str) -> str:
        """At most 300 printable characters of what the vendor said, without anything of ours that it repeats."""
        text = _plain(said)
        text = "".join(letter for letter in text if letter.isprintable())[:MAX_QUOTE]
        text = _masked(text, self.connection.api_key, run=8)
        text = _masked(text, _plain(self.prompt.system), run=24)
        return _masked(text, _plain(self.prompt.user), run=24)


class Refusal(msgspec.Struct, frozen=True):
    """An HTTP answer with an error status. `headers` must find names in any case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def sort(self, call: Call) -> RetryableError | FinalError:
        """The error to raise: its class says whether to try again, its message what a person can do."""
        fault = _fault(self.body)
        wait = _wait_seconds(self.headers, fault)
        said = call.quote(str(fault.get("message") or "")) or "it gave no reason"
        codes = _codes(fault)
        match self.status:
            case 401 | 403:
                return _final(f"{call.to} refused the key ({self.status})", said, "Check the key and what it may do")
            case 400 if "API_KEY_INVALID" in codes:  # Gemini
                return _final(f"{call.to} refused the key (400)", said, "Check the key")
            case 402 | 429 if self.status == 402 or codes & _OUT_OF_CREDIT:
                return _final(f"{call.to} has no credit left ({self.status})", said, "Top up the account")
            case 404:
                return _final(f"{call.to} was not found (404)", said, "Check the model's name and the base URL")
            case 429:
                what = f"{call.to} is at its rate limit (429)"
                return ProviderRateLimited(f"{what}: {said}", retry_after=wait, kept=f"{what}.")
            case status if status in (408, 409, 425) or status >= 500:
                what = f"{call.to} failed ({status})"
                return ProviderUnavailable(f"{what}: {said}", retry_after=wait, kept=f"{what}.")
            case status if 300 <= status < 400:
                what = f"{call.to} sends its callers to another address ({status})"
                return _final(what, "it is never followed", "Set the base URL to the address that answers")
            case status:
                return _final(f"{call.to} refused the request ({status})", said, "Check the model's name and limits")

    def concerns_schema(self) -> bool:
        """Whether the endpoint seems to refuse structured output rather than the request as such."""
        said = self.body[:10_000].decode("utf-8", "replace").lower()
        return self.status in (400, 422) and any(word in said for word in _SCHEMA_WORDS)


def lost(call: Call, error: BaseException) -> ProviderUnavailable:
    """The call broke off: no connection, a dropped one, or an answer that cannot be read."""
    reason = call.quote(str(error)) or type(error).__name__
    what = f"{call.to} gave no usable answer"
    return ProviderUnavailable(f"{what}: {reason}", kept=f"{what} ({type(error).__name__}).")


def timed_out(call: Call) -> ProviderUnavailable:
    late = f"{call.to} did not finish its answer within {call.connection.timeout_seconds:g} s"
    return ProviderUnavailable(late, kept=f"{late}.")


def _final(what: str, said: str, advice: str) -> ProviderMisconfigured:
    return ProviderMisconfigured(f"{what}: {said}. {advice}.", kept=f"{what}. {advice}.")


def _fault(body: bytes) -> dict[str, Any]:
    """The error object in `body`: `{"error": {...}}` by OpenAI, Anthropic and Gemini, else the object itself."""
    try:
        decoded = msgspec.json.decode(body)
    except (msgspec.MsgspecError, RecursionError):
        return {}
    if isinstance(decoded, list) and decoded:  # Gemini, when asked without "alt"
        decoded = decoded[0]
    inner = decoded.get("error", decoded) if isinstance(decoded, dict) else {}
    return inner if isinstance(inner, dict) else {"message": inner}


def _codes(fault: dict[str, Any]) -> set[str]:
    details = [detail.get("reason") for detail in _details(fault)]
    return {code for code in (fault.get("code"), fault.get("type"), *details) if isinstance(code, str)}


def _details(fault: dict[str, Any]) -> list[dict[str, Any]]:
    details = fault.get("details")
    return [detail for detail in details if isinstance(detail, dict)] if isinstance(details, list) else []


def _wait_seconds(headers: Mapping[str, str], fault: dict[str, Any]) -> float | None:
    """The wait that was asked for, between 0 and an hour: OpenAI's header, RFC 9110's two forms, Gemini's RetryInfo."""
    milliseconds = _seconds(headers.get("retry-after-ms"))
    asked = headers.get("retry-after")
    delays = [detail["retryDelay"] for detail in _details(fault) if isinstance(detail.get("retryDelay"), str)]
    candidates = (
        milliseconds / 1000 if milliseconds is not None else None,
        _seconds(asked),
        _seconds_until(asked, headers.get("date")),
        *(_seconds(delay.removesuffix("s")) for delay in delays),
    )
    return next((min(max(wait, 0.0), MAX_WAIT_SECONDS) for wait in candidates if wait is not None), None)


def _seconds(text: str | None) -> float | None:
    try:
        seconds = float(text or "")
    except ValueError:
        return None
    return seconds if math.isfinite(seconds) else None


def _seconds_until(moment: str | None, now: str | None) -> float | None:
    """Seconds from `now` to `moment`, both HTTP dates. The vendor's own clock counts: ours may be off by hours."""
    end = _date(moment)
    return (end - (_date(now) or datetime.now(UTC))).total_seconds() if end else None


def _date(text: str | None) -> datetime | None:
    try:
        date = parsedate_to_datetime(text or "")
    except ValueError:
        return None
    return date if date.tzinfo else date.replace(tzinfo=UTC)


def _plain(text: str) -> str:
    return " ".join(text.split())


def _masked(text: str, hidden: str, *, run: int) -> str:
    """`text` with every stretch replaced that it shares with `hidden`, if that is `run` characters or longer."""
    run = min(run, len(hidden))
    shown: list[str] = []
    at = 0
    while at < len(text):
        end = at + run
        if run == 0 or end > len(text) or text[at:end] not in hidden:
            shown.append(text[at])
            at += 1
            continue
        while end < len(text) and text[at : end + 1] in hidden:
            end += 1
        shown.append("[…]")
        at = end
    return "".join(shown)
