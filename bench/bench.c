// Timings, each beside the least time that this machine could need. One line a workload:
//
//     name  median us  min us  rate unit  least us  share  limit
//
// or, of a figure made of two others (names plan_..._gain, _cut, _more, _layout, _overhead), its value and what it is made of:
//
//     name  value unit  ours, and what it is held against
//
// least is the larger of (operations / peak rate) and (bytes / bandwidth); share = least / min. Peak rates and bandwidths
// are measured in this very run, on as many threads, at the workload's own footprint: see machine.h.
//
//     bench [--threads n] [--isa name] [--seconds s] [--json | --describe] [--serve] [part of a name | =name | @group ...]
//     bench --blas library ...       the matrix products by that library's cblas_sgemm instead: a peer in our own clock
//     bench --grids                  the layers and networks on grids, one line of JSON each, for peers.py to make the same
//
// --describe says what each row times. --serve reads names from stdin and answers each with one line of JSON, so that a
// script can run us and others by turns. The first measurements of a row are thrown away; of the others min and median.
// What rows on grids compute is compared with PyTorch's figures (see >>right below) before it is timed: a wrong row fails.
#if !defined(_GNU_SOURCE)
#  define _GNU_SOURCE /* clock_gettime, syscall */
#endif
#define NN_IMPLEMENTATION
#include "nn.h"
#include <time.h>
#include "machine.h"
#if !defined(_WIN32)
#  include <dlfcn.h>
#endif

// ---- what a row is ---------------------------------------------------------------------------------
typedef struct row row;
/* How a figure follows from two numbers: ours / other; other / ours; in percent: how much more ours is; how much less. */
enum form { NO_FIGURE, RATIO, GAIN, MORE, CUT };
static const char *const form_names[] = {"", "ratio", "gain", "more", "cut"}, *const form_units[] = {"", "x", "x", "%", "%"};
typedef struct figure { double ours, other; char note[120]; } figure;

enum where { AS_TOLD, SERIAL, SCALAR }; /* threads and instruction set of its context */
static const char *const where_names[] = {"", ", one thread", ", one thread, scalar kernels"};

/* A layer or a network on grids, x [n,c,size...]. Its operands follow from a formula, so that others make the same ones. */
enum kind { CONV, TRANSPOSED, MAX_POOL, AVG_POOL, RESIZE, NORM, CNN, RESNET18 };
static const char *const kind_names[] = {"conv", "transposed", "max_pool", "avg_pool", "resize", "norm", "cnn", "resnet18"};
typedef struct grid {
    const char *name;
    enum kind   kind;
    int64_t     n, c, o, size[3]; /* o: channels of the result; sizes behind the last axis are 0 */
    int64_t     kernel, stride, padding, dilation, groups;
    int         last, exact;      /* channels-last; nn_conv_options.exact */
} grid;

struct row {
    char        name[40];
    const char *group, *what;  /* what: what is timed */
    void      (*start)(void);  /* makes the operands, in a fresh context */
    void      (*run)(void);    /* what is timed */
    void      (*between)(void);/* before each run, not timed; or NULL */
    enum where  where;
    /* parameters of start and run */
    int64_t     m, k, n;
    nn_dtype    dtype;
    nn_tensor *(*op)(nn_tensor *x);
    int64_t     layer[16];     /* sizes, closed by a 0 */
    nn_net      net;           /* NULL: by layer */
    int         real;          /* real targets: mean squared error and SGD, as for a single output */
    float       rate;          /* SGD's; 0: 0.1 */
    int         every;         /* the plan's option checkpoint */
    nn_act      act;
    int         pack;          /* nn_model_pack before the first run */
    int         per;           /* what run does so many times; the time is of one */
    const grid *grid;
    int         train;         /* with its gradients, or the optimiser's step */
    void      (*check)(double *mark); /* what run computes, as two numbers that `right` holds too */
    int         direct;        /* work counts plain products, which Winograd's transforms do with less */
    /* the least that must be done */
    double      work;          /* operations of kind peak; without a peak, things counted in unit */
    enum peak   peak;
    double      bytes, footprint;
    enum pattern pattern;
    const char *unit;
    /* a figure */
    enum form   form;
    int       (*measure)(const row *r, double limit, figure *f); /* 0: failed */
    const row  *of, *beside;   /* what it is about */
    const char *ours, *other, *in; /* what the two numbers are, and in what: "us" or "bytes" */
};

static row    rows[240];
static int    n_rows;
static double seconds = 0.5;
static int    threads;             /* 0: nn.h's choice */
static const char *isa;

static nn_ctx    *c;               /* the running row's context, */
static const row *at;              /* the running row, */
static struct {                    /* and its operands */
    nn_tensor *x, *y, *w, *b, *mean, *var;
    nn_model  *m;
    nn_optim  *o;
    nn_loss    loss;
    float     *raw, *raw2;
    nn_plan   *p;
    nn_tensor *out;
} t;

static nn_ctx *begin(enum where where) {
    nn_config g = nn_config_defaults();
    g.threads   = where == AS_TOLD ? threads : 1;
    g.isa       = where == SCALAR ? "scalar" : isa;
    return nn_begin(&g);
}

// ---- limits ------------------------------------------------------------------------------------------
typedef struct limit { double rate, bandwidth, least; const char *name; } limit;

/* The least possible seconds of a row. Rates are measured anew for each row, and the best seen so far counts. */
static limit limit_of(const row *r) {
    static struct { enum pattern p; enum where where; double footprint, rate; } seen[240];
    static double  peaks[PEAKS][3];
    static nn_ctx *contexts[3];
    static int     n;
    nn_ctx        *lc = contexts[r->where] ? contexts[r->where] : (contexts[r->where] = begin(r->where));
    double         footprint = r->footprint > 0 ? r->footprint : r->bytes, by_work = 0, by_bytes = 0;
    limit          l = {0, 0, 0, ""};
    int            i = 0;
    if (r->peak) {
        double *best = &peaks[r->peak][r->where], rate = peak_rate(lc, r->peak);
        if (rate > *best) *best = rate;
        l.rate  = *best;
        by_work = r->work / l.rate;
    }
    if (r->pattern) {
        while (i < n && !(seen[i].p == r->pattern && seen[i].where == r->where && seen[i].footprint == footprint)) i++;
        l.bandwidth = bandwidth(lc, r->pattern, footprint);
        if (i == n && n < 240) n++;
        if (i < n) {
            seen[i].p = r->pattern; seen[i].where = r->where; seen[i].footprint = footprint;
            if (l.bandwidth > seen[i].rate) seen[i].rate = l.bandwidth;
            l.bandwidth = seen[i].rate;
        }
        by_bytes = r->bytes / l.bandwidth;
    }
    l.least = by_work > by_bytes ? by_work : by_bytes;
    l.name  = by_work <= by_bytes ? pattern_names[r->pattern] : r->direct ? "f32 of direct" : peak_names[r->peak];
    return l;
}

// ---- matrix products --------------------------------------------------------------------------------
static nn_tensor *normal(nn_dtype dtype, nn_shape shape) { return nn_keep(nn_cast(nn_normal(c, NN_F32, shape, 0, 1), dtype)); }

static void start_gemm(void) {
    t.x = normal(at->dtype, NN_SHAPE(at->m, at->k));
    t.y = normal(at->dtype, NN_SHAPE(at->k, at->n));
}
static void run_gemm(void) {
    nn_matmul(t.x, t.y);
    nn_reset(c);
}

/* Another library's product, in our own clock: cblas_sgemm with 32-bit sizes, or NumPy's OpenBLAS with 64-bit ones. */
typedef void (*sgemm32)(int, int, int, int, int, int, float, const float *, int, const float *, int, float, float *, int);
typedef void (*sgemm64)(int, int, int, int64_t, int64_t, int64_t, float, const float *, int64_t, const float *, int64_t, float, float *, int64_t);
static union { void *p; sgemm32 f; } blas32;
static union { void *p; sgemm64 f; } blas64;
static void run_blas(void) {
    int64_t m = at->m, k = at->k, n = at->n;
    enum { ROW_MAJOR = 101, AS_IS = 111 };
    if (blas32.p) blas32.f(ROW_MAJOR, AS_IS, AS_IS, (int)m, (int)n, (int)k, 1, t.raw, (int)k, t.raw + m * k, (int)n, 0, t.raw2, (int)n);
    else blas64.f(ROW_MAJOR, AS_IS, AS_IS, m, n, k, 1, t.raw, k, t.raw + m * k, n, 0, t.raw2, n);
}
static void start_blas(void) {
    t.raw  = nn_f32(nn_keep(nn_normal(c, NN_F32, NN_SHAPE(at->m * at->k + at->k * at->n), 0, 1)));
    t.raw2 = nn_f32(nn_keep(nn_zeros(c, NN_F32, NN_SHAPE(at->m * at->n))));
}
static int blas_open(const char *path) {
#if defined(_WIN32)
    (void)path;
    return 0;
#else
    void *library = dlopen(path, RTLD_NOW | RTLD_GLOBAL);
    if (!library) return fprintf(stderr, "bench: %s\n", dlerror()), 0;
    blas32.p = dlsym(library, "cblas_sgemm");
    if (!blas32.p) blas64.p = dlsym(library, "scipy_cblas_sgemm64_");
    return blas32.p || blas64.p;
#endif
}

static void start_int8(void) {
    t.x = nn_keep(nn_cast(nn_uniform(c, NN_F32, NN_SHAPE(at->m, at->k), -127, 127), NN_I8));
    t.y = nn_keep(nn_cast(nn_uniform(c, NN_F32, NN_SHAPE(at->k, at->n), -127, 127), NN_I8));
}
static void run_int8(void) {
    nn_matmul_i8(t.x, t.y, NULL, NULL);
    nn_reset(c);
}

// ---- element-wise, rows, random ---------------------------------------------------------------------
static nn_tensor *op_sum(nn_tensor *x) { return nn_sum(x, NN_ALL, 0); }
static nn_tensor *op_add(nn_tensor *x) { return nn_add(x, t.y); }
static nn_tensor *op_dropout(nn_tensor *x) { return nn_dropout(x, 0.1, 1); }
static nn_tensor *op_softmax(nn_tensor *x) { return nn_softmax(x, -1); }
static nn_tensor *op_layernorm(nn_tensor *x) { return nn_layernorm(x, t.w, t.b, 1e-5); }

