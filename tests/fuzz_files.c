// The readers trust nothing: safetensors, npy, npz, idx, csv, text and pictures from any bytes whatever. Either a libFuzzer target,
//     clang -g -O1 -fsanitize=fuzzer,address,undefined -I. tests/fuzz_files.c -lm -lpthread
// or, with -DFUZZ_STANDALONE, a program that mutates its own seeds: fuzz_files [rounds [folder to write the seeds into]].
// First byte: which reader. Second byte: its options. The rest: the file. FUZZ_READER=7 in the environment: only that one.
#define NN_IMPLEMENTATION
#include "nn.h"

static void broken(const char *what) { // stops under a fuzzer as under a shell
    printf("fuzz_files: %s\n", what);
    fflush(stdout);
    abort();
}
#define MUST(x) do { if (!(x)) broken(#x); } while (0)

// ---- what is taken is given back
static long   taken_blocks;
static size_t taken_bytes;
static void *take(void *user, size_t size) {
    void *p = size > ((size_t)1 << 28) ? NULL : malloc(size); // a header may ask for much; the reader must live with a no
    (void)user;
    if (p) { taken_blocks++; taken_bytes += size; }
    return p;
}
static void give(void *user, void *p, size_t size) {
    (void)user;
    taken_blocks--;
    taken_bytes -= size;
    free(p);
}
static nn_ctx *quiet_ctx(void) {
    nn_config g = nn_config_defaults();
    g.quiet   = 1;
    g.threads = 1;
    g.alloc   = take;
    g.release = give;
    return nn_begin(&g);
}

static nn_tensor *net(nn_scope s, nn_tensor *x) {
    x = nn_layer_linear(s, "a", x, 2);
    return nn_layer_layernorm(s, "n", x);
}
static void checksum(nn_model *m, nn_ctx *c, unsigned char bits[64]) { // of the parameters' bytes: NaN loads as well
    size_t at = 0;
    memset(bits, 0, 64);
    for (int i = 0; i < nn_model_count(m); i++) {
        nn_tensor           *x = nn_model_tensor(m, c, nn_model_name(m, i));
        const unsigned char *p = (const unsigned char *)nn_ptr(x);
        for (int64_t k = 0; k < nn_numel(x) * 4; k++, at++) bits[at % 64] = (unsigned char)(bits[at % 64] * 31 + p[k]);
    }
}
static void use(nn_tensor *x) { // reads every element
    char text[200];
    if (!x) return;
    nn_format(x, text, sizeof text);
    if (nn_numel(x) > 0 && nn_numel(x) < 100000) nn_cast(x, NN_F64);
}

