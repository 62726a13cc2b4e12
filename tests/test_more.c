// What the other tests leave out: every allocation of the wide programs fails once; what goes to stdout and stderr; the
// environment; devices that fail; limits of rank; corners of states, schedules, summaries, profiles and predictions.
#define NN_IMPLEMENTATION
#include "nn.h"
#if !defined(_WIN32)
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
    nn_tensor *x = nn_uniform(c, NN_F32, NN_SHAPE(300, 200), -1, 1), *y = nn_normal(c, NN_F32, NN_SHAPE(200, 250), 0, 1);
    return total(nn_matmul(x, y)) + total(nn_sum(x, NN_AXES(0), 0)) + total(nn_matmul(nn_cast(x, NN_BF16), nn_cast(y, NN_BF16)));
}

static void test_failing(void) {
    static const struct { const char *name; program run; int threads; } list[] = {
        {"ops", program_ops, 1}, {"gradients", program_grads, 1}, {"metrics", program_metrics, 1}, {"model", program_model, 1}, {"optimiser", program_optim, 1},
        {"data", program_data, 1}, {"plan", program_plan, 1}, {"profile", program_profile, 1}, {"threads", program_threads, 3},
    };
    for (size_t i = 0; i < sizeof list / sizeof *list; i++) {
        double value = 0;
        long   k, leaks = 0, others = 0, unlike = 0;
        for (k = 0; k < 20000; k++) { /* 0: none fails */
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

int main(void) {
    long id = 0;
#if !defined(_WIN32)
    id = (long)getpid();
#endif
    for (int i = 0; i < 3; i++) snprintf(path[i], sizeof path[i], "build/more_%ld_%d.%s", id, i, i == 0 ? "safetensors" : "npy");
    test_failing();
    for (int i = 0; i < 3; i++) remove(path[i]);
    printf("more: %d passed, %d failed", passed, failed);
    if (skipped) printf(", %d skipped", skipped);
    printf("\n");
    return failed != 0;
}
