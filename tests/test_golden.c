/* Compares nn.h with what PyTorch and NumPy computed: tests/golden.txt and golden_print.txt, made by tests/golden.py.
 *
 *     test_golden [path of golden.txt]
 *
 * C99 and C++11. Inputs come from a formula that both sides know; each case here has its line of the same name there. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#define NN_IMPLEMENTATION
#include "nn.h"

static int passed, failed;

static void verdict(int ok) {
    if (ok) passed++;
    else failed++;
}

/* ---- the golden file ------------------------------------------------------------------------------- */

typedef struct golden {
    const char *name;
    nn_dtype    dtype;
    nn_shape    shape;
    int64_t     n;
    double     *real;  /* f32, f64 */
    int64_t    *whole; /* integers: a double would lose the limits of i64 */
} golden;

static golden *list;
static int     listed;

static char *read_text(const char *path) {
    FILE  *f    = fopen(path, "rb");
    size_t size = 0, room = 1 << 16, got;
    char  *text = (char *)malloc(room + 1);
    if (!f || !text) {
        fprintf(stderr, "cannot read %s\n", path);
        exit(2);
    }
    while ((got = fread(text + size, 1, room - size, f)) > 0) {
        size += got;
        if (size == room) text = (char *)realloc(text, (room *= 2) + 1);
        if (!text) exit(2);
    }
    fclose(f);
    text[size] = 0;
    return text;
}

static nn_dtype dtype_named(const char *name) {
    static const nn_dtype all[] = {NN_F32, NN_F64, NN_I32, NN_I64, NN_U8};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (!strcmp(name, nn_dtype_name(all[i]))) return all[i];
    fprintf(stderr, "golden.txt: dtype %s\n", name);
    exit(2);
}

/* Cuts one line, in place, into its words. */
static char *word(char **at) {
    char *start = *at, *end = start;
    while (*end && *end != ' ') end++;
    *at = *end ? end + 1 : end;
    *end = 0;
    return start;
}

static void read_golden(char *text) {
    int lines = 0;
    for (char *p = text; *p; p++) lines += *p == '\n';
    list = (golden *)calloc((size_t)lines + 1, sizeof *list);
    while (*text) {
        char   *end = strchr(text, '\n'), *next = end ? end + 1 : text + strlen(text);
        golden *g   = &list[listed];
        if (end) *end = 0;
        g->name       = word(&text);
        g->dtype      = dtype_named(word(&text));
        g->shape.ndim = atoi(word(&text));
        g->n          = 1;
        for (int i = 0; i < g->shape.ndim; i++) g->n *= g->shape.dim[i] = atoi(word(&text));
        g->real  = (double *)calloc((size_t)g->n + 1, sizeof(double));
        g->whole = (int64_t *)calloc((size_t)g->n + 1, sizeof(int64_t));
        for (int64_t i = 0; i < g->n; i++) {
            const char *w = word(&text);
            g->real[i]    = strtod(w, NULL);
            g->whole[i]   = strtoll(w, NULL, 10);
        }
        listed++;
        text = next;
    }
}

static const golden *find(const char *name) {
    for (int i = 0; i < listed; i++)
        if (!strcmp(list[i].name, name)) return &list[i];
    printf("FAIL %s: not in golden.txt\n", name);
    return NULL;
}

/* ---- comparing ------------------------------------------------------------------------------------- */

static const char *short_name(nn_dtype t) { return t == NN_F32 ? "f32" : "f64"; }

/* Largest difference, relative to the largest value that is expected. */
static void check_values(const char *name, const double *got, const golden *g, double tolerance) {
    double  largest = 0, worst = 0;
    int64_t at = 0;
    for (int64_t i = 0; i < g->n; i++)
        if (fabs(g->real[i]) > largest) largest = fabs(g->real[i]);
    for (int64_t i = 0; i < g->n; i++) {
        double d = fabs(got[i] - g->real[i]);
        if (d > worst || d != d) worst = d, at = i;
        if (d != d) break;
    }
    verdict(worst <= tolerance * largest);
    if (!(worst <= tolerance * largest))
        printf("FAIL %s: element %ld is %.9g, expected %.9g; off by %.3g of the largest, %.3g allowed\n", name, (long)at, got[at], g->real[at],
               largest > 0 ? worst / largest : worst, tolerance);
}

