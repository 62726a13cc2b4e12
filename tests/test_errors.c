// What goes wrong: every message of nn.h, that the first error stays and stops the rest, NULL everywhere, hostile files.
#define NN_IMPLEMENTATION
#include "nn.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int passed, failed, skipped;
static void check(int ok, const char *what, int line) {
    if (ok) passed++;
    else { failed++; printf("test_errors.c:%d: %s\n", line, what); }
}
#define CHECK(x) check((x) != 0, #x, __LINE__)

// ---- contexts that say nothing, that refuse more than 64 MB at once, and whose memory is counted
/* With the address sanitizer every step tensor is a block of its own, freed at once: only NN_DEBUG still knows it then. */
#if defined(NN_DEBUG)
#  define DROPPED_IS_SEEN 1
#else
#  define DROPPED_IS_SEEN (!NN__SEPARATE_BLOCKS)
#endif

typedef struct counted { int64_t blocks, left; size_t most; } counted; /* left < 0: no end */
static counted heap = {0, -1, (size_t)64 << 20};
static void *counted_alloc(void *user, size_t size) {
    counted *h = (counted *)user;
    void    *p;
    if (size > h->most || h->left == 0) return NULL;
    p = malloc(size ? size : 1);
    if (p) { h->blocks++; if (h->left > 0) h->left--; }
    return p;
}
static void counted_free(void *user, void *p, size_t size) {
    (void)size;
    if (p) ((counted *)user)->blocks--;
    free(p);
}
static nn_config quiet_config(void) {
    nn_config g  = nn_config_defaults();
    g.quiet      = 1;
    g.threads    = 1;
    g.seed       = 7;
    g.alloc      = counted_alloc;
    g.release    = counted_free;
    g.alloc_user = &heap;
    return g;
}
static nn_ctx *quiet_ctx(void) {
    nn_config g = quiet_config();
    return nn_begin(&g);
}

/* This code, this part in the text; then the context goes on. */
static void expect(nn_ctx *c, nn_status code, const char *part, const char *what, int line) {
    int ok = nn_error(c) == code && strstr(nn_error_text(c), part) != NULL;
    check(ok, what, line);
    if (!ok) printf("   wanted %d and '%s', got %d: %s\n", (int)code, part, (int)nn_error(c), nn_error_text(c));
    nn_error_clear(c);
}
#define FAILS(c, call, code, part) do { check(!(call), #call " did not fail", __LINE__); expect(c, code, part, #call, __LINE__); } while (0)
#define FAILS_NAN(c, call, code, part) do { double v_ = (call); check(v_ != v_, #call " is not NaN", __LINE__); expect(c, code, part, #call, __LINE__); } while (0)

// ---- files for the tests: in build/, or here where there is no such folder
static char file_name[4][64];
static void name_files(void) {
#if !defined(NN_NO_STDIO)
    FILE       *f = fopen("build/errors_0.tmp", "wb");
    const char *folder = f ? "build/" : "";
    if (f) fclose(f);
    for (int i = 0; i < 4; i++) snprintf(file_name[i], sizeof file_name[i], "%serrors_%d.tmp", folder, i);
#endif
}
#if !defined(NN_NO_STDIO)
static int put_file(const char *path, const void *bytes, size_t size) {
    FILE *f = fopen(path, "wb");
    int   ok = f && fwrite(bytes, 1, size, f) == size;
    if (f) ok = fclose(f) == 0 && ok;
    return ok;
}
static unsigned char *get_file(const char *path, size_t *size) {
    FILE          *f = fopen(path, "rb");
    unsigned char *p;
    *size = 0;
    if (!f) return NULL;
    p     = (unsigned char *)malloc(1 << 20);
    *size = p ? fread(p, 1, 1 << 20, f) : 0;
    fclose(f);
    return p;
}
#endif

// ---- small networks
static nn_tensor *net_two(nn_scope s, nn_tensor *x) { return nn_layer_linear(s, "out", nn_relu(nn_layer_linear(s, "in", x, 4)), 2); }
static nn_tensor *net_noisy(nn_scope s, nn_tensor *x) { (void)s; return nn_dropout(x, 0.5, 1); }
static nn_tensor *net_null(nn_scope s, nn_tensor *x) { (void)s; (void)x; return NULL; }
static nn_tensor *of3(nn_ctx *c) { return nn_ones(c, NN_F32, NN_SHAPE(2, 3)); }

// =====================================================================================================
// a. every message of the list, from a public call
// =====================================================================================================
#define P(name) static nn_ctx *p_##name(nn_ctx *c) /* returns the context that has the error */

P(MEMORY) {
    (void)nn_zeros(c, NN_F32, NN_SHAPE(1 << 20, 1 << 10));
    return c;
}
P(OPERAND_NULL) { (void)nn_add(of3(c), NULL); return c; }
P(ARG_NULL) { (void)nn_from(c, NULL, NN_F32, NN_SHAPE(2)); return c; }
P(OTHER_CONTEXT) { (void)nn_add(of3(c), of3(nn_fork(c))); return c; }
P(DROPPED) {
    nn_tensor *x = of3(c);
    nn_reset(c);
    (void)nn_relu(x);
    return c;
}
P(FOREIGN_COPY) { /* as if another copy of nn.h had made it */
    const void *mine = c->copy;
    c->copy = "another";
    (void)of3(c);
    c->copy = (const char *)mine;
    return c;
}
P(OBJECT_CONTEXT) {
    nn_ctx  *f = nn_fork(c);
    nn_data *d = nn_data_new(of3(f), nn_zeros(f, NN_I32, NN_SHAPE(2)));
    (void)nn_fit(nn_model_new(c, net_two, NULL), d, NULL);
    return c;
}
P(RANK_LIMIT) { (void)nn_ones(c, NN_F32, NN_SHAPE(1, 1, 1, 1, 1, 1, 1)); return c; }
P(NEGATIVE_SIZE) { (void)nn_ones(c, NN_F32, NN_SHAPE(2, -3)); return c; }
P(TOO_LARGE) { (void)nn_ones(c, NN_F32, NN_SHAPE(INT64_MAX, 2)); return c; }
P(BROADCAST) { (void)nn_add(of3(c), nn_ones(c, NN_F32, NN_SHAPE(2, 4))); return c; }
P(SHAPES_DIFFER) { (void)nn_mse(of3(c), nn_ones(c, NN_F32, NN_SHAPE(3, 2))); return c; }
P(SIZES_DIFFER) { (void)nn_matmul(of3(c), nn_ones(c, NN_F32, NN_SHAPE(4, 5))); return c; }
P(RANK) { (void)nn_matmul(of3(c), nn_ones(c, NN_F32, NN_SHAPE(3))); return c; }
P(AXIS) { (void)nn_sum(of3(c), NN_AXES(2), 0); return c; }
P(AXIS_TWICE) { (void)nn_sum(of3(c), NN_AXES(1, -1), 0); return c; }
P(AXES_COUNT) { (void)nn_permute(of3(c), NN_AXES(0)); return c; }
P(RESHAPE) { (void)nn_reshape(of3(c), NN_SHAPE(4)); return c; }
P(RESHAPE_GUESS) { (void)nn_reshape(of3(c), NN_SHAPE(4, -1)); return c; }
P(EXPAND) { (void)nn_expand(of3(c), NN_SHAPE(2, 4)); return c; }
P(SQUEEZE) { (void)nn_squeeze(of3(c), 0); return c; }
P(SLICE_STEP) { (void)nn_slice(of3(c), 0, 0, 1, 0); return c; }
P(INDEX) { (void)nn_select(of3(c), 0, 2); return c; }
P(INDEX_VALUE) { (void)nn_one_hot(nn_full(c, NN_I32, NN_SHAPE(2), 5), 5, NN_F32); return c; }
P(LABEL) { (void)nn_cross_entropy(of3(c), nn_full(c, NN_I32, NN_SHAPE(2), 3)); return c; }
P(EMPTY) { (void)nn_mean(nn_ones(c, NN_F32, NN_SHAPE(0)), NN_ALL, 0); return c; }
P(NOT_ONE) { (void)nn_item(of3(c)); return c; }
P(BYTES) {
    float a[6];
    (void)nn_read(of3(c), a, sizeof a - 1);
    return c;
}
P(NOT_REAL) { (void)nn_exp(nn_ones(c, NN_I32, NN_SHAPE(2))); return c; }
P(NOT_INTEGER) { (void)nn_cross_entropy(of3(c), nn_ones(c, NN_F32, NN_SHAPE(2))); return c; }
P(DTYPES_DIFFER) { (void)nn_add(of3(c), nn_ones(c, NN_F16, NN_SHAPE(2, 3))); return c; }
P(DTYPE_IS) { (void)nn_i32(of3(c)); return c; }
P(DTYPE_BAD) { (void)nn_ones(c, NN_DTYPES, NN_SHAPE(2)); return c; }
P(NO_F64) { (void)nn_exp(nn_ones(c, NN_F64, NN_SHAPE(2))); return c; }
P(NOT_CONTIGUOUS) { (void)nn_ptr(nn_transpose(of3(c), 0, 1)); return c; }
P(NO_DATA) { nn_ctx *f = nn_fork_shapes(c); (void)nn_get(of3(f), NN_SHAPE(0, 0)); return f; }
P(PROBABILITY) { (void)nn_dropout(of3(c), 1.5, 1); return c; }
P(ARANGE) { (void)nn_arange(c, NN_F32, 0, 1, 0); return c; }
P(OPTION) { (void)nn_sgd(nn_model_new(c, net_two, NULL), -1, 0); return c; }
P(ISA) {
    nn_config g = quiet_config();
    (void)c;
    g.isa = "abacus";
    return nn_begin(&g);
}
static int  shape_same(nn_node *n, nn_spec *out) { nn_spec_like(out, n->in[0]); return 1; }
static int  shape_silent(nn_node *n, nn_spec *out) { (void)n; (void)out; return 0; }
static void run_copy(nn_node *n) { memcpy(nn_ptr(n->out[0]), nn_ptr(n->in[0]), (size_t)nn_numel(n->in[0]) * nn_dtype_size(n->in[0]->dtype)); }
static nn_op own_op(int (*shape)(nn_node *, nn_spec *), void (*run)(nn_node *)) {
    nn_op op;
    memset(&op, 0, sizeof op);
    op.name  = "own";
    op.n_in  = 1;
    op.n_out = 1;
    op.shape = shape;
    op.run   = run;
    return op;
}
P(OP_OUTPUT) {
    nn_op      op = own_op(shape_silent, run_copy);
    nn_tensor *x = of3(c), *y;
    (void)nn_apply(&op, &x, 1, NULL, &y);
    return c;
}
P(IN_PLACE) { (void)nn_fill(nn_requires_grad(of3(c)), 0); return c; }
P(OVERWRITTEN) {
    nn_tensor *w = nn_requires_grad(of3(c)), *y = nn_exp(w), *s = nn_sum(y, NN_ALL, 0);
    int        was = nn_no_grad(c, 1);
    (void)nn_fill(y, 0);
    (void)nn_no_grad(c, was);
    (void)nn_backward(s);
    return c;
}
P(NO_HISTORY) { (void)nn_backward(nn_sum(of3(c), NN_ALL, 0)); return c; }
P(NOT_LEAF) {
    nn_tensor *w = nn_requires_grad(of3(c)), *y = nn_exp(w);
    (void)nn_backward(nn_sum(y, NN_ALL, 0));
    (void)nn_grad(y);
    return c;
}
static const nn_op *kept_op(void) { /* the tape points to it */
    static nn_op op;
    op = own_op(shape_same, run_copy);
    return &op;
}
P(NO_GRAD_RULE) {
    nn_tensor *x = nn_requires_grad(of3(c)), *y;
    (void)nn_apply(kept_op(), &x, 1, NULL, &y);
    (void)nn_backward(nn_sum(y, NN_ALL, 0));
    return c;
}
P(NO_GRADIENTS) {
    nn_model *m = nn_model_new(c, net_two, NULL);
    (void)nn_model_build(m, NN_F32, NN_SHAPE(1, 3));
    (void)nn_step(nn_adam(m, 0.1f));
    return c;
}
static nn_tensor *f_square(nn_ctx *c, nn_tensor **x, void *user) { (void)c; (void)user; return nn_square(x[0]); }
P(GRADCHECK_F64) {
    nn_tensor *x = of3(c);
    (void)nn_gradcheck(f_square, &x, 1, 1, NULL);
    return c;
}
P(SCOPE) {
    nn_scope s = nn_in(nn_enter(nn_model_new(c, NULL, NULL), c, NN_TRAIN), "no name");
    nn_error_clear(c);
    (void)nn_param(s, "w", NN_SHAPE(2), nn_init_zeros());
    return c;
}
P(NAME_BAD) { (void)nn_param(nn_enter(nn_model_new(c, NULL, NULL), c, NN_TRAIN), "a.b", NN_SHAPE(2), nn_init_zeros()); return c; }
P(NAME_UNKNOWN) {
    nn_model *m = nn_model_new(c, net_two, NULL);
    (void)nn_model_build(m, NN_F32, NN_SHAPE(1, 3));
    (void)nn_model_tensor(m, c, "middle.weight");
    return c;
}
P(NAME_SHAPE) {
    nn_scope s = nn_enter(nn_model_new(c, NULL, NULL), c, NN_TRAIN);
    (void)nn_param(s, "w", NN_SHAPE(2), nn_init_zeros());
    (void)nn_param(s, "w", NN_SHAPE(3), nn_init_zeros());
    return c;
}
/* a safetensors file in memory, from the text of its header and n bytes of data */
static size_t make_file(unsigned char *to, const char *header, size_t n) {
    size_t length = strlen(header);
    for (int i = 0; i < 8; i++) to[i] = (unsigned char)((uint64_t)length >> (8 * i));
    memcpy(to + 8, header, length);
    for (size_t i = 0; i < n; i++) to[8 + length + i] = (unsigned char)(i * 7 + 1);
    return 8 + length + n;
}
static int load_text(nn_model *m, const char *header, size_t n) {
    unsigned char bytes[4096];
    return nn_load_memory(m, bytes, make_file(bytes, header, n));
}
static nn_model *model_w(nn_ctx *c) { /* one parameter w [2] */
    nn_model *m = nn_model_new(c, NULL, NULL);
    (void)nn_param(nn_enter(m, c, NN_TRAIN), "w", NN_SHAPE(2), nn_init_const(3));
    (void)nn_model_freeze(m);
    return m;
}
P(NAME_MISSING) { (void)load_text(model_w(c), "{}", 0); return c; }
P(NAME_LEFT) {
    (void)load_text(model_w(c), "{\"w\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},\"v\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[8,12]}}", 12);
    return c;
}
P(NAME_FITS_NOT) { (void)load_text(model_w(c), "{\"w\":{\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[0,12]}}", 12); return c; }
P(MODEL_MADE) { (void)nn_model_dtype(model_w(c), NN_F64); return c; }
P(MODEL_NOT_MADE) { (void)nn_model_tensor(nn_model_new(c, net_two, NULL), c, "in.weight"); return c; }
P(MODEL_THREADS) {
    nn_ctx *f = nn_fork(c);
    (void)nn_forward(nn_model_new(c, net_two, NULL), of3(f));
    return f;
}
P(MODEL_NO_NET) { (void)nn_forward(nn_model_new(c, NULL, NULL), of3(c)); return c; }
P(NET_NULL) { (void)nn_forward(nn_model_new(c, net_null, NULL), of3(c)); return c; }
P(STATE_SHAPE) {
    nn_scope s = nn_enter(nn_model_new(c, NULL, NULL), c, NN_TRAIN);
    (void)nn_state(s, "h", NN_F32, NN_SHAPE(2));
    (void)nn_state(s, "h", NN_F32, NN_SHAPE(3));
    return c;
}
P(SPLIT) {
    nn_data *a, *b;
    (void)nn_data_split(nn_data_new(of3(c), nn_zeros(c, NN_I32, NN_SHAPE(2))), 0, &a, &b);
    return c;
}
P(SAMPLES) { (void)nn_data_new(of3(c), nn_zeros(c, NN_I32, NN_SHAPE(3))); return c; }
P(FILE_OPEN) { (void)nn_file_open(c, "no such folder/no such file"); return c; }
P(FILE_READ) { (void)nn_file_open(c, "."); return c; } /* a folder: it opens, and has no bytes */
P(FILE_WRITE) { (void)nn_save(model_w(c), "no such folder/file"); return c; }
P(FILE_NONE) { (void)nn_file_open(c, "file"); return c; }
P(FORMAT) { (void)nn_file_memory(c, "PK", 2); return c; }
P(CSV) { (void)nn_data_csv_text(c, "1,2\n3,x\n", 8, NULL); return c; }
P(PROFILE_NONE) { (void)nn_profile_text(c, NULL, 0); return c; }
static nn_plan *p_plan(nn_ctx *c, nn_tensor *x) { /* y = e^x of an input named x */
    nn_plan   *p = nn_plan_begin(c, NULL);
    nn_tensor *y = nn_exp(nn_plan_input(p, "x", x));
    nn_plan_end(p, &y, 1);
    return p;
}
P(PLAN_HOST) { (void)nn_plan_begin(c, NULL); (void)nn_item(nn_full(c, NN_F32, NN_SCALAR, 1) ? nn_exp(nn_full(c, NN_F32, NN_SCALAR, 1)) : NULL); return c; }
P(PLAN_OUTSIDE) { nn_tensor *x = of3(c); (void)nn_plan_begin(c, NULL); (void)nn_exp(x); return c; }
P(PLAN_STATE) { (void)nn_plan_begin(c, NULL); (void)nn_plan_begin(c, NULL); return c; }
P(PLAN_NAME) { (void)nn_plan_bind(p_plan(c, of3(c)), "z", of3(c)); return c; }
P(PLAN_FITS_NOT) { (void)nn_plan_bind(p_plan(c, of3(c)), "x", nn_ones(c, NN_F32, NN_SHAPE(7))); return c; }
P(PLAN_DROPPED) { nn_plan *p = p_plan(c, of3(c)); nn_reset(c); (void)nn_plan_run(p); return c; }
P(PLAN_GONE) {
    nn_tensor *k = nn_keep(of3(c)), *y;
    nn_plan   *p = nn_plan_begin(c, NULL);
    y = nn_exp(k);
    nn_plan_end(p, &y, 1);
    nn_drop(k);
    (void)nn_plan_run(p);
    return c;
}
P(PLAN_CHANGED) { /* the last batch of a data set is a short one in the same tensor */
    nn_data *d = nn_data_new(nn_ones(c, NN_F32, NN_SHAPE(3, 2)), nn_ones(c, NN_F32, NN_SHAPE(3, 1)));
    nn_batch b;
    nn_plan *p;
    nn_data_batch(d, 2, 0);
    nn_data_next(d, &b);
    p = p_plan(c, b.x);
    nn_data_next(d, &b);
    (void)nn_plan_run(p);
    return c;
}
P(PLAN_BUDGET) {
    nn_plan_options o = nn_plan_defaults();
    nn_tensor      *x = nn_requires_grad(nn_keep(nn_ones(c, NN_F32, NN_SHAPE(64)))), *y;
    nn_plan        *p;
    o.budget = 100;
    p = nn_plan_begin(c, &o);
    y = nn_sum(nn_sin(nn_exp(x)), NN_ALL, 0);
    nn_backward(y);
    nn_plan_end(p, &y, 1);
    return c;
}
P(PLAN_BLOCKS) {
    nn_plan_options o = nn_plan_defaults();
    nn_tensor      *y;
    nn_plan        *p;
    o.checkpoint = 2;
    p = nn_plan_begin(c, &o);
    y = nn_exp(nn_full(c, NN_F32, NN_SHAPE(3), 1));
    nn_plan_end(p, &y, 1);
    return c;
}
P(EXPORT_OP) { (void)nn_export_c(nn_model_new(c, net_noisy, NULL), of3(c), "no such folder/net.c"); return c; }
P(EXPORT_DTYPE) { (void)nn_export_c(nn_model_new(c, net_two, NULL), nn_zeros(c, NN_I32, NN_SHAPE(2, 3)), "no such folder/net.c"); return c; }
P(RULE) { (void)nn_einsum("ij->", of3(c), of3(c)); return c; }
P(SQUARE) { (void)nn_det(of3(c)); return c; }
P(SINGULAR) { (void)nn_inverse(nn_ones(c, NN_F32, NN_SHAPE(2, 2))); return c; }
P(NOT_POSITIVE) { (void)nn_cholesky(nn_neg(nn_eye(c, NN_F32, 2))); return c; }
P(ORDER) { (void)nn_clamp(of3(c), 2, 1); return c; }
P(DEVICE_NONE) { (void)nn_to_device(of3(c), 1); return c; }
static int copy_fails(void *self, void *to, const void *from, size_t bytes, int way) { (void)self; (void)to; (void)from; (void)bytes; (void)way; return 0; }
static nn_ctx *device_ctx(int fails) { /* at most one at a time */
    static nn_null_counts counts;
    static nn_backend     backend;
    nn_config             g = quiet_config();
    memset(&counts, 0, sizeof counts);
    backend = nn_backend_null(&counts);
    if (fails) backend.copy = copy_fails;
    g.backend = &backend;
    return nn_begin(&g);
}
P(DEVICE_FAILED) { (void)c; c = device_ctx(1); (void)nn_to_device(of3(c), 1); return c; }
P(DEVICE_HOST) { (void)c; c = device_ctx(0); (void)nn_ptr(nn_to_device(of3(c), 1)); return c; }
P(DEVICES_DIFFER) { (void)c; c = device_ctx(0); (void)nn_add(nn_to_device(of3(c), 1), of3(c)); return c; }
static nn_tensor *of_grid(nn_ctx *c) { return nn_ones(c, NN_F32, NN_SHAPE(1, 2, 4, 5)); }
P(GRID) { (void)nn_resize(of_grid(c), NN_SHAPE(1, 2, 3), NN_LINEAR, 0); return c; }
P(GRID_SIZE) { (void)nn_max_pool(of_grid(c), 2, 0, 0); return c; }
P(WINDOW) { (void)nn_max_pool(of_grid(c), 5, 1, 0); return c; }
P(WINDOW_EMPTY) { (void)nn_max_pool(of_grid(c), 2, 1, 2); return c; }
P(GROUPS) { nn_conv_options o = nn_conv_defaults(); o.groups = 3; (void)nn_conv(of_grid(c), nn_ones(c, NN_F32, NN_SHAPE(6, 1, 2, 2)), NULL, &o); return c; }
P(PIXELS) { (void)nn_pixel_shuffle(of_grid(c), 2); return c; }
P(CROP) { (void)nn_pad_sides(of_grid(c), NN_SHAPE(-3), 0); return c; }
#undef P

static const struct provoker { int id; nn_ctx *(*f)(nn_ctx *); } provokers[] = {
#define P(name) {NN__M_##name, p_##name}
    P(MEMORY), P(OPERAND_NULL), P(ARG_NULL), P(OTHER_CONTEXT), P(DROPPED), P(FOREIGN_COPY), P(OBJECT_CONTEXT), P(RANK_LIMIT), P(NEGATIVE_SIZE), P(TOO_LARGE),
    P(BROADCAST), P(SHAPES_DIFFER), P(SIZES_DIFFER), P(RANK), P(AXIS), P(AXIS_TWICE), P(AXES_COUNT), P(RESHAPE), P(RESHAPE_GUESS), P(EXPAND), P(SQUEEZE),
    P(SLICE_STEP), P(INDEX), P(INDEX_VALUE), P(LABEL), P(EMPTY), P(NOT_ONE), P(BYTES), P(NOT_REAL), P(NOT_INTEGER), P(DTYPES_DIFFER), P(DTYPE_IS), P(DTYPE_BAD),
    P(NO_F64), P(NOT_CONTIGUOUS), P(NO_DATA), P(PROBABILITY), P(ARANGE), P(OPTION), P(ISA), P(OP_OUTPUT), P(IN_PLACE), P(OVERWRITTEN), P(NO_HISTORY), P(NOT_LEAF),
    P(NO_GRAD_RULE), P(NO_GRADIENTS), P(GRADCHECK_F64), P(SCOPE), P(NAME_BAD), P(NAME_UNKNOWN), P(NAME_SHAPE), P(NAME_MISSING), P(NAME_LEFT), P(NAME_FITS_NOT),
    P(MODEL_MADE), P(MODEL_NOT_MADE), P(MODEL_THREADS), P(MODEL_NO_NET), P(NET_NULL), P(STATE_SHAPE), P(SPLIT), P(SAMPLES), P(FILE_OPEN), P(FILE_READ), P(FILE_WRITE),
    P(FILE_NONE), P(FORMAT), P(CSV), P(PROFILE_NONE), P(PLAN_HOST), P(PLAN_OUTSIDE), P(PLAN_STATE), P(PLAN_NAME), P(PLAN_FITS_NOT), P(PLAN_DROPPED), P(PLAN_GONE),
    P(PLAN_CHANGED), P(PLAN_BUDGET), P(PLAN_BLOCKS), P(EXPORT_OP), P(EXPORT_DTYPE), P(RULE), P(SQUARE), P(SINGULAR), P(NOT_POSITIVE), P(ORDER), P(DEVICE_NONE), P(DEVICE_FAILED), P(DEVICE_HOST), P(DEVICES_DIFFER),
    P(GRID), P(GRID_SIZE), P(WINDOW), P(WINDOW_EMPTY), P(GROUPS), P(PIXELS), P(CROP)
#undef P
};
enum { PROVOKERS = (int)(sizeof provokers / sizeof *provokers) };

/* Why this build cannot say it; NULL: it can. */
static const char *exception(int id) {
    if (id == NN__M_DROPPED && !DROPPED_IS_SEEN) return "with the address sanitizer only NN_DEBUG remembers dropped tensors";
#if !defined(NN_NO_F64)
    if (id == NN__M_NO_F64) return "only with NN_NO_F64";
#endif
#if !defined(NN_NO_STDIO)
    FILE *f;
    if (id == NN__M_FILE_NONE) return "only with NN_NO_STDIO";
    if (id == NN__M_FILE_READ) {
        f = fopen(".", "rb");
        if (!f) return "a folder cannot be opened on this system, and nothing else opens that cannot be read";
        fclose(f);
    }
#else
    if (id == NN__M_FILE_OPEN || id == NN__M_FILE_READ || id == NN__M_FILE_WRITE || id == NN__M_EXPORT_OP || id == NN__M_EXPORT_DTYPE) return "not with NN_NO_STDIO";
#endif
    return NULL;
}

/* The pieces of the format between its % directives occur in the text, in order. */
static int fits_format(const char *format, const char *text) {
    char piece[256];
    while (*format) {
        size_t n = 0;
        while (format[n] && format[n] != '%' && n < sizeof piece - 1) { piece[n] = format[n]; n++; }
        piece[n] = 0;
        text = strstr(text, piece);
        if (!text) return 0;
        text += n;
        format += n;
        if (*format == '%') format += 1 + strspn(format + 1, "0123456789.-+ #lzh"), format += *format != 0;
    }
    return 1;
}

