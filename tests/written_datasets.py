# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Small datasets in the layouts of others, written from one drive: a vehicle that turns past things that stand.

At t seconds the vehicle is at ``pose(t)``. ``POSTS`` stand in the world; a car drives at ``CAR_SPEED`` along world x.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as Pillow
from scipy.spatial.transform import Rotation

from slam.io.extrinsics import inverse, transform

START_NS = 1_600_000_000_000_000_000
K = np.array([[100.0, 0.0, 48.0], [0.0, 100.0, 32.0], [0.0, 0.0, 1.0]])
WIDTH, HEIGHT = 96, 64
T_EGO_LIDAR = transform(Rotation.from_euler("z", -90, degrees=True).as_matrix(), [0.9, 0.0, 1.84])
T_EGO_CAMERA = transform([[0, 0, 1], [-1, 0, 0], [0, -1, 0]], [1.7, 0.1, 1.5])
POSTS = np.array([[112.0, 62.0, 1.0], [118.0, 66.0, 2.0], [90.0, 40.0, 0.5]])
CAR_SPEED = 4.0
CAR_SIZE = np.array([4.0, 1.8, 1.5])
CAMERA_LEAD_S = 0.04


def pose(t: float) -> np.ndarray:
    """T_world_ego."""
    return transform(Rotation.from_euler("z", 0.8 + 0.3 * t).as_matrix(), [100.0 + 5.0 * t, 50.0 + 2.0 * t, 0.0])


def car(t: float) -> np.ndarray:
    """Centre of the car in the world; it looks along world x."""
    return np.array([110.0 + CAR_SPEED * t, 55.0, 0.75])


def seen(points: np.ndarray, T_world_frame: np.ndarray) -> np.ndarray:
    """World points in a frame."""
    T = inverse(T_world_frame)
    return points @ T[:3, :3].T + T[:3, 3]


def expected_pixels(points: np.ndarray, t: float) -> np.ndarray:
    """Where the camera sees world points at t."""
    ray = seen(points, pose(t) @ T_EGO_CAMERA)
    return ray[:, :2] / ray[:, 2:] * 100.0 + [48.0, 32.0]


def picture(path: Path, value: int = 90) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Pillow.new("RGB", (WIDTH, HEIGHT), (value, 40, 50)).save(path)


def write_nuscenes(folder: Path) -> Path:
    """Three key frames half a second apart, a sweep every 0.1 s, one camera that is 40 ms early."""
    times = np.arange(11) / 10.0
    keys = [0.0, 0.5, 1.0]
    tables: dict[str, list[dict[str, Any]]] = {
        "sensor": [_row("s-lidar", channel="LIDAR_TOP", modality="lidar"),
                   _row("s-camera", channel="CAM_FRONT", modality="camera"),
                   _row("s-radar", channel="RADAR_FRONT", modality="radar")],
        "calibrated_sensor": [
            _row("c-lidar", sensor_token="s-lidar", **_pose_columns(T_EGO_LIDAR), camera_intrinsic=[]),
            _row("c-camera", sensor_token="s-camera", **_pose_columns(T_EGO_CAMERA), camera_intrinsic=K.tolist()),
            _row("c-radar", sensor_token="s-radar", **_pose_columns(np.eye(4)), camera_intrinsic=[])],
        "scene": [_row("scene", name="scene-0001")],
        "sample": [_row(f"key{t}", scene_token="scene", timestamp=_micro(t)) for t in keys],
        "category": [_row("k-car", name="vehicle.car"), _row("k-animal", name="animal"),
                     _row("k-cone", name="movable_object.trafficcone")],
        "instance": [_row("i-car", category_token="k-car"), _row("i-animal", category_token="k-animal"),
                     _row("i-cone", category_token="k-cone")],
        "sample_data": [*(_lidar_row(folder, i, times) for i in range(len(times))),
                        *(_camera_row(folder, t) for t in keys),
                        _data_row("radar", "radar.pcd", "c-radar", "pose0.0", "key0.0", 0.0, True)],
        "ego_pose": [_row(f"pose{t}", **_pose_columns(pose(t))) for t in (*times, *(k - CAMERA_LEAD_S for k in keys))],
        "sample_annotation": _annotation_rows(keys),
    }  # fmt: skip
    for name, rows in tables.items():
        path = folder / "v1.0-tiny" / f"{name}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(rows))
    return folder


