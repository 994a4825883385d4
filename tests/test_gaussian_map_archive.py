# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""What is left behind waits by region and comes back; maps are stored; random work agrees with a plain dictionary."""

import numpy as np
import pytest

from gaussian_worlds import LEVELS, assert_sound, cells_of, empty_map, looking, planes, same, some, sorted_by_mean
from slam.errors import MapError
from slam.gaussian_map.map_config import GaussianMapConfig
from slam.gaussian_map.regions import RegionStore
from slam.gaussian_map.store import GaussianMap
from slam.gaussian_map.window import Window
from slam.splatting.gaussians import Gaussians

DRIVING = GaussianMapConfig(min_level=2, max_level=5, region_m=8.0, waiting=4000)


def verge(rng, x, count=40):
    """Points beside a way along x."""
    return np.column_stack([rng.uniform(x - 1, x + 1, count), rng.uniform(-4, 4, (count, 2))])


def sweep(gaussian_map, position, seen=0):
    for _ in range(gaussian_map.plane_map.config.sweep_scans):
        gaussian_map.plane_map.forget(np.asarray(position, float), seen)


@pytest.mark.parametrize("on_disk", [False, True], ids=["in memory", "on disk"])
def test_what_was_left_behind_comes_back_to_the_bit(tmp_path, on_disk):
    regions = RegionStore(tmp_path) if on_disk else None
    gaussian_map = empty_map(DRIVING, regions, reach_m=20.0)
    rows = gaussian_map.add(some(np.random.default_rng(0).uniform(-9, 9, (2000, 3))), np.full(2000, 5), 3)
    gaussian_map.statistics[rows] = np.random.default_rng(1).uniform(size=(len(rows), 4))
    before, cells = gaussian_map.tensors(), sorted(cells_of(gaussian_map))
    sweep(gaussian_map, [500, 0, 0])
    assert gaussian_map.recall(np.array([500.0, 0, 0])) == 0 and len(gaussian_map) == 0
    assert same(sorted_by_mean(gaussian_map.gaussians()), sorted_by_mean(some_of(before)))
    for corner in np.ndindex(2, 2, 2):
        assert gaussian_map.recall(16.0 * np.array(corner) - 8.0) > 0
    after = gaussian_map.tensors()
    order = [np.lexsort(tensors["means"].T) for tensors in (before, after)]
    assert all(np.array_equal(before[name][order[0]], after[name][order[1]]) for name in before)
    assert sorted(cells_of(gaussian_map)) == cells and gaussian_map.recall(np.zeros(3)) == 0
    assert_sound(gaussian_map)


def some_of(tensors):
    return Gaussians(*(tensors[name] for name in Gaussians._fields))


def test_what_was_seeded_anew_meanwhile_stays_and_the_old_is_dropped():
    gaussian_map, points = empty_map(DRIVING, reach_m=20.0), np.random.default_rng(0).uniform(0, 4, (300, 3))
    gaussian_map.add(some(points, 1), np.full(300, 5), 0)
    count = len(gaussian_map)
    sweep(gaussian_map, [500, 0, 0])
    new = gaussian_map.add(some(points[:100], 2), np.full(100, 2), 9)
    kept = gaussian_map.take(new)
    gaussian_map.recall(np.array([4.0, 4.0, 4.0]))
    assert len(new) < len(gaussian_map) < count and same(gaussian_map.take(new), kept)
    assert_sound(gaussian_map)


def test_a_kilometre_holds_no_more_memory_than_its_reach(tmp_path):
    rng = np.random.default_rng(0)
    regions = RegionStore(tmp_path)
    gaussian_map = empty_map(DRIVING, regions, reach_m=100.0, sweep_scans=8)
    window, sizes, added = Window(gaussian_map), [], 0
    for scan, x in enumerate(np.arange(0.0, 1000.0, 2.0)):
        points = verge(rng, x)
        gaussian_map.plane_map.insert(points, np.eye(3), np.zeros(3), scan)
        added += len(gaussian_map.add(some(points), np.full(len(points), 4), scan))
        window.move_to([looking((x - 10, 0, 0))], 50.0)
        gaussian_map.plane_map.forget(np.array([x, 0.0, 0.0]), scan)
        gaussian_map.forget()
        gaussian_map.recall(np.array([x, 0.0, 0.0]))
        sizes.append((len(gaussian_map), gaussian_map.nbytes + window.nbytes))
    (near, near_bytes), (far, far_bytes) = np.array(sizes[100:300]).max(axis=0), np.array(sizes[300:]).max(axis=0)
    assert far < 1.1 * near and far_bytes < 1.1 * near_bytes
    assert far < 0.2 * added and gaussian_map.gaussians().size == added
    gaussian_map.tensors()
    stored = [regions.get(key) or {} for key in regions.keys()]  # noqa: SIM118
    assert sum(len(region["means"]) for region in stored) == added - len(gaussian_map)


def test_who_drives_back_finds_the_map_and_seeds_nothing_twice(tmp_path):
    rng = np.random.default_rng(0)
    gaussian_map = empty_map(DRIVING, RegionStore(tmp_path), reach_m=30.0, sweep_scans=4)
    places = np.arange(0.0, 120.0, 2.0)
    points = [verge(rng, x) for x in places]
    added = []
    for scan in [*range(len(places)), *reversed(range(len(places)))]:
        position = np.array([places[scan], 0.0, 0.0])
        gaussian_map.plane_map.forget(position, 0)
        gaussian_map.recall(position)
        added.append(len(gaussian_map.add(some(points[scan]), np.full(len(points[scan]), 4), scan)))
    assert min(added[: len(places)]) > 30 and sum(added[len(places) :]) == 0
    assert gaussian_map.gaussians().size == sum(added) > 2 * len(gaussian_map)
    assert_sound(gaussian_map)


