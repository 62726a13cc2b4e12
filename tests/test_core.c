// The mechanisms: views, tape, versions, models and their names, state, files, training, threads, shape-only contexts,
// backends. (Ops: test_ops.c; messages: test_errors.c; memory: test_memory.c; PyTorch's values: test_golden.c.)
#define NN_IMPLEMENTATION
#include "nn.h"
#if !defined(NN_NO_THREADS)
#include <pthread.h>
#endif

static int passed, failed;
static void check(int ok, const char *what, int line) {
    if (ok) passed++;
    else { failed++; printf("test_core.c:%d: %s\n", line, what); }
}
#define CHECK(x) check((x) != 0, #x, __LINE__)
#define NEAR(a, b, tolerance) check(fabs((double)(a) - (double)(b)) <= (tolerance), #a " is not near " #b, __LINE__)

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

// ---- tensors and views
static void test_views(void) {
    nn_ctx    *c = quiet_ctx(1, 0);
    nn_tensor *x = nn_reshape(nn_arange(c, NN_F32, 0, 24, 1), NN_SHAPE(2, 3, 4)), *y, *z;
    CHECK(nn_numel(x) == 24 && nn_ndim(x) == 3 && nn_dim(x, -1) == 4 && nn_dim(x, 0) == 2);
    y = nn_permute(x, NN_AXES(2, 0, 1));
    CHECK(nn_dim(y, 0) == 4 && nn_get(y, NN_SHAPE(3, 1, 2)) == 23 && !nn_is_contiguous(y));
    CHECK(nn_get(nn_transpose(x, 0, -1), NN_SHAPE(1, 2, 0)) == 9);
    y = nn_slice(x, 1, NN_TO_END, -10, -2); /* rows 2, 0 */
    CHECK(nn_dim(y, 1) == 2 && nn_get(y, NN_SHAPE(1, 0, 0)) == 20 && nn_get(y, NN_SHAPE(1, 1, 3)) == 15);
    CHECK(nn_dim(nn_slice(x, 2, 1, 100, 2), 2) == 2 && nn_dim(nn_slice(x, 2, 3, 1, 1), 2) == 0);
    CHECK(nn_dim(nn_slice(x, 0, -1, NN_TO_END, 1), 0) == 1);
    z = nn_select(x, 0, -1);
    CHECK(nn_ndim(z) == 2 && nn_get(z, NN_SHAPE(0, 0)) == 12);
    z = nn_expand(nn_slice(x, 0, 0, 1, 1), NN_SHAPE(5, 3, 4));
    CHECK(nn_dim(z, 0) == 5 && nn_get(z, NN_SHAPE(4, 2, 3)) == 11);
    CHECK(nn_ndim(nn_unsqueeze(x, 0)) == 4 && nn_dim(nn_unsqueeze(x, -1), 3) == 1 && nn_ndim(nn_squeeze(nn_unsqueeze(x, 1), 1)) == 3);
    CHECK(nn_dim(nn_flatten(x, 1), 1) == 12);
    y = nn_reshape(nn_transpose(x, 1, 2), NN_SHAPE(2, -1)); /* only a copy can do it */
    CHECK(nn_get(y, NN_SHAPE(0, 1)) == 4 && nn_get(y, NN_SHAPE(1, 11)) == 23);
    y = nn_reshape(nn_slice(x, 0, 1, 2, 1), NN_SHAPE(3, 2, 2)); /* a view of a view */
    CHECK(nn_get(y, NN_SHAPE(2, 1, 1)) == 23 && y->st == x->st);
    y = nn_reshape(nn_slice(x, 2, 0, 2, 1), NN_SHAPE(6, 2)); /* strided, and still a view */
    CHECK(y->st == x->st && nn_get(y, NN_SHAPE(5, 1)) == 21);
    CHECK(nn_set(nn_select(x, 0, 0), NN_SHAPE(1, 1), 99) && nn_get(x, NN_SHAPE(0, 1, 1)) == 99); /* views share */
    y = nn_clone(nn_transpose(x, 0, 2));
    CHECK(nn_is_contiguous(y) && nn_get(y, NN_SHAPE(1, 1, 0)) == 99);
    CHECK(nn_contiguous(x) == x);
    CHECK(nn_item(nn_full(c, NN_I64, NN_SCALAR, 7)) == 7 && nn_ndim(nn_zeros(c, NN_F32, NN_SCALAR)) == 0);
    CHECK(nn_numel(nn_zeros(c, NN_F32, NN_SHAPE(3, 0))) == 0);
    CHECK(nn_assign(nn_slice(x, 0, 0, 1, 1), nn_slice(x, 0, 1, 2, 1)) && nn_get(x, NN_SHAPE(0, 0, 0)) == 12);
    {
        float a[6] = {1, 2, 3, 4, 5, 6}, b[6];
        y = nn_wrap(c, a, NN_F32, NN_SHAPE(2, 3));
        CHECK(nn_f32(y) == a && nn_read(nn_transpose(y, 0, 1), b, sizeof b) && b[1] == 4 && b[5] == 6);
        CHECK(nn_write(nn_transpose(y, 0, 1), b, sizeof b) && a[1] == 2 && a[3] == 4);
        CHECK(nn_f32(nn_from(c, a, NN_F32, NN_SHAPE(6))) != a);
    }
    CHECK(nn_error(c) == NN_OK);
    nn_end(c);
}

static void test_casts(void) {
    nn_ctx      *c = quiet_ctx(1, 0);
    const double v[9] = {0, 1.5, -2.75, 65504, 70000, 1e-7, -0.0, 300, -1};
    nn_tensor   *x = nn_from(c, v, NN_F64, NN_SHAPE(9));
    CHECK(nn_get(nn_cast(x, NN_F16), NN_SHAPE(3)) == 65504 && nn_get(nn_cast(x, NN_F16), NN_SHAPE(4)) == INFINITY);
    NEAR(nn_get(nn_cast(x, NN_F16), NN_SHAPE(5)), 1e-7, 3e-8); /* a subnormal */
    CHECK(nn_get(nn_cast(x, NN_BF16), NN_SHAPE(2)) == -2.75);
    CHECK(nn_get(nn_cast(x, NN_U8), NN_SHAPE(7)) == 255 && nn_get(nn_cast(x, NN_U8), NN_SHAPE(8)) == 0 && nn_get(nn_cast(x, NN_I32), NN_SHAPE(2)) == -2);
    CHECK(nn_get(nn_cast(nn_full(c, NN_F32, NN_SCALAR, NAN), NN_I64), NN_SCALAR) == 0);
    for (uint32_t u = 0; u < 65536; u++) { /* every half survives the way to f32 and back */
        float f = nn__f16_to_f32((uint16_t)u), g = nn__bf16_to_f32((uint16_t)u);
        if (f == f && nn__f32_to_f16(f) != u) { CHECK(!"f16 round trip"); break; }
        if (g == g && nn__f32_to_bf16(g) != u) { CHECK(!"bf16 round trip"); break; }
    }
    CHECK(nn__f32_to_f16(1.00048828125f) == 0x3c00 && nn__f32_to_f16(1.00048840045928955f) == 0x3c01); /* ties to even */
    CHECK(nn_error(c) == NN_OK);
    nn_end(c);
}

