# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Per-point time of the drivers in use, recognised from its values."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from bag_writing import SECOND, START_NS, Messages, cloud_rows, points_dtype, ring, write_bag
from slam.io import RecordingConfig, open_recording
from slam.io.point_time import recognise
from slam.io.pointcloud2 import Cloud
from slam.measurements import Scan

COUNT = 64
PERIOD = SECOND // 10
RAMP = np.linspace(0, 0.099, COUNT)  # seconds since the scan's start
STAMP_S = START_NS // SECOND


def recorded(path: Path, field: str, kind: str, values, settings=None, custom=False) -> tuple[list[Scan], str]:
    """Scans of a bag whose scan k carries ``values(k)``, and the sentence about their time."""
    m = Messages(False)
    entries = []
    for k in range(4):
        stamp = START_NS + k * PERIOD
        if custom:
            message = m.custom(stamp, ring(COUNT), (RAMP * 1e9).astype(int), values(k))
        elif kind:
            message = m.cloud(stamp, cloud_rows(ring(COUNT), points_dtype(field, kind), field, values(k)))
        else:
            message = m.cloud(stamp, cloud_rows(ring(COUNT), points_dtype()))
        entries.append(("/points", stamp, message))
    recording = open_recording(write_bag(path, "mcap", entries, m), settings)
    scans = [s for s in recording.measurements() if isinstance(s, Scan)]
    return scans, next(n for n in recording.notes if n.startswith("per-point time"))


def start(k: int) -> int:
    """Header stamp of scan k, ns."""
    return START_NS + k * PERIOD


DRIVERS = {
    "Velodyne, header at the start": ("time", "f4", lambda k: RAMP, 0, "in s, relative.*scan's start"),
    "Velodyne, header at the end": ("time", "f4", lambda k: RAMP - 0.099, -99, "in s, relative.*scan's end"),
    "Ouster, t": ("t", "u4", lambda k: RAMP * 1e9, 0, "'t' .uint32. in ns, relative.*scan's start"),
    "Ouster, timestamp": ("timestamp", "f8", lambda k: RAMP * 1e9, 0, "in ns, relative"),
    "Hesai": ("timestamp", "f8", lambda k: start(k) / 1e9 + RAMP, 0, "in s, absolute.*scan's start"),
    "RoboSense, header at the end": ("timestamp", "f8", lambda k: start(k) / 1e9 + RAMP - 0.099, -99, "scan's end"),
    "Livox, absolute": ("timestamp", "f8", lambda k: start(k) + RAMP * 1e9, 0, "in ns, absolute.*scan's start"),
    "Livox, offset_time": ("offset_time", "u4", lambda k: RAMP * 1e9, 0, "in ns, relative"),
    "microseconds": ("time_stamp", "u4", lambda k: RAMP * 1e6, 0, "in us, relative"),
    "milliseconds": ("ts", "f4", lambda k: RAMP * 1e3, 0, "in ms, relative"),
    "header in the middle": ("time", "f4", lambda k: RAMP - 0.0495, -49.5, "49.. ms after the scan's start"),
    "absolute microseconds": ("t_us", "f8", lambda k: start(k) / 1e3 + RAMP * 1e6, 0, "in us, abs"),
}  # fmt: skip


@pytest.mark.parametrize("driver", DRIVERS)
def test_the_time_of_each_driver_is_recognised(driver: str, tmp_path: Path) -> None:
    field, kind, values, first_ms, sentence = DRIVERS[driver]
    scans, note = recorded(tmp_path / "bag", field, kind, values)
    expected = first_ms * 1e6 + RAMP * 1e9
    for scan in scans:
        assert scan.offsets_ns.dtype == np.int64
        assert np.abs(scan.offsets_ns - expected).max() < 2000, note
    assert re.search(sentence, note), note


def test_absolute_seconds_keep_the_precision_of_their_doubles(tmp_path: Path) -> None:
    scans, _ = recorded(tmp_path / "bag", "timestamp", "f8", lambda k: start(k) / 1e9 + RAMP)
    assert max(np.abs(s.offsets_ns - RAMP * 1e9).max() for s in scans) <= 250


def test_a_clock_of_its_own_puts_the_first_point_at_the_header_stamp(tmp_path: Path) -> None:
    scans, note = recorded(tmp_path / "bag", "timestamp", "f8", lambda k: 37.0 + k * 0.1 + RAMP)
    assert all(np.abs(s.offsets_ns - RAMP * 1e9).max() < 2000 for s in scans)
    assert "absolute on a clock -1699999963.0" in note and "first point" in note


