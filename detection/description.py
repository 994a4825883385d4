# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""What a stored network says of itself, in a file of weights and in an ONNX file alike: one entry of JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from detection.calibration import ScoreCalibration
from detection.config import ModelConfig
from detection.errors import CheckpointError
from detection.statistics import InputStatistics
from slam.config import load, to_dict
from slam.errors import ConfigError

ENTRY = "detector"
"""Key of the entry among a file's metadata: one alone, since safetensors keeps several in no order, and equal
detectors are to be equal files."""


@dataclass(frozen=True, slots=True)
class Description:
    """What a detector is beside its weights.

    Attributes:
        config: sizes and switches of the network.
        calibration: what a score of the fused head is worth; None where it was not measured.
        statistics: what it was trained on, in numbers; None where it was not kept.
        cameras: pictures that an exported network takes; 0 for any number.
    """

    config: ModelConfig
    calibration: ScoreCalibration | None = None
    statistics: InputStatistics | None = None
    cameras: int = 0

    def metadata(self, file_format: str) -> dict[str, str]:
        """The entry, for a file of this format."""
        values: dict[str, Any] = {"format": file_format, "config": to_dict(self.config)}
        values["calibration"] = self.calibration.to_json() if self.calibration else None
        values["statistics"] = self.statistics.to_json() if self.statistics else None
        if self.cameras:
            values["cameras"] = self.cameras
        return {ENTRY: json.dumps(values)}

    @classmethod
    def of_file(cls, path: str | Path, metadata: Mapping[str, str] | None, file_format: str) -> Description:
        """What the metadata of the file at ``path`` hold.

        Raises:
            CheckpointError: they are of another format, or damaged.
        """
        try:
            values = json.loads((metadata or {}).get(ENTRY, "{}"))
            if values.get("format") != file_format:
                raise CheckpointError(f"{path} holds {values.get('format', 'no format')!r}, not {file_format!r}")
            config = load(ModelConfig, overrides=values["config"])
            calibration, statistics = values["calibration"], values["statistics"]
        except (KeyError, ValueError, ConfigError) as error:
            raise CheckpointError(f"cannot read a detector from {path}: {error}") from None
        return cls(
            config,
            ScoreCalibration.from_json(calibration) if calibration else None,
            InputStatistics.from_json(statistics) if statistics else None,
            values.get("cameras", 0),
        )