static void test_messages(void) {
    static const char *const ids[] = {
#define NN__X(id, code, text) #id,
        NN__MESSAGES(NN__X)
#undef NN__X
    };
    for (int id = 0; id < NN__M_COUNT; id++) {
        const char *why = exception(id);
        char        what[1200];
        nn_ctx     *c, *e;
        int         at = 0, ok;
        while (at < PROVOKERS && provokers[at].id != id) at++;
        if (at == PROVOKERS) {
            snprintf(what, sizeof what, "message %s is provoked by no test", ids[id]);
            check(0, what, __LINE__);
            continue;
        }
        if (why) {
            printf("skipped: message %s (%s)\n", ids[id], why);
            skipped++;
            continue;
        }
        c  = quiet_ctx();
        e  = provokers[at].f(c);
        ok = nn_error(e) == nn__messages[id].code && fits_format(nn__messages[id].text, nn_error_text(e));
        snprintf(what, sizeof what, "message %s (code %d): got code %d, '%s'", ids[id], (int)nn__messages[id].code, (int)nn_error(e), nn_error_text(e));
        check(ok, what, __LINE__);
        if (e != c && e->root != c) nn_end(e);
        nn_end(c);
        check(heap.blocks == 0, "memory is left after nn_end", __LINE__);
    }
    check((int)PROVOKERS == (int)NN__M_COUNT, "one provoker for each message, and no more", __LINE__);
}

// =====================================================================================================
// b. the first error stays, and stops what follows; NULL flows through
// =====================================================================================================
typedef struct lines { int info, warn, error; char last[512]; } lines;
static void count_line(void *user, nn_log_level level, const char *line) {
    lines *l = (lines *)user;
    if (level == NN_LOG_ERROR) l->error++;
    else if (level == NN_LOG_WARN) l->warn++;
    else l->info++;
    snprintf(l->last, sizeof l->last, "%s", line);
}

static void test_log(void) {
    lines     l;
    nn_config g = quiet_config();
    nn_ctx   *c;
    g.log      = count_line;
    g.log_user = &l;
    for (int quiet = 0; quiet < 2; quiet++) {
        memset(&l, 0, sizeof l);
        g.quiet = quiet;
        c       = nn_begin(&g);
        c->config.quiet = quiet; /* whatever the environment says */
        (void)nn_matmul(of3(c), nn_ones(c, NN_F32, NN_SHAPE(4, 5)));
        (void)nn_exp(of3(c));
        (void)nn_ones(c, NN_F32, NN_SHAPE(-1));
        nn_fail(c, NN_ERR_ARG, "a second one");
        CHECK(l.error == (quiet ? 0 : 1) && l.warn == 0 && l.info == 0);
        CHECK(quiet || !strcmp(l.last, "matmul: x [2,3], y [4,5]: 3 and 4 differ"));
        CHECK(!strcmp(nn_error_text(c), "matmul: x [2,3], y [4,5]: 3 and 4 differ") && nn_error(c) == NN_ERR_SHAPE);
        nn_error_clear(c);
        CHECK(nn_error(c) == NN_OK && nn_error_text(c)[0] == 0);
        nn_fail(c, NN_ERR_NAME, "number %d", 2);
        CHECK(l.error == (quiet ? 0 : 2) && nn_error(c) == NN_ERR_NAME && !strcmp(nn_error_text(c), "number 2"));
        nn_note(c, NN_LOG_INFO, "to the %s", "log");
        CHECK(l.info == 1 && !strcmp(l.last, "to the log"));
        nn_error_clear(c);
        nn_fail(c, NN_OK, "a failure is never NN_OK");
        CHECK(nn_error(c) == NN_ERR_ARG);
        nn_error_clear(c);
        { /* long texts are cut, not spilled */
            char big[3000];
            memset(big, 'x', sizeof big - 1);
            big[sizeof big - 1] = 0;
            nn_fail(c, NN_ERR_ARG, "%s", big);
            CHECK(strlen(nn_error_text(c)) > 50 && strlen(nn_error_text(c)) < sizeof c->error_text);
            nn_error_clear(c);
            (void)nn_file_open(c, big);
            CHECK(nn_error(c) != NN_OK && strlen(nn_error_text(c)) < sizeof c->error_text);
            nn_error_clear(c);
            (void)nn_param(nn_enter(model_w(c), c, NN_TRAIN), big, NN_SHAPE(2), nn_init_zeros());
            CHECK(nn_error(c) == NN_ERR_NAME);
            nn_error_clear(c);
        }
        nn_end(c);
    }
    CHECK(nn_error(NULL) == NN_ERR_MEMORY && nn_error_text(NULL) != NULL && nn_error_text(NULL)[0]);
    g.release = NULL; /* both or none */
    CHECK(nn_begin(&g) == NULL);
    heap.left = 0;
    CHECK(quiet_ctx() == NULL);
    heap.left = -1;
    CHECK(heap.blocks == 0);
}

static void test_sticky(void) {
    nn_ctx    *c = quiet_ctx(), *f = nn_fork(c);
    nn_model  *m = nn_model_new(c, net_two, NULL), *unmade = nn_model_new(c, net_two, NULL), *hand = model_w(c);
    nn_optim  *o;
    nn_tensor *x, *w, *k, *g, *i, *leaf, *list[2], *out[2] = {NULL, NULL};
    nn_data   *d, *a = NULL, *b = NULL;
    nn_batch   batch;
    nn_scope   s;
    const char *image_paths[1] = {"build/nothing.bin"};
    nn_memory_report before, after;
    float      raw[6] = {1, 2, 3, 4, 5, 6}, copy[6], old[12], now[12];
    double     lr;
    unsigned char bytes[300];
    size_t     size = make_file(bytes, "{\"w\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", 8);
    nn_file   *file = nn_file_memory(c, bytes, size);
    x    = nn_from(c, raw, NN_F32, NN_SHAPE(2, 3));
    i    = nn_zeros(c, NN_I32, NN_SHAPE(2, 3));
    leaf = nn_requires_grad(nn_clone(x));
    CHECK(nn_backward(nn_mean(nn_square(nn_forward(m, x)), NN_ALL, 0)) && nn_backward(nn_sum(nn_square(leaf), NN_ALL, 0)));
    o  = nn_adam(m, 0.1f);
    w  = nn_model_tensor(m, c, "in.weight");
    k  = nn_keep(x);
    d  = nn_data_new(x, nn_zeros(c, NN_I32, NN_SHAPE(2)));
    s  = nn_enter(hand, c, NN_TRAIN);
    lr = nn_get_lr(o);
    g  = nn_grad(w);
    CHECK(nn_error(c) == NN_OK && g && o && d && file && nn_numel(w) == 12 && nn_read(w, old, sizeof old));
    list[0] = list[1] = x;

    (void)nn_ones(c, NN_F32, NN_SHAPE(-5));
    CHECK(nn_error(c) == NN_ERR_SHAPE && strstr(nn_error_text(c), "size -5 of axis 0 is negative"));
    before = nn_memory(c);
#define NOTHING(call) CHECK(!(call))
    NOTHING(nn_zeros(c, NN_F32, NN_SHAPE(2)));
    NOTHING(nn_ones(c, NN_F32, NN_SHAPE(2)));
    NOTHING(nn_full(c, NN_F32, NN_SHAPE(2), 1));
    NOTHING(nn_arange(c, NN_F32, 0, 4, 1));
    NOTHING(nn_uniform(c, NN_F32, NN_SHAPE(2), 0, 1));
    NOTHING(nn_normal(c, NN_F32, NN_SHAPE(2), 0, 1));
    NOTHING(nn_from(c, raw, NN_F32, NN_SHAPE(6)));
    NOTHING(nn_wrap(c, raw, NN_F32, NN_SHAPE(6)));
    NOTHING(nn_share(c, x));
    NOTHING(nn_keep(x));
    NOTHING(nn_to_device(x, 0));
    NOTHING(nn_ptr(x));
    NOTHING(nn_f32(x));
    NOTHING(nn_set(x, NN_SHAPE(0, 0), 9));
    NOTHING(nn_fill(x, 9));
    NOTHING(nn_assign(x, k));
    NOTHING(nn_write(x, old, sizeof raw));
    NOTHING(nn_read(x, copy, sizeof raw));
    NOTHING(nn_reshape(x, NN_SHAPE(6)));
    NOTHING(nn_permute(x, NN_AXES(1, 0)));
    NOTHING(nn_transpose(x, 0, 1));
    NOTHING(nn_slice(x, 0, 0, 1, 1));
    NOTHING(nn_select(x, 0, 0));
    NOTHING(nn_expand(x, NN_SHAPE(2, 2, 3)));
    NOTHING(nn_squeeze(x, 0));
    NOTHING(nn_unsqueeze(x, 0));
    NOTHING(nn_flatten(x, 0));
    NOTHING(nn_detach(x));
    NOTHING(nn_contiguous(x));
    NOTHING(nn_clone(x));
    NOTHING(nn_cast(x, NN_F16));
    NOTHING(nn_concat(list, 2, 0));
    NOTHING(nn_gather(x, 0, i));
    NOTHING(nn_scatter_add(x, 0, i, 2));
    NOTHING(nn_one_hot(i, 3, NN_F32));
    NOTHING(nn_add(x, x));
    NOTHING(nn_relu(x));
    NOTHING(nn_affine(x, 2, 1));
    NOTHING(nn_sum(x, NN_ALL, 0));
    NOTHING(nn_mean(x, NN_ALL, 0));
    NOTHING(nn_max(x, NN_ALL, 0));
    NOTHING(nn_softmax(x, -1));
    NOTHING(nn_log_softmax(x, -1));
    NOTHING(nn_matmul(x, x));
    NOTHING(nn_matmul_i8(x, x, x, x));
    NOTHING(nn_linear(x, x, NULL));
    NOTHING(nn_activate(x, NN_ACT_TANH));
    NOTHING(nn_layernorm(x, NULL, NULL, 1e-5));
    NOTHING(nn_cross_entropy(x, i));
    NOTHING(nn_mse(x, x));
    NOTHING(nn_dropout(x, 0.5, 1));
    NOTHING(nn_requires_grad(k));
    NOTHING(nn_retain_grad(leaf));
    NOTHING(nn_backward(leaf));
    NOTHING(nn_grad_of(leaf, NULL, list, 1, out, 0));
    NOTHING(nn_model_new(c, net_two, NULL));
    NOTHING(nn_model_build(unmade, NN_F32, NN_SHAPE(1, 3)));
    NOTHING(nn_model_dtype(unmade, NN_F64));
    NOTHING(nn_model_freeze(unmade));
    NOTHING(nn_forward(m, x));
    NOTHING(nn_predict(m, x));
    NOTHING(nn_param(s, "w", NN_SHAPE(2), nn_init_zeros()));
    NOTHING(nn_buffer(s, "b", NN_SHAPE(2), nn_init_zeros()));
    NOTHING(nn_state(s, "h", NN_F32, NN_SHAPE(2)));
    NOTHING(nn_in(s, "deeper").at);
    NOTHING(nn_layer_linear(s, "l", x, 2));
    NOTHING(nn_fork(c));
    NOTHING(nn_fork_shapes(c));
    NOTHING(nn_sgd(m, 0.1f, 0));
    NOTHING(nn_step(o));
    NOTHING(nn_set_lr(o, nn_lr_constant(5)));
    NOTHING(nn_data_new(x, i));
    NOTHING(nn_data_csv_text(c, "1,2\n", 4, NULL));
    NOTHING(nn_data_csv(c, file_name[0], NULL));
    NOTHING(nn_data_idx(c, file_name[0], file_name[0]));
    NOTHING(nn_data_mnist(c, ".", NN_TRAIN));
    NOTHING(nn_idx(c, bytes, size));
    NOTHING(nn_image_memory(c, bytes, size));
    NOTHING(nn_image_read(c, file_name[0]));
    NOTHING(nn_image_write(x, "build/nothing.png"));
    NOTHING(nn_image_grid(nn_unsqueeze(x, 0), 1, 1));
    NOTHING(nn_data_cifar10(c, image_paths, 1));
    NOTHING(nn_data_augment(d, NULL));
    NOTHING(nn_data_split(d, 0.5, &a, &b));
    NOTHING(nn_data_batch(d, 1, 1));
    NOTHING(nn_data_shuffle(d, 0));
    NOTHING(nn_data_next(d, &batch));
    NOTHING(nn_data_x(d, 0, 1));
    NOTHING(nn_data_y(d, 0, 1));
    NOTHING(nn_fit(m, d, NULL).epochs);
    NOTHING(nn_save(m, file_name[3]));
    NOTHING(nn_load(m, file_name[3]));
    NOTHING(nn_load_memory(hand, bytes, size));
    NOTHING(nn_optim_save(o, file_name[3]));
    NOTHING(nn_optim_load(o, file_name[3]));
    NOTHING(nn_file_open(c, file_name[3]));
    NOTHING(nn_file_memory(c, bytes, size));
    NOTHING(nn_file_tensor(file, "w"));
#undef NOTHING
    nn_zero_grad(leaf);
    CHECK(nn_summary(m, NN_F32, NN_SHAPE(1, 3)) <= 0 && nn_summary_text(m, NN_F32, NN_SHAPE(1, 3), (char *)bytes, sizeof bytes) == -1);
    CHECK(nn_item(x) != nn_item(x) && nn_clip_grad_norm(o, 1) != 0 && nn_evaluate(m, d, NULL).loss != 0);
    after = nn_memory(c);
    CHECK(before.allocations == after.allocations && before.now == after.now && before.step_now == after.step_now);
    CHECK(nn_error(c) == NN_ERR_SHAPE && strstr(nn_error_text(c), "size -5 of axis 0 is negative"));
    CHECK(nn_error(f) == NN_OK && of3(f) != NULL); /* a fork has its own first error */
    CHECK(nn_ndim(x) == 2 && nn_dim(x, 1) == 3 && nn_numel(x) == 6); /* looking goes on */

    nn_error_clear(c); /* and all is as it was */
    CHECK(nn_error(c) == NN_OK && nn_error_text(c)[0] == 0);
    CHECK(nn_read(x, copy, sizeof copy) && !memcmp(copy, raw, sizeof raw));
    CHECK(nn_read(w, now, sizeof now) && !memcmp(now, old, sizeof old) && nn_grad(w) == g && nn_grad(leaf) != NULL);
    CHECK(nn_get_lr(o) == lr && nn_model_count(hand) == 1 && nn_model_count(unmade) == 0 && nn_get(nn_model_tensor(hand, c, "w"), NN_SHAPE(0)) == 3);
    CHECK(nn_data_next(d, &batch) && batch.n == 2);
    CHECK(nn_step(o) && nn_read(w, now, sizeof now) && memcmp(now, old, sizeof old));
    CHECK(nn_forward(unmade, x) != NULL && nn_relu(x) != NULL);
    CHECK(nn_error(c) == NN_OK);
    nn_end(c);
    CHECK(heap.blocks == 0);
}

/* After an error while the parameters are declared, a second try on the right shape works. */
static nn_tensor *net_picky(nn_scope s, nn_tensor *x) {
    nn_tensor *y = nn_layer_linear(s, "in", x, 4);
    return nn_dim(x, -1) == 3 ? nn_layer_linear(s, "out", y, 2) : nn_add(y, nn_ones(s.ctx, NN_F32, NN_SHAPE(7)));
}
static void test_revive(void) {
    nn_ctx   *c = quiet_ctx();
    nn_model *m = nn_model_new(c, net_picky, NULL);
    nn_scope  s;
    CHECK(nn_forward(m, nn_ones(c, NN_F32, NN_SHAPE(1, 5))) == NULL && nn_error(c) == NN_ERR_SHAPE);
    nn_error_clear(c);
    CHECK(nn_forward(m, of3(c)) != NULL);
    expect(c, NN_OK, "", "a model revives after its net failed on a wrong shape", __LINE__);
    m = nn_model_new(c, net_picky, NULL);
    CHECK(nn_summary_text(m, NN_F32, NN_SHAPE(1, 5), NULL, 0) == -1 && nn_error(c) == NN_ERR_SHAPE);
    nn_error_clear(c);
    CHECK(nn_forward(m, of3(c)) != NULL);
    expect(c, NN_OK, "", "a model revives after its summary failed on a wrong shape", __LINE__);
    m = nn_model_new(c, net_picky, NULL); /* a scope taken before the net fails stays one */
    s = nn_in(nn_enter(m, c, NN_TRAIN), "deeper");
    CHECK(nn_forward(m, nn_ones(c, NN_F32, NN_SHAPE(1, 5))) == NULL && nn_error(c) == NN_ERR_SHAPE);
    nn_error_clear(c);
    FAILS(c, nn_matmul(of3(c), of3(c)), NN_ERR_SHAPE, "matmul");
    CHECK(nn_in(s, "still").at != NULL);
    nn_error_clear(c);
    m = nn_model_new(c, net_two, NULL);
    CHECK(!nn_save(m, file_name[3]) && nn_error(c) != NN_OK);
    nn_error_clear(c);
    CHECK(nn_forward(m, of3(c)) != NULL);
    expect(c, NN_OK, "", "a model revives after it was saved too early", __LINE__);
    m = nn_model_new(c, net_two, NULL);
    CHECK(!nn_step(nn_adam(m, 0.1f)) && nn_error(c) != NN_OK);
    nn_error_clear(c);
    CHECK(nn_forward(m, of3(c)) != NULL);
    expect(c, NN_OK, "", "a model revives after a step too early", __LINE__);
    nn_end(c);
    CHECK(heap.blocks == 0);
}

static nn_tensor *give_null(nn_ctx *c, nn_tensor **x, void *user) { (void)c; (void)x; (void)user; return NULL; }
static void no_task(void *arg, int64_t begin, int64_t end, int worker) { (void)begin; (void)end; (void)worker; ++*(int *)arg; }

static void test_null(void) {
    nn_scope    s;
    nn_tensor  *none[2] = {NULL, NULL}, *out[4];
    const char *names[1];
    nn_ctx     *no_ctx[1] = {NULL};
    nn_data    *a, *b;
    nn_batch    batch;
    nn_memory_report r;
    nn_history  h;
    nn_scores   scores;
    nn_file    *nf = NULL;
    char        text[64];
    double      v;
    int         calls = 0;
#define NULL_OF(call) CHECK((call) == NULL)
#define ZERO_OF(call) CHECK((call) == 0)
#define NAN_OF(call) do { v = (call); check(v != v, #call " is not NaN", __LINE__); } while (0)
    names[0] = NULL;
    memset(&s, 0, sizeof s);
    /* contexts */
    nn_end(NULL);
    NULL_OF(nn_fork(NULL));
    NULL_OF(nn_fork_shapes(NULL));
    nn_reset(NULL);
    nn_error_clear(NULL);
    nn_fail(NULL, NN_ERR_ARG, "nobody hears");
    nn_note(NULL, NN_LOG_INFO, "nobody hears");
    nn_seed(NULL, 1);
    ZERO_OF(nn_no_grad(NULL, 1));
    r = nn_memory(NULL);
    CHECK(r.now == 0 && r.peak == 0 && r.allocations == 0 && r.step_held == 0 && r.kept_now == 0);
    (void)nn_isa(NULL);
    CHECK(!strcmp(nn_cpu_info(NULL), "none"));
    ZERO_OF(nn_threads(NULL));
    ZERO_OF(nn_profile(NULL, 1));
    ZERO_OF(nn_profile_print(NULL));
    ZERO_OF(nn_profile_trace(NULL, "file"));
    ZERO_OF(nn_export_c(NULL, NULL, "file"));
    CHECK(nn_profile_text(NULL, NULL, 0) == -1);
    CHECK(nn_time() > 0 || nn_time() <= 0);
    nn_parallel_for(NULL, 10, 1, no_task, &calls);
    CHECK(calls <= 1 || calls == 10);
    /* tensors */
    NULL_OF(nn_zeros(NULL, NN_F32, NN_SHAPE(2)));
    NULL_OF(nn_ones(NULL, NN_F32, NN_SHAPE(2)));
    NULL_OF(nn_full(NULL, NN_F32, NN_SHAPE(2), 1));
    NULL_OF(nn_arange(NULL, NN_F32, 0, 1, 1));
    NULL_OF(nn_uniform(NULL, NN_F32, NN_SHAPE(2), 0, 1));
    NULL_OF(nn_normal(NULL, NN_F32, NN_SHAPE(2), 0, 1));
    NULL_OF(nn_from(NULL, text, NN_U8, NN_SHAPE(2)));
    NULL_OF(nn_wrap(NULL, text, NN_U8, NN_SHAPE(2)));
    NULL_OF(nn_share(NULL, NULL));
    NULL_OF(nn_keep(NULL));
    nn_drop(NULL);
    NULL_OF(nn_to_device(NULL, 1));
    CHECK(nn_ndim(NULL) == -1 && nn_dim(NULL, 0) == -1 && nn_numel(NULL) == -1 && nn_shape_of(NULL).ndim == 0);
    CHECK(nn_dtype_of(NULL) == NN_F32 && nn_device_of(NULL) == 0 && nn_ctx_of(NULL) == NULL && nn_is_contiguous(NULL) == 0);
    CHECK(nn_dtype_name(NN_DTYPES) != NULL && nn_dtype_size(NN_DTYPES) == 0 && nn_dtype_size((nn_dtype)-1) == 0);
    NULL_OF(nn_ptr(NULL));
    NULL_OF(nn_f32(NULL));
    NULL_OF(nn_f64(NULL));
    NULL_OF(nn_i32(NULL));
    NULL_OF(nn_i64(NULL));
    NULL_OF(nn_u8(NULL));
    NAN_OF(nn_item(NULL));
    NAN_OF(nn_get(NULL, NN_SHAPE(0)));
    ZERO_OF(nn_set(NULL, NN_SHAPE(0), 1));
    ZERO_OF(nn_fill(NULL, 1));
    ZERO_OF(nn_assign(NULL, NULL));
    ZERO_OF(nn_read(NULL, text, 4));
    ZERO_OF(nn_write(NULL, text, 4));
    CHECK(nn_format(NULL, text, sizeof text) <= 0 || strlen(text) < sizeof text);
    nn_print(NULL); /* prints nothing; nn_debug says "nn_tensor NULL" on stderr */
    nn_debug(NULL);
    /* views and copies */
    NULL_OF(nn_reshape(NULL, NN_SHAPE(2)));
    NULL_OF(nn_permute(NULL, NN_AXES(0)));
    NULL_OF(nn_transpose(NULL, 0, 1));
    NULL_OF(nn_slice(NULL, 0, 0, 1, 1));
    NULL_OF(nn_select(NULL, 0, 0));
    NULL_OF(nn_expand(NULL, NN_SHAPE(2)));
    NULL_OF(nn_squeeze(NULL, 0));
    NULL_OF(nn_unsqueeze(NULL, 0));
    NULL_OF(nn_flatten(NULL, 0));
    NULL_OF(nn_detach(NULL));
    NULL_OF(nn_contiguous(NULL));
    NULL_OF(nn_clone(NULL));
    NULL_OF(nn_cast(NULL, NN_F32));
    NULL_OF(nn_concat(NULL, 0, 0));
    NULL_OF(nn_concat(none, 2, 0));
    NULL_OF(nn_gather(NULL, 0, NULL));
    NULL_OF(nn_scatter_add(NULL, 0, NULL, 1));
    NULL_OF(nn_one_hot(NULL, 3, NN_F32));
    /* arithmetic */
    NULL_OF(nn_add(NULL, NULL));
    NULL_OF(nn_sub(NULL, NULL));
    NULL_OF(nn_mul(NULL, NULL));
    NULL_OF(nn_div(NULL, NULL));
    NULL_OF(nn_same(NULL, NULL));
    NULL_OF(nn_affine(NULL, 1, 2));
    NULL_OF(nn_scale(NULL, 1));
    NULL_OF(nn_neg(NULL));
    NULL_OF(nn_exp(NULL));
    NULL_OF(nn_log(NULL));
    NULL_OF(nn_sqrt(NULL));
    NULL_OF(nn_square(NULL));
    NULL_OF(nn_relu(NULL));
    NULL_OF(nn_sigmoid(NULL));
    NULL_OF(nn_tanh(NULL));
    NULL_OF(nn_erf(NULL));
    NULL_OF(nn_gelu(NULL));
    NULL_OF(nn_gelu_tanh(NULL));
    NULL_OF(nn_sin(NULL));
    NULL_OF(nn_cos(NULL));
    NULL_OF(nn_positive(NULL));
    NULL_OF(nn_sum(NULL, NN_ALL, 0));
    NULL_OF(nn_mean(NULL, NN_ALL, 0));
    NULL_OF(nn_max(NULL, NN_ALL, 0));
    NULL_OF(nn_softmax(NULL, 0));
    NULL_OF(nn_log_softmax(NULL, 0));
    NULL_OF(nn_matmul(NULL, NULL));
    NULL_OF(nn_matmul_i8(NULL, NULL, NULL, NULL));
    NULL_OF(nn_linear(NULL, NULL, NULL));
    NULL_OF(nn_linear_act(NULL, NULL, NULL, NN_ACT_GELU));
    NULL_OF(nn_activate(NULL, NN_ACT_NONE));
    NULL_OF(nn_layernorm(NULL, NULL, NULL, 1e-5));
    NULL_OF(nn_cross_entropy(NULL, NULL));
    NULL_OF(nn_mse(NULL, NULL));
    NULL_OF(nn_dropout(NULL, 0.5, 1));
    NAN_OF(nn_accuracy(NULL, NULL));
    /* gradients */
    NULL_OF(nn_requires_grad(NULL));
    ZERO_OF(nn_backward(NULL));
    ZERO_OF(nn_backward_from(NULL, NULL, NN_CREATE_GRAPH));
    NULL_OF(nn_grad(NULL));
    NULL_OF(nn_retain_grad(NULL));
    nn_zero_grad(NULL);
    ZERO_OF(nn_grad_of(NULL, NULL, NULL, 0, NULL, 0));
    NAN_OF(nn_gradcheck(NULL, NULL, 0, 1, NULL));
    NAN_OF(nn_gradcheck(give_null, none, 1, 1, NULL));
    ZERO_OF(nn_apply(NULL, none, 1, NULL, out));
    ZERO_OF(nn_apply(kept_op(), none, 1, NULL, out));
    ZERO_OF(nn_apply(kept_op(), NULL, 0, NULL, NULL));
    CHECK(nn_op_list(&calls) != NULL && calls > 10);
    /* models */
    NULL_OF(nn_model_new(NULL, net_two, NULL));
    nn_model_free(NULL);
    ZERO_OF(nn_model_dtype(NULL, NN_F64));
    ZERO_OF(nn_model_build(NULL, NN_F32, NN_SHAPE(1)));
    NULL_OF(nn_forward(NULL, NULL));
    NULL_OF(nn_predict(NULL, NULL));
    CHECK(nn_enter(NULL, NULL, NN_TRAIN).at == NULL && nn_in(s, "a").at == NULL && nn_in_i(s, "a", 1).at == NULL && nn_in(s, NULL).at == NULL);
    ZERO_OF(nn_model_freeze(NULL));
    NULL_OF(nn_leave(s, NULL));
    NULL_OF(nn_user(s));
    NULL_OF(nn_param(s, "w", NN_SHAPE(2), nn_init_zeros()));
    NULL_OF(nn_buffer(s, "w", NN_SHAPE(2), nn_init_zeros()));
    NULL_OF(nn_state(s, "w", NN_F32, NN_SHAPE(2)));
    nn_state_clear(NULL);
    CHECK(nn_model_count(NULL) == 0 && nn_model_size(NULL) == 0 && nn_model_name(NULL, 0) == NULL);
    NULL_OF(nn_model_tensor(NULL, NULL, NULL));
    CHECK(nn_summary(NULL, NN_F32, NN_SHAPE(1)) <= 0 && nn_summary_text(NULL, NN_F32, NN_SHAPE(1), text, sizeof text) == -1 && nn_summary_text(NULL, NN_F32, NN_SHAPE(1), NULL, 0) == -1);
    NULL_OF(nn_layer_linear(s, "l", NULL, 2));
    NULL_OF(nn_layer_linear_act(s, "l", NULL, 2, NN_ACT_RELU));
    NULL_OF(nn_layer_layernorm(s, "l", NULL));
    NULL_OF(nn_layer_dropout(s, NULL, 0.5));
    /* optimisers */
    NULL_OF(nn_optim_new(NULL, NULL));
    NULL_OF(nn_sgd(NULL, 0.1f, 0));
    NULL_OF(nn_adam(NULL, 0.1f));
    NULL_OF(nn_adamw(NULL, 0.1f, 0));
    nn_optim_free(NULL);
    ZERO_OF(nn_step(NULL));
    ZERO_OF(nn_step_from(NULL, no_ctx, 1));
    NAN_OF(nn_clip_grad_norm(NULL, 1));
    ZERO_OF(nn_set_lr(NULL, nn_lr_constant(1)));
    NAN_OF(nn_get_lr(NULL));
    /* data */
    NULL_OF(nn_data_new(NULL, NULL));
    NULL_OF(nn_data_csv(NULL, "x", NULL));
    NULL_OF(nn_data_csv_text(NULL, "1,2", 3, NULL));
    NULL_OF(nn_data_idx(NULL, "x", "y"));
    NULL_OF(nn_data_mnist(NULL, ".", NN_TRAIN));
    NULL_OF(nn_idx(NULL, text, 4));
    NULL_OF(nn_image_read(NULL, "x"));
    NULL_OF(nn_image_memory(NULL, text, 4));
    ZERO_OF(nn_image_write(NULL, "x.png"));
    NULL_OF(nn_image_grid(NULL, 1, 1));
    NULL_OF(nn_data_cifar10(NULL, names, 1));
    ZERO_OF(nn_data_augment(NULL, NULL));
    nn_data_free(NULL);
    ZERO_OF(nn_data_split(NULL, 0.5, &a, &b));
    CHECK(a == NULL && b == NULL);
    ZERO_OF(nn_data_split(NULL, 0.5, NULL, NULL));
    ZERO_OF(nn_data_batch(NULL, 1, 0));
    ZERO_OF(nn_data_shuffle(NULL, 1));
    ZERO_OF(nn_data_next(NULL, &batch));
    CHECK(batch.x == NULL && batch.y == NULL && batch.n == 0 && batch.index == NULL);
    ZERO_OF(nn_data_next(NULL, NULL));
    nn_data_rewind(NULL);
    ZERO_OF(nn_data_count(NULL));
    NULL_OF(nn_data_x(NULL, 0, 1));
    NULL_OF(nn_data_y(NULL, 0, 1));
    /* training and files */
    h = nn_fit(NULL, NULL, NULL);
    CHECK(h.epochs == 0 && h.loss == NULL && h.seconds == 0);
    scores = nn_evaluate(NULL, NULL, NULL);
    CHECK(scores.loss != scores.loss && scores.accuracy != scores.accuracy && scores.n == 0);
    ZERO_OF(nn_save(NULL, "x"));
    ZERO_OF(nn_load(NULL, "x"));
    ZERO_OF(nn_load_memory(NULL, text, 8));
    ZERO_OF(nn_optim_save(NULL, "x"));
    ZERO_OF(nn_optim_load(NULL, "x"));
    NULL_OF(nn_file_open(NULL, "x"));
    NULL_OF(nn_file_memory(NULL, text, 8));
    nn_file_close(NULL);
    CHECK(nn_file_count(nf) == 0 && nn_file_name(nf, 0) == NULL && nn_file_shape(nf, 0).ndim == 0 && nn_file_dtype(nf, 0) == NN_F32);
    NULL_OF(nn_file_tensor(NULL, "x"));
    ZERO_OF(nn_file_write(NULL, "x", names, none, 1));
#undef NULL_OF
#undef ZERO_OF
#undef NAN_OF
}

