# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""What the cameras add to the odometry: a photometric update of the pose, and the Gaussian map that it is made on."""

from __future__ import annotations

import math
import re
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from slam.bundle import ScanBundle
from slam.calibration import Calibration
from slam.gaussian_map.held_out import HeldOutView, Strip, ViewScore, exposure_at, judged
from slam.gaussian_map.keyframe import Look
from slam.gaussian_map.mapper import Mapper
from slam.gaussian_map.mapping_config import MappingConfig
from slam.gaussian_map.pictures import GREY
from slam.gaussian_map.regions import RegionStore
from slam.gaussian_map.store import GaussianMap
from slam.gaussian_map.template import Template
from slam.ieskf import FilterState
from slam.measurements import Image
from slam.octree import PlaneMap
from slam.photometric_config import PhotometricConfig
from slam.photometric_update import Photometry, unusable, update
from slam.prediction import Prediction

DISTRUSTED = 5
"""After so many pictures in a row that do not look like the map, the map is what is wrong: it takes them in again."""

NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?")
MOST_LAID_BY = 8
"""Scans with pictures that wait for the mapper; where it cannot keep up the oldest is dropped."""
MOST_WAITING = 100
"""Held-out pictures wait for the whole map; beyond so many the oldest is judged at once."""


@dataclass(slots=True)
class _Camera:
    """What is remembered of one camera."""

    count: int = 0
    last: NDArray[np.uint8] | None = None
    doubted: int = 0
    verdict: str = ""


class Blind:
    """Stands in where there is no camera, or none is wanted."""

    mapper = None
    strip = Strip()
    holds_out = False
    is_idle = True

    def update(
        self, bundle: ScanBundle, prediction: Prediction, state: FilterState, plane_map: PlaneMap
    ) -> tuple[FilterState, str]:
        """The state as it is."""
        return state, ""

    def extend(self, prediction: Prediction, state: FilterState, points, plane_map: PlaneMap) -> None:
        """Nothing to do."""

    def work(self, budget_s: float | None = None) -> int:
        """Nothing to do."""
        return 0

    def news(self) -> list[str]:
        """None."""
        return []

    def judge(self) -> list[ViewScore]:
        """None."""
        return []

    def finished(self, plane_map: PlaneMap) -> GaussianMap | None:
        """None."""
        return None


