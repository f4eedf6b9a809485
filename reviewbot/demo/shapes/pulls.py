"""Pull requests with their files, commits, reviews and comments, as GitHub's JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from urllib.parse import quote

from reviewbot.demo.answers import Json
from reviewbot.demo.changes import Changes, Place
from reviewbot.demo.git import GitCommit, GitFile
from reviewbot.demo.shapes.accounts import account, app, association, node_id, pulled_repository
from reviewbot.demo.state import (
    IssueComment,
    PullRequest,
    Reaction,
    Repository,
    Review,
    ReviewComment,
    World,
    iso,
)  # fmt: skip

# GitHub leaves the patch out beyond this. docs.github.com: Repository limits, "Diff limits".
MAX_PATCH_LINES = 20_000
MAX_PATCH_BYTES = 500_000
CONTENTS = ("+1", "-1", "laugh", "confused", "heart", "hooray", "rocket", "eyes")


def pull_url(world: World, repo: Repository, pull: PullRequest) -> str:
    """The address of the pull request in the API."""
    return f"{world.api_url}/repos/{repo.full_name}/pulls/{pull.number}"


def pull_page(world: World, repo: Repository, pull: PullRequest) -> str:
    """The address of the pull request's page."""
    return f"{world.html_url}/{repo.full_name}/pull/{pull.number}"


def simple_pull(world: World, repo: Repository, pull: PullRequest) -> Json:
    """`pull-request-simple`: what lists and most deliveries show."""
    api, html = pull_url(world, repo, pull), pull_page(world, repo, pull)
    root = f"{world.api_url}/repos/{repo.full_name}"
    urls = {
        "issue": f"{root}/issues/{pull.number}",
        "comments": f"{root}/issues/{pull.number}/comments",
        "review_comments": f"{api}/comments",
        "review_comment": f"{root}/pulls/comments{{/number}}",
        "commits": f"{api}/commits",
        "statuses": f"{root}/statuses/{pull.head_sha}",
    }
    closed = iso(pull.closed_at) if pull.closed_at is not None else None
    return {
        "url": api,
        "id": pull.id,
        "node_id": node_id("PR", pull.id),
        "html_url": html,
        "diff_url": f"{html}.diff",
        "patch_url": f"{html}.patch",
        **{f"{name}_url": url for name, url in urls.items()},
        "number": pull.number,
        "state": pull.state,
        "locked": False,
        "title": pull.title,
        "user": account(world, pull.author),
        "body": pull.body,
        "created_at": iso(pull.created_at),
        "updated_at": iso(pull.updated_at),
        "closed_at": closed,
        "merged_at": closed if pull.merged else None,
        "merge_commit_sha": pull.head_sha if pull.merged else None,
        "assignee": None,
        "assignees": [],
        "requested_reviewers": [],
        "requested_teams": [],
        "labels": [],
        "milestone": None,
        "draft": pull.draft,
        "head": _end(world, repo, pull, of_head=True),
        "base": _end(world, repo, pull, of_head=False),
        "_links": {name: {"href": url} for name, url in {"self": api, "html": html, **urls}.items()},
        "author_association": association(repo, pull.author),
        "auto_merge": None,
        "active_lock_reason": None,
    }


def full_pull(world: World, repo: Repository, pull: PullRequest, changes: Changes) -> Json:
    """`pull-request`: the simple one and what only a look into git can tell."""
    return simple_pull(world, repo, pull) | {
        "merged": pull.merged,
        "mergeable": None if pull.closed_at else True,
        "rebaseable": None if pull.closed_at else True,
        "mergeable_state": "unknown" if pull.closed_at else "clean",
        "merged_by": account(world, repo.owner) if pull.merged else None,
        "comments": len(pull.issue_comments),
        "review_comments": len(pull.submitted_comments()),
        "maintainer_can_modify": False,
        "commits": len(changes.commits),
        "additions": sum(file.additions for file in changes.files),
        "deletions": sum(file.deletions for file in changes.files),
        "changed_files": len(changes.files),
    }


