# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Reversible tokens are undone exactly in fixed point, stay bounded, and learn to be read."""

import numpy as np
import pytest

from memory_worlds import units

torch = pytest.importorskip("torch", reason="reversible tokens need torch (extra nav)")

from mem4nav.memory.reversible import UNIT, Reversible, ReversibleConfig, Written, fixed, floating  # noqa: E402
from mem4nav.memory.training import Reader, TrainingConfig, cycle_loss, loss, tokens, train  # noqa: E402

D, PLACES, WRITES = 64, 3, 200


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def network():
    return Reversible(ReversibleConfig(D, depth=2), seed=1)


def observations(seed=0):
    return units(PLACES * WRITES, D, seed).reshape(PLACES, WRITES, D)


def test_a_chain_of_writes_is_undone_to_the_last_bit(network):
    v = fixed(observations())
    theta, written = network.blank(PLACES), []
    for k in range(WRITES):
        written.append(network.write(theta, v[:, k]))
        theta = written[-1].theta
    for k in reversed(range(WRITES)):
        theta, found = network.unwrite(Written(theta, written[k].r, written[k].remainder))
        assert torch.equal(found, v[:, k])
    assert torch.equal(theta, network.blank(PLACES))


def test_without_r_it_is_not(network):
    v = fixed(observations())
    written = network.write(network.write(network.blank(PLACES), v[:, 0]).theta, v[:, 1])
    _, found = network.unwrite(written._replace(r=torch.zeros_like(written.r)))
    assert not torch.equal(found, v[:, 1])


def test_fixed_point_holds_every_float32_that_is_not_tiny():
    v = observations()
    back = floating(fixed(v))
    assert np.array_equal(back[np.abs(v) >= 2.0**-20], v[np.abs(v) >= 2.0**-20])
    assert np.abs(back - v).max() <= UNIT


def test_tokens_stay_bounded_for_ever(network):
    theta, loudest = network.blank(1), fixed(np.full((1, D), 1e3, np.float32))
    for _ in range(300):
        theta = network.write(theta, loudest).theta
    assert np.abs(floating(theta)).max() <= 16 * network.config.depth


def test_floating_point_is_undone_to_rounding_and_agrees_with_fixed_point(network):
    v = torch.from_numpy(observations()[:, 0])
    with torch.no_grad():
        theta, r = network(torch.zeros(PLACES, D), v)
        old, found = network.inverse(theta, r)
    assert torch.allclose(found, v, atol=1e-5) and torch.allclose(old, torch.zeros_like(old), atol=1e-5)
    exact = network.write(network.blank(PLACES), fixed(v.numpy()))
    assert np.allclose(floating(exact.theta), theta, atol=1e-4)


def test_a_network_is_the_same_for_the_same_seed_and_leaves_the_callers_dice_alone():
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    one, other = (Reversible(ReversibleConfig(D, depth=1), seed=4) for _ in range(2))
    assert torch.equal(before, torch.random.get_rng_state())
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))
    with pytest.raises(ValueError, match="60 numbers"):
        Reversible(ReversibleConfig(60))


def test_training_makes_the_last_write_readable_and_the_cycle_tighter():
    dice = torch.Generator().manual_seed(0)

    def sample(places, writes):
        return torch.nn.functional.normalize(torch.randn(places, writes, D, generator=dice), dim=-1)

    config, held_out = TrainingConfig(steps=100, writes=(2,), cycle=0.1), sample(64, 2)
    network, untrained = (Reversible(ReversibleConfig(D, depth=2), seed=1) for _ in range(2))
    reader = train(network, sample, config)
    with torch.no_grad():
        first = loss(untrained, Reader(D), held_out, 0.0)
        assert loss(network, reader, held_out, 0.0) < first - 0.2
        cycles = [
            cycle_loss(net, read, tokens(net, held_out), held_out)
            for net, read in ((network, reader), (untrained, Reader(D)))
        ]
        assert cycles[0] < cycles[1]
