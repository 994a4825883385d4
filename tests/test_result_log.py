# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from slam.result_log import ResultLog
from slam.results import Health, ScanResult, State


def result(k):
    rng = np.random.default_rng(k)
    T, C = np.eye(4), rng.normal(size=(6, 6))
    T[:3] = rng.normal(size=(3, 4))
    health = Health() if k % 3 else Health(State.DEGRADED, np.eye(3)[:1], (f"reason {k}",))
    return ScanResult(
        10**18 + k, T, 2.0 * T - np.eye(4), C + C.T, health, k % 2, 5000 + k, k, 0.01 * k, "used" if k % 2 else "",
        100 * k, 90 * k,
    )  # fmt: skip


def test_what_is_read_equals_what_was_appended():
    log = ResultLog()
    for k in range(5000):
        log.append(result(k))
    assert len(log) == 5000
    for k, read in ((0, log[0]), (4095, log[4095]), (4096, log[4096]), (4999, log[-1]), (4998, log[-2:][0])):
        told = result(k)
        for name in ("T_odom_base", "T_odom_lidar", "covariance"):
            assert np.array_equal(getattr(read, name), getattr(told, name))
        assert (read.stamp_ns, read.segment, read.points, read.matched) == (10**18 + k, k % 2, 5000 + k, k)
        assert (read.residual_m, read.wall_ns, read.cpu_ns) == (0.01 * k, 100 * k, 90 * k)
        assert read.camera == told.camera
        assert (read.health.state, read.health.reasons) == (told.health.state, told.health.reasons)
        assert np.array_equal(read.health.axes, told.health.axes)
    assert [r.stamp_ns for r in log] == [10**18 + k for k in range(5000)]


def test_an_index_past_the_end_is_an_error():
    with pytest.raises(IndexError, match="result 0 of 0"):
        ResultLog()[0]
