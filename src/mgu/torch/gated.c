/* The element-wise tail of a MultiGatedUnit whose gates differ by position, forward and backward, in two passes each.

   With L, t, z, u, x1, x2, x3 and the norms as in tail.c and g_k = sigmoid(sharpness l_k), the gates mix

       v0 = u    v1 = w2 x2 + b2    v2 = w3 x3 + b3    v3 = z    v4 = t

   into y. How they do is compiled in, for the gates and values from 5 on by their numbers: OPEN declares g0 and on; MIX
   declares v5 and on, the last of which is MIXED; UNMIX declares the gradients d0 and on of the values and e0 and on of
   the logits, from ``gradient``; KEEP keeps the latter.

   Only L, t and the logits are kept for the backward pass. */

#include "tail.h"

/* The values that are mixed and the gates, at channel c of a row, and the slopes of A at L and where u is read. */
#define VALUES(t)                                                                                                      \
    float v0, v3, inner, outer, x1 = (x[c] - m1[c]) * r1[c];                                                           \
    ACTIVATE(t, x[c], &v3, &outer);                                                                                    \
    ACTIVATE(t, w1[c] * x1 + b1[c], &v0, &inner);                                                                      \
    float x2 = (v3 - m2[c]) * r2[c], x3 = (v3 - m3) * r3;                                                              \
    float v1 = w2[c] * x2 + b2[c], v2 = w3[c] * x3 + b3[c], v4 = bypass[c];                                            \
    OPEN MIX
#define OPENED(k) (1.0f / (2.0f + expm1_(-t->sharpness * logits[(k) * channels + c])))
#define KEPT(k, e) dl[(k) * channels + c] = t->sharpness * (e);

/* Forward, second pass. */
static void combine(const Tail *t, int64_t i)
{
    Chunk k = chunk(t->rows, 1, i);
    NORMS(t)
    for (int64_t row = k.begin; row < k.end; row++) {
        const float *restrict x = t->layer + row * t->layer_stride, *restrict logits = t->logits + row * t->layer_stride;
        const float *restrict bypass = t->bypass + row * t->bypass_stride;
        float *restrict y = t->output + row * channels;
        float m3 = t->row_stats[row], r3 = t->row_stats[t->rows + row];
#pragma omp simd
        for (int64_t c = 0; c < channels; c++) {
            VALUES(t)
            y[c] = MIXED;
            (void)inner, (void)outer;
        }
    }
}

/* Backward, first pass: the gradients of the logits and of t, that of L but for what the norms' means bring, and the
   sums over the chunk's rows for those and for the norms' weights. */
static void local(const Tail *t, int64_t i)
{
    Chunk k = chunk(t->rows, 1, i);
    NORMS(t)
    float *restrict q = t->partial + i * 6 * channels;
    memset(q, 0, 6 * channels * sizeof *q);
    for (int64_t row = k.begin; row < k.end; row++) {
        const float *restrict x = t->layer + row * t->layer_stride, *restrict logits = t->logits + row * t->layer_stride;
        const float *restrict bypass = t->bypass + row * t->bypass_stride, *restrict grad = t->grad + row * channels;
        float *restrict dx = t->grad_layer + row * t->layer_stride, *restrict dt = t->grad_bypass + row * t->bypass_stride;
        float *restrict dl = t->grad_logits + row * t->layer_stride;
        float m3 = t->row_stats[row], r3 = t->row_stats[t->rows + row], f1 = 0, f2 = 0;
#pragma omp simd reduction(+ : f1, f2)
        for (int64_t c = 0; c < channels; c++) {
            VALUES(t)
            const float gradient = grad[c];
            UNMIX
            float du = d0 * inner, dn = d2 * w3[c];
            q[c] += du * x1;
            q[channels + c] += du;
            q[2 * channels + c] += d1 * x2;
            q[3 * channels + c] += d1;
            q[4 * channels + c] += d2 * x3;
            q[5 * channels + c] += d2;
            f1 += dn;
            f2 += dn * x3;
            dx[c] = r1[c] * w1[c] * du + outer * (r2[c] * w2[c] * d1 + r3 * dn + d3);
            dt[c] = d4;
            KEEP
        }
        t->row_sums[row] = f1 / channels;
        t->row_sums[t->rows + row] = f2 / channels;
    }
}

static void gather(const Tail *t)
{
    int64_t count = pieces_of(t->rows, 1), wide = 6 * t->channels;
    memset(t->norm_sums, 0, wide * sizeof *t->norm_sums);
    for (int64_t piece = 0; piece < count; piece++)
#pragma omp simd
        for (int64_t c = 0; c < wide; c++)
            t->norm_sums[c] += t->partial[piece * wide + c];
    for (int64_t c = 0; c < wide; c++)
        t->grad_norms[c] = t->norm_sums[c];
}

/* Backward, second pass: what the norms' means and variances bring to the gradient of L. */
static void through_moments(const Tail *t, int64_t i)
{
    Chunk k = chunk(t->rows, 1, i);
    NORMS(t)
    const float *restrict dw1 = t->grad_norms, *restrict db1 = dw1 + channels;
    const float *restrict dw2 = db1 + channels, *restrict db2 = dw2 + channels;
    const float share = 1.0f / t->all_rows;
    (void)b1, (void)b2, (void)w3, (void)b3;
    for (int64_t row = k.begin; row < k.end; row++) {
        const float *restrict x = t->layer + row * t->layer_stride;
        float *restrict dx = t->grad_layer + row * t->layer_stride;
        float m3 = t->row_stats[row], r3 = t->row_stats[t->rows + row];
        float f1 = t->row_sums[row], f2 = t->row_sums[t->rows + row];
#pragma omp simd
        for (int64_t c = 0; c < channels; c++) {
            float z, slope;
            ACTIVATE(t, x[c], &z, &slope);
            float x1 = (x[c] - m1[c]) * r1[c], x2 = (z - m2[c]) * r2[c], x3 = (z - m3) * r3;
            float pre = r1[c] * w1[c] * (db1[c] + x1 * dw1[c]), post = r2[c] * w2[c] * (db2[c] + x2 * dw2[c]);
            dx[c] -= pre * share + slope * (post * share + r3 * (f1 + x3 * f2));
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
    each(combine, t, 1);
}

void tail_sums(const Tail *t)
{
    each(local, t, 1);
    gather(t);
}

void tail_gradients(const Tail *t)
{
    each(through_moments, t, 1);
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
