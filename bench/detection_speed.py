# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""The detector from raw points and pictures to boxes, on the town's rig: PyTorch and onnxruntime, 1 and 2 threads."""

from __future__ import annotations

import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from numpy.typing import NDArray

from bench.rows import Report
from detection import inference, model
from detection.config import ModelConfig
from detection.export import OnnxDetector, export_onnx
from detection.inference import CITY_WEIGHTS, Detector
from detection.model import SparseFusion
from detection.sample import Sample
from mem4nav.cli.detect_city import drive_samples, held_out_scenes, held_out_seeds

FRAMES, ROUNDS = 8, 2
BAR_MS = 250.0
STAGES = {
    "bev": "LiDAR branch", "images": "image encoder", "depth": "geometric transfer", "looks": "semantic transfer",
    "bev_heat": "heatmaps", "image_heat": "heatmaps", "lidar_decoder": "decoders", "camera_decoder": "decoders",
    "view": "view transform", "fusion": "fusion",
}  # fmt: skip
STEPS = (
    (inference, "collate", "prepare"), (inference, "boxes_of", "boxes"), (model, "sort_into_pillars", "voxelise"),
    (model, "depth_raster", "depth raster"),
)  # fmt: skip


def main() -> None:
    report = Report("detection_speed")
    torch.manual_seed(0)
    detector = Detector.load(CITY_WEIGHTS) if CITY_WEIGHTS.is_file() else Detector(SparseFusion(ModelConfig()).eval())
    samples = list(islice(drive_samples(held_out_scenes(), held_out_seeds(0)[0]), FRAMES))
    torch.set_num_threads(1)
    _parts(report, detector, samples)
    _frames(report, detector, samples)
    points = int(np.median([len(sample.points) for sample in samples]))
    report.note(
        f"{len(samples)} frames of a held-out town, each {ROUNDS} times: {points} points and {len(samples[0].views)} "
        f"pictures of {samples[0].views[0].pixels.shape[1]} x {samples[0].views[0].pixels.shape[0]} px (median). "
        "CPU time is of all threads together; wall time is of a machine that others may use too."
    )
    report.save()


def _frames(report: Report, detector: Detector, samples: Sequence[Sample]) -> None:
    """Both engines, one thread and two, frame by frame in turn."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        path = export_onnx(detector, Path(folder) / "detector.onnx")
        for threads in (1, 2):
            torch.set_num_threads(threads)
            engines = {"PyTorch": detector.detect, "onnxruntime": OnnxDetector.load(path, threads).detect}
            for name, times in _interleaved(engines, samples).items():
                (cpu, wall), (cpu_95, wall_95) = np.median(times, axis=0), np.percentile(times, 95, axis=0)
                cells = (cpu, cpu_95, wall, wall_95)
                rows.append([name, threads, *(f"{ms:.0f}" for ms in cells), f"{1e3 / wall:.1f}"])
                what = f"{name}, {threads} thread{'s' * (threads > 1)}, a frame (aim 150 ms)"
                report.row(f"{what}, CPU time", "", f"{cpu:.0f} ms")
                report.at_most(f"{what}, wall time", wall, BAR_MS, "ms", 0)
    columns = ["engine", "threads", "CPU, median", "CPU, p95", "wall, median", "wall, p95", "frames a second"]
    report.table("Raw points and pictures to boxes, milliseconds", columns, rows)


def _interleaved(
    engines: dict[str, Callable[[Sequence[Sample]], Any]], samples: Sequence[Sample]
) -> dict[str, NDArray[np.float64]]:
    """(N, 2) CPU and wall milliseconds of each frame by engine."""
    times: dict[str, list[NDArray[np.float64]]] = defaultdict(list)
    for engine in engines.values():
        engine(samples[:1])
    for sample in list(samples) * ROUNDS:
        for name, engine in engines.items():
            began = _now()
            engine([sample])
            times[name].append(_now() - began)
    return {name: np.array(one) for name, one in times.items()}


def _now() -> NDArray[np.float64]:
    """[CPU, wall] milliseconds."""
    return 1e-6 * np.array([time.process_time_ns(), time.perf_counter_ns()], np.float64)


def _parts(report: Report, detector: Detector, samples: Sequence[Sample]) -> None:
    frames: list[dict[str, float]] = []
    for sample in samples:
        with _watched(detector.model) as spent:
            began = time.thread_time()
            detector.detect([sample])
            spent["rest"] = 1e3 * (time.thread_time() - began) - sum(spent.values())
        frames.append(spent)
    names = sorted(frames[0], key=lambda name: -np.median([frame[name] for frame in frames]))
    rows = [[name, f"{np.median([f[name] for f in frames]):.1f}"] for name in names]
    report.table("Where the time of PyTorch on one thread goes, CPU milliseconds (median)", ["part", "ms"], rows)


@contextmanager
def _watched(network: SparseFusion) -> Iterator[dict[str, float]]:
    """CPU milliseconds that parts take within, filled as they run."""
    spent: dict[str, float] = defaultdict(float)

    def timed(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def watched(*arguments: Any, **options: Any) -> Any:
            began = time.thread_time()
            answer = call(*arguments, **options)
            spent[name] += 1e3 * (time.thread_time() - began)
            return answer

        return watched

    parts = [(getattr(network, one), "forward", name) for one, name in STAGES.items() if getattr(network, one)]
    places = [*parts, *STEPS, (network.pillars, "forward", "voxelise")]
    patches = [mock.patch.object(place, what, timed(name, getattr(place, what))) for place, what, name in places]
    for patch in patches:
        patch.start()
    try:
        yield spent
    finally:
        for patch in patches:
            patch.stop()


if __name__ == "__main__":
    main()
