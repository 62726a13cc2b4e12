// Plans: what is recorded once and replayed gives the bits of the same lines run eagerly, step after step: for many networks
// and random programs, whatever passes run, on any number of threads. And: no memory asked for in a run, no tape node; memory
// near the bound; recomputation without a changed bit; errors that leave the context usable; every allocation fails once.
//
//     test_plan [--fuzz first count]     that many random programs only, of seeds first, first + 1 ...
#define NN_IMPLEMENTATION
#include "nn.h"

#if defined(NN_DEBUG)
enum { COUNTS_MEMORY = 0 }; /* headers come from the allocator, so that dropped ones stay recognisable */
#else
enum { COUNTS_MEMORY = !NN__SEPARATE_BLOCKS };
#endif
static int passed, failed, skipped;
static void check(int ok, const char *what, int line) {
    if (ok) passed++;
    else if (++failed <= 60) printf("test_plan.c:%d: %s\n", line, what);
}
#define CHECK(x) check((x) != 0, #x, __LINE__)
#define NEAR(a, b, tolerance) check(fabs((double)(a) - (double)(b)) <= (tolerance), #a " is not near " #b, __LINE__)
static void skip(const char *what, const char *why) {
    skipped++;
    printf("skipped: %s (%s)\n", what, why);
}

static nn_ctx *quiet_ctx(int threads, uint64_t seed) {
    nn_config g = nn_config_defaults();
    g.quiet   = 1;
    g.threads = threads;
    g.seed    = seed;
    return nn_begin(&g);
}
static int failed_with(nn_ctx *c, nn_status code, const char *part) { /* and go on */
    int ok = nn_error(c) == code && strstr(nn_error_text(c), part) != NULL;
    if (!ok) printf("   got %d: %s\n", (int)nn_error(c), nn_error_text(c));
    nn_error_clear(c);
    return ok;
}

// ---- numbers that are the same in every run
static uint64_t mixed(uint64_t x) {
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return x ^ x >> 31;
}
static uint64_t chance_state;
static int chance(int n) { return (int)(mixed(chance_state += 0x9e3779b97f4a7c15u) % (uint64_t)n); } /* 0 ... n-1 */

// ---- a log of bytes: what a step leaves, to be compared with another run's
typedef struct note { size_t at, bytes; nn_dtype dtype; int step; char name[40]; } note;
typedef struct record { char *p; size_t n, room; note *list; int notes, notes_room; } record;
static void *grown(void *p, size_t size) {
    p = realloc(p, size);
    if (!p) { printf("out of memory\n"); exit(2); }
    return p;
}
static void record_clear(record *r) { r->n = 0; r->notes = 0; }
static void record_free(record *r) { free(r->p); free(r->list); memset(r, 0, sizeof *r); }
static char *record_more(record *r, const char *name, int step, nn_dtype dtype, size_t bytes) {
    note *k;
    if (r->notes == r->notes_room) { r->notes_room = r->notes_room * 2 + 32; r->list = (note *)grown(r->list, (size_t)r->notes_room * sizeof *r->list); }
    if (r->n + bytes + 8 > r->room) { r->room = (r->n + bytes) * 2 + 256; r->p = (char *)grown(r->p, r->room); }
    k = &r->list[r->notes++];
    k->at = r->n; k->bytes = bytes; k->dtype = dtype; k->step = step;
    snprintf(k->name, sizeof k->name, "%s", name);
    r->n = (r->n + bytes + 7) / 8 * 8; /* aligned */
    return r->p + k->at;
}
static void record_tensor(record *r, const char *name, int step, nn_tensor *x) { /* none: as none */
    int64_t n = nn_numel(x);
    size_t  bytes = x ? (size_t)n * nn_dtype_size(nn_dtype_of(x)) : 0;
    char   *to = record_more(r, name, step, nn_dtype_of(x), bytes);
    if (x && bytes && !nn_read(x, to, bytes)) memset(to, 0xee, bytes);
    if (!x) record_more(r, "none", step, NN_U8, 1)[0] = 0;
}
static void record_number(record *r, const char *name, int step, double v) { memcpy(record_more(r, name, step, NN_F64, sizeof v), &v, sizeof v); }

static double as_number(const record *r, const note *k, size_t i) {
    const char *p = r->p + k->at;
    switch (k->dtype) {
    case NN_F32: { float f; memcpy(&f, p + 4 * i, 4); return f; }
    case NN_F64: { double d; memcpy(&d, p + 8 * i, 8); return d; }
    case NN_I32: { int32_t d; memcpy(&d, p + 4 * i, 4); return d; }
    default: return (unsigned char)p[i];
    }
}
/* NaNs are alike, whatever their bits */
static int same_note(const record *a, const record *b, const note *k, const note *l, double tolerance, size_t *where) {
    size_t e = nn_dtype_size(k->dtype);
    if (k->bytes != l->bytes || k->dtype != l->dtype || strcmp(k->name, l->name)) return *where = 0, 0;
    for (size_t i = 0; i < k->bytes / e; i++) {
        double u, v;
        if (!memcmp(a->p + k->at + i * e, b->p + l->at + i * e, e)) continue;
        u = as_number(a, k, i); v = as_number(b, l, i);
        if (u != u && v != v) continue;
        if (tolerance > 0 && fabs(u - v) <= tolerance * (1 + fabs(u))) continue;
        return *where = i, 0;
    }
    return 1;
}
static const char *situation = ""; /* what a failure says of where it was */
static int same_records(const record *want, const record *got, double tolerance, const char *what) {
    size_t where = 0;
    for (int i = 0; i < want->notes || i < got->notes; i++) {
        const note *k = &want->list[i], *l = &got->list[i];
        if (i < want->notes && i < got->notes && same_note(want, got, k, l, tolerance, &where)) continue;
        if (++failed > 60) return 0;
        if (i >= want->notes || i >= got->notes) printf("%s, %s: %d results instead of %d\n", what, situation, got->notes, want->notes);
        else if (k->bytes != l->bytes || strcmp(k->name, l->name)) printf("%s, %s: step %d: %s of %lu bytes instead of %s of %lu\n", what, situation, k->step, l->name, (unsigned long)l->bytes, k->name, (unsigned long)k->bytes);
        else printf("%s, %s: step %d: %s[%lu] is %.9g, eagerly %.9g\n", what, situation, k->step, k->name, (unsigned long)where, as_number(got, l, where), as_number(want, k, where));
        return 0;
    }
    passed++;
    return 1;
}

// ---- a step that is run eagerly or recorded: its lines are written once
enum { STAY = 1 << 16 }; /* of a case's kind: gradients of kept tensors add up from step to step */
enum { INPUTS = 6, OUTS = 12, WATCHED = 8, KEPT = 4 };
typedef struct given { char name[16]; nn_dtype dtype; nn_shape shape; double low, high; void *array; nn_tensor *x; int used, leaf; } given;
typedef struct env {
    nn_ctx    *c, *root;
    nn_plan   *plan;      /* while its lines are recorded */
    int        step, seed, kind;
    const struct net_case *which;
    given      input[INPUTS];
    int        inputs;
    nn_model  *m, *n;
    nn_optim  *o, *q;
    nn_tensor *kept[KEPT];
    nn_tensor *watch[WATCHED];
    int        watched;
    nn_tensor *out[OUTS];
    int        outs;
} env;

static nn_shape shape_none(void) { return NN_SCALAR; }
static void declare(env *e, const char *name, nn_dtype dtype, nn_shape shape, double low, double high) {
    given *i = &e->input[e->inputs++];
    snprintf(i->name, sizeof i->name, "%s", name);
    i->dtype = dtype; i->shape = shape; i->low = low; i->high = high;
}
static int64_t numel(nn_shape s) {
    int64_t n = 1;
    for (int i = 0; i < s.ndim; i++) n *= s.dim[i];
    return n;
}
static void store(nn_dtype d, void *p, int64_t i, double v) {
    switch (d) {
    case NN_F32: ((float *)p)[i] = (float)v; break;
    case NN_F64: ((double *)p)[i] = v; break;
    case NN_I32: ((int32_t *)p)[i] = (int32_t)floor(v); break;
    case NN_I64: ((int64_t *)p)[i] = (int64_t)floor(v); break;
    case NN_I8: ((int8_t *)p)[i] = (int8_t)floor(v); break;
    case NN_U8: ((uint8_t *)p)[i] = (uint8_t)floor(v); break;
    default: break;
    }
}
static void refresh(env *e) { /* this step's values into the arrays */
    for (int k = 0; k < e->inputs; k++) {
        given   *i = &e->input[k];
        int64_t  n = numel(i->shape);
        uint64_t at = mixed((uint64_t)(k + 1) * 1000003u + (uint64_t)e->step * 77u);
        if (!i->array) i->array = calloc((size_t)n + 1, 8);
        for (int64_t j = 0; j < n; j++) store(i->dtype, i->array, j, i->low + (i->high - i->low) * (double)(mixed(at + (uint64_t)j) >> 11) * 1.1102230246251565e-16);
    }
}
static nn_tensor *in(env *e, const char *name) { /* the input, inside the step's lines */
    for (int k = 0; k < e->inputs; k++) {
        given *i = &e->input[k];
        if (strcmp(i->name, name)) continue;
        if (!i->used && e->plan) i->x = nn_plan_input(e->plan, name, i->x);
        i->used = 1;
        return i->x;
    }
    return NULL;
}
static nn_tensor *leaf(env *e, const char *name) { /* likewise; it gets a gradient */
    nn_tensor *x = in(e, name);
    for (int k = 0; k < e->inputs; k++)
        if (!strcmp(e->input[k].name, name)) e->input[k].leaf = 1;
    return nn_requires_grad(x);
}
static nn_tensor *give(env *e, nn_tensor *x) { /* a result of the step; returns x */
    if (e->outs < OUTS && x) e->out[e->outs++] = x;
    return x;
}
static void watch(env *e, nn_tensor *x) { if (x) e->watch[e->watched++] = x; }

typedef struct net_case {
    const char *name;
    void      (*set_up)(env *e);
    void      (*lines)(env *e);
    int         kind;
} net_case;

static void note_model(record *r, env *e, nn_model *m, const char *which) {
    char name[80];
    for (int i = 0; i < nn_model_count(m); i++) {
        nn_tensor *w = nn_model_tensor(m, e->c, nn_model_name(m, i));
        snprintf(name, sizeof name, "%s %s", which, nn_model_name(m, i));
        record_tensor(r, name, e->step, w);
        snprintf(name, sizeof name, "%s grad %s", which, nn_model_name(m, i));
        record_tensor(r, name, e->step, nn_grad(w));
        if (!(e->kind & STAY)) nn_zero_grad(w);
    }
}
static void note_step(record *r, env *e) { /* all that a step leaves */
    char name[40];
    for (int k = 0; k < e->outs; k++) {
        snprintf(name, sizeof name, "out %d", k);
        record_tensor(r, name, e->step, e->out[k]);
    }
    note_model(r, e, e->m, "model");
    note_model(r, e, e->n, "model 2");
    for (int k = 0; k < KEPT; k++)
        if (e->kept[k]) {
            snprintf(name, sizeof name, "kept %d", k);
            record_tensor(r, name, e->step, e->kept[k]);
            snprintf(name, sizeof name, "kept grad %d", k);
            record_tensor(r, name, e->step, nn_grad(e->kept[k]));
            if (!(e->kind & STAY)) nn_zero_grad(e->kept[k]);
        }
    for (int k = 0; k < e->watched; k++) {
        snprintf(name, sizeof name, "watched %d", k);
        record_tensor(r, name, e->step, e->watch[k]);
    }
    for (int k = 0; k < e->inputs; k++)
        if (e->input[k].leaf) {
            snprintf(name, sizeof name, "input grad %s", e->input[k].name);
            record_tensor(r, name, e->step, nn_grad(e->input[k].x));
            nn_zero_grad(e->input[k].x); /* an eager step's inputs are new ones */
        }
    record_number(r, "lr", e->step, e->o ? nn_get_lr(e->o) : 0);
    record_number(r, "streams", e->step, (double)e->c->streams);
}

/* Passes as nn_plan_passes names them; those that may be left out */
static const char *const optional[] = {"dead nodes", "constants", "common subexpressions", "softmax and loss", "epilogues", "norm and product", "chains", "updates", "branches", "in place"};
enum { OPTIONAL = sizeof optional / sizeof *optional };

typedef struct way { /* how a case is run */
    int         planned, threads, fork, resets; /* resets: 1 after every step, 0 after every third */
    const char *skip;
    int         serial, checkpoint, exact, trace, reset_first;
    size_t      budget;
    nn_plan_stats stats; /* out */
} way;
static way way_of(int planned, int threads) {
    way w;
    memset(&w, 0, sizeof w);
    w.planned = planned; w.threads = threads; w.resets = 1;
    return w;
}

static void env_begin(env *e, const net_case *t, int seed, const way *w) {
    memset(e, 0, sizeof *e);
    e->root = e->c = quiet_ctx(w->threads, 11);
    e->which = t;
    e->seed = seed;
    e->kind = t->kind;
    t->set_up(e);
    if (w->fork) e->c = nn_fork(e->root);
    nn_reset(e->root);
}
static void env_end(env *e) {
    for (int k = 0; k < e->inputs; k++) free(e->input[k].array);
    nn_end(e->root);
}
static void step_end(env *e, const way *w) {
    if (w->resets || e->step % 3 == 2) nn_reset(e->c);
}
static void run_eager(env *e, const way *w, record *r, int steps) {
    for (e->step = 0; e->step < steps && !nn_error(e->c); e->step++) {
        refresh(e);
        for (int k = 0; k < e->inputs; k++) { e->input[k].x = nn_from(e->c, e->input[k].array, e->input[k].dtype, e->input[k].shape); e->input[k].used = 0; }
        e->outs = 0;
        e->which->lines(e);
        note_step(r, e);
        step_end(e, w);
    }
}
static int bind(env *e, nn_plan *p, given *i, int how) {
    nn_tensor *x;
    if (how == 1) return nn_plan_bind_data(p, i->name, i->array);
    x = nn_from(e->c, i->array, i->dtype, i->shape);
    if (how == 2) { /* of other strides */
        if (i->shape.ndim >= 2) x = nn_transpose(nn_contiguous(nn_transpose(x, 0, i->shape.ndim - 1)), 0, i->shape.ndim - 1);
        else if (i->shape.ndim == 1) { nn_tensor *two[2]; two[0] = nn_unsqueeze(x, 1); two[1] = two[0]; x = nn_select(nn_concat(two, 2, 1), 1, 0); }
    }
    return nn_plan_bind(p, i->name, x);
}
static void run_planned(env *e, way *w, record *r, int steps) {
    nn_plan_options o = nn_plan_defaults();
    nn_plan        *p = NULL;
    o.skip = w->skip; o.serial = w->serial; o.checkpoint = w->checkpoint; o.exact = w->exact; o.budget = w->budget; o.trace = w->trace;
    for (e->step = 0; e->step < steps && !nn_error(e->c); e->step++) {
        int64_t  before;
        nn_node *tape;
        refresh(e);
        if (!p) {
            for (int k = 0; k < e->inputs; k++) { e->input[k].x = nn_from(e->c, e->input[k].array, e->input[k].dtype, e->input[k].shape); e->input[k].used = 0; }
            p = e->plan = nn_plan_begin(e->c, &o);
            e->which->lines(e);
            nn_plan_end(p, e->out, e->outs);
            e->plan = NULL;
            if (nn_error(e->c)) break;
            if (w->reset_first) { nn_reset(e->c); e->c->step--; } /* the tensors that it was recorded with are gone */
        }
        if (e->step || w->reset_first)
            for (int k = 0; k < e->inputs; k++)
                if (e->input[k].used && !bind(e, p, &e->input[k], (e->step + k) % 3)) break;
        before = nn_memory(e->c).allocations;
        tape   = e->c->tape;
        if (!nn_plan_run(p)) break;
        if (e->step > 2 && COUNTS_MEMORY && nn_memory(e->c).allocations != before) check(0, "a run asked for memory", __LINE__);
        if (e->c->tape != tape) check(0, "a run wrote on the tape", __LINE__);
        note_step(r, e);
        step_end(e, w);
    }
    w->stats = nn_plan_stats_of(p);
    if (e->step & 1) nn_plan_free(p);
}

