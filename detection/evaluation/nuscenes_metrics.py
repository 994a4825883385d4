# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""nuScenes' detection metrics for any list of classes: mAP, the errors of matched boxes, and their sum, NDS.

After Caesar et al., "nuScenes: A multimodal dataset for autonomous driving" (CVPR 2020), section 3.1, and, in what the
paper leaves open (interpolation, order of equal scores), like the public devkit 1.2.0, to 1e-6.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detection.errors import DetectionError
from detection.evaluation.matching import Frames, Matches, match_by_distance
from detection.evaluation.rules import EvalRules, counted, distance, in_range
from detection.sample import Boxes

RECALLS = np.linspace(0.0, 1.0, 101)
AP_WEIGHT = 5.0
Attributes = Sequence[NDArray[np.int64]]


@dataclass(frozen=True, slots=True)
class Curve:
    """Precision over recall, at 101 recalls from 0 to 1.

    Attributes:
        precision: (101,) float64; 0 beyond the greatest recall reached.
        score: (101,) float64 that reaches the recall; 0 beyond.
    """

    precision: NDArray[np.float64]
    score: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ClassScores:
    """One class.

    Attributes:
        ap: mean over the distances of a match.
        ap_by_distance: for each of them, metres.
        ap_by_band: for each band of distance from the vehicle ("0-10 m"); NaN where no truth is.
        errors: by name (ATE, ...); NaN where one does not apply.
        count: true boxes.
        detections: detected boxes.
        curve: at the distance that errors are measured at.
    """

    ap: float
    ap_by_distance: dict[float, float]
    ap_by_band: dict[str, float]
    errors: dict[str, float]
    count: int
    detections: int
    curve: Curve


@dataclass(frozen=True, slots=True)
class Scores:
    """All classes.

    Attributes:
        map: mean AP.
        nds: (5 mAP + sum of max(0, 1 - error)) / (5 + number of errors), over those errors of the rules that apply
            to any class; errors are means over the classes.
        errors: these means; NaN where one applies to no class.
        map_by_band: mean AP of the classes with truth in the band; NaN where none has.
        per_class: by name.
    """

    map: float
    nds: float
    errors: dict[str, float]
    map_by_band: dict[str, float]
    per_class: dict[str, ClassScores]

    def to_dict(self) -> dict[str, Any]:
        """For metrics.json: rounded to 1e-6, None for NaN."""
        per_class = {
            name: {
                "ap": _plain(one.ap),
                "ap_by_distance": {f"{key:g}": _plain(value) for key, value in one.ap_by_distance.items()},
                "ap_by_band": _plain_items(one.ap_by_band),
                "errors": _plain_items(one.errors),
                "count": one.count,
                "detections": one.detections,
            }
            for name, one in self.per_class.items()
        }
        means = {"map": _plain(self.map), "nds": _plain(self.nds), "errors": _plain_items(self.errors)}
        return {**means, "map_by_band": _plain_items(self.map_by_band), "per_class": per_class}


def evaluate(
    truths: Sequence[Boxes],
    detections: Sequence[Boxes],
    classes: Sequence[str],
    rules: EvalRules | None = None,
    *,
    truth_attributes: Attributes | None = None,
    attributes: Attributes | None = None,
) -> Scores:
    """Detections against truth, frame by frame.

    Truth that does not count (`rules.counted`) is dropped, as in nuScenes: a detection of it is a false alarm.

    Args:
        truths, detections: one `Boxes` a frame, all in base_link, labels into ``classes``.
        rules: what counts.
        truth_attributes, attributes: (N,) int64 a frame, what each thing is doing, -1 unknown; for AAE alone.

    Raises:
        DetectionError: frames of unequal number, labels beyond the classes, or numbers that are none.
    """
    rules = rules or EvalRules()
    truth, found = kept(truths, detections, classes, rules, truth_attributes, attributes)
    per_class = {name: _class_scores(truth, found, label, name, rules) for label, name in enumerate(classes)}
    means = [one for one in per_class.values() if one.count or rules.absent_count]
    errors = {name: _mean([one.errors[name] for one in means]) for name in rules.errors}
    mean_ap = _mean([one.ap for one in means])
    bands = {band: _mean([one.ap_by_band[band] for one in per_class.values()]) for band in _bands(rules)}
    return Scores(mean_ap, _nds(mean_ap, errors), errors, bands, per_class)


def kept(
    truths: Sequence[Boxes],
    detections: Sequence[Boxes],
    classes: Sequence[str],
    rules: EvalRules,
    truth_attributes: Attributes | None = None,
    attributes: Attributes | None = None,
) -> tuple[Frames, Frames]:
    """Truth that counts and detections in range."""
    if len(truths) != len(detections):
        raise DetectionError(f"{len(truths)} frames of truth, {len(detections)} of detections: they must be the same")
    truth, found = Frames.of(truths, truth_attributes), Frames.of(detections, attributes)
    for boxes in (truth.boxes, found.boxes):
        if len(boxes) and not (boxes.label.min() >= 0 and boxes.label.max() < len(classes)):
            raise DetectionError(
                f"labels from {boxes.label.min()} to {boxes.label.max()} for {len(classes)} classes: "
                "the boxes are of another list of classes"
            )
    return truth.pick(counted(truth.boxes, classes, rules)), found.pick(in_range(found.boxes, classes, rules))


