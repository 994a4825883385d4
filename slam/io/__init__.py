# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Readers: bags and drive folders become scans, inertial samples and images."""

from slam.io.opening import open_recording
from slam.io.recording import Recording
from slam.io.settings import RecordingConfig

__all__ = ["Recording", "RecordingConfig", "open_recording"]
