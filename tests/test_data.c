// Data: npy and npz files as NumPy writes them, csv, text, splits and folds, scaling, toy sets, sets that stay on the disk;
// and every reader on files that are cut short, changed or made up.
// What NumPy's files hold is in tests/golden_data.txt, made by tests/golden_data.py.
#define NN_IMPLEMENTATION
#include "nn.h"

static int passed, failed, skipped;
static void check(int ok, const char *what, int line) {
    if (ok) passed++;
    else { failed++; printf("test_data.c:%d: %s\n", line, what); }
}
#define CHECK(x) check((x) != 0, #x, __LINE__)
#define NEAR(a, b, tolerance) near_((double)(a), (double)(b), tolerance, #a " is not near " #b, __LINE__)
static void near_(double a, double b, double tolerance, const char *what, int line) {
    int ok = fabs(a - b) <= tolerance;
    check(ok, what, line);
    if (!ok) printf("   %.9g and %.9g\n", a, b);
}
static void skip(const char *what) {
    skipped++;
    printf("skipped: %s\n", what);
}

// ---- contexts whose memory is counted, and watched behind its end where no sanitizer does that
enum { GUARD = NN__SEPARATE_BLOCKS ? 0 : 64 };
typedef struct counted { int64_t blocks, left, spilled; size_t most; int once; } counted; /* left: allocations until one fails, < 0: none does; once: only that one */
static counted heap = {0, -1, 0, (size_t)64 << 20, 0};
static void *counted_alloc(void *user, size_t size) {
    counted *h = (counted *)user;
    char    *p;
    if (size > h->most) return NULL;
    if (h->left == 0) {
        if (h->once) h->left = -1;
        return NULL;
    }
    p = (char *)malloc(size + GUARD ? size + GUARD : 1);
    if (p) { memset(p + size, 0x5a, GUARD); h->blocks++; if (h->left > 0) h->left--; }
    return p;
}
static void counted_free(void *user, void *p, size_t size) {
    counted *h = (counted *)user;
    if (p) {
        int fine = 1;
        for (int i = 0; i < GUARD; i++) fine = fine && ((char *)p)[size + (size_t)i] == 0x5a;
        h->spilled += !fine;
        h->blocks--;
    }
    free(p);
}
static nn_ctx *seeded_ctx(uint64_t seed) {
    nn_config g  = nn_config_defaults();
    g.quiet      = 1;
    g.threads    = 1;
    g.seed       = seed;
    g.alloc      = counted_alloc;
    g.release    = counted_free;
    g.alloc_user = &heap;
    return nn_begin(&g);
}
static nn_ctx *quiet_ctx(void) { return seeded_ctx(7); }
static void finish(nn_ctx *c, int line) { /* no error is left, and no memory */
    check(nn_error(c) == NN_OK, nn_error_text(c), line);
    nn_end(c);
    check(heap.blocks == 0, "memory is left after nn_end", line);
    check(heap.spilled == 0, "memory was written behind its end", line);
}
#define FINISH(c) finish(c, __LINE__)

/* This code, this part in the text; then the context goes on. */
static void expect(nn_ctx *c, nn_status code, const char *part, const char *what, int line) {
    int ok = nn_error(c) == code && strstr(nn_error_text(c), part) != NULL;
    check(ok, what, line);
    if (!ok) printf("   wanted %d and '%s', got %d: %s\n", (int)code, part, (int)nn_error(c), nn_error_text(c));
    nn_error_clear(c);
}
#define FAILS(c, call, code, part) do { check(!(call), #call " did not fail", __LINE__); expect(c, code, part, #call, __LINE__); } while (0)

// ---- files
#define TMP(name) "build/data_test_" name
#define DATA "../shared/data/"
static int put_file(const char *path, const void *bytes, size_t size) {
    FILE *f = fopen(path, "wb");
    int   ok = f && (!size || fwrite(bytes, 1, size, f) == size);
    if (f) ok = fclose(f) == 0 && ok;
    return ok;
}
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
static int is_file(const char *path) {
    FILE *f = fopen(path, "rb");
    if (f) fclose(f);
    return f != NULL;
}
static unsigned char *exact(const unsigned char *from, size_t n) { /* a block of its own: a sanitizer sees what reads past it */
    unsigned char *p = (unsigned char *)malloc(n ? n : 1);
    if (!p) exit(2);
    if (n) memcpy(p, from, n);
    return p;
}

// =====================================================================================================
// npy and npz
// =====================================================================================================
enum { MOST_ARRAYS = 10 };
typedef struct array { char key[40]; nn_dtype dtype; nn_shape shape; int k; } array;
typedef struct golden {
    char           name[40], kind[8];
    unsigned char *bytes;
    size_t         size;
    array          list[MOST_ARRAYS];
    int            n;
} golden;
static golden *files;
static int     n_files;

static void read_golden(const char *path) {
    size_t size;
    char  *text = (char *)get_file(path, &size), *next;
    if (!text) { fprintf(stderr, "cannot read %s\n", path); exit(2); }
    files = (golden *)calloc(300, sizeof *files);
    if (!files) exit(2);
    for (char *line = text; *line; line = next) {
        golden *g = n_files ? &files[n_files - 1] : files;
        next = strchr(line, '\n');
        if (next) *next++ = 0;
        else next = line + strlen(line);
        if (!strncmp(line, "file ", 5) && n_files < 300) {
            const char *hex;
            g = &files[n_files++];
            sscanf(line, "file %39s %7s", g->name, g->kind);
            hex      = strrchr(line, ' ') + 1;
            g->size  = strlen(hex) / 2;
            g->bytes = (unsigned char *)malloc(g->size ? g->size : 1);
            if (!g->bytes) exit(2);
            for (size_t i = 0; i < g->size; i++) {
                unsigned v = 0;
                sscanf(hex + 2 * i, "%2x", &v);
                g->bytes[i] = (unsigned char)v;
            }
        } else if (!strncmp(line, "array ", 6) && n_files && g->n < MOST_ARRAYS) {
            array *a = &g->list[g->n++];
            char   dtype[8], shape[40];
            sscanf(line, "array %39s %7s %39s %d", a->key, dtype, shape, &a->k);
            for (int d = 0; d < NN_DTYPES; d++)
                if (!strcmp(dtype, nn_dtype_name((nn_dtype)d))) a->dtype = (nn_dtype)d;
            a->shape = NN_SCALAR;
            if (shape[0] != '-')
                for (char *s = shape; s; s = strchr(s, ',')) a->shape.dim[a->shape.ndim++] = atoi(*s == ',' ? ++s : s);
        }
    }
    free(text);
}
static int64_t elements(nn_shape s) {
    int64_t n = 1;
    for (int i = 0; i < s.ndim; i++) n *= s.dim[i];
    return n;
}
/* The formula of golden_data.py. Element i as bytes of its dtype. */
static void element(const array *a, int is_bool, int64_t i, void *to) {
    int64_t n = (37 * i + 11 * a->k + 5) % 101;
    switch (a->dtype) {
    case NN_F32: { float v = (float)((double)(n - 50) / 3.0); memcpy(to, &v, 4); break; }
    case NN_F64: { double v = (double)(n - 50) / 3.0; memcpy(to, &v, 8); break; }
    case NN_F16: { uint16_t v = nn__f32_to_f16((float)(n - 50) / 8); memcpy(to, &v, 2); break; }
    case NN_I8: { int8_t v = (int8_t)(n - 50); memcpy(to, &v, 1); break; }
    case NN_U8: { uint8_t v = (uint8_t)(is_bool ? n % 2 : 2 * n); memcpy(to, &v, 1); break; }
    case NN_I32: { int32_t v = (int32_t)(n - 50) * 10000000; memcpy(to, &v, 4); break; }
    default: { int64_t v = (n - 50) * ((int64_t)1 << 40) + n; memcpy(to, &v, 8); }
    }
}
static int is_bool(const char *name) { return strstr(name, "bool") != NULL; }
static nn_tensor *from_formula(nn_ctx *c, const array *a) {
    unsigned char raw[2048];
    size_t        e = nn_dtype_size(a->dtype);
    for (int64_t i = 0; i < elements(a->shape); i++) element(a, 0, i, raw + (size_t)i * e);
    return nn_from(c, raw, a->dtype, a->shape);
}
static int holds(nn_tensor *x, const golden *g, const array *a) { /* this dtype, this shape, these values */
    unsigned char raw[2048], want[8];
    size_t        e = nn_dtype_size(a->dtype);
    if (!x || nn_dtype_of(x) != a->dtype || nn_ndim(x) != a->shape.ndim) return 0;
    for (int i = 0; i < a->shape.ndim; i++)
        if (nn_dim(x, i) != a->shape.dim[i]) return 0;
    if ((size_t)nn_numel(x) * e > sizeof raw || !nn_read(x, raw, (size_t)nn_numel(x) * e)) return 0;
    for (int64_t i = 0; i < nn_numel(x); i++) {
        element(a, is_bool(g->name) || is_bool(a->key), i, want);
        if (memcmp(raw + (size_t)i * e, want, e)) return 0;
    }
    return 1;
}
static int file_holds(nn_file *f, const golden *g) {
    if (nn_file_count(f) != g->n) return 0;
    for (int i = 0; i < g->n; i++) {
        const array *a = &g->list[i];
        nn_shape     s = nn_file_shape(f, i);
        if (nn_file_dtype(f, i) != a->dtype || s.ndim != a->shape.ndim || memcmp(s.dim, a->shape.dim, sizeof s.dim)) return 0;
        if (!nn_file_name(f, i) || (a->key[0] != '-' && strcmp(nn_file_name(f, i), a->key))) return 0;
        if (!holds(nn_file_tensor(f, nn_file_name(f, i)), g, a)) return 0;
    }
    return 1;
}
static void verdict(int ok, const char *name, const char *what, nn_ctx *c, int line) {
    char text[200];
    snprintf(text, sizeof text, "%s %s", name, what);
    check(ok, text, line);
    if (!ok) printf("   %d: %s\n", (int)nn_error(c), nn_error_text(c));
}

/* Opens it, reads all, and says whether that was one clean answer: everything, or nothing and an error of the format. */
static int opens_or_not(nn_ctx *c, const unsigned char *bytes, size_t size, int *opened) {
    unsigned char *copy = exact(bytes, size);
    nn_file       *f = nn_file_memory(c, copy, size);
    int            ok = 1;
    *opened = f != NULL;
    if (!f) ok = nn_error(c) == NN_ERR_FORMAT;
    for (int i = 0; i < nn_file_count(f) && ok; i++) {
        nn_tensor *x = nn_file_tensor(f, nn_file_name(f, i));
        ok = x != NULL && nn_error(c) == NN_OK && (uint64_t)nn_numel(x) * nn_dtype_size(nn_dtype_of(x)) <= size;
    }
    if (!ok) printf("   %s, %d: %s\n", f ? "opened" : "refused", (int)nn_error(c), nn_error_text(c));
    nn_error_clear(c);
    nn_file_close(f);
    nn_reset(c);
    free(copy);
    return ok;
}

static void test_numpy_files(void) {
    nn_ctx *c = quiet_ctx();
    for (int i = 0; i < n_files; i++) {
        golden        *g = &files[i];
        unsigned char *copy = exact(g->bytes, g->size);
        nn_file       *f = nn_file_memory(c, copy, g->size);
        free(copy); /* the file has its own */
        if (!strcmp(g->kind, "bad")) {
            verdict(!f && nn_error(c) == NN_ERR_FORMAT, g->name, "is refused", c, __LINE__);
            nn_error_clear(c);
        } else if (!strcmp(g->kind, "either") && !f) {
            verdict(nn_error(c) == NN_ERR_FORMAT, g->name, "is refused", c, __LINE__);
            nn_error_clear(c);
        } else verdict(f && nn_error(c) == NN_OK && file_holds(f, g), g->name, "has NumPy's values", c, __LINE__);
        nn_error_clear(c);
        nn_file_close(f);
        nn_reset(c);
    }
    /* the same by path */
    for (int i = 0; i < n_files; i += 5) {
        golden     *g = &files[i];
        const char *path = strcmp(g->kind, "npz") ? TMP("read.npy") : TMP("read.npz");
        nn_file    *f;
        CHECK(put_file(path, g->bytes, g->size));
        f = nn_file_open(c, path);
        if (!strcmp(g->kind, "bad")) verdict(!f && nn_error(c) == NN_ERR_FORMAT && strstr(nn_error_text(c), path), g->name, "by its path is refused", c, __LINE__);
        else if (f) verdict(file_holds(f, g), g->name, "by its path has NumPy's values", c, __LINE__);
        else verdict(!strcmp(g->kind, "either"), g->name, "by its path opens", c, __LINE__);
        nn_error_clear(c);
        nn_file_close(f);
        nn_reset(c);
        remove(path);
    }
    FINISH(c);
}

/* Cut at every byte; every byte changed. */
static void test_broken_files(void) {
    nn_ctx *c = quiet_ctx();
    for (int i = 0; i < n_files; i++) {
        static const unsigned char to[7] = {0, 0xff, 0x80, '9', '\'', ')', ' '};
        golden        *g = &files[i];
        unsigned char *bytes;
        size_t         n, bad = 0;
        int            good = !strcmp(g->kind, "npy") || !strcmp(g->kind, "npz") || !strcmp(g->kind, "same"), opened;
        if (!good || (i % 3 && strcmp(g->kind, "npz"))) continue;
        for (n = 0; n < g->size; n++) {
            int ok = opens_or_not(c, g->bytes, n, &opened);
            if (!ok || opened) { bad++; printf("   %s cut to %d of %d bytes: %s\n", g->name, (int)n, (int)g->size, opened ? "opened" : "another error"); }
        }
        verdict(!bad, g->name, "cut short is refused", c, __LINE__);
        bytes = exact(g->bytes, g->size);
        bad = 0;
        for (n = 0; n < g->size; n++)
            for (int k = 0; k < 8; k++) {
                bytes[n] = k < 7 ? to[k] : (unsigned char)(g->bytes[n] ^ (1 << (n % 8)));
                if (!opens_or_not(c, bytes, g->size, &opened)) { bad++; printf("   %s with byte %d as %d\n", g->name, (int)n, bytes[n]); }
                bytes[n] = g->bytes[n];
            }
        verdict(!bad, g->name, "with a changed byte is refused or read", c, __LINE__);
        free(bytes);
    }
    FINISH(c);
}

