"""What a pull request's page shows, gathered from memory and git: plain structs for the template."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec
from markupsafe import Markup

from reviewbot.demo.changes import Place, changes_of, place_of
from reviewbot.demo.git import GitFile
from reviewbot.demo.hunks import PatchHunk, PatchLine, parse_patch
from reviewbot.demo.markdown import render
from reviewbot.demo.state import CheckRun, PullRequest, Repository, Review, ReviewComment

MAX_SHOWN_LINES = 1500  # of one file
MAX_SHOWN_FILES = 300
MAX_SHOWN_CHARACTERS = 2000  # of one line
_TONE = {
    "success": "good", "neutral": "calm", "skipped": "calm", "failure": "bad", "timed_out": "bad",
    "cancelled": "calm", "action_required": "busy",
}  # fmt: skip
_SIGN = {"good": "✓", "bad": "✗", "calm": "■", "busy": "●"}


class Remark(msgspec.Struct, frozen=True, kw_only=True):
    """One comment as it is read."""

    id: int
    author: str
    bot: bool
    when: str
    body: Markup
    pending: bool = False
    lines: str = ""  # "Lines 3 to 5"


class Thread(msgspec.Struct, frozen=True, kw_only=True):
    """A comment with its replies; `hunk` is shown when its lines are not on the newest diff."""

    remarks: tuple[Remark, ...]
    resolved: bool
    outdated: bool
    folded: str | None
    hunk: tuple[PatchLine, ...] = ()


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the diff and the threads below it."""

    tone: str  # header, context, added, removed or note
    old: int | None
    new: int | None
    text: str
    threads: tuple[Thread, ...] = ()


class FileView(msgspec.Struct, frozen=True, kw_only=True):
    """One changed file."""

    path: str
    previous_path: str | None
    status: str
    additions: int
    deletions: int
    rows: tuple[Row, ...]
    threads: tuple[Thread, ...]  # on the file as a whole, or outdated
    note: str
    talk: int  # how many comments


class CheckView(msgspec.Struct, frozen=True, kw_only=True):
    """One check run."""

    name: str
    tone: str
    sign: str
    state: str
    title: str
    summary: Markup
    text: Markup
    annotations: tuple[str, ...]


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of the conversation."""

    remark: Remark
    verdict: str  # "reviewed", "approved these changes", ... or "commented"
    tone: str
    comments: int
    order: float


class PullView(msgspec.Struct, frozen=True, kw_only=True):
    """The whole page. `refresh` asks the browser to look again soon."""

    repo: str
    number: int
    title: str
    state: str
    author: str
    opened: str
    base: str
    head: str
    head_sha: str
    commits: int
    additions: int
    deletions: int
    body: Markup
    checks: tuple[CheckView, ...]
    events: tuple[Event, ...]
    files: tuple[FileView, ...]
    files_left_out: int
    refresh: bool


async def pull_view(repo: Repository, pull: PullRequest) -> PullView:
    """Gather everything about a pull request."""
    changes = await changes_of(repo, pull)
    places = {comment.id: await place_of(repo, pull, comment) for comment in pull.comments}
    runs = [run for run in repo.checks if run.head_sha == pull.head_sha]
    files = changes.files[:MAX_SHOWN_FILES]
    return PullView(
        repo=repo.full_name,
        number=pull.number,
        title=pull.title,
        state="merged" if pull.merged else "draft" if pull.draft and pull.state == "open" else pull.state,
        author=pull.author.login,
        opened=when(pull.created_at),
        base=pull.base_ref,
        head=f"{pull.fork.owner.login}:{pull.head_ref}" if pull.fork else pull.head_ref,
        head_sha=pull.head_sha,
        commits=len(changes.commits),
        additions=sum(file.additions for file in changes.files),
        deletions=sum(file.deletions for file in changes.files),
        body=render(pull.body),
        checks=tuple(_check(run) for run in runs),
        events=_events(pull),
        files=tuple(_file(pull, file, places) for file in files),
        files_left_out=len(changes.files) - len(files),
        refresh=any(run.status != "completed" for run in runs),
    )


def when(seconds: float) -> str:
    """A time as the page writes it."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%-d %b %Y, %H:%M UTC")


def _check(run: CheckRun) -> CheckView:
    tone = _TONE.get(run.conclusion or "", "busy")
    where = [
        f"{item.path}:{item.start_line} ({item.annotation_level}) {item.message}" for item in run.output.annotations
    ]
    return CheckView(
        name=run.name,
        tone=tone,
        sign=_SIGN[tone],
        state=(run.conclusion or run.status).replace("_", " "),
        title=run.output.title or "",
        summary=render(run.output.summary),
        text=render(run.output.text),
        annotations=tuple(where),
    )


