/* The element-wise tail of a MultiGatedUnit, forward and backward, in two passes over the data each.

   With L the layer's output, t the bypass, both (rows, channels) and channels contiguous, A the activation, and c1 to c5
   the weights, (groups, channels), the same for rows / groups rows on end:

       z = A(L)    x1 = (L - m1) r1    x2 = (z - m2) r2    x3 = (z - m3) r3    u = A(w1 x1 + b1)
       y = c1 u + c2 (w2 x2 + b2) + c3 (w3 x3 + b3) + c4 z + c5 t

   m1, m2 and r = 1 / sqrt(var + eps) are per channel over all rows (batch norm), m3 and r3 per row over all channels
   (layer norm). Only L and t are kept for the backward pass: z and u are worked out anew.

   The rows are cut into chunks that do not depend on the number of threads, and what the chunks give is added up in
   their order, in double: results are the same for any number of threads. No -ffast-math: a NaN has to stay one.

   Compiled with -DACTIVATE= the name of one of the activations below. */

#include <math.h>
#include <stdint.h>
#include <string.h>

#define CHUNK 64

typedef struct {
    int64_t rows, channels, groups, threads;
    float positive, negative;                  /* the activation's two numbers */
    double eps1, eps2, eps3;
    const float *layer, *bypass;               /* L, t: (rows, channels) */
    const float *weights;                      /* c1 .. c5: (5, groups, channels) */
    const float *norms;                        /* w1, b1, w2, b2, w3, b3: (6, channels) */
    float *row_stats;                          /* m3, r3: (2, rows) */
    float *channel_stats;                      /* m1, r1, m2, r2: (4, channels) */
    double *moments;                           /* mean and biased variance of L and of z: (4, channels) */
    float *partial;                            /* what each chunk gives: (chunks, 4 or 7, channels) */
    double *totals;                            /* (7, channels), a group's sums, backward only */
    double *norm_sums;                         /* gradients of the norms' w and b: (6, channels), backward only */
    float *output;                             /* y: (rows, channels) */
    const float *grad;                         /* g = dloss/dy: (rows, channels) */
    float *grad_layer, *grad_bypass;           /* (rows, channels) */
    float *grad_weights, *grad_norms;          /* (5, groups, channels), (6, channels) */
} Tail;

typedef struct { int64_t group, begin, end; } Chunk;

/* Activations: the value and its derivative at x. */

static inline float expm1_(float x)
{
    /* 2^n (1 + e) - 1 with e = exp(r) - 1, |r| <= ln(2) / 2; the polynomial is that of Cephes' expf. */
    x = x < -87.0f ? -87.0f : x;
    x = x > 88.0f ? 88.0f : x;
    float n = rintf(x * 1.44269504f);
    float r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
    float e = 1.9875691500e-4f;
    e = e * r + 1.3981999507e-3f;
    e = e * r + 8.3334519073e-3f;
    e = e * r + 4.1665795894e-2f;
    e = e * r + 1.6666665459e-1f;
    e = e * r + 5.0000001201e-1f;
    e = e * r * r + r;
    int32_t bits = ((int32_t)n + 127) << 23;
    float power;
    memcpy(&power, &bits, sizeof power);
    return power * e + (power - 1.0f);
}

/* relu, leaky_relu and the identity: negative is the slope below 0. */
static inline void pieces(const Tail *t, float x, float *value, float *slope)
{
    *slope = x > 0 ? t->positive : t->negative;
    *value = *slope * x;
}

/* elu and selu: negative is the limit at minus infinity, its sign turned. */
static inline void elu(const Tail *t, float x, float *value, float *slope)
{
    float below = t->negative * expm1_(x);
    *value = x > 0 ? t->positive * x : below;
    *slope = x > 0 ? t->positive : below + t->negative;
}

static inline void silu(const Tail *t, float x, float *value, float *slope)
{
    float s = 1.0f / (2.0f + expm1_(-x));
    *value = x * s;
    *slope = s * (1.0f + x * (1.0f - s));
}

static inline void hyperbolic(const Tail *t, float x, float *value, float *slope)
{
    float e = expm1_(2.0f * x);
    *value = e / (e + 2.0f);
    *slope = 1.0f - *value * *value;
}

