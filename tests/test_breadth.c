// Ops, losses and metrics against PyTorch, NumPy and scikit-learn: the cases of tests/golden_breadth.txt, which
// golden_breadth.py makes. Each is run in f32 and f64: value and gradients; the same with inputs that are strided views;
// recorded in a plan, which must give the eager bits; and its gradients are checked by differences.
//
//     test_breadth [path of golden_breadth.txt [part of the names of the cases to run]]
//
// A case's inputs stand in the file, its expression below, under the same name. C99 and C++11.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#define NN_IMPLEMENTATION
#include "nn.h"

static int passed, failed, skipped;
static void verdict(int ok) {
    if (ok) passed++;
    else failed++;
}
static void fail(const char *name, const char *where, const char *what) {
    if (++failed <= 4000) printf("FAIL %s, %s: %s\n", name, where, what);
}

/* ---- the golden file ------------------------------------------------------------------------------- */

enum { INPUTS = 5 };
typedef struct input { char kind; nn_shape shape; double low, high; double *list; } input;
typedef struct golden { nn_dtype dtype; nn_shape shape; int64_t n; double *real; int64_t *whole; } golden;
typedef struct golden_case {
    char  *name, *flags;
    input  in[INPUTS];
    int    n_in;
    golden y, d[INPUTS]; /* d: of the inputs that are differentiated, in order */
    int    n_d;
} golden_case;

static void *room(size_t count, size_t size) {
    void *p = calloc(count + 1, size);
    if (!p) exit(2);
    return p;
}
static char *read_text(const char *path) {
    FILE  *f    = fopen(path, "rb");
    size_t size = 0, all = 1 << 16, got;
    char  *text = (char *)room(all, 1);
    if (!f) {
        fprintf(stderr, "cannot read %s\n", path);
        exit(2);
    }
    while ((got = fread(text + size, 1, all - size, f)) > 0) {
        size += got;
        if (size == all) text = (char *)realloc(text, (all *= 2) + 1);
        if (!text) exit(2);
    }
    fclose(f);
    text[size] = 0;
    return text;
}

/* Cuts off one word, in place. */
static char *word(char **at) {
    char *start = *at, *end = start;
    while (*end && *end != ' ') end++;
    *at = *end ? end + 1 : end;
    *end = 0;
    return start;
}
static int64_t numel(nn_shape s) {
    int64_t n = 1;
    for (int i = 0; i < s.ndim; i++) n *= s.dim[i];
    return n;
}
static nn_shape read_shape(char *text) { /* 3,4 or . */
    nn_shape s = NN_SCALAR;
    if (*text == '.') return s;
    for (;;) {
        s.dim[s.ndim++] = strtol(text, &text, 10);
        if (*text++ != ',') return s;
    }
}
static input read_input(char *text) {
    input in;
    in.kind  = *word(&text);
    in.shape = read_shape(word(&text));
    in.low = in.high = 0;
    in.list          = NULL;
    if (strchr("LlIU", in.kind)) {
        int64_t n = numel(in.shape);
        in.list   = (double *)room((size_t)n, sizeof(double));
        for (int64_t i = 0; i < n; i++) in.list[i] = strtod(word(&text), NULL);
    } else if (strchr("rc", in.kind)) {
        in.low  = strtod(word(&text), NULL);
        in.high = strtod(word(&text), NULL);
    } else in.high = strtod(word(&text), NULL);
    return in;
}
static golden read_values(char *text) { /* DTYPE NDIM SIZES... VALUES... */
    golden      g;
    const char *dtype = word(&text);
    g.dtype = !strcmp(dtype, "f64") ? NN_F64 : !strcmp(dtype, "i64") ? NN_I64 : NN_U8;
    g.shape = NN_SCALAR;
    g.shape.ndim = atoi(word(&text));
    for (int i = 0; i < g.shape.ndim; i++) g.shape.dim[i] = atoi(word(&text));
    g.n     = numel(g.shape);
    g.real  = (double *)room((size_t)g.n, sizeof(double));
    g.whole = (int64_t *)room((size_t)g.n, sizeof(int64_t));
    for (int64_t i = 0; i < g.n; i++) {
        const char *w = word(&text);
        g.real[i]     = strtod(w, NULL);
        g.whole[i]    = g.dtype == NN_F64 ? 0 : strtoll(w, NULL, 10);
    }
    return g;
}
static golden_case *read_golden(char *text, int *count) {
    int          lines = 0, n = 0;
    golden_case *list, *k = NULL;
    for (char *p = text; *p; p++) lines += *p == '\n';
    list = (golden_case *)room((size_t)lines, sizeof *list);
    while (*text) {
        char *end = strchr(text, '\n'), *next = end ? end + 1 : text + strlen(text), *first;
        if (end) *end = 0;
        first = word(&text);
        if (!strcmp(first, "case")) {
            k        = &list[n++];
            k->name  = word(&text);
            k->flags = word(&text);
            while (*text) {
                char *stop = strstr(text, "; ");
                if (stop) *stop = 0;
                k->in[k->n_in++] = read_input(text);
                text = stop ? stop + 2 : text + strlen(text);
            }
        } else if (k && strstr(first, ".y")) k->y = read_values(text);
        else if (k) k->d[k->n_d++] = read_values(text);
        text = next;
    }
    *count = n;
    return list;
}

/* ---- inputs: the other half is in golden_breadth.py ------------------------------------------------ */

static double formula(int64_t i, double low, double high, int k) {
    double u = 0.5 + (double)(i + 1) * 0.6180339887498949 * k + 0.13 * k;
    return low + (high - low) * (u - floor(u));
}
static double element(const input *in, int64_t i, int k) {
    if (in->list) return strchr("Ll", in->kind) ? (double)(float)in->list[i] : in->list[i];
    if (strchr("rc", in->kind)) return (double)(float)formula(i, in->low, in->high, k);
    return floor(formula(i, 0, in->high, k));
}
static nn_dtype dtype_in(const input *in, nn_dtype t) {
    switch (in->kind) {
    case 'i': case 'I': return NN_I64;
    case 'j': return NN_I32;
    case 'u': case 'U': return NN_U8;
    default: return t;
    }
}
static int differentiated(const input *in) { return strchr("rtL", in->kind) != NULL; }
static void store(nn_dtype t, void *raw, int64_t i, double v) {
    switch (t) {
    case NN_F32: ((float *)raw)[i] = (float)v; break;
    case NN_F64: ((double *)raw)[i] = v; break;
    case NN_I32: ((int32_t *)raw)[i] = (int32_t)v; break;
    case NN_I64: ((int64_t *)raw)[i] = (int64_t)v; break;
    default: ((uint8_t *)raw)[i] = (uint8_t)v; break;
    }
}

/* Input k, from 1. As a view: axes in reverse order in memory, or, of a vector, every second element from the end. */
static nn_tensor *make(nn_ctx *c, const input *in, nn_dtype t, int k, int view) {
    nn_shape   s = in->shape, turned = NN_SCALAR, axes = NN_SCALAR;
    int64_t    n = numel(s);
    void      *raw = room((size_t)(2 * n + 1), 8);
    nn_tensor *x;
    t = dtype_in(in, t);
    if (!view || !s.ndim) {
        for (int64_t i = 0; i < n; i++) store(t, raw, i, element(in, i, k));
        x = nn_from(c, raw, t, s);
    } else if (s.ndim == 1) {
        for (int64_t i = 0; i < 2 * n + 1; i++) store(t, raw, i, i & 1 ? element(in, n - 1 - i / 2, k) : 77);
        x = nn_slice(nn_from(c, raw, t, NN_SHAPE(2 * n + 1)), 0, 2 * n - 1, -2 * n - 1, -2);
    } else {
        for (int64_t i = 0; i < n; i++) { /* i counts row by row; at: where it is with the axes reversed */
            int64_t rest = i, at = 0, stride = n;
            for (int a = s.ndim - 1; a >= 0; a--) {
                stride /= s.dim[a];
                at += rest % s.dim[a] * stride;
                rest /= s.dim[a];
            }
            store(t, raw, at, element(in, i, k));
        }
        turned.ndim = axes.ndim = s.ndim;
        for (int a = 0; a < s.ndim; a++) turned.dim[a] = s.dim[s.ndim - 1 - a], axes.dim[a] = s.ndim - 1 - a;
        x = nn_permute(nn_from(c, raw, t, turned), axes);
    }
    free(raw);
    return x;
}

/* The gradient that comes from above. */
static nn_tensor *upstream(nn_ctx *c, nn_tensor *y, nn_dtype t) {
    input in;
    in.kind = 'c', in.shape = nn_shape_of(y), in.low = -1, in.high = 1, in.list = NULL;
    return make(c, &in, t, 9, 0);
}

/* ---- the cases ------------------------------------------------------------------------------------- */

#define CASE(n) if (!strcmp(name, n))

static nn_ctx *context;
static int     known; /* 0: evaluate has no expression of that name */
static nn_tensor *unknown(void) {
    known = 0;
    return NULL;
}
/* Is name = family + rest? */
static int of(const char *name, const char *family, const char **rest) {
    size_t n = strlen(family);
    if (strncmp(name, family, n)) return 0;
    *rest = name + n;
    return 1;
}
static nn_tensor *count_is(int got, int want, nn_tensor *y) { return got == want ? y : NULL; }

static nn_tensor *joined(nn_tensor **part, int n, int axis, int turned) { /* part i times i + 1; turned: the last first */
    nn_tensor *list[6];
    for (int i = 0; i < n; i++) list[turned ? n - 1 - i : i] = nn_scale(part[i], i + 1);
    return nn_concat(list, n, axis);
}

