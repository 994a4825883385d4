# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""The detector's benchmarks, with small networks and frames: what is kept, what goes on, what the rows say."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

import torch

from bench import detection_frames, detection_runs, resuming
from bench.detection_devkit import devkit_missing
from bench.detection_judging import BLACK, CHANGES, LESS, NO_CAMERAS, NO_LIDAR, WHOLE, judged, mean_map, tracked
from bench.detection_rows import held_out_rows, sensor_rows, tracking_rows
from bench.detection_training import summarise
from bench.resuming import digest_of, measured
from bench.rows import Report
from detection.calibration import ScoreCalibration
from detection.config import TrainConfig
from detection.datasets import FolderDataset, FolderWriter
from detection.inference import Detector
from detection.model import SparseFusion
from detection.sample import Sample
from detection.training import TRAINING, read_curves, train
from detection_worlds import CLASSES, LEARNING, TINY, scene

CITY = ("car", "pedestrian", "hydrant")
HEADS = ("lidar", "camera", "fused")


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def frames(tmp_path_factory) -> FolderDataset:
    folder = tmp_path_factory.mktemp("frames")
    writer = FolderWriter(folder, CLASSES, jpeg_quality=None)
    for seed in range(3):
        writer.write(scene(seed), "drive")
    return FolderDataset(folder)


@pytest.fixture(scope="module")
def detector() -> Detector:
    torch.manual_seed(0)
    return Detector(SparseFusion(TINY).eval(), ScoreCalibration(CLASSES, (1.0, 1.0), (-2.0, -2.0)))


def numbers(mean_ap: float, ap: float = 0.9, count: int = 200, **more: Any) -> dict[str, Any]:
    """What ``judged`` says, of all classes and heads the same."""
    one = {"ap": ap, "count": count, "errors": {"ATE": 0.2, "AOE": None}}
    head = {"map": mean_ap, "nds": mean_ap, "per_class": dict.fromkeys(CITY, one)}
    return {**head, "per_head": dict.fromkeys(HEADS, head), "ece_before": 0.2, "ece_after": 0.1, **more}


def verdicts(report: Report) -> dict[str, str]:
    return {row.what: row.verdict for row in report.rows}


def test_a_comment_changes_no_digest_and_a_number_does(tmp_path, monkeypatch):
    monkeypatch.setattr(resuming, "ROOT", tmp_path)
    source = tmp_path / "part.py"
    digests = []
    for text in ("x = 1\n", "# why\nx  =  1\n", "x = 2\n"):
        source.write_text(text)
        digests.append(digest_of(["*.py"]))
    assert digests[0] == digests[1] != digests[2]
    assert digest_of(["*.py"], 1) != digest_of(["*.py"], 2)


def test_what_was_measured_is_taken_as_it_is_until_its_key_changes(tmp_path):
    asked = []

    def measure() -> dict[str, int]:
        asked.append(1)
        return {"times": len(asked)}

    found = [measured(tmp_path / "one.json", key, measure)["times"] for key in ("a", "a", "b")]
    assert found == [1, 1, 2]


def test_frames_are_made_once_without_loss_and_anew_for_another_simulator(tmp_path, monkeypatch):
    made = []

    def samples(_: object, seeds: list[int], lanes: int) -> Iterator[Sample]:
        made.extend(seeds)
        return (scene(seed) for seed in seeds)

    class Pool:
        def __init__(self, *_, **__): ...
        def __enter__(self):
            return self

        def __exit__(self, *_): ...

        map = staticmethod(map)

    monkeypatch.setattr(detection_frames, "city_samples", samples)
    monkeypatch.setattr(detection_frames, "ProcessPoolExecutor", Pool)
    towns = [detection_frames.Town(detection_frames.held_out_scenes(), seed) for seed in (5, 6, 7)]
    first = detection_frames.on_disk(tmp_path / "frames", towns[:2])
    kept, whole = first[1], scene(6)
    assert np.array_equal(kept.points, whole.points)
    assert all(np.array_equal(a.pixels, b.pixels) for a, b in zip(kept.views, whole.views, strict=True))
    assert len(detection_frames.on_disk(tmp_path / "frames", towns)) == 3 and made == [5, 6, 7]
    monkeypatch.setattr(detection_frames, "digest_of", lambda *_: "another")
    assert len(detection_frames.on_disk(tmp_path / "frames", towns[:1])) == 1 and made == [5, 6, 7, 5]


