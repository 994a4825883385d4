# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""The iterated update by a picture, with the LiDAR's posterior as prior: coarse to fine, abstaining where in doubt."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from slam import ieskf
from slam.gaussian_map.template import Template
from slam.ieskf import FilterState
from slam.octree import PlaneMap
from slam.photometric import COLUMNS, Anchors, PhotometricFit, linearise
from slam.photometric_config import PhotometricConfig
from slam.registration import lay_on_planes
from slam.splatting.view import View

TRIAL_SCALE = 0.05
"""Brightness by which residuals count while two exposures are compared."""
LEAST_SLOPE = 1e-4
"""Brightness a pixel below which a picture is flat."""


@dataclass(frozen=True, slots=True)
class Photometry:
    """What came of a picture.

    Attributes:
        state: posterior, or the prior where the update abstained.
        reason: why it abstained, empty where it did not.
        fit: the last linearisation, None where it did not come so far.
    """

    state: FilterState
    reason: str = ""
    fit: PhotometricFit | None = None

    @property
    def used(self) -> bool:
        """Whether the picture moved the pose."""
        return not self.reason


def anchors_of(
    template: Template, usable: NDArray[np.bool_], plane_map: PlaneMap, blur_px: float, config: PhotometricConfig
) -> Anchors:
    """The template's usable pixels with the largest brightness gradient, spread over the picture.

    Those that belong to a plane of the LiDAR's map lie on it, and if those are most the others are left out: a depth
    wrong by a share makes the way wrong by it.
    """
    covered = template.covered.astype(np.float32)
    cover = np.maximum(gaussian_filter(covered, blur_px), 1e-3)
    grey = gaussian_filter(template.brightness * covered, blur_px) / cover
    slope_v, slope_u = np.gradient(grey)
    rows, columns = _picked(np.hypot(slope_u, slope_v) * usable * (cover > 0.95), config.pixels)
    points = template.points(rows, columns)
    laid = lay_on_planes(plane_map, points, template.view.position, config.depth_sigma_m)
    if 2 * laid.sum() > len(laid):
        rows, columns, points = rows[laid], columns[laid], points[laid]
    return Anchors(
        points,
        np.stack([rows, columns], axis=1).astype(np.int32),
        grey[rows, columns],
        np.stack([slope_u[rows, columns], slope_v[rows, columns]], axis=1).astype(np.float32),
    )


