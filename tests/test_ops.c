/* Proves the ops of nn.h, one after another: nn_op_list names them, each op brings its samples, and this file brings
 * a plain reference in double for each. An op that has neither a reference nor a line in `elsewhere` fails.
 *
 *     test_ops [--gradients-only]
 *
 *   values       all outputs against the reference, f64 and f32, every instruction set of this machine, any strides
 *   half         f16 and bf16: the f32 result of the widened inputs, rounded
 *   gradients    finite differences of order 1 and 2; rule against fused kernel; f32 against f64; any strides
 *   threads      the same bits for any number of threads, on work that really is split
 *   shapes       odd, empty and 0-d tensors; reductions over every set of axes; a grid of matrix products
 *   random       Philox's known answers, masks and numbers exactly, moments
 *   accuracy     exp, log, tanh, erf, sigmoid, gelu in f32 over the whole range
 *
 * C99 and C++11. --gradients-only does just the part that mutate.py needs. */
#include <float.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#define NN_IMPLEMENTATION
#include "nn.h"

/* ---- counting ----------------------------------------------------------------------------------------- */

static long passed, failed, skipped;

static int check(int ok, const char *format, ...) NN_PRINTF(2, 3);
static int check(int ok, const char *format, ...) {
    if (ok) passed++;
    else if (++failed <= 50) {
        va_list args;
        va_start(args, format);
        printf("FAIL: ");
        vprintf(format, args);
        printf("\n");
        va_end(args);
        if (failed == 50) printf("FAIL: ... (further ones are only counted)\n");
        fflush(stdout);
    }
    return ok;
}
static void skip(const char *what, const char *why) {
    skipped++;
    printf("skipped: %s: %s\n", what, why);
}

/* No error may be left in c; one that is counts as a failure. */
static int fine(nn_ctx *c, const char *what) {
    int ok = nn_error(c) == NN_OK;
    if (!ok) {
        check(0, "%s: %s", what, nn_error_text(c));
        nn_error_clear(c);
    }
    return ok;
}
/* An error of this kind must be in c. */
static void expect(nn_ctx *c, nn_status status, const char *what) {
    check(nn_error(c) == status, "%s: error %d expected, got %d (%s)", what, (int)status, (int)nn_error(c), nn_error_text(c));
    nn_error_clear(c);
}

/* ---- memory: given back all at once --------------------------------------------------------------------- */

typedef struct block { struct block *next; double align; } block;
static block *blocks;

static void *room(size_t size) { /* zeroed */
    block *b = (block *)calloc(1, sizeof *b + size + 1);
    if (!b) {
        printf("FAIL: out of memory\n");
        exit(2);
    }
    b->next = blocks;
    blocks  = b;
    return b + 1;
}
static void room_clear(void) {
    while (blocks) {
        block *b = blocks;
        blocks   = b->next;
        free(b);
    }
}

/* ---- arrays of the reference ------------------------------------------------------------------------------ */

typedef struct arr {
    nn_shape s;
    int64_t  n;
    double  *v, *m; /* values, and magnitudes: what an error is relative to */
} arr;

static int64_t count(nn_shape s) {
    int64_t n = 1;
    for (int i = 0; i < s.ndim; i++) n *= s.dim[i];
    return n;
}
static arr make(nn_shape s) {
    arr a;
    a.s = s;
    a.n = count(s);
    a.v = (double *)room((size_t)a.n * sizeof(double));
    a.m = (double *)room((size_t)a.n * sizeof(double));
    return a;
}
static double element(nn_dtype d, const void *p, int64_t i) {
    switch (d) {
    case NN_F32: return ((const float *)p)[i];
    case NN_F64: return ((const double *)p)[i];
    case NN_I32: return ((const int32_t *)p)[i];
    case NN_I64: return (double)((const int64_t *)p)[i];
    case NN_U8: return ((const uint8_t *)p)[i];
    case NN_BF16: {
        uint32_t u = (uint32_t)((const uint16_t *)p)[i] << 16;
        float    f;
        memcpy(&f, &u, 4);
        return f;
    }
    case NN_F16: {
        uint16_t h = ((const uint16_t *)p)[i];
        int      e = h >> 10 & 31, f = h & 1023;
        double   v = e == 31 ? (f ? NAN : INFINITY) : e ? ldexp(1024 + f, e - 25) : ldexp(f, -24);
        return h >> 15 ? -v : v;
    }
    default: return NAN;
    }
}
static void *bytes_of(nn_tensor *x) { /* contiguous copy, on our heap */
    size_t size = (size_t)nn_numel(x) * nn_dtype_size(nn_dtype_of(x));
    void  *p    = room(size + 8);
    if (x && size) nn_read(x, p, size);
    return p;
}
static arr read_arr(nn_tensor *x) {
    arr   a;
    void *p;
    if (!x) { /* after an error that somebody reports */
        a = make(NN_SHAPE(0));
        a.n = -1;
        return a;
    }
    a = make(nn_shape_of(x));
    p = bytes_of(x);
    for (int64_t i = 0; i < a.n; i++) a.v[i] = element(nn_dtype_of(x), p, i);
    return a;
}
static int same_shape(nn_shape a, nn_shape b) {
    if (a.ndim != b.ndim) return 0;
    for (int i = 0; i < a.ndim; i++)
        if (a.dim[i] != b.dim[i]) return 0;
    return 1;
}
static const char *shape_text(nn_shape s) {
    static char text[4][80];
    static int  turn;
    char       *t = text[turn++ & 3];
    int         n = sprintf(t, "[");
    for (int i = 0; i < s.ndim; i++) n += sprintf(t + n, i ? ",%lld" : "%lld", (long long)s.dim[i]);
    sprintf(t + n, "]");
    return t;
}

static const double u32 = 5.9604644775390625e-8; /* 2^-24: half an ulp of 1 in f32 */

/* |got - want| <= unit * want.m (or equal, or both NaN): 1 check */
static int close_to(const arr *got, const arr *want, double unit, const char *what) {
    int64_t worst = -1;
    double  most = 0;
    if (!check(got->n >= 0 && same_shape(got->s, want->s), "%s: shape %s, not %s", what, shape_text(got->s), shape_text(want->s))) return 0;
    for (int64_t i = 0; i < got->n; i++) {
        double g = got->v[i], w = want->v[i], d, over;
        if (g == w || (g != g && w != w)) continue;
        d    = fabs(g - w);
        over = d / (unit * want->m[i] + 3e-45);
        if (!(over <= most)) { most = over; worst = i; }
        if (!(over < INFINITY)) break;
    }
    return check(most <= 1, "%s: element %lld is %.9g, not %.9g (%.3g times the tolerance)", what, (long long)worst, got->v[worst < 0 ? 0 : worst],
                 want->v[worst < 0 ? 0 : worst], most);
}
static void magnitude(arr *a, double floor) { /* m = the largest |v|, at least floor */
    double most = floor;
    for (int64_t i = 0; i < a->n; i++)
        if (fabs(a->v[i]) > most) most = fabs(a->v[i]);
    for (int64_t i = 0; i < a->n; i++) a->m[i] = most;
}
static const char *named(const char *format, ...) NN_PRINTF(1, 2);
static const char *named(const char *format, ...) {
    static char text[4][240];
    static int  turn;
    char       *t = text[turn++ & 3];
    va_list     args;
    va_start(args, format);
    vsnprintf(t, sizeof text[0], format, args);
    va_end(args);
    return t;
}

/* ---- inputs ----------------------------------------------------------------------------------------------- */

static uint64_t chance_state;
static uint32_t chance(uint32_t n) { /* 0 ... n-1, the same in every run */
    chance_state = chance_state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(chance_state >> 33) % n;
}

