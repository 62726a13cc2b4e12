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
    f.eager      = 1;
    capture(2);
    nn_fit(m, d, &f);
    captured(2, text, sizeof text);
    CHECK(nn_error(c) == NN_OK && occurrences(text, "\n") == 3 && !strchr(text, '\r'));
    CHECK(strstr(text, "epoch 1/3  loss ") == text && strstr(text, "\nepoch 3/3  loss ") && occurrences(text, "  valid ") == 3 && !strstr(text, "accuracy"));
    f.eager = 0; /* what becomes of the steps is said once */
    capture(2);
    nn_fit(m, d, &f);
    captured(2, text, sizeof text);
    CHECK(occurrences(text, "\n") == 4 && occurrences(text, "steps run as a plan: ") == 1);
    f.quiet = 1;
    capture(2);
    nn_fit(m, d, &f);
    captured(2, text, sizeof text);
    CHECK(text[0] == 0);
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

// ---- a device that fails: the message names what it failed at, and nothing is left behind
typedef struct faulty { nn_null_counts counts; nn_backend null; int alloc, copy, sync, run, host, closed; } faulty; /* 1: the next one fails, 2: the one after; host: it has no op */
static int   fails(int *n) { return *n > 0 && --*n == 0; }
static void *faulty_alloc(void *self, size_t bytes) { return fails(&((faulty *)self)->alloc) ? NULL : ((faulty *)self)->null.alloc(&((faulty *)self)->counts, bytes); }
static void  faulty_release(void *self, void *p, size_t bytes) { ((faulty *)self)->null.release(&((faulty *)self)->counts, p, bytes); }
static int   faulty_copy(void *self, void *to, const void *from, size_t bytes, int way) {
    return fails(&((faulty *)self)->copy) ? 0 : ((faulty *)self)->null.copy(&((faulty *)self)->counts, to, from, bytes, way);
}
static int  faulty_sync(void *self) { return fails(&((faulty *)self)->sync) ? 0 : ((faulty *)self)->null.sync(&((faulty *)self)->counts); }
static int  faulty_run(void *self, nn_node *n) { return fails(&((faulty *)self)->run) ? -1 : ((faulty *)self)->host ? 0 : ((faulty *)self)->null.run(&((faulty *)self)->counts, n); }
static void faulty_close(void *self) { ((faulty *)self)->closed++; }

