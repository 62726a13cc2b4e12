// Pooling, resizing, borders and pixel shuffles against PyTorch: the cases of tests/golden_pool.txt, which golden_pool.py makes. Each is run in
// f32 and f64, in both layouts and through strided views: values, positions of maxima, gradients; recorded in a plan, which must give the
// eager bits; small ones are checked by differences of order 1 and 2. Then what is not in the file: halves, bad input, the attention pool.
//
//     test_pool [path of golden_pool.txt [part of the lines of the cases to run]]
//
// C99 and C++11.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#define NN_IMPLEMENTATION
#include "nn.h"

static int passed, failed;
static int expect(int ok, const char *name, const char *what) {
    if (ok) passed++;
    else if (++failed <= 200) printf("FAIL %s: %s\n", name, what);
    return ok;
}
static void no_error(nn_ctx *c, const char *name) {
    expect(nn_error(c) == NN_OK, name, nn_error_text(c));
    nn_error_clear(c);
}

/* ---- the golden file ------------------------------------------------------------------------------- */

typedef struct golden_case {
    const char *line, *op;
    char       *words; /* where op lies */
    char        kind;
    nn_shape    shape, y_shape;
    double     *y, *index, *d; /* index: NULL where there is none */
    nn_shape    k, s, p, dilation, size;
    int         same, ceil, exclude, align, r, how, absolute; /* how -1: none */
    double      divisor, norm, value;
} golden_case;

static char *read_text(const char *path) {
    FILE *f = fopen(path, "rb");
    char *text;
    long  size;
    if (!f || fseek(f, 0, SEEK_END) || (size = ftell(f)) < 0 || fseek(f, 0, SEEK_SET) || !(text = (char *)calloc((size_t)size + 1, 1)) || fread(text, 1, (size_t)size, f) != (size_t)size) {
        fprintf(stderr, "cannot read %s\n", path);
        exit(2);
    }
    fclose(f);
    return text;
}
static int64_t numel(nn_shape s) {
    int64_t n = 1;
    for (int i = 0; i < s.ndim; i++) n *= s.dim[i];
    return n;
}
static nn_shape read_shape(const char *text) { /* 3,4 */
    nn_shape s = NN_SCALAR;
    char    *end = (char *)(uintptr_t)text;
    do s.dim[s.ndim++] = strtol(end, &end, 10);
    while (*end++ == ',' && s.ndim < NN_MAX_DIMS);
    return s;
}
static double *read_values(char *text, int64_t n) {
    double *v = (double *)calloc((size_t)n + 1, sizeof *v);
    if (!v) exit(2);
    for (int64_t i = 0; i < n; i++) v[i] = strtod(text, &text);
    return v;
}
static void read_argument(golden_case *k, const char *word) {
    const char *v = strchr(word, '=') + 1;
    size_t      n = (size_t)(v - word) - 1;
#define IS(name) (n == strlen(name) && !strncmp(word, name, n))
    if (IS("k")) k->k = read_shape(v);
    else if (IS("s")) k->s = read_shape(v);
    else if (IS("p")) k->p = read_shape(v);
    else if (IS("d")) k->dilation = read_shape(v);
    else if (IS("size")) k->size = read_shape(v);
    else if (IS("same")) k->same = 1;
    else if (IS("ceil")) k->ceil = 1;
    else if (IS("exclude")) k->exclude = 1;
    else if (IS("align")) k->align = 1;
    else if (IS("abs")) k->absolute = 1;
    else if (IS("r")) k->r = atoi(v);
    else if (IS("divisor")) k->divisor = strtod(v, NULL);
    else if (IS("norm")) k->norm = strtod(v, NULL);
    else if (IS("value")) k->value = strtod(v, NULL);
    else if (IS("how")) k->how = *v == 'n' ? (int)NN_NEAREST : *v == 'l' ? (int)NN_LINEAR : *v == 'c' && v[1] == 'u' ? (int)NN_CUBIC : !strncmp(v, "ref", 3) ? (int)NN_PAD_REFLECT : *v == 'r' ? (int)NN_PAD_REPLICATE : (int)NN_PAD_CIRCULAR;
    else expect(0, word, "is no argument");
#undef IS
}
static golden_case *read_golden(char *text, int *count) {
    golden_case *list = (golden_case *)calloc(1024, sizeof *list), *k = list - 1;
    if (!list) exit(2);
    while (*text) {
        char *next = strchr(text, '\n');
        *next++    = 0;
        if (!strncmp(text, "case ", 5) && k - list < 1023) {
            char *words = (char *)malloc(strlen(text) + 1), *word;
            if (!words) exit(2);
            strcpy(words, text);
            (++k)->line = text + 5;
            k->words    = words;
            k->how      = -1;
            strtok(words, " ");
            k->op    = strtok(NULL, " ");
            k->shape = read_shape(strtok(NULL, " "));
            k->kind  = *strtok(NULL, " ");
            while ((word = strtok(NULL, " "))) read_argument(k, word);
        } else if (*text == 'y') {
            char *at = text + 1;
            k->y_shape.ndim = (int)strtol(at, &at, 10);
            for (int i = 0; i < k->y_shape.ndim; i++) k->y_shape.dim[i] = strtol(at, &at, 10);
            k->y = read_values(at, numel(k->y_shape));
        } else if (*text == 'i') k->index = read_values(text + 1, numel(k->y_shape));
        else k->d = read_values(text + 1, numel(k->shape));
        text = next;
    }
    *count = (int)(k + 1 - list);
    return list;
}

