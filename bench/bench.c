// Timings, one line a workload: name median_ms min_ms rate unit. Arguments: parts of names to run only those.
// What a line times is said at its function; NN_THREADS and NN_ISA apply as everywhere.
#define NN_IMPLEMENTATION
#include "nn.h"

static nn_ctx *c;
static char  **filters;
static int     n_filters;
static double  seconds = 1.0;

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double now(void) { /* nanoseconds matter for the small ones */
    struct timespec t;
    timespec_get(&t, TIME_UTC);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Runs f for about a second after three warm-ups; a run of less than 20 us is repeated inside one measurement. */
static void bench(const char *name, void (*f)(void *), void *arg, double work, const char *unit) {
    enum { MOST = 100000 };
    static double times[MOST];
    double        start, once;
    int           n = 0, repeat = 1, wanted = n_filters == 0;
    for (int i = 0; i < n_filters; i++) wanted |= strstr(name, filters[i]) != NULL;
    if (!wanted || nn_error(c)) return;
    for (int i = 0; i < 3; i++) f(arg);
    start = now();
    f(arg);
    once = now() - start;
    if (once < 20e-6) repeat = (int)(20e-6 / (once > 1e-8 ? once : 1e-8)) + 1;
    for (start = now(); n < MOST && (now() - start < seconds || n < 5); n++) {
        double t = now();
        for (int k = 0; k < repeat; k++) f(arg);
        times[n] = (now() - t) / repeat;
    }
    if (nn_error(c)) { printf("%-34s failed: %s\n", name, nn_error_text(c)); return; }
    qsort(times, (size_t)n, sizeof *times, compare);
    printf("%-34s %12.5f %12.5f", name, times[n / 2] * 1e3, times[0] * 1e3);
    if (work > 0) printf(" %10.1f %s", work / times[0] / 1e9, unit);
    printf("\n");
    fflush(stdout);
}

// ---- matrix products: nn_matmul into a fresh tensor, then nn_reset
typedef struct pair { nn_tensor *a, *b; } pair;
static void run_matmul(void *arg) {
    pair *p = (pair *)arg;
    nn_matmul(p->a, p->b);
    nn_reset(c);
}
static void gemm(int64_t m, int64_t k, int64_t n, const char *name) {
    pair p;
    p.a = nn_keep(nn_normal(c, NN_F32, NN_SHAPE(m, k), 0, 1));
    p.b = nn_keep(nn_normal(c, NN_F32, NN_SHAPE(k, n), 0, 1));
    nn_reset(c);
    bench(name, run_matmul, &p, 2.0 * (double)m * (double)k * (double)n, "GF/s");
    nn_drop(p.a);
    nn_drop(p.b);
}

// ---- element-wise: the op into a fresh tensor, then nn_reset
typedef nn_tensor *(*unary)(nn_tensor *);
typedef struct map { unary f; nn_tensor *x, *y; } map;
static void run_unary(void *arg) {
    map *m = (map *)arg;
    m->f(m->x);
    nn_reset(c);
}
static void run_add(void *arg) {
    map *m = (map *)arg;
    nn_add(m->x, m->y);
    nn_reset(c);
}
static nn_tensor *sum_all(nn_tensor *x) { return nn_sum(x, NN_ALL, 0); }
static nn_tensor *softmax_last(nn_tensor *x) { return nn_softmax(x, -1); }
static nn_tensor *layernorm_last(nn_tensor *x) { return nn_layernorm(x, nn_ones(c, NN_F32, NN_SHAPE(nn_dim(x, -1))), nn_zeros(c, NN_F32, NN_SHAPE(nn_dim(x, -1))), 1e-5); }
static void run_create(void *arg) {
    (void)arg;
    nn_normal(c, NN_F32, NN_SHAPE(1000, 1000), 0, 1);
    nn_reset(c);
}
static void elementwise(int64_t n, const char *suffix, int all) {
    static const struct { const char *name; unary f; int bytes, always; } ops[] = {{"relu", nn_relu, 8, 1}, {"sigmoid", nn_sigmoid, 8, 1}, {"tanh", nn_tanh, 8, 0}, {"exp", nn_exp, 8, 0},
                                                                                  {"gelu", nn_gelu, 8, 0},  {"sum", sum_all, 4, 0}};
    char name[64];
    map  m;
    m.x = nn_keep(nn_normal(c, NN_F32, NN_SHAPE(n), 0, 1));
    m.y = nn_keep(nn_normal(c, NN_F32, NN_SHAPE(n), 0, 1));
    nn_reset(c);
    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++) {
        if (!all && !ops[i].always) continue;
        m.f = ops[i].f;
        snprintf(name, sizeof name, "%s_%s", ops[i].name, suffix);
        bench(name, run_unary, &m, (double)ops[i].bytes * (double)n, "GB/s");
    }
    snprintf(name, sizeof name, "add_%s", suffix);
    if (all) bench(name, run_add, &m, 12.0 * (double)n, "GB/s");
    nn_drop(m.x);
    nn_drop(m.y);
}
static void rows(const char *name, unary f) {
    map m;
    m.f = f;
    m.x = nn_keep(nn_normal(c, NN_F32, NN_SHAPE(4096, 1024), 0, 1));
    nn_reset(c);
    bench(name, run_unary, &m, 8.0 * 4096 * 1024, "GB/s");
    nn_drop(m.x);
}

