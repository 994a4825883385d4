# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Sensors as they speak: serialised ROS 2 messages in, measurements out, once it is known how to read them.

The twin of a bag's reader for what has no end. What a bag says at once, live topics say bit by bit: the first scans
tell per-point time, tf_static where the sensors sit, camera_info how cameras project. Until then measurements are held.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from slam.calibration import Calibration
from slam.errors import RecordingError
from slam.io.bag import DECODING_ERRORS, SAMPLED_CLOUDS
from slam.io.bag_calibration import Frames, calibration_from_tf, usable_camera
from slam.io.extrinsics import with_configured
from slam.io.livox import parse_custom_msg
from slam.io.messages import (
    CameraInfo,
    parse_camera_info,
    parse_compressed_image,
    parse_image,
    parse_imu,
    parse_stamp,
    parse_transforms,
)
from slam.io.point_time import TIME_NAMES, PointTime, recognise, scan_of
from slam.io.pointcloud2 import Cloud, normalised, parse_pointcloud2
from slam.io.settings import RecordingConfig
from slam.io.tf_tree import TfTree
from slam.measurements import Image, ImuSample, Measurement

LONGEST_WAIT = 30
"""So many scans are waited for a calibration that does not come."""
_MOST_HELD = 20_000
_ORDERLY = 100
"""Messages in their own frame, one after the other, until another frame on the topic is forgotten."""


