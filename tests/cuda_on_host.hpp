// SPDX-FileCopyrightText: The Mem4Nav stack developers
// SPDX-License-Identifier: Apache-2.0
// Enough of CUDA for g++ to compile the kernels of cuda/*.cu and to run them on the processor.
//
// Each CUDA thread is a fiber of one thread of the system, switched at barriers and warp collectives alone. Blocks run
// one after another, so that what a kernel calls __shared__ may be static. Everything is deterministic, and a fiber
// runs on until it has to wait: a barrier that is missing shows, for one thread is far ahead of the next. Threads run
// upwards or, on demand, downwards; a kernel without races does not notice.
#pragma once

#include <csetjmp>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <type_traits>
#include <ucontext.h>
#include <utility>

#define __global__
#define __device__
#define __shared__ static __attribute__((section("shared_memory")))
#define __forceinline__ inline
#define __launch_bounds__(...)

struct dim3 {
    unsigned x, y, z;
};
dim3 threadIdx, blockIdx, blockDim, gridDim;

// The linker's marks round all shared variables; absent where a file has none.
extern "C" char __start_shared_memory[] __attribute__((weak, visibility("hidden")));
extern "C" char __stop_shared_memory[] __attribute__((weak, visibility("hidden")));

namespace host {

constexpr unsigned MOST_THREADS = 1024, WARP = 32, STACK_BYTES = 256 * 1024;

struct Fiber {
    jmp_buf at;
    ucontext_t entry;
    char* stack;
    bool begun, done;
};
struct Block {
    unsigned alive, arrived, round;
    int count, result;
};
struct Warp {
    unsigned arrived, round, exited;
    uint64_t offered[2][WARP];
};

Fiber fibers[MOST_THREADS];
Block block;
Warp warps[MOST_THREADS / WARP];
jmp_buf scheduler;
ucontext_t origin;
void (*body)(void**);
void** arguments;
unsigned long progress;  // counts whatever lets a waiting thread go on
const char* trouble;

__attribute__((noinline)) void wait() {
    Fiber& self = fibers[threadIdx.x];
    if (_setjmp(self.at) == 0) _longjmp(scheduler, 1);
}

inline void release() {
    block.result = block.count;
    block.arrived = block.count = 0;
    ++block.round;
    ++progress;
}

__attribute__((noinline)) int barrier(int predicate) {
    const unsigned round = block.round;
    block.count += predicate != 0;
    if (++block.arrived == block.alive) {
        release();
    } else {
        while (round == block.round) wait();
    }
    return block.result;
}

// Lays down `offer` and returns what each lane of the warp laid down. Two rounds' worth is kept: no lane can be two
// rounds ahead of one that still reads.
__attribute__((noinline)) const uint64_t* exchange(unsigned mask, uint64_t offer) {
    Warp& warp = warps[threadIdx.x / WARP];
    if (mask != 0xFFFFFFFFu || warp.exited) trouble = "a warp collective without all 32 lanes";
    const unsigned round = warp.round;
    warp.offered[round & 1][threadIdx.x % WARP] = offer;
    if (++warp.arrived == WARP) {
        warp.arrived = 0;
        ++warp.round;
        ++progress;
    } else {
        while (round == warp.round) wait();
    }
    return warp.offered[round & 1];
}

void enter() {
    body(arguments);
    fibers[threadIdx.x].done = true;
    ++warps[threadIdx.x / WARP].exited;
    ++progress;
    if (--block.alive > 0 && block.arrived == block.alive) release();
    _longjmp(scheduler, 1);
}

__attribute__((noinline)) void resume(unsigned thread) {
    threadIdx = {thread, 0, 0};
    Fiber& fiber = fibers[thread];
    if (_setjmp(scheduler) != 0) return;
    if (fiber.begun) _longjmp(fiber.at, 1);
    fiber.begun = true;
    setcontext(&fiber.entry);
}

void begin(unsigned threads) {
    // A block must not find what another has left.
    if (__start_shared_memory) std::memset(__start_shared_memory, 0x7F, __stop_shared_memory - __start_shared_memory);
    block = {threads, 0, 0, 0, 0};
    std::memset(warps, 0, sizeof(warps));
    for (unsigned i = 0; i < threads; ++i) {
        Fiber& fiber = fibers[i];
        if (!fiber.stack) fiber.stack = static_cast<char*>(std::malloc(STACK_BYTES));
        fiber.begun = fiber.done = false;
        getcontext(&fiber.entry);
        fiber.entry.uc_stack.ss_sp = fiber.stack;
        fiber.entry.uc_stack.ss_size = STACK_BYTES;
        fiber.entry.uc_link = nullptr;
        makecontext(&fiber.entry, enter, 0);
    }
}

// Runs a grid; nullptr, or what is wrong with the kernel.
inline const char* run(void (*kernel)(void**), unsigned blocks, unsigned threads, bool downwards, void** values) {
    body = kernel;
    arguments = values;
    trouble = nullptr;
    blockDim = {threads, 1, 1};
    gridDim = {blocks, 1, 1};
    for (unsigned b = 0; b < blocks; ++b) {
        blockIdx = {b, 0, 0};
        begin(threads);
        while (block.alive > 0) {
            const unsigned long before = progress;
            for (unsigned i = 0; i < threads; ++i) {
                const unsigned thread = downwards ? threads - 1 - i : i;
                if (!fibers[thread].done) resume(thread);
            }
            if (trouble) return trouble;
            if (before == progress) return "some threads wait at a barrier that others never reach";
        }
    }
    return nullptr;
}

template <typename... A, std::size_t... I>
void unpack(void (*kernel)(A...), void** values, std::index_sequence<I...>) {
    kernel(*static_cast<std::remove_reference_t<A>*>(values[I])...);
}
template <typename... A>
void unpack(void (*kernel)(A...), void** values) {
    unpack(kernel, values, std::index_sequence_for<A...>{});
}

template <typename T>
T from_lane(unsigned mask, T value, unsigned lane) {
    uint64_t bits = 0;
    std::memcpy(&bits, &value, sizeof(T));
    bits = exchange(mask, bits)[lane % WARP];
    std::memcpy(&value, &bits, sizeof(T));
    return value;
}

}  // namespace host

