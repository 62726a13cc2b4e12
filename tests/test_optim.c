/* Optimisers, schedules, averages, groups, clipping, and layers beyond the linear one. Trajectories and values are compared
 * with tests/golden_optim.txt, which tests/golden_optim.py makes with PyTorch; files, plans and memory with what the same
 * steps give without them.
 *
 *     test_optim [path of golden_optim.txt]
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#define NN_IMPLEMENTATION
#include "nn.h"

static int passed, failed, skipped;
static void check(int ok, const char *what, int line) {
    if (ok) passed++;
    else { failed++; printf("test_optim.c:%d: %s\n", line, what); }
}
#define CHECK(x) check((x) != 0, #x, __LINE__)
static void skip(const char *what, const char *why) {
    skipped++;
    printf("skipped: %s (%s)\n", what, why);
}

static nn_ctx *quiet_ctx(void) {
    nn_config g = nn_config_defaults();
    g.quiet     = 1;
    g.threads   = 1;
    return nn_begin(&g);
}
/* The context's first failure, if any, fails the case it happened in and no later one. */
static int no_error(nn_ctx *c, const char *name) {
    int ok = !nn_error(c);
    if (ok) passed++;
    else { failed++; printf("FAIL %s: %s\n", name, nn_error_text(c)); }
    nn_error_clear(c);
    return ok;
}
static void refused(nn_ctx *c, int got, nn_status code, const char *part, int line) { /* and go on */
    int ok = !got && nn_error(c) == code && strstr(nn_error_text(c), part) != NULL;
    if (ok) passed++;
    else { failed++; printf("test_optim.c:%d: %s; expected error %d with '%s', got %d: %s\n", line, got ? "did not fail" : "failed", (int)code, part, (int)nn_error(c), nn_error_text(c)); }
    nn_error_clear(c);
}
#define FAILS(c, call, code, part) refused(c, (call) != 0, code, part, __LINE__)

// ---- the golden file
typedef struct golden { const char *name; nn_shape shape; int64_t n; double *v; } golden;
static golden *list;
static int     listed;

static char *read_text(const char *path) {
    FILE *f = fopen(path, "rb");
    char *text;
    long  size;
    if (!f || fseek(f, 0, SEEK_END) || (size = ftell(f)) < 0 || fseek(f, 0, SEEK_SET)) { fprintf(stderr, "cannot read %s\n", path); exit(2); }
    text = (char *)malloc((size_t)size + 1);
    if (!text || fread(text, 1, (size_t)size, f) != (size_t)size) exit(2);
    text[size] = 0;
    fclose(f);
    return text;
}
static void read_golden(char *text) {
    int lines = 0;
    for (char *p = text; *p; p++) lines += *p == '\n';
    list = (golden *)calloc((size_t)lines + 1, sizeof *list);
    if (!list) exit(2);
    for (char *at = text; *at; listed++) {
        golden *g = &list[listed];
        g->name   = at;
        at        = strchr(at, ' ');
        *at++     = 0;
        g->shape.ndim = (int)strtol(at, &at, 10);
        g->n          = 1;
        for (int i = 0; i < g->shape.ndim; i++) g->n *= g->shape.dim[i] = strtol(at, &at, 10);
        g->v = (double *)malloc((size_t)(g->n + 1) * sizeof *g->v);
        if (!g->v) exit(2);
        for (int64_t i = 0; i < g->n; i++) g->v[i] = strtod(at, &at);
        at = strchr(at, '\n') + 1;
    }
}
static const golden *find(const char *name, const char *part) {
    static char full[96];
    snprintf(full, sizeof full, "%s.%s", name, part);
    for (int i = 0; i < listed; i++)
        if (!strcmp(list[i].name, *part ? full : name)) return &list[i];
    printf("FAIL %s.%s: not in golden_optim.txt\n", name, part);
    failed++;
    return NULL;
}

static const char *type_name(nn_dtype t) { return t == NN_F32 ? "f32" : "f64"; }
static double      close_to(nn_dtype t) { return t == NN_F32 ? 1e-5 : 1e-10; }

/* Largest difference, relative to the largest value that is expected. */
static void near_all(const char *name, const char *what, nn_dtype t, const double *got, const double *want, int64_t n, double tolerance) {
    double  largest = 0, worst = 0;
    int64_t at = 0;
    for (int64_t i = 0; i < n; i++)
        if (fabs(want[i]) > largest) largest = fabs(want[i]);
    for (int64_t i = 0; i < n; i++) {
        double d = fabs(got[i] - want[i]);
        if (d > worst || d != d) worst = d, at = i;
        if (d != d) break;
    }
    if (worst <= tolerance * largest) { passed++; return; }
    failed++;
    printf("FAIL %s, %s, %s: element %ld is %.10g, expected %.10g; off by %.3g of the largest, %.3g allowed\n", name, what, type_name(t), (long)at, got[at],
           want[at], largest > 0 ? worst / largest : worst, tolerance);
}
/* Each by itself. */
static void near_each(const char *name, const char *what, nn_dtype t, const double *got, const double *want, int64_t n, double tolerance) {
    for (int64_t i = 0; i < n; i++)
        if (!(fabs(got[i] - want[i]) <= tolerance * fabs(want[i]))) {
            failed++;
            printf("FAIL %s, %s, %s: element %ld is %.15g, expected %.15g; off by %.3g, %.3g allowed\n", name, what, type_name(t), (long)i, got[i], want[i],
                   fabs(got[i] / want[i] - 1), tolerance);
            return;
        }
    passed++;
}

// ---- inputs by formula: the other half is in golden_optim.py
static double formula(int64_t i, double low, double high, int k) {
    double u = 0.5 + (double)(i + 1) * 0.6180339887498949 + 0.13 * k;
    return low + (high - low) * (u - floor(u));
}
enum { MOST = 256 };
static nn_tensor *values(nn_ctx *c, nn_dtype t, nn_shape shape, double low, double high, int k) { /* of at most MOST elements */
    double  v[MOST];
    float   f[MOST];
    int32_t w[MOST];
    int64_t n = 1;
    for (int i = 0; i < shape.ndim; i++) n *= shape.dim[i];
    for (int64_t i = 0; i < n; i++) {
        v[i] = formula(i, low, high, k);
        f[i] = (float)v[i];
        w[i] = (int32_t)floor(v[i]);
    }
    return nn_from(c, t == NN_F64 ? (void *)v : t == NN_F32 ? (void *)f : (void *)w, t, shape);
}
static int64_t read_reals(nn_tensor *x, double *to) { /* how many */
    float   f[MOST];
    int64_t n = nn_numel(x);
    if (n < 0 || n > MOST) return 0;
    if (nn_dtype_of(x) == NN_F64) nn_read(x, to, (size_t)n * sizeof *to);
    else {
        nn_read(x, f, (size_t)n * sizeof *f);
        for (int64_t i = 0; i < n; i++) to[i] = f[i];
    }
    return n;
}
static void set_values(nn_model *m, nn_ctx *c, const char *name, double low, double high, int k) {
    int        was = nn_no_grad(c, 1);
    nn_tensor *p   = nn_model_tensor(m, c, name);
    if (p) nn_assign(p, values(c, nn_dtype_of(p), nn_shape_of(p), low, high, k));
    nn_no_grad(c, was);
}

// ---- two layers with tanh, always the same batch
enum { STEPS = 50, WEIGHTS = 51 };
static const char *const weight_names[] = {"hidden.weight", "hidden.bias", "out.weight", "out.bias"};

static nn_tensor *net(nn_scope s, nn_tensor *x) {
    x = nn_tanh(nn_layer_linear(s, "hidden", x, 6));
    return nn_layer_linear(s, "out", x, 3);
}
static nn_model *net_of(nn_ctx *c, nn_dtype t) {
    nn_model *m = nn_model_new(c, net, NULL);
    nn_model_dtype(m, t);
    nn_model_build(m, t, NN_SHAPE(12, 4));
    for (int i = 0; i < 4; i++) set_values(m, c, weight_names[i], -0.75, 0.75, 3 + i);
    nn_reset(c);
    return m;
}
static nn_tensor *loss_of(nn_model *m, nn_ctx *c, nn_dtype t) {
    return nn_mse(nn_forward(m, values(c, t, NN_SHAPE(12, 4), -2, 2, 1)), values(c, t, NN_SHAPE(12, 3), -1, 1, 2));
}
/* All weights end to end. */
static void read_weights(nn_model *m, nn_ctx *c, double *to) {
    for (int i = 0; i < WEIGHTS; i++) to[i] = NAN;
    for (int i = 0, n = 0; i < 4; i++) {
        nn_tensor *p = nn_model_tensor(m, c, weight_names[i]);
        if (p && n + nn_numel(p) <= WEIGHTS) n += (int)read_reals(p, to + n);
    }
}
static int same_weights(const double *a, const double *b) { return !memcmp(a, b, WEIGHTS * sizeof *a); } /* to the bit */
static double one_step(nn_model *m, nn_ctx *c, nn_optim *o, nn_dtype t) {
    nn_tensor *l    = loss_of(m, c, t);
    double     loss = nn_item(l);
    nn_backward(l);
    nn_step(o);
    nn_reset(c);
    return loss;
}

// ---- every optimiser
enum { MOM = 1, DAMP = 2, NEST = 4, CENT = 8, DECAY = 16 };
typedef struct kind { const char *name; nn_optim_kind kind; float lr; int with; } kind;
static const kind kinds[] = {
    {"sgd", NN_SGD, 0.125f, 0},
    {"sgd_decay", NN_SGD, 0.125f, DECAY},
    {"sgd_momentum", NN_SGD, 0.125f, MOM},
    {"sgd_dampening", NN_SGD, 0.125f, MOM | DAMP},
    {"sgd_nesterov", NN_SGD, 0.125f, MOM | NEST},
    {"sgd_momentum_decay", NN_SGD, 0.125f, MOM | DECAY},
    {"sgd_dampening_decay", NN_SGD, 0.125f, MOM | DAMP | DECAY},
    {"sgd_nesterov_decay", NN_SGD, 0.125f, MOM | NEST | DECAY},
    {"adam", NN_ADAM, 1 / 64.0f, 0},
    {"adam_decay", NN_ADAM, 1 / 64.0f, DECAY},
    {"adamw", NN_ADAMW, 1 / 64.0f, 0},
    {"adamw_decay", NN_ADAMW, 1 / 64.0f, DECAY},
    {"amsgrad", NN_AMSGRAD, 1 / 64.0f, 0},
    {"amsgrad_decay", NN_AMSGRAD, 1 / 64.0f, DECAY},
    {"nadam", NN_NADAM, 1 / 64.0f, 0},
    {"nadam_decay", NN_NADAM, 1 / 64.0f, DECAY},
    {"adamax", NN_ADAMAX, 1 / 64.0f, 0},
    {"adamax_decay", NN_ADAMAX, 1 / 64.0f, DECAY},
    {"rmsprop", NN_RMSPROP, 1 / 128.0f, 0},
    {"rmsprop_momentum", NN_RMSPROP, 1 / 128.0f, MOM},
    {"rmsprop_centred", NN_RMSPROP, 1 / 128.0f, CENT},
    {"rmsprop_centred_momentum_decay", NN_RMSPROP, 1 / 128.0f, CENT | MOM | DECAY},
    {"adagrad", NN_ADAGRAD, 0.125f, 0},
    {"adagrad_decay", NN_ADAGRAD, 0.125f, DECAY},
    {"adadelta", NN_ADADELTA, 1.0f, 0},
    {"adadelta_decay", NN_ADADELTA, 1.0f, DECAY},
    {"lion", NN_LION, 1 / 256.0f, 0},
    {"lion_decay", NN_LION, 1 / 256.0f, DECAY},
    {"muon", NN_MUON, 1 / 64.0f, MOM},
    {"muon_decay", NN_MUON, 1 / 64.0f, MOM | DECAY},
};
enum { KINDS = (int)(sizeof kinds / sizeof *kinds) };

