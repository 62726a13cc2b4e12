// Memory: every allocation fails once and nothing leaks; a training loop in its stride asks the allocator no more; the
// report adds up; each home of the manual's table ends where it says; dropped tensors are recognised.
#define NN_IMPLEMENTATION
#include "nn.h"

static int passed, failed, skipped;
static void check(int ok, const char *what, int line) {
    if (ok) passed++;
    else { failed++; printf("test_memory.c:%d: %s\n", line, what); }
}
#define CHECK(x) check((x) != 0, #x, __LINE__)
static void skip(const char *what, const char *why) {
    skipped++;
    printf("skipped: %s (%s)\n", what, why);
}

// ---- an allocator that counts, checks and fails on request
typedef struct heap {
    long   calls, fail_at, blocks, releases; // fail_at: 0 never
    int    go_on_failing;                    // from fail_at on, not only there
    int    bad;                              // releases that do not fit their allocation
    long   refused;
    size_t bytes, peak;
} heap;
typedef struct head { size_t size, mark; } head;
#define MARK ((size_t)0x6d61726b)

static void *heap_alloc(void *user, size_t size) {
    heap *h = (heap *)user;
    head *p;
    h->calls++;
    if (h->fail_at && (h->calls == h->fail_at || (h->go_on_failing && h->calls > h->fail_at))) {
        h->refused++;
        return NULL;
    }
    p = (head *)malloc(sizeof *p + size);
    if (!p) return NULL;
    p->size = size;
    p->mark = MARK;
    memset(p + 1, 0xa5, size); /* nobody may count on zeros */
    h->blocks++;
    h->bytes += size;
    if (h->bytes > h->peak) h->peak = h->bytes;
    return p + 1;
}
static void heap_release(void *user, void *block, size_t size) {
    heap *h = (heap *)user;
    head *p = (head *)block - 1;
    h->releases++;
    if (!block || p->mark != MARK || p->size != size) { h->bad++; return; }
    h->blocks--;
    h->bytes -= size;
    memset(p, 0x5a, sizeof *p + size); /* and nobody may read what was given back */
    free(p);
}
static nn_ctx *heap_ctx(heap *h, int threads) {
    nn_config g  = nn_config_defaults();
    g.quiet      = 1;
    g.threads    = threads;
    g.seed       = 7;
    g.alloc      = heap_alloc;
    g.release    = heap_release;
    g.alloc_user = h;
    return nn_begin(&g);
}
static int heap_empty(const heap *h) { return h->bytes == 0 && h->blocks == 0 && h->bad == 0; }

static char path_model[80], path_optim[80];

// ---- (a) the k-th allocation fails
static nn_tensor *small_net(nn_scope s, nn_tensor *x) {
    x = nn_layer_linear(s, "in", x, 6);
    x = nn_layer_layernorm(s, "norm", x);
    x = nn_layer_dropout(s, nn_gelu(x), 0.25);
    return nn_layer_linear(s, "out", x, 3);
}

