// SPDX-FileCopyrightText: The Mem4Nav stack developers
// SPDX-License-Identifier: Apache-2.0
// Normal equations of points against their planes (Yuan et al. 2022, sections III-C and IV), the twin of
// slam/registration.py for points whose planes are known.
//
//   z = -n^T (R p + t - q),  H = s [(p x R^T n)^T, n^T],  R^-1 = 1 / sigma^2
//   sigma^2 = var(q) + tilt1 a^2 + tilt2 b^2 + n^T S_p n,  gate z^2 <= 9 (sigma^2 + n^T S_pose n)
//
// In double precision: odom reaches kilometres. One point a thread, and a row of sums a block: the rows are added
// afterwards in their order, so that the same scan gives the same bits, which atomics would not.

constexpr int THREADS = 256;
constexpr int WARPS = THREADS / 32;
constexpr unsigned EVERYONE = 0xFFFFFFFFu;

// Columns of a plane's row, as in slam/octree.py.
constexpr int VARIANCE = 12, TILT1 = 13, TILT2 = 14, REACH2 = 15, PLANE_COLUMNS = 16;

// Of `settings`: stiffness; LiDAR origin turned into odom (3); rotation variance; C_pp (xx xy xz yy yz zz); noise along
// the beam (m^2), across it (rad^2), floor (m^2).
constexpr int STIFFNESS = 0, LEVER = 1, TURN = 4, SHIFT = 5, RANGE2 = 11, BEARING2 = 12, FLOOR2 = 13;

// Of a row of sums: upper triangle of H^T R^-1 H (21), H^T R^-1 z (6), upper triangle of the noise information (6),
// matched, sum of squares, weight.
constexpr int VECTOR = 21, NOISE = 27, MATCHED = 33, SUMS = 36;

// Sum over the block's threads, complete in thread 0 of each warp only; `room` keeps one number a warp and sum.
__device__ void add_up(double value, int which, double (*room)[SUMS]) {
    for (int step = 16; step > 0; step /= 2) value += __shfl_xor_sync(EVERYONE, value, step);
    if (threadIdx.x % 32 == 0) room[threadIdx.x / 32][which] = value;
}

struct Match {
    double weight;    // 1 / sigma^2, 0 where the point is beyond a gate
    double distance;  // n^T (R p + t - q)
};

// (rx, ry, rz) is R p; (x, y, z) the point in odom.
__device__ Match match(const double* plane, const double* settings, double rx, double ry, double rz, double x, double y,
                       double z) {
    const double dx = x - plane[3], dy = y - plane[4], dz = z - plane[5];
    const double nx = plane[0], ny = plane[1], nz = plane[2];
    const double distance = nx * dx + ny * dy + nz * dz;
    // Asked this way round, a gate also stops what is not a number.
    if (!(dx * dx + dy * dy + dz * dz - distance * distance <= plane[REACH2])) return {0.0, 0.0};
    const double a = plane[6] * dx + plane[7] * dy + plane[8] * dz, b = plane[9] * dx + plane[10] * dy + plane[11] * dz;
    // n^T S_p n, S_p = range2 d d^T + bearing2 r^2 (I - d d^T) + floor2 I along the beam d of length r.
    const double lx = rx - settings[LEVER], ly = ry - settings[LEVER + 1], lz = rz - settings[LEVER + 2];
    const double r2 = lx * lx + ly * ly + lz * lz, across = settings[BEARING2] * r2;
    const double along = nx * lx + ny * ly + nz * lz;
    const double measured = across + settings[FLOOR2] + (settings[RANGE2] - across) / fmax(r2, 1e-9) * along * along;
    const double sigma2 = plane[VARIANCE] + plane[TILT1] * a * a + plane[TILT2] * b * b + measured;
    // n^T ([R p]x C_tt [R p]x^T + C_pp) n.
    const double lever = nx * rx + ny * ry + nz * rz;
    const double* P = settings + SHIFT;
    const double pose = settings[TURN] * (rx * rx + ry * ry + rz * rz - lever * lever) + P[0] * nx * nx +
                        P[3] * ny * ny + P[5] * nz * nz + 2.0 * (P[1] * nx * ny + P[2] * nx * nz + P[4] * ny * nz);
    if (!(distance * distance <= 9.0 * (sigma2 + pose))) return {0.0, 0.0};
    return {1.0 / sigma2, distance};
}

