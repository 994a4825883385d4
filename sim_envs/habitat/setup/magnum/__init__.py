# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""Stands in for the Python bindings of Magnum: as much of them as the wheel of habitat-sim needs."""

from __future__ import annotations

import ctypes
import math as _math
import sys
import types

import numpy as np

_COPY_INTO_BEFORE, _COPY_INTO = 82, 50


def _restore_copy_into() -> None:
    """Fill the slot of NumPy's table through which the wheel, built against NumPy 1, calls PyArray_CopyInto.

    NumPy 2 left it empty, and the first array that is handed over would end the process.
    """
    if int(np.__version__.split(".")[0]) < 2:
        return
    from numpy._core import _multiarray_umath

    prototype = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object, ctypes.c_char_p)
    address = prototype(("PyCapsule_GetPointer", ctypes.pythonapi))(_multiarray_umath._ARRAY_API, None)
    table = (ctypes.c_void_p * 100).from_address(address)
    if not table[_COPY_INTO_BEFORE]:
        table[_COPY_INTO_BEFORE] = table[_COPY_INTO]


_restore_copy_into()

import _magnum_stand_in as _native  # noqa: E402
from _magnum_stand_in import *  # noqa: E402, F403


class _MakesAndReads:
    """A name that makes a matrix on the class, and reads one on its instances."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __get__(self, instance, owner):
        return getattr(owner, f"_s_{self.name}") if instance is None else getattr(instance, f"_i_{self.name}")

    def __set__(self, instance, value):
        setattr(instance, f"_i_{self.name}", value)


for _name in ("translation", "rotation"):
    setattr(_native.Matrix4, _name, _MakesAndReads(_name))


class AbstractFeature3D:
    """What habitat_sim.Agent hangs on its node of the scene; it remembers the node, and does not own it."""

    def __init__(self, object) -> None:
        self.object = object


def _module(name: str, **content) -> types.ModuleType:
    module = types.ModuleType(f"magnum.{name}")
    module.__dict__.update(content)
    sys.modules[module.__name__] = module
    return module


def _angle(a, b):
    return _native.Rad(_math.acos(max(-1.0, min(1.0, _native.dot(a, b)))))


scenegraph = _module(
    "scenegraph", AbstractFeature3D=AbstractFeature3D, AbstractObject3D=_native.AbstractObject3D,
    Camera3D=_native.Camera3D, trs=_module("scenegraph.trs", Object3D=_native.Object3D),
)  # fmt: skip
math = _module(
    "math", pi=_math.pi, inf=_math.inf, nan=_math.nan, tau=_math.tau, sqrt2=_math.sqrt(2.0), dot=_native.dot,
    cross=_native.cross, fmod=_math.fmod, min=min, max=max, angle=_angle,
    clamp=lambda value, low, high: max(low, min(high, value)),
)  # fmt: skip
