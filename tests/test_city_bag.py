# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""The recorded bag holds what was simulated, readable without us."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("open3d")

from rosbags.interfaces import QosDurability
from rosbags.rosbag2 import Reader
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from city_worlds import SHORT, small_town
from mem4nav.cli.main import main
from sim_envs.city import Fault, SimulatedDrive, simulate_drive
from sim_envs.city.bag import write_bag
from sim_envs.errors import BagWriteError
from slam.io.opening import open_recording
from slam.measurements import ImuSample, Scan


@pytest.fixture(scope="module")
def drive() -> SimulatedDrive:
    return simulate_drive(small_town(), replace(SHORT, duration_s=1.2))


@pytest.fixture(scope="module")
def bag(drive: SimulatedDrive, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bags") / "town"
    write_bag(drive, path, images=True)
    return path


def messages(bag: Path, topic: str) -> list:
    """(log time, message) of a topic, decoded with the definitions that the file itself carries."""
    store = get_typestore(Stores.EMPTY)
    with Reader(bag) as reader:
        for connection in reader.connections:
            store.register(get_types_from_msg(connection.msgdef.data, connection.msgtype))
        chosen = [c for c in reader.connections if c.topic == topic]
        return [(at, store.deserialize_cdr(raw, c.msgtype)) for c, at, raw in reader.messages(connections=chosen)]


def test_points_come_back_with_time_ring_and_intensity(bag: Path, drive: SimulatedDrive) -> None:
    clouds = messages(bag, "/points")
    assert len(clouds) == 12
    log_time, cloud = clouds[3]
    scan = drive.scan(3)
    stamp = cloud.header.stamp.sec * 10**9 + cloud.header.stamp.nanosec
    assert (stamp, log_time, cloud.header.frame_id) == (scan.stamp_ns, scan.stamp_ns + 100_000_000, "lidar")
    names = {"names": [], "formats": [], "offsets": [], "itemsize": cloud.point_step}
    for field in cloud.fields:
        names["names"].append(field.name)
        names["formats"].append({7: "<f4", 4: "<u2", 6: "<u4"}[field.datatype])
        names["offsets"].append(field.offset)
    rows = np.frombuffer(cloud.data.tobytes(), np.dtype(names))
    np.testing.assert_array_equal(np.stack([rows["x"], rows["y"], rows["z"]], axis=1), scan.points)
    np.testing.assert_array_equal(rows["t"], scan.offsets_ns)
    np.testing.assert_array_equal(rows["intensity"], scan.intensity)
    assert set(rows["ring"].tolist()) <= set(range(16))


def test_boxes_carry_identity_size_and_motion(bag: Path, drive: SimulatedDrive) -> None:
    arrays = messages(bag, "/ground_truth/boxes")
    first = arrays[0][1]
    boxes = drive.boxes(0.0, 80.0)
    assert [d.id for d in first.detections] == [f"{b.kind}_{b.identity}" for b in boxes]
    assert [d.bbox.size.x for d in first.detections] == [b.size[0] for b in boxes]
    moving = [b for b in boxes if b.velocity.any()]
    objects = [m for _, m in messages(bag, "/ground_truth/objects")][: len(moving)]
    assert [m.child_frame_id for m in objects] == [f"{b.kind}_{b.identity}" for b in moving]
    speeds = [np.linalg.norm([m.twist.twist.linear.x, m.twist.twist.linear.y]) for m in objects]
    np.testing.assert_allclose(speeds, [np.linalg.norm(b.velocity[:2]) for b in moving], atol=1e-9)


def test_truth_images_and_static_frames_are_there(bag: Path, drive: SimulatedDrive) -> None:
    assert len(messages(bag, "/ground_truth/odom")) == 61
    image = messages(bag, "/camera/front/image_raw")[0][1]
    assert (image.width, image.height, image.encoding) == (96, 72, "rgb8")
    info = messages(bag, "/camera/front/camera_info")[0][1]
    np.testing.assert_allclose(info.k, drive.calibration.cameras["front"].K.ravel())
    frames = {t.child_frame_id for t in messages(bag, "/tf_static")[0][1].transforms}
    assert frames == {"lidar", "imu", "camera_front_optical"}
    with Reader(bag) as reader:
        latched = {c.topic: c.ext.offered_qos_profiles[0].durability for c in reader.connections}
    assert latched["/tf_static"] == QosDurability.TRANSIENT_LOCAL
    assert latched["/points"] == QosDurability.VOLATILE


def test_our_own_reader_gives_back_the_measurements(bag: Path, drive: SimulatedDrive) -> None:
    recording = open_recording(bag)
    mine, read = list(drive.measurements()), list(recording.measurements())
    for kind in (Scan, ImuSample):
        a, b = ([m for m in stream if isinstance(m, kind)] for stream in (mine, read))
        assert [m.stamp_ns for m in a] == [m.stamp_ns for m in b]
    np.testing.assert_allclose(recording.calibration.T_base_lidar, drive.calibration.T_base_lidar, atol=1e-9)
    assert recording.calibration.T_base_imu is not None
    np.testing.assert_allclose(recording.calibration.T_base_imu, drive.calibration.T_base_imu, atol=1e-9)


def test_the_same_drive_is_recorded_in_the_same_bytes(bag: Path, drive: SimulatedDrive, tmp_path: Path) -> None:
    write_bag(drive, tmp_path / "town", images=True)
    assert (tmp_path / "town" / "town.mcap").read_bytes() == (bag / "town.mcap").read_bytes()


def test_a_bag_is_never_overwritten(bag: Path, drive: SimulatedDrive) -> None:
    with pytest.raises(BagWriteError, match="exists"):
        write_bag(drive, bag)


def test_a_drive_with_faults_is_recorded_with_them(drive: SimulatedDrive, tmp_path: Path) -> None:
    failing = drive.with_faults(Fault("imu", "off", 0.5, 1.0), Fault("lidar", "delayed", 0.0, 1.0))
    counts = write_bag(failing, tmp_path / "failing")
    assert counts.imu == 241 - 100
    times = [at for at, _ in messages(tmp_path / "failing", "/points")]
    assert times == sorted(times)


def test_the_command_leaves_bag_truth_and_metrics(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    words = ["--world", "corridor", "--duration", "1", "--channels", "8", "--columns", "128", "--no-images"]
    faults = ["--fault", "imu:off:0.2:0.4", "--fault", "lidar:slow:0.5:1:2"]
    assert main(["simulate", "--out", str(tmp_path), *words, *faults, "--quiet"]) == 0
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert (metrics["scans"], metrics["imu_samples"], metrics["faults"]) == (8, 161, faults[1::2])
    assert (tmp_path / "ground_truth.tum").read_text().count("\n") >= 100
    assert main(["simulate", "--out", str(tmp_path), *words]) == 2
    assert main(["simulate", "--out", str(tmp_path / "b"), "--fault", "wing:off"]) == 2
    assert "wing" in capsys.readouterr().err
