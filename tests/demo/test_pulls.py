"""Pull requests, their diff and files, and what git holds, as the stand-in tells of them."""

from __future__ import annotations

import base64

from tests.demo.hub import APP_PY_NEW, INSTALLATION, ODD_NAME_READ, REPO, Commits, Hub

PULL = f"/repos/{REPO}/pulls/1"
DIFF = {"Accept": "application/vnd.github.v3.diff"}


async def test_a_pull_request_tells_where_it_comes_from_and_how_much_it_changes(hub: Hub, commits: Commits) -> None:
    await hub.open(body="Please look", author="mia")
    pull = await hub.get(PULL)
    assert (pull["head"]["sha"], pull["head"]["ref"]) == (commits.head, "topic")
    assert (pull["base"]["sha"], pull["base"]["ref"]) == (commits.base, "main")
    assert (pull["commits"], pull["changed_files"], pull["user"]["login"]) == (1, 9, "mia")
    assert (pull["additions"], pull["deletions"]) == (7, 3)


async def test_a_fork_s_pull_request_names_the_fork(hub: Hub) -> None:
    await hub.open(fork=True, author="stranger")
    head = (await hub.get(PULL))["head"]
    assert (head["label"], head["repo"]["full_name"], head["repo"]["fork"]) == ("stranger:topic", "stranger/shop", True)


async def test_pull_requests_are_listed_by_state_and_branch(hub: Hub) -> None:
    await hub.open()
    await hub.open("forced")
    await hub.standin.close(REPO, 1)

    async def numbers(query: str) -> list[int]:
        return [pull["number"] for pull in await hub.get(f"/repos/{REPO}/pulls{query}")]

    assert await numbers("") == [2]
    assert await numbers("?state=closed") == [1]
    assert await numbers("?state=all") == [2, 1]
    assert await numbers("?state=all&direction=asc") == [1, 2]
    assert await numbers("?state=all&head=acme:topic") == [1]
    assert (await hub.call("GET", f"/repos/{REPO}/pulls?state=odd")).status == 422


async def test_the_diff_keeps_bytes_of_any_encoding_and_quotes_odd_names(hub: Hub) -> None:
    await hub.open()
    for accept in ("application/vnd.github.v3.diff", "application/vnd.github.diff"):
        reply = await hub.call("GET", PULL, headers={"Accept": accept})
        assert reply.headers["Content-Type"] == "application/vnd.github.v3.diff; charset=utf-8"
        assert b"+caf\xe9\n" in reply.content
        assert b'"b/docs/na\\303\\257ve \\"draft\\".txt"' in reply.content
        assert b"Subproject commit 1234567890" in reply.content


async def test_files_tell_status_and_patch_and_leave_the_patch_out_where_there_is_none(hub: Hub) -> None:
    await hub.open()
    files = {item["filename"]: item for item in await hub.get(f"{PULL}/files")}
    assert {name: item["status"] for name, item in files.items()} == {
        ODD_NAME_READ: "added", "gone.txt": "removed", "latin1.txt": "added", "link": "added", "logo.png": "added",
        "new.py": "added", "renamed.txt": "renamed", "src/app.py": "modified", "vendored": "added",
    }  # fmt: skip
    assert "patch" not in files["logo.png"]
    assert "patch" not in files["renamed.txt"]
    assert files["renamed.txt"]["previous_filename"] == "old name.txt"
    assert files["latin1.txt"]["patch"] == "@@ -0,0 +1 @@\n+caf\ufffd"
    assert files[ODD_NAME_READ]["patch"].endswith("+no newline at the end\n\\ No newline at end of file")
    assert (files["src/app.py"]["additions"], files["src/app.py"]["deletions"]) == (2, 2)


