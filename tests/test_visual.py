# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""LiDAR, IMU and camera together, in the first seconds of a corridor with murals: what pictures may do and not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from slam.gaussian_map.mapping_config import FitConfig, MappingConfig
from slam.measurements import Image, Measurement
from slam.replay import ReplayResult, replay

pytest.importorskip("open3d", reason="the simulator's ray casting needs open3d (extra sim)")

MAPPING = MappingConfig(scale=1.0, hold_out=5, backend="cpu", fit=FitConfig(steps=3))


@cache
def drive():
    from sim_envs.city import CameraConfig, CorridorConfig, DriveConfig, LidarConfig, make_corridor, simulate_drive

    camera = CameraConfig(width=128, height=96, samples=1, rate_hz=10.0)
    lidar = LidarConfig(channels=32, columns=512)
    config = DriveConfig(seed=1, duration_s=4.5, cameras=(camera,), lidar=lidar)
    return simulate_drive(make_corridor(CorridorConfig(1, 60.0, murals=True)), config)


@cache
def measured() -> tuple[Measurement, ...]:
    return tuple(drive().measurements(images=True))


class Changed:
    """The drive with its pictures changed by number."""

    def __init__(self, change: Callable[[int, Image], Image] = lambda _, image: image) -> None:
        self._change = change
        for name in ("name", "calibration", "notes", "scan_count"):
            setattr(self, name, getattr(drive(), name))

    def measurements(self, *, images: bool = False) -> Iterator[Measurement]:
        number = 0
        for item in measured():
            if not isinstance(item, Image):
                yield item
            elif images:
                yield self._change(number, item)
                number += 1


@cache
def seen() -> ReplayResult:
    return replay(Changed(), mapping=MAPPING)


@cache
def blind() -> ReplayResult:
    return replay(Changed())


def off_m(one: ReplayResult, other: ReplayResult) -> float:
    return float(np.abs(one.base_trajectory().positions - other.base_trajectory().positions).max())


def test_pictures_are_used_and_the_map_shows_those_it_has_not_seen():
    result = seen()
    assert sum(scan.camera == "used" for scan in result.results) > 10
    assert result.gaussians is not None and len(result.gaussians) > 500
    assert len(result.scores) >= 7
    assert np.mean([score.psnr_db for score in result.scores]) > 18.0
    assert np.median([score.depth_error_m for score in result.scores]) < 0.15
    assert result.strip


def test_the_pose_stays_as_good_as_without_a_camera():
    assert off_m(seen(), blind()) < 0.06


def test_what_a_held_out_picture_shows_changes_neither_pose_nor_map():
    def noise(number: int, image: Image) -> Image:
        if number % 5 != 4:
            return image
        return replace(image, pixels=np.random.default_rng(number).integers(0, 255, image.pixels.shape, np.uint8))

    other = replay(Changed(noise), mapping=MAPPING)
    assert off_m(seen(), other) == 0.0
    assert seen().gaussians is not None and other.gaussians is not None
    for a, b in zip(seen().gaussians.gaussians(), other.gaussians.gaussians(), strict=True):
        assert np.array_equal(a, b)
    assert np.mean([score.psnr_db for score in other.scores]) < np.mean([score.psnr_db for score in seen().scores])


@pytest.mark.parametrize("shade", [0, 255])
def test_black_and_white_pictures_leave_the_pose_to_lidar_and_imu(shade: int):
    result = replay(Changed(lambda _, image: replace(image, pixels=np.full_like(image.pixels, shade))), mapping=MAPPING)
    assert off_m(result, blind()) < 0.005  # held-out scans stay out of the planes
    assert any("the picture is dark" in line or "the picture is white" in line for line in result.log)


def test_a_picture_of_the_wrong_size_is_told_and_hurts_nothing():
    result = replay(Changed(lambda _, image: replace(image, pixels=image.pixels[::2, ::2])), mapping=MAPPING)
    assert off_m(result, blind()) == 0.0
    assert any("64 x 48 px, the calibration says 128 x 96" in line for line in result.log)
    assert result.gaussians is None or not len(result.gaussians)


def test_a_camera_that_freezes_is_told():
    first = next(item for item in measured() if isinstance(item, Image))
    result = replay(
        Changed(lambda number, image: image if number < 20 else replace(image, pixels=first.pixels)), mapping=MAPPING
    )
    assert any("the one before again" in line for line in result.log)
    assert off_m(result, blind()) < 0.06


def test_grey_pictures_are_taken_as_well():
    result = replay(
        Changed(lambda _, image: replace(image, pixels=image.pixels.mean(axis=2).astype(np.uint8))), mapping=MAPPING
    )
    assert result.gaussians is not None and len(result.gaussians) > 500


def test_without_its_use_for_the_pose_the_camera_still_builds_the_map():
    result = replay(Changed(), mapping=MAPPING, use_camera=False)
    assert off_m(result, replay(Changed(), mapping=MAPPING, use_camera=False)) == 0.0
    assert result.gaussians is not None and len(result.gaussians) > 500
    assert not any(scan.camera == "used" for scan in result.results)


def test_pictures_that_there_is_no_time_for_wait_until_there_is():
    from slam.odometry import Odometry
    from slam.sequencer import Sequencer

    odometry, sequencer = Odometry(calibration=drive().calibration, mapping=MAPPING), Sequencer()
    visual = odometry.visual
    for bundle in (bundle for item in measured()[:500] for bundle in sequencer.push(item)):
        odometry.register(bundle)
    assert not visual.is_idle and visual.work(budget_s=0.0) == 0 and not visual.is_idle
    made = [visual.work(budget_s=1e-6) for _ in range(30)]
    assert sum(made) >= MAPPING.fit.steps and max(made) <= 1
    visual.work()
    assert visual.is_idle
