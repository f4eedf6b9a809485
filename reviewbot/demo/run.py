"""The stand-in as a command: makes what the bot needs to know, says how to use it, and serves until it is stopped."""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import Callable, Sequence
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from reviewbot.demo.standin import Standin
from reviewbot.demo.trouble import parse_trouble
from reviewbot.demo.webhooks import Mode
from reviewbot.errors import ConfigError


def new_app_key() -> tuple[str, str]:
    """A fresh App key: (private PEM in PKCS#1 as GitHub gives out, public PEM)."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
    return private.decode(), _public_pem(key)


def load_app_key(path: Path) -> str:
    """The public PEM of the private key in `path`; a missing file is made, readable by its owner only.

    Raises ConfigError when the file holds no RSA private key.
    """
    if not path.exists():
        private, public = new_app_key()
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
            file.write(private)
        return public
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except (ValueError, TypeError) as error:
        raise ConfigError(f"{path} holds no private key in PEM ({error}): delete it to have one made") from error
    if not isinstance(key, rsa.RSAPrivateKey):
        raise ConfigError(f"{path} holds no RSA key, which GitHub Apps need: delete it to have one made")
    return _public_pem(key)


async def run_standin(
    *,
    repositories: Sequence[tuple[str, Path]],
    key_file: Path,
    say: Callable[[str], None],
    host: str = "127.0.0.1",
    port: int = 0,
    app_id: int = 1,
    webhook_url: str | None = "http://127.0.0.1:3000/webhooks/github",
    webhook_secret: str | None = None,
    webhook_mode: Mode = "normal",
    troubles: Sequence[str] = (),
    private: bool = False,
    enterprise: bool = False,
) -> None:
    """Serve `repositories` ("owner/name", path) until cancelled; `say` prints one line.

    Raises ConfigError for anything that cannot work, and OSError when the port is taken.
    """
    if not repositories:
        raise ConfigError("no repository to serve: give at least one --repo owner/name=PATH")
    secret = webhook_secret or secrets.token_hex(20)
    standin = Standin(
        app_id=app_id,
        public_key_pem=load_app_key(key_file),
        webhook_secret=secret,
        webhook_url=webhook_url,
        enterprise=enterprise,
    )
    standin.webhooks.mode = webhook_mode
    for rule in troubles:
        standin.troubles.add(parse_trouble(rule))
    for name, path in repositories:
        await standin.add_repository(name, path, private=private)
    async with standin.serve(host, port) as url:
        for line in _welcome(standin, url, key_file, secret, repositories[0][0]):
            say(line)
        await asyncio.Event().wait()


def _welcome(standin: Standin, url: str, key_file: Path, secret: str, repo: str) -> list[str]:
    root, branch = standin.world.html_url, standin.repository(repo).default_branch
    body = f'{{"repo": "{repo}", "base": "{branch}~1", "head": "{branch}", "title": "Try it"}}'
    return [
        f"GitHub stand-in on {root}",
        "",
        "Start the bot with:",
        f"  GITHUB_API_URL={url}",
        f"  GITHUB_APP_ID={standin.world.app_id}",
        f"  GITHUB_PRIVATE_KEY={key_file}",
        f"  GITHUB_WEBHOOK_SECRET={secret}",
        f"Deliveries go to {standin.webhooks.url or 'nowhere yet'}.",
        "",
        "Open a pull request:",
        f"  curl --json '{body}' {root}/_standin/pulls",
        f"What else can be done: curl {root}/_standin",
    ]


def _public_pem(key: rsa.RSAPrivateKey) -> str:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_key().public_bytes(serialization.Encoding.PEM, form).decode()
