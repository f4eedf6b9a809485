"""Check runs: created, updated step by step, and listed by commit.

Limits that the description leaves out: docs.github.com, "REST API endpoints for check runs".
"""

from __future__ import annotations

from functools import partial
from typing import Literal

import msgspec

from reviewbot.demo.answers import Answer, ApiError, invalid, not_found
from reviewbot.demo.api import Call, Endpoint
from reviewbot.demo.git import GitError
from reviewbot.demo.shapes import checks
from reviewbot.demo.state import Annotation, CheckRun, CheckStatus, iso

READ = ("checks=read",)
WRITE = ("checks=write",)
MAX_ANNOTATIONS = 50
MAX_TEXT_CHARACTERS = 65_535
MAX_MESSAGE_BYTES = 64 * 1024
MAX_ANNOTATION_TITLE = 255
MAX_ACTIONS = 3

# "stale" is GitHub's own to give.
Conclusion = Literal["action_required", "cancelled", "failure", "neutral", "success", "skipped", "timed_out"]


class Output(msgspec.Struct):
    """What the check run says; `annotations` are added to those already there."""

    summary: str
    title: str | None = None
    text: str | None = None
    annotations: list[Annotation] = []
    images: list[dict[str, str]] = []


class Action(msgspec.Struct):
    """A button."""

    label: str
    description: str
    identifier: str


class CheckFields(msgspec.Struct, kw_only=True):
    """What creation and update have in common."""

    details_url: str | None = None
    external_id: str | None = None
    status: CheckStatus | None = None
    started_at: str | None = None
    conclusion: Conclusion | None = None
    completed_at: str | None = None
    output: Output | None = None
    actions: list[Action] | None = None


class NewCheckRun(CheckFields, kw_only=True):
    """The body of a creation."""

    name: str
    head_sha: str


class CheckUpdate(CheckFields, kw_only=True):
    """The body of an update."""

    name: str | None = None


async def create_check_run(call: Call) -> Answer:
    """POST …/check-runs."""
    wanted = call.read(NewCheckRun)
    if wanted.output is not None and wanted.output.title is None:
        raise _wrong("output.title", "title is required")
    _check(wanted)
    try:
        sha = await call.repo.git.commit_sha(wanted.head_sha)
    except GitError as error:
        raise ApiError(422, f"No commit found for SHA: {wanted.head_sha}") from error
    now = call.world.now()
    suite = call.world.suite_id(call.repo, sha)
    run = CheckRun(call.world.next_id(), suite, wanted.name, sha, wanted.status or "queued", now)
    run.started_at = iso(now)
    _apply(run, wanted, iso(now))
    call.repo.checks.append(run)
    _tell(call, run, "created")
    if run.status == "completed":
        _tell(call, run, "completed")
    shown = checks.check_run(call.world, call.repo, run)
    return Answer(shown, 201, {"Location": str(shown["url"])})


async def update_check_run(call: Call) -> Answer:
    """PATCH …/check-runs/{check_run_id}."""
    run, wanted = _check_run(call), call.read(CheckUpdate)
    _check(wanted)
    was_completed = run.status == "completed"
    run.name = wanted.name or run.name
    _apply(run, wanted, iso(call.world.now()))
    if run.status == "completed" and not was_completed:
        _tell(call, run, "completed")
    return Answer(checks.check_run(call.world, call.repo, run))


async def get_check_run(call: Call) -> Answer:
    """GET …/check-runs/{check_run_id}."""
    return Answer(checks.check_run(call.world, call.repo, _check_run(call)))


async def list_annotations(call: Call) -> Answer:
    """GET …/check-runs/{check_run_id}/annotations."""
    run = _check_run(call)
    return call.paged(run.output.annotations, partial(checks.annotation, call.world, call.repo, run))


async def list_check_runs(call: Call) -> Answer:
    """GET …/commits/{ref}/check-runs: by default the newest of each name."""
    sha = await call.repo.resolve(call.parameters["ref"])
    if sha is None:
        raise ApiError(422, f"No commit found for SHA: {call.parameters['ref']}")
    name, status, app_id = (call.query.get(key) for key in ("check_name", "status", "app_id"))
    found = [
        run
        for run in reversed(call.repo.checks)
        if run.head_sha == sha
        and name in (None, run.name)
        and status in (None, run.status)
        and app_id in (None, str(call.world.app_id))
    ]
    if call.query.get("filter", "latest") == "latest":
        found = list({run.name: run for run in reversed(found)}.values())
    return call.paged(found, partial(checks.check_run, call.world, call.repo), wrap="check_runs")


