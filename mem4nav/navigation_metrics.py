# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""How well a route was followed on a street graph: the metrics of the Touchdown and Map2Seq literature.

TC, SPD and SED: Chen et al. 2019, "Touchdown". nDTW and SDTW: Ilharco et al. 2019, in the form that the field uses on
these streets (Schumann and Riezler 2022), with the square root of the reference's length. KPA: Schumann et al. 2024,
"VELMA". Distances are hops, links taken in both directions.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.sparse import csr_array

from mem4nav.errors import EvaluationError

NEAR_HOPS = 1
"""Stopping this near to the goal completes the task."""
NDTW_HOPS = 2.0
"""The success threshold in nDTW's exponent."""
JUNCTION_WAYS = 3


@dataclass(frozen=True, slots=True)
class RouteScore:
    """How one route was followed.

    Attributes:
        tc: task completion, 1 where the last place is the goal or one hop from it, else 0.
        spd: shortest path distance from the last place to the goal, hops; infinite where no way leads there.
        sed: success weighted by edit distance, tc * (1 - DamerauLevenshtein / length of the longer).
        ndtw: exp(-DTW / (2 * sqrt(length of the reference))), costs in hops.
        sdtw: tc * ndtw.
        kpa: key point accuracy: the share of the reference's key points that were met, the goal being one of them.
    """

    tc: float
    spd: float
    sed: float
    ndtw: float
    sdtw: float
    kpa: float


FAILED = RouteScore(tc=0.0, spd=math.nan, sed=0.0, ndtw=0.0, sdtw=0.0, kpa=0.0)
"""Of a route that could not be walked or scored: how far from the goal it ended is not known."""


class Hops:
    """Distances between places, in links.

    Args:
        links: for each place, those that its ways lead to.
    """

    def __init__(self, links: Mapping[str, Iterable[str]]) -> None:
        self._numbers = {place: number for number, place in enumerate(links)}
        targets = [np.array([self._number(end) for end in ends], np.int32) for ends in links.values()]
        self._ways = np.array([len(own) for own in targets], np.int64)
        size = len(targets)
        starts = np.repeat(np.arange(size, dtype=np.int32), self._ways)
        ends = np.concatenate(targets) if targets else starts
        both = csr_array(
            (np.ones(2 * len(ends), np.int8), (np.concatenate([starts, ends]), np.concatenate([ends, starts]))),
            shape=(size, size),
        )
        self._first, self._neighbours = both.indptr, both.indices

    def ways(self, place: str) -> int:
        """How many ways lead on from a place."""
        return int(self._ways[self._number(place)])

    def between(self, sources: Sequence[str], targets: Sequence[str]) -> NDArray[np.float64]:
        """(S, T) hops from each source to each target; infinite where no way leads there.

        Raises:
            EvaluationError: for a place that is not in the graph.
        """
        numbers = [np.array([self._number(place) for place in places], np.int32) for places in (sources, targets)]
        hops = _breadth_first(self._first, self._neighbours, *numbers)
        return np.where(hops < 0, np.inf, hops)

    def _number(self, place: str) -> int:
        try:
            return self._numbers[place]
        except KeyError:
            raise EvaluationError(
                f"no place {place!r} among the {len(self._numbers)} of the street graph: was the route made on another?"
            ) from None


def score_route(walked: Sequence[str], reference: Sequence[str], hops: Hops) -> RouteScore:
    """Score one route.

    Args:
        walked: places in the order they were visited; one that repeats while turning in place counts once.
        reference: the annotated route, its last place the goal.
        hops: distances on the street graph.

    Raises:
        EvaluationError: for an empty route or a place that is not in the graph.
    """
    if not walked or not reference:
        raise EvaluationError(f"a walk of {len(walked)} places and a reference of {len(reference)}: both need one")
    walked = [place for place, _ in itertools.groupby(walked)]
    cost = hops.between(walked, reference)
    spd = float(cost[-1, -1])
    tc = float(spd <= NEAR_HOPS)
    ndtw = math.exp(-time_warp(cost) / (NDTW_HOPS * math.sqrt(len(reference))))
    sed = tc * (1.0 - edit_distance(walked, reference) / max(len(walked), len(reference)))
    wanted = key_points(reference, hops)
    met = len(wanted & key_points(walked, hops))
    return RouteScore(tc, spd, sed, ndtw, tc * ndtw, (met + tc) / (len(wanted) + 1))


def key_points(route: Sequence[str], hops: Hops) -> set[str | tuple[str, str]]:
    """Where a route is decided: its first two places, and at each junction the place with the one taken next.

    The first two stand for the initial direction, and count as two points, as in VELMA's evaluation.
    """
    taken = {(here, after) for here, after in itertools.pairwise(route) if hops.ways(here) >= JUNCTION_WAYS}
    return {*route[:2], *taken}


def edit_distance(one: Sequence[Hashable], other: Sequence[Hashable]) -> int:
    """Damerau-Levenshtein distance of two sequences, as optimal string alignment: the variant that the field uses."""
    numbers = {item: number for number, item in enumerate(dict.fromkeys([*one, *other]))}
    return int(_align(*(np.array([numbers[item] for item in items], np.int32) for items in (one, other))))


def time_warp(cost: NDArray[np.float64]) -> float:
    """Cost of the cheapest dynamic time warping path through (N, M) pairwise costs."""
    return float(_warp(np.ascontiguousarray(cost, np.float64)))


@njit(cache=True)
def _breadth_first(first, neighbours, sources, targets):
    """(S, T) hops, -1 where a target cannot be reached. Each search ends when it has met all targets."""
    size = len(first) - 1
    hops = np.full((len(sources), len(targets)), -1, np.int64)
    distance = np.full(size, -1, np.int64)
    queue = np.empty(size, np.int64)
    wanted = np.zeros(size, np.bool_)
    wanted[targets] = True
    missing_at_first = wanted.sum()
    for row in range(len(sources)):
        queue[0] = sources[row]
        distance[sources[row]] = 0
        taken, filled, missing = 0, 1, missing_at_first
        while taken < filled and missing > 0:
            here = queue[taken]
            taken += 1
            missing -= wanted[here]
            for there in neighbours[first[here] : first[here + 1]]:
                if distance[there] < 0:
                    distance[there] = distance[here] + 1
                    queue[filled] = there
                    filled += 1
        for column in range(len(targets)):
            hops[row, column] = distance[targets[column]]
        distance[queue[:filled]] = -1
    return hops


@njit(cache=True)
def _warp(cost):
    rows, columns = cost.shape
    total = np.full((rows + 1, columns + 1), np.inf)
    total[0, 0] = 0.0
    for i in range(rows):
        for j in range(columns):
            total[i + 1, j + 1] = cost[i, j] + min(total[i, j], total[i, j + 1], total[i + 1, j])
    return total[rows, columns]


@njit(cache=True)
def _align(one, other):
    edits = np.zeros((len(one) + 1, len(other) + 1), np.int64)
    edits[:, 0] = np.arange(len(one) + 1)
    edits[0, :] = np.arange(len(other) + 1)
    for i in range(1, len(one) + 1):
        for j in range(1, len(other) + 1):
            replaced = edits[i - 1, j - 1] + (one[i - 1] != other[j - 1])
            edits[i, j] = min(edits[i - 1, j] + 1, edits[i, j - 1] + 1, replaced)
            if i > 1 and j > 1 and one[i - 1] == other[j - 2] and one[i - 2] == other[j - 1]:
                edits[i, j] = min(edits[i, j], edits[i - 2, j - 2] + 1)
    return edits[len(one), len(other)]
