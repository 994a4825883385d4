# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""A memory on disk: one SQLite database (WAL) that holds all of it, and beside it the cached index.

Every write, visit and correction is one transaction, on the disk when the call returns: a crash loses nothing that
was acknowledged. Embeddings are the journal: they stand in a table of their own, in large pages, so that they cost
little more than their bytes and everything else is read without them.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mem4nav.errors import MemoryStoreError
from mem4nav.memory.graph import TopologyGraph
from mem4nav.memory.observations import ENTRY
from mem4nav.memory.owner import FolderLock

DATABASE = "memory.sqlite"
VERSION = 2
PAGE_BYTES = 65536
INDEX = "index.faiss"
INDEX_KEYS = ("index_sha256", "index_entries")
"""The cached index and what of the table meta vouches for it; see ``mem4nav.memory.index_cache``."""
TOKENS, TOKENS_KEY = "tokens.safetensors", "tokens_sha256"
"""The cached tokens of places, likewise."""

_SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE keyframes (id INTEGER PRIMARY KEY, pose BLOB NOT NULL);
CREATE TABLE labels (id INTEGER PRIMARY KEY, text TEXT NOT NULL);
CREATE TABLE entries (id INTEGER PRIMARY KEY, x REAL, y REAL, z REAL, keyframe INT, step INT, label INT, node INT,
 gone INT);
CREATE TABLE journal (id INTEGER PRIMARY KEY, embedding BLOB NOT NULL);
CREATE TABLE nodes (id INTEGER PRIMARY KEY, name TEXT, x REAL, y REAL, z REAL, visits INT, phi BLOB NOT NULL);
CREATE TABLE visits (id INTEGER PRIMARY KEY, node INT, keyframe INT, x REAL, y REAL, z REAL);
CREATE TABLE edges (a INT, b INT, metres REAL, cost REAL, times INT, PRIMARY KEY (a, b)) WITHOUT ROWID;
"""

_MIGRATIONS = {1: "ALTER TABLE entries ADD COLUMN gone INT DEFAULT 0"}
"""What makes the next version of a version."""

_PER_READ = 8192


class NoStore:
    """Of a memory in RAM alone: nothing is kept."""

    folder: Path | None = None

    def wrote(self, first: int, rows: NDArray[np.void], vectors: NDArray[np.float32], labels: Sequence[str]) -> None:
        """Observations are about to be taken in."""

    def hung(self, keyframes: dict[int, NDArray[np.float64]]) -> None:
        """Keyframes are new, or have new poses."""

    def visited(self, graph: TopologyGraph, came_from: int) -> None:
        """The graph's current node was visited."""

    def replaced_graph(self, graph: TopologyGraph) -> None:
        """Any of its nodes and edges may have changed."""

    def forgot(self, entries: Iterable[int]) -> None:
        """Entries are to be erased."""

    def marked(self, entries: Iterable[int]) -> None:
        """Entries are gone."""

    def cleared(self) -> None:
        """All is to be erased."""

    @contextmanager
    def together(self) -> Iterator[None]:
        """What happens within is stored as one."""
        yield

    def close(self) -> None:
        """Let go of the folder."""


