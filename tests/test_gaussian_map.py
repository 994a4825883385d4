# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Gaussians lie in the leaves of the octree of planes, one to a cell, and follow it; views find those they may see."""

import numpy as np
import pytest

from gaussian_worlds import LEVELS, assert_sound, cells_of, empty_map, looking, planes, same, some, sorted_by_mean
from slam.errors import ConfigError, MapError
from slam.gaussian_map import cells
from slam.gaussian_map.map_config import GaussianMapConfig
from slam.gaussian_map.store import GaussianMap
from slam.octree import SPLIT, STATE, PlaneMap
from slam.odometry_config import MapConfig


def full(count, level):
    return np.full(count, level)


def scattered(count, seed=0, size=3.0, origin=(0.0, 0.0, 0.0)):
    return np.random.default_rng(seed).uniform(-size, size, (count, 3)) + origin


# cells


@pytest.mark.parametrize("origin", [(0.0, 0.0, 0.0), (-2000.0, 3000.0, -10.0)])
def test_what_is_added_comes_back_to_the_bit(origin):
    points = scattered(500, origin=origin)
    given, gaussian_map = some(points), empty_map()
    rows = gaussian_map.add(given, full(500, 5), 7)
    kept = np.isin(given.means[:, 0], gaussian_map.take(rows).means[:, 0])
    assert len(gaussian_map) == len(rows) > 450 and (gaussian_map.seen[rows] == 7).all()
    assert same(gaussian_map.take(rows), given.take(np.flatnonzero(kept)))
    assert same(sorted_by_mean(gaussian_map.gaussians()), sorted_by_mean(gaussian_map.take(rows)))
    assert_sound(gaussian_map)


def test_of_two_seeds_for_one_cell_the_first_is_taken():
    gaussian_map, point = empty_map(), np.array([[0.3, -0.7, 0.2]])
    twice = np.repeat(point, 2, axis=0)
    (row,) = gaussian_map.add(some(twice), full(2, 4), 0)
    assert same(gaussian_map.take(np.array([row])), some(twice).take(slice(1)))
    assert len(gaussian_map.add(some(point), full(1, 4), 1)) == 0


def test_a_cell_is_not_free_while_it_or_a_coarser_or_finer_one_there_is_taken():
    gaussian_map, here, beside = empty_map(), np.array([[-0.01, 0.01, -5.49]]), np.array([[-0.26, 0.01, -5.49]])
    row = gaussian_map.add(some(here), full(1, 3), 0)
    for level in (2, 3, 4, 5):
        assert not gaussian_map.free(here, full(1, level)).any()
        assert len(gaussian_map.add(some(here), full(1, level), 0)) == 0
    assert gaussian_map.free(beside, full(1, 2)).all()
    gaussian_map.remove(row)
    assert all(gaussian_map.free(here, full(1, level)).all() for level in (2, 3, 4, 5))
    assert_sound(gaussian_map)


def test_levels_are_those_of_the_nearest_size_and_within_limits():
    gaussian_map = GaussianMap(PlaneMap(MapConfig()))
    sizes = np.array([100.0, 0.26, 0.18, 0.17, 0.12, 0.06, 0.03, 1e-12])
    assert gaussian_map.level_of(sizes).tolist() == [4, 4, 4, 5, 5, 6, 7, 7]
    assert gaussian_map.side_of(gaussian_map.level_of(sizes)).max() == 0.25


def test_points_beyond_the_range_of_keys_or_not_finite_are_refused():
    gaussian_map = empty_map()
    reach = 2.0**20 / 2**6
    points = np.array([[reach - 0.01, 0, 0], [-reach + 0.01, 0, 0], [reach, 0, 0], [0, -reach - 1, 0], [0, 0, np.nan]])
    assert gaussian_map.free(points, full(5, 5)).tolist() == [True, True, False, False, False]
    points[:2] = np.sign(points[:2]) * 1e4  # what float32 can tell from its neighbours
    assert len(gaussian_map.add(some(points), full(5, 5), 0)) == 2
    assert_sound(gaussian_map)


def test_levels_that_the_map_does_not_have_are_an_error():
    with pytest.raises(MapError, match="levels 1 to 5: this map has 2 to 5"):
        empty_map().free(np.zeros((2, 3)), np.array([1, 5]))


