# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Metrics of boxes: small cases worked by hand, and nuScenes' own devkit as the oracle."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from scipy.special import expit, logit

from detection.calibration import ScoreCalibration, fit_calibration, uncalibrated
from detection.config import CITY_CLASSES
from detection.errors import DetectionConfigError, DetectionError
from detection.evaluation.box_files import from_json, to_json
from detection.evaluation.kitti_metrics import KITTI_CLASSES, KittiAP, KittiFrame, evaluate_kitti
from detection.evaluation.nuscenes_metrics import evaluate
from detection.evaluation.reliability import Reliability
from detection.evaluation.report import (
    evaluate_heads,
    metrics,
    per_head,
    reliability_of,
    save_precision_recall,
    save_reliability,
)
from detection.evaluation.rules import EvalRules, counted, nuscenes_rules
from detection.sample import Boxes, joined_boxes, make_boxes, no_boxes

NUSCENES = tuple(nuscenes_rules().class_range_m)
# What nuscenes-devkit 1.2.0 says of `recording` by seed: mAP and NDS.
DEVKIT = {0: (0.369844005, 0.349182279), 1: (0.387911195, 0.367495174), 2: (0.298924738, 0.273158536)}
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


def recording_with_attributes(seed: int):
    """Ten classes; the third recording shows seven of them alone."""
    truths, found = recording(seed, 7 if seed == 2 else 10)
    rng = np.random.default_rng(seed)
    return (
        truths,
        found,
        [rng.integers(-1, 3, len(one)) for one in truths],
        [rng.integers(0, 3, len(one)) for one in found],
    )


@pytest.mark.parametrize("seed", DEVKIT)
def test_scores_are_those_that_the_nuscenes_devkit_gave(seed):
    truths, found, kinds, found_kinds = recording_with_attributes(seed)
    scores = evaluate(truths, found, NUSCENES, nuscenes_rules(), truth_attributes=kinds, attributes=found_kinds)
    assert (scores.map, scores.nds) == pytest.approx(DEVKIT[seed], abs=1e-8)


@pytest.mark.parametrize("seed", DEVKIT)
def test_scores_are_those_of_the_nuscenes_devkit(seed):
    config = pytest.importorskip("nuscenes.eval.detection.config", reason="nuscenes-devkit is not installed")
    truths, found, kinds, found_kinds = recording_with_attributes(seed)
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


def row_of(count: int, *, step: float = 3.0, label: int = 0) -> Boxes:
    """Cars in a row along y, 6 m ahead."""
    centre = np.column_stack([np.full(count, 6.0), step * np.arange(count), np.full(count, 0.8)])
    velocity = np.zeros((count, 2))
    return make_boxes(centre, np.tile([4.0, 2.0, 1.5], (count, 1)), np.zeros(count), [label] * count, velocity=velocity)


def test_detections_that_are_the_truth_score_one():
    truths, _ = recording(5, 4)
    truths = [one.pick(np.isfinite(one.velocity).all(axis=1) & (one.points >= 5)) for one in truths]
    scores = evaluate(truths, truths, ("a", "b", "c", "d"), PLAIN)
    assert scores.map == pytest.approx(1.0) and scores.nds == pytest.approx(1.0)
    assert max(scores.errors.values()) < 1e-9
    assert scores.map_by_band == pytest.approx(dict.fromkeys(["0-10 m", "10-20 m", "20-30 m", "30-40 m"], 1.0))


def test_average_precision_is_that_worked_by_hand():
    truth = row_of(2, step=9.0)
    found = replace(truth.pick([0, 0, 1]), score=np.array([0.9, 0.8, 0.7], np.float32))
    # Recalls 1/2, 1/2, 1 at precisions 1, 1/2, 2/3: from 0.5 on, 1/2 rises to 2/3 in a line.
    above = np.concatenate([np.ones(39), np.linspace(1 / 2, 2 / 3, 51)])
    expected = (above - 0.1).mean() / 0.9
    scores = evaluate([truth], [found], ("car",), PLAIN)
    assert scores.map == pytest.approx(expected, abs=1e-9)