static nn_optim_options options_of(const kind *k) { /* what golden_optim.py gives them: numbers that floats hold exactly */
    nn_optim_options o = nn_optim_defaults();
    o.kind         = k->kind;
    o.lr           = k->lr;
    o.beta1        = 0.875f;
    o.beta2        = 0.96875f;
    o.eps          = 1.0f / (1 << 20);
    o.momentum     = k->with & MOM ? 0.875f : 0;
    o.dampening    = k->with & DAMP ? 0.25f : 0;
    o.nesterov     = (k->with & NEST) != 0;
    o.centred      = (k->with & CENT) != 0;
    o.weight_decay = k->with & DECAY ? 0.0625f : NN_ZERO;
    return o;
}
static const kind *kind_named(const char *name) {
    for (int i = 0; i < KINDS; i++)
        if (!strcmp(kinds[i].name, name)) return &kinds[i];
    return NULL;
}
static nn_optim *optim_of(nn_model *m, const kind *k) {
    nn_optim_options o = options_of(k);
    return nn_optim_new(m, &o);
}

static void compare_states(const char *name, nn_dtype t, const double *losses, double (*states)[WEIGHTS], double tolerance) {
    static const char *const rows[] = {"after 1 step", "after 2 steps", "after 50 steps"};
    const golden *loss = find(name, "loss"), *state = find(name, "states");
    if (!loss || !state || loss->n != STEPS || state->n != 3 * WEIGHTS) { CHECK(!"golden_optim.txt fits"); return; }
    near_each(name, "losses", t, losses, loss->v, STEPS, tolerance);
    for (int i = 0; i < 3; i++) near_all(name, rows[i], t, states[i], state->v + i * WEIGHTS, WEIGHTS, tolerance);
}
/* 50 steps; first(m, step) comes before each, clip(o) between backward and step. */
static void trajectory(const char *name, nn_ctx *c, nn_model *m, nn_optim *o, nn_dtype t, double tolerance, void (*first)(nn_model *m, int step), double (*clip)(nn_optim *o), double *seen) {
    double losses[STEPS], states[3][WEIGHTS];
    for (int s = 0; s < STEPS; s++) {
        nn_tensor *l;
        if (first) first(m, s);
        l         = loss_of(m, c, t);
        losses[s] = nn_item(l);
        nn_backward(l);
        if (clip) seen[s] = clip(o);
        nn_step(o);
        nn_reset(c);
        if (s < 2 || s == STEPS - 1) read_weights(m, c, states[s < 2 ? s : 2]);
    }
    if (no_error(c, name)) compare_states(name, t, losses, states, tolerance);
}

static void test_trajectories(nn_ctx *c, nn_dtype t) {
    for (int i = 0; i < KINDS; i++) {
        nn_model *m = net_of(c, t);
        trajectory(kinds[i].name, c, m, optim_of(m, &kinds[i]), t, close_to(t), NULL, NULL, NULL);
        nn_model_free(m);
    }
}

/* PyTorch's Muon orthogonalises in bfloat16, which holds three digits: its own trajectory and that of the same algorithm in
   f64 are up to 0.3 % of the largest weight apart after 50 steps, and losses up to 0.15 %. */
static void test_torch_muon(nn_ctx *c) {
    for (int i = 0; i < 2; i++) {
        const kind *k = kind_named(i ? "muon_decay" : "muon");
        nn_model   *m = net_of(c, NN_F32);
        trajectory(i ? "torch_muon_decay" : "torch_muon", c, m, optim_of(m, k), NN_F32, 5e-3, NULL, NULL, NULL);
        nn_model_free(m);
    }
}

/* Nothing given but the kind: rates, betas, decays are PyTorch's, for Lion the paper's. */
static void test_defaults(nn_ctx *c) {
    static const char *const names[] = {"sgd", "adam", "adamw", "amsgrad", "nadam", "adamax", "rmsprop", "adagrad", "adadelta", "lion", "muon"};
    for (int k = 0; k < NN_OPTIMS; k++)
        for (int way = 0; way < 2; way++) {
            nn_optim_options o = nn_optim_defaults();
            nn_model        *m;
            nn_optim        *p;
            const golden    *g;
            char             name[32];
            double           w[WEIGHTS];
            if (way && k > NN_ADAMW) continue;
            m      = net_of(c, NN_F32);
            o.kind = (nn_optim_kind)k;
            p      = !way ? nn_optim_new(m, &o) : k == NN_SGD ? nn_sgd(m, 0.01f, 0) : k == NN_ADAM ? nn_adam(m, 0.001f) : nn_adamw(m, 0.001f, 0.01f);
            snprintf(name, sizeof name, "default_%s", names[k]);
            for (int s = 0; s < STEPS; s++) one_step(m, c, p, NN_F32);
            read_weights(m, c, w);
            g = find(name, "end");
            if (no_error(c, name) && g && g->n == WEIGHTS) near_all(name, "after 50 steps", NN_F32, w, g->v, WEIGHTS, 1e-5);
            nn_model_free(m);
        }
}

// ---- groups, frozen parameters, clipping
static void test_groups(nn_ctx *c, nn_dtype t) {
    nn_model *m = net_of(c, t);
    nn_optim *o = optim_of(m, kind_named("adamw_decay"));
    CHECK(nn_optim_group(o, "*.bias", 2, 0) == 2);
    CHECK(nn_set_lr(o, nn_lr_exponential(1 / 64.0f, 0.96875f)));
    trajectory("groups", c, m, o, t, close_to(t), NULL, NULL, NULL);
    nn_model_free(m);

    m = net_of(c, t);
    o = optim_of(m, kind_named("sgd_momentum_decay"));
    CHECK(nn_optim_group(o, "hidden.*", 0.5f, 0.25f) == 2);
    CHECK(nn_optim_group(o, "out.b?as", 1, NN_ZERO) == 1);
    trajectory("groups_sgd", c, m, o, t, close_to(t), NULL, NULL, NULL);
    nn_model_free(m);

    m = net_of(c, t);
    o = optim_of(m, kind_named("muon_decay"));
    CHECK(nn_optim_group(o, "hidden.*", 0.5f, 0.25f) == 2 && nn_optim_group(o, "out.bias", 1, 0) == 1);
    trajectory("groups_muon", c, m, o, t, close_to(t), NULL, NULL, NULL);
    nn_model_free(m);
}

static void freeze(nn_model *m, int step) {
    if (step == 0) CHECK(nn_model_train(m, "hidden.*", 0) == 2);
    if (step == 20) CHECK(nn_model_train(m, "*", 1) == 4 && nn_model_train(m, "out.bias", 0) == 1);
}
static void test_freezing(nn_ctx *c, nn_dtype t) {
    nn_model *m = net_of(c, t);
    trajectory("freezing", c, m, optim_of(m, kind_named("adam")), t, close_to(t), freeze, NULL, NULL);
    nn_backward(loss_of(m, c, t));
    CHECK(nn_grad(nn_model_tensor(m, c, "hidden.bias")) != NULL && nn_grad(nn_model_tensor(m, c, "out.bias")) == NULL);
    nn_reset(c);
    nn_model_free(m);
}

static double clip_value(nn_optim *o) { return nn_clip_grad_value(o, 0.0625); }
static double clip_layers(nn_optim *o) { return nn_clip_grad_layers(o, 0.125); }
static double clip_norm(nn_optim *o) { return nn_clip_grad_norm(o, 0.25); }

static void test_clipping(nn_ctx *c, nn_dtype t) {
    static const struct { const char *name; double (*clip)(nn_optim *o); } ways[] = {
        {"clip_value", clip_value}, {"clip_layers", clip_layers}, {"clip_norm", clip_norm}};
    for (int i = 0; i < 3; i++) {
        nn_model     *m = net_of(c, t);
        double        seen[STEPS];
        const golden *g = find(ways[i].name, "seen");
        trajectory(ways[i].name, c, m, optim_of(m, kind_named("sgd_momentum")), t, close_to(t), NULL, ways[i].clip, seen);
        if (g && g->n == STEPS) near_each(ways[i].name, "what was there before", t, seen, g->v, STEPS, close_to(t));
        nn_model_free(m);
    }
}
static nn_tensor *two_weights(nn_scope s, nn_tensor *g) { /* whose gradients are g's elements */
    nn_tensor *a = nn_param(s, "a", NN_SHAPE(1), nn_init_zeros()), *b = nn_param(s, "b", NN_SHAPE(1), nn_init_zeros());
    return nn_add(nn_sum(nn_mul(a, nn_slice(g, 0, 0, 1, 1)), NN_ALL, 0), nn_sum(nn_mul(b, nn_slice(g, 0, 1, 2, 1)), NN_ALL, 0));
}
static void give_gradients(nn_ctx *c, nn_model *m, double g0, double g1) {
    double g[2];
    g[0] = g0; g[1] = g1;
    for (int i = 0; i < 2; i++) nn_zero_grad(nn_model_tensor(m, c, i ? "b" : "a"));
    nn_backward(nn_forward(m, nn_from(c, g, NN_F64, NN_SHAPE(2))));
}
static void read_gradients(nn_ctx *c, nn_model *m, double *g) {
    for (int i = 0; i < 2; i++) g[i] = nn_item(nn_grad(nn_model_tensor(m, c, i ? "b" : "a")));
}
static void test_clipping_by_hand(nn_ctx *c) {
    nn_model *m = nn_model_new(c, two_weights, NULL);
    nn_optim *o;
    double    g[2];
    nn_model_dtype(m, NN_F64);
    nn_model_build(m, NN_F64, NN_SHAPE(2));
    o = nn_sgd(m, 1, 0);
    give_gradients(c, m, 3, 4);
    CHECK(fabs(nn_clip_grad_norm(o, 1) - 5) < 1e-12);
    read_gradients(c, m, g);
    CHECK(fabs(g[0] - 0.6) < 1e-6 && fabs(g[1] - 0.8) < 1e-6);
    give_gradients(c, m, 3, 4);
    CHECK(fabs(nn_clip_grad_norm(o, 5.5) - 5) < 1e-12); /* short enough */
    read_gradients(c, m, g);
    CHECK(g[0] == 3 && g[1] == 4);
    CHECK(nn_clip_grad_value(o, 3.5) == 4);
    read_gradients(c, m, g);
    CHECK(g[0] == 3 && g[1] == 3.5);
    give_gradients(c, m, -3, 0.5);
    CHECK(nn_clip_grad_value(o, 1) == 3);
    read_gradients(c, m, g);
    CHECK(g[0] == -1 && g[1] == 0.5);
    give_gradients(c, m, -3, 0.5);
    CHECK(fabs(nn_clip_grad_layers(o, 1) - 3) < 1e-12);
    read_gradients(c, m, g);
    CHECK(fabs(g[0] + 1) < 1e-6 && g[1] == 0.5);
    CHECK(nn_step(o) && fabs(nn_item(nn_model_tensor(m, c, "a")) - 1) < 1e-6 && nn_item(nn_model_tensor(m, c, "b")) == -0.5);
    CHECK(nn_clip_grad_value(o, 1) == 0 && nn_clip_grad_layers(o, 1) == 0 && nn_clip_grad_norm(o, 1) == 0); /* no gradients */
    CHECK(isnan(nn_clip_grad_value(NULL, 1)) && isnan(nn_clip_grad_layers(NULL, 1)));
    no_error(c, "clipping");
    FAILS(c, !isnan(nn_clip_grad_value(o, 0)), NN_ERR_ARG, "max cannot be 0");
    FAILS(c, !isnan(nn_clip_grad_layers(o, -1)), NN_ERR_ARG, "max cannot be -1");
    nn_model_free(m);
    nn_reset(c);
}