static nn_tensor *write_row(nn_tensor *x, nn_tensor *row) { return nn_assign(nn_select(x, 0, 1), row) ? x : NULL; }
static void test_devices(void) {
    faulty     d;
    nn_backend b;
    nn_config  g = nn_config_defaults();
    nn_ctx    *c;
    nn_tensor *x, *y, *w, *out;
    memset(&d, 0, sizeof d);
    memset(&b, 0, sizeof b);
    d.null    = nn_backend_null(&d.counts);
    b.name    = "faulty";
    b.self    = &d;
    b.alloc   = faulty_alloc;
    b.release = faulty_release;
    b.copy    = faulty_copy;
    b.sync    = faulty_sync;
    b.run     = faulty_run;
    b.close   = faulty_close;
    g.backend = &b;
    g.quiet   = 1;
    g.threads = 1;
    c = nn_begin(&g);
    x = ramps(c, NN_F32, NN_SHAPE(3, 4));
    y = nn_to_device(x, 1);
    CHECK(nn_to_device(x, 0) == x && nn_to_device(y, 1) == y && nn_device_of(y) == 1 && nn_device_of(x) == 0);
    FAILS(nn_to_device(x, 2), NN_ERR_DEVICE, "device 2");
    FAILS(nn_to_device(x, -1), NN_ERR_DEVICE, "device -1");
    d.alloc = 1; FAILS(nn_to_device(x, 1), NN_ERR_DEVICE, "backend 'faulty' failed to allocate");
    d.copy  = 1; FAILS(nn_to_device(x, 1), NN_ERR_DEVICE, "backend 'faulty' failed to copy");
    d.copy  = 1; FAILS(nn_to_device(y, 0), NN_ERR_DEVICE, "failed to copy");
    d.sync  = 1; FAILS(nn_to_device(y, 0), NN_ERR_DEVICE, "failed to sync");
    d.run   = 1; FAILS(nn_exp(y), NN_ERR_DEVICE, "backend 'faulty' failed to run");
    d.alloc = 1; FAILS(nn_exp(y), NN_ERR_DEVICE, "failed to allocate");
    w = nn_transpose(y, 0, 1); /* a strided view comes over with its storage */
    CHECK(nn_get(nn_to_device(w, 0), NN_SHAPE(3, 1)) == nn_get(x, NN_SHAPE(1, 3)));
    d.copy = 1; FAILS(nn_to_device(w, 0), NN_ERR_DEVICE, "failed to copy");
    d.host = 1; /* every op goes by the host: there, and back */
    CHECK(total(nn_to_device(nn_mul(y, y), 0)) == total(nn_mul(x, x)));
    d.copy = 1; FAILS(nn_mul(y, y), NN_ERR_DEVICE, "failed to copy");
    d.copy = 3; FAILS(nn_mul(y, y), NN_ERR_DEVICE, "failed to copy"); /* the third is the result's way back */
    d.sync = 2; FAILS(nn_mul(y, y), NN_ERR_DEVICE, "failed to sync");
    for (d.host = 0; d.host < 2; d.host++) { /* what writes into its operand changes it on the device */
        nn_tensor *z = nn_to_device(nn_zeros(c, NN_F32, NN_SHAPE(4)), 1);
        nn_assign(z, nn_to_device(nn_select(x, 0, 2), 1));
        if (nn_error(c)) CHECK(failed_with(c, NN_ERR_DEVICE, "")); /* the host's function may refuse it, but says so */
        else CHECK(nn_get(nn_to_device(z, 0), NN_SHAPE(3)) == nn_get(x, NN_SHAPE(2, 3)));
    }
    d.host = 0;
    {
        char       text[200], other[200];
        nn_tensor *k = nn_keep(y);
        float      v[12];
        CHECK(nn_device_of(k) == 0 && total(k) == total(x)); /* kept on the host */
        CHECK(nn_read(y, v, sizeof v) && v[5] == nn_f32(x)[5]);
        CHECK(nn_format(y, text, sizeof text) == nn_format(x, other, sizeof other) && !strcmp(text, other));
        FAILS(nn_ptr(y), NN_ERR_DEVICE, "nn_to_device(x, 0)");
        FAILS(nn_add(y, x), NN_ERR_DEVICE, "operands are on devices");
        out = nn_mul(y, nn_scalar_like(x, 2)); /* 0-d operands may stay on the host */
        CHECK(nn_error(c) != NN_OK || total(nn_to_device(out, 0)) == 2 * total(x));
        nn_error_clear(c);
        d.sync = 1; FAILS(nn_ctx_of(nn_keep(y)), NN_ERR_DEVICE, "failed to sync");
        d.sync = 1; FAILS(nn_read(y, v, sizeof v), NN_ERR_DEVICE, "failed to sync");
        d.sync = 1; FAILS(nn_format(y, text, sizeof text), NN_ERR_DEVICE, "failed to sync");
    }
    w = nn_requires_grad(nn_to_device(ramps(c, NN_F32, NN_SHAPE(4, 2)), 1)); /* backward, with a failure at each of its calls */
    for (int k = 0; k < 60; k++) {
        int fine;
        out    = nn_sum(nn_square(nn_matmul(y, w)), NN_ALL, 0);
        d.run  = k;
        fine   = nn_backward(out);
        if (k && d.run == 0) CHECK(!fine && failed_with(c, NN_ERR_DEVICE, "failed to run"));
        else { CHECK(fine && nn_device_of(nn_grad(w)) == 1 && nn_error(c) == NN_OK); if (k) break; }
        d.run = 0;
        nn_zero_grad(w);
        CHECK(nn_error(c) == NN_OK && (k < 59 || !"backward has that many calls"));
    }
    d.run = 0;
    { /* a plan is the host's */
        nn_plan *p = nn_plan_begin(c, NULL);
        FAILS(nn_plan_input(p, "x", y), NN_ERR_DEVICE, "the data is on device 1");
        FAILS(nn_exp(y), NN_ERR_PLAN, "");
        nn_plan_free(p);
    }
    CHECK(write_row(nn_clone(x), nn_select(x, 0, 0)) != NULL);
    nn_reset(c);
    nn_end(c);
    CHECK(d.closed == 1 && d.counts.allocs == d.counts.frees);
}

// ---- gradients checked where there is nothing to check
static nn_tensor *no_gradient(nn_ctx *c, nn_tensor **x, void *user) { return (void)user, nn_cast(nn_full(c, NN_F32, NN_SHAPE(2), nn_numel(x[0]) ? 3 : 0), NN_F64); }
static nn_tensor *gives_f32(nn_ctx *c, nn_tensor **x, void *user) { return (void)c, (void)user, nn_cast(nn_square(x[0]), NN_F32); }
static nn_tensor *gives_null(nn_ctx *c, nn_tensor **x, void *user) { return (void)c, (void)user, (void)x, (nn_tensor *)NULL; }
static nn_tensor *wrong_slope(nn_ctx *c, nn_tensor **x, void *user) { return (void)c, (void)user, nn_mul(x[0], nn_detach(x[0])); } /* half of it */
static nn_tensor *a_line(nn_ctx *c, nn_tensor **x, void *user) { return (void)c, (void)user, nn_affine(nn_add(x[0], nn_neg(x[1])), 3, 1); }
static nn_tensor *turns_nan(nn_ctx *c, nn_tensor **x, void *user) { return (void)c, (void)user, nn_sqrt(x[0]); }
static void test_gradcheck(void) {
    nn_ctx    *c = quiet_ctx(1);
    nn_tensor *x[9], *f, *near = nn_full(c, NN_F64, NN_SHAPE(2), 1e-6);
    for (int i = 0; i < 9; i++) x[i] = nn_add_scalar(ramps(c, NN_F64, NN_SHAPE(2, 2)), i);
    f = ramps(c, NN_F32, NN_SHAPE(3));
    CHECK(nn_gradcheck(squares, x, 1, 1, NULL) < 1e-8 && nn_gradcheck(squares, x, 1, 2, NULL) < 1e-7);
    CHECK(nn_gradcheck(a_line, x, 2, 1, NULL) < 1e-8 && nn_gradcheck(a_line, x, 8, 1, NULL) < 1e-8 && nn_error(c) == NN_OK); /* six that it does not depend on */
    NEAR(nn_gradcheck(wrong_slope, x + 2, 1, 1, NULL), 0.5, 1e-3);
    CHECK(!(nn_gradcheck(turns_nan, &near, 1, 1, NULL) < 1e30)); /* NaN is not taken for an agreement */
    nn_error_clear(c);
    CHECK(nn_gradcheck(no_gradient, x, 1, 1, NULL) < 1e-9); /* a constant, and a gradient of 0 */
    FAILS(nn_gradcheck(squares, x, 9, 1, NULL), NN_ERR_ARG, "n cannot be 9");
    FAILS(nn_gradcheck(squares, &f, 1, 1, NULL), NN_ERR_DTYPE, "f64");
    FAILS(nn_gradcheck(gives_f32, x, 1, 1, NULL), NN_ERR_DTYPE, "f64");
    FAILS(nn_gradcheck(gives_null, x, 1, 1, NULL), NN_ERR_GRAD, "");
    FAILS(nn_gradcheck(no_gradient, x, 1, 2, NULL), NN_ERR_GRAD, "nothing to differentiate");
    CHECK(nn_gradcheck(NULL, x, 1, 1, NULL) != 0 && nn_gradcheck(squares, NULL, 1, 1, NULL) != 0 && nn_gradcheck(squares, x, 0, 1, NULL) != 0);
    nn_end(c);
}