// ---- networks
static nn_tensor *mlp(nn_scope s, nn_tensor *x) {
    x = nn_layer_linear_act(s, "fc1", x, 512, NN_ACT_RELU);
    x = nn_layer_linear_act(s, "fc2", x, 256, NN_ACT_RELU);
    return nn_layer_linear(s, "fc3", x, 10);
}
static nn_tensor *tiny(nn_scope s, nn_tensor *x) { return nn_layer_linear(s, "fc2", nn_layer_linear_act(s, "fc1", x, 32, NN_ACT_RELU), 10); }
static nn_tensor *xor_net(nn_scope s, nn_tensor *x) { return nn_layer_linear(s, "fc2", nn_layer_linear_act(s, "fc1", x, 16, NN_ACT_TANH), 1); }

typedef struct step { nn_model *m; nn_optim *o; nn_tensor *x, *y; nn_loss loss; } step;
static void run_train(void *arg) { /* named layers, forward, loss, backward, optimiser, reset */
    step *s = (step *)arg;
    nn_backward(s->loss(nn_forward(s->m, s->x), s->y));
    nn_step(s->o);
    nn_reset(c);
}
static void run_infer(void *arg) { /* named layers, forward, output read, reset */
    step          *s = (step *)arg;
    volatile float out;
    nn_tensor     *y = nn_predict(s->m, s->x);
    out = y ? nn_f32(y)[0] : 0;
    (void)out;
    nn_reset(c);
}
static void network(const char *name, nn_net net, int64_t batch, int64_t in, int64_t out, int train, double flops) {
    step s;
    s.m = nn_model_new(c, net, NULL);
    s.x = nn_keep(nn_normal(c, NN_F32, NN_SHAPE(batch, in), 0, 1));
    s.y = out == 1 ? nn_keep(nn_normal(c, NN_F32, NN_SHAPE(batch, 1), 0, 1)) : nn_keep(nn_cast(nn_uniform(c, NN_F32, NN_SHAPE(batch), 0, (double)out), NN_I32));
    s.loss = out == 1 ? nn_mse : nn_cross_entropy;
    s.o    = out == 1 ? nn_sgd(s.m, 0.1f, 0) : nn_adam(s.m, 1e-3f);
    nn_reset(c);
    bench(name, train ? run_train : run_infer, &s, flops, "GF/s");
    nn_optim_free(s.o);
    nn_model_free(s.m);
    nn_drop(s.x);
    nn_drop(s.y);
}

int main(int argc, char **argv) {
    static const int64_t squares[] = {32, 64, 128, 256, 512, 1024, 2048};
    const double         flops = 2.0 * (784 * 512 + 512 * 256 + 256 * 10);
    char                 name[64];
    filters   = argv + 1;
    n_filters = argc - 1;
    if (n_filters >= 2 && !strcmp(filters[0], "--seconds")) {
        seconds = atof(filters[1]);
        filters += 2;
        n_filters -= 2;
    }
    c = nn_begin(NULL);
    if (!c) return 1;
    printf("# nn.h %d.%d, %s, %d threads; name median_ms min_ms rate unit\n", NN_NEURAL_VERSION / 10000, NN_NEURAL_VERSION / 100 % 100, nn_isa(c), nn_threads(c));
    for (size_t i = 0; i < sizeof squares / sizeof *squares; i++) {
        snprintf(name, sizeof name, "gemm_%d", (int)squares[i]);
        gemm(squares[i], squares[i], squares[i], name);
    }
    gemm(64, 784, 128, "gemm_64x784x128");
    gemm(128, 784, 512, "gemm_128x784x512");
    gemm(1000, 500, 200, "gemm_1000x500x200");
    gemm(1, 768, 3072, "gemm_1x768x3072");
    gemm(4096, 384, 1536, "gemm_4096x384x1536");
    elementwise((int64_t)1 << 24, "16M", 1);
    elementwise((int64_t)1 << 20, "1M", 0);
    rows("softmax_4096x1024", softmax_last);
    rows("layernorm_4096x1024", layernorm_last);
    bench("create_1000x1000", run_create, NULL, 0, "");
    network("mlp_train_b128", mlp, 128, 784, 10, 1, 3 * 128 * flops);
    network("mlp_infer_b128", mlp, 128, 784, 10, 0, 128 * flops);
    network("mlp_infer_b1", mlp, 1, 784, 10, 0, flops);
    network("tiny_infer_b1_874p", tiny, 1, 16, 10, 0, 0);
    network("xor_train", xor_net, 4, 2, 1, 1, 0);
    {
        int failed = nn_error(c) != NN_OK;
        nn_end(c);
        return failed;
    }
}
