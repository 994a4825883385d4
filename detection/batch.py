# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Samples side by side as tensors: points of all, pictures of one size without distortion, where each camera sits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from detection.config import ModelConfig
from detection.sample import Boxes, Sample, View
from slam.calibration import Camera
from slam.gaussian_map.pictures import distorted

_MEAN, _SPREAD = 0.45, 0.25


@dataclass(frozen=True, slots=True)
class Batch:
    """B samples with up to V pictures each.

    Attributes:
        points: (P, 5) of all samples, see ``POINT_FIELDS``.
        owner: (P,) int64 sample that each point belongs to.
        images: (B, V, 3, H, W) of zero mean and unit spread, about; 0 where ``seen`` is false.
        K: (B, V, 3, 3) intrinsics of those pictures, pixels.
        T_camera_base: (B, V, 4, 4) base_link into each optical frame.
        seen: (B, V) bool, whether there is such a picture.
        swept: (B,) bool, whether there are points.
        boxes: truth of each sample, None where unknown.
    """

    points: Tensor
    owner: Tensor
    images: Tensor
    K: Tensor
    T_camera_base: Tensor
    seen: Tensor
    swept: Tensor
    boxes: tuple[Boxes | None, ...]

    def __len__(self) -> int:
        return len(self.swept)

    def to(self, device: torch.device | str) -> Batch:
        """The same on a device."""
        moved = {one.name: getattr(self, one.name) for one in fields(self)}
        return Batch(**{name: v.to(device) if isinstance(v, Tensor) else v for name, v in moved.items()})


def collate(samples: Sequence[Sample], config: ModelConfig) -> Batch:
    """Samples as the network takes them; those with fewer pictures than others get empty ones."""
    most = max((len(sample.views) for sample in samples), default=0)
    shape = (len(samples), most)
    images = torch.zeros(*shape, 3, config.image_height, config.image_width)
    K, T = torch.eye(3).repeat(*shape, 1, 1), torch.eye(4).repeat(*shape, 1, 1)
    seen = torch.zeros(shape, dtype=torch.bool)
    for i, sample in enumerate(samples):
        for j, view in enumerate(sample.views):
            images[i, j], kept = prepared(view, config.image_height, config.image_width)
            K[i, j] = torch.from_numpy(kept)
            T[i, j] = torch.from_numpy(np.linalg.inv(view.camera.T_base_camera))
            seen[i, j] = True
    counts = torch.tensor([len(sample.points) for sample in samples])
    points = np.concatenate([sample.points for sample in samples]) if samples else np.zeros((0, 5), np.float32)
    owner = torch.repeat_interleave(torch.arange(len(samples)), counts)
    boxes = tuple(sample.boxes for sample in samples)
    return Batch(torch.from_numpy(points), owner, images, K, T, seen, counts > 0, boxes)


def prepared(view: View, height: int, width: int) -> tuple[Tensor, NDArray[np.float32]]:
    """A picture as (3, height, width) without distortion, and its (3, 3) intrinsics.

    It is shrunk or grown until its width fits, keeping its proportions; what is then too high loses its upper part
    (the sky), what is too low gets zeros below.
    """
    camera = view.camera
    factor = width / camera.width
    top = max(factor * camera.height - height, 0.0)
    K = scaled(camera.K, factor, top)
    image = torch.tensor(view.pixels).permute(2, 0, 1).float().div_(255.0)
    image = ((image - _MEAN) / _SPREAD)[None]
    if (camera.height, camera.width) != (height, width) or camera.distortion.any():
        shrink = max(int(1.0 / factor), 1)
        image = functional.avg_pool2d(image, shrink, ceil_mode=True)
        image = functional.grid_sample(image, _places(*_key(camera), height, width, shrink), align_corners=False)
    return image[0], K.astype(np.float32)


def scaled(K: NDArray[np.float64], factor: float, top: float) -> NDArray[np.float64]:
    """(3, 3) intrinsics of a picture of ``factor`` times the size that lost ``top`` rows; pixel centres are whole."""
    out = K.copy()
    out[:2] *= factor
    out[:2, 2] += 0.5 * (factor - 1.0)
    out[1, 2] -= top
    return out


def _key(camera: Camera) -> tuple[int, int, bytes, bytes]:
    return camera.width, camera.height, camera.K.tobytes(), np.asarray(camera.distortion, np.float64).tobytes()


@lru_cache(maxsize=32)
def _places(w: int, h: int, K: bytes, distortion: bytes, height: int, width: int, shrink: int) -> Tensor:
    """(1, height, width, 2) where each pixel is looked up, in grid_sample's units of the picture shrunk so."""
    camera = Camera(w, h, np.frombuffer(K).reshape(3, 3), np.frombuffer(distortion))
    factor = width / w
    ideal = scaled(camera.K, factor, max(factor * h - height, 0.0))
    u, v = np.meshgrid((np.arange(width) - ideal[0, 2]) / ideal[0, 0], (np.arange(height) - ideal[1, 2]) / ideal[1, 1])
    pixels = distorted(camera, np.stack([u.ravel(), v.ravel()], axis=1)) + 0.5
    size = np.array([-(-w // shrink), -(-h // shrink)]) * shrink
    return torch.from_numpy((2.0 * pixels / size - 1.0).reshape(1, height, width, 2).astype(np.float32))