@pytest.mark.parametrize("levels", [(1, 5), (4, 3), (4, 16)])
def test_cells_that_would_not_nest_in_leaves_are_an_error(levels):
    with pytest.raises(ConfigError, match=f"levels {levels[0]} to {levels[1]}"):
        GaussianMap(planes(), GaussianMapConfig(min_level=levels[0], max_level=levels[1]))


def test_rows_of_removed_gaussians_are_used_again_and_the_map_does_not_grow():
    gaussian_map, sizes = empty_map(), []
    for turn in range(6):
        rows = gaussian_map.add(some(scattered(1500, turn)), full(1500, 5), turn)
        gaussian_map.remove(rows)
        gaussian_map.remove(rows)
        assert len(gaussian_map) == 0
        sizes.append((gaussian_map.nbytes, gaussian_map.capacity))
    assert len(set(sizes[1:])) == 1
    assert_sound(gaussian_map)


def test_a_map_that_grows_keeps_what_it_has():
    gaussian_map, given = empty_map(), []
    for turn in range(5):
        given.append(some(scattered(900, turn, size=30.0), turn))
        gaussian_map.add(given[-1], full(900, 5), turn)
    assert gaussian_map.capacity > 4000 and len(gaussian_map) > 4400
    known = {mean.tobytes(): i for i, mean in enumerate(np.concatenate([g.means for g in given]))}
    colours, held = np.concatenate([g.harmonics for g in given]), gaussian_map.gaussians()
    rows = [known[mean.tobytes()] for mean in held.means]
    assert np.array_equal(colours[rows], held.harmonics)


def test_rows_that_hold_nothing_cannot_be_changed():
    gaussian_map = empty_map()
    rows = gaussian_map.add(some(np.zeros((1, 3))), full(1, 4), 0)
    gaussian_map.remove(rows)
    with pytest.raises(MapError, match="1 of 1 rows"):
        gaussian_map.put(rows, some(np.zeros((1, 3))))


# following the plane map


def edge(rng, origin=(0.0, 0.0, 0.0)):
    """Two surfaces that no one plane fits, within one voxel."""
    floor = np.column_stack([rng.uniform(0, 1, (600, 2)), rng.normal(0.1, 0.005, 600)])
    side = np.column_stack([rng.normal(0.6, 0.005, 600), rng.uniform(0, 1, (600, 2))])
    return rng.permutation(np.vstack([floor, side])) + origin


def test_gaussians_move_down_when_their_leaf_splits():
    gaussian_map, rng = empty_map(), np.random.default_rng(0)
    points = rng.uniform(0, 1, (300, 3)) - [3, 0, 0]
    rows = gaussian_map.add(some(points), full(300, 5), 0)
    before = cells_of(gaussian_map)
    gaussian_map.plane_map.insert(edge(rng, (-3, 0, 0)), np.eye(3), np.zeros(3), 0)
    gaussian_map.settle()
    states = gaussian_map.plane_map.arrays.meta[gaussian_map.nodes[rows], STATE]
    assert len(set(gaussian_map.nodes[rows].tolist())) > 8 and (states != SPLIT).all()
    assert gaussian_map.sunk[rows].all() and cells_of(gaussian_map) == before
    assert_sound(gaussian_map)


def test_gaussians_of_voxels_that_the_plane_map_lets_go_leave_memory():
    gaussian_map = empty_map(GaussianMapConfig(min_level=2, max_level=5, keep_released=False), reach_m=5.0)
    gaussian_map.add(some(scattered(800, size=10.0)), full(800, 5), 0)
    for _ in range(2 * gaussian_map.plane_map.config.sweep_scans):
        gaussian_map.plane_map.forget(np.array([5.0, 0.0, 0.0]), 0)
    assert gaussian_map.forget() > 0
    indices = np.array([cell[1:] for cell in cells_of(gaussian_map)]) // 32
    assert len(gaussian_map) > 0 and (np.linalg.norm(indices + 0.5 - [5, 0, 0], axis=1) <= 5.0).all()
    assert gaussian_map.gaussians().size == len(gaussian_map)
    assert_sound(gaussian_map)


def test_a_voxel_that_was_released_and_seen_again_before_anyone_looked_starts_empty():
    gaussian_map, points = empty_map(reach_m=3.0), scattered(100, size=0.5)
    gaussian_map.add(some(points), full(100, 5), 0)
    for _ in range(64):
        gaussian_map.plane_map.forget(np.full(3, 50.0), 0)
    gaussian_map.plane_map.insert(points, np.eye(3), np.zeros(3), 1)
    assert gaussian_map.free(points, full(100, 5)).all() and len(gaussian_map) == 0
    gaussian_map.add(some(points), full(100, 5), 1)
    assert_sound(gaussian_map)


