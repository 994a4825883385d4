# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Training samples varied: the scene turned, scaled, mirrored; pictures zoomed, shifted, dimmed; sensors left out.

Whatever is done to the scene is done to the cameras too, and whatever is done to a picture is done to its intrinsics,
so that every box stays projected onto the same thing.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from detection.boxes import moved
from detection.config import AugmentConfig
from detection.sample import POINT_FIELDS, UNKNOWN, Boxes, Sample, View
from slam.calibration import Camera


def augment(sample: Sample, rng: np.random.Generator, config: AugmentConfig) -> Sample:
    """A variation of a sample, drawn from ``rng``; of one without truth as well.

    ``T_world_base`` is left out of what comes back: a mirrored or scaled vehicle has no pose in the world.
    """
    sample = turned(sample, math.radians(rng.uniform(-config.turn_deg, config.turn_deg)))
    sample = scaled(sample, 1.0 + rng.uniform(-config.scale, config.scale))
    if rng.random() < config.flip:
        sample = mirrored(sample)
    sample = _with_sensors_dropped(sample, rng, config)
    views = tuple(_varied(view, rng, config) for view in sample.views)
    return replace(sample, views=views, T_world_base=None)


def turned(sample: Sample, angle: float) -> Sample:
    """The scene turned by ``angle`` radians about +z, boxes and cameras with it."""
    T = np.eye(4)
    T[:2, :2] = [[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]]

    def turn(camera: Camera) -> Camera:
        return replace(camera, T_base_camera=T @ camera.T_base_camera)

    boxes = None if sample.boxes is None else moved(sample.boxes, T)
    return replace(_linear(sample, T[:3, :3], turn), boxes=boxes)


def scaled(sample: Sample, factor: float) -> Sample:
    """The scene ``factor`` times as large about the origin; its pictures stay what they are, depths grow with it."""

    def scale(camera: Camera) -> Camera:
        T = camera.T_base_camera.copy()
        T[:3, 3] *= factor
        return replace(camera, T_base_camera=T)

    boxes = sample.boxes
    if boxes is not None:
        boxes = replace(
            boxes,
            centre=np.float32(factor) * boxes.centre,
            size=np.float32(factor) * boxes.size,
            velocity=np.float32(factor) * boxes.velocity,
        )
    return replace(_linear(sample, factor * np.eye(3), scale), boxes=boxes)


def mirrored(sample: Sample) -> Sample:
    """Left and right exchanged: y of points, boxes and cameras, and u of the pictures."""
    boxes = sample.boxes
    if boxes is not None:
        boxes = replace(
            boxes,
            centre=boxes.centre * np.float32([1.0, -1.0, 1.0]),
            yaw=-boxes.yaw,
            velocity=boxes.velocity * np.float32([1.0, -1.0]),
        )
    exchanged = _linear(sample, np.diag([1.0, -1.0, 1.0]), mirrored_camera)
    views = tuple(replace(view, pixels=np.ascontiguousarray(view.pixels[:, ::-1])) for view in exchanged.views)
    return replace(exchanged, boxes=boxes, views=views)


def mirrored_camera(camera: Camera) -> Camera:
    """The camera that sees the world mirrored in y as the mirror image of what this one sees.

    T' = S_y T S_x stays a proper rotation; with u' = width - 1 - u, cx is mirrored and skew and p2 change sign.
    """
    S_y, S_x = np.diag([1.0, -1.0, 1.0, 1.0]), np.diag([-1.0, 1.0, 1.0, 1.0])
    K, distortion = camera.K.copy(), camera.distortion.copy()
    K[0, 2] = camera.width - 1 - K[0, 2]
    K[0, 1] = -K[0, 1]
    distortion[3] = -distortion[3]
    return replace(camera, K=K, distortion=distortion, T_base_camera=S_y @ camera.T_base_camera @ S_x)


def zoomed(view: View, factor: float, shift_px: tuple[float, float]) -> View:
    """The picture enlarged about its middle and shifted, at the same size; black where nothing was seen."""
    size = np.array([view.camera.width, view.camera.height], float)
    # In coordinates from the corner of the picture: new = factor * old + offset; a pixel's centre is at one half.
    offset = (1.0 - factor) * size / 2.0 + shift_px
    inverse = (1.0 / factor, 0.0, -offset[0] / factor, 0.0, 1.0 / factor, -offset[1] / factor)
    picture = Image.fromarray(view.pixels).transform(
        (view.camera.width, view.camera.height), Image.Transform.AFFINE, inverse, Image.Resampling.BILINEAR
    )
    A = np.diag([factor, factor, 1.0])
    A[:2, 2] = offset + (factor - 1.0) / 2.0
    return replace(view, pixels=np.asarray(picture), camera=replace(view.camera, K=A @ view.camera.K))


def without_lidar(sample: Sample) -> Sample:
    """The sample without its points; its boxes know that nothing is left on them."""
    boxes = _uncounted(sample.boxes, "points")
    return replace(sample, points=np.zeros((0, len(POINT_FIELDS)), np.float32), boxes=boxes)


def without_cameras(sample: Sample) -> Sample:
    """The sample without its pictures; its boxes know that nothing is seen of them."""
    return replace(sample, views=(), boxes=_uncounted(sample.boxes, "pixels"))


def _uncounted(boxes: Boxes | None, counted: str) -> Boxes | None:
    if boxes is None:
        return None
    counts = getattr(boxes, counted)
    return replace(boxes, **{counted: np.where(counts == UNKNOWN, counts, 0)})


def _linear(sample: Sample, A: NDArray[np.float64], change: Callable[[Camera], Camera]) -> Sample:
    """Points and the LiDAR's place through the (3, 3) matrix ``A``, cameras through ``change``."""
    points = sample.points.copy()
    points[:, :3] = points[:, :3] @ A.T.astype(np.float32)
    views = tuple(replace(view, camera=change(view.camera)) for view in sample.views)
    return replace(sample, points=points, views=views, lidar_origin=A @ sample.lidar_origin)


def _with_sensors_dropped(sample: Sample, rng: np.random.Generator, config: AugmentConfig) -> Sample:
    """At most one of the two kinds of sensor goes, and only where the other is there; single pictures apart."""
    chance = rng.random()
    if chance < config.drop_lidar and sample.views:
        return without_lidar(sample)
    if chance > 1.0 - config.drop_cameras and len(sample.points):
        return without_cameras(sample)
    kept = rng.random(len(sample.views)) >= config.drop_camera
    if not (kept.any() or len(sample.points)):
        return sample
    return replace(sample, views=tuple(view for view, keep in zip(sample.views, kept, strict=True) if keep))


def _varied(view: View, rng: np.random.Generator, config: AugmentConfig) -> View:
    factor = 1.0 + rng.uniform(-config.image_scale, config.image_scale)
    share = rng.uniform(-config.image_shift, config.image_shift, 2)
    gain = 1.0 + rng.uniform(-config.brightness, config.brightness)
    if config.image_scale or config.image_shift:
        view = zoomed(view, factor, (share[0] * view.camera.width, share[1] * view.camera.height))
    if config.brightness:
        table = np.clip(np.arange(256) * gain, 0.0, 255.0).astype(np.uint8)
        view = replace(view, pixels=table[view.pixels])
    return view
