# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""From samples to boxes: a network, the calibration of its scores, and what it was trained on, in one file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from detection.batch import collate
from detection.boxes import first_of_each
from detection.calibration import ScoreCalibration
from detection.config import ModelConfig
from detection.description import Description
from detection.errors import CheckpointError
from detection.heads import Candidates, decode
from detection.model import Outputs, SparseFusion
from detection.sample import Boxes, Sample, make_boxes, no_boxes
from detection.statistics import InputStatistics
from slam.files import write_bytes

FORMAT = "mem4nav-detector-2"
HEADS = ("lidar", "camera", "fused")
CITY_WEIGHTS = Path(__file__).with_name("weights") / "city.safetensors"


@dataclass(slots=True)
class Detector:
    """A network ready to be asked.

    Attributes:
        model: the network, in evaluation mode.
        calibration: what a score of the fused head is worth, as a probability; None where it was not measured.
        statistics: what it was trained on, in numbers; None where it was not kept.
    """

    model: SparseFusion
    calibration: ScoreCalibration | None = None
    statistics: InputStatistics | None = None

    @property
    def config(self) -> ModelConfig:
        """Sizes and switches of the network."""
        return self.model.config

    def detect(self, samples: Sequence[Sample]) -> list[dict[str, Boxes]]:
        """Boxes of each sample by head: "lidar", "camera" and "fused", the best first.

        A head whose sensor is missing finds nothing.
        """
        device = next(self.model.parameters()).device
        self.model.eval()
        with torch.inference_mode():
            outputs = self.model(collate(samples, self.config).to(device))
        return calibrated(boxes_of(outputs, self.config), self.calibration)

    def save(self, path: str | Path) -> Path:
        """Write a safetensors file, aside first and then renamed."""
        description = Description(self.config, self.calibration, self.statistics)
        tensors = {name: t.detach().cpu().contiguous() for name, t in self.model.state_dict().items()}
        return write_bytes(path, save(tensors, description.metadata(FORMAT)))

    @classmethod
    def load(cls, path: str | Path, device: str = "cpu") -> Detector:
        """Read what ``save`` wrote.

        Raises:
            CheckpointError: the file is not there, is damaged, or holds something else.
        """
        try:
            with safe_open(str(path), framework="pt") as file:
                description = Description.of_file(path, file.metadata(), FORMAT)
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            model = SparseFusion(description.config)
            model.load_state_dict(tensors)
        except (OSError, SafetensorError, KeyError, ValueError, RuntimeError) as error:
            raise CheckpointError(f"cannot read a detector from {path}: {error}") from None
        return cls(model.to(device).eval(), description.calibration, description.statistics)


def calibrated(found: list[dict[str, Boxes]], calibration: ScoreCalibration | None) -> list[dict[str, Boxes]]:
    """The same, with the scores of the fused head as probabilities, the best first; as they are without calibration."""
    if calibration is None:
        return found
    fused = [calibration.applied(one["fused"]) for one in found]
    ordered = [boxes.pick(np.argsort(-boxes.score, kind="stable")) for boxes in fused]
    return [one | {"fused": boxes} for one, boxes in zip(found, ordered, strict=True)]


def boxes_of(outputs: Outputs, config: ModelConfig) -> list[dict[str, Boxes]]:
    """Boxes of each sample by head, the best first; their scores are not calibrated."""
    found = []
    for number in range(len(outputs.fused.place)):
        heads = {"lidar": outputs.lidar, "camera": outputs.camera, "fused": outputs.fused}
        found.append({name: _boxes(head, number, config) for name, head in heads.items()})
    return found


def _boxes(head: Candidates | None, number: int, config: ModelConfig) -> Boxes:
    if head is None:
        return no_boxes()
    valid = head.valid[number].cpu().numpy()
    logits, code = (x[number].detach().float().cpu().numpy()[valid] for x in (head.logits, head.absolute()))
    seed = head.seed_score[number].detach().float().cpu().numpy()[valid]
    first = head.seed_class[number].cpu().numpy()[valid]
    score = rescored(logits, seed, first, config)
    label, best = score.argmax(axis=1), score.max(axis=1)
    boxes = make_boxes(**decode(code, config), label=label, score=best)
    inside = ((boxes.centre >= config.low_m) & (boxes.centre < config.high_m)).all(axis=1)
    order = np.argsort(-boxes.score, kind="stable")
    return merged(boxes.pick(order[inside[order]]), config.merged_m)


def merged(boxes: Boxes, within_m: float) -> Boxes:
    """Boxes, the best first, without those that stand nearer than ``within_m`` to a better one of their class."""
    away = np.linalg.norm(boxes.centre[:, None, :2] - boxes.centre[None, :, :2], axis=2)
    return boxes.pick(first_of_each((away < within_m) & (boxes.label[:, None] == boxes.label)))


def rescored(
    logits: NDArray[np.float32], seed: NDArray[np.float32], first: NDArray[np.int64], config: ModelConfig
) -> NDArray[np.float32]:
    """(Q, K) scores of classes from (Q, K) logits and the (Q,) score and class of the peak a candidate came from."""
    score = 1.0 / (1.0 + np.exp(-np.clip(logits, -30.0, 30.0)))
    if config.rescoring == "none":
        return score
    if config.rescoring == "soft":
        return score * seed[:, None]
    return score * seed[:, None] * (np.arange(logits.shape[1]) == first[:, None])
