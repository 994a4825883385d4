# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""The detector's training, its augmentation, what it keeps of its inputs, and its pictures."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

import torch

from detection.augment import augment, mirrored, scaled, turned, without_cameras, without_lidar, zoomed
from detection.boxes import points_in_boxes, project
from detection.config import AugmentConfig, LossConfig
from detection.errors import CheckpointError, DetectionError
from detection.inference import Detector
from detection.overlays import colour_of, draw_above, draw_sheet, draw_view
from detection.sample import Sample
from detection.statistics import InputStatistics, compare, inputs_of
from detection.training import DETECTOR, TRAINING, read_curves, train
from detection_worlds import CLASSES, LEARNING, endless, scene
from process_groups import run_in_group

STILL = AugmentConfig(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    torch.set_num_threads(1)


def places(sample: Sample) -> list[tuple[np.ndarray, np.ndarray]]:
    """Pixels and depths of the boxes' centres in each picture."""
    assert sample.boxes is not None
    return [project(view.camera, sample.boxes.centre) for view in sample.views]


def terms(folder: Path) -> list[dict[str, float]]:
    return [
        {name: value for name, value in row.items() if name not in ("seconds", "waited_s")}
        for row in read_curves(folder)
    ]


def test_a_turned_and_scaled_scene_looks_the_same_to_its_cameras():
    before = scene(1)
    after = scaled(turned(before, 0.7), 1.2)
    for (pixels, depth), (seen, far) in zip(places(before), places(after), strict=True):
        np.testing.assert_allclose(seen, pixels, atol=1e-3)
        np.testing.assert_allclose(far, 1.2 * depth, rtol=1e-5)
    np.testing.assert_allclose(after.boxes.velocity[:, 0] ** 2 + after.boxes.velocity[:, 1] ** 2,
                               1.44 * (before.boxes.velocity**2).sum(axis=1), rtol=1e-4)  # fmt: skip


def test_a_mirrored_scene_is_seen_mirrored_and_its_cameras_stay_cameras():
    before = scene(2)
    after = mirrored(before)
    for view, (pixels, depth), (seen, far) in zip(before.views, places(before), places(after), strict=True):
        mirror = np.column_stack([view.camera.width - 1 - pixels[:, 0], pixels[:, 1]])
        np.testing.assert_allclose(seen, mirror, atol=1e-3)
        np.testing.assert_allclose(far, depth, atol=1e-4)
    for view in after.views:
        assert np.linalg.det(view.camera.T_base_camera[:3, :3]) == pytest.approx(1.0)
    again = mirrored(after)
    np.testing.assert_array_equal(again.points, before.points)
    np.testing.assert_array_equal(again.views[0].pixels, before.views[0].pixels)
    np.testing.assert_allclose(again.views[1].camera.K, before.views[1].camera.K)


def test_points_stay_in_their_boxes_whatever_is_done_to_the_scene():
    before = scene(3)
    after = scaled(mirrored(turned(before, -1.1)), 0.9)
    inside = points_in_boxes(before.points[:, :3], before.boxes, 1e-3)
    np.testing.assert_array_equal(points_in_boxes(after.points[:, :3], after.boxes, 1e-3), inside)
    assert inside.sum() > 100


def test_a_zoomed_picture_shows_a_mark_where_its_camera_says():
    view = scene(4).views[0]
    pixels = np.zeros_like(view.pixels)
    pixels[40:43, 60:63] = 255
    there = np.array([[60.9, 41.2]])
    after = zoomed(replace(view, pixels=pixels), 1.3, (-7.0, 5.0))
    moved = np.linalg.inv(view.camera.K) @ [61.0, 41.0, 1.0]
    expected = (after.camera.K @ moved)[:2]
    rows, columns = np.nonzero(after.pixels[:, :, 0] > 100)
    np.testing.assert_allclose([columns.mean(), rows.mean()], expected, atol=0.51)
    assert np.linalg.norm(expected - there[0]) > 3.0


def test_an_augmentation_of_nothing_changes_nothing_and_a_seed_repeats_one():
    before = scene(5)
    still = augment(before, np.random.default_rng(0), STILL)
    np.testing.assert_array_equal(still.points, before.points)
    np.testing.assert_array_equal(still.views[2].pixels, before.views[2].pixels)
    first, second = (augment(before, np.random.default_rng(3), AugmentConfig()) for _ in range(2))
    np.testing.assert_array_equal(first.points, second.points)
    assert all((a.pixels == b.pixels).all() for a, b in zip(first.views, second.views, strict=True))


def test_never_both_sensors_are_dropped_and_boxes_know_what_is_gone():
    always = replace(STILL, drop_lidar=0.5, drop_cameras=0.5, drop_camera=0.3)
    for seed in range(20):
        left = augment(scene(6), np.random.default_rng(seed), always)
        assert bool(len(left.points)) != bool(left.views)
        assert not (left.boxes.pixels if len(left.points) else left.boxes.points).any()


def test_a_training_that_was_broken_off_ends_with_the_same_weights(tmp_path):
    whole = train(LEARNING, endless, tmp_path / "whole", device="cpu")

    def breaks(row):
        if row["step"] == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(LEARNING, endless, tmp_path / "broken", device="cpu", progress=breaks)
    resumed = train(LEARNING, endless, tmp_path / "broken", device="cpu", resume=True)
    assert terms(tmp_path / "broken") == terms(tmp_path / "whole")
    assert [row["step"] for row in read_curves(tmp_path / "broken")] == [1, 2, 3, 4, 5, 6]
    for name, tensor in whole.model.state_dict().items():
        assert torch.equal(tensor, resumed.model.state_dict()[name]), name
    stored = Detector.load(tmp_path / "broken" / DETECTOR)
    assert stored.statistics == whole.statistics
    assert stored.statistics.samples == 12


def test_training_makes_the_loss_smaller(tmp_path):
    config = replace(LEARNING, steps=40, keep_every=100, augment=STILL, rate=3e-3)
    train(config, lambda first, rank, count: iter([scene(n % 2) for n in range(first, 80)]), tmp_path, device="cpu")
    totals = [row["total"] for row in read_curves(tmp_path)]
    assert np.mean(totals[-5:]) < 0.6 * np.mean(totals[:5])


def test_half_precision_learns_and_weights_stay_whole(tmp_path):
    detector = train(replace(LEARNING, precision="bfloat16", steps=2), endless, tmp_path, device="cpu")
    assert {p.dtype for p in detector.model.parameters()} == {torch.float32}
    assert all(np.isfinite(row["total"]) for row in read_curves(tmp_path))


def test_validation_joins_the_line_of_its_step(tmp_path):
    train(LEARNING, endless, tmp_path, device="cpu", validate=lambda detector: {"map": 0.25})
    assert [row.get("map") for row in read_curves(tmp_path)] == [None, None, 0.25, None, None, 0.25]


def test_a_time_limit_ends_training_with_a_detector(tmp_path):
    train(replace(LEARNING, steps=10**6), endless, tmp_path, device="cpu", minutes=1e-6)
    assert len(read_curves(tmp_path)) == 1
    assert Detector.load(tmp_path / DETECTOR).config == LEARNING.model


def test_what_cannot_be_trained_or_resumed_is_told(tmp_path):
    with pytest.raises(CheckpointError, match="no checkpoint"):
        train(LEARNING, endless, tmp_path, device="cpu", resume=True)
    with pytest.raises(DetectionError, match="samples ended after 1, at step 1 of 6"):
        train(LEARNING, lambda first, rank, count: iter([scene(0)]), tmp_path, device="cpu")
    with pytest.raises(DetectionError, match="scene0000 has no boxes"):
        train(LEARNING, lambda *_: iter([replace(scene(0), boxes=None)]), tmp_path, device="cpu")
    with pytest.raises(DetectionError, match=r"the loss is .* at step 1 of 6"):
        wrong = replace(LEARNING, loss=LossConfig(classes=float("inf")))
        train(wrong, endless, tmp_path, device="cpu")
    train(LEARNING, endless, tmp_path, device="cpu")
    with pytest.raises(CheckpointError, match=r"seed was 0, is 1; train in another folder"):
        train(replace(LEARNING, seed=1), endless, tmp_path, device="cpu", resume=True)
    (tmp_path / TRAINING).write_bytes((tmp_path / TRAINING).read_bytes()[:-9])
    with pytest.raises(CheckpointError, match="no checkpoint"):
        train(LEARNING, endless, tmp_path, device="cpu", resume=True)


def test_two_processes_end_with_the_same_weights(tmp_path):
    script = (
        "import sys\n"
        "from pathlib import Path\n"
        "from detection_worlds import LEARNING, endless\n"
        "from detection.training import train\n"
        "train(LEARNING, endless, Path(sys.argv[1]), device='cpu').save(sys.argv[2])\n"
    )
    run_in_group(script, *([str(tmp_path / "run"), str(tmp_path / f"{rank}.safetensors")] for rank in range(2)))
    first, second = (Detector.load(tmp_path / f"{rank}.safetensors").model for rank in range(2))
    for (name, a), b in zip(first.named_parameters(), second.parameters(), strict=True):
        torch.testing.assert_close(a, b, msg=name)
    assert len(read_curves(tmp_path / "run")) == LEARNING.steps


def test_a_rig_like_that_of_the_training_raises_no_concern():
    trained = InputStatistics.of([inputs_of(scene(seed)) for seed in range(6)])
    assert compare(trained, scene(9)) == []
    assert InputStatistics.from_json(json.loads(json.dumps(trained.to_json()))) == trained


def test_what_differs_from_the_training_is_said_in_numbers():
    trained = InputStatistics.of([inputs_of(scene(seed)) for seed in range(6)])
    one = scene(9)
    low = replace(one, lidar_origin=one.lidar_origin - [0.0, 0.0, 1.0])
    assert "the LiDAR sits 1.0 m lower than in training: 0.8 m over ground against 1.8 m" in compare(trained, low)
    sunk = replace(one, points=one.points - np.float32([0, 0, 1.1, 0, 0]))
    assert any("the ground lies at -1.1 m in base_link" in line for line in compare(trained, sunk))
    thin = compare(trained, replace(one, points=one.points[::5]))
    assert thin == ["348 against 1,740 points a scan in training"]
    loud = replace(one, points=one.points * np.float32([1, 1, 1, 255, 1]))
    assert any("must be scaled to [0, 1]" in line for line in compare(trained, loud))
    assert any("no pictures" in line for line in compare(trained, without_cameras(one)))
    assert any("no LiDAR points" in line for line in compare(trained, without_lidar(one)))
    assert any("3 cameras against 4" in line for line in compare(trained, replace(one, views=one.views[:3])))


def test_boxes_are_drawn_where_they_project_and_stand():
    one = scene(7)
    inside = [
        (view, number)
        for view in one.views
        for number, (pixels, depth) in enumerate(zip(*project(view.camera, one.boxes.centre), strict=True))
        if depth > 1.0 and 10 < pixels[0] < 86 and 10 < pixels[1] < 54
    ]
    assert inside
    for view, number in inside:
        box = one.boxes.pick([number])
        drawn = np.asarray(draw_view(view, box, CLASSES, width=96 * 4))
        blank = np.asarray(draw_view(view, box.pick([]), CLASSES, width=96 * 4))
        rows, columns = np.nonzero((drawn == colour_of(int(box.label[0]))).all(axis=2) & (drawn != blank).any(axis=2))
        place = project(view.camera, box.centre)[0][0] * 4 + 2
        assert columns.min() < place[0] < columns.max() and rows.min() < place[1] < rows.max()
    above = np.asarray(draw_above(one, one.boxes, CLASSES, one.boxes, reach_m=16.0, size=400))
    assert above.shape == (400, 400, 3) and (above.max(axis=2) > 200).any()
    assert draw_sheet(one, one.boxes, CLASSES).size[0] > 1280
    assert draw_sheet(without_cameras(one), one.boxes, CLASSES).size == (800, 800)
