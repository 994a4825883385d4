# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""The record of a stored map: which files it is made of, in one small SQLite database.

Whoever saves holds the database's write lock from before the first file is written to after the commit, so that two
processes cannot mix their files; a process that dies loses the lock with its life. The row of the map keeps the columns
of version 1, so that older programs see a newer version and say so; its checksum is over the list of parts.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from slam.errors import MapError

VERSION = 2
RECORD = "map.sqlite"
WAIT_S, CLEANING_WAIT_S = 30.0, 2.0
"""How long a process that wants to save waits for another one to end."""

_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS map (id INTEGER PRIMARY KEY CHECK (id = 1), version INT, file TEXT, sha256 TEXT)",
    "CREATE TABLE IF NOT EXISTS parts (name TEXT PRIMARY KEY, file TEXT, sha256 TEXT, bytes INT)",
)
_OURS = re.compile(r"(planes|gaussians|region-[-0-9_]+)-[0-9a-f]{16}\.safetensors|\..*\.safetensors\.\d+\.part")


class Part(NamedTuple):
    """One file of a map."""

    name: str
    """``planes``, ``gaussians``, or ``region X Y Z``."""
    file: str
    """Within the map's folder."""
    sha256: str
    bytes: int
    """-1 in version 1, which did not keep it."""


class Record(NamedTuple):
    """What a map is made of."""

    version: int
    parts: dict[str, Part]


def read_record(folder: Path) -> Record:
    """The record in ``folder``.

    Raises:
        MapError: where there is none, or it is damaged or of a newer version.
    """
    path = folder / RECORD
    if not path.is_file():
        raise MapError(f"{folder}: no map here ({RECORD} is missing); a replay leaves one in map/ of its output folder")
    try:
        row, rows = _rows(path)
        version, file, digest = _typed(row, int, str, str)
        if version > VERSION:
            raise MapError(f"{folder}: map of version {version}, this program reads up to {VERSION}: update it")
        if version < 1:
            raise ValueError(f"version {version}")
        parts = [Part(*_typed(part, str, str, str, int)) for part in rows]
        if version == 1:
            parts = [Part("planes", file, digest, -1)]
        elif _digest(parts) != digest:
            raise ValueError("its checksum does not fit its list of parts")
    except (sqlite3.Error, UnicodeError, TypeError, ValueError) as error:
        raise MapError(f"{path}: the record of the map cannot be read ({error}); the file is damaged") from None
    return Record(version, {part.name: part for part in parts})


@contextmanager
def writing(folder: Path, wait_s: float | None = None) -> Iterator[sqlite3.Connection]:
    """The record for this process alone to change; committed at the end, left as it was on an exception.

    Raises:
        MapError: when another process keeps it for longer than ``wait_s`` (``WAIT_S``), or it cannot be written.
    """
    wait_s = WAIT_S if wait_s is None else wait_s
    try:
        with closing(sqlite3.connect(folder / RECORD, timeout=wait_s, isolation_level=None)) as record:
            record.execute("PRAGMA journal_mode=WAL")
            record.execute("PRAGMA synchronous=FULL")
            record.execute("BEGIN IMMEDIATE")
            try:
                yield record
            except BaseException:
                record.execute("ROLLBACK")
                raise
            record.execute("COMMIT")
            # Into the database itself before old files go: who may not write here reads it without its log.
            record.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    except sqlite3.OperationalError as error:
        if "locked" in str(error):
            raise MapError(f"{folder}: locked for {wait_s:g} s: is another process saving here?") from None
        raise MapError(f"{folder}: the map cannot be saved here ({error})") from None
    except sqlite3.DatabaseError as error:
        raise MapError(f"{folder / RECORD}: damaged ({error}); remove the folder to save a map there") from None


def replace_parts(record: sqlite3.Connection, parts: list[Part]) -> None:
    """Make the map consist of ``parts``, within ``writing``."""
    for statement in _SCHEMA:
        record.execute(statement)
    record.execute("DELETE FROM parts")
    record.executemany("INSERT INTO parts VALUES (?, ?, ?, ?)", parts)
    planes = next((part.file for part in parts if part.name == "planes"), "")
    record.execute("INSERT OR REPLACE INTO map VALUES (1, ?, ?, ?)", (VERSION, planes, _digest(parts)))


def remove_unreferenced(folder: Path) -> None:
    """Remove files of earlier maps and of saves that were cut off; where another process saves for long, it does so."""
    with suppress(MapError, OSError), writing(folder, wait_s=CLEANING_WAIT_S) as record:
        kept = {file for (file,) in record.execute("SELECT file FROM parts")}
        for path in folder.iterdir():
            if _OURS.fullmatch(path.name) and path.name not in kept:
                path.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Flush the names in ``folder`` to the disk: a rename lasts only then."""
    if os.name == "nt":  # no such thing there
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _digest(parts: list[Part]) -> str:
    return hashlib.sha256(json.dumps([VERSION, *sorted(parts)]).encode()).hexdigest()


def _typed(row: tuple | None, *types: type) -> tuple:
    if row is None:
        raise TypeError("it holds no map; was the first save cut off?")
    if tuple(map(type, row)) != types:
        raise TypeError(f"it holds {row!r}")
    return row


def _rows(path: Path) -> tuple[tuple | None, list[tuple]]:
    """The map's row and its parts."""
    uri = path.resolve().as_uri()
    try:
        return _read_rows(f"{uri}?mode=rw")  # read-only connections leave SQLite's log behind
    except sqlite3.OperationalError as error:
        if "locked" in str(error):
            raise
        return _read_rows(f"{uri}?mode=ro&immutable=1")  # all that SQLite reads in a folder it may not write to


def _read_rows(uri: str) -> tuple[tuple | None, list[tuple]]:
    with closing(sqlite3.connect(uri, uri=True, timeout=WAIT_S, isolation_level=None)) as record:
        record.execute("BEGIN")
        row = record.execute("SELECT version, file, sha256 FROM map").fetchone()
        if row is None or row[0] != VERSION:
            return row, []
        return row, record.execute("SELECT name, file, sha256, bytes FROM parts ORDER BY name").fetchall()