static int show_errors = 1;
static int run_case(const net_case *t, int seed, way *w, record *r, int steps) { /* fine? */
    env e;
    int ok;
    record_clear(r);
    env_begin(&e, t, seed, w);
    if (w->planned) run_planned(&e, w, r, steps);
    else run_eager(&e, w, r, steps);
    ok = nn_error(e.c) == NN_OK && nn_error(e.root) == NN_OK;
    if (!ok && !show_errors && getenv("NN_TEST_REFUSED")) printf("   seed %d, %s: %s\n", seed, w->planned ? "planned" : "eager", nn_error_text(nn_error(e.c) ? e.c : e.root));
    if (!ok && show_errors && ++failed <= 60) printf("%s, %s: %s: %s\n", t->name, situation, w->planned ? "planned" : "eager", nn_error_text(nn_error(e.c) ? e.c : e.root));
    env_end(&e);
    return ok;
}
static record wanted, got;
static int compare(const net_case *t, int seed, way *w, int steps, double tolerance) { /* with what `wanted` has */
    static char text[200];
    snprintf(text, sizeof text, "seed %d, %d threads, skip %s%s%s%s%s, checkpoint %d, budget %lu", seed, w->threads, w->skip ? w->skip : "none", w->serial ? ", serial" : "", w->resets ? "" : ", few resets", w->fork ? ", fork" : "", w->reset_first ? ", reset before the first run" : "", w->checkpoint, (unsigned long)w->budget);
    situation  = text;
    w->planned = 1;
    return run_case(t, seed, w, &got, steps) && same_records(&wanted, &got, tolerance, t->name);
}
static int reference(const net_case *t, int seed, int resets, int fork, int steps) {
    way w = way_of(0, 1);
    situation = "reference";
    w.resets = resets; w.fork = fork;
    return run_case(t, seed, &w, &wanted, steps);
}
/* One case in all the ways that matter */
static void test_case(const net_case *t) {
    way w;
    enum { STEPS = 5 };
    for (int resets = 1; resets >= 0; resets--) {
        if (!reference(t, 0, resets, 0, STEPS)) return;
        for (int threads = 1; threads <= 3; threads++) {
            w = way_of(1, threads); w.resets = resets;
            if (!compare(t, 0, &w, STEPS, 0)) return;
            CHECK(w.stats.bound <= w.stats.peak && w.stats.peak <= w.stats.naive);
            if (resets == 0) break;
        }
        w = way_of(1, 1); w.skip = "all"; w.resets = resets;
        compare(t, 0, &w, STEPS, 0);
        if (!resets) continue;
        for (int k = 0; k < OPTIONAL; k++) { w = way_of(1, 2); w.skip = optional[k]; compare(t, 0, &w, STEPS, 0); }
        w = way_of(1, 3); w.serial = 1; compare(t, 0, &w, STEPS, 0);
        w = way_of(1, 1); w.exact = 1; w.trace = 1; compare(t, 0, &w, STEPS, 0);
        w = way_of(1, 2); w.reset_first = 1; compare(t, 0, &w, STEPS, 0);
    }
}

// ---- networks, with a training step each
enum { MLP_RELU, MLP_SIGMOID, MLP_TANH, MLP_GELU, MLP_GELU_TANH, MLP_ACT, NORMED, RESIDUAL, DROPPED, MIXED, TIED, DEEP, SOFT, SOFTSIGN, RUNNING, CHECKPOINTED, XOR, DIGITS, THREADED, CPP, SMALL, ATTENTION, RETAINED, NET_KINDS };

/* an op of our own, as examples/custom_op.c */
static int softsign_shape(nn_node *n, nn_spec *out) { nn_spec_like(out, n->in[0]); return 1; }
static void softsign_run(nn_node *n) {
    if (nn_dtype_of(n->in[0]) == NN_F32) for (int64_t i = 0; i < nn_numel(n->in[0]); i++) { float v = nn_f32(n->in[0])[i]; nn_f32(n->out[0])[i] = v / (1 + fabsf(v)); }
    else for (int64_t i = 0; i < nn_numel(n->in[0]); i++) { double v = nn_f64(n->in[0])[i]; nn_f64(n->out[0])[i] = v / (1 + fabs(v)); }
}
static void softsign_grad(nn_node *n, nn_tensor **dy, nn_tensor **dx) { dx[0] = nn_mul(dy[0], nn_square(nn_affine(nn_abs(n->out[0]), -1, 1))); }
static const nn_op softsign_op = {"softsign", 1, 1, 0, NN_OP_SAVES_OUT, softsign_shape, softsign_run, softsign_grad, NULL, NULL, NULL, 0};
static nn_tensor *softsign(nn_tensor *x) {
    nn_tensor *y;
    return nn_apply(&softsign_op, &x, 1, NULL, &y) ? y : NULL;
}

static nn_tensor *block(nn_scope l, nn_tensor *h) {
    nn_tensor *z = nn_layer_linear(l, "fc", nn_layer_layernorm(l, "norm", h), nn_dim(h, -1) * 2);
    z = nn_layer_linear(l, "proj", nn_gelu(z), nn_dim(h, -1));
    return nn_leave(l, nn_add(h, z));
}
static nn_tensor *block_dropout(nn_scope l, nn_tensor *h) {
    nn_tensor *z = nn_layer_dropout(l, nn_gelu(nn_layer_linear(l, "fc", nn_layer_layernorm(l, "norm", h), nn_dim(h, -1))), 0.3);
    return nn_leave(l, nn_add(h, nn_layer_linear(l, "proj", z, nn_dim(h, -1))));
}
static nn_tensor *any_net(nn_scope s, nn_tensor *x) {
    const int *user = (const int *)nn_user(s);
    int        kind = user ? *user : -1;
    switch (kind) {
    case MLP_RELU: case MLP_SIGMOID: case MLP_TANH: case MLP_GELU: case MLP_GELU_TANH:
        for (int i = 0; i < 2; i++) {
            x = nn_layer_linear(s, i ? "b" : "a", x, 17 + i);
            x = kind == MLP_RELU ? nn_relu(x) : kind == MLP_SIGMOID ? nn_sigmoid(x) : kind == MLP_TANH ? nn_tanh(x) : kind == MLP_GELU ? nn_gelu(x) : nn_gelu_tanh(x);
        }
        return nn_layer_linear(s, "out", x, 3);
    case MLP_ACT:
        x = nn_layer_linear_act(s, "a", x, 16, NN_ACT_RELU);
        x = nn_layer_linear_act(s, "b", x, 12, NN_ACT_TANH);
        x = nn_layer_linear_act(s, "c", x, 12, NN_ACT_GELU);
        x = nn_layer_linear_act(s, "d", x, 12, NN_ACT_SIGMOID);
        return nn_layer_linear(s, "out", x, 3);
    case NORMED:
        x = nn_layer_layernorm(s, "n1", nn_layer_linear(s, "a", x, 20));
        x = nn_layer_layernorm(s, "n2", nn_layer_linear(s, "b", nn_relu(x), 70));
        return nn_layer_linear(s, "out", nn_layer_layernorm(s, "n3", x), 3);
    case RESIDUAL:
        x = nn_layer_linear(s, "in", x, 8);
        for (int i = 0; i < 3; i++) x = block(nn_in_i(s, "h", i), x);
        return nn_layer_linear(s, "out", nn_layer_layernorm(s, "norm", x), 3);
    case CHECKPOINTED:
        x = nn_layer_linear(s, "in", x, 8);
        for (int i = 0; i < 3; i++) x = nn_checkpoint(i == 1 ? block_dropout : block, nn_in_i(s, "h", i), x);
        return nn_layer_linear(s, "out", x, 3);
    case DROPPED:
        x = nn_layer_dropout(s, nn_relu(nn_layer_linear(s, "a", nn_layer_dropout(s, x, 0.1), 30)), 0.4);
        return nn_layer_linear(s, "out", nn_layer_dropout(s, nn_tanh(nn_layer_linear(s, "b", x, 20)), 0.2), 3);
    case MIXED: {
        nn_tensor *a = nn_layer_linear(s, "left", x, 8), *b = nn_layer_linear_act(s, "right", x, 8, NN_ACT_RELU), *two[2];
        two[0] = nn_mul(a, nn_sigmoid(b)); two[1] = nn_sub(nn_square(a), nn_exp(nn_scale(b, 0.1)));
        x = nn_concat(two, 2, 1);
        x = nn_add(nn_slice(x, 1, 0, 8, 1), nn_slice(x, 1, 15, 7, -1));
        return nn_layer_linear(s, "out", nn_softmax(x, 1), 3);
    }
    case TIED: {
        nn_tensor *w = nn_param(s, "w", NN_SHAPE(8, nn_dim(x, 1)), nn_init_fan_in(nn_dim(x, 1)));
        nn_tensor *h = nn_tanh(nn_linear(x, w, NULL));
        h = nn_tanh(nn_matmul(h, w)); /* and back by the same weight */
        return nn_layer_linear(s, "out", nn_linear(h, w, NULL), 3);
    }
    case DEEP:
        for (int i = 0; i < 6; i++) x = nn_tanh(nn_layer_linear(nn_in_i(s, "h", i), "fc", x, 9));
        return nn_layer_linear(s, "out", x, 3);
    case SOFT:
        x = nn_log_softmax(nn_layer_linear(s, "a", x, 9), 1);
        return nn_layer_linear(s, "out", nn_softmax(nn_mul(x, x), 0), 3);
    case SOFTSIGN: return nn_layer_linear(s, "out", softsign(nn_layer_linear(s, "hidden", x, 16)), 3);
    case RUNNING: {
        nn_tensor *mean = nn_buffer(s, "mean", NN_SHAPE(nn_dim(x, 1)), nn_init_zeros()), *seen = nn_state(s, "seen", NN_F32, NN_SHAPE(1));
        if (s.mode == NN_TRAIN && !s.ctx->shape_only) {
            nn_tensor *now = nn_mean(x, NN_AXES(0), 0);
            nn_assign(mean, nn_add(nn_scale(mean, 0.9), nn_scale(now, 0.1)));
            nn_assign(seen, nn_affine(seen, 1, 1));
        }
        return nn_layer_linear(s, "out", nn_relu(nn_layer_linear(s, "a", nn_sub(x, mean), 12)), 3);
    }
    case XOR: return nn_layer_linear(s, "out", nn_tanh(nn_layer_linear(s, "hidden", x, 8)), 3);
    case DIGITS:
        x = nn_layer_dropout(s, nn_layer_linear_act(s, "fc1", x, 32, NN_ACT_RELU), 0.3);
        return nn_layer_linear(s, "fc3", nn_layer_linear_act(s, "fc2", x, 16, NN_ACT_RELU), 3);
    case THREADED: return nn_layer_linear(s, "fc2", nn_tanh(nn_layer_linear(s, "fc1", x, 32)), 3);
    case CPP: return nn_layer_linear(s, "fc2", nn_gelu(nn_layer_layernorm(s, "norm", nn_layer_linear(s, "fc1", x, 32))), 3);
    case SMALL: return nn_layer_linear(s, "out", x, 3);
    case ATTENTION: { /* [N,F] -> [N,2,F/2]... one head, by hand */
        nn_tensor *q = nn_layer_linear(s, "q", x, 8), *k = nn_layer_linear(s, "k", x, 8), *v = nn_layer_linear(s, "v", x, 8), *a;
        q = nn_transpose(nn_reshape(q, NN_SHAPE(-1, 2, 4)), 0, 1);
        k = nn_transpose(nn_reshape(k, NN_SHAPE(-1, 2, 4)), 0, 1);
        v = nn_transpose(nn_reshape(v, NN_SHAPE(-1, 2, 4)), 0, 1);
        a = nn_softmax(nn_scale(nn_matmul(q, nn_transpose(k, 1, 2)), 0.5), -1);
        return nn_layer_linear(s, "out", nn_reshape(nn_transpose(nn_matmul(a, v), 0, 1), NN_SHAPE(-1, 8)), 3);
    }
    default: return NULL;
    }
}

/* kind of a case: net | loss | optimiser | more */
enum { CROSS = 0, MSE = 32, SGD = 0, MOMENTUM = 64, ADAM = 128, ADAMW = 192, CLIP = 256, DOUBLE = 512, EVAL = 1024, NO_STEP = 2048, COSINE = 4096, PACK = 8192, UNBUILT = 16384, SEQUENCE = 32768 };
static nn_model *model_of(env *e, nn_dtype d) {
    static const int kinds[NET_KINDS] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22};
    nn_model *m = nn_model_new(e->c, any_net, (void *)(uintptr_t)&kinds[e->kind & 31]);
    if (d != NN_F32) nn_model_dtype(m, d);
    return m;
}
static nn_optim *optim_of(env *e, nn_model *m) {
    nn_optim *o;
    switch (e->kind & 192) {
    case SGD: o = nn_sgd(m, 0.05f, 0); break;
    case MOMENTUM: o = nn_sgd(m, 0.05f, 0.9f); break;
    case ADAM: o = nn_adam(m, 0.01f); break;
    default: o = nn_adamw(m, 0.01f, 0.1f); break;
    }
    if (e->kind & COSINE) nn_set_lr(o, nn_lr_cosine(0.05f, 2, 6, 0.001f));
    return o;
}
static void train_set_up(env *e) {
    nn_dtype d = e->kind & DOUBLE ? NN_F64 : NN_F32;
    nn_shape x = e->kind & SEQUENCE ? NN_SHAPE(3, 4, 6) : NN_SHAPE(12, 6), y = e->kind & SEQUENCE ? NN_SHAPE(3, 4) : NN_SHAPE(12);
    declare(e, "x", d, x, -1, 1);
    if (e->kind & MSE) y.dim[y.ndim++] = 3;
    if (e->kind & MSE) declare(e, "y", d, y, -1, 1);
    else declare(e, "y", NN_I32, y, 0, 3);
    e->m = model_of(e, d);
    if (!(e->kind & UNBUILT)) nn_model_build(e->m, d, x);
    if (e->kind & PACK) nn_model_pack(e->m, 1);
    if (!(e->kind & (EVAL | NO_STEP))) e->o = optim_of(e, e->m);
}
static void train_lines(env *e) {
    nn_tensor *y, *loss;
    if (e->kind & EVAL) {
        y = give(e, nn_predict(e->m, in(e, "x")));
        give(e, nn_softmax(y, -1));
        give(e, nn_max(y, NN_AXES(-1), 0));
        return;
    }
    y    = nn_forward(e->m, in(e, "x"));
    loss = e->kind & MSE ? nn_mse(y, in(e, "y")) : nn_cross_entropy(y, in(e, "y"));
    nn_backward(loss);
    if (e->kind & CLIP) nn_clip_grad_norm(e->o, 0.1);
    if (e->o) nn_step(e->o);
    give(e, loss);
    give(e, y);
}

static const net_case train_cases[] = {
    {"mlp relu", train_set_up, train_lines, MLP_RELU},
    {"mlp sigmoid, momentum, mse", train_set_up, train_lines, MLP_SIGMOID | MOMENTUM | MSE},
    {"mlp tanh, adam, clip", train_set_up, train_lines, MLP_TANH | ADAM | CLIP},
    {"mlp gelu, adamw, schedule", train_set_up, train_lines, MLP_GELU | ADAMW | COSINE},
    {"mlp gelu_tanh", train_set_up, train_lines, MLP_GELU_TANH | ADAM | MSE},
    {"fused activations", train_set_up, train_lines, MLP_ACT | ADAM | CLIP},
    {"fused activations, f64", train_set_up, train_lines, MLP_ACT | MOMENTUM | DOUBLE | MSE},
    {"layer norms", train_set_up, train_lines, NORMED | ADAMW},
    {"layer norms, f64", train_set_up, train_lines, NORMED | SGD | DOUBLE},
    {"residual blocks", train_set_up, train_lines, RESIDUAL | ADAMW | CLIP | COSINE},
    {"residual blocks, sequences", train_set_up, train_lines, RESIDUAL | ADAMW | SEQUENCE},
    {"dropout", train_set_up, train_lines, DROPPED | ADAM},
    {"dropout, few words", train_set_up, train_lines, DROPPED | MOMENTUM | MSE | UNBUILT},
    {"branches, concat, slices", train_set_up, train_lines, MIXED | ADAM},
    {"tied weights", train_set_up, train_lines, TIED | MOMENTUM},
    {"tied weights, f64, clip", train_set_up, train_lines, TIED | SGD | DOUBLE | CLIP},
    {"deep", train_set_up, train_lines, DEEP | ADAM | MSE | UNBUILT},
    {"softmaxes", train_set_up, train_lines, SOFT | MOMENTUM},
    {"an op of one's own", train_set_up, train_lines, SOFTSIGN | ADAM | MSE},
    {"an op of one's own, f64", train_set_up, train_lines, SOFTSIGN | SGD | MSE | DOUBLE},
    {"running mean", train_set_up, train_lines, RUNNING | MOMENTUM},
    {"running mean, built while recorded", train_set_up, train_lines, RUNNING | ADAM | UNBUILT},
    {"checkpointed segments", train_set_up, train_lines, CHECKPOINTED | ADAM},
    {"xor", train_set_up, train_lines, XOR | ADAM | MSE},
    {"digits", train_set_up, train_lines, DIGITS | ADAMW | COSINE},
    {"the example with threads", train_set_up, train_lines, THREADED | ADAM | MSE},
    {"the example in C++", train_set_up, train_lines, CPP | ADAMW},
    {"one layer", train_set_up, train_lines, SMALL | SGD},
    {"attention", train_set_up, train_lines, ATTENTION | ADAM},
    {"prediction", train_set_up, train_lines, MLP_ACT | EVAL},
    {"prediction of residual blocks", train_set_up, train_lines, RESIDUAL | EVAL},
    {"prediction with dropout", train_set_up, train_lines, DROPPED | EVAL},
    {"prediction, attention, f64", train_set_up, train_lines, ATTENTION | EVAL | DOUBLE},
    {"prediction, running mean, built while recorded", train_set_up, train_lines, RUNNING | EVAL | UNBUILT}};