static nn_tensor *moves(nn_ctx *c, const char *name, nn_tensor **x) {
    nn_tensor  *part[6], *index;
    const char *r;
    int         n;
    CASE("flip_0") return nn_flip(x[0], NN_AXES(0));
    CASE("flip_02") return nn_flip(x[0], NN_AXES(0, -1));
    CASE("repeat") return nn_repeat(x[0], 4);
    CASE("repeat_0d") return nn_repeat(x[0], 3);
    CASE("split") return nn_split(x[0], 1, NN_SHAPE(2, 4, 1), part) ? joined(part, 3, 1, 1) : NULL;
    CASE("split_rest") return nn_split(x[0], 0, NN_SHAPE(2, -1, 1), part) ? part[1] : NULL;
    CASE("split_one_unused") return nn_split(x[0], -2, NN_SHAPE(2, 4, 1), part) ? nn_mul(part[2], nn_sum(part[0], NN_ALL, 0)) : NULL;
    CASE("chunk") return n = nn_chunk(x[0], 1, 3, part), count_is(n, 3, joined(part, n, 1, 1));
    CASE("chunk_fewer") return n = nn_chunk(x[0], 0, 4, part), count_is(n, 3, joined(part, n, 0, 0));
    CASE("diagonal") return nn_diagonal(x[0], 0);
    CASE("diagonal_above") return nn_diagonal(x[0], 2);
    CASE("diagonal_below") return nn_diagonal(x[0], -1);
    CASE("meshgrid") return nn_meshgrid(x, 2, part) ? nn_add(nn_mul(part[0], part[1]), part[0]) : NULL;
    CASE("meshgrid_3") return nn_meshgrid(x, 3, part) ? nn_sub(part[0], nn_mul(part[1], part[2])) : NULL;
    CASE("scalar_like") return nn_mul(x[0], nn_scalar_like(x[0], 0.3));
    CASE("linspace") return nn_linspace(c, NN_F64, -1, 2, 7);
    CASE("linspace_1") return nn_linspace(c, NN_F64, 5, 9, 1);
    CASE("linspace_down") return nn_linspace(c, NN_F64, 2, -2, 5);
    CASE("eye") return nn_eye(c, NN_F64, 3);
    CASE("eye_u8") return nn_eye(c, NN_U8, 2);
    CASE("scatter_same") return nn_scatter(x[0], 0, x[1], x[2]);
    if (of(name, "scatter_", &r)) return nn_scatter(x[0], atoi(r), x[1], x[2]);
    CASE("take_along") return nn_take_along(x[0], 1, x[1]);
    CASE("take_along_spread") return nn_take_along(x[0], 1, x[1]);
    CASE("take_along_rows") return nn_take_along(x[0], -1, x[1]);
    CASE("index_select_2d") return nn_index_select(x[0], 0, x[1]);
    CASE("index_select_2d_inner") return nn_index_select(x[0], 1, x[1]);
    CASE("index_select_0d") return nn_index_select(x[0], 0, x[1]);
    if (of(name, "index_select_", &r)) return nn_index_select(x[0], atoi(r), x[1]);
    if (of(name, "index_add_", &r)) return nn_index_add(x[0], atoi(r), x[1], 4);
    CASE("one_hot") return nn_one_hot(x[0], 4, NN_F64);
    CASE("stack_0d") return nn_stack(x, 2, 0);
    if (of(name, "stack_", &r)) return nn_stack(x, 3, atoi(r));
    CASE("pad") return nn_pad(x[0], 1, 2, 1, 0.5);
    CASE("pad_0") return nn_pad(x[0], 0, 0, 2, 0);
    CASE("pad_reflect") return nn_pad_with(x[0], 1, 2, 3, NN_PAD_REFLECT);
    CASE("pad_reflect_1") return nn_pad_with(x[0], 1, 2, 1, NN_PAD_REFLECT);
    CASE("pad_replicate") return nn_pad_with(x[0], 1, 2, 3, NN_PAD_REPLICATE);
    CASE("pad_replicate_1") return nn_pad_with(x[0], -2, 2, 1, NN_PAD_REPLICATE);
    CASE("pad_circular") return nn_pad_with(x[0], 1, 2, 3, NN_PAD_CIRCULAR);
    CASE("pad_circular_1") return nn_pad_with(x[0], 1, 2, 1, NN_PAD_CIRCULAR);
    CASE("roll") return nn_roll(x[0], 1, 2);
    CASE("roll_back") return nn_roll(x[0], 0, -1);
    CASE("roll_round") return nn_roll(x[0], -1, 12);
    CASE("tile") return nn_tile(x[0], 1, 3);
    CASE("tile_0") return nn_tile(x[0], 0, 2);
    if (of(name, "tril_", &r)) return nn_tril(x[0], atoi(r));
    if (of(name, "triu_", &r)) return nn_triu(x[0], atoi(r));
    if (of(name, "diag_", &r)) return nn_diag(x[0], atoi(r));
    CASE("sort_special") return nn_sort(x[0], 0, 0, NULL);
    CASE("sort_special_index") return nn_sort(x[0], 0, 0, &index) ? index : NULL;
    CASE("sort_special_down") return nn_sort(x[0], 0, 1, NULL);
    CASE("sort_special_down_index") return nn_sort(x[0], 0, 1, &index) ? index : NULL;
    CASE("sort_long_index") return nn_sort(x[0], 0, 0, &index) ? index : NULL;
    CASE("sort_i64") return nn_sort(x[0], -1, 0, NULL);
    CASE("argsort_u8") return nn_argsort(x[0], 0, 1);
    if (of(name, "sort_index_", &r)) return nn_sort(x[0], atoi(r), strstr(r, "down") != NULL, &index) ? index : NULL;
    if (of(name, "sort_ties_", &r) || of(name, "sort_", &r)) return nn_sort(x[0], atoi(r), strstr(r, "down") != NULL, NULL);
    if (of(name, "argsort_", &r)) return nn_argsort(x[0], atoi(r) - 3, strstr(r, "down") != NULL);
    CASE("topk_1") return nn_topk(x[0], 1, 2, NULL);
    CASE("topk_2") return nn_topk(x[0], 2, 2, NULL);
    CASE("topk_all") return nn_topk(x[0], -1, 5, &index);
    CASE("topk_index") return nn_topk(x[0], 2, 3, &index) ? index : NULL;
    CASE("topk_index_0") return nn_topk(x[0], 0, 2, &index) ? index : NULL;
    return unknown();
}

static nn_tensor *elementwise(nn_ctx *c, const char *name, nn_tensor **x) {
    static const struct { const char *name; nn_tensor *(*f)(nn_tensor *x); } one[] = {
        {"sign", nn_sign}, {"floor", nn_floor}, {"ceil", nn_ceil}, {"round", nn_round}, {"trunc", nn_trunc}, {"rsqrt", nn_rsqrt},
        {"reciprocal", nn_reciprocal}, {"expm1", nn_expm1}, {"log1p", nn_log1p}, {"log2", nn_log2}, {"tan", nn_tan}, {"asin", nn_asin},
        {"acos", nn_acos}, {"atan", nn_atan}, {"sinh", nn_sinh}, {"cosh", nn_cosh}, {"erfc", nn_erfc}, {"selu", nn_selu}, {"silu", nn_silu},
        {"mish", nn_mish}, {"softplus", nn_softplus}, {"softsign", nn_softsign}, {"log_sigmoid", nn_log_sigmoid}, {"hard_sigmoid", nn_hard_sigmoid},
        {"hard_swish", nn_hard_swish}, {"hard_tanh", nn_hard_tanh}, {"relu6", nn_relu6}, {"neg", nn_neg}, {"abs", nn_abs}, {"sin", nn_sin},
        {"cos", nn_cos}, {"positive", nn_positive}, {"gelu_tanh", nn_gelu_tanh}, {"is_finite", nn_is_finite}, {"not", nn_not}};
    static const struct { const char *name; nn_tensor *(*f)(nn_tensor *x, nn_tensor *y); } two[] = {
        {"maximum", nn_maximum}, {"minimum", nn_minimum}, {"pow", nn_pow}, {"fmod", nn_fmod}, {"atan2", nn_atan2}, {"hypot", nn_hypot},
        {"equal", nn_equal}, {"not_equal", nn_not_equal}, {"less", nn_less}, {"less_equal", nn_less_equal}, {"greater", nn_greater},
        {"greater_equal", nn_greater_equal}, {"and", nn_and}, {"or", nn_or}, {"xor", nn_xor}};
    static const char *const inputs[] = {"", "_edge", "_tail", "_far_tail", "_far", "_ties", "_0", "_whole", "_at_0", "_signs", "_quadrants", "_halves",
                                         "_i64", "_u8", "_3d"}; /* the same function of other values */
    const char *r;
    for (size_t i = 0; i < sizeof one / sizeof *one; i++)
        for (size_t k = 0; k < sizeof inputs / sizeof *inputs; k++)
            if (of(name, one[i].name, &r) && !strcmp(r, inputs[k])) return one[i].f(x[0]);
    for (size_t i = 0; i < sizeof two / sizeof *two; i++)
        for (size_t k = 0; k < sizeof inputs / sizeof *inputs; k++)
            if (of(name, two[i].name, &r) && !strcmp(r, inputs[k])) return two[i].f(x[0], x[1]);
    CASE("log_guarded_default") return nn_log_guarded(x[0], 0);
    CASE("clamp_low") return nn_clamp(x[0], -1, INFINITY);
    CASE("clamp_high") return nn_clamp(x[0], -INFINITY, 1);
    if (of(name, "log_guarded", &r)) return nn_log_guarded(x[0], 0.5);
    if (of(name, "clamp", &r)) return nn_clamp(x[0], -1, 2);
    if (of(name, "leaky_relu", &r)) return nn_leaky_relu(x[0], 0.125);
    if (of(name, "elu", &r)) return nn_elu(x[0], 1.5);
    if (of(name, "celu", &r)) return nn_celu(x[0], 1.5);
    if (of(name, "logit_open", &r)) return nn_logit(x[0], 0);
    if (of(name, "logit", &r)) return nn_logit(x[0], 0.125);
    if (of(name, "add_scalar", &r)) return nn_add_scalar(x[0], 0.3);
    CASE("pow_scalar_0d") return nn_pow_scalar(x[0], 2.5);
    if (of(name, "pow_scalar_half", &r)) return nn_pow_scalar(x[0], 0.5);
    if (of(name, "pow_scalar_negative", &r)) return nn_pow_scalar(x[0], -1.5);
    if (of(name, "pow_scalar_odd", &r)) return nn_pow_scalar(x[0], 2.3);
    if (of(name, "pow_scalar_", &r)) return nn_pow_scalar(x[0], atoi(r));
    if (of(name, "lerp", &r)) return nn_lerp(x[0], x[1], x[2]);
    CASE("where_safe") {
        nn_tensor *mask = nn_greater(x[0], nn_scalar_like(x[0], 0));
        return nn_where(mask, nn_log(nn_where(mask, x[0], nn_scalar_like(x[0], 1))), nn_scalar_like(x[0], 0));
    }
    if (of(name, "where", &r)) return nn_where(x[0], x[1], x[2]);
    CASE("masked_fill") return nn_masked_fill(x[0], x[1], -7.5);
    CASE("masked_fill_inf") {
        nn_tensor *list[2];
        list[0] = x[0], list[1] = nn_masked_fill(x[0], x[1], -INFINITY);
        return nn_softmax(nn_concat(list, 2, 1), 1);
    }
    (void)c;
    return unknown();
}