/* One object is there, another is NULL: an error, never a crash. */
static void test_half_null(void) {
    nn_ctx     *c = quiet_ctx(), *no_ctx[1] = {NULL};
    nn_tensor  *x = of3(c), *i = nn_zeros(c, NN_I32, NN_SHAPE(2)), *list[2], *out[2] = {NULL, NULL};
    nn_model   *m = model_w(c);
    nn_optim   *o = nn_adam(m, 0.1f);
    nn_data    *d = nn_data_new(x, i), *a;
    const char *names[1] = {"x"};
    nn_scope    s = nn_enter(m, c, NN_TRAIN);
    nn_file    *f;
    unsigned char bytes[300];
    size_t      size = make_file(bytes, "{\"w\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", 8);
    f = nn_file_memory(c, bytes, size);
    CHECK(f && o && d && nn_error(c) == NN_OK);
    list[0] = x; list[1] = NULL;
    FAILS(c, nn_from(c, NULL, NN_F32, NN_SHAPE(2)), NN_ERR_NULL, "data");
    FAILS(c, nn_wrap(c, NULL, NN_F32, NN_SHAPE(2)), NN_ERR_NULL, "data");
    FAILS(c, nn_share(c, NULL), NN_ERR_NULL, "");
    FAILS(c, nn_read(x, NULL, 24), NN_ERR_NULL, "read");
    FAILS(c, nn_write(x, NULL, 24), NN_ERR_NULL, "write");
    FAILS(c, nn_assign(x, NULL), NN_ERR_NULL, "assign");
    FAILS(c, nn_add(NULL, x), NN_ERR_NULL, "add: operand 1 is NULL");
    FAILS(c, nn_add(x, NULL), NN_ERR_NULL, "add: operand 2 is NULL");
    FAILS(c, nn_matmul(x, NULL), NN_ERR_NULL, "matmul: operand 2");
    {
        nn_tensor *b = nn_zeros(c, NN_I8, NN_SHAPE(2, 3)), *q = nn_zeros(c, NN_I8, NN_SHAPE(3, 4)), *s2 = nn_ones(c, NN_F32, NN_SHAPE(2)), *s4 = nn_ones(c, NN_F32, NN_SHAPE(4));
        FAILS(c, nn_matmul_i8(b, NULL, NULL, NULL), NN_ERR_NULL, "matmul_i8: operand 2");
        FAILS(c, nn_matmul_i8(b, x, NULL, NULL), NN_ERR_DTYPE, "the tensor is f32, not i8");
        FAILS(c, nn_matmul_i8(b, nn_zeros(c, NN_I8, NN_SHAPE(3)), NULL, NULL), NN_ERR_SHAPE, "y [3] must have 2 dimensions");
        FAILS(c, nn_matmul_i8(b, b, NULL, NULL), NN_ERR_SHAPE, "x [2,3], y [2,3]: 3 and 2 differ");
        FAILS(c, nn_matmul_i8(b, q, s4, s4), NN_ERR_SHAPE, "x_scale [4] and x's rows [2]");
        FAILS(c, nn_matmul_i8(b, q, NULL, s2), NN_ERR_SHAPE, "y_scale [2] and y's columns [4]");
        FAILS(c, nn_matmul_i8(b, q, s2, i), NN_ERR_DTYPE, "the tensor is i32, not f32");
        FAILS(c, nn_matmul_i8(nn_zeros(c, NN_I8, NN_SHAPE(1, 131072)), nn_zeros(c, NN_I8, NN_SHAPE(131072, 1)), NULL, NULL), NN_ERR_ARG, "k cannot be 131072");
        CHECK(nn_matmul_i8(b, q, s2, s4) != NULL);
    }
    FAILS(c, nn_linear(x, NULL, NULL), NN_ERR_NULL, "linear: operand 2");
    FAILS(c, nn_linear(NULL, x, NULL), NN_ERR_NULL, "linear: operand 1");
    FAILS(c, nn_linear_act(x, NULL, NULL, NN_ACT_GELU), NN_ERR_NULL, "linear: operand 2");
    FAILS(c, nn_gather(x, 0, NULL), NN_ERR_NULL, "gather: operand 2");
    FAILS(c, nn_scatter_add(x, 0, NULL, 3), NN_ERR_NULL, "scatter_add: operand 2");
    FAILS(c, nn_concat(list, 2, 0), NN_ERR_NULL, "concat: operand 2");
    FAILS(c, nn_cross_entropy(x, NULL), NN_ERR_NULL, "cross_entropy: operand 2");
    FAILS(c, nn_mse(x, NULL), NN_ERR_NULL, "mse: the target is NULL");
    FAILS_NAN(c, nn_accuracy(x, NULL), NN_ERR_NULL, "accuracy");
    FAILS(c, nn_grad_of(nn_sum(nn_requires_grad(nn_clone(x)), NN_ALL, 0), NULL, NULL, 1, out, 0), NN_ERR_NULL, "grad_of");
    FAILS(c, nn_grad_of(nn_sum(nn_requires_grad(nn_clone(x)), NN_ALL, 0), NULL, list, 1, NULL, 0), NN_ERR_NULL, "grad_of");
    FAILS(c, nn_grad_of(nn_sum(nn_requires_grad(nn_clone(x)), NN_ALL, 0), NULL, list, 2, out, 0), NN_ERR_NULL, "grad_of: operand 2");
    FAILS(c, nn_forward(NULL, x), NN_ERR_NULL, "the model");
    FAILS(c, nn_predict(NULL, x), NN_ERR_NULL, "the model");
    FAILS(c, nn_enter(NULL, c, NN_TRAIN).at, NN_ERR_NULL, "the model");
    FAILS(c, nn_in(s, NULL).at, NN_ERR_NULL, "name");
    FAILS(c, nn_param(s, NULL, NN_SHAPE(2), nn_init_zeros()), NN_ERR_NULL, "name");
    FAILS(c, nn_state(s, NULL, NN_F32, NN_SHAPE(2)), NN_ERR_NULL, "name");
    FAILS(c, nn_model_tensor(NULL, c, "w"), NN_ERR_NULL, "the model");
    FAILS(c, nn_model_tensor(m, c, NULL), NN_ERR_NULL, "name");
    CHECK(nn_model_tensor(m, NULL, "w") == NULL && nn_error(c) == NN_OK);
    FAILS(c, nn_step_from(o, NULL, 1), NN_ERR_NULL, "contexts");
    FAILS(c, nn_step_from(o, no_ctx, 1), NN_ERR_NULL, "a context");
    FAILS(c, nn_data_new(x, NULL), NN_ERR_NULL, "y is NULL");
    FAILS(c, nn_data_csv_text(c, NULL, 3, NULL), NN_ERR_NULL, "text");
    FAILS(c, nn_data_mnist(c, NULL, NN_TEST), NN_ERR_NULL, "folder");
    FAILS(c, nn_idx(c, NULL, 4), NN_ERR_NULL, "bytes");
    FAILS(c, nn_image_memory(c, NULL, 4), NN_ERR_NULL, "bytes");
    FAILS(c, nn_data_cifar10(c, NULL, 1), NN_ERR_NULL, "paths");
    FAILS(c, nn_data_split(d, 0.5, &a, NULL), NN_ERR_NULL, "the result");
    FAILS(c, nn_data_next(d, NULL), NN_ERR_NULL, "the batch");
    FAILS(c, nn_fit(m, NULL, NULL).epochs, NN_ERR_NULL, "the data");
    FAILS(c, nn_save(m, NULL), NN_ERR_NULL, "path");
    FAILS(c, nn_load_memory(m, NULL, 4), NN_ERR_NULL, "bytes");
    FAILS(c, nn_optim_save(o, NULL), NN_ERR_NULL, "path");
    FAILS(c, nn_file_memory(c, NULL, 4), NN_ERR_NULL, "bytes");
#if !defined(NN_NO_STDIO)
    FAILS(c, nn_image_read(c, NULL), NN_ERR_NULL, "path");
    FAILS(c, nn_image_write(x, NULL), NN_ERR_NULL, "path");
    FAILS(c, nn_data_csv(c, NULL, NULL), NN_ERR_NULL, "path");
    FAILS(c, nn_data_idx(c, NULL, NULL), NN_ERR_NULL, "path");
    FAILS(c, nn_load(m, NULL), NN_ERR_NULL, "path");
    FAILS(c, nn_optim_load(o, NULL), NN_ERR_NULL, "path");
    FAILS(c, nn_file_open(c, NULL), NN_ERR_NULL, "path");
#endif
    FAILS(c, nn_file_tensor(f, NULL), NN_ERR_NULL, "name");
    FAILS(c, nn_file_write(c, NULL, names, &x, 1), NN_ERR_NULL, "path");
    FAILS(c, nn_file_write(c, file_name[3], NULL, &x, 1), NN_ERR_NULL, "names");
    FAILS(c, nn_file_write(c, file_name[3], names, NULL, 1), NN_ERR_NULL, "tensors");
    FAILS(c, nn_file_write(c, file_name[3], names, &list[1], 1), NN_ERR_NULL, "a tensor");
    CHECK(nn_data_x(d, 0, 2) != NULL && nn_error(c) == NN_OK);
    nn_end(c);
    CHECK(heap.blocks == 0);
}

// =====================================================================================================
// c. an error in a model's layers says in which
// =====================================================================================================
static nn_tensor *net_placed(nn_scope s, nn_tensor *x) {
    nn_scope fc = nn_in(nn_in_i(s, "block", 1), "fc");
    (void)nn_leave(nn_in(s, "stem"), nn_relu(x));
    fc = nn_in(nn_in_i(s, "block", 1), "fc");
    return nn_linear(x, nn_param(fc, "weight", NN_SHAPE(4, 9), nn_init_zeros()), NULL);
}
static nn_tensor *net_labels(nn_scope s, nn_tensor *x) { /* fails where it computes, not where it declares */
    nn_scope head = nn_in(s, "head");
    x = nn_linear(x, nn_param(head, "weight", NN_SHAPE(4, nn_dim(x, -1)), nn_init_zeros()), NULL);
    return nn_one_hot(nn_cast(nn_affine(nn_detach(x), 0, 99), NN_I32), 3, NN_F32);
}
static void test_place(void) {
    nn_ctx    *c = quiet_ctx();
    nn_model  *m;
    nn_scope   s;
    FAILS(c, nn_forward(nn_model_new(c, net_placed, NULL), of3(c)), NN_ERR_SHAPE, "block.1.fc: linear: x [2,3], weight [4,9]: 3 and 9 differ");
    FAILS(c, nn_predict(nn_model_new(c, net_placed, NULL), of3(c)), NN_ERR_SHAPE, "block.1.fc: linear: x [2,3], weight [4,9]: 3 and 9 differ");
    FAILS(c, nn_model_build(nn_model_new(c, net_placed, NULL), NN_F32, NN_SHAPE(2, 3)), NN_ERR_SHAPE, "block.1.fc: linear: x [2,3], weight [4,9]: 3 and 9 differ");
    FAILS(c, nn_forward(nn_model_new(c, net_labels, NULL), of3(c)), NN_ERR_RANGE, "head: one_hot: index");
    m = nn_model_new(c, NULL, NULL); /* by hand */
    s = nn_in_i(nn_enter(m, c, NN_TRAIN), "h", 12);
    FAILS(c, nn_layer_linear(s, "fc", of3(c), -1), NN_ERR_SHAPE, "h.12.fc: ");
    m = nn_model_new(c, NULL, NULL);
    s = nn_enter(m, c, NN_TRAIN);
    (void)nn_layer_linear(s, "fc", of3(c), 2);
    (void)nn_matmul(of3(c), of3(c)); /* the layer was left: no place */
    CHECK(nn_error(c) == NN_ERR_SHAPE && !strncmp(nn_error_text(c), "matmul: ", 8));
    nn_error_clear(c);
    m = nn_model_new(c, net_two, NULL);
    (void)nn_cross_entropy(nn_forward(m, of3(c)), nn_full(c, NN_I32, NN_SHAPE(2), 2)); /* after the model: no place */
    CHECK(nn_error(c) == NN_ERR_RANGE && strstr(nn_error_text(c), "is outside 0 ... 1") != NULL);
    nn_error_clear(c);
    nn_end(c);
    CHECK(heap.blocks == 0);
}

// =====================================================================================================
// d. bad input: shapes, axes, values
// =====================================================================================================
static void test_shapes(void) {
    nn_ctx    *c = quiet_ctx();
    nn_tensor *x = of3(c), *k = nn_zeros(c, NN_I32, NN_SHAPE(2, 3)), *cube = nn_ones(c, NN_F32, NN_SHAPE(2, 3, 4)), *six = nn_ones(c, NN_F32, NN_SHAPE(1, 1, 1, 1, 1, 1));
    nn_tensor *scalar = nn_ones(c, NN_F32, NN_SCALAR), *list[9], *wide, *empty = nn_zeros(c, NN_F32, NN_SHAPE(0));
    nn_shape   s;
    float      raw[6] = {0, 0, 0, 0, 0, 0};
    int64_t    big[] = {INT64_MAX, INT64_MAX - 1, (int64_t)1 << 62, (int64_t)1 << 61};
    int        axes[] = {2, -3, INT_MAX, INT_MIN};
    /* sizes */
    for (int i = 0; i < 4; i++) {
        FAILS(c, nn_zeros(c, NN_F32, NN_SHAPE(big[i])), NN_ERR_RANGE, "does not fit into memory");
        FAILS(c, nn_zeros(c, NN_U8, NN_SHAPE(big[i], big[i])), NN_ERR_RANGE, "does not fit into memory");
        FAILS(c, nn_zeros(c, NN_F32, NN_SHAPE(0, big[i], big[i])), NN_ERR_RANGE, "does not fit into memory");
        FAILS(c, nn_zeros(c, NN_F32, NN_SHAPE(big[i], big[i], 0)), NN_ERR_RANGE, "does not fit into memory");
        FAILS(c, nn_wrap(c, raw, NN_F32, NN_SHAPE(6, big[i])), NN_ERR_RANGE, "wrap");
        FAILS(c, nn_from(c, raw, NN_F32, NN_SHAPE(6, big[i])), NN_ERR_RANGE, "from");
        FAILS(c, nn_uniform(c, NN_F32, NN_SHAPE(big[i]), 0, 1), NN_ERR_RANGE, "uniform");
        FAILS(c, nn_normal(c, NN_BF16, NN_SHAPE(2, big[i]), 0, 1), NN_ERR_RANGE, "normal");
        FAILS(c, nn_reshape(x, NN_SHAPE(big[i], big[i])), NN_ERR_SHAPE, "reshape");
        FAILS(c, nn_reshape(x, NN_SHAPE(big[i], 4)), NN_ERR_SHAPE, "reshape");
        FAILS(c, nn_reshape(x, NN_SHAPE(-1, big[i])), NN_ERR_SHAPE, "reshape");
        FAILS(c, nn_reshape(empty, NN_SHAPE(big[i], big[i], 0)), NN_ERR_RANGE, "reshape");
        FAILS(c, nn_reshape(empty, NN_SHAPE(0, big[i], big[i])), NN_ERR_RANGE, "reshape");
        FAILS(c, nn_expand(scalar, NN_SHAPE(big[i])), NN_ERR_RANGE, "expand");
        FAILS(c, nn_expand(x, NN_SHAPE(big[i], 2, 3)), NN_ERR_RANGE, "expand");
        FAILS(c, nn_one_hot(k, big[i], NN_F32), NN_ERR_RANGE, "one_hot");
        FAILS(c, nn_scatter_add(x, 0, k, big[i]), NN_ERR_RANGE, "scatter_add");
    }
    FAILS(c, nn_ones(c, NN_F32, NN_SHAPE(INT64_MIN)), NN_ERR_SHAPE, "is negative");
    FAILS(c, nn_ones(c, NN_F32, NN_SHAPE(1, 1, 1, 1, 1, 1, 1)), NN_ERR_SHAPE, "7 dimensions; nn.h has at most 6");
    FAILS(c, nn_reshape(x, NN_SHAPE(1, 1, 1, 1, 1, 2, 3)), NN_ERR_SHAPE, "7 dimensions");
    FAILS(c, nn_expand(x, NN_SHAPE(1, 1, 1, 1, 1, 2, 3)), NN_ERR_SHAPE, "7 dimensions");
    FAILS(c, nn_sum(x, NN_AXES(0, 1, 0, 1, 0, 1, 0), 0), NN_ERR_SHAPE, "7 dimensions");
    FAILS(c, nn_permute(x, NN_AXES(0, 1, 2, 3, 4, 5, 6)), NN_ERR_SHAPE, "permute");
    FAILS_NAN(c, nn_get(x, NN_SHAPE(0, 1, 2, 3, 4, 5, 6)), NN_ERR_SHAPE, "get");
    s = NN_SHAPE(2, 3);
    s.ndim = -1;
    FAILS(c, nn_ones(c, NN_F32, s), NN_ERR_SHAPE, "dimensions");
    FAILS(c, nn_reshape(x, s), NN_ERR_SHAPE, "dimensions");
    FAILS(c, nn_sum(x, s, 0), NN_ERR_SHAPE, "dimensions");
    FAILS(c, nn_expand(x, s), NN_ERR_SHAPE, "dimensions");
    s.ndim = INT_MAX;
    FAILS(c, nn_ones(c, NN_F32, s), NN_ERR_SHAPE, "dimensions");
    FAILS(c, nn_reshape(x, s), NN_ERR_SHAPE, "dimensions");
    FAILS(c, nn_permute(x, s), NN_ERR_SHAPE, "axes");
    FAILS(c, nn_unsqueeze(six, 0), NN_ERR_SHAPE, "7 dimensions");
    FAILS(c, nn_one_hot(nn_zeros(c, NN_U8, NN_SHAPE(1, 1, 1, 1, 1, 1)), 2, NN_F32), NN_ERR_SHAPE, "7 dimensions");
    FAILS(c, nn_one_hot(k, -1, NN_F32), NN_ERR_SHAPE, "is negative");
    FAILS(c, nn_one_hot(k, 0, NN_F32), NN_ERR_RANGE, "index");
    FAILS(c, nn_one_hot(k, 3, NN_DTYPES), NN_ERR_DTYPE, "is no dtype");
    FAILS(c, nn_scatter_add(x, 0, k, -1), NN_ERR_SHAPE, "is negative");
    FAILS(c, nn_zeros(c, (nn_dtype)-1, NN_SHAPE(2)), NN_ERR_DTYPE, "is no dtype");
    FAILS(c, nn_cast(x, NN_DTYPES), NN_ERR_DTYPE, "is no dtype");
    FAILS(c, nn_zeros(c, NN_F32, NN_SHAPE(1 << 14, 1 << 13)), NN_ERR_MEMORY, "out of memory");
    FAILS(c, nn_arange(c, NN_F32, 0, 1, 0), NN_ERR_ARG, "arange");
    FAILS(c, nn_arange(c, NN_F32, 0, INFINITY, 1), NN_ERR_ARG, "arange");
    FAILS(c, nn_arange(c, NN_F32, 0, NAN, 1), NN_ERR_ARG, "arange");
    FAILS(c, nn_arange(c, NN_F32, 0, 1, NAN), NN_ERR_ARG, "arange");
    FAILS(c, nn_arange(c, NN_F32, 0, 1e300, 1e-300), NN_ERR_ARG, "arange");
    FAILS(c, nn_arange(c, NN_F32, 0, 1e14, 1), NN_ERR_MEMORY, "out of memory");
    /* axes */
    for (int i = 0; i < 4; i++) {
        FAILS(c, nn_dim(x, axes[i]) != -1, NN_ERR_SHAPE, "dim: axis");
        FAILS(c, nn_sum(x, NN_AXES(axes[i]), 0), NN_ERR_SHAPE, "sum: axis");
        FAILS(c, nn_mean(x, NN_AXES(axes[i]), 1), NN_ERR_SHAPE, "mean: axis");
        FAILS(c, nn_max(x, NN_AXES(axes[i]), 0), NN_ERR_SHAPE, "max: axis");
        FAILS(c, nn_softmax(x, axes[i]), NN_ERR_SHAPE, "axis");
        FAILS(c, nn_log_softmax(x, axes[i]), NN_ERR_SHAPE, "axis");
        FAILS(c, nn_transpose(x, 0, axes[i]), NN_ERR_SHAPE, "axis");
        FAILS(c, nn_transpose(x, axes[i], 0), NN_ERR_SHAPE, "axis");
        FAILS(c, nn_permute(x, NN_AXES(0, axes[i])), NN_ERR_SHAPE, "axis");
        FAILS(c, nn_slice(x, axes[i], 0, 1, 1), NN_ERR_SHAPE, "axis");
        FAILS(c, nn_select(x, axes[i], 0), NN_ERR_SHAPE, "axis");
        FAILS(c, nn_squeeze(x, axes[i]), NN_ERR_SHAPE, "axis");
        FAILS(c, nn_flatten(x, axes[i]), NN_ERR_SHAPE, "axis");
        FAILS(c, nn_gather(x, axes[i], k), NN_ERR_SHAPE, "axis");
        FAILS(c, nn_scatter_add(x, axes[i], k, 2), NN_ERR_SHAPE, "axis");
        list[0] = list[1] = x;
        FAILS(c, nn_concat(list, 2, axes[i]), NN_ERR_SHAPE, "axis");
    }
    FAILS(c, nn_unsqueeze(x, 3), NN_ERR_SHAPE, "axis");
    FAILS(c, nn_unsqueeze(x, -4), NN_ERR_SHAPE, "axis");
    FAILS(c, nn_sum(x, NN_AXES(INT64_MIN), 0), NN_ERR_SHAPE, "axis");
    FAILS(c, nn_sum(x, NN_AXES(0, -2), 0), NN_ERR_SHAPE, "axis -2 is named twice");
    FAILS(c, nn_permute(x, NN_AXES(1, 1)), NN_ERR_SHAPE, "named twice");
    FAILS(c, nn_permute(x, NN_AXES(1, 0, 2)), NN_ERR_SHAPE, "3 axes for a tensor of 2 dimensions");
    FAILS(c, nn_sum(scalar, NN_AXES(0), 0), NN_ERR_SHAPE, "axis");
    FAILS(c, nn_select(scalar, 0, 0), NN_ERR_SHAPE, "axis");
    FAILS(c, nn_squeeze(x, 1), NN_ERR_SHAPE, "has not size 1");
    /* counts */
    FAILS(c, nn_reshape(x, NN_SHAPE(7)), NN_ERR_SHAPE, "[2,3] has 6 elements and cannot become [7]");
    FAILS(c, nn_reshape(x, NN_SCALAR), NN_ERR_SHAPE, "cannot become []");
    FAILS(c, nn_reshape(x, NN_SHAPE(-1, 4)), NN_ERR_SHAPE, "the size -1 is not determined");
    FAILS(c, nn_reshape(x, NN_SHAPE(-1, -1)), NN_ERR_SHAPE, "is negative");
    FAILS(c, nn_reshape(x, NN_SHAPE(-2, 3)), NN_ERR_SHAPE, "is negative");
    FAILS(c, nn_reshape(x, NN_SHAPE(-1, 0)), NN_ERR_SHAPE, "not determined");
    FAILS(c, nn_reshape(nn_transpose(x, 0, 1), NN_SHAPE(5)), NN_ERR_SHAPE, "cannot become");
    FAILS(c, nn_expand(x, NN_SHAPE(3)), NN_ERR_SHAPE, "cannot expand");
    FAILS(c, nn_expand(x, NN_SHAPE(3, 2)), NN_ERR_SHAPE, "cannot expand");
    FAILS(c, nn_expand(x, NN_SHAPE(-1, 3)), NN_ERR_SHAPE, "is negative");
    list[0] = x; list[1] = nn_ones(c, NN_F32, NN_SHAPE(2, 4));
    FAILS(c, nn_concat(list, 2, 0), NN_ERR_SHAPE, "concat");
    list[1] = cube;
    FAILS(c, nn_concat(list, 2, 0), NN_ERR_SHAPE, "concat");
    list[1] = k;
    FAILS(c, nn_concat(list, 2, 0), NN_ERR_DTYPE, "concat");
    list[0] = NULL; list[1] = x;
    FAILS(c, nn_concat(list, 2, 0), NN_ERR_NULL, "concat: operand 1 is NULL");
    CHECK(nn_concat(list + 1, 0, 0) == NULL && nn_concat(list + 1, -1, 0) == NULL && nn_concat(list + 1, INT_MIN, 0) == NULL);
    nn_error_clear(c);
    wide = nn_expand(scalar, NN_SHAPE((int64_t)1 << 59));
    CHECK(wide != NULL && nn_numel(wide) == (int64_t)1 << 59);
    for (int i = 0; i < 9; i++) list[i] = wide;
    FAILS(c, nn_concat(list, 9, 0), NN_ERR_RANGE, "does not fit into memory");
    FAILS(c, nn_clone(wide), NN_ERR_MEMORY, "out of memory");
    /* indices and slices */
    FAILS(c, nn_slice(x, 1, 0, 3, 0), NN_ERR_ARG, "step other than 0");
    FAILS(c, nn_slice(x, 1, 0, 3, INT64_MIN), NN_ERR_ARG, "step");
    CHECK(nn_dim(nn_slice(cube, 0, 0, NN_TO_END, INT64_MAX), 0) == 1 && nn_dim(nn_slice(cube, 0, INT64_MAX, INT64_MIN, -INT64_MAX), 0) == 1);
    CHECK(nn_dim(nn_slice(cube, 1, INT64_MIN, INT64_MAX, 1), 1) == 3 && nn_dim(nn_slice(cube, 1, INT64_MAX, INT64_MIN, 1), 1) == 0 && nn_dim(nn_slice(cube, 1, INT64_MIN, INT64_MIN, -1), 1) == 0);
    CHECK(nn_error(c) == NN_OK);
    FAILS(c, nn_select(x, 0, 2), NN_ERR_RANGE, "index 2 is outside axis 0 of size 2");
    FAILS(c, nn_select(x, 1, -4), NN_ERR_RANGE, "index -4 is outside axis 1 of size 3");
    FAILS(c, nn_select(x, 0, INT64_MIN), NN_ERR_RANGE, "index");
    FAILS(c, nn_select(x, 0, INT64_MAX), NN_ERR_RANGE, "index");
    FAILS(c, nn_select(empty, 0, 0), NN_ERR_RANGE, "index");
    FAILS_NAN(c, nn_get(x, NN_SHAPE(0)), NN_ERR_SHAPE, "get");
    FAILS_NAN(c, nn_get(x, NN_SHAPE(0, 3)), NN_ERR_RANGE, "index 3 is outside axis 1 of size 3");
    FAILS_NAN(c, nn_get(x, NN_SHAPE(INT64_MIN, INT64_MAX)), NN_ERR_RANGE, "index");
    FAILS(c, nn_set(x, NN_SHAPE(-3, 0), 1), NN_ERR_RANGE, "set: index -3");
    FAILS_NAN(c, nn_item(x), NN_ERR_SHAPE, "one is needed");
    FAILS_NAN(c, nn_item(empty), NN_ERR_SHAPE, "one is needed");
    FAILS(c, nn_read(x, raw, 23), NN_ERR_SHAPE, "23 bytes given");
    FAILS(c, nn_write(x, raw, 25), NN_ERR_SHAPE, "25 bytes given");
    FAILS(c, nn_write(x, raw, SIZE_MAX), NN_ERR_SHAPE, "bytes given");
    FAILS(c, nn_gather(x, 0, nn_full(c, NN_I32, NN_SHAPE(2, 3), 2)), NN_ERR_RANGE, "outside 0 ... 1");
    FAILS(c, nn_gather(x, 0, nn_full(c, NN_I64, NN_SHAPE(2, 3), -1)), NN_ERR_RANGE, "outside 0 ... 1");
    FAILS(c, nn_gather(x, 0, nn_full(c, NN_U8, NN_SHAPE(2, 3), 255)), NN_ERR_RANGE, "outside 0 ... 1");
    FAILS(c, nn_gather(x, 0, x), NN_ERR_DTYPE, "gather");
    FAILS(c, nn_gather(x, 0, nn_zeros(c, NN_I8, NN_SHAPE(2, 3))), NN_ERR_DTYPE, "gather");
    FAILS(c, nn_gather(x, 0, nn_zeros(c, NN_I32, NN_SHAPE(2, 4))), NN_ERR_SHAPE, "gather");
    FAILS(c, nn_gather(x, 0, nn_zeros(c, NN_I32, NN_SHAPE(2))), NN_ERR_SHAPE, "gather");
    FAILS(c, nn_scatter_add(x, 0, nn_full(c, NN_I32, NN_SHAPE(2, 3), 2), 2), NN_ERR_RANGE, "outside 0 ... 1");
    FAILS(c, nn_scatter_add(x, 0, nn_full(c, NN_I32, NN_SHAPE(2, 3), -1), 2), NN_ERR_RANGE, "outside 0 ... 1");
    FAILS(c, nn_scatter_add(x, 0, k, 0), NN_ERR_RANGE, "outside");
    FAILS(c, nn_scatter_add(x, 0, nn_zeros(c, NN_I32, NN_SHAPE(1, 3)), 2), NN_ERR_SHAPE, "scatter_add");
    nn_end(c);
    CHECK(heap.blocks == 0);
}