// ---- steps of other forms
static nn_tensor *kept_leaf(env *e, int k, nn_dtype d, nn_shape s, double low, double high) {
    return e->kept[k] = nn_requires_grad(nn_keep(nn_uniform(e->c, d, s, low, high)));
}
static void raw_set_up(env *e) {
    nn_dtype d = e->kind & DOUBLE ? NN_F64 : NN_F32;
    declare(e, "x", d, NN_SHAPE(4, 6), -1, 1);
    declare(e, "i", NN_I32, NN_SHAPE(4, 2), 0, 6);
    declare(e, "v", d, NN_SHAPE(6), -1, 1);
    kept_leaf(e, 0, d, NN_SHAPE(6, 5), -1, 1);
    kept_leaf(e, 1, d, NN_SHAPE(4, 6), -1, 1);
    kept_leaf(e, 2, d, shape_none(), 0.5, 1);
}
static void sgd_by_hand(env *e) { /* w -= 0.1 grad, as ops; the gradients stay */
    nn_no_grad(e->c, 1);
    for (int k = 0; k < KEPT; k++)
        if (e->kept[k] && nn_grad(e->kept[k])) nn_assign(e->kept[k], nn_sub(e->kept[k], nn_scale(nn_grad(e->kept[k]), 0.1)));
    nn_no_grad(e->c, 0);
}
static void raw_views(env *e) {
    nn_tensor *x = in(e, "x"), *w = e->kept[0], *u = e->kept[1], *y, *z, *two[3];
    y = nn_transpose(nn_matmul(nn_add(x, u), w), 0, 1);                   /* [5,4] */
    z = nn_slice(y, 0, 4, NN_TO_END, -2);                                  /* [3,4] */
    z = nn_exp(nn_reshape(z, NN_SHAPE(4, 3)));
    two[0] = z; two[1] = nn_square(z); two[2] = nn_transpose(nn_select(nn_reshape(nn_tanh(y), NN_SHAPE(1, 5, 4)), 0, 0), 0, 1);
    y = nn_concat(two, 3, 1);                                              /* [4,11] */
    y = nn_mul(y, nn_expand(nn_unsqueeze(nn_select(y, 1, 3), 1), NN_SHAPE(4, 11)));
    give(e, y);
    nn_backward(give(e, nn_mul(nn_mean(y, NN_ALL, 0), e->kept[2])));
}
static void raw_gather(env *e) {
    nn_tensor *x = nn_mul(in(e, "x"), e->kept[1]), *i = in(e, "i"), *y, *z;
    y = nn_gather(x, 1, i);                                                /* [4,2] */
    z = nn_scatter_add(nn_tanh(y), 1, i, 6);
    z = nn_add(z, nn_sum(nn_mul(nn_one_hot(i, 6, nn_dtype_of(x)), nn_unsqueeze(y, 2)), NN_AXES(1), 0));
    give(e, z);
    give(e, nn_one_hot(i, 6, NN_F32));
    nn_backward(give(e, nn_sum(nn_mul(z, in(e, "v")), NN_ALL, 0)));
}
static void raw_reductions(env *e) {
    nn_tensor *x = nn_add(in(e, "x"), e->kept[1]), *a, *b, *c;
    a = nn_max(x, NN_AXES(1), 1);
    b = nn_mean(nn_sub(x, a), NN_AXES(0), 0);
    c = nn_sum(nn_sqrt(nn_affine(nn_abs(x), 1, 1)), NN_AXES(0, 1), 1);
    give(e, a); give(e, b); give(e, c);
    nn_backward(give(e, nn_add(nn_sum(nn_mul(b, nn_log_softmax(in(e, "v"), 0)), NN_ALL, 0), nn_reshape(c, shape_none()))));
    give(e, nn_grad(e->kept[1]));
    sgd_by_hand(e);
}
static void raw_constants(env *e) { /* made among the lines, in every way */
    nn_dtype   d = nn_dtype_of(e->kept[1]);
    double     a[6] = {1, 2, 3, 4, 5, 6};
    nn_tensor *k = nn_full(e->c, d, NN_SHAPE(6), 0.5), *r = nn_arange(e->c, d, 0, 6, 1), *f = nn_cast(nn_from(e->c, a, NN_F64, NN_SHAPE(6)), d), *s;
    static float outside[6] = {3, 1, 4, 1, 5, 9};
    nn_tensor *o = nn_cast(nn_wrap(e->c, outside, NN_F32, NN_SHAPE(6)), d), *p = nn_zeros(e->c, NN_F32, NN_SHAPE(6)), *q = nn_ones(e->c, d, NN_SHAPE(4, 1));
    float     *raw = nn_f32(p);
    for (int i = 0; i < 6 && raw; i++) raw[i] = (float)(i * i);
    nn_set(q, NN_SHAPE(2, 0), 3);
    s = nn_add(nn_mul(k, nn_exp(nn_scale(r, 0.1))), nn_sub(f, nn_add(o, nn_cast(p, d))));
    s = nn_softmax(nn_reshape(s, NN_SHAPE(2, 3)), -1);
    give(e, s);
    give(e, nn_mul(r, r));
    nn_backward(give(e, nn_sum(nn_mul(nn_mul(nn_add(in(e, "x"), nn_reshape(s, NN_SHAPE(6))), e->kept[1]), q), NN_ALL, 0)));
    give(e, k);
}
static void raw_random(env *e) {
    nn_dtype   d = nn_dtype_of(e->kept[1]);
    nn_tensor *x = nn_add(e->kept[1], nn_normal(e->c, d, NN_SHAPE(4, 6), 0, 0.1)), *u = nn_uniform(e->c, d, NN_SHAPE(6), 0, 1);
    (void)nn_dropout(x, 0.5, 1); /* nobody reads it, but it draws */
    x = nn_dropout(nn_mul(x, u), 0.4, 1);
    give(e, u);
    give(e, nn_uniform(e->c, NN_F16, NN_SHAPE(5), -1, 1));
    give(e, nn_normal(e->c, d, NN_SHAPE(3, 0), 0, 1));
    nn_backward(give(e, nn_mean(nn_mul(x, in(e, "x")), NN_ALL, 0)));
}
static void raw_accumulate(env *e) { /* no step: gradients add up from run to run. (kept 1 is used once, so that a sum has one order.) */
    nn_backward(give(e, nn_sum(nn_tanh(nn_mul(e->kept[1], in(e, "x"))), NN_ALL, 0)));
}
static void raw_two_backwards(env *e) {
    nn_tensor *x = nn_tanh(nn_matmul(in(e, "x"), e->kept[0])), *h = nn_exp(e->kept[1]);
    nn_backward(give(e, nn_mean(x, NN_ALL, 0)));
    nn_backward(give(e, nn_sum(nn_mul(h, e->kept[2]), NN_ALL, 0)));
    sgd_by_hand(e);
}
static void raw_leaf_inputs(env *e) {
    nn_tensor *x = leaf(e, "x"), *v = leaf(e, "v");
    nn_backward(give(e, nn_sum(nn_mul(nn_sin(x), nn_cos(v)), NN_ALL, 0)));
    give(e, nn_grad(v));
}
static void raw_higher(env *e) { /* second derivatives, gradients as values */
    nn_tensor *x = in(e, "x"), *w[2], *dw[2] = {NULL, NULL}, *ddw[2] = {NULL, NULL}, *y;
    w[0] = e->kept[1]; w[1] = e->kept[2];
    y = nn_mul(nn_sum(nn_mul(nn_exp(nn_mul(w[0], x)), w[0]), NN_ALL, 0), nn_square(w[1]));
    nn_grad_of(y, NULL, w, 2, dw, NN_CREATE_GRAPH);
    give(e, dw[0]); give(e, dw[1]);
    nn_grad_of(nn_add(nn_sum(nn_square(dw[0]), NN_ALL, 0), dw[1]), NULL, w, 2, ddw, 0);
    give(e, ddw[0]); give(e, ddw[1]);
    nn_backward(nn_add(nn_mean(nn_square(dw[0]), NN_ALL, 0), y)); /* a gradient penalty */
}
static void raw_backward_from(env *e) {
    nn_tensor *y = nn_matmul(nn_tanh(e->kept[1]), e->kept[0]), *dy = nn_mul(nn_matmul(in(e, "x"), nn_detach(e->kept[0])), nn_detach(y));
    nn_backward_from(y, dy, e->kind & NO_STEP ? NN_CREATE_GRAPH : 0);
    give(e, y);
    give(e, dy);
}
static void raw_retained(env *e) {
    nn_tensor *h = nn_retain_grad(nn_mul(e->kept[1], in(e, "x"))), *k = nn_retain_grad(nn_exp(h)), *c = nn_requires_grad(nn_full(e->c, nn_dtype_of(h), NN_SHAPE(6), 0.5));
    nn_backward(give(e, nn_sum(nn_mul(nn_square(k), c), NN_ALL, 0)));
    give(e, nn_grad(h)); give(e, nn_grad(k)); give(e, nn_grad(c)); give(e, h);
}
static void raw_detached(env *e) {
    nn_tensor *x = nn_mul(e->kept[1], in(e, "x")), *y = nn_detach(nn_exp(x)), *z;
    int        was = nn_no_grad(e->c, 1);
    z = nn_sum(nn_tanh(x), NN_AXES(0), 1);
    nn_no_grad(e->c, was);
    nn_backward(give(e, nn_sum(nn_mul(nn_mul(x, y), nn_add(z, nn_detach(nn_square(x)))), NN_ALL, 0)));
    give(e, y); give(e, z);
}
static void raw_half(env *e) {
    nn_tensor *x = nn_cast(in(e, "x"), NN_F16), *w = nn_cast(e->kept[0], NN_F16), *u = nn_cast(e->kept[1], NN_BF16), *y, *z;
    y = nn_gelu(nn_matmul(x, w));
    z = nn_softmax(nn_linear(u, nn_transpose(nn_cast(e->kept[0], NN_BF16), 0, 1), NULL), -1);
    z = nn_mul(nn_sum(nn_exp(z), NN_AXES(0), 1), nn_transpose(nn_slice(nn_transpose(u, 0, 1), 0, 0, 5, 1), 0, 1));
    give(e, y); give(e, z);
    nn_backward(give(e, nn_add(nn_mean(nn_cast(y, NN_F32), NN_ALL, 0), nn_mean(nn_cast(z, NN_F32), NN_ALL, 0))));
    sgd_by_hand(e);
}
static void half_leaf_set_up(env *e) {
    declare(e, "x", NN_F32, NN_SHAPE(4, 6), -1, 1);
    e->kept[0] = nn_requires_grad(nn_keep(nn_cast(nn_uniform(e->c, NN_F32, NN_SHAPE(6, 5), -1, 1), NN_BF16)));
    e->kept[1] = nn_requires_grad(nn_keep(nn_cast(nn_uniform(e->c, NN_F32, NN_SHAPE(5), -1, 1), NN_F16)));
}
static void raw_half_leaf(env *e) { /* gradients in half precision add up from run to run */
    nn_tensor *y = nn_matmul(nn_cast(in(e, "x"), NN_BF16), e->kept[0]);
    nn_backward(give(e, nn_sum(nn_cast(nn_tanh(y), NN_F32), NN_ALL, 0)));
    nn_backward(give(e, nn_sum(nn_cast(nn_mul(e->kept[1], nn_cast(nn_detach(nn_select(y, 0, 1)), NN_F16)), NN_F32), NN_ALL, 0)));
}
static void i8_set_up(env *e) {
    declare(e, "x", NN_I8, NN_SHAPE(5, 16), -100, 100);
    declare(e, "s", NN_F32, NN_SHAPE(5), 0, 0.1);
    declare(e, "u", NN_U8, NN_SHAPE(5, 2), 0, 16);
    e->watch[e->watched++] = nn_keep(nn_cast(nn_uniform(e->c, NN_F32, NN_SHAPE(7, 16), -100, 100), NN_I8));
}
static void raw_i8(env *e) {
    nn_tensor *x = in(e, "x"), *y = nn_matmul_i8(x, nn_transpose(e->watch[0], 0, 1), NULL, NULL), *z = nn_matmul_i8(x, nn_transpose(e->watch[0], 0, 1), in(e, "s"), NULL);
    give(e, y);
    give(e, nn_relu(z));
    give(e, nn_cast(y, NN_F32));
    give(e, nn_gather(x, 1, in(e, "u")));
    give(e, nn_cast(nn_slice(y, 0, 4, NN_TO_END, -1), NN_I64));
}
static void state_set_up(env *e) {
    raw_set_up(e);
    watch(e, nn_keep(nn_full(e->c, NN_F32, NN_SHAPE(6), 1)));
    watch(e, nn_keep(nn_full(e->c, NN_F32, NN_SHAPE(4, 6), 1)));
}
static void raw_state(env *e) { /* kept tensors, whole and in part, written and read in turn */
    nn_tensor *k = e->watch[0], *l = e->watch[1], *x = in(e, "x"), *before = nn_clone(k), *a, *b;
    a = nn_exp(nn_scale(k, 0.1));
    nn_assign(k, nn_add(nn_select(x, 0, 1), k));
    b = nn_exp(nn_scale(k, 0.1)); /* the same op on the same tensor, which is another value now */
    nn_fill(nn_slice(l, 1, 0, 2, 1), 0.25);
    nn_assign(nn_select(l, 0, 2), nn_mul(a, b));
    nn_assign(nn_slice(l, 0, 0, 2, 1), nn_slice(l, 0, 2, 4, 1)); /* parts of one tensor */
    give(e, before); give(e, a); give(e, b); give(e, nn_sum(l, NN_AXES(0), 0));
    nn_fill(k, 0.5);
    give(e, nn_mul(k, k));
    nn_assign(nn_select(l, 0, 3), nn_select(l, 0, 3)); /* nothing */
}
static void raw_written(env *e) { /* values of the step, changed in place */
    nn_tensor *x = in(e, "x"), *y = nn_exp(x), *z, *u = nn_uniform(e->c, NN_F32, NN_SHAPE(4, 6), 0, 1);
    z = nn_square(y);
    nn_assign(nn_select(y, 0, 1), nn_select(z, 0, 2));
    nn_fill(nn_slice(y, 1, 4, 6, 1), 7);
    give(e, y); give(e, nn_square(y)); give(e, z);
    nn_assign(u, nn_mul(u, x));
    nn_fill(nn_select(u, 1, 0), 1);
    give(e, u);
    give(e, nn_tanh(u));
}
static void raw_written_constants(env *e) { /* constants of the step, changed in it: fresh in every step */
    nn_tensor *x = in(e, "x"), *k = nn_zeros(e->c, NN_F32, NN_SHAPE(4, 6)), *l = nn_full(e->c, NN_F32, NN_SHAPE(6), 2), *a = nn_mul(l, in(e, "v"));
    for (int i = 0; i < 3; i++) nn_assign(k, nn_add(k, x));
    nn_fill(l, 5);
    give(e, k); give(e, a); give(e, nn_mul(l, in(e, "v")));
}
static void raw_empty(env *e) {
    nn_tensor *x = nn_slice(nn_mul(in(e, "x"), e->kept[1]), 0, 2, 2, 1), *w = e->kept[0], *y, *two[2]; /* [0,6] */
    y = nn_relu(nn_matmul(x, w));
    two[0] = nn_exp(x); two[1] = in(e, "x");
    give(e, y); give(e, nn_softmax(x, 1)); give(e, nn_concat(two, 2, 0)); give(e, nn_matmul(nn_transpose(x, 0, 1), x));
    nn_backward(give(e, nn_add(nn_sum(y, NN_ALL, 0), nn_sum(nn_concat(two, 2, 0), NN_ALL, 0))));
}
static void raw_scalars(env *e) {
    nn_tensor *s = e->kept[2], *x = nn_select(nn_select(in(e, "x"), 0, 1), 0, 2), *y = nn_mul(nn_exp(s), x), *z = nn_reshape(y, NN_SHAPE(1, 1));
    nn_backward(give(e, nn_add(nn_square(y), nn_sum(nn_mul(z, s), NN_ALL, 0))));
    give(e, z); give(e, nn_expand(y, NN_SHAPE(3, 2))); give(e, nn_sum(s, NN_ALL, 0)); give(e, s); give(e, in(e, "x")); give(e, nn_max(y, NN_ALL, 1));
    sgd_by_hand(e);
}
static void raw_outputs(env *e) { /* results that are inputs, constants, kept tensors, views, or twice the same */
    nn_tensor *x = in(e, "x"), *y = nn_tanh(x);
    give(e, x); give(e, y); give(e, y); give(e, nn_transpose(y, 0, 1)); give(e, nn_slice(x, 1, 0, 6, 2)); give(e, e->kept[1]); give(e, nn_reshape(e->kept[0], NN_SHAPE(5, 6)));
    give(e, nn_full(e->c, NN_F64, NN_SHAPE(2), 4)); give(e, nn_expand(nn_select(y, 0, 0), NN_SHAPE(3, 6))); give(e, nn_neg(nn_neg(y)));
}
static void raw_example(env *e) { /* examples/autodiff.c */
    nn_tensor *a = e->kept[2], *b = nn_select(nn_select(leaf(e, "x"), 0, 0), 0, 1), *p = nn_retain_grad(nn_mul(a, b)), *y = nn_add(nn_square(p), a), *g[1], *gg[1];
    nn_backward(give(e, y));
    give(e, nn_grad(p));
    nn_grad_of(y, NULL, &a, 1, g, NN_CREATE_GRAPH);
    nn_grad_of(give(e, g[0]), NULL, &a, 1, gg, 0);
    give(e, gg[0]);
}
static void raw_twice_same(env *e) { /* common subexpressions, with a write between */
    nn_tensor *x = in(e, "x"), *a = nn_tanh(nn_mul(x, e->kept[1])), *b = nn_tanh(nn_mul(x, e->kept[1])), *y = nn_add(nn_mul(a, b), nn_sub(nn_exp(nn_mul(x, x)), nn_exp(nn_mul(x, x))));
    nn_backward(give(e, nn_sum(y, NN_ALL, 0)));
    sgd_by_hand(e);
    give(e, nn_tanh(nn_mul(x, nn_detach(e->kept[1])))); /* of other weights now */
    give(e, a);
}
static void raw_integers(env *e) {
    nn_tensor *i = in(e, "i"), *h = nn_one_hot(i, 6, NN_F32), *k = nn_cast(nn_sum(h, NN_AXES(0, 2), 0), NN_I64), *two[2];
    two[0] = i; two[1] = nn_slice(i, 0, 3, NN_TO_END, -1);
    give(e, k); give(e, nn_concat(two, 2, 1)); give(e, nn_cast(nn_clone(nn_transpose(i, 0, 1)), NN_U8)); give(e, nn_cast(nn_same(h, nn_ones(e->c, NN_F32, shape_none())), NN_I32)); give(e, nn_positive(h));
}
static void two_set_up(env *e) {
    train_set_up(e);
    e->n = model_of(e, NN_F32);
    e->q = nn_adam(e->n, 0.01f);
}
static void two_models(env *e) { /* two models, two optimisers, each with a step; the first model reads the second's result */
    nn_tensor *x = in(e, "x"), *h = nn_forward(e->n, x), *y = nn_add(nn_forward(e->m, x), nn_detach(h)), *l = nn_cross_entropy(y, in(e, "y"));
    nn_backward(l);
    nn_step(e->o);
    nn_backward(give(e, nn_mean(nn_square(nn_sub(h, nn_detach(y))), NN_ALL, 0)));
    nn_clip_grad_norm(e->q, 0.5);
    nn_step(e->q);
    give(e, l);
}
static void two_steps(env *e) { /* two steps in one plan, by two optimisers of one model in turn */
    for (int k = 0; k < 3; k++) {
        nn_tensor *l = nn_cross_entropy(nn_forward(e->m, in(e, "x")), in(e, "y"));
        nn_backward(l);
        nn_step(e->o);
        give(e, l);
    }
    give(e, nn_predict(e->m, in(e, "x")));
}
static void both_set_up(env *e) { train_set_up(e); e->q = nn_adamw(e->m, 0.003f, 0.1f); }
static void two_optimisers(env *e) {
    for (int k = 0; k < 4; k++) {
        nn_tensor *l = nn_cross_entropy(nn_forward(e->m, in(e, "x")), in(e, "y"));
        nn_backward(l);
        if (k == 1) nn_backward(nn_mean(nn_square(nn_forward(e->m, in(e, "x"))), NN_ALL, 0)); /* adds */
        nn_clip_grad_norm(k & 1 ? e->q : e->o, 0.3);
        nn_step(k & 1 ? e->q : e->o);
        give(e, l);
    }
}
static void net_of_scopes(env *e) { /* a model without a net: names as they come */
    nn_scope   s = nn_enter(e->m, e->c, NN_TRAIN);
    nn_tensor *x = in(e, "x"), *a = nn_layer_linear(s, "left", x, 4), *b = nn_layer_linear(s, "right", nn_square(x), 4), *w = nn_param(nn_in(s, "deep"), "w", NN_SHAPE(4), nn_init_const(0.5));
    nn_backward(give(e, nn_mean(nn_square(nn_sub(nn_mul(nn_tanh(nn_add(a, b)), w), nn_detach(b))), NN_ALL, 0)));
    nn_step(e->o);
}
static void scopes_set_up(env *e) {
    declare(e, "x", NN_F32, NN_SHAPE(5, 6), -1, 1);
    e->m = nn_model_new(e->c, NULL, NULL);
    e->o = nn_adam(e->m, 0.01f);
}
static void raw_chains(env *e) { /* long chains, with rows along, values that stay, and one number for all */
    nn_tensor *x = in(e, "big"), *r = in(e, "row"), *y = x, *z = NULL;
    for (int k = 0; k < 9; k++) {
        y = nn_add(nn_mul(nn_tanh(y), r), k & 1 ? e->kept[2] : x);
        if (k == 3) z = y;
        if (k % 4 == 2) give(e, y);
    }
    y = nn_div(nn_sub(y, z), nn_affine(nn_sigmoid(nn_neg(x)), 2, 1));
    nn_backward(give(e, nn_mean(nn_mul(y, y), NN_ALL, 0)));
}
static void chains_set_up(env *e) {
    raw_set_up(e);
    declare(e, "big", NN_F32, NN_SHAPE(5, 100), -1, 1);
    declare(e, "row", NN_F32, NN_SHAPE(100), -1, 1);
}
static void large_set_up(env *e) { /* ops that really are cut for threads, and lanes */
    declare(e, "x", NN_F32, NN_SHAPE(150, 90), -1, 1);
    declare(e, "y", NN_I32, NN_SHAPE(150), 0, 10);
    kept_leaf(e, 0, NN_F32, NN_SHAPE(90, 120), -0.2, 0.2);
    kept_leaf(e, 1, NN_F32, NN_SHAPE(120, 10), -0.2, 0.2);
    kept_leaf(e, 2, NN_F32, NN_SHAPE(90, 120), -0.2, 0.2);
    kept_leaf(e, 3, NN_F32, NN_SHAPE(120), -0.2, 0.2);
}
static void raw_large(env *e) {
    nn_tensor *x = in(e, "x"), *a = nn_gelu(nn_add(nn_matmul(x, e->kept[0]), e->kept[3])), *b = nn_dropout(nn_relu(nn_matmul(nn_square(x), e->kept[2])), 0.2, 1), *l;
    l = nn_cross_entropy(nn_add(nn_matmul(a, e->kept[1]), nn_matmul(nn_add(b, e->kept[3]), e->kept[1])), in(e, "y"));
    nn_backward(give(e, l));
    sgd_by_hand(e);
    for (int k = 0; k < KEPT; k++) nn_zero_grad(e->kept[k]); /* this step's: none are left */
}

