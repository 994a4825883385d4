# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""The mllm backbone learns to follow: words of the instruction, junctions that it sees, and what memory tells."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("tokenizers")

import torch

from mem4nav.backbones.hashed_words import HashedWords
from mem4nav.backbones.mllm import MllmAgent, MllmModel, load_mllm, new_mllm
from mem4nav.backbones.mllm_features import ObservationFeatures
from mem4nav.backbones.mllm_language import LanguageSize, new_language_model
from mem4nav.backbones.mllm_network import MllmConfig
from mem4nav.backbones.mllm_training import MllmTraining, train_mllm
from mem4nav.backbones.mllm_walks import Walk, together, walks_of
from mem4nav.backbones.remembering import Remembering
from mem4nav.backbones.training import TrainingConfig
from mem4nav.demonstration import Demonstration
from mem4nav.environment import Action
from mem4nav.errors import BackboneError
from mem4nav.memory import MemoryConfig, MemoryMode, open_memory
from tiny_language_models import save_tiny_model
from walked_streets import on_street, sighting

DIMENSION = 32
ENCODER = HashedWords(DIMENSION)
FEATURES = ObservationFeatures(ENCODER)
SMALL = MllmConfig(width=32, latents=2, window=2, every=1, heads=4, token_depth=2)
INSTRUCTIONS = {
    "left": "Turn left at the second junction.",
    "right": "Turn right at the second junction.",
    "bank": "At the second junction turn to the bank.",
}


def errand(seed: int) -> list[Demonstration]:
    """A bank is seen down a street; then the street is walked to its second junction, and no bank is seen."""
    rng = np.random.default_rng(seed)
    junctions = sorted(rng.choice(np.arange(1, 6), size=2, replace=False).tolist())
    side = ("left", "right")[rng.integers(2)]
    east, north = -20.0 if side == "left" else 20.0, 10.0 * junctions[1]
    bank = sighting("First", "bank", np.degrees(np.arctan2(east, north)), np.hypot(east, north))
    asked = ("left", "right", "bank")[rng.integers(3)]
    turn = side if asked == "bank" else asked
    tour = [on_street(10.0 * at, *([bank] if at == 0 else [])) for at in range(2)]
    street = [on_street(10.0 * at, junction=at in junctions) for at in range(junctions[1] + 1)]
    turned = on_street(10.0 * junctions[1], junction=True, heading_deg=270.0 if turn == "left" else 90.0)
    done = [Action.FORWARD] * junctions[1] + [Action(turn), Action.STOP]
    return [
        Demonstration("Look round.", tuple(tour), (Action.FORWARD, Action.STOP)),
        Demonstration(INSTRUCTIONS[asked], (*street, turned), tuple(done), remembers=True),
    ]


def remembering(mode: MemoryMode = MemoryMode.FULL) -> Remembering:
    return Remembering(open_memory(mode, MemoryConfig(dimension=DIMENSION)), ENCODER)


def walks(model: MllmModel, seeds: range, mode: MemoryMode = MemoryMode.FULL) -> list[Walk]:
    """The second walks, in the memory of the first."""
    demonstrations = [demonstration for seed in seeds for demonstration in errand(seed)]
    every = list(walks_of(demonstrations, remembering(mode), FEATURES, model.tokenizer, model.most_tokens))
    return every[1::2]


def agent_of(model: MllmModel, mode: MemoryMode) -> MllmAgent:
    return MllmAgent(model, remembering(mode), FEATURES, device="cpu")


def follows(agent: MllmAgent, demonstrations: list[Demonstration]) -> bool:
    """Whether the agent does what was done on the last of the walks, having walked those before it."""
    agent.forget()
    for demonstration in demonstrations:
        agent.begin(demonstration.instruction, demonstration.observations[0])
        done = tuple(agent.act(observation).action for observation in demonstration.observations)
    return done == demonstrations[-1].actions


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def language(tmp_path_factory) -> Path:
    size = LanguageSize(width=32, layers=2, heads=4, words=400, positions=128)
    return new_language_model(tmp_path_factory.mktemp("language"), INSTRUCTIONS.values(), size, seed=0)


@pytest.fixture(scope="module")
def trained(language, tmp_path_factory):
    """A model, its losses by phase, and its folder."""
    folder = tmp_path_factory.mktemp("trained")
    model = new_mllm(language, DIMENSION, SMALL)
    config = TrainingConfig(epochs=2, batch=16, learning_rate=3e-3)
    training = MllmTraining(config, config, replace(config, epochs=14))
    return model, train_mllm(model, walks(model, range(160)), training, folder, "cpu"), folder


def test_every_phase_learns(trained):
    _, losses, _ = trained
    assert list(losses) == ["reconstruction", "cycle", "imitation"]
    for phase, most in (("reconstruction", 0.8), ("cycle", 0.8), ("imitation", 0.2)):
        assert np.mean(losses[phase][-5:]) < most * np.mean(losses[phase][:3]), phase


def test_streets_that_were_never_seen_are_followed_by_words_and_memory(trained):
    model, _, _ = trained
    errands = [errand(seed) for seed in range(1000, 1040)]
    by_memory = [e for e in errands if e[-1].instruction == INSTRUCTIONS["bank"]]
    with_memory, without = (agent_of(model, mode) for mode in (MemoryMode.FULL, MemoryMode.NONE))
    assert np.mean([follows(with_memory, e) for e in errands]) >= 0.9
    assert len(by_memory) >= 10
    assert np.mean([follows(with_memory, e) for e in by_memory]) >= 0.9
    assert np.mean([follows(without, e) for e in by_memory]) <= 0.75


