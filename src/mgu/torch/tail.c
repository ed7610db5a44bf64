/* The element-wise tail of a MultiGatedUnit, forward and backward, in two passes over the data each.

   With L the layer's output, t the bypass, both (rows, channels) and channels contiguous, A the activation, and c1 to c5
   the weights, (groups, channels), the same for rows / groups rows on end:

       z = A(L)    x1 = (L - m1) r1    x2 = (z - m2) r2    x3 = (z - m3) r3    u = A(w1 x1 + b1)
       y = c1 u + c2 (w2 x2 + b2) + c3 (w3 x3 + b3) + c4 z + c5 t

   m1, m2 and r = 1 / sqrt(var + eps) are per channel over all rows (batch norm), m3 and r3 per row over all channels
   (layer norm). Only L and t are kept for the backward pass: z and u are worked out anew. */

#include "tail.h"

/* The constants of a row, as pointers over channels. */
#define CONSTANTS(t, group)                                                                                            \
    NORMS(t)                                                                                                           \
    const int64_t stride = (t)->groups * channels;                                                                     \
    const float *restrict c1 = (t)->weights + (group) * channels, *restrict c2 = c1 + stride;                          \
    const float *restrict c3 = c2 + stride, *restrict c4 = c3 + stride, *restrict c5 = c4 + stride;

/* Forward, second pass. */
static void combine(const Tail *t, int64_t i)
{
    Chunk k = chunk(t->rows, t->groups, i);
    CONSTANTS(t, k.group)
    for (int64_t row = k.begin; row < k.end; row++) {
        const float *restrict x = t->layer + row * t->layer_stride, *restrict bypass = t->bypass + row * t->bypass_stride;
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
        const float *restrict x = t->layer + row * t->layer_stride, *restrict bypass = t->bypass + row * t->bypass_stride;
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
    const float share = 1.0f / t->all_rows;
    (void)b2, (void)b3;
    for (int64_t row = k.begin; row < k.end; row++) {
        const float *restrict x = t->layer + row * t->layer_stride, *restrict grad = t->grad + row * channels;
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

void tail_moments(const Tail *t)
{
    each(measure, t, 1);
    merge(t);
}

void tail_combine(const Tail *t)
{
    standardise(t);
    each(combine, t, t->groups);
}

void tail_sums(const Tail *t)
{
    each(sums, t, t->groups);
    gather(t);
}

void tail_gradients(const Tail *t)
{
    each(gradients, t, t->groups);
}

void tail_forward(const Tail *t)
{
    tail_moments(t);
    tail_combine(t);
}

void tail_backward(const Tail *t)
{
    tail_sums(t);
    tail_gradients(t);
}
