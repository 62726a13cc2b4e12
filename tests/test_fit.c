/* nn_fit: every option against a trainer that is written out here in doubles; steps that run as plans against steps as written;
 * training that was interrupted at every batch, or killed, against training that was not; damaged checkpoints; warnings; data
 * larger than the memory.
 *
 *     test_fit [part]
 */
#if !defined(_WIN32) && !defined(_XOPEN_SOURCE)
#  define _XOPEN_SOURCE 700 /* fork, kill, truncate under -std=c99 */
#endif
#include <errno.h>
#include <locale.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#define NN_IMPLEMENTATION
#include "nn.h"
#if !defined(_WIN32)
#  include <sys/resource.h>
#  include <sys/stat.h>
#  include <sys/time.h>
#  include <sys/types.h>
#  include <sys/wait.h>
#  include <time.h>
#  include <unistd.h>
#  define POSIX 1
#endif

static int passed, failed, skipped;
static void check(int ok, const char *what, int line) {
    if (ok) passed++;
    else { failed++; printf("test_fit.c:%d: %s\n", line, what); }
}
#define CHECK(x) check((x) != 0, #x, __LINE__)
#define NEAR(a, b, tolerance) check(fabs((double)(a) - (double)(b)) <= (tolerance), #a " is not near " #b, __LINE__)
static void skip(const char *what, const char *why) {
    skipped++;
    printf("skipped: %s (%s)\n", what, why);
}
static void about(int ok, const char *name, const char *what, int line) { /* a check of one case of a list */
    char text[300];
    snprintf(text, sizeof text, "%s: %s", name, what);
    check(ok, text, line);
}
static int failed_with(nn_ctx *c, nn_status code, const char *part) { /* and go on */
    int ok = nn_error(c) == code && strstr(nn_error_text(c), part) != NULL;
    if (!ok) printf("   got %d: %s\n", (int)nn_error(c), nn_error_text(c));
    nn_error_clear(c);
    return ok;
}
static void finish(nn_ctx *c, int line) {
    check(nn_error(c) == NN_OK, nn_error_text(c), line);
    nn_end(c);
}
#define FINISH(c) finish(c, __LINE__)

/* What a context logs */
typedef struct lines { int n; nn_log_level level[64]; char text[64][200]; } lines;
static void keep_line(void *user, nn_log_level level, const char *line) {
    lines *l = (lines *)user;
    if (l->n == 64) return;
    l->level[l->n] = level;
    snprintf(l->text[l->n++], sizeof l->text[0], "%.199s", line);
}
static const char *line_with(const lines *l, const char *part) {
    for (int i = 0; i < l->n; i++)
        if (strstr(l->text[i], part)) return l->text[i];
    return NULL;
}
static int warnings(const lines *l) {
    int n = 0;
    for (int i = 0; i < l->n; i++) n += l->level[i] == NN_LOG_WARN;
    return n;
}
static nn_ctx *logged_ctx(uint64_t seed, lines *l) {
    nn_config g = nn_config_defaults();
    g.quiet = 1; g.threads = 1; g.seed = seed;
    if (l) { l->n = 0; g.log = keep_line; g.log_user = l; }
    return nn_begin(&g);
}
static nn_ctx *quiet_ctx(void) { return logged_ctx(7, NULL); }
static nn_fit_options quiet_fit(int epochs, int batch) {
    nn_fit_options f = nn_fit_defaults();
    f.quiet = 1; f.epochs = epochs; f.batch = batch;
    return f;
}

// ---- files
#define TMP(name) "build/fit_test_" name
static unsigned char *get_file(const char *path, size_t *size) { /* with a 0 behind it; NULL: not there */
    FILE          *f = fopen(path, "rb");
    unsigned char *p = NULL;
    long           n;
    *size = 0;
    if (!f) return NULL;
    if (!fseek(f, 0, SEEK_END) && (n = ftell(f)) >= 0 && !fseek(f, 0, SEEK_SET) && (p = (unsigned char *)malloc((size_t)n + 1)) != NULL) {
        *size    = fread(p, 1, (size_t)n, f);
        p[*size] = 0;
    }
    fclose(f);
    return p;
}
static int put_file(const char *path, const void *bytes, size_t size) {
    FILE *f = fopen(path, "wb");
    int   ok = f && (!size || fwrite(bytes, 1, size, f) == size);
    if (f) ok = fclose(f) == 0 && ok;
    return ok;
}
static int is_file(const char *path) {
    FILE *f = fopen(path, "rb");
    if (f) fclose(f);
    return f != NULL;
}

// =====================================================================================================
// The reference: a linear layer, trained in doubles by the book
// =====================================================================================================
enum { SAMPLES = 24, IN = 4, OUT = 3, WEIGHTS = OUT * IN + OUT, MOST_EPOCHS = 12 };
static double px[SAMPLES][IN], pt[SAMPLES][OUT]; /* inputs, real targets, */
static int    pc[SAMPLES];                       /* classes: half of them 0, a third 1, a sixth 2 */
static void make_problem(void) {
    for (int i = 0; i < SAMPLES; i++) {
        for (int k = 0; k < IN; k++) px[i][k] = sin(0.7 * i + 1.3 * k + 0.2 * i * k);
        for (int k = 0; k < OUT; k++) pt[i][k] = cos(0.9 * i + k) + px[i][k];
        pc[i] = i % 6 < 3 ? 0 : i % 6 < 5 ? 1 : 2;
    }
}
static void first_weights(double *w) {
    for (int i = 0; i < WEIGHTS; i++) w[i] = 0.3 * cos(1.7 * i);
}

typedef struct book {
    const char   *loss; /* cross_entropy, mse, huber */
    int           epochs, batch, accumulate, adamw;
    double        lr, decay, clip, clip_value, delta, smoothing;
    const double *weight; /* of the classes */
} book;
typedef struct record { double w[WEIGHTS], loss[MOST_EPOCHS], accuracy[MOST_EPOCHS], step_loss[MOST_EPOCHS * SAMPLES]; int64_t step[MOST_EPOCHS * SAMPLES]; int batches; } record;

/* Samples index[0 ... n): the mean loss; its gradient is added to g; *hits: how many are classified well */
static double book_batch(const book *b, const double *w, const int *index, int n, double *g, int *hits) {
    double loss = 0, all = 0;
    for (int i = 0; i < n; i++) all += b->weight ? b->weight[pc[index[i]]] : 1;
    for (int i = 0; i < n; i++) {
        const double *x = px[index[i]], *t = pt[index[i]];
        int           y = pc[index[i]], best = 0;
        double        z[OUT], dz[OUT], sum = 0;
        for (int k = 0; k < OUT; k++) {
            z[k] = w[OUT * IN + k];
            for (int j = 0; j < IN; j++) z[k] += w[k * IN + j] * x[j];
            if (z[k] > z[best]) best = k;
            sum += exp(z[k]);
        }
        *hits += best == y;
        for (int k = 0; k < OUT; k++) {
            if (!strcmp(b->loss, "cross_entropy")) {
                double share = (b->weight ? b->weight[y] : 1) / all, q = (1 - b->smoothing) * (k == y) + b->smoothing / OUT;
                loss -= share * q * (z[k] - log(sum));
                dz[k] = share * (exp(z[k]) / sum - q);
            } else if (!strcmp(b->loss, "mse")) {
                loss += (z[k] - t[k]) * (z[k] - t[k]) / (n * OUT);
                dz[k] = 2 * (z[k] - t[k]) / (n * OUT);
            } else {
                double d = z[k] - t[k], far = fabs(d) > b->delta;
                loss += (far ? b->delta * (fabs(d) - 0.5 * b->delta) : 0.5 * d * d) / (n * OUT);
                dz[k] = (far ? (d > 0 ? b->delta : -b->delta) : d) / (n * OUT);
            }
            for (int j = 0; j < IN; j++) g[k * IN + j] += dz[k] * x[j];
            g[OUT * IN + k] += dz[k];
        }
    }
    return loss;
}
static void book_train(const book *b, const int *index, int n, record *r) {
    double g[WEIGHTS], m[WEIGHTS], v[WEIGHTS];
    int    step = 0, batches = (n + b->batch - 1) / b->batch, total = (batches + b->accumulate - 1) / b->accumulate * b->epochs, warm = total / 20;
    memset(r, 0, sizeof *r);
    memset(m, 0, sizeof m);
    memset(v, 0, sizeof v);
    memset(g, 0, sizeof g);
    first_weights(r->w);
    for (int e = 0; e < b->epochs; e++) {
        double sum = 0;
        int    hits = 0, since = 0;
        for (int at = 0; at < n; at += b->batch) {
            int    size = n - at < b->batch ? n - at : b->batch;
            double loss = book_batch(b, r->w, index + at, size, g, &hits), norm = 0, lr = b->lr;
            sum += loss * size;
            if (++since == b->accumulate || at + size == n) { /* the mean of its batches */
                for (int i = 0; i < WEIGHTS; i++) g[i] /= since;
                for (int i = 0; i < WEIGHTS && b->clip_value > 0; i++) g[i] = g[i] > b->clip_value ? b->clip_value : g[i] < -b->clip_value ? -b->clip_value : g[i];
                for (int i = 0; i < WEIGHTS; i++) norm += g[i] * g[i];
                norm = sqrt(norm);
                for (int i = 0; i < WEIGHTS && b->clip > 0 && norm > b->clip; i++) g[i] *= b->clip / (norm + 1e-6);
                if (b->adamw) lr *= step < warm ? (step + 1.0) / warm : 0.5 * (1 + cos(3.14159265358979323846 * (step - warm) / (total - warm)));
                step++;
                for (int i = 0; i < WEIGHTS; i++) {
                    if (b->adamw) {
                        double b1 = (double)0.9f, b2 = (double)0.999f;
                        m[i] = b1 * m[i] + (1 - b1) * g[i];
                        v[i] = b2 * v[i] + (1 - b2) * g[i] * g[i];
                        r->w[i] -= lr * b->decay * r->w[i];
                        r->w[i] -= lr * m[i] / (1 - pow(b1, step)) / (sqrt(v[i] / (1 - pow(b2, step))) + 1e-8);
                    } else r->w[i] -= lr * g[i];
                    g[i] = 0;
                }
                since = 0;
            }
            r->step[r->batches]        = step;
            r->step_loss[r->batches++] = loss;
        }
        r->loss[e]     = sum / n;
        r->accuracy[e] = (double)hits / n;
    }
}

/* The same by nn_fit, in f64 */
static nn_tensor *net_line(nn_scope s, nn_tensor *x) { return nn_layer_linear(s, "out", x, OUT); }
typedef struct line { nn_ctx *c; nn_model *m; nn_data *d; } line;
static void set_weights(nn_ctx *c, nn_model *m, const char *layer, const double *w) { /* [OUT][IN], then [OUT] */
    char name[60];
    int  was = nn_no_grad(c, 1);
    snprintf(name, sizeof name, "%s.weight", layer);
    nn_write(nn_model_tensor(m, c, name), w, OUT * IN * sizeof *w);
    snprintf(name, sizeof name, "%s.bias", layer);
    nn_write(nn_model_tensor(m, c, name), w + OUT * IN, OUT * sizeof *w);
    nn_no_grad(c, was);
}
static void get_weights(nn_ctx *c, nn_model *m, const char *layer, double *w) {
    char name[60];
    snprintf(name, sizeof name, "%s.weight", layer);
    nn_read(nn_model_tensor(m, c, name), w, OUT * IN * sizeof *w);
    snprintf(name, sizeof name, "%s.bias", layer);
    nn_read(nn_model_tensor(m, c, name), w + OUT * IN, OUT * sizeof *w);
}
static line line_new(int classes, lines *log) {
    line   p;
    double w[WEIGHTS];
    first_weights(w);
    p.c = logged_ctx(7, log);
    p.m = nn_model_new(p.c, net_line, NULL);
    p.d = nn_data_new(nn_from(p.c, px, NN_F64, NN_SHAPE(SAMPLES, IN)), classes ? nn_from(p.c, pc, NN_I32, NN_SHAPE(SAMPLES)) : nn_from(p.c, pt, NN_F64, NN_SHAPE(SAMPLES, OUT)));
    nn_data_shuffle(p.d, 0);
    nn_model_dtype(p.m, NN_F64);
    nn_model_build(p.m, NN_F64, NN_SHAPE(1, IN));
    set_weights(p.c, p.m, "out", w);
    return p;
}
static int record_step(void *user, int64_t step, double loss) {
    record *r = (record *)user;
    r->step[r->batches]        = step;
    r->step_loss[r->batches++] = loss;
    return 1;
}

