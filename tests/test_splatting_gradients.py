# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""The rasteriser against its dense oracle and against finite differences, forward and backward."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from slam.splatting.gaussians import Gaussians
from slam.splatting.rendering import gradients, render
from slam.splatting.view import View
from splat_scenes import POSE, strewn, view

BACKGROUND = (0.2, 0.5, 0.7)

RIM = 0.05
"""Finite differences also see the ellipse's rim move, where alpha ends at LEAST_ALPHA; gradients leave that out."""


def slopes(drawn, seed=1):
    """By colour, expected depth, alpha and normal; by depth only where a loss would ask for it."""
    rng = np.random.default_rng(seed)
    height, width = drawn.alpha.shape
    shapes = ((height, width, 3), (height, width), (height, width), (height, width, 3))
    d_colour, d_depth, d_alpha, d_normal = (rng.normal(size=shape).astype(np.float32) for shape in shapes)
    return d_colour, d_depth * np.isfinite(drawn.expected_depth(0.3)), d_alpha, d_normal


def apart(found, expected):
    """Largest difference relative to the largest value."""
    return np.abs(found - expected).max() / np.abs(expected).max()


def oracle():
    torch = pytest.importorskip("torch", reason="the oracle is written in torch")
    torch.set_num_threads(1)
    import dense_splatting

    return dense_splatting


@pytest.mark.parametrize(
    ("coefficients", "sizes_px", "most_opacity"),
    [(1, (0.3, 6.0), 0.999), (4, (0.1, 1.0), 0.5), (9, (5.0, 30.0), 0.99), (16, (0.3, 6.0), 0.9)],
    ids=["opaque", "small", "large", "every harmonic"],
)
def test_pictures_and_gradients_are_those_of_the_dense_oracle(coefficients, sizes_px, most_opacity):
    dense, at = oracle(), view(70, 45)
    scene = strewn(200, at, sizes_px, most_opacity, coefficients, seed=coefficients)
    ours, theirs = render(scene, at, BACKGROUND), dense.render(scene, at, BACKGROUND)
    for name in ("colour", "offset", "normal", "alpha", "contribution"):
        assert apart(getattr(ours, name), getattr(theirs, name).detach().numpy()) < 1e-4, name
    found, (by_leaf, by_pose) = gradients(ours, *slopes(ours)), theirs.gradients(*slopes(ours))
    for name, a, b in zip(Gaussians._fields, found.gaussians, by_leaf, strict=True):
        assert apart(a, b) < 1e-4, name
    assert apart(found.pose, by_pose) < 1e-4


def test_gaussians_beyond_the_clamp_of_the_jacobian_have_the_oracles_gradients():
    dense, wide, at = oracle(), view(200, 140), view(50, 35)
    beside = View(50, 35, at.K, wide.T_camera_world)
    scene = strewn(300, View(200, 140, at.K - [[0, 0, -60], [0, 0, -40], [0, 0, 0]], POSE), (3.0, 25.0), seed=3)
    ours, theirs = render(scene, beside), dense.render(scene, beside)
    assert apart(ours.colour, theirs.colour.detach().numpy()) < 1e-4
    found, (by_leaf, by_pose) = gradients(ours, *slopes(ours)), theirs.gradients(*slopes(ours))
    for name, a, b in zip(Gaussians._fields, found.gaussians, by_leaf, strict=True):
        assert apart(a, b) < 1e-4, name
    assert apart(found.pose, by_pose) < 1e-4


def loss_of(scene, at, d):
    drawn = render(scene, at, BACKGROUND)
    pictures = (drawn.colour, np.nan_to_num(drawn.expected_depth(0.0)), drawn.alpha, drawn.normal)
    return sum(float((p.astype(np.float64) * s).sum()) for p, s in zip(pictures, d, strict=True))