static const net_case raw_cases[] = {
    {"views", raw_set_up, raw_views, 0},
    {"views, f64", raw_set_up, raw_views, DOUBLE},
    {"gather and scatter", raw_set_up, raw_gather, 0},
    {"gather and scatter, f64", raw_set_up, raw_gather, DOUBLE},
    {"reductions", raw_set_up, raw_reductions, 0},
    {"constants", raw_set_up, raw_constants, 0},
    {"constants, f64", raw_set_up, raw_constants, DOUBLE},
    {"random numbers", raw_set_up, raw_random, 0},
    {"random numbers, f64", raw_set_up, raw_random, DOUBLE},
    {"gradients that stay", raw_set_up, raw_accumulate, STAY},
    {"two backwards", raw_set_up, raw_two_backwards, 0},
    {"inputs with gradients", raw_set_up, raw_leaf_inputs, 0},
    {"higher orders", raw_set_up, raw_higher, 0},
    {"higher orders, f64", raw_set_up, raw_higher, DOUBLE},
    {"backward from a tensor", raw_set_up, raw_backward_from, 0},
    {"backward that is recorded", raw_set_up, raw_backward_from, NO_STEP},
    {"retained gradients", raw_set_up, raw_retained, 0},
    {"detached", raw_set_up, raw_detached, 0},
    {"half precision", raw_set_up, raw_half, 0},
    {"leaves in half precision", half_leaf_set_up, raw_half_leaf, STAY},
    {"bytes", i8_set_up, raw_i8, 0},
    {"state", state_set_up, raw_state, 0},
    {"values changed in place", raw_set_up, raw_written, 0},
    {"nothing", raw_set_up, raw_empty, 0},
    {"single numbers", raw_set_up, raw_scalars, 0},
    {"results of all kinds", raw_set_up, raw_outputs, 0},
    {"the same twice", raw_set_up, raw_twice_same, 0},
    {"integers", raw_set_up, raw_integers, 0},
    {"the example of gradients", raw_set_up, raw_example, 0},
    {"two models", two_set_up, two_models, MLP_ACT | MOMENTUM},
    {"three steps", train_set_up, two_steps, RESIDUAL | ADAM | COSINE},
    {"three steps with dropout", train_set_up, two_steps, DROPPED | MOMENTUM},
    {"two optimisers", both_set_up, two_optimisers, NORMED | MOMENTUM | COSINE},
    {"a model without a net", scopes_set_up, net_of_scopes, 0},
    {"chains", chains_set_up, raw_chains, 0},
    {"large", large_set_up, raw_large, 0},
    {"constants changed in place", raw_set_up, raw_written_constants, 0},
    {"gradients that stay, of a weight used twice", raw_set_up, raw_higher, STAY},
    {"gradients that stay, of a number used often", chains_set_up, raw_chains, STAY}};

// ---- random programs: the lines follow from a seed alone, so that they are the same eagerly and recorded
enum { POOL = 40 };
typedef struct fuzz { env *e; nn_scope s; nn_dtype d; nn_tensor *x[POOL]; int n, params, blocks, depth; nn_tensor *retained[3]; int retains, fixed; } fuzz; /* fixed: no more parameters, a step was taken */

