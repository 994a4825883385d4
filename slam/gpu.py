# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""The graphics processor: finding it, the switch between it and the CPU, and launching the kernels of ``cuda/*.cu``."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import cache
from importlib import import_module
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from slam.errors import ConfigError
from slam.shipped import shipped_file

log = logging.getLogger(__name__)

Backend = Literal["auto", "cpu", "cuda"]
THREADS = 256
"""Threads of every block."""


class Device(Protocol):
    """What runs kernels: a CUDA device, or in the tests the processor in its place."""

    @property
    def xp(self) -> Any:
        """Module of the device's arrays, with numpy's functions: CuPy."""

    def launch(self, source: str, kernel: str, blocks: int, *arguments: Any) -> None:
        """Run ``blocks`` blocks of ``THREADS`` threads of a kernel of ``cuda/<source>.cu``; none where ``blocks`` is 0.

        Arguments are arrays of the device, C-contiguous, and numpy scalars of exactly the kernel's types.
        """
        ...

    def to_host(self, array: Any) -> NDArray[Any]:
        """A copy of a device array in the computer's memory."""
        ...


def device(backend: Backend = "auto") -> Device | None:
    """The device that ``backend`` asks for: None means the CPU.

    "auto" takes CUDA where CuPy and a device are there, and logs why where not.

    Raises:
        ConfigError: "cuda" was asked for and is not there, or ``backend`` is not known.
    """
    if backend not in ("auto", "cpu", "cuda"):
        raise ConfigError(f"backend {backend!r} is not known: there are 'auto', 'cpu' and 'cuda'")
    if backend == "cpu":
        return None
    reason = missing()
    if reason is None:
        return _cuda_device()
    if backend == "cuda":
        raise ConfigError(f"backend 'cuda' cannot be used: {reason}")
    log.info("rendering on the CPU: %s", reason)
    return None


@cache
def missing() -> str | None:
    """Why CUDA cannot be used on this machine; None where it can."""
    try:
        runtime = import_module("cupy.cuda").runtime
    except ImportError as error:
        return f"CuPy cannot be imported ({error}); pip install mem4nav[gpu] brings it"
    try:
        count = runtime.getDeviceCount()
    except runtime.CUDARuntimeError as error:
        return f"CUDA found no device ({error}); is the driver installed?"
    return None if count else "CUDA counts 0 devices"


def kernel_text(source: str) -> str:
    """Text of ``cuda/<source>.cu``, of the source tree or of the installed package.

    Raises:
        ConfigError: the file is in neither.
    """
    return shipped_file(f"cuda/{source}.cu").read_text(encoding="utf-8")


def blocks_for(threads: int) -> int:
    """Blocks that hold at least so many threads."""
    return -(-threads // THREADS)


@cache
def _cuda_device() -> Device:
    return CudaDevice()


class CudaDevice:
    """The current CUDA device, by CuPy. Each source is compiled for it once, by NVRTC; CuPy keeps that on disk."""

    def __init__(self) -> None:
        self.xp: Any = import_module("cupy")
        self._modules: dict[str, Any] = {}
        self._kernels: dict[tuple[str, str], Callable[..., None]] = {}

    def launch(self, source: str, kernel: str, blocks: int, *arguments: Any) -> None:
        """See ``Device``."""
        if blocks:
            self._kernel(source, kernel)((blocks,), (THREADS,), arguments)

    def to_host(self, array: Any) -> NDArray[Any]:
        """See ``Device``."""
        return np.asarray(self.xp.asnumpy(array))

    def _kernel(self, source: str, kernel: str) -> Callable[..., None]:
        if (source, kernel) not in self._kernels:
            if source not in self._modules:
                self._modules[source] = self.xp.RawModule(code=kernel_text(source), options=("-std=c++17",))
            self._kernels[source, kernel] = self._modules[source].get_function(kernel)
        return self._kernels[source, kernel]
