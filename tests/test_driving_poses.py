# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""The last poses of the odometry, and when they have nothing to do with those before."""

from __future__ import annotations

import numpy as np
import pytest

from mem4nav.driving.poses import Poses

SCAN_NS = 100_000_000


def at(x: float, y: float = 0.0) -> np.ndarray:
    T = np.eye(4)
    T[:2, 3] = x, y
    return T


@pytest.fixture
def driven() -> Poses:
    """At 8 m/s for 40 m, a pose each tenth of a second."""
    poses = Poses()
    assert all(poses.add(SCAN_NS * n, at(0.8 * n)) for n in range(51))
    return poses


@pytest.mark.parametrize("gap_s", [0.1, 0.6, 1.5])
def test_a_pose_back_at_the_origin_forgets_those_before(driven, gap_s):
    stamp_ns = 50 * SCAN_NS + int(1e9 * gap_s)
    assert not driven.add(stamp_ns, at(0.0))
    assert driven.at(50 * SCAN_NS, SCAN_NS // 2) is None and driven.at(stamp_ns, 0) is not None
    assert driven.add(stamp_ns + SCAN_NS, at(0.8))


@pytest.mark.parametrize(
    ("gap_s", "where"), [(0.1, (40.3, 0.2)), (1.0, (48.0, 0.0)), (1.0, (44.0, 2.0)), (3.0, (40.0, 0.0))]
)
def test_a_pose_that_braking_and_steering_lead_to_goes_on(driven, gap_s, where):
    assert driven.add(50 * SCAN_NS + int(1e9 * gap_s), at(*where))
    assert driven.at(50 * SCAN_NS, 0) is not None


def test_a_stamp_that_jumps_back_forgets_those_before_and_one_that_is_late_is_left_out(driven):
    assert driven.add(49 * SCAN_NS, at(0.0)) and driven.at(49 * SCAN_NS, 0)[0, 3] == pytest.approx(39.2)
    assert not driven.add(0, at(0.0)) and driven.at(50 * SCAN_NS, SCAN_NS) is None