def file(world: World, repo: Repository, commit: str, item: GitFile) -> Json:
    """`diff-entry`; without `patch` for binary files, pure renames and very large changes."""
    path = quote(item.path)
    html = f"{world.html_url}/{repo.full_name}"
    body: Json = {
        "sha": item.sha,
        "filename": item.path,
        "status": item.status,
        "additions": item.additions,
        "deletions": item.deletions,
        "changes": item.additions + item.deletions,
        "blob_url": f"{html}/blob/{commit}/{quote(item.path, safe='')}",
        "raw_url": f"{html}/raw/{commit}/{quote(item.path, safe='')}",
        "contents_url": f"{world.api_url}/repos/{repo.full_name}/contents/{path}?ref={commit}",
    }
    if item.hunks and len(item.hunks) <= MAX_PATCH_BYTES and item.hunks.count(b"\n") < MAX_PATCH_LINES:
        body["patch"] = item.hunks.decode("utf-8", "replace")
    if item.previous_path is not None:
        body["previous_filename"] = item.previous_path
    return body


def commit(world: World, repo: Repository, item: GitCommit) -> Json:
    """`commit`. Nobody's e-mail address is known to the platform, so `author` and `committer` are null."""
    api, html = f"{world.api_url}/repos/{repo.full_name}", f"{world.html_url}/{repo.full_name}"
    return {
        "sha": item.sha,
        "node_id": node_id("C", int(item.sha[:15], 16)),
        "commit": {
            "author": {"name": item.author_name, "email": item.author_email, "date": item.author_date},
            "committer": {"name": item.committer_name, "email": item.committer_email, "date": item.committer_date},
            "message": item.message,
            "tree": {"sha": item.tree, "url": f"{api}/git/trees/{item.tree}"},
            "url": f"{api}/git/commits/{item.sha}",
            "comment_count": 0,
            "verification": {
                "verified": False, "reason": "unsigned", "signature": None, "payload": None, "verified_at": None,
            },
        },
        "url": f"{api}/commits/{item.sha}",
        "html_url": f"{html}/commit/{item.sha}",
        "comments_url": f"{api}/commits/{item.sha}/comments",
        "author": None,
        "committer": None,
        "parents": [
            {"sha": sha, "url": f"{api}/commits/{sha}", "html_url": f"{html}/commit/{sha}"} for sha in item.parents
        ],
    }  # fmt: skip


def review(world: World, repo: Repository, pull: PullRequest, item: Review) -> Json:
    """`pull-request-review`."""
    html = f"{pull_page(world, repo, pull)}#pullrequestreview-{item.id}"
    body: Json = {
        "id": item.id,
        "node_id": node_id("PRR", item.id),
        "user": account(world, item.author),
        "body": item.body,
        "state": item.state,
        "html_url": html,
        "pull_request_url": pull_url(world, repo, pull),
        "author_association": association(repo, item.author),
        "_links": {"html": {"href": html}, "pull_request": {"href": pull_url(world, repo, pull)}},
        "commit_id": item.commit_id,
    }
    if item.submitted_at is not None:
        body["submitted_at"] = iso(item.submitted_at)
    return body


def comment(world: World, repo: Repository, pull: PullRequest, item: ReviewComment, place: Place) -> Json:
    """`pull-request-review-comment`; `place` is where the commented lines are on the newest diff, if anywhere."""
    api = f"{world.api_url}/repos/{repo.full_name}/pulls/comments/{item.id}"
    html = f"{pull_page(world, repo, pull)}#discussion_r{item.id}"
    body: Json = {
        "url": api,
        "pull_request_review_id": item.review.id,
        "id": item.id,
        "node_id": node_id("PRRC", item.id),
        "diff_hunk": item.diff_hunk,
        "path": item.path,
        "commit_id": item.commit_id if place.outdated else pull.head_sha,
        "original_commit_id": item.commit_id,
        "user": account(world, item.author),
        "body": item.body,
        "created_at": iso(item.created_at),
        "updated_at": iso(item.updated_at),
        "html_url": html,
        "pull_request_url": pull_url(world, repo, pull),
        "author_association": association(repo, item.author),
        "_links": {
            "self": {"href": api}, "html": {"href": html}, "pull_request": {"href": pull_url(world, repo, pull)},
        },
        "reactions": reactions(api, item.reactions),
        "start_line": place.start_line,
        "original_start_line": item.start_line,
        "start_side": item.start_side,
        "side": item.side,
        "subject_type": "file" if item.line is None else "line",
    }  # fmt: skip
    body |= {"line": place.line, "original_line": item.line} if item.line is not None else {}
    body |= {"position": place.position if item.line is not None else 1, "original_position": item.position or 1}
    if item.in_reply_to is not None:
        body["in_reply_to_id"] = item.in_reply_to
    return body