// ---- writing
static uint32_t crc_of(const unsigned char *p, size_t n) { /* CRC-32, bit by bit */
    uint32_t r = 0xffffffffu;
    for (size_t i = 0; i < n; i++) {
        r ^= p[i];
        for (int b = 0; b < 8; b++) r = r & 1 ? r >> 1 ^ 0xedb88320u : r >> 1;
    }
    return ~r;
}
static uint64_t little(const unsigned char *p, int n) {
    uint64_t v = 0;
    for (int i = n; i-- > 0;) v = v << 8 | p[i];
    return v;
}
/* Takes a zip file apart by the book: the end record, the directory, what it points to. Returns where entry i's data begin. */
static const unsigned char *zip_entry(const unsigned char *p, size_t size, int i, char *name, size_t room, size_t *length) {
    const unsigned char *end = size >= 22 ? p + size - 22 : NULL, *d, *l;
    size_t               at, names, data;
    if (!end || little(end, 4) != 0x06054b50u || little(end + 4, 4) || little(end + 20, 2) || (uint64_t)i >= little(end + 10, 2)) return NULL;
    at = (size_t)little(end + 16, 4);
    if (little(end + 8, 2) != little(end + 10, 2) || at + little(end + 12, 4) != size - 22) return NULL;
    for (int k = 0; k < i; k++) at += 46 + (size_t)(little(p + at + 28, 2) + little(p + at + 30, 2) + little(p + at + 32, 2));
    d     = p + at;
    names = (size_t)little(d + 28, 2);
    if (little(d, 4) != 0x02014b50u || little(d + 8, 2) & 9 || little(d + 10, 2) || little(d + 20, 4) != little(d + 24, 4) || names >= room) return NULL;
    *length = (size_t)little(d + 24, 4);
    at      = (size_t)little(d + 42, 4);
    l       = p + at;
    if (at + 30 > size || little(l, 4) != 0x04034b50u || little(l + 26, 2) != names || memcmp(l + 30, d + 46, names) || little(l + 8, 2)) return NULL;
    if (little(l + 14, 4) != little(d + 16, 4) || little(l + 18, 4) != *length || little(l + 22, 4) != *length) return NULL;
    for (size_t k = 0; k < names; k++) /* a name that is not ASCII is said to be UTF-8 */
        if (d[46 + k] > 127 && (!(little(d + 8, 2) & 0x800) || !(little(l + 6, 2) & 0x800))) return NULL;
    data = at + 30 + names + (size_t)little(l + 28, 2);
    if (data + *length > size || crc_of(p + data, *length) != little(d + 16, 4)) return NULL;
    memcpy(name, d + 46, names);
    name[names] = 0;
    return p + data;
}
static const golden *golden_named(const char *name) {
    for (int i = 0; i < n_files; i++)
        if (!strcmp(files[i].name, name)) return &files[i];
    fprintf(stderr, "golden_data.txt has no %s\n", name);
    exit(2);
}

static nn_tensor *net_two(nn_scope s, nn_tensor *x) { return nn_layer_linear(s, "out", nn_tanh(nn_layer_linear(nn_in_i(s, "h", 0), "in", x, 4)), 2); }

static void test_write_npy(void) {
    nn_ctx        *c = quiet_ctx();
    const char    *name = "x", *two[2] = {"x", "y"};
    nn_tensor     *x, *y, *both[2];
    nn_file       *f;
    unsigned char *bytes;
    size_t         size;
    for (int i = 0; i < n_files; i++) { /* byte for byte what NumPy writes */
        golden *g = &files[i];
        if (strcmp(g->kind, "same")) continue;
        x = from_formula(c, &g->list[0]);
        CHECK(nn_file_write(c, TMP("w.npy"), &name, &x, 1) && nn_error(c) == NN_OK);
        bytes = get_file(TMP("w.npy"), &size);
        verdict(bytes && size == g->size && !memcmp(bytes, g->bytes, size), g->name, "is written as NumPy writes it", c, __LINE__);
        free(bytes);
        f = nn_file_open(c, TMP("w.npy"));
        verdict(file_holds(f, g), g->name, "is read back", c, __LINE__);
        nn_error_clear(c);
        nn_file_close(f);
        nn_reset(c);
    }
    /* a view is written as it looks */
    {
        const golden *g = golden_named("f32_2d");
        x = nn_transpose(nn_contiguous(nn_transpose(from_formula(c, &g->list[0]), 0, 1)), 0, 1);
        CHECK(!nn_is_contiguous(x) && nn_file_write(c, TMP("w.npy"), &name, &x, 1));
        bytes = get_file(TMP("w.npy"), &size);
        CHECK(bytes && size == g->size && !memcmp(bytes, g->bytes, size));
        free(bytes);
    }
    /* what an npy file cannot hold is refused, and the old file stays */
    both[0] = both[1] = x;
    bytes = get_file(TMP("w.npy"), &size);
    check(!nn_file_write(c, TMP("w.npy"), two, both, 2) && nn_error(c) != NN_OK, "two tensors in one npy file", __LINE__);
    nn_error_clear(c);
    check(!nn_file_write(c, TMP("w.npy"), two, both, 0) && nn_error(c) != NN_OK, "no tensor in an npy file", __LINE__);
    nn_error_clear(c);
    y = nn_ones(c, NN_BF16, NN_SHAPE(3));
    check(!nn_file_write(c, TMP("w.npy"), &name, &y, 1) && nn_error(c) != NN_OK, "bf16, which NumPy does not have", __LINE__);
    nn_error_clear(c);
    check(!nn_file_write(c, TMP("w.npz"), &name, &y, 1) && nn_error(c) != NN_OK && !is_file(TMP("w.npz")), "bf16 in an npz file", __LINE__);
    nn_error_clear(c);
    CHECK(!is_file(TMP("w.npy.partial")) && !is_file(TMP("w.npz.partial")));
    {
        size_t         n;
        unsigned char *now = get_file(TMP("w.npy"), &n);
        CHECK(bytes && now && n == size && !memcmp(now, bytes, n));
        free(now);
    }
    free(bytes);
    FAILS(c, nn_file_write(c, "no such folder/w.npy", &name, &x, 1), NN_ERR_FILE, "no such folder/w.npy");
    FAILS(c, nn_file_write(c, "no such folder/w.npz", &name, &x, 1), NN_ERR_FILE, "no such folder/w.npz");
    remove(TMP("w.npy"));
    FINISH(c);
}

static void test_write_npz(void) {
    static const char *const same[] = {"f32_2d", "f64_1d", "f16_0d", "i8_2d", "u8_1d", "i32_2d", "i64_0d", "empty_rows", "rank_6"};
    enum { N = (int)(sizeof same / sizeof *same) };
    nn_ctx        *c = quiet_ctx();
    const char    *names[N];
    nn_tensor     *list[N], *x, *before, *after;
    nn_file       *f;
    nn_model      *m, *m2;
    unsigned char *bytes;
    size_t         size, length = 0;
    char           name[80], want[80];
    for (int i = 0; i < N; i++) {
        names[i] = i == 3 ? "a/b.c" : i == 4 ? "n\xc3\xa4me" : same[i];
        list[i]  = from_formula(c, &golden_named(same[i])->list[0]);
    }
    CHECK(nn_file_write(c, TMP("w.npz"), names, list, N) && nn_error(c) == NN_OK);
    bytes = get_file(TMP("w.npz"), &size);
    for (int i = 0; bytes && i < N; i++) { /* an archive of npy files as NumPy writes them */
        const golden        *g = golden_named(same[i]);
        const unsigned char *p = zip_entry(bytes, size, i, name, sizeof name, &length);
        snprintf(want, sizeof want, "%s.npy", names[i]);
        verdict(p && !strcmp(name, want) && length == g->size && !memcmp(p, g->bytes, length), same[i], "is in the npz file", c, __LINE__);
    }
    CHECK(bytes && !zip_entry(bytes, size, N, name, sizeof name, &length));
    f = nn_file_open(c, TMP("w.npz"));
    CHECK(nn_file_count(f) == N);
    for (int i = 0; i < N; i++) {
        const golden *g = golden_named(same[i]);
        verdict(nn_file_name(f, i) && !strcmp(nn_file_name(f, i), names[i]) && holds(nn_file_tensor(f, names[i]), g, &g->list[0]), same[i], "is read back from npz", c, __LINE__);
    }
    FAILS(c, nn_file_tensor(f, "no such name"), NN_ERR_NAME, "the file has no tensor 'no such name'");
    nn_file_close(f);
    { /* cut short at every byte */
        int opened, bad = 0;
        for (size_t n = 0; bytes && n < size; n++)
            if (!opens_or_not(c, bytes, n, &opened) || opened) bad++;
        check(!bad, "our own npz file cut short is refused", __LINE__);
    }
    free(bytes);
    CHECK(nn_file_write(c, TMP("none.npz"), names, list, 0) && (f = nn_file_open(c, TMP("none.npz"))) != NULL && nn_file_count(f) == 0);
    nn_file_close(f);
    nn_error_clear(c);
    nn_reset(c);
    /* a model by way of npz */
    x = nn_uniform(c, NN_F32, NN_SHAPE(5, 3), -1, 1);
    m = nn_model_new(c, net_two, NULL);
    before = nn_predict(m, x);
    CHECK(nn_save(m, TMP("m.npz")));
    f = nn_file_open(c, TMP("m.npz"));
    CHECK(nn_file_count(f) == 4 && nn_file_tensor(f, "h.0.in.weight") != NULL);
    nn_file_close(f);
    m2 = nn_model_new(c, net_two, NULL);
    CHECK(nn_load(m2, TMP("m.npz")));
    after = nn_predict(m2, x);
    CHECK(before && after && !memcmp(nn_ptr(before), nn_ptr(after), 10 * sizeof(float)));
    { /* and its optimiser */
        nn_optim *o = nn_adam(m, 0.01f), *o2 = nn_adam(m2, 0.01f);
        for (int i = 0; i < 2; i++) {
            CHECK(nn_backward(nn_mean(nn_square(nn_forward(m, x)), NN_ALL, 0)) && nn_step(o));
            if (i == 0) CHECK(nn_optim_save(o, TMP("o.npz")) && nn_optim_load(o2, TMP("o.npz")));
        }
        CHECK(nn_backward(nn_mean(nn_square(nn_forward(m2, x)), NN_ALL, 0)) && nn_step(o2));
        before = nn_predict(m, x);
        after  = nn_predict(m2, x);
        CHECK(before && after && !memcmp(nn_ptr(before), nn_ptr(after), 10 * sizeof(float)));
    }
    remove(TMP("w.npz")); remove(TMP("none.npz")); remove(TMP("m.npz")); remove(TMP("o.npz"));
    FINISH(c);
}

// =====================================================================================================
// csv
// =====================================================================================================
static nn_data *csv(nn_ctx *c, const char *text, const nn_csv_options *o) {
    unsigned char *copy = exact((const unsigned char *)text, strlen(text)); /* no 0 behind it */
    nn_data       *d = nn_data_csv_text(c, (const char *)copy, strlen(text), o);
    free(copy);
    return d;
}
static double cell(nn_data *d, int64_t i, int64_t k) { return nn_get(nn_data_x(d, i, 1), NN_SHAPE(0, k)); }
static double label(nn_data *d, int64_t i) { return nn_get(nn_data_y(d, i, 1), NN_SHAPE(0)); }
static int column_is(const nn_data *d, int i, const char *name) { return nn_data_column(d, i) && !strcmp(nn_data_column(d, i), name); }
static int class_is(const nn_data *d, int i, const char *name) { return nn_data_class(d, i) && !strcmp(nn_data_class(d, i), name); }

static void test_csv_header(void) {
    nn_ctx        *c = quiet_ctx();
    nn_csv_options o = nn_csv_defaults();
    nn_data       *d, *a = NULL, *b = NULL;
    o.header = 1;
    d = csv(c, "\"length, in cm\",\"he said \"\"hi\"\"\", plain ,class\r\n1,2,3,0\r\n4,5,6,1\r\n7,8,9,1\r\n1,1,1,0\r\n", &o);
    CHECK(d && nn_data_count(d) == 4 && cell(d, 1, 2) == 6 && label(d, 1) == 1);
    CHECK(column_is(d, 0, "length, in cm"));
    CHECK(column_is(d, 1, "he said \"hi\""));
    CHECK(column_is(d, 2, "plain"));
    CHECK(column_is(d, 3, "class"));
    CHECK(nn_data_column(d, 4) == NULL && nn_data_column(d, -1) == NULL && nn_data_column(d, INT_MAX) == NULL);
    CHECK(nn_data_class(d, 0) == NULL); /* the classes were numbers */
    CHECK(nn_data_classes(d) == 2);
    CHECK(nn_data_split(d, 0.5, &a, &b) && column_is(a, 0, "length, in cm") && column_is(b, 3, "class")); /* parts know the names too */
    nn_data_free(d);
    CHECK(column_is(a, 1, "he said \"hi\"")); /* and outlive the whole */
    d = csv(c, "\xef\xbb\xbfx,y\n1,0\n2,1\n", &o); /* a byte order mark */
    CHECK(nn_data_count(d) == 2 && column_is(d, 0, "x"));
    d = csv(c, "x,y\n1,0\n2,1", &o); /* no line end at the end */
    CHECK(nn_data_count(d) == 2 && column_is(d, 0, "x") && column_is(d, 1, "y") && cell(d, 1, 0) == 2);
    d = csv(c, "x;\"y;z\"\n1;0\n2;1\n\n\n", NULL);
    FAILS(c, d, NN_ERR_FORMAT, "line 1");
    o.separator = ';';
    d = csv(c, "x;\"y;z\"\n1;0\n2;1\n\n\n \n", &o); /* empty lines at the end */
    CHECK(nn_data_count(d) == 2 && column_is(d, 1, "y;z"));
    o.separator = '\t';
    d = csv(c, "x\ty\n1\t0\n2\t1\n", &o);
    CHECK(nn_data_count(d) == 2 && column_is(d, 0, "x") && column_is(d, 1, "y"));
    o.separator = 0;
    o.header    = 0;
    d = csv(c, "1,0\n2,1\n", &o);
    CHECK(nn_data_count(d) == 2 && nn_data_column(d, 0) == NULL);
    o.header = 1;
    d = csv(c, ",\n1,0\n2,1\n", &o); /* names that are empty */
    CHECK(d && nn_data_count(d) == 2);
    nn_error_clear(c);
    o.regression = 1;
    o.target     = 2;
    d = csv(c, "a,b,c\n1,2,3\n4,5,6\n", &o);
    CHECK(nn_data_count(d) == 2 && column_is(d, 2, "c") && nn_get(nn_data_y(d, 1, 1), NN_SHAPE(0, 1)) == 6 && nn_data_classes(d) == 0);
    FINISH(c);
}