// ---- tape
static nn_tensor *cube(nn_tensor *x) { return nn_mul(nn_square(x), x); }

static void test_tape(void) {
    nn_ctx    *c = quiet_ctx(1, 0);
    nn_tensor *x = nn_requires_grad(nn_full(c, NN_F64, NN_SHAPE(3), 2)), *y, *g[2], *h, *w;
    nn_backward(nn_sum(cube(x), NN_ALL, 0));
    CHECK(nn_get(nn_grad(x), NN_SHAPE(1)) == 12);
    nn_backward(nn_sum(cube(x), NN_ALL, 0)); /* accumulates */
    CHECK(nn_get(nn_grad(x), NN_SHAPE(1)) == 24);
    nn_zero_grad(x);
    CHECK(nn_grad(x) == NULL && nn_error(c) == NN_OK);
    /* third order: x^3 -> 6 */
    y = nn_sum(cube(x), NN_ALL, 0);
    CHECK(nn_grad_of(y, NULL, &x, 1, g, NN_CREATE_GRAPH) && nn_get(g[0], NN_SHAPE(0)) == 12);
    CHECK(nn_grad_of(nn_sum(g[0], NN_ALL, 0), NULL, &x, 1, g, NN_CREATE_GRAPH) && nn_get(g[0], NN_SHAPE(0)) == 12);
    CHECK(nn_grad_of(nn_sum(g[0], NN_ALL, 0), NULL, &x, 1, g, 0) && nn_get(g[0], NN_SHAPE(0)) == 6);
    CHECK(nn_grad(x) == NULL);
    /* an intermediate: asked for by nn_grad_of, or retained */
    h = nn_retain_grad(nn_square(x));
    y = nn_sum(nn_mul(h, x), NN_ALL, 0);
    CHECK(nn_grad_of(y, NULL, &h, 1, g, 0) && nn_get(g[0], NN_SHAPE(0)) == 2);
    nn_backward(y);
    CHECK(nn_get(nn_grad(h), NN_SHAPE(2)) == 2 && nn_get(nn_grad(x), NN_SHAPE(2)) == 12);
    nn_grad(y);
    CHECK(failed_with(c, NN_ERR_GRAD, "nn_retain_grad"));
    /* a non-uniform upstream gradient, and the same tensor twice */
    nn_zero_grad(x);
    w = nn_arange(c, NN_F64, 1, 4, 1);
    CHECK(nn_backward_from(nn_add(x, x), w, 0) && nn_get(nn_grad(x), NN_SHAPE(2)) == 6);
    /* no-grad and detach */
    nn_zero_grad(x);
    CHECK(nn_no_grad(c, 1) == 0);
    y = nn_sum(x, NN_ALL, 0);
    CHECK(nn_no_grad(c, 0) == 1);
    nn_backward(y);
    CHECK(failed_with(c, NN_ERR_GRAD, "nothing to differentiate"));
    CHECK(nn_backward(nn_sum(nn_mul(x, nn_detach(x)), NN_ALL, 0)) && nn_get(nn_grad(x), NN_SHAPE(0)) == 2);
    nn_backward(x);
    CHECK(failed_with(c, NN_ERR_SHAPE, "one is needed"));
    nn_end(c);
}

static void test_versions(void) {
    nn_ctx    *c = quiet_ctx(1, 0);
    nn_tensor *x = nn_requires_grad(nn_full(c, NN_F32, NN_SHAPE(3), 2)), *k = nn_full(c, NN_F32, NN_SHAPE(3), 5), *y;
    y = nn_sum(nn_mul(x, k), NN_ALL, 0);
    nn_fill(k, 1); /* mul saved k */
    nn_backward(y);
    CHECK(failed_with(c, NN_ERR_GRAD, "input 2 of 'mul'"));
    y = nn_sum(nn_add(x, k), NN_ALL, 0);
    nn_fill(k, 2); /* add saved nothing */
    CHECK(nn_backward(y) && nn_error(c) == NN_OK);
    y = nn_exp(nn_slice(x, 0, 0, 2, 1));
    nn_no_grad(c, 1);
    CHECK(nn_set(y, NN_SHAPE(0), 1)); /* exp saved its output */
    nn_no_grad(c, 0);
    nn_backward(nn_sum(y, NN_ALL, 0));
    CHECK(failed_with(c, NN_ERR_GRAD, "output 1 of 'exp'"));
    nn_fill(x, 0);
    CHECK(failed_with(c, NN_ERR_GRAD, "in-place"));
    CHECK(nn_get(x, NN_SHAPE(0)) == 2); /* refused: unchanged */
    nn_end(c);
}

// ---- models
static nn_tensor *mlp(nn_scope s, nn_tensor *x) {
    x = nn_gelu(nn_layer_layernorm(s, "norm", nn_layer_linear(s, "fc1", x, 12)));
    x = nn_layer_dropout(s, x, 0.2);
    for (int i = 0; i < 2; i++) {
        nn_scope   h = nn_in_i(s, "h", i);
        nn_tensor *y = nn_layer_linear_act(h, "fc", x, 12, NN_ACT_TANH);
        x = nn_leave(h, nn_add(x, y));
    }
    return nn_layer_linear(s, "out", x, 3);
}
static nn_tensor *shared(nn_scope s, nn_tensor *x) { /* one name, used twice */
    return nn_layer_linear(s, "fc", nn_tanh(nn_layer_linear(s, "fc", x, 4)), 4);
}
static nn_tensor *clash(nn_scope s, nn_tensor *x) { return nn_layer_linear(s, "fc", nn_layer_linear(s, "fc", x, 5), 7); }
static nn_tensor *wrong(nn_scope s, nn_tensor *x) {
    nn_scope l = nn_in(nn_in_i(s, "block", 1), "fc");
    return nn_linear(x, nn_param(l, "weight", NN_SHAPE(4, 9), nn_init_zeros()), NULL);
}
static nn_tensor *counting(nn_scope s, nn_tensor *x) { /* a buffer that training moves, and run state */
    nn_tensor *mean = nn_buffer(s, "mean", NN_SHAPE(1), nn_init_zeros());
    nn_tensor *runs = nn_state(s, "runs", NN_F32, NN_SHAPE(1));
    if (s.ctx && !s.ctx->shape_only && s.mode == NN_TRAIN) nn_fill(mean, nn_get(mean, NN_SHAPE(0)) + 1);
    if (s.ctx && !s.ctx->shape_only) nn_fill(runs, nn_get(runs, NN_SHAPE(0)) + 1);
    return nn_add(nn_layer_linear(s, "fc", x, 1), runs);
}