# views


def by_hand(gaussian_map, views, reach):
    """Rows whose mean projects into one of the views, within reach."""
    rows, found = gaussian_map.rows_in_memory(), set()
    means = gaussian_map.take(rows).means.astype(float)
    for view in views:
        m = means @ view.T_camera_world[:3, :3].T + view.T_camera_world[:3, 3]
        u, v = (view.K[k, k] * m[:, k] / m[:, 2] + view.K[k, 2] + 0.5 for k in range(2))
        inside = (m[:, 2] > 0.1) & (u >= 0) & (u < view.width) & (v >= 0) & (v < view.height)
        found |= set(rows[inside & (np.linalg.norm(means - view.position, axis=1) < reach)].tolist())
    return found


@pytest.mark.parametrize("origin", [(0.0, 0.0, 0.0), (-3000.0, 1500.0, 40.0)])
def test_views_find_all_that_projects_into_them_and_little_else(origin):
    gaussian_map = empty_map()
    gaussian_map.plane_map.insert(edge(np.random.default_rng(0), np.add(origin, [4, 0, 0])), np.eye(3), np.zeros(3), 0)
    gaussian_map.add(some(scattered(6000, size=9.0, origin=origin), sigma=(0.05, 0.05, 0.01)), full(6000, 4), 0)
    for yaw in (0.0, 1.0, 2.5, -2.0):
        views = [looking(np.add(origin, [-1.0, 0.5, 0.2]), yaw), looking(origin, yaw + 0.4)]
        rows = gaussian_map.visible(views, 9.0)
        wanted = by_hand(gaussian_map, views, 9.0)
        assert (np.diff(rows) > 0).all() and wanted <= set(rows.tolist())
        assert len(rows) < 1.3 * len(wanted) + 20 and len(wanted) > 50


def test_a_gaussian_that_sticks_out_into_the_view_is_found():
    gaussian_map = empty_map()
    large = some(np.array([[5.0, 2.6, 0.0]]), sigma=(0.3, 0.3, 0.3))
    gaussian_map.add(large, full(1, 2), 0)
    assert len(gaussian_map.visible([looking()], 20.0)) == 1
    gaussian_map.put(np.array([0]), large._replace(log_scales=np.full((1, 3), -4.0, np.float32)))
    assert len(gaussian_map.visible([looking()], 20.0)) == 0


def test_a_gaussian_far_larger_than_its_voxel_is_found_from_where_it_reaches():
    gaussian_map = empty_map()
    gaussian_map.add(some(np.array([[10.0, 12.0, 0.0]]), sigma=(2.5, 2.5, 2.5)), full(1, 5), 0)
    gaussian_map.add(some(scattered(200), sigma=(0.2, 0.2, 0.01)), full(200, 4), 0)
    rows = gaussian_map.visible([looking()], 30.0)
    assert 0 in rows and (np.diff(rows) > 0).all() and 0 in gaussian_map.visible([looking()], 30.0, 1.5)
    assert 0 not in gaussian_map.visible([looking(yaw=np.pi)], 30.0)


def test_no_views_see_nothing_and_an_empty_map_shows_nothing():
    gaussian_map = empty_map()
    assert len(gaussian_map.visible([looking()], 50.0)) == 0
    gaussian_map.add(some(scattered(50)), full(50, 3), 0)
    assert len(gaussian_map.visible([], 50.0)) == 0 and gaussian_map.take(np.empty(0, int)).size == 0


# level of detail


def distant(count=400, seed=0):
    """Gaussians of one colour on a wall 200 m away."""
    rng = np.random.default_rng(seed)
    points = np.column_stack([full(count, 200.3), rng.uniform(-8, 8, (count, 2))])
    gaussian_map = empty_map()
    given = some(points, sigma=(0.05, 0.05, 0.01))
    given.harmonics[:] = 0.4
    gaussian_map.add(given, full(count, 5), 0)
    return gaussian_map


