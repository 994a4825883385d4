# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Reversible tokens are undone exactly in fixed point, stay bounded, and learn to be read."""

import numpy as np
import pytest

from mem4nav.errors import MemoryInputError
from mem4nav.memory import MemoryConfig, load_memory, open_memory
from mem4nav.memory.store import TOKENS
from memory_worlds import at, units

torch = pytest.importorskip("torch", reason="reversible tokens need torch (extra nav)")

from mem4nav.memory.reversible import UNIT, Reversible, ReversibleConfig, Written, fixed, floating, turned  # noqa: E402
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


def test_training_makes_the_last_writes_readable_and_the_cycle_tighter():
    dice = torch.Generator().manual_seed(0)

    def sample(places, writes):
        return torch.nn.functional.normalize(torch.randn(places, writes, D, generator=dice), dim=-1)

    config, held_out = TrainingConfig(steps=100, writes=(3,), cycle=0.1), sample(64, 3)
    network, untrained = (Reversible(ReversibleConfig(D, depth=2), seed=1) for _ in range(2))
    readers = train(network, sample, config), train(untrained.requires_grad_(False), sample, config)
    with torch.no_grad():
        lost, lost_untrained = (
            loss(net, read, held_out, 0.0, torch.Generator().manual_seed(1))
            for net, read in zip((network, untrained), readers, strict=True)
        )
        assert lost < lost_untrained - 0.1
        cycle, cycle_blank = (
            cycle_loss(net, read, tokens(net, held_out), held_out)
            for net, read in ((network, readers[0]), (untrained, Reader(D)))
        )
        assert cycle < cycle_blank


def test_a_reader_knows_where_a_token_was_turned_to(network):
    """The token of one write, turned by later ones, reads like the token itself."""
    theta, reader = torch.randn(4, D, generator=torch.Generator().manual_seed(2)), Reader(D)
    with torch.no_grad():
        reader.age.weight.zero_()
        now = reader(theta, torch.ones(4, dtype=torch.long))
        later = reader(turned(theta, 5), torch.full((4,), 6))
    assert torch.equal(now, later)


# tokens of places


def folded(network, vectors):
    theta = network.blank(1)
    for v in vectors:
        theta = network.write(theta, fixed(v[None])).theta
    return floating(theta)[0]


def seen_twice(folder=None):
    """Two leaves by turns, both seen from node 0."""
    v = observations()[0]
    memory = open_memory(config=MemoryConfig(dimension=D), folder=folder)
    memory.visit(at(0.0), v[0])
    for k in range(6):
        memory.write(at(5.0 * (k % 2)), v[k])
    return memory, v


def test_the_token_of_a_leaf_or_node_is_its_journal_folded_in_order(network):
    memory, v = seen_twice()
    memory.tokens.use(network)
    for _ in range(2):  # the second time from what was kept
        assert np.array_equal(memory.token(at(5.0)), folded(network, v[[1, 3, 5]]))
        assert np.array_equal(memory.token(0), folded(network, v[:6]))
    memory.write(at(5.0), v[9])
    assert np.array_equal(memory.token(at(5.0)), folded(network, v[[1, 3, 5, 9]]))
    memory.forget([3])
    assert np.array_equal(memory.token(at(5.0)), folded(network, v[[1, 5, 9]]))
    assert not memory.token(at(99.0)).any()


def test_a_token_follows_the_network_that_is_used(network):
    memory, v = seen_twice()
    untrained = folded(Reversible(ReversibleConfig(D)), v[:6])
    assert np.array_equal(memory.token(0), untrained)
    memory.tokens.use(network)
    assert np.array_equal(memory.token(0), folded(network, v[:6]))


def test_tokens_are_stored_and_come_back_without_folding(network, tmp_path):
    memory, v = seen_twice(tmp_path)
    memory.tokens.use(network)
    token = memory.token(at(5.0))
    memory.save(tmp_path / "copy")
    memory.close()
    for folder in (tmp_path, tmp_path / "copy"):
        with load_memory(folder) as loaded:
            loaded.tokens.use(network)
            loaded.observations.vectors.erase(np.array([1, 3, 5]))  # folding again would find nothing
            assert np.array_equal(loaded.token(at(5.0)), token)
    with load_memory(tmp_path) as loaded:  # another network's are not used
        assert np.array_equal(loaded.token(at(5.0)), folded(Reversible(ReversibleConfig(D)), v[[1, 3, 5]]))


@pytest.mark.parametrize("harm", ["changed", "forgotten"])
def test_stored_tokens_that_do_not_fit_are_folded_anew(network, tmp_path, harm):
    memory, v = seen_twice(tmp_path)
    memory.tokens.use(network)
    memory.token(at(5.0))
    memory.close()
    path = tmp_path / TOKENS
    if harm == "changed":
        path.write_bytes(path.read_bytes()[:-8] + bytes(8))
    with load_memory(tmp_path) as loaded:
        loaded.tokens.use(network)
        if harm == "forgotten":
            loaded.forget([3])
            assert not path.exists()
        left = [1, 3, 5] if harm == "changed" else [1, 5]
        assert np.array_equal(loaded.token(at(5.0)), folded(network, v[left]))


def test_embeddings_that_make_no_token_are_told():
    memory = open_memory(config=MemoryConfig(dimension=60))
    with pytest.raises(MemoryInputError, match="60 numbers"):
        memory.token(0)
