# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""The plane map: voxels in a hash table by Morton key, each the root of an adaptive octree of planes.

A leaf keeps running sums of the points that fell into it; when they fit a plane the leaf is one, else it
splits, down to a depth (VoxelMap, Yuan et al. 2022, section III). Adding a point costs O(depth). The arrays are
flat so that compiled kernels, and later the GPU, share them; ``PlaneMap`` owns them and lets them grow.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit, uint64
from numpy.typing import NDArray

from slam import eigen, morton
from slam.odometry_config import MapConfig

OPEN, PLANE, SPLIT, CLUTTER = 0, 1, 2, 3
"""States of a node: collecting points; a plane; split into children; no plane at the last depth."""

STATE, DEPTH, SEEN, NEXT_FIT = 0, 1, 2, 3
"""Columns of ``meta``."""

NORMAL, CENTRE, TANGENT, BITANGENT, VARIANCE, TILT1, TILT2, REACH2 = 0, 3, 6, 9, 12, 13, 14, 15
"""Columns of ``planes``: unit normal, centre (odom, m), unit in-plane axes, variance of the centre along the normal
(m^2), variance of the tilt about each in-plane axis (rad^2), squared gate on in-plane distance (m^2)."""

USED, FREE, ROOTS, CURSOR, ORPHANS, NEWEST = 0, 1, 2, 3, 4, 5
"""Columns of ``counters``: nodes ever taken, released ones, root voxels, where the sweep stands, lists of Gaussians
whose nodes were released, and the number of the last scan."""


class Arrays(NamedTuple):
    """The map's storage. H is the hash capacity (a power of two), C the node capacity."""

    keys: NDArray[np.uint64]  # (H,)
    slots: NDArray[np.int32]  # (H,) node of the root voxel, -1 where empty
    children: NDArray[np.int32]  # (C, 8), -1 where absent
    meta: NDArray[np.int32]  # (C, 4)
    moments: NDArray[np.float64]  # (C, 10): n, sum x y z, sum xx xy xz yy yz zz, about the root voxel's centre
    planes: NDArray[np.float64]  # (C, 16)
    free: NDArray[np.int32]  # (C,) stack of released nodes
    heads: NDArray[np.int32]  # (C,) first of the node's Gaussians or -1; slam.gaussian_map alone fills it
    orphans: NDArray[np.int32]  # (C,) stack of first Gaussians, one for each node that was released with some
    counters: NDArray[np.int64]  # (6,)


class Rules(NamedTuple):
    """What the kernels need of the configuration."""

    voxel: float
    max_depth: int
    min_points: int
    max_points: int
    max_thickness2: float
    noise2: float


@njit(cache=True, inline="always")
def find(a, key):
    """Node of the root voxel with this key, or -1."""
    mask = uint64(len(a.keys) - 1)
    h = morton.mix(key) & mask
    while a.slots[h] >= 0:
        if a.keys[h] == key:
            return np.int64(a.slots[h])
        h = (h + uint64(1)) & mask
    return np.int64(-1)


@njit(cache=True)
def new_node(a, depth, seen, min_points):
    """An empty leaf. Needs room for it."""
    if a.counters[FREE] > 0:
        a.counters[FREE] -= 1
        node = np.int64(a.free[a.counters[FREE]])
    else:
        node = a.counters[USED]
        a.counters[USED] += 1
    a.children[node, :] = -1
    a.moments[node, :] = 0.0
    a.heads[node] = -1
    a.meta[node, STATE], a.meta[node, DEPTH], a.meta[node, SEEN], a.meta[node, NEXT_FIT] = OPEN, depth, seen, min_points
    return node


@njit(cache=True)
def find_or_add(a, key, seen, min_points):
    """Node of the root voxel with this key, made where there is none. Needs room for it."""
    mask = uint64(len(a.keys) - 1)
    h = morton.mix(key) & mask
    while a.slots[h] >= 0:
        if a.keys[h] == key:
            return np.int64(a.slots[h])
        h = (h + uint64(1)) & mask
    node = new_node(a, 0, seen, min_points)
    a.keys[h], a.slots[h] = key, node
    a.counters[ROOTS] += 1
    return node


