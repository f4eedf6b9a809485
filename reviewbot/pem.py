"""The private key of the App, from what a variable may say of it."""

from __future__ import annotations

import base64
import binascii
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key


class BadPem(ValueError):
    """The text leads to no usable key; the message goes on after the variable's name and shows nothing of the key."""


def private_key(text: str) -> str:
    """The PEM text of an RSA key, given itself, in base64, or by the path of its file. Raises BadPem."""
    try:
        pem = _pem(text)
        key = load_pem_private_key(pem.encode(), password=None)
    except OSError as error:
        raise BadPem(f"names a file that cannot be read ({error.strerror})") from error
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:  # TypeError: the key is locked with a password
        raise BadPem("holds no private key that can be read: give the PEM file that GitHub made") from error
    if not isinstance(key, RSAPrivateKey):
        raise BadPem("holds a key that is not RSA: give the PEM file that GitHub made")
    return pem


def _pem(text: str) -> str:
    """Raises OSError for a file, ValueError for what is none of the three."""
    if "-----BEGIN" in text:
        return text.replace("\\n", "\n")
    path = Path(text).expanduser()
    if text.startswith(("/", "~", ".")) or text.endswith(".pem") or (len(text) < 256 and path.is_file()):
        return path.read_text(encoding="ascii")
    try:
        return base64.b64decode("".join(text.split()), validate=True).decode("ascii")
    except binascii.Error as error:
        raise ValueError("not base64") from error
