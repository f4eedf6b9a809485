"""The webhook signature: GitHub's own test vector, two secrets, and forty headers that must not pass."""

from __future__ import annotations

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reviewbot.errors import ConfigError
from reviewbot.github.signature import Signatures

# https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries#testing-the-webhook-payload-validation
SECRET = b"It's a Secret to Everybody"
BODY = b"Hello, World!"
DIGEST = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
GOOD = f"sha256={DIGEST}"


def signed(body: bytes, secret: bytes) -> str:
    return "sha256=" + hmac.new(secret, body, hashlib.sha256).hexdigest()


def test_the_vector_that_github_publishes_is_accepted() -> None:
    assert Signatures([SECRET]).verify(BODY, [GOOD])


MALFORMED = [
    "",
    " ",
    "sha256",
    "sha256=",
    DIGEST,
    f"={DIGEST}",
    f"sha256:{DIGEST}",
    f"sha256 ={DIGEST}",
    f"sha256= {DIGEST}",
    f" {GOOD}",
    f"{GOOD} ",
    f"{GOOD}\n",
    f"{GOOD}\r\n",
    f"\n{GOOD}",
    f"{GOOD}\0",
    f"\0{GOOD}",
    f"{GOOD}é",
    f"{GOOD},",
    f"{GOOD},{GOOD}",
    f"{GOOD}, {GOOD}",
    f"{GOOD};{GOOD}",
    f'"{GOOD}"',
    f"<{GOOD}>",
    GOOD.upper(),
    f"SHA256={DIGEST}",
    f"Sha256={DIGEST}",
    f"sha256={DIGEST.upper()}",
    f"sha256={DIGEST[:-1]}",
    f"sha256={DIGEST}0",
    f"sha256={DIGEST[:-1]}g",
    f"sha256={DIGEST[:-1]}K",
    f"sha256={DIGEST[:-1]}é",
    f"sha256={DIGEST[:-1]}\udcff",
    f"sha256={DIGEST[:-1]}７",
    f"sha256=0x{DIGEST[:-2]}",
    f"sha256={DIGEST[:32]} {DIGEST[32:]}",
    f"sha256={':'.join(DIGEST[i : i + 2] for i in range(0, 64, 2))}",
    "sha256=dXEH6g6yUJ/CESEczphLijdXC211hsIsRvQ3nIsEPhc=",
    "sha1=2fd4e1c67a2d28fced849ee1bb76e7391b93eb12",
    f"sha1={DIGEST}",
    f"sha512={DIGEST}{DIGEST}",
    f"ѕha256={DIGEST}",
    "sha256=" + "0" * 64,
    "sha256=" + "a" * 100_000,
]


@pytest.mark.parametrize("header", MALFORMED, ids=range(len(MALFORMED)))
def test_a_header_that_is_anything_else_is_refused_without_an_exception(header: str) -> None:
    assert not Signatures([SECRET]).verify(BODY, [header])


def test_no_header_and_two_headers_are_refused_even_when_both_are_right() -> None:
    signatures = Signatures([SECRET])
    assert not signatures.verify(BODY, [])
    assert not signatures.verify(BODY, [GOOD, GOOD])


def test_both_secrets_count_during_rotation_and_the_old_one_no_longer_afterwards() -> None:
    during = Signatures([b"new", b"old"])
    assert during.verify(BODY, [signed(BODY, b"new")])
    assert during.verify(BODY, [signed(BODY, b"old")])
    assert not Signatures([b"new"]).verify(BODY, [signed(BODY, b"old")])


@pytest.mark.parametrize("secrets", [[], [b""], [b"new", b""]])
def test_an_empty_secret_is_refused_at_the_start(secrets: list[bytes]) -> None:
    with pytest.raises(ConfigError, match="secret is empty"):
        Signatures(secrets)


@given(body=st.binary(max_size=200), secret=st.binary(min_size=1), position=st.integers(min_value=0))
def test_one_changed_bit_of_the_body_breaks_the_signature(body: bytes, secret: bytes, position: int) -> None:
    header = signed(body, secret)
    assert Signatures([secret]).verify(body, [header])
    changed = bytearray(body or b"\0")
    changed[position % len(changed)] ^= 1
    assert not Signatures([secret]).verify(bytes(changed), [header])


@given(header=st.text())
def test_no_text_whatever_makes_the_check_raise(header: str) -> None:
    assert not Signatures([SECRET]).verify(BODY, [header])
