# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""The tables of nuScenes (Caesar et al., CVPR 2020), read once and reduced to what detection needs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import Any, NamedTuple

from detection.datasets.reading import Matrix, pose, read_json
from detection.errors import DatasetError

LIDAR = "LIDAR_TOP"
DETECTION_CLASSES = {
    "vehicle.car": "car",
    "vehicle.truck": "truck",
    "vehicle.construction": "construction_vehicle",
    "vehicle.bus.bendy": "bus",
    "vehicle.bus.rigid": "bus",
    "vehicle.trailer": "trailer",
    "movable_object.barrier": "barrier",
    "vehicle.motorcycle": "motorcycle",
    "vehicle.bicycle": "bicycle",
    "human.pedestrian.adult": "pedestrian",
    "human.pedestrian.child": "pedestrian",
    "human.pedestrian.construction_worker": "pedestrian",
    "human.pedestrian.police_officer": "pedestrian",
    "movable_object.trafficcone": "traffic_cone",
}
"""The ten classes of the detection task; annotations of other categories are left out."""


class Capture(NamedTuple):
    """One file of one sensor: its moment, the tokens of its calibration and pose, and of the capture before it."""

    file: str
    stamp_ns: int
    sensor: str
    pose: str
    previous: str


class Annotation(NamedTuple):
    """One box in the global frame, and the tokens of the same thing's boxes in the key frames before and after."""

    sample: str
    stamp_ns: int
    instance: str
    class_name: str
    centre: list[float]
    size_wlh: list[float]
    wxyz: list[float]
    points: int
    previous: str
    next: str


class KeyFrame(NamedTuple):
    """One sample: captures by channel, and tokens of its annotations."""

    token: str
    stamp_ns: int
    captures: dict[str, Capture]
    annotations: list[str]


class Tables:
    """The tables of one version.

    Attributes:
        frames: key frames of the wanted scenes, scene after scene, in the order of time.
        sweeps: every capture of the LiDAR, by token.
        annotations: of the detection classes, by token; none in the test split.
    """

    def __init__(self, folder: Path, scenes: Collection[str] | None = None) -> None:
        """Raises:
        DatasetError: a table that is missing, damaged or lacks a column, or a wanted scene that is not there.
        """
        self.folder = folder
        channels = self._keyed("sensor", lambda row: (row["channel"], row["modality"]))
        sensors = self._keyed("calibrated_sensor", lambda row: row)
        self._sensors = sensors
        channel_of = {token: channels[row["sensor_token"]] for token, row in sensors.items()}
        samples = self._wanted_samples(scenes)
        self.sweeps, captures = self._captures(samples, channel_of)
        self._poses = self._needed_poses(captures)
        self.annotations = self._annotations(samples)
        of_sample = defaultdict(list)
        for token, annotation in self.annotations.items():
            of_sample[annotation.sample].append(token)
        self.frames = [KeyFrame(token, stamp, captures[token], of_sample[token]) for token, stamp in samples.items()]

    def T_ego_sensor(self, capture: Capture) -> Matrix:
        """(4, 4) of the capture's sensor."""
        return _pose(self._sensors[capture.sensor], f"{self.folder}: calibrated_sensor {capture.sensor}")

    def T_world_ego(self, capture: Capture) -> Matrix:
        """(4, 4) of the vehicle at the capture's moment."""
        return _pose(self._poses[capture.pose], f"{self.folder}: ego_pose {capture.pose}")

    def K(self, capture: Capture) -> list[list[float]]:
        """Intrinsic matrix of the capture's camera, pixels."""
        return self._sensors[capture.sensor]["camera_intrinsic"]

    def _wanted_samples(self, scenes: Collection[str] | None) -> dict[str, int]:
        """Token and stamp of each key frame."""
        names = self._keyed("scene", lambda row: row["name"])
        if missing := sorted(set(scenes or ()) - set(names.values())):
            raise DatasetError(f"{self.folder} has no scene {missing[0]} ({len(missing)} missing, {len(names)} there)")
        rank = {token: at for at, (token, name) in enumerate(names.items()) if scenes is None or name in scenes}
        rows = self._keyed("sample", lambda row: (row["scene_token"], row["timestamp"] * 1000))
        kept = [(rank[scene], stamp, token) for token, (scene, stamp) in rows.items() if scene in rank]
        return {token: stamp for _, stamp, token in sorted(kept)}

    def _captures(
        self, samples: dict[str, int], channel_of: dict[str, tuple[str, str]]
    ) -> tuple[dict[str, Capture], dict[str, dict[str, Capture]]]:
        """Every capture of the LiDAR, by token; and of each sample those of LiDAR and cameras, by channel."""
        sweeps: dict[str, Capture] = {}
        found: dict[str, dict[str, Capture]] = {token: {} for token in samples}
        for row in self._rows("sample_data"):
            channel, modality = channel_of[row["calibrated_sensor_token"]]
            capture = Capture(
                row["filename"],
                row["timestamp"] * 1000,
                row["calibrated_sensor_token"],
                row["ego_pose_token"],
                row["prev"],
            )
            if channel == LIDAR:
                sweeps[row["token"]] = capture
            if row["is_key_frame"] and row["sample_token"] in found and (channel == LIDAR or modality == "camera"):
                found[row["sample_token"]][channel] = capture
        if missing := [token for token, captures in found.items() if LIDAR not in captures]:
            raise DatasetError(f"{self.folder}: sample_data.json has no {LIDAR} for {len(missing)} of {len(found)}")
        return sweeps, found

    def _needed_poses(self, captures: dict[str, dict[str, Capture]]) -> dict[str, dict[str, Any]]:
        used = {one.pose for one in self.sweeps.values()}
        used |= {one.pose for channels in captures.values() for one in channels.values()}
        poses = {row["token"]: row for row in self._rows("ego_pose") if row["token"] in used}
        if len(poses) < len(used):
            raise DatasetError(f"{self.folder}: ego_pose.json lacks {len(used) - len(poses)} of {len(used)} poses")
        return poses

    def _annotations(self, samples: dict[str, int]) -> dict[str, Annotation]:
        categories = self._keyed("category", lambda row: DETECTION_CLASSES.get(row["name"], ""))
        class_of = self._keyed("instance", lambda row: categories[row["category_token"]])
        found = {}
        for row in self._rows("sample_annotation"):
            name = class_of[row["instance_token"]]
            if name and row["sample_token"] in samples:
                found[row["token"]] = Annotation(
                    row["sample_token"],
                    samples[row["sample_token"]],
                    row["instance_token"],
                    name,
                    row["translation"],
                    row["size"],
                    row["rotation"],
                    row["num_lidar_pts"],
                    row["prev"],
                    row["next"],
                )
        return found

    def _keyed(self, name: str, value: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
        return {row["token"]: value(row) for row in self._rows(name)}

    def _rows(self, name: str) -> Iterable[dict[str, Any]]:
        path = self.folder / f"{name}.json"
        rows = read_json(path)
        if not isinstance(rows, list):
            raise DatasetError(f"{path} holds a {type(rows).__name__}, expected a list of rows")
        return rows


def _pose(row: dict[str, Any], where: str) -> Matrix:
    return pose(row["rotation"], row["translation"], where)
