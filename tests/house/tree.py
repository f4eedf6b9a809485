"""The repository as the house tests see it: its root and the files that the next commit would hold."""

from __future__ import annotations

import subprocess
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("reviewbot", "projections", "schema")


@cache
def files() -> tuple[str, ...]:
    """Paths with slashes, relative to ROOT, of all that is tracked or new and not ignored."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--deduplicate"]
    listing = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return tuple(sorted(path for path in listing.split("\0") if path and (ROOT / path).is_file()))


def files_of_packages() -> tuple[str, ...]:
    return tuple(path for path in files() if path.split("/")[0] in PACKAGES)


def read(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")
