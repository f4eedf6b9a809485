"""Reviews as the live path makes them, in memory: a change, answers and terms in; what would be stored of it out."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from uuid import UUID

import msgspec
from eventsourcing.persistence import StoredEvent

from reviewbot.llm.base import Answer, Finish, Usage
from reviewbot.planning import fix, gather, leaking
from reviewbot.policy import Policy
from reviewbot.prompts.render import prompt_version
from reviewbot.replay import Stored
from schema import events as e
from schema.codec import encode
from schema.log import Log, Meta
from schema.vault import Vault

SAMPLES = Path(__file__).parents[1] / "samples"
JOB = UUID("00000000-0000-4000-8000-000000000001")
HEAD = "a" * 40
TERMS = e.Terms(
    provider="fake",
    model="fake-1",
    context_tokens=200_000,
    whole_files=False,
    max_files=50,
    max_findings=20,
    max_output_tokens=8_192,
)
NO_SETTINGS = Policy()
DIFF = b"""diff --git a/src/app.py b/src/app.py
--- a/src/app.py
+++ b/src/app.py
@@ -1,3 +1,5 @@
 import os
-password = None
+password = os.environ["PASSWORD"]
+try:
+    eval(password)
 # end
diff --git a/docs/notes.py b/docs/notes.py
new file mode 100644
--- /dev/null
+++ b/docs/notes.py
@@ -0,0 +1,2 @@
+first = 1
+second = 2
"""


def recorded_answers() -> list[str]:
    """Answers of models as they came."""
    lines = (SAMPLES / "answers.jsonl").read_text().splitlines()
    return [json.loads(line)["raw"] for line in lines]


def recorded_diffs() -> list[bytes]:
    """Diffs of real pull requests."""
    lines = (SAMPLES / "diffs" / "pull_requests.jsonl").read_text().splitlines()
    return [json.loads(line)["diff"].encode() for line in lines]


def answer(text: str, finish: Finish = "complete") -> Answer:
    return Answer(text=text, provider="fake", model="fake-1-today", finish=finish, usage=Usage(), latency_ms=7)


def reviewed(
    *texts: str,
    changes: bytes = DIFF,
    finish: Finish = "complete",
    terms: e.Terms = TERMS,
    policy: Policy = NO_SETTINGS,
    last_attempt: bool = False,
    secrets: Sequence[str] = (),
    version: str = "1.0",
    job: UUID = JOB,
) -> Stored:
    """What is stored of a review that was made live. The last text answers all further portions."""
    scope = gather(changes, terms, policy)
    answers = tuple(answer(texts[min(part, len(texts) - 1)], finish) for part in range(len(scope.chunks)))
    withhold = partial(leaking, secrets=secrets)
    fixed = fix(job, HEAD, scope, answers, terms, policy, last_attempt=last_attempt, withhold=withhold)
    plan = msgspec.json.encode(fixed.plan)
    return Stored(
        job=job,
        request=e.ReviewRequested(
            installation=1,
            repository_id=2,
            repository="acme/shop",
            pull_request=7,
            head_sha=HEAD,
            trigger="opened",
            asked_at=datetime(2026, 1, 1, tzinfo=UTC),
        ),
        terms=terms,
        policy=policy,
        prepared=e.ReviewPrepared(
            head_sha=HEAD,
            findings=fixed.findings,
            inline=len(fixed.plan.comments),
            plan=hashlib.sha256(plan).hexdigest(),
            conclusion=fixed.plan.conclusion,
            last_attempt=last_attempt,
            withheld=fixed.withheld.findings,
            summary_withheld=fixed.withheld.summary,
            version=version,
        ),
        posted=e.ReviewPosted(review_id=5, url="https://github.com/review", comments=len(fixed.plan.comments)),
        prompt_versions=frozenset({prompt_version()}),
        changes=changes,
        answers=answers,
        plan=plan,
    )


async def store(vault: Vault, log: Log, stored: Stored) -> None:
    """Write a review into the log, as the live path does: its events with their artifacts."""
    installation, terms = stored.request.installation, stored.terms
    changes = await vault.pack(installation, "changes", stored.changes)
    plan = await vault.pack(installation, "plan", stored.plan)
    settings = await vault.pack(installation, "settings", msgspec.json.encode(stored.policy))
    gathered = e.ChangesGathered(
        files=1, reviewed=1, left_out=0, coverage="", changes=changes.ref, terms=terms, settings=settings.ref
    )
    facts: list[e.Fact] = [stored.request, gathered]
    artifacts, prompts = [changes, plan, settings], []
    for call, answer in enumerate(stored.answers, 1):
        prompt = await vault.pack(installation, "prompt", b"%d" % call)
        text = await vault.pack(installation, "answer", answer.text.encode("utf-8", "surrogatepass"))
        asked = e.ModelAsked(
            call=call, provider=terms.provider, model=terms.model, prompt=prompt.ref, prompt_version=prompt_version()
        )
        received = e.AnswerReceived(
            call=call,
            provider=answer.provider,
            model=answer.model,
            prompt=prompt.ref,
            answer=text.ref,
            finish=answer.finish,
        )
        facts += [asked, received]
        artifacts += [prompt, text]
        prompts.append(prompt.ref)
    prepared = msgspec.structs.replace(stored.prepared, plan=plan.ref, prompts=tuple(prompts))
    facts += [prepared, *([stored.posted] if stored.posted else [])]
    events = [StoredEvent(stored.job, version, fact.TOPIC, encode(fact)) for version, fact in enumerate(facts, 1)]
    about = Meta(actor="worker:one", correlation=stored.job, installation=installation)
    await log.append(events, about, artifacts=artifacts)
