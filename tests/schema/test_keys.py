"""Keys: what is sealed opens with the same key in the same place only, and tells nothing without the key."""

from __future__ import annotations

import hashlib
from uuid import UUID

import msgspec
import pytest

from schema.keys import KEY_BYTES, Changed, DataKey, Keyring, Place, WrongKey

ONE, TWO = bytes([1] * KEY_BYTES), bytes([2] * KEY_BYTES)
PLACE = Place("artifact", b"row", "prompt")


def data_key(installation: int = 7, secret: bytes = ONE, key: int = 1) -> DataKey:
    return DataKey(UUID(int=key), installation, secret)


def test_what_is_sealed_comes_back_and_never_looks_the_same_twice() -> None:
    key = data_key()
    first, second = (key.seal(PLACE, b"the text") for _ in range(2))
    assert first != second
    assert key.open(PLACE, first) == key.open(PLACE, second) == b"the text"
    assert b"the text" not in first


@pytest.mark.parametrize(
    "elsewhere",
    [Place("inbox", b"row", "prompt"), Place("artifact", b"wor", "prompt"), Place("artifact", b"row", "answer")],
    ids=["table", "row", "kind"],
)
def test_a_sealed_text_opens_in_its_own_place_only(elsewhere: Place) -> None:
    with pytest.raises(Changed, match="was changed after it was stored"):
        data_key().open(elsewhere, data_key().seal(PLACE, b"the text"))


@pytest.mark.parametrize(
    "other", [data_key(8), data_key(secret=TWO), data_key(key=2)], ids=["installation", "secret", "id"]
)
def test_a_sealed_text_opens_with_its_own_key_only(other: DataKey) -> None:
    with pytest.raises(Changed):
        other.open(PLACE, data_key().seal(PLACE, b"the text"))


def test_every_flipped_bit_and_every_lost_byte_is_noticed() -> None:
    key = data_key()
    sealed = key.seal(PLACE, b"text")
    for place in range(len(sealed)):
        with pytest.raises(Changed):
            key.open(PLACE, sealed[:place] + bytes([sealed[place] ^ 1]) + sealed[place + 1 :])
        with pytest.raises(Changed):
            key.open(PLACE, sealed[:place])


def test_a_digest_is_stable_and_means_nothing_without_the_key() -> None:
    digest = data_key().digest("prompt", b"yes")
    assert digest == data_key().digest("prompt", b"yes")
    assert digest not in {data_key(secret=TWO).digest("prompt", b"yes"), data_key().digest("answer", b"yes")}
    assert digest not in {hashlib.sha256(text).digest() for text in (b"yes", b"prompt\0yes")}


def test_a_wrapped_key_opens_what_it_sealed_and_holds_no_secret_in_clear() -> None:
    ring = Keyring(ONE)
    wrapped = ring.make(7)
    assert ring.unwrap(wrapped).open(PLACE, ring.unwrap(wrapped).seal(PLACE, b"text")) == b"text"
    assert ring.make(7).id != wrapped.id
    assert ONE not in wrapped.wrapped


def test_another_encryption_key_is_named_beside_the_one_that_is_needed() -> None:
    wrapped = Keyring(ONE).make(7)
    needed, given = Keyring(ONE).current.fingerprint, Keyring(TWO).current.fingerprint
    with pytest.raises(WrongKey, match=f"installation 7 .* {needed}, and given is {given}"):
        Keyring(TWO).unwrap(wrapped)


def test_the_old_encryption_key_opens_and_the_new_one_wraps() -> None:
    wrapped = Keyring(ONE).make(7)
    both = Keyring(TWO, old=ONE)
    sealed = both.unwrap(wrapped).seal(PLACE, b"text")
    again = both.rewrap(wrapped)
    assert (again.id, again.fingerprint) == (wrapped.id, Keyring(TWO).current.fingerprint)
    assert Keyring(TWO).unwrap(again).open(PLACE, sealed) == b"text"


@pytest.mark.parametrize("change", [{"installation": 8}, {"id": UUID(int=8)}, {"wrapped": b"short"}], ids=str)
def test_a_wrapped_key_opens_for_its_own_installation_and_id_only(change: dict[str, object]) -> None:
    wrapped = Keyring(ONE).make(7)
    with pytest.raises(Changed):
        Keyring(ONE).unwrap(msgspec.structs.replace(wrapped, **change))