static void start_op(void) {
    t.x = normal(NN_F32, NN_SHAPE(at->m, at->n));
    if (at->op == op_add) t.y = normal(NN_F32, NN_SHAPE(at->m, at->n));
    if (at->op == op_layernorm) {
        t.w = normal(NN_F32, NN_SHAPE(at->n));
        t.b = normal(NN_F32, NN_SHAPE(at->n));
    }
}
static void run_op(void) {
    at->op(t.x);
    nn_reset(c);
}
static void run_op_100(void) {
    for (int i = 0; i < 100; i++) run_op();
}
static void run_normal(void) {
    nn_normal(c, NN_F32, NN_SHAPE(at->m, at->n), 0, 1);
    nn_reset(c);
}
static void start_cross_entropy(void) {
    t.x = nn_requires_grad(normal(NN_F32, NN_SHAPE(at->m, at->n)));
    t.y = nn_keep(nn_cast(nn_uniform(c, NN_F32, NN_SHAPE(at->m), 0, (double)at->n), NN_I32));
}
static void run_cross_entropy(void) {
    nn_backward(nn_cross_entropy(t.x, t.y));
    nn_zero_grad(t.x);
    nn_reset(c);
}
static void start_taped(void) {
    t.x = nn_requires_grad(normal(NN_F32, NN_SHAPE(4)));
    t.y = normal(NN_F32, NN_SHAPE(4));
}
static void run_taped(void) {
    for (int i = 0; i < at->per; i++) nn_add(t.x, t.y);
    nn_reset(c);
}
static void start_gather(void) { /* m rows of n out of a table of k rows */
    t.x = normal(NN_F32, NN_SHAPE(at->k, at->n));
    t.y = nn_keep(nn_cast(nn_uniform(c, NN_F32, NN_SHAPE(at->m, 1), 0, (double)at->k), NN_I32));
}
static void run_gather(void) {
    nn_gather(t.x, 0, nn_expand(t.y, NN_SHAPE(at->m, at->n)));
    nn_reset(c);
}

// ---- networks ---------------------------------------------------------------------------------------
/* Linear layers of at->layer's sizes, with at->act between them. */
static nn_tensor *net(nn_scope s, nn_tensor *x) {
    static const char *const names[] = {"fc1", "fc2", "fc3", "fc4", "fc5", "fc6", "fc7", "fc8", "fc9", "fc10", "fc11", "fc12"};
    int i = 0;
    for (; at->layer[i + 2]; i++) x = nn_layer_linear_act(s, names[i], x, at->layer[i + 1], at->act);
    return nn_layer_linear(s, names[i], x, at->layer[i + 1]);
}
/* Words: a table of k rows, then two linear layers; x holds the words' numbers, [m,1]. */
static nn_tensor *word_net(nn_scope s, nn_tensor *x) {
    nn_tensor *table = nn_param(s, "embedding", NN_SHAPE(at->k, 128), nn_init_normal(0, 1));
    x = nn_gather(table, 0, nn_expand(x, NN_SHAPE(nn_dim(x, 0), 128)));
    return nn_layer_linear(s, "fc2", nn_layer_linear_act(s, "fc1", x, at->n, NN_ACT_RELU), at->k);
}
static nn_tensor *ten_net(nn_scope s, nn_tensor *x) { /* ten matrices that only the optimiser sees */
    for (int i = 0; i < 10; i++) nn_param(nn_in_i(s, "w", i), "weight", NN_SHAPE(at->m, at->n), nn_init_normal(0, 1));
    return x;
}

static nn_tensor *residual_net(nn_scope s, nn_tensor *x) { /* k blocks x + linear(relu(linear(x))), as wide as x */
    int64_t n = nn_dim(x, 1);
    for (int i = 0; i < at->k; i++) {
        nn_scope b = nn_in_i(s, "h", i);
        x = nn_leave(b, nn_add(x, nn_layer_linear(b, "fc2", nn_layer_linear_act(b, "fc1", x, n, NN_ACT_RELU), n)));
    }
    return x;
}

static void start_net(void) {
    int     last = 0, real;
    int64_t out;
    while (at->layer[last + 1]) last++;
    out  = at->layer[last];
    real = at->real || out == 1;
    t.m  = nn_model_new(c, at->net ? at->net : net, NULL);
    if (at->dtype != NN_F32) nn_model_dtype(t.m, at->dtype);
    t.x    = normal(at->dtype, NN_SHAPE(at->m, at->layer[0]));
    t.y    = real ? normal(at->dtype, NN_SHAPE(at->m, out)) : nn_keep(nn_cast(nn_uniform(c, NN_F32, NN_SHAPE(at->m), 0, (double)out), NN_I32));
    t.loss = real ? nn_mse : nn_cross_entropy;
    t.o    = real ? nn_sgd(t.m, at->rate > 0 ? at->rate : 0.1f, 0) : nn_adam(t.m, 1e-3f);
    if (at->pack) {
        nn_model_build(t.m, at->dtype, NN_SHAPE(at->m, at->layer[0]));
        nn_model_pack(t.m, 1);
    }
}
static void start_words(void) {
    t.m    = nn_model_new(c, word_net, NULL);
    t.x    = nn_keep(nn_cast(nn_uniform(c, NN_F32, NN_SHAPE(at->m, 1), 0, (double)at->k), NN_I32));
    t.y    = nn_keep(nn_reshape(t.x, NN_SHAPE(-1)));
    t.loss = nn_cross_entropy;
    t.o    = nn_adam(t.m, 1e-3f);
}
static void run_train(void) {
    nn_backward(t.loss(nn_forward(t.m, t.x), t.y));
    nn_step(t.o);
    nn_reset(c);
}
static void run_infer(void) {
    volatile char read;
    nn_tensor    *y = nn_predict(t.m, nn_wrap(c, nn_ptr(t.x), at->dtype, NN_SHAPE(at->m, at->layer[0])));
    read = y ? *(char *)nn_ptr(y) : 0;
    (void)read;
    nn_reset(c);
}
/* The same by a plan */
static void plan_begin(void) {
    nn_plan_options o = nn_plan_defaults();
    o.checkpoint = at->every;
    nn_reset(c);
    t.p = nn_plan_begin(c, &o);
}
static void record_train(void) {
    nn_tensor *x, *y;
    plan_begin();
    x     = nn_plan_input(t.p, "x", t.x);
    y     = nn_plan_input(t.p, "y", t.y);
    t.out = t.loss(nn_forward(t.m, x), y);
    nn_backward(t.out);
    nn_step(t.o);
    nn_plan_end(t.p, &t.out, 1);
}
static void start_plan_train(void) {
    start_net();
    record_train();
}
static void run_plan_train(void) {
    nn_plan_run(t.p);
    nn_reset(c);
}
static void run_plan_bound(void) {
    nn_plan_bind(t.p, "x", t.x);
    nn_plan_bind(t.p, "y", t.y);
    run_plan_train();
}
static void start_plan_infer(void) {
    start_net();
    plan_begin();
    t.out = nn_predict(t.m, nn_plan_input(t.p, "x", t.x));
    nn_plan_end(t.p, &t.out, 1);
    t.raw = nn_f32(t.x);
}
static void run_plan_infer(void) {
    volatile float read;
    nn_plan_bind_data(t.p, "x", t.raw);
    read = nn_plan_run(t.p) ? nn_f32(t.out)[0] : 0;
    (void)read;
}
static void run_step(void) { nn_step(t.o); }
static void between_step(void) {
    nn_reset(c);
    nn_backward(t.loss(nn_forward(t.m, t.x), t.y));
}
static void start_ten(void) {
    t.m = nn_model_new(c, ten_net, NULL);
    t.x = normal(NN_F32, NN_SHAPE(at->m, at->n));
    t.o = nn_adamw(t.m, 1e-3f, 0.01f);
    nn_model_build(t.m, NN_F32, NN_SHAPE(1));
}
static void between_ten(void) { /* gradients for all ten */
    nn_reset(c);
    for (int i = 0; i < 10; i++) nn_backward_from(nn_model_tensor(t.m, c, nn_model_name(t.m, i)), t.x, 0);
}
/* Gradients of raw ops: matmul, or matmul, ReLU and the mean over rows. */
static void start_gradient(void) {
    t.x = nn_requires_grad(normal(NN_F32, NN_SHAPE(at->m, at->k)));
    t.y = nn_requires_grad(normal(NN_F32, NN_SHAPE(at->k, at->n)));
}
static void run_gradient(void) {
    nn_backward(nn_sum(nn_mean(nn_relu(nn_matmul(t.x, t.y)), NN_AXES(0), 0), NN_ALL, 0));
    nn_zero_grad(t.x);
    nn_zero_grad(t.y);
    nn_reset(c);
}

// ---- layers and networks on grids ---------------------------------------------------------------------
/* Element i of the operand called name: -1 ... 1, a hash of both, exactly the same number everywhere. */
static uint32_t seed_of(const char *name) {
    uint32_t h = 2166136261u;
    for (; *name; name++) h = (h ^ (unsigned char)*name) * 16777619u;
    return h;
}
static float by_formula(uint32_t seed, int64_t i) {
    uint32_t h = ((uint32_t)i ^ seed) * 0x9e3779b1u;
    h = (h ^ h >> 15) * 0x85ebca77u;
    h = (h ^ h >> 13) * 0xc2b2ae3du;
    return (float)((h ^ h >> 16) >> 8) / 8388608 - 1;
}
static int ends(const char *name, const char *end) { return strlen(name) >= strlen(end) && !strcmp(name + strlen(name) - strlen(end), end); }
/* Inputs and the gradient dy are -1 ... 1, variances and scales are about 1, weights keep the size of what passes through a ReLU. */
static void fill(nn_tensor *x, const char *name) {
    float   *p = nn_f32(x), middle = 0, half = 0.1f;
    uint32_t seed = seed_of(name);
    if (!p) return;
    if (!strcmp(name, "x") || !strcmp(name, "dy")) half = 1;
    else if (ends(name, "var")) middle = 1, half = 0.5f;
    else if (nn_shape_of(x).ndim > 1) half = (float)sqrt(6.0 * (double)nn_dim(x, 0) / (double)nn_numel(x));
    else if (ends(name, "weight")) middle = 1;
    for (int64_t i = 0; i < nn_numel(x); i++) p[i] = middle + half * by_formula(seed, i);
}
static nn_tensor *made(const char *name, nn_shape shape, int trained) {
    nn_tensor *x = nn_keep(nn_zeros(c, NN_F32, shape));
    fill(x, name);
    return trained && at->train ? nn_requires_grad(x) : x;
}
/* Two numbers of a result, added to mark: the logarithm of its root mean square, and its projection on a direction that the formula gives. */
static void mark_of(nn_tensor *x, int k, double *mark) {
    const float *p = nn_f32(nn_contiguous(x));
    double       squares = 0, dot = 0;
    int64_t      n = nn_numel(x);
    for (int64_t i = 0; p && i < n; i++) { squares += (double)p[i] * p[i]; dot += (double)p[i] * by_formula((uint32_t)k, i); }
    mark[0] += log(squares / (double)n) / 2;
    mark[1] += dot / sqrt(squares);
}

