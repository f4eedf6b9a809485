"""`installation_repositories`: the App was given or lost repositories of an account."""

from __future__ import annotations

import msgspec
from gidgethub.routing import Router

from reviewbot.webhooks.incoming import Decision, Incoming, Ref, Told, decides
from schema.events import RepositoriesChanged

router = Router()


class Payload(msgspec.Struct, frozen=True):
    installation: Ref
    repositories_added: list[Ref]
    repositories_removed: list[Ref]


@router.register("installation_repositories", action="added")
@router.register("installation_repositories", action="removed")
@decides
async def changed(incoming: Incoming) -> Decision:
    payload = incoming.read(Payload)
    fact = RepositoriesChanged(
        installation=payload.installation.id,
        added=tuple(repository.id for repository in payload.repositories_added),
        removed=tuple(repository.id for repository in payload.repositories_removed),
    )
    return Told((fact,))
