# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""rosbag 2.0 files of ROS 1 without their index (http://wiki.ros.org/Bags/Format/2.0).

A record is a header (uint32 length, then fields ``uint32 length, name=value``) and data (uint32 length, bytes).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from slam.io.zstandard import decompress_as_far_as_it_goes

MAGIC = b"#ROSBAG V2.0\n"
MESSAGE, CHUNK, CONNECTION = 2, 5, 7
MAX_RECORD = 1 << 31

Fields = dict[bytes, bytes]
Connections = dict[bytes, tuple[str, str]]


def scan_rosbag1(path: Path, notes: list[str]) -> Iterator[tuple[str, str, int, bytes]]:
    """Topic, type, record time and data of all messages up to the damage; of broken chunks what is sound."""
    connections: Connections = {}
    with path.open("rb") as file:
        if file.read(len(MAGIC)) != MAGIC:
            notes.append(f"{path.name} does not begin as a rosbag 2.0 file")
            return
        for fields, data in _records(file):
            if fields.get(b"op") == bytes([CHUNK]):
                yield from _chunk(fields, data, connections, notes)
            else:
                yield from _record(fields, data, connections)


def _records(file: BinaryIO) -> Iterator[tuple[Fields, bytes]]:
    """Records as far as they go; of a chunk that is cut off, the part that is there."""
    while True:
        header, whole = _sized(file)
        if not whole:
            return
        fields = _fields(header)
        data, whole = _sized(file)
        if whole or fields.get(b"op") == bytes([CHUNK]):
            yield fields, data
        if not whole:
            return


def _sized(file: BinaryIO) -> tuple[bytes, bool]:
    """Bytes after their length, and whether all are there."""
    head = file.read(4)
    if len(head) < 4:
        return b"", False
    (size,) = struct.unpack("<I", head)
    data = file.read(min(size, MAX_RECORD))
    return data, len(data) == size


def _fields(header: bytes) -> Fields:
    fields, at = {}, 0
    while at + 4 <= len(header):
        (size,) = struct.unpack_from("<I", header, at)
        name, _, value = header[at + 4 : at + 4 + size].partition(b"=")
        fields[name] = value
        at += 4 + size
    return fields


def _chunk(
    fields: Fields, data: bytes, connections: Connections, notes: list[str]
) -> Iterator[tuple[str, str, int, bytes]]:
    plain = decompress_as_far_as_it_goes(data, fields.get(b"compression", b"none").decode(errors="replace"))
    size = int.from_bytes(fields.get(b"size", b""), "little")
    if len(plain) < size:
        notes.append(f"a chunk is damaged or cut off: {len(plain)} of its {size} bytes can be read")
    for inner, content in _records(BytesIO(plain)):
        yield from _record(inner, content, connections)


def _record(fields: Fields, data: bytes, connections: Connections) -> Iterator[tuple[str, str, int, bytes]]:
    kind, key = fields.get(b"op"), fields.get(b"conn", b"")
    if kind == bytes([CONNECTION]):
        about = _fields(data)
        topic = fields.get(b"topic", b"").decode(errors="replace")
        connections[key] = (topic, _ros2_type(about.get(b"type", b"").decode(errors="replace")))
    elif kind == bytes([MESSAGE]) and key in connections and len(fields.get(b"time", b"")) == 8:
        seconds, nanoseconds = struct.unpack("<II", fields[b"time"])
        yield (*connections[key], seconds * 1_000_000_000 + nanoseconds, data)


def _ros2_type(name: str) -> str:
    """sensor_msgs/Imu becomes sensor_msgs/msg/Imu, as everywhere else."""
    package, _, kind = name.partition("/")
    return f"{package}/msg/{kind}" if kind and not kind.startswith("msg/") else name
