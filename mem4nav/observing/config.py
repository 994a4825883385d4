# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""When something is worth remembering."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ObserverConfig:
    """How a drive becomes a memory.

    Attributes:
        every_m: the vehicle writes when it has gone so far since it wrote last, metres.
        place_m: farther than this from every place that is known, there is a new one, metres.
        least_score: weaker detections are left out.
        sure_hits: a thing is remembered once it was detected from so many views,
        sure_weight: with scores of at least this sum,
        sure_score: and this mean: a calibrated detector's scores are probabilities, and a lamp that is now and then
            taken for a traffic light adds up too.
        same_m: a thing of the same label so near to a remembered one is that one, metres.
        reach_m: things farther away are forgotten where they were not sure enough to be remembered.
    """

    every_m: float = 2.0
    place_m: float = 15.0
    least_score: float = 0.1
    sure_hits: int = 8
    sure_weight: float = 2.0
    sure_score: float = 0.35
    same_m: float = 2.5
    reach_m: float = 50.0
