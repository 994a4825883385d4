# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Detectors trained for comparison, each with its seed in a folder of its own, where a training broken off goes on.

All see the same frames in the same order, the same number of times; they differ in a switch, or in what sensors there
are. One takes 10 to 25 minutes on one core.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from bench.detection_frames import SOURCES as FRAME_SOURCES
from bench.detection_frames import TRAINING_FRAMES, held_out_frames, training_frames
from bench.detection_judging import CHANGES, NO_CAMERAS, NO_LIDAR, WHOLE, detection_sources, judged, judging_key, loaded
from bench.places import OUT
from bench.resuming import digest_of, measured
from detection.config import TrainConfig
from detection.datasets import Dataset
from detection.sample import Sample
from detection.training import DETECTOR, TRAINING, Row, train
from mem4nav.cli.detect_train import DatasetSource
from slam.config import to_dict
from slam.files import write_text

FOLDER = OUT / "detection_training"
STEPS, BATCH, SEEDS = 1200, 4, (0, 1, 2)
HELD_OUT_SEED = 0
RECIPE, RECIPE_MINUTES = "recipe", 40
ONE_HOT = "one_hot"
_SAID_EVERY = 50
_NOT_LEARNT_BY = ("calibration.py", "inference.py", "tracking.py")


@dataclass(frozen=True, slots=True)
class Variant:
    """What a network is and is given.

    Attributes:
        title: what sets it apart.
        model: what differs from the usual `ModelConfig`.
        sensors: which of them there are, while it learns and when it is judged: a name of `CHANGES`.
    """

    title: str
    model: Mapping[str, Any] = field(default_factory=dict)
    sensors: str = WHOLE


_NO_SEMANTIC = {"semantic_transfer": False}
VARIANTS = {
    "no-semantic": Variant("LiDAR and cameras, without semantic transfer", _NO_SEMANTIC),
    "lidar": Variant("LiDAR alone", _NO_SEMANTIC, NO_CAMERAS),
    "camera": Variant("cameras alone", _NO_SEMANTIC, NO_LIDAR),
    "full": Variant("all of it"),
    "no-geometric": Variant("without geometric transfer", {"geometric_transfer": False}),
    "no-view": Variant("without view transform", {"view_transform": False}),
    "dsvt": Variant("DSVT in place of the pillars' convolutions", {"lidar_backbone": "dsvt"}),
}
NAMES = (*VARIANTS, RECIPE)


class Given(Dataset):
    """Frames with some of their sensors, a name of `CHANGES`; things that none of these saw count as unseen."""

    def __init__(self, frames: Dataset, sensors: str) -> None:
        self.classes, self._frames, self._sensors = frames.classes, frames, sensors

    def __len__(self) -> int:
        return len(self._frames)

    def read(self, index: int) -> Sample:
        return CHANGES[self._sensors](self._frames[index], index)


def config_of(name: str, seed: int) -> TrainConfig:
    """How a variant learns."""
    usual = TrainConfig(seed=seed, steps=STEPS, batch=BATCH)
    return replace(usual, model=replace(usual.model, **VARIANTS[name].model))


def prepare() -> None:
    """Make the frames, so that processes started later find them."""
    training_frames()
    held_out_frames(HELD_OUT_SEED)


def run(name: str, seed: int, device: str | None = None) -> None:
    """Train a variant or the recipe, from where it was broken off, unless that is done; and judge it."""
    torch.set_num_threads(1)
    folder = FOLDER / f"{name}-{seed}"
    if not _trained(folder, name, seed):
        began, key = folder / "began.txt", training_key(name, seed)
        if not began.is_file() or began.read_text(encoding="utf-8") != key:
            (folder / TRAINING).unlink(missing_ok=True)
            write_text(began, key)
        goes_on = (folder / TRAINING).is_file()
        if name == RECIPE:
            _train_as_users_do(folder, seed, goes_on)
        else:
            _train(folder, name, seed, goes_on, device)
        write_text(folder / "trained.txt", key)
    metrics_of(name, seed)


def metrics_of(name: str, seed: int) -> dict[str, Any] | None:
    """Of a detector on held-out towns, kept in its folder as metrics.json; None before it is trained."""
    folder = FOLDER / f"{name}-{seed}"
    if not _trained(folder, name, seed):
        return None
    key = judging_key(training_key(name, seed), HELD_OUT_SEED)
    return measured(folder / "metrics.json", key, lambda: _judged(folder / DETECTOR, name))


def training_key(name: str, seed: int) -> str:
    """Of all that a training depends on."""
    learnt_by = [*FRAME_SOURCES, *detection_sources(*_NOT_LEARNT_BY), "mem4nav/cli/detect_train.py"]
    if name == RECIPE:
        return digest_of(learnt_by, RECIPE_MINUTES, seed)
    return digest_of(learnt_by, TRAINING_FRAMES, to_dict(config_of(name, seed)), VARIANTS[name].sensors)


def _trained(folder: Path, name: str, seed: int) -> bool:
    done = folder / "trained.txt"
    return done.is_file() and done.read_text(encoding="utf-8") == training_key(name, seed)


def _train(folder: Path, name: str, seed: int, goes_on: bool, device: str | None) -> None:
    frames = Given(training_frames(), VARIANTS[name].sensors)

    def progress(row: Row) -> None:
        if row["step"] % _SAID_EVERY == 0:
            print(f"{name} seed {seed}: step {row['step']:.0f} of {STEPS}, loss {row['total']:.2f}", flush=True)

    source = DatasetSource(frames, seed, workers=0)
    train(config_of(name, seed), source, folder, resume=goes_on, device=device, progress=progress)


def _train_as_users_do(folder: Path, seed: int, goes_on: bool) -> None:
    command = [sys.executable, "-m", "mem4nav.cli.main", "detect", "train", "--out", str(folder), "--quiet"]
    command += ["--minutes", str(RECIPE_MINUTES), "--seed", str(seed), "--workers", "1"]
    subprocess.run([*command, *(["--resume"] if goes_on else [])], check=True)


def _judged(checkpoint: Path, name: str) -> dict[str, Any]:
    """What ``judged`` says; of "full" also with scores of one class alone, as released."""
    frames, detector = held_out_frames(HELD_OUT_SEED), loaded(checkpoint)
    result = judged(detector, frames, VARIANTS[name].sensors if name in VARIANTS else WHOLE)
    if name == "full":
        detector.model.config = replace(detector.config, rescoring=ONE_HOT)
        result[ONE_HOT] = judged(detector, frames)
    return result
