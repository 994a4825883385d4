# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""The window holds what views may see, without gaps, and the map ends up as if there had been none."""

import numpy as np
import pytest

from gaussian_worlds import assert_sound, empty_map, looking, same, some, sorted_by_mean
from slam.gaussian_map import adam
from slam.gaussian_map.window import Window
from slam.splatting.gaussians import Gaussians


def walled(count=1200, seed=0, coefficients=1):
    """Gaussians on both sides of a way along x."""
    rng, gaussian_map = np.random.default_rng(seed), empty_map()
    points = np.column_stack(
        [rng.uniform(-2, 20, count), rng.choice([-2.0, 2.0], count) - 0.1, rng.uniform(-1, 1, count)]
    )
    gaussian_map.add(some(points, seed, (0.05, 0.05, 0.01)), np.full(count, 4), 0)
    return gaussian_map


def along(x):
    return [looking((x, 0.0, 0.0)), looking((x, 0.3, 0.1), 0.2)]


def pull(window, step):
    """One step of Adam towards what depends on each Gaussian alone; those ahead of the step's place are seen."""
    window.write_back()
    g = window.gaussians
    slope = Gaussians(*(np.sin(3.0 * array + step).astype(np.float32) for array in g))
    seen = np.isin(window.rows, window.map.visible(along(step), 6.0))
    adam.step(g, slope, window.moments, window.steps, seen, adam.LearningRates())


def assert_current(window):
    """Slots and rows name each other, and values of Gaussians that were not touched are the map's."""
    values, moments, steps = window.map.read(window.rows)
    assert len(set(window.rows.tolist())) == window.size == window.gaussians.size == len(window.steps)
    assert same(values, window.gaussians) and np.array_equal(steps, window.steps)
    assert all(same(a, b) for a, b in zip(moments, window.moments, strict=True))


def test_the_window_holds_just_what_the_views_may_see():
    window = Window(walled())
    for x in (0.0, 1.0, 5.0, 4.0, 15.0, 100.0):
        moved = window.move_to(along(x), 6.0)
        assert set(window.rows.tolist()) == set(window.map.visible(along(x), 6.0).tolist())
        assert moved.added + moved.kept == window.size
        assert_current(window)
    assert window.size == 0


def test_only_what_enters_or_moves_up_from_the_tail_is_new_to_a_gpu():
    window = Window(walled())
    window.move_to(along(0.0), 6.0)
    mirror = window.gaussians.take(np.arange(window.size))
    for x in (0.5, 2.0, 6.0):
        before = window.size
        moved = window.move_to(along(x), 6.0)
        grown = Gaussians.zeros(max(before, window.size))
        grown.put(slice(before), mirror)
        grown.put(moved.slots, window.gaussians.take(moved.slots))
        mirror = grown.take(slice(window.size))
        assert same(mirror, window.gaussians)
        assert (np.diff(moved.slots) > 0).all() and len(moved.slots) <= moved.added + moved.removed
    assert moved.removed == before - moved.kept > 0


def test_a_window_that_does_not_move_changes_nothing():
    window = Window(walled())
    window.move_to(along(3.0), 6.0)
    moved = window.move_to(along(3.0), 6.0)
    assert (moved.added, moved.removed, len(moved.slots)) == (0, 0, 0)


@pytest.mark.parametrize("refined", [False, True], ids=["as seeded", "split and removed on the way"])
def test_optimising_in_the_window_gives_the_map_that_optimising_all_gives(refined):
    outcomes = []
    for windowed in (True, False):
        window = Window(walled())
        for step in np.arange(0.0, 16.0, 0.25):
            window.move_to(along(step) if windowed else None, 6.0)
            pull(window, step)
            if refined and step % 4 == 0:
                rows = window.map.visible([looking((step, 0.0, 0.0))], 3.0)
                window.map.split(rows[::5])
                window.map.remove(rows[1::5])
        window.write_back()
        outcomes.append((window.map.gaussians(), window.map.read(window.map.rows_in_memory())))
        assert_sound(window.map)
    (first, (_, moments1, steps1)), (second, (_, moments2, steps2)) = outcomes
    assert steps1.max() > 10 and np.array_equal(steps1, steps2)
    assert same(first, second) and all(same(a, b) for a, b in zip(moments1, moments2, strict=True))