class Store(NoStore):
    """The database of one folder, held by this process alone until ``close``.

    Raises:
        MemoryStoreError: where another process holds it, or it is damaged, too new or cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder: Path = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._lock = FolderLock(folder)
        self._within = False
        try:
            self._open()
        except BaseException:
            self._lock.release()
            raise

    def _open(self) -> None:
        path = self.folder / DATABASE
        try:
            self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            self._db.execute(f"PRAGMA page_size={PAGE_BYTES}")
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=FULL")
            self._db.execute("PRAGMA secure_delete=ON")
            self._db.execute("PRAGMA cache_size=-16384")
            self._db.execute("PRAGMA wal_autocheckpoint=256")
            self._bring_up_to_date()
        except sqlite3.DatabaseError as error:
            raise MemoryStoreError(f"{path}: cannot be used as a memory ({error}); is the file damaged?") from None

    def _bring_up_to_date(self) -> None:
        with self.together():
            if not self._db.execute("SELECT 1 FROM sqlite_master").fetchone():
                for statement in filter(str.strip, _SCHEMA.split(";")):
                    self._db.execute(statement)
                self.put("version", VERSION)
            version = self.get("version")
            if not isinstance(version, int) or not 1 <= version <= VERSION:
                raise MemoryStoreError(
                    f"{self.folder}: memory of version {version}, this program reads 1 to {VERSION}: update it"
                )
            while version < VERSION:
                self._db.execute(_MIGRATIONS[version])
                version += 1
                self.put("version", version)

    @contextmanager
    def together(self) -> Iterator[None]:
        """One transaction: all of what happens within is stored, or none of it."""
        if self._within:
            yield
            return
        try:
            self._db.execute("BEGIN IMMEDIATE")
            self._within = True
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            finally:
                self._within = False
        except sqlite3.Error as error:
            raise MemoryStoreError(f"{self.folder}: the memory cannot be stored ({error})") from None

    def close(self) -> None:
        """Write the log into the database and let go of the folder."""
        self._db.close()
        self._lock.release()

    # one value each

    def put(self, key: str, value: Any) -> None:
        """Set one value of the table meta."""
        self._db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))

    def get(self, key: str) -> Any:
        """One value of the table meta, None where there is none."""
        row = self._db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return row[0] if row else None

    # what happens

    def wrote(self, first: int, rows: NDArray[np.void], vectors: NDArray[np.float32], labels: Sequence[str]) -> None:
        """Store observations; ``labels`` are all labels of the memory that may be new, by number."""
        numbers = range(first, first + len(rows))
        places, columns = (
            rows["local"].tolist(),
            [rows[name].tolist() for name in ("keyframe", "step", "label", "node", "gone")],
        )
        kept = (~rows["forgotten"]).tolist()
        entries = [(n, *at, *rest) for n, at, *rest, keep in zip(numbers, places, *columns, kept, strict=True) if keep]
        journal = [(n, vector.tobytes()) for n, vector, keep in zip(numbers, vectors, kept, strict=True) if keep]
        with self.together():
            known = self.get("labels") or 0
            self._db.executemany("INSERT INTO labels VALUES (?, ?)", list(enumerate(labels))[known:])
            self.put("labels", len(labels))
            self._db.executemany("INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", entries)
            self._db.executemany("INSERT INTO journal VALUES (?, ?)", journal)
            self.put("entries", first + len(rows))
            self.put("step", int(rows["step"].max(initial=-1)) + 1)

    def hung(self, keyframes: dict[int, NDArray[np.float64]]) -> None:
        """Store the poses of keyframes."""
        with self.together():
            rows = [(k, T.astype(np.float64).tobytes()) for k, T in keyframes.items()]
            self._db.executemany("INSERT OR REPLACE INTO keyframes VALUES (?, ?)", rows)

    def visited(self, graph: TopologyGraph, came_from: int) -> None:
        """Store the graph's newest visit and what it changed."""
        with self.together():
            self._put_nodes(graph, [graph.current])
            self._put_visits(graph, len(graph.visits) - 1)
            self._put_edges(graph, [(came_from, graph.current)])
            self.put("current", graph.current)

    def replaced_graph(self, graph: TopologyGraph) -> None:
        """Store the graph anew."""
        with self.together():
            for table in ("nodes", "visits", "edges"):
                self._db.execute(f"DELETE FROM {table}")
            self._put_nodes(graph, range(len(graph)))
            self._put_visits(graph, 0)
            self._put_edges(graph, list(graph.edges))
            self.put("current", graph.current)

    def _put_nodes(self, graph: TopologyGraph, nodes: Iterable[int]) -> None:
        rows = [
            (n, graph.names[n], *graph.positions[n].tolist(), int(graph.counts[n]), graph.embeddings[n].tobytes())
            for n in nodes
        ]
        self._db.executemany("INSERT OR REPLACE INTO nodes VALUES (?, ?, ?, ?, ?, ?, ?)", rows)

    def _put_visits(self, graph: TopologyGraph, first: int) -> None:
        rows = [
            (first + k, int(visit["node"]), int(visit["keyframe"]), *visit["local"].tolist())
            for k, visit in enumerate(graph.visits[first:])
        ]
        self._db.executemany("INSERT INTO visits VALUES (?, ?, ?, ?, ?, ?)", rows)

    def _put_edges(self, graph: TopologyGraph, pairs: list[tuple[int, int]]) -> None:
        found = [(pair, graph.edges[pair]) for pair in pairs if pair in graph.edges]
        rows = [(*pair, edge.metres, edge.cost, edge.times) for pair, edge in found]
        self._db.executemany("INSERT OR REPLACE INTO edges VALUES (?, ?, ?, ?, ?)", rows)

    def adopt(self, aside: Path, name: str, vouched: dict[str, Any]) -> None:
        """A file written aside becomes a cache: flushed, renamed, then vouched for in the table meta."""
        with open(aside, "rb") as file:
            os.fsync(file.fileno())
        os.replace(aside, self.folder / name)
        with self.together():
            for key, value in vouched.items():
                self.put(key, value)

    def drop_caches(self) -> None:
        """The cached index and tokens are not to be used any more."""
        for key in (*INDEX_KEYS, TOKENS_KEY):
            self.put(key, None)
        for name in (INDEX, TOKENS):
            (self.folder / name).unlink(missing_ok=True)

    def forgot(self, entries: Iterable[int]) -> None:
        """Erase entries, from the caches too: SQLite overwrites their bytes with zeros."""
        rows = [(int(entry),) for entry in entries]
        with self.together():
            self.drop_caches()
            self._db.executemany("DELETE FROM entries WHERE id = ?", rows)
            self._db.executemany("DELETE FROM journal WHERE id = ?", rows)

    def marked(self, entries: Iterable[int]) -> None:
        """Entries are gone."""
        with self.together():
            self._db.executemany("UPDATE entries SET gone = 1 WHERE id = ?", [(int(entry),) for entry in entries])

    def cleared(self) -> None:
        """Erase all but the settings."""
        with self.together():
            self.drop_caches()
            for table in ("keyframes", "labels", "entries", "journal", "nodes", "visits", "edges"):
                self._db.execute(f"DELETE FROM {table}")
            self._db.execute("DELETE FROM meta WHERE key NOT IN ('version', 'mode', 'config')")

    # what there is

    def labels(self) -> list[str]:
        """All labels by number."""
        return [text for (text,) in self._db.execute("SELECT text FROM labels ORDER BY id")]

    def keyframes(self) -> dict[int, NDArray[np.float64]]:
        """Their poses."""
        return {k: np.frombuffer(T).reshape(4, 4).copy() for k, T in self._db.execute("SELECT * FROM keyframes")}

    def entries(self) -> NDArray[np.void]:
        """``ENTRY`` of all numbers given, without position and key; what is missing was forgotten."""
        rows = np.zeros(self.get("entries") or 0, ENTRY)
        rows["forgotten"], rows["keyframe"] = True, -1
        cursor = self._db.execute("SELECT id, x, y, z, keyframe, step, label, node, gone FROM entries")
        while some := cursor.fetchmany(_PER_READ):
            values = np.array(some, np.float64)
            numbers = values[:, 0].astype(np.int64)
            rows["local"][numbers], rows["forgotten"][numbers] = values[:, 1:4], False
            for column, name in enumerate(("keyframe", "step", "label", "node", "gone"), 4):
                rows[name][numbers] = values[:, column]
        return rows

    def embeddings(self, first: int, count: int, dimension: int) -> Iterator[NDArray[np.float32]]:
        """(N, D) embeddings from entry ``first`` up to ``count``, in pieces; zeros for what was forgotten."""
        for start in range(first, count, _PER_READ):
            vectors = np.zeros((min(_PER_READ, count - start), dimension), np.float32)
            query = "SELECT id, embedding FROM journal WHERE id >= ? AND id < ?"
            for number, data in self._db.execute(query, (start, start + len(vectors))):
                vectors[number - start] = np.frombuffer(data, np.float32)
            yield vectors

    def fill(self, graph: TopologyGraph) -> None:
        """Take the stored graph into an empty one."""
        nodes = self._db.execute("SELECT name, x, y, z, visits, phi FROM nodes ORDER BY id").fetchall()
        visits = self._db.execute("SELECT node, keyframe, x, y, z FROM visits ORDER BY id").fetchall()
        edges = self._db.execute("SELECT a, b, metres, cost, times FROM edges").fetchall()
        current = self.get("current")
        graph.restore(nodes, visits, edges, -1 if current is None else current)

    def journal_bytes(self) -> int:
        """What entries and journal take in the database."""
        query = "SELECT SUM(pgsize) FROM dbstat WHERE name IN ('entries', 'journal')"
        return int(self._db.execute(query).fetchone()[0])

    def settings(self) -> tuple[str, dict[str, Any]] | None:
        """Mode and configuration that it was made with; None before they are put."""
        mode, config = self.get("mode"), self.get("config")
        return None if mode is None else (mode, json.loads(config))
