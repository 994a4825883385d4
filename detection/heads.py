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

CODE = 10
"""Entries of a box code: dx, dy (BEV cells from the candidate), z (m), log length, width, height, sin, cos, vx, vy."""


@dataclass(frozen=True, slots=True)
class Candidates:
    """Q candidates of each sample, and what a head says of them.

    Attributes:
        features: (B, Q, C).
        place: (B, Q, 2) x and y on the BEV map, cells; no gradient flows through it.
        logits: (B, Q, K) of the classes.
        code: (B, Q, 10) see ``CODE``.
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
        """(B, Q, 10) the code with x and y as cells on the map instead of from the candidate."""
        return torch.cat([self.code[..., :2] + self.place, self.code[..., 2:]], dim=-1)


class BoxHead(nn.Module):
    """One small network for each part of the code, and one for the classes."""

    PARTS = (2, 1, 3, 2, 2)

    def __init__(self, channels: int, classes: int, parts: tuple[int, ...] = PARTS) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(channels, 2 * channels), nn.ReLU())
        self.parts = nn.ModuleList(_branch(2 * channels, channels, count) for count in parts)
        self.classes = _branch(2 * channels, channels, classes)
        nn.init.constant_(self.classes[-1].bias, RARE)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """(..., C) -> (..., K) logits and (..., sum of the parts) code."""
        shared = self.body(features)
        return self.classes(shared), torch.cat([part(shared) for part in self.parts], dim=-1)


def _branch(inputs: int, hidden: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, hidden), nn.ReLU(), nn.Linear(hidden, outputs))


def encode(boxes: Boxes, config: ModelConfig) -> NDArray[np.float32]:
    """(N, 10) absolute codes of boxes: x and y in cells from the map's corner; NaN velocities stay NaN."""
    cells = (boxes.centre[:, :2] - config.low_m[:2]) / config.bev_cell_m
    turn = np.stack([np.sin(boxes.yaw), np.cos(boxes.yaw)], axis=1)
    size = np.log(np.maximum(boxes.size, 1e-2))
    return np.concatenate([cells, boxes.centre[:, 2:], size, turn, boxes.velocity], axis=1).astype(np.float32)


def decode(code: NDArray[np.float32], config: ModelConfig) -> dict[str, NDArray[np.float64]]:
    """Centre, size, yaw and velocity of (N, 10) absolute codes, as ``make_boxes`` takes them."""
    exact = code.astype(np.float64)
    centre = np.concatenate([exact[:, :2] * config.bev_cell_m + config.low_m[:2], exact[:, 2:3]], axis=1)
    size = np.exp(np.clip(exact[:, 3:6], -4.0, 4.0))
    return {"centre": centre, "size": size, "yaw": np.arctan2(exact[:, 6], exact[:, 7]), "velocity": exact[:, 8:10]}