// ---- the readers
static void load_built(const unsigned char *p, size_t size) {
    unsigned char before[64], after[64];
    nn_ctx   *c = quiet_ctx();
    nn_model *m = nn_model_new(c, net, NULL);
    int       fine;
    nn_model_build(m, NN_F32, NN_SHAPE(1, 3));
    checksum(m, c, before);
    fine = nn_load_memory(m, p, size);
    MUST(fine == (nn_error(c) == NN_OK));
    nn_error_clear(c);
    checksum(m, c, after);
    MUST(fine || !memcmp(before, after, sizeof before)); /* all or nothing */
    use(nn_predict(m, nn_ones(c, NN_F32, NN_SHAPE(2, 3))));
    MUST(nn_error(c) == NN_OK);
    nn_end(c);
}
static void load_before(const unsigned char *p, size_t size, int how) {
    nn_ctx   *c = quiet_ctx();
    nn_model *m = nn_model_new(c, how & 1 ? NULL : net, NULL);
    int       fine = nn_load_memory(m, p, size);
    MUST(fine == (nn_error(c) == NN_OK));
    if (how & 2) nn_load_memory(m, p, size); /* the second takes the first one's place */
    if (how & 4) nn_error_clear(c);
    if (how & 1) { /* by hand: each parameter as it is named */
        nn_scope s = nn_enter(m, c, NN_TRAIN);
        use(net(s, nn_ones(c, NN_F32, NN_SHAPE(2, 3))));
        nn_reset(c);
    } else if (how & 8) use(nn_predict(m, nn_ones(c, NN_F32, NN_SHAPE(2, 3))));
    if (how & 16) nn_model_freeze(m);
    nn_end(c);
}
static void walk_file(const unsigned char *p, size_t size, int how) {
    nn_ctx  *c = quiet_ctx();
    nn_file *f = nn_file_memory(c, p, size);
    int      n = nn_file_count(f);
    MUST((f != NULL) == (nn_error(c) == NN_OK));
    for (int i = 0; i < n && i < 100; i++) {
        nn_shape   s = nn_file_shape(f, i);
        nn_tensor *x = nn_file_tensor(f, nn_file_name(f, i));
        MUST(s.ndim >= 0 && s.ndim <= NN_MAX_DIMS && (unsigned)nn_file_dtype(f, i) < NN_DTYPES);
        MUST((x != NULL) == (nn_error(c) == NN_OK));
        if (x) {
            MUST(nn_dtype_of(x) == nn_file_dtype(f, i) && nn_ndim(x) == s.ndim);
            for (int d = 0; d < s.ndim; d++) MUST(nn_dim(x, d) == s.dim[d]);
            MUST((uint64_t)nn_numel(x) <= size);
        }
        use(x);
        nn_error_clear(c);
    }
    MUST(nn_file_name(f, n) == NULL && nn_file_name(f, -1) == NULL);
    nn_file_tensor(f, "no such name");
    if (how & 1) nn_file_close(f);
    nn_end(c);
}
/* An npz file around these bytes, as one array or two: what a mutated archive rarely keeps is right here, but for what `how` breaks. */
static void put_little(unsigned char **to, uint64_t v, int n) {
    for (int i = 0; i < n; i++) *(*to)++ = (unsigned char)(v >> (8 * i));
}
static uint32_t crc_of(const unsigned char *p, size_t n) {
    uint32_t r = 0xffffffffu;
    for (size_t i = 0; i < n; i++) {
        r ^= p[i];
        for (int b = 0; b < 8; b++) r = r & 1 ? r >> 1 ^ 0xedb88320u : r >> 1;
    }
    return ~r;
}
static size_t zip_bytes(unsigned char *zip, const unsigned char *p, size_t size, int how) { // needs room for size + 500
    static const char *const names[4] = {"a.npy", "a/b.npy", "b", "a.npy"};
    unsigned char *to = zip;
    size_t         at[2] = {0, 0}, from[2], length[2], directory;
    uint32_t       crc;
    int            n = 1 + (how & 1), wide = how >> 3 & 1, after = how >> 4 & 1; /* sizes in a zip64 field, as NumPy writes them; behind the data */
    from[0] = 0; length[0] = n == 2 ? size / 2 : size; from[1] = length[0]; length[1] = size - length[0];
    for (int i = 0; i < n; i++) {
        const char *name = names[(i + (how >> 1)) & 3];
        uint64_t    said = after ? 0 : wide ? 0xffffffffu : length[i];
        at[i] = (size_t)(to - zip);
        crc   = crc_of(p + from[i], length[i]);
        put_little(&to, 0x04034b50u, 4); put_little(&to, 20, 2); put_little(&to, after ? 8 : 0, 2); put_little(&to, 0, 2); put_little(&to, 0, 4);
        put_little(&to, after ? 0 : crc, 4); put_little(&to, said, 4); put_little(&to, said, 4);
        put_little(&to, strlen(name), 2); put_little(&to, wide ? 20 : 0, 2);
        memcpy(to, name, strlen(name)); to += strlen(name);
        if (wide) { put_little(&to, 1, 2); put_little(&to, 16, 2); put_little(&to, length[i], 8); put_little(&to, length[i], 8); }
        memcpy(to, p + from[i], length[i]); to += length[i];
        if (after) { put_little(&to, 0x08074b50u, 4); put_little(&to, crc, 4); put_little(&to, length[i], 4); put_little(&to, length[i], 4); }
    }
    directory = (size_t)(to - zip);
    for (int i = 0; i < n; i++) {
        const char *name = names[(i + (how >> 1)) & 3];
        put_little(&to, 0x02014b50u, 4); put_little(&to, 20, 2); put_little(&to, 20, 2); put_little(&to, after ? 8 : 0, 2); put_little(&to, 0, 2); put_little(&to, 0, 4);
        put_little(&to, crc_of(p + from[i], length[i]), 4); put_little(&to, length[i] + (how & 32 ? size : 0), 4); put_little(&to, length[i] + (how & 64 ? 1 : 0), 4);
        put_little(&to, strlen(name), 2); put_little(&to, 0, 8); put_little(&to, 0, 4);
        put_little(&to, at[i] + (how & 128 ? 7 : 0), 4);
        memcpy(to, name, strlen(name)); to += strlen(name);
    }
    size = (size_t)(to - zip) - directory;
    put_little(&to, 0x06054b50u, 4); put_little(&to, 0, 4); put_little(&to, (uint64_t)n, 2); put_little(&to, (uint64_t)n, 2);
    put_little(&to, size, 4); put_little(&to, directory, 4); put_little(&to, 0, 2);
    return (size_t)(to - zip);
}
static void zip_file(const unsigned char *p, size_t size, int how) {
    unsigned char *zip = (unsigned char *)malloc(size + 500), *copy;
    size_t         n = zip ? zip_bytes(zip, p, size, how) : 0;
    if (zip && (copy = (unsigned char *)malloc(n)) != NULL) { /* a block of its own size */
        memcpy(copy, zip, n);
        walk_file(copy, n, how);
        free(copy);
    }
    free(zip);
}
static void read_text(const unsigned char *p, size_t size) {
    nn_ctx    *c = quiet_ctx();
    int64_t    n = (int64_t)size, at = 0;
    int        count = -1, seen = 0;
    nn_tensor *t = nn_from(c, p, NN_U8, NN_SHAPE(n)), *lines = nn_text_lines(t), *table = nn_text_table(t, &count);
    MUST(lines && table && nn_error(c) == NN_OK && nn_dim(lines, 1) == 2 && nn_numel(table) == 256 && count >= 0 && count <= 256);
    for (int64_t i = 0; i < nn_dim(lines, 0); i++) { /* in order, without their ends */
        int64_t from = nn_i64(lines)[2 * i], to = nn_i64(lines)[2 * i + 1];
        MUST(from >= at && to >= from && to <= n && (i == 0 ? from == 0 : p[from - 1] == '\n') && (to == n || p[to] == '\n' || (p[to] == '\r' && p[to + 1] == '\n')));
        for (int64_t k = from; k < to; k++) MUST(p[k] != '\n');
        at = to;
    }
    for (int b = 0; b < 256; b++) {
        int there = size && memchr(p, b, size);
        MUST(nn_i32(table)[b] == (there ? seen : -1));
        seen += there;
    }
    MUST(seen == count);
    nn_end(c);
}
static void read_idx(const unsigned char *p, size_t size, int how) {
    nn_ctx    *c = quiet_ctx();
    nn_tensor *x = nn_idx(c, p, size);
    MUST((x != NULL) == (nn_error(c) == NN_OK));
    use(x);
    if (x && nn_ndim(x) > 0) { /* as data: rows of any size, perhaps none */
        nn_batch b;
        nn_data *d = nn_data_new(x, nn_zeros(c, NN_F32, NN_SHAPE(nn_dim(x, 0) < 10000 ? nn_dim(x, 0) : 1, 1)));
        nn_data_batch(d, 1 + how % 7, how & 8);
        for (int i = 0; i < 3 && nn_data_next(d, &b); i++) use(b.x);
    }
    if (how & 16) nn_drop(x);
    nn_end(c);
}
static void read_csv(const unsigned char *p, size_t size, int how) {
    static const float scales[4] = {0, 1, 0.5f, -1e30f};
    nn_csv_options o = nn_csv_defaults();
    nn_ctx        *c;
    nn_data       *d, *rest = NULL, *part = NULL;
    nn_batch       b;
    if (size < 1) return;
    o.missing = *p & 3;        /* the first byte: more options */
    o.text    = *p >> 2 & 1;
    p++; size--;
    c = quiet_ctx();
    o.header     = how & 1;
    o.regression = how >> 1 & 1;
    o.separator  = ",;\t "[how >> 2 & 3];
    o.target     = how >> 4 & 3;
    o.scale      = scales[how >> 6 & 3];
    d = nn_data_csv_text(c, (const char *)p, size, &o);
    MUST((d != NULL) == (nn_error(c) == NN_OK));
    MUST(!d || (nn_data_count(d) > 0 && (size_t)nn_data_count(d) <= size));
    for (int i = 0; i < 3 && nn_data_next(d, &b); i++) { use(b.x); use(b.y); }
    nn_data_split(d, 0.5, &rest, &part);
    MUST(!d || nn_error(c) || nn_data_count(rest) + nn_data_count(part) == nn_data_count(d));
    use(nn_data_x(rest, 0, 1));
    nn_error_clear(c);
    if (d) {
        int64_t classes = nn_data_classes(d);
        MUST(nn_error(c) == NN_OK && (o.regression ? classes == 0 : classes > 0));
        if (o.text && !memchr(p, 0, size)) for (int64_t i = 0; i < classes; i++) MUST(nn_data_class(d, (int)i) && (i == 0 || strcmp(nn_data_class(d, (int)i - 1), nn_data_class(d, (int)i)) < 0));
        MUST(nn_data_class(d, o.text ? (int)classes : 0) == NULL && nn_data_column(d, -1) == NULL);
        for (int i = 0; nn_data_column(d, i); i++) MUST(o.header && strlen(nn_data_column(d, i)) <= size);
        if (o.missing != NN_CSV_NAN && o.scale == 1)
            for (int64_t i = 0; i < nn_data_count(d) && i < 50; i++) {
                nn_tensor *x = nn_data_x(d, i, 1);
                for (int64_t k = 0; k < nn_numel(x); k++) MUST(nn_f32(x)[k] == nn_f32(x)[k]); /* no NaN that nobody asked for */
            }
        if (nn_data_fold(d, 3, how % 3, &rest, &part)) MUST(nn_data_count(rest) + nn_data_count(part) == nn_data_count(d));
    }
    nn_end(c);
}
static int put_file(const unsigned char *p, size_t size, char *path, size_t room) { // for readers that take a path only
    long  id = 0;
    FILE *f;
    int   fine;
#if !defined(_WIN32)
    id = (long)getpid();
#endif
    snprintf(path, room, "fuzz_%ld.partial", id);
    f = fopen(path, "wb");
    if (!f) return 0;
    fine = fwrite(p, 1, size, f) == size;
    return fclose(f) == 0 && fine;
}
static void read_stream(const unsigned char *p, size_t size, int how) { // x and y from the same file, x stays on the disk
    char     path[64];
    nn_ctx  *c;
    nn_data *d, *rest = NULL, *part = NULL;
    nn_batch b;
    int64_t  n = 0;
    if (!put_file(p, size, path, sizeof path)) return;
    c = quiet_ctx();
    d = nn_data_files(c, path, path, how & 7);
    MUST((d != NULL) == (nn_error(c) == NN_OK));
    MUST(!d || (nn_data_count(d) > 0 && ((uint64_t)nn_data_count(d) <= size || nn_numel(nn_data_x(d, 0, 1)) == 0)));
    nn_error_clear(c);
    if (d && nn_data_count(d) < 100000) {
        nn_data_batch(d, 1 + (how >> 3 & 7), 0);
        nn_data_shuffle(d, how >> 6 & 1);
        while (nn_data_next(d, &b)) { n += b.n; if (n < 200) use(b.x); }
        MUST(n == nn_data_count(d) && nn_error(c) == NN_OK);
        if (nn_data_split(d, 0.5, &rest, &part)) { use(nn_data_x(part, 0, 1)); while (nn_data_next(rest, &b)) n -= b.n; MUST(n == nn_data_count(part)); }
    }
    nn_end(c);
    remove(path);
}
static void load_optim(const unsigned char *p, size_t size, int how) {
    char      path[64];
    nn_ctx   *c;
    nn_model *m;
    nn_optim *o;
    int       fine;
    if (put_file(p, size, path, sizeof path)) {
        c = quiet_ctx();
        m = nn_model_new(c, net, NULL);
        nn_model_build(m, NN_F32, NN_SHAPE(1, 3));
        o = how & 1 ? nn_adam(m, 0.1f) : nn_sgd(m, 0.1f, 0.5f);
        fine = nn_optim_load(o, path);
        MUST(fine == (nn_error(c) == NN_OK));
        nn_error_clear(c);
        nn_backward(nn_mean(nn_square(nn_forward(m, nn_ones(c, NN_F32, NN_SHAPE(2, 3)))), NN_ALL, 0));
        nn_step(o);
        MUST(nn_error(c) == NN_OK);
        nn_end(c);
    }
    remove(path);
}

