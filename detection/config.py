# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Sizes and switches of the detector, and how it is trained."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from detection.errors import DetectionConfigError

CITY_CLASSES = (
    "car",
    "van",
    "bicycle",
    "pedestrian",
    "traffic light",
    "hydrant",
    "bench",
    "tree",
    "shop sign",
)
SMALL_CLASSES = ("pedestrian", "traffic_cone")


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """A SparseFusion network. The defaults are the small network for a CPU.

    Attributes:
        classes: names, in the order of the labels.
        small_classes: classes whose heatmap peaks are not thinned (1 x 1 instead of 3 x 3 local maxima).
        low_m: (x, y, z) least corner of the space that is looked at, base_link, metres.
        high_m: (x, y, z) greatest corner.
        cell_m: side of a pillar, metres.
        image_height, image_width: every picture is resized to this, pixels; multiples of 32.
        channels: of all features after the backbones.
        heads: of every attention.
        hidden: of every feed-forward network.
        dropout: in the attention layers, while training.
        lidar_backbone: "pillar_cnn" or "dsvt".
        pillar_channels: of a pillar's features.
        lidar_strides: strides of the stages of the LiDAR backbone; their product up to ``lidar_out`` is the BEV's.
        lidar_channels: channels of those stages.
        lidar_blocks: residual blocks of those stages.
        lidar_out: number of the first stages whose total stride is that of the BEV map; later ones are upsampled to it.
        dsvt_blocks: blocks of two set-attention layers, where the backbone is "dsvt".
        dsvt_window: cells along a window's side.
        dsvt_set: cells in a set (tau).
        image_backbone: "small", or "resnet50" (transformers' ResNet).
        image_channels: channels of the small backbone at strides 4, 8, 16 and 32.
        image_blocks: residual blocks at those strides.
        image_first: first level of the feature pyramid that is used: 0 for stride 4, 1 for 8.
        image_levels: how many levels are used from there on.
        lidar_queries: candidates of the LiDAR branch.
        camera_queries: candidates of the camera branch, over all pictures.
        points_per_level: sampling points of the deformable attention, a head and level.
        semantic_transfer: camera features reach the LiDAR's heatmap.
        geometric_transfer: sparse depth reaches the image features.
        view_transform: camera candidates are predicted again in the vehicle's frame from all of them together.
        rescoring: "soft" multiplies the class score by the candidate's own heatmap score; "one_hot" by it for its
            first class and by 0 for all others, as released; "none" leaves it.
        merged_m: of boxes of one class whose centres stand nearer together than this, metres, only the best is told.
    """

    classes: tuple[str, ...] = CITY_CLASSES
    small_classes: tuple[str, ...] = SMALL_CLASSES
    low_m: tuple[float, float, float] = (-40.0, -40.0, -4.0)
    high_m: tuple[float, float, float] = (40.0, 40.0, 8.0)
    cell_m: float = 0.4
    image_height: int = 192
    image_width: int = 320
    channels: int = 64
    heads: int = 4
    hidden: int = 128
    dropout: float = 0.0
    lidar_backbone: Literal["pillar_cnn", "dsvt"] = "pillar_cnn"
    pillar_channels: int = 32
    lidar_strides: tuple[int, ...] = (2, 2, 2)
    lidar_channels: tuple[int, ...] = (48, 64, 96)
    lidar_blocks: tuple[int, ...] = (1, 2, 2)
    lidar_out: int = 1
    dsvt_blocks: int = 2
    dsvt_window: int = 12
    dsvt_set: int = 36
    image_backbone: Literal["small", "resnet50"] = "small"
    image_channels: tuple[int, ...] = (24, 48, 80, 112)
    image_blocks: tuple[int, ...] = (1, 1, 2, 2)
    image_first: int = 1
    image_levels: int = 3
    lidar_queries: int = 100
    camera_queries: int = 80
    points_per_level: int = 4
    semantic_transfer: bool = True
    geometric_transfer: bool = True
    view_transform: bool = True
    rescoring: Literal["soft", "one_hot", "none"] = "soft"
    merged_m: float = 0.5

    def __post_init__(self) -> None:
        if self.channels % self.heads or self.channels % 4:
            raise DetectionConfigError(f"{self.channels} channels do not divide by {self.heads} heads and by 4")
        if self.image_height % 32 or self.image_width % 32:
            size = f"{self.image_height} x {self.image_width}"
            raise DetectionConfigError(f"pictures of {size} pixels: height and width must be multiples of 32")
        if not 1 <= self.image_levels <= 4 - self.image_first:
            raise DetectionConfigError(
                f"{self.image_levels} levels from level {self.image_first} on: there are 4 in all"
            )
        stages = {len(self.lidar_strides), len(self.lidar_channels), len(self.lidar_blocks)}
        if len(stages) > 1 or not 1 <= self.lidar_out <= len(self.lidar_strides):
            raise DetectionConfigError(f"LiDAR stages of unequal number {stages}, BEV after stage {self.lidar_out}")
        if self.low_m >= self.high_m or self.cell_m <= 0.0 or self.lidar_queries < 1 or self.camera_queries < 1:
            raise DetectionConfigError(
                f"nothing lies between {self.low_m} and {self.high_m} m at {self.cell_m} m a cell"
            )

    @property
    def grid(self) -> tuple[int, int]:
        """Pillars along x and along y."""
        span = (np.array(self.high_m) - np.array(self.low_m))[:2] / self.cell_m
        return round(float(span[0])), round(float(span[1]))

    @property
    def bev_stride(self) -> int:
        """Pillars along a side of a BEV cell."""
        return int(np.prod(self.lidar_strides[: self.lidar_out]))

    @property
    def bev_cell_m(self) -> float:
        """Side of a BEV cell, metres."""
        return self.cell_m * self.bev_stride

    @property
    def bev_grid(self) -> tuple[int, int]:
        """BEV cells along x and along y."""
        return self.grid[0] // self.bev_stride, self.grid[1] // self.bev_stride


