# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""LiDAR returns as a camera sees them: placed in the world, projected, the hidden ones dropped, each with a surface."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt
from scipy.spatial import cKDTree

from slam import morton
from slam.deskew import Undoing
from slam.octree import PLANE, SPLIT, STATE, PlaneMap, find
from slam.splatting.view import View

NEIGHBOURS = 8
"""Returns that decide on a surface where the map has no plane yet."""
FLAT_SHARE = 0.1
"""Their thickness against their extent below which they are one."""


@njit(cache=True)
def _place(points, bins, offset_R, offset_t, shares, rotations, translations, near2, far2, out):
    last, kept = len(rotations) - 1, 0
    for i in range(len(points)):
        a, b, c = float(points[i, 0]), float(points[i, 1]), float(points[i, 2])
        range2 = a * a + b * b + c * c
        if not math.isfinite(range2) or range2 < near2 or range2 > far2:
            continue
        k = bins[i] if len(bins) > 0 else 0
        R, t = offset_R[k], offset_t[k]
        x = R[0, 0] * a + R[0, 1] * b + R[0, 2] * c + t[0]
        y = R[1, 0] * a + R[1, 1] * b + R[1, 2] * c + t[1]
        z = R[2, 0] * a + R[2, 1] * b + R[2, 2] * c + t[2]
        n = int(shares[k] * last + 0.5)
        R, t = rotations[n], translations[n]
        out[kept, 0] = R[0, 0] * x + R[0, 1] * y + R[0, 2] * z + t[0]
        out[kept, 1] = R[1, 0] * x + R[1, 1] * y + R[1, 2] * z + t[1]
        out[kept, 2] = R[2, 0] * x + R[2, 1] * y + R[2, 2] * z + t[2]
        kept += 1
    return kept


def placed(
    points: NDArray[np.floating],
    undoing: Undoing,
    poses: tuple[NDArray[np.float64], NDArray[np.float64]],
    limits_m: tuple[float, float],
) -> NDArray[np.float64]:
    """(M, 3) of the points (N, 3, LiDAR frame) in odom, without those out of range or not finite.

    Args:
        poses: see ``Prediction.bent_to``.
    """
    out = np.empty((len(points), 3))
    near, far = limits_m
    kept = _place(
        points, undoing.bins, undoing.rotations, undoing.translations, undoing.shares, *poses, near**2, far**2, out
    )
    return out[:kept]


@dataclass(frozen=True, slots=True)
class Returns:
    """What of a scan a view shows: N returns, one a pixel at most, in the order of their pixels.

    Attributes:
        rows, columns: (N,) int32 pixels.
        depths: (N,) float32 along the optical axis, metres.
        points: (N, 3) float64, odom.
    """

    rows: NDArray[np.int32]
    columns: NDArray[np.int32]
    depths: NDArray[np.float32]
    points: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.depths)

    def nearer_than(self, depth_m: float) -> Returns:
        """Those up to a depth."""
        near = self.depths <= depth_m
        return Returns(self.rows[near], self.columns[near], self.depths[near], self.points[near])

    def distance_px(self, shape: tuple[int, int]) -> tuple[NDArray[np.float64], NDArray[np.int32]]:
        """(H, W) pixels to the nearest return, and (H, W) which one that is (0 where there is none at all)."""
        empty = np.ones(shape, np.bool_)
        empty[self.rows, self.columns] = False
        if not len(self):
            return np.full(shape, np.inf), np.zeros(shape, np.int32)
        distance, nearest = distance_transform_edt(empty, return_indices=True)  # pyright: ignore
        owner = np.full(shape, 0, np.int32)
        owner[self.rows, self.columns] = np.arange(len(self), dtype=np.int32)
        return distance, owner[tuple(nearest)]


