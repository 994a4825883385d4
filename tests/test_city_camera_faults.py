# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""What a camera delivers when something is wrong with it."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("open3d")

from sim_envs.city.faults import Fault, fault_filter
from sim_envs.errors import SimConfigError
from slam.measurements import Image, ImuSample

ORIGIN = 1_700_000_000_000_000_000
WIDTH, HEIGHT = 40, 12


def pictures(grey: bool = False) -> list[Image]:
    """Three seconds of noise at 10 Hz, never black, never white."""
    rng = np.random.default_rng(1)
    shape = (HEIGHT, WIDTH) if grey else (HEIGHT, WIDTH, 3)
    return [Image(ORIGIN + n * 100_000_000, "front", rng.integers(40, 200, shape, np.uint8)) for n in range(30)]


def through(kind: str, amount: float | None = None, grey: bool = False) -> list[Image]:
    """All pictures, with the fault from the second second on and until the third."""
    return list(fault_filter(Fault("camera", kind, 1.0, 2.0, amount), ORIGIN, 7)(pictures(grey)))


@pytest.mark.parametrize(("kind", "value"), [("black", 0), ("white", 255)])
def test_a_blinded_camera_gives_one_value_for_every_pixel(kind: str, value: int) -> None:
    after = through(kind)
    assert all((image.pixels == value).all() for image in after[10:20])
    assert all(image.pixels.dtype == np.uint8 and image.pixels.shape == (HEIGHT, WIDTH, 3) for image in after)


@pytest.mark.parametrize("grey", [False, True])
def test_a_cover_hides_half_the_lens_and_leaves_the_other_half_as_it_was(grey: bool) -> None:
    for before, after in zip(pictures(grey)[10:20], through("covered", grey=grey)[10:20], strict=True):
        assert not after.pixels[:, : WIDTH // 2 - 2].any()
        np.testing.assert_array_equal(after.pixels[:, WIDTH // 2 + 2 :], before.pixels[:, WIDTH // 2 + 2 :])
        assert after.pixels.dtype == np.uint8


def test_a_cover_hides_as_much_as_was_asked_for() -> None:
    dark = [float(np.mean(through("covered", share)[15].pixels < 20)) for share in (0.25, 0.75, 1.2)]
    np.testing.assert_allclose(dark, [0.25, 0.75, 1.0], atol=0.06)


@pytest.mark.parametrize("kind", ["black", "white", "covered"])
def test_pictures_before_and_after_the_fault_and_all_stamps_are_as_they_were(kind: str) -> None:
    before, after = pictures(), through(kind)
    assert [image.stamp_ns for image in after] == [image.stamp_ns for image in before]
    for n in (*range(10), *range(20, 30)):
        np.testing.assert_array_equal(after[n].pixels, before[n].pixels)


def test_a_frozen_camera_repeats_one_picture_with_new_stamps() -> None:
    after = through("stuck")
    assert all((image.pixels == after[9].pixels).all() for image in after[10:20])
    assert len({image.stamp_ns for image in after}) == 30


def test_pictures_stamped_half_a_second_late_still_come_when_they_were_taken() -> None:
    clock = [ImuSample(ORIGIN + n * 100_000_000, np.zeros(3), np.zeros(3)) for n in range(30)]
    stream = [item for pair in zip(clock, pictures(), strict=True) for item in pair]
    after = list(fault_filter(Fault("camera", "clock_offset", amount=0.5), ORIGIN)(stream))
    for sample, image in zip(after[::2], after[1::2], strict=True):
        assert image.stamp_ns - sample.stamp_ns == 500_000_000


@pytest.mark.parametrize(("sensor", "kind"), [("lidar", "black"), ("imu", "white"), ("lidar", "covered")])
def test_only_a_camera_can_be_blinded(sensor: str, kind: str) -> None:
    with pytest.raises(SimConfigError, match="camera alone"):
        Fault(sensor, kind)
