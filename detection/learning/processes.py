# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""One training on many processes: torchrun starts them (WORLD_SIZE above 1), gradients are averaged over them."""

from __future__ import annotations

import atexit
import contextlib
import gc
import os
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import distributed, nn


@dataclass(frozen=True, slots=True)
class Processes:
    """Which of how many processes this is, and where it computes.

    Attributes:
        rank: number of this process, from 0; the first one writes results.
        count: of all of them.
        device: of this one.
    """

    rank: int
    count: int
    device: torch.device

    def averaging(self, module: nn.Module) -> nn.Module:
        """The module, called through what averages its gradients over all processes; itself where this is alone."""
        if self.count == 1:
            return module
        return nn.parallel.DistributedDataParallel(module, find_unused_parameters=True)


@contextlib.contextmanager
def processes(device: str | None = None) -> Iterator[Processes]:
    """Join the group that the environment tells of, and wait for the others at the end.

    Args:
        device: "cpu" or "cuda"; None: a GPU where there is one. Of several GPUs each process takes its own.
    """
    count, local = int(os.environ.get("WORLD_SIZE", "1")), int(os.environ.get("LOCAL_RANK", "0"))
    kind = device or ("cuda" if torch.cuda.is_available() else "cpu")
    chosen = torch.device(f"cuda:{local}" if kind == "cuda" else kind)
    if count == 1:
        yield Processes(0, 1, chosen)
        return
    if chosen.type == "cuda":
        torch.cuda.set_device(chosen)
    if not distributed.is_initialized():  # once: a group that was left cannot be joined again by the next training
        distributed.init_process_group("nccl" if chosen.type == "cuda" else "gloo")
        atexit.register(_leave)
    yield Processes(distributed.get_rank(), count, chosen)
    distributed.barrier()


def is_first_process() -> bool:
    """Whether this process is the one that writes results."""
    return int(os.environ.get("RANK", "0")) == 0


def _leave() -> None:
    # What still holds the group, in a cycle of references, would keep its threads running into the end of the process.
    gc.collect()
    distributed.destroy_process_group()
