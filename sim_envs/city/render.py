# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Pictures of the world, with depth and classes as truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim_envs.city.camera import CameraConfig, develop, pixel_rays
from sim_envs.city.materials import SEMANTIC, Semantic
from sim_envs.city.motion import Motion
from sim_envs.city.moving import Track, turn_about_z
from sim_envs.city.raycast import Hits
from sim_envs.city.shading import SUN, shade, shade_sky
from sim_envs.city.signs import SignAtlas, draw_signs
from sim_envs.city.snapshot import Snapshot, take_snapshot
from sim_envs.city.world import World

_LIFT_M = 0.02


@dataclass(frozen=True, slots=True)
class Rendered:
    """One picture and what is true about it.

    Attributes:
        pixels: (H, W, 3) uint8 RGB.
        depth: (H, W) float32 distance along the optical axis, metres; inf for the sky.
        semantic: (H, W) uint8, see ``Semantic``.
        instance: (H, W) int32 identity of the moving thing in each pixel, -1 for none.
        exposure, gain: of this picture.
    """

    pixels: NDArray[np.uint8]
    depth: NDArray[np.float32]
    semantic: NDArray[np.uint8]
    instance: NDArray[np.int32]
    exposure: float
    gain: float


_Truth = tuple[NDArray[np.float32], NDArray[np.uint8], NDArray[np.int32]]


@dataclass(frozen=True, slots=True)
class _Eye:
    """Where a camera is: ``turn`` (3, 3) optical frame into map, ``origin`` (3,) metres."""

    turn: NDArray[np.float64]
    origin: NDArray[np.float64]


