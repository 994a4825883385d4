# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Messages out of damaged bag files, record by record: a power cut leaves no index, but most of the data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

from slam.io.bag_types import RawMessage, Topic
from slam.io.salvage_mcap import scan_mcap
from slam.io.salvage_rosbag1 import scan_rosbag1
from slam.io.salvage_sqlite import scan_sqlite

Scanned = tuple[str, str, int, bytes]  # topic, message type, record time, data
Scanner = Callable[[Path, list[str]], Iterator[Scanned]]


class Salvaged:
    """A damaged file as a source of messages; counting them takes one pass over the file."""

    def __init__(self, path: Path, scanner: Scanner, ros1: bool) -> None:
        self.ros1 = ros1
        self.notes: list[str] = []
        self._path = path
        self._scanner = scanner
        counts = Counter((topic, msgtype) for topic, msgtype, _, _ in scanner(path, self.notes))
        self.topics = {topic: Topic(topic, msgtype, count) for (topic, msgtype), count in counts.items()}

    def messages(self, topics: Collection[str]) -> Iterator[RawMessage]:
        """Messages of these topics in the order in which they lie in the file."""
        for topic, _, record_ns, data in self._scanner(self._path, []):
            if topic in topics:
                yield RawMessage(topic, record_ns, data)


def salvage(path: Path) -> Salvaged:
    """Scan a file by what its name says it is."""
    if path.suffix == ".bag":
        return Salvaged(path, scan_rosbag1, True)
    if path.suffix == ".mcap":
        return Salvaged(path, scan_mcap, False)
    return Salvaged(path, scan_sqlite, False)
