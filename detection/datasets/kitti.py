# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""The KITTI object benchmark (Geiger et al., CVPR 2012): velodyne/, image_2/, calib/, label_2/, and image_3/ if there.

base_link lies on the ground below the Velodyne, 1.73 m down, with its axes (x forward, y left, z up).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from detection.boxes import project
from detection.datasets.dataset import Dataset
from detection.datasets.reading import Matrix, headings, numbers, placed, read_rows, read_view, wanted
from detection.errors import DatasetError
from detection.sample import Boxes, Sample, View, make_boxes
from slam.io.extrinsics import inverse, nearest_rotation, transform

CLASSES = ("Car", "Van", "Truck", "Pedestrian", "Person_sitting", "Cyclist", "Tram", "Misc")
IGNORED = "DontCare"
LIDAR_HEIGHT_M = 1.73
PROJECTIONS = {"image_2": "P2", "image_3": "P3"}
LABELLED = "image_2"
COUNTS = {"P2": 12, "P3": 12, "R0_rect": 9, "Tr_velo_to_cam": 12}
WORDS = 15


@dataclass(frozen=True, slots=True)
class KittiObject:
    """One line of a label file, in the units of the benchmark.

    Attributes:
        name: a class, or "DontCare".
        truncated: share of it that is outside of the picture; -1 unknown.
        occluded: 0 fully visible, 1 partly, 2 largely occluded, 3 unknown.
        region_px: (4,) left, top, right, bottom in image_2.
        size: (3,) length, width, height, metres.
        bottom: (3,) centre of its bottom face, rectified camera frame (x right, y down, z forward), metres.
        rotation_y: about the camera's y axis, radians.
    """

    name: str
    truncated: float
    occluded: int
    region_px: Matrix
    size: Matrix
    bottom: Matrix
    rotation_y: float


class _Calibration(NamedTuple):
    """(3, 4) projection of each camera, from the rectified frame into its pixels, and that frame's (4, 4) pose."""

    projection: dict[str, Matrix]
    T_base_rectified: Matrix


class Kitti(Dataset):
    """Frames of a folder such as KITTI/training. They are unrelated: each is its own moment 0, without past sweeps."""

    classes = CLASSES

    def __init__(
        self, folder: str | Path, *, cameras: Collection[str] | None = None, crop_to_picture: bool = True
    ) -> None:
        """Args:
            folder: holds velodyne/ and calib/; without label_2/ the samples have no boxes.
            cameras: which of "image_2" and "image_3" to read; None: all that are there.
            crop_to_picture: keep only points that the left colour camera sees, as objects outside are not labelled.

        Raises:
            DatasetError: no scan in it.
        """
        self.folder, self._wanted, self._crop = Path(folder), cameras, crop_to_picture
        self.names = tuple(sorted(path.stem for path in (self.folder / "velodyne").glob("*.bin")))
        if not self.names:
            raise DatasetError(f"{self.folder}: velodyne/ holds no .bin file")

    def __len__(self) -> int:
        return len(self.names)

    def read(self, index: int) -> Sample:
        name = self.names[index]
        calibration = _read_calibration(self.folder / "calib" / f"{name}.txt")
        asked = [one for one in PROJECTIONS if wanted(one, self._wanted) or (self._crop and one == LABELLED)]
        views = {one: self._view(name, one, calibration) for one in asked if (self.folder / one).is_dir()}
        rows = read_rows(self.folder / "velodyne" / f"{name}.bin", 4)
        points = placed(rows[:, :3], rows[:, 3], _T_BASE_LIDAR)
        if self._crop and LABELLED in views:
            points = points[_in_picture(points, views[LABELLED])]
        seen = tuple(view for camera, view in views.items() if wanted(camera, self._wanted))
        boxes = self._boxes(index, calibration)
        return Sample(name, 0, points, seen, boxes, lidar_origin=_T_BASE_LIDAR[:3, 3])

    def objects(self, index: int) -> list[KittiObject] | None:
        """The lines of a frame's label file; None where there is no label folder."""
        if not (self.folder / "label_2").is_dir():
            return None
        return _read_labels(self.folder / "label_2" / f"{self.names[index]}.txt")

    def ignored_regions(self, index: int) -> Matrix:
        """(M, 4) left, top, right, bottom, pixels of image_2, where detections count neither way ("DontCare")."""
        regions = [one.region_px for one in self.objects(index) or () if one.name == IGNORED]
        return np.array(regions, np.float64).reshape(-1, 4)

    def _view(self, name: str, camera: str, calibration: _Calibration) -> View:
        """p = P x_rectified, so the camera's centre lies at -K^-1 P[:, 3] of the rectified frame."""
        P = calibration.projection[camera]
        shift = transform(np.eye(3), -np.linalg.solve(P[:, :3], P[:, 3]))
        pictures = [self.folder / camera / f"{name}{suffix}" for suffix in (".png", ".jpg")]
        path = next((path for path in pictures if path.is_file()), pictures[0])
        return read_view(path, camera, P[:, :3], calibration.T_base_rectified @ shift)

    def _boxes(self, index: int, calibration: _Calibration) -> Boxes | None:
        found = self.objects(index)
        if found is None:
            return None
        found = [one for one in found if one.name != IGNORED]
        size = np.array([one.size for one in found]).reshape(-1, 3)
        bottom = np.array([one.bottom for one in found]).reshape(-1, 3)
        T = calibration.T_base_rectified
        centre = (bottom - [0.0, 0.5, 0.0] * size[:, 2:]) @ T[:3, :3].T + T[:3, 3]
        label = [CLASSES.index(one.name) for one in found]
        return make_boxes(centre, size, headings(T[:3, :3] @ _turns([one.rotation_y for one in found])), label)


