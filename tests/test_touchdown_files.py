# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""The published files of Touchdown and Map2Seq, on a small street of our own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sim_envs.errors import EpisodeError, StreetGraphError
from sim_envs.touchdown import OsmLandmarks, load_split, load_streets


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "nodes.txt").write_text("a,90,40.73,-73.99,seen\nb,90,40.73,-73.9899,seen\n")
    (tmp_path / "links.txt").write_text("a,90,b\nb,270,a\n")
    osm = tmp_path / "osm"
    osm.mkdir()
    (osm / "nodes.txt").write_text("1,40.73001,-73.99\n2,40.73,-73.98\n")
    (osm / "pois.txt").write_text('9,40.7301,-73.99,{"amenity": "cafe", "name": "Blue, Heron"}\n')
    (osm / "poi_links.txt").write_text("1,0,40.7301,-73.99,9\n1,0,40.7301,-73.99,404\n")
    return tmp_path


def test_a_panorama_sees_what_the_street_nodes_beside_it_see(folder: Path):
    graph = load_streets(folder)
    (seen,) = OsmLandmarks(folder / "osm", graph).sightings(0)
    assert (seen.name, seen.category) == ("Blue, Heron", "cafe")
    assert seen.bearing_deg == pytest.approx(0.0, abs=1e-6)
    assert seen.distance_m == pytest.approx(11.13, abs=0.01)


def test_a_panorama_far_from_all_street_nodes_sees_what_the_nearest_sees(folder: Path):
    graph = load_streets(folder)
    assert OsmLandmarks(folder / "osm", graph).sightings(1)[0].distance_m > 8.0


def test_a_line_that_cannot_be_read_is_named(folder: Path):
    (folder / "links.txt").write_text("a,90,b\nb,west,a\n")
    with pytest.raises(StreetGraphError, match=r"links\.txt, line 2 of 2"):
        load_streets(folder)


def test_a_missing_file_is_one_clear_error(tmp_path: Path):
    with pytest.raises(StreetGraphError, match=r"nodes\.txt"):
        load_streets(tmp_path)


def test_of_a_row_the_agent_gets_text_start_and_heading_and_touchdown_has_no_heading(tmp_path: Path):
    rows = [
        {"id": 7, "navigation_text": "go", "route_panoids": ["a", "b"], "start_heading": 22},
        {"route_id": 8, "navigation_text": "go", "route_panoids": ["a", "b"], "start_heading": 0.0},
    ]
    path = tmp_path / "split.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in rows))
    first, second = load_split(path)
    assert (first.episode.id, first.episode.start, first.episode.start_heading_deg) == ("7", "a", 22.0)
    assert second.episode.start_heading_deg is None
    assert first.route == ("a", "b")


def test_a_row_without_a_route_is_named_by_its_line(tmp_path: Path):
    path = tmp_path / "split.jsonl"
    path.write_text('{"id": 1, "navigation_text": "go", "start_heading": 0}\n')
    with pytest.raises(EpisodeError, match=r"line 1: the row has no 'route_panoids'"):
        load_split(path)
