"""The web role's server by itself: arguments are a URL and "store", or "discard" to answer without a commit."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from typing import Any

from eventsourcing.persistence import StoredEvent

from reviewbot.app import our_version
from reviewbot.config import load
from reviewbot.metrics import Metrics
from reviewbot.server import Server
from schema.database import open_pool
from schema.keys import KEY_BYTES, Keyring
from schema.log import Log, Meta
from schema.vault import Vault
from tests.bench.ingest import SECRET


class Discarding(Log):
    """Takes everything and keeps nothing."""

    async def append(self, events: Sequence[StoredEvent], meta: Meta, **rest: Any) -> int:
        return 0


async def main(url: str, mode: str) -> None:
    environ = {
        "GITHUB_APP_ID": "1",
        "GITHUB_APP_SLUG": "reviewbot",
        "GITHUB_WEBHOOK_SECRET": SECRET.decode(),
        "HOST": "127.0.0.1",
        "PORT": "0",
        "QUEUE_MAX": "100000000",
    }
    pool = await open_pool(url)
    log = Log(pool) if mode == "store" else Discarding(pool)
    settings = load(environ, role="web")
    vault = Vault(pool, Keyring(bytes(KEY_BYTES)))
    server = Server(settings, "reviewbot", pool, log, Metrics(our_version()), vault=vault, version=our_version())
    await server.start()
    print(server.port, flush=True)
    await asyncio.Event().wait()


asyncio.run(main(*sys.argv[1:]))