static void test_operands(void) {
    nn_ctx    *c = quiet_ctx(), *f = nn_fork(c);
    nn_tensor *x = of3(c), *half = nn_ones(c, NN_F16, NN_SHAPE(2, 3)), *ints = nn_ones(c, NN_I32, NN_SHAPE(2, 3)), *empty = nn_zeros(c, NN_F32, NN_SHAPE(2, 0)), *one = nn_ones(c, NN_F32, NN_SHAPE(1));
    nn_tensor *w, *dx[2];
    nn_dtype   kinds[3] = {NN_I32, NN_I64, NN_U8};
    nn_shape   rows = NN_SHAPE(2);
    FAILS(c, nn_add(x, nn_ones(c, NN_F32, NN_SHAPE(2))), NN_ERR_SHAPE, "x [2,3] and y [2] do not broadcast: 3 and 2 differ");
    FAILS(c, nn_mul(x, nn_ones(c, NN_F32, NN_SHAPE(4, 2, 2))), NN_ERR_SHAPE, "do not broadcast");
    FAILS(c, nn_sub(x, half), NN_ERR_DTYPE, "f32 and f16");
    FAILS(c, nn_div(x, ints), NN_ERR_DTYPE, "operand 2 is i32");
    FAILS(c, nn_exp(ints), NN_ERR_DTYPE, "operand 1 is i32");
    FAILS(c, nn_sum(ints, NN_ALL, 0), NN_ERR_DTYPE, "i32");
    FAILS(c, nn_softmax(ints, 0), NN_ERR_DTYPE, "i32");
    FAILS(c, nn_matmul(ints, nn_transpose(ints, 0, 1)), NN_ERR_DTYPE, "i32");
    FAILS(c, nn_matmul(x, nn_transpose(half, 0, 1)), NN_ERR_DTYPE, "f32 and f16");
    FAILS(c, nn_matmul(x, x), NN_ERR_SHAPE, "3 and 2 differ");
    FAILS(c, nn_matmul(nn_ones(c, NN_F32, NN_SHAPE(3, 2, 3)), nn_ones(c, NN_F32, NN_SHAPE(2, 3, 2))), NN_ERR_SHAPE, "do not broadcast");
    FAILS(c, nn_matmul(nn_ones(c, NN_F32, NN_SHAPE(3)), nn_ones(c, NN_F32, NN_SHAPE(3))), NN_ERR_SHAPE, "at least 2");
    FAILS(c, nn_linear(x, nn_ones(c, NN_F32, NN_SHAPE(4, 5)), NULL), NN_ERR_SHAPE, "x [2,3], weight [4,5]: 3 and 5 differ");
    FAILS(c, nn_linear(x, nn_ones(c, NN_F32, NN_SHAPE(3)), NULL), NN_ERR_SHAPE, "weight [3] must have 2 dimensions");
    FAILS(c, nn_linear(x, nn_ones(c, NN_F32, NN_SHAPE(4, 3)), nn_ones(c, NN_F32, NN_SHAPE(3))), NN_ERR_SHAPE, "bias [3]");
    FAILS(c, nn_linear(nn_ones(c, NN_F32, NN_SCALAR), nn_ones(c, NN_F32, NN_SHAPE(4, 3)), NULL), NN_ERR_SHAPE, "at least 1");
    FAILS(c, nn_linear(x, nn_ones(c, NN_F16, NN_SHAPE(4, 3)), NULL), NN_ERR_DTYPE, "linear");
    FAILS(c, nn_linear_act(x, nn_ones(c, NN_F32, NN_SHAPE(4, 3)), NULL, (nn_act)99), NN_ERR_ARG, "act cannot be 99");
    FAILS(c, nn_activate(x, (nn_act)-1), NN_ERR_ARG, "act cannot be");
    FAILS(c, nn_layernorm(empty, one, one, 1e-5), NN_ERR_SHAPE, "of nothing");
    FAILS(c, nn_layernorm(x, one, one, 1e-5), NN_ERR_SHAPE, "weight");
    FAILS(c, nn_layernorm(x, one, NULL, 1e-5), NN_ERR_NULL, "layernorm: operand 3");
    FAILS(c, nn_layernorm(x, nn_ones(c, NN_F32, NN_SHAPE(3)), one, 1e-5), NN_ERR_SHAPE, "bias");
    FAILS(c, nn_layernorm(ints, nn_ones(c, NN_I32, NN_SHAPE(3)), nn_ones(c, NN_I32, NN_SHAPE(3)), 1e-5), NN_ERR_DTYPE, "i32");
    FAILS(c, nn_mse(x, nn_ones(c, NN_F32, NN_SHAPE(3))), NN_ERR_SHAPE, "must have equal shapes");
    FAILS(c, nn_mse(empty, empty), NN_ERR_SHAPE, "of nothing");
    FAILS(c, nn_mean(empty, NN_ALL, 0), NN_ERR_SHAPE, "mean of nothing");
    FAILS(c, nn_max(empty, NN_AXES(1), 0), NN_ERR_SHAPE, "max of nothing");
    FAILS(c, nn_dropout(x, -0.1, 1), NN_ERR_ARG, "probability");
    FAILS(c, nn_dropout(x, NAN, 0), NN_ERR_ARG, "probability");
    FAILS(c, nn_requires_grad(ints), NN_ERR_DTYPE, "i32");
    FAILS(c, nn_f64(x), NN_ERR_DTYPE, "the tensor is f32, not f64");
    FAILS(c, nn_i64(ints), NN_ERR_DTYPE, "i32, not i64");
    FAILS(c, nn_u8(x), NN_ERR_DTYPE, "f32, not u8");
    FAILS(c, nn_f32(nn_slice(x, 1, 0, 2, 1)), NN_ERR_ARG, "strided view");
    FAILS(c, nn_assign(x, half), NN_ERR_DTYPE, "assign");
    FAILS(c, nn_assign(x, one), NN_ERR_SHAPE, "assign");
    FAILS(c, nn_to_device(x, -1), NN_ERR_DEVICE, "device -1");
    FAILS(c, nn_to_device(x, 2), NN_ERR_DEVICE, "device 2");
    /* labels */
    for (int i = 0; i < 3; i++) {
        FAILS(c, nn_cross_entropy(x, nn_full(c, kinds[i], rows, 3)), NN_ERR_RANGE, "is outside 0 ... 2");
        FAILS(c, nn_cross_entropy(x, nn_full(c, kinds[i], rows, 127)), NN_ERR_RANGE, "is outside 0 ... 2");
        if (kinds[i] != NN_U8) FAILS(c, nn_cross_entropy(x, nn_full(c, kinds[i], rows, -1)), NN_ERR_RANGE, "is outside 0 ... 2");
        if (kinds[i] != NN_U8) FAILS(c, nn_cross_entropy(x, nn_full(c, kinds[i], rows, -2147483648.0)), NN_ERR_RANGE, "is outside 0 ... 2");
        FAILS(c, nn_one_hot(nn_full(c, kinds[i], rows, 3), 3, NN_F32), NN_ERR_RANGE, "is outside 0 ... 2");
    }
    FAILS(c, nn_cross_entropy(x, nn_full(c, NN_I64, rows, -9e18)), NN_ERR_RANGE, "label");
    FAILS(c, nn_cross_entropy(x, nn_full(c, NN_I64, rows, 4294967296.0)), NN_ERR_RANGE, "label"); /* 0 in 32 bits */
    FAILS(c, nn_cross_entropy(x, nn_zeros(c, NN_F32, rows)), NN_ERR_DTYPE, "the classes is f32");
    FAILS(c, nn_cross_entropy(x, nn_zeros(c, NN_I8, rows)), NN_ERR_DTYPE, "i8");
    FAILS(c, nn_cross_entropy(x, nn_zeros(c, NN_I32, NN_SHAPE(3))), NN_ERR_SHAPE, "cross_entropy");
    FAILS(c, nn_cross_entropy(x, nn_zeros(c, NN_I32, NN_SHAPE(2, 1))), NN_ERR_SHAPE, "cross_entropy");
    FAILS(c, nn_cross_entropy(x, ints), NN_ERR_SHAPE, "cross_entropy");
    FAILS(c, nn_cross_entropy(empty, nn_zeros(c, NN_I32, rows)), NN_ERR_SHAPE, "of nothing");
    FAILS(c, nn_cross_entropy(nn_ones(c, NN_F32, NN_SCALAR), nn_zeros(c, NN_I32, NN_SCALAR)), NN_ERR_SHAPE, "of nothing");
    FAILS_NAN(c, nn_accuracy(x, x), NN_ERR_DTYPE, "accuracy");
    FAILS_NAN(c, nn_accuracy(x, nn_zeros(c, NN_I32, NN_SHAPE(5))), NN_ERR_SHAPE, "accuracy");
    FAILS_NAN(c, nn_accuracy(empty, nn_zeros(c, NN_I32, rows)), NN_ERR_SHAPE, "of nothing");
    /* two contexts */
    FAILS(c, nn_add(x, of3(f)), NN_ERR_CONTEXT, "operand 2 belongs to another context");
    FAILS(c, nn_matmul(x, of3(f)), NN_ERR_CONTEXT, "operand 2");
    FAILS(c, nn_mse(x, of3(f)), NN_ERR_CONTEXT, "operand 2");
    FAILS(c, nn_assign(x, of3(f)), NN_ERR_CONTEXT, "operand 2");
    FAILS_NAN(c, nn_accuracy(x, nn_zeros(f, NN_I32, rows)), NN_ERR_CONTEXT, "operand 2");
    FAILS(c, nn_data_new(x, nn_zeros(f, NN_I32, rows)), NN_ERR_CONTEXT, "operand 2");
    CHECK(nn_error(f) == NN_OK);
    /* dropped ones */
    w = nn_ones(f, NN_F32, NN_SHAPE(2));
    if (DROPPED_IS_SEEN) {
        nn_reset(f);
        FAILS(f, nn_exp(w), NN_ERR_CONTEXT, "was dropped by nn_reset");
        FAILS_NAN(f, nn_get(w, NN_SHAPE(0)), NN_ERR_CONTEXT, "was dropped");
        FAILS(f, nn_keep(w), NN_ERR_CONTEXT, "was dropped");
        FAILS(c, nn_share(c, w), NN_ERR_CONTEXT, "was dropped");
    }
    /* gradients */
    w = nn_requires_grad(nn_clone(x));
    FAILS(c, nn_backward(nn_exp(w)), NN_ERR_SHAPE, "one is needed");
    FAILS(c, nn_backward(one), NN_ERR_GRAD, "nothing to differentiate");
    FAILS(c, nn_backward_from(nn_exp(w), one, 0), NN_ERR_SHAPE, "y [2,3] and dy [1]");
    FAILS(c, nn_backward_from(nn_exp(w), half, 0), NN_ERR_DTYPE, "backward");
    FAILS(c, nn_backward_from(nn_exp(w), of3(f), 0), NN_ERR_CONTEXT, "operand 2");
    FAILS(c, nn_retain_grad(x), NN_ERR_GRAD, "nothing to differentiate");
    FAILS(c, nn_fill(w, 1), NN_ERR_GRAD, "in-place");
    FAILS(c, nn_set(w, NN_SHAPE(0, 0), 1), NN_ERR_GRAD, "in-place");
    FAILS(c, nn_assign(w, x), NN_ERR_GRAD, "in-place");
    FAILS(c, nn_grad_of(nn_sum(nn_exp(x), NN_ALL, 0), NULL, &w, 1, dx, 0), NN_ERR_GRAD, "nothing to differentiate");
    /* ops of one's own that are not complete */
    {
        nn_op op = own_op(NULL, run_copy);
        FAILS(c, nn_apply(&op, &x, 1, NULL, dx), NN_ERR_ARG, "shape and run are needed");
        op = own_op(shape_same, NULL);
        FAILS(c, nn_apply(&op, &x, 1, NULL, dx), NN_ERR_ARG, "shape and run are needed");
        op = own_op(shape_same, run_copy);
        dx[0] = dx[1] = x;
        FAILS(c, nn_apply(&op, dx, 2, NULL, &w), NN_ERR_ARG, "wrong number of inputs");
        op.attr_size = 8;
        FAILS(c, nn_apply(&op, &x, 1, NULL, &w), NN_ERR_NULL, "attr");
        op = own_op(shape_silent, run_copy);
        FAILS(c, nn_apply(&op, &x, 1, NULL, &w), NN_ERR_ARG, "without a message");
    }
    nn_end(c);
    CHECK(heap.blocks == 0);
}

static nn_tensor *net_bad_name(nn_scope s, nn_tensor *x) { return nn_layer_linear(s, "a b", x, 2); }
static void test_objects(void) {
    nn_ctx   *c = quiet_ctx();
    nn_model *m = nn_model_new(c, net_two, NULL), *hand;
    nn_optim *o;
    nn_data  *d, *a, *b;
    nn_scope  s;
    nn_optim_options oo;
    nn_fit_options   f;
    nn_lr            lr;
    nn_config        g;
    nn_ctx          *e;
    double    bad[4] = {0, 1, -1, NAN};
    /* models */
    FAILS(c, nn_model_build(m, NN_F32, NN_SHAPE(-1, 3)), NN_ERR_SHAPE, "is negative");
    FAILS(c, nn_model_build(m, NN_DTYPES, NN_SHAPE(1, 3)), NN_ERR_DTYPE, "is no dtype");
    FAILS(c, nn_model_dtype(m, NN_I32), NN_ERR_DTYPE, "i32");
    CHECK(nn_summary_text(m, NN_F32, NN_SHAPE(-1), NULL, 0) == -1);
    expect(c, NN_ERR_SHAPE, "is negative", "nn_summary_text of a bad shape", __LINE__);
    FAILS(c, nn_model_build(nn_model_new(c, net_bad_name, NULL), NN_F32, NN_SHAPE(1, 3)), NN_ERR_NAME, "'a b' is no name");
    FAILS(c, nn_model_build(nn_model_new(c, NULL, NULL), NN_F32, NN_SHAPE(1, 3)), NN_ERR_ARG, "no network function");
    m = nn_model_new(c, net_two, NULL);
    CHECK(nn_model_build(m, NN_F32, NN_SHAPE(1, 3)));
    FAILS(c, nn_forward(m, nn_ones(c, NN_F32, NN_SHAPE(2, 5))), NN_ERR_NAME, "was [4,3] and is now asked for as [4,5]");
    FAILS(c, nn_forward(m, nn_ones(c, NN_I32, NN_SHAPE(2, 3))), NN_ERR_DTYPE, "");
    FAILS(c, nn_forward(m, nn_ones(c, NN_F32, NN_SCALAR)), NN_ERR_SHAPE, "");
    FAILS(c, nn_model_tensor(m, c, ""), NN_ERR_NAME, "no parameter ''");
    CHECK(nn_model_name(m, -1) == NULL && nn_model_name(m, 4) == NULL && nn_model_name(m, INT_MAX) == NULL);
    hand = nn_model_new(c, NULL, NULL);
    s    = nn_enter(hand, c, NN_TRAIN);
    FAILS(c, nn_param(s, "", NN_SHAPE(1), nn_init_zeros()), NN_ERR_NAME, "is no name");
    FAILS(c, nn_param(s, "w", NN_SHAPE(-1), nn_init_zeros()), NN_ERR_SHAPE, "is negative");
    FAILS(c, nn_param(s, "w", NN_SHAPE(INT64_MAX), nn_init_zeros()), NN_ERR_RANGE, "does not fit");
    FAILS(c, nn_buffer(s, "w.x", NN_SHAPE(1), nn_init_zeros()), NN_ERR_NAME, "is no name");
    FAILS(c, nn_state(s, "w/x", NN_F32, NN_SHAPE(1)), NN_ERR_NAME, "is no name");
    FAILS(c, nn_state(s, "h", NN_F32, NN_SHAPE(-1)), NN_ERR_SHAPE, "is negative");
    FAILS(c, nn_in(s, "").at, NN_ERR_NAME, "is no name");
    FAILS(c, nn_layer_dropout(s, of3(c), 2), NN_ERR_ARG, "probability");
    FAILS(c, nn_layer_layernorm(s, "norm", nn_ones(c, NN_F32, NN_SHAPE(2, 0))), NN_ERR_SHAPE, "");
    /* optimisers */
    oo = nn_optim_defaults(); oo.kind = (nn_optim_kind)99;
    FAILS(c, nn_optim_new(m, &oo), NN_ERR_ARG, "kind cannot be 99");
    oo = nn_optim_defaults(); oo.beta1 = 1;
    FAILS(c, nn_optim_new(m, &oo), NN_ERR_ARG, "beta1");
    oo = nn_optim_defaults(); oo.beta2 = -1;
    FAILS(c, nn_optim_new(m, &oo), NN_ERR_ARG, "beta2");
    oo = nn_optim_defaults(); oo.eps = NAN;
    FAILS(c, nn_optim_new(m, &oo), NN_ERR_ARG, "eps");
    oo = nn_optim_defaults(); oo.weight_decay = -1;
    FAILS(c, nn_optim_new(m, &oo), NN_ERR_ARG, "weight_decay");
    oo = nn_optim_defaults(); oo.momentum = INFINITY;
    FAILS(c, nn_optim_new(m, &oo), NN_ERR_ARG, "momentum");
    FAILS(c, nn_adam(m, NAN), NN_ERR_ARG, "lr");
    o = nn_adam(m, 0.1f);
    FAILS(c, nn_set_lr(o, nn_lr_constant(-1)), NN_ERR_ARG, "lr");
    lr = nn_lr_cosine(0.1f, 10, 5, 0);
    FAILS(c, nn_set_lr(o, lr), NN_ERR_ARG, "total");
    FAILS_NAN(c, nn_clip_grad_norm(o, 0), NN_ERR_ARG, "max");
    FAILS_NAN(c, nn_clip_grad_norm(o, NAN), NN_ERR_ARG, "max");
    FAILS(c, nn_step(o), NN_ERR_GRAD, "no parameter has a gradient");
    FAILS(c, nn_step_from(o, &c, 0), NN_ERR_GRAD, "no parameter has a gradient");
    /* data */
    FAILS(c, nn_data_new(of3(c), nn_zeros(c, NN_I32, NN_SHAPE(3))), NN_ERR_SHAPE, "x has 2 samples, y has 3");
    FAILS(c, nn_data_new(nn_ones(c, NN_F32, NN_SCALAR), nn_zeros(c, NN_I32, NN_SHAPE(1))), NN_ERR_SHAPE, "at least 1");
    FAILS(c, nn_data_new(nn_ones(c, NN_F32, NN_SHAPE(0, 2)), nn_zeros(c, NN_I32, NN_SHAPE(0))), NN_ERR_SHAPE, "of nothing");
    d = nn_data_new(of3(c), nn_zeros(c, NN_I32, NN_SHAPE(2)));
    for (int i = 0; i < 4; i++) FAILS(c, nn_data_split(d, bad[i], &a, &b), NN_ERR_ARG, "empty");
    CHECK(a == NULL && b == NULL);
    FAILS(c, nn_data_batch(d, 0, 0), NN_ERR_ARG, "size cannot be 0");
    FAILS(c, nn_data_batch(d, INT64_MIN, 0), NN_ERR_ARG, "size");
    FAILS(c, nn_data_x(d, 1, 2), NN_ERR_RANGE, "index 3 is outside axis 0 of size 2");
    FAILS(c, nn_data_x(d, -1, 1), NN_ERR_RANGE, "index");
    FAILS(c, nn_data_y(d, 0, -1), NN_ERR_RANGE, "index");
    FAILS(c, nn_data_y(d, INT64_MAX, INT64_MAX), NN_ERR_RANGE, "index");
    FAILS(c, nn_data_x(d, INT64_MIN, INT64_MIN), NN_ERR_RANGE, "index");
    f = nn_fit_defaults(); f.quiet = 1; f.epochs = -1;
    FAILS(c, nn_fit(m, d, &f).epochs, NN_ERR_ARG, "epochs");
    f = nn_fit_defaults(); f.quiet = 1; f.batch = INT_MIN;
    FAILS(c, nn_fit(m, d, &f).epochs, NN_ERR_ARG, "batch");
    f = nn_fit_defaults(); f.quiet = 1; f.validation = 1;
    FAILS(c, nn_fit(m, d, &f).epochs, NN_ERR_ARG, "validation");
    f = nn_fit_defaults(); f.quiet = 1; f.clip = NAN;
    FAILS(c, nn_fit(m, d, &f).epochs, NN_ERR_ARG, "clip");
    f = nn_fit_defaults(); f.quiet = 1; f.lr = -1;
    FAILS(c, nn_fit(m, d, &f).epochs, NN_ERR_ARG, "lr");
    d = nn_data_new(of3(c), nn_full(c, NN_I32, NN_SHAPE(2), 9)); /* classes that the network does not have */
    f = nn_fit_defaults(); f.quiet = 1;
    FAILS(c, nn_fit(m, d, &f).epochs, NN_ERR_RANGE, "is outside 0 ... 1");
    FAILS_NAN(c, nn_evaluate(m, d, NULL).loss, NN_ERR_RANGE, "is outside 0 ... 1");
    /* contexts */
    g = quiet_config(); g.isa = "";
    e = nn_begin(&g);
    CHECK(e != NULL && nn_error(e) == NN_OK);
    nn_end(e);
    g.shape_only = 1;
    e = nn_begin(&g);
    d = nn_data_new(of3(e), nn_zeros(e, NN_I32, NN_SHAPE(2)));
    FAILS_NAN(e, nn_item(nn_sum(of3(e), NN_ALL, 0)), NN_ERR_ARG, "shape-only");
    FAILS(e, nn_ptr(of3(e)), NN_ERR_ARG, "shape-only");
    if (d) { nn_batch batch; FAILS(e, nn_data_next(d, &batch), NN_ERR_ARG, "shape-only"); }
    nn_end(e);
    nn_end(c);
    CHECK(heap.blocks == 0);
}

