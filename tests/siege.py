"""What strangers throw at the door: the largest bodies without a signature, gzip bombs, and sockets that dawdle."""

from __future__ import annotations

import asyncio
import gzip
import re
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from tests.deliveries import Headers, proper_headers, read_answer, request

LARGEST = 25 * 1024 * 1024  # bytes that the door lets in
PIECE = bytes(1024 * 1024)
BOMB = gzip.compress(bytes(10 * 1024 * 1024)) * 100  # a megabyte that would become one of a thousand
FORGED = [("X-Hub-Signature-256", "sha256=" + "0" * 64)]


async def besiege(port: int, count: int = 64) -> Counter[int]:
    """So many of the largest bodies and of the bombs at once; what was answered, 0 where the connection was cut."""
    forged = [_throw(port, PIECE, LARGEST // len(PIECE), _unsigned()) for _ in range(count)]
    bombs = [_throw(port, BOMB, 1, [*_unsigned(), ("Content-Encoding", "gzip")]) for _ in range(count)]
    return Counter(await asyncio.gather(*forged, *bombs))


def _unsigned() -> Headers:
    return [header for header in proper_headers(b"") if header[0] != FORGED[0][0]] + FORGED


async def _throw(port: int, piece: bytes, times: int, headers: Headers) -> int:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        with suppress(ConnectionError):  # it was answered early, and the rest is not wanted
            writer.write(request(b"", headers, length=len(piece) * times))
            for _ in range(times):
                writer.write(piece)
                await writer.drain()
        with suppress(ConnectionError, EOFError):
            return (await read_answer(reader)).status
        return 0
    finally:
        writer.close()


@asynccontextmanager
async def dawdlers(port: int, count: int) -> AsyncIterator[None]:
    """So many connections, half of them amid their headers and half of them amid a body."""
    opened = [await asyncio.open_connection("127.0.0.1", port) for _ in range(count)]
    for number, (_, writer) in enumerate(opened):
        half = request(b"{", proper_headers(b"{"), length=1_000)
        writer.write(b"POST /webhooks/github HT" if number % 2 else half)
    try:
        yield
    finally:
        for _, writer in opened:
            writer.close()


def peak_mb(pid: int) -> float:
    """The most memory that a process has held so far, as the kernel counts it (VmHWM)."""
    status = Path(f"/proc/{pid}/status").read_text()
    found = re.search(r"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE)
    assert found
    return int(found[1]) / 1024
