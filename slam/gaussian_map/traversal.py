# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Which Gaussians may be seen from some views: root voxels, nodes, cells, then Gaussians against the views' frusta."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numba import njit
from numpy.typing import NDArray

from slam import morton
from slam.gaussian_map.cells import DEEPEST, child, parent, probe
from slam.gaussian_map.leaves import DEAD, TAKEN
from slam.octree import BELOW, FIRST
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
def _least_size_px(places, x, y, z, side, within):
    """Of a cube of that side anywhere in a larger one, in the view that shows it largest."""
    size = 0.0
    for v in range(len(places)):
        dx, dy, dz = x - places[v, 0], y - places[v, 1], z - places[v, 2]
        size = max(size, places[v, 3] * side / (math.sqrt(dx * dx + dy * dy + dz * dz) + 0.866 * within))
    return size


@njit(cache=True)
def _is_seen(row, values, frustum, reach):
    means, log_scales = values
    radius = SIGMAS * math.exp(max(log_scales[row, 0], log_scales[row, 1], log_scales[row, 2]))
    return _seen(frustum[0], frustum[1], means[row, 0], means[row, 1], means[row, 2], radius, reach) > 0


@njit(cache=True)
def _list_seen(rows, row, inside, values, frustum, reach, out, n):
    """Append those of a node's Gaussians that may be seen; all of them where the node is wholly inside a view."""
    while row >= 0:
        if inside or _is_seen(row, values, frustum, reach):
            out[n] = row
            n += 1
        row = rows.following[row]
    return n


@njit(cache=True)
def visible(a, cells, rows, values, frustum, voxel, finest, reach, margin, detail_px, out):
    """Rows that may be seen, and -1 - slot in the table where one Gaussian stands for all of a cell's; their number.

    From the root voxels down the octree, whose nodes are cells too, to its leaves; in these on through the cells,
    where some of them look smaller than ``detail_px``. ``values``: means and log_scales. ``margin``: how far
    Gaussians may stick out of their cells, metres.
    """
    planes, places = frustum
    nodes, keys = np.empty(8 * DEEPEST, np.int64), np.empty(8 * DEEPEST, np.uint64)
    whole, levels = np.empty(8 * DEEPEST, np.bool_), np.empty(8 * DEEPEST, np.int64)
    n = 0
    for slot in range(len(a.slots)):
        if a.slots[slot] < 0 or a.gaussians[a.slots[slot], BELOW] == 0:
            continue
        ix, iy, iz = morton.decode(a.keys[slot])
        keys[0] = morton.encode((2 * ix + 1) << finest, (2 * iy + 1) << finest, (2 * iz + 1) << finest)
        nodes[0], whole[0], levels[0], top = a.slots[slot], False, 0, 1
        while top > 0:
            top -= 1
            node, key, inside, level = nodes[top], keys[top], whole[top], levels[top]
            x, y, z, side = _cube(key, level, voxel, finest)
            if not inside:
                seen = _seen(planes, places, x, y, z, 0.8661 * side + margin, reach)
                if seen == 0:
                    continue
                inside = seen == 2
            if detail_px > 0.0 and _size_px(places, x, y, z, side) < detail_px:
                entry = probe(cells, key)
                if cells.values[entry] < -1:
                    out[n] = -1 - entry
                    n += 1
                    continue
            first = a.gaussians[node, FIRST] if node >= 0 else -1
            if first >= 0 and (
                detail_px == 0.0 or _all_large(cells, key, places, x, y, z, side, voxel, finest, detail_px)
            ):
                n = _list_seen(rows, first, inside, values, frustum, reach, out, n)
                continue
            for octant in range(8):
                finer, below = child(key, octant), -1
                if node >= 0 and first < 0:
                    below = a.children[node, 4 * (octant & 1) + (octant & 2) + (octant >> 2)]
                    if below < 0 or a.gaussians[below, BELOW] == 0:
                        continue
                else:
                    value = cells.values[probe(cells, finer)]
                    if value > 0 and (inside or _is_seen(value - 1, values, frustum, reach)):
                        out[n] = value - 1
                        n += 1
                    if value >= 0:
                        continue
                nodes[top], keys[top], whole[top], levels[top] = below, finer, inside, level + 1
                top += 1
    return n


@njit(cache=True, inline="always")
def _cube(key, level, voxel, finest):
    """Centre and side of a cell."""
    hx, hy, hz = morton.decode(key)
    half = voxel / (1 << (finest + 1))
    return hx * half, hy * half, hz * half, voxel / (1 << level)


@njit(cache=True)
def _all_large(cells, key, places, x, y, z, side, voxel, finest, detail_px):
    """Whether no cell with several Gaussians inside this one can look smaller than ``detail_px``."""
    if cells.values[probe(cells, key)] > 0:
        return True
    return _least_size_px(places, x, y, z, 2.0 * voxel / (1 << finest), side) >= detail_px


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
        if detail_px == 0.0 or not _is_stood_for(
            cells, rows.keys[row], rows.levels[row], frustum[1], voxel, finest, detail_px
        ):
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
