# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""What the CUDA kernels take of a Jetson Orin's multiprocessor, as its compiler reports it: no device is needed.

NVRTC of the CUDA release on the Jetson (12.6, JetPack 6) compiles cuda/*.cu for sm_87; ptxas says what came out.
"""

from __future__ import annotations

import ctypes
import importlib.util
import re
from dataclasses import dataclass
from pathlib import Path

from bench.places import ROOT
from slam.gpu import THREADS, kernel_text

ARCHITECTURE = "sm_87"
REGISTERS, REGISTER_UNIT, PARTITIONS = 65536, 256, 4
"""Of a multiprocessor; they are given out to warps in such units, from four partitions."""
WARPS, BLOCKS = 48, 16
"""That a multiprocessor holds at once."""
SHARED_BYTES, SHARED_UNIT, SHARED_RESERVED = 164 * 1024, 128, 1024
"""Of a multiprocessor; given out in such units, and so much kept back from each block."""

ENTRY = re.compile(
    r"entry function '(?P<name>\w+)'.*?(?P<stack>\d+) bytes stack frame, (?P<stores>\d+) bytes spill stores, "
    r"(?P<loads>\d+) bytes spill loads.*?Used (?P<registers>\d+) registers(?P<rest>[^\n]*)",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class KernelUse:
    """What one kernel takes.

    Attributes:
        source, name: file of cuda/ and kernel.
        registers: of a thread.
        shared_bytes: of a block; the kernels ask for none at launch.
        stack_bytes, spilled_bytes: of a thread, in slow local memory.
    """

    source: str
    name: str
    registers: int
    shared_bytes: int
    stack_bytes: int
    spilled_bytes: int

    @property
    def limits(self) -> dict[str, int]:
        """Blocks of ``THREADS`` threads that each resource of a multiprocessor has room for."""
        warps = THREADS // 32
        by_warp = _units(self.registers * 32, REGISTER_UNIT)
        by_block = _units(self.shared_bytes, SHARED_UNIT) + SHARED_RESERVED
        return {
            "warps": WARPS // warps,
            "blocks": BLOCKS,
            "registers": PARTITIONS * (REGISTERS // PARTITIONS // by_warp) // warps,
            "shared memory": SHARED_BYTES // by_block,
        }

    @property
    def occupancy(self) -> float:
        """Share of the warps that a multiprocessor can hold."""
        return min(self.limits.values()) * THREADS / 32 / WARPS

    @property
    def limited_by(self) -> str:
        """The resource that runs out first."""
        return min(self.limits, key=lambda name: self.limits[name])


def _units(count: int, unit: int) -> int:
    return -(-count // unit) * unit


def nvrtc_missing() -> str | None:
    """Why the kernels cannot be compiled here; None where they can."""
    return None if _library_path() else "nvidia-cuda-nvrtc-cu12 is not installed (it comes with mem4nav[dev])"


def sources() -> list[str]:
    """Names of cuda/*.cu."""
    return sorted(path.stem for path in (ROOT / "cuda").glob("*.cu"))


def kernel_uses() -> list[KernelUse]:
    """Of all kernels.

    Raises:
        RuntimeError: NVRTC is not installed, or a kernel does not compile; the text is the compiler's.
    """
    if reason := nvrtc_missing():
        raise RuntimeError(reason)
    return [use for source in sources() for use in _parsed(source, _compile_log(source))]


def nvrtc_version() -> str:
    """Release of the compiler, as "12.6"."""
    major, minor = ctypes.c_int(), ctypes.c_int()
    _library().nvrtcVersion(ctypes.byref(major), ctypes.byref(minor))
    return f"{major.value}.{minor.value}"


def _parsed(source: str, text: str) -> list[KernelUse]:
    uses = []
    for found in ENTRY.finditer(text):
        shared = re.search(r"(\d+) bytes smem", found["rest"])
        spilled = int(found["stores"]) + int(found["loads"])
        sizes = (int(found["registers"]), int(shared[1]) if shared else 0, int(found["stack"]), spilled)
        uses.append(KernelUse(source, found["name"], *sizes))
    if len(uses) != kernel_text(source).count("__global__"):
        raise RuntimeError(f"ptxas reports {len(uses)} of the kernels of cuda/{source}.cu:\n{text}")
    return uses


def _compile_log(source: str) -> str:
    """What ptxas says of one file."""
    library, program = _library(), ctypes.c_void_p()
    text, name = kernel_text(source).encode(), f"{source}.cu".encode()
    options = [f"--gpu-architecture={ARCHITECTURE}".encode(), b"-std=c++17", b"--ptxas-options=-v"]
    if library.nvrtcCreateProgram(ctypes.byref(program), text, name, 0, None, None):
        raise RuntimeError(f"NVRTC does not take cuda/{source}.cu")
    failed = library.nvrtcCompileProgram(program, len(options), (ctypes.c_char_p * len(options))(*options))
    size = ctypes.c_size_t()
    library.nvrtcGetProgramLogSize(program, ctypes.byref(size))
    log = ctypes.create_string_buffer(size.value)
    library.nvrtcGetProgramLog(program, log)
    library.nvrtcDestroyProgram(ctypes.byref(program))
    if failed:
        raise RuntimeError(f"cuda/{source}.cu does not compile for {ARCHITECTURE}:\n{log.value.decode()}")
    return log.value.decode()


def _library() -> ctypes.CDLL:
    return ctypes.CDLL(str(_library_path()))


def _library_path() -> Path | None:
    """The library of the package nvidia-cuda-nvrtc-cu12."""
    try:
        package = importlib.util.find_spec("nvidia.cuda_nvrtc")
    except ModuleNotFoundError:
        return None
    folders = package.submodule_search_locations if package else None
    found = [path for folder in folders or () for path in Path(folder, "lib").glob("libnvrtc.so.12*")]
    return found[0] if found else None
