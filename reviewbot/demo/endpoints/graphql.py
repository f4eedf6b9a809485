"""The few GraphQL queries and mutations that REST has no counterpart for: review threads and folded comments."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache, partial
from importlib.resources import files
from typing import TypeVar

import graphql
import msgspec

from reviewbot.demo.answers import Answer, Json
from reviewbot.demo.api import Call, Endpoint, identifier
from reviewbot.demo.changes import place_of
from reviewbot.demo.shapes.accounts import node_id
from reviewbot.demo.state import IssueComment, PullRequest, Repository, ReviewComment

MAX_NODES = 100

T = TypeVar("T")


class Query(msgspec.Struct):
    """The body of a request."""

    query: str
    variables: dict[str, object] | None = None
    operationName: str | None = None  # GraphQL over HTTP spells it so


class Refused(Exception):
    """An error of GitHub's own kind; it names the kind in `type`, beside the message."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


async def answer_query(call: Call) -> Answer:
    """POST /graphql: 200 even for errors, which stand beside whatever data there is."""
    wanted = call.read(Query)
    result = await graphql.graphql(
        _schema(),
        wanted.query,
        root_value=_root(call),
        variable_values=wanted.variables,
        operation_name=wanted.operationName,
    )
    body: Json = {"data": result.data}
    if result.errors:
        body["errors"] = [_error(error) for error in result.errors]
    return Answer(body)


@cache
def _schema() -> graphql.GraphQLSchema:
    return graphql.build_schema(files(__package__).joinpath("schema.graphql").read_text())


def _root(call: Call) -> dict[str, Callable[..., object]]:
    return {
        "repository": partial(_repository, call),
        "resolveReviewThread": partial(_set_resolved, call, resolved=True),
        "unresolveReviewThread": partial(_set_resolved, call, resolved=False),
        "minimizeComment": partial(_minimize, call),
    }


def _repository(call: Call, _info: object, owner: str, name: str) -> Json:
    repo = call.world.repository(f"{owner}/{name}")
    if repo is None or not call.caller.reaches(repo):
        raise Refused("NOT_FOUND", f"Could not resolve to a Repository with the name '{owner}/{name}'.")
    return {
        "id": node_id("R", repo.id),
        "nameWithOwner": repo.full_name,
        "pullRequest": partial(_pull_request, call, repo),
    }


def _pull_request(call: Call, repo: Repository, _info: object, number: int) -> Json:
    pull = repo.pulls.get(number)
    if pull is None:
        raise Refused("NOT_FOUND", f"Could not resolve to a PullRequest with the number of {number}.")
    return {
        "id": node_id("PR", pull.id),
        "number": number,
        "headRefOid": pull.head_sha,
        "reviewThreads": partial(_threads, repo, pull),
    }


async def _threads(
    repo: Repository, pull: PullRequest, _info: object, first: int | None = None, after: str | None = None
) -> Json:
    firsts = [comment for comment in pull.submitted_comments() if comment.in_reply_to is None]
    shown, connection = _connection(firsts, first, after)
    return {**connection, "nodes": [await _thread(repo, pull, comment) for comment in shown]}


async def _thread(repo: Repository, pull: PullRequest, first_comment: ReviewComment) -> Json:
    place = await place_of(repo, pull, first_comment)
    return {
        "id": node_id("PRRT", first_comment.id),
        "isResolved": first_comment.resolved,
        "isOutdated": place.outdated,
        "path": first_comment.path,
        "line": place.line,
        "comments": partial(_comments, pull.thread(first_comment)),
    }


def _comments(
    thread: Sequence[ReviewComment], _info: object, first: int | None = None, after: str | None = None
) -> Json:
    shown, connection = _connection(thread, first, after)
    nodes = [
        {
            "id": node_id("PRRC", comment.id),
            "databaseId": comment.id,
            "body": comment.body,
            "isMinimized": comment.minimized is not None,
            "minimizedReason": comment.minimized,
            "author": {"login": comment.author.login},
        }
        for comment in shown
    ]
    return {**connection, "nodes": nodes}


async def _set_resolved(call: Call, _info: object, *, resolved: bool, **arguments: dict[str, str]) -> Json:
    # With pull_requests:write alone GitHub answers FORBIDDEN, though the mutation is about a pull request.
    _demand(call, "contents", "pull_requests")
    wanted = arguments["input"]
    for repo in _within_reach(call):
        for pull in repo.pulls.values():
            for comment in pull.submitted_comments():
                if comment.in_reply_to is None and node_id("PRRT", comment.id) == wanted["threadId"]:
                    comment.resolved = resolved
                    telling = call.platform.events.review_thread(repo, pull, pull.thread(comment), call.actor)
                    call.platform.events.soon(telling)
                    thread = await _thread(repo, pull, comment)
                    return {"thread": thread, "clientMutationId": wanted.get("clientMutationId")}
    raise Refused("NOT_FOUND", f"Could not resolve to a node with the global id of '{wanted['threadId']}'")


def _minimize(call: Call, _info: object, **arguments: dict[str, str]) -> Json:
    _demand(call, "pull_requests")
    wanted = arguments["input"]
    for repo in _within_reach(call):
        for pull in repo.pulls.values():
            found: list[tuple[str, ReviewComment | IssueComment]] = [("PRRC", item) for item in pull.comments]
            found += [("IC", item) for item in pull.issue_comments]
            for prefix, item in found:
                if node_id(prefix, item.id) == wanted["subjectId"]:
                    item.minimized = wanted["classifier"].lower().replace("_", "-")
                    shown = {"isMinimized": True, "minimizedReason": item.minimized}
                    return {"minimizedComment": shown, "clientMutationId": wanted.get("clientMutationId")}
    raise Refused("NOT_FOUND", f"Could not resolve to a node with the global id of '{wanted['subjectId']}'")


def _connection(items: Sequence[T], first: int | None, after: str | None) -> tuple[Sequence[T], Json]:
    if first is None or not 1 <= first <= MAX_NODES:
        raise Refused("MISSING_PAGINATION_BOUNDARIES", f"You must provide a `first` value of 1 to {MAX_NODES}.")
    start = identifier(after or "") or 0
    end = min(start + first, len(items))
    page = {"hasNextPage": end < len(items), "endCursor": str(end)}
    return items[start:end], {"pageInfo": page, "totalCount": len(items)}


def _within_reach(call: Call) -> list[Repository]:
    return [repo for repo in call.world.repositories.values() if call.caller.reaches(repo)]


def _demand(call: Call, *permissions: str) -> None:
    if not all(call.caller.may(permission, "write") for permission in permissions):
        raise Refused("FORBIDDEN", "Resource not accessible by integration")


def _error(error: graphql.GraphQLError) -> Json:
    shown: Json = dict(error.formatted)
    if isinstance(error.original_error, Refused):
        shown["type"] = error.original_error.kind
    return shown


ENDPOINTS = (Endpoint("POST", "/graphql", answer_query),)