def test_far_away_one_stands_for_all_of_a_node_and_near_each_for_itself():
    gaussian_map, view = distant(), looking(focal=100.0)
    every, fewer = gaussian_map.visible([view], 300.0), gaussian_map.visible([view], 300.0, 1.5)
    assert len(every) == len(gaussian_map) and len(fewer) < 0.8 * len(every) and (fewer < 0).any()
    near = looking((195.0, 0.0, 0.0), focal=100.0)
    assert (gaussian_map.visible([near], 300.0, 1.5) >= 0).all()
    stand_ins = gaussian_map.take(fewer[fewer < 0])
    assert np.allclose(stand_ins.harmonics, 0.4) and np.abs(stand_ins.means[:, 0] - 200.3).max() < 1e-3
    everything, some_for_all = gaussian_map.take(every), gaussian_map.take(fewer)
    covered = [(g.opacities() * np.exp(2 * np.sort(g.log_scales)[:, 1:].mean(axis=1))).sum() for g in
               (everything, some_for_all)]  # fmt: skip
    assert np.isclose(covered[0], covered[1], rtol=0.1)


def represented(gaussian_map, names):
    """Rows, one by one, of what ``visible`` names."""
    table, stands = gaussian_map._storage.cells, -1 - names[names < 0]
    inside = np.empty((2, -int(table.values[stands].sum())), np.int64)
    cells.rows_inside(table, table.keys[stands], *inside)
    return np.concatenate([names[names >= 0], inside[0]])


@pytest.mark.parametrize("settled", [False, True])
def test_whatever_the_detail_each_is_shown_once_by_itself_or_by_what_stands_for_it(settled):
    gaussian_map = empty_map()
    points = scattered(3000)
    gaussian_map.add(some(points, sigma=(0.02, 0.02, 0.01)), np.random.default_rng(0).integers(2, 6, 3000), 0)
    if settled:  # octree nodes that have split, leaves of all depths
        gaussian_map.plane_map.insert(points.astype(np.float32), np.eye(3), np.zeros(3), 1)
    numbers = []
    for detail_px in (0.0, 2.0, 5.0, 10.0):
        names = gaussian_map.visible([looking((-30.0, 0.0, 0.0))], 1000.0, detail_px)
        rows = represented(gaussian_map, names)
        assert len(rows) == len(set(rows.tolist()))
        numbers.append((len(names), len(rows)))
    shown, stood_for = np.array(numbers).T
    assert (np.diff(shown) < 0).all() and shown[-1] < 0.1 * shown[0]
    assert (np.diff(stood_for) >= 0).all() and stood_for[0] > 1000  # a cell at the edge of the picture is shown whole


def test_what_stands_for_cells_that_are_no_more_makes_room():
    gaussian_map, views = empty_map(), [looking((-30.0, 0.0, 0.0))]
    sizes = []
    for turn in range(12):
        rows = gaussian_map.add(some(scattered(500, turn % 3)), full(500, 5), turn)
        names = gaussian_map.visible(views, 1000.0, 10.0)
        shown = gaussian_map.take(names)
        anew = empty_map()
        anew.restore(gaussian_map.tensors())
        again = anew.visible(views, 1000.0, 10.0)
        assert same(sorted_by_mean(anew.take(again)), sorted_by_mean(shown))
        gaussian_map.remove(rows)
        sizes.append(gaussian_map._stand_ins.nbytes)
    assert (names < 0).sum() > 20 and max(sizes[3:]) == max(sizes[:3])


def test_what_stands_for_a_node_follows_changes_below_it():
    gaussian_map, view = distant(), looking(focal=100.0)
    rows = gaussian_map.visible([view], 300.0, 1.5)
    before = gaussian_map.take(rows)
    assert same(gaussian_map.take(rows), before)
    lit = gaussian_map.take(gaussian_map.rows_in_memory())
    gaussian_map.put(gaussian_map.rows_in_memory(), lit._replace(harmonics=lit.harmonics + 1))
    assert np.allclose(gaussian_map.take(rows).harmonics, before.harmonics + 1.0)
    gaussian_map.remove(gaussian_map.rows_in_memory()[::2])
    rows = gaussian_map.visible([view], 300.0, 1.5)
    assert len(gaussian_map.take(rows).means) == len(rows) < len(before.means)


def test_maps_made_alike_are_alike_to_the_bit():
    pair = [empty_map(LEVELS), empty_map(LEVELS)]
    for gaussian_map in pair:
        for turn in range(3):
            rows = gaussian_map.add(some(scattered(400, turn)), full(400, 4), turn)
            gaussian_map.split(rows[::3])
            gaussian_map.remove(rows[1::3])
    first, second = (m.tensors() for m in pair)
    assert all(np.array_equal(first[name], second[name]) for name in first)
