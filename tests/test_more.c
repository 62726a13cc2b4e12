// What the other tests leave out: every allocation of the wide programs fails once; what goes to stdout and stderr; the
// environment; devices that fail; limits of rank; corners of states, schedules, summaries, profiles and predictions.
#define NN__SEPARATE_BLOCKS 1 // each tensor a block of its own: more allocations that can fail
#define NN_IMPLEMENTATION
#include "nn.h"
#if !defined(_WIN32)
#include <fcntl.h>
#include <unistd.h>
#if !defined(__cplusplus)
int setenv(const char *name, const char *value, int replace); /* hidden under a strict -std=c99 */
int unsetenv(const char *name);
#endif
#endif

static int passed, failed, skipped;
static void check(int ok, const char *what, int line) {
    if (ok) passed++;
    else { failed++; printf("test_more.c:%d: %s\n", line, what); }
}
#define CHECK(x) check((x) != 0, #x, __LINE__)
#define NEAR(a, b, tolerance) check(fabs((double)(a) - (double)(b)) <= (tolerance), #a " is not near " #b, __LINE__)

static nn_ctx *quiet_ctx(uint64_t seed) {
    nn_config g = nn_config_defaults();
    g.quiet     = 1;
    g.threads   = 1;
    g.seed      = seed;
    return nn_begin(&g);
}
static int failed_with(nn_ctx *c, nn_status code, const char *part) { /* and go on */
    int ok = nn_error(c) == code && strstr(nn_error_text(c), part) != NULL;
    if (!ok) printf("   got %d: %s\n", (int)nn_error(c), nn_error_text(c));
    nn_error_clear(c);
    return ok;
}
#define FAILS(call, code, part) (void)(call), check(failed_with(c, code, part), #call, __LINE__)

static double ramp(int i) { return (double)((i * 37 + 11) % 101) / 101 - 0.5; }
static nn_tensor *ramps(nn_ctx *c, nn_dtype dtype, nn_shape s) {
    nn_tensor *x = nn_zeros(c, NN_F64, s);
    double    *p = nn_f64(x);
    for (int i = 0; p && i < nn_numel(x); i++) p[i] = ramp(i);
    return nn_cast(x, dtype);
}
static double total(nn_tensor *x) { return nn_item(nn_sum(nn_cast(x, NN_F64), NN_ALL, 0)); } /* NaN of NULL */

static char path[3][80]; /* of temporary files */
static char *read_all(const char *name, char *text, size_t room) {
    FILE  *f = fopen(name, "rb");
    size_t n = f ? fread(text, 1, room - 1, f) : 0;
    text[n] = 0;
    if (f) fclose(f);
    return text;
}
static int occurrences(const char *text, const char *part) {
    int n = 0;
    for (; (text = strstr(text, part)) != NULL; text++) n++;
    return n;
}

// ---- every allocation fails once: it is reported, nothing leaks, and the same program then gives what it always does
typedef struct heap { long calls, fail_at, refused, blocks, bad; size_t bytes; } heap;
typedef struct head { size_t size, mark; } head;
#define MARK ((size_t)0x6d6f7265)
static void *heap_alloc(void *user, size_t size) {
    heap *h = (heap *)user;
    head *p;
    if (++h->calls == h->fail_at) { h->refused++; return NULL; }
    p = (head *)malloc(sizeof *p + size);
    if (!p) return NULL;
    p->size = size;
    p->mark = MARK;
    memset(p + 1, 0xa5, size < 100000 ? size : 100000); /* nobody may count on zeros */
    h->blocks++;
    h->bytes += size;
    return p + 1;
}
static void heap_release(void *user, void *block, size_t size) {
    heap *h = (heap *)user;
    head *p = (head *)block - 1;
    if (p->mark != MARK || p->size != size) { h->bad++; return; }
    h->blocks--;
    h->bytes -= size;
    memset(p, 0x5a, sizeof *p + (size < 100000 ? size : 100000));
    free(p);
}

typedef double (*program)(nn_ctx *c); /* what it computed; each call frees what it made, or leaves it to nn_end */

