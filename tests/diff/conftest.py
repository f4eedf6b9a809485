"""A real git repository to make diffs with."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest


class Repository:
    """A repository in a folder of its own; nothing of the user's or the machine's settings reaches it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._environment = {
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "HOME": str(root.parent),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": "/dev/null",
            **{f"GIT_{who}_{what}": "x@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
        }
        root.mkdir()
        self.git("init", "-q")

    def git(self, *arguments: str, stdin: bytes = b"") -> bytes:
        command = ["git", "-C", str(self.root), *arguments]
        done = subprocess.run(command, env=self._environment, input=stdin, capture_output=True, check=True)
        return done.stdout

    def write(self, name: str | bytes, content: bytes) -> Path:
        path = self.root / (name if isinstance(name, str) else name.decode("utf-8", "surrogateescape"))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path

    def commit(self) -> str:
        """Commits everything in the folder; the new commit's name."""
        self.git("add", "-A", "-f")
        self.git("commit", "-q", "--allow-empty", "-m", "x")
        return self.git("rev-parse", "HEAD").decode().strip()

    def diff(self, *options: str) -> bytes:
        return self.git("diff", "--no-ext-diff", "--no-color", *options)

    def blob(self, name: str) -> bytes:
        """What git has stored under a name such as HEAD:path or an object id."""
        return self.git("cat-file", "blob", name)


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "repository")
