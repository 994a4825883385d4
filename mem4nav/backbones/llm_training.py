# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""LoRA fine-tuning of a local language model on gold action sequences (Hu et al., ICLR 2022).

A demonstration is one text, the transcript that the agent would have written; only the tokens of its actions, and of
the line's end after them, are learnt. All steps of a walk are learnt in one pass.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from detection.learning.processes import is_first_process
from mem4nav.backbones.llm import PromptLimits, Transcript, seen_and_remembered
from mem4nav.backbones.llm_local import context_tokens, load_language_model
from mem4nav.backbones.remembering import Remembering
from mem4nav.backbones.training import TrainingConfig, train
from mem4nav.demonstration import Demonstration
from mem4nav.environment import Action
from mem4nav.errors import BackboneError

logger = logging.getLogger(__name__)

UNLEARNT = -100


@dataclass(frozen=True, slots=True)
class LoraConfig:
    """Size of the adapter.

    Attributes:
        rank: of the two matrices that are added to each linear layer.
        alpha: their product is scaled by alpha / rank.
        dropout: on what goes into them.
    """

    rank: int = 8
    alpha: float = 16.0
    dropout: float = 0.05


def transcripts(
    demonstrations: Iterable[Demonstration],
    remembering: Remembering,
    actions: tuple[Action, ...],
    limits: PromptLimits,
) -> list[Transcript]:
    """The finished transcript of each demonstration, with what memory returned along it."""
    written = []
    for demonstration in demonstrations:
        if not demonstration.remembers:
            remembering.forget()
        remembering.begin(demonstration.instruction)
        transcript = Transcript(demonstration.instruction, actions, limits)
        for observation, action in zip(demonstration.observations, demonstration.actions, strict=True):
            transcript.see(seen_and_remembered(observation, remembering.step(observation)))
            transcript.do(action)
        written.append(transcript)
    return written


def fine_tune(
    folder: Path,
    written: list[Transcript],
    adapter: Path,
    config: TrainingConfig,
    lora: LoraConfig = LoraConfig(),
    device: str | None = None,
) -> list[float]:
    """Train a LoRA adapter for the model in ``folder`` and leave it in the folder ``adapter``; the loss of each step.

    A training that was broken off goes on from adapter/checkpoint.safetensors.

    Raises:
        BackboneError: where peft is missing, the model cannot be loaded, or training fails.
    """
    tokenizer, model = load_language_model(folder)
    torch.manual_seed(config.seed)
    tuned = _with_lora(model, lora)
    examples = [tokens for t in written if (tokens := tokens_of(t, tokenizer, context_tokens(model.config)))]
    losses = train(_NextAction(tuned), examples, config, adapter / "checkpoint.safetensors", device)
    if is_first_process():
        tuned.save_pretrained(str(adapter), safe_serialization=True)
    return losses


def tokens_of(transcript: Transcript, tokenizer: Any, most: int) -> tuple[list[int], list[int]] | None:
    """Token ids of the transcript and, of the same length, what is to be learnt; None where nothing is left to learn.

    What exceeds ``most`` tokens loses its end: the beginning holds the instruction.
    """
    if not tokenizer.is_fast:
        raise BackboneError("fine-tuning needs a fast tokenizer, which tells where in the text a token lies")
    text, said = "", []
    for piece, learnt in transcript.pieces():
        if learnt:
            said.append((len(text), len(text) + len(piece) + 1))
        text += piece
    read = tokenizer(text, return_offsets_mapping=True)
    ids, spans = read["input_ids"][:most], read["offset_mapping"][:most]
    inside = [any(start < until and end > since for since, until in said) for start, end in spans]
    labels = [token if learnt else UNLEARNT for token, learnt in zip(ids, inside, strict=True)]
    return (ids, labels) if any(inside) else None


class _NextAction(nn.Module):
    """Cross entropy of the actions' tokens, averaged over each transcript."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, examples: list[tuple[list[int], list[int]]]) -> torch.Tensor:
        device = next(self.model.parameters()).device
        ids, labels = (
            nn.utils.rnn.pad_sequence(
                [torch.tensor(example[part]) for example in examples], batch_first=True, padding_value=padding
            ).to(device)
            for part, padding in ((0, 0), (1, UNLEARNT))
        )
        logits = self.model(input_ids=ids).logits[:, :-1].float()
        losses = nn.functional.cross_entropy(
            logits.transpose(1, 2), labels[:, 1:], ignore_index=UNLEARNT, reduction="none"
        )
        return losses.sum(dim=1) / (labels[:, 1:] != UNLEARNT).sum(dim=1).clamp_min(1)


def _with_lora(model: nn.Module, lora: LoraConfig) -> Any:
    try:
        from peft import LoraConfig as PeftConfig
        from peft import get_peft_model
    except ImportError as error:
        raise BackboneError("LoRA fine-tuning needs peft: pip install peft") from error
    return get_peft_model(
        model,  # pyright: ignore[reportArgumentType]
        PeftConfig(
            r=lora.rank,
            lora_alpha=int(lora.alpha),
            lora_dropout=lora.dropout,
            target_modules="all-linear",
            task_type="CAUSAL_LM",
        ),
    )