// ---- averages of the weights
static void test_averages(nn_ctx *c, nn_dtype t) {
    static const struct { const char *name; float average; int from, every; } ways[] = {{"ema", 0.875f, 0, 0}, {"swa", 1, 0, 1}, {"swa_late", 1, 20, 3}, {"ema_late", 0.75f, 7, 2}};
    static const char *const with[] = {"sgd_momentum", "adamw_decay"};
    for (int i = 0; i < 8; i++) {
        nn_model        *m = net_of(c, t), *plain = net_of(c, t);
        nn_optim_options o = options_of(kind_named(with[i % 2]));
        nn_optim        *p, *q = nn_optim_new(plain, &o);
        const golden    *g;
        char             name[48];
        double           w[WEIGHTS], average[WEIGHTS], again[WEIGHTS];
        int              row = 0, first = ways[i / 2].from, same = 1;
        o.average       = ways[i / 2].average;
        o.average_from  = first;
        o.average_every = ways[i / 2].every;
        p               = nn_optim_new(m, &o);
        snprintf(name, sizeof name, "%s.%s", ways[i / 2].name, with[i % 2]);
        g = find(name, "states");
        for (int s = 0; s < STEPS; s++) {
            one_step(m, c, p, t);
            one_step(plain, c, q, t);
            if (s != first && s != first + 4 && s != STEPS - 1) continue;
            read_weights(m, c, w);
            read_weights(plain, c, again);
            same &= same_weights(w, again); /* averaging does not touch training */
            CHECK(nn_optim_swap(p));
            read_weights(m, c, average);
            CHECK(nn_optim_swap(p));
            read_weights(m, c, again);
            same &= same_weights(w, again);
            if (g && g->n == 3 * WEIGHTS) near_all(name, s == first ? "the first" : s == first + 4 ? "the fifth" : "at the end", t, average, g->v + row * WEIGHTS, WEIGHTS, close_to(t));
            row++;
        }
        CHECK(same);
        no_error(c, name);
        nn_model_free(m);
        nn_model_free(plain);
    }
}

/* Predictions follow the weights, packed or planned. */
static void test_swapped_predictions(nn_ctx *c) {
    nn_model        *m[3];
    nn_optim        *o[3];
    nn_optim_options options = options_of(kind_named("adam"));
    double           y[3][36];
    options.average = 0.875f;
    for (int i = 0; i < 3; i++) {
        m[i] = net_of(c, NN_F32);
        o[i] = nn_optim_new(m[i], &options);
        if (i == 1) nn_model_pack(m[i], 1);
        if (i == 2) nn_model_plan(m[i], 1);
    }
    for (int s = 0; s < 6; s++) {
        for (int i = 0; i < 3; i++) {
            if (s % 2) nn_optim_swap(o[i]);
            else one_step(m[i], c, o[i], NN_F32);
            read_reals(nn_predict(m[i], values(c, NN_F32, NN_SHAPE(12, 4), -2, 2, 1)), y[i]);
            nn_reset(c);
        }
        near_all("packed", "predictions", NN_F32, y[1], y[0], 36, 1e-6);
        CHECK(!memcmp(y[0], y[2], sizeof y[0]));
    }
    no_error(c, "predictions");
    for (int i = 0; i < 3; i++) nn_model_free(m[i]);
}

/* The average of a parameter that rests is that parameter, when it begins to move too. */
static void test_averages_of_frozen(nn_ctx *c, nn_dtype t) {
    for (int i = 0; i < 2; i++) {
        nn_model        *m = net_of(c, t);
        nn_optim_options o = options_of(kind_named("adam"));
        nn_optim        *p;
        const golden    *g = find(i ? "swa.freezing" : "ema.freezing", "states");
        double           w[WEIGHTS];
        int              row = 0;
        o.average = i ? 1 : 0.875f;
        p         = nn_optim_new(m, &o);
        for (int s = 0; s < STEPS; s++) {
            freeze(m, s);
            one_step(m, c, p, t);
            if (s != 10 && s != 22 && s != STEPS - 1) continue;
            CHECK(nn_optim_swap(p));
            read_weights(m, c, w);
            CHECK(nn_optim_swap(p));
            if (g && g->n == 3 * WEIGHTS) near_all(i ? "swa.freezing" : "ema.freezing", s == 10 ? "while the hidden layer rests" : s == 22 ? "after its third step" : "at the end", t, w, g->v + row * WEIGHTS, WEIGHTS, close_to(t));
            row++;
        }
        no_error(c, "averages of frozen parameters");
        nn_model_free(m);
    }
}

// ---- schedules
static void schedule(const char *name, nn_lr lr, double tolerance) {
    const golden *g = find(name, "");
    double        got[64];
    for (int s = 0; s < 64; s++) got[s] = nn_lr_at(lr, s);
    if (g) near_each(name, "nn_lr_at", NN_F64, got, g->v, g->n, tolerance);
}
static void test_schedules(nn_ctx *c) {
    static const int64_t at[] = {3, 10, 11, 40}, at2[] = {5, 9}, at3[] = {4, 30}, pieces[] = {4, 20};
    static const float   rates[] = {0.5f, 0.25f, 0.0625f};
    nn_lr a, b, d, e;
    schedule("lr_step", nn_lr_step(0.5f, 7, 0.75f), 1e-12);
    schedule("lr_multistep", nn_lr_multistep(0.5f, at, 4, 0.25f), 1e-12);
    schedule("lr_exponential", nn_lr_exponential(0.5f, 0.96875f), 1e-12);
    schedule("lr_polynomial", nn_lr_polynomial(0.5f, 45, 2.5f, 0), 1e-12);
    schedule("lr_polynomial_1", nn_lr_polynomial(0.5f, 45, 1, 0), 1e-12);
    schedule("lr_polynomial_last", nn_lr_polynomial(0.5f, 45, 2, 0.0625f), 1e-12);
    schedule("lr_linear", nn_lr_linear(0.5f, 0.0625f, 40), 1e-12);
    schedule("lr_linear_up", nn_lr_linear(0.125f, 0.75f, 40), 1e-12);
    schedule("lr_one_cycle", nn_lr_one_cycle(0.5f, 60, 0.25f), 1e-10);
    schedule("lr_one_cycle_odd", nn_lr_one_cycle(0.5f, 37, 0.375f), 1e-10);
    schedule("lr_one_cycle_default", nn_lr_one_cycle(0.5f, 60, 0), 1e-6); /* 0.3 */
    schedule("lr_restarts", nn_lr_restarts(0.5f, 10, 2, 0.0625f), 1e-12);
    schedule("lr_restarts_1", nn_lr_restarts(0.5f, 13, 1, 0), 1e-12);
    schedule("lr_cosine", nn_lr_cosine(0.5f, 0, 59, 0.0625f), 1e-12);
    schedule("lr_inverse_time", nn_lr_inverse_time(0.5f, 0.75f, 8), 1e-12);
    schedule("lr_piecewise", nn_lr_piecewise(pieces, rates, 2), 1e-12);
    a = nn_lr_linear(0.0625f, 0.5f, 7), b = nn_lr_cosine(0.5f, 0, 52, 0.0625f);
    schedule("lr_warm_cosine", nn_lr_then(&a, 7, &b), 1e-12);
    a = nn_lr_step(0.5f, 5, 0.75f), b = nn_lr_exponential(0.5f, 0.875f);
    schedule("lr_then", nn_lr_then(&a, 22, &b), 1e-12);
    a = nn_lr_linear(0.125f, 0.5f, 8), b = nn_lr_multistep(0.5f, at2, 2, 0.5f), d = nn_lr_polynomial(0.5f, 20, 2, 0), e = nn_lr_then(&b, 22, &d);
    schedule("lr_then_then", nn_lr_then(&a, 8, &e), 1e-12);
    a = nn_lr_linear(0.0625f, 0.5f, 10), b = nn_lr_exponential(0.5f, 0.96875f);
    schedule("lr_times", nn_lr_times(&a, &b), 1e-12);
    a = nn_lr_step(0.5f, 11, 0.5f), b = nn_lr_multistep(2, at3, 2, 0.25f);
    schedule("lr_times_step", nn_lr_times(&a, &b), 1e-12);
    CHECK(nn_lr_at(nn_lr_constant(0.25f), 1000) == 0.25);

    for (int i = 0; i < 2; i++) { /* with the metric of golden_optim.py */
        nn_model     *m = net_of(c, NN_F32);
        nn_optim     *o = nn_sgd(m, 0.5f, 0);
        const char   *name = i ? "lr_plateau_least" : "lr_plateau";
        const golden *g = find(name, "");
        double        got[60];
        CHECK(nn_set_lr(o, i ? nn_lr_plateau(0.5f, 0.25f, 0, 0.01171875f) : nn_lr_plateau(0.5f, 0.5f, 3, 0)));
        CHECK(nn_get_lr(o) == 0.5);
        for (int k = 0; k < 60; k++) {
            CHECK(nn_optim_metric(o, k < 40 ? 2.0 - 0.125 * (k / 6) + (k % 4 == 1 ? 0.0625 : 0.0) : 1.5));
            got[k] = nn_get_lr(o);
        }
        if (g) near_each(name, "nn_get_lr", NN_F64, got, g->v, g->n, 1e-12);
        no_error(c, name);
        nn_model_free(m);
    }
    { /* an optimiser's step counts; the rate it takes is the rate that it says */
        nn_model *m = net_of(c, NN_F64);
        nn_optim *o = nn_sgd(m, 1, 0);
        int       fine = 1;
        nn_set_lr(o, nn_lr_step(0.5f, 2, 0.5f));
        for (int s = 0; s < 6; s++) {
            double     before[WEIGHTS], after[WEIGHTS], g[MOST], lr = nn_get_lr(o);
            nn_tensor *l = loss_of(m, c, NN_F64);
            fine &= lr == 0.5 * pow(0.5, s / 2);
            read_weights(m, c, before);
            nn_backward(l);
            read_reals(nn_grad(nn_model_tensor(m, c, "hidden.weight")), g);
            nn_step(o);
            nn_reset(c);
            read_weights(m, c, after);
            for (int k = 0; k < 24; k++) fine &= fabs(after[k] - (before[k] - lr * g[k])) < 1e-15;
        }
        CHECK(fine);
        no_error(c, "a schedule that a step follows");
        nn_model_free(m);
    }
}

// ---- several backwards before a step: as one of the whole batch
static void test_accumulation(nn_ctx *c) {
    for (int i = 0; i < KINDS; i++) {
        nn_model *m = net_of(c, NN_F64), *n = net_of(c, NN_F64);
        nn_optim *o = optim_of(m, &kinds[i]), *p = optim_of(n, &kinds[i]);
        double    a[WEIGHTS], b[WEIGHTS];
        for (int s = 0; s < 10; s++) {
            one_step(m, c, o, NN_F64);
            for (int part = 0; part < 3; part++) { /* 6, 3 and 3 rows */
                int        from = part == 0 ? 0 : 3 + 3 * part, to = part == 0 ? 6 : 6 + 3 * part;
                nn_tensor *x = nn_slice(values(c, NN_F64, NN_SHAPE(12, 4), -2, 2, 1), 0, from, to, 1);
                nn_tensor *y = nn_slice(values(c, NN_F64, NN_SHAPE(12, 3), -1, 1, 2), 0, from, to, 1);
                nn_backward(nn_scale(nn_mse(nn_forward(n, x), y), (to - from) / 12.0));
                if (part == 1) nn_reset(c); /* gradients stay */
            }
            nn_step(p);
            nn_reset(c);
        }
        read_weights(m, c, a);
        read_weights(n, c, b);
        near_all(kinds[i].name, "accumulated", NN_F64, b, a, WEIGHTS, 1e-11);
        no_error(c, kinds[i].name);
        nn_model_free(m);
        nn_model_free(n);
    }
}