static void test_csv_missing(void) {
    static const char text[] = "1,2,0\n?,4,1\n3,,0\nNA,NaN,1\n5,6,0\n nan ,\"?\",1\n";
    nn_ctx        *c = quiet_ctx();
    nn_csv_options o = nn_csv_defaults();
    nn_data       *d;
    FAILS(c, csv(c, text, &o), NN_ERR_FORMAT, "line 2");
    o.missing = NN_CSV_NAN;
    d = csv(c, text, &o);
    CHECK(nn_data_count(d) == 6 && isnan(cell(d, 1, 0)) && cell(d, 1, 1) == 4 && cell(d, 2, 0) == 3 && isnan(cell(d, 2, 1)) && isnan(cell(d, 3, 0)) && isnan(cell(d, 3, 1)));
    CHECK(isnan(cell(d, 5, 0)) && isnan(cell(d, 5, 1)) && label(d, 5) == 1 && cell(d, 4, 1) == 6);
    o.missing = NN_CSV_MEAN;
    d = csv(c, text, &o);
    CHECK(nn_data_count(d) == 6 && cell(d, 0, 0) == 1);
    NEAR(cell(d, 1, 0), 3, 1e-6); /* (1 + 3 + 5) / 3 */
    NEAR(cell(d, 2, 1), 4, 1e-6); /* (2 + 4 + 6) / 3 */
    NEAR(cell(d, 3, 0), 3, 1e-6);
    NEAR(cell(d, 5, 1), 4, 1e-6);
    o.scale = 10;
    d = csv(c, text, &o);
    NEAR(cell(d, 0, 0), 10, 1e-6);
    NEAR(cell(d, 1, 0), 30, 1e-5);
    o.scale   = 0;
    o.missing = NN_CSV_SKIP;
    d = csv(c, text, &o);
    CHECK(nn_data_count(d) == 2 && cell(d, 0, 1) == 2 && cell(d, 1, 0) == 5 && label(d, 1) == 0);
    { /* lines left out at the end are not written behind the last row */
        char   wide[2000];
        size_t at = 0;
        for (int row = 0; row < 3; row++)
            for (int k = 0; k <= 64; k++) at += (size_t)snprintf(wide + at, sizeof wide - at, k == 64 ? "1\n" : k == 63 && row ? "?," : "%d,", (k + row) % 10);
        d = csv(c, wide, &o);
        CHECK(nn_data_count(d) == 1 && cell(d, 0, 0) == 0 && cell(d, 0, 63) == 3 && heap.spilled == 0);
        nn_data_free(d);
        CHECK(heap.spilled == 0);
    }
    for (int how = 0; how <= NN_CSV_SKIP; how++) { /* a target is never missing; what is no number is no missing one */
        o.missing = how;
        FAILS(c, csv(c, "1,0\n2,\n", &o), NN_ERR_FORMAT, "line 2");
        FAILS(c, csv(c, "1,0\n2,?\n", &o), NN_ERR_FORMAT, "line 2");
        FAILS(c, csv(c, "1,0\nx,1\n", &o), NN_ERR_FORMAT, "line 2");
        FAILS(c, csv(c, "1,0\nNAN5,1\n", &o), NN_ERR_FORMAT, "line 2");
        FAILS(c, csv(c, "1,0\n??,1\n", &o), NN_ERR_FORMAT, "line 2");
        FAILS(c, csv(c, "1,2,0\n3,4\n", &o), NN_ERR_FORMAT, "line 2"); /* ragged lines are none either */
        FAILS(c, csv(c, "1,2,0\n3,4,5,0\n", &o), NN_ERR_FORMAT, "line 2");
        FAILS(c, csv(c, "1,2,0\n?,4\n", &o), NN_ERR_FORMAT, "line 2");
        FAILS(c, csv(c, "1,2,0\n?,4,5,0\n", &o), NN_ERR_FORMAT, "line 2");
        FAILS(c, csv(c, "1,2,0\n,,1,0\n", &o), NN_ERR_FORMAT, "line 2");
    }
    o.missing = NN_CSV_NAN;
    d = csv(c, "?,1,0\n?,2,1\n", &o); /* a column of nothing */
    CHECK(d && isnan(cell(d, 0, 0)) && isnan(cell(d, 1, 0)));
    o.missing = NN_CSV_MEAN;
    d = csv(c, "?,1,0\n?,2,1\n", &o);
    check(d ? !isnan(cell(d, 0, 1)) : nn_error(c) == NN_ERR_FORMAT, "the mean of a column of nothing", __LINE__);
    nn_error_clear(c);
    o.missing = NN_CSV_SKIP;
    check(!csv(c, "?,1,0\n?,2,1\n", &o) && nn_error(c) == NN_ERR_FORMAT, "every line skipped", __LINE__);
    nn_error_clear(c);
    o.missing = 7;
    check(!csv(c, "1,0\n", &o) && nn_error(c) == NN_ERR_ARG, "no such policy", __LINE__);
    nn_error_clear(c);
    o.missing = -1;
    check(!csv(c, "1,0\n", &o) && nn_error(c) == NN_ERR_ARG, "no such policy", __LINE__);
    nn_error_clear(c);
    o.missing = NN_CSV_NAN; /* empty fields with tabs and spaces as separators */
    o.separator = '\t';
    d = csv(c, "1\t\t0\n\t2\t1\n", &o);
    CHECK(d && nn_data_count(d) == 2 && isnan(cell(d, 0, 1)) && isnan(cell(d, 1, 0)) && cell(d, 1, 1) == 2);
    FINISH(c);
}

static void test_csv_text(void) {
    nn_ctx        *c = quiet_ctx();
    nn_csv_options o = nn_csv_defaults();
    nn_data       *d, *a = NULL, *b = NULL;
    nn_batch       batch;
    o.text = 1;
    d = csv(c, "1,pear\r\n2,apple\r\n3,\"fig, dried\"\r\n4,pear\r\n5, apple \r\n6,\"a \"\"b\"\"\"", &o);
    CHECK(nn_data_count(d) == 6 && nn_data_classes(d) == 4);
    CHECK(class_is(d, 0, "a \"b\"") && class_is(d, 1, "apple") && class_is(d, 2, "fig, dried") && class_is(d, 3, "pear"));
    CHECK(nn_data_class(d, 4) == NULL && nn_data_class(d, -1) == NULL && nn_data_class(d, INT_MIN) == NULL);
    CHECK(label(d, 0) == 3 && label(d, 1) == 1 && label(d, 2) == 2 && label(d, 3) == 3 && label(d, 4) == 1 && label(d, 5) == 0);
    CHECK(nn_dtype_of(nn_data_y(d, 0, 1)) == NN_I32);
    CHECK(nn_data_split(d, 0.5, &a, &b) && class_is(a, 3, "pear") && class_is(b, 0, "a \"b\"") && nn_data_classes(a) <= 4);
    nn_data_free(d);
    CHECK(class_is(b, 2, "fig, dried"));
    d = csv(c, "1,10\n2,9\n3,-1\n4,10\n", &o); /* numbers as names: by the alphabet */
    CHECK(nn_data_classes(d) == 3 && class_is(d, 0, "-1") && class_is(d, 1, "10") && class_is(d, 2, "9") && label(d, 1) == 2);
    d = csv(c, "1,b\n2,B\n3,a\n4,\xc3\xa4\n5,ab\n", &o); /* bytes, as strcmp has them */
    CHECK(nn_data_classes(d) == 5 && class_is(d, 0, "B") && class_is(d, 1, "a") && class_is(d, 2, "ab") && class_is(d, 3, "b") && class_is(d, 4, "\xc3\xa4"));
    d = csv(c, "1,\"c\"\"\"\n2,c\"\n3,\"b\"\n4,b\n5,\"c\"\"!\"\n", &o); /* in quotes or not, it is one class: b, c", c"! */
    CHECK(nn_data_classes(d) == 3 && class_is(d, 0, "b") && class_is(d, 1, "c\"") && class_is(d, 2, "c\"!") && label(d, 0) == 1 && label(d, 1) == 1 && label(d, 2) == 0 && label(d, 3) == 0);
    o.header  = 1;
    o.missing = NN_CSV_SKIP;
    d = csv(c, "size,kind\n1,x\n?,only here\n3,y\n", &o); /* a name that is only on skipped lines */
    CHECK(nn_data_count(d) == 2 && column_is(d, 1, "kind") && class_is(d, 0, label(d, 0) == 0 ? "x" : "only here"));
    CHECK(class_is(d, (int)label(d, 0), "x") && class_is(d, (int)label(d, 1), "y"));
    o.header = o.missing = 0;
    FAILS(c, csv(c, "1,a\n2,\"b\n", &o), NN_ERR_FORMAT, "line 2");
    FAILS(c, csv(c, "1,a\n2,b,c\n", &o), NN_ERR_FORMAT, "line 2");
    FAILS(c, csv(c, "1,a\nb\n", &o), NN_ERR_FORMAT, "line 2");
    FAILS(c, csv(c, "1,a\n2,\"b\"x\n", &o), NN_ERR_FORMAT, "line 2"); /* what is behind a closing quote is not dropped */
    FAILS(c, csv(c, "1,a\n2,\n", &o), NN_ERR_FORMAT, "line 2"); /* no name is no class */
    o.regression = 1;
    check(!csv(c, "1,a\n2,b\n", &o) && nn_error(c) != NN_OK, "names as real targets", __LINE__);
    nn_error_clear(c);
    o.regression = 0;
    { /* many classes */
        char  *text = (char *)malloc(40000);
        size_t n = 0;
        int    bad = 0;
        if (!text) exit(2);
        for (int i = 0; i < 2000; i++) n += (size_t)snprintf(text + n, 40000 - n, "%d,c%03d\n", i, (i * 7) % 1000);
        d = nn_data_csv_text(c, text, n, &o);
        CHECK(nn_data_count(d) == 2000 && nn_data_classes(d) == 1000 && class_is(d, 0, "c000") && class_is(d, 999, "c999"));
        nn_data_batch(d, 500, 0);
        while (nn_data_next(d, &batch))
            for (int64_t i = 0; i < batch.n; i++) bad += nn_get(batch.y, NN_SHAPE(i)) != (batch.index[i] * 7) % 1000;
        CHECK(!bad);
        free(text);
    }
    FINISH(c);
}

/* Cut at every byte, with every byte changed, under all options: an answer or an error of the format. */
static void test_csv_broken(void) {
    static const char *const texts[] = {"a,\"b, c\",\"d\"\"e\"\r\n1,\"2.5\",x\r\n?,-4e-1,\"y, z\"\r\nNA,,x\r\n", "1;2;0\n3;4;1\n\n5;6;2\n", "\"p\"\t\"q\"\n1\t0\n\t1\n"};
    nn_ctx *c = quiet_ctx();
    int     bad = 0, calls = 0;
    for (int t = 0; t < 3; t++)
        for (int how = 0; how < 64; how++) {
            nn_csv_options o = nn_csv_defaults();
            size_t         size = strlen(texts[t]);
            char          *text = (char *)exact((const unsigned char *)texts[t], size);
            o.header     = how & 1;
            o.missing    = how >> 1 & 3;
            o.text       = how >> 3 & 1;
            o.regression = how >> 4 & 1;
            o.target     = 1 + (how >> 5 & 1);
            o.separator  = ",;\t"[t];
            for (size_t n = 0; n < 2 * size; n++) {
                size_t   cut = n < size ? n : size;
                char    *copy;
                nn_data *d;
                if (n >= size) text[n - size] = "\"\n,;\t?\0x"[(n + (size_t)how) % 8];
                copy = (char *)exact((const unsigned char *)text, cut);
                d    = nn_data_csv_text(c, copy, cut, &o);
                if (d ? nn_error(c) != NN_OK || nn_data_count(d) < 1 : nn_error(c) != NN_ERR_FORMAT && nn_error(c) != NN_ERR_ARG) {
                    if (!bad++) printf("   text %d, options %d, %d of %d bytes: %d: %s\n", t, how, (int)cut, (int)size, (int)nn_error(c), nn_error_text(c));
                }
                for (int i = 0; i < 5; i++) calls += nn_data_column(d, i) != NULL && nn_data_class(d, i) != NULL;
                nn_error_clear(c);
                nn_data_free(d);
                free(copy);
                if (n >= size) text[n - size] = texts[t][n - size];
            }
            free(text);
        }
    check(!bad && calls, "broken csv", __LINE__);
    FINISH(c);
}

static double column_sum(nn_data *d, int64_t k) { return nn_item(nn_sum(nn_cast(nn_select(nn_data_x(d, 0, nn_data_count(d)), 1, k), NN_F64), NN_ALL, 0)); }
static int64_t class_count(nn_data *d, int64_t k) {
    nn_tensor *y = nn_data_y(d, 0, nn_data_count(d));
    int64_t    n = 0;
    for (int64_t i = 0; i < nn_numel(y); i++) n += nn_i32(y)[i] == k;
    return n;
}

