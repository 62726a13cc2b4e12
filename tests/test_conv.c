// Convolutions against PyTorch: the cases of tests/golden_conv.txt, which golden_conv.py makes. Each is run in f64 against the file, in f32
// (as it is and `exact`) against f64, on channels-last input, as a plan and on 1, 2 and 5 threads (equal bits); small ones also by differences
// of order 1 and 2, from strided views, in f16 and bf16, and with some of the gradients only. Then layers, empty batches, and what is refused.
//
//     test_conv [path of golden_conv.txt [part of the lines of the cases to run]]
//
// C99 and C++11.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#define NN_IMPLEMENTATION
#include "nn.h"
#include "golden.h"

static int    passed, failed;
static double worst[2][4]; /* of f32, in units of what is allowed: as it is, exact; y, dx, dw, db */
static int expect(int ok, const char *name, const char *what) {
    if (ok) passed++;
    else if (++failed <= 400) printf("FAIL %s: %s\n", name, what);
    return ok;
}
/* The context's first failure, if any, fails what it happened in and no later one. */
static int no_error(nn_ctx *c, const char *name, const char *where) {
    if (!nn_error(c)) return 1;
    expect(0, name, where);
    printf("   %s\n", nn_error_text(c));
    nn_error_clear(c);
    return 0;
}

/* ---- the golden file: the other half is in golden_conv.py -------------------------------------------- */

enum { Y, DX, DW, DB, RESULTS };
static const char *const result_names[] = {"y", "dx", "dw", "db"};
typedef struct conv_case {
    char            text[160];
    int             transposed, bias;
    nn_shape        x, w;
    nn_conv_options o;
    uint32_t        seed;
    golden          want[RESULTS];
} conv_case;

static void read_case(conv_case *k, char *line) {
    char *w;
    memset(k, 0, sizeof *k);
    snprintf(k->text, sizeof k->text, "%s", line);
    k->transposed = *strtok(line, " ") == 't';
    k->x = read_shape(strtok(NULL, " "));
    k->w = read_shape(strtok(NULL, " "));
    while ((w = strtok(NULL, " "))) {
        if (!strcmp(w, "same")) k->o.same = 1;
        else if (!strcmp(w, "b")) k->bias = 1;
        else if (*w == 's') k->o.stride = read_shape(w + 2);
        else if (*w == 'p') k->o.padding = read_shape(w + 2);
        else if (*w == 'd') k->o.dilation = read_shape(w + 2);
        else if (*w == 'o') k->o.output_padding = read_shape(w + 2);
        else if (*w == 'g') k->o.groups = atoi(w + 2);
        else if (*w == 'a') k->o.act = (nn_act)nn_act_named(w + 2);
        else if (*w == 'v') k->seed = (uint32_t)atoi(w + 2);
    }
}
static conv_case *read_cases(const char *path, int *count) {
    FILE      *f = fopen(path, "r");
    conv_case *list = NULL;
    char       line[1024];
    int        n = 0, r;
    if (!f) {
        fprintf(stderr, "cannot read %s\n", path);
        exit(2);
    }
    while (fgets(line, sizeof line, f)) {
        line[strcspn(line, "\n")] = 0;
        for (r = 0; r < RESULTS && !(strlen(result_names[r]) == strcspn(line, " ") && !strncmp(line, result_names[r], strlen(result_names[r]))); r++) {}
        if (r == RESULTS) {
            list = (conv_case *)realloc(list, (size_t)(n + 1) * sizeof *list);
            if (!list) exit(2);
            read_case(&list[n++], line);
        } else {
            strtok(line, " ");
            list[n - 1].want[r] = read_golden();
        }
    }
    fclose(f);
    *count = n;
    return list;
}

static nn_tensor *make(nn_ctx *c, nn_dtype t, nn_shape s, uint32_t k, uint32_t seed) {
    int64_t    n = numel(s);
    double    *v = (double *)malloc((size_t)(n + 1) * sizeof *v);
    nn_tensor *x;
    if (!v) exit(2);
    for (int64_t i = 0; i < n; i++) {
        v[i] = formula(i, k, seed);
        if (t == NN_F32) ((float *)v)[i] = (float)v[i]; /* in front of what is still to come */
    }
    x = nn_from(c, v, t == NN_F32 ? NN_F32 : NN_F64, s);
    free(v);
    return t == NN_F32 || t == NN_F64 ? x : nn_cast(x, t);
}

/* ---- running ----------------------------------------------------------------------------------------- */

enum { LAST = 1, EXACT = 2, VIEWS = 4, RULES = 8 }; /* channels-last x; the option; strided operands; gradients by ordinary ops, not by fused kernels */
typedef struct result { nn_tensor *t[RESULTS]; } result;

static nn_tensor *convolve(const conv_case *k, nn_tensor *x, nn_tensor *w, nn_tensor *b, int exact) {
    nn_conv_options o = k->o;
    o.exact = exact;
    return k->transposed ? nn_conv_transposed(x, w, b, &o) : nn_conv(x, w, b, &o);
}
/* The same values, with the axes in reverse order in memory; of a vector, every second element. */
static nn_tensor *strided(nn_tensor *x) {
    nn_shape   axes = nn_shape_of(x);
    nn_tensor *two[2];
    two[0] = two[1] = x;
    if (axes.ndim == 1) return nn_select(nn_stack(two, 2, 1), 1, 0);
    for (int i = 0; i < axes.ndim; i++) axes.dim[i] = axes.ndim - 1 - i;
    return nn_permute(nn_contiguous(nn_permute(x, axes)), axes);
}

typedef struct inputs { nn_tensor *leaf[3], *dy; } inputs; /* x, weight, bias */
static inputs make_inputs(nn_ctx *c, const conv_case *k, nn_dtype t) {
    inputs in;
    in.leaf[0] = make(c, t, k->x, 1, k->seed);
    in.leaf[1] = make(c, t, k->w, 2, k->seed);
    in.leaf[2] = k->bias ? make(c, t, k->want[DB].shape, 3, k->seed) : NULL;
    in.dy      = make(c, t, k->want[Y].shape, 4, k->seed);
    return in;
}
/* p: the inputs are the plan's. wants: bit i: gradient i */
static result run_on(const conv_case *k, inputs in, int flags, nn_plan *p, int wants) {
    static const char *const names[] = {"x", "weight", "bias"};
    nn_tensor *leaf[3] = {NULL, NULL, NULL}, *use[3], *wanted[3], *got[3];
    result     r;
    int        n = 0;
    memset(&r, 0, sizeof r);
    for (int i = 0; i < 2 + k->bias; i++) {
        leaf[i] = p ? nn_plan_input(p, names[i], in.leaf[i]) : in.leaf[i];
        if (wants >> i & 1) wanted[n++] = nn_requires_grad(leaf[i]);
    }
    for (int i = 0; i < 3; i++) use[i] = leaf[i] && flags & VIEWS ? strided(leaf[i]) : leaf[i];
    if (flags & LAST) use[0] = nn_channels_last(use[0]);
    r.t[Y] = convolve(k, use[0], use[1], use[2], (flags & EXACT) != 0);
    if (!r.t[Y] || !wants) return r;
    nn_grad_of(r.t[Y], p ? nn_plan_input(p, "dy", in.dy) : in.dy, wanted, n, got, flags & RULES ? NN_CREATE_GRAPH : 0);
    for (int i = 2; i >= 0; i--)
        if (wants >> i & 1 && n && leaf[i]) r.t[DX + i] = got[--n];
    return r;
}
static result run(nn_ctx *c, const conv_case *k, nn_dtype t, int flags) { return run_on(k, make_inputs(c, k, t), flags, NULL, 7); }

