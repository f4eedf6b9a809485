"""What each event says, in plain words. Pure."""

from __future__ import annotations

from reviewbot.prices import shown
from schema import events as e
from schema.codec import Recorded


def sentence(event: Recorded) -> str:
    """What an event says, in plain words."""
    return _words(event.fact)


def _words(fact: e.Fact) -> str:
    match fact:
        case e.ReviewRequested():
            head = fact.head_sha[:12] if fact.head_sha else "the newest commit"
            why = fact.trigger.replace("_", " ")
            return f"review of {fact.repository}#{fact.pull_request} at {head} requested ({why})"
        case e.ReviewStarted():
            return f"attempt {fact.attempt} started"
        case e.HeadResolved():
            return f"GitHub says the head is {fact.head_sha[:12]} on base {fact.base_sha[:12]}"
        case e.ChangesGathered():
            return f"{counted(fact.files, 'changed file')} read: {fact.reviewed} to review, {fact.left_out} left out"
        case e.ModelAsked():
            return f"prompt {fact.prompt[:12]} sent to {fact.provider} ({fact.model}), call {fact.call}"
        case e.AnswerReceived():
            return _received(fact)
        case e.ModelCallFailed():
            return f"call {fact.call} to {fact.provider} ({fact.model}) failed: {fact.code}"
        case e.ReviewPrepared():
            findings = counted(fact.findings, "finding")
            return f"review fixed: {findings}, {fact.inline} of them inline, conclusion {fact.conclusion}"
        case e.ReviewPosted():
            how = "found already posted" if fact.found else "posted"
            return f"review {fact.review_id} {how} with {fact.comments} inline comments: {fact.url}"
        case e.ReviewCompleted():
            return f"review completed: {counted(fact.findings, 'finding')}, {fact.conclusion}"
        case e.ReviewFailed(retry_at=None):
            return f"review failed for good ({fact.code}): {fact.reason}"
        case e.ReviewFailed():
            return f"attempt failed ({fact.code}), next one at {fact.retry_at:%H:%M:%S}: {fact.reason}"
        case e.ReviewReleased(budget=str()):
            return f"held back until {fact.retry_at:%Y-%m-%d %H:%M}: {fact.reason}"
        case e.ReviewReleased():
            return f"put back until {fact.retry_at:%H:%M:%S}: {fact.reason}"
        case e.ReviewSuperseded():
            return f"superseded by job {fact.by}" if fact.by else "superseded"
        case e.ReviewCancelled():
            return f"cancelled: {fact.reason}"
        case e.ReviewSkipped():
            return f"not reviewed on purpose: {fact.reason}"
        case e.CheckRunCreated():
            return f"Check Run {fact.check_run_id} created"
        case e.CheckRunConcluded(conclusion=None):
            return f"Check Run left alone: {fact.reason}"
        case e.CheckRunConcluded():
            return f"Check Run {fact.check_run_id} concluded: {fact.conclusion}"
        case _:
            return _told(fact)


def _received(fact: e.AnswerReceived) -> str:
    tokens = f"{fact.input_tokens} tokens in, {fact.output_tokens} out"
    paid = f", {shown(fact.cost_usd)}" if fact.cost_usd is not None else ""
    what = f"answer {fact.answer[:12]} received from {fact.model}"
    return f"{what}: {fact.finish}, {tokens}, {fact.latency_ms} ms{paid}"


def counted(count: int, noun: str) -> str:
    """A number of things: 1 call, 2 calls."""
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def _told(fact: e.Fact) -> str:
    match fact:
        case e.SettingsRead(blob_sha=None):
            return f"the repository has no settings any more at base {fact.base_sha[:12]}"
        case e.SettingsRead(blob_sha=str(blob), faults=0):
            return f"settings {blob[:12]} of the repository read at base {fact.base_sha[:12]}"
        case e.SettingsRead(blob_sha=str(blob)):
            stands = f"those of event {fact.instead} stand" if fact.instead else "the defaults stand"
            return f"settings {blob[:12]} of the repository have {fact.faults} faults: {stands}"
        case e.PullRequestClosed():
            return f"{fact.repository}#{fact.pull_request} {'merged' if fact.merged else 'closed'}"
        case e.PullRequestDrafted():
            return f"{fact.repository}#{fact.pull_request} is a draft: waiting until it is ready"
        case e.RepositoryRenamed():
            return f"repository {fact.repository_id} is now {fact.repository}"
        case e.DeliveryIgnored():
            return f"delivery of {fact.event} ignored: {fact.reason}"
        case e.DeliveryParked():
            return f"delivery of {fact.event} parked: {fact.reason}"
        case e.DeliveryMissed():
            return f"GitHub has our OK for a delivery of {fact.event} that never got into the inbox"
        case e.DeliveryLost():
            return f"delivery of {fact.event} lost for good, asked for again {fact.asked} times: {fact.status}"
        case e.IntakeGap():
            since, until = (f"{moment:%Y-%m-%d %H:%M}" for moment in (fact.since, fact.until))
            return f"gap: nobody knows what GitHub sent between {since} and {until}"
        case e.HeadLeftOut():
            return f"{fact.repository}#{fact.pull_request} at {fact.head_sha[:12]} left out by the sweep: {fact.reason}"
        case _:
            return _administered(fact)


def _administered(fact: e.Fact) -> str:
    match fact:
        case e.InstallationCreated():
            return f"{fact.account} installed the App (installation {fact.installation})"
        case e.InstallationDeleted():
            return f"installation {fact.installation} deleted"
        case e.InstallationErased():
            return f"the texts of installation {fact.installation} were erased: prompts, diffs, answers and deliveries"
        case e.InstallationSuspended():
            return f"installation {fact.installation} suspended"
        case e.InstallationUnsuspended():
            return f"installation {fact.installation} unsuspended"
        case e.InstallationResumed():
            return f"installation {fact.installation} goes on: its budget is not used up any more"
        case e.PermissionsAccepted():
            return f"installation {fact.installation} accepted new permissions"
        case e.RepositoriesChanged():
            return (
                f"installation {fact.installation}: {len(fact.added)} repositories added, {len(fact.removed)} removed"
            )
        case e.TokenCreated():
            until = f"until {fact.expires_at:%Y-%m-%d %H:%M}" if fact.expires_at else "until it is revoked"
            return f"token {fact.name} opens the HTTP API {until}"
        case e.TokenRevoked():
            return f"token {fact.name} revoked"
        case _:
            return fact.TOPIC