// ---- saved in the middle, loaded, and on: the same bits
static const char *scratch(void) {
    static const char *path;
    if (!path) {
        FILE *f = fopen("build/test_optim.tmp", "wb");
        path    = f ? "build/test_optim.tmp" : "test_optim.tmp";
        if (f) fclose(f);
    }
    return path;
}
static nn_optim *with_more(nn_model *m, const kind *k, int more) { /* averages, a schedule, groups */
    nn_optim_options o = options_of(k);
    nn_optim        *p;
    if (more) {
        o.average       = more == 1 ? 0.875f : 1.0f;
        o.average_from  = 2;
        o.average_every = 2;
    }
    p = nn_optim_new(m, &o);
    if (more) {
        nn_optim_group(p, "*.bias", 0.5f, 0);
        nn_set_lr(p, more == 1 ? nn_lr_exponential(k->lr, 0.875f) : nn_lr_plateau(k->lr, 0.5f, 1, 0));
    }
    return p;
}
static void metric_of(nn_optim *o, int more, int step) { /* does not fall: plateau lowers the rate */
    if (more == 2) nn_optim_metric(o, step == 3 ? 1 : 2);
}
static void test_resume(nn_ctx *c, nn_dtype t) {
    for (int i = 0; i < KINDS; i++)
        for (int more = 0; more < 3; more++) {
            nn_model *m = net_of(c, t), *n = nn_model_new(c, net, NULL);
            nn_optim *o = with_more(m, &kinds[i], more), *p;
            double    a[WEIGHTS], b[WEIGHTS], lr;
            int       fine;
            for (int s = 0; s < 12; s++) {
                if (s == 7) CHECK(nn_optim_save(o, scratch()));
                one_step(m, c, o, t);
                metric_of(o, more, s);
            }
            read_weights(m, c, a);
            lr = nn_get_lr(o);
            nn_model_dtype(n, t);
            nn_model_build(n, t, NN_SHAPE(12, 4));
            p = with_more(n, &kinds[i], more);
            CHECK(nn_optim_load(p, scratch()));
            for (int s = 7; s < 12; s++) {
                one_step(n, c, p, t);
                metric_of(p, more, s);
            }
            read_weights(n, c, b);
            fine = same_weights(a, b) && lr == nn_get_lr(p);
            if (more) {
                CHECK(nn_optim_swap(o) && nn_optim_swap(p));
                read_weights(m, c, a);
                read_weights(n, c, b);
                fine &= same_weights(a, b);
            }
            check(fine, kinds[i].name, __LINE__);
            no_error(c, kinds[i].name);
            nn_model_free(m);
            nn_model_free(n);
        }
    remove(scratch());
}

// ---- a step recorded once and run: the eager bits
static nn_tensor *step_lines(nn_ctx *c, nn_model *m, nn_optim *o, nn_tensor *x, nn_tensor *y, int clip) {
    nn_tensor *l = nn_mse(nn_forward(m, x), y);
    (void)c;
    nn_backward(l);
    if (clip == 1) nn_clip_grad_norm(o, 0.25);
    if (clip == 2) nn_clip_grad_value(o, 0.0625);
    if (clip == 3) nn_clip_grad_layers(o, 0.125);
    nn_step(o);
    return l;
}
static void plan_case(nn_ctx *c, nn_dtype t, const kind *k, int more, int clip, const char *frozen) {
    nn_model  *m = net_of(c, t), *n = net_of(c, t);
    nn_optim  *o = with_more(m, k, more), *p = with_more(n, k, more);
    nn_tensor *x = nn_keep(values(c, t, NN_SHAPE(12, 4), -2, 2, 1)), *y = nn_keep(values(c, t, NN_SHAPE(12, 3), -1, 1, 2)), *l;
    nn_plan   *plan;
    double     a[WEIGHTS], b[WEIGHTS], loss = 0;
    int        fine;
    if (frozen) nn_model_train(m, frozen, 0), nn_model_train(n, frozen, 0);
    for (int s = 0; s < 12; s++) {
        loss = nn_item(step_lines(c, m, o, x, y, clip));
        nn_reset(c);
        metric_of(o, more, s);
    }
    for (int s = 0; s < 3; s++) { /* three as written, then as a plan */
        step_lines(c, n, p, x, y, clip);
        nn_reset(c);
        metric_of(p, more, s);
    }
    plan = nn_plan_begin(c, NULL);
    l    = step_lines(c, n, p, nn_plan_input(plan, "x", x), nn_plan_input(plan, "y", y), clip);
    CHECK(nn_plan_end(plan, &l, 1));
    for (int s = 3; s < 12; s++) {
        CHECK(nn_plan_run(plan));
        nn_reset(c);
        metric_of(p, more, s);
    }
    read_weights(m, c, a);
    read_weights(n, c, b);
    fine = same_weights(a, b) && nn_item(l) == loss && nn_get_lr(o) == nn_get_lr(p);
    if (more) {
        nn_optim_swap(o);
        nn_optim_swap(p);
        read_weights(m, c, a);
        read_weights(n, c, b);
        fine &= same_weights(a, b);
    }
    if (!fine) printf("   %s, %s, more %d, clip %d\n", k->name, type_name(t), more, clip);
    check(fine, "a plan gives the eager bits", __LINE__);
    no_error(c, k->name);
    nn_plan_free(plan);
    nn_drop(x);
    nn_drop(y);
    nn_model_free(m);
    nn_model_free(n);
    nn_reset(c);
}
static void test_plans(nn_ctx *c, nn_dtype t) {
    for (int i = 0; i < KINDS; i++)
        for (int more = 0; more < 3; more++) plan_case(c, t, &kinds[i], more, (i + more) % 4, NULL);
    for (int clip = 0; clip < 4; clip++) plan_case(c, t, kind_named("nadam"), 1, clip, NULL);
    plan_case(c, t, kind_named("muon_decay"), 0, 0, "hidden.*");
    plan_case(c, t, kind_named("adam"), 1, 3, "*.bias");
}

static void test_plans_resume(nn_ctx *c) { /* what is loaded between two runs is where the plan looks for it */
    for (int i = 0; i < KINDS; i++)
        for (int more = 0; more < 3; more++) {
            nn_model  *m = net_of(c, NN_F32);
            nn_optim  *o = with_more(m, &kinds[i], more);
            nn_tensor *l;
            nn_plan   *p;
            double     w[4][WEIGHTS], lr = 0, loss[2];
            one_step(m, c, o, NN_F32);
            p = nn_plan_begin(c, NULL);
            l = step_lines(c, m, o, values(c, NN_F32, NN_SHAPE(12, 4), -2, 2, 1), values(c, NN_F32, NN_SHAPE(12, 3), -1, 1, 2), 0);
            nn_plan_end(p, &l, 1);
            for (int s = 1; s < 13; s++) { /* 8 steps, then the last 4 again */
                if (s == 5) CHECK(nn_optim_save(o, scratch()));
                if (s == 9) {
                    lr = nn_get_lr(o);
                    CHECK(nn_optim_load(o, scratch()));
                }
                CHECK(nn_plan_run(p));
                nn_reset(c);
                metric_of(o, more, s < 9 ? s : s - 4);
                if (s != 8 && s != 12) continue;
                loss[s == 12] = nn_item(l);
                read_weights(m, c, w[s == 12]);
                if (more) nn_optim_swap(o);
                read_weights(m, c, w[2 + (s == 12)]);
                if (more) nn_optim_swap(o);
            }
            check(same_weights(w[0], w[1]) && same_weights(w[2], w[3]) && lr == nn_get_lr(o) && loss[0] == loss[1], kinds[i].name, __LINE__);
            no_error(c, kinds[i].name);
            nn_plan_free(p);
            nn_model_free(m);
        }
    remove(scratch());
}

// ---- in its stride a step asks the allocator for nothing
#if defined(NN_DEBUG)
static const char *const debug_reason = "NN_DEBUG keeps headers in blocks of their own";
#else
static const char *const debug_reason = NULL;
#endif
static long taken;
static void *count_alloc(void *user, size_t size) { (void)user; taken++; return malloc(size); }
static void  count_release(void *user, void *p, size_t size) { (void)user; (void)size; free(p); }

static void test_allocations(void) {
    for (int i = 0; i < KINDS; i++)
        for (int more = 0; more < 3; more++) {
            nn_config  g = nn_config_defaults();
            nn_ctx    *c;
            nn_model  *m;
            nn_optim  *o;
            nn_tensor *x, *y, *l;
            nn_plan   *p;
            long       before = 0;
            g.quiet   = 1;
            g.threads = 1;
            g.alloc   = count_alloc;
            g.release = count_release;
            c = nn_begin(&g);
            m = net_of(c, NN_F32);
            o = with_more(m, &kinds[i], more);
            x = nn_keep(values(c, NN_F32, NN_SHAPE(12, 4), -2, 2, 1));
            y = nn_keep(values(c, NN_F32, NN_SHAPE(12, 3), -1, 1, 2));
            for (int s = 0; s < 20; s++) {
                if (s == 6) before = taken;
                step_lines(c, m, o, x, y, (i + more) % 4);
                metric_of(o, more, s);
                if (more && s > 3) nn_optim_swap(o), nn_optim_swap(o);
                nn_reset(c);
            }
            check(taken == before, kinds[i].name, __LINE__);
            p = nn_plan_begin(c, NULL);
            l = step_lines(c, m, o, nn_plan_input(p, "x", x), nn_plan_input(p, "y", y), (i + more) % 4);
            nn_plan_end(p, &l, 1);
            for (int s = 0; s < 6; s++) {
                if (s == 2) before = taken;
                nn_plan_run(p);
                nn_reset(c);
            }
            check(taken == before, kinds[i].name, __LINE__);
            no_error(c, kinds[i].name);
            nn_end(c);
        }
}

/* Every allocation fails once: it is said, and nothing leaks. */
static long asked, fail_at, held;
static void *fail_alloc(void *user, size_t size) {
    void *p = NULL;
    (void)user;
    if (++asked != fail_at) p = malloc(size);
    held += p != NULL;
    return p;
}
static void fail_release(void *user, void *p, size_t size) {
    (void)user; (void)size;
    held -= p != NULL;
    free(p);
}
static void test_failing_allocations(void) {
    static const char *const names[] = {"muon_decay", "amsgrad", "nadam_decay"};
    for (int i = 0; i < 3; i++) {
        long silent = 0, leaks = 0, others = 0;
        for (fail_at = 1; fail_at < 5000; fail_at++) {
            nn_config g = nn_config_defaults();
            nn_ctx   *c;
            nn_status error;
            g.quiet   = 1;
            g.threads = 1;
            g.alloc   = fail_alloc;
            g.release = fail_release;
            asked = held = 0;
            c     = nn_begin(&g);
            error = nn_error(c);
            if (c) {
                nn_model *m = net_of(c, NN_F32);
                nn_optim *o = with_more(m, kind_named(names[i]), 1);
                for (int s = 0; s < 4; s++) {
                    nn_clip_grad_value(o, 1);
                    one_step(m, c, o, NN_F32);
                }
                nn_optim_swap(o);
                nn_optim_swap(o);
                nn_optim_save(o, scratch());
                nn_optim_load(o, scratch());
                error = nn_error(c);
                nn_end(c);
            }
            leaks += held != 0;
            if (asked < fail_at) { others += error != NN_OK; break; }
            silent += error == NN_OK;
            others += error != NN_OK && error != NN_ERR_MEMORY;
        }
        CHECK(fail_at > 10 && fail_at < 5000);
        if (silent || leaks || others) printf("   %s: of %ld allocations that failed, %ld nobody speaks of, %ld leak, %ld give another error\n", names[i], fail_at, silent, leaks, others);
        CHECK(silent == 0 && leaks == 0 && others == 0);
    }
    remove(scratch());
}