static void check(const char *name, nn_tensor *x, double tolerance) {
    const golden *g = find(name);
    nn_shape      s = nn_shape_of(x);
    double       *got;
    int           ok;
    if (!g || !x) {
        if (g) printf("FAIL %s: no tensor\n", name);
        verdict(0);
        return;
    }
    ok = s.ndim == g->shape.ndim && nn_dtype_of(x) == g->dtype;
    for (int i = 0; ok && i < s.ndim; i++) ok = s.dim[i] == g->shape.dim[i];
    if (!ok) {
        printf("FAIL %s: another shape or dtype than expected: %d axes, %ld elements, %s\n", name, s.ndim, (long)nn_numel(x), nn_dtype_name(nn_dtype_of(x)));
        verdict(0);
        return;
    }
    got = (double *)calloc((size_t)g->n + 1, sizeof(double));
    if (g->dtype == NN_F64) {
        ok = nn_read(x, got, (size_t)g->n * sizeof(double));
    } else {
        float *f = (float *)calloc((size_t)g->n + 1, sizeof(float));
        ok       = nn_read(x, f, (size_t)g->n * sizeof(float));
        for (int64_t i = 0; i < g->n; i++) got[i] = f[i];
        free(f);
    }
    if (ok) check_values(name, got, g, tolerance);
    else {
        printf("FAIL %s: nn_read\n", name);
        verdict(0);
    }
    free(got);
}

static void check_number(const char *name, double got, double want, double tolerance) {
    int ok = fabs(got - want) <= tolerance * fabs(want);
    verdict(ok);
    if (!ok) printf("FAIL %s: %.9g, expected %.9g\n", name, got, want);
}

/* ---- inputs by formula: the other half is in golden.py --------------------------------------------- */

static double formula(int64_t i, double low, double high, int k) {
    double u = 0.5 + (double)(i + 1) * 0.6180339887498949 + 0.13 * k;
    return low + (high - low) * (u - floor(u));
}

static nn_tensor *make(nn_ctx *c, nn_dtype t, nn_shape shape, double low, double high, int k, int floored) {
    int64_t    n = 1;
    double    *v;
    void      *raw;
    nn_tensor *x;
    for (int i = 0; i < shape.ndim; i++) n *= shape.dim[i];
    v   = (double *)malloc((size_t)n * sizeof(double));
    raw = malloc((size_t)n * sizeof(double));
    for (int64_t i = 0; i < n; i++) {
        v[i] = formula(i, low, high, k);
        if (floored) v[i] = floor(v[i]);
        switch (t) {
        case NN_F32: ((float *)raw)[i] = (float)v[i]; break;
        case NN_F64: ((double *)raw)[i] = v[i]; break;
        case NN_I32: ((int32_t *)raw)[i] = (int32_t)v[i]; break;
        case NN_I64: ((int64_t *)raw)[i] = (int64_t)v[i]; break;
        default: ((uint8_t *)raw)[i] = (uint8_t)v[i]; break;
        }
    }
    x = nn_from(c, raw, t, shape);
    free(raw);
    free(v);
    return x;
}

static nn_tensor *values(nn_ctx *c, nn_dtype t, nn_shape shape, double low, double high, int k) { return make(c, t, shape, low, high, k, 0); }
static nn_tensor *whole(nn_ctx *c, nn_dtype t, nn_shape shape, int high, int k) { return make(c, t, shape, 0, high, k, 1); }
static nn_tensor *leaf(nn_ctx *c, nn_dtype t, nn_shape shape, double low, double high, int k) {
    return nn_requires_grad(values(c, t, shape, low, high, k));
}

/* ---- layers and losses ----------------------------------------------------------------------------- */

