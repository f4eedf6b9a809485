"""The throw-away environment of the peers: a virtual environment of this run alone, with pinned packages."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.bench.figures import say

SCRIPTS = Path(__file__).parents[1] / "peers"
REQUIREMENTS = SCRIPTS / "requirements.txt"
SECONDS = 300  # for all of it


def make(folder: Path) -> Path | None:
    """The Python of a new environment in `folder`, or None and a sentence when the packages cannot be had."""
    python = folder / "bin" / "python"
    pip = [str(python), "-m", "pip", "--disable-pip-version-check", "--no-input", "install", "--quiet", "--requirement"]
    say(f"installing {', '.join(pinned())} into an environment of this run")
    try:
        for command in ([sys.executable, "-m", "venv", str(folder)], [*pip, str(REQUIREMENTS)]):
            subprocess.run(command, check=True, capture_output=True, text=True, timeout=SECONDS)
    except (OSError, subprocess.SubprocessError) as error:
        last = (getattr(error, "stderr", "") or str(error)).strip().splitlines()[-1]
        say(f"The peers' packages, {REQUIREMENTS}, could not be installed, so they are left out: {last}")
        return None
    return python


def pinned() -> list[str]:
    """What is installed, as `name==version`."""
    lines = REQUIREMENTS.read_text("utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]
