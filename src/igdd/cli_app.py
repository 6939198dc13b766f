"""What every command of the command line shares: the application, and how it prints and waits."""

from __future__ import annotations

import json
import logging
import math
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Annotated, Any

import typer

from igdd.kernels import COMPILER

app = typer.Typer(
    name="igdd",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
SLOW = 2.0  # seconds before a progress bar appears


def count(amount: Any, noun: str) -> str:
    """An amount with its noun."""
    return f"{amount} {noun}" if amount == 1 else f"{amount} {noun}s"


def say(found: Any, text: str, as_json: bool) -> None:
    """Print what was found, as JSON or as text."""
    if as_json:
        typer.echo(json.dumps(plain(found), indent=1))
    else:
        typer.echo(text)


def plain(found: Any) -> Any:
    """JSON without NaN and infinity: a number that is not known, or has no bound, is null."""
    if isinstance(found, Mapping):
        return {str(key): plain(value) for key, value in found.items()}
    if isinstance(found, list | tuple):
        return [plain(value) for value in found]
    if isinstance(found, float) and not math.isfinite(found):
        return None
    return found if isinstance(found, str | int | float | bool | None) else str(found)


def hear_compiler() -> None:
    """Print to standard error when kernels are compiled, which is once and takes its time."""
    heard = logging.StreamHandler()
    heard.setFormatter(logging.Formatter("igdd: %(message)s"))
    logging.getLogger(COMPILER).addHandler(heard)
    logging.getLogger(COMPILER).setLevel(logging.INFO)


@contextmanager
def progress_bar(quiet: bool) -> Iterator[Callable[[str, int, int], None]]:
    """A bar on standard error once the work has taken longer than two seconds."""
    if quiet or not sys.stderr.isatty():
        yield lambda what, done, total: None
        return
    from rich.console import Console
    from rich.progress import Progress

    started = time.monotonic()
    bar = Progress(console=Console(stderr=True), transient=True)
    tasks: dict[str, Any] = {}

    def show(what: str, done: int, total: int) -> None:
        if what not in tasks:
            tasks[what] = bar.add_task(what, total=total)
        bar.update(tasks[what], completed=done, total=total)
        if time.monotonic() - started > SLOW:
            bar.start()

    try:
        yield show
    finally:
        bar.stop()
