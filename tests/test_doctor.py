# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""What the doctor finds in recordings with one fault each, and what it says of the installation."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bag_writing import SECOND, START_NS, Messages, cloud_rows, points_dtype, ring, standard_bag, write_bag
from mem4nav.cli import installed
from mem4nav.cli.doctor import doctor
from slam.calibration import Calibration, Camera
from slam.errors import SlamError
from slam.inspection import Finding, Report, Severity, inspect_recording
from slam.inspection.calibration import calibration_findings
from slam.inspection.clouds import cloud_findings
from slam.inspection.imu import ImuSeries, imu_findings
from slam.inspection.streams import clock_findings, stamp_findings, stream_statistics
from slam.measurements import Scan

HOUR = 3600 * SECOND
RNG = np.random.default_rng(3)


def imu_series(seconds: float = 10.0, gyro_bias: tuple = (0, 0, 0), up: tuple = (0, 0, 9.81)) -> ImuSeries:
    n = int(200 * seconds)
    stamps = START_NS + np.arange(n) * SECOND // 200
    return ImuSeries(stamps, RNG.normal(gyro_bias, 0.002, (n, 3)), RNG.normal(up, 0.02, (n, 3)))


def texts(findings: list[Finding], severity: Severity | None = None) -> str:
    return " | ".join(f.text for f in findings if severity in (None, f.severity))


def stream(stamps: np.ndarray, kind: str = "Imu", delay_ns: int = 0) -> Any:
    return stream_statistics("/s", kind, stamps, stamps + delay_ns)


REGULAR = START_NS + np.arange(400) * SECOND // 100


def test_a_sound_stream_gives_no_finding_and_its_rate() -> None:
    s = stream(REGULAR)
    assert s.rate_hz == pytest.approx(100) and s.count == 400 and stamp_findings(s) == []


@pytest.mark.parametrize(
    "change, said, severity",
    [
        (lambda t: np.where(np.arange(400) == 200, t + HOUR, t), r"jump 2 time", Severity.BAD),
        (lambda t: np.where(np.arange(400) > 200, t - HOUR, t), r"jump 1 time.*-3599\.99", Severity.BAD),
        (lambda t: np.delete(t, range(100, 180)), r"longest gap 0\.810 s, 1\.0 s after", Severity.WARN),
        (lambda t: np.delete(t, range(100, 280)), r"longest gap 1\.810 s", Severity.BAD),
        (lambda t: np.repeat(t, 2), r"400 stamps repeat and 0 go back", Severity.BAD),
        (lambda t: np.concatenate([t[:10], t[8:]]), r"0 stamps repeat and 1 go back", Severity.WARN),
        (lambda t: START_NS + (t - START_NS) * 10, r"only 10\.0 Hz", Severity.WARN),
    ],
)
def test_faults_of_stamps_are_named_with_numbers(change: Any, said: str, severity: Severity) -> None:
    findings = stamp_findings(stream(change(REGULAR)))
    assert any(f.severity is severity and f.remedy for f in findings)
    assert re.search(said, texts(findings)), texts(findings)


