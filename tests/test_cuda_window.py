# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Adam and the sliding window on the graphics processor, against their CPU twins."""

from __future__ import annotations

import numpy as np
import pytest

from cuda_host import HostDevice, devices
from slam.gaussian_map import adam
from slam.gaussian_map.cuda_window import CudaWindow, step
from slam.gaussian_map.fitting_window import CpuWindow, fitting_window
from slam.gaussian_map.store import GaussianMap
from slam.gpu import missing
from slam.octree import PlaneMap
from slam.odometry_config import MapConfig
from slam.splatting.gaussians import Gaussians
from slam.splatting.view import View

on_each_device = pytest.mark.parametrize("device", devices())
RATES = adam.LearningRates()


def looking(x: float) -> View:
    """Along z, from x metres to the right."""
    T = np.eye(4)
    T[0, 3] = -x
    return View(32, 32, np.array([[30.0, 0, 15.5], [0, 30.0, 15.5], [0, 0, 1.0]]), T)


def patches(centre_x: float, count: int, seed: int = 0) -> Gaussians:
    """Gaussians in front of the camera that stands at ``centre_x``."""
    rng = np.random.default_rng(seed)
    out = Gaussians.zeros(count)
    out.means[:] = rng.uniform([centre_x - 0.7, -0.7, 2.0], [centre_x + 0.7, 0.7, 3.0], (count, 3))
    out.quats[:] = rng.normal(0, 1, (count, 4))
    out.log_scales[:] = rng.uniform(-4, -2, (count, 3))
    out.logits[:] = rng.uniform(-1, 2, count)
    out.harmonics[:] = rng.normal(0, 0.5, (count, 1, 3))
    return out


@on_each_device
def test_adam_moves_what_was_seen_as_the_cpu_does_and_lets_the_rest_lie(device):
    device, rng, n = device(), np.random.default_rng(0), 70
    values, moments, steps = patches(0.0, n), (Gaussians.zeros(n), Gaussians.zeros(n)), np.zeros(n, np.int32)
    there = [Gaussians(*(device.xp.asarray(array) for array in part)) for part in (values, *moments)]
    steps_there = device.xp.asarray(steps)
    for _ in range(20):
        slope, seen = patches(rng.normal(), n, rng.integers(100)), rng.random(n) < 0.7
        adam.step(values, slope, moments, steps, seen, RATES)
        slope_there = Gaussians(*(device.xp.asarray(array) for array in slope))
        step(device, there[0], slope_there, (there[1], there[2]), steps_there, device.xp.asarray(seen), RATES)
    assert np.array_equal(device.to_host(steps_there), steps)
    for part, expected in zip(there, (values, *moments), strict=True):
        for array, theirs in zip(part, expected, strict=True):
            assert np.allclose(device.to_host(array), theirs, rtol=2e-5, atol=2e-6)


def map_of(count: int) -> GaussianMap:
    """Two heaps, 20 m apart."""
    gaussian_map = GaussianMap(PlaneMap(MapConfig()))
    for x, seed in ((0.0, 1), (20.0, 2)):
        gaussian_map.add(patches(x, count, seed), np.full(count, gaussian_map.config.max_level, np.int32), 0)
    return gaussian_map


def windows(device, count: int = 40) -> tuple[CudaWindow, CpuWindow]:
    """One on the device and one on the CPU, of two equal maps, that hold the first heap."""
    both = CudaWindow(map_of(count), device), CpuWindow(map_of(count))
    for window in both:
        window.move_to([looking(0.0)], 10.0)
    return both


def fitted(window: CudaWindow | CpuWindow, view: View) -> None:
    shown = window.render(view)
    window.fit(shown, RATES, shown.colour - 0.5, 0.1 * shown.alpha)


def assert_same(ours: Gaussians, theirs: Gaussians) -> None:
    for name, array, other in zip(Gaussians._fields, ours, theirs, strict=True):
        assert np.allclose(array, other, rtol=1e-3, atol=1e-4), name


@on_each_device
def test_a_window_that_moves_while_it_is_fitted_ends_as_on_the_cpu(device):
    ours, theirs = windows(device())
    for x, fits in ((0.0, 3), (20.0, 2), (10.0, 1), (0.0, 3)):
        for window in (ours, theirs):
            window.move_to([looking(x)], 10.0)
            for _ in range(fits):
                fitted(window, looking(x))
    assert ours.size == theirs.size > 20
    assert np.array_equal(ours.rows, theirs.rows) and np.array_equal(ours.steps, theirs.steps)
    assert ours.steps.max() == 6
    for part, expected in zip((ours.gaussians, *ours.moments), (theirs.gaussians, *theirs.moments), strict=True):
        assert_same(part, expected)