/* Training that goes on from this file: to the end, or not at all. */
static nn_data *six_samples(nn_ctx *c) {
    nn_tensor *x = nn_zeros(c, NN_F32, NN_SHAPE(6, 3)), *y = nn_zeros(c, NN_I32, NN_SHAPE(6));
    for (int i = 0; i < 18; i++) nn_f32(x)[i] = (float)(i * 7 % 5) - 2;
    for (int i = 0; i < 6; i++) nn_i32(y)[i] = i % 2;
    return nn_data_new(x, y);
}
static nn_fit_options fit_options(const char *path, int how) {
    nn_fit_options f = nn_fit_defaults();
    f.quiet = f.unwatched = 1;
    f.epochs     = 3;
    f.batch      = 2;
    f.eager      = 1;
    f.checkpoint = path;
    f.metrics    = how & 1 ? "f1" : NULL;
    f.patience   = how & 2 ? 2 : 0;
    f.validation = how & 4 ? 0.4f : 0;
    f.best       = NULL;
    f.checkpoint_every = how & 8 ? 1 : 0;
    return f;
}
static void resume(const unsigned char *p, size_t size, int how) {
    char           path[64];
    nn_ctx        *c;
    nn_model      *m;
    nn_fit_options f;
    nn_history     h;
    double         sum = 0;
    if (!put_file(p, size, path, sizeof path)) return;
    c = quiet_ctx();
    m = nn_model_new(c, net, NULL);
    f = fit_options(path, how);
    f.resume = 1;
    nn_model_build(m, NN_F32, NN_SHAPE(1, 3));
    h = nn_fit(m, six_samples(c), &f);
    MUST(h.epochs <= 3 && h.best >= 0 && (h.epochs == 0 || h.best < h.epochs));
    for (int i = 0; i < h.epochs; i++) sum += h.loss[i] + h.accuracy[i];
    if (h.epochs) sum += h.loss[h.best];
    MUST(nn_error(c) || h.epochs == 3 || f.patience);
    MUST(sum != 0 || sum == 0 || sum != sum);
    nn_end(c);
    remove(path);
}

