"""Every environment variable that ReviewBot reads: name, meaning, default and bounds. The one description of them."""

from __future__ import annotations

from typing import Literal, get_args

import msgspec

ProviderName = Literal["openai", "anthropic", "google", "openai-compatible", "rules"]
LogLevel = Literal["debug", "info", "warning", "error"]
LogFormat = Literal["json", "text"]

SHORTEST_SECRET = 16  # characters


class Variable(msgspec.Struct, frozen=True, kw_only=True):
    """One environment variable, as `reviewbot config` and the README describe it."""

    name: str
    meaning: str
    default: str = ""  # as one would write it; empty: none
    computed: str = ""  # what the default is, where it is not a value
    kind: str = "text"
    low: int = 0  # bounds of a number
    high: int = 0


def _number(name: str, default: int | None, low: int, high: int, meaning: str) -> Variable:
    text = "" if default is None else str(default)
    return Variable(name=name, default=text, kind="number", low=low, high=high, meaning=meaning)


def _secret(name: str, meaning: str) -> Variable:
    return Variable(name=name, kind="secret", meaning=meaning)


def _address(name: str, meaning: str, default: str = "", computed: str = "") -> Variable:
    return Variable(name=name, kind="address", meaning=meaning, default=default, computed=computed)


def _choice(name: str, choices: object, meaning: str, default: str = "", computed: str = "") -> Variable:
    return Variable(name=name, kind=" | ".join(get_args(choices)), meaning=meaning, default=default, computed=computed)