static nn_tensor *activations(nn_ctx *c, const char *name, nn_tensor **x) {
    const char *r;
    if (of(name, "act_", &r)) return nn_activate(x[0], (nn_act)atoi(r));
    if (of(name, "linear_act_", &r)) return nn_linear_act(x[0], x[1], x[2], (nn_act)atoi(r));
    CASE("glu_sigmoid") return nn_glu(x[0], -1, NN_ACT_SIGMOID);
    CASE("glu_silu") return nn_glu(x[0], 1, NN_ACT_SILU);
    CASE("glu_gelu") return nn_glu(x[0], 1, NN_ACT_GELU);
    CASE("glu_relu") return nn_glu(x[0], 1, NN_ACT_RELU);
    CASE("glu_tanh") return nn_glu(x[0], 1, NN_ACT_TANH);
    CASE("glu_none") return nn_glu(x[0], 1, NN_ACT_NONE);
    CASE("glu_axis_0") return nn_glu(x[0], 0, NN_ACT_SIGMOID);
    CASE("glu_axis_1") return nn_glu(x[0], -2, NN_ACT_SILU);
    (void)c;
    return unknown();
}

static nn_tensor *reductions(nn_ctx *c, const char *name, nn_tensor **x) {
    static const char *const families[] = {"min_ties_", "min_", "max_", "prod_", "var_", "std_", "logsumexp_", "norm2_", "count_", "any_", "all_"};
    const char *r;
    double      p;
    int         k;
    CASE("prod_zero") return nn_prod(x[0], NN_AXES(1), 0);
    CASE("prod_zeros_all") return nn_prod(x[0], NN_ALL, 0);
    CASE("prod_0d") return nn_prod(x[0], NN_ALL, 0);
    CASE("var_population") return nn_var(x[0], NN_AXES(1), 0, 0);
    CASE("var_correction_2") return nn_var(x[0], NN_AXES(0, 2), 0, 2);
    CASE("var_far") return nn_var(x[0], NN_AXES(1), 0, 1);
    CASE("std_population") return nn_std(x[0], NN_AXES(1), 1, 0);
    CASE("std_zero") return nn_std(x[0], NN_AXES(1), 0, 1);
    CASE("norm_zero") return nn_norm(x[0], NN_AXES(1), 0, 2);
    CASE("norm_zero_1") return nn_norm(x[0], NN_AXES(1), 0, 1);
    CASE("norm_zero_inf") return nn_norm(x[0], NN_AXES(1), 0, INFINITY);
    CASE("norm_zero_3") return nn_norm(x[0], NN_AXES(1), 0, 3);
    if (of(name, "norm_all_", &r)) return p = strtod(r, NULL), nn_norm(x[0], NN_ALL, 1, p);
    if (of(name, "norm_", &r)) return p = strtod(r, NULL), nn_norm(x[0], NN_AXES(-1), 0, p);
    CASE("logsumexp_far") return nn_logsumexp(x[0], NN_AXES(1), 0);
    CASE("logsumexp_edge") return nn_logsumexp(x[0], NN_AXES(1), 0);
    CASE("logsumexp_masked") return nn_logsumexp(x[0], NN_AXES(1), 0);
    CASE("min_edge") return nn_min(x[0], NN_AXES(1), 0);
    CASE("count_edge") return nn_count_nonzero(x[0], NN_ALL, 0);
    CASE("any_real") return nn_any(x[0], NN_AXES(1), 0);
    CASE("all_i64") return nn_all(x[0], NN_AXES(1), 0);
    CASE("count_i64") return nn_count_nonzero(x[0], NN_AXES(0), 0);
    for (int i = 0; i < (int)(sizeof families / sizeof *families); i++)
        if (of(name, families[i], &r)) {
            nn_shape axes = !strncmp(r, "all", 3) ? NN_ALL : !strcmp(r, "02") ? NN_AXES(0, -1) : NN_AXES(*r - '0');
            k = r[strlen(r) - 1] == 'k';
            switch (i) {
            case 0: case 1: return nn_min(x[0], axes, k);
            case 2: return nn_max(x[0], axes, k);
            case 3: return nn_prod(x[0], axes, k);
            case 4: return nn_var(x[0], axes, k, 1);
            case 5: return nn_std(x[0], axes, k, 1);
            case 6: return nn_logsumexp(x[0], axes, k);
            case 7: return nn_norm(x[0], axes, k, 2);
            case 8: return nn_count_nonzero(x[0], axes, k);
            case 9: return nn_any(x[0], axes, k);
            default: return nn_all(x[0], axes, k);
            }
        }
    CASE("argmax_k") return nn_argmax(x[0], 1, 1);
    CASE("argmin_k") return nn_argmin(x[0], -1, 1);
    CASE("argmax_edge") return nn_argmax(x[0], 1, 0);
    CASE("argmin_edge") return nn_argmin(x[0], 1, 0);
    CASE("argmax_i64") return nn_argmax(x[0], 1, 0);
    CASE("argmax_long") return nn_argmax(x[0], 1, 0);
    if (of(name, "argmax_", &r)) return nn_argmax(x[0], atoi(r), 0);
    if (of(name, "argmin_", &r)) return nn_argmin(x[0], atoi(r) - 3, 0);
    CASE("median_ties") return nn_median(x[0], 1, 0);
    CASE("median_nan") return nn_median(x[0], 1, 0);
    CASE("median_single") return nn_median(x[0], 1, 0);
    if (of(name, "median_", &r)) return nn_median(x[0], atoi(r), r[1] == 'k');
    CASE("empty_sum") return nn_sum(x[0], NN_AXES(0), 0);
    CASE("empty_prod") return nn_prod(x[0], NN_AXES(0), 0);
    CASE("empty_prod_all") return nn_prod(x[0], NN_ALL, 0);
    CASE("empty_any") return nn_any(x[0], NN_AXES(1), 0);
    CASE("empty_all") return nn_all(x[0], NN_AXES(1), 0);
    CASE("empty_count") return nn_count_nonzero(x[0], NN_AXES(1), 0);
    CASE("empty_norm") return nn_norm(x[0], NN_AXES(1), 0, 2);
    CASE("empty_min") return nn_min(x[0], NN_AXES(1), 0);
    CASE("empty_silu") return nn_silu(x[0]);
    CASE("empty_maximum") return nn_maximum(x[0], x[1]);
    CASE("empty_cumsum") return nn_cumsum(x[0], 1);
    CASE("empty_sort") return nn_sort(x[0], 1, 0, NULL);
    CASE("empty_concat_pad") return nn_pad(x[0], 1, 1, 2, 2.5);
    CASE("empty_det") return nn_det(x[0]);
    (void)c;
    return unknown();
}

static nn_tensor *scans(nn_ctx *c, const char *name, nn_tensor **x) {
    const char *r;
    CASE("cumprod_zero") return nn_cumprod(x[0], 1);
    CASE("cumsum_long") return nn_cumsum(x[0], -1);
    CASE("cumsum_edge") return nn_cumsum(x[0], 0);
    CASE("recur_discount") return nn_recur(x[0], x[1], 0);
    if (of(name, "cumsum_", &r)) return nn_cumsum(x[0], atoi(r));
    if (of(name, "cumprod_", &r)) return nn_cumprod(x[0], atoi(r) - 3);
    if (of(name, "recur_", &r)) return nn_recur(x[0], x[1], atoi(r));
    (void)c;
    return unknown();
}

/* x x^T / n + 1: symmetric and positive definite */
static nn_tensor *spd(nn_ctx *c, nn_tensor *x) {
    nn_tensor *one = nn_eye(c, nn_dtype_of(x), nn_dim(x, -1));
    return nn_add(nn_scale(nn_matmul(x, nn_transpose(x, -1, -2)), 1.0 / (double)nn_dim(x, -1)), one);
}
static nn_tensor *plus_2(nn_ctx *c, nn_tensor *x) { /* on the diagonal */
    return nn_add(x, nn_scale(nn_eye(c, nn_dtype_of(x), nn_dim(x, -1)), 2));
}

static nn_tensor *linear(nn_ctx *c, const char *name, nn_tensor **x) {
    const char *r;
    CASE("dot") return nn_dot(x[0], x[1]);
    CASE("outer") return nn_outer(x[0], x[1]);
    CASE("trace") return nn_trace(x[0]);
    CASE("trace_2d") return nn_trace(x[0]);
    if (of(name, "einsum:", &r)) return nn_einsum(r, x[0], x[1]);
    CASE("cholesky") return nn_cholesky(spd(c, x[0]));
    CASE("cholesky_1") return nn_cholesky(spd(c, x[0]));
    CASE("cholesky_plain") return nn_cholesky(x[0]);
    CASE("cholesky_uneven") return nn_cholesky(x[0]);
    if (of(name, "triangular_solve_", &r)) return nn_triangular_solve(plus_2(c, x[0]), x[1], *r == '1', *r && r[1] == '1');
    CASE("cholesky_solve") return nn_cholesky_solve(x[0], nn_cholesky(spd(c, x[1])));
    if (of(name, "cholesky_logdet", &r)) return nn_cholesky_logdet(nn_cholesky(spd(c, x[0])));
    CASE("inverse") return nn_inverse(plus_2(c, x[0]));
    CASE("inverse_pivot") return nn_inverse(x[0]);
    CASE("inverse_1") return nn_inverse(x[0]);
    if (of(name, "det", &r)) return nn_det(x[0]);
    return unknown();
}

static nn_tensor *batchnorm(const char *name, nn_tensor **x) {
    nn_batchnorm_options o;
    nn_tensor           *y;
    int                  stateless = !strcmp(name, "batchnorm_stateless"), plain = strstr(name, "plain") != NULL;
    memset(&o, 0, sizeof o);
    o.training = strstr(name, "eval") == NULL;
    if (!plain) o.weight = x[1], o.bias = x[2];
    if (!stateless) o.mean = x[plain ? 1 : 3], o.var = x[plain ? 2 : 4];
    if (strstr(name, "options")) o.momentum = 0.25, o.eps = 0.125;
    y = nn_batchnorm(x[0], &o);
    if (strstr(name, "_mean")) return y ? nn_clone(o.mean) : NULL;
    if (strstr(name, "_var")) return y ? nn_clone(o.var) : NULL;
    return y;
}

static nn_tensor *norms(nn_ctx *c, const char *name, nn_tensor **x) {
    const char *r;
    CASE("rmsnorm") return nn_rmsnorm(x[0], x[1], 1e-6);
    CASE("rmsnorm_3d") return nn_rmsnorm(x[0], x[1], 0.125);
    CASE("groupnorm") return nn_groupnorm(x[0], 3, x[1], x[2], 1e-5);
    CASE("groupnorm_2d") return nn_groupnorm(x[0], 2, x[1], x[2], 1e-5);
    CASE("groupnorm_4d") return nn_groupnorm(x[0], 2, x[1], x[2], 1e-5);
    CASE("groupnorm_plain") return nn_groupnorm(x[0], 3, NULL, NULL, 0.125);
    CASE("groupnorm_1") return nn_groupnorm(x[0], 1, x[1], x[2], 1e-5);
    CASE("groupnorm_all") return nn_groupnorm(x[0], 6, x[1], x[2], 1e-5);
    if (of(name, "batchnorm_", &r)) return batchnorm(name, x);
    (void)c;
    return unknown();
}

