"""A progress bar on stderr, only on a terminal and not beside JSON."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn


class ShowProgress(Protocol):
    """Shows how far the work is."""

    def __call__(self, done: float, total: float | None = None, text: str = "") -> None:
        """``total``: None if it is not known."""


@contextmanager
def progress(title: str, *, as_json: bool = False) -> Iterator[ShowProgress]:
    """Show a bar until the end of the context."""
    console = Console(stderr=True)
    columns = (
        TextColumn(title, markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.description}", markup=False),
    )
    hidden = as_json or not console.is_terminal
    with Progress(
        *columns,
        console=console,
        transient=True,
        disable=hidden,
        # Results must not follow the bar to stderr.
        redirect_stdout=False,
    ) as bar:
        task = bar.add_task("", total=None)

        def show(done: float, total: float | None = None, text: str = "") -> None:
            bar.update(task, completed=done, total=total, description=text)

        yield show
