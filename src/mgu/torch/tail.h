/* What the two kernels of a unit's tail share: their arguments, the activations, the cutting of rows into chunks, and the
   forward pass's first half, which gives the moments of L and of z = A(L).

   Where several processes share a batch, each runs the kernels on its rows by halves: tail_moments and tail_combine
   forward, tail_sums and tail_gradients backward. In between the moments, and the first four rows of grad_norms, are made
   those of all processes' rows.

   The rows are cut into chunks that do not depend on the number of threads, and what the chunks give is added up in
   their order, in double: results are the same for any number of threads. No -ffast-math: a NaN has to stay one.

   Compiled with -DACTIVATE= the name of one of the activations below. */

#include <math.h>
#include <stdint.h>
#include <string.h>

#define CHUNK 64

typedef struct {
    int64_t rows, channels, groups, threads;
    int64_t all_rows;                          /* of all processes that share the batch */
    int64_t layer_stride, bypass_stride;       /* from one row of L, of t, to the next */
    float positive, negative;                  /* the activation's two numbers */
    float sharpness;                           /* gated.c: what the logits are multiplied by */
    double eps1, eps2, eps3;
    const float *layer, *bypass;               /* L, t: (rows, channels) */
    const float *weights;                      /* tail.c, c1 .. c5: (5, groups, channels) */
    const float *logits;                       /* gated.c, each gate's channels behind one another, rows as far as L's */
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
    float *grad_logits, *row_sums;             /* gated.c: like the logits, (2, rows) */
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
static void centre(const float *restrict x, int64_t stride, const float *restrict z, int64_t n, int64_t channels,
                   float *restrict own)
{
    memset(own, 0, 4 * channels * sizeof *own);
    for (int64_t i = 0; i < n; i++)
#pragma omp simd
        for (int64_t c = 0; c < channels; c++) {
            own[c] += x[i * stride + c];
            own[2 * channels + c] += z[i * channels + c];
        }
    for (int64_t c = 0; c < channels; c++) {
        own[c] /= n;
        own[2 * channels + c] /= n;
    }
    for (int64_t i = 0; i < n; i++)
#pragma omp simd
        for (int64_t c = 0; c < channels; c++) {
            float dx = x[i * stride + c] - own[c], dz = z[i * channels + c] - own[2 * channels + c];
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
        const float *restrict x = t->layer + row * t->layer_stride;
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
    centre(t->layer + k.begin * t->layer_stride, t->layer_stride, t->output + k.begin * channels, k.end - k.begin,
           channels, t->partial + i * 4 * channels);
}

/* The chunks' moments into those of all rows (Chan, Golub & LeVeque 1983). */
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
        for (int64_t c = 0; c < channels; c++)
            t->moments[(2 * which + 1) * channels + c] /= t->rows;
}

/* The moments as mean and 1 / sqrt(var + eps). */
static void standardise(const Tail *t)
{
    int64_t channels = t->channels;
    for (int64_t which = 0; which < 2; which++)
        for (int64_t c = 0; c < channels; c++) {
            double *mean = t->moments + 2 * which * channels + c, *var = mean + channels;
            t->channel_stats[2 * which * channels + c] = *mean;
            t->channel_stats[(2 * which + 1) * channels + c] = 1 / sqrt(*var + (which ? t->eps2 : t->eps1));
        }
}

/* The norms' constants, as pointers over channels. */
#define NORMS(t)                                                                                                       \
    const int64_t channels = (t)->channels;                                                                            \
    const float *restrict m1 = (t)->channel_stats, *restrict r1 = m1 + channels;                                       \
    const float *restrict m2 = r1 + channels, *restrict r2 = m2 + channels;                                            \
    const float *restrict w1 = (t)->norms, *restrict b1 = w1 + channels;                                               \
    const float *restrict w2 = b1 + channels, *restrict b2 = w2 + channels;                                            \
    const float *restrict w3 = b2 + channels, *restrict b3 = w3 + channels;

/* The number of chunks that forward (0) or backward (1) needs room for. */
int64_t tail_chunks(const Tail *t, int backward)
{
    int64_t groups = backward ? t->groups : 1;
    return groups * pieces_of(t->rows, groups);
}
