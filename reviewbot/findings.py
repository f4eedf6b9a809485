"""The model's answer -> checked findings. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal

import msgspec

from reviewbot.diff.model import Anchor, FileDiff, Side
from reviewbot.diff.positions import Unplaced, find_file, locate

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


def arrange(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """The findings without exact repeats, the most severe first, then by place."""
    return tuple(sorted(dict.fromkeys(map(_comparable, findings)), key=_rank))


def place(findings: Iterable[Finding], files: Mapping[str, FileDiff]) -> tuple[Located, ...]:
    """Each finding, arranged, with the anchor that its quote and its line numbers give on the diff.

    `files` are the changed files by path. A finding without an anchor has a note that says why. Two that say the same
    about the same place are told once.
    """
    located = (_located(finding, files) for finding in arrange(findings))
    return tuple({(each.anchor, each.finding.title, each.finding.body, each.note): each for each in located}.values())


def _comparable(finding: Finding) -> Finding:
    """The finding with its line numbers in one way of writing: in order, and no end where it is the beginning."""
    numbers = sorted({number for number in (finding.line, finding.end_line) if number is not None})
    line, end_line = (*numbers, None, None)[:2]
    return msgspec.structs.replace(finding, line=line, end_line=end_line)


def _rank(finding: Finding) -> tuple[int, str, int]:
    return SEVERITIES.index(finding.severity), finding.path, finding.line or 0


def _located(finding: Finding, files: Mapping[str, FileDiff]) -> Located:
    file = files.get(finding.path) or find_file(files.values(), finding.path.lstrip("/"))
    if file is None:
        return Located(finding=finding, anchor=None, note="this file is not part of the change")
    anchor = locate(file, line=finding.line, end_line=finding.end_line, side=finding.side, quote=finding.quote)
    if isinstance(anchor, Unplaced):
        return Located(finding=finding, anchor=None, note=anchor.reason)
    return Located(finding=finding, anchor=anchor)


# --- the schema asked of the model ----------------------------------------------------------------------------------


class FindingAsked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One finding as the model is asked to write it."""

    path: Annotated[str, msgspec.Meta(description="Path of the file exactly as the diff names it.")]
    line: Annotated[int | None, msgspec.Meta(description="First line, from the gutter: 12 for R12 or L12.")]
    end_line: Annotated[int | None, msgspec.Meta(description="Last line of the range; null for a single line.")]
    side: Annotated[Side, msgspec.Meta(description="RIGHT for R lines (the new side), LEFT for removed L lines.")]
    severity: Severity
    category: Annotated[str, msgspec.Meta(description="One or two words, such as bug, security or concurrency.")]
    title: Annotated[str, msgspec.Meta(description="The problem in one line, without Markdown.")]
    body: Annotated[str, msgspec.Meta(description="When it goes wrong, what happens then, and how to mend it.")]
    quote: Annotated[str | None, msgspec.Meta(description="The code in question, verbatim, without the gutter.")]
    suggestion: Annotated[str | None, msgspec.Meta(description="Code that replaces exactly the lines named, or null.")]


class AnswerAsked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole answer as the model is asked to write it."""

    summary: Annotated[
        str, msgspec.Meta(description="What the change does and how it stands, in at most three sentences.")
    ]
    findings: list[FindingAsked]


def answer_schema() -> dict[str, Any]:
    """The JSON Schema of `AnswerAsked`: objects closed, all properties required, null in unions, no references.

    That is the form which strict structured output of OpenAI, Anthropic and Gemini have in common.
    """
    (schema,), parts = msgspec.json.schema_components([AnswerAsked])
    inlined = _inline(schema, parts)
    assert isinstance(inlined, dict)
    return inlined


def _inline(schema: Any, parts: Mapping[str, Any]) -> Any:
    if isinstance(schema, list):
        return [_inline(item, parts) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return _inline(parts[schema["$ref"].rpartition("/")[2]], parts)
    kept = {key: _inline(value, parts) for key, value in schema.items() if key != "title" or not isinstance(value, str)}
    return {"type": "string", **kept} if "enum" in kept else kept
