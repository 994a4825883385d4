# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""A detector on sensors that speak: the newest scan with the pictures that came with it, boxes in base_link."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from detection.boxes import moved
from detection.frames import FirstLook, fits, nearest, sample_of
from detection.inference import Detector
from detection.sample import Boxes, Sample, no_boxes
from detection.statistics import compare
from detection.tracking import TrackConfig, Tracker
from slam.io.extrinsics import inverse
from slam.io.live import LiveSensors
from slam.measurements import Image, Measurement, Scan

Precision = Literal["float32", "bfloat16"]
_PICTURES = 4
_JUMP_NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Seen:
    """What is in one scan.

    Attributes:
        sample: what was looked at, its base_link on the ground.
        standing: boxes in that frame: for drawing into the sample.
        boxes: the same in the rig's own base_link.
    """

    sample: Sample
    standing: Boxes
    boxes: Boxes


class LiveDetector:
    """Sensors' messages in, the newest scan's boxes out. One thread at a time.

        live = LiveDetector(Detector.load(CITY_WEIGHTS), LiveSensors(cameras=("front",), use_imu=False))
        scan = live.take(lambda sensors: sensors.points(data))
        if scan is not None:
            seen = live.detect(scan)

    Attributes:
        sensors: what decodes the messages.
        differs: sentences on what about the sensors differs from the training enough to hurt; None: not known yet.
        misfits: pictures that are not of the size that their calibration says, by camera, in words.
        unpaired: by camera, how many scans in a row were looked at without its picture.
        empty: scans without any valid return.
        resets: how often the clock went back.
    """

    def __init__(
        self,
        detector: Detector,
        sensors: LiveSensors,
        *,
        ground_m: float | None = None,
        precision: Precision = "float32",
    ) -> None:
        """Get ready.

        Args:
            detector: on its device.
            sensors: without an IMU: nobody needs it here.
            ground_m: height of the ground in base_link, metres; None: found in the first scans.
            precision: "bfloat16" where the device is faster so.
        """
        self.sensors, self._detector = sensors, detector
        self._ground_m, self._precision = ground_m, precision
        self._pictures: dict[str, deque[Image]] = {}
        self._look: FirstLook | None = None
        self._tracker, self._last_ns = self._new_tracker(), None
        self.differs: list[str] | None = None
        self.misfits: dict[str, str] = {}
        self.unpaired: Counter[str] = Counter()
        self.empty = self.resets = 0

    @property
    def classes(self) -> tuple[str, ...]:
        """Names, in the order of the boxes' labels."""
        return self._detector.config.classes

    @property
    def ground_m(self) -> float | None:
        """Height of the ground in base_link, metres; None: not known yet."""
        return self._look.ground_m if self._look is not None and self._look.is_done else None

    def warm_up(self) -> None:
        """Detect in some made-up points, so that the first real scan does not wait for the device."""
        points = np.random.default_rng(0).uniform(-20.0, 20.0, (2000, 5)).astype(np.float32)
        points[:, 2:] = np.abs(points[:, 2:]) / 20.0
        self._found(Sample("made up", 0, points))

    def take(self, decode: Callable[[LiveSensors], list[Measurement]]) -> Scan | None:
        """The newest scan that a message completes, once enough is known of the rig to look at it.

        Args:
            decode: one of the methods of ``LiveSensors``, with its message.
        """
        newest = None
        for one in decode(self.sensors):
            if isinstance(one, Image):
                self._pictures.setdefault(one.camera, deque(maxlen=_PICTURES)).append(one)
            elif isinstance(one, Scan) and self._is_known(one):
                newest = one
        return newest

    def detect(self, scan: Scan) -> Seen:
        """Boxes of a scan and of the pictures nearest to it, the best first."""
        if self._last_ns is not None and scan.stamp_ns < self._last_ns - _JUMP_NS:
            self.resets += 1
            self._tracker = self._new_tracker()
        self._last_ns = scan.stamp_ns
        sample = self._sample(scan)
        if not len(sample.points):
            self.empty += 1
        standing = self._found(sample) if len(sample.points) or sample.views else no_boxes()
        if self.differs is None and len(sample.points):
            statistics = self._detector.statistics
            self.differs = compare(statistics, sample) if statistics else []
        return Seen(sample, standing, moved(standing, self._up))

    def tracked(self, seen: Seen, T_world_base: NDArray[np.float64]) -> Seen:
        """The things of that moment that are sure to be there, with identities (see ``Tracker``).

        Raises:
            DetectionError: a scan that is not later than the last one tracked.
        """
        boxes = self._tracker.update(seen.sample.stamp_ns, seen.boxes, T_world_base)
        return Seen(seen.sample, moved(boxes, inverse(self._up)), boxes)

    def _is_known(self, scan: Scan) -> bool:
        if self._look is None:
            assert self.sensors.calibration is not None
            self._look = FirstLook(self.sensors.calibration.T_base_lidar, self._ground_m)
        if not self._look.is_done:
            self._look.add(scan)
        return self._look.is_done

    @property
    def _up(self) -> NDArray[np.float64]:
        """(4, 4) from base_link on the ground into the rig's own."""
        up = np.eye(4, dtype=np.float64)
        up[2, 3] = self.ground_m or 0.0
        return up

    def _sample(self, scan: Scan) -> Sample:
        assert self.sensors.calibration is not None and self._look is not None
        images = nearest(scan, [image for some in self._pictures.values() for image in some])
        cameras = self.sensors.calibration.cameras
        for name, camera in cameras.items():
            image = images.get(name)
            self.unpaired[name] = 0 if image is not None else self.unpaired[name] + 1
            if image is not None and not fits(image, camera):
                height, width = image.pixels.shape[:2]
                self.misfits[name] = f"{width} x {height} pixels, its calibration says {camera.width} x {camera.height}"
        return sample_of(scan, images, self.sensors.calibration, self._look)

    def _found(self, sample: Sample) -> Boxes:
        device = next(self._detector.model.parameters()).device.type
        with torch.autocast(device, torch.bfloat16, enabled=self._precision == "bfloat16"):
            return self._detector.detect([sample])[0]["fused"]

    def _new_tracker(self) -> Tracker:
        return Tracker(TrackConfig(classes=self.classes))
