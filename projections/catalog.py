"""All projections, in one visible tuple."""

from __future__ import annotations

from projections.base import Projection
from projections.jobs.project import Jobs

ALL: tuple[Projection, ...] = (Jobs(),)