// ---- run state: by scope, model and name; another shape is another matter
static void test_states(void) {
    nn_ctx    *c = quiet_ctx(1), *f;
    nn_model  *m = nn_model_new(c, plain_net, NULL), *n = nn_model_new(c, plain_net, NULL);
    nn_scope   s = nn_enter(m, c, NN_TRAIN), t = nn_enter(n, c, NN_TRAIN);
    nn_tensor *a, *b;
    a = nn_state(s, "memory", NN_F32, NN_SHAPE(2, 3));
    CHECK(a && total(a) == 0);
    nn_fill(a, 2);
    b = nn_state(s, "memory_2", NN_F32, NN_SHAPE(2, 3));
    CHECK(b && b != a && nn_state(s, "memory", NN_F32, NN_SHAPE(2, 3)) == a);
    CHECK(nn_state(nn_in(s, "deeper"), "memory", NN_I64, NN_SCALAR) != a && nn_state(t, "memory", NN_F64, NN_SHAPE(2, 3)) != a);
    nn_reset(c);
    CHECK(total(nn_state(s, "memory", NN_F32, NN_SHAPE(2, 3))) == 12);
    FAILS(nn_state(s, "memory", NN_F32, NN_SHAPE(3, 2)), NN_ERR_NAME, "state 'memory' was [2,3]");
    FAILS(nn_state(s, "memory", NN_F32, NN_SHAPE(2, 3, 1)), NN_ERR_NAME, "asked for as [2,3,1]");
    FAILS(nn_state(s, "memory", NN_F64, NN_SHAPE(2, 3)), NN_ERR_NAME, "state 'memory'");
    FAILS(nn_state(s, "a name", NN_F32, NN_SCALAR), NN_ERR_NAME, "'a name' is no name");
    FAILS(nn_state(nn_in(s, "bad name"), "memory", NN_F32, NN_SCALAR), NN_ERR_NAME, "");
    f = nn_fork(c);
    CHECK(total(nn_state(nn_enter(m, f, NN_EVAL), "memory", NN_F32, NN_SHAPE(9))) == 0); /* each context has its own */
    nn_model_free(n);
    CHECK(total(nn_state(s, "memory", NN_F32, NN_SHAPE(2, 3))) == 12 && nn_error(c) == NN_OK);
    nn_state_clear(c);
    CHECK(total(nn_state(s, "memory", NN_F64, NN_SHAPE(4))) == 0 && nn_error(c) == NN_OK);
    nn_end(c);
}

// ---- tasks of one's own
typedef struct marks { int64_t sum; char done[1000]; int bad; } marks;
static void mark(void *arg, int64_t begin, int64_t end, int worker) {
    marks *w = (marks *)arg;
    if (worker < 0 || worker > 1) w->bad = 1;
    for (; begin < end; begin++) w->done[begin]++;
}
static void own_pool(void *user, int jobs, void (*job)(void *arg, int index), void *arg) {
    *(int *)user += jobs;
    for (int i = jobs - 1; i >= 0; i--) job(arg, i); /* backwards: no order is promised */
}
static void test_parallel(void) {
    for (int own = 0; own < 2; own++) {
        nn_config g = nn_config_defaults();
        nn_ctx   *c;
        marks     w;
        int       jobs = 0, each = 1;
        g.threads = 2;
        g.quiet   = 1;
        if (own) { g.parallel = own_pool; g.parallel_user = &jobs; }
        c = nn_begin(&g);
        for (int dear = 0; dear < 2; dear++) {
            memset(&w, 0, sizeof w);
            nn_parallel_for(c, 1000, dear ? 1e6 : 1, mark, &w);
            for (int i = 0; i < 1000; i++) each &= w.done[i] == 1;
            CHECK(each && !w.bad && (!own || dear == (jobs > 0)));
        }
        memset(&w, 0, sizeof w);
        nn_parallel_for(c, 0, 1e9, mark, &w);
        nn_parallel_for(c, 5, 1, NULL, &w);
        nn_parallel_for(NULL, 5, 1, mark, &w);
        nn_fail(c, NN_ERR_ARG, "stop");
        nn_parallel_for(c, 5, 1, mark, &w); /* nothing is begun after an error */
        for (int i = 0; i < 1000; i++) each &= w.done[i] == 0;
        CHECK(each);
        nn_end(c);
    }
}

