# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""What a rig's drivers, or a bag, call the topics that nodes know as points, imu and camera/<name>/image."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

from mem4nav.errors import UsageError
from slam.config import load
from slam.errors import ConfigError
from slam.io.bag_source import open_bag
from slam.io.bag_topics import camera_name, choose_topics
from slam.io.settings import RecordingConfig
from slam.replay_config import ReplayConfig
from slam.shipped import shipped_file


@dataclass(frozen=True, slots=True)
class Rig:
    """Sensors by the names that they go by.

    Attributes:
        config: file with the keys of ``mem4nav replay --config``; None: the defaults.
        points, imu: topics, "" where there is no such sensor.
        images: topics of pictures by the camera's name.
        livox: points are Livox's own message.
        base_frame: frame of the vehicle.
    """

    config: Path | None = None
    points: str = "points"
    imu: str = "imu"
    images: dict[str, str] = field(default_factory=dict)
    livox: bool = False
    base_frame: str = "base_link"

    def remappings(self) -> dict[str, str]:
        """The rig's topics by those that the nodes know, as relative names."""
        names = {"points": self.points, "imu": self.imu}
        for camera, topic in self.images.items():
            names[f"camera/{camera}/image"] = topic
            names[f"camera/{camera}/camera_info"] = f"{camera_name(topic)}/camera_info"
        relative = {name: topic.lstrip("/") for name, topic in names.items()}
        return {name: topic for name, topic in relative.items() if topic not in ("", name)}

    def heard(self) -> list[str]:
        """The rig's topics of points, IMU and pictures, as relative names."""
        return [topic.lstrip("/") for topic in (self.points, self.imu, *self.images.values()) if topic]


def read_rig(config: str = "", bag: str = "", cameras: bool = False) -> Rig:
    """The rig that a configuration describes, or that a bag was recorded with.

    Args:
        config: a YAML file, or the name of one that ships, such as "ouster"; "": nothing is configured.
        bag: what was recorded; "": the rig is live.
        cameras: whether its pictures are wanted.

    Raises:
        UsageError: a camera's pictures cannot be told apart from another's, or there are none.
        ConfigError, RecordingError: a file that cannot be read.
    """
    file = config_file(config)
    settings = load(ReplayConfig, file).recording
    rig = _recorded(file, settings, bag) if bag else _live(file, settings)
    if cameras and not rig.images:
        where = bag or "recording.image_topics"
        raise UsageError(f"cameras:=true, but {where} names no topic with pictures (sensor_msgs/Image)")
    return rig if cameras else replace(rig, images={})


def config_file(name: str) -> Path | None:
    """A configuration that was named by its path, or by the family's name.

    Raises:
        ConfigError: it is neither.
    """
    if not name:
        return None
    if (path := Path(name)).suffix or path.exists():
        return path.resolve()
    try:
        return shipped_file(f"config/{name}.yaml")
    except ConfigError:
        raise ConfigError(f"config {name!r} is neither a file nor the name of a family of sensors") from None


def _live(file: Path | None, settings: RecordingConfig) -> Rig:
    images = {_short(topic): topic for topic in settings.image_topics or ()}
    if len(images) < len(settings.image_topics or ()):
        raise UsageError(f"{file}: image_topics whose cameras have one name: {', '.join(settings.image_topics or ())}")
    points, imu = settings.points_topic or "points", settings.imu_topic or "imu"
    return Rig(file, points, imu, images, base_frame=settings.base_frame)


def _recorded(file: Path | None, settings: RecordingConfig, bag: str) -> Rig:
    path = Path(bag)
    topics = open_bag(path).topics
    chosen = choose_topics(topics, settings, path.name)
    images = {_short(topic): topic for topic in chosen.images.values() if topics[topic].kind == "Image"}
    livox = topics[chosen.points].kind == "CustomMsg"
    return Rig(file, chosen.points, chosen.imu or "", images, livox, settings.base_frame)


def _short(topic: str) -> str:
    """/camera/front/image_raw is the camera front."""
    return camera_name(topic).rpartition("/")[2]
