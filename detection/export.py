# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""The detector as an ONNX file, and a detector that runs such a file.

The file holds the network after voxelisation: what sorts points into pillars and into rasters of depth has no weights
and stays outside. Points and pillars may be any number; the number of pictures is fixed, missing ones are marked.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from detection.batch import Batch, collate
from detection.calibration import ScoreCalibration
from detection.config import ModelConfig
from detection.description import Description
from detection.errors import CheckpointError, DetectionError
from detection.heads import Candidates
from detection.inference import HEADS, Detector, boxes_of, calibrated
from detection.model import Outputs, SparseFusion
from detection.sample import Boxes, Sample
from detection.statistics import InputStatistics
from detection.transfers import depth_raster
from detection.voxels import PillarPoints, sort_into_pillars

FORMAT = "mem4nav-detector-onnx-2"
OPSET = 18
INPUTS = ("point_inputs", "pillar", "cell", "heights", "images", "K", "T_camera_base", "seen", "swept", "depth")
"""As ``PillarPoints`` and ``Batch`` name them, B = 1; depth as ``sparse_depth``, absent without geometric transfer."""
PARTS = ("logits", "code", "seed_score", "seed_class", "valid")
"""Of each head, as "lidar_logits"; the code is absolute."""
_DYNAMIC = {"point_inputs": {0: "points"}, "pillar": {0: "points"}, "cell": {0: "pillars"}, "heights": {0: "pillars"}}


class _AfterVoxelisation(nn.Module):
    """The network as a function of tensors alone."""

    def __init__(self, model: SparseFusion) -> None:
        super().__init__()
        self.model = model

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        points, depth = PillarPoints(*inputs[:4]), next(iter(inputs[9:]), None)
        none = inputs[0].new_zeros(0, 5)
        batch = Batch(none, inputs[1][:0], *inputs[4:9], boxes=(None,))
        outputs = self.model.found(points, depth, batch)
        heads = [getattr(outputs, name) for name in HEADS]
        return tuple(part for h in heads for part in (h.logits, h.absolute(), h.seed_score, h.seed_class, h.valid))


def export_onnx(detector: Detector, path: str | Path, cameras: int = 4) -> Path:
    """Write the network after voxelisation as ONNX, and what the detector is beside its weights as metadata.

    Args:
        detector: what is exported; it stays as it is.
        path: of the file.
        cameras: pictures that the file takes, at least 1; a sample may have fewer.

    Raises:
        DetectionError: the package ``onnx`` is missing, no camera, or a network that ONNX has no operators for.
    """
    try:
        import onnx
    except ImportError:
        raise DetectionError("a detector is exported with the package onnx: pip install 'mem4nav[detect]'") from None
    config = detector.config
    _refuse(config, cameras)
    model = _AfterVoxelisation(detector.model).eval()
    inputs = tuple(_tensors(_example(config, cameras, next(model.parameters()).device), config))
    path = Path(path)
    aside = path.with_name(f".{path.name}.new")
    with warnings.catch_warnings(), torch.no_grad():
        # Its warnings are on indices below 0 and on sizes that are fixed on purpose: the tests hold its numbers.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            model, inputs, str(aside), dynamo=False, opset_version=OPSET, dynamic_axes=_DYNAMIC,
            input_names=list(INPUTS[: len(inputs)]), output_names=[f"{h}_{p}" for h in HEADS for p in PARTS],
        )  # fmt: skip
    written = onnx.load(str(aside))
    description = Description(config, detector.calibration, detector.statistics, cameras)
    onnx.helper.set_model_props(written, description.metadata(FORMAT))
    onnx.save(written, str(aside))
    os.replace(aside, path)
    return path


def _refuse(config: ModelConfig, cameras: int) -> None:
    if cameras < 1:
        raise DetectionError(f"a network for {cameras} cameras: an ONNX file takes at least 1, and may be shown none")
    if config.lidar_backbone == "dsvt":
        raise DetectionError(
            "the backbone 'dsvt' has no ONNX form: the number of its sets depends on the points, and ONNX has no "
            "operator for runs of equal window numbers; train with lidar_backbone 'pillar_cnn' to export"
        )


