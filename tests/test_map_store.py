# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""A stored map comes back as it was, says what is wrong with it, and can be the start."""

import multiprocessing
import os
import shutil
import sqlite3
import sys
import tempfile
from contextlib import closing
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from plane_worlds import mapped, measured, room
from slam import so3
from slam.errors import MapError
from slam.gaussian_map.map_config import GaussianMapConfig
from slam.gaussian_map.regions import RegionStore
from slam.gaussian_map.store import GaussianMap
from slam.map_store import RECORD, load_gaussian_map, load_map, save_map
from slam.octree import FREE, ROOTS, USED
from slam.odometry_config import MapConfig
from slam.replay import replay
from slam.results import State
from slam.splatting.gaussians import Gaussians
from small_drives import ate_m, base, recorded, replayed
from small_world import Stream
from stored_maps import gaussian_map_on


def a_map(seed=1, **settings):
    return mapped(room(np.random.default_rng(seed)), MapConfig(**settings))


def sorted_planes(plane_map):
    planes = plane_map.planes()
    return planes[np.lexsort(planes.T)]


def tensors_file(folder):
    (path,) = folder.glob("planes-*.safetensors")
    return path


def test_a_map_comes_back_with_the_same_planes(tmp_path):
    stored = a_map()
    loaded = load_map(save_map(tmp_path / "map", stored))
    assert len(sorted_planes(stored)) > 50
    assert np.array_equal(sorted_planes(loaded), sorted_planes(stored))
    assert len(loaded) == len(stored) and loaded.rules == stored.rules


def test_an_empty_map_comes_back_empty(tmp_path):
    loaded = load_map(save_map(tmp_path, mapped(np.zeros((0, 3)))))
    assert len(loaded) == 0 and not len(loaded.planes())


def test_a_map_that_grew_past_its_first_size_comes_back(tmp_path):
    rng = np.random.default_rng(0)
    stored = mapped(rng.uniform(-150, 150, (60_000, 3)), MapConfig(voxel_m=2.0))
    loaded = load_map(save_map(tmp_path, stored))
    assert len(loaded) == len(stored) > 1 << 15
    assert np.array_equal(sorted_planes(loaded), sorted_planes(stored))


def test_a_loaded_map_takes_points_and_forgets_as_the_stored_one_does(tmp_path):
    stored = a_map(reach_m=12.0, sweep_scans=1)
    stored.forget(np.array([8.0, 0.0, 0.0]), 1)
    assert stored.arrays.counters[FREE] > 0
    loaded = load_map(save_map(tmp_path, stored), stored.config)
    more = measured(room(np.random.default_rng(7)), 5000)[:, :3]
    for plane_map in (stored, loaded):
        plane_map.insert(more, np.eye(3), np.array([1.0, 0.5, 0.0]), 2)
        plane_map.forget(np.zeros(3), 3)
    assert np.allclose(sorted_planes(loaded), sorted_planes(stored))
    assert (loaded.arrays.counters[[USED, FREE, ROOTS]] == stored.arrays.counters[[USED, FREE, ROOTS]]).all()


def test_sizes_come_from_the_map_and_limits_from_the_configuration(tmp_path):
    save_map(tmp_path, a_map(voxel_m=2.0, max_depth=2, noise_m=0.03, reach_m=80.0))
    config = load_map(tmp_path, MapConfig(voxel_m=8.0, max_depth=5, reach_m=33.0)).config
    assert (config.voxel_m, config.max_depth, config.noise_m, config.reach_m) == (2.0, 2, 0.03, 33.0)


def test_saving_again_replaces_the_map_and_leaves_one_file(tmp_path):
    save_map(tmp_path, a_map(1))
    second = a_map(2)
    save_map(tmp_path, second)
    assert tensors_file(tmp_path).is_file()
    assert np.array_equal(sorted_planes(load_map(tmp_path)), sorted_planes(second))


def test_saving_the_same_map_twice_is_harmless(tmp_path):
    for _ in range(2):
        save_map(tmp_path, a_map())
    assert len(load_map(tmp_path).planes())


# damage


def test_a_truncated_file_is_called_damaged(tmp_path):
    path = tensors_file(save_map(tmp_path, a_map()))
    for size in (path.stat().st_size - 1, 100, 0):
        os.truncate(path, size)
        with pytest.raises(MapError, match=f"damaged, {size} bytes"):
            load_map(tmp_path)


