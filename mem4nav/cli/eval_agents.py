# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Agents from their description, so that every process of a run can build its own."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import mem4nav.modular
from mem4nav.agent import Agent
from mem4nav.cli.eval import AgentOptions, Habitat
from mem4nav.environment import Action
from mem4nav.errors import UsageError
from mem4nav.memory import MemoryConfig, MemoryMode, open_memory

if TYPE_CHECKING:
    from mem4nav.backbones.remembering import Remembering
    from mem4nav.modular.model import ModularModel

WEIGHTS = Path(mem4nav.modular.__file__).parent / "weights"

DIMENSION = 256
"""Of the embeddings of the llm and mllm backbones' memory."""


@dataclass(frozen=True, slots=True)
class AgentRecipe:
    """What the options say of the agent; see there."""

    benchmark: str
    backbone: str
    memory: MemoryMode
    checkpoint: Path | None
    model: str
    model_name: str
    seed: int
    turn_around: bool = True
    length_prior: bool = True
    lost_below: float = 0.0

    def build(self) -> Agent:
        """The agent, with an empty memory.

        Raises:
            Mem4NavError: where its weights or its model cannot be had.
        """
        return {"modular": _modular, "llm": _llm, "mllm": _mllm}[self.backbone](self)

    def describe(self) -> dict[str, Any]:
        """For metrics.json: which agent, and what it learnt from."""
        said = asdict(self) | {"memory": self.memory.value, "checkpoint": self.checkpoint and str(self.checkpoint)}
        return said | (_learnt(self) if self.backbone == "modular" else {})

    @property
    def actions(self) -> tuple[Action, ...]:
        """What the agent may do."""
        return tuple(action for action in Action if self.turn_around or action is not Action.TURN_AROUND)


def recipe_of(options: AgentOptions | Habitat, benchmark: str) -> AgentRecipe:
    """The agent that a command line asks for."""
    asked = AgentRecipe(
        benchmark=benchmark,
        backbone=options.backbone,
        memory=MemoryMode(options.memory),
        checkpoint=options.checkpoint,
        model=options.model,
        model_name=options.model_name,
        seed=options.seed,
    )
    if isinstance(options, Habitat):
        return asked
    return replace(
        asked,
        turn_around=not options.no_turn_around,
        length_prior=not options.no_length_prior,
        lost_below=options.lost_below,
    )


def remembering(memory: MemoryMode) -> Remembering:
    """The memory of the llm and mllm backbones."""
    from mem4nav.backbones.hashed_words import HashedWords
    from mem4nav.backbones.remembering import Remembering

    return Remembering(open_memory(memory, MemoryConfig(dimension=DIMENSION)), HashedWords(DIMENSION))


def _modular(recipe: AgentRecipe) -> Agent:
    from mem4nav.modular.agent import ModularAgent
    from mem4nav.modular.recollection import MEMORY

    model = _modular_model(recipe)
    memory = open_memory(recipe.memory, MEMORY)
    return ModularAgent(model, memory, turn_around=recipe.turn_around, lost_below=recipe.lost_below)


def _learnt(recipe: AgentRecipe) -> dict[str, Any]:
    settings = _modular_model(recipe).settings
    return {
        "checkpoint": str(recipe.checkpoint or f"shipped: {shipped_weights(recipe).name}"),
        "training_data": settings.trained_on,
        "trained_with_memory": settings.memory,
        "trained_with_seed": settings.seed,
        "length_prior": settings.length_prior,
    }


def _modular_model(recipe: AgentRecipe) -> ModularModel:
    from mem4nav.modular.model import load_model

    model = load_model(recipe.checkpoint or shipped_weights(recipe))
    if model.settings.length_prior and not recipe.length_prior:
        raise UsageError(f"--no-length-prior: {recipe.checkpoint} was trained with it; train one without")
    return model


def shipped_weights(recipe: AgentRecipe) -> Path:
    """The weights that come with the package for a benchmark: those for this memory, else those for the whole one.

    Raises:
        UsageError: where none ship.
    """
    stem = recipe.benchmark if recipe.length_prior else f"{recipe.benchmark}-no-length-prior"
    for name in (f"{stem}-{recipe.memory.value}", stem):
        path = WEIGHTS / f"{name}.safetensors"
        if path.exists():
            return path
    raise UsageError(
        f"no weights of {stem} ship: train them with `mem4nav train {recipe.benchmark}`, then --checkpoint"
    )


def _llm(recipe: AgentRecipe) -> Agent:
    from mem4nav.backbones.endpoint import Endpoint, EndpointConfig
    from mem4nav.backbones.llm import LanguageAgent
    from mem4nav.backbones.llm_local import LocalModel

    if recipe.model.startswith(("http://", "https://")):
        model = Endpoint(EndpointConfig(recipe.model, recipe.model_name))
    else:
        model = LocalModel(Path(recipe.model), recipe.checkpoint)
    return LanguageAgent(model, remembering(recipe.memory), recipe.actions)


def _mllm(recipe: AgentRecipe) -> Agent:
    from mem4nav.backbones.hashed_words import HashedWords
    from mem4nav.backbones.mllm import MllmAgent, load_mllm
    from mem4nav.backbones.mllm_features import ObservationFeatures

    assert recipe.checkpoint is not None
    model = load_mllm(recipe.checkpoint)
    return MllmAgent(model, remembering(recipe.memory), ObservationFeatures(HashedWords(DIMENSION)), recipe.actions)