def test_simulated_time_near_zero_is_told_from_relative_time() -> None:
    clouds = [Cloud(k * PERIOD, "", ring(COUNT), {"time": k * 0.1 + RAMP}, None) for k in range(3)]
    time, note = recognise(clouds, RecordingConfig())
    assert time.zero == "epoch" and "absolute" in note
    assert np.abs(time.offsets_ns(2 * 0.1 + RAMP, 2 * PERIOD) - RAMP * 1e9).max() < 2


@pytest.mark.parametrize("shift_s", [0, 1000])
def test_livox_custom_messages_count_from_their_time_base(shift_s: int, tmp_path: Path) -> None:
    scans, note = recorded(tmp_path / "bag", "", "", lambda k: start(k) + shift_s * SECOND, custom=True)
    assert all(np.abs(s.offsets_ns - RAMP * 1e9).max() < 2 for s in scans)
    assert np.allclose(scans[0].points, ring(COUNT), atol=1e-5) and scans[0].intensity[5] == 5
    assert ("clock +1000.000 s" in note) == (shift_s > 0)


def test_livox_custom_messages_of_ros1_are_packed_without_gaps(tmp_path: Path) -> None:
    m = Messages(True)
    entries = [("/l", start(k), m.custom(start(k), ring(COUNT), (RAMP * 1e9).astype(int), start(k))) for k in range(3)]
    scans = list(open_recording(write_bag(tmp_path / "bag", "rosbag1", entries, m)).measurements())
    assert len(scans) == 3 and np.allclose(scans[2].points, ring(COUNT), atol=1e-5)
    assert np.abs(scans[2].offsets_ns - RAMP * 1e9).max() < 2


def test_equal_stamps_are_passed_on_as_equal(tmp_path: Path) -> None:
    scans, note = recorded(tmp_path / "bag", "t", "u4", lambda k: np.full(COUNT, 5))
    assert all(not s.offsets_ns.any() for s in scans) and "same for all points" in note


def test_no_time_field_means_no_deskewing(tmp_path: Path) -> None:
    scans, note = recorded(tmp_path / "bag", "", "", lambda k: 0)
    assert all(s.offsets_ns is None for s in scans) and "carry none" in note


def test_what_the_configuration_fixes_is_taken(tmp_path: Path) -> None:
    args = ("time", "f4", lambda k: RAMP * 1e3)
    settings = RecordingConfig(time_unit="us", time_reference="header_end")
    scans, note = recorded(tmp_path / "a", *args, settings)
    assert np.abs(scans[0].offsets_ns - (RAMP - 0.099) * 1e6).max() < 2 and "configured" in note
    assert recorded(tmp_path / "b", *args, RecordingConfig(time_field=""))[0][0].offsets_ns is None
    assert recorded(tmp_path / "c", *args, RecordingConfig(time_reference="none"))[0][0].offsets_ns is None
    scans, note = recorded(tmp_path / "d", "odd_name", "f4", args[2], RecordingConfig(time_field="odd_name"))
    assert np.abs(scans[0].offsets_ns - RAMP * 1e9).max() < 2000 and "'odd_name'" in note


def test_a_span_that_fits_no_unit_is_called_ambiguous(tmp_path: Path) -> None:
    _, note = recorded(tmp_path / "bag", "time", "f4", lambda k: RAMP * 3e-3)
    assert "ambiguous" in note and "time_unit" in note


def test_a_sector_scan_of_a_third_of_the_period_is_clear(tmp_path: Path) -> None:
    _, note = recorded(tmp_path / "bag", "time", "f4", lambda k: RAMP / 3)
    assert "in s" in note and "ambiguous" not in note


def test_points_without_a_return_do_not_spoil_the_recognition(tmp_path: Path) -> None:
    m = Messages(False)
    entries = []
    for k in range(3):
        rows = cloud_rows(ring(COUNT), points_dtype("timestamp", "f8"), "timestamp", start(k) / 1e9 + RAMP)
        rows["x"][::7], rows["timestamp"][::7] = np.nan, np.nan
        for axis in "xyz":
            rows[axis][1::7] = 0
        rows["timestamp"][1::7] = 0
        entries.append(("/points", start(k), m.cloud(start(k), rows)))
    recording = open_recording(write_bag(tmp_path / "bag", "mcap", entries, m))
    scan = next(iter(recording.measurements()))
    good = np.arange(COUNT) % 7 > 1
    assert np.abs(scan.offsets_ns - RAMP * 1e9)[good].max() < 2000 and np.all(scan.offsets_ns[~good] == 0)
    assert np.isnan(scan.points[::7, 0]).all() and len(scan.points) == COUNT
