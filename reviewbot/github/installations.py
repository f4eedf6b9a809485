"""Where the App is installed, what each installation opens, and which pull requests are open there."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime

import msgspec

from reviewbot.github.client import Client, in_repository
from reviewbot.github.models import Installation, InstalledRepository, OpenPull


async def list_installations(app: Client) -> list[Installation]:
    """All installations of the App, suspended ones too. Needs `GitHub.app`."""
    return [item async for item in app.pages("/app/installations{?per_page}", {"per_page": 100}, Installation)]


async def list_repositories(client: Client) -> list[InstalledRepository]:
    """What an installation opens. Needs a client whose token is not narrowed to one repository."""
    path = "/installation/repositories{?per_page}"
    return [item async for item in client.pages(path, {"per_page": 100}, InstalledRepository, key="repositories")]


async def open_pulls(client: Client, repo: str) -> AsyncIterator[OpenPull]:
    """The open pull requests of `repo` ("owner/name"), the last changed first; pages are read as they are needed."""
    path = "/repos/{owner}/{repo}/pulls{?state,sort,direction,per_page}"
    variables = in_repository(repo, state="open", sort="updated", direction="desc", per_page=100)
    async for pull in client.pages(path, variables, OpenPull):
        yield pull


class _Signature(msgspec.Struct, frozen=True):
    date: datetime | None = None


class _Commit(msgspec.Struct, frozen=True):
    committer: _Signature | None = None


class _BaseCommit(msgspec.Struct, frozen=True):
    commit: _Commit


class _Comparison(msgspec.Struct, frozen=True):
    base_commit: _BaseCommit


async def committed_at(client: Client, repo: str, sha: str) -> datetime | None:
    """When a commit was made, as its committer says; None when that is not known.

    Asked as a comparison of the commit with itself, which unlike the commit's own page brings no list of its files.
    """
    path = "/repos/{owner}/{repo}/compare/{base}...{head}"
    found = await client.get(path, in_repository(repo, base=sha, head=sha), _Comparison)
    committer = found.base_commit.commit.committer
    return committer.date if committer else None
