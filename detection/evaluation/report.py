# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""What an evaluation leaves behind: tables as plain data for metrics.json, and its figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from detection.calibration import outcomes
from detection.evaluation.nuscenes_metrics import RECALLS, Scores, evaluate
from detection.evaluation.reliability import Reliability
from detection.evaluation.rules import EvalRules
from detection.sample import Boxes

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MAIN_HEAD = "fused"


def per_head(detections: Sequence[Mapping[str, Boxes]]) -> dict[str, list[Boxes]]:
    """What each head found, frame by frame, from what all heads found in each frame."""
    heads = detections[0] if detections else {}
    return {head: [one[head] for one in detections] for head in heads}


def evaluate_heads(
    truths: Sequence[Boxes],
    heads: Mapping[str, Sequence[Boxes]],
    classes: Sequence[str],
    rules: EvalRules | None = None,
) -> dict[str, Scores]:
    """Scores of each head, by its name."""
    return {head: evaluate(truths, found, classes, rules) for head, found in heads.items()}


def metrics(scores: Mapping[str, Scores], main: str = MAIN_HEAD) -> dict[str, Any]:
    """For metrics.json: map, nds, errors and per_class of the main head, and the same of every head in per_head."""
    return {**scores[main].to_dict(), "per_head": {head: one.to_dict() for head, one in scores.items()}}


def reliability_of(
    truths: Sequence[Boxes], detections: Sequence[Boxes], classes: Sequence[str], rules: EvalRules | None = None
) -> Reliability:
    """How often one head's detections of a score are right."""
    score, right, _ = outcomes(truths, detections, classes, rules)
    return Reliability.of(score, right)


def save_precision_recall(path: Path, scores: Scores, title: str = "") -> None:
    """Precision over recall of each class with truth, at the distance of the errors, as an SVG, PNG or PDF."""
    figure = _figure()
    axes = figure.subplots()
    for name, one in scores.per_class.items():
        reached = one.curve.score > 0.0
        if one.count:
            axes.plot(RECALLS[reached], one.curve.precision[reached], label=f"{name} (AP {one.ap:.2f}, {one.count})")
    axes.set(xlabel="recall", ylabel="precision", xlim=(0.0, 1.0), ylim=(0.0, 1.02), title=title)
    axes.legend(frameon=False, fontsize="small")
    figure.savefig(path)


def save_reliability(path: Path, curves: Mapping[str, Reliability], title: str = "") -> None:
    """How often boxes of a score are right, a curve a name ("before", "after"), as an SVG, PNG or PDF."""
    figure = _figure()
    axes = figure.subplots()
    axes.plot([0.0, 1.0], [0.0, 1.0], color="0.7", linestyle=":")
    for name, one in curves.items():
        filled = np.flatnonzero(one.count)
        axes.plot(one.score[filled], one.right[filled], marker="o", markersize=3, label=f"{name} (ECE {one.ece:.3f})")
    axes.set(xlabel="score", ylabel="share that is right", xlim=(0.0, 1.0), ylim=(0.0, 1.02), title=title)
    axes.legend(frameon=False, fontsize="small")
    figure.savefig(path)


def _figure() -> Figure:
    from matplotlib.figure import Figure

    return Figure(figsize=(6.0, 4.5), layout="constrained")
