# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""A corridor with pictures on its walls: a LiDAR sees it bare, a camera sees where it is."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("open3d")

from city_worlds import CLEAN_LIDAR, small_corridor
from sim_envs.city import CameraConfig, CorridorConfig, DriveConfig, SimulatedDrive, make_corridor, simulate_drive
from sim_envs.city.materials import Semantic
from sim_envs.city.murals import mural

CAMERA = CameraConfig(width=320, height=240, samples=1, full_well=np.inf)


@cache
def drive(seed: int = 1) -> SimulatedDrive:
    world = make_corridor(CorridorConfig(seed=seed, murals=True))
    return simulate_drive(world, DriveConfig(lidar=CLEAN_LIDAR, cameras=(CAMERA,)))


def painted(along: NDArray[np.float64], seed: int, pixel: float) -> NDArray[np.float64]:
    """(N, 3) colours of a wall at eye height."""
    out = np.empty((len(along), 3))
    for place, colour in zip(along, out, strict=True):
        mural(place, 1.6, seed, pixel, np.full(3, 0.4), colour)
    return out


def test_a_lidar_sees_the_same_walls_with_murals_and_without() -> None:
    bare = simulate_drive(small_corridor(), DriveConfig(lidar=CLEAN_LIDAR, cameras=()))
    np.testing.assert_array_equal(drive().scan(150).points, bare.scan(150).points)


@pytest.mark.parametrize("time_s", [6.0, 15.0, 25.0])
def test_walls_and_floor_show_gradient_everywhere_up_close_and_at_ten_metres(time_s: float) -> None:
    seen = drive().render("front", time_s)
    slope = np.hypot(*np.gradient(seen.pixels.astype(float).mean(axis=2)))
    for near, far in ((0.0, 5.0), (5.0, 10.0), (10.0, 15.0)):
        band = (seen.semantic == Semantic.BUILDING) & (seen.depth > near) & (seen.depth <= far)
        assert band.sum() > 500
        assert np.mean(slope[band] > 0.5) > 0.9
        assert np.mean(slope[band] > 4.0) > 0.1


def test_no_place_on_a_wall_looks_like_another() -> None:
    along = np.arange(0.0, 120.0, 0.1)
    tone = painted(along, 4, 0.05).mean(axis=1)
    tone -= tone.mean()
    shifted = [np.corrcoef(tone[:-lag], tone[lag:])[0, 1] for lag in range(30, 600)]
    assert np.abs(shifted).max() < 0.4


def test_every_seed_has_walls_of_its_own() -> None:
    a, b = (drive(seed).render("front", 15.0).pixels.astype(float) for seed in (1, 2))
    assert np.mean(np.abs(a - b).max(axis=2) > 20) > 0.3


def test_detail_finer_than_a_pixel_fades_instead_of_sparkling() -> None:
    along = np.arange(0.0, 40.0, 0.02)
    step = [np.abs(np.diff(painted(along, 4, pixel), axis=0)).mean() for pixel in (0.005, 0.5)]
    assert step[1] < 0.3 * step[0]
