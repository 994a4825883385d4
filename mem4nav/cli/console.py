# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""What a command shows on the terminal: results on stdout; log and progress on stderr."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.logging import RichHandler
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table

ROOMS = ("mem4nav", "slam", "detection", "sim_envs")


class Terminal:
    """Where a command speaks; a quiet one shows errors alone.

    Args:
        quiet: no results, no progress, and of the log only warnings.
    """

    def __init__(self, quiet: bool = False) -> None:
        self.quiet = quiet
        self.out = Console(quiet=quiet, highlight=False, soft_wrap=True)
        self.err = Console(stderr=True, highlight=False)
        self._progress: Progress | None = None
        handler = RichHandler(console=self.err, show_path=False, show_time=False, markup=False)
        for room in ROOMS:
            logger = logging.getLogger(room)
            logger.handlers[:] = [handler]
            logger.setLevel(logging.WARNING if quiet else logging.INFO)
            logger.propagate = False

    def say(self, text: str) -> None:
        """One line of result."""
        self.out.print(text, markup=False)

    def table(self, title: str, rows: list[tuple[str, str]]) -> None:
        """A small table of names and values."""
        table = Table(title=title, title_justify="left", show_header=False, box=None, padding=(0, 2, 0, 0))
        table.add_column(style="dim")
        table.add_column(justify="right")
        for row in rows:
            table.add_row(*row)
        self.out.print(table)

    @contextmanager
    def task(self, description: str, total: int | None) -> Iterator[Callable[[], None]]:
        """A line in the progress display; yields what moves it on by one. A ``total`` of None is not known."""
        with self.progress() as progress:
            task = progress.add_task(description, total=total)
            yield lambda: progress.advance(task)
            progress.update(task, total=max(1, int(progress.tasks[task].completed)))

    @contextmanager
    def progress(self) -> Iterator[Progress]:
        """The one progress display of a command: opened inside another, it is that other."""
        if self._progress is not None:
            yield self._progress
            return
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
        )
        hidden = self.quiet or not self.err.is_terminal
        try:
            with Progress(*columns, console=self.err, disable=hidden) as progress:
                self._progress = progress
                yield progress
        finally:
            self._progress = None
