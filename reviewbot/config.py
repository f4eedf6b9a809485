"""Configuration: the environment in, checked settings out. `reviewbot.variables` says what there is."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, TypeVar, cast, get_args
from urllib.parse import urlsplit

import msgspec
import platformdirs

from reviewbot.errors import ConfigError
from reviewbot.pem import BadPem, private_key
from reviewbot.prices import BadPrices, Rate, parse_rates
from reviewbot.variables import SHORTEST_SECRET, VARIABLES, LogFormat, LogLevel, ProviderName
from schema.events import Budget
from schema.keys import KEY_BYTES
from schema.notes import SEED_BYTES, NoteError, Verifier, checked_name, from_base64

Role = Literal["all", "web", "worker", "projector", "tool"]  # tool: a command that needs none of the three
Choice = TypeVar("Choice", bound=str)
_BY_NAME = {variable.name: variable for variable in VARIABLES}

KEY_VARIABLES: dict[ProviderName, str] = {  # in the order in which a key without PROVIDER chooses
    "openai": "OPENAI_API_KEY",
    "anthropic": "ANTHROPIC_API_KEY",
    "google": "GEMINI_API_KEY",
    "openai-compatible": "OPENAI_API_KEY",
}
URL_VARIABLES: dict[ProviderName, str] = {
    "openai": "OPENAI_BASE_URL",
    "anthropic": "ANTHROPIC_BASE_URL",
    "google": "GEMINI_BASE_URL",
    "openai-compatible": "OPENAI_BASE_URL",
}


class Secret:
    """A value that no repr, log line or error shows by accident."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        return self._value

    def __repr__(self) -> str:
        return "Secret(***)"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)


class ProviderSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Which model reviews, and how it is reached. Empty and 0 stand for the provider's own default."""

    name: ProviderName
    model: str
    api_key: Secret | None
    base_url: str
    timeout_seconds: float
    max_output_tokens: int
    context_tokens: int
    prices: tuple[Rate, ...]  # the operator's own


class GitHubSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The App on GitHub. What the role does not need may be missing: 0, None and empty."""

    app_id: int
    private_key: Secret | None  # PEM
    webhook_secrets: tuple[Secret, ...]  # the one in force first
    slug: str  # empty: ask GitHub
    api_url: str
    timeout_seconds: float


class SealSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How the log is sealed: by which key, under which name, and where the copies of checkpoints are kept."""

    key: Secret | None  # a seed in base64; None: in `key_file`
    key_file: Path
    keys_old: tuple[Verifier, ...]
    origin: str
    checkpoint_file: Path


class KeySettings(msgspec.Struct, frozen=True, kw_only=True):
    """What encrypts the stored texts, and where it is written down whose texts were erased."""

    key: Secret | None  # 64 hex digits; None: in `key_file`, or not needed by this role
    key_old: Secret | None
    key_file: Path | None  # None: the key must be given, because the database is not our own
    erasure_file: Path
    erase_after_days: int  # from the deletion of an installation


class BudgetSettings(msgspec.Struct, frozen=True):
    """What an installation may spend on model calls, in whole US dollars. 0: as much as it takes."""

    day: int = 0
    week: int = 0
    month: int = 0

    @property
    def any(self) -> bool:
        return bool(self.day or self.week or self.month)

    def of(self, span: Budget) -> int:
        return {"day": self.day, "week": self.week, "month": self.month}[span]


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that can be set. Times in seconds."""

    role: Role
    github: GitHubSettings
    provider: ProviderSettings
    database_url: Secret | None  # None: embedded
    data_dir: Path
    seal: SealSettings
    keys: KeySettings
    host: str
    port: int
    metrics_token: Secret | None
    log_level: LogLevel
    log_format: LogFormat
    concurrency: int
    concurrency_per_installation: int
    max_attempts: int
    retry_base_seconds: int
    retry_cap_seconds: int
    review_timeout_seconds: int
    lease_seconds: int
    heartbeat_seconds: int
    stop_grace_seconds: int
    recovery_seconds: int
    sweep_seconds: int
    queue_max: int
    max_files: int
    max_findings: int
    budgets: BudgetSettings
    instance: str

    def secrets(self) -> tuple[str, ...]:
        """Every secret value in force, for what must never show one."""
        found = (
            self.github.private_key,
            *self.github.webhook_secrets,
            self.provider.api_key,
            self.database_url,
            self.metrics_token,
            self.seal.key,
            self.keys.key,
            self.keys.key_old,
        )
        return tuple(secret.reveal() for secret in found if secret is not None)


def environment() -> Mapping[str, str]:
    """The environment of this process, for who hands a changed one to `load`."""
    return os.environ


def load(environ: Mapping[str, str] = os.environ, *, role: Role = "all") -> Settings:
    """The settings for `role`. Raises ConfigError that names every fault at once, and never a secret's value."""
    read = _Reader(environ)
    port = read.number("PORT")
    data_dir = Path(read.text("DATA_DIR") or platformdirs.user_data_path("reviewbot", appauthor=False)).expanduser()
    settings = Settings(
        role=role,
        github=_github(read, role),
        provider=_provider(read),
        database_url=_database(read),
        data_dir=data_dir,
        seal=_seal(read, data_dir),
        keys=_keys(read, role, data_dir),
        host=read.text("HOST"),
        port=port,
        metrics_token=read.secret("METRICS_TOKEN"),
        log_level=read.choice("LOG_LEVEL", get_args(LogLevel)),
        log_format=read.choice("LOG_FORMAT", get_args(LogFormat)),
        concurrency=read.number("CONCURRENCY"),
        concurrency_per_installation=read.number("CONCURRENCY_PER_INSTALLATION"),
        max_attempts=read.number("MAX_ATTEMPTS"),
        retry_base_seconds=read.number("RETRY_BASE_SECONDS"),
        retry_cap_seconds=read.number("RETRY_CAP_SECONDS"),
        review_timeout_seconds=read.number("REVIEW_TIMEOUT_SECONDS"),
        lease_seconds=read.number("LEASE_SECONDS"),
        heartbeat_seconds=read.number("HEARTBEAT_SECONDS"),
        stop_grace_seconds=read.number("STOP_GRACE_SECONDS"),
        recovery_seconds=read.number("RECOVERY_SECONDS"),
        sweep_seconds=read.number("SWEEP_SECONDS"),
        queue_max=read.number("QUEUE_MAX"),
        max_files=read.number("MAX_FILES"),
        max_findings=read.number("MAX_FINDINGS"),
        budgets=BudgetSettings(*(read.number(f"BUDGET_{span}_USD") for span in ("DAY", "WEEK", "MONTH"))),
        instance=read.text("INSTANCE") or f"{socket.gethostname()}:{port}",
    )
    if not read.faults and settings.heartbeat_seconds * 3 > settings.lease_seconds:
        read.fault("HEARTBEAT_SECONDS", "is more than a third of LEASE_SECONDS: one late beat would end a live worker")
    if read.faults:
        raise ConfigError("The configuration cannot be used:\n" + "\n".join(f"- {fault}" for fault in read.faults))
    return settings


