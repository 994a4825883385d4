# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Cameras: where each pixel looks, how long it is exposed, and what its noise is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim_envs.city.motion import euler_rotation
from sim_envs.errors import SimConfigError
from slam.calibration import Camera

_WHITE = 0.72
_OPTICAL = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])


@dataclass(frozen=True, slots=True)
class CameraConfig:
    """A camera and its errors.

    Attributes:
        name: key in ``Calibration.cameras``.
        width, height: pixels.
        fov_deg: horizontal field of view of the undistorted pinhole.
        distortion: plumb-bob k1, k2, p1, p2, k3.
        xyz: where it sits in base_link, metres.
        ypr_deg: yaw, pitch, roll of the viewing direction in base_link.
        rate_hz: pictures a second.
        phase_s: time of the first picture (middle of its exposure).
        exposure_swing: exposure times gain varies by this share round 1, slowly.
        gain_step: gain goes up by this factor now and then; 1 for never.
        full_well: electrons of a white pixel at gain 1; sets the shot noise. inf for none.
        samples: rays a pixel and axis; 2 smooths edges.
    """

    name: str = "front"
    width: int = 640
    height: int = 480
    fov_deg: float = 90.0
    distortion: tuple[float, float, float, float, float] = (-0.06, 0.012, 0.0006, -0.0004, 0.0)
    xyz: tuple[float, float, float] = (1.45, 0.05, 1.55)
    ypr_deg: tuple[float, float, float] = (0.0, 2.0, 0.0)
    rate_hz: float = 10.0
    phase_s: float = 0.013
    exposure_swing: float = 0.2
    gain_step: float = 1.35
    full_well: float = 9000.0
    samples: int = 2

    def __post_init__(self) -> None:
        if min(self.width, self.height, self.samples) < 1 or not 10.0 <= self.fov_deg <= 150.0:
            size = f"{self.width} x {self.height} pixels, {self.fov_deg} degrees, {self.samples} samples"
            raise SimConfigError(f"camera {self.name}: {size}: no picture")

        if self.rate_hz <= 0.0:
            raise SimConfigError(f"camera {self.name}: {self.rate_hz} pictures a second: it must be positive")

    def calibration(self) -> Camera:
        """As odometry and detection take it."""
        focal = 0.5 * self.width / np.tan(np.radians(0.5 * self.fov_deg))
        K = np.array([[focal, 0.0, 0.5 * (self.width - 1)], [0.0, focal, 0.5 * (self.height - 1)], [0.0, 0.0, 1.0]])
        T = np.eye(4)
        T[:3, :3] = euler_rotation(*np.radians(self.ypr_deg)) @ _OPTICAL
        T[:3, 3] = self.xyz
        return Camera(self.width, self.height, K, np.array(self.distortion), T)

    def exposure(self, time_s: float, seed: int) -> tuple[float, float]:
        """Exposure (share of its usual length) and gain of the picture at a time; both change smoothly."""
        rng = np.random.default_rng([seed, 0xE8])
        period, phase, beat = rng.uniform(11.0, 19.0), rng.uniform(0.0, 2 * np.pi), rng.uniform(6.0, 9.0)
        swing = 1.0 + self.exposure_swing * np.sin(2 * np.pi * time_s / period + phase)
        step = 1.0 / (1.0 + np.exp(-12.0 * np.sin(2 * np.pi * time_s / (2 * beat))))
        return float(swing), float(1.0 + (self.gain_step - 1.0) * step)


def pixel_rays(camera: Camera, samples: int = 1) -> NDArray[np.float64]:
    """(H * samples, W * samples, 3) unit rays in the optical frame, distortion undone; 1 sample: pixel centres."""
    steps = (np.arange(samples) + 0.5) / samples - 0.5
    u = (np.arange(camera.width)[:, None] + steps).ravel()
    v = (np.arange(camera.height)[:, None] + steps).ravel()
    grid = np.stack(np.meshgrid(u, v), axis=-1).reshape(-1, 2)
    rays = np.concatenate([undistorted(camera, grid), np.ones((len(grid), 1))], axis=1)
    rays /= np.linalg.norm(rays, axis=1, keepdims=True)
    return rays.reshape(len(v), len(u), 3)


def undistorted(camera: Camera, pixels: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N, 2) pixels -> (N, 2) x/z and y/z, by fixed-point iteration on the plumb-bob model."""
    seen = (pixels - camera.K[:2, 2]) / camera.K[[0, 1], [0, 1]]
    ideal = seen.copy()
    for _ in range(15):
        radial, tangential = _plumb_bob(camera.distortion, ideal)
        ideal = (seen - tangential) / radial[:, None]
    return ideal


def project(camera: Camera, points: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N, 3) points in the optical frame -> (N, 2) pixels, distorted."""
    ideal = points[:, :2] / points[:, 2:]
    radial, tangential = _plumb_bob(camera.distortion, ideal)
    return (ideal * radial[:, None] + tangential) * camera.K[[0, 1], [0, 1]] + camera.K[:2, 2]


def _plumb_bob(
    distortion: NDArray[np.float64], ideal: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    k1, k2, p1, p2, k3 = distortion
    x, y = ideal.T
    r2 = x * x + y * y
    radial = 1.0 + r2 * (k1 + r2 * (k2 + r2 * k3))
    tangential = [2 * p1 * x * y + p2 * (r2 + 2 * x * x), p1 * (r2 + 2 * y * y) + 2 * p2 * x * y]
    return radial, np.stack(tangential, axis=1)


def develop(
    linear: NDArray[np.float32], brightness: float, gain: float, full_well: float, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """(H, W, 3) linear light -> uint8 with shot noise, and the usual curve of 1/2.2."""
    light = linear * np.float32(_WHITE * brightness)
    if np.isfinite(full_well):
        light = light + rng.standard_normal(light.shape, np.float32) * np.sqrt(
            np.maximum(light, 0.0) * gain / full_well
        )
    return np.rint(255.0 * np.clip(light, 0.0, 1.0) ** (1.0 / 2.2)).astype(np.uint8)