static void fuzz_add(fuzz *f, nn_tensor *x) {
    if (!x || nn_numel(x) > 6000) return;
    if (f->n < POOL) f->x[f->n++] = x;
    else f->x[chance(POOL)] = x;
}
static nn_tensor *fuzz_pick(fuzz *f) { return !f->n ? NULL : f->x[chance(2) ? chance(f->n) : f->n - 1 - chance(f->n < 5 ? f->n : 5)]; }
static nn_tensor *fuzz_of_rank(fuzz *f, int least, int most) {
    for (int k = 0; k < 12; k++) {
        nn_tensor *x = fuzz_pick(f);
        if (nn_ndim(x) >= least && nn_ndim(x) <= most) return x;
    }
    return f->x[0];
}
static int fuzz_fits(nn_tensor *x, nn_tensor *y) { /* do they broadcast? */
    for (int i = 1; i <= nn_ndim(x) && i <= nn_ndim(y); i++)
        if (nn_dim(x, -i) != nn_dim(y, -i) && nn_dim(x, -i) != 1 && nn_dim(y, -i) != 1) return 0;
    return 1;
}
static nn_tensor *fuzz_param(fuzz *f, nn_shape s) {
    char name[20];
    if (f->fixed) return nn_requires_grad(nn_normal(f->e->c, f->d, s, 0, 0.5));
    snprintf(name, sizeof name, "p%d", f->params++);
    return nn_param(f->s, name, s, nn_init_uniform(-0.8, 0.8));
}
static nn_tensor *fuzz_unary(nn_tensor *x, int k) {
    switch (k) {
    case 0: return nn_relu(x);
    case 1: return nn_sigmoid(x);
    case 2: return nn_tanh(x);
    case 3: return nn_gelu(x);
    case 4: return nn_gelu_tanh(x);
    case 5: return nn_sin(x);
    case 6: return nn_cos(x);
    case 7: return nn_square(nn_tanh(x));
    case 8: return nn_neg(x);
    case 9: return nn_abs(x);
    case 10: return nn_exp(nn_sin(x));
    case 11: return nn_sqrt(nn_affine(nn_abs(x), 1, 0.5));
    case 12: return nn_erf(x);
    case 13: return nn_log(nn_affine(nn_square(x), 1, 1));
    case 14: return nn_positive(x);
    case 15: return nn_affine(x, 0.5, 0.25);
    default: return softsign(nn_contiguous(x));
    }
}
static nn_tensor *fuzz_view(fuzz *f, nn_tensor *x) {
    int     nd = nn_ndim(x), a = nd ? chance(nd) : 0;
    int64_t n = nd ? nn_dim(x, a) : 0;
    switch (chance(nd ? 9 : 2)) {
    case 0: return nd < 5 ? nn_unsqueeze(x, 0) : x;
    case 1: return nd < 4 ? nn_expand(nn_unsqueeze(x, 0), nd == 0 ? NN_SHAPE(3) : nd == 1 ? NN_SHAPE(2, nn_dim(x, 0)) : nd == 2 ? NN_SHAPE(2, nn_dim(x, 0), nn_dim(x, 1)) : NN_SHAPE(1, nn_dim(x, 0), nn_dim(x, 1), nn_dim(x, 2))) : x;
    case 2: return nn_transpose(x, a, chance(nd));
    case 3: return nn_numel(x) ? nn_reshape(x, NN_SHAPE(-1)) : x;
    case 4: return n ? nn_reshape(x, a ? NN_SHAPE(-1, nn_dim(x, nd - 1)) : NN_SHAPE(1, -1)) : x;
    case 5: return nn_slice(x, a, n > 2 ? chance(2) : 0, NN_TO_END, 1 + chance(2));
    case 6: return nn_slice(x, a, NN_TO_END, -n - 1, -1 - chance(2));
    case 7: return n ? nn_select(x, a, chance((int)n)) : x;
    default: return n > 1 ? nn_slice(x, a, 1, n - chance(2), 1) : x;
    }
    (void)f;
}
static void fuzz_ops(fuzz *f, int count);
static fuzz *fuzz_now; /* for nn_checkpoint, which takes a net */
static nn_tensor *fuzz_segment(nn_scope s, nn_tensor *x) {
    fuzz *f = fuzz_now, inner = *f;
    nn_tensor *y;
    (void)s;
    inner.n = 0;
    inner.depth++;
    fuzz_add(&inner, x);
    if (chance(2)) fuzz_add(&inner, fuzz_pick(f));
    fuzz_ops(&inner, 2 + chance(5));
    f->params  = inner.params;
    f->blocks  = inner.blocks;
    fuzz_now = f;
    y = inner.x[inner.n - 1];
    return y;
}
static void fuzz_op(fuzz *f) {
    nn_ctx    *c = f->e->c;
    nn_tensor *x = fuzz_pick(f), *y, *list[3];
    int        nd = nn_ndim(x);
    int64_t    n = nn_numel(x);
    switch (chance(27)) {
    default: fuzz_add(f, fuzz_unary(x, chance(17))); break;
    case 1: case 2: case 3:
        for (int k = 0; k < 8; k++) {
            y = fuzz_pick(f);
            if (!fuzz_fits(x, y)) continue;
            switch (chance(6)) {
            case 0: y = nn_sub(x, y); break;
            case 1: case 2: y = nn_mul(x, y); break;
            case 3: y = nn_div(x, nn_affine(nn_abs(y), 1, 1)); break;
            default: y = nn_add(x, y); break;
            }
            fuzz_add(f, y);
            break;
        }
        break;
    case 4: /* products */
        x = fuzz_of_rank(f, 2, 3);
        if (nn_ndim(x) < 2) break;
        for (int k = 0; k < 6; k++) {
            y = fuzz_of_rank(f, 2, 3);
            if (nn_ndim(y) < 2 || nn_dim(y, -2) != nn_dim(x, -1) || (nn_ndim(y) == 3 && nn_ndim(x) == 3 && nn_dim(x, 0) != nn_dim(y, 0) && nn_dim(x, 0) != 1 && nn_dim(y, 0) != 1)) continue;
            fuzz_add(f, nn_matmul(x, y));
            return;
        }
        fuzz_add(f, nn_tanh(nn_matmul(x, nn_transpose(chance(2) ? x : nn_sin(x), -1, -2))));
        break;
    case 5: case 6: case 7: { /* layers */
        int64_t out = 1 + chance(9);
        if (!nd) break;
        y = fuzz_param(f, NN_SHAPE(out, nn_dim(x, -1)));
        if (chance(5) == 0 && nd == 2) { y = nn_matmul(x, nn_transpose(y, 0, 1)); if (chance(2)) y = nn_add(y, fuzz_param(f, NN_SHAPE(out))); }
        else y = nn_linear_act(x, y, chance(4) ? fuzz_param(f, NN_SHAPE(out)) : NULL, (nn_act)chance(5));
        if (chance(3) == 0) y = fuzz_unary(y, chance(6));
        if (chance(3) == 0 && y && nn_dim(y, -1) == nn_dim(x, -1)) y = nn_add(x, y);
        fuzz_add(f, y);
        break;
    }
    case 8: case 9: {
        nn_shape axes = NN_ALL;
        if (nd && chance(3)) axes = nd > 1 && chance(2) ? NN_AXES(0, -1) : NN_AXES(chance(nd));
        if (!n) break;
        fuzz_add(f, chance(3) == 0 ? nn_max(x, axes, chance(2)) : chance(2) ? nn_mean(x, axes, chance(2)) : nn_sum(x, axes, chance(2)));
        break;
    }
    case 10:
        if (nd) fuzz_add(f, chance(2) ? nn_softmax(x, chance(nd)) : nn_log_softmax(x, -1));
        break;
    case 11:
        if (!nd || !nn_dim(x, -1)) break;
        y = nn_layernorm(x, fuzz_param(f, NN_SHAPE(nn_dim(x, -1))), chance(2) ? fuzz_param(f, NN_SHAPE(nn_dim(x, -1))) : nn_full(c, f->d, NN_SHAPE(nn_dim(x, -1)), 0.1), 1e-4);
        if (chance(2)) y = nn_linear(y, fuzz_param(f, NN_SHAPE(4, nn_dim(x, -1))), NULL);
        fuzz_add(f, y);
        break;
    case 12: case 13: case 14: fuzz_add(f, fuzz_view(f, x)); break;
    case 15:
        if (!nd) break;
        list[0] = x; list[1] = chance(2) ? x : fuzz_unary(x, chance(16)); list[2] = nn_scale(x, 0.5);
        fuzz_add(f, nn_concat(list, 2 + chance(2), chance(nd)));
        break;
    case 16: fuzz_add(f, nn_dropout(x, chance(8) ? 0.1 * (1 + chance(8)) : chance(2) ? 0.0 : 1.0, 1)); break;
    case 17: { /* by an index */
        nn_tensor *i;
        x = fuzz_of_rank(f, 2, 2);
        if (nn_ndim(x) != 2 || nn_dim(x, 1) < 1) break;
        i = nn_expand(nn_reshape(nn_cast(nn_arange(c, NN_F64, 0, (double)nn_dim(x, 1), 0.5), NN_I32), NN_SHAPE(1, -1)), NN_SHAPE(nn_dim(x, 0), nn_dim(x, 1) * 2));
        y = nn_gather(x, 1, i);
        if (chance(2)) y = nn_scatter_add(nn_sin(y), 1, i, nn_dim(x, 1) + 1);
        fuzz_add(f, y);
        break;
    }
    case 18: /* through half precision */
        y = nn_cast(x, chance(2) ? NN_F16 : NN_BF16);
        if (chance(2)) y = fuzz_unary(y, chance(10));
        else if (chance(2) && nd == 2) y = nn_matmul(y, nn_transpose(y, 0, 1));
        fuzz_add(f, nn_cast(y, f->d));
        break;
    case 19: fuzz_add(f, chance(3) == 0 ? nn_detach(x) : chance(2) ? nn_clone(x) : nn_contiguous(x)); break;
    case 20:
        y = chance(2) ? nn_full(c, f->d, nn_shape_of(x), 0.7) : n ? nn_reshape(nn_arange(c, f->d, 0, (double)n, 1), nn_shape_of(x)) : x;
        if (chance(3) == 0) y = nn_scale(nn_sin(y), 2);
        fuzz_add(f, chance(2) ? y : nn_mul(x, nn_sin(y)));
        break;
    case 21:
        y = chance(2) ? nn_uniform(c, f->d, nn_shape_of(x), -1, 1) : nn_normal(c, f->d, nn_shape_of(x), 0, 1);
        fuzz_add(f, chance(2) ? nn_add(x, y) : y);
        break;
    case 22: { /* in place, on a value of its own */
        int was = nn_no_grad(c, 1);
        y = nn_clone(x);
        if (nd && nn_dim(x, 0) > 1) {
            if (chance(2)) nn_assign(nn_select(y, 0, 0), nn_select(chance(2) ? x : y, 0, 1));
            else nn_fill(nn_slice(y, 0, 1, NN_TO_END, 2), 0.3);
        } else nn_assign(y, nn_cos(x));
        nn_no_grad(c, was);
        fuzz_add(f, y);
        if (chance(2)) fuzz_add(f, nn_tanh(y));
        break;
    }
    case 23: /* state */
        y = f->e->watch[chance(2)];
        fuzz_add(f, chance(2) ? nn_clone(y) : nn_sin(y));
        for (int k = 0; k < 6; k++) {
            x = fuzz_pick(f);
            if (nn_ndim(x) != nn_ndim(y)) continue;
            if (memcmp(nn_shape_of(x).dim, nn_shape_of(y).dim, sizeof x->size[0] * (size_t)nn_ndim(x))) continue;
            nn_assign(y, nn_tanh(nn_detach(x)));
            break;
        }
        if (chance(3) == 0 && nn_dim(y, 0) > 1) nn_fill(nn_select(y, 0, 1), 0.2);
        break;
    case 24:
        if (f->depth) break;
        fuzz_now = f;
        fuzz_add(f, nn_checkpoint(fuzz_segment, f->s, x));
        break;
    case 25: { /* a numbered block */
        nn_scope was = f->s;
        fuzz     inner;
        if (f->depth) break;
        f->s  = nn_in_i(was, "h", f->blocks++);
        inner = *f;
        inner.n = 0; inner.depth++;
        fuzz_add(&inner, x);
        fuzz_ops(&inner, 2 + chance(6));
        f->params = inner.params;
        y = nn_leave(f->s, inner.x[inner.n - 1]);
        f->s = was;
        fuzz_add(f, y);
        break;
    }
    case 26:
        if (f->retains < 3 && !f->depth) {
            y = fuzz_unary(x, 2);
            if (y && y->needs_grad) f->retained[f->retains++] = nn_retain_grad(y);
            fuzz_add(f, y);
        }
        break;
    }
}
static void fuzz_ops(fuzz *f, int count) {
    for (int k = 0; k < count && !nn_error(f->e->c); k++) fuzz_op(f);
}
static void fuzz_set_up(env *e) {
    int64_t  a, b;
    nn_dtype d;
    chance_state = mixed((uint64_t)e->seed * 2 + 1);
    d = chance(6) ? NN_F32 : NN_F64;
    a = 1 + chance(7); b = 1 + chance(7);
    if (chance(6) == 0) b = 62 + chance(70);
    if (chance(30) == 0) a = 0;
    if (chance(12) == 0) a = 40;
    declare(e, "x", d, NN_SHAPE(a, b), -1, 1);
    declare(e, "v", d, NN_SHAPE(b), -1, 1);
    declare(e, "y", NN_I32, NN_SHAPE(a), 0, (double)b);
    e->m = nn_model_new(e->c, NULL, NULL);
    if (d == NN_F64) nn_model_dtype(e->m, NN_F64);
    watch(e, nn_keep(nn_uniform(e->c, d, NN_SHAPE(b), -1, 1)));
    watch(e, nn_keep(nn_uniform(e->c, d, NN_SHAPE(a, b), -1, 1)));
    switch (chance(5)) {
    case 0: e->o = nn_adam(e->m, 0.01f); break;
    case 1: e->o = nn_adamw(e->m, 0.02f, 0.1f); break;
    case 2: e->o = nn_sgd(e->m, 0.05f, 0.9f); break;
    default: e->o = nn_sgd(e->m, 0.05f, 0); break;
    }
}
static void fuzz_lines(env *e) {
    fuzz       f;
    nn_tensor *loss, *y;
    memset(&f, 0, sizeof f);
    chance_state = mixed((uint64_t)e->seed * 2);
    f.e = e;
    f.d = e->input[0].dtype;
    f.s = nn_enter(e->m, e->c, NN_TRAIN);
    fuzz_add(&f, in(e, "x"));
    if (chance(2)) fuzz_add(&f, in(e, "v"));
    if (chance(2)) fuzz_add(&f, fuzz_param(&f, NN_SHAPE(nn_dim(f.x[0], 1))));
    fuzz_add(&f, nn_add(in(e, "x"), fuzz_param(&f, NN_SHAPE(nn_dim(f.x[0], 1)))));
    for (int turn = 1 + (chance(5) == 0); turn > 0; turn--) {
        if (f.fixed) for (int k = 0; k < f.n; k++) f.x[k] = nn_detach(f.x[k]); /* their weights have changed */
        if (f.fixed) fuzz_add(&f, nn_model_tensor(e->m, e->c, "p0"));
        fuzz_ops(&f, 3 + chance(18));
        loss = NULL;
        for (int k = 0; k < 4; k++) {
            nn_tensor *x = k ? fuzz_pick(&f) : f.x[f.n - 1];
            if (!x || !nn_numel(x)) continue;
            if (nn_ndim(x) == 2 && nn_dim(x, 0) == nn_dim(in(e, "y"), 0) && nn_dim(x, 1) >= nn_dim(f.x[0], 1) && chance(2) && f.x[0] == in(e, "x")) y = nn_cross_entropy(x, in(e, "y"));
            else if (chance(6) == 0) y = nn_mse(x, nn_detach(nn_sin(x)));
            else y = nn_mean(chance(2) ? x : nn_tanh(x), NN_ALL, 0);
            loss = loss ? nn_add(loss, y) : y;
            if (chance(2)) break;
        }
        if (!loss || !loss->needs_grad) loss = nn_sum(nn_square(fuzz_param(&f, NN_SHAPE(3))), NN_ALL, 0);
        if (f.fixed) loss = nn_add(loss, nn_mean(nn_square(nn_model_tensor(e->m, e->c, "p0")), NN_ALL, 0));
        give(e, loss);
        if (chance(6) == 0) { /* gradients as values */
            nn_tensor *w[2], *dw[2] = {NULL, NULL};
            w[0] = nn_model_tensor(e->m, e->c, "p0"); w[1] = f.x[f.n - 1];
            if (nn_grad_of(loss, NULL, w, w[1]->needs_grad ? 2 : 1, dw, chance(2) ? NN_CREATE_GRAPH : 0)) {
                give(e, dw[0]); give(e, dw[1]);
                if (dw[0] && dw[0]->needs_grad) loss = nn_add(loss, nn_mean(nn_square(dw[0]), NN_ALL, 0));
            }
        }
        nn_backward(loss);
        for (int k = 0; k < f.retains; k++) give(e, nn_clone(nn_grad(f.retained[k])));
        f.retains = 0;
        f.fixed   = 1;
        if (chance(3) == 0) nn_clip_grad_norm(e->o, 0.5);
        if (chance(8)) nn_step(e->o);
        else if (chance(2)) give(e, nn_clone(nn_grad(nn_model_tensor(e->m, e->c, "p0"))));
    }
    for (int k = 0; k < 4; k++) give(e, fuzz_pick(&f));
}
static const net_case fuzz_case = {"random program", fuzz_set_up, fuzz_lines, 0};
static long fuzz_refused, fuzz_budgets;

static int fuzz_one(int seed) { /* fine? */
    way  w;
    int  before = failed, resets, steps = 3;
    chance_state = mixed((uint64_t)seed * 2 + 1000000007u);
    resets = chance(4) != 0;
    show_errors = 0;
    if (!reference(&fuzz_case, seed, resets, 0, steps)) { /* say, a saved value was changed: a recording must say so too */
        fuzz_refused++;
        w = way_of(1, 1); w.resets = resets;
        if (run_case(&fuzz_case, seed, &w, &got, steps)) { check(0, "what eagerly fails was planned", __LINE__); printf("   seed %d\n", seed); }
        show_errors = 1;
        return failed == before;
    }
    show_errors = 1;
    for (int turn = 0; turn < 4; turn++) {
        uint64_t keep = mixed((uint64_t)seed * 16 + (uint64_t)turn);
        w = way_of(1, 1 + (int)(keep % 3)); w.resets = resets;
        if (turn == 1) w.skip = "all";
        if (turn == 2) { w.skip = optional[(keep >> 8) % OPTIONAL]; w.checkpoint = (int)(keep >> 16 & 1); w.serial = (int)(keep >> 17 & 1); w.reset_first = (int)(keep >> 18 & 1); }
        if (turn == 3) { /* what fits the budget, if anything does */
            way probe = way_of(1, 1);
            probe.resets = resets;
            if (!run_case(&fuzz_case, seed, &probe, &got, 1)) break;
            w.budget = probe.stats.bound - probe.stats.bound / (size_t)(4 + keep % 60);
            if (!w.budget) break;
        }
        show_errors = !(w.budget || w.checkpoint);
        if (!compare(&fuzz_case, seed, &w, steps, 0)) {
            if (!show_errors && failed == before) fuzz_budgets++; /* it cannot be met, or there are no blocks: a message */
        }
        show_errors = 1;
    }
    if (failed != before) printf("   seed %d\n", seed);
    return failed == before;
}

// ---- what needs values while none are computed: a message, and the context goes on
static nn_tensor *plain_net(nn_scope s, nn_tensor *x) { return nn_layer_linear(s, "out", nn_tanh(nn_layer_linear(s, "in", x, 5)), 3); }
static nn_tensor *f_tanh(nn_ctx *c, nn_tensor **x, void *user) { (void)c; (void)user; return nn_tanh(x[0]); }
typedef struct world { nn_ctx *c, *f; nn_model *m; nn_optim *o; nn_data *d; nn_tensor *w, *one; nn_plan *ready; } world;