inline void __syncthreads() { host::barrier(0); }
inline int __syncthreads_count(int predicate) { return host::barrier(predicate); }
inline int __syncthreads_or(int predicate) { return host::barrier(predicate) > 0; }
inline void __syncwarp(unsigned mask = 0xFFFFFFFFu) { host::exchange(mask, 0); }
template <typename T>
T __shfl_xor_sync(unsigned mask, T value, int lanes) {
    return host::from_lane(mask, value, (threadIdx.x % host::WARP) ^ lanes);
}
template <typename T>
T __shfl_down_sync(unsigned mask, T value, unsigned lanes) {
    const unsigned lane = threadIdx.x % host::WARP;
    return host::from_lane(mask, value, lane + lanes < host::WARP ? lane + lanes : lane);
}
inline int __any_sync(unsigned mask, int predicate) {
    const uint64_t* votes = host::exchange(mask, predicate != 0);
    for (unsigned lane = 0; lane < host::WARP; ++lane) {
        if (votes[lane]) return 1;
    }
    return 0;
}

template <typename T>
T atomicAdd(T* address, T value) {
    const T old = *address;
    *address = old + value;
    return old;
}
template <typename T>
T atomicMin(T* address, T value) {
    const T old = *address;
    if (value < old) *address = value;
    return old;
}
template <typename T>
T atomicMax(T* address, T value) {
    const T old = *address;
    if (value > old) *address = value;
    return old;
}
template <typename T>
T atomicCAS(T* address, T compare, T value) {
    const T old = *address;
    if (old == compare) *address = value;
    return old;
}

inline unsigned __float_as_uint(float value) {
    unsigned bits;
    std::memcpy(&bits, &value, sizeof(bits));
    return bits;
}
inline float rsqrtf(float value) { return 1.0f / sqrtf(value); }
template <typename T>
T min(T a, T b) {
    return b < a ? b : a;
}
template <typename T>
T max(T a, T b) {
    return a < b ? b : a;
}
