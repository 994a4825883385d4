# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""The Argoverse 2 sensor dataset (Wilson et al., NeurIPS 2021): one sample a sweep of one log, or of a folder of logs.

base_link is the vehicle's frame moved down to the ground: Argoverse's origin is the middle of the rear axle. Its sweeps
are compensated for the vehicle's motion already. A camera stands where it stood when its picture was taken.
"""

from __future__ import annotations

from collections.abc import Collection
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from detection.datasets.argoverse2_log import Log, Table, poses_of, read_feather, sweep_stamps
from detection.datasets.dataset import Dataset
from detection.datasets.reading import Matrix, headings, identity_of, placed, read_view, wanted
from detection.errors import DatasetError
from detection.sample import Boxes, Sample, View, make_boxes
from slam.io.extrinsics import inverse, transform

CLASSES = (
    "REGULAR_VEHICLE", "PEDESTRIAN", "BOLLARD", "CONSTRUCTION_CONE", "CONSTRUCTION_BARREL", "STOP_SIGN", "BICYCLE",
    "LARGE_VEHICLE", "WHEELED_DEVICE", "BUS", "BOX_TRUCK", "SIGN", "TRUCK", "MOTORCYCLE", "BICYCLIST",
    "VEHICULAR_TRAILER", "TRUCK_CAB", "MOTORCYCLIST", "DOG", "SCHOOL_BUS", "WHEELED_RIDER", "STROLLER",
    "ARTICULATED_BUS", "MESSAGE_BOARD_TRAILER", "MOBILE_PEDESTRIAN_CROSSING_SIGN", "WHEELCHAIR", "RAILED_VEHICLE",
    "OFFICIAL_SIGNALER", "TRAFFIC_LIGHT_TRAILER", "ANIMAL",
)  # fmt: skip
AXLE_HEIGHT_M = 0.33
BRIGHTEST = 255.0
PICTURE_REACH_NS = 50_000_000
"""A picture belongs to a sweep when it was taken within this of it; the cameras take 20 a second."""
VELOCITY_REACH_NS = 500_000_000
"""A velocity is taken between the first and the last box of a track within this of the sweep."""
_T_BASE_EGO = transform(np.eye(3), [0.0, 0.0, AXLE_HEIGHT_M])


class Argoverse2(Dataset):
    """Sweeps of all logs, log after log."""

    classes = CLASSES

    def __init__(self, folder: str | Path, *, sweeps: int = 0, cameras: Collection[str] | None = None) -> None:
        """Args:
            folder: a log (sensors/lidar, calibration/, city_SE3_egovehicle.feather), or a split that holds logs.
            sweeps: how many past sweeps join the points.
            cameras: names of those to read; None: the ring cameras, where there are pictures.

        Raises:
            DatasetError: no sweep.
        """
        self.folder, self._sweeps, self._wanted = Path(folder), sweeps, cameras
        logs = [self.folder] if (self.folder / "sensors").is_dir() else sorted(self.folder.iterdir())
        self._index = [(log, int(stamp)) for log in logs for stamp in sweep_stamps(log)]
        if not self._index:
            raise DatasetError(f"{self.folder}: neither it nor a folder in it holds sensors/lidar/*.feather")

    def __len__(self) -> int:
        return len(self._index)

    def read(self, index: int) -> Sample:
        folder, stamp_ns = self._index[index]
        log = _opened(folder)
        T_world_base = log.T_city_ego(stamp_ns) @ inverse(_T_BASE_EGO)
        now_and_past = [one for at, one in self._index[max(index - self._sweeps, 0) : index + 1] if at == folder][::-1]
        return Sample(
            name=f"{folder.name}_{stamp_ns}",
            stamp_ns=stamp_ns,
            points=np.concatenate([_points(log, then_ns, stamp_ns, T_world_base) for then_ns in now_and_past]),
            views=tuple(self._views(log, stamp_ns, T_world_base)),
            boxes=_boxes(log, stamp_ns),
            T_world_base=T_world_base,
            lidar_origin=(_T_BASE_EGO @ log.T_ego_sensor("up_lidar"))[:3, 3],
        )

    def _views(self, log: Log, stamp_ns: int, T_world_base: Matrix) -> list[View]:
        """The ring's pictures (those that are asked for), each the one taken nearest to the sweep."""
        found = []
        for name, stamps in log.pictures.items():
            nearest = int(stamps[np.argmin(np.abs(stamps - stamp_ns))])
            asked = name.startswith("ring_") if self._wanted is None else wanted(name, self._wanted)
            if asked and abs(nearest - stamp_ns) <= PICTURE_REACH_NS:
                T_base_then = inverse(T_world_base) @ log.T_city_ego(nearest)
                lens = log.lens(name)
                path = log.folder / "sensors" / "cameras" / name / f"{nearest}.jpg"
                T_base_camera = T_base_then @ log.T_ego_sensor(name)
                found.append(read_view(path, name, lens.K, T_base_camera, distortion=lens.distortion, size=lens.size))
        return found


