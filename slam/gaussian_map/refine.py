# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Where the map is made finer, coarser or emptier, by what rendering has shown of its Gaussians."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter

from slam.gaussian_map import cells
from slam.gaussian_map.columns import ERROR, GRADIENT, LOOKS, WEIGHT
from slam.gaussian_map.detail import normals, turned
from slam.gaussian_map.store import GaussianMap
from slam.octree import NORMAL, PLANE, STATE
from slam.splatting.gaussians import Gaussians

FADING = 0.95
"""What was observed counts so much less with each later look."""

Rows = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class RefineConfig:
    """When Gaussians are split, merged and let go."""

    max_refined: int = 2000
    """At most so many are let go, turned, split and made by merging, each, in one call."""
    least_looks: float = 3.0
    """Gaussians that were seen less often are left as they are."""
    split_error: float = 0.06
    """Split where the mean absolute residual of the colours, weighted by contribution, is above this, of [0, 1] ..."""
    split_gradient: float = 2e-6
    """... or the loss changes by more than this a pixel that the Gaussian is shifted on the screen."""
    split_px: float = 3.0
    """A Gaussian that fills fewer pixels gains nothing by being split."""
    merge_error: float = 0.03
    """Merge where the residual of each is below this, ..."""
    merge_colour: float = 0.03
    """... their colours lie within this of each other, ..."""
    merge_angle_deg: float = 10.0
    """... their normals within this of each other, ..."""
    merge_step: float = 0.1
    """... and their means within this of one plane, in sides of the coarser cell."""
    least_opacity: float = 0.02
    """Fainter ones are let go."""
    largest_sigma_m: float = 20.0
    """Those with a standard deviation above this are let go, metres (what stands for the sky may be large) ..."""
    least_sigma_m: float = 5e-4
    """... and those with none above this."""
    turn_deg: float = 5.0
    """Where the plane under Gaussians was split, those off the new plane's normal by more are turned, degrees."""


@dataclass(frozen=True, slots=True)
class Refined:
    """Numbers of Gaussians that were let go, turned onto a new plane, split, and made by merging."""

    pruned: int
    turned: int
    split: int
    merged: int


def observe(
    gaussian_map: GaussianMap,
    rows: Rows,
    contribution: NDArray[np.float32],
    residual: NDArray[np.floating],
    screen_gradient: NDArray[np.float32],
) -> None:
    """Add one look to the running statistics of the Gaussians that contributed to it.

    Args:
        rows: (N,) of the map, as in ``Window.rows``.
        contribution: (N,) weights summed over the picture, pixels.
        residual: (N,) mean absolute residual of the colour where each is; see ``residuals``.
        screen_gradient: (N,) norm of the loss's gradient by the projected mean, 1/px.
    """
    seen = contribution > 0.0
    rows, weight = rows[seen], contribution[seen]
    new = np.stack([weight, weight * residual[seen], screen_gradient[seen], np.ones_like(weight)], axis=1)
    gaussian_map.statistics[rows] = np.float32(FADING) * gaussian_map.statistics[rows] + new


def residuals(centres: NDArray[np.float32], residual: NDArray[np.floating]) -> NDArray[np.floating]:
    """(N,) of a residual picture (H, W) at projected means, a mean over 3 by 3 pixels; 0 outside.

    Args:
        centres: (N, 2) px, pixel centres at halves; not finite where there is none.
    """
    smooth = uniform_filter(residual, 3, mode="nearest")
    j, i = np.floor(centres).T
    inside = (i >= 0) & (i < residual.shape[0]) & (j >= 0) & (j < residual.shape[1])
    i, j = (np.where(inside, index, 0).astype(np.intp) for index in (i, j))
    return np.where(inside, smooth[i, j], 0.0)


def refine(gaussian_map: GaussianMap, config: RefineConfig | None = None, rows: Rows | None = None) -> Refined:
    """Let go, turn, split and merge what calls for it among ``rows``, or all in memory.

    Windows have to be moved afterwards (``Window.move_to``). The outcome depends on the map alone.
    """
    config = config or RefineConfig()
    gaussian_map.settle()
    rows = gaussian_map.rows_in_memory() if rows is None else np.sort(rows[gaussian_map.births[rows] >= 0])
    gone = worthless(gaussian_map, config, rows)
    gaussian_map.remove(gone)
    rows = np.setdiff1d(rows, gone, assume_unique=True)
    laid = _lay_on_planes(gaussian_map, config, rows)
    coarse = too_coarse(gaussian_map, config, rows)
    gaussian_map.split(coarse)
    rows = np.setdiff1d(rows, coarse, assume_unique=True)
    return Refined(len(gone), laid, len(coarse), len(gaussian_map.merge(mergeable(gaussian_map, config, rows))))


