# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
"""The processor in CUDA's place notices what would go wrong on a device."""

from __future__ import annotations

import numpy as np
import pytest

import cuda_host
from cuda_host import HostDevice

FAULTY = """
extern "C" __global__ void __launch_bounds__(256) reversed(const float* in, float* out) {
    __shared__ float held[256];
    held[threadIdx.x] = in[threadIdx.x];
    __syncthreads();
    out[threadIdx.x] = held[255 - threadIdx.x];
}
extern "C" __global__ void __launch_bounds__(256) hasty(const float* in, float* out) {
    __shared__ float held[256];
    held[threadIdx.x] = in[threadIdx.x];
    out[threadIdx.x] = held[255 - threadIdx.x];
}
extern "C" __global__ void __launch_bounds__(256) parted(const float* in, float* out) {
    if (threadIdx.x % 2) __syncthreads();
    else out[threadIdx.x] = __shfl_xor_sync(0xFFFFFFFFu, in[threadIdx.x], 1);
}
extern "C" __global__ void __launch_bounds__(256) lonely(const float* in, float* out) {
    if (threadIdx.x % 32 == 0) return;
    out[threadIdx.x] = __shfl_xor_sync(0xFFFFFFFFu, in[threadIdx.x], 1);
}
extern "C" __global__ void __launch_bounds__(256) beyond(const float* in, float* out) { out[256] = in[0]; }
"""


@pytest.fixture(scope="module", autouse=True)
def faulty_kernels():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cuda_host, "kernel_text", lambda source: FAULTY)
        yield


def launched(kernel: str, downwards: bool = False) -> np.ndarray:
    device = HostDevice(downwards)
    out = device.xp.zeros(256, np.float32)
    device.launch("faulty", kernel, 1, device.xp.asarray(np.arange(256, dtype=np.float32)), out)
    return device.to_host(out)


@pytest.mark.parametrize("downwards", [False, True])
def test_threads_meet_at_a_barrier(downwards):
    assert np.array_equal(launched("reversed", downwards), np.arange(256)[::-1])


def test_a_missing_barrier_shows_in_what_threads_read():
    right = np.arange(256)[::-1]
    assert not np.array_equal(launched("hasty"), right)
    assert not np.array_equal(launched("hasty"), launched("hasty", downwards=True))


def test_a_barrier_that_some_threads_never_reach_is_an_error_and_no_hang():
    with pytest.raises(AssertionError, match="wait at a barrier"):
        launched("parted")


def test_a_warp_collective_needs_all_lanes():
    with pytest.raises(AssertionError, match="without all 32 lanes"):
        launched("lonely")


def test_a_write_beyond_an_array_is_an_error():
    with pytest.raises(AssertionError, match="writes beyond out"):
        launched("beyond")


def test_arguments_of_another_type_or_of_the_computers_memory_are_turned_away():
    device = HostDevice()
    there = device.xp.zeros(256, np.float32)
    for wrong, says in (
        (device.xp.zeros(256, np.float64), "declared float32, given float64"),
        (np.zeros(256, np.float32), "needs an array of the device"),
        (device.xp.zeros((256, 2), np.float32)[:, 0], "C-contiguous"),
    ):
        with pytest.raises(AssertionError, match=says):
            device.launch("faulty", "reversed", 1, there, wrong)
    with pytest.raises(AssertionError, match="takes 2 arguments, not 1"):
        device.launch("faulty", "reversed", 1, there)
    with pytest.raises(TypeError, match="the computer's memory"):
        there += np.ones(256, np.float32)
    with pytest.raises(TypeError, match="of an array of the device"):
        np.concatenate([there, there])
