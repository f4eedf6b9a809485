"""A review made again: byte by byte what was posted, whatever was answered; and a difference that is shown."""

from __future__ import annotations

from contextlib import suppress

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reviewbot import planning, render
from reviewbot.errors import AnswerUnusable
from reviewbot.policy import Policy, Settings
from reviewbot.replay import NotReplayable, Stored, replay
from tests.fakes import finding, says
from tests.replay.given import TERMS, recorded_answers, recorded_diffs, reviewed

ANSWERS, DIFFS = recorded_answers(), recorded_diffs()
SECRET = "correct-horse-battery-staple"
PLACED = finding(quote="    eval(password)", line=4)
NOTES = finding(path="docs/notes.py", quote="second = 2", line=2, severity="low", title="A note")


def test_every_recorded_answer_is_read_again_to_the_same_bytes() -> None:
    replayed = 0
    for text in ANSWERS:
        with suppress(AnswerUnusable):
            assert replay(reviewed(text, changes=DIFFS[0]), "1.0").outcome == "equal", text
            replayed += 1
    assert replayed > len(ANSWERS) / 2


@given(
    texts=st.lists(st.sampled_from([*ANSWERS, says(PLACED, NOTES), f"{SECRET} {{"]), min_size=1, max_size=3),
    cut=st.integers(0, 4_000),
    finish=st.sampled_from(["complete", "truncated"]),
    changes=st.sampled_from(DIFFS),
    most=st.integers(1, 5),
    files=st.integers(1, 9),
    secret=st.sampled_from([(), (SECRET,), ("findings-and-more",), ("eval(password)",)]),
)
def test_what_was_answered_cut_withheld_or_limited_comes_out_the_same_again(
    texts: list[str], cut: int, finish: str, changes: bytes, most: int, files: int, secret: tuple[str, ...]
) -> None:
    terms = msgspec.structs.replace(TERMS, max_findings=most, max_files=files, context_tokens=30_000)
    try:
        stored = reviewed(
            *(text[: cut or None] for text in texts),
            finish=finish,  # type: ignore[arg-type]  # one of the two
            changes=changes,
            terms=terms,
            last_attempt=True,
            secrets=secret,
        )
    except AnswerUnusable:
        return
    replayed = replay(stored, "1.0")
    assert (replayed.outcome, replayed.differences) == ("equal", ())
    assert replayed.posted == replayed.made


def test_what_was_withheld_is_withheld_again_without_the_secret_being_known() -> None:
    stored = reviewed(says(PLACED, finding(title=f"Look: {SECRET}", severity="critical")), secrets=(SECRET,))
    assert stored.prepared.withheld == (0,)
    assert replay(stored, "1.0").outcome == "equal"
    forgotten = msgspec.structs.replace(stored, prepared=msgspec.structs.replace(stored.prepared, withheld=()))
    assert replay(forgotten, "1.0").outcome == "different"


@pytest.mark.parametrize(
    "changed",
    [
        {"max_findings": 1},
        {"max_files": 1},
        {"model": "another"},
        {"provider": "another"},
        {"context_tokens": 0},
    ],
)
def test_every_term_that_is_recorded_is_needed(changed: dict[str, object]) -> None:
    """The broken twin: a replay under other terms than those of then is seen, where the terms had a say."""
    stored = reviewed(says(PLACED, NOTES))
    other = msgspec.structs.replace(stored, terms=msgspec.structs.replace(TERMS, **changed))
    expected = "equal" if changed.keys() & {"model", "context_tokens"} else "different"
    assert replay(other, "1.0").outcome == expected


def test_the_settings_of_then_are_part_of_the_replay_and_forgetting_them_is_seen() -> None:
    """With the broken twin: a replay under other settings, where they had a say."""
    settings = Settings(min_severity="high", ignore=("docs/",))
    stored = reviewed(says(PLACED, NOTES), policy=Policy(settings=settings, notes=("A note.",)))
    replayed = replay(stored, "1.0")
    assert replayed.outcome == "equal"
    assert replayed.posted == replayed.made
    for forgotten in (Policy(notes=("A note.",)), Policy(settings=settings)):
        assert replay(msgspec.structs.replace(stored, policy=forgotten), "1.0").outcome == "different"