static nn_tensor *losses(nn_ctx *c, const char *name, nn_tensor **x) {
    static const struct { const char *name; nn_tensor *(*f)(nn_tensor *prediction, nn_tensor *target); } plain[] = {
        {"cross_entropy", nn_cross_entropy}, {"mse", nn_mse}, {"mae", nn_mae}, {"huber", nn_huber}, {"smooth_l1", nn_smooth_l1},
        {"log_cosh", nn_log_cosh}, {"kl", nn_kl}, {"poisson", nn_poisson}, {"hinge", nn_hinge}, {"bce", nn_bce},
        {"bce_logits", nn_bce_logits}, {"focal", nn_focal}};
    nn_loss_options o;
    nn_tensor      *target = x[1];
    char            s[64];
    const char     *r;
    char           *cut;
    memset(&o, 0, sizeof o);
    CASE("kl_gaussian") return nn_kl_gaussian(x[0], x[1], x[2], x[3]);
    CASE("kl_gaussian_unit") return nn_kl_gaussian(x[0], x[1], NULL, NULL);
    CASE("cosine_similarity_zero") return nn_cosine_similarity(x[0], x[1], 1);
    if (of(name, "cosine_similarity_", &r)) return nn_cosine_similarity(x[0], x[1], atoi(r));
    snprintf(s, sizeof s, "%s", name);
    CASE("bce_ends") snprintf(s, sizeof s, "bce_ends_none");
    CASE("gaussian_nll_small") snprintf(s, sizeof s, "gaussian_nll_small_none");
    cut = strrchr(s, '_');
    if (!cut) return unknown();
    if (!strcmp(cut, "_sum")) o.reduction = NN_SUM;
    else if (!strcmp(cut, "_none")) o.reduction = NN_NONE;
    else if (strcmp(cut, "_mean")) return unknown();
    *cut = 0;
    if (o.reduction == NN_MEAN)
        for (size_t i = 0; i < sizeof plain / sizeof *plain; i++)
            if (!strcmp(s, plain[i].name)) {
                if (!strcmp(s, "kl")) return nn_kl(nn_log_softmax(x[0], 1), nn_softmax(x[1], 1));
                return plain[i].f(x[0], x[1]);
            }
    if (of(s, "cross_entropy", &r)) {
        int soft = of(r, "_soft", &r) && (*r == 0 || *r == '_');
        if (soft) target = nn_softmax(x[1], -1);
        else r = s + 13;
        if (strstr(r, "weight") || strstr(r, "everything") || (!soft && strstr(r, "3d"))) o.weight = x[2];
        if (strstr(r, "smooth") || strstr(r, "everything")) o.smoothing = 0.125f;
        if (strstr(r, "ignore") || strstr(r, "everything")) o.ignores = 1, o.ignore = !strcmp(r, "_ignore") ? 1 : -100;
        return nn_loss_named("cross_entropy", x[0], target, &o);
    }
    if (strstr(s, "_delta")) o.delta = 0.75f;
    if (of(s, "mse", &r)) return nn_loss_named("mse", x[0], target, &o);
    if (of(s, "mae", &r)) return nn_loss_named("mae", x[0], target, &o);
    if (of(s, "huber", &r)) return nn_loss_named("huber", x[0], target, &o);
    if (of(s, "smooth_l1", &r)) return nn_loss_named("smooth_l1", x[0], target, &o);
    if (of(s, "log_cosh", &r)) return nn_loss_named("log_cosh", x[0], target, &o);
    if (!strcmp(s, "kl_zero")) return nn_loss_named("kl", x[0], target, &o);
    if (!strcmp(s, "kl")) return nn_loss_named("kl", nn_log_softmax(x[0], 1), nn_softmax(x[1], 1), &o);
    o.full = strstr(s, "_full") != NULL;
    if (of(s, "poisson", &r)) return nn_loss_named("poisson", x[0], target, &o);
    if (of(s, "bce_logits", &r)) {
        if (strstr(r, "weight")) o.weight = x[2];
        return nn_loss_named("bce_logits", x[0], target, &o);
    }
    if (of(s, "bce", &r)) return nn_loss_named("bce", x[0], target, &o);
    if (of(s, "focal", &r)) {
        if (!strcmp(r, "_options")) o.gamma = 1.5f, o.alpha = 0.75f;
        if (!strcmp(r, "_unbalanced")) o.alpha = NN_ZERO;
        return nn_loss_named("focal", x[0], target, &o);
    }
    if (of(s, "gaussian_nll", &r)) return nn_gaussian_nll(x[0], x[1], x[2], &o);
    if (!strcmp(s, "hinge_margin")) o.margin = 0.5f;
    if (!strcmp(s, "cosine_loss_margin")) o.margin = -0.5f;
    if (!strcmp(s, "triplet_margin")) o.margin = 0.25f;
    if (!strcmp(s, "contrastive_margin")) o.margin = 2;
    if (of(s, "hinge", &r)) return nn_loss_named("hinge", x[0], target, &o);
    if (of(s, "cosine_loss", &r)) return nn_cosine_loss(x[0], x[1], x[2], &o);
    if (of(s, "triplet", &r)) return nn_triplet(x[0], x[1], x[2], o.reduction == NN_MEAN && !o.margin ? NULL : &o);
    if (of(s, "contrastive", &r)) return nn_contrastive(x[0], x[1], x[2], o.reduction == NN_MEAN && !o.margin ? NULL : &o);
    (void)c;
    return unknown();
}

static nn_tensor *metrics(nn_ctx *c, const char *name, nn_tensor **x) {
    const char *r;
    char        s[64];
    double      v;
    if (of(name, "confusion", &r)) return nn_confusion(x[0], x[1]);
    if (of(name, "topk_accuracy_sklearn", &r)) v = nn_topk_accuracy(x[0], x[1], 3);
    else if (of(name, "topk_accuracy_", &r)) v = nn_topk_accuracy(x[0], x[1], atoi(r));
    else if (of(name, "accuracy_3d", &r)) v = nn_accuracy(x[0], x[1]);
    else if (of(name, "auc_real", &r)) v = nn_metric("auc", x[0], x[1]);
    else if (of(name, "auc", &r)) v = nn_roc_auc(x[0], x[1]);
    else if (of(name, "metric_", &r)) {
        int good = strstr(r, "_good") != NULL;
        snprintf(s, sizeof s, "%s", r);
        if (strstr(s, "_ties")) *strstr(s, "_ties") = 0;
        if (strstr(s, "_absent")) *strstr(s, "_absent") = 0;
        if (good) {
            nn_real_scores k;
            nn_tensor     *y = nn_add_scalar(x[1], 0.5);
            *strstr(s, "_good") = 0;
            k = nn_real_scores_of(x[0], y);
            v = !strcmp(s, "mse") ? k.mse : !strcmp(s, "rmse") ? k.rmse : !strcmp(s, "mae") ? k.mae : !strcmp(s, "r2") ? k.r2 : k.explained_variance;
        } else if (strstr(r, "_ties")) {
            nn_class_scores k = nn_class_scores_of(x[0], x[1]);
            v = !strcmp(s, "accuracy") ? k.accuracy : !strcmp(s, "precision") ? k.precision : !strcmp(s, "recall") ? k.recall : k.f1;
        } else v = nn_metric(s, x[0], x[1]);
    } else return unknown();
    return nn_full(c, NN_F64, NN_SCALAR, v);
}

static nn_tensor *evaluate(nn_ctx *c, const char *name, nn_tensor **x) {
    static nn_tensor *(*const parts[])(nn_ctx *, const char *, nn_tensor **) = {moves, elementwise, activations, reductions, scans, linear, norms, losses, metrics};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        nn_tensor *y;
        known = 1;
        y     = parts[i](c, name, x);
        if (y || known) return y;
    }
    return NULL;
}

/* ---- comparing ------------------------------------------------------------------------------------- */

static int has(const golden_case *k, char flag) { return strchr(k->flags, flag) != NULL; }
static int same_shape(nn_shape a, nn_shape b) {
    int ok = a.ndim == b.ndim;
    for (int i = 0; ok && i < a.ndim; i++) ok = a.dim[i] == b.dim[i];
    return ok;
}
static int is_real(const golden_case *k) { /* are there inputs of the type that is tested? */
    for (int i = 0; i < k->n_in; i++)
        if (!strchr("ijuIU", k->in[i].kind)) return 1;
    return 0;
}
static double smallest(nn_dtype t) { return t == NN_F32 ? 1.1754943508222875e-38 : 2.2250738585072014e-308; } /* normal number */

/* One real number; largest: of those it is compared with. */
static int near(double got, double want, double largest, const golden_case *k, nn_dtype t) {
    double most = t == NN_F32 ? 1e-5 : 1e-12;
    if (t == NN_F32) want = (double)(float)want;
    if (want != want || got != got) return want != want && got != got;
    if (has(k, 'z') && want == 0 && got == 0 && (1 / want < 0) != (1 / got < 0)) return 0;
    if (fabs(want) > 1e308 || fabs(got) > 1e308) return want == got;
    if (has(k, 'e')) return fabs(got - want) <= most * fabs(want) + smallest(t);
    return fabs(got - want) <= most * largest;
}

static void check(const golden_case *k, const char *where, const char *what, nn_tensor *x, const golden *g, nn_dtype t) {
    nn_dtype real = has(k, 'h') || !is_real(k) ? NN_F64 : t, dtype = g->dtype == NN_F64 ? real : g->dtype;
    double   largest = 0;
    void    *raw;
    char     text[200];
    int      ok;
    if (!x) { fail(k->name, where, "no tensor"); return; }
    if (!same_shape(nn_shape_of(x), g->shape) || nn_dtype_of(x) != dtype) {
        snprintf(text, sizeof text, "%s: another shape or dtype than expected: %d axes, %ld elements, %s", what, nn_ndim(x), (long)nn_numel(x), nn_dtype_name(nn_dtype_of(x)));
        fail(k->name, where, text);
        return;
    }
    raw = room((size_t)g->n, 8);
    ok  = nn_read(x, raw, (size_t)g->n * nn_dtype_size(dtype));
    if (!ok) fail(k->name, where, "nn_read");
    for (int64_t i = 0; i < g->n; i++)
        if (fabs(g->real[i]) > largest && fabs(g->real[i]) < 1e300) largest = fabs(g->real[i]);
    for (int64_t i = 0; ok && i < g->n; i++) {
        if (g->dtype != NN_F64) {
            int64_t got = dtype == NN_I64 ? ((int64_t *)raw)[i] : ((uint8_t *)raw)[i];
            ok          = got == g->whole[i];
            if (!ok) snprintf(text, sizeof text, "%s: element %ld is %ld, expected %ld", what, (long)i, (long)got, (long)g->whole[i]);
        } else {
            double got = real == NN_F32 ? (double)((float *)raw)[i] : ((double *)raw)[i];
            ok         = near(got, g->real[i], largest, k, t);
            if (!ok) snprintf(text, sizeof text, "%s: element %ld is %.17g, expected %.13g", what, (long)i, got, g->real[i]);
        }
        if (!ok) fail(k->name, where, text);
    }
    free(raw);
    verdict(ok);
    if (!ok) failed--; /* counted by fail */
}