def test_a_shift_counts_at_the_distances_beyond_it_and_is_the_translation_error():
    truth = row_of(3, step=9.0)
    scores = evaluate([truth], [replace(truth, centre=truth.centre + np.float32([0.75, 0.0, 5.0]))], ("car",), PLAIN)
    assert scores.per_class["car"].ap_by_distance == pytest.approx({0.5: 0.0, 1.0: 1.0, 2.0: 1.0, 4.0: 1.0})
    assert scores.errors == pytest.approx({"ATE": 0.75, "ASE": 0.0, "AOE": 0.0, "AVE": 0.0}, abs=1e-6)
    assert scores.nds == pytest.approx((5 * 0.75 + 0.25 + 3) / 9)


def test_a_turn_means_nothing_for_a_tree_and_half_a_turn_nothing_for_a_barrier():
    truth = joined_boxes([row_of(2, label=label) for label in range(3)])
    turned = replace(truth, yaw=truth.yaw + np.float32(np.pi))
    per_class = evaluate([truth], [turned], ("tree", "barrier", "bench"), EvalRules()).per_class
    assert np.isnan(per_class["tree"].errors["AOE"]) and np.isnan(per_class["tree"].errors["AVE"])
    assert per_class["barrier"].errors["AOE"] == pytest.approx(0.0, abs=1e-6)
    assert per_class["bench"].errors["AOE"] == pytest.approx(np.pi, abs=1e-6)


def test_truth_counts_when_either_returns_or_pixels_show_it_or_nobody_counted():
    boxes = replace(row_of(6), points=np.array([5, 4, 4, 0, -1, 0]), pixels=np.array([0, 64, 63, -1, -1, 500]))
    assert counted(boxes, ("car",), EvalRules()).tolist() == [True, True, False, False, True, True]
    far = replace(row_of(2), centre=np.float32([[39.9, 0, 0], [40.0, 0, 0]]))
    assert counted(far, ("car",), EvalRules()).tolist() == [True, False]


def test_a_band_of_distance_is_that_of_the_true_box_for_matches_and_the_own_one_for_false_alarms():
    def cars(*ahead: float) -> Boxes:
        return replace(row_of(len(ahead)), centre=np.float32([[x, 0.0, 0.8] for x in ahead]))

    found = replace(cars(21.0, 25.5, 10.1), score=np.float32([0.95, 0.9, 0.5]))
    bands = evaluate([cars(9.9, 21.0)], [found], ("car",), PLAIN).map_by_band
    assert bands["0-10 m"] == pytest.approx(1.0) and np.isnan(bands["10-20 m"])
    # Precision falls from 1 to 1/2 at the last of the 90 recalls.
    assert bands["20-30 m"] == pytest.approx((89 * 0.9 + 0.4) / 90 / 0.9)


def test_a_class_without_truth_counts_as_in_nuscenes_or_not_at_all():
    truth = row_of(2)
    assert evaluate([truth], [truth], ("car", "van"), EvalRules()).map == pytest.approx(0.5)
    assert evaluate([truth], [truth], ("car", "van"), EvalRules(absent_count=False)).map == pytest.approx(1.0)


def test_nothing_detected_scores_nothing_and_its_metrics_are_plain_json():
    scores = evaluate([row_of(2)], [no_boxes()], ("car", "tree"), EvalRules())
    assert scores.map == 0.0 and scores.nds == 0.0
    document = json.loads(json.dumps(scores.to_dict(), allow_nan=False))
    assert (
        document["per_class"]["tree"]["errors"]["AOE"] is None and document["per_class"]["car"]["errors"]["ATE"] == 1.0
    )


