# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""The cells that Gaussians own: cubes of voxel / 2^level, in a hash table by one key for all levels.

A key is the Morton key of the cell's centre, counted in half sides of the finest cell. A centre of level L is an odd
multiple of 2^(finest - L) of these on every axis, so that the trailing zeros tell the level and no two cells of
different levels share a key. Bits above them are the way through the octree, from the root voxel down.

A taken cell holds its Gaussian's row; every coarser cell around it, up to the root voxel, holds how many lie below, and
whether one was made to stand for them. A cell is free when it has no entry and no coarser one holds a row: no Gaussian
lies inside another's cell.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit, uint64
from numpy.typing import NDArray

from slam import morton

NOWHERE = 0xFFFF_FFFF_FFFF_FFFF
"""The key of what lies beyond the range of keys, or is not finite."""

DEEPEST = 32
"""There are fewer levels."""


class Cells(NamedTuple):
    """The hash table; H is a power of two."""

    keys: NDArray[np.uint64]  # (H,)
    values: NDArray[np.int32]  # (H,) 0: empty; row + 1: taken; -n: n Gaussians in finer cells inside
    stood: NDArray[np.int32]  # (H,) number + 1 of the stand-in for all inside, negative: it is out of date; 0: none
    counters: NDArray[np.int64]  # (1,) number of entries


def empty(capacity: int) -> Cells:
    """A table of so many slots, a power of two."""
    numbers = (np.zeros(capacity, np.int32) for _ in range(2))
    return Cells(np.zeros(capacity, np.uint64), *numbers, np.zeros(1, np.int64))


@njit(cache=True)
def cell_keys(points, levels, voxel, finest, out):
    """Keys of the cells of these levels around (N, 3) points, ``NOWHERE`` where there is none."""
    limit = morton.LIMIT * voxel / (1 << (finest + 1))
    for i in range(len(points)):
        x, y, z, level = points[i, 0], points[i, 1], points[i, 2], np.int64(levels[i])
        out[i] = uint64(NOWHERE)
        if not (-limit <= x < limit and -limit <= y < limit and -limit <= z < limit):
            continue
        scale, shift = (1 << level) / voxel, finest - level
        hx = (2 * np.int64(math.floor(x * scale)) + 1) << shift
        hy = (2 * np.int64(math.floor(y * scale)) + 1) << shift
        hz = (2 * np.int64(math.floor(z * scale)) + 1) << shift
        if max(hx, hy, hz) < morton.LIMIT and min(hx, hy, hz) >= -morton.LIMIT:
            out[i] = morton.encode(hx, hy, hz)


@njit(cache=True)
def cell_centres(keys, voxel, finest, out):
    """Centres (N, 3) of the cells, metres."""
    half = voxel / (1 << (finest + 1))
    for i in range(len(keys)):
        hx, hy, hz = morton.decode(keys[i])
        out[i, 0], out[i, 1], out[i, 2] = hx * half, hy * half, hz * half


@njit(cache=True)
def root_indices(keys, finest, out):
    """Indices (N, 3) of the root voxels that hold the cells."""
    for i in range(len(keys)):
        hx, hy, hz = morton.decode(keys[i])
        out[i, 0], out[i, 1], out[i, 2] = hx >> (finest + 1), hy >> (finest + 1), hz >> (finest + 1)


@njit(cache=True)
def voxel_key(ix, iy, iz, finest):
    """Key of the coarsest cell, a root voxel with these indices, ``NOWHERE`` beyond the range of keys."""
    hx, hy, hz = (2 * ix + 1) << finest, (2 * iy + 1) << finest, (2 * iz + 1) << finest
    if max(hx, hy, hz) >= morton.LIMIT or min(hx, hy, hz) < -morton.LIMIT:
        return uint64(NOWHERE)
    return morton.encode(hx, hy, hz)


@njit(cache=True, inline="always")
def height_of(key):
    """Levels between the finest and the key's."""
    height = 0
    while (key >> uint64(3 * height)) & uint64(1) == uint64(0):
        height += 1
    return height


@njit(cache=True, inline="always")
def parent(key):
    """Key of the cell one level coarser."""
    shift = uint64(3 * (height_of(key) + 1))
    return ((key >> (shift + uint64(3))) << (shift + uint64(3))) | (uint64(7) << shift)


@njit(cache=True, inline="always")
def child(key, octant):
    """Key of the cell one level finer; bits 0, 1 and 2 of ``octant`` choose the upper half along x, y and z."""
    shift = uint64(3 * height_of(key))
    return (key & ~(uint64(7) << shift)) | (uint64(octant) << shift) | (uint64(7) << (shift - uint64(3)))


@njit(cache=True)
def probe(cells, key):
    """Slot of the key's entry, or the empty one where it belongs."""
    mask = uint64(len(cells.keys) - 1)
    h = morton.mix(key) & mask
    while cells.values[h] != 0 and cells.keys[h] != key:
        h = (h + uint64(1)) & mask
    return np.int64(h)


@njit(cache=True)
def is_free(cells, key, coarser):
    """Whether the cell may be taken; ``coarser`` is the number of levels above it."""
    if cells.values[probe(cells, key)] != 0:
        return False
    for _ in range(coarser):
        key = parent(key)
        if cells.values[probe(cells, key)] > 0:
            return False
    return True


