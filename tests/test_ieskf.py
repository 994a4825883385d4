# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
from itertools import pairwise

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from shared_data import require
from slam import ieskf, so3
from slam.bundle import ImuBlock
from slam.ieskf import BA, BG, GRAV, POS, SIZE, THETA, VEL, FilterState, Steps, predict
from slam.inertial import Inertial
from slam.odometry_config import ImuConfig, MotionConfig


def lively_state():
    rng = np.random.default_rng(0)
    return FilterState(
        0, so3.exp(rng.normal(size=3)), rng.normal(size=3), rng.normal(size=3), 0.1 * rng.normal(size=3),
        0.1 * rng.normal(size=3), np.array([0.1, 0.2, -9.8]), P=np.eye(SIZE) * 1e-4,
    )  # fmt: skip


def one_step(use_accel, dt_ns=1_000_000):
    return Steps(
        np.array([0, dt_ns]), np.array([[0.5, -0.8, 1.2]]), np.array([[0.5, 9.0, -3.0]]),
        np.array([True]), np.array([use_accel]), np.zeros((1, 4)),
    )  # fmt: skip


@pytest.mark.parametrize("use_accel", [True, False])
def test_the_transition_matrix_is_the_derivative_of_the_prediction(use_accel):
    state, steps, eps = lively_state(), one_step(use_accel), 1e-6
    nominal, _ = predict(state, steps)
    numeric = np.empty((SIZE, SIZE))
    for k in range(SIZE):
        nudge = np.zeros(SIZE)
        nudge[k] = eps
        numeric[:, k] = (predict(state.plus(nudge), steps)[0].minus(nominal)) / eps
    state.P = np.eye(SIZE)
    analytic = predict(state, steps)[0].P
    assert np.allclose(analytic, numeric @ numeric.T, atol=3e-5 if use_accel else 3e-3)


def test_plus_and_minus_undo_each_other():
    state, d = lively_state(), 0.1 * np.arange(SIZE)
    assert np.allclose(state.plus(d).minus(state), d)


def test_the_six_by_six_gain_equals_the_textbook_form():
    rng = np.random.default_rng(1)
    root, H = rng.normal(size=(SIZE, SIZE)), np.zeros((40, SIZE))
    P, R = root @ root.T + 0.1 * np.eye(SIZE), np.diag(rng.uniform(0.5, 2.0, 40))
    H[:, :6] = rng.normal(size=(40, 6))
    K_book = np.linalg.inv(H.T @ np.linalg.inv(R) @ H + np.linalg.inv(P)) @ H.T @ np.linalg.inv(R)
    A = (H.T @ np.linalg.inv(R) @ H)[:6, :6]
    K, _ = ieskf.gain(P, A)
    z = rng.normal(size=40)
    assert np.allclose(K @ (H[:, :6].T @ np.linalg.inv(R) @ z), K_book @ z)
    assert np.allclose(ieskf.posterior(P, A), (np.eye(SIZE) - K_book @ H) @ P)


def test_a_free_fall_without_forces_is_a_parabola():
    state = FilterState(0, velocity=np.array([1.0, 0.0, 0.0]))
    n = 100
    steps = Steps(
        np.arange(n + 1) * 10_000_000,
        np.zeros((n, 3)),
        np.zeros((n, 3)),
        np.ones(n, bool),
        np.ones(n, bool),
        np.zeros((n, 4)),
    )
    end, path = predict(state, steps)
    assert np.allclose(end.position, [1.0, 0.0, -0.5 * 9.81])
    assert len(path.stamps_ns) == n + 1


@pytest.fixture(scope="module")
def euroc():
    folder = require("lidar/euroc_v102_imu_gt")
    truth = np.loadtxt(folder / "gt0.csv", delimiter=",", skiprows=1)
    imu = np.loadtxt(folder / "imu0.csv", delimiter=",", skiprows=1)
    stamps = [
        np.loadtxt(folder / name, delimiter=",", skiprows=1, usecols=0, dtype=np.int64)
        for name in ("gt0.csv", "imu0.csv")
    ]
    return Euroc(stamps[0], truth, stamps[1], imu)


