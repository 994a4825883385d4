# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Which Gaussians may be seen from some views: root voxels, then cells, then Gaussians against the views' frusta."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numba import njit
from numpy.typing import NDArray

from slam import morton
from slam.gaussian_map.cells import DEEPEST, child, parent, probe, voxel_key
from slam.gaussian_map.leaves import DEAD, TAKEN
from slam.splatting import NEAR_M
from slam.splatting.view import View

SIGMAS = 3.33
"""A Gaussian ends so many standard deviations from its mean: there, alpha falls below 1 / 255 from the largest."""


def frusta(views: Sequence[View]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Planes (V, 5, 4) that bound what is in front of the cameras, n . x + d >= 0 inside with unit n, and (V, 4)
    positions and focal lengths in pixels."""
    planes, places = np.empty((len(views), 5, 4)), np.empty((len(views), 4))
    for view, p, place in zip(views, planes, places, strict=True):
        fx, fy, cx, cy = view.K[0, 0], view.K[1, 1], view.K[0, 2] + 0.5, view.K[1, 2] + 0.5
        inward = np.array(
            [[0, 0, 1], [fx, 0, cx], [-fx, 0, view.width - cx], [0, fy, cy], [0, -fy, view.height - cy]], np.float64
        )
        inward /= np.linalg.norm(inward, axis=1, keepdims=True)
        R, t = view.T_camera_world[:3, :3], view.T_camera_world[:3, 3]
        p[:, :3], p[:, 3] = inward @ R, inward @ t
        p[0, 3] -= NEAR_M
        place[:3], place[3] = view.position, max(fx, fy)
    return planes, places


@njit(cache=True)
def _seen(planes, places, x, y, z, radius, reach):
    """Of a sphere: 0 in no view, 1 perhaps, 2 wholly within one."""
    best = 0
    for v in range(len(planes)):
        dx, dy, dz = x - places[v, 0], y - places[v, 1], z - places[v, 2]
        d2 = dx * dx + dy * dy + dz * dz
        if d2 > (reach + radius) ** 2:
            continue
        least = reach - math.sqrt(d2)
        for k in range(5):
            p = planes[v, k]
            least = min(least, p[0] * x + p[1] * y + p[2] * z + p[3])
        if least >= radius:
            return 2
        if least >= -radius:
            best = 1
    return best


@njit(cache=True)
def _size_px(places, x, y, z, side):
    """Of a cube, in the view that shows it largest."""
    size = 0.0
    for v in range(len(places)):
        dx, dy, dz = x - places[v, 0], y - places[v, 1], z - places[v, 2]
        distance = max(math.sqrt(dx * dx + dy * dy + dz * dz) - 0.866 * side, 1e-9)
        size = max(size, places[v, 3] * side / distance)
    return size


@njit(cache=True)
def _is_seen(row, values, frustum, reach):
    means, log_scales = values
    radius = SIGMAS * math.exp(max(log_scales[row, 0], log_scales[row, 1], log_scales[row, 2]))
    return _seen(frustum[0], frustum[1], means[row, 0], means[row, 1], means[row, 2], radius, reach) > 0


@njit(cache=True)
def visible(a, cells, values, frustum, voxel, finest, reach, margin, detail_px, out):
    """Rows that may be seen, and -1 - slot in the table where one Gaussian stands for all of a cell's; their number.

    ``values``: means and log_scales. ``margin``: how far Gaussians may stick out of their cells, metres.
    """
    planes, places = frustum
    entries, levels = np.empty(8 * DEEPEST, np.int64), np.empty(8 * DEEPEST, np.int64)
    whole = np.empty(8 * DEEPEST, np.bool_)
    n = 0
    for slot in range(len(a.slots)):
        if a.slots[slot] < 0:
            continue
        ix, iy, iz = morton.decode(a.keys[slot])
        entries[0], levels[0], whole[0] = probe(cells, voxel_key(ix, iy, iz, finest)), 0, False
        top = 1 if cells.values[entries[0]] != 0 else 0
        while top > 0:
            top -= 1
            entry, level, inside = entries[top], levels[top], whole[top]
            key, value = cells.keys[entry], cells.values[entry]
            if value > 0:
                if inside or _is_seen(value - 1, values, frustum, reach):
                    out[n] = value - 1
                    n += 1
                continue
            x, y, z, side = _cube(key, level, voxel, finest)
            if not inside:
                seen = _seen(planes, places, x, y, z, 0.8661 * side + margin, reach)
                if seen == 0:
                    continue
                inside = seen == 2
            if value < -1 and _size_px(places, x, y, z, side) < detail_px:
                out[n] = -1 - entry
                n += 1
                continue
            for octant in range(8):
                finer = probe(cells, child(key, octant))
                if cells.values[finer] != 0:
                    entries[top], levels[top], whole[top] = finer, level + 1, inside
                    top += 1
    return n


@njit(cache=True, inline="always")
def _cube(key, level, voxel, finest):
    """Centre and side of a cell."""
    hx, hy, hz = morton.decode(key)
    half = voxel / (1 << (finest + 1))
    return hx * half, hy * half, hz * half, voxel / (1 << level)


@njit(cache=True)
def large_seen(cells, rows, values, frustum, voxel, finest, reach, margin, detail_px, out, n):
    """Append those that stick out of their cells by more than ``margin`` and may be seen, some for a second time.

    Not those for which others stand.
    """
    log_scales = values[1]
    least = math.log(margin / SIGMAS)
    for row in range(rows.counters[TAKEN]):
        largest = max(log_scales[row, 0], log_scales[row, 1], log_scales[row, 2])
        if rows.levels[row] == DEAD or not largest > least or not _is_seen(row, values, frustum, reach):
            continue
        if not _is_stood_for(cells, rows.keys[row], rows.levels[row], frustum[1], voxel, finest, detail_px):
            out[n] = row
            n += 1
    return n


@njit(cache=True)
def _is_stood_for(cells, key, level, places, voxel, finest, detail_px):
    """Whether a coarser cell around this one looks smaller than ``detail_px``, and holds several."""
    while level > 0:
        key, level = parent(key), level - 1
        x, y, z, side = _cube(key, level, voxel, finest)
        if cells.values[probe(cells, key)] < -1 and _size_px(places, x, y, z, side) < detail_px:
            return True
    return False
