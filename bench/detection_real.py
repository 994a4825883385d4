# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Real frames: whether boxes are read as they were annotated, and what a detector that saw towns alone finds there."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.rows import Report
from detection.boxes import points_in_boxes, project
from detection.datasets import Dataset, open_dataset, remapped
from detection.datasets.kitti import IGNORED, PROJECTIONS, Kitti
from detection.evaluation.matching import match_by_distance
from detection.evaluation.nuscenes_metrics import kept
from detection.evaluation.rules import EvalRules
from detection.inference import Detector
from detection.sample import Boxes, Sample
from detection.statistics import compare
from mem4nav.cli.detect_eval import SHOWN_SCORE, save_overlay
from shared_data import data_folder

NUSCENES, KITTI = "detection/nuscenes_sample", "detection/kitti"
CITY_NAMES = {"Car": "car", "Van": "van", "Pedestrian": "pedestrian", "Cyclist": "bicycle"}
"""KITTI's classes that the town has too; those of nuScenes bear the same names."""
MATCHED = ("car", "pedestrian")
FEWEST_POINTS, RADIUS_M = 5, 2.0


def real_frames(report: Report, detector: Detector | None, out: Path) -> None:
    """Rows of both datasets; pictures of what the detector found, where there is one, go to overlays/ in ``out``."""
    report.attempt(NUSCENES, lambda to: _nuscenes(to, detector, out))
    report.attempt(KITTI, lambda to: _kitti(to, detector, out))


def _nuscenes(report: Report, detector: Detector | None, out: Path) -> None:
    path = data_folder() / NUSCENES / "sample.json"
    dataset, annotated = open_dataset(path), json.loads(path.read_text(encoding="utf-8"))["data_list"]
    gaps, alike = [], []
    for sample, frame in zip(dataset, annotated, strict=True):
        for view in sample.views:
            pixels, _ = project(view.camera, _truth(sample).centre)
            centres = np.array([one["center_2d"] for one in frame["cam_instances"][view.name]]).reshape(-1, 1, 2)
            gaps += np.nanmin(np.abs(centres - pixels).max(axis=-1, initial=0.0), axis=1, initial=np.inf).tolist()
        alike.append(points_in_boxes(sample.points, _truth(sample)) == _truth(sample).points)
    _projected(report, "nuScenes", gaps)
    _counted(report, "nuScenes: boxes with as many returns as annotated", np.concatenate(alike))
    if detector is not None:
        _found(report, "nuScenes", dataset, detector, out)


def _kitti(report: Report, detector: Detector | None, out: Path) -> None:
    dataset = Kitti(data_folder() / KITTI)
    gaps, held = [], []
    for index, sample in enumerate(dataset):
        objects = [one for one in dataset.objects(index) or () if one.name != IGNORED]
        middle = np.array([one.bottom - [0.0, 0.5 * one.size[2], 0.0] for one in objects]).reshape(-1, 3)
        calibration = (dataset.folder / "calib" / f"{sample.name}.txt").read_text(encoding="utf-8")
        for view in sample.views:
            expected = np.c_[middle, np.ones(len(middle))] @ _projection(calibration, PROJECTIONS[view.name]).T
            pixels, _ = project(view.camera, _truth(sample).centre)
            gaps += np.abs(pixels - expected[:, :2] / expected[:, 2:]).max(axis=1).tolist()
        held.append(points_in_boxes(sample.points, _truth(sample)) >= FEWEST_POINTS)
    _projected(report, "KITTI", gaps)
    _counted(report, f"KITTI: boxes that hold {FEWEST_POINTS} returns or more", np.concatenate(held))
    if detector is not None:
        _found(report, "KITTI", dataset, detector, out)


def _projection(calibration: str, name: str) -> NDArray[np.float64]:
    """(3, 4) as the file has it: into pixels from the rectified frame that labels stand in."""
    line = next(line for line in calibration.splitlines() if line.startswith(f"{name}:"))
    return np.array(line.split()[1:], np.float64).reshape(3, 4)


def _projected(report: Report, name: str, gaps: list[float]) -> None:
    report.at_most(f"{name}: {len(gaps)} centres, farthest from their place in the pictures", max(gaps), 1e-3, "px", 6)


def _counted(report: Report, what: str, good: NDArray[np.bool_]) -> None:
    share = 100.0 * float(good.mean())
    report.row(what, "at least 85 %", f"{share:.0f} % of {len(good)}", share >= 85.0)


def _found(report: Report, name: str, dataset: Dataset, detector: Detector, out: Path) -> None:
    """What is found of the classes of towns, without a bar: these streets, sensors and cars were never learnt."""
    classes, rules = detector.config.classes, EvalRules(min_points=FEWEST_POINTS)
    named = [CITY_NAMES.get(one, one) for one in dataset.classes]
    known = {old: new if new in classes else None for old, new in zip(dataset.classes, named, strict=True)}
    truths, found, notes = [], [], set()
    for sample in remapped(dataset, known, classes):
        boxes = detector.detect([sample])[0]["fused"]
        save_overlay(out, sample, boxes, classes, sample.boxes)
        truths.append(_truth(sample))
        found.append(boxes.pick(boxes.score >= SHOWN_SCORE))
        notes |= set(compare(detector.statistics, sample)) if detector.statistics is not None else set()
    truth, seen = kept(truths, found, classes, rules)
    for one in (one for one in MATCHED if one in classes):
        (matches,) = match_by_distance(truth, seen, classes.index(one), [RADIUS_M])
        measured = f"{int((matches.truth >= 0).sum())} of {matches.positives}, {len(matches.score)} boxes"
        report.row(f"{name}: {one} found within {RADIUS_M:g} m by the detector of towns", "", measured)
    _table(report, name, classes, lambda label: [int((one.boxes.label == label).sum()) for one in (truth, seen)])
    if notes:
        report.note(f"{name} differs from the towns: {'; '.join(sorted(notes))}.")


def _table(report: Report, name: str, classes: tuple[str, ...], counts: Callable[[int], list[int]]) -> None:
    rows = [[one, *counts(label)] for label, one in enumerate(classes)]
    caption = (
        f"{name}, boxes within {EvalRules().range_m:g} m: annotated, and found with a score of {SHOWN_SCORE} or more"
    )
    report.table(caption, ["class", "annotated", "found"], rows)


def _truth(sample: Sample) -> Boxes:
    assert sample.boxes is not None
    return sample.boxes
