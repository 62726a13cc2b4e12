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

// ---- (b) steady state: a loop in its stride leaves the allocator alone
#if defined(NN_DEBUG)
static const char *const debug_reason = "NN_DEBUG keeps headers in blocks of their own";
#else
static const char *const debug_reason = NULL;
#endif

static void fill_ramp(float *p, int n) {
    for (int i = 0; i < n; i++) p[i] = (float)((i * 37 + 11) % 101) / 101 - 0.5f;
}

static void steady_loop(int threads, int classes) {
    static float xs[70 * 9];
    int32_t    ys[70];
    heap       h;
    nn_ctx    *c;
    nn_model  *m;
    nn_optim  *o;
    nn_data   *d;
    nn_tensor *x, *y;
    long       before = 0;
    fill_ramp(xs, 70 * 9);
    for (int i = 0; i < 70; i++) ys[i] = i % 3;
    memset(&h, 0, sizeof h);
    c = heap_ctx(&h, threads);
    m = nn_model_new(c, small_net, NULL);
    o = nn_adamw(m, 0.01f, 0.01f);
    x = nn_wrap(c, xs, NN_F32, NN_SHAPE(70, 9));
    y = classes ? nn_wrap(c, ys, NN_I32, NN_SHAPE(70)) : nn_slice(x, 1, 0, 3, 1);
    d = nn_data_new(x, y);
    nn_data_batch(d, 16, 0); /* the last batch of an epoch has 6 samples */
    for (int step = 0; step < 50;) {
        nn_batch b;
        while (step < 50 && nn_data_next(d, &b)) {
            nn_tensor *loss;
            if (step++ == 5) before = h.calls;
            loss = nn_forward(m, b.x);
            loss = classes ? nn_cross_entropy(loss, b.y) : nn_mse(loss, b.y);
            nn_backward(loss);
            nn_clip_grad_norm(o, 1.0);
            nn_step(o);
            nn_reset(c);
        }
    }
    CHECK(nn_error(c) == NN_OK);
    CHECK(h.calls == before);
    for (int i = 0; i < 25; i++) {
        if (i == 5) before = h.calls;
        nn_predict(m, nn_wrap(c, xs, NN_F32, NN_SHAPE(70, 9)));
        nn_reset(c);
    }
    CHECK(h.calls == before);
    for (int i = 0; i < 6; i++) { /* evaluation gives back what it takes, without a reset */
        if (i == 2) before = h.calls;
        nn_evaluate(m, d, NULL);
    }
    CHECK(h.calls == before);
    CHECK(nn_error(c) == NN_OK);
    nn_end(c);
    CHECK(heap_empty(&h));
}

static void test_steady(void) {
    if (NN__SEPARATE_BLOCKS) skip("steady state", "address sanitizer: every tensor is a block of its own");
    else if (debug_reason) skip("steady state", debug_reason);
    else {
        steady_loop(1, 1);
        steady_loop(1, 0);
        steady_loop(2, 1);
    }
}

// ---- (c) the report
static int adds_up(const heap *h, const nn_ctx *c) { /* what nn.h counts and what was taken: a margin a block for alignment */
    nn_memory_report r = nn_memory(c);
    return h->bytes == r.now + (size_t)h->blocks * (NN__ALIGN + sizeof(void *)) && h->calls >= (long)r.allocations && /* forks count their own */
          
           r.now <= r.peak && r.step_now <= r.step_peak && r.pool_now <= r.pool_peak && r.pool_now <= r.pool_held &&
           (NN__SEPARATE_BLOCKS || r.step_now <= r.step_held) && r.kept_now <= r.now;
}

enum { DEEP = 12, WIDE = 256, ROWS = 96 };
static nn_tensor *deep_net(nn_scope s, nn_tensor *x) {
    for (int i = 0; i < DEEP; i++) x = nn_relu(nn_layer_linear(nn_in_i(s, "h", i), "fc", x, WIDE));
    return x;
}