typedef struct book_case { const char *name; book b; int classes, held; } book_case;
static void test_book(void) {
    static const double balance[OUT] = {24 / (3 * 12.0), 24 / (3 * 8.0), 24 / (3 * 4.0)};
    static const book_case cases[] = { /* loss, epochs, batch, accumulate, AdamW, lr, decay, clip, clip_value, delta, smoothing, class weights; classes?, one in .. held out */
        {"mean squared error", {"mse", 3, 4, 1, 0, 0.1, 0, 0, 0, 0, 0, NULL}, 0, 0},
        {"cross-entropy", {"cross_entropy", 3, 5, 1, 0, 0.5, 0, 0, 0, 0, 0, NULL}, 1, 0},
        {"the defaults", {"mse", 10, 4, 1, 1, 0.01, 0.01, 0, 0, 0, 0, NULL}, 0, 0},
        {"the defaults, of classes", {"cross_entropy", 5, 5, 1, 1, 0.01, 0.01, 0, 0, 0, 0, NULL}, 1, 0},
        {"no weight decay, a rate", {"mse", 4, 4, 1, 1, 0.03, 0, 0, 0, 0, 0, NULL}, 0, 0},
        {"a weight decay", {"mse", 4, 4, 1, 1, 0.03, 0.3, 0, 0, 0, 0, NULL}, 0, 0},
        {"accumulate 2", {"mse", 3, 4, 2, 0, 0.1, 0, 0, 0, 0, 0, NULL}, 0, 0},
        {"accumulate 3, AdamW and its schedule", {"mse", 8, 4, 3, 1, 0.01, 0.01, 0, 0, 0, 0, NULL}, 0, 0},
        {"accumulate 4 of 6 batches", {"mse", 3, 4, 4, 0, 0.1, 0, 0, 0, 0, 0, NULL}, 0, 0},
        {"clip", {"mse", 3, 4, 1, 0, 0.1, 0, 0.2, 0, 0, 0, NULL}, 0, 0},
        {"clip_value", {"mse", 3, 4, 1, 0, 0.1, 0, 0, 0.05, 0, 0, NULL}, 0, 0},
        {"clip_value, then clip", {"mse", 3, 4, 1, 0, 0.1, 0, 0.1, 0.05, 0, 0, NULL}, 0, 0},
        {"accumulate, clipped once", {"mse", 3, 4, 2, 0, 0.1, 0, 0.2, 0.1, 0, 0, NULL}, 0, 0},
        {"loss_name and its options", {"huber", 3, 4, 1, 0, 0.3, 0, 0, 0, 0.4, 0, NULL}, 0, 0},
        {"label smoothing", {"cross_entropy", 3, 4, 1, 0, 0.3, 0, 0, 0, 0, 0.125, NULL}, 1, 0},
        {"class weights", {"cross_entropy", 3, 4, 1, 0, 0.3, 0, 0, 0, 0, 0, balance}, 1, 0},
        {"balance", {"cross_entropy", 3, 4, 1, 0, 0.3, 0, 0, 0, 0, 0, balance}, 2, 0},
        {"balance and accumulate", {"cross_entropy", 3, 4, 2, 0, 0.3, 0, 0, 0, 0, 0, balance}, 2, 0},
        {"validation", {"mse", 3, 4, 1, 0, 0.1, 0, 0, 0, 0, 0, NULL}, 0, 4},
        {"validation of classes", {"cross_entropy", 3, 4, 1, 0, 0.3, 0, 0, 0, 0, 0, NULL}, 1, 4}};
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++)
        for (int eager = 0; eager < 2; eager++) {
            book            b = cases[k].b;
            line            p = line_new(cases[k].classes, NULL);
            nn_fit_options  f = quiet_fit(b.epochs == 10 ? 0 : b.epochs, b.batch);
            nn_loss_options o;
            nn_history      h;
            record          want, got;
            int             train[SAMPLES], held[SAMPLES], n[2] = {0, 0}, ok = 1, seen[OUT] = {0, 0, 0};
            double          valid[MOST_EPOCHS], right[MOST_EPOCHS];
            memset(&o, 0, sizeof o);
            memset(&got, 0, sizeof got);
            o.delta = (float)b.delta; o.smoothing = (float)b.smoothing;
            f.eager = eager; f.accumulate = b.accumulate == 1 ? 0 : b.accumulate; f.clip = (float)b.clip; f.clip_value = (float)b.clip_value;
            f.on_step = record_step; f.user = &got;
            if (b.adamw) { f.lr = b.lr == 0.01 ? 0 : (float)b.lr; f.weight_decay = b.decay == 0.01 ? 0 : b.decay == 0 ? NN_ZERO : (float)b.decay; }
            else f.optim = nn_sgd(p.m, (float)b.lr, 0);
            if (b.delta > 0) f.loss_name = b.loss;
            if (b.delta > 0 || b.smoothing > 0) f.loss_options = &o;
            if (b.weight && cases[k].classes == 1) { o.weight = nn_keep(nn_from(p.c, balance, NN_F64, NN_SHAPE(OUT))); f.loss_options = &o; f.loss_name = "cross_entropy"; }
            f.balance = cases[k].classes == 2;
            b.lr = (double)(float)b.lr; b.decay = (double)(float)b.decay; b.clip = (double)f.clip; b.clip_value = (double)f.clip_value; b.delta = (double)o.delta;
            for (int i = 0; i < SAMPLES; i++) { /* held out: every 4th, of its class */
                int out = cases[k].held && ++seen[cases[k].classes ? pc[i] : 0] % cases[k].held == 0;
                (out ? held : train)[n[out]++] = i;
            }
            if (cases[k].held) f.validation = 1.0f / (float)cases[k].held;
            book_train(&b, train, n[0], &want);
            for (int e = 0; e < b.epochs && n[1]; e++) { /* after each epoch: the losses of all held out samples */
                book   until = b;
                record then;
                double g[WEIGHTS];
                int    hits = 0;
                until.epochs = e + 1;
                book_train(&until, train, n[0], &then);
                valid[e] = book_batch(&b, then.w, held, n[1], g, &hits);
                right[e] = (double)hits / n[1];
            }
            h = nn_fit(p.m, p.d, &f);
            about(nn_error(p.c) == NN_OK, cases[k].name, nn_error_text(p.c), __LINE__);
            about(h.epochs == b.epochs && got.batches == want.batches, cases[k].name, "epochs and batches", __LINE__);
            for (int e = 0; e < h.epochs; e++)
                ok = ok && fabs(h.loss[e] - want.loss[e]) < 1e-7 && (cases[k].classes ? fabs(h.accuracy[e] - want.accuracy[e]) < 1e-12 : h.accuracy[e] != h.accuracy[e]);
            about(ok, cases[k].name, "the history's losses and accuracies", __LINE__);
            for (int e = 0; e < h.epochs; e++)
                ok = ok && (n[1] ? fabs(h.valid_loss[e] - valid[e]) < 1e-7 : h.valid_loss[e] != h.valid_loss[e]) && (n[1] && cases[k].classes ? fabs(h.valid_accuracy[e] - right[e]) < 1e-12 : h.valid_accuracy[e] != h.valid_accuracy[e]);
            about(ok, cases[k].name, "validation", __LINE__);
            for (int i = 0; i < want.batches && i < got.batches; i++) ok = ok && got.step[i] == want.step[i] && fabs(got.step_loss[i] - want.step_loss[i]) < 1e-7;
            about(ok, cases[k].name, "what on_step is told", __LINE__);
            get_weights(p.c, p.m, "out", got.w);
            for (int i = 0; i < WEIGHTS; i++) ok = ok && fabs(got.w[i] - want.w[i]) < 1e-7;
            about(ok, cases[k].name, "weights", __LINE__);
            FINISH(p.c);
        }
}

/* Batches that make one step: one batch as large as they are together. */
static void test_accumulate(void) {
    static const int sizes[][2] = {{24, 1}, {12, 2}, {8, 3}, {4, 6}, {1, 24}};
    double w[5][WEIGHTS];
    for (int k = 0; k < 5; k++) {
        line           p = line_new(0, NULL);
        nn_fit_options f = quiet_fit(4, sizes[k][0]);
        record         r;
        memset(&r, 0, sizeof r);
        f.accumulate = sizes[k][1]; f.on_step = record_step; f.user = &r;
        CHECK(nn_fit(p.m, p.d, &f).epochs == 4 && r.step[r.batches - 1] == 4);
        get_weights(p.c, p.m, "out", w[k]);
        for (int i = 0; i < WEIGHTS && k; i++)
            if (!(fabs(w[k][i] - w[0][i]) < 1e-7)) { about(0, "accumulate", "24 samples at once, or in several batches", __LINE__); break; }
        FINISH(p.c);
    }
}
static int stop_at_2(void *user, int64_t step, double loss) { (void)step; (void)loss; return ++*(int *)user % 2 != 0; }
static void test_accumulate_stopped(void) {
    double w[2][WEIGHTS];
    for (int stopped = 0; stopped < 2; stopped++) {
        line           p = line_new(0, NULL);
        nn_fit_options f = quiet_fit(1, 4), g;
        int            n = 0;
        f.accumulate = 3; f.optim = nn_sgd(p.m, 0.1f, 0);
        g = f;
        g.on_step = stop_at_2; g.user = &n;
        if (stopped) CHECK(nn_fit(p.m, p.d, &g).epochs == 0 && n == 2); /* before the first step */
        CHECK(nn_fit(p.m, p.d, &f).epochs == 1);
        get_weights(p.c, p.m, "out", w[stopped]);
        FINISH(p.c);
    }
    check(!memcmp(w[0], w[1], sizeof w[0]), "gradients of a step that was stopped halfway end in the next training", __LINE__);
}

// =====================================================================================================
// Defaults, advice, what else the options say
// =====================================================================================================
static int64_t  shown_batch; /* rows of the batch that a loss was asked for */
static nn_tensor *loss_shown(nn_tensor *p, nn_tensor *t) {
    shown_batch = nn_dim(p, 0);
    return nn_mse(p, t);
}
static nn_tensor *net_sized(nn_scope s, nn_tensor *x) { /* as many parameters as the user says, and a buffer that does not count */
    nn_tensor *w = nn_param(s, "w", NN_SHAPE(*(const int64_t *)nn_user(s)), nn_init_zeros());
    nn_buffer(s, "b", NN_SHAPE(100), nn_init_zeros());
    return nn_mul(nn_add_scalar(nn_sum(w, NN_ALL, 0), 1), x);
}
static int stop_at_once(void *user, int64_t step, double loss) { (void)user; (void)step; (void)loss; return 0; }
static void test_sizes(void) {
    static const struct { int64_t size; int batch; float lr; } want[] = {
        {1, 32, 0.01f}, {9999, 32, 0.01f}, {10000, 64, 0.003f}, {99999, 64, 0.003f}, {100000, 128, 0.001f}, {999999, 128, 0.001f}, {1000000, 256, 0.0003f}, {1000001, 256, 0.0003f}};
    for (int k = 0; k < 8; k++) {
        nn_ctx        *c = quiet_ctx();
        nn_model      *m = nn_model_new(c, net_sized, (void *)(uintptr_t)&want[k].size);
        nn_data       *d = nn_data_new(nn_ones(c, NN_F32, NN_SHAPE(300, 1)), nn_full(c, NN_F32, NN_SHAPE(300, 1), 3));
        nn_fit_options f = nn_fit_defaults();
        nn_advice      a;
        f.quiet = 1; f.loss = loss_shown; f.on_step = stop_at_once; f.epochs = 2; f.weight_decay = NN_ZERO; f.eager = 1;
        CHECK(nn_fit(m, d, &f).epochs == 0 && shown_batch == want[k].batch);
        NEAR(nn_get(nn_model_tensor(m, c, "w"), NN_SHAPE(0)), want[k].lr, 1e-4 * want[k].lr); /* Adam's first step is the rate */
        a = nn_recommend(m);
        CHECK(a.batch == want[k].batch && a.lr == want[k].lr && nn_model_size(m) == want[k].size);
        FINISH(c);
    }
    CHECK(nn_recommend(NULL).batch == 0 && nn_recommend(NULL).lr == 0);
}
static void test_batches(void) { /* whose batch size, and that it is put back */
    line           p = line_new(0, NULL);
    nn_fit_options f = nn_fit_defaults();
    nn_batch       b;
    nn_history     h, h2;
    double         loss;
    f.quiet = 1; f.epochs = 1; f.loss = loss_shown; f.eager = 1;
    CHECK(nn_fit(p.m, p.d, &f).epochs == 1 && shown_batch == SAMPLES); /* 32 advised */
    CHECK(nn_data_next(p.d, &b) && b.n == SAMPLES);
    nn_data_batch(p.d, 10, 0);
    CHECK(nn_fit(p.m, p.d, &f).epochs == 1 && shown_batch == 4); /* the last of 10, 10, 4 */
    nn_data_batch(p.d, 10, 1);
    h    = nn_fit(p.m, p.d, &f);
    CHECK(h.epochs == 1 && shown_batch == 10);
    loss = h.loss[0];
    f.batch = 7;
    h2 = nn_fit(p.m, p.d, &f);
    CHECK(h2.epochs == 1 && shown_batch == 7 && h.loss[0] == loss && h.loss != h2.loss);
    nn_data_rewind(p.d);
    CHECK(nn_data_next(p.d, &b) && b.n == 10 && nn_data_next(p.d, &b) && !nn_data_next(p.d, &b));
    f.validation = 0.25f;
    CHECK(nn_fit(p.m, p.d, &f).epochs == 1 && nn_data_next(p.d, &b) && b.n == 10);
    FINISH(p.c);
}
static int64_t held_out; /* rows of the last loss of an epoch, which is validation's */
static int     note_held(void *user, const nn_history *h) { (void)user; (void)h; held_out = shown_batch; return 1; }
static void    test_shares(void) {
    static const int parts[][2] = {{1, 10}, {1, 3}, {2, 3}, {1, 7}, {9, 20}, {7, 20}, {1, 4}, {3, 8}, {1, 6}, {1, 12}, {5, 24}, {9, 10}};
    for (int k = 0; k < 12; k++) {
        line           p = line_new(0, NULL);
        nn_fit_options f = quiet_fit(1, SAMPLES);
        f.loss = loss_shown; f.on_epoch = note_held; f.validation = (float)parts[k][0] / (float)parts[k][1];
        if (nn_fit(p.m, p.d, &f).epochs != 1 || held_out != SAMPLES * parts[k][0] / parts[k][1]) printf("   %d/%d: %ld\n", parts[k][0], parts[k][1], (long)held_out);
        CHECK(held_out == SAMPLES * parts[k][0] / parts[k][1]);
        FINISH(p.c);
    }
}
/* nn_fit_options.schedule is what the default optimiser follows. */
static int keep_weights(void *user, int64_t step, double loss) { (void)user; (void)step; (void)loss; return 1; }
static void test_schedules(void) {
    nn_lr up = nn_lr_linear(0, 0.01f, 4), flat = nn_lr_constant(0.01f), two[3];
    two[0] = nn_lr_constant(0.005f);
    two[1] = up;
    two[2] = nn_lr_then(&up, 4, &flat);
    for (int k = 0; k < 3; k++) {
        double w[2][WEIGHTS];
        for (int own = 0; own < 2; own++) {
            line           p = line_new(0, NULL);
            nn_fit_options f = quiet_fit(3, 8);
            f.on_step = keep_weights;
            if (own) { f.optim = nn_adamw(p.m, 0.02f, 0.01f); nn_set_lr(f.optim, two[k]); }
            else f.schedule = two[k];
            CHECK(nn_fit(p.m, p.d, &f).epochs == 3);
            get_weights(p.c, p.m, "out", w[own]);
            FINISH(p.c);
        }
        about(!memcmp(w[0], w[1], sizeof w[0]), k == 0 ? "constant" : k == 1 ? "a rate that begins at 0" : "a warm-up, then constant", "nn_fit_options.schedule", __LINE__);
    }
}

static nn_tensor *net_one(nn_scope s, nn_tensor *x) { return nn_layer_linear(s, "out", x, 1); }
static nn_tensor *net_wide(nn_scope s, nn_tensor *x) { return nn_layer_linear(s, "out", x, 5); }
static nn_tensor *loss_binary(nn_tensor *p, nn_tensor *t) { return nn_bce_logits(nn_squeeze(p, 1), nn_cast(t, NN_F32)); }
static void test_classes_otherwise(void) {
    int two[SAMPLES];
    for (int i = 0; i < SAMPLES; i++) two[i] = pc[i] > 0;
    for (int k = 0; k < 3; k++) { /* classes, but not by a logit each */
        nn_ctx        *c = quiet_ctx();
        nn_model      *m = nn_model_new(c, k == 2 ? net_wide : net_one, NULL);
        nn_data       *d = nn_data_new(nn_cast(nn_from(c, px, NN_F64, NN_SHAPE(SAMPLES, IN)), NN_F32), k == 2 ? nn_from(c, pc, NN_I32, NN_SHAPE(SAMPLES)) : nn_from(c, two, NN_I32, NN_SHAPE(SAMPLES)));
        nn_fit_options f = quiet_fit(4, 8);
        nn_history     h;
        if (k == 0) f.loss_name = "bce_logits";
        if (k == 1) f.loss = loss_binary;
        f.balance = k == 2; /* of 5 outputs only 3 occur */
        if (k < 2) f.metrics = "auc";
        f.validation = 0.25f;
        h = nn_fit(m, d, &f);
        about(h.epochs == 4 && h.loss[3] < h.loss[0] && h.valid_loss[3] - h.valid_loss[3] == 0, k == 0 ? "bce_logits of classes" : k == 1 ? "a loss of one's own, with one logit" : "balance, with outputs that no sample has", nn_error_text(c), __LINE__);
        nn_error_clear(c);
        if (k == 1) CHECK(nn_evaluate(m, d, loss_binary).loss > 0);
        nn_error_clear(c);
        nn_end(c);
    }
}