/* ---- inputs: the other half is in golden_pool.py ---------------------------------------------------- */

static double formula(int64_t i, double low, double high, int k) {
    double u = 0.5 + (double)(i + 1) * 0.6180339887498949 * k + 0.13 * k;
    return (double)(float)(low + (high - low) * (u - floor(u)));
}
static nn_tensor *make(nn_ctx *c, nn_shape s, char kind, nn_dtype t, double low, double high, int k) {
    int64_t    n = numel(s);
    double    *v = (double *)calloc((size_t)n + 1, sizeof *v);
    nn_tensor *x;
    if (!v) exit(2);
    for (int64_t i = 0; i < n; i++) {
        v[i] = formula(i, low, high, k);
        if (kind == 't') v[i] = floor(v[i]);
        if (kind == 'q') v[i] = floor(16 * v[i]) / 16;
        if (kind == 'n' && i % 7 == 3) v[i] = NAN;
        if (kind == 'n' && (i % 5 == 2 || i < 6)) v[i] = -INFINITY;
    }
    x = nn_cast(nn_from(c, v, NN_F64, s), t);
    free(v);
    return x;
}
enum { PLAIN, LAST, STRIDED, LAYOUTS };
static nn_tensor *laid(nn_tensor *x, int layout) {
    if (layout == LAST) return nn_channels_last(x);
    return layout == STRIDED ? nn_transpose(nn_contiguous(nn_transpose(x, 0, -1)), 0, -1) : x;
}

/* ---- the cases -------------------------------------------------------------------------------------- */

static nn_tensor *evaluate(const golden_case *k, nn_tensor *x, nn_tensor **index) {
    nn_pool_options o = nn_pool_defaults();
    nn_tensor      *i = NULL, *y;
    o.kernel = k->k, o.stride = k->s, o.padding = k->p, o.dilation = k->dilation;
    o.same = k->same, o.ceil = k->ceil, o.exclude_padding = k->exclude, o.divisor = k->divisor;
    if (!strcmp(k->op, "max")) return nn_max_pool_with(x, &o, index);
    if (!strcmp(k->op, "avg")) return nn_avg_pool_with(x, &o);
    if (!strcmp(k->op, "lp")) {
        y = nn_add_scalar(nn_abs(x), 0.1);
        return nn_lp_pool_with(nn_is_channels_last(x) ? nn_channels_last(y) : y, k->norm, &o);
    }
    if (!strcmp(k->op, "amax")) return nn_adaptive_max_pool(x, k->size, index);
    if (!strcmp(k->op, "aavg")) return nn_adaptive_avg_pool(x, k->size);
    if (!strcmp(k->op, "gmax")) return nn_global_max_pool(x);
    if (!strcmp(k->op, "gavg")) return nn_global_avg_pool(x);
    if (!strcmp(k->op, "resize")) return nn_resize(x, k->size, (nn_resizing)k->how, k->align);
    if (!strcmp(k->op, "shuffle")) return nn_pixel_shuffle(x, k->r);
    if (!strcmp(k->op, "unshuffle")) return nn_pixel_unshuffle(x, k->r);
    if (!strcmp(k->op, "pad")) return k->how < 0 ? nn_pad_sides(x, k->p, k->value) : nn_pad_sides_with(x, k->p, (nn_padding)k->how);
    y = nn_max_pool_with(x, &o, &i); /* unpool */
    return nn_max_unpool(y, i, k->shape.ndim == 3 ? NN_SHAPE(k->shape.dim[2]) : k->shape.ndim == 4 ? NN_SHAPE(k->shape.dim[2], k->shape.dim[3]) : NN_SHAPE(k->shape.dim[2], k->shape.dim[3], k->shape.dim[4]));
}