// =====================================================================================================
// d. bad input: files
// =====================================================================================================
static int file_refused(nn_ctx *c, const char *header, size_t n, const char *part) { /* a safetensors file that must not open */
    unsigned char bytes[8192];
    size_t        size = make_file(bytes, header, n);
    nn_file      *f = nn_file_memory(c, bytes, size);
    int           ok = !f && nn_error(c) == NN_ERR_FORMAT && strstr(nn_error_text(c), part) != NULL;
    if (!ok) printf("   %.200s + %d: %s, %d: %s\n", header, (int)n, f ? "opened" : "refused", (int)nn_error(c), nn_error_text(c));
    nn_error_clear(c);
    nn_file_close(f);
    return ok;
}
static int file_opens(nn_ctx *c, const char *header, size_t n, int count) {
    unsigned char bytes[8192];
    nn_file      *f = nn_file_memory(c, bytes, make_file(bytes, header, n));
    int           ok = f && nn_error(c) == NN_OK && nn_file_count(f) == count;
    if (!ok) printf("   %.200s + %d: %d: %s\n", header, (int)n, (int)nn_error(c), nn_error_text(c));
    nn_error_clear(c);
    nn_file_close(f);
    return ok;
}

static void test_safetensors(void) {
    nn_ctx       *c = quiet_ctx();
    nn_file      *f;
    nn_tensor    *x;
    unsigned char bytes[8192], raw[64];
    char          text[8000];
    size_t        size, n;
    const char   *good = "{\"__metadata__\":{\"format\":\"pt\"},\"a\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,24]},\"b\":{\"dtype\":\"I64\",\"shape\":[],\"data_offsets\":[24,32]}}";
    static const char *const broken[] = { /* each with 24 bytes of data */
        "", "{", "}", "[]", "null", "\"a\"", "{]", "{\"a\"}", "{\"a\":}", "{\"a\":1}", "{\"a\":[]}", "{\"a\":null}", "{\"a\":{}}", "{a:{}}", "{'a':{}}", "{,}",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[2,3]}}", "{\"a\":{\"dtype\":\"F32\",\"data_offsets\":[0,24]}}", "{\"a\":{\"shape\":[2,3],\"data_offsets\":[0,24]}}",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,24]}", "{\"a\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,24]}}}",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,24]},}", "{\"a\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,24],}}",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[2,3,],\"data_offsets\":[0,24]}}", "{\"a\":{\"dtype\":\"F32\",\"shape\":[,2,3],\"data_offsets\":[0,24]}}",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[2 3],\"data_offsets\":[0,24]}}", "{\"a\":{\"dtype\":\"F32\",\"shape\":[2.0,3],\"data_offsets\":[0,24]}}",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[-2,-3],\"data_offsets\":[0,24]}}", "{\"a\":{\"dtype\":\"F32\",\"shape\":[[2],3],\"data_offsets\":[0,24]}}",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":\"2,3\",\"data_offsets\":[0,24]}}", "{\"a\":{\"dtype\":\"F32\",\"shape\":6,\"data_offsets\":[0,24]}}", "{\"a\":{\"dtype\":\"F32\",\"shape\":[6e0],\"data_offsets\":[0,24]}}",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0]}}", "{\"a\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,24,24]}}", "{\"a\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[]}}",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[-24,0]}}", "{\"a\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[24,0]}}", "{\"a\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[1,25]}}",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,23]}}", "{\"a\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[4,24]}}", "{\"a\":{\"dtype\":\"F64\",\"shape\":[2,3],\"data_offsets\":[0,24]}}",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[18446744073709551608,16]}}", "{\"a\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[9223372036854775800,9223372036854775824]}}",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[18446744073709551616,18446744073709551640]}}", "{\"a\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[99999999999999999999999999,24]}}",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[1,1,1,1,1,2,3],\"data_offsets\":[0,24]}}", "{\"a\":{\"dtype\":\"F32\",\"shape\":[18446744073709551615],\"data_offsets\":[0,24]}}",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[4611686018427387904,4],\"data_offsets\":[0,0]}}", "{\"a\":{\"dtype\":\"F32\",\"shape\":[4294967296,4294967296],\"data_offsets\":[0,0]}}",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[0,18446744073709551615],\"data_offsets\":[0,0]}}", "{\"a\":{\"dtype\":\"F32\",\"shape\":[99999999999999999999],\"data_offsets\":[0,24]}}",
        "{\"a\":{\"dtype\":\"F31\",\"shape\":[2,3],\"data_offsets\":[0,24]}}", "{\"a\":{\"dtype\":\"\",\"shape\":[2,3],\"data_offsets\":[0,24]}}", "{\"a\":{\"dtype\":\"f32\",\"shape\":[2,3],\"data_offsets\":[0,24]}}",
        "{\"a\":{\"dtype\":7,\"shape\":[2,3],\"data_offsets\":[0,24]}}", "{\"a\":{\"dtype\":\"C64\",\"shape\":[3],\"data_offsets\":[0,24]}}",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,24],\"more\":{\"x\":[1]}}}", "{\"a\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,24]}} x", "{\"a\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,24]}}{}",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[0,12]},\"a\":{\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[12,24]}}",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[0,12]},\"\\u0061\":{\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[12,24]}}",
        "{\"a\\x\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,24]}}", "{\"a\\u12\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,24]}}", "{\"a\\u00g0\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,24]}}",
        "{\"a\\u0000\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,24]}}", "{\"a\n\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,24]}}",
        "{\"\\ud800\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,24]}}", "{\"\\ud800\\u0041\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,24]}}", "{\"\\ud800x\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,24]}}",
        "{\"\\udc00\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,24]}}", "{\"\\udfff\\ud800\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,24]}}",
        "{\"a", "{\"a\\", "{\"a\\u", "{\"a\\ud800\\", "{\"a\":{\"", "{\"a\":{\"dtype", "{\"a\":{\"dtype\":\"F32", "{\"a\":{\"dtype\":\"F32\",\"shape\":[", "{\"a\":{\"dtype\":\"F32\",\"shape\":[2",
        "{\"__metadata__\":{\"a\":1}}", "{\"__metadata__\":{\"a\":{}}}", "{\"__metadata__\":[]}", "{\"__metadata__\":{\"a\":\"b\",}}", "{\"__metadata__\":\"a\"}"};
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) CHECK(file_refused(c, broken[i], 24, "safetensors data: "));

    /* what is right opens, with spaces, escapes, zero sizes, any order */
    CHECK(file_opens(c, good, 32, 2) && file_opens(c, "{}", 0, 0) && file_opens(c, " { } \n\t\r ", 0, 0));
    CHECK(file_opens(c, " {\"b\" : { \"shape\" : [ 3 ] , \"data_offsets\" : [ 12 , 24 ] , \"dtype\" : \"F32\" } , \"a\" : {\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[0,12]}}  ", 24, 2));
    CHECK(file_opens(c, "{\"\\u00e9\\ud83d\\ude00\\\"\\\\\\/\\b\\f\\n\\r\\t\":{\"dtype\":\"F32\",\"shape\":[0,5],\"data_offsets\":[0,0]}}", 0, 1));
    CHECK(file_opens(c, "{\"a\":{\"dtype\":\"BOOL\",\"shape\":[3],\"data_offsets\":[0,3]}}", 3, 1));

    /* bytes after the last tensor, and between them */
    CHECK(file_refused(c, good, 33, "safetensors data: "));
    CHECK(file_refused(c, good, 3200, "safetensors data: "));
    CHECK(file_refused(c, "{}", 1, "safetensors data: "));
    CHECK(file_refused(c, "{\"a\":{\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[8,20]}}", 20, "safetensors data: "));
    { /* a NUL is no space */
        static const char *const nul[] = {"{}@", "@{}", "{\"a\":{\"dtype\":\"U8\",\"shape\":[@2],\"data_offsets\":[0,2]}}", "{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]}@}", "{@\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]}}"};
        for (int i = 0; i < 5; i++) {
            size = make_file(bytes, nul[i], i < 2 ? 0 : 2);
            for (size_t k = 8; k < size; k++) if (bytes[k] == '@') bytes[k] = 0;
            f = nn_file_memory(c, bytes, size);
            check(!f && nn_error(c) == NN_ERR_FORMAT, nul[i], __LINE__);
            nn_error_clear(c);
            nn_file_close(f);
        }
    }
    /* every length of a good file, and every byte of it changed: an error or a file, never a crash */
    size = make_file(bytes, good, 32);
    for (n = 0; n < size; n++) {
        unsigned char *cut = (unsigned char *)malloc(n ? n : 1); /* exactly as long: a sanitizer sees what reads past it */
        if (!cut) break;
        memcpy(cut, bytes, n);
        if (nn_file_memory(c, cut, n) || nn_error(c) != NN_ERR_FORMAT) { CHECK(!"a file cut short opened"); printf("   %d of %d bytes\n", (int)n, (int)size); }
        nn_error_clear(c);
        free(cut);
    }
    passed++;
    for (n = 0; n < size - 32; n++)
        for (int how = 0; how < 6; how++) {
            static const unsigned char to[6] = {0, '"', '9', 0xff, '{', '\\'};
            unsigned char old = bytes[n];
            bytes[n] = to[how];
            f = nn_file_memory(c, bytes, size);
            for (int i = 0; i < nn_file_count(f); i++) (void)nn_file_tensor(f, nn_file_name(f, i));
            if (f && nn_error(c) != NN_OK) CHECK(!"a file with a changed byte opened, but cannot be read");
            if (!f && nn_error(c) != NN_ERR_FORMAT) CHECK(!"a file with a changed byte failed for another reason");
            nn_error_clear(c);
            nn_file_close(f);
            nn_reset(c);
            bytes[n] = old;
        }
    passed++;
    /* lengths of the header that cannot be */
    for (int i = 0; i < 5; i++) {
        static const uint64_t lengths[5] = {UINT64_MAX, (uint64_t)1 << 63, UINT64_MAX - 7, (uint64_t)1 << 40, 1000};
        for (int k = 0; k < 8; k++) bytes[k] = (unsigned char)(lengths[i] >> (8 * k));
        FAILS(c, nn_file_memory(c, bytes, size), NN_ERR_FORMAT, "safetensors");
    }
    FAILS(c, nn_file_memory(c, bytes, SIZE_MAX), NN_ERR_MEMORY, "");
    FAILS(c, nn_file_memory(c, bytes, SIZE_MAX / 2 + 5), NN_ERR_MEMORY, "");
    /* deep nesting: no recursion to run out of */
    memset(text, '[', sizeof text - 1); text[sizeof text - 1] = 0;
    CHECK(file_refused(c, text, 0, "header"));
    for (n = 0; n + 6 < sizeof text; n += 5) memcpy(text + n, "{\"a\":", 5);
    text[n] = 0;
    CHECK(file_refused(c, text, 0, "header"));
    memset(text, ' ', sizeof text - 1);
    memcpy(text, "{\"a\":{\"dtype\":\"F32\",\"shape\":[", 29);
    memset(text + 29, '1', 7000);
    text[7500] = 0;
    CHECK(file_refused(c, text, 4, "safetensors data"));
    /* a tensor that is not there, numbers that are not there */
    size = make_file(bytes, good, 32);
    f = nn_file_memory(c, bytes, size);
    FAILS(c, nn_file_tensor(f, "c"), NN_ERR_NAME, "the file has no tensor 'c'");
    CHECK(nn_file_name(f, -1) == NULL && nn_file_name(f, 2) == NULL && nn_file_shape(f, 2).ndim == 0 && nn_file_dtype(f, INT_MIN) == NN_F32);
    x = nn_file_tensor(f, "a");
    CHECK(x && nn_read(x, raw, 24) && !memcmp(raw, bytes + size - 32, 24) && nn_error(c) == NN_OK);
    nn_end(c);
    CHECK(heap.blocks == 0);
}

/* nn_load of what does not fit leaves the model as it was, bit for bit. */
static void test_load(void) {
    nn_ctx       *c = quiet_ctx();
    nn_model     *m = nn_model_new(c, net_two, NULL), *w = model_w(c), *hand, *late;
    nn_tensor    *t[5], *x = of3(c);
    const char   *names[5] = {"in.weight", "in.bias", "out.weight", "out.bias", "extra"};
    float         before[26], now[26];
    CHECK(nn_model_build(m, NN_F32, NN_SHAPE(1, 3)) && nn_model_count(m) == 4 && nn_model_size(m) == 26);
    FAILS(c, load_text(w, "{}", 0), NN_ERR_NAME, "the file has no tensor 'w'");
    FAILS(c, load_text(w, "{\"w\":{\"dtype\":\"F32\",\"shape\":[1,2],\"data_offsets\":[0,8]}}", 8), NN_ERR_NAME, "the file's 'w' is [1,2], the parameter is [2]");
    FAILS(c, load_text(w, "{\"w\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},\"v\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[8,8]}}", 8), NN_ERR_NAME, "the file's tensor 'v' belongs to no parameter");
    FAILS(c, load_text(w, "{\"w\":{\"dtype\":\"I64\",\"shape\":[2],\"data_offsets\":[0,16]}}", 16), NN_ERR_NAME, "i64");
    FAILS(c, load_text(w, "{\"w\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,9]}}", 9), NN_ERR_FORMAT, "");
    CHECK(nn_get(nn_model_tensor(w, c, "w"), NN_SHAPE(0)) == 3 && nn_get(nn_model_tensor(w, c, "w"), NN_SHAPE(1)) == 3);
    CHECK(load_text(w, "{\"w\":{\"dtype\":\"F16\",\"shape\":[2],\"data_offsets\":[0,4]}}", 4) && nn_error(c) == NN_OK); /* real types convert */
#if !defined(NN_NO_STDIO)
    for (int wrong = 0; wrong < 9; wrong++) { /* 0-3: one is missing; 4-7: one has another shape; 8: one is left over */
        const char *list[5];
        nn_tensor  *have[5];
        int         n = 0;
        for (int i = 0; i < 5; i++) {
            if (i < 4) t[i] = nn_full(c, NN_F32, nn_shape_of(nn_model_tensor(m, c, names[i])), 5);
            else t[i] = nn_ones(c, NN_F32, NN_SHAPE(1));
            if (wrong == i || (i == 4 && wrong != 8)) continue;
            if (wrong == i + 4 && wrong != 8) t[i] = nn_reshape(t[i], NN_SHAPE(1, -1, 1));
            list[n]   = names[i];
            have[n++] = t[i];
        }
        for (int i = 0, at = 0; i < 4; i++) { nn_tensor *p = nn_model_tensor(m, c, names[i]); (void)nn_read(p, before + at, (size_t)nn_numel(p) * 4); at += (int)nn_numel(p); }
        CHECK(nn_file_write(c, file_name[0], list, have, n) && nn_error(c) == NN_OK);
        CHECK(!nn_load(m, file_name[0]) && nn_error(c) == NN_ERR_NAME);
        nn_error_clear(c);
        for (int i = 0, at = 0; i < 4; i++) { nn_tensor *p = nn_model_tensor(m, c, names[i]); (void)nn_read(p, now + at, (size_t)nn_numel(p) * 4); at += (int)nn_numel(p); }
        CHECK(!memcmp(before, now, sizeof now));
    }
    { /* an optimiser's file whose last tensor does not fit: neither model nor optimiser change */
        nn_optim      *o = nn_adam(m, 0.1f), *o2 = nn_adam(m, 0.1f);
        unsigned char *bytes;
        size_t         size = 0, at;
        int            cut = 0;
        CHECK(nn_backward(nn_mean(nn_square(nn_forward(m, x)), NN_ALL, 0)) && nn_step(o) && nn_optim_save(o, file_name[1]));
        for (int i = 0; i < 4; i++) (void)nn_fill(nn_detach(nn_model_tensor(m, c, names[i])), 0.5 + i);
        for (int i = 0, k = 0; i < 4; i++) { nn_tensor *p = nn_model_tensor(m, c, names[i]); (void)nn_read(p, before + k, (size_t)nn_numel(p) * 4); k += (int)nn_numel(p); }
        bytes = get_file(file_name[1], &size);
        CHECK(bytes && size > 100);
        for (at = 8; bytes && at + 30 < size; at++) /* the name of the last moment */
            if (!memcmp(bytes + at, "optim.out.bias.v\"", 17)) { bytes[at + 15] = 'u'; cut = 1; break; }
        CHECK(cut && put_file(file_name[2], bytes, size));
        FAILS(c, nn_optim_load(o2, file_name[2]), NN_ERR_NAME, "the file has no tensor 'optim.out.bias.v'");
        for (int i = 0, k = 0; i < 4; i++) { nn_tensor *p = nn_model_tensor(m, c, names[i]); (void)nn_read(p, now + k, (size_t)nn_numel(p) * 4); k += (int)nn_numel(p); }
        check(!memcmp(before, now, sizeof now), "nn_optim_load of a misfit leaves the model unchanged", __LINE__);
        for (size_t n = 0; bytes && n < size; n += n < 900 || n + 40 > size ? 1 : 37) { /* truncated on disk */
            if (!put_file(file_name[2], bytes, n)) break;
            if (nn_optim_load(o2, file_name[2]) || nn_error(c) != NN_ERR_FORMAT) CHECK(!"a file cut short was loaded");
            nn_error_clear(c);
            if (nn_load(m, file_name[2]) || nn_error(c) != NN_ERR_FORMAT) CHECK(!"a file cut short was loaded");
            nn_error_clear(c);
        }
        passed++;
        for (int i = 0, k = 0; i < 4; i++) { nn_tensor *p = nn_model_tensor(m, c, names[i]); (void)nn_read(p, now + k, (size_t)nn_numel(p) * 4); k += (int)nn_numel(p); }
        check(!memcmp(before, now, sizeof now), "files cut short leave the model unchanged", __LINE__);
        free(bytes);
        CHECK(nn_save(m, file_name[0]));
        FAILS(c, nn_optim_load(o2, file_name[0]), NN_ERR_NAME, "optim.step");
        FAILS(c, nn_optim_load(nn_adam(nn_model_new(c, net_two, NULL), 0.1f), file_name[1]), NN_ERR_ARG, "no parameters yet");
    }
    FAILS(c, nn_load(m, "no such folder/file"), NN_ERR_FILE, "no such folder/file: ");
    FAILS(c, nn_optim_load(nn_adam(m, 0.1f), "no such folder/file"), NN_ERR_FILE, "no such folder/file: ");
    FAILS(c, nn_save(m, "no such folder/file"), NN_ERR_FILE, "cannot be written");
    FAILS(c, nn_save(m, ""), NN_ERR_FILE, "");
    FAILS(c, nn_load(m, ""), NN_ERR_FILE, "");
    FAILS(c, nn_file_write(c, "no such folder/file", names, t, 1), NN_ERR_FILE, "cannot be written");
    FAILS(c, nn_save(m, "."), NN_ERR_FILE, "");
#else
    (void)names; (void)t; (void)before; (void)now;
#endif
    /* a file that waits for the names, and does not fit them */
    late = nn_model_new(c, net_two, NULL);
    CHECK(load_text(late, "{\"w\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", 8));
    FAILS(c, nn_forward(late, x), NN_ERR_NAME, "the file");
    CHECK(nn_forward(late, x) != NULL && nn_error(c) == NN_OK);
    /* a model run by hand: what is there already is loaded too */
    hand = nn_model_new(c, NULL, NULL);
    (void)nn_param(nn_enter(hand, c, NN_TRAIN), "w", NN_SHAPE(2), nn_init_const(3));
    CHECK(load_text(hand, "{\"w\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", 8) && nn_error(c) == NN_OK);
    check(nn_get(nn_param(nn_enter(hand, c, NN_TRAIN), "w", NN_SHAPE(2), nn_init_const(3)), NN_SHAPE(0)) != 3, "nn_load into a model that was run by hand", __LINE__);
    nn_error_clear(c);
    hand = nn_model_new(c, NULL, NULL); /* and all or nothing of it */
    (void)nn_param(nn_enter(hand, c, NN_TRAIN), "a", NN_SHAPE(2), nn_init_const(3));
    (void)nn_param(nn_enter(hand, c, NN_TRAIN), "b", NN_SHAPE(2), nn_init_const(3));
    CHECK(!load_text(hand, "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[8,12]}}", 12));
    expect(c, NN_ERR_NAME, "the file's 'b' is [1], the parameter is [2]", "nn_load of a misfit into a model run by hand", __LINE__);
    check(nn_get(nn_param(nn_enter(hand, c, NN_TRAIN), "a", NN_SHAPE(2), nn_init_const(3)), NN_SHAPE(0)) == 3, "nn_load of a misfit leaves a model run by hand unchanged", __LINE__);
    nn_error_clear(c);
    nn_end(c);
    CHECK(heap.blocks == 0);
}

static void put32(unsigned char *to, uint32_t v) { for (int i = 0; i < 4; i++) to[i] = (unsigned char)(v >> (24 - 8 * i)); }
static void test_idx(void) {
    nn_ctx       *c = quiet_ctx();
    nn_tensor    *x;
    unsigned char b[64], l[16];
    size_t        size = 4 + 12 + 2 * 3 * 2;
    memset(b, 0, sizeof b);
    b[2] = 8; b[3] = 3;
    put32(b + 4, 2); put32(b + 8, 3); put32(b + 12, 2);
    for (int i = 0; i < 12; i++) b[16 + i] = (unsigned char)i;
    x = nn_idx(c, b, size);
    CHECK(x && nn_ndim(x) == 3 && nn_get(x, NN_SHAPE(1, 2, 1)) == 11);
    for (size_t n = 0; n < size; n++) {
        unsigned char *cut = (unsigned char *)malloc(n ? n : 1);
        if (!cut) break;
        memcpy(cut, b, n);
        if (nn_idx(c, cut, n) || nn_error(c) != NN_ERR_FORMAT) CHECK(!"an idx file cut short was read");
        nn_error_clear(c);
        free(cut);
    }
    passed++;
    FAILS(c, nn_idx(c, b, size + 1), NN_ERR_FORMAT, "length");
    b[0] = 1; FAILS(c, nn_idx(c, b, size), NN_ERR_FORMAT, "not an idx file"); b[0] = 0;
    b[1] = 1; FAILS(c, nn_idx(c, b, size), NN_ERR_FORMAT, "not an idx file"); b[1] = 0;
    for (int type = 0; type < 256; type++) {
        if (type == 8 || type == 9) continue;
        b[2] = (unsigned char)type;
        if (nn_idx(c, b, size) || nn_error(c) != NN_ERR_FORMAT) CHECK(!"an idx file of a wrong type was read");
        nn_error_clear(c);
    }
    b[2] = 8;
    for (int rank = 0; rank < 256; rank++) {
        if (rank == 3) continue;
        b[3] = (unsigned char)rank;
        if (nn_idx(c, b, size) || nn_error(c) == NN_OK) CHECK(!"an idx file of a wrong rank was read");
        nn_error_clear(c);
    }
    passed++;
    b[3] = 3;
    put32(b + 4, 0xffffffffu); FAILS(c, nn_idx(c, b, size), NN_ERR_FORMAT, "length");
    put32(b + 8, 0xffffffffu); FAILS(c, nn_idx(c, b, size), NN_ERR_RANGE, "does not fit");
    put32(b + 12, 0xffffffffu); FAILS(c, nn_idx(c, b, size), NN_ERR_RANGE, "does not fit");
    put32(b + 4, 0x80000000u); put32(b + 8, 0x80000000u); put32(b + 12, 4); FAILS(c, nn_idx(c, b, size), NN_ERR_RANGE, "does not fit"); /* 2^64 bytes */
    put32(b + 4, 2); put32(b + 8, 3); put32(b + 12, 2);
    FAILS(c, nn_idx(c, "\x1f\x8b\x08\x00 packed", 11), NN_ERR_FORMAT, "unpack it first");
#if !defined(NN_NO_STDIO)
    memset(l, 0, sizeof l);
    l[2] = 8; l[3] = 1;
    put32(l + 4, 2); l[8] = 1; l[9] = 0;
    CHECK(put_file(file_name[0], b, size) && put_file(file_name[1], l, 10));
    CHECK(nn_data_count(nn_data_idx(c, file_name[0], file_name[1])) == 2 && nn_error(c) == NN_OK);
    FAILS(c, nn_data_idx(c, file_name[0], "no such folder/labels"), NN_ERR_FILE, "no such folder/labels: ");
    FAILS(c, nn_data_idx(c, "no such folder/images", file_name[1]), NN_ERR_FILE, "no such folder/images: ");
    put32(l + 4, 3);
    CHECK(put_file(file_name[1], l, 11));
    FAILS(c, nn_data_idx(c, file_name[0], file_name[1]), NN_ERR_SHAPE, "x has 2 samples, y has 3");
    for (size_t n = 0; n < 11; n++) {
        CHECK(put_file(file_name[1], l, n));
        FAILS(c, nn_data_idx(c, file_name[0], file_name[1]), NN_ERR_FORMAT, file_name[1]);
    }
    put32(l + 4, 0); put32(b + 4, 0);
    CHECK(put_file(file_name[0], b, 16) && put_file(file_name[1], l, 8));
    FAILS(c, nn_data_idx(c, file_name[0], file_name[1]), NN_ERR_SHAPE, "of nothing");
    FAILS(c, nn_data_mnist(c, "no such folder", NN_TEST), NN_ERR_FILE, "no such folder/t10k-images");
#else
    (void)l;
#endif
    nn_end(c);
    CHECK(heap.blocks == 0);
}

