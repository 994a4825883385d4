# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""``mem4nav detect`` trains a detector on a dataset, judges it, and puts it to work; what it cannot do it says."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

import torch

from detection.augment import scaled
from detection.datasets import FolderWriter
from detection.training import read_curves
from detection_worlds import CLASSES, LIDAR, TINY, scene
from mem4nav.cli.detect import Eval
from mem4nav.cli.detect_eval import degraded
from mem4nav.cli.detect_samples import Frames
from mem4nav.cli.detect_train import DatasetSource
from mem4nav.cli.main import main
from mem4nav.errors import UsageError
from slam.calibration import Calibration
from slam.config import dump_yaml
from slam.measurements import Image, Scan

FRAMES = 5


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """A dataset of a few frames of one drive."""
    folder = tmp_path_factory.mktemp("data") / "crates"
    writer = FolderWriter(folder, CLASSES)
    for seed in range(FRAMES):
        writer.write(scene(seed), "drive")
    return folder


@pytest.fixture(scope="module")
def trained(data, tmp_path_factory) -> Path:
    """What a few steps of training on it leave behind."""
    out = tmp_path_factory.mktemp("trained")
    config = out / "tiny.yaml"
    model = "".join(f"  {line}\n" for line in dump_yaml(TINY).splitlines())
    config.write_text(f"keep_every: 2\nbatch: 2\nmodel:\n{model}")
    words = ["--out", str(out), "--data", str(data), "--config", str(config), "--steps", "4", "--seed", "3", "--quiet"]
    assert main(["detect", "train", *words]) == 0
    return out


def metrics_in(folder: Path) -> dict:
    return json.loads((folder / "metrics.json").read_text())


def refusal(capsys, *words: str) -> str:
    assert main(["detect", *words]) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith("mem4nav: ")
    return lines[0]


def test_training_leaves_a_detector_its_curves_and_the_command_that_repeats_it(trained, data):
    for name in ("detector.safetensors", "training.safetensors", "curves.png", "config.yaml"):
        assert (trained / name).stat().st_size > 100
    assert [row["step"] for row in read_curves(trained)] == [1, 2, 3, 4]
    metrics = metrics_in(trained)
    assert metrics["steps"] == 4 and metrics["statistics"]["samples"] == 8
    words = shlex.split(metrics["command"])
    assert words[:3] == ["mem4nav", "detect", "train"] and str(data) in words and words[-2:] == ["--seed", "3"]


def test_the_command_that_repeats_a_training_repeats_it(trained, tmp_path):
    words = shlex.split(metrics_in(trained)["command"])[1:]
    words[words.index("--out") + 1] = str(tmp_path)
    assert main([*words, "--quiet"]) == 0
    first, second = ([row["total"] for row in read_curves(folder)] for folder in (trained, tmp_path))
    assert first == second


def test_a_detector_is_judged_with_all_sensors(trained, data, tmp_path):
    weights = str(trained / "detector.safetensors")
    words = ["--checkpoint", weights, "--data", str(data), "--out", str(tmp_path), "--overlays", "2", "--quiet"]
    assert main(["detect", "eval", *words]) == 0
    metrics = metrics_in(tmp_path)
    assert {"map", "nds", "per_class", "errors", "map_by_band", "ece"} <= metrics.keys()
    assert metrics["per_head"].keys() == {"lidar", "camera", "fused"}
    assert metrics["frames"] == FRAMES and metrics["differs_from_training"] == []
    assert sum(one["count"] for one in metrics["per_class"].values()) > 0
    for name in ("boxes.json", "truth.json"):
        assert len(json.loads((tmp_path / name).read_text())["results"]) == FRAMES
    assert len(list((tmp_path / "overlays").glob("*.png"))) == 2
    assert (tmp_path / "reliability.png").exists() and (tmp_path / "precision_recall.png").exists()


@pytest.mark.parametrize("sensors", ["lidar", "camera"])
def test_a_detector_is_judged_with_one_kind_of_sensor(trained, data, tmp_path, sensors):
    weights = str(trained / "detector.safetensors")
    words = ["--checkpoint", weights, "--data", str(data), "--out", str(tmp_path), "--frames", "2", "--quiet"]
    assert main(["detect", "eval", *words, "--sensors", sensors, "--overlays", "0"]) == 0
    metrics = metrics_in(tmp_path)
    assert metrics["frames"] == 2
    assert any("there are no" in note for note in metrics["differs_from_training"])


def test_sensors_are_left_out_and_turned_as_asked():
    whole, asked = scene(1), Eval(out=Path())
    assert degraded(whole, asked, 0) == whole or degraded(whole, asked, 0).views == whole.views
    left = degraded(whole, replace(asked, drop=("camera1", "camera3")), 0)
    assert [view.name for view in left.views] == ["camera0", "camera2"]
    assert not len(degraded(whole, replace(asked, sensors="camera"), 0).points)
    turned = degraded(whole, replace(asked, turn_extrinsics=2.0), 0)
    for before, after in zip(whole.views, turned.views, strict=True):
        between = before.camera.T_base_camera[:3, :3].T @ after.camera.T_base_camera[:3, :3]
        assert np.degrees(np.arccos((np.trace(between) - 1.0) / 2.0)) == pytest.approx(2.0)
    with pytest.raises(UsageError, match="--drop roof: the cameras are camera0, camera1"):
        degraded(whole, replace(asked, drop=("roof",)), 0)
    with pytest.raises(UsageError, match="no sensor is left"):
        degraded(whole, replace(asked, drop=("lidar", "cameras")), 0)