def _row(token: str, **columns: Any) -> dict[str, Any]:
    return {"token": token, **columns}


def _micro(t: float) -> int:
    return START_NS // 1000 + round(t * 1e6)


def _pose_columns(T: np.ndarray) -> dict[str, list[float]]:
    x, y, z, w = Rotation.from_matrix(T[:3, :3]).as_quat().tolist()
    return {"rotation": [w, x, y, z], "translation": T[:3, 3].tolist()}


def _data_row(token: str, file: str, sensor: str, at: str, sample: str, t: float, is_key: bool, previous: str = ""):
    return _row(
        token, filename=file, calibrated_sensor_token=sensor, ego_pose_token=at, sample_token=sample,
        timestamp=_micro(t), is_key_frame=is_key, prev=previous,
    )  # fmt: skip


def _lidar_row(folder: Path, i: int, times: np.ndarray) -> dict[str, Any]:
    """The posts, and a return of the vehicle's own roof."""
    t = float(times[i])
    rows = np.zeros((len(POSTS) + 1, 5), np.float32)
    rows[:-1, :3] = seen(POSTS, pose(t) @ T_EGO_LIDAR)
    rows[-1, :3] = [0.2, 0.3, -0.4]
    rows[:, 3] = 51.0
    file = f"samples/LIDAR_TOP/{i}.pcd.bin"
    (folder / file).parent.mkdir(parents=True, exist_ok=True)
    rows.tofile(folder / file)
    previous = f"sweep{i - 1}" if i else ""
    return _data_row(f"sweep{i}", file, "c-lidar", f"pose{t}", f"key{(i + 4) // 5 / 2}", t, i % 5 == 0, previous)


def _camera_row(folder: Path, key: float) -> dict[str, Any]:
    file = f"samples/CAM_FRONT/{key}.jpg"
    picture(folder / file)
    t = key - CAMERA_LEAD_S
    return _data_row(f"picture{key}", file, "c-camera", f"pose{t}", f"key{key}", t, True)


def _annotation_rows(keys: list[float]) -> list[dict[str, Any]]:
    ends = [None, *keys, None]
    rows = [
        _annotation(f"car{t}", "i-car", t, car(t), f"car{before}" if before is not None else "",
                    f"car{after}" if after is not None else "")
        for before, t, after in zip(ends, keys, ends[2:], strict=False)
    ]  # fmt: skip
    rows.append(_annotation("cone", "i-cone", keys[0], POSTS[0]))
    return [*rows, _annotation("animal", "i-animal", keys[0], POSTS[1])]


def _annotation(token: str, instance: str, t: float, centre: np.ndarray, previous: str = "", after: str = ""):
    length, width, height = CAR_SIZE.tolist()
    return _row(
        token, sample_token=f"key{t}", instance_token=instance, translation=centre.tolist(),
        size=[width, length, height], rotation=[1.0, 0.0, 0.0, 0.0], num_lidar_pts=7, prev=previous, next=after,
    )  # fmt: skip


