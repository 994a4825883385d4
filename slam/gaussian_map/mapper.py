# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Builds the Gaussian map from keyframes and fits it to them, within the time that it is given."""

from __future__ import annotations

import logging
import time
from bisect import insort
from collections import deque

import numpy as np
from numpy.typing import NDArray

from slam import so3
from slam.calibration import Camera
from slam.gaussian_map.exposure import Exposure
from slam.gaussian_map.fitting_window import fitting_window
from slam.gaussian_map.free_space import looked_through
from slam.gaussian_map.keyframe import CERTAIN_ALPHA, Keyframe, Look, exposure_of, moving_pixels, pixel_weights
from slam.gaussian_map.losses import Truth
from slam.gaussian_map.mapping_config import MappingConfig
from slam.gaussian_map.pictures import GREY, Developer
from slam.gaussian_map.refine import observe, refine, residuals
from slam.gaussian_map.returns import completed, seen_from
from slam.gaussian_map.seeding import seed_pixels, seeds
from slam.gaussian_map.store import GaussianMap
from slam.gaussian_map.template import Template
from slam.measurements import Image
from slam.splatting.backend import rasteriser
from slam.splatting.rendering import Gradients, Rendering
from slam.splatting.view import View

log = logging.getLogger(__name__)

LEAST_SUCCESSORS = 2
"""Finer seeds in a coarse Gaussian's cell for which it goes."""

SHRINKAGE, REGROWTH, LEAST_REACH_M = 0.8, 1.02, 10.0
"""How the window's reach follows the number of Gaussians in view."""


