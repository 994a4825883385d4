# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""``mem4nav streets`` end to end."""

from __future__ import annotations

import json

from mem4nav.cli.main import main
from osm_drawing import small_town


def test_a_town_becomes_a_folder_that_the_agent_can_walk_in(tmp_path, capsys):
    (tmp_path / "town.osm").write_text(small_town().text(), encoding="utf-8")
    assert main(["streets", str(tmp_path / "town.osm"), "--out", str(tmp_path / "out")]) == 0
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert metrics["places"] == 19 and "OpenStreetMap" in metrics["attribution"]
    assert (tmp_path / "out" / "map2seq" / "osm" / "poi_links.txt").exists()
    assert "landmarks" in capsys.readouterr().out


def test_what_is_no_town_is_one_line_and_exit_code_2(tmp_path, capsys):
    (tmp_path / "town.osm").write_text("<osm></osm>")
    assert main(["streets", str(tmp_path / "town.osm"), "--out", str(tmp_path / "out")]) == 2
    assert main(["streets", "town.osm", "--out", str(tmp_path / "out"), "--spacing", "0"]) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 2 and "no street" in lines[0] and "--spacing 0" in lines[1]