/* ---- running --------------------------------------------------------------------------------------- */

/* The context's first failure, if any, fails the case it happened in and no later one. */
static int no_error(nn_ctx *c, const char *name, const char *where) {
    if (!nn_error(c)) return 1;
    fail(name, where, nn_error_text(c));
    nn_error_clear(c);
    return 0;
}

/* What a case gives: its value, then its gradients; those that do not exist are NULL. */
typedef struct result { nn_tensor *out[1 + INPUTS]; int n; } result;

/* p: inputs and dy, which were made before, are the plan's. */
static result run(const golden_case *k, nn_tensor *const *inputs, nn_tensor *dy, nn_dtype t, nn_plan *p, int flags) {
    nn_tensor *x[INPUTS + 1], *leaf[INPUTS];
    nn_ctx    *c = k->n_in ? nn_ctx_of(inputs[0]) : context;
    result     r;
    int        leaves = 0;
    memset(&r, 0, sizeof r);
    memset(x, 0, sizeof x);
    for (int i = 0; i < k->n_in; i++) {
        char name[24];
        snprintf(name, sizeof name, "x%d", i);
        x[i] = p ? nn_plan_input(p, name, inputs[i]) : inputs[i];
        if (differentiated(&k->in[i])) leaf[leaves++] = nn_requires_grad(x[i]);
    }
    r.out[0] = evaluate(c, k->name, x);
    r.n      = 1;
    if (!r.out[0] || !k->n_d) return r;
    r.n += k->n_d;
    if (p) dy = nn_plan_input(p, "dy", dy);
    else if (!dy) dy = upstream(c, r.out[0], t);
    if (r.out[0]->needs_grad) nn_grad_of(r.out[0], dy, leaf, leaves, r.out + 1, flags);
    return r;
}
static result run_eager(nn_ctx *c, const golden_case *k, nn_dtype t, int view, int flags) {
    nn_tensor *x[INPUTS + 1];
    for (int i = 0; i < k->n_in; i++) x[i] = make(c, &k->in[i], t, i + 1, view);
    return run(k, x, NULL, t, NULL, flags);
}

static void compare(nn_ctx *c, const golden_case *k, const char *where, const result *r, nn_dtype t) {
    if (!no_error(c, k->name, where)) return;
    check(k, where, "value", r->out[0], &k->y, t);
    for (int i = 0; i < k->n_d && r->out[0]; i++) {
        char what[32];
        snprintf(what, sizeof what, "gradient %d", i);
        check(k, where, what, r->out[1 + i] ? r->out[1 + i] : nn_zeros(c, t, k->d[i].shape), &k->d[i], t);
    }
    no_error(c, k->name, where);
}

/* What nn.h must give, eagerly and as a plan, to the bit. */
typedef struct bytes { char *p; size_t n, element; int nan; } bytes;
static bytes bytes_of(nn_tensor *x) {
    bytes b;
    memset(&b, 0, sizeof b);
    if (!x) return b;
    b.element = nn_dtype_size(nn_dtype_of(x));
    b.n       = (size_t)nn_numel(x) * b.element;
    b.p       = (char *)room(b.n, 1);
    b.nan     = nn_dtype_of(x) == NN_F32 || nn_dtype_of(x) == NN_F64;
    nn_read(x, b.p, b.n);
    return b;
}
static int same_bytes(const bytes *a, const bytes *b) { /* NaNs are alike */
    if (a->n != b->n || a->element != b->element) return 0;
    for (size_t i = 0; i < a->n; i += a->element) {
        float  f, g;
        double d, e;
        if (!memcmp(a->p + i, b->p + i, a->element)) continue;
        if (!a->nan) return 0;
        if (a->element == 4) {
            memcpy(&f, a->p + i, 4), memcpy(&g, b->p + i, 4);
            if (f == f || g == g) return 0;
        } else {
            memcpy(&d, a->p + i, 8), memcpy(&e, b->p + i, 8);
            if (d == d || e == e) return 0;
        }
    }
    return 1;
}

static void planned(nn_ctx *c, const golden_case *k, nn_dtype t) {
    const char *where = t == NN_F32 ? "planned, f32" : "planned, f64";
    bytes       want[1 + INPUTS];
    nn_tensor  *x[INPUTS + 1], *dy = NULL, *out[1 + INPUTS];
    result      r = run_eager(c, k, t, 0, 0);
    nn_plan    *p;
    int         n = r.n, outs = 0;
    if (!r.out[0] || nn_error(c)) { nn_error_clear(c); nn_reset(c); return; } /* told already */
    for (int i = 0; i < n; i++) want[i] = bytes_of(r.out[i]);
    for (int i = 0; i < k->n_in; i++) x[i] = make(c, &k->in[i], t, i + 1, 0);
    if (k->n_d) dy = upstream(c, r.out[0], t);
    p = nn_plan_begin(c, NULL);
    r = run(k, x, dy, t, p, 0);
    for (int i = 0; i < n; i++) {
        if (want[i].element && !r.out[i]) fail(k->name, where, "a result is missing");
        if (want[i].element && r.out[i]) out[outs++] = r.out[i];
    }
    nn_plan_end(p, out, outs);
    for (int again = 0; again < 2 && nn_plan_run(p); again++)
        for (int i = 0, m = 0; i < n; i++) {
            bytes got;
            if (!want[i].element || !r.out[i]) continue;
            got = bytes_of(out[m++]);
            if (same_bytes(&want[i], &got)) passed++;
            else fail(k->name, where, i ? "another gradient than eagerly" : "another value than eagerly");
            free(got.p);
        }
    no_error(c, k->name, where);
    nn_plan_free(p);
    nn_reset(c);
    for (int i = 0; i < n; i++) free(want[i].p);
}

/* Gradients by differences: of the inputs that are differentiated; the others are made anew. */
static nn_tensor *difference_case(nn_ctx *c, nn_tensor **x, void *user) {
    const golden_case *k = (const golden_case *)user;
    nn_tensor         *all[INPUTS + 1];
    memset(all, 0, sizeof all);
    for (int i = 0, n = 0; i < k->n_in; i++) all[i] = differentiated(&k->in[i]) ? x[n++] : make(c, &k->in[i], NN_F64, i + 1, 0);
    return evaluate(c, k->name, all);
}
static void differences(nn_ctx *c, golden_case *k) {
    nn_tensor *x[INPUTS];
    int        n = 0, most = has(k, '0') ? 0 : has(k, '1') ? 1 : 2;
    for (int i = 0; i < k->n_in; i++)
        if (differentiated(&k->in[i])) x[n++] = make(c, &k->in[i], NN_F64, i + 1, 0);
    for (int order = 1; order <= most; order++) {
        char   where[40];
        double worst = nn_gradcheck(difference_case, x, n, order, k);
        snprintf(where, sizeof where, "differences of order %d", order);
        if (!no_error(c, k->name, where)) break;
        if (worst < 1e-7) passed++;
        else {
            char what[40];
            snprintf(what, sizeof what, "off by %.3g", worst);
            fail(k->name, where, what);
        }
    }
    nn_reset(c);
}

/* What only moves elements takes every type. */
static void typed(nn_ctx *c, const golden_case *k) {
    static const nn_dtype types[] = {NN_I8, NN_U8, NN_I32, NN_I64, NN_F16, NN_BF16};
    for (size_t j = 0; j < sizeof types / sizeof *types; j++) {
        nn_tensor *x[INPUTS + 1], *y, *want, *got;
        int        ok;
        memset(x, 0, sizeof x);
        for (int i = 0; i < k->n_in; i++) {
            input in = k->in[i];
            if (in.kind == 'r') in.kind = 'w', in.high = 100;
            x[i] = make(c, &in, NN_F64, i + 1, 0);
        }
        want = evaluate(c, k->name, x);
        for (int i = 0; i < k->n_in; i++)
            if (k->in[i].kind == 'r') x[i] = nn_cast(x[i], types[j]);
        y    = evaluate(c, k->name, x);
        got  = nn_cast(y, NN_F64);
        want = types[j] == NN_F16 || types[j] == NN_BF16 ? want : nn_trunc(want);
        ok   = y && nn_dtype_of(y) == types[j] && nn_item(nn_all(nn_equal(got, want), NN_ALL, 0)) == 1;
        if (!no_error(c, k->name, nn_dtype_name(types[j]))) continue;
        if (ok) passed++;
        else fail(k->name, nn_dtype_name(types[j]), "another value than in f64");
        nn_reset(c);
    }
}

/* f16 and bf16 compute in f32: close to f32's result from the same inputs, and of their own type. */
static void halves(nn_ctx *c, const golden_case *k) {
    for (int j = 0; j < 2; j++) {
        nn_dtype   t = j ? NN_BF16 : NN_F16;
        nn_tensor *x[INPUTS + 1], *wide[INPUTS + 1], *y, *want;
        float     *a, *b, largest = 0;
        char       text[100];
        int        ok = 1;
        memset(x, 0, sizeof x);
        memset(wide, 0, sizeof wide);
        for (int i = 0; i < k->n_in; i++) {
            x[i] = wide[i] = make(c, &k->in[i], NN_F32, i + 1, 0);
            if (nn_dtype_of(x[i]) == NN_F32) x[i] = nn_cast(x[i], t), wide[i] = nn_cast(x[i], NN_F32);
        }
        y    = evaluate(c, k->name, x);
        want = evaluate(c, k->name, wide);
        if (!no_error(c, k->name, nn_dtype_name(t))) continue;
        if (want && y && nn_dtype_of(want) == NN_F32) {
            int64_t n = nn_numel(want);
            if (nn_dtype_of(y) != t) fail(k->name, nn_dtype_name(t), "the result is of another type");
            a = nn_f32(nn_contiguous(want)), b = nn_f32(nn_contiguous(nn_cast(y, NN_F32)));
            for (int64_t i = 0; i < n; i++)
                if (fabsf(a[i]) > largest && fabsf(a[i]) < 1e30f) largest = fabsf(a[i]);
            for (int64_t i = 0; i < n && ok; i++) {
                ok = a[i] == b[i] || (a[i] != a[i] && b[i] != b[i]) || fabsf(a[i] - b[i]) <= (j ? 2e-2f : 4e-3f) * largest;
                if (!ok) snprintf(text, sizeof text, "element %ld is %.9g, in f32 %.9g", (long)i, b[i], a[i]);
            }
            if (ok) passed++;
            else fail(k->name, nn_dtype_name(t), text);
        }
        nn_reset(c);
    }
}

