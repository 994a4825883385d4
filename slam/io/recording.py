# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""What every reader offers, whatever the file behind it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from slam.calibration import Calibration
from slam.measurements import Measurement
from slam.trajectory import Trajectory


class Recording(Protocol):
    """A bag or a drive folder, opened.

    Attributes:
        name: for titles and logs.
        calibration: extrinsics, with their source.
        notes: what was recognised, and how sure, one sentence each (point time field and its unit,
            topics chosen, messages that could not be decoded).
        scan_count: number of scans, for progress bars.
    """

    @property
    def name(self) -> str: ...

    @property
    def calibration(self) -> Calibration: ...

    @property
    def notes(self) -> list[str]: ...

    @property
    def scan_count(self) -> int: ...

    def measurements(self, *, images: bool = False) -> Iterator[Measurement]:
        """All scans and inertial samples (and images where asked for), in recorded order."""
        ...

    def ground_truth(self) -> Trajectory | None:
        """Poses of base_link where the recording holds them, in any gravity-aligned world, else None."""
        ...
