"""What the tests of the stand-in share: a repository with every kind of change, an App's client, and its webhook."""

from __future__ import annotations

import subprocess
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import aiohttp
import jwt
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from multidict import CIMultiDictProxy

from reviewbot.demo.standin import Standin

APP_ID = 7
SECRET = "It's a Secret to Everybody"
REPO = "acme/shop"
INSTALLATION = 42

APP_PY_OLD = b"".join(b"line %d\n" % number for number in range(1, 41))
APP_PY_NEW = APP_PY_OLD.replace(b"line 5\n", b"line five\nline five and a half\n").replace(b"line 30\n", b"")
APP_PY_LATER = b"# a header\n" + APP_PY_NEW
APP_PY_OTHER = APP_PY_NEW.replace(b"line five\n", b"line 5 again\n")
# Names as git prints them: anything beyond ASCII is quoted.
ODD_NAME = 'docs/na\\303\\257ve "draft".txt'
ODD_NAME_READ = 'docs/naïve "draft".txt'


@dataclass(frozen=True)
class Commits:
    """The SHAs of the sample repository. `head` changes much; `later` follows it; `forced` takes its place."""

    path: Path
    base: str
    head: str
    later: str
    forced: str
    huge: str
    many: str


def make_repository(path: Path) -> Commits:
    """One fast-import builds it all."""
    env = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(path), "GIT_CONFIG_NOSYSTEM": "1"}

    def git(*arguments: str, stdin: bytes = b"") -> str:
        done = subprocess.run(["git", *arguments], cwd=path, env=env, input=stdin, capture_output=True, check=True)
        return done.stdout.decode().strip()

    path.mkdir(parents=True, exist_ok=True)
    git("init", "--quiet", "--initial-branch=main")
    stream = b"".join(
        (
            _commit("main", "Start", 1, {
                "src/app.py": APP_PY_OLD,
                "gone.txt": b"bye\n",
                "old name.txt": b"".join(b"same %d\n" % number for number in range(20)),
                ".reviewbot.yml": b"enabled: true\n",
            }),
            _commit("topic", "Change much", 2, {
                "src/app.py": APP_PY_NEW,
                "new.py": b"print('hello')\n",
                "logo.png": b"\x89PNG\r\n\x1a\n\0\0\0",
                "latin1.txt": b"caf\xe9\n",
                f'"{ODD_NAME}"'.replace(' "', ' \\"').replace('".txt', '\\".txt'): b"no newline at the end",
            }, parent="main", more=(
                b"D gone.txt\n"
                b"R \"old name.txt\" renamed.txt\n"
                b"M 160000 1234567890123456789012345678901234567890 vendored\n"
                b"M 120000 inline link\ndata 6\nnew.py\n"
            )),
            _commit("later", "Add a header", 3, {"src/app.py": APP_PY_LATER}, parent="topic"),
            _commit("forced", "Change otherwise", 4, {"src/app.py": APP_PY_OTHER}, parent="main"),
            _commit("huge", "Huge", 5, {"huge.txt": b"x\n" * 21_000, "wide.txt": b"y" * 1_200_000}, parent="main"),
            _commit("many", "Many files", 6, {f"many/{number:03}.txt": b"z\n" for number in range(301)}, parent="main"),
        )
    )  # fmt: skip
    git("fast-import", "--quiet", stdin=stream)
    shas = {name: git("rev-parse", name) for name in ("main", "topic", "later", "forced", "huge", "many")}
    return Commits(path, shas["main"], shas["topic"], shas["later"], shas["forced"], shas["huge"], shas["many"])


def _commit(
    branch: str, message: str, day: int, files: dict[str, bytes], *, parent: str = "", more: bytes = b""
) -> bytes:
    who = f"Ada <ada@example.com> {1_700_000_000 + day * 86_400} +0200"
    head = f"commit refs/heads/{branch}\nauthor {who}\ncommitter {who}\ndata {len(message)}\n{message}\n"
    head += f"from refs/heads/{parent}\n" if parent else ""
    parts = [head.encode()]
    for name, content in files.items():
        parts.append(f"M 100644 inline {name}\ndata {len(content)}\n".encode() + content + b"\n")
    return b"".join(parts) + more + b"\n"


