// SPDX-FileCopyrightText: The Mem4Nav stack developers
// SPDX-License-Identifier: Apache-2.0
// Blending splats into tiles and back: steps 2 and 5 of slam/splatting/__init__.py, the twin of
// slam/splatting/rasterise.py. A block is a tile of 16 x 16 pixels, a warp 8 x 4 of them, a thread one.
//
//   a = min(MOST_ALPHA, opacity exp(-(across r^2 + along dy^2) / 2)),  r = dx - shear dy
//   T = 1; front to back: if T (1 - a) < LEAST_LIGHT: stop; w = T a; picture += w (colour, offset, normal); T *= 1 - a
//
// The way back runs front to back as well: with v = sum over channels of value times slope and B what is behind,
// dL/da = T v - B / (1 - a), where B is the pixel's whole less what was passed.
//
// Sums over a tile's pixels go to the entry of the splat in that tile, never by atomics: the same input gives the same
// bytes. cuda/tiles.cu adds up the entries.

constexpr int TILE = 16;
constexpr float MOST_ALPHA = 0.99f;
constexpr float LEAST_ALPHA = 1.0f / 255.0f;
constexpr float LEAST_LIGHT = 0.9e-4f;

constexpr int WARPS = TILE * TILE / 32;
constexpr unsigned EVERYONE = 0xFFFFFFFFu;
constexpr int CHANNELS = 7;  // colour (3), offset, normal (3)
constexpr int SUMS = 13;     // h, h r, h dy, h r^2, h r dy, h dy^2, and the channels' weights times slopes

constexpr int FORWARD_BATCH = 128, BACKWARD_BATCH = 32;  // splats that a block keeps in shared memory

struct alignas(16) Splat {
    float x, y, across, shear, along, opacity, red, green, blue, offset, nx, ny, nz, half_width, half_height, reach2;
};

struct Pixel {
    int column, row, index;
    bool inside;
};
__device__ Pixel own_pixel(int columns, int width, int height) {
    const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    const int column = blockIdx.x % columns * TILE + warp % 2 * 8 + lane % 8;
    const int row = blockIdx.x / columns * TILE + warp / 2 * 4 + lane / 8;
    return {column, row, row * width + column, column < width && row < height};
}

// Offset of the pixel's centre from the splat's, and alpha there, before MOST_ALPHA.
struct Meeting {
    float r, dy, full;
};
__device__ Meeting meet(const Splat& s, const Pixel& pixel) {
    const float dy = pixel.row + 0.5f - s.y, r = pixel.column + 0.5f - s.x - s.shear * dy;
    return {r, dy, s.opacity * expf(-0.5f * (s.across * r * r + s.along * dy * dy))};
}

__device__ float warp_sum(float value) {
    for (int step = 16; step > 0; step /= 2) value += __shfl_xor_sync(EVERYONE, value, step);
    return value;
}

// The picture (height, width, CHANNELS), alpha (height, width), and the weights of each entry, which come as zeros.
// starts, members, order: see cuda/tiles.cu.
extern "C" __global__ void __launch_bounds__(256, 4)
rasterise_forward(const Splat* __restrict__ splats, const int* __restrict__ starts, const int* __restrict__ members,
                  const long long* __restrict__ order, int columns, int width, int height,
                  const float* __restrict__ background, float* __restrict__ picture, float* __restrict__ alpha,
                  float* __restrict__ weights) {
    __shared__ Splat batch[FORWARD_BATCH];
    __shared__ float tally[FORWARD_BATCH][WARPS];
    const Pixel pixel = own_pixel(columns, width, height);
    const int end = starts[blockIdx.x + 1];
    bool alive = pixel.inside;
    float light = 1.0f, red = 0.0f, green = 0.0f, blue = 0.0f, offset = 0.0f, nx = 0.0f, ny = 0.0f, nz = 0.0f;
    for (int first = starts[blockIdx.x]; first < end; first += FORWARD_BATCH) {
        if (__syncthreads_count(alive) == 0) break;
        const int size = min(FORWARD_BATCH, end - first);
        if (threadIdx.x < size) batch[threadIdx.x] = splats[members[first + threadIdx.x]];
        __syncthreads();
        for (int j = 0; j < size; ++j) {
            const Splat& s = batch[j];
            float weight = 0.0f;
            if (alive) {
                const float a = fminf(MOST_ALPHA, meet(s, pixel).full), left = light * (1.0f - a);
                if (a >= LEAST_ALPHA && left < LEAST_LIGHT) {
                    alive = false;
                } else if (a >= LEAST_ALPHA) {
                    weight = light * a;
                    light = left;
                    red += weight * s.red;
                    green += weight * s.green;
                    blue += weight * s.blue;
                    offset += weight * s.offset;
                    nx += weight * s.nx;
                    ny += weight * s.ny;
                    nz += weight * s.nz;
                }
            }
            float sum = 0.0f;
            if (__any_sync(EVERYONE, weight > 0.0f)) sum = warp_sum(weight);
            if (threadIdx.x % 32 == 0) tally[j][threadIdx.x / 32] = sum;
        }
        __syncthreads();
        if (threadIdx.x < size) {
            float sum = 0.0f;
            for (int warp = 0; warp < WARPS; ++warp) sum += tally[threadIdx.x][warp];
            weights[order[first + threadIdx.x]] = sum;
        }
    }
    if (!pixel.inside) return;
    float* out = picture + CHANNELS * pixel.index;
    out[0] = red + light * background[0];
    out[1] = green + light * background[1];
    out[2] = blue + light * background[2];
    out[3] = offset;
    out[4] = nx;
    out[5] = ny;
    out[6] = nz;
    alpha[pixel.index] = 1.0f - light;
}

