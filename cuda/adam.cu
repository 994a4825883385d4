// SPDX-FileCopyrightText: The Mem4Nav stack developers
// SPDX-License-Identifier: Apache-2.0
// Adam on rows of parameters (Kingma and Ba 2015), the twin of slam/gaussian_map/adam.py.
//
//   m <- b1 m + (1 - b1) g,  v <- b2 v + (1 - b2) g^2
//   x <- x - rate (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + epsilon)

constexpr float BETA1 = 0.9f;
constexpr float BETA2 = 0.999f;
constexpr float FRESH1 = 0.1f;  // 1 - b1 and 1 - b2, which a subtraction of floats would keep to four digits
constexpr float FRESH2 = 0.001f;
constexpr float EPSILON = 1e-15f;
constexpr float LOG_BETA1 = -0.105360515657826301f;
constexpr float LOG_BETA2 = -0.00100050033358353350f;

// One thread per number of an (n, width) array; `steps` (n) counts this step already. Rows not seen rest.
extern "C" __global__ void __launch_bounds__(256)
adam_step(float* __restrict__ values, const float* __restrict__ gradients, float* __restrict__ first,
          float* __restrict__ second, const int* __restrict__ steps, const unsigned char* __restrict__ seen,
          int n, int width, float rate) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n * width || !seen[i / width]) return;
    const float t = static_cast<float>(steps[i / width]);
    // 1 - b^t by expm1: after one step 1 - 0.999 would lose as much.
    const float left1 = -expm1f(t * LOG_BETA1);
    const float left2 = -expm1f(t * LOG_BETA2);
    const float g = gradients[i];
    const float m = BETA1 * first[i] + FRESH1 * g;
    const float v = BETA2 * second[i] + FRESH2 * g * g;
    first[i] = m;
    second[i] = v;
    values[i] -= rate / left1 * m / (sqrtf(v / left2) + EPSILON);
}
