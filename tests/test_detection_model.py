# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""The network: what goes in, what comes out, with whichever sensors there are."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional

from detection.attention import NearAttention, make_pyramid
from detection.batch import collate, prepared
from detection.boxes import project, wrap_angle
from detection.camera_branch import MonoCandidates, lifted
from detection.config import LossConfig, ModelConfig, paper_config
from detection.dsvt import set_partition
from detection.errors import CheckpointError, DetectionConfigError
from detection.heads import CODE, decode, encode
from detection.inference import Detector, boxes_of, merged, rescored
from detection.losses import losses
from detection.model import SparseFusion
from detection.sample import Sample, View, make_boxes, no_boxes
from detection.targets import bev_peaks, truth_of
from detection.transfers import USUAL_LOG_DEPTH, depth_at, depth_raster
from detection.voxels import sort_into_pillars
from detection_worlds import CLASSES, TINY, camera, scene
from slam.calibration import Camera

torch.set_num_threads(1)


def changed(**changes) -> ModelConfig:
    return replace(TINY, **changes)


def seen(seed: int, cameras: int = 4, sweep: bool = True) -> Sample:
    whole = scene(seed)
    points = whole.points if sweep else np.zeros((0, 5), np.float32)
    return replace(whole, views=whole.views[:cameras], points=points)


def untrained(config: ModelConfig, seed: int = 0) -> SparseFusion:
    torch.manual_seed(seed)
    return SparseFusion(config).eval()


def test_every_weight_learns_from_every_switch_and_backbone():
    for changes in (
        {},
        {"lidar_backbone": "dsvt"},
        {"semantic_transfer": False, "geometric_transfer": False},
        {"view_transform": False},
    ):
        config = changed(**changes)
        model = untrained(config).train()
        batch = collate([seen(0), seen(1)], config)
        losses(model(batch), batch, config, LossConfig())["total"].backward()
        assert [name for name, p in model.named_parameters() if p.grad is None] == []
        assert all(bool(torch.isfinite(p.grad).all()) for p in model.parameters() if p.grad is not None)


@pytest.mark.parametrize(("cameras", "sweep"), [(4, True), (1, True), (0, True), (4, False), (2, False)])
def test_any_number_of_cameras_and_any_lidar_will_do(cameras, sweep):
    config = changed()
    sample = seen(0, cameras, sweep)
    outputs = untrained(config)(collate([sample], config))
    expected = config.lidar_queries + config.camera_queries * (cameras > 0)
    assert outputs.fused.code.shape == (1, expected, CODE) and bool(torch.isfinite(outputs.fused.absolute()).all())
    assert bool(outputs.lidar.valid.all()) == sweep and (outputs.camera is not None) == (cameras > 0)
    found = Detector(untrained(config)).detect([sample])[0]
    assert (len(found["lidar"]) > 0) == sweep and (len(found["camera"]) == 0 or cameras > 0)


def test_what_is_found_does_not_hang_on_what_else_is_in_the_batch():
    config = changed()
    detector = Detector(untrained(config))
    alone = detector.detect([seen(0, cameras=2)])[0]["fused"]
    among = detector.detect([seen(1), seen(0, cameras=2), seen(2, cameras=0)])[1]["fused"]
    assert len(alone) == len(among)
    assert np.allclose(alone.centre, among.centre, atol=1e-3) and np.allclose(alone.score, among.score, atol=1e-5)


def test_a_sample_with_neither_points_nor_pictures_finds_nothing():
    config = changed()
    found = Detector(untrained(config)).detect([Sample("empty", 0, np.zeros((0, 5), np.float32))])[0]
    assert all(len(boxes) == 0 for boxes in found.values())


def test_box_codes_come_back_as_the_boxes_they_were_made_from():
    config = changed()
    boxes = seen(3).boxes
    assert boxes is not None
    back = decode(encode(boxes, config), config)
    assert np.allclose(back["centre"], boxes.centre, atol=1e-4) and np.allclose(back["size"], boxes.size, rtol=1e-5)
    assert np.allclose(wrap_angle(back["yaw"] - boxes.yaw), 0.0, atol=1e-5)
    assert np.allclose(back["velocity"], boxes.velocity)


