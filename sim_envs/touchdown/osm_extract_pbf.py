# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""OpenStreetMap's protocol buffers (.osm.pbf), one block at a time (wiki.openstreetmap.org/wiki/PBF_Format).

A file is a row of blobs, each at most 32 MiB unpacked. A blob of data has a table of strings and groups of nodes
(one by one, or dense: columns of differences) and ways. Fields are named in the comments by their number.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from sim_envs.errors import OsmExtractError
from sim_envs.touchdown.osm_extract_element import Element

MOST_HEADER_BYTES, MOST_BLOB_BYTES = 64 << 10, 32 << 20
_KNOWN_FEATURES = {"OsmSchema-V0.6", "DenseNodes"}
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_NANO = 1e-9

Fields = dict[int, list]


def read_pbf(path: Path, kind: str) -> Iterator[Element]:
    """The nodes or the ways of a .osm.pbf file.

    Raises:
        OsmExtractError: for a file that cannot be read or needs a feature that is not known.
    """
    try:
        with open(path, "rb") as file:
            for name, data in _blobs(file):
                if name == "OSMHeader":
                    _check_features(data)
                elif name == "OSMData":
                    yield from _elements(_fields(data), kind)
    except (OSError, ValueError, IndexError, KeyError, zlib.error) as error:
        raise OsmExtractError(f"{path} cannot be read as OpenStreetMap protocol buffers: {error!r}") from None


def _blobs(file: IO[bytes]) -> Iterator[tuple[str, bytes]]:
    while size := file.read(4):
        header = _fields(_exactly(file, int.from_bytes(size, "big"), MOST_HEADER_BYTES))
        blob = _fields(_exactly(file, header[3][0], MOST_BLOB_BYTES))  # 3: size of the blob
        yield header[1][0].decode(), _unpacked(blob)  # 1: type


def _exactly(file: IO[bytes], size: int, most: int) -> bytes:
    data = file.read(size) if size <= most else b""
    if len(data) != size:
        raise ValueError(f"a part of {size} bytes (at most {most}), of which {len(data)} are there")
    return data


def _unpacked(blob: Fields) -> bytes:
    if 1 in blob:  # 1: raw
        return blob[1][0]
    if 3 not in blob:  # 3: zlib
        raise ValueError("a blob that is packed with something else than zlib")
    unpacker = zlib.decompressobj()
    data = unpacker.decompress(blob[3][0], MOST_BLOB_BYTES)
    if unpacker.unconsumed_tail:
        raise ValueError(f"a blob of more than {MOST_BLOB_BYTES} bytes")
    return data


def _check_features(data: bytes) -> None:
    missing = {feature.decode() for feature in _fields(data).get(4, [])} - _KNOWN_FEATURES  # 4: required features
    if missing:
        raise ValueError(f"it needs {', '.join(sorted(missing))}")


def _elements(block: Fields, kind: str) -> Iterator[Element]:
    words = [word.decode() for word in _fields(block[1][0]).get(1, [])]  # 1: table of strings
    step, lat, lng = (block.get(field, [default])[0] for field, default in ((17, 100), (19, 0), (20, 0)))
    for group in map(_fields, block.get(2, [])):
        if kind == "way":
            yield from (_way(_fields(way), words) for way in group.get(3, []))
            continue
        for ids, lats, lngs, tags in (*map(_node, group.get(1, [])), *map(_dense, group.get(2, []))):
            degrees = _NANO * (np.stack([lats, lngs], axis=1) * step + _signed([lat, lng]))
            for name, place, own in zip(ids.tolist(), degrees.tolist(), tags, strict=True):
                yield Element("node", str(name), *place, tags={words[key]: words[value] for key, value in own})


Nodes = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], list[list[tuple[int, int]]]]


def _node(data: bytes) -> Nodes:
    fields = _fields(data)
    name, lat, lng = (_zigzag(np.array(fields[number], np.uint64)) for number in (1, 8, 9))
    return name, lat, lng, [list(_tags(fields))]


def _dense(data: bytes) -> Nodes:
    fields = _fields(data)
    ids, lats, lngs = (np.cumsum(_zigzag(_varints(fields[number][0]))) for number in (1, 8, 9))
    tags: list[list[tuple[int, int]]] = [[]]
    words = iter(_varints(fields[10][0]).tolist() if 10 in fields else [])  # 10: key, value, ..., 0 after each node
    for key in words:
        if key:
            tags[-1].append((key, next(words)))
        else:
            tags.append([])
    return ids, lats, lngs, tags[: len(ids)] + [[] for _ in range(len(ids) - len(tags))]


def _way(fields: Fields, words: list[str]) -> Element:
    refs = np.cumsum(_zigzag(_varints(fields[8][0]))).tolist() if 8 in fields else []
    tags = {words[key]: words[value] for key, value in _tags(fields)}
    return Element("way", str(fields[1][0]), refs=[str(ref) for ref in refs], tags=tags)


def _tags(fields: Fields) -> Iterator[tuple[int, int]]:
    keys, values = (_varints(fields.get(number, [b""])[0]).tolist() for number in (2, 3))
    return zip(keys, values, strict=True)


def _fields(data: bytes) -> Fields:
    """The fields of a message by their number: numbers as they lie there (not signed), the rest as bytes."""
    fields: Fields = {}
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        if tag & 7 == _VARINT:
            value, at = _varint(data, at)
        elif tag & 7 == _BYTES:
            size, at = _varint(data, at)
            value, at = data[at : at + size], at + size
        else:
            value, at = None, at + {_FIXED64: 8, _FIXED32: 4}[tag & 7]
        if at > len(data):
            raise ValueError("a field that ends behind its message")
        fields.setdefault(tag >> 3, []).append(value)
    return fields


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while data[at] & 0x80:
        value |= (data[at] & 0x7F) << shift
        at, shift = at + 1, shift + 7
    return value | data[at] << shift, at + 1


def _varints(data: bytes) -> NDArray[np.uint64]:
    """A packed row of numbers: seven bits a byte, the lowest first, the top bit set where another byte follows."""
    row = np.frombuffer(data, np.uint8)
    if not len(row):
        return np.zeros(0, np.uint64)
    if row[-1] & 0x80:
        raise ValueError("a row of numbers that ends inside one")
    starts = np.flatnonzero(np.concatenate([[True], row[:-1] < 0x80]))
    digit = np.arange(len(row)) - np.repeat(starts, np.diff(np.append(starts, len(row))))
    if digit.max() > 9:
        raise ValueError("a number of more than 64 bits")
    return np.bitwise_or.reduceat((row & 0x7F).astype(np.uint64) << (7 * digit).astype(np.uint64), starts)


def _zigzag(values: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Signed numbers, stored with the sign in the lowest bit."""
    return (values >> np.uint64(1)).astype(np.int64) ^ -(values & np.uint64(1)).astype(np.int64)


def _signed(values: list[int]) -> NDArray[np.int64]:
    """Negative numbers that were stored as large ones (two's complement)."""
    return np.array(values, np.uint64).astype(np.int64)
