# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Scans and pictures as samples: what recordings and live sensors are detected in.

Boxes stand over the ground, and base_link of a rig is often not on it: it is lowered onto the ground, which is found
in the first scans. What the vehicle's motion does to a scan within a sweep is not undone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from detection.sample import Sample, View
from detection.statistics import ground_height
from slam.calibration import Calibration, Camera
from slam.measurements import Image, Scan

MOST_APART_NS = 60_000_000
"""A picture belongs to a scan when their stamps are no farther apart."""
GROUND_SCANS = 5


@dataclass(slots=True)
class FirstLook:
    """What the first scans say about a rig.

    Attributes:
        T_base_lidar: (4, 4) where the LiDAR sits.
        given_m: height of the ground in base_link, metres, where it need not be found; None: it is.
    """

    T_base_lidar: NDArray[np.float64]
    given_m: float | None = None
    _heights: list[float] = field(default_factory=list)
    _brightest: float = 0.0

    def add(self, scan: Scan) -> None:
        """Look at one more scan."""
        points = points_of(scan, self.T_base_lidar, 1.0)
        self._heights.append(ground_height(points[:, :3].astype(np.float64), self.T_base_lidar[:3, 3]))
        self._brightest = max(self._brightest, float(points[:, 3].max(initial=0.0)))

    @property
    def is_done(self) -> bool:
        """It has looked at enough."""
        return len(self._heights) >= GROUND_SCANS

    @property
    def ground_m(self) -> float:
        """Height of the ground in base_link, metres; 0 where no ground was found."""
        known = [height for height in self._heights if np.isfinite(height)]
        return self.given_m if self.given_m is not None else float(np.median(known)) if known else 0.0

    @property
    def full(self) -> float:
        """What an intensity of 1 is in the driver's units."""
        return 1.0 if self._brightest <= 1.0 else max(self._brightest, 255.0)


def sample_of(scan: Scan, images: Mapping[str, Image], calibration: Calibration, look: FirstLook) -> Sample:
    """A scan and pictures by camera as a sample, whose base_link stands on the ground: ``look.ground_m`` lower."""
    down = np.eye(4)
    down[2, 3] = -look.ground_m
    T = down @ calibration.T_base_lidar
    return Sample(
        f"{scan.stamp_ns}", scan.stamp_ns, points_of(scan, T, look.full), _views(images, calibration, down),
        lidar_origin=T[:3, 3].copy(),
    )  # fmt: skip


def nearest(scan: Scan, images: Iterable[Image]) -> dict[str, Image]:
    """By camera, the picture nearest in time, where one is near enough."""
    found: dict[str, Image] = {}
    for image in images:
        apart = abs(image.stamp_ns - scan.stamp_ns)
        there = found.get(image.camera)
        if apart <= MOST_APART_NS and (there is None or apart < abs(there.stamp_ns - scan.stamp_ns)):
            found[image.camera] = image
    return found


def fits(image: Image, camera: Camera) -> bool:
    """Whether a picture is of the size that its camera's calibration says."""
    return image.pixels.shape[:2] == (camera.height, camera.width)


def points_of(scan: Scan, T_base_lidar: NDArray[np.float64], full: float) -> NDArray[np.float32]:
    """(P, 5) valid returns in base_link; an intensity of ``full`` becomes 1."""
    xyz = np.asarray(scan.points, np.float64)[:, :3]
    valid = np.isfinite(xyz).all(axis=1) & (np.abs(xyz).max(axis=1, initial=0.0) > 0.0)
    intensity = np.zeros(len(xyz)) if scan.intensity is None else np.nan_to_num(scan.intensity) / full
    moved = xyz[valid] @ T_base_lidar[:3, :3].T + T_base_lidar[:3, 3]
    return np.column_stack([moved, intensity[valid], np.zeros(len(moved))]).astype(np.float32)


def _views(images: Mapping[str, Image], calibration: Calibration, down: NDArray[np.float64]) -> tuple[View, ...]:
    views = []
    for name, image in sorted(images.items()):
        camera = calibration.cameras.get(name)
        if camera is not None and fits(image, camera):
            pixels = image.pixels if image.pixels.ndim == 3 else np.repeat(image.pixels[:, :, None], 3, axis=2)
            views.append(View(name, pixels, replace(camera, T_base_camera=down @ camera.T_base_camera)))
    return tuple(views)
