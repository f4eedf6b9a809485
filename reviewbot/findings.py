"""The model's answer -> checked findings. Pure."""

from __future__ import annotations

from typing import Literal

import msgspec

from reviewbot.diff.model import Anchor, Side

Severity = Literal["critical", "high", "medium", "low"]
SEVERITIES: tuple[Severity, ...] = ("critical", "high", "medium", "low")


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing the reviewer says, as read from the answer; the place is a claim until it has an anchor."""

    path: str
    title: str
    body: str = ""
    line: int | None = None
    end_line: int | None = None
    side: Side = "RIGHT"
    severity: Severity = "medium"
    category: str = "bug"
    quote: str | None = None
    suggestion: str | None = None


class Located(msgspec.Struct, frozen=True, kw_only=True):
    """A finding with its place: an anchor, or None with the reason why it can only stand in the review's body."""

    finding: Finding
    anchor: Anchor | None
    note: str = ""