// ---- six axes are the most
static void test_ranks(void) {
    nn_ctx    *c = quiet_ctx(1);
    nn_tensor *x = ramps(c, NN_F64, NN_SHAPE(2, 1, 3, 1, 2, 2)), *i = nn_arange(c, NN_I64, 0, 2, 1), *list[1], *parts[7];
    list[0] = x;
    FAILS(nn_unsqueeze(x, 0), NN_ERR_SHAPE, "");
    FAILS(nn_repeat(x, 2), NN_ERR_SHAPE, "");
    FAILS(nn_stack(list, 1, 0), NN_ERR_SHAPE, "");
    FAILS(nn_diag(x, 0), NN_ERR_SHAPE, "1 to 5");
    FAILS(nn_one_hot(nn_cast(x, NN_I32), 3, NN_F32), NN_ERR_SHAPE, "");
    FAILS(nn_index_select(x, 0, nn_reshape(i, NN_SHAPE(2, 1))), NN_ERR_SHAPE, "");
    CHECK(nn_ndim(nn_index_select(x, 0, i)) == 6);
    CHECK(nn_numel(nn_prod(x, NN_ALL, 0)) == 1 && nn_numel(nn_logsumexp(x, NN_ALL, 0)) == 1 && nn_error(c) == NN_OK);
    FAILS(nn_tile(x, 1, 4), NN_ERR_SHAPE, "7 dimensions");
    FAILS(nn_split(x, 0, NN_SHAPE(1, 1, 0, 0, 0, 0, 0), parts), NN_ERR_SHAPE, "");
    FAILS(nn_einsum("abcdef,ghijkl->abcdefghijkl", x, x), NN_ERR_ARG, "");
    NEAR(total(nn_einsum("abcdef,ghijkl->a", x, x)), total(x) * total(x), 1e-12);
    NEAR(total(nn_einsum("abcdef,abcdef->ace", x, x)), total(nn_square(x)), 1e-12);
    CHECK(nn_numel(nn_sum(x, NN_AXES(0, 1, 2, 3, 4, 5), 1)) == 1 && nn_ndim(nn_flatten(x, 1)) == 2 && nn_error(c) == NN_OK);
    CHECK(nn_ndim(nn_flatten(nn_ones(c, NN_F32, NN_SCALAR), 0)) == 1);
    nn_end(c);
}

// ---- the profile: one line an op, layer and direction, whatever the order of the calls; more calls than the trace holds
static void quoted_run(nn_node *n) { memcpy(n->out[0]->st->data, nn_ptr(n->in[0]), n->out[0]->st->bytes); }
static int  quoted_shape(nn_node *n, nn_spec *out) { return nn_spec_like(out, n->in[0]), 1; }
static int  calls_of(const char *text, const char *op, const char *layer) { /* -1: no such line */
    char line[60];
    snprintf(line, sizeof line, "%-24s %-20s ", op, layer);
    text = strstr(text, line);
    return text ? atoi(text + strlen(line)) : -1;
}
static nn_tensor *two_blocks(nn_scope s, nn_tensor *x) {
    for (int i = 0; i < 2; i++) x = nn_leave(nn_in_i(s, "h", i), nn_tanh(nn_linear(x, nn_param(nn_in_i(s, "h", i), "w", NN_SHAPE(3, 3), nn_init_fan_in(3)), NULL)));
    return nn_exp(x);
}
static void test_profile(void) {
    static char text[20000];
    nn_op       quoted;
    nn_ctx     *c = quiet_ctx(1);
    nn_model   *m = nn_model_new(c, two_blocks, NULL);
    nn_tensor  *x = ramps(c, NN_F32, NN_SHAPE(2, 3)), *y, *one = nn_ones(c, NN_F32, NN_SCALAR);
    memset(&quoted, 0, sizeof quoted);
    quoted.name = "say \"hi\\"; quoted.n_in = quoted.n_out = 1; quoted.shape = quoted_shape; quoted.run = quoted_run;
    FAILS(nn_profile_text(c, text, sizeof text), NN_ERR_ARG, "nn_profile(c, 1)");
    FAILS(nn_profile_trace(c, path[0]), NN_ERR_ARG, "nn_profile(c, 1)");
    FAILS(nn_profile_print(c), NN_ERR_ARG, "nn_profile(c, 1)");
    CHECK(nn_profile(c, 0) == 1); /* nothing to stop */
    nn_model_build(m, NN_F32, NN_SHAPE(2, 3));
    nn_profile(c, 1);
    for (int i = 0; i < 4; i++) {
        nn_backward(nn_sum(nn_forward(m, x), NN_ALL, 0));
        nn_apply(&quoted, &x, 1, NULL, &y);
    }
    CHECK(nn_profile_text(c, text, sizeof text) > 0);
    CHECK(calls_of(text, "tanh", "h.0") == 4 && calls_of(text, "tanh", "h.1") == 4 && calls_of(text, "exp", "") == 4 && calls_of(text, "say \"hi\\", "") == 4);
    CHECK(calls_of(text, "linear_back (backward)", "h.1") == 4 && calls_of(text, "sum", "") == 4 && calls_of(text, "exp", "h.0") == -1);
    CHECK(nn_profile_trace(c, path[0]) && strstr(read_all(path[0], text, sizeof text), "\"name\":\"say _hi_\"") && strstr(text, "\"layer\":\"h.1\"") && strstr(text, "\"calls_left_out\":\"0\""));
    FAILS(nn_profile_trace(c, NULL), NN_ERR_NULL, "path");
    nn_reset(c);
    nn_profile(c, 1);
    one = nn_keep(nn_ones(c, NN_F32, NN_SCALAR));
    for (int i = 0; i < (1 << 18) + 20; i++) {
        nn_neg(one);
        if (i % 1000 == 0) nn_reset(c);
    }
    nn_profile(c, 0);
    CHECK(nn_profile_text(c, text, sizeof text) > 0 && calls_of(text, "neg", "") == (1 << 18) + 20);
    CHECK(nn_profile_trace(c, path[0]));
    {
        FILE *f = fopen(path[0], "rb");
        CHECK(f && !fseek(f, -200, SEEK_END) && fread(text, 1, 200, f) == 200);
        text[200] = 0;
        CHECK(strstr(text, "\"calls_left_out\":\"20\""));
        if (f) fclose(f);
    }
    nn_end(c);
}

