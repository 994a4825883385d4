# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""What the commands of ``mem4nav detect`` read: datasets under the detector's class names, recordings, its weights."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from detection.datasets import Dataset, FolderDataset, Part, open_dataset, remapped
from detection.errors import CheckpointError, DatasetError
from detection.inference import CITY_WEIGHTS, Detector
from detection.sample import Sample, View
from detection.statistics import ground_height
from slam.calibration import Calibration, Camera
from slam.io.opening import is_bag, open_recording
from slam.io.recording import Recording
from slam.measurements import Image, Scan

logger = logging.getLogger(__name__)

MOST_APART_NS = 60_000_000
"""A picture belongs to a scan when their stamps are no farther apart."""
GROUND_SCANS = 5


class Joined(Dataset):
    """Several datasets one after the other."""

    def __init__(self, parts: Sequence[Dataset], classes: tuple[str, ...]) -> None:
        """``parts``: all with the labels of ``classes``."""
        self.classes, self._parts = classes, parts
        self._starts = np.cumsum([0, *map(len, parts)])

    def __len__(self) -> int:
        return int(self._starts[-1])

    def read(self, index: int) -> Sample:
        part = int(np.searchsorted(self._starts, index, side="right")) - 1
        return self._parts[part][index - int(self._starts[part])]


def load_detector(checkpoint: Path | None) -> Detector:
    """The detector asked for, or the one that ships.

    Raises:
        CheckpointError: no such file, or none ships.
    """
    if checkpoint is None and not CITY_WEIGHTS.is_file():
        raise CheckpointError(
            "no detector ships with this version: train one with `mem4nav detect train --out DIR` and give "
            "--checkpoint DIR/detector.safetensors"
        )
    import torch

    return Detector.load(checkpoint or CITY_WEIGHTS, "cuda" if torch.cuda.is_available() else "cpu")


def open_joined(paths: Sequence[Path], classes: tuple[str, ...]) -> Dataset:
    """Datasets one after the other; boxes of classes that are not among ``classes`` are left out.

    Raises:
        DatasetError: a path is no dataset, or none of its classes is known.
    """
    return Joined([_renamed(_opened(path), classes, path) for path in paths], classes)


def samples_of(
    path: Path, classes: tuple[str, ...], ground_m: float | None
) -> tuple[str, int | None, Iterator[Sample]]:
    """Name, number of samples (None: not known), and the samples of a recording, a dataset or one of its frames.

    Raises:
        DatasetError, RecordingError: nothing there, or nothing known.
    """
    if (
        path.exists()
        and not (path / "dataset.json").is_file()
        and (is_bag(path) or (path / "velodyne_points").is_dir())
    ):
        recording = open_recording(path)
        return recording.name, recording.scan_count, Frames(recording, ground_m).samples()
    dataset = _opened(path)
    known = {name: name if name in classes else None for name in dataset.classes}
    dataset = remapped(dataset, known, classes)
    return path.name, len(dataset), iter(dataset)


def _opened(path: Path) -> Dataset:
    if (path / "frame.json").is_file() and (path.parent.parent / "dataset.json").is_file():
        whole = FolderDataset(path.parent.parent)
        return Part(whole, [whole.names.index(path.resolve().name)])
    return open_dataset(path)


def _renamed(dataset: Dataset, classes: tuple[str, ...], path: Path) -> Dataset:
    known = {name: name if name in classes else None for name in dataset.classes}
    if not any(known.values()):
        raise DatasetError(
            f"{path} has the classes {', '.join(dataset.classes)}: the detector has {', '.join(classes)}"
        )
    if left := [name for name, kept in known.items() if kept is None]:
        logger.warning("%s: boxes of %s are left out: the detector has no such class", path, ", ".join(left))
    return remapped(dataset, known, classes)