static void read_image(const unsigned char *p, size_t size, int how) {
    nn_ctx    *c = quiet_ctx();
    nn_tensor *x = nn_image_memory(c, p, size);
    MUST((x != NULL) == (nn_error(c) == NN_OK));
    if (x) {
        MUST(nn_dtype_of(x) == NN_U8 && nn_ndim(x) == 3 && (nn_dim(x, 0) == 1 || nn_dim(x, 0) == 3) && nn_dim(x, 1) > 0 && nn_dim(x, 2) > 0);
        MUST((uint64_t)nn_numel(x) <= 24 * size); /* a bit may be a pixel of three bytes */
        use(x);
        if (how & 1) use(nn_image_grid(x, how >> 1 & 3, how >> 3 & 3));
        MUST(nn_error(c) == NN_OK);
    }
    nn_end(c);
}
static void read_cifar(const unsigned char *p, size_t size, int how) { // once or twice the same file, with batches that are changed
    char        path[64];
    const char *paths[2];
    nn_ctx     *c;
    nn_data    *d;
    nn_augment  a = nn_augment_defaults();
    nn_batch    b;
    int         n = 1 + (how & 1);
    if (!put_file(p, size, path, sizeof path)) return;
    paths[0] = paths[1] = path;
    c = quiet_ctx();
    d = nn_data_cifar10(c, paths, n);
    MUST((d != NULL) == (nn_error(c) == NN_OK) && (d != NULL) == (size > 0 && size % 3073 == 0 && nn_error(c) == NN_OK));
    MUST(!d || (size_t)nn_data_count(d) == (size_t)n * size / 3073);
    a.flip = 0.5f; a.rotate = how & 2 ? 30 : 0; a.shift = how >> 2 & 3; a.cutout = how >> 4 & 7; a.mixup = how & 128 ? 1 : 0;
    nn_data_augment(d, &a);
    for (int i = 0; i < 2 && nn_data_next(d, &b); i++) { use(b.x); use(b.y); }
    MUST(!d || nn_error(c) == NN_OK);
    nn_end(c);
    remove(path);
}

