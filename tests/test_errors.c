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
P(FORK_ENDED) {
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
#undef P

static const struct provoker { int id; nn_ctx *(*f)(nn_ctx *); } provokers[] = {
#define P(name) {NN__M_##name, p_##name}
    P(MEMORY), P(OPERAND_NULL), P(ARG_NULL), P(OTHER_CONTEXT), P(DROPPED), P(FOREIGN_COPY), P(FORK_ENDED), P(RANK_LIMIT), P(NEGATIVE_SIZE), P(TOO_LARGE),
    P(BROADCAST), P(SHAPES_DIFFER), P(SIZES_DIFFER), P(RANK), P(AXIS), P(AXIS_TWICE), P(AXES_COUNT), P(RESHAPE), P(RESHAPE_GUESS), P(EXPAND), P(SQUEEZE),
    P(SLICE_STEP), P(INDEX), P(INDEX_VALUE), P(LABEL), P(EMPTY), P(NOT_ONE), P(BYTES), P(NOT_REAL), P(NOT_INTEGER), P(DTYPES_DIFFER), P(DTYPE_IS), P(DTYPE_BAD),
    P(NO_F64), P(NOT_CONTIGUOUS), P(NO_DATA), P(PROBABILITY), P(ARANGE), P(OPTION), P(ISA), P(OP_OUTPUT), P(IN_PLACE), P(OVERWRITTEN), P(NO_HISTORY), P(NOT_LEAF),
    P(NO_GRAD_RULE), P(NO_GRADIENTS), P(GRADCHECK_F64), P(SCOPE), P(NAME_BAD), P(NAME_UNKNOWN), P(NAME_SHAPE), P(NAME_MISSING), P(NAME_LEFT), P(NAME_FITS_NOT),
    P(MODEL_MADE), P(MODEL_NOT_MADE), P(MODEL_THREADS), P(MODEL_NO_NET), P(NET_NULL), P(STATE_SHAPE), P(SPLIT), P(SAMPLES), P(FILE_OPEN), P(FILE_READ), P(FILE_WRITE),
    P(FILE_NONE), P(FORMAT), P(CSV), P(DEVICE_NONE), P(DEVICE_FAILED), P(DEVICE_HOST), P(DEVICES_DIFFER)
#undef P
};
enum { PROVOKERS = (int)(sizeof provokers / sizeof *provokers) };

/* Why this build cannot say it; NULL: it can. */
static const char *exception(int id) {
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
    if (id == NN__M_FILE_OPEN || id == NN__M_FILE_READ || id == NN__M_FILE_WRITE) return "not with NN_NO_STDIO";
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
        char        what[600];
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

int main(void) {
    name_files();
    test_messages();
    printf("errors: %d passed, %d failed", passed, failed);
    if (skipped) printf(", %d skipped", skipped);
    printf("\n");
    return failed != 0;
}
