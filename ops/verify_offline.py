"""Checks a proof bundle of `reviewbot verify --proof JOB` with nothing of ReviewBot: its standard library and Ed25519.

    python verify_offline.py BUNDLE KEY [KEPT ...]

KEY is the public key as NAME+HASH+KEY, which you have from the operator, not from the bundle. KEPT are checkpoints that
you kept, as size:root from a Check Run or as signed notes in files; the bundle must continue each of them.
Exit codes: 0 every event of the bundle is in the sealed log, 1 it does not hold, 2 wrong usage.
"""

import base64
import json
import struct
import sys
from hashlib import sha256
from pathlib import Path
from uuid import UUID

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey


def need(holds, sentence):
    """Give up with a sentence unless something holds."""
    if not holds:
        raise ValueError(sentence)


def decode(text):
    return base64.b64decode(text, validate=True)


def node(left, right):
    """RFC 6962, section 2.1."""
    return sha256(b"\x01" + left + right).digest()


def leaf(event):
    """The hash of an event: of its canonical bytes, format 1."""
    has = [event[name] is not None for name in ("installation", "delivery", "causation")]
    fixed = struct.pack(
        ">BBi16s16s16sqqq32s",
        1,
        has[0] | has[1] << 1 | has[2] << 2,
        event["version"],
        UUID(event["stream"]).bytes,
        UUID(event["delivery"]).bytes if has[1] else bytes(16),
        UUID(event["correlation"]).bytes,
        event["installation"] or 0,
        event["causation"] or 0,
        event["recorded_at"],
        sha256(decode(event["data"])).digest(),
    )
    texts = [event["topic"].encode(), event["actor"].encode()]
    return sha256(b"\x00" + fixed + b"".join(struct.pack(">H", len(text)) + text for text in texts)).digest()


def open_note(note, key):
    """Size and root of a signed checkpoint."""
    name, key_hash, public = key.split("+", 2)
    public = decode(public)
    need(public[:1] == b"\x01", "the key is no Ed25519 key in note form")
    need(sha256(f"{name}\n".encode() + public).hexdigest()[:8] == key_hash, "the key is damaged: its hash does not fit")
    text, _, signatures = note.rpartition("\n\n")
    text += "\n"
    for line in signatures.splitlines():
        dash, signer, signature = line.split(" ")
        signature = decode(signature)
        if (dash, signer, signature[:4].hex()) == ("\u2014", name, key_hash):
            Ed25519PublicKey.from_public_bytes(public[1:]).verify(signature[4:], text.encode())
            size, root = text.split("\n")[1:3]
            return int(size), decode(root)
    raise ValueError("the checkpoint is not signed by this key")


def included(start, index, size, proof):
    """The root that a leaf and its proof lead to: RFC 9162, section 2.1.3.2."""
    need(0 <= index < size, f"a log of {size} events has no event {index + 1}")
    place, last, reached = index, size - 1, start
    for sibling in proof:
        need(last, "a proof is too long")
        if place & 1 or place == last:
            reached = node(sibling, reached)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            reached = node(reached, sibling)
        place, last = place >> 1, last >> 1
    need(last == 0, "a proof is too short")
    return reached


def continues(old, old_root, new, new_root, proof):
    """Whether the tree of `new` leaves begins with the one of `old`: RFC 9162, section 2.1.4.2."""
    if old == new:
        return old_root == new_root and not proof
    need(0 < old < new, f"the bundle's checkpoint of {new} events is older than the one you kept, of {old}")
    hashes = list(proof) if old & (old - 1) else [old_root, *proof]
    need(hashes, "a proof is empty")
    place, last = old - 1, new - 1
    while place & 1:
        place, last = place >> 1, last >> 1
    first = second = hashes[0]
    for sibling in hashes[1:]:
        need(last, "a proof is too long")
        if place & 1 or place == last:
            first, second = node(sibling, first), node(sibling, second)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            second = node(second, sibling)
        place, last = place >> 1, last >> 1
    return last == 0 and first == old_root and second == new_root


def check(bundle, key, kept):
    """What was shown, in a sentence. Raises what Python raises for anything that does not hold."""
    need(bundle["format"] == "reviewbot-proof-1", "this is no proof bundle that this program knows")
    size, root = open_note(bundle["checkpoint"], key)
    need(bundle["events"], "the bundle holds no event")
    for event in bundle["events"]:
        reached = included(leaf(event), event["position"] - 1, size, [decode(each) for each in event["proof"]])
        need(reached == root, f"event {event['position']} is not in the sealed log as the bundle shows it")
    earlier = {each["size"]: [decode(each) for each in each["proof"]] for each in bundle["earlier"]}
    for text in kept:
        head, _, tail = text.partition(":")
        old, old_root = (int(head), decode(tail)) if head.isdigit() else open_note(Path(text).read_text("utf-8"), key)
        proof = earlier.get(old, [] if old == size else None)
        need(proof is not None, f"the bundle has no proof for the checkpoint of size {old}: ask for one with --since")
        need(continues(old, old_root, size, root, proof), f"the log does NOT continue the checkpoint of size {old}")
    return (
        f"{len(bundle['events'])} events are in the log of {size} events, which continues {len(kept)} kept checkpoints."
    )


if __name__ == "__main__":
    if len(sys.argv) < 3:
        print(__doc__, file=sys.stderr)
        sys.exit(2)
    try:
        print("Good:", check(json.loads(Path(sys.argv[1]).read_bytes()), sys.argv[2], sys.argv[3:]))
    except InvalidSignature:
        sys.exit("BAD: the signature of a checkpoint is not genuine")
    except (ValueError, KeyError, TypeError, AttributeError, struct.error, OSError) as error:
        sys.exit(f"BAD: {error!s}" if isinstance(error, ValueError) else f"BAD: {error!r}")
