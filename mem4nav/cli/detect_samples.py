# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""What the commands of ``mem4nav detect`` read: datasets under the detector's class names, recordings, its weights."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from detection.datasets import Dataset, FolderDataset, Part, open_dataset, remapped
from detection.errors import CheckpointError, DatasetError
from detection.frames import MOST_APART_NS, FirstLook, nearest, sample_of
from detection.inference import CITY_WEIGHTS, Detector
from detection.sample import Sample
from slam.io.opening import is_bag, open_recording
from slam.io.recording import Recording
from slam.measurements import Image, Scan

logger = logging.getLogger(__name__)


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

    Attributes:
        recording: with scans; pictures and calibrated cameras where it has them.
        ground_m: height of the ground in base_link; None: found in the first scans.
    """

    recording: Recording
    ground_m: float | None = None

    def samples(self) -> Iterator[Sample]:
        """In the order of time; one for each scan."""
        look = self._first_look()
        logger.info("the ground is taken to lie at %+.2f m in base_link", look.ground_m)
        for scan, images in self._pairs():
            yield sample_of(scan, images, self.recording.calibration, look)

    def _first_look(self) -> FirstLook:
        look = FirstLook(self.recording.calibration.T_base_lidar, self.ground_m)
        for one in self.recording.measurements():
            if isinstance(one, Scan):
                look.add(one)
            if look.is_done:
                break
        return look

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
                yield scan, nearest(scan, images)
                images = [image for image in images if image.stamp_ns >= scan.stamp_ns - MOST_APART_NS]
        yield from ((scan, nearest(scan, images)) for scan in waiting)