/* Values that f32 holds exactly, so that f32 and f64 runs start from the same numbers */
static nn_tensor *values(nn_ctx *c, nn_dtype dtype, nn_shape s, int seed, double low, double high) {
    int64_t    n = count(s);
    double    *v = (double *)malloc((size_t)n * sizeof *v + 8);
    nn_tensor *x;
    for (int64_t i = 0; i < n; i++) {
        double u = 0.37 * seed + (double)(i + 1) * 0.7548776662466927;
        v[i] = (float)(low + (high - low) * (u - floor(u)));
    }
    x = nn_from(c, v, NN_F64, s);
    free(v);
    return nn_cast(x, dtype);
}
static nn_tensor *classes(nn_ctx *c, nn_dtype dtype, nn_shape s, int64_t limit) {
    int64_t    n = count(s);
    double    *v = (double *)malloc((size_t)n * sizeof *v + 8);
    nn_tensor *x;
    for (int64_t i = 0; i < n; i++) v[i] = (double)((i * 7 + i / 3 + 1) % limit);
    x = nn_from(c, v, NN_F64, s);
    free(v);
    return nn_cast(x, dtype);
}

/* The same values through other strides, built of ops, so that gradients flow back.
   1: stored transposed; 2: every second place, between NaNs; 3: backwards and transposed; 4: 1 and 2 */
enum { VARIANTS = 5 };
static long seen_strided[VARIANTS];
static nn_tensor *restride(nn_ctx *c, nn_tensor *x, int variant) {
    int      ndim = nn_ndim(x);
    nn_shape back = nn_shape_of(x);
    if (!x) return NULL;
    for (int i = 0; i < ndim; i++) back.dim[i] = ndim - 1 - i;
    if (variant == 3 && ndim) x = nn_slice(x, 0, NN_TO_END, NN_TO_END, -1);
    if (variant != 0 && variant != 2) x = nn_clone(ndim > 1 ? nn_permute(x, back) : x);
    if (variant == 2 || variant == 4) {
        nn_tensor *pair[2];
        pair[1] = nn_unsqueeze(x, -1);
        pair[0] = nn_full(c, nn_dtype_of(x), nn_shape_of(pair[1]), nn_dtype_of(x) == NN_U8 || nn_dtype_of(x) == NN_I32 || nn_dtype_of(x) == NN_I64 ? 77 : NAN);
        x = nn_select(nn_concat(pair, 2, -1), -1, 1);
    }
    if (variant != 0 && variant != 2 && ndim > 1) x = nn_permute(x, back);
    if (variant == 3 && ndim) x = nn_slice(x, 0, NN_TO_END, NN_TO_END, -1);
    if (x && !nn_is_contiguous(x)) seen_strided[variant]++;
    return x;
}

/* ---- instruction sets ------------------------------------------------------------------------------------- */

typedef struct set { const char *name; nn_ctx *c; } set;
static set sets[8];
static int n_sets;

static int cpu_has(const char *name) { /* asked here, not of nn.h */
#if defined(__x86_64__)
    if (!strcmp(name, "sse2")) return 1;
    if (!strcmp(name, "avx2")) return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    if (!strcmp(name, "avx512"))
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("fma");
#elif defined(__aarch64__)
    if (!strcmp(name, "neon")) return 1;
#endif
    return !strcmp(name, "scalar");
}
static int built_with(const char *name) { /* taken out by an option of nn.h? */
#if defined(NN_NO_SIMD)
    return !strcmp(name, "scalar");
#endif
#if defined(NN_NO_SSE2)
    if (!strcmp(name, "sse2")) return 0;
#endif
#if defined(NN_NO_AVX2)
    if (!strcmp(name, "avx2")) return 0;
#endif
#if defined(NN_NO_AVX512)
    if (!strcmp(name, "avx512")) return 0;
#endif
#if defined(NN_NO_NEON)
    if (!strcmp(name, "neon")) return 0;
#endif
    return name[0] != 0;
}
static nn_ctx *begin(const char *isa, int threads) {
    nn_config config;
    memset(&config, 0, sizeof config);
    config.isa     = isa;
    config.threads = threads;
    config.quiet   = 1;
    return nn_begin(&config);
}
static void open_sets(void) {
    static const char *const all[] = {"scalar", "sse2", "avx2", "avx512", "neon"};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        nn_ctx *c;
        if (!cpu_has(all[i])) { skip(all[i], "not on this machine"); continue; }
        if (!built_with(all[i])) { skip(all[i], "not in this build"); continue; }
        c = begin(all[i], 1);
        if (!check(c && nn_error(c) == NN_OK && !strcmp(nn_isa(c), all[i]), "nn_config.isa = \"%s\" gives \"%s\"", all[i], nn_isa(c))) {
            nn_end(c);
            continue;
        }
        sets[n_sets].name = all[i];
        sets[n_sets++].c  = c;
    }
}
static void next_step(void) { /* drop everything, here and there */
    for (int i = 0; i < n_sets; i++) nn_reset(sets[i].c);
    room_clear();
}

/* ---- Philox, once more ------------------------------------------------------------------------------------ */

static const uint64_t the_seed = 0x123456789abcdefu;

static void philox(uint64_t seed, uint32_t stream, uint32_t step, uint64_t counter, uint32_t out[4]) {
    uint64_t a, b;
    uint32_t x[4], key[2];
    x[0] = (uint32_t)counter; x[1] = (uint32_t)(counter >> 32); x[2] = stream; x[3] = step;
    key[0] = (uint32_t)seed; key[1] = (uint32_t)(seed >> 32);
    for (int round = 0; round < 10; round++) {
        a = (uint64_t)x[0] * 3528531795u;
        b = (uint64_t)x[2] * 3449720151u;
        out[0] = (uint32_t)(b >> 32) ^ x[1] ^ key[0];
        out[1] = (uint32_t)b;
        out[2] = (uint32_t)(a >> 32) ^ x[3] ^ key[1];
        out[3] = (uint32_t)a;
        memcpy(x, out, sizeof x);
        key[0] += 2654435769u;
        key[1] += 3144134277u;
    }
}
static uint32_t word_of(uint32_t stream, uint32_t step, int64_t i) { /* the word that element i of a tensor draws */
    uint32_t w[4];
    philox(the_seed, stream, step, (uint64_t)(16 * (i / 64) + i % 16), w);
    return w[i / 16 % 4];
}
static double unit_of(nn_dtype real, uint32_t stream, uint32_t step, int64_t i) { /* 0 <= u < 1 */
    uint32_t w[4];
    if (real == NN_F32) return ldexp(word_of(stream, step, i) >> 8, -24);
    philox(the_seed, stream, step, (uint64_t)(16 * (i / 32) + i % 16), w);
    return ldexp((double)((((uint64_t)w[i % 32 / 16 * 2] << 32) | w[i % 32 / 16 * 2 + 1]) >> 11), -53);
}

/* ---- references: values, magnitudes, and how many roundings (in 2^-24 of the magnitude) f32 may make ------ */

typedef void (*reference)(const arr *in, int n_in, const void *attr, arr *out, double *roundings);

static double f_neg(double x) { return -x; }
static double f_exp(double x) { return exp(x); }
static double f_log(double x) { return log(x); }
static double f_sqrt(double x) { return sqrt(x); }
static double f_square(double x) { return x * x; }
static double f_relu(double x) { return x < 0 ? 0 : x; }
static double f_sigmoid(double x) { return x < 0 ? exp(x) / (1 + exp(x)) : 1 / (1 + exp(-x)); }
static double f_tanh(double x) { return tanh(x); }
static double f_erf(double x) { return erf(x); }
static double f_gelu(double x) { return x * (0.5 * erfc(-x * 0.70710678118654752440)); }
static double f_positive(double x) { return x > 0; }
static double f_copy(double x) { return x; }
static double g_add(double x, double y) { return x + y; }
static double g_sub(double x, double y) { return x - y; }
static double g_mul(double x, double y) { return x * y; }
static double g_div(double x, double y) { return x / y; }
static double g_same(double x, double y) { return x == y; }

typedef struct unary { const char *name; double (*f)(double); double roundings, of_x; } unary;
static const unary unaries[] = { /* of_x: this share of |x| is part of the magnitude */
    {"neg", f_neg, 0, 0},     {"exp", f_exp, 6, 0},         {"log", f_log, 6, 0},   {"sqrt", f_sqrt, 1.01, 0}, {"square", f_square, 1.01, 0}, {"relu", f_relu, 0, 0},
    {"sigmoid", f_sigmoid, 6, 0}, {"tanh", f_tanh, 6, 0},   {"erf", f_erf, 6, 0},   {"gelu", f_gelu, 6, 0.5},  {"positive", f_positive, 0, 0}, {"copy", f_copy, 0, 0},
    {"cast", f_copy, 0, 0}};
