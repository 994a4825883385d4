# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Whether things keep their identities: how many of them change it while they are in sight.

Matched as by Bernardin and Stiefelhagen, "Evaluating Multiple Object Tracking Performance: The CLEAR MOT Metrics"
(2008): a pair of the frame before stays one while it is near enough; the rest is assigned by least distance.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from detection.errors import DetectionError
from detection.sample import UNKNOWN, Boxes


@dataclass(frozen=True, slots=True)
class IdSwitches:
    """Things tracked for long enough, and what became of their identities.

    Attributes:
        objects: how many there are.
        switched: how many of them bore more than one identity.
        switches: how often an identity gave way to another.
    """

    objects: int
    switched: int
    switches: int

    @property
    def share(self) -> float:
        """Of objects, those that switched; 0 where there are none."""
        return self.switched / self.objects if self.objects else 0.0


def id_switches(
    stamps_ns: Sequence[int],
    truths: Sequence[Boxes],
    tracked: Sequence[Boxes],
    *,
    radius_m: float = 2.0,
    least_s: float = 2.0,
) -> IdSwitches:
    """Of one drive.

    Args:
        stamps_ns: of its frames.
        truths, tracked: one `Boxes` a frame, with identities; both in one and the same frame of reference. Truth
            whose identity is unknown is passed over.
        radius_m: farther than this on the ground, a tracked box is not of a true one.
        least_s: things are counted whose first and last match lie farther apart in time.

    Raises:
        DetectionError: lists of unequal length.
    """
    if len({len(stamps_ns), len(truths), len(tracked)}) > 1:
        raise DetectionError(f"{len(stamps_ns)} stamps, {len(truths)} frames of truth, {len(tracked)} of tracks")
    bore: dict[int, list[int]] = defaultdict(list)
    stamps: dict[int, list[int]] = defaultdict(list)
    last: dict[int, int] = {}
    for stamp_ns, truth, found in zip(stamps_ns, truths, tracked, strict=True):
        last = _pairs(truth, found, last, radius_m)
        for thing, identity in last.items():
            bore[thing].append(identity)
            stamps[thing].append(stamp_ns)
    long = [thing for thing, when in stamps.items() if when[-1] - when[0] > least_s * 1e9]
    switches = [int(np.count_nonzero(np.diff(bore[thing]))) for thing in long]
    return IdSwitches(len(long), int(np.count_nonzero(switches)), sum(switches))


def _pairs(truth: Boxes, found: Boxes, last: dict[int, int], radius_m: float) -> dict[int, int]:
    """The identity that each true thing bears in this frame, by its own."""
    gap = truth.centre[:, None, :2].astype(np.float64) - found.centre[None, :, :2]
    cost = np.minimum(np.linalg.norm(gap, axis=-1) / radius_m, 1.0)
    kept = np.array([last.get(int(thing), UNKNOWN - 1) for thing in truth.identity])[:, None] == found.identity[None]
    cost[(truth.label[:, None] != found.label[None]) & ~kept | (truth.identity == UNKNOWN)[:, None]] = 1.0
    # Below any other: pairs of the frame before go first.
    cost[kept & (cost < 1.0)] -= 2.0 * (1 + min(cost.shape, default=0))
    return dict(_assigned(cost, truth, found))


def _assigned(cost: NDArray[np.float64], truth: Boxes, found: Boxes) -> list[tuple[int, int]]:
    rows, columns = linear_sum_assignment(cost)
    good = cost[rows, columns] < 1.0
    pairs = zip(truth.identity[rows[good]], found.identity[columns[good]], strict=True)
    return [(int(thing), int(identity)) for thing, identity in pairs]