/* The context's first failure, if any, fails the case it happened in and no later one. */
static void no_error(nn_ctx *c, const char *name) {
    if (!nn_error(c)) return;
    printf("FAIL %s: %s\n", name, nn_error_text(c));
    verdict(0);
    nn_error_clear(c);
}

/* Value and gradients of y = f(a, b, d); the last ones may be NULL. */
static void op(const char *name, nn_dtype t, nn_tensor *y, nn_tensor *a, nn_tensor *b, nn_tensor *d) {
    nn_ctx    *c    = nn_ctx_of(a);
    double     most = t == NN_F32 ? 1e-5 : 1e-12;
    nn_tensor *x[3];
    char       full[96];
    x[0] = a, x[1] = b, x[2] = d;
    snprintf(full, sizeof full, "%s.%s.y", name, short_name(t));
    check(full, y, most);
    if (y) nn_backward_from(y, values(c, t, nn_shape_of(y), -1, 1, 9), 0);
    for (int i = 0; i < 3 && x[i]; i++) {
        snprintf(full, sizeof full, "%s.%s.d%d", name, short_name(t), i);
        check(full, nn_grad(x[i]), most);
    }
    no_error(c, name);
    nn_reset(c);
}

static void linears(nn_ctx *c, nn_dtype t) {
    static const char *const names[] = {"linear_none", "linear_relu", "linear_sigmoid", "linear_tanh", "linear_gelu"};
    nn_tensor *x, *w, *b;
    for (int act = NN_ACT_NONE; act <= NN_ACT_GELU; act++)
        for (int way = 0; way < 3; way++) { /* fused, an activation by number, and with the act written out as ops */
            nn_tensor *y;
            x = leaf(c, t, NN_SHAPE(5, 7), -2, 2, 1), w = leaf(c, t, NN_SHAPE(4, 7), -1, 1, 2), b = leaf(c, t, NN_SHAPE(4), -1, 1, 3);
            if (way == 0) y = nn_linear_act(x, w, b, (nn_act)act);
            else if (way == 1) y = nn_activate(nn_linear(x, w, b), (nn_act)act);
            else {
                y = nn_add(nn_matmul(x, nn_transpose(w, 0, 1)), b);
                if (act == NN_ACT_RELU) y = nn_relu(y);
                if (act == NN_ACT_SIGMOID) y = nn_sigmoid(y);
                if (act == NN_ACT_TANH) y = nn_tanh(y);
                if (act == NN_ACT_GELU) y = nn_gelu(y);
            }
            op(names[act], t, y, x, w, b);
        }
    x = leaf(c, t, NN_SHAPE(5, 7), -2, 2, 1), w = leaf(c, t, NN_SHAPE(4, 7), -1, 1, 2);
    op("linear_nobias", t, nn_linear(x, w, NULL), x, w, NULL);
    x = leaf(c, t, NN_SHAPE(2, 3, 7), -2, 2, 1), w = leaf(c, t, NN_SHAPE(4, 7), -1, 1, 2), b = leaf(c, t, NN_SHAPE(4), -1, 1, 3);
    op("linear_3d", t, nn_linear(x, w, b), x, w, b);
    x = leaf(c, t, NN_SHAPE(17, 23), -2, 2, 1), w = leaf(c, t, NN_SHAPE(19, 23), -1, 1, 2), b = leaf(c, t, NN_SHAPE(19), -1, 1, 3);
    op("linear_odd", t, nn_linear(x, w, b), x, w, b);
}