static void test_refused(void) {
    line           p = line_new(1, NULL), q = line_new(0, NULL);
    nn_fit_options f;
    nn_loss_options o;
    double         w[WEIGHTS], now[WEIGHTS];
    memset(&o, 0, sizeof o);
    first_weights(w);
#define REFUSED(x, code, part) do { CHECK(nn_fit((x).m, (x).d, &f).epochs == 0 && failed_with((x).c, code, part)); f = quiet_fit(2, 8); } while (0)
    f = quiet_fit(2, 8);
    f.accumulate = -1; REFUSED(p, NN_ERR_ARG, "accumulate");
    f.patience = -1; REFUSED(p, NN_ERR_ARG, "patience");
    f.checkpoint_every = -5; REFUSED(p, NN_ERR_ARG, "checkpoint_every");
    f.clip_value = -1; REFUSED(p, NN_ERR_ARG, "clip_value");
    f.clip_value = (float)NAN; REFUSED(p, NN_ERR_ARG, "clip_value");
    f.resume = 1; REFUSED(p, NN_ERR_ARG, "no checkpoint is named");
    f.loss_name = "nonsense"; REFUSED(p, NN_ERR_ARG, "'nonsense': no such loss");
    f.metrics = "accuracy, nonsense"; REFUSED(p, NN_ERR_ARG, "'nonsense': no such metric");
    f.metrics = "mse, rmse, mae, r2, mse, mse, mse, mse, mse"; REFUSED(q, NN_ERR_ARG, "metrics");
    f.balance = 1; REFUSED(q, NN_ERR_ARG, "balance");
    f.balance = 1; f.loss_name = "mse"; REFUSED(p, NN_ERR_ARG, "balance");
    f.balance = 1; f.loss = loss_shown; REFUSED(p, NN_ERR_ARG, "balance");
#undef REFUSED
#define STOPPED(x, code, part) do { CHECK(nn_fit((x).m, (x).d, &f).epochs < 2 && failed_with((x).c, code, part)); f = quiet_fit(2, 8); } while (0)
    f.metrics = "f1"; STOPPED(q, NN_ERR_DTYPE, "classes"); /* of real targets; seen after the first epoch */
    f.checkpoint = "build/no such folder/x"; STOPPED(q, NN_ERR_FILE, "no such folder");
    f.best = "build/no such folder/x"; STOPPED(q, NN_ERR_FILE, "no such folder");
    f.history = "build/no such folder/x"; STOPPED(q, NN_ERR_FILE, "no such folder");
    f.curve = "build/no such folder/x"; STOPPED(q, NN_ERR_FILE, "no such folder");
#undef STOPPED
    get_weights(p.c, p.m, "out", now);
    CHECK(!memcmp(w, now, sizeof w)); /* all of p's were found before training */
    f.optim = nn_sgd(q.m, 0.1f, 0); /* an optimiser that does not belong here */
    check(nn_fit(p.m, p.d, &f).epochs == 0 && nn_error(p.c) != NN_OK, "an optimiser of another context is taken", __LINE__);
    nn_error_clear(p.c);
    nn_error_clear(q.c);
    f.optim = nn_sgd(nn_model_new(p.c, net_line, NULL), 0.1f, 0);
    check(nn_fit(p.m, p.d, &f).epochs == 0 && nn_error(p.c) != NN_OK, "an optimiser of another model is taken", __LINE__);
    nn_error_clear(p.c);
    f = quiet_fit(2, 8);
    CHECK(nn_fit(NULL, p.d, &f).epochs == 0 && nn_fit(p.m, NULL, &f).epochs == 0 && failed_with(p.c, NN_ERR_NULL, "the data"));
    CHECK(nn_fit(p.m, q.d, &f).epochs == 0 && failed_with(p.c, NN_ERR_CONTEXT, "the data"));
    nn_history_json(p.c, NULL, TMP("h.json"));
    CHECK(failed_with(p.c, NN_ERR_NULL, "history"));
    FINISH(p.c);
    FINISH(q.c);
}

static void test_evaluate(void) {
    line      p = line_new(1, NULL), q = line_new(0, NULL);
    double    w[WEIGHTS], g[WEIGHTS];
    int       all[SAMPLES], hits = 0;
    book      b = {"cross_entropy", 1, 4, 1, 0, 0, 0, 0, 0, 0, 0, NULL};
    nn_scores s;
    first_weights(w);
    for (int i = 0; i < SAMPLES; i++) all[i] = i;
    s = nn_evaluate(p.m, p.d, NULL);
    NEAR(s.loss, book_batch(&b, w, all, SAMPLES, g, &hits), 1e-12);
    CHECK(s.n == SAMPLES && s.accuracy == (double)hits / SAMPLES);
    b.loss = "mse";
    s = nn_evaluate(q.m, q.d, NULL);
    NEAR(s.loss, book_batch(&b, w, all, SAMPLES, g, &hits), 1e-12);
    CHECK(s.n == SAMPLES && s.accuracy != s.accuracy);
    { /* more than one piece: the mean over samples; a loss of one's own */
        double     mean = 0, far = 0;
        nn_tensor *x = nn_zeros(q.c, NN_F64, NN_SHAPE(700, IN)), *y = nn_zeros(q.c, NN_F64, NN_SHAPE(700, OUT));
        nn_data   *d;
        for (int i = 0; i < 700; i++)
            for (int k = 0; k < OUT; k++) {
                double z = w[OUT * IN + k], t = 0.01 * i * (k + 1);
                for (int j = 0; j < IN; j++) {
                    ((double *)nn_f64(x))[i * IN + j] = sin(0.1 * i + j);
                    z += w[k * IN + j] * sin(0.1 * i + j);
                }
                ((double *)nn_f64(y))[i * OUT + k] = t;
                mean += (z - t) * (z - t) / (700 * OUT);
                far += fabs(z - t) / (700 * OUT);
            }
        d = nn_data_new(x, y);
        NEAR(nn_evaluate(q.m, d, NULL).loss, mean, 1e-11);
        NEAR(nn_evaluate(q.m, d, nn_mae).loss, far, 1e-11);
        CHECK(nn_evaluate(q.m, d, NULL).n == 700);
    }
    CHECK(nn_evaluate(NULL, p.d, NULL).n == 0 && nn_evaluate(p.m, NULL, NULL).n == 0);
    FINISH(p.c);
    FINISH(q.c);
}

// =====================================================================================================
// Trainings of every kind: as plans and as written, interrupted and not
// =====================================================================================================
enum { ROWS = 61, COLUMNS = 6, WINDOW = 16, EPOCHS = 3, BATCH = 9, MOST_STEPS = 64, CURVES = 8 };
enum {
    CLASSES = 1 << 0, NORM = 1 << 1, DROPOUT = 1 << 2, VALID = 1 << 3, METRICS = 1 << 4, BEST = 1 << 5, CLIP = 1 << 6, CLIP_VALUE = 1 << 7, EMA = 1 << 8, SWA = 1 << 9,
    PLATEAU = 1 << 10, STREAM = 1 << 11, DOUBLES = 1 << 12, FROZEN = 1 << 13, THAW = 1 << 14, HOOKED = 1 << 15, BALANCE = 1 << 16, DROP_LAST = 1 << 17, GROUPS = 1 << 18, HUBER = 1 << 19,
    NOISE = 1 << 20, DRAWN = 1 << 21, PATIENCE = 1 << 22, FIRST_FROZEN = 1 << 23
};
typedef struct scenario { const char *name; unsigned is; int optim, accumulate; } scenario; /* optim: 1 + nn_optim_kind; 0: the default */
static const scenario scenarios[] = {
    {"classes", CLASSES, 0, 1},
    {"real targets", 0, 0, 1},
    {"batch norm and dropout", CLASSES | NORM | DROPOUT, 0, 1},
    {"validation, metrics, best weights", CLASSES | DROPOUT | VALID | METRICS | BEST, 0, 1},
    {"metrics of real targets", METRICS | PATIENCE | NORM, 0, 1},
    {"clipping by norm", CLASSES | DROPOUT | CLIP, 1 + NN_ADAM, 1},
    {"clipping by value, SGD", CLASSES | CLIP_VALUE | NORM, 1 + NN_SGD, 1},
    {"both, and accumulation", CLASSES | CLIP | CLIP_VALUE | DROPOUT, 0, 3},
    {"accumulation, batch norm, averages", CLASSES | NORM | DROPOUT | EMA | VALID, 1 + NN_ADAM, 2},
    {"Nadam with averages", CLASSES | DROPOUT | EMA | VALID | BEST, 1 + NN_NADAM, 1},
    {"the mean of weights, with batch norm", CLASSES | NORM | SWA, 1 + NN_SGD, 1},
    {"averages beside what is frozen", CLASSES | EMA | FROZEN, 1 + NN_ADAMW, 1},
    {"plateau", CLASSES | PLATEAU | VALID, 1 + NN_SGD, 1},
    {"plateau without validation", PLATEAU | DROPOUT, 1 + NN_RMSPROP, 1},
    {"groups", CLASSES | GROUPS | CLIP, 1 + NN_ADAMW, 1},
    {"samples on the disk", CLASSES | STREAM | DROPOUT, 0, 1},
    {"samples on the disk, held out, metrics", CLASSES | STREAM | VALID | METRICS | BEST | NORM, 1 + NN_AMSGRAD, 2},
    {"f64, Huber", HUBER | DOUBLES | DROPOUT | VALID, 0, 1},
    {"balance, the last batch left out", CLASSES | BALANCE | DROP_LAST | DROPOUT, 1 + NN_LION, 1},
    {"Muon, accumulation, the last batch left out", CLASSES | DROP_LAST | NORM, 1 + NN_MUON, 4},
    {"noise in prediction too", CLASSES | NOISE | VALID, 0, 1},
    {"numbers drawn before", CLASSES | DROPOUT | DRAWN, 0, 1},
    {"Adadelta, patience", PATIENCE | VALID | DROPOUT, 1 + NN_ADADELTA, 1}};
enum { SCENARIOS = sizeof scenarios / sizeof *scenarios };
/* and those that cannot be told from a checkpoint */
static const scenario more_scenarios[] = {
    {"frozen after an epoch, thawed after another", CLASSES | DROPOUT | THAW, 0, 1},
    {"frozen after an epoch, accumulation, averages", CLASSES | NORM | THAW | EMA, 1 + NN_ADAM, 2},
    {"frozen at first", CLASSES | FIRST_FROZEN, 1 + NN_SGD, 1},
    {"hooks", CLASSES | HOOKED | DROPOUT, 0, 1}};
enum { MORE_SCENARIOS = sizeof more_scenarios / sizeof *more_scenarios };

static double sample_x(int i, int k) { return sin(0.37 * i + 1.9 * k + 0.11 * i * k); }
static double sample_y(int i, int k) { return sample_x(i, k) * sample_x(i, k + 1) + 0.3 * sample_x(i, 4); }
static int    sample_class(int i) { return sample_y(i, 0) > 0.3 ? 2 : sample_y(i, 0) > -0.1 ? 1 : 0; }
static void   make_stream(void) {
    static const char *const one[1] = {"x"};
    nn_ctx    *c = quiet_ctx();
    nn_tensor *x = nn_zeros(c, NN_F32, NN_SHAPE(ROWS, COLUMNS)), *y = nn_zeros(c, NN_I32, NN_SHAPE(ROWS));
    for (int i = 0; i < ROWS; i++) {
        for (int k = 0; k < COLUMNS; k++) nn_f32(x)[i * COLUMNS + k] = (float)sample_x(i, k);
        nn_i32(y)[i] = sample_class(i);
    }
    CHECK(nn_file_write(c, TMP("x.npy"), one, &x, 1) && nn_file_write(c, TMP("y.npy"), one, &y, 1));
    FINISH(c);
}
static nn_tensor *net_any(nn_scope s, nn_tensor *x) {
    unsigned is = ((const scenario *)nn_user(s))->is;
    x = nn_layer_linear(s, "a", x, 8);
    if (is & NORM) x = nn_layer_batchnorm(s, "norm", x);
    x = nn_tanh(x);
    if (is & NOISE) x = nn_add(x, nn_uniform(s.ctx, NN_F32, nn_shape_of(x), -0.1, 0.1));
    if (is & DROPOUT) x = nn_layer_dropout(s, x, 0.3);
    return nn_layer_linear(s, "b", x, is & CLASSES ? 3 : 2);
}

