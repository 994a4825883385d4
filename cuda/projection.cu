// SPDX-FileCopyrightText: The Mem4Nav stack developers
// SPDX-License-Identifier: Apache-2.0
// From Gaussians in the world to ellipses on the screen, and back: steps 1, 3 and 4 of slam/splatting/__init__.py, the
// twin of slam/splatting/projection.py. One thread a Gaussian.
//
//   m = R mean + t,  V = R Q diag(exp(log_scales)),  C = (J V)(J V)^T + BLUR_PX2 I
//   c = max(0, 0.5 + sum over k of Y_k(direction) harmonics_k)
//
// The ellipse leaves with its square completed: the exponent is -(across (dx - shear dy)^2 + along dy^2) / 2 with
// across = C_yy / det C, shear = C_xy / C_yy, along = 1 / C_yy.

constexpr float NEAR_M = 0.1f;
constexpr float NEAR_SIGMAS = 1.5f;
constexpr float BLUR_PX2 = 0.3f;
constexpr float LEAST_ALPHA = 1.0f / 255.0f;

// Spherical harmonics in the order and with the signs of 3D Gaussian splatting.
constexpr float C0 = 0.28209479177387814f, C1 = 0.4886025119029199f;
constexpr float C20 = 1.0925484305920792f, C21 = 0.31539156525252005f, C22 = 0.5462742152960396f;
constexpr float C30 = 0.5900435899266435f, C31 = 2.890611442640554f, C32 = 0.4570457994644658f;
constexpr float C33 = 0.3731763325901154f, C34 = 1.445305721320277f;

struct alignas(16) Splat {
    float x, y;                          // centre, px
    float across, shear, along;          // the completed square
    float opacity, red, green, blue;     // opacity 0: not on the screen
    float offset, nx, ny, nz;            // -n . m, m; normal n in the camera frame
    float half_width, half_height;       // of the ellipse alpha = LEAST_ALPHA, px
    float reach2;                        // -2 times the exponent there
};

// Columns of the sums over a splat's pixels, where h = (dL/da) a, r = dx - shear dy: h, h r, h dy, h r^2, h r dy,
// h dy^2; then of weights times slopes of colour (3), offset and normal (3). See cuda/rasterise.cu.
constexpr int SUMS = 13;

// The camera in single precision, as uploaded: one float after another.
struct Lens {
    float R[9], position[3];
    float fx, fy, cx, cy;
    float low_x, high_x, low_y, high_y;  // bounds of m_x / m_z and m_y / m_z in J
    float width, height;
};

struct Vec {
    float x, y, z;
};
__device__ Vec operator+(Vec a, Vec b) { return {a.x + b.x, a.y + b.y, a.z + b.z}; }
__device__ Vec operator-(Vec a, Vec b) { return {a.x - b.x, a.y - b.y, a.z - b.z}; }
__device__ Vec operator*(float s, Vec a) { return {s * a.x, s * a.y, s * a.z}; }
__device__ float dot(Vec a, Vec b) { return a.x * b.x + a.y * b.y + a.z * b.z; }
__device__ Vec cross(Vec a, Vec b) { return {a.y * b.z - a.z * b.y, a.z * b.x - a.x * b.z, a.x * b.y - a.y * b.x}; }
__device__ Vec row(const float* table, int i) { return {table[3 * i], table[3 * i + 1], table[3 * i + 2]}; }
__device__ Vec turned(const float* R, Vec v) { return {dot(row(R, 0), v), dot(row(R, 1), v), dot(row(R, 2), v)}; }
__device__ Vec turned_back(const float* R, Vec v) { return v.x * row(R, 0) + v.y * row(R, 1) + v.z * row(R, 2); }
__device__ void store(float* table, int i, Vec v) {
    table[3 * i] = v.x;
    table[3 * i + 1] = v.y;
    table[3 * i + 2] = v.z;
}

// m = R mean + t, in double precision: two Gaussians must not change places for a rounded depth.
__device__ Vec placed(const double* pose, Vec mean) {
    const double x = mean.x, y = mean.y, z = mean.z;
    return {static_cast<float>(pose[0] * x + pose[1] * y + pose[2] * z + pose[9]),
            static_cast<float>(pose[3] * x + pose[4] * y + pose[5] * z + pose[10]),
            static_cast<float>(pose[6] * x + pose[7] * y + pose[8] * z + pose[11])};
}