static void elementwise(nn_ctx *c, nn_dtype t) {
    static const struct {
        const char *name;
        nn_tensor *(*f)(nn_tensor *x);
        double low, high;
    } one[] = {{"relu", nn_relu, -6, 6}, {"sigmoid", nn_sigmoid, -6, 6}, {"tanh", nn_tanh, -6, 6}, {"gelu", nn_gelu, -6, 6},    {"erf", nn_erf, -4, 4},
               {"exp", nn_exp, -6, 6},   {"log", nn_log, 0.01, 20},      {"sqrt", nn_sqrt, 0.01, 20}, {"square", nn_square, -6, 6}};
    static const struct {
        const char *name;
        nn_tensor *(*f)(nn_tensor *x, nn_tensor *y);
    } two[] = {{"add", nn_add}, {"sub", nn_sub}, {"mul", nn_mul}, {"div", nn_div}};
    for (size_t i = 0; i < sizeof one / sizeof *one; i++) {
        nn_tensor *x = leaf(c, t, NN_SHAPE(30), one[i].low, one[i].high, 1);
        op(one[i].name, t, one[i].f(x), x, NULL, NULL);
    }
    for (size_t i = 0; i < sizeof two / sizeof *two; i++) {
        nn_tensor *x = leaf(c, t, NN_SHAPE(3, 1, 4), -2, 2, 1), *y = leaf(c, t, NN_SHAPE(2, 1), 1, 3, 2);
        op(two[i].name, t, two[i].f(x, y), x, y, NULL);
    }
}

static void norms(nn_ctx *c, nn_dtype t) {
    static const char *const soft[] = {"softmax_0", "softmax_1", "softmax_2"}, *const logs[] = {"log_softmax_0", "log_softmax_1", "log_softmax_2"};
    static const nn_dtype    labels[] = {NN_I32, NN_I64, NN_U8};
    nn_tensor *x, *w, *b;
    x = leaf(c, t, NN_SHAPE(6, 10), -3, 3, 1), w = leaf(c, t, NN_SHAPE(10), 0.5, 1.5, 2), b = leaf(c, t, NN_SHAPE(10), -1, 1, 3);
    op("layernorm", t, nn_layernorm(x, w, b, 1e-5), x, w, b);
    x = leaf(c, t, NN_SHAPE(2, 3, 5), 90, 110, 1), w = leaf(c, t, NN_SHAPE(5), 0.5, 1.5, 2), b = leaf(c, t, NN_SHAPE(5), -1, 1, 3);
    op("layernorm_3d", t, nn_layernorm(x, w, b, 1e-5), x, w, b);
    for (int axis = -3; axis < 3; axis++) {
        x = leaf(c, t, NN_SHAPE(3, 4, 5), -4, 4, 1);
        op(soft[(axis + 3) % 3], t, nn_softmax(x, axis), x, NULL, NULL);
        x = leaf(c, t, NN_SHAPE(3, 4, 5), -4, 4, 1);
        op(logs[(axis + 3) % 3], t, nn_log_softmax(x, axis), x, NULL, NULL);
    }
    x = leaf(c, t, NN_SHAPE(4, 6), -900, 900, 1);
    op("softmax_far", t, nn_softmax(x, 1), x, NULL, NULL);
    for (int i = 0; i < 3; i++) {
        x = leaf(c, t, NN_SHAPE(8, 5), -3, 3, 1);
        op("cross_entropy_2d", t, nn_cross_entropy(x, whole(c, labels[i], NN_SHAPE(8), 5, 2)), x, NULL, NULL);
        x = leaf(c, t, NN_SHAPE(2, 3, 7), -3, 3, 1);
        op("cross_entropy_3d", t, nn_cross_entropy(x, whole(c, labels[i], NN_SHAPE(2, 3), 7, 2)), x, NULL, NULL);
    }
    x = leaf(c, t, NN_SHAPE(4, 6), -900, 900, 1);
    op("cross_entropy_far", t, nn_cross_entropy(x, whole(c, NN_I64, NN_SHAPE(4), 6, 2)), x, NULL, NULL);
    x = leaf(c, t, NN_SHAPE(4, 6), -2, 2, 1), b = leaf(c, t, NN_SHAPE(4, 6), -1, 3, 2);
    op("mse", t, nn_mse(x, b), x, b, NULL);
}

