# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Blending splats into tiles and back (step 2 and 5 of the package's account), tile by tile, on one thread."""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from slam.splatting import TILE, blocks
from slam.splatting import projection_gradient as sums_of
from slam.splatting.blocks import (
    BLOCKS,
    CHANNELS,
    HALF,
    LIGHT,
    LINE,
    ONE,
    PICTURE,
    REST,
    SIDE,
    TALLY,
    WEIGHT,
    WIDE,
    ZERO,
    F,
)
from slam.splatting.projection import (
    ACROSS,
    ALONG,
    COLUMNS,
    HALF_HEIGHT,
    HALF_WIDTH,
    REACH2,
    SHEAR,
    Splats,
    X,
    Y,
)
from slam.splatting.tiles import TileLists
from slam.splatting.vectors import KERNEL

PATIENCE = 32
"""Splats that are fetched at once, and between two looks at which blocks still have light."""

SPAN, FAR = F(SIDE), F(SIDE - 1)


@njit(**KERNEL)
def _bands(s, y):
    """First and last row of blocks that hold a pixel's centre within the ellipse's height; y px from the tile's top."""
    low = max(ZERO, np.ceil(y - s[HALF_HEIGHT] - HALF))
    high = min(F(TILE - 1), np.floor(y + s[HALF_HEIGHT] - HALF))
    return np.int64(low) // SIDE, np.int64(high) // SIDE


@njit(**KERNEL)
def _outline(s):
    """Where along dy the ellipse is farthest right, and the square of its half width as rest - bend dy^2."""
    inverse = ONE / s[ACROSS]
    return s[SHEAR] * s[REACH2] / (s[ALONG] * s[HALF_WIDTH]), s[REACH2] * inverse, s[ALONG] * inverse


@njit(**KERNEL)
def _columns(outline, shear, x, y, band):
    """First and last block of a row of blocks that the ellipse reaches; x, y px from the tile's corner.

    At dy the ellipse spans SHEAR dy +- sqrt(rest - bend dy^2). It is farthest right at ``tip``, farthest left opposite;
    the nearest dy in the band counts.
    """
    tip, rest, bend = outline
    top = F(band) * SPAN + HALF - y
    bottom = top + FAR
    dy, opposite = min(max(tip, top), bottom), min(max(-tip, top), bottom)
    right = shear * dy + math.sqrt(max(ZERO, rest - bend * dy * dy))
    left = shear * opposite - math.sqrt(max(ZERO, rest - bend * opposite * opposite))
    low, high = max(ZERO, np.ceil(x + left - HALF)), min(F(TILE - 1), np.floor(x + right - HALF))
    return np.int64(low) // SIDE, np.int64(high) // SIDE


@njit(**KERNEL)
def _fetch(table, members, near):
    """Copy the next splats together: they lie anywhere, and waiting for them one by one costs more."""
    for n in range(len(members)):
        row = members[n]
        for column in range(COLUMNS):
            near[n, column] = table[row, column]


@njit(**KERNEL)
def _look(lines, lit):
    """Note which blocks still have light in any pixel; False where none has."""
    any_lit = False
    for block in range(BLOCKS * BLOCKS):
        line, alive = lines[block], 0
        for k in range(WIDE):
            alive += line[LIGHT + k] > ZERO
        lit[block] = alive > 0
        any_lit = any_lit or alive > 0
    return any_lit


@njit(**KERNEL)
def _blend_tile(table, members, left, top, lines, lanes, contribution):
    lit, near = np.ones(BLOCKS * BLOCKS, np.bool_), np.empty((PATIENCE, COLUMNS), np.float32)
    for n in range(len(members)):
        if n % PATIENCE == 0:
            _fetch(table, members[n : n + PATIENCE], near)
            if not _look(lines, lit):
                break
        s = near[n % PATIENCE]
        x, y, outline = s[X] - left, s[Y] - top, _outline(s)
        lanes[WEIGHT : WEIGHT + WIDE] = ZERO
        first, last = _bands(s, y)
        for band in range(first, last + 1):
            low, high = _columns(outline, s[SHEAR], x, y, band)
            for column in range(low, high + 1):
                if lit[band * BLOCKS + column]:
                    blocks.add(lines[band * BLOCKS + column], lanes, s, x - F(column) * SPAN, y - F(band) * SPAN)
        contribution[members[n]] += blocks.total(lanes, WEIGHT)


