# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""nuScenes (Caesar et al., CVPR 2020): key frames with pictures, the LiDAR with past sweeps, and boxes.

base_link is the vehicle at the moment of the LiDAR's sweep; nuScenes' ego frame has its origin on the ground already.
A picture was taken up to 50 ms earlier or later: its camera stands where it stood then.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from detection.datasets.dataset import Dataset
from detection.datasets.nuscenes_tables import DETECTION_CLASSES, LIDAR, Annotation, Capture, KeyFrame, Tables
from detection.datasets.reading import (
    Matrix,
    headings,
    identity_of,
    numbers,
    placed,
    pose,
    read_rows,
    read_view,
    wanted,
)
from detection.errors import DatasetError
from detection.sample import Boxes, Sample, View, make_boxes, no_boxes
from slam.io.extrinsics import inverse

COLUMNS = 5
BRIGHTEST = 255.0
LONGEST_STEP_S = 1.5
"""Key frames further apart than this say nothing of a velocity."""
OWN_RETURNS_M = 1.0
"""Returns of past sweeps nearer to the LiDAR than this along x and y are the vehicle's own roof, which has moved on."""


class NuScenes(Dataset):
    """Key frames of one version, scene after scene."""

    classes = tuple(dict.fromkeys(DETECTION_CLASSES.values()))

    def __init__(
        self,
        folder: str | Path,
        version: str | None = None,
        *,
        sweeps: int = 0,
        cameras: Collection[str] | None = None,
        scenes: Collection[str] | None = None,
    ) -> None:
        """Args:
            folder: holds samples/, sweeps/ and the folder of tables.
            version: such as "v1.0-trainval"; None: the only one in the folder.
            sweeps: how many past sweeps join the points (the benchmark's methods take 9).
            cameras: names of those to read; None: all.
            scenes: names of those to read, such as those of a split; None: all.

        Raises:
            DatasetError: no or several versions, a table that is missing or damaged, an unknown scene.
        """
        self.folder, self._sweeps, self._wanted = Path(folder), sweeps, cameras
        tables = self.folder / (version or _only_version(self.folder))
        try:
            self._tables = Tables(tables, scenes)
        except (KeyError, TypeError) as err:
            raise DatasetError(f"{tables}: a table has no column or row {err}") from None

    def __len__(self) -> int:
        return len(self._tables.frames)

    def read(self, index: int) -> Sample:
        frame = self._tables.frames[index]
        try:
            return self._sample(frame)
        except KeyError as err:
            raise DatasetError(f"{self._tables.folder}: a table has no column or row {err}") from None

    def _sample(self, frame: KeyFrame) -> Sample:
        sweep = frame.captures[LIDAR]
        T_world_base = self._tables.T_world_ego(sweep)
        return Sample(
            name=frame.token,
            stamp_ns=frame.stamp_ns,
            points=np.concatenate([self._points(one, sweep) for one in self._with_past(sweep)]),
            views=tuple(
                self._view(channel, capture, T_world_base)
                for channel, capture in sorted(frame.captures.items())
                if channel != LIDAR and wanted(channel, self._wanted)
            ),
            boxes=self._boxes(frame, T_world_base) if self._tables.annotations else None,
            T_world_base=T_world_base,
            lidar_origin=self._tables.T_ego_sensor(sweep)[:3, 3],
        )

    def _with_past(self, sweep: Capture) -> list[Capture]:
        return [sweep, *islice(self._before(sweep), self._sweeps)]

    def _before(self, sweep: Capture) -> Iterator[Capture]:
        while sweep.previous:
            sweep = self._tables.sweeps[sweep.previous]
            yield sweep

    def _points(self, sweep: Capture, now: Capture) -> NDArray[np.float32]:
        """(P, 5) points of a sweep, the vehicle's motion since then undone."""
        rows = read_rows(self.folder / sweep.file, COLUMNS)
        T_base_sensor = self._tables.T_ego_sensor(sweep)
        if sweep is not now:
            T_base_then = inverse(self._tables.T_world_ego(now)) @ self._tables.T_world_ego(sweep)
            T_base_sensor = T_base_then @ T_base_sensor
            rows = rows[(np.abs(rows[:, :2]) >= OWN_RETURNS_M).any(axis=1)]
        age_s = (now.stamp_ns - sweep.stamp_ns) * 1e-9
        return placed(rows[:, :3], rows[:, 3] / BRIGHTEST, T_base_sensor, age_s)

    def _view(self, channel: str, capture: Capture, T_world_base: Matrix) -> View:
        T_base_then = inverse(T_world_base) @ self._tables.T_world_ego(capture)
        K = numbers(self._tables.K(capture), (3, 3), f"{self._tables.folder}: camera_intrinsic {capture.sensor}")
        return read_view(self.folder / capture.file, channel, K, T_base_then @ self._tables.T_ego_sensor(capture))

    def _boxes(self, frame: KeyFrame, T_world_base: Matrix) -> Boxes:
        """The frame's boxes; one stands upright in base_link, so it loses what it is tilted in it (about a degree)."""
        if not frame.annotations:
            return no_boxes()
        found = [self._tables.annotations[token] for token in frame.annotations]
        where = f"{self._tables.folder}: sample_annotation of {frame.token}"
        T_base_box = inverse(T_world_base) @ np.array([pose(one.wxyz, one.centre, where) for one in found])
        size = numbers([one.size_wlh for one in found], (len(found), 3), f"{where}: size")
        velocity = np.array([self._velocity(one) for one in found]) @ T_world_base[:3, :3]
        return make_boxes(
            T_base_box[:, :3, 3],
            size[:, [1, 0, 2]],
            headings(T_base_box[:, :3, :3]),
            [self.classes.index(one.class_name) for one in found],
            velocity=velocity[:, :2],
            identity=[identity_of(one.instance) for one in found],
            points=[one.points for one in found],
        )

    def _velocity(self, one: Annotation) -> Matrix:
        """(3,) m/s in the global frame: from the key frame before to the one after, or as far as there are any."""
        known = self._tables.annotations
        first, last = known.get(one.previous, one), known.get(one.next, one)
        steps = (first is not one) + (last is not one)
        gap_s = (last.stamp_ns - first.stamp_ns) * 1e-9
        if not 0.0 < gap_s <= steps * LONGEST_STEP_S:
            return np.full(3, np.nan)
        return (np.array(last.centre) - np.array(first.centre)) / gap_s


def _only_version(folder: Path) -> str:
    found = sorted(path.name for path in folder.glob("v1.0-*") if path.is_dir())
    if len(found) != 1:
        raise DatasetError(f"{folder} holds the versions {found}: name one (found {len(found)}, expected v1.0-...)")
    return found[0]