typedef struct binary { const char *name; double (*f)(double, double); double roundings; } binary;
static const binary binaries[] = {{"add", g_add, 1.01}, {"sub", g_sub, 1.01}, {"mul", g_mul, 1.01}, {"div", g_div, 1.01}, {"same", g_same, 0}};

static arr ref_unary(const unary *r, const arr *x) {
    arr y = make(x->s);
    for (int64_t i = 0; i < x->n; i++) {
        y.v[i] = r->f(x->v[i]);
        y.m[i] = fabs(y.v[i]) + r->of_x * fabs(x->v[i]);
    }
    return y;
}

/* The element of x (of shape s) that stands at `index` of the larger shape */
static int64_t at_broadcast(nn_shape s, nn_shape large, const int64_t *index) {
    int64_t at = 0;
    for (int i = 0; i < s.ndim; i++) {
        int64_t k = index[large.ndim - s.ndim + i];
        at = at * s.dim[i] + (s.dim[i] == 1 ? 0 : k);
    }
    return at;
}
static void split_index(nn_shape s, int64_t i, int64_t *index) {
    for (int d = s.ndim - 1; d >= 0; d--) { index[d] = i % s.dim[d]; i /= s.dim[d]; }
}
static int64_t join_index(nn_shape s, const int64_t *index) {
    int64_t at = 0;
    for (int d = 0; d < s.ndim; d++) at = at * s.dim[d] + index[d];
    return at;
}
static nn_shape broadcast(nn_shape a, nn_shape b) {
    nn_shape s = a.ndim > b.ndim ? a : b;
    for (int i = 1; i <= s.ndim; i++) {
        int64_t p = i <= a.ndim ? a.dim[a.ndim - i] : 1, q = i <= b.ndim ? b.dim[b.ndim - i] : 1;
        s.dim[s.ndim - i] = p == 1 ? q : p;
    }
    return s;
}
static arr ref_binary(const binary *r, const arr *x, const arr *y) {
    arr     z = make(broadcast(x->s, y->s));
    int64_t index[NN_MAX_DIMS];
    for (int64_t i = 0; i < z.n; i++) {
        split_index(z.s, i, index);
        z.v[i] = r->f(x->v[at_broadcast(x->s, z.s, index)], y->v[at_broadcast(y->s, z.s, index)]);
        z.m[i] = fabs(z.v[i]);
    }
    return z;
}

static void ref_affine(const arr *in, int n_in, const void *attr, arr *out, double *roundings) {
    const double *ab = (const double *)attr;
    (void)n_in;
    out[0] = make(in[0].s);
    for (int64_t i = 0; i < in[0].n; i++) {
        out[0].v[i] = ab[0] * in[0].v[i] + ab[1];
        out[0].m[i] = fabs(ab[0] * in[0].v[i]) + fabs(ab[1]);
    }
    *roundings = 2.1;
}

static arr reduce(const arr *x, const int *gone, int keep, int kind) { /* kind: 's' sum, 'm' mean, 'x' max */
    nn_shape s, kept = x->s;
    arr      y;
    int64_t  index[NN_MAX_DIMS], group = 1;
    s.ndim = 0;
    for (int d = 0; d < x->s.ndim; d++) {
        if (gone[d]) { kept.dim[d] = 1; group *= x->s.dim[d]; }
        if (!gone[d] || keep) s.dim[s.ndim++] = gone[d] ? 1 : x->s.dim[d];
    }
    for (int d = s.ndim; d < NN_MAX_DIMS; d++) s.dim[d] = 0;
    y = make(s);
    if (kind == 'x')
        for (int64_t i = 0; i < y.n; i++) y.v[i] = -INFINITY;
    for (int64_t i = 0; i < x->n; i++) {
        int64_t at;
        split_index(x->s, i, index);
        for (int d = 0; d < x->s.ndim; d++)
            if (gone[d]) index[d] = 0;
        at = join_index(kept, index);
        if (kind == 'x') { if (x->v[i] > y.v[at]) y.v[at] = x->v[i]; }
        else y.v[at] += x->v[i];
        y.m[at] += fabs(x->v[i]);
    }
    if (kind == 'm')
        for (int64_t i = 0; i < y.n; i++) { y.v[i] /= (double)group; y.m[i] /= (double)group; }
    return y;
}
static void gone_of(const void *attr, int *gone) {
    const nn__axes *a = (const nn__axes *)attr;
    memset(gone, 0, NN_MAX_DIMS * sizeof *gone);
    for (int i = 0; i < a->n; i++) gone[a->axis[i]] = 1;
}
static void ref_sum(const arr *in, int n_in, const void *attr, arr *out, double *roundings) {
    int gone[NN_MAX_DIMS];
    (void)n_in;
    gone_of(attr, gone);
    out[0]     = reduce(&in[0], gone, ((const nn__axes *)attr)->keep, 's');
    *roundings = (double)(out[0].n ? in[0].n / out[0].n : 0) + 1;
}
static void ref_max(const arr *in, int n_in, const void *attr, arr *out, double *roundings) {
    int gone[NN_MAX_DIMS];
    (void)n_in;
    gone_of(attr, gone);
    out[0]     = reduce(&in[0], gone, ((const nn__axes *)attr)->keep, 'x');
    *roundings = 0;
}

static void ref_matmul(const arr *in, int n_in, const void *attr, arr *out, double *roundings) {
    nn_shape a = in[0].s, b = in[1].s, batch;
    int64_t  m = a.dim[a.ndim - 2], k = a.dim[a.ndim - 1], n = b.dim[b.ndim - 1], index[NN_MAX_DIMS];
    (void)n_in; (void)attr;
    a.ndim -= 2; b.ndim -= 2;
    batch = broadcast(a, b);
    {
        nn_shape s = batch;
        s.dim[s.ndim++] = m;
        s.dim[s.ndim++] = n;
        out[0] = make(s);
    }
    for (int64_t t = 0; t < count(batch); t++) {
        const double *x, *y;
        split_index(batch, t, index);
        x = in[0].v + at_broadcast(a, batch, index) * m * k;
        y = in[1].v + at_broadcast(b, batch, index) * k * n;
        for (int64_t i = 0; i < m; i++)
            for (int64_t p = 0; p < k; p++)
                for (int64_t j = 0; j < n; j++) {
                    double term = x[i * k + p] * y[p * n + j];
                    out[0].v[(t * m + i) * n + j] += term;
                    out[0].m[(t * m + i) * n + j] += fabs(term);
                }
    }
    *roundings = (double)k + 2;
}
static void ref_linear(const arr *in, int n_in, const void *attr, arr *out, double *roundings) {
    nn_shape s = in[0].s;
    int64_t  k = in[1].s.dim[1], n = in[1].s.dim[0];
    int      act = *(const int *)attr;
    (void)act;
    s.dim[s.ndim - 1] = n;
    out[0] = make(s);
    for (int64_t i = 0; i < out[0].n; i++) {
        int64_t r = i / n, j = i % n;
        double  v = n_in > 2 ? in[2].v[j] : 0, m = fabs(v);
        for (int64_t p = 0; p < k; p++) {
            v += in[0].v[r * k + p] * in[1].v[j * k + p];
            m += fabs(in[0].v[r * k + p] * in[1].v[j * k + p]);
        }
        m *= act == NN_ACT_SIGMOID ? 0.25 : act == NN_ACT_GELU ? 1.2 : 1;
        v = act == NN_ACT_RELU ? f_relu(v) : act == NN_ACT_SIGMOID ? f_sigmoid(v) : act == NN_ACT_TANH ? tanh(v) : act == NN_ACT_GELU ? f_gelu(v) : v;
        out[0].v[i] = v;
        out[0].m[i] = m + (act == NN_ACT_NONE || act == NN_ACT_RELU ? 0 : 3 * fabs(v));
    }
    *roundings = (double)k + 3;
}

