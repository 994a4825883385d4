# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""The maps that a replay begins with, lays aside while it goes on, and leaves."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mem4nav.errors import UsageError
from slam.gaussian_map.map_config import GaussianMapConfig
from slam.gaussian_map.regions import RegionStore
from slam.gaussian_map.store import GaussianMap
from slam.map_store import load_gaussian_map, load_map, save_map
from slam.octree import PlaneMap
from slam.odometry_config import MapConfig
from slam.trajectory import Trajectory

if TYPE_CHECKING:
    from slam.replay import ReplayResult


@dataclass(frozen=True, slots=True)
class Start:
    """A stored map to start in, and where in it.

    Attributes:
        folder: of the map.
        T_map_base: (4, 4) float64, base_link at the first scan in the frame of the map.
    """

    folder: Path
    T_map_base: NDArray[np.float64]

    @classmethod
    def on(cls, folder: Path, pose: Sequence[float]) -> Start:
        """In the map in ``folder``, at x y z with or without qx qy qz qw; no numbers mean the map's origin."""
        position, quaternion = [*pose[:3]] or [0.0, 0.0, 0.0], [*pose[3:]] or [0.0, 0.0, 0.0, 1.0]
        if abs(np.linalg.norm(quaternion) - 1.0) > 0.01:
            raise UsageError(f"--pose-in: the quaternion {quaternion} is not of unit length")
        at = Trajectory(np.zeros(1, np.int64), np.array([position]), np.array([quaternion]))
        return cls(folder, at.matrices()[0])

    def map(
        self, limits: MapConfig, gaussian_limits: GaussianMapConfig, regions: RegionStore | None
    ) -> PlaneMap | GaussianMap:
        """Its Gaussians, if it has any and there is a store for their regions; else its planes.

        Raises:
            MapError: as ``slam.map_store.load_map``.
        """
        gaussian_map = None
        if regions is not None:
            gaussian_map = load_gaussian_map(self.folder, regions, map_config=limits, config=gaussian_limits)
        return load_map(self.folder, limits) if gaussian_map is None else gaussian_map


@contextmanager
def spool(folder: Path, wanted: bool) -> Iterator[RegionStore | None]:
    """A store for what the drive leaves behind, emptied of what a replay that was cut off has left there."""
    if not wanted:
        yield None
        return
    regions = RegionStore(folder)
    regions.clear()
    try:
        yield regions
    finally:
        regions.clear()
        with suppress(OSError):  # somebody keeps something else there
            folder.rmdir()


def keep(folder: Path, result: ReplayResult, start_map: PlaneMap | GaussianMap | None) -> int:
    """Store the map; returns its bytes. A drive without pictures keeps the Gaussians that it started with."""
    gaussian_map = result.gaussians
    if gaussian_map is None and isinstance(start_map, GaussianMap) and start_map.plane_map is result.map:
        gaussian_map = start_map
    save_map(folder, result.map, gaussian_map)
    return sum(path.stat().st_size for path in folder.iterdir())
