# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Rows of Gaussians in the leaves of the plane map's octree: doubly linked lists that hang on its nodes.

A row hangs on the leaf that holds its cell's centre, whatever its mean has moved to since: cells are no larger than
leaves, so that cell and leaf nest. Leaves split under the plane fit without knowing of Gaussians; ``settle`` moves
these down afterwards. Released nodes push the heads of their lists on the octree's stack of orphans.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from slam import morton
from slam.gaussian_map.cells import NOWHERE, height_of, is_free, occupy, vacate
from slam.octree import DEPTH, NEWEST, ORPHANS, SPLIT, STATE, find_or_add, new_node

DEAD = 255
"""The level of a row that holds no Gaussian."""

TAKEN, RELEASED, BORN = 0, 1, 2
"""Columns of ``Rows.counters``: rows ever taken, released ones, Gaussians ever."""


class Rows(NamedTuple):
    """Where each of R rows of Gaussians belongs."""

    keys: NDArray[np.uint64]  # (R,) of their cells
    levels: NDArray[np.uint8]  # (R,) of their cells, or DEAD
    nodes: NDArray[np.int32]  # (R,) that they hang on
    following: NDArray[np.int32]  # (R,) next row of the same node, -1 at the end
    previous: NDArray[np.int32]  # (R,) -1 at the head
    sunk: NDArray[np.bool_]  # (R,) whether a node split under it since its normal was taken
    births: NDArray[np.int64]  # (R,) a number that no other Gaussian has had
    free: NDArray[np.int32]  # (R,) stack of released rows
    counters: NDArray[np.int64]  # (3,)

    def grown(self, capacity: int) -> Rows:
        """The same with more room."""
        out = empty(capacity)
        for new, old in zip(out, self, strict=True):
            new[: len(old)] = old
        return out


def empty(capacity: int) -> Rows:
    """Room for so many rows."""
    return Rows(
        keys=np.zeros(capacity, np.uint64),
        levels=np.full(capacity, DEAD, np.uint8),
        nodes=np.full(capacity, -1, np.int32),
        following=np.full(capacity, -1, np.int32),
        previous=np.full(capacity, -1, np.int32),
        sunk=np.zeros(capacity, np.bool_),
        births=np.full(capacity, -1, np.int64),
        free=np.zeros(capacity, np.int32),
        counters=np.zeros(3, np.int64),
    )


@njit(cache=True)
def _hang(a, rows, row, node):
    head = a.heads[node]
    rows.nodes[row], rows.following[row], rows.previous[row] = node, head, -1
    if head >= 0:
        rows.previous[head] = row
    a.heads[node] = row


@njit(cache=True)
def _sink(a, rows, row, node, finest, min_points):
    """Hang a row on the leaf below ``node`` that holds its cell."""
    hx, hy, hz = morton.decode(rows.keys[row])
    while a.meta[node, STATE] == SPLIT:
        bit = finest - a.meta[node, DEPTH]
        octant = 4 * ((hx >> bit) & 1) + 2 * ((hy >> bit) & 1) + ((hz >> bit) & 1)
        below = a.children[node, octant]
        if below < 0:
            below = new_node(a, a.meta[node, DEPTH] + 1, a.counters[NEWEST], min_points)
            a.children[node, octant] = below
        node = np.int64(below)
    _hang(a, rows, row, node)


@njit(cache=True, inline="always")
def _root_key(key, finest):
    hx, hy, hz = morton.decode(key)
    return morton.encode(hx >> (finest + 1), hy >> (finest + 1), hz >> (finest + 1))


@njit(cache=True)
def claim(a, cells, rows, keys, finest, coarsest, min_points, out):
    """Give each key's cell a row, where it is free: ``out`` holds the rows, -1 for the refused. Needs room for all."""
    for i in range(len(keys)):
        out[i] = -1
        if keys[i] == np.uint64(NOWHERE):
            continue
        level = finest - height_of(keys[i])
        if not is_free(cells, keys[i], level - coarsest):
            continue
        if rows.counters[RELEASED] > 0:
            rows.counters[RELEASED] -= 1
            row = np.int64(rows.free[rows.counters[RELEASED]])
        else:
            row = rows.counters[TAKEN]
            rows.counters[TAKEN] += 1
        rows.keys[row], rows.levels[row], rows.sunk[row] = keys[i], level, False
        rows.births[row] = rows.counters[BORN]
        rows.counters[BORN] += 1
        occupy(cells, keys[i], row, level)
        root = find_or_add(a, _root_key(keys[i], finest), a.counters[NEWEST], min_points)
        _sink(a, rows, row, root, finest, min_points)
        out[i] = row


@njit(cache=True)
def release(a, cells, rows, chosen, hanging):
    """Let these rows go, and their cells; ``hanging`` is False for those whose nodes were released before them."""
    for i in range(len(chosen)):
        row = chosen[i]
        if hanging:
            _unhang(a, rows, row)
        vacate(cells, rows.keys[row], rows.levels[row])
        rows.levels[row] = DEAD
        rows.births[row] = -1
        rows.free[rows.counters[RELEASED]] = row
        rows.counters[RELEASED] += 1


@njit(cache=True)
def _unhang(a, rows, row):
    before, after = rows.previous[row], rows.following[row]
    if before >= 0:
        rows.following[before] = after
    else:
        a.heads[rows.nodes[row]] = after
    if after >= 0:
        rows.previous[after] = before


@njit(cache=True)
def unsettled(a, rows):
    """Number of rows that hang on nodes which have split."""
    count = 0
    for row in range(rows.counters[TAKEN]):
        if rows.levels[row] != DEAD and a.meta[rows.nodes[row], STATE] == SPLIT:
            count += 1
    return count


@njit(cache=True)
def settle(a, rows, finest, min_points):
    """Move rows down from nodes that have split. Needs room for a node a row."""
    for row in range(rows.counters[TAKEN]):
        if rows.levels[row] != DEAD and a.meta[rows.nodes[row], STATE] == SPLIT:
            node = np.int64(rows.nodes[row])
            _unhang(a, rows, row)
            _sink(a, rows, row, node, finest, min_points)
            rows.sunk[row] = True


@njit(cache=True)
def orphans(a, rows, out):
    """The rows whose nodes were released; empties the stack of their heads and returns their number."""
    n = 0
    for i in range(a.counters[ORPHANS]):
        row = a.orphans[i]
        while row >= 0:
            out[n] = row
            n += 1
            row = rows.following[row]
    a.counters[ORPHANS] = 0
    return n
