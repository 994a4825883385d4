# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""The detector as an ONNX file answers as the network it was written from."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from detection.calibration import ScoreCalibration
from detection.config import ModelConfig
from detection.errors import CheckpointError, DetectionError
from detection.export import OnnxDetector, export_onnx
from detection.inference import HEADS, Detector
from detection.model import SparseFusion
from detection.sample import Boxes, Sample
from detection.statistics import InputStatistics, inputs_of
from detection_worlds import TINY, scene

pytest.importorskip("onnx", reason="the exporter needs onnx (it comes with mem4nav[detect])")
pytest.importorskip("onnxruntime", reason="ONNX files are run by onnxruntime (it comes with mem4nav[detect])")
torch.set_num_threads(1)


def untrained(config: ModelConfig = TINY) -> Detector:
    """Weights and normalisations of no training, but none of them trivial."""
    torch.manual_seed(0)
    model = SparseFusion(config).eval()
    for layer in model.modules():
        if isinstance(layer, torch.nn.BatchNorm2d) and layer.running_mean is not None and layer.running_var is not None:
            layer.running_mean.normal_(0.0, 0.1)
            layer.running_var.uniform_(0.5, 2.0)
    return Detector(model)


def sparser(sample: Sample, keep: int) -> Sample:
    return replace(sample, points=sample.points[::keep].copy())


def assert_equal(found: Boxes, wanted: Boxes) -> None:
    """Up to 1e-4, in the same order up to ties."""
    assert len(found) == len(wanted)
    assert np.allclose(found.score, wanted.score, atol=1e-4)
    for one in ("centre", "size", "yaw", "velocity"):
        far = np.abs(getattr(found, one) - getattr(wanted, one)) > 1e-3
        assert far.sum() <= 0.01 * far.size, one


@pytest.fixture(scope="module")
def exported(tmp_path_factory) -> tuple[Detector, OnnxDetector, Path]:
    detector = untrained()
    detector.calibration = ScoreCalibration(TINY.classes, (1.5, 0.8), (0.2, -0.1))
    detector.statistics = InputStatistics.of([inputs_of(scene(seed)) for seed in range(3)])
    path = export_onnx(detector, tmp_path_factory.mktemp("onnx") / "detector.onnx")
    return detector, OnnxDetector.load(path, threads=1), path


@pytest.mark.parametrize("keep", [1, 2, 7])
def test_an_onnx_file_answers_as_its_network_for_any_number_of_points(exported, keep):
    detector, other, _ = exported
    sample = sparser(scene(keep), keep)
    found, wanted = other.detect([sample])[0], detector.detect([sample])[0]
    for head in HEADS:
        assert_equal(found[head], wanted[head])


def test_an_onnx_file_answers_with_fewer_pictures_or_without_points(exported):
    detector, other, _ = exported
    whole = scene(3)
    empty = np.zeros((0, 5), np.float32)
    for sample in (replace(whole, views=whole.views[:2]), replace(whole, views=()), replace(whole, points=empty)):
        found, wanted = other.detect([sample])[0], detector.detect([sample])[0]
        for head in HEADS:
            assert_equal(found[head], wanted[head])


@pytest.mark.parametrize(
    "switches",
    [{"semantic_transfer": False, "geometric_transfer": False}, {"view_transform": False, "rescoring": "none"}],
)
def test_every_switch_of_the_network_can_be_exported(tmp_path, switches):
    detector = untrained(replace(TINY, **switches))
    other = OnnxDetector.load(export_onnx(detector, tmp_path / "detector.onnx", cameras=2), threads=1)
    sample = replace(scene(5), views=scene(5).views[1:3])
    assert other.config == detector.config and other.cameras == 2
    assert_equal(other.detect([sample])[0]["fused"], detector.detect([sample])[0]["fused"])


def test_an_onnx_file_knows_what_its_detector_knew(exported):
    detector, other, _ = exported
    assert (other.config, other.cameras) == (detector.config, 4)
    assert (other.calibration, other.statistics) == (detector.calibration, detector.statistics)


def test_exporting_leaves_the_detector_as_it_was(tmp_path):
    detector = untrained()
    before = detector.detect([scene(6)])[0]["fused"]
    export_onnx(detector, tmp_path / "detector.onnx")
    assert not any(module.training for module in detector.model.modules())
    assert np.array_equal(before.score, detector.detect([scene(6)])[0]["fused"].score)


def test_a_network_that_onnx_cannot_say_is_refused_with_the_reason(tmp_path):
    with pytest.raises(DetectionError, match="'dsvt' has no ONNX form"):
        export_onnx(untrained(replace(TINY, lidar_backbone="dsvt")), tmp_path / "detector.onnx")
    with pytest.raises(DetectionError, match="0 cameras"):
        export_onnx(untrained(), tmp_path / "detector.onnx", cameras=0)


def test_more_pictures_than_the_file_takes_are_refused_by_name(exported):
    sample = scene(7)
    many = replace(sample, views=sample.views + sample.views[:1])
    with pytest.raises(DetectionError, match="5 pictures, the ONNX file takes 4"):
        exported[1].detect([many])


def test_an_onnx_file_of_something_else_is_refused_by_its_format(exported, tmp_path):
    import onnx

    other = onnx.load(str(exported[2]))
    onnx.helper.set_model_props(other, {"author": "somebody"})
    onnx.save(other, str(tmp_path / "other.onnx"))
    with pytest.raises(CheckpointError, match=r"other\.onnx holds 'no format', not 'mem4nav-detector-onnx-2'"):
        OnnxDetector.load(tmp_path / "other.onnx")


def test_a_damaged_or_missing_onnx_file_is_refused_by_name(exported, tmp_path):
    damaged = tmp_path / "damaged.onnx"
    damaged.write_bytes(exported[2].read_bytes()[:2000])
    for wrong in (damaged, tmp_path / "missing.onnx"):
        with pytest.raises(CheckpointError, match=wrong.name):
            OnnxDetector.load(wrong)
