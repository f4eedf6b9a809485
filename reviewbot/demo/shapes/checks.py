"""Check runs and check suites, as GitHub's JSON."""

from __future__ import annotations

from reviewbot.demo.answers import Json
from reviewbot.demo.git import GitCommit
from reviewbot.demo.shapes.accounts import app, node_id
from reviewbot.demo.state import Annotation, CheckRun, PullRequest, Repository, World, iso


def check_run(world: World, repo: Repository, run: CheckRun) -> Json:
    """`check-run`."""
    api = f"{world.api_url}/repos/{repo.full_name}/check-runs/{run.id}"
    html = f"{world.html_url}/{repo.full_name}/runs/{run.id}"
    return {
        "id": run.id,
        "node_id": node_id("CR", run.id),
        "head_sha": run.head_sha,
        "external_id": run.external_id or "",
        "url": api,
        "html_url": html,
        "details_url": run.details_url or html,
        "status": run.status,
        "conclusion": run.conclusion,
        "started_at": run.started_at,
        "completed_at": run.completed_at,
        "output": {
            "title": run.output.title,
            "summary": run.output.summary,
            "text": run.output.text,
            "annotations_count": len(run.output.annotations),
            "annotations_url": f"{api}/annotations",
        },
        "name": run.name,
        "check_suite": {"id": run.suite_id},
        "app": app(world),
        "pull_requests": [minimal_pull(world, repo, pull) for pull in pulls_on(repo, run.head_sha)],
    }


def hooked_check_run(world: World, repo: Repository, run: CheckRun, commit: GitCommit) -> Json:
    """A check run as a delivery shows it: with its whole suite."""
    return check_run(world, repo, run) | {"check_suite": check_suite(world, repo, run.head_sha, commit)}


def check_suite(world: World, repo: Repository, head_sha: str, commit: GitCommit) -> Json:
    """The App's suite on a commit. For a commit from a fork there is no branch and no pull request."""
    suite_id = world.suite_id(repo, head_sha)
    pulls = pulls_on(repo, head_sha)
    runs = [run for run in repo.checks if run.suite_id == suite_id]
    done = bool(runs) and all(run.status == "completed" for run in runs)
    return {
        "id": suite_id,
        "node_id": node_id("CS", suite_id),
        "head_branch": pulls[0].head_ref if pulls else None,
        "head_sha": head_sha,
        "status": "completed" if done else "queued",
        "conclusion": runs[-1].conclusion if done else None,
        "url": f"{world.api_url}/repos/{repo.full_name}/check-suites/{suite_id}",
        "before": commit.parents[0] if commit.parents else None,
        "after": head_sha,
        "pull_requests": [minimal_pull(world, repo, pull) for pull in pulls],
        "app": app(world),
        "created_at": iso(repo.created_at),
        "updated_at": iso(world.now()),
        "rerequestable": True,
        "runs_rerequestable": True,
        "latest_check_runs_count": len(runs),
        "check_runs_url": f"{world.api_url}/repos/{repo.full_name}/check-suites/{suite_id}/check-runs",
        "head_commit": {
            "id": commit.sha,
            "tree_id": commit.tree,
            "message": commit.message,
            "timestamp": commit.committer_date,
            "author": {"name": commit.author_name, "email": commit.author_email},
            "committer": {"name": commit.committer_name, "email": commit.committer_email},
        },
    }


def annotation(world: World, repo: Repository, run: CheckRun, item: Annotation) -> Json:
    """`check-annotation`."""
    return {
        "path": item.path,
        "blob_href": f"{world.html_url}/{repo.full_name}/blob/{run.head_sha}/{item.path}",
        "start_line": item.start_line,
        "end_line": item.end_line,
        "start_column": item.start_column,
        "end_column": item.end_column,
        "annotation_level": item.annotation_level,
        "title": item.title,
        "message": item.message,
        "raw_details": item.raw_details,
    }


def minimal_pull(world: World, repo: Repository, pull: PullRequest) -> Json:
    """`pull-request-minimal`."""
    url = f"{world.api_url}/repos/{repo.full_name}"
    place = {"id": repo.id, "url": url, "name": repo.name}
    return {
        "url": f"{url}/pulls/{pull.number}",
        "id": pull.id,
        "number": pull.number,
        "head": {"ref": pull.head_ref, "sha": pull.head_sha, "repo": place},
        "base": {"ref": pull.base_ref, "sha": pull.base_sha, "repo": place},
    }


def pulls_on(repo: Repository, head_sha: str) -> list[PullRequest]:
    """The open pull requests of the repository's own branches at that commit; those of forks are left out."""
    return [
        pull
        for pull in repo.pulls.values()
        if pull.head_sha == head_sha and pull.fork is None and pull.closed_at is None
    ]