static void test_report(void) {
    heap             h;
    nn_ctx          *c;
    nn_model        *m;
    nn_optim        *o;
    nn_tensor       *x;
    nn_memory_report r, empty = nn_memory(NULL);
    size_t           gradients = 0, activations = (size_t)2 * DEEP * ROWS * WIDE * sizeof(float), round = 0;
    memset(&h, 0, sizeof h);
    c = heap_ctx(&h, 1);
    CHECK(empty.now == 0 && empty.allocations == 0);
    r = nn_memory(c);
    CHECK(r.now > 0 && r.kept_now == r.now && r.step_now == 0 && r.pool_now == 0 && r.allocations == h.calls && adds_up(&h, c));
    m = nn_model_new(c, deep_net, NULL);
    o = nn_sgd(m, 0.01f, 0);
    nn_model_build(m, NN_F32, NN_SHAPE(ROWS, WIDE));
    CHECK(nn_model_size(m) == DEEP * (WIDE * WIDE + WIDE));
    r = nn_memory(c);
    CHECK(r.kept_now >= (size_t)nn_model_size(m) * 4 && r.step_now == 0 && r.pool_now == 0);
    x = nn_uniform(c, NN_F32, NN_SHAPE(ROWS, WIDE), -1, 1);
    x = nn_forward(m, x);
    r = nn_memory(c);
    CHECK(r.step_now >= activations && r.pool_now == 0 && adds_up(&h, c));
    nn_backward(nn_mean(nn_square(x), NN_ALL, 0));
    for (int i = 0; i < nn_model_count(m); i++) {
        nn_tensor *g = nn_grad(nn_model_tensor(m, c, nn_model_name(m, i)));
        nn__pool_class((size_t)nn_numel(g) * 4, &round);
        gradients += round;
    }
    r = nn_memory(c);
    CHECK(gradients >= (size_t)nn_model_size(m) * 4);
    CHECK(r.pool_now == gradients);
    CHECK(r.pool_peak >= gradients && r.pool_peak - gradients < activations / 4); /* they came and went one by one */
    nn_reset(c);
    r = nn_memory(c);
    CHECK(r.pool_now == gradients && r.step_now == 0 && adds_up(&h, c));
    nn_step(o);
    r = nn_memory(c);
    CHECK(r.pool_now == 0 && adds_up(&h, c));
    nn_reset(c);
    { /* nn_zero_grad gives back as well; two backwards hold what one does */
        x = nn_uniform(c, NN_F32, NN_SHAPE(4, WIDE), -1, 1);
        nn_backward(nn_mean(nn_square(nn_forward(m, x)), NN_ALL, 0));
        nn_backward(nn_mean(nn_square(nn_forward(m, x)), NN_ALL, 0));
        CHECK(nn_memory(c).pool_now == gradients);
        for (int i = 0; i < nn_model_count(m); i++) nn_zero_grad(nn_model_tensor(m, c, nn_model_name(m, i)));
        CHECK(nn_memory(c).pool_now == 0);
        nn_reset(c);
    }
    { /* a leaf of the step keeps its gradient until nn_reset, an intermediate if it is asked for */
        nn_tensor *w = nn_requires_grad(nn_ones(c, NN_F64, NN_SHAPE(8))), *v;
        v = nn_retain_grad(nn_exp(w));
        nn_backward(nn_sum(nn_mul(v, v), NN_ALL, 0));
        CHECK(nn_memory(c).pool_now == 128 && nn_grad(w) && nn_grad(v));
        nn_reset(c);
        CHECK(nn_memory(c).pool_now == 0);
    }
    r     = nn_memory(c);
    round = (size_t)nn_model_size(m) * 4;
    nn_model_free(m);
    nn_optim_free(o);
    CHECK(nn_memory(c).kept_now <= r.kept_now - round && nn_memory(c).kept_now < round / 2); /* what is left is scratch */
    CHECK(nn_memory(c).step_now == 0 && adds_up(&h, c));
    CHECK(nn_error(c) == NN_OK);
    nn_end(c);
    CHECK(heap_empty(&h));
}