/* ---- comparing --------------------------------------------------------------------------------------- */

/* How many products, at most, make an element of result r. */
static double length_of(const conv_case *k, int r) {
    double taps = 1, in = (double)k->w.dim[1], out = (double)(k->w.dim[0] / (k->o.groups ? k->o.groups : 1)), places = 1;
    const nn_shape *grid = k->transposed ? &k->x : &k->want[Y].shape;
    for (int i = 2; i < k->w.ndim; i++) taps *= (double)k->w.dim[i], places *= (double)grid->dim[i];
    if (r == DB) return (double)numel(k->want[Y].shape) / (double)k->want[Y].shape.dim[1];
    if (r == DW) return places * (double)k->x.dim[0];
    return taps * ((r == Y) == k->transposed ? out : in); /* a weight's first axis is that of conv's results */
}
/* The largest difference of got and want, in units of eps times length + 16; 1e30 where they cannot be compared. */
static double distance(const conv_case *k, int r, nn_tensor *got, nn_tensor *want, double eps) {
    double  most = 0, *a, *b;
    int64_t n = nn_numel(want);
    if (!got || !want) return got == want ? 0 : 1e30;
    if (!same_shape(nn_shape_of(got), nn_shape_of(want))) return 1e30;
    a = values_of(got), b = values_of(want);
    for (int64_t i = 0; i < n; i++)
        if (!(fabs(a[i] - b[i]) <= most)) most = a[i] == a[i] ? fabs(a[i] - b[i]) : 1e30;
    free(a), free(b);
    return most / (eps * (length_of(k, r) + 16));
}
static void near(const conv_case *k, const char *where, const result *got, const result *want, double eps, double most, double *record) {
    char text[120];
    if (!no_error(nn_ctx_of(want->t[Y]), k->text, where)) return;
    for (int r = 0; r < RESULTS; r++) {
        double off = distance(k, r, got->t[r], want->t[r], eps);
        snprintf(text, sizeof text, "%s: %s is off by %.3g of the %g allowed", where, result_names[r], off, most);
        expect(off <= most, k->text, text);
        if (record && off > record[r]) record[r] = off;
    }
}
static void as_golden(const conv_case *k, const char *where, const result *got) {
    char text[200], what[160];
    for (int r = 0; r < RESULTS; r++) {
        const golden *g = &k->want[r];
        nn_tensor    *x = got->t[r];
        double       *v;
        if (!g->n && !x) continue;
        if (!x || !same_shape(nn_shape_of(x), g->shape)) {
            snprintf(text, sizeof text, "%s: %s has another shape, or is missing", where, result_names[r]);
            expect(0, k->text, text);
            continue;
        }
        v = values_of(x);
        *what = 0;
        is_golden(g, v, 1e-10 * (length_of(k, r) + 16), what, sizeof what);
        snprintf(text, sizeof text, "%s: %s: %s", where, result_names[r], what);
        expect(!*what, k->text, text);
        free(v);
    }
}

typedef struct bytes { void *p[RESULTS]; size_t n[RESULTS]; } bytes;
static bytes bytes_of(const result *r) {
    bytes b;
    for (int i = 0; i < RESULTS; i++) {
        b.n[i] = r->t[i] ? (size_t)nn_numel(r->t[i]) * nn_dtype_size(nn_dtype_of(r->t[i])) : 0;
        b.p[i] = malloc(b.n[i] + 1);
        if (!b.p[i]) exit(2);
        if (r->t[i]) nn_read(r->t[i], b.p[i], b.n[i]);
    }
    return b;
}
static void bytes_free(bytes *b) { for (int i = 0; i < RESULTS; i++) free(b->p[i]); }
static void same_bits(const conv_case *k, const char *where, const result *got, const bytes *want) {
    bytes b = bytes_of(got);
    char  text[100];
    for (int i = 0; i < RESULTS; i++) {
        if (!want->n[i] && !b.n[i]) continue;
        snprintf(text, sizeof text, "%s: other bits of %s", where, result_names[i]);
        expect(b.n[i] == want->n[i] && !memcmp(b.p[i], want->p[i], b.n[i]), k->text, text);
    }
    bytes_free(&b);
}

/* ---- one case, in all ways --------------------------------------------------------------------------- */

static nn_ctx *with_threads[3]; /* 1, 2, 5 */
static nn_ctx *context;         /* the second of them */
static const double exact_most = 1, most = 8; /* times eps (length + 16): plain sums; Winograd's transforms round more */

static int is_last(nn_tensor *y) { /* or of a shape whose two layouts are the same bytes */
    return nn_is_channels_last(y) || nn_dim(y, 1) == 1 || nn_numel(y) == nn_dim(y, 0) * nn_dim(y, 1) || nn_numel(y) == 0;
}
/* want: the bits of an exact plan; NULL: near the truth will do */
static void planned(nn_ctx *c, const conv_case *k, nn_dtype t, int flags, const bytes *want, const result *truth) {
    nn_plan_options o = nn_plan_defaults();
    inputs          in = make_inputs(c, k, t);
    nn_plan        *p;
    nn_tensor      *out[RESULTS];
    result          r;
    char            where[60];
    int             n = 0;
    o.exact = want != NULL;
    p = nn_plan_begin(c, &o);
    r = run_on(k, in, flags, p, 7);
    for (int i = 0; i < RESULTS; i++)
        if (r.t[i]) out[n++] = r.t[i];
    snprintf(where, sizeof where, "%s %s%s", nn_dtype_name(t), want ? "planned, exact" : "planned", flags & LAST ? ", channels-last" : "");
    if (nn_plan_end(p, out, n))
        for (int again = 0; again < (want ? 2 : 1) && nn_plan_run(p); again++) {
            for (int i = n = 0; i < RESULTS; i++)
                if (r.t[i]) r.t[i] = out[n++];
            if (want) same_bits(k, where, &r, want);
            else near(k, where, &r, truth, t == NN_F32 ? 1.2e-7 : 2.3e-16, t == NN_F32 ? most : exact_most, NULL);
        }
    no_error(c, k->text, where);
    nn_plan_free(p);
}
/* In one type: rows-first and channels-last, plain and exact, threads, plans. */
static void typed(const conv_case *k, nn_dtype t, const result *truth) {
    char where[80];
    for (int flags = 0; flags < 4; flags++) {
        double eps = t == NN_F32 ? 1.2e-7 : 2.3e-16;
        int    exact = flags & EXACT || t == NN_F64;
        bytes  want;
        result r = run(context, k, t, flags), alone;
        if (t == NN_F64 && flags & EXACT) break; /* nothing else happens */
        snprintf(where, sizeof where, "%s%s%s", nn_dtype_name(t), flags & LAST ? ", channels-last" : "", flags & EXACT ? ", exact" : "");
        if (!r.t[Y] || nn_error(context)) {
            if (no_error(context, k->text, where)) expect(0, k->text, where);
            continue;
        }
        near(k, where, &r, truth, eps, exact ? exact_most : most, t == NN_F32 ? worst[exact] : NULL);
        if (flags & LAST && nn_is_channels_last(nn_channels_last(make(context, t, k->x, 1, 0)))) expect(is_last(r.t[Y]), k->text, "y of a channels-last x is not channels-last");
        want = bytes_of(&r);
        for (int i = 0; i < 3; i += 2) {
            result other = run(with_threads[i], k, t, flags);
            char   text[100];
            snprintf(text, sizeof text, "%s on %d threads", where, nn_threads(with_threads[i]));
            same_bits(k, text, &other, &want);
            no_error(with_threads[i], k->text, text);
            nn_reset(with_threads[i]);
        }
        if (!(flags & EXACT)) {
            planned(context, k, t, flags, &want, truth);
            planned(context, k, t, flags, NULL, truth);
        }
        alone = run_on(k, make_inputs(context, k, t), flags, NULL, 0); /* nobody asks for gradients: other fusions */
        for (int i = DX; i < RESULTS; i++) alone.t[i] = truth->t[i];
        near(k, "without gradients", &alone, truth, eps, exact ? exact_most : most, NULL);
        bytes_free(&want);
    }
}