static nn_tensor *squares(nn_ctx *c, nn_tensor **x, void *user) {
    (void)c; (void)user;
    return nn_mul(x[0], x[0]);
}
static double program_ops(nn_ctx *c) {
    nn_tensor *x = ramps(c, NN_F64, NN_SHAPE(4, 3, 5)), *y = ramps(c, NN_F64, NN_SHAPE(4, 5, 2)), *many[10], *index = NULL, *spd, *parts[6];
    double     s = 0;
    s += total(nn_einsum("bij,bjk->ik", x, y));
    s += total(nn_sort(x, 1, 1, &index)) + total(index);
    s += total(nn_median(x, -1, 0)) + total(nn_argmax(x, 0, 1)) + total(nn_cumsum(x, 1)) + total(nn_prod(x, NN_AXES(0, 2), 0));
    s += total(nn_std(x, NN_AXES(1), 0, 1)) + total(nn_norm(x, NN_ALL, 0, 3)) + total(nn_logsumexp(x, NN_AXES(0), 1));
    for (int i = 0; i < 10; i++) many[i] = nn_select(x, 2, i % 5);
    s += total(nn_stack(many, 10, 1)) + total(nn_concat(many, 10, 0));
    s += total(nn_repeat(x, 3)) + total(nn_tile(x, 1, 2)) + total(nn_roll(x, 2, 2)) + total(nn_pad_with(x, 2, 2, 1, NN_PAD_REFLECT)) + total(nn_pad(x, 0, 1, 1, 2));
    s += total(nn_tril(x, 0)) + total(nn_diag(x, 1)) + total(nn_diagonal(x, -1)) + total(nn_flip(x, NN_AXES(0, 2)));
    s += nn_split(x, 2, NN_SHAPE(2, -1), parts) + nn_chunk(x, 0, 3, parts);
    spd = nn_add(nn_matmul(x, nn_transpose(x, 1, 2)), nn_eye(c, NN_F64, 3));
    s += total(nn_cholesky(spd)) + total(nn_inverse(spd)) + total(nn_det(spd)) + total(nn_triangular_solve(nn_cholesky(spd), x, 0, 0));
    s += total(nn_where(nn_less(x, nn_scalar_like(x, 0)), x, nn_scalar_like(x, 1))) + total(nn_gelu(nn_cast(x, NN_F16))) + total(nn_linspace(c, NN_F32, 0, 1, 7));
    s += total(nn_groupnorm(x, 3, NULL, NULL, 1e-5)) + total(nn_index_select(x, 0, nn_arange(c, NN_I64, 0, 4, 2))) + total(nn_one_hot(nn_arange(c, NN_I32, 0, 3, 1), 4, NN_F32));
    return s;
}
static double program_grads(nn_ctx *c) {
    nn_tensor *x = nn_requires_grad(ramps(c, NN_F64, NN_SHAPE(3, 4))), *w = nn_requires_grad(ramps(c, NN_F64, NN_SHAPE(4, 3))), *y, *dx[2] = {NULL, NULL}, *in[2];
    double     s = nn_gradcheck(squares, &x, 1, 2, NULL);
    s = s < 1e-6 ? 1 : NAN; /* how near it came is no matter */
    y = nn_softmax(nn_matmul(nn_retain_grad(nn_tanh(x)), w), 1);
    y = nn_add(nn_cumprod(y, 1), nn_index_select(nn_cholesky(nn_add(nn_matmul(y, nn_transpose(y, 0, 1)), nn_eye(c, NN_F64, 3))), 1, nn_arange(c, NN_I32, 0, 3, 1)));
    in[0] = x; in[1] = w;
    nn_grad_of(nn_sum(nn_square(y), NN_ALL, 0), NULL, in, 2, dx, NN_CREATE_GRAPH);
    y = nn_add(nn_sum(nn_square(dx[0]), NN_ALL, 0), nn_mean(nn_mul(dx[1], dx[1]), NN_ALL, 0));
    nn_backward(y);
    nn_backward(nn_sum(nn_mul(x, nn_expand(nn_sum(x, NN_AXES(0), 1), NN_SHAPE(3, 4))), NN_ALL, 0)); /* added to what is there */
    s += total(nn_grad(x)) + total(nn_grad(w));
    nn_zero_grad(x);
    return nn_grad(x) ? NAN : s;
}
static double program_metrics(nn_ctx *c) {
    static const char *const names[] = {"accuracy", "precision", "recall", "f1", "perplexity"}, *const reals[] = {"mse", "rmse", "mae", "r2", "explained_variance"};
    nn_tensor      *p = ramps(c, NN_F32, NN_SHAPE(12, 4)), *t = nn_zeros(c, NN_I32, NN_SHAPE(12)), *q = ramps(c, NN_F32, NN_SHAPE(12)), *u = nn_scale(nn_roll(q, 0, 1), 0.5), *mask;
    nn_loss_options o;
    int32_t        *classes = nn_i32(t);
    double          s = 0;
    memset(&o, 0, sizeof o);
    for (int i = 0; classes && i < 12; i++) classes[i] = i % 4;
    for (int i = 0; i < 5; i++) s += nn_metric(names[i], p, t) + nn_metric(reals[i], q, u);
    mask = nn_cast(nn_greater(q, nn_scalar_like(q, 0)), NN_I32);
    s += nn_roc_auc(u, mask) + nn_metric("auc", u, mask) + nn_topk_accuracy(p, t, 2) + total(nn_confusion(p, t));
    o.smoothing = 0.1f;
    o.weight    = nn_linspace(c, NN_F32, 1, 2, 4);
    s += total(nn_loss_named("cross_entropy", p, t, &o));
    s += total(nn_focal(q, nn_cast(mask, NN_F32))) + total(nn_huber(q, u)) + total(nn_cosine_similarity(p, nn_flip(p, NN_AXES(0)), 1));
    return s;
}
static nn_tensor *wide_net(nn_scope s, nn_tensor *x) {
    nn_tensor *count = nn_state(nn_in(s, "count"), "calls", NN_F64, NN_SCALAR);
    if (count && count->st->data && !x->ctx->plan) nn_assign(count, nn_add_scalar(count, 1));
    x = nn_layer_linear_act(s, "in", x, 8, NN_ACT_RELU);
    x = nn_layer_batchnorm(s, "norm", x);
    x = nn_matmul(x, nn_weight_norm(s, "v", NN_SHAPE(8, 6), nn_init_orthogonal(1)));
    x = nn_layer_rmsnorm(s, "rms", nn_layer_groupnorm(s, "group", x, 2));
    return nn_layer_bilinear(s, "out", x, nn_tanh(x), 3);
}
static void count_layer(void *user, const char *layer, nn_tensor *y) {
    if (y) *(int *)user += (int)strlen(layer);
}
static double program_model(nn_ctx *c) {
    nn_model  *m = nn_model_new(c, wide_net, NULL);
    nn_tensor *x = ramps(c, NN_F32, NN_SHAPE(9, 5));
    float      y[27];
    char       text[3000];
    double     s = 0;
    int        called = 0;
    nn_model_hook(m, count_layer, &called);
    s += total(nn_forward(m, x)) + called;
    nn_model_hook(m, NULL, NULL);
    nn_model_pack(m, 1);
    s += total(nn_predict(m, x));
    nn_model_plan(m, 1);
    for (int i = 0; i < 3; i++) s += total(nn_predict(m, x));
    memset(y, 0, sizeof y);
    nn_predict_f32(m, nn_f32(x), NN_SHAPE(9, 5), y, 27);
    for (int i = 0; i < 27; i++) s += (double)y[i];
    s += nn_summary_text(m, NN_F32, NN_SHAPE(2, 5), text, sizeof text) + nn_model_train(m, "*norm*", 0);
    nn_model_free(m);
    return s;
}
static nn_tensor *plain_net(nn_scope s, nn_tensor *x) {
    return nn_layer_linear(s, "out", nn_layer_layernorm(s, "norm", nn_layer_linear_act(s, "in", x, 6, NN_ACT_TANH)), 2);
}
static double program_optim(nn_ctx *c) {
    nn_model        *m = nn_model_new(c, plain_net, NULL);
    nn_optim_options o = nn_optim_defaults();
    nn_optim        *a;
    nn_tensor       *x = ramps(c, NN_F32, NN_SHAPE(7, 3)), *y = ramps(c, NN_F32, NN_SHAPE(7, 2));
    double           s = 0;
    o.kind    = NN_MUON;
    o.lr      = 0.01f;
    o.average = 0.5f;
    nn_model_build(m, NN_F32, NN_SHAPE(7, 3));
    a = nn_optim_new(m, &o);
    nn_optim_group(a, "*.bias", 0.5f, 0.1f);
    for (int i = 0; i < 2; i++) {
        nn_backward(nn_mse(nn_forward(m, x), y));
        s += nn_clip_grad_norm(a, 0.1) + nn_clip_grad_layers(a, 0.05) + nn_clip_grad_value(a, 0.02);
        nn_step(a);
    }
    nn_optim_swap(a);
    s += total(nn_predict(m, x));
    nn_optim_save(a, path[0]);
    nn_optim_load(a, path[0]);
    nn_optim_swap(a);
    s += total(nn_predict(m, x));
    nn_optim_free(a);
    nn_model_free(m);
    return s;
}
static double program_data(nn_ctx *c) {
    static const char text[] = "length,width,kind\n1,2,\"a \"\"b\"\"\"\n3,?,c\n5,6,d\n7,8,c\n9,1,d\n2,2,\"a \"\"b\"\"\"\n";
    nn_csv_options    o = nn_csv_defaults();
    nn_data          *d, *train = NULL, *test = NULL;
    nn_model         *m = nn_model_new(c, plain_net, NULL);
    nn_batch          b;
    nn_tensor        *x, *list[2];
    nn_file          *f;
    const char *const names[2] = {"x", "y"};
    double            s = 0;
    int               n = 0;
    o.header = 1; o.text = 1; o.missing = NN_CSV_MEAN;
    d = nn_data_csv_text(c, text, sizeof text - 1, &o);
    s += (double)nn_data_classes(d) + total(nn_data_x(d, 0, NN_TO_END));
    if (nn_data_class(d, 0)) s += (double)strlen(nn_data_class(d, 0)) + (double)strlen(nn_data_column(d, 1));
    nn_data_fold(d, 2, 1, &train, &test);
    s += (double)nn_data_count(train);
    nn_data_free(test);
    nn_data_free(train);
    nn_data_free(d);
    d = nn_data_toy(c, "moons", 10, 0.1);
    nn_data_free(d);
    list[0] = ramps(c, NN_F32, NN_SHAPE(8, 2)); list[1] = ramps(c, NN_F64, NN_SHAPE(8));
    nn_file_write(c, path[0], names, list, 2);
    f = nn_file_open(c, path[0]);
    s += total(nn_file_tensor(f, "x")) + total(nn_file_tensor(f, "y"));
    nn_file_close(f);
    nn_file_write(c, path[1], names, list, 1);
    nn_file_write(c, path[2], names + 1, list + 1, 1);
    for (int window = 0; window < 4; window += 3) {
        d = nn_data_files(c, path[1], path[2], window);
        nn_data_batch(d, 3, 0);
        nn_data_shuffle(d, 0);
        while (nn_data_next(d, &b)) s += total(b.x) * (double)b.index[0] + total(b.y);
        x = nn_data_x(d, 2, 3);
        s += total(x);
        nn_data_free(d);
    }
    d = nn_data_new(list[0], list[1]);
    nn_model_free(m);
    nn_data_free(d);
    x = nn_text_read(c, path[1]);
    s += total(nn_text_lines(x)) + total(nn_text_table(x, &n));
    nn_drop(x);
    return s + n;
}
static double program_plan(nn_ctx *c) {
    nn_model        *m = nn_model_new(c, plain_net, NULL);
    nn_optim        *o;
    nn_plan         *p;
    nn_plan_options  options = nn_plan_defaults();
    nn_tensor       *x = ramps(c, NN_F32, NN_SHAPE(7, 3)), *y = ramps(c, NN_F32, NN_SHAPE(7, 2)), *loss;
    static char      text[20000];
    double           s = 0;
    nn_model_build(m, NN_F32, NN_SHAPE(7, 3));
    o = nn_adamw(m, 0.01f, 0.1f);
    options.trace = 1;
    p    = nn_plan_begin(c, &options);
    loss = nn_mse(nn_forward(m, nn_plan_input(p, "x", x)), nn_plan_input(p, "y", y));
    nn_backward(loss);
    nn_step(o);
    if (nn_plan_end(p, &loss, 1)) {
        for (int i = 0; i < 2 && nn_plan_run(p); i++) s += total(loss);
        s += nn_plan_passes_text(p, text, sizeof text) + nn_plan_dot(p, path[0]) + nn_plan_svg(p, path[1]);
    }
    nn_plan_free(p);
    nn_export_c(m, x, path[2]);
    nn_optim_free(o);
    nn_model_free(m);
    return s;
}
static double program_profile(nn_ctx *c) {
    char       text[3000];
    nn_tensor *x;
    double     s = 0;
    nn_profile(c, 1);
    x = ramps(c, NN_F32, NN_SHAPE(20, 30));
    for (int i = 0; i < 3; i++) x = nn_add(nn_exp(nn_neg(x)), x);
    s += total(x);
    s += nn_profile(c, 0) + (nn_profile_text(c, text, sizeof text) > 0) + nn_profile_trace(c, path[0]);
    return s;
}
static double program_threads(nn_ctx *c) { /* a pool, panels and scratch for each worker */
    nn_tensor *x = nn_uniform(c, NN_F32, NN_SHAPE(160, 120), -1, 1), *y = nn_normal(c, NN_F32, NN_SHAPE(120, 140), 0, 1);
    return total(nn_matmul(x, y)) + total(nn_sum(x, NN_AXES(0), 0)) + total(nn_matmul(nn_cast(x, NN_BF16), nn_cast(y, NN_BF16)));
}

