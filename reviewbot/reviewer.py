"""Gather, ask, judge: from a change to checked findings. Writes nothing; what must be kept goes through a `Ledger`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

import msgspec

from reviewbot.answers import Parsed, parse_answer
from reviewbot.diff.budget import MIN_BUDGET_TOKENS, Chunk, chunk, estimate_tokens
from reviewbot.diff.files import LeftOut, select
from reviewbot.diff.model import FileDiff
from reviewbot.errors import AnswerUnusable
from reviewbot.findings import Located, answer_schema, place
from reviewbot.llm.base import Answer, ChangedFile, Fragment, Prompt, Provider
from reviewbot.policy import PathFilter, Settings, at_most, wishes
from reviewbot.prompts.render import Subject, render
from schema.events import Terms

CONTENT_LIMIT = 1 << 20  # bytes of a file that a provider which reads whole files gets
CONTENT_REQUESTS = 4
PROMPT_TOKENS = 60_000  # of one call; models read more, but not as carefully
TASK_TOKENS = 4_000  # instructions and the pull request's description, beside the diff
RESERVE = 0.8  # the estimate of tokens may be too low by a fifth
MAX_CALLS = 12  # of one review

FetchContent = Callable[[str], Awaitable[bytes | None]]


class Scope(msgspec.Struct, frozen=True):
    """What of a change will be read, in which portions, and what will not be, and why."""

    files: tuple[FileDiff, ...]
    reviewed: tuple[FileDiff, ...]
    left_out: tuple[LeftOut, ...]
    chunks: tuple[Chunk, ...]


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What the reviewer has to say. `notes` tell what went less well than it should.

    `complete` is False when an answer broke off or could not be read in full.
    """

    summary: str
    located: tuple[Located, ...]
    notes: tuple[str, ...]
    provider: str
    model: str
    complete: bool
    rejected: int = 0  # findings that could not be read


class Ledger(Protocol):
    """Keeps what is asked and answered before anything is done with it."""

    async def answer_to(self, prompt: Prompt, provider: Provider) -> Answer | None:
        """The stored answer to exactly this prompt, when an earlier attempt received one."""
        ...

    async def asking(self, prompt: Prompt, provider: Provider) -> None:
        """The prompt is about to leave."""
        ...

    async def answered(self, prompt: Prompt, answer: Answer) -> None:
        """The raw answer is here; nothing has read it yet."""
        ...

    async def unanswered(self, prompt: Prompt, provider: Provider, error: Exception) -> None:
        """No answer came."""
        ...


def terms(
    provider: Provider, settings: Settings, *, max_files: int, max_findings: int, max_output_tokens: int
) -> Terms:
    """The terms of a review by this provider within these limits, which the repository's settings may lower."""
    return Terms(
        provider=provider.name,
        model=provider.model,
        context_tokens=provider.context_tokens,
        whole_files=provider.needs_content,
        max_files=at_most(max_files, settings.max_files),
        max_findings=at_most(max_findings, settings.max_comments),
        max_output_tokens=max_output_tokens,
    )


def scope(files: Sequence[FileDiff], terms: Terms, settings: Settings) -> Scope:
    """Divide a change into what is reviewed, in portions that fit the provider, and what is left out."""
    selection = select(files, max_files=terms.max_files, unwanted=PathFilter(settings).why_not)
    task = TASK_TOKENS + _tokens_of_wishes(settings)
    budget = int((terms.context_tokens - terms.max_output_tokens - task) * RESERVE)
    if not terms.whole_files:
        budget = min(budget, PROMPT_TOKENS)
    chunks = chunk(selection.reviewed, budget_tokens=max(budget, MIN_BUDGET_TOKENS))
    chunks, beyond = chunks[:MAX_CALLS], chunks[MAX_CALLS:]
    kept = {file.path for each in chunks for file in each.files}
    left_out = (
        *selection.left_out,
        *(part for each in chunks for part in each.left_out),
        *(
            LeftOut(path, _too_much(path in kept))
            for path in dict.fromkeys(f.path for each in beyond for f in each.files)
        ),
    )
    reviewed = tuple(file for file in selection.reviewed if file.path in kept)
    return Scope(tuple(files), reviewed, left_out, chunks)


def _tokens_of_wishes(settings: Settings) -> int:
    """What the repository's instructions take up in a prompt at most: all of them, though some are for some files."""
    texts = [settings.instructions]
    for each in settings.path_instructions:
        texts += [*each.paths, each.instructions]
    return sum(map(estimate_tokens, texts))


def _too_much(partly: bool) -> str:
    what = "was read only in part" if partly else "was not read"
    return f"{what}: the change is more than {MAX_CALLS} prompts can hold"


