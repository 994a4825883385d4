# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Morton keys, the hash table and point-to-plane sums on the graphics processor, against their CPU twins."""

from __future__ import annotations

import numpy as np
import pytest
from numba import njit

from cuda_host import HostDevice, devices
from plane_worlds import NOISE, mapped, measured, pose_variance, room
from slam import cuda_registration, morton, octree, so3
from slam.cuda_voxels import EMPTY, VoxelTable
from slam.deskew import bend
from slam.errors import MapError
from slam.registration import NONE, UNKNOWN, linearise

on_each_device = pytest.mark.parametrize("device", devices())


@njit
def encoded(indices):
    keys = np.empty(len(indices), np.uint64)
    for i in range(len(indices)):
        keys[i] = morton.encode(indices[i, 0], indices[i, 1], indices[i, 2])
    return keys


@njit
def found_by_the_map(arrays, keys):
    return np.array([octree.find(arrays, key) for key in keys])


@on_each_device
def test_keys_are_those_of_the_plane_map_and_a_point_beyond_their_reach_has_none(device):
    device = device()
    points = np.random.default_rng(0).uniform(-3e4, 3e4, (700, 3))
    points[0], points[1], points[2] = [-0.5, 0.0, 0.49], [5e5, 0, 0], [np.nan, 0, 0]
    keys = device.to_host(VoxelTable(device, 1).keys_of(points, 0.4))
    near = np.delete(np.arange(700), [1, 2])
    assert np.array_equal(keys[near], encoded(np.floor(points[near] / 0.4).astype(np.int64)))
    assert np.all(keys[1:3] == EMPTY)


@on_each_device
def test_voxels_are_numbered_by_their_first_points_over_batches(device):
    device = device()
    indices = np.random.default_rng(1).integers(-4, 4, (900, 3))
    keys = encoded(indices)
    keys[5] = EMPTY
    table = VoxelTable(device, 1024)
    batches = np.concatenate(
        [device.to_host(table.insert(device.xp.asarray(part))) for part in np.split(keys, [400, 410])]
    )
    numbers: dict[int, int] = {int(EMPTY): -1}
    expected = [numbers.setdefault(int(key), len(numbers) - 1) for key in keys]
    assert np.array_equal(batches, expected)
    assert table.used == len(numbers) - 1
    assert device.to_host(table.find(device.xp.asarray(encoded(np.array([[9, 9, 9]])))))[0] == -1


@on_each_device
def test_a_full_chain_of_probes_wraps_round_the_end_of_the_table(device):
    device = device()
    keys = np.arange(4096, dtype=np.uint64)
    last = np.array([key for key in keys if _home(key, 16) == 15][:6], np.uint64)
    table = VoxelTable(device, 8)
    table.insert(device.xp.asarray(last))
    assert np.array_equal(device.to_host(table.find(device.xp.asarray(last))), np.arange(6))


def _home(key: int, entries: int) -> int:
    return int(_mix(np.uint64(key)) & np.uint64(entries - 1))


@njit
def _mix(key):
    return morton.mix(key)


def test_a_table_that_is_half_full_takes_no_more():
    table = VoxelTable(HostDevice(), 8)
    with pytest.raises(MapError, match="9 keys more do not fit into a table of 16"):
        table.insert(np.arange(9, dtype=np.uint64))


@on_each_device
def test_the_table_of_a_plane_map_is_found_as_the_map_finds_it(device):
    device = device()
    plane_map = mapped(room(np.random.default_rng(0)))
    table = VoxelTable.of(device, plane_map.arrays)
    points = np.random.default_rng(1).uniform(-15, 15, (800, 3))
    keys = table.keys_of(points, plane_map.rules.voxel)
    found = device.to_host(table.find(keys))
    assert np.array_equal(found, found_by_the_map(plane_map.arrays, device.to_host(keys)))
    assert 50 < np.sum(found >= 0) < 800


@on_each_device
@pytest.mark.parametrize("stiffness", [1.0, 0.4])
def test_point_to_plane_sums_are_those_of_the_cpu(device, stiffness):
    plane_map = mapped(room(np.random.default_rng(0)))
    points, matches, poses = _scan(plane_map, stiffness)
    settings = (poses, stiffness, np.array([0.2, -0.1, 0.4]), pose_variance(1e-6, 1e-4), NOISE)
    cpu = linearise(plane_map, points, *settings, matches=matches.copy())
    gpu = cuda_registration.linearise(device(), plane_map.arrays.planes, points, matches, *settings)
    assert gpu.matched == cpu.matched
    assert 200 < cpu.matched < len(points)
    for name in ("information", "vector", "noise_information", "rms_m", "weight"):
        ours, theirs = getattr(gpu, name), getattr(cpu, name)
        assert np.allclose(ours, theirs, rtol=1e-10, atol=1e-10 * np.abs(theirs).max()), name


def _scan(plane_map, stiffness):
    """Points with the planes they take at one pose, and poses a little beside it; some have none, some are far off."""
    rng = np.random.default_rng(3)
    points = measured(room(np.random.default_rng(4)), 600)
    points[:, 3] = rng.integers(0, 65, 600) / 64
    points[::7, :3] += rng.normal(0, 0.3, (86, 3))
    start = bend(np.eye(3), np.zeros(3), np.eye(3), np.zeros(3), 1.0)
    matches = np.full(len(points), UNKNOWN)
    linearise(plane_map, points, start, 1.0, np.zeros(3), pose_variance(1e-4, 1e-2), NOISE, matches=matches)
    assert np.any(matches == NONE)
    R = so3.exp(np.array([0.001, -0.002, 0.004]))
    return points, matches, bend(np.eye(3), np.zeros(3), R, np.array([0.01, 0.0, -0.01]), stiffness)


def test_a_scan_without_matches_sums_up_to_nothing():
    plane_map = mapped(room(np.random.default_rng(0)))
    for points in (np.zeros((3, 4)), np.zeros((0, 4))):
        matches = np.full(len(points), NONE)
        poses = (np.eye(3)[None], np.zeros((1, 3)))
        fit = cuda_registration.linearise(
            HostDevice(), plane_map.arrays.planes, points, matches, poses, 1.0, np.zeros(3),
            pose_variance(0.0, 0.0), NOISE,
        )  # fmt: skip
        assert fit.matched == 0 and fit.weight == 0.0 and not fit.information.any()