enum { READERS = 14 };
#if defined(__cplusplus)
extern "C"
#endif
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static int     only = -2;
    unsigned char *p; // a block of its own, so that reading past its end is seen
    int            how;
    if (only == -2) only = getenv("FUZZ_READER") ? atoi(getenv("FUZZ_READER")) : -1;
    if (size < 2) return 0;
    how = data[1];
    p   = (unsigned char *)malloc(size - 2 ? size - 2 : 1);
    if (!p) return 0;
    memcpy(p, data + 2, size - 2);
    size -= 2;
    switch (only >= 0 ? only : data[0] % READERS) {
    case 0: load_built(p, size); break;
    case 1: load_before(p, size, how); break;
    case 2: walk_file(p, size, how); break;
    case 3: read_idx(p, size, how); break;
    case 4: read_csv(p, size, how); break;
    case 5: load_optim(p, size, how); break;
    case 6: walk_file(p, size, how); break; /* seeds: npy */
    case 7: walk_file(p, size, how); break; /* seeds: npz */
    case 8: zip_file(p, size, how); break;
    case 9: read_text(p, size); break;
    case 10: read_stream(p, size, how); break;
    case 11: resume(p, size, how); break;
    case 12: read_image(p, size, how); break;
    default: read_cifar(p, size, how);
    }
    free(p);
    MUST(taken_blocks == 0 && taken_bytes == 0);
    return 0;
}

#if defined(FUZZ_STANDALONE)
// ---- seeds, and a mutator without feedback
typedef struct bytes { unsigned char p[8192]; size_t n; } bytes;
static uint64_t random_state = 1;
static unsigned random_below(size_t n) {
    random_state += 0x9e3779b97f4a7c15u;
    return n ? (unsigned)(nn__mix(random_state) % n) : 0;
}
static void put(bytes *b, const void *p, size_t n) {
    if (b->n + n > sizeof b->p) return;
    memcpy(b->p + b->n, p, n);
    b->n += n;
}
static void put_length(bytes *b, size_t header) { // behind the two bytes that choose the reader
    for (int i = 0; i < 8; i++) b->p[2 + i] = (unsigned char)((uint64_t)header >> (8 * i));
}
static void safetensors(bytes *b, const char *header, size_t data) {
    static const unsigned char zeros[8] = {0, 0, 0, 0, 0, 0, 0, 0};
    put(b, zeros, 8);
    put(b, header, strlen(header));
    put_length(b, strlen(header));
    for (size_t i = 0; i < data; i++) {
        unsigned char v = (unsigned char)(i % 4 == 3 ? 0x3f : i * 7);
        put(b, &v, 1);
    }
}
static const char model_header[] =
    "{\"a.weight\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,24]},\"a.bias\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[24,32]},"
    "\"n.weight\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[32,40]},\"n.bias\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[40,48]}}";