@njit(cache=True)
def _store_plane(a, node, low, mid, high, cov, mean, origin, rules):
    """Plane of a leaf; tilt variances by first-order perturbation of the eigenvectors (Anderson 1963, theorem 1)."""
    n = a.moments[node, 0]
    nx, ny, nz = eigen.eigenvector(cov[0], cov[1], cov[2], cov[3], cov[4], cov[5], low)
    tx, ty, tz = eigen.eigenvector(cov[0], cov[1], cov[2], cov[3], cov[4], cov[5], high)
    if nx * nx + ny * ny + nz * nz < 0.5 or tx * tx + ty * ty + tz * tz < 0.5:
        return False
    p = a.planes[node]
    p[0], p[1], p[2] = nx, ny, nz
    p[3], p[4], p[5] = mean[0] + origin[0], mean[1] + origin[1], mean[2] + origin[2]
    p[6], p[7], p[8] = tx, ty, tz
    p[9], p[10], p[11] = ny * tz - nz * ty, nz * tx - nx * tz, nx * ty - ny * tx
    noise = max(low, rules.noise2)
    p[VARIANCE] = noise / n
    p[TILT1] = noise * high / (n * max(high - low, 1e-12) ** 2)
    p[TILT2] = noise * mid / (n * max(mid - low, 1e-12) ** 2)
    p[REACH2] = 9.0 * high
    return True


@njit(cache=True)
def _fit(a, node, origin, rules):
    """Decide what the leaf is, from its running sums."""
    m = a.moments[node]
    inv = 1.0 / m[0]
    mean = (m[1] * inv, m[2] * inv, m[3] * inv)
    cov = (
        m[4] * inv - mean[0] * mean[0],
        m[5] * inv - mean[0] * mean[1],
        m[6] * inv - mean[0] * mean[2],
        m[7] * inv - mean[1] * mean[1],
        m[8] * inv - mean[1] * mean[2],
        m[9] * inv - mean[2] * mean[2],
    )
    low, mid, high = eigen.eigenvalues(cov[0], cov[1], cov[2], cov[3], cov[4], cov[5])
    flat = low < rules.max_thickness2
    if flat and mid > 3.0 * max(low, 0.25 * rules.noise2):
        if _store_plane(a, node, max(low, 0.0), mid, high, cov, mean, origin, rules):
            a.meta[node, STATE] = PLANE
    elif not flat:
        a.meta[node, STATE] = SPLIT if a.meta[node, DEPTH] < rules.max_depth else CLUTTER
    a.meta[node, NEXT_FIT] = np.int32(1.5 * m[0] + 1.0)


@njit(cache=True)
def insert(a, points, rotations, translations, seen, rules):
    """Add points to the map. Needs room for N new nodes and roots.

    ``points`` (N, >=3) are placed by rotations[k], translations[k] of K, where k is column 3 in K - 1 steps.
    """
    last = len(rotations) - 1
    inv = 1.0 / rules.voxel
    origin = np.empty(3)
    for i in range(len(points)):
        px, py, pz = points[i, 0], points[i, 1], points[i, 2]
        k = np.int64(points[i, 3] * last + 0.5) if last > 0 else 0
        R, t = rotations[k], translations[k]
        x = R[0, 0] * px + R[0, 1] * py + R[0, 2] * pz + t[0]
        y = R[1, 0] * px + R[1, 1] * py + R[1, 2] * pz + t[1]
        z = R[2, 0] * px + R[2, 1] * py + R[2, 2] * pz + t[2]
        ix, iy, iz = np.int64(math.floor(x * inv)), np.int64(math.floor(y * inv)), np.int64(math.floor(z * inv))
        if max(abs(ix), abs(iy), abs(iz)) >= morton.LIMIT:
            continue
        node = find_or_add(a, morton.encode(ix, iy, iz), seen, rules.min_points)
        a.meta[node, SEEN] = seen
        origin[0], origin[1], origin[2] = (ix + 0.5) * rules.voxel, (iy + 0.5) * rules.voxel, (iz + 0.5) * rules.voxel
        x, y, z = x - origin[0], y - origin[1], z - origin[2]
        cx, cy, cz, quarter = 0.0, 0.0, 0.0, 0.25 * rules.voxel
        while a.meta[node, STATE] == SPLIT:
            octant = 4 * (x > cx) + 2 * (y > cy) + (z > cz)
            cx += quarter if x > cx else -quarter
            cy += quarter if y > cy else -quarter
            cz += quarter if z > cz else -quarter
            quarter *= 0.5
            child = a.children[node, octant]
            if child < 0:
                child = new_node(a, a.meta[node, DEPTH] + 1, seen, rules.min_points)
                a.children[node, octant] = child
            node = np.int64(child)
        m = a.moments[node]
        if m[0] >= rules.max_points:
            continue
        m[0] += 1.0
        m[1] += x
        m[2] += y
        m[3] += z
        m[4] += x * x
        m[5] += x * y
        m[6] += x * z
        m[7] += y * y
        m[8] += y * z
        m[9] += z * z
        if m[0] >= a.meta[node, NEXT_FIT]:
            _fit(a, node, origin, rules)