typedef struct training { /* what to do, and what came of it */
    const scenario *s;
    const char     *checkpoint;
    int64_t         every;
    int             eager, resume, stop_batch, stop_epoch, other, twice, fresh; /* stop after so many batches or epochs, 0: not; other: a program with another seed and other data sets;
                                                                          twice: after the stop it goes on itself; fresh: removes old checkpoints until so many
                                                                          batches before the stop (replacing a file takes some systems milliseconds) */
    nn_model       *m;
    nn_ctx         *c;
    int             batches, epochs, best, curves, planned, hooked, watched;
    int64_t         step[MOST_STEPS];
    double          loss[MOST_STEPS], curve[CURVES][EPOCHS], drawn, rate;
    int64_t         next[4];
    size_t          size;
    unsigned char  *weights, *averages;
    char            error[300];
} training;
static void training_free(training *t) {
    free(t->weights);
    free(t->averages);
    t->weights = t->averages = NULL;
}
static unsigned char *all_weights(nn_ctx *c, nn_model *m, size_t *size) {
    unsigned char *p;
    size_t         n = 0, at = 0;
    for (int i = 0; i < nn_model_count(m); i++) {
        nn_tensor *x = nn_model_tensor(m, c, nn_model_name(m, i));
        n += (size_t)nn_numel(x) * nn_dtype_size(nn_dtype_of(x));
    }
    p = (unsigned char *)malloc(n + 1);
    for (int i = 0; p && i < nn_model_count(m); i++) {
        nn_tensor *x = nn_model_tensor(m, c, nn_model_name(m, i));
        size_t     bytes = (size_t)nn_numel(x) * nn_dtype_size(nn_dtype_of(x));
        nn_read(x, p + at, bytes);
        at += bytes;
    }
    *size = n;
    return p;
}
static int any_step(void *user, int64_t step, double loss) {
    training *t = (training *)user;
    if (t->batches < MOST_STEPS) {
        t->step[t->batches] = step;
        t->loss[t->batches] = loss;
    }
    if (t->fresh && (!t->stop_batch || t->batches + t->fresh < t->stop_batch)) remove(t->checkpoint);
    return ++t->batches != t->stop_batch;
}
static int any_epoch(void *user, const nn_history *h) {
    training *t = (training *)user;
    if (t->s->is & THAW) nn_model_train(t->m, "a.*", h->epochs != 1);
    if (t->s->is & FIRST_FROZEN) nn_model_train(t->m, "a.*", 1);
    return h->epochs != t->stop_epoch;
}
static void any_hook(void *user, const char *layer, nn_tensor *y) {
    (void)layer; (void)y;
    ++*(int *)user;
}
static nn_data *any_data(nn_ctx *c, unsigned is) {
    nn_dtype   real = is & DOUBLES ? NN_F64 : NN_F32;
    nn_tensor *x, *y;
    nn_data   *d;
    if (is & STREAM) return nn_data_files(c, TMP("x.npy"), TMP("y.npy"), WINDOW);
    x = nn_zeros(c, NN_F64, NN_SHAPE(ROWS, COLUMNS));
    y = nn_zeros(c, NN_F64, NN_SHAPE(ROWS, 2));
    if (is & CLASSES) y = nn_zeros(c, NN_I32, NN_SHAPE(ROWS));
    for (int i = 0; i < ROWS && x && y; i++) {
        for (int k = 0; k < COLUMNS; k++) nn_f64(x)[i * COLUMNS + k] = sample_x(i, k);
        if (is & CLASSES) nn_i32(y)[i] = sample_class(i);
        else for (int k = 0; k < 2; k++) nn_f64(y)[i * 2 + k] = sample_y(i, k);
    }
    d = nn_data_new(nn_cast(x, real), is & CLASSES ? y : nn_cast(y, real));
    nn_reset(c);
    return d;
}
static void train(training *t) {
    unsigned         is = t->s->is;
    lines            log;
    nn_ctx          *c = logged_ctx(t->other ? 99 : 7, &log);
    nn_model        *m = nn_model_new(c, net_any, (void *)(uintptr_t)t->s);
    nn_data         *d;
    nn_fit_options   f = nn_fit_defaults();
    nn_optim_options o = nn_optim_defaults();
    nn_loss_options  l;
    nn_history       h;
    nn_batch         b;
    memset(&l, 0, sizeof l);
    t->c = c; t->m = m; t->batches = 0; t->hooked = 0;
    if (t->other) { any_data(c, CLASSES); any_data(c, 0); }
    d = any_data(c, is);
    if (is & DOUBLES) nn_model_dtype(m, NN_F64);
    nn_model_build(m, is & DOUBLES ? NN_F64 : NN_F32, NN_SHAPE(BATCH, COLUMNS));
    nn_data_batch(d, BATCH, (is & DROP_LAST) != 0);
    if (is & (FROZEN | FIRST_FROZEN)) nn_model_train(m, "a.*", 0);
    if (is & HOOKED) nn_model_hook(m, any_hook, &t->hooked);
    if (t->s->optim) {
        o.kind = (nn_optim_kind)(t->s->optim - 1);
        o.average = is & EMA ? 0.9f : is & SWA ? 1.0f : 0;
        o.average_from = is & SWA ? 4 : 0;
        o.lr = is & PLATEAU ? 0.3f : 0.01f;
        o.momentum = o.kind == NN_SGD ? 0.9f : 0;
        f.optim = nn_optim_new(m, &o);
        if (is & PLATEAU) nn_set_lr(f.optim, nn_lr_plateau(o.lr, 0.5f, 0, 1e-6f));
        if (is & GROUPS) { nn_optim_group(f.optim, "*.bias", 2, NN_ZERO); nn_optim_group(f.optim, "b.weight", 0.5f, 0.1f); }
    }
    f.eager = t->eager; f.epochs = EPOCHS; f.accumulate = t->s->accumulate;
    f.validation = is & VALID ? 0.25f : 0;
    f.metrics = !(is & METRICS) ? NULL : is & CLASSES ? "accuracy, f1,perplexity" : "rmse, mae r2";
    f.clip = is & CLIP ? 0.5f : 0; f.clip_value = is & CLIP_VALUE ? 0.05f : 0;
    f.best = is & BEST ? TMP("best.safetensors") : NULL;
    f.patience = is & (BEST | PATIENCE) ? 50 : 0;
    f.balance = (is & BALANCE) != 0;
    if (is & HUBER) { l.delta = 0.2f; f.loss_name = "huber"; f.loss_options = &l; }
    f.checkpoint = t->checkpoint; f.checkpoint_every = t->every; f.resume = t->resume;
    f.on_step = any_step; f.on_epoch = any_epoch; f.user = t;
    f.unwatched = !t->watched;
    if (is & DRAWN) nn_uniform(c, NN_F32, NN_SHAPE(3), 0, 1);
    h = nn_fit(m, d, &f);
    if (t->twice) {
        f.resume = 1; t->stop_batch = t->batches = 0;
        h = nn_fit(m, d, &f);
    }
    snprintf(t->error, sizeof t->error, "%s", nn_error_text(c));
    nn_error_clear(c);
    t->planned = line_with(&log, "steps run as a plan") != NULL && !line_with(&log, "run as written");
    t->epochs  = h.epochs; t->best = h.best; t->curves = 4 + h.metrics;
    for (int e = 0; e < EPOCHS; e++)
        for (int i = 0; i < CURVES; i++)
            t->curve[i][e] = i >= t->curves || e >= h.epochs ? 0 : i == 0 ? h.loss[e] : i == 1 ? h.accuracy[e] : i == 2 ? h.valid_loss[e] : i == 3 ? h.valid_accuracy[e] : h.metric[i - 4][e];
    t->weights = all_weights(c, m, &t->size);
    t->rate    = f.optim ? nn_get_lr(f.optim) : 0;
    if (is & (EMA | SWA) && h.epochs == EPOCHS && nn_optim_swap(f.optim)) t->averages = all_weights(c, m, &t->size);
    t->drawn = nn_get(nn_uniform(c, NN_F64, NN_SHAPE(1), 0, 1), NN_SHAPE(0));
    memset(t->next, 0, sizeof t->next);
    if (!(is & VALID) && nn_data_next(d, &b)) memcpy(t->next, b.index, sizeof t->next); /* the next epoch's order */
    if (nn_error(c)) snprintf(t->error, sizeof t->error, "%s", nn_error_text(c));
    nn_end(c);
}
static training new_training(const scenario *s) {
    training t;
    memset(&t, 0, sizeof t);
    t.s = s;
    return t;
}
/* The same end, to the bit: what differs, or NULL */
static const char *differs(const training *a, const training *b) {
    if (a->error[0]) return a->error;
    if (b->error[0]) return b->error;
    if (a->epochs != b->epochs) return "the number of epochs";
    if (a->best != b->best) return "the best epoch";
    if (memcmp(a->curve, b->curve, sizeof a->curve)) return "the history's numbers";
    if (a->size != b->size || !a->weights || !b->weights || memcmp(a->weights, b->weights, a->size)) return "weights";
    if (!a->averages != !b->averages || (a->averages && memcmp(a->averages, b->averages, a->size))) return "averages of the weights";
    if (a->rate != b->rate) return "the learning rate";
    if (memcmp(a->next, b->next, sizeof a->next)) return "the order of the samples";
    if (a->drawn != b->drawn) return "random numbers";
    return NULL;
}
/* Is what b did what a did last? */
static const char *tail_differs(const training *a, const training *b) {
    int from = a->batches - b->batches;
    if (from < 0 || b->batches < 0 || a->batches > MOST_STEPS) return "the number of batches";
    if (memcmp(a->loss + from, b->loss, (size_t)b->batches * sizeof *b->loss)) return "the losses of its batches";
    return memcmp(a->step + from, b->step, (size_t)b->batches * sizeof *b->step) ? "the numbers of its steps" : NULL;
}
static int report(const char *scenario, const char *how, const char *what, int line) { /* what: what differs, or NULL; whether it is NULL */
    char text[500];
    snprintf(text, sizeof text, "%s, %s: %s", scenario, how, what ? what : "");
    check(!what, text, line);
    return !what;
}

static void test_plans(void) {
#if defined(POSIX)
    training e = new_training(&scenarios[0]);
    setenv("NN_EAGER", "1", 1);
    train(&e);
    unsetenv("NN_EAGER");
    CHECK(!e.planned && e.epochs == EPOCHS);
    training_free(&e);
#endif
    for (int k = 0; k < SCENARIOS + MORE_SCENARIOS; k++)
        for (int watched = 0; watched < 2; watched++) {
            training    t[2];
            const char *what;
            for (int eager = 0; eager < 2; eager++) {
                t[eager] = new_training(k < SCENARIOS ? &scenarios[k] : &more_scenarios[k - SCENARIOS]);
                t[eager].eager = eager; t[eager].watched = watched;
                train(&t[eager]);
            }
            what = differs(&t[0], &t[1]);
            if (!what) what = tail_differs(&t[0], &t[1]);
            report(t[0].s->name, watched ? "plans against steps as written, watched" : "plans against steps as written", what, __LINE__);
            about(t[0].epochs == EPOCHS && t[1].epochs == EPOCHS, t[0].s->name, "all epochs", __LINE__);
            about(!t[1].planned && (t[0].s->is & (HOOKED | THAW | FIRST_FROZEN) || t[0].planned), t[0].s->name, "ran as a plan", __LINE__);
            if (t[0].s->is & HOOKED) about(t[0].hooked == t[1].hooked && t[0].hooked >= 2 * t[0].batches, t[0].s->name, "every step is seen", __LINE__);
            training_free(&t[0]);
            training_free(&t[1]);
        }
}

/* Do two checkpoints hold the same, but for seconds? */
static const char *checkpoints_differ(const char *a, const char *b) {
    static char text[200];
    nn_ctx     *c = quiet_ctx();
    nn_file    *f = nn_file_open(c, a), *g = nn_file_open(c, b);
    const char *what = nn_file_count(f) == nn_file_count(g) && nn_file_count(f) > 0 ? NULL : "the checkpoint has other tensors";
    for (int i = 0; i < nn_file_count(f) && !what; i++) {
        const char *name = nn_file_name(f, i);
        nn_tensor  *x = nn_file_tensor(f, name), *y = nn_file_tensor(g, name);
        size_t      bytes = x ? (size_t)nn_numel(x) * nn_dtype_size(nn_dtype_of(x)) : 0;
        char       *p = (char *)malloc(bytes + 1), *q = (char *)malloc(bytes + 1);
        snprintf(text, sizeof text, "the checkpoint's '%.100s'", name);
        if (!p || !q || !y || nn_numel(x) != nn_numel(y) || nn_dtype_of(x) != nn_dtype_of(y) || !nn_read(x, p, bytes) || !nn_read(y, q, bytes)) what = text;
        else if (strcmp(name, "fit.state") && memcmp(p, q, bytes)) what = text;
        free(p);
        free(q);
    }
    if (nn_error(c)) { snprintf(text, sizeof text, "%.190s", nn_error_text(c)); what = text; }
    nn_end(c);
    return what;
}

#define FULL  TMP("full.checkpoint")
#define BROKE TMP("broke.checkpoint")
static void test_resume(void) {
    static const int thorough[SCENARIOS] = {0, 0, 1, 1, 0, 0, 0, 1, 1, 1, 0, 0, 1, 0, 0, 0, 1}; /* stopped after every batch; others after every third */
    for (int k = 0; k < SCENARIOS; k++) {
        training    full = new_training(&scenarios[k]), t;
        const char *name = scenarios[k].name, *what = NULL;
        char        how[100];
        train(&full);
        /* checkpoints change nothing */
        t = new_training(&scenarios[k]);
        t.checkpoint = FULL; t.every = 1; t.resume = 1; t.watched = 1; t.fresh = 1; /* there is none yet */
        remove(FULL);
        train(&t);
        what = differs(&full, &t);
        report(name, "with checkpoints", what ? what : tail_differs(&full, &t), __LINE__);
        training_free(&t);
        /* stopped after each batch, with a checkpoint just before; then after each epoch */
        for (int stop = thorough[k] ? 1 : 1 + k % 3, ok = 1; ok && stop < full.batches + EPOCHS; stop += thorough[k] ? 1 : 3) {
            int redone, before, other = stop % 2;
            t = new_training(&scenarios[k]);
            t.checkpoint = BROKE; t.eager = other; t.fresh = t.s->accumulate + 1;
            if (stop < full.batches) { t.stop_batch = stop; t.every = 1; } /* none is written after an epoch's last batch: it would be the epoch's */
            else t.stop_epoch = stop - full.batches + 1;
            remove(BROKE);
            train(&t);
            snprintf(how, sizeof how, "stopped after %s %d%s", t.stop_batch ? "batch" : "epoch", t.stop_batch ? t.stop_batch : t.stop_epoch, other ? ", as another program" : "");
            if (t.error[0]) ok = report(name, how, t.error, __LINE__);
            before = t.batches;
            training_free(&t);
            t = new_training(&scenarios[k]);
            t.checkpoint = BROKE; t.resume = 1; t.fresh = 1; t.watched = stop % 3 == 0; t.other = other && is_file(BROKE);
            train(&t);
            redone = before - (full.batches - t.batches);
            what   = differs(&full, &t);
            if (!what) what = tail_differs(&full, &t);
            if (!what) what = checkpoints_differ(FULL, BROKE);
            if (!what && !(redone >= 0 && redone <= t.s->accumulate)) what = "it went on from an older checkpoint";
            ok = report(name, how, what, __LINE__) && ok;
            training_free(&t);
        }
        /* stopped again and again */
        remove(BROKE);
        for (int rounds = 0, done = 0; rounds < 40 && !done; rounds++) {
            t = new_training(&scenarios[k]);
            t.checkpoint = BROKE; t.resume = 1; t.every = 2; t.stop_batch = 2 + 2 * t.s->accumulate; t.fresh = 2 + t.s->accumulate;
            train(&t);
            done = t.error[0] || t.epochs == EPOCHS;
            if (rounds == 39 && !done) report(name, "stopped again and again", "it does not get on", __LINE__);
            if (done) {
                what = differs(&full, &t);
                report(name, "stopped again and again", what ? what : tail_differs(&full, &t), __LINE__);
            }
            training_free(&t);
        }
        /* the same program goes on */
        for (int stop = 5; stop < full.batches; stop += 9) { /* from a checkpoint that is older than what it knows */
            t = new_training(&scenarios[k]);
            t.checkpoint = BROKE; t.every = 3; t.twice = 1; t.fresh = 5; t.stop_batch = stop;
            remove(BROKE);
            train(&t);
            snprintf(how, sizeof how, "stopped after batch %d, and on", stop);
            what = differs(&full, &t);
            if (!report(name, how, what ? what : tail_differs(&full, &t), __LINE__)) stop = full.batches;
            training_free(&t);
        }
        /* a training that is over is over */
        t = new_training(&scenarios[k]);
        t.checkpoint = FULL; t.resume = 1;
        train(&t);
        what = differs(&full, &t);
        report(name, "resumed after its end", what ? what : t.batches ? "it went on" : NULL, __LINE__);
        training_free(&t);
        training_free(&full);
    }
    remove(FULL);
    remove(BROKE);
    remove(TMP("best.safetensors"));
}

// =====================================================================================================
// Killed, and broken
// =====================================================================================================
#if defined(POSIX)
/* Runs f in a process of its own: its result, or 1000 and the signal that ended it */
static int in_child(int (*f)(void *arg), void *arg) {
    int   status = 0;
    pid_t child;
    fflush(stdout);
    child = fork();
    if (child == 0) _exit(f(arg));
    if (child < 0) return -1;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {}
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}
static unsigned dice_state = 12345;
static unsigned dice(unsigned n) {
    dice_state = dice_state * 1664525u + 1013904223u;
    return (dice_state >> 8) % n;
}
static void wait_microseconds(unsigned n) {
    struct timespec t;
    t.tv_sec = 0; t.tv_nsec = (long)n * 1000;
    nanosleep(&t, NULL);
}
/* Starts f, and kills it after so many microseconds. Whether it was still running */
static int killed(int (*f)(void *arg), void *arg, unsigned after) {
    int   status = 0;
    pid_t child;
    fflush(stdout);
    child = fork();
    if (child == 0) _exit(f(arg));
    if (child < 0) return 0;
    wait_microseconds(after);
    kill(child, SIGKILL);
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {}
    return WIFSIGNALED(status);
}
static int train_to_the_end(void *arg) {
    training t = *(training *)arg;
    train(&t);
    return t.error[0] != 0;
}
static void test_killed(void) {
    static const int which[] = {3, 8, 9, 16, 12};
    int              kills = 0, went_on = 0;
    for (int k = 0; k < 5; k++) {
        const scenario *s = &scenarios[which[k]];
        training    full = new_training(s), t = new_training(s);
        const char *what = NULL;
        double      begin;
        unsigned    most;
        train(&full);
        t.checkpoint = BROKE; t.every = 1; t.resume = 1;
        remove(BROKE);
        begin = nn_time();
        in_child(train_to_the_end, &t);
        most = (unsigned)(1e6 * (nn_time() - begin)) + 200;
        remove(BROKE);
        for (int i = 0; i < 8; i++) {
            if (i == 4) remove(BROKE);
            kills += killed(train_to_the_end, &t, dice(most / 2));
            for (int file = 0; file < 2; file++) { /* whatever happened, they are whole */
                const char *path = file ? TMP("best.safetensors") : BROKE;
                nn_ctx     *c = quiet_ctx();
                if (is_file(path) && nn_file_count(nn_file_open(c, path)) < 4) report(s->name, "killed", nn_error_text(c), __LINE__);
                nn_end(c);
            }
        }
        went_on += is_file(BROKE);
        train(&t);
        what = differs(&full, &t);
        report(s->name, "killed four times, then to its end", what ? what : tail_differs(&full, &t), __LINE__);
        if (s->is & BEST) { /* the file has them, too */
            nn_ctx        *c = quiet_ctx();
            nn_model      *m = nn_model_new(c, net_any, (void *)(uintptr_t)s);
            size_t         n = 0;
            unsigned char *best = nn_model_build(m, NN_F32, NN_SHAPE(BATCH, COLUMNS)) && nn_load(m, TMP("best.safetensors")) ? all_weights(c, m, &n) : NULL;
            about(best && n == full.size && !memcmp(best, full.weights, n), s->name, "the file of the best weights, after all", __LINE__);
            free(best);
            FINISH(c);
        }
        training_free(&t);
        training_free(&full);
    }
    CHECK(kills > 10 && went_on > 0);
    remove(BROKE);
    remove(BROKE ".partial");
    remove(TMP("best.safetensors"));
    remove(TMP("best.safetensors.partial"));
}

