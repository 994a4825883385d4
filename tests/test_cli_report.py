# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""The report is one page that needs nothing else."""

from __future__ import annotations

import io
import re
from functools import cache
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from fake_replay import healthy, pictured, stamps, troubled, way
from mem4nav.cli.replay_metrics import headline, map_metrics, replay_metrics
from mem4nav.cli.report import Story, map_png, render
from mem4nav.cli.report_health import reasons_table, strip
from mem4nav.cli.report_map import picture
from slam.metrics import evaluate
from slam.trajectory import Trajectory

RESULTS = {"healthy": healthy, "troubled": troubled, "pictured": pictured}
VOID = {"meta", "img", "br", "path", "rect", "use", "stop", "circle", "line"}


class Balance(HTMLParser):
    """Notes tags that are not closed in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag, attrs):
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag


@cache
def page(kind: str, *, with_truth: bool = True) -> str:
    return written(RESULTS[kind](), with_truth)


def written(result, with_truth: bool = True) -> str:
    truth = Trajectory.from_matrices(stamps(), way())
    evaluation = evaluate(result.base_trajectory(), truth) if with_truth else None
    metrics = replay_metrics(result, evaluation, "made up") | map_metrics(result, 2_500_000)
    story = Story("A drive & more", headline(metrics), result, evaluation, metrics, "odometry:\n  a: <1>\n", result.log)
    return render(story, map_png(result))


@pytest.mark.parametrize("result", RESULTS)
@pytest.mark.parametrize("with_truth", [True, False])
def test_the_page_asks_nothing_of_the_network(result, with_truth):
    text = page(result, with_truth=with_truth)
    assert not re.findall(r"https?://|//[a-z]+\.|@import|<script|<link", text)
    assert all(source.startswith("data:") for source in re.findall(r'src="([^"]*)"', text))
    assert all(target.startswith("#") for target in re.findall(r'href="([^"]*)"', text))


def test_the_page_is_well_formed_and_escapes_what_it_quotes():
    text = page("troubled")
    parser = Balance()
    parser.feed(text)
    assert parser.open == []
    assert "A drive &amp; more" in text and "start &lt;at rest&gt;" in text and "a: &lt;1&gt;" in text
    assert "rests on &lt;IMU&gt; alone" in text


def test_the_verdict_is_that_of_the_worst_scan():
    assert '<span class="badge ok">OK</span>' in page("healthy")
    assert '<span class="badge lost">LOST</span>' in page("troubled")


def test_errors_are_drawn_only_with_truth():
    assert "Errors over time" in page("healthy")
    assert "Errors over time" not in page("healthy", with_truth=False)


def test_unseen_pictures_are_shown_beside_the_map_and_spread_over_the_drive():
    text = page("pictured")
    assert text.count('src="data:image/jpeg;base64,') == 12
    times = [float(time) for time in re.findall(r'class="muted">([\d.]+) s', text)]
    assert times[0] == 0.4 and times[-1] == 9.9 and np.ptp(np.diff(times)) <= 0.51
    assert "Quality of the map" in text and "mem4nav view DIR" in text and "nan dB" not in text


def test_the_camera_says_why_it_left_the_pose_alone():
    text = page("pictured")
    assert "moved the pose of 68 of 79 scans" in text
    assert "1 pixels &lt;agree&gt;" in text and "2 pixels" not in text


def test_without_pictures_no_word_is_said_of_them():
    assert not re.findall("PSNR|camera|image/jpeg", page("healthy").split("</style>")[1])


def test_no_two_figures_share_an_id():
    ids = re.findall(r'\bid="([^"]+)"', page("pictured"))
    clips = [one for one in ids if re.fullmatch(r"p[0-9a-f]{10}", one)]
    assert clips and len(clips) == len(set(clips))


def test_the_same_replay_gives_the_same_page():
    assert _without_memory(written(troubled())) == _without_memory(page("troubled"))


def test_reasons_that_differ_in_numbers_alone_are_one_row():
    table = reasons_table(troubled().results)
    assert table.count("<tr>") == 3
    assert ">10<" in table and ">2.0 s<" in table


def test_the_strip_covers_every_scan():
    rects = re.findall(r'width="(\d+)" height="1" fill="#', strip(troubled().results))
    assert sum(map(int, rects)) == 100


def test_a_map_becomes_a_picture_and_too_small_a_map_none():
    result = healthy()
    path = way()[:, :3, 3]
    with Image.open(io.BytesIO(picture(result.map_points, result.map_normals, np.full(400, 0.6), path))) as image:
        pixels = np.asarray(image.convert("RGB"))
    assert pixels.shape == (900, 1600, 3)
    assert 0.01 < np.mean(np.ptp(pixels, axis=2) > 20) < 0.9
    assert picture(result.map_points[:50], result.map_normals[:50], np.ones(50), path) is None


def _without_memory(text: str) -> str:
    return re.sub(r"<b>[\d,]+ <small>MB", "", text)