static const char mixed_header[] =
    " {\"__metadata__\" : {\"format\":\"pt\", \"n\\u00e4me\\n\":\"\\ud83d\\ude00\\\\\"},\n"
    "\"a.weight\":{\"dtype\":\"F64\",\"shape\":[2, 3],\"data_offsets\":[0,48]}, \"a.bias\":{\"shape\":[2],\"dtype\":\"F16\",\"data_offsets\":[48,52]},"
    "\"n.weight\":{\"dtype\":\"BF16\",\"shape\":[2],\"data_offsets\":[52,56]},\"n.bias\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[56,64]}}   ";
static const char other_header[] =
    "{\"s\":{\"dtype\":\"I64\",\"shape\":[],\"data_offsets\":[0,8]},\"none\":{\"dtype\":\"U8\",\"shape\":[3,0,2],\"data_offsets\":[8,8]},"
    "\"b\":{\"dtype\":\"BOOL\",\"shape\":[1,1,1,1,1,5],\"data_offsets\":[8,13]},\"i\":{\"dtype\":\"I32\",\"shape\":[2],\"data_offsets\":[13,21]}}";
static const char optim_header[] =
    "{\"a.weight\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,24]},\"a.bias\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[24,32]},"
    "\"n.weight\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[32,40]},\"n.bias\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[40,48]},"
    "\"optim.a.bias.m\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},\"optim.a.bias.v\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[8,16]},"
    "\"optim.a.bias.steps\":{\"dtype\":\"F64\",\"shape\":[1],\"data_offsets\":[0,8]},\"optim.step\":{\"dtype\":\"F64\",\"shape\":[1],\"data_offsets\":[48,56]}}";

static size_t npy_bytes(unsigned char *to, int version, const char *header, size_t data) {
    unsigned char *at = to;
    memcpy(at, "\x93NUMPY", 6); at += 6;
    put_little(&at, (uint64_t)version, 2);
    put_little(&at, strlen(header), version == 1 ? 2 : 4);
    memcpy(at, header, strlen(header)); at += strlen(header);
    for (size_t i = 0; i < data; i++) *at++ = (unsigned char)(i % 4 == 3 ? 0x3f : i * 7);
    return (size_t)(at - to);
}

