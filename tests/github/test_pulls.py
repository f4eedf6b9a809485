"""Reading pull requests: what a caller gets for each thing that GitHub may answer."""

from __future__ import annotations

import base64
from datetime import UTC, datetime

import pytest

from reviewbot.errors import GitHubRefused, GitHubUnavailable
from reviewbot.github import pulls
from reviewbot.github.client import Client
from reviewbot.github.models import Branch, RepositoryRef, User
from tests.github.scripted import Answer, ScriptedGitHub

PULL = "/repos/octo/spoon/pulls/3"
FILES = PULL + "/files?per_page=100"
DIFF = {"content-type": "application/vnd.github.v3.diff; charset=utf-8"}
CONTENT = "/repos/octo/spoon/contents/src%2Fa.py?ref=abc"
BLOB_TOO_LARGE = {"resource": "Blob", "field": "data", "code": "too_large"}


def entry(name: str, **more: object) -> dict[str, object]:
    counts = {"status": "modified", "additions": 1, "deletions": 0, "changes": 1}
    return {"filename": name, "sha": "f" * 40, **counts, **more}


async def test_a_pull_request_is_read_with_its_ends_and_counts(fake: ScriptedGitHub, client: Client) -> None:
    fake.script(
        "GET",
        PULL,
        Answer(
            {
                "number": 3,
                "title": "T",
                "body": None,
                "state": "open",
                "draft": True,
                "merged": False,
                "head": {"ref": "topic", "sha": "a" * 40, "repo": None, "label": "x"},
                "base": {"ref": "main", "sha": "b" * 40, "repo": {"id": 7, "full_name": "octo/spoon"}},
                "user": {"login": "ada", "id": 5, "type": "User", "unknown": [1]},
                "html_url": "https://github.com/octo/spoon/pull/3",
                "updated_at": "2026-11-01T10:00:00Z",
                "changed_files": 2,
                "additions": 10,
                "deletions": 4,
            }
        ),
    )
    pull = await pulls.get_pull(client, "octo/spoon", 3)
    assert pull.head == Branch("topic", "a" * 40, None)
    assert pull.base == Branch("main", "b" * 40, RepositoryRef(7, "octo/spoon"))
    assert pull.user == User("ada", 5, "User")
    assert pull.updated_at == datetime(2026, 11, 1, 10, tzinfo=UTC)
    assert (pull.draft, pull.merged, pull.changed_files, pull.additions, pull.deletions) == (True, False, 2, 10, 4)


async def test_a_diff_that_is_not_utf8_arrives_byte_for_byte(fake: ScriptedGitHub, client: Client) -> None:
    raw = b"diff --git a/x b/x\n+caf\xe9 \xff\xfe\x00\r\n"
    fake.script("GET", PULL, Answer(raw, headers=DIFF))
    assert await pulls.changed_files(client, "octo/spoon", 3) == raw
    assert fake.seen[-1].headers["accept"] == "application/vnd.github.diff"


async def test_a_diff_too_large_for_github_is_replaced_by_the_list_of_files(
    fake: ScriptedGitHub, client: Client
) -> None:
    sorry = {
        "message": "Sorry, the diff exceeded the maximum number of files (300).",
        "errors": [{"resource": "PullRequest", "field": "diff", "code": "too_large"}],
    }
    link = {"link": f'<{fake.url}/repositories/7/pulls/3/files?page=2>; rel="next"'}
    fake.script("GET", PULL, Answer(sorry, status=406))
    fake.script("GET", FILES, Answer([entry("a", patch="@@ -0,0 +1 @@\n+x"), entry("logo.png")], headers=link))
    fake.script("GET", "/repositories/7/pulls/3/files?page=2", Answer([entry("c", previous_filename="b")]))
    found = await pulls.changed_files(client, "octo/spoon", 3)
    assert isinstance(found, tuple)
    assert [(file.filename, file.patch, file.previous_filename) for file in found] == [
        ("a", "@@ -0,0 +1 @@\n+x", None),
        ("logo.png", None, None),
        ("c", None, "b"),
    ]


async def test_a_diff_too_large_for_us_is_replaced_by_the_list_of_files_too(
    fake: ScriptedGitHub, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pulls, "DIFF_LIMIT", 10)
    fake.script("GET", PULL, Answer(b"x" * 11, headers=DIFF))
    fake.script("GET", FILES, Answer([entry("a")]))
    assert len(await pulls.changed_files(client, "octo/spoon", 3)) == 1


