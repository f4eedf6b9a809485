"""`repository`: a repository has a new name or owner; its id stays."""

from __future__ import annotations

import msgspec
from gidgethub.routing import Router

from reviewbot.webhooks.incoming import Decision, Incoming, Name, Ref, Repository, Told, decides
from schema.events import RepositoryRenamed

router = Router()


class OldName(msgspec.Struct, frozen=True):
    from_: Name = msgspec.field(name="from")


class RepositoryChange(msgspec.Struct, frozen=True):
    name: OldName | None = None


class Owner(msgspec.Struct, frozen=True):
    login: Name


class OldOwner(msgspec.Struct, frozen=True):
    user: Owner | None = None
    organization: Owner | None = None


class OwnerChange(msgspec.Struct, frozen=True):
    from_: OldOwner | None = msgspec.field(name="from", default=None)


class Changes(msgspec.Struct, frozen=True):
    repository: RepositoryChange | None = None
    owner: OwnerChange | None = None


class Payload(msgspec.Struct, frozen=True):
    installation: Ref
    repository: Repository
    changes: Changes | None = None


@router.register("repository", action="renamed")
@router.register("repository", action="transferred")
@decides
async def renamed(incoming: Incoming) -> Decision:
    payload = incoming.read(Payload)
    fact = RepositoryRenamed(
        installation=payload.installation.id,
        repository_id=payload.repository.id,
        repository=payload.repository.full_name,
        before=_before(payload),
    )
    return Told((fact,))


def _before(payload: Payload) -> str | None:
    """The full name before, as far as the delivery tells what changed."""
    owner, _, name = payload.repository.full_name.partition("/")
    match payload.changes:
        case Changes(repository=RepositoryChange(name=OldName(from_=old))):
            return f"{owner}/{old}"
        case Changes(
            owner=OwnerChange(from_=OldOwner(user=Owner(login=old)) | OldOwner(organization=Owner(login=old)))
        ):
            return f"{old}/{name}"
        case _:
            return None