static const char *host_call(world *v, nn_tensor *y, nn_tensor *loss, int k) { /* the k-th; its name as messages have it, NULL: no more */
    float      room[64];
    char       text[100];
    nn_batch   b;
    nn_ctx    *both[2];
    nn_tensor *x = nn_cast(v->w, NN_F64);
    memset(room, 0, sizeof room);
    switch (k) {
    case 0: CHECK(nn_item(loss) != nn_item(loss)); return "item";
    case 1: CHECK(nn_get(y, NN_SHAPE(0, 0)) != 0); return "get";
    case 2: CHECK(!nn_set(y, NN_SHAPE(0, 0), 1)); return "set";
    case 3: CHECK(!nn_read(y, room, 12 * 4)); return "read";
    case 4: CHECK(!nn_write(y, room, 12 * 4)); return "write";
    case 5: CHECK(!nn_f32(y)); return "ptr";
    case 6: CHECK(!nn_ptr(v->w)); return "ptr"; /* a kept tensor: its value is another one when the plan runs */
    case 7: nn_print(y); return "";
    case 8: nn_format(y, text, sizeof text); return "";
    case 9: CHECK(!(nn_accuracy(y, nn_zeros(v->c, NN_I32, NN_SHAPE(4))) >= 0)); return "";
    case 10: nn_reset(v->c); return "reset";
    case 11: CHECK(nn_fit(v->m, v->d, NULL).epochs == 0); return "";
    case 12: nn_evaluate(v->m, v->d, NULL); return "";
    case 13: CHECK(!nn_data_next(v->d, &b)); return "data_next";
    case 14: CHECK(!nn_predict_f32(v->m, room, NN_SHAPE(2, 6), room, 6)); return "predict_f32";
    case 15: nn_gradcheck(f_tanh, &x, 1, 1, NULL); return "gradcheck";
    case 16: CHECK(!nn_keep(y)); return "";
    case 17: CHECK(!nn_plan_run(v->ready)); return "plan_run";
    case 18: CHECK(!nn_plan_begin(v->c, NULL)); return "a plan is already being recorded";
    case 19: CHECK(!nn_set(nn_model_tensor(v->m, v->c, "in.weight"), NN_SHAPE(0, 0), 1)); return "set";
    case 20: nn_backward(loss); both[0] = v->c; both[1] = v->f; CHECK(!nn_step_from(v->o, both, 2)); return "several contexts";
    case 21: CHECK(!nn_data_new(y, y)); return "";
    case 22: CHECK(nn_item(nn_slice(nn_model_tensor(v->m, v->c, "out.bias"), 0, 0, 1, 1)) != 0); return "item";
    case 23: CHECK(!nn_keep(v->w)); return "";
    case 24: CHECK(nn_item(nn_slice(v->one, 0, 0, 1, 1)) != 1); return "item";
    case 25: CHECK(!nn_share(v->f, y)); return "share";
    case 26: CHECK(!nn_keep(nn_zeros(v->c, NN_F32, NN_SHAPE(2)))); return "";
    default: return NULL;
    }
}
static void test_host(void) {
    static const nn_net nets[1] = {plain_net};
    for (int k = 0;; k++) {
        world       v;
        nn_plan    *p;
        nn_tensor  *y, *loss, *out;
        float       raw[24], ys[4] = {0, 1, 2, 0};
        const char *name;
        char        what[100];
        v.c = quiet_ctx(1, 3);
        v.f = nn_fork(v.c);
        v.m = nn_model_new(v.c, nets[0], NULL);
        v.o = nn_adam(v.m, 0.01f);
        for (int i = 0; i < 24; i++) raw[i] = (float)i / 24;
        v.w = nn_keep(nn_wrap(v.c, raw, NN_F32, NN_SHAPE(4, 6)));
        v.one = nn_keep(nn_ones(v.c, NN_F32, NN_SHAPE(1)));
        v.d = nn_data_new(v.w, nn_cast(nn_wrap(v.c, ys, NN_F32, NN_SHAPE(4)), NN_I32));
        nn_model_build(v.m, NN_F32, NN_SHAPE(4, 6));
        v.ready = nn_plan_begin(v.c, NULL);
        out = nn_exp(v.w);
        nn_plan_end(v.ready, &out, 1);
        CHECK(nn_error(v.c) == NN_OK);
        p    = nn_plan_begin(v.c, NULL);
        y    = nn_forward(v.m, v.w);
        loss = nn_cross_entropy(y, nn_zeros(v.c, NN_I32, NN_SHAPE(4)));
        name = host_call(&v, y, loss, k);
        if (name) {
            snprintf(what, sizeof what, "host call %d: %s", k, name);
            check(nn_error(v.c) == NN_ERR_PLAN && strstr(nn_error_text(v.c), name) != NULL, what, __LINE__);
            if (nn_error(v.c) != NN_ERR_PLAN) printf("   got %d: %s\n", (int)nn_error(v.c), nn_error_text(v.c));
            if (k & 1) { nn_error_clear(v.c); CHECK(nn_exp(y) != NULL || !nn_error(v.c)); nn_relu(NULL); nn_fail(v.c, NN_ERR_ARG, "mine"); } /* goes on, and fails again */
            out = loss;
            CHECK(!nn_plan_end(p, &out, 1) && out == NULL);
            CHECK(nn_error(v.c) != NN_OK);
            nn_error_clear(v.c);
            CHECK(!nn_plan_run(p) && failed_with(v.c, NN_ERR_PLAN, "was not made"));
        } else nn_error_clear(v.c);
        nn_plan_free(p);
        /* all as if nothing had been */
        CHECK(nn_get(nn_exp(v.w), NN_SHAPE(0, 0)) == 1);
        nn_backward(nn_mean(nn_forward(v.m, v.w), NN_ALL, 0));
        CHECK(nn_step(v.o) && nn_plan_run(v.ready));
        nn_reset(v.c);
        p   = nn_plan_begin(v.c, NULL);
        out = nn_forward(v.m, v.w);
        CHECK(nn_plan_end(p, &out, 1) && nn_plan_run(p) && nn_get(out, NN_SHAPE(0, 0)) == nn_get(nn_forward(v.m, v.w), NN_SHAPE(0, 0)));
        CHECK(nn_error(v.c) == NN_OK);
        nn_end(v.c);
        if (!name) break;
    }
}

// ---- inputs, and what ends under a plan
static void test_inputs(void) {
    nn_ctx    *c = quiet_ctx(1, 4);
    nn_tensor *x = nn_full(c, NN_F32, NN_SHAPE(2, 3), 2), *old = nn_full(c, NN_F32, NN_SHAPE(2, 3), 2), *in[2], *out[3], *k;
    nn_plan   *p = nn_plan_begin(c, NULL), *q;
    float      raw[6] = {1, 2, 3, 4, 5, 6};
    in[0]  = nn_plan_input(p, "x", x);
    CHECK(nn_dim(in[0], 1) == 3 && nn_plan_input(p, "x", x) == NULL && failed_with(c, NN_ERR_PLAN, "two inputs have one name"));
    CHECK(nn_plan_input(p, "a b", x) == NULL && failed_with(c, NN_ERR_NAME, "is no name"));
    CHECK(nn_plan_input(p, NULL, x) == NULL && failed_with(c, NN_ERR_NULL, "name"));
    CHECK(nn_plan_input(p, "y", NULL) == NULL && failed_with(c, NN_ERR_NULL, "x"));
    CHECK(nn_exp(old) == NULL && failed_with(c, NN_ERR_PLAN, "was made before nn_plan_begin")); /* of an earlier step */
    CHECK(nn_add(in[0], old) == NULL && failed_with(c, NN_ERR_PLAN, "operand 2"));
    out[0] = nn_transpose(in[0], 0, 1); /* views move along */
    out[1] = nn_sum(nn_slice(in[0], 1, 1, 3, 1), NN_AXES(1), 0);
    out[2] = in[0];
    CHECK(nn_plan_end(p, out, 3) && nn_error(c) == NN_OK);
    CHECK(!nn_plan_end(p, out, 3) && failed_with(c, NN_ERR_PLAN, "made already"));
    CHECK(nn_plan_input(p, "z", x) == NULL && failed_with(c, NN_ERR_PLAN, "between nn_plan_begin and nn_plan_end"));
    CHECK(nn_plan_run(p) && nn_get(out[1], NN_SHAPE(0)) == 4 && nn_get(out[0], NN_SHAPE(2, 1)) == 2);
    CHECK(nn_plan_bind_data(p, "x", raw) && nn_plan_run(p) && nn_get(out[1], NN_SHAPE(1)) == 11 && nn_get(out[0], NN_SHAPE(2, 1)) == 6 && nn_get(out[2], NN_SHAPE(1, 0)) == 4);
    raw[5] = 60;
    CHECK(nn_plan_run(p) && nn_get(out[1], NN_SHAPE(1)) == 65); /* the array itself */
    x = nn_transpose(nn_reshape(nn_arange(c, NN_F32, 0, 6, 1), NN_SHAPE(3, 2)), 0, 1);
    CHECK(nn_plan_bind(p, "x", x) && nn_plan_run(p) && nn_get(out[1], NN_SHAPE(0)) == 6 && nn_get(out[0], NN_SHAPE(1, 1)) == 3);
    nn_set(x, NN_SHAPE(0, 2), 10);
    CHECK(nn_plan_run(p) && nn_get(out[1], NN_SHAPE(0)) == 12); /* strided: copied anew for each run */
    x = nn_expand(nn_full(c, NN_F32, NN_SHAPE(1, 3), 3), NN_SHAPE(2, 3));
    CHECK(nn_plan_bind(p, "x", x) && nn_plan_run(p) && nn_get(out[1], NN_SHAPE(1)) == 6);
    CHECK(!nn_plan_bind(p, "x", nn_ones(c, NN_F32, NN_SHAPE(3, 2))) && failed_with(c, NN_ERR_PLAN, "input 'x' is f32 [2,3], the tensor is f32 [3,2]"));
    CHECK(!nn_plan_bind(p, "x", nn_ones(c, NN_F64, NN_SHAPE(2, 3))) && failed_with(c, NN_ERR_PLAN, "f64"));
    CHECK(!nn_plan_bind(p, "z", x) && failed_with(c, NN_ERR_PLAN, "no input 'z'"));
    CHECK(!nn_plan_bind_data(p, "z", raw) && failed_with(c, NN_ERR_PLAN, "no input 'z'"));
    CHECK(!nn_plan_bind(p, "x", NULL) && failed_with(c, NN_ERR_NULL, "x"));
    CHECK(!nn_plan_bind_data(p, "x", NULL) && failed_with(c, NN_ERR_NULL, "data"));
    CHECK(nn_plan_run(p) && nn_get(out[1], NN_SHAPE(1)) == 6); /* as bound before */
    nn_reset(c);
    CHECK(!nn_plan_run(p) && failed_with(c, NN_ERR_PLAN, "input 'x' is bound to a tensor that was dropped"));
    k = nn_keep(nn_full(c, NN_F32, NN_SHAPE(2, 3), 7));
    CHECK(nn_plan_bind(p, "x", k));
    nn_reset(c);
    CHECK(nn_plan_run(p) && nn_get(out[1], NN_SHAPE(1)) == 14);
    nn_drop(k);
    CHECK(!nn_plan_run(p) && failed_with(c, NN_ERR_PLAN, "input 'x'"));
    CHECK(nn_plan_bind_data(p, "x", raw) && nn_plan_run(p));
    { /* a tensor of another context */
        nn_ctx *f = nn_fork(c);
        CHECK(!nn_plan_bind(p, "x", nn_ones(f, NN_F32, NN_SHAPE(2, 3))) && failed_with(c, NN_ERR_CONTEXT, "another context"));
        q = nn_plan_begin(f, NULL);
        CHECK(nn_plan_input(q, "x", nn_ones(c, NN_F32, NN_SHAPE(2, 3))) == NULL && failed_with(f, NN_ERR_CONTEXT, "another context"));
        nn_plan_free(q); /* while it is recorded */
        CHECK(nn_item(nn_sum(nn_ones(f, NN_F32, NN_SHAPE(3)), NN_ALL, 0)) == 3);
        nn_end(f);
    }
    /* a kept tensor ends */
    k = nn_keep(nn_full(c, NN_F32, NN_SHAPE(3), 7));
    q = nn_plan_begin(c, NULL);
    out[0] = nn_exp(nn_select(nn_reshape(k, NN_SHAPE(3, 1)), 1, 0));
    CHECK(nn_plan_end(q, out, 1) && nn_plan_run(q));
    nn_drop(k);
    CHECK(!nn_plan_run(q) && failed_with(c, NN_ERR_PLAN, "'kept', which was freed"));
    CHECK(nn_plan_run(p));
    nn_plan_free(q);
    /* state ends */
    {
        nn_model *m = nn_model_new(c, plain_net, NULL);
        nn_tensor *s;
        nn_model_build(m, NN_F32, NN_SHAPE(2, 3));
        s = nn_state(nn_enter(m, c, NN_TRAIN), "count", NN_F32, NN_SHAPE(1));
        q = nn_plan_begin(c, NULL);
        nn_assign(s, nn_affine(s, 1, 1));
        CHECK(nn_plan_end(q, NULL, 0) && nn_plan_run(q) && nn_plan_run(q) && nn_item(s) == 2);
        nn_state_clear(c);
        CHECK(!nn_plan_run(q) && failed_with(c, NN_ERR_PLAN, "which was freed"));
        nn_plan_free(q);
    }
    CHECK(!nn_plan_run(NULL) && !nn_plan_bind(NULL, "x", NULL) && !nn_plan_end(NULL, NULL, 0) && nn_plan_begin(NULL, NULL) == NULL && nn_plan_stats_of(NULL).nodes == 0);
    nn_plan_free(NULL);
    CHECK(nn_plan_input(NULL, "x", NULL) == NULL && nn_checkpoint(NULL, nn_enter(NULL, NULL, NN_TRAIN), NULL) == NULL);
    CHECK(nn_error(c) == NN_OK);
    nn_end(c);
}

static void test_ends(void) { /* model, optimiser, data, plan, context, in many orders */
    for (int order = 0; order < 7; order++) {
        nn_ctx    *c = quiet_ctx(2, 4), *f = order >= 5 ? nn_fork(c) : c;
        nn_model  *m = nn_model_new(c, plain_net, NULL);
        nn_optim  *o = nn_adam(m, 0.01f);
        float      xs[24];
        int32_t    ys[4] = {0, 1, 2, 0};
        nn_data   *d;
        nn_plan   *p, *q;
        nn_tensor *y = NULL, *z;
        nn_batch   b;
        for (int i = 0; i < 24; i++) xs[i] = (float)(i % 7) / 7;
        d = nn_data_new(nn_wrap(c, xs, NN_F32, NN_SHAPE(4, 6)), nn_wrap(c, ys, NN_I32, NN_SHAPE(4)));
        nn_data_batch(d, order == 4 ? 3 : 2, order != 4); /* three and one, or two and two */
        nn_model_build(m, NN_F32, NN_SHAPE(2, 6));
        nn_data_next(d, &b);
        p = nn_plan_begin(f, NULL);
        if (f == c) {
            nn_backward(y = nn_cross_entropy(nn_forward(m, b.x), b.y)); /* the batch itself: the plan sees the next one as well */
            nn_step(o);
        } else nn_backward(y = nn_mean(nn_forward(m, nn_ones(f, NN_F32, NN_SHAPE(2, 6))), NN_ALL, 0));
        CHECK(nn_plan_end(p, &y, 1));
        q = nn_plan_begin(f, NULL);
        z = nn_predict(m, nn_ones(f, NN_F32, NN_SHAPE(2, 6)));
        CHECK(nn_plan_end(q, &z, 1) && nn_plan_run(q) && nn_plan_run(p));
        nn_reset(f);
        if (f == c && order != 4) nn_data_next(d, &b);
        CHECK(nn_plan_run(p) && nn_error(f) == NN_OK);
        switch (order) {
        case 0:
            nn_plan_free(p); nn_plan_free(q); nn_model_free(m); nn_optim_free(o); nn_data_free(d);
            break;
        case 1:
            nn_model_free(m);
            CHECK(!nn_plan_run(p) && failed_with(c, NN_ERR_PLAN, "which was freed"));
            CHECK(!nn_plan_run(q) && failed_with(c, NN_ERR_PLAN, "', which was freed"));
            nn_plan_free(p); nn_plan_free(q);
            break;
        case 2:
            nn_optim_free(o);
            CHECK(!nn_plan_run(p) && failed_with(c, NN_ERR_PLAN, "'the optimiser', which was freed"));
            CHECK(nn_plan_run(q));
            break;
        case 3:
            nn_data_free(d);
            CHECK(!nn_plan_run(p) && failed_with(c, NN_ERR_PLAN, "which was freed"));
            nn_plan_free(q);
            break;
        case 4:
            nn_plan_free(q);
            CHECK(nn_plan_run(p));
            nn_data_next(d, &b); /* of another shape */
            CHECK(!nn_plan_run(p) && failed_with(c, NN_ERR_PLAN, "[3,6], which is now [1,6]"));
            break;
        case 5:
            nn_model_free(m);
            CHECK(!nn_plan_run(p) && failed_with(f, NN_ERR_PLAN, "which was freed"));
            nn_plan_free(p);
            break;
        case 6: nn_end(f); break;
        }
        CHECK(nn_error(c) == NN_OK);
        nn_end(c);
    }
    { /* the context ends while a plan is recorded */
        nn_ctx    *c = quiet_ctx(1, 4);
        nn_tensor *w = nn_requires_grad(nn_keep(nn_ones(c, NN_F32, NN_SHAPE(3))));
        nn_plan   *p;
        nn_backward(nn_sum(nn_square(w), NN_ALL, 0));
        p = nn_plan_begin(c, NULL);
        nn_backward(nn_sum(nn_exp(w), NN_ALL, 0));
        CHECK(p != NULL && nn_error(c) == NN_OK);
        nn_end(c);
    }
}

