# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""What the kernels and a window of Gaussians ask of a Jetson Orin NX: compiled and counted here, not timed there.

Writes docs/orin.md.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from bench import splat_scene
from bench.kernels import ARCHITECTURE, KernelUse, kernel_uses, nvrtc_missing, nvrtc_version
from bench.places import ROOT
from bench.rows import Report
from slam.gaussian_map.map_config import GaussianMapConfig
from slam.gaussian_map.mapping_config import FitConfig
from slam.gpu import THREADS
from slam.splatting.projection import COLUMNS
from slam.splatting.projection_gradient import COLUMNS as SUMS
from slam.splatting.rasterise import CHANNELS
from slam.splatting.rendering import render

PAGE = ROOT / "docs" / "orin.md"
LEAST_OCCUPANCY = 0.5
GAUSSIANS, RATE_HZ = 20_000, 20.0
BANDWIDTH_GB_S = 102.4
"""Of the Orin NX 16 GB."""
MOST_SHARE = 0.5
"""Of the bandwidth: what is counted is what arrays need at least, and the processor needs its part."""

INTRODUCTION = (
    "Written by `python -m bench orin`: do not edit. Counted, not timed: no Jetson was at hand. The kernels of cuda/ "
    "are compiled for its 8 multiprocessors (each 48 warps, 65,536 registers, 164 KiB of shared memory). Occupancy is "
    "theoretical: the share of a multiprocessor's warps that registers, shared memory and blocks leave room for. The "
    "bytes of a window are added up from its arrays; how many tiles the Gaussians reach is counted by the CPU's "
    "rasteriser on a street whose Gaussians cover the picture."
)


@dataclass(frozen=True, slots=True)
class Bytes:
    """What a stage moves or an array holds: bytes for each Gaussian, each pair of Gaussian and tile, each pixel."""

    what: str
    gaussian: int = 0
    entry: int = 0
    pixel: int = 0

    def total(self, entries: int) -> int:
        """Bytes at ``GAUSSIANS`` and the scene's picture."""
        pixels = splat_scene.WIDTH * splat_scene.HEIGHT
        return self.gaussian * GAUSSIANS + self.entry * entries + self.pixel * pixels


def held(coefficients: int) -> list[Bytes]:
    """Arrays of the window and of one rendering with its way back."""
    parameters = 4 * (11 + 3 * coefficients)
    picture = 4 * (CHANNELS + 1)
    return [
        Bytes("values, Adam's two moments, counts of steps", gaussian=3 * parameters + 4),
        Bytes("splats, depths, counts and ends of entries, weights", gaussian=4 * COLUMNS + 16),
        Bytes("gradients, sums over pixels, turn, norm on the screen", gaussian=parameters + 4 * SUMS + 16),
        Bytes("tile lists: key, owner, order, member", entry=8 + 4 + 8 + 4),
        Bytes("the sort's room", entry=2 * 16),
        Bytes("entries' weights and sums", entry=4 + 4 * SUMS),
        Bytes("pictures, and slopes by them", pixel=2 * picture),
    ]


def moved(coefficients: int) -> list[Bytes]:
    """Traffic of one step of rendering, gradients and Adam, each array that a stage reads or writes counted once."""
    parameters, splat, picture = 4 * (11 + 3 * coefficients), 4 * COLUMNS, 4 * (CHANNELS + 1)
    gathered = splat + 4 + 8
    return [
        Bytes("projection", gaussian=parameters + splat + 4),
        Bytes("tiles: counts, ends, entries", gaussian=2 * splat + 20, entry=12),
        Bytes("sort of 64-bit keys with 64-bit places, 8 passes", entry=8 * 2 * 16),
        Bytes("tiles: starts, members", entry=8 + 8 + 4 + 4),
        Bytes("rasteriser, forward", entry=gathered + 8, pixel=picture),
        Bytes("pictures to the loss, slopes from it", pixel=2 * 2 * picture),
        Bytes("rasteriser, backward", entry=gathered + 2 * 4 * SUMS, pixel=2 * picture),
        Bytes("sums over entries", gaussian=2 * 8 + 4 + 4 * SUMS, entry=4 + 4 * SUMS),
        Bytes("projection, backward", gaussian=3 * parameters + splat + 4 * SUMS + 2 * 16),
        Bytes("Adam", gaussian=7 * parameters + 9),
    ]