@cache
def _key(pem: str) -> rsa.RSAPrivateKey:
    key = load_pem_private_key(pem.encode(), password=None)  # checked at length, so only once
    assert isinstance(key, rsa.RSAPrivateKey)
    return key


@dataclass
class Reply:
    """One answer of the API."""

    status: int
    headers: CIMultiDictProxy[str]
    content: bytes
    json: Any


@dataclass
class Received:
    """One delivery as it came in."""

    headers: CIMultiDictProxy[str]
    body: bytes


@dataclass
class Hub:
    """The stand-in with an App in front of it: an API client that can be anyone, and a webhook that remembers."""

    standin: Standin
    url: str
    session: aiohttp.ClientSession
    private_pem: str
    commits: Commits
    received: list[Received] = field(default_factory=list)
    webhook_status: int = 202
    token: str = ""

    def app_jwt(self, *, ago: int = 60, lifetime: int = 600, issuer: str = str(APP_ID), **claims: object) -> str:
        """An App JWT issued `ago` seconds ago."""
        issued = int(time.time()) - ago
        payload = {"iat": issued, "exp": issued + lifetime, "iss": issuer, **claims}
        return jwt.encode(payload, _key(self.private_pem), algorithm="RS256")

    async def as_app(self, method: str, path: str, **options: Any) -> Reply:
        """Call with the App's JWT."""
        return await self.call(method, path, authorization=f"Bearer {self.app_jwt()}", **options)

    async def new_token(self, **narrowed: object) -> str:
        """A fresh installation token."""
        path = f"/app/installations/{INSTALLATION}/access_tokens"
        reply = await self.as_app("POST", path, json=narrowed or None)
        assert reply.status == 201, reply
        return str(reply.json["token"])

    async def call(
        self, method: str, path: str, *, authorization: str | None = None, headers: dict[str, str] | None = None,
        **options: Any,
    ) -> Reply:  # fmt: skip
        """Call as the installation unless told otherwise; `authorization` "" sends none."""
        if authorization is None:
            self.token = self.token or await self.new_token()
            authorization = f"token {self.token}"
        sent = {"User-Agent": "tests", "Authorization": authorization, **(headers or {})}
        sent = {name: value for name, value in sent.items() if value}
        url = path if path.startswith("http") else self.url + path
        async with self.session.request(
            method, url, headers=sent, allow_redirects=False, skip_auto_headers=("User-Agent",), **options
        ) as response:
            content = await response.read()
            is_json = response.content_type == "application/json" and content[:1] in (b"{", b"[")
            return Reply(response.status, response.headers, content, await response.json() if is_json else None)

    async def get(self, path: str, **options: Any) -> Any:
        """The JSON of a GET that must succeed."""
        reply = await self.call("GET", path, **options)
        assert reply.status == 200, reply
        return reply.json

    async def open(self, head: str = "topic", **options: Any) -> int:
        """Open a pull request from main."""
        return await self.standin.open_pull_request(REPO, base="main", head=head, title="A change", **options)

    def events(self) -> list[str]:
        """event.action of every delivery received, in order."""
        return [f"{item.message.event}.{item.message.action}" for item in self.standin.deliveries]


@asynccontextmanager
async def webhook(hub: Hub) -> AsyncIterator[str]:
    """A real HTTP server that remembers what is delivered."""

    async def receive(request: web.Request) -> web.Response:
        hub.received.append(Received(request.headers, await request.read()))
        return web.Response(status=hub.webhook_status, text="thanks")

    app = web.Application(client_max_size=26 * 1024 * 1024)
    app.router.add_post("/hook", receive)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    finally:
        await runner.cleanup()