typedef struct difference { const conv_case *k; int last; } difference;
static nn_tensor *difference_case(nn_ctx *c, nn_tensor **x, void *user) {
    const difference *d = (const difference *)user;
    (void)c;
    return convolve(d->k, d->last ? nn_channels_last(x[0]) : x[0], x[1], d->k->bias ? x[2] : NULL, 0);
}
static void small(nn_ctx *c, const conv_case *k, const result *truth) {
    static const struct { nn_dtype t; double eps; } half[] = {{NN_F16, 1e-3}, {NN_BF16, 8e-3}};
    result r = run(c, k, NN_F64, VIEWS), one;
    bytes  all;
    char   text[80];
    near(k, "from strided views", &r, truth, 2.3e-16, exact_most, NULL);
    r = run(c, k, NN_F64, RULES);
    near(k, "with differentiable gradients", &r, truth, 2.3e-16, exact_most, NULL);
    r   = run(c, k, NN_F32, 0);
    all = bytes_of(&r);
    for (int i = 0; i < 2 + k->bias; i++) { /* one gradient alone */
        one = run_on(k, make_inputs(c, k, NN_F32), 0, NULL, 1 << i);
        for (int j = 0; j < 3; j++)
            if (j != i) one.t[DX + j] = r.t[DX + j];
        same_bits(k, "one gradient alone", &one, &all);
    }
    bytes_free(&all);
    no_error(c, k->text, "small");
    for (int h = 0; h < 2; h++) { /* in the end of their own type, near what f32 gives for the same values */
        inputs narrow = make_inputs(c, k, half[h].t), wide = narrow;
        result want;
        for (int i = 0; i < 2 + k->bias; i++) wide.leaf[i] = nn_cast(narrow.leaf[i], NN_F32);
        wide.dy = nn_cast(narrow.dy, NN_F32);
        r    = run_on(k, narrow, 0, NULL, 7);
        want = run_on(k, wide, 0, NULL, 7);
        if (!r.t[Y] || !want.t[Y]) { no_error(c, k->text, nn_dtype_name(half[h].t)); continue; }
        for (int i = 0; i < 3 + k->bias; i++) expect(r.t[i] && nn_dtype_of(r.t[i]) == half[h].t, k->text, "a result in f16 or bf16 has another type");
        near(k, nn_dtype_name(half[h].t), &r, &want, half[h].eps, 1, NULL);
    }
    for (int last = 0; last < 2; last++)
        for (int order = 1; order <= 2; order++) {
            inputs     in = make_inputs(c, k, NN_F64);
            difference d;
            double     off;
            d.k = k, d.last = last;
            off = nn_gradcheck(difference_case, in.leaf, 2 + k->bias, order, &d);
            snprintf(text, sizeof text, "differences of order %d%s: off by %.3g", order, last ? ", channels-last" : "", off);
            expect(off < 1e-7, k->text, text);
            no_error(c, k->text, text);
        }
}
static void all_ways(conv_case *k) {
    nn_ctx   *c = context;
    nn_tensor *y;
    result     truth;
    if (!k->want[Y].n) { /* a case without a line in the file: what it is, f64 says */
        y = convolve(k, make(c, NN_F64, k->x, 1, 0), make(c, NN_F64, k->w, 2, 0), NULL, 0);
        k->want[Y].shape = nn_shape_of(y);
        k->want[DB].shape = NN_SHAPE(nn_dim(y, 1));
    }
    truth = run(c, k, NN_F64, 0);
    if (!truth.t[Y]) {
        if (no_error(c, k->text, "f64")) expect(0, k->text, "no result");
        return;
    }
    if (k->want[Y].n) as_golden(k, "f64", &truth);
    if ((double)numel(k->want[Y].shape) * length_of(k, Y) < 3e5) typed(k, NN_F64, &truth);
    typed(k, NN_F32, &truth);
    if (numel(k->x) + numel(k->w) <= 120 && numel(k->want[Y].shape) <= 200) small(c, k, &truth);
    nn_reset(c);
}

/* Large enough for several threads, and for every way that a kernel is chosen. */
static void large(void) {
    static const char *const list[] = {"conv 2,16,19,22 32,16,3,3 b p=1 a=relu", "conv 1,33,17,14 34,33,3,3 b p=1", "conv 2,24,23,15 32,24,3,3 s=2 p=1", "conv 2,64,15,11 48,64,1,1 b",
                                       "conv 2,64,27,13 64,1,3,3 b g=64 p=1", "conv 2,48,27,29 48,1,5,5 g=48 p=2 s=2", "conv 1,16,13,15 32,8,5,5 b g=2 p=2 a=gelu", "conv 1,3,45,47 16,3,7,7 b s=2 p=3",
                                       "conv 2,8,900 16,8,5 b p=2", "conv 1,8,5,9,13 12,8,3,3,3 b p=1", "transposed 1,24,13,15 24,16,4,4 b s=2 p=1", "transposed 1,16,17,19 16,24,3,3 p=1 a=relu",
                                       "transposed 2,32,700 32,4,5 b g=4 s=3", "conv 70,4,7,9 8,4,3,3 b p=1", "conv 300,3,5,5 4,3,3,3 b", "conv 1,1,90,91 1,1,3,3 b p=1",
                                       /* weight gradients by Winograd's tiles: images that share a block, groups, odd channels, slices of them, blocks of a plane */
                                       "conv 19,16,14,15 24,16,3,3 b p=1", "conv 9,24,14,15 40,12,3,3 b g=2 p=1", "conv 3,9,30,31 11,9,3,3", "conv 3,128,22,19 64,128,3,3 b p=1", "conv 2,96,39,41 40,96,3,3 p=2"};
    for (size_t i = 0; i < sizeof list / sizeof *list; i++) {
        conv_case k;
        char      line[160];
        snprintf(line, sizeof line, "%s", list[i]);
        read_case(&k, line);
        all_ways(&k);
    }
}

