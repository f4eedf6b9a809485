"""Every endpoint of the stand-in."""

from __future__ import annotations

from reviewbot.demo.api import Endpoint
from reviewbot.demo.endpoints import apps, checks, comments, contents, deliveries, graphql, pulls, reviews

ALL: tuple[Endpoint, ...] = (
    *apps.ENDPOINTS,
    *deliveries.ENDPOINTS,
    *pulls.ENDPOINTS,
    *reviews.ENDPOINTS,
    *comments.ENDPOINTS,
    *checks.ENDPOINTS,
    *contents.ENDPOINTS,
    *graphql.ENDPOINTS,
)
