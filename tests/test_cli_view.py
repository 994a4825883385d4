# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""``mem4nav view`` shows a map in the browser, on this machine alone, or packs it into one file."""

from __future__ import annotations

import builtins
import json
import re
import shutil
import subprocess
import urllib.request
from base64 import b64decode
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mem4nav.cli.main import main
from mem4nav.cli.map_scene import Scene
from mem4nav.cli.view_html import RECORD, middle, most_covering, page, records
from mem4nav.cli.view_server import covariances
from plane_worlds import mapped, room
from slam.map_store import save_map
from slam.splatting.gaussians import Gaussians
from slam.splatting.rendering import render
from slam.splatting.view import View
from slam.trajectory import Trajectory, write_tum
from stored_maps import gaussian_map_on


@pytest.fixture(scope="module")
def results(tmp_path_factory) -> Path:
    """A replay's folder: a map with Gaussians, and the way."""
    folder = tmp_path_factory.mktemp("results")
    planes = mapped(room(np.random.default_rng(1)))
    save_map(folder / "map", planes, gaussian_map_on(planes))
    positions = np.column_stack([np.linspace(-3.0, 3.0, 20), np.zeros(20), np.zeros(20)])
    write_tum(folder / "odom.tum", Trajectory(np.arange(20), positions, np.tile([0.0, 0.0, 0.0, 1.0], (20, 1))))
    return folder


def some(count=40, seed=0):
    rng = np.random.default_rng(seed)
    shapes = ((count, 3), (count, 4), (count, 3), (count,), (count, 4, 3))
    return Gaussians(*(rng.normal(size=shape).astype(np.float32) for shape in shapes))


def data_of(html: str, name: str) -> bytes:
    return b64decode(re.search(rf'<script id="{name}" type="text/plain">(.*?)</script>', html, re.S)[1])


def test_the_file_holds_all_and_asks_nothing_of_the_network(results, tmp_path, capsys):
    assert main(["view", str(results), "--html", str(tmp_path / "map.html")]) == 0
    html = (tmp_path / "map.html").read_text()
    assert "MB" in capsys.readouterr().out
    assert not re.search(r"https?:|src=|href=|import |fetch\(|\$[a-z]+ ", html.replace("${", ""))
    facts = json.loads(re.search(r'<script id="facts"[^>]*>(.*?)</script>', html)[1])
    scene = Scene.of(results)
    assert facts["gaussians"] == scene.gaussians.size > 50
    assert len(data_of(html, "splats")) == 32 * (scene.gaussians.size + scene.planes.size)
    assert len(data_of(html, "path")) == 12 * 20


def test_a_record_holds_a_gaussian_as_the_shader_unpacks_it():
    gaussians, centre = some(), np.array([1000.0, -2000.0, 5.0])
    far = gaussians._replace(means=(gaussians.means + centre).astype(np.float32))
    packed = np.frombuffer(records(far, centre).tobytes(), RECORD)
    assert RECORD.itemsize == 32
    np.testing.assert_allclose(packed["mean"], gaussians.means, atol=2e-4)
    np.testing.assert_allclose(packed["colour"][:, :3] / 255.0, gaussians.base_colours(), atol=1 / 500)
    np.testing.assert_allclose(packed["colour"][:, 3] / 255.0, gaussians.opacities(), atol=1 / 500)
    turned = packed["quat"] / 32767.0
    np.testing.assert_allclose(turned, gaussians.quats / np.linalg.norm(gaussians.quats, axis=1)[:, None], atol=1e-4)
    np.testing.assert_allclose(packed["scales"], np.exp(gaussians.log_scales), rtol=1e-3)


def test_of_too_many_those_that_cover_most_stay():
    gaussians = some(100)
    gaussians.log_scales[:90], gaussians.log_scales[90:] = -5.0, 1.0
    kept = most_covering(gaussians, 10)
    np.testing.assert_array_equal(kept.means, gaussians.means[90:])
    assert most_covering(gaussians, 100) is gaussians


def test_the_view_starts_where_the_map_and_the_way_are():
    gaussians = some(500)
    gaussians.means[0] = 1e6
    centre, radius_m = middle(gaussians, np.array([[0.0, 0.0, 0.0], [100.0, 0.0, 0.0]]))
    np.testing.assert_allclose(centre, [49.0, 0.0, 0.0], atol=1.5)
    assert 70.0 < radius_m < 100.0
    assert middle(Gaussians.zeros(0), np.zeros((0, 3)))[1] == 10.0


def test_titles_and_notes_are_escaped():
    scene = Scene("</title><b>", some(3), Gaussians.zeros(0), np.zeros((0, 3)), "a < b")
    html = page(scene, 10)
    assert "</title><b>" not in html.replace("&lt;", "") and "a &lt; b" in html


def test_a_map_without_gaussians_shows_its_planes_and_says_whose_way_it_draws(tmp_path, capsys):
    save_map(tmp_path / "map", mapped(room(np.random.default_rng(1))))
    write_tum(tmp_path / "trajectory.tum", Trajectory(np.arange(2), np.eye(3)[:2], np.eye(4)[[3, 3]]))
    assert main(["view", str(tmp_path), "--html", str(tmp_path / "map.html")]) == 0
    assert "trajectory.tum" in capsys.readouterr().out
    html = (tmp_path / "map.html").read_text()
    assert 'id="planes" checked' in html and 'id="gaussians" disabled' in html


