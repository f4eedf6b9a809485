"""The least that a webhook's door can be in aiohttp: it checks the signature and answers. Arguments: URL, MODE, SECRET.

MODE is "nothing" to store nothing, or "each" to put each delivery's raw body into a table before the answer.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import sys

import asyncpg
from aiohttp import web

CONNECTIONS = 10  # as many as our server's pool has
TABLE = "create table delivery (id uuid primary key, body bytea, received_at timestamptz default now())"
KEEP = "insert into delivery (id, body) values ($1, $2) on conflict do nothing"


async def main(url: str, mode: str, secret: str) -> None:
    async with asyncpg.create_pool(url, min_size=1, max_size=CONNECTIONS) as pool:
        if mode == "each":
            await pool.execute(TABLE)

        async def receive(request: web.Request) -> web.Response:
            body = await request.read()
            expected = "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
            if not hmac.compare_digest(expected, request.headers.get("X-Hub-Signature-256", "")):
                return web.Response(status=401)
            if mode == "each":
                await pool.execute(KEEP, request.headers["X-GitHub-Delivery"], body)
            return web.json_response({"status": "accepted"}, status=202)

        app = web.Application()
        app.router.add_post("/webhooks/github", receive)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        print(site.name.rpartition(":")[2], flush=True)
        await asyncio.Event().wait()


asyncio.run(main(*sys.argv[1:]))