static void test_failing(void) {
    static const struct { const char *name; program run; int threads, dear; } list[] = {
        {"ops", program_ops, 1, 0}, {"gradients", program_grads, 1, 0}, {"metrics", program_metrics, 1, 0}, {"model", program_model, 1, 0}, {"optimiser", program_optim, 1, 0},
        {"data", program_data, 1, 0}, {"plan", program_plan, 1, 0}, {"profile", program_profile, 1, 1}, {"threads", program_threads, 3, 1},
    };
    const int all = getenv("NN_TEST_ALL") != NULL;
    for (size_t i = 0; i < sizeof list / sizeof *list; i++) {
        double value = 0;
        long   k, leaks = 0, others = 0, unlike = 0;
        for (k = 0; k < 20000; k += all || k < 12 ? 1 : list[i].dear ? 9 : k < 150 ? 1 : 1 + k / 50) { /* 0: none fails; late ones, which are more of the same, in larger steps */
            nn_config g = nn_config_defaults();
            heap      h;
            nn_ctx   *c;
            double    v;
            memset(&h, 0, sizeof h);
            h.fail_at    = k;
            g.quiet      = 1;
            g.seed       = 3;
            g.threads    = list[i].threads;
            g.alloc      = heap_alloc;
            g.release    = heap_release;
            g.alloc_user = &h;
            c = nn_begin(&g);
            if (c) {
                v = list[i].run(c);
                if (k == 0) value = v;
                if (nn_error(c) && nn_error(c) != NN_ERR_MEMORY && others++ < 3) printf("   %s, allocation %ld: %s\n", list[i].name, k, nn_error_text(c));
                if (!nn_error(c) && v != value && unlike++ < 3) printf("   %s, allocation %ld: %.17g, not %.17g\n", list[i].name, k, v, value);
                h.fail_at = 0;
                nn_error_clear(c);
                nn_reset(c);
                nn_state_clear(c);
                nn_seed(c, 3);
                v = list[i].run(c); /* and now all is well */
                if (nn_error(c) && others++ < 3) printf("   %s, after allocation %ld: %s\n", list[i].name, k, nn_error_text(c));
                if (v != value && unlike++ < 3) printf("   %s, after allocation %ld: %.17g, not %.17g\n", list[i].name, k, v, value);
                nn_end(c);
            }
            if ((h.bytes || h.blocks || h.bad) && leaks++ < 3) printf("   %s, allocation %ld: %lu bytes left, %ld releases do not fit\n", list[i].name, k, (unsigned long)h.bytes, h.bad);
            if (k && !h.refused) break;
        }
        if (value != value) printf("   %s: NaN\n", list[i].name);
        CHECK(value == value && k > 5 && k < 20000);
        CHECK(!leaks && !others && !unlike);
    }
}