class Renderer:
    """Renders what cameras see of a world; rays of each camera and the lettering are made once."""

    def __init__(self, world: World, tracks: Sequence[Track]) -> None:
        self.world = world
        self.tracks = list(tracks)
        self._atlas: SignAtlas | None = None
        self._rays: dict[tuple[CameraConfig, int], NDArray[np.float32]] = {}

    @property
    def atlas(self) -> SignAtlas:
        """The lettering of the town."""
        if self._atlas is None:
            self._atlas = draw_signs(self.world.signs)
        return self._atlas

    def render(self, config: CameraConfig, motion: Motion, time_s: float, seed: int) -> Rendered:
        """The picture of a camera on the vehicle at one time."""
        T = config.calibration().T_base_camera
        rotation, position = motion.pose(time_s)
        eye = _Eye(rotation[0] @ T[:3, :3], position[0] + rotation[0] @ T[:3, 3])
        now = take_snapshot(self.world, self.tracks, time_s)
        linear, truth = self._picture(config, eye, now)
        exposure, gain = config.exposure(time_s, seed)
        rng = np.random.default_rng([seed, 0xCA3, round(time_s * 1e9)])
        pixels = develop(linear, exposure * gain, gain, config.full_well, rng)
        return Rendered(pixels, *truth, exposure, gain)

    def _picture(self, config: CameraConfig, eye: _Eye, now: Snapshot) -> tuple[NDArray[np.float32], _Truth]:
        """(H, W, 3) linear light, one ray a pixel and more where things meet; and the truth at pixel centres."""
        shape = (config.height, config.width)
        rays = self._look(config, 1)
        pixel = 1.2 * np.radians(config.fov_deg) / config.width
        light, hits, moving = self._trace(rays.reshape(-1, 3), eye, now, pixel)
        depth, semantic, instance = self._truth(hits, moving, now)
        truth = (depth.reshape(shape) * rays[..., 2], semantic.reshape(shape), instance.reshape(shape))
        light = light.reshape(*shape, 3)
        if config.samples > 1:
            edge = _edges(truth[0], hits.normal.reshape(*shape, 3), truth[1])
            fine = self._look(config, config.samples)
            fine = fine.reshape(shape[0], config.samples, shape[1], config.samples, 3).transpose(0, 2, 1, 3, 4)[edge]
            closer, _, _ = self._trace(fine.reshape(-1, 3), eye, now, pixel / config.samples)
            light[edge] = closer.reshape(len(fine), -1, 3).mean(axis=1)
        return light, truth

    def _trace(
        self, rays: NDArray[np.float32], eye: _Eye, now: Snapshot, pixel: float
    ) -> tuple[NDArray[np.float32], Hits, NDArray[np.bool_]]:
        """Light along (N, 3) rays of the optical frame, what they hit, and whether that moves."""
        directions = rays @ eye.turn.T.astype(np.float32)
        hits, moving = now.cast(eye.origin, directions)
        light = np.empty((len(directions), 3), np.float32)
        missed = hits.face < 0
        light[missed] = shade_sky(directions[missed])
        for those, thing in ((np.flatnonzero(~missed & ~moving), False), (np.flatnonzero(moving), True)):
            light[those] = self._surface(_picked(hits, those), directions[those], eye.origin, now, pixel, thing)
        return light, hits, moving

    def _truth(self, hits: Hits, moving: NDArray[np.bool_], now: Snapshot) -> _Truth:
        """(N,) distance, class and identity of what N rays hit."""
        semantic = np.full(len(moving), Semantic.SKY, np.uint8)
        instance = np.full(len(moving), -1, np.int32)
        still = np.flatnonzero(~moving & (hits.face >= 0))
        semantic[still] = SEMANTIC[self.world.mesh.material[hits.face[still]]]
        owner = now.owner[hits.face[moving]]
        semantic[moving] = np.array([track.model.semantic for track in self.tracks], np.uint8)[owner]
        instance[moving] = np.array([track.identity for track in self.tracks], np.int32)[owner]
        return hits.distance, semantic, instance

    def _look(self, config: CameraConfig, samples: int) -> NDArray[np.float32]:
        key = (config, samples)
        if key not in self._rays:
            self._rays[key] = pixel_rays(config.calibration(), samples).astype(np.float32)
        return self._rays[key]

    def _surface(
        self, hits: Hits, view: NDArray[np.float32], origin: NDArray, now: Snapshot, pixel: float, moving: bool
    ) -> NDArray[np.float32]:
        """Light of rays that all hit the static world, or all hit something that moves."""
        normal = hits.normal / np.maximum(np.linalg.norm(hits.normal, axis=1, keepdims=True), 1e-9)
        normal[np.einsum("ij,ij->i", normal, view) > 0.0] *= -1.0
        place = origin + view * hits.distance[:, None].astype(np.float64)
        lit = self._lit(place, normal, now)
        mesh, local = self.world.mesh, normal
        if moving and now.mesh is not None:
            mesh, owner = now.mesh, now.owner[hits.face]
            place, local = now.own_frame(place, owner), turn_about_z(normal, -now.yaw[owner])
        found = (hits.face, hits.bary, place, local, normal, view, hits.distance, lit)
        return shade(mesh, self.atlas, *found, pixel, self.world.indoor)

    def _lit(self, place: NDArray, normal: NDArray, now: Snapshot) -> NDArray[np.bool_]:
        """(N,) whether the sun reaches each place past everything, static or moving."""
        lit = np.zeros(len(place), bool)
        if self.world.indoor:
            return lit
        faced = np.flatnonzero(normal @ SUN.astype(np.float32) > 0.0)
        start = place[faced] + _LIFT_M * normal[faced]
        lit[faced] = ~now.blocked(start, np.broadcast_to(SUN, start.shape))
        return lit


def _picked(hits: Hits, rays: NDArray[np.int64]) -> Hits:
    return Hits(hits.distance[rays], hits.face[rays], hits.normal[rays], hits.bary[rays])


def _edges(depth: NDArray[np.float32], normal: NDArray[np.float32], semantic: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """(H, W) pixels beside which another surface begins."""
    inverse = 1.0 / np.maximum(depth, 0.1)
    edge = np.zeros(depth.shape, bool)
    for axis in (0, 1):
        low = tuple(slice(None, -1) if k == axis else slice(None) for k in range(2))
        high = tuple(slice(1, None) if k == axis else slice(None) for k in range(2))
        differs = semantic[low] != semantic[high]
        differs |= np.abs(inverse[low] - inverse[high]) > 0.04 * np.maximum(inverse[low], inverse[high])
        differs |= np.abs(normal[low] - normal[high]).sum(axis=-1) > 0.5
        edge[low] |= differs
        edge[high] |= differs
    return edge