async def test_a_pull_request_that_is_gone_has_no_files_to_fall_back_on(fake: ScriptedGitHub, client: Client) -> None:
    with pytest.raises(GitHubRefused) as caught:
        await pulls.changed_files(client, "octo/spoon", 3)
    assert caught.value.status == 404
    assert fake.requests("GET", FILES) == []


async def test_a_file_is_read_at_a_commit(fake: ScriptedGitHub, client: Client) -> None:
    raw = b"caf\xe9\r\n" * 20
    found = {"type": "file", "size": len(raw), "encoding": "base64", "content": base64.encodebytes(raw).decode()}
    fake.script("GET", CONTENT, Answer(found))
    assert await pulls.file_content(client, "octo/spoon", "src/a.py", "abc", limit=1000) == raw


async def test_a_file_over_one_megabyte_is_read_raw(fake: ScriptedGitHub, client: Client) -> None:
    raw = b"x" * 1_500_000
    found = {"type": "file", "size": len(raw), "encoding": "none", "content": ""}
    headers = {"content-type": "application/vnd.github.raw+json; charset=utf-8"}
    fake.script("GET", CONTENT, Answer(found), Answer(raw, headers=headers))
    assert await pulls.file_content(client, "octo/spoon", "src/a.py", "abc", limit=2_000_000) == raw
    assert fake.seen[-1].headers["accept"] == "application/vnd.github.raw"


@pytest.mark.parametrize(
    "answer",
    [
        Answer({"message": "Not Found"}, status=404),
        Answer({"type": "dir", "size": 0, "entries": []}),
        Answer({"type": "symlink", "size": 4, "target": "/etc"}),
        Answer({"type": "submodule", "size": 0, "submodule_git_url": "git://x/y"}),
        Answer({"type": "file", "size": 0, "submodule_git_url": "git://x/y"}),
        Answer({"type": "file", "size": 1001, "encoding": "base64", "content": "aGk="}),
        Answer({"message": "Up to 100 MB", "errors": [BLOB_TOO_LARGE]}, status=403),
    ],
)
async def test_what_is_no_file_of_that_size_is_none(fake: ScriptedGitHub, client: Client, answer: Answer) -> None:
    fake.script("GET", CONTENT, answer)
    assert await pulls.file_content(client, "octo/spoon", "src/a.py", "abc", limit=1000) is None


async def test_content_that_is_not_base64_is_githubs_fault(fake: ScriptedGitHub, client: Client) -> None:
    fake.script("GET", CONTENT, Answer({"type": "file", "size": 2, "encoding": "base64", "content": "a"}))
    with pytest.raises(GitHubUnavailable, match="base64"):
        await pulls.file_content(client, "octo/spoon", "src/a.py", "abc", limit=1000)


async def test_two_commits_are_compared_and_a_full_list_of_files_is_not_trusted(
    fake: ScriptedGitHub, client: Client
) -> None:
    found = {"status": "ahead", "ahead_by": 2, "behind_by": 0, "total_commits": 2, "merge_base_commit": {"sha": "m"}}
    target = "/repos/octo/spoon/compare/aaa...fork%3Atopic%2Fx"
    fake.script("GET", target, Answer({**found, "files": [entry(str(number)) for number in range(299)]}))
    few = await pulls.compare(client, "octo/spoon", "aaa", "fork:topic/x")
    assert (few.merge_base_commit.sha, few.ahead_by, few.may_lack_files) == ("m", 2, False)
    fake.script("GET", target, Answer({**found, "files": [entry(str(number)) for number in range(300)]}))
    assert (await pulls.compare(client, "octo/spoon", "aaa", "fork:topic/x")).may_lack_files


@pytest.mark.parametrize(
    ("answer", "may_write"),
    [
        (Answer({"permission": "admin", "role_name": "maintain", "user": None}), True),
        (Answer({"permission": "write", "role_name": "write", "user": None}), True),
        (Answer({"permission": "read", "role_name": "triage", "user": None}), False),
        (Answer({"permission": "none", "role_name": "", "user": None}), False),
        (Answer({"message": "x is not a user"}, status=404), False),
    ],
)
async def test_only_who_may_write_may_command(
    fake: ScriptedGitHub, client: Client, answer: Answer, may_write: bool
) -> None:
    fake.script("GET", "/repos/octo/spoon/collaborators/some%5Bbot%5D/permission", answer)
    assert (await pulls.permission(client, "octo/spoon", "some[bot]")).may_write is may_write
