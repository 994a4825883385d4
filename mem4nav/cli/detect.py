# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""``mem4nav detect``: 3-D boxes from LiDAR and cameras: a detector learns, is judged, is put to work."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from mem4nav.cli.console import Terminal
from mem4nav.errors import UsageError

OutFolder = Annotated[Path, tyro.conf.arg(metavar="DIR")]
Weights = Annotated[Path | None, tyro.conf.arg(metavar="FILE")]
Datasets = Annotated[tuple[Path, ...], tyro.conf.arg(metavar="PATH [PATH ...]")]


@dataclass(frozen=True, kw_only=True)
class Train:
    """A detector learns, from the procedural city or from datasets."""

    out: OutFolder
    """Gets detector.safetensors, curves.jsonl, curves.png, config.yaml, metrics.json, training.safetensors."""
    data: Datasets = ()
    """Datasets with boxes (nuScenes, KITTI, Argoverse 2, the stack's own folder); else the procedural city."""
    config: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    """YAML with the keys of detection.config.TrainConfig (model, loss, augment, steps, batch, rate, ...)."""
    steps: Annotated[int | None, tyro.conf.arg(metavar="N")] = None
    """Optimiser steps; else as configured."""
    seed: int | None = None
    """Of the weights, the order of the samples and their variation; else as configured."""
    minutes: Annotated[float | None, tyro.conf.arg(metavar="M")] = None
    """End after so long, with the learning rate fallen by then."""
    workers: int = 0
    """Processes that make or read samples ahead."""
    calibrate: Annotated[int, tyro.conf.arg(metavar="N")] = 100
    """Frames, not learned from, on which the scores are calibrated; 0 leaves them as they are. Of datasets, every tenth
    frame is held back for it."""
    resume: bool = False
    """Go on where a training in --out was broken off."""
    quiet: bool = False
    """Say nothing but errors."""


@dataclass(frozen=True, kw_only=True)
class Eval:
    """A detector is judged against truth: mAP and NDS of each head, errors, reliability of the scores."""

    out: OutFolder
    """Gets metrics.json, boxes.json, truth.json, precision_recall.png, reliability.png and overlays/."""
    seed: int = 0
    """Of the held-out towns."""
    checkpoint: Weights = None
    """A detector; else the one that ships."""
    data: Datasets = ()
    """Datasets with boxes; else held-out towns."""
    frames: Annotated[int | None, tyro.conf.arg(metavar="N")] = None
    """The first so many; else all of the datasets, or 220 of the towns."""
    sensors: Literal["all", "lidar", "camera"] = "all"
    """What the detector is given."""
    drop: Annotated[tuple[str, ...], tyro.conf.arg(metavar="NAME [NAME ...]")] = ()
    """Leave out cameras by name, or `lidar`, or `cameras`."""
    turn_extrinsics: Annotated[float, tyro.conf.arg(metavar="DEG")] = 0.0
    """Turn every camera's calibration about a random axis by so much, to see what a bad one costs."""
    overlays: Annotated[int, tyro.conf.arg(metavar="N")] = 4
    """Pictures of so many frames, evenly chosen."""
    quiet: bool = False
    """Say nothing but errors."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """A detector at work on a recording or dataset: boxes as JSON, drawn into the pictures and seen from above."""

    input: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="INPUT")]
    """A dataset, one frame's folder of the stack's own, or a recording with scans and calibrated cameras."""
    out: OutFolder
    """Gets boxes.json, metrics.json and overlays/."""
    checkpoint: Weights = None
    """A detector; else the one that ships."""
    score: float = 0.3
    """Boxes that are less sure are left out."""
    frames: Annotated[int | None, tyro.conf.arg(metavar="N")] = None
    """The first so many."""
    track: bool = False
    """Give things that stay in sight one identity; needs the vehicle's poses."""
    ground: Annotated[float | None, tyro.conf.arg(metavar="M")] = None
    """For a recording: height of the ground in base_link, metres; else measured in the first scans."""
    overlays: Annotated[int, tyro.conf.arg(metavar="N")] = 20
    """Pictures of so many frames, evenly chosen."""
    quiet: bool = False
    """Say nothing but errors."""


def detect(
    action: Annotated[
        Annotated[Train, tyro.conf.subcommand("train")]
        | Annotated[Eval, tyro.conf.subcommand("eval")]
        | Annotated[Run, tyro.conf.subcommand("run")],
        tyro.conf.arg(name=""),
    ],
) -> None:
    """3-D boxes from LiDAR and cameras: a detector learns, is judged, is put to work.

    `mem4nav detect train --help` shows the options of train, and so on; all take --quiet.
    """
    frames = None if isinstance(action, Train) else action.frames
    if frames is not None and frames < 1:
        raise UsageError(f"--frames {frames}: at least one is needed")
    terminal = Terminal(action.quiet)
    # Imported here, so that --help and a mistyped option answer at once.
    if isinstance(action, Train):
        from mem4nav.cli.detect_train import train_detector

        train_detector(action, terminal)
    elif isinstance(action, Eval):
        from mem4nav.cli.detect_eval import evaluate_detector

        evaluate_detector(action, terminal)
    else:
        from mem4nav.cli.detect_run import run_detector

        run_detector(action, terminal)
