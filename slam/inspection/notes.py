# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""What readers noted in passing, as verdicts with a remedy."""

from __future__ import annotations

from collections.abc import Iterable

from slam.inspection.report import Finding, Severity

TOLD_BY_CALIBRATION = ("where the IMU's frame", "does not connect", "where the IMU sits")

RULES = (
    ("ambiguous", Severity.WARN, "Set recording.time_unit and recording.time_reference in the configuration."),
    ("absolute on a clock", Severity.WARN, "Stamp headers from the sensor's clock; check time_reference."),
    ("carry none", Severity.WARN, "Let the driver send per-point time; without it motion within a scan stays in it."),
    ("same for all points", Severity.WARN, "Let the driver send per-point time, or name it in recording.time_field."),
    ("no sensor_msgs/Imu", Severity.WARN, "Odometry runs on LiDAR alone: fast motion needs the IMU."),
    ("no oxts", Severity.WARN, "Odometry runs on LiDAR alone."),
    ("no camera_info", Severity.WARN, "Record camera_info beside the pictures."),
    ("its pictures cannot be used", Severity.WARN, "Publish tf_static to the camera's optical frame."),
    ("no calibration for", Severity.WARN, "Put the calib_*.txt files into the folder above the drive."),
    ("is not usable", Severity.WARN, "Rectify, or calibrate with the plumb_bob model."),
    ("distortion terms are used", Severity.WARN, "Calibrate with the plumb_bob model if its edges matter."),
    ("have no stamp", Severity.BAD, "Repair timestamps.txt: one line for each file."),
    ("is missing", Severity.WARN, "Bring the file along."),
    ("a loop runs through", Severity.BAD, "Two nodes publish tf_static against each other: leave one."),
    ("two parents", Severity.BAD, "Two nodes publish the frame: leave one."),
    ("quaternion has length", Severity.BAD, "Normalise it where it is published."),
    ("could not be decoded", Severity.WARN, "Another message version, or damage while recording."),
    ("damaged", Severity.BAD, "What could be read is used. Record mcap with chunk checksums; look at the disk."),
    ("cut off", Severity.BAD, "What could be read is used. Stop recorders before power goes."),
    ("could not be opened the regular way", Severity.BAD, "What could be read is used: ros2 bag reindex rebuilds it."),
)


def note_findings(notes: Iterable[str]) -> list[Finding]:
    """One finding a note, but for those that the check of the calibration tells better."""
    return [_finding(note) for note in notes if not any(words in note for words in TOLD_BY_CALIBRATION)]


def _finding(note: str) -> Finding:
    subject, text = "reading", note
    if note.startswith(("per-point time: ", "tf: ")):
        subject, _, text = note.partition(": ")
    for words, severity, remedy in RULES:
        if words in note:
            return Finding(severity, subject, text, remedy)
    return Finding(Severity.OK, subject, text)