static void test_models(void) {
    nn_ctx    *c = quiet_ctx(1, 5);
    nn_model  *m = nn_model_new(c, mlp, NULL), *n;
    nn_tensor *x = nn_uniform(c, NN_F32, NN_SHAPE(4, 6), -1, 1), *y, *z;
    char       text[2000];
    CHECK(nn_model_count(m) == 0 && nn_model_tensor(m, c, "fc1.weight") == NULL);
    CHECK(failed_with(c, NN_ERR_ARG, "no parameters yet"));
    y = nn_predict(m, x);
    CHECK(nn_dim(y, 0) == 4 && nn_dim(y, 1) == 3);
    CHECK(nn_model_count(m) == 10 && !strcmp(nn_model_name(m, 0), "fc1.weight") && !strcmp(nn_model_name(m, 4), "h.0.fc.weight"));
    CHECK(nn_model_size(m) == 6 * 12 + 12 + 24 + 2 * (144 + 12) + 39);
    z = nn_predict(m, x);
    for (int i = 0; i < 12; i++) CHECK(nn_f32(y)[i] == nn_f32(z)[i]); /* dropout is off */
    {
        float out[12];
        CHECK(nn_predict_f32(m, nn_f32(x), NN_SHAPE(4, 6), out, 12) && !memcmp(out, nn_f32(y), sizeof out));
    }
    z = nn_forward(m, x);
    CHECK(nn_get(z, NN_SHAPE(0, 0)) != nn_get(y, NN_SHAPE(0, 0))); /* and on */
    nn_backward(nn_sum(z, NN_ALL, 0));
    CHECK(nn_grad(nn_model_tensor(m, c, "h.1.fc.weight")) != NULL);
    CHECK(nn_summary_text(m, NN_F32, NN_SHAPE(1, 6), text, sizeof text) > 0 && strstr(text, "h.1.fc") && strstr(text, "[1,3]") && strstr(text, "459"));
    nn_reset(c);
    CHECK(nn_grad(nn_model_tensor(m, c, "h.1.fc.weight")) != NULL); /* parameters' gradients outlive the step */
    nn_model_free(m);

    /* the same seed gives the same values, whatever else the model has; another seed others */
    m = nn_model_new(c, mlp, NULL);
    nn_model_build(m, NN_F32, NN_SHAPE(1, 6));
    n = nn_model_new(c, mlp, NULL);
    nn_model_build(n, NN_F32, NN_SHAPE(64, 6));
    CHECK(!memcmp(nn_f32(nn_model_tensor(m, c, "fc1.weight")), nn_f32(nn_model_tensor(n, c, "fc1.weight")), 72 * sizeof(float)));
    CHECK(nn_f32(nn_model_tensor(m, c, "fc1.weight"))[0] != nn_f32(nn_model_tensor(m, c, "h.0.fc.weight"))[0]);

    n = nn_model_new(c, shared, NULL);
    x = nn_ones(c, NN_F32, NN_SHAPE(2, 4));
    CHECK(nn_forward(n, x) && nn_model_count(n) == 2);
    CHECK(nn_forward(nn_model_new(c, clash, NULL), x) == NULL);
    CHECK(failed_with(c, NN_ERR_NAME, "was [5,4] and is now asked for as [7,5]"));
    CHECK(nn_forward(nn_model_new(c, wrong, NULL), nn_ones(c, NN_F32, NN_SHAPE(2, 3))) == NULL);
    CHECK(failed_with(c, NN_ERR_SHAPE, "block.1.fc: linear: x [2,3], weight [4,9]: 3 and 9 differ"));
    n = nn_model_new(c, counting, NULL);
    x = nn_ones(c, NN_F32, NN_SHAPE(1, 2));
    nn_forward(n, x); nn_forward(n, x); y = nn_predict(n, x);
    CHECK(nn_item(nn_model_tensor(n, c, "mean")) == 2); /* written in training only */
    z = nn_predict(n, x);
    NEAR(nn_item(z) - nn_item(y), 1, 1e-5); /* run state lives in the context */
    nn_state_clear(c);
    NEAR(nn_item(nn_predict(n, x)) - nn_item(y), -2, 1e-5);
    CHECK(nn_error(c) == NN_OK);
    nn_end(c);
}

/* A net of another signature, run by hand: its parameters are made as they are first named */
static nn_tensor *two_inputs(nn_scope s, nn_tensor *a, nn_tensor *b) { return nn_add(nn_layer_linear(s, "a", a, 3), nn_layer_linear(s, "b", b, 3)); }

static void test_by_hand(void) {
    nn_ctx    *c = quiet_ctx(1, 1);
    nn_model  *m = nn_model_new(c, NULL, NULL);
    nn_optim  *o = nn_sgd(m, 0.1f, 0);
    double     first = 0, last = 0;
    for (int i = 0; i < 50; i++) {
        nn_tensor *l = nn_mean(nn_square(two_inputs(nn_enter(m, c, NN_TRAIN), nn_ones(c, NN_F32, NN_SHAPE(2, 4)), nn_ones(c, NN_F32, NN_SHAPE(2, 5)))), NN_ALL, 0);
        nn_backward(l);
        CHECK(nn_step(o));
        last = nn_item(l);
        if (!i) first = last;
        nn_reset(c);
    }
    CHECK(nn_model_count(m) == 4 && last < 0.01 * first);
    nn_layer_linear(nn_enter(m, c, NN_TRAIN), "late", nn_ones(c, NN_F32, NN_SHAPE(2, 4)), 3);
    CHECK(failed_with(c, NN_ERR_NAME, "names are fixed"));
    nn_forward(m, nn_ones(c, NN_F32, NN_SHAPE(2, 4)));
    CHECK(failed_with(c, NN_ERR_ARG, "nn_enter"));
    nn_end(c);
}

/* Initial values: within their bounds, and spread as they should be. */
static nn_init tried;
static nn_tensor *one_param(nn_scope s, nn_tensor *x) { return nn_add(x, nn_param(s, "w", NN_SHAPE(10000), tried)); }
static void test_inits(void) {
    nn_ctx *c = quiet_ctx(1, 9);
    const struct { nn_init init; double mean, std, bound; } cases[] = {
        {nn_init_zeros(), 0, 0, 0},
        {nn_init_const(2.5), 2.5, 0, 2.5},
        {nn_init_uniform(-1, 3), 1, 4 / sqrt(12.0), 3},
        {nn_init_normal(0.5, 2), 0.5, 2, 12},
        {nn_init_fan_in(25), 0, 0.2 / sqrt(3.0), 0.2},
        {nn_init_xavier_uniform(20, 30), 0, sqrt(2.0 / 50), sqrt(6.0 / 50)},
        {nn_init_xavier_normal(20, 30), 0, sqrt(2.0 / 50), 6 * sqrt(2.0 / 50)},
        {nn_init_he_uniform(8), 0, 0.5, sqrt(6.0 / 8)},
        {nn_init_he_normal(8), 0, 0.5, 3}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        nn_model *m = nn_model_new(c, one_param, NULL);
        double    mean = 0, square = 0, largest = 0;
        float    *w;
        tried = cases[i].init;
        nn_model_build(m, NN_F32, NN_SHAPE(1));
        w = nn_f32(nn_model_tensor(m, c, "w"));
        for (int k = 0; w && k < 10000; k++) {
            mean += w[k] / 1e4;
            square += (double)w[k] * w[k] / 1e4;
            if (fabs((double)w[k]) > largest) largest = fabs((double)w[k]);
        }
        NEAR(mean, cases[i].mean, 0.04 * cases[i].std + 1e-6);
        NEAR(sqrt(fabs(square - mean * mean)), cases[i].std, 0.03 * cases[i].std + 1e-3);
        CHECK(largest <= cases[i].bound * 1.0001);
    }
    CHECK(nn_error(c) == NN_OK);
    nn_end(c);
}

