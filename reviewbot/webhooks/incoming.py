"""A signed delivery on its way to a decision: what is read of it, and what may become of it."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Annotated, Any, TypeAlias, TypeVar
from uuid import UUID

import msgspec
from gidgethub import sansio

from reviewbot.review import PUSH, job_id
from reviewbot.webhooks.known import Known
from schema.events import Fact, ReviewRequested, Trigger

T = TypeVar("T")

Id = Annotated[int, msgspec.Meta(ge=1, le=2**63 - 1)]  # what GitHub counts and Postgres can hold
Number = Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)]
Sha = Annotated[str, msgspec.Meta(pattern=r"^(?:[0-9a-f]{40}|[0-9a-f]{64})\Z")]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=300)]
Moment = Annotated[datetime, msgspec.Meta(tz=True)]

CLOCK_TOLERANCE = timedelta(minutes=5)


# --- what is read of every delivery -----------------------------------------------------------------------------


class Ref(msgspec.Struct, frozen=True):
    """Something of which only the id matters."""

    id: Id


class Repository(msgspec.Struct, frozen=True):
    """A repository: its id identifies it, `full_name` ("owner/name") may change."""

    id: Id
    full_name: Name


class Account(msgspec.Struct, frozen=True):
    """A user, a bot or an organisation."""

    id: Id
    login: Name
    type: str = "User"

    @property
    def is_bot(self) -> bool:
        return self.type == "Bot"


class Commit(msgspec.Struct, frozen=True):
    """The head or base of a pull request."""

    sha: Sha


class PullRequestRef(msgspec.Struct, frozen=True):
    """As much of a pull request as tells what an ignored delivery was about."""

    number: Number | None = None
    head: Commit | None = None


class Envelope(msgspec.Struct, frozen=True):
    """What deliveries of all kinds have in common; each part may be absent."""

    action: Annotated[str, msgspec.Meta(max_length=64)] | None = None
    installation: Ref | None = None
    repository: Repository | None = None
    sender: Account | None = None
    pull_request: PullRequestRef | None = None


# --- what may become of it --------------------------------------------------------------------------------------


class Request(msgspec.Struct, frozen=True):
    """A review is asked for. `job` is the stream."""

    fact: ReviewRequested
    job: UUID


class Requests(msgspec.Struct, frozen=True):
    """Reviews of several pull requests are asked for at once: a commit may stand in more than one."""

    each: tuple[Request, ...]


class Told(msgspec.Struct, frozen=True):
    """Facts to remember."""

    facts: tuple[Fact, ...]


class Ignored(msgspec.Struct, frozen=True):
    """Nothing is asked for, and why."""

    reason: str
    pull_request: int | None = None
    head_sha: str | None = None


Decision: TypeAlias = Request | Requests | Told | Ignored


class NotUnderstood(Exception):
    """The delivery is signed, yet it cannot be read; the message says what is wrong with it."""

    installation = 0


class App(msgspec.Struct, frozen=True):
    """Who we are to GitHub."""

    id: int
    slug: str

    @property
    def login(self) -> str:
        return f"{self.slug}[bot]"


class Incoming:
    """One delivery with everything that a handler may look at.

    Making one raises NotUnderstood when the body is not a JSON object or its common parts are not what they should be.
    """

    __slots__ = ("app", "body", "decision", "delivery", "envelope", "event", "known", "received_at")

    def __init__(
        self, *, delivery: UUID, event: str, body: bytes, received_at: datetime, app: App, known: Known
    ) -> None:
        self.delivery, self.event, self.body, self.received_at = delivery, event, body, received_at
        self.app, self.known = app, known
        self.decision: Decision | None = None
        self.envelope = self.read(Envelope)

    @property
    def installation(self) -> int:
        """The installation that it is about; 0 when it names none."""
        return self.envelope.installation.id if self.envelope.installation else 0

    def read(self, kind: type[T]) -> T:
        """The body as `kind`. Raises NotUnderstood that names the field at fault."""
        try:
            decoder = _decoders.get(kind) or _decoders.setdefault(kind, msgspec.json.Decoder(kind))
            decoded: T = decoder.decode(self.body)
        except msgspec.MsgspecError as error:
            mended = _LONE_SURROGATES.sub(_mended, self.body)
            if mended != self.body:
                self.body = mended
                return self.read(kind)
            raise NotUnderstood(str(error)) from error
        except RecursionError as error:  # the decoder gives up about a thousand levels down
            raise NotUnderstood("JSON is nested too deeply") from error
        except UnicodeError as error:
            raise NotUnderstood("JSON holds text that is not Unicode") from error
        return decoded

    def not_later_than_now(self, moment: datetime) -> datetime:
        """`moment`, or the time of receipt when it lies in the future.

        Requests of a pull request are ordered by GitHub's clock: one from the far future would block it for ever.
        """
        return moment if moment <= self.received_at + CLOCK_TOLERANCE else self.received_at

    def request(
        self,
        *,
        installation: int,
        repository: Repository,
        pull_request: int,
        head_sha: str | None,
        trigger: Trigger,
        asked_at: datetime,
        key: str = PUSH,
        comment_id: int | None = None,
    ) -> Request:
        """Ask for a review in the name of the sender."""
        sender = self.envelope.sender
        fact = ReviewRequested(
            installation=installation,
            repository_id=repository.id,
            repository=repository.full_name,
            pull_request=pull_request,
            head_sha=head_sha,
            trigger=trigger,
            asked_at=self.not_later_than_now(asked_at),
            requested_by=sender.id if sender else None,
            comment_id=comment_id,
        )
        return Request(fact, job_id(installation, repository.id, pull_request, head_sha, key))


# JSON may escape half a surrogate pair, which is no character: it is read as U+FFFD. First stands what only looks like
# one: an escaped backslash, and both halves of a pair.
_LONE_SURROGATES = re.compile(
    rb"\\\\|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(?P<lone>\\u[dD][89a-fA-F][0-9a-fA-F]{2})"
)


def _mended(match: re.Match[bytes]) -> bytes:
    return rb"\ufffd" if match["lone"] else match[0]


_decoders: dict[type, msgspec.json.Decoder[Any]] = {}


# --- how a handler is registered --------------------------------------------------------------------------------

Handler: TypeAlias = Callable[[Incoming], Awaitable[Decision]]
Callback: TypeAlias = Callable[[sansio.Event, Incoming], Awaitable[None]]


def decides(handler: Handler) -> Callback:
    """Makes a handler fit for gidgethub's Router, whose callbacks return nothing: the decision goes into `incoming`."""

    async def callback(_event: sansio.Event, incoming: Incoming) -> None:
        incoming.decision = await handler(incoming)

    callback.__name__ = handler.__name__
    return callback