// Sums of 16 numbers a lane over the warp, halved at each exchange: 16 shuffles in the place of 80. Lane l leaves with
// the sum of number l / 2.
__device__ float sum_transposed(float (&v)[16]) {
#pragma unroll
    for (int half = 8; half > 0; half /= 2) {
        const bool upper = threadIdx.x & (2 * half);
#pragma unroll
        for (int k = 0; k < half; ++k) {
            const float give = upper ? v[k] : v[k + half], keep = upper ? v[k + half] : v[k];
            v[k] = keep + __shfl_xor_sync(EVERYONE, give, 2 * half);
        }
    }
    return v[0] + __shfl_xor_sync(EVERYONE, v[0], 1);
}

// Sums (entries, SUMS), which come as zeros, from the slopes (height, width, CHANNELS) by the picture and by alpha.
extern "C" __global__ void __launch_bounds__(256, 4)
rasterise_backward(const Splat* __restrict__ splats, const int* __restrict__ starts, const int* __restrict__ members,
                   const long long* __restrict__ order, int columns, int width, int height,
                   const float* __restrict__ picture, const float* __restrict__ alpha,
                   const float* __restrict__ slopes, const float* __restrict__ by_alpha, float* __restrict__ sums) {
    __shared__ Splat batch[BACKWARD_BATCH];
    __shared__ float tally[BACKWARD_BATCH][WARPS][SUMS];
    const Pixel pixel = own_pixel(columns, width, height);
    const int end = starts[blockIdx.x + 1], lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    bool alive = pixel.inside;
    float light = 1.0f, rest = 0.0f, slope[CHANNELS] = {};
    if (pixel.inside) {
        rest = by_alpha[pixel.index] * (alpha[pixel.index] - 1.0f);
#pragma unroll
        for (int c = 0; c < CHANNELS; ++c) {
            slope[c] = slopes[CHANNELS * pixel.index + c];
            rest += slope[c] * picture[CHANNELS * pixel.index + c];
        }
    }
    for (int first = starts[blockIdx.x]; first < end; first += BACKWARD_BATCH) {
        if (__syncthreads_count(alive) == 0) break;
        const int size = min(BACKWARD_BATCH, end - first);
        if (threadIdx.x < size) batch[threadIdx.x] = splats[members[first + threadIdx.x]];
        __syncthreads();
        for (int j = 0; j < size; ++j) {
            const Splat& s = batch[j];
            float v[16] = {};
            bool adds = false;
            if (alive) {
                const Meeting at = meet(s, pixel);
                const float a = fminf(MOST_ALPHA, at.full), left = light * (1.0f - a);
                adds = a >= LEAST_ALPHA && left >= LEAST_LIGHT;
                alive = adds || a < LEAST_ALPHA;
                if (adds) {
                    const float weight = light * a;
                    const float value = s.red * slope[0] + s.green * slope[1] + s.blue * slope[2] +
                                        s.offset * slope[3] + s.nx * slope[4] + s.ny * slope[5] + s.nz * slope[6];
                    rest -= weight * value;
                    // A clamped alpha passes nothing on.
                    const float h = at.full < MOST_ALPHA ? a * (light * value - rest / (1.0f - a)) : 0.0f;
                    light = left;
                    v[0] = h;
                    v[1] = h * at.r;
                    v[2] = h * at.dy;
                    v[3] = h * at.r * at.r;
                    v[4] = h * at.r * at.dy;
                    v[5] = h * at.dy * at.dy;
#pragma unroll
                    for (int c = 0; c < CHANNELS; ++c) v[6 + c] = weight * slope[c];
                }
            }
            float sum = 0.0f;
            if (__any_sync(EVERYONE, adds)) sum = sum_transposed(v);
            if (lane % 2 == 0 && lane / 2 < SUMS) tally[j][warp][lane / 2] = sum;
        }
        __syncthreads();
        for (int k = threadIdx.x; k < size * SUMS; k += TILE * TILE) {
            float sum = 0.0f;
            for (int w = 0; w < WARPS; ++w) sum += tally[k / SUMS][w][k % SUMS];
            sums[SUMS * order[first + k / SUMS] + k % SUMS] = sum;
        }
    }
}
