# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Small scenes for tests of the detector: coloured crates on a level ground, four cameras, a few thousand points."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from detection.boxes import corners, owner_of_points, project
from detection.config import AugmentConfig, ModelConfig, TrainConfig
from detection.sample import Boxes, Sample, View, make_boxes
from slam.calibration import Camera

CLASSES = ("crate", "post")
SIZES = np.array([[2.0, 1.6, 1.5], [0.6, 0.6, 2.4]])
COLOURS = np.array([[200, 60, 40], [40, 80, 210]], np.uint8)
LIDAR = np.array([0.3, 0.0, 1.8])
TINY = ModelConfig(
    classes=CLASSES, small_classes=("post",), low_m=(-16.0, -16.0, -3.0), high_m=(16.0, 16.0, 5.0), cell_m=0.5,
    image_height=64, image_width=96, channels=16, heads=2, hidden=32, pillar_channels=16, lidar_strides=(2, 2),
    lidar_channels=(16, 24), lidar_blocks=(1, 1), image_channels=(8, 12, 16, 24), image_blocks=(1, 1, 1, 1),
    image_levels=2, lidar_queries=12, camera_queries=12, points_per_level=2,
)  # fmt: skip
LEARNING = TrainConfig(steps=6, batch=2, keep_every=3, model=TINY, augment=AugmentConfig())


def camera(yaw: float, distortion: tuple[float, ...] = (-0.05, 0.01, 0.002, -0.003, 0.0)) -> Camera:
    """A camera of 96 x 64 pixels on the roof."""
    T = np.eye(4)
    ahead = np.array([np.cos(yaw), np.sin(yaw), 0.0])
    T[:3, 0], T[:3, 1], T[:3, 2] = np.cross(ahead, [0.0, 0.0, 1.0]), [0.0, 0.0, -1.0], ahead
    T[:3, 3] = 0.4 * ahead + [0.2, 0.0, 1.7]
    K = np.array([[48.0, 0.0, 46.0], [0.0, 49.0, 30.0], [0.0, 0.0, 1.0]])
    return Camera(96, 64, K, np.array(distortion), T)


def scene(seed: int, count: int = 4) -> Sample:
    """Crates and posts at random places; points on the ground and on them, and their outlines in the pictures."""
    rng = np.random.default_rng(seed)
    label = rng.integers(0, 2, count)
    angle, radius = rng.uniform(0, 2 * np.pi, count), rng.uniform(4.0, 13.0, count)
    size = SIZES[label]
    centre = np.column_stack([radius * np.cos(angle), radius * np.sin(angle), size[:, 2] / 2])
    boxes = make_boxes(centre, size, rng.uniform(-3, 3, count), label, velocity=rng.normal(0, 1, (count, 2)))
    ground = np.column_stack([rng.uniform(-15, 15, (1500, 2)), rng.normal(0.0, 0.02, 1500)])
    inside = boxes.centre[:, None] + (corners(boxes) - boxes.centre[:, None])[:, rng.integers(0, 8, 60)] * 0.9
    xyz = np.concatenate([ground, inside.reshape(-1, 3)])
    points = np.column_stack([xyz, rng.uniform(0.1, 0.4, len(xyz)), np.zeros(len(xyz))]).astype(np.float32)
    cameras = {f"camera{n}": camera(n * np.pi / 2) for n in range(4)}
    views = tuple(View(name, _painted(one, boxes, rng), one) for name, one in cameras.items())
    owner = owner_of_points(points[:, :3], boxes)
    counts = np.bincount(owner[owner >= 0], minlength=count)
    boxes = make_boxes(
        boxes.centre, boxes.size, boxes.yaw, label, velocity=boxes.velocity, points=counts, pixels=np.full(count, 80)
    )
    return Sample(f"scene{seed:04d}", seed * 10**8, points, views, boxes, np.eye(4), LIDAR.copy())


def endless(first: int, rank: int, count: int) -> Iterator[Sample]:
    """Scenes without end, as training takes them."""
    number = first
    while True:
        yield scene(number * count + rank)
        number += 1


def _painted(one: Camera, boxes: Boxes, rng: np.random.Generator) -> np.ndarray:
    picture = rng.integers(90, 130, (one.height, one.width, 3)).astype(np.uint8)
    for box, label in zip(corners(boxes), boxes.label, strict=True):
        pixels, depth = project(one, box)
        if (depth > 0.5).all():
            low = np.clip(np.round(pixels.min(axis=0)), 0, [one.width, one.height]).astype(int)
            high = np.clip(np.round(pixels.max(axis=0)), 0, [one.width, one.height]).astype(int)
            picture[low[1] : high[1], low[0] : high[0]] = COLOURS[label]
    return picture
