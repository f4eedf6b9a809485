"""Settings from the environment: what is read, what is refused, and that a secret never shows."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from hypothesis import given
from hypothesis import strategies as st

from reviewbot.config import Role, Secret, Settings, load
from reviewbot.errors import ConfigError
from reviewbot.variables import VARIABLES

WEBHOOK_SECRET = "correct-horse-battery-staple"


def _pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey, password: bytes | None = None) -> str:
    encryption = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, encryption
    ).decode()


KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PEM = _pem(KEY).strip()
COMPLETE = {"GITHUB_APP_ID": "12", "GITHUB_PRIVATE_KEY": PEM, "GITHUB_WEBHOOK_SECRET": WEBHOOK_SECRET}


def faults(environ: Mapping[str, str], role: Role = "all") -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(environ, role=role)
    return [line.removeprefix("- ") for line in str(caught.value).splitlines()[1:]]


def with_key(value: str) -> Settings:
    return load({**COMPLETE, "GITHUB_PRIVATE_KEY": value})


def test_three_variables_are_enough_to_serve() -> None:
    settings = load(COMPLETE)
    assert (settings.github.app_id, settings.port, settings.host) == (12, 3000, "0.0.0.0")  # noqa: S104 - the default that is documented
    assert (settings.provider.name, settings.database_url) == ("rules", None)
    assert settings.github.timeout_seconds == 30.0
    assert settings.instance


def test_everything_missing_is_named_at_once() -> None:
    assert [fault.split()[0] for fault in faults({})] == [
        "GITHUB_APP_ID",
        "GITHUB_PRIVATE_KEY",
        "GITHUB_WEBHOOK_SECRET",
    ]


def test_every_fault_is_named_at_once() -> None:
    wrong = {"PORT": "http", "QUEUE_MAX": "0", "LOG_LEVEL": "loud", "DATABASE_URL": "mysql://x", "PROVIDER": "openai"}
    assert {fault.split()[0] for fault in faults(COMPLETE | wrong)} == (wrong.keys() - {"PROVIDER"}) | {
        "OPENAI_API_KEY",
        "ENCRYPTION_KEY",
    }


@pytest.mark.parametrize("role", ["all", "web", "worker"])
def test_a_database_of_ones_own_asks_for_an_encryption_key_and_says_how_to_make_one(role: Role) -> None:
    (fault,) = faults({**COMPLETE, "DATABASE_URL": "postgresql://u:p@db/x"}, role)
    assert fault.startswith("ENCRYPTION_KEY is not set: make one with openssl rand -hex 32")


@pytest.mark.parametrize("name", ["ENCRYPTION_KEY", "ENCRYPTION_KEY_OLD"])
@pytest.mark.parametrize("value", ["short", "0f" * 31, "0f" * 33, "xy" * 32])
def test_an_encryption_key_is_64_hex_digits_and_never_shown_when_it_is_not(name: str, value: str) -> None:
    (fault,) = faults({**COMPLETE, name: value})
    assert fault == f"{name} is not 64 hex digits: make one with openssl rand -hex 32."


@pytest.mark.parametrize(
    ("role", "needed"),
    [
        ("web", {"GITHUB_APP_ID", "GITHUB_PRIVATE_KEY", "GITHUB_WEBHOOK_SECRET"}),
        ("worker", {"GITHUB_APP_ID", "GITHUB_PRIVATE_KEY"}),
    ],
)
def test_a_role_needs_only_what_it_uses(role: Role, needed: set[str]) -> None:
    assert {fault.split()[0] for fault in faults({}, role)} == needed
    assert load({name: COMPLETE[name] for name in needed}, role=role).role == role


@pytest.mark.parametrize("role", ["projector", "tool"])
def test_a_projector_and_a_tool_need_nothing(role: Role) -> None:
    assert load({}, role=role).role == role


def test_a_web_process_that_knows_its_name_needs_no_private_key() -> None:
    environ = {**COMPLETE, "GITHUB_APP_SLUG": "@reviewer"}
    del environ["GITHUB_PRIVATE_KEY"]
    settings = load(environ, role="web")
    assert (settings.github.slug, settings.github.private_key) == ("reviewer", None)


@pytest.mark.parametrize(
    "written",
    [PEM, PEM.replace("\n", "\\n"), base64.b64encode(PEM.encode()).decode(), base64.encodebytes(PEM.encode()).decode()],
    ids=["as it is", "on one line", "base64", "base64 in lines"],
)
def test_the_private_key_may_be_written_in_any_of_the_usual_ways(written: str) -> None:
    key = with_key(written).github.private_key
    assert key is not None
    assert key.reveal().strip() == PEM


def test_the_private_key_may_be_a_file(tmp_path: Path) -> None:
    file = tmp_path / "app.pem"
    file.write_text(PEM)
    assert with_key(str(file)).github.private_key == Secret(PEM)


@pytest.mark.parametrize(
    "value",
    [
        "no-such-file.pem",
        "not a key",
        "QUJDREVGR0g=",
        PEM[:500],
        PEM.replace("A", "B"),
        _pem(KEY, b"password"),
        _pem(ec.generate_private_key(ec.SECP256R1())),
    ],
    ids=["missing file", "words", "other base64", "cut off", "damaged", "locked", "elliptic"],
)
def test_a_private_key_that_cannot_be_used_is_refused_without_showing_it(value: str) -> None:
    (fault,) = faults({**COMPLETE, "GITHUB_PRIVATE_KEY": value})
    assert fault.startswith("GITHUB_PRIVATE_KEY ")
    assert value not in fault


@pytest.mark.parametrize("value", ["", " ", "short", "x" * 15])
def test_a_webhook_secret_that_can_be_guessed_is_refused(value: str) -> None:
    (fault,) = faults({**COMPLETE, "GITHUB_WEBHOOK_SECRET": value})
    assert fault.startswith("GITHUB_WEBHOOK_SECRET ")


def test_the_old_webhook_secret_stays_good_while_it_is_exchanged() -> None:
    settings = load({**COMPLETE, "GITHUB_WEBHOOK_SECRET_OLD": "the-secret-of-last-year"})
    assert [secret.reveal() for secret in settings.github.webhook_secrets] == [
        WEBHOOK_SECRET,
        "the-secret-of-last-year",
    ]


@pytest.mark.parametrize(
    ("environ", "name"),
    [
        ({}, "rules"),
        ({"GEMINI_API_KEY": "k"}, "google"),
        ({"GEMINI_API_KEY": "k", "ANTHROPIC_API_KEY": "k"}, "anthropic"),
        ({"GEMINI_API_KEY": "k", "PROVIDER": "Gemini", "OPENAI_API_KEY": "k"}, "google"),
        ({"PROVIDER": "rules", "OPENAI_API_KEY": "k"}, "rules"),
        ({"PROVIDER": "openai-compatible", "OPENAI_BASE_URL": "http://[::1]/v1", "MODEL": "m"}, "openai-compatible"),
    ],
)
def test_the_provider_is_the_one_named_else_the_first_with_a_key(environ: dict[str, str], name: str) -> None:
    assert load(COMPLETE | environ).provider.name == name


def test_an_openai_compatible_endpoint_needs_an_address_and_a_model() -> None:
    named = {fault.split()[0] for fault in faults({**COMPLETE, "PROVIDER": "openai-compatible"})}
    assert named == {"OPENAI_BASE_URL", "MODEL"}


@pytest.mark.parametrize(
    "address",
    [
        "ftp://host",
        "host/api",
        "https://",
        "https://user@host",
        "https://host?x=1",
        "https://host:99999",
        "http://a\nb",
    ],
)
def test_an_address_that_could_mislead_is_refused(address: str) -> None:
    (fault,) = faults({**COMPLETE, "GITHUB_API_URL": address})
    assert fault.startswith("GITHUB_API_URL ")


def test_a_beat_slower_than_a_third_of_the_lease_is_refused() -> None:
    (fault,) = faults({**COMPLETE, "LEASE_SECONDS": "14"})
    assert fault.startswith("HEARTBEAT_SECONDS ")
    assert load({**COMPLETE, "LEASE_SECONDS": "15"}).lease_seconds == 15


@given(st.text(alphabet=st.characters(blacklist_characters="\0"), max_size=30))
def test_a_number_is_taken_within_its_bounds_or_refused_in_one_sentence(text: str) -> None:
    try:
        port = load({"PORT": text}, role="tool").port
    except ConfigError as error:
        assert str(error).count("\n- ") == 1  # noqa: PT017 - being refused is one of two good outcomes
    else:
        assert port == int(text.strip() or 3000)
        assert 0 <= port <= 65_535


def test_no_secret_shows_in_the_settings() -> None:
    secrets = {
        "GITHUB_WEBHOOK_SECRET_OLD": "the-secret-of-last-year",
        "DATABASE_URL": "postgresql://u:hunter2@db/reviewbot",
        "METRICS_TOKEN": "prometheus-only",
        "ENCRYPTION_KEY": "0f" * 32,
        "ENCRYPTION_KEY_OLD": "a1" * 32,
        "OPENAI_API_KEY": "sk-very-secret",
    }
    settings = load(COMPLETE | secrets)
    shown = f"{settings!r} {settings}"
    values = {**COMPLETE, **secrets}
    del values["GITHUB_APP_ID"]
    assert [value for value in values.values() if value in shown] == []
    assert set(settings.secrets()) == set(values.values())


def test_every_variable_that_is_described_has_an_effect() -> None:
    """Each one, set to something unusual, changes the settings or is refused."""
    unusual = {"number": "7", "secret": "x" * 20, "address": "https://elsewhere.example", "text": "x", "path": "/x"}
    providers = {"OPENAI": "openai", "ANTHROPIC": "anthropic", "GEMINI": "google"}
    for variable in VARIABLES:
        vendor = variable.name.split("_")[0]
        base = {"PROVIDER": providers[vendor], f"{vendor}_API_KEY": "k"} if vendor in providers else {}
        try:
            changed = load({**base, variable.name: unusual.get(variable.kind, "none of the choices")}, role="tool")
        except ConfigError as error:
            assert variable.name in str(error)  # noqa: PT017 - being refused shows that it is read
        else:
            assert changed != load(base, role="tool"), variable.name


def test_every_default_that_is_described_is_the_one_in_force() -> None:
    written_out = {variable.name: variable.default for variable in VARIABLES if variable.default}
    assert load(COMPLETE | written_out) == load(COMPLETE)


def test_the_operators_prices_are_read_and_a_fault_in_them_is_named() -> None:
    (rate,) = load({**COMPLETE, "MODEL_PRICES": "mine=0.5/1.5"}).provider.prices
    assert (rate.model, str(rate.input_usd), str(rate.output_usd)) == ("mine", "0.5", "1.5")
    (fault,) = faults({**COMPLETE, "MODEL_PRICES": "mine=cheap"})
    assert fault.startswith("MODEL_PRICES holds 'mine=cheap'")
