# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Set attention over pillars (Wang et al. 2023, DSVT), as sorting, gathering and attention: no custom operator.

Pillars of a window are cut into sets of equal size, once sorted by rows and once by columns, and look at each other
within a set; windows shift by half their side from block to block.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from detection.attention import Attention, FeedForward, position_encoder
from detection.config import ModelConfig
from detection.voxels import Pillars


@dataclass(frozen=True, slots=True)
class Sets:
    """Pillars in sets.

    Attributes:
        index: (S, tau) int64 number of the pillar at each place of each set; every pillar is in at least one.
        repeated: (S, tau) bool, a place that repeats the one before it in its set.
        writes: (S, tau) bool, the first place of each pillar, in whatever set.
        inner: (M, 2) place of every pillar from its window's centre, windows of side 2.
    """

    index: Tensor
    repeated: Tensor
    writes: Tensor
    inner: Tensor


def set_partition(cell: Tensor, window: int, size: int, shift: int, by_rows: bool) -> Sets:
    """Sets of M pillars at (M, 3) cells (sample, row, column); equation 3 of the paper.

    A window with N pillars has S = ceil(N / tau) sets, and set j takes the sorted pillars
    floor((j tau + k) N / (S tau)) for k = 0 .. tau - 1.
    """
    row, column = cell[:, 1] + shift, cell[:, 2] + shift
    across = int(column.max()) // window + 1 if len(cell) else 1
    down = int(row.max()) // window + 1 if len(cell) else 1
    which = (cell[:, 0] * down + row // window) * across + column // window
    y, x = row % window, column % window
    inner = y * window + x if by_rows else x * window + y
    order = torch.argsort(which * window * window + inner)
    count = torch.unique_consecutive(which[order], return_counts=True)[1]
    sets = (count + size - 1) // size
    start, first = count.cumsum(0) - count, sets.cumsum(0) - sets
    home = torch.repeat_interleave(torch.arange(len(count), device=cell.device), sets)
    j = torch.arange(len(home), device=cell.device) - first[home]
    k = torch.arange(size, device=cell.device)
    place = start[home][:, None] + (j[:, None] * size + k) * count[home][:, None] // (sets[home] * size)[:, None]
    repeated = torch.zeros_like(place, dtype=torch.bool)
    repeated[:, 1:] = place[:, 1:] == place[:, :-1]
    flat = place.flatten()
    writes = torch.ones_like(flat, dtype=torch.bool)
    writes[1:] = flat[1:] != flat[:-1]
    centred = (torch.stack([x, y], dim=1) + 0.5) * (2.0 / window) - 1.0
    return Sets(order[place], repeated, writes.view_as(place), centred)


class SetAttention(nn.Module):
    """One layer: attention within the sets, then a feed-forward network."""

    def __init__(self, channels: int, heads: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.place = position_encoder(2, channels)
        self.attention = Attention(channels, heads, dropout)
        self.norm = nn.LayerNorm(channels)
        self.feed = FeedForward(channels, hidden, dropout)

    def forward(self, features: Tensor, sets: Sets) -> Tensor:
        """(M, C) -> (M, C)."""
        placed = (features + self.place(sets.inner))[sets.index]
        mixed = self.attention(placed, placed, features[sets.index], ~sets.repeated[:, None])
        back = torch.zeros_like(features).index_put((sets.index[sets.writes],), mixed[sets.writes])
        return self.feed(self.norm(features + back))


class SetTransformer(nn.Module):
    """Blocks of two layers, by rows and by columns, with a way past each block."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        channels = config.pillar_channels
        heads = max(1, min(config.heads, channels // 8))
        sizes = (channels, heads, 2 * channels, config.dropout)
        self.layers = nn.ModuleList(SetAttention(*sizes) for _ in range(2 * config.dsvt_blocks))
        self.norms = nn.ModuleList(nn.LayerNorm(channels) for _ in range(config.dsvt_blocks))

    def forward(self, pillars: Pillars) -> Pillars:
        """The same pillars with other features."""
        x, window = pillars.features, self.config.dsvt_window
        for block, norm in enumerate(self.norms):
            shift = window // 2 * (block % 2)
            before = x
            for turn in (0, 1):
                sets = set_partition(pillars.cell, window, self.config.dsvt_set, shift, by_rows=turn == 0)
                x = self.layers[2 * block + turn](x, sets)
            x = norm(x + before)
        return replace(pillars, features=x)