def test_what_cannot_be_scored_is_said_with_numbers():
    truth = row_of(2)
    with pytest.raises(DetectionError, match="2 frames of truth, 1 of detections"):
        evaluate([truth, truth], [truth], ("car",))
    with pytest.raises(DetectionError, match="labels from 3 to 3 for 1 classes"):
        evaluate([truth], [row_of(2, label=3)], ("car",))
    with pytest.raises(DetectionError, match="1 of 2 boxes"):
        evaluate([truth], [replace(truth, score=np.float32([0.5, np.nan]))], ("car",))
    with pytest.raises(DetectionConfigError, match=r"none of the distances"):
        EvalRules(error_distance_m=3.0)


def test_boxes_survive_json():
    boxes = replace(scene(np.random.default_rng(3), 9, 20), identity=np.arange(20), pixels=np.arange(20) - 1)
    document = json.loads(json.dumps(to_json({"a": boxes, "b": no_boxes()}, CITY_CLASSES), allow_nan=False))
    back = from_json(document, CITY_CLASSES)
    assert list(back) == ["a", "b"] and len(back["b"]) == 0
    for name in ("centre", "size", "velocity", "label", "score", "identity", "points", "pixels"):
        np.testing.assert_array_equal(getattr(back["a"], name), getattr(boxes, name))
    np.testing.assert_allclose(back["a"].yaw, boxes.yaw, atol=1e-6)


def test_json_of_another_frame_or_class_is_refused():
    document = to_json({"a": row_of(1)}, ("car",))
    with pytest.raises(DetectionError, match="'car' is neither a field there nor one of the classes"):
        from_json(document, ("van",))
    with pytest.raises(DetectionError, match="frame 'map'"):
        from_json({**document, "meta": {"frame": "map"}}, ("car",))
    with pytest.raises(DetectionError, match="no 'results'"):
        from_json({}, ("car",))


def test_the_devkit_reads_our_json():
    data = pytest.importorskip("nuscenes.eval.detection.data_classes", reason="nuscenes-devkit is not installed")
    box = data.DetectionBox.deserialize(to_json({"a": row_of(1)}, ("car",))["results"]["a"][0])
    assert box.size == (2.0, 4.0, 1.5) and box.detection_name == "car" and box.detection_score == 1.0


KITTI = ("Car", "Van", "Pedestrian", "Person_sitting", "Cyclist")


def picture(boxes: Boxes, *, height_px: float = 60.0, **others) -> KittiFrame:
    """Rectangles side by side, 100 pixels apart, 50 wide."""
    left = 100.0 * np.arange(len(boxes))
    rectangles = np.column_stack(
        [left, np.full(len(boxes), 100.0), left + 50.0, np.full(len(boxes), 100.0 + height_px)]
    )
    return KittiFrame(boxes, rectangles, **others)


def test_kitti_precision_of_perfect_detections_is_one_at_every_difficulty():
    truth = picture(row_of(30))
    found = picture(replace(row_of(30), score=np.linspace(0.9, 0.2, 30, dtype=np.float32)))
    result = evaluate_kitti([truth], [found], KITTI)
    assert set(result) == {"Car", "Pedestrian", "Cyclist"}
    for measure in ("bev", "3d"):
        assert set(result["Car"][measure]) == {"easy", "moderate", "hard"}
        # With 30 boxes, only 30 of the 41 recalls are reached, and 11 read every fourth.
        assert all(
            one == KittiAP(pytest.approx(29 / 40), pytest.approx(8 / 11), 30) for one in result["Car"][measure].values()
        )
    assert result["Cyclist"]["3d"]["easy"] == KittiAP(0.0, 0.0, 0)


def test_kitti_counts_height_in_space_and_not_from_above():
    truth = picture(row_of(80))
    lifted = replace(row_of(80), centre=row_of(80).centre + np.float32([0, 0, 0.5]))
    result = evaluate_kitti([truth], [picture(lifted)], KITTI)["Car"]
    assert result["bev"]["easy"].r40 == pytest.approx(1.0)
    assert result["3d"]["easy"].r40 == 0.0  # two thirds of the height are shared: an overlap of 1/2