def main() -> None:
    report = Report("orin")
    entries = len(render(splat_scene.street(GAUSSIANS), splat_scene.camera()).lists.members)
    if (reason := nvrtc_missing()) is not None:
        report.skip(f"kernels compiled for {ARCHITECTURE}", reason)
    else:
        _kernels(report, kernel_uses())
    _budget(report, entries)
    if reason is None:
        PAGE.write_text(page(report), encoding="utf-8")
    report.save()


def _kernels(report: Report, uses: list[KernelUse]) -> None:
    clean = sum(not u.stack_bytes and not u.spilled_bytes for u in uses)
    report.row("kernels without spill and without stack frame", f"all {len(uses)}", str(clean), clean == len(uses))
    least = min(uses, key=lambda use: use.occupancy)
    report.row(
        "least occupancy of a kernel", f"at least {LEAST_OCCUPANCY:.0%}", f"{least.occupancy:.0%} ({least.name})",
        least.occupancy >= LEAST_OCCUPANCY,
    )  # fmt: skip
    rows = [
        [f"{u.source}.cu: {u.name}", u.registers, u.shared_bytes, u.stack_bytes, u.spilled_bytes, f"{u.occupancy:.0%}",
         u.limited_by] for u in uses
    ]  # fmt: skip
    caption = f"Kernels compiled by NVRTC {nvrtc_version()} for {ARCHITECTURE}, blocks of {THREADS} threads"
    columns = ["kernel", "registers", "shared, bytes", "stack, bytes", "spilled, bytes", "occupancy", "limited by"]
    report.table(caption, columns, rows)


def _budget(report: Report, entries: int) -> None:
    coefficients, steps = GaussianMapConfig().coefficients, FitConfig().steps
    step = sum(stage.total(entries) for stage in moved(coefficients))
    share = step * steps * RATE_HZ / (BANDWIDTH_GB_S * 1e9)
    report.row(
        f"bandwidth of {steps} steps a picture at {RATE_HZ:g} Hz", f"at most {MOST_SHARE:.0%} of {BANDWIDTH_GB_S} GB/s",
        f"{share:.1%}", share <= MOST_SHARE,
    )  # fmt: skip
    picture = f"{GAUSSIANS} Gaussians at {splat_scene.WIDTH} x {splat_scene.HEIGHT} px, {entries} tile entries"
    columns = ["array", *(f"MB, harmonics of degree {k}" for k in (math.isqrt(coefficients) - 1, 3))]
    report.table(f"Memory of a window and a rendering: {picture}", columns, _megabytes(held, coefficients, entries))
    report.table(
        f"Traffic of one step, at least: {picture}", ["stage", *columns[1:]], _megabytes(moved, coefficients, entries)
    )
    report.note(
        f"One step moves {step / 1e6:.0f} MB, {step / BANDWIDTH_GB_S / 1e6:.2f} ms of the memory's time; at "
        f"{RATE_HZ:g} Hz one step a picture takes {share / steps:.1%} of {BANDWIDTH_GB_S} GB/s."
    )


def _megabytes(parts: Callable[[int], list[Bytes]], coefficients: int, entries: int) -> list[list[str]]:
    """Rows of each part and of all, for so many coefficients of the harmonics and for 16."""
    totals = [[part.total(entries) / 1e6 for part in parts(k)] for k in (coefficients, 16)]
    rows = [
        [part.what, *(f"{n:.1f}" for n in sizes)] for part, *sizes in zip(parts(coefficients), *totals, strict=True)
    ]
    return [*rows, ["all", *(f"{sum(sizes):.1f}" for sizes in totals)]]


def page(report: Report) -> str:
    """docs/orin.md, from what the topic found."""
    rows = [["what", "bar", "counted", "verdict"], *([r.what, r.bar, r.measured, r.verdict] for r in report.rows)]
    parts = ["# Jetson Orin NX 16 GB", INTRODUCTION, _lines(rows)]
    for table in report.tables:
        parts += [f"{table.caption}:", _lines([table.columns, *table.rows])]
    return "\n\n".join([*parts, *report.notes]) + "\n"


def _lines(rows: list[list[str]]) -> str:
    head, *rest = rows
    return "\n".join("| " + " | ".join(row) + " |" for row in (head, ["---"] * len(head), *rest))


if __name__ == "__main__":
    main()
