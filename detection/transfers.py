# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""What the sensors lend each other before any candidate is picked: depth to pictures, looks to the BEV heatmap."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from detection.attention import FeedForward, Pyramid, make_pyramid
from detection.batch import Batch
from detection.config import ModelConfig
from detection.image_backbone import NEAREST_M, in_pictures
from detection.layers import Residual, convolution
from detection.voxels import Pillars

USUAL_LOG_DEPTH = 2.5
"""Of things in pictures: 12 m."""
_DEPTH_CHANNELS = 16
_CURRENT_S = 1e-3
_HEIGHTS = 4
_NOWHERE = -1.0e3


class GeometricTransfer(nn.Module):
    """Sparse depth enters each level of the pyramid (SparseFusion section 3.4); without it, a convolution alone."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.on = config.geometric_transfer
        extra = _DEPTH_CHANNELS if self.on else 0
        self.stem = convolution(2, _DEPTH_CHANNELS) if self.on else None
        strides = (1, *(2 for _ in range(config.image_levels - 1)))
        self.down = nn.ModuleList(Residual(_DEPTH_CHANNELS, _DEPTH_CHANNELS, stride) for stride in strides if self.on)
        self.join = nn.ModuleList(convolution(config.channels + extra, config.channels) for _ in strides)

    def forward(self, levels: list[Tensor], raster: Tensor | None) -> list[Tensor]:
        """Levels (B * V, C, h, w), finest first, with ``depth_raster``; as many of the same shapes."""
        if self.stem is None or raster is None:
            return [join(level) for join, level in zip(self.join, levels, strict=True)]
        depth = self.stem(raster)
        out = []
        for down, join, level in zip(self.down, self.join, levels, strict=True):
            depth = down(depth)
            out.append(join(torch.cat([level, depth], dim=1)))
        return out


def depth_raster(batch: Batch, config: ModelConfig) -> Tensor | None:
    """``sparse_depth`` in cells of the finest level that is used; None without geometric transfer or pictures."""
    if not config.geometric_transfer or not batch.images.shape[1]:
        return None
    return sparse_depth(batch, (config.image_height, config.image_width), 4 * 2**config.image_first)


def sparse_depth(batch: Batch, size: tuple[int, int], stride: int) -> Tensor:
    """(B * V, 2, H / stride, W / stride): logarithm of the nearest return's depth in each cell, from the usual one on,
    and whether there is one."""
    height, width = size[0] // stride, size[1] // stride
    samples, views = batch.seen.shape
    points = batch.points[batch.points[:, 4] < _CURRENT_S]
    owner = batch.owner[batch.points[:, 4] < _CURRENT_S]
    T, K = batch.T_camera_base[owner], batch.K[owner]
    place, depth = in_pictures(points[:, None, :3], T, K, *size)
    inside = (depth > NEAREST_M) & ((place >= 0.0) & (place < 1.0)).all(dim=-1) & batch.seen[owner]
    row, column = (place[..., 1] * height).long(), (place[..., 0] * width).long()
    view = torch.arange(views, device=owner.device)
    cell = ((owner[:, None] * views + view) * height + row) * width + column
    far = 1.0e3
    near = points.new_full((samples * views * height * width,), far)
    near = near.scatter_reduce(0, cell[inside], depth[inside], "amin").view(samples * views, 1, height, width)
    hit = near < far
    return torch.cat([torch.where(hit, near.log() - USUAL_LOG_DEPTH, 0.0), hit.float()], dim=1)


def depth_at(raster: Tensor, view: Tensor, place: Tensor) -> Tensor:
    """What ``sparse_depth`` has at places in pictures: in their cell, else the nearest of the cells round it.

    Args:
        raster: (B * V, 2, h, w). view: (B, Q) int64. place: (B, Q, 2) normalised (u, v).

    Returns:
        (B, Q, 2) logarithm of the depth, from the usual one on, and whether there is one.
    """
    depth, hit = raster[:, :1], raster[:, 1:]
    around = -functional.max_pool2d(torch.where(hit > 0.0, -depth, _NOWHERE), 3, 1, 1)
    known = functional.max_pool2d(hit, 3, 1, 1)
    filled = torch.cat([torch.where(hit > 0.0, depth, torch.where(known > 0.0, around, 0.0)), known], dim=1)
    height, width = raster.shape[-2:]
    column = (place[..., 0] * width).long().clamp(0, width - 1)
    row = (place[..., 1] * height).long().clamp(0, height - 1)
    flat = filled.unflatten(0, (view.shape[0], -1)).permute(0, 1, 3, 4, 2).flatten(1, 3)
    return flat.gather(1, ((view * height + row) * width + column)[..., None].expand(-1, -1, 2))


class SemanticTransfer(nn.Module):
    """Occupied BEV cells gather what pictures show of them (SparseFusion section 3.4); for the LiDAR's heatmap alone.

    The paper's layer looks at learnt places round a cell's centre and lets all cells of a picture look at each other.
    Here a cell is looked up at even heights from the lowest to the highest of its returns: a crown, a sign and a hub
    cap are where the LiDAR says they are.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        channels = config.channels
        self.stride = config.bev_stride
        self.size = (config.image_height, config.image_width)
        self.cell_m, self.low = config.cell_m, config.low_m
        self.own = nn.Sequential(nn.Linear(channels, channels), nn.LayerNorm(channels))
        self.shown = nn.Sequential(nn.Linear(_HEIGHTS * channels, channels), nn.LayerNorm(channels))
        self.feed = FeedForward(channels, config.hidden, config.dropout)
        self.out = convolution(channels + 1, channels)

    def forward(self, bev: Tensor, pillars: Pillars, levels: list[Tensor], batch: Batch) -> Tensor:
        """(B, C, rows, columns) features for the heatmap, of the map (same shape) and the pictures' levels.

        A cell that no picture shows goes the same way with a flag of 0, also where there are no pictures at all: what
        is found in a sample must not depend on what else is in its batch.
        """
        flat = bev.permute(0, 2, 3, 1).flatten(0, 2)
        flag = flat.new_zeros(flat.shape[0], 1)
        if levels and pillars.cell.shape[0]:
            key, joined = self._joined(flat, bev.shape[-2:], pillars, levels, batch)
            flat = flat.index_put((key,), joined)
            flag = flag.index_put((key,), flat.new_ones(()))
        joined = torch.cat([flat, flag], dim=1).view(bev.shape[0], *bev.shape[-2:], -1)
        return self.out(joined.permute(0, 3, 1, 2))

    def _joined(
        self, flat: Tensor, grid: torch.Size, pillars: Pillars, levels: list[Tensor], batch: Batch
    ) -> tuple[Tensor, Tensor]:
        """Cells (N,) that pictures show, rows of ``flat`` (B * rows * columns, C), and (N, C) what becomes of them."""
        pyramid = make_pyramid([level.unflatten(0, batch.seen.shape) for level in levels])
        rows, columns = grid
        key, spots = self._cells(pillars, rows, columns)
        owner, view, number, place = self._seen(key // (rows * columns), spots, batch)
        looks = self._looks(pyramid, owner, view, place)
        index = number[:, None].expand_as(looks)
        most = looks.new_full((key.shape[0], looks.shape[1]), -1.0e4).scatter_reduce(0, index, looks, "amax")
        known = number.new_zeros(key.shape[0]).index_fill(0, number, 1).bool()
        key, most = key[known], most[known]
        return key, self.feed(self.own(flat[key]) + most)

    def _cells(self, pillars: Pillars, rows: int, columns: int) -> tuple[Tensor, Tensor]:
        """Occupied BEV cells: number over all samples (N,), and (N, 4, 3) spots from the lowest to the highest."""
        row, column = pillars.cell[:, 1] // self.stride, pillars.cell[:, 2] // self.stride
        inside = (row < rows) & (column < columns)
        number = ((pillars.cell[:, 0] * rows + row) * columns + column)[inside]
        key, home = torch.unique(number, return_inverse=True)
        heights = pillars.heights[inside]
        # The start never wins; scatter_reduce without it has no ONNX operator.
        low, high = (
            heights.new_full((key.shape[0],), start).scatter_reduce(0, home, heights[:, k], how)
            for k, how, start in ((0, "amin", 1.0e4), (2, "amax", -1.0e4))
        )
        side = self.stride * self.cell_m
        ground = torch.stack([key % columns + 0.5, key // columns % rows + 0.5], dim=-1) * side
        ground = ground + ground.new_tensor(self.low[:2])
        share = torch.arange(_HEIGHTS, device=low.device) / (_HEIGHTS - 1)
        height = low[:, None] + share * (high - low)[:, None]
        return key, torch.cat([ground[:, None].expand(-1, _HEIGHTS, -1), height[..., None]], dim=-1)

    def _seen(self, owner: Tensor, spots: Tensor, batch: Batch) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Pairs of a cell and a picture that shows a spot of it: sample, picture, cell (M,) and places (M, 4, 2)."""
        T, K = batch.T_camera_base[owner][:, :, None], batch.K[owner][:, :, None]
        place, depth = in_pictures(spots[:, None], T, K, *self.size)
        shown = (depth > NEAREST_M) & ((place >= 0.0) & (place < 1.0)).all(dim=-1)
        inside = shown.any(dim=-1) & batch.seen[owner]
        cell, view = inside.nonzero(as_tuple=True)
        return owner[cell], view, cell, place[cell, view]

    def _looks(self, pyramid: Pyramid, owner: Tensor, view: Tensor, place: Tensor) -> Tensor:
        """(M, C) of what the levels show at (M, 4, 2) places: side by side over heights, the greatest over levels."""
        values = pyramid.values[:, :, None]
        pair = (owner[:, None].expand(-1, _HEIGHTS), view[:, None].expand(-1, _HEIGHTS), place[:, :, None])
        seen = [
            self.shown(pyramid.sample(values, level, *pair)[:, :, 0].flatten(1)) for level in range(len(pyramid.shapes))
        ]
        return torch.stack(seen).amax(dim=0)
