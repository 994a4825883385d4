# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Directions that the geometry leaves open are named, and left to the prior."""

import numpy as np
import pytest

from plane_worlds import HERE, NOISE, corridor, floor, mapped, measured, room
from plane_worlds import pose_variance as variance
from slam import so3
from slam.degeneracy import unconstrained_axes, without
from slam.deskew import bend
from slam.ieskf import POS, THETA, FilterState, Path
from slam.lidar_update import align
from slam.octree import PlaneMap
from slam.odometry_config import HealthConfig, MapConfig, RegistrationConfig
from slam.prediction import Prediction
from slam.registration import linearise

YAW = so3.exp(np.array([0.0, 0.0, 0.4]))


def fitted(world, R=YAW, t=(0.02, 0.01, 0.0), count=1500):
    """A scan of the world, turned by R, against the map of another one."""
    t = np.asarray(t, float)
    plane_map = mapped(world(np.random.default_rng(1)) @ R.T)
    points = measured(world(np.random.default_rng(2)) @ R.T, count)
    return linearise(plane_map, points, bend(np.eye(3), t, np.eye(3), t, 1.0), 1.0, HERE, variance(1e-5, 1e-2), NOISE)


def angle_deg(axis, direction):
    return np.degrees(np.arccos(min(1.0, abs(axis @ direction))))


@pytest.mark.parametrize("yaw_deg", [0.0, 23.0, 90.0, 137.0])
def test_a_corridor_leaves_its_own_direction_open(yaw_deg):
    R = so3.exp(np.array([0.0, 0.0, np.radians(yaw_deg)]))
    axes = unconstrained_axes(fitted(corridor, R), HealthConfig())
    assert axes.shape == (1, 3)
    assert angle_deg(axes[0], R[:, 0]) < 10.0


def test_a_single_plane_leaves_its_two_directions_open():
    R = so3.exp(np.array([0.3, -0.2, 0.4]))
    axes = unconstrained_axes(fitted(floor, R), HealthConfig())
    assert axes.shape == (2, 3)
    assert np.allclose(axes @ axes.T, np.eye(2), atol=1e-9)
    assert np.abs(axes @ R[:, 2]).max() < np.sin(np.radians(10.0))


@pytest.mark.parametrize("count", [200, 1500, 6000])
def test_a_room_leaves_nothing_open_however_many_points_tell(count):
    assert not len(unconstrained_axes(fitted(room, count=count), HealthConfig()))


def test_far_from_the_origin_the_axis_is_the_same():
    shift = np.array([300_000.0, -400_000.0, 120.0])
    plane_map = mapped(corridor(np.random.default_rng(1)) @ YAW.T + shift)
    poses = bend(np.eye(3), shift, np.eye(3), shift, 1.0)
    points = measured(corridor(np.random.default_rng(2)) @ YAW.T)
    axes = unconstrained_axes(
        linearise(plane_map, points, poses, 1.0, HERE, variance(1e-5, 1e-2), NOISE), HealthConfig()
    )
    assert len(axes) == 1 and angle_deg(axes[0], YAW[:, 0]) < 10.0


def test_too_few_points_hold_nothing():
    assert np.array_equal(unconstrained_axes(fitted(room, count=20), HealthConfig()), np.eye(3))


def test_the_information_along_an_open_axis_is_taken_out_and_the_rest_scaled():
    fit = fitted(corridor)
    axes = unconstrained_axes(fit, HealthConfig())
    information, vector = without(axes, fit, 0.5)
    along, across = np.r_[0, 0, 0, axes[0]], np.r_[0, 0, 0, np.cross([0, 0, 1.0], axes[0])]
    assert np.abs(information @ along).max() < 1e-6 * np.abs(information).max() and abs(vector @ along) < 1e-6
    assert across @ information @ across == pytest.approx(0.5 * across @ fit.information @ across)


def displaced(off, turned=(0.0, 0.0, 0.0)):
    """A prior that is off by a vector in the corridor's own axes; the truth is the identity."""
    prior = FilterState(0, so3.exp(np.asarray(turned, float)), YAW @ np.asarray(off, float))
    prior.P[THETA, THETA], prior.P[POS, POS] = np.eye(3) * 0.02**2, np.eye(3) * 0.2**2
    return prior


def registered(plane_map, points, prior):
    """What the update makes of a prior that was reached in no time."""
    still = Path(np.zeros(1, np.int64), prior.R[None], prior.position[None], np.zeros((1, 3)), np.zeros((0, 3)))
    prediction = Prediction(prior, still, 1.0)
    return align(plane_map, points, prediction, HERE, RegistrationConfig(), HealthConfig())


def aligned(world, prior):
    """Where a scan of the world lands, in the corridor's axes: position, rotation vector, and what align found."""
    plane_map = mapped(world(np.random.default_rng(1)) @ YAW.T)
    points = measured(world(np.random.default_rng(2)) @ YAW.T, 3000)
    found = registered(plane_map, points, prior)
    return YAW.T @ found.state.position, so3.log(found.state.R), found


def test_in_a_corridor_the_prior_decides_along_and_the_scan_across():
    position, turned, found = aligned(corridor, displaced([0.3, 0.15, -0.1], turned=(0.0, 0.005, 0.01)))
    assert len(found.axes) == 1
    assert position[0] == pytest.approx(0.3, abs=0.01)
    assert np.abs(position[1:]).max() < 0.01
    assert np.abs(turned).max() < 0.001


def test_on_a_plane_the_prior_decides_both_directions_and_the_scan_the_height():
    position, turned, found = aligned(floor, displaced([0.3, 0.15, -0.1], turned=(0.005, 0.01, 0.0)))
    assert len(found.axes) == 2
    assert np.allclose(position, [0.3, 0.15, 0.0], atol=0.01)
    assert np.abs(turned[:2]).max() < 0.001


def test_in_a_room_the_scan_decides():
    position, turned, found = aligned(room, displaced([0.15, 0.15, -0.1], turned=(0.005, 0.005, 0.01)))
    assert not len(found.axes) and found.share > 0.9
    assert np.abs(position).max() < 0.01 and np.abs(turned).max() < 0.001


def test_the_covariance_stays_wide_along_and_shrinks_across():
    _, _, found = aligned(corridor, displaced([0.1, 0.1, 0.0]))
    P = YAW.T @ found.state.P[POS, POS] @ YAW
    assert P[0, 0] == pytest.approx(0.2**2, rel=0.1)
    assert P[1, 1] < 0.01**2 and P[2, 2] < 0.01**2
    assert np.linalg.eigvalsh(found.state.P).min() > 0.0


def test_a_map_without_planes_leaves_everything_to_the_prior():
    prior = displaced([0.3, 0.15, -0.1])
    points = measured(room(np.random.default_rng(2)))
    found = registered(PlaneMap(MapConfig()), points, prior)
    assert np.allclose(found.state.position, prior.position) and np.allclose(found.state.R, prior.R)
    assert np.array_equal(found.axes, np.eye(3)) and found.share == 0.0
    assert np.allclose(found.state.P[POS, POS], prior.P[POS, POS])


def test_no_points_leave_everything_to_the_prior():
    prior, plane_map = displaced([0.3, 0.15, -0.1]), mapped(room(np.random.default_rng(1)))
    found = registered(plane_map, np.zeros((0, 4)), prior)
    assert np.allclose(found.state.position, prior.position) and found.points == 0 and found.share == 0.0