async def test_a_diff_beyond_github_s_limits_is_406_too_large_while_files_still_answer(hub: Hub) -> None:
    await hub.open("many")
    await hub.open("huge")
    for number, reason in ((1, "maximum number of files (300)"), (2, "maximum number of lines (20000)")):
        reply = await hub.call("GET", f"/repos/{REPO}/pulls/{number}", headers=DIFF)
        assert reply.status == 406
        assert reason in reply.json["message"]
        assert reply.json["errors"] == [{"resource": "PullRequest", "field": "diff", "code": "too_large"}]
    huge = await hub.get(f"/repos/{REPO}/pulls/2/files")
    assert [(item["filename"], "patch" in item) for item in huge] == [("huge.txt", False), ("wide.txt", False)]


async def test_lists_come_in_pages_linked_on_the_stand_in_s_own_host(hub: Hub) -> None:
    await hub.open("many")
    repo_id = hub.standin.repository(REPO).id
    reply = await hub.call("GET", f"{PULL}/files?per_page=100&page=2")
    assert len(reply.json) == 100
    root = f"{hub.url}/repositories/{repo_id}/pulls/1/files?per_page=100"
    parts = (part.split("; rel=") for part in reply.headers["Link"].split(", "))
    links = {relation: target for target, relation in parts}
    assert links == {
        '"prev"': f"<{root}&page=1>", '"next"': f"<{root}&page=3>", '"last"': f"<{root}&page=4>",
        '"first"': f"<{root}&page=1>",
    }  # fmt: skip
    following = await hub.call("GET", links['"last"'].strip("<>"))
    assert [item["filename"] for item in following.json] == ["many/300.txt"]
    assert '"next"' not in following.headers["Link"]
    assert len(await hub.get(f"{PULL}/files?per_page=5000")) == 100


async def test_a_number_that_no_id_can_have_is_404(hub: Hub) -> None:
    for number in ("x", "-1", "²", "9" * 5000):
        assert (await hub.call("GET", f"/repos/{REPO}/pulls/{number}")).status == 404
        assert (await hub.call("GET", f"/repositories/{number}/pulls/1")).status == 404


async def test_commits_are_listed_oldest_first(hub: Hub, commits: Commits) -> None:
    await hub.open("later")
    listed = await hub.get(f"{PULL}/commits")
    assert [item["sha"] for item in listed] == [commits.head, commits.later]
    assert listed[0]["commit"]["message"] == "Change much"
    assert listed[0]["commit"]["author"]["date"] == "2023-11-16T22:13:20Z"


async def test_an_unchanged_answer_is_304_and_costs_nothing(hub: Hub) -> None:
    await hub.open()
    first = await hub.call("GET", PULL)
    again = await hub.call("GET", PULL, headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status, again.content) == (304, b"")
    assert again.headers["X-RateLimit-Remaining"] == first.headers["X-RateLimit-Remaining"]
    changed = await hub.call("GET", PULL, headers={"If-None-Match": first.headers["ETag"], **DIFF})
    assert changed.status == 200


async def test_the_rate_limit_counts_down_to_403_and_starts_again(hub: Hub) -> None:
    hub.standin.limits.use_up(f"installation ID {INSTALLATION}", 100)
    reply = await hub.call("GET", f"/repos/{REPO}")
    assert (reply.status, reply.headers["X-RateLimit-Remaining"]) == (403, "0")
    assert (await hub.get("/rate_limit"))["rate"]["remaining"] == 0
    hub.standin.world.advance(101)
    reply = await hub.call("GET", f"/repos/{REPO}")
    assert (reply.status, reply.headers["X-RateLimit-Remaining"]) == (200, "4999")


async def test_a_renamed_repository_redirects_a_get_with_301_and_a_post_with_307(hub: Hub, commits: Commits) -> None:
    await hub.open()
    await hub.standin.rename_repository(REPO, "market")
    get = await hub.call("GET", f"{PULL}/files?per_page=1")
    assert (get.status, get.headers["Location"].endswith("/pulls/1/files?per_page=1")) == (301, True)
    assert len((await hub.call("GET", get.headers["Location"])).json) == 1
    body = {"name": "ReviewBot", "head_sha": commits.head}
    post = await hub.call("POST", f"/repos/{REPO}/check-runs", json=body)
    assert post.status == 307
    assert (await hub.call("POST", post.headers["Location"], json=body)).status == 201
    assert "repository.renamed" in hub.events()