static void test_csv(void) {
    static const struct bad { const char *text, *part; } bad[] = {
        {"1,2,3\n4,5\n", "line 2: another number of columns"}, {"1,2,3\n4,5,6,7\n", "line 2: another number of columns"}, {"1,2\n3,x\n", "line 2: a field is not a number"},
        {"x,y\n1,2\n", "line 1: a field is not a number"}, {"1,,0\n", "line 1: a value is missing (set missing)"}, {",1,0\n", "line 1: a value is missing"}, {"1,2,\n", "line 1: a field"}, {"1,-,0\n", "a field"}, {"1,.,0\n", "a field"},
        {"1,e5,0\n", "a field"}, {"1,nan,0\n", "a value is missing"}, {"1,inf,0\n", "a field"}, {"1,0x10,0\n", "line 1: "}, {"1 2,0\n", "line 1: "}, {"1,2;3\n", "line 1: "}, {"1,2,0 x\n", "line 1: "},
        {"1,-1\n", "the class is not a whole number"}, {"1,0.5\n", "the class is not a whole number"}, {"1,1e10\n", "the class is not a whole number"}, {"1,2147483648\n", "the class is not a whole number"},
        {"\"1,0\n", "line 1: "}, {"1,\"0\n", "a field"}, {"\"1\",\"0\n\"", "line 1: "}, {"1\",0\n", "line 1: "}, {"\"\",0\n", "a value is missing"}, {"\"a\",0\n", "a field"}, {"1,2\n\n\n3\n", "line 4: another number"},
        {"", "too few columns"}, {"\n\n", "too few columns"}, {" ", "too few columns"}, {"5\n", "too few columns"}, {"5", "too few columns"}, {"\r\n", "too few columns"}};
    nn_ctx        *c = quiet_ctx();
    nn_csv_options o;
    nn_data       *d;
    char           text[64];
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        size_t n = strlen(bad[i].text);
        char  *cut = (char *)malloc(n ? n : 1); /* no 0 after it */
        if (!cut) break;
        memcpy(cut, bad[i].text, n);
        check(nn_data_csv_text(c, cut, n, NULL) == NULL, bad[i].text, __LINE__);
        expect(c, NN_ERR_FORMAT, bad[i].part, bad[i].text, __LINE__);
        free(cut);
    }
    memcpy(text, "1,2\n3,4\n", 9);
    for (int i = 0; i < 8; i++) { /* a NUL anywhere; only a row's end may be missing */
        char old = text[i];
        text[i] = 0;
        FAILS(c, nn_data_csv_text(c, text, 8, NULL), NN_ERR_FORMAT, "line ");
        text[i] = old;
    }
    o = nn_csv_defaults(); o.header = 1;
    FAILS(c, nn_data_csv_text(c, "a,b\n", 4, &o), NN_ERR_FORMAT, "too few columns");
    FAILS(c, nn_data_csv_text(c, "a,b", 3, &o), NN_ERR_FORMAT, "too few columns");
    FAILS(c, nn_data_csv_text(c, "a,b\n1,x\n", 8, &o), NN_ERR_FORMAT, "line 2: ");
    o = nn_csv_defaults(); o.target = -1;
    FAILS(c, nn_data_csv_text(c, "1,2\n", 4, &o), NN_ERR_ARG, "target cannot be -1");
    o.target = 2;
    FAILS(c, nn_data_csv_text(c, "1,2,3\n", 6, &o), NN_ERR_ARG, "target cannot be 2");
    o.regression = 1; o.target = 3;
    FAILS(c, nn_data_csv_text(c, "1,2,3\n", 6, &o), NN_ERR_FORMAT, "too few columns");
    o.target = INT_MAX;
    FAILS(c, nn_data_csv_text(c, "1,2,3\n", 6, &o), NN_ERR_FORMAT, "too few columns");
    o = nn_csv_defaults(); o.separator = '\t'; /* a table with nothing in it */
    FAILS(c, nn_data_csv_text(c, "\t\t\n", 3, &o), NN_ERR_FORMAT, "line 1");
    /* what is right: line ends of all systems, spaces, quotes, no last line end, tabs, numbers of all sorts */
    d = nn_data_csv_text(c, "1,2,0\r\n3,4,1\r\n", 14, NULL);
    CHECK(nn_data_count(d) == 2 && nn_get(nn_data_x(d, 0, 2), NN_SHAPE(1, 1)) == 4 && nn_get(nn_data_y(d, 0, 2), NN_SHAPE(1)) == 1);
    d = nn_data_csv_text(c, "\r\n\n 1 , \"2\" ,0\n\n+3.5,-4e0,1", 27, NULL);
    CHECK(nn_data_count(d) == 2 && nn_get(nn_data_x(d, 0, 2), NN_SHAPE(1, 0)) == 3.5 && nn_get(nn_data_x(d, 0, 2), NN_SHAPE(1, 1)) == -4);
    d = nn_data_csv_text(c, "1e999,1e-999,.5,5.,0\n", 21, NULL);
    CHECK(nn_get(nn_data_x(d, 0, 1), NN_SHAPE(0, 0)) == INFINITY && nn_get(nn_data_x(d, 0, 1), NN_SHAPE(0, 1)) == 0 && nn_get(nn_data_x(d, 0, 1), NN_SHAPE(0, 3)) == 5);
    expect(c, NN_OK, "", "good csv", __LINE__);
    d = nn_data_csv_text(c, "1\t2\t0\n3\t4\t1\n", 12, &o);
    CHECK(nn_data_count(d) == 2);
    expect(c, NN_OK, "", "csv with tabs between the columns", __LINE__);
    o.separator = ' ';
    d = nn_data_csv_text(c, "1 2 0\n3 4 1\n", 12, &o);
    CHECK(nn_data_count(d) == 2);
    expect(c, NN_OK, "", "csv with spaces between the columns", __LINE__);
    o.separator = ';';
    d = nn_data_csv_text(c, "1;2;0\n3;4;1\n", 12, &o);
    CHECK(nn_data_count(d) == 2);
    expect(c, NN_OK, "", "csv with semicolons", __LINE__);
#if !defined(NN_NO_STDIO)
    FAILS(c, nn_data_csv(c, "no such folder/file.csv", NULL), NN_ERR_FILE, "no such folder/file.csv: ");
    CHECK(put_file(file_name[0], "", 0));
    FAILS(c, nn_data_csv(c, file_name[0], NULL), NN_ERR_FORMAT, "");
    FAILS(c, nn_file_open(c, file_name[0]), NN_ERR_FORMAT, "not a safetensors file");
    FAILS(c, nn_data_idx(c, file_name[0], file_name[0]), NN_ERR_FORMAT, "not an idx file");
    for (int i = 0; i < 4; i++) remove(file_name[i]);
#endif
    nn_end(c);
    CHECK(heap.blocks == 0);
}

// =====================================================================================================
// e. the wider set of ops, losses, metrics, layers, schedules and data
// =====================================================================================================
static nn_tensor *block_null(nn_scope s, nn_tensor *x) { (void)s; (void)x; return NULL; }

static void test_null_wide(void) {
    nn_scope    s;
    nn_tensor  *none[3] = {NULL, NULL, NULL}, *out[4];
    nn_data    *a, *b;
    nn_net      blocks[2] = {net_two, NULL};
    nn_lr       lr;
    nn_plan    *np = NULL;
    char        text[64];
    double      v;
    int         n = 5;
#define NULL_OF(call) CHECK((call) == NULL)
#define ZERO_OF(call) CHECK((call) == 0)
#define NAN_OF(call) do { v = (call); check(v != v, #call " is not NaN", __LINE__); } while (0)
    memset(&s, 0, sizeof s);
    /* tensors, views, copies */
    NULL_OF(nn_scalar_like(NULL, 1));
    NULL_OF(nn_linspace(NULL, NN_F32, 0, 1, 3));
    NULL_OF(nn_eye(NULL, NN_F32, 3));
    NULL_OF(nn_flip(NULL, NN_AXES(0)));
    NULL_OF(nn_repeat(NULL, 2));
    ZERO_OF(nn_split(NULL, 0, NN_SHAPE(1, 1), out));
    ZERO_OF(nn_split(NULL, 0, NN_SHAPE(1, 1), NULL));
    ZERO_OF(nn_chunk(NULL, 0, 2, out));
    ZERO_OF(nn_chunk(NULL, 0, 2, NULL));
    NULL_OF(nn_diagonal(NULL, 0));
    ZERO_OF(nn_meshgrid(none, 2, out));
    ZERO_OF(nn_meshgrid(NULL, 2, out));
    ZERO_OF(nn_meshgrid(NULL, 0, NULL));
    NULL_OF(nn_scatter(NULL, 0, NULL, NULL));
    NULL_OF(nn_take_along(NULL, 0, NULL));
    NULL_OF(nn_index_select(NULL, 0, NULL));
    NULL_OF(nn_index_add(NULL, 0, NULL, 3));
    NULL_OF(nn_stack(none, 2, 0));
    NULL_OF(nn_stack(NULL, 2, 0));
    NULL_OF(nn_stack(NULL, 0, 0));
    NULL_OF(nn_pad(NULL, 0, 1, 1, 0));
    NULL_OF(nn_pad_with(NULL, 0, 1, 1, NN_PAD_REFLECT));
    NULL_OF(nn_max_pool(NULL, 2, 2, 0));
    NULL_OF(nn_avg_pool(NULL, 2, 2, 0));
    NULL_OF(nn_max_pool_with(NULL, NULL, NULL));
    NULL_OF(nn_avg_pool_with(NULL, NULL));
    NULL_OF(nn_lp_pool_with(NULL, 2, NULL));
    NULL_OF(nn_max_unpool(NULL, NULL, NN_SHAPE(4)));
    NULL_OF(nn_adaptive_max_pool(NULL, NN_SHAPE(2), NULL));
    NULL_OF(nn_adaptive_avg_pool(NULL, NN_SHAPE(2)));
    NULL_OF(nn_global_max_pool(NULL));
    NULL_OF(nn_global_avg_pool(NULL));
    NULL_OF(nn_resize(NULL, NN_SHAPE(2), NN_LINEAR, 0));
    NULL_OF(nn_pixel_shuffle(NULL, 2));
    NULL_OF(nn_pixel_unshuffle(NULL, 2));
    NULL_OF(nn_pad_sides(NULL, NN_SHAPE(1), 0));
    NULL_OF(nn_pad_sides_with(NULL, NN_SHAPE(1), NN_PAD_REFLECT));
    NULL_OF(nn_roll(NULL, 0, 1));
    NULL_OF(nn_tile(NULL, 0, 2));
    NULL_OF(nn_tril(NULL, 0));
    NULL_OF(nn_triu(NULL, 0));
    NULL_OF(nn_diag(NULL, 0));
    NULL_OF(nn_sort(NULL, 0, 0, NULL));
    NULL_OF(nn_sort(NULL, 0, 1, out));
    NULL_OF(nn_argsort(NULL, 0, 0));
    NULL_OF(nn_topk(NULL, 0, 1, NULL));
    NULL_OF(nn_topk(NULL, 0, 1, out));
    /* element-wise */
    NULL_OF(nn_maximum(NULL, NULL));
    NULL_OF(nn_minimum(NULL, NULL));
    NULL_OF(nn_pow(NULL, NULL));
    NULL_OF(nn_fmod(NULL, NULL));
    NULL_OF(nn_atan2(NULL, NULL));
    NULL_OF(nn_hypot(NULL, NULL));
    NULL_OF(nn_lerp(NULL, NULL, NULL));
    NULL_OF(nn_add_scalar(NULL, 1));
    NULL_OF(nn_pow_scalar(NULL, 2));
    NULL_OF(nn_equal(NULL, NULL));
    NULL_OF(nn_not_equal(NULL, NULL));
    NULL_OF(nn_less(NULL, NULL));
    NULL_OF(nn_less_equal(NULL, NULL));
    NULL_OF(nn_greater(NULL, NULL));
    NULL_OF(nn_greater_equal(NULL, NULL));
    NULL_OF(nn_is_finite(NULL));
    NULL_OF(nn_and(NULL, NULL));
    NULL_OF(nn_or(NULL, NULL));
    NULL_OF(nn_xor(NULL, NULL));
    NULL_OF(nn_not(NULL));
    NULL_OF(nn_where(NULL, NULL, NULL));
    NULL_OF(nn_masked_fill(NULL, NULL, 0));
    NULL_OF(nn_abs(NULL));
    NULL_OF(nn_sign(NULL));
    NULL_OF(nn_floor(NULL));
    NULL_OF(nn_ceil(NULL));
    NULL_OF(nn_round(NULL));
    NULL_OF(nn_trunc(NULL));
    NULL_OF(nn_rsqrt(NULL));
    NULL_OF(nn_reciprocal(NULL));
    NULL_OF(nn_expm1(NULL));
    NULL_OF(nn_log1p(NULL));
    NULL_OF(nn_log2(NULL));
    NULL_OF(nn_log_guarded(NULL, 0));
    NULL_OF(nn_tan(NULL));
    NULL_OF(nn_asin(NULL));
    NULL_OF(nn_acos(NULL));
    NULL_OF(nn_atan(NULL));
    NULL_OF(nn_sinh(NULL));
    NULL_OF(nn_cosh(NULL));
    NULL_OF(nn_erfc(NULL));
    NULL_OF(nn_clamp(NULL, 0, 1));
    NULL_OF(nn_leaky_relu(NULL, 0.01));
    NULL_OF(nn_elu(NULL, 1));
    NULL_OF(nn_celu(NULL, 1));
    NULL_OF(nn_selu(NULL));
    NULL_OF(nn_silu(NULL));
    NULL_OF(nn_mish(NULL));
    NULL_OF(nn_softplus(NULL));
    NULL_OF(nn_softsign(NULL));
    NULL_OF(nn_log_sigmoid(NULL));
    NULL_OF(nn_logit(NULL, 1e-6));
    NULL_OF(nn_hard_sigmoid(NULL));
    NULL_OF(nn_hard_swish(NULL));
    NULL_OF(nn_hard_tanh(NULL));
    NULL_OF(nn_relu6(NULL));
    NULL_OF(nn_glu(NULL, 0, NN_ACT_SIGMOID));
    /* over axes, along an axis, linear */
    NULL_OF(nn_min(NULL, NN_ALL, 0));
    NULL_OF(nn_prod(NULL, NN_ALL, 0));
    NULL_OF(nn_var(NULL, NN_ALL, 0, 1));
    NULL_OF(nn_std(NULL, NN_ALL, 0, 1));
    NULL_OF(nn_norm(NULL, NN_ALL, 0, 2));
    NULL_OF(nn_logsumexp(NULL, NN_ALL, 0));
    NULL_OF(nn_count_nonzero(NULL, NN_ALL, 0));
    NULL_OF(nn_any(NULL, NN_ALL, 0));
    NULL_OF(nn_all(NULL, NN_ALL, 0));
    NULL_OF(nn_argmax(NULL, 0, 0));
    NULL_OF(nn_argmin(NULL, 0, 0));
    NULL_OF(nn_median(NULL, 0, 0));
    NULL_OF(nn_cumsum(NULL, 0));
    NULL_OF(nn_cumprod(NULL, 0));
    NULL_OF(nn_recur(NULL, NULL, 0));
    CHECK(nn_act_named(NULL) == -1 && nn_act_named("") == -1 && nn_act_named("no such act") == -1);
    NULL_OF(nn_dot(NULL, NULL));
    NULL_OF(nn_outer(NULL, NULL));
    NULL_OF(nn_trace(NULL));
    NULL_OF(nn_einsum("ij,jk->ik", NULL, NULL));
    NULL_OF(nn_einsum(NULL, NULL, NULL));
    NULL_OF(nn_cholesky(NULL));
    NULL_OF(nn_triangular_solve(NULL, NULL, 0, 0));
    NULL_OF(nn_cholesky_solve(NULL, NULL));
    NULL_OF(nn_cholesky_logdet(NULL));
    NULL_OF(nn_inverse(NULL));
    NULL_OF(nn_det(NULL));
    /* norms, dropout, losses */
    NULL_OF(nn_rmsnorm(NULL, NULL, 1e-6));
    NULL_OF(nn_groupnorm(NULL, 1, NULL, NULL, 1e-5));
    NULL_OF(nn_batchnorm(NULL, NULL));
    NULL_OF(nn_dropout_spatial(NULL, 0.5, 1));
    NULL_OF(nn_dropout_alpha(NULL, 0.5, 1));
    NULL_OF(nn_dropout_gaussian(NULL, 0.5, 1));
    NULL_OF(nn_noise(NULL, 1, 1));
    NULL_OF(nn_loss_named("mse", NULL, NULL, NULL));
    NULL_OF(nn_loss_named(NULL, NULL, NULL, NULL));
    NULL_OF(nn_mae(NULL, NULL));
    NULL_OF(nn_huber(NULL, NULL));
    NULL_OF(nn_smooth_l1(NULL, NULL));
    NULL_OF(nn_log_cosh(NULL, NULL));
    NULL_OF(nn_kl(NULL, NULL));
    NULL_OF(nn_poisson(NULL, NULL));
    NULL_OF(nn_hinge(NULL, NULL));
    NULL_OF(nn_bce(NULL, NULL));
    NULL_OF(nn_bce_logits(NULL, NULL));
    NULL_OF(nn_focal(NULL, NULL));
    NULL_OF(nn_gaussian_nll(NULL, NULL, NULL, NULL));
    NULL_OF(nn_kl_gaussian(NULL, NULL, NULL, NULL));
    NULL_OF(nn_cosine_similarity(NULL, NULL, 0));
    NULL_OF(nn_cosine_loss(NULL, NULL, NULL, NULL));
    NULL_OF(nn_triplet(NULL, NULL, NULL, NULL));
    NULL_OF(nn_contrastive(NULL, NULL, NULL, NULL));
    /* metrics */
    NAN_OF(nn_topk_accuracy(NULL, NULL, 1));
    NULL_OF(nn_confusion(NULL, NULL));
    NAN_OF(nn_class_scores_of(NULL, NULL).accuracy);
    NAN_OF(nn_class_scores_of(NULL, NULL).f1);
    NAN_OF(nn_roc_auc(NULL, NULL));
    NAN_OF(nn_real_scores_of(NULL, NULL).mse);
    NAN_OF(nn_real_scores_of(NULL, NULL).explained_variance);
    NAN_OF(nn_metric("accuracy", NULL, NULL));
    NAN_OF(nn_metric("r2", NULL, NULL));
    NAN_OF(nn_metric(NULL, NULL, NULL));
    /* models and layers */
    ZERO_OF(nn_model_train(NULL, "*", 0));
    ZERO_OF(nn_model_hook(NULL, NULL, NULL));
    ZERO_OF(nn_model_pack(NULL, 1));
    ZERO_OF(nn_model_plan(NULL, 1));
    ZERO_OF(nn_predict_f32(NULL, NULL, NN_SHAPE(1), NULL, 0));
    NULL_OF(nn_layer_embedding(s, "l", NULL, 3, 2));
    NULL_OF(nn_layer_rmsnorm(s, "l", NULL));
    NULL_OF(nn_layer_batchnorm(s, "l", NULL));
    NULL_OF(nn_layer_groupnorm(s, "l", NULL, 2));
    NULL_OF(nn_layer_instancenorm(s, "l", NULL));
    NULL_OF(nn_layer_bilinear(s, "l", NULL, NULL, 2));
    NULL_OF(nn_layer_scale(s, "l", NULL, 0));
    NULL_OF(nn_layer_attention_pool(s, "l", NULL));
    NULL_OF(nn_weight_norm(s, "l", NN_SHAPE(2, 3), nn_init_zeros()));
    NULL_OF(nn_sequential(s, NULL, blocks, 1));
    NULL_OF(nn_sequential(s, NULL, NULL, 1));
    NULL_OF(nn_residual(s, NULL, net_two));
    NULL_OF(nn_residual(s, NULL, NULL));
    NULL_OF(nn_tied(s, "w"));
    NULL_OF(nn_tied(s, NULL));
    CHECK(nn_recommend(NULL).batch >= 0 && nn_recommend(NULL).lr >= 0);
    /* optimisers and schedules */
    NAN_OF(nn_clip_grad_value(NULL, 1));
    NAN_OF(nn_clip_grad_layers(NULL, 1));
    ZERO_OF(nn_optim_group(NULL, "*", 1, 0));
    ZERO_OF(nn_optim_swap(NULL));
    ZERO_OF(nn_optim_metric(NULL, 1));
    lr = nn_lr_multistep(1, NULL, 3, 0.5f); (void)nn_lr_at(lr, 5);
    lr = nn_lr_piecewise(NULL, NULL, 3); (void)nn_lr_at(lr, 5);
    lr = nn_lr_then(NULL, 3, NULL); (void)nn_lr_at(lr, 1); (void)nn_lr_at(lr, 5);
    lr = nn_lr_times(NULL, NULL); (void)nn_lr_at(lr, 5);
    /* data */
    NULL_OF(nn_data_files(NULL, "x", "y", 0));
    NULL_OF(nn_data_toy(NULL, "moons", 10, 0));
    ZERO_OF(nn_data_fold(NULL, 2, 0, &a, &b)); CHECK(a == NULL && b == NULL);
    ZERO_OF(nn_data_fold(NULL, 2, 0, NULL, NULL));
    ZERO_OF(nn_data_classes(NULL));
    NULL_OF(nn_data_class(NULL, 0));
    NULL_OF(nn_data_column(NULL, 0));
    ZERO_OF(nn_scale_fit(NULL, "l", NULL, NN_SCALE_STANDARD));
    ZERO_OF(nn_scale_fit_target(NULL, "l", NULL, NN_SCALE_ROBUST));
    NULL_OF(nn_text_read(NULL, "x"));
    NULL_OF(nn_text_lines(NULL));
    NULL_OF(nn_text_table(NULL, &n));
    NULL_OF(nn_text_table(NULL, NULL));
    ZERO_OF(nn_history_json(NULL, NULL, "x"));
    ZERO_OF(nn_history_svg(NULL, NULL, "x"));
    /* plans */
    NULL_OF(nn_plan_begin(NULL, NULL));
    NULL_OF(nn_plan_input(NULL, "x", NULL));
    ZERO_OF(nn_plan_end(NULL, none, 1));
    ZERO_OF(nn_plan_bind(NULL, "x", NULL));
    ZERO_OF(nn_plan_bind_data(NULL, "x", text));
    ZERO_OF(nn_plan_run(NULL));
    nn_plan_free(NULL);
    CHECK(nn_plan_stats_of(np).nodes == 0 && nn_plan_stats_of(np).held == 0);
    NULL_OF(nn_checkpoint(block_null, s, NULL));
    NULL_OF(nn_checkpoint(NULL, s, NULL));
    ZERO_OF(nn_plan_report(NULL));
    CHECK(nn_plan_report_text(NULL, text, sizeof text) == -1 && nn_plan_passes_text(NULL, text, sizeof text) == -1);
    ZERO_OF(nn_plan_passes(NULL));
    ZERO_OF(nn_plan_dot(NULL, "x"));
    ZERO_OF(nn_plan_svg(NULL, "x"));
    (void)nn_backend_null(NULL);
#undef NULL_OF
#undef ZERO_OF
#undef NAN_OF
}