static void test_real_tables(void) {
    nn_ctx        *c;
    nn_csv_options o = nn_csv_defaults();
    nn_data       *d;
    nn_tensor     *x;
    int64_t        nans = 0;
    if (!is_file(DATA "tabular/iris.csv")) { skip("no " DATA "tabular"); return; }
    c = quiet_ctx();
    o.text = 1;
    d = nn_data_csv(c, DATA "tabular/iris.csv", &o);
    CHECK(nn_data_count(d) == 150 && nn_data_classes(d) == 3 && class_is(d, 0, "Iris-setosa") && class_is(d, 1, "Iris-versicolor") && class_is(d, 2, "Iris-virginica"));
    CHECK(class_count(d, 0) == 50 && class_count(d, 1) == 50 && class_count(d, 2) == 50 && label(d, 149) == 2);
    NEAR(column_sum(d, 0), 876.5, 1e-4); NEAR(column_sum(d, 1), 458.1, 1e-4); NEAR(column_sum(d, 2), 563.8, 1e-4); NEAR(column_sum(d, 3), 179.8, 1e-4);
    FAILS(c, nn_data_csv(c, DATA "tabular/iris.csv", NULL), NN_ERR_FORMAT, "iris.csv: line 1: ");
    d = nn_data_csv(c, DATA "tabular/wine.csv", &o);
    CHECK(nn_data_count(d) == 178 && nn_data_classes(d) == 3 && class_is(d, 0, "1") && class_is(d, 2, "3"));
    CHECK(class_count(d, 0) == 59 && class_count(d, 1) == 71 && class_count(d, 2) == 48);
    NEAR(column_sum(d, 12), 132947, 1e-2); NEAR(column_sum(d, 7), 64.41, 1e-4);
    d = nn_data_csv(c, DATA "tabular/wine.csv", NULL);
    CHECK(nn_data_count(d) == 178 && nn_data_classes(d) == 4 && nn_data_class(d, 1) == NULL); /* classes as they stand: 1, 2, 3 */
    FAILS(c, nn_data_csv(c, DATA "tabular/breast-cancer-wisconsin.csv", &o), NN_ERR_FORMAT, "line 24");
    o.missing = NN_CSV_NAN;
    d = nn_data_csv(c, DATA "tabular/breast-cancer-wisconsin.csv", &o);
    x = nn_data_x(d, 0, 699);
    for (int64_t i = 0; i < nn_numel(x); i++) nans += isnan(nn_f32(x)[i]) != 0;
    CHECK(nn_data_count(d) == 699 && nans == 16 && isnan(cell(d, 23, 5)) && isnan(cell(d, 617, 5)) && class_is(d, 0, "2") && class_is(d, 1, "4") && class_count(d, 1) == 241);
    o.missing = NN_CSV_MEAN;
    d = nn_data_csv(c, DATA "tabular/breast-cancer-wisconsin.csv", &o);
    CHECK(nn_data_count(d) == 699);
    NEAR(cell(d, 23, 5), 2421.0 / 683, 1e-5); NEAR(cell(d, 617, 5), 2421.0 / 683, 1e-5); NEAR(column_sum(d, 5), 2421.0 * 699 / 683, 1e-3); NEAR(column_sum(d, 0), 3088, 1e-3);
    o.missing = NN_CSV_SKIP;
    d = nn_data_csv(c, DATA "tabular/breast-cancer-wisconsin.csv", &o);
    CHECK(nn_data_count(d) == 683 && class_count(d, 0) + class_count(d, 1) == 683);
    NEAR(column_sum(d, 5), 2421, 1e-3);
    nn_reset(c);
    o = nn_csv_defaults();
    o.header = 1; o.regression = 1;
    d = nn_data_csv(c, DATA "tabular/winequality-red.csv", &o);
    CHECK(nn_data_count(d) == 1599 && column_is(d, 0, "fixed acidity") && column_is(d, 8, "pH") && column_is(d, 11, "quality") && nn_data_column(d, 12) == NULL && nn_data_classes(d) == 0);
    NEAR(column_sum(d, 0), 13303.1, 1e-2); NEAR(column_sum(d, 10), 16666.35, 1e-2); NEAR(nn_item(nn_sum(nn_data_y(d, 0, 1599), NN_ALL, 0)), 9012, 1e-2);
    o.regression = 0;
    d = nn_data_csv(c, DATA "tabular/winequality-red.csv", &o);
    CHECK(nn_data_count(d) == 1599 && nn_data_classes(d) == 9);
    o = nn_csv_defaults();
    o.regression = 1;
    d = nn_data_csv(c, DATA "tabular/diabetes_data.csv", &o);
    CHECK(nn_data_count(d) == 442 && nn_numel(nn_data_x(d, 0, 1)) == 9);
    NEAR(cell(d, 0, 0), (float)0.0380759064334241, 0); NEAR(column_sum(d, 3), 0, 1e-6);
    o = nn_csv_defaults();
    o.scale = 1 / 16.0f;
    d = nn_data_csv(c, DATA "tabular/optdigits.tes", &o);
    CHECK(nn_data_count(d) == 1797 && nn_data_classes(d) == 10 && class_count(d, 0) == 178 && class_count(d, 8) == 174);
    nn_reset(c);
    d = nn_data_csv(c, DATA "tabular/optdigits.tra", &o);
    CHECK(nn_data_count(d) == 3823 && class_count(d, 1) == 389 && class_count(d, 9) == 382);
    FINISH(c);
}

/* Their first columns are dates, which are no numbers: nn.h says so. Without that column the values are right. */
static void test_real_series(void) {
    static const struct { const char *path; int64_t n; double first, last, sum; } series[] = {
        {DATA "timeseries/airline-passengers.csv", 144, 112, 432, 40363}, {DATA "timeseries/monthly-sunspots.csv", 2820, 58, 33.4, 144570}, {DATA "timeseries/daily-min-temperatures.csv", 3650, 20.7, 13, 40798.8}};
    nn_ctx        *c;
    nn_csv_options o = nn_csv_defaults();
    if (!is_file(series[0].path)) { skip("no " DATA "timeseries"); return; }
    c = quiet_ctx();
    o.header = 1; o.regression = 1;
    for (int i = 0; i < 3; i++) {
        size_t         size, n = 0;
        unsigned char *text = get_file(series[i].path, &size);
        nn_data       *d;
        nn_tensor     *y;
        int            quotes = 0;
        FAILS(c, nn_data_csv(c, series[i].path, &o), NN_ERR_FORMAT, "line 2: ");
        for (size_t k = 0; text && k < size; k++) { /* a date becomes its year: what stands behind its first '-' goes, up to the quote */
            if (text[k] == '"') quotes ^= 1;
            if (quotes && text[k] == '-') while (k + 1 < size && text[k + 1] != '"') k++;
            else text[n++] = text[k];
        }
        d = nn_data_csv_text(c, (const char *)text, n, &o);
        y = nn_data_y(d, 0, nn_data_count(d));
        CHECK(nn_data_count(d) == series[i].n && column_is(d, 0, i == 2 ? "Date" : "Month"));
        NEAR(nn_get(y, NN_SHAPE(0, 0)), series[i].first, 1e-5);
        NEAR(nn_get(y, NN_SHAPE(-1, 0)), series[i].last, 1e-5);
        NEAR(nn_item(nn_sum(nn_cast(y, NN_F64), NN_ALL, 0)), series[i].sum, 1e-2);
        free(text);
        nn_reset(c);
    }
    FAILS(c, nn_data_csv(c, DATA "timeseries/co2-mm-mlo.csv", &o), NN_ERR_FORMAT, "line 2: ");
    FINISH(c);
}

// =====================================================================================================
// text
// =====================================================================================================
static nn_tensor *text_of(nn_ctx *c, const char *text) {
    int64_t n = (int64_t)strlen(text);
    return nn_from(c, text, NN_U8, NN_SHAPE(n));
}
static int lines_are(nn_tensor *text, const char *const *want, int n) {
    nn_tensor *l = nn_text_lines(text);
    if (!l || nn_dtype_of(l) != NN_I64 || nn_ndim(l) != 2 || nn_dim(l, 0) != n || nn_dim(l, 1) != 2) return 0;
    for (int i = 0; i < n; i++) {
        int64_t from = nn_i64(l)[2 * i], to = nn_i64(l)[2 * i + 1];
        if (from < 0 || to < from || to > nn_numel(text) || (size_t)(to - from) != strlen(want[i]) || memcmp(nn_u8(text) + from, want[i], strlen(want[i]))) return 0;
    }
    return 1;
}

static void test_text(void) {
    nn_ctx    *c = quiet_ctx();
    nn_tensor *t, *table, *l;
    int        n = -1;
    static const char *const abc[] = {"one", "two", "", "three"}, *const crlf[] = {"a", "", "b\rc", "d"}, *const blank[] = {"", ""}, *const one[] = {"alone"}, *const tail[] = {"x", "y\r"};
    CHECK(lines_are(text_of(c, "one\ntwo\n\nthree"), abc, 4) && lines_are(text_of(c, "one\ntwo\n\nthree\n"), abc, 4));
    CHECK(lines_are(text_of(c, "a\r\n\r\nb\rc\r\nd\r\n"), crlf, 4));
    CHECK(lines_are(text_of(c, "\n\n"), blank, 2) && lines_are(text_of(c, "\r\n\r\n"), blank, 2) && lines_are(text_of(c, "alone"), one, 1));
    CHECK(lines_are(text_of(c, "x\ny\r"), tail, 2)); /* a line ends with \n or \r\n */
    CHECK(put_file(TMP("text.txt"), "hello\nworld\n", 12));
    t = nn_text_read(c, TMP("text.txt"));
    CHECK(t && nn_dtype_of(t) == NN_U8 && nn_ndim(t) == 1 && nn_dim(t, 0) == 12 && !memcmp(nn_u8(t), "hello\nworld\n", 12));
    table = nn_text_table(t, &n);
    CHECK(table && nn_dtype_of(table) == NN_I32 && nn_ndim(table) == 1 && nn_dim(table, 0) == 256 && n == 8); /* \n d e h l o r w */
    if (table) {
        const char *in = "\ndehlorw";
        int         bad = 0;
        for (int b = 0; b < 256; b++) bad += nn_i32(table)[b] != (b && strchr(in, b) ? (int)(strchr(in, b) - in) : -1);
        CHECK(!bad);
        /* the text in the numbers of its vocabulary: an index into the table */
        l = nn_index_select(table, 0, t);
        CHECK(l && nn_dim(l, 0) == 12 && nn_i32(l)[0] == 3 && nn_i32(l)[5] == 0 && nn_i32(l)[6] == 7);
    }
    nn_reset(c);
    CHECK(nn_numel(t) == 12 && nn_u8(t)[4] == 'o'); /* the text is kept */
    CHECK(nn_text_table(t, NULL) != NULL || nn_error(c) == NN_ERR_NULL);
    nn_error_clear(c);
    nn_drop(t);
    { /* every byte; no byte */
        unsigned char all[256];
        int           bad = 0;
        for (int b = 0; b < 256; b++) all[b] = (unsigned char)(255 - b);
        table = nn_text_table(nn_from(c, all, NN_U8, NN_SHAPE(256)), &n);
        for (int b = 0; b < 256; b++) bad += !table || nn_i32(table)[b] != b;
        CHECK(n == 256 && !bad);
    }
    CHECK(put_file(TMP("text.txt"), "", 0));
    t = nn_text_read(c, TMP("text.txt"));
    if (t) {
        l = nn_text_lines(t);
        CHECK(nn_numel(t) == 0 && nn_dim(l, 0) == 0 && nn_dim(l, 1) == 2 && nn_text_table(t, &n) != NULL && n == 0);
    } else CHECK(nn_error(c) == NN_ERR_FORMAT || nn_error(c) == NN_ERR_SHAPE);
    nn_error_clear(c);
    FAILS(c, nn_text_read(c, "no such folder/text"), NN_ERR_FILE, "no such folder/text: ");
    FAILS(c, nn_text_lines(nn_ones(c, NN_F32, NN_SHAPE(3))), NN_ERR_DTYPE, "");
    FAILS(c, nn_text_table(nn_ones(c, NN_I32, NN_SHAPE(3)), &n), NN_ERR_DTYPE, "");
    FAILS(c, nn_text_lines(nn_ones(c, NN_U8, NN_SHAPE(3, 2))), NN_ERR_SHAPE, "");
    /* a view with gaps is a text as well, or is refused */
    t = nn_slice(text_of(c, "a-b-\n-c-"), 0, 0, NN_TO_END, 2);
    l = nn_text_lines(t);
    check(l ? nn_dim(l, 0) == 2 && nn_i64(l)[1] == 2 && nn_i64(l)[2] == 3 : nn_error(c) == NN_ERR_ARG, "lines of a view", __LINE__);
    nn_error_clear(c);
    table = nn_text_table(t, &n);
    check(table ? n == 4 && nn_i32(table)['-'] == -1 : nn_error(c) == NN_ERR_ARG, "the table of a view", __LINE__);
    nn_error_clear(c);
    remove(TMP("text.txt"));
    FINISH(c);
}

static void test_real_text(void) {
    nn_ctx    *c;
    nn_tensor *t, *l, *table;
    int        n = 0;
    if (!is_file(DATA "names/names.txt") || !is_file(DATA "tinyshakespeare/input.txt")) { skip("no " DATA "names or tinyshakespeare"); return; }
    c = quiet_ctx();
    t = nn_text_read(c, DATA "names/names.txt");
    l = nn_text_lines(t);
    CHECK(nn_numel(t) == 228145 && nn_dim(l, 0) == 32033);
    if (l) {
        int64_t longest = 0, shortest = 99;
        for (int64_t i = 0; i < nn_dim(l, 0); i++) {
            int64_t k = nn_i64(l)[2 * i + 1] - nn_i64(l)[2 * i];
            longest = k > longest ? k : longest;
            shortest = k < shortest ? k : shortest;
        }
        CHECK(longest == 15 && shortest == 2 && !memcmp(nn_u8(t), "emma", 4) && nn_i64(l)[1] == 4 && nn_i64(l)[2] == 5 && nn_i64(l)[2 * 32032 + 1] == 228145);
    }
    table = nn_text_table(t, &n);
    CHECK(n == 27 && table && nn_i32(table)['\n'] == 0 && nn_i32(table)['a'] == 1 && nn_i32(table)['z'] == 26 && nn_i32(table)['A'] == -1);
    t = nn_text_read(c, DATA "tinyshakespeare/input.txt");
    CHECK(nn_numel(t) == 1115394 && nn_dim(nn_text_lines(t), 0) == 40000);
    table = nn_text_table(t, &n);
    CHECK(n == 65 && table && nn_i32(table)['\n'] == 0 && nn_i32(table)[' '] == 1 && nn_i32(table)['z'] == 64);
    FINISH(c);
}