static void test_shape_only(void) {
    nn_config  g = nn_config_defaults();
    nn_ctx    *c;
    nn_model  *m;
    nn_tensor *x, *y;
    g.shape_only = 1;
    g.quiet      = 1;
    c = nn_begin(&g);
    x = nn_zeros(c, NN_F32, NN_SHAPE(1000000, 1000000)); /* far more than there is memory */
    y = nn_sum(nn_matmul(x, x), NN_AXES(0), 0);
    CHECK(nn_dim(y, 0) == 1000000 && nn_f32(y) == NULL);
    CHECK(failed_with(c, NN_ERR_ARG, "shape-only"));
    m = nn_model_new(c, mlp, NULL);
    y = nn_forward(m, nn_zeros(c, NN_F32, NN_SHAPE(1000000, 6)));
    CHECK(nn_dim(y, 1) == 3 && nn_model_count(m) == 10 && nn_backward(nn_sum(y, NN_ALL, 0)));
    nn_matmul(x, nn_zeros(c, NN_F32, NN_SHAPE(3, 3)));
    CHECK(failed_with(c, NN_ERR_SHAPE, "1000000 and 3 differ"));
    CHECK(nn_memory(c).peak < 1000000);
    nn_end(c);
}

// ---- training, files
static nn_data *circle_data(nn_ctx *c, int n) {
    nn_tensor *x = nn_zeros(c, NN_F32, NN_SHAPE(n, 6)), *y = nn_zeros(c, NN_I32, NN_SHAPE(n));
    for (int i = 0; x && y && i < n; i++) {
        for (int k = 0; k < 6; k++) nn_f32(x)[i * 6 + k] = (float)sin(i * 0.7 + k * k);
        nn_i32(y)[i] = nn_f32(x)[i * 6] > 0.3f ? 2 : nn_f32(x)[i * 6 + 1] > 0 ? 1 : 0;
    }
    return nn_data_new(x, y);
}

static double train_once(int threads, const char *isa, float *out, int n_out) { /* the final loss; first weights to out */
    nn_config      g = nn_config_defaults();
    nn_fit_options f = nn_fit_defaults();
    nn_ctx        *c;
    nn_model      *m;
    nn_data       *d;
    nn_history     h;
    double         loss;
    g.threads = threads; g.seed = 3; g.isa = isa; g.quiet = 1;
    c = nn_begin(&g);
    d = circle_data(c, 300);
    m = nn_model_new(c, mlp, NULL);
    f.epochs = 8; f.quiet = 1; f.validation = 0.2f; f.clip = 1; f.lr = 0.01f;
    h    = nn_fit(m, d, &f);
    loss = h.epochs == 8 ? h.loss[7] : NAN;
    CHECK(h.loss[7] < 0.7 * h.loss[0] && h.valid_accuracy[7] > 0.6);
    memcpy(out, nn_f32(nn_model_tensor(m, c, "fc1.weight")), (size_t)n_out * sizeof *out);
    CHECK(nn_error(c) == NN_OK);
    nn_end(c);
    return loss;
}

static void test_training(void) {
    static const char *isas[] = {"scalar", "sse2", "avx2", "avx512", "neon"};
    float  a[72], b[72];
    double first = train_once(1, NULL, a, 72);
    for (int t = 2; t <= 5; t += 3) {
        CHECK(train_once(t, NULL, b, 72) == first);
        CHECK(!memcmp(a, b, sizeof a)); /* the same bits for any number of threads */
    }
    for (int i = 0; i < NN__ISAS; i++)
        if (nn__cpu_has(i) && nn__kernels_of(i)) NEAR(train_once(1, isas[i], b, 72), first, 0.05);
}

static void test_files(void) {
    nn_ctx   *c = quiet_ctx(1, 2);
    nn_model *m = nn_model_new(c, mlp, NULL), *n;
    nn_data  *d = circle_data(c, 64);
    nn_optim *o = nn_adamw(m, 0.01f, 0.01f), *p;
    nn_file  *f;
    nn_batch  b;
    float     after[72];
    CHECK(nn_data_shuffle(d, 0));
    for (int epoch = 0; epoch < 2; epoch++)
        while (nn_data_next(d, &b)) { nn_backward(nn_cross_entropy(nn_forward(m, b.x), b.y)); nn_step(o); nn_reset(c); }
    CHECK(nn_save(m, "build/core.safetensors") && nn_optim_save(o, "build/core_optim.safetensors"));
    c->step = 1000; /* so that both continuations draw the same dropout */
    while (nn_data_next(d, &b)) { nn_backward(nn_cross_entropy(nn_forward(m, b.x), b.y)); nn_step(o); nn_reset(c); }
    memcpy(after, nn_f32(nn_model_tensor(m, c, "fc1.weight")), sizeof after);
    /* resumed from the file: the same bits */
    n = nn_model_new(c, mlp, NULL);
    nn_model_build(n, NN_F32, NN_SHAPE(1, 6));
    p = nn_adamw(n, 0.01f, 0.01f);
    CHECK(nn_optim_load(p, "build/core_optim.safetensors"));
    c->step = 1000;
    while (nn_data_next(d, &b)) { nn_backward(nn_cross_entropy(nn_forward(n, b.x), b.y)); nn_step(p); nn_reset(c); }
    CHECK(!memcmp(after, nn_f32(nn_model_tensor(n, c, "fc1.weight")), sizeof after));
    /* loaded before its names are known; equal predictions, bit for bit */
    CHECK(nn_load(m, "build/core.safetensors"));
    n = nn_model_new(c, mlp, NULL);
    CHECK(nn_load(n, "build/core.safetensors"));
    {
        nn_tensor *x = nn_data_x(d, 0, 5), *y = nn_predict(m, x), *z = nn_predict(n, x);
        CHECK(y && z && !memcmp(nn_f32(y), nn_f32(z), 15 * sizeof(float)));
    }
    f = nn_file_open(c, "build/core.safetensors");
    CHECK(nn_file_count(f) == 10 && nn_file_dtype(f, 0) == NN_F32 && nn_dim(nn_file_tensor(f, "out.weight"), 0) == 3);
    /* another network: a message by name, and nothing changed */
    n = nn_model_new(c, shared, NULL);
    nn_model_build(n, NN_F32, NN_SHAPE(1, 4));
    memcpy(after, nn_f32(nn_model_tensor(n, c, "fc.weight")), 16 * sizeof(float));
    CHECK(!nn_load(n, "build/core.safetensors") && failed_with(c, NN_ERR_NAME, "no tensor 'fc.weight'"));
    CHECK(!memcmp(after, nn_f32(nn_model_tensor(n, c, "fc.weight")), 16 * sizeof(float)));
    CHECK(!nn_save(m, "build/no/such/folder/x") && failed_with(c, NN_ERR_FILE, "cannot be written"));
    CHECK(nn_error(c) == NN_OK);
    nn_end(c);
}