class Visual:
    """Looks at the pictures of each bundle.

    Attributes:
        mapper: of the current segment, None before its first picture.
        scores: of the held-out pictures judged so far; strip: some of them beside what the map shows.
        on_view: called with each judged picture.
    """

    def __init__(
        self,
        calibration: Calibration,
        T_body_base: NDArray[np.float64],
        mapping: MappingConfig,
        photometric: PhotometricConfig | None,
        *,
        start_map: GaussianMap | None = None,
        regions: RegionStore | None = None,
    ) -> None:
        """Args:
        photometric: None builds the map and leaves the pose to LiDAR and IMU.
        start_map: a stored map to go on with.
        regions: takes what the vehicle leaves behind; None keeps it in memory.
        """
        self.calibration, self.mapping, self.photometric = calibration, mapping, photometric
        self.mapper: Mapper | None = None
        self.scores: list[ViewScore] = []
        self.strip = Strip()
        self.on_view: Callable[[HeldOutView, ViewScore], None] | None = None
        self._held_out: deque[tuple[int, Look]] = deque()
        self._news: list[str] = []
        self._laid_by: deque[tuple[list[tuple[Image, bool, NDArray]], NDArray]] = deque(maxlen=MOST_LAID_BY)
        self._T_body_base, self._regions = T_body_base, regions
        if start_map is not None:
            self.mapper = Mapper(calibration.cameras, start_map, mapping)
        self._cameras: dict[str, _Camera] = {name: _Camera() for name in calibration.cameras}
        self._pending: list[tuple[Image, bool]] = []
        self._owed = 0

    def update(
        self, bundle: ScanBundle, prediction: Prediction, state: FilterState, plane_map: PlaneMap
    ) -> tuple[FilterState, str]:
        """The state after the bundle's pictures, and what became of them: "used", or why not; "" without pictures.

        Args:
            plane_map: of the current segment; Gaussians on another one say nothing about the pose.
        """
        self._pending, said = [], ""
        for image in bundle.images:
            camera = self._cameras.get(image.camera)
            if camera is None:
                continue
            camera.count += 1
            reason = self._misfit(image, prediction)
            if not reason and self.mapping.hold_out and camera.count % self.mapping.hold_out == 0:
                self._pending.append((image, True))
                continue
            reason = reason or self._unusable(image, camera)
            if not reason:
                state, reason = self._updated(image, camera, prediction, state, plane_map)
            said = reason or "used"
            gist = NUMBER.sub("#", said)
            if gist != camera.verdict and (reason or camera.verdict):
                self._news.append(f"camera {image.camera}: {said if not reason else 'not used, ' + reason}")
            camera.verdict = gist
        return state, said

    def extend(
        self,
        prediction: Prediction,
        state: FilterState,
        points: Callable[[], NDArray[np.float64]],
        plane_map: PlaneMap,
    ) -> None:
        """Lay the bundle's pictures by for ``work``, now that the pose is settled.

        Args:
            points: gives (N, 3) points of the scan in odom.
        """
        if not self._pending:
            return
        self._mapper_on(plane_map)
        taken = [(image, held_out) for image, held_out in self._pending if held_out or not self.holds_out]
        poses = [prediction.pose_at(image.stamp_ns, state) @ self._T_body_base for image, _ in taken]
        if len(self._laid_by) == MOST_LAID_BY:
            self._news.append(f"the map does not keep up: the pictures of one of {MOST_LAID_BY} scans are dropped")
        self._laid_by.append(([(*pair, T) for pair, T in zip(taken, poses, strict=True)], points()))
        self._pending = []

    @property
    def holds_out(self) -> bool:
        """Whether the last bundle brought a held-out picture: its scan is for the pose alone."""
        return any(held_out for _, held_out in self._pending)

    def work(self, budget_s: float | None = None) -> int:
        """Take the pictures laid by into the map and fit it; returns the steps made.

        Args:
            budget_s: nothing is begun after so many seconds; what is left is done by later calls. None: all is done.
        """
        mapper, until = self.mapper, math.inf if budget_s is None else time.perf_counter() + budget_s
        if mapper is None:
            return 0
        while self._laid_by and time.perf_counter() < until:
            looks, points = self._laid_by.popleft()
            self._owed += sum(self._take_in(mapper, image, held_out, T, points) for image, held_out, T in looks)
        done = 0
        while self._owed and time.perf_counter() < until:
            done += mapper.work(steps=1)
            self._owed -= 1
        if done and self.is_idle:
            self._ready_templates(mapper)
        wait = self.mapping.judge_after or mapper.taken + 1
        while self._held_out and (mapper.taken >= self._held_out[0][0] + wait or len(self._held_out) > MOST_WAITING):
            self._judge_oldest()
        return done

    @property
    def is_idle(self) -> bool:
        """Whether all pictures so far are in the map, and fitted."""
        return not self._laid_by and not self._owed

    def _ready_templates(self, mapper: Mapper) -> None:
        """Render what the next pictures are held against now, so that their poses do not wait for it."""
        if self.photometric is not None and self.photometric.use_keyframe:
            for name in self._cameras:
                mapper.last_template(name)

    def _take_in(
        self, mapper: Mapper, image: Image, held_out: bool, T_odom_base: NDArray[np.float64], points: NDArray
    ) -> int:
        """One picture becomes a keyframe, or waits to be judged; returns the steps that this calls for."""
        look = mapper.look(image, T_odom_base, points)
        if held_out and len(look.returns):
            self._held_out.append((mapper.taken, look))
        elif not held_out and mapper.wants(look):
            mapper.add(look)
            return self.mapping.fit.steps
        return 0

    def news(self) -> list[str]:
        """Sentences since the last call, one when a camera begins or ceases to be used."""
        news, self._news = self._news, []
        return news

    def judge(self) -> list[ViewScore]:
        """Score the held-out pictures that still wait; returns the scores of all."""
        while self._held_out:
            self._judge_oldest()
        return self.scores

    def finished(self, plane_map: PlaneMap) -> GaussianMap | None:
        """The Gaussians of this plane map with all that was fitted; None where there are none."""
        self.judge()
        if self.mapper is None or self.mapper.map.plane_map is not plane_map:
            return None
        self.mapper.window.write_back()
        return self.mapper.map

    def _judge_oldest(self) -> None:
        assert self.mapper is not None
        _, look = self._held_out.popleft()
        exposure = exposure_at(look.stamp_ns, self.mapper.exposures[look.camera])
        view, score = judged(look, self.mapper.render_map(look.view), exposure)
        self.scores.append(score)
        self.strip.add(view)
        if self.on_view is not None:
            self.on_view(view, score)

    def _mapper_on(self, plane_map: PlaneMap) -> Mapper:
        if self.mapper is None or self.mapper.map.plane_map is not plane_map:
            self.judge()
            self._laid_by.clear()
            self._owed = 0
            if self._regions is not None:
                self._regions.clear()
            gaussian_map = GaussianMap(plane_map, self.mapping.map, self._regions)
            self.mapper = Mapper(self.calibration.cameras, gaussian_map, self.mapping)
        return self.mapper

    def _misfit(self, image: Image, prediction: Prediction) -> str:
        """Why this picture can neither be used nor be judged; empty where it can."""
        camera, shape = self.calibration.cameras[image.camera], image.pixels.shape
        if shape[:2] != (camera.height, camera.width) or (len(shape) == 3 and shape[2] != 3):
            return f"the picture is {shape[1]} x {shape[0]} px, the calibration says {camera.width} x {camera.height}"
        first_ns, last_ns = int(prediction.path.stamps_ns[0]), int(prediction.path.stamps_ns[-1])
        if image.stamp_ns < first_ns - (last_ns - first_ns):
            return f"the picture is {(last_ns - image.stamp_ns) * 1e-9:.2f} s older than the scan"
        return ""

    def _unusable(self, image: Image, camera: _Camera) -> str:
        """Why this picture is not for the filter, nor for the map."""
        small = image.pixels[::4, ::4]
        frozen = camera.last is not None and np.array_equal(camera.last, small)
        camera.last = small.copy()
        if frozen:
            return "the picture is the one before again"
        grey = small.astype(np.float32).reshape(*small.shape[:2], -1).mean(axis=2) / 255.0
        return unusable(grey, self.photometric or PhotometricConfig())

    def _updated(
        self, image: Image, camera: _Camera, prediction: Prediction, state: FilterState, plane_map: PlaneMap
    ) -> tuple[FilterState, str]:
        """The state after one picture, which goes on to the map unless it is doubted."""
        done = self._photometry(image, prediction, state, plane_map)
        doubted = done is not None and not done.used and done.fit is not None
        camera.doubted = camera.doubted + 1 if doubted else 0
        if not doubted or camera.doubted >= DISTRUSTED:
            self._pending.append((image, False))
        if done is None:
            return state, "the map is not ready yet" if self.photometric else "the pose is left to the LiDAR"
        return done.state, done.reason

    def _photometry(
        self, image: Image, prediction: Prediction, state: FilterState, plane_map: PlaneMap
    ) -> Photometry | None:
        mapper, config = self.mapper, self.photometric
        if mapper is None or config is None or mapper.map.plane_map is not plane_map or not mapper.ready:
            return None
        T_odom_body = prediction.pose_at(image.stamp_ns, state)
        view, picture = mapper.pictured(image, T_odom_body @ self._T_body_base)
        T_end = np.eye(4)
        T_end[:3, :3], T_end[:3, 3] = state.R, state.position
        camera = self.calibration.cameras[image.camera]
        T_body_camera = np.linalg.inv(T_end) @ T_odom_body @ self._T_body_base @ camera.T_base_camera
        template = mapper.last_template(image.camera) if config.use_keyframe else None
        if template is None:
            template = Template.rendered(mapper.render(view), view, config.least_alpha)
        return update(state, template, view, picture @ GREY, T_body_camera, plane_map, config)