/* x P(x) with P the normal distribution, by formula 7.1.26 of Abramowitz & Stegun (absolute error 1.5e-7). */
static inline void gelu(const Tail *t, float x, float *value, float *slope)
{
    float a = fabsf(x) * 0.70710678f, k = 1.0f / (1.0f + 0.3275911f * a), bell = expm1_(-a * a) + 1.0f;
    float tail = k * (0.254829592f + k * (-0.284496736f + k * (1.421413741f + k * (-1.453152027f + k * 1.061405429f))));
    float beyond = 0.5f * tail * bell, p = x > 0 ? 1.0f - beyond : beyond;
    *value = x * p;
    *slope = p + x * bell * 0.39894228f;
}

/* Chunks: at most CHUNK rows of one group. */

static int64_t pieces_of(int64_t rows, int64_t groups)
{
    return (rows / groups + CHUNK - 1) / CHUNK;
}

static Chunk chunk(int64_t rows, int64_t groups, int64_t i)
{
    int64_t count = pieces_of(rows, groups), size = rows / groups, group = i / count, piece = i % count;
    return (Chunk){group, group * size + size * piece / count, group * size + size * (piece + 1) / count};
}

static void each(void (*work)(const Tail *, int64_t), const Tail *t, int64_t groups)
{
    int64_t count = groups * pieces_of(t->rows, groups);
    if (t->threads == 1) {
        for (int64_t i = 0; i < count; i++)
            work(t, i);
        return;
    }
#pragma omp parallel for schedule(static) num_threads((int)t->threads)
    for (int64_t i = 0; i < count; i++)
        work(t, i);
}

/* The mean of each channel of x and of z over n rows, and the sum of squares about it: own is (4, channels). */
static void centre(const float *restrict x, const float *restrict z, int64_t n, int64_t channels, float *restrict own)
{
    memset(own, 0, 4 * channels * sizeof *own);
    for (int64_t i = 0; i < n * channels; i += channels)
#pragma omp simd
        for (int64_t c = 0; c < channels; c++) {
            own[c] += x[i + c];
            own[2 * channels + c] += z[i + c];
        }
    for (int64_t c = 0; c < channels; c++) {
        own[c] /= n;
        own[2 * channels + c] /= n;
    }
    for (int64_t i = 0; i < n * channels; i += channels)
#pragma omp simd
        for (int64_t c = 0; c < channels; c++) {
            float dx = x[i + c] - own[c], dz = z[i + c] - own[2 * channels + c];
            own[channels + c] += dx * dx;
            own[3 * channels + c] += dz * dz;
        }
}

/* Forward, first pass: z into the output, the layer norm's statistics, and the chunk's moments of L and z. */
static void measure(const Tail *t, int64_t i)
{
    Chunk k = chunk(t->rows, 1, i);
    int64_t channels = t->channels;
    for (int64_t row = k.begin; row < k.end; row++) {
        const float *restrict x = t->layer + row * channels;
        float *restrict z = t->output + row * channels;
        float sum = 0, squares = 0, slope;
#pragma omp simd reduction(+ : sum) private(slope)
        for (int64_t c = 0; c < channels; c++) {
            float value;
            ACTIVATE(t, x[c], &value, &slope);
            z[c] = value;
            sum += value;
        }
        float mean = sum / channels;
#pragma omp simd reduction(+ : squares)
        for (int64_t c = 0; c < channels; c++)
            squares += (z[c] - mean) * (z[c] - mean);
        t->row_stats[row] = mean;
        t->row_stats[t->rows + row] = 1.0f / sqrtf(squares / channels + (float)t->eps3);
    }
    const int64_t begin = k.begin * channels;
    centre(t->layer + begin, t->output + begin, k.end - k.begin, channels, t->partial + i * 4 * channels);
}

