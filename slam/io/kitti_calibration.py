# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""The calib_*.txt files of the KITTI raw layout (Geiger et al., IJRR 2013, section 3)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from slam.calibration import Calibration, Camera
from slam.errors import RecordingError
from slam.io.extrinsics import inverse, nearest_rotation, transform

Matrix = NDArray[np.float64]


def read_calibration(folder: Path, cameras: tuple[str, ...], has_imu: bool) -> Calibration:
    """Calibration of a drive from the files in ``folder`` (the date folder above the drive).

    base_link is the IMU (oxts) frame where calib_imu_to_velo.txt is there, else the LiDAR frame.
    ``cameras`` are folder names such as "image_02".
    """
    T_lidar_imu = _rigid(folder / "calib_imu_to_velo.txt")
    T_cam0_lidar = _rigid(folder / "calib_velo_to_cam.txt")
    T_base_lidar = np.eye(4) if T_lidar_imu is None else inverse(T_lidar_imu)
    intrinsics = _key_values(folder / "calib_cam_to_cam.txt")
    found = {}
    if T_cam0_lidar is not None:
        T_base_cam0 = T_base_lidar @ inverse(T_cam0_lidar)
        found = {name: cam for name in cameras if (cam := _camera(intrinsics, name[-2:], T_base_cam0)) is not None}
    return Calibration(
        T_base_lidar=T_base_lidar,
        T_base_imu=np.eye(4) if has_imu and T_lidar_imu is not None else None,
        cameras=found,
        source=_source(folder, T_lidar_imu is not None),
    )


def _source(folder: Path, imu_known: bool) -> str:
    if imu_known:
        return f"KITTI calibration files in {folder.name} (base_link is the IMU frame)"
    return "identity: no calib_imu_to_velo.txt in the folder above the drive (base_link is the LiDAR frame)"


def _camera(values: dict[str, Matrix], number: str, T_base_cam0: Matrix) -> Camera | None:
    """A rectified camera: p_pixel = P_rect R_rect_00 p_cam0, so its centre lies at -K^-1 P[:, 3] of rectified cam0."""
    P, R, size = (values.get(key) for key in (f"P_rect_{number}", "R_rect_00", f"S_rect_{number}"))
    if P is None or R is None or P.size != 12 or R.size != 9:
        return None
    P = P.reshape(3, 4)
    T_camera_rectified = transform(np.eye(3), np.linalg.solve(P[:, :3], P[:, 3]))
    T_camera_cam0 = T_camera_rectified @ transform(nearest_rotation(R.reshape(3, 3)), np.zeros(3))
    width, height = (0, 0) if size is None or size.size != 2 else (int(size[0]), int(size[1]))
    return Camera(width, height, P[:, :3].copy(), T_base_camera=T_base_cam0 @ inverse(T_camera_cam0))


def _rigid(path: Path) -> Matrix | None:
    values = _key_values(path)
    if not values:
        return None
    R, T = values.get("R"), values.get("T")
    if R is None or T is None or R.size != 9 or T.size != 3:
        sizes = {key: values[key].size for key in ("R", "T") if key in values}
        raise RecordingError(f"{path}: expected R with 9 numbers and T with 3, found {sizes or 'neither'}")
    return transform(nearest_rotation(R.reshape(3, 3)), T)


def _key_values(path: Path) -> dict[str, Matrix]:
    """Lines ``key: numbers`` of a calibration file; other lines (dates) and a missing file give nothing."""
    if not path.is_file():
        return {}
    found = {}
    for line in path.read_text(errors="replace").splitlines():
        key, _, rest = line.partition(":")
        try:
            found[key.strip()] = np.array([float(word) for word in rest.split()])
        except ValueError:
            continue
    return found
