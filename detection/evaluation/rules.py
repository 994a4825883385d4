# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""What counts in an evaluation: which boxes, which errors of which class, how near is a match."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from detection.errors import DetectionConfigError
from detection.sample import UNKNOWN, Boxes

STATIC_CLASSES = ("traffic light", "hydrant", "bench", "tree", "shop sign", "traffic_cone", "barrier")
ERRORS = ("ATE", "ASE", "AOE", "AVE", "AAE")
NUSCENES_RANGE_M = {
    "car": 50.0, "truck": 50.0, "bus": 50.0, "trailer": 50.0, "construction_vehicle": 50.0,
    "pedestrian": 40.0, "motorcycle": 40.0, "bicycle": 40.0, "traffic_cone": 30.0, "barrier": 30.0,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class EvalRules:
    """nuScenes' rules, for any list of classes.

    Attributes:
        range_m: boxes whose centre is so far from base_link on the ground, or farther, are dropped.
        class_range_m: the same for classes of a range of their own.
        min_points: truth counts with so many LiDAR returns on it,
        min_pixels: or with so many visible pixels; always, where neither number is known.
        distances_m: greatest distances of a match on the ground; AP is averaged over them.
        error_distance_m: the one of these at which errors of matched boxes are measured.
        min_recall, min_precision: precision-recall curves are cut off below.
        errors: those that enter NDS: translation (ATE, metres), scale (ASE, 1 - IoU), orientation (AOE, radians),
            velocity (AVE, m/s), attributes (AAE, 1 - accuracy).
        round_classes: their yaw means nothing: no AOE.
        half_turn_classes: front and back look the same: AOE modulo half a turn.
        static_classes: they never move: no AVE, no AAE.
        absent_count: a class without any truth has AP 0 and errors 1, as in nuScenes; otherwise it is left out of
            the means.
        bands_m: edges of the distance bands that AP is also told for, metres.
    """

    range_m: float = 40.0
    class_range_m: dict[str, float] = field(default_factory=dict)
    min_points: int = 5
    min_pixels: int = 64
    distances_m: tuple[float, ...] = (0.5, 1.0, 2.0, 4.0)
    error_distance_m: float = 2.0
    min_recall: float = 0.1
    min_precision: float = 0.1
    errors: tuple[str, ...] = ERRORS[:4]
    round_classes: tuple[str, ...] = ("tree", "hydrant", "traffic_cone")
    half_turn_classes: tuple[str, ...] = ("barrier",)
    static_classes: tuple[str, ...] = STATIC_CLASSES
    absent_count: bool = True
    bands_m: tuple[float, ...] = (0.0, 10.0, 20.0, 30.0, 40.0)

    def __post_init__(self) -> None:
        if self.error_distance_m not in self.distances_m:
            raise DetectionConfigError(
                f"errors are measured at {self.error_distance_m} m, which is none of the distances {self.distances_m} m"
            )
        if unknown := set(self.errors) - set(ERRORS):
            raise DetectionConfigError(
                f"no error is called {', '.join(sorted(unknown))}: there are {', '.join(ERRORS)}"
            )

    def applies(self, error: str, name: str) -> bool:
        """Whether an error says anything about a class."""
        if error == "AOE":
            return name not in self.round_classes
        return error not in ("AVE", "AAE") or name not in self.static_classes

    def yaw_period(self, name: str) -> float:
        """After what angle a box of the class looks the same, radians."""
        return np.pi if name in self.half_turn_classes else 2.0 * np.pi


def nuscenes_rules() -> EvalRules:
    """Those of the nuScenes detection task (configuration "detection_cvpr_2019")."""
    return EvalRules(
        class_range_m=dict(NUSCENES_RANGE_M), min_points=1, min_pixels=1, errors=ERRORS,
        round_classes=("traffic_cone",), static_classes=("traffic_cone", "barrier"),
        bands_m=(0.0, 10.0, 20.0, 30.0, 40.0, 50.0),
    )  # fmt: skip


def in_range(boxes: Boxes, classes: Sequence[str], rules: EvalRules) -> NDArray[np.bool_]:
    """(N,) which boxes are nearer than the range of their class."""
    reach = np.array([rules.class_range_m.get(name, rules.range_m) for name in classes])
    return distance(boxes) < reach[boxes.label]


def counted(truth: Boxes, classes: Sequence[str], rules: EvalRules) -> NDArray[np.bool_]:
    """(N,) which true boxes must be found: those in range that enough returns or pixels show."""
    shown = (truth.points >= rules.min_points) | (truth.pixels >= rules.min_pixels)
    unknown = (truth.points == UNKNOWN) & (truth.pixels == UNKNOWN)
    return in_range(truth, classes, rules) & (shown | unknown)


def distance(boxes: Boxes) -> NDArray[np.float64]:
    """(N,) from base_link to the centres, on the ground, metres."""
    return np.hypot(*boxes.centre[:, :2].astype(np.float64).T)
