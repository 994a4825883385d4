# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Which detection is of which true box: nuScenes' greedy matching by the distance of centres on the ground."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from detection.errors import DetectionError
from detection.sample import Boxes, joined_boxes


@dataclass(frozen=True, slots=True)
class Frames:
    """The boxes of F frames in one list.

    Attributes:
        boxes: all N of them, frame after frame.
        frame: (N,) int64 number of the frame of each.
        attribute: (N,) int64 what the thing is doing ("parked", "sitting", as numbers); -1 unknown.
    """

    boxes: Boxes
    frame: NDArray[np.int64]
    attribute: NDArray[np.int64]

    @classmethod
    def of(cls, frames: Sequence[Boxes], attributes: Sequence[NDArray[np.int64]] | None = None) -> Frames:
        """From one `Boxes` a frame.

        Raises:
            DetectionError: a centre, size, yaw or score that is no number, or attributes of another number than boxes.
        """
        boxes = joined_boxes(frames)
        values = np.column_stack([boxes.centre, boxes.size, boxes.yaw, boxes.score])
        if wrong := int((~np.isfinite(values)).any(axis=1).sum()):
            raise DetectionError(f"{wrong} of {len(boxes)} boxes have a centre, size, yaw or score that is no number")
        attribute = np.full(len(boxes), -1) if attributes is None else np.concatenate([[], *attributes])
        if len(attribute) != len(boxes):
            raise DetectionError(f"{len(attribute)} attributes for {len(boxes)} boxes: there must be one for each")
        frame = np.repeat(np.arange(len(frames)), [len(one) for one in frames])
        return cls(boxes, frame, attribute.astype(np.int64))

    def pick(self, which: NDArray) -> Frames:
        """Those that a boolean mask or indices select."""
        return Frames(self.boxes.pick(which), self.frame[which], self.attribute[which])


@dataclass(frozen=True, slots=True)
class Matches:
    """The detections of one class, surest first, and what each is of.

    Attributes:
        score: (D,) float64, falling.
        detection: (D,) int64 place in the list of all detections.
        truth: (D,) int64 place of the matched box in the list of all truth; -1 for a false alarm.
        positives: how many true boxes there are.
    """

    score: NDArray[np.float64]
    detection: NDArray[np.int64]
    truth: NDArray[np.int64]
    positives: int


def match_by_distance(truth: Frames, found: Frames, label: int, distances_m: Sequence[float]) -> list[Matches]:
    """One `Matches` for each greatest distance (exclusive), all of the class ``label``.

    Detections choose in the order of their scores over all frames, of equal ones the last first; each takes the
    nearest true box of its frame that is still free.
    """
    of_truth = np.flatnonzero(truth.boxes.label == label)
    of_found = np.flatnonzero(found.boxes.label == label)
    score = found.boxes.score[of_found].astype(np.float64)
    order = of_found[np.lexsort((of_found, score))[::-1]]
    partner = np.full((len(distances_m), len(order)), -1, np.int64)
    for rows, columns in _frames_with_both(found.frame[order], truth.frame[of_truth]):
        away = _away(found.boxes.centre[order[rows]], truth.boxes.centre[of_truth[columns]])
        for number, limit in enumerate(distances_m):
            chosen = _greedy(away, limit)
            partner[number, rows] = np.where(chosen < 0, -1, of_truth[columns][chosen])
    score = found.boxes.score[order].astype(np.float64)
    return [Matches(score, order, row, len(of_truth)) for row in partner]


def _frames_with_both(found: NDArray[np.int64], truth: NDArray[np.int64]) -> Iterator[tuple[NDArray, NDArray]]:
    """Places in ``found`` and in ``truth`` (numbers of frames) of each frame that is in both; the order is kept."""
    by_frame, by_truth = np.argsort(found, kind="stable"), np.argsort(truth, kind="stable")
    for frame in np.intersect1d(found, truth):
        rows = slice(*np.searchsorted(found[by_frame], [frame, frame + 1]))
        columns = slice(*np.searchsorted(truth[by_truth], [frame, frame + 1]))
        yield by_frame[rows], by_truth[columns]


def _away(found: NDArray[np.float32], truth: NDArray[np.float32]) -> NDArray[np.float64]:
    """(D, T) distances on the ground."""
    gap = found[:, None, :2].astype(np.float64) - truth[None, :, :2].astype(np.float64)
    return np.sqrt((gap**2).sum(axis=-1))


def _greedy(away: NDArray[np.float64], limit: float) -> NDArray[np.int64]:
    """(D,) column that each row takes, first row first; -1 where none free is nearer than the limit."""
    chosen = np.full(len(away), -1, np.int64)
    free = away.copy()
    for row in np.flatnonzero(away.min(axis=1) < limit):
        column = int(free[row].argmin())
        if free[row, column] < limit:
            chosen[row] = column
            free[:, column] = np.inf
    return chosen
