# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Frames of towns to learn from and to be judged on, made once and kept on disk as the stack's own datasets.

Pictures are kept without loss: what is read is what ``mem4nav detect eval`` makes anew each time.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path

from bench.places import OUT
from bench.resuming import digest_of
from detection.config import CITY_CLASSES
from detection.datasets import Dataset, FolderDataset, FolderWriter
from detection.sample import Sample
from mem4nav.cli.detect_city import (
    TRAIN_SEEDS,
    city_samples,
    drive_samples,
    held_out_scenes,
    held_out_seeds,
    training_scenes,
)
from mem4nav.cli.detect_eval import CITY_FRAMES
from sim_envs.city.scenes import SceneConfig
from slam.files import write_text

FOLDER = OUT / "detection" / "frames"
WORKERS = 2
TRAINING_FRAMES = 1500
DRIVE_S = 20.0
SOURCES = ("sim_envs/city/*.py", "sim_envs/city/scenes/*.py", "mem4nav/cli/detect_city.py")
"""What frames depend on."""


@dataclass(frozen=True, slots=True)
class Town:
    """One town to take frames from.

    Attributes:
        scenes: how.
        seed: of the town.
        drive_s: seconds of a drive, a frame a sweep; None: frames far apart, as they are learned from.
    """

    scenes: SceneConfig
    seed: int
    drive_s: float | None = None

    def samples(self) -> Iterator[Sample]:
        """In order."""
        if self.drive_s is None:
            return city_samples(self.scenes, [self.seed], lanes=1)
        return drive_samples(self.scenes, self.seed, self.drive_s)


def training_frames(count: int = TRAINING_FRAMES) -> Dataset:
    """Of as many of the first training towns as are needed."""
    return _frames("training", training_scenes(), TRAIN_SEEDS, count)


def held_out_frames(seed: int, count: int = CITY_FRAMES) -> Dataset:
    """Those of ``mem4nav detect eval --seed``, in its order."""
    return _frames(f"held-out-{seed}", held_out_scenes(), held_out_seeds(seed), count)


def drive_frames(seed: int, seconds: float = DRIVE_S) -> Dataset:
    """A drive through the last held-out town of a seed, which none of the other frames are of."""
    return on_disk(FOLDER / f"drive-{seed}", [Town(held_out_scenes(), held_out_seeds(seed)[-1], seconds)])


def _frames(name: str, scenes: SceneConfig, seeds: Sequence[int], count: int) -> Dataset:
    towns = [Town(scenes, seed) for seed in seeds[: -(-count // scenes.frames)]]
    return on_disk(FOLDER / name, towns)[:count]


def on_disk(folder: Path, towns: Sequence[Town]) -> Dataset:
    """The frames of towns in a folder; what is not there yet is made, by two processes, town by town.

    Frames of an older simulator, or of towns of other numbers, are removed first.
    """
    made_of = folder / "made_of.txt"
    key = digest_of(SOURCES, towns[0].scenes, towns[0].drive_s)
    if folder.exists() and (not made_of.is_file() or made_of.read_text(encoding="utf-8") != key):
        shutil.rmtree(folder)
    write_text(made_of, key)
    FolderWriter(folder, CITY_CLASSES)
    missing = [town for town in towns if not _complete(folder, town).exists()]
    if missing:
        print(f"{folder.name}: frames of {len(missing)} towns are to be made", flush=True)
    with ProcessPoolExecutor(WORKERS, mp_context=get_context("spawn")) as pool:
        list(pool.map(partial(_make, folder), missing))
    return FolderDataset(folder)


def _make(folder: Path, town: Town) -> None:
    writer = FolderWriter(folder, CITY_CLASSES, jpeg_quality=None)
    for sample in town.samples():
        writer.write(sample, f"town-{town.seed}")
    write_text(_complete(folder, town), "")


def _complete(folder: Path, town: Town) -> Path:
    return folder / "complete" / str(town.seed)