// ---- several plans, gradients from outside, a fork's gradients, failed runs
static void test_several(void) {
    nn_ctx    *c = quiet_ctx(1, 8), *f = nn_fork(c);
    nn_model  *m = nn_model_new(c, plain_net, NULL);
    nn_optim  *o = nn_sgd(m, 0.1f, 0), *o2;
    nn_tensor *x = nn_keep(nn_uniform(c, NN_F32, NN_SHAPE(4, 6), -1, 1)), *y, *a[3], *xf;
    nn_plan   *p[3];
    nn_model_build(m, NN_F32, NN_SHAPE(4, 6));
    for (int k = 0; k < 3; k++) {
        p[k] = nn_plan_begin(c, NULL);
        a[k] = nn_forward(m, nn_scale(x, k + 1));
        if (k == 1) { nn_backward(nn_mean(a[k], NN_ALL, 0)); nn_step(o); }
        CHECK(nn_plan_end(p[k], &a[k], 1));
    }
    for (int turn = 0; turn < 3; turn++) {
        y = nn_forward(m, nn_scale(x, 1));
        CHECK(nn_plan_run(p[0]) && !memcmp(nn_f32(y), nn_f32(a[0]), 48));
        y = nn_forward(m, nn_scale(x, 3));
        CHECK(nn_plan_run(p[2]) && !memcmp(nn_f32(y), nn_f32(a[2]), 48) && nn_plan_run(p[1]));
        nn_reset(c);
    }
    nn_plan_free(p[1]);
    CHECK(nn_plan_run(p[2]) && nn_plan_run(p[0]));
    nn_plan_free(p[0]);
    CHECK(nn_plan_run(p[2]) && nn_plan_stats_of(p[2]).runs == 5);
    /* a fork's plan leaves gradients, which a step of the first context takes */
    xf = nn_share(f, x);
    o2 = nn_sgd(m, 0.1f, 0);
    for (int turn = 0; turn < 2; turn++) {
        float want[30];
        nn_tensor *w = nn_model_tensor(m, c, "in.weight");
        if (turn == 0) {
            p[0] = nn_plan_begin(f, NULL);
            nn_backward(nn_mean(nn_forward(m, nn_plan_input(p[0], "x", xf)), NN_ALL, 0));
            CHECK(nn_plan_end(p[0], NULL, 0));
        } else CHECK(nn_plan_bind(p[0], "x", nn_share(f, x)));
        nn_backward(nn_mean(nn_forward(m, x), NN_ALL, 0));
        nn_read(nn_grad(w), want, sizeof want);
        CHECK(nn_plan_run(p[0]) && !memcmp(nn_f32(nn_grad(nn_model_tensor(m, f, "in.weight"))), want, sizeof want));
        CHECK(nn_step_from(o2, &f, 1) && nn_grad(nn_model_tensor(m, f, "in.weight")) == NULL);
        CHECK(nn_step(o));
        nn_reset(f);
    }
    CHECK(nn_error(c) == NN_OK && nn_error(f) == NN_OK);
    { /* a run that fails, and those after it */
        int32_t  ys[4] = {0, 1, 2, 0};
        float    before[30];
        nn_plan_stats s;
        p[0] = nn_plan_begin(c, NULL);
        y = nn_cross_entropy(nn_forward(m, x), nn_wrap(c, ys, NN_I32, NN_SHAPE(4)));
        nn_backward(y);
        nn_step(o);
        CHECK(nn_plan_end(p[0], &y, 1) && nn_plan_run(p[0]));
        ys[2] = 7;
        nn_read(nn_model_tensor(m, c, "in.weight"), before, sizeof before);
        CHECK(!nn_plan_run(p[0]) && failed_with(c, NN_ERR_RANGE, "label 7"));
        CHECK(!memcmp(nn_f32(nn_model_tensor(m, c, "in.weight")), before, sizeof before));
        ys[2] = 1;
        CHECK(nn_plan_run(p[0]) && nn_error(c) == NN_OK);
        s = nn_plan_stats_of(p[0]);
        CHECK(s.runs == 2 && s.nodes > 0 && s.nodes <= s.recorded && s.flops > 0 && s.held >= s.peak);
    }
    nn_end(c);
}

// ---- packed weights: with exact the bits, without 1e-6
static void test_packed(void) {
    static const net_case t[] = {{"packed weights", train_set_up, train_lines, MLP_ACT | EVAL | PACK}, {"packed weights, one layer", train_set_up, train_lines, SMALL | EVAL | PACK},
                                 {"packed weights, normed", train_set_up, train_lines, NORMED | EVAL | PACK}, {"packed weights and training", train_set_up, train_lines, RESIDUAL | ADAM | PACK}};
    for (int k = 0; k < 4; k++)
        for (int exact = 0; exact < 2; exact++) {
            way w = way_of(1, 1);
            if (!reference(&t[k], 0, 1, 0, 5)) continue;
            w.exact = exact;
            compare(&t[k], 0, &w, 5, exact ? 0 : 1e-6);
        }
}

// ---- memory: near the bound, and less with recomputation, for the same bits
enum { DEEP_LAYERS = 12 };
static nn_tensor *deep_net(nn_scope s, nn_tensor *x) {
    int kind = nn_user(s) ? *(const int *)nn_user(s) : 0;
    x = nn_layer_linear(s, "in", x, 32);
    for (int i = 0; i < DEEP_LAYERS; i++)
        if (kind & 2) x = nn_checkpoint(kind & 1 ? block_dropout : block, nn_in_i(s, "h", i), x);
        else x = (kind & 1 ? block_dropout : block)(nn_in_i(s, "h", i), x);
    return nn_layer_linear(s, "out", x, 3);
}
static void deep_set_up(env *e) {
    static const int kinds[4] = {0, 1, 2, 3};
    declare(e, "x", NN_F32, NN_SHAPE(64, 16), -1, 1);
    declare(e, "y", NN_I32, NN_SHAPE(64), 0, 3);
    e->m = nn_model_new(e->c, deep_net, (void *)(uintptr_t)&kinds[e->kind & 3]);
    if (e->kind & 4) e->o = nn_adamw(e->m, 0.01f, 0.01f);
}
static void perceptron_set_up(env *e) {
    declare(e, "x", NN_F32, NN_SHAPE(128, 100), -1, 1);
    declare(e, "y", NN_I32, NN_SHAPE(128), 0, 3);
    e->m = model_of(e, NN_F32);
    e->o = optim_of(e, e->m);
}
static void test_memory(int report) {
    static const net_case t[4] = {{"12 blocks", deep_set_up, train_lines, 0 | 4}, {"12 blocks, dropout", deep_set_up, train_lines, 1 | 4}, {"12 checkpoints", deep_set_up, train_lines, 2 | 4}, {"12 checkpoints, dropout, gradients left", deep_set_up, train_lines, 3 | NO_STEP}};
    for (int k = 0; k < 4; k++) {
        way    w = way_of(1, 1);
        size_t plain, least;
        if (!reference(&t[k], 0, 1, 0, 3)) continue;
        compare(&t[k], 0, &w, 3, 0);
        if (report) printf("%s: naive %lu, bound %lu, peak %lu\n", t[k].name, (unsigned long)w.stats.naive, (unsigned long)w.stats.bound, (unsigned long)w.stats.peak);
        CHECK(w.stats.bound > 0 && w.stats.bound <= w.stats.peak && (double)w.stats.peak <= 1.05 * (double)w.stats.bound && w.stats.peak <= w.stats.naive);
        plain = w.stats.peak;
        if (k < 2) {
            for (int every = 1; every <= 4; every++) { /* only each every-th block keeps its output */
                size_t was = w.stats.peak;
                w = way_of(1, 1 + every % 3); w.checkpoint = every;
                compare(&t[k], 0, &w, 3, 0);
                if (report) printf("   checkpoint %d: bound %lu, peak %lu, %.1f %% again\n", every, (unsigned long)w.stats.bound, (unsigned long)w.stats.peak, 100 * w.stats.again / (w.stats.flops - w.stats.again));
                CHECK(w.stats.peak < plain && w.stats.again > 0 && was > 0);
            }
            w = way_of(1, 1); w.checkpoint = 2; w.skip = "all";
            compare(&t[k], 0, &w, 3, 0);
        } else CHECK(w.stats.again > 0);
        least = plain;
        for (int part = 9; part > 0; part--) { /* budgets, until none is met */
            char number[40];
            way  u = way_of(1, 1);
            u.budget = plain * (size_t)part / 10;
            show_errors = 0;
            if (!compare(&t[k], 0, &u, 3, 0)) break;
            CHECK(u.stats.peak <= u.budget && u.stats.peak < least && (k >= 2 || u.stats.again > 0));
            if (report) printf("   budget %lu: bound %lu, peak %lu, %.1f %% again\n", (unsigned long)u.budget, (unsigned long)u.stats.bound, (unsigned long)u.stats.peak, 100 * u.stats.again / (u.stats.flops - u.stats.again));
            least = u.stats.peak;
            (void)number;
        }
        show_errors = 1;
        CHECK(k >= 2 || least < plain);
    }
    { /* a multi-layer perceptron */
        static const net_case mlp = {"memory of a perceptron", perceptron_set_up, train_lines, MLP_ACT | ADAM};
        way w = way_of(1, 1);
        if (reference(&mlp, 0, 1, 0, 3)) compare(&mlp, 0, &w, 3, 0);
        if (report) printf("mlp: naive %lu, bound %lu, peak %lu\n", (unsigned long)w.stats.naive, (unsigned long)w.stats.bound, (unsigned long)w.stats.peak);
        CHECK(w.stats.bound <= w.stats.peak && (double)w.stats.peak <= 1.05 * (double)w.stats.bound);
    }
    { /* what cannot be: the message says the least; with that, it can */
        env  e;
        way  w = way_of(1, 1);
        nn_plan_options o = nn_plan_defaults();
        for (int turn = 0; turn < 2; turn++) {
            nn_plan *p;
            env_begin(&e, &t[0], 0, &w);
            refresh(&e);
            for (int k = 0; k < e.inputs; k++) e.input[k].x = nn_from(e.c, e.input[k].array, e.input[k].dtype, e.input[k].shape);
            o.budget = turn ? o.budget : 1000;
            p = e.plan = nn_plan_begin(e.c, &o);
            train_lines(&e);
            if (!turn) {
                const char *says;
                CHECK(!nn_plan_end(p, e.out, e.outs) && nn_error(e.c) == NN_ERR_PLAN && strstr(nn_error_text(e.c), "a budget of 1000 bytes cannot be met"));
                says = strstr(nn_error_text(e.c), "found is ");
                o.budget = says ? (size_t)strtoul(says + 9, NULL, 10) : 0;
                CHECK(o.budget > 1000);
                nn_error_clear(e.c);
                CHECK(nn_item(nn_sum(nn_ones(e.c, NN_F32, NN_SHAPE(3)), NN_ALL, 0)) == 3);
            } else {
                CHECK(nn_plan_end(p, e.out, e.outs) && nn_plan_run(p) && nn_plan_stats_of(p).peak <= o.budget);
                if (nn_error(e.c)) printf("   %s\n", nn_error_text(e.c));
            }
            env_end(&e);
        }
        o = nn_plan_defaults();
        o.checkpoint = 1;
        {
            nn_ctx    *c = quiet_ctx(1, 2);
            nn_tensor *k = nn_requires_grad(nn_keep(nn_ones(c, NN_F32, NN_SHAPE(3))));
            nn_plan   *p = nn_plan_begin(c, &o);
            nn_backward(nn_sum(nn_exp(k), NN_ALL, 0));
            CHECK(!nn_plan_end(p, NULL, 0) && failed_with(c, NN_ERR_PLAN, "no numbered blocks to checkpoint"));
            nn_end(c);
        }
    }
}

// ---- every allocation fails once: no crash, nothing lost, a clear error
typedef struct heap { long calls, fail_at, blocks, refused; int go_on; size_t bytes; int bad; } heap;
typedef struct head { size_t size, mark; } head;
static void *heap_alloc(void *user, size_t size) {
    heap *h = (heap *)user;
    head *p;
    h->calls++;
    if (h->fail_at && (h->calls == h->fail_at || (h->go_on && h->calls > h->fail_at))) return h->refused++, (void *)NULL;
    p = (head *)malloc(sizeof *p + size);
    if (!p) return NULL;
    p->size = size; p->mark = 0x6d61726b;
    memset(p + 1, 0xa5, size);
    h->blocks++;
    h->bytes += size;
    return p + 1;
}
static void heap_release(void *user, void *block, size_t size) {
    heap *h = (heap *)user;
    head *p = (head *)block - 1;
    if (p->mark != 0x6d61726b || p->size != size) { h->bad++; return; }
    h->blocks--;
    h->bytes -= size;
    memset(p, 0x5a, sizeof *p + size);
    free(p);
}
static int failing_run(heap *h, int which, int threads, int *wrong) { /* whether a lack of memory was reported */
    static const int kinds[2] = {RESIDUAL, DROPPED};
    static float     xs[6 * 4];
    int32_t          ys[4] = {0, 1, 2, 0};
    nn_config        g = nn_config_defaults();
    nn_ctx          *c;
    nn_model        *m;
    nn_optim        *o;
    nn_plan_options  options = nn_plan_defaults();
    nn_plan         *p, *q;
    nn_tensor       *y = NULL, *z = NULL, *x, *k;
    char             text[200];
    int              lack = 0;
    g.quiet = 1; g.threads = threads; g.alloc = heap_alloc; g.release = heap_release; g.alloc_user = h;
    c = nn_begin(&g);
    if (!c) return 1;
    m = nn_model_new(c, any_net, (void *)(uintptr_t)&kinds[which & 1]);
    o = which & 1 ? nn_adam(m, 0.01f) : nn_sgd(m, 0.1f, 0.9f);
    k = nn_requires_grad(nn_keep(nn_ones(c, NN_F32, NN_SHAPE(4, 6))));
    x = nn_wrap(c, xs, NN_F32, NN_SHAPE(4, 6));
    if (!(which & 2)) nn_model_build(m, NN_F32, NN_SHAPE(4, 6));
    options.checkpoint = which == 0;
    options.budget     = which == 2 ? 6000 : 0;
    options.trace      = 1;
    p = nn_plan_begin(c, &options);
    {
        nn_tensor *a = nn_plan_input(p, "x", x), *dk = NULL;
        y = nn_forward(m, nn_mul(nn_add(a, nn_full(c, NN_F32, NN_SHAPE(6), 0.5)), nn_detach(k)));
        y = nn_cross_entropy(y, nn_wrap(c, ys, NN_I32, NN_SHAPE(4)));
        nn_backward(y);
        nn_clip_grad_norm(o, 1.0);
        nn_step(o);
        nn_grad_of(nn_sum(nn_exp(k), NN_ALL, 0), NULL, &k, 1, &dk, 0);
        nn_backward(nn_sum(nn_mul(nn_transpose(k, 0, 1), nn_dropout(nn_transpose(k, 0, 1), 0.5, 1)), NN_ALL, 0)); /* stays in k */
    }
    nn_plan_end(p, &y, 1);
    if (nn_error(c)) { /* a failed recording leaves the context usable */
        lack = nn_error(c) == NN_ERR_MEMORY;
        if (!lack && !h->refused) { *wrong = 1; printf("   %s\n", nn_error_text(c)); }
        if (!h->go_on) nn_error_clear(c);
    }
    for (int i = 0; i < 3; i++) {
        nn_plan_run(p);
        nn_reset(c);
        nn_plan_bind(p, "x", i & 1 ? nn_transpose(nn_zeros(c, NN_F32, NN_SHAPE(6, 4)), 0, 1) : nn_wrap(c, xs, NN_F32, NN_SHAPE(4, 6)));
    }
    if (p && nn_plan_stats_of(p).nodes) nn_plan_passes_text(p, text, sizeof text);
    q = nn_plan_begin(c, NULL); /* and one that ends with the context, or in the middle */
    z = nn_predict(m, k);
    if (!(which & 1)) { nn_plan_end(q, &z, 1); nn_plan_run(q); }
    nn_plan_free(p);
    lack |= nn_error(c) == NN_ERR_MEMORY;
    if (nn_error(c) && nn_error(c) != NN_ERR_MEMORY && !lack) { *wrong = 1; printf("   %s\n", nn_error_text(c)); }
    nn_end(c);
    return lack;
}
static void test_failing(void) {
    int silent = 0, leaks = 0, bad = 0, others = 0;
    for (int round = 0; round < 8; round++)
        for (long k = 1; k < 20000; k += round & 4 ? 3 : 1) {
            heap h;
            int  lack, wrong = 0;
            memset(&h, 0, sizeof h);
            h.fail_at = k;
            h.go_on   = round & 4;
            lack = failing_run(&h, round & 3, round == 1 ? 2 : 1, &wrong);
            silent += h.refused && !lack;
            if (h.blocks || h.bytes) { if (leaks++ < 4) printf("   round %d, allocation %ld failed: %lu bytes in %ld blocks are left\n", round, k, (unsigned long)h.bytes, h.blocks); }
            if (h.bad) { if (bad++ < 4) printf("   round %d, allocation %ld failed: %d releases do not fit\n", round, k, h.bad); }
            if (wrong && others++ < 4) printf("   round %d, allocation %ld failed: another error\n", round, k);
            if (!h.refused) { CHECK(!lack && k > 20); break; }
        }
    CHECK(silent == 0);
    CHECK(leaks == 0);
    CHECK(bad == 0);
    CHECK(others == 0);
}

