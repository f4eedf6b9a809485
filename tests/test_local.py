"""The review of a local change: every kind of range of real git repositories, and nothing of them is ever run."""

from __future__ import annotations

import os
import stat
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest

from reviewbot import local
from reviewbot.errors import ConfigError
from reviewbot.local import GitFailed, LocalReview, find_change, git
from tests.fakes import FakeProvider, finding, says


class Repo:
    """A git repository in a temporary folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        self("init", "--quiet", "--initial-branch=main")

    def __call__(self, *arguments: str) -> str:
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder.parent),
            "GIT_CONFIG_NOSYSTEM": "1",
            **{f"GIT_{who}_{what}": "ada@example.com" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
        }
        done = subprocess.run(
            ["git", *arguments], cwd=self.folder, env=environment, capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    def write(self, path: str, content: str | bytes) -> None:
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content if isinstance(content, bytes) else content.encode())

    def commit(self, **files: str | bytes) -> str:
        """Files by name, "__" for a slash and a trailing "_py" for .py; gives the commit."""
        for name, content in files.items():
            self.write(name.replace("__", "/").replace("_py", ".py"), content)
        self("add", "--all")
        self("commit", "--quiet", "--message", "A commit")
        return self("rev-parse", "HEAD")


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    return Repo(tmp_path / "repository")


async def review(repo: Repo, revisions: str | None, provider: FakeProvider | None = None) -> LocalReview:
    change = await find_change(repo.folder, revisions)
    return await local.review(
        repo.folder, change, provider or quiet(), max_files=50, max_findings=20, max_output_tokens=1_000
    )


def quiet() -> FakeProvider:
    return FakeProvider(says(summary="Fine."), needs_content=True)


def left_out(found: LocalReview) -> dict[str, str]:
    return {left.path: left.reason for left in found.left_out}


# --- which change -----------------------------------------------------------------------------------------------------


async def test_the_staged_change_is_reviewed_and_not_what_lies_in_the_folder(repo: Repo) -> None:
    repo.commit(a_py="one\n")
    repo.write("a.py", "two\n")
    repo("add", "a.py")
    repo.write("a.py", "three\n")
    provider = quiet()
    found = await review(repo, None, provider)
    assert (found.change, found.reviewed) == ("the staged change", ("a.py",))
    assert [file.content for file in provider.prompts[0].files] == ["two\n"]


async def test_nothing_staged_is_said_with_what_to_do(repo: Repo) -> None:
    repo.commit(a_py="one\n")
    with pytest.raises(GitFailed, match="git add"):
        await review(repo, None)


async def test_the_staged_change_of_a_repository_without_commits_is_reviewed(repo: Repo) -> None:
    repo.write("a.py", "one\n")
    repo("add", "a.py")
    assert (await review(repo, None)).reviewed == ("a.py",)


async def test_two_dots_compare_the_ends_and_three_dots_what_the_branch_did(repo: Repo) -> None:
    repo.commit(a_py="one\n")
    repo("branch", "topic")
    repo.commit(b_py="on main\n")
    repo("checkout", "--quiet", "topic")
    repo.commit(c_py="on topic\n")
    assert set((await review(repo, "main..topic")).reviewed) == {"c.py"}
    assert "b.py" in left_out(await review(repo, "main..topic"))
    assert left_out(await review(repo, "main...topic")) == {}
    assert (await review(repo, "main...")).reviewed == ("c.py",)
    assert (await review(repo, "main..")).reviewed == ("c.py",)


async def test_one_commit_is_compared_with_its_parent(repo: Repo) -> None:
    repo.commit(a_py="one\n")
    second = repo.commit(b_py="two\n")
    repo.commit(c_py="three\n")
    found = await review(repo, "HEAD~1")
    assert (found.change, found.reviewed) == (f"commit {second[:12]}", ("b.py",))


async def test_the_first_commit_is_compared_with_nothing(repo: Repo) -> None:
    repo.commit(a_py="one\n", b_py="two\n")
    assert (await review(repo, "HEAD")).reviewed == ("a.py", "b.py")


async def test_a_merge_is_compared_with_its_first_parent(repo: Repo) -> None:
    repo.commit(a_py="one\n")
    repo("checkout", "--quiet", "-b", "topic")
    repo.commit(b_py="two\n")
    repo("checkout", "--quiet", "main")
    repo.commit(c_py="three\n")
    repo("merge", "--quiet", "--no-edit", "topic")
    assert (await review(repo, "HEAD")).reviewed == ("b.py",)


async def test_a_tag_and_a_branch_with_a_slash_are_revisions_too(repo: Repo) -> None:
    repo.commit(a_py="one\n")
    repo("tag", "--annotate", "--message", "v1", "v1.0")
    repo("checkout", "--quiet", "-b", "feature/dots.and-dashes")
    repo.commit(b_py="two\n")
    assert (await review(repo, "v1.0...feature/dots.and-dashes")).reviewed == ("b.py",)


@pytest.mark.parametrize(
    ("revisions", "words"),
    [
        ("nonsense", "git knows no commit 'nonsense' here"),
        ("main..nonsense", "git knows no commit 'nonsense' here"),
        ("--output=/tmp/x", "is no range"),
        ("main..--output=x", "git knows no commit '--output=x' here"),
        ("HEAD^{tree}", "git knows no commit"),
        ("", "git knows no commit"),
    ],
)
async def test_what_is_no_revision_is_named(repo: Repo, revisions: str, words: str) -> None:
    repo.commit(a_py="one\n")
    with pytest.raises(GitFailed) as failed:
        await review(repo, revisions)
    assert words in str(failed.value)


async def test_branches_without_a_common_commit_are_refused_in_words(repo: Repo) -> None:
    repo.commit(a_py="one\n")
    repo("checkout", "--quiet", "--orphan", "other")
    repo.commit(b_py="two\n")
    with pytest.raises(GitFailed, match="have no commit in common"):
        await review(repo, "main...other")


async def test_a_folder_that_is_no_repository_is_refused_in_words(tmp_path: Path) -> None:
    with pytest.raises(GitFailed, match="not a git repository"):
        await find_change(tmp_path, None)


async def test_without_git_it_is_said_that_git_is_missing(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(repo.folder))
    with pytest.raises(GitFailed, match="git is not installed"):
        await find_change(repo.folder, None)


async def test_a_range_is_seen_whole_from_a_folder_within(repo: Repo) -> None:
    repo.commit(a_py="one\n", src__b_py="two\n")
    repo("config", "diff.relative", "true")
    change = await find_change(repo.folder / "src", "HEAD")
    provider = quiet()
    found = await local.review(
        repo.folder / "src", change, provider, max_files=50, max_findings=20, max_output_tokens=1_000
    )
    assert found.reviewed == ("a.py", "src/b.py")
    assert [file.content for file in provider.prompts[0].files] == ["one\n", "two\n"]


# --- what is in a change ----------------------------------------------------------------------------------------------

ODD = [
    "with space.py",
    'qu"ote.py',
    "tab\there.py",
    "naïve.py",
    "-dash.py",
    "0:colon.py",
    "b\\slash.py",
    "new\nline.py",
]


@pytest.mark.parametrize("staged", [True, False])
async def test_odd_names_are_read_with_their_contents(repo: Repo, staged: bool) -> None:
    for number, name in enumerate(ODD):
        repo.write(name, f"content {number}\n")
    repo("add", "--all")
    if not staged:
        repo("commit", "--quiet", "--message", "Odd")
    provider = quiet()
    found = await review(repo, None if staged else "HEAD", provider)
    assert set(found.reviewed) == set(ODD)
    contents = {file.path: file.content for file in provider.prompts[0].files}
    assert contents == {name: f"content {number}\n" for number, name in enumerate(ODD)}


async def test_renames_binaries_submodules_and_deletions_are_told_apart(repo: Repo) -> None:
    body = "".join(f"line {number}\n" for number in range(30))
    repo.commit(old_py=body, gone_py="bye\n")
    repo("mv", "old.py", "new.py")
    repo.write("new.py", body.replace("line 3\n", "line three\n"))
    repo("rm", "--quiet", "gone.py")
    repo.write("logo.png", b"\x89PNG\0\0")
    repo("add", "--all")
    repo("update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},vendored")
    provider = quiet()
    found = await review(repo, None, provider)
    assert found.reviewed == ("new.py",)
    assert sorted(left_out(found)) == ["gone.py", "logo.png", "vendored"]
    assert provider.prompts[0].files[0].added == {4}


async def test_a_change_of_the_mode_alone_is_no_reason_to_ask(repo: Repo) -> None:
    repo.commit(a_py="one\n")
    repo("update-index", "--chmod=+x", "a.py")
    provider = quiet()
    found = await review(repo, None, provider)
    assert (found.reviewed, provider.prompts) == ((), [])


async def test_a_finding_is_placed_on_the_change(repo: Repo) -> None:
    repo.commit(a_py="one\ntwo\nthree\n")
    repo.write("a.py", "one\n2\nthree\n")
    repo("add", "a.py")
    said = says(finding(path="a.py", line=99, quote="2"), finding(path="b.py", severity="low", quote=None))
    found = await review(repo, None, FakeProvider(said))
    first, second = found.verdict.located
    assert first.anchor is not None
    assert (first.anchor.line, second.anchor, second.note) == (2, None, "this file is not part of the change")
    assert [len(found.at_least(severity)) for severity in ("critical", "high", "medium", "low")] == [0, 1, 1, 2]


async def test_settings_of_the_user_do_not_change_what_is_read(repo: Repo) -> None:
    for name, value in {
        "color.ui": "always", "diff.noprefix": "true", "diff.mnemonicPrefix": "true", "diff.context": "0",
        "diff.renames": "false", "diff.submodule": "log", "core.quotePath": "false", "diff.interHunkContext": "99",
        "diff.suppressBlankEmpty": "true", "core.pager": "false", "diff.orderFile": "/dev/null",
    }.items():  # fmt: skip
        repo("config", name, value)
    repo.commit(a_py="one\n\n\ntwo\n")
    repo.write("a.py", "one\n\n\n2\n")
    repo("add", "a.py")
    provider = quiet()
    await review(repo, None, provider)
    (fragment,) = provider.prompts[0].files[0].fragments
    assert (fragment.start, fragment.lines) == (1, ("one", "", "", "2"))


# --- bounds -----------------------------------------------------------------------------------------------------------


async def test_a_change_that_is_too_large_is_refused_with_what_to_do(
    repo: Repo, monkeypatch: pytest.MonkeyPatch
) -> None:
    repo.commit(a_py="x = 1\n" * 50_000)
    with pytest.raises(GitFailed, match=r"more than 1,000 bytes: name a smaller range"):
        await git(repo.folder, "show", "HEAD", limit=1_000)


async def test_a_file_beyond_the_limit_is_reviewed_without_its_whole_content(
    repo: Repo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local, "CONTENT_LIMIT", 1_000)
    repo.commit(a_py="x = 1\n" * 400)
    repo.write("a.py", "x = 2\n" + "x = 1\n" * 400)
    repo("add", "a.py")
    provider = quiet()
    assert (await review(repo, None, provider)).reviewed == ("a.py",)
    assert provider.prompts[0].files[0].content is None


async def test_a_git_that_hangs_is_ended(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    slow = repo.folder / "bin" / "git"
    slow.parent.mkdir()
    slow.write_text("#!/bin/sh\nexec sleep 60\n")
    slow.chmod(0o755)
    monkeypatch.setenv("PATH", f"{slow.parent}:{os.environ['PATH']}")
    monkeypatch.setattr(local, "GIT_SECONDS", 0.1)
    with pytest.raises(GitFailed, match="took more than"):
        await git(repo.folder, "status")


async def test_a_git_that_complains_at_length_is_read_to_its_end(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    loud = repo.folder / "bin" / "git"
    loud.parent.mkdir()
    loud.write_text("#!/bin/sh\nyes 'fatal: something' | head -c 1000000 >&2\nexit 1\n")
    loud.chmod(0o755)
    monkeypatch.setenv("PATH", f"{loud.parent}:{os.environ['PATH']}")
    with pytest.raises(GitFailed) as failed:
        await git(repo.folder, "status")
    assert len(str(failed.value)) <= local.ERRORS_LIMIT


# --- nothing of the repository is run ---------------------------------------------------------------------------------


def set_traps(repo: Repo, trap: str) -> None:
    """Everything in a repository's own files that can make git start a program."""
    for name in (
        "core.fsmonitor", "diff.external", "core.pager", "pager.diff", "pager.log", "core.editor", "gpg.program",
        "core.sshCommand", "credential.helper", "core.askPass", "diff.trap.textconv", "diff.trap.command",
        "filter.trap.clean", "filter.trap.smudge", "filter.trap.process", "merge.trap.driver",
        "interactive.diffFilter", "remote.origin.uploadpack", "core.gitProxy", "alias.diff",
    ):  # fmt: skip
        repo("config", name, f"!{trap}" if name.startswith("alias") else trap)
    repo("config", "log.showSignature", "true")
    repo("config", "core.hooksPath", str(repo.folder / "hooks"))
    repo.write(".git/info/attributes", "* diff=trap filter=trap merge=trap\n")
    for hook in ("post-index-change", "pre-commit", "post-checkout", "reference-transaction", "fsmonitor-watchman"):
        for folder in ("hooks", ".git/hooks"):
            repo.write(f"{folder}/{hook}", Path(trap).read_bytes())
            (repo.folder / folder / hook).chmod(0o755)


