# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""What the kernels may take of a Jetson Orin's multiprocessor, and that docs/orin.md says it."""

from __future__ import annotations

import pytest

from bench import kernels, orin
from bench.kernels import KernelUse, kernel_uses, nvrtc_missing

MISSING = nvrtc_missing()
with_nvrtc = pytest.mark.skipif(MISSING is not None, reason=str(MISSING))


def use(registers: int, shared_bytes: int = 0) -> KernelUse:
    return KernelUse("file", "kernel", registers, shared_bytes, 0, 0)


@with_nvrtc
def test_no_kernel_spills_or_keeps_a_stack_and_each_fills_half_a_multiprocessor():
    for found in kernel_uses():
        assert found.spilled_bytes == 0, found
        assert found.stack_bytes == 0, f"{found}: a local array that is indexed at run time?"
        assert found.occupancy >= orin.LEAST_OCCUPANCY, found


@with_nvrtc
def test_the_page_shows_the_kernels_as_they_are():
    text = orin.PAGE.read_text(encoding="utf-8")
    for found in kernel_uses():
        row = f"| {found.source}.cu: {found.name} | {found.registers} | {found.shared_bytes} | 0 | 0 |"
        assert row in text, f"{row} is not in docs/orin.md: run python -m bench.orin"


@with_nvrtc
def test_a_local_array_indexed_at_run_time_is_noticed(monkeypatch):
    text = """extern "C" __global__ void stacked(float* x, const int* order) {
        float held[32];
        for (int i = 0; i < 32; ++i) held[i] = x[i];
        for (int i = 0; i < 32; ++i) held[order[i]] += held[order[i + 32]];
        for (int i = 0; i < 32; ++i) x[i] = held[i];
    }"""
    monkeypatch.setattr(kernels, "kernel_text", lambda source: text)
    monkeypatch.setattr(kernels, "sources", lambda: ["stacked"])
    assert kernel_uses()[0].stack_bytes == 128


@with_nvrtc
def test_a_kernel_that_does_not_compile_is_named_with_the_compilers_words(monkeypatch):
    monkeypatch.setattr(kernels, "kernel_text", lambda source: "__global__ void broken() { nonsense; }")
    monkeypatch.setattr(kernels, "sources", lambda: ["broken"])
    with pytest.raises(RuntimeError, match=r"(?s)cuda/broken\.cu does not compile for sm_87.*nonsense"):
        kernel_uses()


@pytest.mark.parametrize(
    ("found", "occupancy", "resource"),
    [
        (use(40), 1.0, "warps"),
        (use(48), 5 / 6, "registers"),
        (use(64), 4 / 6, "registers"),
        (use(80), 3 / 6, "registers"),
        (use(81), 2 / 6, "registers"),
        (use(32, 26 * 1024), 1.0, "warps"),
        (use(32, 27 * 1024), 5 / 6, "shared memory"),
        (use(32, 163 * 1024), 1 / 6, "shared memory"),
    ],
)
def test_occupancy_is_that_of_blocks_of_256_threads_on_compute_capability_8_7(found, occupancy, resource):
    assert found.occupancy == pytest.approx(occupancy)
    assert found.limited_by == resource