static void matmuls(nn_ctx *c, nn_dtype t) {
    nn_tensor *x, *y;
    x = leaf(c, t, NN_SHAPE(5, 7), -1, 1, 1), y = leaf(c, t, NN_SHAPE(7, 3), -1, 1, 2);
    op("matmul_2d", t, nn_matmul(x, y), x, y, NULL);
    x = leaf(c, t, NN_SHAPE(7, 5), -1, 1, 1), y = leaf(c, t, NN_SHAPE(3, 7), -1, 1, 2);
    op("matmul_turned", t, nn_matmul(nn_transpose(x, 0, 1), nn_transpose(y, 0, 1)), x, y, NULL);
    x = leaf(c, t, NN_SHAPE(2, 3, 4, 5), -1, 1, 1), y = leaf(c, t, NN_SHAPE(2, 3, 5, 2), -1, 1, 2);
    op("matmul_batch", t, nn_matmul(x, y), x, y, NULL);
    x = leaf(c, t, NN_SHAPE(2, 1, 4, 5), -1, 1, 1), y = leaf(c, t, NN_SHAPE(3, 5, 6), -1, 1, 2);
    op("matmul_spread", t, nn_matmul(x, y), x, y, NULL);
    x = leaf(c, t, NN_SHAPE(4, 5), -1, 1, 1), y = leaf(c, t, NN_SHAPE(2, 5, 3), -1, 1, 2);
    op("matmul_one_left", t, nn_matmul(x, y), x, y, NULL);
    x = leaf(c, t, NN_SHAPE(2, 4, 5), -1, 1, 1), y = leaf(c, t, NN_SHAPE(5, 3), -1, 1, 2);
    op("matmul_one_right", t, nn_matmul(x, y), x, y, NULL);
}

static void moves_and_reductions(nn_ctx *c, nn_dtype t) {
    nn_tensor *x;
    x = leaf(c, t, NN_SHAPE(3, 4, 5), -1, 1, 1);
    op("gather_0", t, nn_gather(x, 0, whole(c, NN_I64, NN_SHAPE(6, 4, 5), 3, 2)), x, NULL, NULL);
    x = leaf(c, t, NN_SHAPE(3, 4, 5), -1, 1, 1);
    op("gather_1", t, nn_gather(x, 1, whole(c, NN_I32, NN_SHAPE(3, 6, 5), 4, 2)), x, NULL, NULL);
    x = leaf(c, t, NN_SHAPE(3, 4, 5), -1, 1, 1);
    op("gather_2", t, nn_gather(x, -1, whole(c, NN_U8, NN_SHAPE(3, 4, 7), 5, 2)), x, NULL, NULL);

    x = nn_requires_grad(whole(c, t, NN_SHAPE(3, 4, 5), 3, 1));
    op("max_0", t, nn_max(x, NN_AXES(0), 0), x, NULL, NULL);
    x = nn_requires_grad(whole(c, t, NN_SHAPE(3, 4, 5), 3, 1));
    op("max_1k", t, nn_max(x, NN_AXES(1), 1), x, NULL, NULL);
    x = nn_requires_grad(whole(c, t, NN_SHAPE(3, 4, 5), 3, 1));
    op("max_02", t, nn_max(x, NN_AXES(0, -1), 0), x, NULL, NULL);
    x = nn_requires_grad(whole(c, t, NN_SHAPE(3, 4, 5), 3, 1));
    op("max_all", t, nn_max(x, NN_ALL, 0), x, NULL, NULL);
    x = leaf(c, t, NN_SHAPE(3, 4, 5), -1, 1, 1);
    op("sum_02", t, nn_sum(x, NN_AXES(0, 2), 0), x, NULL, NULL);
    x = leaf(c, t, NN_SHAPE(3, 4, 5), -1, 1, 1);
    op("mean_1k", t, nn_mean(x, NN_AXES(1), 1), x, NULL, NULL);
}

/* ---- optimisers ------------------------------------------------------------------------------------ */

enum { STEPS = 12 };

static int b_rests; /* for adamw_rest: b takes no part in this step */