_T_BASE_LIDAR = transform(np.eye(3), [0.0, 0.0, LIDAR_HEIGHT_M])


def _turns(rotation_y: list[float]) -> Matrix:
    """(N, 3, 3) turns about the camera's y axis; at 0 an object looks along +x."""
    c, s, none = np.cos(rotation_y), np.sin(rotation_y), np.zeros(len(rotation_y))
    rows = [[c, none, s], [none, none + 1.0, none], [-s, none, c]]
    return np.array(rows).transpose(2, 0, 1)


def _in_picture(points: NDArray[np.float32], view: View) -> NDArray[np.bool_]:
    pixels, depth = project(view.camera, points[:, :3])
    inside = (pixels >= 0.0) & (pixels < [view.camera.width, view.camera.height])
    return inside.all(axis=1) & (depth > 0.0)


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(errors="replace").splitlines()
    except OSError as err:
        raise DatasetError(f"{path} cannot be read: {err.strerror}") from None


def _read_calibration(path: Path) -> _Calibration:
    words = {key: rest.split() for key, _, rest in (line.partition(":") for line in _lines(path))}
    value = {key: numbers(words.get(key, []), (count,), f"{path}: {key}") for key, count in COUNTS.items()}
    Tr = value["Tr_velo_to_cam"].reshape(3, 4)
    T_rectified_camera = transform(nearest_rotation(value["R0_rect"].reshape(3, 3)), np.zeros(3))
    T_rectified_lidar = T_rectified_camera @ transform(nearest_rotation(Tr[:, :3]), Tr[:, 3])
    projection = {camera: value[key].reshape(3, 4) for camera, key in PROJECTIONS.items()}
    return _Calibration(projection, _T_BASE_LIDAR @ inverse(T_rectified_lidar))


def _read_labels(path: Path) -> list[KittiObject]:
    return [
        _object(line.split(), f"{path}: line {number}") for number, line in enumerate(_lines(path), 1) if line.strip()
    ]


def _object(words: list[str], where: str) -> KittiObject:
    """Name, truncated, occluded, alpha, region (4), height, width, length, bottom (3), rotation_y [, score]."""
    name = words[0] if words else ""
    if name not in (*CLASSES, IGNORED):
        raise DatasetError(f"{where}: {name!r} is none of {(*CLASSES, IGNORED)}")
    row = numbers(words[1:WORDS], (WORDS - 1,), where)
    return KittiObject(name, row[0], int(row[1]), row[3:7], row[[9, 8, 7]], row[10:13], float(row[13]))
