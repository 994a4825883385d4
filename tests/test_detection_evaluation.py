# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Metrics of boxes: small cases worked by hand, and nuScenes' own devkit as the oracle."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from detection.config import CITY_CLASSES
from detection.errors import DetectionConfigError, DetectionError
from detection.evaluation.nuscenes_metrics import Scores, evaluate
from detection.evaluation.rules import EvalRules, counted, nuscenes_rules
from detection.sample import Boxes, joined_boxes, make_boxes, no_boxes

NUSCENES = tuple(nuscenes_rules().class_range_m)
PLAIN = EvalRules(round_classes=(), static_classes=(), absent_count=False)


def scene(rng: np.random.Generator, classes: int, count: int, reach: float = 45.0) -> Boxes:
    centre = rng.uniform([-reach, -reach, 0.0], [reach, reach, 2.0], (count, 3))
    size, yaw = rng.uniform(0.3, 5.0, (count, 3)), rng.uniform(-np.pi, np.pi, count)
    velocity, points = rng.normal(0.0, 3.0, (count, 2)), rng.integers(0, 60, count)
    velocity[rng.random(count) < 0.05] = np.nan
    return make_boxes(centre, size, yaw, rng.integers(0, classes, count), velocity=velocity, points=points)


def detected(rng: np.random.Generator, truth: Boxes, classes: int, spurious: int) -> Boxes:
    """Most of the truth, twice in places, moved and turned, with false alarms and with equal scores."""
    seen = truth.pick(np.flatnonzero(rng.random(len(truth)) < 0.8))
    seen = joined_boxes([seen, seen.pick(rng.random(len(seen)) < 0.2), scene(rng, classes, spurious)])
    score = np.round(
        np.where(np.arange(len(seen)) < len(truth), rng.beta(4, 2, len(seen)), rng.beta(2, 4, len(seen))), 2
    )
    return replace(
        seen,
        centre=(seen.centre + rng.normal(0.0, 0.6, seen.centre.shape)).astype(np.float32),
        size=(seen.size * rng.uniform(0.8, 1.2, seen.size.shape)).astype(np.float32),
        yaw=(seen.yaw + rng.normal(0.0, 0.8, len(seen))).astype(np.float32),
        velocity=(seen.velocity + rng.normal(0.0, 1.0, seen.velocity.shape)).astype(np.float32),
        score=np.maximum(score, 0.01).astype(np.float32),
    )


def recording(seed: int, classes: int, frames: int = 12, count: int = 60) -> tuple[list[Boxes], list[Boxes]]:
    rng = np.random.default_rng(seed)
    truths = [scene(rng, classes, count) for _ in range(frames)]
    return truths, [detected(rng, one, classes, 30) for one in truths]


def devkit_boxes(frames: list[Boxes], attributes: list[np.ndarray], names: tuple[str, ...], reach: dict[str, float]):
    """The same boxes as the devkit's, those of no return and those beyond their class's range left out."""
    common = pytest.importorskip("nuscenes.eval.common.data_classes", reason="nuscenes-devkit is not installed")
    from nuscenes.eval.detection.data_classes import DetectionBox

    kinds = ("", "vehicle.moving", "vehicle.parked", "vehicle.stopped")
    result = common.EvalBoxes()
    for number, (boxes, kind) in enumerate(zip(frames, attributes, strict=True)):
        made = [
            DetectionBox(
                sample_token=str(number),
                translation=tuple(boxes.centre[i].tolist()),
                size=tuple(boxes.size[i, [1, 0, 2]].tolist()),
                rotation=(
                    float(np.cos(np.float64(boxes.yaw[i]) / 2)),
                    0.0,
                    0.0,
                    float(np.sin(np.float64(boxes.yaw[i]) / 2)),
                ),
                velocity=tuple(boxes.velocity[i].tolist()),
                ego_translation=tuple(boxes.centre[i].tolist()),
                num_pts=int(boxes.points[i]),
                detection_name=names[boxes.label[i]],
                detection_score=float(boxes.score[i]),
                attribute_name=kinds[kind[i] + 1],
            )
            for i in range(len(boxes))
        ]
        near = [box for box in made if box.ego_dist < reach[box.detection_name] and box.num_pts != 0]
        result.add_boxes(str(number), near)
    return result


def devkit_metrics(truth, found, config):
    """What the devkit's evaluation does between reading files and writing them."""
    from nuscenes.eval.detection.algo import accumulate, calc_ap, calc_tp
    from nuscenes.eval.detection.constants import TP_METRICS
    from nuscenes.eval.detection.data_classes import DetectionMetrics

    silent = {"traffic_cone": {"attr_err", "vel_err", "orient_err"}, "barrier": {"attr_err", "vel_err"}}
    metrics = DetectionMetrics(config)
    for name in config.class_names:
        for limit in config.dist_ths:
            data = accumulate(truth, found, name, config.dist_fcn_callable, limit)
            metrics.add_label_ap(name, limit, calc_ap(data, config.min_recall, config.min_precision))
            if limit != config.dist_th_tp:
                continue
            for error in TP_METRICS:
                value = np.nan if error in silent.get(name, ()) else calc_tp(data, config.min_recall, error)
                metrics.add_label_tp(name, error, value)
    return metrics


@pytest.mark.parametrize(("seed", "present"), [(0, 10), (1, 10), (2, 7)])
def test_scores_are_those_of_the_nuscenes_devkit(seed, present):
    config = pytest.importorskip("nuscenes.eval.detection.config", reason="nuscenes-devkit is not installed")
    truths, found = recording(seed, present)
    rng = np.random.default_rng(seed)
    kinds = [rng.integers(-1, 3, len(one)) for one in truths]
    found_kinds = [rng.integers(0, 3, len(one)) for one in found]
    reach = nuscenes_rules().class_range_m
    seen = [replace(one, points=np.full(len(one), -1)) for one in found]
    theirs = devkit_metrics(
        devkit_boxes(truths, kinds, NUSCENES, reach),
        devkit_boxes(seen, found_kinds, NUSCENES, reach),
        config.config_factory("detection_cvpr_2019"),
    )
    ours = evaluate(truths, found, NUSCENES, nuscenes_rules(), truth_attributes=kinds, attributes=found_kinds)
    assert ours.map == pytest.approx(theirs.mean_ap, abs=1e-9) and 0.1 < ours.map < 0.9
    assert ours.nds == pytest.approx(theirs.nd_score, abs=1e-9)
    for name, one in ours.per_class.items():
        for limit, ap in one.ap_by_distance.items():
            assert ap == pytest.approx(theirs.get_label_ap(name, limit), abs=1e-9)
        for error, key in zip(
            ("ATE", "ASE", "AOE", "AVE", "AAE"), ("trans", "scale", "orient", "vel", "attr"), strict=True
        ):
            expected = theirs.get_label_tp(name, f"{key}_err")
            assert one.errors[error] == pytest.approx(expected, abs=1e-6, nan_ok=True), (name, error)
