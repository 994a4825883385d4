# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""A small town drawn by hand in OpenStreetMap XML becomes streets to walk and landmarks to see."""

from __future__ import annotations

import bz2
import gzip
import itertools

import numpy as np
import pytest

from mem4nav.environment import Action, Episode, angle_between_deg
from osm_drawing import LAT, small_town
from sim_envs.errors import OsmExtractError
from sim_envs.street_environment import StreetEnvironment
from sim_envs.touchdown import OsmLandmarks, load_streets
from sim_envs.touchdown.osm_extract import read_extract
from sim_envs.touchdown.osm_extract_files import convert_extract
from sim_envs.touchdown.osm_extract_streets import plan_streets


@pytest.fixture
def drawn(tmp_path):
    path = tmp_path / "town.osm"
    path.write_text(small_town().text(), encoding="utf-8")
    return path


@pytest.fixture
def converted(drawn, tmp_path):
    return convert_extract(drawn, tmp_path / "out"), tmp_path / "out"


def plan_of(path):
    extract = read_extract(path)
    return plan_streets(extract.streets, extract.positions)


def test_streets_are_cut_into_stretches_of_about_ten_metres_with_their_junctions_kept(drawn):
    plan = plan_of(drawn)
    lengths = [np.hypot(*(plan.positions[there] - plan.positions[here])) for here, _, there in plan.links]
    assert min(lengths) > 8.5 and max(lengths) < 11.5
    ways = np.bincount([here for here, _, _ in plan.links])
    junction = int(np.flatnonzero(ways == 3).item())
    assert plan.names[junction] == "101"
    assert len(plan.names) == 11 + 6 + 2


def test_links_run_both_ways_and_the_yaw_is_that_of_traffic(drawn):
    plan = plan_of(drawn)
    assert {(here, there) for here, _, there in plan.links} == {(there, here) for here, _, there in plan.links}
    headings = {(here, there): heading for here, heading, there in plan.links}
    for (here, there), heading in headings.items():
        assert abs(abs(angle_between_deg(heading, headings[there, here])) - 180) < 1
    on_long_street = np.abs(plan.positions[:, 1] - plan.positions[:, 1].min()) < 0.1
    assert {plan.yaws_deg[number] for number in np.flatnonzero(on_long_street)} == {270}


def test_only_the_largest_part_is_kept_and_no_motorway_or_pavement(drawn):
    plan = plan_of(drawn)
    span = np.ptp(plan.positions, axis=0)
    assert span == pytest.approx([100, 75], abs=0.5)


def test_rings_and_crescents_become_streets_too():
    town = {"a": (0.0, 0.0), "b": (40.0, 0.0), "c": (40.0, 40.0), "d": (0.0, 40.0)}
    ring = plan_streets(["abcda"], town)
    assert len(ring.names) == 16 and len(ring.links) == 32
    crescent = plan_streets(["ab", "bcda"], town)
    assert len(crescent.names) == 16
    short = plan_streets(["ab", "abc"], {"a": (0.0, 0.0), "b": (3.0, 0.0), "c": (3.0, 4.0)})
    assert short.names == ("a", "c")


def test_two_ways_of_a_place_never_share_a_heading():
    plan = plan_streets(["ab", "ac"], {"a": (0.0, 0.0), "b": (0.0, 300.0), "c": (1.0, 300.0)}, spacing_m=300)
    named = [(here, heading) for here, heading, _ in plan.links]
    assert len(set(named)) == len(named)


def test_landmarks_are_seen_near_by_and_not_through_houses(drawn, converted):
    plan, (_, out) = plan_of(drawn), converted
    graph = load_streets(out / "touchdown")
    landmarks = OsmLandmarks(out / "map2seq" / "osm", graph)
    from_crossing = dict(
        zip(plan.names, np.round(plan.positions - plan.positions[plan.names.index("101")]), strict=True)
    )
    seen = {name: set() for name in ("Audrey's", "Back Yard Flowers", "Blue Heron", "", 'School, the "old" one')}
    for number, place in enumerate(graph.places):
        for sighting in landmarks.sightings(number):
            seen[sighting.name].add(tuple(from_crossing[place].astype(int).tolist()))
    # The bakery is mapped behind its own wall on Long Street, at x = 25; the houses end at x = 42.
    assert (-30, 0) in seen["Audrey's"] and (-10, 0) in seen["Audrey's"]
    # The florist lies 20 m deep in the house from Long Street, but near its northern wall.
    assert (0, 49) in seen["Back Yard Flowers"] and all(north > 30 for _, north in seen["Back Yard Flowers"])
    assert (0, 29) in seen["Blue Heron"] and not any(north == 0 for _, north in seen["Blue Heron"])
    assert {(0, 0), (30, 0), (-30, 0), (0, 39)} <= seen[""]
    assert (20, 0) in seen['School, the "old" one']


def test_the_published_loaders_and_rules_walk_the_town(converted):
    _, out = converted
    graph = load_streets(out / "touchdown")
    environment = StreetEnvironment(graph, OsmLandmarks(out / "map2seq" / "osm", graph))
    first = environment.reset(Episode("1", "", "101"))
    assert len(first.ways_deg) == 3
    here, _ = environment.step(Action.FORWARD)
    assert here.place != first.place and len(here.ways_deg) == 2


def test_the_counts_are_those_of_the_files(converted):
    counts, out = converted
    lines = {path.name: len(path.read_text().splitlines()) for path in (out / "touchdown").iterdir()}
    assert (counts["places"], counts["links"]) == (lines["nodes.txt"], lines["links.txt"])
    osm = {path.name: len(path.read_text().splitlines()) for path in (out / "map2seq" / "osm").iterdir()}
    assert (counts["landmarks"], counts["sightings"]) == (osm["pois.txt"], osm["poi_links.txt"])
    assert counts["junctions"] == 1 and counts["latitude"] == pytest.approx(LAT, abs=0.001)
    assert "OpenStreetMap" in counts["attribution"]


def test_compressed_extracts_give_the_same(drawn, tmp_path):
    text = drawn.read_bytes()
    (tmp_path / "town.osm.gz").write_bytes(gzip.compress(text))
    (tmp_path / "town.osm.bz2").write_bytes(bz2.compress(text))
    plans = [plan_of(path) for path in (drawn, tmp_path / "town.osm.gz", tmp_path / "town.osm.bz2")]
    for one, other in itertools.pairwise(plans):
        assert one.names == other.names and np.array_equal(one.positions, other.positions)


BOMB = """<?xml version="1.0"?><!DOCTYPE osm [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>
<osm><node id="1" lat="0" lon="0"><tag k="name" v="&b;"/></node></osm>"""


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (BOMB, "document type"),
        ("<osm><way id='1'></osm>", "mismatched tag"),
        ("", "no element"),
        ("<html></html>", "root is not <osm>"),
        ("<osm><node id='1' lat='x' lon='0'/></osm>", "could not convert"),
        ("<osm><way id='1'><nd ref='1'/><nd ref='2'/><tag k='highway' v='residential'/></way></osm>", "no street"),
    ],
    ids=["entities", "broken", "empty", "another format", "not a number", "no streets"],
)
def test_what_is_no_extract_is_one_clear_error(tmp_path, text, complaint):
    path = tmp_path / "town.osm"
    path.write_text(text)
    with pytest.raises(OsmExtractError, match=complaint):
        read_extract(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(OsmExtractError, match=r"town\.osm"):
        read_extract(tmp_path / "town.osm")