@njit(**KERNEL)
def _unblend_tile(table, members, left, top, lines, lanes, sums):
    lit, near = np.ones(BLOCKS * BLOCKS, np.bool_), np.empty((PATIENCE, COLUMNS), np.float32)
    for n in range(len(members)):
        if n % PATIENCE == 0:
            _fetch(table, members[n : n + PATIENCE], near)
            if not _look(lines, lit):
                break
        s = near[n % PATIENCE]
        x, y, outline = s[X] - left, s[Y] - top, _outline(s)
        lanes[TALLY:] = ZERO
        first, last = _bands(s, y)
        for band in range(first, last + 1):
            low, high = _columns(outline, s[SHEAR], x, y, band)
            for column in range(low, high + 1):
                if lit[band * BLOCKS + column]:
                    blocks.take(lines[band * BLOCKS + column], lanes, s, x - F(column) * SPAN, y - F(band) * SPAN)
        for quantity in range(sums_of.COLUMNS):
            sums[members[n], quantity] += blocks.total(lanes, TALLY + quantity * WIDE)


@njit(**KERNEL)
def _open(lines, left, top, alpha):
    """Full light in the tile's pixels that lie in the picture, none in the others."""
    lines[:] = ZERO
    for row in range(min(TILE, alpha.shape[0] - top)):
        for column in range(min(TILE, alpha.shape[1] - left)):
            block, k = blocks.place_of(row, column)
            lines[block, LIGHT + k] = ONE


@njit(**KERNEL)
def _store(lines, left, top, background, picture, alpha):
    """Write a tile into the picture (H, W, 7) and alpha (H, W), with the background behind."""
    for row in range(min(TILE, alpha.shape[0] - top)):
        for column in range(min(TILE, alpha.shape[1] - left)):
            block, k = blocks.place_of(row, column)
            light = abs(lines[block, LIGHT + k])
            alpha[top + row, left + column] = ONE - light
            for c in range(CHANNELS):
                behind = light * background[c] if c < 3 else ZERO
                picture[top + row, left + column, c] = lines[block, PICTURE + c * WIDE + k] + behind


@njit(**KERNEL)
def _load(lines, left, top, picture, alpha, slopes, d_alpha):
    """Slopes of a tile, and the whole of each pixel: what it shows by how much that counts."""
    for row in range(min(TILE, alpha.shape[0] - top)):
        for column in range(min(TILE, alpha.shape[1] - left)):
            block, k = blocks.place_of(row, column)
            rest = d_alpha[top + row, left + column] * (alpha[top + row, left + column] - ONE)
            for c in range(CHANNELS):
                slope = slopes[top + row, left + column, c]
                lines[block, PICTURE + c * WIDE + k] = slope
                rest += slope * picture[top + row, left + column, c]
            lines[block, REST + k] = rest


@njit(**KERNEL)
def _forward(table, starts, members, background, picture, alpha, contribution):
    lines, lanes = np.empty((BLOCKS * BLOCKS, LINE), np.float32), blocks.new_lanes()
    columns = -(-alpha.shape[1] // TILE)
    for tile in range(len(starts) - 1):
        left, top = tile % columns * TILE, tile // columns * TILE
        _open(lines, left, top, alpha)
        inside = members[starts[tile] : starts[tile + 1]]
        _blend_tile(table, inside, F(left), F(top), lines, lanes, contribution)
        _store(lines, left, top, background, picture, alpha)


@njit(**KERNEL)
def _backward(table, starts, members, picture, alpha, slopes, d_alpha, sums):
    lines, lanes = np.empty((BLOCKS * BLOCKS, LINE), np.float32), blocks.new_lanes()
    columns = -(-alpha.shape[1] // TILE)
    for tile in range(len(starts) - 1):
        left, top = tile % columns * TILE, tile // columns * TILE
        inside = members[starts[tile] : starts[tile + 1]]
        if len(inside) > 0:
            _open(lines, left, top, alpha)
            _load(lines, left, top, picture, alpha, slopes, d_alpha)
            _unblend_tile(table, inside, F(left), F(top), lines, lanes, sums)


def blend(
    splats: Splats, lists: TileLists, background: NDArray[np.float32], width: int, height: int
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """The picture (H, W, 7) float32 of colour, offset, normal; alpha (H, W); and each splat's summed weights (V,)."""
    picture, alpha = np.empty((height, width, CHANNELS), np.float32), np.empty((height, width), np.float32)
    contribution = np.zeros(len(splats.rows), np.float32)
    _forward(splats.table, *lists, background, picture, alpha, contribution)
    return picture, alpha, contribution


def unblend(
    splats: Splats,
    lists: TileLists,
    picture: NDArray[np.float32],
    alpha: NDArray[np.float32],
    slopes: NDArray[np.float32],
    d_alpha: NDArray[np.float32],
) -> NDArray[np.float64]:
    """Sums (V, 13) for ``projection_gradient.pull_back``, from slopes (H, W, 7) of the picture and (H, W) of alpha."""
    sums = np.zeros((len(splats.rows), sums_of.COLUMNS))
    _backward(splats.table, *lists, picture, alpha, slopes, d_alpha, sums)
    return sums
