# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""The projection, the harmonics and the tiles' lists, against gsplat and against counting by hand."""

import numpy as np
import pytest

from slam.splatting import LEAST_ALPHA, TILE, harmonics
from slam.splatting.projection import (
    ACROSS,
    ALONG,
    HALF_HEIGHT,
    HALF_WIDTH,
    OPACITY,
    RED,
    SHEAR,
    X,
    Y,
    project,
)
from slam.splatting.tiles import tile_lists
from splat_scenes import strewn, view


def gsplat_in_torch():
    torch = pytest.importorskip("torch", reason="gsplat is written in torch")
    torch.set_num_threads(1)
    return pytest.importorskip("gsplat.cuda._torch_impl", reason="gsplat, the peer, is not installed"), torch


def conics(table):
    """(V, 3) xx, xy, yy of C^-1."""
    across, shear = table[:, ACROSS].astype(np.float64), table[:, SHEAR]
    return np.column_stack([across, -shear * across, table[:, ALONG] + shear**2 * across])


def test_centres_depths_and_conics_are_gsplats():
    peer, torch = gsplat_in_torch()
    at = view(120, 90)
    scene = strewn(500, at, (0.5, 20.0), coefficients=16)
    splats = project(scene, at)
    assert len(splats.rows) > 450
    picked = scene.take(splats.rows)
    wxyz = torch.tensor(picked.quats[:, [3, 0, 1, 2]], dtype=torch.float64)
    covariances, _ = peer._quat_scale_to_covar_preci(wxyz, torch.tensor(np.exp(picked.log_scales.astype(np.float64))))
    K = at.K.copy()
    K[:2, 2] += 0.5  # gsplat counts pixel centres at halves; its clamp of J then lies half a pixel elsewhere
    _, centres, depths, theirs, _ = peer._fully_fused_projection(
        torch.tensor(picked.means, dtype=torch.float64), covariances, torch.tensor(at.T_camera_world)[None],
        torch.tensor(K)[None], at.width, at.height,
    )  # fmt: skip
    table = splats.table
    assert np.allclose(table[:, [X, Y]], centres[0].numpy(), atol=2e-4)
    assert np.allclose(splats.depths, depths[0].numpy(), rtol=1e-5)
    assert np.abs(conics(table) / theirs[0].numpy() - 1)[:, [0, 2]].max() < 1e-3
    assert np.abs(conics(table) - theirs[0].numpy()).max() < 1e-4


@pytest.mark.parametrize("degree", range(4))
def test_colours_are_gsplats_spherical_harmonics(degree):
    peer, torch = gsplat_in_torch()
    at = view(64, 48)
    scene = strewn(300, at, coefficients=harmonics.COUNTS[degree], seed=degree)
    splats = project(scene, at)
    picked = scene.take(splats.rows)
    directions = torch.tensor(picked.means - at.position)
    colours = peer._spherical_harmonics(degree, directions, torch.tensor(picked.harmonics, dtype=torch.float64))
    assert np.allclose(splats.table[:, RED : RED + 3], np.maximum(0, 0.5 + colours.numpy()), atol=1e-5)


@pytest.mark.parametrize("count", harmonics.COUNTS)
def test_slopes_of_the_harmonics_are_those_of_finite_differences(count):
    rng = np.random.default_rng(count)
    weights, step = rng.normal(size=count), 1e-5

    def value(p):
        out = np.zeros(16)
        harmonics.bases(*p, count, out)
        return out[:count] @ weights

    for point in rng.normal(size=(5, 3)):
        numeric = [(value(point + step * axis) - value(point - step * axis)) / (2 * step) for axis in np.eye(3)]
        assert np.allclose(harmonics.slopes(*point, weights), numeric, atol=1e-6)


def exponents(splat, left, top):
    """What exp gets at the pixels of a tile."""
    y, x = np.mgrid[top : top + TILE, left : left + TILE] + 0.5
    dx, dy = x - splat[X], y - splat[Y]
    return -0.5 * (splat[ACROSS] * (dx - splat[SHEAR] * dy) ** 2 + splat[ALONG] * dy**2)


def test_every_tile_lists_what_reaches_its_pixels_nearest_first():
    at = view(100, 70)
    splats = project(strewn(200, at, (0.3, 12.0)), at)
    lists = tile_lists(splats, at.width, at.height)
    columns, rows = -(-at.width // TILE), -(-at.height // TILE)
    assert len(lists.starts) == columns * rows + 1 and lists.starts[-1] == len(lists.members)
    idle = 0
    for tile in range(columns * rows):
        members = lists.members[lists.starts[tile] : lists.starts[tile + 1]]
        assert (np.diff(splats.depths[members]) >= 0).all()
        alphas = [
            (s[OPACITY] * np.exp(exponents(s, tile % columns * TILE, tile // columns * TILE))).max()
            for s in splats.table.astype(np.float64)
        ]
        reaching = np.flatnonzero(np.array(alphas) >= LEAST_ALPHA * (1 + 1e-5))
        assert set(reaching) <= set(members)
        idle += len(members) - len(reaching)
    assert idle < 0.15 * len(lists.members)


def test_extents_are_those_of_the_ellipse_where_alpha_ends():
    at = view(80, 60)
    splats = project(strewn(50, at, (1.0, 6.0)), at)
    for s in splats.table.astype(np.float64):
        angle = np.linspace(0, 2 * np.pi, 2000)
        reach = np.sqrt(2 * np.log(s[OPACITY] / LEAST_ALPHA))
        dy = reach * np.sin(angle) / np.sqrt(s[ALONG])
        dx = s[SHEAR] * dy + reach * np.cos(angle) / np.sqrt(s[ACROSS])
        assert dx.max() == pytest.approx(s[HALF_WIDTH], rel=1e-4) and dy.max() == pytest.approx(
            s[HALF_HEIGHT], rel=1e-4
        )
