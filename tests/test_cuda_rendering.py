# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""The rasteriser's CUDA kernels against its CPU twin: pictures, gradients, and the same bytes every time."""

from __future__ import annotations

import re

import numpy as np
import pytest

import slam.splatting
from cuda_host import SOURCES, HostDevice, compiled, devices, kernels_of
from slam import morton, octree
from slam.errors import ConfigError, SlamError
from slam.gpu import THREADS, CudaDevice, device, kernel_text, missing
from slam.splatting import harmonics, projection_gradient
from slam.splatting.backend import CpuRasteriser, rasteriser
from slam.splatting.cuda_rendering import CudaRasteriser
from slam.splatting.gaussians import Gaussians
from slam.splatting.rasterise import CHANNELS
from slam.splatting.rendering import Rendering, gradients, render
from slam.splatting.view import View

on_each_device = pytest.mark.parametrize("device", devices())
BACKGROUND = (0.2, 0.3, 0.1)
PICTURES = ("colour", "offset", "normal", "alpha", "contribution")


def cloud(count: int = 50, coefficients: int = 16, seed: int = 0) -> Gaussians:
    """Gaussians of all sizes and shapes around the picture, some of them behind the camera."""
    rng = np.random.default_rng(seed)
    arrays = (
        rng.uniform([-1.5, -1.2, -0.5], [1.5, 1.2, 4.0], (count, 3)),
        rng.normal(0.0, 1.0, (count, 4)),
        rng.uniform(-4.0, -0.7, (count, 3)),
        rng.uniform(-3.0, 4.0, count),
        rng.normal(0.0, 0.3, (count, coefficients, 3)),
    )
    return Gaussians(*(np.ascontiguousarray(array, np.float32) for array in arrays))


def view(width: int = 37, height: int = 33) -> View:
    """Neither side a whole number of tiles; turned and shifted a little."""
    T = np.eye(4)
    T[:3, :3] = np.array([[0.96, -0.28, 0.0], [0.28, 0.96, 0.0], [0.0, 0.0, 1.0]])
    T[:3, 3] = 0.1, -0.05, 0.2
    return View(width, height, np.array([[34.0, 0, 18.0], [0, 36.0, 16.5], [0, 0, 1.0]]), T)


def slopes(of: View, seed: int = 1) -> list[np.ndarray]:
    """d_colour, d_depth, d_alpha, d_normal."""
    rng, size = np.random.default_rng(seed), (of.height, of.width)
    return [rng.normal(0.0, 1.0, (*size, *more)).astype(np.float32) for more in ((3,), (), (), (3,))]


def slopes_on(rendering: Rendering) -> list[np.ndarray]:
    """The same, by depth only where a loss would ask for it."""
    d_colour, d_depth, d_alpha, d_normal = slopes(rendering.view)
    return [d_colour, d_depth * np.isfinite(rendering.expected_depth(0.3)), d_alpha, d_normal]


def assert_close(ours, theirs, share: float, what: str) -> None:
    """To a share of the greatest."""
    scale = max(np.abs(theirs).max(initial=0.0), 1e-6)
    assert ours.shape == theirs.shape and ours.dtype == theirs.dtype, what
    assert np.abs(ours - theirs).max(initial=0.0) <= share * scale, what


def assert_same_rendering(device, gaussians: Gaussians, of: View) -> None:
    """Pictures to 1e-5 of their greatest value, gradients to 1e-4: single precision in two orders of summation."""
    on_device = CudaRasteriser(device)
    cpu, gpu = render(gaussians, of, BACKGROUND), on_device.render(gaussians, of, BACKGROUND)
    for name in PICTURES:
        assert_close(getattr(gpu, name), getattr(cpu, name), 1e-5, name)
    assert np.array_equal(gpu.seen, cpu.seen)
    by_loss = slopes_on(cpu)
    theirs, ours = gradients(cpu, *by_loss), on_device.gradients(gpu, *by_loss)
    for name, a, b in zip(Gaussians._fields, ours.gaussians, theirs.gaussians, strict=True):
        assert_close(a, b, 1e-4, name)
    assert_close(ours.screen, theirs.screen, 1e-4, "screen")
    assert_close(ours.pose, theirs.pose, 1e-4, "pose")


