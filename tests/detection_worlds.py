# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Small scenes of coloured boxes on a plane, seen by a LiDAR and cameras, and small networks to look at them."""

from __future__ import annotations

import numpy as np

from detection.boxes import corners, project
from detection.config import ModelConfig
from detection.sample import Boxes, Sample, View, make_boxes
from slam.calibration import Camera

CLASSES = ("car", "pedestrian")
COLOURS = np.array([[200, 40, 40], [40, 60, 220]], np.uint8)
SIZES = np.array([[4.0, 1.8, 1.5], [0.6, 0.6, 1.7]])
_OPTICAL = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])


def small_model(**changes) -> ModelConfig:
    """A network that runs in milliseconds."""
    sizes = {
        "classes": CLASSES, "low_m": (-16.0, -16.0, -2.0), "high_m": (16.0, 16.0, 4.0), "cell_m": 0.5,
        "image_height": 64, "image_width": 96, "channels": 32, "heads": 2, "hidden": 48, "pillar_channels": 16,
        "lidar_strides": (2, 2), "lidar_channels": (24, 32), "lidar_blocks": (1, 1), "dsvt_window": 6, "dsvt_set": 12,
        "image_channels": (12, 24, 32, 32), "image_blocks": (1, 1, 1, 1), "image_first": 0, "image_levels": 2,
        "lidar_queries": 12, "camera_queries": 10, "points_per_level": 2,
    }  # fmt: skip
    return ModelConfig(**(sizes | changes))


def looking(yaw_deg: float, width: int = 96, height: int = 64) -> Camera:
    """A camera on the roof, 90 degrees wide."""
    c, s = np.cos(np.radians(yaw_deg)), np.sin(np.radians(yaw_deg))
    T = np.eye(4)
    T[:3, :3] = np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]]) @ _OPTICAL
    T[:3, 3] = [0.3, 0.0, 1.6]
    focal = 0.5 * width
    K = np.array([[focal, 0.0, 0.5 * (width - 1)], [0.0, focal, 0.5 * (height - 1)], [0.0, 0.0, 1.0]])
    return Camera(width, height, K, np.zeros(5), T)


def scattered(rng: np.random.Generator, count: int = 4) -> Boxes:
    """Cars and pedestrians that stand apart, 4 to 14 m away."""
    around = (np.arange(count) + rng.uniform(0.2, 0.8, count)) * 2.0 * np.pi / count
    away, label = rng.uniform(4.0, 13.0, count), rng.integers(len(CLASSES), size=count)
    size = SIZES[label]
    centre = np.stack([away * np.cos(around), away * np.sin(around), 0.5 * size[:, 2]], axis=1)
    moves = rng.normal(size=(count, 2))
    return make_boxes(centre, size, rng.uniform(-np.pi, np.pi, count), label, velocity=moves, identity=range(count))


def scene(seed: int = 0, cameras: int = 4, sweep: bool = True) -> Sample:
    """Points on the boxes' surfaces and on the ground; pictures with each box as a coloured rectangle."""
    rng = np.random.default_rng(seed)
    boxes = scattered(rng)
    views = tuple(_picture(f"camera-{n}", looking(90.0 * n), boxes) for n in range(cameras))
    points = _returns(rng, boxes) if sweep else np.zeros((0, 5), np.float32)
    return Sample(f"scene-{seed}", seed, points, views, boxes)


def _returns(rng: np.random.Generator, boxes: Boxes) -> np.ndarray:
    ground = np.concatenate([rng.uniform(-15.0, 15.0, (600, 2)), np.zeros((600, 1))], axis=1)
    parts = [ground]
    for number in range(len(boxes)):
        local = rng.uniform(-0.5, 0.5, (80, 3))
        local[np.arange(80), rng.integers(3, size=80)] = rng.choice([-0.5, 0.5], 80)
        local = local * boxes.size[number]
        c, s = np.cos(boxes.yaw[number]), np.sin(boxes.yaw[number])
        turned = np.stack([c * local[:, 0] - s * local[:, 1], s * local[:, 0] + c * local[:, 1], local[:, 2]], axis=1)
        parts.append(turned + boxes.centre[number])
    xyz = np.concatenate(parts)
    return np.concatenate([xyz, np.full((len(xyz), 1), 0.4), np.zeros((len(xyz), 1))], axis=1).astype(np.float32)


def _picture(name: str, camera: Camera, boxes: Boxes) -> View:
    pixels = np.full((camera.height, camera.width, 3), 120, np.uint8)
    for number in np.argsort(-np.linalg.norm(boxes.centre[:, :2], axis=1)):
        place, depth = project(camera, corners(boxes)[number])
        if depth.min() < 0.5:
            continue
        (left, top), (right, bottom) = np.rint(place.min(axis=0)), np.rint(place.max(axis=0))
        rows = slice(max(int(top), 0), max(int(bottom) + 1, 0))
        columns = slice(max(int(left), 0), max(int(right) + 1, 0))
        pixels[rows, columns] = COLOURS[boxes.label[number]]
    return View(name, pixels, camera)