// ---- reports, profiles, shape-only contexts, nn_fit
static void test_reports(void) {
    nn_ctx    *c = quiet_ctx(1, 3), *f;
    nn_model  *m = nn_model_new(c, plain_net, NULL);
    nn_optim  *o = nn_sgd(m, 0.1f, 0);
    nn_tensor *x = nn_keep(nn_ones(c, NN_F32, NN_SHAPE(4, 6))), *y, *z;
    nn_plan   *p, *q;
    static char text[20000];
    int        n;
    nn_model_build(m, NN_F32, NN_SHAPE(4, 6));
    p = nn_plan_begin(c, NULL);
    CHECK(nn_plan_report_text(p, text, sizeof text) == -1 && failed_with(c, NN_ERR_PLAN, "was not made"));
    CHECK(nn_plan_passes_text(p, text, sizeof text) == -1 && failed_with(c, NN_ERR_PLAN, "was not made"));
    y = nn_mean(nn_square(nn_forward(m, x)), NN_ALL, 0);
    nn_backward(y);
    nn_step(o);
    CHECK(nn_plan_end(p, &y, 1) && nn_plan_run(p));
    n = nn_plan_report_text(p, text, sizeof text);
    CHECK(n > 100 && (size_t)n == strlen(text) && strstr(text, "nodes recorded"));
    CHECK(nn_plan_report_text(p, text, 10) > 10 && strlen(text) == 9);
    n = nn_plan_passes_text(p, text, sizeof text);
    CHECK(n > 100 && (size_t)n == strlen(text) && strstr(text, "dead nodes") && strstr(text, "in place"));
    CHECK(nn_plan_passes_text(p, NULL, 0) == n);
    nn_profile(c, 1);
    CHECK(nn_plan_run(p) && nn_plan_run(p));
    nn_profile(c, 0);
    CHECK(nn_profile_text(c, text, sizeof text) > 0 && nn_plan_report_text(p, text, sizeof text) > 0 && strstr(text, "mean of 2 runs"));
    /* shapes only: memory and cost without computing */
    f = nn_fork_shapes(c);
    q = nn_plan_begin(f, NULL);
    z = nn_mean(nn_square(nn_forward(m, nn_ones(f, NN_F32, NN_SHAPE(1000, 6)))), NN_ALL, 0);
    nn_backward(z);
    CHECK(nn_plan_end(q, &z, 1) && nn_plan_stats_of(q).flops > 0 && nn_plan_stats_of(q).peak > 10000);
    CHECK(!nn_plan_run(q) && failed_with(f, NN_ERR_ARG, "shape-only") );
    CHECK(nn_error(c) == NN_OK && nn_error(f) == NN_OK);
    nn_end(c);
}

// ---- nn_predict as a plan: the same bits, new weights seen, off again, and the model freed with its plans
static void test_predict(void) {
    nn_ctx   *c = quiet_ctx(2, 4);
    nn_model *m = nn_model_new(c, plain_net, NULL);
    float     want[12], got[12];
    CHECK(!nn_model_plan(NULL, 1) && nn_model_plan(m, 1));
    for (int k = 0; k < 6; k++) { /* planned from the second time on */
        nn_tensor *x = nn_uniform(c, NN_F32, NN_SHAPE(4, 6), -1, 1);
        CHECK(nn_read(nn_predict(m, x), got, sizeof got));
        nn_no_grad(c, 1);
        CHECK(nn_read(plain_net(nn_enter(m, c, NN_EVAL), x), want, sizeof want) && !memcmp(got, want, sizeof got));
        if (k == 3) nn_fill(nn_model_tensor(m, c, "out.bias"), 2);
        nn_no_grad(c, 0);
        nn_reset(c);
    }
    CHECK(c->plans != NULL && nn_model_plan(m, 0) && c->plans == NULL && nn_model_plan(m, 1));
    for (int k = 0; k < 2; k++) nn_predict(m, nn_ones(c, NN_F32, NN_SHAPE(1, 6)));
    nn_model_free(m);
    CHECK(c->plans == NULL && nn_error(c) == NN_OK);
    nn_end(c);
}

// ---- nn_fit: the same numbers with its plans and without
static int fit_epoch(void *user, const nn_history *h) { (void)user; return h->epochs < 4; }
static void test_fit(void) {
    static const int kinds[3] = {DIGITS, RUNNING, RESIDUAL};
    for (int k = 0; k < 6; k++) {
        record r[2];
        memset(r, 0, sizeof r);
        for (int eager = 0; eager < 2; eager++) {
            nn_ctx        *c = quiet_ctx(1 + k % 2, 9);
            nn_model      *m = nn_model_new(c, any_net, (void *)(uintptr_t)&kinds[k % 3]);
            nn_tensor     *x = nn_uniform(c, NN_F32, NN_SHAPE(70, 6), -1, 1), *y = nn_cast(nn_uniform(c, NN_F32, NN_SHAPE(70), 0, 3), NN_I32);
            nn_data       *d = nn_data_new(x, k < 3 ? y : nn_slice(x, 1, 0, 3, 1));
            nn_fit_options f = nn_fit_defaults();
            nn_history     h;
            f.eager = eager; f.quiet = 1; f.epochs = 5; f.batch = 16; f.clip = k & 1 ? 1.0f : 0; f.validation = k & 2 ? 0.2f : 0; f.on_epoch = fit_epoch;
            h = nn_fit(m, d, &f);
            CHECK(h.epochs == 4 && nn_error(c) == NN_OK);
            for (int e = 0; e < h.epochs; e++) {
                record_number(&r[eager], "loss", e, h.loss[e]); record_number(&r[eager], "accuracy", e, h.accuracy[e]);
                record_number(&r[eager], "valid", e, h.valid_loss[e]); record_number(&r[eager], "valid accuracy", e, h.valid_accuracy[e]);
            }
            for (int i = 0; i < nn_model_count(m); i++) record_tensor(&r[eager], nn_model_name(m, i), 0, nn_model_tensor(m, c, nn_model_name(m, i)));
            nn_end(c);
        }
        situation = "planned";
        same_records(&r[1], &r[0], 0, "nn_fit");
        record_free(&r[0]); record_free(&r[1]);
    }
}

// ---- corners that were wrong once
static void test_corners(void) {
    nn_ctx    *c = quiet_ctx(1, 5), *f;
    nn_tensor *a[3], *k, *w, *out[2], *y, *z, *g = NULL;
    nn_plan   *p, *q, *r;
    /* gradients that leaves held before, of which the recording takes some */
    for (int i = 0; i < 3; i++) { a[i] = nn_requires_grad(nn_keep(nn_full(c, NN_F32, NN_SHAPE(2), i + 1))); nn_backward(nn_sum(a[i], NN_ALL, 0)); }
    p = nn_plan_begin(c, NULL);
    nn_backward(nn_sum(a[2], NN_ALL, 0));
    nn_backward(nn_sum(a[1], NN_ALL, 0));
    CHECK(nn_plan_end(p, NULL, 0) && nn_grad(a[0]) && nn_grad(a[1]) && nn_grad(a[2]));
    CHECK(nn_plan_run(p) && nn_get(nn_grad(a[2]), NN_SHAPE(0)) == 2);
    nn_plan_free(p);
    /* and nn_grad_of of such a leaf */
    p = nn_plan_begin(c, NULL);
    nn_grad_of(nn_sum(nn_square(a[0]), NN_ALL, 0), NULL, &a[0], 1, &g, 0);
    CHECK(nn_plan_end(p, &g, 1) && nn_plan_run(p) && nn_get(g, NN_SHAPE(0)) == 2 && nn_get(nn_grad(a[0]), NN_SHAPE(0)) == 1);
    nn_plan_free(p);
    nn_error_clear(c);
    /* a gradient forgotten first: fresh in every run, or refused */
    p = nn_plan_begin(c, NULL);
    nn_zero_grad(a[0]);
    nn_backward(nn_sum(nn_square(a[0]), NN_ALL, 0));
    if (nn_plan_end(p, NULL, 0)) CHECK(nn_plan_run(p) && nn_plan_run(p) && nn_get(nn_grad(a[0]), NN_SHAPE(0)) == 2);
    else CHECK(failed_with(c, NN_ERR_PLAN, ""));
    /* a constant that the host sets after an op has read it */
    w = nn_keep(nn_ones(c, NN_F32, NN_SHAPE(2)));
    p = nn_plan_begin(c, NULL);
    k = nn_full(c, NN_F32, NN_SHAPE(2), 1);
    out[0] = nn_mul(k, w);
    nn_set(k, NN_SHAPE(0), 7);
    out[1] = nn_mul(k, w);
    if (nn_plan_end(p, out, 2)) CHECK(nn_plan_run(p) && nn_get(out[0], NN_SHAPE(0)) == 1 && nn_get(out[1], NN_SHAPE(0)) == 7);
    else CHECK(failed_with(c, NN_ERR_PLAN, ""));
    /* a plan reads what another one makes, which ends */
    p = nn_plan_begin(c, NULL);
    y = nn_add(w, w);
    nn_plan_end(p, &y, 1);
    nn_plan_run(p);
    q = nn_plan_begin(c, NULL);
    z = nn_mul(y, y);
    nn_plan_end(q, &z, 1);
    CHECK(nn_plan_run(q) && nn_get(z, NN_SHAPE(1)) == 4);
    r = nn_plan_begin(c, NULL);
    z = nn_exp(nn_plan_input(r, "x", y));
    nn_plan_end(r, &z, 1);
    CHECK(nn_plan_run(r));
    nn_plan_free(p);
    CHECK(!nn_plan_run(q) && failed_with(c, NN_ERR_PLAN, "freed"));
    CHECK(!nn_plan_run(r) && failed_with(c, NN_ERR_PLAN, "'x'"));
    /* a plan's result as its own input */
    w = nn_keep(nn_uniform(c, NN_F32, NN_SHAPE(64, 64), -0.2, 0.2));
    z = nn_ones(c, NN_F32, NN_SHAPE(1, 64));
    p = nn_plan_begin(c, NULL);
    k = nn_plan_input(p, "h", z);
    y = nn_mul(nn_softmax(nn_add(nn_softmax(nn_matmul(nn_matmul(nn_matmul(k, w), w), w), 1), k), 1), k);
    nn_plan_end(p, &y, 1);
    nn_plan_run(p);
    for (int i = 0; i < 3; i++) {
        z = nn_mul(nn_softmax(nn_add(nn_softmax(nn_matmul(nn_matmul(nn_matmul(z, w), w), w), 1), z), 1), z);
        CHECK(!memcmp(nn_f32(z), nn_f32(y), 64 * 4));
        if (!nn_plan_bind(p, "h", y)) { CHECK(failed_with(c, NN_ERR_PLAN, "")); break; }
        nn_plan_run(p);
    }
    { /* a run that fails takes no step of the schedule */
        nn_model *m = nn_model_new(c, plain_net, NULL);
        nn_optim *o = nn_sgd(m, 0.1f, 0);
        float     xs[8] = {0, 0, 0, 0, 0, 0, 0, 0};
        int32_t   ys[2] = {0, 1};
        double    lr;
        nn_set_lr(o, nn_lr_cosine(0.1f, 0, 10, 0));
        p = nn_plan_begin(c, NULL);
        nn_backward(nn_cross_entropy(nn_forward(m, nn_wrap(c, xs, NN_F32, NN_SHAPE(2, 4))), nn_wrap(c, ys, NN_I32, NN_SHAPE(2))));
        nn_step(o);
        CHECK(nn_plan_end(p, NULL, 0) && nn_plan_run(p));
        ys[1] = 9;
        lr    = nn_get_lr(o);
        CHECK(!nn_plan_run(p) && failed_with(c, NN_ERR_RANGE, "label 9") && nn_get_lr(o) == lr);
        /* backward through weights that a step has changed since */
        p = nn_plan_begin(c, NULL);
        y = nn_mean(nn_forward(m, nn_wrap(c, xs, NN_F32, NN_SHAPE(2, 4))), NN_ALL, 0);
        nn_backward(y);
        nn_step(o);
        nn_backward(y);
        CHECK(!nn_plan_end(p, NULL, 0) && failed_with(c, NN_ERR_GRAD, "was changed in place"));
    }
    f = nn_fork(c); /* a value that is yet to be computed, shown to another context */
    p = nn_plan_begin(c, NULL);
    CHECK(nn_share(f, nn_exp(a[0])) == NULL);
    nn_plan_free(p);
    nn_end(c);
}

int main(int argc, char **argv) {
    const char *only = argc > 1 ? argv[1] : NULL;
    if (argc > 3 && !strcmp(argv[1], "--fuzz")) {
        int first = atoi(argv[2]), n = atoi(argv[3]);
        for (int k = 0; k < n && failed < 20; k++) fuzz_one(first + k);
        printf("%ld refused, %ld budgets not met\n", fuzz_refused, fuzz_budgets);
    } else {
        for (size_t k = 0; k < sizeof train_cases / sizeof *train_cases; k++) if (!only || strstr(train_cases[k].name, only)) test_case(&train_cases[k]);
        for (size_t k = 0; k < sizeof raw_cases / sizeof *raw_cases; k++) if (!only || strstr(raw_cases[k].name, only)) test_case(&raw_cases[k]);
        if (!only || !strcmp(only, "host")) test_host();
        if (!only || !strcmp(only, "inputs")) test_inputs();
        if (!only || !strcmp(only, "ends")) test_ends();
        if (!only || !strcmp(only, "several")) test_several();
        if (!only || !strcmp(only, "packed")) test_packed();
        if (!only || !strcmp(only, "memory")) test_memory(only != NULL);
        if (!only || !strcmp(only, "failing")) test_failing();
        if (!only || !strcmp(only, "reports")) test_reports();
        if (!only || !strcmp(only, "predict")) test_predict();
        if (!only || !strcmp(only, "fit")) test_fit();
        if (!only || !strcmp(only, "corners")) test_corners();
        if (!only || !strcmp(only, "fuzz")) {
            for (int k = 0; k < 300; k++) fuzz_one(k);
            fuzz_one(2731); /* a gradient of two contributions, clipped and left */
        }
    }
    record_free(&wanted);
    record_free(&got);
    if (!COUNTS_MEMORY) skip("that a run asks for no memory", "with address sanitizer or NN_DEBUG tensors are blocks of their own");
    if (skipped) printf("plan: %d passed, %d failed, %d skipped\n", passed, failed, skipped);
    else printf("plan: %d passed, %d failed\n", passed, failed);
    return failed != 0;
}
