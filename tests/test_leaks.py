"""Secrets are found however they are written, and ordinary text is not taken for one."""

import base64
import codecs
import html
from collections.abc import Callable
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reviewbot.leaks import leaks, redact

TOKEN = "rbx_9fQ2-LmZ7vTs0KdW4yHc"
KEY = (
    "-----BEGIN RSA PRIVATE KEY-----\n"
    + "\n".join(base64.b64encode(bytes((i * 37 + j * j * 11 + 7) % 256 for j in range(48))).decode() for i in range(12))
    + "\n-----END RSA PRIVATE KEY-----\n"
)
ENCODINGS: dict[str, Callable[[str], str]] = {
    "clear": str,
    "upper case": str.upper,
    "reversed": lambda s: s[::-1],
    "rot13": lambda s: codecs.encode(s, "rot13"),
    "hex": lambda s: s.encode().hex(),
    "HEX": lambda s: s.encode().hex().upper(),
    "hex with blanks": lambda s: s.encode().hex(" "),
    "backslash x": lambda s: "".join(f"\\x{ord(c):02x}" for c in s),
    "backslash u": lambda s: "".join(f"\\u{ord(c):04x}" for c in s),
    "character codes": lambda s: ", ".join(str(ord(c)) for c in s),
    "base64": lambda s: base64.b64encode(s.encode()).decode(),
    "base64 after one byte": lambda s: base64.b64encode(b"x" + s.encode() + b"y").decode(),
    "base64 after two bytes": lambda s: base64.b64encode(b"xy" + s.encode() + b"z").decode(),
    "base64url": lambda s: base64.urlsafe_b64encode(s.encode()).decode(),
    "base64 in lines": lambda s: "\n".join(base64.b64encode(s.encode()).decode()[i : i + 9] for i in range(0, 3000, 9)),
    "base32": lambda s: base64.b32encode(s.encode()).decode(),
    "percent": lambda s: "".join(f"%{ord(c):02X}" for c in s),
    "URL": lambda s: quote(s, safe=""),
    "HTML": lambda s: "".join(f"&#{ord(c)};" for c in s),
    "HTML hex": lambda s: "".join(f"&#x{ord(c):x};" for c in s),
    "HTML escape": lambda s: html.escape(s),
    "spaced": " ".join,
    "dashed": "-".join,
    "zero width": "\u200b".join,
    "zero width, shown": "<U+200B>".join,
    "in lines": "\n".join,
    "Markdown": "**`|".join,
    "full width": lambda s: "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in s),
    "a part": lambda s: s if len(s) < 40 else s[len(s) // 2 - 25 : len(s) // 2 + 25],
}


@pytest.mark.parametrize("secret", [TOKEN, KEY], ids=["token", "key"])
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_secret_is_found_however_it_is_written(encoding: str, secret: str) -> None:
    told = ENCODINGS[encoding](secret)
    assert leaks(f"The value is {told} as configured.", [secret])
    assert not leaks(f"The value is {ENCODINGS[encoding]('harmless text, ' * 9)}", [secret])


def test_what_all_keys_have_in_common_is_no_leak() -> None:
    header = base64.urlsafe_b64encode(b'{"alg":"RS256","typ":"JWT"}').decode()
    assert not leaks("-----BEGIN RSA PRIVATE KEY-----\nMIIEowIBAAKCAQEA\n-----END RSA PRIVATE KEY-----", [KEY])
    assert not leaks(f"{header}.sample", [f"ghs_{header}.{'a1B2c3D4' * 40}"])
    assert leaks(KEY, [KEY])


@pytest.mark.parametrize("secret", ["", " ", "short", "1234567"])
def test_a_value_too_short_to_be_a_secret_is_not_looked_for(secret: str) -> None:
    assert not leaks("a short text with 1234567 in it", [secret])


@given(st.text("abcdefghij0123456789-_", min_size=16, max_size=200), st.text(max_size=50), st.text(max_size=50))
def test_any_secret_in_clear_is_found_between_any_words(secret: str, before: str, after: str) -> None:
    assert leaks(f"{before} {secret} {after}", [secret])


@given(st.text(max_size=300))
def test_ordinary_text_is_no_leak(text: str) -> None:
    assert not leaks(text, [TOKEN, KEY])


CREDENTIALS = [
    "AKIA" + "IOSFODNN7EXAMPLE",
    "gh" + "p_" + "a1B2" * 9,
    "gh" + "s_123456_eyJ" + "hbGciOi" * 9 + ".eyJ" + "pc3MiOj" * 9 + "." + "c2ln" * 20,
    "github_" + "pat_" + "A1" * 20,
    "gl" + "pat-" + "x9Y8" * 5,
    "sk-" + "proj-" + "A1b2" * 12,
    "sk-" + "ant-api03-" + "A1b2" * 20,
    "AI" + "za" + "A1b2C3d" * 5,
    "xo" + "xb-1234567890-abcdefghij",
    "sk_" + "live_" + "a1b2" * 6,
    "np" + "m_" + "a1B2" * 9,
    "hf" + "_" + "a1B2" * 9,
    "ey" + "JhbGciOiJIUzI1NiJ9.ey" + "JzdWIiOiIxMjM0In0.c2lnbmF0dXJl",
    "-----BEGIN " + "PRIVATE KEY-----\nMIIE\nabc\n-----END " + "PRIVATE KEY-----",
    "-----BEGIN OPENSSH " + "PRIVATE KEY-----\nb3BlbnNzaC1r",
]


@pytest.mark.parametrize("credential", CREDENTIALS)
def test_what_looks_like_a_credential_is_redacted(credential: str) -> None:
    assert redact(f"Found `{credential}`, see above") in ("Found `[redacted]`, see above", "Found `[redacted]")


def test_only_the_password_of_an_address_is_redacted() -> None:
    assert redact("postgres://app:hunter22@db/x") == "postgres://app:[redacted]@db/x"


@pytest.mark.parametrize(
    "text", ["sk-learn is a library", "the npm_config variable", "https://example.com:80/a", "gho", "AKIA"]
)
def test_ordinary_words_are_not_redacted(text: str) -> None:
    assert redact(text) == text