/* Inference as a plan pools where the convolution stores its result; the bits are those of one op after the other. `fits`: can it here? */
static void pooled(nn_ctx *c, const char *text, int fits) {
    static char said[1 << 14];
    conv_case   k;
    char        line[160], where[40];
    snprintf(line, sizeof line, "%s", text);
    read_case(&k, line);
    for (int way = 0; way < 4; way++) { /* f32 and f64, rows-first and channels-last */
        nn_dtype        real = way / 2 ? NN_F64 : NN_F32;
        nn_tensor      *x = make(c, real, k.x, 1, 0), *w = make(c, real, k.w, 2, 0), *b = k.bias ? make(c, real, NN_SHAPE(k.w.dim[0]), 3, 0) : NULL, *y, *want;
        nn_plan_options o = nn_plan_defaults();
        nn_plan        *p;
        int             was = nn_no_grad(c, 1), fused;
        if (!(way / 2)) { nn_f32(x)[7] = -NAN; nn_f32(x)[nn_numel(x) / 2] = INFINITY; }
        if (way % 2) x = nn_channels_last(x);
        want = nn_contiguous(nn_max_pool(convolve(&k, x, w, b, 0), 2, 2, 0));
        p    = nn_plan_begin(c, &o);
        x    = nn_plan_input(p, "x", x);
        w    = nn_plan_input(p, "w", w);
        b    = b ? nn_plan_input(p, "b", b) : NULL;
        y    = nn_contiguous(nn_max_pool(convolve(&k, x, w, b, 0), 2, 2, 0));
        snprintf(where, sizeof where, "pooled, way %d", way);
        if (nn_plan_end(p, &y, 1) && nn_plan_run(p)) {
            expect(!memcmp(nn_ptr(y), nn_ptr(want), (size_t)nn_numel(want) * (way / 2 ? 8 : 4)), text, "a plan that pools has other bits");
            nn_plan_report_text(p, said, sizeof said);
            fused = strstr(said, "max_pool") && !strstr(said, " max_pool");
            expect(fused == fits, text, fits ? "does not pool where it stores" : "pools where it cannot");
        }
        no_error(c, text, where);
        nn_plan_free(p);
        nn_no_grad(c, was);
        nn_reset(c);
    }
}
static void pools(void) {
    static const char *const fits[] = {"conv 2,16,18,22 32,16,3,3 b p=1 a=relu", "conv 1,16,66,44 37,16,3,3 p=1", "conv 3,3,30,26 16,3,7,7 b p=2 a=tanh", "conv 2,8,62,39 5,8,3,4 b s=2", "conv 9,12,6,6 13,12,1,1 b"};
    static const char *const no[]   = {"conv 2,8,13,12 16,8,3,3 b p=1 a=relu", "conv 2,8,12,12 16,4,3,3 b g=2 p=1", "conv 2,8,12,12 3,8,3,3 b p=1"}; /* odd rows, groups, few outputs */
    for (int i = 0; i < 3; i++)
        for (size_t k = 0; k < sizeof fits / sizeof *fits; k++) pooled(with_threads[i], fits[k], 1);
    for (size_t k = 0; k < sizeof no / sizeof *no; k++) pooled(context, no[k], 0);
}

/* ---- edges ------------------------------------------------------------------------------------------- */

static double largest(nn_tensor *x) { return nn_item(nn_max(nn_abs(x), NN_ALL, 0)); }
static void empty(nn_ctx *c) {
    nn_conv_options o = nn_conv_defaults();
    nn_tensor      *x, *w = nn_requires_grad(make(c, NN_F32, NN_SHAPE(4, 3, 3, 3), 2, 0)), *b = nn_requires_grad(make(c, NN_F32, NN_SHAPE(4), 3, 0)), *y, *leaf[3], *dx[3];
    o.padding = NN_SHAPE(1), o.act = NN_ACT_RELU;
    for (int way = 0; way < 4; way++) {
        int transposed = way & 1, last = way >> 1;
        x = nn_requires_grad(make(c, NN_F32, transposed ? NN_SHAPE(0, 4, 5, 6) : NN_SHAPE(0, 3, 5, 6), 1, 0));
        y = transposed ? nn_conv_transposed(last ? nn_channels_last(x) : x, w, NULL, &o) : nn_conv(last ? nn_channels_last(x) : x, w, b, &o);
        expect(y && same_shape(nn_shape_of(y), transposed ? NN_SHAPE(0, 3, 5, 6) : NN_SHAPE(0, 4, 5, 6)), "empty batch", "y's shape");
        leaf[0] = x, leaf[1] = w, leaf[2] = b;
        nn_grad_of(y, make(c, NN_F32, nn_shape_of(y), 4, 0), leaf, transposed ? 2 : 3, dx, 0);
        if (!no_error(c, "empty batch", "gradients")) continue;
        expect(!dx[0] || same_shape(nn_shape_of(dx[0]), nn_shape_of(x)), "empty batch", "dx's shape");
        expect(dx[1] && same_shape(nn_shape_of(dx[1]), nn_shape_of(w)) && largest(dx[1]) == 0, "empty batch", "dw is not 0");
        if (!transposed) expect(dx[2] && nn_numel(dx[2]) == 4 && largest(dx[2]) == 0, "empty batch", "db is not 0");
    }
    /* nothing but padding: the bias; no channels: likewise; no output channels: nothing */
    o = nn_conv_defaults();
    o.padding = NN_SHAPE(2);
    y = nn_conv(nn_zeros(c, NN_F32, NN_SHAPE(2, 3, 0, 4)), w, b, &o);
    expect(y && same_shape(nn_shape_of(y), NN_SHAPE(2, 4, 2, 6)) && largest(nn_sub(y, nn_reshape(b, NN_SHAPE(1, 4, 1, 1)))) == 0, "empty", "a size of 0 is not the bias");
    y = nn_conv(nn_zeros(c, NN_F32, NN_SHAPE(2, 0, 5, 4)), nn_zeros(c, NN_F32, NN_SHAPE(4, 0, 3, 3)), b, &o);
    expect(y && same_shape(nn_shape_of(y), NN_SHAPE(2, 4, 7, 6)) && largest(nn_sub(y, nn_reshape(b, NN_SHAPE(1, 4, 1, 1)))) == 0, "empty", "no channels are not the bias");
    y = nn_conv(nn_zeros(c, NN_F32, NN_SHAPE(2, 3, 5, 4)), nn_zeros(c, NN_F32, NN_SHAPE(0, 3, 3, 3)), NULL, &o);
    expect(y && same_shape(nn_shape_of(y), NN_SHAPE(2, 0, 7, 6)), "empty", "no output channels");
    no_error(c, "empty", "");
    nn_reset(c);
}

