"""What people read on GitHub: the review's body, its inline comments and the Check Run's texts. Pure.

Everything that a model or a pull request wrote is redacted and neutralised here, and every text is built from closed
blocks within its limit, so that nothing is cut in the middle of one.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple
from uuid import UUID

import msgspec

from reviewbot.diff.files import LeftOut
from reviewbot.findings import SEVERITIES, Finding, Located
from reviewbot.github.models import CheckOutput
from reviewbot.invisible import show_invisible
from reviewbot.leaks import redact
from reviewbot.markdown import code, fenced, length, neutralise, neutralise_line

# GitHub refuses bodies of more than 65,536 and Check Run texts of more than 65,535 characters; the rest is reserve.
MAX_BODY_LENGTH = 65_000
MAX_TITLE_LENGTH = 255
_PROSE_LENGTH = 8_000  # of one text of the model's
_LIST_LENGTH = 12_000  # of one list of files
_PATH_LENGTH = 500
_NOTES = 20


class ReviewText(msgspec.Struct, frozen=True, kw_only=True):
    """All that a review says. Findings with an anchor are inline comments, those without stand in the body."""

    job: UUID
    head: str  # the commit that was reviewed, 40 or 64 hex digits
    findings: tuple[Located, ...]
    reviewed: tuple[str, ...]  # paths
    left_out: tuple[LeftOut, ...]
    provider: str
    model: str
    summary: str | None = None
    notes: tuple[str, ...] = ()  # what went less well than it should: plain sentences
    complete: bool = True  # False: an answer broke off or could not be read in full


class Marker(NamedTuple):
    """Which job a review was posted for, and for which head."""

    job: UUID
    head: str


# --- the hidden marker ----------------------------------------------------------------------------------------------

_MARKER = re.compile(
    r"<!-- reviewbot:job=([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}) head=([0-9a-f]{40,64}) -->\r?(?:\n|\Z)"
)


def marker(job: UUID, head: str) -> str:
    """The first line of a review's body, invisible on GitHub, by which a review is known again."""
    line = f"<!-- reviewbot:job={job} head={head} -->"
    if not _MARKER.fullmatch(line):
        raise ValueError(f"{head!r} is no commit id: expected 40 to 64 lower-case hex digits")
    return line


def find_marker(body: str) -> Marker | None:
    """The marker in the first line of a body. Anybody can write one, so check who wrote the body."""
    match = _MARKER.match(body)
    return Marker(UUID(match.group(1)), match.group(2)) if match else None


# --- the review -----------------------------------------------------------------------------------------------------


def review_body(review: ReviewText) -> str:
    """The review's body in Markdown, at most `MAX_BODY_LENGTH` long; its first line is the marker."""
    head = [
        marker(review.job, review.head),
        f"### {_headline(review)}",
        _prose(review.summary or ""),
        *_reservations(review),
    ]
    foot = [_coverage(review), _signature(review)]
    loose = [body_entry(located.finding, located.note) for located in review.findings if located.anchor is None]
    return _assembled([*head, _LOOSE_HEADING] if loose else head, loose, foot)


def with_moved(body: str, entries: Sequence[str]) -> str:
    """A review's body with further findings (from `body_entry`), for when GitHub refused their inline comments."""
    above, foot = (part.strip("\n") for part in _split_foot(body))
    head = [above] if f"\n{_LOOSE_HEADING}\n" in above else [above, _LOOSE_HEADING]
    return _assembled(head, entries, [foot]) if entries else body


def body_entry(finding: Finding, note: str = "") -> str:
    """A finding as it reads in the review's body; `note` says why it has no place on the diff."""
    why = f" ({_line(note)})" if note else ""
    return "\n\n".join(filter(None, (f"{_severity(finding)} \u00b7 {_where(finding)}{why}", *_said(finding))))


def inline_comment(finding: Finding) -> str:
    """The comment that hangs below the lines of one finding, at most `MAX_BODY_LENGTH` long."""
    return "\n\n".join(filter(None, (f"{_severity(finding)} \u00b7 {_line(finding.category)}", *_said(finding))))


