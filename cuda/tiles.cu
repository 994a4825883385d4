// SPDX-FileCopyrightText: The Mem4Nav stack developers
// SPDX-License-Identifier: Apache-2.0
// Which tiles of the picture each splat reaches: step 2 of slam/splatting/__init__.py. Each pair of a splat and a tile
// is an entry; sorted by tile and depth (keys of 64 bits), a tile's entries lie side by side, front to back.

constexpr int TILE = 16;
constexpr float SLACK_PX = 0.01f;  // so that no rounding loses a pixel; pixels beyond the ellipse get nothing anyway

struct alignas(16) Splat {
    float x, y, across, shear, along, opacity, red, green, blue, offset, nx, ny, nz, half_width, half_height, reach2;
};

struct Span {
    int first, last;
};

// Tiles, of `tiles`, with a pixel's centre between `low` and `high`.
__device__ Span spanned(float low, float high, int tiles) {
    const float first = ceilf((low - SLACK_PX - (TILE - 0.5f)) / TILE), last = floorf((high + SLACK_PX - 0.5f) / TILE);
    return {static_cast<int>(fmaxf(first, 0.0f)), static_cast<int>(fminf(last, tiles - 1.0f))};
}

// Offset of the ellipse's edge to the right (side 1) or left (-1) at its widest between the heights low and high:
// dx = shear dy + side sqrt((reach2 - along dy^2) / across), greatest at dy = side shear reach2 / (along half_width).
__device__ float edge(const Splat& s, float side, float low, float high) {
    const float widest = side * s.shear * s.reach2 / (s.along * s.half_width);
    const float dy = fminf(fmaxf(widest, low), high);
    return s.shear * dy + side * sqrtf(fmaxf(s.reach2 - s.along * dy * dy, 0.0f) / s.across);
}

// Tiles of row j that the ellipse reaches.
__device__ Span reached(const Splat& s, int j, int columns) {
    const float low = fmaxf(j * TILE + 0.5f - SLACK_PX - s.y, -s.half_height);
    const float high = fminf(j * TILE + TILE - 0.5f + SLACK_PX - s.y, s.half_height);
    return spanned(s.x + edge(s, -1.0f, low, high), s.x + edge(s, 1.0f, low, high), columns);
}

// Number of tiles that each of n splats reaches.
extern "C" __global__ void __launch_bounds__(256)
tile_count(const Splat* __restrict__ splats, int n, int columns, int rows, int* __restrict__ counts) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    int count = 0;
    if (splats[i].opacity > 0.0f) {
        const Splat splat = splats[i];
        const Span high = spanned(splat.y - splat.half_height, splat.y + splat.half_height, rows);
        for (int j = high.first; j <= high.last; ++j) {
            const Span wide = reached(splat, j, columns);
            count += max(wide.last - wide.first + 1, 0);
        }
    }
    counts[i] = count;
}

// Keys (tile above, bits of the depth m_z below) and owners of all entries; `ends` are the running sums of `counts`.
extern "C" __global__ void __launch_bounds__(256)
tile_entries(const Splat* __restrict__ splats, const float* __restrict__ depths, int n, int columns, int rows,
             const int* __restrict__ counts, const int* __restrict__ ends, unsigned long long* __restrict__ keys,
             int* __restrict__ owners) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n || counts[i] == 0) return;
    const Splat splat = splats[i];
    const unsigned long long depth = __float_as_uint(depths[i]);
    const Span high = spanned(splat.y - splat.half_height, splat.y + splat.half_height, rows);
    const int end = ends[i];
    int e = end - counts[i];
    for (int j = high.first; j <= high.last; ++j) {
        const Span wide = reached(splat, j, columns);
        // A compiler may round the two kernels' sums differently: never beyond what was counted ...
        for (int k = wide.first; k <= wide.last && e < end; ++k, ++e) {
            keys[e] = static_cast<unsigned long long>(j * columns + k) << 32 | depth;
            owners[e] = i;
        }
    }
    // ... and what was counted too much belongs to no tile.
    for (; e < end; ++e) {
        keys[e] = static_cast<unsigned long long>(columns * rows) << 32;
        owners[e] = i;
    }
}

// Tile of the k-th entry in sorted order; `tiles` past the last.
__device__ int tile_at(const unsigned long long* keys, const long long* order, int k, int entries, int tiles) {
    return k < entries ? min(static_cast<int>(keys[order[k]] >> 32), tiles) : tiles;
}

// Where the members of each tile begin, starts (tiles + 1), and the splats in sorted order. Entries + 1 threads.
extern "C" __global__ void __launch_bounds__(256)
tile_starts(const unsigned long long* __restrict__ keys, const int* __restrict__ owners,
            const long long* __restrict__ order, int entries, int tiles, int* __restrict__ starts,
            int* __restrict__ members) {
    const int k = blockIdx.x * blockDim.x + threadIdx.x;
    if (k > entries) return;
    const int tile = tile_at(keys, order, k, entries, tiles);
    const int before = k > 0 ? tile_at(keys, order, k - 1, entries, tiles) : -1;
    for (int empty = before + 1; empty <= tile; ++empty) starts[empty] = k;
    if (k < entries) members[k] = owners[order[k]];
}

// Sums over each splat's entries, values (entries, width) to sums (n, width), in their order: no atomics, so that the
// same input gives the same bytes. One thread per splat and column.
extern "C" __global__ void __launch_bounds__(256)
sum_entries(const float* __restrict__ values, int width, const int* __restrict__ counts, const int* __restrict__ ends,
            int n, float* __restrict__ sums) {
    const int thread = blockIdx.x * blockDim.x + threadIdx.x;
    if (thread >= n * width) return;
    const int i = thread / width, column = thread % width;
    float sum = 0.0f;
    for (int e = ends[i] - counts[i]; e < ends[i]; ++e) sum += values[width * static_cast<long long>(e) + column];
    sums[thread] = sum;
}
