# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""From inertial samples to the steps of a prediction: interpolation, gaps, saturation, and no IMU at all."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from slam.bundle import ImuBlock
from slam.ieskf import Steps
from slam.imu_units import accelerometer_unit
from slam.odometry_config import ImuConfig, MotionConfig

HISTORY_NS = 3_000_000_000
STUCK_SAMPLES = 5
PLATEAU_SAMPLES = 3
PEAK_DECAY = 0.99
MODEL_STEP_NS = 20_000_000
SLOW_IMU_S = 0.3
"""Until the sample period is known, an IMU may be as slow as ten a second."""


class Inertial:
    """The recent samples of one IMU, and what can be trusted of them.

    Attributes:
        scale, note: factor to m/s^2 for the accelerometer, and how it was recognised.
        clipped, stuck: samples so far that were saturated, and that repeated the one before in every channel.
    """

    def __init__(self, imu: ImuConfig, motion: MotionConfig) -> None:
        self.imu, self.motion = imu, motion
        self.scale, self.note = 1.0, ""
        self.clipped = self.stuck = 0
        self._peak, self._run, self._before = np.zeros(6), np.zeros(6, int), np.full(6, np.nan)
        self.clear()

    def clear(self) -> None:
        """Forget all samples: their clock no longer holds."""
        self.stamps_ns = np.zeros(0, np.int64)
        self.values = np.zeros((0, 6))
        self._clip = np.zeros((0, 2), bool)
        self._frozen = np.zeros(0, bool)
        self._longest_gap_s = max(self.imu.max_gap_s, SLOW_IMU_S)

    def recognise_unit(self, block: ImuBlock) -> bool:
        """Settle the accelerometer's unit with the first samples; True when this call did."""
        if self.note:
            return False
        self.scale, self.note = accelerometer_unit(np.linalg.norm(block.accel, axis=1))
        return True

    def speaks(self, stamp_ns: int) -> bool:
        """Whether there are samples close to this time."""
        return len(self.stamps_ns) > 0 and bool(np.abs(self.stamps_ns - stamp_ns).min() < 1e9 * self._longest_gap_s)

    def add(self, block: ImuBlock) -> None:
        """Take the samples of a bundle, and drop those too old to be needed."""
        if not len(block):
            return
        values = np.hstack([block.gyro, block.accel * self.scale])
        clip, frozen = self._suspect(values)
        keep = self.stamps_ns > block.stamps_ns[-1] - HISTORY_NS
        self.stamps_ns = np.concatenate([self.stamps_ns[keep], block.stamps_ns])
        self.values = np.vstack([self.values[keep], values])
        self._clip = np.vstack([self._clip[keep], clip])
        self._frozen = np.concatenate([self._frozen[keep], frozen])
        if len(self.stamps_ns) > 2:
            self._longest_gap_s = max(self.imu.max_gap_s, 3e-9 * float(np.median(np.diff(self.stamps_ns))))
        self.clipped += int(clip.any(1).sum())
        self.stuck += int(frozen.sum())

    def window(self, start_ns: int, end_ns: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Stamps (M,) and values (M, 6: gyro, accel in m/s^2) with start_ns <= stamp <= end_ns."""
        inside = (self.stamps_ns >= start_ns) & (self.stamps_ns <= end_ns)
        return self.stamps_ns[inside], self.values[inside]

    def steps(self, start_ns: int, end_ns: int, turn_rate: NDArray[np.float64]) -> Steps:
        """Steps from start_ns to end_ns; where no sample speaks, the motion model does.

        Args:
            turn_rate: (3,) what the gyroscope would read now; held where it is silent.
        """
        first = max(int(np.searchsorted(self.stamps_ns, start_ns, "right")) - 1, 0)
        last = int(np.searchsorted(self.stamps_ns, end_ns, "left")) + 1
        stamps, values = self.stamps_ns[first:last], self.values[first:last]
        inside = (stamps > start_ns) & (stamps < end_ns)
        knots = np.concatenate([[start_ns], stamps[inside], [end_ns]]).astype(np.int64)
        knots = _refine(knots)
        if not len(stamps):
            return self._modelled(knots, turn_rate)
        return self._measured(knots, stamps, values, slice(first, last), turn_rate)

    def _measured(self, knots, stamps, values, rows, turn_rate) -> Steps:
        seconds = (stamps - stamps[0]) * 1e-9
        at = (knots - stamps[0]) * 1e-9
        sampled = np.column_stack([np.interp(at, seconds, values[:, k]) for k in range(6)])
        mean = 0.5 * (sampled[1:] + sampled[:-1])
        middle = 0.5 * (at[1:] + at[:-1])
        nearest = _nearest(middle, seconds)
        clip, frozen = self._clip[rows][nearest], self._frozen[rows][nearest]
        silent = frozen | self._between(middle, seconds)
        beyond = (middle < seconds[0]) | (middle > seconds[-1])
        mean[frozen | (beyond & silent), :3] = turn_rate
        short = clip[:, :1] & (np.abs(mean[:, :3]) < np.abs(turn_rate))
        mean[:, :3] = np.where(short, turn_rate, mean[:, :3])
        accel_ok = ~silent & ~clip[:, 1]
        density = np.empty((len(mean), 4))
        density[:, 0] = np.where(silent | clip[:, 0], self.motion.turn_density, self.imu.gyro_density)
        density[:, 1] = np.where(accel_ok, self.imu.accel_density, self.motion.velocity_density)
        density[:, 2], density[:, 3] = self.imu.gyro_bias_density, self.imu.accel_bias_density
        return Steps(knots, mean[:, :3], mean[:, 3:], ~silent, accel_ok, density)

    def _modelled(self, knots: NDArray[np.int64], turn_rate: NDArray[np.float64]) -> Steps:
        n = len(knots) - 1
        density = np.tile([self.motion.turn_density, self.motion.velocity_density, 0.0, 0.0], (n, 1))
        no = np.zeros(n, bool)
        return Steps(knots, np.tile(turn_rate, (n, 1)), np.zeros((n, 3)), no, no, density)

    def _between(self, middle, seconds) -> NDArray[np.bool_]:
        """Steps that lie in a gap between samples, or far before the first or after the last."""
        limit = self._longest_gap_s
        after = np.searchsorted(seconds, middle)
        left = np.where(after > 0, seconds[np.maximum(after - 1, 0)], -np.inf)
        right = np.where(after < len(seconds), seconds[np.minimum(after, len(seconds) - 1)], np.inf)
        alone = np.minimum(middle - left, right - middle) > limit
        return (np.isfinite(right - left) & (right - left > limit)) | alone

    def _suspect(self, values: NDArray[np.float64]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """(M, 2) gyro and accel samples at a limit, and (M,) samples of an IMU that repeats itself.

        Saturation is a plateau: a channel that keeps the exact value of the largest reading it gave lately.
        """
        clip, frozen = np.zeros((len(values), 2), bool), np.zeros(len(values), bool)
        size, limits, least = np.abs(values), self.imu.limits(), self.imu.least_limit()
        for i in range(len(values)):
            self._peak = np.maximum(PEAK_DECAY * self._peak, size[i])
            same = values[i] == self._before
            self._run = np.where(same, self._run + 1, 0)
            flat = (size[i] >= self._peak) & (size[i] > least) & (self._run >= PLATEAU_SAMPLES - 1)
            held = flat | (size[i] >= limits)
            clip[i] = held[:3].any(), held[3:].any()
            frozen[i] = self._run.min() >= STUCK_SAMPLES - 1
            self._before = values[i]
        return clip, frozen


def modelled_steps(start_ns: int, end_ns: int, motion: MotionConfig) -> Steps:
    """Steps of the constant-velocity model without an IMU: the gyro-bias block carries the turn rate.

    The body frame keeps its twist; white noise on turn rate and velocity makes it a random walk.
    """
    knots = _refine(np.array([start_ns, end_ns], np.int64))
    n = len(knots) - 1
    density = np.tile([0.0, motion.velocity_density, motion.turn_rate_density, 0.0], (n, 1))
    return Steps(knots, np.zeros((n, 3)), np.zeros((n, 3)), np.ones(n, bool), np.zeros(n, bool), density)


def _refine(knots: NDArray[np.int64]) -> NDArray[np.int64]:
    """Cut steps longer than MODEL_STEP_NS into equal parts."""
    if len(knots) < 2 or np.diff(knots).max() <= MODEL_STEP_NS:
        return knots
    parts = [
        np.linspace(a, b, int((b - a) // MODEL_STEP_NS) + 1, endpoint=False).astype(np.int64)
        for a, b in pairwise(knots)
    ]
    return np.concatenate([*parts, knots[-1:]])


def _nearest(at: NDArray[np.float64], seconds: NDArray[np.float64]) -> NDArray[np.intp]:
    after = np.clip(np.searchsorted(seconds, at), 1, max(len(seconds) - 1, 1))
    if len(seconds) == 1:
        return np.zeros(len(at), np.intp)
    return np.where(at - seconds[after - 1] < seconds[after] - at, after - 1, after)