/* A file that is saved again and again has one content or the next */
enum { PARTS = 150, PART_SIZE = 1100 };
static nn_tensor *net_parts(nn_scope s, nn_tensor *x) {
    for (int i = 0; i < PARTS; i++) x = nn_mul(nn_sum(nn_param(nn_in_i(s, "w", i), "v", NN_SHAPE(PART_SIZE), nn_init_zeros()), NN_ALL, 0), x);
    return x;
}
static int save_forever(void *arg) { /* arg: to a name that is free (replacing a file takes longer than writing it) */
    nn_ctx    *c = quiet_ctx();
    nn_model  *m = nn_model_new(c, net_parts, NULL);
    nn_model_build(m, NN_F32, NN_SHAPE(1));
    nn_no_grad(c, 1);
    for (int k = 1; k < 100000 && !nn_error(c); k++) {
        for (int i = 0; i < PARTS; i++) nn_fill(nn_model_tensor(m, c, nn_model_name(m, i)), k);
        if (*(int *)arg) remove(TMP("saved.safetensors"));
        nn_save(m, TMP("saved.safetensors"));
        nn_reset(c);
    }
    return 0;
}
static void test_killed_saving(void) {
    int there = 0, whole = 0, beside = 0, wait = 12000; /* us, longer where not even one save was done */
    for (int i = 0; i < 24; i++) {
        nn_ctx *c = quiet_ctx();
        int     to_free = i % 3 > 0;
        killed(save_forever, &to_free, 1000 + dice(wait));
        if (!is_file(TMP("saved.safetensors"))) wait = wait < 3000000 ? 2 * wait : wait;
        else {
            nn_file *f = nn_file_open(c, TMP("saved.safetensors"));
            int      same = nn_file_count(f) == PARTS;
            float    k = same ? nn_f32(nn_file_tensor(f, "w.0.v"))[0] : 0;
            for (int n = 0; n < PARTS && same; n++) {
                nn_tensor *w = nn_file_tensor(f, nn_file_name(f, n));
                for (int j = 0; j < PART_SIZE && same; j++) same = nn_f32(w)[j] == k && k >= 1;
            }
            there++;
            whole += same;
        }
        beside += is_file(TMP("saved.safetensors.partial"));
        FINISH(c);
    }
    check(there > 0 && whole == there, "a file that was being saved is not whole", __LINE__);
    if (!beside) skip("killed in the middle of a save", "every kill fell between two");
    remove(TMP("saved.safetensors"));
    remove(TMP("saved.safetensors.partial"));
}
#endif

/* A small training with a checkpoint, for what follows */
typedef struct small { nn_ctx *c; nn_model *m; nn_data *d; nn_optim *o; nn_fit_options f; } small;
static nn_tensor *net_small(nn_scope s, nn_tensor *x) { return nn_layer_linear(s, "out", x, OUT); }
static nn_tensor *net_other(nn_scope s, nn_tensor *x) { return nn_layer_linear(s, "last", x, OUT); }
static nn_tensor *net_deep(nn_scope s, nn_tensor *x) { return nn_layer_linear(s, "out", nn_tanh(nn_layer_linear(s, "in", x, 5)), OUT); }
static small small_new(nn_net net, int samples) {
    small p;
    nn_tensor *x, *y;
    p.c = quiet_ctx();
    p.m = nn_model_new(p.c, net, NULL);
    x   = nn_zeros(p.c, NN_F32, NN_SHAPE(samples, IN));
    y   = nn_zeros(p.c, NN_F32, NN_SHAPE(samples, OUT));
    for (int i = 0; i < samples; i++) {
        for (int k = 0; k < IN; k++) nn_f32(x)[i * IN + k] = (float)px[i % SAMPLES][k];
        for (int k = 0; k < OUT; k++) nn_f32(y)[i * OUT + k] = (float)pt[i % SAMPLES][k];
    }
    p.d = nn_data_new(x, y);
    nn_model_build(p.m, NN_F32, NN_SHAPE(1, IN));
    p.o = nn_adam(p.m, 0.01f);
    p.f = quiet_fit(3, 8);
    p.f.optim = p.o; p.f.checkpoint = BROKE; p.f.resume = 1;
    return p;
}
static int stop_after_4(void *user, int64_t step, double loss) { (void)user; (void)loss; return step < 4; }
static void make_checkpoint(void) { /* in the middle of the second of three epochs */
    small p = small_new(net_small, SAMPLES);
    remove(BROKE);
    p.f.checkpoint_every = 1; p.f.on_step = stop_after_4;
    CHECK(nn_fit(p.m, p.d, &p.f).epochs == 1 && is_file(BROKE));
    FINISH(p.c);
}
static void test_damaged(void) {
    size_t         size, before_size;
    unsigned char *good, *before, *after;
    small          p = small_new(net_small, SAMPLES), q = small_new(net_small, SAMPLES);
    int            refused = 0, said = 0, bad_epochs = 0;
    double         w1, w2;
    make_checkpoint();
    good = get_file(BROKE, &size);
    if (!good) return;
    /* cut short, anywhere */
    CHECK(nn_optim_save(p.o, TMP("before")));
    for (size_t n = size; n-- > 0;) {
        nn_history h;
#if defined(POSIX)
        if (truncate(BROKE, (off_t)n)) break;
#else
        put_file(BROKE, good, n);
#endif
        h = nn_fit(p.m, p.d, &p.f);
        bad_epochs += h.epochs != 0;
        refused += nn_error(p.c) == NN_ERR_FORMAT;
        said += strstr(nn_error_text(p.c), BROKE) != NULL;
        nn_error_clear(p.c);
        if (bad_epochs) break; /* it trained */
    }
    CHECK(refused == (int)size && said == (int)size && !bad_epochs);
    CHECK(nn_optim_save(p.o, TMP("after")));
    before = get_file(TMP("before"), &before_size);
    after  = get_file(TMP("after"), &size);
    check(before && after && size == before_size && !memcmp(before, after, size), "a damaged checkpoint changes nothing: weights and optimiser", __LINE__);
    free(before);
    free(after);
    free(good);
    /* and nothing of the order: the training that follows is the one that never saw it */
    make_checkpoint();
    good = get_file(BROKE, &size);
    if (!good) return;
    put_file(BROKE, good, size / 2);
    CHECK(nn_fit(p.m, p.d, &p.f).epochs == 0 && nn_error(p.c) == NN_ERR_FORMAT);
    nn_error_clear(p.c);
    p.f.checkpoint = q.f.checkpoint = NULL; p.f.resume = q.f.resume = 0;
    w1 = nn_fit(p.m, p.d, &p.f).loss[2];
    w2 = nn_fit(q.m, q.d, &q.f).loss[2];
    check(w1 == w2, "a damaged checkpoint changes nothing: order of the samples", __LINE__);
    FINISH(p.c);
    FINISH(q.c);
    put_file(BROKE, good, size);
    free(good);
    p = small_new(net_small, SAMPLES);
    CHECK(nn_fit(p.m, p.d, &p.f).epochs == 3);
    FINISH(p.c);
    remove(BROKE);
    remove(TMP("before"));
    remove(TMP("after"));
}

typedef struct misfit { const char *name; nn_net net; int samples, epochs; double lr; const char *metrics, *part; } misfit;
static void test_other_checkpoints(void) {
    static const misfit list[] = {
        {"another model's names", net_other, SAMPLES, 3, 0, NULL, "last.weight"},
        {"a larger model", net_deep, SAMPLES, 3, 0, NULL, "out.weight"},
        {"a smaller data set", net_small, 11, 3, 0, NULL, "another data set"},
        {"a larger data set", net_small, 40, 3, 0, NULL, "another data set"},
        {"another optimiser", net_small, SAMPLES, 3, 0.01, NULL, "optim.out.weight"},
        {"other metrics", net_small, SAMPLES, 3, 0, "mae", "fit.metric_mae"}};
    double was[2];
    make_checkpoint();
    for (int k = 0; k < 6; k++) {
        small          p = small_new(list[k].net, list[k].samples);
        size_t         n, m;
        unsigned char *before = all_weights(p.c, p.m, &n), *after;
        if (list[k].lr > 0) { nn_optim_options o = nn_optim_defaults(); o.kind = NN_AMSGRAD; p.f.optim = nn_optim_new(p.m, &o); }
        p.f.metrics = list[k].metrics;
        about(nn_fit(p.m, p.d, &p.f).epochs == 0 && nn_error(p.c) != NN_OK && strstr(nn_error_text(p.c), list[k].part), list[k].name, nn_error(p.c) ? nn_error_text(p.c) : "a checkpoint that does not belong here is taken", __LINE__);
        nn_error_clear(p.c);
        after = all_weights(p.c, p.m, &m);
        about(n == m && before && after && !memcmp(before, after, n), list[k].name, "weights are changed", __LINE__);
        free(before);
        free(after);
        FINISH(p.c);
    }
    { /* after an epoch, the data set is complete: another size is noticed all the same */
        small p = small_new(net_small, SAMPLES);
        for (int k = 0; k < 2; k++) {
            small q = small_new(net_small, k ? 2 * SAMPLES : SAMPLES - 1);
            remove(BROKE);
            p.f.epochs = 1; p.f.resume = 0;
            CHECK(nn_fit(p.m, p.d, &p.f).epochs == 1);
            about(nn_fit(q.m, q.d, &q.f).epochs == 0 && strstr(nn_error_text(q.c), "another data set"), k ? "a larger data set" : "a smaller data set", "after an epoch", __LINE__);
            nn_error_clear(q.c);
            FINISH(q.c);
        }
        FINISH(p.c);
    }
    { /* a file that is no checkpoint; a model alone; fewer epochs than were trained */
        small p = small_new(net_small, SAMPLES);
        put_file(BROKE, "hello", 5);
        CHECK(nn_fit(p.m, p.d, &p.f).epochs == 0 && failed_with(p.c, NN_ERR_FORMAT, BROKE));
        CHECK(nn_save(p.m, BROKE) && nn_fit(p.m, p.d, &p.f).epochs == 0 && failed_with(p.c, NN_ERR_NAME, "fit."));
        CHECK(nn_optim_save(p.o, BROKE) && nn_fit(p.m, p.d, &p.f).epochs == 0 && failed_with(p.c, NN_ERR_NAME, "fit."));
        remove(BROKE);
        CHECK(nn_fit(p.m, p.d, &p.f).epochs == 3);
        p.f.epochs = 2;
        CHECK(nn_fit(p.m, p.d, &p.f).epochs == 0 && failed_with(p.c, NN_ERR_FORMAT, "epochs"));
        p.f.epochs = 5; /* more are welcome */
        CHECK(nn_fit(p.m, p.d, &p.f).epochs == 5);
        FINISH(p.c);
    }
    { /* the checkpoint is also a model and an optimiser */
        small p = small_new(net_small, SAMPLES), q = small_new(net_small, SAMPLES);
        remove(BROKE);
        CHECK(nn_fit(p.m, p.d, &p.f).epochs == 3 && nn_load(q.m, BROKE) && nn_optim_load(q.o, BROKE));
        was[0] = nn_evaluate(p.m, p.d, NULL).loss; was[1] = nn_evaluate(q.m, q.d, NULL).loss;
        CHECK(was[0] == was[1]);
        FINISH(p.c);
        FINISH(q.c);
    }
    remove(BROKE);
}

/* Best weights asked for only when training goes on */
static void test_best_later(void) {
    for (int k = 0; k < 2; k++) {
        small          p = small_new(net_small, SAMPLES);
        size_t         n, m;
        unsigned char *before, *after;
        nn_history     h;
        remove(BROKE);
        CHECK(nn_fit(p.m, p.d, &p.f).epochs == 3);
        before = all_weights(p.c, p.m, &n);
        if (k == 0) p.f.patience = 2;
        else p.f.best = TMP("best");
        h     = nn_fit(p.m, p.d, &p.f); /* nothing is left to do */
        after = all_weights(p.c, p.m, &m);
        CHECK(h.epochs == 3 && n == m && before && after);
        check(before && after && !memcmp(before, after, n), k ? "best, first asked for at a resume: other weights" : "patience, first asked for at a resume: other weights", __LINE__);
        free(before);
        free(after);
        FINISH(p.c);
    }
    remove(BROKE);
    remove(TMP("best"));
}

/* BROKE once more with another value in fit.state, or (index -1) with other best weights */
typedef struct odd { int index; double value; } odd;
static int put_odd(nn_ctx *c, const odd *o) {
    nn_file    *f = nn_file_open(c, BROKE);
    const char *names[64];
    nn_tensor  *tensors[64];
    int         n = nn_file_count(f), found = 0;
    for (int i = 0; i < n && i < 64; i++) {
        names[i]   = nn_file_name(f, i);
        tensors[i] = nn_file_tensor(f, names[i]);
        if (!strcmp(names[i], "fit.state") && o->index >= 0) found = nn_set(tensors[i], NN_SHAPE(o->index), o->value);
        if (!strcmp(names[i], "fit.best_weights") && o->index < 0) { tensors[i] = nn_zeros(c, NN_F32, NN_SHAPE(1)); found = 1; }
    }
    remove(TMP("odd"));
    return found && n <= 64 && nn_file_write(c, TMP("odd"), names, tensors, n);
}
static void test_odd_weights(void) {
    small          p = small_new(net_small, SAMPLES), q = small_new(net_small, SAMPLES);
    odd            o = {-1, 0};
    size_t         n, m;
    unsigned char *before, *after;
    remove(BROKE);
    p.f.patience = q.f.patience = 5;
    CHECK(nn_fit(p.m, p.d, &p.f).epochs == 3 && put_odd(q.c, &o));
    q.f.checkpoint = TMP("odd");
    before = all_weights(q.c, q.m, &n);
    check(nn_fit(q.m, q.d, &q.f).epochs == 0 && nn_error(q.c) != NN_OK, "best weights of another size in a checkpoint: no message", __LINE__);
    nn_error_clear(q.c);
    after = all_weights(q.c, q.m, &m);
    check(before && after && !memcmp(before, after, n), "best weights of another size in a checkpoint: weights are changed", __LINE__);
    free(before);
    free(after);
    FINISH(p.c);
    FINISH(q.c);
    remove(BROKE);
    remove(TMP("odd"));
}
#if defined(POSIX)
static int resume_odd(void *arg) { /* in a process of its own: a message, or a sane training */
    small      p = small_new(net_small, SAMPLES);
    nn_history h;
    if (!put_odd(p.c, (const odd *)arg)) return 5;
    p.f.checkpoint = TMP("odd"); p.f.patience = 3; p.f.epochs = 3;
    h = nn_fit(p.m, p.d, &p.f);
    if (h.epochs < 0 || h.epochs > 3 || (h.epochs && (h.best < 0 || h.best >= h.epochs))) return 6;
    return nn_error(p.c) ? 1 : 0;
}
static void test_odd_states(void) {
    static const double values[] = {-1, 7, 2147483648.0, 5e9, 9e14, NAN};
    nn_ctx *c = quiet_ctx();
    int     n = 0, bad = 0;
    make_checkpoint();
    n = (int)nn_numel(nn_file_tensor(nn_file_open(c, BROKE), "fit.state"));
    CHECK(n > 10 && n < 100);
    for (int i = 0; i < n; i++)
        for (int k = 0; k < 6; k++) {
            odd o;
            int status;
            o.index = i; o.value = values[k];
            status = in_child(resume_odd, &o);
            if (status > 1 && bad++ < 6) printf("   fit.state[%d] = %g: %s %d\n", i, values[k], status >= 1000 ? "signal" : "status", status >= 1000 ? status - 1000 : status);
        }
    check(bad == 0, "a checkpoint with an odd state ends the program, or gives a history that cannot be", __LINE__);
    remove(BROKE);
    remove(TMP("odd"));
    FINISH(c);
}
#endif

