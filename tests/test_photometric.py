# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""The camera measurement: its Jacobian, and when a picture is not believed."""

from __future__ import annotations

import numpy as np
import pytest

from slam import so3
from slam.gaussian_map.template import Template
from slam.ieskf import FilterState
from slam.octree import PlaneMap
from slam.odometry_config import MapConfig
from slam.photometric import OFFSET_SIGMA, Anchors, linearise
from slam.photometric_config import PhotometricConfig
from slam.photometric_update import update
from slam.splatting.gaussians import C0, Gaussians
from slam.splatting.rendering import Rendering, render
from slam.splatting.view import View

K = np.array([[90.0, 0.0, 47.0], [0.0, 95.0, 35.0], [0.0, 0.0, 1.0]])
WIDTH, HEIGHT = 96, 72
OPTICAL = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])
CONFIG = PhotometricConfig(pixels=1500, least_pixels=200, blurs_px=(3.0, 1.5, 0.8))


def camera_on_body() -> np.ndarray:
    """A lever arm, and a mount that is a little turned."""
    T = np.eye(4)
    T[:3, :3] = OPTICAL @ so3.exp(np.array([0.02, -0.03, 0.05]))
    T[:3, 3] = [0.4, -0.1, 0.3]
    return T


def smooth_picture() -> np.ndarray:
    v, u = np.mgrid[:HEIGHT, :WIDTH]
    return (0.5 + 0.2 * np.sin(u * 0.11 + 0.3) + 0.2 * np.cos(v * 0.13 + u * 0.03)).astype(np.float32)


def project(point: np.ndarray, R: np.ndarray, p: np.ndarray, X: np.ndarray) -> np.ndarray:
    c = X[:3, :3].T @ (R.T @ (point - p) - X[:3, 3])
    return np.array([K[0, 0] * c[0] / c[2] + K[0, 2], K[1, 1] * c[1] / c[2] + K[1, 2]])


def bilinear(image: np.ndarray, at: np.ndarray) -> tuple[float, np.ndarray]:
    j, k = int(at[0]), int(at[1])
    a, b = at[0] - j, at[1] - k
    q = image[k : k + 2, j : j + 2].astype(float)
    value = (1 - b) * ((1 - a) * q[0, 0] + a * q[0, 1]) + b * ((1 - a) * q[1, 0] + a * q[1, 1])
    du = (1 - b) * (q[0, 1] - q[0, 0]) + b * (q[1, 1] - q[1, 0])
    dv = (1 - a) * (q[1, 0] - q[0, 0]) + a * (q[1, 1] - q[0, 1])
    return value, np.array([du, dv])


@pytest.mark.parametrize("seed", range(5))
def test_the_jacobian_is_the_derivative_of_the_brightness_that_is_predicted(seed: int):
    rng = np.random.default_rng(seed)
    R, p, X, tau = so3.exp(rng.normal(size=3) * 0.2), rng.normal(size=3), camera_on_body(), 1.3
    image = smooth_picture()
    ray = np.array([(rng.uniform(20, 70) - K[0, 2]) / K[0, 0], (rng.uniform(15, 55) - K[1, 2]) / K[1, 1], 1.0])
    point = R @ (X[:3, :3] @ (ray * rng.uniform(3.0, 9.0)) + X[:3, 3]) + p

    def predicted(d: np.ndarray) -> float:
        at = project(point, R @ so3.exp(d[:3]), p + d[3:6], X)
        return (tau + d[6]) * bilinear(image, at)[0]

    value, slope = bilinear(image, project(point, R, p, X))
    brightness, scale = np.float32(tau * value + 0.05), 0.1
    anchors = Anchors(
        point[None], np.zeros((1, 2), np.int32), np.array([brightness], np.float32), (tau * slope[None]).astype("f4")
    )
    fit, _ = linearise(anchors, image, (R, p), X, K, tau, scale, 0.0)
    z = float(brightness) - tau * value
    weight = 1.0 / (scale**2 + z**2)
    row = fit.vector / (z * weight) * (1.0 + weight * OFFSET_SIGMA**2)  # what the unknown offset leaves
    step = 1e-5
    numeric = [(predicted(step * e) - predicted(-step * e)) / (2 * step) for e in np.eye(7)]
    np.testing.assert_allclose(row, numeric, rtol=2e-4, atol=2e-5)


