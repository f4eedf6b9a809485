"""From stored bytes to exactly what will be posted: the review's body, its comments, the Check Run's ending. Pure.

A review comes through here as it is made, and again whenever it is replayed: `gather` what was changed, then `fix` what
the answers come to. Between the two the model is asked; nothing else has a say in a review.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from uuid import UUID

import msgspec
from msgspec.structs import replace

from reviewbot.diff.model import FileDiff
from reviewbot.diff.parse import parse, parse_patch
from reviewbot.findings import SEVERITIES, Located, Severity
from reviewbot.github.models import DraftComment, PullFile
from reviewbot.leaks import leaks
from reviewbot.llm.base import Answer, Usage
from reviewbot.policy import Policy
from reviewbot.publisher import Plan, PlannedComment
from reviewbot.render import ReviewText, body_entry, check_reviewed, inline_comment, review_body
from reviewbot.reviewer import Scope, Verdict, judge, scope
from schema.events import AnswerReceived, Terms


class Withheld(msgspec.Struct, frozen=True):
    """What of a verdict is not shown: findings, by their rank from 0, and perhaps the summary."""

    findings: tuple[int, ...] = ()
    summary: bool = False


Withhold = Callable[[Verdict], Withheld]  # decides what of a verdict is not shown


class Fixed(msgspec.Struct, frozen=True, kw_only=True):
    """A review that is ready to be posted."""

    plan: Plan
    verdict: Verdict  # as it is shown: without what is withheld or not severe enough
    withheld: Withheld
    found: Verdict  # as it was read

    @property
    def findings(self) -> int:
        """How many there are, shown or withheld; those below the repository's threshold are none."""
        return len(self.verdict.located) + len(self.withheld.findings)


def gather(changes: bytes, terms: Terms, policy: Policy) -> Scope:
    """What of a change is reviewed under these terms and settings. Raises DiffError.

    `changes` is the "changes" artifact: a unified diff, or GitHub's list of files as JSON.
    """
    return scope(_read_changes(changes), terms, policy.settings)


def _read_changes(raw: bytes) -> tuple[FileDiff, ...]:
    if not raw.startswith(b"["):
        return parse(raw)
    return tuple(
        parse_patch(
            filename=file.filename, previous_filename=file.previous_filename, status=file.status, patch=file.patch
        )
        for file in msgspec.json.decode(raw, type=tuple[PullFile, ...])
    )


def recorded_answer(received: AnswerReceived, text: bytes) -> Answer:
    """An answer as it came, from its event and its artifact."""
    return Answer(
        text=text.decode("utf-8", "surrogatepass"),
        provider=received.provider,
        model=received.model,
        finish=received.finish,
        usage=Usage(
            input_tokens=received.input_tokens,
            output_tokens=received.output_tokens,
            cached_input_tokens=received.cached_input_tokens,
        ),
        latency_ms=received.latency_ms,
        request_id=received.request_id,
        structured=received.structured,
    )


def fix(
    job: UUID,
    head_sha: str,
    scope: Scope,
    answers: Sequence[Answer],
    terms: Terms,
    policy: Policy,
    *,
    last_attempt: bool,
    withhold: Withhold,
) -> Fixed:
    """Read one answer for each portion of `scope`, and fix what will be posted. Raises AnswerUnusable."""
    found = judge(scope, answers, terms, give_up=last_attempt)
    withheld = withhold(found)
    shown = at_least(policy.settings.min_severity, without(found, withheld))
    shown = replace(shown, notes=(*policy.notes, *shown.notes))
    plan = make_plan(job, head_sha, scope, shown, max_findings=terms.max_findings)
    return Fixed(plan=plan, verdict=shown, withheld=withheld, found=found)


def make_plan(job: UUID, head_sha: str, scope: Scope, verdict: Verdict, *, max_findings: int) -> Plan:
    """Fix the texts. At most `max_findings` inline comments; further findings stand in the body."""
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


def leaking(verdict: Verdict, secrets: Sequence[str]) -> Withheld:
    """What repeats one of `secrets`, in clear or encoded.

    Each text by itself, and everything the model wrote when a secret is spread over several texts.
    """
    findings = tuple(rank for rank, each in enumerate(verdict.located) if leaks(_texts(each), secrets))
    summary = leaks(verdict.summary, secrets)
    kept = [each for rank, each in enumerate(verdict.located) if rank not in findings]
    rest = "\n".join(("" if summary else verdict.summary, *map(_texts, kept)))
    if any(leaks(text, secrets) for text in (rest, *_columns(kept))):
        return Withheld(tuple(range(len(verdict.located))), bool(verdict.summary))
    return Withheld(findings, summary)


def at_least(severity: Severity, verdict: Verdict) -> Verdict:
    """The verdict without the findings below `severity`; it says how many there are."""
    worst = SEVERITIES[: SEVERITIES.index(severity) + 1]
    kept = tuple(each for each in verdict.located if each.finding.severity in worst)
    if len(kept) == len(verdict.located):
        return verdict
    note = f"{len(verdict.located) - len(kept)} findings below {severity} are not shown."
    return replace(verdict, located=kept, notes=(*verdict.notes, note))


def without(verdict: Verdict, withheld: Withheld) -> Verdict:
    """The verdict that is shown; it says how much is not."""
    count = len(withheld.findings) + withheld.summary
    if not count:
        return verdict
    note = f"{count} parts of the answer were withheld because they repeated a credential of this service."
    return replace(
        verdict,
        located=tuple(each for rank, each in enumerate(verdict.located) if rank not in withheld.findings),
        summary="" if withheld.summary else verdict.summary,
        notes=(*verdict.notes, note),
        complete=False,
    )


def _texts(located: Located) -> str:
    return "\n".join(filter(None, _parts(located)))


def _columns(located: Sequence[Located]) -> list[str]:
    """All titles in a row, all bodies in a row, and so on: a secret may be cut up over the same part of several."""
    return ["".join(filter(None, column)) for column in zip(*map(_parts, located), strict=True)]


def _parts(located: Located) -> tuple[str | None, ...]:
    finding = located.finding
    return finding.path, finding.category, finding.title, finding.body, finding.quote, finding.suggestion
