# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Raw messages of a bag, whole or damaged: rosbag1, rosbag2 folders and single files, compressed ones too."""

from __future__ import annotations

import logging
import shutil
import tempfile
import weakref
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from slam.errors import RecordingError
from slam.io.bag_types import RawMessage, Topic
from slam.io.salvage import salvage
from slam.io.zstandard import ZSTD_MAGIC, zstd_decompress, zstd_open

log = logging.getLogger(__name__)

LATEST_NS = (1 << 63) - 1
COMPRESSED_SUFFIXES = (".zst", ".zstd")


class Source(Protocol):
    """One file or folder that yields messages.

    Attributes:
        ros1: messages are serialised as ROS 1 does it, else CDR.
        topics: by name.
    """

    ros1: bool
    topics: dict[str, Topic]

    def messages(self, topics: Collection[str]) -> Iterator[RawMessage]:
        """Messages of these topics in recorded order; raises whatever the library raises where the bag is damaged."""
        ...


class LibrarySource:
    """A bag that the rosbags library can open."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.ros1 = path.suffix == ".bag"
        self._reader = _reader(path)
        self._reader.open()
        weakref.finalize(self, _close, self._reader)
        self.topics = {}
        for c in self._reader.connections:
            count = c.msgcount + (self.topics[c.topic].count if c.topic in self.topics else 0)
            self.topics[c.topic] = Topic(c.topic, c.msgtype, count)

    def messages(self, topics: Collection[str]) -> Iterator[RawMessage]:
        wanted = [c for c in self._reader.connections if c.topic in topics]
        if wanted:
            for connection, record_ns, data in self._reader.messages(wanted):
                yield RawMessage(connection.topic, record_ns, data)


def _reader(path: Path) -> Any:
    if path.suffix == ".bag":
        from rosbags.rosbag1 import Reader
    else:
        from rosbags.rosbag2 import Reader  # type: ignore[assignment]
    return Reader(path)


def _close(reader: Any) -> None:
    try:
        reader.close()
    except Exception as err:  # a reader that failed while opening cannot be closed
        log.debug("closing %s: %s", reader, err)


@dataclass
class Bag:
    """All sources of one recording, one after the other, with what went wrong.

    Attributes:
        path: what the user gave.
        sources: files in the order of recording.
        notes: sentences about damage.
    """

    path: Path
    sources: list[Source]
    notes: list[str] = field(default_factory=list)

    @property
    def ros1(self) -> bool:
        return self.sources[0].ros1

    def kind_of(self, topic: str) -> str:
        """Message type of a topic, without its package."""
        return self.topics[topic].kind

    @cached_property
    def topics(self) -> dict[str, Topic]:
        """Topics over all sources, with their counts added up."""
        merged: dict[str, Topic] = {}
        for source in self.sources:
            for name, topic in source.topics.items():
                count = topic.count + (merged[name].count if name in merged else 0)
                merged[name] = Topic(name, topic.msgtype, count)
        return merged

    def messages(self, topics: Collection[str]) -> Iterator[RawMessage]:
        """Messages of these topics; where a file is damaged, what can be read of it, and a note."""
        for source in self.sources:
            for message in self._sound(source, topics):
                if message.topic not in topics or message.record_ns > LATEST_NS:
                    self.add_note("the bag is damaged: some messages carry a topic or a record time that cannot be")
                elif message.data[:4] != ZSTD_MAGIC:
                    yield message
                elif (plain := self._decompressed(message)) is not None:
                    yield plain

    def _sound(self, source: Source, topics: Collection[str]) -> Iterator[RawMessage]:
        """Messages of a source up to the damage, and then what a scan record by record finds after it."""
        last_ns = None
        try:
            for message in source.messages(topics):
                last_ns = message.record_ns
                yield message
            return
        except Exception as err:  # whatever a library raises on damaged bytes
            self.add_note(f"the bag is damaged: {type(err).__name__} {str(err)[:120]}; reading on record by record")
        if isinstance(source, LibrarySource):
            for file in _files(source.path):
                rescued = salvage(_unpacked(file) if file.suffix in COMPRESSED_SUFFIXES else file)
                yield from (m for m in rescued.messages(topics) if last_ns is None or m.record_ns > last_ns)
                for note in rescued.notes:
                    self.add_note(note)

    def _decompressed(self, message: RawMessage) -> RawMessage | None:
        """Messages may be compressed one by one; no serialised message begins like a zstd frame."""
        try:
            return message._replace(data=zstd_decompress(message.data))
        except Exception as err:  # whatever the library raises on damaged bytes
            self.add_note(f"a message of {message.topic} cannot be unpacked: {err}")
            return None

    def add_note(self, sentence: str) -> None:
        """Note and log a sentence once."""
        if sentence not in self.notes:
            self.notes.append(sentence)
            log.warning("%s: %s", self.path.name, sentence)


def open_bag(path: Path) -> Bag:
    """Open a .bag, .db3 or .mcap file (also with .zst or .zstd after it), or a rosbag2 folder.

    Raises:
        RecordingError: nothing of it can be read.
    """
    if path.suffix in COMPRESSED_SUFFIXES:
        path = _unpacked(path)
    try:
        return Bag(path, [LibrarySource(path)])
    except Exception as err:  # whatever a library raises on damaged bytes
        return _open_damaged(path, f"{type(err).__name__}: {err}")


def _open_damaged(path: Path, reason: str) -> Bag:
    files = _files(path)
    if not files:
        raise RecordingError(f"{path} cannot be read as a bag ({reason}), and holds no .db3, .mcap or .bag file")
    sources: list[Source] = []
    notes = [f"{path.name} could not be opened the regular way ({reason[:160]})"]
    for file in files:
        source, note = _open_file(file)
        notes += note
        if source is not None:
            sources.append(source)
    if not any(topic.count for source in sources for topic in source.topics.values()):
        size = sum(file.stat().st_size for file in files)
        raise RecordingError(
            f"{path} cannot be read ({reason[:200]}); none of its {size} bytes could be made out as a message: "
            "cut off at the start, or no bag at all"
        )
    for note in notes:
        log.warning("%s", note)
    return Bag(path, sources, notes)


def _open_file(file: Path) -> tuple[Source | None, list[str]]:
    """One file of a damaged bag, by the library if it can, else record by record."""
    if file.suffix in COMPRESSED_SUFFIXES:
        file = _unpacked(file)
    try:
        return LibrarySource(file), []
    except Exception as err:  # whatever a library raises on damaged bytes
        log.info("%s: %s", file, err)
    rescued = salvage(file)
    count = sum(topic.count for topic in rescued.topics.values())
    return rescued, [f"{file.name} is damaged: {count} messages were rescued", *rescued.notes]


def _files(path: Path) -> list[Path]:
    """Storage files of a bag, in natural order (bag_2 before bag_10)."""
    if path.is_file():
        return [path]
    kinds = (".mcap", ".db3", ".bag")
    found = [p for p in path.iterdir() if p.name.removesuffix(".zstd").removesuffix(".zst").endswith(kinds)]
    return sorted(found, key=lambda p: (len(p.name), p.name))


def _unpacked(path: Path) -> Path:
    """A compressed storage file written out to a temporary folder, as far as it goes."""
    folder = Path(tempfile.mkdtemp(prefix="mem4nav-bag-"))
    weakref.finalize(Bag, shutil.rmtree, folder, True)
    target = folder / path.stem
    try:
        with zstd_open(path) as packed, target.open("wb") as out:
            shutil.copyfileobj(packed, out)
    except Exception as err:  # cut off: what came before is kept
        log.warning("%s: %s", path, err)
    return target