def issue_comment(world: World, repo: Repository, pull: PullRequest, item: IssueComment) -> Json:
    """`issue-comment`."""
    api = f"{world.api_url}/repos/{repo.full_name}/issues"
    return {
        "url": f"{api}/comments/{item.id}",
        "html_url": f"{pull_page(world, repo, pull)}#issuecomment-{item.id}",
        "issue_url": f"{api}/{pull.number}",
        "id": item.id,
        "node_id": node_id("IC", item.id),
        "user": account(world, item.author),
        "created_at": iso(item.created_at),
        "updated_at": iso(item.updated_at),
        "body": item.body,
        "author_association": association(repo, item.author),
        "reactions": reactions(f"{api}/comments/{item.id}", item.reactions),
        "performed_via_github_app": app(world) if item.author is world.bot else None,
    }


def issue(world: World, repo: Repository, pull: PullRequest) -> Json:
    """The issue side of a pull request, as deliveries of comments show it."""
    root = f"{world.api_url}/repos/{repo.full_name}"
    api, html = f"{root}/issues/{pull.number}", pull_page(world, repo, pull)
    closed = iso(pull.closed_at) if pull.closed_at is not None else None
    return {
        "url": api,
        "repository_url": root,
        "labels_url": f"{api}/labels{{/name}}",
        "comments_url": f"{api}/comments",
        "events_url": f"{api}/events",
        "html_url": html,
        "id": pull.id,
        "node_id": node_id("PR", pull.id),
        "number": pull.number,
        "title": pull.title,
        "user": account(world, pull.author),
        "labels": [],
        "state": pull.state,
        "locked": False,
        "assignee": None,
        "assignees": [],
        "milestone": None,
        "comments": len(pull.issue_comments),
        "created_at": iso(pull.created_at),
        "updated_at": iso(pull.updated_at),
        "closed_at": closed,
        "author_association": association(repo, pull.author),
        "active_lock_reason": None,
        "draft": pull.draft,
        "pull_request": {
            "url": pull_url(world, repo, pull), "html_url": html, "diff_url": f"{html}.diff",
            "patch_url": f"{html}.patch", "merged_at": closed if pull.merged else None,
        },
        "body": pull.body,
        "reactions": reactions(api, ()),
    }  # fmt: skip


def reaction(world: World, item: Reaction) -> Json:
    """`reaction`."""
    return {
        "id": item.id,
        "node_id": node_id("REA", item.id),
        "user": account(world, item.account),
        "content": item.content,
        "created_at": iso(item.created_at),
    }


def reactions(url: str, items: Sequence[Reaction]) -> Json:
    """`reaction-rollup`."""
    counted = Counter(item.content for item in items)
    return {"url": f"{url}/reactions", "total_count": len(items), **{name: counted[name] for name in CONTENTS}}


def _end(world: World, repo: Repository, pull: PullRequest, *, of_head: bool) -> Json:
    fork = pull.fork if of_head else None
    owner = fork.owner if fork else repo.owner
    ref, sha = (pull.head_ref, pull.head_sha) if of_head else (pull.base_ref, pull.base_sha)
    return {
        "label": f"{owner.login}:{ref}",
        "ref": ref,
        "sha": sha,
        "user": account(world, owner),
        "repo": pulled_repository(world, repo, fork),
    }