static void *bytes_of(nn_tensor *x, size_t *size) {
    void *p;
    *size = x ? (size_t)nn_numel(x) * nn_dtype_size(nn_dtype_of(x)) : 0;
    p     = malloc(*size + 1);
    if (!p) exit(2);
    if (*size) nn_read(x, p, *size);
    return p;
}
static int same_bytes(nn_tensor *x, nn_tensor *y) {
    size_t nx, ny;
    void  *a = bytes_of(x, &nx), *b = bytes_of(y, &ny);
    int    same = x && y && nx == ny && !memcmp(a, b, nx);
    free(a), free(b);
    return same;
}
static int near(nn_tensor *x, const double *want, nn_shape s, double tolerance) {
    size_t     n;
    nn_tensor *wide = x ? nn_cast(nn_contiguous(x), NN_F64) : NULL;
    double    *v, most = 1;
    int        ok = wide != NULL && nn_ndim(x) == s.ndim;
    for (int i = 0; ok && i < s.ndim; i++) ok = nn_dim(x, i) == s.dim[i];
    if (!ok) return 0;
    v = (double *)bytes_of(wide, &n);
    for (int64_t i = 0; i < numel(s); i++)
        if (fabs(want[i]) > most && fabs(want[i]) < INFINITY) most = fabs(want[i]);
    for (int64_t i = 0; i < numel(s) && ok; i++) ok = v[i] == want[i] || (v[i] != v[i] && want[i] != want[i]) || fabs(v[i] - want[i]) <= tolerance * most;
    free(v);
    return ok;
}
static nn_tensor *upstream(nn_ctx *c, nn_tensor *y, nn_dtype t) { return make(c, nn_shape_of(y), 'q', t, -1, 1, 9); }
static nn_tensor *checked(nn_ctx *c, nn_tensor **x, void *user) {
    (void)c;
    return evaluate((const golden_case *)user, x[0], NULL);
}
static nn_tensor *checked_last(nn_ctx *c, nn_tensor **x, void *user) {
    (void)c;
    return evaluate((const golden_case *)user, nn_channels_last(x[0]), NULL);
}

