# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""OpenStreetMap's protocol buffers, written by Google's library, read like the XML of the same town."""

from __future__ import annotations

import pytest

from osm_drawing import small_town
from sim_envs.errors import OsmExtractError
from sim_envs.touchdown.osm_extract import read_extract
from sim_envs.touchdown.osm_extract_pbf import MOST_BLOB_BYTES, read_pbf
from sim_envs.touchdown.osm_extract_xml import read_xml

pytest.importorskip("google.protobuf")
from osm_buffers import OSM, blob, buffers, header


@pytest.fixture
def drawn(tmp_path):
    path = tmp_path / "town.osm"
    path.write_text(small_town().text(), encoding="utf-8")
    return path


def packed(path, data: bytes):
    written = path.with_suffix(".osm.pbf")
    written.write_bytes(data)
    return written


@pytest.mark.parametrize("dense", [True, False], ids=["dense", "one by one"])
def test_buffers_hold_what_the_xml_holds(drawn, dense):
    town = [*read_xml(drawn, "node"), *read_xml(drawn, "way")]
    path = packed(drawn, buffers(town, dense))
    assert list(read_pbf(path, "way")) == list(read_xml(drawn, "way"))
    for read, wanted in zip(read_pbf(path, "node"), read_xml(drawn, "node"), strict=True):
        assert (read.id, read.tags) == (wanted.id, wanted.tags)
        assert (read.lat, read.lng) == pytest.approx((wanted.lat, wanted.lng), abs=2e-8)
    assert read_extract(path).streets == read_extract(drawn).streets


def test_negative_coordinates_and_large_numbers_come_back(drawn):
    drawn.write_text("<osm><node id='-5' lat='-33.9' lon='-151.2'/><node id='9007199254740993' lat='1' lon='2'/></osm>")
    path = packed(drawn, buffers(list(read_xml(drawn, "node"))))
    one, other = read_pbf(path, "node")
    assert (one.id, other.id) == ("-5", "9007199254740993")
    assert (one.lat, one.lng) == pytest.approx((-33.9, -151.2), abs=2e-8)


def test_damage_is_one_clear_error(drawn):
    good = buffers(list(read_xml(drawn, "node")))
    for data in (good[: len(good) // 2], b"\xff" * 400, good[:40] + b"\xff" * 40 + good[80:]):
        with pytest.raises(OsmExtractError, match="protocol buffers"):
            list(read_pbf(packed(drawn, data), "node"))
    with pytest.raises(OsmExtractError, match=r"town\.osm\.pbf"):
        list(read_pbf(drawn.parent / "no" / "town.osm.pbf", "node"))


def test_features_and_packings_that_are_not_known_are_named(drawn):
    with pytest.raises(OsmExtractError, match="HistoricalInformation"):
        list(read_pbf(packed(drawn, header("OsmSchema-V0.6", "HistoricalInformation")), "node"))
    body = OSM["Blob"](lzma_data=b"x").SerializeToString()
    front = OSM["BlobHeader"](type="OSMData", datasize=len(body)).SerializeToString()
    with pytest.raises(OsmExtractError, match="zlib"):
        list(read_pbf(packed(drawn, len(front).to_bytes(4, "big") + front + body), "node"))


def test_a_blob_that_unpacks_without_end_is_refused(drawn):
    with pytest.raises(OsmExtractError, match="more than"):
        list(read_pbf(packed(drawn, blob("OSMData", bytes(MOST_BLOB_BYTES + 1))), "node"))