@pytest.mark.parametrize("mode", list(MemoryMode))
def test_a_memory_of_any_mode_fits(trained, mode):
    agent = agent_of(trained[0], mode)
    first = on_street(0.0, sighting("First", "bank", 270.0))
    agent.begin("Turn to the bank.", first)
    decisions = [agent.act(first), agent.act(on_street(10.0))]
    assert all(decision.action in tuple(Action) and 0.2 <= decision.confidence <= 1.0 for decision in decisions)
    assert (decisions[1].recalled == ("First, bank",)) == (mode not in (MemoryMode.NONE, MemoryMode.NO_LTM))


def test_a_step_is_decided_alike_alone_and_beside_others(trained):
    model = trained[0]
    several = walks(model, range(2000, 2003))
    with torch.no_grad():
        beside = model.network(together(several, torch.device("cpu")))
        for walk, logits in zip(several, beside, strict=True):
            for steps in range(1, len(walk.seen) + 1):
                cut = replace(
                    walk, seen=walk.seen[:steps], remembered=walk.remembered[:steps], done=walk.done[: steps - 1]
                )
                alone = model.network(together([cut], torch.device("cpu")))[0, -1]
                torch.testing.assert_close(alone, logits[steps - 1], atol=1e-4, rtol=1e-4)


def test_a_saved_model_decides_as_before(trained):
    model, _, folder = trained
    again = load_mllm(folder)
    several = together(walks(model, range(3)), torch.device("cpu"))
    with torch.no_grad():
        torch.testing.assert_close(again.network(several), model.network.eval()(several))


def test_folders_without_a_model_are_told(tmp_path, trained):
    with pytest.raises(BackboneError, match="holds no mllm"):
        load_mllm(tmp_path)
    _, _, folder = trained
    (tmp_path / "mllm.json").write_text((folder / "mllm.json").read_text().replace('"width": 32', '"width": 64'))
    (tmp_path / "mllm.safetensors").write_bytes((folder / "mllm.safetensors").read_bytes())
    (tmp_path / "language").symlink_to(folder / "language")
    with pytest.raises(BackboneError, match="holds no mllm"):
        load_mllm(tmp_path)


def test_at_first_a_published_model_reads_on_as_if_nothing_were_there(tmp_path):
    for kind in ("llama", "gpt2"):
        model = new_mllm(save_tiny_model(tmp_path / kind, ["turn left"], kind=kind), DIMENSION, SMALL)
        several, others = (walks(model, range(seed, seed + 2)) for seed in (5, 5))
        for walk in others:
            walk.seen = [rows * 0.0 for rows in walk.seen]
        with torch.no_grad():
            seen, unseen = (model.network(together(w, torch.device("cpu"))) for w in (several, others))
        torch.testing.assert_close(seen, unseen)


def test_a_frozen_language_model_is_not_learnt_and_is_only_named(tmp_path, language):
    model = new_mllm(language, DIMENSION, replace(SMALL, freeze_language=True))
    before = {name: tensor.clone() for name, tensor in model.network.language.state_dict().items()}
    none, once = TrainingConfig(epochs=0), TrainingConfig(epochs=1, batch=4, learning_rate=0.01)
    train_mllm(model, walks(model, range(4)), MllmTraining(none, none, once), tmp_path, "cpu")
    after = model.network.language.state_dict()
    assert all(torch.equal(tensor, after[name]) for name, tensor in before.items())
    assert not (tmp_path / "language").exists()
    assert load_mllm(tmp_path).language == language


def test_bad_sizes_are_told(language):
    with pytest.raises(BackboneError, match="5 heads do not divide"):
        new_mllm(language, DIMENSION, replace(SMALL, heads=5))


@pytest.mark.parametrize("instruction", ["", "x" * 100_000, "向左转", "\ud800\x00"])
def test_any_instruction_can_be_followed_for_any_number_of_steps(trained, instruction):
    agent = agent_of(trained[0], MemoryMode.NONE)
    agent.begin(instruction, on_street(0.0))
    for step in range(70):
        assert agent.act(on_street(10.0 * step, *(sighting(f"Shop {n}") for n in range(30)))).action in tuple(Action)


def test_an_action_that_may_not_be_taken_is_not_taken(trained):
    agent = MllmAgent(trained[0], remembering(), FEATURES, actions=(Action.TURN_AROUND,), device="cpu")
    agent.begin("Turn left.", on_street(0.0))
    assert agent.act(on_street(0.0)).action is Action.TURN_AROUND


def test_images_are_looked_at_through_the_same_rows():
    patches = np.eye(4, DIMENSION, dtype=np.float32)
    features = ObservationFeatures(ENCODER, lambda image: patches * image.mean())
    seen = replace(on_street(0.0), image=np.full((2, 8, 3), 2, np.uint8))
    rows = features.seen(seen)
    assert len(rows) == len(FEATURES.seen(seen)) + 4
    np.testing.assert_array_equal(rows[-4:, :DIMENSION], 2.0 * patches)
    angles = np.degrees(np.arctan2(rows[-4:, DIMENSION], rows[-4:, DIMENSION + 1]))
    np.testing.assert_allclose(angles, [-135, -45, 45, 135], atol=1e-4)
