"""The questions that the HTTP API answers; its handlers and its description both follow from this table."""

from __future__ import annotations

import msgspec

from reviewbot.api import shapes
from reviewbot.api.parameters import EventsAsked, JobAsked, JobEventsAsked, JobsAsked

DESCRIPTION_PATH = "/api/openapi.json"


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """One question: its path, what may be asked, and what is answered."""

    name: str  # of the route in the metrics
    path: str
    summary: str
    asked: type[msgspec.Struct]
    answer: type[msgspec.Struct]

    @property
    def about_one(self) -> bool:
        return "{id}" in self.path


ROUTES: tuple[Route, ...] = (
    Route(
        name="api_events",
        path="/api/events",
        summary="Events of the log, by what they are about.",
        asked=EventsAsked,
        answer=shapes.Events,
    ),
    Route(
        name="api_jobs",
        path="/api/jobs",
        summary="Review jobs, as they are or as they were; those that were asked for last come first.",
        asked=JobsAsked,
        answer=shapes.Jobs,
    ),
    Route(
        name="api_job",
        path="/api/jobs/{id}",
        summary="One review job, as it is or as it was.",
        asked=JobAsked,
        answer=shapes.OneJob,
    ),
    Route(
        name="api_job_events",
        path="/api/jobs/{id}/events",
        summary="The story of a review job and of its Check Runs.",
        asked=JobEventsAsked,
        answer=shapes.Events,
    ),
)