/* Two parameters whose gradients are the first 12 and the last 5 elements of g. */
static nn_tensor *two_parameters(nn_scope s, nn_tensor *g) {
    nn_tensor *a = nn_param(s, "a", NN_SHAPE(3, 4), nn_init_zeros());
    nn_tensor *b = nn_param(s, "b", NN_SHAPE(5), nn_init_zeros());
    nn_tensor *y = nn_sum(nn_mul(a, nn_reshape(nn_slice(g, 0, 0, 12, 1), NN_SHAPE(3, 4))), NN_ALL, 0);
    if (b_rests) return y;
    return nn_add(y, nn_sum(nn_mul(b, nn_slice(g, 0, 12, NN_TO_END, 1)), NN_ALL, 0));
}

/* Parameters are leaves: they are set with nothing recorded. */
static void set_parameter(nn_model *m, nn_ctx *c, const char *name, double low, double high, int k) {
    int        was = nn_no_grad(c, 1);
    nn_tensor *p   = nn_model_tensor(m, c, name);
    nn_tensor *v   = values(c, nn_dtype_of(p), nn_shape_of(p), low, high, k);
    nn_write(p, nn_ptr(v), (size_t)nn_numel(v) * nn_dtype_size(nn_dtype_of(v)));
    nn_no_grad(c, was);
}

static nn_optim *optimiser(nn_model *m, const char *name, nn_dtype t) {
    nn_optim_options o;
    int              exact = t == NN_F64; /* see golden.py: options that floats hold exactly */
    float            decay = exact ? 0.03125f : 0.01f;
    memset(&o, 0, sizeof o);
    if (!exact && !strcmp(name, "sgd_momentum")) return nn_sgd(m, 0.1f, 0.9f);
    if (!exact && !strcmp(name, "adam")) return nn_adam(m, 0.1f);
    if (!exact && !strncmp(name, "adamw", 5)) return nn_adamw(m, 0.1f, 0.01f);
    o.lr   = exact ? 0.125f : 0.1f;
    o.kind = !strncmp(name, "adamw", 5) ? NN_ADAMW : !strncmp(name, "adam", 4) ? NN_ADAM : NN_SGD;
    if (exact && o.kind != NN_SGD) o.beta1 = 0.875f, o.beta2 = 0.96875f, o.eps = 1.0f / (1 << 20);
    if (!strcmp(name, "sgd_momentum") || !strcmp(name, "sgd_both")) o.momentum = exact ? 0.875f : 0.9f;
    if (strstr(name, "_decay") || !strcmp(name, "sgd_both") || o.kind == NN_ADAMW) o.weight_decay = decay;
    return nn_optim_new(m, &o);
}

static void optimise(nn_ctx *c, const char *name, nn_dtype t) {
    nn_model     *m    = nn_model_new(c, two_parameters, NULL);
    nn_optim     *o;
    double        most = t == NN_F32 ? 1e-5 : 1e-12;
    char          full[96];
    const golden *norms_of = NULL;
    b_rests = 0;
    nn_model_dtype(m, t);
    nn_model_build(m, t, NN_SHAPE(17));
    set_parameter(m, c, "a", -1, 1, 1);
    set_parameter(m, c, "b", -1, 1, 2);
    o = optimiser(m, name, t);
    if (!strcmp(name, "sgd_cosine")) nn_set_lr(o, nn_lr_cosine(0.5f, 4, 10, 0.0625f));
    snprintf(full, sizeof full, "%s.%s.norms", name, short_name(t));
    if (!strcmp(name, "adamw_clip")) norms_of = find(full);
    for (int s = 0; s < STEPS; s++) {
        double size = s % 3 == 2 ? 0.05 : 1.0;
        b_rests     = !strcmp(name, "adamw_rest") && s % 2;
        nn_backward(nn_forward(m, values(c, t, NN_SHAPE(17), -size, size, 3 + s)));
        if (norms_of) {
            snprintf(full, sizeof full, "%s.%s.norm before step %d", name, short_name(t), s + 1);
            check_number(full, nn_clip_grad_norm(o, 1.0), norms_of->real[s], most);
        }
        nn_step(o);
        nn_reset(c);
        if (s + 1 == 1 || s + 1 == 2 || s + 1 == STEPS) {
            snprintf(full, sizeof full, "%s.%s.a.%d", name, short_name(t), s + 1);
            check(full, nn_model_tensor(m, c, "a"), most);
            snprintf(full, sizeof full, "%s.%s.b.%d", name, short_name(t), s + 1);
            check(full, nn_model_tensor(m, c, "b"), most);
        }
    }
    no_error(c, name);
    nn_optim_free(o);
    nn_model_free(m);
    nn_reset(c);
}

