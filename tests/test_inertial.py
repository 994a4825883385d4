# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""From inertial samples to the steps of a prediction, and what is made of samples that cannot be true."""

from dataclasses import replace

import numpy as np
import pytest

from slam.bundle import ImuBlock
from slam.inertial import Inertial, modelled_steps
from slam.measurements import ImuSample
from slam.odometry_config import ImuConfig, MotionConfig
from slam.replay import replay
from small_drives import ate_m, recorded
from small_world import Stream

MS = 1_000_000
HELD = np.array([0.1, 0.2, 0.3])
"""The turn rate that is held where the gyroscope is silent."""


def ramp(t):
    """Gyro and accelerometer (N, 6) that change linearly with time (N,), seconds."""
    return np.atleast_1d(t)[:, None] * [1.0, -2.0, 0.5, 3.0, 1.0, -4.0] + [0.1, 0.2, -0.3, 0.5, -1.0, 9.8]


def block(ms, values):
    return ImuBlock(np.asarray(ms, np.int64) * MS, values[:, :3].copy(), values[:, 3:].copy())


def noisy(count, seed=0):
    values = np.random.default_rng(seed).normal(0.0, 0.02, (count, 6))
    values[:, 5] += 9.81
    return values


def with_samples(ms, values=None):
    inertial = Inertial(ImuConfig(), MotionConfig())
    inertial.add(block(ms, ramp(np.asarray(ms) * 1e-3) if values is None else values))
    return inertial


def integral(steps):
    """(6,) of gyro and accelerometer over the steps."""
    seconds = np.diff(steps.stamps_ns) * 1e-9
    return seconds @ np.hstack([steps.gyro, steps.accel])


def within(steps, start_ms, end_ms):
    """Which steps lie inside a span."""
    return (steps.stamps_ns[:-1] >= start_ms * MS) & (steps.stamps_ns[1:] <= end_ms * MS)


@pytest.mark.parametrize(("start", "end"), [(0, 100), (3, 98), (5, 95), (7, 8), (2.5, 97.5)])
def test_samples_are_interpolated_at_the_ends_of_the_interval(start, end):
    steps = with_samples(np.arange(-20, 130, 5)).steps(round(start * MS), round(end * MS), HELD)
    assert (steps.stamps_ns[0], steps.stamps_ns[-1]) == (round(start * MS), round(end * MS))
    assert (np.diff(steps.stamps_ns) > 0).all()
    middle = ramp([(start + end) * 0.5e-3])[0]
    assert np.allclose(integral(steps), middle * (end - start) * 1e-3)
    assert steps.use_gyro.all() and steps.use_accel.all()


def test_two_intervals_in_a_row_integrate_to_the_whole():
    inertial = with_samples(np.arange(-20, 230, 5), noisy(50))
    whole = integral(inertial.steps(0, 200 * MS, HELD))
    parts = integral(inertial.steps(0, 103 * MS, HELD)) + integral(inertial.steps(103 * MS, 200 * MS, HELD))
    assert np.allclose(whole, parts)


def test_samples_that_end_a_little_early_are_held():
    steps = with_samples(np.arange(0, 95, 5)).steps(0, 100 * MS, HELD)
    assert steps.use_gyro.all() and np.allclose(steps.gyro[-1], ramp([0.09])[0, :3])


def test_a_gap_is_bridged_by_the_motion_model():
    before, after = np.arange(0, 105, 5), np.arange(400, 505, 5)
    steps = with_samples(np.concatenate([before, after])).steps(0, 500 * MS, HELD)
    gap = within(steps, 100, 400)
    assert gap.sum() >= 15  # cut into short steps
    assert not steps.use_gyro[gap].any() and not steps.use_accel[gap].any()
    assert (steps.density[gap, 0] == MotionConfig().turn_density).all()
    assert (steps.density[gap, 1] == MotionConfig().velocity_density).all()
    assert steps.use_gyro[~gap].all() and steps.use_accel[~gap].all()


def test_a_silence_at_the_end_holds_the_turn_rate_given():
    steps = with_samples(np.arange(0, 105, 5)).steps(0, 400 * MS, HELD)
    silent = within(steps, 160, 400)
    assert silent.any() and np.allclose(steps.gyro[silent], HELD)
    assert not steps.use_gyro[silent].any() and not steps.use_accel[silent].any()


def test_a_silence_at_the_start_holds_the_turn_rate_given():
    steps = with_samples(np.arange(300, 405, 5)).steps(0, 400 * MS, HELD)
    silent = within(steps, 0, 240)
    assert silent.any() and np.allclose(steps.gyro[silent], HELD) and not steps.use_accel[silent].any()
    assert steps.use_gyro[within(steps, 300, 400)].all()


def test_without_any_sample_the_motion_model_has_its_say_throughout():
    steps = Inertial(ImuConfig(), MotionConfig()).steps(10 * MS, 110 * MS, HELD)
    assert (steps.stamps_ns[0], steps.stamps_ns[-1]) == (10 * MS, 110 * MS)
    assert np.allclose(steps.gyro, HELD) and not steps.use_gyro.any() and not steps.use_accel.any()


def test_without_an_imu_the_bias_carries_the_turn_rate():
    steps = modelled_steps(10 * MS, 115 * MS, MotionConfig())
    assert (steps.stamps_ns[0], steps.stamps_ns[-1]) == (10 * MS, 115 * MS)
    assert np.diff(steps.stamps_ns).max() <= 20 * MS
    assert steps.use_gyro.all() and not steps.use_accel.any() and not steps.gyro.any()