/* One operand is there, the other is NULL. */
static void test_half_null_wide(void) {
    nn_ctx     *c = quiet_ctx();
    nn_tensor  *x = of3(c), *i = nn_zeros(c, NN_I32, NN_SHAPE(2)), *sq = nn_eye(c, NN_F32, 3), *list[2], *out[4];
    nn_model   *m = nn_model_new(c, net_two, NULL);
    nn_optim   *o;
    nn_data    *d = nn_data_new(x, i), *a;
    nn_scope    s;
    nn_history  h;
    nn_batchnorm_options bn;
    CHECK(nn_model_build(m, NN_F32, NN_SHAPE(1, 3)));
    o = nn_adam(m, 0.1f);
    s = nn_enter(m, c, NN_TRAIN);
    memset(&h, 0, sizeof h);
    memset(&bn, 0, sizeof bn);
    list[0] = x; list[1] = NULL;
    FAILS(c, nn_split(x, 0, NN_SHAPE(1, 1), NULL), NN_ERR_NULL, "split");
    FAILS(c, nn_chunk(x, 0, 2, NULL), NN_ERR_NULL, "chunk");
    list[0] = nn_ones(c, NN_F32, NN_SHAPE(3));
    FAILS(c, nn_meshgrid(list, 2, out), NN_ERR_NULL, "meshgrid");
    FAILS(c, nn_meshgrid(list, 1, NULL), NN_ERR_NULL, "");
    list[0] = x;
    FAILS(c, nn_scatter(x, 0, NULL, x), NN_ERR_NULL, "scatter: operand 2");
    FAILS(c, nn_scatter(x, 0, nn_zeros(c, NN_I32, NN_SHAPE(2, 3)), NULL), NN_ERR_NULL, "scatter: operand 3");
    FAILS(c, nn_take_along(x, 0, NULL), NN_ERR_NULL, "");
    FAILS(c, nn_index_select(x, 0, NULL), NN_ERR_NULL, "index_select: ");
    FAILS(c, nn_index_add(x, 0, NULL, 3), NN_ERR_NULL, "index_add: operand 2");
    FAILS(c, nn_stack(list, 2, 0), NN_ERR_NULL, "operand");
    FAILS(c, nn_maximum(x, NULL), NN_ERR_NULL, "maximum: operand 2 is NULL");
    FAILS(c, nn_maximum(NULL, x), NN_ERR_NULL, "maximum: operand 1 is NULL");
    FAILS(c, nn_minimum(x, NULL), NN_ERR_NULL, "minimum: operand 2 is NULL");
    FAILS(c, nn_pow(x, NULL), NN_ERR_NULL, "pow: operand 2");
    FAILS(c, nn_fmod(x, NULL), NN_ERR_NULL, "fmod: operand 2");
    FAILS(c, nn_atan2(x, NULL), NN_ERR_NULL, "atan2: operand 2");
    FAILS(c, nn_hypot(x, NULL), NN_ERR_NULL, "hypot: operand 2");
    FAILS(c, nn_lerp(x, NULL, x), NN_ERR_NULL, "");
    FAILS(c, nn_lerp(x, x, NULL), NN_ERR_NULL, "");
    FAILS(c, nn_equal(x, NULL), NN_ERR_NULL, ": ");
    FAILS(c, nn_less(NULL, x), NN_ERR_NULL, "NULL");
    FAILS(c, nn_greater(x, NULL), NN_ERR_NULL, "greater: ");
    FAILS(c, nn_and(x, NULL), NN_ERR_NULL, ": ");
    FAILS(c, nn_xor(NULL, x), NN_ERR_NULL, "NULL");
    FAILS(c, nn_where(NULL, x, x), NN_ERR_NULL, "where: ");
    FAILS(c, nn_where(nn_equal(x, x), NULL, x), NN_ERR_NULL, "where: ");
    FAILS(c, nn_where(nn_equal(x, x), x, NULL), NN_ERR_NULL, "where: ");
    FAILS(c, nn_masked_fill(x, NULL, 0), NN_ERR_NULL, "");
    FAILS(c, nn_recur(x, NULL, 0), NN_ERR_NULL, "recur: ");
    FAILS(c, nn_recur(NULL, x, 0), NN_ERR_NULL, "recur: ");
    FAILS(c, nn_dot(nn_ones(c, NN_F32, NN_SHAPE(3)), NULL), NN_ERR_NULL, "");
    FAILS(c, nn_outer(nn_ones(c, NN_F32, NN_SHAPE(3)), NULL), NN_ERR_NULL, "");
    FAILS(c, nn_einsum(NULL, x, x), NN_ERR_NULL, "");
    FAILS(c, nn_einsum("ij,jk->ik", x, NULL), NN_ERR_NULL, "");
    FAILS(c, nn_triangular_solve(sq, NULL, 0, 0), NN_ERR_NULL, "triangular_solve: ");
    FAILS(c, nn_triangular_solve(NULL, sq, 0, 0), NN_ERR_NULL, "triangular_solve: ");
    FAILS(c, nn_cholesky_solve(sq, NULL), NN_ERR_NULL, "");
    FAILS(c, nn_cholesky_solve(NULL, sq), NN_ERR_NULL, "");
    FAILS(c, nn_groupnorm(nn_ones(c, NN_F32, NN_SHAPE(2, 4)), 2, nn_ones(c, NN_F32, NN_SHAPE(4)), NULL, 1e-5) == NULL && nn_error(c) == NN_OK, NN_OK, "");
    FAILS(c, nn_batchnorm(x, &bn), NN_ERR_NULL, ""); /* not training, and no running mean */
    FAILS(c, nn_batchnorm(x, NULL), NN_ERR_NULL, "");
    FAILS(c, nn_loss_named(NULL, x, x, NULL), NN_ERR_NULL, "");
    FAILS(c, nn_loss_named("mse", x, NULL, NULL), NN_ERR_NULL, "mse");
    FAILS(c, nn_mae(x, NULL), NN_ERR_NULL, "mae");
    FAILS(c, nn_huber(x, NULL), NN_ERR_NULL, "huber");
    FAILS(c, nn_smooth_l1(x, NULL), NN_ERR_NULL, "smooth_l1");
    FAILS(c, nn_log_cosh(x, NULL), NN_ERR_NULL, "log_cosh");
    FAILS(c, nn_kl(x, NULL), NN_ERR_NULL, "kl");
    FAILS(c, nn_poisson(x, NULL), NN_ERR_NULL, "poisson");
    FAILS(c, nn_hinge(x, NULL), NN_ERR_NULL, "hinge");
    FAILS(c, nn_bce(x, NULL), NN_ERR_NULL, "bce");
    FAILS(c, nn_bce_logits(x, NULL), NN_ERR_NULL, "bce_logits");
    FAILS(c, nn_focal(x, NULL), NN_ERR_NULL, "focal");
    FAILS(c, nn_gaussian_nll(x, NULL, x, NULL), NN_ERR_NULL, "NULL");
    FAILS(c, nn_gaussian_nll(x, x, NULL, NULL), NN_ERR_NULL, "NULL");
    FAILS(c, nn_kl_gaussian(x, NULL, NULL, NULL), NN_ERR_NULL, "");
    FAILS(c, nn_kl_gaussian(x, x, x, NULL), NN_ERR_NULL, "");
    FAILS(c, nn_cosine_similarity(x, NULL, 1), NN_ERR_NULL, "");
    FAILS(c, nn_cosine_loss(x, NULL, i, NULL), NN_ERR_NULL, "");
    FAILS(c, nn_cosine_loss(x, x, NULL, NULL), NN_ERR_NULL, "");
    FAILS(c, nn_triplet(x, NULL, x, NULL), NN_ERR_NULL, "");
    FAILS(c, nn_triplet(x, x, NULL, NULL), NN_ERR_NULL, "");
    FAILS(c, nn_contrastive(x, x, NULL, NULL), NN_ERR_NULL, "");
    FAILS_NAN(c, nn_topk_accuracy(x, NULL, 1), NN_ERR_NULL, "");
    FAILS(c, nn_confusion(x, NULL), NN_ERR_NULL, "");
    FAILS_NAN(c, nn_class_scores_of(x, NULL).recall, NN_ERR_NULL, "");
    FAILS_NAN(c, nn_roc_auc(nn_ones(c, NN_F32, NN_SHAPE(2)), NULL), NN_ERR_NULL, "");
    FAILS_NAN(c, nn_real_scores_of(x, NULL).r2, NN_ERR_NULL, "");
    FAILS_NAN(c, nn_metric(NULL, x, x), NN_ERR_NULL, "");
    FAILS_NAN(c, nn_metric("rmse", x, NULL), NN_ERR_NULL, "");
    FAILS(c, nn_model_train(m, NULL, 0), NN_ERR_NULL, "");
    FAILS(c, nn_optim_group(o, NULL, 1, 0), NN_ERR_NULL, "");
    FAILS(c, nn_layer_embedding(s, NULL, i, 3, 2), NN_ERR_NULL, "name");
    FAILS(c, nn_layer_bilinear(nn_enter(nn_model_new(c, NULL, NULL), c, NN_TRAIN), "b", x, NULL, 2), NN_ERR_NULL, "");
    FAILS(c, nn_sequential(s, x, NULL, 2), NN_ERR_NULL, "");
    FAILS(c, nn_residual(s, x, block_null), NN_ERR_NULL, "");
    FAILS(c, nn_tied(s, NULL), NN_ERR_NULL, "");
    FAILS(c, nn_data_fold(d, 2, 0, &a, NULL), NN_ERR_NULL, "the result");
    FAILS(c, nn_data_toy(c, NULL, 3, 0), NN_ERR_NULL, "name");
    FAILS(c, nn_scale_fit(m, NULL, d, NN_SCALE_STANDARD), NN_ERR_NULL, "name");
    FAILS(c, nn_scale_fit(m, "in", NULL, NN_SCALE_STANDARD), NN_ERR_NULL, "data");
    FAILS(c, nn_scale_fit_target(m, "in", NULL, NN_SCALE_STANDARD), NN_ERR_NULL, "data");
#if !defined(NN_NO_STDIO)
    FAILS(c, nn_data_files(c, NULL, "y", 0), NN_ERR_NULL, "x is NULL");
    FAILS(c, nn_text_read(c, NULL), NN_ERR_NULL, "path");
    FAILS(c, nn_history_json(c, NULL, "no such folder/x"), NN_ERR_NULL, "");
    FAILS(c, nn_history_svg(c, NULL, "no such folder/x"), NN_ERR_NULL, "");
    FAILS(c, nn_history_json(c, &h, NULL), NN_ERR_NULL, "path");
    FAILS(c, nn_history_svg(c, &h, NULL), NN_ERR_NULL, "path");
    FAILS(c, nn_history_json(c, &h, "no such folder/x"), NN_ERR_FILE, "no such folder/x");
    FAILS(c, nn_history_svg(c, &h, "no such folder/x"), NN_ERR_FILE, "no such folder/x");
#endif
    CHECK(nn_relu(x) != NULL && nn_error(c) == NN_OK);
    nn_end(c);
    CHECK(heap.blocks == 0);
}

/* After an error they do nothing either. */
static void test_sticky_wide(void) {
    nn_ctx     *c = quiet_ctx();
    nn_tensor  *x = of3(c), *i = nn_zeros(c, NN_I32, NN_SHAPE(2, 3)), *k = nn_zeros(c, NN_I32, NN_SHAPE(2)), *sq = nn_eye(c, NN_F32, 3), *list[2], *out[4] = {NULL, NULL, NULL, NULL};
    nn_model   *m = nn_model_new(c, net_two, NULL);
    nn_optim   *o;
    nn_data    *d = nn_data_new(x, k), *a = NULL, *b = NULL;
    nn_scope    s;
    nn_net      blocks[1] = {net_two};
    nn_memory_report before, after;
    int         n = 0;
    CHECK(nn_backward(nn_mean(nn_square(nn_forward(m, x)), NN_ALL, 0)));
    o = nn_adam(m, 0.1f);
    s = nn_enter(m, c, NN_TRAIN);
    list[0] = list[1] = x;
    CHECK(nn_error(c) == NN_OK && o && d && sq);
    (void)nn_ones(c, NN_F32, NN_SHAPE(-5));
    before = nn_memory(c);
#define NOTHING(call) CHECK(!(call))
    NOTHING(nn_scalar_like(x, 1));
    NOTHING(nn_linspace(c, NN_F32, 0, 1, 3));
    NOTHING(nn_eye(c, NN_F32, 3));
    NOTHING(nn_flip(x, NN_AXES(0)));
    NOTHING(nn_repeat(x, 2));
    NOTHING(nn_split(x, 0, NN_SHAPE(1, 1), out));
    NOTHING(nn_chunk(x, 0, 2, out));
    NOTHING(nn_diagonal(x, 0));
    NOTHING(nn_scatter(x, 0, i, x));
    NOTHING(nn_take_along(x, 0, i));
    NOTHING(nn_index_select(x, 0, k));
    NOTHING(nn_index_add(x, 0, k, 3));
    NOTHING(nn_stack(list, 2, 0));
    NOTHING(nn_pad(x, 0, 1, 1, 0));
    NOTHING(nn_pad_with(x, 0, 1, 1, NN_PAD_CIRCULAR));
    NOTHING(nn_max_pool(x, 2, 2, 0));
    NOTHING(nn_adaptive_max_pool(x, NN_SHAPE(2), NULL));
    NOTHING(nn_max_unpool(x, i, NN_SHAPE(4)));
    NOTHING(nn_global_avg_pool(x));
    NOTHING(nn_resize(x, NN_SHAPE(2), NN_LINEAR, 0));
    NOTHING(nn_pixel_shuffle(x, 1));
    NOTHING(nn_pad_sides(x, NN_SHAPE(1), 0));
    NOTHING(nn_roll(x, 0, 1));
    NOTHING(nn_tile(x, 0, 2));
    NOTHING(nn_tril(x, 0));
    NOTHING(nn_diag(x, 0));
    NOTHING(nn_sort(x, 0, 0, NULL));
    NOTHING(nn_topk(x, 0, 1, out));
    NOTHING(nn_maximum(x, x));
    NOTHING(nn_pow_scalar(x, 2));
    NOTHING(nn_less(x, x));
    NOTHING(nn_not(x));
    NOTHING(nn_where(x, x, x));
    NOTHING(nn_masked_fill(x, x, 0));
    NOTHING(nn_floor(x));
    NOTHING(nn_clamp(x, 0, 1));
    NOTHING(nn_selu(x));
    NOTHING(nn_logit(x, 1e-3));
    NOTHING(nn_hard_swish(x));
    NOTHING(nn_glu(x, 0, NN_ACT_SILU));
    NOTHING(nn_prod(x, NN_ALL, 0));
    NOTHING(nn_std(x, NN_ALL, 0, 1));
    NOTHING(nn_logsumexp(x, NN_ALL, 0));
    NOTHING(nn_argmax(x, 0, 0));
    NOTHING(nn_median(x, 0, 0));
    NOTHING(nn_cumsum(x, 0));
    NOTHING(nn_recur(x, x, 0));
    NOTHING(nn_einsum("ij,ij->i", x, x));
    NOTHING(nn_cholesky(sq));
    NOTHING(nn_triangular_solve(sq, sq, 0, 0));
    NOTHING(nn_inverse(sq));
    NOTHING(nn_det(sq));
    NOTHING(nn_rmsnorm(x, NULL, 1e-6));
    NOTHING(nn_groupnorm(x, 1, NULL, NULL, 1e-5));
    NOTHING(nn_dropout_spatial(x, 0.5, 1));
    NOTHING(nn_noise(x, 1, 1));
    NOTHING(nn_loss_named("mse", x, x, NULL));
    NOTHING(nn_huber(x, x));
    NOTHING(nn_bce_logits(x, x));
    NOTHING(nn_triplet(x, x, x, NULL));
    NOTHING(nn_confusion(x, k));
    NOTHING(nn_model_train(m, "*", 0));
    NOTHING(nn_layer_embedding(s, "e", k, 3, 2));
    NOTHING(nn_layer_rmsnorm(s, "r", x));
    NOTHING(nn_weight_norm(s, "v", NN_SHAPE(2, 3), nn_init_zeros()));
    NOTHING(nn_sequential(s, x, blocks, 1));
    NOTHING(nn_residual(s, x, net_two));
    NOTHING(nn_tied(s, "in.weight"));
    NOTHING(nn_optim_group(o, "*", 1, 0));
    NOTHING(nn_optim_swap(o));
    NOTHING(nn_optim_metric(o, 1));
    NOTHING(nn_data_files(c, file_name[0], file_name[0], 3));
    NOTHING(nn_data_toy(c, "moons", 10, 0));
    NOTHING(nn_data_fold(d, 2, 0, &a, &b));
    NOTHING(nn_scale_fit(m, "in", d, NN_SCALE_STANDARD));
    NOTHING(nn_text_read(c, file_name[0]));
    NOTHING(nn_text_lines(nn_u8(x) ? x : x));
    NOTHING(nn_text_table(x, &n));
    NOTHING(nn_history_json(c, NULL, file_name[3]));
#undef NOTHING
    after = nn_memory(c);
    CHECK(before.allocations == after.allocations && before.now == after.now && before.step_now == after.step_now);
    CHECK(nn_error(c) == NN_ERR_SHAPE && strstr(nn_error_text(c), "size -5 of axis 0 is negative"));
    nn_error_clear(c);
    CHECK(nn_step(o) && nn_error(c) == NN_OK); /* the gradients are still there */
    nn_end(c);
    CHECK(heap.blocks == 0);
}

/* Wrong shapes, types and numbers. */
static void test_operands_wide(void) {
    nn_ctx    *c = quiet_ctx(), *f = nn_fork(c);
    nn_tensor *x = of3(c), *ints = nn_ones(c, NN_I32, NN_SHAPE(2, 3)), *half = nn_ones(c, NN_F16, NN_SHAPE(2, 3)), *empty = nn_zeros(c, NN_F32, NN_SHAPE(2, 0)), *vec = nn_ones(c, NN_F32, NN_SHAPE(3)), *scalar = nn_ones(c, NN_F32, NN_SCALAR);
    nn_tensor *sq = nn_eye(c, NN_F32, 3), *k = nn_zeros(c, NN_I32, NN_SHAPE(2)), *out[8], *list[3], *other = of3(f);
    nn_loss_options lo;
    nn_batchnorm_options bn;
    int        axes[] = {2, -3, INT_MAX, INT_MIN};
    /* axes */
    for (int q = 0; q < 4; q++) {
        FAILS(c, nn_flip(x, NN_AXES(axes[q])), NN_ERR_SHAPE, "axis");
        FAILS(c, nn_split(x, axes[q], NN_SHAPE(1, 1), out), NN_ERR_SHAPE, "axis");
        FAILS(c, nn_chunk(x, axes[q], 2, out), NN_ERR_SHAPE, "axis");
        FAILS(c, nn_scatter(x, axes[q], ints, x), NN_ERR_SHAPE, "axis");
        FAILS(c, nn_take_along(x, axes[q], ints), NN_ERR_SHAPE, "axis");
        FAILS(c, nn_index_select(x, axes[q], k), NN_ERR_SHAPE, "axis");
        FAILS(c, nn_index_add(x, axes[q], k, 3), NN_ERR_SHAPE, "axis");
        FAILS(c, nn_pad(x, axes[q], 1, 1, 0), NN_ERR_SHAPE, "axis");
        FAILS(c, nn_pad_with(x, axes[q], 1, 1, NN_PAD_REFLECT), NN_ERR_SHAPE, "axis");
        FAILS(c, nn_roll(x, axes[q], 1), NN_ERR_SHAPE, "axis");
        FAILS(c, nn_tile(x, axes[q], 2), NN_ERR_SHAPE, "axis");
        FAILS(c, nn_sort(x, axes[q], 0, NULL), NN_ERR_SHAPE, "axis");
        FAILS(c, nn_argsort(x, axes[q], 0), NN_ERR_SHAPE, "axis");
        FAILS(c, nn_topk(x, axes[q], 1, NULL), NN_ERR_SHAPE, "axis");
        FAILS(c, nn_glu(nn_ones(c, NN_F32, NN_SHAPE(2, 2)), axes[q], NN_ACT_SIGMOID), NN_ERR_SHAPE, "axis");
        FAILS(c, nn_min(x, NN_AXES(axes[q]), 0), NN_ERR_SHAPE, "axis");
        FAILS(c, nn_prod(x, NN_AXES(axes[q]), 0), NN_ERR_SHAPE, "axis");
        FAILS(c, nn_var(x, NN_AXES(axes[q]), 0, 1), NN_ERR_SHAPE, "axis");
        FAILS(c, nn_norm(x, NN_AXES(axes[q]), 0, 2), NN_ERR_SHAPE, "axis");
        FAILS(c, nn_logsumexp(x, NN_AXES(axes[q]), 0), NN_ERR_SHAPE, "axis");
        FAILS(c, nn_count_nonzero(x, NN_AXES(axes[q]), 0), NN_ERR_SHAPE, "axis");
        FAILS(c, nn_any(x, NN_AXES(axes[q]), 0), NN_ERR_SHAPE, "axis");
        FAILS(c, nn_argmax(x, axes[q], 0), NN_ERR_SHAPE, "axis");
        FAILS(c, nn_argmin(x, axes[q], 1), NN_ERR_SHAPE, "axis");
        FAILS(c, nn_median(x, axes[q], 0), NN_ERR_SHAPE, "axis");
        FAILS(c, nn_cumsum(x, axes[q]), NN_ERR_SHAPE, "axis");
        FAILS(c, nn_cumprod(x, axes[q]), NN_ERR_SHAPE, "axis");
        FAILS(c, nn_recur(x, x, axes[q]), NN_ERR_SHAPE, "axis");
        FAILS(c, nn_cosine_similarity(x, x, axes[q]), NN_ERR_SHAPE, "axis");
    }
    list[0] = list[1] = list[2] = x;
    FAILS(c, nn_stack(list, 2, 3), NN_ERR_SHAPE, "axis");
    FAILS(c, nn_stack(list, 2, -4), NN_ERR_SHAPE, "axis");
    /* sizes and counts */
    FAILS(c, nn_linspace(c, NN_F32, 0, 1, -1), NN_ERR_SHAPE, "is negative");
    FAILS(c, nn_linspace(c, NN_F32, 0, 1, INT64_MAX), NN_ERR_RANGE, "does not fit");
    FAILS(c, nn_eye(c, NN_F32, -1), NN_ERR_SHAPE, "is negative");
    FAILS(c, nn_eye(c, NN_F32, INT64_MAX), NN_ERR_RANGE, "does not fit");
    FAILS(c, nn_eye(c, NN_DTYPES, 2), NN_ERR_DTYPE, "is no dtype");
    FAILS(c, nn_flip(x, NN_AXES(0, 0)), NN_ERR_SHAPE, "named twice");
    FAILS(c, nn_repeat(x, -1), NN_ERR_SHAPE, "is negative");
    FAILS(c, nn_repeat(x, INT64_MAX), NN_ERR_RANGE, "does not fit");
    FAILS(c, nn_split(x, 1, NN_SHAPE(1, 1), out), NN_ERR_SHAPE, "");
    FAILS(c, nn_split(x, 1, NN_SHAPE(2, 2), out), NN_ERR_SHAPE, "");
    FAILS(c, nn_split(x, 1, NN_SHAPE(4, -1), out), NN_ERR_SHAPE, "");
    FAILS(c, nn_split(x, 1, NN_SHAPE(-1, -1), out), NN_ERR_SHAPE, "");
    FAILS(c, nn_split(x, 1, NN_SHAPE(5, -2), out), NN_ERR_SHAPE, "");
    FAILS(c, nn_split(x, 1, NN_SHAPE(INT64_MAX, INT64_MAX, -1), out), NN_ERR_SHAPE, "");
    FAILS(c, nn_split(x, 1, NN_SCALAR, out), NN_ERR_SHAPE, "");
    FAILS(c, nn_chunk(x, 1, 0, out), NN_ERR_ARG, "");
    FAILS(c, nn_chunk(x, 1, -1, out), NN_ERR_ARG, "");
    FAILS(c, nn_diagonal(vec, 0), NN_ERR_SHAPE, "at least 2");
    FAILS(c, nn_diag(scalar, 0), NN_ERR_SHAPE, "");
    FAILS(c, nn_diag(vec, INT64_MAX), NN_ERR_ARG, "");
    FAILS(c, nn_diag(vec, INT64_MIN), NN_ERR_ARG, "");
    FAILS(c, nn_tril(vec, 0), NN_ERR_SHAPE, "");
    FAILS(c, nn_trace(vec), NN_ERR_SHAPE, "");
    FAILS(c, nn_pad(x, 0, -1, 0, 0), NN_ERR_ARG, "");
    FAILS(c, nn_pad(x, 0, INT64_MAX, INT64_MAX, 0), NN_ERR_ARG, "");
    FAILS(c, nn_pad(x, 0, 0, INT64_MAX, 0), NN_ERR_ARG, "");
    FAILS(c, nn_pad_with(x, 0, 2, 0, NN_PAD_REFLECT), NN_ERR_ARG, "");
    FAILS(c, nn_pad_with(x, 0, 0, 3, NN_PAD_CIRCULAR), NN_ERR_ARG, "");
    FAILS(c, nn_pad_with(x, 0, 1, 1, (nn_padding)9), NN_ERR_ARG, "");
    FAILS(c, nn_pad_with(empty, 1, 1, 1, NN_PAD_REPLICATE), NN_ERR_ARG, "before cannot be 1");
    FAILS(c, nn_tile(x, 0, -1), NN_ERR_SHAPE, "is negative");
    FAILS(c, nn_tile(x, 0, INT64_MAX), NN_ERR_RANGE, "");
    FAILS(c, nn_topk(x, 1, 4, NULL), NN_ERR_RANGE, "4 is outside axis 1 of size 3");
    FAILS(c, nn_topk(x, 1, -1, NULL), NN_ERR_ARG, "");
    FAILS(c, nn_index_select(x, 0, nn_full(c, NN_I32, NN_SHAPE(2), 2)), NN_ERR_RANGE, "outside 0 ... 1");
    FAILS(c, nn_index_select(x, 0, nn_full(c, NN_I64, NN_SHAPE(2), -1)), NN_ERR_RANGE, "outside 0 ... 1");
    FAILS(c, nn_index_select(x, 0, vec), NN_ERR_DTYPE, "");
    FAILS(c, nn_index_add(x, 0, k, -1), NN_ERR_SHAPE, "is negative");
    FAILS(c, nn_index_add(x, 0, k, INT64_MAX), NN_ERR_RANGE, "");
    FAILS(c, nn_index_add(x, 0, nn_full(c, NN_I32, NN_SHAPE(2), 3), 3), NN_ERR_RANGE, "outside 0 ... 2");
    FAILS(c, nn_index_add(x, 0, nn_zeros(c, NN_I32, NN_SHAPE(3)), 3), NN_ERR_SHAPE, "");
    FAILS(c, nn_scatter(x, 0, nn_full(c, NN_I32, NN_SHAPE(2, 3), 2), x), NN_ERR_RANGE, "outside 0 ... 1");
    FAILS(c, nn_scatter(x, 0, ints, nn_ones(c, NN_F32, NN_SHAPE(1, 3))), NN_ERR_SHAPE, "");
    FAILS(c, nn_scatter(x, 0, ints, half), NN_ERR_DTYPE, "");
    FAILS(c, nn_take_along(x, 0, nn_full(c, NN_I32, NN_SHAPE(2, 3), 2)), NN_ERR_RANGE, "outside 0 ... 1");
    FAILS(c, nn_take_along(x, 0, k), NN_ERR_SHAPE, "");
    list[1] = vec;
    FAILS(c, nn_stack(list, 2, 0), NN_ERR_SHAPE, "");
    list[0] = list[1] = nn_ones(c, NN_F32, NN_SHAPE(1, 1, 1, 1, 1, 1));
    FAILS(c, nn_stack(list, 2, 0), NN_ERR_SHAPE, "7 dimensions");
    list[0] = vec; list[1] = x;
    FAILS(c, nn_meshgrid(list, 2, out), NN_ERR_SHAPE, "");
    FAILS(c, nn_meshgrid(list, 7, out), NN_ERR_SHAPE, "");
    for (int q = 0; q < 4; q++) { /* numbers at the ends: an answer or a message, no overflow on the way */
        static const int64_t ends[4] = {INT64_MAX, INT64_MIN, INT64_MAX - 1, INT64_MIN + 1};
        nn_tensor *list2[2];
        list2[0] = nn_tril(x, ends[q]); list2[1] = nn_triu(x, ends[q]);
        CHECK(list2[0] && list2[1] && nn_get(list2[0], NN_SHAPE(0, 2)) == (ends[q] > 0) && nn_get(list2[1], NN_SHAPE(0, 2)) == (ends[q] < 0));
        CHECK(nn_dim(nn_diagonal(x, ends[q]), 0) == 0 && nn_dim(nn_roll(x, 1, ends[q]), 1) == 3 && nn_error(c) == NN_OK);
        FAILS(c, nn_topk(x, 1, ends[q], NULL), ends[q] < 0 ? NN_ERR_ARG : NN_ERR_RANGE, "");
        FAILS(c, nn_diag(vec, ends[q]), NN_ERR_ARG, "offset");
        FAILS(c, nn_repeat(x, ends[q]), ends[q] < 0 ? NN_ERR_SHAPE : NN_ERR_RANGE, "");
        FAILS(c, nn_tile(x, 1, ends[q]), ends[q] < 0 ? NN_ERR_SHAPE : NN_ERR_RANGE, "");
        FAILS(c, nn_linspace(c, NN_F32, 0, 1, ends[q]), ends[q] < 0 ? NN_ERR_SHAPE : NN_ERR_RANGE, "");
        FAILS(c, nn_eye(c, NN_F32, ends[q]), ends[q] < 0 ? NN_ERR_SHAPE : NN_ERR_RANGE, "");
        for (int how = NN_PAD_REFLECT; how <= NN_PAD_CIRCULAR; how++) {
            check(!nn_pad_with(x, 1, ends[q], 0, (nn_padding)how) && nn_error(c) != NN_OK, "padding at the ends", __LINE__); nn_error_clear(c);
            check(!nn_pad_with(x, 1, 0, ends[q], (nn_padding)how) && nn_error(c) != NN_OK, "padding at the ends", __LINE__); nn_error_clear(c);
            check(!nn_pad_with(x, 1, ends[q], ends[q], (nn_padding)how) && nn_error(c) != NN_OK, "padding at the ends", __LINE__); nn_error_clear(c);
        }
        check(!nn_pad(x, 1, ends[q], ends[q], 0) && nn_error(c) != NN_OK, "padding at the ends", __LINE__); nn_error_clear(c);
        check(!nn_index_add(x, 0, k, ends[q]) && nn_error(c) != NN_OK, "index_add at the ends", __LINE__); nn_error_clear(c);
        check(!nn_split(x, 1, NN_SHAPE(ends[q], -1), out) && nn_error(c) != NN_OK, "split at the ends", __LINE__); nn_error_clear(c);
        check(!nn_split(x, 1, NN_SHAPE(ends[q], ends[q]), out) && nn_error(c) != NN_OK, "split at the ends", __LINE__); nn_error_clear(c);
    }
    /* types */
    FAILS(c, nn_maximum(x, half), NN_ERR_DTYPE, "f32 and f16");
    FAILS(c, nn_pow(ints, ints), NN_ERR_DTYPE, "i32");
    FAILS(c, nn_equal(x, half), NN_ERR_DTYPE, "f32 and f16");
    FAILS(c, nn_less(x, ints), NN_ERR_DTYPE, "");
    FAILS(c, nn_where(nn_equal(x, x), x, half), NN_ERR_DTYPE, "");
    FAILS(c, nn_where(nn_equal(vec, vec), x, nn_ones(c, NN_F32, NN_SHAPE(2, 2))), NN_ERR_SHAPE, "");
    FAILS(c, nn_tan(ints), NN_ERR_DTYPE, "i32");
    FAILS(c, nn_floor(ints), NN_ERR_DTYPE, "i32");
    FAILS(c, nn_clamp(ints, 0, 1), NN_ERR_DTYPE, "i32");
    FAILS(c, nn_prod(ints, NN_ALL, 0), NN_ERR_DTYPE, "i32");
    FAILS(c, nn_recur(x, half, 0), NN_ERR_DTYPE, "");
    FAILS(c, nn_recur(x, nn_ones(c, NN_F32, NN_SHAPE(2)), 0), NN_ERR_SHAPE, "do not broadcast");
    FAILS(c, nn_clamp(x, 1, 0), NN_ERR_ARG, "");
    FAILS(c, nn_clamp(x, NAN, 0), NN_ERR_ARG, "");
    FAILS(c, nn_glu(x, 1, NN_ACT_SIGMOID), NN_ERR_SHAPE, "");
    FAILS(c, nn_glu(nn_ones(c, NN_F32, NN_SHAPE(2, 4)), 1, (nn_act)99), NN_ERR_ARG, "act cannot be 99");
    FAILS(c, nn_activate(x, NN_ACTS), NN_ERR_ARG, "act cannot be");
    FAILS(c, nn_linear_act(x, nn_ones(c, NN_F32, NN_SHAPE(4, 3)), NULL, NN_ACTS), NN_ERR_ARG, "act cannot be");
    /* of nothing */
    FAILS(c, nn_min(empty, NN_AXES(1), 0), NN_ERR_SHAPE, "of nothing");
    FAILS(c, nn_argmax(empty, 1, 0), NN_ERR_SHAPE, "of nothing");
    FAILS(c, nn_argmin(empty, 1, 0), NN_ERR_SHAPE, "of nothing");
    FAILS(c, nn_median(empty, 1, 0), NN_ERR_SHAPE, "of nothing");
    FAILS(c, nn_var(empty, NN_ALL, 0, 0), NN_ERR_SHAPE, "of nothing");
    FAILS(c, nn_mae(empty, empty), NN_ERR_SHAPE, "of nothing");
    FAILS(c, nn_rmsnorm(empty, NULL, 1e-6), NN_ERR_SHAPE, "of nothing");
    /* products and matrices */
    FAILS(c, nn_dot(vec, x), NN_ERR_SHAPE, "");
    FAILS(c, nn_dot(vec, nn_ones(c, NN_F32, NN_SHAPE(4))), NN_ERR_SHAPE, "[3] and y [4]");
    FAILS(c, nn_outer(x, vec), NN_ERR_SHAPE, "");
    for (int q = 0; q < 17; q++) {
        static const char *const rules[] = {"", "ij", "ij,jk", "ij->i", "ij,jk->", "ijk,jk->ik", "ij,jk->il", "ii,ij->j", "ij,jk->ii", "i j,jk->ik x", "ij,jk,kl->il", "ij,jk->ikk", "->", ",->", "ij,kj->i,k", "1j,j2->12", "ij,jk-ik"};
        nn_tensor *y = nn_einsum(rules[q], x, sq);
        check(q == 4 ? (y != NULL) == (nn_error(c) == NN_OK) : !y && nn_error(c) != NN_OK, rules[q], __LINE__);
        nn_error_clear(c);
    }
    FAILS(c, nn_einsum("ij,kj->ik", x, nn_ones(c, NN_F32, NN_SHAPE(4, 2))), NN_ERR_ARG, "a letter stands for two different sizes");
    FAILS(c, nn_einsum("abcdefgh,ij->abij", x, x), NN_ERR_ARG, "abcdefgh,ij->abij");
    FAILS(c, nn_cholesky(x), NN_ERR_SHAPE, "");
    FAILS(c, nn_cholesky(vec), NN_ERR_SHAPE, "");
    check(!nn_cholesky(nn_neg(sq)) && nn_error(c) != NN_OK, "the Cholesky factor of a negative matrix", __LINE__); nn_error_clear(c);
    check(!nn_cholesky(nn_full(c, NN_F32, NN_SHAPE(3, 3), NAN)) && nn_error(c) != NN_OK, "the Cholesky factor of NaN", __LINE__); nn_error_clear(c);
    FAILS(c, nn_triangular_solve(x, sq, 0, 0), NN_ERR_SHAPE, "");
    FAILS(c, nn_triangular_solve(sq, x, 0, 0), NN_ERR_SHAPE, "");
    FAILS(c, nn_triangular_solve(sq, nn_ones(c, NN_F64, NN_SHAPE(3, 1)), 0, 0), NN_ERR_DTYPE, "");
    FAILS(c, nn_inverse(x), NN_ERR_SHAPE, "");
    check(!nn_inverse(nn_ones(c, NN_F32, NN_SHAPE(3, 3))) && nn_error(c) != NN_OK && strstr(nn_error_text(c), "singular"), "the inverse of a singular matrix", __LINE__); nn_error_clear(c);
    FAILS(c, nn_det(x), NN_ERR_SHAPE, "");
    FAILS(c, nn_inverse(ints), NN_ERR_DTYPE, "i32");
    /* norms */
    FAILS(c, nn_rmsnorm(x, nn_ones(c, NN_F32, NN_SHAPE(2)), 1e-6), NN_ERR_SHAPE, "");
    FAILS(c, nn_groupnorm(x, 2, NULL, NULL, 1e-5), NN_ERR_ARG, "groups cannot be 2");
    FAILS(c, nn_groupnorm(x, 0, NULL, NULL, 1e-5), NN_ERR_ARG, "groups cannot be 0");
    FAILS(c, nn_groupnorm(x, -1, NULL, NULL, 1e-5), NN_ERR_ARG, "groups cannot be -1");
    FAILS(c, nn_groupnorm(vec, 1, NULL, NULL, 1e-5), NN_ERR_SHAPE, "");
    FAILS(c, nn_groupnorm(x, 3, nn_ones(c, NN_F32, NN_SHAPE(2)), NULL, 1e-5), NN_ERR_SHAPE, "");
    memset(&bn, 0, sizeof bn);
    bn.training = 1; bn.weight = bn.bias = bn.mean = bn.var = nn_ones(c, NN_F32, NN_SHAPE(2));
    FAILS(c, nn_batchnorm(x, &bn), NN_ERR_SHAPE, "");
    bn.weight = bn.bias = bn.mean = vec; bn.var = nn_clone(vec); bn.momentum = -1;
    FAILS(c, nn_batchnorm(x, &bn), NN_ERR_ARG, "momentum");
    bn.momentum = 0;
    FAILS(c, nn_batchnorm(vec, &bn), NN_ERR_SHAPE, "");
    FAILS(c, nn_dropout_spatial(x, 1.5, 1), NN_ERR_ARG, "probability");
    FAILS(c, nn_dropout_alpha(x, NAN, 1), NN_ERR_ARG, "probability");
    FAILS(c, nn_dropout_gaussian(x, -1, 1), NN_ERR_ARG, "probability");
    FAILS(c, nn_dropout_spatial(vec, 0.5, 1), NN_ERR_SHAPE, "");
    /* losses */
    FAILS(c, nn_loss_named("no such loss", x, x, NULL), NN_ERR_ARG, "no such loss");
    FAILS(c, nn_loss_named("", x, x, NULL), NN_ERR_ARG, "");
    FAILS(c, nn_huber(x, vec), NN_ERR_SHAPE, "huber");
    FAILS(c, nn_bce_logits(x, half), NN_ERR_DTYPE, "");
    CHECK(nn_bce(nn_scale(x, 0.5), ints) != NULL && nn_error(c) == NN_OK); /* labels may be integers */
    memset(&lo, 0, sizeof lo);
    lo.delta = -1;
    FAILS(c, nn_loss_named("huber", x, x, &lo), NN_ERR_ARG, "delta");
    lo.delta = NAN;
    FAILS(c, nn_loss_named("smooth_l1", x, x, &lo), NN_ERR_ARG, "delta");
    memset(&lo, 0, sizeof lo);
    lo.smoothing = 2;
    FAILS(c, nn_loss_named("cross_entropy", x, k, &lo), NN_ERR_ARG, "smoothing");
    lo.smoothing = -0.5f;
    FAILS(c, nn_loss_named("cross_entropy", x, k, &lo), NN_ERR_ARG, "smoothing");
    lo.smoothing = 0; lo.reduction = (nn_reduction)7;
    FAILS(c, nn_loss_named("mse", x, x, &lo), NN_ERR_ARG, "reduction");
    FAILS(c, nn_loss_named("cross_entropy", x, k, &lo), NN_ERR_ARG, "reduction");
    lo.reduction = NN_MEAN; lo.weight = nn_ones(c, NN_F32, NN_SHAPE(2));
    FAILS(c, nn_loss_named("cross_entropy", x, k, &lo), NN_ERR_SHAPE, "weight");
    lo.weight = half;
    check(!nn_loss_named("bce_logits", x, x, &lo) && nn_error(c) != NN_OK, "a weight of another dtype", __LINE__); nn_error_clear(c);
    lo.weight = NULL; lo.ignores = 1; lo.ignore = 0;
    check(nn_item(nn_loss_named("cross_entropy", x, k, &lo)) == 0 && nn_error(c) == NN_OK, "every row ignored: 0", __LINE__); nn_error_clear(c);
    FAILS(c, nn_gaussian_nll(x, vec, ints, NULL), NN_ERR_DTYPE, "");
    FAILS(c, nn_gaussian_nll(x, x, vec, NULL), NN_ERR_SHAPE, "");
    FAILS(c, nn_triplet(x, x, vec, NULL), NN_ERR_SHAPE, "");
    FAILS(c, nn_cosine_loss(x, x, vec, NULL), NN_ERR_SHAPE, "");
    FAILS(c, nn_contrastive(x, x, vec, NULL), NN_ERR_SHAPE, "");
    /* metrics */
    FAILS_NAN(c, nn_metric("no such metric", x, x), NN_ERR_ARG, "no such metric");
    FAILS_NAN(c, nn_metric("accuracy", x, x), NN_ERR_DTYPE, "");
    FAILS_NAN(c, nn_topk_accuracy(x, k, 0), NN_ERR_ARG, "");
    FAILS_NAN(c, nn_topk_accuracy(x, k, -1), NN_ERR_ARG, "");
    FAILS_NAN(c, nn_topk_accuracy(x, nn_full(c, NN_I32, NN_SHAPE(2), 3), 1), NN_ERR_RANGE, "label 3");
    FAILS(c, nn_confusion(x, nn_full(c, NN_I32, NN_SHAPE(2), -1)), NN_ERR_RANGE, "label -1");
    FAILS_NAN(c, nn_class_scores_of(x, vec).f1, NN_ERR_DTYPE, "");
    FAILS_NAN(c, nn_class_scores_of(empty, k).f1, NN_ERR_SHAPE, "of nothing");
    FAILS_NAN(c, nn_real_scores_of(x, vec).mse, NN_ERR_SHAPE, "");
    FAILS_NAN(c, nn_real_scores_of(empty, empty).mse, NN_ERR_SHAPE, "of nothing");
    FAILS_NAN(c, nn_roc_auc(vec, k), NN_ERR_SHAPE, "");
    { double v = nn_roc_auc(vec, nn_full(c, NN_I32, NN_SHAPE(3), 1)); CHECK(v != v); nn_error_clear(c); } /* one class alone */
    /* two contexts */
    FAILS(c, nn_maximum(x, other), NN_ERR_CONTEXT, "operand 2 belongs to another context");
    FAILS(c, nn_where(nn_equal(x, x), x, other), NN_ERR_CONTEXT, "operand 3");
    FAILS(c, nn_huber(x, other), NN_ERR_CONTEXT, "operand 2");
    FAILS(c, nn_triangular_solve(sq, nn_eye(f, NN_F32, 3), 0, 0), NN_ERR_CONTEXT, "operand 2");
    CHECK(nn_error(f) == NN_OK);
    nn_end(c);
    CHECK(heap.blocks == 0);
}