async def test_requests_need_a_user_agent_and_a_known_api_version(hub: Hub) -> None:
    assert (await hub.call("GET", f"/repos/{REPO}", headers={"User-Agent": ""})).status == 403
    assert (await hub.call("GET", f"/repos/{REPO}", headers={"X-GitHub-Api-Version": "2026-03-10"})).status == 200
    assert (await hub.call("GET", f"/repos/{REPO}", headers={"X-GitHub-Api-Version": "1999-01-01"})).status == 400


async def test_contents_give_a_file_a_folder_a_link_and_a_submodule(hub: Hub, commits: Commits) -> None:
    at = f"?ref={commits.head}"
    path = f"/repos/{REPO}/contents"
    file = await hub.get(f"{path}/src%2Fapp.py{at}")
    assert base64.b64decode(file["content"]) == APP_PY_NEW
    raw = await hub.call("GET", f"{path}/latin1.txt{at}", headers={"Accept": "application/vnd.github.raw+json"})
    assert raw.content == b"caf\xe9\n"
    assert (await hub.get(f"{path}/link{at}"))["target"] == "new.py"
    assert (await hub.get(f"{path}/vendored{at}"))["type"] == "submodule"
    old = {item["name"]: item["type"] for item in await hub.get(f"{path}/{at}")}
    new = await hub.get(f"{path}/{at}", headers={"X-GitHub-Api-Version": "2026-03-10"})
    assert (old["src"], old["vendored"]) == ("dir", "file")
    assert {item["name"]: item["type"] for item in new}["vendored"] == "submodule"
    tree = await hub.get(f"{path}/src{at}", headers={"Accept": "application/vnd.github.object"})
    assert [entry["path"] for entry in tree["entries"]] == ["src/app.py"]
    for nothing in ("nothing", "src/nothing", "..%2Fshop", "src//app.py"):
        assert (await hub.call("GET", f"{path}/{nothing}{at}")).status == 404
    assert (await hub.call("GET", f"{path}/src?ref=nowhere")).status == 404


async def test_contents_over_a_megabyte_come_raw_only(hub: Hub, commits: Commits) -> None:
    path = f"/repos/{REPO}/contents/wide.txt?ref={commits.huge}"
    file = await hub.get(path)
    assert (file["encoding"], file["content"], file["size"]) == ("none", "", 1_200_000)
    raw = await hub.call("GET", path, headers={"Accept": "application/vnd.github.v3.raw"})
    assert len(raw.content) == 1_200_000


async def test_contents_of_the_default_branch_and_of_a_pull_request_s_ref(hub: Hub) -> None:
    await hub.open()
    path = f"/repos/{REPO}/contents"
    assert base64.b64decode((await hub.get(f"{path}/.reviewbot.yml"))["content"]) == b"enabled: true\n"
    assert (await hub.get(f"{path}/new.py?ref=refs/pull/1/head"))["size"] == 15


async def test_comparing_commits_tells_how_they_differ(hub: Hub, commits: Commits) -> None:
    path = f"/repos/{REPO}/compare"
    ahead = await hub.get(f"{path}/{commits.head}...{commits.later}")
    assert (ahead["status"], ahead["ahead_by"], [item["filename"] for item in ahead["files"]]) == (
        "ahead", 1, ["src/app.py"],
    )  # fmt: skip
    assert (await hub.get(f"{path}/later...topic"))["status"] == "behind"
    assert (await hub.get(f"{path}/forced...topic"))["status"] == "diverged"
    assert (await hub.get(f"{path}/topic...topic"))["status"] == "identical"
    assert "files" not in await hub.get(f"{path}/main...topic?page=2")
    assert (await hub.call("GET", f"{path}/main...nowhere")).status == 404
    assert (await hub.call("GET", f"{path}/main...topic", headers=DIFF)).content.startswith(b"diff --git")