// =====================================================================================================
// splits and folds
// =====================================================================================================
/* n samples, x = [i, i/2], classes by the formula, so that class k has uneven shares */
static int class_of(int64_t i) { return (int)((i * i + 3 * i) % 7 % 4); } /* 0 ... 3 */
static nn_data *numbered(nn_ctx *c, int64_t n, int classes) {
    nn_tensor *x = nn_zeros(c, NN_F32, NN_SHAPE(n, 2)), *y = classes ? nn_zeros(c, NN_I32, NN_SHAPE(n)) : nn_zeros(c, NN_F32, NN_SHAPE(n, 1));
    for (int64_t i = 0; i < n; i++) {
        nn_f32(x)[2 * i]     = (float)i;
        nn_f32(x)[2 * i + 1] = (float)i / 2;
        if (classes) nn_i32(y)[i] = class_of(i);
        else nn_f32(y)[i] = (float)(3 * i);
    }
    return nn_data_new(x, y);
}
/* Counts the samples of d in seen[], and how many of each class; 0 if a row does not fit its number. */
static int count_into(nn_data *d, int *seen, int64_t n, int64_t *of_class) {
    int64_t    k = nn_data_count(d);
    nn_tensor *x = nn_data_x(d, 0, k), *y = nn_data_y(d, 0, k);
    for (int64_t i = 0; i < k; i++) {
        int64_t at = (int64_t)nn_f32(x)[2 * i];
        if (at < 0 || at >= n || nn_f32(x)[2 * i + 1] != (float)at / 2) return 0;
        seen[at]++;
        if (of_class) {
            if (nn_i32(y)[i] != class_of(at)) return 0;
            of_class[class_of(at)]++;
        } else if (nn_f32(y)[i] != (float)(3 * at)) return 0;
    }
    return 1;
}

static void test_folds(void) {
    nn_ctx *c = quiet_ctx();
    enum { N = 103 };
    for (int classes = 0; classes < 2; classes++)
        for (int k = 2; k <= 10; k += k == 5 ? 5 : 1) {
            nn_data *d = numbered(c, N, classes), *train, *valid;
            int      in_valid[N], bad = 0;
            int64_t  all[4] = {0, 0, 0, 0}, most = 0, least = N;
            memset(in_valid, 0, sizeof in_valid);
            for (int64_t i = 0; i < N; i++) all[class_of(i)]++;
            for (int i = 0; i < k; i++) {
                int     seen[N], again[N];
                int64_t of[4] = {0, 0, 0, 0};
                train = valid = NULL;
                if (!nn_data_fold(d, k, i, &train, &valid)) { bad++; break; }
                memset(seen, 0, sizeof seen);
                memset(again, 0, sizeof again);
                bad += !count_into(valid, seen, N, classes ? of : NULL);
                most  = nn_data_count(valid) > most ? nn_data_count(valid) : most;
                least = nn_data_count(valid) < least ? nn_data_count(valid) : least;
                if (classes) /* each class spread evenly */
                    for (int q = 0; q < 4; q++) bad += of[q] < all[q] / k || of[q] > (all[q] + k - 1) / k;
                for (int q = 0; q < N; q++) in_valid[q] += seen[q];
                memset(of, 0, sizeof of);
                bad += !count_into(train, again, N, classes ? of : NULL);
                for (int q = 0; q < N; q++) bad += seen[q] + again[q] != 1; /* train is the rest */
                nn_data_free(train);
                nn_data_free(valid);
            }
            for (int q = 0; q < N; q++) bad += in_valid[q] != 1;
            check(!bad, classes ? "folds by class" : "folds of real targets", __LINE__);
            check(classes ? most - least <= 4 : most - least <= 1, "folds of equal size", __LINE__);
            nn_reset(c);
        }
    { /* a fold of a fold; batch size, shuffling and the rest go along; parts outlive the whole */
        nn_data *d = numbered(c, N, 1), *train = NULL, *valid = NULL, *t2 = NULL, *v2 = NULL;
        nn_batch b;
        int      seen[N], bad = 0;
        int64_t  of[4] = {0, 0, 0, 0};
        CHECK(nn_data_batch(d, 9, 1) && nn_data_shuffle(d, 0));
        CHECK(nn_data_fold(d, 5, 2, &train, &valid));
        nn_data_free(d);
        CHECK(nn_data_fold(train, 4, 0, &t2, &v2) && nn_data_count(t2) + nn_data_count(v2) == nn_data_count(train));
        CHECK(nn_data_next(t2, &b) && b.n == 9 && b.index[0] < b.index[1] && b.index[7] < b.index[8]);
        nn_data_free(train);
        memset(seen, 0, sizeof seen);
        CHECK(count_into(t2, seen, N, of) && count_into(v2, seen, N, of) && count_into(valid, seen, N, of));
        for (int q = 0; q < N; q++) bad += seen[q] != 1;
        CHECK(!bad);
    }
    {
        nn_data *d = numbered(c, 5, 1), *train = NULL, *valid = NULL;
        CHECK(nn_data_fold(numbered(c, 5, 0), 5, 4, &train, &valid) && nn_data_count(valid) == 1 && nn_data_count(train) == 4); /* leave one out */
        FAILS(c, nn_data_fold(d, 1, 0, &train, &valid), NN_ERR_ARG, "");
        CHECK(train == NULL && valid == NULL);
        FAILS(c, nn_data_fold(d, 0, 0, &train, &valid), NN_ERR_ARG, "");
        FAILS(c, nn_data_fold(d, -3, 0, &train, &valid), NN_ERR_ARG, "");
        FAILS(c, nn_data_fold(d, 6, 0, &train, &valid), NN_ERR_ARG, "");
        FAILS(c, nn_data_fold(d, INT_MAX, 0, &train, &valid), NN_ERR_ARG, "");
        check(!nn_data_fold(d, 3, 3, &train, &valid) && nn_error(c) != NN_OK, "fold 3 of 3", __LINE__);
        nn_error_clear(c);
        check(!nn_data_fold(d, 3, -1, &train, &valid) && nn_error(c) != NN_OK, "fold -1", __LINE__);
        nn_error_clear(c);
        FAILS(c, nn_data_fold(d, 2, 0, NULL, &valid), NN_ERR_NULL, "");
        FAILS(c, nn_data_fold(d, 2, 0, &train, NULL), NN_ERR_NULL, "");
    }
    FINISH(c);
}

static void test_splits(void) {
    static const double shares[] = {0.1, 0.2, 1.0 / 3, 0.5, 0.75, 0.9};
    nn_ctx *c = quiet_ctx();
    enum { N = 210 };
    for (int s = 0; s < 6; s++) {
        nn_data *d = numbered(c, N, 1), *rest = NULL, *part = NULL;
        int      seen[N], bad = 0;
        int64_t  all[4] = {0, 0, 0, 0}, of[4] = {0, 0, 0, 0}, others[4] = {0, 0, 0, 0};
        memset(seen, 0, sizeof seen);
        for (int64_t i = 0; i < N; i++) all[class_of(i)]++;
        CHECK(nn_data_split(d, shares[s], &rest, &part) && count_into(part, seen, N, of) && count_into(rest, seen, N, others));
        for (int q = 0; q < N; q++) bad += seen[q] != 1;
        for (int q = 0; q < 4; q++) bad += fabs((double)of[q] - shares[s] * (double)all[q]) >= 1 || of[q] + others[q] != all[q]; /* each class has its share */
        check(!bad, "a split keeps the classes' shares", __LINE__);
    }
    FINISH(c);
}

// =====================================================================================================
// scaling
// =====================================================================================================
static double scaled_cell(int64_t i, int64_t k) { /* column 3 is constant */
    double u = (double)((37 * i + 11 * k + 5) % 101);
    return k == 0 ? u : k == 1 ? u * u / 100 - 7 : k == 2 ? 1000 + u / 1000 : 2.5;
}
static int by_size(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}
static double quantile(const double *sorted, int64_t n, double q) { /* between neighbours in proportion, as NumPy's */
    double  at = q * (double)(n - 1);
    int64_t i = (int64_t)at;
    return i + 1 < n ? sorted[i] + (at - (double)i) * (sorted[i + 1] - sorted[i]) : sorted[i];
}
static void shift_and_scale(const double *values, int64_t n, nn_scaling how, double *shift, double *scale) { /* the definitions anew */
    double *v = (double *)malloc((size_t)n * sizeof *v), sum = 0, square = 0;
    if (!v) exit(2);
    memcpy(v, values, (size_t)n * sizeof *v);
    qsort(v, (size_t)n, sizeof *v, by_size);
    for (int64_t i = 0; i < n; i++) sum += v[i];
    for (int64_t i = 0; i < n; i++) square += (v[i] - sum / (double)n) * (v[i] - sum / (double)n);
    if (how == NN_SCALE_STANDARD) { *shift = sum / (double)n; *scale = sqrt(square / (double)n); }
    else if (how == NN_SCALE_MIN_MAX) { *shift = v[0]; *scale = v[n - 1] - v[0]; }
    else { *shift = quantile(v, n, 0.5); *scale = quantile(v, n, 0.75) - quantile(v, n, 0.25); }
    if (*scale == 0) *scale = 1; /* what is constant is only shifted */
    free(v);
}
enum { WIDE = 64 };
static void put_set(const char *x_path, const char *y_path, int64_t n);
static nn_tensor *net_scaled(nn_scope s, nn_tensor *x) {
    x = nn_layer_scale(nn_in(s, "in"), "norm", x, 0);
    return nn_layer_scale(s, "target", nn_layer_linear(s, "out", x, 2), 1);
}

static void test_scaling(void) {
    enum { N = 90 };
    nn_ctx  *c = quiet_ctx();
    nn_data *d, *train = NULL, *test = NULL;
    double   values[N], targets[2][N];
    {
        nn_tensor *x = nn_zeros(c, NN_F32, NN_SHAPE(N, 4)), *y = nn_zeros(c, NN_F32, NN_SHAPE(N, 2));
        for (int64_t i = 0; i < N; i++) {
            for (int64_t k = 0; k < 4; k++) nn_f32(x)[4 * i + k] = (float)scaled_cell(i, k);
            for (int64_t k = 0; k < 2; k++) nn_f32(y)[2 * i + k] = (float)(scaled_cell(i, 1) * 3 - (double)k * scaled_cell(i, 0));
        }
        d = nn_data_new(x, y);
    }
    CHECK(nn_data_split(d, 1.0 / 3, &train, &test) && nn_data_count(train) == 60);
    for (int how = 0; how < 3; how++) {
        nn_model  *m = nn_model_new(c, net_scaled, NULL), *m2;
        nn_tensor *x = nn_data_x(train, 0, 60), *y = nn_data_y(train, 0, 60), *shift, *scale, *p, *q;
        CHECK(nn_model_build(m, NN_F32, NN_SHAPE(1, 4)));
        p = nn_predict(m, nn_data_x(test, 0, 5)); /* before: shift 0, scale 1 */
        CHECK(nn_get(nn_model_tensor(m, c, "in.norm.shift"), NN_SHAPE(2)) == 0 && nn_get(nn_model_tensor(m, c, "in.norm.scale"), NN_SHAPE(2)) == 1 && p);
        CHECK(nn_scale_fit(m, "in.norm", train, (nn_scaling)how) && nn_scale_fit_target(m, "target", train, (nn_scaling)how));
        shift = nn_model_tensor(m, c, "in.norm.shift");
        scale = nn_model_tensor(m, c, "in.norm.scale");
        for (int64_t k = 0; k < 4; k++) {
            double a, b;
            for (int64_t i = 0; i < 60; i++) values[i] = nn_f32(x)[4 * i + k];
            shift_and_scale(values, 60, (nn_scaling)how, &a, &b);
            NEAR(nn_get(shift, NN_SHAPE(k)), a, 1e-6 * (1 + fabs(a)));
            NEAR(nn_get(scale, NN_SHAPE(k)), b, 2e-5 * (b > 1e-3 ? b : 1));
        }
        for (int64_t k = 0; k < 2; k++) {
            double a, b;
            for (int64_t i = 0; i < 60; i++) targets[k][i] = nn_f32(y)[2 * i + k];
            shift_and_scale(targets[k], 60, (nn_scaling)how, &a, &b);
            NEAR(nn_get(nn_model_tensor(m, c, "target.shift"), NN_SHAPE(k)), a, 1e-5 * (1 + fabs(a)));
            NEAR(nn_get(nn_model_tensor(m, c, "target.scale"), NN_SHAPE(k)), b, 1e-5 * b);
        }
        /* the layer: (x - shift) / scale, and back */
        q = nn_layer_scale(nn_in(nn_enter(m, c, NN_EVAL), "in"), "norm", x, 0);
        for (int64_t k = 0; k < 4; k++) NEAR(nn_get(q, NN_SHAPE(7, k)), (nn_get(x, NN_SHAPE(7, k)) - nn_get(shift, NN_SHAPE(k))) / nn_get(scale, NN_SHAPE(k)), 1e-4);
        p = nn_layer_scale(nn_in(nn_enter(m, c, NN_EVAL), "in"), "norm", q, 1);
        for (int64_t i = 0; i < 60; i += 7)
            for (int64_t k = 0; k < 4; k++) NEAR(nn_get(p, NN_SHAPE(i, k)), nn_get(x, NN_SHAPE(i, k)), 2e-6 * (1 + fabs(nn_get(x, NN_SHAPE(i, k)))));
        if (how == NN_SCALE_MIN_MAX) NEAR(nn_item(nn_max(nn_select(q, 1, 0), NN_ALL, 0)), 1, 1e-6);
        if (how == NN_SCALE_MIN_MAX) NEAR(nn_item(nn_min(nn_select(q, 1, 0), NN_ALL, 0)), 0, 1e-6);
        /* saved and loaded with the model, and not trained */
        p = nn_predict(m, nn_data_x(test, 0, 30));
        CHECK(nn_save(m, TMP("scale.safetensors")));
        m2 = nn_model_new(c, net_scaled, NULL);
        CHECK(nn_load(m2, TMP("scale.safetensors")));
        q = nn_predict(m2, nn_data_x(test, 0, 30));
        CHECK(p && q && !memcmp(nn_ptr(p), nn_ptr(q), 60 * sizeof(float)));
        {
            nn_optim *o = nn_sgd(m, 0.1f, 0);
            double    was = nn_get(shift, NN_SHAPE(0));
            CHECK(nn_backward(nn_mse(nn_forward(m, x), y)) && nn_step(o));
            CHECK(nn_get(nn_model_tensor(m, c, "in.norm.shift"), NN_SHAPE(0)) == was && nn_model_size(m) == 4 * 2 + 2);
        }
        nn_reset(c);
    }
    { /* what is missing does not count; more axes: features are the last one */
        static const float values4[] = {1, 10, NAN, 20, 3, NAN, 5, 60, 7, 50, 9, 100};
        nn_tensor *x4 = nn_from(c, values4, NN_F32, NN_SHAPE(2, 3, 2));
        nn_data   *d4 = nn_data_new(x4, nn_zeros(c, NN_I32, NN_SHAPE(2)));
        nn_model  *m = nn_model_new(c, net_scaled, NULL);
        CHECK(nn_model_build(m, NN_F32, NN_SHAPE(1, 3, 2)) && nn_scale_fit(m, "in.norm", d4, NN_SCALE_MIN_MAX));
        CHECK(nn_get(nn_model_tensor(m, c, "in.norm.shift"), NN_SHAPE(0)) == 1 && nn_get(nn_model_tensor(m, c, "in.norm.scale"), NN_SHAPE(0)) == 8);
        CHECK(nn_get(nn_model_tensor(m, c, "in.norm.shift"), NN_SHAPE(1)) == 10 && nn_get(nn_model_tensor(m, c, "in.norm.scale"), NN_SHAPE(1)) == 90);
        CHECK(nn_scale_fit(m, "in.norm", d4, NN_SCALE_STANDARD));
        NEAR(nn_get(nn_model_tensor(m, c, "in.norm.shift"), NN_SHAPE(0)), 5, 1e-6);          /* 1 3 5 7 9 */
        NEAR(nn_get(nn_model_tensor(m, c, "in.norm.scale"), NN_SHAPE(0)), sqrt(8.0), 1e-6);
        CHECK(nn_scale_fit(m, "in.norm", d4, NN_SCALE_ROBUST));
        NEAR(nn_get(nn_model_tensor(m, c, "in.norm.shift"), NN_SHAPE(1)), 50, 1e-6);         /* 10 20 50 60 100 */
        NEAR(nn_get(nn_model_tensor(m, c, "in.norm.scale"), NN_SHAPE(1)), 40, 1e-6);
    }
    { /* a set on the disk has the same scale as in memory */
        nn_model *m = nn_model_new(c, net_scaled, NULL);
        float     ab[2][2 * WIDE];
        put_set(TMP("x.npy"), TMP("y.npy"), 60);
        CHECK(nn_model_build(m, NN_F32, NN_SHAPE(1, WIDE)));
        for (int how = 0; how < 3; how++) {
            for (int k = 0; k < 2; k++) {
                CHECK(nn_scale_fit(m, "in.norm", nn_data_files(c, TMP("x.npy"), TMP("y.npy"), k ? 7 : 0), (nn_scaling)how));
                (void)nn_read(nn_model_tensor(m, c, "in.norm.shift"), ab[k], WIDE * sizeof(float));
                (void)nn_read(nn_model_tensor(m, c, "in.norm.scale"), ab[k] + WIDE, WIDE * sizeof(float));
            }
            CHECK(!memcmp(ab[0], ab[1], sizeof ab[0]));
        }
        remove(TMP("x.npy")); remove(TMP("y.npy"));
    }
    { /* what does not fit */
        nn_model *m = nn_model_new(c, net_scaled, NULL);
        check(!nn_scale_fit(m, "in.norm", train, NN_SCALE_STANDARD) && nn_error(c) != NN_OK, "a model that is not made", __LINE__);
        nn_error_clear(c);
        CHECK(nn_model_build(m, NN_F32, NN_SHAPE(1, 4)));
        FAILS(c, nn_scale_fit(m, "nowhere", train, NN_SCALE_STANDARD), NN_ERR_NAME, "nowhere");
        FAILS(c, nn_scale_fit(m, "out", train, NN_SCALE_STANDARD), NN_ERR_NAME, "out");
        check(!nn_scale_fit(m, "target", train, NN_SCALE_STANDARD) && nn_error(c) != NN_OK, "four columns into two", __LINE__);
        nn_error_clear(c);
        check(!nn_scale_fit_target(m, "in.norm", train, NN_SCALE_STANDARD) && nn_error(c) != NN_OK, "two targets into four", __LINE__);
        nn_error_clear(c);
        check(!nn_scale_fit(m, "in.norm", train, (nn_scaling)9) && nn_error(c) != NN_OK, "no such scaling", __LINE__);
        nn_error_clear(c);
        FAILS(c, nn_scale_fit(m, NULL, train, NN_SCALE_STANDARD), NN_ERR_NULL, "");
        check(!nn_scale_fit(m, "in.norm", NULL, NN_SCALE_STANDARD), "no data", __LINE__);
        nn_error_clear(c);
        CHECK(nn_get(nn_model_tensor(m, c, "in.norm.shift"), NN_SHAPE(0)) == 0 && nn_get(nn_model_tensor(m, c, "target.scale"), NN_SHAPE(0)) == 1);
        { /* classes have no scale */
            nn_data *classes = numbered(c, 10, 1);
            check(!nn_scale_fit_target(m, "target", classes, NN_SCALE_STANDARD) && nn_error(c) != NN_OK, "classes as targets", __LINE__);
            nn_error_clear(c);
        }
    }
    remove(TMP("scale.safetensors"));
    FINISH(c);
}