static void run_case(nn_ctx *c, const golden_case *k) {
    for (int t = 0; t < 2; t++) {
        nn_dtype   type = t ? NN_F64 : NN_F32;
        double     tolerance = t ? 1e-9 : 3e-6;
        nn_tensor *first[2] = {NULL, NULL};
        for (int layout = 0; layout < LAYOUTS; layout++) {
            nn_tensor *x = nn_requires_grad(make(c, k->shape, k->kind, type, -2, 2.5, 1)), *leaf = x, *index = NULL, *out[3] = {NULL, NULL, NULL}, *y, *dx = NULL, *again = NULL, *in, *dy;
            nn_plan   *p;
            int        ok;
            y = evaluate(k, laid(x, layout), k->index ? &index : NULL);
            expect(near(y, k->y, k->y_shape, tolerance), k->line, t ? "another value in f64" : "another value");
            if (k->index) expect(near(index, k->index, k->y_shape, 0), k->line, layout == LAST ? "another index, channels last" : "another index");
            if (layout == LAST && nn_is_channels_last(laid(x, LAST)) && nn_ndim(y) > 2 && nn_dim(y, 1) > 1 && numel(k->y_shape) > nn_dim(y, 0) * nn_dim(y, 1))
                expect(nn_is_channels_last(y) || strstr(k->line, "p=-"), k->line, "channels last, but not its result"); /* crops are views */
            dy = upstream(c, y, type);
            expect(nn_grad_of(y, dy, &leaf, 1, &dx, 0) && near(dx, k->d, k->shape, tolerance), k->line, layout == LAST ? "another gradient, channels last" : "another gradient");
            y = evaluate(k, laid(x, layout), NULL);
            expect(nn_grad_of(y, dy, &leaf, 1, &again, NN_CREATE_GRAPH) && near(again, k->d, k->shape, tolerance), k->line, "another gradient where that is recorded");
            if (layout == PLAIN) first[0] = y, first[1] = dx;
            else if (k->kind != 'n') {
                expect(nn_is_channels_last(laid(x, layout)) || same_bytes(nn_add_scalar(y, 0), nn_add_scalar(first[0], 0)), k->line, "a strided view has other bits");
                expect(nn_item(nn_max(nn_abs(nn_sub(y, first[0])), NN_ALL, 0)) <= (t ? 1e-14 : 1e-6), k->line, "another value than the plain layout's");
            }
            no_error(c, k->line);
            p  = nn_plan_begin(c, NULL);
            in = nn_plan_input(p, "x", x);
            out[0] = evaluate(k, laid(in, layout), k->index ? &out[2] : NULL);
            ok = nn_grad_of(out[0], nn_plan_input(p, "dy", dy), &in, 1, &out[1], 0) && nn_plan_end(p, out, 2 + (k->index != NULL)) && nn_plan_run(p);
            expect(ok && same_bytes(out[0], y) && same_bytes(out[1], dx) && (!k->index || same_bytes(out[2], index)), k->line, "a plan gives other bits");
            no_error(c, k->line);
            nn_plan_free(p);
        }
        nn_reset(c);
    }
    if (numel(k->shape) <= 64 && k->kind != 'n' && k->kind != 't' && strcmp(k->op, "gmax"))
        for (int order = 1; order <= 2; order++) {
            nn_tensor *x = make(c, k->shape, strstr("avg aavg gavg resize", k->op) ? 'q' : 'r', NN_F64, -2, 2.5, 1);
            double     off = nn_gradcheck(order == 1 ? checked : checked_last, &x, 1, order, (void *)(uintptr_t)k);
            expect(off < 1e-6, k->line, order == 1 ? "gradients are off" : "second gradients are off");
            no_error(c, k->line);
            nn_reset(c);
        }
}

/* ---- the rest --------------------------------------------------------------------------------------- */

static void halves(nn_ctx *c) { /* what f32 gives, rounded once */
    static const nn_dtype types[2] = {NN_F16, NN_BF16};
    nn_pool_options o = nn_pool_defaults();
    o.kernel = NN_SHAPE(3), o.stride = NN_SHAPE(2), o.padding = NN_SHAPE(1);
    for (int h = 0; h < 4; h++) {
        nn_tensor *x = make(c, NN_SHAPE(2, 3, 7, 9), 'r', types[h & 1], -2, 2.5, 1), *wide, *index = NULL, *wide_index = NULL;
        x    = laid(x, h >> 1);
        wide = nn_cast(x, NN_F32);
        expect(same_bytes(nn_max_pool_with(x, &o, &index), nn_cast(nn_max_pool_with(wide, &o, &wide_index), types[h & 1])) && same_bytes(index, wide_index), "halves", "max_pool");
        expect(same_bytes(nn_avg_pool_with(x, &o), nn_cast(nn_avg_pool_with(wide, &o), types[h & 1])), "halves", "avg_pool");
        expect(same_bytes(nn_lp_pool_with(x, 2, &o), nn_cast(nn_lp_pool_with(wide, 2, &o), types[h & 1])), "halves", "lp_pool");
        expect(same_bytes(nn_resize(x, NN_SHAPE(5, 12), NN_CUBIC, 0), nn_cast(nn_resize(wide, NN_SHAPE(5, 12), NN_CUBIC, 0), types[h & 1])), "halves", "resize");
        no_error(c, "halves");
        nn_reset(c);
    }
}

