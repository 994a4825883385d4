# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""A language model from a local folder: likelihoods of the closed set, and LoRA fine-tuning on gold actions."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("tokenizers")

import torch

from mem4nav.backbones.llm import LanguageAgent, PromptLimits, Transcript
from mem4nav.backbones.llm_local import LocalModel
from mem4nav.backbones.llm_training import LoraConfig, fine_tune, tokens_of, transcripts
from mem4nav.backbones.training import TrainingConfig
from mem4nav.backbones.words import named_action
from mem4nav.environment import Action
from mem4nav.errors import BackboneError
from tiny_language_models import save_tiny_model
from walked_streets import on_street, remembering, walk

CHOICES = [action.value for action in Action]
DEMONSTRATIONS = [walk("Turn left at the bank."), walk("Turn right at the bank.", Action.RIGHT)]


def written() -> list[Transcript]:
    return transcripts(DEMONSTRATIONS, remembering(), tuple(Action), PromptLimits())


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="module", params=["llama", "gpt2"])
def folder(request, tmp_path_factory):
    return save_tiny_model(tmp_path_factory.mktemp(request.param), [t.prompt() for t in written()], kind=request.param)


def test_a_choices_likelihood_is_that_of_the_whole_line(folder):
    model = LocalModel(folder, device="cpu")
    prompt = written()[0].prompt() + "4."
    got = model.likelihoods(prompt, CHOICES)
    whole = []
    for choice in CHOICES:
        ids = torch.tensor([model._tokenizer(f"{prompt} {choice}\n")["input_ids"]])
        with torch.no_grad():
            told = torch.log_softmax(model._model(ids).logits[0, :-1], dim=-1)
        whole.append(float(told.gather(1, ids[0, 1:, None]).sum()))
    np.testing.assert_allclose(got - got[0], np.array(whole) - whole[0], atol=1e-3)


def test_an_agent_walks_with_a_local_model_and_says_how_sure_it_is(folder):
    agent = LanguageAgent(LocalModel(folder, device="cpu"), remembering())
    agent.begin("Turn left at the bank.", on_street(0.0))
    decisions = [agent.act(on_street(10.0 * step)) for step in range(3)]
    assert all(isinstance(decision.action, Action) and 0.2 <= decision.confidence <= 1.0 for decision in decisions)


def test_a_model_that_writes_freely_still_gives_a_closed_action(folder):
    model = LocalModel(folder, generate=True, device="cpu")
    assert "\n" not in model.complete("1.", CHOICES).text
    agent = LanguageAgent(model, remembering())
    agent.begin("Turn left.", on_street(0.0))
    assert agent.act(on_street(0.0)).action in tuple(Action)


def test_a_prompt_longer_than_the_model_reads_loses_its_middle(tmp_path, caplog):
    model = LocalModel(save_tiny_model(tmp_path, ["turn left"], positions=64, kind="gpt2"), device="cpu")
    assert named_action(model.complete("left or right? " * 200, CHOICES).text) is not None
    assert "its middle is left out" in caplog.text


def test_folders_that_hold_no_model_are_told(tmp_path, folder):
    with pytest.raises(BackboneError, match=r"no config\.json"):
        LocalModel(tmp_path)
    damaged = tmp_path / "damaged"
    shutil.copytree(folder, damaged)
    (damaged / "model.safetensors").write_bytes(b"\xff" * 100)
    with pytest.raises(BackboneError, match="holds no language model that can be read"):
        LocalModel(damaged)
    (damaged / "model.safetensors").unlink()
    (damaged / "pytorch_model.bin").write_bytes(b"what pickle would read")
    with pytest.raises(BackboneError, match="holds no language model that can be read"):
        LocalModel(damaged)
    (damaged / "config.json").write_text(json.dumps({"model_type": "of tomorrow"}))
    with pytest.raises(BackboneError, match="holds no language model that can be read"):
        LocalModel(damaged)


def test_no_code_of_a_models_folder_is_run(tmp_path, folder):
    hostile = tmp_path / "hostile"
    shutil.copytree(folder, hostile)
    config = json.loads((hostile / "config.json").read_text())
    config |= {"auto_map": {"AutoConfig": "code.C", "AutoModelForCausalLM": "code.M"}, "model_type": "unheard_of"}
    (hostile / "config.json").write_text(json.dumps(config))
    (hostile / "code.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    with pytest.raises(BackboneError):
        LocalModel(hostile)
    assert not (tmp_path / "ran").exists()


def test_only_the_lines_of_actions_are_learnt(folder):
    model = LocalModel(folder, device="cpu")
    ids, labels = tokens_of(written()[0], model._tokenizer, 1024)
    learnt = [token for token, label in zip(ids, labels, strict=True) if label >= 0]
    assert [label for label in labels if label >= 0] == learnt
    assert model._tokenizer.decode(learnt) == " forward\n left\n stop\n"


def test_fine_tuning_teaches_the_walk_and_the_adapter_is_found_again(tmp_path):
    pytest.importorskip("peft")
    folder = save_tiny_model(tmp_path / "model", [t.prompt() for t in written()])
    config = TrainingConfig(epochs=40, batch=2, learning_rate=0.02, save_every=10)
    losses = fine_tune(folder, written(), tmp_path / "adapter", config, LoraConfig(rank=8, dropout=0.0), "cpu")
    assert losses[-1] < 0.3 * losses[0]
    agent = LanguageAgent(LocalModel(folder, tmp_path / "adapter", device="cpu"), remembering())
    walked = []
    for demonstration in DEMONSTRATIONS:
        agent.forget()
        agent.begin(demonstration.instruction, demonstration.observations[0])
        walked.append(tuple(agent.act(observation).action for observation in demonstration.observations[:2]))
    assert [actions[0] for actions in walked] == [Action.FORWARD, Action.FORWARD]
    assert {actions[1] for actions in walked} <= {Action.LEFT, Action.RIGHT}
    with pytest.raises(BackboneError, match="no LoRA adapter"):
        LocalModel(folder, tmp_path)


def test_what_was_seen_on_an_earlier_errand_is_in_the_transcript_of_the_next():
    errands = [DEMONSTRATIONS[0], walk("Go back to the blue bakery.", remembers=True)]
    known, strange = (transcripts(e, remembering(), tuple(Action), PromptLimits())[-1] for e in (errands, errands[1:]))
    assert known.prompt().count("Past memory") == 3
    assert strange.prompt().count("Past memory") == 2
