"""Checkpoints and notes: other people's notes are understood, and nothing that was touched is believed."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from schema.notes import Checkpoint, NoteError, Signer, Verifier, open_checkpoint, open_note, parse_checkpoint

# The example of the Go package golang.org/x/mod/sumdb/note, which the specification signed-note comes from.
GO_KEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
GO_TEXT = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
GO_SIGNATURE = "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM="
GO_NOTE = f"{GO_TEXT}\n\u2014 PeterNeumann {GO_SIGNATURE}\n"

SIGNER = Signer("example.org/log", bytes(range(32)))
OTHER = Signer("example.org/log", bytes(32))
CHECKPOINT = Checkpoint("example.org/log", 1234, bytes(range(32)))
NOTE = SIGNER.sign(CHECKPOINT.text)


def test_a_note_of_the_go_package_opens_with_its_key() -> None:
    assert open_note(GO_NOTE, [Verifier.parse(GO_KEY)]) == GO_TEXT


def test_a_key_is_written_as_it_was_read() -> None:
    assert Verifier.parse(GO_KEY).text == GO_KEY
    assert Verifier.parse(SIGNER.verifier.text) == SIGNER.verifier


def test_a_checkpoint_comes_back_as_it_was_signed() -> None:
    assert open_checkpoint(NOTE, [SIGNER.verifier]) == CHECKPOINT
    assert CHECKPOINT.brief == "1234:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="


def test_a_signature_of_another_witness_beside_ours_does_no_harm() -> None:
    witnessed = NOTE + Signer("witness", bytes(32)).sign(CHECKPOINT.text).splitlines()[-1] + "\n"
    assert open_checkpoint(witnessed, [SIGNER.verifier]) == CHECKPOINT


def test_a_note_of_a_foreign_key_is_not_believed() -> None:
    with pytest.raises(NoteError, match="not signed by a key that is trusted"):
        open_checkpoint(NOTE, [OTHER.verifier])


def test_a_signature_under_our_name_that_is_not_ours_is_called_so() -> None:
    with pytest.raises(NoteError, match="not genuine"):
        open_checkpoint(NOTE.replace("1234", "1235"), [SIGNER.verifier])


@given(st.integers(0, len(NOTE) - 1), st.characters())
@example(0, "\ud800")
def test_a_note_changed_in_any_place_never_says_anything_else(place: int, character: str) -> None:
    changed = NOTE[:place] + character + NOTE[place + 1 :]
    try:
        assert open_checkpoint(changed, [SIGNER.verifier]) == CHECKPOINT
    except NoteError:
        assert changed != NOTE


@pytest.mark.parametrize(
    "text",
    [
        "",
        "log\n",
        "log\n12\n",
        "\n1\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n",
        "log\n01\nAA==\n",
        "log\n-1\nAA==\n",
    ]
    + [
        f"log\n{size}\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n"
        for size in ("", "1e3", "9" * 19, "9" * 5_000, "\u0661")
    ]
    + [f"log\n1\n{root}\n" for root in ("AA==", "x", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh9=")],
)
def test_what_is_no_checkpoint_is_refused(text: str) -> None:
    with pytest.raises(NoteError):
        parse_checkpoint(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a",
        "a+b+c",
        GO_KEY[:-1],
        GO_KEY.replace("c74f", "c74e"),
        GO_KEY.replace("Peter", "Pe ter"),
        "+00000000+AQ==",
    ],
)
def test_what_is_no_verifier_key_is_refused(text: str) -> None:
    with pytest.raises(NoteError):
        Verifier.parse(text)


@given(st.text())
def test_any_text_is_either_a_note_or_refused(text: str) -> None:
    with pytest.raises(NoteError):
        open_note(text, [SIGNER.verifier])