/* The chunks' moments into those of all rows (Chan, Golub & LeVeque 1983), into mean and 1 / sqrt(var + eps). */
static void merge(const Tail *t)
{
    int64_t channels = t->channels, count = pieces_of(t->rows, 1);
    memset(t->moments, 0, 4 * channels * sizeof *t->moments);
    for (int64_t i = 0; i < count; i++) {
        Chunk k = chunk(t->rows, 1, i);
        double n = k.end - k.begin, share = n / k.end;
        for (int64_t which = 0; which < 2; which++) {
            double *restrict mean = t->moments + 2 * which * channels, *restrict squares = mean + channels;
            const float *restrict own = t->partial + (4 * i + 2 * which) * channels;
#pragma omp simd
            for (int64_t c = 0; c < channels; c++) {
                double d = own[c] - mean[c];
                mean[c] += d * share;
                squares[c] += own[channels + c] + d * d * k.begin * share;
            }
        }
    }
    for (int64_t which = 0; which < 2; which++)
        for (int64_t c = 0; c < channels; c++) {
            double *mean = t->moments + 2 * which * channels + c, *var = mean + channels;
            *var /= t->rows;
            t->channel_stats[2 * which * channels + c] = *mean;
            t->channel_stats[(2 * which + 1) * channels + c] = 1 / sqrt(*var + (which ? t->eps2 : t->eps1));
        }
}

/* The constants of a row, as pointers over channels. */
#define CONSTANTS(t, group)                                                                                            \
    const int64_t channels = (t)->channels, stride = (t)->groups * channels;                                           \
    const float *restrict m1 = (t)->channel_stats, *restrict r1 = m1 + channels;                                       \
    const float *restrict m2 = r1 + channels, *restrict r2 = m2 + channels;                                            \
    const float *restrict w1 = (t)->norms, *restrict b1 = w1 + channels;                                               \
    const float *restrict w2 = b1 + channels, *restrict b2 = w2 + channels;                                            \
    const float *restrict w3 = b2 + channels, *restrict b3 = w3 + channels;                                            \
    const float *restrict c1 = (t)->weights + (group) * channels, *restrict c2 = c1 + stride;                          \
    const float *restrict c3 = c2 + stride, *restrict c4 = c3 + stride, *restrict c5 = c4 + stride;

/* Forward, second pass. */
static void combine(const Tail *t, int64_t i)
{
    Chunk k = chunk(t->rows, t->groups, i);
    CONSTANTS(t, k.group)
    for (int64_t row = k.begin; row < k.end; row++) {
        const float *restrict x = t->layer + row * channels, *restrict bypass = t->bypass + row * channels;
        float *restrict y = t->output + row * channels;
        float m3 = t->row_stats[row], r3 = t->row_stats[t->rows + row];
#pragma omp simd
        for (int64_t c = 0; c < channels; c++) {
            float u, slope, z = y[c];
            ACTIVATE(t, w1[c] * (x[c] - m1[c]) * r1[c] + b1[c], &u, &slope);
            float post = w2[c] * (z - m2[c]) * r2[c] + b2[c], layered = w3[c] * (z - m3) * r3 + b3[c];
            y[c] = c1[c] * u + c2[c] * post + c3[c] * layered + c4[c] * z + c5[c] * bypass[c];
        }
    }
}

/* Backward, first pass: the chunk's sums over rows of g times 1, u, x2, x3, t, A'(h) and A'(h) x1. */
static void sums(const Tail *t, int64_t i)
{
    Chunk k = chunk(t->rows, t->groups, i);
    CONSTANTS(t, k.group)
    float *restrict q = t->partial + i * 7 * channels;
    (void)w2, (void)b2, (void)w3, (void)b3, (void)c1, (void)c5;
    memset(q, 0, 7 * channels * sizeof *q);
    for (int64_t row = k.begin; row < k.end; row++) {
        const float *restrict x = t->layer + row * channels, *restrict bypass = t->bypass + row * channels;
        const float *restrict grad = t->grad + row * channels;
        float m3 = t->row_stats[row], r3 = t->row_stats[t->rows + row];
#pragma omp simd
        for (int64_t c = 0; c < channels; c++) {
            float z, u, slope, g = grad[c], x1 = (x[c] - m1[c]) * r1[c];
            ACTIVATE(t, x[c], &z, &slope);
            ACTIVATE(t, w1[c] * x1 + b1[c], &u, &slope);
            q[c] += g;
            q[channels + c] += g * u;
            q[2 * channels + c] += g * (z - m2[c]) * r2[c];
            q[3 * channels + c] += g * (z - m3) * r3;
            q[4 * channels + c] += g * bypass[c];
            q[5 * channels + c] += g * slope;
            q[6 * channels + c] += g * slope * x1;
        }
    }
}

