# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Bags of every kind give the same measurements, calibration and truth."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

from bag_writing import KINDS, SECOND, START_NS, Messages, cloud_rows, points_dtype, ring, standard_bag, write_bag
from slam.errors import RecordingError
from slam.io import RecordingConfig, open_recording
from slam.measurements import Image, ImuSample, Scan


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_bag_reads_the_same(kind: str, tmp_path: Path) -> None:
    recording = open_recording(standard_bag(tmp_path / "bag", kind))
    got = list(recording.measurements(images=True))
    scans = [m for m in got if isinstance(m, Scan)]
    imu = [m for m in got if isinstance(m, ImuSample)]
    images = [m for m in got if isinstance(m, Image)]
    assert recording.scan_count == len(scans) == 5 and len(imu) == 25 and len(images) == 5
    assert [s.stamp_ns for s in scans] == [START_NS + k * SECOND // 10 for k in range(5)]
    assert np.allclose(scans[3].points, ring() + np.array([0, 0, 3]), atol=1e-5) and scans[3].points.dtype == np.float32
    assert scans[0].offsets_ns.dtype == np.int64 and scans[0].offsets_ns[-1] == 99_000_000
    assert np.array_equal(scans[0].intensity, np.arange(64))
    assert imu[7].gyro.tolist() == [2, 1, 3] and imu[7].accel.tolist() == [0, 0, 9.8]
    assert images[2].camera == "front" and np.all(images[2].pixels == 2) and images[2].pixels.shape == (2, 4, 3)
    truth = recording.ground_truth()
    assert np.allclose(truth.positions[:, 0], range(5)) and truth.stamps_ns[4] == START_NS + 4 * SECOND // 10


@pytest.mark.parametrize("kind", ["rosbag1", "mcap"])
def test_extrinsics_come_from_tf_static_through_the_tree(kind: str, tmp_path: Path) -> None:
    calibration = open_recording(standard_bag(tmp_path / "bag", kind)).calibration
    assert np.allclose(calibration.T_base_lidar @ [1, 0, 0, 1], [0.5, 1, 1, 1])
    assert np.allclose(calibration.T_base_imu[:3, 3], [0.1, 0.2, 0.3])
    camera = calibration.cameras["front"]
    assert np.allclose(camera.T_base_camera @ [0, 0, 5, 1], [6, 0, 0, 1]), "optical z looks forward"
    assert camera.K[0, 0] == 3 and camera.distortion.tolist() == [0.1, 0.2, 0.3, 0.4, 0.5]
    assert calibration.source == "tf_static"


def test_a_single_storage_file_opens_without_its_folder(tmp_path: Path) -> None:
    for kind in ("sqlite3", "mcap_zstd", "mcap_message"):
        folder = standard_bag(tmp_path / kind, kind)
        (file,) = (p for p in folder.iterdir() if p.suffix in (".db3", ".mcap"))
        assert sum(isinstance(m, Scan) for m in open_recording(file).measurements()) == 5


def test_a_packed_storage_file_opens_alone(tmp_path: Path) -> None:
    folder = standard_bag(tmp_path / "bag", "sqlite3_file")
    (file,) = folder.glob("*.zstd")
    assert sum(isinstance(m, Scan) for m in open_recording(file).measurements()) == 5


def small_bag(path: Path, *transforms: tuple, imu_frame: str = "imu", topic: str = "/points") -> Path:
    m = Messages(False)
    rows = cloud_rows(ring(), points_dtype("t", "u4"), "t", np.linspace(0, 9e7, 64))
    entries = [(topic, START_NS + k * SECOND // 10, m.cloud(START_NS + k * SECOND // 10, rows)) for k in range(3)]
    entries += [("/imu", START_NS, m.imu(START_NS, (0, 0, 0), (0, 0, 9.8), imu_frame))]
    for where, *transform in transforms:
        entries.append((where, START_NS, m.tf(m.transform(*transform))))
    return write_bag(path, "mcap", sorted(entries, key=lambda e: e[1]), m)


def test_without_tf_the_lidar_is_base_link_and_a_note_says_so(tmp_path: Path) -> None:
    recording = open_recording(small_bag(tmp_path / "bag"))
    assert np.allclose(recording.calibration.T_base_lidar, np.eye(4)) and recording.calibration.T_base_imu is None
    assert "identity" in recording.calibration.source
    assert any("where the IMU's frame 'imu' lies" in note for note in recording.notes)


def test_an_imu_in_the_lidars_frame_needs_no_tf(tmp_path: Path) -> None:
    recording = open_recording(small_bag(tmp_path / "bag", imu_frame="lidar"))
    assert np.allclose(recording.calibration.T_base_imu, np.eye(4))


def test_constant_transforms_on_tf_count_and_moving_ones_do_not(tmp_path: Path) -> None:
    still = [("/tf", "/base_link", "/lidar", (0, 0, 2))] * 3
    moving = [("/tf", "odom", "base_link", (k, 0, 0)) for k in range(3)]
    recording = open_recording(small_bag(tmp_path / "bag", *still, *moving))
    assert np.allclose(recording.calibration.T_base_lidar[:3, 3], [0, 0, 2])


def test_loops_and_broken_quaternions_of_tf_are_named(tmp_path: Path) -> None:
    loop = [("/tf_static", "a", "lidar", (0, 0, 0)), ("/tf_static", "lidar", "a", (0, 0, 0))]
    broken = ("/tf_static", "base_link", "imu", (0, 0, 0), (0, 0, 0, 2))
    notes = " ".join(open_recording(small_bag(tmp_path / "bag", *loop, broken)).notes)
    assert "a loop runs through" in notes and "length 2" in notes


def test_true_poses_of_another_frame_are_carried_over_to_base_link(tmp_path: Path) -> None:
    m = Messages(False)
    path = small_bag(tmp_path / "one")
    rows = cloud_rows(ring(), points_dtype())
    entries = [
        ("/points", START_NS, m.cloud(START_NS, rows)),
        ("/gt/odom", START_NS, m.odometry(START_NS, (5, 0, 1), child="lidar")),
        ("/tf_static", START_NS, m.tf(m.transform("base_link", "lidar", (0, 0, 1)))),
    ]
    path = write_bag(tmp_path / "two", "sqlite3", entries, m)
    assert np.allclose(open_recording(path).ground_truth().positions, [[5, 0, 0]])
    assert open_recording(path, RecordingConfig(ground_truth_topic="gt/odom")).ground_truth() is not None


def test_the_raw_cloud_is_preferred_to_processed_ones_and_the_choice_is_said(tmp_path: Path) -> None:
    m = Messages(False)
    rows = cloud_rows(ring(), points_dtype())
    clouds = ("/a/cloud_registered", "/ouster/points")
    entries = [(t, START_NS + k, m.cloud(START_NS, rows)) for t in clouds for k in (0, 1)]
    entries += [("/ouster/points", START_NS + 9, m.cloud(START_NS, rows))]
    entries += [(t, START_NS, m.imu(START_NS, (0, 0, 0), (0, 0, 9))) for t in ("/body/imu", "/ouster/imu")]
    path = write_bag(tmp_path / "bag", "mcap", sorted(entries, key=lambda e: e[1]), m)
    recording = open_recording(path)
    notes = " ".join(recording.notes)
    assert "scans from /ouster/points" in notes and "IMU from /ouster/imu" in notes
    assert open_recording(path, RecordingConfig(points_topic="/a/cloud_registered")).scan_count == 2


@pytest.mark.parametrize(
    "settings, message",
    [
        (RecordingConfig(points_topic="/nope"), r"points_topic '/nope' is not in the bag.*/lidar/points \(5\)"),
        (RecordingConfig(imu_topic="/lidar/points"), r"imu_topic.*is sensor_msgs/msg/PointCloud2"),
        (RecordingConfig(time_field="stamp"), r"time_field 'stamp' is not in the clouds; their fields are x, y, z"),
    ],
)
def test_a_wrong_configuration_is_one_clear_error(settings: RecordingConfig, message: str, tmp_path: Path) -> None:
    path = standard_bag(tmp_path / "bag", "mcap")
    with pytest.raises(RecordingError, match=message):
        open_recording(path, settings)


def test_a_bag_without_scans_says_what_it_holds(tmp_path: Path) -> None:
    m = Messages(True)
    entries = [("/imu", START_NS, m.imu(START_NS, (0, 0, 0), (0, 0, 9.8)))] * 3
    path = write_bag(tmp_path / "bag", "rosbag1", entries, m)
    with pytest.raises(RecordingError, match=r"no PointCloud2 or Livox CustomMsg among 3 messages.*/imu \(Imu, 3\)"):
        open_recording(path)


def test_pictures_that_are_compressed_or_bayer_or_grey_are_decoded(tmp_path: Path) -> None:
    m = Messages(False)
    buffer = BytesIO()
    Pillow.new("RGB", (4, 2), (10, 20, 30)).save(buffer, "png")
    mosaic = np.tile(np.array([[200, 100], [50, 7]], np.uint8), (2, 2))
    bgra = np.tile(np.array([3, 2, 1, 255], np.uint8), (2, 2, 1))
    entries = [
        ("/points", START_NS, m.cloud(START_NS, cloud_rows(ring(), points_dtype()))),
        ("/a/image_raw/compressed", START_NS, m.compressed(START_NS, buffer.getvalue())),
        ("/b/image_raw", START_NS, m.image(START_NS, mosaic, "bayer_rggb8")),
        ("/c/image_raw", START_NS, m.image(START_NS, bgra, "bgra8")),
        ("/d/image_raw", START_NS, m.image(START_NS, mosaic, "mono8")),
        ("/e/image_raw", START_NS, m.image(START_NS, mosaic, "32FC1")),
    ]
    recording = open_recording(write_bag(tmp_path / "bag", "mcap", entries, m))
    pictures = {i.camera: i.pixels for i in recording.measurements(images=True) if isinstance(i, Image)}
    assert pictures["a"].shape == (2, 4, 3) and pictures["a"][0, 0].tolist() == [10, 20, 30]
    assert pictures["b"][1, 1].tolist() == [200, 75, 7] and pictures["b"].shape == (4, 4, 3)
    assert pictures["c"][0, 0].tolist() == [1, 2, 3] and np.array_equal(pictures["d"], mosaic)
    assert "e" not in pictures and any("32FC1" in note for note in recording.notes)
