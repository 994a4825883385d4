# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Blending splats into tiles and back (step 2 and 5 of the package's account), sixteen pixels of a row at a time.

A tile's row is one contiguous line of memory and every loop over its pixels is branch-free, so that the compiler turns
it into vector instructions. The way back also runs front to back: what lies behind a splat is the pixel's whole less
what was passed, so that light never has to be divided out again.

With v = sum over channels of value times slope, T the light before the splat and B = what is behind it:
dL/da = T v - B / (1 - a).
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from slam.splatting import LEAST_ALPHA, LEAST_LIGHT, MOST_ALPHA, TILE
from slam.splatting import projection_gradient as sums_of
from slam.splatting.projection import (
    ACROSS,
    ALONG,
    BLUE,
    DEPTH,
    GREEN,
    HALF_HEIGHT,
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
"""The only licence given to the compiler: a product and a sum may round once instead of twice."""

CHANNELS = 7
"""Colour (3), depth, normal (3)."""

LIGHT, REST, PICTURE = 0, TILE, 2 * TILE
LINE = (2 + CHANNELS) * TILE
"""A line of a tile: light, negative once the pixel has stopped; what is still behind; then the channels or their
slopes."""

CENTRES, WEIGHT, TALLY = 0, TILE, 2 * TILE
LANES = (2 + 3 + CHANNELS) * TILE
"""Beside the lines: pixel centres (px), summed weights, and for the way back h, h dy, h dy^2 and the channels."""

PATIENCE = 32
"""Splats between two looks at whether a tile still has light."""

F = np.float32
ZERO, HALF, ONE, LAST = F(0.0), F(0.5), F(1.0), F(TILE - 0.5)
LEAST, MOST, STOP = F(LEAST_ALPHA), F(MOST_ALPHA), F(LEAST_LIGHT)
LOWEST = F(-5.75)
"""exp of this is below LEAST_ALPHA: farther out nothing is added, whatever the opacity."""
E0, E1, E2, E3, E4, E5 = F(0.99999994), F(0.99999225), F(0.4998747), F(0.16593282), F(0.039694093), F(0.0057966844)
EIGHTH = F(0.125)


@njit(cache=True, nogil=True, fastmath=FUSED)
def _exp(x):
    """exp on [LOWEST, 0] to 2e-6 of its value: the eighth power of a polynomial in x / 8."""
    u = x * EIGHTH
    p = ((((E5 * u + E4) * u + E3) * u + E2) * u + E1) * u + E0
    p = p * p
    p = p * p
    return p * p


@njit(cache=True, nogil=True, fastmath={"reassoc", "contract"})
def _total(lanes, first):
    """Sum of sixteen lanes, in whatever order suits the machine."""
    total = ZERO
    for k in range(TILE):
        total += lanes[first + k]
    return total


@njit(cache=True, nogil=True, fastmath=FUSED)
def _blend(line, lanes, s, centre, drop):
    """Add splat ``s`` to one row whose ellipse is centred at ``centre``; ``drop`` is the exponent there."""
    across, opacity = -HALF * s[ACROSS], s[OPACITY]
    red, green, blue, depth = s[RED], s[GREEN], s[BLUE], s[DEPTH]
    nx, ny, nz = s[NORMAL], s[NORMAL + 1], s[NORMAL + 2]
    for k in range(TILE):
        e = lanes[CENTRES + k] - centre
        a = min(MOST, opacity * _exp(max(LOWEST, across * e * e + drop)))
        a = a if a >= LEAST else ZERO
        light = line[LIGHT + k]
        left = light * (ONE - a)
        goes_on = left >= STOP
        w = light * a if goes_on else ZERO
        line[LIGHT + k] = left if goes_on else -abs(light)
        lanes[WEIGHT + k] += w
        line[PICTURE + k] += w * red
        line[PICTURE + TILE + k] += w * green
        line[PICTURE + 2 * TILE + k] += w * blue
        line[PICTURE + 3 * TILE + k] += w * depth
        line[PICTURE + 4 * TILE + k] += w * nx
        line[PICTURE + 5 * TILE + k] += w * ny
        line[PICTURE + 6 * TILE + k] += w * nz


@njit(cache=True, nogil=True, fastmath=FUSED, error_model="numpy")  # the check for a division by zero is a branch
def _unblend(line, lanes, s, centre, drop, dy):
    """The way back of ``_blend``: the same light, and the sums for the splat into ``lanes``."""
    across, opacity = -HALF * s[ACROSS], s[OPACITY]
    red, green, blue, depth = s[RED], s[GREEN], s[BLUE], s[DEPTH]
    nx, ny, nz = s[NORMAL], s[NORMAL + 1], s[NORMAL + 2]
    for k in range(TILE):
        e = lanes[CENTRES + k] - centre
        full = opacity * _exp(max(LOWEST, across * e * e + drop))
        a = min(MOST, full)
        a = a if a >= LEAST else ZERO
        light = line[LIGHT + k]
        left = light * (ONE - a)
        goes_on = left >= STOP
        w = light * a if goes_on else ZERO
        line[LIGHT + k] = left if goes_on else -abs(light)
        g0, g1, g2 = line[PICTURE + k], line[PICTURE + TILE + k], line[PICTURE + 2 * TILE + k]
        g3, g4 = line[PICTURE + 3 * TILE + k], line[PICTURE + 4 * TILE + k]
        g5, g6 = line[PICTURE + 5 * TILE + k], line[PICTURE + 6 * TILE + k]
        v = red * g0 + green * g1 + blue * g2 + depth * g3 + nx * g4 + ny * g5 + nz * g6
        rest = line[REST + k] - w * v
        line[REST + k] = rest
        h = a * (light * v - rest / (ONE - a))
        h = h if goes_on else ZERO  # two selects: "and" would be a branch, and end the vector instructions
        h = h if full < MOST else ZERO
        lanes[TALLY + k] += h
        lanes[TALLY + TILE + k] += h * dy
        lanes[TALLY + 2 * TILE + k] += h * dy * dy
        lanes[TALLY + 3 * TILE + k] += w * g0
        lanes[TALLY + 4 * TILE + k] += w * g1
        lanes[TALLY + 5 * TILE + k] += w * g2
        lanes[TALLY + 6 * TILE + k] += w * g3
        lanes[TALLY + 7 * TILE + k] += w * g4
        lanes[TALLY + 8 * TILE + k] += w * g5
        lanes[TALLY + 9 * TILE + k] += w * g6


@njit(cache=True, nogil=True)
def _rows_reached(s, top):
    """First and last row of the tile at ``top`` that the ellipse reaches."""
    low = max(ZERO, np.ceil(s[Y] - s[HALF_HEIGHT] - HALF - top))
    high = min(F(TILE - 1), np.floor(s[Y] + s[HALF_HEIGHT] - HALF - top))
    return np.int64(low), np.int64(high)


@njit(cache=True, nogil=True)
def _row_of(s, row, left, top):
    """Offset dy of a row, centre of the ellipse there, from the tile's edge, exponent at it, and if it is in reach."""
    dy = (F(row) + HALF + top) - s[Y]
    centre = (s[X] - left) + s[SHEAR] * dy
    high = s[ALONG] * dy * dy
    miss = max(ZERO, max(HALF - centre, centre - LAST))
    return dy, centre, -HALF * high, s[ACROSS] * miss * miss + high <= s[REACH2]


@njit(cache=True, nogil=True)
def _dark(lines):
    """Whether every pixel of the tile has stopped."""
    alive = 0
    for row in range(TILE):
        line = lines[row]
        for k in range(TILE):
            alive += line[LIGHT + k] > ZERO
    return alive == 0


@njit(cache=True, nogil=True)
def _blend_tile(table, members, left, top, lines, lanes, contribution):
    for n in range(len(members)):
        if n % PATIENCE == PATIENCE - 1 and _dark(lines):
            break
        s = table[members[n]]
        lanes[WEIGHT : WEIGHT + TILE] = ZERO
        first, last = _rows_reached(s, top)
        for row in range(first, last + 1):
            _, centre, drop, reached = _row_of(s, row, left, top)
            if reached:
                _blend(lines[row], lanes, s, centre, drop)
        contribution[members[n]] += _total(lanes, WEIGHT)


@njit(cache=True, nogil=True)
def _unblend_tile(table, members, left, top, lines, lanes, sums):
    for n in range(len(members)):
        if n % PATIENCE == PATIENCE - 1 and _dark(lines):
            break
        s = table[members[n]]
        lanes[TALLY:] = ZERO
        first, last = _rows_reached(s, top)
        for row in range(first, last + 1):
            dy, centre, drop, reached = _row_of(s, row, left, top)
            if reached:
                _unblend(lines[row], lanes, s, centre, drop, dy)
        _tally(lanes, s[X] - left, sums[members[n]])


@njit(cache=True, nogil=True, fastmath={"reassoc", "contract"})
def _tally(lanes, x, out):
    """Add the lanes to a splat's sums; a lane's dx is the same in every row."""
    hx, hxx, hxy = ZERO, ZERO, ZERO
    for k in range(TILE):
        dx = lanes[CENTRES + k] - x
        hx += lanes[TALLY + k] * dx
        hxx += lanes[TALLY + k] * dx * dx
        hxy += lanes[TALLY + TILE + k] * dx
    out[sums_of.H] += _total(lanes, TALLY)
    out[sums_of.H_X] += hx
    out[sums_of.H_Y] += _total(lanes, TALLY + TILE)
    out[sums_of.H_XX] += hxx
    out[sums_of.H_XY] += hxy
    out[sums_of.H_YY] += _total(lanes, TALLY + 2 * TILE)
    for channel in range(CHANNELS):
        out[sums_of.VALUES + channel] += _total(lanes, TALLY + (3 + channel) * TILE)


@njit(cache=True, nogil=True)
def _new_lanes():
    lanes = np.zeros(LANES, np.float32)
    for k in range(TILE):
        lanes[CENTRES + k] = k + 0.5
    return lanes


@njit(cache=True, nogil=True)
def _open(lines, left, top, alpha):
    """Full light in the tile's pixels that lie in the picture, none in the others."""
    lines[:] = ZERO
    for row in range(min(TILE, alpha.shape[0] - top)):
        lines[row, LIGHT : LIGHT + min(TILE, alpha.shape[1] - left)] = ONE


@njit(cache=True, nogil=True)
def _store(lines, left, top, background, picture, alpha):
    """Write a tile into the picture (H, W, 7) and alpha (H, W), with the background behind."""
    for row in range(min(TILE, alpha.shape[0] - top)):
        line = lines[row]
        for k in range(min(TILE, alpha.shape[1] - left)):
            light = abs(line[LIGHT + k])
            alpha[top + row, left + k] = ONE - light
            for c in range(CHANNELS):
                behind = light * background[c] if c < 3 else ZERO
                picture[top + row, left + k, c] = line[PICTURE + c * TILE + k] + behind


@njit(cache=True, nogil=True)
def _load(lines, left, top, picture, alpha, slopes, d_alpha):
    """Slopes of a tile, and the whole of each pixel: what it shows by how much that counts."""
    _open(lines, left, top, alpha)
    for row in range(min(TILE, alpha.shape[0] - top)):
        line = lines[row]
        for k in range(min(TILE, alpha.shape[1] - left)):
            rest = d_alpha[top + row, left + k] * (alpha[top + row, left + k] - ONE)
            for c in range(CHANNELS):
                slope = slopes[top + row, left + k, c]
                line[PICTURE + c * TILE + k] = slope
                rest += slope * picture[top + row, left + k, c]
            line[REST + k] = rest


@njit(cache=True, nogil=True)
def _forward(table, starts, members, background, picture, alpha, contribution):
    lines, lanes = np.empty((TILE, LINE), np.float32), _new_lanes()
    columns = -(-alpha.shape[1] // TILE)
    for tile in range(len(starts) - 1):
        left, top = tile % columns * TILE, tile // columns * TILE
        _open(lines, left, top, alpha)
        inside = members[starts[tile] : starts[tile + 1]]
        _blend_tile(table, inside, F(left), F(top), lines, lanes, contribution)
        _store(lines, left, top, background, picture, alpha)


@njit(cache=True, nogil=True)
def _backward(table, starts, members, picture, alpha, slopes, d_alpha, sums):
    lines, lanes = np.empty((TILE, LINE), np.float32), _new_lanes()
    columns = -(-alpha.shape[1] // TILE)
    for tile in range(len(starts) - 1):
        if starts[tile] == starts[tile + 1]:
            continue
        left, top = tile % columns * TILE, tile // columns * TILE
        _load(lines, left, top, picture, alpha, slopes, d_alpha)
        _unblend_tile(table, members[starts[tile] : starts[tile + 1]], F(left), F(top), lines, lanes, sums)


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
