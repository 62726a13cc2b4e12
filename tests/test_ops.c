/* Proves the ops of nn.h, one after another: nn_op_list names them, each op brings its samples, and this file brings
 * a plain reference in double for each. An op that has neither a reference nor a line in `elsewhere` fails.
 *
 *     test_ops [--gradients-only [OP]]
 *
 *   values       all outputs against the reference, f64 and f32, every instruction set of this machine, any strides
 *   half         f16 and bf16: the f32 result of the widened inputs, rounded
 *   low          products of f16, bf16 and int8 against f64, on every path that the machine has
 *   gradients    finite differences of order 1 and 2; rule against fused kernel; f32 against f64; any strides
 *   threads      the same bits for any number of threads, on work that really is split
 *   shapes       odd, empty and 0-d tensors; reductions, sorting, recurrences, indices over every axis; masks of every type; matrix products
 *   random       Philox's known answers, masks and numbers exactly, moments
 *   accuracy     the elementary functions over the whole range, f32 and f64, in ulp (printed with NN_TEST_ULP=1); slopes far out
 *
 * C99 and C++11. --gradients-only does just the part that mutate.py needs first, OP before the others, up to the first failure. */
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
static int  brief; /* --gradients-only: the first failure is enough */
static const char *first_op = "";

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
        if (brief) {
            printf("ops: %ld passed, %ld failed\n", passed, failed);
            exit(1);
        }
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
    block *b = (block *)calloc(1, sizeof *b + size + 16); /* never empty: messages look at element 0 */
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
    case NN_I8: return ((const int8_t *)p)[i];
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
static const char *named(const char *format, ...) NN_PRINTF(1, 2); /* good for the next three calls */
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
static double f_gelu_tanh(double x) { return x * f_sigmoid(1.5957691216057308 * (x + 0.044715 * x * x * x)); }
static double f_sin(double x) { return sin(x); }
static double f_cos(double x) { return cos(x); }
static double f_positive(double x) { return x > 0; }
static double f_abs(double x) { return fabs(x); }
static double f_copy(double x) { return x; }
static double f_sign(double x) { return (x > 0) - (x < 0); }
static double f_floor(double x) { return floor(x); }
static double f_ceil(double x) { return ceil(x); }
static double f_round(double x) { /* halves to the even neighbour */
    double low = floor(x), over = x - low;
    if (over < 0.5) return low;
    if (over > 0.5) return low + 1;
    return fmod(low, 2) == 0 ? low : low + 1;
}
static double f_trunc(double x) { return x < 0 ? ceil(x) : floor(x); }
static double f_rsqrt(double x) { return 1 / sqrt(x); }
static double f_reciprocal(double x) { return 1 / x; }
static double f_expm1(double x) { return expm1(x); }
static double f_log1p(double x) { return log1p(x); }
static double f_log2(double x) { return log2(x); }
static double f_tan(double x) { return tan(x); }
static double f_asin(double x) { return asin(x); }
static double f_acos(double x) { return acos(x); }
static double f_atan(double x) { return atan(x); }
static double f_sinh(double x) { return sinh(x); }
static double f_cosh(double x) { return cosh(x); }
static double f_erfc(double x) { return erfc(x); }
static double f_silu(double x) { return x * f_sigmoid(x); }
static double f_softplus(double x) { return x > 0 ? x + log1p(exp(-x)) : log1p(exp(x)); }
static double f_mish(double x) { return x * tanh(f_softplus(x)); }
static double f_softsign(double x) { return x / (1 + fabs(x)); }
static double f_log_sigmoid(double x) { return -f_softplus(-x); }
static double g_add(double x, double y) { return x + y; }
static double g_sub(double x, double y) { return x - y; }
static double g_mul(double x, double y) { return x * y; }
static double g_div(double x, double y) { return x / y; }
static double g_same(double x, double y) { return x == y; }
static double g_maximum(double x, double y) { return x != x || x > y ? x : y != y || y > x ? y : x; } /* a NaN wins */
static double g_minimum(double x, double y) { return x != x || x < y ? x : y != y || y < x ? y : x; }
static double g_pow(double x, double y) { return pow(x, y); }
static double g_fmod(double x, double y) { return fmod(x, y); }
static double g_atan2(double y, double x) { return atan2(y, x); }
static double g_hypot(double x, double y) { return hypot(x, y); }

typedef struct unary { const char *name; double (*f)(double); double roundings, of_x; } unary;
static const unary unaries[] = { /* of_x: this share of |x| is part of the magnitude */
    {"neg", f_neg, 0, 0},     {"exp", f_exp, 6, 0},         {"log", f_log, 6, 0},   {"sqrt", f_sqrt, 1.01, 0}, {"square", f_square, 1.01, 0}, {"relu", f_relu, 0, 0},
    {"sigmoid", f_sigmoid, 6, 0}, {"tanh", f_tanh, 6, 0},   {"erf", f_erf, 6, 0},   {"gelu", f_gelu, 6, 0.5},  {"positive", f_positive, 0, 0}, {"copy", f_copy, 0, 0},
    {"cast", f_copy, 0, 0},   {"abs", f_abs, 0, 0},         {"gelu_tanh", f_gelu_tanh, 6, 0.5}, {"sin", f_sin, 6, 0}, {"cos", f_cos, 6, 0},
    {"sign", f_sign, 0, 0},   {"floor", f_floor, 0, 0},     {"ceil", f_ceil, 0, 0}, {"round", f_round, 0, 0},  {"trunc", f_trunc, 0, 0},      {"rsqrt", f_rsqrt, 3, 0},
    {"reciprocal", f_reciprocal, 1.01, 0}, {"expm1", f_expm1, 6, 0}, {"log1p", f_log1p, 6, 0}, {"log2", f_log2, 6, 0}, {"tan", f_tan, 8, 0}, {"asin", f_asin, 6, 0},
    {"acos", f_acos, 6, 0},   {"atan", f_atan, 6, 0},       {"sinh", f_sinh, 6, 0}, {"cosh", f_cosh, 6, 0},    {"erfc", f_erfc, 6, 0},        {"silu", f_silu, 6, 0},
    {"mish", f_mish, 6, 0},   {"softplus", f_softplus, 6, 0}, {"softsign", f_softsign, 2.1, 0}, {"log_sigmoid", f_log_sigmoid, 6, 0}};
