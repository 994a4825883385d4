# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Looks a recording over: one pass over the stamps of all topics, all inertial samples, some clouds and a picture."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np

from slam.errors import RecordingError
from slam.inspection.calibration import calibration_findings
from slam.inspection.clouds import cloud_findings
from slam.inspection.imu import ImuSeries, imu_findings
from slam.inspection.notes import note_findings
from slam.inspection.report import Finding, Report, Severity
from slam.inspection.streams import SENSORS, clock_findings, stamp_findings, stream_statistics
from slam.io.bag import BagRecording
from slam.io.bag_source import Bag, open_bag
from slam.io.messages import parse_stamp
from slam.io.opening import is_bag, open_recording
from slam.io.recording import Recording
from slam.io.settings import RecordingConfig
from slam.measurements import Image, ImuSample, Measurement, Scan

LOOKED_AT = 40  # clouds
HEADED = frozenset({
    *SENSORS, "CameraInfo", "Odometry", "Path", "NavSatFix", "LaserScan", "MagneticField", "Range", "JointState", "Joy",
    "FluidPressure", "Temperature", "TimeReference", "OccupancyGrid", "VelodyneScan",
})  # fmt: skip


def inspect_recording(path: str | Path, settings: RecordingConfig | None = None) -> Report:
    """All findings on a bag or a drive folder in the KITTI raw layout.

    Raises:
        RecordingError: nothing can be read. A bag without scans can: that is a finding.
    """
    path = Path(path).expanduser()
    settings = settings or RecordingConfig()
    if path.exists() and is_bag(path):
        return _inspect_bag(path, settings)
    recording = open_recording(path, settings)
    report = Report(recording.name)
    _inspect_streams_of(recording, report)
    _inspect_recording(recording, report, lidar="velodyne_points", imu="oxts")
    return report


def _inspect_bag(path: Path, settings: RecordingConfig) -> Report:
    bag = open_bag(path)
    report = Report(path.name)
    _inspect_topics(bag, report)
    try:
        recording = BagRecording(path, settings)
    except RecordingError as err:
        report.findings += note_findings(bag.notes)
        report.add(Severity.BAD, "recording", str(err))
        return report
    _inspect_recording(recording, report, recording.topics.points, recording.topics.imu or "imu")
    return report


def _inspect_topics(bag: Bag, report: Report) -> None:
    stamps: dict[str, list[int]] = {name: [] for name in bag.topics}
    record: dict[str, list[int]] = {name: [] for name in bag.topics}
    headed = {name for name, topic in bag.topics.items() if topic.kind in HEADED or topic.kind.endswith("Stamped")}
    for message in bag.messages(set(bag.topics)):
        record[message.topic].append(message.record_ns)
        if message.topic in headed:
            _note_stamp(message.data, bag.ros1, stamps[message.topic])
    all_ns = [t for times in record.values() for t in (times[:1] + times[-1:])]
    report.duration_s = (max(all_ns) - min(all_ns)) / 1e9 if all_ns else 0.0
    for name, topic in sorted(bag.topics.items()):
        header = stamps[name] if name in headed else []
        report.streams.append(stream_statistics(name, topic.kind, header, record[name]))
    _judge_streams(report)


def _note_stamp(data: bytes, ros1: bool, stamps: list[int]) -> None:
    with suppress(RecordingError):  # a message that cannot be read is counted where it is decoded
        stamps.append(parse_stamp(data, ros1)[0])


def _judge_streams(report: Report) -> None:
    for stream in report.streams:
        if stream.kind in SENSORS:
            report.findings += stamp_findings(stream)
    report.findings += clock_findings(report.streams)


def _inspect_streams_of(recording: Recording, report: Report) -> None:
    """Streams of a drive folder, whose files have no record time."""
    stamps: dict[tuple[str, str], list[int]] = {}
    for measurement in recording.measurements(images=True):
        stamps.setdefault(_stream_of(measurement), []).append(measurement.stamp_ns)
    report.streams = [stream_statistics(name, kind, times) for (name, kind), times in stamps.items()]
    every = [t for times in stamps.values() for t in times]
    report.duration_s = (max(every) - min(every)) / 1e9 if every else 0.0
    _judge_streams(report)


def _stream_of(measurement: Measurement) -> tuple[str, str]:
    if isinstance(measurement, Scan):
        return "velodyne_points", "PointCloud2"
    if isinstance(measurement, ImuSample):
        return "oxts", "Imu"
    return measurement.camera, "Image"


def _inspect_recording(recording: Recording, report: Report, lidar: str, imu: str) -> None:
    """What only decoded measurements tell."""
    report.findings += calibration_findings(recording.calibration, any(s.kind == "Imu" for s in report.streams))
    scans, samples, images = _sampled(recording)
    findings, numbers = cloud_findings(scans, lidar)
    report.findings += findings
    report.numbers |= {"clouds": numbers, "calibration": recording.calibration.source, "notes": recording.notes}
    if samples:
        findings, numbers = imu_findings(_series(samples), imu, recording.calibration.T_base_imu)
        report.findings += findings
        report.numbers["imu"] = numbers
    report.findings += _picture_findings(recording, images)
    report.findings += note_findings(recording.notes)


def _sampled(recording: Recording) -> tuple[list[Scan], list[ImuSample], dict[str, Image]]:
    """Evenly spread scans, all inertial samples, and the first picture of each camera."""
    every = max(recording.scan_count // LOOKED_AT, 1)
    scans, samples, seen = [], [], 0
    for measurement in recording.measurements():
        if isinstance(measurement, ImuSample):
            samples.append(measurement)
        elif isinstance(measurement, Scan):
            if seen % every == 0 and len(scans) < 2 * LOOKED_AT:
                scans.append(measurement)
            seen += 1
    return scans, samples, _first_pictures(recording.measurements(images=True), len(recording.calibration.cameras))


def _first_pictures(measurements: Iterator[Measurement], cameras: int, limit: int = 2000) -> dict[str, Image]:
    found: dict[str, Image] = {}
    for _, measurement in zip(range(limit if cameras else 0), measurements, strict=False):
        if isinstance(measurement, Image):
            found.setdefault(measurement.camera, measurement)
            if len(found) == cameras:
                break
    return found


def _series(samples: list[ImuSample]) -> ImuSeries:
    return ImuSeries(
        np.array([s.stamp_ns for s in samples], np.int64),
        np.array([s.gyro for s in samples]),
        np.array([s.accel for s in samples]),
    )


def _picture_findings(recording: Recording, images: dict[str, Image]) -> list[Finding]:
    found = []
    for name, camera in recording.calibration.cameras.items():
        if name in images and camera.width:
            height, width = images[name].pixels.shape[:2]
            if (width, height) != (camera.width, camera.height):
                text = f"pictures of {width} x {height}, calibrated for {camera.width} x {camera.height}"
                remedy = "Record camera_info of the same resolution."
                found.append(Finding(Severity.BAD, f"camera {name}", text, remedy))
    return found