@njit(cache=True)
def which_free(cells, keys, finest, coarsest, out):
    """Mark the keys whose cells may be taken."""
    for i in range(len(keys)):
        out[i] = keys[i] != uint64(NOWHERE) and is_free(cells, keys[i], finest - height_of(keys[i]) - coarsest)


@njit(cache=True)
def which_cover(cells, keys, finest, coarsest, out):
    """Rows of the coarser cells that hold these cells, -1 where none does."""
    for i in range(len(keys)):
        out[i] = -1
        if keys[i] == uint64(NOWHERE):
            continue
        key = keys[i]
        for _ in range(finest - height_of(key) - coarsest):
            key = parent(key)
            value = cells.values[probe(cells, key)]
            if value > 0:
                out[i] = value - 1
                break


@njit(cache=True)
def child_keys(keys, offsets, out):
    """Keys (N, M) of different children of N cells, for M at these offsets (N, M, 3) from each cell's middle.

    Each has the child on its own side of the middle, or of those still free the one that lies most that way.
    """
    for i in range(len(keys)):
        taken = 0
        for j in range(offsets.shape[1]):
            best, most = 0, -np.inf
            for octant in range(8):
                score = 0.0
                for k in range(3):
                    score += offsets[i, j, k] if (octant >> k) & 1 else -offsets[i, j, k]
                if score > most and not (taken >> octant) & 1:
                    best, most = octant, score
            taken |= 1 << best
            out[i, j] = child(keys[i], best)


@njit(cache=True)
def children_of(cells, keys, out):
    """Rows (N, 8) in the cells one level finer inside each of N cells, -1 where there is none.

    All -1 for a cell with none, or with some that are finer still.
    """
    for i in range(len(keys)):
        found = 0
        if height_of(keys[i]) == 0:
            out[i] = -1
            continue
        for octant in range(8):
            out[i, octant] = max(cells.values[probe(cells, child(keys[i], octant))], 0) - 1
            found += out[i, octant] >= 0
        if found != -cells.values[probe(cells, keys[i])]:
            out[i] = -1


@njit(cache=True)
def parents(keys, out):
    """Keys of the cells one level coarser."""
    for i in range(len(keys)):
        out[i] = parent(keys[i])


@njit(cache=True)
def occupy(cells, key, row, level):
    """Enter a row in a free cell of this level."""
    h = probe(cells, key)
    cells.keys[h], cells.values[h] = key, row + 1
    cells.counters[0] += 1
    for _ in range(level):
        key = parent(key)
        h = probe(cells, key)
        if cells.values[h] == 0:
            cells.keys[h] = key
            cells.counters[0] += 1
        cells.values[h] -= 1
        cells.stood[h] = -abs(cells.stood[h])


@njit(cache=True)
def vacate(cells, key, level):
    """Free a taken cell of this level."""
    h = probe(cells, key)
    cells.values[h] = 0
    _close_gap(cells, h)
    for _ in range(level):
        key = parent(key)
        h = probe(cells, key)
        cells.values[h] += 1
        cells.stood[h] = -abs(cells.stood[h])
        if cells.values[h] == 0:
            _close_gap(cells, h)


@njit(cache=True)
def _close_gap(cells, gap):
    """Backward-shift deletion: later entries of the probe chain move up, so that no tombstones remain."""
    mask = len(cells.keys) - 1
    cells.counters[0] -= 1
    cells.stood[gap] = 0
    j = (gap + 1) & mask
    while cells.values[j] != 0:
        home = np.int64(morton.mix(cells.keys[j]) & uint64(mask))
        if ((j - home) & mask) >= ((j - gap) & mask):
            cells.keys[gap], cells.values[gap], cells.stood[gap] = cells.keys[j], cells.values[j], cells.stood[j]
            cells.values[j], cells.stood[j] = 0, 0
            gap = j
        j = (j + 1) & mask


@njit(cache=True)
def rehash(old, cells):
    """Enter all of an old table into an empty, larger one."""
    for i in range(len(old.keys)):
        if old.values[i] != 0:
            h = probe(cells, old.keys[i])
            cells.keys[h], cells.values[h], cells.stood[h] = old.keys[i], old.values[i], old.stood[i]
    cells.counters[0] = old.counters[0]


@njit(cache=True)
def outdate(cells, keys, finest):
    """What stands for Gaussians with these cells is out of date; cells that are not there do no harm."""
    for i in range(len(keys)):
        key = keys[i]
        for _ in range(finest - height_of(key)):
            key = parent(key)
            h = probe(cells, key)
            cells.stood[h] = -abs(cells.stood[h])


@njit(cache=True)
def rows_inside(cells, keys, rows, groups):
    """All rows in finer cells inside each of these, and which one's they are."""
    waiting = np.empty(8 * DEEPEST, np.uint64)
    n = 0
    for i in range(len(keys)):
        waiting[0], top = keys[i], 1
        while top > 0:
            top -= 1
            key = waiting[top]
            for octant in range(8):
                finer = child(key, octant)
                value = cells.values[probe(cells, finer)]
                if value > 0:
                    rows[n], groups[n] = value - 1, i
                    n += 1
                elif value < 0:
                    waiting[top] = finer
                    top += 1


@njit(cache=True)
def standing(cells, keys, out):
    """Slots (N,) of the cells for which the stand-ins 0 to N - 1 were made, by their keys; -1 where that is no more."""
    for i in range(len(keys)):
        h = probe(cells, keys[i])
        out[i] = h if cells.values[h] < 0 and abs(cells.stood[h]) == i + 1 else -1