enum { SEEDS = 60 };
static bytes seeds[SEEDS];
static bytes *seed(int *n, int reader, int how) { // the next one, with its two bytes
    bytes        *b = &seeds[(*n)++];
    unsigned char head[2];
    head[0] = (unsigned char)reader; head[1] = (unsigned char)how;
    put(b, head, 2);
    return b;
}
static int make_seeds(void) {
    static const char *const csv[10] = {"1,2,0\n3.5,-4e1,1\n 5 ,6,2\n7,8,1\n", "x;y;z\n1;\"2\";3\r\n.5;1e-3;4\r\n", "1\t2\t0\n3\t4\t1\n", "\t\t\n", "1 2 3\n4 5 6\n",
                                        "\n\n0.1234567890123456789,1e400,-0\n123456789012345678901234567890,1e-400,5\n", "\"a, b\",\"c\"\"d\",e\r\n1,2,x\r\n3,?,\"y, z\"\r\n",
                                        "1,,0\nNA,2,1\n?,NaN,0\n4,5,1\n", "h\ti\n\tp\n1\tq\n", "1,b\n2,a\n3,\"c \"\"\"\n"};
    static const unsigned char how[10] = {0, 0x47, 0x08, 0x08, 0x2e, 0x02, 0x01, 0, 0x09, 0}, more[10] = {0, 0, 0, 0, 0, 0, 7, 2, 5, 4};
    static const unsigned char idx[3][28] = {{0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 3, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}, {0, 0, 13, 1, 0, 0, 0, 3, 63, 128, 0, 0, 64, 0, 0, 0, 0, 0, 0, 1},
                                             {0, 0, 14, 2, 0, 0, 0, 1, 0, 0, 0, 1, 64, 9, 0, 0, 0, 0, 0, 0}};
    static const char *const npy[7] = {"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }        \n", "{'descr': '<i8', 'fortran_order': True, 'shape': (3, 1, 2), }\n", "{'descr': '|u1', 'fortran_order': False, 'shape': (), }\n",
                                       "{'descr': '|b1', 'fortran_order': False, 'shape': (0, 3), }\n", "{'shape': (5,), 'descr': '<f2', 'fortran_order': False}", "{\"descr\":\"<f8\",\"fortran_order\":False,\"shape\":(2,)}",
                                       "{'descr': '<i4', 'fortran_order': False, 'shape': (3,), }\n"};
    static const size_t npy_data[7] = {24, 48, 1, 0, 10, 16, 12};
    unsigned char one[600], two[1200];
    int    n = 0;
    bytes *b;
    size_t size;
    for (int reader = 0; reader < 3; reader++)
        for (int k = 0; k < 3; k++) safetensors(seed(&n, reader, k * 9), k == 0 ? model_header : k == 1 ? mixed_header : other_header, k == 0 ? 48 : k == 1 ? 64 : 21);
    for (int k = 0; k < 3; k++) put(seed(&n, 3, 0), idx[k], k == 0 ? 28 : 20);
    for (int k = 0; k < 10; k++) {
        b = seed(&n, 4, how[k]);
        put(b, &more[k], 1);
        put(b, csv[k], strlen(csv[k]));
    }
    b = seed(&n, 4, 0); /* wide rows, the last one left out: more than what tensors have to spare behind their end */
    put(b, "\3", 1);
    for (int k = 0; k < 82; k++) put(b, k % 41 == 40 ? "0\n" : k == 80 ? "?," : "7,", 2);
    for (int k = 0; k < 2; k++) safetensors(seed(&n, 5, k), optim_header, 56);
    for (int k = 0; k < 7; k++) put(seed(&n, 6, k), one, npy_bytes(one, 1 + k % 3, npy[k], npy_data[k]));
    for (int k = 0; k < 4; k++) { /* archives: of two, with zip64 fields, streamed */
        size = npy_bytes(one, 1, npy[0], npy_data[0]);
        if (k & 1) size += npy_bytes(one + size, 1, npy[0], npy_data[0]);
        put(seed(&n, 7, 0), two, zip_bytes(two, one, size, k * 8 + (k & 1)));
    }
    for (int k = 0; k < 4; k++) put(seed(&n, 8, k * 8), one, npy_bytes(one, 1 + k % 3, npy[k], npy_data[k]));
    put(seed(&n, 9, 0), "one\ntwo\r\n\n\rlast", 16);
    put(seed(&n, 10, 0x0b), one, npy_bytes(one, 1, npy[0], npy_data[0]));
    put(seed(&n, 10, 0x52), one, npy_bytes(one, 1, npy[6], npy_data[6]));
    put(seed(&n, 10, 0), idx[0], 28);
    put(seed(&n, 10, 0x49), idx[1], 20);
    {
        static const char *const pnm[5] = {"P2 # grey\n3 2 255\n0 1 2\n3 4 255\n", "P3 1 2 65535 1 2 3 40000 5 6", "P5 3 2 255\n0123456", "P6\n2 2\n127\n0123456789AB", "P6 1 1 65535\nABCDEF"};
        static const unsigned char depth[3] = {1, 8, 32};
        for (int k = 0; k < 5; k++) put(seed(&n, 12, k), pnm[k], strlen(pnm[k]));
        for (int k = 0; k < 3; k++) { /* BMP of 3 x 2: the header, a palette of two or masks, rows of as many bytes as it takes */
            unsigned char bmp[66 + 32];
            memset(bmp, 0, sizeof bmp);
            bmp[0] = 'B'; bmp[1] = 'M'; bmp[10] = depth[k] == 32 ? 66 : 62; bmp[14] = 40; bmp[18] = 3; bmp[22] = 2; bmp[26] = 1; bmp[28] = depth[k];
            if (depth[k] == 32) { bmp[30] = 3; bmp[54] = 255; bmp[59] = 255; bmp[64] = 255; }
            else { bmp[46] = 2; for (int i = 54; i < 62; i++) bmp[i] = (unsigned char)(i * 5); }
            for (int i = bmp[10]; i < (int)sizeof bmp; i++) bmp[i] = (unsigned char)(depth[k] == 32 ? i * 7 : i & 1);
            put(seed(&n, 12, k), bmp, sizeof bmp);
        }
        b = seed(&n, 13, 0xb7);
        for (int i = 0; i < 2 * 3073; i++) { unsigned char v = (unsigned char)(i % 3073 ? i * 11 : i / 3073 + 3); put(b, &v, 1); }
    }
    for (int k = 0; k < 3; k++) { /* what nn_fit itself leaves behind, after two epochs */
        nn_ctx        *c = quiet_ctx();
        nn_fit_options f = fit_options("fuzz_seed.partial", k * 3);
        unsigned char  raw[8000];
        FILE          *file;
        f.epochs = 2;
        nn_fit(nn_model_new(c, net, NULL), six_samples(c), &f);
        nn_end(c);
        if ((file = fopen("fuzz_seed.partial", "rb")) != NULL) {
            put(seed(&n, 11, k * 3), raw, fread(raw, 1, sizeof raw, file));
            fclose(file);
            remove("fuzz_seed.partial");
        }
    }
    return n;
}