def test_kitti_levels_leave_out_what_is_hidden_cut_off_or_small():
    hidden = np.repeat([0, 1, 2, 3], 3)
    cut = np.tile([0.0, 0.2, 0.4], 4)
    truth = picture(row_of(12), occlusion=hidden, truncation=cut)
    counts = {
        name: one.count for name, one in evaluate_kitti([truth], [picture(no_boxes())], KITTI)["Car"]["3d"].items()
    }
    assert counts == {"easy": 1, "moderate": 4, "hard": 9}
    small = evaluate_kitti([picture(row_of(12), height_px=30.0)], [picture(no_boxes())], KITTI)["Car"]["3d"]
    assert small["easy"].count == 0 and small["moderate"].count == 12


def test_kitti_blames_nobody_for_neighbours_small_boxes_and_regions_that_nobody_labelled():
    def false_alarms_cost(truth: KittiFrame, found: KittiFrame) -> float:
        return 1.0 - evaluate_kitti([truth], [found], KITTI)["Car"]["bev"]["moderate"].r40

    cars, extra = row_of(80), replace(row_of(1), centre=np.float32([[-20.0, 0.0, 0.8]]))
    both = joined_boxes([cars, extra])
    wrong = picture(replace(both, score=np.append(np.full(80, 0.5), 0.9).astype(np.float32)))
    assert false_alarms_cost(picture(cars), wrong) > 0.01
    van = replace(both, label=np.append(np.zeros(80, np.int64), 1))
    assert false_alarms_cost(picture(van), wrong) == pytest.approx(0.0)
    small = wrong.rectangles.copy()
    small[-1, 3] = small[-1, 1] + 24.0
    assert false_alarms_cost(picture(cars), replace(wrong, rectangles=small)) == pytest.approx(0.0)
    nobody = picture(cars, dont_care=wrong.rectangles[-1:] + np.array([5.0, 0.0, 5.0, 0.0]))
    assert false_alarms_cost(nobody, wrong) == pytest.approx(0.0)
    assert false_alarms_cost(picture(cars, dont_care=wrong.rectangles[-1:] + 40.0), wrong) > 0.01


def test_kitti_precision_is_that_worked_by_hand():
    truth, kinds = picture(row_of(1, label=2)), KITTI_CLASSES[1:2]
    half = replace(row_of(1, label=2), centre=row_of(1).centre + np.float32([1.0, 0, 0]), score=np.float32([0.4]))
    stray = replace(half, centre=half.centre + np.float32([30, 0, 0]), score=np.float32([0.9]))
    found = joined_boxes([half, stray])
    # One true box, one threshold (0.4): one right, one wrong. An overlap of 3/5 is enough for a pedestrian.
    assert evaluate_kitti([truth], [picture(found)], KITTI, kinds)["Pedestrian"]["bev"]["easy"] == KittiAP(
        0.0, pytest.approx(0.5 / 11), 1
    )


def overconfident(seed: int, frames: int, vans: bool = True) -> tuple[list[Boxes], list[Boxes]]:
    """Detections whose scores promise more than they hold, those of the vans, every other box, most of all."""
    rng = np.random.default_rng(seed)
    x, y = np.meshgrid(12.0 * np.arange(-2, 3), 12.0 * np.arange(-1, 3) - 6.0)
    centre = np.column_stack([x.ravel(), y.ravel(), np.ones(20)]).astype(np.float32)
    truths, found = [], []
    for _ in range(frames):
        boxes = replace(row_of(20), centre=centre, label=np.arange(20) % 2 if vans else np.zeros(20, np.int64))
        honest = rng.beta(1.0, 1.5, 20)
        missed = (rng.random(20) > honest)[:, None] * np.float32([0.0, 5.0, 0.0])
        score = expit(1.8 * logit(honest) + 1.0 + boxes.label)
        truths.append(boxes)
        found.append(replace(boxes, centre=centre + missed, score=score.astype(np.float32)))
    return truths, found