static int64_t row_of(const arr *x) { return x->s.ndim ? x->s.dim[x->s.ndim - 1] : 1; }
static double  log_sum_exp(const double *x, int64_t n, double *largest) {
    double sum = 0;
    *largest = -INFINITY;
    for (int64_t i = 0; i < n; i++)
        if (x[i] > *largest) *largest = x[i];
    for (int64_t i = 0; i < n; i++) sum += exp(x[i] - *largest);
    return *largest + log(sum);
}
static void softmaxes(const arr *x, arr *y, double *roundings, int logarithm) {
    int64_t n = row_of(x);
    *y = make(x->s);
    for (int64_t r = 0; n && r < x->n / n; r++) {
        double most, lse = log_sum_exp(x->v + r * n, n, &most);
        for (int64_t i = r * n; i < (r + 1) * n; i++) {
            double l = x->v[i] - lse;
            y->v[i] = logarithm ? l : exp(l);
            y->m[i] = logarithm ? fabs(l) + fabs(x->v[i]) + fabs(most) + 1 : exp(l) * (1 + fabs(x->v[i] - most));
        }
    }
    *roundings = (double)n + 12;
}
static void ref_softmax(const arr *in, int n_in, const void *attr, arr *out, double *roundings) { (void)n_in; (void)attr; softmaxes(in, out, roundings, 0); }
static void ref_log_softmax(const arr *in, int n_in, const void *attr, arr *out, double *roundings) { (void)n_in; (void)attr; softmaxes(in, out, roundings, 1); }

static void ref_layernorm(const arr *in, int n_in, const void *attr, arr *out, double *roundings) {
    int64_t  n = row_of(in), rows = in[0].n / n;
    nn_shape s = in[0].s;
    (void)n_in;
    s.ndim--;
    out[0] = make(in[0].s);
    out[1] = make(s);
    out[2] = make(s);
    for (int64_t r = 0; r < rows; r++) {
        const double *x = in[0].v + r * n;
        double        mean = 0, var = 0, most = 0, scale;
        for (int64_t i = 0; i < n; i++) {
            mean += x[i] / (double)n;
            if (fabs(x[i]) > most) most = fabs(x[i]);
        }
        for (int64_t i = 0; i < n; i++) var += (x[i] - mean) * (x[i] - mean) / (double)n;
        scale = 1 / sqrt(var + *(const double *)attr);
        for (int64_t i = 0; i < n; i++) {
            out[0].v[r * n + i] = (x[i] - mean) * scale * in[1].v[i] + in[2].v[i];
            out[0].m[r * n + i] = most * scale * (1 + fabs((x[i] - mean) * scale)) * fabs(in[1].v[i]) + fabs(in[2].v[i]);
        }
        out[1].v[r] = mean;
        out[1].m[r] = most;
        out[2].v[r] = scale;
        out[2].m[r] = scale * (1 + most * scale);
    }
    *roundings = 2 * (double)n + 8;
}
static void ref_cross_entropy(const arr *in, int n_in, const void *attr, arr *out, double *roundings) {
    int64_t  n = row_of(in), rows = in[0].n / n;
    nn_shape s = in[0].s;
    (void)n_in; (void)attr;
    s.ndim--;
    out[0] = make(NN_SCALAR);
    out[1] = make(s);
    for (int64_t r = 0; r < rows; r++) {
        double most, lse = log_sum_exp(in[0].v + r * n, n, &most), x = in[0].v[r * n + (int64_t)in[1].v[r]];
        out[0].v[0] += (lse - x) / (double)rows;
        out[0].m[0] += (1 + fabs(lse) + fabs(x) + fabs(most)) / (double)rows;
        out[1].v[r] = lse;
        out[1].m[r] = 1 + fabs(lse) + fabs(most);
    }
    *roundings = (double)n + 8;
}

static void ref_mask(const arr *in, int n_in, const void *attr, arr *out, double *roundings) {
    (void)n_in;
    out[0] = make(in[0].s);
    for (int64_t i = 0; i < in[0].n; i++) {
        out[0].v[i] = in[1].v[i] != 0 ? in[0].v[i] * *(const double *)attr : 0;
        out[0].m[i] = fabs(out[0].v[i]);
    }
    *roundings = 2.1;
}
static void ref_dropout(const arr *in, int n_in, const void *attr, arr *out, double *roundings) { /* stream 0 of step 0 */
    double p = *(const double *)attr;
    (void)n_in;
    out[0] = make(in[0].s);
    out[1] = make(in[0].s);
    for (int64_t i = 0; i < in[0].n; i++) {
        int stays = word_of(0, 0, i) >= p * 4294967296.0;
        out[0].v[i] = stays ? in[0].v[i] / (1 - p) : 0;
        out[0].m[i] = fabs(out[0].v[i]);
        out[1].v[i] = stays;
    }
    *roundings = 2.1;
}

static nn_shape shape_in(const void *list) {
    const nn__list *l = (const nn__list *)list;
    nn_shape        s = NN_SCALAR;
    s.ndim = l->n;
    for (int i = 0; i < l->n; i++) s.dim[i] = l->at[i];
    return s;
}
static void ref_reshape(const arr *in, int n_in, const void *attr, arr *out, double *roundings) {
    (void)n_in;
    out[0] = make(shape_in(attr));
    memcpy(out[0].v, in[0].v, (size_t)in[0].n * sizeof(double));
    *roundings = 0;
}
static void ref_permute(const arr *in, int n_in, const void *attr, arr *out, double *roundings) {
    nn_shape axes = shape_in(attr), s = axes;
    int64_t  index[NN_MAX_DIMS], from[NN_MAX_DIMS];
    (void)n_in;
    for (int d = 0; d < axes.ndim; d++) s.dim[d] = in[0].s.dim[axes.dim[d]];
    out[0] = make(s);
    for (int64_t i = 0; i < out[0].n; i++) {
        split_index(s, i, index);
        for (int d = 0; d < axes.ndim; d++) from[axes.dim[d]] = index[d];
        out[0].v[i] = in[0].v[join_index(in[0].s, from)];
    }
    *roundings = 0;
}
static void ref_slice(const arr *in, int n_in, const void *attr, arr *out, double *roundings) {
    const nn__slice *a = (const nn__slice *)attr;
    nn_shape         s = in[0].s;
    int64_t          index[NN_MAX_DIMS];
    (void)n_in;
    s.dim[a->axis] = a->count;
    out[0] = make(s);
    for (int64_t i = 0; i < out[0].n; i++) {
        split_index(s, i, index);
        index[a->axis] = a->start + a->step * index[a->axis];
        out[0].v[i] = in[0].v[join_index(in[0].s, index)];
    }
    *roundings = 0;
}
static void ref_unslice(const arr *in, int n_in, const void *attr, arr *out, double *roundings) {
    const nn__slice *a = (const nn__slice *)attr;
    nn_shape         s = in[0].s;
    int64_t          index[NN_MAX_DIMS];
    (void)n_in;
    s.dim[a->axis] = a->size;
    out[0] = make(s);
    for (int64_t i = 0; i < in[0].n; i++) {
        split_index(in[0].s, i, index);
        index[a->axis] = a->start + a->step * index[a->axis];
        out[0].v[join_index(s, index)] = in[0].v[i];
    }
    *roundings = 0;
}
static void ref_expand(const arr *in, int n_in, const void *attr, arr *out, double *roundings) {
    int64_t index[NN_MAX_DIMS];
    (void)n_in;
    out[0] = make(shape_in(attr));
    for (int64_t i = 0; i < out[0].n; i++) {
        split_index(out[0].s, i, index);
        out[0].v[i] = in[0].v[at_broadcast(in[0].s, out[0].s, index)];
    }
    *roundings = 0;
}
static void ref_concat(const arr *in, int n_in, const void *attr, arr *out, double *roundings) {
    int      axis = *(const int *)attr;
    nn_shape s = in[0].s;
    int64_t  index[NN_MAX_DIMS], at = 0;
    for (int k = 1; k < n_in; k++) s.dim[axis] += in[k].s.dim[axis];
    out[0] = make(s);
    for (int k = 0; k < n_in; k++) {
        for (int64_t i = 0; i < in[k].n; i++) {
            split_index(in[k].s, i, index);
            index[axis] += at;
            out[0].v[join_index(s, index)] = in[k].v[i];
        }
        at += in[k].s.dim[axis];
    }
    *roundings = 0;
}
static void ref_gather(const arr *in, int n_in, const void *attr, arr *out, double *roundings) {
    int     axis = *(const int *)attr;
    int64_t index[NN_MAX_DIMS];
    (void)n_in;
    out[0] = make(in[1].s);
    for (int64_t i = 0; i < out[0].n; i++) {
        split_index(in[1].s, i, index);
        index[axis] = (int64_t)in[1].v[i];
        out[0].v[i] = in[0].v[join_index(in[0].s, index)];
    }
    *roundings = 0;
}
static void ref_scatter_add(const arr *in, int n_in, const void *attr, arr *out, double *roundings) {
    const nn__scatter *a = (const nn__scatter *)attr;
    nn_shape           s = in[0].s;
    int64_t            index[NN_MAX_DIMS];
    (void)n_in;
    s.dim[a->axis] = a->size;
    out[0] = make(s);
    for (int64_t i = 0; i < in[0].n; i++) {
        int64_t at;
        split_index(in[0].s, i, index);
        index[a->axis] = (int64_t)in[1].v[i];
        at = join_index(s, index);
        out[0].v[at] += in[0].v[i];
        out[0].m[at] += fabs(in[0].v[i]);
    }
    *roundings = (double)in[0].s.dim[a->axis];
}

