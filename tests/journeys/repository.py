"""The git repository behind the journeys: one start, and branches that change it in every way that matters."""

from __future__ import annotations

import subprocess
from pathlib import Path

APP_OLD = b'"""A shop."""\n\n\ndef price(item):\n    return item["price"]\n'
APP_NEW = (
    APP_OLD
    + b"""

def load(path, cache={}):
    try:
        return cache[path]
    except:
        pass


def find(cursor, name):
    cursor.execute("select * from items where name = '%s'" % name)
    return cursor.fetchone()
"""
)
SETTLED = b"""
min_severity: medium
max_comments: 1
language: German
ignore: ["*.lock", "docs/"]
instructions: Mind the <money>.
path_instructions:
  - paths: ["*.py"]
    instructions: We use Decimal.
  - paths: ["*.go"]
    instructions: We wrap errors.
"""
BRANCHES: dict[str, tuple[str, dict[str, bytes]]] = {  # name -> (parent, files)
    "main": ("", {"shop/app.py": APP_OLD, "poetry.lock": b"# nothing\n"}),
    "topic": ("main", {"shop/app.py": APP_NEW}),
    "later": ("topic", {"shop/app.py": APP_NEW + b"\n\nDEBUG = True\n"}),
    "latest": ("later", {"shop/app.py": APP_NEW + b"\n\nDEBUG = False\n"}),
    "lock-only": ("main", {"poetry.lock": b"# something\n"}),
    "huge": ("main", {"data/huge.csv": b"1,2\n" * 21_000, "shop/app.py": APP_NEW}),
    "own-settings": ("topic", {".reviewbot.yml": b"enabled: false\n"}),
    # As base branches:
    "settled": ("main", {".reviewbot.yml": SETTLED}),
    "drafting": ("main", {".reviewbot.yml": b"drafts: review\n"}),
    "rules-only": ("main", {".reviewbot.yml": b"providers: [rules]\n"}),
    "others-only": ("main", {".reviewbot.yml": b"providers: [anthropic, google]\n"}),
    "ignoring": ("main", {".reviewbot.yml": b"ignore: [shop/]\n"}),
    "switched-off": ("main", {".reviewbot.yml": b"enabled: false\n"}),
    "faulty": ("main", {".reviewbot.yml": b"language: German\nmax_file: 3\n"}),
    "clean": ("main", {"README.md": b"# A shop\n\nIt sells things.\n"}),
}


def make_repository(path: Path) -> Path:
    """All branches in one fast-import."""
    path.mkdir(parents=True)
    stream = b"".join(_commit(name, day, *BRANCHES[name]) for day, name in enumerate(BRANCHES))
    for arguments, given in (
        (["init", "--quiet", "--initial-branch=main"], b""),
        (["fast-import", "--quiet"], stream),
    ):
        environment = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(path), "GIT_CONFIG_NOSYSTEM": "1"}
        subprocess.run(["git", *arguments], cwd=path, env=environment, input=given, capture_output=True, check=True)
    return path


def _commit(branch: str, day: int, parent: str, files: dict[str, bytes]) -> bytes:
    who = f"Ada <ada@example.com> {1_700_000_000 + day * 86_400} +0000"
    lines = [f"commit refs/heads/{branch}", f"author {who}", f"committer {who}", f"data {len(branch)}", branch]
    lines += [f"from refs/heads/{parent}"] if parent else []
    changes = [b"M 100644 inline %s\ndata %d\n%s\n" % (name.encode(), len(body), body) for name, body in files.items()]
    return "\n".join([*lines, ""]).encode() + b"".join(changes) + b"\n"