typedef struct binary { const char *name; double (*f)(double, double); double roundings; } binary;
static const binary binaries[] = {{"add", g_add, 1.01}, {"sub", g_sub, 1.01}, {"mul", g_mul, 1.01}, {"div", g_div, 1.01}, {"same", g_same, 0},
                                  {"maximum", g_maximum, 0}, {"minimum", g_minimum, 0}, {"pow", g_pow, 6}, {"fmod", g_fmod, 0}, {"atan2", g_atan2, 6}, {"hypot", g_hypot, 4}};

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
static void ref_clamp(const arr *in, int n_in, const void *attr, arr *out, double *roundings) {
    const double *ends = (const double *)attr;
    (void)n_in;
    out[0] = make(in[0].s);
    for (int64_t i = 0; i < in[0].n; i++) {
        double x = in[0].v[i];
        out[0].v[i] = x < ends[0] ? ends[0] : x > ends[1] ? ends[1] : x;
        out[0].m[i] = fabs(out[0].v[i]);
    }
    *roundings = 1.01; /* the ends are */
}
static void ref_leaky_relu(const arr *in, int n_in, const void *attr, arr *out, double *roundings) {
    (void)n_in;
    out[0] = make(in[0].s);
    for (int64_t i = 0; i < in[0].n; i++) {
        out[0].v[i] = in[0].v[i] * (in[0].v[i] > 0 ? 1 : *(const double *)attr);
        out[0].m[i] = fabs(out[0].v[i]);
    }
    *roundings = 2.1;
}
static void ref_elu(const arr *in, int n_in, const void *attr, arr *out, double *roundings) { /* alpha, 1/b */
    const double *a = (const double *)attr;
    (void)n_in;
    out[0] = make(in[0].s);
    for (int64_t i = 0; i < in[0].n; i++) {
        double x = in[0].v[i];
        out[0].v[i] = x > 0 ? x : a[0] * expm1(x * a[1]);
        out[0].m[i] = fabs(out[0].v[i]) + (x > 0 ? 0 : 0.5 * fabs(a[0] * x * a[1]) * exp(x * a[1]));
    }
    *roundings = 6;
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
/* Element i's channel, and its set of those that share statistics (nn__norm_attr says which) */
static int64_t channel_of(nn_shape s, int last, int64_t i) {
    int64_t index[NN_MAX_DIMS];
    split_index(s, i, index);
    return index[last ? s.ndim - 1 : 1];
}
static void ref_channel_affine(const arr *in, int n_in, const void *attr, arr *out, double *roundings) {
    (void)n_in;
    out[0] = make(in[0].s);
    for (int64_t i = 0; i < in[0].n; i++) {
        int64_t c = channel_of(in[0].s, *(const int32_t *)attr, i);
        out[0].v[i] = in[0].v[i] * in[1].v[c] + in[2].v[c];
        out[0].m[i] = fabs(in[0].v[i] * in[1].v[c]) + fabs(in[2].v[c]);
    }
    *roundings = 2;
}
static void ref_norm(const arr *in, int n_in, const void *attr, arr *out, double *roundings) {
    const nn__norm_attr *a = (const nn__norm_attr *)attr;
    int64_t c = in[1].n, groups = a->groups ? a->groups : c, sets = groups * (a->groups ? in[0].s.dim[0] : 1), n = sets ? in[0].n / sets : 1, batch = in[0].s.dim[0] ? in[0].s.dim[0] : 1;
    (void)n_in;
    out[0] = make(in[0].s);
    for (int i = 1; i < 3; i++) out[i] = make(a->groups ? NN_SHAPE(in[0].s.dim[0], groups) : NN_SHAPE(c));
    for (int pass = 0; pass < 3; pass++)
        for (int64_t i = 0; i < in[0].n; i++) {
            int64_t k = channel_of(in[0].s, a->last, i), set = (a->groups ? i / (in[0].n / batch) * groups : 0) + k / (c / groups);
            double  x = in[0].v[i], apart = x - out[1].v[set], scale = 1 / sqrt(out[2].v[set] + a->eps);
            if (pass == 0) out[1].v[set] += x / (double)n, out[1].m[set] = fmax(out[1].m[set], fabs(x));
            if (pass == 1) out[2].v[set] += apart * apart / (double)n, out[2].m[set] += (apart * apart + out[1].m[set] * fabs(apart)) / (double)n;
            if (pass == 2) {
                out[0].v[i] = apart * scale * in[1].v[k] + in[2].v[k];
                out[0].m[i] = out[1].m[set] * scale * (1 + fabs(apart * scale)) * fabs(in[1].v[k]) + fabs(in[2].v[k]);
            }
        }
    *roundings = 2 * (double)n + 8;
}
static void ref_mse(const arr *in, int n_in, const void *attr, arr *out, double *roundings) {
    (void)n_in; (void)attr;
    out[0] = make(NN_SCALAR);
    out[1] = make(in[0].s);
    for (int64_t i = 0; i < in[0].n; i++) {
        double d = in[0].v[i] - in[1].v[i];
        out[1].v[i] = d;
        out[1].m[i] = fabs(in[0].v[i]) + fabs(in[1].v[i]);
        out[0].v[0] += d * d / (double)in[0].n;
        out[0].m[0] += 2 * fabs(d) * (fabs(in[0].v[i]) + fabs(in[1].v[i])) / (double)in[0].n;
    }
    *roundings = (double)in[0].n + 4;
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

/* ---- along an axis: element j of line (o, i) stands at (o n + j) inner + i ---- */
typedef struct lines { int64_t outer, n, inner; } lines;
static lines lines_of(nn_shape s, int axis) {
    lines l = {1, s.dim[axis], 1};
    for (int d = 0; d < axis; d++) l.outer *= s.dim[d];
    for (int d = axis + 1; d < s.ndim; d++) l.inner *= s.dim[d];
    return l;
}
static int64_t at_line(lines l, int64_t line, int64_t j) { return (line / l.inner * l.n + j) * l.inner + line % l.inner; }
static nn_shape without(nn_shape s, int axis, int keep) {
    if (keep) { s.dim[axis] = 1; return s; }
    for (int d = axis + 1; d < s.ndim; d++) s.dim[d - 1] = s.dim[d];
    s.dim[--s.ndim] = 0;
    return s;
}

static arr recur(const arr *a, const arr *b, int axis) { /* y[j] = a[j] y[j-1] + b[j] */
    arr   y = make(b->s);
    lines l = lines_of(b->s, axis);
    for (int64_t k = 0; k < l.outer * l.inner; k++) {
        double v = 0, m = 0;
        for (int64_t j = 0; j < l.n; j++) {
            int64_t at = at_line(l, k, j);
            v = j ? a->v[at] * v + b->v[at] : b->v[at];
            m = j ? fabs(a->v[at]) * m + fabs(b->v[at]) : fabs(b->v[at]);
            y.v[at] = v;
            y.m[at] = m;
        }
    }
    return y;
}
static arr largest_at(const arr *x, int axis, int keep, int smallest) { /* the first of equals; the first NaN before all */
    arr   y = make(without(x->s, axis, keep));
    lines l = lines_of(x->s, axis);
    for (int64_t k = 0; k < y.n; k++) {
        int64_t best = 0;
        for (int64_t j = 1; j < l.n; j++) {
            double v = x->v[at_line(l, k, j)], w = x->v[at_line(l, k, best)];
            if (w != w) break;
            if (v != v || (smallest ? v < w : v > w)) best = j;
        }
        y.v[k] = (double)best;
    }
    return y;
}
static int before(double a, double b, int descending) { /* a NaN counts as larger than all */
    if (descending) return a != a ? b == b : a > b;
    return b != b ? a == a : a < b;
}
static void sorted(const arr *x, int axis, int descending, arr *values_, arr *index) { /* stable: each goes behind those before it that are not larger */
    lines l = lines_of(x->s, axis);
    *values_ = make(x->s);
    *index   = make(x->s);
    for (int64_t k = 0; k < l.outer * l.inner; k++)
        for (int64_t j = 0; j < l.n; j++) {
            double  v = x->v[at_line(l, k, j)];
            int64_t to = j;
            for (; to > 0 && before(v, values_->v[at_line(l, k, to - 1)], descending); to--) {
                values_->v[at_line(l, k, to)] = values_->v[at_line(l, k, to - 1)];
                index->v[at_line(l, k, to)]   = index->v[at_line(l, k, to - 1)];
            }
            values_->v[at_line(l, k, to)] = v;
            index->v[at_line(l, k, to)]   = (double)j;
        }
}
static arr counted(const arr *x, const int *gone, int keep) {
    arr y = *x;
    y.v = (double *)room((size_t)x->n * sizeof(double));
    for (int64_t i = 0; i < x->n; i++) y.v[i] = !(x->v[i] == 0);
    return reduce(&y, gone, keep, 's');
}

/* ---- by index ---- */
static arr index_select(const arr *x, const arr *index, int axis) { /* x's axis makes place for index's axes */
    nn_shape s = x->s;
    lines    l = lines_of(x->s, axis);
    arr      y;
    s.ndim = 0;
    for (int d = 0; d < axis; d++) s.dim[s.ndim++] = x->s.dim[d];
    for (int d = 0; d < index->s.ndim; d++) s.dim[s.ndim++] = index->s.dim[d];
    for (int d = axis + 1; d < x->s.ndim; d++) s.dim[s.ndim++] = x->s.dim[d];
    for (int d = s.ndim; d < NN_MAX_DIMS; d++) s.dim[d] = 0;
    y = make(s);
    for (int64_t o = 0; o < l.outer; o++)
        for (int64_t j = 0; j < index->n; j++)
            for (int64_t i = 0; i < l.inner; i++) y.v[(o * index->n + j) * l.inner + i] = x->v[(o * l.n + (int64_t)index->v[j]) * l.inner + i];
    return y;
}
static arr index_add(const arr *x, const arr *index, int axis, int64_t size) {
    nn_shape s = x->s;
    lines    l = lines_of(x->s, axis);
    arr      y;
    s.dim[axis] = size;
    y = make(s);
    for (int64_t o = 0; o < l.outer; o++)
        for (int64_t j = 0; j < l.n; j++)
            for (int64_t i = 0; i < l.inner; i++) {
                int64_t to = (o * size + (int64_t)index->v[j]) * l.inner + i;
                y.v[to] += x->v[(o * l.n + j) * l.inner + i];
                y.m[to] += fabs(x->v[(o * l.n + j) * l.inner + i]);
            }
    return y;
}
static arr scatter(const arr *x, const arr *index, const arr *from, int axis) {
    arr     y = make(x->s);
    int64_t at[NN_MAX_DIMS];
    memcpy(y.v, x->v, (size_t)x->n * sizeof(double));
    for (int64_t i = 0; i < index->n; i++) {
        split_index(index->s, i, at);
        at[axis] = (int64_t)index->v[i];
        y.v[join_index(x->s, at)] = from->v[i];
    }
    return y;
}

/* ---- masks ---- */
static double h_equal(double x, double y) { return x == y; }
static double h_not_equal(double x, double y) { return x != y; }
static double h_less(double x, double y) { return x < y; }
static double h_less_equal(double x, double y) { return x <= y; }
static double h_greater(double x, double y) { return x > y; }
static double h_greater_equal(double x, double y) { return x >= y; }
static double h_and(double x, double y) { return x != 0 && y != 0; }
static double h_or(double x, double y) { return x != 0 || y != 0; }
static double h_xor(double x, double y) { return (x != 0) != (y != 0); }
static arr of_two(double (*f)(double, double), const arr *x, const arr *y) {
    binary r;
    r.name = ""; r.f = f; r.roundings = 0;
    return ref_binary(&r, x, y);
}
static arr where(const arr *mask, const arr *x, const arr *y) {
    arr     z = make(broadcast(mask->s, broadcast(x->s, y->s)));
    int64_t index[NN_MAX_DIMS];
    for (int64_t i = 0; i < z.n; i++) {
        split_index(z.s, i, index);
        z.v[i] = mask->v[at_broadcast(mask->s, z.s, index)] != 0 ? x->v[at_broadcast(x->s, z.s, index)] : y->v[at_broadcast(y->s, z.s, index)];
    }
    return z;
}

/* ---- small matrices, row-major, in double ---- */
static void cholesky(const double *x, double *l, int64_t n) { /* of x's lower triangle */
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j <= i; j++) {
            double sum = x[i * n + j];
            for (int64_t k = 0; k < j; k++) sum -= l[i * n + k] * l[j * n + k];
            l[i * n + j] = i == j ? sqrt(sum) : sum / l[j * n + j];
        }
}
static void triangular_solve(const double *t, const double *b, double *y, int64_t n, int64_t m, int upper, int transposed) {
    int down = upper == transposed; /* the first row has one unknown */
    for (int64_t c = 0; c < m; c++)
        for (int64_t step = 0; step < n; step++) {
            int64_t i = down ? step : n - 1 - step;
            double  sum = b[i * m + c];
            for (int64_t k = down ? 0 : i + 1; k < (down ? i : n); k++) sum -= (transposed ? t[k * n + i] : t[i * n + k]) * y[k * m + c];
            y[i * m + c] = sum / t[i * n + i];
        }
}
static double eliminate(const double *x, double *inverse, int64_t n) { /* the determinant; inverse may be NULL */
    double *a = (double *)room((size_t)(2 * n * n) * sizeof *a), det = 1; /* rows of x and of the identity */
    for (int64_t i = 0; i < n; i++) {
        for (int64_t j = 0; j < n; j++) a[2 * n * i + j] = x[n * i + j];
        a[2 * n * i + n + i] = 1;
    }
    for (int64_t p = 0; p < n; p++) {
        int64_t best = p;
        for (int64_t i = p; i < n; i++)
            if (fabs(a[2 * n * i + p]) > fabs(a[2 * n * best + p])) best = i;
        if (best != p) det = -det;
        for (int64_t j = 0; j < 2 * n && best != p; j++) { double t = a[2 * n * p + j]; a[2 * n * p + j] = a[2 * n * best + j]; a[2 * n * best + j] = t; }
        det *= a[2 * n * p + p];
        if (a[2 * n * p + p] == 0) return 0;
        for (int64_t i = 0; i < n; i++) {
            double f = a[2 * n * i + p] / a[2 * n * p + p];
            for (int64_t j = 0; j < 2 * n && i != p; j++) a[2 * n * i + j] -= f * a[2 * n * p + j];
        }
    }
    for (int64_t i = 0; i < n && inverse; i++)
        for (int64_t j = 0; j < n; j++) inverse[n * i + j] = a[2 * n * i + n + j] / a[2 * n * i + i];
    return det;
}

static void ref_compare(const arr *in, int n_in, const void *attr, arr *out, double *roundings) {
    int which = *(const int *)attr;
    (void)n_in;
    out[0] = make(in[0].s);
    for (int64_t i = 0; i < in[0].n; i++) {
        double x = in[0].v[i], y = in[1].v[i];
        out[0].v[i] = (x < y && which & NN__LESS) || (x > y && which & NN__GREATER) || (x == y && which & NN__EQUAL) || ((x != x || y != y) && which & NN__UNORDERED);
    }
    *roundings = 0;
}
static void ref_logic(const arr *in, int n_in, const void *attr, arr *out, double *roundings) {
    int table = *(const int *)attr;
    (void)n_in;
    out[0] = make(in[0].s);
    for (int64_t i = 0; i < in[0].n; i++) out[0].v[i] = table >> (2 * (in[0].v[i] != 0) + (in[1].v[i] != 0)) & 1;
    *roundings = 0;
}
static void ref_where(const arr *in, int n_in, const void *attr, arr *out, double *roundings) {
    (void)n_in; (void)attr;
    out[0]     = where(&in[0], &in[1], &in[2]);
    *roundings = 0;
}

static void ref_recur(const arr *in, int n_in, const void *attr, arr *out, double *roundings) { /* b, perhaps a; over the last axis */
    arr one = make(in[0].s), b = in[0];
    (void)attr;
    for (int64_t i = 0; i < one.n; i++) one.v[i] = 1;
    if (b.s.ndim == 0) { b.s = NN_SHAPE(1); one.s = b.s; }
    out[0]     = recur(n_in > 1 ? &in[1] : &one, &b, b.s.ndim - 1);
    out[0].s   = in[0].s;
    *roundings = 2 * (double)row_of(&in[0]) + 1;
}
static void ref_count_nonzero(const arr *in, int n_in, const void *attr, arr *out, double *roundings) {
    int gone[NN_MAX_DIMS] = {0, 0, 0, 0, 0, 0};
    (void)n_in; (void)attr;
    gone[in[0].s.ndim - 1] = 1;
    out[0]     = counted(&in[0], gone, 0);
    *roundings = 0;
}
static void ref_argmax(const arr *in, int n_in, const void *attr, arr *out, double *roundings) {
    (void)n_in;
    out[0]     = largest_at(&in[0], in[0].s.ndim - 1, 0, *(const int *)attr);
    *roundings = 0;
}
static void ref_sort(const arr *in, int n_in, const void *attr, arr *out, double *roundings) { /* the first k */
    const nn__sort *a = (const nn__sort *)attr;
    nn_shape        s = in[0].s;
    arr             all[2];
    int64_t         n = row_of(&in[0]);
    (void)n_in;
    sorted(&in[0], s.ndim - 1, (int)a->descending, &all[0], &all[1]);
    s.dim[s.ndim - 1] = a->k;
    for (int k = 0; k < 2; k++) {
        out[k] = make(s);
        for (int64_t i = 0; i < out[k].n; i++) out[k].v[i] = all[k].v[i / a->k * n + i % a->k];
    }
    *roundings = 0;
}
static void ref_scatter(const arr *in, int n_in, const void *attr, arr *out, double *roundings) {
    (void)n_in;
    out[0]     = scatter(&in[0], &in[1], &in[2], *(const int *)attr);
    *roundings = 0;
}
static void ref_index_select(const arr *in, int n_in, const void *attr, arr *out, double *roundings) {
    (void)n_in;
    out[0]     = index_select(&in[0], &in[1], (int)*(const int64_t *)attr);
    *roundings = 0;
}
static void ref_index_add(const arr *in, int n_in, const void *attr, arr *out, double *roundings) {
    const nn__scatter *a = (const nn__scatter *)attr;
    (void)n_in;
    out[0]     = index_add(&in[0], &in[1], (int)a->axis, a->size);
    *roundings = (double)in[0].s.dim[a->axis];
}
static void ref_matrices(const arr *in, int kind, const nn__solve *how, arr *out) { /* kind: 'c' cholesky, 's' triangular_solve, 'i' inverse, 'd' det; magnitudes: the largest of its matrix */
    nn_shape s = kind == 's' ? in[1].s : in[0].s;
    int64_t  n = in[0].s.dim[in[0].s.ndim - 1], m = s.dim[s.ndim - 1], batch = 1, each = kind == 'd' ? 1 : n * m;
    for (int d = 0; d < in[0].s.ndim - 2; d++) batch *= in[0].s.dim[d];
    if (kind == 'd') {
        s.ndim -= 2;
        s.dim[s.ndim] = s.dim[s.ndim + 1] = 0;
    }
    out[0] = make(s);
    for (int64_t b = 0; b < batch; b++) {
        const double *x = in[0].v + b * n * n;
        double       *y = out[0].v + b * each, most = 0;
        if (kind == 'c') { /* of (x + x^T) / 2 */
            double *half = (double *)room((size_t)(n * n) * sizeof *half);
            for (int64_t i = 0; i < n * n; i++) half[i] = 0.5 * (x[i] + x[i % n * n + i / n]);
            cholesky(half, y, n);
        } else if (kind == 's') triangular_solve(x, in[1].v + b * n * m, y, n, m, how->upper, how->transposed);
        else if (kind == 'i') eliminate(x, y, n);
        else y[0] = eliminate(x, NULL, n);
        for (int64_t i = 0; i < each; i++) most = fabs(y[i]) > most ? fabs(y[i]) : most;
        for (int64_t i = 0; i < each; i++) out[0].m[b * each + i] = most;
    }
}
static void ref_cholesky(const arr *in, int n_in, const void *attr, arr *out, double *roundings) { (void)n_in; (void)attr; ref_matrices(in, 'c', NULL, out); *roundings = 1.1; }
static void ref_triangular_solve(const arr *in, int n_in, const void *attr, arr *out, double *roundings) { (void)n_in; ref_matrices(in, 's', (const nn__solve *)attr, out); *roundings = 1.1; }
static void ref_inverse(const arr *in, int n_in, const void *attr, arr *out, double *roundings) { (void)n_in; (void)attr; ref_matrices(in, 'i', NULL, out); *roundings = 1.1; }
static void ref_det(const arr *in, int n_in, const void *attr, arr *out, double *roundings) { (void)n_in; (void)attr; ref_matrices(in, 'd', NULL, out); *roundings = 1.1; }

/* A window's taps along axis i of D, H, W, place by place; *counts: what it counts for a mean. -1: no tap in x there */
static int64_t window_tap(const nn__pooling *a, int i, int64_t o, int64_t k, int *counts) {
    int64_t at = o * a->w.stride[i] - a->w.before[i] + k * a->w.dilation[i];
    if (a->adaptive) {
        at = (int64_t)floor((double)o * (double)a->in[i] / (double)a->out[i]) + k;
        *counts = (double)at < (double)(o + 1) * (double)a->in[i] / (double)a->out[i] && at < a->in[i];
        return *counts ? at : -1;
    }
    *counts = at < a->in[i] + a->w.after[i] && (!a->exclude || (at >= 0 && at < a->in[i]));
    return at >= 0 && at < a->in[i] ? at : -1;
}
static void ref_pooling(const arr *in, const nn__pooling *a, int kind, arr *out) { /* 'm' maximum, 'i' its index, 'a' mean, 'b' the mean's gradient */
    nn_shape s = in[0].s;
    int      first = a->last ? 1 : 2;
    int64_t  inner = a->last ? s.dim[s.ndim - 1] : 1, planes = s.dim[0] * (a->last ? 1 : s.dim[1]), points = a->in[0] * a->in[1] * a->in[2], windows = a->out[0] * a->out[1] * a->out[2];
    for (int i = 0; i < (int)a->axes; i++) s.dim[first + i] = (kind == 'b' ? a->in : a->out)[3 - a->axes + i];
    out[0] = make(s);
    for (int64_t p = 0; p < planes * inner; p++)
        for (int64_t o = 0; o < windows; o++) {
            int64_t place[3], at[3], best = -1, to = (p / inner * windows + o) * inner + p % inner;
            double  sum = 0, size = 0, n = 0;
            place[0] = o / (a->out[1] * a->out[2]), place[1] = o / a->out[2] % a->out[1], place[2] = o % a->out[2];
            for (int pass = 0; pass < (kind == 'b' ? 2 : 1); pass++) /* of the gradient: first what a mean divides by */
                for (int64_t k = 0; k < a->w.kernel[0] * a->w.kernel[1] * a->w.kernel[2]; k++) {
                    int     counts, all = 1;
                    int64_t x;
                    at[0] = window_tap(a, 0, place[0], k / (a->w.kernel[1] * a->w.kernel[2]), &counts), all &= counts;
                    at[1] = window_tap(a, 1, place[1], k / a->w.kernel[2] % a->w.kernel[1], &counts), all &= counts;
                    at[2] = window_tap(a, 2, place[2], k % a->w.kernel[2], &counts), all &= counts;
                    n += pass == 0 && all;
                    if (at[0] < 0 || at[1] < 0 || at[2] < 0) continue;
                    x = (p / inner * points + (at[0] * a->in[1] + at[1]) * a->in[2] + at[2]) * inner + p % inner;
                    if (kind == 'b') {
                        if (pass) out[0].v[x] += in[0].v[to] / (a->divisor != 0 ? a->divisor : n), out[0].m[x] += fabs(in[0].v[to]);
                        continue;
                    }
                    sum += in[0].v[x], size += fabs(in[0].v[x]);
                    if (best < 0 || in[0].v[x] > in[0].v[best]) best = x;
                }
            if (kind == 'm') out[0].v[to] = in[0].v[best];
            if (kind == 'i') out[0].v[to] = (double)(best / inner % points);
            if (kind == 'a') out[0].v[to] = sum / (a->divisor != 0 ? a->divisor : n), out[0].m[to] = size;
        }
}
static void ref_max_pool(const arr *in, int n_in, const void *attr, arr *out, double *roundings) { (void)n_in; ref_pooling(in, (const nn__pooling *)attr, 'm', out); *roundings = 0; }
static void ref_pool_index(const arr *in, int n_in, const void *attr, arr *out, double *roundings) { (void)n_in; ref_pooling(in, (const nn__pooling *)attr, 'i', out); *roundings = 0; }
static void ref_avg_pool(const arr *in, int n_in, const void *attr, arr *out, double *roundings) { (void)n_in; ref_pooling(in, (const nn__pooling *)attr, 'a', out); *roundings = 4; }
static void ref_avg_pool_back(const arr *in, int n_in, const void *attr, arr *out, double *roundings) { (void)n_in; ref_pooling(in, (const nn__pooling *)attr, 'b', out); *roundings = 4; }

/* One axis resized, as a sum over all of x: nearest, or a hat, or Keys' cubic, of the distance; places outside are those at the ends */
static double resize_weight(const nn__resizing *a, int64_t j, int64_t i) {
    double place = a->align ? (a->out > 1 ? (double)j * (double)(a->in - 1) / (double)(a->out - 1) : 0) : ((double)j + 0.5) * (double)a->in / (double)a->out - 0.5, w = 0;
    if (a->how == NN_NEAREST) return i == j * a->in / a->out;
    for (int64_t k = i == 0 ? -3 : i; k <= (i == a->in - 1 ? i + 3 : i); k++) {
        double d = fabs(place - (double)k);
        if (a->how == NN_LINEAR) w += d < 1 ? 1 - d : 0;
        else w += d < 1 ? 1 - 2.25 * d * d + 1.25 * d * d * d : d < 2 ? 3 - 6 * d + 3.75 * d * d - 0.75 * d * d * d : 0;
    }
    return w;
}
static void ref_resizing(const arr *in, const nn__resizing *a, int back, arr *out) {
    nn_shape s = in[0].s;
    int64_t  outer = 1, inner = 1, from = back ? a->out : a->in, to = back ? a->in : a->out;
    for (int i = 0; i < s.ndim; i++) *(i < a->axis ? &outer : &inner) *= i == a->axis ? 1 : s.dim[i];
    s.dim[a->axis] = to;
    out[0] = make(s);
    for (int64_t o = 0; o < outer; o++)
        for (int64_t j = 0; j < to; j++)
            for (int64_t k = 0; k < from; k++)
                for (int64_t i = 0; i < inner; i++) {
                    double v = in[0].v[(o * from + k) * inner + i];
                    out[0].v[(o * to + j) * inner + i] += (back ? resize_weight(a, k, j) : resize_weight(a, j, k)) * v;
                    out[0].m[(o * to + j) * inner + i] += fabs(v);
                }
}
static void ref_resize(const arr *in, int n_in, const void *attr, arr *out, double *roundings) { (void)n_in; ref_resizing(in, (const nn__resizing *)attr, 0, out); *roundings = 6; }
static void ref_resize_back(const arr *in, int n_in, const void *attr, arr *out, double *roundings) { (void)n_in; ref_resizing(in, (const nn__resizing *)attr, 1, out); *roundings = 6; }

/* Convolutions by their definition: every place, tap and pair of channels once. which: 0 conv, 1 conv_input, 2 conv_weight */
static void convolve(const arr *in, int n_in, const nn__conv *a, int which, arr *out) {
    int      x_last = a->last & NN__X_LAST, y_last = (a->last & NN__Y_LAST) != 0;
    nn_shape given = in[which == 2].s, wanted;
    int64_t  batch = in[0].s.dim[0], channels, outs, each, each_out, x[3] = {1, 1, 1}, y[3] = {1, 1, 1}, k[3] = {1, 1, 1}, stride[3] = {1, 1, 1}, dilation[3] = {1, 1, 1}, before[3] = {0, 0, 0};
    for (int i = 0; i < a->axes; i++) {
        x[i] = a->size[i]; k[i] = a->w.kernel[i]; stride[i] = a->w.stride[i]; dilation[i] = a->w.dilation[i]; before[i] = a->w.before[i];
        y[i] = (x[i] + before[i] + a->w.after[i] - dilation[i] * (k[i] - 1) - 1) / stride[i] + 1;
    }
    outs     = which == 0 ? in[1].s.dim[0] : which == 1 ? in[1].s.dim[0] : given.dim[y_last ? given.ndim - 1 : 1];
    channels = which == 1 ? in[1].s.dim[1] * a->groups : in[0].s.dim[x_last ? in[0].s.ndim - 1 : 1];
    each = channels / a->groups; each_out = outs / a->groups;
    wanted.ndim = a->axes + 2;
    for (int i = 0; i < NN_MAX_DIMS; i++) wanted.dim[i] = 0;
    wanted.dim[0] = which == 2 ? outs : batch;
    for (int i = 0; i < a->axes; i++) {
        int behind = which == 2 || !(which == 0 ? y_last : x_last);
        wanted.dim[1 + behind + i] = which == 0 ? y[i] : which == 1 ? x[i] : k[i];
    }
    wanted.dim[which != 2 && (which == 0 ? y_last : x_last) ? wanted.ndim - 1 : 1] = which == 0 ? outs : which == 1 ? channels : each;
    out[0] = make(wanted);
    for (int64_t b = 0; b < batch; b++)
        for (int64_t o = 0; o < outs; o++)
            for (int64_t p = 0; p < y[0] * y[1] * y[2]; p++)
                for (int64_t t = 0; t < k[0] * k[1] * k[2]; t++) {
                    int64_t q[3] = {p / (y[1] * y[2]) * stride[0] + t / (k[1] * k[2]) * dilation[0] - before[0], p / y[2] % y[1] * stride[1] + t / k[2] % k[1] * dilation[1] - before[1],
                                    p % y[2] * stride[2] + t % k[2] * dilation[2] - before[2]};
                    if (q[0] < 0 || q[0] >= x[0] || q[1] < 0 || q[1] >= x[1] || q[2] < 0 || q[2] >= x[2]) continue;
                    for (int64_t c = 0; c < each; c++) {
                        int64_t place = (q[0] * x[1] + q[1]) * x[2] + q[2], of = o / each_out * each + c, places = x[0] * x[1] * x[2], y_places = y[0] * y[1] * y[2];
                        int64_t xi = x_last ? (b * places + place) * channels + of : (b * channels + of) * places + place;
                        int64_t yi = y_last ? (b * y_places + p) * outs + o : (b * outs + o) * y_places + p;
                        int64_t wi = (o * each + c) * (k[0] * k[1] * k[2]) + t, to = which == 0 ? yi : which == 1 ? xi : wi;
                        double  term = in[0].v[which == 1 ? yi : xi] * in[1].v[which == 2 ? yi : wi];
                        out[0].v[to] += term;
                        out[0].m[to] += fabs(term);
                    }
                }
    for (int64_t i = 0; i < out[0].n && which == 0; i++) {
        int64_t o = y_last ? i % outs : i / (y[0] * y[1] * y[2]) % outs;
        if (n_in > 2) { out[0].v[i] += in[2].v[o]; out[0].m[i] += fabs(in[2].v[o]); }
        if (a->act == NN_ACT_RELU) out[0].v[i] = out[0].v[i] > 0 ? out[0].v[i] : 0;
        if (a->act == NN_ACT_TANH) out[0].v[i] = tanh(out[0].v[i]);
        if (a->act == NN_ACT_SIGMOID) out[0].v[i] = 1 / (1 + exp(-out[0].v[i]));
    }
}
static void ref_conv(const arr *in, int n_in, const void *attr, arr *out, double *roundings) { convolve(in, n_in, (const nn__conv *)attr, 0, out); *roundings = 60; }
static void ref_conv_input(const arr *in, int n_in, const void *attr, arr *out, double *roundings) { convolve(in, n_in, (const nn__conv *)attr, 1, out); *roundings = 60; }
static void ref_conv_weight(const arr *in, int n_in, const void *attr, arr *out, double *roundings) { convolve(in, n_in, (const nn__conv *)attr, 2, out); *roundings = 60; }

typedef struct general { const char *name; reference f; } general;
static const general generals[] = {
    {"conv", ref_conv},       {"conv_input", ref_conv_input}, {"conv_weight", ref_conv_weight},
    {"affine", ref_affine},   {"sum", ref_sum},         {"max", ref_max},               {"matmul", ref_matmul},       {"linear", ref_linear},
    {"softmax", ref_softmax}, {"log_softmax", ref_log_softmax}, {"layernorm", ref_layernorm}, {"channel_affine", ref_channel_affine}, {"batchnorm", ref_norm}, {"groupnorm", ref_norm}, {"cross_entropy", ref_cross_entropy}, {"mse", ref_mse},
    {"mask", ref_mask},       {"dropout", ref_dropout}, {"reshape", ref_reshape},       {"permute", ref_permute},     {"slice", ref_slice},
    {"unslice", ref_unslice}, {"expand", ref_expand},   {"concat", ref_concat},         {"gather", ref_gather},       {"scatter_add", ref_scatter_add},
    {"clamp", ref_clamp},     {"leaky_relu", ref_leaky_relu}, {"elu", ref_elu},         {"compare", ref_compare},     {"logic", ref_logic},         {"where", ref_where},
    {"recur", ref_recur},     {"count_nonzero", ref_count_nonzero}, {"argmax", ref_argmax}, {"sort", ref_sort},       {"scatter", ref_scatter},     {"index_select", ref_index_select},
    {"index_add", ref_index_add}, {"cholesky", ref_cholesky}, {"triangular_solve", ref_triangular_solve}, {"inverse", ref_inverse}, {"det", ref_det},
    {"max_pool", ref_max_pool}, {"pool_index", ref_pool_index}, {"avg_pool", ref_avg_pool}, {"avg_pool_back", ref_avg_pool_back}, {"resize", ref_resize}, {"resize_back", ref_resize_back}};

/* Ops without samples, and where they are proved */
typedef struct other { const char *name, *rule, *reason; } other;
static const other elsewhere[] = {
    {"relu_back", "relu", "the fused gradient is compared with the rule"},
    {"sigmoid_back", "sigmoid", "the fused gradient is compared with the rule"},
    {"tanh_back", "tanh", "the fused gradient is compared with the rule"},
    {"gelu_back", "gelu", "the fused gradient is compared with the rule"},
    {"gelu_tanh_back", "gelu_tanh", "the fused gradient is compared with the rule"},
    {"silu_back", "silu", "the fused gradient is compared with the rule"},
    {"mish_back", "mish", "the fused gradient is compared with the rule"},
    {"softmax_back", "softmax", "the fused gradient is compared with the rule"},
    {"log_softmax_back", "log_softmax", "the fused gradient is compared with the rule"},
    {"layernorm_back", "layernorm", "the fused gradient is compared with the rule"},
    {"channel_affine_back", "channel_affine", "the fused gradient is compared with the rule"},
    {"norm_back", "batchnorm", "the fused gradient is compared with the rule, and groupnorm's, too"},
    {"cross_entropy_back", "cross_entropy", "the fused gradient is compared with the rule"},
    {"mse_back", "mse", "the fused gradient is compared with the rule"},
    {"linear_back", "linear", "the fused gradient is compared with the rule"},
    {"max_pool_back", "max_pool", "the fused gradient is compared with the rule"},
    {"uniform", NULL, "no input: test_random compares every number"},
    {"normal", NULL, "no input: test_random compares every number"},
    {"one_hot", NULL, "no real input: test_one_hot"},
    {"matmul_i8", NULL, "no real input: test_low"},
    {"assign", NULL, "no result, and only within plans: test_plan compares what it writes with nn_assign"}};

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

/* nn_apply, but for reshape: as an op it takes only what a view can do, and nn_reshape copies the rest first. */
static int apply(const nn_op *op, nn_tensor **in, int n_in, const void *attr, nn_tensor **out) {
    if (strcmp(op->name, "reshape")) return nn_apply(op, in, n_in, attr, out);
    out[0] = nn_reshape(in[0], shape_in(attr));
    return out[0] != NULL;
}

/* ---- through plans: every sample again, recorded and run, to the same bits. NN_TEST_PLAN=1: on every set and through all strides;
   without it, on the best set through two of them. ------------------------------------------------------------- */
static int  plan_all;
static long planned; /* comparisons */
static int by_plan(int set, int variant) { return plan_all || (set == n_sets - 1 && variant % 4 == 0); }
static nn_tensor *plan_input(nn_plan *p, int i, nn_tensor *x) {
    char name[8];
    snprintf(name, sizeof name, "x%d", i);
    return nn_plan_input(p, name, x);
}
static void same_bits(const arr *got, const arr *want, const char *what) {
    int same = got->n == want->n && !memcmp(got->v, want->v, (size_t)got->n * sizeof *got->v);
    for (int64_t i = 0; !same && got->n == want->n && i < got->n; i++) /* NaN of any kind is NaN */
        if (memcmp(&got->v[i], &want->v[i], sizeof *got->v) && !(got->v[i] != got->v[i] && want->v[i] != want->v[i])) break;
        else same = i == got->n - 1;
    planned++;
    check(same, "%s: a plan gives other bits", what);
}
static void planned_values(nn_ctx *c, const nn_op *op, const nn_sample *s, int variant, nn_tensor **eager, const char *what) {
    nn_tensor *x[8], *y[4];
    nn_plan   *p = nn_plan_begin(c, NULL);
    int        ok;
    for (int i = 0; i < s->n_in; i++) x[i] = restride(c, plan_input(p, i, s->in[i]), variant);
    apply(op, x, s->n_in, s->attr, y);
    ok = nn_plan_end(p, y, op->n_out);
    nn_seed(c, the_seed);
    ok = ok && nn_plan_run(p);
    check(ok, "%s through a plan: %s", what, nn_error_text(c));
    nn_error_clear(c);
    for (int i = 0; i < op->n_out && ok; i++) {
        arr got = read_arr(y[i]), want = read_arr(eager[i]);
        same_bits(&got, &want, what);
    }
    nn_plan_free(p);
}

/* ---- values ----------------------------------------------------------------------------------------------- */

static int sample_of(nn_ctx *c, const nn_op *op, nn_dtype real, int k, nn_sample *s) {
    memset(s, 0, sizeof *s);
    return op->sample && op->sample(c, real, k, s);
}

static void test_values_of(int set, const nn_op *op, nn_dtype real, int k) {
    nn_ctx    *c = sets[set].c;
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
        apply(op, x, s.n_in, s.attr, y);
        if (!fine(c, named("%s %s sample %d strides %d", op->name, nn_isa(c), k, variant))) continue;
        for (int i = 0; i < op->n_out; i++) {
            got = read_arr(y[i]);
            close_to(&got, &want[i], roundings == 0 ? 0 : real == NN_F64 ? 1e-12 : u32 * roundings,
                     named("%s %s %s sample %d strides %d output %d", op->name, nn_dtype_name(real), nn_isa(c), k, variant, i));
        }
        if (by_plan(set, variant)) planned_values(c, op, &s, variant, y, named("%s %s %s sample %d strides %d", op->name, nn_dtype_name(real), nn_isa(c), k, variant));
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
                test_values_of(j, ops[i], NN_F32, k);
                test_values_of(j, ops[i], NN_F64, k);
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
                        apply(ops[i], x, s.n_in, s.attr, y);
                        nn_seed(c, the_seed);
                        apply(ops[i], wide, s.n_in, s.attr, z);
                        if (!fine(c, what)) continue;
                        for (int m = 0; m < ops[i]->n_out; m++) {
                            size_t size = (size_t)nn_numel(y[m]) * nn_dtype_size(nn_dtype_of(y[m]));
                            check(m > 0 || nn_dtype_of(y[0]) == (nn_dtype_of(z[0]) == NN_F32 ? halves[h] : nn_dtype_of(z[0])), "%s: the result is %s", what, nn_dtype_name(nn_dtype_of(y[0])));
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
        for (int k = 0; k < 7; k++) {
            static const char *const what[7] = {"var", "std", "norm", "3-norm", "logsumexp", "prod", "logsumexp of -infinity"};
            nn_tensor *in = k == 5 ? values(c, halves[h], NN_SHAPE(64), 3, 0.5, 1.5) : k == 6 ? nn_full(c, halves[h], NN_SHAPE(4), -INFINITY) : values(c, halves[h], NN_SHAPE(4096), 3, k == 4 ? -3 : -90, k == 4 ? 3 : 90);
            nn_tensor *y[2];
            for (int w = 0; w < 2; w++) {
                nn_tensor *z = w ? nn_cast(in, NN_F32) : in;
                y[w] = k == 0 ? nn_var(z, NN_ALL, 0, 1) : k == 1 ? nn_std(z, NN_ALL, 0, 1) : k == 5 ? nn_prod(z, NN_ALL, 0) : k == 2 || k == 3 ? nn_norm(z, NN_ALL, 0, k) : nn_logsumexp(z, NN_ALL, 0);
            }
            want = nn_item(y[1]);
            check(nn_item(y[0]) == want || fabs(nn_item(y[0]) - want) <= unit * fabs(want), "%s of %s is %g, not %g", what[k], nn_dtype_name(halves[h]), nn_item(y[0]), want);
            fine(c, what[k]);
        }
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
    return apply(s->op, in, s->n_in, s->attr, out) ? out[0] : NULL;
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
/* The same, recorded and run; of a call its other inputs are the plan's, too */
static void planned_gradients(nn_ctx *c, nn_tensor *(*f)(nn_ctx *, nn_tensor **, void *), const call *l, nn_tensor **x, int n, int flags, const arr *eager, const char *what) {
    nn_tensor *leaf[8], *dx[8] = {NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL}, *y;
    call       k;
    nn_plan   *p;
    int        ok, kept = 0, at[8];
    memset(&k, 0, sizeof k);
    if (l) k = *l;
    for (int i = 0; i < n; i++) leaf[i] = nn_requires_grad(nn_clone(nn_detach(x[i])));
    p = nn_plan_begin(c, NULL);
    for (int i = 0; i < n; i++) leaf[i] = plan_input(p, i, leaf[i]);
    for (int i = 0; i < k.n_in; i++)
        if (k.fixed[i]) k.fixed[i] = plan_input(p, 8 + i, k.fixed[i]);
    y  = f(c, leaf, l ? &k : NULL);
    ok = y && nn_grad_of(y, upstream(y), leaf, n, dx, flags);
    for (int i = 0; i < n; i++)
        if (ok && dx[i]) { at[kept] = i; dx[kept++] = dx[i]; }
    ok = nn_plan_end(p, dx, kept);
    nn_seed(c, the_seed);
    ok = ok && nn_plan_run(p);
    check(ok, "%s through a plan: %s", what, nn_error_text(c));
    nn_error_clear(c);
    for (int i = 0; i < kept && ok; i++) {
        arr got = read_arr(dx[i]);
        same_bits(&got, &eager[at[i]], what);
    }
    nn_plan_free(p);
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
                    if (by_plan(j, v)) planned_gradients(c, run_call, &l, x, n, flags, got, what);
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

static nn_tensor *c_cast(nn_ctx *c, nn_tensor **x, void *u) { (void)c; (void)u; return nn_cast(nn_exp(nn_cast(nn_square(x[0]), NN_F64)), nn_dtype_of(x[0])); }

/* Made of several ops, one line each: x[0] is [4,5], x[1] [3,5], x[2] [3] */
static nn_tensor *m_var(nn_ctx *c, nn_tensor **x, void *u) { (void)c; (void)u; return nn_square(nn_var(x[0], NN_AXES(1), 0, 1)); }
static nn_tensor *m_std(nn_ctx *c, nn_tensor **x, void *u) { (void)c; (void)u; return nn_std(nn_exp(x[0]), NN_AXES(0), 1, 0); }
static nn_tensor *m_norm(nn_ctx *c, nn_tensor **x, void *u) { (void)c; (void)u; return nn_square(nn_norm(x[0], NN_AXES(-1), 1, 2)); }
static nn_tensor *m_norm_of_order_3(nn_ctx *c, nn_tensor **x, void *u) { (void)c; (void)u; return nn_norm(x[0], NN_ALL, 0, 3); }
static nn_tensor *m_norm_of_order_infinity(nn_ctx *c, nn_tensor **x, void *u) { (void)c; (void)u; return nn_norm(nn_square(x[0]), NN_AXES(0), 0, INFINITY); }
static nn_tensor *m_logsumexp(nn_ctx *c, nn_tensor **x, void *u) { (void)c; (void)u; return nn_logsumexp(nn_scale(x[0], 2), NN_AXES(0), 0); }
static nn_tensor *m_logsumexp_of_all(nn_ctx *c, nn_tensor **x, void *u) { (void)c; (void)u; return nn_square(nn_logsumexp(x[0], NN_ALL, 1)); }
static nn_tensor *m_prod(nn_ctx *c, nn_tensor **x, void *u) { (void)c; (void)u; return nn_prod(nn_affine(x[0], 1, 2), NN_AXES(1), 1); }
static nn_tensor *m_cumprod(nn_ctx *c, nn_tensor **x, void *u) { (void)c; (void)u; return nn_cumprod(x[0], 0); }
static nn_tensor *m_cumsum(nn_ctx *c, nn_tensor **x, void *u) { (void)c; (void)u; return nn_square(nn_cumsum(nn_exp(x[0]), -1)); }
static nn_tensor *m_recur_with_itself(nn_ctx *c, nn_tensor **x, void *u) { (void)c; (void)u; return nn_recur(x[0], nn_square(x[0]), 1); }
static nn_tensor *m_min(nn_ctx *c, nn_tensor **x, void *u) { (void)c; (void)u; return nn_min(nn_square(x[0]), NN_AXES(1), 0); }
static nn_tensor *m_median(nn_ctx *c, nn_tensor **x, void *u) { (void)c; (void)u; return nn_square(nn_median(x[0], 1, 0)); }
static nn_tensor *m_topk(nn_ctx *c, nn_tensor **x, void *u) { (void)c; (void)u; return nn_mul(nn_topk(x[0], 0, 3, NULL), x[1]); }
static nn_tensor *m_einsum_products(nn_ctx *c, nn_tensor **x, void *u) { (void)c; (void)u; return nn_einsum("ij,kj->ki", x[0], nn_tanh(x[1])); }
static nn_tensor *m_einsum_everything(nn_ctx *c, nn_tensor **x, void *u) { (void)c; (void)u; return nn_einsum("ij,kl->k", x[0], nn_square(x[1])); }
static nn_tensor *m_outer_dot_trace(nn_ctx *c, nn_tensor **x, void *u) { (void)c; (void)u; return nn_mul(nn_trace(nn_outer(x[2], nn_exp(x[2]))), nn_dot(x[2], x[2])); }
static nn_tensor *m_roll_tile_flip(nn_ctx *c, nn_tensor **x, void *u) { (void)c; (void)u; return nn_mul(nn_tile(nn_roll(x[0], 1, 2), 0, 2), nn_flip(nn_tile(x[0], 0, 2), NN_AXES(0, 1))); }
static nn_tensor *m_pad(nn_ctx *c, nn_tensor **x, void *u) { (void)c; (void)u; return nn_square(nn_pad(nn_pad_with(nn_pad_with(nn_pad_with(x[0], 1, 2, 3, NN_PAD_REFLECT), 0, 1, 2, NN_PAD_REPLICATE), 1, 3, 1, NN_PAD_CIRCULAR), 0, 1, 1, 5)); }
static nn_tensor *m_triangles_and_diagonals(nn_ctx *c, nn_tensor **x, void *u) { (void)c; (void)u; return nn_mul(nn_add(nn_tril(nn_square(x[0]), 1), nn_triu(x[0], -1)), nn_sum(nn_diag(nn_diagonal(x[0], -1), 1), NN_ALL, 0)); }
static nn_tensor *m_glu(nn_ctx *c, nn_tensor **x, void *u) { (void)c; (void)u; return nn_glu(x[0], 0, NN_ACT_SILU); }
static nn_tensor *m_lerp(nn_ctx *c, nn_tensor **x, void *u) { (void)c; (void)u; return nn_lerp(x[0], nn_square(x[0]), nn_sigmoid(x[0])); }
static nn_tensor *m_logarithms(nn_ctx *c, nn_tensor **x, void *u) { (void)c; (void)u; return nn_mul(nn_logit(nn_sigmoid(x[0]), 1e-6), nn_log_guarded(nn_exp(x[0]), 0)); }
static nn_tensor *m_hard_ones(nn_ctx *c, nn_tensor **x, void *u) { (void)c; (void)u; return nn_mul(nn_hard_swish(nn_scale(x[0], 2)), nn_add(nn_hard_tanh(nn_scale(x[0], 1.9)), nn_relu6(x[0]))); }
static nn_tensor *m_selu_celu(nn_ctx *c, nn_tensor **x, void *u) { (void)c; (void)u; return nn_mul(nn_selu(x[0]), nn_celu(x[0], 0.7)); }
static nn_tensor *m_powers(nn_ctx *c, nn_tensor **x, void *u) { (void)c; (void)u; return nn_pow(nn_exp(x[0]), nn_add_scalar(x[0], 0.5)); }
static nn_tensor *m_angles(nn_ctx *c, nn_tensor **x, void *u) { (void)c; (void)u; return nn_atan2(x[0], nn_hypot(x[0], nn_exp(x[0]))); }
static nn_tensor *m_rmsnorm(nn_ctx *c, nn_tensor **x, void *u) { (void)c; (void)u; return nn_rmsnorm(x[0], nn_exp(nn_select(x[0], 0, 1)), 1e-3); }
static nn_tensor *m_groupnorm(nn_ctx *c, nn_tensor **x, void *u) { (void)c; (void)u; return nn_groupnorm(x[0], 1, NULL, NULL, 1e-3); }
static nn_tensor *m_cosine_similarity(nn_ctx *c, nn_tensor **x, void *u) { (void)c; (void)u; return nn_cosine_similarity(x[0], nn_exp(x[0]), 1); }
static nn_tensor *m_kl_of_gaussians(nn_ctx *c, nn_tensor **x, void *u) { (void)c; (void)u; return nn_kl_gaussian(x[0], nn_exp(x[0]), NULL, NULL); }
static nn_tensor *m_masked(nn_ctx *c, nn_tensor **x, void *u) { (void)c; (void)u; return nn_masked_fill(nn_square(x[0]), nn_less(x[0], nn_scalar_like(x[0], 0)), 2); }
static nn_tensor *m_rows_by_number(nn_ctx *c, nn_tensor **x, void *u) { (void)c; (void)u; return nn_square(nn_index_select(x[0], 1, classes(c, NN_I32, NN_SHAPE(2, 3), 5))); }
static nn_tensor *m_scatter_into_itself(nn_ctx *c, nn_tensor **x, void *u) { (void)c; (void)u; return nn_scatter(nn_square(x[0]), 1, classes(c, NN_I32, NN_SHAPE(4, 3), 5), nn_exp(nn_slice(x[0], 1, 0, 3, 1))); }
static nn_tensor *m_matrices(nn_ctx *c, nn_tensor **x, void *u) { (void)c; (void)u; return nn_cholesky_logdet(nn_cholesky(nn_add(nn_matmul(x[0], nn_transpose(x[0], 0, 1)), nn_eye(c, nn_dtype_of(x[0]), 4)))); }
static nn_tensor *m_solving(nn_ctx *c, nn_tensor **x, void *u) { (void)c; (void)u; return nn_cholesky_solve(x[0], nn_cholesky(nn_add(nn_matmul(x[0], nn_transpose(x[0], 0, 1)), nn_eye(c, nn_dtype_of(x[0]), 4)))); }
static nn_tensor *m_inverse_and_det(nn_ctx *c, nn_tensor **x, void *u) { (void)c; (void)u; return nn_scale(nn_inverse(nn_add(nn_matmul(x[0], nn_transpose(x[0], 0, 1)), nn_eye(c, nn_dtype_of(x[0]), 4))), 0.5); }
static nn_tensor *m_split(nn_ctx *c, nn_tensor **x, void *u) {
    nn_tensor *part[3];
    (void)c; (void)u;
    if (!nn_split(x[0], 1, NN_SHAPE(2, 1, -1), part)) return NULL;
    part[1] = nn_mul(part[1], part[2]);
    return nn_stack(part, 2, 0);
}
static nn_tensor *m_batchnorm(nn_ctx *c, nn_tensor **x, void *u) {
    nn_batchnorm_options o;
    memset(&o, 0, sizeof o);
    (void)u;
    o.mean = nn_zeros(c, nn_dtype_of(x[0]), NN_SHAPE(5)); o.var = nn_ones(c, nn_dtype_of(x[0]), NN_SHAPE(5));
    o.weight = nn_exp(nn_select(x[0], 0, 1));
    o.eps = 1e-2; o.training = 1;
    return nn_batchnorm(x[0], &o);
}
static nn_tensor *m_losses(nn_ctx *c, nn_tensor **x, void *u) {
    static const char *const names[] = {"mae", "huber", "smooth_l1", "log_cosh", "poisson", "bce_logits", "focal"};
    nn_tensor *y = NULL, *t = values(c, nn_dtype_of(x[0]), NN_SHAPE(4, 5), 9, 0.05, 0.95), *z;
    (void)u;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        z = nn_loss_named(names[i], nn_scale(x[0], 1.7), t, NULL);
        y = i ? nn_add(y, nn_scale(z, 1 + 0.5 * (double)i)) : z;
    }
    z = nn_add(nn_kl(nn_log_softmax(x[0], 1), nn_softmax(t, 1)), nn_bce(nn_sigmoid(x[0]), t));
    return nn_add(nn_add(y, z), nn_add(nn_hinge(x[0], nn_affine(t, 2, -1)), nn_gaussian_nll(x[0], nn_exp(x[0]), t, NULL)));
}

typedef struct composed { const char *name; nn_tensor *(*f)(nn_ctx *, nn_tensor **, void *); int inputs; } composed;
static const composed composeds[] = {
    {"linear_act relu", c_linear_relu, 3}, {"linear_act sigmoid", c_linear_sigmoid, 3}, {"linear_act tanh", c_linear_tanh, 3}, {"linear_act gelu", c_linear_gelu, 3},
    {"linear without bias", c_linear_plain, 2}, {"mean", c_mean, 1}, {"mse", c_mse, 1}, {"softmax over axis 0", c_softmax0, 1}, {"log_softmax over axis 0", c_log_softmax0, 1},
    {"max of products", c_max_of_products, 3}, {"views", c_views, 1}, {"many uses", c_many_uses, 1}, {"matmul with itself", c_matmul_both, 1},
    {"cross_entropy of squares", c_cross_entropy, 1}, {"layernorm, weight used twice", c_layernorm, 3}, {"dropout", c_dropout, 1}, {"dropout of all", c_dropout_all, 1},
    {"gather twice", c_gather_twice, 1}, {"cast to f64 and back", c_cast, 1},
    {"var", m_var, 1}, {"std", m_std, 1}, {"norm", m_norm, 1}, {"norm of order 3", m_norm_of_order_3, 1}, {"norm of order infinity", m_norm_of_order_infinity, 1},
    {"logsumexp", m_logsumexp, 1}, {"logsumexp of all", m_logsumexp_of_all, 1}, {"prod", m_prod, 1}, {"cumprod", m_cumprod, 1}, {"cumsum", m_cumsum, 1},
    {"recur with itself", m_recur_with_itself, 1}, {"min", m_min, 1}, {"median", m_median, 1}, {"topk", m_topk, 2}, {"einsum, products", m_einsum_products, 2},
    {"einsum, everything", m_einsum_everything, 2}, {"outer, dot, trace", m_outer_dot_trace, 3}, {"roll, tile, flip", m_roll_tile_flip, 1}, {"pad", m_pad, 1},
    {"triangles and diagonals", m_triangles_and_diagonals, 1}, {"glu", m_glu, 1}, {"lerp", m_lerp, 1}, {"logarithms", m_logarithms, 1}, {"hard ones", m_hard_ones, 1},
    {"selu, celu", m_selu_celu, 1}, {"powers", m_powers, 1}, {"angles", m_angles, 1}, {"rmsnorm", m_rmsnorm, 1}, {"groupnorm", m_groupnorm, 1},
    {"cosine similarity", m_cosine_similarity, 1}, {"KL of Gaussians", m_kl_of_gaussians, 1}, {"masked", m_masked, 1}, {"rows by number", m_rows_by_number, 1},
    {"scatter into itself", m_scatter_into_itself, 1}, {"matrices", m_matrices, 1}, {"solving", m_solving, 1}, {"inverse and det", m_inverse_and_det, 1},
    {"split", m_split, 1}, {"batchnorm", m_batchnorm, 1}, {"losses", m_losses, 1}};

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
                    if (!gradients(c, composeds[i].f, NULL, x, n, -1, flags, first ? want : got)) check(0, "%s: fails: %s", what, nn_error_text(c));
                    nn_error_clear(c);
                    if (by_plan(j, 0)) planned_gradients(c, composeds[i].f, NULL, x, n, flags, first ? want : got, what);
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

/* Where there is no derivative, the convention: 0 for relu and abs at 0 and at -0 */
static nn_tensor *c_relu(nn_ctx *c, nn_tensor **x, void *u) { (void)c; (void)u; return nn_relu(x[0]); }
static nn_tensor *c_abs(nn_ctx *c, nn_tensor **x, void *u) { (void)c; (void)u; return nn_abs(x[0]); }
static void test_kinks(void) {
    for (int j = 0; j < n_sets; j++)
        for (int k = 0; k < 4; k++) {
            static const float at[4] = {-2, -0.0f, 0, 2};
            nn_ctx    *c = sets[j].c;
            nn_tensor *x = nn_from(c, at, NN_F32, NN_SHAPE(4));
            arr        g, dy = read_arr(upstream(x));
            int        right = gradients(c, k & 1 ? c_abs : c_relu, NULL, &x, 1, -1, k / 2, &g);
            right = right && g.v[0] == (k & 1 ? -dy.v[0] : 0) && g.v[1] == 0 && g.v[2] == 0 && g.v[3] == dy.v[3];
            check(right, "gradient of %s at -2, -0, 0, 2: %g %g %g %g %s", k & 1 ? "abs" : "relu", g.v[0], g.v[1], g.v[2], g.v[3], nn_isa(c));
            fine(c, "kinks");
            next_step();
        }
}

/* The same of two operands and with parameters: at the ends of clamp 1, equal shares to equals, powers of and to 0 */
static nn_tensor *c_maximum(nn_ctx *c, nn_tensor **x, void *u) { (void)c; (void)u; return nn_maximum(x[0], x[1]); }
static nn_tensor *c_minimum(nn_ctx *c, nn_tensor **x, void *u) { (void)c; (void)u; return nn_minimum(x[0], x[1]); }
static nn_tensor *c_pow(nn_ctx *c, nn_tensor **x, void *u) { (void)c; (void)u; return nn_pow(x[0], x[1]); }
static nn_tensor *c_atan2(nn_ctx *c, nn_tensor **x, void *u) { (void)c; (void)u; return nn_atan2(x[0], x[1]); }
static nn_tensor *c_hypot(nn_ctx *c, nn_tensor **x, void *u) { (void)c; (void)u; return nn_hypot(x[0], x[1]); }
static nn_tensor *c_fmod(nn_ctx *c, nn_tensor **x, void *u) { (void)c; (void)u; return nn_fmod(x[0], x[1]); }
static nn_tensor *c_clamp(nn_ctx *c, nn_tensor **x, void *u) { (void)c; (void)u; return nn_add(nn_clamp(x[0], -1, 2), nn_scale(x[1], 0)); }
static nn_tensor *c_where(nn_ctx *c, nn_tensor **x, void *u) { (void)c; (void)u; return nn_where(nn_is_finite(x[0]), x[1], x[0]); }
static void test_kinks_of_two(void) {
    static const struct { const char *name; nn_tensor *(*f)(nn_ctx *, nn_tensor **, void *); double x, y, dx, dy; } f[] = { /* of infinities: nothing that is 0 times one of them */
        {"maximum", c_maximum, 1, 2, 0, 1},  {"maximum", c_maximum, 2, 1, 1, 0},  {"maximum", c_maximum, 3, 3, 0.5, 0.5}, {"maximum", c_maximum, 0, -0.0, 0.5, 0.5},
        {"maximum", c_maximum, INFINITY, INFINITY, 0.5, 0.5}, {"maximum", c_maximum, -INFINITY, INFINITY, 0, 1}, {"maximum", c_maximum, INFINITY, 1, 1, 0},
        {"minimum", c_minimum, 1, 2, 1, 0},  {"minimum", c_minimum, 2, 1, 0, 1},  {"minimum", c_minimum, 3, 3, 0.5, 0.5}, {"minimum", c_minimum, INFINITY, 1, 0, 1},
        {"minimum", c_minimum, -INFINITY, -INFINITY, 0.5, 0.5},
        {"clamp", c_clamp, -3, 0, 0, 0},     {"clamp", c_clamp, -1, 0, 1, 0},     {"clamp", c_clamp, 0, 0, 1, 0},         {"clamp", c_clamp, 2, 0, 1, 0},
        {"clamp", c_clamp, 2.5, 0, 0, 0},    {"clamp", c_clamp, INFINITY, 0, 0, 0}, {"where", c_where, 5, 7, 0, 1},       {"where", c_where, INFINITY, 7, 1, 0},
        {"pow", c_pow, 0, 2, 0, 0},          {"pow", c_pow, 0, 1, 1, 0},          {"pow", c_pow, 0, 0, 0, 0},             {"pow", c_pow, 2, 0, 0, 0.69314718055994531},
        {"pow", c_pow, 0, 3.5, 0, 0},        {"pow", c_pow, 1, 5, 5, 0},          {"pow", c_pow, 2, -1, -0.25, 0.34657359027997264},
        {"atan2", c_atan2, 0, 0, 0, 0},      {"atan2", c_atan2, 0, -2, -0.5, 0},  {"atan2", c_atan2, 3e-30, 4e-30, 1.6e29, -1.2e29}, {"atan2", c_atan2, 3e30, 4e30, 1.6e-31, -1.2e-31},
        {"hypot", c_hypot, 0, 0, 0, 0},      {"hypot", c_hypot, -3, 4, -0.6, 0.8}, {"hypot", c_hypot, 3e-39, 4e-39, 0.6, 0.8},        {"hypot", c_hypot, 3e37, 4e37, 0.6, 0.8},
        {"fmod", c_fmod, 7, 2, 1, -3},       {"fmod", c_fmod, -7, 2, 1, 3},       {"fmod", c_fmod, 7, -2, 1, 3}};
    for (int j = 0; j < n_sets; j++)
        for (size_t k = 0; k < sizeof f / sizeof *f; k++)
            for (int how = 0; how < 4; how++) {
                nn_ctx    *c = sets[j].c;
                nn_dtype   d = how & 2 ? NN_F32 : NN_F64;
                nn_tensor *x[2], *dx[2] = {NULL, NULL}, *y;
                double     g[2] = {NAN, NAN};
                x[0] = nn_requires_grad(nn_full(c, d, NN_SHAPE(1), f[k].x));
                x[1] = nn_requires_grad(nn_full(c, d, NN_SHAPE(1), f[k].y));
                y    = f[k].f(c, x, NULL);
                if (nn_grad_of(y, nn_ones(c, d, NN_SHAPE(1)), x, 2, dx, how & 1)) { g[0] = nn_item(dx[0]); g[1] = nn_item(dx[1]); }
                check(fabs(g[0] - f[k].dx) <= 1e-6 * fabs(f[k].dx) + 1e-37 && fabs(g[1] - f[k].dy) <= 1e-6 * fabs(f[k].dy) + 1e-37, "gradient of %s(%g, %g) %s %s: %g, %g, not %g, %g", f[k].name, f[k].x, f[k].y, nn_dtype_name(d), nn_isa(c), g[0], g[1], f[k].dx, f[k].dy);
                fine(c, "kinks of two");
                next_step();
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
                if (!gradients(c, k ? c_ln_plain : c_ce_plain, NULL, &x, 1, -1, flags, &got)) check(0, "%s: fails: %s", what, nn_error_text(c));
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
    for (int i = -1; i < n; i++) {
        const nn_op *op = i < 0 ? op_named(first_op) : ops[i];
        nn_sample    s;
        for (int k = 0; op && sample_of(sets[0].c, op, NN_F64, k, &s); k++) {
            test_gradients_of(op, k);
            next_step();
        }
        next_step();
    }
    test_composed();
    test_reduce_gradients();
    test_kinks();
    test_kinks_of_two();
}

/* ---- threads ---------------------------------------------------------------------------------------------- */

enum { MOST = 12 };
typedef struct result { nn_tensor *t[MOST]; int n; } result;
static void give(result *r, nn_tensor *x) {
    if (r->n < MOST) r->t[r->n++] = x;
}
/* y and the gradients of y */
static void give_gradients(result *r, nn_tensor *y, nn_tensor **leaf, int n) {
    nn_tensor *dx[4] = {NULL, NULL, NULL, NULL};
    if (y) nn_grad_of(y, upstream(y), leaf, n, dx, 0);
    give(r, y);
    for (int i = 0; i < n; i++) give(r, dx[i]);
}
static nn_tensor *leaf_of(nn_ctx *c, nn_dtype d, nn_shape s, int seed, double low, double high) { return nn_requires_grad(values(c, d, s, seed, low, high)); }

static void w_maps(nn_ctx *c, nn_dtype d, result *r) {
    nn_tensor *x[2];
    x[0] = leaf_of(c, d, NN_SHAPE(700, 501), 1, -2, 2);
    x[1] = leaf_of(c, d, NN_SHAPE(501), 2, 0.5, 2);
    give_gradients(r, nn_div(nn_gelu(x[0]), x[1]), x, 2);
    give_gradients(r, nn_mul(nn_exp(x[0]), nn_slice(x[1], 0, NN_TO_END, NN_TO_END, -1)), x, 2);
    give(r, nn_sub(nn_tanh(nn_detach(x[0])), nn_sigmoid(nn_detach(x[0]))));
    give(r, nn_add(nn_relu(nn_detach(x[0])), nn_erf(nn_detach(x[0]))));
}
static void w_copies(nn_ctx *c, nn_dtype d, result *r) {
    nn_tensor *x = values(c, d, NN_SHAPE(613, 601), 1, -2, 2), *y = values(c, d, NN_SHAPE(601, 613), 2, -2, 2), *z = values(c, d, NN_SHAPE(40, 50, 60, 3), 3, -2, 2);
    give(r, nn_clone(nn_transpose(x, 0, 1)));
    give(r, nn_add(nn_transpose(x, 0, 1), y));
    give(r, nn_clone(nn_permute(z, NN_AXES(3, 1, 0, 2))));
    give(r, nn_clone(nn_slice(nn_slice(z, 2, NN_TO_END, NN_TO_END, -2), 0, 1, NN_TO_END, 1)));
    give(r, nn_cast(nn_transpose(x, 0, 1), NN_BF16));
    give(r, nn_cast(nn_scale(x, 100), NN_I32));
    give(r, nn_exp(nn_cast(x, NN_F16)));
}
static void w_sums(nn_ctx *c, nn_dtype d, result *r) {
    nn_tensor *x = values(c, d, NN_SHAPE(1000, 1000), 1, -1, 2), *y = nn_reshape(x, NN_SHAPE(20, 500, 100)), *z = nn_reshape(x, NN_SHAPE(500000, 2));
    give(r, nn_sum(x, NN_ALL, 0));
    give(r, nn_sum(x, NN_AXES(0), 0));
    give(r, nn_sum(x, NN_AXES(1), 0));
    give(r, nn_sum(y, NN_AXES(1), 1));
    give(r, nn_sum(y, NN_AXES(0, 2), 0));
    give(r, nn_sum(z, NN_AXES(0), 0));
    give(r, nn_sum(nn_transpose(z, 0, 1), NN_AXES(1), 0));
    give(r, nn_sum(nn_transpose(x, 0, 1), NN_AXES(1), 0));
    give(r, nn_mean(nn_reshape(x, NN_SHAPE(25, 40000)), NN_AXES(0), 0));
    give(r, nn_sum(nn_reshape(x, NN_SHAPE(5, 4, 50000)), NN_AXES(1), 0));
}
static void w_maxima(nn_ctx *c, nn_dtype d, result *r) {
    nn_tensor *x = leaf_of(c, d, NN_SHAPE(1000, 700), 1, -1, 2), *y = nn_reshape(nn_detach(x), NN_SHAPE(20, 50, 700));
    give(r, nn_max(nn_detach(x), NN_ALL, 0));
    give_gradients(r, nn_max(x, NN_AXES(0), 0), &x, 1);
    give_gradients(r, nn_max(x, NN_AXES(1), 1), &x, 1);
    give(r, nn_max(y, NN_AXES(1), 0));
    give(r, nn_max(nn_reshape(nn_detach(x), NN_SHAPE(14, 50000)), NN_AXES(0), 0));
}
static void w_matmul(nn_ctx *c, nn_dtype d, result *r) {
    nn_tensor *x[2];
    x[0] = leaf_of(c, d, NN_SHAPE(200, 300), 1, -1, 1);
    x[1] = leaf_of(c, d, NN_SHAPE(300, 150), 2, -1, 1);
    give_gradients(r, nn_matmul(x[0], x[1]), x, 2);
    x[0] = leaf_of(c, d, NN_SHAPE(3, 1, 61, 70), 3, -1, 1);
    x[1] = leaf_of(c, d, NN_SHAPE(5, 70, 53), 4, -1, 1);
    give_gradients(r, nn_matmul(x[0], x[1]), x, 2);
    give(r, nn_matmul(values(c, d, NN_SHAPE(3, 4000), 5, -1, 1), nn_transpose(values(c, d, NN_SHAPE(70, 4000), 6, -1, 1), 0, 1)));
    give(r, nn_matmul(values(c, d, NN_SHAPE(2000, 40), 7, -1, 1), values(c, d, NN_SHAPE(40, 33), 8, -1, 1)));
    give(r, nn_matmul(values(c, d, NN_SHAPE(1, 700), 9, -1, 1), values(c, d, NN_SHAPE(700, 1500), 10, -1, 1)));
    give(r, nn_matmul(values(c, d, NN_SHAPE(1500, 700), 11, -1, 1), values(c, d, NN_SHAPE(700, 1), 12, -1, 1)));
}
static void w_linear(nn_ctx *c, nn_dtype d, result *r) {
    nn_tensor *x[3];
    x[0] = leaf_of(c, d, NN_SHAPE(128, 784), 1, 0, 1);
    x[1] = leaf_of(c, d, NN_SHAPE(512, 784), 2, -0.1, 0.1);
    x[2] = leaf_of(c, d, NN_SHAPE(512), 3, -1, 1);
    give_gradients(r, nn_linear_act(x[0], x[1], x[2], NN_ACT_TANH), x, 3);
    x[0] = leaf_of(c, d, NN_SHAPE(50, 100, 40), 4, -1, 1);
    x[1] = leaf_of(c, d, NN_SHAPE(31, 40), 5, -1, 1);
    x[2] = leaf_of(c, d, NN_SHAPE(31), 6, -1, 1);
    give_gradients(r, nn_linear_act(x[0], x[1], x[2], NN_ACT_SIGMOID), x, 3);
}
static void w_layernorm(nn_ctx *c, nn_dtype d, result *r) {
    nn_tensor *x[3];
    x[0] = leaf_of(c, d, NN_SHAPE(500, 300), 1, -1, 3);
    x[1] = leaf_of(c, d, NN_SHAPE(300), 2, 0.5, 1.5);
    x[2] = leaf_of(c, d, NN_SHAPE(300), 3, -1, 1);
    give_gradients(r, nn_layernorm(x[0], x[1], x[2], 1e-5), x, 3);
}
static nn_tensor *norm_of(nn_tensor *x, int groups, nn_tensor *w, nn_tensor *b, nn_tensor *mean, nn_tensor *var) { /* groups: 0 batch norm, -1 the same in evaluation */
    nn_batchnorm_options o;
    if (groups > 0) return nn_groupnorm(x, groups, w, b, 1e-3);
    memset(&o, 0, sizeof o);
    o.weight = w; o.bias = b; o.mean = mean; o.var = var; o.training = groups == 0; o.eps = 1e-3;
    return nn_batchnorm(x, &o);
}
static void norms_of(nn_ctx *c, nn_dtype d, result *r, int last) { /* batch, evaluation, groups */
    for (int i = 0; i < 3; i++) {
        nn_tensor *x[3], *mean = values(c, d, NN_SHAPE(42), 4, -1, 1), *var = values(c, d, NN_SHAPE(42), 5, 0.5, 2);
        x[0] = leaf_of(c, d, NN_SHAPE(5, 42, 29, 31), 1, -1, 3);
        x[1] = leaf_of(c, d, NN_SHAPE(42), 2, 0.5, 1.5);
        x[2] = leaf_of(c, d, NN_SHAPE(42), 3, -1, 1);
        if (last) x[0] = nn_requires_grad(nn_detach(nn_channels_last(x[0])));
        give_gradients(r, norm_of(x[0], i == 2 ? 7 : -i, x[1], x[2], mean, var), x, 3);
    }
}
static void w_norms(nn_ctx *c, nn_dtype d, result *r) { norms_of(c, d, r, 0); }
static void w_norms_last(nn_ctx *c, nn_dtype d, result *r) { norms_of(c, d, r, 1); }
static void w_cross_entropy(nn_ctx *c, nn_dtype d, result *r) {
    nn_tensor *x = leaf_of(c, d, NN_SHAPE(400, 1000), 1, -4, 6);
    give_gradients(r, nn_cross_entropy(x, classes(c, NN_I64, NN_SHAPE(400), 1000)), &x, 1);
}
static void w_softmax(nn_ctx *c, nn_dtype d, result *r) {
    nn_tensor *x = leaf_of(c, d, NN_SHAPE(601, 503), 1, -4, 6);
    give_gradients(r, nn_softmax(x, -1), &x, 1);
    give_gradients(r, nn_log_softmax(x, 1), &x, 1);
    give_gradients(r, nn_softmax(x, 0), &x, 1);
}
static void w_dropout(nn_ctx *c, nn_dtype d, result *r) {
    nn_tensor *x = leaf_of(c, d, NN_SHAPE(401, 1003), 1, 1, 2);
    give_gradients(r, nn_dropout(x, 0.3, 1), &x, 1);
    give_gradients(r, nn_dropout(x, 0.9, 1), &x, 1);
}
static void w_random(nn_ctx *c, nn_dtype d, result *r) {
    give(r, nn_uniform(c, d, NN_SHAPE(300, 1001), -1, 3));
    give(r, nn_normal(c, d, NN_SHAPE(333, 1001), 1, 2));
    give(r, nn_uniform(c, NN_BF16, NN_SHAPE(300, 1001), 0, 1));
}
static void w_moves(nn_ctx *c, nn_dtype d, result *r) {
    nn_tensor *x = leaf_of(c, d, NN_SHAPE(300, 1001), 1, -1, 1), *list[3];
    list[0] = x; list[1] = nn_square(x); list[2] = nn_slice(x, 1, 0, 300, 1);
    give_gradients(r, nn_concat(list, 3, 1), &x, 1);
    give_gradients(r, nn_gather(x, 1, classes(c, NN_I32, NN_SHAPE(300, 800), 1001)), &x, 1);
    give_gradients(r, nn_mul(nn_slice(x, 0, NN_TO_END, NN_TO_END, -1), x), &x, 1);
}
static void w_more_maps(nn_ctx *c, nn_dtype d, result *r) {
    nn_tensor *x[2], *u, *v;
    x[0] = leaf_of(c, d, NN_SHAPE(150, 401), 1, -2, 2);
    x[1] = leaf_of(c, d, NN_SHAPE(401), 2, 0.5, 2);
    give_gradients(r, nn_mul(nn_silu(x[0]), nn_maximum(x[0], x[1])), x, 2);
    give_gradients(r, nn_pow(nn_softplus(x[0]), x[1]), x, 2);
    u = nn_detach(x[0]);
    v = nn_detach(x[1]);
    give(r, nn_where(nn_less(u, v), nn_mish(u), nn_log_sigmoid(u)));
    give(r, nn_add(nn_elu(u, 1.5), nn_log1p(nn_abs(u))));
    give(r, nn_atan2(nn_clamp(u, -1, 1.5), nn_expm1(v)));
    give(r, nn_xor(nn_less(u, v), nn_greater_equal(nn_round(u), v)));
}
static void w_along(nn_ctx *c, nn_dtype d, result *r) {
    nn_tensor *x = leaf_of(c, d, NN_SHAPE(200, 251), 1, -1, 1), *a = leaf_of(c, d, NN_SHAPE(200, 251), 2, -0.9, 0.9), *u = nn_detach(x), *index, *pair[2];
    give_gradients(r, nn_sort(x, 1, 1, &index), &x, 1);
    give(r, index);
    give(r, nn_sort(u, 0, 0, &index));
    give(r, index);
    give(r, nn_argmax(u, 1, 0));
    give(r, nn_argmin(u, 0, 0));
    pair[0] = a; pair[1] = x;
    give_gradients(r, nn_recur(a, x, 0), pair, 2);
    give(r, nn_cumsum(u, 1));
}
static void w_index(nn_ctx *c, nn_dtype d, result *r) {
    nn_tensor *x = leaf_of(c, d, NN_SHAPE(200, 500), 1, -1, 1), *k = classes(c, NN_I64, NN_SHAPE(301), 200), *u = nn_detach(x);
    give_gradients(r, nn_index_select(x, 0, k), &x, 1);
    give_gradients(r, nn_index_add(x, 0, classes(c, NN_I32, NN_SHAPE(200), 50), 50), &x, 1);
    give(r, nn_index_select(u, 1, classes(c, NN_U8, NN_SHAPE(600), 250)));
    give(r, nn_scatter(u, 1, classes(c, NN_I32, NN_SHAPE(200, 400), 500), nn_slice(nn_scale(u, 2), 1, 0, 400, 1)));
}
static void w_matrices(nn_ctx *c, nn_dtype d, result *r) {
    nn_tensor *x[2], *eye = nn_scale(nn_eye(c, d, 12), 4);
    x[0] = nn_requires_grad(nn_add(values(c, d, NN_SHAPE(100, 12, 12), 1, -0.5, 0.5), eye));
    x[1] = leaf_of(c, d, NN_SHAPE(100, 12, 3), 2, -1, 1);
    give_gradients(r, nn_cholesky_solve(x[1], nn_cholesky(x[0])), x, 2);
    give_gradients(r, nn_inverse(x[0]), x, 1);
    give_gradients(r, nn_det(x[0]), x, 1);
}
static void w_pooling(nn_ctx *c, nn_dtype d, result *r) {
    nn_pool_options o = nn_pool_defaults();
    nn_tensor      *x = leaf_of(c, d, NN_SHAPE(3, 70, 23, 41), 1, -1, 1), *cube = leaf_of(c, d, NN_SHAPE(2, 5, 12, 19, 33), 2, -1, 1), *index = NULL, *y;
    for (int last = 0; last < 2; last++) {
        y        = last ? nn_channels_last(x) : x;
        o.kernel = NN_SHAPE(3), o.stride = NN_SHAPE(2, 1), o.padding = NN_SHAPE(1);
        give_gradients(r, nn_max_pool_with(y, &o, &index), &x, 1);
        give(r, index);
        give_gradients(r, nn_avg_pool_with(y, &o), &x, 1);
        give_gradients(r, nn_avg_pool(y, 2, 2, 0), &x, 1);
        give_gradients(r, nn_adaptive_avg_pool(y, NN_SHAPE(5, 7)), &x, 1);
        give_gradients(r, nn_max_pool(y, 2, 2, 0), &x, 1);
        give_gradients(r, nn_resize(y, NN_SHAPE(37, 60), NN_LINEAR, 0), &x, 1);
    }
    give_gradients(r, nn_resize(x, NN_SHAPE(11, 60), NN_CUBIC, 1), &x, 1);
    give_gradients(r, nn_max_pool(cube, 3, 3, 1), &cube, 1);
}
static void w_updates(nn_ctx *c, nn_dtype d, result *r) { /* two steps of every optimiser on a vector and a matrix */
    for (int k = 0; k < NN_OPTIMS; k++) {
        const nn__rule *rule = &nn__rules[k];
        nn_tensor      *in[16], *none, *p[2];
        double          hyper[NN__H_SIZE] = {0}, own[NN__OWN_SIZE] = {0};
        int             n = 0;
        hyper[NN__H_LR] = 0.01; hyper[NN__H_BETA1] = 0.875; hyper[NN__H_BETA2] = 0.9375; hyper[NN__H_EPS] = 1e-3; hyper[NN__H_DECAY] = 0.05; hyper[NN__H_DECOUPLED] = k & 1; hyper[NN__H_MOMENTUM] = 0.75;
        own[NN__OWN_LR] = 1; own[NN__OWN_DECAY] = NAN;
        for (int i = 0; i < 2; i++) {
            nn_shape s = i ? NN_SHAPE(150, 120) : NN_SHAPE(60001);
            p[i] = in[n++] = values(c, d, s, 1 + i, -1, 1);
            in[n++] = values(c, d, s, 3 + i, -1, 1);
            for (int m = 0; m < rule->moments; m++) in[n++] = nn_zeros(c, d, s);
            in[n++] = nn_from(c, own, NN_F64, NN_SHAPE(NN__OWN_SIZE));
        }
        in[n++] = nn_from(c, hyper, NN_F64, NN_SHAPE(NN__H_SIZE));
        for (int step = 0; step < 2; step++) nn_apply(rule->op, in, n, NULL, &none);
        p[1] = nn_flatten(p[1], 0);
        give(r, nn_concat(p, 2, 0));
    }
}

typedef struct work { const char *name; void (*f)(nn_ctx *, nn_dtype, result *); double unit; long split; } work; /* unit: f32 against f64, of the largest value; 0: not compared. split: at least so many ops must be */
static const work works[] = {{"maps", w_maps, 60 * 6e-8, 20},  {"copies", w_copies, 0, 10},      {"sums", w_sums, 3e-7, 9},           {"maxima", w_maxima, 1e-7, 10},
                             {"matmul", w_matmul, 1e-5, 12},   {"linear", w_linear, 2e-5, 10},    {"layernorm", w_layernorm, 1e-5, 3}, {"norms", w_norms, 1e-5, 6}, {"norms, channels last", w_norms_last, 1e-5, 9}, {"cross_entropy", w_cross_entropy, 1e-5, 2},
                             {"softmax", w_softmax, 1e-5, 8},  {"dropout", w_dropout, 2e-7, 6},   {"random", w_random, 0, 3},          {"moves", w_moves, 1e-6, 8},
                             {"more maps", w_more_maps, 4e-6, 20}, {"along", w_along, 1e-5, 6},   {"index", w_index, 1e-6, 4},         {"matrices", w_matrices, 1e-4, 5},
                             {"updates", w_updates, 1e-5, 11},     {"pooling", w_pooling, 1e-6, 20}};

static long hook_calls;
static void backwards_pool(void *user, int jobs, void (*job)(void *arg, int index), void *arg) {
    (void)user;
    hook_calls++;
    for (int i = jobs - 1; i >= 0; i--) job(arg, i);
}

typedef struct bits { void *p[MOST]; size_t size[MOST]; int n; } bits;

static void test_threads(void) {
    static const int counts[6] = {1, 2, 3, 5, 8, 4};
    const int        all = getenv("NN_TEST_ALL") != NULL; /* all counts on every set, not only on the best */
    for (size_t k = 0; k < sizeof works / sizeof *works; k++) {
        arr exact[MOST];
        int n_exact = 0;
        if (works[k].unit > 0) { /* f64, once */
            nn_ctx *c = begin(sets[n_sets - 1].name, 2);
            result  r;
            memset(&r, 0, sizeof r);
            nn_seed(c, the_seed);
            works[k].f(c, NN_F64, &r);
            fine(c, works[k].name);
            for (; n_exact < r.n; n_exact++) {
                exact[n_exact] = read_arr(r.t[n_exact]);
                magnitude(&exact[n_exact], 0);
            }
            nn_end(c);
        }
        for (int j = 0; j < n_sets; j++) {
            bits first;
            memset(&first, 0, sizeof first);
            for (int t = 0; t < 6; t++) { /* the last one through the hook */
                nn_config   config;
                nn_ctx     *c;
                result      r;
                const char *what = named("%s %s on %d threads%s", works[k].name, sets[j].name, counts[t], t == 5 ? ", own pool" : "");
                if (!all && j < n_sets - 1 && t != 0 && t != 3) continue;
                memset(&config, 0, sizeof config);
                config.isa = sets[j].name; config.threads = counts[t]; config.quiet = 1; config.seed = the_seed;
                if (t == 5) config.parallel = backwards_pool;
                hook_calls = 0;
                c = nn_begin(&config);
                memset(&r, 0, sizeof r);
                works[k].f(c, NN_F32, &r);
                fine(c, what);
#if !defined(NN_USE_CBLAS) /* a BLAS splits its products itself */
                if (t == 5 && works[k].split) check(hook_calls >= works[k].split, "%s: only %ld ops were split", what, hook_calls);
#endif
                for (int i = 0; i < r.n; i++) {
                    size_t size = (size_t)(r.t[i] ? nn_numel(r.t[i]) : 0) * nn_dtype_size(nn_dtype_of(r.t[i]));
                    void  *p    = r.t[i] ? bytes_of(r.t[i]) : NULL;
                    check(r.t[i] != NULL, "%s: result %d is missing", what, i);
                    if (t == 0) {
                        first.p[i] = p; first.size[i] = size; first.n = r.n;
                        if (i < n_exact) {
                            arr got = read_arr(r.t[i]);
                            close_to(&got, &exact[i], works[k].unit, named("%s %s result %d, f32 against f64", works[k].name, sets[j].name, i));
                        }
                    } else check(size == first.size[i] && (!size || !memcmp(p, first.p[i], size)), "%s: result %d has other bits than on one thread", what, i);
                }
                nn_end(c);
            }
        }
        next_step();
    }
}

/* ---- shapes ----------------------------------------------------------------------------------------------- */

/* Every element-wise kernel at every length around its vectors, called as it stands, with guards behind */
static void test_tails(void) {
    int                 n;
    const nn_op *const *ops = nn_op_list(&n);
    for (int i = 0; i < n; i++) {
        nn_sample s;
        double    ab[2] = {-1.75, 0.625}, roundings = 0;
        int       positive = strstr("log log2 sqrt rsqrt", ops[i]->name) != NULL; /* log1p, asin and acos: within -1 ... 1 */
        float     limit = !strcmp(ops[i]->name, "log1p") || !strcmp(ops[i]->name, "asin") || !strcmp(ops[i]->name, "acos") ? 0.3f : 1.0f;
        if (!(ops[i]->flags & NN_OP_MAP) || !(ops[i]->flags & NN_OP_STRIDED) || !sample_of(sets[0].c, ops[i], NN_F32, 0, &s)) continue;
        if (!refer(ops[i], NULL, 0, NULL, NULL, &roundings)) continue;
        for (int j = 0; j < n_sets; j++) {
            nn_ctx *c = sets[j].c;
            for (int64_t length = 0; length < 70; length += length < 36 ? 1 : 7)
                for (int step = 0; step < (ops[i]->n_in == 2 ? 4 : 1); step++) { /* which operands advance */
                    float             x[72], y[72], z[80], streamed[96], *past = streamed + length % 17;
                    const char       *slot = (const char *)c->kernels->f32 + ops[i]->kernel, *what = named("%s %s on %lld elements, steps %d", ops[i]->name, nn_isa(c), (long long)length, step);
                    arr               in[2], want[1], got;
                    int               intact = 1;
                    if (length == 0 && ops[i]->n_in == 2) continue; /* its callers do not */
                    in[0] = make(NN_SHAPE(step & 1 ? 1 : length));
                    in[1] = make(NN_SHAPE(step & 2 ? 1 : length));
                    for (int e = 0; e < 72; e++) {
                        x[e] = (float)(0.3 + 0.041 * e) * (ops[i]->n_in == 1 && !positive && e % 3 == 0 ? -limit : limit);
                        y[e] = (float)(2.9 - 0.037 * e);
                        if (e < in[0].n) in[0].v[e] = x[e];
                        if (e < in[1].n) in[1].v[e] = y[e];
                    }
                    for (int e = 0; e < 80; e++) z[e] = 12345.0f;
                    for (int e = 0; e < 96; e++) streamed[e] = 12345.0f;
                    if (ops[i]->n_in == 2) {
                        nn__binary_fn f;
                        memcpy(&f, slot, sizeof f);
                        f(x, !(step & 1), y, !(step & 2), z, length, NULL);
                        f(x, !(step & 1), y, !(step & 2), past, -length, NULL);
                    } else {
                        nn__unary_fn f;
                        memcpy(&f, slot, sizeof f);
                        f(x, z, length, ab);
                        f(x, past, -length, ab);
                    }
                    refer(ops[i], in, 2, ab, want, &roundings);
                    got = make(NN_SHAPE(length));
                    for (int64_t e = 0; e < length; e++) got.v[e] = z[e];
                    if (want[0].n == 1 && length > 1) { /* both stand still */
                        arr one = want[0];
                        want[0] = make(NN_SHAPE(length));
                        for (int64_t e = 0; e < length; e++) { want[0].v[e] = one.v[0]; want[0].m[e] = one.m[0]; }
                    }
                    close_to(&got, want, u32 * roundings, what);
                    for (int64_t e = length; e < 80; e++) intact &= z[e] == 12345.0f;
                    check(intact, "%s: writes behind the end", what);
                    for (int64_t e = 0; e < 96 - length % 17; e++) intact &= past[e] == (e < length ? z[e] : 12345.0f);
                    check(intact && streamed[0] == (length % 17 ? 12345.0f : past[0]), "%s: differs where it is stored past the caches", what);
                }
            room_clear();
        }
        nn_reset(sets[0].c);
    }
}

static void test_reductions(void) {
    static const nn_shape shapes[] = {{4, {3, 4, 2, 5, 0, 0}}, {4, {5, 3, 37, 9, 0, 0}}, {4, {2, 1, 3, 70, 0, 0}}, {4, {3, 0, 2, 5, 0, 0}}, {4, {1, 1, 1, 1, 0, 0}}, {4, {2, 65, 1, 3, 0, 0}}};
    for (size_t k = 0; k < sizeof shapes / sizeof *shapes; k++)
        for (int mask = 0; mask < 16; mask++)
            for (int kind = 0; kind < 3; kind++)
                for (int keep = 0; keep < 2; keep++) {
                    nn_shape axes = NN_ALL;
                    int      gone[NN_MAX_DIMS] = {0, 0, 0, 0, 0, 0}, f64;
                    int64_t  group = 1;
                    arr      in, want, got;
                    for (int d = 3; d >= 0; d--)
                        if (mask >> d & 1 || !mask) { gone[d] = 1; group *= shapes[k].dim[d]; if (mask) axes.dim[axes.ndim++] = keep ? d - 4 : d; }
                    in = read_arr(values(sets[0].c, NN_F64, shapes[k], 1, -1, 2));
                    want = reduce(&in, gone, keep, "smx"[kind]);
                    for (int j = 0; j < n_sets; j++)
                        for (f64 = 0; f64 < 2; f64++)
                            for (int v = 0; v < VARIANTS; v += 4) {
                                nn_ctx     *c = sets[j].c;
                                nn_tensor  *x = restride(c, values(c, f64 ? NN_F64 : NN_F32, shapes[k], 1, -1, 2), v);
                                nn_tensor  *y = kind == 0 ? nn_sum(x, axes, keep) : kind == 1 ? nn_mean(x, axes, keep) : nn_max(x, axes, keep);
                                const char *what = named("%s of %s over axes %x keepdims %d strides %d %s %s", kind == 0 ? "sum" : kind == 1 ? "mean" : "max", shape_text(shapes[k]), (unsigned)mask,
                                                         keep, v, f64 ? "f64" : "f32", nn_isa(c));
                                if (group == 0 && kind) { expect(c, NN_ERR_SHAPE, what); continue; }
                                if (!fine(c, what)) continue;
                                got = read_arr(y);
                                close_to(&got, &want, kind == 2 ? 0 : f64 ? 1e-12 : u32 * ((double)group + 2), what);
                            }
                    next_step();
                }
    /* shapes that are cut into parts, or have few rows of many columns */
    for (int j = 0; j < n_sets; j++) {
        static const nn_shape large[] = {{2, {4, 20000, 0, 0, 0, 0}}, {2, {3, 70000, 0, 0, 0, 0}}, {2, {70000, 3, 0, 0, 0, 0}}, {2, {300, 500, 0, 0, 0, 0}}, {2, {17, 16385, 0, 0, 0, 0}}, {1, {200001, 0, 0, 0, 0, 0}}, {3, {2, 5, 33000, 0, 0, 0}}, {3, {1, 9, 33000, 0, 0, 0}}};
        nn_ctx *c = sets[j].c;
        for (size_t k = 0; k < sizeof large / sizeof *large; k++)
            for (int axis = 0; axis < large[k].ndim; axis++) {
                int         gone[NN_MAX_DIMS] = {0, 0, 0, 0, 0, 0};
                arr         in, want, got;
                const char *what = named("sum of %s over axis %d %s", shape_text(large[k]), axis, nn_isa(c));
                nn_tensor  *x = values(c, NN_F32, large[k], 3, 0, 1);
                gone[axis] = 1;
                in   = read_arr(x);
                want = reduce(&in, gone, 0, 's');
                got  = read_arr(nn_sum(x, NN_AXES(axis), 0));
                if (fine(c, what)) close_to(&got, &want, 2e-6, what);
                want = reduce(&in, gone, 0, 'x');
                got  = read_arr(nn_max(x, NN_AXES(axis), 0));
                if (fine(c, what)) close_to(&got, &want, 0, named("max of %s over axis %d %s", shape_text(large[k]), axis, nn_isa(c)));
                next_step();
            }
        { /* a long sum must not lose what a running sum in f32 would */
            nn_tensor *x = values(c, NN_F32, NN_SHAPE(1000000), 1, 0, 1);
            arr        a = read_arr(x);
            double     sum = 0, got = nn_item(nn_sum(x, NN_ALL, 0));
            for (int64_t i = 0; i < a.n; i++) sum += a.v[i];
            check(fabs(got - sum) < 5e-7 * sum, "sum of a million %s: %.9g, not %.9g", nn_isa(c), got, sum);
            next_step();
        }
        { /* maxima: NaN wins wherever it stands; infinities and -0 are values */
            for (int64_t length = 1; length < 70; length += 3)
                for (int64_t at = 0; at < length; at += 1 + length / 5) {
                    nn_tensor *x = nn_full(c, NN_F32, NN_SHAPE(length), -INFINITY), *y;
                    nn_set(x, NN_SHAPE(at), -3);
                    check(nn_item(nn_max(x, NN_ALL, 0)) == -3, "max of -inf and -3 at %d of %d %s", (int)at, (int)length, nn_isa(c));
                    nn_set(x, NN_SHAPE(at), NAN);
                    y = nn_max(x, NN_ALL, 0);
                    check(nn_item(y) != nn_item(y), "max with a NaN at %d of %d %s is %g", (int)at, (int)length, nn_isa(c), nn_item(y));
                    y = nn_max(nn_expand(nn_unsqueeze(x, 1), NN_SHAPE(length, 3)), NN_AXES(0), 0);
                    check(nn_get(y, NN_SHAPE(1)) != nn_get(y, NN_SHAPE(1)), "max over rows with a NaN at %d of %d %s", (int)at, (int)length, nn_isa(c));
                }
            fine(c, "maxima");
            next_step();
        }
    }
}

static nn_tensor *layout(nn_ctx *c, nn_tensor *x, int how) { /* the same matrix: rows, columns, every second place, backwards */
    return restride(c, x, how == 0 ? 0 : how == 1 ? 1 : how == 2 ? 2 : 3);
}
static void test_matmul(void) {
    static const int64_t size[] = {0, 1, 2, 3, 7, 8, 15, 16, 17, 31, 33, 64, 100};
    static const int     n_size = (int)(sizeof size / sizeof *size);
    chance_state = 7;
    for (int round = 0; round < 150; round++) {
        int64_t   m = size[chance(13)], n = size[chance(13)], k = size[chance(13)];
        arr       in[2], want[1], got;
        double    roundings;
        if (round < 3 * n_size) { /* every size in every place */
            int64_t s = size[round / 3];
            if (round % 3 == 0) m = s;
            else if (round % 3 == 1) n = s;
            else k = s;
        }
        in[0] = read_arr(values(sets[0].c, NN_F64, NN_SHAPE(m, k), 1, -1, 1));
        in[1] = read_arr(values(sets[0].c, NN_F64, NN_SHAPE(k, n), 2, -1, 1));
        ref_matmul(in, 2, NULL, want, &roundings);
        for (int j = 0; j < n_sets; j++)
            for (int f64 = 0; f64 < 2; f64++)
                for (int how = 0; how < 16; how++) {
                    nn_ctx     *c = sets[j].c;
                    nn_dtype    d = f64 ? NN_F64 : NN_F32;
                    const char *what = named("matmul %lldx%lldx%lld layouts %d,%d %s %s", (long long)m, (long long)n, (long long)k, how / 4, how % 4, f64 ? "f64" : "f32", nn_isa(c));
                    nn_tensor  *y;
                    if (f64 && how % 5) continue;
                    y = nn_matmul(layout(c, values(c, d, NN_SHAPE(m, k), 1, -1, 1), how / 4), layout(c, values(c, d, NN_SHAPE(k, n), 2, -1, 1), how % 4));
                    if (!fine(c, what)) continue;
                    got = read_arr(y);
                    close_to(&got, want, f64 ? 1e-13 : u32 * roundings, what);
                }
        next_step();
    }
    { /* batches, broadcast and repeated by a stride of 0; long k; nothing */
        static const nn_shape pairs[][2] = {{{3, {4, 9, 5, 0, 0, 0}}, {3, {4, 5, 18, 0, 0, 0}}},  {{4, {2, 1, 17, 7, 0, 0}}, {3, {3, 7, 33, 0, 0, 0}}}, {{2, {5, 6, 0, 0, 0, 0}}, {4, {2, 3, 6, 1, 0, 0}}},
                                            {{3, {0, 4, 5, 0, 0, 0}}, {2, {5, 3, 0, 0, 0, 0}}},   {{3, {2, 4, 0, 0, 0, 0}}, {3, {2, 0, 3, 0, 0, 0}}},  {{6, {2, 1, 2, 1, 3, 4}}, {5, {3, 1, 2, 4, 5, 0}}},
                                            {{2, {5, 1000, 0, 0, 0, 0}}, {2, {1000, 70, 0, 0, 0, 0}}}, {{2, {130, 777, 0, 0, 0, 0}}, {2, {777, 45, 0, 0, 0, 0}}}, {{2, {30, 20, 0, 0, 0, 0}}, {2, {20, 900, 0, 0, 0, 0}}},
                                            {{2, {470, 19, 0, 0, 0, 0}}, {2, {19, 70, 0, 0, 0, 0}}}, {{2, {1, 900, 0, 0, 0, 0}}, {2, {900, 300, 0, 0, 0, 0}}}, {{2, {16, 600, 0, 0, 0, 0}}, {2, {600, 5, 0, 0, 0, 0}}}};
        for (size_t p = 0; p < sizeof pairs / sizeof *pairs; p++) {
            arr    in[2], want[1], got;
            double roundings;
            in[0] = read_arr(values(sets[0].c, NN_F64, pairs[p][0], 1, -1, 1));
            in[1] = read_arr(values(sets[0].c, NN_F64, pairs[p][1], 2, -1, 1));
            ref_matmul(in, 2, NULL, want, &roundings);
            for (int j = 0; j < n_sets; j++)
                for (int how = 0; how < 32; how++) {
                    nn_ctx     *c = sets[j].c;
                    nn_dtype    d = how & 16 ? NN_F64 : NN_F32;
                    const char *what = named("matmul %s %s layouts %d,%d %s %s", shape_text(pairs[p][0]), shape_text(pairs[p][1]), how / 4 % 4, how % 4, nn_dtype_name(d), nn_isa(c));
                    nn_tensor  *y = nn_matmul(layout(c, values(c, d, pairs[p][0], 1, -1, 1), pairs[p][0].ndim > 5 && how / 4 % 4 == 2 ? 0 : how / 4 % 4), layout(c, values(c, d, pairs[p][1], 2, -1, 1), how % 4));
                    if (!fine(c, what)) continue;
                    got = read_arr(y);
                    close_to(&got, want, d == NN_F64 ? 1e-13 : u32 * (roundings > 60 ? 60 : roundings), what);
                }
            next_step();
        }
        for (int j = 0; j < n_sets; j++) { /* one row, one column and one matrix, repeated without a copy */
            nn_ctx    *c = sets[j].c;
            nn_tensor *row = values(c, NN_F32, NN_SHAPE(1, 20), 1, -1, 1), *column = values(c, NN_F32, NN_SHAPE(20, 1), 2, -1, 1), *matrix = values(c, NN_F32, NN_SHAPE(1, 20, 9), 3, -1, 1);
            nn_tensor *x = nn_expand(row, NN_SHAPE(7, 20)), *y = nn_expand(column, NN_SHAPE(20, 35)), *b = nn_expand(matrix, NN_SHAPE(4, 20, 9));
            arr        in[2], want[1], got;
            double     roundings;
            for (int k = 0; k < 4; k++) {
                nn_tensor *p = k == 0 ? x : k == 1 ? nn_transpose(y, 0, 1) : x, *q = k == 0 ? y : k == 1 ? nn_transpose(x, 0, 1) : k == 2 ? nn_transpose(x, 0, 1) : b;
                in[0] = read_arr(p);
                in[1] = read_arr(q);
                ref_matmul(in, 2, NULL, want, &roundings);
                got = read_arr(nn_matmul(p, q));
                if (fine(c, "matmul of repeated operands")) close_to(&got, want, u32 * roundings, named("matmul of repeated operands, case %d %s", k, nn_isa(c)));
            }
        }
        next_step();
    }
}

static void test_linear(void) {
    static const int64_t size[] = {0, 1, 2, 5, 8, 14, 15, 16, 17, 33, 50};
    chance_state = 11;
    for (int round = 0; round < 60; round++) {
        int64_t m = size[chance(11)], n = size[chance(11)], k = size[chance(11)];
        int     act = round % 5, biased = round % 3 != 0;
        arr     in[3], want[1], got;
        double  roundings;
        in[0] = read_arr(values(sets[0].c, NN_F64, NN_SHAPE(m, k), 1, -1, 1));
        in[1] = read_arr(values(sets[0].c, NN_F64, NN_SHAPE(n, k), 2, -1, 1));
        in[2] = read_arr(values(sets[0].c, NN_F64, NN_SHAPE(n), 3, -1, 1));
        ref_linear(in, biased ? 3 : 2, &act, want, &roundings);
        for (int j = 0; j < n_sets; j++)
            for (int how = 0; how < 8; how++) {
                nn_ctx     *c = sets[j].c;
                nn_dtype    d = how & 4 ? NN_F64 : NN_F32;
                const char *what = named("linear %lldx%lldx%lld %s activation %d strides %d %s %s", (long long)m, (long long)n, (long long)k, biased ? "bias" : "no bias", act, how & 3, nn_dtype_name(d), nn_isa(c));
                nn_tensor  *x = restride(c, values(c, d, NN_SHAPE(m, k), 1, -1, 1), how & 1 ? 4 : 0), *w = restride(c, values(c, d, NN_SHAPE(n, k), 2, -1, 1), how & 2 ? 3 : 0);
                nn_tensor  *b = biased ? restride(c, values(c, d, NN_SHAPE(n), 3, -1, 1), how & 1 ? 2 : 0) : NULL, *y;
                y = nn_linear_act(x, w, b, (nn_act)act);
                if (!fine(c, what)) continue;
                got = read_arr(y);
                close_to(&got, want, d == NN_F64 ? 1e-12 : u32 * roundings, what);
                y = nn_activate(nn_linear(x, w, b), (nn_act)act); /* fused or one by one: the same */
                got = read_arr(y);
                if (fine(c, what)) close_to(&got, want, d == NN_F64 ? 1e-12 : u32 * roundings, what);
            }
        next_step();
    }
}

/* What only the kernel's callers inside nn.h reach: the residual, a B packed beforehand; and the same bits however C is cut. */
static void test_gemm(void) {
    static const int64_t size[][3] = {{1, 0, 3}, {1, 40, 70}, {2, 3, 5}, {9, 300, 6}, {20, 33, 64}, {40, 100, 70}, {150, 90, 200}, {500, 420, 33}, {33, 800, 600}}; /* m, k, n */
    for (int j = 0; j < n_sets; j++)
        for (int how = 0; how < 36; how++) {
            nn_ctx       *c = sets[j].c;
            nn_dtype      d = how & 1 ? NN_F64 : NN_F32;
            int64_t       m = size[how / 4][0], k = size[how / 4][1], n = size[how / 4][2], across = how & 2;
            const char   *what = named("gemm %lldx%lldx%lld %s %s", (long long)m, (long long)k, (long long)n, nn_dtype_name(d), nn_isa(c));
            nn_tensor    *x = values(c, d, NN_SHAPE(m, k), 1, -1, 1), *w = values(c, d, across ? NN_SHAPE(n, k) : NN_SHAPE(k, n), 2, -1, 1);
            nn_tensor    *b = values(c, d, NN_SHAPE(n), 3, -1, 1), *r = values(c, d, NN_SHAPE(m, n + 3), 4, -1, 1), *y[5], *sum;
            nn__gemm_work g;
            size_t        bytes = (size_t)(m * n) * nn_dtype_size(d);
            void         *packed;
            int           path;
            for (int i = 0; i < 5; i++) y[i] = nn_full(c, d, NN_SHAPE(m, n), 7);
            if (!fine(c, what)) continue;
            memset(&g, 0, sizeof g);
            g.batches = 1;
            g.g.m = m; g.g.n = n; g.g.k = k;
            g.g.a = nn__data(x); g.g.a_row = k; g.g.a_col = 1;
            g.g.b = nn__data(w); g.g.b_row = across ? 1 : n; g.g.b_col = across ? k : 1;
            g.g.c = nn__data(y[0]); g.g.c_row = n;
            g.g.bias = nn__data(b);
            g.g.act  = nn__kernels_for(c, d)->relu;
            g.g.path = nn__kernels_for(c, d)->gemm_path(&g.g); /* our own kernels, whatever NN_USE_CBLAS says */
            check(nn__gemm_run(c, d, &g), "%s", what);
            path = g.g.path;
            g.g.c = nn__data(y[1]); g.g.residual = nn__data(r); g.g.r_row = n + 3;
            check(nn__gemm_run(c, d, &g), "%s", what);
            sum = nn_contiguous(nn_add(y[0], nn_slice(r, 1, 0, n, 1)));
            check(!memcmp(nn__data(sum), nn__data(y[1]), bytes), "%s: with a residual: other bits than added after it", what);
            g.g.c = nn__data(y[2]);
            g.cut_rows = g.k->gemm_rows; g.cut_columns = g.k->gemm_columns;
            g.pieces_m = nn__ceil_div(m, g.cut_rows); g.pieces_n = nn__ceil_div(n, g.cut_columns);
            nn__gemm_piece(&g, 0, g.pieces_m * g.pieces_n, 0);
            check(!memcmp(nn__data(y[1]), nn__data(y[2]), bytes), "%s: other bits if cut", what);
            packed = malloc(g.k->gemm_packed(k, n) + 1);
            if (!check(packed != NULL, "%s: no memory", what)) continue;
            g.k->gemm_pack(&g.g, packed);
            g.g.b = packed; g.g.b_row = g.k->gemm_columns; g.g.b_col = k;
            g.g.path = NN__GEMM_PACKED_B;
            g.g.c    = nn__data(y[3]);
            check(nn__gemm_run(c, d, &g), "%s", what);
            g.g.c = nn__data(y[4]);
            g.cut_rows = g.k->gemm_rows; g.cut_columns = g.k->gemm_columns;
            g.pieces_m = nn__ceil_div(m, g.cut_rows); g.pieces_n = nn__ceil_div(n, g.cut_columns);
            nn__gemm_piece(&g, 0, g.pieces_m * g.pieces_n, 0);
            check(!memcmp(nn__data(y[3]), nn__data(y[4]), bytes), "%s, packed: other bits if cut", what);
            if (!(path & NN__GEMM_DOT)) check(!memcmp(nn__data(y[1]), nn__data(y[3]), bytes), "%s, packed: other bits", what);
            else {
                arr got = read_arr(y[3]), want = read_arr(y[1]);
                magnitude(&want, (double)(k + 1));
                close_to(&got, &want, d == NN_F64 ? 1e-13 : 20 * u32, what);
            }
            free(packed);
        }
    next_step();
}

/* ---- low precision ---------------------------------------------------------------------------------------- */

static const double half_unit[2] = {1.0 / 2048, 1.0 / 256}; /* half an ulp of f16, bf16 */

/* want: exact; the result may be off by its own rounding, and by the roundings of a sum in f32 */
static void close_to_half(const arr *got, arr *want, int bf16, double roundings, const char *what) {
    for (int64_t i = 0; i < want->n; i++) want->m[i] = want->m[i] * roundings * u32 * 1.01 + fabs(want->v[i]) * half_unit[bf16] * 1.01 + (bf16 ? 1e-38 : 3e-8);
    close_to(got, want, 1, what);
}
static nn_tensor *bytes(nn_ctx *c, nn_shape s, int seed) { /* all of -128 ... 127 */
    return nn_cast(values(c, NN_F64, s, seed, -128.9, 127.9), NN_I8);
}
static const char *extras_of(const nn_ctx *c) { return c->extras & NN__EXTRA_AMX ? "amx" : c->extras & NN__EXTRA_VNNI ? "vnni" : "plain"; }

static void test_low_of(nn_ctx *c, int64_t m, int64_t n, int64_t k) {
    int how = (int)chance(16);
    for (int t = 0; t < 3; t++) { /* f16, bf16, int8 */
        nn_dtype    d = t == 0 ? NN_F16 : t == 1 ? NN_BF16 : NN_I8;
        const char *what = named("%s matmul %lldx%lldx%lld layouts %d,%d %s %s", nn_dtype_name(d), (long long)m, (long long)n, (long long)k, how / 4, how % 4, nn_isa(c), extras_of(c));
        nn_tensor  *x = t == 2 ? bytes(c, NN_SHAPE(m, k), 1) : values(c, d, NN_SHAPE(m, k), 1, -1, 1), *y = t == 2 ? bytes(c, NN_SHAPE(k, n), 2) : values(c, d, NN_SHAPE(k, n), 2, -1, 1), *z;
        arr         in[2], want[1], got;
        double      roundings;
        in[0] = read_arr(x);
        in[1] = read_arr(y);
        ref_matmul(in, 2, NULL, want, &roundings);
        x = layout(c, x, how / 4);
        y = layout(c, y, how % 4);
        z = t == 2 ? nn_matmul_i8(x, y, NULL, NULL) : nn_matmul(x, y);
        if (!fine(c, what)) continue;
        got = read_arr(z);
        check(nn_dtype_of(z) == (t == 2 ? NN_I32 : d), "%s: the result is %s", what, nn_dtype_name(nn_dtype_of(z)));
        if (t < 2) { close_to_half(&got, want, t, roundings, what); continue; }
        close_to(&got, want, 0, what);
        for (int s = 1; s < 4; s++) { /* scales of rows, of columns, of both; strided ones too */
            nn_tensor *xs = s & 1 ? restride(c, values(c, NN_F32, NN_SHAPE(m), 3, 0.1, 1), how & 2) : NULL, *ys = s & 2 ? values(c, NN_F32, NN_SHAPE(n), 4, 0.1, 1) : NULL;
            arr        fx, fy, scaled = make(NN_SHAPE(m, n));
            if (xs) fx = read_arr(xs);
            if (ys) fy = read_arr(ys);
            for (int64_t i = 0; i < scaled.n; i++) {
                scaled.v[i] = want[0].v[i] * (xs ? fx.v[i / n] : 1) * (ys ? fy.v[i % n] : 1);
                scaled.m[i] = fabs(scaled.v[i]);
            }
            got = read_arr(nn_matmul_i8(x, y, xs, ys));
            if (fine(c, what)) close_to(&got, &scaled, 3 * u32, named("%s, scales %d", what, s));
        }
    }
}

/* Conversions: every half, and floats around every half, as the plain functions do it */
static void test_low_conversions(nn_ctx *c) {
    static const uint32_t below[] = {0, 0xfff, 0x1000, 0x1001, 0x7fff, 0x8000, 0x8001, 0xffff};
    for (int h = 0; h < 2; h++) {
        nn_tensor *x = nn_zeros(c, h ? NN_BF16 : NN_F16, NN_SHAPE(65536 + 5)), *f = nn_zeros(c, NN_F32, NN_SHAPE(8 * 65536 + 5)), *y, *g;
        long       wide = 0, narrow = 0;
        for (int64_t i = 0; i < nn_numel(x); i++) ((uint16_t *)nn_ptr(x))[i] = (uint16_t)i;
        for (int64_t i = 0; i < nn_numel(f); i++) {
            uint32_t u = (uint32_t)(i % 65536) << 16 | below[i / 65536 % 8];
            memcpy(nn_f32(f) + i, &u, 4);
        }
        y = nn_cast(x, NN_F32);
        g = nn_cast(f, nn_dtype_of(x));
        if (!fine(c, "casts")) return;
        for (int64_t i = 0; i < nn_numel(x); i++) {
            float w = h ? nn__bf16_to_f32((uint16_t)i) : nn__f16_to_f32((uint16_t)i);
            wide += memcmp(&w, nn_f32(y) + i, 4) != 0;
        }
        for (int64_t i = 0; i < nn_numel(f); i++) {
            float    v = nn_f32(f)[i];
            uint16_t w = h ? nn__f32_to_bf16(v) : nn__f32_to_f16(v);
            narrow += w != ((uint16_t *)nn_ptr(g))[i];
        }
        check(!wide && !narrow, "%s %s: %ld widened and %ld narrowed wrongly", nn_dtype_name(nn_dtype_of(x)), nn_isa(c), wide, narrow);
        nn_reset(c);
    }
}

static void test_low_linear(nn_ctx *c, int64_t m, int64_t n, int64_t k, int act, int bf16) {
    nn_dtype    d = bf16 ? NN_BF16 : NN_F16;
    const char *what = named("%s linear %lldx%lldx%lld activation %d %s %s", nn_dtype_name(d), (long long)m, (long long)n, (long long)k, act, nn_isa(c), extras_of(c));
    nn_tensor  *x = values(c, d, NN_SHAPE(m, k), 1, -1, 1), *w = values(c, d, NN_SHAPE(n, k), 2, -1, 1), *b = values(c, d, NN_SHAPE(n), 3, -1, 1);
    arr         in[3], want[1], got;
    double      roundings;
    in[0] = read_arr(x);
    in[1] = read_arr(w);
    in[2] = read_arr(b);
    ref_linear(in, 3, &act, want, &roundings);
    got = read_arr(nn_linear_act(x, w, b, (nn_act)act));
    if (fine(c, what)) close_to_half(&got, want, bf16, roundings, what);
}

static void test_low(void) {
    static const int64_t size[] = {0, 1, 2, 4, 5, 15, 16, 17, 31, 32, 33, 64, 100};
    static const int     counts[] = {2, 3, 5, 8};
    chance_state = 13;
    for (int j = 0; j < n_sets; j++) {
        nn_ctx *c = sets[j].c;
        int     all = c->extras;
        for (int extras = all; extras >= 0; extras--) { /* with what the machine has, and with less */
            if ((extras & all) != extras) continue;
            c->extras = extras;
            for (int round = 0; round < 60; round++) {
                test_low_of(c, size[chance(13)], size[chance(13)], size[chance(13)]);
                test_low_linear(c, size[chance(13)], size[1 + chance(12)], size[1 + chance(12)], round % 5, round & 1);
                next_step();
            }
            test_low_of(c, 70, 45, 2303); /* several blocks of k; of rows; of columns */
            test_low_of(c, 517, 40, 33);
            test_low_of(c, 20, 1100, 65);
            next_step();
            { /* batches, broadcast; sums at the ends of int32; strides of 0 */
                arr        in[2], want[1], got;
                double     roundings;
                nn_tensor *x = values(c, NN_BF16, NN_SHAPE(2, 1, 17, 37), 1, -1, 1), *y = values(c, NN_BF16, NN_SHAPE(3, 37, 21), 2, -1, 1), *i8;
                in[0] = read_arr(x);
                in[1] = read_arr(y);
                ref_matmul(in, 2, NULL, want, &roundings);
                got = read_arr(nn_matmul(x, y));
                if (fine(c, "bf16 batches")) close_to_half(&got, want, 1, roundings, named("bf16 matmul of batches %s %s", nn_isa(c), extras_of(c)));
                i8 = nn_full(c, NN_I8, NN_SHAPE(1, 1), -128);
                x  = nn_matmul_i8(nn_expand(i8, NN_SHAPE(3, 131071)), nn_expand(i8, NN_SHAPE(131071, 2)), NULL, NULL);
                if (fine(c, "long int8")) check(nn_get(x, NN_SHAPE(2, 1)) == 131071.0 * 16384, "131071 products of -128 and -128: %.0f %s %s", nn_get(x, NN_SHAPE(2, 1)), nn_isa(c), extras_of(c));
                next_step();
            }
        }
        c->extras = all;
        test_low_conversions(c);
        for (int t = 0; t < 4 && j == n_sets - 1; t++) { /* the same bits for any number of threads */
            nn_ctx    *many = begin(sets[j].name, counts[t]);
            nn_tensor *a[5], *b[5]; /* 3 and 4: a last piece whose blocks are larger than the others' */
            for (int w = 0; w < 2; w++) {
                nn_ctx *at = w ? many : c;
                (w ? b : a)[0] = nn_matmul(values(at, NN_BF16, NN_SHAPE(301, 700), 1, -1, 1), values(at, NN_BF16, NN_SHAPE(700, 517), 2, -1, 1));
                (w ? b : a)[1] = nn_linear_act(values(at, NN_F16, NN_SHAPE(700, 100), 1, -1, 1), values(at, NN_F16, NN_SHAPE(77, 100), 2, -1, 1), values(at, NN_F16, NN_SHAPE(77), 3, -1, 1), NN_ACT_TANH);
                (w ? b : a)[2] = nn_matmul_i8(bytes(at, NN_SHAPE(1000, 700), 1), nn_transpose(bytes(at, NN_SHAPE(517, 700), 2), 0, 1), NULL, values(at, NN_F32, NN_SHAPE(517), 3, 0, 1));
                (w ? b : a)[3] = nn_matmul_i8(bytes(at, NN_SHAPE(32, 4096), 1), bytes(at, NN_SHAPE(4096, 1056), 2), NULL, NULL);
                (w ? b : a)[4] = nn_matmul(values(at, NN_BF16, NN_SHAPE(544, 2048), 1, -1, 1), values(at, NN_BF16, NN_SHAPE(2048, 96), 2, -1, 1));
            }
            for (int i = 0; i < 5 && fine(c, "low precision") && fine(many, "low precision on threads"); i++)
                check(!memcmp(bytes_of(a[i]), bytes_of(b[i]), (size_t)nn_numel(a[i]) * nn_dtype_size(nn_dtype_of(a[i]))), "product %d in low precision: other bits on %d threads", i, counts[t]);
            nn_end(many);
            next_step();
        }
    }
}

/* Rows of every length, 1 to 70 and some long ones: the kernels' tails */
static void test_rows(void) {
    for (int j = 0; j < n_sets; j++) {
        nn_ctx *c = sets[j].c;
        for (int64_t n = 1; n < 1500; n += n < 40 ? 1 : n / 3) {
            nn_shape   s = NN_SHAPE(3, n);
            double     roundings, eps = 1e-5;
            arr        in[3], want[3], got;
            nn_tensor *x = values(c, NN_F32, s, 1, -3, 5), *w = values(c, NN_F32, NN_SHAPE(n), 2, 0.5, 1.5), *b = values(c, NN_F32, NN_SHAPE(n), 3, -1, 1), *y = classes(c, NN_I32, NN_SHAPE(3), n);
            in[0] = read_arr(x);
            softmaxes(in, want, &roundings, 0);
            got = read_arr(nn_softmax(x, -1));
            close_to(&got, want, u32 * roundings, named("softmax of rows of %d %s", (int)n, nn_isa(c)));
            softmaxes(in, want, &roundings, 1);
            got = read_arr(nn_log_softmax(x, -1));
            close_to(&got, want, u32 * roundings, named("log_softmax of rows of %d %s", (int)n, nn_isa(c)));
            in[1] = read_arr(w);
            in[2] = read_arr(b);
            ref_layernorm(in, 3, &eps, want, &roundings);
            got = read_arr(nn_layernorm(x, w, b, eps));
            close_to(&got, want, u32 * roundings, named("layernorm of rows of %d %s", (int)n, nn_isa(c)));
            in[1] = read_arr(y);
            ref_cross_entropy(in, 2, NULL, want, &roundings);
            got = read_arr(nn_cross_entropy(x, y));
            close_to(&got, want, u32 * roundings, named("cross_entropy of rows of %d %s", (int)n, nn_isa(c)));
            fine(c, "rows");
            next_step();
        }
        { /* large values, infinities */
            static const float   wild[4][5] = {{1e30f, -1e30f, 0, 3e38f, 3e38f}, {-3e38f, -3e38f, -3e38f, -3e38f, -3e38f}, {-INFINITY, 0, 1, -INFINITY, 1}, {100, 200, 300, 200, 100}};
            static const double  soft[4][5] = {{0, 0, 0, 0.5, 0.5}, {0.2, 0.2, 0.2, 0.2, 0.2}, {0, 0.155362403, 0.4223187982, 0, 0.4223187982}, {0, 3.720075976e-44, 1, 3.720075976e-44, 0}};
            nn_tensor *x = nn_from(c, wild, NN_F32, NN_SHAPE(4, 5)), *y = nn_softmax(x, -1), *l = nn_log_softmax(x, -1), *e;
            for (int r = 0; r < 4; r++)
                for (int i = 0; i < 5; i++) {
                    double v = nn_get(y, NN_SHAPE(r, i)), w = nn_get(l, NN_SHAPE(r, i));
                    check(fabs(v - soft[r][i]) < 1e-6, "softmax of extremes [%d,%d] is %g, not %g %s", r, i, v, soft[r][i], nn_isa(c));
                    check(w <= 0 && w == w, "log_softmax of extremes [%d,%d] is %g %s", r, i, w, nn_isa(c));
                }
            e = nn_cross_entropy(nn_from(c, wild[3], NN_F32, NN_SHAPE(1, 5)), classes(c, NN_I32, NN_SHAPE(1), 5));
            check(fabs(nn_item(e) - 100) < 1e-4, "cross_entropy of logits 100 apart is %g", nn_item(e));
            fine(c, "extremes");
            next_step();
        }
    }
}

/* Norms over channels beside their definition: sizes round the kernels' blocks, both layouts, and values far from 0 */
static void test_channels(void) {
    static const nn_shape shapes[9] = {{4, {3, 5, 7, 7, 0, 0}}, {4, {2, 3, 1, 2, 0, 0}}, {3, {2, 4, 4999, 0, 0, 0}}, {4, {3, 70, 19, 20, 0, 0}}, {2, {1100, 33, 0, 0, 0, 0}}, {5, {2, 16, 3, 4, 5, 0}}, {3, {600, 3, 2, 0, 0, 0}}, {2, {40, 12, 0, 0, 0, 0}}, {4, {40, 64, 21, 21, 0, 0}}};
    for (int j = 0; j < n_sets; j++)
        for (int i = 0; i < 9; i++)
            for (int kind = i < 8 ? 0 : j < n_sets - 1 ? 12 : 9; kind < 12; kind += i < 8 ? 1 : 12) { /* bits: last, far; then batch, one group, a group a channel */
                nn_ctx       *c = sets[j].c;
                nn__norm_attr a;
                nn_shape      s = shapes[i];
                int64_t       channels = s.dim[1];
                int           last = kind & 1, far = kind >> 1 & 1, groups = kind >> 2 == 0 ? 0 : kind >> 2 == 1 ? 1 : (int)channels;
                nn_tensor    *x, *w = values(c, NN_F32, NN_SHAPE(channels), 2, 0.5, 1.5), *b = values(c, NN_F32, NN_SHAPE(channels), 3, -1, 1), *y;
                const char   *what = named("norm of %s, groups %d, layout %d%s %s", shape_text(s), groups, last, far ? ", far from 0" : "", nn_isa(c));
                arr           in[3], want[3], got;
                double        roundings;
                x = values(c, NN_F32, s, 1, far ? 1e4 - 1.7 : -1.7, far ? 1e4 + 1.7 : 1.7);
                memset(&a, 0, sizeof a);
                a.eps = 1e-3; a.groups = groups;
                in[0] = read_arr(x); in[1] = read_arr(w); in[2] = read_arr(b);
                ref_norm(in, 3, &a, want, &roundings);
                y = norm_of(last && s.ndim > 2 ? nn_channels_last(x) : x, groups, w, b, NULL, NULL);
                got = read_arr(y);
                magnitude(&want[0], 0);
                close_to(&got, &want[0], !far ? 2e-6 : s.ndim == 2 && groups ? 1e-3 : 2e-5, what); /* layernorm, which takes groups of single values, rounds the mean */
                check(s.ndim == 2 || nn_is_channels_last(y) == nn_is_channels_last(last ? nn_channels_last(x) : x), "%s: another layout", what);
                fine(c, what);
                next_step();
            }
}
/* Stored past the caches or not: equal bits, from any address */
static void test_channel_stores(void) {
    for (int j = 0; j < n_sets; j++) {
        const nn__kernel_set *k = sets[j].c->kernels->f32;
        nn_tensor *t[4];
        float     *x, *g, *y, *z;
        double     h[4] = {0.5, 1.25, -0.75, 2};
        for (int i = 0; i < 4; i++) t[i] = values(sets[j].c, NN_F32, NN_SHAPE(1000), i, -1, 1);
        x = nn_f32(t[0]); g = nn_f32(t[1]); y = nn_f32(t[2]); z = nn_f32(t[3]);
        for (int i = 0; i < 40; i++) {
            int64_t n = i * 3 + 1, first = i % 5, last = i % 3 ? 16 : n % 40 + 1;
            k->channel_apply(i % 2 ? g : NULL, x, y + first, h, 3, n + 1, n, 0);
            k->channel_apply(i % 2 ? g : NULL, x, z + first, h, 3, n + 1, n, 1);
            for (int64_t m = 0; m < 3; m++) check(!memcmp(y + first + m * (n + 1), z + first + m * (n + 1), (size_t)n * sizeof *y), "channel_apply of %d values differs when it streams %s", (int)n, sets[j].name);
            k->column_apply(i % 2 ? g : NULL, x, y + 16 * first, x + 1, x + 2, x + 3, x + 4, 5, last, 0);
            k->column_apply(i % 2 ? g : NULL, x, z + 16 * first, x + 1, x + 2, x + 3, x + 4, 5, last, 1);
            check(!memcmp(y + 16 * first, z + 16 * first, (size_t)(5 * last) * sizeof *y), "column_apply of %d channels differs when it streams %s", (int)last, sets[j].name);
        }
        next_step();
    }
}

static void test_one_hot(void) {
    static const nn_dtype ints[3] = {NN_I32, NN_I64, NN_U8}, reals[4] = {NN_F32, NN_F64, NN_F16, NN_BF16};
    nn_ctx *c = sets[0].c;
    for (int i = 0; i < 3; i++)
        for (int r = 0; r < 4; r++)
            for (int v = 0; v < VARIANTS; v++) {
                nn_tensor *x = restride(c, classes(c, ints[i], NN_SHAPE(3, 4), 6), v), *y = nn_one_hot(x, 6, reals[r]);
                arr        a = read_arr(x), b = read_arr(y);
                int        ok = y && nn_dtype_of(y) == reals[r] && same_shape(b.s, NN_SHAPE(3, 4, 6));
                for (int64_t e = 0; ok && e < b.n; e++) ok = b.v[e] == (a.v[e / 6] == (double)(e % 6));
                check(ok, "one_hot of %s as %s strides %d", nn_dtype_name(ints[i]), nn_dtype_name(reals[r]), v);
            }
    fine(c, "one_hot");
    check(nn_numel(nn_one_hot(nn_zeros(c, NN_I32, NN_SHAPE(0, 2)), 3, NN_F32)) == 0, "one_hot of nothing");
    fine(c, "one_hot of nothing");
    nn_one_hot(nn_full(c, NN_I32, NN_SHAPE(7), 6), 6, NN_F32);
    expect(c, NN_ERR_RANGE, "one_hot of a class outside");
    next_step();
}

/* Masks: every type, through all strides, broadcast; NaN, infinities, -0; numbers that a double cannot tell apart */
static void test_masks(void) {
    static const nn_dtype types[8] = {NN_F32, NN_F64, NN_F16, NN_BF16, NN_I8, NN_U8, NN_I32, NN_I64};
    static const struct { const char *name; double (*exact)(double, double); nn_tensor *(*f)(nn_tensor *, nn_tensor *); } f[9] = {
        {"equal", h_equal, nn_equal}, {"not_equal", h_not_equal, nn_not_equal}, {"less", h_less, nn_less}, {"less_equal", h_less_equal, nn_less_equal}, {"greater", h_greater, nn_greater},
        {"greater_equal", h_greater_equal, nn_greater_equal}, {"and", h_and, nn_and}, {"or", h_or, nn_or}, {"xor", h_xor, nn_xor}};
    static const nn_shape shapes[][2] = {{{2, {3, 7, 0, 0, 0, 0}}, {2, {3, 7, 0, 0, 0, 0}}}, {{2, {3, 1, 0, 0, 0, 0}}, {1, {7, 0, 0, 0, 0, 0}}}, {{0, {0, 0, 0, 0, 0, 0}}, {3, {2, 1, 5, 0, 0, 0}}},
                                         {{0, {0, 0, 0, 0, 0, 0}}, {0, {0, 0, 0, 0, 0, 0}}}, {{2, {0, 3, 0, 0, 0, 0}}, {1, {1, 0, 0, 0, 0, 0}}},     {{1, {101, 0, 0, 0, 0, 0}}, {1, {101, 0, 0, 0, 0, 0}}}};
    for (int j = 0; j < n_sets; j++) {
        nn_ctx *c = sets[j].c;
        for (int t = 0; t < 8; t++)
            for (size_t k = 0; k < sizeof shapes / sizeof *shapes; k++)
                for (int v = 0; v < VARIANTS; v++) {
                    nn_tensor *x = restride(c, classes(c, types[t], shapes[k][0], 4), v), *y = restride(c, classes(c, types[t], shapes[k][1], 3), (v + 2) % VARIANTS), *z;
                    nn_tensor *mask = restride(c, classes(c, NN_U8, shapes[k][v % 2], 2), v);
                    arr        ax = read_arr(x), ay = read_arr(y), am = read_arr(mask), got, want;
                    for (int i = 0; i < (types[t] == NN_U8 ? 9 : 6); i++) {
                        const char *what = named("%s of %s %s strides %d %s", f[i].name, nn_dtype_name(types[t]), shape_text(shapes[k][0]), v, nn_isa(c));
                        z    = f[i].f(x, y);
                        got  = read_arr(z);
                        want = of_two(f[i].exact, &ax, &ay);
                        if (fine(c, what)) check(nn_dtype_of(z) == NN_U8, "%s: the result is %s", what, nn_dtype_name(nn_dtype_of(z)));
                        close_to(&got, &want, 0, what);
                    }
                    z    = nn_where(mask, x, y);
                    got  = read_arr(z);
                    want = where(&am, &ax, &ay);
                    fine(c, "where");
                    check(nn_dtype_of(z) == types[t], "where of %s gives %s", nn_dtype_name(types[t]), nn_dtype_name(nn_dtype_of(z)));
                    close_to(&got, &want, 0, named("where of %s %s strides %d %s", nn_dtype_name(types[t]), shape_text(shapes[k][0]), v, nn_isa(c)));
                    if (types[t] == NN_U8) {
                        got  = read_arr(nn_not(x));
                        want = of_two(h_equal, &ax, &ax);
                        for (int64_t i = 0; i < want.n; i++) want.v[i] = ax.v[i] == 0;
                        close_to(&got, &want, 0, "not");
                    }
                    next_step();
                }
        for (int t = 0; t < 4; t++) { /* all pairs of special values */
            static const double special[8] = {NAN, INFINITY, -INFINITY, 0, -0.0, 1, -1, 2};
            nn_tensor *x = nn_cast(nn_from(c, special, NN_F64, NN_SHAPE(8, 1)), types[t]), *y = nn_reshape(x, NN_SHAPE(8));
            arr        ax = read_arr(x), ay = read_arr(y), got, want;
            for (int i = 0; i < 6; i++) {
                got  = read_arr(f[i].f(x, y));
                want = of_two(f[i].exact, &ax, &ay);
                close_to(&got, &want, 0, named("%s of special %s", f[i].name, nn_dtype_name(types[t])));
            }
            got  = read_arr(nn_is_finite(y));
            want = make(NN_SHAPE(8));
            for (int i = 0; i < 8; i++) want.v[i] = ay.v[i] - ay.v[i] == 0;
            close_to(&got, &want, 0, named("is_finite of special %s", nn_dtype_name(types[t])));
            got = read_arr(nn_is_finite(classes(c, NN_I32, NN_SHAPE(8), 3)));
            for (int i = 0; i < 8; i++) want.v[i] = 1;
            close_to(&got, &want, 0, "is_finite of i32");
            fine(c, "special masks");
            next_step();
        }
        {
            static const int64_t a[4] = {9007199254740993, -9007199254740993, INT64_MAX, INT64_MIN}, b[4] = {9007199254740992, -9007199254740992, INT64_MAX - 1, INT64_MIN + 1};
            nn_tensor *x = nn_from(c, a, NN_I64, NN_SHAPE(4)), *y = nn_from(c, b, NN_I64, NN_SHAPE(4));
            arr        less = read_arr(nn_less(x, y)), same = read_arr(nn_equal(x, y));
            check(less.v[0] == 0 && less.v[1] == 1 && less.v[2] == 0 && less.v[3] == 1, "less of large i64 %s", nn_isa(c));
            check(same.v[0] + same.v[1] + same.v[2] + same.v[3] == 0, "equal of large i64 %s", nn_isa(c));
            fine(c, "large i64");
            next_step();
        }
    }
}

static const char *text_of(const char *text) { /* lives as long as the arrays */
    char *copy = (char *)room(strlen(text));
    memcpy(copy, text, strlen(text));
    return copy;
}

/* Sorting, the largest, counting and recurrences along every axis of every type, through all strides; ties, NaN, infinities */
static nn_tensor *few_values(nn_ctx *c, nn_dtype d, nn_shape s, int wild) { /* many ties; wild: NaN, infinities and -0 among them */
    static const double special[6] = {NAN, INFINITY, -INFINITY, -0.0, 0, NAN};
    int64_t    n = count(s);
    double    *v = (double *)room((size_t)n * sizeof *v);
    for (int64_t i = 0; i < n; i++) v[i] = wild && chance(4) == 0 ? special[chance(6)] : (double)((int)chance(9) - (d == NN_U8 ? 0 : 4));
    return nn_cast(nn_from(c, v, NN_F64, s), d);
}
static void test_along(void) {
    static const nn_dtype types[8] = {NN_F32, NN_F64, NN_F16, NN_BF16, NN_I8, NN_U8, NN_I32, NN_I64};
    static const nn_shape shapes[] = {{3, {3, 7, 5, 0, 0, 0}}, {1, {131, 0, 0, 0, 0, 0}}, {2, {1, 33, 0, 0, 0, 0}}, {4, {2, 3, 1, 4, 0, 0}}, {2, {0, 3, 0, 0, 0, 0}}, {2, {4, 16, 0, 0, 0, 0}}};
    chance_state = 23;
    for (int j = 0; j < n_sets; j++)
        for (size_t k = 0; k < sizeof shapes / sizeof *shapes; k++)
            for (int t = 0; t < 8; t++)
                for (int axis = 0; axis < shapes[k].ndim; axis++)
                    for (int v = 0; v < VARIANTS; v++) {
                        nn_ctx     *c = sets[j].c;
                        int         wild = t < 4 && v % 2, down = (axis + v) % 2, keep = v % 3 == 0, gone[NN_MAX_DIMS] = {0, 0, 0, 0, 0, 0}, at = v % 2 ? axis : axis - shapes[k].ndim;
                        int64_t     n = shapes[k].dim[axis], most = n < 3 ? n : 3;
                        const char *what = text_of(named("%s %s axis %d strides %d %s", nn_dtype_name(types[t]), shape_text(shapes[k]), axis, v, nn_isa(c)));
                        nn_tensor  *x = restride(c, few_values(c, types[t], shapes[k], wild), v), *y, *index = NULL;
                        arr         ax = read_arr(x), got, want[2];
                        lines       l = lines_of(ax.s, axis);
                        sorted(&ax, axis, down, &want[0], &want[1]);
                        y   = nn_sort(x, at, down, &index);
                        got = read_arr(y);
                        fine(c, what);
                        close_to(&got, &want[0], 0, named("sort of %s", what));
                        got = read_arr(index);
                        close_to(&got, &want[1], 0, named("index of sort of %s", what));
                        check(nn_dtype_of(y) == types[t] && nn_dtype_of(index) == NN_I64, "types of sort of %s", what);
                        got = read_arr(nn_argsort(x, at, down));
                        close_to(&got, &want[1], 0, named("argsort of %s", what));
                        sorted(&ax, axis, 1, &want[0], &want[1]);
                        got = read_arr(nn_topk(x, at, most, &index));
                        for (int i = 0; i < 2; i++) { /* cut the reference */
                            nn_shape s = ax.s;
                            arr      cut;
                            s.dim[axis] = most;
                            cut = make(s);
                            for (int64_t r = 0; r < l.outer * l.inner; r++)
                                for (int64_t e = 0; e < most; e++) cut.v[(r / l.inner * most + e) * l.inner + r % l.inner] = want[i].v[at_line(l, r, e)];
                            if (i) got = read_arr(index);
                            close_to(&got, &cut, 0, named("topk %d of %s", i, what));
                        }
                        if (n) {
                            for (int least = 0; least < 2; least++) {
                                want[0] = largest_at(&ax, axis, keep, least);
                                got     = read_arr(least ? nn_argmin(x, at, keep) : nn_argmax(x, at, keep));
                                close_to(&got, &want[0], 0, named("%s of %s", least ? "argmin" : "argmax", what));
                            }
                        } else {
                            nn_argmax(x, at, keep);
                            expect(c, NN_ERR_SHAPE, "argmax of nothing");
                        }
                        for (int mask = 1; mask < 1 << shapes[k].ndim; mask += mask + 1 + axis) { /* some sets of axes with this one */
                            nn_shape axes = NN_ALL;
                            int64_t  group = 1;
                            for (int d = 0; d < shapes[k].ndim; d++) {
                                gone[d] = mask >> d & 1 || d == axis;
                                if (gone[d]) { axes.dim[axes.ndim++] = d; group *= shapes[k].dim[d]; }
                            }
                            want[0] = counted(&ax, gone, keep);
                            y       = nn_count_nonzero(x, axes, keep);
                            got     = read_arr(y);
                            close_to(&got, &want[0], 0, named("count_nonzero of %s", what));
                            check(nn_dtype_of(y) == NN_I64, "count_nonzero of %s: its type", what);
                            got     = read_arr(nn_any(x, axes, keep));
                            want[1] = make(want[0].s);
                            for (int64_t i = 0; i < got.n; i++) want[1].v[i] = want[0].v[i] > 0;
                            close_to(&got, &want[1], 0, named("any of %s", what));
                            got = read_arr(nn_all(x, axes, keep));
                            for (int64_t i = 0; i < got.n; i++) want[1].v[i] = want[0].v[i] == (double)group;
                            close_to(&got, &want[1], 0, named("all of %s", what));
                        }
                        if (t < 2) {
                            nn_tensor *a = restride(c, values(c, types[t], shapes[k], 1, -1.2, 1.3), v), *b = restride(c, values(c, types[t], shapes[k], 2, -1, 2), (v + 1) % VARIANTS);
                            arr        in[3];
                            double     unit = t ? 1e-13 : u32;
                            in[0] = read_arr(a);
                            in[1] = read_arr(b);
                            in[2] = make(in[0].s);
                            for (int64_t i = 0; i < in[2].n; i++) in[2].v[i] = 1;
                            want[0] = recur(&in[0], &in[1], axis);
                            got     = read_arr(nn_recur(a, b, at));
                            close_to(&got, &want[0], unit * (2 * (double)n + 1), named("recur of %s", what));
                            want[0] = recur(&in[2], &in[1], axis);
                            got     = read_arr(nn_cumsum(b, at));
                            close_to(&got, &want[0], unit * 2, named("cumsum of %s", what));
                            want[0] = make(in[0].s);
                            for (int64_t r = 0; r < l.outer * l.inner; r++)
                                for (int64_t e = 0; e < n; e++) {
                                    want[0].v[at_line(l, r, e)] = in[0].v[at_line(l, r, e)] * (e ? want[0].v[at_line(l, r, e - 1)] : 1);
                                    want[0].m[at_line(l, r, e)] = fabs(want[0].v[at_line(l, r, e)]);
                                }
                            got = read_arr(nn_cumprod(a, at));
                            close_to(&got, &want[0], unit * (double)(n + 1), named("cumprod of %s", what));
                        }
                        fine(c, what);
                        next_step();
                    }
    for (int j = 0; j < n_sets; j++) { /* 0-d; broadcast; i64 beyond what a double holds */
        static const int64_t large[4] = {9007199254740992, 9007199254740993, -9007199254740993, -9007199254740992};
        nn_ctx    *c = sets[j].c;
        nn_tensor *x = nn_full(c, NN_F32, NN_SCALAR, 3), *index = NULL, *y, *i64 = nn_from(c, large, NN_I64, NN_SHAPE(4));
        arr        a, b, got, want;
        check(nn_item(nn_sort(x, 0, 1, &index)) == 3 && nn_item(index) == 0 && nn_item(nn_argmax(x, -1, 0)) == 0 && nn_item(nn_cumsum(x, 0)) == 3 && nn_item(nn_cumprod(x, 0)) == 3, "0-d along its axis %s", nn_isa(c));
        check(nn_item(nn_count_nonzero(x, NN_ALL, 0)) == 1 && nn_item(nn_all(x, NN_ALL, 1)) == 1 && nn_item(nn_recur(x, nn_full(c, NN_F32, NN_SCALAR, 5), 0)) == 5, "0-d counted %s", nn_isa(c));
        fine(c, "0-d along its axis");
        y = nn_recur(nn_full(c, NN_F32, NN_SCALAR, 0.5), values(c, NN_F32, NN_SHAPE(3, 40), 1, 0, 1), 1);
        a = read_arr(nn_full(c, NN_F64, NN_SHAPE(3, 40), 0.5));
        b = read_arr(values(c, NN_F32, NN_SHAPE(3, 40), 1, 0, 1));
        want = recur(&a, &b, 1);
        got  = read_arr(y);
        close_to(&got, &want, 4 * u32, "recur with one factor");
        fine(c, "recur");
        got = read_arr(nn_argsort(i64, 0, 0));
        check(got.v[0] == 2 && got.v[1] == 3 && got.v[2] == 0 && got.v[3] == 1, "argsort of large i64 %s: %g %g %g %g", nn_isa(c), got.v[0], got.v[1], got.v[2], got.v[3]);
        check(nn_item(nn_argmax(i64, 0, 0)) == 1 && nn_item(nn_argmin(i64, 0, 0)) == 2, "argmax, argmin of large i64 %s: %g, %g", nn_isa(c), nn_item(nn_argmax(i64, 0, 0)), nn_item(nn_argmin(i64, 0, 0)));
        fine(c, "large i64");
        next_step();
    }
}

/* Rows by number and back, and scattering: every axis, every type, indices of all kinds that meet each other; what lies outside */
static void test_index(void) {
    static const nn_dtype types[8] = {NN_F32, NN_F64, NN_F16, NN_BF16, NN_I8, NN_U8, NN_I32, NN_I64}, kinds[3] = {NN_I32, NN_I64, NN_U8};
    static const nn_shape shapes[] = {{3, {3, 7, 5, 0, 0, 0}}, {1, {31, 0, 0, 0, 0, 0}}, {2, {2, 33, 0, 0, 0, 0}}, {4, {2, 3, 1, 4, 0, 0}}};
    for (int j = 0; j < n_sets; j++) {
        nn_ctx *c = sets[j].c;
        for (size_t k = 0; k < sizeof shapes / sizeof *shapes; k++)
            for (int t = 0; t < 8; t++)
                for (int axis = 0; axis < shapes[k].ndim; axis++)
                    for (int v = 0; v < VARIANTS; v++) {
                        int64_t     n = shapes[k].dim[axis], many = v == 4 ? 0 : 2 * n - 1;
                        const char *what = text_of(named("%s %s axis %d strides %d %s", nn_dtype_name(types[t]), shape_text(shapes[k]), axis, v, nn_isa(c)));
                        nn_shape    ks = shapes[k];
                        nn_tensor  *x = restride(c, classes(c, types[t], shapes[k], 100), v), *from;
                        nn_tensor  *index = restride(c, classes(c, kinds[v % 3], NN_SHAPE(many), n), v), *table = restride(c, classes(c, kinds[t % 3], NN_SHAPE(2, 3), n), v), *at;
                        arr         ax = read_arr(x), ai = read_arr(index), at2 = read_arr(table), got, want, afrom;
                        int         a = v % 2 ? axis : axis - shapes[k].ndim;
                        nn_tensor  *y = nn_index_select(x, a, index);
                        want = index_select(&ax, &ai, axis);
                        got  = read_arr(y);
                        close_to(&got, &want, 0, named("index_select of %s", what));
                        check(nn_dtype_of(y) == types[t], "index_select of %s: its type", what);
                        want = index_select(&ax, &at2, axis);
                        got  = read_arr(nn_index_select(x, a, table));
                        close_to(&got, &want, 0, named("index_select by a table of %s", what));
                        ks.dim[axis] = many;
                        at    = restride(c, classes(c, kinds[v % 3], ks, n), v);
                        from  = restride(c, nn_cast(nn_affine(classes(c, NN_F64, ks, 50), 1, 2), types[t]), (v + 3) % VARIANTS);
                        ai    = read_arr(at);
                        afrom = read_arr(from);
                        want  = scatter(&ax, &ai, &afrom, axis);
                        got   = read_arr(nn_scatter(x, a, at, from));
                        close_to(&got, &want, 0, named("scatter of %s", what));
                        if (t < 2) {
                            nn_tensor *i = restride(c, classes(c, kinds[v % 3], NN_SHAPE(n), 5), v);
                            x    = restride(c, values(c, types[t], shapes[k], 3, -1, 2), v);
                            ax   = read_arr(x);
                            ai   = read_arr(i);
                            want = index_add(&ax, &ai, axis, 6);
                            got  = read_arr(nn_index_add(x, a, i, 6));
                            close_to(&got, &want, t ? 1e-13 : u32 * (double)n, named("index_add of %s", what));
                        }
                        fine(c, what);
                        next_step();
                    }
        {
            static const int32_t outside[2][3] = {{0, 3, 1}, {0, -1, 1}};
            nn_tensor *x = values(c, NN_F32, NN_SHAPE(3, 4), 1, 0, 1), *one = nn_full(c, NN_I64, NN_SCALAR, 2);
            check(nn_ndim(nn_index_select(x, 0, one)) == 1 && nn_get(nn_index_select(x, 0, one), NN_SHAPE(1)) == nn_get(x, NN_SHAPE(2, 1)), "index_select by a number %s", nn_isa(c));
            fine(c, "index_select by a number");
            for (int i = 0; i < 2; i++) {
                nn_tensor *bad = nn_from(c, outside[i], NN_I32, NN_SHAPE(3));
                nn_index_select(x, 0, bad);
                expect(c, NN_ERR_RANGE, "index_select outside");
                nn_index_add(x, 0, bad, 3);
                expect(c, NN_ERR_RANGE, "index_add outside");
                nn_scatter(x, 0, nn_expand(nn_unsqueeze(bad, 1), NN_SHAPE(3, 4)), x);
                expect(c, NN_ERR_RANGE, "scatter outside");
            }
            next_step();
        }
    }
}

/* Small matrices: all sizes, batches, strides; against the references and by multiplying back */
static nn_tensor *random_values(nn_ctx *c, nn_dtype d, nn_shape s) { /* `values` come evenly spaced: their matrices are nearly singular */
    int64_t n = count(s);
    double *v = (double *)room((size_t)n * sizeof *v);
    for (int64_t i = 0; i < n; i++) v[i] = (float)((double)chance(1u << 30) / (1 << 29) - 1);
    return nn_cast(nn_from(c, v, NN_F64, s), d);
}
static void matrix_check(nn_tensor *got, const arr *in, int kind, const nn__solve *how, int f64, const char *what) {
    arr a, want;
    ref_matrices(in, kind, how, &want);
    a = read_arr(got);
    close_to(&a, &want, f64 ? 1e-12 : 2 * u32, what);
}
static void test_matrices(void) {
    static const int64_t sizes[] = {0, 1, 2, 3, 5, 8, 17, 40};
    chance_state = 29;
    for (int j = 0; j < n_sets; j++)
        for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++)
            for (int how = 0; how < 12; how++) {
                nn_ctx     *c = sets[j].c;
                nn_dtype    d = how & 1 ? NN_F64 : NN_F32;
                int64_t     n = sizes[k], m = how % 3 == 0 ? 1 : how % 3 == 1 ? 7 : 0;
                int         v = how % VARIANTS;
                nn_shape    s = how & 2 ? NN_SHAPE(2, 3, n, n) : NN_SHAPE(n, n), bs = how & 2 ? NN_SHAPE(2, 3, n, m) : NN_SHAPE(n, m);
                const char *what = text_of(named("%s %s strides %d %s", nn_dtype_name(d), shape_text(s), v, nn_isa(c)));
                nn_tensor  *x = restride(c, nn_add(values(c, d, s, 1, -1, 1), nn_scale(nn_eye(c, d, n), 0.25 * (double)(n * n) + 1)), v), *b = restride(c, values(c, d, bs, 2, -1, 1), (v + 1) % VARIANTS);
                nn_tensor  *mixed = restride(c, random_values(c, d, s), v), *z;
                arr         in[2], got, want;
                nn__solve   solve;
                in[0] = read_arr(x);
                in[1] = read_arr(b);
                matrix_check(nn_cholesky(x), in, 'c', NULL, how & 1, named("cholesky of %s", what));
                for (int kind = 0; kind < 4; kind++) {
                    solve.upper = kind & 1;
                    solve.transposed = kind >> 1;
                    matrix_check(nn_triangular_solve(x, b, kind & 1, kind >> 1), in, 's', &solve, how & 1, named("triangular_solve %d of %s", kind, what));
                }
                matrix_check(nn_inverse(x), in, 'i', NULL, how & 1, named("inverse of %s", what));
                z = nn_matmul(nn_inverse(nn_cast(mixed, NN_F64)), nn_cast(mixed, NN_F64)); /* without a strong diagonal: pivots are needed */
                got  = read_arr(z);
                want = read_arr(nn_add(nn_zeros(c, NN_F64, s), nn_eye(c, NN_F64, n)));
                magnitude(&want, 1);
                close_to(&got, &want, 1e-9, named("inverse times matrix %s", what));
                in[0] = read_arr(mixed);
                matrix_check(nn_det(mixed), in, 'd', NULL, how & 1, named("det of %s", what));
                fine(c, what);
                next_step();
            }
    for (int j = 0; j < n_sets; j++) {
        static const double singular[9] = {1, 2, 3, 2, 4, 6, 1, 0, 1}, swap[9] = {0, 1, 0, 0, 0, 1, 1, 0, 0}, negative[4] = {1, 2, 2, 1};
        nn_ctx    *c = sets[j].c;
        nn_tensor *x = nn_from(c, singular, NN_F64, NN_SHAPE(3, 3)), *l = nn_from(c, swap, NN_F64, NN_SHAPE(3, 3)), *tiny = nn_scale(nn_eye(c, NN_F64, 30), 1e-15);
        check(nn_item(nn_det(x)) == 0 && nn_item(nn_det(l)) == 1, "det of singular and permuting matrices: %g, %g", nn_item(nn_det(x)), nn_item(nn_det(l)));
        fine(c, "det");
        check(nn_get(nn_inverse(tiny), NN_SHAPE(7, 7)) == 1 / 1e-15, "inverse of 1e-15 times the identity: %g %s", nn_get(nn_inverse(tiny), NN_SHAPE(7, 7)), nn_error_text(c)); /* its determinant is too small for a double */
        nn_error_clear(c);
        check(nn_get(nn_inverse(nn_scale(tiny, 1e30)), NN_SHAPE(7, 7)) == 1 / (1e-15 * 1e30), "inverse of 1e15 times the identity: %s", nn_error_text(c));
        nn_error_clear(c);
        check(nn_inverse(x) == NULL, "inverse of a singular matrix");
        check(nn_error(c) != NN_OK, "inverse of a singular matrix: no error");
        nn_error_clear(c);
        check(nn_cholesky(nn_from(c, negative, NN_F64, NN_SHAPE(2, 2))) == NULL && nn_error(c) != NN_OK, "cholesky of an indefinite matrix");
        nn_error_clear(c);
        check(nn_triangular_solve(l, x, 0, 0) == NULL && nn_error(c) != NN_OK, "triangular_solve with a 0 on the diagonal");
        nn_error_clear(c);
        { /* one factor for many right sides, and the reverse */
            nn_tensor *one = nn_add(values(c, NN_F32, NN_SHAPE(4, 4), 1, -1, 1), nn_scale(nn_eye(c, NN_F32, 4), 3)), *many = values(c, NN_F32, NN_SHAPE(5, 4, 2), 2, -1, 1);
            arr        in[2];
            nn__solve  solve;
            solve.upper = 1;
            solve.transposed = 0;
            in[0] = read_arr(nn_expand(one, NN_SHAPE(5, 4, 4)));
            in[1] = read_arr(many);
            matrix_check(nn_triangular_solve(one, many, 1, 0), in, 's', &solve, 0, "triangular_solve of a batch with one matrix");
            fine(c, "triangular_solve of a batch");
        }
        next_step();
    }
}

/* Nothing, in every op that can take it; and its gradients */
static nn_tensor *e_unary(nn_ctx *c, nn_tensor **x, void *u) { (void)c; (void)u; return nn_gelu(nn_softmax(nn_exp(x[0]), -1)); }
static nn_tensor *e_binary(nn_ctx *c, nn_tensor **x, void *u) { (void)u; return nn_mul(nn_transpose(x[0], 0, 1), nn_ones(c, nn_dtype_of(x[0]), NN_SHAPE(1, nn_dim(x[0], 0)))); }
static nn_tensor *e_sum(nn_ctx *c, nn_tensor **x, void *u) { (void)c; (void)u; return nn_sum(x[0], NN_AXES(0), 1); }
static nn_tensor *e_matmul(nn_ctx *c, nn_tensor **x, void *u) { (void)c; (void)u; return nn_matmul(x[0], nn_transpose(x[0], 0, 1)); }
static nn_tensor *e_linear(nn_ctx *c, nn_tensor **x, void *u) { (void)u; return nn_linear_act(x[0], values(c, nn_dtype_of(x[0]), NN_SHAPE(3, nn_dim(x[0], 1)), 1, -1, 1), NULL, NN_ACT_TANH); }
static nn_tensor *e_linear_out(nn_ctx *c, nn_tensor **x, void *u) { (void)u; return nn_linear_act(x[0], values(c, nn_dtype_of(x[0]), NN_SHAPE(0, nn_dim(x[0], 1)), 1, -1, 1), NULL, NN_ACT_RELU); }
static nn_tensor *e_concat(nn_ctx *c, nn_tensor **x, void *u) { nn_tensor *p[2]; (void)c; (void)u; p[0] = x[0]; p[1] = nn_scale(x[0], 2); return nn_concat(p, 2, 0); }
static nn_tensor *e_slice(nn_ctx *c, nn_tensor **x, void *u) { (void)c; (void)u; return nn_slice(x[0], 1, 2, 2, 1); }
static nn_tensor *e_more_maps(nn_ctx *c, nn_tensor **x, void *u) { (void)c; (void)u; return nn_where(nn_less(x[0], nn_silu(x[0])), nn_clamp(nn_softplus(x[0]), 0, 1), nn_maximum(nn_sin(x[0]), nn_transpose(nn_floor(nn_transpose(x[0], 0, 1)), 0, 1))); }
static nn_tensor *e_sort(nn_ctx *c, nn_tensor **x, void *u) { (void)c; (void)u; return nn_sort(nn_sort(x[0], 0, 1, NULL), -1, 0, NULL); }
static nn_tensor *e_recur(nn_ctx *c, nn_tensor **x, void *u) { (void)c; (void)u; return nn_recur(nn_cumsum(x[0], 1), nn_cumprod(x[0], 0), 0); }
static nn_tensor *e_select(nn_ctx *c, nn_tensor **x, void *u) { (void)u; return nn_index_select(x[0], 0, nn_zeros(c, NN_I64, NN_SHAPE(nn_dim(x[0], 0) ? 3 : 0, 2))); }
static nn_tensor *e_index_add(nn_ctx *c, nn_tensor **x, void *u) { (void)u; return nn_index_add(x[0], 1, nn_zeros(c, NN_I32, NN_SHAPE(nn_dim(x[0], 1))), 3); }
static nn_tensor *e_scatter(nn_ctx *c, nn_tensor **x, void *u) { (void)u; return nn_scatter(x[0], 1, nn_zeros(c, NN_U8, NN_SHAPE(nn_dim(x[0], 0), nn_dim(x[0], 1) ? 2 : 0)), nn_zeros(c, nn_dtype_of(x[0]), NN_SHAPE(nn_dim(x[0], 0), nn_dim(x[0], 1) ? 2 : 0))); }
static nn_tensor *e_matrices(nn_ctx *c, nn_tensor **x, void *u) { /* [rows, 1, 1], or [0, 0] */
    nn_tensor *square = nn_affine(nn_dim(x[0], 1) ? nn_reshape(nn_square(nn_slice(x[0], 1, 0, 1, 1)), NN_SHAPE(nn_dim(x[0], 0), 1, 1)) : nn_matmul(nn_transpose(x[0], 0, 1), x[0]), 1, 1);
    (void)c; (void)u;
    return nn_mul(nn_det(square), nn_sum(nn_matmul(nn_inverse(square), nn_triangular_solve(nn_cholesky(square), square, 0, 1)), NN_AXES(-1, -2), 0));
}
static nn_tensor *e_windows(nn_ctx *c, nn_tensor **x, void *u) { /* [rows, 1, 5] */
    nn_tensor *y = nn_reshape(x[0], NN_SHAPE(nn_dim(x[0], 0), 1, nn_dim(x[0], 1)));
    (void)c; (void)u;
    return nn_add(nn_max_pool(nn_resize(y, NN_SHAPE(8), NN_LINEAR, 0), 2, 2, 0), nn_avg_pool(y, 2, 1, 0));
}
static nn_tensor *e_gather(nn_ctx *c, nn_tensor **x, void *u) { (void)u; return nn_gather(x[0], 0, nn_zeros(c, NN_I32, NN_SHAPE(0, nn_dim(x[0], 1)))); }
static nn_tensor *e_dropout(nn_ctx *c, nn_tensor **x, void *u) { (void)c; (void)u; return nn_dropout(nn_reshape(x[0], NN_SHAPE(nn_dim(x[0], 1), nn_dim(x[0], 0))), 0.5, 1); }
static nn_tensor *e_layernorm(nn_ctx *c, nn_tensor **x, void *u) {
    nn_tensor *w = nn_ones(c, nn_dtype_of(x[0]), NN_SHAPE(nn_dim(x[0], 1)));
    (void)u;
    return nn_layernorm(x[0], w, w, 1e-5);
}
static void test_empty(void) {
    static const struct { const char *name; nn_tensor *(*f)(nn_ctx *, nn_tensor **, void *); int columns; } f[] = { /* columns: may there be none? */
        {"maps", e_unary, 1}, {"binary", e_binary, 1}, {"sum", e_sum, 1}, {"matmul", e_matmul, 1}, {"linear", e_linear, 1}, {"linear to nothing", e_linear_out, 1}, {"concat", e_concat, 1},
        {"slice", e_slice, 1}, {"gather", e_gather, 1}, {"dropout", e_dropout, 1}, {"layernorm", e_layernorm, 0},
        {"more maps", e_more_maps, 1}, {"sort", e_sort, 1}, {"recur", e_recur, 1}, {"index_select", e_select, 1}, {"index_add", e_index_add, 1}, {"scatter", e_scatter, 1}, {"matrices", e_matrices, 1}, {"windows", e_windows, 0}};
    static const nn_dtype reals[4] = {NN_F32, NN_F64, NN_F16, NN_BF16};
    for (int j = 0; j < n_sets; j++)
        for (size_t i = 0; i < sizeof f / sizeof *f; i++)
            for (int r = 0; r < 4; r++)
                for (int s = 0; s < 4; s++)
                    for (int flags = 0; flags < 2; flags++) {
                        nn_ctx     *c = sets[j].c;
                        nn_shape    shape = NN_SHAPE(s & 1 ? 0 : 4, s & 2 ? 0 : 5);
                        nn_tensor  *x = values(c, reals[r], shape, 1, -1, 1);
                        const char *what = named("%s of %s %s %s", f[i].name, shape_text(shape), nn_dtype_name(reals[r]), nn_isa(c));
                        arr         g;
                        int         ok;
                        if (s & 2 && !f[i].columns) continue;
                        ok = gradients(c, f[i].f, NULL, &x, 1, -1, flags, &g);
                        fine(c, what);
                        check(ok && same_shape(g.s, shape), "%s: gradient %s", what, shape_text(g.s));
                        nn_reset(c);
                        room_clear();
                    }
    for (int j = 0; j < n_sets; j++) { /* 0-d goes through everything that takes it */
        nn_ctx    *c = sets[j].c;
        nn_tensor *x = nn_requires_grad(nn_full(c, NN_F32, NN_SCALAR, 0.5)), *y, *dx = NULL;
        double     g;
        int        ok;
        y = nn_add(nn_sum(nn_max(nn_softmax(nn_square(x), 0), NN_ALL, 1), NN_ALL, 0), nn_mean(nn_mul(x, nn_transpose(nn_ones(c, NN_F32, NN_SHAPE(2, 3)), 0, 1)), NN_ALL, 0));
        y = nn_add(y, nn_squeeze(nn_reshape(nn_clone(nn_tanh(x)), NN_SHAPE(1)), 0));
        g = 1 + (1 - tanh(0.5) * tanh(0.5));
        check(nn_ndim(y) == 0 && fabs(nn_item(y) - (1.5 + tanh(0.5))) < 1e-6, "0-d: %g", nn_item(y));
        ok = nn_grad_of(y, NULL, &x, 1, &dx, 0);
        check(ok && fabs(nn_item(dx) - g) < 1e-6, "0-d: gradient %g, not %g", nn_item(dx), g);
        fine(c, "0-d");
        next_step();
    }
}

/* ---- random ----------------------------------------------------------------------------------------------- */

static void moments(const arr *a, double mean, double var, double fourth, const char *what) { /* within 5 standard errors */
    double n = (double)a->n, m = 0, v = 0, f = 0, third = 0;
    for (int64_t i = 0; i < a->n; i++) m += a->v[i] / n;
    for (int64_t i = 0; i < a->n; i++) {
        double d = a->v[i] - m;
        v += d * d / n; third += d * d * d / n; f += d * d * d * d / n;
    }
    check(fabs(m - mean) < 5 * sqrt(var / n), "%s: mean %g, not %g", what, m, mean);
    check(fabs(v - var) < 5 * sqrt((fourth - var * var) / n), "%s: variance %g, not %g", what, v, var);
    check(fabs(third) < 5 * sqrt(15 / n) * pow(var, 1.5), "%s: third moment %g, not 0", what, third);
    check(fabs(f - fourth) < 0.05 * fourth, "%s: fourth moment %g, not %g", what, f, fourth);
}

static void test_random(void) {
    uint32_t w[4];
    nn__rng  r;
    nn__rng  ones;
    r.seed = 0; r.stream = 0; r.step = 0;
    nn__philox(r, 0, w);
    check(w[0] == 0x6627e8d5u && w[1] == 0xe169c58du && w[2] == 0xbc57ac4cu && w[3] == 0x9b00dbd8u, "Philox of zeros: %08x %08x %08x %08x", w[0], w[1], w[2], w[3]);
    ones.seed = ~(uint64_t)0; ones.stream = ~(uint32_t)0; ones.step = ~(uint32_t)0;
    nn__philox(ones, ~(uint64_t)0, w);
    check(w[0] == 0x408f276du && w[1] == 0x41c83b0eu && w[2] == 0xa20bc7c6u && w[3] == 0x6d5451fdu, "Philox of ones: %08x %08x %08x %08x", w[0], w[1], w[2], w[3]);
    philox(~(uint64_t)0, ~(uint32_t)0, ~(uint32_t)0, ~(uint64_t)0, w);
    check(w[0] == 0x408f276du && w[3] == 0x6d5451fdu, "this file's Philox");

    for (int j = 0; j < n_sets; j++) {
        static const nn_dtype reals[2] = {NN_F32, NN_F64};
        nn_ctx *c = sets[j].c;
        for (int d = 0; d < 2; d++)
            for (int64_t n = 0; n < 700; n = n * 3 + 1) {
                nn_tensor *a, *b;
                arr        got, want = make(NN_SHAPE(n));
                double     unit = d ? 1e-12 : 3e-7;
                nn_seed(c, the_seed);
                for (uint32_t step = 0; step < 2; step++) {
                    a = nn_uniform(c, reals[d], NN_SHAPE(n), -2, 1);
                    b = nn_normal(c, reals[d], NN_SHAPE(n), 3, 2);
                    for (int64_t i = 0; i < n; i++) { want.v[i] = -2 + 3 * unit_of(reals[d], 0, step, i); want.m[i] = 3; }
                    got = read_arr(a);
                    close_to(&got, &want, unit, named("uniform %s %s of %d, step %u", nn_dtype_name(reals[d]), nn_isa(c), (int)n, step));
                    for (int64_t i = 0; i < n; i++) { /* 0 ... 15 go with 16 ... 31 */
                        int64_t first  = i / 16 % 2 ? i - 16 : i;
                        double  radius = 2 * sqrt(-2 * log(1 - unit_of(reals[d], 1, step, first))), angle = 6.283185307179586 * unit_of(reals[d], 1, step, first + 16);
                        want.v[i] = 3 + radius * (i == first ? cos(angle) : sin(angle));
                        want.m[i] = 3 + radius;
                    }
                    got = read_arr(b);
                    close_to(&got, &want, 2 * unit, named("normal %s %s of %d, step %u", nn_dtype_name(reals[d]), nn_isa(c), (int)n, step));
                    nn_reset(c);
                }
                room_clear();
            }
        fine(c, "random");
    }
    {
        nn_ctx    *c = sets[n_sets - 1].c;
        nn_tensor *a, *b, *x;
        arr        u, v;
        int        inside = 1, equal = 0;
        nn_seed(c, 5);
        a = nn_uniform(c, NN_F32, NN_SHAPE(500000), -1, 3);
        b = nn_normal(c, NN_F32, NN_SHAPE(500000), 1, 2);
        u = read_arr(a);
        v = read_arr(b);
        for (int64_t i = 0; i < u.n; i++) inside &= u.v[i] >= -1 && u.v[i] < 3;
        check(inside, "uniform: a number outside");
        moments(&u, 1, 16.0 / 12, 256.0 / 80, "uniform");
        moments(&v, 1, 4, 48, "normal");
        for (int64_t i = 0; i < u.n; i++) equal += v.v[i] < -5 || v.v[i] > 7; /* 3 sigma: 0.27 % */
        check(equal > 1200 && equal < 1500, "normal: %d of 500000 beyond 3 sigma, about 1350 expected", equal);
        x = nn_uniform(c, NN_F32, NN_SHAPE(1000), 16777216, 16777218); /* two floats wide: rounding must not reach the end */
        u = read_arr(x);
        for (int64_t i = 0; i < u.n; i++) inside &= u.v[i] >= 16777216 && u.v[i] < 16777218;
        check(inside, "uniform: rounding reaches the end");
        fine(c, "moments");
        next_step();
    }
    for (int j = 0; j < n_sets; j++) /* stored past the caches (n < 0): the same bytes, and not one more */
        for (int k = 0; k < 24; k++) {
            static const int64_t  lengths[6] = {1, 63, 64, 130, 257, 640};
            static const double   p[2] = {0.3, 0.9};
            const nn__kernel_set *set = sets[j].c->kernels->f32;
            int64_t               n = lengths[k % 6];
            float                 room[2][700], x[700], *y[2];
            uint8_t               mask[2][700];
            nn__rng               seed;
            seed.seed = the_seed; seed.stream = 3; seed.step = 1;
            for (int i = 0; i < 700; i++) { x[i] = (float)i - 300; room[0][i] = room[1][i] = 12345; mask[0][i] = mask[1][i] = 7; }
            for (int past = 0; past < 2; past++) {
                int64_t count = past ? -n : n;
                y[past] = room[past] + k % 5 * 16 / 5; /* some alignments */
                switch (k / 6) {
                case 0: set->uniform(seed, 5, y[past], count, p); break;
                case 1: set->normal(seed, 5, y[past], count, p); break;
                case 2: set->dropout(seed, 5, x, y[past], mask[past], count, p); break;
                default:
                    for (int i = 0; i < 700; i++) mask[past][i] = (uint8_t)(i * 7 % 3 == 0);
                    set->mask(x, mask[past], y[past], count, p);
                }
            }
            check(!memcmp(room[0], room[1], sizeof room[0]) && !memcmp(mask[0], mask[1], sizeof mask[0]) && y[0][n] == 12345 && y[0][n - 1] != 12345, "random %d of %d %s: differs past the caches",
                  k / 6, (int)n, sets[j].name);
        }
    for (int j = 0; j < n_sets; j++) { /* dropout */
        nn_ctx     *c = sets[j].c;
        static const double ps[4] = {0.1, 0.5, 0.9, 1.0};
        for (int k = 0; k < 4; k++) {
            nn_tensor *x, *y, *z;
            arr        a, b, d;
            double     kept = 0, n = 100000;
            int64_t    same = 0;
            int        right = 1;
            nn_seed(c, the_seed);
            x = nn_ones(c, NN_F32, NN_SHAPE(100, 1000));
            a = read_arr(nn_dropout(x, ps[k], 1));
            b = read_arr(nn_dropout(x, ps[k], 1));
            nn_seed(c, the_seed);
            y = nn_dropout(x, ps[k], 1);
            d = read_arr(y);
            check(!memcmp(a.v, d.v, (size_t)a.n * sizeof(double)), "dropout %g %s: the same seed, another mask", ps[k], nn_isa(c));
            for (int64_t i = 0; i < a.n; i++) {
                kept += a.v[i] != 0;
                same += (a.v[i] != 0) == (b.v[i] != 0);
                right &= a.v[i] == 0 || fabs(a.v[i] - 1 / (1 - ps[k])) < 1e-5;
                if (i < 2000) right &= (a.v[i] != 0) == (word_of(0, 0, i) >= ps[k] * 4294967296.0);
            }
            check(right, "dropout %g %s: not the mask or scale that Philox gives", ps[k], nn_isa(c));
            check(fabs(kept / n - (1 - ps[k])) <= 5 * sqrt(ps[k] * (1 - ps[k]) / n), "dropout %g %s keeps %g", ps[k], nn_isa(c), kept / n);
            if (k < 3) check(same < a.n - 1000, "dropout %g %s: two calls, one mask", ps[k], nn_isa(c));
            nn_reset(c);
            x = nn_ones(c, NN_F32, NN_SHAPE(100, 1000));
            z = nn_dropout(x, ps[k], 1);
            b = read_arr(z);
            if (k < 3) check(memcmp(a.v, b.v, (size_t)a.n * sizeof(double)) != 0, "dropout %g %s: two steps, one mask", ps[k], nn_isa(c));
            nn_seed(c, the_seed + 1);
            b = read_arr(nn_dropout(x, ps[k], 1));
            if (k < 3) check(memcmp(a.v, b.v, (size_t)a.n * sizeof(double)) != 0, "dropout %g %s: two seeds, one mask", ps[k], nn_isa(c));
            check(nn_dropout(x, ps[k], 0) == x && nn_dropout(x, 0, 1) == x, "dropout at rest is not x itself");
            fine(c, "dropout");
            next_step();
        }
        { /* dropped infinities are zeros, and so are their gradients */
            nn_tensor *x = nn_requires_grad(nn_full(c, NN_F32, NN_SHAPE(1000), INFINITY)), *y = nn_dropout(x, 0.5, 1), *dx;
            arr        a = read_arr(y), g;
            int        right = nn_grad_of(y, nn_full(c, NN_F32, NN_SHAPE(1000), INFINITY), &x, 1, &dx, 0);
            g = read_arr(dx);
            for (int64_t i = 0; i < a.n && right; i++) right = (a.v[i] == 0 || a.v[i] == INFINITY) && a.v[i] == g.v[i];
            check(right, "dropout of infinities %s", nn_isa(c));
            next_step();
        }
    }
}

/* ---- accuracy --------------------------------------------------------------------------------------------- */

static double ulp64(double v) {
    int e;
    v = fabs(v);
    if (!(v < DBL_MAX)) v = DBL_MAX;
    if (v < DBL_MIN) return ldexp(1, -1074);
    frexp(v, &e);
    return ldexp(1, e - 53);
}
static double ulp32(double v) { /* the distance of floats at v */
    int e;
    v = fabs(v);
    if (!(v < FLT_MAX)) v = FLT_MAX;
    if (v < FLT_MIN) return ldexp(1, -149);
    frexp(v, &e);
    return ldexp(1, e - 24);
}

static int show_ulp; /* $NN_TEST_ULP */
typedef struct function { const char *name; double (*exact)(double); nn_tensor *(*f)(nn_tensor *); double ulp, of_x, ulp64; } function; /* off by ulp at most, and by of_x |x| / 2^24 */
static const function functions[] = {
    {"exp", f_exp, nn_exp, 3, 0, 3},    {"log", f_log, nn_log, 3, 0, 3},    {"tanh", f_tanh, nn_tanh, 3, 0, 3}, {"erf", f_erf, nn_erf, 3, 0, 3},   {"sigmoid", f_sigmoid, nn_sigmoid, 3, 0, 3},
    {"gelu", f_gelu, nn_gelu, 4, 3, 4}, {"gelu_tanh", f_gelu_tanh, nn_gelu_tanh, 4, 3, 4}, /* Phi(x) goes to 0 through 1 + erf: absolutely, not relatively, exact */
    {"sin", f_sin, nn_sin, 2, 0, 2},    {"cos", f_cos, nn_cos, 2, 0, 2},    {"sqrt", f_sqrt, nn_sqrt, 0.5001, 0, 0.5001}, {"relu", f_relu, nn_relu, 0, 0, 0}, {"abs", f_abs, nn_abs, 0, 0, 0},
    {"sign", f_sign, nn_sign, 0, 0, 0}, {"floor", f_floor, nn_floor, 0, 0, 0}, {"ceil", f_ceil, nn_ceil, 0, 0, 0}, {"round", f_round, nn_round, 0, 0, 0}, {"trunc", f_trunc, nn_trunc, 0, 0, 0},
    {"rsqrt", f_rsqrt, nn_rsqrt, 1.5, 0, 1.5}, {"reciprocal", f_reciprocal, nn_reciprocal, 0.5001, 0, 0.5001}, {"expm1", f_expm1, nn_expm1, 3, 0, 3}, {"log1p", f_log1p, nn_log1p, 3, 0, 3},
    {"log2", f_log2, nn_log2, 1, 0, 1}, {"tan", f_tan, nn_tan, 1, 0, 1},    {"asin", f_asin, nn_asin, 1, 0, 1}, {"acos", f_acos, nn_acos, 1, 0, 1}, {"atan", f_atan, nn_atan, 1, 0, 1},
    {"sinh", f_sinh, nn_sinh, 1, 0, 1}, {"cosh", f_cosh, nn_cosh, 1, 0, 1}, {"erfc", f_erfc, nn_erfc, 1, 0, 1}, {"silu", f_silu, nn_silu, 4, 0, 4},     {"mish", f_mish, nn_mish, 5, 0, 4},
    {"softplus", f_softplus, nn_softplus, 3, 0, 3}, {"softsign", f_softsign, nn_softsign, 1.5, 0, 1.5}, {"log_sigmoid", f_log_sigmoid, nn_log_sigmoid, 3, 0, 3}};

/* How far g is from f(x) = w, as a multiple of what is allowed */
static double miss(double g, double w, double allowed, int f64) {
    const double most = f64 ? DBL_MAX : FLT_MAX, last = f64 ? ulp64(DBL_MAX) : ulp32(FLT_MAX);
    if (w != w) return g != g ? 0 : INFINITY;
    if (fabs(w) == INFINITY || fabs(w) > most + 1.5 * last) return fabs(g) == INFINITY && (g > 0) == (w > 0) ? 0 : INFINITY;
    if (fabs(g) == INFINITY) return fabs(w) > most - 3 * last && (g > 0) == (w > 0) ? 0 : INFINITY;
    return g == w ? 0 : allowed > 0 ? fabs(g - w) / allowed : INFINITY;
}
static void accuracy_of(const function *f, nn_ctx *c, const double *x, const double *want, const double *allowed, int n, int f64) {
    nn_tensor *y = f->f(nn_cast(nn_wrap(c, (void *)(uintptr_t)x, NN_F64, NN_SHAPE(n)), f64 ? NN_F64 : NN_F32));
    double     most = 0;
    int        worst = 0, zero = 1;
    if (!fine(c, f->name) || !y) return;
    for (int i = 0; i < n; i++) {
        double g = element(nn_dtype_of(y), nn_ptr(y), i), w = want[i], error;
        if (x[i] != x[i] && f->exact == f_sign) w = g; /* 0 or NaN */
        if (fabs(x[i]) == INFINITY && (f->exact == f_silu || f->exact == f_mish || f->exact == f_softsign)) /* the limit or NaN */
            w = g != g ? g : f->exact == f_softsign ? (x[i] > 0 ? 1 : -1) : x[i] > 0 ? x[i] : 0;
        error = miss(g, w, allowed[i], f64);
        if (g == 0 && w == 0 && x[i] == 0 && f->exact != f_relu && !signbit(g) != !signbit(w)) zero = 0;
        if (!(error <= most)) { most = error; worst = i; }
    }
    check(most <= 1, "%s %s %s: f(%.17g) is %.17g, not %.17g: %.3g times the tolerance", f->name, f64 ? "f64" : "f32", nn_isa(c), x[worst], element(nn_dtype_of(y), nn_ptr(y), worst), want[worst], most);
    check(zero, "%s %s: loses the sign of -0", f->name, nn_isa(c));
    if (show_ulp) printf("%-12s %s %-7s %6.2f of %g ulp, at %.9g\n", f->name, f64 ? "f64" : "f32", nn_isa(c), most * (f64 ? f->ulp64 : f->ulp), f64 ? f->ulp64 : f->ulp, x[worst]);
    nn_reset(c);
}
static void test_accuracy(void) {
    enum { SPREAD = 160000, DENSE = 90000, SPECIAL = 64, ALL = SPREAD + DENSE + SPECIAL };
    double *x = (double *)malloc(ALL * sizeof *x), *want = (double *)malloc(ALL * sizeof *want), *allowed = (double *)malloc(ALL * sizeof *allowed);
    static const uint32_t special[SPECIAL] = {0, 0x80000000u, 1, 0x80000001u, 0x7fffff, 0x807fffffu, 0x800000, 0x80800000u, 0x7f800000, 0xff800000u, 0x7fc00000, 0xffc00000u, 0x7f800001, 0x7f7fffff, 0xff7fffffu,
        0x3f800000, 0xbf800000u, 0x3f7fffff, 0x3f800001, 0x42b17217, 0x42b17218, 0x42b17219, 0xc2aeac4fu, 0xc2aeac50u, 0xc2cff1b4u, 0xc2cff1b5u, 0xc2d00000u, 0xc2ce8ed0u, 0x3f200000, 0x3f1fffff, 0x41102cb4,
        0x407ad443, 0x3f3504f3, 0x3f3504f4, 0x3fb504f3, 0x3fb504f4, 0x40400000, 0xc0400000u, 0x33800000, 0xb3800000u,
        0xbf7fffffu, 0xbf800001u, 0x3f000000, 0xbf000000u, 0x3effffff, 0x3f000001, 0x3fc00000, 0xbfc00000u, 0x40200000, 0xc0200000u, 0x4afffffe, 0x4affffff, 0x4b000001, 0xcb000001u, 0x42b2d4fc, 0x42b2d4fd,
        0xc2b2d4fcu, 0xc2b2d4fdu, 0x41227d2b, 0x3fc90fdb, 0x4096cbe4, 0x41a00000, 0xc1a00000u, 0x5f000000};
    for (int f64 = 0; f64 < 2; f64++) {
        int n = 0;
        for (int i = 0; i < SPREAD && !f64; i++) { /* all exponents and both signs */
            uint32_t u = (uint32_t)i * 26843u + 77u * (uint32_t)(i % 13);
            float    v;
            memcpy(&v, &u, 4);
            x[n++] = v;
        }
        for (int i = 0; i < SPREAD / 10 && f64; i++) {
            uint64_t u = (uint64_t)i * 1152921504606846u + 7777777u * (uint64_t)(i % 13);
            memcpy(&x[n++], &u, 8);
        }
        for (int i = 0; i < DENSE; i += f64 ? 7 : 1) x[n++] = f64 ? (i & 1 ? -748 + 1490.0 * i / DENSE : -8 + 16.0 * i / DENSE) : (i & 1 ? (float)(-112 + 220.0 * i / DENSE) : (float)(-8 + 16.0 * i / DENSE));
        for (int i = 0; i < SPECIAL; i++) {
            float v;
            memcpy(&v, &special[i], 4);
            x[n++] = v;
        }
        for (size_t k = 0; k < sizeof functions / sizeof *functions; k++) {
            const function *f = &functions[k];
            for (int i = 0; i < n; i++) {
                double w = f->exact(x[i]), unit = f64 ? ulp64(w) : ulp32(w);
                if ((f->exact == f_silu || f->exact == f_mish) && x[i] < -80) unit = fabs(x[i]) * (f64 ? ulp64(w / x[i]) : ulp32(w / x[i])); /* x times what is denormal */
                want[i]    = w;
                allowed[i] = (f64 ? f->ulp64 : f->ulp) * unit + (f->of_x > 0 ? f->of_x * fabs(x[i]) * (f64 ? 1.2e-16 : u32) : 0);
            }
            for (int j = 0; j < n_sets; j++) accuracy_of(f, sets[j].c, x, want, allowed, n, f64);
        }
    }
    free(x);
    free(want);
    free(allowed);
}

/* Two operands: all pairs of special values, and pairs of all exponents whose results spread over the range */
typedef struct function2 { const char *name; double (*exact)(double, double); nn_tensor *(*f)(nn_tensor *, nn_tensor *); double ulp, ulp64; } function2;
static const function2 functions2[] = {{"maximum", g_maximum, nn_maximum, 0, 0}, {"minimum", g_minimum, nn_minimum, 0, 0}, {"pow", g_pow, nn_pow, 1, 1},
                                       {"fmod", g_fmod, nn_fmod, 0, 0},          {"atan2", g_atan2, nn_atan2, 1, 1},       {"hypot", g_hypot, nn_hypot, 1, 1}};
static double any_real(int f64) { /* of any exponent and sign */
    double v;
    if (f64) {
        uint64_t u = (uint64_t)chance(1u << 31) << 33 ^ (uint64_t)chance(1u << 31) << 11 ^ chance(1u << 31);
        memcpy(&v, &u, 8);
    } else {
        uint32_t u = chance(1u << 31) << 1 ^ chance(1u << 31);
        float    e;
        memcpy(&e, &u, 4);
        v = e;
    }
    return v;
}
static void test_accuracy2(void) {
    static const double special[] = {0, 0.25, 1.0 / 3, 0.5, 1, 1.5, 2, 2.5, 3, 5, 16, 100, 127, 1023.5, 8388607, 8388609, 16777216, 33554432, 1e10, 1e30, 1e38, 3e38, 1e-10, 1e-20, 1e-30, 1e-38, 1e-40, 1e-45, INFINITY, NAN};
    enum { N_SPECIAL = (int)(sizeof special / sizeof *special), RANDOM = 40000, ALL = 4 * N_SPECIAL * N_SPECIAL + RANDOM };
    double *x = (double *)malloc(ALL * sizeof *x), *y = (double *)malloc(ALL * sizeof *y), *want = (double *)malloc(ALL * sizeof *want), *allowed = (double *)malloc(ALL * sizeof *allowed);
    for (size_t k = 0; k < sizeof functions2 / sizeof *functions2; k++)
        for (int f64 = 0; f64 < 2; f64++) {
            const function2 *f = &functions2[k];
            int              n = 0;
            chance_state = 17;
            for (int i = 0; i < 4 * N_SPECIAL * N_SPECIAL; i++) {
                double a = special[i / 4 % N_SPECIAL], b = special[i / 4 / N_SPECIAL];
                x[n] = i & 1 ? -a : a;
                y[n] = i & 2 ? -b : b;
                if (!f64) { x[n] = (float)x[n]; y[n] = (float)y[n]; }
                n++;
            }
            for (int i = 0; i < RANDOM; i++, n++) {
                x[n] = any_real(f64);
                y[n] = any_real(f64);
                if (f->exact == g_pow) { /* x > 0, and y such that x^y is neither 0 nor infinite; or x near 1; or whole exponents of both signs */
                    double room_of = f64 ? 745 : 103;
                    x[n] = i % 3 == 1 ? 1 + (double)((int)chance(2001) - 1000) * (f64 ? 1e-12 : 1e-5) : i % 3 ? x[n] : fabs(x[n]);
                    y[n] = i % 3 == 2 ? (double)((int)chance(41) - 20) : ((double)chance(1u << 30) / (1 << 29) - 1) * room_of / fabs(log(fabs(x[n])));
                } else if (i % 2) y[n] = x[n] * ldexp(1 + (double)chance(1u << 30) / (1 << 30), (int)chance(40) - (f->exact == g_fmod ? 32 : 20)); /* not far from each other */
                if (!f64) { x[n] = (float)x[n]; y[n] = (float)y[n]; }
            }
            for (int i = 0; i < n; i++) {
                want[i]    = f->exact(x[i], y[i]);
                allowed[i] = f64 ? f->ulp64 * ulp64(want[i]) : f->ulp * ulp32(want[i]);
            }
            for (int j = 0; j < n_sets; j++) {
                nn_ctx    *c = sets[j].c;
                nn_dtype   d = f64 ? NN_F64 : NN_F32;
                nn_tensor *z = f->f(nn_cast(nn_wrap(c, x, NN_F64, NN_SHAPE(n)), d), nn_cast(nn_wrap(c, y, NN_F64, NN_SHAPE(n)), d));
                double     most = 0;
                int        worst = 0, signs = -1;
                if (!fine(c, f->name) || !z) continue;
                for (int i = 0; i < n; i++) {
                    double g = element(d, nn_ptr(z), i), w = want[i], error = miss(g, w, allowed[i], f64);
                    if (g == 0 && w == 0 && f->exact != g_maximum && f->exact != g_minimum && !signbit(g) != !signbit(w)) signs = i;
                    if (!(error <= most)) { most = error; worst = i; }
                }
                check(most <= 1, "%s %s %s: f(%.17g, %.17g) is %.17g, not %.17g: %.3g times the tolerance", f->name, nn_dtype_name(d), nn_isa(c), x[worst], y[worst], element(d, nn_ptr(z), worst),
                      want[worst], most);
                check(signs < 0, "%s %s %s: the sign of the 0 for (%g, %g)", f->name, nn_dtype_name(d), nn_isa(c), x[signs < 0 ? 0 : signs], y[signs < 0 ? 0 : signs]);
                if (show_ulp) printf("%-12s %s %-7s %6.2f of %g ulp, at %.9g, %.9g\n", f->name, nn_dtype_name(d), nn_isa(c), most * (f64 ? f->ulp64 : f->ulp), f64 ? f->ulp64 : f->ulp, x[worst], y[worst]);
                nn_reset(c);
            }
        }
    free(x);
    free(y);
    free(want);
    free(allowed);
}

/* Derivatives far out, where a careless rule divides by infinity or multiplies it by 0: written down and fused */
static double d_exp(double x) { return exp(x); }
static double d_tanh(double x) { return 1 / (cosh(x) * cosh(x)); }
static double d_erf(double x) { return 1.1283791670955126 * exp(-x * x); }
static double d_erfc(double x) { return -d_erf(x); }
static double d_sigmoid(double x) { return f_sigmoid(x) * f_sigmoid(-x); }
static double d_gelu(double x) { return 0.5 * erfc(-x * 0.70710678118654752440) + x * 0.39894228040143268 * exp(-0.5 * x * x); }
static double d_silu(double x) { return f_sigmoid(x) + x * d_sigmoid(x); }
static double d_mish(double x) { double t = tanh(f_softplus(x)); return t + x * (1 - t * t) * f_sigmoid(x); }
static double d_softplus(double x) { return f_sigmoid(x); }
static double d_log_sigmoid(double x) { return f_sigmoid(-x); }
static double d_softsign(double x) { return 1 / ((1 + fabs(x)) * (1 + fabs(x))); }
static double d_atan(double x) { return 1 / (1 + x * x); }
static double d_sinh(double x) { return cosh(x); }
static double d_cosh(double x) { return sinh(x); }
static double d_expm1(double x) { return exp(x); }
static double d_log1p(double x) { return 1 / (1 + x); }
static double d_log2(double x) { return 1.4426950408889634 / x; }
static double d_rsqrt(double x) { return -0.5 / (x * sqrt(x)); }
static double d_reciprocal(double x) { return -1 / (x * x); }
static double d_asin(double x) { return 1 / sqrt(1 - x * x); }
static double d_acos(double x) { return -d_asin(x); }
static double d_elu(double x) { return x > 0 ? 1 : 1.5 * exp(x); }
static double d_celu(double x) { return x > 0 ? 1 : exp(x / 1.5); }
static double d_selu(double x) { return 1.0507009873554805 * (x > 0 ? 1 : 1.6732632423543772 * exp(x)); }
static nn_tensor *elu_of(nn_tensor *x) { return nn_elu(x, 1.5); }
static nn_tensor *celu_of(nn_tensor *x) { return nn_celu(x, 1.5); }
static void test_slopes(void) {
    static const struct { const char *name; nn_tensor *(*f)(nn_tensor *); double (*d)(double), low, high, floor; } f[] = { /* floor: the error may be relative to this */
        {"exp", nn_exp, d_exp, -200, 88, 0},         {"tanh", nn_tanh, d_tanh, -1e38, 1e38, 1},       {"erf", nn_erf, d_erf, -1e38, 1e38, 1},              {"erfc", nn_erfc, d_erfc, -1e38, 1e38, 1},
        {"sigmoid", nn_sigmoid, d_sigmoid, -1e38, 1e38, 1}, {"gelu", nn_gelu, d_gelu, -1e38, 1e38, 1}, {"silu", nn_silu, d_silu, -1e38, 1e38, 1},          {"mish", nn_mish, d_mish, -1e38, 1e38, 1},
        {"softplus", nn_softplus, d_softplus, -1e38, 1e38, 0}, {"log_sigmoid", nn_log_sigmoid, d_log_sigmoid, -1e38, 1e38, 0}, {"softsign", nn_softsign, d_softsign, -1e18, 1e18, 0},
        {"atan", nn_atan, d_atan, -1e18, 1e18, 0},   {"sinh", nn_sinh, d_sinh, -88, 88, 0},           {"cosh", nn_cosh, d_cosh, -88, 88, 0},               {"expm1", nn_expm1, d_expm1, -200, 88, 1},
        {"log1p", nn_log1p, d_log1p, -0.99, 1e38, 0}, {"log2", nn_log2, d_log2, 1e-30, 1e30, 0},      {"rsqrt", nn_rsqrt, d_rsqrt, 1e-20, 1e20, 0},        {"reciprocal", nn_reciprocal, d_reciprocal, -1e15, 1e15, 0},
        {"asin", nn_asin, d_asin, -0.9999, 0.9999, 0}, {"acos", nn_acos, d_acos, -0.9999, 0.9999, 0}, {"elu", elu_of, d_elu, -1e38, 1e38, 1},              {"celu", celu_of, d_celu, -1e38, 1e38, 1},
        {"selu", nn_selu, d_selu, -1e38, 1e38, 1}};
    static const double at[] = {1e-30, 1e-15, 1e-8, 1e-4, 0.01, 0.3, 0.7, 0.99, 0.9999, 1, 1.7, 3, 5, 9, 17, 20, 30, 44, 45, 60, 80, 87.5, 90, 104, 200, 1e4, 1e10, 1e15, 1e18, 1e20, 1e30, 1e38};
    for (int j = 0; j < n_sets; j++)
        for (size_t k = 0; k < sizeof f / sizeof *f; k++)
            for (int how = 0; how < 4; how++) {
                nn_ctx     *c = sets[j].c;
                const char *what = named("slope of %s %s %s %s", f[k].name, how & 2 ? "f64" : "f32", nn_isa(c), how & 1 ? "recorded" : "fast");
                nn_tensor  *x, *y, *dx;
                double      v[80];
                arr         got, want;
                int         n = 0;
                for (size_t i = 0; i < 2 * sizeof at / sizeof *at; i++) {
                    double a = (float)(i & 1 ? -at[i / 2] : at[i / 2]);
                    if (a >= f[k].low && a <= f[k].high && (a > 0 || f[k].low < 0) && (f[k].f != nn_reciprocal || fabs(a) > 1e-16)) v[n++] = a;
                }
                want = make(NN_SHAPE(n));
                x = nn_requires_grad(nn_cast(nn_from(c, v, NN_F64, NN_SHAPE(n)), how & 2 ? NN_F64 : NN_F32));
                for (int i = 0; i < n; i++) {
                    want.v[i] = f[k].d(v[i]);
                    want.m[i] = fabs(want.v[i]) + f[k].floor;
                }
                y = f[k].f(x);
                if (!nn_grad_of(y, nn_ones(c, nn_dtype_of(x), NN_SHAPE(n)), &x, 1, &dx, how & 1)) { fine(c, what); continue; }
                got = read_arr(dx);
                if (f[k].f == nn_asin || f[k].f == nn_acos) /* 1 - x^2 loses what x near 1 has not */
                    for (int i = 0; i < n; i++) want.m[i] *= 1 / (1 - v[i] * v[i]);
                close_to(&got, &want, how & 2 ? 1e-13 : 24 * u32, what);
                next_step();
            }
}

/* ---- updates of the optimisers: every kernel, at every length around its vectors, three steps one after another ---- */
enum { U_SGD, U_PLAIN, U_ADAM, U_AMSGRAD, U_NADAM, U_ADAMAX, U_RMSPROP, U_ADAGRAD, U_ADADELTA, U_LION, U_AVERAGE, U_ALL };
static void update(int kind, double *w, double g, double *m, const double *h) { /* h as the table of nn.h's optimisers has it */
    double d = g + h[0] * *w, v;
    *w *= kind == U_SGD || kind == U_PLAIN ? 1 : h[1];
    switch (kind) {
    case U_SGD: m[0] = h[3] * m[0] + h[4] * d; *w -= h[2] * (h[5] * m[0] + h[6] * d); break;
    case U_PLAIN: *w -= h[2] * d; break;
    case U_ADAM: case U_AMSGRAD: case U_NADAM:
        m[0] = h[4] * m[0] + h[5] * d;
        m[1] = h[6] * m[1] + h[7] * d * d;
        if (kind == U_AMSGRAD && m[1] > m[2]) m[2] = m[1];
        v = sqrt(m[kind == U_AMSGRAD ? 2 : 1]) * h[3] + h[8];
        *w -= (h[2] * (kind == U_NADAM ? d : m[0]) + (kind == U_NADAM ? h[9] * m[0] : 0)) / v;
        break;
    case U_ADAMAX:
        m[0] = h[4] * m[0] + h[5] * d;
        m[1] = fmax(h[6] * m[1], fabs(d) + h[8]);
        *w -= h[2] * m[0] / m[1];
        break;
    case U_RMSPROP:
        m[1] = h[4] * m[1] + h[5] * d * d;
        m[2] = h[6] * (h[4] * m[2] + h[5] * d);
        v    = m[1] - m[2] * m[2];
        m[0] = h[3] * m[0] + d / (sqrt(v > 0 ? v : 0) + h[8]);
        *w -= h[2] * m[0];
        break;
    case U_ADAGRAD: m[0] += d * d; *w -= h[2] * d / (sqrt(m[0]) + h[8]); break;
    case U_ADADELTA:
        m[0] = h[4] * m[0] + h[5] * d * d;
        v    = d * sqrt(m[1] + h[8]) / sqrt(m[0] + h[8]);
        m[1] = h[4] * m[1] + h[5] * v * v;
        *w -= h[2] * v;
        break;
    case U_LION:
        v = h[4] * m[0] + h[5] * d;
        *w -= h[2] * ((v > 0) - (v < 0));
        m[0] = h[6] * m[0] + h[7] * d;
        break;
    default: *w += h[2] * (d - *w); /* U_AVERAGE */
    }
}
static void test_updates(void) {
    static const char *const names[U_ALL] = {"sgd", "sgd without momentum", "adam", "amsgrad", "nadam", "adamax", "rmsprop", "adagrad", "adadelta", "lion", "average"};
    for (int j = 0; j < n_sets; j++)
        for (int kind = 0; kind < U_ALL; kind++)
            for (int f64 = 0; f64 < 2; f64++)
                for (int64_t n = 0; n < 70; n += n < 36 ? 1 : 7) {
                    const nn__kernel_set *k = f64 ? sets[j].c->kernels->f64 : sets[j].c->kernels->f32;
                    const nn__optim_fn    all[U_ALL] = {k->sgd, k->sgd, k->adam, k->amsgrad, k->nadam, k->adamax, k->rmsprop, k->adagrad, k->adadelta, k->lion, k->average};
                    double                h[NN__U_CONSTANTS] = {0.02, 0.99, 0.05, 1.75, 0.875, 0.125, 0.9375, 0.0625, 1e-3, 0.03125}, exact[4][80], wide[5][80];
                    float                 narrow[5][80]; /* w, three moments, g; guards behind n */
                    void                 *moment[3], *at[5];
                    nn_dtype              d = f64 ? NN_F64 : NN_F32;
                    double                most = 0, unit = f64 ? 1e-14 : 2e-6;
                    int                   intact = 1;
                    if (kind == U_PLAIN) h[3] = 0;
                    if (kind == U_SGD) h[3] = 0.9;
                    if (kind == U_AVERAGE) { h[0] = 0; h[1] = 1; }
                    for (int r = 0; r < 5; r++) at[r] = f64 ? (void *)wide[r] : (void *)narrow[r];
                    for (int r = 0; r < 3; r++) moment[r] = at[1 + r];
                    for (int r = 0; r < 4; r++)
                        for (int i = 0; i < 80; i++) {
                            exact[r][i] = i < n ? (r ? (kind == U_RMSPROP && r == 3 ? 0.03125 : 0.25) * (r + i % 3) : 0.5 - 0.03125 * i) : 12345; /* mean squares above squared means */
                            wide[r][i] = exact[r][i];
                            narrow[r][i] = (float)exact[r][i];
                        }
                    for (int step = 0; step < 3; step++) {
                        for (int i = 0; i < 80; i++) {
                            wide[4][i]   = i % 7 == 3 ? 0 : 0.375 * ((i * 5 + step * 3) % 11 - 5);
                            narrow[4][i] = (float)wide[4][i];
                            if (i < n) {
                                double m[3];
                                for (int r = 0; r < 3; r++) m[r] = exact[1 + r][i];
                                update(kind, &exact[0][i], wide[4][i], m, h);
                                for (int r = 0; r < 3; r++) exact[1 + r][i] = m[r];
                            }
                        }
                        if (n && kind != U_AVERAGE) all[kind](at[0], at[4], moment, n, h);
                        else if (n) all[kind](at[0], at[4], NULL, n, h);
                    }
                    for (int r = 0; r < 4; r++)
                        for (int i = 0; i < 80; i++) {
                            double v = element(d, at[r], i), off = fabs(v - exact[r][i]) / (unit * (fabs(exact[r][i]) + 1));
                            if (i < n && !(off <= most)) most = off;
                            if (i >= n) intact &= v == 12345;
                        }
                    check(most <= 1, "%s %s %s on %d elements: off by %g times the tolerance", names[kind], nn_dtype_name(d), sets[j].name, (int)n, most);
                    check(intact, "%s %s %s on %d elements: writes behind the end", names[kind], nn_dtype_name(d), sets[j].name, (int)n);
                }
}

/* ---- all of it -------------------------------------------------------------------------------------------- */

static double started;
static void   timed(const char *name, void (*test)(void)) {
    double from = nn_time();
    long   before = passed + failed;
    test();
    if (getenv("NN_TEST_TIMES")) printf("%-16s %6.2f s %8ld checks\n", name, nn_time() - from, passed + failed - before);
    fflush(stdout);
}

int main(int argc, char **argv) {
    brief   = argc > 1 && !strcmp(argv[1], "--gradients-only");
    started = nn_time();
    plan_all = getenv("NN_TEST_PLAN") != NULL;
    show_ulp = getenv("NN_TEST_ULP") != NULL;
    if (brief && argc > 2) first_op = argv[2];
    if (argc > 1 && !brief) {
        fprintf(stderr, "usage: %s [--gradients-only [OP]]\n", argv[0]);
        return 2;
    }
    open_sets();
    if (n_sets) {
        timed("gradients", test_gradients);
        timed("half gradients", test_half_gradients);
        if (!brief) {
            timed("list", test_list);
            timed("values", test_values);
            timed("half", test_half);
            timed("tails", test_tails);
            timed("reductions", test_reductions);
            timed("matmul", test_matmul);
            timed("linear", test_linear);
            timed("gemm", test_gemm);
            timed("low", test_low);
            timed("rows", test_rows);
            timed("channels", test_channels);
            timed("channel stores", test_channel_stores);
            timed("one_hot", test_one_hot);
            timed("masks", test_masks);
            timed("along", test_along);
            timed("index", test_index);
            timed("matrices", test_matrices);
            timed("empty", test_empty);
            timed("random", test_random);
            timed("accuracy", test_accuracy);
            timed("accuracy of two", test_accuracy2);
            timed("slopes", test_slopes);
            timed("updates", test_updates);
            timed("threads", test_threads);
        }
    }
    check(brief || planned > 1000 || !n_sets, "%ld comparisons with plans", planned);
    for (int i = 0; i < n_sets; i++) nn_end(sets[i].c);
    room_clear();
    if (getenv("NN_TEST_TIMES")) printf("%-16s %6.2f s\n", "all", nn_time() - started);
    printf("ops: %ld passed, %ld failed", passed, failed);
    if (skipped) printf(", %ld skipped", skipped);
    printf("\n");
    return failed || !n_sets;
}
