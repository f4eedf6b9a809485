"""One review from claim to completion, as a list of named steps. Each is in the log before the next one is taken."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial

import msgspec
import structlog

from reviewbot.budgets import Budgets
from reviewbot.errors import ReviewBotError
from reviewbot.github import checks, pulls
from reviewbot.github.client import Client, GitHub
from reviewbot.github.models import Pull
from reviewbot.llm.base import Answer, Prompt, Provider
from reviewbot.metrics import Metrics
from reviewbot.planning import Fixed, fix, gather, leaking, recorded_answer
from reviewbot.prices import Cost, Rate, cost
from reviewbot.prompts.render import Subject, prompt_version
from reviewbot.publisher import Plan, Publisher
from reviewbot.render import check_running
from reviewbot.repository_settings import Standing, read_standing
from reviewbot.review import job_id
from reviewbot.reviewer import CONTENT_LIMIT, Scope, ask, contents, terms
from reviewbot.story import NotWanted, Story
from schema import events as e
from schema.inbox import Artifact
from schema.vault import Erased, Vault

logger = structlog.get_logger(__name__)

DELIBERATE = ("comment", "check_run_rerequested", "check_suite_rerequested")


class StepSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What the steps need to know of the configuration."""

    max_files: int = 50
    max_findings: int = 20
    max_output_tokens: int = 8_192
    max_attempts: int = 3
    secrets: tuple[str, ...] = ()
    prices: tuple[Rate, ...] = ()  # the operator's own
    version: str = "unknown"  # of ReviewBot