def test_a_sensor_with_another_clock_is_named_with_its_offset() -> None:
    lidar, imu = stream(REGULAR, "PointCloud2", SECOND // 10), stream(REGULAR, "Imu", 5 * SECOND)
    (finding,) = clock_findings([replace(lidar, name="/lidar"), imu])
    assert finding.severity is Severity.BAD and "4.900 s behind that of /lidar" in finding.text
    both_late = [stream(REGULAR, "PointCloud2", HOUR), stream(REGULAR, "Imu", HOUR)]
    assert clock_findings(both_late)[0].severity is Severity.OK


def test_a_clock_that_drifts_is_named() -> None:
    drifting = stream_statistics("/imu", "Imu", REGULAR, REGULAR + np.arange(400) * 10**6)
    assert "changes by +360 ms" in texts(clock_findings([drifting, stream(REGULAR, "PointCloud2")]))


def test_a_good_imu_is_found_good_and_its_bias_is_measured() -> None:
    findings, numbers = imu_findings(imu_series(gyro_bias=(0.01, 0, -0.01)), "/imu", np.eye(4))
    assert all(f.severity is Severity.OK for f in findings), texts(findings)
    assert np.allclose(numbers["gyro_bias_rad_s"], [0.01, 0, -0.01], atol=1e-3) and numbers["rest_windows"] == 10


def spoiled(kind: str) -> ImuSeries:
    series = imu_series()
    if kind == "clipped":
        series.gyro[500:900, 2] = np.clip(RNG.normal(0, 3, 400), -2.5, 2.5)
    elif kind == "frozen":
        series.gyro[500:600], series.accel[500:600] = series.gyro[500], series.accel[500]
    elif kind == "nan":
        series.accel[7] = np.nan
    elif kind == "degrees":
        series.gyro[:] *= 1e5
    elif kind == "bias":
        series.gyro[:, 1] += 0.12
    return series


@pytest.mark.parametrize(
    "kind, said",
    [
        ("clipped", "gyroscope saturated"),
        ("frozen", "the same values 100 times in a row"),
        ("nan", "1 samples hold NaN"),
        ("degrees", "turn rates up to"),
        ("bias", "+0.1200"),
    ],
)
def test_faults_of_an_imu_are_named(kind: str, said: str) -> None:
    findings, _ = imu_findings(spoiled(kind), "/imu", np.eye(4))
    assert said in texts([f for f in findings if f.severity is not Severity.OK]), texts(findings)


def test_an_accelerometer_in_g_is_no_fault_and_gravity_upside_down_is() -> None:
    findings, numbers = imu_findings(imu_series(up=(0, 0, 1)), "/imu", np.eye(4))
    assert "in g" in texts(findings, Severity.OK) and numbers["accel_scale"] > 9
    findings, _ = imu_findings(imu_series(up=(0, 0, -9.81)), "/imu", np.eye(4))
    assert "not +z" in texts(findings, Severity.BAD)
    turned = np.diag([1.0, -1.0, -1.0, 1.0])
    assert "not +z" not in texts(imu_findings(imu_series(up=(0, 0, -9.81)), "/imu", turned)[0])


@pytest.mark.parametrize(
    "points, said, severity",
    [
        (ring(2000), "range 10.0 m", Severity.OK),
        (ring(2000) * 1000, "range 10012.5 m", Severity.BAD),
        (ring(20), "20 points a scan", Severity.WARN),
        (ring(2000) * np.nan, "no point with a range", Severity.BAD),
        (ring(0), "1 of 1 scans looked at are empty", Severity.WARN),
    ],
)
def test_clouds_are_judged_by_their_ranges(points: np.ndarray, said: str, severity: Severity) -> None:
    findings, _ = cloud_findings([Scan(START_NS, points)], "/points")
    assert said in texts(findings, severity), texts(findings)


def test_calibration_that_cannot_be_right_is_named() -> None:
    far, skewed = np.eye(4), np.eye(4)
    far[:3, 3], skewed[0, 1] = [1200, 0, 0], 0.2
    K = np.array([[5000.0, 0, 3], [0, 400, 300], [0, 0, 1]])
    calibration = Calibration(far, skewed, {"front": Camera(400, 300, K)}, "tf_static")
    said = texts(calibration_findings(calibration, True), Severity.BAD)
    expected = ("moves by 1200.0 m", "R R^T is off by 0.2", "fx 5000 px for a width of 400", "principal point (3, 300)")
    assert all(words in said for words in expected), said
    nowhere = calibration_findings(Calibration(), True)
    assert "where the IMU sits" in texts(nowhere, Severity.BAD) and "identity" in texts(nowhere, Severity.WARN)


@pytest.mark.parametrize("kind", ["rosbag1", "mcap"])
def test_a_whole_bag_is_reported_topic_by_topic(kind: str, tmp_path: Path) -> None:
    report = inspect_recording(standard_bag(tmp_path / "bag", kind, scans=12))
    rates = {s.name: s.rate_hz for s in report.streams}
    assert rates["/lidar/points"] == pytest.approx(10) and rates["/imu/data"] == pytest.approx(50)
    assert rates["/tf_static"] is None and len(report.streams) == 6
    assert {s.name: s.delay_ms for s in report.streams}["/lidar/points"] == pytest.approx(100)
    assert "field 't' (uint32) in ns" in texts(report.findings, Severity.OK)
    assert report.worst is Severity.WARN and report.numbers["clouds"]["points_per_scan"] == 64


def test_a_bag_without_scans_is_a_finding_and_its_topics_are_shown(tmp_path: Path) -> None:
    m = Messages(False)
    entries = [("/imu", START_NS + k, m.imu(START_NS + k, (0, 0, 0), (0, 0, 9.8))) for k in range(3)]
    report = inspect_recording(write_bag(tmp_path / "bag", "mcap", entries, m))
    assert "no PointCloud2" in texts(report.findings, Severity.BAD) and report.streams[0].count == 3


def test_pictures_of_another_size_than_calibrated_are_named(tmp_path: Path) -> None:
    m = Messages(False)
    entries = [
        ("/points", START_NS, m.cloud(START_NS, cloud_rows(ring(), points_dtype()))),
        ("/front/image_raw", START_NS, m.image(START_NS, np.zeros((20, 40, 3), np.uint8))),
        ("/front/camera_info", START_NS, m.camera_info(START_NS, 80, 40, 60.0)),
        ("/tf_static", START_NS, m.tf(m.transform("base_link", "lidar", (0, 0, 1)))),
        ("/tf_static", START_NS, m.tf(m.transform("base_link", "camera", (0, 0, 1)))),
    ]
    report = inspect_recording(write_bag(tmp_path / "bag", "mcap", entries, m))
    assert "pictures of 40 x 20, calibrated for 80 x 40" in texts(report.findings, Severity.BAD)
    assert "carry none" in texts(report.findings, Severity.WARN)


def test_a_damaged_bag_is_reported_as_far_as_it_goes(tmp_path: Path) -> None:
    path = standard_bag(tmp_path / "bag", "rosbag1", scans=60)
    path.write_bytes(path.read_bytes()[:150_000])
    report = inspect_recording(path)
    assert "damaged" in texts(report.findings, Severity.BAD) and report.duration_s > 1


def test_the_command_writes_metrics_and_fits_into_eighty_columns(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    doctor(standard_bag(tmp_path / "a_bag_with_a_rather_long_name", "mcap"), out=tmp_path / "out")
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, (line for line in lines if "metrics.json" not in line))) <= 80
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert metrics["worst"] == "warn" and len(metrics["streams"]) == 6 and metrics["findings"][0]["severity"]