async def contents(files: Sequence[FileDiff], fetch: FetchContent) -> dict[str, str]:
    """The new side of each file that has one and is text, by path. At most CONTENT_REQUESTS at a time."""
    limit = asyncio.Semaphore(CONTENT_REQUESTS)

    async def one(path: str) -> tuple[str, str | None]:
        async with limit:
            raw = await fetch(path)
        return path, None if raw is None or b"\0" in raw else raw.decode("utf-8", "replace")

    wanted = [file.path for file in files if file.new_path is not None and not file.binary]
    found = await asyncio.gather(*map(one, wanted))
    return {path: text for path, text in found if text is not None}


async def ask(
    subject: Subject,
    scope: Scope,
    provider: Provider,
    ledger: Ledger,
    *,
    content: dict[str, str],
    terms: Terms,
    settings: Settings,
) -> list[Answer]:
    """One answer per portion, in order, one call at a time; what an earlier attempt was answered is not asked again.

    Raises what the provider raises, after the ledger was told.
    """
    answers = []
    for number, portion in enumerate(scope.chunks, 1):
        system, user = render(
            subject,
            portion.text(),
            part=number,
            parts=len(scope.chunks),
            max_findings=terms.max_findings,
            wishes=wishes(settings, [file.path for file in portion.files]),
        )
        prompt = Prompt(
            system=system,
            user=user,
            answer_schema=answer_schema(),
            max_output_tokens=terms.max_output_tokens,
            files=tuple(changed_file(file, content.get(file.path)) for file in portion.files),
        )
        answers.append(await _ask_once(prompt, provider, ledger))
    return answers


async def _ask_once(prompt: Prompt, provider: Provider, ledger: Ledger) -> Answer:
    known = await ledger.answer_to(prompt, provider)
    if known is not None and _parse(known).usable:
        return known
    await ledger.asking(prompt, provider)
    try:
        answer = await provider.ask(prompt)
    except Exception as error:
        await ledger.unanswered(prompt, provider, error)
        raise
    await ledger.answered(prompt, answer)
    return answer


def judge(scope: Scope, answers: Sequence[Answer], terms: Terms, *, give_up: bool) -> Verdict:
    """Read the answers and give each finding its place.

    An unusable answer fails the review, so that it is tried again; with `give_up`, the last time, what could be read
    is kept and the rest is named. Raises AnswerUnusable when nothing at all could be read.
    """
    parsed = [_parse(answer) for answer in answers]
    unusable = [
        (part, answer) for part, answer, each in zip(scope.chunks, answers, parsed, strict=True) if not each.usable
    ]
    if unusable and not (give_up and len(unusable) < len(answers)):
        refused = any(answer.finish == "refused" for _, answer in unusable)
        model = unusable[0][1].model
        did = "declined to answer" if refused else "gave an answer that could not be read"
        raise AnswerUnusable(f"{model} {did}.", kept=f"The model {did}.")
    findings = [finding for each in parsed for finding in each.findings]
    rejected = sum(len(each.rejected) for each in parsed)
    return Verdict(
        summary="\n\n".join(each.summary for each in parsed if each.summary),
        located=place(findings, {file.path: file for file in scope.files}),
        notes=_notes(parsed, unusable, rejected),
        provider=terms.provider,
        model=answers[0].model if answers else terms.model,
        complete=not rejected and all(each.outcome == "whole" for each in parsed),
        rejected=rejected,
    )


def _parse(answer: Answer) -> Parsed:
    return parse_answer(answer.text, truncated=answer.finish == "truncated")


def _notes(parsed: Sequence[Parsed], unusable: Sequence[tuple[Chunk, Answer]], rejected: int) -> tuple[str, ...]:
    notes = []
    for part, answer in unusable:
        paths = ", ".join(f"`{file.path}`" for file in part.files)
        notes.append(f"The answer of {answer.model} about {paths} could not be read, so these files were not reviewed.")
    cut = sum(each.outcome == "partial" for each in parsed)
    if cut:
        notes.append(f"{cut} of {len(parsed)} answers broke off: there may be more to find than is said here.")
    if rejected:
        notes.append(f"{rejected} findings were dropped because they could not be read.")
    return tuple(notes)


def changed_file(file: FileDiff, content: str | None) -> ChangedFile:
    """A file as a provider sees that reads code: its new side, and which lines of it were added."""
    fragments = []
    added: set[int] = set()
    for hunk in file.hunks:
        lines = [line for line in hunk.lines if line.new is not None]
        if lines:
            fragments.append(Fragment(hunk.new_start, tuple(line.text for line in lines)))
        added.update(line.new for line in lines if line.kind == "+" and line.new is not None)
    return ChangedFile(path=file.path, fragments=tuple(fragments), added=frozenset(added), content=content)