/* Special values: an infinity or NaN reaches the windows that hold it, and in exact sums no other. */
static void special(nn_ctx *c) {
    for (int exact = 0; exact < 2; exact++)
        for (int last = 0; last < 2; last++)
            for (int one = 0; one < 2; one++) { /* 1x1, 3x3 */
                nn_conv_options o = nn_conv_defaults();
                nn_tensor      *x = make(c, NN_F32, NN_SHAPE(1, 16, 9, 9), 1, 0), *w = make(c, NN_F32, one ? NN_SHAPE(16, 16, 1, 1) : NN_SHAPE(16, 16, 3, 3), 2, 0), *y;
                int             ok = 1, far = 1;
                o.exact = exact, o.padding = NN_SHAPE(!one);
                nn_set(x, NN_SHAPE(0, 3, 4, 4), NAN);
                y = nn_contiguous(nn_conv(last ? nn_channels_last(x) : x, w, NULL, &o));
                for (int i = 0; i < 16 * 81 && y; i++) {
                    int h = i / 9 % 9, v = i % 9, in = one ? h == 4 && v == 4 : abs(h - 4) < 2 && abs(v - 4) < 2, nan = isnan(nn_f32(y)[i]);
                    ok &= !in || nan;
                    far &= in || !nan;
                }
                expect(y && ok, "NaN", "is lost");
                if (exact || one) expect(far, "NaN", "reaches windows that do not hold it");
            }
    no_error(c, "special", "");
    nn_reset(c);
}

/* A leaf that is channels-last itself; results feed element-wise ops and another convolution in that layout. */
static void layouts(nn_ctx *c) {
    nn_tensor *x = make(c, NN_F32, NN_SHAPE(2, 5, 7, 6), 1, 0), *w = make(c, NN_F32, NN_SHAPE(6, 5, 3, 3), 2, 0), *v = make(c, NN_F32, NN_SHAPE(4, 6, 2, 2), 3, 0), *y[2], *dx[2];
    for (int last = 0; last < 2; last++) {
        nn_tensor *leaf = nn_requires_grad(last ? nn_channels_last(x) : nn_clone(x));
        if (last) expect(nn_is_channels_last(leaf), "layouts", "the leaf is not channels-last");
        y[last] = nn_conv(nn_relu(nn_conv(leaf, w, NULL, NULL)), v, NULL, NULL);
        if (last) expect(nn_is_channels_last(y[1]), "layouts", "a chain leaves channels-last");
        nn_grad_of(y[last], make(c, NN_F32, nn_shape_of(y[last]), 4, 0), &leaf, 1, &dx[last], 0);
    }
    expect(largest(nn_sub(y[0], y[1])) < 2e-5, "layouts", "another result of a chain");
    expect(largest(nn_sub(dx[0], dx[1])) < 2e-5, "layouts", "another gradient of a chain");
    no_error(c, "layouts", "");
    nn_reset(c);
}

/* ---- layers ------------------------------------------------------------------------------------------ */

static nn_tensor *five(nn_scope s, nn_tensor *x) { /* [N,4,9,9] */
    nn_conv_options o = nn_conv_defaults(), plain = nn_conv_defaults();
    o.stride = NN_SHAPE(2), o.groups = 2, o.no_bias = 1, o.act = NN_ACT_RELU, o.padding = NN_SHAPE(1);
    x = nn_layer_conv(s, "conv1", x, 6, 3, 1, 1);
    x = nn_layer_conv_with(s, "conv2", x, 8, NN_SHAPE(3, 2), &o);
    o.no_bias = 0, o.padding = NN_SHAPE(0);
    x = nn_layer_conv_transposed(s, "up", x, 4, NN_SHAPE(2), &o);
    x = nn_layer_conv_separable(s, "separable", x, 7, NN_SHAPE(3), NULL);
    plain.dilation = NN_SHAPE(2);
    return nn_layer_conv_with(s, "conv3", x, 5, NN_SHAPE(2), &plain);
}
static void layers(nn_ctx *c) {
    static const struct { const char *name; int64_t dim[4]; int fan_in; } list[] = {
        {"conv1.weight", {6, 4, 3, 3}, 36}, {"conv1.bias", {6, 0, 0, 0}, 36}, {"conv2.weight", {8, 3, 3, 2}, 18}, {"up.weight", {8, 2, 2, 2}, 8}, {"up.bias", {4, 0, 0, 0}, 8},
        {"separable.depthwise.weight", {4, 1, 3, 3}, 9}, {"separable.pointwise.weight", {7, 4, 1, 1}, 4}, {"separable.pointwise.bias", {7, 0, 0, 0}, 4},
        {"conv3.weight", {5, 7, 2, 2}, 28}, {"conv3.bias", {5, 0, 0, 0}, 28}};
    enum { N = sizeof list / sizeof *list };
    nn_model       *m = nn_model_new(c, five, NULL);
    nn_tensor      *x = make(c, NN_F32, NN_SHAPE(2, 4, 9, 9), 1, 0), *y = nn_forward(m, x), *p[N], *z;
    nn_conv_options o = nn_conv_defaults();
    expect(nn_model_count(m) == N, "layers", "other parameters than expected");
    for (int i = 0; i < N; i++) {
        nn_shape s = NN_SCALAR;
        while (s.ndim < 4 && list[i].dim[s.ndim]) s.dim[s.ndim] = list[i].dim[s.ndim], s.ndim++;
        p[i] = nn_model_tensor(m, c, list[i].name);
        expect(p[i] && same_shape(nn_shape_of(p[i]), s), list[i].name, "is missing or has another shape");
        if (!no_error(c, list[i].name, "") || !p[i]) return;
        expect(largest(p[i]) <= 1 / sqrt(list[i].fan_in) && (s.ndim == 1 || largest(p[i]) > 0.7 / sqrt(list[i].fan_in)), list[i].name, "is not initialised as PyTorch does: uniform within 1/sqrt(fan in)");
    }
    o.padding = NN_SHAPE(1);
    z = nn_conv(x, p[0], p[1], &o);
    o.stride = NN_SHAPE(2), o.groups = 2, o.act = NN_ACT_RELU;
    z = nn_conv(z, p[2], NULL, &o);
    o.padding = NN_SHAPE(0);
    z = nn_conv_transposed(z, p[3], p[4], &o);
    o = nn_conv_defaults();
    o.groups = 4;
    z = nn_conv(nn_conv(z, p[5], NULL, &o), p[6], p[7], NULL);
    o = nn_conv_defaults();
    o.dilation = NN_SHAPE(2);
    z = nn_conv(z, p[8], p[9], &o);
    expect(y && z && same_shape(nn_shape_of(y), nn_shape_of(z)) && largest(nn_sub(y, z)) <= 1e-6, "layers", "another result than that of their ops");
    expect(nn_backward(nn_sum(nn_square(y), NN_ALL, 0)) == 1, "layers", "backward");
    for (int i = 0; i < N; i++) expect(nn_grad(p[i]) && nn_grad(nn_model_tensor(m, c, list[i].name)), list[i].name, "has no gradient");
    expect(nn_summary_text(m, NN_F32, NN_SHAPE(2, 4, 9, 9), NULL, 0) > 0, "layers", "no summary");
    no_error(c, "layers", "");
    nn_model_free(m);
    nn_reset(c);
}