static int axes_of(const grid *g) { return g->size[1] == 0 ? 1 : g->size[2] == 0 ? 2 : 3; }
static nn_shape grid_shape(const grid *g) { /* of x */
    return axes_of(g) == 1 ? NN_SHAPE(g->n, g->c, g->size[0]) : axes_of(g) == 2 ? NN_SHAPE(g->n, g->c, g->size[0], g->size[1]) : NN_SHAPE(g->n, g->c, g->size[0], g->size[1], g->size[2]);
}
static nn_shape kernel_shape(const grid *g) {
    int64_t k = g->kernel, o = g->kind == CONV ? g->o : g->c, i = (g->kind == CONV ? g->c : g->o) / g->groups;
    return axes_of(g) == 1 ? NN_SHAPE(o, i, k) : axes_of(g) == 2 ? NN_SHAPE(o, i, k, k) : NN_SHAPE(o, i, k, k, k);
}
static nn_tensor *channels_first(nn_tensor *x) { return at->grid->last ? nn_permute(x, NN_SHAPE(0, 3, 1, 2)) : x; } /* of [N,H,W,C] in memory a view with channels last */

static void start_grid(void) {
    const grid *g = at->grid;
    t.x = made("x", grid_shape(g), 1);
    if (g->last) {
        t.x = nn_keep(nn_permute(t.x, NN_SHAPE(0, 2, 3, 1)));
        if (at->train) t.x = nn_requires_grad(t.x);
    }
    if (g->kind > TRANSPOSED && g->kind != NORM) return;
    t.w = made("weight", g->kind == NORM ? NN_SHAPE(g->c) : kernel_shape(g), 1);
    t.b = made("bias", NN_SHAPE(g->o), 1);
    if (g->kind != NORM) return;
    t.mean = made("running_mean", NN_SHAPE(g->c), 0);
    t.var  = made("running_var", NN_SHAPE(g->c), 0);
    t.y    = made("dy", grid_shape(g), 0);
}
static nn_tensor *grid_op(void) {
    const grid          *g = at->grid;
    nn_tensor           *x = channels_first(t.x);
    nn_conv_options      o = nn_conv_defaults();
    nn_batchnorm_options b;
    switch (g->kind) {
    case MAX_POOL: return nn_max_pool(x, g->kernel, g->stride, g->padding);
    case AVG_POOL: return nn_avg_pool(x, g->kernel, g->stride, g->padding);
    case RESIZE:   return nn_resize(x, NN_SHAPE(g->size[0] * g->stride, g->size[1] * g->stride), NN_LINEAR, 0);
    case NORM:
        memset(&b, 0, sizeof b);
        b.weight = t.w; b.bias = t.b; b.mean = t.mean; b.var = t.var; b.training = 1;
        return nn_batchnorm(x, &b);
    default:
        o.stride  = NN_SHAPE(g->stride); o.padding = NN_SHAPE(g->padding); o.dilation = NN_SHAPE(g->dilation);
        o.groups  = g->groups; o.exact = g->exact;
        return g->kind == CONV ? nn_conv(x, t.w, t.b, &o) : nn_conv_transposed(x, t.w, t.b, &o);
    }
}
static void run_layer(void) { /* leaves its result and gradients */
    t.out = grid_op();
    if (at->train && t.y) nn_backward_from(t.out, t.y, 0);
    else if (at->train) nn_backward(nn_sum(t.out, NN_ALL, 0));
}
static void run_grid(void) {
    run_layer();
    nn_zero_grad(t.x); nn_zero_grad(t.w); nn_zero_grad(t.b);
    nn_reset(c);
}
static void check_grid(double *mark) {
    run_layer();
    mark_of(t.out, 0, mark);
    if (at->train) {
        mark_of(channels_first(nn_grad(t.x)), 1, mark);
        if (t.w) { mark_of(nn_grad(t.w), 2, mark); mark_of(nn_grad(t.b), 3, mark); }
    }
    nn_zero_grad(t.x); nn_zero_grad(t.w); nn_zero_grad(t.b);
}

/* x [N,1,28,28] -> [N,10] */
static nn_tensor *cnn(nn_scope s, nn_tensor *x) {
    nn_conv_options o = nn_conv_defaults();
    o.act = NN_ACT_RELU;
    x = nn_layer_conv_with(s, "conv1", x, 32, NN_SHAPE(3), &o);
    x = nn_layer_conv_with(s, "conv2", x, 64, NN_SHAPE(3), &o);
    x = nn_flatten(nn_max_pool(x, 2, 2, 0), 1); /* [N,9216] */
    return nn_layer_linear(s, "fc2", nn_layer_linear_act(s, "fc1", x, 128, NN_ACT_RELU), 10);
}
static nn_tensor *conv_norm(nn_scope s, const char *conv, const char *norm, nn_tensor *x, int64_t out, int64_t kernel, int64_t stride) {
    nn_conv_options o = nn_conv_defaults();
    o.stride  = NN_SHAPE(stride);
    o.padding = NN_SHAPE(kernel / 2);
    o.no_bias = 1;
    return nn_layer_batchnorm(s, norm, nn_layer_conv_with(s, conv, x, out, NN_SHAPE(kernel), &o));
}
/* x [N,3,224,224] -> [N,1000]; He et al. 2016 */
static nn_tensor *resnet18(nn_scope s, nn_tensor *x) {
    static const char *const stages[] = {"layer1", "layer2", "layer3", "layer4"};
    x = nn_max_pool(nn_relu(conv_norm(s, "conv1", "bn1", x, 64, 7, 2)), 3, 2, 1);
    for (int i = 0; i < 8; i++) { /* two blocks a stage; the first of the later ones halves the size */
        nn_scope   b = nn_in_i(s, stages[i / 2], i % 2);
        int64_t    out = 64 << i / 2, stride = i && i % 2 == 0 ? 2 : 1;
        nn_tensor *y = nn_relu(conv_norm(b, "conv1", "bn1", x, out, 3, stride));
        y = conv_norm(b, "conv2", "bn2", y, out, 3, 1);
        if (stride > 1) {
            nn_scope d = nn_in(b, "downsample");
            x = nn_leave(d, conv_norm(d, "0", "1", x, out, 1, stride));
        }
        x = nn_leave(b, nn_relu(nn_add(y, x)));
    }
    return nn_layer_linear(s, "fc", nn_global_avg_pool(x), 1000);
}
static void start_picture_net(void) {
    t.x = made("x", grid_shape(at->grid), 0);
    t.m = nn_model_new(c, at->grid->kind == CNN ? cnn : resnet18, NULL);
    nn_model_build(t.m, NN_F32, grid_shape(at->grid));
    for (int i = 0; i < nn_model_count(t.m); i++) fill(nn_model_tensor(t.m, c, nn_model_name(t.m, i)), nn_model_name(t.m, i));
    if (at->train) {
        int32_t *y;
        t.y    = nn_keep(nn_zeros(c, NN_I32, NN_SHAPE(at->grid->n)));
        y      = (int32_t *)nn_ptr(t.y);
        for (int64_t i = 0; y && i < at->grid->n; i++) y[i] = (int32_t)(i % at->grid->o);
        t.o    = nn_adam(t.m, 1e-3f);
        t.loss = nn_cross_entropy;
        return;
    }
    nn_model_pack(t.m, 1);
    nn_model_plan(t.m, 1);
}
static void start_picture_plan(void) {
    start_picture_net();
    record_train();
}
static nn_tensor *predict_picture(void) { return nn_predict(t.m, nn_wrap(c, nn_ptr(t.x), NN_F32, grid_shape(at->grid))); }
static void run_picture(void) {
    nn_tensor     *y = predict_picture();
    volatile float read = y ? nn_f32(y)[0] : 0;
    (void)read;
    nn_reset(c);
}
static void check_picture_net(double *mark) {
    if (at->train) { /* the losses before and after three steps */
        for (int i = 0; i < 4; i++) {
            nn_tensor *loss = t.p ? t.out : t.loss(nn_forward(t.m, t.x), t.y);
            if (t.p) nn_plan_run(t.p);
            if (i % 3 == 0) mark[i / 3] = nn_item(loss);
            if (!t.p) {
                nn_backward(loss);
                nn_step(t.o);
            }
            nn_reset(c);
        }
        return;
    }
    run_picture();
    run_picture(); /* the second makes the plan */
    mark_of(predict_picture(), 0, mark);
}

/* >>right: what each row's marks are by PyTorch in f64; written by `build/venv/bin/python bench/peers.py --right` */
static const struct { const char *name; double mark[2]; } right[] = {
    {"conv3x3_64_56_n8", {-0.218691711, -0.00471340954}}, {"conv3x3_64_56_n8_fwdbwd", {14.7123672, -0.330915602}}, {"conv3x3_64_56_n8_exact", {-0.218691711, -0.00471340954}},
    {"dwconv3x3_64_56_n8", {-0.221678135, -1.200316}}, {"maxpool2_64_56_n8", {-0.381261385, 0.429401284}}, {"batchnorm2d_64_64_56", {11.1358473, -0.143734734}},
    {"cnn_infer_b64", {0.227518199, -0.0511010631}}, {"cnn_train_b64", {2.95931521, 6.47956157}}, {"cnn_train_b64_plan", {2.95931521, 6.47956157}}, {"resnet18_b1", {3.93860082, -0.0613547604}},
    {"resnet18_b8", {3.93959089, -0.319577608}}, {"conv1x1_64to256_56", {-0.207335549, 1.08810852}}, {"conv1x1_64to256_56_fwdbwd", {15.4252643, 2.25805332}},
    {"conv1x1s2_64to128_56", {-0.203099309, -1.26874031}}, {"conv1x1s2_64to128_56_fwdbwd", {12.5812521, -0.13042025}}, {"conv5x5_32to64_28", {-0.249451236, 1.44770486}},
    {"conv5x5_32to64_28_fwdbwd", {12.9353539, 2.05745447}}, {"conv7x7s2_3to64_224", {-0.212054021, -0.704616867}}, {"conv7x7s2_3to64_224_fwdbwd", {18.0550643, -0.0389118769}},
    {"conv3x3d2_64_56", {-0.231486201, 0.0988600925}}, {"conv3x3d2_64_56_fwdbwd", {14.6627281, -0.18903528}}, {"conv3x3g4_64_56", {-0.214993317, -0.287755066}},
    {"conv3x3g4_64_56_fwdbwd", {14.6710987, 0.63835466}}, {"conv3x3g32_128_28", {-0.224285511, -0.204021644}}, {"conv3x3g32_128_28_fwdbwd", {12.6567117, -0.732204044}},
    {"conv3x3s2_64to128_56", {-0.215770539, -0.156495132}}, {"conv3x3s2_64to128_56_fwdbwd", {12.3886175, -1.95525561}}, {"conv3x3_17to29_33x31", {-0.225230995, 0.587642811}},
    {"conv3x3_17to29_33x31_fwdbwd", {13.4980558, 0.91095736}}, {"conv3x3_128_28", {-0.223688056, 0.602987422}}, {"conv3x3_128_28_fwdbwd", {12.6302498, 1.17568977}},
    {"conv3x3_256_14", {-0.248636149, -0.166109297}}, {"conv3x3_256_14_fwdbwd", {10.433425, 0.116409472}}, {"conv3x3_512_7", {-0.298833496, 0.0485966129}},
    {"conv3x3_512_7_fwdbwd", {8.23041532, 0.612526206}}, {"conv3x3_1to32_28", {-0.19248554, 0.367039885}}, {"conv3x3_1to32_28_fwdbwd", {17.0413846, 1.09971551}},
    {"conv1d5_64to128_1000", {-0.206264727, 0.456186965}}, {"conv1d5_64to128_1000_fwdbwd", {13.3083424, 1.25778349}}, {"conv3d3_16to32_16", {-0.271147748, 0.471494773}},
    {"conv3d3_16to32_16_fwdbwd", {15.0541227, 2.02293318}}, {"convT4x4s2_64to32_28", {-0.567609879, 0.210406035}}, {"convT4x4s2_64to32_28_fwdbwd", {13.5289636, 0.672500751}},
    {"conv3x3_last_64_56", {-0.218691711, -0.00471340954}}, {"conv3x3_last_64_56_fwdbwd", {14.7123672, -0.330915602}}, {"avgpool2_64_56", {-1.24282203, 0.783333398}},
    {"avgpool2_64_56_fwdbwd", {-2.62911639, 0.824104185}}, {"maxpool3s2_64_112", {-0.200971219, -0.00774864072}}, {"maxpool3s2_64_112_fwdbwd", {-0.542916107, -0.162187201}},
    {"resize2_64_56", {-1.00848283, 0.864286806}}, {"resize2_64_56_fwdbwd", {0.377811527, 0.905057593}}
};
/* Rounding moves a mark by 2e-6 at most, after three steps of Adam by 2e-4. If one value in ten thousand is wrong, the projection moves
   by some 5e-3: most such faults show, not all. 0: this row is wrong. */