@on_each_device
@pytest.mark.parametrize("coefficients", [1, 4, 9, 16])
def test_pictures_and_gradients_are_those_of_the_cpu(device, coefficients):
    assert_same_rendering(device(), cloud(coefficients=coefficients), view())


@on_each_device
def test_a_tile_with_more_splats_than_a_batch_holds_is_blended_to_the_end(device):
    faint = cloud(300, 1)
    faint.logits[:] = -3.5
    faint.log_scales[:] += 1.0
    assert_same_rendering(device(), faint, view(20, 16))


@on_each_device
def test_pixels_that_are_full_stop_where_they_stop_on_the_cpu(device):
    solid = cloud(200, 1)
    solid.logits[:] = 6.0
    assert_same_rendering(device(), solid, view(20, 16))


@on_each_device
def test_equal_depths_are_blended_in_the_order_of_the_gaussians(device):
    wall = cloud(40, 1)
    wall.means[:, 2] = 2.0
    upright = View(32, 32, view().K, np.eye(4))
    assert_same_rendering(device(), wall, upright)


@on_each_device
def test_a_needle_on_the_screen_has_the_gradients_of_the_cpu(device):
    needles = cloud(30, 1)
    needles.means[:, 2] = 2.5
    needles.log_scales[:] = [-6.0, -6.0, -0.3]
    assert_same_rendering(device(), needles, view())


@on_each_device
def test_gaussians_that_are_not_finite_or_too_faint_are_left_out(device):
    broken = cloud(40, 4)
    broken.means[0, 0], broken.quats[1], broken.log_scales[2, 1] = np.nan, 0.0, 200.0
    broken.logits[3], broken.logits[4], broken.harmonics[5, 2, 1] = np.nan, -9.0, np.inf
    on_device = CudaRasteriser(device())
    gpu, cpu = on_device.render(broken, view()), render(broken, view())
    assert not gpu.seen[:6].any()
    assert np.array_equal(gpu.seen, cpu.seen)
    ours = on_device.gradients(gpu, *slopes(view()))
    assert all(np.isfinite(array).all() and not array[:6].any() for array in ours.gaussians)


@on_each_device
@pytest.mark.parametrize("behind", [False, True])
def test_nothing_in_sight_shows_the_background(device, behind):
    nothing = cloud(5 if behind else 0, 1)
    nothing.means[:, 2] = -3.0
    on_device = CudaRasteriser(device())
    shown = on_device.render(nothing, view(), BACKGROUND)
    assert np.allclose(shown.colour, BACKGROUND) and not shown.alpha.any() and not shown.seen.any()
    found = on_device.gradients(shown, *slopes(view()))
    assert not found.pose.any() and found.gaussians.size == nothing.size


@on_each_device
def test_the_same_input_gives_the_same_bytes_in_any_order_of_threads(device):
    first, again = CudaRasteriser(device()), CudaRasteriser(HostDevice())
    if not isinstance(first.device, HostDevice):
        again = first
    a, b = (one.render(cloud(), view()) for one in (first, again))
    assert all(np.array_equal(getattr(a, name), getattr(b, name)) for name in PICTURES)
    by_loss = slopes(view())
    ours, theirs = first.gradients(a, *by_loss), again.gradients(b, *by_loss)
    assert all(np.array_equal(x, y) for x, y in zip(ours.gaussians, theirs.gaussians, strict=True))
    assert np.array_equal(ours.pose, theirs.pose)


def test_arrays_of_a_wrong_shape_are_turned_away_before_a_kernel_reads_them():
    on_device = CudaRasteriser(HostDevice())
    with pytest.raises(SlamError, match="logits are float32"):
        on_device.render(cloud()._replace(logits=np.zeros(3, np.float32)), view())
    with pytest.raises(SlamError, match="means are float64"):
        on_device.render(cloud()._replace(means=np.zeros((50, 3))), view())
    with pytest.raises(SlamError, match="K = 1, 4, 9 or 16"):
        on_device.render(cloud()._replace(harmonics=np.zeros((50, 5, 3), np.float32)), view())
    shown = on_device.render(cloud(), view())
    with pytest.raises(SlamError, match="d_colour has shape"):
        on_device.gradients(shown, np.zeros((4, 4, 3)))


