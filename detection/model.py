# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""SparseFusion (Xie et al., ICCV 2023): candidates of two sensors, each found in its own view, made one set of boxes.

Every step is an ordinary PyTorch operation. Either sensor may be missing, for one sample or for all.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from detection.attention import FeedForward, NearAttention, position_encoder
from detection.batch import Batch
from detection.camera_branch import CameraDecoder, MonoCandidates
from detection.config import ModelConfig
from detection.heads import BoxHead, Candidates
from detection.image_backbone import ImageEncoder
from detection.layers import heatmap_head
from detection.lidar_branch import BevBackbone, LidarDecoder
from detection.transfers import GeometricTransfer, SemanticTransfer, depth_raster
from detection.view_transform import ViewTransform, straight
from detection.voxels import PillarEncoder, PillarPoints, sort_into_pillars

_NEAREST_M, _FARTHEST_M = 1.0, 30.0
"""How far the narrowest and the widest head of the fusion look, before they learn it."""


@dataclass(frozen=True, slots=True)
class Outputs:
    """All that the network says of a batch.

    Attributes:
        bev_heat: (B, K, rows, columns) logits of the LiDAR's heatmap.
        bev_code: (B, 12, rows, columns) box code of every cell, from its centre.
        image_heats: (B, V, K, h, w) logits of each level, finest first; empty without pictures.
        lidar: candidates of the LiDAR branch.
        mono: of the camera branch, each in front of its camera; None without pictures.
        camera: the same as boxes in base_link; None without pictures.
        fused: all of them, after they have seen each other.
    """

    bev_heat: Tensor
    bev_code: Tensor
    image_heats: list[Tensor]
    lidar: Candidates
    mono: MonoCandidates | None
    camera: Candidates | None
    fused: Candidates


class SparseFusion(nn.Module):
    """The network of a configuration."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        channels, classes = config.channels, len(config.classes)
        self.pillars, self.bev = PillarEncoder(config), BevBackbone(config)
        self.images, self.depth = ImageEncoder(config), GeometricTransfer(config)
        self.looks = SemanticTransfer(config) if config.semantic_transfer else None
        self.bev_heat, self.image_heat = heatmap_head(channels, classes), heatmap_head(channels, classes)
        self.lidar_decoder, self.camera_decoder = LidarDecoder(config), CameraDecoder(config)
        self.view = ViewTransform(config) if config.view_transform else None
        self.fusion = Fusion(config)
        # Convolutions of a CPU are faster with channels last, and pictures flatten to rows of features without a copy.
        self.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]

    def forward(self, batch: Batch) -> Outputs:
        """What is found in a batch."""
        return self.found(sort_into_pillars(batch, self.config), depth_raster(batch, self.config), batch)

    def found(self, points: PillarPoints, depth: Tensor | None, batch: Batch) -> Outputs:
        """What is found, from points already sorted into pillars and the raster of their depth in the pictures."""
        pillars = self.pillars(points, len(batch))
        bev = self.bev(pillars)
        levels = self.depth(self.images(batch.images), depth) if batch.images.shape[1] else []
        heat = self.bev_heat(bev if self.looks is None else self.looks(bev, pillars, levels, batch))
        lidar, coarse = self.lidar_decoder(bev, heat.sigmoid(), batch.swept)
        heats = [self.image_heat(level).unflatten(0, batch.seen.shape) for level in levels]
        mono = self.camera_decoder(levels, [h.sigmoid() for h in heats], depth, batch) if levels else None
        camera = self._boxes(mono, batch) if mono is not None else None
        return Outputs(heat, coarse, heats, lidar, mono, camera, self.fusion(lidar, camera))

    def _boxes(self, mono: MonoCandidates, batch: Batch) -> Candidates:
        return straight(mono, batch, self.config) if self.view is None else self.view(mono, batch)


class Fusion(nn.Module):
    """One attention over all candidates of both sensors, placed by where they stand; each stays an answer."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        channels = config.channels
        self.grid = config.bev_grid
        self.own = nn.ModuleList(nn.Sequential(nn.Linear(channels, channels), nn.LayerNorm(channels)) for _ in range(2))
        self.place = position_encoder(2, channels)
        widths = (_NEAREST_M / config.bev_cell_m, _FARTHEST_M / config.bev_cell_m)
        self.among = NearAttention(channels, config.heads, config.dropout, widths)
        self.norm = nn.LayerNorm(channels)
        self.feed = FeedForward(channels, config.hidden, config.dropout)
        self.head = BoxHead(channels, len(config.classes))

    def forward(self, lidar: Candidates, camera: Candidates | None) -> Candidates:
        """Candidates of both (B, Q + Q', ...)."""
        parts = [lidar] if camera is None else [lidar, camera]
        query = torch.cat([own(part.features) for own, part in zip(self.own, parts, strict=False)], dim=1)
        where = torch.cat([part.absolute()[..., :2].detach() for part in parts], dim=1)
        height = torch.cat([part.code[..., 2:].detach() for part in parts], dim=1)
        valid = torch.cat([part.valid for part in parts], dim=1)
        here = self.place(where / where.new_tensor(self.grid))
        query = self.norm(query + self.among(query + here, query, where, valid))
        query = self.feed(query)
        logits, code = self.head(query)
        # The sensor's own answer is the start, and the fused head says what to change.
        code = torch.cat([code[..., :2], code[..., 2:] + height], dim=-1)
        score, label = (torch.cat([getattr(p, n) for p in parts], dim=1) for n in ("seed_score", "seed_class"))
        return Candidates(query, where, logits, code, score, label, valid)