// ---- threads, zeros, shapes
static nn_tensor *wide_net(nn_scope s, nn_tensor *x) { return nn_layer_linear(s, "fc", x, 96); }
static void test_threads(void) { /* the same bits for any number */
    for (int i = 0; i < KINDS; i++) {
        int     in = kinds[i].kind == NN_MUON ? 128 : 1000;
        size_t  n  = (size_t)in * 96;
        float  *w[2];
        for (int k = 0; k < 2; k++) {
            nn_config g = nn_config_defaults();
            nn_ctx   *c;
            nn_model *m;
            nn_optim *o;
            g.quiet   = 1;
            g.threads = k ? 3 : 1;
            c = nn_begin(&g);
            m = nn_model_new(c, wide_net, NULL);
            o = optim_of(m, &kinds[i]);
            for (int s = 0; s < 3; s++) {
                nn_backward(nn_mean(nn_square(nn_forward(m, nn_affine(nn_arange(c, NN_F32, 0, in, 1), 0.001, -0.2 * s))), NN_ALL, 0));
                nn_clip_grad_layers(o, 1);
                nn_step(o);
                nn_reset(c);
            }
            w[k] = (float *)calloc(n, sizeof(float));
            if (!w[k] || !nn_read(nn_model_tensor(m, c, "fc.weight"), w[k], n * sizeof(float))) CHECK(!"weights");
            no_error(c, kinds[i].name);
            nn_end(c);
        }
        check(w[0] && w[1] && !memcmp(w[0], w[1], n * sizeof(float)) && w[0][1] == w[0][1], kinds[i].name, __LINE__);
        free(w[0]);
        free(w[1]);
    }
}
static void test_zero_gradients(nn_ctx *c) { /* move nothing but by decay, and give no NaN */
    for (int i = 0; i < KINDS; i++) {
        nn_model *m = net_of(c, NN_F32);
        nn_optim *o = optim_of(m, &kinds[i]);
        double    a[WEIGHTS], b[WEIGHTS];
        int       fine = 1;
        read_weights(m, c, a);
        for (int s = 0; s < 5; s++) {
            nn_backward(nn_scale(loss_of(m, c, NN_F32), 0));
            nn_step(o);
            nn_reset(c);
        }
        read_weights(m, c, b);
        for (int k = 0; k < WEIGHTS; k++) fine &= kinds[i].with & DECAY ? fabs(b[k]) < 1 : a[k] == b[k];
        check(fine, kinds[i].name, __LINE__);
        no_error(c, kinds[i].name);
        nn_model_free(m);
    }
}
static void test_constant_gradients(nn_ctx *c) { /* of variance 0, which rounding must not make negative */
    nn_model        *m = nn_model_new(c, two_weights, NULL);
    nn_optim_options o = nn_optim_defaults();
    nn_optim        *p;
    double           w;
    nn_model_build(m, NN_F32, NN_SHAPE(2));
    o.kind    = NN_RMSPROP;
    o.centred = 1;
    p         = nn_optim_new(m, &o);
    for (int s = 0; s < 3000; s++) {
        nn_backward(nn_forward(m, nn_full(c, NN_F32, NN_SHAPE(2), 0.3)));
        nn_step(p);
        nn_reset(c);
    }
    w = nn_item(nn_model_tensor(m, c, "a"));
    CHECK(w < 0 && w - w == 0);
    no_error(c, "a constant gradient");
    nn_model_free(m);
}
static nn_tensor *no_matrices(nn_scope s, nn_tensor *x) {
    nn_tensor *a = nn_param(s, "scalar", NN_SCALAR, nn_init_const(1)), *b = nn_param(s, "vector", NN_SHAPE(4), nn_init_const(0.5)), *d = nn_param(s, "cube", NN_SHAPE(2, 3, 4), nn_init_normal(0, 1));
    nn_param(s, "nothing", NN_SHAPE(0), nn_init_zeros());
    return nn_mean(nn_square(nn_sub(nn_mul(nn_add(nn_mul(x, a), b), d), x)), NN_ALL, 0);
}
static void test_shapes(nn_ctx *c) { /* Muon takes matrices; all else goes by AdamW */
    nn_optim_options o = options_of(kind_named("muon_decay"));
    double           end[2][29];
    for (int k = 0; k < 2; k++) {
        nn_model *m = nn_model_new(c, no_matrices, NULL);
        nn_optim *p;
        o.kind = k ? NN_ADAMW : NN_MUON;
        p      = nn_optim_new(m, &o);
        for (int s = 0; s < 5; s++) {
            nn_backward(nn_forward(m, values(c, NN_F32, NN_SHAPE(2, 3, 4), -1, 1, s)));
            nn_step(p);
            nn_reset(c);
        }
        CHECK(read_reals(nn_model_tensor(m, c, "scalar"), end[k]) == 1 && read_reals(nn_model_tensor(m, c, "vector"), end[k] + 1) == 4);
        CHECK(read_reals(nn_model_tensor(m, c, "cube"), end[k] + 5) == 24);
        no_error(c, "shapes");
        nn_model_free(m);
    }
    CHECK(!memcmp(end[0], end[1], sizeof end[0]) && end[0][0] != 1);
}

// ---- what is refused
static void bad_option(nn_ctx *c, nn_model *m, nn_optim_options o, const char *part, int line) { refused(c, nn_optim_new(m, &o) != NULL, NN_ERR_ARG, part, line); }
#define BAD(the_kind, field, value) do { nn_optim_options o_ = nn_optim_defaults(); o_.kind = the_kind; o_.field = value; bad_option(c, m, o_, #field " cannot be", __LINE__); } while (0)
static void bad_schedule(nn_ctx *c, nn_optim *o, nn_lr s, int line) {
    int got = nn_set_lr(o, s);
    refused(c, got, nn_error(c) == NN_ERR_NULL ? NN_ERR_NULL : NN_ERR_ARG, "set_lr: ", line);
}
#define BAD_LR(s) bad_schedule(c, o, s, __LINE__)

static void test_refusals(nn_ctx *c) {
    static const int64_t up[] = {3, 5}, down[] = {5, 3}, nine[] = {1, 2, 3, 4, 5, 6, 7, 8, 9};
    static const float   rates[] = {1, 0.5f, 0.25f, 0.5f, 0.5f, 0.5f, 0.5f, 0.5f, 0.5f, 0.5f}, below[] = {1, -0.5f, 0.25f};
    nn_model *m = net_of(c, NN_F32);
    nn_optim *o = nn_adam(m, 0.01f), *averaged;
    nn_optim_options average = nn_optim_defaults();
    nn_lr     good = nn_lr_constant(1), bad = nn_lr_constant(-1), plateau;
    BAD(NN_OPTIMS, kind, NN_OPTIMS);
    BAD(NN_SGD, lr, -1);
    BAD(NN_LION, lr, NAN);
    BAD(NN_SGD, momentum, -0.5f);
    BAD(NN_RMSPROP, momentum, 1);
    BAD(NN_SGD, momentum, NAN);
    BAD(NN_SGD, dampening, -1);
    BAD(NN_SGD, dampening, NAN);
    BAD(NN_LION, beta1, 1);
    BAD(NN_NADAM, beta1, -1);
    BAD(NN_ADADELTA, beta2, 1);
    BAD(NN_RMSPROP, beta2, -0.25f);
    BAD(NN_ADAGRAD, eps, -1);
    BAD(NN_ADAMAX, eps, NAN);
    BAD(NN_MUON, weight_decay, -1);
    BAD(NN_AMSGRAD, weight_decay, INFINITY);
    BAD(NN_SGD, average, -0.5f);
    BAD(NN_SGD, average, 1.5f);
    BAD(NN_SGD, average, NAN);
    {
        nn_optim_options q = nn_optim_defaults();
        q.average = 1;
        q.average_from = -1;
        bad_option(c, m, q, "average_from cannot be -1", __LINE__);
        q.average_from = 0;
        q.average_every = -2;
        bad_option(c, m, q, "average_every cannot be -2", __LINE__);
        q          = nn_optim_defaults();
        q.nesterov = 1;
        bad_option(c, m, q, "nesterov", __LINE__); /* without momentum; */
        q.momentum  = 0.5f;
        q.dampening = 0.5f;
        bad_option(c, m, q, "nesterov", __LINE__); /* with dampening */
    }
    BAD_LR(nn_lr_constant(-1));
    BAD_LR(nn_lr_constant(NAN));
    BAD_LR(nn_lr_step(0.1f, 0, 0.5f));
    BAD_LR(nn_lr_step(0.1f, 5, -1));
    BAD_LR(nn_lr_multistep(0.1f, nine, 9, 0.5f));
    BAD_LR(nn_lr_multistep(0.1f, down, 2, 0.5f));
    BAD_LR(nn_lr_multistep(0.1f, up, -1, 0.5f));
    BAD_LR(nn_lr_multistep(0.1f, up, 2, -0.5f));
    BAD_LR(nn_lr_piecewise(nine, rates, 9));
    BAD_LR(nn_lr_piecewise(down, rates, 2));
    BAD_LR(nn_lr_piecewise(up, below, 2));
    BAD_LR(nn_lr_exponential(0.1f, -0.5f));
    BAD_LR(nn_lr_exponential(-0.1f, 0.5f));
    BAD_LR(nn_lr_inverse_time(0.1f, 1, 0));
    BAD_LR(nn_lr_inverse_time(0.1f, -1, 5));
    BAD_LR(nn_lr_linear(0.1f, -0.1f, 5));
    BAD_LR(nn_lr_linear(0.1f, 0.2f, 0));
    BAD_LR(nn_lr_polynomial(0.1f, 0, 1, 0));
    BAD_LR(nn_lr_polynomial(0.1f, 10, -1, 0));
    BAD_LR(nn_lr_one_cycle(0.1f, 0, 0.3f));
    BAD_LR(nn_lr_one_cycle(0.1f, 10, 1.5f));
    BAD_LR(nn_lr_restarts(0.1f, 0, 2, 0));
    BAD_LR(nn_lr_restarts(0.1f, 10, 0.5f, 0));
    BAD_LR(nn_lr_plateau(0.1f, 1.5f, 2, 0));
    BAD_LR(nn_lr_plateau(0.1f, 0.5f, -1, 0));
    BAD_LR(nn_lr_plateau(0.1f, 0.5f, 1, -1));
    BAD_LR(nn_lr_then(NULL, 5, &good));
    BAD_LR(nn_lr_then(&good, 5, NULL));
    BAD_LR(nn_lr_then(&good, -1, &good));
    BAD_LR(nn_lr_then(&good, 5, &bad));
    BAD_LR(nn_lr_times(&bad, &good));
    BAD_LR(nn_lr_times(&good, NULL));
    BAD_LR(nn_lr_cosine(0.1f, 5, 3, 0));
    plateau = nn_lr_plateau(0.1f, 0.5f, 1, 0);
    BAD_LR(nn_lr_then(&good, 5, &plateau)); /* a metric has no steps: it would never be looked at */
    BAD_LR(nn_lr_times(&plateau, &good));
    CHECK(nn_get_lr(o) == 0.01f); /* none was taken */
    /* groups, averages, metric */
    FAILS(c, nn_optim_group(o, NULL, 1, 0), NN_ERR_NULL, "pattern");
    FAILS(c, nn_optim_group(o, "*.bias", -1, 0), NN_ERR_ARG, "lr_factor cannot be -1");
    FAILS(c, nn_optim_group(o, "*.bias", 1, -1), NN_ERR_ARG, "weight_decay cannot be -1");
    FAILS(c, nn_optim_swap(o), NN_ERR_ARG, "average"); /* it keeps none */
    FAILS(c, nn_optim_group(o, "*.gain", 1, 0), NN_ERR_ARG, "'*.gain': no parameter's name fits");
    FAILS(c, nn_model_train(m, NULL, 0), NN_ERR_NULL, "pattern");
    FAILS(c, nn_model_train(m, "hidden", 0), NN_ERR_ARG, "'hidden': no parameter's name fits");
    CHECK(nn_optim_group(NULL, "*", 1, 0) == 0 && nn_optim_swap(NULL) == 0 && nn_optim_metric(NULL, 1) == 0 && nn_model_train(NULL, "*", 0) == 0);
    CHECK(nn_optim_new(NULL, NULL) == NULL && nn_model_hook(NULL, NULL, NULL) == 0);
    { /* averages before there are any */
        average         = nn_optim_defaults();
        average.average = 1;
        average.average_from = 3;
        averaged        = nn_optim_new(m, &average);
        FAILS(c, nn_optim_swap(averaged), NN_ERR_ARG, "average");
        for (int s = 0; s < 3; s++) one_step(m, c, averaged, NN_F32);
        FAILS(c, nn_optim_swap(averaged), NN_ERR_ARG, "average");
        one_step(m, c, averaged, NN_F32);
        CHECK(nn_optim_swap(averaged) && nn_optim_swap(averaged));
    }
    { /* the file of an optimiser with fewer moments, or without averages */
        double before[WEIGHTS], after[WEIGHTS];
        one_step(m, c, o, NN_F32);
        CHECK(nn_optim_save(o, scratch()));
        read_weights(m, c, before);
        average.kind = NN_ADAM;
        FAILS(c, nn_optim_load(nn_optim_new(m, &average), scratch()), NN_ERR_NAME, "the file has no tensor 'optim.");
        average.average = 0;
        average.kind    = NN_AMSGRAD;
        FAILS(c, nn_optim_load(nn_optim_new(m, &average), scratch()), NN_ERR_NAME, "the file has no tensor 'optim.");
        read_weights(m, c, after);
        CHECK(same_weights(before, after));
        remove(scratch());
    }
    no_error(c, "refusals");
    nn_model_free(m);
    nn_reset(c);
}

