# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Convolutions that both branches are built of."""

from __future__ import annotations

from torch import Tensor, nn

RARE = -2.19
"""Bias at which a sigmoid gives 0.1: nearly all of a heatmap is empty (Lin et al. 2017, section 3.3)."""


def convolution(inputs: int, outputs: int, stride: int = 1, size: int = 3) -> nn.Sequential:
    """Convolution, batch normalisation, ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, size, stride, size // 2, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)
    )


class Residual(nn.Module):
    """Two 3 x 3 convolutions with a way past them (He et al. 2016)."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.first = convolution(inputs, outputs, stride)
        self.second = nn.Sequential(nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False), nn.BatchNorm2d(outputs))
        same = inputs == outputs and stride == 1
        self.past = nn.Identity() if same else nn.Conv2d(inputs, outputs, 1, stride)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) -> (B, outputs, H / stride, W / stride)."""
        return self.relu(self.second(self.first(x)) + self.past(x))


def stage(inputs: int, outputs: int, stride: int, blocks: int) -> nn.Sequential:
    """Residual blocks, the first of which takes the stride."""
    return nn.Sequential(Residual(inputs, outputs, stride), *(Residual(outputs, outputs) for _ in range(blocks - 1)))


def heatmap_head(channels: int, classes: int) -> nn.Sequential:
    """Logits of each class at each cell; they begin at a tenth."""
    last = nn.Conv2d(channels, classes, 1)
    nn.init.constant_(last.bias, RARE)
    return nn.Sequential(convolution(channels, channels), last)