static nn_tensor *one_layer(nn_scope s, nn_tensor *x) { return nn_layer_linear(s, "fc", x, 2); }
static void test_steps(void) { /* a file's count of steps is a number that a count can be */
    static const double bad[3] = {-1, NAN, INFINITY};
    nn_config g = nn_config_defaults();
    nn_ctx   *c;
    nn_model *m;
    nn_optim *o, *p;
    g.quiet = 1;
    c = nn_begin(&g);
    m = nn_model_new(c, one_layer, NULL);
    o = nn_adam(m, 0.1f);
    p = nn_adam(m, 0.1f);
    nn_backward(nn_mean(nn_square(nn_forward(m, nn_ones(c, NN_F32, NN_SHAPE(3, 4)))), NN_ALL, 0));
    CHECK(nn_step(o) && nn_optim_save(o, "build/core_steps.safetensors") && nn_optim_load(p, "build/core_steps.safetensors"));
    for (int i = 0; i < 3; i++) {
        *nn_f64(o->slot[0].own) = bad[i];
        CHECK(nn_optim_save(o, "build/core_steps.safetensors") && !nn_optim_load(p, "build/core_steps.safetensors") && nn_error(c) == NN_ERR_ARG);
        nn_error_clear(c);
    }
    nn_end(c);
}

static void test_data(void) {
    nn_ctx  *c = quiet_ctx(1, 2);
    const char *csv = "a,b,class\r\n1,2,0\r\n\"3\", 4.5 ,1\n-1e2,+.5,1\n\n7,8,0";
    nn_csv_options o = nn_csv_defaults();
    nn_data *d, *rest, *part;
    nn_batch b;
    int      seen[300], epochs_differ = 0;
    int64_t  order[300], n = 0, total = 0;
    o.header = 1; o.scale = 2;
    d = nn_data_csv_text(c, csv, strlen(csv), &o);
    CHECK(nn_data_count(d) == 4 && nn_get(nn_data_x(d, 0, 4), NN_SHAPE(1, 1)) == 9 && nn_get(nn_data_x(d, 0, 4), NN_SHAPE(2, 0)) == -200);
    CHECK(nn_dtype_of(nn_data_y(d, 0, 4)) == NN_I32 && nn_get(nn_data_y(d, 0, 4), NN_SHAPE(2)) == 1);
    {
        static const char *numbers[] = {"0", "1e-3", "123456789.125", "3.807590643342410180e-02", "-9.99", "1E5", "00012", "4.9e-324", "1e400", ".25"};
        for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
            double v = -1, w = strtod(numbers[i], NULL);
            CHECK(nn__parse_number(numbers[i], numbers[i] + strlen(numbers[i]), &v) != NULL);
            CHECK(v == w || fabs(v - w) <= 4e-16 * fabs(w) || fabs(w) < 1e-300);
        }
    }
    d = circle_data(c, 300);
    CHECK(nn_data_split(d, 0.25, &rest, &part) && nn_data_count(rest) + nn_data_count(part) == 300 && nn_data_count(part) >= 72);
    for (int k = 0; k < 3; k++) { /* stratified */
        int64_t all = 0, mine = 0;
        nn_tensor *y = nn_data_y(d, 0, 300), *z = nn_data_y(part, 0, nn_data_count(part));
        for (int i = 0; i < 300; i++) all += nn_i32(y)[i] == k;
        for (int i = 0; i < nn_data_count(part); i++) mine += nn_i32(z)[i] == k;
        CHECK(mine == all / 4);
    }
    memset(seen, 0, sizeof seen);
    nn_data_batch(d, 64, 0);
    while (nn_data_next(d, &b)) {
        for (int i = 0; i < b.n; i++) { order[total + i] = b.index[i]; seen[b.index[i]]++; }
        CHECK(nn_get(b.x, NN_SHAPE(0, 0)) == nn_get(nn_data_x(d, b.index[0], 1), NN_SHAPE(0, 0)));
        total += b.n; n++;
    }
    CHECK(n == 5 && total == 300);
    for (int i = 0; i < 300; i++) CHECK(seen[i] == 1);
    for (total = 0; nn_data_next(d, &b); total += b.n)
        for (int i = 0; i < b.n; i++) epochs_differ |= order[total + i] != b.index[i];
    CHECK(epochs_differ);
    nn_data_batch(d, 64, 1);
    for (n = 0; nn_data_next(d, &b); n++) CHECK(b.n == 64);
    CHECK(n == 4 && nn_error(c) == NN_OK);
    {
        unsigned char idx[] = {0, 0, 8, 2, 0, 0, 0, 2, 0, 0, 0, 3, 1, 2, 3, 4, 5, 255}, big[] = {0, 0, 12, 1, 0, 0, 0, 1, 0, 0, 1, 2};
        CHECK(nn_get(nn_idx(c, idx, sizeof idx), NN_SHAPE(1, 2)) == 255 && nn_get(nn_idx(c, big, sizeof big), NN_SHAPE(0)) == 258);
        CHECK(!nn_idx(c, idx, sizeof idx - 1) && failed_with(c, NN_ERR_FORMAT, "length"));
    }
    nn_end(c);
}