@njit(cache=True)
def _release(a, node):
    for octant in range(8):
        child = a.children[node, octant]
        if child >= 0:
            _release(a, np.int64(child))
    if a.heads[node] >= 0:
        a.orphans[a.counters[ORPHANS]] = a.heads[node]
        a.counters[ORPHANS] += 1
    a.heads[node] = -1
    a.free[a.counters[FREE]] = node
    a.counters[FREE] += 1


@njit(cache=True)
def _close_gap(a, gap):
    """Backward-shift deletion: later entries of the probe chain move up, so that no tombstones remain."""
    mask = len(a.keys) - 1
    a.slots[gap] = -1
    j = (gap + 1) & mask
    while a.slots[j] >= 0:
        home = np.int64(morton.mix(a.keys[j]) & uint64(mask))
        if ((j - home) & mask) >= ((j - gap) & mask):
            a.keys[gap], a.slots[gap] = a.keys[j], a.slots[j]
            a.slots[j] = -1
            gap = j
        j = (j + 1) & mask


@njit(cache=True)
def sweep(a, count, position, reach, oldest, voxel):
    """Look at the next ``count`` hash entries; drop voxels beyond ``reach`` metres or last seen before ``oldest``."""
    h = a.counters[CURSOR]
    for _ in range(count):
        h = (h + 1) & (len(a.keys) - 1)
        while a.slots[h] >= 0:
            ix, iy, iz = morton.decode(a.keys[h])
            dx = (ix + 0.5) * voxel - position[0]
            dy = (iy + 0.5) * voxel - position[1]
            dz = (iz + 0.5) * voxel - position[2]
            if dx * dx + dy * dy + dz * dz <= reach * reach and a.meta[a.slots[h], SEEN] >= oldest:
                break
            _release(a, np.int64(a.slots[h]))
            a.counters[ROOTS] -= 1
            _close_gap(a, h)
    a.counters[CURSOR] = h


@njit(cache=True)
def _rehash(old_keys, old_slots, keys, slots):
    mask = uint64(len(keys) - 1)
    for i in range(len(old_keys)):
        if old_slots[i] >= 0:
            h = morton.mix(old_keys[i]) & mask
            while slots[h] >= 0:
                h = (h + uint64(1)) & mask
            keys[h], slots[h] = old_keys[i], old_slots[i]


@njit(cache=True)
def _collect_planes(a, rows):
    """Nodes that are planes, reached from the live roots; returns their number."""
    stack = np.empty(512, np.int64)
    n = 0
    for h in range(len(a.slots)):
        if a.slots[h] < 0:
            continue
        stack[0], top = a.slots[h], 1
        while top > 0:
            top -= 1
            node = stack[top]
            if a.meta[node, STATE] == PLANE:
                rows[n] = node
                n += 1
            elif a.meta[node, STATE] == SPLIT:
                for octant in range(8):
                    if a.children[node, octant] >= 0:
                        stack[top] = a.children[node, octant]
                        top += 1
    return n


def _grown(array: NDArray, capacity: int) -> NDArray:
    out = np.zeros((capacity, *array.shape[1:]), array.dtype)
    out[: len(array)] = array
    return out


