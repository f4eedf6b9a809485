"""What other settings would have posted, and that only the model could tell where only the model could."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from reviewbot import counterfactual
from reviewbot.counterfactual import OnlyTheModel, Question, would_have_posted
from reviewbot.policy import Policy, Settings
from reviewbot.replay import Counts, Replayed, Stored
from tests.fakes import finding, says
from tests.replay.given import TERMS, recorded_answers, recorded_diffs, reviewed

HIGH = finding(quote="    eval(password)", line=4)
LOW = finding(path="docs/notes.py", quote="second = 2", line=2, severity="low", title="A note")


async def ask(stored: Stored, **question: Any) -> Replayed:
    return await would_have_posted(stored, Question(**question), ())


def text(replayed: Replayed) -> str:
    return "\n".join(each.diff for each in replayed.differences)


@pytest.mark.parametrize("changes", recorded_diffs()[:4])
async def test_nothing_asked_is_what_was_posted(changes: bytes) -> None:
    for answer in recorded_answers()[:10]:
        replayed = await ask(reviewed(answer, changes=changes, last_attempt=True))
        assert (replayed.outcome, replayed.told) == ("equal", "The same would have been posted.")


async def test_fewer_inline_comments_leave_the_rest_in_the_body_and_the_prompt_is_told_of() -> None:
    replayed = await ask(reviewed(says(HIGH, LOW)), max_findings=1)
    assert (replayed.posted, replayed.made) == (Counts(2, 2, "neutral"), Counts(2, 1, "neutral"))
    assert "beyond the limit of 1 inline comments" in text(replayed)
    assert replayed.remarks == (
        "The prompt asked for at most 20 findings; asked for 1, the model might have chosen others.",
    )


async def test_a_limit_of_the_repository_stands_whatever_the_operators_would_have_been() -> None:
    terms = msgspec.structs.replace(TERMS, max_findings=1)
    stored = reviewed(says(HIGH, LOW), terms=terms, policy=Policy(settings=Settings(max_comments=1)))
    assert (await ask(stored, max_findings=5)).outcome == "equal"
    assert (await ask(stored, today=TERMS)).outcome == "equal"
    unbound = msgspec.structs.replace(stored, policy=Policy())
    assert (await ask(unbound, max_findings=5)).outcome == "different"


async def test_the_rules_would_have_reviewed_under_the_repositorys_settings_too() -> None:
    stored = reviewed(says(HIGH, LOW), policy=Policy(settings=Settings(ignore=("src/",))))
    ignored, read = [
        await ask(each, with_rules=True) for each in (stored, msgspec.structs.replace(stored, policy=Policy()))
    ]
    assert ignored.made == Counts(0, 0, "success")
    assert read.made is not None
    assert read.made.findings > 0


async def test_findings_below_a_severity_are_left_out_and_counted_in_the_review() -> None:
    replayed = await ask(reviewed(says(HIGH, LOW)), min_severity="medium")
    assert replayed.made == Counts(1, 1, "neutral")
    assert "+> 1 findings below medium are not shown." in text(replayed)
    replayed = await ask(reviewed(says(LOW)), min_severity="critical")
    assert replayed.made == Counts(0, 0, "success")


async def test_a_path_that_is_left_out_takes_its_findings_along_and_is_named_as_left_out() -> None:
    replayed = await ask(reviewed(says(HIGH, LOW)), ignored=("docs/",))
    assert replayed.made == Counts(1, 1, "neutral")
    assert "docs/notes.py" in text(replayed)
    assert "is left out by its path" in text(replayed)
    assert replayed.remarks == (
        "The model had read the files that are left out here; without them it might have said other things.",
    )


async def test_later_patterns_take_back_earlier_ones_and_one_that_fits_nothing_changes_nothing() -> None:
    assert (await ask(reviewed(says(HIGH, LOW)), ignored=("*.py", "!docs/*", "!src/*"))).outcome == "equal"
    assert (await ask(reviewed(says(HIGH, LOW)), ignored=("*.go",))).outcome == "equal"


async def test_a_finding_without_a_place_goes_with_its_file_whatever_the_model_called_it() -> None:
    loose = finding(path="./docs/notes.py", quote="nowhere", line=900)
    assert (await ask(reviewed(says(HIGH, loose)), ignored=("docs/",))).made == Counts(1, 1, "neutral")


async def test_fewer_files_can_be_told_and_more_files_only_by_the_model() -> None:
    few = msgspec.structs.replace(TERMS, max_files=1)
    assert (await ask(reviewed(says(HIGH, LOW)), max_files=1)).made == Counts(1, 1, "neutral")
    with pytest.raises(OnlyTheModel, match=r"1 files would be read that were not sent .*\(docs/notes.py\)"):
        await ask(reviewed(says(HIGH), terms=few), max_files=2)
    assert (await ask(reviewed(says(HIGH, LOW)), max_files=3_000)).outcome == "equal"


async def test_a_file_that_makes_room_for_one_that_was_not_read_is_for_the_model_to_tell() -> None:
    few = msgspec.structs.replace(TERMS, max_files=1)
    with pytest.raises(OnlyTheModel, match=r"docs/notes\.py"):
        await ask(reviewed(says(HIGH), terms=few), ignored=("src/",))


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"model": "fake-2"}, r"another model \(fake-1 then, fake-2 now\)"),
        ({"provider": "other", "context_tokens": 9_000}, "another provider .*, another context_tokens"),
    ],
)
async def test_another_model_is_for_the_model_to_tell(changed: dict[str, Any], named: str) -> None:
    with pytest.raises(OnlyTheModel, match=named):
        await ask(reviewed(says(HIGH)), today=msgspec.structs.replace(TERMS, **changed))


async def test_another_prompt_is_for_the_model_to_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    stored = reviewed(says(HIGH, LOW))
    today = msgspec.structs.replace(TERMS, max_findings=1)
    assert (await ask(stored, today=today)).made == Counts(2, 1, "neutral")
    monkeypatch.setattr(counterfactual, "prompt_version", lambda: "another")
    with pytest.raises(OnlyTheModel, match="The prompt has changed since"):
        await ask(stored, today=today)


async def test_the_rules_review_the_stored_change_and_say_what_they_could_not_see() -> None:
    replayed = await ask(reviewed(says(HIGH)), with_rules=True)
    assert "Checked the added lines of 2 changed files with offline rules" in text(replayed)
    assert "rules that need them are silent" in replayed.remarks[0]
    none = await ask(reviewed(says(HIGH)), with_rules=True, ignored=("*",))
    assert none.made is not None
    assert none.made.findings == 0


async def test_the_rules_read_files_that_the_model_was_not_sent() -> None:
    few = msgspec.structs.replace(TERMS, max_files=1)
    replayed = await ask(reviewed(says(HIGH), terms=few), with_rules=True, max_files=50)
    assert "2 changed files" in text(replayed)


async def test_what_the_rules_find_is_held_against_the_secrets_of_today() -> None:
    stored, question = reviewed(says(HIGH)), Question(with_rules=True)
    assert "literal_eval" in text(await would_have_posted(stored, question, ()))
    guarded = text(await would_have_posted(stored, question, ("ast.literal_eval",)))
    assert "1 parts of the answer were withheld because they repeated a credential" in guarded
    assert "literal_eval" not in guarded


async def test_what_the_rules_had_said_is_told_under_other_limits_without_reservations() -> None:
    by_rules = msgspec.structs.replace(TERMS, provider="rules", model="rules-1")
    replayed = await ask(reviewed(says(HIGH, LOW), terms=by_rules), max_findings=1, ignored=("docs/",))
    assert (replayed.made, replayed.remarks) == (Counts(1, 1, "neutral"), ())


async def test_settings_of_today_that_name_the_rules_ask_the_rules_unless_they_had_reviewed() -> None:
    today = msgspec.structs.replace(TERMS, provider="rules", model="rules-1", context_tokens=10_000_000)
    assert "offline rules" in text(await ask(reviewed(says(HIGH)), today=today))
    by_rules = reviewed(says(HIGH), terms=today)
    assert (await ask(by_rules, today=today)).outcome == "equal"