def test_faults_of_sensors_leave_what_they_should():
    whole = scene(1)
    left = {name: change(whole, 2) for name, change in CHANGES.items()}
    assert [view.name for view in left[LESS].views] == ["camera0", "camera1", "camera3"]
    assert [bool(view.pixels.any()) for view in left[BLACK].views] == [True, True, False, True]
    assert not len(left[NO_LIDAR].points) and len(left[NO_LIDAR].views) == 4
    assert left[NO_CAMERAS].views == () and len(left[NO_CAMERAS].points)
    assert len(left[WHOLE].views) == 4 and len(left[WHOLE].points) == len(whole.points)


def test_a_detector_is_judged_before_and_after_calibration_and_like_the_devkit(detector, frames):
    found = judged(detector, frames, devkit=True)
    assert found["frames"] == 3 and found["per_head"].keys() == set(HEADS)
    assert found["ece_after"] != found["ece_before"]
    if devkit_missing() is None:
        assert found["devkit_gap"] < 1e-9
    without = judged(detector, frames, NO_CAMERAS)
    counts = [sum(one["count"] for one in run["per_class"].values()) for run in (found, without)]
    assert counts[0] == counts[1] > 0, "the truth stays what it is"


def test_a_drive_is_tracked(detector, frames):
    found = tracked(detector, frames)
    assert found["frames"] == 3 and found["switched"] <= found["objects"]


def test_rows_hold_the_mean_of_the_seeds_against_the_bars():
    report = Report("detection")
    held_out_rows(report, [numbers(m, devkit_gap=1e-7) for m in (0.60, 0.66, 0.72)], None)
    assert set(verdicts(report).values()) == {"pass", ""}
    poor = Report("detection")
    held_out_rows(poor, [numbers(0.5, ap=0.7, count=149)] * 3, "nuscenes-devkit is not installed")
    assert [row.verdict for row in poor.rows if row.bar] == ["miss"] * 4
    assert poor.rows[-1].verdict == "skipped" and "149 (car)" in {row.measured for row in poor.rows}


def test_failing_sensors_are_held_against_networks_of_the_other_where_there_are_any():
    found = {name: numbers(0.6) for name in CHANGES} | {LESS: numbers(0.55), BLACK: numbers(0.5)}
    alone, none = Report("detection"), Report("detection")
    sensor_rows(alone, found, camera=0.8, lidar=0.64)
    assert list(verdicts(alone).values()) == ["pass", "miss", "pass", "miss"]
    sensor_rows(none, found, camera=None, lidar=None)
    assert list(verdicts(none).values()) == ["pass", "miss", "skipped", "skipped"]


def test_switched_identities_are_counted_over_all_drives():
    report = Report("detection")
    tracking_rows(report, [{"frames": 200, "objects": 30, "switched": switched, "switches": 2} for switched in (0, 3)])
    assert report.rows[0].verdict == "pass" and report.rows[0].measured == "5.0 % (3 of 60, 4 switches)"
    tracking_rows(report, [{"frames": 9, "objects": 0, "switched": 0, "switches": 0}])
    assert report.rows[1].verdict == "miss"


def test_networks_are_compared_over_the_seeds_that_are_trained():
    names = detection_runs.NAMES
    runs = {name: {seed: numbers(0.5) for seed in (0, 1, 2)} for name in names}
    runs["full"] = {seed: numbers(0.6, one_hot=numbers(0.55)) for seed in (0, 1)}
    runs["lidar"], runs["no-semantic"] = {1: numbers(0.4)}, {1: numbers(0.56)}
    report = Report("detection_training")
    summarise(report, runs)
    assert [row.verdict for row in report.rows] == ["pass", "pass", "pass"]
    assert "56.0 against 40.0 and 50.0: +6.0 (seed 1)" in report.rows[0].measured
    rows = {row[0]: row for row in report.tables[0].rows}
    assert rows["LiDAR alone"][1:6] == ["-", "0.400", "-", "0.400", "-0.200"]
    assert rows["all of it, scores of one class alone"][5] == "-0.050"