static void cut(bytes *b, size_t at, size_t n) {
    memmove(b->p + at, b->p + at + n, b->n - at - n);
    b->n -= n;
}
static void insert(bytes *b, size_t at, const void *p, size_t n) {
    if (b->n + n > sizeof b->p) return;
    memmove(b->p + at + n, b->p + at, b->n - at);
    memcpy(b->p + at, p, n);
    b->n += n;
}
static void mutate(bytes *b, int count) {
    static const char *const words[] = {"18446744073709551615", "9223372036854775807", "4294967296", "-1", "0", "00", "1e999", "[", "]", "{", "}", "\"", "\\u0000", "\\ud800", "\\", ",", ",,", ":", "\n", "\r",
                                        "\t", " ", "\"\"", "F64", "I8", "BOOL", "__metadata__", "optim.", "nan", "inf", "?", "NA", "True", "False", "<f8", "|u1", ">f4", "(", ")", "'", ".", "e", "+", "1000000", "576460752303423488", "P3 ", "P5 ", "65535 ", "#"};
    size_t header = 0, was = b->n, at, n;
    int    tensors = (b->p[0] % READERS < 3 || b->p[0] % READERS == 5 || b->p[0] % READERS == 11) && b->n >= 10;
    if (tensors) header = (size_t)b->p[2] | (size_t)b->p[3] << 8;
    while (count-- > 0 && b->n > 2) {
        at = 2 + random_below(b->n - 2);
        switch (random_below(9)) {
        case 0: b->p[at] ^= (unsigned char)(1u << random_below(8)); break;
        case 1: b->p[at] = (unsigned char)random_below(256); break;
        case 2: b->p[at] = (unsigned char)("\0\377\177\200 ,\"\\{}[]:0919eE+-.\n\r"[random_below(24)]); break;
        case 3: n = random_below(8); cut(b, at, n < b->n - at ? n : b->n - at); break;
        case 4: b->n = at; break;
        case 5: { const char *w = words[random_below(sizeof words / sizeof *words)]; insert(b, at, w, strlen(w)); break; }
        case 6: { unsigned char copy[64]; n = random_below(64); n = n < b->n - at ? n : b->n - at; memcpy(copy, b->p + at, n); insert(b, 2 + random_below(b->n - 2), copy, n); break; }
        case 7: { const bytes *s = &seeds[random_below(SEEDS)]; /* some are empty */ size_t from; if (s->n < 3) break; from = random_below(s->n); n = random_below(64); insert(b, at, s->p + from, n < s->n - from ? n : s->n - from); break; }
        default: /* another number in place of this one */
            while (at < b->n && (b->p[at] < '0' || b->p[at] > '9')) at++;
            if (at < b->n) b->p[at] = (unsigned char)('0' + random_below(10));
        }
    }
    if (tensors && b->n >= 10 && random_below(4)) put_length(b, header + b->n - was); /* keep the header's length plausible */
}

int main(int argc, char **argv) {
    static bytes b;
    long         rounds = argc > 1 ? atol(argv[1]) : 20000, done = 0;
    int          n = make_seeds();
    if (argc > 2) /* a first corpus for libFuzzer */
        for (int i = 0; i < n; i++) {
            char  path[300];
            FILE *f;
            snprintf(path, sizeof path, "%.200s/seed_%d", argv[2], i);
            f = fopen(path, "wb");
            if (!f || fwrite(seeds[i].p, 1, seeds[i].n, f) != seeds[i].n) printf("%s cannot be written\n", path);
            if (f) fclose(f);
        }
    for (int i = 0; i < n; i++, done++) LLVMFuzzerTestOneInput(seeds[i].p, seeds[i].n); /* as they are */
    for (long i = 0; i < rounds; i++, done++) {
        b = seeds[random_below((size_t)n)];
        if (random_below(8) == 0) b.p[0] = (unsigned char)random_below(READERS);
        if (random_below(2) == 0) b.p[1] = (unsigned char)random_below(256);
        mutate(&b, 1 + (int)random_below(1 + random_below(4)));
        LLVMFuzzerTestOneInput(b.p, b.n);
    }
    printf("fuzz: %ld passed, 0 failed\n", done);
    return 0;
}
#endif