def worthless(gaussian_map: GaussianMap, config: RefineConfig, rows: Rows) -> Rows:
    """Which of these rows to let go: too faint, or of no sensible size."""
    values = gaussian_map.take(rows)
    sigma = np.exp(values.log_scales.max(axis=1, initial=-np.inf))
    sound = np.isfinite(values.means).all(axis=1) & np.isfinite(values.quats).all(axis=1)
    sound &= (
        (sigma >= config.least_sigma_m)
        & (sigma <= config.largest_sigma_m)
        & (values.opacities() >= config.least_opacity)
    )
    return rows[~sound][: config.max_refined]


def too_coarse(gaussian_map: GaussianMap, config: RefineConfig, rows: Rows) -> Rows:
    """Which of these rows to split: those with the largest residual in all first."""
    s = gaussian_map.statistics[rows]
    looks, weight = np.maximum(s[:, LOOKS], 1e-9), np.maximum(s[:, WEIGHT], 1e-9)
    bad = (s[:, ERROR] / weight > config.split_error) | (s[:, GRADIENT] / looks > config.split_gradient)
    bad &= (s[:, LOOKS] >= _enough(config.least_looks)) & (weight / looks >= config.split_px)
    bad &= gaussian_map.levels[rows] < gaussian_map.config.max_level
    worst = np.argsort(-s[bad, ERROR] / looks[bad], kind="stable")[: config.max_refined]
    return np.sort(rows[bad][worst])


def mergeable(gaussian_map: GaussianMap, config: RefineConfig, rows: Rows) -> NDArray[np.uint64]:
    """Keys of the cells whose Gaussians one level finer are to become one: together they show no more than it would."""
    s = gaussian_map.statistics[rows]
    good = (s[:, LOOKS] >= _enough(config.least_looks)) & (s[:, ERROR] <= config.merge_error * s[:, WEIGHT])
    fine = rows[good & (gaussian_map.levels[rows] > gaussian_map.config.min_level)]
    parents = np.empty(len(fine), np.uint64)
    cells.parents(gaussian_map.keys[fine], parents)
    parents, count = np.unique(parents, return_counts=True)
    families = gaussian_map.families(parents)
    whole = ((families >= 0).sum(axis=1) == count) & (count > 1)
    families, parents = families[whole], parents[whole]
    which, members = np.nonzero(families >= 0)[0], families[families >= 0].astype(np.int64)
    alike = _alike(gaussian_map.take(members), which, gaussian_map.side_of(gaussian_map.levels[members]), config)
    return parents[alike][: config.max_refined]


def _alike(members: Gaussians, which: NDArray[np.intp], sides: NDArray[np.float64], config: RefineConfig):
    """(G,) whether the members of each group lie in one plane and have one colour; ``sides`` of the members' cells."""
    starts = np.flatnonzero(np.diff(which, prepend=-1))
    if not len(starts):
        return np.empty(0, np.bool_)
    colours = members.base_colours()
    apart = np.maximum.reduceat(colours, starts) - np.minimum.reduceat(colours, starts)
    n = normals(members)
    cosine = np.abs((n * n[starts][which]).sum(axis=1))
    height = np.abs(((members.means - members.means[starts][which]) * n[starts][which]).sum(axis=1)) / (2.0 * sides)
    alike = (apart <= config.merge_colour).all(axis=1)
    alike &= np.minimum.reduceat(cosine, starts) >= np.cos(np.radians(config.merge_angle_deg))
    return alike & (np.maximum.reduceat(height, starts) <= config.merge_step)


def _lay_on_planes(gaussian_map: GaussianMap, config: RefineConfig, rows: Rows) -> int:
    """Give Gaussians whose plane was split the normal of the new one; returns how many were turned."""
    a = gaussian_map.plane_map.arrays
    nodes = gaussian_map.nodes[rows]
    found = gaussian_map.sunk[rows] & (a.meta[nodes, STATE] == PLANE)
    rows, nodes = rows[found][: config.max_refined], nodes[found][: config.max_refined]
    values, towards = gaussian_map.take(rows), a.planes[nodes, NORMAL : NORMAL + 3]
    cosine = np.abs((normals(values) * towards).sum(axis=1))
    off = cosine < np.cos(np.radians(config.turn_deg))
    gaussian_map.sunk[rows] = False
    values = values.take(np.flatnonzero(off))
    if values.size:
        gaussian_map.put(rows[off], values._replace(quats=turned(values, towards[off])))
    return values.size


def _enough(looks: float) -> float:
    """What ``LOOKS`` is after so many."""
    return (1.0 - FADING**looks) / (1.0 - FADING) - 1e-3