static int is_right(const row *r, const double *mark) {
    for (size_t i = 0; i < sizeof right / sizeof *right; i++)
        if (!strcmp(right[i].name, r->name)) {
            const double *m = right[i].mark;
            if (fabs(mark[0] - m[0]) <= 1e-3 && fabs(mark[1] - m[1]) <= 1e-3) return 1;
            fprintf(stderr, "bench: %s: wrong: its marks are %.7g %.7g, PyTorch's %.7g %.7g\n", r->name, mark[0], mark[1], m[0], m[1]);
            return 0;
        }
    fprintf(stderr, "bench: %s: nothing says what is right: its marks are %.7g %.7g\n", r->name, mark[0], mark[1]);
    return 0;
}

// ---- ThinkingNet's own benchmarks -------------------------------------------------------------------
/* "One of eight steps on 64 float32 registers, a copy per worker, non-finite values replaced": operation i does step i % 8 on
   two registers that i chooses and writes a third. Plain C and libm; nn_parallel_for cuts the operations. */
static void eight_steps(void *arg, int64_t from, int64_t to, int worker) {
    float r[64];
    (void)worker;
    memcpy(r, arg, sizeof r);
    for (int64_t i = from; i < to; i++) {
        float a = r[i & 63], b = r[(i * 7 + 3) & 63], x;
        switch (i & 7) {
        case 0: x = a + b; break;
        case 1: x = a - b; break;
        case 2: x = a * b; break;
        case 3: x = a / (fabsf(b) < 1 ? 1 : fabsf(b)); break;
        case 4: x = fmodf(a, fabsf(b) + 1); break;
        case 5: x = powf(fabsf(a), b / 10); break;
        case 6: x = sinf(a); break;
        default: x = cosf(a); break;
        }
        r[(i * 5 + 1) & 63] = isfinite(x) ? x : 1;
    }
    KEEP(r);
}
static void start_steps(void) { t.raw = nn_f32(normal(NN_F32, NN_SHAPE(64))); }
static void run_steps(void) { nn_parallel_for(c, at->m, 5, eight_steps, t.raw); }

/* The same eight steps by ops, on 256 copies of the registers side by side: an operation is one element. Each chain begins within
   -1 ... 1 and cannot leave the finite numbers, so nothing is replaced. */
static void start_steps_nn(void) {
    t.x = normal(NN_F32, NN_SHAPE(64, 256));
    t.y = normal(NN_F32, NN_SHAPE(64, 256));
}
static void run_steps_nn(void) {
    nn_tensor *a = t.x, *b = t.y, *d;
    a = nn_add(a, b);
    a = nn_sub(a, t.x);
    a = nn_mul(a, b);
    a = nn_div(a, nn_affine(nn_relu(nn_affine(nn_abs(b), 1, -1)), 1, 1));         /* by at least 1 */
    d = nn_affine(nn_abs(b), 1, 1);
    a = nn_sub(a, nn_mul(d, nn_cast(nn_cast(nn_div(a, d), NN_I32), NN_F32)));     /* a modulo d */
    a = nn_exp(nn_mul(nn_scale(b, 0.1), nn_log(nn_affine(nn_abs(a), 1, 1e-6))));  /* |a| to the b/10 */
    nn_cos(nn_sin(a));
    nn_reset(c);
}

/* 1000 zero matrices of 100 x 100: all alive at once, or each given back before the next. */
enum { MATRICES = 1000, MATRIX = 100 * 100 * sizeof(float) };
static void run_arena_all(void) {
    for (int i = 0; i < MATRICES; i++) nn_zeros(c, NN_F32, NN_SHAPE(100, 100));
    nn_reset(c);
}
static void run_arena_each(void) {
    for (int i = 0; i < MATRICES; i++) {
        nn_zeros(c, NN_F32, NN_SHAPE(100, 100));
        nn_reset(c);
    }
}
static void run_malloc_all(void) {
    static void *p[MATRICES];
    for (int i = 0; i < MATRICES; i++) {
        p[i] = malloc(MATRIX);
        if (p[i]) memset(p[i], 0, MATRIX);
        KEEP(p[i]);
    }
    for (int i = 0; i < MATRICES; i++) free(p[i]);
}
static void run_malloc_each(void) {
    for (int i = 0; i < MATRICES; i++) {
        void *p = malloc(MATRIX);
        if (p) memset(p, 0, MATRIX);
        KEEP(p);
        free(p);
    }
}

// ---- the table --------------------------------------------------------------------------------------
static row *add(const char *group, const char *what, void (*start)(void), void (*run)(void), const char *name, ...) NN_PRINTF(5, 6);
static row *add(const char *group, const char *what, void (*start)(void), void (*run)(void), const char *name, ...) {
    row    *r = &rows[n_rows];
    va_list args;
    if (n_rows == (int)(sizeof rows / sizeof *rows)) {
        fprintf(stderr, "bench: more rows than there is room for\n");
        exit(1);
    }
    n_rows++;
    va_start(args, name);
    vsnprintf(r->name, sizeof r->name, name, args);
    va_end(args);
    r->group = group; r->what = what; r->start = start; r->run = run;
    r->per   = 1;
    r->unit  = "";
    return r;
}
static row *with_memory(row *r, enum pattern pattern, double bytes) {
    r->pattern = pattern;
    r->bytes   = bytes;
    if (!r->work) r->unit = "GB/s";
    return r;
}
static row *with_work(row *r, enum peak peak, double work, const char *unit) {
    r->peak = peak;
    r->work = work;
    r->unit = unit;
    return r;
}

static row *gemm(const char *group, int64_t m, int64_t k, int64_t n, nn_dtype dtype, const char *name) {
    row   *r    = add(group, "nn_matmul into a fresh tensor, reset", start_gemm, run_gemm, "%s", name);
    double size = dtype == NN_BF16 ? 2 : 4;
    r->m = m; r->k = k; r->n = n; r->dtype = dtype;
    if (blas32.p || blas64.p) { r->what = "cblas_sgemm into the same array"; r->start = start_blas; r->run = run_blas; }
    with_work(r, dtype == NN_BF16 ? BF16 : F32, 2.0 * (double)m * (double)k * (double)n, "GF/s");
    return with_memory(r, READ, size * (double)(m * k + k * n + m * n));
}
static row *map(const char *group, const char *name, nn_tensor *(*op)(nn_tensor *), int64_t m, int64_t n, enum pattern pattern, double bytes) {
    row *r = add(group, "the op into a fresh tensor, reset", start_op, run_op, "%s", name);
    r->op = op; r->m = m; r->n = n;
    return with_memory(r, pattern, bytes * (double)m * (double)n);
}

typedef struct sizes { int64_t layer[16]; } sizes;
/* Train: forward, loss, backward, optimiser. Least work: a product forward, one for each weight's gradient, one for each inner
   layer's input; least traffic: the optimiser's (parameter, gradient and two moments in, three out). */
static row *network(const char *group, const char *name, sizes s, nn_act act, int64_t batch, int train) {
    row   *r = train ? add(group, "named layers forward, loss, backward, optimiser, reset; the same input tensors", start_net, run_train, "%s", name)
                     : add(group, "input bound anew, named layers forward (nn_predict), output read, reset", start_net, run_infer, "%s", name);
    double weights = 0, first = (double)s.layer[0] * (double)s.layer[1], b = (double)batch;
    memcpy(r->layer, s.layer, sizeof r->layer);
    r->act = act; r->m = batch;
    for (int i = 0; s.layer[i + 1]; i++) weights += (double)s.layer[i] * (double)s.layer[i + 1];
    with_work(r, F32, 2 * b * (train ? 3 * weights - first : weights), "GF/s");
    with_memory(r, train ? UPDATE : READ, train ? 28 * weights : 4 * weights);
    r->footprint = train ? 16 * weights : 4 * weights;
    return r;
}

enum { CHECKPOINT = 6 }; /* blocks of plan_res64_recompute that make one segment */
static const sizes mlp = {{784, 512, 256, 10, 0}}, tiny = {{16, 32, 10, 0}}, xor_sizes = {{2, 16, 1, 0}}, adam_sizes = {{1000, 500, 200, 50, 10, 0}};

static row *xor_eager;

