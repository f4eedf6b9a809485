"""Sends signed deliveries to the App, once each, and keeps the log from which they can be sent again.

Headers, timeout and redelivery follow docs.github.com: "Webhook events and payloads" and "Redelivering webhooks".
"""

from __future__ import annotations

import hashlib
import hmac
import random
import time
import uuid
from collections import deque
from collections.abc import Mapping
from typing import Literal

import aiohttp
import msgspec

from reviewbot.demo.state import World, iso

TIMEOUT_SECONDS = 10.0
MAX_PAYLOAD_BYTES = 25 * 1024 * 1024
MAX_LOGGED = 2000
MAX_KEPT_ANSWER_BYTES = 64 * 1024

# held: deliveries wait for release(), which can send them in any order. dropped: they are logged but never sent.
Mode = Literal["normal", "duplicate", "dropped", "held"]
Order = Literal["in-order", "reversed", "shuffled"]


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """What one delivery says, apart from its attempts."""

    guid: str
    event: str
    action: str | None
    installation_id: int | None
    repository_id: int | None
    payload: bytes


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt. `status_code` is 0 and `status` says why when no answer came."""

    id: int
    message: Message
    delivered_at: float
    redelivery: bool
    duration: float  # seconds
    status: str
    status_code: int
    url: str
    request_headers: Mapping[str, str]
    response_headers: Mapping[str, str]
    response_body: str

    @property
    def summary(self) -> dict[str, object]:
        """`hook-delivery-item` of GitHub's description."""
        return {
            "id": self.id,
            "guid": self.message.guid,
            "delivered_at": iso(self.delivered_at),
            "redelivery": self.redelivery,
            "duration": round(self.duration, 2),
            "status": self.status,
            "status_code": self.status_code,
            "event": self.message.event,
            "action": self.message.action,
            "installation_id": self.message.installation_id,
            "repository_id": self.message.repository_id,
            "throttled_at": None,
        }


class WebhookSender:
    """The App's webhook. `url` and `mode` may be changed at any time; without a url every delivery fails."""

    def __init__(self, world: World, secret: str, url: str | None, *, enterprise: bool = False) -> None:
        self._world = world
        self._enterprise = enterprise
        self._secret = secret.encode()
        self._session: aiohttp.ClientSession | None = None
        self._held: list[Message] = []
        self.hook_id = world.next_id()
        self.url = url
        self.mode: Mode = "normal"
        self.log: deque[Delivery] = deque(maxlen=MAX_LOGGED)

    async def open(self) -> None:
        """Get ready to send."""
        self._session = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=TIMEOUT_SECONDS), connector=aiohttp.TCPConnector(limit=100)
        )

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def deliver(
        self,
        event: str,
        payload: Mapping[str, object],
        *,
        installation_id: int | None = None,
        repository_id: int | None = None,
    ) -> Delivery | None:
        """Send one delivery as the mode asks. None when it is held, or larger than GitHub sends (25 MB)."""
        content = msgspec.json.encode(payload)
        if len(content) > MAX_PAYLOAD_BYTES:
            return None
        action = payload.get("action")
        message = Message(
            guid=str(uuid.uuid4()),
            event=event,
            action=action if isinstance(action, str) else None,
            installation_id=installation_id,
            repository_id=repository_id,
            payload=content,
        )
        if self.mode == "held":
            self._held.append(message)
            return None
        if self.mode == "duplicate":
            await self._attempt(message)
        return await self._attempt(message)

    async def release(self, order: Order = "in-order", seed: int = 0) -> list[Delivery]:
        """Send what is held, one after another in `order`."""
        held, self._held = self._held, []
        if order == "reversed":
            held.reverse()
        elif order == "shuffled":
            random.Random(seed).shuffle(held)  # an order to be repeated, not a secret
        return [await self._attempt(message) for message in held]

    async def redeliver(self, delivery: Delivery) -> Delivery:
        """Send a delivery again: the same guid and body under a new id."""
        return await self._attempt(delivery.message, redelivery=True)

    def headers(self, message: Message) -> dict[str, str]:
        """The full header set of a delivery."""
        host = self._world.html_url.partition("://")[2]
        enterprise = {"X-GitHub-Enterprise-Version": "3.17.0", "X-GitHub-Enterprise-Host": host}
        return {
            **(enterprise if self._enterprise else {}),
            "Accept": "*/*",
            "Content-Type": "application/json",
            "User-Agent": "GitHub-Hookshot/5d2a1c3",
            "X-GitHub-Delivery": message.guid,
            "X-GitHub-Event": message.event,
            "X-GitHub-Hook-ID": str(self.hook_id),
            "X-GitHub-Hook-Installation-Target-ID": str(self._world.app_id),
            "X-GitHub-Hook-Installation-Target-Type": "integration",
            "X-Hub-Signature": "sha1=" + hmac.new(self._secret, message.payload, hashlib.sha1).hexdigest(),
            "X-Hub-Signature-256": "sha256=" + hmac.new(self._secret, message.payload, hashlib.sha256).hexdigest(),
        }

    async def _attempt(self, message: Message, *, redelivery: bool = False) -> Delivery:
        started, delivered_at = time.monotonic(), self._world.now()
        headers = self.headers(message)
        status, code, answer_headers, answer = await self._post(headers, message.payload)
        delivery = Delivery(
            id=self._world.next_id(),
            message=message,
            delivered_at=delivered_at,
            redelivery=redelivery,
            duration=time.monotonic() - started,
            status=status,
            status_code=code,
            url=self.url or "",
            request_headers=headers,
            response_headers=answer_headers,
            response_body=answer,
        )
        self.log.append(delivery)
        return delivery

    async def _post(self, headers: Mapping[str, str], payload: bytes) -> tuple[str, int, dict[str, str], str]:
        """(status, status code, headers, body) of one attempt; GitHub never tries again by itself."""
        if self._session is None or self.url is None or self.mode == "dropped":
            return "failed to connect to host", 0, {}, ""
        try:
            async with self._session.post(self.url, data=payload, headers=headers, allow_redirects=False) as response:
                body = await response.content.read(MAX_KEPT_ANSWER_BYTES)
        except TimeoutError:
            return "timed out", 0, {}, ""
        except (aiohttp.ClientError, OSError):
            return "failed to connect to host", 0, {}, ""
        status = "OK" if response.status < 300 else f"Invalid HTTP Response: {response.status}"
        return status, response.status, dict(response.headers), body.decode("utf-8", "replace")
