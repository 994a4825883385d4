# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""What each part of the network should have said: peaks on heatmaps, and which candidate answers for which box."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from detection.batch import Batch
from detection.boxes import iou_3d
from detection.config import LossConfig, ModelConfig
from detection.heads import decode, encode
from detection.image_backbone import NEAREST_M
from detection.sample import Boxes, make_boxes

FOCAL_ALPHA, FOCAL_GAMMA = 0.25, 2.0
"""Weight of what is there, and how much less is asked where the answer is sure (Lin et al. 2017, section 5.1)."""
_ELSEWHERE = 1.0e4
_LEVEL_STRIDES = 6.0


@dataclass(frozen=True, slots=True)
class Truth:
    """Boxes of one sample as the losses take them.

    Attributes:
        boxes: those within the map.
        code: (N, 12) absolute codes.
        by_points: (N,) bool, whether the LiDAR met it.
        place: (V, N, 2) normalised (u, v) of its centre in each picture.
        scale: (V, N) pixels a metre at its centre's depth.
        shown: (V, N) bool, whether its centre is in the picture and some of it visible.
        mono: (V, N, 12) monocular codes.
    """

    boxes: Boxes
    code: NDArray[np.float32]
    by_points: NDArray[np.bool_]
    place: NDArray[np.float32]
    scale: NDArray[np.float32]
    shown: NDArray[np.bool_]
    mono: NDArray[np.float32]


def truth_of(batch: Batch, sample: int, config: ModelConfig, least: tuple[int, int] = (2, 16)) -> Truth:
    """Truth of one sample: boxes that the sensors can know of.

    Args:
        least: returns on it, pixels of it, either of which make a box known (unknown counts do).
    """
    boxes = batch.boxes[sample]
    assert boxes is not None
    inside = ((boxes.centre >= config.low_m) & (boxes.centre < config.high_m)).all(axis=1)
    met = (boxes.points < 0) | (boxes.points >= least[0])
    visible = (boxes.pixels < 0) | (boxes.pixels >= least[1])
    kept = inside & (met | visible)
    boxes, met, visible = boxes.pick(kept), met[kept], visible[kept]
    T = batch.T_camera_base[sample].cpu().numpy().astype(np.float64)
    K = batch.K[sample].cpu().numpy().astype(np.float64)
    seen = np.einsum("vij,nj->vni", T[:, :3, :3], boxes.centre) + T[:, None, :3, 3]
    depth = seen[..., 2]
    ray = seen[..., :2] / np.maximum(np.abs(depth), 1e-3)[..., None]
    pixel = ray * np.stack([K[:, 0, 0], K[:, 1, 1]], axis=-1)[:, None] + K[:, None, :2, 2]
    place = (pixel + 0.5) / [config.image_width, config.image_height]
    shown = (depth > NEAREST_M) & ((place > 0.0) & (place < 1.0)).all(axis=-1) & visible
    shown &= batch.seen[sample].cpu().numpy()[:, None]
    mono = _mono_codes(boxes, T, place, depth)
    scale = K[:, 0, 0][:, None] / np.maximum(depth, NEAREST_M)
    parts = (place.astype(np.float32), scale.astype(np.float32), shown, mono)
    return Truth(boxes, encode(boxes, config), met & bool(batch.swept[sample]), *parts)


def _mono_codes(boxes: Boxes, T: NDArray, place: NDArray, depth: NDArray) -> NDArray[np.float32]:
    """(V, N, 12): heading and velocity as vectors of the camera's x-z plane."""
    turn = T[:, :3, :2]
    heading = np.einsum("vij,nj->vni", turn, np.stack([np.cos(boxes.yaw), np.sin(boxes.yaw)], axis=1))
    moves = np.einsum("vij,nj->vni", turn, boxes.velocity)
    length = np.maximum(np.hypot(heading[..., 0], heading[..., 2]), 1e-6)
    sin, cos = -heading[..., 2] / length, heading[..., 0] / length
    angle, axis = np.stack([sin, cos], axis=-1), np.stack([2.0 * sin * cos, cos**2 - sin**2], axis=-1)
    log_depth = np.log(np.maximum(depth, NEAREST_M))[..., None]
    size = np.broadcast_to(np.log(np.maximum(boxes.size, 1e-2)), (*depth.shape, 3))
    return np.concatenate([place, log_depth, size, angle, moves[..., [0, 2]], axis], axis=-1).astype(np.float32)


