# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""What all training loops share: rates, randomness, moments and state in a file, processes."""

from __future__ import annotations

import json

import numpy as np
import pytest

pytest.importorskip("torch")

import torch

from detection.errors import CheckpointError
from detection.learning.checkpoint import differences, moments_of, put_moments, read_checkpoint, write_checkpoint
from detection.learning.processes import is_first_process, processes
from detection.learning.steps import rate_at, rate_of_step, seeded, set_rate
from process_groups import run_in_group


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    torch.set_num_threads(1)


def learner() -> tuple[torch.nn.Module, torch.optim.AdamW]:
    """Two layers, the second of which is never asked and so has no gradient."""
    torch.manual_seed(3)
    layers = torch.nn.ModuleList([torch.nn.Linear(2, 3), torch.nn.Linear(2, 3)])
    return layers, torch.optim.AdamW(layers.parameters(), lr=0.1)


def learn(layers: torch.nn.Module, optimiser: torch.optim.AdamW, steps: int) -> None:
    for _ in range(steps):
        optimiser.zero_grad(set_to_none=True)
        layers.get_submodule("0")(torch.tensor([[1.0, -2.0]])).square().sum().backward()
        optimiser.step()


def test_the_rate_rises_then_falls_to_nothing():
    rates = [rate_at(share, 0.1) for share in np.linspace(0.0, 1.0, 101)]
    assert rates[0] == 0.0 and max(rates) == 1.0 and rates[-1] == pytest.approx(0.0)
    assert np.all(np.diff(rates[10:]) < 0)
    assert rate_at(1.7, 0.1) == rates[-1]


def test_the_rate_of_steps_rises_for_a_twentieth_and_no_step_is_wasted():
    rates = [rate_of_step(step, 200, 0.05) for step in range(200)]
    np.testing.assert_allclose(rates[:10], np.arange(1, 11) / 10)
    assert max(rates) == 1.0
    assert np.all(np.diff(rates[10:]) < 0)
    assert 0.0 < rates[-1] < 1e-3
    assert rate_of_step(0, 1, 0.05) == 1.0


def test_a_rate_is_set_for_all_parameters():
    layers, _ = learner()
    optimiser = torch.optim.AdamW([{"params": layers[0].parameters(), "lr": 1.0}, {"params": layers[1].parameters()}])
    set_rate(optimiser, 0.25)
    assert [group["lr"] for group in optimiser.param_groups] == [0.25, 0.25]


def test_a_step_draws_the_same_each_time_and_leaves_no_trace():
    torch.manual_seed(8)
    wanted = torch.rand(2)
    torch.manual_seed(8)
    drawn = []
    for step in (5, 5, 6):
        with seeded(0, step, 1):
            drawn.append(torch.rand(3))
    assert torch.equal(drawn[0], drawn[1]) and not torch.equal(drawn[0], drawn[2])
    assert torch.equal(torch.rand(2), wanted)


def test_moments_that_were_stored_go_on_to_the_same_weights(tmp_path):
    layers, optimiser = learner()
    learn(layers, optimiser, 3)
    moments = moments_of(optimiser, dict(layers.named_parameters()))
    assert set(moments) == {f"{m}/0.{p}" for m in ("exp_avg", "exp_avg_sq", "step") for p in ("weight", "bias")}
    write_checkpoint(tmp_path / "it.safetensors", dict(layers.state_dict()) | moments, {"step": 3})
    state, tensors = read_checkpoint(tmp_path / "it.safetensors")
    assert state == {"step": 3}
    again, fresh = learner()
    again.load_state_dict({name: tensors[name] for name in again.state_dict()})
    put_moments(fresh, dict(again.named_parameters()), tensors)
    learn(layers, optimiser, 2)
    learn(again, fresh, 2)
    assert all(torch.equal(a, b) for a, b in zip(layers.parameters(), again.parameters(), strict=True))


def test_a_checkpoint_that_cannot_be_read_is_told(tmp_path):
    path = tmp_path / "it.safetensors"
    with pytest.raises(CheckpointError, match=r"it\.safetensors is no checkpoint of a training"):
        read_checkpoint(path)
    write_checkpoint(path, {"a": torch.zeros(2)}, {})
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(CheckpointError, match="no checkpoint of a training"):
        read_checkpoint(path)


def test_two_configurations_differ_in_named_values():
    then = json.loads(json.dumps({"seed": 0, "model": {"sizes": (1, 2), "deep": True}, "gone": 1}))
    assert differences(then, {"seed": 0, "model": {"sizes": (1, 2), "deep": True}, "gone": 1}) == []
    now = {"seed": 1, "model": {"sizes": (1, 3), "deep": True}}
    assert differences(then, now) == ["gone was 1, is None", "model.sizes was [1, 2], is [1, 3]", "seed was 0, is 1"]


def test_a_process_alone_is_the_first_and_averages_with_nobody(monkeypatch):
    for name in ("WORLD_SIZE", "RANK", "LOCAL_RANK"):
        monkeypatch.delenv(name, raising=False)
    layers, _ = learner()
    with processes("cpu") as at:
        assert (at.rank, at.count, at.device.type) == (0, 1, "cpu")
        assert at.averaging(layers) is layers
    assert is_first_process()


def test_processes_of_a_group_average_their_gradients_and_can_train_twice(tmp_path):
    script = (
        "import sys\n"
        "from pathlib import Path\n"
        "from detection.learning.processes import is_first_process, processes\n"
        "for _ in range(2):\n"
        "    with processes('cpu') as at:\n"
        "        layer = torch.nn.Linear(1, 1)\n"
        "        called = at.averaging(layer)\n"
        "        called(torch.tensor([[1.0 + 2.0 * at.rank]])).sum().backward()\n"
        "Path(sys.argv[1]).write_text(f'{at.rank} {at.count} {is_first_process()} {layer.weight.grad.item()}')\n"
    )
    run_in_group(script, *([str(tmp_path / str(rank))] for rank in range(2)))
    assert [(tmp_path / str(rank)).read_text() for rank in range(2)] == ["0 2 True 2.0", "1 2 False 2.0"]