struct Quaternion {
    float x, y, z, w, inverse;  // of unit length; the inverse of the length before
};
__device__ Quaternion unit(const float* quats, int i) {
    const float x = quats[4 * i], y = quats[4 * i + 1], z = quats[4 * i + 2], w = quats[4 * i + 3];
    const float inverse = 1.0f / sqrtf(x * x + y * y + z * z + w * w);
    return {x * inverse, y * inverse, z * inverse, w * inverse, inverse};
}

// Columns of R Q: the Gaussian's axes in the camera frame.
struct Axes {
    Vec first, second, third;
};
__device__ Axes axes_of(Quaternion q, const float* R) {
    const float x = q.x, y = q.y, z = q.z, w = q.w;
    return {turned(R, {1.0f - 2.0f * (y * y + z * z), 2.0f * (x * y + w * z), 2.0f * (x * z - w * y)}),
            turned(R, {2.0f * (x * y - w * z), 1.0f - 2.0f * (x * x + z * z), 2.0f * (y * z + w * x)}),
            turned(R, {2.0f * (x * z + w * y), 2.0f * (y * z - w * x), 1.0f - 2.0f * (x * x + y * y)})};
}

// The rows of J V, and what J holds: fx / m_z, fy / m_z, and the clamped slants.
struct Flat {
    Vec p, q;
    float sx, sy, a, c;
};
__device__ Flat flattened(Vec m, Axes axes, Vec scale, const Lens& lens) {
    const float sx = lens.fx / m.z, sy = lens.fy / m.z;
    const float a = fminf(fmaxf(m.x / m.z, lens.low_x), lens.high_x);
    const float c = fminf(fmaxf(m.y / m.z, lens.low_y), lens.high_y);
    const Vec p = {scale.x * (axes.first.x - a * axes.first.z), scale.y * (axes.second.x - a * axes.second.z),
                   scale.z * (axes.third.x - a * axes.third.z)};
    const Vec q = {scale.x * (axes.first.y - c * axes.first.z), scale.y * (axes.second.y - c * axes.second.z),
                   scale.z * (axes.third.y - c * axes.third.z)};
    return {sx * p, sy * q, sx, sy, a, c};
}

// Whether the plane of the camera lies within NEAR_SIGMAS of the mean.
__device__ bool reaches_camera(Vec m, Axes axes, Vec scale) {
    const Vec deep = {scale.x * axes.first.z, scale.y * axes.second.z, scale.z * axes.third.z};
    return NEAR_SIGMAS * NEAR_SIGMAS * dot(deep, deep) >= m.z * m.z;
}

// Which axis is the normal: that of the smallest scale, the first of equals.
__device__ int thinnest(Vec log_scale) {
    if (log_scale.y < log_scale.x) return log_scale.z < log_scale.y ? 2 : 1;
    return log_scale.z < log_scale.x ? 2 : 0;
}
__device__ Vec axis_of(Axes axes, int k) { return k == 0 ? axes.first : k == 1 ? axes.second : axes.third; }
__device__ float towards_camera(Vec axis, Vec m) { return dot(axis, m) > 0.0f ? -1.0f : 1.0f; }

// Y_k at a unit direction; `count` of 1, 4, 9 or 16 are given to `use(k, Y_k)`.
template <typename Use>
__device__ void each_harmonic(Vec d, int count, Use use) {
    const float x = d.x, y = d.y, z = d.z;
    use(0, C0);
    if (count < 4) return;
    use(1, -C1 * y);
    use(2, C1 * z);
    use(3, -C1 * x);
    if (count < 9) return;
    const float xx = x * x, yy = y * y, zz = z * z;
    use(4, C20 * x * y);
    use(5, -C20 * y * z);
    use(6, C21 * (2.0f * zz - xx - yy));
    use(7, -C20 * x * z);
    use(8, C22 * (xx - yy));
    if (count < 16) return;
    use(9, -C30 * y * (3.0f * xx - yy));
    use(10, C31 * x * y * z);
    use(11, -C32 * y * (4.0f * zz - xx - yy));
    use(12, C33 * z * (2.0f * zz - 3.0f * xx - 3.0f * yy));
    use(13, -C32 * x * (4.0f * zz - xx - yy));
    use(14, C34 * z * (xx - yy));
    use(15, -C30 * x * (xx - 3.0f * yy));
}

