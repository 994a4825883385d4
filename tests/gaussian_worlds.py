# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Gaussians and views for the tests of the Gaussian map, and a plain count of what a map holds."""

from __future__ import annotations

from collections import Counter

import numpy as np

from slam import morton
from slam.gaussian_map.leaves import DEAD, TAKEN
from slam.gaussian_map.map_config import GaussianMapConfig
from slam.gaussian_map.store import GaussianMap
from slam.octree import SPLIT, STATE, PlaneMap, find
from slam.odometry_config import MapConfig
from slam.splatting.gaussians import Gaussians
from slam.splatting.view import View

VOXEL = 1.0
LEVELS = GaussianMapConfig(min_level=2, max_level=5)


def planes(**settings):
    """An empty plane map of voxels of one metre."""
    return PlaneMap(MapConfig(voxel_m=VOXEL, max_depth=2, **settings), 256)


def empty_map(config=LEVELS, regions=None, **settings):
    return GaussianMap(planes(**settings), config, regions)


def some(points, seed=0, sigma=(0.1, 0.08, 0.01), coefficients=1):
    """Gaussians at these points with random axes and colours."""
    rng, out = np.random.default_rng(seed), Gaussians.zeros(len(points), coefficients)
    out.means[:] = points
    out.quats[:] = rng.normal(size=out.quats.shape)
    out.quats[:] /= np.linalg.norm(out.quats, axis=1, keepdims=True)
    out.log_scales[:] = np.log(sigma)
    out.logits[:] = rng.uniform(-1.0, 3.0, len(points))
    out.harmonics[:] = rng.normal(size=out.harmonics.shape)
    return out


def looking(position=(0.0, 0.0, 0.0), yaw=0.0, focal=200.0, size=(160, 120)):
    """A view along x, turned by ``yaw`` about z."""
    c, s = np.cos(yaw), np.sin(yaw)
    R = np.array([[s, -c, 0.0], [0.0, 0.0, -1.0], [c, s, 0.0]])
    T = np.eye(4)
    T[:3, :3], T[:3, 3] = R, -R @ np.asarray(position, float)
    K = np.array([[focal, 0.0, size[0] / 2 - 0.5], [0.0, focal, size[1] / 2 - 0.5], [0.0, 0.0, 1.0]])
    return View(*size, K, T)


def same(a: Gaussians, b: Gaussians) -> bool:
    return all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


def sorted_by_mean(gaussians: Gaussians) -> Gaussians:
    return gaussians.take(np.lexsort(gaussians.means.T))


def cells_of(gaussian_map: GaussianMap, rows=None) -> list[tuple[int, int, int, int]]:
    """(level, x, y, z) of each row's cell, from its key by hand."""
    rows = gaussian_map.rows_in_memory() if rows is None else rows
    finest, out = gaussian_map.config.max_level, []
    for row in rows:
        halves, level = morton.decode(gaussian_map.keys[row]), int(gaussian_map.levels[row])
        out.append((level, *(int(h) >> (finest - level + 1) for h in halves)))
    return out


def assert_sound(gaussian_map: GaussianMap) -> None:
    """Every Gaussian hangs on the leaf of its cell, once; cells count what lies inside them."""
    gaussian_map.settle()
    a, rows = gaussian_map.plane_map.arrays, gaussian_map.rows_in_memory()
    taken = Counter()
    for row, (level, *index) in zip(rows.tolist(), cells_of(gaussian_map), strict=True):
        centre = (np.array(index) + 0.5) / 2**level
        node = find(a, np.uint64(morton.encode(*np.floor(centre).astype(int).tolist())))
        corner, side = np.floor(centre), 1.0
        while a.meta[node, STATE] == SPLIT:
            side /= 2
            octant = [int(centre[k] > corner[k] + side) for k in range(3)]
            corner = corner + side * np.array(octant)
            node = int(a.children[node, 4 * octant[0] + 2 * octant[1] + octant[2]])
        assert node == gaussian_map.nodes[row]
        taken.update((coarser, *(i >> (level - coarser) for i in index)) for coarser in range(level + 1))
    assert all(taken[cell] == 1 for cell in cells_of(gaussian_map))
    assert sorted(_hanging(gaussian_map)) == rows.tolist()
    table = gaussian_map._storage.cells
    inside = taken - Counter(cells_of(gaussian_map))
    assert table.counters[0] == len(taken) == (table.values != 0).sum()
    assert sorted(-table.values[table.values < 0]) == sorted(inside.values())
    assert gaussian_map._storage.rows.counters[TAKEN] <= gaussian_map.capacity
    assert len(gaussian_map) == len(rows) == (gaussian_map.levels != DEAD).sum() == (gaussian_map.births >= 0).sum()


def _hanging(gaussian_map: GaussianMap) -> list[int]:
    a, links, found = gaussian_map.plane_map.arrays, gaussian_map._storage.rows, []
    for node in set(gaussian_map.nodes[gaussian_map.rows_in_memory()].tolist()):
        row, before = int(a.heads[node]), -1
        while row >= 0:
            assert links.previous[row] == before
            found.append(row)
            row, before = int(links.following[row]), row
    return found