static void optimisers(nn_ctx *c, nn_dtype t) {
    static const char *const names[] = {"sgd",        "sgd_momentum", "sgd_decay",  "sgd_both",  "sgd_cosine", "adam",
                                        "adam_decay", "adamw",        "adamw_clip", "adamw_rest"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) optimise(c, names[i], t);
}

static void schedule(const char *name, nn_lr lr) {
    const golden *g = find(name);
    double        got[30];
    for (int s = 0; s < 30; s++) got[s] = nn_lr_at(lr, s);
    if (g && g->n == 30) check_values(name, got, g, 1e-12);
    else verdict(0);
}

/* ---- one whole training run ------------------------------------------------------------------------ */

static nn_tensor *mlp(nn_scope s, nn_tensor *x) {
    x = nn_layer_linear(s, "fc1", x, 16);
    x = nn_relu(nn_layer_layernorm(s, "norm", x));
    return nn_layer_linear(s, "fc2", x, 3);
}

static void training(nn_ctx *c, nn_dtype t) {
    static const char *const names[] = {"fc1.weight", "fc1.bias", "norm.weight", "norm.bias", "fc2.weight", "fc2.bias"};
    nn_model        *m = nn_model_new(c, mlp, NULL);
    nn_optim        *o;
    nn_optim_options exact;
    const golden    *g;
    double           loss[25], first = t == NN_F32 ? 1e-5 : 1e-12, end = t == NN_F32 ? 2e-4 : 1e-9;
    char             full[96];
    nn_model_dtype(m, t);
    nn_model_build(m, t, NN_SHAPE(40, 6));
    for (int j = 0; j < 6; j++) set_parameter(m, c, names[j], j == 2 ? 0.8 : -0.4, j == 2 ? 1.2 : 0.4, 3 + j);
    if (nn_model_count(m) != 6) printf("FAIL train: %d parameters, expected 6\n", nn_model_count(m));
    verdict(nn_model_count(m) == 6);
    memset(&exact, 0, sizeof exact);
    exact.kind = NN_ADAMW, exact.lr = exact.weight_decay = 1.0f / 128, exact.beta1 = 0.875f, exact.beta2 = 0.96875f, exact.eps = 1.0f / (1 << 20);
    o = t == NN_F32 ? nn_adamw(m, 0.01f, 0.01f) : nn_optim_new(m, &exact);
    for (int s = 0; s < 25; s++) {
        nn_tensor *l = nn_cross_entropy(nn_forward(m, values(c, t, NN_SHAPE(40, 6), -2, 2, 1)), whole(c, NN_I32, NN_SHAPE(40), 3, 2));
        loss[s]      = nn_item(l);
        nn_backward(l);
        nn_step(o);
        nn_reset(c);
    }
    snprintf(full, sizeof full, "train.%s.loss", short_name(t));
    g = find(full);
    if (g && g->n == 25) {
        check_values(full, loss, g, end);
        check_number("train: loss of the first step", loss[0], g->real[0], first);
    } else verdict(0);
    for (int j = 0; j < 6; j++) {
        snprintf(full, sizeof full, "train.%s.%s", short_name(t), names[j]);
        check(full, nn_model_tensor(m, c, names[j]), end);
    }
    no_error(c, "train");
    nn_optim_free(o);
    nn_model_free(m);
    nn_reset(c);
}

/* ---- printing -------------------------------------------------------------------------------------- */

