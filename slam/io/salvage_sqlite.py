# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""rosbag2 sqlite3 files that are cut off: rows in the order in which they were written, up to the damage."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path


def scan_sqlite(path: Path, notes: list[str]) -> Iterator[tuple[str, str, int, bytes]]:
    """Topic, type, record time and data of the messages that can be read."""
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?immutable=1", uri=True)) as db:
            db.execute("PRAGMA writable_schema = ON")  # else a file shorter than its header says is refused whole
            topics = {row[0]: row[1:] for row in db.execute("SELECT id, name, type FROM topics")}
            for topic, record_ns, data in db.execute("SELECT topic_id, timestamp, data FROM messages NOT INDEXED"):
                if topic in topics and isinstance(data, bytes):
                    yield (*topics[topic], record_ns, data)
    except sqlite3.Error as err:
        notes.append(f"{path.name}: {err}")
