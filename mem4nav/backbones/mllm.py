# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""The mllm backbone: a language model that looks at what the agent sees and remembers names the next action."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save

from mem4nav.agent import Decision
from mem4nav.backbones.llm_local import context_tokens, load_language_model
from mem4nav.backbones.mllm_features import ObservationFeatures, row_width
from mem4nav.backbones.mllm_network import ACTIONS, Mllm, MllmConfig
from mem4nav.backbones.mllm_walks import begin_walk, together
from mem4nav.backbones.remembering import Remembering
from mem4nav.environment import Action, Observation
from mem4nav.errors import BackboneError
from slam.files import write_bytes, write_text


@dataclass(frozen=True, slots=True)
class MllmModel:
    """A network with the tokenizer of its language model.

    Attributes:
        network: see mllm_network.
        tokenizer: of transformers.
        language: folder that the language model came from.
    """

    network: Mllm
    tokenizer: Any
    language: Path

    @property
    def most_tokens(self) -> int:
        """How many tokens the language model reads at once."""
        return context_tokens(self.network.language.config)

    def save(self, folder: Path) -> None:
        """Write mllm.json, mllm.safetensors and, if it was learnt too, language/; a frozen one is only named."""
        folder, learnt = Path(folder), not self.network.config.freeze_language
        if learnt:
            self.network.language.save_pretrained(folder / "language")
            self.tokenizer.save_pretrained(folder / "language")
        state = self.network.state_dict()
        own = {name: t.detach().cpu().contiguous() for name, t in state.items() if not name.startswith("language.")}
        write_bytes(folder / "mllm.safetensors", save(own))
        language = "language" if learnt else str(self.language.resolve())
        said = {"language": language, "dimension": self.network.dimension, "config": asdict(self.network.config)}
        write_text(folder / "mllm.json", json.dumps(said, indent=1) + "\n")


def new_mllm(language: Path, dimension: int, config: MllmConfig, seed: int = 0) -> MllmModel:
    """Around the causal language model in the folder ``language``, with everything else at random.

    Args:
        language: a folder of transformers, published or made by new_language_model.
        dimension: D, numbers in an embedding of the memory.
        config: sizes.
        seed: of the random weights.

    Raises:
        BackboneError: where the folder holds no model, or sizes do not fit.
    """
    tokenizer, model = load_language_model(language)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = Mllm(model, row_width(dimension), dimension, config)
    return MllmModel(network, tokenizer, Path(language))


def load_mllm(folder: Path) -> MllmModel:
    """What MllmModel.save wrote.

    Raises:
        BackboneError: where the folder holds none, or parts that do not fit together.
    """
    folder = Path(folder)
    try:
        said = json.loads((folder / "mllm.json").read_text(encoding="utf-8"))
        made = new_mllm(folder / said["language"], said["dimension"], MllmConfig(**said["config"]))
        own = load_file(folder / "mllm.safetensors")
        missing, unexpected = made.network.load_state_dict(own, strict=False)
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
        raise BackboneError(f"{folder} holds no mllm that can be read: {str(error).splitlines()[0]}") from error
    if unexpected or any(not name.startswith("language.") for name in missing):
        raise BackboneError(
            f"{folder}/mllm.safetensors is of another network: {(missing + unexpected)[0]} does not fit"
        )
    return made


class MllmAgent:
    """An agent whose actions the network names.

    Args:
        model: trained or loaded.
        remembering: the memory, in any mode, and what it is asked.
        features: rows of what is seen.
        actions: what the agent may do.
        device: "cpu", "cuda"; None: a GPU where there is one.
    """

    def __init__(
        self,
        model: MllmModel,
        remembering: Remembering,
        features: ObservationFeatures,
        actions: Sequence[Action] = ACTIONS,
        device: str | None = None,
    ) -> None:
        self._device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self._model, self._network = model, model.network.to(self._device).eval()
        self._remembering, self._features = remembering, features
        self._barred = torch.tensor([action not in actions for action in ACTIONS], device=self._device)
        self._walk = begin_walk("", model.tokenizer, model.most_tokens)

    def begin(self, instruction: str, first: Observation) -> None:
        """Take a new instruction."""
        self._walk = begin_walk(instruction, self._model.tokenizer, self._model.most_tokens)
        self._remembering.begin(instruction)

    @torch.inference_mode()
    def act(self, observation: Observation) -> Decision:
        """The likeliest action, and its probability."""
        memories = self._remembering.step(observation)
        self._walk.see(observation, memories, self._features)
        logits = self._network(together([self._walk], self._device))[0, -1]
        probabilities = logits.masked_fill(self._barred, -torch.inf).softmax(dim=0)
        action = ACTIONS[int(probabilities.argmax())]
        self._walk.do(action)
        return Decision(action, confidence=float(probabilities.max()), recalled=tuple(m.hit.label for m in memories))

    def forget(self) -> None:
        """Empty the memory."""
        self._remembering.forget()
