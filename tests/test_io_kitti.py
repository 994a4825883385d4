# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Drive folders in the KITTI raw layout."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

from shared_data import require, stamp, write_kitti_raw
from slam.errors import ConfigError, RecordingError
from slam.io import RecordingConfig, open_recording
from slam.measurements import Image, ImuSample, Scan

FIRST_NS = int(np.datetime64("2011-09-26T13:02:25.594360375", "ns").astype(np.int64))


@pytest.fixture
def drive(tmp_path: Path) -> Path:
    """Three scans of a square, with oxts and pictures, and no calibration."""
    folder = tmp_path / "2011_09_26" / "2011_09_26_drive_0001_sync"
    for name in ("velodyne_points", "oxts", "image_02"):
        (folder / name / "data").mkdir(parents=True)
        (folder / name / "timestamps.txt").write_text("".join(f"{stamp(i)}\n" for i in range(3)))
    points = np.array([[-9, -0.01, 0, 0.1], [0, -9, 0, 0.2], [9, 0, 0, 0.3], [0, 9, 0, 0.4], [-9, 0.01, 0, 0.5]])
    for i in range(3):
        points.astype(np.float32).tofile(folder / "velodyne_points" / "data" / f"{i:010d}.bin")
        row = " ".join(str(float(k + 100 * i)) for k in range(30))
        (folder / "oxts" / "data" / f"{i:010d}.txt").write_text(row)
        Pillow.new("RGB", (6, 4), (10 * i, 20, 30)).save(folder / "image_02" / "data" / f"{i:010d}.png")
    return folder


def write_calibration(folder: Path) -> None:
    (folder / "calib_imu_to_velo.txt").write_text("calib_time: x\nR: 0 1 0 -1 0 0 0 0 1.001\nT: -0.8 0.3 -0.8\n")
    (folder / "calib_velo_to_cam.txt").write_text("R: 0 -1 0 0 0 -1 1 0 0\nT: 0.1 0.2 0.3\n")
    (folder / "calib_cam_to_cam.txt").write_text(
        "R_rect_00: 1 0 0 0 1 0 0 0 1\nS_rect_02: 6 4\nP_rect_02: 700 0 3 35 0 700 2 0 0 0 1 0\n"
    )


def test_everything_comes_in_the_order_of_its_stamp_and_imu_before_scan(drive: Path) -> None:
    recording = open_recording(drive)
    got = list(recording.measurements(images=True))
    assert [type(m) for m in got] == [ImuSample, Scan, Image] * 3
    assert [m.stamp_ns - FIRST_NS for m in got[::3]] == [0, 103_700_000, 207_400_000]
    assert recording.scan_count == 3


def test_of_oxts_only_acceleration_and_turn_rate_are_used(drive: Path) -> None:
    sample = next(m for m in open_recording(drive).measurements() if isinstance(m, ImuSample))
    assert sample.accel.tolist() == [11, 12, 13] and sample.gyro.tolist() == [17, 18, 19]


def test_a_sync_drive_is_not_deskewed_and_says_so(drive: Path) -> None:
    recording = open_recording(drive)
    scan = next(m for m in recording.measurements() if isinstance(m, Scan))
    assert scan.offsets_ns is None and scan.points.shape == (5, 3)
    assert np.allclose(scan.intensity, [0.1, 0.2, 0.3, 0.4, 0.5])
    assert any("not deskewed" in note for note in recording.notes)


def test_an_extract_drive_gets_its_time_from_the_azimuth(drive: Path) -> None:
    raw = drive.rename(drive.with_name("2011_09_26_drive_0001_extract"))
    for name, shift in (("start", -50_000_000), ("end", 50_000_000)):
        lines = [np.datetime64(FIRST_NS + shift + i * 103_700_000, "ns") for i in range(3)]
        text = "".join(f"{line}\n".replace("T", " ") for line in lines)
        (raw / "velodyne_points" / f"timestamps_{name}.txt").write_text(text)
    scan = next(m for m in open_recording(raw).measurements() if isinstance(m, Scan))
    assert np.allclose(np.array(scan.offsets_ns) / 1e6, [-50, -25, 0, 25, 50], atol=0.05)


def test_the_file_number_picks_the_line_of_timestamps(drive: Path) -> None:
    (drive / "velodyne_points" / "data" / "0000000001.bin").unlink()
    scans = [m for m in open_recording(drive).measurements() if isinstance(m, Scan)]
    assert [s.stamp_ns - FIRST_NS for s in scans] == [0, 207_400_000]


def test_base_link_is_the_imu_when_its_calibration_is_there(drive: Path) -> None:
    write_calibration(drive.parent)
    calibration = open_recording(drive).calibration
    assert np.allclose(calibration.T_base_imu, np.eye(4))
    R = calibration.T_base_lidar[:3, :3]
    assert np.allclose(R @ R.T, np.eye(3), atol=1e-12)
    assert np.allclose(calibration.T_base_lidar @ [-0.8, 0.3, -0.8, 1], [0, 0, 0, 1])
    assert "KITTI" in calibration.source