static void rows_main(void) {
    static const int64_t squares[] = {32, 64, 128, 256, 512, 1024, 2048};
    static const int64_t shapes[][3] = {{64, 784, 128}, {128, 784, 512}, {1000, 500, 200}, {1, 768, 3072}, {4096, 384, 1536}};
    static const struct { const char *name; nn_tensor *(*op)(nn_tensor *); int small; enum pattern pattern; double bytes; } maps[] = {
        {"relu", nn_relu, 1, COPY, 8}, {"sigmoid", nn_sigmoid, 1, COPY, 8}, {"tanh", nn_tanh, 1, COPY, 8}, {"exp", nn_exp, 1, COPY, 8},
        {"gelu", nn_gelu, 1, COPY, 8}, {"gelu_tanh", nn_gelu_tanh, 1, COPY, 8}, {"dropout", op_dropout, 1, COPY, 8}, {"add", op_add, 0, TRIAD, 12}, {"sum", op_sum, 0, READ, 4}};
    const double matrix = 4096.0 * 1024;
    char         name[40];
    row         *r;
    for (size_t i = 0; i < sizeof squares / sizeof *squares; i++) {
        snprintf(name, sizeof name, "gemm_%d", (int)squares[i]);
        gemm("gemm", squares[i], squares[i], squares[i], NN_F32, name);
    }
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        snprintf(name, sizeof name, "gemm_%dx%dx%d", (int)shapes[i][0], (int)shapes[i][1], (int)shapes[i][2]);
        gemm("gemm", shapes[i][0], shapes[i][1], shapes[i][2], NN_F32, name);
    }
    if (blas32.p || blas64.p) return;
    gemm("gemm", 1024, 1024, 1024, NN_BF16, "gemm_bf16_1024");
    r = add("gemm", "nn_matmul_i8 of int8 into a fresh int32 tensor, reset", start_int8, run_int8, "gemm_int8_1024");
    r->m = r->k = r->n = 1024;
    with_memory(with_work(r, I8, 2.0 * 1024 * 1024 * 1024, "Gop/s"), READ, 6.0 * 1024 * 1024);
    for (int small = 0; small < 2; small++)
        for (size_t i = 0; i < sizeof maps / sizeof *maps; i++) {
            if (small && !maps[i].small) continue;
            snprintf(name, sizeof name, "%s_%s", maps[i].name, small ? "1M" : "16M");
            map("maps", name, maps[i].op, 1, (int64_t)1 << (small ? 20 : 24), maps[i].pattern, maps[i].bytes);
        }
    r = add("maps", "1000 x 1000 normal numbers into a fresh tensor, reset", NULL, run_normal, "create_1000x1000");
    r->m = r->n = 1000;
    with_memory(r, WRITE, 4e6);
    map("rows", "softmax_4096x1024", op_softmax, 4096, 1024, COPY, 8);
    map("rows", "layernorm_4096x1024", op_layernorm, 4096, 1024, COPY, 8);
    r = add("rows", "cross-entropy of 4096 x 1024, backward, gradient dropped, reset", start_cross_entropy, run_cross_entropy, "cross_entropy_4096x1024");
    r->m = 4096; r->n = 1024;
    with_memory(r, COPY, 8 * matrix);
    r = add("training", "the optimiser's step alone; gradients of ten 1024 x 1024 tensors are set before, not timed", start_ten, run_step, "adamw_10x1024x1024");
    r->between = between_ten;
    r->m = r->n = 1024;
    with_memory(r, UPDATE, 28.0 * 10 * 1024 * 1024)->footprint = 16.0 * 10 * 1024 * 1024;
    network("training", "mlp_train_b128", mlp, NN_ACT_RELU, 128, 1);
    xor_eager = network("training", "xor_train", xor_sizes, NN_ACT_TANH, 4, 1);
    for (int batch = 128; batch > 0; batch = batch > 1 ? 1 : 0) {
        snprintf(name, sizeof name, "mlp_infer_b%d", batch);
        r = network("inference", name, mlp, NN_ACT_RELU, batch, 0);
        r->pack = 1;
        r->what = "input bound anew, named layers forward (nn_predict; weights packed once before), output read, reset";
    }
    network("inference", "tiny_infer", tiny, NN_ACT_RELU, 1, 0);
    r = add("training", "one nn_add of 4 floats that is written on the tape: a thousandth of 1000 and one reset", start_taped, run_taped, "taped_op_4");
    r->per = 1000;
}

/* Products of a layer's channels and taps, all of them. */
static double layer_work(const grid *g) {
    double work = 2.0 * (double)g->n * (double)g->c * (double)g->o / (double)g->groups;
    for (int i = 0; i < axes_of(g); i++) {
        int64_t places = g->kind == TRANSPOSED ? g->size[i] : (g->size[i] + 2 * g->padding - g->dilation * (g->kernel - 1) - 1) / g->stride + 1;
        work *= (double)places * (double)g->kernel;
    }
    return work;
}
/* Elements of the result: a kernel of each layer is where it is on every axis. */
static double result_size(const grid *g) {
    double n = (double)g->n * (double)g->o;
    for (int i = 0; i < axes_of(g); i++) {
        int64_t reach = g->dilation * (g->kernel - 1) + 1;
        n *= g->kind == NORM ? (double)g->size[i] : g->kind == RESIZE ? (double)(g->size[i] * g->stride)
           : g->kind == TRANSPOSED ? (double)((g->size[i] - 1) * g->stride - 2 * g->padding + reach) : (double)((g->size[i] + 2 * g->padding - reach) / g->stride + 1);
    }
    return n;
}
/* Least traffic forward: x and weight in, y out; backward of a sum, x and weight in, their gradients out; of a given dy, that in too. */
static row *layer(const char *group, const grid *g, int train) {
    static const char *const forward = "the op into a fresh tensor, reset", *const both = "forward, sum, backward to every operand, gradients dropped, reset";
    row   *r = add(group, !train ? forward : g->kind == NORM ? "training: forward, backward from a given gradient to every operand, gradients dropped, reset" : both, start_grid, run_grid, "%s%s", g->name, train && g->kind != NORM ? "_fwdbwd" : "");
    double x = (double)g->n * (double)g->c, y = result_size(g), w = 0;
    int    conv = g->kind == CONV || g->kind == TRANSPOSED;
    for (int i = 0; i < axes_of(g); i++) x *= (double)g->size[i];
    for (int i = 0; conv && i < kernel_shape(g).ndim; i++) w = (i ? w : 1) * (double)kernel_shape(g).dim[i];
    r->grid = g; r->train = train; r->check = check_grid;
    if (conv) with_work(r, F32, (train ? 3 : 1) * layer_work(g), "GF/s");
    r->direct = g->kind == CONV && axes_of(g) > 1 && g->kernel == 3 && g->stride == 1 && g->dilation == 1 && !g->exact;
    return with_memory(r, train || (y < 2 * x && x < 2 * y) ? COPY : y < x ? READ : WRITE, 4 * (train ? (conv ? 3 : 2) * x + y + 3 * w + (g->kind == NORM ? y : 0) : x + y + w));
}
static row *picture_net(const grid *g, int train) {
    row   *r = add("vision", train ? "forward, cross-entropy, backward, Adam, reset; the same input tensors" : "input bound anew, nn_predict (weights packed, planned), output read, reset", start_picture_net, train ? run_train : run_picture, "%s", g->name);
    double weights = 288 + 18432 + 9216 * 128.0 + 1280, work = 26 * 26 * 288.0 + 24 * 24 * 18432.0 + 9216 * 128.0 + 1280, b = (double)g->n;
    if (g->kind == RESNET18) {
        weights = 64 * 147 + 512 * 1000.0;
        work    = 112 * 112 * 64 * 147.0 + 512 * 1000.0;
        for (int i = 0; i < 4; i++) { /* four 3x3 layers, and where channels double a 1x1 */
            double o = 64 << i, from = i ? o / 2 : o, stage = o * 9 * (from + 3 * o) + (i ? o * from : 0);
            weights += stage;
            work    += (56 >> i) * (56 >> i) * stage;
        }
    }
    r->grid = g; r->train = train; r->check = check_picture_net; r->direct = 1;
    with_work(r, F32, 2 * b * (train ? 3 * work - 26 * 26 * 288.0 : work), "GF/s");
    with_memory(r, train ? UPDATE : READ, (train ? 28 : 4) * weights)->footprint = (train ? 16 : 4) * weights;
    return r;
}
static void rows_vision(void) {
    static const grid
        layers[] = { /*                              n   c    o   size            kernel stride padding dilation groups, last exact */
        {"conv3x3_64_56_n8",       CONV,             8,  64,  64, {56, 56, 0},    3, 1, 1, 1, 1,   0, 0},
        {"conv3x3_64_56_n8_exact", CONV,             8,  64,  64, {56, 56, 0},    3, 1, 1, 1, 1,   0, 1},
        {"dwconv3x3_64_56_n8",     CONV,             8,  64,  64, {56, 56, 0},    3, 1, 1, 1, 64,  0, 0},
        {"maxpool2_64_56_n8",      MAX_POOL,         8,  64,  64, {56, 56, 0},    2, 2, 0, 1, 1,   0, 0}},
        norm =
        {"batchnorm2d_64_64_56",   NORM,             64, 64,  64, {56, 56, 0},    1, 1, 0, 1, 1,   0, 0},
        nets[] = {
        {"cnn_infer_b64",          CNN,              64, 1,   10, {28, 28, 0},    3, 1, 0, 1, 1,   0, 0},
        {"cnn_train_b64",          CNN,              64, 1,   10, {28, 28, 0},    3, 1, 0, 1, 1,   0, 0},
        {"cnn_train_b64_plan",     CNN,              64, 1,   10, {28, 28, 0},    3, 1, 0, 1, 1,   0, 0},
        {"resnet18_b1",            RESNET18,         1,  3, 1000, {224, 224, 0},  3, 1, 1, 1, 1,   0, 0},
        {"resnet18_b8",            RESNET18,         8,  3, 1000, {224, 224, 0},  3, 1, 1, 1, 1,   0, 0}},
        shapes[] = {
        {"conv1x1_64to256_56",     CONV,             8,  64, 256, {56, 56, 0},    1, 1, 0, 1, 1,   0, 0},
        {"conv1x1s2_64to128_56",   CONV,             8,  64, 128, {56, 56, 0},    1, 2, 0, 1, 1,   0, 0},
        {"conv5x5_32to64_28",      CONV,             8,  32,  64, {28, 28, 0},    5, 1, 2, 1, 1,   0, 0},
        {"conv7x7s2_3to64_224",    CONV,             8,  3,   64, {224, 224, 0},  7, 2, 3, 1, 1,   0, 0},
        {"conv3x3d2_64_56",        CONV,             8,  64,  64, {56, 56, 0},    3, 1, 2, 2, 1,   0, 0},
        {"conv3x3g4_64_56",        CONV,             8,  64,  64, {56, 56, 0},    3, 1, 1, 1, 4,   0, 0},
        {"conv3x3g32_128_28",      CONV,             8, 128, 128, {28, 28, 0},    3, 1, 1, 1, 32,  0, 0},
        {"conv3x3s2_64to128_56",   CONV,             8,  64, 128, {56, 56, 0},    3, 2, 1, 1, 1,   0, 0},
        {"conv3x3_17to29_33x31",   CONV,             8,  17,  29, {33, 31, 0},    3, 1, 1, 1, 1,   0, 0},
        {"conv3x3_128_28",         CONV,             8, 128, 128, {28, 28, 0},    3, 1, 1, 1, 1,   0, 0},
        {"conv3x3_256_14",         CONV,             8, 256, 256, {14, 14, 0},    3, 1, 1, 1, 1,   0, 0},
        {"conv3x3_512_7",          CONV,             8, 512, 512, {7, 7, 0},      3, 1, 1, 1, 1,   0, 0},
        {"conv3x3_1to32_28",       CONV,            64,   1,  32, {28, 28, 0},    3, 1, 0, 1, 1,   0, 0},
        {"conv1d5_64to128_1000",   CONV,             8,  64, 128, {1000, 0, 0},   5, 1, 2, 1, 1,   0, 0},
        {"conv3d3_16to32_16",      CONV,             8,  16,  32, {16, 16, 16},   3, 1, 1, 1, 1,   0, 0},
        {"convT4x4s2_64to32_28",   TRANSPOSED,       8,  64,  32, {28, 28, 0},    4, 2, 1, 1, 1,   0, 0},
        {"conv3x3_last_64_56",     CONV,             8,  64,  64, {56, 56, 0},    3, 1, 1, 1, 1,   1, 0},
        {"avgpool2_64_56",         AVG_POOL,         8,  64,  64, {56, 56, 0},    2, 2, 0, 1, 1,   0, 0},
        {"maxpool3s2_64_112",      MAX_POOL,         8,  64,  64, {112, 112, 0},  3, 2, 1, 1, 1,   0, 0},
        {"resize2_64_56",          RESIZE,           8,  64,  64, {56, 56, 0},    1, 2, 0, 1, 1,   0, 0}};
    for (size_t i = 0; i < sizeof layers / sizeof *layers; i++) {
        layer("vision", &layers[i], 0);
        if (i == 0) layer("vision", &layers[i], 1);
    }
    layer("vision", &norm, 1);
    for (size_t i = 0; i < sizeof nets / sizeof *nets; i++) {
        row *r = picture_net(&nets[i], i == 1 || i == 2);
        if (i == 2) { r->what = "the same step as a plan, which is what nn_fit runs"; r->start = start_picture_plan; r->run = run_plan_train; }
    }
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        for (int train = 0; train < 2; train++) layer("shapes", &shapes[i], train);
}
/* For peers.py: what to build. */
static void print_grids(void) {
    for (int i = 0; i < n_rows; i++) {
        const grid *g = rows[i].grid;
        if (!g) continue;
        printf("{\"name\": \"%s\", \"kind\": \"%s\", \"train\": %d, \"n\": %d, \"c\": %d, \"o\": %d, \"size\": [%d", rows[i].name, kind_names[g->kind], rows[i].train, (int)g->n, (int)g->c, (int)g->o, (int)g->size[0]);
        for (int k = 1; k < axes_of(g); k++) printf(", %d", (int)g->size[k]);
        printf("], \"kernel\": %d, \"stride\": %d, \"padding\": %d, \"dilation\": %d, \"groups\": %d, \"last\": %d}\n", (int)g->kernel, (int)g->stride, (int)g->padding, (int)g->dilation, (int)g->groups, g->last);
    }
}

