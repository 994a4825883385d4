# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""``mem4nav demo`` goes from sensors to a report."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pytest

import mem4nav.modular
from mem4nav.cli.main import main
from slam.map_store import load_gaussian_map


def test_the_first_seconds_of_the_demo_and_an_episode_end_in_a_report(tmp_path, monkeypatch):
    pytest.importorskip("open3d", reason="the town needs the extra sim")
    weights = Path(mem4nav.modular.__file__).parent / "weights" / "city.safetensors"
    if not weights.exists():
        pytest.skip(f"{weights.name} is not there: train it with `mem4nav train city`")
    import sim_envs.city

    short = partial(sim_envs.city.DriveConfig, duration_s=2.0)
    monkeypatch.setattr(sim_envs.city, "DriveConfig", short)
    assert main(["demo", "--out", str(tmp_path), "--quiet"]) == 0
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert metrics["scans"] >= 19
    assert metrics["ate_rmse_m"] < 0.3
    assert metrics["held_out"] == 1 and metrics["psnr_db"] > 10.0 and metrics["gaussians"] > 1000
    report = (tmp_path / "report.html").read_text()
    assert "A drive through town 1" in report and report.count("data:image/jpeg") == 2 + 3
    assert "Instructions followed" in report and "<mark>" in report
    assert metrics["episode"]["weights"] == "city.safetensors" and len(metrics["episode"]["legs"]) == 4
    assert not [leg for leg in metrics["episode"]["legs"] if "error" in leg]
    assert load_gaussian_map(tmp_path / "map") is not None


def test_a_way_too_short_is_bad_input(capsys):
    assert main(["demo", "--length", "10"]) == 2
    assert "--length 10" in capsys.readouterr().err
