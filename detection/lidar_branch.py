# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""The LiDAR branch: pillars to a bird's-eye map, its peaks to candidates (Bai et al. 2022, TransFusion-L)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from detection.attention import Attention, FeedForward, position_encoder
from detection.config import ModelConfig
from detection.dsvt import SetTransformer
from detection.heads import CODE, BoxHead, Candidates
from detection.layers import convolution, stage
from detection.voxels import Pillars


class BevBackbone(nn.Module):
    """Strided stages of residual blocks; the coarser ones are brought back to the map's size and joined."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.transformer = SetTransformer(config) if config.lidar_backbone == "dsvt" else None
        inputs = (config.pillar_channels, *config.lidar_channels[:-1])
        sizes = zip(inputs, config.lidar_channels, config.lidar_strides, config.lidar_blocks, strict=True)
        self.stages = nn.ModuleList(stage(*size) for size in sizes)
        self.first = config.lidar_out - 1
        kept = config.lidar_channels[self.first :]
        self.lateral = nn.ModuleList(nn.Conv2d(channels, config.channels, 1) for channels in kept)
        self.out = convolution(config.channels, config.channels)

    def forward(self, pillars: Pillars) -> Tensor:
        """(B, C, rows, columns) of the BEV map."""
        x = (pillars if self.transformer is None else self.transformer(pillars)).dense()
        joined: Tensor | None = None
        for number, one in enumerate(self.stages):
            x = one(x)
            if number >= self.first:
                side = self.lateral[number - self.first](x)
                joined = side if joined is None else joined + functional.interpolate(side, size=joined.shape[-2:])
        assert joined is not None
        return self.out(joined)


class Peaks(nn.Module):
    """The highest local maxima of a heatmap."""

    small: Tensor

    def __init__(self, config: ModelConfig, count: int) -> None:
        super().__init__()
        self.count = count
        small = [name in config.small_classes for name in config.classes]
        self.register_buffer("small", torch.tensor(small)[:, None, None], persistent=False)

    def forward(self, heat: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Scores, classes and cells (B, Q each) of the peaks of (B, K, H, W) scores in [0, 1]."""
        highest = functional.max_pool2d(heat, 3, 1, 1)
        kept = torch.where(self.small | (heat == highest), heat, heat.new_zeros(()))
        score, index = kept.flatten(1).topk(min(self.count, kept[0].numel()))
        cells = heat.shape[-2] * heat.shape[-1]
        return score, index // cells, index % cells


class LidarDecoder(nn.Module):
    """Peaks of the heatmap look at each other and at the whole map, and become boxes.

    The paper's candidates get their boxes from attention alone, which takes epochs to learn; here a box is predicted at
    every cell too (as in CenterPoint, Yin et al. 2021), and a candidate says what to change of its own cell's.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        channels, classes = config.channels, len(config.classes)
        self.peaks = Peaks(config, config.lidar_queries)
        self.named = nn.Embedding(classes, channels)
        self.query_place, self.map_place = position_encoder(2, channels), position_encoder(2, channels)
        self.among = Attention(channels, config.heads, config.dropout)
        self.over = Attention(channels, config.heads, config.dropout)
        self.norms = nn.ModuleList(nn.LayerNorm(channels) for _ in range(2))
        self.feed = FeedForward(channels, config.hidden, config.dropout)
        self.coarse = nn.Sequential(convolution(channels, channels), nn.Conv2d(channels, CODE, 1))
        self.head = BoxHead(channels, classes)

    def forward(self, bev: Tensor, heat: Tensor, swept: Tensor) -> tuple[Candidates, Tensor]:
        """Candidates of maps (B, C, H, W) by heatmaps (B, K, H, W) of scores; ``swept`` (B,) as in the batch.

        With them comes a box code of every cell (B, 12, H, W), from its centre, which the candidates begin from.
        """
        height, width = bev.shape[-2:]
        coarse = self.coarse(bev)
        score, label, cell = self.peaks(heat.detach())
        place = torch.stack([cell % width + 0.5, cell // width + 0.5], dim=-1)
        keys = bev.flatten(2).transpose(1, 2)
        query = keys.gather(1, cell[..., None].expand(-1, -1, keys.shape[-1])) + self.named(label)
        size = place.new_tensor([width, height])
        here, there = self.query_place(place / size), self.map_place(_grid(height, width, bev.device) / size)
        placed = query + here
        query = self.norms[0](query + self.among(placed, placed, query))
        query = self.norms[1](query + self.over(query + here, keys + there, keys))
        query = self.feed(query)
        logits, change = self.head(query)
        begun = coarse.flatten(2).transpose(1, 2).gather(1, cell[..., None].expand(-1, -1, CODE))
        found = Candidates(query, place, logits, begun + change, score, label, swept[:, None].expand_as(score))
        return found, coarse


def _grid(height: int, width: int, device: torch.device) -> Tensor:
    """(H * W, 2) x and y of the cells' centres, row by row."""
    y, x = torch.meshgrid(torch.arange(height, device=device), torch.arange(width, device=device), indexing="ij")
    return torch.stack([x.flatten(), y.flatten()], dim=-1) + 0.5