typedef struct general { const char *name; reference f; } general;
static const general generals[] = {
    {"affine", ref_affine},   {"sum", ref_sum},         {"max", ref_max},               {"matmul", ref_matmul},       {"linear", ref_linear},
    {"softmax", ref_softmax}, {"log_softmax", ref_log_softmax}, {"layernorm", ref_layernorm}, {"cross_entropy", ref_cross_entropy},
    {"mask", ref_mask},       {"dropout", ref_dropout}, {"reshape", ref_reshape},       {"permute", ref_permute},     {"slice", ref_slice},
    {"unslice", ref_unslice}, {"expand", ref_expand},   {"concat", ref_concat},         {"gather", ref_gather},       {"scatter_add", ref_scatter_add}};

/* Ops without samples, and where they are proved */
typedef struct other { const char *name, *rule, *reason; } other;
static const other elsewhere[] = {
    {"relu_back", "relu", "the fused gradient is compared with the rule"},
    {"sigmoid_back", "sigmoid", "the fused gradient is compared with the rule"},
    {"tanh_back", "tanh", "the fused gradient is compared with the rule"},
    {"gelu_back", "gelu", "the fused gradient is compared with the rule"},
    {"softmax_back", "softmax", "the fused gradient is compared with the rule"},
    {"log_softmax_back", "log_softmax", "the fused gradient is compared with the rule"},
    {"layernorm_back", "layernorm", "the fused gradient is compared with the rule"},
    {"cross_entropy_back", "cross_entropy", "the fused gradient is compared with the rule"},
    {"uniform", NULL, "no input: test_random compares every number"},
    {"normal", NULL, "no input: test_random compares every number"},
    {"one_hot", NULL, "no real input: test_one_hot"}};

static const nn_op *op_named(const char *name) {
    int                 n;
    const nn_op *const *ops = nn_op_list(&n);
    for (int i = 0; i < n; i++)
        if (!strcmp(ops[i]->name, name)) return ops[i];
    return NULL;
}

/* All outputs of op by its reference; 0: it has none */
static int refer(const nn_op *op, const arr *in, int n_in, const void *attr, arr *out, double *roundings) {
    for (size_t i = 0; i < sizeof unaries / sizeof *unaries; i++)
        if (!strcmp(op->name, unaries[i].name)) {
            *roundings = unaries[i].roundings;
            if (in) out[0] = ref_unary(&unaries[i], in);
            return 1;
        }
    for (size_t i = 0; i < sizeof binaries / sizeof *binaries; i++)
        if (!strcmp(op->name, binaries[i].name)) {
            *roundings = binaries[i].roundings;
            if (in) out[0] = ref_binary(&binaries[i], &in[0], &in[1]);
            return 1;
        }
    for (size_t i = 0; i < sizeof generals / sizeof *generals; i++)
        if (!strcmp(op->name, generals[i].name)) {
            if (in) generals[i].f(in, n_in, attr, out, roundings);
            return 1;
        }
    return 0;
}

static void test_list(void) {
    int                 n;
    const nn_op *const *ops = nn_op_list(&n);
    check(n > 40, "nn_op_list has %d ops", n);
    for (int i = 0; i < n; i++) {
        double       roundings;
        int          covered = ops[i]->sample && refer(ops[i], NULL, 0, NULL, NULL, &roundings);
        const nn_op *rule = NULL;
        for (size_t k = 0; k < sizeof elsewhere / sizeof *elsewhere && !covered; k++)
            if (!strcmp(ops[i]->name, elsewhere[k].name)) {
                covered = 1;
                rule    = elsewhere[k].rule ? op_named(elsewhere[k].rule) : NULL;
                if (elsewhere[k].rule) covered = rule && rule->sample && rule->grad && rule->grad_fast;
            }
        check(covered, "op %s: neither a sample and a reference here, nor proved elsewhere", ops[i]->name);
        check(ops[i]->grad || (ops[i]->flags & NN_OP_NO_GRAD) || !ops[i]->sample, "op %s: no gradient rule", ops[i]->name);
        for (int k = 0; k < i; k++) check(strcmp(ops[k]->name, ops[i]->name) != 0, "op %s is listed twice", ops[i]->name);
    }
}

/* ---- values ----------------------------------------------------------------------------------------------- */

static int sample_of(nn_ctx *c, const nn_op *op, nn_dtype real, int k, nn_sample *s) {
    memset(s, 0, sizeof *s);
    return op->sample && op->sample(c, real, k, s);
}

static void test_values_of(nn_ctx *c, const nn_op *op, nn_dtype real, int k) {
    nn_sample  s;
    arr        in[8], want[4], got;
    double     roundings = 0;
    nn_tensor *x[8], *y[4];
    if (!sample_of(c, op, real, k, &s) || !refer(op, NULL, 0, NULL, NULL, &roundings)) return;
    for (int i = 0; i < s.n_in; i++) in[i] = read_arr(s.in[i]);
    refer(op, in, s.n_in, s.attr, want, &roundings);
    for (int variant = 0; variant < VARIANTS; variant++) {
        nn_seed(c, the_seed);
        for (int i = 0; i < s.n_in; i++) x[i] = restride(c, s.in[i], variant);
        nn_apply(op, x, s.n_in, s.attr, y);
        if (!fine(c, named("%s %s sample %d strides %d", op->name, nn_isa(c), k, variant))) continue;
        for (int i = 0; i < op->n_out; i++) {
            got = read_arr(y[i]);
            close_to(&got, &want[i], roundings == 0 ? 0 : real == NN_F64 ? 1e-12 : u32 * roundings,
                     named("%s %s %s sample %d strides %d output %d", op->name, nn_dtype_name(real), nn_isa(c), k, variant, i));
        }
    }
}

static void test_values(void) {
    int                 n;
    const nn_op *const *ops = nn_op_list(&n);
    for (int i = 0; i < n; i++) {
        nn_sample s;
        int       k = 0;
        if (!ops[i]->sample) continue;
        for (; sample_of(sets[0].c, ops[i], NN_F64, k, &s); k++) {
            for (int j = 0; j < n_sets; j++) {
                test_values_of(sets[j].c, ops[i], NN_F32, k);
                test_values_of(sets[j].c, ops[i], NN_F64, k);
            }
            next_step();
        }
        check(k > 0, "op %s: its sample function gives nothing", ops[i]->name);
        next_step();
    }
    for (int i = 1; i < VARIANTS; i++) check(seen_strided[i] > 50, "strides %d are hardly ever strided", i);
}