// =====================================================================================================
// Data on the disk: errors in the middle, and more of it than memory
// =====================================================================================================
#if defined(POSIX)
static int shorten(void *user, int64_t step, double loss) {
    (void)loss;
    if (step == *(int *)user && truncate(TMP("x.npy"), 700)) return 0;
    return 1;
}
static void test_stream_errors(void) {
    for (int k = 0; k < 4; k++) {
        nn_ctx        *c = quiet_ctx();
        nn_model      *m;
        nn_data       *d;
        nn_fit_options f = quiet_fit(4, BATCH);
        nn_history     h;
        int            at = k == 0 ? 3 : k == 1 ? 7 : 100;
        make_stream();
        m = nn_model_new(c, net_any, (void *)(uintptr_t)&scenarios[0]);
        d = nn_data_files(c, TMP("x.npy"), TMP("y.npy"), WINDOW);
        f.on_step = shorten; f.user = &at; f.patience = 10; f.metrics = "accuracy"; f.checkpoint = k == 3 ? TMP("gone/checkpoint") : BROKE; f.validation = k == 1 ? 0.25f : 0;
        if (k == 2) CHECK(remove(TMP("x.npy")) == 0 && remove(TMP("y.npy")) == 0); /* it is open: nothing is missed */
        h = nn_fit(m, d, &f);
        if (k < 2) {
            CHECK(h.epochs <= 2 && failed_with(c, NN_ERR_FILE, TMP("x.npy")));
            for (int e = 0; e < h.epochs; e++) CHECK(h.loss[e] > 0);
        } else if (k == 2) CHECK(h.epochs == 4 && nn_error(c) == NN_OK);
        else CHECK(h.epochs <= 1 && failed_with(c, NN_ERR_FILE, "cannot be written"));
        FINISH(c);
    }
    remove(BROKE);
    remove(TMP("x.npy"));
    remove(TMP("y.npy"));
}

/* An npy file of f32 [n, width], zeros but for the first number of each row */
static int put_large(const char *x, const char *y, long n, long width) {
    char  head[128], text[200];
    FILE *f = fopen(x, "wb");
    int   ok = f != NULL;
    for (int labels = 0; ok && labels < 2; labels++) {
        if (labels) f = fopen(y, "wb");
        snprintf(text, sizeof text, labels ? "{'descr': '<i4', 'fortran_order': False, 'shape': (%ld,), }" : "{'descr': '<f4', 'fortran_order': False, 'shape': (%ld, %ld), }", n, width);
        memset(head, ' ', sizeof head);
        memcpy(head, "\x93NUMPY\1\0\x76\0", 10);
        memcpy(head + 10, text, strlen(text));
        head[127] = '\n';
        ok = f && fwrite(head, 1, 128, f) == 128;
        for (long i = 0; ok && i < n; i++) {
            float   v = i % 3 ? 1.0f : -1.0f;
            int32_t k = i % 3 ? 1 : 0;
            if (labels) ok = fwrite(&k, 4, 1, f) == 1;
            else ok = !fseek(f, 128 + i * width * 4, SEEK_SET) && fwrite(&v, 4, 1, f) == 1;
        }
        if (f) ok = fclose(f) == 0 && ok;
    }
    return ok && truncate(x, 128 + n * width * 4) == 0;
}
enum { LARGE_ROWS = 768, LARGE_WIDTH = 16384, LARGE_BYTES = LARGE_ROWS * LARGE_WIDTH * 4, LIMIT = 24 << 20 }; /* 48 MB of data for 24 MB of memory */
static nn_tensor *net_two(nn_scope s, nn_tensor *x) { return nn_layer_linear(s, "out", x, 2); }
static int train_large(void *arg) { /* 0 fine, 1 no such limit here, else what failed */
    struct rlimit  limit;
    nn_ctx        *c;
    nn_model      *m;
    nn_data       *d;
    nn_fit_options f = quiet_fit(2, 32);
    nn_history     h;
    void          *p;
    long           pages = 0;
    FILE          *statm = fopen("/proc/self/statm", "r");
    (void)arg;
    if (!statm || fscanf(statm, "%ld", &pages) != 1) return 1;
    fclose(statm);
    limit.rlim_cur = limit.rlim_max = (rlim_t)pages * (rlim_t)sysconf(_SC_PAGESIZE) + LIMIT;
    if (setrlimit(RLIMIT_AS, &limit)) return 1;
    p = malloc(LARGE_BYTES);
    if (p) { free(p); return 1; }
    c = quiet_ctx();
    if (nn_data_files(c, TMP("large.npy"), TMP("labels.npy"), 0) || !failed_with(c, NN_ERR_MEMORY, "out of memory")) return 2;
    nn_end(c);
    c = quiet_ctx();
    m = nn_model_new(c, net_two, NULL);
    d = nn_data_files(c, TMP("large.npy"), TMP("labels.npy"), 64);
    f.lr = 0.1f; f.validation = 0.125f; f.metrics = "f1"; f.optim = NULL;
    h = nn_fit(m, d, &f);
    if (nn_error(c)) { printf("   %s\n", nn_error_text(c)); fflush(stdout); return 3; }
    if (h.epochs != 2 || !(h.loss[1] < h.loss[0]) || h.valid_accuracy[1] != 1 || h.metric[0][1] != 1) return 4;
    if (nn_memory(c).peak > LIMIT) return 5;
    nn_end(c);
    return 0;
}
#if defined(__has_feature)
#  if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#    define SANITIZED 1
#  endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#  define SANITIZED 1
#endif
static void test_larger_than_memory(void) {
    int status;
#if defined(SANITIZED)
    skip("data larger than the memory", "a sanitizer needs more than the limit");
    return;
#endif
    if (!put_large(TMP("large.npy"), TMP("labels.npy"), LARGE_ROWS, LARGE_WIDTH)) skip("data larger than the memory", "no room for a file of 48 MB");
    else {
        status = in_child(train_large, NULL);
        if (status == 1) skip("data larger than the memory", "no limit can be set here");
        else check(status == 0, "data larger than the memory: status", __LINE__);
        if (status > 1) printf("   status %d\n", status);
    }
    remove(TMP("large.npy"));
    remove(TMP("labels.npy"));
}
#endif

/* From an epoch to the next nothing grows */
typedef struct growth { nn_ctx *c; nn_memory_report at[20]; int n; } growth;
static int note_memory(void *user, const nn_history *h) {
    growth *g = (growth *)user;
    g->at[h->epochs - 1] = nn_memory(g->c);
    g->n = h->epochs;
    return 1;
}
static void test_memory(void) {
    for (int k = 0; k < 4; k++) {
        static scenario s = {"memory", CLASSES | NORM | DROPOUT, 0, 1};
        lines          log;
        nn_ctx        *c = logged_ctx(7, &log);
        nn_model      *m = nn_model_new(c, net_any, &s);
        nn_data       *d;
        nn_fit_options f = quiet_fit(10, BATCH);
        growth         g;
        int            fine = 1;
        make_stream();
        d = any_data(c, k & 1 ? STREAM : CLASSES);
        g.c = c; g.n = 0;
        f.eager = k / 2; f.metrics = "accuracy, f1"; f.validation = 0.25f; f.best = TMP("best"); f.checkpoint = BROKE; f.checkpoint_every = 2; f.history = TMP("h.json"); f.curve = TMP("h.svg");
        f.accumulate = k == 3 ? 2 : 1; f.clip = 1; f.quiet = 0; f.on_epoch = note_memory; f.user = &g;
        CHECK(nn_fit(m, d, &f).epochs == 10 && g.n == 10);
        FINISH(c);
        for (int e = 4; e < g.n; e++) {
            fine = fine && g.at[e].now <= g.at[3].now && g.at[e].step_held <= g.at[3].step_held && g.at[e].pool_held <= g.at[3].pool_held && g.at[e].kept_now <= g.at[3].kept_now && g.at[e].peak <= g.at[4].peak + 500; /* the text of the files is longer */
            if (!fine) { printf("   epoch %d: now %lu, was %lu; peak %lu, was %lu\n", e, (unsigned long)g.at[e].now, (unsigned long)g.at[3].now, (unsigned long)g.at[e].peak, (unsigned long)g.at[4].peak); break; }
        }
#if defined(NN_DEBUG)
        fine = 1; /* it keeps what was dropped */
#endif
        about(fine, k & 1 ? "on the disk" : "in memory", "memory grows from epoch to epoch", __LINE__);
    }
    remove(BROKE); remove(TMP("best")); remove(TMP("h.json")); remove(TMP("h.svg")); remove(TMP("x.npy")); remove(TMP("y.npy"));
}

// =====================================================================================================
// Warnings
// =====================================================================================================
static double book_norms(const char *loss, const int *index, int n, const char **largest) { /* of the first weights' gradient: the largest of its two parameters' norms */
    book   b = {loss, 1, 4, 1, 0, 0, 0, 0, 0, 0, 0, NULL};
    double w[WEIGHTS], g[WEIGHTS], norm[2] = {0, 0};
    int    hits = 0;
    first_weights(w);
    memset(g, 0, sizeof g);
    book_batch(&b, w, index, n, g, &hits);
    for (int i = 0; i < WEIGHTS; i++) norm[i >= OUT * IN] += g[i] * g[i];
    *largest = norm[0] > norm[1] ? "out.weight" : "out.bias";
    return sqrt(norm[0] > norm[1] ? norm[0] : norm[1]);
}
static nn_tensor *loss_root(nn_tensor *p, nn_tensor *t) { return nn_sqrt(nn_mse(p, t)); }
static nn_tensor *loss_of_nothing(nn_tensor *p, nn_tensor *t) { return nn_add_scalar(nn_scale(nn_mse(p, t), 0), NAN); }
static lines watched_fit(nn_fit_options f, double rate) { /* batches of 4 in order, with a rate that changes nothing */
    lines log;
    line  p = line_new(0, &log);
    f.batch = 4; f.optim = nn_sgd(p.m, (float)rate, 0);
    nn_fit(p.m, p.d, &f);
    check(nn_error(p.c) == NN_OK, nn_error_text(p.c), __LINE__);
    nn_end(p.c);
    return log;
}
static void test_warnings(void) {
    int         all[SAMPLES];
    char        want[200];
    const char *name;
    lines       log;
    double      norm, scale = 1;
    for (int i = 0; i < SAMPLES; i++) all[i] = i;
    for (int eager = 0; eager < 2; eager++)
        for (int at = 0; at < 6; at++) { /* in this batch of each epoch the targets are large */
            nn_fit_options f = nn_fit_defaults();
            f.epochs = 3; f.eager = eager;
            make_problem();
            for (int i = 4 * at; i < 4 * at + 4; i++)
                for (int k = 0; k < OUT; k++) pt[i][k] *= 300;
            norm = book_norms("mse", all + 4 * at, 4, &name);
            log  = watched_fit(f, 1e-12);
            snprintf(want, sizeof want, "step %d: the gradient of %s is large, its norm is %.3g", at + 1, name, norm);
            CHECK(norm > 10 && warnings(&log) == 1 && line_with(&log, want) && strstr(line_with(&log, want), "clip"));
            f.clip = 1; /* what it was before */
            log = watched_fit(f, 1e-12);
            CHECK(warnings(&log) == 1 && line_with(&log, want));
            f.clip = 0; f.accumulate = 2;
            norm = book_norms("mse", all + 8 * (at / 2), 8, &name);
            log  = watched_fit(f, 1e-12);
            snprintf(want, sizeof want, "step %d: the gradient of %s is large, its norm is %.3g", at / 2 + 1, name, norm);
            CHECK(norm > 10 && warnings(&log) == 1 && line_with(&log, want));
            f.accumulate = 0; f.unwatched = 1;
            log = watched_fit(f, 1e-12);
            CHECK(warnings(&log) == 0);
            f.unwatched = 0; f.quiet = 1;
            log = watched_fit(f, 1e-12);
            CHECK(log.n == 0);
            f.quiet = 0;
            /* not finite, in the same batch */
            make_problem();
            pt[4 * at + 2][1] = NAN;
            log = watched_fit(f, 1e-12);
            snprintf(want, sizeof want, "step %d: the loss is nan", at + 1);
            CHECK(warnings(&log) == 1 && line_with(&log, want) && strstr(line_with(&log, want), "out.weight"));
            make_problem();
            px[4 * at + 1][0] = INFINITY;
            log = watched_fit(f, 1e-12);
            snprintf(want, sizeof want, "step %d: the loss is ", at + 1);
            CHECK(warnings(&log) == 1 && line_with(&log, want) && strstr(line_with(&log, want), "out.weight"));
            f.unwatched = 1;
            log = watched_fit(f, 1e-12);
            CHECK(warnings(&log) == 0);
        }
    { /* first large, later not finite: each once */
        nn_fit_options f = nn_fit_defaults();
        f.epochs = 4;
        make_problem();
        for (int k = 0; k < OUT; k++) pt[5][k] *= 1000;
        pt[18][0] = NAN;
        log = watched_fit(f, 1e-12);
        CHECK(warnings(&log) == 2 && line_with(&log, "step 2: the gradient of") && line_with(&log, "step 5: the loss is nan"));
    }
    { /* the loss may be fine and the gradient not, or the other way round */
        nn_fit_options f = nn_fit_defaults();
        f.epochs = 1; f.loss = loss_root;
        make_problem();
        for (int i = 0; i < SAMPLES; i++) { /* what the first weights say already */
            double w[WEIGHTS];
            first_weights(w);
            for (int k = 0; k < OUT; k++) {
                pt[i][k] = 0;
                for (int j = 0; j < IN; j++) px[i][j] = 0;
                pt[i][k] = w[OUT * IN + k];
            }
        }
        log = watched_fit(f, 1e-12);
        CHECK(warnings(&log) == 1 && line_with(&log, "step 1: ") && strstr(line_with(&log, "step 1: "), "out.weight") && !strstr(line_with(&log, "step 1: "), "nan"));
        make_problem();
        f.loss = loss_of_nothing;
        log = watched_fit(f, 1e-12);
        CHECK(warnings(&log) == 1 && line_with(&log, "step 1: the loss is nan"));
    }
    /* a norm of 10 is the border */
    make_problem();
    for (double low = 1, high = 1e4; high - low > 1e-9 * high;) {
        scale = (low + high) / 2;
        make_problem();
        for (int i = 0; i < 4; i++)
            for (int k = 0; k < OUT; k++) pt[i][k] *= scale;
        if (book_norms("mse", all, 4, &name) > 10) high = scale;
        else low = scale;
    }
    for (int k = 0; k < 2; k++) {
        nn_fit_options f = nn_fit_defaults();
        f.epochs = 1;
        make_problem();
        for (int i = 0; i < 4; i++)
            for (int j = 0; j < OUT; j++) pt[i][j] *= scale * (k ? 1.001 : 0.999);
        log = watched_fit(f, 1e-12);
        CHECK(warnings(&log) == k);
    }
    make_problem();
}

