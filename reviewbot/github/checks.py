"""Check runs: made, moved on and found again, with texts cut to what GitHub takes."""

from __future__ import annotations

import msgspec

from reviewbot.github.client import Client, in_repository
from reviewbot.github.models import CheckOutput, CheckRun, Conclusion, OpenStatus

# GitHub's documents say "characters"; counted as UTF-8 bytes they hold whichever way GitHub counts.
# Source: https://docs.github.com/en/rest/checks/runs
TITLE_LIMIT = 255
TEXT_LIMIT = 65_535

_RUNS = "/repos/{owner}/{repo}/check-runs"


class _Change(msgspec.Struct, omit_defaults=True, kw_only=True):
    name: str | None = None
    head_sha: str | None = None
    external_id: str | None = None
    details_url: str | None = None
    status: str | None = None
    conclusion: Conclusion | None = None
    output: CheckOutput | None = None


async def create(
    client: Client,
    repo: str,
    *,
    name: str,
    head_sha: str,
    external_id: str,
    status: OpenStatus = "queued",
    conclusion: Conclusion | None = None,
    output: CheckOutput | None = None,
    details_url: str | None = None,
) -> CheckRun:
    """A new check run. With a `conclusion` it is completed at once. `external_id` is how it is found again."""
    body = _Change(
        name=name,
        head_sha=head_sha,
        external_id=external_id,
        details_url=details_url,
        status="completed" if conclusion else status,
        conclusion=conclusion,
        output=fitted(output),
    )
    return await client.post(_RUNS, in_repository(repo), body, CheckRun)


async def update(
    client: Client,
    repo: str,
    check_run_id: int,
    *,
    status: OpenStatus | None = None,
    conclusion: Conclusion | None = None,
    output: CheckOutput | None = None,
) -> CheckRun:
    """Move a check run on; what is not given stays. With a `conclusion` it is completed."""
    body = _Change(status="completed" if conclusion else status, conclusion=conclusion, output=fitted(output))
    return await client.patch(_RUNS + "/{id}", in_repository(repo, id=check_run_id), body, CheckRun)


async def list_for_ref(client: Client, repo: str, ref: str, *, name: str, app_id: int) -> tuple[CheckRun, ...]:
    """Every check run of that name which the App made for a commit or branch, older ones too."""
    path = "/repos/{owner}/{repo}/commits/{ref}/check-runs{?check_name,app_id,filter,per_page}"
    variables = in_repository(repo, ref=ref, check_name=name, app_id=app_id, filter="all", per_page=100)
    return tuple([run async for run in client.pages(path, variables, CheckRun, key="check_runs")])


def fitted(output: CheckOutput | None) -> CheckOutput | None:
    """`output` within GitHub's limits; what had to be cut says so at its end."""
    if output is None:
        return None
    return CheckOutput(
        title=_cut(output.title, TITLE_LIMIT, "…"),
        summary=_cut(output.summary, TEXT_LIMIT, "\n\n*Cut here: GitHub takes no more.*"),
        text=None if output.text is None else _cut(output.text, TEXT_LIMIT, "\n\n*Cut here: GitHub takes no more.*"),
    )


def _cut(text: str, limit: int, note: str) -> str:
    encoded = text.encode("utf-8", "replace")
    if len(encoded) <= limit:
        return encoded.decode("utf-8")
    kept = encoded[: limit - len(note.encode("utf-8"))]
    return kept.decode("utf-8", "ignore") + note
