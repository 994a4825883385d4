# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""The kernels of cuda/*.cu on the processor: g++ compiles the same text, and ``HostDevice`` stands in for CUDA."""

from __future__ import annotations

import atexit
import ctypes
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from slam.gpu import THREADS, Device, device, kernel_text, missing

ROOT = Path(__file__).resolve().parents[1]
SOURCES = tuple(sorted(path.stem for path in (ROOT / "cuda").glob("*.cu")))
KERNEL = re.compile(r'extern "C" __global__ void\s+(?:__launch_bounds__\([^)]*\)\s+)?(\w+)\(([^)]*)\)')
TYPES = {
    "float": np.float32, "double": np.float64, "int": np.int32, "long long": np.int64, "unsigned": np.uint32,
    "unsigned long long": np.uint64, "Key": np.uint64, "unsigned char": np.uint8, "Splat": np.float32,
    "Lens": np.float32,
}  # fmt: skip
FENCE, UNWRITTEN = 64, 0x7F
"""Bytes round each array, and what they and fresh arrays are filled with: a NaN as float, and no index."""
COMPILE = ("-std=c++17", "-O2", "-fPIC", "-shared", "-w", "-ffp-contract=off", "-U_FORTIFY_SOURCE", "-x", "c++")


@dataclass(frozen=True)
class Parameter:
    """One parameter of a kernel, as its text declares it."""

    name: str
    dtype: type
    pointer: bool
    const: bool


def kernels_of(source: str) -> dict[str, list[Parameter]]:
    """The kernels of one file and their parameters."""
    return {name: [_parameter(p) for p in values.split(",")] for name, values in KERNEL.findall(kernel_text(source))}


def _parameter(text: str) -> Parameter:
    words = text.replace("*", " * ").replace("__restrict__", " ").split()
    kind = " ".join(word for word in words[:-1] if word not in ("const", "*"))
    return Parameter(words[-1], TYPES[kind], "*" in words, "const" in words)


class HostArray(np.ndarray):
    """Stands for an array of the device: mixing it with numpy's own is an error here, as it is with CuPy.

    Attributes:
        fenced: its bytes with a fence before and behind, which no kernel may touch; shared with its views.
    """

    fenced: np.ndarray | None = None

    def __array_finalize__(self, parent: Any) -> None:
        self.fenced = getattr(parent, "fenced", None)

    @property
    def fence_stands(self) -> bool:
        """Whether the fence is as it was."""
        return self.fenced is not None and bool(np.all(self.fenced[[*range(FENCE), *range(-FENCE, 0)]] == UNWRITTEN))

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, out: Any = (), **options: Any) -> Any:
        if any(type(value) is np.ndarray and value.ndim for value in (*inputs, *out)):
            raise TypeError(f"{ufunc.__name__} of an array of the device and one of the computer's memory")
        plain = [value.view(np.ndarray) if isinstance(value, HostArray) else value for value in inputs]
        if out:
            options["out"] = tuple(value.view(np.ndarray) for value in out)
        return of_device(getattr(ufunc, method)(*plain, **options))

    def __array_function__(self, function: Any, types: Any, arguments: Any, options: Any) -> Any:
        raise TypeError(f"numpy.{function.__name__} of an array of the device")

    def __setitem__(self, where: Any, values: Any) -> None:
        if type(values) is np.ndarray and values.ndim:
            raise TypeError("values of the computer's memory put into an array of the device")
        self.view(np.ndarray)[where] = values

    def sum(self, *arguments: Any, **options: Any) -> Any:
        return of_device(self.view(np.ndarray).sum(*arguments, **options))


def of_device(value: Any) -> Any:
    """A copy as an array of the device; CuPy has no scalars of its own."""
    array = unwritten(np.shape(value), np.asarray(value).dtype)
    array.view(np.ndarray)[...] = value
    return array


def unwritten(shape: Any, dtype: Any) -> HostArray:
    """An array filled with what no kernel may leave there."""
    size = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
    fenced = np.full(size + 2 * FENCE, UNWRITTEN, np.uint8)
    inside = fenced[FENCE : FENCE + size].view(dtype).reshape(shape).view(HostArray)
    inside.fenced = fenced
    return inside


