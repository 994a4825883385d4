# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Landmarks along the way: what the detector saw again and again in one place."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from detection.boxes import moved
from detection.sample import Boxes

_SAME_M = 2.5
_MEMORY = 20


@dataclass(slots=True, eq=False)
class Landmark:
    """Something that stands still.

    Attributes:
        label: its class.
        position: (2,) metres in odom, the mean of where it was seen.
        hits: how often it was detected.
        score: the mean of the detections' scores. What only looks like it from some places is found often, and
            never surely: the mean tells the two apart, the best of the scores does not.
    """

    label: str
    position: NDArray[np.float64]
    hits: int = 1
    score: float = 0.0


class Landmarks:
    """Joins detections of one class that lie close together; a landmark stays known when it is out of view.

    Args:
        classes: names, in the order of the detector's labels.
        wanted: those that matter.
        least_score: weaker detections are left out.
    """

    def __init__(self, classes: Sequence[str], wanted: Iterable[str], least_score: float) -> None:
        self._classes, self._wanted, self._least = tuple(classes), frozenset(wanted), least_score
        self.known: list[Landmark] = []

    def add(self, boxes: Boxes, T_odom_base: NDArray[np.float64]) -> None:
        """Take in the detections of one frame.

        Args:
            boxes: in base_link.
            T_odom_base: (4, 4) pose of base_link in odom at the frame's stamp.
        """
        there = moved(boxes, T_odom_base)
        for label, centre, score in zip(there.label, there.centre, there.score, strict=True):
            name = self._classes[int(label)]
            if name in self._wanted and score >= self._least:
                self._join(name, centre[:2].astype(np.float64), float(score))

    def sure(self, label: str, hits: int, score: float) -> list[Landmark]:
        """Those of a class that were detected at least so often, and so surely on average."""
        return [one for one in self.known if one.label == label and one.hits >= hits and one.score >= score]

    def _join(self, label: str, position: NDArray[np.float64], score: float) -> None:
        own = [one for one in self.known if one.label == label]
        away = [float(np.linalg.norm(one.position - position)) for one in own]
        if not away or min(away) > _SAME_M:
            self.known.append(Landmark(label, position, 1, score))
            return
        same = own[int(np.argmin(away))]
        same.hits += 1
        same.score += (score - same.score) / same.hits
        same.position = same.position + (position - same.position) / min(same.hits, _MEMORY)
