# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from slam.octree import CENTRE, FREE, NORMAL, TILT1, TILT2, USED, VARIANCE, PlaneMap
from slam.odometry_config import MapConfig

HERE = np.eye(3), np.zeros(3)


def metre(max_depth=2, **settings):
    """A map of voxels of one metre."""
    return MapConfig(voxel_m=1.0, max_depth=max_depth, **settings)


def wall(rng, count=400, noise=0.01, origin=(0.0, 0.0, 0.0), size=1.0):
    """Points on a tilted square patch."""
    uv = rng.uniform(0.0, size, (count, 2))
    points = np.column_stack([uv[:, 0], uv[:, 1], 0.3 + 0.2 * uv[:, 0] + rng.normal(0, noise, count)])
    return points + origin


def test_a_patch_becomes_one_plane_with_its_normal_and_centre():
    rng, plane_map = np.random.default_rng(0), PlaneMap(metre(max_points=1000))
    points = wall(rng)
    for part in np.array_split(points, 10):
        plane_map.insert(part, *HERE, 0)
    (plane,) = plane_map.planes()
    normal = np.array([-0.2, 0.0, 1.0]) / np.hypot(1.0, 0.2)
    assert abs(plane[NORMAL : NORMAL + 3] @ normal) > 0.9999
    assert np.linalg.norm(plane[CENTRE : CENTRE + 3] - points.mean(0)) < 0.05


def test_an_edge_splits_until_its_sides_are_planes():
    rng, plane_map = np.random.default_rng(0), PlaneMap(metre())
    floor = np.column_stack([rng.uniform(0, 1, (4000, 2)), rng.normal(0.1, 0.005, 4000)])
    side = np.column_stack([rng.normal(0.6, 0.005, 4000), rng.uniform(0, 1, (4000, 2))])
    plane_map.insert(rng.permutation(np.vstack([floor, side])), *HERE, 0)
    normals = np.abs(plane_map.planes()[:, NORMAL : NORMAL + 3])
    assert len(normals) > 2
    assert (normals[:, 0] > 0.99).any() and (normals[:, 2] > 0.99).any()


def test_leaves_do_not_split_past_the_configured_depth():
    rng = np.random.default_rng(0)
    cloud = rng.uniform(0, 1, (20_000, 3))
    for depth, most in ((0, 1), (1, 9), (2, 73)):
        plane_map = PlaneMap(metre(max_depth=depth))
        plane_map.insert(cloud, *HERE, 0)
        assert plane_map.arrays.counters[USED] <= most


@pytest.mark.parametrize("count", [20, 80])
def test_the_covariance_of_a_plane_is_what_repeated_fits_scatter(count):
    rng, noise = np.random.default_rng(0), 0.02
    fits, claims = [], []
    for _ in range(400):
        plane_map = PlaneMap(metre(noise_m=noise, max_points=1000))
        plane_map.insert(wall(rng, count, noise), *HERE, 0)
        plane = plane_map.planes()[0]
        normal = plane[NORMAL : NORMAL + 3] * np.sign(plane[NORMAL + 2])
        fits.append([normal @ (np.array([0.5, 0.5, 0.4]) - plane[CENTRE : CENTRE + 3]), normal[1]])
        claims.append([plane[VARIANCE], 0.5 * (plane[TILT1] + plane[TILT2])])
    measured, claimed = np.var(fits, axis=0), np.median(claims, axis=0)
    assert 0.5 < claimed[0] / measured[0] < 2.0
    assert 0.5 < claimed[1] / measured[1] < 2.0


@pytest.mark.parametrize("origin", [(300_000.0, -400_000.0, 120.0), (-7.0, -7.0, -7.0)])
def test_planes_far_from_the_origin_are_as_good_as_near_it(origin):
    near, far = PlaneMap(metre()), PlaneMap(metre())
    points = wall(np.random.default_rng(0))
    near.insert(points, *HERE, 0)
    far.insert(points + origin, *HERE, 0)
    moved = far.planes()[0].copy()
    moved[CENTRE : CENTRE + 3] -= origin
    assert np.allclose(np.abs(near.planes()[0][:6]), np.abs(moved[:6]), atol=1e-5)


def test_points_beyond_the_range_of_keys_are_left_out():
    plane_map = PlaneMap(metre())
    plane_map.insert(np.full((10, 3), 3e6), *HERE, 0)
    assert len(plane_map) == 0


def test_voxels_out_of_reach_or_too_old_leave_and_their_room_is_used_again():
    rng, config = np.random.default_rng(0), metre(reach_m=50.0, max_age_scans=100, sweep_scans=8)
    plane_map = PlaneMap(config)
    sizes = []
    for scan in range(200):
        position = np.array([2.0 * scan, 0.0, 0.0])
        plane_map.insert(wall(rng, 2000, size=30.0), np.eye(3), position, scan)
        plane_map.forget(position, scan)
        sizes.append((len(plane_map), plane_map.nbytes))
    assert len({size for _, size in sizes[60:]}) == 1
    assert max(n for n, _ in sizes[60:]) < 1.2 * min(n for n, _ in sizes[60:])
    for scan in range(400, 420):
        plane_map.forget(np.array([400.0, 0.0, 0.0]), scan)
    assert len(plane_map) == 0 and plane_map.arrays.counters[USED] == plane_map.arrays.counters[FREE]


def test_every_voxel_is_still_found_after_others_left():
    rng, plane_map = np.random.default_rng(0), PlaneMap(metre(reach_m=20.0, sweep_scans=4))
    cells = rng.permutation(np.argwhere(np.ones((40, 40, 3)))) + 0.5 - [20, 20, 1]
    plane_map.insert(cells, *HERE, 0)
    for _ in range(4):
        plane_map.forget(np.zeros(3), 0)
    kept = cells[np.linalg.norm(cells, axis=1) <= 20.0]
    assert len(plane_map) == len(kept)
    plane_map.insert(kept, *HERE, 1)
    assert len(plane_map) == len(kept)