def test_a_true_box_told_in_its_cameras_terms_is_lifted_back_to_where_it_stands():
    config = changed()
    batch = collate([seen(4)], config)
    truth = truth_of(batch, 0, config)
    view, box = np.nonzero(truth.shown)
    assert len(box) > 1
    code, at = torch.from_numpy(truth.mono[view, box])[None], torch.from_numpy(view)[None]
    blank = torch.zeros(1, len(box), 1)
    mono = MonoCandidates(blank, at, code[..., :2], blank, code, blank[..., 0], at, at >= 0)
    found = lifted(mono, batch, (config.image_height, config.image_width))[0].numpy()
    assert np.allclose(found[:, :3], truth.boxes.centre[box], atol=1e-3)
    assert np.allclose(wrap_angle(np.arctan2(found[:, 6], found[:, 7]) - truth.boxes.yaw[box]), 0.0, atol=1e-4)
    assert np.allclose(found[:, 8:10], truth.boxes.velocity[box], atol=1e-4)
    twice = wrap_angle(np.arctan2(found[:, 10], found[:, 11]) - 2.0 * truth.boxes.yaw[box])
    assert np.allclose(twice, 0.0, atol=1e-4)


def test_gathering_from_a_pyramid_equals_grid_sampling_its_levels():
    rng = torch.Generator().manual_seed(0)
    levels = [torch.randn(2, 3, 8, 6, 10, generator=rng), torch.randn(2, 3, 8, 3, 5, generator=rng)]
    pyramid = make_pyramid(levels)
    place = torch.rand(2, 7, 1, 2, generator=rng) * 1.4 - 0.2
    view = torch.randint(3, (2, 7), generator=rng)
    batch = torch.arange(2)[:, None].expand(2, 7)
    for number, level in enumerate(levels):
        found = pyramid.sample(pyramid.values[:, :, None], number, batch, view, place)[:, :, 0]
        for b in range(2):
            for q in range(7):
                grid = (2.0 * place[b, q, 0] - 1.0).view(1, 1, 1, 2)
                want = functional.grid_sample(level[b, view[b, q]][None], grid, align_corners=False)
                assert torch.allclose(found[b, q], want.flatten(), atol=1e-5)


