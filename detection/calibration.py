# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Scores that mean what they say: of boxes with score 0.7, seven in ten are right.

A class's scores pass through a rising curve, sigmoid(slope * logit(score) + offset), fitted to which detections were
matched (Platt, "Probabilistic outputs for support vector machines", 1999, on the score's logit). It rises, so that the
order within a class, and AP with it, stays. A class of few examples leans on the curve of all classes together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize
from scipy.special import expit, logit

from detection.errors import DetectionError
from detection.evaluation.matching import Frames, match_by_distance
from detection.evaluation.nuscenes_metrics import kept
from detection.evaluation.rules import EvalRules
from detection.sample import Boxes

_SMALLEST = 1e-7  # as near to 0 and to 1 as float32 can tell apart
_TRUST = 20.0  # examples that the curve of all classes is worth


@dataclass(frozen=True, slots=True)
class ScoreCalibration:
    """The curve of each class.

    Attributes:
        classes: names, in the order of the labels.
        slopes: above 0.
        offsets: of the logit.
    """

    classes: tuple[str, ...]
    slopes: tuple[float, ...]
    offsets: tuple[float, ...]

    def __post_init__(self) -> None:
        counts = (len(self.classes), len(self.slopes), len(self.offsets))
        if len(set(counts)) > 1 or not all(slope > 0.0 for slope in self.slopes):
            raise DetectionError(
                f"{counts[0]} classes with slopes {self.slopes} and {counts[2]} offsets: no calibration"
            )

    def apply(self, scores: ArrayLike, labels: NDArray[np.int64]) -> NDArray[np.float32]:
        """(N,) float32 probabilities of (N,) scores in [0, 1] of boxes with (N,) labels."""
        slopes, offsets = np.array(self.slopes)[labels], np.array(self.offsets)[labels]
        return expit(slopes * _logit(scores) + offsets).astype(np.float32)

    def applied(self, boxes: Boxes) -> Boxes:
        """Boxes with calibrated scores."""
        return replace(boxes, score=self.apply(boxes.score, boxes.label))

    def to_json(self) -> dict[str, Any]:
        """As plain data for `json.dumps`."""
        return {"classes": list(self.classes), "slopes": list(self.slopes), "offsets": list(self.offsets)}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> ScoreCalibration:
        """What `to_json` wrote.

        Raises:
            DetectionError: a field is missing, or they contradict each other.
        """
        try:
            return cls(tuple(values["classes"]), tuple(values["slopes"]), tuple(values["offsets"]))
        except KeyError as missing:
            raise DetectionError(f"a score calibration without {missing}: it has {sorted(values)}") from missing


def uncalibrated(classes: Sequence[str]) -> ScoreCalibration:
    """Leaves every score as it is."""
    return ScoreCalibration(tuple(classes), (1.0,) * len(classes), (0.0,) * len(classes))


def fit_calibration(
    truths: Sequence[Boxes], detections: Sequence[Boxes], classes: Sequence[str], rules: EvalRules | None = None
) -> ScoreCalibration:
    """From frames that the detector was not trained on: right is what is matched at the distance of the errors.

    Args:
        truths, detections: one `Boxes` a frame, labels into ``classes``.
        rules: what counts, and how near is a match.

    Raises:
        DetectionError: not one right or not one wrong detection among them: nothing can be fitted.
    """
    score, right, label = outcomes(truths, detections, classes, rules)
    if right.all() or not right.any():
        raise DetectionError(
            f"{int(right.sum())} of {len(right)} detections are right: both kinds are needed to calibrate their scores"
        )
    shared = _fit(score, right, np.zeros(2), 0.0)
    curves = [_fit(score[label == one], right[label == one], shared, _TRUST) for one in range(len(classes))]
    slopes, offsets = np.exp([curve[0] for curve in curves]), [curve[1] for curve in curves]
    return ScoreCalibration(tuple(classes), tuple(map(float, slopes)), tuple(map(float, offsets)))


def outcomes(
    truths: Sequence[Boxes], detections: Sequence[Boxes], classes: Sequence[str], rules: EvalRules | None = None
) -> tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.int64]]:
    """Of all D detections in range: (D,) scores, (D,) whether each was matched, (D,) labels."""
    rules = rules or EvalRules()
    truth, found = kept(truths, detections, classes, rules)
    right = np.zeros(len(found.boxes), bool)
    for label in range(len(classes)):
        right |= _matched(truth, found, label, rules.error_distance_m)
    return found.boxes.score.astype(np.float64), right, found.boxes.label


def _matched(truth: Frames, found: Frames, label: int, limit_m: float) -> NDArray[np.bool_]:
    (matches,) = match_by_distance(truth, found, label, [limit_m])
    right = np.zeros(len(found.boxes), bool)
    right[matches.detection[matches.truth >= 0]] = True
    return right


def _fit(score: NDArray[np.float64], right: NDArray[np.bool_], start: NDArray, trust: float) -> NDArray[np.float64]:
    """Logarithm of the slope, and the offset: the likeliest, held to ``start`` as if by ``trust`` examples."""
    x = _logit(score)

    def loss(curve: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        slope, gap = np.exp(curve[0]), curve - start
        value = slope * x + curve[1]
        wrong = expit(value) - right
        gradient = np.array([slope * (wrong @ x), wrong.sum()]) + trust * gap
        return float((np.logaddexp(0.0, value) - right * value).sum() + 0.5 * trust * gap @ gap), gradient

    # Beyond these no score means anything; without them a perfectly separated class would run away.
    return minimize(loss, start, jac=True, method="L-BFGS-B", bounds=[(-4.0, 3.0), (-20.0, 20.0)]).x


def _logit(scores: ArrayLike) -> NDArray[np.float64]:
    return logit(np.clip(np.asarray(scores, np.float64), _SMALLEST, 1.0 - _SMALLEST))