// ---- what is printed
#if !defined(_WIN32)
static int  kept_stream;
static void capture(int stream) { /* 1: stdout, 2: stderr, into a file */
    int f = creat(path[0], 0644);
    fflush(stdout);
    fflush(stderr);
    kept_stream = dup(stream);
    if (f >= 0) { dup2(f, stream); close(f); }
}
static char *captured(int stream, char *text, size_t room) {
    fflush(stdout);
    fflush(stderr);
    dup2(kept_stream, stream);
    close(kept_stream);
    return read_all(path[0], text, room);
}
static void test_printing(void) {
    nn_ctx    *c = quiet_ctx(1);
    nn_model  *m = nn_model_new(c, plain_net, NULL);
    nn_plan   *p;
    nn_tensor *x = ramps(c, NN_F32, NN_SHAPE(2, 3)), *y;
    char       text[8000], other[8000], note[40];
    int        n, fine;
    n = nn_format(x, other, sizeof other);
    capture(1);
    nn_print(x);
    captured(1, text, sizeof text);
    CHECK(n > 10 && (int)strlen(text) == n + 1 && !strncmp(text, other, (size_t)n) && text[n] == '\n');
    capture(1);
    nn_print(nn_transpose(x, 0, 1));
    nn_print(NULL);
    captured(1, text, sizeof text);
    CHECK(occurrences(text, "\n") == 3 && !strncmp(text, "[[", 2));

    n = nn_summary_text(m, NN_F32, NN_SHAPE(2, 3), other, sizeof other);
    capture(1);
    fine = nn_summary(m, NN_F32, NN_SHAPE(2, 3));
    captured(1, text, sizeof text);
    CHECK(fine && n > 100 && !strcmp(text, other) && strstr(text, "norm") && occurrences(text, "\n") == 5);
    capture(1);
    fine = nn_summary(m, NN_F32, NN_SHAPE(2, 0));
    captured(1, text, sizeof text);
    nn_error_clear(c);

    nn_profile(c, 1);
    nn_exp(x);
    nn_exp(x);
    nn_profile(c, 0);
    capture(1);
    fine = nn_profile_print(c);
    captured(1, text, sizeof text);
    CHECK(fine && strstr(text, "exp ") && strstr(text, "2 calls, ") && text[strlen(text) - 1] == '\n');

    p = nn_plan_begin(c, NULL);
    y = nn_exp(nn_neg(nn_plan_input(p, "x", x)));
    nn_plan_end(p, &y, 1);
    n = nn_plan_passes_text(p, other, sizeof other);
    capture(1);
    fine = nn_plan_passes(p);
    captured(1, text, sizeof text);
    CHECK(fine && n > 0 && !strcmp(text, other) && strstr(text, "recorded: "));
    capture(1);
    fine = nn_plan_report(p);
    captured(1, text, sizeof text);
    CHECK(fine && strstr(text, "sum: ") && strstr(text, "limits: "));
    nn_plan_free(p);

    capture(2);
    nn_debug(x);
    nn_debug(nn_exp(nn_requires_grad(ramps(c, NN_F64, NN_SHAPE(4)))));
    nn_debug(nn_transpose(x, 0, 1));
    y = nn_neg(x);
    captured(2, text, sizeof text);
    CHECK(occurrences(text, "\n") == 3 && strstr(text, ": f32 [2,3] strides [3,1] offset 0 device 0 "));
    CHECK(strstr(text, ": f64 [4] strides [1] offset 0 device 0 from exp, needs gradient\n") && strstr(text, ": f32 [3,2] strides [1,3] "));

    /* without a log function: notes as they are, errors and warnings with a name in front; the first error once */
    capture(2);
    nn_note(c, NN_LOG_INFO, "so %d", 1);
    nn_note(c, NN_LOG_WARN, "so %d", 2);
    c->config.quiet = 0;
    nn_fail(c, NN_ERR_ARG, "so %d", 3);
    nn_fail(c, NN_ERR_ARG, "so %d", 4);
    captured(2, text, sizeof text);
    CHECK(!strcmp(text, "so 1\nnn.h: so 2\nnn.h: so 3\n") && failed_with(c, NN_ERR_ARG, "so 3"));
    snprintf(note, sizeof note, "%s", "");
    nn_note(NULL, NN_LOG_INFO, "%s", note); /* nobody to tell */
    nn_end(c);
}