class Euroc:
    """Inertial samples with their true states."""

    def __init__(self, truth_ns, truth, imu_ns, imu):
        self.truth_ns, self.truth, self.imu_ns, self.imu = truth_ns, truth, imu_ns, imu
        self.R = Rotation.from_quat(truth[:, [5, 6, 7, 4]]).as_matrix()

    def state(self, i, bg, ba):
        return FilterState(
            int(self.truth_ns[i]), self.R[i].copy(), self.truth[i, 1:4].copy(), self.truth[i, 8:11].copy(), bg, ba
        )

    def steps(self, i, j):
        near = slice(
            np.searchsorted(self.imu_ns, self.truth_ns[i]) - 1, np.searchsorted(self.imu_ns, self.truth_ns[j]) + 1
        )
        inertial = Inertial(ImuConfig(), MotionConfig())
        inertial.add(ImuBlock(self.imu_ns[near], self.imu[near, 1:4], self.imu[near, 4:7]))
        return inertial.steps(int(self.truth_ns[i]), int(self.truth_ns[j]), np.zeros(3))

    def after(self, i, seconds):
        """Index so many seconds later, or None past the end of the samples or across a hole in the truth."""
        j = int(np.searchsorted(self.truth_ns, self.truth_ns[i] + round(seconds * 1e9)))
        if j >= len(self.truth_ns) or self.truth_ns[j] > self.imu_ns[-1]:
            return None
        return j if abs((self.truth_ns[j] - self.truth_ns[i]) * 1e-9 - seconds) < 0.01 else None

    def error_m(self, i, j, bg, ba):
        end, _ = predict(self.state(i, bg, ba), self.steps(i, j))
        return np.linalg.norm(end.position - self.truth[j, 1:4])

    def estimated_biases(self, i, seconds):
        """What the filter makes of true poses, ten a second, over the seconds before i."""
        stamps = self.truth_ns[i] - np.arange(round(10 * seconds), -1, -1) * 100_000_000
        rows = np.searchsorted(self.truth_ns, stamps)
        state = self.state(rows[0], np.zeros(3), np.zeros(3))
        for block, sigma in ((THETA, 0.01), (POS, 0.01), (VEL, 0.1), (BG, 0.1), (BA, 0.2), (GRAV, 1e-4)):
            state.P[block, block] = np.eye(3) * sigma**2
        information = np.diag([1 / 0.005**2] * 3 + [1 / 0.01**2] * 3)
        for k, j in pairwise(rows):
            prior, _ = predict(state, self.steps(k, j))
            z = np.concatenate([so3.log(prior.R.T @ self.R[j]), self.truth[j, 1:4] - prior.position])
            state = prior.plus(ieskf.correction(prior, prior, information, information @ z))
            state.P = ieskf.posterior(prior.P, information)
        return state.bg, state.ba


def test_a_second_of_real_flight_is_propagated_to_centimetres_with_true_biases(euroc):
    errors = [
        euroc.error_m(i, j, euroc.truth[i, 11:14], euroc.truth[i, 14:17])
        for i in range(0, len(euroc.truth_ns), 40)
        if (j := euroc.after(i, 1.0)) is not None
    ]
    assert len(errors) > 20
    assert np.median(errors) <= 0.035


def test_biases_estimated_over_ten_seconds_are_nearly_as_good(euroc):
    errors = []
    for i in range(0, len(euroc.truth_ns), 100):
        before = int(np.searchsorted(euroc.truth_ns, euroc.truth_ns[i] - 10_000_000_000))
        if euroc.truth_ns[i] - euroc.truth_ns[0] < 10_000_000_000 or (j := euroc.after(i, 1.0)) is None:
            continue
        if euroc.after(before, 10.0) is not None:
            errors.append(euroc.error_m(i, j, *euroc.estimated_biases(i, 10.0)))
    assert len(errors) >= 5
    assert np.median(errors) <= 0.05
