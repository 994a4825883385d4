# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Judging a detector: on held-out towns or datasets, with all sensors or fewer, its calibration right or wrong."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from detection.augment import without_cameras, without_lidar
from detection.evaluation.box_files import to_json
from detection.evaluation.nuscenes_metrics import Scores
from detection.evaluation.report import (
    evaluate_heads,
    metrics,
    per_head,
    reliability_of,
    save_precision_recall,
    save_reliability,
)
from detection.evaluation.rules import EvalRules
from detection.inference import Detector
from detection.overlays import draw_sheet
from detection.sample import Boxes, Sample
from detection.statistics import compare
from mem4nav.cli.console import Terminal
from mem4nav.cli.detect import Eval
from mem4nav.cli.detect_city import city_samples, held_out_scenes, held_out_seeds
from mem4nav.cli.detect_samples import load_detector, open_joined
from mem4nav.cli.metrics_file import peak_rss_mb, spread, versions, write_metrics
from mem4nav.errors import UsageError
from slam.calibration import Camera
from slam.files import write_text

CITY_FRAMES = 220
SHOWN_SCORE = 0.3


def evaluate_detector(asked: Eval, terminal: Terminal) -> None:
    """Detect in every frame, compare with the truth, and leave metrics, boxes, figures and pictures in --out.

    Raises:
        UsageError: sensors that are not there, or frames without truth.
    """
    detector = load_detector(asked.checkpoint)
    classes, began = detector.config.classes, time.monotonic()
    total, source = _source(asked, detector)
    shown = set(np.linspace(0, total - 1, min(asked.overlays, total)).astype(int).tolist())
    truths: dict[str, Boxes] = {}
    found, seconds, notes = [], [], []
    with terminal.task("detecting", total) as advance:
        for number, sample in enumerate(source):
            if sample.boxes is None:
                raise UsageError(f"sample {sample.name} has no boxes: there is no truth to judge by")
            given = degraded(sample, asked, number)
            if not number and detector.statistics is not None:
                notes = compare(detector.statistics, given)
            start = time.perf_counter()
            boxes = detector.detect([given])[0]
            seconds.append(time.perf_counter() - start)
            truths[sample.name], found = sample.boxes, [*found, boxes]
            if number in shown:
                save_overlay(asked.out, given, boxes["fused"], classes, sample.boxes)
            advance()
    heads, truth, rules = per_head(found), list(truths.values()), EvalRules()
    scores = evaluate_heads(truth, heads, classes, rules)
    reliability = reliability_of(truth, heads["fused"], classes, rules)
    _store_boxes(asked.out, truths, heads["fused"], classes)
    save_precision_recall(asked.out / "precision_recall.png", scores["fused"])
    save_reliability(asked.out / "reliability.png", {"scores": reliability})
    write_metrics(asked.out, {
        **metrics(scores),
        "ece": reliability.ece,
        "frames": len(truth),
        "data": [str(path) for path in asked.data] or f"city, held-out towns of seed {asked.seed}",
        "sensors": asked.sensors,
        "dropped": list(asked.drop),
        "turned_extrinsics_deg": asked.turn_extrinsics,
        "checkpoint": str(asked.checkpoint or "shipped"),
        "differs_from_training": notes,
        "ms_per_frame": spread(1e3 * np.array(seconds)),
        "seconds": time.monotonic() - began,
        "peak_rss_mb": peak_rss_mb(),
        "versions": versions(),
    })  # fmt: skip
    for note in notes:
        terminal.say(f"beware: {note}")
    terminal.table(f"{len(truth)} frames, results in {asked.out}", _rows(scores))


def degraded(sample: Sample, asked: Eval, number: int) -> Sample:
    """What is left of a sample once sensors are dropped and the cameras' calibration is turned.

    Raises:
        UsageError: a sensor that the sample does not have, or none left.
    """
    dropped = {*asked.drop, *({"lidar": ("cameras",), "camera": ("lidar",)}.get(asked.sensors, ()))}
    names = {view.name for view in sample.views}
    if unknown := dropped - names - {"lidar", "cameras"}:
        raise UsageError(f"--drop {', '.join(sorted(unknown))}: the cameras are {', '.join(sorted(names)) or 'none'}")
    if "lidar" in dropped:
        sample = without_lidar(sample)
    if "cameras" in dropped:
        sample = without_cameras(sample)
    views = tuple(view for view in sample.views if view.name not in dropped)
    if not (views or len(sample.points)):
        raise UsageError(f"sample {sample.name}: no sensor is left")
    if asked.turn_extrinsics:
        rng = np.random.default_rng((asked.seed, number))
        views = tuple(replace(view, camera=_turned(view.camera, asked.turn_extrinsics, rng)) for view in views)
    return replace(sample, views=views)


def save_overlay(out: Path, sample: Sample, boxes: Boxes, classes: tuple[str, ...], truth: Boxes | None = None) -> None:
    """overlays/<name>.png in ``out``: the pictures and the scene from above with the boxes that are sure enough."""
    folder = out / "overlays"
    folder.mkdir(parents=True, exist_ok=True)
    sheet = draw_sheet(sample, boxes.pick(boxes.score >= SHOWN_SCORE), classes, truth)
    sheet.save(folder / f"{sample.name}.png")


def _turned(camera: Camera, angle_deg: float, rng: np.random.Generator) -> Camera:
    axis = rng.normal(size=3)
    T = camera.T_base_camera.copy()
    T[:3, :3] = T[:3, :3] @ Rotation.from_rotvec(np.radians(angle_deg) * axis / np.linalg.norm(axis)).as_matrix()
    return replace(camera, T_base_camera=T)


def _source(asked: Eval, detector: Detector) -> tuple[int, Iterator[Sample]]:
    classes = detector.config.classes
    if asked.data:
        dataset = open_joined(asked.data, classes)
        total = min(len(dataset), asked.frames or len(dataset))
        if not total:
            raise UsageError(f"no frame in {', '.join(map(str, asked.data))}")
        return total, iter(dataset[:total])
    scenes, total = held_out_scenes(), asked.frames or CITY_FRAMES
    towns = -(-total // scenes.frames)
    samples = city_samples(scenes, held_out_seeds(asked.seed, towns), classes, lanes=1)
    return total, itertools.islice(samples, total)


def _store_boxes(out: Path, truths: Mapping[str, Boxes], found: list[Boxes], classes: tuple[str, ...]) -> None:
    detections = dict(zip(truths, found, strict=True))
    for name, boxes in (("boxes.json", detections), ("truth.json", truths)):
        write_text(out / name, json.dumps(to_json(boxes, classes), allow_nan=False) + "\n")


def _rows(scores: Mapping[str, Scores]) -> list[tuple[str, str]]:
    rows = [(f"{head}: mAP, NDS", f"{one.map:.3f}, {one.nds:.3f}") for head, one in scores.items()]
    return rows + [(f"  {name} ({one.count})", f"{one.ap:.3f}") for name, one in scores["fused"].per_class.items()]
