# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Milliseconds of a rendering, its gradients and a step of Adam on the graphics processor, and of gsplat's kernels."""

from __future__ import annotations

import time
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import numpy as np

from bench import splat_scene
from bench.rows import Report
from slam.gaussian_map.adam import LearningRates
from slam.gaussian_map.cuda_window import step
from slam.gpu import Device, device, missing
from slam.splatting.cuda_rendering import CudaRasteriser, uploaded
from slam.splatting.gaussians import C0, Gaussians
from slam.splatting.rendering import gradients, render

COUNTS = (2_000, 20_000)
WARM_UP, REPEATS = 5, 30
STAGES = ("render", "gradients", "Adam")


def main() -> None:
    report = Report("gpu")
    reason = missing()
    found = None if reason else device("cuda")
    if found is None:
        report.skip(f"milliseconds at {_sizes()}", f"no CUDA: {reason}")
    else:
        rows = [row for count in COUNTS for row in _rows(report, found, count)]
        columns = ["Gaussians", "rasteriser", *(f"{stage}, ms" for stage in STAGES)]
        report.table(f"Median wall time of {REPEATS}, pictures and slopes copied, {_sizes()}", columns, rows)
    report.save()


def _sizes() -> str:
    return f"{splat_scene.WIDTH} x {splat_scene.HEIGHT} px"


def _rows(report: Report, found: Device, count: int) -> list[list[Any]]:
    """Of ours on the device, of gsplat where it is there, and of ours on the CPU."""
    ours = ours_ms(found, count, found.xp.cuda.runtime.deviceSynchronize)
    rows = [[count, "CUDA", *(f"{value:.2f}" for value in ours)]]
    reason = gsplat_missing()
    if reason is None:
        peer = gsplat_ms(count)
        rows.append([count, "gsplat", *(f"{value:.2f}" for value in peer), "-"])
        share = sum(ours[:2]) / sum(peer)
        report.row(f"{count} Gaussians: rendering and gradients against gsplat's", "", f"{share:.2f} of gsplat's time")
    else:
        report.skip(f"{count} Gaussians: gsplat's CUDA kernels", reason)
    rows.append([count, "CPU", *(f"{value:.2f}" for value in cpu_ms(count)), "-"])
    return rows


def ours_ms(found: Device, count: int, wait: Callable[[], Any], repeats: int = REPEATS) -> list[float]:
    """Of each of ``STAGES``; ``wait`` returns when the device is done."""
    rasteriser, view, rates = CudaRasteriser(found), splat_scene.camera(), LearningRates()
    values = uploaded(found, splat_scene.street(count))
    moments = tuple(Gaussians(*(found.xp.zeros(array.shape, np.float32) for array in values)) for _ in range(2))
    steps = found.xp.zeros(count, np.int32)
    shown = rasteriser.render(values, view)
    slope = rasteriser.gradients_on_device(shown, shown.colour, shown.alpha)
    seen = shown.weights > 0.0
    stages: tuple[Callable[[], Any], ...] = (
        lambda: rasteriser.render(values, view),
        lambda: rasteriser.gradients_on_device(shown, shown.colour, shown.alpha),
        lambda: step(found, values, slope.gaussians, (moments[0], moments[1]), steps, seen, rates),
    )
    return [median_ms(stage, wait, repeats) for stage in stages]


def cpu_ms(count: int) -> list[float]:
    """Rendering and gradients by the CPU's rasteriser, one thread."""
    values, view = splat_scene.street(count), splat_scene.camera()
    shown = render(values, view)
    stages = (lambda: render(values, view), lambda: gradients(shown, shown.colour, shown.alpha))
    return [median_ms(stage, lambda: None, 5) for stage in stages]


def gsplat_missing() -> str | None:
    """Why gsplat's CUDA kernels cannot be timed here; None where they can."""
    if find_spec("gsplat") is None or find_spec("torch") is None:
        return "gsplat or torch is not installed"
    import torch

    return None if torch.cuda.is_available() else "torch was built without CUDA, or finds no device"


def gsplat_ms(count: int) -> list[float]:
    """Rendering and gradients, colour and depth of the same Gaussians, pictures and slopes copied as ours are."""
    import torch
    from gsplat import rasterization

    view, values = splat_scene.camera(), splat_scene.street(count)
    tensors = [torch.tensor(array, device="cuda") for array in values]
    means, quats, log_scales, logits, harmonics = (tensor.requires_grad_() for tensor in tensors)
    pose = torch.tensor(view.T_camera_world, dtype=torch.float32, device="cuda")[None]
    K = torch.tensor(view.K, dtype=torch.float32, device="cuda")[None]
    K[:, :2, 2] += 0.5

    def shown() -> tuple[torch.Tensor, torch.Tensor]:
        colours = (0.5 + C0 * harmonics[:, 0]).clamp(min=0)
        picture, _, _ = rasterization(
            means, quats.roll(1, -1), log_scales.exp(), logits.sigmoid(), colours, pose, K, view.width, view.height,
            near_plane=0.1, render_mode="RGB+D",
        )  # fmt: skip
        return picture, picture.detach().cpu()

    def back(picture: torch.Tensor, slopes: torch.Tensor) -> None:
        torch.autograd.grad((picture * slopes.cuda()).sum(), tensors, retain_graph=True)

    picture, slopes = shown()
    stages = (shown, lambda: back(picture, slopes))
    return [median_ms(stage, torch.cuda.synchronize, REPEATS) for stage in stages]


def median_ms(work: Callable[[], Any], wait: Callable[[], Any], repeats: int) -> float:
    """Wall time of one call."""
    for _ in range(min(WARM_UP, repeats)):
        work()
    times = []
    for _ in range(repeats):
        wait()
        began = time.perf_counter()
        work()
        wait()
        times.append(1e3 * (time.perf_counter() - began))
    return float(np.median(times))


if __name__ == "__main__":
    main()
