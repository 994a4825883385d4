# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""What a candidate becomes: the code of a box and a score for each class."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from detection.config import ModelConfig
from detection.layers import RARE
from detection.sample import Boxes

CODE = 12
"""Entries of a box code: dx, dy (BEV cells from the candidate), z (m), log length, width, height, sin and cos of the
yaw, vx, vy (m/s), sin and cos of twice the yaw.

The last two are not the paper's. Many things look alike from the front and from the back: the L1 error of sin and cos
is then least at 0, which points nowhere. Twice the yaw is the same either way round, so that the axis is learnt all the
same; sin and cos of the yaw itself only say which of its two ends is the front.
"""


@dataclass(frozen=True, slots=True)
class Candidates:
    """Q candidates of each sample, and what a head says of them.

    Attributes:
        features: (B, Q, C).
        place: (B, Q, 2) x and y on the BEV map, cells; no gradient flows through it.
        logits: (B, Q, K) of the classes.
        code: (B, Q, 12) see ``CODE``.
        seed_score: (B, Q) heatmap score that the candidate came from, in [0, 1].
        seed_class: (B, Q) int64 class of that heatmap.
        valid: (B, Q) bool: false where its sensor is missing.
    """

    features: Tensor
    place: Tensor
    logits: Tensor
    code: Tensor
    seed_score: Tensor
    seed_class: Tensor
    valid: Tensor

    def absolute(self) -> Tensor:
        """(B, Q, 12) the code with x and y as cells on the map instead of from the candidate."""
        return torch.cat([self.code[..., :2] + self.place, self.code[..., 2:]], dim=-1)


class BoxHead(nn.Module):
    """One small network for each part of the code, and one for the classes."""

    PARTS = (2, 1, 3, 2, 2, 2)

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(channels, 2 * channels), nn.ReLU())
        self.parts = nn.ModuleList(_branch(2 * channels, channels, count) for count in self.PARTS)
        self.classes = _branch(2 * channels, channels, classes)
        nn.init.constant_(self.classes[-1].bias, RARE)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """(..., C) -> (..., K) logits and (..., sum of the parts) code."""
        shared = self.body(features)
        return self.classes(shared), torch.cat([part(shared) for part in self.parts], dim=-1)


def _branch(inputs: int, hidden: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, hidden), nn.ReLU(), nn.Linear(hidden, outputs))


def encode(boxes: Boxes, config: ModelConfig) -> NDArray[np.float32]:
    """(N, 12) absolute codes of boxes: x and y in cells from the map's corner; NaN velocities stay NaN."""
    cells = (boxes.centre[:, :2] - config.low_m[:2]) / config.bev_cell_m
    turn, axis = (np.stack([np.sin(angle), np.cos(angle)], axis=1) for angle in (boxes.yaw, 2.0 * boxes.yaw))
    size = np.log(np.maximum(boxes.size, 1e-2))
    return np.concatenate([cells, boxes.centre[:, 2:], size, turn, boxes.velocity, axis], axis=1).astype(np.float32)


def decode(code: NDArray[np.float32], config: ModelConfig) -> dict[str, NDArray[np.float64]]:
    """Centre, size, yaw and velocity of (N, 12) absolute codes, as ``make_boxes`` takes them."""
    exact = code.astype(np.float64)
    centre = np.concatenate([exact[:, :2] * config.bev_cell_m + config.low_m[:2], exact[:, 2:3]], axis=1)
    size = np.exp(np.clip(exact[:, 3:6], -4.0, 4.0))
    yaw = 0.5 * np.arctan2(exact[:, 10], exact[:, 11])
    backwards = np.sin(yaw) * exact[:, 6] + np.cos(yaw) * exact[:, 7] < 0.0
    return {"centre": centre, "size": size, "yaw": yaw + np.pi * backwards, "velocity": exact[:, 8:10]}