static void test_half(void) {
    static const nn_dtype halves[2] = {NN_F16, NN_BF16};
    int                   n;
    const nn_op *const   *ops = nn_op_list(&n);
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n_sets; j++)
            for (int h = 0; h < 2; h++) {
                nn_ctx   *c = sets[j].c;
                nn_sample s;
                for (int k = 0; sample_of(c, ops[i], halves[h], k, &s); k++) {
                    nn_tensor *wide[8], *y[4], *z[4];
                    for (int v = 0; v < 3; v += 2) {
                        nn_tensor *x[8];
                        const char *what = named("%s %s %s sample %d strides %d", ops[i]->name, nn_dtype_name(halves[h]), nn_isa(c), k, v);
                        for (int m = 0; m < s.n_in; m++) {
                            wide[m] = nn_dtype_of(s.in[m]) == halves[h] ? nn_cast(s.in[m], NN_F32) : s.in[m];
                            x[m]    = restride(c, s.in[m], v);
                        }
                        nn_seed(c, the_seed);
                        nn_apply(ops[i], x, s.n_in, s.attr, y);
                        nn_seed(c, the_seed);
                        nn_apply(ops[i], wide, s.n_in, s.attr, z);
                        if (!fine(c, what)) continue;
                        for (int m = 0; m < ops[i]->n_out; m++) {
                            size_t size = (size_t)nn_numel(y[m]) * nn_dtype_size(nn_dtype_of(y[m]));
                            check(m > 0 || nn_dtype_of(y[0]) == halves[h], "%s: the result is %s", what, nn_dtype_name(nn_dtype_of(y[0])));
                            z[m] = nn_cast(z[m], nn_dtype_of(y[m]));
                            check(same_shape(nn_shape_of(y[m]), nn_shape_of(z[m])) && !memcmp(bytes_of(y[m]), bytes_of(z[m]), size), "%s: output %d is not the f32 result, rounded", what, m);
                        }
                    }
                    nn_reset(c);
                    room_clear();
                }
                nn_reset(c);
            }
    for (int h = 0; h < 2; h++) { /* composed functions must not round, or overflow, on the way */
        nn_ctx    *c = sets[n_sets - 1].c;
        nn_tensor *x = values(c, halves[h], NN_SHAPE(4096), 1, 20, 40), *y = values(c, halves[h], NN_SHAPE(4096), 2, -40, -20);
        double     want = nn_item(nn_mean(nn_cast(x, NN_F32), NN_ALL, 0)), unit = h ? 1.0 / 256 : 1.0 / 2048;
        check(fabs(nn_item(nn_mean(x, NN_ALL, 0)) - want) <= unit * want, "mean of 4096 %s about 30 is %g", nn_dtype_name(halves[h]), nn_item(nn_mean(x, NN_ALL, 0)));
        want = nn_item(nn_mse(nn_cast(x, NN_F32), nn_cast(y, NN_F32)));
        check(fabs(nn_item(nn_mse(x, y)) - want) <= 3 * unit * want, "mse of 4096 %s about 60 apart is %g, not %g", nn_dtype_name(halves[h]), nn_item(nn_mse(x, y)), want);
        fine(c, "half precision mean");
        nn_reset(c);
        room_clear();
    }
}

/* ---- gradients -------------------------------------------------------------------------------------------- */

typedef struct call { /* an op with its attributes and those inputs that have no gradient */
    const nn_op *op;
    const void  *attr;
    nn_tensor   *fixed[8];
    int          n_in, variant;
} call;

static nn_tensor *run_call(nn_ctx *c, nn_tensor **x, void *user) {
    const call *s = (const call *)user;
    nn_tensor  *in[8], *out[4];
    int         at = 0;
    for (int i = 0; i < s->n_in; i++) in[i] = restride(c, s->fixed[i] ? s->fixed[i] : x[at++], s->variant);
    return nn_apply(s->op, in, s->n_in, s->attr, out) ? out[0] : NULL;
}

/* The call of sample k and its differentiable inputs, whose values f32 holds exactly; their number */
static int call_of(nn_ctx *c, const nn_op *op, nn_dtype real, int k, nn_sample *s, call *l, nn_tensor **x) {
    int n = 0;
    memset(l, 0, sizeof *l);
    if (!sample_of(c, op, real, k, s)) return -1;
    l->op = op; l->attr = s->attr; l->n_in = s->n_in;
    for (int i = 0; i < s->n_in; i++) {
        if (s->no_grad >> i & 1) l->fixed[i] = s->in[i];
        else x[n++] = real == NN_F64 ? nn_cast(nn_cast(s->in[i], NN_F32), NN_F64) : s->in[i];
    }
    return n;
}

/* An upstream gradient that is not uniform, and that f32 holds exactly */
static nn_tensor *upstream(nn_tensor *y) {
    double  *v = (double *)room((size_t)nn_numel(y) * sizeof *v);
    nn_ctx  *c = nn_ctx_of(y);
    for (int64_t i = 0; i < nn_numel(y); i++) v[i] = (float)(0.6 + 0.5 * sin(1.7 * (double)i + 0.3));
    return nn_cast(nn_from(c, v, NN_F64, nn_shape_of(y)), nn_dtype_of(y));
}

/* Gradients of f at x; `only` >= 0: of that input alone, the others being constants */
static int gradients(nn_ctx *c, nn_tensor *(*f)(nn_ctx *, nn_tensor **, void *), void *user, nn_tensor **x, int n, int only, int flags, arr *g) {
    nn_tensor *leaf[8], *at[8], *dx[8], *y;
    int        asked = 0, ok;
    nn_seed(c, the_seed);
    for (int i = 0; i < n; i++) {
        leaf[i] = nn_clone(nn_detach(x[i]));
        if (only < 0 || only == i) at[asked++] = nn_requires_grad(leaf[i]);
    }
    y  = f(c, leaf, user);
    ok = y && nn_grad_of(y, upstream(y), at, asked, dx, flags);
    for (int i = 0; i < asked; i++) {
        g[only < 0 ? i : only] = ok && dx[i] ? read_arr(dx[i]) : make(nn_shape_of(at[i]));
        if (ok && dx[i]) ok = nn_dtype_of(dx[i]) == nn_dtype_of(at[i]);
    }
    return ok;
}
/* The same through nn_backward_from and nn_grad, twice, which adds up */
static int gradients_by_backward(nn_ctx *c, nn_tensor *(*f)(nn_ctx *, nn_tensor **, void *), void *user, nn_tensor **x, int n, arr *g) {
    nn_tensor *leaf[8], *y;
    int        ok;
    for (int i = 0; i < n; i++) leaf[i] = nn_requires_grad(nn_clone(nn_detach(x[i])));
    nn_seed(c, the_seed);
    y  = f(c, leaf, user);
    ok = y && nn_backward_from(y, upstream(y), 0);
    nn_seed(c, the_seed);
    y  = f(c, leaf, user);
    ok = ok && y && nn_backward_from(y, upstream(y), 0);
    for (int i = 0; i < n; i++) g[i] = ok && nn_grad(leaf[i]) ? read_arr(nn_grad(leaf[i])) : make(nn_shape_of(leaf[i]));
    return ok;
}

static double longest(nn_tensor **x, int n) { /* the largest size of an axis */
    int64_t most = 1;
    for (int i = 0; i < n; i++)
        for (int d = 0; d < nn_ndim(x[i]); d++)
            if (nn_dim(x[i], d) > most) most = nn_dim(x[i], d);
    return (double)most;
}

