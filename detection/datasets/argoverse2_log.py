# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""One log of Argoverse 2: its feather tables as arrays."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from detection.datasets.reading import Matrix
from detection.errors import DatasetError

Table = dict[str, NDArray[Any]]
POSE = ("qx", "qy", "qz", "qw", "tx_m", "ty_m", "tz_m")
LENS = ("fx_px", "fy_px", "cx_px", "cy_px", "k1", "k2", "k3", "width_px", "height_px")
BOX = ("timestamp_ns", "track_uuid", "category", "length_m", "width_m", "height_m", "num_interior_pts")


class Lens(NamedTuple):
    """(3, 3) intrinsic matrix in pixels, (5,) plumb-bob distortion, and (width, height)."""

    K: Matrix
    distortion: Matrix
    size: tuple[int, int]


class Log:
    """A log's folder, opened.

    Attributes:
        pictures: (K,) int64 stamps of each camera's pictures; none where no pictures were fetched.
        annotations: columns of all boxes, None where there are none (the test split).
    """

    def __init__(self, folder: Path) -> None:
        """Raises:
        DatasetError: a table is missing, damaged or lacks a column; pyarrow is not installed.
        """
        self.folder = folder
        cameras = sorted(path for path in (folder / "sensors").glob("cameras/*") if path.is_dir())
        stamps = {path.name: _stamps(path, ".jpg") for path in cameras}
        self.pictures = {name: found for name, found in stamps.items() if len(found)}
        extrinsics = read_feather(folder / "calibration" / "egovehicle_SE3_sensor.feather", ("sensor_name", *POSE))
        self._T_ego_sensor = dict(zip(extrinsics["sensor_name"], _poses(extrinsics), strict=True))
        self._lenses = _lenses(folder / "calibration" / "intrinsics.feather") if self.pictures else {}
        poses = read_feather(folder / "city_SE3_egovehicle.feather", ("timestamp_ns", *POSE))
        self._T_city_ego = dict(zip(poses["timestamp_ns"].tolist(), _poses(poses), strict=True))
        boxes = folder / "annotations.feather"
        self.annotations = read_feather(boxes, (*BOX, *POSE)) if boxes.is_file() else None

    def T_city_ego(self, stamp_ns: int) -> Matrix:
        """(4, 4) of the vehicle at the stamp of a sweep or a picture."""
        return self._found(self._T_city_ego, stamp_ns, "city_SE3_egovehicle.feather")

    def T_ego_sensor(self, name: str) -> Matrix:
        """(4, 4) of a camera or LiDAR in the vehicle's frame."""
        return self._found(self._T_ego_sensor, name, "calibration/egovehicle_SE3_sensor.feather")

    def lens(self, name: str) -> Lens:
        """Intrinsics of a camera that has pictures."""
        return self._found(self._lenses, name, "calibration/intrinsics.feather")

    def _found(self, table: dict[Any, Any], key: int | str, file: str) -> Any:
        if key not in table:
            raise DatasetError(f"{self.folder}: {file} has no row for {key} among its {len(table)}")
        return table[key]


def sweep_stamps(folder: Path) -> NDArray[np.int64]:
    """(S,) stamps of the sweeps in a log's folder, in order."""
    return _stamps(folder / "sensors" / "lidar", ".feather")


def read_feather(path: Path, columns: tuple[str, ...]) -> Table:
    """Columns of a feather file as arrays; texts are objects.

    Raises:
        DatasetError: missing, damaged, without one of the columns, or pyarrow is not installed.
    """
    try:
        import pyarrow
        from pyarrow import feather
    except ImportError:
        raise DatasetError(f"{path} is a feather file, which needs pyarrow: pip install 'mem4nav[detect]'") from None
    try:
        table = feather.read_table(path)
    except (OSError, ValueError, pyarrow.ArrowException) as err:
        raise DatasetError(f"{path} cannot be read as a feather file: {err}") from None
    if missing := [name for name in columns if name not in table.column_names]:
        raise DatasetError(f"{path} has no columns {missing}, but {table.column_names}")
    return {name: table[name].to_numpy() for name in columns}


def poses_of(table: Table, rows: NDArray[np.int64] | list[int]) -> Matrix:
    """(N, 4, 4) poses of some rows of a table."""
    return _poses({name: table[name][rows] for name in POSE})


def _poses(table: Table) -> Matrix:
    """(N, 4, 4) of the rows' quaternions and metres."""
    T = np.tile(np.eye(4), (len(table["qw"]), 1, 1))
    if len(T):
        T[:, :3, :3] = Rotation.from_quat(np.stack([table[name] for name in POSE[:4]], axis=1)).as_matrix()
    T[:, :3, 3] = np.stack([table[name] for name in POSE[4:]], axis=1)
    return T


def _lenses(path: Path) -> dict[str, Lens]:
    table = read_feather(path, ("sensor_name", *LENS))
    found = {}
    for name, *row in zip(table["sensor_name"], *(table[key].tolist() for key in LENS), strict=True):
        fx, fy, cx, cy, k1, k2, k3, width, height = row
        K = np.array([[fx, 0.0, cx], [0.0, fy, cy], [0.0, 0.0, 1.0]])
        found[name] = Lens(K, np.array([k1, k2, 0.0, 0.0, k3]), (width, height))
    return found


def _stamps(folder: Path, suffix: str) -> NDArray[np.int64]:
    return np.array(sorted(int(path.stem) for path in folder.glob(f"*{suffix}") if path.stem.isdecimal()), np.int64)