/* ---- what is refused --------------------------------------------------------------------------------- */

/* Refused, with a message that has all of these parts, divided by | */
static void refused(nn_ctx *c, const char *what, nn_tensor *y, const char *parts) {
    char list[160], text[700];
    int  ok = y == NULL && nn_error(c) != NN_OK;
    snprintf(list, sizeof list, "%s", parts);
    for (char *part = strtok(list, "|"); part; part = strtok(NULL, "|")) ok &= strstr(nn_error_text(c), part) != NULL;
    snprintf(text, sizeof text, "got %s, '%s', expected '%s'", y ? "a result" : "NULL", nn_error_text(c), parts);
    expect(ok, what, text);
    nn_error_clear(c);
}
static nn_conv_options with(const char *name, nn_shape s) {
    nn_conv_options o = nn_conv_defaults();
    if (*name == 's') o.stride = s;
    else if (*name == 'd') o.dilation = s;
    else if (*name == 'p') o.padding = s;
    else if (*name == 'o') o.output_padding = s;
    else o.groups = s.dim[0];
    return o;
}
static void bad_options(nn_ctx *c, int transposed) {
    static const struct { const char *name; int n; int64_t v[5]; const char *parts; } list[] = {
        {"stride", 1, {0}, "stride|0"}, {"stride", 2, {1, -3}, "stride|axis 1|-3"}, {"stride", 3, {1, 1, 1}, "stride|3|2"}, {"stride", 1, {INT64_C(1) << 40}, "stride|1099511627776"},
        {"dilation", 1, {0}, "dilation|0"}, {"dilation", 2, {-2, 1}, "dilation|axis 0|-2"}, {"dilation", 4, {1, 1, 1, 1}, "dilation|4|2"}, {"padding", 1, {-1}, "padding|-1"},
        {"padding", 2, {1, -7}, "padding|axis 1|-7"}, {"padding", 3, {1, 1, 1}, "padding|3|2"}, {"padding", 5, {1, 1, 1, 1, 1}, "padding|5|2"}, {"padding", 4, {1, 1, 1, INT64_C(1) << 40}, "padding|1099511627776"},
        {"groups", 1, {3}, "3 groups|4"}, {"groups", 1, {-2}, "-2 groups"}, {"groups", 1, {8}, "8 groups|4"}, {"groups", 1, {INT64_C(1) << 62}, "4611686018427387904 groups"}};
    static const struct { const char *name; int n; int64_t v[2]; const char *parts; } more[] = {
        {"output_padding", 1, {-1, 0}, "output_padding|-1"}, {"output_padding", 2, {0, 1}, "output_padding|axis 1|1"}, {"output_padding", 1, {INT64_C(1) << 40, 0}, "output_padding|1099511627776"}};
    nn_tensor *x = nn_zeros(c, NN_F32, NN_SHAPE(2, 4, 6, 5)), *w = nn_zeros(c, NN_F32, NN_SHAPE(4, 4, 3, 3));
    char       parts[160];
    for (size_t i = 0; i < sizeof list / sizeof *list; i++) {
        nn_shape        s = NN_SCALAR;
        nn_conv_options o;
        for (s.ndim = 0; s.ndim < list[i].n; s.ndim++) s.dim[s.ndim] = list[i].v[s.ndim];
        o = with(list[i].name, s);
        snprintf(parts, sizeof parts, "%s|%s", transposed ? "conv_transposed: " : "conv: ", list[i].parts);
        refused(c, list[i].name, transposed ? nn_conv_transposed(x, w, NULL, &o) : nn_conv(x, w, NULL, &o), parts);
    }
    for (size_t i = 0; transposed && i < sizeof more / sizeof *more; i++) {
        nn_shape        s = NN_SHAPE(more[i].v[0], more[i].v[1]);
        nn_conv_options o;
        s.ndim = more[i].n;
        o      = with("output_padding", s);
        snprintf(parts, sizeof parts, "conv_transposed: |%s", more[i].parts);
        refused(c, more[i].name, nn_conv_transposed(x, w, NULL, &o), parts);
    }
    for (int bad = 0; bad < 2; bad++) {
        nn_conv_options o = nn_conv_defaults();
        o.act = (nn_act)(bad ? 1000 : -1);
        refused(c, "act", transposed ? nn_conv_transposed(x, w, NULL, &o) : nn_conv(x, w, NULL, &o), bad ? "act|1000" : "act|-1");
    }
}
static void bad_operands(nn_ctx *c) {
    nn_tensor      *x = nn_zeros(c, NN_F32, NN_SHAPE(2, 4, 6, 5)), *w = nn_zeros(c, NN_F32, NN_SHAPE(8, 4, 3, 3)), *b = nn_zeros(c, NN_F32, NN_SHAPE(8));
    nn_conv_options o = nn_conv_defaults();
    nn_ctx         *other;
#define Z(...) nn_zeros(c, NN_F32, NN_SHAPE(__VA_ARGS__))
    refused(c, "a kernel that is wider", nn_conv(x, Z(8, 4, 7, 3), b, NULL), "conv: |7|6|axis 0|[2,4,6,5]");
    o.dilation = NN_SHAPE(1, 3);
    refused(c, "a dilated kernel that is wider", nn_conv(x, w, b, &o), "conv: |3|5|axis 1");
    refused(c, "channels", nn_conv(x, Z(8, 3, 3, 3), b, NULL), "conv: |[2,4,6,5]|[8,3,3,3]|4 and 3");
    refused(c, "channels, transposed", nn_conv_transposed(x, w, NULL, NULL), "conv_transposed: |[2,4,6,5]|[8,4,3,3]|4|8");
    o = nn_conv_defaults();
    o.groups = 2;
    refused(c, "channels of groups", nn_conv(x, w, b, &o), "conv: |2 and 4");
    refused(c, "output channels of groups", nn_conv(x, Z(7, 2, 3, 3), NULL, &o), "conv: 2 groups|7");
    refused(c, "x of two axes", nn_conv(Z(4, 5), Z(8, 4), NULL, NULL), "conv: |[4,5]|3 to 5");
    refused(c, "x of six axes", nn_conv(Z(1, 2, 3, 3, 3, 3), Z(2, 2, 1, 1, 1, 1), NULL, NULL), "conv: |[1,2,3,3,3,3]|3 to 5");
    refused(c, "x without axes", nn_conv(nn_zeros(c, NN_F32, NN_SCALAR), w, NULL, NULL), "conv: |3 to 5");
    refused(c, "x of two axes, transposed", nn_conv_transposed(Z(4, 5), Z(4, 5), NULL, NULL), "conv_transposed: |[4,5]|3 to 5");
    refused(c, "a weight of three axes", nn_conv(x, Z(8, 4, 3), b, NULL), "conv: |[8,4,3]|4");
    refused(c, "a weight of five axes", nn_conv(x, Z(8, 4, 3, 3, 3), b, NULL), "conv: |[8,4,3,3,3]|4");
    refused(c, "a weight of two axes, transposed", nn_conv_transposed(x, Z(4, 8), b, NULL), "conv_transposed: |[4,8]|4");
    refused(c, "a kernel of 0", nn_conv(x, Z(8, 4, 3, 0), b, NULL), "conv: |kernel|axis 1|0");
    refused(c, "a bias that is short", nn_conv(x, w, Z(7), NULL), "conv: |[7]|8");
    refused(c, "a bias of two axes", nn_conv(x, w, Z(8, 1), NULL), "conv: |[8,1]|8");
    refused(c, "a bias that is short, transposed", nn_conv_transposed(Z(2, 8, 6, 5), w, Z(3), NULL), "conv_transposed: |3|4");
    refused(c, "a bias of one, transposed", nn_conv_transposed(Z(2, 8, 6, 5), w, Z(1), NULL), "conv_transposed: |1|4");
    refused(c, "dtypes", nn_conv(x, nn_cast(w, NN_F64), b, NULL), "conv: |f32 and f64");
    refused(c, "dtypes of the bias", nn_conv(x, w, nn_cast(b, NN_F64), NULL), "conv: |f32 and f64");
    refused(c, "dtypes, transposed", nn_conv_transposed(Z(2, 8, 6, 5), nn_cast(w, NN_BF16), NULL, NULL), "conv_transposed: |f32 and bf16");
    refused(c, "dtypes of the bias, transposed", nn_conv_transposed(Z(2, 8, 6, 5), w, nn_zeros(c, NN_F64, NN_SHAPE(4)), NULL), "conv_transposed: |f32|f64");
    refused(c, "integers", nn_conv(nn_cast(x, NN_I32), nn_cast(w, NN_I32), NULL, NULL), "conv: |i32");
    expect(nn_conv(NULL, w, b, NULL) == NULL && nn_conv_transposed(NULL, w, b, NULL) == NULL && !nn_error(c), "no x", "a result, or an error of another context");
    refused(c, "no weight", nn_conv(x, NULL, b, NULL), "conv: |weight");
    refused(c, "no weight, transposed", nn_conv_transposed(x, NULL, b, NULL), "conv_transposed: |weight");
    o = nn_conv_defaults();
    o.padding = NN_SHAPE(9);
    refused(c, "all cropped, transposed", nn_conv_transposed(x, Z(4, 2, 3, 3), NULL, &o), "conv_transposed: |-10|axis 0");
    other = nn_begin(NULL);
    refused(c, "a weight of another context", nn_conv(x, nn_zeros(other, NN_F32, NN_SHAPE(8, 4, 3, 3)), b, NULL), "context");
    nn_end(other);
#undef Z
    nn_reset(c);
}
static void *capped(void *user, size_t size) { return user || size > (size_t)1 << 30 ? NULL : malloc(size); }
static void  uncap(void *user, void *p, size_t size) {
    (void)user, (void)size;
    free(p);
}
static void huge_sizes(void) { /* no result, or one that is right; no overflow on the way */
    nn_config       config = nn_config_defaults();
    nn_conv_options o = nn_conv_defaults();
    const int64_t   big = INT64_C(1) << 40, most_int = INT32_MAX;
    nn_tensor      *x, *one, *y;
    nn_ctx         *s, *c;
    config.quiet = 1, config.alloc = capped, config.release = uncap;
    c   = nn_begin(&config);
    x   = nn_expand(nn_zeros(c, NN_F32, NN_SHAPE(1, 1, 1)), NN_SHAPE(1, 1, big));
    one = nn_ones(c, NN_F32, NN_SHAPE(1, 1, 1));
    refused(c, "2^40 elements", nn_conv(x, one, NULL, NULL), "out of memory");
    refused(c, "2^40 elements, transposed", nn_conv_transposed(x, one, NULL, NULL), "out of memory");
    for (int way = 0; way < 2; way++) { /* memory may be too small for the second */
        int64_t far = way ? most_int : 1 << 20;
        o.padding = o.stride = o.dilation = NN_SHAPE(far);
        y = nn_conv(one, nn_ones(c, NN_F32, NN_SHAPE(1, 1, 3)), NULL, &o); /* at -far, 0, far */
        expect(y ? nn_numel(y) == 1 && nn_item(y) == 1 : way, "large options", "not the one product");
        if (way) nn_error_clear(c);
        y = nn_conv(one, one, NULL, &o);
        expect(y ? nn_numel(y) == 3 && nn_get(y, NN_SHAPE(0, 0, 1)) == 1 && nn_get(y, NN_SHAPE(0, 0, 0)) == 0 : way, "large options", "not 0 1 0");
        if (way) nn_error_clear(c);
        no_error(c, "large options", "");
    }
    o.padding = NN_SHAPE(most_int);
    config.shape_only = 1;
    s = nn_begin(&config);
    o.dilation = o.stride = NN_SHAPE(1);
    for (int way = 0; way < 2; way++) {
        int64_t large = way ? INT64_MAX / 16 : big;
        y = nn_conv(nn_zeros(s, NN_F32, NN_SHAPE(1, 1, large)), nn_zeros(s, NN_F32, NN_SHAPE(1, 1, 3)), NULL, &o);
        expect(nn_error(s) || nn_dim(y, 2) == large + 2 * most_int - 2, "shapes only", "another size");
        nn_error_clear(s);
        o.stride = NN_SHAPE(most_int), o.padding = NN_SHAPE(0);
        y = nn_conv_transposed(nn_zeros(s, NN_F32, NN_SHAPE(1, 1, large)), nn_zeros(s, NN_F32, NN_SHAPE(1, 1, 3)), NULL, &o);
        expect(y == NULL && nn_error(s) != NN_OK, "shapes only", "a transposed convolution of 2^71 elements");
        nn_error_clear(s);
        o.same = 1;
        y = nn_conv_transposed(nn_zeros(s, NN_F32, NN_SHAPE(1, 1, large)), nn_zeros(s, NN_F32, NN_SHAPE(1, 1, 3)), NULL, &o);
        expect(y == NULL && nn_error(s) != NN_OK, "shapes only", "a transposed convolution of 2^71 elements, same");
        nn_error_clear(s);
        y = nn_conv(nn_zeros(s, NN_F32, NN_SHAPE(1, 1, large)), nn_zeros(s, NN_F32, NN_SHAPE(1, 1, 3)), NULL, &o);
        expect(nn_error(s) || nn_dim(y, 2) == (large + most_int - 1) / most_int, "shapes only", "another size, same");
        nn_error_clear(s);
        o.same = 0, o.stride = NN_SHAPE(1), o.padding = NN_SHAPE(most_int);
    }
    /* outputs of 2^62 elements and more */
    o.padding = NN_SHAPE(most_int);
    y = nn_conv(nn_zeros(s, NN_F32, NN_SHAPE(1, 1, 1, 1)), nn_zeros(s, NN_F32, NN_SHAPE(1, 1, 1, 1)), NULL, &o);
    refused(s, "2^64 elements", y, "does not fit");
    y = nn_conv(nn_zeros(s, NN_F32, NN_SHAPE(1, 1, 1, 1, 1)), nn_zeros(s, NN_F32, NN_SHAPE(1, 1, 1, 1, 1)), NULL, &o);
    refused(s, "2^96 elements", y, "does not fit");
    y = nn_conv(nn_zeros(s, NN_F32, NN_SHAPE(big, 1, 1)), nn_zeros(s, NN_F32, NN_SHAPE(big, 1, 1)), NULL, NULL);
    refused(s, "2^80 elements", y, "does not fit");
    nn_end(s);
    nn_end(c);
}