static void fails(nn_ctx *c, nn_tensor *y, const char *part) { /* with a message that says so */
    expect(!y && nn_error(c) != NN_OK && strstr(nn_error_text(c), part), part, nn_error_text(c));
    nn_error_clear(c);
}
static void bad_input(nn_ctx *c) {
    nn_tensor      *x = make(c, NN_SHAPE(1, 2, 4, 6), 'r', NN_F32, -1, 1, 1), *whole = nn_cast(x, NN_I32), *row = make(c, NN_SHAPE(2, 3), 'r', NN_F32, -1, 1, 1), *index, *y;
    nn_pool_options o = nn_pool_defaults();
    fails(c, nn_max_pool_with(x, &o, NULL), "kernel of axis 0 is 0; it must be at least 1");
    o.kernel = NN_SHAPE(2, 2, 2);
    fails(c, nn_max_pool_with(x, &o, NULL), "kernel: 3 sizes for 2 axes");
    fails(c, nn_max_pool_with(x, NULL, NULL), "options is NULL");
    fails(c, nn_max_pool(row, 2, 2, 0), "must have 3 to 5 dimensions");
    fails(c, nn_max_pool(whole, 2, 2, 0), "i32");
    fails(c, nn_max_pool(x, 5, 1, 0), "wider than axis 0");
    fails(c, nn_max_pool(x, 2, 0, 0), "stride of axis 0 is 0");
    fails(c, nn_max_pool(x, 2, 2, -1), "padding of axis 0 is -1");
    fails(c, nn_max_pool(x, 2, 2, 2), "window 0 along axis 0 lies in padding only");
    fails(c, nn_avg_pool(x, 1, 1, 1), "window 0 along axis 0 lies in padding only");
    o.kernel = NN_SHAPE(2), o.padding = NN_SHAPE(0, 0, 0, 2);
    fails(c, nn_max_pool_with(x, &o, NULL), "window 3 along axis 1 lies in padding only");
    o.padding = NN_SHAPE(1), o.dilation = NN_SHAPE(1, 7);
    fails(c, nn_max_pool_with(x, &o, NULL), "window 0 along axis 1 lies in padding only");
    o.padding = o.dilation = NN_SCALAR, o.divisor = -1;
    fails(c, nn_avg_pool_with(x, &o), "divisor cannot be -1");
    o.divisor = 0;
    fails(c, nn_lp_pool_with(x, 0, &o), "p cannot be 0");
    fails(c, nn_adaptive_max_pool(x, NN_SHAPE(0), &index), "size of axis 0 is 0");
    fails(c, nn_adaptive_avg_pool(x, NN_SCALAR), "size of axis 0 is 0");
    fails(c, nn_adaptive_avg_pool(nn_zeros(c, NN_F32, NN_SHAPE(1, 1, 0, 3)), NN_SHAPE(2)), "of nothing");
    y = nn_max_pool_with(x, &o, &index);
    fails(c, nn_max_unpool(y, nn_slice(index, 3, 0, 2, 1), NN_SHAPE(4, 6)), "must have equal shapes");
    fails(c, nn_max_unpool(y, NULL, NN_SHAPE(4, 6)), "the index is NULL");
    fails(c, nn_max_unpool(y, index, NN_SHAPE(2, 2)), "is outside 0 ... 3");
    fails(c, nn_resize(x, NN_SHAPE(2, 0), NN_LINEAR, 0), "size of axis 1 is 0");
    fails(c, nn_resize(x, NN_SHAPE(2, 2), (nn_resizing)7, 0), "how cannot be 7");
    fails(c, nn_resize(nn_zeros(c, NN_F32, NN_SHAPE(1, 1, 0)), NN_SHAPE(2), NN_LINEAR, 0), "of nothing");
    fails(c, nn_pixel_shuffle(x, 2), "r = 2 does not divide");
    fails(c, nn_pixel_shuffle(x, 0), "r = 0 does not divide");
    fails(c, nn_pixel_unshuffle(x, 4), "r = 4 does not divide");
    fails(c, nn_pixel_shuffle(row, 1), "must have 4 dimensions");
    fails(c, nn_pad_sides(x, NN_SHAPE(-3, -2, 0, 0), 0), "3 + 2 are cropped of axis 0, which has 4");
    fails(c, nn_pad_sides_with(x, NN_SHAPE(4, 0, 0, 0), NN_PAD_REFLECT), "before cannot be 4");
    fails(c, nn_pad_sides_with(x, NN_SHAPE(1), (nn_padding)3), "how cannot be 3");
    y = nn_pad_sides(x, NN_SHAPE(-2, -2, 0, 0), 0);
    expect(y && nn_numel(y) == 0, "pad", "nothing is left");
    y = nn_max_pool(nn_zeros(c, NN_F32, NN_SHAPE(0, 3, 4, 4)), 2, 2, 0);
    expect(y && nn_dim(y, 0) == 0 && nn_dim(y, 3) == 2, "max_pool", "an empty batch");
    no_error(c, "bad input");
    nn_reset(c);
}