def test_networks_that_are_not_trained_are_skipped_by_name():
    report = Report("detection_training")
    summarise(report, {name: {} for name in detection_runs.NAMES} | {"recipe": {0: numbers(0.4)}})
    assert [row.verdict for row in report.rows] == ["skipped", "miss", "skipped"]
    assert "no-semantic, lidar, camera" in report.rows[0].measured


@pytest.fixture
def small_runs(frames, tmp_path, monkeypatch) -> Path:
    """Folder of runs that take seconds."""
    monkeypatch.setattr(detection_runs, "FOLDER", tmp_path)
    monkeypatch.setattr(detection_runs, "training_frames", lambda: frames)
    monkeypatch.setattr(detection_runs, "held_out_frames", lambda _: frames)
    usual = detection_runs.config_of

    def small(name: str, seed: int) -> TrainConfig:
        switches = {key: getattr(usual(name, seed).model, key) for key in ("semantic_transfer", "lidar_backbone")}
        return replace(LEARNING, seed=seed, model=replace(TINY, **switches))

    monkeypatch.setattr(detection_runs, "config_of", small)
    return tmp_path


def resumptions(monkeypatch) -> list[bool]:
    """Of each training from now on, whether it goes on from what was kept."""
    resumed: list[bool] = []
    monkeypatch.setattr(detection_runs, "train", lambda *a, **o: resumed.append(o["resume"]) or train(*a, **o))
    return resumed


@pytest.mark.parametrize("name", ["lidar", "camera"])
def test_a_variant_is_trained_and_judged_with_its_sensors(name, small_runs, monkeypatch):
    assert detection_runs.metrics_of(name, 0) is None
    detection_runs.run(name, 0, "cpu")
    assert [row["step"] for row in read_curves(small_runs / f"{name}-0")] == list(range(1, LEARNING.steps + 1))
    monkeypatch.setattr(detection_runs, "judged", lambda *_: pytest.fail("it was judged before"))
    metrics = detection_runs.metrics_of(name, 0)
    assert metrics is not None and 0.0 <= mean_map([metrics]) <= 1.0 and "one_hot" not in metrics


def test_a_training_that_was_broken_off_goes_on_and_one_that_is_done_is_left(small_runs, monkeypatch):
    def broken(*arguments, progress, **options):
        def stop(row):
            if row["step"] == LEARNING.keep_every + 1:
                raise InterruptedError

        return train(*arguments, progress=stop, **options)

    monkeypatch.setattr(detection_runs, "train", broken)
    with pytest.raises(InterruptedError):
        detection_runs.run("full", 0, "cpu")
    resumed = resumptions(monkeypatch)
    detection_runs.run("full", 0, "cpu")
    detection_runs.run("full", 0, "cpu")
    assert resumed == [True]
    assert [row["step"] for row in read_curves(small_runs / "full-0")] == list(range(1, LEARNING.steps + 1))
    metrics = detection_runs.metrics_of("full", 0)
    assert metrics is not None and metrics["one_hot"]["per_head"].keys() == set(HEADS)


def test_a_training_broken_off_before_it_kept_anything_does_not_go_on_from_another_ones_file(small_runs, monkeypatch):
    folder = small_runs / "full-0"
    folder.mkdir()
    (folder / "began.txt").write_text("of other code", encoding="utf-8")
    (folder / TRAINING).write_bytes(b"of other code")

    def broken(*_, **options):
        raise InterruptedError

    monkeypatch.setattr(detection_runs, "train", broken)
    with pytest.raises(InterruptedError):
        detection_runs.run("full", 0, "cpu")
    resumed = resumptions(monkeypatch)
    detection_runs.run("full", 0, "cpu")
    assert resumed == [False]