/* More elements than a tile, not a multiple of anything: f32 against f64, and planned against eager. */
static void many(nn_ctx *c, const golden_case *k) {
    nn_tensor *x[2], *y, *d[2][2] = {{NULL, NULL}, {NULL, NULL}}, *out[2];
    input      in = k->in[0];
    in.shape      = NN_SHAPE(61, 67);
    x[1]          = NULL;
    for (int i = 0; i < 2; i++) {
        x[0] = nn_requires_grad(make(c, &in, i ? NN_F64 : NN_F32, 1, 0));
        y = d[i][0] = evaluate(c, k->name, x);
        if (y && y->needs_grad) nn_grad_of(y, upstream(c, y, i ? NN_F64 : NN_F32), x, 1, &d[i][1], 0);
    }
    for (int j = 0; j < 2 && d[0][j] && d[1][j]; j++) {
        nn_tensor *wide = nn_cast(d[0][j], NN_F64), *off = nn_max(nn_abs(nn_sub(wide, d[1][j])), NN_ALL, 0);
        double     most = 1e-5 * nn_item(nn_max(nn_abs(d[1][j]), NN_ALL, 0));
        if (nn_item(off) <= most) passed++;
        else fail(k->name, j ? "gradient of many" : "value of many", "f32 is far from f64");
    }
    for (int i = 0; i < 2; i++) {
        nn_tensor *leaf = make(c, &in, i ? NN_F64 : NN_F32, 1, 0), *dy = upstream(c, leaf, i ? NN_F64 : NN_F32);
        nn_plan   *p = nn_plan_begin(c, NULL);
        int        n = 1;
        x[0]   = nn_requires_grad(nn_plan_input(p, "x", leaf));
        dy     = nn_plan_input(p, "dy", dy);
        y      = evaluate(c, k->name, x);
        out[0] = nn_silu(nn_mul(y, dy)); /* a chain */
        if (d[i][1]) nn_grad_of(y, dy, x, 1, &out[n++], 0);
        if (nn_plan_end(p, out, n) && nn_plan_run(p))
            for (int j = 0; j < n; j++) {
                bytes want = bytes_of(j ? d[i][1] : nn_silu(nn_mul(d[i][0], upstream(c, d[i][0], i ? NN_F64 : NN_F32)))), got = bytes_of(out[j]);
                if (same_bytes(&want, &got)) passed++;
                else fail(k->name, i ? "many, planned, f64" : "many, planned, f32", j ? "another gradient than eagerly" : "another value than eagerly");
                free(want.p), free(got.p);
            }
        nn_plan_free(p);
    }
    no_error(c, k->name, "many");
    nn_reset(c);
}

static void run_case(nn_ctx *c, golden_case *k) {
    for (int i = 0; i < 2; i++) {
        nn_dtype t = i ? NN_F64 : NN_F32;
        result   r;
        if (i == 0 && !is_real(k)) continue; /* nothing that would differ */
        r = run_eager(c, k, t, 0, 0);
        if (!known) {
            fail(k->name, "evaluate", "no expression of this name");
            return;
        }
        compare(c, k, i ? "f64" : "f32", &r, t);
        nn_reset(c);
        if (k->n_d) {
            r = run_eager(c, k, t, 0, NN_CREATE_GRAPH);
            compare(c, k, i ? "f64, with a graph" : "f32, with a graph", &r, t);
            nn_reset(c);
        }
        if (!has(k, 'n') && k->n_in) {
            r = run_eager(c, k, t, 1, 0);
            compare(c, k, i ? "f64, of views" : "f32, of views", &r, t);
            nn_reset(c);
        }
        if (!has(k, 'n') && !has(k, 'h')) planned(c, k, t);
    }
    if (k->n_d) differences(c, k);
    if (has(k, 'm')) typed(c, k);
    if (has(k, 'b')) many(c, k);
    if (is_real(k) && !has(k, 'e') && !has(k, 'h')) halves(c, k);
}

/* ---- more elements, against the plainest loops ------------------------------------------------------ */

static void expect(int ok, const char *name, const char *what) {
    if (ok) passed++;
    else fail(name, "large", what);
}

enum { ROWS = 137, COLUMNS = 211, TOP = 17 };
typedef struct table { double v[ROWS * COLUMNS]; int axis, n; } table; /* its lanes: along axis, n elements each */
static table *given, *second;
static int    lanes(const table *x) { return x->axis ? ROWS : COLUMNS; }
static double at(const table *x, int lane, int i) { return x->axis ? x->v[lane * COLUMNS + i] : x->v[i * COLUMNS + lane]; }
/* Element i of a lane of y, whose axis may have another size. */
static double lane_of(nn_tensor *y, int axis, int lane, int i) { return axis ? nn_get(y, NN_SHAPE(lane, i)) : nn_get(y, NN_SHAPE(i, lane)); }
static nn_tensor *table_made(nn_ctx *c, table *x, nn_dtype t, int axis, double low, double high, int k, int floored) {
    input      in;
    nn_tensor *y;
    in.kind = floored ? 'w' : 'c', in.shape = NN_SHAPE(ROWS, COLUMNS), in.low = low, in.high = high, in.list = NULL;
    for (int64_t i = 0; i < ROWS * COLUMNS; i++) x->v[i] = element(&in, i, k);
    x->axis = axis;
    x->n    = axis ? COLUMNS : ROWS;
    y       = make(c, &in, t, k, 0);
    return y;
}

static void large_sort(nn_ctx *c, nn_dtype t, int axis, int down) {
    nn_tensor *index, *top_index, *x = table_made(c, given, t, axis, 0, 40, 3, 1), *y = nn_sort(x, axis, down, &index);
    nn_tensor *only = nn_argsort(x, axis, down), *top = nn_topk(x, axis, TOP, &top_index), *middle = nn_median(x, axis, 0);
    int        sorted = 1, stable = 1, complete = 1, right = 1;
    char       seen[COLUMNS];
    expect(nn_item(nn_all(nn_equal(only, index), NN_ALL, 0)) == 1, "argsort", "not the index of sort");
    for (int k = 0; k < lanes(given); k++) {
        memset(seen, 0, sizeof seen);
        for (int i = 0; i < given->n; i++) {
            int    from = (int)lane_of(index, axis, k, i), before = i ? (int)lane_of(index, axis, k, i - 1) : -1;
            double v = lane_of(y, axis, k, i), u = i ? lane_of(y, axis, k, i - 1) : v;
            complete &= from >= 0 && from < given->n && !seen[from];
            if (!complete) break;
            seen[from] = 1;
            right &= at(given, k, from) == v;
            sorted &= down ? u >= v : u <= v;
            stable &= u != v || before < from;
            if (down && i < TOP) right &= lane_of(top, axis, k, i) == v && (int)lane_of(top_index, axis, k, i) == from;
        }
        if (!down) right &= nn_get(middle, NN_SHAPE(k)) == lane_of(y, axis, k, (given->n - 1) / 2);
    }
    expect(sorted, "sort", "not in order");
    expect(stable, "sort", "equal elements changed places");
    expect(complete, "sort", "the index is no permutation");
    expect(right, "sort, topk, median", "other values than where the index points");
    nn_reset(c);
}

static void large_reductions(nn_ctx *c, nn_dtype t, int axis) {
    double     most = t == NN_F32 ? 2e-5 : 1e-12;
    nn_shape   axes = NN_AXES(axis);
    nn_tensor *x = table_made(c, given, t, axis, 0, 30, 2, 1), *largest = nn_argmax(x, axis, 0), *least = nn_argmin(x, axis, 0), *count = nn_count_nonzero(x, axes, 0);
    nn_tensor *some = nn_any(nn_equal(x, nn_scalar_like(x, 7)), axes, 0), *every = nn_all(nn_less(x, nn_scalar_like(x, 29)), axes, 0), *min = nn_min(x, axes, 0);
    nn_tensor *y = table_made(c, second, t, axis, -3, 4, 1, 0), *var = nn_var(y, axes, 0, 1), *std = nn_std(y, axes, 0, 0), *lse = nn_logsumexp(y, axes, 0);
    nn_tensor *norm = nn_norm(y, axes, 0, 3), *high = nn_norm(y, axes, 0, INFINITY);
    int        ok[11];
    for (int i = 0; i < 11; i++) ok[i] = 1;
    for (int k = 0; k < lanes(given); k++) {
        int    most_at = 0, least_at = 0, counted = 0, any = 0, all = 1;
        double mean = 0, squares = 0, exps = 0, cubes = 0, top = 0;
        for (int i = 0; i < given->n; i++) {
            double v = at(given, k, i), u = at(second, k, i);
            if (v > at(given, k, most_at)) most_at = i;
            if (v < at(given, k, least_at)) least_at = i;
            counted += v != 0, any |= v == 7, all &= v < 29;
            mean += u / given->n, exps += exp(u), cubes += fabs(u * u * u);
            if (fabs(u) > top) top = fabs(u);
        }
        for (int i = 0; i < given->n; i++) squares += (at(second, k, i) - mean) * (at(second, k, i) - mean);
        ok[0] &= nn_get(largest, NN_SHAPE(k)) == most_at;
        ok[1] &= nn_get(least, NN_SHAPE(k)) == least_at;
        ok[2] &= nn_get(count, NN_SHAPE(k)) == counted;
        ok[3] &= nn_get(some, NN_SHAPE(k)) == any;
        ok[4] &= nn_get(every, NN_SHAPE(k)) == all;
        ok[5] &= nn_get(min, NN_SHAPE(k)) == at(given, k, least_at);
        ok[6] &= fabs(nn_get(var, NN_SHAPE(k)) - squares / (given->n - 1)) <= most * squares;
        ok[7] &= fabs(nn_get(std, NN_SHAPE(k)) - sqrt(squares / given->n)) <= most * sqrt(squares);
        ok[8] &= fabs(nn_get(lse, NN_SHAPE(k)) - log(exps)) <= most * 10;
        ok[9] &= fabs(nn_get(norm, NN_SHAPE(k)) - cbrt(cubes)) <= most * cbrt(cubes);
        ok[10] &= nn_get(high, NN_SHAPE(k)) == (t == NN_F32 ? (double)(float)top : top);
    }
    for (int i = 0; i < 11; i++) {
        static const char *const names[] = {"argmax", "argmin", "count_nonzero", "any", "all", "min", "var", "std", "logsumexp", "norm 3", "norm inf"};
        expect(ok[i], names[i], axis ? "wrong along rows" : "wrong along columns");
    }
    nn_reset(c);
}