static void test_gradients_of(const nn_op *op, int k) {
    nn_sample  s;
    call       l;
    nn_tensor *x[8];
    nn_ctx    *c    = sets[n_sets - 1].c;
    int        n    = call_of(c, op, NN_F64, k, &s, &l, x);
    int64_t    size = 0;
    arr        want[8], got[8];
    double     length = longest(x, n);
    for (int i = 0; i < n; i++) size += nn_numel(x[i]);

    if (op->flags & NN_OP_NO_GRAD) { /* constant: nothing flows */
        for (int i = 0; i < n; i++) x[i] = nn_requires_grad(nn_clone(x[i]));
        check(!run_call(c, x, &l)->needs_grad, "%s: is marked as constant, but records", op->name);
        fine(c, op->name);
        return;
    }
    /* finite differences, straight and strided; a big sample alternates */
    for (int order = 1; order <= 2; order++)
        for (int v = 0; v < VARIANTS; v += 4) {
            double error;
            if (size > 300 && (order == 1) != (v == 0)) continue;
            l.variant = v;
            nn_seed(c, the_seed);
            error = nn_gradcheck(run_call, x, n, order, &l);
            check(error < 1e-6, "%s sample %d order %d strides %d: gradients are off by %g %s", op->name, k, order, v, error, nn_error_text(c));
            nn_error_clear(c);
        }
    /* the rule, in f64 with the plainest kernels: what all others are compared with */
    l.variant = 0;
    nn_reset(c);
    c = sets[0].c;
    n = call_of(c, op, NN_F64, k, &s, &l, x);
    gradients(c, run_call, &l, x, n, -1, NN_CREATE_GRAPH, want);
    fine(c, op->name);
    for (int i = 0; i < n; i++) magnitude(&want[i], 1e-3);
    for (int j = 0; j < n_sets; j++) {
        static const nn_dtype reals[2] = {NN_F64, NN_F32};
        c = sets[j].c;
        for (int r = 0; r < 2; r++) {
            double unit = r ? u32 * (24 + 2 * length) : 1e-12;
            nn_reset(c);
            n = call_of(c, op, reals[r], k, &s, &l, x);
            for (int v = 0; v < VARIANTS; v++)
                for (int flags = 0; flags <= NN_CREATE_GRAPH; flags++) {
                    const char *what = named("%s %s %s sample %d strides %d %s gradient", op->name, nn_dtype_name(reals[r]), nn_isa(c), k, v, flags ? "recorded" : "fast");
                    l.variant = v;
                    if (!gradients(c, run_call, &l, x, n, -1, flags, got)) check(0, "%s: fails: %s", what, nn_error_text(c));
                    for (int i = 0; i < n; i++) close_to(&got[i], &want[i], unit, what);
                    nn_error_clear(c);
                }
            l.variant = 0;
            for (int i = 0; i < n && n > 1; i++)
                for (int flags = 0; flags <= NN_CREATE_GRAPH; flags++) {
                    const char *what = named("%s %s %s sample %d, only input %d wants a gradient", op->name, nn_dtype_name(reals[r]), nn_isa(c), k, i);
                    if (!gradients(c, run_call, &l, x, n, i, flags, got)) check(0, "%s: fails: %s", what, nn_error_text(c));
                    close_to(&got[i], &want[i], unit, what);
                    nn_error_clear(c);
                }
            {
                const char *what = named("%s %s %s sample %d, backward twice", op->name, nn_dtype_name(reals[r]), nn_isa(c), k);
                if (!gradients_by_backward(c, run_call, &l, x, n, got)) check(0, "%s: fails: %s", what, nn_error_text(c));
                for (int i = 0; i < n; i++) {
                    for (int64_t e = 0; e < got[i].n; e++) got[i].v[e] /= 2;
                    close_to(&got[i], &want[i], unit, what);
                }
                nn_error_clear(c);
            }
        }
    }
}

/* Functions that are made of several ops, or reach an op in a way that its samples do not */
static nn_tensor *c_linear_relu(nn_ctx *c, nn_tensor **x, void *u) { (void)c; (void)u; return nn_linear_act(x[0], x[1], x[2], NN_ACT_RELU); }
static nn_tensor *c_linear_sigmoid(nn_ctx *c, nn_tensor **x, void *u) { (void)c; (void)u; return nn_linear_act(x[0], x[1], x[2], NN_ACT_SIGMOID); }
static nn_tensor *c_linear_tanh(nn_ctx *c, nn_tensor **x, void *u) { (void)c; (void)u; return nn_linear_act(x[0], x[1], x[2], NN_ACT_TANH); }
static nn_tensor *c_linear_gelu(nn_ctx *c, nn_tensor **x, void *u) { (void)c; (void)u; return nn_linear_act(x[0], x[1], x[2], NN_ACT_GELU); }
static nn_tensor *c_linear_plain(nn_ctx *c, nn_tensor **x, void *u) { (void)c; (void)u; return nn_tanh(nn_linear(x[0], x[1], NULL)); }
static nn_tensor *c_mean(nn_ctx *c, nn_tensor **x, void *u) { (void)c; (void)u; return nn_square(nn_mean(nn_mul(x[0], x[0]), NN_AXES(0), 1)); }
static nn_tensor *c_mse(nn_ctx *c, nn_tensor **x, void *u) { (void)c; (void)u; return nn_mse(x[0], nn_tanh(x[0])); }
static nn_tensor *c_softmax0(nn_ctx *c, nn_tensor **x, void *u) { (void)c; (void)u; return nn_softmax(x[0], 0); }
static nn_tensor *c_log_softmax0(nn_ctx *c, nn_tensor **x, void *u) { (void)c; (void)u; return nn_log_softmax(x[0], 0); }
static nn_tensor *c_max_of_products(nn_ctx *c, nn_tensor **x, void *u) { (void)c; (void)u; return nn_max(nn_mul(x[0], nn_add(x[0], x[2])), NN_AXES(0), 0); }
static nn_tensor *c_views(nn_ctx *c, nn_tensor **x, void *u) {
    nn_tensor *a = nn_flatten(nn_unsqueeze(nn_transpose(nn_square(x[0]), 0, 1), 1), 1), *b = nn_slice(a, 0, 1, NN_TO_END, 2);
    (void)c; (void)u;
    return nn_mul(nn_expand(nn_squeeze(nn_slice(b, 0, 0, 1, 1), 0), nn_shape_of(b)), nn_reshape(nn_mul(b, b), nn_shape_of(b)));
}
static nn_tensor *c_many_uses(nn_ctx *c, nn_tensor **x, void *u) { /* one tensor, used in five places */
    nn_tensor *y = nn_exp(nn_scale(x[0], 0.5));
    (void)c; (void)u;
    return nn_add(nn_div(nn_mul(y, y), nn_affine(y, 1, 2)), nn_sub(nn_sqrt(y), nn_neg(nn_log(nn_affine(y, 2, 1)))));
}
static nn_tensor *c_matmul_both(nn_ctx *c, nn_tensor **x, void *u) { (void)c; (void)u; return nn_matmul(nn_transpose(x[0], 0, 1), nn_matmul(x[0], nn_transpose(x[0], 0, 1))) ? nn_matmul(x[0], nn_transpose(x[0], 0, 1)) : NULL; }
static nn_tensor *c_cross_entropy(nn_ctx *c, nn_tensor **x, void *u) { (void)u; return nn_cross_entropy(nn_mul(x[0], x[0]), classes(c, NN_I32, NN_SHAPE(nn_dim(x[0], 0)), nn_dim(x[0], 1))); }
static nn_tensor *c_layernorm(nn_ctx *c, nn_tensor **x, void *u) { (void)c; (void)u; return nn_square(nn_layernorm(nn_mul(x[0], x[0]), x[2], x[2], 1e-3)); }
static nn_tensor *c_dropout(nn_ctx *c, nn_tensor **x, void *u) { (void)c; (void)u; return nn_dropout(nn_square(x[0]), 0.3, 1); }
static nn_tensor *c_dropout_all(nn_ctx *c, nn_tensor **x, void *u) { (void)c; (void)u; return nn_dropout(nn_square(x[0]), 1.0, 1); }
static nn_tensor *c_gather_twice(nn_ctx *c, nn_tensor **x, void *u) {
    nn_tensor *i = classes(c, NN_I32, NN_SHAPE(4, 7), nn_dim(x[0], 1));
    (void)u;
    return nn_square(nn_gather(x[0], 1, i));
}

