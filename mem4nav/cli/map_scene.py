# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""A stored map as there is to see of it: Gaussians, planes as flat Gaussians, the way through it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from mem4nav.cli.report_map import HEIGHTS, LIGHT
from slam.gaussian_map.store import GaussianMap
from slam.map_record import RECORD
from slam.map_store import load_gaussian_map, load_map
from slam.octree import BITANGENT, CENTRE, NORMAL, REACH2, TANGENT, TILT1, TILT2, PlaneMap
from slam.odometry_config import MapConfig
from slam.splatting.gaussians import C0, Gaussians
from slam.trajectory import read_tum

GATE2 = 9.0
"""``REACH2`` is so many times the largest variance of a plane's points."""
DISC_SPREAD, DISC_THICKNESS_M, DISC_LOGIT = 1.4, 0.01, 3.0
"""Wider than the points' deviation, so that the discs of neighbouring leaves close up."""
WAY, WAY_OF_LIDAR = "odom.tum", "trajectory.tum"


@dataclass(frozen=True, slots=True)
class Scene:
    """What there is to see.

    Attributes:
        title: a line.
        gaussians: of the map, with what its regions hold; none in a map of planes.
        planes: its planes as flat Gaussians, coloured by height.
        way: (N, 3) float64 positions in the map's frame.
        note: about the way, where there is something to say.
    """

    title: str
    gaussians: Gaussians
    planes: Gaussians
    way: NDArray[np.float64]
    note: str = ""

    @classmethod
    def of(cls, folder: Path) -> Scene:
        """What is in a map's folder or in the results of a replay.

        Raises:
            MapError: as ``slam.map_store.load_map``.
        """
        planes, gaussian_map = stored(folder)
        gaussians = gaussian_map.gaussians() if gaussian_map is not None else Gaussians.zeros(0)
        way, note = way_of(folder)
        return cls(folder.resolve().name, gaussians, discs(planes.planes()), way, note)


def map_folder(folder: Path) -> Path:
    """Where the map is: the folder itself, or map/ in it."""
    return folder / "map" if not (folder / RECORD).exists() and (folder / "map" / RECORD).exists() else folder


def stored(folder: Path, reach_m: float | None = None) -> tuple[PlaneMap, GaussianMap | None]:
    """The planes and Gaussians in a folder, to look at; ``reach_m`` is for ``GaussianMap.recall``."""
    config = MapConfig() if reach_m is None else MapConfig(reach_m=reach_m)
    gaussian_map = load_gaussian_map(map_folder(folder), map_config=config)
    if gaussian_map is not None:
        return gaussian_map.plane_map, gaussian_map
    return load_map(map_folder(folder), config), None


def way_of(folder: Path) -> tuple[NDArray[np.float64], str]:
    """(N, 3) positions of the drive that made the map, and what to know about them."""
    results = map_folder(folder).resolve().parent
    if (results / WAY).is_file():
        return read_tum(results / WAY).positions, ""
    if (results / WAY_OF_LIDAR).is_file():
        note = f"the way is that of {WAY_OF_LIDAR}, in the frame of the first LiDAR pose: neither moved nor levelled"
        return read_tum(results / WAY_OF_LIDAR).positions, note
    return np.zeros((0, 3)), ""


def discs(planes: NDArray[np.float64]) -> Gaussians:
    """Planes (M, 16) as flat Gaussians that cover them.

    The smaller in-plane variance follows from the tilts' (``slam.octree``): their ratio is the variances' inverse one.
    """
    out = Gaussians.zeros(len(planes))
    if not len(planes):
        return out
    axes = [planes[:, column : column + 3] for column in (TANGENT, BITANGENT, NORMAL)]
    larger = DISC_SPREAD**2 * planes[:, REACH2] / GATE2
    smaller = larger * np.clip(planes[:, TILT1] / np.maximum(planes[:, TILT2], 1e-30), 0.0, 1.0)
    scales = np.sqrt(np.column_stack([larger, smaller, np.full(len(planes), DISC_THICKNESS_M**2)]))
    out.means[:] = planes[:, CENTRE : CENTRE + 3]
    out.quats[:] = Rotation.from_matrix(np.stack(axes, axis=2)).as_quat()
    out.log_scales[:] = np.log(np.maximum(scales, DISC_THICKNESS_M))
    out.logits[:] = DISC_LOGIT
    low, high = np.percentile(out.means[:, 2], [1.0, 99.0])
    part = np.clip((out.means[:, 2] - low) / max(high - low, 1e-6), 0.0, 1.0)
    light = 0.72 + 0.28 * np.abs(axes[2] @ LIGHT)
    out.harmonics[:, 0] = (HEIGHTS(part)[:, :3] * light[:, None] - 0.5) / C0
    return out