// ---- layers: values, gradients, names
typedef nn_tensor *(*layer_net)(nn_scope s, nn_tensor *x, nn_tensor *y);
typedef struct layer_case {
    const char *name;
    layer_net   net;
    nn_shape    x, y;          /* y without axes: none */
    int         ids;           /* > 0: x is integers below this */
    double      low, high;     /* of the parameters */
    int         n;
    const char *parameter[6];  /* ours; their k is 3, 4, ... */
    const char *torch_name[6];
} layer_case;

static nn_tensor *of_embedding(nn_scope s, nn_tensor *x, nn_tensor *y) { return (void)y, nn_layer_embedding(s, "l", x, 7, 5); }
static nn_tensor *of_rmsnorm(nn_scope s, nn_tensor *x, nn_tensor *y) { return (void)y, nn_layer_rmsnorm(s, "l", x); }
static nn_tensor *of_groupnorm(nn_scope s, nn_tensor *x, nn_tensor *y) { return (void)y, nn_layer_groupnorm(s, "l", x, nn_ndim(x) == 3 ? 3 : 2); }
static nn_tensor *of_instancenorm(nn_scope s, nn_tensor *x, nn_tensor *y) { return (void)y, nn_layer_instancenorm(s, "l", x); }
static nn_tensor *of_batchnorm(nn_scope s, nn_tensor *x, nn_tensor *y) { return (void)y, nn_layer_batchnorm(s, "l", x); }
static nn_tensor *of_bilinear(nn_scope s, nn_tensor *x, nn_tensor *y) { return nn_layer_bilinear(s, "l", x, y, 3); }
static nn_tensor *of_weight_norm(nn_scope s, nn_tensor *x, nn_tensor *y) {
    nn_scope   l = nn_in(s, "l");
    nn_tensor *w = nn_weight_norm(l, "weight", NN_SHAPE(4, 5), nn_init_fan_in(5));
    return (void)y, nn_leave(l, nn_linear(x, w, nn_param(l, "bias", NN_SHAPE(4), nn_init_fan_in(5))));
}
static nn_tensor *just_linear(nn_scope s, nn_tensor *x, int64_t out) {
    int64_t    in = nn_dim(x, -1);
    nn_tensor *w  = nn_param(s, "weight", NN_SHAPE(out, in), nn_init_fan_in(in));
    return nn_linear(x, w, nn_param(s, "bias", NN_SHAPE(out), nn_init_fan_in(in)));
}
static nn_tensor *block_0(nn_scope s, nn_tensor *x) { return just_linear(s, x, 4); }
static nn_tensor *block_1(nn_scope s, nn_tensor *x) { return (void)s, nn_tanh(x); }
static nn_tensor *inner(nn_scope s, nn_tensor *x) { return nn_tanh(nn_layer_linear(s, "fc", x, 4)); }
static nn_tensor *block_2(nn_scope s, nn_tensor *x) { return nn_residual(s, x, inner); }
static nn_tensor *block_3(nn_scope s, nn_tensor *x) { return just_linear(s, x, 2); }
static nn_tensor *of_sequential(nn_scope s, nn_tensor *x, nn_tensor *y) {
    static const nn_net blocks[] = {block_0, block_1, block_2, block_3};
    return (void)y, nn_sequential(s, x, blocks, 4);
}
static nn_tensor *of_tied(nn_scope s, nn_tensor *x, nn_tensor *y) {
    (void)y;
    x = nn_layer_embedding(s, "embed", x, 7, 5);
    return nn_linear(nn_tanh(x), nn_tied(s, "embed.weight"), NULL);
}

static nn_tensor *run_layer(nn_model *m, nn_ctx *c, const layer_case *l, nn_mode mode, nn_tensor *x, nn_tensor *y) { return l->net(nn_enter(m, c, mode), x, y); }

static void compare(const char *name, const char *part, nn_dtype t, nn_tensor *x, double tolerance) {
    const golden *g = find(name, part);
    nn_shape      s = nn_shape_of(x);
    double        v[MOST];
    int           ok = x && g && s.ndim == g->shape.ndim && nn_dtype_of(x) == t;
    for (int i = 0; ok && i < s.ndim; i++) ok = s.dim[i] == g->shape.dim[i];
    if (!ok) {
        if (g) printf("FAIL %s.%s: %s\n", name, part, x ? "another shape or dtype" : "no tensor"), failed++;
        return;
    }
    read_reals(x, v);
    near_all(name, part, t, v, g->v, g->n, tolerance);
}
static void compare_grads(nn_model *m, nn_ctx *c, const char *name, const layer_case *l, nn_dtype t, nn_tensor *out, nn_tensor *x, nn_tensor *y, double tolerance) {
    char part[64];
    compare(name, "y", t, out, tolerance);
    if (out) nn_backward_from(out, values(c, t, nn_shape_of(out), -1, 1, 9), 0);
    if (!l->ids) compare(name, "dx0", t, nn_grad(x), tolerance);
    if (y) compare(name, "dx1", t, nn_grad(y), tolerance);
    for (int i = 0; i < l->n; i++) {
        snprintf(part, sizeof part, "d.%s", l->torch_name[i]);
        compare(name, part, t, nn_grad(nn_model_tensor(m, c, l->parameter[i])), tolerance);
        nn_zero_grad(nn_model_tensor(m, c, l->parameter[i]));
    }
}
static nn_model *layer_model(nn_ctx *c, const layer_case *l, nn_dtype t, nn_tensor *x, nn_tensor *y) { /* with the values of golden_optim.py */
    nn_model *m = nn_model_new(c, NULL, NULL);
    nn_model_dtype(m, t);
    run_layer(m, c, l, NN_EVAL, x, y); /* names the parameters */
    for (int i = 0; i < l->n; i++) set_values(m, c, l->parameter[i], l->low, l->high, 3 + i);
    return m;
}
static nn_tensor *layer_x(nn_ctx *c, const layer_case *l, nn_dtype t, double low, double high, int k) {
    return l->ids ? values(c, NN_I32, l->x, 0, l->ids, k) : nn_requires_grad(values(c, t, l->x, low, high, k));
}
static int has_name(const nn_model *m, const char *name) {
    for (int i = 0; i < nn_model_count(m); i++)
        if (!strcmp(nn_model_name(m, i), name)) return 1;
    return 0;
}

/* Saved and loaded into a model that nobody has run, the layer gives the same bits. */
static void reload(nn_model *m, nn_ctx *c, const layer_case *l, nn_dtype t) {
    nn_model  *n = nn_model_new(c, NULL, NULL);
    nn_tensor *x = layer_x(c, l, t, -2, 2, 1), *y = l->y.ndim ? values(c, t, l->y, -2, 2, 2) : NULL;
    double     a[MOST], b[MOST];
    int64_t    k;
    nn_model_dtype(n, t);
    run_layer(n, c, l, NN_EVAL, x, y);
    CHECK(nn_save(m, scratch()) && nn_load(n, scratch()));
    k = read_reals(run_layer(m, c, l, NN_EVAL, x, y), a);
    CHECK(k > 0 && read_reals(run_layer(n, c, l, NN_EVAL, x, y), b) == k && !memcmp(a, b, (size_t)k * sizeof *a));
    remove(scratch());
    nn_model_free(n);
}

static void layer(nn_ctx *c, const layer_case *l, nn_dtype t) {
    nn_tensor *x = layer_x(c, l, t, -2, 2, 1), *y = l->y.ndim ? nn_requires_grad(values(c, t, l->y, -2, 2, 2)) : NULL;
    nn_model  *m = layer_model(c, l, t, x, y);
    int        batchnorm = l->net == of_batchnorm;
    double     near = t == NN_F32 ? 1e-5 : 1e-11;
    CHECK(nn_model_count(m) == l->n + 2 * batchnorm);
    for (int i = 0; i < l->n; i++) {
        nn_tensor *p = nn_model_tensor(m, c, l->parameter[i]);
        CHECK(has_name(m, l->parameter[i]) && nn_dtype_of(p) == t);
    }
    compare_grads(m, c, l->name, l, t, run_layer(m, c, l, NN_TRAIN, x, y), x, y, near);
    if (batchnorm) {
        char part[64];
        for (int k = 5; k < 7; k++) {
            snprintf(part, sizeof part, "y%d", k);
            compare(l->name, part, t, run_layer(m, c, l, NN_TRAIN, layer_x(c, l, t, -3, 1, k), NULL), near);
        }
        compare(l->name, "running_mean", t, nn_model_tensor(m, c, "l.running_mean"), near);
        compare(l->name, "running_var", t, nn_model_tensor(m, c, "l.running_var"), near);
        snprintf(part, sizeof part, "%s_eval", l->name);
        x = layer_x(c, l, t, -2, 2, 7);
        compare_grads(m, c, part, l, t, run_layer(m, c, l, NN_EVAL, x, NULL), x, NULL, near);
        compare(l->name, "running_mean", t, nn_model_tensor(m, c, "l.running_mean"), near); /* evaluation leaves it */
    }
    reload(m, c, l, t);
    no_error(c, l->name);
    nn_model_free(m);
    nn_reset(c);
}

