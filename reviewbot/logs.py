"""Logs: one JSON object per line on standard output, for ours and for every library's lines, without secrets."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Iterable
from contextlib import AbstractContextManager
from typing import Any, Literal, TextIO
from uuid import UUID

import structlog
from structlog.contextvars import bound_contextvars, merge_contextvars
from structlog.typing import EventDict, Processor, WrappedLogger

from reviewbot.invisible import show_invisible

REMOVED = "[removed]"
SHORTEST = 8  # a known secret with fewer characters would blank out ordinary words
QUIET = ("aiohttp.access", "anthropic", "asyncio", "google_genai", "httpcore", "httpx", "openai")

# What must not be logged whatever it holds: credentials, and what other people wrote.
_UNWANTED_KEYS = frozenset(
    {"api_key", "authorization", "body", "headers", "password", "payload", "private_key", "secret", "token"}
)
# What a secret looks like. Formats: GitHub's and the model vendors' key prefixes, JWT (RFC 7519), PEM (RFC 7468).
_SECRET_SHAPES = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)"
    r"|(?i:\bauthorization\b[\"']?\s*[:=]\s*[\"']?)(?:(?i:basic|bearer|token)\s+)?[^\s\"',}]+"
    r"|(?i:\bbearer\s+)[\w.~+/=-]{8,}"
    r"|\bgh[a-z]_[\w.-]{20,}|\bgithub_pat_\w{20,}"
    r"|\bsk-[\w-]{16,}|\bAIza[\w-]{30,}"
    r"|\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*"
    r"|(?<=://)[^\s/@:]*:[^\s/@]+(?=@)"
)


def configure(
    *, level: str, form: Literal["json", "text"], secrets: Iterable[str] = (), stream: TextIO | None = None
) -> None:
    """Send every log line of this process to `stream` (standard output), each without any of the `secrets`.

    `form` "text" is for a terminal. Called again, it takes the place of what was set before.
    """
    shared: list[Processor] = [
        merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(level),
        cache_logger_on_first_use=False,
    )
    out = stream or sys.stdout
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                Redaction(secrets),
                *_rendering(form, out),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in QUIET:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))


def _rendering(form: Literal["json", "text"], out: TextIO) -> list[Processor]:
    if form == "json":
        return [structlog.processors.EventRenamer("message"), structlog.processors.JSONRenderer(default=str)]
    return [_printable, structlog.dev.ConsoleRenderer(colors=out.isatty())]


def _printable(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Nothing that comes from outside may steer the terminal."""
    return {key: show_invisible(value) if isinstance(value, str) else value for key, value in event.items()}


def bound(
    *, delivery: UUID | None = None, job: UUID | None = None, installation: int | None = None
) -> AbstractContextManager[None]:
    """Every line logged inside, by this task and those it starts, names what it belongs to."""
    given = {"delivery": delivery, "job": job, "installation": installation}
    return bound_contextvars(
        **{key: value if isinstance(value, int) else str(value) for key, value in given.items() if value is not None}
    )


class Redaction:
    """A structlog processor that takes known secrets, and what looks like one, out of every value of a line."""

    def __init__(self, secrets: Iterable[str]) -> None:
        known = {part for secret in secrets for part in _telling_parts(secret)}
        # The longest first: one secret may be the beginning of another.
        self._known = re.compile("|".join(map(re.escape, sorted(known, key=len, reverse=True)))) if known else None

    def __call__(self, _logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        return {key: REMOVED if key in _UNWANTED_KEYS else self._clean(value) for key, value in event.items()}

    def _clean(self, value: Any) -> Any:
        match value:
            case bool() | int() | float() | None:
                return value
            case dict():
                return {
                    self._clean(str(key)): REMOVED if str(key).lower() in _UNWANTED_KEYS else self._clean(item)
                    for key, item in value.items()
                }
            case list() | tuple() | set() | frozenset():
                return [self._clean(item) for item in value]
            case _:
                return self.clean_text(value if isinstance(value, str) else str(value))

    def clean_text(self, text: str) -> str:
        """`text` without secrets."""
        if self._known is not None:
            text = self._known.sub(REMOVED, text)
        return _SECRET_SHAPES.sub(REMOVED, text)


def _telling_parts(secret: str) -> Iterable[str]:
    """What must not show of a secret: all of it, and each line of a key that has several."""
    parts = {secret, *secret.split("\n"), *secret.split("\\n")} if "-----BEGIN" in secret else {secret}
    return (part for part in parts if len(part) >= SHORTEST and not part.startswith("-----"))
