# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""The three phases in which the mllm backbone learns.

1. Reconstruction: most numbers of the seen rows' embeddings are hidden; latents made from the rest must tell what
   stands where (a masked autoencoder over one observation).
2. Cycle consistency: what was written into a place's token must come back from it, without the residue r.
3. Imitation: cross entropy of the demonstrated actions + 0.1 times the cycle loss, all weights together.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn

from detection.learning.processes import is_first_process
from mem4nav.backbones.mllm import MllmModel
from mem4nav.backbones.mllm_network import Attention, Mllm, Walks
from mem4nav.backbones.mllm_walks import Walk, together
from mem4nav.backbones.training import TrainingConfig, train

logger = logging.getLogger(__name__)

HIDDEN_SHARE = 0.75


@dataclass(frozen=True, slots=True)
class MllmTraining:
    """How each phase is trained.

    Attributes:
        reconstruction: phase 1; 0 epochs leave it out.
        cycle: phase 2; likewise.
        imitation: phase 3.
        cycle_weight: of the cycle loss in phase 3.
    """

    reconstruction: TrainingConfig = field(default_factory=lambda: TrainingConfig(epochs=10))
    cycle: TrainingConfig = field(default_factory=lambda: TrainingConfig(epochs=5))
    imitation: TrainingConfig = field(default_factory=lambda: TrainingConfig(epochs=30))
    cycle_weight: float = 0.1


def train_mllm(
    model: MllmModel, walks: Sequence[Walk], training: MllmTraining, folder: Path, device: str | None = None
) -> dict[str, list[float]]:
    """Run the phases one after the other and save the model in ``folder``; the loss of each step of each phase.

    A training that was broken off goes on where its last checkpoint in ``folder`` stands.

    Raises:
        BackboneError: where training fails; see training.train.
    """
    phases: dict[str, tuple[nn.Module, TrainingConfig]] = {
        "reconstruction": (Reconstruction(model.network), training.reconstruction),
        "cycle": (CycleConsistency(model.network), training.cycle),
        "imitation": (Imitation(model.network, training.cycle_weight), training.imitation),
    }
    losses = {}
    for phase, (objective, config) in phases.items():
        if config.epochs:
            logger.info("%s: %d walks, %d epochs", phase, len(walks), config.epochs)
            losses[phase] = train(objective, walks, config, Path(folder) / f"{phase}.safetensors", device)
    if is_first_process():
        model.save(folder)
    return losses


class _OnWalks(nn.Module):
    """Losses of the network on walks side by side."""

    def __init__(self, network: Mllm) -> None:
        super().__init__()
        self.network = network

    def forward(self, walks: list[Walk]) -> Tensor:
        return self.losses(together(walks, self.network.age.device))

    def losses(self, walks: Walks) -> Tensor:
        """(B,) one loss for each walk."""
        raise NotImplementedError


class Reconstruction(_OnWalks):
    """Latents of rows with most of their embeddings hidden must tell the embeddings, asked by geometry and kind."""

    def __init__(self, network: Mllm) -> None:
        super().__init__(network)
        width, asked = network.config.width, network.features - network.dimension
        self.ask = nn.Linear(asked, width)
        self.look = Attention(width, width, network.config.heads)
        self.tell = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, network.dimension))

    def losses(self, walks: Walks) -> Tensor:
        rows, is_row = walks.seen.flatten(0, 1), walks.is_seen.flatten(0, 1)
        embedding, geometry = rows.split([self.network.dimension, rows.shape[-1] - self.network.dimension], dim=-1)
        shown = torch.rand_like(embedding) >= HIDDEN_SHARE
        latents = self.network.resampler(torch.cat([embedding * shown, geometry], dim=-1), is_row)
        asked = self.ask(geometry)
        everything = torch.zeros(1, 1, 1, latents.shape[1], device=latents.device)
        told = self.tell(asked + self.look(asked, latents, everything))
        wrong = (told - embedding).square().sum(dim=-1)
        return mean_where(wrong.view(walks.is_seen.shape), walks.is_seen)


class CycleConsistency(_OnWalks):
    """Remembered and seen embeddings, written into empty places, must come back from the tokens alone."""

    def losses(self, walks: Walks) -> Tensor:
        v = torch.cat([walks.seen, walks.remembered], dim=2)[..., : self.network.dimension]
        there = torch.cat([walks.is_seen, walks.is_remembered], dim=2) & v.any(dim=-1)
        written, which = torch.unique(v[there], dim=0, return_inverse=True)
        recovered = self.network.recover(self.network.write(written)[0])
        wrong = torch.zeros(there.shape, device=v.device)
        wrong[there] = (recovered - written).square().sum(dim=-1).float()[which]
        return mean_where(wrong, there)


class Imitation(_OnWalks):
    """Cross entropy of the demonstrated actions, and the cycle loss of what was remembered on the way."""

    def __init__(self, network: Mllm, cycle_weight: float) -> None:
        super().__init__(network)
        self.cycle_weight = cycle_weight
        self.cycle = CycleConsistency(network)

    def losses(self, walks: Walks) -> Tensor:
        taken = walks.done >= 0
        logits = self.network(walks).transpose(1, 2)
        wrong = nn.functional.cross_entropy(logits, walks.done.clamp_min(0), reduction="none")
        losses = mean_where(wrong, taken)
        return losses + self.cycle_weight * self.cycle.losses(walks) if self.cycle_weight else losses


def mean_where(values: Tensor, there: Tensor) -> Tensor:
    """(B,) mean of each walk's values that are there; 0 where none is."""
    there = there.flatten(1)
    return (values.flatten(1) * there).sum(dim=1) / there.sum(dim=1).clamp_min(1)
