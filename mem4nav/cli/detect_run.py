# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""A detector at work on a recording, a dataset or one frame."""

from __future__ import annotations

import itertools
import json
import time

import numpy as np

from detection.evaluation.box_files import to_json
from detection.sample import Boxes
from detection.statistics import compare
from detection.tracking import Tracker
from mem4nav.cli.console import Terminal
from mem4nav.cli.detect import Run
from mem4nav.cli.detect_eval import save_overlay
from mem4nav.cli.detect_samples import load_detector, samples_of
from mem4nav.cli.metrics_file import peak_rss_mb, spread, versions, write_metrics
from mem4nav.errors import UsageError
from slam.files import write_text


def run_detector(asked: Run, terminal: Terminal) -> None:
    """Detect in every frame; leave boxes.json, metrics.json and pictures in --out, say first what will hurt.

    Raises:
        UsageError: tracking without poses, or nothing to detect in.
    """
    detector, tracker = load_detector(asked.checkpoint), Tracker()
    classes = detector.config.classes
    name, count, samples = samples_of(asked.input, classes, asked.ground)
    total = asked.frames if count is None else min(count, asked.frames or count)
    every = max(1, (total or 1) // max(asked.overlays, 1))
    found: dict[str, Boxes] = {}
    seconds, notes, drawn = [], [], 0
    with terminal.task(f"detecting in {name}", total) as advance:
        for number, sample in enumerate(itertools.islice(samples, total)):
            if not number:
                notes = compare(detector.statistics, sample) if detector.statistics else [UNKNOWN]
                _say(notes, terminal)
            start = time.perf_counter()
            boxes = detector.detect([sample])[0]["fused"]
            seconds.append(time.perf_counter() - start)
            if asked.track:
                if sample.T_world_base is None:
                    raise UsageError(f"--track needs the vehicle's poses: {asked.input} has none")
                boxes = tracker.update(sample.stamp_ns, boxes, sample.T_world_base)
            found[sample.name] = boxes = boxes.pick(boxes.score >= asked.score)
            if number % every == 0 and drawn < asked.overlays:
                save_overlay(asked.out, sample, boxes, classes, sample.boxes)
                drawn += 1
            advance()
    if not found:
        raise UsageError(f"{asked.input} holds no frame")
    write_text(asked.out / "boxes.json", json.dumps(to_json(found, classes), allow_nan=False) + "\n")
    labels = np.concatenate([boxes.label for boxes in found.values()])
    counts = {one: int((labels == label).sum()) for label, one in enumerate(classes)}
    write_metrics(asked.out, {
        "input": str(asked.input),
        "frames": len(found),
        "boxes": len(labels),
        "boxes_per_class": counts,
        "score": asked.score,
        "tracked": asked.track,
        "checkpoint": str(asked.checkpoint or "shipped"),
        "differs_from_training": notes,
        "ms_per_frame": spread(1e3 * np.array(seconds)),
        "peak_rss_mb": peak_rss_mb(),
        "versions": versions(),
    })  # fmt: skip
    rows = [(one, f"{number}") for one, number in counts.items() if number]
    terminal.table(f"{len(found)} frames, {len(labels)} boxes; results in {asked.out}", rows)


UNKNOWN = "the checkpoint does not say what it was trained on"


def _say(notes: list[str], terminal: Terminal) -> None:
    for note in notes:
        terminal.say(f"beware: {note}")
    if not notes:
        terminal.say("the sensors are like those of the training")
