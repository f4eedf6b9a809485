"""The App's webhook: its settings, its delivery log and sending a delivery again."""

from __future__ import annotations

import msgspec

from reviewbot.demo.answers import MAX_PAGE, Answer, ApiError, Json, not_found
from reviewbot.demo.api import Call, Endpoint, identifier
from reviewbot.demo.webhooks import Delivery

KEPT_SECONDS = 3 * 24 * 3600  # redelivery is possible for three days


async def get_config(call: Call) -> Answer:
    """GET /app/hook/config."""
    url = call.platform.webhooks.url or ""
    return Answer({"content_type": "json", "insecure_ssl": "0", "secret": "********", "url": url})


async def list_deliveries(call: Call) -> Answer:
    """GET /app/hook/deliveries: newest first, paged by a cursor that names the first delivery of the next page."""
    status = call.query.get("status")
    if status not in (None, "success", "failure"):
        raise ApiError(422, "Validation Failed: status must be success or failure")
    per_page = min(call.window()[1], MAX_PAGE)
    kept = [item for item in reversed(_kept(call)) if status is None or _has(item, status)]
    cursor = call.query.get("cursor")
    if cursor is not None:
        newest = identifier(cursor.removeprefix("v1_"))
        if newest is None:
            raise ApiError(400, "Invalid cursor")
        kept = [item for item in kept if item.id <= newest]
    headers = {}
    if len(kept) > per_page:
        query = f"per_page={per_page}" + (f"&status={status}" if status else "")
        following = f"{call.world.api_url}{call.path}?{query}&cursor=v1_{kept[per_page].id}"
        headers = {"Link": f'<{following}>; rel="next"'}
    return Answer([item.summary for item in kept[:per_page]], headers=headers)


async def get_delivery(call: Call) -> Answer:
    """GET /app/hook/deliveries/{delivery_id}: with what was sent and answered."""
    item = _delivery(call)
    shown: Json = {
        **item.summary,
        "url": item.url,
        "request": {"headers": dict(item.request_headers), "payload": msgspec.json.decode(item.message.payload)},
        "response": {"headers": dict(item.response_headers), "payload": item.response_body},
    }
    return Answer(shown)


async def redeliver(call: Call) -> Answer:
    """POST /app/hook/deliveries/{delivery_id}/attempts."""
    platform = call.platform
    platform.events.redeliver(_delivery(call))
    return Answer({}, 202)


def _kept(call: Call) -> list[Delivery]:
    oldest = call.world.now() - KEPT_SECONDS
    return [item for item in call.platform.webhooks.log if item.delivered_at >= oldest]


def _has(item: Delivery, status: str) -> bool:
    return item.status_code in (range(200, 400) if status == "success" else range(400, 600))


def _delivery(call: Call) -> Delivery:
    wanted = call.number("delivery_id")
    item = next((item for item in _kept(call) if item.id == wanted), None)
    if item is None:
        raise not_found()
    return item


ENDPOINTS = (
    Endpoint("GET", "/app/hook/config", get_config, access="app"),
    Endpoint("GET", "/app/hook/deliveries", list_deliveries, access="app"),
    Endpoint("GET", "/app/hook/deliveries/{delivery_id}", get_delivery, access="app"),
    Endpoint("POST", "/app/hook/deliveries/{delivery_id}/attempts", redeliver, access="app"),
)
