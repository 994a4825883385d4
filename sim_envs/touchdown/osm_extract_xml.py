# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""OpenStreetMap XML, one element at a time: a file of any size in little memory."""

from __future__ import annotations

import bz2
import gzip
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO
from xml.parsers import expat

from sim_envs.errors import OsmExtractError
from sim_envs.touchdown.osm_extract_element import Element

CHUNK_BYTES = 1 << 20
_OPENERS: dict[str, Callable[[Path], IO[bytes]]] = {".gz": gzip.open, ".bz2": bz2.open}  # type: ignore[dict-item]


def read_xml(path: Path, kind: str) -> Iterator[Element]:
    """The nodes or the ways of a .osm file, also compressed (.osm.gz, .osm.bz2).

    Raises:
        OsmExtractError: for a file that cannot be read, is no OSM XML, or declares a document type: OSM has none, and
            entities are how small files are made to fill the memory.
    """
    collector = _Collector(path, kind)
    try:
        with _OPENERS.get(path.suffix, lambda path: open(path, "rb"))(path) as file:
            while chunk := file.read(CHUNK_BYTES):
                yield from collector.feed(chunk)
            yield from collector.feed(b"", last=True)
    except (OSError, EOFError, expat.ExpatError, KeyError, ValueError) as error:
        raise OsmExtractError(f"{path} cannot be read as OpenStreetMap XML: {error!r}") from None
    if not collector.is_osm:
        raise OsmExtractError(f"{path} is XML, but its root is not <osm>")


class _Collector:
    """Turns what the parser meets into finished elements of one kind."""

    def __init__(self, path: Path, kind: str) -> None:
        self.is_osm = False
        self._path, self._kind = path, kind
        self._open: Element | None = None
        self._done: list[Element] = []
        self._parser = expat.ParserCreate()
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.StartDoctypeDeclHandler = self._refuse

    def feed(self, chunk: bytes, last: bool = False) -> list[Element]:
        self._parser.Parse(chunk, last)
        done, self._done = self._done, []
        return done

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        if name == "osm":
            self.is_osm = True
        elif name == self._kind:
            self._open = Element(name, attributes["id"])
            if name == "node":
                self._open.lat, self._open.lng = float(attributes["lat"]), float(attributes["lon"])
        elif self._open is not None and name == "tag":
            self._open.tags[attributes["k"]] = attributes["v"]
        elif self._open is not None and name == "nd":
            self._open.refs.append(attributes["ref"])

    def _end(self, name: str) -> None:
        if name == self._kind and self._open is not None:
            self._done.append(self._open)
            self._open = None

    def _refuse(self, *declaration: object) -> None:
        raise OsmExtractError(f"{self._path} declares a document type, which no OpenStreetMap file does: not read")