// ---- (d) homes and ends
static void test_homes(void) {
    heap             h;
    nn_ctx          *c, *f;
    nn_model        *m, *n;
    nn_tensor       *x, *y, *kept;
    nn_memory_report before, after;
    float            xs[64 * 9];
    size_t           room;
    fill_ramp(xs, 64 * 9);
    memset(&h, 0, sizeof h);
    c = heap_ctx(&h, 1);

    nn_arange(c, NN_F32, 0, 1000, 1); /* the arena is there */
    nn_reset(c);
    before = nn_memory(c);
    x      = nn_arange(c, NN_F32, 0, 1000, 1);
    kept   = nn_keep(nn_reshape(x, NN_SHAPE(10, 100)));
    nn_reset(c);
    after  = nn_memory(c);
    CHECK(after.kept_now >= before.kept_now + 4000 && after.kept_now <= before.kept_now + 4000 + 2 * sizeof(nn_tensor) + 4096);
    for (int i = 0; i < 3; i++) nn_reset(c);
    CHECK(nn_get(kept, NN_SHAPE(9, 99)) == 999 && nn_get(kept, NN_SHAPE(0, 1)) == 1);
    y = nn_keep(kept);
    nn_drop(kept);
    CHECK(nn_get(y, NN_SHAPE(9, 99)) == 999);
    nn_drop(y);
    nn_drop(NULL);
    nn_reset(c);
    after = nn_memory(c);
    if (!debug_reason) CHECK(after.kept_now == before.kept_now);
    CHECK(nn_keep(NULL) == NULL && nn_error(c) == NN_OK);

    { /* kept tensors end in any order */
        nn_tensor *k[5];
        before = nn_memory(c);
        for (int i = 0; i < 5; i++) k[i] = nn_keep(nn_full(c, NN_F64, NN_SHAPE(3), i));
        nn_reset(c);
        before = nn_memory(c);
        nn_drop(k[2]); nn_drop(k[0]); nn_drop(k[4]);
        CHECK(nn_get(k[1], NN_SHAPE(2)) == 1 && nn_get(k[3], NN_SHAPE(0)) == 3);
        nn_drop(k[3]); nn_drop(k[1]);
        CHECK(nn_memory(c).kept_now < before.kept_now);
        k[0] = nn_requires_grad(nn_keep(nn_ones(c, NN_F32, NN_SHAPE(4)))); /* a kept leaf, with its gradient */
        nn_backward(nn_sum(nn_square(k[0]), NN_ALL, 0));
        nn_reset(c);
        CHECK(nn_get(nn_grad(k[0]), NN_SHAPE(1)) == 2 && nn_memory(c).pool_now == 64);
        nn_drop(k[0]);
        CHECK(nn_memory(c).pool_now == 0);
    }

    m = nn_model_new(c, small_net, NULL);
    nn_model_build(m, NN_F32, NN_SHAPE(64, 9));
    x      = nn_wrap(c, xs, NN_F32, NN_SHAPE(64, 9));
    before = nn_memory(c);
    y      = nn_predict(m, x);
    after  = nn_memory(c);
    room   = nn__round_up(64 * 3 * 4, NN__ALIGN) + nn__round_up(sizeof(nn_tensor), NN__ALIGN);
    CHECK(y && after.step_now - before.step_now <= room && after.step_now - before.step_now >= 64 * 3 * 4);
    CHECK(after.pool_now == before.pool_now);
    for (int i = 0; i < 9; i++) y = nn_predict(m, x);
    CHECK(nn_memory(c).step_now - before.step_now <= 10 * room);
    before = nn_memory(c);
    {
        nn_data *d = nn_data_new(x, y);
        before = nn_memory(c);
        nn_evaluate(m, d, NULL);
        CHECK(nn_memory(c).step_now == before.step_now);
        nn_data_free(d);
    }
    nn_reset(c);
    CHECK(nn_memory(c).step_now == 0);

    if (NN__SEPARATE_BLOCKS) skip("chunks merge", "address sanitizer: every tensor is a block of its own");
    else {
        for (int round_trip = 0; round_trip < 2; round_trip++) {
            for (int i = 0; i < 12; i++) nn_zeros(c, NN_F32, NN_SHAPE(100, 300));
            if (!round_trip) CHECK(c->first_chunk && c->first_chunk->next);
            else CHECK(c->first_chunk && !c->first_chunk->next);
            after = nn_memory(c);
            nn_reset(c);
            CHECK(c->first_chunk && !c->first_chunk->next && nn_memory(c).step_held >= after.step_now && nn_memory(c).step_now == 0);
        }
        before = nn_memory(c);
        for (int i = 0; i < 12; i++) nn_zeros(c, NN_F32, NN_SHAPE(100, 300));
        nn_reset(c);
        if (!debug_reason) CHECK(nn_memory(c).allocations == before.allocations);
    }

    /* everything that can be left to nn_end is left to it */
    nn_save(m, path_model);
    n = nn_model_new(c, small_net, NULL);
    nn_load(n, path_model); /* waits for names that never come */
    n = nn_model_new(c, small_net, NULL);
    nn_load(n, path_model);
    nn_load(n, path_model); /* the second file replaces the first */
    nn_model_free(n);
    nn_file_open(c, path_model);
    f = nn_fork(c);
    CHECK(nn_keep(nn_ones(f, NN_F32, NN_SHAPE(5))) != NULL);
    CHECK(nn_predict(m, nn_wrap(f, xs, NN_F32, NN_SHAPE(64, 9))) != NULL);
    nn_fork_shapes(f);
    nn_end(nn_fork(c)); /* and what ends early is not ended twice */
    CHECK(nn_keep(nn_state(nn_enter(m, c, NN_TRAIN), "count", NN_I64, NN_SHAPE(2))) != NULL);
    CHECK(nn_error(c) == NN_OK && nn_error(f) == NN_OK);
    nn_end(c);
    CHECK(heap_empty(&h));

    { /* a context that only ever failed */
        heap   g;
        memset(&g, 0, sizeof g);
        c = heap_ctx(&g, 1);
        nn_matmul(nn_ones(c, NN_F32, NN_SHAPE(2, 3)), nn_ones(c, NN_F32, NN_SHAPE(2, 3)));
        CHECK(nn_error(c) == NN_ERR_SHAPE);
        nn_reset(c);
        nn_end(c);
        CHECK(heap_empty(&g));
        nn_end(NULL);
        nn_reset(NULL);
    }
    { /* sizes that no memory has */
        heap   g;
        memset(&g, 0, sizeof g);
        c = heap_ctx(&g, 1);
        g.fail_at = g.calls + 1;
        CHECK(nn_zeros(c, NN_F32, NN_SHAPE(1000, 1000)) == NULL && nn_error(c) == NN_ERR_MEMORY);
        nn_error_clear(c);
        CHECK(nn_zeros(c, NN_F64, NN_SHAPE(INT64_MAX / 2, 3)) == NULL && nn_error(c) == NN_ERR_RANGE);
        nn_error_clear(c);
        CHECK(nn_zeros(c, NN_F32, NN_SHAPE(1000, 1000)) != NULL && nn_error(c) == NN_OK);
        nn_end(c);
        CHECK(heap_empty(&g));
    }
}