// ---- predictions: large and small, strided, half, of a fork, by array; the same with and without a plan
static nn_tensor *half_way(nn_scope s, nn_tensor *x) { return nn_transpose(nn_layer_linear(s, "fc", x, 5), 0, 1); }
static nn_tensor *in_f64(nn_scope s, nn_tensor *x) { return nn_cast(half_way(s, x), NN_BF16); }
static nn_tensor *gives_nothing(nn_scope s, nn_tensor *x) { return (void)s, x->size[0] == 1 ? nn_layer_linear(s, "fc", x, 2) : NULL; }
static nn_tensor *looks(nn_scope s, nn_tensor *x) { /* no plan can do what this does */
    x = nn_layer_linear(s, "fc", x, 2);
    return *(int *)nn_user(s) && nn_item(nn_sum(x, NN_ALL, 0)) > 1e9 ? NULL : x;
}
static void test_predictions(void) {
    nn_ctx    *c = quiet_ctx(1), *f = nn_fork(c);
    nn_model  *m = nn_model_new(c, half_way, NULL), *n, *empty = nn_model_new(c, NULL, NULL);
    nn_tensor *x = ramps(c, NN_F32, NN_SHAPE(900, 3)), *w, *b, *y, *z;
    float      out[20];
    double     worst = 0;
    int        look = 0;
    y = nn_predict(m, x);
    CHECK(nn_dim(y, 0) == 5 && nn_dim(y, 1) == 900 && nn_is_contiguous(y) && !y->needs_grad); /* strided and large: through the pool */
    w = nn_model_tensor(m, c, "fc.weight"); b = nn_model_tensor(m, c, "fc.bias");
    for (int i = 0; i < 900; i++)
        for (int k = 0; k < 5; k++) {
            double v = (double)nn_f32(b)[k];
            for (int j = 0; j < 3; j++) v += (double)nn_f32(w)[k * 3 + j] * (double)nn_f32(x)[i * 3 + j];
            v = fabs(v - (double)nn_f32(y)[k * 900 + i]);
            if (v > worst) worst = v;
        }
    CHECK(worst < 1e-6);
    z = nn_predict(m, nn_slice(x, 0, 0, 2, 1)); /* small */
    for (int i = 0; i < 10; i++) NEAR(nn_get(z, NN_SHAPE(i / 2, i % 2)), nn_get(y, NN_SHAPE(i / 2, i % 2)), 1e-6);
    CHECK(nn_predict_f32(m, nn_f32(x), NN_SHAPE(2, 3), out, 10) && !memcmp(out, nn_f32(z), sizeof *out * 10));
    FAILS(nn_predict_f32(m, nn_f32(x), NN_SHAPE(2, 3), out, 9), NN_ERR_SHAPE, "36 bytes given");
    FAILS(nn_predict_f32(m, NULL, NN_SHAPE(2, 3), out, 10), NN_ERR_NULL, "x is NULL");
    FAILS(nn_predict_f32(m, out, NN_SHAPE(2, 3), NULL, 10), NN_ERR_NULL, "y is NULL");
    CHECK(nn_predict_f32(NULL, out, NN_SHAPE(2, 3), out, 10) == 0 && nn_model_plan(NULL, 1) == 0 && nn_model_pack(NULL, 1) == 0 && nn_model_hook(NULL, NULL, NULL) == 0);
    CHECK(nn_numel(nn_predict(m, nn_zeros(c, NN_F32, NN_SHAPE(0, 3)))) == 0 && nn_error(c) == NN_OK);
    nn_model_plan(m, 1);
    for (int i = 0; i < 4; i++) {
        nn_tensor *v = nn_predict(m, x), *strided = nn_predict(m, nn_transpose(nn_contiguous(nn_transpose(x, 0, 1)), 0, 1)), *from_fork = nn_predict(m, nn_share(f, x));
        CHECK(!memcmp(nn_f32(v), nn_f32(y), 4500 * sizeof(float)) && !memcmp(nn_f32(strided), nn_f32(y), 4500 * sizeof(float)) && !memcmp(nn_f32(from_fork), nn_f32(y), 4500 * sizeof(float)));
    }
    CHECK(c->plans && !f->plans && nn_error(c) == NN_OK && nn_error(f) == NN_OK);
    nn_fill(nn_no_grad(c, 1) ? NULL : w, 0); /* a plan sees weights that changed, whatever way */
    nn_no_grad(c, 0);
    z = nn_predict(m, x);
    for (int i = 0; i < 5; i++) CHECK(nn_get(z, NN_SHAPE(i, 700)) == nn_get(b, NN_SHAPE(i)));
    nn_model_plan(m, 0);
    CHECK(!c->plans && !memcmp(nn_f32(nn_predict(m, x)), nn_f32(z), 4500 * sizeof(float)));

    n = nn_model_new(c, in_f64, NULL); /* of other types */
    FAILS(nn_model_dtype(n, NN_BF16), NN_ERR_DTYPE, "bf16");
    CHECK(nn_model_dtype(n, NN_F64));
    z = nn_predict(n, nn_cast(x, NN_F64));
    CHECK(nn_dtype_of(z) == NN_BF16 && nn_dim(z, 1) == 900);
    nn_model_plan(n, 1);
    for (int i = 0; i < 3; i++) CHECK(total(nn_predict(n, nn_cast(x, NN_F64))) == total(z) && nn_error(c) == NN_OK);
    FAILS(nn_predict_f32(n, nn_f32(x), NN_SHAPE(2, 3), out, 10), NN_ERR_DTYPE, "f32 and f64"); /* says so, instead of converting */

    n = nn_model_new(c, looks, &look); /* a net that reads values stays as it is written */
    nn_model_build(n, NN_F32, NN_SHAPE(1, 3));
    look = 1;
    nn_model_plan(n, 1);
    for (int i = 0; i < 4; i++) CHECK(nn_numel(nn_predict(n, x)) == 1800 && nn_error(c) == NN_OK);

    FAILS(nn_predict(empty, x), NN_ERR_ARG, "nn_enter");
    FAILS(nn_forward(empty, x), NN_ERR_ARG, "nn_enter");
    FAILS(nn_summary_text(empty, NN_F32, NN_SHAPE(1, 3), NULL, 0), NN_ERR_ARG, "nn_enter");
    n = nn_model_new(c, gives_nothing, NULL);
    FAILS(nn_predict(n, x), NN_ERR_NULL, "the network returned NULL");
    CHECK(nn_predict(n, nn_slice(x, 0, 0, 1, 1)) != NULL && nn_error(c) == NN_OK); /* and it goes on */
    n = nn_model_new(c, half_way, NULL); /* a model is made in its own context first */
    CHECK(nn_predict(n, nn_share(f, x)) == NULL && failed_with(f, NN_ERR_CONTEXT, "build the model in its own context") && nn_error(c) == NN_OK);
    nn_end(c);
}