VARIABLES = (
    _number("GITHUB_APP_ID", None, 1, 2**53, "The App's id, from its settings page."),
    _secret("GITHUB_PRIVATE_KEY", "The App's private key: PEM, PEM in base64, or the path of a PEM file."),
    _secret("GITHUB_WEBHOOK_SECRET", f"The App's webhook secret, at least {SHORTEST_SECRET} characters."),
    _secret("GITHUB_WEBHOOK_SECRET_OLD", "The webhook secret before, accepted too while it is being exchanged."),
    Variable(name="GITHUB_APP_SLUG", computed="asked from GitHub", meaning="The App's name in its address and @name."),
    _address("GITHUB_API_URL", "GitHub's REST API; https://HOST/api/v3 for GHES.", "https://api.github.com"),
    _number("GITHUB_TIMEOUT_MS", 30_000, 100, 600_000, "How long one request to GitHub may take, in milliseconds."),
    Variable(
        name="DATABASE_URL",
        kind="secret",
        computed="an embedded Postgres",
        meaning="The Postgres database: postgresql://USER:PASSWORD@HOST:PORT/NAME.",
    ),
    Variable(
        name="DATA_DIR",
        kind="path",
        computed="the user's data folder",
        meaning="Where embedded Postgres, keys, copies of checkpoints and the list of erasures live.",
    ),
    Variable(
        name="SEAL_KEY",
        kind="secret",
        computed="made once in DATA_DIR/seal.key",
        meaning="The Ed25519 key that seals the log: 32 random bytes in base64.",
    ),
    Variable(
        name="SEAL_KEYS_OLD",
        meaning="Public keys, as NAME+HASH+KEY with spaces between, whose checkpoints are believed too.",
    ),
    Variable(name="SEAL_ORIGIN", default="reviewbot", meaning="The log's name in its checkpoints; no spaces, no +."),
    Variable(
        name="CHECKPOINT_FILE",
        kind="path",
        computed="DATA_DIR/checkpoints.jsonl",
        meaning="Where copies of the checkpoints are kept outside the database; it only grows.",
    ),
    Variable(
        name="ENCRYPTION_KEY",
        kind="secret",
        computed="with DATABASE_URL none, else made once in DATA_DIR/encryption.key",
        meaning="What the keys of stored texts are wrapped with: 64 hex digits.",
    ),
    _secret("ENCRYPTION_KEY_OLD", "The encryption key before, which still opens while it is being exchanged."),
    Variable(
        name="ERASURE_FILE",
        kind="path",
        computed="DATA_DIR/erasures.jsonl",
        meaning="Where it is written down outside the database whose texts were erased; it only grows.",
    ),
    _number("ERASE_AFTER_DAYS", 30, 0, 3_650, "How long after an installation is deleted its texts are erased."),
    Variable(name="HOST", default="0.0.0.0", meaning="The address to listen on."),  # noqa: S104 - meant for containers
    _number("PORT", 3000, 0, 65_535, "The port to listen on; 0 takes any free one."),
    _secret("METRICS_TOKEN", "When set, /metrics asks for it as a bearer token."),
    _choice("LOG_LEVEL", LogLevel, "The least important lines that are logged.", "info"),
    _choice("LOG_FORMAT", LogFormat, "JSON lines for machines or text for a terminal.", "json"),
    _choice(
        "PROVIDER", ProviderName, "Who reviews.", computed="the first of these with a key, in this order, else rules"
    ),
    Variable(name="MODEL", computed="the provider's default", meaning="The model, by the provider's name for it."),
    _secret("OPENAI_API_KEY", "The key for OpenAI, or for an OpenAI-compatible endpoint that wants one."),
    _secret("ANTHROPIC_API_KEY", "The key for Anthropic."),
    _secret("GEMINI_API_KEY", "The key for Gemini (provider google)."),
    _address("OPENAI_BASE_URL", "Another address for OpenAI, or the OpenAI-compatible endpoint.", computed="OpenAI's"),
    _address("ANTHROPIC_BASE_URL", "Another address for Anthropic.", computed="Anthropic's"),
    _address("GEMINI_BASE_URL", "Another address for Gemini.", computed="Google's"),
    _number("LLM_TIMEOUT_MS", 120_000, 100, 3_600_000, "How long one model call may take, in milliseconds."),
    _number("LLM_MAX_OUTPUT_TOKENS", 16_384, 256, 1_000_000, "The most tokens of one model answer."),
    Variable(
        name="LLM_CONTEXT_TOKENS",
        kind="number",
        low=4_096,
        high=100_000_000,
        computed="the provider's default",
        meaning="How many tokens prompt and answer may have together.",
    ),
    Variable(
        name="MODEL_PRICES",
        computed="the vendors' list prices",
        meaning="Your own prices, as MODEL=INPUT/OUTPUT;... in US dollars per million tokens.",
    ),
    _number("BUDGET_DAY_USD", 0, 0, 1_000_000, "What an installation may spend a day (UTC) on models; 0: no limit."),
    _number("BUDGET_WEEK_USD", 0, 0, 1_000_000, "The same for a week, from Monday."),
    _number("BUDGET_MONTH_USD", 0, 0, 1_000_000, "The same for a month."),
    _number("CONCURRENCY", 3, 1, 1_000, "Reviews at a time in one worker process."),
    _number("CONCURRENCY_PER_INSTALLATION", 1, 1, 1_000, "Reviews at a time for one installation, over all workers."),
    _number("MAX_ATTEMPTS", 3, 1, 100, "How often a review is tried before it fails for good."),
    _number("RETRY_BASE_SECONDS", 10, 0, 3_600, "The backoff before the second attempt; it doubles with each more."),
    _number("RETRY_CAP_SECONDS", 900, 0, 86_400, "The longest backoff."),
    _number("REVIEW_TIMEOUT_SECONDS", 900, 1, 86_400, "How long one attempt at a review may take."),
    _number("LEASE_SECONDS", 30, 2, 3_600, "A worker silent for this long is taken for dead."),
    _number("HEARTBEAT_SECONDS", 5, 1, 600, "How often a worker says that it is alive; at most a third of the lease."),
    _number("STOP_GRACE_SECONDS", 25, 0, 3_600, "How long running reviews may finish after SIGTERM."),
    _number("RECOVERY_SECONDS", 300, 10, 86_400, "How often GitHub's deliveries are compared with the inbox."),
    _number("SWEEP_SECONDS", 3_600, 60, 86_400, "How often open pull requests are swept for heads without a review."),
    _number("QUEUE_MAX", 100_000, 1, 100_000_000, "With this many reviews waiting, deliveries are answered 503."),
    _number("MAX_FILES", 50, 1, 3_000, "The most files that are reviewed of one pull request."),
    _number(
        "MAX_FINDINGS", 20, 1, 1_000, "The most inline comments of one review; further findings stand in its body."
    ),
    Variable(name="INSTANCE", computed="HOSTNAME:PORT", meaning="This instance's name, the same at every start."),
)
