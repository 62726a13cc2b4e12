// Whole networks against PyTorch: those of tests/nets.h, a LeNet and a small ResNet, with parameters by formula, on values that golden_nets.py
// put into tests/golden_nets.txt: predictions, two steps of SGD, running statistics. f64 against the file; f32 against f64; channels-last,
// planned and on 1, 2 and 5 threads.
//
//     test_nets [path of golden_nets.txt]
//
// C99 and C++11.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#define NN_IMPLEMENTATION
#include "nn.h"
#include "golden.h"
#include "nets.h"

static int passed, failed;
static int expect(int ok, const char *name, const char *what) {
    if (ok) passed++;
    else if (++failed <= 400) printf("FAIL %s: %s\n", name, what);
    return ok;
}

typedef struct net { const char *name; nn_net f; nn_shape x; double off[2]; } net; /* off: the largest relative difference of f32, of values and of gradients */

/* What one run gives, by name: as f64, and as it is. */
enum { ENTRIES = 120 };
typedef struct entry { char name[64]; nn_shape shape; double *v; void *raw; size_t bytes; } entry;
typedef struct record { entry list[ENTRIES]; int n; } record;
static void put(record *r, const char *kind, const char *name, nn_tensor *x) {
    entry *e = &r->list[r->n];
    if (r->n == ENTRIES || !x) return; /* missed where it is looked for */
    r->n++;
    snprintf(e->name, sizeof e->name, "%s%s", kind, name);
    e->shape = nn_shape_of(x);
    e->v     = values_of(x);
    e->bytes = (size_t)nn_numel(x) * nn_dtype_size(nn_dtype_of(x));
    e->raw   = malloc(e->bytes + 1);
    if (!e->raw) exit(2);
    nn_read(x, e->raw, e->bytes);
}
static const entry *find(const record *r, const char *name) {
    for (int i = 0; i < r->n; i++)
        if (!strcmp(r->list[i].name, name)) return &r->list[i];
    return NULL;
}
static void record_free(record *r) {
    for (int i = 0; i < r->n; i++) free(r->list[i].v), free(r->list[i].raw);
    r->n = 0;
}

/* ---- numbers by formula: the other half is in golden_nets.py ------------------------------------------ */

static nn_tensor *numbers(nn_ctx *c, nn_dtype t, nn_shape s, uint32_t k, double scale, double shift) {
    int64_t    n = numel(s);
    double    *v = (double *)malloc((size_t)(n + 1) * sizeof *v);
    nn_tensor *x;
    if (!v) exit(2);
    for (int64_t i = 0; i < n; i++) v[i] = (double)(float)(shift + formula(i, k, 0) * scale);
    x = nn_cast(nn_from(c, v, NN_F64, s), t);
    free(v);
    return x;
}
static int ends(const char *name, const char *end) { return strlen(name) >= strlen(end) && !strcmp(name + strlen(name) - strlen(end), end); }
static void fill(nn_model *m, nn_ctx *c) {
    int no_grad = nn_no_grad(c, 1);
    for (int i = 0; i < nn_model_count(m); i++) {
        const char *name = nn_model_name(m, i);
        nn_tensor  *p = nn_model_tensor(m, c, name);
        nn_shape    s = nn_shape_of(p);
        uint32_t    h = 2166136261u; /* FNV-1a */
        int         low = ends(name, "bias") || ends(name, "running_mean");
        for (const char *a = name; *a; a++) h = (h ^ (unsigned char)*a) * 16777619u;
        nn_assign(p, numbers(c, nn_dtype_of(p), s, h, s.ndim > 1 ? sqrt(6.0 / (double)(numel(s) / s.dim[0])) : low ? 0.125 : 0.25, s.ndim > 1 || low ? 0 : 1));
    }
    nn_no_grad(c, no_grad);
}

/* ---- a run ------------------------------------------------------------------------------------------- */

static nn_tensor *labels_of(nn_ctx *c, int64_t n) {
    int32_t v[16];
    for (int i = 0; i < n; i++) v[i] = i * 7 % 10;
    return nn_from(c, v, NN_I32, NN_SHAPE(n));
}
static nn_tensor *step(nn_model *m, nn_optim *o, nn_tensor *x, nn_tensor *labels, record *r) { /* r: NULL, or of the first step */
    nn_tensor *y = nn_forward(m, x), *loss = nn_cross_entropy(y, labels);
    nn_backward(loss);
    if (r) {
        put(r, "", "train", y);
        put(r, "", "loss1", loss);
        for (int i = 0; i < nn_model_count(m); i++)
            if (!ends(nn_model_name(m, i), "running_mean") && !ends(nn_model_name(m, i), "running_var"))
                put(r, "grad:", nn_model_name(m, i), nn_grad(nn_model_tensor(m, nn_ctx_of(x), nn_model_name(m, i))));
    }
    nn_step(o);
    return loss;
}
static record run(nn_ctx *c, const net *k, nn_dtype t, int last, int planned) {
    nn_model       *m = nn_model_new(c, k->f, NULL);
    nn_optim       *o;
    nn_tensor      *x, *labels, *loss;
    nn_plan_options exact = nn_plan_defaults();
    nn_plan        *p;
    record          r;
    memset(&r, 0, sizeof r);
    exact.exact = 1;
    nn_model_dtype(m, t);
    nn_model_build(m, t, k->x);
    fill(m, c);
    o = nn_sgd(m, 0.0625f, 0.875f);
    x = nn_keep(numbers(c, t, k->x, 1, 1, 0)), labels = nn_keep(labels_of(c, k->x.dim[0]));
#define X (last ? nn_channels_last(x) : x)
    put(&r, "", "eval", nn_predict(m, X));
    if (!planned) {
        step(m, o, X, labels, &r);
        nn_reset(c);
        put(&r, "", "loss2", step(m, o, X, labels, NULL));
    } else {
        p    = nn_plan_begin(c, &exact);
        loss = step(m, o, X, labels, NULL);
        nn_plan_end(p, &loss, 1);
        nn_plan_run(p);
        put(&r, "", "loss1", loss);
        nn_plan_run(p);
        put(&r, "", "loss2", loss);
        nn_plan_free(p);
    }
    for (int i = 0; i < nn_model_count(m); i++) put(&r, "state:", nn_model_name(m, i), nn_model_tensor(m, c, nn_model_name(m, i)));
    put(&r, "", "after", nn_predict(m, X));
#undef X
    nn_optim_free(o);
    nn_model_free(m);
    nn_drop(x), nn_drop(labels);
    if (nn_error(c)) {
        expect(0, k->name, nn_error_text(c));
        nn_error_clear(c);
    }
    nn_reset(c);
    return r;
}