@pytest.mark.parametrize("channel", range(6))
def test_a_plateau_at_the_largest_reading_is_saturation(channel):
    values = noisy(60)
    values[:, channel] += 30.0 * np.sin(np.linspace(0, np.pi, 60))
    limit = 20.0
    values[:, channel] = np.clip(values[:, channel], -limit, limit)
    held = values[:, channel] == limit
    inertial = with_samples(np.arange(0, 300, 5), values)
    assert 0 < held.sum() - inertial.clipped <= 2  # it takes three readings to see a plateau
    steps = inertial.steps(0, 295 * MS, HELD)
    top = within(steps, 130, 170)
    if channel < 3:
        assert (steps.density[top, 0] == MotionConfig().turn_density).all() and steps.use_accel.all()
    else:
        assert not steps.use_accel[top].any() and steps.use_gyro.all()
    assert steps.use_accel[within(steps, 0, 40)].all()


def test_a_gyroscope_at_its_limit_gives_way_to_a_faster_turn_seen_by_the_lidar():
    values = noisy(40)
    values[10:, 2] = 4.0
    steps = with_samples(np.arange(0, 200, 5), values).steps(0, 195 * MS, np.array([0.0, 0.0, 6.0]))
    late = within(steps, 100, 195)
    assert np.allclose(steps.gyro[late, 2], 6.0)
    slower = with_samples(np.arange(0, 200, 5), values).steps(0, 195 * MS, np.array([0.0, 0.0, 3.0]))
    assert np.allclose(slower.gyro[late, 2], 4.0)


def test_readings_at_the_configured_limit_are_saturated_at_once():
    values = noisy(20)
    values[10, 3] = 165.0
    assert with_samples(np.arange(0, 100, 5), values).clipped == 1


def test_nothing_is_said_of_a_healthy_imu_in_lively_motion():
    t = np.arange(400) * 0.005
    values = noisy(400) + np.sin(9.0 * t)[:, None] * [2.0, 1.0, 3.0, 8.0, 15.0, 6.0]
    inertial = with_samples(np.arange(0, 2000, 5), values)
    assert (inertial.clipped, inertial.stuck) == (0, 0)


def test_an_imu_that_repeats_one_sample_is_not_believed():
    values = noisy(60)
    values[20:] = values[20]
    inertial = with_samples(np.arange(0, 300, 5), values)
    assert 30 <= inertial.stuck <= 39
    steps = inertial.steps(0, 295 * MS, HELD)
    late = within(steps, 130, 295)
    assert not steps.use_gyro[late].any() and not steps.use_accel[late].any()
    assert np.allclose(steps.gyro[late], HELD)
    assert steps.use_gyro[within(steps, 0, 95)].all()


def test_one_channel_that_stands_still_is_not_a_stuck_imu():
    values = noisy(60)
    values[:, 3] = 0.0
    inertial = with_samples(np.arange(0, 300, 5), values)
    assert (inertial.stuck, inertial.clipped) == (0, 0)


@pytest.mark.parametrize(("unit", "scale"), [(1.0, 1.0), (9.80665, 9.80665)])
def test_the_accelerometers_unit_is_recognised_once_and_applied(unit, scale):
    inertial, values = Inertial(ImuConfig(), MotionConfig()), noisy(20)
    first = block(np.arange(0, 100, 5), values / [1, 1, 1, unit, unit, unit])
    assert inertial.recognise_unit(first) and not inertial.recognise_unit(first)
    inertial.add(first)
    assert inertial.scale == scale and inertial.note
    _, kept = inertial.window(0, 95 * MS)
    assert np.allclose(kept, values)


def test_ten_samples_a_second_are_no_gaps():
    inertial = with_samples(np.arange(0, 2100, 100))
    steps = inertial.steps(250 * MS, 1930 * MS, HELD)
    assert steps.use_gyro.all() and steps.use_accel.all()
    assert np.allclose(integral(steps), ramp([1.09])[0] * 1.68)


def test_the_first_two_samples_of_a_slow_imu_are_no_gap():
    assert with_samples([0, 100]).steps(20 * MS, 90 * MS, HELD).use_gyro.all()


def test_a_single_sample_speaks_for_its_surroundings_alone():
    steps = with_samples([100]).steps(0, 900 * MS, HELD)
    assert steps.use_gyro[within(steps, 0, 300)].all() and not steps.use_gyro[within(steps, 500, 900)].any()


def test_only_the_last_seconds_are_kept():
    inertial = Inertial(ImuConfig(), MotionConfig())
    for second in range(20):
        ms = np.arange(1000 * second, 1000 * (second + 1), 5)
        inertial.add(block(ms, noisy(200, second)))
    assert len(inertial.stamps_ns) == 600 and inertial.stamps_ns[-1] == 19_995 * MS
    inertial.clear()
    assert not len(inertial.stamps_ns) and not inertial.speaks(19_995 * MS)


def test_it_speaks_near_its_samples_only():
    inertial = with_samples(np.arange(0, 500, 5))
    assert inertial.speaks(495 * MS) and inertial.speaks(530 * MS) and not inertial.speaks(700 * MS)


def test_a_drive_with_an_accelerometer_in_g_is_the_same_to_a_millimetre():
    drive, measurements = recorded()
    in_g = [replace(m, accel=m.accel / 9.80665) if isinstance(m, ImuSample) else m for m in measurements]
    si, g = replay(Stream(measurements)), replay(Stream(in_g))
    apart = np.linalg.norm(si.trajectory().positions - g.trajectory().positions, axis=1)
    assert apart.max() < 1e-3
    assert any("in g" in line for line in g.log) and not any("in g" in line for line in si.log)
    assert ate_m(g, drive) < 0.02


def test_a_drive_with_ten_samples_a_second_is_as_good():
    drive, measurements = recorded(imu_hz=10)
    result = replay(Stream(measurements))
    assert ate_m(result, drive) < 0.02
    assert {r.health.state.value for r in result.results} == {"ok"}