@dataclass(slots=True)
class Frames:
    """Samples of a recording: each scan with the picture of each camera that is nearest to it in time.

    Scans are taken as they are: what the vehicle's motion does to them within a sweep is not undone. Boxes stand over
    the ground, so base_link is lowered onto it.

    Attributes:
        recording: with scans; pictures and calibrated cameras where it has them.
        ground_m: height of the ground in base_link; None: found in the first scans.
    """

    recording: Recording
    ground_m: float | None = None

    def samples(self) -> Iterator[Sample]:
        """In the order of time; one for each scan."""
        calibration = self.recording.calibration
        ground, full = self._first_look()
        down = np.eye(4)
        down[2, 3] = -ground
        logger.info("the ground is taken to lie at %+.2f m in base_link", ground)
        for scan, images in self._pairs():
            T = down @ calibration.T_base_lidar
            yield Sample(
                f"{scan.stamp_ns}", scan.stamp_ns, _points(scan, T, full), _views(images, calibration, down),
                lidar_origin=T[:3, 3].copy(),
            )  # fmt: skip

    def _first_look(self) -> tuple[float, float]:
        """Height of the ground in base_link, and what an intensity of 1 is in the driver's units."""
        heights, most, T = [], 0.0, self.recording.calibration.T_base_lidar
        for one in self.recording.measurements():
            if isinstance(one, Scan):
                points = _points(one, T, 1.0)
                heights.append(ground_height(points[:, :3].astype(np.float64), T[:3, 3]))
                most = max(most, float(points[:, 3].max(initial=0.0)))
            if len(heights) == GROUND_SCANS:
                break
        known = [height for height in heights if np.isfinite(height)]
        ground = self.ground_m if self.ground_m is not None else float(np.median(known)) if known else 0.0
        return ground, 1.0 if most <= 1.0 else max(most, 255.0)

    def _pairs(self) -> Iterator[tuple[Scan, dict[str, Image]]]:
        """Scans with pictures; a scan waits until no later picture can be nearer."""
        waiting: list[Scan] = []
        images: list[Image] = []
        for one in self.recording.measurements(images=True):
            if isinstance(one, Scan):
                waiting.append(one)
            elif isinstance(one, Image):
                images.append(one)
            while waiting and one.stamp_ns > waiting[0].stamp_ns + 2 * MOST_APART_NS:
                scan = waiting.pop(0)
                yield scan, _nearest(scan, images)
                images = [image for image in images if image.stamp_ns >= scan.stamp_ns - MOST_APART_NS]
        yield from ((scan, _nearest(scan, images)) for scan in waiting)


def _nearest(scan: Scan, images: Sequence[Image]) -> dict[str, Image]:
    """By camera, the picture nearest in time, where one is near enough."""
    found: dict[str, Image] = {}
    for image in images:
        apart = abs(image.stamp_ns - scan.stamp_ns)
        there = found.get(image.camera)
        if apart <= MOST_APART_NS and (there is None or apart < abs(there.stamp_ns - scan.stamp_ns)):
            found[image.camera] = image
    return found


def _points(scan: Scan, T_base_lidar: NDArray[np.float64], full: float) -> NDArray[np.float32]:
    """(P, 5) valid returns in base_link; an intensity of ``full`` becomes 1."""
    xyz = np.asarray(scan.points, np.float64)[:, :3]
    valid = np.isfinite(xyz).all(axis=1) & (np.abs(xyz).max(axis=1, initial=0.0) > 0.0)
    intensity = np.zeros(len(xyz)) if scan.intensity is None else np.nan_to_num(scan.intensity) / full
    moved = xyz[valid] @ T_base_lidar[:3, :3].T + T_base_lidar[:3, 3]
    return np.column_stack([moved, intensity[valid], np.zeros(len(moved))]).astype(np.float32)


def _views(images: dict[str, Image], calibration: Calibration, down: NDArray[np.float64]) -> tuple[View, ...]:
    views = []
    for name, image in sorted(images.items()):
        camera: Camera | None = calibration.cameras.get(name)
        if camera is None or image.pixels.shape[:2] != (camera.height, camera.width):
            continue
        pixels = image.pixels if image.pixels.ndim == 3 else np.repeat(image.pixels[:, :, None], 3, axis=2)
        views.append(View(name, pixels, replace(camera, T_base_camera=down @ camera.T_base_camera)))
    return tuple(views)