static void large_scans(nn_ctx *c, nn_dtype t, int axis) {
    double     most = t == NN_F32 ? 3e-5 : 1e-12;
    nn_tensor *a = table_made(c, given, t, axis, 0.9, 1.1, 1, 0), *b = table_made(c, second, t, axis, -1, 1, 2, 0);
    nn_tensor *sum = nn_cumsum(b, axis), *product = nn_cumprod(a, axis), *recurred = nn_recur(a, b, axis);
    int        ok[3] = {1, 1, 1};
    for (int k = 0; k < lanes(given); k++) {
        double s = 0, p = 1, y = 0;
        for (int i = 0; i < given->n; i++) {
            s += at(second, k, i), p *= at(given, k, i), y = y * at(given, k, i) + at(second, k, i);
            ok[0] &= fabs(lane_of(sum, axis, k, i) - s) <= most * (1 + fabs(s));
            ok[1] &= fabs(lane_of(product, axis, k, i) - p) <= most * (1 + p);
            ok[2] &= fabs(lane_of(recurred, axis, k, i) - y) <= most * (1 + fabs(y));
        }
    }
    expect(ok[0], "cumsum", axis ? "wrong along rows" : "wrong along columns");
    expect(ok[1], "cumprod", axis ? "wrong along rows" : "wrong along columns");
    expect(ok[2], "recur", axis ? "wrong along rows" : "wrong along columns");
    nn_reset(c);
}

static void large_moves(nn_ctx *c, nn_dtype t, int axis) {
    double     most = t == NN_F32 ? 1e-5 : 1e-12;
    int        n, picks = 500, ok[8];
    input      in;
    nn_tensor *x = table_made(c, given, t, axis, -1, 1, 1, 0), *index, *along, *rows, *added, *taken, *rolled, *flipped, *tiled, *padded, *scattered;
    n = given->n;
    in.kind = 'i', in.shape = NN_SHAPE(picks), in.low = 0, in.high = n, in.list = NULL;
    index   = make(c, &in, t, 2, 0);
    rows    = nn_index_select(x, axis, index);
    in.shape = NN_SHAPE(n), in.high = 7;
    added    = nn_index_add(x, axis, make(c, &in, t, 3, 0), 7);
    in.shape = NN_SHAPE(ROWS, COLUMNS), in.high = n;
    along    = make(c, &in, t, 1, 0);
    taken    = nn_take_along(x, axis, along);
    scattered = nn_scatter(x, axis, along, nn_scale(x, 3));
    rolled   = nn_roll(x, axis, 30);
    flipped  = nn_contiguous(nn_flip(x, NN_AXES(axis)));
    tiled    = nn_tile(x, axis, 3);
    padded   = nn_pad_with(x, axis, 20, 9, NN_PAD_REFLECT);
    for (int i = 0; i < 8; i++) ok[i] = 1;
    for (int k = 0; k < lanes(given); k++) {
        double sums[7] = {0, 0, 0, 0, 0, 0, 0}, to[COLUMNS];
        for (int i = 0; i < picks; i += 7) ok[0] &= lane_of(rows, axis, k, i) == nn_get(x, axis ? NN_SHAPE(k, (int64_t)nn_get(index, NN_SHAPE(i))) : NN_SHAPE((int64_t)nn_get(index, NN_SHAPE(i)), k));
        in.high = 7;
        for (int i = 0; i < n; i++) sums[(int)element(&in, i, 3)] += at(given, k, i), to[i] = at(given, k, i);
        for (int i = 0; i < 7; i++) ok[1] &= fabs(lane_of(added, axis, k, i) - sums[i]) <= most * 20;
        in.high = n;
        for (int i = 0; i < n; i++) {
            int from = (int)lane_of(along, axis, k, i);
            ok[2] &= lane_of(taken, axis, k, i) == at(given, k, from);
            to[from] = 3 * at(given, k, i);
            ok[3] &= lane_of(rolled, axis, k, (i + 30) % n) == at(given, k, i);
            ok[4] &= lane_of(flipped, axis, k, n - 1 - i) == at(given, k, i);
            ok[5] &= lane_of(tiled, axis, k, i + 2 * n) == at(given, k, i) && lane_of(tiled, axis, k, i) == at(given, k, i);
        }
        for (int i = 0; i < n; i++) ok[6] &= fabs(lane_of(scattered, axis, k, i) - to[i]) <= most;
        for (int i = 0; i < n + 29; i++) {
            int from = i - 20;
            if (from < 0) from = -from;
            if (from >= n) from = 2 * (n - 1) - from;
            ok[7] &= lane_of(padded, axis, k, i) == at(given, k, from);
        }
    }
    for (int i = 0; i < 8; i++) {
        static const char *const names[] = {"index_select", "index_add", "take_along", "roll", "flip", "tile", "scatter", "pad_with"};
        expect(ok[i], names[i], axis ? "wrong along rows" : "wrong along columns");
    }
    nn_reset(c);
}

static double furthest(nn_tensor *x, nn_tensor *y) { return nn_item(nn_max(nn_abs(nn_sub(x, y)), NN_ALL, 0)); }

/* Matrices of a batch, by what defines the results. */
static void large_matrices(nn_ctx *c, nn_dtype t) {
    double     most = t == NN_F32 ? 1e-5 : 1e-12;
    input      in;
    nn_tensor *x, *b, *l, *upper, *one, *plain;
    in.kind = 'c', in.low = -1, in.high = 1, in.list = NULL;
    in.shape = NN_SHAPE(7, 24, 24), plain = plus_2(c, make(c, &in, t, 1, 0));
    in.shape = NN_SHAPE(7, 24, 5), b = make(c, &in, t, 3, 0);
    x     = spd(c, plain);
    l     = nn_cholesky(x);
    upper = nn_transpose(l, -1, -2);
    one   = nn_expand(nn_eye(c, t, 24), NN_SHAPE(7, 24, 24));
    expect(furthest(nn_matmul(l, upper), x) <= most * 4, "cholesky", "L L^T is not x");
    expect(nn_item(nn_max(nn_abs(nn_triu(l, 1)), NN_ALL, 0)) == 0, "cholesky", "not zero above the diagonal");
    expect(furthest(nn_matmul(l, nn_triangular_solve(l, b, 0, 0)), b) <= most * 8, "triangular_solve", "l y is not b");
    expect(furthest(nn_matmul(upper, nn_triangular_solve(l, b, 0, 1)), b) <= most * 8, "triangular_solve", "l^T y is not b");
    expect(furthest(nn_matmul(upper, nn_triangular_solve(upper, b, 1, 0)), b) <= most * 8, "triangular_solve", "u y is not b");
    expect(furthest(nn_matmul(l, nn_triangular_solve(upper, b, 1, 1)), b) <= most * 8, "triangular_solve", "u^T y is not b");
    expect(furthest(nn_matmul(x, nn_cholesky_solve(b, l)), b) <= most * 64, "cholesky_solve", "x y is not b");
    expect(furthest(nn_matmul(plain, nn_inverse(plain)), one) <= most * 64, "inverse", "x times it is not 1");
    expect(furthest(nn_log(nn_det(x)), nn_cholesky_logdet(l)) <= most * 64, "det", "its ln is not cholesky_logdet");
    no_error(c, "large matrices", "");
    nn_reset(c);
}

static void large(nn_ctx *c) {
    given  = (table *)room(1, sizeof *given);
    second = (table *)room(1, sizeof *second);
    for (int i = 0; i < 4; i++) {
        nn_dtype t = i & 1 ? NN_F64 : NN_F32;
        large_sort(c, t, i >> 1, 0);
        large_sort(c, t, i >> 1, 1);
        large_reductions(c, t, i >> 1);
        large_scans(c, t, i >> 1);
        large_moves(c, t, i >> 1);
    }
    large_matrices(c, NN_F32);
    large_matrices(c, NN_F64);
    no_error(c, "large", "");
    free(given);
    free(second);
}

/* ---- the rest -------------------------------------------------------------------------------------- */

/* linear_act with each activation is linear and then the activation, for sizes that are no multiple of anything. */
static void linear_acts(nn_ctx *c) {
    for (int act = 0; act < NN_ACTS; act++)
        for (int rows = 1; rows <= 70; rows += 69) {
            nn_tensor *x[3], *dx[2][3], *y[2];
            double     off = 0;
            input      in;
            in.kind = 'c', in.low = -1, in.high = 1, in.list = NULL;
            in.shape = NN_SHAPE(rows, 65), x[0] = nn_requires_grad(make(c, &in, NN_F32, 1, 0));
            in.shape = NN_SHAPE(47, 65), x[1] = nn_requires_grad(make(c, &in, NN_F32, 2, 0));
            in.shape = NN_SHAPE(47), x[2] = nn_requires_grad(make(c, &in, NN_F32, 3, 0));
            y[0] = nn_linear_act(x[0], x[1], x[2], (nn_act)act);
            y[1] = nn_activate(nn_linear(x[0], x[1], x[2]), (nn_act)act);
            for (int i = 0; i < 2; i++) nn_grad_of(y[i], upstream(c, y[i], NN_F32), x, 3, dx[i], 0);
            for (int i = -1; i < 3; i++) {
                nn_tensor *a = i < 0 ? y[0] : dx[0][i], *b = i < 0 ? y[1] : dx[1][i];
                off = nn_item(nn_max(nn_abs(nn_sub(a, b)), NN_ALL, 0)) / nn_item(nn_max(nn_abs(b), NN_ALL, 0));
                expect(off <= 1e-5, "linear_act", i < 0 ? "not the activation of linear" : "another gradient than that of activation and linear");
            }
            no_error(c, "linear_act", "");
            nn_reset(c);
        }
}

static void names(void) {
    static const struct { const char *name; int act; } list[] = {
        {"none", NN_ACT_NONE}, {"linear", NN_ACT_NONE}, {"relu", NN_ACT_RELU}, {"sigmoid", NN_ACT_SIGMOID}, {"tanh", NN_ACT_TANH}, {"gelu", NN_ACT_GELU},
        {"gelu_tanh", NN_ACT_GELU_TANH}, {"silu", NN_ACT_SILU}, {"swish", NN_ACT_SILU}, {"mish", NN_ACT_MISH}, {"softplus", NN_ACT_SOFTPLUS},
        {"softsign", NN_ACT_SOFTSIGN}, {"log_sigmoid", NN_ACT_LOG_SIGMOID}, {"elu", NN_ACT_ELU}, {"selu", NN_ACT_SELU}, {"celu", NN_ACT_CELU},
        {"leaky_relu", NN_ACT_LEAKY_RELU}, {"relu6", NN_ACT_RELU6}, {"hard_sigmoid", NN_ACT_HARD_SIGMOID}, {"hard_swish", NN_ACT_HARD_SWISH},
        {"hard_tanh", NN_ACT_HARD_TANH}, {"exp", NN_ACT_EXP}, {"softmax", NN_ACT_SOFTMAX}, {"", -1}, {"Relu", -1}, {"relu7", -1}, {"soft", -1}};
    for (size_t i = 0; i < sizeof list / sizeof *list; i++) expect(nn_act_named(list[i].name) == list[i].act, "act_named", list[i].name);
    expect(nn_act_named(NULL) == -1, "act_named", "NULL");
}