def _example(config: ModelConfig, cameras: int, device: torch.device) -> Batch:
    """A few points in every direction, and blank pictures: the network's path does not depend on what is in them."""
    rng = np.random.default_rng(0)
    xyz = rng.uniform(config.low_m, config.high_m, (256, 3))
    points = np.concatenate([xyz, np.zeros((256, 2))], axis=1).astype(np.float32)
    batch = _padded(collate([Sample("example", 0, points)], config), cameras)
    ahead = torch.tensor([[0.0, -1.0, 0.0, 0.0], [0.0, 0.0, -1.0, 1.0], [1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0]])
    size = max(config.image_width, config.image_height)
    K = torch.tensor([[size, 0.0, config.image_width / 2], [0.0, size, config.image_height / 2], [0.0, 0.0, 1.0]])
    shape = (1, cameras, 1, 1)
    batch = replace(batch, K=K.repeat(shape), T_camera_base=ahead.repeat(shape), seen=torch.ones_like(batch.seen))
    return batch.to(device)


def _padded(batch: Batch, cameras: int) -> Batch:
    """The same with so many pictures; those that are added are not seen."""
    more = cameras - batch.seen.shape[1]
    return replace(
        batch,
        images=functional.pad(batch.images, (0, 0) * 3 + (0, more)),
        K=torch.cat([batch.K, torch.eye(3).repeat(len(batch), more, 1, 1)], dim=1),
        T_camera_base=torch.cat([batch.T_camera_base, torch.eye(4).repeat(len(batch), more, 1, 1)], dim=1),
        seen=functional.pad(batch.seen, (0, more)),
    )


def _tensors(batch: Batch, config: ModelConfig) -> list[Tensor]:
    """In the order of ``INPUTS``."""
    points, raster = sort_into_pillars(batch, config), depth_raster(batch, config)
    found = [points.inputs, points.pillar, points.cell, points.heights]
    found += [batch.images, batch.K, batch.T_camera_base, batch.seen, batch.swept]
    return found if raster is None else [*found, raster]


@dataclass(slots=True)
class OnnxDetector:
    """A detector that onnxruntime runs; it answers as the ``Detector`` it was exported from.

    Attributes:
        session: of onnxruntime.
        config: sizes and switches of the network.
        cameras: most pictures of a sample.
        calibration, statistics: as in ``Detector``.
    """

    session: Any
    config: ModelConfig
    cameras: int
    calibration: ScoreCalibration | None = None
    statistics: InputStatistics | None = None

    @classmethod
    def load(cls, path: str | Path, threads: int = 0) -> OnnxDetector:
        """Read what ``export_onnx`` wrote; ``threads`` 0 leaves their number to onnxruntime.

        Raises:
            DetectionError: onnxruntime is missing.
            CheckpointError: the file is not there, is damaged, or holds something else.
        """
        try:
            import onnxruntime
        except ImportError:
            raise DetectionError("ONNX files are run by onnxruntime: pip install 'mem4nav[detect]'") from None
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3  # its warnings are of sizes that the exporter leaves open
        try:
            session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # its own kinds have no root in common
            raise CheckpointError(f"cannot read an ONNX file from {path}: {error}") from None
        found = Description.of_file(path, session.get_modelmeta().custom_metadata_map, FORMAT)
        return cls(session, found.config, found.cameras, found.calibration, found.statistics)

    def detect(self, samples: Sequence[Sample]) -> list[dict[str, Boxes]]:
        """As ``Detector.detect``, one sample after the other.

        Raises:
            DetectionError: a sample with more pictures than the file takes.
        """
        return [self._detect(sample) for sample in samples]

    def _detect(self, sample: Sample) -> dict[str, Boxes]:
        if len(sample.views) > self.cameras:
            raise DetectionError(
                f"{sample.name} has {len(sample.views)} pictures, the ONNX file takes {self.cameras}: export with more"
            )
        with torch.inference_mode():
            tensors = _tensors(_padded(collate([sample], self.config), self.cameras), self.config)
        named = {name: t.numpy() for name, t in zip(INPUTS, tensors, strict=False)}
        taken = {one.name for one in self.session.get_inputs()}
        heads = self.session.run(None, {name: array for name, array in named.items() if name in taken})
        outputs = _outputs([torch.from_numpy(part) for part in heads])
        return calibrated(boxes_of(outputs, self.config), self.calibration)[0]


def _outputs(parts: list[Tensor]) -> Outputs:
    """Of the file's answers; codes are absolute, so that places are 0."""
    none = parts[0].new_zeros(0)
    found = []
    for start in range(0, len(parts), len(PARTS)):
        logits, code, score, label, valid = parts[start : start + len(PARTS)]
        found.append(Candidates(none, torch.zeros_like(code[..., :2]), logits, code, score, label, valid))
    lidar, camera, fused = found
    return Outputs(none, none, [], lidar, None, camera, fused)