def test_a_map_is_restored_with_the_same_gaussians_in_the_same_cells():
    stored = empty_map(coefficients_of(4))
    given = some(np.random.default_rng(0).uniform(-9, 9, (1500, 3)), coefficients=4)
    rows = stored.add(given, np.tile([2, 5, 4], 500), 8)
    stored.split(rows[:50])
    stored.put(rows[60:], moved(stored.take(rows[60:])))
    tensors = stored.tensors()
    restored = GaussianMap(planes(), coefficients_of(4))
    restored.restore(tensors)
    assert sorted(cells_of(restored)) == sorted(cells_of(stored))
    assert all(np.array_equal(tensors[name], restored.tensors()[name]) for name in tensors)
    assert_sound(restored)


def coefficients_of(count):
    return GaussianMapConfig(min_level=2, max_level=5, coefficients=count)


def moved(gaussians):
    """The same, out of their cells."""
    return gaussians._replace(means=gaussians.means + np.float32(1.7))


@pytest.mark.parametrize("damage", ["missing", "coefficients", "levels"])
def test_tensors_that_do_not_fit_the_map_are_an_error(damage):
    stored = empty_map()
    stored.add(some(np.zeros((1, 3))), np.array([5]), 0)
    tensors, config = stored.tensors(), LEVELS
    if damage == "missing":
        del tensors["logits"]
    elif damage == "coefficients":
        config = coefficients_of(9)
    else:
        config = GaussianMapConfig(min_level=2, max_level=4)
    with pytest.raises(
        MapError, match={"missing": "logits", "coefficients": "harmonics", "levels": "max_level"}[damage]
    ):
        GaussianMap(planes(), config).restore(tensors)


class PlainMap:
    """What the map should hold, as a dictionary of cells."""

    def __init__(self):
        self.held = {}

    def add(self, gaussians, levels):
        for i, level in enumerate(levels):
            cell = (int(level), *np.floor(gaussians.means[i].astype(float) * 2.0**level).astype(int).tolist())
            if not any(self.overlap(cell, other) for other in self.held):
                self.held[cell] = gaussians.take(slice(i, i + 1))

    @staticmethod
    def overlap(a, b):
        if a[0] > b[0]:
            a, b = b, a
        return all(k == m >> (b[0] - a[0]) for k, m in zip(a[1:], b[1:], strict=True))

    def assert_same(self, gaussian_map):
        rows = gaussian_map.rows_in_memory()
        cells, values = cells_of(gaussian_map, rows), gaussian_map.take(rows)
        assert set(cells) == set(self.held)
        for i, cell in enumerate(cells):
            assert same(values.take(slice(i, i + 1)), self.held[cell])


@pytest.mark.parametrize("origin", [(0.0, 0.0, 0.0), (-4000.0, 2500.0, -30.0)])
def test_random_work_on_the_map_leaves_what_the_same_work_leaves_in_a_dictionary(origin):
    rng, plain = np.random.default_rng(5), PlainMap()
    gaussian_map = empty_map(GaussianMapConfig(min_level=2, max_level=5, keep_released=False), reach_m=4.0)
    window = Window(gaussian_map)
    for turn in range(120):
        rows, work = gaussian_map.rows_in_memory(), rng.integers(7)
        chosen = rng.permutation(rows)[: rng.integers(1, 8)]
        cells = cells_of(gaussian_map, chosen)
        if work <= 1:
            new = some(rng.uniform(-2, 2, (15, 3)) + origin, turn)
            levels = rng.integers(2, 6, 15)
            plain.add(new, levels)
            gaussian_map.add(new, levels, turn)
        elif work == 2:
            gaussian_map.remove(chosen)
            for cell in cells:
                del plain.held[cell]
        elif work == 3:
            children = gaussian_map.split(chosen)
            for cell in (cell for cell in cells if cell[0] < 5):
                del plain.held[cell]
            new = cells_of(gaussian_map, children)
            assert all(any(PlainMap.overlap(cell, old) for old in cells) for cell in new)
            plain.held |= {cell: gaussian_map.take(children[i : i + 1]) for i, cell in enumerate(new)}
        elif work == 4:
            cloud = rng.uniform(0, 1, (40, 3)) + rng.integers(-2, 2, 3) + origin
            gaussian_map.plane_map.insert(cloud, np.eye(3), np.zeros(3), turn)
        elif work == 5 and turn % 3 == 0:
            position = rng.uniform(-2, 2, 3) * [2, 1, 1] + origin
            sweep(gaussian_map, position)
            gaussian_map.forget()
            held = plain.held.items()
            plain.held = {c: g for c, g in held if near(np.array(c[1:]) >> (c[0]), position)}
        else:
            window.move_to([looking(rng.uniform(-3, 3, 3) + origin, rng.uniform(-3, 3))], 5.0)
            window.gaussians.logits[:] += 1.0
            for i, cell in enumerate(cells_of(gaussian_map, window.rows)):
                plain.held[cell] = window.gaussians.take(np.arange(i, i + 1))
        plain.assert_same(gaussian_map)
        assert_sound(gaussian_map)
    assert gaussian_map.capacity == 1024 and turn == 119


def near(root, position):
    return np.linalg.norm(root + 0.5 - position) <= 4.0
