"""The same review of a local change, before it is pushed: no GitHub, no server, no database.

git is asked for the diff and for file contents only, with everything switched off that could run a program.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec
from msgspec.structs import replace

from reviewbot.config import environment
from reviewbot.diff.files import LeftOut
from reviewbot.diff.parse import parse
from reviewbot.errors import ConfigError, FinalError
from reviewbot.findings import SEVERITIES, Located, Severity
from reviewbot.llm.base import Answer, Prompt, Provider
from reviewbot.planning import at_least
from reviewbot.policy import PATH, Policy, Settings, fault_notes, read_settings
from reviewbot.prompts.render import Subject
from reviewbot.reviewer import CONTENT_LIMIT, Verdict, ask, contents, judge, scope, terms

GIT = (
    "git",
    *("-c", "core.fsmonitor=false"),
    *("-c", "core.hooksPath=/dev/null"),
    *("-c", "diff.external="),
    *("-c", "diff.suppressBlankEmpty=false"),
    *("-c", "log.showSignature=false"),
)
ENVIRONMENT = {
    "GIT_ALLOW_PROTOCOL": "",  # a partial clone must not fetch what is missing: that starts programs
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_TERMINAL_PROMPT": "0",
    "LC_ALL": "C",
}
DIFF = (
    "--no-color",
    "--no-ext-diff",
    "--no-textconv",
    "--no-relative",
    "--find-renames",
    "--unified=3",
    "--inter-hunk-context=0",
    "--submodule=short",
    "--src-prefix=a/",
    "--dst-prefix=b/",
)
DIFF_LIMIT = 64 << 20  # bytes
ERRORS_LIMIT = 4_096  # bytes of what git complains about
GIT_SECONDS = 120.0


class GitFailed(FinalError):
    """git could not give the change that was asked for."""


class LocalReview(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it. `change` says in words what was reviewed."""

    change: str
    verdict: Verdict
    reviewed: tuple[str, ...]
    left_out: tuple[LeftOut, ...]

    def at_least(self, severity: Severity) -> tuple[Located, ...]:
        """The findings of that severity and above."""
        worst = SEVERITIES[: SEVERITIES.index(severity) + 1]
        return tuple(each for each in self.verdict.located if each.finding.severity in worst)


class Change(msgspec.Struct, frozen=True):
    """A local change: how it is called, its diff's arguments, and the trees of the files and of the settings.

    ":0" is the index.
    """

    words: str
    arguments: tuple[str, ...]
    content: str
    base: str


async def find_change(folder: Path, revisions: str | None) -> Change:
    """What to review: RANGE (a..b, a...b, or one commit), else what is staged. Raises GitFailed."""
    await ensure_repository(folder)
    if revisions is None:
        if not await git(folder, "diff", "--cached", "--name-only"):
            raise GitFailed("Nothing is staged. Stage a change with `git add`, or name a range such as main...HEAD.")
        return Change("the staged change", ("--cached",), ":0", "HEAD")
    if revisions.startswith("-"):
        raise GitFailed(f"{revisions!r} is no range: write main...HEAD, for example.")
    if ".." not in revisions:
        head = await resolve(folder, revisions)
        before = await parent(folder, head)
        return Change(f"commit {head[:12]}", (before, head), head, before)
    dots = "..." if "..." in revisions else ".."
    left, right = (side or "HEAD" for side in revisions.split(dots, 1))
    base, head = await resolve(folder, left), await resolve(folder, right)
    if dots == "...":
        base = await _fork_point(folder, base, head, revisions)
    return Change(f"{revisions} ({base[:12]} to {head[:12]})", (base, head), head, base)


async def ensure_repository(folder: Path) -> None:
    """Raises GitFailed with git's own reason when it cannot work in the folder."""
    await git(folder, "rev-parse", "--git-dir")


