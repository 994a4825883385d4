// SPDX-FileCopyrightText: The Mem4Nav stack developers
// SPDX-License-Identifier: Apache-2.0
// Voxels in a hash table by 64-bit Morton key, the twin of slam/morton.py and of `find` in slam/octree.py.
//
// Open addressing with linear probing in a power of two of entries; entry = mix(key) mod size. A batch is inserted in
// three launches, so that voxels are numbered by their first point, as one thread would number them, and not by
// whichever thread came first: claim the entries, see which points are first in theirs, number these.

typedef unsigned long long Key;

constexpr Key EMPTY = ~0ull;  // no voxel has it: keys are of 63 bits
constexpr int BITS = 21;
constexpr int LIMIT = 1 << (BITS - 1);

// Bits of one index, two zeros between each.
__device__ Key spread(Key x) {
    x &= 0x1FFFFFull;
    x = (x | (x << 32)) & 0x1F00000000FFFFull;
    x = (x | (x << 16)) & 0x1F0000FF0000FFull;
    x = (x | (x << 8)) & 0x100F00F00F00F00Full;
    x = (x | (x << 4)) & 0x10C30C30C30C30C3ull;
    return (x | (x << 2)) & 0x1249249249249249ull;
}

__device__ Key encode(int ix, int iy, int iz) {
    return spread(ix + LIMIT) | (spread(iy + LIMIT) << 1) | (spread(iz + LIMIT) << 2);
}

// The finaliser of MurmurHash3.
__device__ Key mix(Key h) {
    h = (h ^ (h >> 33)) * 0xFF51AFD7ED558CCDull;
    h = (h ^ (h >> 33)) * 0xC4CEB9FE1A85EC53ull;
    return h ^ (h >> 33);
}

__device__ bool outside(double index) { return !(index >= -LIMIT && index < LIMIT); }

// Key of the voxel of `side` metres that each of n points (n, 3) lies in; EMPTY where no key reaches.
extern "C" __global__ void __launch_bounds__(256)
voxel_keys(const double* __restrict__ points, double side, int n, Key* __restrict__ keys) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    const double inv = 1.0 / side;
    const double x = floor(points[3 * i] * inv), y = floor(points[3 * i + 1] * inv), z = floor(points[3 * i + 2] * inv);
    const bool lost = outside(x) || outside(y) || outside(z);
    keys[i] = lost ? EMPTY : encode(static_cast<int>(x), static_cast<int>(y), static_cast<int>(z));
}

// Entry of the key, or of the gap where it would stand.
__device__ int probe(const Key* table, int size, Key key) {
    int h = static_cast<int>(mix(key) & static_cast<Key>(size - 1));
    while (table[h] != key && table[h] != EMPTY) h = (h + 1) & (size - 1);
    return h;
}

// Slot of each key, or -1.
extern "C" __global__ void __launch_bounds__(256)
hash_find(const Key* __restrict__ table, const int* __restrict__ slots, int size, const Key* __restrict__ keys, int n,
          int* __restrict__ found) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    int slot = -1;
    if (keys[i] != EMPTY) {
        const int h = probe(table, size, keys[i]);
        if (table[h] == keys[i]) slot = slots[h];
    }
    found[i] = slot;
}

// Give each key an entry and leave there the least i that asked for it. The table must have a gap for each new key.
extern "C" __global__ void __launch_bounds__(256)
hash_claim(Key* table, int* first, int size, const Key* __restrict__ keys, int n) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n || keys[i] == EMPTY) return;
    const Key key = keys[i];
    int h = static_cast<int>(mix(key) & static_cast<Key>(size - 1));
    while (true) {
        const Key there = atomicCAS(&table[h], EMPTY, key);
        if (there == EMPTY || there == key) break;
        h = (h + 1) & (size - 1);
    }
    atomicMin(&first[h], i);
}

// 1 for each key that has no slot yet and is the first of its like in the batch.
extern "C" __global__ void __launch_bounds__(256)
hash_leaders(const Key* __restrict__ table, const int* __restrict__ slots, const int* __restrict__ first, int size,
             const Key* __restrict__ keys, int n, int* __restrict__ leads) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    int lead = 0;
    if (keys[i] != EMPTY) {
        const int h = probe(table, size, keys[i]);
        lead = slots[h] < 0 && first[h] == i;
    }
    leads[i] = lead;
}

// Number the leaders: `ranks` are the inclusive running sums of `leads`; the slot is used + rank - 1.
extern "C" __global__ void __launch_bounds__(256)
hash_number(const Key* __restrict__ table, int* slots, int size, const Key* __restrict__ keys,
            const int* __restrict__ leads, const int* __restrict__ ranks, int n, int used) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n || !leads[i]) return;
    slots[probe(table, size, keys[i])] = used + ranks[i] - 1;
}