// ---- (e) a tensor used after nn_reset
static int dropped(nn_ctx *c) {
    int ok = nn_error(c) == NN_ERR_CONTEXT && strstr(nn_error_text(c), "was dropped by nn_reset") != NULL;
    if (!ok) printf("   got %d: %s\n", (int)nn_error(c), nn_error_text(c));
    nn_error_clear(c);
    return ok;
}

static void test_dropped(void) {
    heap       h;
    nn_ctx    *c;
    nn_tensor *x, *v, *kept;
    nn_model  *m;
    memset(&h, 0, sizeof h);
    c = heap_ctx(&h, 1);
    if (!debug_reason && NN__SEPARATE_BLOCKS) {
        skip("dropped tensors", "address sanitizer sees them itself; with NN_DEBUG they are tested");
        nn_end(c);
        return;
    }
    kept = nn_keep(nn_ones(c, NN_F32, NN_SHAPE(2, 3)));
    m    = nn_model_new(c, small_net, NULL);
    nn_model_build(m, NN_F32, NN_SHAPE(2, 3));
    nn_reset(c);
    x = nn_ones(c, NN_F32, NN_SHAPE(2, 3));
    v = nn_transpose(x, 0, 1);
    nn_reset(c);
    CHECK(nn_exp(x) == NULL && dropped(c));
    CHECK(nn_exp(v) == NULL && dropped(c));
    CHECK(nn_add(kept, x) == NULL && dropped(c));
    CHECK(nn_forward(m, x) == NULL && dropped(c));
    CHECK(nn_keep(x) == NULL && dropped(c));
    CHECK(nn_ptr(x) == NULL && dropped(c));
    CHECK(nn_item(nn_sum(nn_mul(kept, kept), NN_ALL, 0)) == 6 && nn_error(c) == NN_OK); /* the kept one is fine */
    if (debug_reason) { /* also long after */
        nn_reset(c);
        x = nn_requires_grad(nn_ones(c, NN_F32, NN_SHAPE(2, 3)));
        v = nn_transpose(x, 0, 1);
        for (int i = 0; i < 100; i++) {
            nn_add(nn_full(c, NN_F32, NN_SHAPE(7), i), nn_full(c, NN_F32, NN_SHAPE(7), i));
            nn_predict(m, kept);
            nn_reset(c);
        }
        CHECK(nn_exp(x) == NULL && dropped(c));
        CHECK(nn_sum(v, NN_ALL, 0) == NULL && dropped(c));
        CHECK(nn_backward(x) == 0 && dropped(c));
        CHECK(nn_grad(x) == NULL && dropped(c));
        CHECK(nn_set(x, NN_SHAPE(0, 0), 1) == 0 && dropped(c));
        CHECK(nn_assign(kept, x) == 0 && dropped(c));
        CHECK(nn_data_new(kept, v) == NULL && dropped(c));
        CHECK(nn_predict(m, x) == NULL && dropped(c));
    }
    nn_end(c);
    CHECK(heap_empty(&h));
}

int main(void) {
    long id = 0;
#if !defined(_WIN32)
    id = (long)getpid(); /* several builds of this test may run at once */
#endif
    snprintf(path_model, sizeof path_model, "build/memory_%ld.safetensors", id);
    snprintf(path_optim, sizeof path_optim, "build/memory_%ld_optim.safetensors", id);
    test_failing(1, 0, 0);
    test_failing(1, 1, 0);
    test_failing(1, 0, 1);
    test_failing(2, 0, 0);
    test_steady();
    test_report();
    test_homes();
    test_dropped();
    remove(path_model);
    remove(path_optim);
    if (skipped) printf("memory: %d passed, %d failed, %d skipped\n", passed, failed, skipped);
    else printf("memory: %d passed, %d failed\n", passed, failed);
    return failed != 0;
}