CONSTANT = re.compile(r"(?:constexpr \w+ |[,] )(\w+) = ([^;,\n]+)(?=[;,])")


def test_constants_of_the_kernels_are_those_of_the_python():
    python = {name: getattr(slam.splatting, name) for name in ("TILE", "BLUR_PX2", "NEAR_M", "NEAR_SIGMAS")}
    python |= {name: getattr(slam.splatting, name) for name in ("LEAST_ALPHA", "MOST_ALPHA", "LEAST_LIGHT")}
    python |= {"C0": harmonics.C0, "C1": harmonics.C1, "CHANNELS": CHANNELS, "THREADS": THREADS, "BITS": morton.BITS}
    python |= {f"C2{k}": value for k, value in enumerate(harmonics.C2)}
    python |= {f"C3{k}": value for k, value in enumerate(harmonics.C3)}
    python |= {name: getattr(octree, name) for name in ("VARIANCE", "TILT1", "TILT2", "REACH2")}
    met = set()
    for source in SOURCES:
        for name, text in CONSTANT.findall(kernel_text(source)):
            if name in python:
                numbers = [float(part.strip().rstrip("f")) for part in text.split("/")]
                value = numbers[0] / numbers[1] if len(numbers) == 2 else numbers[0]
                assert value == pytest.approx(python[name], rel=1e-12), f"{name} in cuda/{source}.cu"
                met.add(name)
    assert met == set(python)
    for source in ("projection", "rasterise"):
        assert f"SUMS = {projection_gradient.COLUMNS};" in kernel_text(source)


def test_a_missing_device_is_one_clear_sentence_and_auto_falls_back(caplog):
    with pytest.raises(ConfigError, match="'gpu' is not known"):
        device("gpu")  # type: ignore[arg-type]
    assert device("cpu") is None
    if missing() is None:
        pytest.skip("CUDA is here")
    with pytest.raises(ConfigError, match="backend 'cuda' cannot be used: "):
        device("cuda")
    with caplog.at_level("INFO", logger="slam.gpu"):
        assert device("auto") is None
    assert "on the CPU" in caplog.text


def test_one_switch_picks_the_rasteriser():
    shown = rasteriser("cpu").render(cloud(), view(), BACKGROUND)
    assert np.array_equal(shown.colour, render(cloud(), view(), BACKGROUND).colour)
    assert isinstance(rasteriser("auto"), CpuRasteriser if missing() else CudaRasteriser)
    with pytest.raises(ConfigError, match="backend"):
        rasteriser("cuda" if missing() else "gpu")  # type: ignore[arg-type]


class RecordingCupy:
    """As much of CuPy as a launch needs; keeps what was compiled and launched."""

    def __init__(self) -> None:
        self.compiled: list[tuple[str, tuple[str, ...]]] = []
        self.launched: list[tuple] = []

    def RawModule(self, code: str, options: tuple[str, ...]) -> RecordingCupy:
        self.compiled.append((code, options))
        return self

    def get_function(self, kernel: str):
        return lambda *launch: self.launched.append((kernel, *launch))


def test_a_file_of_kernels_is_compiled_once_and_an_empty_grid_is_not_launched(monkeypatch):
    cupy = RecordingCupy()
    monkeypatch.setattr("slam.gpu.import_module", lambda name: cupy)
    device = CudaDevice()
    for blocks in (3, 0, 2):
        device.launch("tiles", "tile_count", blocks, "first", "second")
    assert cupy.compiled == [(kernel_text("tiles"), ("-std=c++17",))]
    assert cupy.launched == [("tile_count", (blocks,), (THREADS,), ("first", "second")) for blocks in (3, 2)]


def test_a_kernel_that_is_not_installed_is_named():
    with pytest.raises(ConfigError, match=r"cuda/nowhere\.cu was not found"):
        kernel_text("nowhere")


@pytest.mark.parametrize("source", SOURCES)
def test_every_kernel_compiles_with_the_block_size_of_its_launch(source):
    compiled(source)
    text = kernel_text(source)
    assert kernels_of(source)
    assert text.count("__global__") == len(kernels_of(source)) == len(re.findall(r"__launch_bounds__\(256", text))