def test_the_second_camera_sits_beside_the_first_by_its_baseline(drive: Path) -> None:
    write_calibration(drive.parent)
    calibration = open_recording(drive).calibration
    camera = calibration.cameras["image_02"]
    T_camera_lidar = np.linalg.inv(camera.T_base_camera) @ calibration.T_base_lidar
    point = T_camera_lidar @ [10, 1, 2, 1]
    assert np.allclose(point, [-1 + 0.1 + 0.05, -2 + 0.2, 10 + 0.3, 1])
    assert camera.K[0, 0] == 700 and (camera.width, camera.height) == (6, 4)


def test_without_calibration_base_link_is_the_lidar_and_the_imu_is_nowhere(drive: Path) -> None:
    recording = open_recording(drive)
    assert np.allclose(recording.calibration.T_base_lidar, np.eye(4)) and recording.calibration.T_base_imu is None
    assert any("where the IMU sits" in note for note in recording.notes)


def test_configured_extrinsics_win_and_are_named(drive: Path) -> None:
    write_calibration(drive.parent)
    settings = RecordingConfig(T_base_lidar=(1, 2, 3, 0, 0, 0, 1))
    calibration = open_recording(drive, settings).calibration
    assert np.allclose(calibration.T_base_lidar[:3, 3], [1, 2, 3])
    assert "configuration (T_base_lidar)" in calibration.source and "KITTI" in calibration.source


@pytest.mark.parametrize("numbers", [(1, 2, 3), (0, 0, 0, 0, 0, 0, 2), tuple(2.0 * np.eye(4).ravel())])
def test_extrinsics_that_are_no_transform_are_refused_with_numbers(drive: Path, numbers: tuple) -> None:
    with pytest.raises(ConfigError, match=r"T_base_lidar.*\d"):
        open_recording(drive, RecordingConfig(T_base_lidar=numbers))


def test_a_cut_off_scan_gives_its_whole_points_and_a_broken_picture_a_note(drive: Path) -> None:
    path = drive / "velodyne_points" / "data" / "0000000001.bin"
    path.write_bytes(path.read_bytes()[:-7])
    picture = drive / "image_02" / "data" / "0000000002.png"
    picture.write_bytes(picture.read_bytes()[:40])
    (drive / "oxts" / "data" / "0000000000.txt").write_text("nonsense 1 2")
    recording = open_recording(drive)
    got = list(recording.measurements(images=True))
    assert [len(m.points) for m in got if isinstance(m, Scan)] == [5, 4, 5]
    assert sum(isinstance(m, Image) for m in got) == 2 and sum(isinstance(m, ImuSample) for m in got) == 2
    assert sum("cut off" in n or "cannot be decoded" in n or "30 numbers" in n for n in recording.notes) == 3


def test_fewer_stamps_than_scans_leaves_the_rest_out_with_a_note(drive: Path) -> None:
    (drive / "velodyne_points" / "timestamps.txt").write_text(f"{stamp(0)}\nrubbish\n{stamp(2)}\n")
    recording = open_recording(drive)
    assert recording.scan_count == 2 and any("1 of 3 files have no stamp" in n for n in recording.notes)


def test_a_wrong_path_is_one_clear_error(drive: Path, tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="did you mean"):
        open_recording(drive.with_name(drive.name + "x"))
    with pytest.raises(RecordingError, match="folder above 1 drive"):
        open_recording(drive.parent)
    other = tmp_path / "notes.pdf"
    other.write_text("x")
    with pytest.raises(RecordingError, match=r"unknown kind of file '.pdf'"):
        open_recording(other)
    for path in (drive / "velodyne_points" / "data").iterdir():
        path.unlink()
    with pytest.raises(RecordingError, match="without scans"):
        open_recording(drive)


def test_the_packed_real_scans_come_out_as_they_went_in(tmp_path: Path) -> None:
    require("lidar/kitti_raw_0005")
    drive = write_kitti_raw("kitti_raw_0005", tmp_path, count=2)
    assert write_kitti_raw("kitti_raw_0005", tmp_path, count=2) == drive
    got = list(open_recording(drive).measurements())
    scans = [m for m in got if isinstance(m, Scan)]
    assert len(scans) == 2 and len(got) == 4 and len(scans[0].points) > 100_000
    assert abs(np.linalg.norm(got[0].accel) - 9.8) < 1.0
    assert scans[1].stamp_ns - scans[0].stamp_ns == 103_700_000


def test_the_real_pictures_come_with_their_camera(tmp_path: Path) -> None:
    require("lidar/kitti_0052_sfnd78")
    recording = open_recording(write_kitti_raw("kitti_0052_sfnd78", tmp_path, count=1))
    image = next(m for m in recording.measurements(images=True) if isinstance(m, Image))
    assert image.pixels.shape == (375, 1242, 3)
    assert recording.calibration.cameras["image_02"].width == 1242