@njit(cache=True)
def _project(points, R, t, fx, fy, cx, cy, nearest_m, depth, owner):
    """Into a z-buffer."""
    height, width = depth.shape
    for i in range(len(points)):
        x, y, z = points[i, 0], points[i, 1], points[i, 2]
        c = R[2, 0] * x + R[2, 1] * y + R[2, 2] * z + t[2]
        if c < nearest_m:
            continue
        a = R[0, 0] * x + R[0, 1] * y + R[0, 2] * z + t[0]
        b = R[1, 0] * x + R[1, 1] * y + R[1, 2] * z + t[1]
        j, k = math.floor(fx * a / c + cx + 0.5), math.floor(fy * b / c + cy + 0.5)
        if 0 <= j < width and 0 <= k < height and c < depth[k, j]:
            depth[k, j], owner[k, j] = c, i


@njit(cache=True)
def _hide(depth, owner, reach_rows, reach_columns, margin):
    """Drop returns behind a nearer one in their neighbourhood: the LiDAR looks past edges that the camera does not."""
    height, width = depth.shape
    hidden = np.zeros(depth.shape, np.bool_)
    for i in range(height):
        for j in range(width):
            if owner[i, j] < 0:
                continue
            limit = depth[i, j] / (1.0 + margin)
            for k in range(max(0, i - reach_rows), min(height, i + reach_rows + 1)):
                for m in range(max(0, j - reach_columns), min(width, j + reach_columns + 1)):
                    if depth[k, m] < limit:
                        hidden[i, j] = True
    for i in range(height):
        for j in range(width):
            if hidden[i, j]:
                owner[i, j] = -1


