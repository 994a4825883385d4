# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""The mllm backbone's network: a causal language model that looks at what the agent sees and remembers.

The model reads the instruction and then one slot for each step, which holds the action before it. Before every n-th of
its layers the slots, and they alone, attend to latents of the last few observations (a Perceiver resampler makes them)
with memory tokens appended (strided cross-attention: Flamingo, Alayrac et al., NeurIPS 2022; FLAME, Xu et al., AAAI
2025). A slot never sees what comes after it, so that all steps of a walk are learnt in one pass.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from mem4nav.environment import Action
from mem4nav.errors import BackboneError
from mem4nav.memory.reversible import Reversible, ReversibleConfig

ACTIONS = tuple(Action)


@dataclass(frozen=True, slots=True)
class MllmConfig:
    """Size of what is added to the language model.

    Attributes:
        width: of latents and memory tokens.
        latents: of one observation.
        window: a slot sees the latents of so many observations, the newest with it.
        every: the slots look before each n-th layer of the language model, the first with it.
        heads: of attention.
        token_depth: blocks of the reversible network.
        freeze_language: the language model's own weights are not learnt.
    """

    width: int = 64
    latents: int = 4
    window: int = 4
    every: int = 2
    heads: int = 4
    token_depth: int = 6
    freeze_language: bool = False


@dataclass(frozen=True, slots=True)
class Walks:
    """B walks of at most T steps.

    Attributes:
        instructions: token ids of each.
        seen: (B, T, K, F) rows of what was seen, see mllm_features.
        is_seen: (B, T, K) which of them are rows and not padding.
        remembered: (B, T, M, F) rows of what memory returned.
        is_remembered: (B, T, M).
        done: (B, T) index of the action taken at each step; -1 where it is not known or there is no such step.
    """

    instructions: Sequence[Tensor]
    seen: Tensor
    is_seen: Tensor
    remembered: Tensor
    is_remembered: Tensor
    done: Tensor


class Attention(nn.Module):
    """Queries of one width look at keys of another."""

    def __init__(self, width: int, looked_at: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, width, bias=False)
        self.key_value = nn.Linear(looked_at, 2 * width, bias=False)
        self.out = nn.Linear(width, width, bias=False)

    def forward(self, x: Tensor, context: Tensor, bias: Tensor) -> Tensor:
        """(B, N, width) from x (B, N, width) and context (B, S, looked_at); bias (B, 1 or heads, N or 1, S)."""
        q, k, v = (
            part.unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for part in (self.query(x), *self.key_value(context).chunk(2, dim=-1))
        )
        seen = scaled_dot_product_attention(q, k, v, attn_mask=bias.to(q.dtype))
        return self.out(seen.transpose(1, 2).flatten(-2))


def mlp(width: int) -> nn.Sequential:
    """Two layers, four times as wide between them."""
    return nn.Sequential(
        nn.LayerNorm(width), nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width, bias=False)
    )


class Resampler(nn.Module):
    """Any number of rows to a fixed number of latents (Perceiver, Jaegle et al., ICML 2021)."""

    def __init__(self, features: int, config: MllmConfig) -> None:
        super().__init__()
        self.rows = nn.Sequential(nn.Linear(features, config.width), nn.LayerNorm(config.width))
        self.latents = nn.Parameter(torch.randn(config.latents, config.width) * 0.5)
        self.norm = nn.LayerNorm(config.width)
        self.look = Attention(config.width, config.width, config.heads)
        self.mlp = mlp(config.width)

    def forward(self, rows: Tensor, is_row: Tensor) -> Tensor:
        """(N, latents, width) from rows (N, K, F), those of which ``is_row`` (N, K) is false left out."""
        latents = self.latents.expand(len(rows), -1, -1)
        context = self.rows(rows)
        latents = latents + self.look(self.norm(latents), context, _bias(is_row)[:, None, None])
        return latents + self.mlp(latents)


class CrossAttention(nn.Module):
    """Slots look at latents and memory.

    What is added begins at 0, so that a published language model begins as what it was: by output layers of zeros, not
    by Flamingo's scalar gates, behind which a small network learnt more slowly.
    """

    def __init__(self, hidden: int, config: MllmConfig) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(hidden)
        self.look = Attention(hidden, config.width, config.heads)
        self.mlp = mlp(hidden)
        for part in (self.look, self.mlp):
            nn.init.zeros_(list(part.parameters())[-1])

    def forward(self, slots: Tensor, context: Tensor, bias: Tensor) -> Tensor:
        slots = slots + self.look(self.norm(slots), context, bias)
        return slots + self.mlp(slots)


@dataclass(slots=True)
class _View:
    """What the slots of the walks that are being read look at, and where in the text they are."""

    at: Tensor
    context: Tensor
    bias: Tensor