static nn_tensor *net_tied(nn_scope s, nn_tensor *x) { return nn_linear(x, nn_tied(s, "no.weight"), NULL); }
static nn_tensor *net_embed(nn_scope s, nn_tensor *x) { return nn_layer_embedding(s, "e", x, 3, 2); }
static nn_tensor *net_blocks(nn_scope s, nn_tensor *x) {
    nn_net blocks[2] = {net_two, net_placed};
    return nn_sequential(nn_in(s, "body"), x, blocks, 2);
}
static void test_objects_wide(void) {
    nn_ctx   *c = quiet_ctx(), *f = nn_fork(c);
    nn_model *m = nn_model_new(c, net_two, NULL), *made = nn_model_new(c, net_two, NULL);
    nn_optim *o;
    nn_data  *d = nn_data_new(of3(c), nn_zeros(c, NN_I32, NN_SHAPE(2))), *reals = nn_data_new(of3(c), of3(c));
    nn_scope  s;
    nn_optim_options oo;
    nn_fit_options   fo;
    nn_loss_options  lo;
    int64_t   at[9] = {1, 2, 3, 4, 5, 6, 7, 8, 9}, back[2] = {5, 3};
    float     rates[10] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
    memset(&lo, 0, sizeof lo);
    CHECK(nn_model_build(made, NN_F32, NN_SHAPE(1, 3)));
    s = nn_enter(made, c, NN_TRAIN);
    /* models and layers */
    FAILS(c, nn_model_train(m, "*", 0), NN_ERR_ARG, "no parameters yet");
    CHECK(nn_model_train(made, "no such*", 0) == 0); nn_error_clear(c);
    FAILS(c, nn_forward(nn_model_new(c, net_tied, NULL), of3(c)), NN_ERR_NAME, "no.weight");
    FAILS(c, nn_forward(nn_model_new(c, net_embed, NULL), nn_full(c, NN_I32, NN_SHAPE(4), 3)), NN_ERR_RANGE, "outside 0 ... 2");
    FAILS(c, nn_forward(nn_model_new(c, net_embed, NULL), nn_full(c, NN_I32, NN_SHAPE(4), -1)), NN_ERR_RANGE, "outside 0 ... 2");
    FAILS(c, nn_forward(nn_model_new(c, net_embed, NULL), of3(c)), NN_ERR_DTYPE, "");
    FAILS(c, nn_forward(nn_model_new(c, net_blocks, NULL), of3(c)), NN_ERR_SHAPE, "body.1.block.1.fc: linear: ");
    FAILS(c, nn_tied(s, "no.weight"), NN_ERR_NAME, "no.weight");
    s = nn_enter(nn_model_new(c, NULL, NULL), c, NN_TRAIN);
    FAILS(c, nn_layer_embedding(s, "e", nn_zeros(c, NN_I32, NN_SHAPE(2)), -1, 2), NN_ERR_SHAPE, "is negative");
    FAILS(c, nn_layer_embedding(s, "e2", nn_zeros(c, NN_I32, NN_SHAPE(2)), INT64_MAX, 2), NN_ERR_RANGE, "does not fit");
    FAILS(c, nn_layer_groupnorm(s, "g", of3(c), 2), NN_ERR_ARG, "groups cannot be 2");
    FAILS(c, nn_layer_groupnorm(s, "g2", of3(c), 0), NN_ERR_ARG, "groups cannot be 0");
    FAILS(c, nn_layer_batchnorm(s, "b", nn_ones(c, NN_F32, NN_SHAPE(3))), NN_ERR_SHAPE, "");
    FAILS(c, nn_layer_rmsnorm(s, "r", nn_ones(c, NN_F32, NN_SCALAR)), NN_ERR_SHAPE, "");
    FAILS(c, nn_layer_scale(s, "s", nn_ones(c, NN_F32, NN_SCALAR), 0), NN_ERR_SHAPE, "");
    FAILS(c, nn_layer_bilinear(s, "bi", of3(c), nn_ones(c, NN_F32, NN_SHAPE(3, 3)), 2), NN_ERR_SHAPE, "");
    FAILS(c, nn_weight_norm(s, "v", NN_SHAPE(-1, 2), nn_init_zeros()), NN_ERR_SHAPE, "is negative");
    FAILS(c, nn_weight_norm(s, "v2", NN_SCALAR, nn_init_const(1)), NN_ERR_SHAPE, "");
    FAILS(c, nn_model_tensor(made, c, "in.weight") == NULL || nn_error(c), NN_OK, "");
    /* optimisers */
    oo = nn_optim_defaults(); oo.kind = NN_OPTIMS;
    FAILS(c, nn_optim_new(made, &oo), NN_ERR_ARG, "kind cannot be 11");
    oo = nn_optim_defaults(); oo.kind = (nn_optim_kind)-1;
    FAILS(c, nn_optim_new(made, &oo), NN_ERR_ARG, "kind cannot be");
    for (int k = 0; k < 4; k++) {
        static const float bad[4] = {-1, 1, INFINITY, NAN};
        oo = nn_optim_defaults(); oo.kind = NN_RMSPROP; oo.beta2 = bad[k];
        FAILS(c, nn_optim_new(made, &oo), NN_ERR_ARG, "beta2");
        oo = nn_optim_defaults(); oo.kind = NN_LION; oo.beta1 = bad[k];
        FAILS(c, nn_optim_new(made, &oo), NN_ERR_ARG, "beta1");
        oo = nn_optim_defaults(); oo.momentum = 0.9f; oo.dampening = bad[k] == 1 ? -1 : bad[k];
        FAILS(c, nn_optim_new(made, &oo), NN_ERR_ARG, "dampening");
        oo = nn_optim_defaults(); oo.average = bad[k] == 1 ? 2 : bad[k];
        FAILS(c, nn_optim_new(made, &oo), NN_ERR_ARG, "average");
    }
    oo = nn_optim_defaults(); oo.average = 1; oo.average_every = -1;
    FAILS(c, nn_optim_new(made, &oo), NN_ERR_ARG, "average_every");
    oo = nn_optim_defaults(); oo.average = 1; oo.average_from = -1;
    FAILS(c, nn_optim_new(made, &oo), NN_ERR_ARG, "average_from");
    oo = nn_optim_defaults(); oo.nesterov = 1;
    check(!nn_optim_new(made, &oo) && nn_error(c) == NN_ERR_ARG, "Nesterov without momentum", __LINE__); nn_error_clear(c);
    o = nn_adam(made, 0.1f);
    check(!nn_optim_swap(o) && nn_error(c) == NN_ERR_ARG, "a swap without averages", __LINE__); nn_error_clear(c);
    FAILS_NAN(c, nn_clip_grad_value(o, 0), NN_ERR_ARG, "max");
    FAILS_NAN(c, nn_clip_grad_value(o, NAN), NN_ERR_ARG, "max");
    FAILS_NAN(c, nn_clip_grad_layers(o, -1), NN_ERR_ARG, "max");
    FAILS(c, nn_optim_group(o, "*", -1, 0), NN_ERR_ARG, "lr_factor");
    FAILS(c, nn_optim_group(o, "*", NAN, 0), NN_ERR_ARG, "lr_factor");
    FAILS(c, nn_optim_group(o, "*", 1, -1), NN_ERR_ARG, "weight_decay");
    CHECK(nn_optim_group(o, "no such*", 1, 0) == 0); nn_error_clear(c);
    check(!nn_optim_metric(o, 1) || nn_error(c) == NN_OK, "a metric that no schedule wants", __LINE__); nn_error_clear(c);
    /* schedules are checked where they are set */
    FAILS(c, nn_set_lr(o, nn_lr_multistep(0.1f, at, 9, 0.5f)), NN_ERR_ARG, "");
    FAILS(c, nn_set_lr(o, nn_lr_multistep(0.1f, at, -1, 0.5f)), NN_ERR_ARG, "");
    FAILS(c, nn_set_lr(o, nn_lr_multistep(0.1f, back, 2, 0.5f)), NN_ERR_ARG, "");
    FAILS(c, nn_set_lr(o, nn_lr_multistep(0.1f, NULL, 2, 0.5f)), NN_ERR_ARG, "");
    FAILS(c, nn_set_lr(o, nn_lr_piecewise(at, rates, 9)), NN_ERR_ARG, "");
    FAILS(c, nn_set_lr(o, nn_lr_piecewise(at, NULL, 2)), NN_ERR_ARG, "");
    FAILS(c, nn_set_lr(o, nn_lr_step(0.1f, 0, 0.5f)), NN_ERR_ARG, "");
    FAILS(c, nn_set_lr(o, nn_lr_step(-1, 10, 0.5f)), NN_ERR_ARG, "lr");
    FAILS(c, nn_set_lr(o, nn_lr_step(0.1f, 10, NAN)), NN_ERR_ARG, "");
    FAILS(c, nn_set_lr(o, nn_lr_exponential(0.1f, -0.5f)), NN_ERR_ARG, "");
    FAILS(c, nn_set_lr(o, nn_lr_inverse_time(0.1f, 1, 0)), NN_ERR_ARG, "");
    FAILS(c, nn_set_lr(o, nn_lr_inverse_time(0.1f, -1, 5)), NN_ERR_ARG, "");
    FAILS(c, nn_set_lr(o, nn_lr_linear(0.1f, 0, 0)), NN_ERR_ARG, "total");
    FAILS(c, nn_set_lr(o, nn_lr_linear(0.1f, -1, 10)), NN_ERR_ARG, "");
    FAILS(c, nn_set_lr(o, nn_lr_polynomial(0.1f, -5, 2, 0)), NN_ERR_ARG, "total");
    FAILS(c, nn_set_lr(o, nn_lr_one_cycle(0.1f, 0, 0)), NN_ERR_ARG, "total");
    FAILS(c, nn_set_lr(o, nn_lr_one_cycle(0.1f, 10, 2)), NN_ERR_ARG, "warm");
    FAILS(c, nn_set_lr(o, nn_lr_restarts(0.1f, 0, 2, 0)), NN_ERR_ARG, "");
    FAILS(c, nn_set_lr(o, nn_lr_restarts(0.1f, 10, 0.5f, 0)), NN_ERR_ARG, "");
    FAILS(c, nn_set_lr(o, nn_lr_plateau(0.1f, 2, 3, 0)), NN_ERR_ARG, "factor");
    FAILS(c, nn_set_lr(o, nn_lr_plateau(0.1f, 0.5f, -1, 0)), NN_ERR_ARG, "patience");
    FAILS(c, nn_set_lr(o, nn_lr_then(NULL, 5, NULL)), NN_ERR_NULL, "a schedule in it is NULL");
    FAILS(c, nn_set_lr(o, nn_lr_times(NULL, NULL)), NN_ERR_NULL, "a schedule in it is NULL");
    { nn_lr one = nn_lr_constant(0.1f), wrong = nn_lr_constant(-1); FAILS(c, nn_set_lr(o, nn_lr_then(&one, 5, &wrong)), NN_ERR_ARG, "lr"); FAILS(c, nn_set_lr(o, nn_lr_then(&one, -5, &one)), NN_ERR_ARG, ""); }
    CHECK(nn_get_lr(o) == (double)0.1f); /* still the old one */
    /* training */
    fo = nn_fit_defaults(); fo.quiet = 1; fo.loss_name = "no such loss";
    FAILS(c, nn_fit(made, d, &fo).epochs, NN_ERR_ARG, "no such loss");
    fo = nn_fit_defaults(); fo.quiet = 1; fo.metrics = "accuracy, no such metric";
    FAILS(c, nn_fit(made, d, &fo).epochs, NN_ERR_ARG, "no such metric");
    fo = nn_fit_defaults(); fo.quiet = 1; fo.metrics = "accuracy,f1,recall,precision,auc,perplexity,mse,mae,rmse";
    FAILS(c, nn_fit(made, d, &fo).epochs, NN_ERR_ARG, "");
    fo = nn_fit_defaults(); fo.quiet = 1; fo.accumulate = -1;
    FAILS(c, nn_fit(made, d, &fo).epochs, NN_ERR_ARG, "accumulate");
    fo = nn_fit_defaults(); fo.quiet = 1; fo.patience = -1;
    FAILS(c, nn_fit(made, d, &fo).epochs, NN_ERR_ARG, "patience");
    fo = nn_fit_defaults(); fo.quiet = 1; fo.clip_value = -1;
    FAILS(c, nn_fit(made, d, &fo).epochs, NN_ERR_ARG, "clip_value");
    fo = nn_fit_defaults(); fo.quiet = 1; fo.min_delta = NAN;
    FAILS(c, nn_fit(made, d, &fo).epochs, NN_ERR_ARG, "min_delta");
    fo = nn_fit_defaults(); fo.quiet = 1; fo.checkpoint_every = -1;
    FAILS(c, nn_fit(made, d, &fo).epochs, NN_ERR_ARG, "checkpoint_every");
    fo = nn_fit_defaults(); fo.quiet = 1; fo.balance = 1;
    FAILS(c, nn_fit(made, nn_data_new(of3(c), nn_ones(c, NN_F32, NN_SHAPE(2, 2))), &fo).epochs, NN_ERR_ARG, "balance");
    fo = nn_fit_defaults(); fo.quiet = 1; fo.resume = 1;
    check(!nn_fit(made, d, &fo).epochs && nn_error(c) != NN_OK, "to resume from no file", __LINE__); nn_error_clear(c);
#if !defined(NN_NO_STDIO)
    fo = nn_fit_defaults(); fo.quiet = 1; fo.epochs = 1; fo.best = "no such folder/best";
    (void)nn_fit(made, d, &fo);
    expect(c, NN_ERR_FILE, "no such folder/best", "nn_fit with a best file that cannot be", __LINE__);
    fo = nn_fit_defaults(); fo.quiet = 1; fo.epochs = 1; fo.checkpoint = "no such folder/checkpoint";
    (void)nn_fit(made, d, &fo);
    expect(c, NN_ERR_FILE, "no such folder/checkpoint", "nn_fit with a checkpoint file that cannot be", __LINE__);
    fo = nn_fit_defaults(); fo.quiet = 1; fo.epochs = 1; fo.history = "no such folder/history";
    (void)nn_fit(made, d, &fo);
    expect(c, NN_ERR_FILE, "no such folder/history", "nn_fit with a history file that cannot be", __LINE__);
    fo = nn_fit_defaults(); fo.quiet = 1; fo.epochs = 1; fo.curve = "no such folder/curve";
    (void)nn_fit(made, d, &fo);
    expect(c, NN_ERR_FILE, "no such folder/curve", "nn_fit with a curve file that cannot be", __LINE__);
#endif
    /* data of another context; a plan records no host reads */
    FAILS(f, nn_scale_fit(nn_model_new(f, net_two, NULL), "in", d, NN_SCALE_STANDARD), NN_ERR_CONTEXT, "");
    FAILS(c, nn_scale_fit_target(made, "in", d, NN_SCALE_STANDARD), NN_ERR_ARG, "the targets are classes");
    FAILS(c, nn_scale_fit(made, "in", reals, NN_SCALE_STANDARD), NN_ERR_NAME, "");
    nn_error_clear(f);
    nn_end(c);
    CHECK(heap.blocks == 0);
}

int main(void) {
    name_files();
    test_messages();
    test_log();
    test_sticky();
    test_revive();
    test_null();
    test_half_null();
    test_place();
    test_shapes();
    test_operands();
    test_objects();
    test_safetensors();
    test_load();
    test_idx();
    test_csv();
    test_null_wide();
    test_half_null_wide();
    test_sticky_wide();
    test_operands_wide();
    test_objects_wide();
    printf("errors: %d passed, %d failed", passed, failed);
    if (skipped) printf(", %d skipped", skipped);
    printf("\n");
    return failed != 0;
}
