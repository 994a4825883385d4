# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""KITTI's average precision of boxes, in space and seen from above, at 40 and at 11 recalls.

After Geiger et al., "Are we ready for Autonomous Driving? The KITTI Vision Benchmark Suite" (CVPR 2012), with the 40
recalls of Simonelli et al. (ICCV 2019). Overlaps are those of boxes in base_link, which stand upright; the benchmark's
own stand upright in the camera's frame. A region marked DontCare has a rectangle in the picture and no place in space,
so that a false alarm is forgiven by what its own rectangle shares with one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from detection.boxes import bev_iou, iou_3d
from detection.errors import DetectionError
from detection.sample import Boxes

RECALLS = 41
OVERLAPS = {"bev": bev_iou, "3d": iou_3d}


@dataclass(frozen=True, slots=True)
class Difficulty:
    """Which true boxes must be found; the others of the class may be.

    Attributes:
        name: "easy", ...
        height_px: only those higher than this in the picture,
        occlusion: at most so much hidden (0 fully visible, 1 partly, 2 largely),
        truncation: and at most this share outside of the picture.
    """

    name: str
    height_px: float
    occlusion: int
    truncation: float


@dataclass(frozen=True, slots=True)
class KittiClass:
    """A class, how far a match must overlap, and the class that is neither right nor wrong to take for it."""

    name: str
    overlap: float
    neighbour: str | None = None


@dataclass(frozen=True, slots=True)
class KittiFrame:
    """Truth or detections of one picture.

    Attributes:
        boxes: N in base_link, labels into the list of classes given with the frames.
        rectangles: (N, 4) left, top, right, bottom in the picture, pixels.
        occlusion: (N,) 0 to 3; of truth alone.
        truncation: (N,) in [0, 1]; of truth alone.
        dont_care: (K, 4) rectangles where nobody labelled; of truth alone.
    """

    boxes: Boxes
    rectangles: NDArray[np.float64]
    occlusion: NDArray[np.int64] | None = None
    truncation: NDArray[np.float64] | None = None
    dont_care: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        if np.shape(self.rectangles) != (len(self.boxes), 4):
            raise DetectionError(
                f"{len(self.boxes)} boxes with rectangles {np.shape(self.rectangles)}: expected (N, 4)"
            )


DIFFICULTIES = (
    Difficulty("easy", 40.0, 0, 0.15),
    Difficulty("moderate", 25.0, 1, 0.3),
    Difficulty("hard", 25.0, 2, 0.5),
)
KITTI_CLASSES = (
    KittiClass("Car", 0.7, "Van"),
    KittiClass("Pedestrian", 0.5, "Person_sitting"),
    KittiClass("Cyclist", 0.5),
)


@dataclass(frozen=True, slots=True)
class KittiAP:
    """Average precision in [0, 1] at 40 and at 11 recalls, and how many true boxes had to be found."""

    r40: float
    r11: float
    count: int


@dataclass(frozen=True, slots=True)
class _Case:
    """One picture, one class, one difficulty, the surest detection first.

    Attributes:
        overlap: (T, D) of truth and detections that play a part.
        must: (T,) truth that must be found; the rest may be.
        score: (D,) falling.
        may: (D,) detections too small in the picture to be held against the detector.
        forgiven: (D,) those in a DontCare region.
    """

    overlap: NDArray[np.float64]
    must: NDArray[np.bool_]
    score: NDArray[np.float64]
    may: NDArray[np.bool_]
    forgiven: NDArray[np.bool_]


def evaluate_kitti(
    truths: Sequence[KittiFrame],
    detections: Sequence[KittiFrame],
    names: Sequence[str],
    classes: Sequence[KittiClass] = KITTI_CLASSES,
) -> dict[str, dict[str, dict[str, KittiAP]]]:
    """AP by class, by kind of overlap ("bev", "3d") and by difficulty ("easy", "moderate", "hard").

    Args:
        truths, detections: one `KittiFrame` a picture.
        names: what the boxes' labels mean, neighbours ("Van", "Person_sitting") among them.
        classes: those to score.

    Raises:
        DetectionError: pictures of unequal number.
    """
    if len(truths) != len(detections):
        raise DetectionError(f"{len(truths)} pictures of truth, {len(detections)} of detections: they must be the same")
    pairs = list(zip(truths, detections, strict=True))
    return {
        kind.name: {
            measure: _of_class(pairs, list(names), kind, overlap)
            for measure, overlap in OVERLAPS.items()
        }
        for kind in classes
    }  # fmt: skip


