"""A local review as SARIF 2.1.0, for editors and code scanning. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any
from urllib.parse import quote

from reviewbot.findings import Located, Severity

LEVELS: dict[Severity, str] = {"critical": "error", "high": "error", "medium": "warning", "low": "note"}
SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"


def sarif(located: Iterable[Located], *, notes: Sequence[str], version: str) -> dict[str, Any]:
    """The log object; `notes` say what went less well than it should.

    Source: OASIS, Static Analysis Results Interchange Format (SARIF) Version 2.1.0.
    """
    located = tuple(located)
    rules = [{"id": category} for category in sorted({each.finding.category for each in located})]
    driver = {"name": "ReviewBot", "version": version, "rules": rules}
    told = [{"level": "warning", "message": {"text": note}} for note in notes]
    run = {
        "tool": {"driver": driver},
        "columnKind": "utf16CodeUnits",
        "invocations": [{"executionSuccessful": True, "toolExecutionNotifications": told}],
        "results": [_result(each) for each in located],
    }
    return {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}


def _result(located: Located) -> dict[str, Any]:
    finding = located.finding
    return {
        "ruleId": finding.category,
        "level": LEVELS[finding.severity],
        "message": {"text": "\n\n".join(filter(None, (finding.title, finding.body)))},
        "locations": [{"physicalLocation": _place(located)}],
        "properties": {"severity": finding.severity},
    }


def _place(located: Located) -> dict[str, Any]:
    """A removed line has a file but no region: the regions of SARIF lie in the new side."""
    anchor, finding = located.anchor, located.finding
    path = anchor.path if anchor else finding.path
    place: dict[str, Any] = {"artifactLocation": {"uri": quote(path), "uriBaseId": "%SRCROOT%"}}
    if anchor is not None and anchor.side == "RIGHT":
        place["region"] = {"startLine": anchor.start_line or anchor.line, "endLine": anchor.line}
    return place