// Gradient by the direction of sum over k of w(k) Y_k, the polynomials as they stand off the sphere.
template <typename Weight>
__device__ Vec harmonic_slope(Vec d, int count, Weight w) {
    const float x = d.x, y = d.y, z = d.z;
    Vec g = {-C1 * w(3), -C1 * w(1), C1 * w(2)};
    if (count < 9) return g;
    const float w4 = C20 * w(4), w5 = C20 * w(5), w6 = 2.0f * C21 * w(6), w7 = C20 * w(7), w8 = 2.0f * C22 * w(8);
    g = g + Vec{y * w4 - z * w7 + x * (w8 - w6), x * w4 - z * w5 - y * (w8 + w6), 2.0f * z * w6 - y * w5 - x * w7};
    if (count < 16) return g;
    const float xx = x * x, yy = y * y, zz = z * z, xy = x * y, xz = x * z, yz = y * z;
    g = g - C30 * w(9) * Vec{6.0f * xy, 3.0f * (xx - yy), 0.0f};
    g = g + C31 * w(10) * Vec{yz, xz, xy};
    g = g - C32 * w(11) * Vec{-2.0f * xy, 4.0f * zz - xx - 3.0f * yy, 8.0f * yz};
    g = g + C33 * w(12) * Vec{-6.0f * xz, -6.0f * yz, 6.0f * zz - 3.0f * xx - 3.0f * yy};
    g = g - C32 * w(13) * Vec{4.0f * zz - 3.0f * xx - yy, -2.0f * xy, 8.0f * xz};
    g = g + C34 * w(14) * Vec{2.0f * xz, -2.0f * yz, xx - yy};
    return g - C30 * w(15) * Vec{3.0f * (xx - yy), -6.0f * xy, 0.0f};
}

struct Sight {
    Vec direction;  // of unit length, from the camera, world frame
    float inverse;  // of the distance
};
__device__ Sight sighted(Vec mean, const Lens& lens) {
    const Vec way = mean - row(lens.position, 0);
    const float length2 = dot(way, way), inverse = length2 > 0.0f ? 1.0f / sqrtf(length2) : 0.0f;
    return {inverse * way, inverse};
}

// True where the ellipse covers a pixel's centre; its geometry goes into `splat`. Comparisons with NaN are false.
__device__ bool outlined(Vec m, Flat flat, float logit, const Lens& lens, Splat& splat) {
    const float opacity = 1.0f / (1.0f + expf(-logit));
    if (!(opacity >= LEAST_ALPHA)) return false;
    const float xx = dot(flat.p, flat.p) + BLUR_PX2, xy = dot(flat.p, flat.q), yy = dot(flat.q, flat.q) + BLUR_PX2;
    // det C with nothing large subtracted: BLUR (trace C - BLUR) + |p x q|^2 (Lagrange's identity).
    const Vec area = cross(flat.p, flat.q);
    const float det = BLUR_PX2 * (xx + yy - BLUR_PX2) + dot(area, area);
    if (!(det > 0.0f && det < 3e38f)) return false;
    const float reach2 = 2.0f * logf(opacity / LEAST_ALPHA);
    const float wide = sqrtf(reach2 * xx), high = sqrtf(reach2 * yy);
    const float u = lens.fx * m.x / m.z + lens.cx + 0.5f, v = lens.fy * m.y / m.z + lens.cy + 0.5f;
    if (!(u + wide >= 0.5f && u - wide <= lens.width - 0.5f)) return false;
    if (!(v + high >= 0.5f && v - high <= lens.height - 0.5f)) return false;
    splat = {u,    v,    yy / det, xy / yy, 1.0f / yy, opacity, 0.0f, 0.0f,
             0.0f, 0.0f, 0.0f,     0.0f,    0.0f,      wide,    high, reach2};
    return true;
}

