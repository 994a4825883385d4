# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Calibration out of a bag: tf_static for where the sensors sit, camera_info for how cameras project."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from slam.calibration import Calibration, Camera
from slam.errors import RecordingError
from slam.io.bag_source import Bag
from slam.io.messages import CameraInfo, StampedPose, parse_camera_info, parse_transforms
from slam.io.tf_tree import TfTree, constant_edges

TF_MESSAGES_LOOKED_AT = 500
PINHOLE_MODELS = {"plumb_bob": 5, "": 5, "rational_polynomial": 5, "radtan": 5}


@dataclass(frozen=True, slots=True)
class Frames:
    """Frames of the chosen sensors, as their messages name them; empty where there is none."""

    base: str
    lidar: str
    imu: str = ""


def read_tf_tree(bag: Bag) -> TfTree:
    """tf_static, and what never changes on tf."""
    tree = TfTree()
    names = [t.name for t in bag.topics.values() if t.kind == "TFMessage"]
    static = [name for name in names if "static" in name]
    moving = [name for name in names if "static" not in name]
    early = islice(_transforms(bag, moving), TF_MESSAGES_LOOKED_AT) if moving else ()
    for pose in (*constant_edges(early), *_transforms(bag, static)):
        tree.add(pose)
    return tree


def _transforms(bag: Bag, topics: list[str]) -> Iterator[StampedPose]:
    for message in bag.messages(topics) if topics else ():
        try:
            yield from parse_transforms(message.data, bag.ros1)
        except RecordingError as err:
            bag.add_note(f"{message.topic}: {err}")


def calibration_from_tf(tree: TfTree, frames: Frames, notes: list[str]) -> tuple[Calibration, str]:
    """Extrinsics, and the frame that serves as base_link: the LiDAR's where base_link is not connected to it."""
    T_base_lidar = tree.find(frames.base, frames.lidar)
    if T_base_lidar is not None:
        source = "tf_static" if tree.edges else f"identity: the scans are in {frames.base}"
        T_base_imu = _imu_transform(tree, frames, frames.base, notes)
        return Calibration(T_base_lidar, T_base_imu, source=source), frames.base
    notes.append(_unconnected(tree, frames))
    T_lidar_imu = _imu_transform(tree, frames, frames.lidar, notes)
    source = f"identity: no way from {frames.base} to the LiDAR's frame {frames.lidar!r} in tf_static"
    return Calibration(np.eye(4), T_lidar_imu, source=source), frames.lidar


def _unconnected(tree: TfTree, frames: Frames) -> str:
    known = ", ".join(sorted(tree.frames())) or "no frame at all"
    return (
        f"tf_static does not connect {frames.base} with the LiDAR's frame {frames.lidar!r} (it knows {known}): "
        "base_link is put into the LiDAR"
    )


def _imu_transform(tree: TfTree, frames: Frames, base: str, notes: list[str]) -> NDArray[np.float64] | None:
    if not frames.imu:
        return None
    T_base_imu = tree.find(base, frames.imu)
    if T_base_imu is None:
        notes.append(f"nobody says where the IMU's frame {frames.imu!r} lies to {base!r}: set T_base_imu to use it")
    return T_base_imu


def read_cameras(bag: Bag, images: dict[str, str], tree: TfTree, base: str, notes: list[str]) -> dict[str, Camera]:
    """Cameras whose camera_info is in the bag and whose frame tf connects with ``base``."""
    cameras = {}
    for name, topic in images.items():
        info = _camera_info(bag, name)
        if info is None:
            notes.append(f"no camera_info for {topic}: its pictures cannot be used")
            continue
        camera = usable_camera(info, tree.find(base, info.frame), name, notes)
        if camera is not None:
            cameras[name] = camera
    return cameras


def _camera_info(bag: Bag, name: str) -> CameraInfo | None:
    topics = [t.name for t in bag.topics.values() if t.kind == "CameraInfo" and t.name.strip("/").startswith(name)]
    for message in bag.messages(topics[:1]) if topics else ():
        try:
            return parse_camera_info(message.data, bag.ros1)
        except RecordingError as err:
            bag.add_note(f"{message.topic}: {err}")
    return None


def usable_camera(
    info: CameraInfo, T_base_camera: NDArray[np.float64] | None, name: str, notes: list[str]
) -> Camera | None:
    """The camera of a camera_info, or None and a note that says why its pictures cannot be used."""
    if T_base_camera is None:
        notes.append(f"camera {name}: tf_static does not know its frame {info.frame!r}; its pictures cannot be used")
        return None
    if info.model not in PINHOLE_MODELS or not np.all(np.isfinite(info.K)) or info.K[0, 0] <= 0:
        notes.append(f"camera {name}: distortion model {info.model!r} with fx {info.K[0, 0]:.4g} is not usable")
        return None
    distortion = np.zeros(5)
    distortion[: min(5, len(info.distortion))] = info.distortion[:5]
    if np.any(info.distortion[5:]):
        notes.append(f"camera {name}: only the first five of {len(info.distortion)} distortion terms are used")
    return Camera(info.width, info.height, info.K, distortion, T_base_camera)
