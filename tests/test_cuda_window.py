# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Adam and the sliding window on the graphics processor, against their CPU twins."""

from __future__ import annotations

import numpy as np
import pytest

from cuda_host import devices
from slam.gaussian_map import adam
from slam.gaussian_map.cuda_window import CudaWindow, step
from slam.gaussian_map.store import GaussianMap
from slam.gaussian_map.window import Window
from slam.octree import PlaneMap
from slam.odometry_config import MapConfig
from slam.splatting.gaussians import Gaussians
from slam.splatting.rendering import gradients, render
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


def window_of(count: int) -> Window:
    """Two heaps, 20 m apart, and a window that holds the first."""
    gaussian_map = GaussianMap(PlaneMap(MapConfig()))
    for x, seed in ((0.0, 1), (20.0, 2)):
        gaussian_map.add(patches(x, count, seed), np.full(count, gaussian_map.config.max_level, np.int32), 0)
    window = Window(gaussian_map)
    window.move_to([looking(0.0)], 10.0)
    return window


def fitted_on_cpu(window: Window, view: View) -> None:
    shown = render(window.gaussians, view)
    slope = gradients(shown, shown.colour - 0.5, 0.1 * shown.depth)
    adam.step(window.gaussians, slope.gaussians, window.moments, window.steps, shown.seen, RATES)


def fitted_on(there: CudaWindow, view: View) -> None:
    shown = there.render(view)
    there.fit(shown, RATES, shown.colour - 0.5, 0.1 * shown.depth)


@on_each_device
def test_a_window_that_moves_while_it_is_fitted_ends_as_on_the_cpu(device):
    ours, theirs = window_of(40), window_of(40)
    there = CudaWindow(device(), ours)
    for x, fits in ((0.0, 3), (20.0, 2), (10.0, 0), (0.0, 3)):
        there.download()
        there.upload(ours.move_to([looking(x)], 10.0).slots)
        theirs.move_to([looking(x)], 10.0)
        for _ in range(fits):
            fitted_on(there, looking(x))
            fitted_on_cpu(theirs, looking(x))
    there.download()
    assert ours.size == theirs.size > 20
    assert np.array_equal(ours.rows, theirs.rows) and np.array_equal(ours.steps, theirs.steps)
    assert ours.steps.max() == 6
    for part, expected in zip((ours.gaussians, *ours.moments), (theirs.gaussians, *theirs.moments), strict=True):
        for array, other in zip(part, expected, strict=True):
            assert np.allclose(array, other, rtol=1e-3, atol=1e-4)


@on_each_device
def test_what_was_not_fitted_comes_back_as_it_went_and_only_changed_slots_are_sent(device):
    window = window_of(40)
    there = CudaWindow(device(), window)
    before = [array.copy() for array in window.gaussians]
    window.gaussians.logits[3] = 9.0
    window.gaussians.logits[5] = 9.0
    there.upload(np.array([3]))
    fitted_on(there, looking(0.0))
    there.download()
    assert window.gaussians.logits[3] > 8.0
    assert window.gaussians.logits[5] == pytest.approx(before[3][5], abs=2 * RATES.logits)


@on_each_device
def test_a_window_that_outgrows_its_room_keeps_what_was_fitted(device):
    window = window_of(40)
    there = CudaWindow(device(), window)
    fitted_on(there, looking(0.0))
    there.download()
    kept = dict(zip(window.rows.tolist(), window.gaussians.logits.tolist(), strict=True))
    more = patches(0.0, 1500, 7)
    window.map.add(more, np.full(1500, window.map.config.max_level, np.int32), 1)
    there.upload(window.move_to([looking(0.0)], 10.0).slots)
    assert window.size > 1024
    shown, expected = there.render(looking(0.0)), render(window.gaussians, looking(0.0))
    assert np.allclose(shown.colour, expected.colour, atol=1e-4)
    now = dict(zip(window.rows.tolist(), window.gaussians.logits.tolist(), strict=True))
    assert all(now[row] == logit for row, logit in kept.items() if row in now)
