# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Which reader fits a path."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from detection.datasets.argoverse2 import Argoverse2
from detection.datasets.dataset import Dataset
from detection.datasets.folder import FolderDataset
from detection.datasets.kitti import Kitti
from detection.datasets.nuscenes import NuScenes
from detection.datasets.nuscenes_info import NuScenesInfo
from detection.errors import DatasetError

KNOWN = (
    "dataset.json (the stack's own folder), v1.0-*/ (nuScenes), velodyne/ and calib/, or training/ with them (KITTI), "
    "sensors/lidar/, or folders with it (Argoverse 2), or an info file *.json (nuScenes as mmdet3d writes it)"
)


def open_dataset(path: str | Path, *, sweeps: int = 0, cameras: Collection[str] | None = None) -> Dataset:
    """The reader for what lies at a path, told by the names of its files.

    Args:
        sweeps: past sweeps that join the points of each sample.
        cameras: names of those whose pictures are read; None: all; () none.

    Raises:
        DatasetError: nothing there, none of the known layouts, a layout without past sweeps, or a damaged index.
    """
    path = Path(path).expanduser()
    if not path.exists():
        raise DatasetError(f"{path} does not exist")
    if (path / "dataset.json").is_file():
        return FolderDataset(path, sweeps=sweeps, cameras=cameras)
    if any(path.glob("v1.0-*")):
        return NuScenes(path, sweeps=sweeps, cameras=cameras)
    if (path / "sensors").is_dir() or any(path.glob("*/sensors/lidar")):
        return Argoverse2(path, sweeps=sweeps, cameras=cameras)
    return _single_frames(path, sweeps, cameras)


def _single_frames(path: Path, sweeps: int, cameras: Collection[str] | None) -> Dataset:
    """Layouts whose frames know nothing of each other."""
    kitti = next((folder for folder in (path, path / "training") if (folder / "velodyne").is_dir()), None)
    if kitti is None and path.suffix != ".json":
        raise DatasetError(f"{path}: no known dataset; looked for {KNOWN}")
    if sweeps:
        raise DatasetError(f"{path}: its frames have no past sweeps, but {sweeps} are asked for")
    return Kitti(kitti, cameras=cameras) if kitti is not None else NuScenesInfo(path, cameras=cameras)
