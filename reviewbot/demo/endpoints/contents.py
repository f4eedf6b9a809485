"""What the git repository holds: files and folders at a commit, and the comparison of two commits."""

from __future__ import annotations

import base64
from functools import partial
from urllib.parse import quote

from reviewbot.demo.answers import Answer, ApiError, Json, not_found
from reviewbot.demo.api import Call, Endpoint
from reviewbot.demo.changes import MAX_COMMITS, Changes
from reviewbot.demo.endpoints.pulls import diff_answer
from reviewbot.demo.git import GitEntry
from reviewbot.demo.shapes import pulls

READ = ("contents=read",)
MAX_JSON_BYTES = 1024 * 1024
MAX_RAW_BYTES = 100 * 1024 * 1024
MAX_ENTRIES = 1000
MAX_COMPARED_FILES = 300
SUBMODULES_SHOWN_SINCE = "2026-03-10"  # API versions before it list a submodule as a file


async def get_contents(call: Call) -> Answer:
    """GET /repos/{owner}/{repo}/contents/{path}: a file, a folder, a link or a submodule."""
    path = call.parameters["path"].strip("/")
    ref = call.query.get("ref") or call.repo.default_branch
    commit = await call.repo.resolve(ref)
    if commit is None:
        raise ApiError(404, f"No commit found for the ref {ref}")
    if path and any(part in ("", ".", "..") for part in path.split("/")):
        raise not_found()
    entry = await call.repo.git.entry(commit, path) if path else None
    if entry is None and path:
        raise not_found()
    if entry is None or entry.kind == "tree":
        return await _folder(call, commit, ref, path)
    if entry.kind == "commit":
        return Answer(_links(call, entry, ref, "submodule") | {"submodule_git_url": call.world.html_url})
    return await _file(call, entry, ref)


async def compare(call: Call) -> Answer:
    """GET /repos/{owner}/{repo}/compare/{basehead}: files on page 1 only and 300 at most, commits in pages."""
    base_name, dots, head_name = call.parameters["basehead"].partition("...")
    git, repo = call.repo.git, call.repo
    base = await repo.resolve(base_name.rpartition(":")[2])
    head = await repo.resolve(head_name.rpartition(":")[2])
    start = await git.merge_base(base, head) if base and head else None
    if not dots or base is None or head is None or start is None:
        raise not_found()
    changes = Changes(start, head, await git.commits(start, head, MAX_COMMITS), await git.files(start, head))
    if call.wants("diff"):
        return await diff_answer(repo, changes)
    ahead, behind = await git.count(base, head), await git.count(head, base)
    status = "identical" if base == head else "diverged" if ahead and behind else "ahead" if ahead else "behind"
    page, per_page = call.window()
    commit = partial(pulls.commit, call.world, repo)
    api, html = f"{call.world.api_url}/repos/{repo.full_name}/compare", f"{call.world.html_url}/{repo.full_name}"
    names = quote(f"{base_name}...{head_name}")
    body: Json = {
        "url": f"{api}/{names}",
        "html_url": f"{html}/compare/{names}",
        "permalink_url": f"{html}/compare/{base[:12]}...{head[:12]}",
        "diff_url": f"{html}/compare/{names}.diff",
        "patch_url": f"{html}/compare/{names}.patch",
        "base_commit": commit(await git.commit(base)),
        "merge_base_commit": commit(await git.commit(start)),
        "status": status,
        "ahead_by": ahead,
        "behind_by": behind,
        "total_commits": ahead,
        "commits": [commit(item) for item in changes.commits[(page - 1) * per_page : page * per_page]],
    }
    if page == 1:
        body["files"] = [pulls.file(call.world, repo, head, item) for item in changes.files[:MAX_COMPARED_FILES]]
    return Answer(body, headers=call.links(page, max(1, -(-len(changes.commits) // per_page))))


async def _file(call: Call, entry: GitEntry, ref: str) -> Answer:
    if entry.size > MAX_RAW_BYTES:
        error = {"resource": "Blob", "field": "data", "code": "too_large"}
        raise ApiError(403, "This API returns blobs up to 100 MB in size.", (error,))
    if call.wants("raw"):
        content = await call.repo.git.blob(entry.sha)
        return Answer(content, content_type="application/vnd.github.v3.raw; charset=utf-8")
    if entry.mode == "120000":
        target = (await call.repo.git.blob(entry.sha)).decode("utf-8", "replace")
        return Answer(_links(call, entry, ref, "symlink") | {"target": target})
    shown = _links(call, entry, ref, "file")
    if entry.size > MAX_JSON_BYTES:
        return Answer(shown | {"encoding": "none", "content": ""})
    content = await call.repo.git.blob(entry.sha)
    return Answer(shown | {"encoding": "base64", "content": base64.encodebytes(content).decode()})


async def _folder(call: Call, commit: str, ref: str, path: str) -> Answer:
    entries = [_listed(call, entry, ref) for entry in (await call.repo.git.children(commit, path))[:MAX_ENTRIES]]
    if not call.wants("object"):
        return Answer(entries)
    own = await call.repo.git.entry(commit, path) if path else None
    tree = own.sha if own else (await call.repo.git.commit(commit)).tree
    root = GitEntry(mode="040000", kind="tree", sha=tree, size=0, path=path)
    return Answer(_links(call, root, ref, "dir") | {"entries": entries})


def _listed(call: Call, entry: GitEntry, ref: str) -> Json:
    kind = {"tree": "dir", "commit": "submodule"}.get(entry.kind, "symlink" if entry.mode == "120000" else "file")
    version = call.headers.get("X-GitHub-Api-Version", "2022-11-28")
    if kind == "submodule" and version < SUBMODULES_SHOWN_SINCE:
        kind = "file"
    return _links(call, entry, ref, kind)


def _links(call: Call, entry: GitEntry, ref: str, kind: str) -> Json:
    api, html = f"{call.world.api_url}/repos/{call.repo.full_name}", f"{call.world.html_url}/{call.repo.full_name}"
    path = quote(entry.path)
    own = f"{api}/contents/{path}?ref={quote(ref, safe='')}"
    git = f"{api}/git/{'trees' if entry.kind == 'tree' else 'blobs'}/{entry.sha}"
    page = f"{html}/{'tree' if entry.kind == 'tree' else 'blob'}/{quote(ref)}/{path}"
    return {
        "name": entry.path.rpartition("/")[2],
        "path": entry.path,
        "sha": entry.sha,
        "size": entry.size,
        "url": own,
        "html_url": page,
        "git_url": git,
        "download_url": f"{html}/raw/{quote(ref)}/{path}" if kind in ("file", "symlink") else None,
        "type": kind,
        "_links": {"self": own, "git": git, "html": page},
    }


ENDPOINTS = (
    Endpoint("GET", "/repos/{owner}/{repo}/contents/{path*}", get_contents, READ),
    Endpoint("GET", "/repos/{owner}/{repo}/compare/{basehead*}", compare, READ),
)
