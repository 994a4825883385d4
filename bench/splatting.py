# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Forward and backward of the CPU rasteriser on one thread, against the dense oracle of the tests in the same run."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from bench.places import ROOT
from bench.rows import Report
from slam.splatting.gaussians import Gaussians
from slam.splatting.rendering import gradients, render
from slam.splatting.view import View

REPETITIONS = 7
DENSE_REPETITIONS = 3
COUNTS = (1000, 2000, 5000, 10_000, 20_000, 50_000)
SMALL = "256 x 216"


def main() -> None:
    assert ROOT  # its module puts the tests' folder, which holds the scenes and the oracle, on the path
    report = Report("splatting")
    _against_the_oracle(report)
    _by_count(report)
    _window(report)
    report.note(
        "Forward is the projection, the tiles' lists and the blending of colour, depth, normal and alpha; backward is "
        "the gradients by every parameter and by the pose from slopes of colour, depth, normal and alpha."
    )
    report.save()


def _scene(count: int, width: int, height: int, sizes_px: tuple[float, float]) -> tuple[Gaussians, View]:
    from splat_scenes import strewn, view

    at = view(width, height)
    return strewn(count, at, sizes_px), at


def _ours(scene: Gaussians, at: View) -> tuple[Callable[[], None], list[NDArray[np.float64]]]:
    """One forward and backward, and where it leaves its times: [forward, backward] by [CPU, wall], ms."""
    rng = np.random.default_rng(0)
    shapes = ((at.height, at.width, 3), (at.height, at.width), (at.height, at.width), (at.height, at.width, 3))
    slopes = [rng.normal(size=shape).astype(np.float32) for shape in shapes]
    times: list[NDArray[np.float64]] = []

    def step() -> None:
        marks = [_now()]
        drawn = render(scene, at)
        marks.append(_now())
        gradients(drawn, *slopes)
        marks.append(_now())
        times.append(np.diff(marks, axis=0))

    step()
    times.clear()
    return step, times


def _now() -> NDArray[np.float64]:
    """[CPU, wall] milliseconds."""
    return 1e-6 * np.array([time.process_time_ns(), time.perf_counter_ns()], np.float64)


def _against_the_oracle(report: Report) -> None:
    scene, at = _scene(2000, 256, 216, (1.0, 5.0))
    step, times = _ours(scene, at)
    dense = _dense_times(scene, at, step)
    for _ in range(REPETITIONS - len(times)):
        step()
    cpu, wall = np.median(np.sum(times, axis=1), axis=0)
    what = f"2,000 Gaussians of 1 to 5 px, {SMALL} px, forward and backward (aim 10 ms)"
    report.at_most(f"{what}, CPU time", float(cpu), 60.0, "ms", 1)
    report.at_most(f"{what}, wall time", float(wall), 60.0, "ms", 1)
    if dense is None:
        return report.skip("against the dense oracle", "torch is not installed")
    ratio = float(np.median(dense)) / float(cpu)
    measured = f"{ratio:.0f} times ({np.median(dense):.0f} ms of CPU time against {cpu:.1f} ms)"
    report.row("faster than every Gaussian at every pixel in torch", "at least 100 times", measured, ratio >= 100.0)


def _dense_times(scene: Gaussians, at: View, ours: Callable[[], None]) -> list[float] | None:
    """CPU milliseconds of the oracle, float32, each run after one of ours; None without torch."""
    try:
        import torch

        import dense_splatting
    except ImportError:
        return None
    torch.set_num_threads(1)
    times = []
    for _ in range(DENSE_REPETITIONS):
        ours()
        began = _now()[0]
        dense = dense_splatting.render(scene, at, dtype=torch.float32)
        dense.gradients(
            *(np.ones(tuple(p.shape), np.float32) for p in (dense.colour, dense.depth, dense.alpha, dense.normal))
        )
        times.append(_now()[0] - began)
    return times


def _median(scene: Gaussians, at: View) -> NDArray[np.float64]:
    """[forward, backward] by [CPU, wall], milliseconds."""
    step, times = _ours(scene, at)
    for _ in range(REPETITIONS):
        step()
    return np.median(times, axis=0)


def _by_count(report: Report) -> None:
    rows, totals = [], []
    for count in COUNTS:
        scene, at = _scene(count, 620, 188, (1.0, 3.0))
        (forward, wall_forward), (backward, wall_backward) = _median(scene, at)
        totals.append(forward + backward)
        cells = (forward, backward, totals[-1], wall_forward + wall_backward)
        rows.append([f"{count:,}", *(f"{ms:.1f}" for ms in cells), f"{1e3 * totals[-1] / count:.2f}"])
    columns = ["Gaussians", "forward", "backward", "both", "both, wall", "both, a thousand Gaussians"]
    report.table("Visible Gaussians of 1 to 3 px at 620 x 188 px, milliseconds of CPU time (median)", columns, rows)
    slope = totals[-1] / totals[-2] / (COUNTS[-1] / COUNTS[-2])
    report.row(
        "time grows no faster than the Gaussians, 20,000 to 50,000",
        "at most 1.2 times as fast",
        f"{slope:.2f}",
        slope <= 1.2,
    )
    report.row("20,000 Gaussians, forward and backward, CPU time", "", f"{totals[COUNTS.index(20_000)]:.1f} ms")


def _window(report: Report) -> None:
    (forward, wall_forward), (backward, wall_backward) = _median(*_scene(60_000, 620, 188, (1.0, 2.0)))
    both = f"{forward:.1f} + {backward:.1f} ms (wall {wall_forward:.1f} + {wall_backward:.1f} ms)"
    report.row("60,000 Gaussians of 1 to 2 px, 620 x 188 px, CPU time (aim 100 ms)", "", both)


if __name__ == "__main__":
    main()