def textured_wall(seed: int = 0, spacing: float = 0.06) -> Gaussians:
    """A wall 5 m ahead and a floor, painted with blobs that a camera can tell apart."""
    rng = np.random.default_rng(seed)
    y, z = np.meshgrid(np.arange(-4.0, 4.0, spacing), np.arange(-1.0, 3.0, spacing))
    wall = np.stack([np.full(y.size, 5.0), y.ravel(), z.ravel()], axis=1)
    x, y = np.meshgrid(np.arange(1.5, 5.0, spacing), np.arange(-3.0, 3.0, spacing))
    floor = np.stack([x.ravel(), y.ravel(), np.full(x.size, -1.0)], axis=1)
    points = np.concatenate([wall, floor])
    centres, weights = rng.uniform([1, -4, -1], [5, 4, 3], (60, 3)), rng.normal(size=60)
    distance2 = ((points[:, None] - centres) ** 2).sum(axis=2)
    grey = 0.5 + 0.35 * np.tanh((np.exp(-distance2 / 0.18) * weights).sum(axis=1))
    out = Gaussians.zeros(len(points))
    out.means[:], out.quats[:, 3] = points, 1.0
    out.log_scales[:] = np.log(0.6 * spacing)
    out.logits[:] = 4.0
    out.harmonics[:, 0] = (grey[:, None] - 0.5) / C0
    return out


def seen_at(R: np.ndarray, p: np.ndarray) -> tuple[Rendering, View]:
    T = np.eye(4)
    T[:3, :3], T[:3, 3] = R, p
    view = View(WIDTH, HEIGHT, K, np.linalg.inv(T @ camera_on_body()))
    return render(textured_wall(), view), view


def doubtful_state(sigma_m: float = 0.05, sigma_deg: float = 0.5) -> FilterState:
    state = FilterState(0)
    state.P[:3, :3], state.P[3:6, 3:6] = np.eye(3) * np.radians(sigma_deg) ** 2, np.eye(3) * sigma_m**2
    return state


def picture_from(off_m: np.ndarray, off_rad: np.ndarray) -> np.ndarray:
    rendering, _ = seen_at(so3.exp(off_rad), off_m)
    return rendering.colour[:, :, 0] / np.maximum(rendering.alpha, 1e-3)


def pixels_off(state: FilterState, off_m: np.ndarray, off_rad: np.ndarray) -> float:
    """Median distance in the picture between where the estimate and the truth put the world."""
    points, X = textured_wall().means.astype(float), camera_on_body()
    pairs = [(project(x, state.R, state.position, X), project(x, so3.exp(off_rad), off_m, X)) for x in points[::50]]
    return float(np.median([np.linalg.norm(a - b) for a, b in pairs]))


def photometry(picture: np.ndarray, state: FilterState):
    rendering, view = seen_at(state.R, state.position)
    template = Template.rendered(rendering, view, CONFIG.least_alpha)
    nothing = PlaneMap(MapConfig())
    return update(state, template, view, picture.astype(np.float32), camera_on_body(), nothing, CONFIG)


def test_a_picture_from_the_side_moves_the_pose_there():
    off_m, off_rad = np.array([0.05, -0.06, 0.03]), np.radians([0.3, -0.4, 0.5])
    done = photometry(picture_from(off_m, off_rad), doubtful_state(0.1, 1.0))
    assert done.used, done.reason
    assert pixels_off(done.state, off_m, off_rad) < 0.15
    assert np.linalg.norm(done.state.position - off_m) < 0.03
    assert np.trace(done.state.P[3:6, 3:6]) < 0.25 * 3 * 0.1**2


def test_a_darker_picture_tells_the_inverse_exposure_and_moves_nothing():
    done = photometry(0.6 * picture_from(np.zeros(3), np.zeros(3)), doubtful_state())
    assert done.used, done.reason
    assert done.state.tau == pytest.approx(1.0 / 0.6, rel=0.02)
    assert np.linalg.norm(done.state.position) < 0.003


def test_a_picture_that_is_brighter_by_a_constant_moves_nothing():
    done = photometry(picture_from(np.zeros(3), np.zeros(3)) + 0.04, doubtful_state())
    assert done.used, done.reason
    assert pixels_off(done.state, np.zeros(3), np.zeros(3)) < 0.08


def test_a_sure_prior_is_hardly_moved():
    done = photometry(picture_from(np.array([0.0, 0.02, 0.0]), np.zeros(3)), doubtful_state(0.0005, 0.002))
    assert np.linalg.norm(done.state.position) < 0.005


@pytest.mark.parametrize("seed", range(3))
def test_a_picture_of_something_else_is_not_believed(seed: int):
    rng = np.random.default_rng(seed)
    other = np.kron(rng.random((HEIGHT // 6, WIDTH // 6)), np.ones((6, 6))).astype(np.float32)
    state = doubtful_state()
    done = photometry(other, state)
    assert not done.used
    assert "does not look like the map" in done.reason or "in view" in done.reason or "deviations" in done.reason
    assert np.array_equal(done.state.position, state.position)


def test_a_picture_covered_on_one_half_does_not_mislead():
    picture = picture_from(np.array([0.0, 0.04, 0.0]), np.zeros(3))
    picture[:, : WIDTH // 2] = 0.02
    done = photometry(picture, doubtful_state())
    assert pixels_off(done.state, np.array([0.0, 0.04 if done.used else 0.0, 0.0]), np.zeros(3)) < 0.8