def average_precision(cases: Sequence[_Case], overlap: float) -> KittiAP:
    """Of all pictures at one difficulty: precision at the scores that reach evenly spaced recalls."""
    count = int(sum(case.must.sum() for case in cases))
    found = np.concatenate([np.zeros(0), *(_scores_of_found(case, overlap) for case in cases)])
    precision = np.zeros(RECALLS)
    for number, score in enumerate(_thresholds(found, count)):
        right, wrong = np.sum([_right_and_wrong(case, overlap, score) for case in cases], axis=0)
        precision[number] = right / max(right + wrong, 1)
    best = np.maximum.accumulate(precision[::-1])[::-1]
    return KittiAP(float(best[1:].mean()), float(best[::4].mean()), count)


def _of_class(
    pairs: Sequence[tuple[KittiFrame, KittiFrame]],
    names: list[str],
    kind: KittiClass,
    overlap: Callable[[Boxes, Boxes], NDArray[np.float64]],
) -> dict[str, KittiAP]:
    label, neighbour = (names.index(one) if one in names else None for one in (kind.name, kind.neighbour))
    cases: dict[str, list[_Case]] = {level.name: [] for level in DIFFICULTIES}
    for truth, found in pairs:
        rows = np.flatnonzero(np.isin(truth.boxes.label, [one for one in (label, neighbour) if one is not None]))
        own = np.flatnonzero(found.boxes.label == label)
        columns = own[np.argsort(-found.boxes.score[own], kind="stable")]
        shared = overlap(truth.boxes.pick(rows), found.boxes.pick(columns))
        forgiven = _forgiven(truth, found.rectangles[columns], kind.overlap)
        for level in DIFFICULTIES:
            must = (truth.boxes.label[rows] == label) & _must(truth, level)[rows]
            may = _height(found.rectangles[columns]) < level.height_px
            score = found.boxes.score[columns].astype(np.float64)
            cases[level.name].append(_Case(shared, must, score, may, forgiven))
    return {level: average_precision(one, kind.overlap) for level, one in cases.items()}


def _must(truth: KittiFrame, level: Difficulty) -> NDArray[np.bool_]:
    must = _height(truth.rectangles) > level.height_px
    if truth.occlusion is not None:
        must &= truth.occlusion <= level.occlusion
    if truth.truncation is not None:
        must &= truth.truncation <= level.truncation
    return must


def _height(rectangles: NDArray[np.float64]) -> NDArray[np.float64]:
    return rectangles[:, 3] - rectangles[:, 1]


def _forgiven(truth: KittiFrame, rectangles: NDArray[np.float64], overlap: float) -> NDArray[np.bool_]:
    """(D,) whether more than ``overlap`` of a rectangle lies in one DontCare region."""
    if truth.dont_care is None or not len(truth.dont_care):
        return np.zeros(len(rectangles), bool)
    low = np.maximum(rectangles[:, None, :2], truth.dont_care[None, :, :2])
    high = np.minimum(rectangles[:, None, 2:], truth.dont_care[None, :, 2:])
    area = (rectangles[:, 2:] - rectangles[:, :2]).prod(axis=1)
    return (np.maximum(high - low, 0.0).prod(axis=-1) > overlap * area[:, None]).any(axis=1)


def _scores_of_found(case: _Case, overlap: float) -> NDArray[np.float64]:
    """Scores of the detections that find what must be found, each true box taking the surest that overlaps it."""
    free, scores = np.ones(len(case.score), bool), []
    for row, must in zip(case.overlap, case.must, strict=True):
        near = np.flatnonzero(free & (row > overlap))
        if len(near):
            free[near[0]] = False
            if must and not case.may[near[0]]:
                scores.append(case.score[near[0]])
    return np.array(scores)


def _thresholds(found: NDArray[np.float64], count: int) -> list[float]:
    """At most 41 scores of right detections, those whose recalls are nearest to 0, 1/40, ..., 1."""
    chosen: list[float] = []
    falling = np.sort(found)[::-1]
    for number, score in enumerate(falling):
        here, after = (number + 1) / count, (number + 2) / count
        aim = len(chosen) / (RECALLS - 1)
        if number < len(falling) - 1 and after - aim < aim - here:
            continue
        chosen.append(float(score))
    return chosen[:RECALLS]


def _right_and_wrong(case: _Case, overlap: float, least: float) -> tuple[int, int]:
    """Right detections and false alarms of those at least so sure; each true box takes the one it shares most with."""
    sure = case.score >= least
    free, right = sure.copy(), 0
    for row, must in zip(case.overlap, case.must, strict=True):
        near = free & (row > overlap)
        if not near.any():
            continue
        # One that is large enough in the picture goes before any that is not.
        choice = near & ~case.may if (near & ~case.may).any() else near
        taken = int(np.argmax(np.where(choice, row, -1.0)))
        free[taken] = False
        right += int(must and not case.may[taken])
    return right, int((free & ~case.may & ~case.forgiven).sum())