_LOOSE_HEADING = "#### Findings without a place on the diff"
_FOOT = "\n<details><summary>"  # no text of others' can begin a line so


def _split_foot(body: str) -> tuple[str, str]:
    at = body.rfind(_FOOT)
    return (body[:at], body[at:]) if at >= 0 else (body, "")


def _said(finding: Finding) -> tuple[str, str, str]:
    title = f"**{_line(finding.title)}**" if finding.title.strip() else ""
    return title, _prose(finding.body), _suggestion(finding)


def _severity(finding: Finding) -> str:
    return f"**{finding.severity.capitalize()}**"


def _where(finding: Finding) -> str:
    return _path(finding.path) + (f", line {finding.line}" if finding.line is not None else "")


def _path(path: str) -> str:
    return code(redact(path[:_PATH_LENGTH]) + ("\u2026" if len(path) > _PATH_LENGTH else ""))


def _headline(review: ReviewText) -> str:
    if review.findings:
        return f"{_counted(len(review.findings), 'finding')}: {_by_severity(review.findings)}"
    return "No findings" if review.complete else "Nothing found so far"


def _reservations(review: ReviewText) -> list[str]:
    """What a reader must know before relying on the review."""
    sentences = [_line(note) for note in review.notes[:_NOTES]]
    if len(review.notes) > _NOTES:
        sentences.append(f"And {len(review.notes) - _NOTES} more notes.")
    if not review.complete:
        sentences.insert(0, "**This review is not complete.** What is missing may hold further problems.")
    return ["\n".join(f"> {sentence}" for sentence in sentences)] if sentences else []


def _suggestion(finding: Finding) -> str:
    """The suggested code to read. An applicable block would commit what a pull request may have dictated."""
    if not finding.suggestion:
        return ""
    suggestion = redact(finding.suggestion)
    if not finding.quote:
        return "Suggestion:\n\n" + fenced(suggestion, limit=_PROSE_LENGTH)
    lines = [f"-{line}" for line in redact(finding.quote).splitlines()]
    lines += [f"+{line}" for line in suggestion.splitlines()]
    return "Suggestion:\n\n" + fenced("\n".join(lines), "diff", limit=_PROSE_LENGTH)


def _coverage(review: ReviewText) -> str:
    """How much was looked at, with the files in a list that opens on a click."""
    told = f"{_counted(len(review.reviewed), 'file')} reviewed"
    if review.left_out:
        told += f", {len(review.left_out)} left out"
    blocks = [f"<details><summary>{told}</summary>"]
    if review.left_out:
        entries = (f"- {_path(left.path)} {_line(left.reason)}" for left in review.left_out)
        blocks += ["Left out:", _bounded_list(entries, len(review.left_out))]
    if review.reviewed:
        blocks += ["Reviewed:", _bounded_list((f"- {_path(path)}" for path in review.reviewed), len(review.reviewed))]
    return "\n\n".join((*blocks, "</details>"))


def _signature(review: ReviewText) -> str:
    return f"Commit {code(review.head[:12])}, reviewed by {_line(review.provider)} with {_line(review.model)}."


# --- the Check Run --------------------------------------------------------------------------------------------------


def check_queued() -> CheckOutput:
    """The review is waiting for its turn."""
    return CheckOutput(title="Waiting", summary="The review of this commit is queued and will start shortly.")


def check_held(reason: str) -> CheckOutput:
    """The review waits for longer than its turn. `reason` is a sentence that says for what, and until when."""
    return CheckOutput(title="Held back", summary=_prose(reason))


def check_running(attempt: int) -> CheckOutput:
    """A worker is at it, for the `attempt`-th time."""
    again = (
        f" This is attempt {attempt}: what an earlier one has paid for is not asked for again." if attempt > 1 else ""
    )
    return CheckOutput(
        title=f"Reviewing (attempt {attempt})" if attempt > 1 else "Reviewing",
        summary=f"The changes of this commit are being read and reviewed now.{again}",
    )