// ---- the summary: a line a layer, one for each op outside of them, shared parameters once
static nn_tensor *summed_net(nn_scope s, nn_tensor *x) {
    x = nn_layer_linear(s, "fc", nn_reshape(x, NN_SHAPE(-1, 4)), 4);
    x = nn_layer_linear(s, "fc", nn_relu(x), 4); /* the same parameters */
    return nn_softmax(nn_layer_batchnorm(s, "bn", x), 1);
}
static void test_summary(void) {
    nn_ctx   *c = quiet_ctx(1);
    nn_model *m = nn_model_new(c, summed_net, NULL);
    char      text[4000], small[10], *at;
    int       n = nn_summary_text(m, NN_F32, NN_SHAPE(6, 2, 2), text, sizeof text);
    CHECK(n == (int)strlen(text) && nn_summary_text(m, NN_F32, NN_SHAPE(6, 2, 2), small, sizeof small) == n && !strncmp(small, text, 9) && small[9] == 0);
    CHECK(occurrences(text, "fc (shared)") == 2 && strstr(text, "\nrelu ") && strstr(text, "\nsoftmax ") && strstr(text, "\nbn ") && !strstr(text, "reshape"));
    at = strstr(text, "\ntotal ");
    CHECK(at && strtol(at + 48, NULL, 10) == 4 * 4 + 4 + 2 * 4); /* batchnorm's running values are no parameters */
    CHECK(nn_model_count(m) >= 0 && nn_error(c) == NN_OK);
    FAILS(nn_summary_text(m, NN_F32, NN_SHAPE(5, 3), text, sizeof text), NN_ERR_SHAPE, "");
    nn_predict(m, ramps(c, NN_F32, NN_SHAPE(6, 2, 2)));
    CHECK(nn_summary_text(m, NN_F32, NN_SHAPE(6, 2, 2), text, sizeof text) == n && nn_model_size(m) == 28 && nn_model_count(m) >= 6);
    nn_end(c);
}

