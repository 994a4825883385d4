# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""MCAP without its index (https://mcap.dev/spec): records are opcode, uint64 length, content."""

from __future__ import annotations

import struct
from binascii import crc32
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from slam.io.zstandard import decompress_as_far_as_it_goes

MAGIC = b"\x89MCAP0\r\n"
SCHEMA, CHANNEL, MESSAGE, CHUNK = 3, 4, 5, 6
MAX_RECORD = 1 << 31


class _Registry:
    """Message types by schema, topics by channel."""

    def __init__(self) -> None:
        self.schemas: dict[int, str] = {}
        self.channels: dict[int, tuple[str, str]] = {}

    def add(self, opcode: int, body: bytes) -> None:
        if opcode == SCHEMA:
            self.schemas[struct.unpack_from("<H", body)[0]] = _string(body, 2)
        elif opcode == CHANNEL:
            channel, schema = struct.unpack_from("<HH", body)
            self.channels[channel] = (_string(body, 4), self.schemas.get(schema, ""))

    def message(self, body: bytes) -> tuple[str, str, int, bytes] | None:
        channel, _, log_ns, _ = struct.unpack_from("<HIQQ", body)
        known = self.channels.get(channel)
        return (*known, log_ns, body[22:]) if known else None


def scan_mcap(path: Path, notes: list[str]) -> Iterator[tuple[str, str, int, bytes]]:
    """Topic, type, record time and data of all messages up to the damage; of broken chunks what is sound."""
    registry = _Registry()
    with path.open("rb") as file:
        if file.read(len(MAGIC)) != MAGIC:
            notes.append(f"{path.name} does not begin as an MCAP file")
            return
        for opcode, body in _records(file, path.stat().st_size):
            if opcode == CHUNK:
                yield from _chunk(body, registry, notes)
            else:
                yield from _record(opcode, body, registry)


def _records(file: BinaryIO, size: int) -> Iterator[tuple[int, bytes]]:
    """Records; of a chunk that is cut off the part that is there, of another record nothing."""
    while True:
        head = file.read(9)
        if len(head) < 9:
            return
        opcode, length = struct.unpack("<BQ", head)
        whole = file.tell() + length <= size
        if whole or opcode == CHUNK:
            yield opcode, file.read(min(length, MAX_RECORD))
        if not whole:
            return


def _record(opcode: int, body: bytes, registry: _Registry) -> Iterator[tuple[str, str, int, bytes]]:
    try:
        if opcode == MESSAGE and (message := registry.message(body)) is not None:
            yield message
        registry.add(opcode, body)
    except (struct.error, IndexError):
        return


def _chunk(body: bytes, registry: _Registry, notes: list[str]) -> Iterator[tuple[str, str, int, bytes]]:
    try:
        size, crc = struct.unpack_from("<QI", body, 16)
        compression = _string(body, 28)
    except (struct.error, IndexError):
        return
    plain = decompress_as_far_as_it_goes(body[40 + len(compression) :], compression)
    if len(plain) < size:
        notes.append(f"a chunk is damaged or cut off: {len(plain)} of its {size} bytes can be read")
    elif crc and crc32(plain) != crc:
        notes.append(f"a chunk of {size} bytes is damaged (checksum) and left out")
        return
    for opcode, record in _records(BytesIO(plain), len(plain)):
        yield from _record(opcode, record, registry)


def _string(body: bytes, at: int) -> str:
    (size,) = struct.unpack_from("<I", body, at)
    if at + 4 + size > len(body):
        raise IndexError(size)
    return body[at + 4 : at + 4 + size].decode(errors="replace")
