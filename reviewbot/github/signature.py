"""Is this webhook really from GitHub? The check of X-Hub-Signature-256 over the raw body. Pure."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Sequence

from reviewbot.errors import ConfigError

_SIGNATURE = re.compile(rb"sha256=([0-9a-f]{64})")


class Signatures:
    """The webhook secrets in force: one, or the new and the old one while they are being exchanged.

    An empty secret would verify anything that an attacker signs with the empty key, so it is refused here.
    Source: https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries
    """

    def __init__(self, secrets: Sequence[bytes]) -> None:
        if not secrets or not all(secrets):
            raise ConfigError(
                "The webhook secret is empty. Set the secret that is entered in the GitHub App's settings."
            )
        self._secrets = tuple(secrets)

    def verify(self, body: bytes, header_values: Sequence[str]) -> bool:
        """True when `body` was signed with one of the secrets.

        `header_values` holds every X-Hub-Signature-256 of the request: none or several make it false, and so does any
        value that is not `sha256=` and 64 lower-case hex digits. It never raises, whatever the header holds.
        """
        if len(header_values) != 1:
            return False
        # Bytes from here on: compare_digest refuses a str that is not ASCII with a TypeError.
        match = _SIGNATURE.fullmatch(header_values[0].encode("ascii", "replace"))
        if match is None:
            return False
        claimed = match.group(1)
        # Every secret is tried, so that the time taken does not tell which of them fits.
        fits = [hmac.compare_digest(_hex_digest(secret, body), claimed) for secret in self._secrets]
        return any(fits)


def _hex_digest(secret: bytes, body: bytes) -> bytes:
    return hmac.new(secret, body, hashlib.sha256).hexdigest().encode("ascii")