@pytest.mark.parametrize("where", [0.0, 0.3, 0.9999])
def test_a_flipped_bit_is_called_damaged(tmp_path, where):
    path = tensors_file(save_map(tmp_path, a_map()))
    data = bytearray(path.read_bytes())
    data[int(where * len(data))] ^= 0x10
    path.write_bytes(data)
    with pytest.raises(MapError, match="damaged"):
        load_map(tmp_path)


def test_a_missing_record_is_no_map(tmp_path):
    save_map(tmp_path, a_map())
    (tmp_path / RECORD).unlink()
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(MapError, match="no map here"):
            load_map(folder)


def test_a_missing_file_is_named(tmp_path):
    path = tensors_file(save_map(tmp_path, a_map()))
    path.unlink()
    with pytest.raises(MapError, match=path.name):
        load_map(tmp_path)


@pytest.mark.parametrize("content", [b"", b"not a database at all, but long enough to be looked at" * 40])
def test_a_record_that_is_no_database_is_called_damaged(tmp_path, content):
    save_map(tmp_path, a_map())
    (tmp_path / RECORD).write_bytes(content)
    with pytest.raises(MapError, match="damaged"):
        load_map(tmp_path)


def rewrite(folder, statement, *values):
    with closing(sqlite3.connect(folder / RECORD)) as record, record:
        record.execute(statement, values)


def test_a_record_without_a_row_is_called_damaged(tmp_path):
    rewrite(save_map(tmp_path, a_map()), "DELETE FROM map")
    with pytest.raises(MapError, match="damaged"):
        load_map(tmp_path)


@pytest.mark.parametrize("values", [(None, "x", "y"), ("new", "x", "y"), (1, None, "y"), (1, 5, "y"), (1, "x", None)])
def test_a_record_of_nonsense_is_called_unreadable_or_damaged(tmp_path, values):
    rewrite(save_map(tmp_path, a_map()), "UPDATE map SET version = ?, file = ?, sha256 = ?", *values)
    with pytest.raises(MapError):
        load_map(tmp_path)


def test_a_newer_version_says_so(tmp_path):
    rewrite(save_map(tmp_path, a_map()), "UPDATE map SET version = 7")
    with pytest.raises(MapError, match=r"version 7.*update"):
        load_map(tmp_path)


def _load_as_a_stranger(folder):
    if os.geteuid() == 0:
        os.seteuid(65534)
    assert len(load_map(folder).planes())


@pytest.mark.skipif(sys.platform == "win32", reason="needs fork")
def test_a_map_is_read_by_those_who_may_not_write_it():
    with tempfile.TemporaryDirectory() as folder:
        save_map(folder, a_map())
        for path in Path(folder).iterdir():
            path.chmod(0o444)
        Path(folder).chmod(0o555)
        reader = multiprocessing.get_context("fork").Process(target=_load_as_a_stranger, args=(folder,))
        reader.start()
        reader.join()
        Path(folder).chmod(0o755)
        assert reader.exitcode == 0


# a stored map as the start


@cache
def hall_map_folder():
    """The map of a drive through the hall, stored; removed at exit by the fixture below."""
    return save_map(tempfile.mkdtemp(prefix="map-"), replayed().map)


@pytest.fixture(scope="module", autouse=True)
def clean_up():
    yield
    if hall_map_folder.cache_info().currsize:
        shutil.rmtree(hall_map_folder())


def off_by(metres, degrees, direction):
    """A pose off the true one by so much: a turn about z, a shift in the plane."""
    T = np.eye(4)
    T[:3, :3] = so3.exp(np.array([0.0, 0.0, np.radians(degrees)]))
    T[:3, 3] = metres * np.cos(direction), metres * np.sin(direction), 0.0
    return T


def started_from(T_map_base, imu, count=50):
    measurements = [m for m in recorded()[1] if m.stamp_ns < count * 100_000_000]
    return replay(Stream(measurements, imu), use_imu=imu, start_map=load_map(hall_map_folder()), start_pose=T_map_base)


@pytest.mark.parametrize("imu", [True, False], ids=["imu", "no imu"])
@pytest.mark.parametrize("direction", [0.3, 1.9, 3.5, 5.1])
@pytest.mark.parametrize("degrees", [-8.0, 8.0])
def test_the_first_scan_finds_its_place_from_80_cm_and_8_degrees_off(imu, direction, degrees):
    result = started_from(off_by(0.8, degrees, direction), imu, count=3)
    first = result.results[0]
    assert np.linalg.norm(first.T_odom_base[:3, 3]) < 0.05
    assert np.degrees(np.linalg.norm(so3.log(first.T_odom_base[:3, :3]))) < 0.5
    assert first.matched > 0.7 * first.points