static nn_tensor *rebuild(nn_ctx *c, const golden *g) {
    void      *raw = calloc((size_t)g->n + 1, 8);
    nn_tensor *x;
    for (int64_t i = 0; i < g->n; i++) switch (g->dtype) {
        case NN_F32: ((float *)raw)[i] = (float)g->real[i]; break;
        case NN_F64: ((double *)raw)[i] = g->real[i]; break;
        case NN_I32: ((int32_t *)raw)[i] = (int32_t)g->whole[i]; break;
        case NN_I64: ((int64_t *)raw)[i] = g->whole[i]; break;
        default: ((uint8_t *)raw)[i] = (uint8_t)g->whole[i]; break;
        }
    x = nn_from(c, raw, g->dtype, g->shape);
    free(raw);
    return x;
}

static void print_case(nn_ctx *c, const char *name, const char *want) {
    const golden *g = find(name);
    nn_tensor    *x;
    char         *got, cut[8];
    int           size;
    if (!g) {
        verdict(0);
        return;
    }
    x = rebuild(c, g);
    if (!strncmp(name, "turned_", 7)) x = nn_transpose(x, 0, 1);
    size = nn_format(x, NULL, 0);
    got  = (char *)calloc((size_t)(size > 0 ? size : 0) + 1, 1);
    if (size >= 0) nn_format(x, got, (size_t)size + 1);
    if (strcmp(got, want)) printf("FAIL %s: printed\n%s\nexpected\n%s\n", name, got, want);
    verdict(!strcmp(got, want));
    if ((int)strlen(got) != size) printf("FAIL %s: nn_format says %d characters and writes %d\n", name, size, (int)strlen(got));
    verdict((int)strlen(got) == size);
    size = nn_format(x, cut, sizeof cut); /* cut short, like snprintf */
    verdict(size == (int)strlen(got) && !strncmp(cut, got, 7) && cut[strlen(got) < 7 ? strlen(got) : 7] == 0);
    no_error(c, name);
    free(got);
    nn_reset(c);
}

static void printing(nn_ctx *c, char *text) {
    while (text && *text) {
        char *name = text + 4, *body = strchr(text, '\n') + 1, *next = strstr(body, "\n=== ");
        size_t n;
        body[-1] = 0;
        if (next) *next++ = 0;
        n = strlen(body);
        if (n && body[n - 1] == '\n') body[n - 1] = 0;
        print_case(c, name, body);
        text = next;
    }
}

int main(int argc, char **argv) {
    const char *path  = argc > 1 ? argv[1] : "tests/golden.txt";
    size_t      n     = strlen(path);
    char       *other = (char *)malloc(n + 16), *text, *print_text;
    nn_config   config;
    nn_ctx     *c;
    memset(&config, 0, sizeof config);
    config.quiet = 1; /* failures are printed here */
    if (n > 4 && !strcmp(path + n - 4, ".txt")) n -= 4; /* golden.txt -> golden_print.txt */
    memcpy(other, path, n);
    memcpy(other + n, "_print.txt", 11);
    text       = read_text(path);
    print_text = read_text(other);
    read_golden(text);

    c = nn_begin(&config);
    for (int i = 0; i < 2; i++) {
        nn_dtype t = i ? NN_F64 : NN_F32;
        linears(c, t);
        elementwise(c, t);
        norms(c, t);
        matmuls(c, t);
        moves_and_reductions(c, t);
        optimisers(c, t);
        training(c, t);
    }
    schedule("lr_constant", nn_lr_constant(0.25f));
    schedule("lr_cosine", nn_lr_cosine(0.5f, 5, 25, 0.0625f));
    schedule("lr_cosine_nowarm", nn_lr_cosine(0.5f, 0, 20, 0.0f));
    printing(c, print_text);
    no_error(c, "at the end");
    nn_end(c);

    for (int i = 0; i < listed; i++) {
        free(list[i].real);
        free(list[i].whole);
    }
    free(list);
    free(other);
    free(text);
    free(print_text);
    printf("golden: %d passed, %d failed\n", passed, failed);
    return failed != 0;
}