/* Layers name themselves and the op. */
static int bad_layer;
static nn_tensor *bad_net(nn_scope s, nn_tensor *x) {
    nn_conv_options o = nn_conv_defaults();
    nn_scope        block = nn_in(s, "block");
    o.groups = 3;
    switch (bad_layer) {
    case 0: return nn_layer_conv(s, "conv1", x, 6, 9, 1, 0);
    case 1: return nn_layer_conv_with(s, "conv1", x, 6, NN_SHAPE(3), &o);
    case 2: return nn_layer_conv_with(block, "conv2", x, 6, NN_SHAPE(3, 3, 3), NULL);
    case 3: return nn_layer_conv(s, "conv1", x, 6, 3, 0, 0);
    case 4: return nn_layer_conv(s, "conv1", x, 6, 3, 1, -1);
    case 5: return nn_layer_conv_transposed(s, "up", x, 6, NN_SHAPE(3), &o);
    case 6: return nn_layer_conv_separable(s, "separable", x, 6, NN_SHAPE(9), NULL);
    case 7: return nn_layer_conv(s, "conv1", nn_reshape(x, NN_SHAPE(8, -1)), 6, 3, 1, 1);
    case 8: return nn_layer_conv(s, "conv1", x, 0, 3, 1, 1);
    case 9: return nn_layer_conv(s, "conv1", x, -4, 3, 1, 1);
    case 10: return nn_layer_conv(s, "conv1", x, 6, -3, 1, 1);
    case 11: return nn_layer_conv(s, "conv1", x, 6, 0, 1, 1);
    case 12: return nn_layer_conv(s, "conv1", NULL, 6, 3, 1, 1);
    case 13: return nn_layer_conv_transposed(s, "up", NULL, 6, NN_SHAPE(3), NULL);
    case 14: return nn_layer_conv_separable(s, "separable", NULL, 6, NN_SHAPE(3), NULL);
    case 15: return nn_layer_conv_with(s, "conv1", x, 6, NN_SCALAR, NULL);
    case 16: return nn_layer_conv(s, "conv1", x, 6, INT64_C(1) << 40, 1, 1);
    case 17: return nn_layer_conv(s, "conv1", x, INT64_C(1) << 62, 3, 1, 1);
    case 18: o.groups = -1; return nn_layer_conv_with(s, "conv1", x, 6, NN_SHAPE(3), &o);
    case 19: o.groups = 2; return nn_layer_conv_with(s, "conv1", x, 5, NN_SHAPE(3), &o);
    case 20: o.groups = 4; return nn_layer_conv_transposed(s, "up", x, 6, NN_SHAPE(3), &o);
    default: return nn_layer_conv(s, NULL, x, 6, 3, 1, 1);
    }
}
static void bad_layers(nn_ctx *c) {
    static const char *const parts[] = {"conv1: conv: |9|6|axis 0", "conv1: conv: |3 groups|4", "block.conv2: conv: |3|2", "conv1: conv: |stride|0", "conv1: conv: |padding|-1", "up: conv_transposed: |3 groups|4",
                                        "separable.depthwise: conv: |9|6", "conv1: conv: |[8,30]|3 to 5", NULL, "conv1: |-4", "conv1: |-3", "conv1: conv: |kernel|0", "conv1: conv: |NULL", "up: conv_transposed: |NULL",
                                        "separable|NULL", "conv1: conv: |kernel", "conv1: |1099511627776", "conv1: |4611686018427387904", "conv1: conv: |-1 groups", "conv1: conv: |2 groups|5",
                                        "up: conv_transposed: |4 groups|6", "name"};
    for (bad_layer = 0; bad_layer < (int)(sizeof parts / sizeof *parts); bad_layer++) {
        nn_model  *m = nn_model_new(c, bad_net, NULL);
        nn_tensor *y = nn_forward(m, nn_zeros(c, NN_F32, NN_SHAPE(2, 4, 6, 5)));
        char       what[40];
        snprintf(what, sizeof what, "bad layer %d", bad_layer);
        if (parts[bad_layer]) refused(c, what, y, parts[bad_layer]);
        nn_error_clear(c);
        nn_model_free(m);
        nn_reset(c);
    }
}

