# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""The camera branch: peaks in pictures become boxes in front of their camera (SparseFusion section 3.2)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from detection.attention import Attention, DeformableAttention, FeedForward, make_pyramid, position_encoder
from detection.batch import Batch
from detection.config import ModelConfig
from detection.heads import BoxHead
from detection.lidar_branch import Peaks
from detection.transfers import USUAL_LOG_DEPTH, depth_at

MONO = 12
"""Entries of a monocular code: u, v (normalised), log depth, log length, width, height, sin and cos of the yaw in the
camera's frame, velocity along its x and z, sin and cos of twice the yaw."""
_LOG_DEPTH_RANGE = (-1.0, 5.0)


@dataclass(frozen=True, slots=True)
class MonoCandidates:
    """Q candidates of each sample, each in one picture.

    Attributes:
        features: (B, Q, C).
        view: (B, Q) int64 picture.
        seed: (B, Q, 2) normalised (u, v) of the heatmap's peak.
        logits: (B, Q, K).
        code: (B, Q, 12) see ``MONO``, absolute.
        seed_score, seed_class: (B, Q) of the peak.
        valid: (B, Q) bool: false where the picture is missing.
    """

    features: Tensor
    view: Tensor
    seed: Tensor
    logits: Tensor
    code: Tensor
    seed_score: Tensor
    seed_class: Tensor
    valid: Tensor


class CameraDecoder(nn.Module):
    """Peaks of the pictures' heatmaps look at each other and round themselves, each in its own picture."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        channels, classes = config.channels, len(config.classes)
        self.count = config.camera_queries
        self.peaks = Peaks(config, config.camera_queries)
        self.named, self.level = nn.Embedding(classes, channels), nn.Embedding(config.image_levels, channels)
        self.place = position_encoder(2, channels)
        self.range = nn.Linear(2, channels)
        self.among = Attention(channels, config.heads, config.dropout)
        self.round = DeformableAttention(channels, config.heads, config.image_levels, config.points_per_level)
        self.norms = nn.ModuleList(nn.LayerNorm(channels) for _ in range(2))
        self.feed = FeedForward(channels, config.hidden, config.dropout)
        self.head = BoxHead(channels, classes)

    def forward(self, levels: list[Tensor], heats: list[Tensor], raster: Tensor | None, batch: Batch) -> MonoCandidates:
        """Candidates of levels (B * V, C, h, w) by their heatmaps (B, V, K, h, w) of scores, finest first.

        Args:
            raster: see ``depth_raster``; what it has at a peak is the start, and the head says what to change of it.
        """
        shape = batch.seen.shape
        placed = [level.unflatten(0, shape) + self.level.weight[n, :, None, None] for n, level in enumerate(levels)]
        pyramid = make_pyramid(placed)
        score, label, cell, view, seed = self._peaks(heats, batch)
        index = cell[..., None].expand(-1, -1, pyramid.values.shape[-1])
        begun = torch.zeros_like(seed) if raster is None else depth_at(raster, view, seed)
        query = pyramid.values.gather(1, index) + self.named(label) + self.range(begun)
        here = self.place(seed)
        query = self.norms[0](query + self.among(query + here, query + here, query, view[:, :, None] == view[:, None]))
        query = self.norms[1](query + self.round(query + here, seed, view, pyramid))
        query = self.feed(query)
        logits, code = self.head(query)
        valid = batch.seen.gather(1, view)
        return MonoCandidates(query, view, seed, logits, _absolute(code, seed, begun), score, label, valid)

    def _peaks(self, heats: list[Tensor], batch: Batch) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """The highest over all levels and pictures: score, class, row of the pyramid's values, picture, (u, v)."""
        found: list[tuple[Tensor, ...]] = []
        views, start = batch.seen.shape[1], 0
        for heat in heats:
            height, width = heat.shape[-2:]
            score, label, cell = self.peaks((heat.detach() * batch.seen[:, :, None, None, None]).flatten(0, 1))
            score, label, cell = (x.unflatten(0, batch.seen.shape) for x in (score, label, cell))
            view = torch.arange(views, device=cell.device)[:, None].expand_as(cell)
            u, v = (cell % width + 0.5) / width, (cell // width + 0.5) / height
            row = start + view * (height * width) + cell
            found.append(tuple(x.flatten(1, 2) for x in (score, label, row, view, u, v)))
            start += views * height * width
        score, *rest = (torch.cat(parts, dim=1) for parts in zip(*found, strict=True))
        score, best = score.topk(min(self.count, score.shape[1]))
        label, row, view, u, v = (x.gather(1, best) for x in rest)
        return score, label, row, view, torch.stack([u, v], dim=-1)


def _absolute(code: Tensor, seed: Tensor, begun: Tensor) -> Tensor:
    """The picture position as a residual before the sigmoid, depth round that of the LiDAR there, else a usual one."""
    place = torch.logit(seed, eps=1e-3) + code[..., :2]
    depth = (code[..., 2:3] + USUAL_LOG_DEPTH + begun[..., :1]).clamp(*_LOG_DEPTH_RANGE)
    return torch.cat([place.sigmoid(), depth, code[..., 3:]], dim=-1)


def lifted(mono: MonoCandidates, batch: Batch, size: tuple[int, int]) -> Tensor:
    """(B, Q, 12) of monocular codes in base_link: x, y, z in metres, log sizes, sin and cos of the yaw, velocity,
    sin and cos of twice the yaw.

    X_camera = d K^-1 (u, v, 1); the heading and the velocity are vectors of the camera's x-z plane.
    """
    T, K = camera_of(mono.view, batch)
    pixel = mono.code[..., :2] * mono.code.new_tensor([size[1], size[0]]) - 0.5
    ray = (pixel - K[..., :2, 2]) / torch.stack([K[..., 0, 0], K[..., 1, 1]], dim=-1)
    seen = torch.cat([ray, torch.ones_like(ray[..., :1])], dim=-1) * mono.code[..., 2:3].exp()
    turn = T[..., :3, :3].transpose(-1, -2)
    centre = (turn @ (seen - T[..., :3, 3])[..., None])[..., 0]
    sin, cos, right, ahead, sin_2, cos_2 = mono.code[..., 6:].unbind(-1)
    zero, half = torch.zeros_like(sin), 0.5 * torch.atan2(sin_2, cos_2)
    flat = ((cos, -sin), (right, ahead), (half.cos(), -half.sin()))
    heading, moves, axis = ((turn @ torch.stack([x, zero, z], dim=-1)[..., None])[..., :2, 0] for x, z in flat)
    x, y = axis.unbind(-1)
    twice = torch.stack([2.0 * x * y, x * x - y * y], dim=-1)
    return torch.cat([centre, mono.code[..., 3:6], heading.flip(-1), moves, twice], dim=-1)


def camera_of(view: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
    """(B, Q, 4, 4) T_camera_base and (B, Q, 3, 3) K of the pictures number (B, Q)."""
    rows = torch.arange(view.shape[0], device=view.device)[:, None]
    return batch.T_camera_base[rows, view], batch.K[rows, view]
