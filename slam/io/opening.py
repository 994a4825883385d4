# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Which reader fits a path."""

from __future__ import annotations

from pathlib import Path

from slam.errors import RecordingError
from slam.io.bag import BagRecording
from slam.io.kitti import KittiDrive
from slam.io.recording import Recording
from slam.io.settings import RecordingConfig

BAG_SUFFIXES = (".bag", ".db3", ".mcap")


def open_recording(path: str | Path, settings: RecordingConfig | None = None) -> Recording:
    """Open a rosbag1 (.bag), a rosbag2 (folder, .db3 or .mcap) or a drive folder in the KITTI raw layout.

    Raises:
        RecordingError: nothing there, an unknown kind of file, a recording without scans.
    """
    path = Path(path).expanduser()
    settings = settings or RecordingConfig()
    if not path.exists():
        raise RecordingError(f"{path} does not exist{_near(path)}")
    if (path / "velodyne_points").is_dir():
        return KittiDrive(path, settings)
    if is_bag(path):
        return BagRecording(path, settings)
    raise RecordingError(f"{path}: {_why_not(path)}")


def is_bag(path: Path) -> bool:
    """Does the name of a file, or what lies in a folder, say that this is a bag?"""
    if path.is_dir():
        return (path / "metadata.yaml").is_file() or any(is_bag(p) for p in path.iterdir() if p.is_file())
    return path.name.removesuffix(".zstd").removesuffix(".zst").endswith(BAG_SUFFIXES)


def _near(path: Path) -> str:
    parent = path.parent
    if not parent.is_dir():
        return f", and neither does the folder {parent}"
    from difflib import get_close_matches

    close = get_close_matches(path.name, [p.name for p in parent.iterdir()], n=1)
    return f"; did you mean {parent / close[0]}?" if close else ""


def _why_not(path: Path) -> str:
    if path.is_file():
        return f"unknown kind of file {path.suffix!r}; known are .bag (ROS 1), .db3 and .mcap (ROS 2)"
    drives = sorted(p.parent.name for p in path.glob("*/velodyne_points"))
    if drives:
        return f"this is the folder above {len(drives)} drive(s); give one of them, for instance {path / drives[0]}"
    return "no recording: neither metadata.yaml (rosbag2) nor velodyne_points/ (KITTI raw layout) is in this folder"
