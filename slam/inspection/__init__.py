# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""What is wrong with a recording: rates, stamps, clocks, sensors, calibration."""

from slam.inspection.inspect import inspect_recording
from slam.inspection.report import Finding, Report, Severity, StreamStatistics

__all__ = ["Finding", "Report", "Severity", "StreamStatistics", "inspect_recording"]