/* ---- comparing --------------------------------------------------------------------------------------- */

static double largest(const entry *e) {
    double most = 0;
    for (int64_t i = 0; i < numel(e->shape); i++) most = fabs(e->v[i]) > most ? fabs(e->v[i]) : most;
    return most;
}
static void near(net *k, const char *where, const record *got, const record *want) { /* f32 */
    char text[160];
    for (int i = 0; i < want->n; i++) {
        const entry *w = &want->list[i], *g = find(got, w->name);
        double       off = 0, all = largest(w);
        int          gradient = !strncmp(w->name, "grad:", 5);
        if (!expect(g && same_shape(g->shape, w->shape), w->name, "is missing or has another shape")) continue;
        for (int64_t j = 0; j < numel(w->shape); j++) off = fabs(g->v[j] - w->v[j]) <= off ? off : fabs(g->v[j] - w->v[j]);
        off /= all > 0 ? all : 1;
        if (!(off <= k->off[gradient])) k->off[gradient] = off;
        snprintf(text, sizeof text, "%s %s: off by %.2g of the largest", k->name, w->name, off);
        expect(off <= 1e-5, where, text);
    }
}
static void same_bits(const net *k, const char *where, const record *got, const record *want) { /* of what got has */
    char text[160];
    for (int i = 0; i < got->n; i++) {
        const entry *g = &got->list[i], *w = find(want, g->name);
        snprintf(text, sizeof text, "%s %s: other bits", k->name, g->name);
        expect(w && w->bytes == g->bytes && !memcmp(w->raw, g->raw, g->bytes), where, text);
    }
    expect(got->n > 10, where, "less than expected");
}
static void as_golden(FILE *f, const net *k, const record *r) {
    char line[1024], text[320], what[160];
    int  lines = 0;
    rewind(f);
    while (fgets(line, sizeof line, f)) {
        const char  *name;
        const entry *e;
        golden       g;
        line[strcspn(line, "\n")] = 0;
        if (strcmp(strtok(line, " "), k->name)) continue;
        name = strtok(NULL, " ");
        g    = read_golden();
        e    = find(r, name);
        lines++;
        if (!expect(e && same_shape(e->shape, g.shape), name, "is missing or has another shape")) continue;
        *what = 0;
        is_golden(&g, e->v, 1e-10 * (1 + largest(e)), what, sizeof what);
        snprintf(text, sizeof text, "%s %s: %s", k->name, name, what);
        expect(!*what, "f64", text);
    }
    expect(lines == r->n && lines > 10, k->name, "more values than in the file");
}

int main(int argc, char **argv) {
    net       nets[] = {{"lenet", lenet, NN_SHAPE(4, 1, 28, 28), {0, 0}}, {"resnet", resnet, NN_SHAPE(4, 3, 16, 16), {0, 0}}};
    FILE     *f = fopen(argc > 1 ? argv[1] : "tests/golden_nets.txt", "r");
    nn_config config = nn_config_defaults();
    nn_ctx   *c[3];
    if (!f) {
        fprintf(stderr, "cannot read the golden file\n");
        return 2;
    }
    config.quiet = 1; /* failures are printed here */
    for (int i = 0; i < 3; i++) {
        config.threads = i == 0 ? 1 : i == 1 ? 2 : 5;
        c[i]           = nn_begin(&config);
    }
    for (size_t i = 0; i < sizeof nets / sizeof *nets; i++) {
        net   *k = &nets[i];
        record truth = run(c[1], k, NN_F64, 0, 0), other, plain;
        as_golden(f, k, &truth);
        for (int last = 0; last < 2; last++) {
            plain = run(c[1], k, NN_F32, last, 0);
            near(k, last ? "channels-last" : "f32", &plain, &truth);
            for (int way = 0; way < 3; way++) {
                static const char *const names[] = {"1 thread", "planned", "5 threads"};
                other = run(c[way], k, NN_F32, last, way == 1);
                same_bits(k, names[way], &other, &plain);
                record_free(&other);
            }
            record_free(&plain);
        }
        record_free(&truth);
    }
    for (int i = 0; i < 3; i++) nn_end(c[i]);
    fclose(f);
    for (int i = 0; i < 2; i++) printf("%s: f32 is off by %.2g of the largest, its gradients by %.2g\n", nets[i].name, nets[i].off[0], nets[i].off[1]);
    printf("nets: %d passed, %d failed\n", passed, failed);
    return failed != 0;
}