/* What a program would do, once with everything. Returns whether a lack of memory was reported; *wrong: an error of another kind. */
static int small_run(heap *h, int threads, int recover, int *wrong) {
    float          xs[12 * 4];
    int32_t        ys[12];
    char           text[4000];
    nn_ctx        *c = heap_ctx(h, threads), *f;
    nn_model      *m, *n;
    nn_optim      *o, *q;
    nn_data       *d, *train = NULL, *test = NULL;
    nn_tensor     *kept, *x;
    nn_fit_options fit = nn_fit_defaults();
    nn_history     history;
    int            lack = 0;
    if (!c) return 1;
    for (int i = 0; i < 48; i++) xs[i] = (float)(i * 7 % 11) / 11;
    for (int i = 0; i < 12; i++) ys[i] = i % 3;
    m = nn_model_new(c, small_net, NULL);
    x = nn_wrap(c, xs, NN_F32, NN_SHAPE(12, 4));
    d = nn_data_new(x, nn_wrap(c, ys, NN_I32, NN_SHAPE(12)));
    nn_data_split(d, 0.25, &train, &test);
    fit.epochs = 2;
    fit.batch  = 4;
    fit.clip   = 1;
    fit.quiet  = 1;
    fit.validation = 0.34f;
    history    = nn_fit(m, train, &fit);
    if (!nn_error(c) && history.epochs != 2) *wrong = 1;
    nn_evaluate(m, test, NULL);
    nn_save(m, path_model);
    n = nn_model_new(c, small_net, NULL);
    nn_load(n, path_model); /* waits */
    o = nn_sgd(n, 0.1f, 0.9f);
    x = nn_from(c, xs, NN_F32, NN_SHAPE(12, 4));
    nn_backward(nn_mean(nn_square(nn_forward(n, x)), NN_ALL, 0));
    nn_step(o);
    nn_optim_save(o, path_optim);
    q = nn_adam(m, 0.01f);
    nn_backward(nn_mean(nn_square(nn_forward(m, x)), NN_ALL, 0));
    nn_clip_grad_norm(q, 1.0);
    nn_step(q);
    nn_optim_save(q, path_optim);
    nn_optim_load(q, path_optim);
    kept = nn_keep(nn_predict(m, x));
    nn_reset(c);
    nn_summary_text(m, NN_F32, NN_SHAPE(2, 4), text, sizeof text);
    nn_format(nn_transpose(kept, 0, 1), text, sizeof text);
    { /* second derivatives, views and moves */
        nn_tensor *w = nn_requires_grad(nn_uniform(c, NN_F32, NN_SHAPE(3, 4), 0, 1)), *dw = NULL, *ddw = NULL;
        nn_grad_of(nn_sum(nn_mul(nn_exp(w), nn_softmax(w, 1)), NN_ALL, 0), NULL, &w, 1, &dw, NN_CREATE_GRAPH);
        nn_grad_of(nn_sum(dw, NN_ALL, 0), NULL, &w, 1, &ddw, 0);
        nn_max(nn_contiguous(nn_transpose(w, 0, 1)), NN_AXES(0), 1);
        nn_concat(&w, 1, 0);
    }
    f = nn_fork(c);
    if (f) {
        nn_tensor *y = nn_predict(m, nn_from(f, xs, NN_F32, NN_SHAPE(12, 4)));
        nn_tensor *dropped_by_end = nn_keep(y);
        (void)dropped_by_end;
        nn_reset(f);
        nn_backward(nn_mean(nn_square(nn_forward(m, nn_from(f, xs, NN_F32, NN_SHAPE(12, 4)))), NN_ALL, 0));
        if (!nn_error(f)) nn_step_from(q, &f, 1);
        lack |= nn_error(f) == NN_ERR_MEMORY;
        if (nn_error(f) && nn_error(f) != NN_ERR_MEMORY) { *wrong = 1; printf("   fork: %s\n", nn_error_text(f)); }
    }
    nn_drop(kept);
    lack |= nn_error(c) == NN_ERR_MEMORY;
    if (nn_error(c) && nn_error(c) != NN_ERR_MEMORY) { *wrong = 1; printf("   allocation %ld: %s\n", h->fail_at, nn_error_text(c)); }
    if (recover) { /* after an error the context can be used again: a new model trains */
        h->fail_at = 0;
        nn_error_clear(c);
        nn_reset(c);
        n = nn_model_new(c, small_net, NULL);
        o = nn_adam(n, 0.01f);
        for (int i = 0; i < 3; i++) {
            nn_backward(nn_mse(nn_forward(n, nn_from(c, xs, NN_F32, NN_SHAPE(12, 4))), nn_zeros(c, NN_F32, NN_SHAPE(12, 3))));
            nn_step(o);
            nn_reset(c);
        }
        if (m) { /* and the one that was interrupted, if it got that far */
            nn_predict(m, nn_from(c, xs, NN_F32, NN_SHAPE(12, 4)));
            nn_reset(c);
        }
        if (nn_error(c)) { *wrong = 1; printf("   not recovered: %s\n", nn_error_text(c)); }
    }
    nn_end(c);
    return lack;
}

static void test_failing(int threads, int go_on_failing, int recover) {
    long k, silent = 0, leaks = 0, bad = 0, others = 0;
    for (k = 1; k < 100000; k++) {
        heap h;
        int  lack, wrong = 0;
        memset(&h, 0, sizeof h);
        h.fail_at       = k;
        h.go_on_failing = go_on_failing;
        lack = small_run(&h, threads, recover, &wrong);
        if (h.refused && !lack) { if (silent++ < 5) printf("   allocation %ld failed and nobody said so\n", k); }
        if (h.bytes || h.blocks) { if (leaks++ < 5) printf("   allocation %ld failed: %lu bytes in %ld blocks leak\n", k, (unsigned long)h.bytes, h.blocks); }
        if (h.bad && bad++ < 5) printf("   allocation %ld failed: %d releases do not fit\n", k, h.bad);
        others += wrong;
        if (!h.refused) { CHECK(!lack && heap_empty(&h)); break; }
    }
    CHECK(k > 100);
    CHECK(k < 100000);
    CHECK(silent == 0);
    CHECK(leaks == 0);
    CHECK(bad == 0);
    CHECK(others == 0);
}