def seen_from(points: NDArray[np.float64], view: View, nearest_m: float = 0.5, reach_px: int = 3) -> Returns:
    """The returns (N, 3, odom) that a view shows.

    Args:
        nearest_m: nearer ones are not taken.
        reach_px: a return farther than a fifth beyond another one so near to it in the picture counts as hidden.
    """
    depth = np.full((view.height, view.width), np.inf, np.float32)
    owner = np.full(depth.shape, -1, np.int32)
    R, t, K = view.T_camera_world[:3, :3], view.T_camera_world[:3, 3], view.K
    _project(points, np.ascontiguousarray(R), t.copy(), K[0, 0], K[1, 1], K[0, 2], K[1, 2], nearest_m, depth, owner)
    _hide(depth, owner, reach_px, max(1, reach_px // 2), 0.2)
    rows, columns = np.nonzero(owner >= 0)
    return Returns(rows.astype(np.int32), columns.astype(np.int32), depth[rows, columns], points[owner[rows, columns]])


@njit(cache=True)
def _planes_at(a, points, voxel, normals, known):
    inv = 1.0 / voxel
    for i in range(len(points)):
        x, y, z = points[i, 0], points[i, 1], points[i, 2]
        ix, iy, iz = np.int64(math.floor(x * inv)), np.int64(math.floor(y * inv)), np.int64(math.floor(z * inv))
        if max(abs(ix), abs(iy), abs(iz)) >= morton.LIMIT:
            continue
        node = find(a, morton.encode(ix, iy, iz))
        cx, cy, cz, quarter = (ix + 0.5) * voxel, (iy + 0.5) * voxel, (iz + 0.5) * voxel, 0.25 * voxel
        while node >= 0 and a.meta[node, STATE] == SPLIT:
            octant = 4 * (x > cx) + 2 * (y > cy) + (z > cz)
            cx += quarter if x > cx else -quarter
            cy += quarter if y > cy else -quarter
            cz += quarter if z > cz else -quarter
            quarter *= 0.5
            node = np.int64(a.children[node, octant])
        if node < 0 or a.meta[node, STATE] != PLANE:
            continue
        p = a.planes[node]
        off = p[0] * (x - p[3]) + p[1] * (y - p[4]) + p[2] * (z - p[5])
        if abs(off) < 0.15:
            normals[i, 0], normals[i, 1], normals[i, 2] = p[0], p[1], p[2]
            known[i] = True


def surfaces(returns: Returns, plane_map: PlaneMap) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """(N, 3) unit normals in odom of the surfaces that the returns lie on, and (N,) which have one.

    The plane of the map's leaf where there is one that fits; else that of the neighbouring returns, where they are
    flat.
    """
    normals, known = np.zeros((len(returns), 3)), np.zeros(len(returns), np.bool_)
    _planes_at(plane_map.arrays, returns.points, plane_map.config.voxel_m, normals, known)
    rest = np.flatnonzero(~known)
    if len(rest) and len(returns) > NEIGHBOURS:
        _, near = cKDTree(returns.points).query(returns.points[rest], NEIGHBOURS)
        offsets = returns.points[near] - returns.points[near].mean(axis=1, keepdims=True)
        values, axes = np.linalg.eigh(offsets.transpose(0, 2, 1) @ offsets / NEIGHBOURS)
        flat = values[:, 0] < FLAT_SHARE**2 * values[:, 2]
        normals[rest], known[rest] = axes[:, :, 0], flat & (values[:, 1] > 4.0 * values[:, 0])
    return normals, known


@njit(cache=True)
def _complete(
    distance, owner, depths, points, normals, known, R, t, rays_x, rays_y, reach_px, most_change, out, normal
):
    """Depth of each pixel by the plane of its nearest return; 0 where there is none near enough."""
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            k = owner[i, j]
            if distance[i, j] > reach_px or not known[k]:
                continue
            n, p = normals[k], points[k]
            nx = R[0, 0] * n[0] + R[0, 1] * n[1] + R[0, 2] * n[2]
            ny = R[1, 0] * n[0] + R[1, 1] * n[1] + R[1, 2] * n[2]
            nz = R[2, 0] * n[0] + R[2, 1] * n[1] + R[2, 2] * n[2]
            x = R[0, 0] * p[0] + R[0, 1] * p[1] + R[0, 2] * p[2] + t[0]
            y = R[1, 0] * p[0] + R[1, 1] * p[1] + R[1, 2] * p[2] + t[1]
            z = R[2, 0] * p[0] + R[2, 1] * p[1] + R[2, 2] * p[2] + t[2]
            slope = nx * rays_x[j] + ny * rays_y[i] + nz
            offset = nx * x + ny * y + nz * z
            if abs(slope) < 1e-6:
                continue
            depth = offset / slope
            if depth < 0.0 or abs(depth / depths[k] - 1.0) > most_change:
                continue
            out[i, j] = depth
            sign = -1.0 if offset > 0.0 else 1.0
            normal[i, j, 0], normal[i, j, 1], normal[i, j, 2] = sign * nx, sign * ny, sign * nz


def completed(
    returns: Returns, plane_map: PlaneMap, view: View, reach_px: float, most_change: float = 0.3
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float64]]:
    """Depth between the returns, along the surface of the nearest one.

    Args:
        reach_px: farther from a return nothing is known.
        most_change: nor where the surface would lie so much (as a share) nearer or farther than the return.

    Returns:
        (H, W) float32 depth, metres, 0 where unknown; (H, W, 3) float32 normals in the camera frame, towards it; and
        (H, W) float64 pixels to the nearest return.
    """
    shape = (view.height, view.width)
    depth, normal = np.zeros(shape, np.float32), np.zeros((*shape, 3), np.float32)
    distance, owner = returns.distance_px(shape)
    if len(returns):
        normals, known = surfaces(returns, plane_map)
        R, t, K = view.T_camera_world[:3, :3], view.T_camera_world[:3, 3], view.K
        rays_x, rays_y = (np.arange(view.width) - K[0, 2]) / K[0, 0], (np.arange(view.height) - K[1, 2]) / K[1, 1]
        _complete(
            distance, owner, returns.depths, returns.points, normals, known, np.ascontiguousarray(R), t.copy(),
            rays_x, rays_y, reach_px, most_change, depth, normal,
        )  # fmt: skip
    return depth, normal, distance
