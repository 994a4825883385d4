# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""From the lines of a street map to a graph of places about ten metres apart, its junctions kept."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from sim_envs.errors import OsmExtractError

SPACING_M = 10.0
_LEAST_PIECES_OF_A_RING = 3


@dataclass(frozen=True, slots=True)
class StreetPlan:
    """Places along streets.

    Attributes:
        names: of N places; a junction keeps the id of its OpenStreetMap node.
        positions: (N, 2) metres east and north.
        links: (from, compass heading in whole degrees, to), both ways along every street: walkers mind no oneway.
        yaws_deg: (N,) compass heading of traffic.
    """

    names: tuple[str, ...]
    positions: NDArray[np.float64]
    links: tuple[tuple[int, int, int], ...]
    yaws_deg: tuple[int, ...]


def plan_streets(
    streets: Iterable[Sequence[str]], positions: Mapping[str, tuple[float, float]], spacing_m: float = SPACING_M
) -> StreetPlan:
    """The largest connected part of a street map, resampled.

    Args:
        streets: for each, the ids of its nodes in the direction of traffic.
        positions: (east, north) metres of the nodes.
        spacing_m: between places, about: each stretch between junctions is cut evenly.

    Raises:
        OsmExtractError: where no street has any length.
    """
    names: list[str] = []
    points: list[NDArray[np.float64]] = []
    numbers: dict[str, int] = {}
    pairs: dict[tuple[int, int], None] = {}  # in the direction of traffic; a dict keeps their order

    def place(name: str, point: NDArray[np.float64]) -> int:
        if name not in numbers:
            numbers[name] = len(names)
            names.append(name)
            points.append(point)
        return numbers[name]

    for index, stretch in enumerate(_stretches(streets)):
        line = _resample(np.array([positions[node] for node in stretch]), spacing_m, stretch[0] == stretch[-1])
        inner = [f"{stretch[0]}-{stretch[-1]}.{index}.{step}" for step in range(1, len(line) - 1)]
        along = [place(name, point) for name, point in zip([stretch[0], *inner, stretch[-1]], line, strict=True)]
        pairs |= {
            (here, there): None
            for here, there in itertools.pairwise(along)
            if here != there and (there, here) not in pairs
        }
    if not pairs:
        raise OsmExtractError("no street of the extract has any length: it holds no town")
    return _largest(names, np.array(points), list(pairs))


def _stretches(streets: Iterable[Sequence[str]]) -> Iterator[list[str]]:
    """Maximal lines without a junction inside, in the direction of traffic where they begin."""
    beside: dict[str, dict[str, bool]] = {}  # for each node its neighbours, True along the traffic
    for street in streets:
        for here, there in itertools.pairwise(street):
            if here != there:
                beside.setdefault(here, {})[there] = True
                beside.setdefault(there, {}).setdefault(here, False)
    ends = [node for node, neighbours in beside.items() if len(neighbours) != 2]
    walked: set[tuple[str, str]] = set()
    # What no end leads to afterwards are rings: any node of theirs will do to begin at.
    for start in [*ends, *beside]:
        for after in beside[start]:
            if (start, after) not in walked:
                line = _follow(start, after, beside)
                walked |= {*itertools.pairwise(line), *itertools.pairwise(line[::-1])}
                yield line if beside[line[0]][line[1]] else line[::-1]


def _follow(start: str, after: str, beside: Mapping[str, Mapping[str, bool]]) -> list[str]:
    line = [start, after]
    while len(beside[line[-1]]) == 2 and line[-1] != start:
        line.append(next(node for node in beside[line[-1]] if node != line[-2]))
    return line


def _resample(line: NDArray[np.float64], spacing_m: float, ring: bool) -> NDArray[np.float64]:
    """(M, 2) points evenly along a line, its ends among them."""
    length = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(line, axis=0).T))])
    pieces = max(_LEAST_PIECES_OF_A_RING if ring else 1, round(length[-1] / spacing_m))
    at = np.linspace(0.0, length[-1], pieces + 1)
    return np.stack([np.interp(at, length, line[:, 0]), np.interp(at, length, line[:, 1])], axis=1)


def _largest(names: list[str], points: NDArray[np.float64], pairs: list[tuple[int, int]]) -> StreetPlan:
    starts, ends = np.array(pairs, np.int64).T
    part = connected_components(coo_array((np.ones(len(pairs)), (starts, ends)), (len(names),) * 2), directed=False)[1]
    kept = np.flatnonzero(part == np.bincount(part).argmax())
    number = {int(old): new for new, old in enumerate(kept)}
    positions = points[kept]
    pairs = [(number[here], number[there]) for here, there in pairs if here in number]
    links = _headings(positions, pairs)
    along = links[: len(pairs)]
    # Where traffic leads on, its heading; at the end of a street, the heading it arrives with.
    yaws = {there: heading for _, heading, there in along} | {here: heading for here, heading, _ in reversed(along)}
    return StreetPlan(
        names=tuple(names[old] for old in kept),
        positions=positions,
        links=tuple(links),
        yaws_deg=tuple(yaws[here] for here in range(len(kept))),
    )


def _headings(positions: NDArray[np.float64], pairs: list[tuple[int, int]]) -> list[tuple[int, int, int]]:
    """Links along all pairs, then against them. Two ways of a place never share a heading: it is what names them."""
    taken: set[tuple[int, int]] = set()
    links = []
    for here, there in [*pairs, *((there, here) for here, there in pairs)]:
        east, north = positions[there] - positions[here]
        heading = round(float(np.degrees(np.arctan2(east, north)))) % 360
        while (here, heading) in taken:
            heading = (heading + 1) % 360
        taken.add((here, heading))
        links.append((here, heading, there))
    return links