// =====================================================================================================
// toy sets
// =====================================================================================================
static const struct toy { const char *name; int classes, columns; } toys[] = {{"xor", 2, 2}, {"circles", 2, 2}, {"moons", 2, 2}, {"blobs", 3, 2}, {"spiral", 3, 2}, {"checkerboard", 2, 2}, {"swiss_roll", 0, 3}, {"sines", 0, 1}};
enum { TOYS = (int)(sizeof toys / sizeof *toys) };
static int toy_equal(nn_data *a, nn_data *b) {
    int64_t    n = nn_data_count(a);
    nn_tensor *x = nn_data_x(a, 0, n), *y = nn_data_x(b, 0, n), *u = nn_data_y(a, 0, n), *v = nn_data_y(b, 0, n);
    return x && y && u && v && nn_numel(x) == nn_numel(y) && !memcmp(nn_ptr(x), nn_ptr(y), (size_t)nn_numel(x) * 4) && !memcmp(nn_ptr(u), nn_ptr(v), (size_t)nn_numel(u) * 4);
}
static double turn(double a) { return a - floor(a / 6.283185307179586) * 6.283185307179586; } /* an angle within 0 ... 2 pi */

/* How far the points of a set without noise are from what its name says. */
static double toy_error(const char *name, nn_data *d) {
    int64_t    n = nn_data_count(d);
    nn_tensor *x = nn_data_x(d, 0, n), *y = nn_data_y(d, 0, n);
    double     worst = 0, radius[2] = {-1, -1}, centre[3][2], seen[3] = {0, 0, 0};
    for (int64_t i = 0; i < n; i++) {
        const float *p = nn_f32(x) + i * nn_dim(x, 1);
        double       e = 0, r = p[0], a, b = 0;
        int          k = nn_dtype_of(y) == NN_I32 ? nn_i32(y)[i] : 0;
        double       t = nn_dtype_of(y) == NN_I32 ? 0 : nn_f32(y)[i];
        if (nn_dim(x, 1) > 1) { b = p[1]; r = sqrt((double)p[0] * p[0] + b * b); }
        a = p[0];
        if (!strcmp(name, "xor")) e = k != ((a > 0) != (b > 0));
        else if (!strcmp(name, "circles")) { /* one radius a class */
            if (radius[k] < 0) radius[k] = r;
            e = fabs(r - radius[k]);
            if (radius[0] >= 0 && radius[1] >= 0 && fabs(radius[0] - radius[1]) < 0.1) e = 1;
        } else if (!strcmp(name, "moons")) { /* half circles: (cos t, sin t), (1 - cos t, 1/2 - sin t) */
            double u = k ? 1 - a : a, v = k ? 0.5 - b : b;
            e = fabs(sqrt(u * u + v * v) - 1) + (v < 0 ? -v : 0);
        } else if (!strcmp(name, "blobs")) { /* one centre a class */
            if (!seen[k]) { centre[k][0] = a; centre[k][1] = b; seen[k] = 1; }
            e = fabs(a - centre[k][0]) + fabs(b - centre[k][1]);
            for (int q = 0; q < 3; q++)
                if (q != k && seen[q] && fabs(centre[q][0] - centre[k][0]) + fabs(centre[q][1] - centre[k][1]) < 0.5) e = 1;
        } else if (!strcmp(name, "checkerboard")) e = k != (((int)floor(a) + (int)floor(b)) & 1);
        else if (!strcmp(name, "swiss_roll")) e = fabs(p[0] - t * cos(t)) + fabs(p[2] - t * sin(t));
        else if (!strcmp(name, "sines")) e = fabs(t - sin(a));
        worst = e > worst ? e : worst;
    }
    return worst;
}
/* Arms of a spiral without noise: in each, the angle grows with the radius in proportion, and the arms are one third of a turn apart. */
static double spiral_error(nn_data *d) {
    int64_t    n = nn_data_count(d);
    nn_tensor *x = nn_data_x(d, 0, n), *y = nn_data_y(d, 0, n);
    double     best = 1e9;
    for (int sign = -1; sign <= 1; sign += 2)
        for (double rate = 1; rate < 30; rate += 0.01) { /* the angle at radius 1, relative to the centre */
            double worst = 0, from[3] = {-1, -1, -1};
            for (int64_t i = 0; i < n && worst < best; i++) {
                double a = nn_f32(x)[2 * i], b = nn_f32(x)[2 * i + 1], r = sqrt(a * a + b * b), t, e;
                int    k = nn_i32(y)[i];
                if (r < 0.05) continue;
                t = turn(atan2(b, a) - sign * rate * r);
                if (from[k] < 0) from[k] = t;
                e     = fabs(t - from[k]);
                e     = e > 3.14159265 ? 6.283185307 - e : e;
                worst = e > worst ? e : worst;
            }
            if (worst < best) best = worst;
        }
    return best;
}

static void test_toys(void) {
    nn_ctx *c = seeded_ctx(11), *c2 = seeded_ctx(11), *c3 = seeded_ctx(12);
    for (int i = 0; i < TOYS; i++) {
        const struct toy *t = &toys[i];
        nn_data   *d = nn_data_toy(c, t->name, 600, 0), *e, *f;
        nn_tensor *x = nn_data_x(d, 0, 600), *y = nn_data_y(d, 0, 600);
        CHECK(d && nn_error(c) == NN_OK && nn_data_count(d) == 600 && nn_data_classes(d) == t->classes);
        check(nn_ndim(x) == 2 && nn_dim(x, 1) == t->columns && nn_dtype_of(x) == NN_F32, t->name, __LINE__);
        check(t->classes ? nn_ndim(y) == 1 && nn_dtype_of(y) == NN_I32 : nn_ndim(y) == 2 && nn_dim(y, 1) == 1 && nn_dtype_of(y) == NN_F32, t->name, __LINE__);
        for (int k = 0; k < t->classes; k++) {
            int64_t n = class_count(d, k);
            check(n * t->classes > 600 * 0.75 && n * t->classes < 600 * 1.25, t->name, __LINE__);
        }
        near_(toy_error(t->name, d), 0, 2e-5, t->name, __LINE__);
        if (!strcmp(t->name, "spiral")) near_(spiral_error(d), 0, 0.02, t->name, __LINE__);
        /* noise moves the points; the same seed is the same set, another seed another one */
        d = nn_data_toy(c, t->name, 200, 0.1);
        nn_data_free(nn_data_toy(c2, t->name, 600, 0)); /* the same calls */
        e = nn_data_toy(c2, t->name, 200, 0.1);
        nn_data_free(nn_data_toy(c3, t->name, 600, 0));
        f = nn_data_toy(c3, t->name, 200, 0.1);
        check(toy_equal(d, e), t->name, __LINE__);
        check(!toy_equal(d, f), t->name, __LINE__);
        if (t->classes != 2 || (strcmp(t->name, "xor") && strcmp(t->name, "checkerboard"))) check(toy_error(t->name, d) > 0.01 || !strcmp(t->name, "spiral"), t->name, __LINE__);
        x = nn_data_x(d, 0, 200);
        for (int64_t k = 0; k < nn_numel(x); k++)
            if (!(fabs((double)nn_f32(x)[k]) < 100)) { check(0, t->name, __LINE__); break; }
        for (int64_t n = 1; n <= 7; n += 6) { /* also what no number of classes divides; in all three, so that they stay alike */
            d = nn_data_toy(c, t->name, n, 0);
            CHECK(nn_data_count(d) == n && toy_equal(d, nn_data_toy(c2, t->name, n, 0)) && nn_data_toy(c3, t->name, n, 0));
        }
        nn_reset(c); nn_reset(c2); nn_reset(c3);
    }
    check(!nn_data_toy(c, "no such set", 10, 0) && nn_error(c) != NN_OK && strstr(nn_error_text(c), "no such set"), "an unknown name", __LINE__);
    nn_error_clear(c);
    FAILS(c, nn_data_toy(c, NULL, 10, 0), NN_ERR_NULL, "");
    check(!nn_data_toy(c, "moons", 0, 0) && nn_error(c) != NN_OK, "no points", __LINE__);
    nn_error_clear(c);
    check(!nn_data_toy(c, "moons", -5, 0) && nn_error(c) != NN_OK, "less than no points", __LINE__);
    nn_error_clear(c);
    check(!nn_data_toy(c, "moons", INT64_MAX, 0) && nn_error(c) != NN_OK, "too many points", __LINE__);
    nn_error_clear(c);
    check(!nn_data_toy(c, "moons", 10, -1) && nn_error(c) != NN_OK, "negative noise", __LINE__);
    nn_error_clear(c);
    check(!nn_data_toy(c, "moons", 10, NAN) && nn_error(c) != NN_OK, "noise that is no number", __LINE__);
    nn_error_clear(c);
    CHECK(nn_error(c2) == NN_OK && nn_error(c3) == NN_OK);
    nn_end(c3);
    nn_end(c2);
    FINISH(c);
}