#define SEQUENTIAL {"0.weight", "0.bias", "2.fc.weight", "2.fc.bias", "3.weight", "3.bias"}
static void test_layers(nn_ctx *c, nn_dtype t) {
    const layer_case cases[] = {
        {"embedding", of_embedding, NN_SHAPE(3, 4), NN_SCALAR, 7, -1, 1, 1, {"l.weight", NULL, NULL, NULL, NULL, NULL}, {"weight", NULL, NULL, NULL, NULL, NULL}},
        {"rmsnorm", of_rmsnorm, NN_SHAPE(2, 3, 6), NN_SCALAR, 0, 0.5, 1.5, 1, {"l.weight", NULL, NULL, NULL, NULL, NULL}, {"weight", NULL, NULL, NULL, NULL, NULL}},
        {"groupnorm", of_groupnorm, NN_SHAPE(2, 6, 5), NN_SCALAR, 0, -1, 1, 2, {"l.weight", "l.bias", NULL, NULL, NULL, NULL}, {"weight", "bias", NULL, NULL, NULL, NULL}},
        {"groupnorm_2d", of_groupnorm, NN_SHAPE(2, 4, 3, 2), NN_SCALAR, 0, -1, 1, 2, {"l.weight", "l.bias", NULL, NULL, NULL, NULL}, {"weight", "bias", NULL, NULL, NULL, NULL}},
        {"instancenorm", of_instancenorm, NN_SHAPE(2, 4, 5), NN_SCALAR, 0, -1, 1, 2, {"l.weight", "l.bias", NULL, NULL, NULL, NULL}, {"weight", "bias", NULL, NULL, NULL, NULL}},
        {"instancenorm_2d", of_instancenorm, NN_SHAPE(2, 3, 3, 2), NN_SCALAR, 0, -1, 1, 2, {"l.weight", "l.bias", NULL, NULL, NULL, NULL}, {"weight", "bias", NULL, NULL, NULL, NULL}},
        {"bilinear", of_bilinear, NN_SHAPE(6, 4), NN_SHAPE(6, 5), 0, -1, 1, 2, {"l.weight", "l.bias", NULL, NULL, NULL, NULL}, {"weight", "bias", NULL, NULL, NULL, NULL}},
        {"bilinear_3d", of_bilinear, NN_SHAPE(2, 3, 4), NN_SHAPE(2, 3, 5), 0, -1, 1, 2, {"l.weight", "l.bias", NULL, NULL, NULL, NULL}, {"weight", "bias", NULL, NULL, NULL, NULL}},
        {"batchnorm", of_batchnorm, NN_SHAPE(6, 4), NN_SCALAR, 0, 0.5, 1.5, 2, {"l.weight", "l.bias", NULL, NULL, NULL, NULL}, {"weight", "bias", NULL, NULL, NULL, NULL}},
        {"batchnorm_1d", of_batchnorm, NN_SHAPE(4, 3, 5), NN_SCALAR, 0, 0.5, 1.5, 2, {"l.weight", "l.bias", NULL, NULL, NULL, NULL}, {"weight", "bias", NULL, NULL, NULL, NULL}},
        {"batchnorm_2d", of_batchnorm, NN_SHAPE(2, 3, 2, 4), NN_SCALAR, 0, 0.5, 1.5, 2, {"l.weight", "l.bias", NULL, NULL, NULL, NULL}, {"weight", "bias", NULL, NULL, NULL, NULL}},
        {"batchnorm_3d", of_batchnorm, NN_SHAPE(2, 3, 2, 1, 4), NN_SCALAR, 0, 0.5, 1.5, 2, {"l.weight", "l.bias", NULL, NULL, NULL, NULL}, {"weight", "bias", NULL, NULL, NULL, NULL}},
        {"sequential", of_sequential, NN_SHAPE(3, 5), NN_SCALAR, 0, -1, 1, 6, SEQUENTIAL, SEQUENTIAL},
        {"tied", of_tied, NN_SHAPE(3, 4), NN_SCALAR, 7, -1, 1, 1, {"embed.weight", NULL, NULL, NULL, NULL, NULL}, {"embed.weight", NULL, NULL, NULL, NULL, NULL}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) layer(c, &cases[i], t);
}

static void test_weight_norm(nn_ctx *c, nn_dtype t) {
    static const layer_case l = {"weight_norm", of_weight_norm, {2, {3, 5, 0, 0, 0, 0}}, {0, {0, 0, 0, 0, 0, 0}}, 0, -1, 1, 3,
                                 {"l.bias", "l.weight_g", "l.weight_v", NULL, NULL, NULL}, {"bias", "weight_g", "weight_v", NULL, NULL, NULL}};
    nn_tensor *x = layer_x(c, &l, t, -2, 2, 1);
    nn_model  *m = nn_model_new(c, NULL, NULL);
    double     g[4], v[20];
    int        fine = 1;
    nn_model_dtype(m, t);
    run_layer(m, c, &l, NN_EVAL, x, NULL);
    CHECK(nn_model_count(m) == 3 && has_name(m, "l.weight_g") && has_name(m, "l.weight_v"));
    CHECK(read_reals(nn_model_tensor(m, c, "l.weight_g"), g) == 4 && read_reals(nn_model_tensor(m, c, "l.weight_v"), v) == 20);
    for (int i = 0; i < 4; i++) { /* at first the parameter is v */
        double square = 0;
        for (int j = 0; j < 5; j++) square += v[5 * i + j] * v[5 * i + j];
        fine &= square > 0 && fabs(g[i] / sqrt(square) - 1) < 1e-6;
    }
    CHECK(fine);
    set_values(m, c, "l.weight_g", 0.5, 1.5, 3);
    set_values(m, c, "l.weight_v", -1, 1, 4);
    set_values(m, c, "l.bias", -1, 1, 5);
    compare_grads(m, c, l.name, &l, t, run_layer(m, c, &l, NN_TRAIN, x, NULL), x, NULL, t == NN_F32 ? 1e-5 : 1e-11);
    reload(m, c, &l, t);
    no_error(c, l.name);
    nn_model_free(m);
    nn_reset(c);
}

static nn_tensor *of_scale(nn_scope s, nn_tensor *x, nn_tensor *back) { return nn_layer_scale(s, "l", x, back != NULL); }
static void test_scale(nn_ctx *c, nn_dtype t) {
    nn_model  *m = nn_model_new(c, NULL, NULL);
    nn_tensor *x = nn_requires_grad(values(c, t, NN_SHAPE(2, 3, 4), -2, 2, 1)), *y;
    double     in[24], out[24], shift[4], scale[4], dx[24];
    int        fine = 1;
    nn_model_dtype(m, t);
    y = of_scale(nn_enter(m, c, NN_EVAL), x, NULL);
    CHECK(nn_model_count(m) == 2 && nn_model_size(m) == 0 && has_name(m, "l.shift") && has_name(m, "l.scale")); /* buffers */
    CHECK(read_reals(x, in) == 24 && read_reals(y, out) == 24);
    for (int i = 0; i < 24; i++) fine &= in[i] == out[i]; /* until they are set */
    CHECK(fine);
    set_values(m, c, "l.shift", -1, 1, 3);
    set_values(m, c, "l.scale", 0.5, 2, 4);
    CHECK(read_reals(nn_model_tensor(m, c, "l.shift"), shift) == 4 && read_reals(nn_model_tensor(m, c, "l.scale"), scale) == 4);
    for (int mode = NN_TRAIN; mode <= NN_EVAL; mode++)
        for (int back = 0; back < 2; back++) {
            double tolerance = t == NN_F32 ? 1e-6 : 1e-15;
            y    = of_scale(nn_enter(m, c, (nn_mode)mode), x, back ? x : NULL);
            fine = read_reals(y, out) == 24;
            nn_zero_grad(x);
            nn_backward(nn_sum(y, NN_ALL, 0));
            fine &= read_reals(nn_grad(x), dx) == 24;
            for (int i = 0; i < 24; i++) {
                double want = back ? in[i] * scale[i % 4] + shift[i % 4] : (in[i] - shift[i % 4]) / scale[i % 4], slope = back ? scale[i % 4] : 1 / scale[i % 4];
                fine &= fabs(out[i] - want) <= tolerance * (1 + fabs(want)) && fabs(dx[i] - slope) <= tolerance * slope;
            }
            CHECK(fine);
        }
    y    = of_scale(nn_enter(m, c, NN_EVAL), of_scale(nn_enter(m, c, NN_EVAL), x, NULL), x);
    fine = read_reals(y, out) == 24;
    for (int i = 0; i < 24; i++) fine &= fabs(out[i] - in[i]) < (t == NN_F32 ? 1e-6 : 1e-14);
    CHECK(fine);
    no_error(c, "scale");
    nn_model_free(m);
    nn_reset(c);
}

static void orthogonal(nn_ctx *c, nn_dtype t, nn_scope s, const char *name, nn_shape shape, double gain) {
    nn_tensor *w = nn_param(s, name, shape, nn_init_orthogonal(gain));
    double     v[MOST];
    int64_t    rows = nn_dim(w, 0), columns = rows > 0 ? nn_numel(w) / rows : 0, n = rows < columns ? rows : columns;
    double     worst = 0;
    if (!no_error(c, name) || read_reals(w, v) != rows * columns) { CHECK(!"nn_init_orthogonal"); return; }
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < n; j++) {
            double dot = 0, d;
            for (int64_t k = 0; k < rows + columns - n; k++) dot += rows < columns ? v[i * columns + k] * v[j * columns + k] : v[k * columns + i] * v[k * columns + j];
            d     = fabs(dot - (i == j ? gain * gain : 0));
            worst = d > worst ? d : worst;
        }
    check(worst < (t == NN_F32 ? 2e-6 : 1e-12) * gain * gain, name, __LINE__);
}
static void test_orthogonal(nn_ctx *c, nn_dtype t) {
    double a[36], b[36];
    for (int way = 0; way < 2; way++) {
        nn_model *m = nn_model_new(c, NULL, NULL);
        nn_scope  s;
        nn_model_dtype(m, t);
        s = nn_enter(m, c, NN_TRAIN);
        orthogonal(c, t, s, "square", NN_SHAPE(6, 6), 1);
        orthogonal(c, t, s, "another", NN_SHAPE(6, 6), 1);
        orthogonal(c, t, s, "wide", NN_SHAPE(3, 20), 0.5);
        orthogonal(c, t, s, "tall", NN_SHAPE(20, 3), 2);
        orthogonal(c, t, s, "kernel", NN_SHAPE(5, 2, 3, 3), 1.5);
        orthogonal(c, t, s, "row", NN_SHAPE(1, 7), 1);
        orthogonal(c, t, s, "column", NN_SHAPE(7, 1), 1);
        read_reals(nn_model_tensor(m, c, "square"), a);
        if (way) CHECK(!memcmp(a, b, sizeof a)); /* the same seed and name */
        read_reals(nn_model_tensor(m, c, "another"), b);
        CHECK(memcmp(a, b, sizeof a));
        memcpy(b, a, sizeof b);
        nn_model_free(m);
        nn_reset(c);
    }
}

static nn_tensor *many_words(nn_scope s, nn_tensor *ids) { return nn_layer_embedding(s, "words", ids, 500, 20); }
static void test_embedding(nn_ctx *c) { /* initial values, types of indices, refusals */
    static const int64_t wide[] = {6, 0, 6};
    static const uint8_t narrow[] = {6, 0, 6};
    nn_model  *m = nn_model_new(c, many_words, NULL);
    nn_tensor *w;
    double     sum = 0, square = 0, a[60], b[60];
    nn_model_build(m, NN_I64, NN_SHAPE(3));
    w = nn_model_tensor(m, c, "words.weight");
    for (int i = 0; i < 500; i++)
        for (int j = 0; j < 20; j++) {
            double v = nn_get(w, NN_SHAPE(i, j));
            sum += v;
            square += v * v;
        }
    CHECK(fabs(sum / 1e4) < 0.05 && fabs(square / 1e4 - 1) < 0.06); /* N(0, 1), as PyTorch's */
    CHECK(read_reals(nn_predict(m, nn_from(c, wide, NN_I64, NN_SHAPE(3))), a) == 60 && read_reals(nn_predict(m, nn_from(c, narrow, NN_U8, NN_SHAPE(3))), b) == 60);
    CHECK(!memcmp(a, b, sizeof a) && !memcmp(a, a + 40, 20 * sizeof *a) && a[0] == nn_get(w, NN_SHAPE(6, 0)));
    no_error(c, "embedding");
    FAILS(c, nn_predict(m, nn_full(c, NN_I64, NN_SHAPE(3), 500)) != NULL, NN_ERR_RANGE, "500");
    FAILS(c, nn_predict(m, nn_full(c, NN_I64, NN_SHAPE(3), -1)) != NULL, NN_ERR_RANGE, "-1");
    FAILS(c, nn_predict(m, nn_full(c, NN_F32, NN_SHAPE(3), 1)) != NULL, NN_ERR_DTYPE, "words");
    nn_model_free(m);
    nn_reset(c);
}

