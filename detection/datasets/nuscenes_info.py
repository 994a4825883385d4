# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Info files of the layout that mmdet3d 1.1 and later writes for nuScenes, as JSON: one key frame an entry."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np

from detection.boxes import moved
from detection.datasets.dataset import Dataset
from detection.datasets.reading import Matrix, numbers, placed, read_json, read_rows, read_view, rigid, wanted
from detection.errors import DatasetError
from detection.sample import Boxes, Sample, View, make_boxes
from slam.io.extrinsics import inverse

COLUMNS = 5
BRIGHTEST = 255.0


class NuScenesInfo(Dataset):
    """Key frames of an info file. Boxes of classes that the file's list does not hold are left out."""

    def __init__(
        self, path: str | Path, folder: str | Path | None = None, *, cameras: Collection[str] | None = None
    ) -> None:
        """Args:
            path: the info file (JSON: convert mmdet3d's pickle first, as pickles are not opened here).
            folder: where the pictures and scans lie, or samples/<channel>/ below it; None: beside the file.
            cameras: names of those to read; None: all.

        Raises:
            DatasetError: missing, no JSON, or of another layout.
        """
        self.path = Path(path)
        self._folder = self.path.parent if folder is None else Path(folder)
        content = read_json(self.path)
        try:
            self._frames: list[dict[str, Any]] = content["data_list"]
            categories: dict[str, int] = content["metainfo"]["categories"]
        except (KeyError, TypeError):
            raise DatasetError(
                f"{self.path} is no info file: data_list and metainfo.categories were looked for"
            ) from None
        self.classes = tuple(sorted(categories, key=categories.__getitem__))
        self._wanted = cameras

    def __len__(self) -> int:
        return len(self._frames)

    def read(self, index: int) -> Sample:
        frame = self._frames[index]
        try:
            return self._sample(frame, f"{self.path}: frame {index}")
        except (KeyError, TypeError) as err:
            raise DatasetError(f"{self.path}: frame {index} has no {err}") from None

    def _sample(self, frame: dict[str, Any], where: str) -> Sample:
        lidar = frame["lidar_points"]
        T_base_lidar = rigid(lidar["lidar2ego"], f"{where}: lidar2ego")
        rows = read_rows(self._file("LIDAR_TOP", lidar["lidar_path"]), COLUMNS)
        return Sample(
            name=frame["token"],
            stamp_ns=round(frame["timestamp"] * 1e6) * 1000,
            points=placed(rows[:, :3], rows[:, 3] / BRIGHTEST, T_base_lidar),
            views=tuple(
                self._view(name, camera, T_base_lidar, f"{where}: {name}")
                for name, camera in frame["images"].items()
                if wanted(name, self._wanted)
            ),
            boxes=self._boxes(frame, T_base_lidar, where),
            T_world_base=rigid(frame["ego2global"], f"{where}: ego2global"),
            lidar_origin=T_base_lidar[:3, 3],
        )

    def _view(self, name: str, camera: dict[str, Any], T_base_lidar: Matrix, where: str) -> View:
        """lidar2cam holds what the vehicle moved between the sweep and the picture, cam2ego does not."""
        T_camera_lidar = rigid(camera["lidar2cam"], f"{where}: lidar2cam")
        K = numbers(camera["cam2img"], (3, 3), f"{where}: cam2img")
        return read_view(self._file(name, camera["img_path"]), name, K, T_base_lidar @ inverse(T_camera_lidar))

    def _boxes(self, frame: dict[str, Any], T_base_lidar: Matrix, where: str) -> Boxes | None:
        if "instances" not in frame:
            return None
        kept = [one for one in frame["instances"] if 0 <= one["bbox_label_3d"] < len(self.classes)]
        box = numbers([one["bbox_3d"] for one in kept] or np.zeros((0, 7)), (len(kept), 7), f"{where}: bbox_3d")
        label = [one["bbox_label_3d"] for one in kept]
        velocity = np.array([one["velocity"] for one in kept], float).reshape(-1, 2)
        points = [one["num_lidar_pts"] for one in kept]
        return moved(
            make_boxes(box[:, :3], box[:, 3:6], box[:, 6], label, velocity=velocity, points=points), T_base_lidar
        )

    def _file(self, channel: str, name: str) -> Path:
        beside = self._folder / name
        return beside if beside.is_file() else self._folder / "samples" / channel / name
