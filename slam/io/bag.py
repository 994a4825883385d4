# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Bags as recordings: topics chosen, calibration resolved, point time recognised, messages decoded."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np

from slam.calibration import Calibration
from slam.errors import RecordingError
from slam.io.bag_calibration import Frames, calibration_from_tf, read_cameras, read_tf_tree
from slam.io.bag_source import Bag, open_bag
from slam.io.bag_topics import ChosenTopics, choose_topics
from slam.io.bag_types import RawMessage
from slam.io.extrinsics import with_configured
from slam.io.livox import parse_custom_msg
from slam.io.messages import (
    Picture,
    StampedPose,
    parse_compressed_image,
    parse_image,
    parse_imu,
    parse_pose,
    parse_stamp,
)
from slam.io.point_time import TIME_NAMES, recognise, scan_of
from slam.io.pointcloud2 import Cloud, normalised, parse_pointcloud2
from slam.io.settings import RecordingConfig
from slam.measurements import Image, Measurement, Scan
from slam.trajectory import Trajectory

log = logging.getLogger(__name__)

SAMPLED_CLOUDS = 5
SAMPLED_MESSAGES = 20
DECODING_ERRORS = (RecordingError, ValueError, OverflowError)  # of bytes that are no such message


class BagRecording:
    """A bag, opened: see ``slam.io.recording.Recording``.

    Attributes:
        bag, topics, frames: what lies under it, for reports.
        point_time: how per-point time is read, or None.
    """

    def __init__(self, path: Path, settings: RecordingConfig | None = None) -> None:
        self.settings = settings or RecordingConfig()
        self.name = path.stem
        self.bag: Bag = open_bag(path)
        self.topics: ChosenTopics = choose_topics(self.bag.topics, self.settings, path.name)
        self._notes = list(self.topics.notes)
        self._undecoded: dict[str, tuple[int, str]] = {}
        self._time_names = TIME_NAMES | {normalised(self.settings.time_field or "t")}
        first = self._first_clouds(path)
        self.point_time, sentence = recognise(first, self.settings)
        self._notes.append(sentence)
        log.info("%s: %s", self.name, sentence)
        self.frames = Frames(self.settings.base_frame, first[0].frame, self._first_frame(self.topics.imu))
        self.calibration = self._calibration()

    @property
    def scan_count(self) -> int:
        return self.bag.topics[self.topics.points].count

    @property
    def notes(self) -> list[str]:
        """What was recognised and what went wrong so far."""
        undecoded = [f"{n} messages of {t} could not be decoded: {why}" for t, (n, why) in self._undecoded.items()]
        return [*self._notes, *self.bag.notes, *undecoded]

    def measurements(self, *, images: bool = False) -> Iterator[Measurement]:
        """Everything in recorded order; a cloud that cannot be decoded is an empty scan."""
        decoders: dict[str, Callable[[RawMessage], Measurement | None]] = {self.topics.points: self._scan}
        if self.topics.imu is not None:
            ros1 = self.bag.ros1
            decoders[self.topics.imu] = lambda message: parse_imu(message.data, ros1)
        if images:
            cameras = {topic: name for name, topic in self.topics.images.items()}
            decoders |= {topic: self._image_decoder(topic, name) for topic, name in cameras.items()}
        for message in self.bag.messages(set(decoders)):
            try:
                measurement = decoders[message.topic](message)
            except DECODING_ERRORS as err:
                self._count_undecoded(message.topic, err)
                continue
            if measurement is not None:
                yield measurement

    def ground_truth(self) -> Trajectory | None:
        """Poses of base_link on the truth topic, in its world frame; None where there is no such topic."""
        if self.topics.truth is None:
            return None
        poses = list(self._truth_poses(self.topics.truth))
        if not poses:
            return None
        return Trajectory(
            np.array([p.stamp_ns for p in poses], np.int64),
            np.array([p.position for p in poses]),
            np.array([p.quaternion for p in poses]),
        )

    def _calibration(self) -> Calibration:
        tree = read_tf_tree(self.bag)
        self._notes += tree.problems
        calibration, base = calibration_from_tf(tree, self.frames, self._notes)
        cameras = read_cameras(self.bag, self.topics.images, tree, base, self._notes)
        calibration = with_configured(replace(calibration, cameras=cameras), self.settings)
        self._T_truth_base = tree.find(self._truth_child() or base, base)
        log.info("%s: extrinsics from %s", self.name, calibration.source)
        return calibration

    # scans

    def _scan(self, message: RawMessage) -> Scan:
        try:
            return scan_of(self._cloud(message), self.point_time)
        except DECODING_ERRORS as err:
            self._count_undecoded(message.topic, err)
            stamp_ns, _ = parse_stamp(message.data, self.bag.ros1)
            return Scan(stamp_ns, np.zeros((0, 3), np.float32))

    def _cloud(self, message: RawMessage) -> Cloud:
        if self.bag.kind_of(message.topic) == "CustomMsg":
            return parse_custom_msg(message.data, self.bag.ros1)
        return parse_pointcloud2(message.data, self.bag.ros1, self._time_names)

    def _first_clouds(self, path: Path) -> list[Cloud]:
        """The first clouds with points in them, or else an empty one; they tell frame and per-point time."""
        empty: list[Cloud] = []
        found: list[Cloud] = []
        for message in islice(self.bag.messages([self.topics.points]), SAMPLED_MESSAGES):
            try:
                cloud = self._cloud(message)
            except DECODING_ERRORS as err:
                self._count_undecoded(message.topic, err)
                continue
            (found if len(cloud.points) else empty).append(cloud)
            if len(found) == SAMPLED_CLOUDS:
                break
        if not found and not empty:
            why = self._undecoded.get(self.topics.points, (0, "no message"))[1]
            raise RecordingError(f"{path.name}: no cloud of {self.topics.points} can be decoded: {why}")
        self._undecoded.clear()
        return found or empty[:1]

    # the rest

    def _image_decoder(self, topic: str, camera: str) -> Callable[[RawMessage], Image]:
        compressed = self.bag.kind_of(topic) == "CompressedImage"
        parse: Callable[[bytes, bool], Picture] = parse_compressed_image if compressed else parse_image

        def decode(message: RawMessage) -> Image:
            picture = parse(message.data, self.bag.ros1)
            return Image(picture.stamp_ns, camera, picture.pixels)

        return decode

    def _first_frame(self, topic: str | None) -> str:
        for message in self.bag.messages([topic]) if topic else ():
            try:
                return parse_stamp(message.data, self.bag.ros1)[1]
            except DECODING_ERRORS:
                continue
        return ""

    def _truth_child(self) -> str:
        topic = self.topics.truth
        if topic is None or self.bag.kind_of(topic) != "Odometry":
            return ""
        return next((pose.child for pose in islice(self._poses(topic), 1)), "")

    def _truth_poses(self, topic: str) -> Iterator[StampedPose]:
        """Poses of base_link, where tf says how the frame that was recorded lies to it."""
        from scipy.spatial.transform import Rotation

        T_child_base = self._T_truth_base
        if T_child_base is None or np.allclose(T_child_base, np.eye(4)):
            yield from self._poses(topic)
            return
        for pose in self._poses(topic):
            T = pose.matrix @ T_child_base
            quaternion = Rotation.from_matrix(T[:3, :3]).as_quat()
            yield replace(pose, position=tuple(T[:3, 3]), quaternion=tuple(quaternion))

    def _poses(self, topic: str) -> Iterator[StampedPose]:
        has_child = self.bag.kind_of(topic) == "Odometry"
        for message in self.bag.messages([topic]):
            try:
                yield parse_pose(message.data, self.bag.ros1, has_child)
            except DECODING_ERRORS as err:
                self._count_undecoded(message.topic, err)

    def _count_undecoded(self, topic: str, err: Exception) -> None:
        count, why = self._undecoded.get(topic, (0, str(err)))
        self._undecoded[topic] = (count + 1, why)