/* The progress of nn_fit where it goes to a file: a line an epoch, no bar */
static void test_progress(void) {
    nn_ctx        *c = quiet_ctx(1);
    nn_model      *m = nn_model_new(c, plain_net, NULL);
    nn_data       *d = nn_data_new(ramps(c, NN_F32, NN_SHAPE(20, 3)), ramps(c, NN_F32, NN_SHAPE(20, 2)));
    nn_fit_options f = nn_fit_defaults();
    char           text[2000];
    f.epochs     = 3;
    f.validation = 0.2f;
    capture(2);
    nn_fit(m, d, &f);
    captured(2, text, sizeof text);
    CHECK(nn_error(c) == NN_OK && occurrences(text, "\n") == 3 && !strchr(text, '\r'));
    CHECK(strstr(text, "epoch 1/3  loss ") == text && strstr(text, "\nepoch 3/3  loss ") && occurrences(text, "  valid ") == 3 && !strstr(text, "accuracy"));
    nn_end(c);
}

// ---- the environment
static void test_environment(void) {
    char    text[400], *was = getenv("NN_QUIET"), kept[40];
    nn_ctx *c;
    snprintf(kept, sizeof kept, "%s", was ? was : "");
    setenv("NN_THREADS", "3", 1);
    c = nn_begin(NULL);
#if !defined(NN_NO_THREADS)
    CHECK(nn_threads(c) == 3);
#endif
    nn_end(c);
    c = quiet_ctx(1); /* what the program says goes first */
    CHECK(nn_threads(c) == 1);
    nn_end(c);
    setenv("NN_THREADS", "nonsense", 1);
    c = nn_begin(NULL);
    CHECK(nn_threads(c) >= 1);
    nn_end(c);
    setenv("NN_THREADS", "100000", 1);
    c = nn_begin(NULL);
    CHECK(nn_threads(c) <= 256);
    nn_end(c);
    unsetenv("NN_THREADS");
    for (int i = 0; i < 3; i++) { /* unset or 0: errors are printed */
        if (i == 0) unsetenv("NN_QUIET");
        else setenv("NN_QUIET", i == 1 ? "0" : "1", 1);
        c = nn_begin(NULL);
        capture(2);
        nn_fail(c, NN_ERR_ARG, "loud");
        captured(2, text, sizeof text);
        CHECK(!strcmp(text, i < 2 ? "nn.h: loud\n" : ""));
        nn_end(c);
    }
    setenv("NN_ISA", "scalar", 1);
    c = nn_begin(NULL);
    CHECK(!strcmp(nn_isa(c), "scalar") && nn_error(c) == NN_OK);
    nn_end(c);
    setenv("NN_ISA", "abacus", 1);
    c = nn_begin(NULL);
    CHECK(failed_with(c, NN_ERR_ARG, "instruction set 'abacus'") && nn_item(nn_ones(c, NN_F32, NN_SCALAR)) == 1); /* the best set is there all the same */
    nn_end(c);
    setenv("NN_ISA", "", 1);
    c = nn_begin(NULL);
    CHECK(nn_error(c) == NN_OK);
    nn_end(c);
    unsetenv("NN_ISA");
    for (int i = 0; i < 3; i++) { /* NN_EAGER: predictions do not become plans */
        nn_model  *m;
        nn_tensor *x;
        int        plans = 0;
        if (i == 0) unsetenv("NN_EAGER");
        else setenv("NN_EAGER", i == 1 ? "0" : "1", 1);
        c = quiet_ctx(1);
        m = nn_model_new(c, plain_net, NULL);
        x = ramps(c, NN_F32, NN_SHAPE(4, 3));
        nn_model_plan(m, 1);
        for (int k = 0; k < 4; k++) nn_predict(m, x);
        for (nn_plan *p = c->plans; p; p = p->next) plans++;
        CHECK(plans == (i < 2) && nn_error(c) == NN_OK);
        nn_end(c);
    }
    unsetenv("NN_EAGER");
    if (was) setenv("NN_QUIET", kept, 1);
    else unsetenv("NN_QUIET");
}
#endif