@pytest.mark.parametrize("shift", [0, 3])
@pytest.mark.parametrize("by_rows", [True, False])
def test_every_pillar_is_in_a_set_of_its_own_window_alone(shift, by_rows):
    rng = torch.Generator().manual_seed(shift)
    cell = torch.unique(torch.randint(0, 20, (150, 3), generator=rng) % torch.tensor([2, 20, 20]), dim=0)
    sets = set_partition(cell, 6, 8, shift, by_rows)
    assert sorted(sets.index[sets.writes].tolist()) == list(range(len(cell)))
    window = torch.stack([cell[:, 0], (cell[:, 1] + shift) // 6, (cell[:, 2] + shift) // 6], dim=1)
    assert all(len(torch.unique(window[one], dim=0)) == 1 for one in sets.index)
    count = torch.unique(window, dim=0, return_counts=True)[1]
    assert len(sets.index) == int(((count + 7) // 8).sum())
    assert bool((sets.inner.abs() < 1.0).all())


def test_a_pillar_knows_its_points():
    config = changed()
    xyz = np.array([[0.1, 0.2, 0.3], [0.3, 0.2, 1.3], [-5.0, 4.0, 0.5], [99.0, 0.0, 0.0]], np.float32)
    points = np.concatenate([xyz, np.zeros((4, 2), np.float32)], axis=1)
    pillars = sort_into_pillars(collate([Sample("two", 0, points)], config), config)
    assert len(pillars.cell) == 2 and len(pillars.inputs) == 3  # the one at 99 m is beyond the map
    assert np.allclose(pillars.heights.numpy()[pillars.pillar[0]], [0.3, 0.8, 1.3])
    assert np.allclose(pillars.inputs.numpy()[0, :2], [-0.15, -0.05], atol=1e-6)


def test_heatmaps_are_one_at_centres_and_nowhere_else():
    config = changed()
    batch = collate([seen(5)], config)
    truth = truth_of(batch, 0, config)
    heat = bev_peaks([truth], config, LossConfig())[0].numpy()
    x, y = np.floor(truth.code[:, :2]).astype(int).T
    assert np.allclose(heat[truth.boxes.label, y, x], 1.0) and int((heat == 1.0).sum()) == len(x)


def test_a_picture_of_another_size_with_distortion_shows_things_where_the_pinhole_says():
    K = np.array([[210.0, 0.0, 201.0], [0.0, 205.0, 148.0], [0.0, 0.0, 1.0]])
    lens = Camera(400, 300, K, np.array([-0.06, 0.01, 0.0005, -0.0004, 0.0]), camera(0.0).T_base_camera)
    pixels = np.zeros((300, 400, 3), np.uint8)
    spots = np.array([[8.0, 2.5, 2.0], [8.0, -3.0, 1.0], [8.0, 0.5, 1.6]])
    place, _ = project(lens, spots)
    for u, v in np.rint(place).astype(int):
        pixels[v - 3 : v + 4, u - 3 : u + 4] = 255
    image, found = prepared(View("front", pixels, lens), 128, 192)
    ideal, _ = project(replace(lens, K=found.astype(float), distortion=np.zeros(5)), spots)
    assert image.shape == (3, 128, 192)
    for u, v in np.rint(ideal).astype(int):
        assert image[0, v, u] > 1.0 and image[0, v, u + 8] < 0.0


def test_soft_rescoring_lets_a_candidate_change_its_class_and_one_hot_does_not():
    logits, seed, first = np.array([[-2.0, 2.0]], np.float32), np.array([0.5], np.float32), np.array([0])
    soft = rescored(logits, seed, first, changed(rescoring="soft"))
    hard = rescored(logits, seed, first, changed(rescoring="one_hot"))
    assert soft.argmax() == 1 and hard.argmax() == 0 and hard[0, 1] == 0.0
    assert np.isclose(soft[0, 1], 0.5 / (1.0 + np.exp(-2.0)))


def test_of_two_answers_at_one_place_the_better_of_each_class_stays():
    places = np.array([[5.0, 0.0, 1.0], [5.2, 0.0, 1.0], [5.2, 0.1, 1.0], [5.8, 0.0, 1.0]])
    boxes = make_boxes(places, np.ones((4, 3)), np.zeros(4), [0, 0, 1, 0], score=[0.9, 0.8, 0.7, 0.6])
    assert merged(boxes, 0.5).score.tolist() == pytest.approx([0.9, 0.7, 0.6])
    # What is left out keeps nothing else out: the fourth is near the second alone.
    assert merged(boxes, 0.7).score.tolist() == pytest.approx([0.9, 0.7, 0.6])
    assert len(merged(boxes, 0.0)) == 4 and len(merged(no_boxes(), 0.5)) == 0


def test_depth_at_a_place_is_that_of_its_cell_else_the_nearest_around():
    raster = torch.zeros(2, 2, 4, 6)
    for row, column, depth in ((1, 1, 0.5), (1, 3, -0.7), (2, 3, 0.2)):
        raster[1, :, row, column] = torch.tensor([depth, 1.0])
    place = (torch.tensor([[1, 1], [2, 2], [5, 0], [1, 1]]) + 0.5) / torch.tensor([6.0, 4.0])
    found = depth_at(raster, torch.tensor([[1, 1, 1, 0]]), place[None])[0]
    assert torch.allclose(found, torch.tensor([[0.5, 1.0], [-0.7, 1.0], [0.0, 0.0], [0.0, 0.0]]))


def test_a_camera_candidate_without_a_change_stands_where_the_lidar_met_it():
    config = changed()
    sample = seen(8)
    batch = collate([sample], config)
    model = untrained(config)
    depth = model.camera_decoder.head.parts[1][-1]
    torch.nn.init.zeros_(depth.weight)
    torch.nn.init.zeros_(depth.bias)
    raster = depth_raster(batch, config)
    mono = model(batch).mono
    assert mono is not None and raster is not None
    begun = depth_at(raster, mono.view, mono.seed)[0]
    assert bool(begun[:, 1].any())
    assert torch.allclose(mono.code[0, :, 2], begun[:, 0] + USUAL_LOG_DEPTH, atol=1e-5)


def test_fusion_is_told_by_how_much_its_neighbours_differ_and_not_where_all_of_them_are():
    torch.manual_seed(0)
    near = NearAttention(8, 2, 0.0, (1.0, 4.0))
    features, place = torch.randn(1, 5, 8), 2.0 * torch.randn(1, 5, 2)
    shown = torch.ones(1, 5, dtype=torch.bool)
    found = near(features, features, place, shown)
    assert torch.allclose(near(features, features, place + 50.0, shown), found, atol=1e-4)
    moved = place.clone()
    moved[0, 4] += 0.5
    assert not torch.allclose(near(features, features, moved, shown)[0, 0], found[0, 0], atol=1e-4)
    moved[0, 4] += 500.0
    gone = near(features, features, moved, shown)[:, :4]
    assert torch.allclose(gone, near(features[:, :4], features[:, :4], place[:, :4], shown[:, :4]), atol=1e-5)


def test_a_stored_detector_answers_as_before(tmp_path):
    config = changed(lidar_backbone="dsvt", rescoring="none")
    detector = Detector(untrained(config, seed=3))
    path = detector.save(tmp_path / "detector.safetensors")
    again = Detector.load(path)
    assert again.config == config
    before, after = (one.detect([seen(6)])[0]["fused"] for one in (detector, again))
    assert np.array_equal(before.centre, after.centre) and np.array_equal(before.score, after.score)
    assert again.save(tmp_path / "again.safetensors").read_bytes() == path.read_bytes()


def test_a_damaged_or_foreign_file_is_refused_by_name(tmp_path):
    path = Detector(untrained(changed())).save(tmp_path / "detector.safetensors")
    path.write_bytes(path.read_bytes()[:-100])
    for wrong in (path, tmp_path / "missing.safetensors"):
        with pytest.raises(CheckpointError, match=wrong.name):
            Detector.load(wrong)


def test_sizes_that_make_no_network_are_refused_with_their_numbers():
    with pytest.raises(DetectionConfigError, match="30 channels"):
        changed(channels=30)
    with pytest.raises(DetectionConfigError, match="60 x 96"):
        changed(image_height=60)


def test_the_papers_configuration_goes_forward_and_back_at_a_reduced_range():
    pytest.importorskip("transformers", reason="ResNet-50 is transformers'")
    reach = {"low_m": (-5.4, -5.4, -5.0), "high_m": (5.4, 5.4, 3.0), "image_height": 64, "image_width": 128}
    config = replace(paper_config(), **reach, lidar_queries=20, camera_queries=20)
    assert paper_config().bev_grid == (180, 180) and paper_config().lidar_queries == 200
    model = untrained(config).train()
    batch = collate([seen(7, cameras=2)], config)
    found = losses(model(batch), batch, config, LossConfig())
    found["total"].backward()
    assert torch.isfinite(found["total"]) and len(boxes_of(model.eval()(batch), config)) == 1


def test_a_small_network_learns_a_few_scenes_by_heart():
    config = changed()
    model = untrained(config).train()
    samples = [seen(seed) for seed in range(4)]
    batch = collate(samples, config)
    optimiser = torch.optim.AdamW(model.parameters(), 3e-3)
    for _ in range(120):
        optimiser.zero_grad()
        losses(model(batch), batch, config, LossConfig())["total"].backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimiser.step()
    hits = total = 0
    for sample, found in zip(samples, Detector(model).detect(samples), strict=True):
        assert sample.boxes is not None
        boxes = found["fused"].pick(found["fused"].score > 0.2)
        for centre, label in zip(sample.boxes.centre, sample.boxes.label, strict=True):
            away = np.linalg.norm(boxes.centre[boxes.label == label] - centre, axis=1)
            hits, total = hits + bool((away < 0.7).any()), total + 1
    assert hits >= 0.8 * total and len(CLASSES) == 2