// =====================================================================================================
// sets in files, in memory and on the disk
// =====================================================================================================
static float file_cell(int64_t i, int64_t k) { return (float)(i * 2 + (k == 0 ? 0 : (i * 31 + k) % 97)); } /* [i][0] is twice the number of the row */
static int file_class(int64_t i) { return (int)(i * 7 % 10); }
static int put_npy(const char *path, const char *descr, const char *shape, int fortran, const void *data, size_t bytes) { /* by hand */
    unsigned char head[128];
    FILE         *f = fopen(path, "wb");
    int           n, ok;
    memset(head, ' ', sizeof head);
    memcpy(head, "\x93NUMPY\x01\x00\x76\x00", 10);
    n = snprintf((char *)head + 10, 118, "{'descr': '%s', 'fortran_order': %s, 'shape': (%s), }", descr, fortran ? "True" : "False", shape);
    head[10 + n] = ' ';
    head[127]    = '\n';
    ok = f && fwrite(head, 1, 128, f) == 128 && (!bytes || fwrite(data, 1, bytes, f) == bytes);
    if (f) ok = fclose(f) == 0 && ok;
    return ok;
}
static void put_set(const char *x_path, const char *y_path, int64_t n) {
    float   *x = (float *)malloc((size_t)n * WIDE * sizeof *x);
    int64_t *y = (int64_t *)malloc((size_t)n * sizeof *y);
    char     shape[60];
    if (!x || !y) exit(2);
    for (int64_t i = 0; i < n; i++) {
        for (int64_t k = 0; k < WIDE; k++) x[i * WIDE + k] = file_cell(i, k);
        y[i] = file_class(i);
    }
    snprintf(shape, sizeof shape, "%d, %d", (int)n, WIDE);
    CHECK(put_npy(x_path, "<f4", shape, 0, x, (size_t)n * WIDE * sizeof *x));
    snprintf(shape, sizeof shape, "%d,", (int)n);
    CHECK(put_npy(y_path, "<i8", shape, 0, y, (size_t)n * sizeof *y));
    free(x);
    free(y);
}
static int rows_fit(const nn_batch *b) { /* each row is the one that the batch says it is */
    for (int64_t i = 0; i < b->n; i++) {
        for (int64_t k = 0; k < WIDE; k += 9)
            if (nn_f32(b->x)[i * WIDE + k] != file_cell(b->index[i], k)) return 0;
        if (nn_i32(b->y)[i] != file_class(b->index[i])) return 0;
    }
    return 1;
}
/* One epoch: its order into `order`; 0 unless every sample came exactly once, in batches of `batch` up to the last. */
static int epoch(nn_data *d, int64_t n, int64_t batch, int64_t *order) {
    nn_batch b;
    int64_t  at = 0;
    int     *seen = (int *)calloc((size_t)n, sizeof *seen), ok = 1;
    if (!seen) exit(2);
    while (ok && nn_data_next(d, &b)) {
        ok = b.n > 0 && at + b.n <= n && (b.n == batch || at + b.n == n) && nn_dim(b.x, 0) == b.n && nn_dim(b.x, 1) == WIDE && rows_fit(&b);
        for (int64_t i = 0; ok && i < b.n; i++) {
            ok = b.index[i] >= 0 && b.index[i] < n && !seen[b.index[i]]++;
            order[at++] = b.index[i];
        }
    }
    free(seen);
    return ok && at == n;
}

static void test_files(void) {
    enum { N = 500 };
    static const int64_t windows[] = {0, 1, 7, 50, 64, 499, 500, 501, 5000};
    static int64_t first[N], second[N], third[N];
    for (int w = 0; w < 9; w++) {
        nn_ctx  *c = seeded_ctx(3), *c2 = seeded_ctx(3), *c3 = seeded_ctx(4);
        nn_data *d, *d2, *d3, *rest = NULL, *part = NULL;
        int      moved = 0, far = 0;
        char     what[60];
        snprintf(what, sizeof what, "window %d", (int)windows[w]);
        if (w == 0) put_set(TMP("x.npy"), TMP("y.npy"), N);
        d  = nn_data_files(c, TMP("x.npy"), TMP("y.npy"), windows[w]);
        d2 = nn_data_files(c2, TMP("x.npy"), TMP("y.npy"), windows[w]);
        d3 = nn_data_files(c3, TMP("x.npy"), TMP("y.npy"), windows[w]);
        check(d && nn_data_count(d) == N && nn_data_classes(d) == 10, what, __LINE__);
        nn_data_batch(d, 12, 0); nn_data_batch(d2, 12, 0); nn_data_batch(d3, 12, 0);
        check(epoch(d, N, 12, first), what, __LINE__);
        check(epoch(d2, N, 12, second) && !memcmp(first, second, sizeof first), what, __LINE__); /* the same seed */
        check(epoch(d3, N, 12, third), what, __LINE__);
        check(memcmp(first, third, sizeof first) != 0, what, __LINE__); /* another seed */
        check(epoch(d, N, 12, second) && memcmp(first, second, sizeof first) != 0, what, __LINE__); /* another epoch */
        for (int i = 0; i < N; i++) { moved += first[i] != i; far += first[i] / 100 != i / 100; }
        check(moved > N / 2 && far > N / 4, what, __LINE__); /* really shuffled, also over pieces */
        check(nn_data_shuffle(d, 0) && epoch(d, N, 12, second), what, __LINE__);
        for (int i = 0; i < N; i++) if (second[i] != i) { check(0, "in order without shuffling", __LINE__); break; }
        { /* beginning again in the middle; whole batches only */
            nn_batch b;
            int64_t  n = 0;
            CHECK(nn_data_next(d, &b) && nn_data_next(d, &b) && b.index[0] == 12);
            nn_data_rewind(d);
            CHECK(nn_data_next(d, &b) && b.index[0] == 0 && rows_fit(&b));
            nn_data_rewind(d);
            nn_data_batch(d, 64, 1);
            while (nn_data_next(d, &b)) { n += b.n; check(b.n == 64, what, __LINE__); }
            check(n == 448, what, __LINE__);
        }
        check(nn_get(nn_data_x(d, 333, 2), NN_SHAPE(1, 0)) == 668 && nn_get(nn_data_y(d, 333, 2), NN_SHAPE(1)) == file_class(334), what, __LINE__);
        FAILS(c, nn_data_x(d, 499, 2), NN_ERR_RANGE, "index");
        check(nn_dim(nn_data_x(d, 490, NN_TO_END), 0) == 10 && nn_dim(nn_data_y(d, 0, NN_TO_END), 0) == N && nn_dim(nn_data_x(d, N, NN_TO_END), 0) == 0, what, __LINE__);
        /* a split and a fold of it */
        nn_data_shuffle(d, 1);
        nn_data_batch(d, 10, 0);
        check(nn_data_split(d, 0.2, &rest, &part) && nn_data_count(part) == 100 && nn_data_count(rest) == 400, what, __LINE__);
        nn_data_free(d);
        for (int e = 0; e < 2; e++) {
            int      seen[N], bad = 0;
            nn_batch b;
            memset(seen, 0, sizeof seen);
            while (nn_data_next(rest, &b)) {
                bad += !rows_fit(&b);
                for (int64_t i = 0; i < b.n; i++) seen[b.index[i]]++;
            }
            while (nn_data_next(part, &b)) {
                bad += !rows_fit(&b);
                for (int64_t i = 0; i < b.n; i++) seen[b.index[i]]++;
            }
            for (int i = 0; i < N; i++) bad += seen[i] != 1;
            check(!bad, what, __LINE__);
        }
        for (int q = 0; q < 10; q++) check(class_count(part, q) == 10 && class_count(rest, q) == 40, what, __LINE__);
        check(nn_get(nn_data_x(part, 99, 1), NN_SHAPE(0, 0)) >= 2 * 99, what, __LINE__);
        d = nn_data_files(c, TMP("x.npy"), TMP("y.npy"), windows[w]);
        check(nn_data_fold(d, 5, 3, &d2, &d3) && nn_data_count(d3) == 100, what, __LINE__);
        for (int q = 0; q < 10; q++) check(class_count(d3, q) == 10, what, __LINE__);
        { /* two parts in turn share the window */
            nn_batch a, b;
            int      ok = 1;
            for (int i = 0; i < 3; i++) ok = ok && nn_data_next(d2, &a) && rows_fit(&a) && nn_data_next(d3, &b) && rows_fit(&b) && rows_fit(&a);
            check(ok, what, __LINE__);
        }
        CHECK(nn_error(c2) == NN_OK && nn_error(c3) == NN_OK);
        nn_end(c3);
        nn_end(c2);
        FINISH(c);
    }
    remove(TMP("x.npy")); remove(TMP("y.npy"));
}

/* Ten times the file takes the memory of its labels and of its list of numbers more, not of its rows. */
static void test_files_memory(void) {
    size_t peak[2];
    static int64_t order[8000];
    for (int big = 0; big < 2; big++) {
        int64_t   n = big ? 8000 : 800;
        nn_ctx   *c = quiet_ctx();
        nn_data  *d;
        nn_model *m;
        put_set(TMP("x.npy"), TMP("y.npy"), n);
        d = nn_data_files(c, TMP("x.npy"), TMP("y.npy"), 100);
        nn_data_batch(d, 20, 0);
        CHECK(epoch(d, n, 20, order) && epoch(d, n, 20, order));
        m = nn_model_new(c, net_scaled, NULL);
        CHECK(nn_model_build(m, NN_F32, NN_SHAPE(1, WIDE)) && nn_scale_fit(m, "in.norm", d, NN_SCALE_STANDARD) && nn_scale_fit(m, "in.norm", d, NN_SCALE_MIN_MAX));
        peak[big] = nn_memory(c).peak;
        FINISH(c);
    }
    check(peak[1] - peak[0] <= 7200 * 48, "memory grows by at most 48 bytes a sample (a row has 256)", __LINE__);
    if (peak[1] - peak[0] > 7200 * 48) printf("   peak %ld and %ld bytes\n", (long)peak[0], (long)peak[1]);
    remove(TMP("x.npy")); remove(TMP("y.npy"));
}

static void put32(unsigned char *to, uint32_t v) { for (int i = 0; i < 4; i++) to[i] = (unsigned char)(v >> (24 - 8 * i)); }

static void test_files_kinds(void) {
    nn_ctx       *c = quiet_ctx();
    unsigned char idx[16 + 60], labels[8 + 10];
    nn_data      *d;
    nn_batch      b;
    double        real[30];
    int64_t       wrong[10];
    /* idx: bytes become 0 ... 1, as with nn_data_idx */
    memset(idx, 0, sizeof idx);
    memset(labels, 0, sizeof labels);
    idx[2] = 8; idx[3] = 3; put32(idx + 4, 10); put32(idx + 8, 2); put32(idx + 12, 3);
    labels[2] = 8; labels[3] = 1; put32(labels + 4, 10);
    for (int i = 0; i < 60; i++) idx[16 + i] = (unsigned char)(i * 4);
    for (int i = 0; i < 10; i++) labels[8 + i] = (unsigned char)(i % 3);
    CHECK(put_file(TMP("x.idx"), idx, sizeof idx) && put_file(TMP("y.idx"), labels, sizeof labels));
    for (int64_t window = 0; window < 12; window += 4) {
        d = nn_data_files(c, TMP("x.idx"), TMP("y.idx"), window);
        nn_data_shuffle(d, 0);
        nn_data_batch(d, 5, 0);
        CHECK(d && nn_data_count(d) == 10 && nn_data_classes(d) == 3 && nn_data_next(d, &b) && nn_data_next(d, &b) && nn_ndim(b.x) == 3 && nn_dim(b.x, 1) == 2 && nn_dim(b.x, 2) == 3);
        NEAR(nn_get(b.x, NN_SHAPE(1, 1, 2)), (6 * 6 + 5) * 4 / 255.0, 1e-6);
        CHECK(nn_get(b.y, NN_SHAPE(1)) == 0);
    }
    /* idx of big-endian reals, f64 targets */
    {
        unsigned char reals[8 + 40];
        memset(reals, 0, sizeof reals);
        reals[2] = 13; reals[3] = 1; put32(reals + 4, 10);
        for (int i = 0; i < 10; i++) {
            float    v = (float)i - 4.5f;
            uint32_t u;
            memcpy(&u, &v, 4);
            put32(reals + 8 + 4 * i, u);
        }
        for (int i = 0; i < 10; i++) real[i] = i / 7.0;
        CHECK(put_file(TMP("r.idx"), reals, sizeof reals) && put_npy(TMP("t.npy"), "<f8", "10, 1", 0, real, 80));
        for (int64_t window = 0; window < 12; window += 4) {
            d = nn_data_files(c, TMP("r.idx"), TMP("t.npy"), window);
            nn_data_shuffle(d, 0);
            nn_data_batch(d, 3, 0);
            CHECK(d && nn_data_classes(d) == 0 && nn_data_next(d, &b) && nn_data_next(d, &b) && nn_get(b.x, NN_SHAPE(2)) == 0.5 && nn_get(b.y, NN_SHAPE(2, 0)) == 5 / 7.0);
        }
    }
    /* Fortran order: read into memory; from the disk rows cannot be read in one piece */
    for (int i = 0; i < 30; i++) real[i] = i;
    CHECK(put_npy(TMP("f.npy"), "<f8", "10, 3", 1, real, 240));
    d = nn_data_files(c, TMP("f.npy"), TMP("y.idx"), 0);
    CHECK(d && nn_get(nn_data_x(d, 4, 1), NN_SHAPE(0, 2)) == 24);
    d = nn_data_files(c, TMP("f.npy"), TMP("y.idx"), 4);
    check(d ? nn_get(nn_data_x(d, 4, 1), NN_SHAPE(0, 2)) == 24 : nn_error(c) == NN_ERR_FORMAT || nn_error(c) == NN_ERR_ARG, "Fortran order on the disk", __LINE__);
    nn_error_clear(c);
    /* what does not go together */
    FAILS(c, nn_data_files(c, "no such folder/x.npy", TMP("y.idx"), 0), NN_ERR_FILE, "no such folder/x.npy: ");
    FAILS(c, nn_data_files(c, "no such folder/x.npy", TMP("y.idx"), 5), NN_ERR_FILE, "no such folder/x.npy: ");
    FAILS(c, nn_data_files(c, TMP("x.idx"), "no such folder/y.npy", 5), NN_ERR_FILE, "no such folder/y.npy: ");
    FAILS(c, nn_data_files(c, NULL, TMP("y.idx"), 5), NN_ERR_NULL, "");
    FAILS(c, nn_data_files(c, TMP("x.idx"), NULL, 5), NN_ERR_NULL, "");
    FAILS(c, nn_data_files(c, TMP("x.idx"), TMP("y.idx"), -1), NN_ERR_ARG, "window");
    labels[7] = 9; /* one label too few */
    CHECK(put_file(TMP("z.idx"), labels, 17));
    FAILS(c, nn_data_files(c, TMP("x.idx"), TMP("z.idx"), 0), NN_ERR_SHAPE, "x has 10 samples, y has 9");
    FAILS(c, nn_data_files(c, TMP("x.idx"), TMP("z.idx"), 4), NN_ERR_SHAPE, "x has 10 samples, y has 9");
    labels[7] = 0;
    CHECK(put_file(TMP("z.idx"), labels, 8) && put_npy(TMP("n.npy"), "<f8", "0, 3", 0, NULL, 0));
    for (int64_t window = 0; window < 8; window += 4) FAILS(c, nn_data_files(c, TMP("n.npy"), TMP("z.idx"), window), NN_ERR_SHAPE, "of nothing");
    CHECK(put_npy(TMP("n.npy"), "<f8", "", 0, real, 8));
    for (int64_t window = 0; window < 8; window += 4) FAILS(c, nn_data_files(c, TMP("n.npy"), TMP("y.idx"), window), NN_ERR_SHAPE, "");
    for (int i = 0; i < 10; i++) wrong[i] = i == 7 ? -1 : i;
    CHECK(put_npy(TMP("n.npy"), "<i8", "10,", 0, wrong, 80));
    for (int64_t window = 0; window < 8; window += 4) {
        d = nn_data_files(c, TMP("x.idx"), TMP("n.npy"), window);
        check(!d && nn_error(c) == NN_ERR_RANGE, "a class below 0", __LINE__);
        nn_error_clear(c);
    }
    /* files cut short, at every byte: found at once, not in the middle of an epoch */
    for (size_t n = 0; n < sizeof idx; n++) {
        int bad = 0;
        if (!put_file(TMP("z.idx"), idx, n)) break;
        for (int64_t window = 0; window < 8; window += 4) {
            d = nn_data_files(c, TMP("z.idx"), TMP("y.idx"), window);
            bad += d || nn_error(c) != NN_ERR_FORMAT;
            nn_error_clear(c);
        }
        if (bad) { check(0, "an idx file cut short was read", __LINE__); break; }
    }
    passed++;
    {
        const golden *g = golden_named("f32_2d");
        double        y[3] = {0, 1, 2};
        CHECK(put_npy(TMP("t.npy"), "<f8", "3, 1", 0, y, 24) && put_file(TMP("n.npy"), g->bytes, g->size) && (d = nn_data_files(c, TMP("n.npy"), TMP("t.npy"), 2)) != NULL);
        NEAR(nn_get(nn_data_x(d, 2, 1), NN_SHAPE(0, 3)), (float)(((37 * 11 + 5) % 101 - 50) / 3.0), 0);
        for (size_t n = 0; n < g->size; n++) {
            int bad = 0;
            if (!put_file(TMP("n.npy"), g->bytes, n)) break;
            for (int64_t window = 0; window < 4; window += 2) {
                d = nn_data_files(c, TMP("n.npy"), TMP("t.npy"), window);
                bad += d || nn_error(c) != NN_ERR_FORMAT;
                nn_error_clear(c);
            }
            if (bad) { check(0, "an npy file cut short was read", __LINE__); break; }
        }
        passed++;
        for (int i = 0; i < n_files; i++) /* what NumPy's formats cannot be, also when it is to stay on the disk */
            if (!strcmp(files[i].kind, "bad")) {
                if (!put_file(TMP("n.npy"), files[i].bytes, files[i].size)) break;
                d = nn_data_files(c, TMP("n.npy"), TMP("t.npy"), 2);
                verdict(!d && (nn_error(c) == NN_ERR_FORMAT || nn_error(c) == NN_ERR_RANGE), files[i].name, "is refused on the disk", c, __LINE__);
                nn_error_clear(c);
            }
    }
    { /* a file that shrinks while it is in use */
        int ok;
        CHECK(put_npy(TMP("f.npy"), "<f8", "10, 3", 0, real, 240) && (d = nn_data_files(c, TMP("f.npy"), TMP("y.idx"), 3)) != NULL);
        nn_data_shuffle(d, 0);
        nn_data_batch(d, 3, 0);
        CHECK(nn_data_next(d, &b) && put_file(TMP("f.npy"), "short", 5));
        ok = nn_data_next(d, &b) && nn_data_next(d, &b) && nn_data_next(d, &b);
        check(ok || nn_error(c) == NN_ERR_FILE, "a file that shrank is an error", __LINE__);
        check(!ok, "a file that shrank is noticed", __LINE__);
        nn_error_clear(c);
    }
    /* files are closed again: more than a process may have open */
    CHECK(put_npy(TMP("f.npy"), "<f8", "10, 3", 0, real, 240));
    for (int i = 0; i < 1500; i++) {
        d = nn_data_files(c, TMP("f.npy"), TMP("y.idx"), 3);
        if (!d) { check(0, "files are closed", __LINE__); break; }
        nn_data_free(d);
    }
    nn_error_clear(c);
    remove(TMP("x.idx")); remove(TMP("y.idx")); remove(TMP("z.idx")); remove(TMP("r.idx")); remove(TMP("t.npy")); remove(TMP("f.npy")); remove(TMP("n.npy"));
    FINISH(c);
}