// ---- forks
#if !defined(NN_NO_THREADS)
typedef struct job { nn_ctx *ctx; nn_model *model; nn_tensor *x; int rounds; float out[12]; } job;
static void *predict_many(void *arg) {
    job *j = (job *)arg;
    for (int i = 0; i < j->rounds; i++) {
        nn_tensor *x = nn_share(j->ctx, j->x), *y = nn_predict(j->model, x), *big = nn_uniform(j->ctx, NN_F32, NN_SHAPE(300, 300), 0, 1);
        nn_backward(nn_sum(nn_square(nn_forward(j->model, x)), NN_ALL, 0)); /* its own gradients */
        nn_zero_grad(nn_model_tensor(j->model, j->ctx, "fc1.weight"));
        nn_sum(nn_matmul(big, big), NN_ALL, 0); /* several contexts ask the pool at once */
        if (y) nn_read(y, j->out, sizeof j->out);
        nn_reset(j->ctx);
    }
    return NULL;
}
static void test_forks(void) {
    enum { N = 4 };
    nn_ctx    *c = quiet_ctx(2, 7);
    nn_model  *m = nn_model_new(c, mlp, NULL);
    nn_tensor *x = nn_keep(nn_uniform(c, NN_F32, NN_SHAPE(4, 6), -1, 1)), *y;
    pthread_t  thread[N];
    job        j[N];
    float      here[12];
    nn_model_build(m, NN_F32, NN_SHAPE(4, 6));
    for (int i = 0; i < N; i++) { j[i].ctx = nn_fork(c); j[i].model = m; j[i].x = x; j[i].rounds = 30; }
    for (int i = 0; i < N; i++) pthread_create(&thread[i], NULL, predict_many, &j[i]);
    for (int i = 0; i < N; i++) pthread_join(thread[i], NULL);
    y = nn_predict(m, x);
    nn_read(y, here, sizeof here);
    for (int i = 0; i < N; i++) {
        CHECK(nn_error(j[i].ctx) == NN_OK && !memcmp(here, j[i].out, sizeof here));
        if (i % 2) nn_end(j[i].ctx); /* the others end with their parent */
    }
    nn_add(x, nn_zeros(j[0].ctx, NN_F32, NN_SHAPE(4, 6)));
    CHECK(failed_with(c, NN_ERR_CONTEXT, "nn_share"));
    nn_drop(x);
    nn_end(c);
}
/* Gradients of shards, summed in order, are the gradient of the batch. */
static void test_shards(void) {
    nn_ctx    *c = quiet_ctx(1, 7), *f[2];
    nn_model  *m = nn_model_new(c, shared, NULL), *n = nn_model_new(c, shared, NULL);
    nn_optim  *o = nn_sgd(m, 0.5f, 0), *p = nn_sgd(n, 0.5f, 0);
    nn_tensor *x = nn_keep(nn_uniform(c, NN_F32, NN_SHAPE(8, 4), -1, 1));
    nn_model_build(m, NN_F32, NN_SHAPE(8, 4));
    nn_model_build(n, NN_F32, NN_SHAPE(8, 4));
    for (int k = 0; k < 2; k++) {
        f[k] = nn_fork(c);
        nn_backward(nn_sum(nn_square(nn_forward(m, nn_share(f[k], nn_slice(x, 0, 4 * k, 4 * k + 4, 1)))), NN_ALL, 0));
    }
    CHECK(nn_step_from(o, f, 2));
    nn_backward(nn_sum(nn_square(nn_forward(n, x)), NN_ALL, 0));
    CHECK(nn_step(p));
    for (int i = 0; i < 16; i++) NEAR(nn_f32(nn_model_tensor(m, c, "fc.weight"))[i], nn_f32(nn_model_tensor(n, c, "fc.weight"))[i], 1e-5);
    CHECK(!nn_step_from(o, f, 2) && failed_with(c, NN_ERR_GRAD, "nn_backward before")); /* they were used up */
    nn_end(c);
}
#endif

// ---- corners where memory, gradients and names meet
static nn_tensor *dropped_out(nn_ctx *c, nn_tensor **x, void *user) { (void)c; (void)user; return nn_dropout(nn_square(x[0]), 0.5, 1); }
static int wants_two;
static nn_tensor *grows(nn_scope s, nn_tensor *x) { /* a scope that the first run did not see */
    x = nn_layer_linear(s, "fc", nn_layer_linear(nn_in_i(s, "h", 0), "fc", x, 3), 3);
    return wants_two ? nn_layer_linear(nn_in_i(s, "h", 1), "fc", x, 3) : x;
}

static void test_corners(void) {
    nn_ctx    *c = quiet_ctx(1, 4), *f;
    nn_tensor *w = nn_requires_grad(nn_keep(nn_full(c, NN_F32, NN_SHAPE(3), 2))), *v, *g, *y, *x, *dx[1];
    nn_data   *d = nn_data_new(nn_ones(c, NN_F32, NN_SHAPE(21, 4)), nn_zeros(c, NN_I32, NN_SHAPE(21)));
    nn_model  *m;
    nn_batch   b;
    char       text[2000];
    float      first, again;
    /* the last batch is smaller, and each batch a new tensor */
    nn_data_batch(d, 10, 0);
    while (nn_data_next(d, &b)) {
        CHECK(nn_backward(nn_sum(nn_square(nn_requires_grad(b.x)), NN_ALL, 0)));
        CHECK(nn_dim(nn_grad(b.x), 0) == b.n && nn_get(nn_grad(b.x), NN_SHAPE(0, 0)) == 2);
        nn_reset(c);
    }
    /* a gradient that was used up says so */
    CHECK(nn_backward(nn_sum(nn_square(w), NN_ALL, 0)));
    g = nn_grad(w);
    nn_zero_grad(w);
    nn_square(g);
    CHECK(failed_with(c, NN_ERR_CONTEXT, "used up"));
    /* a gradient as the upstream gradient of the same leaf */
    CHECK(nn_backward(nn_sum(nn_square(w), NN_ALL, 0)) && nn_backward_from(nn_add(w, w), nn_grad(w), 0));
    CHECK(nn_get(nn_grad(w), NN_SHAPE(0)) == 4 + 8);
    /* a gradient that changed after it was used */
    v = nn_requires_grad(nn_ones(c, NN_F32, NN_SHAPE(3)));
    y = nn_sum(nn_mul(nn_grad(w), v), NN_ALL, 0);
    CHECK(nn_backward(nn_sum(w, NN_ALL, 0)));
    nn_backward(y);
    CHECK(failed_with(c, NN_ERR_GRAD, "input 1 of 'mul'"));
    nn_zero_grad(w);
    /* nn_grad_of leaves nn_grad alone, and nothing pending behind */
    y = nn_retain_grad(nn_square(w));
    CHECK(nn_grad_of(nn_sum(y, NN_ALL, 0), NULL, &w, 1, dx, 0) && nn_grad(y) == NULL && nn_grad(w) == NULL);
    x = nn_requires_grad(nn_full(c, NN_F32, NN_SCALAR, 3));
    CHECK(nn_grad_of(x, NULL, &v, 1, dx, 0) && dx[0] == NULL);
    CHECK(nn_grad_of(nn_square(x), NULL, &x, 1, dx, 0) && nn_item(dx[0]) == 6);
    /* gradients of views and of shared pieces are tensors of their own */
    x = nn_requires_grad(nn_ones(c, NN_F32, NN_SHAPE(3)));
    v = nn_requires_grad(nn_ones(c, NN_F32, NN_SHAPE(3)));
    CHECK(nn_backward(nn_sum(nn_add(x, v), NN_ALL, 0)) && nn_f32(nn_grad(x)) != NULL && nn_f32(nn_grad(x)) != nn_f32(nn_grad(v)));
    x = nn_normal(c, NN_F64, NN_SHAPE(3), 0, 1);
    CHECK(nn_gradcheck(dropped_out, &x, 1, 1, NULL) < 1e-6); /* the same mask each time */
    nn_reset(c);
    /* state of a model that is gone */
    x = nn_keep(nn_ones(c, NN_F32, NN_SHAPE(1, 2)));
    for (int i = 0; i < 6; i++) {
        m = nn_model_new(c, counting, NULL);
        y = nn_predict(m, x);
        g = nn_state(nn_enter(m, c, NN_EVAL), "runs", NN_F32, NN_SHAPE(1));
        CHECK(y && nn_item(g) == 1);
        nn_model_free(m);
    }
    /* an unseen scope has no parameters, rather than its parent's */
    wants_two = 0;
    m = nn_model_new(c, grows, NULL);
    x = nn_ones(c, NN_F32, NN_SHAPE(1, 3));
    CHECK(nn_predict(m, x) != NULL);
    wants_two = 1;
    CHECK(nn_predict(m, x) == NULL && failed_with(c, NN_ERR_NAME, "no parameter"));
    m = nn_model_new(c, shared, NULL);
    CHECK(nn_summary_text(m, NN_F32, NN_SHAPE(1, 4), text, sizeof text) > 0 && strstr(text, "fc (shared)"));
    /* a summary does not change the numbers that a fork draws */
    f     = nn_fork(c);
    first = nn_f32(nn_uniform(f, NN_F32, NN_SHAPE(1), 0, 1))[0];
    nn_end(f);
    c->forks = 0;
    nn_summary_text(m, NN_F32, NN_SHAPE(1, 4), text, sizeof text);
    f     = nn_fork(c);
    again = nn_f32(nn_uniform(f, NN_F32, NN_SHAPE(1), 0, 1))[0];
    CHECK(first == again);
    /* labels that do not fit */
    y = nn_full(c, NN_I64, NN_SHAPE(2), 4294967297.0);
    CHECK(nn_data_new(nn_ones(c, NN_F32, NN_SHAPE(2, 2)), y) == NULL && failed_with(c, NN_ERR_RANGE, "label"));
    {
        nn_fit_options o = nn_fit_defaults();
        o.quiet = 1; o.epochs = 1; o.batch = 4;
        nn_fit(nn_model_new(c, shared, NULL), d, &o);
        CHECK(nn_error(c) == NN_OK && nn_data_next(d, &b) && b.n == 10); /* as it was set */
    }
    CHECK(nn_error(c) == NN_OK);
    nn_end(c);
    { /* the same training lines on shapes alone */
        nn_config g0 = nn_config_defaults();
        nn_optim *o;
        g0.shape_only = 1;
        g0.quiet      = 1;
        c = nn_begin(&g0);
        m = nn_model_new(c, shared, NULL);
        o = nn_adam(m, 0.1f);
        CHECK(nn_backward(nn_cross_entropy(nn_forward(m, nn_zeros(c, NN_F32, NN_SHAPE(8, 4))), nn_zeros(c, NN_I32, NN_SHAPE(8)))));
        nn_clip_grad_norm(o, 1);
        CHECK(nn_step(o));
        nn_reset(c);
        CHECK(nn_error(c) == NN_OK);
        nn_end(c);
    }
}

