# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""What a detector finds in frames with truth, whole or with sensors gone wrong, and the numbers of it as plain data."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bench.detection_devkit import devkit_map, devkit_missing
from bench.detection_frames import SOURCES as FRAME_SOURCES
from bench.places import ROOT
from bench.resuming import digest_of
from detection.datasets import Dataset
from detection.evaluation.identities import id_switches
from detection.evaluation.report import evaluate_heads, metrics, per_head, reliability_of
from detection.evaluation.rules import EvalRules
from detection.inference import Detector
from detection.sample import Boxes, Sample
from detection.tracking import TrackConfig, Tracker
from mem4nav.cli.detect import Eval
from mem4nav.cli.detect_eval import degraded

WHOLE, LESS, BLACK, NO_LIDAR, NO_CAMERAS, OFF_1, OFF_5 = (
    "all sensors", "one camera missing", "one camera black", "LiDAR missing", "all cameras missing",
    "extrinsics off by 1 degree", "extrinsics off by 5 degrees",
)  # fmt: skip
_ASKED = Eval(out=Path())
Change = Callable[[Sample, int], Sample]


def judged(detector: Detector, frames: Dataset, change: str = WHOLE, devkit: bool = False) -> dict[str, Any]:
    """Metrics of every head as in ``mem4nav detect eval``, and the calibration error before and after calibrating.

    Args:
        detector: its calibration may be missing: then both errors are the same.
        frames: with truth, in the classes of the detector.
        change: what is wrong with the sensors, a name of ``CHANGES``; the truth stays what it is.
        devkit: also how far the mAP of the fused head is from that by nuscenes-devkit, where that is installed.
    """
    plain, classes, rules = replace(detector, calibration=None), detector.config.classes, EvalRules()
    truths, found = [], []
    for number, sample in enumerate(frames):
        assert sample.boxes is not None
        truths.append(sample.boxes)
        found += plain.detect([CHANGES[change](sample, number)])
    heads = per_head(found)
    before = heads["fused"]
    if detector.calibration is not None:
        heads["fused"] = [detector.calibration.applied(boxes) for boxes in before]
    ece = [reliability_of(truths, boxes, classes, rules).ece for boxes in (before, heads["fused"])]
    scores = evaluate_heads(truths, heads, classes, rules)
    result = metrics(scores) | {"ece_before": ece[0], "ece_after": ece[1], "frames": len(truths)}
    if devkit and devkit_missing() is None:
        result["devkit_gap"] = abs(devkit_map(truths, heads["fused"], classes, rules) - scores["fused"].map)
    return result


def tracked(detector: Detector, frames: Dataset) -> dict[str, int]:
    """Objects of a drive that were followed for more than two seconds, and how many of them changed their identity."""
    tracker = Tracker(TrackConfig(classes=detector.config.classes))
    stamps: list[int] = []
    truths: list[Boxes] = []
    tracks: list[Boxes] = []
    for sample in frames:
        assert sample.boxes is not None and sample.T_world_base is not None
        stamps.append(sample.stamp_ns)
        truths.append(sample.boxes)
        tracks.append(tracker.update(sample.stamp_ns, detector.detect([sample])[0]["fused"], sample.T_world_base))
    found = id_switches(stamps, truths, tracks)
    return {"frames": len(stamps), "objects": found.objects, "switched": found.switched, "switches": found.switches}


def judging_key(*more: object) -> str:
    """Of all that the numbers depend on but the weights."""
    judges = ("mem4nav/cli/detect_eval.py", "bench/detection_judging.py", "bench/detection_devkit.py")
    return digest_of((*FRAME_SOURCES, *detection_sources(), "detection/evaluation/*.py", *judges), *more)


def detection_sources(*passed_over: str) -> list[str]:
    """The detector's own modules but those named, and but what is there for pictures and for other programs."""
    out = {"overlays.py", "export.py", *passed_over}
    return [f"detection/{path.name}" for path in sorted((ROOT / "detection").glob("*.py")) if path.name not in out]


@cache
def loaded(checkpoint: Path) -> Detector:
    """The detector of a file, on a GPU where there is one; once in a process."""
    return Detector.load(checkpoint, "cuda" if torch.cuda.is_available() else "cpu")


def mean_map(runs: Sequence[dict[str, Any]]) -> float:
    """Of the fused head."""
    return float(np.mean([run["map"] for run in runs]))


def _one_camera_less(sample: Sample, number: int) -> Sample:
    """Each camera in turn."""
    return degraded(sample, replace(_ASKED, drop=(sample.views[number % len(sample.views)].name,)), number)


def _one_camera_black(sample: Sample, number: int) -> Sample:
    dark = number % len(sample.views)
    views = [replace(v, pixels=np.zeros_like(v.pixels)) if i == dark else v for i, v in enumerate(sample.views)]
    return replace(sample, views=tuple(views))


def _asked(**options: Any) -> Change:
    asked = replace(_ASKED, **options)
    return lambda sample, number: degraded(sample, asked, number)


CHANGES: dict[str, Change] = {
    WHOLE: _asked(),
    LESS: _one_camera_less,
    BLACK: _one_camera_black,
    NO_LIDAR: _asked(sensors="camera"),
    NO_CAMERAS: _asked(sensors="lidar"),
    OFF_1: _asked(turn_extrinsics=1.0),
    OFF_5: _asked(turn_extrinsics=5.0),
}
"""What may be wrong with the sensors, by name: a sample and its number give what is left of it."""