def _picked(strength: NDArray[np.floating], count: int, cells: int = 12) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The strongest pixels, no cell of a grid with more than three times its share."""
    height, width = strength.shape
    candidates = np.flatnonzero(strength.ravel() > LEAST_SLOPE)
    if len(candidates) > 6 * count:
        keep = np.argpartition(-strength.ravel()[candidates], 6 * count)[: 6 * count]
        candidates = np.sort(candidates[keep])
    candidates = candidates[np.argsort(-strength.ravel()[candidates], kind="stable")]
    rows, columns = candidates // width, candidates % width
    cell = (rows * cells // height) * cells + columns * cells // width
    by_cell = np.argsort(cell, kind="stable")
    sorted_cells = cell[by_cell]
    rank = np.arange(len(cell)) - np.searchsorted(sorted_cells, sorted_cells)
    allowed = np.zeros(len(cell), bool)
    allowed[by_cell] = rank < max(1, 3 * count // cells**2)
    chosen = np.flatnonzero(allowed)[:count]
    return rows[chosen], columns[chosen]


def unusable(grey: NDArray[np.float32], config: PhotometricConfig) -> str:
    """Why a picture shows nothing; empty where it shows something."""
    mean, contrast = float(grey.mean()), float(grey.std())
    if mean < config.darkest:
        return f"the picture is dark (mean brightness {mean:.3f})"
    if mean > 1.0 - config.darkest:
        return f"the picture is white (mean brightness {mean:.3f})"
    if contrast < config.least_contrast:
        return f"the picture shows nothing (contrast {contrast:.3f})"
    return ""


def update(
    state: FilterState,
    template: Template,
    view: View,
    grey: NDArray[np.float32],
    T_body_camera: NDArray[np.float64],
    plane_map: PlaneMap,
    config: PhotometricConfig,
) -> Photometry:
    """Move the state so that the picture agrees with what is known of the surroundings.

    Args:
        state: the prior, at the scan's end.
        template: of the map as it was before this picture.
        view: of the picture, by the prior.
        grey: (H, W) float32 brightness of the picture, of the map's size.
        T_body_camera: (4, 4) optical frame at the picture's time in the body frame at the scan's end.
        plane_map: the LiDAR's.
    """
    prior, now, fit, usable = state, state, None, template.seen_from(view)
    for blur_px in config.blurs_px:
        anchors, image = anchors_of(template, usable, plane_map, blur_px, config), gaussian_filter(grey, blur_px)
        if len(anchors) < config.least_pixels:
            return Photometry(state, f"the map shows {len(anchors)} pixels with texture, too few")
        if fit is None:
            prior = now = _tau_freed(state, anchors, image, T_body_camera, view.K, config)
        now, fit = _descend(now, prior, anchors, image, T_body_camera, view.K, config)
    assert fit is not None
    reason = _doubt(now, prior, anchors, fit, config)
    if reason:
        return Photometry(state, reason, fit)
    posterior = now.copy()
    posterior.P = ieskf.posterior(prior.P, fit.information * _share(fit, config))
    return Photometry(posterior, "", fit)


def _tau_freed(
    state: FilterState, anchors: Anchors, image: NDArray[np.float32], T_body_camera: NDArray[np.float64],
    K: NDArray[np.float64], config: PhotometricConfig,
) -> FilterState:  # fmt: skip
    """The exposure may have changed since the picture before: begin with the old one or, where that explains the
    picture better, with the ratio of the brightnesses, which a cover over the lens would spoil."""
    rows, columns = anchors.pixels.T
    ratio = float(np.median(anchors.brightness)) / max(float(np.median(image[rows, columns])), 1e-3)
    costs = {
        tau: linearise(anchors, image, (state.R, state.position), T_body_camera, K, tau, TRIAL_SCALE)[0].cost
        for tau in (state.tau, float(np.clip(ratio, 0.1, 10.0)))
    }
    prior = state.copy()
    prior.tau = min(costs, key=lambda tau: costs[tau])
    prior.P[6, :] = prior.P[:, 6] = 0.0
    prior.P[6, 6] = (config.tau_sigma * prior.tau) ** 2
    return prior


def _descend(
    state: FilterState, prior: FilterState, anchors: Anchors, image: NDArray[np.float32],
    T_body_camera: NDArray[np.float64], K: NDArray[np.float64], config: PhotometricConfig,
) -> tuple[FilterState, PhotometricFit]:  # fmt: skip
    """Iterate at one blur; a step that raises the cost of picture and prior together is halved, then rejected."""
    inverse = np.linalg.inv(prior.P[:COLUMNS, :COLUMNS])

    def tried(at: FilterState, scale: float | None) -> tuple[PhotometricFit, float, float]:
        fit, scale = linearise(anchors, image, (at.R, at.position), T_body_camera, K, at.tau, scale)
        off = at.minus(prior)[:COLUMNS]
        weight = _share(fit, config) * max(fit.seen, 1)
        return fit, scale, weight * fit.cost + float(off @ inverse @ off)

    fit, scale, cost = tried(state, None)
    for _ in range(config.max_iterations):
        share = _share(fit, config)
        step = ieskf.correction(state, prior, fit.information * share, fit.vector * share)
        for _ in range(3):
            candidate = state.plus(step)
            new_fit, _, new_cost = tried(candidate, scale)
            if new_cost <= cost:
                break
            step = 0.5 * step
        else:
            break
        state, fit, cost = candidate, new_fit, new_cost
        turned, moved = np.linalg.norm(step[ieskf.THETA]), np.linalg.norm(step[ieskf.POS])
        if turned < np.radians(config.converged_deg) and moved < config.converged_m:
            break
    return state, fit


def _share(fit: PhotometricFit, config: PhotometricConfig) -> float:
    return min(1.0, config.independent_pixels / max(fit.seen, 1))


def _doubt(
    state: FilterState, prior: FilterState, anchors: Anchors, fit: PhotometricFit, config: PhotometricConfig
) -> str:
    if fit.seen < config.least_in_view * len(anchors):
        return f"{fit.seen} of {len(anchors)} anchors are in view"
    if fit.correlation < config.least_correlation or fit.rms > config.largest_rms:
        return f"the picture does not look like the map (correlation {fit.correlation:.2f}, off by {fit.rms:.2f})"
    off = state.minus(prior)[:6]
    surprise = float(np.sqrt(off @ np.linalg.solve(prior.P[:6, :6], off)))
    if surprise > config.largest_surprise:
        return f"the picture would move the pose by {surprise:.1f} standard deviations"
    return ""