class LiveSensors:
    """Decodes what arrives.

    Attributes:
        calibration: None until it is known.
        point_time: how per-point time is read, or None.
        notes: what was recognised, and what is missing.
        undecoded: messages that could not be decoded, by kind, with the last reason.
        frames: of points, imu and cameras as their messages name them, the first of each.
        strays: other frames that came later on the same topic, by topic; their messages are left out, as nobody knows
            where their sensors sit. Forgotten when nothing but the first has come for a while.
    """

    def __init__(
        self,
        settings: RecordingConfig | None = None,
        cameras: Sequence[str] = (),
        *,
        use_imu: bool = True,
        wait_for_tf: bool = True,
    ) -> None:
        """Get ready.

        Args:
            settings: what is configured instead of recognised; its topics are not looked at.
            cameras: names of the cameras that will speak.
            use_imu: False leaves the inertial samples out.
            wait_for_tf: False where no tf can come: only what is configured counts.
        """
        self.settings = settings or RecordingConfig()
        self.calibration: Calibration | None = None
        self.point_time: PointTime | None = None
        self.notes: list[str] = []
        self.undecoded: dict[str, tuple[int, str]] = {}
        self.frames: dict[str, str] = {}
        self.strays: dict[str, str] = {}
        self._orderly: dict[str, int] = {}
        self._cameras, self._use_imu, self._wait = tuple(cameras), use_imu, LONGEST_WAIT if wait_for_tf else 0
        self._tree, self._infos = TfTree(), dict[str, CameraInfo]()
        self._time_names = TIME_NAMES | {normalised(self.settings.time_field or "t")}
        self._held: list[Cloud | ImuSample | Image] = []
        self._scans = 0

    @property
    def missing(self) -> str:
        """What is waited for, as a phrase; empty when nothing is."""
        if self.calibration is not None:
            return ""
        if self._scans < SAMPLED_CLOUDS:
            return f"scans: {self._scans} of the first {SAMPLED_CLOUDS} came"
        return "; ".join(self._unplaced())

    def points(self, data: bytes, livox: bool = False) -> list[Measurement]:
        """A PointCloud2 or Livox CustomMsg; one that cannot be decoded is an empty scan, one of another frame none."""
        try:
            cloud = parse_custom_msg(data, False) if livox else parse_pointcloud2(data, False, self._time_names)
        except DECODING_ERRORS as error:
            self._count("points", error)
            stamp_ns, frame = parse_stamp(data, False)
            cloud = Cloud(stamp_ns, frame, np.zeros((0, 3), np.float32), {}, None)
        if not self._is_in_frame("points", cloud.frame):
            return []
        self._scans += 1
        return self._take(cloud)

    def imu(self, data: bytes) -> list[Measurement]:
        """An Imu; one of another frame is left out."""
        if not self._use_imu or not self._is_in_frame("imu", parse_stamp(data, False)[1]):
            return []
        return self._decoded("imu", lambda: parse_imu(data, False))

    def image(self, camera: str, data: bytes, compressed: bool = False) -> list[Measurement]:
        """An Image or CompressedImage of one of the cameras."""

        def decode() -> Image:
            picture = (parse_compressed_image if compressed else parse_image)(data, False)
            return Image(picture.stamp_ns, camera, picture.pixels)

        return self._decoded(camera, decode)

    def camera_info(self, camera: str, data: bytes) -> None:
        """A CameraInfo; the first one counts."""
        if camera not in self._infos and self.calibration is None:
            try:
                self._infos[camera] = parse_camera_info(data, False)
            except DECODING_ERRORS as error:
                self._count(f"{camera} camera_info", error)

    def transforms(self, data: bytes) -> None:
        """A TFMessage of tf_static."""
        try:
            for pose in parse_transforms(data, False):
                self._tree.add(pose)
        except DECODING_ERRORS as error:
            self._count("tf_static", error)

    def _decoded(self, kind: str, decode: Callable[[], ImuSample | Image]) -> list[Measurement]:
        try:
            return self._take(decode())
        except DECODING_ERRORS as error:
            self._count(kind, error)
            return []

    def _take(self, item: Cloud | ImuSample | Image) -> list[Measurement]:
        """What can be handed on now, in the order of arrival."""
        if self.calibration is not None:
            unseen = isinstance(item, Image) and item.camera not in self.calibration.cameras
            return [] if unseen else [self._measurement(item)]
        self._held.append(item)
        del self._held[:-_MOST_HELD]
        if not self._is_ready():
            return []
        self._settle()
        held, self._held = self._held, []
        return [self._measurement(one) for one in held]

    def _measurement(self, item: Cloud | ImuSample | Image) -> Measurement:
        return scan_of(item, self.point_time) if isinstance(item, Cloud) else item

    def _is_ready(self) -> bool:
        if self._scans < SAMPLED_CLOUDS:
            return False
        return self._scans >= max(self._wait, SAMPLED_CLOUDS) or not self._unplaced()

    def _unplaced(self) -> list[str]:
        """Sensors of which nobody has said yet where they sit or how they see."""
        base, settings = self.settings.base_frame, self.settings
        wanted = {} if settings.T_base_lidar else {"points": self.frames.get("points", "")}
        if self._use_imu and not settings.T_base_imu:
            wanted["imu"] = self.frames.get("imu", "")
        wanted |= {name: info.frame for name, info in self._infos.items()}
        found = [
            f"tf_static from {base} to {frame!r} of {name}" if frame else f"a message of {name}"
            for name, frame in wanted.items()
            if self._tree.find(base, frame) is None
        ]
        return found + [f"camera_info of {name}" for name in self._cameras if name not in self._infos]

    def _settle(self) -> None:
        clouds = [one for one in self._held if isinstance(one, Cloud)][:SAMPLED_CLOUDS]
        filled = [cloud for cloud in clouds if len(cloud.points)] or clouds[:1]
        try:
            self.point_time, sentence = recognise(filled, self.settings)
        except RecordingError as error:
            sentence = f"{error}; scans are not deskewed"
        self.notes += [sentence, *(f"gone on without {what}" for what in self._unplaced()), *self._tree.problems]
        frames = Frames(self.settings.base_frame, self.frames["points"], self.frames.get("imu", ""))
        calibration, base = calibration_from_tf(self._tree, frames, self.notes)
        cameras = {
            name: camera
            for name, info in self._infos.items()
            if (camera := usable_camera(info, self._tree.find(base, info.frame), name, self.notes)) is not None
        }
        self.calibration = with_configured(replace(calibration, cameras=cameras), self.settings)
        self._held = [one for one in self._held if not isinstance(one, Image) or one.camera in cameras]

    def _is_in_frame(self, topic: str, frame: str) -> bool:
        """Whether it is the frame of the first message on this topic; what is not is noted."""
        if self.frames.setdefault(topic, frame) != frame:
            self.strays[topic], self._orderly[topic] = frame, 0
            return False
        if topic in self.strays:
            self._orderly[topic] += 1
            if self._orderly[topic] >= _ORDERLY:
                del self.strays[topic]
        return True

    def _count(self, kind: str, error: Exception) -> None:
        count, _ = self.undecoded.get(kind, (0, ""))
        self.undecoded[kind] = (count + 1, str(error))