def paper_config() -> ModelConfig:
    """The configuration of the paper (SparseFusion, ICCV 2023: nuScenes, ResNet-50, 0.075 m cells, 200 + 200)."""
    return ModelConfig(
        classes=(
            "car", "truck", "construction_vehicle", "bus", "trailer",
            "barrier", "motorcycle", "bicycle", "pedestrian", "traffic_cone",
        ),
        low_m=(-54.0, -54.0, -5.0), high_m=(54.0, 54.0, 3.0), cell_m=0.075, image_height=448, image_width=800,
        channels=128, heads=8, hidden=256, dropout=0.1, pillar_channels=64,
        lidar_strides=(2, 2, 2, 2), lidar_channels=(64, 128, 256, 256), lidar_blocks=(2, 2, 5, 5), lidar_out=3,
        image_backbone="resnet50", image_first=0, image_levels=4, lidar_queries=200, camera_queries=200,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class LossConfig:
    """Weights of the terms (SparseFusion section 3.5 and its released configuration).

    Attributes:
        heatmap: Gaussian focal loss of the BEV heatmap and of the image heatmaps. The paper's is 0.1, for heads that
            begin pretrained; from nothing, peaks are found too late with it.
        classes: focal loss of each head.
        box: L1 of the box code at the LiDAR, view and fusion heads.
        centre_2d: L1 of the camera head's picture position.
        camera: L1 of the camera head's other terms.
        depth: weight of the depth's logarithm among those; 10 makes it what metres are at 10 m.
        velocity: weight of the two velocity entries within a code.
        match_class, match_centre, match_iou: cost of a class, of the BEV distance, of -IoU in the matching.
        gaussian_overlap: least overlap that sets the radius of a heatmap's peak.
        least_radius: of a peak, cells.
    """

    heatmap: float = 1.0
    classes: float = 1.0
    box: float = 0.25
    centre_2d: float = 5.0
    camera: float = 0.25
    depth: float = 10.0
    velocity: float = 0.2
    match_class: float = 0.15
    match_centre: float = 0.25
    match_iou: float = 0.25
    gaussian_overlap: float = 0.1
    least_radius: int = 2


@dataclass(frozen=True, slots=True)
class AugmentConfig:
    """How training samples are varied; all off where every number is 0 or 1.

    Attributes:
        turn_deg: the whole scene is turned about +z by up to so much either way.
        scale: and scaled by a factor from 1 - scale to 1 + scale.
        flip: chance that left and right are exchanged (points, boxes and pictures).
        image_scale: each picture is zoomed by a factor from 1 - image_scale to 1 + image_scale.
        image_shift: and shifted by up to this share of its size.
        brightness: and made brighter or darker by up to this share.
        drop_camera: chance that a picture is left out.
        drop_lidar: chance that the points are left out.
        drop_cameras: chance that all pictures are left out.
    """

    turn_deg: float = 45.0
    scale: float = 0.05
    flip: float = 0.5
    image_scale: float = 0.1
    image_shift: float = 0.05
    brightness: float = 0.2
    drop_camera: float = 0.05
    drop_lidar: float = 0.2
    drop_cameras: float = 0.15


@dataclass(frozen=True, slots=True)
class TrainConfig:
    """How the detector learns.

    Attributes:
        seed: of the weights, the order of the samples and the augmentation.
        steps: optimiser steps.
        batch: samples a step and process.
        rate: highest learning rate (AdamW, linear warm-up, then cosine).
        warm_up: share of the steps.
        decay: weight decay.
        clip: greatest norm of the gradient.
        average: decay of the moving average of the weights that is stored; 0 stores the last ones.
        precision: "float32", or "bfloat16" (autocast).
        keep_every: steps between checkpoints that a run can be resumed from.
        model, loss, augment: the network, its losses, the variation of the samples.
    """

    seed: int = 0
    steps: int = 1500
    batch: int = 4
    rate: float = 1.5e-3
    warm_up: float = 0.05
    decay: float = 0.01
    clip: float = 5.0
    average: float = 0.998
    precision: Literal["float32", "bfloat16"] = "float32"
    keep_every: int = 100
    model: ModelConfig = field(default_factory=ModelConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