@on_each_device
def test_the_map_sees_what_was_fitted_on_the_device(device):
    ours, theirs = windows(device())
    before = ours.map.gaussians()
    for window in (ours, theirs):
        fitted(window, looking(0.0))
    assert_same(ours.map.gaussians(), theirs.map.gaussians())
    assert np.abs(ours.map.gaussians().logits - before.logits).max() > 0.5 * RATES.logits


@on_each_device
def test_what_others_write_into_the_window_reaches_the_device(device):
    ours, theirs = windows(device())
    for window in (ours, theirs):
        fitted(window, looking(0.0))
        window.gaussians.harmonics[:, 0] += 0.3
        fitted(window, looking(0.0))
    assert_same(ours.gaussians, theirs.gaussians)


@on_each_device
def test_colours_are_painted_sizes_bounded_and_centres_told_as_on_the_cpu(device):
    ours, theirs = windows(device())
    for window in (ours, theirs):
        shown = window.render(looking(0.0))
        window.paint(shown, 0.1 - shown.colour)
        window.bound(np.linspace(-4.0, -2.0, window.size).astype(np.float32))
    seen, (a, b) = shown.seen, (window.centres(window.render(looking(0.0))) for window in (ours, theirs))
    assert seen.sum() > 20 and np.allclose(a[seen], b[seen], atol=1e-3)
    before = map_of(40).gaussians()
    assert np.abs(ours.gaussians.harmonics - before.take(ours.rows).harmonics).max() > 0.1
    assert_same(ours.gaussians, theirs.gaussians)


def test_a_window_that_is_painted_fitted_and_bounded_stays_on_the_device():
    ours, _ = windows(HostDevice())
    ours._upload = ours._download = lambda *_: pytest.fail("moved to or from the device")
    for _ in range(3):
        fitted(ours, looking(0.0))
        ours.paint(shown := ours.render(looking(0.0)), 0.1 - shown.colour)
        ours.bound(np.full(ours.size, -2.0, np.float32))
        ours.centres(shown)


def test_a_move_sends_what_changed_and_no_more():
    ours, _ = windows(HostDevice())
    fitted(ours, looking(0.0))
    sent = []
    upload = ours._upload
    ours._upload = lambda slots: (sent.append(len(slots)), upload(slots))
    assert ours.move_to([looking(0.0)], 10.0).added == 0
    more = patches(0.0, 5, 9)
    added = ours.map.add(more, np.full(5, ours.map.config.max_level, np.int32), 1)
    ours.move_to([looking(0.0)], 10.0)
    fitted(ours, looking(0.0))
    assert sent == [0, len(added)]


@on_each_device
def test_a_window_that_outgrows_its_room_keeps_what_was_fitted(device):
    ours, theirs = windows(device())
    for window in (ours, theirs):
        fitted(window, looking(0.0))
        window.map.add(patches(0.0, 1500, 7), np.full(1500, window.map.config.max_level, np.int32), 1)
        window.move_to([looking(0.0)], 10.0)
    assert ours.size > 1024
    assert np.allclose(ours.render(looking(0.0)).colour, theirs.render(looking(0.0)).colour, atol=1e-4)
    assert_same(ours.gaussians, theirs.gaussians)


@on_each_device
def test_what_stands_for_far_parts_is_shown_and_left_alone_as_on_the_cpu(device):
    ours, theirs = windows(device())
    far = looking(0.0)
    far.T_camera_world[2, 3] = 6.0
    for window in (ours, theirs):
        window.move_to([far], 100.0, 0.9)
        for _ in range(3):
            fitted(window, far)
            window.paint(shown := window.render(far), 0.1 - shown.colour)
    assert 0 < ours.size < ours.shown == theirs.shown and len(ours.centres(ours.render(far))) == ours.size
    assert np.allclose(ours.render(far).colour, theirs.render(far).colour, atol=1e-3)
    assert_same(ours.shown_gaussians, theirs.shown_gaussians)
    assert_same(ours.map.gaussians(), theirs.map.gaussians())


def test_one_switch_picks_the_window():
    assert isinstance(fitting_window(map_of(1), "cpu"), CpuWindow)
    assert isinstance(fitting_window(map_of(1), "auto"), CpuWindow if missing() else CudaWindow)
