"""Check runs of the stand-in, with the limits that GitHub's description leaves out."""

from __future__ import annotations

from typing import Any

import pytest

from tests.demo.hub import REPO, Commits, Hub

RUNS = f"/repos/{REPO}/check-runs"


def remark(**fields: Any) -> dict[str, Any]:
    return {
        "path": "src/app.py", "start_line": 1, "end_line": 1, "annotation_level": "warning", "message": "m", **fields,
    }  # fmt: skip


async def start(hub: Hub, commits: Commits, **fields: Any) -> Any:
    reply = await hub.call("POST", RUNS, json={"name": "ReviewBot", "head_sha": commits.head, **fields})
    assert reply.status == 201, reply
    return reply.json


async def test_a_check_run_goes_from_queued_to_completed(hub: Hub, commits: Commits) -> None:
    await hub.open()
    run = await start(hub, commits, external_id="job-1")
    assert (run["status"], run["conclusion"], run["external_id"]) == ("queued", None, "job-1")
    assert [pull["number"] for pull in run["pull_requests"]] == [1]
    path = f"{RUNS}/{run['id']}"
    assert (await hub.call("PATCH", path, json={"status": "in_progress"})).json["status"] == "in_progress"
    output = {"title": "2 findings", "summary": "Look"}
    done = (await hub.call("PATCH", path, json={"conclusion": "neutral", "output": output})).json
    assert (done["status"], done["conclusion"], done["output"]["title"]) == ("completed", "neutral", "2 findings")
    assert done["completed_at"] is not None
    again = (await hub.call("PATCH", path, json={"status": "in_progress"})).json
    assert (again["conclusion"], again["completed_at"]) == (None, None)
    assert (await hub.get(path))["id"] == run["id"]


async def test_annotations_are_appended_by_every_update(hub: Hub, commits: Commits) -> None:
    run = await start(hub, commits)
    path = f"{RUNS}/{run['id']}"
    body = {"output": {"title": "t", "summary": "s", "annotations": [remark()] * 50}}
    for expected in (50, 100):
        assert (await hub.call("PATCH", path, json=body)).json["output"]["annotations_count"] == expected
    assert len(await hub.get(f"{path}/annotations?per_page=100")) == 100


@pytest.mark.parametrize(
    "fields",
    [
        {"status": "completed"},
        {"status": "waiting"},
        {"conclusion": "stale"},
        {"status": "queued", "conclusion": "success"},
        {"output": {"title": "t"}},
        {"output": {"summary": "s"}},
        {"output": {"title": "t", "summary": "s" * 65_536}},
        {"output": {"title": "t", "summary": "s", "text": "x" * 65_536}},
        {"output": {"title": "t", "summary": "s", "annotations": [remark()] * 51}},
        {"output": {"title": "t", "summary": "s", "annotations": [remark(title="x" * 256)]}},
        {"output": {"title": "t", "summary": "s", "annotations": [remark(message="x" * 65_537)]}},
        {"output": {"title": "t", "summary": "s", "annotations": [remark(end_line=2, start_column=1)]}},
        {"output": {"title": "t", "summary": "s", "annotations": [remark(start_line=3)]}},
        {"actions": [{"label": "l", "description": "d", "identifier": "i"}] * 4},
        {"actions": [{"label": "l" * 21, "description": "d", "identifier": "i"}]},
        {"head_sha": "0" * 40},
        {"name": None},
    ],
)
async def test_a_check_run_beyond_github_s_limits_is_refused_with_422(
    hub: Hub, commits: Commits, fields: dict[str, Any]
) -> None:
    reply = await hub.call("POST", RUNS, json={"name": "ReviewBot", "head_sha": commits.head, **fields})
    assert reply.status == 422, reply
    assert hub.standin.check_runs(REPO) == []


async def test_check_runs_of_a_commit_are_the_newest_of_each_name(hub: Hub, commits: Commits) -> None:
    await hub.open()
    first, second = await start(hub, commits), await start(hub, commits)
    other = await start(hub, commits, name="Other", status="completed", conclusion="success")

    async def ids(query: str = "", ref: str = commits.head) -> list[int]:
        return sorted(
            run["id"] for run in (await hub.get(f"/repos/{REPO}/commits/{ref}/check-runs{query}"))["check_runs"]
        )

    assert await ids() == [second["id"], other["id"]]
    assert await ids("?filter=all") == [first["id"], second["id"], other["id"]]
    assert await ids("?check_name=Other") == [other["id"]]
    assert await ids("?status=completed&app_id=7") == [other["id"]]
    assert await ids("?app_id=8") == []
    assert await ids(ref="refs%2Fpull%2F1%2Fhead") == await ids()


async def test_a_check_run_on_a_fork_s_commit_names_no_pull_request(hub: Hub, commits: Commits) -> None:
    await hub.open(fork=True)
    assert (await start(hub, commits))["pull_requests"] == []


async def test_a_rerun_is_told_to_the_app(hub: Hub, commits: Commits) -> None:
    await hub.open()
    run = await start(hub, commits)
    await hub.standin.settle()
    await hub.standin.rerequest_check_run(REPO, run["id"])
    await hub.standin.rerequest_check_suite(REPO, 1)
    assert hub.events()[-2:] == ["check_run.rerequested", "check_suite.rerequested"]