def test_what_cannot_be_shown_is_refused_in_one_line(results, tmp_path, capsys):
    empty = save_map(tmp_path / "empty", mapped(np.zeros((0, 3))))
    for words, said in (
        ([str(tmp_path / "nowhere"), "--html", "x.html"], "no map here"),
        ([str(empty), "--html", str(tmp_path / "x.html")], "nothing to see"),
        ([str(results), "--html", str(tmp_path)], "is a folder"),
        ([str(results), "--port", "70000"], "--port 70000"),
        ([str(results), "--most", "0"], "--most 0"),
    ):
        assert main(["view", *words]) == 2
        line = capsys.readouterr().err
        assert said in line and line.count("\n") == 1


def test_without_viser_the_extra_is_named(results, capsys, monkeypatch):
    real = builtins.__import__

    def without(name, *rest):
        if name == "viser":
            raise ModuleNotFoundError("No module named 'viser'", name="viser")
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    assert main(["view", str(results)]) == 2
    assert "pip install 'mem4nav[viz]'" in capsys.readouterr().err


def test_covariances_are_the_scales_turned_into_the_world():
    one = Gaussians.zeros(1)
    one.quats[0] = [0.0, 0.0, np.sqrt(0.5), np.sqrt(0.5)]  # x to y
    one.log_scales[0] = np.log([2.0, 0.5, 0.1])
    np.testing.assert_allclose(covariances(one)[0], np.diag([0.25, 4.0, 0.01]), atol=1e-6)


def test_viser_serves_the_scene_on_this_machine_alone(results, capsys):
    pytest.importorskip("viser", reason="viser is not installed (extra viz)")
    from mem4nav.cli.view_server import HOST, serve

    server = serve(Scene.of(results), 18099, 1000)
    try:
        assert HOST == "127.0.0.1" and server.get_host() == HOST
        with urllib.request.urlopen(f"http://{HOST}:{server.get_port()}/", timeout=20) as answer:
            assert answer.status == 200
        assert capsys.readouterr().out == ""
    finally:
        server.stop()


def photographed(html: Path, folder: Path) -> np.ndarray:
    """(400, 600, 3) in [0, 1]: what a browser shows of the page."""
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no chromium and no google-chrome here")
    software = ["--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--no-sandbox"]
    shot = [f"--screenshot={folder / 'shot.png'}", "--window-size=600,400", "--virtual-time-budget=5000"]
    options = [*software, *shot, f"--user-data-dir={folder / 'profile'}", html.as_uri()]
    done = subprocess.run([browser, "--headless", *options], capture_output=True, timeout=120)
    if done.returncode or not (folder / "shot.png").exists():
        pytest.skip(f"the browser does not start here: {done.stderr[-200:]!r}")
    return np.array(Image.open(folder / "shot.png").convert("RGB")) / 255.0


def first_view(centre: np.ndarray, distance_m: float) -> View:
    """Where view.js looks from at first."""
    yaw, pitch, focal = -2.2, 0.7, 1.1 * 600 / 2
    T = np.eye(4)
    T[0, :3] = [-np.sin(yaw), np.cos(yaw), 0.0]
    T[2, :3] = [-np.cos(pitch) * np.cos(yaw), -np.cos(pitch) * np.sin(yaw), -np.sin(pitch)]
    T[1, :3] = np.cross(T[2, :3], T[0, :3])
    T[:3, 3] = -T[:3, :3] @ (centre - distance_m * T[2, :3])
    return View(600, 400, np.array([[focal, 0.0, 299.5], [0.0, focal, 199.5], [0.0, 0.0, 1.0]]), T)


def test_a_browser_draws_the_gaussians_as_the_rasteriser_does(tmp_path):
    gaussians = some(300)._replace(harmonics=some(300).harmonics[:, :1].copy())
    gaussians.means[:] *= 2.0
    gaussians.log_scales[:] = 0.8 * gaussians.log_scales - 1.6
    html = tmp_path / "map.html"
    html.write_text(page(Scene("ellipses", gaussians, Gaussians.zeros(0), np.zeros((0, 3))), 1000))
    shown = photographed(html, tmp_path)
    wanted = render(gaussians, first_view(*middle(gaussians, np.zeros((0, 3)))), (0.98, 0.98, 0.976)).colour
    apart = np.abs(shown - np.clip(wanted, 0.0, 1.0))[170:]  # below the panel
    assert np.abs(wanted[170:] - 0.98).mean() > 0.1
    assert apart.mean() < 0.01 and np.percentile(apart, 99) < 0.06


def test_a_browser_draws_the_way(results, tmp_path):
    assert main(["view", str(results), "--html", str(tmp_path / "map.html"), "--quiet"]) == 0
    red, green, blue = photographed(tmp_path / "map.html", tmp_path)[170:].transpose(2, 0, 1)
    assert ((red > 0.7) & (green < 0.43) & (blue < 0.35)).sum() > 20