@pytest.mark.parametrize("imu", [True, False], ids=["imu", "no imu"])
def test_from_there_the_drive_goes_on_in_the_maps_frame(imu):
    result, drive = started_from(off_by(0.8, 8.0, 2.0), imu), recorded()[0]
    apart = np.linalg.norm(result.base_trajectory().positions - base(replayed()).positions, axis=1)
    assert apart.max() < 0.05 and ate_m(result, drive) < 0.02
    assert {r.health.state for r in result.results[1:]} == {State.OK} and {r.segment for r in result.results} == {0}


def test_a_map_that_was_continued_is_stored_and_is_a_start_again(tmp_path):
    continued = started_from(np.eye(4), True)
    save_map(tmp_path, continued.map)
    again = replay(Stream(recorded()[1]), start_map=load_map(tmp_path), start_pose=off_by(0.5, -5.0, 1.0))
    apart = np.linalg.norm(again.base_trajectory().positions - base(replayed()).positions, axis=1)
    assert apart.max() < 0.05


def test_an_empty_first_scan_does_not_use_up_the_start():
    first, *rest = (m for m in recorded()[1] if m.stamp_ns < 1_000_000_000 and hasattr(m, "points"))
    empty = replace(first, points=first.points[:0], offsets_ns=first.offsets_ns[:0])
    start = {"start_map": load_map(hall_map_folder()), "start_pose": off_by(0.8, 8.0, 2.0)}
    result = replay(Stream([empty, *rest], imu=False), **start)
    apart = np.linalg.norm(result.base_trajectory().positions - base(replayed()).positions[: len(rest) + 1], axis=1)
    assert apart[1:].max() < 0.05


# Gaussians in it


def sorted_gaussians(gaussian_map):
    gaussians = gaussian_map.gaussians()
    return gaussians.take(np.lexsort(gaussians.means.T))


def assert_same_gaussians(first, second):
    for name, one, other in zip(Gaussians._fields, sorted_gaussians(first), sorted_gaussians(second), strict=True):
        np.testing.assert_array_equal(one, other, name)


def test_gaussians_come_back_with_their_settings_and_take_more(tmp_path):
    settings = GaussianMapConfig(min_level=4, max_level=6, waiting=7)
    stored = gaussian_map_on(a_map(), config=settings)
    save_map(tmp_path, stored.plane_map, stored)
    loaded = load_gaussian_map(tmp_path, config=GaussianMapConfig(max_level=7, waiting=9))
    assert loaded.config == replace(settings, waiting=9)
    assert len(loaded) == len(stored) and np.array_equal(np.sort(loaded.levels), np.sort(stored.levels))
    assert_same_gaussians(loaded, stored)
    assert np.array_equal(sorted_planes(loaded.plane_map), sorted_planes(stored.plane_map))
    taken = loaded.gaussians().means[:5].astype(np.float64)
    assert not loaded.free(taken, np.full(5, 6)).any()
    assert loaded.free(taken + np.array([0.0, 0.0, 50.0]), np.full(5, 6)).all()


def test_what_a_drive_left_behind_is_stored_and_waits_for_the_next_drive(tmp_path):
    spool = RegionStore(tmp_path / "spool")
    stored = gaussian_map_on(a_map(reach_m=9.0, sweep_scans=1), regions=spool)
    count = len(stored)
    stored.plane_map.forget(np.array([10.0, 0.0, 0.0]), 1)
    stored.settle()
    assert 0 < len(stored) < count
    save_map(tmp_path / "map", stored.plane_map, stored)
    assert spool.keys()
    seen = load_gaussian_map(tmp_path / "map")
    assert len(seen) == len(stored) and sorted_gaussians(seen).size == count
    assert_same_gaussians(seen, stored)
    continued = load_gaussian_map(tmp_path / "map", RegionStore(tmp_path / "next"), map_config=MapConfig(reach_m=100.0))
    assert continued.recall(np.zeros(3)) == count - len(stored) and len(continued) == count
    assert_same_gaussians(continued, stored)
    assert_same_gaussians(load_gaussian_map(tmp_path / "map"), stored)


def test_a_map_of_no_gaussians_comes_back_empty_of_them(tmp_path):
    empty = GaussianMap(a_map())
    loaded = load_gaussian_map(save_map(tmp_path, empty.plane_map, empty))
    assert len(loaded) == 0 and loaded.gaussians().size == 0
