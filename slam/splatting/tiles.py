# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Which splats reach which tile of the picture, front to back: one radix sort by depth, one counting sort by tile."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from slam.splatting import TILE
from slam.splatting.projection import ACROSS, ALONG, HALF_HEIGHT, HALF_WIDTH, REACH2, SHEAR, Splats, X, Y
from slam.splatting.vectors import KERNEL

DIGIT = 11
"""Bits that one pass of the radix sort takes; three passes cover the 31 of a positive float32."""


class TileLists(NamedTuple):
    """The splats of each tile; tiles count along rows.

    Attributes:
        starts: (tiles + 1,) int64, where the members of each tile begin.
        members: (M,) int32 rows of ``Splats.table``, in each tile by depth, equal depths by row.
    """

    starts: NDArray[np.int64]
    members: NDArray[np.int32]


@njit(**KERNEL)
def _by_bits(keys):
    """Stable ascending order of (N,) uint32."""
    order, spare = np.arange(len(keys)).astype(np.int32), np.empty(len(keys), np.int32)
    for turn in range(3):
        shift = np.uint32(turn * DIGIT)
        starts = np.zeros((1 << DIGIT) + 1, np.int64)
        for key in keys:
            starts[((key >> shift) & np.uint32((1 << DIGIT) - 1)) + 1] += 1
        starts = np.cumsum(starts)
        for row in order:
            digit = (keys[row] >> shift) & np.uint32((1 << DIGIT) - 1)
            spare[starts[digit]] = row
            starts[digit] += 1
        order, spare = spare, order
    return order


def depth_order(depths: NDArray[np.float32]) -> NDArray[np.int32]:
    """(N,) rows by ascending depth, equal ones as they stood; positive depths compare like their bits."""
    return _by_bits(np.ascontiguousarray(depths, np.float32).view(np.uint32))


@njit(**KERNEL)
def _span(centre, half, tiles):
    """First and last tile along one side that hold a pixel's centre within ``half`` of ``centre`` (px)."""
    # Bounds before the conversion: a huge ellipse passes what an integer holds.
    low = np.int64(min(max(np.ceil(centre - half - 0.5), 0.0), np.float64(tiles * TILE)))
    high = np.int64(min(max(np.floor(centre + half - 0.5), -1.0), np.float64(tiles * TILE - 1)))
    return low // TILE, high // TILE


@njit(**KERNEL)
def _reaches(splat, left, top):
    """Whether the ellipse touches the rectangle of the centres of a tile's pixels: its nearest point decides."""
    across, shear, along = np.float64(splat[ACROSS]), np.float64(splat[SHEAR]), np.float64(splat[ALONG])
    x0, y0 = left + 0.5 - splat[X], top + 0.5 - splat[Y]
    x1, y1 = x0 + (TILE - 1), y0 + (TILE - 1)
    x, y = min(max(0.0, x0), x1), min(max(0.0, y0), y1)
    if x == 0.0 and y == 0.0:
        return True
    least = np.inf
    if x != 0.0:  # along the upright side that faces the centre
        best = min(max(x * across * shear / (along + across * shear * shear), y0), y1)
        least = across * (x - shear * best) ** 2 + along * best * best
    if y != 0.0:
        best = min(max(shear * y, x0), x1)
        least = min(least, across * (best - shear * y) ** 2 + along * y * y)
    return least <= splat[REACH2]


@njit(**KERNEL)
def _pairs(table, order, columns, rows):
    """Tile and splat of each meeting, nearest splats first, and how many each tile has, shifted by one."""
    counts = np.zeros(columns * rows + 1, np.int64)
    tiles, members = np.empty(4 * len(order) + 64, np.int32), np.empty(4 * len(order) + 64, np.int32)
    n = 0
    for splat in order:
        s = table[splat]
        left, right = _span(np.float64(s[X]), np.float64(s[HALF_WIDTH]), columns)
        top, bottom = _span(np.float64(s[Y]), np.float64(s[HALF_HEIGHT]), rows)
        room = n + max(0, right - left + 1) * max(0, bottom - top + 1)
        if room > len(tiles):
            tiles = np.concatenate((tiles, np.empty(room, np.int32)))
            members = np.concatenate((members, np.empty(room, np.int32)))
        sure = right == left or bottom == top
        for row in range(top, bottom + 1):
            for column in range(left, right + 1):
                if sure or _reaches(s, column * TILE, row * TILE):
                    tile = row * columns + column
                    tiles[n], members[n] = tile, splat
                    counts[tile + 1] += 1
                    n += 1
    return tiles[:n], members[:n], counts


@njit(**KERNEL)
def _lists(table, order, columns, rows):
    tiles, splats, counts = _pairs(table, order, columns, rows)
    starts = np.cumsum(counts)
    cursor, members = starts.copy(), np.empty(len(tiles), np.int32)
    for n in range(len(tiles)):
        members[cursor[tiles[n]]] = splats[n]
        cursor[tiles[n]] += 1
    return starts, members


def tile_lists(splats: Splats, width: int, height: int) -> TileLists:
    """The lists of a picture of width x height px; linear in splats and in the tiles they reach."""
    order = depth_order(splats.depths)
    return TileLists(*_lists(splats.table, order, -(-width // TILE), -(-height // TILE)))
