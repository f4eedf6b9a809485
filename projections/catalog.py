"""All projections, in one visible tuple."""

from __future__ import annotations

from projections.base import Projection
from projections.jobs.project import Jobs
from projections.trail.project import Trail
from projections.usage.project import Usage

ALL: tuple[Projection, ...] = (Jobs(), Trail(), Usage())
