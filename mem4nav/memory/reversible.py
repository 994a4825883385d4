# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Reversible tokens: a write maps [theta_old ; v] to [theta_new ; r], and back (arXiv 2506.19433, section 3.2).

Blocks of additive couplings (Gomez et al. 2017): y1 = x1 + F(LN x2), y2 = x2 + G(LN y1). F attends over eight pieces of
its half, G is a perceptron over the whole of its own; both end in tanh, so that a write adds at most ``depth`` to a
number of theta, and theta is first shrunk to 15/16 of itself: |theta| stays below 16 * depth for ever. It is also
turned by one number: without that all writes would lie on top of each other in theta, and which was when could not be
told (orthogonal recurrence, White, Lee and Sompolinsky 2004).

In floating point the inverse is right to rounding alone. ``write`` and ``unwrite`` work on integers, in units of
2^-44: what F and G give is rounded before it is added, so that subtracting it undoes that exactly, and the division by
16 leaves its remainder with r. That holds as long as F and G give the same bits again: on one machine, with the
same library, batch size and threads.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

KEPT, OUT_OF = 15, 16
"""Share of the old token that a write starts from."""
UNIT = 2.0**-44
"""Fixed point: float32 numbers of at least 2^-20 are multiples of it, and 96 fits 51 bits."""


@dataclass(frozen=True, slots=True)
class ReversibleConfig:
    """Size of the network.

    Attributes:
        dimension: numbers in an embedding, and in a token; a multiple of 8 * ``heads`` where heads are to differ.
        depth: blocks.
        heads: of the attention.
        pieces: that a half is cut into for it.
        widen: hidden numbers of the perceptron for each number.
    """

    dimension: int = 256
    depth: int = 6
    heads: int = 8
    pieces: int = 8
    widen: int = 2


class Written(NamedTuple):
    """What a write leaves: integers in units of ``UNIT``, and the remainders of the division.

    theta is read; r and remainder are what the journal would need to undo the write.
    """

    theta: Tensor
    r: Tensor
    remainder: Tensor


class _Attention(nn.Module):
    """F: (N, D) to (N, D), between -1 and 1."""

    def __init__(self, config: ReversibleConfig) -> None:
        super().__init__()
        self.heads, self.pieces, width = config.heads, config.pieces, config.dimension // config.pieces
        self.norm = nn.LayerNorm(config.dimension)
        self.place = nn.Parameter(torch.randn(config.pieces, width) * 0.5)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        pieces = self.norm(x).view(len(x), self.pieces, -1) + self.place
        q, k, v = (part.transpose(1, 2) for part in self._heads(self.qkv(pieces)).chunk(3, -1))
        mixed = nn.functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(pieces.shape)
        values = v.transpose(1, 2).reshape(pieces.shape)  # heads that look everywhere would give all pieces their mean
        return torch.tanh(self.out(mixed + values)).reshape(x.shape)

    def _heads(self, x: Tensor) -> Tensor:
        return x.view(*x.shape[:2], self.heads, -1)


class _Perceptron(nn.Sequential):
    """G: (N, D) to (N, D), between -1 and 1."""

    def __init__(self, config: ReversibleConfig) -> None:
        d, hidden = config.dimension, config.widen * config.dimension
        super().__init__(nn.LayerNorm(d), nn.Linear(d, hidden), nn.GELU(), nn.Linear(hidden, d), nn.Tanh())


class Reversible(nn.Module):
    """R: (N, D) tokens and (N, D) observations to (N, D) tokens and (N, D) residuals, and back. No dropout in it."""

    def __init__(self, config: ReversibleConfig, seed: int = 0) -> None:
        """
        Raises:
            ValueError: where the numbers of an embedding do not divide by pieces and heads.
        """
        super().__init__()
        if config.dimension % config.pieces or config.dimension // config.pieces % config.heads:
            raise ValueError(
                f"{config.dimension} numbers in {config.pieces} pieces do not divide by {config.heads} heads"
            )
        self.config = config
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.F = nn.ModuleList(_Attention(config) for _ in range(config.depth))
            self.G = nn.ModuleList(_Perceptron(config) for _ in range(config.depth))

    def forward(self, theta: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """[theta_old ; v] to [theta_new ; r] in floating point, for training."""
        x1, x2 = turned(theta, 1) * (KEPT / OUT_OF), v
        for F, G in zip(self.F, self.G, strict=True):
            x1 = x1 + F(x2)
            x2 = x2 + G(x1)
        return x1, x2

    def inverse(self, theta: Tensor, r: Tensor) -> tuple[Tensor, Tensor]:
        """[theta_new ; r] to [theta_old ; v] in floating point, right to rounding."""
        x1, x2 = theta, r
        for F, G in zip(reversed(self.F), reversed(self.G), strict=True):
            x2 = x2 - G(x1)
            x1 = x1 - F(x2)
        return turned(x1, -1) * (OUT_OF / KEPT), x2

    @torch.inference_mode()
    def write(self, theta: Tensor, v: Tensor) -> Written:
        """[theta_old ; v] to [theta_new ; r] on (N, D) int64; ``unwrite`` undoes it exactly."""
        grown = turned(theta, 1) * KEPT
        x1 = torch.div(grown, OUT_OF, rounding_mode="floor")
        remainder = grown - x1 * OUT_OF
        x2 = v
        for F, G in zip(self.F, self.G, strict=True):
            x1 = x1 + _rounded(F, x2)
            x2 = x2 + _rounded(G, x1)
        return Written(x1, x2, remainder)

    @torch.inference_mode()
    def unwrite(self, written: Written) -> tuple[Tensor, Tensor]:
        """[theta_new ; r] to [theta_old ; v] on (N, D) int64, exactly."""
        x1, x2 = written.theta, written.r
        for F, G in zip(reversed(self.F), reversed(self.G), strict=True):
            x2 = x2 - _rounded(G, x1)
            x1 = x1 - _rounded(F, x2)
        return turned(torch.div(x1 * OUT_OF + written.remainder, KEPT, rounding_mode="floor"), -1), x2

    def blank(self, count: int) -> Tensor:
        """(N, D) int64 tokens of places where nothing was written yet."""
        return torch.zeros(count, self.config.dimension, dtype=torch.int64)


def turned(theta: Tensor, writes: int) -> Tensor:
    """(N, D) tokens as so many writes turn them; a negative number turns them back."""
    return theta.roll(writes, -1)


def fixed(v: NDArray[np.float32]) -> Tensor:
    """Numbers in units of ``UNIT``, rounded."""
    return torch.from_numpy(np.rint(np.asarray(v, np.float64) / UNIT).astype(np.int64))


def floating(x: Tensor) -> NDArray[np.float32]:
    """Fixed-point numbers as float32."""
    return (x.numpy() * UNIT).astype(np.float32)


def _rounded(part: nn.Module, x: Tensor) -> Tensor:
    return torch.round(part((x.double() * UNIT).float()).double() / UNIT).long()