class PlaneMap:
    """The map of one segment, in odom.

    Attributes:
        arrays: the storage that kernels read.
        rules: thresholds for the kernels.
    """

    def __init__(self, config: MapConfig, capacity: int = 1 << 15) -> None:
        self.config = config
        self.rules = Rules(
            config.voxel_m,
            config.max_depth,
            config.min_points,
            config.max_points,
            config.max_thickness_m**2,
            config.noise_m**2,
        )
        table = 1 << (2 * capacity - 1).bit_length()
        self.arrays = Arrays(
            keys=np.zeros(table, np.uint64),
            slots=np.full(table, -1, np.int32),
            children=np.zeros((capacity, 8), np.int32),
            meta=np.zeros((capacity, 4), np.int32),
            moments=np.zeros((capacity, 10)),
            planes=np.zeros((capacity, 16)),
            free=np.zeros(capacity, np.int32),
            heads=np.zeros(capacity, np.int32),
            orphans=np.zeros(capacity, np.int32),
            counters=np.zeros(6, np.int64),
        )

    def __len__(self) -> int:
        """Number of root voxels."""
        return int(self.arrays.counters[ROOTS])

    @property
    def nbytes(self) -> int:
        """Bytes held by the arrays."""
        return sum(array.nbytes for array in self.arrays)

    def insert(self, points: NDArray[np.float64], R: NDArray[np.float64], t: NDArray[np.float64], seen: int) -> None:
        """Add (N, 3) points of a sensor frame placed in odom by R (3, 3), t (3,); ``seen`` is the scan's number."""
        self.insert_bent(points, (R[None], t[None]), seen)

    def insert_bent(
        self, points: NDArray[np.float64], poses: tuple[NDArray[np.float64], NDArray[np.float64]], seen: int
    ) -> None:
        """Add (N, 4) points x, y, z, share, each placed by the pose of its share; see ``slam.deskew.bend``."""
        self.make_room(len(points))
        self.arrays.counters[NEWEST] = seen
        insert(self.arrays, points, *poses, seen, self.rules)

    def forget(self, position: NDArray[np.float64], seen: int) -> None:
        """Drop what is out of reach of ``position`` or too old, a share of the table at each call."""
        self.arrays.counters[NEWEST] = seen
        share = max(1, len(self.arrays.keys) // self.config.sweep_scans)
        oldest = seen - self.config.max_age_scans
        sweep(self.arrays, share, position, self.config.reach_m, oldest, self.config.voxel_m)

    def planes(self) -> NDArray[np.float64]:
        """(M, 16) float64 rows of all planes; see the column names of this module."""
        rows = np.empty(int(self.arrays.counters[USED]), np.int64)
        return self.arrays.planes[rows[: _collect_planes(self.arrays, rows)]]

    def restore(self, tensors: dict[str, NDArray]) -> None:
        """Take over the nodes and root voxels that another map stored, without Gaussians; see ``slam.map_store``."""
        a = self.arrays
        a.heads[:] = -1
        for name in ("children", "meta", "moments", "planes", "free"):
            getattr(a, name)[: len(tensors[name])] = tensors[name]
        _rehash(tensors["keys"], tensors["slots"], a.keys, a.slots)
        a.counters[[USED, FREE, ROOTS]] = len(tensors["meta"]), len(tensors["free"]), len(tensors["keys"])

    def make_room(self, points: int) -> None:
        """Let the storage grow, where need be, to hold one more node and root voxel for each of so many points."""
        a = self.arrays
        if a.counters[USED] - a.counters[FREE] + points > len(a.meta):
            capacity = max(2 * len(a.meta), int(a.counters[USED]) + points)
            nodes = ("children", "meta", "moments", "planes", "free", "heads", "orphans")
            a = a._replace(**{name: _grown(getattr(a, name), capacity) for name in nodes})
        while 2 * (a.counters[ROOTS] + points) > len(a.keys):
            keys, slots = np.zeros(2 * len(a.keys), np.uint64), np.full(2 * len(a.keys), -1, np.int32)
            _rehash(a.keys, a.slots, keys, slots)
            a = a._replace(keys=keys, slots=slots)
        self.arrays = a