/* The layer named is the one whose gradient is largest: against the gradients of the first batch */
static nn_tensor *net_three(nn_scope s, nn_tensor *x) {
    x = nn_scale(nn_tanh(nn_layer_linear(s, "first", x, 6)), *(const double *)nn_user(s));
    x = nn_scale(nn_tanh(nn_layer_linear(nn_in(s, "middle"), "fc", x, 5)), 3);
    return nn_layer_linear(s, "last", x, OUT);
}
static void test_named_layer(void) {
    static const double scales[] = {100, 1, 0.001};
    char names[3][40];
    for (int k = 0; k < 3; k++) {
        lines          log;
        nn_ctx        *c = logged_ctx(7, &log);
        nn_model      *m = nn_model_new(c, net_three, (void *)(uintptr_t)&scales[k]);
        nn_tensor     *x = nn_cast(nn_from(c, px, NN_F64, NN_SHAPE(SAMPLES, IN)), NN_F32), *y = nn_scale(nn_cast(nn_from(c, pt, NN_F64, NN_SHAPE(SAMPLES, OUT)), NN_F32), 500);
        nn_data       *d = nn_data_new(x, y);
        nn_fit_options f = nn_fit_defaults();
        char           want[200];
        double         most = 0;
        nn_backward(nn_mse(nn_forward(m, x), y));
        for (int i = 0; i < nn_model_count(m); i++) {
            nn_tensor *t = nn_model_tensor(m, c, nn_model_name(m, i)), *g = nn_grad(t);
            double     sum = 0;
            for (int64_t j = 0; j < nn_numel(g); j++) sum += nn_f32(g)[j] * nn_f32(g)[j];
            if (sum > most) { most = sum; snprintf(names[k], sizeof names[k], "%s", nn_model_name(m, i)); }
            nn_zero_grad(t);
        }
        nn_reset(c);
        f.epochs = 2; f.batch = SAMPLES;
        nn_fit(m, d, &f);
        snprintf(want, sizeof want, "step 1: the gradient of %s is large, its norm is %.3g", names[k], sqrt(most));
        CHECK(warnings(&log) == 1 && line_with(&log, want));
        FINISH(c);
    }
    CHECK(strcmp(names[0], names[2]) != 0); /* they are not all the same layer */
}

/* Progress: a line an epoch */
static void test_progress(void) {
    lines          log;
    line           p = line_new(1, &log);
    nn_fit_options f = nn_fit_defaults();
    nn_history     h;
    char           want[200];
    int            info = 0;
    f.epochs = 5; f.batch = 4; f.validation = 0.25f; f.metrics = "f1"; f.patience = 100;
    h = nn_fit(p.m, p.d, &f);
    for (int e = 0; e < h.epochs; e++) {
        snprintf(want, sizeof want, "epoch %d/5  loss %.4f  accuracy %.4f  valid %.4f  %.4f  f1 %.4f", e + 1, h.loss[e], h.accuracy[e], h.valid_loss[e], h.valid_accuracy[e], h.metric[0][e]);
        CHECK(line_with(&log, want) != NULL);
    }
    for (int i = 0; i < log.n; i++) info += log.level[i] == NN_LOG_INFO && !strncmp(log.text[i], "epoch ", 6);
    CHECK(info == 5 && h.epochs == 5);
    FINISH(p.c);
}

// =====================================================================================================
// Stopping early, best weights
// =====================================================================================================
enum { LONG = 24 };
typedef struct watch { small *p; int epochs, poison; unsigned char *weights[LONG]; size_t size; } watch;
static int watch_epoch(void *user, const nn_history *h) {
    watch *w = (watch *)user;
    int    e = h->epochs - 1;
    w->weights[e] = all_weights(w->p->c, w->p->m, &w->size);
    w->epochs     = h->epochs;
    if (w->poison && h->epochs == w->poison) { nn_no_grad(w->p->c, 1); nn_fill(nn_model_tensor(w->p->m, w->p->c, "out.bias"), NAN); nn_no_grad(w->p->c, 0); }
    return 1;
}
static void test_patience(void) {
    static const float deltas[] = {NN_ZERO, 0, 0.02f, 0.3f};
    int early = 0, inner = 0, missed = 0, unlike = 0;
    for (int k = 0; k < 4 * 3 * 2 * 3 + 2; k++) {
        small          p = small_new(net_small, SAMPLES);
        watch          w;
        nn_history     h;
        double         best = INFINITY, mark = INFINITY, least;
        int            poison = k >= 72, patience = poison ? 2 : k / 4 % 3, at = 0, rest = 0, epochs = LONG;
        size_t         n;
        unsigned char *now;
        memset(&w, 0, sizeof w);
        w.p = &p; w.poison = poison ? 3 : 0;
        p.f = quiet_fit(LONG, 8);
        p.f.optim = nn_sgd(p.m, k / 24 == 0 ? 0.5f : k / 24 == 1 ? 0.3f : 0.1f, k / 24 == 2 ? 0.95f : 0.8f);
        p.f.min_delta = deltas[k % 4]; p.f.validation = k / 12 % 2 ? 0.25f : 0; p.f.patience = patience;
        p.f.best = patience == 1 || (patience == 2 && k % 3) ? NULL : TMP("best"); p.f.on_epoch = watch_epoch; p.f.user = &w; p.f.eager = k & 1;
        least = deltas[k % 4] == 0 ? 1e-4 : deltas[k % 4] == NN_ZERO ? 0 : (double)deltas[k % 4];
        remove(TMP("best"));
        h = nn_fit(p.m, p.d, &p.f);
        CHECK(nn_error(p.c) == NN_OK);
        missed += h.epochs != w.epochs;
        for (int e = 0; e < h.epochs; e++) { /* by the words of the options */
            double value = p.f.validation > 0 ? h.valid_loss[e] : h.loss[e];
            if (value < best) { best = value; at = e; }
            if (value < mark - least) { mark = value; rest = 0; }
            else if (++rest >= patience && patience) { epochs = e + 1; break; }
        }
        early += epochs < LONG;
        inner += at < h.epochs - 1;
        now = all_weights(p.c, p.m, &n);
        if (h.epochs != epochs || h.best != at) printf("   case %d: %d epochs, best %d; expected %d, %d\n", k, h.epochs, h.best, epochs, at);
        CHECK(h.epochs == epochs && h.best == at);
        unlike += !(now && w.weights[at] && !memcmp(now, w.weights[at], n));
        free(now);
        CHECK(is_file(TMP("best")) == (p.f.best != NULL));
        if (p.f.best) {
            small q = small_new(net_small, SAMPLES);
            CHECK(nn_load(q.m, TMP("best")));
            now = all_weights(q.c, q.m, &n);
            unlike += !(now && w.weights[at] && !memcmp(now, w.weights[at], n));
            free(now);
            FINISH(q.c);
        }
        if (poison) CHECK(h.epochs == 3 + 2 && h.best < 3 && nn_evaluate(p.m, p.d, NULL).loss < 1e3);
        for (int e = 0; e < LONG; e++) free(w.weights[e]);
        FINISH(p.c);
    }
    CHECK(early > 5 && inner > 20);
    check(missed == 0, "on_epoch was not called after the epoch in which patience ended", __LINE__);
    check(unlike == 0, "the weights put back, or in the file, are not the best epoch's", __LINE__);
    remove(TMP("best"));
}
static int note_values(void *user, const nn_history *h) {
    (void)user; (void)h;
    return 1;
}
/* The learning rate of nn_lr_plateau follows the loss that is watched; training that was stopped after any epoch ends as the one that was not */
static int stop_at_epoch(void *user, const nn_history *h) { return h->epochs != *(const int *)user; }
static void test_resumed_patience(void) {
    int lowered = 0, early = 0;
    for (int k = 0; k < 8; k++) {
        nn_history     h;
        double         rate = 0.9f, best = INFINITY, curve[2][LONG], got;
        int            bad = 0, held = k & 1, patience = 2 + k % 3, epochs = 0, at = 0;
        unsigned char *want = NULL, *now;
        size_t         n = 0, m;
        for (int stop = 0; stop <= epochs; stop++) { /* 0: not at all */
            small p = small_new(net_small, SAMPLES), q;
            for (int again = 0; again < 1 + (stop > 0); again++) {
                if (again) { nn_end(p.c); q = small_new(net_small, SAMPLES); p = q; }
                p.f = quiet_fit(LONG, 8);
                p.f.optim = nn_sgd(p.m, 0.9f, k < 4 ? 0.8f : 0.5f);
                nn_set_lr(p.f.optim, nn_lr_plateau(0.9f, 0.75f, k % 2, 1e-3f));
                p.f.patience = patience; p.f.min_delta = k & 2 ? 0.05f : 0; p.f.validation = held ? 0.25f : 0; p.f.checkpoint = stop ? BROKE : NULL; p.f.resume = again;
                p.f.on_epoch = stop && !again ? stop_at_epoch : NULL; p.f.user = &stop;
                if (!again) remove(BROKE);
                h = nn_fit(p.m, p.d, &p.f);
                CHECK(nn_error(p.c) == NN_OK);
            }
            got = nn_get_lr(p.f.optim);
            now = all_weights(p.c, p.m, &m);
            if (!stop) {
                at = h.best; epochs = h.epochs; want = now; n = m;
                early += epochs < LONG;
                memcpy(curve[0], h.loss, (size_t)epochs * sizeof(double));
                memcpy(curve[1], h.valid_loss, (size_t)epochs * sizeof(double));
                for (int e = 0; e < epochs; e++) { /* lower after more than so many epochs without a better one */
                    double value = curve[held][e];
                    if (value < best * (1 - 1e-4)) { best = value; bad = 0; }
                    else if (++bad > k % 2) { rate *= 0.75; bad = 0; }
                }
                lowered += rate < 0.9f;
                NEAR(got, rate < (double)1e-3f ? (double)1e-3f : rate, 1e-9);
                rate = got;
            } else {
                CHECK(h.epochs == epochs && h.best == at && got == rate && now && want && n == m && !memcmp(now, want, n));
                CHECK(!memcmp(curve[0], h.loss, (size_t)epochs * sizeof(double)) && (!held || !memcmp(curve[1], h.valid_loss, (size_t)epochs * sizeof(double))));
                free(now);
            }
            FINISH(p.c);
        }
        free(want);
    }
    CHECK(lowered > 3 && early > 3);
    remove(BROKE);
}
static void test_small_losses(void) { /* best is the least loss, also where losses are small */
    for (int k = 0; k < 3; k++) {
        small          p = small_new(net_small, SAMPLES);
        nn_tensor     *y = nn_scale(nn_data_y(p.d, 0, NN_TO_END), 0.004);
        nn_data       *d = nn_data_new(nn_data_x(p.d, 0, NN_TO_END), y);
        nn_fit_options f = quiet_fit(20, 8);
        nn_history     h;
        int            at = 0;
        nn_no_grad(p.c, 1);
        nn_fill(nn_model_tensor(p.m, p.c, "out.weight"), 0.001);
        nn_fill(nn_model_tensor(p.m, p.c, "out.bias"), 0.001);
        nn_no_grad(p.c, 0);
        f.optim = nn_sgd(p.m, 0.2f, 0); f.best = k == 1 ? TMP("best") : NULL; f.patience = k == 2 ? 100 : 0; f.on_epoch = note_values;
        h = nn_fit(p.m, d, &f);
        for (int e = 1; e < h.epochs; e++) if (h.loss[e] < h.loss[at]) at = e;
        about(h.epochs == 20 && at > 5 && h.best == at, k == 0 ? "without more" : k == 1 ? "with a file" : "with patience", "nn_history.best is not the epoch with the least loss, where losses are small", __LINE__);
        FINISH(p.c);
    }
    remove(TMP("best"));
}

// =====================================================================================================
// Metrics
// =====================================================================================================
typedef struct metered { nn_ctx *c; nn_model *m; nn_data *held; int bad, seen; } metered;
static int meter_epoch(void *user, const nn_history *h) { /* of all held out samples at once */
    metered   *t = (metered *)user;
    nn_tensor *y = nn_data_y(t->held, 0, NN_TO_END), *p = nn_predict(t->m, nn_data_x(t->held, 0, NN_TO_END));
    int        e = h->epochs - 1, hits = 0, n = (int)nn_data_count(t->held);
    double     squares = 0, by_hand;
    for (int i = 0; i < h->metrics; i++) {
        double want = nn_metric(h->metric_name[i], p, y);
        t->bad += !(fabs(h->metric[i][e] - want) <= 1e-5 * fabs(want) + 1e-6);
        t->seen++;
    }
    for (int i = 0; i < n; i++) {
        int width = (int)nn_dim(p, 1), best = 0;
        for (int k = 0; k < width; k++) {
            if (nn_f32(p)[i * width + k] > nn_f32(p)[i * width + best]) best = k;
            if (nn_dtype_of(y) == NN_F32) squares += pow(nn_f32(p)[i * width + k] - nn_f32(y)[i * width + k], 2) / (n * width);
        }
        if (nn_dtype_of(y) == NN_I32) hits += best == nn_i32(y)[i];
    }
    by_hand = nn_dtype_of(y) == NN_I32 ? (double)hits / n : squares;
    t->bad += !(fabs(h->metric[0][e] - by_hand) <= 1e-5 * by_hand); /* the first is accuracy or mse */
    return 1;
}
static nn_tensor *net_metered(nn_scope s, nn_tensor *x) { return nn_layer_linear(s, "out", nn_relu(nn_layer_linear(s, "in", x, 12)), *(const int *)nn_user(s)); }
static void test_metrics(void) {
    static const int outs[] = {7, 2, 3, 7};
    static const char *const names[] = {"accuracy, top5, precision,recall  f1 ,perplexity", "accuracy,auc,f1", "mse rmse, mae, r2 explained_variance", "accuracy"};
    static const int counts[] = {6, 3, 5, 1};
    for (int k = 0; k < 8; k++) {
        int            kind = k % 4, held = k < 4;
        nn_ctx        *c = quiet_ctx();
        nn_model      *m = nn_model_new(c, net_metered, (void *)(uintptr_t)&outs[kind]);
        nn_tensor     *x = nn_uniform(c, NN_F32, NN_SHAPE(640, 5), -1, 1), *y;
        nn_data       *d, *rest = NULL;
        nn_fit_options f = quiet_fit(3, 50);
        nn_history     h;
        metered        t;
        y = kind == 2 ? nn_mul(nn_slice(x, 1, 0, 3, 1), nn_slice(x, 1, 2, 5, 1)) : nn_zeros(c, NN_I32, NN_SHAPE(640));
        for (int i = 0; i < 640 && kind != 2; i++) nn_i32(y)[i] = (int)(fabs(nn_f32(x)[i * 5] + nn_f32(x)[i * 5 + 1]) * outs[kind] / 2.001);
        d   = nn_data_new(x, y);
        t.c = c; t.m = m; t.held = d; t.bad = t.seen = 0;
        if (held) CHECK(nn_data_split(d, 0.45, &rest, &t.held));
        f.validation = held ? 0.45f : 0; f.metrics = names[kind]; f.on_epoch = meter_epoch; f.user = &t; f.patience = 1000;
        h = nn_fit(m, d, &f);
        CHECK(h.epochs == 3 && h.metrics == counts[kind] && t.seen == 3 * counts[kind] && t.bad == 0);
        for (int i = 0, at = 0; i < h.metrics; i++) { /* the names, in order */
            size_t n = strcspn(names[kind] + (at += (int)strspn(names[kind] + at, ", ")), ", ");
            CHECK(strlen(h.metric_name[i]) == n && !strncmp(h.metric_name[i], names[kind] + at, n));
            at += (int)n;
        }
        FINISH(c);
    }
}

