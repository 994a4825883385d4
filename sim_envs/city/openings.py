# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Windows, shop windows and signs: what is seen in and through them. Compiled, for shading."""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from sim_envs.city.noise import fractal, lattice


@njit(cache=True, fastmath=True)
def window(
    s: float, t: float, w: float, h: float, x: float, y: float, z: float, pixel: float, out: NDArray[np.float64]
) -> float:
    """Colour of a house window into ``out`` (3,); returns how much of the sky it mirrors, 0 to 1."""
    if _frame(s, t, w, h, 0.07, 2.0, 2.0 if h > 1.2 else 1.0):
        tone = 0.72 + 0.05 * fractal(x, y, z, 0.2, 5, pixel)
        out[0], out[1], out[2] = tone, tone, 0.96 * tone
        return 0.0
    # The hash must not change within the window: its middle tells windows apart.
    key = lattice(math.floor(x - (s - 0.5) * 0.2), math.floor(y), math.floor(z + (0.5 - t) * h))
    drape = 0.12 + 0.30 * key
    curtain = s < drape or s > 1.0 - drape
    if curtain and key > 0.3:
        fold = 0.5 + 0.14 * math.sin(95.0 * s * w) + 0.06 * fractal(x, y, z, 0.1, 4, pixel)
        out[0], out[1], out[2] = fold, fold * (0.80 + 0.2 * key), fold * (0.95 - 0.3 * key)
        return 0.25
    dark = 0.05 + 0.04 * (1.0 - t) + 0.015 * fractal(x, y, z, 0.6, 6, pixel)
    out[0], out[1], out[2] = dark, 1.05 * dark, 1.15 * dark
    return 0.45


@njit(cache=True, fastmath=True)
def shop_window(
    s: float, t: float, w: float, h: float, x: float, y: float, z: float, pixel: float, out: NDArray[np.float64]
) -> float:
    """Colour of a shop window with goods on display into ``out`` (3,); returns how much it mirrors."""
    if _frame(s, t, w, h, 0.06, max(1.0, math.floor(w / 1.3)), 1.0):
        tone = 0.25 + 0.03 * fractal(x, y, z, 0.2, 5, pixel)
        out[0], out[1], out[2] = tone, tone, tone
        return 0.0
    across, up = s * w, t * h
    cell = math.floor(across / 0.32)
    tall = 0.25 + 0.6 * lattice(cell, math.floor(x + y), 1)
    glow = 0.30 + 0.10 * t + 0.04 * fractal(x, y, z, 0.5, 6, pixel)
    if up < tall and abs(across / 0.32 - cell - 0.5) < 0.38:
        shade = 0.6 + 0.25 * fractal(x, y, z, 0.12, 4, pixel)
        for k in range(3):
            out[k] = shade * (0.10 + 0.65 * lattice(cell, k, math.floor(x - y) + 40))
        return 0.12
    shelf = 0.5 if abs(up - 1.15) < 0.03 else 1.0
    out[0], out[1], out[2] = shelf * glow, 0.85 * shelf * glow, 0.62 * shelf * glow
    return 0.2


@njit(cache=True, fastmath=True)
def letter(tag: int, s: float, t: float, pixels: NDArray[np.uint8], starts: NDArray[np.int64], spread: float) -> float:
    """How much of a sign is covered by its letters at (s, t), averaged over ``spread`` of its height."""
    first, last = starts[tag], starts[tag + 1]
    rows, columns = pixels.shape[0], last - first
    reach = min(6, int(0.5 * spread * rows))
    column, row = int(s * columns), int((1.0 - t) * rows)
    total, count = 0.0, 0
    for dr in range(-reach, reach + 1):
        for dc in range(-reach, reach + 1):
            r, c = row + dr, column + dc
            count += 1
            if 0 <= r < rows and 0 <= c < columns:
                total += pixels[r, first + c]
    return total / (255.0 * count)


@njit(cache=True, fastmath=True)
def _frame(s: float, t: float, w: float, h: float, width: float, across: float, up: float) -> bool:
    """Whether (s, t) is on the frame or a bar of a window divided into ``across`` x ``up`` panes."""
    a, b = s * across, t * up
    a, b = a - math.floor(a), b - math.floor(b)
    bar = 0.55 * width
    edge = min(s, 1.0 - s) * w < width or min(t, 1.0 - t) * h < width
    return edge or min(a, 1.0 - a) * w / across < 0.5 * bar or min(b, 1.0 - b) * h / up < 0.5 * bar