// ---- dropping out
static void test_dropouts(void) {
    nn_ctx    *c = quiet_ctx(5);
    nn_tensor *x = nn_ones(c, NN_F32, NN_SHAPE(40, 30, 4, 3)), *y, *big = nn_normal(c, NN_F64, NN_SHAPE(200, 300), 0, 1), *g;
    float     *v;
    int        dropped = 0, whole = 1;
    y = nn_dropout_spatial(x, 0.25, 1);
    v = nn_f32(y);
    for (int ch = 0; ch < 1200; ch++) { /* each channel is 0 or 4/3, all of it */
        for (int i = 0; i < 12; i++) whole &= v[ch * 12 + i] == v[ch * 12] && (v[ch * 12] == 0 || fabs((double)v[ch * 12] - 4 / 3.0) < 1e-6);
        dropped += v[ch * 12] == 0;
    }
    CHECK(whole);
    NEAR(dropped, 300, 6 * sqrt(1200 * 0.25 * 0.75));
    CHECK(nn_dropout_spatial(x, 0.25, 0) == x && nn_dropout_spatial(x, 0, 1) == x);
    y = nn_dropout_spatial(nn_reshape(x, NN_SHAPE(-1, 12)), 0.5, 1); /* no axes behind the channels: like dropout */
    dropped = 0;
    for (int i = 0; i < 14400; i++) dropped += nn_f32(y)[i] == 0;
    NEAR(dropped, 7200, 6 * sqrt(14400 * 0.25));

    y = nn_dropout_alpha(big, 0.2, 1); /* N(0, 1) keeps its mean and variance; what is dropped has one value */
    NEAR(nn_item(nn_mean(y, NN_ALL, 0)), 0, 0.03);
    NEAR(nn_item(nn_var(y, NN_ALL, 0, 0)), 1, 0.03);
    {
        double limit = -1.0507009873554805 * 1.6732632423543772, a = 1 / sqrt(0.8 * (1 + 0.2 * limit * limit)), b = -a * limit * 0.2;
        int    of_limit = 0, kept = 0;
        for (int i = 0; i < 60000; i++) {
            of_limit += fabs(nn_f64(y)[i] - (a * limit + b)) < 1e-12;
            kept += fabs(nn_f64(y)[i] - (a * nn_f64(big)[i] + b)) < 1e-12;
        }
        CHECK(of_limit + kept == 60000);
        NEAR(of_limit, 12000, 6 * sqrt(60000 * 0.16));
    }
    CHECK(nn_dropout_alpha(big, 0.2, 0) == big);
    nn_requires_grad(big); /* the gradient is the slope where x was kept, else 0 */
    y = nn_dropout_alpha(big, 0.5, 1);
    nn_backward(nn_sum(y, NN_ALL, 0));
    g = nn_grad(big);
    NEAR(nn_item(nn_mean(nn_cast(nn_not_equal(g, nn_scalar_like(g, 0)), NN_F64), NN_ALL, 0)), 0.5, 0.02);
    nn_zero_grad(big);

    y = nn_dropout_gaussian(nn_full(c, NN_F64, NN_SHAPE(60000), 3), 0.2, 1); /* times N(1, 1/4) */
    NEAR(nn_item(nn_mean(y, NN_ALL, 0)), 3, 0.04);
    NEAR(nn_item(nn_std(y, NN_ALL, 0, 0)), 1.5, 0.03);
    CHECK(nn_dropout_gaussian(x, 0.2, 0) == x && nn_dropout_gaussian(x, 0, 1) == x);
    y = nn_noise(nn_full(c, NN_F64, NN_SHAPE(60000), 3), 0.5, 1);
    NEAR(nn_item(nn_mean(y, NN_ALL, 0)), 3, 0.015);
    NEAR(nn_item(nn_std(y, NN_ALL, 0, 0)), 0.5, 0.01);
    CHECK(nn_noise(x, 0.5, 0) == x && nn_noise(x, 0, 1) == x);
    for (int i = 0; i < 3; i++) { /* the same seed, the same draw; another step, another */
        nn_tensor *once, *twice;
        nn_seed(c, 9);
        once = nn_keep(i == 0 ? nn_dropout_spatial(x, 0.5, 1) : i == 1 ? nn_dropout_alpha(x, 0.5, 1) : nn_dropout_gaussian(x, 0.5, 1));
        nn_seed(c, 9);
        twice = i == 0 ? nn_dropout_spatial(x, 0.5, 1) : i == 1 ? nn_dropout_alpha(x, 0.5, 1) : nn_dropout_gaussian(x, 0.5, 1);
        CHECK(!memcmp(nn_f32(once), nn_f32(twice), 14400 * sizeof(float)));
        nn_drop(once);
    }
    FAILS(nn_dropout_spatial(nn_ones(c, NN_F32, NN_SHAPE(3)), 0.5, 1), NN_ERR_SHAPE, "at least 2");
    FAILS(nn_dropout_alpha(x, 1, 1), NN_ERR_ARG, "probability 1");
    FAILS(nn_dropout_gaussian(x, -0.1, 0), NN_ERR_ARG, "probability");
    nn_end(c);
}