static void rows_thinkingnet(void) {
    static const struct { const char *name; enum where where; } ways[] = {{"_scalar", SCALAR}, {"_serial", SERIAL}, {"", AS_TOLD}};
    static const struct { const char *name, *what; void (*run)(void); } pools[] = {
        {"tn_matrices_arena", "1000 zero matrices of 100 x 100 by nn_zeros, one reset", run_arena_all}, {"tn_matrices_malloc", "the same by malloc and memset, all freed at the end", run_malloc_all},
        {"tn_matrix_arena", "1000 times nn_zeros of 100 x 100 and reset", run_arena_each},              {"tn_matrix_malloc", "1000 times malloc, memset, free", run_malloc_each}};
    const int64_t million = 1000000;
    char          name[40];
    row          *r = add("thinkingnet", "10 M operations of the eight-step loop in plain C over nn_parallel_for", start_steps, run_steps, "tn_steps");
    r->m = 10 * million;
    with_work(r, NO_PEAK, 1e7, "Gop/s");
    r = add("thinkingnet", "the eight steps by ops on 64 x 256 registers, reset", start_steps_nn, run_steps_nn, "tn_steps_nn");
    with_work(r, NO_PEAK, 8.0 * 64 * 256, "Gop/s");
    for (size_t i = 0; i < sizeof pools / sizeof *pools; i++) add("thinkingnet", pools[i].what, NULL, pools[i].run, "%s", pools[i].name);
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) { /* scalar kernels, one thread, all threads */
        snprintf(name, sizeof name, "tn_relu_1M_x100%s", ways[i].name);
        r = map("thinkingnet", name, nn_relu, 1, million, COPY, 800);
        r->what = "1 M elements into a fresh tensor, reset: 100 times"; r->run = run_op_100; r->footprint = 8e6; r->where = ways[i].where;
        snprintf(name, sizeof name, "tn_sigmoid_1M_x100%s", ways[i].name);
        r = map("thinkingnet", name, nn_sigmoid, 1, million, COPY, 800);
        r->what = "1 M elements into a fresh tensor, reset: 100 times"; r->run = run_op_100; r->footprint = 8e6; r->where = ways[i].where;
        snprintf(name, sizeof name, "tn_gemm_256%s", ways[i].name);
        gemm("thinkingnet", 256, 256, 256, NN_F32, name)->where = ways[i].where;
        if (ways[i].where == SCALAR) continue;
        snprintf(name, sizeof name, "tn_batch_forward%s", ways[i].name);
        network("thinkingnet", name, mlp, NN_ACT_RELU, 128, 0)->where = ways[i].where;
    }
    r = network("thinkingnet", "tn_infer_f64", mlp, NN_ACT_RELU, 128, 0);
    r->dtype = NN_F64; r->peak = F64; r->bytes *= 2; r->footprint *= 2;
    network("thinkingnet", "tn_infer_f32", mlp, NN_ACT_RELU, 128, 0);
}

static void rows_scratch(void) {
    static const int64_t products[][3] = {{100, 50, 100}, {500, 300, 200}, {1000, 100, 500}};
    static const int64_t linears[][2] = {{100, 50}, {500, 1000}, {1000, 100}, {2000, 2000}, {1000, 1000}};
    static const int64_t softmaxes[][2] = {{10, 50000}, {100, 50000}, {1000, 50000}, {1000, 10000}};
    static const int64_t tables[][2] = {{1000, 128}, {10000, 256}, {50000, 512}};
    static const int64_t gradients[][3] = {{100, 50, 30}, {2000, 1000, 500}};
    static const struct { const char *name; sizes s; } nets[] = {{"1K", {{16, 32, 10, 0}}}, {"10K", {{64, 128, 10, 0}}}, {"100K", {{256, 256, 128, 10, 0}}}, {"1M", {{784, 800, 400, 128, 10, 0}}}};
    char name[40];
    row *r;
    for (int64_t n = 100; n < 1000; n += 400) {
        r = add("scratch", "normal numbers into a fresh tensor, reset", NULL, run_normal, "fs_create_%d", (int)n);
        r->m = r->n = n;
        with_memory(r, WRITE, 4.0 * (double)(n * n));
    }
    for (int i = 0; i < 3; i++) {
        snprintf(name, sizeof name, "fs_matmul_%dx%dx%d", (int)products[i][0], (int)products[i][1], (int)products[i][2]);
        gemm("scratch", products[i][0], products[i][1], products[i][2], NN_F32, name);
    }
    for (int i = 0; i < 5; i++) {
        sizes s = {{linears[i][0], linears[i][1], 0}};
        snprintf(name, sizeof name, "fs_linear_%dto%d_b32", (int)linears[i][0], (int)linears[i][1]);
        network("scratch", name, s, NN_ACT_NONE, 32, 0);
    }
    for (int i = 0; i < 4; i++) {
        snprintf(name, sizeof name, "fs_softmax_%dx%d", (int)softmaxes[i][0], (int)softmaxes[i][1]);
        map("scratch", name, op_softmax, softmaxes[i][0], softmaxes[i][1], COPY, 8);
    }
    for (int i = 0; i < 3; i++) {
        r = add("scratch", "32 x 100 rows out of a table, by nn_gather, reset", start_gather, run_gather, "fs_embedding_%dx%d", (int)tables[i][0], (int)tables[i][1]);
        r->m = 3200; r->k = tables[i][0]; r->n = tables[i][1];
        with_memory(r, COPY, 8.0 * 3200 * (double)r->n);
    }
    for (int i = 0; i < 2; i++) {
        int64_t m = gradients[i][0], k = gradients[i][1], n = gradients[i][2];
        r = add("scratch", "matmul, ReLU, mean over rows, sum, and the gradients of both matrices; reset", start_gradient, run_gradient, "fs_gradient_%dx%dx%d", (int)m, (int)k, (int)n);
        r->m = m; r->k = k; r->n = n;
        with_work(r, F32, 6.0 * (double)m * (double)k * (double)n, "GF/s");
    }
    r = network("scratch", "fs_adam_step", adam_sizes, NN_ACT_RELU, 32, 1);
    r->what = "Adam's step alone on 1000-500-200-50-10; forward and backward before it are not timed"; r->run = run_step; r->between = between_step; r->peak = NO_PEAK; r->work = 0;
    r->unit = "GB/s";
    r = add("scratch", "embedding 1000 x 128, linear 256, ReLU, linear 1000, cross-entropy at 16 x 50 words; backward, Adam, reset", start_words, run_train, "fs_train_step");
    r->m = 16 * 50; r->k = 1000; r->n = 256;
    with_work(r, F32, 2.0 * 3 * 800 * (128.0 * 256 + 256.0 * 1000), "GF/s");
    for (int64_t b = 1; b <= 64; b *= 4) {
        snprintf(name, sizeof name, "fs_batch_%d", (int)b);
        network("scratch", name, mlp, NN_ACT_RELU, b, 0);
    }
    for (int i = 0; i < 4; i++) {
        snprintf(name, sizeof name, "fs_train_%s", nets[i].name);
        network("scratch", name, nets[i].s, NN_ACT_RELU, 32, 1);
        snprintf(name, sizeof name, "fs_infer_%s", nets[i].name);
        network("scratch", name, nets[i].s, NN_ACT_RELU, 1, 0);
    }
    network("scratch", "fs_train_1M_b1", nets[3].s, NN_ACT_RELU, 1, 1);
    network("scratch", "fs_train_1M_b64", nets[3].s, NN_ACT_RELU, 64, 1);
}