// Splats of n Gaussians (see slam/splatting/gaussians.py) and their depths m_z; harmonics (n, count, 3). pose: R (3, 3)
// and t (3) of T_camera_world.
extern "C" __global__ void __launch_bounds__(256, 4)
project_forward(const float* __restrict__ means, const float* __restrict__ quats, const float* __restrict__ log_scales,
                const float* __restrict__ logits, const float* __restrict__ harmonics, int count, int n,
                const double* __restrict__ pose, const Lens* __restrict__ lens, Splat* __restrict__ splats,
                float* __restrict__ depths) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    Splat splat = {};
    const Vec mean = row(means, i), m = placed(pose, mean);
    if (m.z > NEAR_M) {
        const Vec log_scale = row(log_scales, i);
        const Axes axes = axes_of(unit(quats, i), lens->R);
        const Vec scale = {expf(log_scale.x), expf(log_scale.y), expf(log_scale.z)};
        if (!reaches_camera(m, axes, scale) &&
            outlined(m, flattened(m, axes, scale, *lens), logits[i], *lens, splat)) {
            Vec colour = {0.5f, 0.5f, 0.5f};
            const float* own = harmonics + 3 * count * static_cast<long long>(i);
            each_harmonic(sighted(mean, *lens).direction, count,
                          [&](int k, float basis) { colour = colour + basis * row(own, k); });
            splat.red = fmaxf(0.0f, colour.x);
            splat.green = fmaxf(0.0f, colour.y);
            splat.blue = fmaxf(0.0f, colour.z);
            const Vec axis = axis_of(axes, thinnest(log_scale)), normal = towards_camera(axis, m) * axis;
            splat.offset = -dot(normal, m);
            splat.nx = normal.x;
            splat.ny = normal.y;
            splat.nz = normal.z;
            if (!(fabsf(colour.x + colour.y + colour.z) < 3e38f)) splat.opacity = 0.0f;
        } else {
            splat.opacity = 0.0f;
        }
    }
    splats[i] = splat;
    depths[i] = m.z;
}

// Gradient by the quaternion as it is stored, from that by the columns of Q (world frame): dQ/dq, then
// (I - q q^T) / length.
__device__ void quaternion_slope(Quaternion q, Vec first, Vec second, Vec third, float* out) {
    const float x = q.x, y = q.y, z = q.z, w = q.w;
    const float gx = 2.0f * (y * (first.y + second.x) + z * (first.z + third.x) + w * (second.z - third.y) -
                             2.0f * x * (second.y + third.z));
    const float gy = 2.0f * (x * (first.y + second.x) + z * (second.z + third.y) + w * (third.x - first.z) -
                             2.0f * y * (first.x + third.z));
    const float gz = 2.0f * (x * (first.z + third.x) + y * (second.z + third.y) + w * (first.y - second.x) -
                             2.0f * z * (first.x + second.y));
    const float gw = 2.0f * (x * (second.z - third.y) + y * (third.x - first.z) + z * (first.y - second.x));
    const float along = gx * x + gy * y + gz * z + gw * w;
    out[0] = (gx - along * x) * q.inverse;
    out[1] = (gy - along * y) * q.inverse;
    out[2] = (gz - along * z) * q.inverse;
    out[3] = (gw - along * w) * q.inverse;
}

// Gradient by the mean through the direction of sight; the harmonics' own gradient goes into `out`.
__device__ Vec colour_slope(Vec mean, const Lens& lens, const float* own, int count, Vec g, float* out) {
    const Sight sight = sighted(mean, lens);
    each_harmonic(sight.direction, count, [&](int k, float basis) { store(out, k, basis * g); });
    if (count < 4) return {0.0f, 0.0f, 0.0f};
    const Vec slope = harmonic_slope(sight.direction, count, [&](int k) { return dot(g, row(own, k)); });
    return sight.inverse * (slope - dot(slope, sight.direction) * sight.direction);
}