def write_argoverse2(folder: Path) -> Path:
    """A log of four sweeps 0.1 s apart with one ring camera that is 40 ms early. Needs pyarrow."""
    times = np.arange(4) / 10.0
    shots = times - CAMERA_LEAD_S
    for t in times:
        here = seen(POSTS, pose(t)).astype(np.float16)
        columns = {axis: here[:, at] for at, axis in enumerate("xyz")} | {"intensity": np.full(3, 51, np.uint8)}
        write_feather(folder / "sensors" / "lidar" / f"{_nano(t)}.feather", columns)
    for t in shots:
        picture(folder / "sensors" / "cameras" / "ring_front_center" / f"{_nano(t)}.jpg")
    sensors = {"ring_front_center": T_EGO_CAMERA, "up_lidar": T_EGO_LIDAR}
    calibration = {"sensor_name": list(sensors)} | _columns_of([*sensors.values()])
    write_feather(folder / "calibration" / "egovehicle_SE3_sensor.feather", calibration)
    lens = {"fx_px": 100.0, "fy_px": 100.0, "cx_px": 48.0, "cy_px": 32.0, "k1": 0.0, "k2": 0.0, "k3": 0.0}
    lens |= {"sensor_name": "ring_front_center", "width_px": WIDTH, "height_px": HEIGHT}
    write_feather(folder / "calibration" / "intrinsics.feather", {key: [value] for key, value in lens.items()})
    moments = sorted([*times, *shots])
    drive = {"timestamp_ns": [_nano(t) for t in moments]} | _columns_of([pose(t) for t in moments])
    write_feather(folder / "city_SE3_egovehicle.feather", drive)
    boxes = [inverse(pose(t)) @ transform(np.eye(3), car(t)) for t in times]
    numbers = {"length_m": 4.0, "width_m": 1.8, "height_m": 1.5, "num_interior_pts": 7}
    words = {"track_uuid": "the-car", "category": "REGULAR_VEHICLE"}
    rows = {key: [value] * len(times) for key, value in (numbers | words).items()}
    write_feather(folder / "annotations.feather", {"timestamp_ns": [*map(_nano, times)]} | rows | _columns_of(boxes))
    return folder


def _nano(t: float) -> int:
    return START_NS + round(t * 1e9)


def _columns_of(poses: list[np.ndarray]) -> dict[str, list[float]]:
    quaternions = np.array([Rotation.from_matrix(T[:3, :3]).as_quat() for T in poses])
    places = np.array([T[:3, 3] for T in poses])
    columns = {name: quaternions[:, at].tolist() for at, name in enumerate(("qx", "qy", "qz", "qw"))}
    return columns | {name: places[:, at].tolist() for at, name in enumerate(("tx_m", "ty_m", "tz_m"))}


def write_feather(path: Path, columns: dict[str, Any]) -> None:
    import pyarrow
    from pyarrow import feather

    path.parent.mkdir(parents=True, exist_ok=True)
    feather.write_feather(pyarrow.table(columns), path)


def write_kitti(folder: Path) -> Path:
    """Two frames: a car 10 m ahead that looks left, and a region to ignore; then one without anything."""
    for name in ("velodyne", "calib", "label_2"):
        (folder / name).mkdir(parents=True)
    numbers = {
        "P2": "100 0 48 -50 0 100 32 3 0 0 1 0.1", "P3": "100 0 48 -90 0 100 32 0 0 0 1 0",
        "R0_rect": "1 0 0 0 1 0 0 0 1", "Tr_velo_to_cam": "0 -1 0 0 0 0 -1 -0.08 1 0 0 -0.27",
    }  # fmt: skip
    ahead = np.array([[10, 0, -1, 0.5], [10, 0.5, -1, 0.5], [-10, 0, -1, 0.5], [10, 30, -1, 0.5]], np.float32)
    for name, label in (("000000", KITTI_LABELS), ("000001", "\n")):
        (folder / "calib" / f"{name}.txt").write_text("".join(f"{key}: {row}\n" for key, row in numbers.items()))
        (folder / "label_2" / f"{name}.txt").write_text(label)
        ahead.tofile(folder / "velodyne" / f"{name}.bin")
        picture(folder / "image_2" / f"{name}.png")
    return folder


KITTI_LABELS = (
    "Car 0.25 1 0.1 40 30 60 50 1.5 1.8 4.0 0.0 1.65 9.73 -1.5707963\n"
    "DontCare -1 -1 -10 1.5 2.5 10 20 -1 -1 -1 -1000 -1000 -1000 -10\n"
)