def check_reviewed(review: ReviewText) -> tuple[Literal["success", "neutral"], CheckOutput]:
    """Green only for a complete review without findings; neutral otherwise, for a review is advice."""
    clean = review.complete and not review.findings
    sentence = "The findings are in the review on the pull request." if review.findings else ""
    listed = [
        f"- {_severity(each.finding)} \u00b7 {_where(each.finding)}: {_named(each.finding)}" for each in review.findings
    ]
    output = CheckOutput(
        title=_headline(review),
        summary=_assembled(
            [
                "The change was reviewed, and there is nothing to report." if clean else sentence,
                _prose(review.summary or ""),
                *_reservations(review),
            ],
            [],
            [],
        ),
        text=_assembled([], listed, [_coverage(review), _signature(review)], separator="\n"),
    )
    return "success" if clean else "neutral", output


def check_failure(reason: str, job: str) -> CheckOutput:
    """The review could not be made. `reason` is a sentence that says what happened and what to do."""
    advice = f"Use **Re-run** to try again. Whoever operates ReviewBot finds the details under job {code(job)}."
    return CheckOutput(title="The review failed", summary=f"{_prose(reason)}\n\n{advice}")


def check_cancelled(reason: str) -> CheckOutput:
    """The review was stopped, because of a newer push or the end of the pull request."""
    return CheckOutput(
        title="Not needed any more", summary=f"The review of this commit was stopped: {_line(reason, 1000)}"
    )


def check_skipped(reason: str) -> CheckOutput:
    """The change was left alone on purpose."""
    return CheckOutput(
        title=_title(f"Not reviewed: {reason}"), summary=f"ReviewBot left this change alone: {_line(reason, 1000)}"
    )


def check_sealed(output: CheckOutput, seal: str | None) -> CheckOutput:
    """The same with the newest checkpoint of the log (size:root), which GitHub so keeps a copy of."""
    if seal is None:
        return output
    line = f"<sub>Log sealed at {code(seal)}</sub>"
    return msgspec.structs.replace(output, text=f"{output.text}\n\n{line}" if output.text else line)


def _named(finding: Finding) -> str:
    return _line(finding.title or finding.body)


# --- words and lengths ----------------------------------------------------------------------------------------------


def _prose(text: str) -> str:
    return neutralise(redact(text), limit=_PROSE_LENGTH)


def _line(text: str, limit: int = 300) -> str:
    return neutralise_line(redact(text), limit=limit)


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _by_severity(findings: Iterable[Located]) -> str:
    counts = Counter(located.finding.severity for located in findings)
    return ", ".join(f"{counts[severity]} {severity}" for severity in SEVERITIES if counts[severity])


def _bounded_list(entries: Iterable[str], count: int) -> str:
    kept: list[str] = []
    room = _LIST_LENGTH
    for entry in entries:
        room -= length(entry) + 1
        if room < 0:
            kept.append(f"- and {count - len(kept)} more")
            break
        kept.append(entry)
    return "\n".join(kept)


def _assembled(head: Sequence[str], parts: Sequence[str], foot: Sequence[str], separator: str = "\n\n") -> str:
    """Head, as many parts as fit, how many are missing, and foot."""
    around = sum(length(block) + 2 for block in (*head, *foot)) + 100
    room, shown = MAX_BODY_LENGTH - around, 0
    while shown < len(parts) and (room := room - length(parts[shown]) - len(separator)) >= 0:
        shown += 1
    middle = separator.join(parts[:shown])
    missing = len(parts) - shown
    note = f"{_counted(missing, 'more finding')} not shown here: the text would be too long." if missing else ""
    return "\n\n".join(filter(None, (*head, middle, note, *foot)))


def _title(text: str) -> str:
    """A Check Run's title, which is no Markdown."""
    title = show_invisible(" ".join(redact(text).split()))
    return title if length(title) <= MAX_TITLE_LENGTH else title[: MAX_TITLE_LENGTH // 2 - 1] + "\u2026"