def _events(pull: PullRequest) -> tuple[Event, ...]:
    events = [_review_event(pull, review) for review in pull.reviews if _worth_showing(review)]
    for comment in pull.issue_comments:
        remark = Remark(
            id=comment.id, author=comment.author.login, bot=comment.author.type == "Bot",
            when=when(comment.created_at), body=render(comment.body),
        )  # fmt: skip
        events.append(Event(remark=remark, verdict="commented", tone="calm", comments=0, order=comment.created_at))
    return tuple(sorted(events, key=lambda event: event.order))


def _worth_showing(review: Review) -> bool:
    # A reply makes a review of its own without a body; it is read where it was written.
    return bool(review.body) or review.state != "COMMENTED"


def _review_event(pull: PullRequest, review: Review) -> Event:
    verdicts = {
        "PENDING": ("started a review that nobody else sees yet", "busy"),
        "COMMENTED": ("reviewed", "calm"),
        "APPROVED": ("approved these changes", "good"),
        "CHANGES_REQUESTED": ("requested changes", "bad"),
        "DISMISSED": ("reviewed; the review was dismissed", "calm"),
    }
    verdict, tone = verdicts[review.state]
    order = review.submitted_at or float("inf")
    remark = Remark(
        id=review.id, author=review.author.login, bot=review.author.type == "Bot",
        when=when(review.submitted_at) if review.submitted_at else "", body=render(review.body),
        pending=review.state == "PENDING",
    )  # fmt: skip
    return Event(remark=remark, verdict=verdict, tone=tone, comments=len(pull.comments_of(review)), order=order)


def _file(pull: PullRequest, file: GitFile, places: dict[int, Place]) -> FileView:
    firsts = [comment for comment in pull.comments if comment.path == file.path and comment.in_reply_to is None]
    on_line: dict[tuple[str, int], list[Thread]] = {}
    apart: list[Thread] = []
    talk = 0
    for first in firsts:
        place = places[first.id]
        thread = _thread(pull, first, place)
        talk += len(thread.remarks)
        if place.line is None:
            apart.append(thread)
        else:
            on_line.setdefault((first.side, place.line), []).append(thread)
    rows = _rows(parse_patch(file.hunks.decode("utf-8", "replace")), on_line)
    note = "" if rows else "Renamed without changes." if file.previous_path else "Nothing to show: binary or empty."
    if len(rows) > MAX_SHOWN_LINES:
        note = f"{len(rows) - MAX_SHOWN_LINES} more lines are not shown."
        rows = rows[:MAX_SHOWN_LINES]
    return FileView(
        path=file.path, previous_path=file.previous_path, status=file.status, additions=file.additions,
        deletions=file.deletions, rows=tuple(rows), threads=tuple(apart), note=note, talk=talk,
    )  # fmt: skip


def _rows(hunks: Sequence[PatchHunk], threads: dict[tuple[str, int], list[Thread]]) -> list[Row]:
    tones = {" ": "context", "+": "added", "-": "removed", "\\": "note"}
    rows = []
    for hunk in hunks:
        rows.append(Row(tone="header", old=None, new=None, text=hunk.header))
        for line in hunk.lines:
            below = [
                thread
                for side in ("LEFT", "RIGHT")
                if (number := line.number(side)) is not None
                for thread in threads.get((side, number), ())
            ]
            text = line.text.removesuffix("\r")
            if len(text) > MAX_SHOWN_CHARACTERS:
                text = f"{text[:MAX_SHOWN_CHARACTERS]} … and {len(text) - MAX_SHOWN_CHARACTERS} more characters"
            rows.append(Row(tone=tones[line.kind], old=line.old, new=line.new, text=text, threads=tuple(below)))
    return rows


def _thread(pull: PullRequest, first: ReviewComment, place: Place) -> Thread:
    replies = [comment for comment in pull.comments if comment.in_reply_to == first.id]
    hunk = parse_patch(first.diff_hunk) if place.outdated else ()
    return Thread(
        remarks=tuple(_remark(comment) for comment in (first, *replies)),
        resolved=first.resolved,
        outdated=place.outdated,
        folded=first.minimized,
        hunk=hunk[0].lines[-4:] if hunk else (),
    )


def _remark(comment: ReviewComment) -> Remark:
    several = comment.start_line is not None and comment.in_reply_to is None
    return Remark(
        id=comment.id, author=comment.author.login, bot=comment.author.type == "Bot",
        when=when(comment.created_at), body=render(comment.body), pending=comment.review.state == "PENDING",
        lines=f"Lines {comment.start_line} to {comment.line}" if several else "",
    )  # fmt: skip