class Steps:
    """Everything that one review takes; called by the worker with the story of a claimed job."""

    def __init__(
        self,
        vault: Vault,
        github: GitHub,
        providers: Sequence[Provider],
        settings: StepSettings,
        metrics: Metrics,
        budgets: Budgets,
        *,
        bot_login: str,
    ) -> None:
        """`providers` are those that the operator offers; the first one reviews unless a repository wants another."""
        self._vault, self._github, self._providers, self._budgets = vault, github, providers, budgets
        self._settings, self._metrics, self._bot_login = settings, metrics, bot_login

    async def review(self, story: Story) -> None:
        """From the claim to ReviewCompleted.

        Raises NotWanted, FenceLost, OverBudget, and what GitHub and the provider raise.
        """
        try:
            await self._review(story)
        except Erased as erased:
            raise NotWanted(e.ReviewCancelled(reason=str(erased))) from erased

    async def _review(self, story: Story) -> None:
        client = self._github.installation(story.row.installation, story.row.repository_id)
        await self._check_permission(client, story)
        pull = await self._resolve_head(client, story)
        if not self._is_prepared(story):
            await self._budgets.check(story.row.installation)
        await self._show_in_progress(client, story)
        plan = await self._prepared(story) or await self._prepare(client, story, pull)
        await self._publish(client, story, plan)
        await story.record(
            e.ReviewCompleted(
                head_sha=plan.head_sha,
                findings=story.job.prepared.findings if story.job.prepared else 0,
                conclusion=plan.conclusion,
                review_id=story.job.posted.review_id if story.job.posted else None,
            )
        )

    async def _check_permission(self, client: Client, story: Story) -> None:
        """A comment may only command with write permission; who wrote it stands in the delivery, not in the log."""
        if story.row.trigger != "comment":
            return
        login = await self._commenter(story)
        permission = await pulls.permission(client, story.row.repository, login)
        if not permission.may_write:
            raise NotWanted(e.ReviewSkipped(reason="the person who asked in a comment has no write permission"))

    async def _commenter(self, story: Story) -> str:
        _, body = await self._vault.read_delivery(story.row.correlation)
        return msgspec.json.decode(body, type=_CommentDelivery).comment.user.login

    async def _resolve_head(self, client: Client, story: Story) -> Pull:
        pull = await pulls.get_pull(client, story.row.repository, story.row.pull_request)
        await self._insist(story, pull)
        if (story.job.head_sha, story.job.base_sha) != (pull.head.sha, pull.base.sha):
            await story.record(e.HeadResolved(head_sha=pull.head.sha, base_sha=pull.base.sha))
        return pull

    async def _insist(self, story: Story, pull: Pull) -> None:
        """Raises NotWanted unless this head of an open pull request is still the one to review."""
        if pull.state == "closed":
            raise NotWanted(e.ReviewCancelled(reason="merged" if pull.merged else "closed"))
        if pull.draft and story.row.trigger not in DELIBERATE and not await story.reviews_drafts():
            raise NotWanted(e.ReviewCancelled(reason="draft"))
        if story.job.head_sha in (None, pull.head.sha):
            return
        # The webhook of the newer push may be late or lost: ask for its review ourselves.
        row = story.row
        newer = job_id(row.installation, row.repository_id, row.pull_request, pull.head.sha)
        request = e.ReviewRequested(
            installation=row.installation,
            repository_id=row.repository_id,
            repository=row.repository,
            pull_request=row.pull_request,
            head_sha=pull.head.sha,
            trigger="synchronize",
            asked_at=max(pull.updated_at, row.asked_at),  # else the job that this one superseded stays ended
        )
        await story.request(request, newer)
        raise NotWanted(e.ReviewSuperseded(by=newer))

    async def _show_in_progress(self, client: Client, story: Story) -> None:
        """Best effort: a Check Run that still says "queued" while the review runs does no harm."""
        row = story.row
        if row.check_run_id is None or row.check_version != row.request_version:
            return
        try:
            output = check_running(row.attempt)
            await checks.update(client, row.repository, row.check_run_id, status="in_progress", output=output)
        except ReviewBotError as error:
            logger.info("the check run still says queued", error=str(error))

    # --- gather, ask, judge -------------------------------------------------------------------------------------

    async def _prepared(self, story: Story) -> Plan | None:
        """What an earlier attempt fixed for this head: it is posted as it is, at no further cost."""
        prepared = story.job.prepared
        if prepared is None or not self._is_prepared(story):
            return None
        plan = await self._vault.read_artifact(story.row.installation, prepared.plan)
        return msgspec.json.decode(plan, type=Plan)

    def _is_prepared(self, story: Story) -> bool:
        return story.job.prepared is not None and story.job.prepared.head_sha == story.job.head_sha

    async def _prepare(self, client: Client, story: Story, pull: Pull) -> Plan:
        settings = self._settings
        standing = await read_standing(client, story, self._vault, pull.base.sha, self._providers)
        policy = standing.policy
        await self._insist(story, pull)  # the settings may have changed their mind about drafts
        under = terms(
            standing.provider,
            policy.settings,
            max_files=settings.max_files,
            max_findings=settings.max_findings,
            max_output_tokens=settings.max_output_tokens,
        )
        found = await self._gather(client, story, under, standing)
        ledger = LogLedger(self._vault, story, self._metrics, settings.prices)
        answers = await self._ask(client, story, pull, found, ledger, under, standing)
        last = story.job.attempt >= settings.max_attempts
        withhold = partial(leaking, secrets=settings.secrets)
        # off the event loop: a hostile answer may take seconds to read and to make harmless
        fixed = await asyncio.to_thread(
            fix, story.row.job, pull.head.sha, found, answers, under, policy, last_attempt=last, withhold=withhold
        )
        await self._record_prepared(story, fixed, ledger.prompts, last)
        return fixed.plan

    async def _gather(self, client: Client, story: Story, under: e.Terms, standing: Standing) -> Scope:
        changed = await pulls.changed_files(client, story.row.repository, story.row.pull_request)
        raw = changed if isinstance(changed, bytes) else msgspec.json.encode(changed)
        changes = await self._vault.pack(story.row.installation, "changes", raw)
        found = await asyncio.to_thread(gather, raw, under, standing.policy)  # seconds of work for the largest changes
        coverage = await self._vault.pack(story.row.installation, "coverage", msgspec.json.encode(_coverage(found)))
        gathered = e.ChangesGathered(
            files=len(found.files),
            reviewed=len(found.reviewed),
            left_out=len(found.left_out),
            coverage=coverage.ref,
            changes=changes.ref,
            terms=under,
            settings=standing.ref,
        )
        await story.record(gathered, [coverage, changes])
        return found

    async def _record_prepared(self, story: Story, fixed: Fixed, prompts: Sequence[str], last: bool) -> None:
        plan = fixed.plan
        artifact = await self._vault.pack(story.row.installation, "plan", msgspec.json.encode(plan))
        prepared = e.ReviewPrepared(
            head_sha=plan.head_sha,
            findings=fixed.findings,
            inline=len(plan.comments),
            plan=artifact.ref,
            conclusion=plan.conclusion,
            prompts=tuple(prompts),
            last_attempt=last,
            withheld=fixed.withheld.findings,
            summary_withheld=fixed.withheld.summary,
            version=self._settings.version,
        )
        await story.record(prepared, [artifact])
        for located in fixed.found.located:
            self._metrics.findings.labels(located.finding.severity).inc()
        self._metrics.findings_dropped.inc(fixed.found.rejected)

    async def _ask(
        self,
        client: Client,
        story: Story,
        pull: Pull,
        found: Scope,
        ledger: LogLedger,
        under: e.Terms,
        standing: Standing,
    ) -> list[Answer]:
        provider, settings = standing.provider, standing.policy.settings
        subject = Subject(
            title=pull.title,
            body=pull.body or "",
            head_branch=pull.head.ref,
            base_branch=pull.base.ref,
            language=settings.language,
        )
        content = {}
        if provider.needs_content:
            fetch = partial(self._content, client, story.row.repository, pull.head.sha)
            content = await contents(found.reviewed, fetch)
        return await ask(subject, found, provider, ledger, content=content, terms=under, settings=settings)

    async def _content(self, client: Client, repository: str, sha: str, path: str) -> bytes | None:
        return await pulls.file_content(client, repository, path, sha, limit=CONTENT_LIMIT)

    # --- publish ------------------------------------------------------------------------------------------------

    async def _publish(self, client: Client, story: Story, plan: Plan) -> None:
        if story.job.posted is not None:
            return

        async def guard() -> None:
            await story.fence()
            await self._insist(story, await pulls.get_pull(client, story.row.repository, story.row.pull_request))

        publisher = Publisher(client, story.row.repository, story.row.pull_request, self._bot_login, guard)
        posted = await publisher.publish(plan)
        await story.record(
            e.ReviewPosted(review_id=posted.review_id, url=posted.url, comments=posted.comments, found=posted.found)
        )