// points (n, 4): x, y, z, share; matches (n): row of the plane, negative for none; rotations (poses, 3, 3) and
// translations (poses, 3) by share. partials (blocks, SUMS).
extern "C" __global__ void __launch_bounds__(256, 3)
point_to_plane(const double* __restrict__ points, const long long* __restrict__ matches,
               const double* __restrict__ planes, const double* __restrict__ rotations,
               const double* __restrict__ translations, const double* __restrict__ settings, int n, int poses,
               double* __restrict__ partials) {
    __shared__ double room[WARPS][SUMS];
    const int i = blockIdx.x * THREADS + threadIdx.x;
    double weight = 0.0, distance = 0.0, share = 0.0;
    double h[6] = {0.0, 0.0, 0.0, 0.0, 0.0, 0.0};
    const double* plane = planes;
    if (i < n && matches[i] >= 0) {
        plane = planes + PLANE_COLUMNS * matches[i];
        const double px = points[4 * i], py = points[4 * i + 1], pz = points[4 * i + 2], when = points[4 * i + 3];
        const int k = static_cast<int>(when * (poses - 1) + 0.5);
        const double *R = rotations + 9 * k, *t = translations + 3 * k;
        const double rx = R[0] * px + R[1] * py + R[2] * pz;
        const double ry = R[3] * px + R[4] * py + R[5] * pz;
        const double rz = R[6] * px + R[7] * py + R[8] * pz;
        const Match found = match(plane, settings, rx, ry, rz, rx + t[0], ry + t[1], rz + t[2]);
        if (found.weight > 0.0) {
            weight = found.weight;
            distance = found.distance;
            share = settings[STIFFNESS] + (1.0 - settings[STIFFNESS]) * when;
            const double nx = plane[0], ny = plane[1], nz = plane[2];
            const double bx = R[0] * nx + R[3] * ny + R[6] * nz;
            const double by = R[1] * nx + R[4] * ny + R[7] * nz;
            const double bz = R[2] * nx + R[5] * ny + R[8] * nz;
            h[0] = share * (py * bz - pz * by);
            h[1] = share * (pz * bx - px * bz);
            h[2] = share * (px * by - py * bx);
            h[3] = share * nx;
            h[4] = share * ny;
            h[5] = share * nz;
        }
    }
    int which = 0;
#pragma unroll
    for (int r = 0; r < 6; ++r) {
#pragma unroll
        for (int c = r; c < 6; ++c) add_up(weight * h[r] * h[c], which++, room);
    }
#pragma unroll
    for (int r = 0; r < 6; ++r) add_up(-weight * h[r] * distance, VECTOR + r, room);
    const double tilt1 = weight > 0.0 ? weight * share * share * plane[TILT1] : 0.0;
    const double tilt2 = weight > 0.0 ? weight * share * share * plane[TILT2] : 0.0;
    which = NOISE;
#pragma unroll
    for (int r = 0; r < 3; ++r) {
#pragma unroll
        for (int c = r; c < 3; ++c)
            add_up(tilt1 * plane[6 + r] * plane[6 + c] + tilt2 * plane[9 + r] * plane[9 + c], which++, room);
    }
    add_up(weight > 0.0 ? 1.0 : 0.0, MATCHED, room);
    add_up(weight > 0.0 ? distance * distance : 0.0, MATCHED + 1, room);
    add_up(share * share * weight, MATCHED + 2, room);
    __syncthreads();
    if (threadIdx.x < SUMS) {
        double sum = 0.0;
        for (int warp = 0; warp < WARPS; ++warp) sum += room[warp][threadIdx.x];
        partials[SUMS * blockIdx.x + threadIdx.x] = sum;
    }
}
