# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""The street graph from its two files: nodes.txt (id, yaw, lat, lng, ...) and links.txt (from, heading, to)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from sim_envs.errors import StreetGraphError
from sim_envs.street_graph import StreetGraph

_METRES_A_DEGREE = 111_319.5
T = TypeVar("T")


def load_streets(folder: str | Path) -> StreetGraph:
    """The graph of a folder that holds nodes.txt and links.txt; its origin is the middle of its places.

    Raises:
        StreetGraphError: for a missing file, or a line that cannot be read (with its number).
    """
    folder = Path(folder)
    nodes = read_lines(folder / "nodes.txt", _node)
    links = read_lines(folder / "links.txt", _link)
    if not nodes:
        raise StreetGraphError(f"{folder / 'nodes.txt'} holds no places")
    lat_lng = np.array([(lat, lng) for _, _, lat, lng in nodes], np.float64)
    origin = (float(lat_lng[:, 0].mean()), float(lat_lng[:, 1].mean()))
    yaws = [yaw for _, yaw, _, _ in nodes]
    return StreetGraph([name for name, *_ in nodes], to_metres(lat_lng, origin), links, yaws, origin)


def to_metres(lat_lng: NDArray[np.float64], origin: tuple[float, float]) -> NDArray[np.float64]:
    """(N, 2) latitude and longitude to (N, 2) metres east and north of an origin, on a plane tangent there."""
    north = (lat_lng[:, 0] - origin[0]) * _METRES_A_DEGREE
    east = (lat_lng[:, 1] - origin[1]) * _METRES_A_DEGREE * np.cos(np.radians(origin[0]))
    return np.stack([east, north], axis=1)


def read_lines(path: Path, parse: Callable[[str], T]) -> list[T]:
    """Each line of a text file, parsed.

    Raises:
        StreetGraphError: for a file that is not there, or the first line that cannot be parsed.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise StreetGraphError(f"cannot read {path}: {error}") from None
    rows = []
    for number, line in enumerate(lines, start=1):
        try:
            rows.append(parse(line))
        except (ValueError, IndexError) as error:
            raise StreetGraphError(f"{path}, line {number} of {len(lines)}: {error} in {line[:80]!r}") from None
    return rows


def _node(line: str) -> tuple[str, float, float, float]:
    name, yaw, lat, lng = line.split(",")[:4]
    return name, float(yaw), float(lat), float(lng)


def _link(line: str) -> tuple[str, float, str]:
    start, heading, end = line.split(",")
    return start, float(heading), end.strip()
