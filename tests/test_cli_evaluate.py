# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""``mem4nav evaluate`` prints and stores errors of a trajectory."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from fake_replay import stamps, way
from mem4nav.cli.main import main
from slam.trajectory import Trajectory, write_tum


@pytest.fixture
def pair(tmp_path) -> tuple[Path, Path]:
    """An estimate that is 10 cm too high at each second pose, and the truth."""
    truth = Trajectory.from_matrices(stamps(), way())
    high = truth.positions + np.outer(np.arange(100) % 2, [0.0, 0.0, 0.1])
    estimate = Trajectory(truth.stamps_ns, high, truth.quaternions)
    return write_tum(tmp_path / "est.tum", estimate), write_tum(tmp_path / "gt.tum", truth)


def test_errors_are_printed_and_stored(pair, tmp_path, capsys):
    assert main(["evaluate", *map(str, pair), "--out", str(tmp_path / "out")]) == 0
    assert "ATE rmse" in capsys.readouterr().out
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert metrics["ate_rmse_m"] == pytest.approx(0.05, abs=1e-3)
    assert metrics["rpe_trans_m"] == pytest.approx(0.1, abs=1e-6)
    assert metrics["rpe_rot_deg"] == pytest.approx(0.0, abs=1e-3)
    assert metrics["matched_poses"] == 100
    assert (tmp_path / "out" / "plot.png").read_bytes().startswith(b"\x89PNG")


def test_a_quiet_evaluation_says_nothing(pair, capsys):
    assert main(["evaluate", *map(str, pair), "--quiet"]) == 0
    assert capsys.readouterr().out == ""


def test_a_missing_file_and_clocks_that_differ_are_bad_input(pair, tmp_path, capsys):
    assert main(["evaluate", str(pair[0]), str(tmp_path / "absent.tum")]) == 2
    late = Trajectory.from_matrices(stamps() + 10**12, way())
    assert main(["evaluate", str(pair[0]), str(write_tum(tmp_path / "late.tum", late))]) == 2
    assert main(["evaluate", *map(str, pair), "--delta-frames", "0"]) == 2
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 3 and "absent.tum" in said[0] and "only 0 of 100 poses" in said[1]