@lru_cache(maxsize=64)
def _opened(folder: Path) -> Log:
    """A log with its tables, about 2 MB: a few stay open, so that a shuffled split does not read them anew."""
    return Log(folder)


def _points(log: Log, then_ns: int, now_ns: int, T_world_base: Matrix) -> NDArray[np.float32]:
    table = read_feather(log.folder / "sensors" / "lidar" / f"{then_ns}.feather", ("x", "y", "z", "intensity"))
    points = np.stack([table[axis] for axis in "xyz"], axis=1).astype(np.float32)
    T_base_then = inverse(T_world_base) @ log.T_city_ego(then_ns)
    return placed(points, table["intensity"] / BRIGHTEST, T_base_then, (now_ns - then_ns) * 1e-9)


def _boxes(log: Log, stamp_ns: int) -> Boxes | None:
    table = log.annotations
    if table is None:
        return None
    rows = np.flatnonzero(table["timestamp_ns"] == stamp_ns)
    if unknown := sorted(set(table["category"][rows]) - set(CLASSES)):
        raise DatasetError(
            f"{log.folder}: annotations.feather holds the categories {unknown}, none of the {len(CLASSES)}"
        )
    T_ego_box = poses_of(table, rows)
    return make_boxes(
        T_ego_box[:, :3, 3] + [0.0, 0.0, AXLE_HEIGHT_M],
        np.stack([table[name][rows] for name in ("length_m", "width_m", "height_m")], axis=1),
        headings(T_ego_box[:, :3, :3]),
        [CLASSES.index(name) for name in table["category"][rows]],
        velocity=_velocities(log, table, rows, stamp_ns),
        identity=[identity_of(track) for track in table["track_uuid"][rows]],
        points=table["num_interior_pts"][rows],
    )


def _velocities(log: Log, table: Table, rows: NDArray[np.int64], stamp_ns: int) -> Matrix:
    """(N, 2) m/s along the axes of the vehicle now; NaN for a track that has one box within reach."""
    near = np.flatnonzero(np.abs(table["timestamp_ns"] - stamp_ns) <= VELOCITY_REACH_NS)
    velocity = np.full((len(rows), 3), np.nan)
    for number, row in enumerate(rows):
        track = near[table["track_uuid"][near] == table["track_uuid"][row]]
        stamps = table["timestamp_ns"][track]
        ends = track[[stamps.argmin(), stamps.argmax()]]
        gap_s = np.ptp(stamps) * 1e-9
        if gap_s > 0.0:
            first, last = (
                log.T_city_ego(int(table["timestamp_ns"][end])) @ poses_of(table, [int(end)])[0] for end in ends
            )
            velocity[number] = (last[:3, 3] - first[:3, 3]) / gap_s
    return (velocity @ log.T_city_ego(stamp_ns)[:3, :3])[:, :2]