// ---- backends
static nn_tensor *device_loss(nn_tensor *x, nn_tensor *w) { return nn_mean(nn_square(nn_softmax(nn_tanh(nn_matmul(x, w)), -1)), NN_ALL, 0); }

static void test_backend(void) {
    for (int refuse = 0; refuse < 2; refuse++) {
        nn_null_counts counts;
        nn_backend     null;
        nn_config      g = nn_config_defaults();
        nn_ctx        *c;
        nn_tensor     *x, *w, *y, *host, *gw;
        memset(&counts, 0, sizeof counts);
        counts.refuse_all = refuse;
        null      = nn_backend_null(&counts);
        g.backend = &null;
        g.quiet   = 1;
        c = nn_begin(&g);
        x = nn_uniform(c, NN_F32, NN_SHAPE(3, 4), -1, 1);
        w = nn_requires_grad(nn_uniform(c, NN_F32, NN_SHAPE(4, 5), -1, 1));
        host = device_loss(x, w);
        nn_backward(host);
        gw = nn_grad(w);
        {
            nn_tensor *dx = nn_to_device(x, 1), *dw = nn_requires_grad(nn_to_device(nn_detach(w), 1));
            CHECK(nn_device_of(dx) == 1 && nn_device_of(dw) == 1);
            y = device_loss(dx, dw);
            CHECK(nn_device_of(y) == 1 && nn_item(y) == nn_item(host));
            CHECK(nn_backward(y) && nn_device_of(nn_grad(dw)) == 1);
            for (int i = 0; i < 20; i++) NEAR(nn_get(nn_to_device(nn_grad(dw), 0), NN_SHAPE(i / 5, i % 5)), nn_get(gw, NN_SHAPE(i / 5, i % 5)), 1e-7);
            CHECK(nn_f32(dx) == NULL && failed_with(c, NN_ERR_DEVICE, "nn_to_device"));
            nn_add(dx, x);
            CHECK(failed_with(c, NN_ERR_DEVICE, "devices"));
        }
        CHECK(refuse ? counts.refused > 5 && counts.runs == 0 : counts.runs > 5 && counts.refused == 0);
        CHECK(counts.allocs > 0 && counts.copies > 0);
        nn_reset(c);
        CHECK(nn_error(c) == NN_OK);
        nn_end(c);
        CHECK(counts.allocs == counts.frees);
    }
}

static nn_tensor *two_layers(nn_scope s, nn_tensor *x) { return nn_layer_linear(s, "out", nn_layer_linear_act(s, "in", x, 6, NN_ACT_TANH), 1); }
static void test_profile(void) {
    nn_ctx    *c = nn_begin(NULL);
    nn_model  *m = nn_model_new(c, two_layers, NULL);
    nn_optim  *o = nn_adam(m, 0.1f);
    char       text[4000], *at;
    int        n;
    for (int i = 0; i < 7; i++) {
        nn_tensor *x = nn_uniform(c, NN_F32, NN_SHAPE(5, 3), 0, 1);
        if (i == 2) CHECK(nn_profile(c, 1));
        if (i == 6) CHECK(nn_profile(c, 0)); /* four steps were noted */
        nn_backward(nn_mse(nn_forward(m, x), nn_sum(x, NN_AXES(1), 1)));
        nn_step(o);
        nn_reset(c);
    }
    n = nn_profile_text(c, text, sizeof text);
    CHECK(n > 0 && n < (int)sizeof text);
    at = strstr(text, "linear                   in  ");
    CHECK(at && atoi(at + 45) == 4);
    at = strstr(text, "linear                   out ");
    CHECK(at && atoi(at + 45) == 4);
    at = strstr(text, "linear_back (backward)   in  ");
    CHECK(at && atoi(at + 45) == 4);
    at = strstr(text, "mse ");
    CHECK(at && atoi(at + 45) == 4);
    at = strstr(text, "adam ");
    CHECK(at && atoi(at + 45) == 4 && strstr(text, "limits: "));
    CHECK(strstr(text, "uniform ") && strstr(text, "36 calls"));
    CHECK(nn_profile_trace(c, "build/trace.json"));
    {
        static char json[20000];
        FILE  *f = fopen("build/trace.json", "rb");
        size_t size = f ? fread(json, 1, sizeof json - 1, f) : 0;
        int    events = 0, depth = 0, quotes = 0;
        json[size] = 0;
        if (f) fclose(f);
        for (char *e = json; (e = strstr(e, "\"ph\":\"X\"")); e++) events++;
        for (size_t i = 0; i < size; i++) { depth += (json[i] == '{' || json[i] == '[') - (json[i] == '}' || json[i] == ']'); quotes += json[i] == '"'; }
        CHECK(events == 36 && depth == 0 && quotes % 2 == 0 && strstr(json, "\"layer\":\"in\""));
    }
    CHECK(strstr(nn_cpu_info(c), nn_isa(c)) == nn_cpu_info(c) && strstr(nn_cpu_info(c), " threads"));
    CHECK(nn_profile(c, 1) && nn_profile_text(c, text, sizeof text) > 0 && strstr(text, "0 calls")); /* a new one forgets the old */
    CHECK(!nn_profile_trace(c, "no/such/folder/trace.json") && nn_error(c) == NN_ERR_FILE);
    nn_end(c);
}

