# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""What a topic leaves: rows with a bar and a verdict, tables of numbers, and notes."""

from __future__ import annotations

import json
import subprocess
import time
import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from bench.machine import processor
from bench.places import OUT, ROOT, shared_data_missing
from bench.topics import BY_NAME

LIBRARY = ("slam", "detection", "mem4nav", "sim_envs", "nodes", "cuda")
"""Folders whose changes a measurement hangs on."""


@dataclass(frozen=True, slots=True)
class Row:
    """One number against its bar; ``verdict`` is "pass", "miss", "skipped", or "" where there is no bar."""

    what: str
    bar: str
    measured: str
    verdict: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """Numbers behind the rows."""

    caption: str
    columns: list[str]
    rows: list[list[str]]


@dataclass(slots=True)
class Report:
    """Collects what a topic found; ``save`` writes it."""

    topic: str
    rows: list[Row] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    began: float = field(default_factory=time.monotonic)

    def row(self, what: str, bar: str, measured: str, holds: bool | None = None) -> None:
        """Add a row; ``holds`` None where no bar is set."""
        verdict = "" if holds is None else "pass" if holds else "miss"
        self.rows.append(Row(what, bar, measured, verdict))
        print(f"{what}: {measured} (bar {bar or '-'}) {verdict}", flush=True)

    def at_most(self, what: str, value: float, bar: float, unit: str = "m", digits: int = 3) -> None:
        """Add a row whose number must not exceed the bar."""
        self.row(what, f"at most {bar:g} {unit}", f"{value:.{digits}f} {unit}", bool(value <= bar))

    def skip(self, what: str, reason: str) -> None:
        """Add a row for something that cannot be measured here."""
        self.rows.append(Row(what, "", reason, "skipped"))
        print(f"{what}: skipped, {reason}", flush=True)

    def attempt(self, name: str, measure: Callable[[Report], None]) -> None:
        """Measure one recording of the shared data: skipped where it is not here, a miss where that fails."""
        if (reason := shared_data_missing(name)) is not None:
            return self.skip(name, reason)
        try:
            measure(self)
        except Exception as error:  # the other recordings are still worth measuring
            traceback.print_exc()
            self.row(name, "runs", f"{type(error).__name__}: {error}", False)

    def table(self, caption: str, columns: list[str], rows: list[list[Any]]) -> None:
        """Add a table; cells become text."""
        cells = [[str(cell) for cell in row] for row in rows]
        self.tables.append(Table(caption, columns, cells))
        print("\n".join([caption, " | ".join(columns), *(" | ".join(row) for row in cells)]), flush=True)

    def note(self, sentence: str) -> None:
        """Add a sentence below the tables."""
        self.notes.append(sentence)
        print(sentence, flush=True)

    def save(self) -> Path:
        """Write the topic's JSON, replacing the one of a run before."""
        content = {
            "topic": self.topic,
            "title": BY_NAME[self.topic].title,
            "seconds": round(time.monotonic() - self.began, 1),
            "commit": commit(),
            "machine": processor(),
            "rows": [asdict(row) for row in self.rows],
            "tables": [asdict(table) for table in self.tables],
            "notes": self.notes,
        }
        return write_json(self.topic, content)


def write_json(topic: str, content: dict[str, Any]) -> Path:
    """Store what a topic found."""
    OUT.mkdir(parents=True, exist_ok=True)
    path = OUT / f"{topic}.json"
    path.write_text(json.dumps(content, indent=1), encoding="utf-8")
    return path


def read_json(topic: str) -> dict[str, Any] | None:
    """What the last run of a topic found; None before the first."""
    path = OUT / f"{topic}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def commit() -> str:
    """The commit measured, with a + where the library was changed since; empty outside a checkout."""

    def git(*arguments: str) -> str:
        done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
        return done.stdout.strip()

    short = git("rev-parse", "--short", "HEAD")
    return f"{short}+" if git("status", "--porcelain", "--", *LIBRARY) else short