// ---- batch norm: a model that PyTorch saved, evaluation, plans
static nn_tensor *normed_net(nn_scope s, nn_tensor *x) {
    x = nn_layer_linear(s, "fc", x, 6);
    x = nn_tanh(nn_layer_batchnorm(s, "bn", x));
    return nn_layer_linear(s, "out", x, 3);
}
static void read_model(nn_model *m, nn_ctx *c, double *to, int64_t *n) { /* all parameters and buffers */
    *n = 0;
    for (int i = 0; i < nn_model_count(m); i++) {
        nn_tensor *p = nn_model_tensor(m, c, nn_model_name(m, i));
        if (*n + nn_numel(p) <= MOST) *n += read_reals(p, to + *n);
    }
}
static void test_batchnorm(nn_ctx *c) {
    nn_tensor *x = nn_keep(values(c, NN_F32, NN_SHAPE(12, 4), -2, 2, 1)), *y = nn_keep(values(c, NN_F32, NN_SHAPE(12, 3), -1, 1, 2)), *l;
    double     a[MOST], b[MOST];
    int64_t    n = 0, k = 0;
    nn_model  *m[2];
    nn_optim  *o[2];
    nn_plan   *p;
    for (int i = 0; i < 2; i++) {
        m[i] = nn_model_new(c, normed_net, NULL);
        nn_model_build(m[i], NN_F32, NN_SHAPE(12, 4));
        o[i] = nn_adamw(m[i], 0.01f, 0.01f);
    }
    CHECK(nn_model_count(m[0]) == 8 && nn_model_size(m[0]) == 30 + 12 + 21);
    read_reals(nn_model_tensor(m[0], c, "bn.running_mean"), a);
    read_reals(nn_model_tensor(m[0], c, "bn.running_var"), b);
    CHECK(a[0] == 0 && a[5] == 0 && b[0] == 1 && b[5] == 1);
    read_reals(nn_model_tensor(m[0], c, "bn.weight"), a);
    read_reals(nn_model_tensor(m[0], c, "bn.bias"), b);
    CHECK(a[0] == 1 && a[5] == 1 && b[0] == 0 && b[5] == 0);
    for (int s = 0; s < 10; s++) {
        nn_backward(nn_mse(nn_forward(m[0], x), y));
        nn_step(o[0]);
        nn_reset(c);
    }
    p = nn_plan_begin(c, NULL);
    l = nn_mse(nn_forward(m[1], nn_plan_input(p, "x", x)), nn_plan_input(p, "y", y));
    nn_backward(l);
    nn_step(o[1]);
    CHECK(nn_plan_end(p, &l, 1));
    for (int s = 0; s < 10; s++) {
        CHECK(nn_plan_run(p));
        nn_reset(c);
    }
    read_model(m[0], c, a, &n);
    read_model(m[1], c, b, &k);
    CHECK(n == 30 + 24 + 21 && k == n && !memcmp(a, b, (size_t)n * sizeof *a)); /* running means too */
    nn_predict(m[0], x);
    nn_reset(c);
    read_model(m[0], c, b, &k);
    CHECK(!memcmp(a, b, (size_t)n * sizeof *a)); /* evaluation changes nothing, */
    nn_backward(nn_mse(nn_forward(m[0], x), y));
    for (int i = 0; i < 4; i++) CHECK(nn_grad(nn_model_tensor(m[0], c, i == 0 ? "bn.weight" : i == 1 ? "bn.bias" : i == 2 ? "fc.weight" : "out.bias")) != NULL);
    nn_reset(c);
    read_reals(nn_model_tensor(m[0], c, "bn.running_mean"), b);
    read_reals(nn_model_tensor(m[1], c, "bn.running_mean"), a);
    CHECK(a[0] != b[0]); /* a forward does */
    no_error(c, "batch norm");
    { /* a state dict of PyTorch's has a counter of batches that no layer here needs */
        const char *names[10];
        nn_tensor  *t[10];
        int         count = nn_model_count(m[0]);
        nn_model   *q = nn_model_new(c, normed_net, NULL);
        for (int i = 0; i < count && i < 9; i++) {
            names[i] = nn_model_name(m[0], i);
            t[i]     = nn_model_tensor(m[0], c, names[i]);
        }
        names[count] = "bn.num_batches_tracked";
        t[count]     = nn_full(c, NN_I64, NN_SCALAR, 11);
        CHECK(nn_file_write(c, scratch(), names, t, count + 1));
        nn_model_build(q, NN_F32, NN_SHAPE(12, 4));
        CHECK(nn_load(q, scratch()));
        no_error(c, "a state dict of PyTorch's");
        read_model(m[0], c, a, &n);
        read_model(q, c, b, &k);
        CHECK(n == k && !memcmp(a, b, (size_t)n * sizeof *a));
        remove(scratch());
        nn_model_free(q);
    }
    nn_plan_free(p);
    nn_model_free(m[0]);
    nn_model_free(m[1]);
    nn_drop(x);
    nn_drop(y);
    nn_reset(c);
}

// ---- hooks
typedef struct seen { int n; char name[16][32]; double first[16]; nn_tensor *y[16]; int retain; } seen;
static void watch(void *user, const char *name, nn_tensor *y) {
    seen *s = (seen *)user;
    if (s->n == 16) return;
    snprintf(s->name[s->n], sizeof s->name[0], "%s", name);
    s->first[s->n] = nn_get(nn_reshape(y, NN_SHAPE(-1)), NN_SHAPE(0));
    s->y[s->n]     = s->retain ? nn_retain_grad(y) : y;
    s->n++;
}
static int seen_at(const seen *s, const char *name) {
    for (int i = 0; i < s->n; i++)
        if (!strcmp(s->name[i], name)) return i;
    return -1;
}
static nn_tensor *hooked_block(nn_scope s, nn_tensor *x) { return nn_leave(s, nn_tanh(nn_layer_linear(s, "fc", x, 5))); }
static nn_tensor *hooked_net(nn_scope s, nn_tensor *x) {
    x = nn_layer_linear(s, "in", x, 5);
    for (int i = 0; i < 2; i++) x = hooked_block(nn_in_i(s, "h", i), x);
    return nn_layer_linear(s, "out", x, 3);
}
static void test_hooks(nn_ctx *c) {
    static const char *const names[] = {"in", "h.0.fc", "h.0", "h.1.fc", "h.1", "out"};
    nn_model  *m = nn_model_new(c, hooked_net, NULL);
    nn_tensor *x = values(c, NN_F32, NN_SHAPE(2, 4), -1, 1, 1), *y;
    seen       s;
    double     g[15];
    memset(&s, 0, sizeof s);
    nn_model_build(m, NN_F32, NN_SHAPE(2, 4));
    CHECK(nn_model_hook(m, watch, &s));
    y = nn_predict(m, x);
    CHECK(s.n == 6);
    for (int i = 0; i < 6; i++) check(seen_at(&s, names[i]) == i, names[i], __LINE__); /* from the inside out, in order of the run */
    CHECK(s.n == 6 && s.first[5] == nn_get(y, NN_SHAPE(0, 0)) && fabs(s.first[2] - tanh(s.first[1])) < 1e-6);
    memset(&s, 0, sizeof s);
    s.retain = 1;
    y        = nn_forward(m, x);
    nn_backward(nn_sum(y, NN_ALL, 0));
    CHECK(s.n == 6 && s.y[5] == y && read_reals(nn_grad(s.y[5]), g) == 6 && g[0] == 1 && g[5] == 1);
    CHECK(s.n == 6 && nn_numel(nn_grad(s.y[0])) == 10 && read_reals(nn_grad(s.y[4]), g) == 10);
    { /* the gradient before the last layer is that layer's weights, summed over the outputs */
        double w = 0;
        for (int i = 0; i < 3; i++) w += nn_get(nn_model_tensor(m, c, "out.weight"), NN_SHAPE(i, 0));
        CHECK(fabs(g[0] - w) < 1e-6);
    }
    no_error(c, "hooks");
    nn_reset(c);
    { /* predictions that run as plans do not hide anything from it; other contexts do not call it */
        nn_ctx *f = nn_fork(c);
        memset(&s, 0, sizeof s);
        nn_model_plan(m, 1);
        for (int i = 0; i < 4; i++) {
            s.n = 0;
            nn_predict(m, values(c, NN_F32, NN_SHAPE(2, 4), -1, 1, 1));
            CHECK(s.n == 6);
            nn_reset(c);
        }
        nn_model_plan(m, 0);
        s.n = 0;
        nn_predict(m, values(f, NN_F32, NN_SHAPE(2, 4), -1, 1, 1));
        CHECK(s.n == 0 && !nn_error(f));
    }
    memset(&s, 0, sizeof s);
    CHECK(nn_model_hook(m, NULL, NULL));
    nn_predict(m, values(c, NN_F32, NN_SHAPE(2, 4), -1, 1, 1));
    CHECK(s.n == 0);
    { /* nn_fit sees them in every step: none of them runs as a plan */
        nn_data       *d = nn_data_new(values(c, NN_F32, NN_SHAPE(40, 4), -1, 1, 1), values(c, NN_F32, NN_SHAPE(40, 3), -1, 1, 2));
        nn_fit_options f = nn_fit_defaults();
        f.epochs = 3;
        f.batch  = 10;
        f.quiet  = 1;
        f.optim  = nn_sgd(m, 0.01f, 0);
        CHECK(nn_model_hook(m, watch, &s));
        s.n = 0;
        nn_fit(m, d, &f);
        CHECK(s.n == 16); /* of 72: as many as there is room for */
        nn_model_hook(m, NULL, NULL);
    }
    no_error(c, "hooks and nn_fit");
    nn_model_free(m);
    nn_reset(c);
}

static nn_tensor *tied_to_nothing(nn_scope s, nn_tensor *x) { return nn_linear(x, nn_tied(s, "nowhere.weight"), NULL); }
static nn_tensor *groups_that_do_not_fit(nn_scope s, nn_tensor *x) { return nn_layer_groupnorm(s, "norm", x, 3); }
static nn_tensor *sequence_of_nothing(nn_scope s, nn_tensor *x) { return nn_sequential(s, x, NULL, 2); }
static nn_tensor *residual_of_another_size(nn_scope s, nn_tensor *x) { return nn_residual(s, x, block_3); }
static void test_layer_refusals(nn_ctx *c) {
    static const struct { nn_net net; nn_status code; const char *part; } cases[] = {
        {tied_to_nothing, NN_ERR_NAME, "nowhere.weight"}, {groups_that_do_not_fit, NN_ERR_ARG, "norm: groupnorm: groups cannot be 3"}, {sequence_of_nothing, NN_ERR_NULL, "blocks"},
        {residual_of_another_size, NN_ERR_SHAPE, ""}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        nn_model *m = nn_model_new(c, cases[i].net, NULL);
        FAILS(c, nn_forward(m, nn_ones(c, NN_F32, NN_SHAPE(2, 4, 5))) != NULL, cases[i].code, cases[i].part);
        nn_model_free(m);
        nn_reset(c);
    }
}

int main(int argc, char **argv) {
    char   *text = read_text(argc > 1 ? argv[1] : "tests/golden_optim.txt");
    nn_ctx *c    = quiet_ctx();
    read_golden(text);
    for (int i = 0; i < 2; i++) {
        nn_dtype t = i ? NN_F64 : NN_F32;
        test_trajectories(c, t);
        test_groups(c, t);
        test_freezing(c, t);
        test_clipping(c, t);
        test_averages(c, t);
        test_averages_of_frozen(c, t);
        test_resume(c, t);
        test_plans(c, t);
        test_layers(c, t);
        test_weight_norm(c, t);
        test_scale(c, t);
        test_orthogonal(c, t);
    }
    test_torch_muon(c);
    test_defaults(c);
    test_clipping_by_hand(c);
    test_schedules(c);
    test_accumulation(c);
    test_swapped_predictions(c);
    if (NN__SEPARATE_BLOCKS) skip("steady state", "address sanitizer: every tensor is a block of its own");
    else if (debug_reason) skip("steady state", debug_reason);
    else test_allocations();
    test_plans_resume(c);
    test_failing_allocations();
    test_threads();
    test_zero_gradients(c);
    test_constant_gradients(c);
    test_shapes(c);
    test_refusals(c);
    test_embedding(c);
    test_batchnorm(c);
    test_hooks(c);
    test_layer_refusals(c);
    no_error(c, "at the end");
    nn_end(c);
    for (int i = 0; i < listed; i++) free(list[i].v);
    free(list);
    free(text);
    printf("optim: %d passed, %d failed, %d skipped\n", passed, failed, skipped);
    return failed != 0;
}