def test_a_detector_at_work_leaves_boxes_and_pictures_and_says_what_differs(trained, data, tmp_path, capsys):
    weights = ["--checkpoint", str(trained / "detector.safetensors")]
    out = tmp_path / "all"
    assert main(["detect", "run", str(data), "--out", str(out), *weights, "--score", "0", "--overlays", "1"]) == 0
    assert "the sensors are like those of the training" in capsys.readouterr().out
    assert metrics_in(out)["boxes"] > 0
    assert len(json.loads((out / "boxes.json").read_text())["results"]) == FRAMES
    assert len(list((out / "overlays").glob("*.png"))) == 1
    low = FolderWriter(tmp_path / "low", CLASSES)
    low.write(scaled(scene(3), 0.4), "low")
    frame = tmp_path / "low" / "frames" / scene(3).name
    assert main(["detect", "run", str(frame), "--out", str(tmp_path / "one"), *weights]) == 0
    assert "m lower than in training" in capsys.readouterr().out
    assert metrics_in(tmp_path / "one")["frames"] == 1


def test_tracked_boxes_carry_identities(trained, data, tmp_path):
    weights = ["--checkpoint", str(trained / "detector.safetensors")]
    words = [str(data), "--out", str(tmp_path), *weights, "--track", "--score", "0", "--overlays", "0", "--quiet"]
    assert main(["detect", "run", *words]) == 0
    results = json.loads((tmp_path / "boxes.json").read_text())["results"]
    assert all(box["tracking_id"] >= 0 for boxes in results.values() for box in boxes)


class Bag:
    """A recording of three scans and the pictures of one camera, base_link at the height of the LiDAR."""

    name, scan_count = "bag", 3

    def __init__(self) -> None:
        one = scene(1)
        T = np.eye(4)
        T[:3, 3] = [0.2, 0.0, -0.1]
        up = np.eye(4)
        up[2, 3] = -LIDAR[2]
        view = one.views[0]
        cameras = {"front": replace(view.camera, T_base_camera=up @ view.camera.T_base_camera)}
        self.calibration, self.picture = Calibration(T, None, cameras), view.pixels
        self.points = one.points[:, :3].astype(np.float64) - LIDAR - T[:3, 3] + [LIDAR[0], LIDAR[1], 0.0]
        self.intensity = 255.0 * one.points[:, 3]

    def measurements(self, *, images: bool = False) -> Iterator:
        for number in range(3):
            stamp = number * 100_000_000
            yield Scan(stamp, np.vstack([self.points, [[np.nan] * 3]]), None, np.append(self.intensity, 0.0))
            if images:
                yield Image(stamp + 20_000_000, "front", self.picture)
                yield Image(stamp + 45_000_000, "front", 0 * self.picture)


def test_scans_of_a_recording_get_their_nearest_pictures_and_stand_on_the_ground():
    samples = list(Frames(Bag()).samples())
    assert [sample.stamp_ns for sample in samples] == [0, 10**8, 2 * 10**8]
    for sample in samples:
        np.testing.assert_allclose(sample.points[:, :3], scene(1).points[:, :3], atol=0.05)
        assert 0.3 < sample.points[:, 3].max() <= 1.0
        assert [view.name for view in sample.views] == ["front"] and sample.views[0].pixels.any()
        assert sample.views[0].camera.T_base_camera[2, 3] == pytest.approx(1.7, abs=0.05)
        assert sample.lidar_origin[2] == pytest.approx(LIDAR[2] - 0.1, abs=0.05)


def test_a_dataset_is_shuffled_anew_each_time_through_and_shared_among_processes():
    class Numbered:
        def __len__(self):
            return 6

    source = DatasetSource(Numbered(), 0, 0)
    alone = source._numbers(0, 0, 1)
    numbers = [next(alone) for _ in range(12)]
    assert sorted(numbers[:6]) == sorted(numbers[6:]) == list(range(6)) and numbers[:6] != numbers[6:]
    pair = [source._numbers(1, rank, 2) for rank in range(2)]
    assert [next(pair[n % 2]) for n in range(10)] == numbers[2:]


def test_what_cannot_be_done_is_said_in_a_line(trained, data, tmp_path, capsys):
    out = ["--out", str(tmp_path / "out")]
    weights = ["--checkpoint", str(trained / "detector.safetensors")]
    assert "does not exist" in refusal(capsys, "run", str(tmp_path / "nothing"), *out, *weights)
    assert "--frames 0: at least one" in refusal(capsys, "eval", "--frames", "0", *out)
    assert "cannot read a detector" in refusal(capsys, "run", str(data), *out, "--checkpoint", str(tmp_path / "no"))
    other = tmp_path / "other"
    FolderWriter(other, ("boat",)).write(replace(scene(1), boxes=None))
    assert "the detector has crate, post" in refusal(capsys, "eval", "--data", str(other), *out, *weights)
    assert "unknown configuration key 'stepz'" in refusal(
        capsys, "train", *out, "--config", _yaml(tmp_path, "stepz: 1")
    )
    crates = _yaml(tmp_path, f"model: {{classes: {list(CLASSES)}}}")
    resumed = refusal(capsys, "train", *out, "--data", str(data), "--resume", "--config", crates)
    assert "is no checkpoint of a training" in resumed


def test_without_weights_the_command_says_how_to_get_some(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("mem4nav.cli.detect_samples.CITY_WEIGHTS", tmp_path / "none")
    assert "mem4nav detect train" in refusal(capsys, "eval", "--out", str(tmp_path))


def _yaml(folder: Path, text: str) -> str:
    (folder / "asked.yaml").write_text(text)
    return str(folder / "asked.yaml")