@pytest.fixture
def trap(tmp_path: Path) -> Path:
    """A program that leaves a trace when it is run."""
    program = tmp_path / "trap"
    program.write_text(f'#!/bin/sh\necho "$0 $*" >> {tmp_path / "sprung"}\ncat\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return program


@pytest.mark.parametrize("revisions", [None, "HEAD~1..HEAD", "HEAD~1...HEAD", "HEAD"])
async def test_no_program_that_a_repository_names_is_run(
    repo: Repo, trap: Path, tmp_path: Path, revisions: str | None
) -> None:
    repo.commit(a_py="one\n")
    repo.commit(a_py="two\n")
    repo.write("a.py", "three\n")
    repo("add", "a.py")
    set_traps(repo, str(trap))
    provider = quiet()
    assert (await review(repo, revisions, provider)).reviewed == ("a.py",)
    assert provider.prompts[0].files[0].content == ("three\n" if revisions is None else "two\n")
    assert not (tmp_path / "sprung").exists()


async def test_a_careless_git_springs_the_trap(repo: Repo, trap: Path, tmp_path: Path) -> None:
    """So the test above can fail."""
    repo.commit(a_py="one\n")
    repo.write("a.py", "two\n")
    repo("add", "a.py")
    set_traps(repo, str(trap))
    with suppress(subprocess.CalledProcessError):
        repo("diff", "--cached")
    assert (tmp_path / "sprung").exists()


async def test_what_a_partial_clone_lacks_is_not_fetched(repo: Repo, trap: Path, tmp_path: Path) -> None:
    repo.commit(a_py="one\n")
    head = repo.commit(a_py="two\n")
    blob = repo("rev-parse", f"{head}:a.py")
    (repo.folder / ".git/objects" / blob[:2] / blob[2:]).unlink()
    repo("config", "remote.origin.url", f"ext::{trap} %S")
    repo("config", "remote.origin.promisor", "true")
    repo("config", "extensions.partialClone", "origin")
    repo("config", "core.repositoryFormatVersion", "1")
    repo("config", "protocol.ext.allow", "always")
    with pytest.raises(GitFailed):
        await review(repo, "HEAD")
    assert not (tmp_path / "sprung").exists()


# --- the repository's settings ----------------------------------------------------------------------------------------


async def test_the_settings_of_the_base_hold_for_a_local_review_too(repo: Repo) -> None:
    repo.write(".reviewbot.yml", "min_severity: medium\nignore: [docs/]\nlanguage: German\ninstructions: Mind it.\n")
    repo.commit(app_py="one\n")
    repo.write(".reviewbot.yml", "language: French\n")
    repo.commit(app_py="two\n", docs__a_py="x\n")
    provider = FakeProvider(says(finding(path="app.py", line=1, quote="two", severity="low")))
    found = await review(repo, "HEAD~1..HEAD", provider)
    assert [left.reason for left in found.left_out if left.path == "docs/a.py"] == [
        "is left out by `ignore` in .reviewbot.yml"
    ]
    assert (found.verdict.located, found.verdict.notes) == ((), ("1 findings below medium are not shown.",))
    assert "in German." in provider.prompts[0].system
    assert "Mind it." in provider.prompts[0].user


async def test_a_local_review_says_what_is_wrong_with_the_settings(repo: Repo) -> None:
    repo.write(".reviewbot.yml", "max_file: 3\n")
    repo.commit(app_py="one\n")
    repo.commit(app_py="two\n")
    found = await review(repo, "HEAD")
    assert ".reviewbot.yml, line 1: `max_file` is no setting: did you mean `max_files`?" in found.verdict.notes


async def test_a_provider_that_the_settings_do_not_allow_reads_nothing(repo: Repo) -> None:
    repo.write(".reviewbot.yml", "providers: [rules]\n")
    repo.commit(app_py="one\n")
    repo.commit(app_py="two\n")
    provider = FakeProvider()
    with pytest.raises(ConfigError, match="allows the providers rules alone"):
        await review(repo, "HEAD", provider)
    assert provider.prompts == []