static row *figure_of(const char *name, enum form form, int (*measure)(const row *, double, figure *), const row *of, const row *beside, const char *ours, const char *other, const char *in, const char *what) {
    row *r = add("plan", what, NULL, NULL, "%s", name);
    r->form = form; r->measure = measure; r->of = of; r->beside = beside; r->ours = ours; r->other = other; r->in = in;
    r->unit = form_units[form];
    return r;
}
static row *plan_row(row *r, const char *what, void (*start)(void), void (*run)(void)) {
    r->what = what; r->start = start; r->run = run;
    return r;
}
/* A training step of n blocks; least traffic: SGD's (parameter and gradient in, parameter out). */
static row *residual(const char *name, int64_t n, int every, const char *what) {
    const double weights = (double)n * 2 * 64 * 64;
    row *r = add("plan", what, start_plan_train, run_plan_train, "%s", name);
    r->layer[0] = r->layer[1] = 64;
    r->net = residual_net; r->real = 1; r->k = n; r->m = 256; r->every = every; r->rate = 1e-3f;
    with_work(r, F32, 2.0 * 256 * (3 * weights - 64 * 64), "GF/s");
    with_memory(r, UPDATE, 12 * weights)->footprint = 8 * weights;
    return r;
}

static int by_turns(const row *r, double limit, figure *f);
static int peaks(const row *r, double limit, figure *f);
static int layout(const row *r, double limit, figure *f);
static int overhead(const row *r, double limit, figure *f);

static void rows_plan(void) {
    static const sizes deep = {{64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 0}};
    static const char *const bound = "a plan of named layers forward, loss, backward, optimiser: input tensors bound, run, reset",
                      *const train = "a plan of named layers forward, loss, backward, optimiser: run, reset; the same input tensors", *const infer = "a plan of nn_predict: raw array bound, run, one output read";
    static row res12;
    row *mlp_train, *xor_train, *deep_infer, *deep_eager, *deep_train, *deep_train_eager, *res, *again, *r;
    mlp_train = plan_row(network("plan", "plan_mlp_train_b128", mlp, NN_ACT_RELU, 128, 1), bound, start_plan_train, run_plan_bound);
    r         = plan_row(network("plan", "plan_tiny_infer", tiny, NN_ACT_RELU, 1, 0), "a plan of nn_predict (weights packed once before): raw array bound, run, one output read", start_plan_infer, run_plan_infer);
    r->pack   = 1;
    xor_train = plan_row(network("plan", "plan_xor_train", xor_sizes, NN_ACT_TANH, 4, 1), train, start_plan_train, run_plan_train);
    deep_infer       = plan_row(network("plan", "plan_deep_infer", deep, NN_ACT_RELU, 1, 0), infer, start_plan_infer, run_plan_infer);
    deep_eager       = network("plan", "plan_deep_eager", deep, NN_ACT_RELU, 1, 0);
    deep_train       = plan_row(network("plan", "plan_deep_train", deep, NN_ACT_RELU, 1, 1), train, start_plan_train, run_plan_train);
    deep_train_eager = network("plan", "plan_deep_train_eager", deep, NN_ACT_RELU, 1, 1);
    deep_train->real  = deep_train_eager->real = 1;
    deep_train->bytes = deep_train_eager->bytes = 12.0 * 12 * 64 * 64; /* SGD's */
    deep_train->footprint = deep_train_eager->footprint = 8.0 * 12 * 64 * 64;
    res   = residual("plan_res64", 64, 0, "a plan of a training step of 64 blocks x + linear(relu(linear(x))), width 64, batch 256, mean squared error, SGD: run, reset; the same input tensors");
    again = residual("plan_res64_recompute", 64, CHECKPOINT, "the same, but of every few blocks only the last output is kept for backward, the others are computed again");
    res12   = *res;
    res12.k = 12;
    snprintf(res12.name, sizeof res12.name, "res12");
    figure_of("plan_xor_gain", GAIN, by_turns, xor_train, xor_eager, "plan", "eager", "us", "xor_train / plan_xor_train, by turns");
    figure_of("plan_deep_infer_gain", GAIN, by_turns, deep_infer, deep_eager, "plan", "eager", "us", "plan_deep_eager / plan_deep_infer, by turns");
    figure_of("plan_deep_train_gain", GAIN, by_turns, deep_train, deep_train_eager, "plan", "eager", "us", "plan_deep_train_eager / plan_deep_train, by turns");
    figure_of("plan_res64_cut", CUT, peaks, again, res, "recomputed", "kept", "bytes", "how much less the planned peak of plan_res64_recompute is than that of plan_res64");
    figure_of("plan_res64_more", MORE, by_turns, again, res, "recomputed", "kept", "us", "how much longer plan_res64_recompute takes than plan_res64, by turns");
    figure_of("plan_mlp_train_layout", RATIO, layout, mlp_train, NULL, "peak", "bound", "bytes", "plan_mlp_train_b128: planned peak / the most that is alive at once");
    figure_of("plan_res12_layout", RATIO, layout, &res12, NULL, "peak", "bound", "bytes", "the training step of plan_res64 with 12 blocks: planned peak / the most that is alive at once");
    figure_of("plan_mlp_train_overhead", RATIO, overhead, mlp_train, NULL, "run", "sum of nodes", "us", "plan_mlp_train_b128: nn_plan_run / the sum of its nodes, each run alone in a loop");
    figure_of("plan_deep_train_overhead", RATIO, overhead, deep_train, NULL, "run", "sum of nodes", "us", "plan_deep_train: nn_plan_run / the sum of its nodes, each run alone in a loop");
    figure_of("plan_xor_train_overhead", RATIO, overhead, xor_train, NULL, "run", "sum of nodes", "us", "plan_xor_train: nn_plan_run / the sum of its nodes, each run alone in a loop");
}

// ---- running a row ----------------------------------------------------------------------------------
typedef struct result { double median, min, mark[2]; int n; nn_memory_report memory; int64_t parameters; } result;

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

/* Seconds of one run: what is shorter than 20 us is repeated inside one measurement. 0: failed. */
static int measure(const row *r, double limit, result *out) {
    enum { MOST = 100000, LEAST = 5, WARM = 3 };
    static double times[MOST];
    double        start, once, from;
    int           n = 0, repeat = 1;
    memset(&t, 0, sizeof t);
    at = r;
    c  = begin(r->where);
    if (!c) return 0;
    if (r->start) r->start();
    nn_reset(c);
    out->mark[0] = out->mark[1] = 0;
    if (r->check) {
        r->check(out->mark);
        nn_reset(c);
        if (!nn_error(c) && !is_right(r, out->mark)) return nn_end(c), 0;
    }
    for (int i = 0; i < WARM; i++) {
        if (r->between) r->between();
        r->run();
    }
    if (r->between) r->between();
    start = now();
    r->run();
    once = now() - start;
    if (once < 20e-6 && !r->between) repeat = (int)(20e-6 / (once > 1e-8 ? once : 1e-8)) + 1;
    for (start = now(); n < MOST && (n < LEAST || now() - start < limit) && !nn_error(c); n++) {
        if (r->between) r->between();
        from = now();
        for (int k = 0; k < repeat; k++) r->run();
        times[n] = (now() - from) / repeat / r->per;
    }
    qsort(times, (size_t)n, sizeof *times, by_value);
    nn_reset(c);
    out->n          = n;
    out->median     = n ? times[n / 2] : 0;
    out->min        = n ? times[0] : 0;
    out->memory     = nn_memory(c);
    out->parameters = t.m ? nn_model_size(t.m) : 0;
    if (nn_error(c)) fprintf(stderr, "bench: %s: %s\n", r->name, nn_error_text(c));
    n = !nn_error(c);
    nn_end(c);
    return n;
}

// ---- figures ----------------------------------------------------------------------------------------
/* Times of two rows, measured by turns; of each the minimum counts. How the figure follows from them: enum form. */
static int by_turns(const row *r, double limit, figure *f) {
    enum { TURNS = 3 };
    for (int i = 0; i < TURNS; i++) {
        result ours, other;
        if (!measure(r->beside, limit / (2 * TURNS), &other) || !measure(r->of, limit / (2 * TURNS), &ours)) return 0;
        if (i == 0 || ours.min < f->ours) f->ours = ours.min;
        if (i == 0 || other.min < f->other) f->other = other.min;
    }
    return 1;
}

static int start_row(const row *r) {
    memset(&t, 0, sizeof t);
    at = r;
    c  = begin(r->where);
    if (!c) return 0;
    r->start();
    nn_reset(c);
    if (!nn_error(c)) return 1;
    fprintf(stderr, "bench: %s: %s\n", r->name, nn_error_text(c));
    nn_end(c);
    return 0;
}
static int stats_of(const row *r, nn_plan_stats *s) {
    if (!start_row(r)) return 0;
    *s = nn_plan_stats_of(t.p);
    nn_end(c);
    return 1;
}
static int peaks(const row *r, double limit, figure *f) {
    nn_plan_stats ours, other;
    (void)limit;
    if (!stats_of(r->of, &ours) || !stats_of(r->beside, &other)) return 0;
    f->ours = (double)ours.peak; f->other = (double)other.peak;
    snprintf(f->note, sizeof f->note, "checkpoint = %d, %.1f %% of the FLOPs again", r->of->every, 100 * ours.again / (ours.flops - ours.again));
    return 1;
}
static int layout(const row *r, double limit, figure *f) {
    nn_plan_stats s;
    (void)limit;
    if (!stats_of(r->of, &s)) return 0;
    f->ours = (double)s.peak; f->other = (double)s.bound;
    snprintf(f->note, sizeof f->note, "every value its own room: %zu bytes", s.naive);
    return 1;
}

/* The bytes that a node changes and reads: what it does in a loop must not be seen by the nodes after it. */
static void node_bytes(const nn_node *n, char **saved, int restore) {
    for (int k = 0; k < n->n_in; k++) {
        nn__storage *st = n->in[k]->st;
        int          changed = (n->op->flags & NN_OP_WRITES) != 0;
        for (int o = 0; o < n->n_out; o++) changed |= n->out[o]->st == st; /* in place */
        if (!changed) continue;
        if (!saved[k] && !(saved[k] = (char *)malloc(st->bytes + 1))) exit(1);
        if (restore) memcpy(st->data, saved[k], st->bytes); else memcpy(saved[k], st->data, st->bytes);
    }
}
static double node_seconds(nn_node *n, int64_t repeat) {
    nn__mark mark = nn__arena_mark(n->ctx);
    double   from = now();
    for (int64_t i = 0; i < repeat; i++) {
        n->op->run(n);
        if (n->ctx->memory.step_now != mark.now) nn__arena_rewind(n->ctx, mark); /* as nn_plan_run */
    }
    return (now() - from) / (double)repeat;
}
/* A throw-away plan: its run, and each of its nodes alone in a loop, by turns; of each the minimum counts. All nodes are summed,
   those of a branch too. Alone in a loop a node finds its operands in the nearest cache, within a run it may not: so the note says
   also what the nodes take in their turn. */
