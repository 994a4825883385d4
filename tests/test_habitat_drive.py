# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""A robot in a town of Habitat: it drives as it is told, sees what is there, and outlives a Habitat that dies."""

from __future__ import annotations

import os
import signal

import numpy as np
import pytest

pytest.importorskip("open3d")

from sim_envs.city import make_city
from sim_envs.city.camera import project
from sim_envs.habitat import HabitatConfig, Simulator
from sim_envs.habitat.drive import ROBOT, HabitatDrive, camera_sensors
from sim_envs.habitat.drive_tasks import make_habitat_task
from sim_envs.habitat.frames import yaw_of
from sim_envs.habitat.lidar import DepthLidar
from sim_envs.habitat.town_episodes import town_config
from slam.measurements import Image, ImuSample, Scan

pytestmark = pytest.mark.habitat
LIDAR = DepthLidar(channels=32, columns=512)
NEARLY_BLIND = DepthLidar(channels=2, columns=32)


@pytest.fixture(scope="module")
def task(habitat_towns):
    return make_habitat_task(1, habitat_towns)


@pytest.fixture(scope="module")
def world():
    return make_city(town_config(0))


def drive_in(task, world, simulator, lidar):
    start = task.episode.T_enu_base
    return HabitatDrive(simulator, world.terrain, [*start[:2, 3], yaw_of(start)], lidar)


@pytest.fixture(scope="module")
def simulator(task):
    sensors = (*LIDAR.sensors(reflectivity=True), *camera_sensors())
    with Simulator(HabitatConfig(task.stage, sensors=sensors)) as simulator:
        yield simulator


@pytest.fixture
def drive(task, world, simulator):
    return drive_in(task, world, simulator, LIDAR)


def of(kind, measured):
    return [one for one in measured if isinstance(one, kind)]


def test_it_begins_where_the_task_does_and_goes_as_fast_as_it_is_told(drive, task):
    start = drive.truth()
    np.testing.assert_allclose(start.position[0, :2], task.episode.T_enu_base[:2, 3])
    np.testing.assert_allclose(start.rotation[0, :, 0], task.episode.T_enu_base[:3, 0], atol=0.2)
    for _ in range(20):
        measured = drive.step(1.0, 0.0)
    end = drive.truth()
    assert float(end.velocity[0] @ end.rotation[0, :, 0]) == pytest.approx(1.0, abs=0.02)
    assert np.linalg.norm(end.position - start.position) > 1.0
    assert measured[-1].stamp_ns == drive.stamp_ns


def test_a_step_measures_what_the_town_s_own_robot_does(drive):
    first, second = drive.step(0.5, 0.1), drive.step(0.5, 0.1)
    assert len(of(ImuSample, second)) == 20 and len(of(Scan, second)) == 1
    assert of(Image, first) == [] and [one.camera for one in of(Image, second)] == ["front", "left", "back", "right"]
    stamps = [one.stamp_ns for one in [*first, *second]]
    assert stamps == sorted(stamps)
    (picture, *_), (sweep,) = of(Image, second), of(Scan, second)
    assert picture.pixels.shape == (192, 320, 3) and len(np.unique(picture.pixels)) > 20
    rings = drive.rings(sweep.points)
    assert len(sweep.points) > 3000 and rings.min() == 0 and rings.max() > 20


def test_a_sweep_lies_on_what_rays_through_the_town_hit_also_where_the_street_slopes(drive, world):
    for _ in range(5):
        measured = drive.step(1.0, 0.3)
    state, sweep = drive.truth(), measured[-1]
    T_base_lidar = drive.calibration.T_base_lidar
    away = (sweep.points + T_base_lidar[:3, 3]) @ state.rotation[0].T + state.position[0]
    eye = state.rotation[0] @ T_base_lidar[:3, 3] + state.position[0]
    distance = np.linalg.norm(away - eye, axis=1)
    hits = world.static.cast(np.tile(eye, (len(away), 1)), (away - eye) / distance[:, None])
    assert np.median(np.abs(hits.distance - distance)) < 0.02


def test_pictures_and_sweep_show_the_same_things_in_the_same_places(drive):
    """The sky is where no return projects to: what the camera's calibration says must fit Habitat's picture."""
    drive.step(0.0, 0.0)
    measured = drive.step(0.0, 0.0)
    camera, picture = drive.calibration.cameras["front"], of(Image, measured)[0].pixels
    points = measured[-1].points + drive.calibration.T_base_lidar[:3, 3]
    R, t = camera.T_base_camera[:3, :3], camera.T_base_camera[:3, 3]
    seen = (points - t) @ R
    pixels = np.rint(project(camera, seen[seen[:, 2] > 1.0])).astype(int)
    inside = ((pixels >= 0) & (pixels < [camera.width, camera.height])).all(axis=1)
    shown = picture[pixels[inside, 1], pixels[inside, 0]]
    assert inside.sum() > 500 and (shown.max(axis=1) > 0).mean() > 0.98


def test_imu_and_motion_agree(drive):
    turned = [sample.gyro[2] for _ in range(15) for sample in of(ImuSample, drive.step(0.5, 0.4))]
    assert np.mean(turned[-20:]) == pytest.approx(0.4, abs=0.02)


def test_it_stops_before_what_is_not_walkable_and_can_turn_away(task, world):
    with Simulator(HabitatConfig(task.stage, sensors=NEARLY_BLIND.sensors(reflectivity=True))) as simulator:
        drive = drive_in(task, world, simulator, NEARLY_BLIND)
        for _ in range(17):
            drive.step(0.0, 1.0)
        for _ in range(150):
            drive.step(ROBOT.top_speed, 0.0)
        state, start = drive.truth(), drive_in(task, world, simulator, NEARLY_BLIND).truth()
        assert np.linalg.norm(state.velocity[0]) < 0.01 and np.linalg.norm(state.position - start.position) > 1.0
        at = simulator.snap(state.position[0])
        assert at is not None and np.hypot(*(at - state.position[0])[:2]) < 0.2
        for _ in range(20):
            drive.step(1.0, 1.0)
        assert state.rotation[0, :, 0] @ drive.truth().rotation[0, :, 0] < 0.5


def test_a_habitat_that_is_killed_costs_no_step(drive, simulator):
    drive.step(1.0, 0.0)
    os.kill(simulator.pid, signal.SIGKILL)
    measured = drive.step(1.0, 0.0)
    assert drive.steps == 2 and len(of(Scan, measured)) == 1 and len(of(ImuSample, measured)) == 20