async def resolve(folder: Path, revision: str) -> str:
    """The commit that a revision names. Raises GitFailed."""
    try:
        name = await git(folder, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
    except GitFailed as error:
        raise GitFailed(f"git knows no commit {revision!r} here.") from error
    return name.decode().strip()


async def _fork_point(folder: Path, base: str, head: str, revisions: str) -> str:
    try:
        return (await git(folder, "merge-base", base, head)).decode().strip()
    except GitFailed as error:
        raise GitFailed(f"The ends of {revisions} have no commit in common: write two dots to compare them.") from error


async def parent(folder: Path, commit: str) -> str:
    """The first parent, or the empty tree for the first commit."""
    line = (await git(folder, "rev-list", "--parents", "-n", "1", commit)).decode().split()
    if len(line) > 1:
        return line[1]
    return (await git(folder, "hash-object", "-t", "tree", "--stdin")).decode().strip()


async def review(
    folder: Path, change: Change, provider: Provider, *, max_files: int, max_findings: int, max_output_tokens: int
) -> LocalReview:
    """Review a change under the settings of its base. Raises GitFailed, DiffError and what the provider raises.

    Raises ConfigError when the settings do not let this provider read the code. `enabled` is for the service alone.
    """
    diff = await git(folder, "diff", *DIFF, *change.arguments, "--")
    policy = await _policy(folder, change)
    settings = policy.settings
    if settings.providers and provider.name not in settings.providers:
        raise ConfigError(f"{PATH} allows the providers {', '.join(settings.providers)} alone: set PROVIDER to one.")
    under = terms(
        provider, settings, max_files=max_files, max_findings=max_findings, max_output_tokens=max_output_tokens
    )
    found = scope(parse(diff), under, settings)

    async def fetch(path: str) -> bytes | None:
        try:
            return await git(folder, "cat-file", "blob", f"{change.content}:{path}", limit=CONTENT_LIMIT)
        except GitFailed:
            return None  # a submodule, or larger than anybody reads

    answers = await ask(
        Subject(title=change.words, language=settings.language),
        found,
        provider,
        NoLedger(),
        content=await contents(found.reviewed, fetch) if provider.needs_content else {},
        terms=under,
        settings=settings,
    )
    verdict = at_least(settings.min_severity, judge(found, answers, under, give_up=True))
    return LocalReview(
        change=change.words,
        verdict=replace(verdict, notes=(*policy.notes, *verdict.notes)),
        reviewed=tuple(file.path for file in found.reviewed),
        left_out=found.left_out,
    )


async def _policy(folder: Path, change: Change) -> Policy:
    try:
        raw = await git(folder, "cat-file", "blob", f"{change.base}:{PATH}", limit=CONTENT_LIMIT)
    except GitFailed:
        return Policy()  # there is none
    found = read_settings(raw)
    return Policy(settings=found) if isinstance(found, Settings) else Policy(notes=fault_notes(found, "the defaults"))


class NoLedger:
    """Nothing is kept of a local review."""

    async def answer_to(self, prompt: Prompt, provider: Provider) -> Answer | None:
        return None

    async def asking(self, prompt: Prompt, provider: Provider) -> None:
        return None

    async def answered(self, prompt: Prompt, answer: Answer) -> None:
        return None

    async def unanswered(self, prompt: Prompt, provider: Provider, error: Exception) -> None:
        return None


async def git(folder: Path, *arguments: str, limit: int = DIFF_LIMIT) -> bytes:
    """What a git command prints. Raises GitFailed, also for more than `limit` bytes or GIT_SECONDS."""
    try:
        process = await asyncio.create_subprocess_exec(
            *GIT,
            *arguments,
            cwd=folder,
            env={**environment(), **ENVIRONMENT},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
    except FileNotFoundError as error:
        raise GitFailed("git is not installed, or the folder does not exist.") from error
    assert process.stdout is not None
    assert process.stderr is not None
    errors = asyncio.create_task(_keep(process.stderr, ERRORS_LIMIT))
    try:
        async with asyncio.timeout(GIT_SECONDS):
            output = await _read(process.stdout, limit)
            said = (await errors).decode("utf-8", "replace").strip()
            code = await process.wait()
    except TimeoutError as error:
        raise GitFailed(f"`git {arguments[0]}` took more than {GIT_SECONDS:.0f} s.") from error
    except _TooMuch as error:
        raise GitFailed(f"`git {arguments[0]}` gave more than {limit:,} bytes: name a smaller range.") from error
    finally:
        errors.cancel()
        if process.returncode is None:
            process.kill()
            await process.wait()
    if code != 0:
        raise GitFailed(said.removeprefix("fatal: ") or f"`git {arguments[0]}` failed with exit code {code}.")
    return output


class _TooMuch(Exception):
    """More bytes than wanted."""


async def _read(stream: asyncio.StreamReader, limit: int) -> bytes:
    output = bytearray()
    while piece := await stream.read(1 << 16):
        output += piece
        if len(output) > limit:
            raise _TooMuch
    return bytes(output)


async def _keep(stream: asyncio.StreamReader, limit: int) -> bytes:
    """The first bytes of a stream that is read to its end, so that its writer never waits."""
    kept = b""
    while piece := await stream.read(1 << 16):
        kept = (kept + piece)[:limit]
    return kept