// ---- schedules at their ends
static nn_tensor *one_weight(nn_scope s, nn_tensor *x) { return nn_mul(x, nn_param(s, "w", NN_SHAPE(2), nn_init_const(1))); }
static void test_schedules(void) {
    nn_ctx       *c = quiet_ctx(1);
    nn_model     *m = nn_model_new(c, one_weight, NULL);
    nn_optim     *o;
    const int64_t at[9] = {2, 4, 6, 8, 10, 12, 14, 16, 18}, back[2] = {4, 4};
    const float   lr[10] = {1, 0.5f, 0.25f, 0.1f, 0.1f, 0.1f, 0.1f, 0.1f, 0.05f, 0.01f}, below[2] = {1, -1};
    nn_lr         a = nn_lr_linear(1, 0, 10), p = nn_lr_plateau(1, 0.5f, 1, 0.2f), nested[12];
    nn_model_build(m, NN_F32, NN_SHAPE(2));
    o = nn_sgd(m, 0.1f, 0);
    CHECK(nn_set_lr(o, nn_lr_piecewise(at, lr, 8)) && nn_lr_at(nn_lr_piecewise(at, lr, 8), 17) == (double)lr[8] && nn_lr_at(nn_lr_piecewise(at, lr, 8), 3) == 0.5);
    FAILS(nn_set_lr(o, nn_lr_piecewise(at, lr, 9)), NN_ERR_ARG, "n cannot be 9");
    FAILS(nn_set_lr(o, nn_lr_piecewise(NULL, lr, 2)), NN_ERR_ARG, "n cannot be -1");
    FAILS(nn_set_lr(o, nn_lr_piecewise(at, NULL, 2)), NN_ERR_ARG, "lr cannot be -1");
    FAILS(nn_set_lr(o, nn_lr_piecewise(at, below, 1)), NN_ERR_ARG, "last cannot be -1");
    FAILS(nn_set_lr(o, nn_lr_multistep(1, back, 2, 0.5f)), NN_ERR_ARG, "4");
    FAILS(nn_set_lr(o, nn_lr_constant(INFINITY)), NN_ERR_ARG, "lr cannot be inf");
    FAILS(nn_set_lr(o, nn_lr_constant((float)NAN)), NN_ERR_ARG, "lr cannot be");
    FAILS(nn_set_lr(o, nn_lr_linear(1, INFINITY, 5)), NN_ERR_ARG, "last cannot be inf");
    FAILS(nn_set_lr(o, nn_lr_cosine(1, 5, 4, 0)), NN_ERR_ARG, "cannot be 4");
    FAILS(nn_set_lr(o, nn_lr_cosine(1, -1, 4, 0)), NN_ERR_ARG, "total");
    FAILS(nn_set_lr(o, nn_lr_step(1, 0, 0.5f)), NN_ERR_ARG, "cannot be 0");
    FAILS(nn_set_lr(o, nn_lr_one_cycle(1, 10, 1.5f)), NN_ERR_ARG, "cannot be 1.5");
    FAILS(nn_set_lr(o, nn_lr_restarts(1, 10, 0.5f, 0)), NN_ERR_ARG, "cannot be 0.5");
    FAILS(nn_set_lr(o, nn_lr_exponential(1, (float)NAN)), NN_ERR_ARG, "cannot be");
    FAILS(nn_set_lr(o, nn_lr_then(&a, -1, &a)), NN_ERR_ARG, "cannot be -1");
    FAILS(nn_set_lr(o, nn_lr_then(&a, 3, NULL)), NN_ERR_NULL, "");
    FAILS(nn_set_lr(o, nn_lr_times(NULL, &a)), NN_ERR_NULL, "a schedule in it");
    CHECK(nn_lr_at(nn_lr_then(NULL, 3, &a), 1) != nn_lr_at(a, 1) && nn_lr_at(nn_lr_times(&a, NULL), 1) != nn_lr_at(a, 1)); /* NaN */
    nested[0] = a;
    for (int i = 1; i < 12; i++) nested[i] = nn_lr_then(&nested[i - 1], 1, &a);
    CHECK(nn_set_lr(o, nested[7]));
    FAILS(nn_set_lr(o, nested[11]), NN_ERR_NULL, ""); /* a limit, so that one that contains itself is found */
    nested[0] = nn_lr_constant(0);
    FAILS(nn_set_lr(o, nn_lr_times(&a, &nested[0])), NN_ERR_ARG, "second's lr cannot be 0");
    CHECK(nn_set_lr(o, p) && nn_get_lr(o) == 1);
    for (int i = 0; i < 3; i++) nn_optim_metric(o, i == 0 ? INFINITY : 5); /* infinity is no better than at first */
    CHECK(nn_get_lr(o) == 1);
    nn_optim_metric(o, 5 * (1 - 0.5e-4)); /* better, by less than one in 10,000 */
    nn_optim_metric(o, NAN);
    CHECK(nn_get_lr(o) == 0.5);
    for (int i = 0; i < 20; i++) nn_optim_metric(o, 5);
    NEAR(nn_get_lr(o), 0.2, 1e-7); /* not below the least */
    CHECK(nn_optim_metric(NULL, 1) == 0 && nn_get_lr(NULL) != 0 && nn_error(c) == NN_OK);
    nn_end(c);
}