class Mapper:
    """The Gaussian map of one segment and what fits it.

    Attributes:
        map: the Gaussians.
        window: those that the keyframes see, as they are fitted.
        keyframes: the last ones, oldest first.
        taken: number of keyframes so far.
        exposures: by camera (stamp_ns, exposure) of all of them.
    """

    def __init__(self, cameras: dict[str, Camera], gaussian_map: GaussianMap, config: MappingConfig) -> None:
        self.config = config
        self.map = gaussian_map
        self.window = fitting_window(self.map, config.backend)
        self._rasteriser = rasteriser(config.backend)
        self.keyframes: deque[Keyframe] = deque(maxlen=config.keyframes.fitted_together)
        self.taken = 0
        self._developers = {name: Developer(camera, config.scale) for name, camera in cameras.items()}
        self.exposures: dict[str, list[tuple[int, Exposure]]] = {name: [] for name in cameras}
        self._last: dict[str, Keyframe] = {}
        self._developed: tuple[Image | None, NDArray[np.float32]] = (None, np.zeros((0, 0, 3), np.float32))
        self._turn, self._reach_m = 0, config.reach_m
        self._changes = 0
        self._templates: dict[str, tuple[int, Template]] = {}

    def pictured(self, image: Image, T_odom_base: NDArray[np.float64]) -> tuple[View, NDArray[np.float32]]:
        """Where a picture was taken from, and the picture (H, W, 3) float32 with its distortion undone."""
        developer = self._developers[image.camera]
        if self._developed[0] is not image:
            self._developed = (image, developer.develop(image.pixels))
        return View.of(developer.camera, T_odom_base, self.config.scale), self._developed[1]

    def look(self, image: Image, T_odom_base: NDArray[np.float64], points: NDArray[np.float64]) -> Look:
        """A picture with its pose and the points (N, 3, odom) of its scan, as the map takes it."""
        view, picture = self.pictured(image, T_odom_base)
        inside = self._developers[image.camera].inside
        return Look(image.stamp_ns, image.camera, picture, inside, view, seen_from(points, view))

    def wants(self, look: Look) -> bool:
        """Whether the camera has moved enough since its last keyframe."""
        if look.camera not in self._last:
            return True
        change = look.view.T_camera_world @ np.linalg.inv(self._last[look.camera].look.view.T_camera_world)
        turned = np.linalg.norm(so3.log(change[:3, :3]))
        c = self.config.keyframes
        return bool(np.linalg.norm(change[:3, 3]) >= c.move_m or np.degrees(turned) >= c.turn_deg)

    def render(self, view: View) -> Rendering:
        """What the map shows from a view near the keyframes."""
        self._move([view, *(keyframe.look.view for keyframe in self.keyframes)])
        return self.window.render(view)

    @property
    def ready(self) -> bool:
        """Whether the map shows enough to look for a pose by it."""
        return self.taken >= self.config.keyframes.least_taken or len(self.map) >= self.config.keyframes.least_gaussians

    def last_template(self, camera: str) -> Template | None:
        """A camera's last keyframe with the depths that the map shows there; None before its first.

        Rendered when the map has changed since it was last asked for.
        """
        if camera not in self._last:
            return None
        changes, template = self._templates.get(camera, (-1, None))
        if template is None or changes != self._changes:
            template = self._template(self._last[camera])
            self._templates[camera] = (self._changes, template)
        return template

    def _template(self, keyframe: Keyframe) -> Template:
        """What moves has no depth."""
        look = keyframe.look
        rendering = self.render(look.view)
        depth = rendering.expected_depth(CERTAIN_ALPHA)
        depth[keyframe.still(rendering, self.config.fit) == 0.0] = np.nan
        return Template(look.view, keyframe.exposure.undone(look.picture) @ GREY, depth, look.inside)

    def render_map(self, view: View) -> Rendering:
        """What the map shows from anywhere, far parts in less detail."""
        self.window.write_back()
        self.map.recall(view.position)
        shown = self.map.visible([view], self.config.reach_m, self.config.detail_px)
        return self._rasteriser.render(self.map.take(shown), view)

    def add(self, look: Look) -> None:
        """Take a look in as a keyframe."""
        self._changes += 1
        self.map.recall(look.view.position)
        before = self.render(look.view)
        self._clear(look)
        still = ~moving_pixels(look, before, self.config.fit)  # the exposure is masked whatever the fit does
        guess = self._last[look.camera].exposure if look.camera in self._last else Exposure()
        exposure = exposure_of(look, before, still, guess)
        distance_px = self._seed(look, exposure)
        weight = pixel_weights(look, before, distance_px, self.config.fit)
        near = (distance_px <= self.config.fit.near_px) & look.inside
        self.keyframes.append(Keyframe(look, exposure, Truth(look.picture), weight, near))
        self._last[look.camera] = self.keyframes[-1]
        insort(self.exposures[look.camera], (look.stamp_ns, exposure), key=lambda known: known[0])
        self.taken += 1
        self._refine()
        self._move([keyframe.look.view for keyframe in self.keyframes])
        for _ in range(self.config.fit.paint_rounds):
            self._paint(self.keyframes[-1])

    def work(self, steps: int | None = None, budget_s: float | None = None) -> int:
        """Fit the map to the keyframes: a number of steps, or until the time is over; returns the steps made."""
        steps = self.config.fit.steps if steps is None and budget_s is None else steps
        until = None if budget_s is None else time.perf_counter() + budget_s
        done = 0
        while self.keyframes and (steps is None or done < steps) and (until is None or time.perf_counter() < until):
            self._step(self._next())
            done += 1
        return done

    def _next(self) -> Keyframe:
        """Every other step the newest keyframe, in between the others in turn."""
        self._turn += 1
        if self._turn % 2:
            return self.keyframes[-1]
        return self.keyframes[(self._turn // 2) % len(self.keyframes)]

    def _paint(self, keyframe: Keyframe) -> None:
        """Bring the colours of what a keyframe shows nearer to its picture, each by the mean residual where it shows.

        A step of simultaneous algebraic reconstruction (Andersen and Kak 1984): least squares, scaled by the weights
        with which each Gaussian shows. Splats on a slanted surface hide the farther part of their neighbours, so that
        colours taken from single pixels render a little shifted towards the distance, and the pose would creep ahead.
        """
        rendering = self.window.render(keyframe.look.view)
        weight = keyframe.still(rendering, self.config.fit)
        picture = keyframe.exposure.undone(keyframe.look.picture)
        off = (picture * rendering.alpha[:, :, None] - rendering.colour) * weight[:, :, None]
        self.window.paint(rendering, off)

    def _refine(self) -> None:
        """Split, merge and prune what the keyframes show, now and then."""
        if not self.config.refine_every or self.taken % self.config.refine_every:
            return
        self.window.write_back()
        refined = refine(self.map, self.config.refine, self.window.rows)
        log.debug("keyframe %d: %s, %d Gaussians in memory", self.taken, refined, len(self.map))

    def _step(self, keyframe: Keyframe) -> None:
        self._changes += 1
        rendering = self.window.render(keyframe.look.view)
        _, d_colour, d_depth, d_alpha = keyframe.loss(rendering, self.config.fit)
        slope = self.window.fit(rendering, self.config.rates, d_colour, d_depth, d_alpha)
        self._observe(keyframe, rendering, slope)
        self._bound()

    def _bound(self) -> None:
        """Keep Gaussians from growing beyond their cells' surroundings: one under the camera would veil the picture."""
        sides = self.map.side_of(self.map.levels[self.window.rows])
        self.window.bound(np.log(self.config.largest_sigma * sides).astype(np.float32))

    def _observe(self, keyframe: Keyframe, rendering: Rendering, slope: Gradients) -> None:
        """Remember what this step has shown of each Gaussian, for refinement."""
        off = np.abs(keyframe.exposure.seen(rendering.colour) - keyframe.look.picture).mean(axis=2) * keyframe.weight
        residual = residuals(self.window.centres(rendering), off)
        observe(self.map, self.window.rows, rendering.contribution[: self.window.size], residual, slope.screen)

    def _clear(self, look: Look) -> None:
        """Remove what the LiDAR looks through: it moved away, or never was."""
        gone = looked_through(self.window.gaussians, look.view, look.returns)
        self.map.remove(self.window.rows[gone])

    def _seed(self, look: Look, exposure: Exposure) -> NDArray[np.float64]:
        """Gaussians where the picture shows a surface that the map lacks; returns the distance to the returns."""
        c = self.config.seeding
        returns = look.returns.nearer_than(self._reach_m)
        depth, normal, distance_px = completed(returns, self.map.plane_map, look.view, c.reach_px)
        wanted = (depth > 0.0) & (depth < c.farthest_m) & look.inside
        pixels = seed_pixels(wanted, c.spacing_px)
        coefficients = self.map.config.coefficients
        new, spacing = seeds(exposure.undone(look.picture), depth, normal, look.view, pixels, c, coefficients)
        levels = self.map.level_of(spacing)
        self._make_way(new.means, levels)
        self.map.add(new, levels, self.taken)
        return distance_px

    def _make_way(self, means: NDArray[np.float32], levels: NDArray[np.int64]) -> None:
        """What was seen from afar gives way to what is seen from near, where several finer seeds take its place."""
        coarse, seeded = np.unique(self.map.covering(means, levels), return_counts=True)
        self.map.remove(coarse[(coarse >= 0) & (seeded >= LEAST_SUCCESSORS)])

    def _move(self, views: list[View]) -> None:
        """The window to what these views see; where that is too much, to the nearer part of it."""
        c = self.config
        if not c.windowed:
            self.window.move_to(None)
            return
        self._reach_m = min(c.reach_m, REGROWTH * self._reach_m)
        self.window.move_to(views, self._reach_m, c.detail_px)
        while self.window.shown > c.most_in_window and self._reach_m > LEAST_REACH_M:
            self._reach_m *= SHRINKAGE
            self.window.move_to(views, self._reach_m, c.detail_px)