// ---- a tensor of another context; shapes without data
static void test_sharing(void) {
    nn_ctx    *c = quiet_ctx(1), *f = nn_fork(c), *shapes = nn_fork_shapes(c);
    nn_tensor *x = nn_requires_grad(ramps(c, NN_F32, NN_SHAPE(3, 4))), *y, *t = nn_transpose(x, 0, 1);
    y = nn_share(f, t);
    CHECK(nn_ctx_of(y) == f && nn_dim(y, 0) == 4 && nn_f32(nn_contiguous(y))[1] == nn_f32(x)[4] && y->st == x->st);
    CHECK(nn_error(f) == NN_OK && !y->needs_grad);
    nn_set(nn_detach(x), NN_SHAPE(0, 1), 7);
    CHECK(nn_get(y, NN_SHAPE(1, 0)) == 7);
    CHECK(nn_add(y, x) == NULL && nn_error(c) == NN_OK && failed_with(f, NN_ERR_CONTEXT, "nn_share")); /* the first operand's context says so */
    y = nn_share(shapes, t); /* only its shape comes along */
    CHECK(nn_ctx_of(y) == shapes && nn_dim(y, 0) == 4 && nn_dim(y, 1) == 3 && nn_is_contiguous(y));
    y = nn_matmul(y, nn_zeros(shapes, NN_F32, NN_SHAPE(3, 9)));
    CHECK(nn_dim(y, 0) == 4 && nn_dim(y, 1) == 9 && nn_error(shapes) == NN_OK);
    CHECK(nn_f32(nn_share(shapes, x)) == NULL && failed_with(shapes, NN_ERR_ARG, "shape-only"));
    CHECK(nn_share(NULL, x) == NULL && nn_share(f, NULL) == NULL);
    nn_error_clear(f);
    { /* creating, reading, writing without data */
        nn_tensor *a = nn_arange(shapes, NN_F32, 0, 10, 1), *b = nn_linspace(shapes, NN_F64, 0, 1, 5), *e = nn_eye(shapes, NN_F32, 4), *one = nn_ones(shapes, NN_F32, NN_SCALAR);
        float      v[10];
        CHECK(nn_dim(a, 0) == 10 && nn_dim(b, 0) == 5 && nn_numel(e) == 16 && nn_ndim(one) == 0);
        CHECK(nn_dim(nn_wrap(shapes, v, NN_F32, NN_SHAPE(10)), 0) == 10 && nn_assign(a, a) == 1 && nn_error(shapes) == NN_OK);
        CHECK(nn_read(a, v, sizeof v) == 0 && failed_with(shapes, NN_ERR_ARG, "shape-only"));
        CHECK(nn_gradcheck(squares, &b, 1, 1, NULL) != 0 && failed_with(shapes, NN_ERR_ARG, "shape-only"));
    }
    nn_end(c);
}

int main(void) {
    long id = 0;
#if !defined(_WIN32)
    id = (long)getpid();
#endif
    for (int i = 0; i < 3; i++) snprintf(path[i], sizeof path[i], "build/more_%ld_%d.%s", id, i, i == 0 ? "safetensors" : "npy");
    test_failing();
#if !defined(_WIN32)
    test_printing();
    test_progress();
    test_environment();
#endif
    test_dropouts();
    test_sharing();
    for (int i = 0; i < 3; i++) remove(path[i]);
    printf("more: %d passed, %d failed", passed, failed);
    if (skipped) printf(", %d skipped", skipped);
    printf("\n");
    return failed != 0;
}