def smooth_scene(at):
    """Few, large and faint: no threshold is crossed but at the ellipses' rims, which a smooth loss hardly sees.

    Discs at 5 to 8 m that more or less face the camera, so that there is a depth, and a rim hardly moves it.
    """
    scene = strewn(6, at, (4.0, 8.0), 0.4, 4, seed=8)
    depths = scene.means @ at.T_camera_world[2, :3] + at.T_camera_world[2, 3]
    nearer = (0.1 * depths + 5.0) / depths
    scene.means[:] = at.position + nearer[:, None] * (scene.means - at.position)
    scene.log_scales[:] += np.log(nearer)[:, None]
    turns = Rotation.from_rotvec(np.random.default_rng(6).normal(scale=0.3, size=(6, 3)))
    scene.quats[:] = (Rotation.from_matrix(at.T_camera_world[:3, :3].T) * turns).as_quat()
    scene.log_scales[:, 2] -= 1.0
    y, x = np.mgrid[: at.height, : at.width]
    bump = np.exp(-((x - at.width / 2) ** 2 + (y - at.height / 2) ** 2) / 60.0).astype(np.float32)
    wave = bump * np.sin(0.3 * x + 0.2 * y).astype(np.float32)
    deep = 0.1 * wave * (render(scene, at).alpha > 0.2)
    return scene, [np.stack([wave, bump, -wave], -1), deep, bump, np.stack([bump, wave, wave], -1)]


@pytest.mark.parametrize("name", Gaussians._fields)
def test_gradients_of_parameters_are_those_of_finite_differences(name):
    at = view(40, 32)
    scene, d = smooth_scene(at)
    analytic = getattr(gradients(render(scene, at, BACKGROUND), *d).gaussians, name)
    values, numeric = getattr(scene, name), np.zeros_like(analytic, np.float64)
    step = {"means": 0.004}.get(name, 0.01)
    for index in np.ndindex(values.shape):
        ends = []
        for sign in (1.0, -1.0):
            moved = values.copy()
            moved[index] += sign * step
            ends.append((moved[index], loss_of(scene._replace(**{name: moved}), at, d)))
        numeric[index] = (ends[0][1] - ends[1][1]) / (float(ends[0][0]) - float(ends[1][0]))
    assert apart(analytic, numeric) < RIM


def test_gradients_of_the_pose_are_those_of_finite_differences():
    at = view(40, 32)
    scene, d = smooth_scene(at)
    analytic, step = gradients(render(scene, at, BACKGROUND), *d).pose, 0.002

    def loss_at(k, amount):
        turn = np.eye(4)
        if k < 3:
            turn[:3, :3] = Rotation.from_rotvec(amount * np.eye(3)[k]).as_matrix()
        else:
            turn[k - 3, 3] = amount
        return loss_of(scene, View(at.width, at.height, at.K, turn @ at.T_camera_world), d)

    numeric = np.array([(loss_at(k, step) - loss_at(k, -step)) / (2 * step) for k in range(6)])
    assert apart(analytic[:3], numeric[:3]) < RIM and apart(analytic[3:], numeric[3:]) < RIM


def test_slopes_that_are_left_out_count_as_zero():
    at = view(40, 32)
    drawn = render(strewn(40, at), at)
    d = slopes(drawn)
    alone = gradients(drawn, d[0])
    spelt = gradients(drawn, d[0], np.zeros((32, 40)), np.zeros((32, 40)), np.zeros((32, 40, 3)))
    assert np.array_equal(alone.pose, spelt.pose)
    together = gradients(drawn, *d).pose
    parts = [
        gradients(drawn, np.zeros_like(d[0]), **{name: d[k]}).pose
        for k, name in enumerate(("d_depth", "d_alpha", "d_normal"), 1)
    ]
    assert np.allclose(alone.pose + sum(parts), together, rtol=1e-4, atol=1e-4 * np.abs(together).max())


def test_a_step_along_the_gradient_brings_a_moved_picture_back():
    at = view(48, 32, np.eye(4))
    scene = strewn(300, at, (2.0, 5.0))
    goal = render(scene, at).colour
    pose = np.eye(4)
    pose[0, 3] = 0.02
    errors = []
    for _ in range(15):
        drawn = render(scene, View(48, 32, at.K, pose))
        apart_now = drawn.colour - goal
        errors.append(float(np.square(apart_now).sum()))
        by_x = gradients(drawn, 2.0 * apart_now).pose[3]
        pose[0, 3] -= 0.002 * np.sign(by_x)
    assert min(errors) < 0.05 * errors[0]
