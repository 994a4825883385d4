# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Deskewing on Newer College scans, propagation on EuRoC, and the trajectory error itself on NTU VIRAL."""

from __future__ import annotations

import tarfile
import tempfile
from pathlib import Path

import numpy as np

from bench.rows import Report
from slam.metrics import evaluate
from slam.trajectory import Trajectory, read_tum

WINDOW_EVERY = 40
"""Rows of the EuRoC truth from one window's start to the next."""


def main() -> None:
    report = Report("recordings")
    report.attempt("lidar/gtsam_points/newer_06", _newer)
    report.attempt("lidar/euroc_v102_imu_gt", _euroc)
    report.attempt("lidar/fast_livo2_ntu_viral/est_and_gt_tum.tar.xz", _ntu_viral)
    report.save()


def _newer(report: Report) -> None:
    from newer_scans import best_twist, deskewed_to_start, load
    from shared_data import data_folder

    folder = data_folder() / "lidar" / "gtsam_points" / "newer_06"
    rows, medians = [], []
    for path in sorted(folder.glob("raw_*.bin")):
        scan, shipped = load(folder, int(path.stem.removeprefix("raw_")))
        twist = best_twist(scan, shipped)
        medians.append(float(np.median(np.linalg.norm(deskewed_to_start(scan, twist) - shipped, axis=1))))
        raw = float(np.median(np.linalg.norm(scan.points - shipped, axis=1)))
        speed, turn = np.linalg.norm(twist[3:]), np.degrees(np.linalg.norm(twist[:3]))
        rows.append([path.stem, f"{raw:.3f}", f"{medians[-1]:.3f}", f"{speed:.2f}", f"{turn:.1f}"])
    report.at_most(
        "newer_06: median distance after deskewing with the best constant twist, worst scan", max(medians), 0.06
    )
    columns = ["scan", "raw, m", "deskewed, m", "speed, m/s", "turn rate, deg/s"]
    report.table("newer_06, median point distance to the shipped deskewed scans", columns, rows)


def _euroc(report: Report) -> None:
    flight = _flight()
    true, estimated = [], []
    for i in range(0, len(flight.truth_ns), WINDOW_EVERY):
        if (j := flight.after(i, 1.0)) is None:
            continue
        true.append(flight.error_m(i, j, flight.truth[i, 11:14], flight.truth[i, 14:17]))
        ten_before = flight.truth_ns[i] - 10_000_000_000
        before = int(np.searchsorted(flight.truth_ns, ten_before))
        if ten_before >= flight.truth_ns[0] and flight.after(before, 10.0) is not None:
            estimated.append(flight.error_m(i, j, *flight.estimated_biases(i, 10.0)))
    for name, errors, bar in (("the truth file's", true, 0.035), ("our filter's", estimated, 0.05)):
        what = f"EuRoC V1_02: median error after 1 s of propagation with {name} biases, {len(errors)} windows"
        report.at_most(what, float(np.median(errors)), bar, digits=4)


def _flight():
    from shared_data import data_folder
    from test_ieskf import Euroc

    folder = data_folder() / "lidar" / "euroc_v102_imu_gt"
    tables = []
    for name in ("gt0.csv", "imu0.csv"):
        options = {"fname": folder / name, "delimiter": ",", "skiprows": 1}
        tables += [np.loadtxt(**options, usecols=0, dtype=np.int64), np.loadtxt(**options)]
    return Euroc(*tables)


def _ntu_viral(report: Report) -> None:
    from shared_data import data_folder
    from test_metrics import PUBLISHED_ATE_CM

    found = {}
    with tarfile.open(data_folder() / "lidar" / "fast_livo2_ntu_viral" / "est_and_gt_tum.tar.xz") as packed:
        members = {member.name.rsplit("/", 1)[-1]: member for member in packed.getmembers() if member.isfile()}
        for sequence in PUBLISHED_ATE_CM:
            estimate, truth = (_read(packed, members[f"{sequence}_{kind}.txt"]) for kind in ("prism", "gt"))
            found[sequence] = 100.0 * evaluate(estimate, truth, t_max_diff_s=0.01).ate_m.rmse
    worst = max(abs(found[sequence] - published) for sequence, published in PUBLISHED_ATE_CM.items())
    report.at_most("NTU VIRAL: largest difference of our ATE to the nine published numbers", worst, 0.01, "cm", 4)
    rows = [[name, f"{published:.2f}", f"{found[name]:.4f}"] for name, published in PUBLISHED_ATE_CM.items()]
    report.table("NTU VIRAL, ATE in centimetres", ["sequence", "published", "ours"], rows)


def _read(packed: tarfile.TarFile, member: tarfile.TarInfo) -> Trajectory:
    source = packed.extractfile(member)
    assert source is not None
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "poses.txt"
        path.write_bytes(source.read())
        return read_tum(path)


if __name__ == "__main__":
    main()