int main(int argc, char **argv) {
    int        n;
    conv_case *list = read_cases(argc > 1 ? argv[1] : "tests/golden_conv.txt", &n);
    nn_config  config = nn_config_defaults();
    const char *isa;
    config.quiet = 1; /* failures are printed here */
    for (int i = 0; i < 3; i++) {
        config.threads  = i == 0 ? 1 : i == 1 ? 2 : 5;
        with_threads[i] = nn_begin(&config);
    }
    context = with_threads[1];
    isa     = nn_isa(context); /* its text outlives the context */
    for (int i = 0; i < n; i++)
        if (argc < 3 || strstr(list[i].text, argv[2])) all_ways(&list[i]);
    if (argc < 3) {
        large();
        pools();
        empty(context);
        special(context);
        layouts(context);
        layers(context);
        bad_options(context, 0);
        bad_options(context, 1);
        bad_operands(context);
        huge_sizes();
        bad_layers(context);
    }
    for (int i = 0; i < 3; i++) {
        no_error(with_threads[i], "at the end", "");
        nn_end(with_threads[i]);
    }
    free(list);
    for (int i = 0; i < 2; i++)
        printf("f32%s on %s, largest error in units of 1.2e-7 (length + 16): y %.2g, dx %.2g, dw %.2g, db %.2g\n", i ? ", exact" : "", isa, worst[i][Y], worst[i][DX], worst[i][DW], worst[i][DB]);
    printf("conv: %d passed, %d failed\n", passed, failed);
    return failed != 0;
}
