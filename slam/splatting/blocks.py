# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Sixteen pixels at once: how a splat is added to a block of 4 x 4 pixels, and the way back.

A block is one contiguous line of memory and the loop over its pixels is free of branches, so that the compiler turns it
into vector instructions. The way back also runs front to back: what lies behind a splat is the pixel's whole less what
was passed, so that light never has to be divided out again.

With v = sum over channels of value times slope, T the light before the splat and B = what is behind it:
dL/da = T v - B / (1 - a).
"""

from __future__ import annotations

import numpy as np
from numba import njit

from slam.splatting import LEAST_ALPHA, LEAST_LIGHT, MOST_ALPHA, TILE
from slam.splatting import projection_gradient as sums_of
from slam.splatting.projection import ACROSS, ALONG, BLUE, GREEN, NORMAL, OFFSET, OPACITY, RED, SHEAR
from slam.splatting.vectors import KERNEL

FUSED = {"contract"}
"""A licence given to the compiler: a product and a sum may round once instead of twice."""

LOOSE = {"contract", "reassoc"}
"""Another, for the sum of a line's lanes alone: in whatever order suits the machine."""

CHANNELS = 7
"""Colour (3), offset, normal (3)."""

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

F = np.float32
ZERO, HALF, ONE = F(0.0), F(0.5), F(1.0)
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
def total(lanes, first):
    """Sum of the lanes of one quantity."""
    total = ZERO
    for k in range(WIDE):
        total += lanes[first + k]
    return total


@njit(**KERNEL, fastmath=FUSED)
def add(line, lanes, s, x, y):
    """Add splat ``s``, centred at x, y px from the block's corner."""
    across, shear, along, opacity = -HALF * s[ACROSS], s[SHEAR], -HALF * s[ALONG], s[OPACITY]
    red, green, blue, offset = s[RED], s[GREEN], s[BLUE], s[OFFSET]
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
        line[PICTURE + 3 * WIDE + k] += w * offset
        line[PICTURE + 4 * WIDE + k] += w * nx
        line[PICTURE + 5 * WIDE + k] += w * ny
        line[PICTURE + 6 * WIDE + k] += w * nz


@njit(**KERNEL, fastmath=FUSED)
def take(line, lanes, s, x, y):
    """The way back of ``add``: the same light, and the sums for the splat into ``lanes``."""
    across, shear, along, opacity = -HALF * s[ACROSS], s[SHEAR], -HALF * s[ALONG], s[OPACITY]
    red, green, blue, offset = s[RED], s[GREEN], s[BLUE], s[OFFSET]
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
        v = red * g0 + green * g1 + blue * g2 + offset * g3 + nx * g4 + ny * g5 + nz * g6
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
def new_lanes():
    lanes = np.zeros(LANES, np.float32)
    for k in range(WIDE):
        lanes[XS + k], lanes[YS + k] = k % SIDE + 0.5, k // SIDE + 0.5
    return lanes


@njit(**KERNEL)
def place_of(row, column):
    """Block and lane of a pixel of a tile."""
    return row // SIDE * BLOCKS + column // SIDE, row % SIDE * SIDE + column % SIDE
