# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Geometry of boxes."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from detection.boxes import bev_iou, corners, iou_3d, moved, owner_of_points, points_in_boxes, project, wrap_angle
from detection.errors import SampleError
from detection.sample import Boxes, joined_boxes, make_boxes, no_boxes
from slam.calibration import Camera


def random_boxes(rng: np.random.Generator, count: int, spread_m: float = 4.0) -> Boxes:
    centre = rng.uniform(-spread_m, spread_m, (count, 3)) * [1.0, 1.0, 0.2]
    return make_boxes(centre, rng.uniform(0.5, 5.0, (count, 3)), rng.uniform(-4.0, 4.0, count), np.zeros(count))


def test_a_box_turned_by_a_quarter_has_its_length_along_y():
    place = corners(make_boxes([1.0, 2.0, 3.0], [4.0, 2.0, 1.0], [np.pi / 2], [0]))[0]
    low, high = place.min(axis=0), place.max(axis=0)
    assert np.allclose(low, [0.0, 0.0, 2.5], atol=1e-6) and np.allclose(high, [2.0, 4.0, 3.5], atol=1e-6)
    assert np.allclose(place[0], [0.0, 4.0, 2.5], atol=1e-6)  # front left, below


def test_overlaps_agree_with_counting_random_points():
    rng = np.random.default_rng(0)
    first, second = random_boxes(rng, 6), random_boxes(rng, 5)
    points = rng.uniform(-8.0, 8.0, (400_000, 3)) * [1.0, 1.0, 0.6]
    inside = [
        [owner_of_points(points, boxes.pick([number])) == 0 for number in range(len(boxes))]
        for boxes in (first, second)
    ]
    counted = np.array([[(a & b).sum() / max((a | b).sum(), 1) for b in inside[1]] for a in inside[0]])
    assert np.abs(iou_3d(first, second) - counted).max() < 0.02


def test_a_box_overlaps_itself_wholly_and_a_far_one_not_at_all():
    boxes = random_boxes(np.random.default_rng(1), 20)
    assert np.allclose(np.diag(iou_3d(boxes, boxes)), 1.0, atol=1e-5)
    assert np.allclose(np.diag(bev_iou(boxes, boxes)), 1.0, atol=1e-5)
    far = moved(boxes, np.array([[1.0, 0, 0, 50.0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]))
    assert not iou_3d(boxes, far).any() and iou_3d(boxes, no_boxes()).shape == (20, 0)


def test_a_point_in_two_boxes_belongs_to_the_smaller():
    boxes = make_boxes(np.zeros((2, 3)), [[1.0, 1.0, 1.0], [9.0, 9.0, 9.0]], [0.3, 0.0], [0, 1])
    points = np.array([[0.0, 0.0, 0.0], [3.0, 0.0, 0.0], [30.0, 0.0, 0.0]])
    assert owner_of_points(points, boxes).tolist() == [0, 1, -1]
    assert points_in_boxes(points, boxes).tolist() == [1, 2]


def test_boxes_go_into_a_camera_frame_and_back():
    rng = np.random.default_rng(2)
    boxes = random_boxes(rng, 10)
    boxes.velocity[:] = rng.normal(size=(10, 2))
    T = np.eye(4)
    T[:3, :3] = Rotation.from_euler("z", 0.7).as_matrix()
    T[:3, 3] = [3.0, -1.0, 0.5]
    back = moved(moved(boxes, T), np.linalg.inv(T))
    assert np.allclose(back.centre, boxes.centre, atol=1e-5) and np.allclose(back.velocity, boxes.velocity, atol=1e-5)
    assert np.allclose(wrap_angle(back.yaw - boxes.yaw), 0.0, atol=1e-5)


def test_a_point_ahead_of_a_forward_camera_lands_on_its_principal_point():
    T = np.eye(4)
    T[:3, :3] = [[0, 0, 1], [-1, 0, 0], [0, -1, 0]]
    camera = Camera(640, 480, np.array([[300.0, 0, 320], [0, 300, 240], [0, 0, 1]]), np.zeros(5), T)
    pixels, depth = project(camera, np.array([[10.0, 0.0, 0.0], [10.0, 1.0, 0.0], [-5.0, 0.0, 0.0]]))
    assert np.allclose(pixels[0], [320, 240]) and np.allclose(pixels[1], [290, 240]) and np.isnan(pixels[2]).all()
    assert np.allclose(depth, [10.0, 10.0, -5.0])


def test_boxes_of_unequal_arrays_are_refused_with_their_lengths():
    with pytest.raises(SampleError, match="'yaw': 1"):
        make_boxes(np.zeros((2, 3)), np.ones((2, 3)), [0.0], [0, 1])


def test_joined_boxes_keep_their_order():
    one, two = random_boxes(np.random.default_rng(3), 2), random_boxes(np.random.default_rng(4), 3)
    both = joined_boxes([one, two])
    assert len(both) == 5 and np.array_equal(both.centre[2:], two.centre) and len(joined_boxes([])) == 0
