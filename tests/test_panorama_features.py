# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Features and CLIP scores of panoramas are read in their published layouts, and nothing else is taken for them."""

from __future__ import annotations

import json

import numpy as np
import pytest

from sim_envs.errors import PanoramaFeatureError
from sim_envs.street_graph import StreetGraph
from sim_envs.touchdown.clip_landmarks import NOMINAL_M, ClipLandmarks
from sim_envs.touchdown.panorama_features import LAYOUTS, Layout, PanoramaFeatures


@pytest.mark.parametrize("name", [name for name, layout in LAYOUTS.items() if layout.by_heading])
def test_features_of_a_heading_are_found_by_whole_degrees(tmp_path, name):
    shape = tuple(size or 7 for size in LAYOUTS[name].shape)
    np.save(tmp_path / "pano_298.npy", np.ones(shape, np.float16))
    features = PanoramaFeatures(tmp_path, name).at("pano", 297.8)
    assert features.shape == shape and features.dtype == np.float32


def test_a_whole_panorama_is_turned_until_the_heading_is_in_its_middle(tmp_path):
    panorama = np.zeros((100, 464, 128), np.float32)
    panorama[:, 232 + 116] = 1.0  # a quarter to the right of the middle
    np.save(tmp_path / "pano.npy", panorama)
    features = PanoramaFeatures(tmp_path, "touchdown", {"pano": 30.0})
    assert features.at("pano", 120.0)[:, 232].all()
    assert np.array_equal(features.at("pano", 30.0), panorama)
    with pytest.raises(PanoramaFeatureError, match="yaw of panorama 'other'"):
        features.at("other", 0.0)


def test_another_shape_is_an_error_that_gives_both(tmp_path):
    np.save(tmp_path / "pano_0.npy", np.ones((5, 2048)))
    with pytest.raises(PanoramaFeatureError, match=r"\(5, 2048\).*\(100, 100\)"):
        PanoramaFeatures(tmp_path, "orar-fourth-to-last").at("pano", 0.0)
    np.save(tmp_path / "pano_1.npy", np.array(["a"]))
    with pytest.raises(PanoramaFeatureError, match="shape"):
        PanoramaFeatures(tmp_path, Layout((1,), True, "words")).at("pano", 1.0)


def test_what_is_missing_damaged_or_runs_code_is_not_read(tmp_path):
    features = PanoramaFeatures(tmp_path, "orar-pre-final")
    with pytest.raises(PanoramaFeatureError, match="pano_0"):
        features.at("pano", 0.0)
    (tmp_path / "pano_0.npy").write_bytes(b"\x93NUMPY no more")
    with pytest.raises(PanoramaFeatureError, match="pano_0"):
        features.at("pano", 0.0)
    np.save(tmp_path / "pano_1.npy", np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(PanoramaFeatureError, match="allow_pickle"):
        features.at("pano", 1.0)
    with pytest.raises(PanoramaFeatureError, match="known are touchdown"):
        PanoramaFeatures(tmp_path, "resnet")
    with pytest.raises(PanoramaFeatureError, match="no folder"):
        PanoramaFeatures(tmp_path / "missing", "velma")


@pytest.fixture
def graph() -> StreetGraph:
    return StreetGraph(["p", "q"], np.zeros((2, 2)), [("p", 90.0, "q"), ("q", 270.0, "p")])


def test_a_landmark_is_seen_once_where_clip_is_surest_of_it(tmp_path, graph):
    scores = {"90": {"red awning": [0, 0, 3.6, 5.0, 0], "bank": [3.4] * 5}, "270": {"red awning": [4.0, 0, 0, 0, 0]}}
    rows = [{"pano": "p", "scores": scores}, {"pano": "elsewhere", "scores": {}}]
    path = tmp_path / "scores.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    landmarks = ClipLandmarks(path, graph)
    (seen,) = landmarks.sightings(0)
    assert (seen.name, seen.bearing_deg, seen.distance_m) == ("red awning", 135.0, NOMINAL_M)
    assert landmarks.sightings(1) == ()
    assert len(ClipLandmarks(path, graph, visible=3.0).sightings(0)) == 2


@pytest.mark.parametrize("line", ["[]", "{", '{"pano": "p"}', '{"pano": "p", "scores": {"90": {"bank": [1, 2]}}}'])
def test_a_line_of_another_form_is_named(tmp_path, graph, line):
    path = tmp_path / "scores.jsonl"
    path.write_text('{"pano": "p", "scores": {}}\n' + line + "\n")
    with pytest.raises(PanoramaFeatureError, match="line 2"):
        ClipLandmarks(path, graph)
