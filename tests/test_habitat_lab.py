# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Our measures against those of habitat-lab, on the same episodes and actions."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

pytest.importorskip("open3d")

import sim_envs.habitat
from mem4nav.cli.main import main
from sim_envs.habitat import HabitatError, find_interpreter
from sim_envs.habitat.town_episodes import make_walkable_town

pytestmark = pytest.mark.habitat
SCRIPT = Path(sim_envs.habitat.__file__).with_name("lab_replay.py")


@pytest.fixture(scope="module")
def python():
    """An interpreter with habitat-sim and habitat-lab."""
    try:
        found = find_interpreter()
    except HabitatError as error:
        pytest.skip(str(error))
    probe = "import importlib.util as u; assert u.find_spec('habitat')"
    if subprocess.run([found, "-c", probe], capture_output=True, check=False).returncode:
        pytest.skip("no habitat-lab: python -m sim_envs.habitat.setup --with-lab brings it")
    return found


@pytest.mark.parametrize("agent", ["oracle", "random"])
def test_success_spl_and_distance_are_those_of_habitat_lab(python, habitat_towns, tmp_path, agent):
    town = make_walkable_town(0, habitat_towns)
    assert main(["eval", "habitat", "--agent", agent, "--episodes", "3", "--scenes", str(habitat_towns),
                 "--out", str(tmp_path), "--quiet"]) == 0  # fmt: skip
    replayed = subprocess.run(
        [python, "-W", "ignore", str(SCRIPT), str(town.episodes), str(habitat_towns),
         str(tmp_path / "predictions.jsonl")],
        capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    theirs = [json.loads(line) for line in replayed.stdout.splitlines() if line.startswith('{"id"')]
    assert len(theirs) == 3, replayed.stderr[-2000:]
    ours = {row["id"]: row for row in map(json.loads, (tmp_path / "scores.jsonl").read_text().splitlines())}
    for row in theirs:
        own = ours[row["id"]]
        assert own["success"] == row["success"]
        assert own["spl"] == pytest.approx(row["spl"], abs=1e-3)
        assert own["distance_to_goal_m"] == pytest.approx(row["distance_to_goal"], abs=1e-3)
