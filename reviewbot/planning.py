"""A verdict -> exactly what will be posted: the review's body, its inline comments, the Check Run's ending. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from msgspec.structs import replace

from reviewbot.findings import Located
from reviewbot.github.models import DraftComment
from reviewbot.leaks import leaks
from reviewbot.publisher import Plan, PlannedComment
from reviewbot.render import ReviewText, body_entry, check_reviewed, inline_comment, review_body
from reviewbot.reviewer import Scope, Verdict


def make_plan(
    job: UUID, head_sha: str, scope: Scope, verdict: Verdict, *, max_findings: int, secrets: Sequence[str] = ()
) -> Plan:
    """Fix the texts. At most `max_findings` inline comments; further findings stand in the body.

    A finding or summary that repeats one of `secrets`, in clear or encoded, is withheld, and the review says so.
    """
    verdict = _without_secrets(verdict, secrets)
    text = ReviewText(
        job=job,
        head=head_sha,
        summary=verdict.summary,
        findings=_within_limit(verdict.located, max_findings),
        reviewed=tuple(file.path for file in scope.reviewed),
        left_out=scope.left_out,
        provider=verdict.provider,
        model=verdict.model,
        notes=verdict.notes,
        complete=verdict.complete,
    )
    conclusion, check = check_reviewed(text)
    return Plan(
        job=job,
        head_sha=head_sha,
        body=review_body(text),
        comments=tuple(_comment(located) for located in text.findings if located.anchor is not None),
        conclusion=conclusion,
        check=check,
    )


def _within_limit(located: Sequence[Located], most: int) -> tuple[Located, ...]:
    """The most severe ones keep their places; they come first already."""
    kept, room = [], most
    for each in located:
        if each.anchor is not None and room <= 0:
            each = replace(each, anchor=None, note=f"beyond the limit of {most} inline comments")
        room -= each.anchor is not None
        kept.append(each)
    return tuple(kept)


def _comment(located: Located) -> PlannedComment:
    anchor, finding = located.anchor, located.finding
    assert anchor is not None
    draft = DraftComment(
        path=anchor.path,
        body=inline_comment(finding),
        line=anchor.line,
        side=anchor.side,
        start_line=anchor.start_line,
        start_side=anchor.side if anchor.start_line is not None else None,
    )
    return PlannedComment(draft, body_entry(finding, "GitHub does not take a comment at its place"))


def _without_secrets(verdict: Verdict, secrets: Sequence[str]) -> Verdict:
    """Withhold what leaks one by one, and everything the model wrote when a secret is spread over several texts."""
    kept = tuple(each for each in verdict.located if not leaks(_texts(each), secrets))
    summary = "" if leaks(verdict.summary, secrets) else verdict.summary
    if any(leaks(text, secrets) for text in ("\n".join((summary, *map(_texts, kept))), *_columns(kept))):
        kept, summary = (), ""
    withheld = len(verdict.located) - len(kept) + (summary != verdict.summary)
    if not withheld:
        return verdict
    note = f"{withheld} parts of the answer were withheld because they repeated a credential of this service."
    return replace(verdict, located=kept, summary=summary, notes=(*verdict.notes, note), complete=False)


def _texts(located: Located) -> str:
    return "\n".join(filter(None, _parts(located)))


def _columns(located: Sequence[Located]) -> list[str]:
    """All titles in a row, all bodies in a row, and so on: a secret may be cut up over the same part of several."""
    return ["".join(filter(None, column)) for column in zip(*map(_parts, located), strict=True)]


def _parts(located: Located) -> tuple[str | None, ...]:
    finding = located.finding
    return finding.path, finding.category, finding.title, finding.body, finding.quote, finding.suggestion