static int overhead(const row *r, double limit, figure *f) {
    enum { MOST_NODES = 200, MOST_IN = 200, LEAST = 3, SAMPLES = 5 };
    static char *saved[MOST_NODES][MOST_IN];
    double       node_min[MOST_NODES], start;
    int64_t      repeat[MOST_NODES], runs = 1;
    nn_plan     *p;
    int          turns = 0, fine, n;
    uint64_t     ticks, clock = UINT64_MAX, turn = UINT64_MAX, sum;
    memset(saved, 0, sizeof saved);
    if (!start_row(r->of)) return 0;
    p = t.p;
    for (int64_t i = 0; i < p->n; i++)
        if (p->n > MOST_NODES || p->node[i]->n_in > MOST_IN) {
            fprintf(stderr, "bench: %s: more nodes or operands than there is room for\n", r->name);
            nn_end(c);
            return 0;
        }
    for (int i = 0; i < 3; i++) nn_plan_run(p);
    for (int i = 0; i < 100; i++) { /* what reading the clock takes */
        uint64_t from = nn__ticks(), took = nn__ticks() - from;
        if (took < clock) clock = took;
    }
    for (ticks = nn__ticks(), start = now(); (turns < LEAST || now() - start < limit) && !nn_error(c); turns++) {
        for (int k = 0; k <= SAMPLES; k++) { /* the first only warms the caches */
            double from = now(), took;
            for (int64_t j = 0; j < runs; j++) nn_plan_run(p);
            took = (now() - from) / (double)runs;
            if (!turns && !k) { f->ours = took; runs = 1 + (int64_t)(20e-6 / took); }
            if (k && took < f->ours) f->ours = took;
        }
        for (int64_t i = 0; i < p->n; i++) {
            double took;
            node_bytes(p->node[i], saved[i], 0);
            for (int k = 0; k <= SAMPLES; k++) {
                took = node_seconds(p->node[i], turns || k ? repeat[i] : 1);
                if (!turns && !k) { node_min[i] = took; repeat[i] = 1 + (int64_t)(20e-6 / (took > 1e-8 ? took : 1e-8)); }
                if (k && took < node_min[i]) node_min[i] = took;
            }
            node_bytes(p->node[i], saved[i], 1);
        }
        for (int k = 0; k <= SAMPLES; k++) { /* and in their turn, where each finds the caches as a run leaves them */
            sum = 0;
            for (int64_t i = 0; i < p->n; i++) {
                nn_node *node = p->node[i];
                nn__mark mark = nn__arena_mark(node->ctx);
                uint64_t before = nn__ticks(), took;
                node->op->run(node);
                took = nn__ticks() - before;
                sum += took > clock ? took - clock : 0;
                nn__arena_rewind(node->ctx, mark);
            }
            if (k && sum < turn) turn = sum;
        }
    }
    f->other = 0;
    for (int64_t i = 0; i < p->n; i++) f->other += node_min[i];
    n = snprintf(f->note, sizeof f->note, "%d nodes; in their turn %.3f us", (int)p->n, (double)turn * (now() - start) / (double)(nn__ticks() - ticks) * 1e6);
    if (p->branches) { /* those of a branch run side by side */
        double once = f->other;
        for (int64_t b = 0; b < p->branches; b++) {
            double lane[16] = {0}, all = 0, longest = 0;
            for (int64_t i = p->branch[b].begin; i < p->branch[b].end; i++) { lane[p->lane_of[i]] += node_min[i]; all += node_min[i]; }
            for (int l = 0; l < 16; l++) if (lane[l] > longest) longest = lane[l];
            once -= all - longest;
        }
        snprintf(f->note + n, sizeof f->note - (size_t)n, "; %.3f us if of a branch only the longest lane counts", once * 1e6);
    }
    for (int64_t i = 0; i < p->n; i++)
        for (int k = 0; k < p->node[i]->n_in; k++) free(saved[i][k]);
    fine = !nn_error(c);
    if (!fine) fprintf(stderr, "bench: %s: %s\n", r->name, nn_error_text(c));
    nn_end(c);
    return fine;
}

static int run_figure(const row *r, double time, int json) {
    figure f;
    double value, to = *r->in == 'u' ? 1e6 : 1;
    int    digits = *r->in == 'u' ? 3 : 0;
    memset(&f, 0, sizeof f);
    if (!r->measure(r, time, &f)) return printf(json ? "{\"name\": \"%s\", \"failed\": true}\n" : "%-28s failed\n", r->name), fflush(stdout), 0;
    value = r->form == RATIO ? f.ours / f.other : r->form == GAIN ? f.other / f.ours : r->form == MORE ? 100 * (f.ours / f.other - 1) : 100 * (1 - f.ours / f.other);
    if (json) /* min and least as of a timing, so that least / min is a share here too */
        printf("{\"name\": \"%s\", \"group\": \"%s\", \"what\": \"%s\", \"figure\": \"%s\", \"value\": %.6g, \"unit\": \"%s\", \"median\": %.9g, \"min\": %.9g, \"least\": %.9g, \"limit\": \"%s\", "
               "\"ours\": \"%s\", \"in\": \"%s\", \"note\": \"%s\"}\n",
               r->name, r->group, r->what, form_names[r->form], value, r->unit, f.ours, f.ours, f.other, r->other, r->ours, r->in, f.note);
    else printf("%-28s %12.3f %-2s %s %.*f %s, %s %.*f %s%s%s\n", r->name, value, r->unit, r->ours, digits, f.ours * to, r->in, r->other, digits, f.other * to, r->in, *f.note ? "; " : "", f.note);
    fflush(stdout);
    return 1;
}

static int run_row(const row *r, double time, int json) {
    result m;
    limit  l;
    double rate;
    if (r->measure) return run_figure(r, time, json);
    if (!measure(r, time, &m)) return printf(json ? "{\"name\": \"%s\", \"failed\": true}\n" : "%-28s failed\n", r->name), fflush(stdout), 0;
    l    = limit_of(r);
    rate = (r->work > 0 ? r->work : r->bytes) / m.min / 1e9;
    if (json)
        printf("{\"name\": \"%s\", \"group\": \"%s\", \"what\": \"%s%s\", \"median\": %.9g, \"min\": %.9g, \"runs\": %d, \"rate\": %.6g, \"unit\": \"%s\", \"work\": %.9g, \"bytes\": %.9g, "
               "\"peak\": %.6g, \"bandwidth\": %.6g, \"least\": %.6g, \"limit\": \"%s\", \"memory\": %zu, \"left\": %zu, \"parameters\": %lld, \"mark\": [%.9g, %.9g]}\n",
               r->name, r->group, r->what, where_names[r->where], m.median, m.min, m.n, rate, r->unit, r->work, r->bytes, l.rate, l.bandwidth, l.least, l.name, m.memory.peak,
               m.memory.step_now + m.memory.pool_now, (long long)m.parameters, m.mark[0], m.mark[1]);
    else {
        printf("%-28s %12.3f %12.3f", r->name, m.median * 1e6, m.min * 1e6);
        if (*r->unit) printf(" %9.1f %-5s", rate, r->unit); else printf("%16s", "");
        if (l.least > 0) printf(" %12.3f %5.1f %% %s", l.least * 1e6, 100 * l.least / m.min, l.name);
        printf("\n");
    }
    fflush(stdout);
    return 1;
}

static int wanted(const row *r, char **filter, int n) {
    for (int i = 0; i < n; i++) {
        const char *f = filter[i];
        if (*f == '@' ? !strcmp(r->group, f + 1) : *f == '=' ? !strcmp(r->name, f + 1) : strstr(r->name, f) != NULL) return 1;
    }
    return n == 0;
}

/* Reads lines "name seconds" and answers each. */
static int serve(void) {
    char   line[128], name[64];
    double time;
    while (fgets(line, sizeof line, stdin)) {
        int found = 0;
        if (sscanf(line, "%63s %lf", name, &time) != 2) continue;
        for (int i = 0; i < n_rows; i++)
            if (!strcmp(rows[i].name, name)) { run_row(&rows[i], time, 1); found = 1; break; }
        if (!found) printf("{\"name\": \"%s\", \"failed\": true}\n", name), fflush(stdout);
    }
    return 0;
}

static int usage(void) {
    fprintf(stderr, "usage: bench [--threads n] [--isa name] [--seconds s] [--json | --describe | --grids] [--serve] [--blas library] [part of a name | =name | @group ...]\n");
    return 2;
}

int main(int argc, char **argv) {
    int json = 0, describe = 0, grids = 0, serving = 0, failed = 0, i = 1;
    for (; i < argc && argv[i][0] == '-'; i++) {
        const char *o = argv[i], *value = i + 1 < argc ? argv[i + 1] : NULL;
        if (!strcmp(o, "--json")) json = 1;
        else if (!strcmp(o, "--describe")) describe = 1;
        else if (!strcmp(o, "--grids")) grids = 1;
        else if (!strcmp(o, "--serve")) serving = 1;
        else if (!value) return usage();
        else if (!strcmp(o, "--threads")) { threads = atoi(value); i++; }
        else if (!strcmp(o, "--isa")) { isa = value; i++; }
        else if (!strcmp(o, "--seconds")) { seconds = atof(value); i++; }
        else if (!strcmp(o, "--blas")) { if (!blas_open(value)) return 2; i++; }
        else return usage();
    }
    rows_main();
    if (!blas32.p && !blas64.p) { rows_vision(); rows_plan(); rows_thinkingnet(); rows_scratch(); }
    if (grids) return print_grids(), 0;
    c = begin(AS_TOLD);
    if (!c || nn_error(c)) return 1;
    if (json || serving)
        printf("{\"version\": \"%d.%d.%d\", \"isa\": \"%s\", \"threads\": %d, \"peak\": %.6g, \"cpu\": \"%s\"}\n", NN_NEURAL_VERSION / 10000, NN_NEURAL_VERSION / 100 % 100, NN_NEURAL_VERSION % 100, nn_isa(c), nn_threads(c), peak_rate(c, F32), nn_cpu_info(c));
    else if (!describe)
        printf("# nn.h %d.%d.%d, %s, %d threads; %s\n# %-26s %12s %12s %15s %12s %7s limit\n", NN_NEURAL_VERSION / 10000, NN_NEURAL_VERSION / 100 % 100, NN_NEURAL_VERSION % 100, nn_isa(c), nn_threads(c), nn_cpu_info(c),
               "name", "median us", "min us", "rate", "least us", "share");
    fflush(stdout);
    nn_end(c);
    if (serving) return serve();
    for (int k = 0; k < n_rows; k++) {
        if (!wanted(&rows[k], argv + i, argc - i)) continue;
        if (describe && rows[k].measure) printf("%-28s %s; in %s\n", rows[k].name, rows[k].what, rows[k].unit);
        else if (describe)
            printf("%-28s %s%s; %.6g %s operations, %.6g bytes (%s)\n", rows[k].name, rows[k].what, where_names[rows[k].where], rows[k].work, peak_names[rows[k].peak], rows[k].bytes, pattern_names[rows[k].pattern]);
        else failed |= !run_row(&rows[k], seconds, json);
    }
    return failed;
}
