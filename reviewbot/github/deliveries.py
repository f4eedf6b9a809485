"""The App itself and the webhook deliveries that GitHub keeps: listed, read and sent again. Needs `GitHub.app`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from yarl import URL

from reviewbot.github.client import Client
from reviewbot.github.models import AppRef, Delivery, DeliveryDetail

_DELIVERIES = "/app/hook/deliveries"


@dataclass(frozen=True)
class DeliveryPage:
    """Deliveries, newest first, and the cursor of the page with the older ones."""

    deliveries: tuple[Delivery, ...]
    cursor: str | None


def retention(api_url: str) -> timedelta:
    """How long a delivery is listed and can be sent again: 3 days, on an Enterprise Server 7.

    Source: https://docs.github.com/en/webhooks/testing-and-troubleshooting-webhooks/redelivering-webhooks
    """
    host = URL(api_url).host or ""
    return timedelta(days=3 if host == "api.github.com" or host.endswith(".ghe.com") else 7)


async def get_app(app: Client) -> AppRef:
    """Who the App is; what it writes comes from the user `<slug>[bot]`."""
    return await app.get("/app", {}, AppRef)


async def list_deliveries(app: Client, cursor: str | None = None) -> DeliveryPage:
    """Up to 100 deliveries, from the newest on or from `cursor` on, as far back as `retention` says."""
    page = await app.page(_DELIVERIES + "{?per_page,cursor}", {"per_page": 100, "cursor": cursor}, Delivery)
    following = None if page.next_url is None else URL(page.next_url).query.get("cursor")
    return DeliveryPage(page.items, following)


async def get_delivery(app: Client, delivery_id: int) -> DeliveryDetail:
    """One delivery with its headers and payload."""
    return await app.get(_DELIVERIES + "/{id}", {"id": delivery_id}, DeliveryDetail)


async def redeliver(app: Client, delivery_id: int) -> None:
    """Ask GitHub to send a delivery again, under the same guid."""
    await app.command(_DELIVERIES + "/{id}/attempts", {"id": delivery_id})
