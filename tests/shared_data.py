# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Real recordings beside the project: where they are, and how the packed scans become a drive folder.

The data lies in ../shared/data from the project's root, or where MEM4NAV_DATA says, and is never copied into
the project. Bench scripts use this module too: pytest is imported in ``require`` alone.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from types import ModuleType

import numpy as np

PERIOD_NS = 103_700_000
FIRST_STAMP = "2011-09-26 13:02:25.594360375"


def data_folder() -> Path:
    """The shared data folder, whether it exists or not."""
    return Path(os.environ.get("MEM4NAV_DATA") or Path(__file__).resolve().parents[2] / "shared" / "data")


def require(name: str) -> Path:
    """Path of a file or folder of the shared data; skips the test where it is missing."""
    import pytest

    path = data_folder() / name
    if not path.exists():
        pytest.skip(f"shared data {name} is not at {path} (set MEM4NAV_DATA to the folder that holds it)")
    return path


@cache
def lidar_loader() -> ModuleType:
    """The loader module of the packed scans: ``load_xyzi``, ``scans``, ``load_oxts``, KITTI calibration."""
    path = data_folder() / "lidar" / "load_lidar.py"
    spec = importlib.util.spec_from_file_location("load_lidar", path)
    if not path.is_file() or spec is None or spec.loader is None:
        raise FileNotFoundError(f"{path}: the loader of the packed scans is missing; set MEM4NAV_DATA")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def write_kitti_raw(name: str, target_dir: str | Path, count: int | None = None) -> Path:
    """Write the packed drive ``name`` ("kitti_raw_0005", "kitti_0052_sfnd78") out in the KITTI raw layout.

    Args:
        name: folder below lidar/ in the shared data.
        target_dir: gets 2011_09_26/ with the calib_*.txt files and the drive folder in it.
        count: only the first so many scans.

    Returns:
        The drive folder. A drive that was written completely before is left as it is.
    """
    number = name.removeprefix("kitti_").removeprefix("raw_")[:4]
    date = Path(target_dir) / "2011_09_26"
    drive = date / f"2011_09_26_drive_{number}_sync"
    scans = lidar_loader().scans(name)[:count]
    if len(list((drive / "velodyne_points" / "data").glob("*.bin"))) == len(scans) and (drive / "complete").exists():
        return drive
    shutil.rmtree(drive, ignore_errors=True)
    _write_scans(scans, drive / "velodyne_points")
    _write_oxts(data_folder() / "lidar" / name, drive / "oxts", len(scans))
    _copy_images(data_folder() / "lidar" / name / "image_02", drive / "image_02", len(scans))
    _write_calibration(date)
    (drive / "complete").touch()
    return drive


def _write_scans(scans: list[Path], folder: Path) -> None:
    data = _stream_folder(folder, len(scans))
    for index, path in enumerate(scans):
        lidar_loader().load_xyzi(path).astype(np.float32).tofile(data / f"{index:010d}.bin")


def _write_oxts(source: Path, folder: Path, count: int) -> None:
    for path in source.glob("oxts_*.txt"):
        data = _stream_folder(folder, count)
        for index, line in enumerate(path.read_text().splitlines()[:count]):
            (data / f"{index:010d}.txt").write_text(line + "\n")


def _copy_images(source: Path, folder: Path, count: int) -> None:
    if source.is_dir():
        data = _stream_folder(folder, count)
        for index, path in enumerate(sorted(source.iterdir())[:count]):
            shutil.copyfile(path, data / f"{index:010d}{path.suffix}")


def _stream_folder(folder: Path, count: int) -> Path:
    data = folder / "data"
    data.mkdir(parents=True, exist_ok=True)
    (folder / "timestamps.txt").write_text("".join(f"{stamp(i)}\n" for i in range(count)))
    return data


def stamp(index: int) -> str:
    """Line ``index`` of a timestamps.txt, nanoseconds and all."""
    whole, fraction = FIRST_STAMP.split(".")
    seconds, nanoseconds = divmod(int(fraction) + index * PERIOD_NS, 1_000_000_000)
    return f"{datetime.fromisoformat(whole) + timedelta(seconds=seconds)}.{nanoseconds:09d}"


def _write_calibration(folder: Path) -> None:
    loader = lidar_loader()
    _write_rigid(folder / "calib_imu_to_velo.txt", loader.T_imu_velo)
    _write_rigid(folder / "calib_velo_to_cam.txt", loader.T_velo_cam0)
    (folder / "calib_cam_to_cam.txt").write_text(
        "calib_time: 09-Jan-2012 13:57:47\n"
        f"R_rect_00: {_numbers(loader.R_rect_00)}\n"
        "S_rect_02: 1.242000e+03 3.750000e+02\n"
        f"P_rect_02: {_numbers(loader.P_rect_02)}\n"
    )


def _write_rigid(path: Path, matrix: np.ndarray) -> None:
    rotation, translation = _numbers(matrix[:3, :3]), _numbers(matrix[:3, 3])
    path.write_text(f"calib_time: 25-May-2012 16:47:16\nR: {rotation}\nT: {translation}\n")


def _numbers(values: np.ndarray) -> str:
    return " ".join(f"{value:.6e}" for value in np.ravel(values))
