# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Blending splats into tiles and back (step 2 and 5 of the package's account), blocks of 4 x 4 pixels at a time.

A block is one contiguous line of memory and the loop over its sixteen pixels is free of branches, so that the compiler
turns it into vector instructions. The way back also runs front to back: what lies behind a splat is the pixel's whole
less what was passed, so that light never has to be divided out again.

With v = sum over channels of value times slope, T the light before the splat and B = what is behind it:
dL/da = T v - B / (1 - a).
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from slam.splatting import LEAST_ALPHA, LEAST_LIGHT, MOST_ALPHA, TILE
from slam.splatting import projection_gradient as sums_of
from slam.splatting.projection import (
    ACROSS,
    ALONG,
    BLUE,
    COLUMNS,
    DEPTH,
    GREEN,
    HALF_HEIGHT,
    HALF_WIDTH,
    KERNEL,
    NORMAL,
    OPACITY,
    REACH2,
    RED,
    SHEAR,
    Splats,
    X,
    Y,
)
from slam.splatting.tiles import TileLists

FUSED = {"contract"}
"""A licence given to the compiler: a product and a sum may round once instead of twice."""

LOOSE = {"contract", "reassoc"}
"""Another, for the sum of a line's lanes alone: in whatever order suits the machine."""

CHANNELS = 7
"""Colour (3), depth, normal (3)."""

SIDE = 4
"""Of a block, px."""

BLOCKS = TILE // SIDE
"""Along a tile's side."""

WIDE = SIDE * SIDE
LIGHT, REST, PICTURE = 0, WIDE, 2 * WIDE
LINE = (2 + CHANNELS) * WIDE
"""A block's line: light, negative once the pixel has stopped; what is still behind; the channels, or their slopes."""

XS, YS, WEIGHT, TALLY = 0, WIDE, 2 * WIDE, 3 * WIDE
LANES = (3 + sums_of.COLUMNS) * WIDE
"""Beside the lines: the pixels' centres in the block (px), summed weights, and the sums of the way back."""

PATIENCE = 32
"""Splats that are fetched at once, and between two looks at which blocks still have light."""

F = np.float32
ZERO, HALF, ONE = F(0.0), F(0.5), F(1.0)
SPAN, FAR = F(SIDE), F(SIDE - 1)
LEAST, MOST, STOP = F(LEAST_ALPHA), F(MOST_ALPHA), F(LEAST_LIGHT)
LOWEST = F(-5.75)
"""exp of this is below LEAST_ALPHA: farther out nothing is added, whatever the opacity."""
E0, E1, E2, E3, E4, E5 = F(0.99999994), F(0.99999225), F(0.4998747), F(0.16593282), F(0.039694093), F(0.0057966844)
EIGHTH = F(0.125)


@njit(**KERNEL, fastmath=FUSED)
def _exp(x):
    """exp on [LOWEST, 0] to 2e-6 of its value: the eighth power of a polynomial in x / 8."""
    u = x * EIGHTH
    p = ((((E5 * u + E4) * u + E3) * u + E2) * u + E1) * u + E0
    p = p * p
    p = p * p
    return p * p


@njit(**KERNEL, fastmath=LOOSE)
def _total(lanes, first):
    """Sum of the lanes of one quantity."""
    total = ZERO
    for k in range(WIDE):
        total += lanes[first + k]
    return total


@njit(**KERNEL, fastmath=FUSED)
def _blend(line, lanes, s, x, y):
    """Add splat ``s``, centred at x, y px from the block's corner."""
    across, shear, along, opacity = -HALF * s[ACROSS], s[SHEAR], -HALF * s[ALONG], s[OPACITY]
    red, green, blue, depth = s[RED], s[GREEN], s[BLUE], s[DEPTH]
    nx, ny, nz = s[NORMAL], s[NORMAL + 1], s[NORMAL + 2]
    for k in range(WIDE):
        dy = lanes[YS + k] - y
        e = (lanes[XS + k] - x) - shear * dy
        a = min(MOST, opacity * _exp(max(LOWEST, across * e * e + along * dy * dy)))
        a = a if a >= LEAST else ZERO
        light = line[LIGHT + k]
        left = light * (ONE - a)
        goes_on = left >= STOP
        w = light * a if goes_on else ZERO
        line[LIGHT + k] = left if goes_on else -abs(light)
        lanes[WEIGHT + k] += w
        line[PICTURE + k] += w * red
        line[PICTURE + WIDE + k] += w * green
        line[PICTURE + 2 * WIDE + k] += w * blue
        line[PICTURE + 3 * WIDE + k] += w * depth
        line[PICTURE + 4 * WIDE + k] += w * nx
        line[PICTURE + 5 * WIDE + k] += w * ny
        line[PICTURE + 6 * WIDE + k] += w * nz