static nn_tensor *wide_net(nn_scope s, nn_tensor *x) { return nn_layer_linear(s, "out", nn_layer_linear_act(s, "in", x, 70, NN_ACT_RELU), 33); }
static void test_pack(void) { /* packed weights give the same bits, also after the weights changed */
    static const int rows[4] = {1, 5, 40, 130};
    nn_ctx    *c = nn_begin(NULL);
    nn_model  *m = nn_model_new(c, wide_net, NULL);
    nn_optim  *o = nn_sgd(m, 0.1f, 0);
    for (int change = 0; change < 3; change++) {
        for (int i = 0; i < 4; i++) {
            nn_tensor *x = nn_normal(c, NN_F32, NN_SHAPE(rows[i], 50), 0, 1), *plain, *packed, *again;
            CHECK(nn_model_pack(m, 0));
            plain = nn_predict(m, x);
            CHECK(nn_model_pack(m, 1));
            packed = nn_predict(m, x);
            again  = nn_predict(m, x);
            CHECK(plain && packed && again && !memcmp(nn_f32(plain), nn_f32(packed), (size_t)rows[i] * 33 * 4) && !memcmp(nn_f32(plain), nn_f32(again), (size_t)rows[i] * 33 * 4));
            if (change == 0) continue;
            nn_backward(nn_mean(nn_square(nn_forward(m, x)), NN_ALL, 0)); /* and now the panels are stale */
            CHECK(nn_step(o));
            packed = nn_predict(m, x);
            nn_model_pack(m, 0);
            plain = nn_predict(m, x);
            CHECK(packed && plain && !memcmp(nn_f32(plain), nn_f32(packed), (size_t)rows[i] * 33 * 4));
        }
        nn_reset(c);
    }
    {   /* another context reads the panels, and makes none */
        nn_tensor *x = nn_normal(c, NN_F32, NN_SHAPE(40, 50), 0, 1), *y;
        nn_ctx    *f = nn_fork(c);
        nn_model_pack(m, 1);
        y = nn_predict(m, nn_share(f, x));
        CHECK(y && !memcmp(nn_f32(y), nn_f32(nn_predict(m, x)), 40 * 33 * 4));
        y = nn_predict(m, nn_share(f, x));
        CHECK(y && !memcmp(nn_f32(y), nn_f32(nn_predict(m, x)), 40 * 33 * 4));
    }
#if !defined(NN_USE_CBLAS) /* which takes the weights as they are */
    CHECK(m->param[0]->packed.data && m->param[0]->packed.made_of); /* and they were used */
#endif
    {   /* two parts of one weight, and the same bytes in another shape */
        nn_model  *parts = nn_model_new(c, NULL, NULL);
        nn_scope   s = nn_enter(parts, c, NN_TRAIN);
        nn_tensor *w = nn_param(s, "w", NN_SHAPE(96, 64), nn_init_normal(0, 1)), *x = nn_normal(c, NN_F32, NN_SHAPE(40, 64), 0, 1), *x2 = nn_normal(c, NN_F32, NN_SHAPE(40, 96), 0, 1), *y[2][4];
        for (int packed = 0; packed < 2; packed++) {
            nn_model_pack(parts, packed);
            nn_no_grad(c, 1);
            for (int twice = 0; twice < 2; twice++) {
                y[packed][0] = nn_linear(x, nn_slice(w, 0, 0, 32, 1), NULL);
                y[packed][1] = nn_linear(x, nn_slice(w, 0, 32, 96, 1), NULL);
                y[packed][2] = nn_linear(x, w, NULL);
                y[packed][3] = nn_linear(x2, nn_reshape(w, NN_SHAPE(64, 96)), NULL);
            }
            nn_no_grad(c, 0);
        }
        for (int i = 0; i < 4; i++) CHECK(y[0][i] && y[1][i] && !memcmp(nn_f32(y[0][i]), nn_f32(y[1][i]), (size_t)nn_numel(y[0][i]) * 4));
    }
    {   /* a layer without outputs has a gradient of zeros */
        nn_tensor *x = nn_requires_grad(nn_ones(c, NN_F32, NN_SHAPE(2, 3))), *w = nn_requires_grad(nn_ones(c, NN_F32, NN_SHAPE(0, 3)));
        nn_tensor *y = nn_linear_act(x, w, NULL, NN_ACT_RELU);
        CHECK(nn_backward_from(y, nn_zeros(c, NN_F32, NN_SHAPE(2, 0)), 0) && nn_get(nn_sum(nn_abs(nn_grad(x)), NN_ALL, 0), NN_SCALAR) == 0 && nn_numel(nn_grad(w)) == 0);
    }
    {   /* infinity is the sum's logarithm, unless there is a NaN */
        float      v[6] = {1, INFINITY, 2, INFINITY, NAN, 0};
        int32_t    k[2] = {1, 2};
        nn_tensor *x = nn_from(c, v, NN_F32, NN_SHAPE(2, 3)), *y = nn_from(c, k, NN_I32, NN_SHAPE(2));
        double     first = nn_item(nn_cross_entropy(nn_slice(x, 0, 0, 1, 1), nn_slice(y, 0, 1, 2, 1))), second = nn_item(nn_cross_entropy(nn_slice(x, 0, 1, 2, 1), nn_slice(y, 0, 1, 2, 1)));
        CHECK(first == INFINITY && second != second);
    }
    CHECK(!nn_model_pack(NULL, 1));
    CHECK(nn_error(c) == NN_OK);
    nn_end(c);
}

int main(void) {
    test_views();
    test_casts();
    test_tape();
    test_versions();
    test_models();
    test_by_hand();
    test_inits();
    test_shape_only();
    test_training();
    test_files();
    test_data();
    test_steps();
#if !defined(NN_NO_THREADS)
    test_forks();
    test_shards();
#endif
    test_corners();
    test_backend();
    test_profile();
    test_pack();
    printf("core: %d passed, %d failed\n", passed, failed);
    return failed != 0;
}