def bev_peaks(truths: list[Truth], config: ModelConfig, loss: LossConfig) -> Tensor:
    """(B, K, rows, columns) heatmaps that are 1 at centres and fall off round them."""
    columns, rows = config.bev_grid
    out = torch.zeros(len(truths), len(config.classes), rows, columns)
    for number, truth in enumerate(truths):
        size = truth.boxes.size[:, :2] / config.bev_cell_m
        radius = np.maximum(gaussian_radius(size[:, 0], size[:, 1], loss.gaussian_overlap), loss.least_radius)
        known = np.flatnonzero(truth.by_points)
        _draw(out[number], truth.code[known, :2], radius[known], truth.boxes.label[known])
    return out


def cell_targets(truths: list[Truth], shape: tuple[int, int]) -> tuple[NDArray, NDArray, NDArray[np.float32]]:
    """What cells next to the centres of boxes that the LiDAR met should say: the box, from their own centre.

    Returns:
        (M,) sample, (M, 2) column and row, and (M, 12) code of each cell; of the nearest box where there are several.
    """
    height, width = shape
    around = np.stack(np.meshgrid([-1, 0, 1], [-1, 0, 1]), axis=-1).reshape(-1, 2)
    samples, cells, codes = [], [], []
    for number, truth in enumerate(truths):
        code = np.repeat(truth.code[truth.by_points], len(around), axis=0)
        cell = np.floor(code[:, :2]).astype(np.int64) + np.tile(around, (len(code) // len(around), 1))
        code[:, :2] -= cell + 0.5
        inside = np.flatnonzero(((cell >= 0) & (cell < [width, height])).all(axis=1))
        nearest = inside[np.argsort(np.hypot(*code[inside, :2].T), kind="stable")]
        kept = nearest[np.unique(cell[nearest] @ [1, width], return_index=True)[1]]
        samples.append(np.full(len(kept), number))
        cells.append(cell[kept])
        codes.append(code[kept])
    return np.concatenate(samples), np.concatenate(cells), np.concatenate(codes)


def image_peaks(
    truths: list[Truth], shapes: list[tuple[int, int]], config: ModelConfig, loss: LossConfig
) -> list[Tensor]:
    """(B, V, K, h, w) heatmaps of each level: a box stands on the level that suits its size in the picture."""
    views = truths[0].shown.shape[0]
    out = [torch.zeros(len(truths), views, len(config.classes), *shape) for shape in shapes]
    for number, truth in enumerate(truths):
        for view, index in zip(*np.nonzero(truth.shown), strict=True):
            extent = _extent(truth, view, index)
            stride = 4 * 2**config.image_first
            level = int(np.clip(np.log2(max(*extent, 1.0) / (_LEVEL_STRIDES * stride)) + 1.0, 0, len(shapes) - 1))
            shape = shapes[level]
            centre = truth.place[view, index] * [shape[1], shape[0]]
            radius = gaussian_radius(*(e / (stride * 2**level) for e in extent), loss.gaussian_overlap)
            label = truth.boxes.label[index : index + 1]
            _draw(out[level][number, view], centre[None], np.maximum(radius, 1.0)[None], label)
    return out


def _extent(truth: Truth, view: int, index: int) -> tuple[float, float]:
    """Width and height of a box in a picture, pixels, about: as if it stood square to the camera."""
    length, width, height = truth.boxes.size[index] * truth.scale[view, index]
    return 0.5 * float(length + width), float(height)


def gaussian_radius(height: NDArray | float, width: NDArray | float, overlap: float) -> NDArray[np.float64]:
    """Radius within which a shifted box still overlaps by so much (Law and Deng 2018, CornerNet)."""
    height, width = np.asarray(height, float), np.asarray(width, float)
    total, area = height + width, height * width
    one = (total - np.sqrt(np.maximum(total**2 - 4.0 * area * (1.0 - overlap) / (1.0 + overlap), 0.0))) / 2.0
    two = (2.0 * total - np.sqrt(np.maximum(4.0 * total**2 - 16.0 * (1.0 - overlap) * area, 0.0))) / 8.0
    b = 2.0 * overlap * total
    three = (-b + np.sqrt(np.maximum(b**2 + 16.0 * overlap * (1.0 - overlap) * area, 0.0))) / (8.0 * overlap)
    return np.minimum(np.minimum(one, two), three)


def _draw(heat: Tensor, centre: NDArray, radius: NDArray, label: NDArray) -> None:
    """Put peaks at the cells that hold (N, 2) centres into (K, h, w), the greater value where two meet."""
    height, width = heat.shape[-2:]
    for (x, y), reach, k in zip(np.floor(centre).astype(int), np.floor(radius).astype(int), label, strict=True):
        if not (0 <= x < width and 0 <= y < height):
            continue
        left, right = max(x - reach, 0), min(x + reach + 1, width)
        top, bottom = max(y - reach, 0), min(y + reach + 1, height)
        dx, dy = np.arange(left, right) - x, np.arange(top, bottom) - y
        sigma = (2 * reach + 1) / 6.0
        peak = np.exp(-(dx[None] ** 2 + dy[:, None] ** 2) / (2.0 * sigma**2))
        part = heat[k, top:bottom, left:right]
        torch.maximum(part, torch.from_numpy(peak).to(part), out=part)


def matched(
    logits: NDArray, code: NDArray, valid: NDArray, truth: Truth, known: NDArray, config: ModelConfig, loss: LossConfig
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pairs (candidate, box) of least total cost (Carion et al. 2020).

    Args:
        logits: (Q, K). code: (Q, 12) absolute. valid: (Q,) bool.
        known: (N,) bool, or (Q, N) where a candidate may answer for some boxes alone.
    """
    index = np.flatnonzero(known if known.ndim == 1 else known.any(axis=0))
    able = np.flatnonzero(valid)
    if not index.size or not able.size:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    boxes = truth.boxes.pick(index)
    found = make_boxes(**decode(code[able], config), label=np.zeros(len(able)))
    span = np.array(config.bev_grid, np.float64)
    away = np.abs(code[able][:, None, :2] - truth.code[index][None, :, :2]) / span
    cost = loss.match_class * focal_cost(logits[able][:, boxes.label])
    cost += loss.match_centre * away.sum(axis=-1) - loss.match_iou * iou_3d(found, boxes)
    if known.ndim == 2:
        cost = np.where(known[np.ix_(able, index)], cost, _ELSEWHERE)
    rows, columns = linear_sum_assignment(np.nan_to_num(cost, nan=_ELSEWHERE, posinf=_ELSEWHERE))
    kept = cost[rows, columns] < 0.5 * _ELSEWHERE
    return able[rows[kept]], index[columns[kept]]


def focal_cost(logits: NDArray) -> NDArray[np.float64]:
    """What is gained in focal loss by calling a candidate this class, of its logits."""
    p = 1.0 / (1.0 + np.exp(-np.clip(logits, -30.0, 30.0).astype(np.float64)))
    hit = FOCAL_ALPHA * (1.0 - p) ** FOCAL_GAMMA * -np.log(p + 1e-12)
    return hit - (1.0 - FOCAL_ALPHA) * p**FOCAL_GAMMA * -np.log(1.0 - p + 1e-12)