@njit(**KERNEL, fastmath=FUSED)
def _unblend(line, lanes, s, x, y):
    """The way back of ``_blend``: the same light, and the sums for the splat into ``lanes``."""
    across, shear, along, opacity = -HALF * s[ACROSS], s[SHEAR], -HALF * s[ALONG], s[OPACITY]
    red, green, blue, depth = s[RED], s[GREEN], s[BLUE], s[DEPTH]
    nx, ny, nz = s[NORMAL], s[NORMAL + 1], s[NORMAL + 2]
    for k in range(WIDE):
        dx, dy = lanes[XS + k] - x, lanes[YS + k] - y
        e = dx - shear * dy
        full = opacity * _exp(max(LOWEST, across * e * e + along * dy * dy))
        a = min(MOST, full)
        a = a if a >= LEAST else ZERO
        light = line[LIGHT + k]
        left = light * (ONE - a)
        goes_on = left >= STOP
        w = light * a if goes_on else ZERO
        line[LIGHT + k] = left if goes_on else -abs(light)
        g0, g1, g2 = line[PICTURE + k], line[PICTURE + WIDE + k], line[PICTURE + 2 * WIDE + k]
        g3, g4 = line[PICTURE + 3 * WIDE + k], line[PICTURE + 4 * WIDE + k]
        g5, g6 = line[PICTURE + 5 * WIDE + k], line[PICTURE + 6 * WIDE + k]
        v = red * g0 + green * g1 + blue * g2 + depth * g3 + nx * g4 + ny * g5 + nz * g6
        rest = line[REST + k] - w * v
        line[REST + k] = rest
        h = a * (light * v - rest / (ONE - a))
        h = h if goes_on else ZERO  # two selects: "and" would be a branch, and end the vector instructions
        h = h if full < MOST else ZERO
        hx, hy = h * dx, h * dy
        lanes[TALLY + k] += h
        lanes[TALLY + WIDE + k] += hx
        lanes[TALLY + 2 * WIDE + k] += hy
        lanes[TALLY + 3 * WIDE + k] += hx * dx
        lanes[TALLY + 4 * WIDE + k] += hx * dy
        lanes[TALLY + 5 * WIDE + k] += hy * dy
        lanes[TALLY + 6 * WIDE + k] += w * g0
        lanes[TALLY + 7 * WIDE + k] += w * g1
        lanes[TALLY + 8 * WIDE + k] += w * g2
        lanes[TALLY + 9 * WIDE + k] += w * g3
        lanes[TALLY + 10 * WIDE + k] += w * g4
        lanes[TALLY + 11 * WIDE + k] += w * g5
        lanes[TALLY + 12 * WIDE + k] += w * g6


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
                    _blend(lines[band * BLOCKS + column], lanes, s, x - F(column) * SPAN, y - F(band) * SPAN)
        contribution[members[n]] += _total(lanes, WEIGHT)


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
                    _unblend(lines[band * BLOCKS + column], lanes, s, x - F(column) * SPAN, y - F(band) * SPAN)
        for quantity in range(sums_of.COLUMNS):
            sums[members[n], quantity] += _total(lanes, TALLY + quantity * WIDE)


@njit(**KERNEL)
def _new_lanes():
    lanes = np.zeros(LANES, np.float32)
    for k in range(WIDE):
        lanes[XS + k], lanes[YS + k] = k % SIDE + 0.5, k // SIDE + 0.5
    return lanes


@njit(**KERNEL)
def _place_of(row, column):
    """Block and lane of a pixel of a tile."""
    return row // SIDE * BLOCKS + column // SIDE, row % SIDE * SIDE + column % SIDE


@njit(**KERNEL)
def _open(lines, left, top, alpha):
    """Full light in the tile's pixels that lie in the picture, none in the others."""
    lines[:] = ZERO
    for row in range(min(TILE, alpha.shape[0] - top)):
        for column in range(min(TILE, alpha.shape[1] - left)):
            block, k = _place_of(row, column)
            lines[block, LIGHT + k] = ONE


@njit(**KERNEL)
def _store(lines, left, top, background, picture, alpha):
    """Write a tile into the picture (H, W, 7) and alpha (H, W), with the background behind."""
    for row in range(min(TILE, alpha.shape[0] - top)):
        for column in range(min(TILE, alpha.shape[1] - left)):
            block, k = _place_of(row, column)
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
            block, k = _place_of(row, column)
            rest = d_alpha[top + row, left + column] * (alpha[top + row, left + column] - ONE)
            for c in range(CHANNELS):
                slope = slopes[top + row, left + column, c]
                lines[block, PICTURE + c * WIDE + k] = slope
                rest += slope * picture[top + row, left + column, c]
            lines[block, REST + k] = rest


@njit(**KERNEL)
def _forward(table, starts, members, background, picture, alpha, contribution):
    lines, lanes = np.empty((BLOCKS * BLOCKS, LINE), np.float32), _new_lanes()
    columns = -(-alpha.shape[1] // TILE)
    for tile in range(len(starts) - 1):
        left, top = tile % columns * TILE, tile // columns * TILE
        _open(lines, left, top, alpha)
        inside = members[starts[tile] : starts[tile + 1]]
        _blend_tile(table, inside, F(left), F(top), lines, lanes, contribution)
        _store(lines, left, top, background, picture, alpha)


@njit(**KERNEL)
def _backward(table, starts, members, picture, alpha, slopes, d_alpha, sums):
    lines, lanes = np.empty((BLOCKS * BLOCKS, LINE), np.float32), _new_lanes()
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
    """The picture (H, W, 7) float32 of colour, depth, normal; alpha (H, W); and each splat's summed weights (V,)."""
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