def _apply(run: CheckRun, wanted: CheckFields, now: str) -> None:
    run.details_url = wanted.details_url or run.details_url
    run.external_id = wanted.external_id or run.external_id
    run.started_at = wanted.started_at or run.started_at
    # A conclusion completes the run by itself; going back to an open status takes the conclusion away.
    if wanted.conclusion is not None:
        run.status, run.conclusion = "completed", wanted.conclusion
        run.completed_at = wanted.completed_at or now
    elif wanted.status is not None and wanted.status != "completed":
        run.status, run.conclusion, run.completed_at = wanted.status, None, None
    if wanted.actions is not None:
        run.actions = [msgspec.to_builtins(action) for action in wanted.actions]
    if (output := wanted.output) is not None:
        run.output.title = output.title or run.output.title
        run.output.summary = output.summary
        run.output.text = output.text if output.text is not None else run.output.text
        run.output.annotations.extend(output.annotations)


def _check(wanted: CheckFields) -> None:
    if wanted.status == "completed" and wanted.conclusion is None:
        raise _wrong("conclusion", "conclusion is required when status is completed")
    if wanted.conclusion is not None and wanted.status not in (None, "completed"):
        raise _wrong("status", "status must be completed when a conclusion is given")
    _check_actions(wanted.actions or [])
    if (output := wanted.output) is None:
        return
    if len(output.summary) > MAX_TEXT_CHARACTERS or len(output.text or "") > MAX_TEXT_CHARACTERS:
        raise _wrong("output", f"summary and text may have {MAX_TEXT_CHARACTERS} characters at most")
    if len(output.annotations) > MAX_ANNOTATIONS:
        raise _wrong("output.annotations", f"annotations exceeds a maximum quantity of {MAX_ANNOTATIONS}")
    for annotation in output.annotations:
        _check_annotation(annotation)


def _check_annotation(item: Annotation) -> None:
    columns = item.start_column is not None or item.end_column is not None
    if columns and item.start_line != item.end_line:
        raise _wrong("output.annotations", "columns are only for annotations of a single line")
    if item.start_line < 1 or item.end_line < item.start_line:
        raise _wrong("output.annotations", "end_line must not come before start_line")
    if len(item.title or "") > MAX_ANNOTATION_TITLE:
        raise _wrong("output.annotations", f"title is too long (maximum is {MAX_ANNOTATION_TITLE} characters)")
    if any(len(text.encode("utf-8", "replace")) > MAX_MESSAGE_BYTES for text in (item.message, item.raw_details or "")):
        raise _wrong("output.annotations", "message and raw_details may have 64 KB at most")


def _check_actions(actions: list[Action]) -> None:
    if len(actions) > MAX_ACTIONS:
        raise _wrong("actions", f"actions exceeds a maximum quantity of {MAX_ACTIONS}")
    for action in actions:
        if len(action.label) > 20 or len(action.description) > 40 or len(action.identifier) > 20:
            raise _wrong("actions", "label may have 20 characters, description 40 and identifier 20")


def _check_run(call: Call) -> CheckRun:
    wanted = call.number("check_run_id")
    run = next((run for run in call.repo.checks if run.id == wanted), None)
    if run is None:
        raise not_found()
    return run


def _tell(call: Call, run: CheckRun, action: str) -> None:
    call.platform.events.soon(call.platform.events.check_run(call.repo, run, action, call.actor))


def _wrong(field: str, message: str) -> ApiError:
    return invalid("CheckRun", field, message)


_RUNS = "/repos/{owner}/{repo}/check-runs"
ENDPOINTS = (
    Endpoint("POST", _RUNS, create_check_run, WRITE),
    Endpoint("GET", f"{_RUNS}/{{check_run_id}}", get_check_run, READ),
    Endpoint("PATCH", f"{_RUNS}/{{check_run_id}}", update_check_run, WRITE),
    Endpoint("GET", f"{_RUNS}/{{check_run_id}}/annotations", list_annotations, READ),
    Endpoint("GET", "/repos/{owner}/{repo}/commits/{ref*}/check-runs", list_check_runs, READ),
)
