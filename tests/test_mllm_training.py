# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""The training loop: stopped or not, on one process or two, the weights come out the same."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("torch")

import torch

from mem4nav.backbones.training import TrainingConfig, train
from mem4nav.errors import BackboneError
from process_groups import run_in_group

CONFIG = TrainingConfig(epochs=4, batch=5, learning_rate=0.01, save_every=3)


class Line(torch.nn.Module):
    """Fits a line through points, with some dropout; broken off where it was told to."""

    def __init__(self, dropout: float = 0.2, breaks_at: int = -1) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.layers = torch.nn.Sequential(torch.nn.Linear(1, 8), torch.nn.Dropout(dropout), torch.nn.Linear(8, 1))
        self.unused = torch.nn.Linear(2, 2)
        self.calls, self.breaks_at = 0, breaks_at

    def forward(self, examples: list[float]) -> torch.Tensor:
        self.calls += 1
        if self.calls == self.breaks_at:
            raise KeyboardInterrupt
        x = torch.tensor(examples)[:, None]
        return (self.layers(x) - 2.0 * x).square()[:, 0]


def points() -> list[float]:
    return np.linspace(-1.0, 1.0, 17).tolist()


def weights(objective: torch.nn.Module) -> np.ndarray:
    return torch.cat([p.detach().flatten() for p in objective.parameters()]).numpy()


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    torch.set_num_threads(1)


def test_a_training_that_was_broken_off_ends_with_the_same_weights(tmp_path):
    whole, broken, resumed = Line(), Line(breaks_at=9), Line()
    losses = train(whole, points(), CONFIG, device="cpu")
    with pytest.raises(KeyboardInterrupt):
        train(broken, points(), CONFIG, tmp_path / "line.safetensors", device="cpu")
    again = train(resumed, points(), CONFIG, tmp_path / "line.safetensors", device="cpu")
    assert resumed.calls == len(losses) - 6
    assert again == losses
    assert weights(resumed).tobytes() == weights(whole).tobytes()
    done = Line()
    train(done, points(), CONFIG, tmp_path / "line.safetensors", device="cpu")
    assert done.calls == 0
    assert weights(done).tobytes() == weights(whole).tobytes()


def test_a_checkpoint_of_something_else_is_told(tmp_path):
    path = tmp_path / "line.safetensors"
    train(Line(), points(), CONFIG, path, device="cpu")
    with pytest.raises(BackboneError, match="of another training"):
        train(Line(), points(), replace(CONFIG, seed=1), path, device="cpu")
    with pytest.raises(BackboneError, match="of another training"):
        train(Line(), points()[1:], CONFIG, path, device="cpu")
    other = Line()
    other.unused = torch.nn.Linear(3, 3)
    with pytest.raises(BackboneError, match=r"of another network: unused\.weight is \(2, 2\) there, \(3, 3\) here"):
        train(other, points(), CONFIG, path, device="cpu")
    path.write_bytes(path.read_bytes()[:-7])
    with pytest.raises(BackboneError, match="no checkpoint"):
        train(Line(), points(), CONFIG, path, device="cpu")


def test_a_loss_that_is_no_number_is_told():
    with pytest.raises(BackboneError, match="the loss is nan at step 1 of "):
        train(Line(), [float("nan")] * 5, CONFIG, device="cpu")


def test_half_precision_learns_too_and_weights_stay_whole():
    line = Line(dropout=0.0)
    losses = train(line, points(), replace(CONFIG, epochs=40, precision="bfloat16"), device="cpu")
    assert losses[-1] < 0.2 * losses[0]
    assert {p.dtype for p in line.parameters()} == {torch.float32}
    with pytest.raises(BackboneError, match="not 'int8'"):
        train(Line(), points(), replace(CONFIG, precision="int8"), device="cpu")


def test_two_processes_make_the_steps_of_one(tmp_path):
    script = (
        "import sys, numpy\n"
        "from test_mllm_training import CONFIG, Line, points, train, weights\n"
        "train(Line(), points(), CONFIG, device='cpu')\n"
        "line = Line(dropout=0.0)\n"
        "losses = train(line, points(), CONFIG, device='cpu')\n"
        "numpy.save(sys.argv[1], numpy.concatenate([losses, weights(line)]))\n"
    )
    run_in_group(script, *([str(tmp_path / f"{rank}.npy")] for rank in range(2)))
    alone = Line(dropout=0.0)
    losses = train(alone, points(), CONFIG, device="cpu")
    first, second = (np.load(tmp_path / f"{rank}.npy", allow_pickle=False) for rank in range(2))
    np.testing.assert_array_equal(first, second)
    np.testing.assert_allclose(first, np.concatenate([losses, weights(alone)]), atol=1e-5)
