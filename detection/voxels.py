# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Points to pillars by scatter: no cap on points or pillars, no hash table, no custom operator."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from detection.batch import Batch
from detection.config import ModelConfig

_POINT_INPUTS = 8


@dataclass(frozen=True, slots=True)
class Pillars:
    """The occupied pillars of a batch.

    Attributes:
        cell: (M, 3) int64: sample, row (along y) and column (along x).
        features: (M, C).
        heights: (M, 3) least, mean and greatest height of its points, metres.
        samples: B.
        grid: rows and columns of the map.
    """

    cell: Tensor
    features: Tensor
    heights: Tensor
    samples: int
    grid: tuple[int, int]

    def dense(self) -> Tensor:
        """(B, C, rows, columns), 0 where no pillar is."""
        rows, columns = self.grid
        flat = (self.cell[:, 0] * rows + self.cell[:, 1]) * columns + self.cell[:, 2]
        out = self.features.new_zeros(self.samples * rows * columns, self.features.shape[1])
        out = out.index_put((flat,), self.features)
        return out.view(self.samples, rows, columns, -1).permute(0, 3, 1, 2).contiguous()


@dataclass(frozen=True, slots=True)
class PillarPoints:
    """Points sorted into pillars, before any weight has touched them: the model's inputs after voxelisation.

    Attributes:
        inputs: (P, 8): offset from the pillar's centre in x and y, height, intensity, age, offset from the mean.
        pillar: (P,) int64 number of the pillar of each point.
        cell, heights: of the pillars, as in ``Pillars``.
    """

    inputs: Tensor
    pillar: Tensor
    cell: Tensor
    heights: Tensor


def sort_into_pillars(batch: Batch, config: ModelConfig) -> PillarPoints:
    """Those points that lie between ``low_m`` and ``high_m``, by pillar."""
    low, high = (batch.points.new_tensor(c) for c in (config.low_m, config.high_m))
    kept = ((batch.points[:, :3] >= low) & (batch.points[:, :3] < high)).all(dim=1)
    points, owner = batch.points[kept], batch.owner[kept]
    columns, rows = config.grid
    place = ((points[:, :2] - low[:2]) / config.cell_m).floor().long()
    place = torch.minimum(place, place.new_tensor([columns - 1, rows - 1]))
    key = (owner * rows + place[:, 1]) * columns + place[:, 0]
    found, pillar = torch.unique(key, return_inverse=True)
    cell = torch.stack([found // (rows * columns), found // columns % rows, found % columns], dim=1)
    mean, heights = _summary(points, pillar, len(found))
    centre = low[:2] + (cell[:, [2, 1]] + 0.5) * config.cell_m
    inputs = torch.cat([points[:, :2] - centre[pillar], points[:, 2:], points[:, :3] - mean[pillar]], dim=1)
    return PillarPoints(inputs, pillar, cell, heights)


def _summary(points: Tensor, pillar: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """(M, 3) mean of the points of each pillar, and (M, 3) their least, mean and greatest height."""
    share = torch.zeros(count, device=points.device).index_add(0, pillar, torch.ones_like(points[:, 0])).clamp(min=1.0)
    mean = points.new_zeros(count, 3).index_add(0, pillar, points[:, :3]) / share[:, None]
    z = points[:, 2]
    least = z.new_zeros(count).scatter_reduce(0, pillar, z, "amin", include_self=False)
    most = z.new_zeros(count).scatter_reduce(0, pillar, z, "amax", include_self=False)
    return mean, torch.stack([least, mean[:, 2], most], dim=1)


class PillarEncoder(nn.Module):
    """Features of pillars: a linear layer on each point, the maximum over a pillar (Lang et al. 2019, PointPillars)."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.point = nn.Sequential(nn.Linear(_POINT_INPUTS, config.pillar_channels), nn.ReLU())
        self.pillar = nn.Sequential(
            nn.Linear(config.pillar_channels + 3, config.pillar_channels),
            nn.LayerNorm(config.pillar_channels),
            nn.ReLU(),
        )

    def forward(self, points: PillarPoints, samples: int) -> Pillars:
        """The pillars of ``samples`` samples."""
        each = self.point(points.inputs)
        index = points.pillar[:, None].expand_as(each)
        highest = each.new_zeros(points.cell.shape[0], each.shape[1]).scatter_reduce(0, index, each, "amax")
        features = self.pillar(torch.cat([highest, points.heights], dim=1))
        columns, rows = self.config.grid
        return Pillars(points.cell, features, points.heights, samples, (rows, columns))
