# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""What each part does: the map from before the fit, the keyframe's pixels, the depth term, the window.

Each variant runs over the first part of a city loop, for pictures and time. What is about the pose also runs over all
of a corridor: from 25 m on the LiDAR leaves the way along it open, and what the camera is worth shows once the IMU has
drifted. Without a photometric update the map is of no use to the pose there: LiDAR and IMU run alone.
"""

from __future__ import annotations

import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from itertools import product
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.drives import SEEDS, bags
from bench.driving import driven
from bench.held_out import EVERY, SCALE
from bench.rows import Report
from slam.bundle import ScanBundle
from slam.gaussian_map.mapping_config import FitConfig, MappingConfig
from slam.ieskf import FilterState
from slam.image_metrics import psnr
from slam.io import open_recording
from slam.io.recording import Recording
from slam.metrics import evaluate
from slam.octree import PlaneMap
from slam.odometry import Odometry
from slam.prediction import Prediction
from slam.results import ScanResult
from slam.trajectory import Trajectory
from slam.visual import Visual

CITY_SCANS, EARLY_SCANS = 150, 250
CITY, CORRIDOR = "city_seen", "corridor_seen"
SEED = 1
BASE = MappingConfig(scale=SCALE)
STANDARD, AFTER, NO_CAMERA = "as it is", "map from after the fit to the picture itself", "no photometric update"
RENDERED = "pictures held against the map's rendering alone"
NO_DEPTH, NO_WINDOW = "no depth term", "no window"
MAPPINGS = {
    STANDARD: BASE,
    AFTER: BASE,
    RENDERED: BASE,
    NO_DEPTH: replace(BASE, fit=replace(FitConfig(), depth_weight=0.0)),
    NO_WINDOW: replace(BASE, windowed=False),
    NO_CAMERA: BASE,
}

ALONG_CORRIDOR = (STANDARD, AFTER, RENDERED)


class FitsFirst(Visual):
    """Fits the map to each picture at the predicted pose before the pose is measured by it: what not to do."""

    def update(
        self, bundle: ScanBundle, prediction: Prediction, state: FilterState, plane_map: PlaneMap
    ) -> tuple[FilterState, str]:
        """The state by a map that has seen the pictures already; the fit is not taken back, the keyframe is."""
        mapper = self.mapper
        if mapper is None or not bundle.images:
            return super().update(bundle, prediction, state, plane_map)
        for image in bundle.images:
            T = prediction.pose_at(image.stamp_ns, state) @ self._T_body_base
            mapper.add(mapper.look(image, T, np.zeros((0, 3))))
            mapper.work(self.mapping.fit.steps)
            mapper.keyframes.pop()
            mapper.exposures[image.camera].pop()
        return super().update(bundle, prediction, state, plane_map)


@dataclass(frozen=True, slots=True)
class Run:
    """One variant on one drive.

    Attributes:
        ate_m, early_m: ATE of the trajectory, and of its first ``EARLY_SCANS`` scans.
        psnr_db, depth_m: of the held-out pictures, NaN without any.
        register_ms, fit_ms: mean wall time a scan, of the pose with its renderings, and of the fit.
        window, window_mb: its largest.
        gaussians: in the end.
        used: scans with a picture used.
        shown: (P, H, W, 3) float32 renderings of the held-out pictures.
    """

    ate_m: float
    early_m: float
    psnr_db: float
    depth_m: float
    register_ms: float
    fit_ms: float
    window: int
    window_mb: float
    gaussians: int
    used: int
    shown: NDArray[np.float32]


def main() -> None:
    report = Report("gaussian_ablation")
    paths = {kind: bags(kind, [SEED])[SEED] for kind in (CITY, CORRIDOR)}
    work = [*product((CORRIDOR,), ALONG_CORRIDOR), *product((CITY,), MAPPINGS)]
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        runs = list(pool.map(_run, [paths[kind] for kind, _ in work], *zip(*work, strict=True)))
    found = dict(zip(work, runs, strict=True))
    blind = {seed: _blind(path) for seed, path in bags(CORRIDOR, SEEDS).items()}
    _table(report, found, blind[SEED])
    _rows(report, found, blind)
    report.note(
        f"City: the first {CITY_SCANS} scans of seed {SEED}, of every {EVERY} pictures the last held out. Corridor: "
        f"the whole of seed {SEED}, and its first {EARLY_SCANS} scans, 17 s with nothing for the LiDAR along it, after "
        "which an IMU has not drifted much yet. Times are of one process beside another."
    )
    report.save()


def _run(path: Path, kind: str, variant: str) -> Run:
    print(f"{kind}: {variant}", flush=True)
    recording = open_recording(path)
    mapping = replace(MAPPINGS[variant], hold_out=EVERY if kind == CITY else 0)
    odometry = Odometry(calibration=recording.calibration, use_camera=variant != NO_CAMERA, mapping=mapping)
    if variant == AFTER:
        body = np.linalg.inv(odometry.T_base_body)
        odometry.visual = FitsFirst(recording.calibration, body, mapping, odometry.config.photometric)
    visual = odometry.visual
    assert isinstance(visual, Visual)
    if variant == RENDERED:
        visual.photometric = replace(odometry.config.photometric, use_keyframe=False)
    shown, windows = [], [(0, 0)]
    visual.on_view = lambda view, _: shown.append(view.colour)

    def watch(_: ScanResult) -> None:
        if visual.mapper is not None:
            windows.append((visual.mapper.window.shown, visual.mapper.window.nbytes))

    began = time.perf_counter()
    results = driven(recording, odometry, scans=CITY_SCANS if kind == CITY else None, on_result=watch)
    register_ms = float(np.mean([result.wall_ns for result in results])) * 1e-6
    all_ms = (time.perf_counter() - began) * 1e3 / len(results)
    scores = visual.judge()
    size, held = np.max(windows, axis=0)
    return Run(
        _ate(recording, results), _ate(recording, results[:EARLY_SCANS]),
        float(np.mean([score.psnr_db for score in scores])) if scores else float("nan"),
        float(np.median([score.depth_error_m for score in scores])) if scores else float("nan"),
        register_ms, all_ms - register_ms, int(size), float(held) * 1e-6,
        len(visual.mapper.map) if visual.mapper is not None else 0,
        sum(result.camera == "used" for result in results), np.array(shown, np.float32),
    )  # fmt: skip


def _ate(recording: Recording, results: list[ScanResult]) -> float:
    truth = recording.ground_truth()
    assert truth is not None
    way = Trajectory.from_matrices([r.stamp_ns for r in results], np.array([r.T_odom_base for r in results]))
    return evaluate(way, truth.at(way.stamps_ns)).ate_m.rmse


def _rows(report: Report, found: dict[tuple[str, str], Run], blind: dict[int, tuple[float, float]]) -> None:
    compared = [(run.ate_m, run.early_m) for run in (found[CORRIDOR, name] for name in ALONG_CORRIDOR)] + [blind[SEED]]
    whole, early = (list(part) for part in zip(*compared, strict=True))
    variants = "map from before the fit / from after it / its rendering alone / no photometric update"
    report.row(
        f"corridor ATE: {variants}", "the first is the smallest", _listed(whole), whole[0] <= min(whole),
    )  # fmt: skip
    report.row(f"the same over the first {EARLY_SCANS} scans", "", _listed(early))
    report.row(
        f"LiDAR and IMU alone over these, seeds {', '.join(map(str, blind))}", "",
        _listed([early_m for _, early_m in blind.values()]),
    )  # fmt: skip
    depth = [found[CITY, name].depth_m for name in (STANDARD, NO_DEPTH)]
    report.row(
        "city depth error: with the depth term / without", "with is the smaller",
        f"{depth[0]:.3f} / {depth[1]:.3f} m", depth[0] <= depth[1],
    )  # fmt: skip
    windowed, whole = (found[CITY, name] for name in (STANDARD, NO_WINDOW))
    same = psnr(*(run.shown.reshape(-1, *run.shown.shape[2:]) for run in (windowed, whole)))
    report.row("city: renderings with the window against those without, PSNR", "", f"{same:.1f} dB")
    report.row(
        "city: largest window / without", "", f"{windowed.window_mb:.0f} / {whole.window_mb:.0f} MB, a scan's time "
        f"{windowed.register_ms + windowed.fit_ms:.0f} / {whole.register_ms + whole.fit_ms:.0f} ms",
    )  # fmt: skip


def _blind(path: Path) -> tuple[float, float]:
    """ATE of LiDAR and IMU alone, metres: of the whole drive, and of its first ``EARLY_SCANS`` scans."""
    recording = open_recording(path)
    results = driven(recording, Odometry(calibration=recording.calibration))
    return _ate(recording, results), _ate(recording, results[:EARLY_SCANS])


def _listed(values: list[float]) -> str:
    return " / ".join(f"{value:.3f}" for value in values) + " m"


def _table(report: Report, found: dict[tuple[str, str], Run], blind: tuple[float, float]) -> None:
    along = {name: (found[CORRIDOR, name].ate_m, found[CORRIDOR, name].early_m) for name in ALONG_CORRIDOR}
    corridor = {name: f"{whole:.3f} ({early:.3f})" for name, (whole, early) in {**along, NO_CAMERA: blind}.items()}
    rows = []
    for variant in MAPPINGS:
        city = found[CITY, variant]
        rows.append([
            variant, f"{city.psnr_db:.2f}", f"{city.depth_m:.3f}", f"{city.ate_m:.3f}",
            corridor.get(variant, "-"), f"{city.register_ms:.0f} + {city.fit_ms:.0f}",
            f"{city.window} ({city.window_mb:.0f} MB)", city.gaussians, city.used,
        ])  # fmt: skip
    columns = [
        "variant", "city: near, dB", "depth, m", "ATE, m", f"corridor: ATE, m (first {EARLY_SCANS} scans)",
        "city: ms a scan, pose + fit", "largest window", "Gaussians", "scans with a picture used",
    ]  # fmt: skip
    report.table("Ablation", columns, rows)


if __name__ == "__main__":
    main()
