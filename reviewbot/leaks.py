"""Find our own secrets in text that is about to leave, in clear or encoded, and redact what looks like any credential.

Whoever writes into a pull request may talk the model into repeating what it must not, so the last look before posting
is at the text itself. A secret told letter by letter in prose is beyond what any look at the text can find. Pure.
"""

from __future__ import annotations

import base64
import codecs
import html
import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from urllib.parse import unquote

MIN_SECRET_LENGTH = 8  # characters; shorter values stand in ordinary text by chance
_WINDOW = 24  # so many characters of a long secret in a row are a leak too


def leaks(text: str, secrets: Sequence[str]) -> bool:
    """Whether `text` holds one of `secrets`, whole or a long part of it, as it is or encoded.

    Seen through are base64 at every offset, base64url, base32, hex, character codes, percent, HTML and backslash
    escapes, reversal, rot13, upper and lower case, and anything but letters and digits put in between: blanks, dashes,
    line ends, Markdown, invisible characters. To find a secret that was split, check the texts of a review together.
    """
    secrets = [stripped for secret in secrets if len(stripped := secret.strip()) >= MIN_SECRET_LENGTH]
    if any(secret in text for secret in secrets):
        return True
    needles = {needle for secret in secrets for needle in _needles(secret)}
    whole = [needle for needle in needles if len(needle) <= _WINDOW]
    windows = {needle[i : i + _WINDOW] for needle in needles for i in range(len(needle) - _WINDOW + 1)}
    for view in _views(text):
        if any(needle in view for needle in whole):
            return True
        if windows and any(view[i : i + _WINDOW] in windows for i in range(len(view) - _WINDOW + 1)):
            return True
    return False


def _views(text: str) -> set[str]:
    """The letters and digits of the text, as it is and with each kind of escape undone."""
    plain = _SHOWN.sub("", unicodedata.normalize("NFKC", text))
    unescaped = html.unescape(unquote(plain))
    return {_bare(view) for view in (plain, unescaped, _CODE_PREFIX.sub("", plain), _unescaped(unescaped))}


_SHOWN = re.compile(r"<U\+[0-9A-F]{4,6}>")  # how invisible characters are shown
_CODE_PREFIX = re.compile(r"\\x|\\u00|0x|%|&#x?|U\+00", re.I)
_ARMOUR = re.compile(r"-----[^\n]*-----")
_BACKSLASH = re.compile(r"\\(?:x([0-9a-f]{2})|u([0-9a-f]{4}))", re.I)


def _unescaped(text: str) -> str:
    return _BACKSLASH.sub(lambda match: chr(int(match.group(1) or match.group(2), 16)), text)


def _bare(text: str) -> str:
    return "".join(filter(str.isalnum, text)).lower()


def _needles(secret: str) -> Iterator[str]:
    """What each form of a secret leaves when only letters and digits are looked at."""
    for form in _forms(_ARMOUR.sub("", secret).strip()):
        bare = _bare(form)
        # All keys and tokens of one kind begin alike (a header, a version), so of long ones only the middle counts.
        margin = len(bare) // 3 if len(bare) > 3 * _WINDOW else 0
        if len(bare) >= MIN_SECRET_LENGTH:
            yield bare[margin : len(bare) - margin]


def _forms(secret: str) -> Iterator[str]:
    raw = secret.encode("utf-8", "surrogatepass")
    yield secret
    yield secret[::-1]
    yield codecs.encode(secret, "rot13")
    yield raw.hex()
    yield "".join(str(byte) for byte in raw)
    yield from _at_every_offset(raw, base64.b64encode, bits=6, block=3)
    yield from _at_every_offset(raw, base64.b32encode, bits=5, block=5)


def _at_every_offset(raw: bytes, encode: Callable[[bytes], bytes], *, bits: int, block: int) -> Iterator[str]:
    """The characters of `bits` each that `raw` alone decides, for every place that it can have in a longer text."""
    for offset in range(block):
        encoded = encode(bytes(offset) + raw).decode().rstrip("=")
        shared_end = 1 if (offset + len(raw)) * 8 % bits else 0
        yield encoded[-(-offset * 8 // bits) : len(encoded) - shared_end]


# --- credentials of others ------------------------------------------------------------------------------------------

# Forms that their issuers document, so that hardly anything else looks like them.
_CREDENTIAL = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY(?: BLOCK)?-----"
    r"(?:[\s\S]{0,8000}?-----END [A-Z ]*PRIVATE KEY(?: BLOCK)?-----|[\w\s+/=:,.-]{0,8000})"
    r"|\b(?:"
    r"(?:A3T[A-Z0-9]|AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}"  # AWS access key id
    r"|gh[pousr]_[A-Za-z0-9_.-]{36,700}|github_pat_[A-Za-z0-9_]{22,255}"
    r"|glpat-[A-Za-z0-9_-]{20,64}"  # GitLab
    r"|sk-(?:ant-|proj-|svcacct-)?[A-Za-z0-9_-]{20,250}"  # OpenAI, Anthropic
    r"|AIza[A-Za-z0-9_-]{35}"  # Google
    r"|ya29\.[A-Za-z0-9_-]{20,500}"
    r"|xox[abeoprs]-[A-Za-z0-9-]{10,250}"  # Slack
    r"|[rs]k_(?:live|test)_[A-Za-z0-9]{16,250}|whsec_[A-Za-z0-9+/=]{24,250}"  # Stripe
    r"|npm_[A-Za-z0-9]{36}|pypi-[A-Za-z0-9_-]{50,300}|dop_v1_[a-f0-9]{64}|SG\.[\w-]{22}\.[\w-]{43}|hf_[A-Za-z0-9]{30,64}"
    r"|eyJ[A-Za-z0-9_-]{10,2000}\.eyJ[A-Za-z0-9_-]{10,4000}\.[A-Za-z0-9_-]{10,2000}"  # JSON web token
    r")(?![A-Za-z0-9])"
    r"|(?P<scheme>\b[a-z][a-z0-9+.-]{1,20}://[^\s:/@]{1,100}:)[^\s:/@]{3,200}(?=@)"  # password in an address
)


def redact(text: str) -> str:
    """`text` with everything that has the form of a credential replaced by `[redacted]`."""
    return _CREDENTIAL.sub(lambda match: f"{match.group('scheme') or ''}[redacted]", text)
