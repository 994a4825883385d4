# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Boxes of ours scored by nuscenes-devkit, the benchmark's own program."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence

import numpy as np

from detection.evaluation.matching import Frames
from detection.evaluation.nuscenes_metrics import kept
from detection.evaluation.rules import EvalRules
from detection.sample import Boxes


def devkit_missing() -> str | None:
    """Why the devkit cannot be asked; None where it can."""
    return None if importlib.util.find_spec("nuscenes") else "nuscenes-devkit is not installed"


def devkit_map(truths: Sequence[Boxes], detections: Sequence[Boxes], classes: Sequence[str], rules: EvalRules) -> float:
    """mAP by the devkit of boxes that count by ``rules``; our classes borrow the names of its ten, one each."""
    from nuscenes.eval.common.utils import center_distance
    from nuscenes.eval.detection.algo import accumulate, calc_ap
    from nuscenes.eval.detection.constants import DETECTION_NAMES

    truth, found = (_theirs(one, len(truths), DETECTION_NAMES) for one in kept(truths, detections, classes, rules))
    aps = [
        calc_ap(accumulate(truth, found, name, center_distance, limit), rules.min_recall, rules.min_precision)
        for name in DETECTION_NAMES[: len(classes)]
        for limit in rules.distances_m
    ]
    return float(np.mean(aps))


def _theirs(frames: Frames, count: int, names: Sequence[str]):
    from nuscenes.eval.common.data_classes import EvalBoxes
    from nuscenes.eval.detection.data_classes import DetectionBox

    result = EvalBoxes()
    for frame in range(count):
        boxes = frames.boxes.pick(frames.frame == frame)
        result.add_boxes(str(frame), [
            DetectionBox(
                sample_token=str(frame), translation=tuple(boxes.centre[i].tolist()),
                size=tuple(boxes.size[i, [1, 0, 2]].tolist()), detection_name=names[boxes.label[i]],
                rotation=(float(np.cos(0.5 * boxes.yaw[i])), 0.0, 0.0, float(np.sin(0.5 * boxes.yaw[i]))),
                velocity=tuple(boxes.velocity[i].tolist()), detection_score=float(boxes.score[i]),
            )
            for i in range(len(boxes))
        ])  # fmt: skip
    return result
