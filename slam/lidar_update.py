# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""The iterated update: registers a scan against the map, starting from the prediction."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from slam import ieskf
from slam.degeneracy import unconstrained_axes, without
from slam.ieskf import FilterState
from slam.octree import PlaneMap
from slam.odometry_config import HealthConfig, RegistrationConfig
from slam.prediction import Prediction
from slam.registration import UNKNOWN, Fit, Noise, linearise

COARSE_STRIDE = 4
"""The first iterations, far from the answer, take every fourth point."""


@dataclass(frozen=True, slots=True)
class Alignment:
    """What the update found.

    Attributes:
        state: posterior, with its covariance.
        fit: the last linearisation.
        axes: (K, 3) unit directions in odom that the geometry leaves unconstrained.
        points: how many points were tried.
    """

    state: FilterState
    fit: Fit
    axes: NDArray[np.float64]
    points: int

    @property
    def share(self) -> float:
        """Share of the points that fit the map."""
        return self.fit.matched / max(self.points, 1)


def align(
    plane_map: PlaneMap,
    points: NDArray[np.float64],
    prediction: Prediction,
    lever: NDArray[np.float64],
    config: RegistrationConfig,
    health: HealthConfig,
) -> Alignment:
    """Update the predicted state with body-frame points; the update leaves unconstrained axes to the prior.

    Args:
        points: (N, 4) x, y, z and the share of the path at which each was measured.
        lever: (3,) LiDAR origin in the body frame, metres.
    """
    prior = prediction.state
    state, axes = prior, np.zeros((0, 3))
    coarse, matches = points[::COARSE_STRIDE], np.full(len(points), UNKNOWN)
    for iteration in range(config.max_iterations):
        last = iteration == config.max_iterations - 1
        used, found = (coarse, None) if iteration < config.coarse_iterations else (points, matches)
        gate, noise = _gate(prior, config, iteration), _noise(config)
        fit = linearise(plane_map, used, prediction.bent_to(state), prediction.stiffness, lever, gate, noise, found)
        axes = unconstrained_axes(fit, health)
        information, vector = without(axes, fit, _share(fit, config) * (1 if used is points else COARSE_STRIDE))
        step = ieskf.correction(state, prior, information, vector)
        state = state.plus(step)
        if used is points and (last or _small(step, config)):
            break
    posterior = state.copy()
    posterior.P = ieskf.posterior(prior.P, information)
    return Alignment(posterior, fit, axes, len(points))


def _gate(prior: FilterState, config: RegistrationConfig, iteration: int) -> tuple[float, NDArray[np.float64]]:
    shrink = config.gate_shrink**iteration
    return shrink * float(np.trace(prior.P[:3, :3])) / 3.0, shrink * prior.P[3:6, 3:6][np.triu_indices(3)]


def _noise(config: RegistrationConfig) -> Noise:
    return Noise(config.range_noise_m**2, math.radians(config.bearing_noise_deg) ** 2, config.floor_noise_m**2)


def _share(fit: Fit, config: RegistrationConfig) -> float:
    return min(1.0, config.independent_points / max(fit.matched, 1))


def _small(step: NDArray[np.float64], config: RegistrationConfig) -> bool:
    turned, moved = np.linalg.norm(step[ieskf.THETA]), np.linalg.norm(step[ieskf.POS])
    return bool(turned < math.radians(config.converged_deg) and moved < config.converged_m)