class HostArrays:
    """Those of CuPy's functions that the library uses, with the arguments that CuPy gives them."""

    def asarray(self, array: Any, dtype: Any = None) -> Any:
        return array if isinstance(array, HostArray) else of_device(np.asarray(array, dtype))

    def ascontiguousarray(self, array: HostArray) -> Any:
        assert isinstance(array, HostArray)
        return of_device(np.ascontiguousarray(array.view(np.ndarray)))

    def empty(self, shape: Any, dtype: Any) -> Any:
        return unwritten(shape, dtype)

    def zeros(self, shape: Any, dtype: Any) -> Any:
        return of_device(np.zeros(shape, dtype))

    def full(self, shape: Any, value: Any, dtype: Any) -> Any:
        return of_device(np.full(shape, value, dtype))

    def cumsum(self, array: HostArray, dtype: Any) -> Any:
        return of_device(np.cumsum(array.view(np.ndarray), dtype=dtype))

    def argsort(self, array: HostArray) -> Any:
        """Stable, as CuPy's is."""
        return of_device(np.argsort(array.view(np.ndarray), kind="stable"))


class HostDevice:
    """Runs kernels one thread after another, and holds each argument to what the kernel declares.

    Args:
        downwards: let the last thread of a block run first; a kernel without races gives the same.
    """

    xp: Any = HostArrays()

    def __init__(self, downwards: bool = False) -> None:
        self.downwards = downwards

    def launch(self, source: str, kernel: str, blocks: int, *arguments: Any) -> None:
        """See ``slam.gpu.Device``."""
        parameters = kernels_of_cached(source)[kernel]
        assert len(arguments) == len(parameters), f"{kernel} takes {len(parameters)} arguments, not {len(arguments)}"
        held = [_held(kernel, p, value) for p, value in zip(parameters, arguments, strict=True)]
        values = (ctypes.c_void_p * len(held))(*(ctypes.cast(ctypes.pointer(h), ctypes.c_void_p) for h in held))
        run = getattr(compiled(source), f"run_{kernel}")
        run.restype = ctypes.c_char_p
        trouble = run(ctypes.c_uint(blocks), ctypes.c_uint(THREADS), ctypes.c_bool(self.downwards), values)
        assert trouble is None, f"{kernel}: {trouble.decode()}"
        for parameter, value in zip(parameters, arguments, strict=True):
            assert not parameter.pointer or value.fence_stands, f"{kernel} writes beyond {parameter.name}"

    def to_host(self, array: Any) -> np.ndarray:
        """See ``slam.gpu.Device``."""
        assert isinstance(array, HostArray)
        return np.array(array.view(np.ndarray))


def _held(kernel: str, parameter: Parameter, value: Any) -> Any:
    """The argument as ctypes wants it; an error where the device would read it as something else."""
    what = f"{kernel}({parameter.name})"
    assert value.dtype == parameter.dtype or (value.dtype == bool and parameter.dtype is np.uint8), (
        f"{what} is declared {parameter.dtype.__name__}, given {value.dtype}"
    )
    if parameter.pointer:
        assert isinstance(value, HostArray), f"{what} needs an array of the device"
        assert value.flags.c_contiguous, f"{what} needs a C-contiguous array"
        return ctypes.c_void_p(value.ctypes.data)
    assert isinstance(value, np.generic), f"{what} needs a numpy scalar"
    return np.ctypeslib.as_ctypes_type(value.dtype)(value.item())


kernels_of_cached = cache(kernels_of)


@cache
def compiled(source: str) -> ctypes.CDLL:
    """The kernels of one file as a shared library; the test is skipped where there is no compiler."""
    if (compiler := shutil.which("g++")) is None:
        pytest.skip("no g++ to compile the kernels for the processor")
    folder = _folder()
    exports = "\n".join(
        f'extern "C" const char* run_{name}(unsigned blocks, unsigned threads, bool downwards, void** values) {{\n'
        f"    return host::run([](void** v) {{ host::unpack({name}, v); }}, blocks, threads, downwards, values);\n}}"
        for name in kernels_of_cached(source)
    )
    text = f'#include "{ROOT}/tests/cuda_on_host.hpp"\n{kernel_text(source)}\n{exports}\n'
    (folder / f"{source}.cpp").write_text(text, encoding="utf-8")
    library = folder / f"{source}.so"
    command = [compiler, *COMPILE, str(folder / f"{source}.cpp"), "-o", str(library)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    return ctypes.CDLL(str(library))


@cache
def _folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="mem4nav-kernels-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def devices() -> list[Any]:
    """For ``pytest.mark.parametrize``: the processor in CUDA's place, in both orders of threads, and CUDA itself."""
    reason = missing()
    return [
        pytest.param(HostDevice, id="host"),
        pytest.param(lambda: HostDevice(downwards=True), id="host, last thread first"),
        pytest.param(
            lambda: _cuda(), id="cuda", marks=pytest.mark.skipif(reason is not None, reason=f"no CUDA: {reason}")
        ),
    ]


def _cuda() -> Device:
    found = device("cuda")
    assert found is not None
    return found