/* The chunks' sums into the gradients of the weights and of the norms. */
static void gather(const Tail *t)
{
    int64_t count = pieces_of(t->rows, t->groups), wide = 7 * t->channels;
    memset(t->norm_sums, 0, 6 * t->channels * sizeof *t->norm_sums);
    for (int64_t group = 0; group < t->groups; group++) {
        CONSTANTS(t, group)
        double *restrict q = t->totals, *restrict n = t->norm_sums;
        float *restrict d = t->grad_weights + group * channels;
        (void)m1, (void)r1, (void)w1, (void)b1, (void)c4, (void)c5;
        memset(q, 0, wide * sizeof *q);
        for (int64_t piece = 0; piece < count; piece++)
#pragma omp simd
            for (int64_t c = 0; c < wide; c++)
                q[c] += t->partial[(group * count + piece) * wide + c];
#pragma omp simd
        for (int64_t c = 0; c < channels; c++) {
            double g = q[c], gx2 = q[2 * channels + c], gx3 = q[3 * channels + c];
            d[c] = q[channels + c];
            d[stride + c] = w2[c] * gx2 + b2[c] * g;
            d[2 * stride + c] = w3[c] * gx3 + b3[c] * g;
            d[3 * stride + c] = gx2 / r2[c] + m2[c] * g;
            d[4 * stride + c] = q[4 * channels + c];
            n[c] += c1[c] * q[6 * channels + c];
            n[channels + c] += c1[c] * q[5 * channels + c];
            n[2 * channels + c] += c2[c] * gx2;
            n[3 * channels + c] += c2[c] * g;
            n[4 * channels + c] += c3[c] * gx3;
            n[5 * channels + c] += c3[c] * g;
        }
    }
    for (int64_t c = 0; c < 6 * t->channels; c++)
        t->grad_norms[c] = t->norm_sums[c];
}

/* Backward, second pass. The gradients' rows first hold z and A'(L). */
static void gradients(const Tail *t, int64_t i)
{
    Chunk k = chunk(t->rows, t->groups, i);
    CONSTANTS(t, k.group)
    const float *restrict dw1 = t->grad_norms, *restrict db1 = dw1 + channels;
    const float *restrict dw2 = db1 + channels, *restrict db2 = dw2 + channels;
    const float share = 1.0f / t->rows;
    (void)b2, (void)b3;
    for (int64_t row = k.begin; row < k.end; row++) {
        const float *restrict x = t->layer + row * channels, *restrict grad = t->grad + row * channels;
        float *restrict dx = t->grad_layer + row * channels, *restrict dt = t->grad_bypass + row * channels;
        float m3 = t->row_stats[row], r3 = t->row_stats[t->rows + row], f1 = 0, f2 = 0;
#pragma omp simd reduction(+ : f1, f2)
        for (int64_t c = 0; c < channels; c++) {
            float z, slope, p = grad[c] * c3[c] * w3[c];
            ACTIVATE(t, x[c], &z, &slope);
            dx[c] = z;
            dt[c] = slope;
            f1 += p;
            f2 += p * (z - m3) * r3;
        }
        f1 /= channels;
        f2 /= channels;
#pragma omp simd
        for (int64_t c = 0; c < channels; c++) {
            float u, slope, g = grad[c], z = dx[c];
            float x1 = (x[c] - m1[c]) * r1[c], x2 = (z - m2[c]) * r2[c], x3 = (z - m3) * r3;
            ACTIVATE(t, w1[c] * x1 + b1[c], &u, &slope);
            float pre = r1[c] * w1[c] * (g * c1[c] * slope - (db1[c] + x1 * dw1[c]) * share);
            float post = r2[c] * w2[c] * (g * c2[c] - (db2[c] + x2 * dw2[c]) * share);
            float layered = r3 * (g * c3[c] * w3[c] - f1 - x3 * f2);
            dx[c] = pre + dt[c] * (post + layered + c4[c] * g);
            dt[c] = c5[c] * g;
        }
    }
}

/* The number of chunks that forward (0) or backward (1) needs room for. */
int64_t tail_chunks(const Tail *t, int backward)
{
    int64_t groups = backward ? t->groups : 1;
    return groups * pieces_of(t->rows, groups);
}

void tail_forward(const Tail *t)
{
    each(measure, t, 1);
    merge(t);
    each(combine, t, t->groups);
}

void tail_backward(const Tail *t)
{
    each(sums, t, t->groups);
    gather(t);
    each(gradients, t, t->groups);
}
