# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Which Gaussians may be seen from some views: root voxels, then nodes, then Gaussians against the views' frusta."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numba import njit
from numpy.typing import NDArray

from slam import morton
from slam.gaussian_map.leaves import DEAD, TAKEN
from slam.octree import BELOW, DEPTH, FIRST
from slam.splatting import NEAR_M
from slam.splatting.view import View

DEEPEST = 32
"""Octrees are no deeper."""

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
def _list_seen(rows, row, inside, values, frustum, reach, out, n):
    """Append those of a node's Gaussians that may be seen; all of them where the node is wholly inside a view."""
    means, log_scales = values
    while row >= 0:
        radius = 0.0
        if not inside:
            radius = SIGMAS * math.exp(max(log_scales[row, 0], log_scales[row, 1], log_scales[row, 2]))
        if inside or _seen(frustum[0], frustum[1], means[row, 0], means[row, 1], means[row, 2], radius, reach) > 0:
            out[n] = row
            n += 1
        row = rows.following[row]
    return n


@njit(cache=True)
def visible(a, rows, values, frustum, voxel, reach, margin, detail_px, out):
    """Rows that may be seen, and -1 - node where one Gaussian stands for all of a node's; returns their number.

    ``values``: means and log_scales. ``margin``: how far Gaussians may stick out of their nodes, metres.
    """
    planes, places = frustum
    nodes, whole = np.empty(8 * DEEPEST, np.int64), np.empty(8 * DEEPEST, np.bool_)
    centres = np.empty((8 * DEEPEST, 3))
    n = 0
    for h in range(len(a.slots)):
        if a.slots[h] < 0 or a.gaussians[a.slots[h], BELOW] == 0:
            continue
        nodes[0], whole[0], top = a.slots[h], False, 1
        ix, iy, iz = morton.decode(a.keys[h])
        centres[0, 0], centres[0, 1], centres[0, 2] = (ix + 0.5) * voxel, (iy + 0.5) * voxel, (iz + 0.5) * voxel
        while top > 0:
            top -= 1
            node, inside, x, y, z = nodes[top], whole[top], centres[top, 0], centres[top, 1], centres[top, 2]
            side = voxel / (1 << a.meta[node, DEPTH])
            if not inside:
                seen = _seen(planes, places, x, y, z, 0.8661 * side + margin, reach)
                if seen == 0:
                    continue
                inside = seen == 2
            if detail_px > 0.0 and a.gaussians[node, BELOW] > 1 and _size_px(places, x, y, z, side) < detail_px:
                out[n] = -1 - node
                n += 1
                continue
            n = _list_seen(rows, a.gaussians[node, FIRST], inside, values, frustum, reach, out, n)
            for octant in range(8):
                child = a.children[node, octant]
                if child >= 0 and a.gaussians[child, BELOW] > 0:
                    nodes[top], whole[top] = child, inside
                    centres[top, 0] = x + (0.25 if octant & 4 else -0.25) * side
                    centres[top, 1] = y + (0.25 if octant & 2 else -0.25) * side
                    centres[top, 2] = z + (0.25 if octant & 1 else -0.25) * side
                    top += 1
    return n


@njit(cache=True)
def large_seen(a, rows, values, frustum, voxel, reach, margin, detail_px, out, n):
    """Append those that stick out of their nodes by more than ``margin`` and may be seen, some for a second time.

    Not those in leaves that appear smaller than ``detail_px``, for which others stand.
    """
    means, log_scales = values
    least = math.log(margin / SIGMAS)
    for row in range(rows.counters[TAKEN]):
        largest = max(log_scales[row, 0], log_scales[row, 1], log_scales[row, 2])
        if rows.levels[row] == DEAD or not largest > least:
            continue
        x, y, z = means[row, 0], means[row, 1], means[row, 2]
        side = voxel / (1 << a.meta[rows.nodes[row], DEPTH])
        if detail_px > 0.0 and _size_px(frustum[1], x, y, z, side) < detail_px:
            continue
        if _seen(frustum[0], frustum[1], x, y, z, SIGMAS * math.exp(largest), reach) > 0:
            out[n] = row
            n += 1
    return n


@njit(cache=True)
def subtrees(a, rows, chosen, out, groups):
    """All rows below each of the nodes, and which node's they are; returns their number."""
    nodes = np.empty(8 * DEEPEST, np.int64)
    n = 0
    for i in range(len(chosen)):
        nodes[0], top = chosen[i], 1
        while top > 0:
            top -= 1
            node = nodes[top]
            row = a.gaussians[node, FIRST]
            while row >= 0:
                out[n], groups[n] = row, i
                n += 1
                row = rows.following[row]
            for octant in range(8):
                child = a.children[node, octant]
                if child >= 0 and a.gaussians[child, BELOW] > 0:
                    nodes[top] = child
                    top += 1
    return n
