"""What other settings would have posted: the stored answers under other terms, or the rules on the stored change.

Where only a new model call could tell, `OnlyTheModel` says so instead of a guess.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence, Set
from functools import partial

import msgspec
from msgspec.structs import replace
from pathspec import GitIgnoreSpec

from reviewbot.diff.files import LeftOut, matches
from reviewbot.diff.model import FileDiff
from reviewbot.diff.positions import find_file
from reviewbot.errors import FinalError
from reviewbot.findings import Located, Severity
from reviewbot.llm.rules.provider import RulesProvider
from reviewbot.local import NoLedger
from reviewbot.planning import Fixed, at_least, fix, leaking, make_plan
from reviewbot.policy import Policy, Settings, at_most
from reviewbot.prompts.render import Subject, prompt_version
from reviewbot.replay import Replayed, Stored, compared, gathered, remake
from reviewbot.reviewer import Scope, Verdict, ask, scope, terms
from schema.events import Terms

NAMED = 5  # files that a sentence names


class OnlyTheModel(FinalError):
    """Only a new model call could tell what would have been posted."""


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be different. None and empty: as it was."""

    with_rules: bool = False  # let the offline rules review instead of the model
    today: Terms | None = None  # review under these terms
    max_files: int | None = None
    max_findings: int | None = None
    min_severity: Severity = "low"  # findings below it are not shown
    ignored: tuple[str, ...] = ()  # paths that are left out, as patterns of a .gitignore

    def by_rules(self, then: Terms) -> bool:
        """Whether the rules would review anew; what they said then is an answer like others."""
        return self.with_rules or (
            self.today is not None and self.today.provider == RulesProvider.name != then.provider
        )

    def terms(self, then: Terms, settings: Settings) -> Terms:
        """The terms to review under; `settings` are the repository's, of then."""
        base = self.today or then
        max_files, max_findings = self.max_files or base.max_files, self.max_findings or base.max_findings
        if self.by_rules(then):
            return terms(
                RulesProvider(),
                settings,
                max_files=max_files,
                max_findings=max_findings,
                max_output_tokens=base.max_output_tokens,
            )
        return replace(
            base,
            max_files=at_most(max_files, settings.max_files),
            max_findings=at_most(max_findings, settings.max_comments),
        )


async def would_have_posted(stored: Stored, question: Question, secrets: Sequence[str]) -> Replayed:
    """What would have been posted, beside what was. Raises OnlyTheModel, DiffError and AnswerUnusable.

    `secrets` are what the rules' findings must not repeat; from a model's answer is withheld what was withheld then.
    """
    under = question.terms(stored.terms, stored.policy.settings)
    then = gathered(stored)
    now = _scope(then.files, under, stored.policy, question.ignored)
    if question.by_rules(stored.terms):
        base = await _by_rules(stored, now, under, secrets)
        remarks = [_RULES_SAW_LESS]
    else:
        _insist_on_the_same_model(stored, under)
        if question.today is not None:
            _insist_on_the_same_prompt(stored)
        _insist_on_nothing_new(then, now)
        base = remake(stored, then)
        remarks = list(_remarks(then, now, stored.terms, under))
    verdict = _filtered(base.verdict, {file.path for file in now.reviewed}, then, question.min_severity)
    plan = make_plan(stored.job, stored.prepared.head_sha, now, verdict, max_findings=under.max_findings)
    made = replace(base, plan=plan, verdict=verdict)
    return compared(stored, made, "The same would have been posted.", "Something else would have been posted.", remarks)


# --- by the rules -----------------------------------------------------------------------------------------------------

_RULES_SAW_LESS = (
    "The rules saw the changed lines alone: whole files are not kept, and rules that need them are silent."
)


async def _by_rules(stored: Stored, now: Scope, under: Terms, secrets: Sequence[str]) -> Fixed:
    policy, head = stored.policy, stored.prepared.head_sha
    answers = await ask(Subject(), now, RulesProvider(), NoLedger(), content={}, terms=under, settings=policy.settings)
    withhold = partial(leaking, secrets=secrets)
    return fix(stored.job, head, now, answers, under, policy, last_attempt=True, withhold=withhold)


# --- by the stored answers --------------------------------------------------------------------------------------------


def _insist_on_the_same_model(stored: Stored, under: Terms) -> None:
    """Raises OnlyTheModel when another model would be asked, or the same one something else."""
    then = stored.terms
    other = [
        f"{name} ({getattr(then, name)} then, {getattr(under, name)} now)"
        for name in ("provider", "model", "context_tokens", "max_output_tokens")
        if getattr(then, name) != getattr(under, name)
    ]
    if other:
        raise OnlyTheModel(f"Only a new model call could tell what another {', another '.join(other)} would bring.")


def _insist_on_the_same_prompt(stored: Stored) -> None:
    if stored.prompt_versions - {prompt_version()}:
        raise OnlyTheModel(
            "The prompt has changed since: only a new model call could tell what is answered to today's."
        )


def _insist_on_nothing_new(then: Scope, now: Scope) -> None:
    """Raises OnlyTheModel when more of any file would be sent than was."""
    sent, wanted = _lines(then), _lines(now)
    more = [path for path, lines in wanted.items() if lines > sent[path]]
    if more:
        named = ", ".join(more[:NAMED]) + (f" and {len(more) - NAMED} others" if len(more) > NAMED else "")
        raise OnlyTheModel(
            f"{len(more)} files would be read that were not sent to the model, or only in part ({named}): "
            "only a new model call could tell what it says of them."
        )


def _lines(scope: Scope) -> Counter[str]:
    """How many lines of each file are sent."""
    lines: Counter[str] = Counter()
    for chunk in scope.chunks:
        for file in chunk.files:
            lines[file.path] += sum(len(hunk.lines) for hunk in file.hunks)
    return lines


def _remarks(then: Scope, now: Scope, terms_then: Terms, terms_now: Terms) -> Iterator[str]:
    """What only a new model call could tell, beside what can be told. The rules take each file by itself, unasked."""
    if terms_then.provider == RulesProvider.name:
        return
    if terms_now.max_findings != terms_then.max_findings:
        yield (
            f"The prompt asked for at most {terms_then.max_findings} findings; asked for {terms_now.max_findings}, "
            "the model might have chosen others."
        )
    if len(now.reviewed) < len(then.reviewed):
        yield "The model had read the files that are left out here; without them it might have said other things."


# --- what is left of both ---------------------------------------------------------------------------------------------


def _scope(files: Sequence[FileDiff], under: Terms, policy: Policy, ignored: Sequence[str]) -> Scope:
    spec = GitIgnoreSpec.from_lines(ignored)
    found = scope([file for file in files if not matches(spec, file.path)], under, policy.settings)
    left_out = (LeftOut(file.path, "is left out by its path") for file in files if matches(spec, file.path))
    return Scope(tuple(files), found.reviewed, (*found.left_out, *left_out), found.chunks)


def _filtered(verdict: Verdict, reviewed: Set[str], then: Scope, min_severity: Severity) -> Verdict:
    """Without the findings in files that are read no more, and without those that are not severe enough."""
    gone = {file.path for file in then.reviewed} - reviewed
    about = tuple(each for each in verdict.located if _path(each, then) not in gone)
    return at_least(min_severity, replace(verdict, located=about))


def _path(located: Located, then: Scope) -> str:
    """The file that a finding is about, by the name that the diff has for it."""
    file = find_file(then.files, located.finding.path.lstrip("/"))
    return located.anchor.path if located.anchor else file.path if file else located.finding.path