// Gradients by the parameters of n Gaussians from the sums over their pixels, sums (n, SUMS); by the centre on the
// screen (norm); and by a turn of the camera frame, phi in p <- p + phi x p. That by a shift of it is R times that by
// the mean, to be summed by the caller. What is not on the screen keeps the zeros that the outputs come with.
extern "C" __global__ void __launch_bounds__(256, 3)
project_backward(const float* __restrict__ means, const float* __restrict__ quats,
                 const float* __restrict__ log_scales, const float* __restrict__ harmonics, int count, int n,
                 const double* __restrict__ pose, const Lens* __restrict__ lens, const Splat* __restrict__ splats,
                 const float* __restrict__ sums, float* __restrict__ to_means, float* __restrict__ to_quats,
                 float* __restrict__ to_log_scales, float* __restrict__ to_logits, float* __restrict__ to_harmonics,
                 float* __restrict__ to_turn, float* __restrict__ on_screen) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n || splats[i].opacity == 0.0f) return;
    const float* g = sums + SUMS * i;
    const Splat* splat = splats + i;
    const float A = splat->across, S = splat->shear, L = splat->along;
    to_logits[i] = g[0] * (1.0f - splat->opacity);
    // The exponent is -(A r^2 + L dy^2) / 2, and a step of the centre one of dx and dy the other way.
    const float to_u = A * g[1], to_v = L * g[2] - S * to_u;
    on_screen[i] = sqrtf(to_u * to_u + to_v * to_v);

    const Vec mean = row(means, i), m = placed(pose, mean);
    const Vec to_colour = {splat->red > 0.0f ? g[6] : 0.0f, splat->green > 0.0f ? g[7] : 0.0f,
                           splat->blue > 0.0f ? g[8] : 0.0f};
    const long long start = 3 * count * static_cast<long long>(i);
    const Vec by_sight = colour_slope(mean, *lens, harmonics + start, count, to_colour, to_harmonics + start);

    const Quaternion q = unit(quats, i);
    const Axes axes = axes_of(q, lens->R);
    const Vec log_scale = row(log_scales, i);
    const Vec scale = {expf(log_scale.x), expf(log_scale.y), expf(log_scale.z)};
    const Flat flat = flattened(m, axes, scale, *lens);

    // From the completed square to C, and on to the rows p and q of J V.
    const float to_across = -0.5f * g[3], to_shear = A * g[4], to_along = -0.5f * g[5];
    const float to_xx = -A * A * to_across;
    const float to_xy = 2.0f * S * A * A * to_across + L * to_shear;
    const float to_yy = -S * S * A * A * to_across - S * L * to_shear - L * L * to_along;
    const Vec to_p = 2.0f * to_xx * flat.p + to_xy * flat.q, to_q = to_xy * flat.p + 2.0f * to_yy * flat.q;

    // V's columns are scale_k axis_k; p_k = sx (V_xk - a V_zk), q_k = sy (V_yk - c V_zk).
    const Vec tx = flat.sx * to_p, ty = flat.sy * to_q, tz = -flat.a * tx - flat.c * ty;
    Vec first = {scale.x * tx.x, scale.x * ty.x, scale.x * tz.x};
    Vec second = {scale.y * tx.y, scale.y * ty.y, scale.y * tz.y};
    Vec third = {scale.z * tx.z, scale.z * ty.z, scale.z * tz.z};
    store(to_log_scales, i, {dot(first, axes.first), dot(second, axes.second), dot(third, axes.third)});

    const int k = thinnest(log_scale);
    // The offset is -n . m.
    const Vec axis = axis_of(axes, k), none = {0.0f, 0.0f, 0.0f};
    const float sign = towards_camera(axis, m), to_offset = sign * g[9];
    const Vec to_axis = sign * Vec{g[10], g[11], g[12]} - to_offset * m;
    first = first + (k == 0 ? to_axis : none);
    second = second + (k == 1 ? to_axis : none);
    third = third + (k == 2 ? to_axis : none);
    quaternion_slope(q, turned_back(lens->R, first), turned_back(lens->R, second), turned_back(lens->R, third),
                     to_quats + 4 * i);

    // m enters by the centre, the offset, the scale of J and, where they are not clamped, the slants in J.
    const Vec deep = {scale.x * axes.first.z, scale.y * axes.second.z, scale.z * axes.third.z};
    const float a = m.x / m.z, c = m.y / m.z;
    const float to_a = lens->fx * to_u - (a == flat.a ? dot(tx, deep) : 0.0f);
    const float to_c = lens->fy * to_v - (c == flat.c ? dot(ty, deep) : 0.0f);
    const float to_z = -(dot(to_p, flat.p) + dot(to_q, flat.q) + to_a * a + to_c * c);
    const Vec to_m = 1.0f / m.z * Vec{to_a, to_c, to_z} - to_offset * axis;
    store(to_means, i, turned_back(lens->R, to_m) + by_sight);
    const Vec by_axes = cross(axes.first, first) + cross(axes.second, second) + cross(axes.third, third);
    store(to_turn, i, cross(m, to_m) + by_axes);
}