// =====================================================================================================
// The history as JSON and as a picture
// =====================================================================================================
static const char *json_value(const char *s) { /* what follows the value at s; NULL: not JSON */
    static const char *const words[] = {"null", "true", "false"};
    while (s && (*s == ' ' || *s == '\n')) s++;
    if (!s) return NULL;
    if (*s == '{' || *s == '[') {
        char close = *s == '{' ? '}' : ']', is_object = *s == '{';
        for (s++; s;) {
            s += strspn(s, " \n");
            if (is_object) {
                if (*s != '"' || (s = strchr(s + 1, '"')) == NULL || *(s += 1 + strspn(s + 1, " ")) != ':') return NULL;
                s++;
            }
            if (!(s = json_value(s))) return NULL;
            s += strspn(s, " \n");
            if (*s == close) return s + 1;
            if (*s++ != ',') return NULL;
        }
        return NULL;
    }
    for (int i = 0; i < 3; i++)
        if (!strncmp(s, words[i], strlen(words[i]))) return s + strlen(words[i]);
    if (*s == '-') s++;
    if (*s < '0' || *s > '9' || (*s == '0' && s[1] >= '0' && s[1] <= '9')) return NULL;
    s += strspn(s, "0123456789");
    if (*s == '.') {
        if (s[1] < '0' || s[1] > '9') return NULL;
        s += 1 + strspn(s + 1, "0123456789");
    }
    if (*s == 'e' || *s == 'E') {
        s++;
        if (*s == '+' || *s == '-') s++;
        if (*s < '0' || *s > '9') return NULL;
        s += strspn(s, "0123456789");
    }
    return s;
}
static int is_json(const char *s) {
    s = s ? json_value(s) : NULL;
    return s && s[strspn(s, " \n")] == 0;
}
static int json_array(const char *text, const char *key, double *v, int most) { /* how many; -1: no such key */
    char        quoted[80];
    const char *s;
    int         n = 0;
    snprintf(quoted, sizeof quoted, "\"%s\": [", key);
    s = strstr(text, quoted);
    if (!s) return -1;
    for (s += strlen(quoted); *s && *s != ']' && n < most; n++) {
        s += strspn(s, ", ");
        v[n] = NAN;
        if (*s != 'n') v[n] = strtod(s, NULL);
        s += strcspn(s, ",]");
    }
    return n;
}
static double json_number(const char *text, const char *key) {
    char        quoted[80];
    const char *s;
    snprintf(quoted, sizeof quoted, "\"%s\": ", key);
    s = strstr(text, quoted);
    return s ? strtod(s + strlen(quoted), NULL) : NAN;
}
static int same_curve(const char *text, const char *key, const double *want, int n) { /* to the digits that are written; all NaN: no such array */
    double v[64];
    int    any = 0, got = json_array(text, key, v, 64), same = got == n;
    for (int i = 0; i < n; i++) any |= want[i] == want[i];
    if (!any) return got == -1 || same;
    for (int i = 0; i < n && same; i++) same = want[i] - want[i] == 0 ? fabs(v[i] - want[i]) <= 1e-8 * fabs(want[i]) : v[i] != v[i];
    return same;
}
/* One element, all tags closed in order, attributes quoted; the text has no < and no & */
static int is_xml(const char *s) {
    const char *open[64];
    int         depth = 0, roots = 0;
    for (;;) {
        size_t n = strcspn(s, "<");
        for (size_t i = 0; i < n; i++)
            if (s[i] == '&' || s[i] == '>' || (!depth && s[i] != '\n')) return 0;
        s += n;
        if (!*s) return depth == 0 && roots == 1;
        if (*++s == '/') {
            n = strcspn(++s, ">");
            if (!depth || strncmp(open[--depth], s, n) || strcspn(open[depth], " />") != n) return 0;
            s += n + 1;
            continue;
        }
        n = strcspn(s, " />");
        if (!n || depth == 64) return 0;
        roots += depth == 0;
        open[depth++] = s;
        for (s += n; *s == ' ';) {
            s += 1 + strcspn(s + 1, "= />");
            if (*s != '=' || s[1] != '"') return 0;
            n = strcspn(s += 2, "\"<&");
            if (s[n] != '"') return 0;
            s += n + 1;
        }
        if (*s == '/') { depth--; s++; }
        if (*s++ != '>') return 0;
    }
}
/* The points of the k-th line of a picture; how many */
static int svg_points(const char *s, int k, double *x, double *y, int most) {
    int   n = 0;
    char *end;
    for (; s && k >= 0; k--) {
        s = strstr(s, "points=\"");
        if (s) s += 8;
    }
    while (s && *s && *s != '"' && n < most) {
        x[n] = strtod(s, &end);
        if (*end != ',') return -1;
        y[n++] = strtod(end + 1, &end);
        s = end + (*end == ' ');
    }
    return n;
}
static int good_picture(const char *svg, const nn_history *h) {
    const double *curve[2];
    int           drawn = 0;
    curve[0] = h->loss; curve[1] = h->valid_loss;
    if (!svg || !is_xml(svg)) return 0;
    for (int k = 0; k < 2; k++) {
        double x[64], y[64];
        int    n = 0, at = 0, points;
        for (int e = 0; e < h->epochs; e++) n += curve[k][e] - curve[k][e] == 0;
        if (!n) continue;
        points = svg_points(svg, drawn++, x, y, 64);
        if (points != n) return 0;
        for (int e = 0; e < h->epochs; e++) { /* within the picture; to the right with the epochs; the larger the higher */
            if (!(curve[k][e] - curve[k][e] == 0)) continue;
            if (!(x[at] >= 0 && x[at] <= 640 && y[at] >= 0 && y[at] <= 360) || (at && !(x[at] > x[at - 1]))) return 0;
            for (int d = 0, b = 0; d < e; d++) {
                if (!(curve[k][d] - curve[k][d] == 0)) continue;
                if (curve[k][d] < curve[k][e] ? y[b] < y[at] : curve[k][d] > curve[k][e] ? y[b] > y[at] : y[b] != y[at]) return 0;
                b++;
            }
            at++;
        }
    }
    return svg_points(svg, drawn, NULL, NULL, 0) == 0 && !strstr(svg, "nan") && !strstr(svg, "inf");
}
static int files_so_far(void *user, const nn_history *h) { /* they are there after each epoch */
    size_t size;
    char  *json = (char *)get_file(TMP("h.json"), &size), *svg = (char *)get_file(TMP("h.svg"), &size), name[60];
    int   *good = (int *)user, fine = json && is_json(json) && json_number(json, "epochs") == h->epochs && json_number(json, "best") == h->best;
    fine = fine && same_curve(json, "loss", h->loss, h->epochs) && same_curve(json, "accuracy", h->accuracy, h->epochs) && same_curve(json, "valid_loss", h->valid_loss, h->epochs) &&
           same_curve(json, "valid_accuracy", h->valid_accuracy, h->epochs);
    for (int i = 0; fine && i < h->metrics; i++) {
        snprintf(name, sizeof name, "metric_%s", h->metric_name[i]);
        fine = same_curve(json, name, h->metric[i], h->epochs);
    }
    *good += fine && fabs(json_number(json, "seconds") - h->seconds) <= 1e-3 && svg && good_picture(svg, h);
    free(json);
    free(svg);
    return 1;
}
static void test_history(void) {
    for (int k = 0; k < 4; k++) {
        line           p = line_new(k & 1, NULL);
        nn_fit_options f = quiet_fit(6, 4);
        int            good = 0;
        f.history = TMP("h.json"); f.curve = TMP("h.svg"); f.on_epoch = files_so_far; f.user = &good; f.validation = k & 2 ? 0.25f : 0; f.metrics = k & 1 ? "accuracy, f1" : "mse";
        remove(TMP("h.json"));
        remove(TMP("h.svg"));
        CHECK(nn_fit(p.m, p.d, &f).epochs == 6 && good == 6);
        FINISH(p.c);
    }
    CHECK(is_json("{\"a\": [1, -2.5e-3, null], \"b\": {\"c\": 0}}\n") && !is_json("{\"a\": [1,2,]}") && !is_json("{\"a\": nan}") && !is_json("[1.]") && !is_json("[0,5") && !is_json("{}x"));
    CHECK(is_xml("<a b=\"1\"><c/></a>\n") && !is_xml("<a><b></a></b>\n") && !is_xml("<a>&</a>\n") && !is_xml("<a b=1/>\n") && !is_xml("<a/><a/>\n"));
    { /* numbers of every kind */
        static double curves[8][6] = {{0.5, 0.25, 0.125, 0.0625, 0.03125, 0.015625}, {1e-30, 1e38, 1, 2, 3, 4}, {NAN, 3, INFINITY, 2, -INFINITY, 1}, {NAN, NAN, NAN, NAN, NAN, NAN},
                                      {7, 7, 7, 7, 7, 7}, {-1, -2, 0, 1e-9, 123456789.123456789, 2}, {0, 0, 0, 0, 0, 0}, {5, 4, 3, 2.5, 2.4, 2.45}};
        for (int i = 0; i < 64; i++) {
            static const int epochs[] = {6, 6, 6, 6, 6, 1, 2, 0};
            nn_ctx    *c = quiet_ctx();
            nn_history h;
            char      *json, *svg;
            size_t     size;
            memset(&h, 0, sizeof h);
            h.epochs = epochs[i / 8]; h.seconds = 1.5;
            h.loss = curves[i % 8]; h.accuracy = curves[3]; h.valid_loss = curves[(i + i / 8) % 8]; h.valid_accuracy = curves[7];
            h.metrics = 1; h.metric[0] = curves[5];
            snprintf(h.metric_name[0], sizeof h.metric_name[0], "mae");
            remove(TMP("h.json"));
            remove(TMP("h.svg"));
            CHECK(nn_history_json(c, &h, TMP("h.json")) && nn_history_svg(c, &h, TMP("h.svg")));
            json = (char *)get_file(TMP("h.json"), &size);
            svg  = (char *)get_file(TMP("h.svg"), &size);
            if (h.epochs == 0) CHECK(json && strstr(json, "\"epochs\": 0") && svg && is_xml(svg));
            else {
                CHECK(json && is_json(json) && json_number(json, "epochs") == h.epochs && json_number(json, "seconds") == 1.5);
                CHECK(json && same_curve(json, "loss", h.loss, h.epochs) && same_curve(json, "accuracy", h.accuracy, h.epochs) && same_curve(json, "valid_loss", h.valid_loss, h.epochs) && same_curve(json, "valid_accuracy", h.valid_accuracy, h.epochs) && same_curve(json, "metric_mae", h.metric[0], h.epochs));
                about(good_picture(svg, &h), "the picture of these losses", svg ? "" : "is missing", __LINE__);
                if (!good_picture(svg, &h)) printf("   losses %d and %d, %d epochs\n", i % 8, (i + i / 8) % 8, h.epochs);
            }
            free(json);
            free(svg);
            FINISH(c);
        }
    }
    { /* where numbers have a comma, the files do not */
        static const char *const places[] = {"de_DE.UTF-8", "de_DE.utf8", "de_DE", "fr_FR.UTF-8", "fr_FR.utf8", "fr_FR", "ru_RU.UTF-8", "ru_RU.utf8"};
        const char *there = NULL;
#if defined(POSIX)
        static const char comma[] = "LC_NUMERIC\ndecimal_point \",\"\nthousands_sep \".\"\ngrouping 3;3\nEND LC_NUMERIC\n"; /* one of our own, if it can be made */
        mkdir(TMP("locale"), 0777);
        if (put_file(TMP("locale/source"), comma, sizeof comma - 1) && system("localedef -c -i " TMP("locale/source") " -f ANSI_X3.4-1968 " TMP("locale/comma") " > /dev/null 2>&1") != -1) {
            setenv("LOCPATH", TMP("locale"), 1);
            there = setlocale(LC_NUMERIC, "comma");
            unsetenv("LOCPATH");
        }
#endif
        for (int i = 0; i < 8 && !there; i++) there = setlocale(LC_NUMERIC, places[i]);
        if (!there) skip("JSON and pictures where numbers have a comma", "no such locale is installed");
        else {
            static double loss[] = {0.5, 0.25, 0.75}, none[] = {NAN, NAN, NAN};
            nn_ctx    *c = quiet_ctx();
            nn_history h;
            char      *json, *svg;
            size_t     size;
            memset(&h, 0, sizeof h);
            h.epochs = 3; h.seconds = 1.5; h.loss = loss; h.accuracy = h.valid_loss = h.valid_accuracy = none;
            CHECK(nn_history_json(c, &h, TMP("h.json")) && nn_history_svg(c, &h, TMP("h.svg")));
            setlocale(LC_NUMERIC, "C");
            json = (char *)get_file(TMP("h.json"), &size);
            svg  = (char *)get_file(TMP("h.svg"), &size);
            CHECK(json && is_json(json) && same_curve(json, "loss", loss, 3));
            CHECK(good_picture(svg, &h));
            free(json);
            free(svg);
            FINISH(c);
        }
        setlocale(LC_NUMERIC, "C");
#if defined(POSIX)
        if (system("rm -rf " TMP("locale")) == -1) skip("tidying up", "rm");
#endif
    }
    remove(TMP("h.json"));
    remove(TMP("h.svg"));
}

int main(int argc, char **argv) {
    const char *only = argc > 1 ? argv[1] : NULL;
    make_problem();
#define PART(name, call) if (!only || !strcmp(only, name)) { call; }
    PART("book", test_book())
    PART("accumulate", test_accumulate(); test_accumulate_stopped())
    PART("sizes", test_sizes(); test_batches(); test_shares())
    PART("schedules", test_schedules())
    PART("classes", test_classes_otherwise())
    PART("refused", test_refused())
    PART("evaluate", test_evaluate())
    PART("plans", make_stream(); test_plans())
    PART("resume", make_stream(); test_resume())
#if defined(POSIX)
    PART("killed", make_stream(); test_killed(); test_killed_saving())
    PART("odd", test_odd_states())
    PART("stream", test_stream_errors())
    PART("large", test_larger_than_memory())
#else
    skip("killed trainings, damaged states, data larger than the memory", "no fork here");
#endif
    PART("damaged", test_damaged(); test_other_checkpoints(); test_best_later(); test_odd_weights())
    PART("memory", test_memory())
    PART("warnings", test_warnings(); test_named_layer(); test_progress())
    PART("patience", test_patience(); test_resumed_patience(); test_small_losses())
    PART("metrics", test_metrics())
    PART("history", test_history())
#undef PART
    printf("fit: %d passed, %d failed", passed, failed);
    if (skipped) printf(", %d skipped", skipped);
    printf("\n");
    return failed != 0;
}