static nn_tensor *pooled(nn_scope s, nn_tensor *x) { return nn_layer_attention_pool(s, "pool", x); }
static void       attention(nn_ctx *c) {
    nn_model  *m = nn_model_new(c, pooled, NULL);
    nn_tensor *x = make(c, NN_SHAPE(2, 5, 3), 'r', NN_F32, -1, 1, 1), *y = nn_predict(m, x), *w = nn_model_tensor(m, c, "pool.weight"), *b = nn_model_tensor(m, c, "pool.bias"), *a;
    a = nn_softmax(nn_add(nn_sum(nn_mul(x, w), NN_AXES(-1), 1), b), 1);
    expect(nn_ndim(y) == 2 && nn_item(nn_max(nn_abs(nn_sub(y, nn_sum(nn_mul(a, x), NN_AXES(1), 0))), NN_ALL, 0)) < 1e-6, "attention pool", "is not the weighted mean");
    expect(nn_ndim(w) == 2 && nn_dim(w, 0) == 1 && nn_dim(w, 1) == 3 && nn_dim(b, 0) == 1, "attention pool", "shapes of its parameters");
    no_error(c, "attention pool");
    fails(c, nn_predict(m, nn_zeros(c, NN_F32, NN_SHAPE(2, 3))), "must have 3 dimensions");
    nn_model_free(m);
    nn_reset(c);
}

/* A root has no slope at 0: a window of zeros has the gradient 0, at order 2 as well. Zeros next to others: PyTorch's numbers. */
static void lp_at_zero(nn_ctx *c) {
    nn_pool_options o = nn_pool_defaults();
    float           v[8] = {0, 0, 3, 4, 0, 2, 0, 0};
    o.kernel = NN_SHAPE(2);
    for (int p = 1; p <= 3; p++) {
        static const double want[4][3] = {{0, 0, 0}, {0, 7, 2}, {0, 5, 2}, {0, 4.497941445275415, 2}};
        nn_tensor *x = nn_requires_grad(nn_from(c, v, NN_F32, NN_SHAPE(1, 1, 8))), *y = nn_lp_pool_with(x, p, &o), *dx = NULL, *ddx = NULL;
        for (int i = 0; i < 3; i++) expect(fabs(nn_get(y, NN_SHAPE(0, 0, i)) - want[p][i]) < 1e-6, "lp_pool", "value");
        expect(nn_grad_of(nn_sum(y, NN_ALL, 0), NULL, &x, 1, &dx, NN_CREATE_GRAPH) && isfinite(nn_item(nn_sum(dx, NN_ALL, 0))), "lp_pool", "gradient at 0");
        expect(p == 1 || (nn_get(dx, NN_SHAPE(0, 0, 0)) == 0 && nn_get(dx, NN_SHAPE(0, 0, 7)) == 0), "lp_pool", "gradient of a window of zeros");
        expect(p == 1 || (nn_grad_of(nn_sum(nn_square(dx), NN_ALL, 0), NULL, &x, 1, &ddx, 0) && isfinite(nn_item(nn_sum(ddx, NN_ALL, 0)))), "lp_pool", "second gradient at 0");
        no_error(c, "lp_pool at 0");
        nn_reset(c);
    }
}

int main(int argc, char **argv) {
    char        *text = read_text(argc > 1 ? argv[1] : "tests/golden_pool.txt");
    int          n;
    golden_case *list = read_golden(text, &n);
    nn_config    config;
    nn_ctx      *c;
    memset(&config, 0, sizeof config);
    config.quiet   = 1; /* failures are printed here */
    config.threads = 2;
    c = nn_begin(&config);
    expect(n > 300, "golden_pool.txt", "has too few cases");
    for (int i = 0; i < n; i++)
        if (argc < 3 || strstr(list[i].line, argv[2])) run_case(c, &list[i]);
    halves(c);
    bad_input(c);
    attention(c);
    lp_at_zero(c);
    no_error(c, "at the end");
    nn_end(c);
    for (int i = 0; i < n; i++) free(list[i].words), free(list[i].y), free(list[i].index), free(list[i].d);
    free(list);
    free(text);
    printf("pool: %d passed, %d failed\n", passed, failed);
    return failed != 0;
}