def test_calibrated_scores_say_how_often_boxes_are_right():
    classes = ("car", "van")
    fitted = fit_calibration(*overconfident(0, 250), classes, PLAIN)
    truths, found = overconfident(1, 250)
    before, after = (
        reliability_of(truths, one, classes, PLAIN).ece for one in (found, [fitted.applied(boxes) for boxes in found])
    )
    assert before > 0.1 and after < 0.03
    np.testing.assert_allclose(fitted.slopes, 1 / 1.8, atol=0.1)
    assert fitted.offsets[1] < fitted.offsets[0] < 0.0


def test_calibration_leaves_average_precision_alone():
    truths, found = recording(7, 3)
    fitted = fit_calibration(truths, found, ("a", "b", "c"), PLAIN)
    raw, calibrated = (
        evaluate(truths, one, ("a", "b", "c"), PLAIN) for one in (found, list(map(fitted.applied, found)))
    )
    for name, one in raw.per_class.items():
        assert calibrated.per_class[name].ap_by_distance == one.ap_by_distance


def test_a_class_of_few_examples_leans_on_all_others():
    truths, found = overconfident(0, 60, vans=False)
    fitted = fit_calibration(truths, found, ("car", "van"), PLAIN)
    assert fitted.slopes[1] == pytest.approx(fitted.slopes[0], rel=0.05)
    assert fitted.offsets[1] == pytest.approx(fitted.offsets[0], abs=0.1)


def test_a_calibration_survives_json_and_says_what_it_lacks():
    fitted = ScoreCalibration(("car", "van"), (0.5, 2.0), (-1.0, 0.25))
    assert ScoreCalibration.from_json(json.loads(json.dumps(fitted.to_json()))) == fitted
    score, label = np.float32([0.0, 0.3, 1.0, 0.3]), np.array([0, 1, 1, 0])
    assert ((fitted.apply(score, label) >= 0.0) & (fitted.apply(score, label) <= 1.0)).all()
    np.testing.assert_allclose(uncalibrated(("car", "van")).apply(score, label), score, atol=2e-7)
    with pytest.raises(DetectionError, match="without 'slopes'"):
        ScoreCalibration.from_json({"classes": []})
    with pytest.raises(DetectionError, match="both kinds are needed"):
        fit_calibration([row_of(2)], [row_of(2)], ("car",), PLAIN)


def test_the_expected_calibration_error_is_that_worked_by_hand():
    result = Reliability.of(np.array([0.9, 0.9, 0.1, 1.0]), np.array([True, False, False, True]), bins=2)
    assert result.count.tolist() == [1, 3]
    assert result.ece == pytest.approx((0.1 + 3 * abs(2.8 / 3 - 2 / 3)) / 4)


def test_the_report_tells_every_head_and_draws_its_figures(tmp_path):
    truths, found = recording(8, 3, frames=3)
    heads = per_head([{"lidar": one.pick(np.arange(0, len(one), 2)), "fused": one} for one in found])
    scores = evaluate_heads(truths, heads, ("a", "b", "c"), PLAIN)
    document = json.loads(json.dumps(metrics(scores), allow_nan=False))
    assert document["map"] == document["per_head"]["fused"]["map"] > document["per_head"]["lidar"]["map"] > 0.0
    assert set(document["per_class"]) == {"a", "b", "c"} and "nds" in document
    save_precision_recall(tmp_path / "curves.svg", scores["fused"], "fused")
    save_reliability(tmp_path / "scores.svg", {"raw": reliability_of(truths, found, ("a", "b", "c"), PLAIN)})
    assert all("<svg" in path.read_text() for path in tmp_path.iterdir())