// ---- numbers of csv files, beside the C library's
static void test_numbers(void) {
    static const char *const list[] = {"0", "-0.5", "+3", ".5", "5.", "1e3", "1E-3", "-2.5e+2", "123456789012345678901234567890", "0.000000000000000000000000000000000000123", "1e-45", "3.4028235e38",
                                       "0.1234567890123456789012345", "1e-400", "9007199254740993", "00012", "1e00000000000000000002", "0e99999999999"};
    static const char *const wrong[] = {"1.2.3", "e5", "--1", "1e", ".", "+", "1x", "0x10"};
    nn_ctx        *c = quiet_ctx(1);
    nn_csv_options o = nn_csv_defaults();
    char           text[200];
    o.regression = 1;
    for (size_t i = 0; i < sizeof list / sizeof *list; i++) {
        nn_data *d;
        int      n = snprintf(text, sizeof text, "%s,1\n1,%s\n", list[i], list[i]);
        d = nn_data_csv_text(c, text, (size_t)n, &o);
        CHECK(nn_get(nn_data_x(d, 0, 1), NN_SHAPE(0, 0)) == (double)(float)strtod(list[i], NULL) && nn_get(nn_data_y(d, 1, 1), NN_SHAPE(0, 0)) == (double)(float)strtod(list[i], NULL));
        nn_data_free(d);
    }
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        int n = snprintf(text, sizeof text, "1,1\n%s,1\n", wrong[i]);
        FAILS(nn_data_csv_text(c, text, (size_t)n, &o), NN_ERR_FORMAT, "line 2");
    }
    nn_end(c);
}

// ---- one row by packed weights, in a plan that need not be exact: other sums, near the true ones; exact: the bits of nn_predict
typedef struct row_sizes { int64_t in, out; nn_act act; } row_sizes;
static nn_tensor *row_net(nn_scope s, nn_tensor *x) {
    const row_sizes *r = (const row_sizes *)nn_user(s);
    return nn_layer_linear_act(s, "fc", x, r->out, r->act);
}
static void test_one_row(void) {
    static const char *const isas[]  = {"scalar", "sse2", "avx2", "avx512", "neon"};
    static const row_sizes   sizes[] = {{1, 1, NN_ACT_NONE}, {5, 3, NN_ACT_NONE}, {7, 16, NN_ACT_RELU}, {64, 33, NN_ACT_TANH}, {130, 70, NN_ACT_NONE}, {401, 97, NN_ACT_RELU}, {700, 130, NN_ACT_NONE}};
    for (size_t k = 0; k < sizeof isas / sizeof *isas; k++)
        for (int f64 = 0; f64 < 2; f64++) {
            nn_config g = nn_config_defaults();
            nn_ctx   *c;
            g.quiet   = 1;
            g.threads = 1;
            g.isa     = isas[k];
            c = nn_begin(&g);
            if (nn_error(c)) { nn_end(c); continue; } /* not on this machine, or left out */
            for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
                row_sizes  r    = sizes[i];
                nn_dtype   real = f64 ? NN_F64 : NN_F32;
                nn_model  *m    = nn_model_new(c, row_net, &r);
                nn_tensor *x    = ramps(c, real, NN_SHAPE(1, r.in)), *y, *eager, *w, *b;
                double     worst = 0, bound = 0;
                nn_model_dtype(m, real);
                nn_model_build(m, real, NN_SHAPE(1, r.in));
                nn_model_pack(m, 1);
                w = nn_model_tensor(m, c, "fc.weight"); b = nn_model_tensor(m, c, "fc.bias");
                for (int exact = 0; exact < 2; exact++) {
                    nn_plan_options o = nn_plan_defaults();
                    nn_plan        *p;
                    o.exact = exact;
                    p = nn_plan_begin(c, &o);
                    y = nn_predict(m, nn_plan_input(p, "x", x));
                    CHECK(nn_plan_end(p, &y, 1));
                    for (int turn = 0; turn < 2; turn++) { /* the weights change between runs */
                        CHECK(nn_plan_run(p));
                        eager = nn_predict(m, x);
                        worst = bound = 0;
                        for (int64_t j = 0; j < r.out; j++) {
                            double v = nn_get(b, NN_SHAPE(j)), size = fabs(v);
                            for (int64_t q = 0; q < r.in; q++) {
                                double part = nn_get(x, NN_SHAPE(0, q)) * nn_get(w, NN_SHAPE(j, q));
                                v += part;
                                size += fabs(part);
                            }
                            if (r.act == NN_ACT_RELU && v < 0) v = 0;
                            if (r.act == NN_ACT_TANH) v = tanh(v);
                            v = fabs(v - nn_get(y, NN_SHAPE(0, j)));
                            if (v > worst) worst = v;
                            if (size > bound) bound = size;
                        }
                        CHECK(worst <= (bound + 1) * (f64 ? 1e-14 : 1e-6));
                        if (exact) CHECK(!memcmp(nn_ptr(y), nn_ptr(eager), (size_t)r.out * nn_dtype_size(real)));
                        nn_no_grad(c, 1);
                        nn_assign(w, nn_scale(w, 1.5));
                        nn_no_grad(c, 0);
                    }
                    nn_plan_free(p);
                }
                CHECK(nn_error(c) == NN_OK);
                if (nn_error(c)) { printf("   %s, %d to %d: %s\n", isas[k], (int)r.in, (int)r.out, nn_error_text(c)); nn_error_clear(c); }
                nn_model_free(m);
            }
            nn_end(c);
        }
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
    test_devices();
    test_gradcheck();
    test_states();
    test_parallel();
    test_ranks();
    test_profile();
    test_predictions();
    test_summary();
    test_schedules();
    test_numbers();
    test_one_row();
    for (int i = 0; i < 3; i++) remove(path[i]);
    printf("more: %d passed, %d failed", passed, failed);
    if (skipped) printf(", %d skipped", skipped);
    printf("\n");
    return failed != 0;
}