# --- a difference -----------------------------------------------------------------------------------------------------


def test_a_renderer_that_writes_one_character_else_is_shown_where_it_does(monkeypatch: pytest.MonkeyPatch) -> None:
    stored = reviewed(says(PLACED, NOTES))
    monkeypatch.setattr(render, "_severity", lambda finding: f"**{finding.severity.upper()}**")
    replayed = replay(stored, "2.0")
    assert replayed.outcome == "different"
    assert replayed.told == "NOT what was posted as review 5 (made by ReviewBot 1.0, replayed by 2.0)."
    shown = {each.what: each.diff for each in replayed.differences}
    assert list(shown) == ["comment on src/app.py:4", "comment on docs/notes.py:2", "Check Run"]
    assert "-**High** \u00b7 bug" in shown["comment on src/app.py:4"].splitlines()
    assert "+**HIGH** \u00b7 bug" in shown["comment on src/app.py:4"].splitlines()
    assert shown["comment on src/app.py:4"].startswith("--- posted/comment on src/app.py:4\n+++ replayed/")


def test_a_comment_at_another_place_is_one_that_is_gone_and_one_that_is_new(monkeypatch: pytest.MonkeyPatch) -> None:
    stored = reviewed(says(PLACED))
    make = planning.make_plan

    def elsewhere(*arguments: object, **more: object) -> object:
        plan = make(*arguments, **more)  # type: ignore[arg-type]  # handed through
        (comment,) = plan.comments
        draft = msgspec.structs.replace(comment.comment, line=5)
        return msgspec.structs.replace(plan, comments=(msgspec.structs.replace(comment, comment=draft),))

    monkeypatch.setattr(planning, "make_plan", elsewhere)
    replayed = replay(stored, "1.0")
    assert [each.what for each in replayed.differences] == ["comment on src/app.py:4", "comment on src/app.py:5"]


def test_a_difference_that_nobody_reads_is_shown_in_the_plan_itself() -> None:
    stored = reviewed(says(PLACED))
    reordered = msgspec.json.encode(msgspec.json.decode(stored.plan), order="sorted")
    assert reordered != stored.plan
    (only,) = replay(msgspec.structs.replace(stored, plan=reordered), "1.0").differences
    assert only.what == "plan"


def test_an_answer_that_cannot_be_read_any_more_is_a_difference_with_its_reason() -> None:
    stored = reviewed(says(PLACED))
    (answer,) = stored.answers
    unreadable = msgspec.structs.replace(stored, answers=(msgspec.structs.replace(answer, text="?"),))
    replayed = replay(unreadable, "1.0")
    assert (replayed.outcome, replayed.made) == ("different", None)
    assert "could not be read" in replayed.told


def test_what_was_not_posted_and_what_github_moved_is_said() -> None:
    stored = reviewed(says(PLACED))
    unposted: Stored = msgspec.structs.replace(stored, posted=None)
    assert replay(unposted, "1.0").told == "Equal to what was fixed (it was not posted), byte by byte."
    assert stored.posted is not None
    moved = msgspec.structs.replace(stored, posted=msgspec.structs.replace(stored.posted, comments=0))
    assert "GitHub refused the places of 1 comments" in replay(moved, "1.0").told


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"answers": ()}, "This version divides the change into 1 prompts, and 0 were answered"),
        ({"changes": b'[{"strange": true}]'}, "The stored changes have a shape that this version does not know"),
        ({"changes": b"--- a\n+++ b\n@@ nonsense"}, "It cannot be made again"),
    ],
)
def test_what_a_later_version_reads_otherwise_is_a_difference_with_its_reason(
    changed: dict[str, object], words: str
) -> None:
    stored = msgspec.structs.replace(reviewed(says(PLACED)), **changed)
    replayed = replay(stored, "2.0")
    assert (replayed.outcome, replayed.made) == ("different", None)
    assert words in replayed.told
    assert replayed.told.endswith("(made by ReviewBot 1.0, replayed by 2.0).")


def test_a_stored_plan_of_another_shape_is_named() -> None:
    stored = msgspec.structs.replace(reviewed(says(PLACED)), plan=b'{"strange": true}')
    with pytest.raises(NotReplayable, match="The stored plan has a shape that this version does not know"):
        replay(stored, "1.0")