class Mllm(nn.Module):
    """The language model with cross-attention between its layers, and a head that names the action.

    Args:
        language: a causal language model of transformers.
        features: columns of a row, F, the first ``dimension`` of which are its embedding.
        dimension: D.
        config: sizes.

    Raises:
        BackboneError: where sizes do not fit.
    """

    def __init__(self, language: Any, features: int, dimension: int, config: MllmConfig) -> None:
        super().__init__()
        hidden = language.config.hidden_size
        if hidden % config.heads or config.width % config.heads:
            raise BackboneError(f"{config.heads} heads do not divide {hidden} hidden and {config.width} latent numbers")
        self.config, self.features, self.dimension = config, features, dimension
        self.language = language.requires_grad_(not config.freeze_language)
        self.resampler = Resampler(features, config)
        self.token = _reversible(dimension, config)
        self.read = nn.Linear(dimension, dimension)
        self.memory = nn.Sequential(nn.Linear(features, config.width), nn.LayerNorm(config.width))
        self.age = nn.Parameter(torch.zeros(config.heads, config.window))
        self.before = nn.Embedding(len(ACTIONS) + 1, hidden)
        self.head = nn.Sequential(nn.LayerNorm(hidden), nn.Linear(hidden, len(ACTIONS)))
        layers = _layers_of(language)[:: config.every]
        self.crossings = nn.ModuleList(CrossAttention(hidden, config) for _ in layers)
        for crossing, layer in zip(self.crossings, layers, strict=True):
            layer.register_forward_pre_hook(partial(self._cross, crossing), with_kwargs=True)
        self._view: _View | None = None

    def forward(self, walks: Walks) -> Tensor:
        """(B, T, actions) logits of the action at each step."""
        text, at = self._text(walks)
        self._view = _View(at, *self._look(walks))
        try:
            read = self.language.base_model(inputs_embeds=text, use_cache=False).last_hidden_state
        finally:
            self._view = None
        return self.head(_slots(read, at).float())

    def tokens(self, rows: Tensor) -> Tensor:
        """(..., width) memory tokens of remembered rows: theta takes the place of the embedding."""
        # The same few places are remembered at step after step: each is written once.
        v, which = torch.unique(rows[..., : self.dimension].flatten(0, -2), dim=0, return_inverse=True)
        theta = self.write(v)[0][which].view_as(rows[..., : self.dimension])
        return self.memory(torch.cat([theta, rows[..., self.dimension :]], dim=-1))

    def write(self, v: Tensor) -> tuple[Tensor, Tensor]:
        """theta and r, each (N, D), after observations v (N, D) were written at places where nothing was before."""
        return self.token(torch.zeros_like(v), v)

    def recover(self, theta: Tensor) -> Tensor:
        """(N, D) the last observation as far as theta (N, D) alone tells it: the inverse with r = 0, read out."""
        return self.read(self.token.inverse(theta, torch.zeros_like(theta))[1])

    def _text(self, walks: Walks) -> tuple[Tensor, Tensor]:
        """Embeddings (B, S, hidden) of instructions and slots, padded at the end, and the slots' places (B, T)."""
        steps = walks.done.shape[1]
        came_by = nn.functional.pad(walks.done[:, :-1] + 1, (1, 0))
        embed = self.language.get_input_embeddings()
        device, slots = walks.done.device, self.before(came_by)
        rows = [
            torch.cat([embed(tokens.to(device)), slot.to(embed.weight.dtype)])
            for tokens, slot in zip(walks.instructions, slots, strict=True)
        ]
        first = torch.tensor([len(tokens) for tokens in walks.instructions], device=device)
        return nn.utils.rnn.pad_sequence(rows, batch_first=True), first[:, None] + torch.arange(steps, device=device)

    def _look(self, walks: Walks) -> tuple[Tensor, Tensor]:
        """What slots look at (B, S, width), S = T * (latents + M), and the bias (B, heads, T, S) that hides it."""
        batch, steps = walks.done.shape
        latents = self.resampler(walks.seen.flatten(0, 1), walks.is_seen.flatten(0, 1))
        latents = latents.view(batch, -1, self.config.width)
        tokens = self.tokens(walks.remembered).flatten(1, 2)
        step = torch.arange(steps, device=latents.device)
        age = step[:, None] - step
        inside = (age >= 0) & (age < self.config.window)
        recent = _bias(inside) + self.age[:, age.clamp(0, self.config.window - 1)]
        recent = recent.repeat_interleave(self.config.latents, dim=-1).expand(batch, -1, -1, -1)
        now = torch.eye(steps, dtype=torch.bool, device=latents.device)[None, :, :, None]
        known = _bias(now & walks.is_remembered[:, None]).flatten(2)[:, None].expand(-1, self.config.heads, -1, -1)
        return torch.cat([latents, tokens], dim=1), torch.cat([recent, known], dim=-1)

    def _cross(self, crossing: nn.Module, layer: nn.Module, args: tuple, kwargs: dict) -> tuple[tuple, dict]:
        """Runs before a layer of the language model, on its way in."""
        if (view := self._view) is None:
            return args, kwargs
        hidden = args[0] if args else kwargs["hidden_states"]
        slots = crossing(_slots(hidden, view.at).float(), view.context, view.bias).to(hidden.dtype)
        hidden = hidden.scatter(1, view.at[..., None].expand_as(slots), slots)
        return ((hidden, *args[1:]), kwargs) if args else ((), {**kwargs, "hidden_states": hidden})


def _bias(visible: Tensor) -> Tensor:
    """0 where something is visible, else minus infinity (nearly: a row without anything must not become nan)."""
    return torch.zeros(visible.shape, device=visible.device).masked_fill(~visible, -1e4)


def _slots(hidden: Tensor, at: Tensor) -> Tensor:
    return hidden.gather(1, at[..., None].expand(-1, -1, hidden.shape[-1]))


def _reversible(dimension: int, config: MllmConfig) -> Reversible:
    try:
        size = ReversibleConfig(dimension, config.token_depth, config.heads)
        return Reversible(size, seed=int(torch.randint(2**31, ())))
    except ValueError as error:
        raise BackboneError(f"embeddings of {dimension} numbers make no memory token: {error}") from error


def _layers_of(language: Any) -> nn.ModuleList:
    """The transformer's layers, whatever the architecture calls them."""
    count = language.config.num_hidden_layers
    for module in language.base_model.modules():
        if isinstance(module, nn.ModuleList) and len(module) == count:
            return module
    raise BackboneError(f"{type(language).__name__} has no list of its {count} layers to cross")