/* nn_fit and nn_evaluate on a set that stays on the disk: the same as in memory where the order is the same. */
static nn_tensor *net_wide(nn_scope s, nn_tensor *x) { return nn_layer_linear(s, "out", nn_scale(x, 0.001), 10); }
static void test_files_fit(void) {
    float   loss[2];
    double  score[2];
    for (int k = 0; k < 2; k++) {
        nn_ctx        *c = quiet_ctx();
        nn_model      *m = nn_model_new(c, net_wide, NULL);
        nn_data       *d;
        nn_fit_options f = nn_fit_defaults();
        nn_history     h;
        if (k == 0) put_set(TMP("x.npy"), TMP("y.npy"), 200);
        d = nn_data_files(c, TMP("x.npy"), TMP("y.npy"), k ? 32 : 0);
        nn_data_shuffle(d, 0);
        f.quiet = 1; f.epochs = 3; f.batch = 20; f.lr = 0.01f; f.validation = 0.2f;
        h = nn_fit(m, d, &f);
        CHECK(h.epochs == 3 && nn_error(c) == NN_OK);
        loss[k]  = h.loss ? (float)h.loss[2] : -1;
        score[k] = nn_evaluate(m, d, NULL).loss;
        FINISH(c);
    }
    CHECK(loss[0] == loss[1] && score[0] == score[1] && loss[0] > 0);
    remove(TMP("x.npy")); remove(TMP("y.npy"));
}

// =====================================================================================================
// no memory; no data
// =====================================================================================================
static int everything(nn_ctx *c) { /* 1: all of it worked */
    static const char table[] = "a,\"b, c\",class\n1,2,x\n?,4,y\n5,6,x\n7,8,z\n";
    nn_csv_options o = nn_csv_defaults();
    const golden  *npz = golden_named("fortran_and_empty");
    const char    *name = "x";
    nn_data       *d, *a = NULL, *b = NULL, *f;
    nn_model      *m = nn_model_new(c, net_scaled, NULL);
    nn_tensor     *x, *t;
    nn_file       *file;
    nn_batch       batch;
    int            n, ok;
    o.header = 1; o.text = 1; o.missing = NN_CSV_MEAN;
    d  = nn_data_csv_text(c, table, sizeof table - 1, &o);
    ok = nn_data_split(d, 0.5, &a, &b) && nn_data_next(a, &batch);
    ok = ok && nn_data_fold(d, 2, 0, &a, &b);
    nn_data_free(d);
    f  = nn_data_files(c, TMP("x.npy"), TMP("y.npy"), 16);
    ok = ok && nn_data_next(f, &batch) && nn_data_x(f, 20, 3) && nn_data_split(f, 0.25, &a, &b) && nn_data_next(b, &batch);
    ok = ok && nn_data_files(c, TMP("x.npy"), TMP("y.npy"), 0);
    d  = nn_data_toy(c, "swiss_roll", 20, 0.1);
    x  = nn_data_x(d, 0, 4);
    ok = ok && d && x && nn_model_build(m, NN_F32, NN_SHAPE(1, 3)) && nn_scale_fit(m, "in.norm", d, NN_SCALE_ROBUST);
    t  = nn_text_read(c, TMP("t.txt"));
    ok = ok && nn_text_lines(t) && nn_text_table(t, &n);
    file = nn_file_memory(c, npz->bytes, npz->size);
    ok = ok && nn_file_tensor(file, "a") && nn_file_write(c, TMP("n.npy"), &name, &x, 1) && nn_file_write(c, TMP("n.npz"), &name, &x, 1);
    return ok;
}
static void test_no_memory(void) {
    int64_t n = 0;
    int     bad = 0, ok = 0;
    put_set(TMP("x.npy"), TMP("y.npy"), 40);
    CHECK(put_file(TMP("t.txt"), "some\ntext\n", 10));
    for (; n < 2000 && !ok && bad < 3; n++) { /* the n-th allocation fails, and all after it */
        nn_ctx *c = quiet_ctx();
        heap.left = n;
        ok = everything(c);
        heap.left = -1;
        if (ok ? nn_error(c) != NN_OK : nn_error(c) != NN_ERR_MEMORY && nn_error(c) != NN_ERR_FORMAT) { bad++; printf("   after %d allocations: %d: %s\n", (int)n, (int)nn_error(c), nn_error_text(c)); }
        if (!ok && !strstr(nn_error_text(c), "memory")) { bad++; printf("   after %d allocations: %s\n", (int)n, nn_error_text(c)); }
        nn_end(c);
        if (heap.blocks) { bad++; printf("   after %d allocations: %d blocks are left\n", (int)n, (int)heap.blocks); heap.blocks = 0; }
    }
    check(ok && !bad && n > 30, "every allocation fails once", __LINE__);
    for (n = 0, ok = 0; n < 2000 && !ok && bad < 3; n++) { /* only the n-th */
        nn_ctx *c = quiet_ctx();
        heap.left = n;
        heap.once = 1;
        (void)everything(c);
        ok        = heap.left > 0; /* there were not that many */
        heap.left = -1;
        heap.once = 0;
        nn_end(c);
        if (heap.blocks) { bad++; printf("   without allocation %d: %d blocks are left\n", (int)n, (int)heap.blocks); heap.blocks = 0; }
    }
    check(!bad, "one allocation fails", __LINE__);
    CHECK(!is_file(TMP("n.npy.partial")) && !is_file(TMP("n.npz.partial")));
    remove(TMP("x.npy")); remove(TMP("y.npy")); remove(TMP("t.txt")); remove(TMP("n.npy")); remove(TMP("n.npz"));
}

static void test_shapes_only(void) {
    nn_ctx    *c = quiet_ctx(), *s = nn_fork_shapes(c);
    nn_tensor *t = nn_zeros(s, NN_U8, NN_SHAPE(9)), *x;
    nn_data   *d, *a = NULL, *b = NULL;
    nn_model  *m;
    nn_plan   *p;
    int        n = 3;
    check(!nn_text_lines(t) && nn_error(s) == NN_ERR_ARG, "lines of a text without data", __LINE__);
    nn_error_clear(s);
    check(!nn_text_table(t, &n) && n == 0, "the table of a text without data", __LINE__);
    nn_error_clear(s);
    d = nn_data_toy(s, "moons", 20, 0.1);
    x = nn_data_x(d, 0, 5);
    CHECK(d && nn_data_count(d) == 20 && x && nn_dim(x, 0) == 5 && nn_dim(x, 1) == 2);
    (void)nn_data_classes(d);
    (void)nn_data_fold(d, 2, 0, &a, &b);
    nn_error_clear(s);
    d = nn_data_csv_text(s, "1,2,0\n3,4,1\n", 12, NULL);
    CHECK(nn_data_count(d) == 2 && nn_dim(nn_data_x(d, 0, 1), 1) == 2);
    put_set(TMP("x.npy"), TMP("y.npy"), 40);
    d = nn_data_files(s, TMP("x.npy"), TMP("y.npy"), 0);
    CHECK(!d || nn_dim(nn_data_x(d, 0, 3), 1) == WIDE);
    nn_error_clear(s);
    d = nn_data_files(s, TMP("x.npy"), TMP("y.npy"), 10);
    CHECK(!d || nn_dim(nn_data_x(d, 0, 3), 1) == WIDE);
    nn_error_clear(s);
    d = nn_data_toy(s, "swiss_roll", 20, 0);
    m = nn_model_new(s, net_scaled, NULL);
    (void)nn_model_build(m, NN_F32, NN_SHAPE(1, 3));
    (void)nn_scale_fit(m, "in.norm", d, NN_SCALE_STANDARD);
    nn_error_clear(s);
    CHECK(nn_file_memory(s, golden_named("two")->bytes, golden_named("two")->size) != NULL);
    remove(TMP("x.npy")); remove(TMP("y.npy"));
    /* while a plan is recorded: values are there or there is a message */
    t = nn_keep(text_of(c, "one\ntwo"));
    d = nn_data_toy(c, "circles", 20, 0);
    p = nn_plan_begin(c, NULL);
    x = nn_text_lines(t);
    check(x ? nn_error(c) == NN_OK : nn_error(c) == NN_ERR_PLAN, "lines while a plan is recorded", __LINE__);
    nn_error_clear(c);
    x = nn_text_table(t, &n);
    check(x ? nn_error(c) == NN_OK : nn_error(c) == NN_ERR_PLAN, "a table while a plan is recorded", __LINE__);
    nn_error_clear(c);
    x = nn_data_x(d, 0, 5);
    check(x ? nn_error(c) == NN_OK : nn_error(c) == NN_ERR_PLAN, "samples while a plan is recorded", __LINE__);
    nn_error_clear(c);
    nn_plan_free(p);
    nn_drop(t);
    CHECK(nn_error(s) == NN_OK);
    FINISH(c);
}

int main(int argc, char **argv) {
    read_golden(argc > 1 ? argv[1] : "tests/golden_data.txt");
    test_numpy_files();
    test_broken_files();
    test_write_npy();
    test_write_npz();
    test_csv_header();
    test_csv_missing();
    test_csv_text();
    test_csv_broken();
    test_real_tables();
    test_real_series();
    test_text();
    test_real_text();
    test_folds();
    test_splits();
    test_scaling();
    test_toys();
    test_files();
    test_files_memory();
    test_files_kinds();
    test_files_fit();
    test_no_memory();
    test_shapes_only();
    for (int i = 0; i < n_files; i++) free(files[i].bytes);
    free(files);
    printf("data: %d passed, %d failed", passed, failed);
    if (skipped) printf(", %d skipped", skipped);
    printf("\n");
    return failed != 0;
}