def curve_of(matched: NDArray[np.bool_], score: NDArray[np.float64], positives: int) -> Curve:
    """Precision over recall of (D,) detections, surest first, given which of them are right."""
    if not positives or not matched.any():
        return Curve(np.zeros(len(RECALLS)), np.zeros(len(RECALLS)))
    right = np.cumsum(matched)
    recall = right / positives
    precision = np.interp(RECALLS, recall, right / np.arange(1, len(matched) + 1), right=0.0)
    return Curve(precision, np.interp(RECALLS, recall, score, right=0.0))


def average_precision(curve: Curve, rules: EvalRules) -> float:
    """Mean precision above the least recall, less the least precision, as a share of what is possible."""
    above = curve.precision[_first(rules) :] - rules.min_precision
    return float(np.maximum(above, 0.0).mean() / (1.0 - rules.min_precision))


def _class_scores(truth: Frames, found: Frames, label: int, name: str, rules: EvalRules) -> ClassScores:
    by_distance = dict(zip(rules.distances_m, match_by_distance(truth, found, label, rules.distances_m), strict=True))
    curves = {limit: curve_of(one.truth >= 0, one.score, one.positives) for limit, one in by_distance.items()}
    ap = {limit: average_precision(curve, rules) for limit, curve in curves.items()}
    matches, curve = by_distance[rules.error_distance_m], curves[rules.error_distance_m]
    each = _errors_of_pairs(truth, found, matches, rules.yaw_period(name))
    errors = {
        error: _error(each[error], matches, curve, rules) if rules.applies(error, name) else np.nan
        for error in rules.errors
    }
    bands = _ap_by_band(truth, found, label, list(by_distance.values()), rules)
    count = matches.positives
    return ClassScores(float(np.mean(list(ap.values()))), ap, bands, errors, count, len(matches.score), curve)


def _errors_of_pairs(truth: Frames, found: Frames, matches: Matches, yaw_period: float) -> Mapping[str, NDArray]:
    """Of each matched detection, surest first, its (M,) errors by name; NaN where the truth does not say."""
    pairs = matches.truth >= 0
    a, b = truth.pick(matches.truth[pairs]), found.pick(matches.detection[pairs])
    size, other = a.boxes.size.astype(np.float64), b.boxes.size.astype(np.float64)
    shared = np.minimum(size, other).prod(axis=1)
    turn = a.boxes.yaw.astype(np.float64) - b.boxes.yaw
    return {
        "ATE": np.linalg.norm((b.boxes.centre - a.boxes.centre.astype(np.float64))[:, :2], axis=1),
        "ASE": 1.0 - shared / (size.prod(axis=1) + other.prod(axis=1) - shared),
        "AOE": np.abs((turn + yaw_period / 2.0) % yaw_period - yaw_period / 2.0),
        "AVE": np.linalg.norm(b.boxes.velocity.astype(np.float64) - a.boxes.velocity, axis=1),
        "AAE": np.where(a.attribute < 0, np.nan, a.attribute != b.attribute),
    }


def _error(errors: NDArray[np.float64], matches: Matches, curve: Curve, rules: EvalRules) -> float:
    """Mean over the recalls reached, above the least, of the mean error of all detections up to there; 1 if none is."""
    reached = np.flatnonzero(curve.score > 0.0)
    last = reached[-1] if len(reached) else 0
    if last < _first(rules):
        return 1.0
    known = ~np.isnan(errors)
    if not known.any():
        return 1.0
    running = np.cumsum(np.where(known, errors, 0.0)) / np.maximum(np.cumsum(known), 1)
    score = matches.score[matches.truth >= 0]
    resampled = np.interp(curve.score[::-1], score[::-1], running[::-1])[::-1]
    return float(resampled[_first(rules) : last + 1].mean())


def _ap_by_band(
    truth: Frames, found: Frames, label: int, by_distance: Sequence[Matches], rules: EvalRules
) -> dict[str, float]:
    """A matched detection belongs to the band of its true box, a false alarm to that where it stands."""
    away = distance(truth.boxes)
    result = {}
    for low, high, band in zip(rules.bands_m, rules.bands_m[1:], _bands(rules), strict=False):
        positives = int(((low <= away) & (away < high) & (truth.boxes.label == label)).sum())
        aps = []
        for one in by_distance:
            right = one.truth >= 0
            stands = distance(found.boxes)[one.detection]
            stands[right] = away[one.truth[right]]
            here = (low <= stands) & (stands < high)
            aps.append(average_precision(curve_of(right[here], one.score[here], positives), rules))
        result[band] = float(np.mean(aps)) if positives else np.nan
    return result


def _nds(mean_ap: float, errors: Mapping[str, float]) -> float:
    good = [max(0.0, 1.0 - value) for value in errors.values() if not np.isnan(value)]
    return (AP_WEIGHT * mean_ap + sum(good)) / (AP_WEIGHT + len(good))


def _bands(rules: EvalRules) -> list[str]:
    return [f"{low:g}-{high:g} m" for low, high in zip(rules.bands_m, rules.bands_m[1:], strict=False)]


def _first(rules: EvalRules) -> int:
    """Index of the first recall above the least."""
    return round(100 * rules.min_recall) + 1


def _mean(values: Sequence[float]) -> float:
    """Of those that are numbers; NaN if none is."""
    numbers = [value for value in values if not np.isnan(value)]
    return float(np.mean(numbers)) if numbers else np.nan


def _plain(value: float) -> float | None:
    return None if np.isnan(value) else round(float(value), 6)


def _plain_items(values: Mapping[str, float]) -> dict[str, float | None]:
    return {key: _plain(value) for key, value in values.items()}
