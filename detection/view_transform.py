# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Camera candidates leave their pictures: into the vehicle's frame, beside those of all other pictures
(SparseFusion section 3.2)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from detection.attention import Attention, FeedForward, position_encoder
from detection.batch import Batch
from detection.camera_branch import MonoCandidates, camera_of, lifted
from detection.config import ModelConfig
from detection.heads import BoxHead, Candidates

_RIG = 16
_HEIGHT_M = 5.0
_BEYOND = 0.25


class ViewTransform(nn.Module):
    """Features are gated by the camera they came from, look at each other, and are decoded as boxes again."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        channels = config.channels
        self.gate = nn.Sequential(nn.Linear(_RIG, channels), nn.ReLU(), nn.Linear(channels, channels), nn.Sigmoid())
        self.project = nn.Sequential(nn.Linear(channels, channels), nn.LayerNorm(channels))
        self.place = position_encoder(11, channels)
        self.among = Attention(channels, config.heads, config.dropout)
        self.norm = nn.LayerNorm(channels)
        self.feed = FeedForward(channels, config.hidden, config.dropout)
        self.head = BoxHead(channels, len(config.classes))

    def forward(self, mono: MonoCandidates, batch: Batch) -> Candidates:
        """The same candidates as boxes in base_link; where they stood before is theirs to correct, not to move."""
        box = lifted(mono, batch, (self.config.image_height, self.config.image_width)).detach()
        place = _on_map(box, self.config)
        query = self.project(mono.features * self.gate(self._rig(mono, batch)))
        here = self.place(self._where(place, box, mono))
        query = self.norm(query + self.among(query + here, query + here, query, mono.valid[:, None]))
        query = self.feed(query)
        logits, code = self.head(query)
        # What the picture already said of the box's height and size is the start; the head says what to change.
        start = torch.cat([torch.zeros_like(code[..., :2]), box[..., 2:6], torch.zeros_like(code[..., 6:])], dim=-1)
        return Candidates(query, place, logits, code + start, mono.seed_score, mono.seed_class, mono.valid)

    def _rig(self, mono: MonoCandidates, batch: Batch) -> Tensor:
        """(B, Q, 16) rotation, translation, focal lengths and principal point of each candidate's camera."""
        T, K = camera_of(mono.view, batch)
        size = T.new_tensor([self.config.image_width, self.config.image_height])
        focal = torch.stack([K[..., 0, 0], K[..., 1, 1]], dim=-1) / size
        return torch.cat([T[..., :3, :3].flatten(-2), T[..., :3, 3], focal, K[..., :2, 2] / size], dim=-1)

    def _where(self, place: Tensor, box: Tensor, mono: MonoCandidates) -> Tensor:
        """(B, Q, 11) place on the map, height, heading, velocity, axis and place in the picture, each about 1."""
        grid = place.new_tensor(self.config.bev_grid)
        picture = mono.code[..., :2].detach()
        moves, axis = 0.1 * box[..., 8:10], box[..., 10:]
        return torch.cat([place / grid, box[..., 2:3] / _HEIGHT_M, box[..., 6:8], moves, axis, picture], dim=-1)


def straight(mono: MonoCandidates, batch: Batch, config: ModelConfig) -> Candidates:
    """Camera candidates as they are, only in the other frame: what is left when the view transform is off."""
    box = lifted(mono, batch, (config.image_height, config.image_width))
    place = _on_map(box.detach(), config)
    low = box.new_tensor(config.low_m[:2])
    code = torch.cat([(box[..., :2] - low) / config.bev_cell_m - place, box[..., 2:]], dim=-1)
    return Candidates(mono.features, place, mono.logits, code, mono.seed_score, mono.seed_class, mono.valid)


def _on_map(box: Tensor, config: ModelConfig) -> Tensor:
    """(B, Q, 2) cells of boxes; those far beyond the map stand at its border, so that no number grows without end."""
    grid = box.new_tensor(config.bev_grid)
    cells = (box[..., :2] - box.new_tensor(config.low_m[:2])) / config.bev_cell_m
    return torch.minimum(torch.maximum(cells, -_BEYOND * grid), (1.0 + _BEYOND) * grid)
