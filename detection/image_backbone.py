# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Pictures to a pyramid of features."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from detection.config import ModelConfig
from detection.layers import convolution, stage

_RESNET50 = (256, 512, 1024, 2048)
NEAREST_M = 0.5
"""What is nearer to a camera is not taken to be in its picture."""


class SmallBackbone(nn.Module):
    """Residual stages at strides 4, 8, 16 and 32."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        channels = config.image_channels
        self.stem = nn.Sequential(convolution(3, channels[0], 2), convolution(channels[0], channels[0], 2))
        inputs = (channels[0], *channels[:-1])
        strides = (1, *(2 for _ in channels[1:]))
        sizes = zip(inputs, channels, strides, config.image_blocks, strict=True)
        self.stages = nn.ModuleList(stage(*size) for size in sizes)
        self.channels = channels

    def forward(self, images: Tensor) -> list[Tensor]:
        """(N, 3, H, W) -> features at strides 4, 8, ..."""
        x, found = self.stem(images), []
        for one in self.stages:
            x = one(x)
            found.append(x)
        return found


class ResNet50(nn.Module):
    """ResNet-50 of transformers, without weights: those of a folder are loaded by who has them."""

    def __init__(self) -> None:
        super().__init__()
        from transformers import ResNetBackbone, ResNetConfig

        out: Any = ["stage1", "stage2", "stage3", "stage4"]
        self.body = ResNetBackbone(ResNetConfig(out_features=out))
        self.channels = _RESNET50

    def forward(self, images: Tensor) -> list[Tensor]:
        """(N, 3, H, W) -> features at strides 4, 8, 16, 32."""
        return list(self.body(images).feature_maps)


class FeaturePyramid(nn.Module):
    """Coarse features added to fine ones from the top down (Lin et al. 2017)."""

    def __init__(self, inputs: Sequence[int], channels: int) -> None:
        super().__init__()
        self.lateral = nn.ModuleList(nn.Conv2d(count, channels, 1) for count in inputs)

    def forward(self, features: list[Tensor]) -> list[Tensor]:
        """Features, finest first -> as many of (N, C, h, w)."""
        found: list[Tensor] = []
        for lateral, feature in zip(reversed(self.lateral), reversed(features), strict=True):
            side = lateral(feature)
            if found:
                side = side + functional.interpolate(found[0], size=side.shape[-2:])
            found.insert(0, side)
        return found


class ImageEncoder(nn.Module):
    """Backbone and pyramid."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.backbone = SmallBackbone(config) if config.image_backbone == "small" else ResNet50()
        self.first, self.last = config.image_first, config.image_first + config.image_levels
        self.pyramid = FeaturePyramid(self.backbone.channels[self.first :], config.channels)

    def forward(self, images: Tensor) -> list[Tensor]:
        """(B, V, 3, H, W) -> the pyramid's levels that are used (B * V, C, h, w), finest first."""
        features = self.backbone(images.flatten(0, 1))[self.first :]
        return self.pyramid(features)[: self.last - self.first]


def in_pictures(points: Tensor, T_camera_base: Tensor, K: Tensor, height: int, width: int) -> tuple[Tensor, Tensor]:
    """Where points are in pictures without distortion.

    Args:
        points: (..., 3) base_link, metres.
        T_camera_base: (..., 4, 4).
        K: (..., 3, 3) pixels.

    Returns:
        (..., 2) normalised (u, v), 0 and 1 at the picture's borders; and (...) depth, metres.
    """
    seen = (T_camera_base[..., :3, :3] @ points[..., None])[..., 0] + T_camera_base[..., :3, 3]
    depth = seen[..., 2]
    ray = seen[..., :2] / depth.abs().clamp(min=1e-3)[..., None]
    pixel = ray * torch.stack([K[..., 0, 0], K[..., 1, 1]], dim=-1) + K[..., :2, 2]
    return (pixel + 0.5) / pixel.new_tensor([width, height]), depth
