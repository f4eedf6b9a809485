"""How a command of the command line runs: what goes wrong becomes one sentence and an exit code."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Coroutine
from typing import Any

import click
from eventsourcing.persistence import OperationalError

from reviewbot.errors import ConfigError, ReviewBotError

EXIT_FINDINGS = 1
EXIT_CONFIG = 2
EXIT_FAILED = 3


def run(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run a command; errors become one sentence and an exit code: 2 for the configuration, 3 for anything else."""
    try:
        asyncio.run(main())
    except ConfigError as error:
        click.echo(str(error), err=True)
        sys.exit(EXIT_CONFIG)
    except (ReviewBotError, OperationalError) as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(EXIT_FAILED)
    except KeyboardInterrupt:
        sys.exit(130)