class _Reader:
    """Reads variables one by one and collects what is wrong with them. A faulty one reads as a harmless value."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self.faults: list[str] = []

    def fault(self, name: str, what: str) -> None:
        self.faults.append(f"{name} {what}.")

    def text(self, name: str) -> str:
        return self._environ.get(name, "").strip() or _BY_NAME[name].default

    def secret(self, name: str) -> Secret | None:
        value = self.text(name)
        return Secret(value) if value else None

    def number(self, name: str) -> int:
        variable, text = _BY_NAME[name], self.text(name)
        if not text:
            return 0
        if not (text.isascii() and text.isdigit() and len(text) <= 18):
            self.fault(name, f"must be a whole number from {variable.low} to {variable.high}, not {text[:40]!r}")
            return variable.low
        if not variable.low <= int(text) <= variable.high:
            self.fault(name, f"is {text}: it must lie between {variable.low} and {variable.high}")
        return int(text)

    def choice(self, name: str, choices: tuple[Choice, ...]) -> Choice:
        text = self.text(name).lower()
        for choice in choices:
            if choice == text:
                return choice
        self.fault(name, f"must be one of {', '.join(choices)}, not {text[:40]!r}")
        return choices[0]

    def address(self, name: str) -> str:
        text = self.text(name).rstrip("/")
        if text and not _is_web_address(text):
            self.fault(name, "must be an address such as https://host/path, without a user, query or fragment")
        return text


def _is_web_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
        parts.port  # noqa: B018 - reading it is the check, and raises ValueError
    except ValueError:
        return False
    bare = not (parts.username or parts.password or parts.query or parts.fragment)
    return parts.scheme in ("http", "https") and bool(parts.hostname) and bare and text.isprintable()


def _github(read: _Reader, role: Role) -> GitHubSettings:
    serves, works = role in ("all", "web"), role in ("all", "worker")
    slug = read.text("GITHUB_APP_SLUG").removeprefix("@")
    if (serves or works) and not read.text("GITHUB_APP_ID"):
        read.fault("GITHUB_APP_ID", "is not set: copy the App ID from the App's settings page on GitHub")
    if (works or (serves and not slug)) and not read.text("GITHUB_PRIVATE_KEY"):
        read.fault("GITHUB_PRIVATE_KEY", "is not set: generate a private key on the App's settings page on GitHub")
    if serves and not read.text("GITHUB_WEBHOOK_SECRET"):
        read.fault("GITHUB_WEBHOOK_SECRET", "is not set: enter a long random text here and in the App's settings")
    return GitHubSettings(
        app_id=read.number("GITHUB_APP_ID"),
        private_key=_private_key(read),
        webhook_secrets=_webhook_secrets(read),
        slug=slug,
        api_url=read.address("GITHUB_API_URL"),
        timeout_seconds=read.number("GITHUB_TIMEOUT_MS") / 1000,
    )


def _webhook_secrets(read: _Reader) -> tuple[Secret, ...]:
    secrets = []
    for name in ("GITHUB_WEBHOOK_SECRET", "GITHUB_WEBHOOK_SECRET_OLD"):
        secret = read.secret(name)
        if secret is None:
            continue
        if len(secret.reveal()) < SHORTEST_SECRET:
            read.fault(name, f"is too short to be safe: take at least {SHORTEST_SECRET} random characters")
        secrets.append(secret)
    return tuple(secrets)


def _private_key(read: _Reader) -> Secret | None:
    text = read.text("GITHUB_PRIVATE_KEY")
    try:
        return Secret(private_key(text)) if text else None
    except BadPem as error:
        read.fault("GITHUB_PRIVATE_KEY", str(error))
    return None


def _provider(read: _Reader) -> ProviderSettings:
    name = _provider_name(read)
    key_variable, url_variable = KEY_VARIABLES.get(name), URL_VARIABLES.get(name)
    api_key = read.secret(key_variable) if key_variable else None
    base_url = read.address(url_variable) if url_variable else ""
    model = read.text("MODEL")
    if key_variable and not api_key and name != "openai-compatible":
        read.fault(key_variable, f"is not set, and the provider {name} needs it")
    if name == "openai-compatible" and url_variable and not base_url:
        read.fault(url_variable, "is not set: give the address of the OpenAI-compatible endpoint")
    if name == "openai-compatible" and not model:
        read.fault("MODEL", "is not set: an OpenAI-compatible endpoint has no default model")
    return ProviderSettings(
        name=name,
        model=model,
        api_key=api_key,
        base_url=base_url,
        timeout_seconds=read.number("LLM_TIMEOUT_MS") / 1000,
        max_output_tokens=read.number("LLM_MAX_OUTPUT_TOKENS"),
        context_tokens=read.number("LLM_CONTEXT_TOKENS"),
        prices=_prices(read),
    )


def _prices(read: _Reader) -> tuple[Rate, ...]:
    try:
        return parse_rates(read.text("MODEL_PRICES"))
    except BadPrices as error:
        read.fault("MODEL_PRICES", str(error))
    return ()


def _provider_name(read: _Reader) -> ProviderName:
    names = cast("tuple[ProviderName, ...]", get_args(ProviderName))
    asked = read.text("PROVIDER").lower()
    if asked == "gemini":  # what the vendor's key and address are called
        return "google"
    if asked:
        return read.choice("PROVIDER", names)
    return next((name for name, variable in KEY_VARIABLES.items() if read.text(variable)), "rules")


def _database(read: _Reader) -> Secret | None:
    url = read.secret("DATABASE_URL")
    if url is not None and not url.reveal().startswith(("postgresql://", "postgres://")):
        read.fault("DATABASE_URL", "must begin with postgresql://")
    return url


def _seal(read: _Reader, data_dir: Path) -> SealSettings:
    key = read.secret("SEAL_KEY")
    try:
        if key is not None and len(from_base64(key.reveal())) != SEED_BYTES:
            raise NoteError("has another length")
    except NoteError:
        read.fault("SEAL_KEY", f"is not {SEED_BYTES} bytes in base64: make one with openssl rand -base64 {SEED_BYTES}")
    old = []
    for text in read.text("SEAL_KEYS_OLD").split():
        try:
            old.append(Verifier.parse(text))
        except NoteError as error:
            read.fault("SEAL_KEYS_OLD", f"holds {text[:40]!r}, which {error}")
    try:
        checked_name(read.text("SEAL_ORIGIN"))
    except NoteError as error:
        read.fault("SEAL_ORIGIN", str(error))
    return SealSettings(
        key=key,
        key_file=data_dir / "seal.key",
        keys_old=tuple(old),
        origin=read.text("SEAL_ORIGIN"),
        checkpoint_file=Path(read.text("CHECKPOINT_FILE") or data_dir / "checkpoints.jsonl").expanduser(),
    )


def _keys(read: _Reader, role: Role, data_dir: Path) -> KeySettings:
    embedded = not read.text("DATABASE_URL")
    make = f"make one with openssl rand -hex {KEY_BYTES}"
    given = {name: read.secret(name) for name in ("ENCRYPTION_KEY", "ENCRYPTION_KEY_OLD")}
    for name, secret in given.items():
        if secret is not None and not re.fullmatch(rf"[0-9a-fA-F]{{{KEY_BYTES * 2}}}", secret.reveal()):
            read.fault(name, f"is not {KEY_BYTES * 2} hex digits: {make}")
    if given["ENCRYPTION_KEY"] is None and not embedded and role in ("all", "web", "worker"):
        read.fault("ENCRYPTION_KEY", f"is not set: {make}, and keep it where backups of the database are not")
    return KeySettings(
        key=given["ENCRYPTION_KEY"],
        key_old=given["ENCRYPTION_KEY_OLD"],
        key_file=data_dir / "encryption.key" if embedded else None,
        erasure_file=Path(read.text("ERASURE_FILE") or data_dir / "erasures.jsonl").expanduser(),
        erase_after_days=read.number("ERASE_AFTER_DAYS"),
    )