class LogLedger:
    """Prompts and raw answers go into the log before anything is done with them.

    `prompts` are the digests of those that an answer was wanted to, in order.
    """

    def __init__(self, vault: Vault, story: Story, metrics: Metrics, prices: Sequence[Rate] = ()) -> None:
        self._vault, self._story, self._metrics, self._prices = vault, story, metrics, prices
        self.prompts: list[str] = []
        self._prompt = ""  # digest of the prompt that is out
        self._model = ""  # as configured, which unlike the reported one has few values
        self._asked_at = 0.0

    async def answer_to(self, prompt: Prompt, provider: Provider) -> Answer | None:
        ref = (await self._artifact(prompt, provider.model)).ref
        self.prompts.append(ref)
        known = self._story.job.answers.get(ref)
        if known is None:
            return None
        text = await self._vault.read_artifact(self._story.row.installation, known.answer)
        return recorded_answer(known, text)

    async def asking(self, prompt: Prompt, provider: Provider) -> None:
        artifact = await self._artifact(prompt, provider.model)
        fact = e.ModelAsked(
            call=self._story.job.calls + 1,
            provider=provider.name,
            model=provider.model,
            prompt=artifact.ref,
            prompt_version=prompt_version(),
        )
        await self._story.record(fact, [artifact])
        self._prompt, self._model = artifact.ref, provider.model
        self._asked_at = time.monotonic()

    async def answered(self, prompt: Prompt, answer: Answer) -> None:
        self._count(answer.provider, answer.finish, answer.latency_ms / 1000)
        usage = answer.usage
        for kind, tokens in (
            ("input", usage.input_tokens),
            ("cached_input", usage.cached_input_tokens),
            ("output", usage.output_tokens),
        ):
            self._metrics.model_tokens.labels(answer.provider, self._model, kind).inc(tokens)
        raw = await self._vault.pack(
            self._story.row.installation, "answer", answer.text.encode("utf-8", "surrogatepass")
        )
        paid = self._paid(answer)
        fact = e.AnswerReceived(
            call=self._story.job.calls,
            provider=answer.provider,
            model=answer.model,
            prompt=self._prompt,
            answer=raw.ref,
            finish=answer.finish,
            input_tokens=answer.usage.input_tokens,
            output_tokens=answer.usage.output_tokens,
            cached_input_tokens=answer.usage.cached_input_tokens,
            latency_ms=answer.latency_ms,
            request_id=answer.request_id,
            structured=answer.structured,
            cost_usd=paid.usd if paid else None,
            price_table=paid.table if paid else None,
        )
        await self._story.record(fact, [raw])

    def _paid(self, answer: Answer) -> Cost | None:
        """What the answer cost; None when that cannot be told now. Whatever happens, the answer must reach the log."""
        usage, labels = answer.usage, (answer.provider, self._model)
        try:
            paid = cost(
                answer.provider,
                (answer.model, self._model),
                input_tokens=usage.input_tokens,
                output_tokens=usage.output_tokens,
                cached_input_tokens=usage.cached_input_tokens,
                at=datetime.now(UTC),
                own=self._prices,
            )
        except Exception as error:  # noqa: BLE001 - the table is not ours, and an answer that is paid for is not lost to it
            logger.warning("an answer could not be priced", model=answer.model, error=repr(error))
            paid = None
        if paid is None or paid.usd is None:
            self._metrics.calls_unpriced.labels(*labels).inc()
        else:
            self._metrics.cost_usd.labels(*labels).inc(float(paid.usd))
        return paid

    async def unanswered(self, prompt: Prompt, provider: Provider, error: Exception) -> None:
        seconds = time.monotonic() - self._asked_at
        code = type(error).__name__
        self._count(provider.name, code, seconds)
        fact = e.ModelCallFailed(
            call=self._story.job.calls,
            provider=provider.name,
            model=provider.model,
            prompt=self._prompt,
            code=code,
            latency_ms=round(seconds * 1000),
        )
        await self._story.record(fact)

    def _count(self, provider: str, outcome: str, seconds: float) -> None:
        self._metrics.model_calls.labels(provider, self._model, outcome).inc()
        self._metrics.model_seconds.labels(provider, self._model).observe(seconds)

    async def _artifact(self, prompt: Prompt, model: str) -> Artifact:
        text = msgspec.json.encode({"model": model, "system": prompt.system, "user": prompt.user})
        return await self._vault.pack(self._story.row.installation, "prompt", text)


class _Named(msgspec.Struct):
    login: str


class _Comment(msgspec.Struct):
    user: _Named


class _CommentDelivery(msgspec.Struct):
    comment: _Comment


def _coverage(found: Scope) -> dict[str, Sequence[object]]:
    return {"reviewed": [file.path for file in found.reviewed], "left_out": found.left_out}
