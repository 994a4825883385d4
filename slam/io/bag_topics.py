# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Which topics of a bag are the LiDAR, the IMU, the cameras and the true poses."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from slam.errors import RecordingError
from slam.io.bag_types import Topic
from slam.io.settings import RecordingConfig

POINT_KINDS = ("PointCloud2", "CustomMsg")
IMAGE_KINDS = ("Image", "CompressedImage")
POSE_KINDS = ("Odometry", "PoseStamped", "PoseWithCovarianceStamped")
PROCESSED = ("map", "registered", "deskew", "undistort", "filtered", "cropped", "depth", "ground", "obstacle", "visual")
RAW_PACKETS = ("packet", "VelodyneScan", "PandarScan", "RslidarScan")
TRUTH = re.compile(r"(^|[/_])(ground_?truth|gt)([/_]|$)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ChosenTopics:
    """Names of the topics that are read.

    Attributes:
        points: the LiDAR.
        imu: or None.
        images: topic by name of the camera (the topic without image_raw and the like).
        truth: Odometry or pose topic with true poses, or None.
        notes: which were chosen among several.
    """

    points: str
    imu: str | None = None
    images: dict[str, str] = field(default_factory=dict)
    truth: str | None = None
    notes: list[str] = field(default_factory=list)


def choose_topics(topics: dict[str, Topic], settings: RecordingConfig, name: str) -> ChosenTopics:
    """Choose by type, then by name and count; what the configuration names is taken.

    Raises:
        RecordingError: a configured topic is missing or of another type, or there are no scans.
    """
    notes: list[str] = []
    points = _points(topics, settings, notes, name)
    imu = _imu(topics, settings, points, notes)
    images = _images(topics, settings, notes)
    return ChosenTopics(points, imu, images, _truth(topics, settings), notes)


def camera_name(topic: str) -> str:
    """/cam/front/image_raw/compressed is the camera cam/front."""
    parts = topic.strip("/").split("/")
    while len(parts) > 1 and (parts[-1] in ("compressed", "image") or parts[-1].startswith("image_")):
        parts.pop()
    return "/".join(parts)


def _of_kind(topics: dict[str, Topic], kinds: tuple[str, ...]) -> list[Topic]:
    return [t for t in topics.values() if t.kind in kinds and t.count > 0]


def _configured(topics: dict[str, Topic], name: str, kinds: tuple[str, ...], key: str) -> str:
    topic = topics.get(name) or topics.get("/" + name)
    if topic is None or topic.kind not in kinds or not topic.count:
        have = ", ".join(f"{t.name} ({t.count})" for t in _of_kind(topics, kinds)) or "none"
        what = "is not in the bag" if topic is None else f"is {topic.msgtype} with {topic.count} messages"
        raise RecordingError(f"{key} {name!r} {what}; topics of type {' or '.join(kinds)}: {have}")
    return topic.name


def _points(topics: dict[str, Topic], settings: RecordingConfig, notes: list[str], name: str) -> str:
    if settings.points_topic is not None:
        return _configured(topics, settings.points_topic, POINT_KINDS, "points_topic")
    found = _of_kind(topics, POINT_KINDS)
    if not found:
        raise RecordingError(_no_scans(topics, name))
    best = min(found, key=lambda t: (_looks_processed(t.name), -t.count, t.name))
    if len(found) > 1:
        others = ", ".join(f"{t.name} ({t.count})" for t in found if t is not best)
        notes.append(f"scans from {best.name} ({best.count}); not used: {others} (points_topic chooses)")
    return best.name


def _looks_processed(name: str) -> bool:
    return any(word in name.lower() for word in PROCESSED)


def _no_scans(topics: dict[str, Topic], name: str) -> str:
    total = sum(t.count for t in topics.values())
    have = ", ".join(f"{t.name} ({t.kind}, {t.count})" for t in sorted(topics.values(), key=lambda t: t.name))
    cause = "were scans recorded?"
    if any(word in t.name or word in t.msgtype for t in topics.values() for word in RAW_PACKETS):
        cause = "it holds the LiDAR's raw packets: play it through the driver and record its point cloud"
    return f"{name}: no PointCloud2 or Livox CustomMsg among {total} messages; topics: {have or 'none'}; {cause}"


def _imu(topics: dict[str, Topic], settings: RecordingConfig, points: str, notes: list[str]) -> str | None:
    if settings.imu_topic is not None:
        return _configured(topics, settings.imu_topic, ("Imu",), "imu_topic")
    found = _of_kind(topics, ("Imu",))
    if not found:
        notes.append("no sensor_msgs/Imu in the bag")
        return None
    best = min(found, key=lambda t: (-_common_parts(t.name, points), -t.count, t.name))
    if len(found) > 1:
        others = ", ".join(f"{t.name} ({t.count})" for t in found if t is not best)
        notes.append(f"IMU from {best.name} ({best.count}); not used: {others} (imu_topic chooses)")
    return best.name


def _common_parts(a: str, b: str) -> int:
    """How many leading parts of two topic names agree: a LiDAR's own IMU lies beside it."""
    count = 0
    for one, other in zip(a.strip("/").split("/")[:-1], b.strip("/").split("/")[:-1], strict=False):
        if one != other:
            break
        count += 1
    return count


def _images(topics: dict[str, Topic], settings: RecordingConfig, notes: list[str]) -> dict[str, str]:
    if settings.image_topics is not None:
        names = [_configured(topics, name, IMAGE_KINDS, "image_topics") for name in settings.image_topics]
        return {camera_name(name): name for name in names}
    found = [t for t in _of_kind(topics, IMAGE_KINDS) if "depth" not in t.name.lower()]
    chosen: dict[str, Topic] = {}
    for topic in sorted(found, key=lambda t: (-t.count, t.kind != "Image", t.name)):
        chosen.setdefault(camera_name(topic.name), topic)
    if len(chosen) < len(found):
        notes.append(f"pictures from {', '.join(t.name for t in chosen.values())}; other topics show the same cameras")
    return {camera: topic.name for camera, topic in chosen.items()}


def _truth(topics: dict[str, Topic], settings: RecordingConfig) -> str | None:
    if settings.ground_truth_topic is not None:
        return _configured(topics, settings.ground_truth_topic, POSE_KINDS, "ground_truth_topic")
    found = sorted(_of_kind(topics, POSE_KINDS), key=lambda t: POSE_KINDS.index(t.kind))
    return next((t.name for t in found if TRUTH.search(t.name)), None)
