# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Landmarks along the way: what the detector saw again and again in one place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from detection.boxes import moved
from detection.sample import Boxes

_SAME_M = 2.5
_SAME_PLACE_M = 1.2
_NEW_VIEW_M = 0.15
_MEMORY = 20


@dataclass(slots=True, eq=False)
class Landmark:
    """Something that stands still.

    Attributes:
        label: its class.
        position: (2,) metres in odom, the mean of where it was seen.
        hits: how often it was detected.
        weight: the sum of the detections' scores.
    """

    label: str
    position: NDArray[np.float64]
    hits: int
    weight: float


class Landmarks:
    """Joins detections of one class that lie close together; a landmark stays known when it is out of view.

    What stands behind parked vehicles is detected weakly, but from many places; what only looks like it is detected
    from few. Hence scores are added up, a view from where the last one was taken adds nothing, and of the classes
    that were detected in one place the one with the greatest sum is what stands there.

    Args:
        classes: names, in the order of the detector's labels.
        least_score: weaker detections are left out.
    """

    def __init__(self, classes: Sequence[str], least_score: float) -> None:
        self._classes, self._least = tuple(classes), least_score
        self._seen_from: NDArray[np.float64] | None = None
        self.known: list[Landmark] = []

    def add(self, boxes: Boxes, T_odom_base: NDArray[np.float64]) -> None:
        """Take in the detections of one frame.

        Args:
            boxes: in base_link.
            T_odom_base: (4, 4) pose of base_link in odom at the frame's stamp.
        """
        here = T_odom_base[:2, 3]
        if self._seen_from is not None and np.linalg.norm(here - self._seen_from) < _NEW_VIEW_M:
            return
        self._seen_from = here.copy()
        there = moved(boxes, T_odom_base)
        for label, centre, score in zip(there.label, there.centre, there.score, strict=True):
            if score >= self._least:
                self._join(self._classes[int(label)], centre[:2].astype(np.float64), float(score))

    def sure(self, label: str, hits: int, weight: float) -> list[Landmark]:
        """Those of a class that were detected at least so often and with such a sum, and are not rather another's."""
        return [
            one
            for one in self.known
            if one.label == label and one.hits >= hits and one.weight >= weight and self._prevails(one)
        ]

    def _prevails(self, landmark: Landmark) -> bool:
        """Whether no other class weighs more in its place."""
        return all(
            one.weight <= landmark.weight
            for one in self.known
            if one.label != landmark.label and np.linalg.norm(one.position - landmark.position) < _SAME_PLACE_M
        )

    def _join(self, label: str, position: NDArray[np.float64], score: float) -> None:
        own = [one for one in self.known if one.label == label]
        away = [float(np.linalg.norm(one.position - position)) for one in own]
        if not away or min(away) > _SAME_M:
            self.known.append(Landmark(label, position, 1, score))
            return
        same = own[int(np.argmin(away))]
        same.hits += 1
        same.weight += score
        same.position = same.position + (position - same.position) / min(same.hits, _MEMORY)