def test_what_the_window_holds_is_what_the_map_gives():
    window = Window(walled())
    window.move_to(along(0.0), 6.0)
    window.gaussians.harmonics[:] = 9.0
    assert (window.map.take(window.rows).harmonics == 9.0).all()
    window.gaussians.harmonics[:] = 8.0
    assert (window.map.gaussians().harmonics == 8.0).any(axis=(1, 2)).sum() == window.size
    window.gaussians.harmonics[:] = 7.0
    children = window.map.split(window.rows[:5])
    assert (window.map.take(children).harmonics == 7.0).all()


def test_what_the_map_lets_go_or_changes_is_not_written_over():
    window = Window(walled())
    window.move_to(along(0.0), 6.0)
    gone, changed = window.rows[:7].copy(), window.rows[7:9].copy()
    points = window.gaussians.means[:7].copy()
    new = window.map.take(changed)._replace(logits=np.full(2, 0.5, np.float32))
    window.map.put(changed, new)
    window.map.remove(gone)
    again = window.map.add(some(points, 5), np.full(7, 4), 3)
    assert set(again.tolist()) == set(gone.tolist())
    window.gaussians.logits[:] = -5.0
    window.write_back()
    assert same(window.map.take(changed), new)
    assert sorted(window.map.take(again).logits) == sorted(some(points, 5).logits)
    moved = window.move_to(along(0.0), 6.0)
    assert moved.added >= 9
    slots = [window.rows.tolist().index(row) for row in changed]
    assert same(window.gaussians.take(np.array(slots)), new)
    window.write_back()
    assert_current(window)


def test_gaussians_that_leave_with_the_plane_maps_voxels_leave_with_their_last_values():
    window = Window(walled())
    window.move_to(along(10.0), 6.0)
    window.gaussians.logits[:] = 3.25
    count = window.size
    for _ in range(64):
        window.map.plane_map.forget(np.full(3, 1e4), 0)
    window.map.forget()
    assert len(window.map) == 0 and (window.map.gaussians().logits == 3.25).sum() == count
    assert window.move_to(None).removed == count and window.size == 0


def test_a_window_grows_with_what_it_holds_and_keeps_it():
    gaussian_map = empty_map()
    window = Window(gaussian_map)
    rng = np.random.default_rng(0)
    for turn in range(6):
        gaussian_map.add(some(rng.uniform(-9, 9, (700, 3)), turn), np.full(700, 5), turn)
        window.move_to(None)
        window.gaussians.logits[:] += 1.0
    assert window.size == len(gaussian_map) > 3500
    window.write_back()
    assert_current(window)
    assert same(sorted_by_mean(window.gaussians), sorted_by_mean(gaussian_map.gaussians()))
    size = window.nbytes
    window.move_to([], 1.0)
    assert window.size == 0 and window.nbytes == size


def test_far_parts_are_shown_by_stand_ins_which_are_neither_fitted_nor_given_back():
    window, seen = Window(walled()), [looking((-40.0, 0.0, 0.0))]
    moved = window.move_to(seen, 100.0, 4.0)
    found = window.map.visible(seen, 100.0, 4.0)
    assert window.rows.tolist() == found[found >= 0].tolist() and window.shown == len(found) > window.size > 0
    assert moved.slots.tolist() == list(range(window.shown)) and moved.added == window.size
    assert same(window.shown_gaussians.take(slice(window.size, None)), window.map.take(found[found < 0]))
    before = window.map.gaussians()
    window.shown_gaussians.logits[window.size :] = 9.0
    assert same(window.map.gaussians(), before)
    window.move_to(along(0.0), 6.0, 1.0)
    assert window.shown == window.size and set(window.rows) == set(window.map.visible(along(0.0), 6.0))


def test_what_was_fitted_before_it_was_left_behind_is_what_then_stands_for_it():
    window = Window(walled())
    far = [looking((-40.0, 0.0, 0.0))]
    window.move_to(far, 100.0, 4.0)
    window.move_to([looking()], 100.0, 4.0)
    window.gaussians.harmonics[:] = 0.7
    window.move_to(far, 100.0, 4.0)
    stand_ins = window.shown_gaussians.take(slice(window.size, None))
    anew = empty_map()
    anew.restore(window.map.tensors())
    found = anew.visible(far, 100.0, 4.0)
    assert stand_ins.size > 50 and np.isclose(stand_ins.harmonics, 0.7, atol=1e-4).any()
    assert same(sorted_by_mean(stand_ins), sorted_by_mean(anew.take(found[found < 0])))
