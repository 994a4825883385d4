# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Attention: among candidates, over a map, and at a few learnt places of several pictures (Deformable DETR)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

_HIDDEN = -1.0e4
"""Added to what may not be looked at; finite, so that a row that may look at nothing stays finite too."""


class _Heads(nn.Module):
    """What attentions of several heads share: projections into them and out of them."""

    def __init__(self, channels: int, heads: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.query, self.key = nn.Linear(channels, channels), nn.Linear(channels, channels)
        self.value, self.out = nn.Linear(channels, channels), nn.Linear(channels, channels)

    def split(self, query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Each (B, N, C), projected, as (B, heads, N, C / heads)."""
        q, k, v = self.query(query), self.key(key), self.value(value)
        return _split(q, self.heads), _split(k, self.heads), _split(v, self.heads)


class Attention(_Heads):
    """Multi-head attention with an additive mask."""

    def forward(self, query: Tensor, key: Tensor, value: Tensor, shown: Tensor | None = None) -> Tensor:
        """(B, Q, C) of queries (B, Q, C), keys and values (B, N, C); ``shown`` (B, Q or 1, N) bool."""
        q, k, v = self.split(query, key, value)
        mask = None if shown is None else torch.where(shown, 0.0, _HIDDEN)[:, None].to(q.dtype)
        dropout = self.dropout if self.training else 0.0
        mixed = functional.scaled_dot_product_attention(q, k, v, attn_mask=mask, dropout_p=dropout)
        return self.out(_joined(mixed))


class NearAttention(_Heads):
    """Attention among things that stand somewhere: the far count less, and where the seen ones stand is told.

    Each head adds -d^2 / (2 w^2) to its logits, w its own; how far off what it looks at stands on average, in units of
    w, joins the values. Two answers that mean one thing are told by where they stand; from encoded positions alone, it
    takes epochs to learn to look no further than a car's length, and by how much two sensors differ.
    """

    def __init__(self, channels: int, heads: int, dropout: float, widths: tuple[float, float]) -> None:
        super().__init__(channels, heads, dropout)
        self.log_width = nn.Parameter(torch.linspace(math.log(widths[0]), math.log(widths[1]), heads))
        self.away = nn.Linear(2 * heads, channels)

    def forward(self, query: Tensor, value: Tensor, place: Tensor, shown: Tensor) -> Tensor:
        """(B, Q, C) of queries and values (B, Q, C) at places (B, Q, 2); ``shown`` (B, Q) bool."""
        q, k, v = self.split(query, query, value)
        width = self.log_width.exp()[:, None, None]
        apart = place[:, None] - place[:, :, None]
        near = -0.5 * apart.square().sum(dim=-1)[:, None] / width**2
        mask = near + torch.where(shown, 0.0, _HIDDEN)[:, None, None]
        weight = (q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1]) + mask).softmax(dim=-1)
        # Not as a product of matrices: in half precision, places would be known to half a cell.
        offset = (weight[..., None] * apart[:, None]).sum(dim=-2) / width
        mixed = functional.dropout(weight, self.dropout, self.training) @ v
        return self.out(_joined(mixed)) + self.away(_joined(offset))


def _split(x: Tensor, heads: int) -> Tensor:
    """(B, N, C) -> (B, heads, N, C / heads)."""
    return x.unflatten(-1, (heads, -1)).transpose(1, 2)


def _joined(x: Tensor) -> Tensor:
    """(B, heads, N, d) -> (B, N, heads * d)."""
    return x.transpose(1, 2).flatten(2)


class FeedForward(nn.Module):
    """Two linear layers, added to their input and normalised."""

    def __init__(self, channels: int, hidden: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Linear(channels, hidden),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, channels),
            nn.Dropout(dropout),
        )
        self.norm = nn.LayerNorm(channels)

    def forward(self, x: Tensor) -> Tensor:
        """(..., C) -> (..., C)."""
        return self.norm(x + self.body(x))


def position_encoder(inputs: int, channels: int) -> nn.Sequential:
    """Learnt encoding of positions (..., inputs) as (..., channels)."""
    return nn.Sequential(nn.Linear(inputs, channels), nn.ReLU(), nn.Linear(channels, channels))


@dataclass(frozen=True, slots=True)
class Pyramid:
    """Features of all pictures of a batch, flattened over pictures, levels and pixels, for gathering.

    Attributes:
        values: (B, N, C), N = V * sum of the levels' pixels; level by level, picture by picture, row by row.
        shapes: (height, width) of each level.
        views: V.
    """

    values: Tensor
    shapes: tuple[tuple[int, int], ...]
    views: int

    def sample(self, values: Tensor, level: int, batch: Tensor, view: Tensor, place: Tensor) -> Tensor:
        """Bilinear samples of one level; 0 beyond the picture's border.

        Args:
            values: (B, N, heads, d), what is sampled, laid out as ``self.values``.
            level: of the pyramid.
            batch, view: (M, ...) sample and picture of each place.
            place: (M, ..., heads, 2) normalised (u, v) in [0, 1] from the picture's border.

        Returns:
            (M, ..., heads, d).
        """
        height, width = self.shapes[level]
        heads = values.shape[2]
        start = self.views * sum(h * w for h, w in self.shapes[:level])
        x, y = place[..., 0] * width - 0.5, place[..., 1] * height - 0.5
        left, top = x.floor(), y.floor()
        base = (batch * values.shape[1] + start + view * (height * width))[..., None]
        flat = values.reshape(-1, values.shape[-1])
        head = torch.arange(heads, device=place.device)
        total = place.new_zeros(())
        for right, down in ((0, 0), (1, 0), (0, 1), (1, 1)):
            u, v = left + right, top + down
            weight = (1.0 - (x - u).abs()) * (1.0 - (y - v).abs())
            inside = (u >= 0) & (u < width) & (v >= 0) & (v < height)
            index = base + (v.clamp(0, height - 1) * width + u.clamp(0, width - 1)).long()
            total = total + flat[index * heads + head] * (weight * inside)[..., None]
        return total


def make_pyramid(levels: list[Tensor]) -> Pyramid:
    """Levels (B, V, C, h, w), finest first, laid out for gathering."""
    values = torch.cat([level.flatten(3).transpose(2, 3).flatten(1, 2) for level in levels], dim=1)
    shapes = tuple((level.shape[-2], level.shape[-1]) for level in levels)
    return Pyramid(values, shapes, levels[0].shape[1])


class DeformableAttention(nn.Module):
    """Each query looks at a few learnt places round its own in its own picture (Zhu et al. 2021, equation 3)."""

    def __init__(self, channels: int, heads: int, levels: int, points: int) -> None:
        super().__init__()
        self.heads, self.levels, self.points = heads, levels, points
        self.offset = nn.Linear(channels, heads * levels * points * 2)
        self.weight = nn.Linear(channels, heads * levels * points)
        self.value, self.out = nn.Linear(channels, channels), nn.Linear(channels, channels)
        self._start()

    def _start(self) -> None:
        """Offsets begin as rays round the query, one direction a head, further by a pixel with each point."""
        turn = torch.arange(self.heads) * (2.0 * torch.pi / self.heads)
        ray = torch.stack([turn.cos(), turn.sin()], dim=-1)
        ray = ray / ray.abs().amax(dim=-1, keepdim=True)
        steps = torch.arange(1, self.points + 1)[:, None]
        grid = (ray[:, None, None] * steps).expand(self.heads, self.levels, self.points, 2)
        nn.init.zeros_(self.offset.weight)
        nn.init.zeros_(self.weight.weight)
        nn.init.zeros_(self.weight.bias)
        with torch.no_grad():
            self.offset.bias.copy_(grid.reshape(-1))

    def forward(self, query: Tensor, place: Tensor, view: Tensor, pyramid: Pyramid) -> Tensor:
        """(B, Q, C) of queries (B, Q, C) at normalised (B, Q, 2) places of pictures number (B, Q)."""
        shape = (self.heads, self.levels, self.points)
        offset = self.offset(query).unflatten(-1, (*shape, 2))
        weight = self.weight(query).unflatten(-1, (self.heads, -1)).softmax(dim=-1).unflatten(-1, shape[1:])
        values = self.value(pyramid.values).unflatten(-1, (self.heads, -1))
        batch = torch.arange(len(query), device=query.device)[:, None].expand_as(view)
        total = torch.zeros((), device=query.device)
        for level, (height, width) in enumerate(pyramid.shapes):
            size = torch.tensor([width, height], device=query.device, dtype=query.dtype)
            for point in range(self.points):
                where = place[:, :, None] + offset[:, :, :, level, point] / size
                seen = pyramid.sample(values, level, batch, view, where)
                total = total + seen * weight[:, :, :, level, point, None]
        return self.out(cast(Tensor, total).flatten(2))