def test_a_configuration_chooses_the_topics(tmp_path: Path) -> None:
    config = tmp_path / "c.yaml"
    config.write_text("recording: {points_topic: /nope}\n")
    doctor(standard_bag(tmp_path / "bag", "mcap"), config=config, out=tmp_path, quiet=True)
    assert "'/nope' is not in the bag" in (tmp_path / "metrics.json").read_text()


def test_a_bad_path_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(SlamError, match="does not exist"):
        doctor(tmp_path / "nothing.bag", quiet=True)


def test_the_installation_is_tried_part_by_part(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = (
        installed.Part("good", "x", "print('1.2')", "pip install good"),
        installed.Part("gone", "x", "import no_such_module_at_all", "pip install gone"),
        installed.Part("crashing", "x", "import os; os.abort()", "pip install crashing"),
    )
    monkeypatch.setattr(installed, "PARTS", parts)
    doctor(out=tmp_path)
    states = {p["name"]: p["state"] for p in json.loads((tmp_path / "metrics.json").read_text())["installed"]}
    assert states == {"good": "usable", "gone": "missing", "crashing": "broken"}
    shown = capsys.readouterr().out
    assert "pip install gone" in shown and "1.2" in shown


def test_a_report_knows_its_worst_finding() -> None:
    report = Report("x")
    assert report.worst is Severity.OK
    report.add(Severity.WARN, "a", "b")
    assert report.worst is Severity.WARN and report.as_dict()["worst"] == "warn"


def test_a_drive_folder_is_looked_over_too(tmp_path: Path) -> None:
    from shared_data import require, write_kitti_raw

    require("lidar/kitti_raw_0005")
    drive = write_kitti_raw("kitti_raw_0005", tmp_path, count=3)
    report = inspect_recording(drive)
    assert {s.name for s in report.streams} == {"velodyne_points", "oxts"}
    assert "KITTI calibration files" in texts(report.findings, Severity.OK)
    shutil.rmtree(drive)