typedef struct composed { const char *name; nn_tensor *(*f)(nn_ctx *, nn_tensor **, void *); int inputs; } composed;
static const composed composeds[] = {
    {"linear_act relu", c_linear_relu, 3}, {"linear_act sigmoid", c_linear_sigmoid, 3}, {"linear_act tanh", c_linear_tanh, 3}, {"linear_act gelu", c_linear_gelu, 3},
    {"linear without bias", c_linear_plain, 2}, {"mean", c_mean, 1}, {"mse", c_mse, 1}, {"softmax over axis 0", c_softmax0, 1}, {"log_softmax over axis 0", c_log_softmax0, 1},
    {"max of products", c_max_of_products, 3}, {"views", c_views, 1}, {"many uses", c_many_uses, 1}, {"matmul with itself", c_matmul_both, 1},
    {"cross_entropy of squares", c_cross_entropy, 1}, {"layernorm, weight used twice", c_layernorm, 3}, {"dropout", c_dropout, 1}, {"dropout of all", c_dropout_all, 1},
    {"gather twice", c_gather_twice, 1}};

static void test_composed(void) {
    for (size_t i = 0; i < sizeof composeds / sizeof *composeds; i++) {
        nn_tensor *x[3];
        nn_ctx    *c = sets[n_sets - 1].c;
        arr        want[3], got[3];
        int        n = composeds[i].inputs;
        for (int order = 1; order <= 2; order++) {
            double error;
            int    square = composeds[i].f == c_max_of_products || composeds[i].f == c_layernorm;
            x[0] = values(c, NN_F64, NN_SHAPE(4, 5), 1, -1, 1);
            x[1] = values(c, NN_F64, NN_SHAPE(3, 5), 2, -1, 1);
            x[2] = values(c, NN_F64, NN_SHAPE(square ? 5 : 3), 3, -1, 1);
            nn_seed(c, the_seed);
            if (square) { x[1] = x[2]; }
            error = nn_gradcheck(composeds[i].f, x, n, order, NULL);
            check(error < 1e-6, "%s order %d: gradients are off by %g %s", composeds[i].name, order, error, nn_error_text(c));
            nn_error_clear(c);
        }
        for (int j = 0; j < n_sets; j++) {
            static const nn_dtype reals[2] = {NN_F64, NN_F32};
            c = sets[j].c;
            for (int r = 0; r < 2; r++)
                for (int flags = 1; flags >= 0; flags--) {
                    const char *what = named("%s %s %s %s gradient", composeds[i].name, nn_dtype_name(reals[r]), nn_isa(c), flags ? "recorded" : "fast");
                    int         first = !j && !r && flags, square = composeds[i].f == c_max_of_products || composeds[i].f == c_layernorm;
                    x[0] = values(c, reals[r], NN_SHAPE(4, 5), 1, -1, 1);
                    x[1] = values(c, reals[r], NN_SHAPE(3, 5), 2, -1, 1);
                    x[2] = values(c, reals[r], NN_SHAPE(square ? 5 : 3), 3, -1, 1);
                    check(gradients(c, composeds[i].f, NULL, x, n, -1, flags, first ? want : got), "%s: fails: %s", what, nn_error_text(c));
                    nn_error_clear(c);
                    for (int m = 0; m < n; m++) {
                        if (first) magnitude(&want[m], 1e-2);
                        else close_to(&got[m], &want[m], r ? 100 * u32 : 1e-12, what);
                    }
                }
        }
        next_step();
    }
}

/* Sums and maxima over every set of axes: the gradient by its definition, ties shared */
static void test_reduce_gradients(void) {
    nn_ctx *c = sets[n_sets - 1].c;
    for (int mask = 0; mask < 16; mask++)
        for (int keep = 0; keep < 2; keep++)
            for (int kind = 0; kind < 2; kind++) {
                nn_shape   axes = NN_ALL;
                int        gone[NN_MAX_DIMS] = {0, 0, 0, 0, 0, 0};
                nn_tensor *x = nn_requires_grad(classes(c, NN_F64, NN_SHAPE(3, 4, 2, 5), 11)), *y, *dy, *dx;
                arr        ax = read_arr(x), ay, ady, kept, want, got, hits;
                for (int d = 0; d < 4; d++)
                    if (mask >> d & 1 || !mask) { gone[d] = 1; if (mask) axes.dim[axes.ndim++] = d - (d & 1 ? 4 : 0); }
                y  = kind ? nn_max(x, axes, keep) : nn_sum(x, axes, keep);
                dy = upstream(y);
                if (!nn_grad_of(y, dy, &x, 1, &dx, 0)) { fine(c, "reduce gradient"); continue; }
                ay   = reduce(&ax, gone, 1, kind ? 'x' : 's');
                kept = ay;
                ady  = read_arr(dy);
                want = make(ax.s);
                hits = make(kept.s);
                for (int pass = 0; pass < 2; pass++)
                    for (int64_t i = 0; i < ax.n; i++) {
                        int64_t index[NN_MAX_DIMS], at;
                        split_index(ax.s, i, index);
                        for (int d = 0; d < 4; d++)
                            if (gone[d]) index[d] = 0;
                        at = join_index(kept.s, index);
                        if (!pass) hits.v[at] += ax.v[i] == ay.v[at];
                        else want.v[i] = !kind ? ady.v[at] : ax.v[i] == ay.v[at] ? ady.v[at] / hits.v[at] : 0;
                        want.m[i] = 1;
                    }
                got = read_arr(dx);
                close_to(&got, &want, 1e-12, named("gradient of %s over axes %x keepdims %d", kind ? "max" : "sum", (unsigned)mask, keep));
                nn_reset(c);
                room_clear();
            }
}

/* Half precision: a gradient may be rounded, but its saved statistics must not spoil it */
static nn_tensor *c_ce_plain(nn_ctx *c, nn_tensor **x, void *u) { (void)u; return nn_cross_entropy(x[0], classes(c, NN_I32, NN_SHAPE(nn_dim(x[0], 0)), nn_dim(x[0], 1))); }
static nn_tensor *c_ln_plain(nn_ctx *c, nn_tensor **x, void *u) {
    nn_tensor *w = values(c, nn_dtype_of(x[0]), NN_SHAPE(nn_dim(x[0], -1)), 5, 0.5, 1.5);
    (void)u;
    return nn_layernorm(x[0], w, w, 1e-5);
}
static void test_half_gradients(void) {
    static const nn_dtype halves[2] = {NN_F16, NN_BF16};
    nn_ctx *c = sets[n_sets - 1].c;
    for (int h = 0; h < 2; h++)
        for (int k = 0; k < 2; k++)
            for (int flags = 0; flags < 2; flags++) {
                nn_tensor  *x = values(c, halves[h], NN_SHAPE(4, 20), 1, k ? 9 : 28, k ? 11 : 32), *wide = nn_cast(x, NN_F32);
                arr         got, want;
                const char *what = named("%s %s, values far from 0, %s gradient", k ? "layernorm" : "cross_entropy", nn_dtype_name(halves[h]), flags ? "recorded" : "fast");
                gradients(c, k ? c_ln_plain : c_ce_plain, NULL, &wide, 1, -1, 1, &want);
                if (k && flags) { nn_reset(c); room_clear(); continue; } /* the rule rounds x - mean, as any chain of half ops does */
                check(gradients(c, k ? c_ln_plain : c_ce_plain, NULL, &x, 1, -1, flags, &got), "%s: fails: %s", what, nn_error_text(c));
                nn_error_clear(c);
                magnitude(&want, 0);
                close_to(&got, &want, (h ? 1.0 / 256 : 1.0 / 2048) * 4, what);
                nn_reset(c);
                room_clear();
            }
}

static void test_gradients(void) {
    int                 n;
    const nn_op *const *ops = nn_op_list(&n);
    for (int i = 0; i < n; i++) {
        nn_sample s;
        for (int k = 0; sample_of(sets[0].c, ops[i], NN_F64, k, &s); k++) {
            test_gradients_of(ops[i], k);
            next_step();
        }
        next_step();
    }
    test_composed();
    test_reduce_gradients();
}