/* Batch norm in a plan: values, gradients and running statistics, step after step, are the eager bits. */
static void batchnorm_planned(nn_ctx *c, nn_dtype t) {
    bytes                want[3][5], got;
    nn_tensor           *kept[2][2], *out[3], *dx;
    nn_batchnorm_options o;
    nn_plan             *p = NULL;
    input                in;
    memset(&o, 0, sizeof o);
    o.training = 1;
    in.kind = 'c', in.low = -2, in.high = 3, in.list = NULL;
    for (int way = 0; way < 2; way++) {
        kept[way][0] = nn_keep(nn_zeros(c, t, NN_SHAPE(3)));
        kept[way][1] = nn_keep(nn_ones(c, t, NN_SHAPE(3)));
    }
    for (int way = 0; way < 2; way++)
        for (int step = 0; step < 3; step++) {
            nn_tensor *x, *y, *dy, *weight;
            in.shape = NN_SHAPE(3), weight = make(c, &in, t, 2, 0);
            in.shape = NN_SHAPE(2, 3, 4), x = make(c, &in, t, step + 3, 0), dy = make(c, &in, t, 1, 0);
            if (way == 0 || step == 0) {
                if (way) p = nn_plan_begin(c, NULL), x = nn_plan_input(p, "x", x), dy = nn_plan_input(p, "dy", dy), weight = nn_plan_input(p, "weight", weight);
                o.mean = kept[way][0], o.var = kept[way][1], o.weight = weight;
                y = nn_batchnorm(nn_requires_grad(x), &o);
                nn_grad_of(y, dy, &x, 1, &dx, 0);
                out[0] = y, out[1] = dx;
                if (way) nn_plan_end(p, out, 2);
            } else nn_plan_bind(p, "x", x), nn_plan_bind(p, "dy", dy), nn_plan_bind(p, "weight", weight);
            if (way) nn_plan_run(p);
            for (int i = 0; i < 4; i++) {
                nn_tensor *z = i < 2 ? out[i] : kept[way][i - 2];
                if (!way) want[step][i] = bytes_of(z);
                else {
                    got = bytes_of(z);
                    expect(same_bytes(&want[step][i], &got), "batchnorm, planned", i < 2 ? "other bits than eagerly" : "other running statistics than eagerly");
                    free(got.p), free(want[step][i].p);
                }
            }
            no_error(c, "batchnorm, planned", "");
            if (!way || step) nn_reset(c);
        }
    nn_plan_free(p);
    for (int i = 0; i < 4; i++) nn_drop(kept[i & 1][i >> 1]);
    nn_reset(c);
}

/* Tensors without axes and with six: each unary function of the table gives what it gives for a vector. */
static void ranks(nn_ctx *c, const golden_case *k) {
    nn_tensor *x[2], *want, *y;
    input      in = k->in[0];
    in.shape = NN_SHAPE(24);
    x[1]     = NULL;
    x[0]     = make(c, &in, NN_F32, 1, 0);
    want     = evaluate(c, k->name, x);
    x[0]     = nn_permute(nn_reshape(x[0], NN_SHAPE(1, 2, 3, 1, 2, 2)), NN_AXES(5, 1, 3, 0, 2, 4));
    y        = nn_reshape(nn_permute(evaluate(c, k->name, x), NN_AXES(3, 1, 4, 2, 5, 0)), NN_SHAPE(24));
    expect(nn_item(nn_all(nn_equal(y, want), NN_ALL, 0)) == 1, k->name, "another value with six axes");
    x[0] = nn_select(make(c, &in, NN_F32, 1, 0), 0, 5);
    y    = evaluate(c, k->name, x);
    expect(nn_ndim(y) == 0 && nn_item(y) == nn_get(want, NN_SHAPE(5)), k->name, "another value without axes");
    no_error(c, k->name, "ranks");
    nn_reset(c);
}

static int failed_with(nn_ctx *c, nn_status code, const char *part) { /* and go on */
    int ok = nn_error(c) == code && strstr(nn_error_text(c), part) != NULL;
    if (!ok) printf("   got %d: %s\n", (int)nn_error(c), nn_error_text(c));
    nn_error_clear(c);
    return ok;
}
#define EXPECT(x) expect((x) != 0, "rest", #x)

static void rest(nn_ctx *c) {
    float           logits[] = {1, 2, 3, 3, 2, 1}, scores[] = {0.1f, 0.4f, 0.35f, 0.8f};
    uint8_t         bytes_of_class[] = {2, 0};
    int64_t         far[] = {INT64_C(9007199254740993), INT64_C(9007199254740992), -INT64_C(9007199254740993)};
    int32_t         ones[] = {1, 1, 1, 1}, mixed[] = {0, 0, 1, 1};
    nn_tensor      *x = nn_from(c, logits, NN_F32, NN_SHAPE(2, 3)), *score = nn_from(c, scores, NN_F32, NN_SHAPE(4)), *y, *index;
    nn_loss_options o;
    double          plain;
    /* labels whose type cannot hold what is ignored: nothing is */
    memset(&o, 0, sizeof o);
    o.reduction = NN_SUM;
    y           = nn_from(c, bytes_of_class, NN_U8, NN_SHAPE(2));
    plain       = nn_item(nn_loss_named("cross_entropy", x, y, &o));
    o.ignores = 1, o.ignore = -100;
    EXPECT(nn_item(nn_loss_named("cross_entropy", x, y, &o)) == plain);
    o.ignore = 256;
    EXPECT(nn_item(nn_loss_named("cross_entropy", x, y, &o)) == plain);
    /* all rows ignored: 0 (PyTorch: NaN) */
    o.reduction = NN_MEAN, o.ignore = 0;
    bytes_of_class[0] = 0;
    y                 = nn_from(c, bytes_of_class, NN_U8, NN_SHAPE(2));
    EXPECT(nn_item(nn_loss_named("cross_entropy", x, y, &o)) == 0);
    o.reduction = NN_SUM;
    EXPECT(nn_item(nn_loss_named("cross_entropy", x, y, &o)) == 0);
    EXPECT(nn_error(c) == NN_OK);
    /* integers that no double tells apart */
    y = nn_from(c, far, NN_I64, NN_SHAPE(3));
    EXPECT(nn_item(nn_equal(nn_slice(y, 0, 0, 1, 1), nn_slice(y, 0, 1, 2, 1))) == 0 && nn_item(nn_less(nn_slice(y, 0, 1, 2, 1), nn_slice(y, 0, 0, 1, 1))) == 1);
    EXPECT(nn_sort(y, 0, 0, &index) != NULL && nn_i64(nn_contiguous(index))[0] == 2 && nn_i64(nn_contiguous(index))[1] == 1);
    EXPECT(nn_item(nn_argmax(y, 0, 0)) == 0 && nn_item(nn_argmin(y, 0, 0)) == 2);
    EXPECT(nn_i64(nn_contiguous(nn_where(nn_less(y, nn_full(c, NN_I64, NN_SCALAR, 5)), nn_full(c, NN_I64, NN_SCALAR, 5), y)))[0] == far[0]);
    /* integers as targets of the other losses count as reals */
    y = nn_from(c, mixed, NN_I32, NN_SHAPE(4));
    EXPECT(fabs(nn_item(nn_bce_logits(score, y)) - nn_item(nn_bce_logits(score, nn_cast(y, NN_F32)))) == 0);
    EXPECT(fabs(nn_item(nn_mse(score, nn_cast(y, NN_F32))) - nn_item(nn_loss_named("mse", score, y, NULL))) == 0);
    /* metrics of one class only have no value; what is unknown is an error */
    EXPECT(isnan(nn_roc_auc(score, nn_from(c, ones, NN_I32, NN_SHAPE(4)))) && nn_error(c) == NN_OK);
    EXPECT(fabs(nn_roc_auc(score, nn_from(c, mixed, NN_I32, NN_SHAPE(4))) - 0.75) < 1e-12);
    EXPECT(isnan(nn_metric("acuracy", x, y)) && failed_with(c, NN_ERR_ARG, "acuracy"));
    EXPECT(nn_loss_named("huuber", score, score, NULL) == NULL && failed_with(c, NN_ERR_ARG, "huuber"));
    EXPECT(isnan(nn_accuracy(x, y)) && failed_with(c, NN_ERR_SHAPE, "[4]"));
    EXPECT(isnan(nn_real_scores_of(x, score).r2) && failed_with(c, NN_ERR_SHAPE, "[4]"));
    EXPECT(isnan(nn_metric("f1", NULL, y)) && isnan(nn_topk_accuracy(NULL, y, 1)) && nn_confusion(NULL, y) == NULL && isnan(nn_roc_auc(NULL, y)));
    nn_reset(c);
}

int main(int argc, char **argv) {
    char        *text = read_text(argc > 1 ? argv[1] : "tests/golden_breadth.txt");
    int          n;
    golden_case *list = read_golden(text, &n);
    nn_config    config;
    nn_ctx      *c, *one;
    memset(&config, 0, sizeof config);
    config.quiet   = 1; /* failures are printed here */
    config.threads = 2;
    context = c = nn_begin(&config);
    for (int i = 0; i < n; i++)
        if (argc < 3 || strstr(list[i].name, argv[2])) run_case(c, &list[i]);
    for (int i = 0; i < n; i++)
        if (argc < 3 && has(&list[i], 'b')) ranks(c, &list[i]);
    if (argc < 3) {
        config.threads = 1;
        one            = nn_begin(&config);
        large(one);
        large(c);
        nn_end(one);
        linear_acts(c);
        names();
        batchnorm_planned(c, NN_F32);
        batchnorm_planned(c, NN_F64);
        rest(c);
    }
    no_error(c, "at the end", "");
    nn_end(c);
    for (int i = 0; i < n; i++) {
        for (int j = 0; j < list[i].n_in; j++) free(list[i].in[j].list);
        for (int j = -1; j < list[i].n_d; j++) {
            free(j < 0 ? list[i].y.real : list[i].d[j].real);
            free(j < 0 ? list[i].y.whole : list[i].d[j].whole);
        }
    }
    free(list);
    free(text);
    printf("breadth: %d passed, %d failed, %d skipped\n", passed, failed, skipped);
    return failed != 0;
}
