// Pictures: what is written is inflated and unfiltered again by a decoder of this file's own; what is read is right for every kind and
// depth, or refused; augmented batches are what the options say, whatever the threads and the batch, and training goes on with them.
// test_images FROM TO reads a picture and writes it (tests/images.py compares with Pillow).
#define NN_IMPLEMENTATION
#include "nn.h"

static int passed, failed;
static void check(int ok, const char *what, int line) {
    if (ok) passed++;
    else { failed++; printf("test_images.c:%d: %s\n", line, what); }
}
#define CHECK(x) check((x) != 0, #x, __LINE__)

#define FILE_A "build/images_a"
static const char *at(const char *end) { // a path under build/
    static char path[4][64];
    static int  k;
    k = (k + 1) % 4;
    snprintf(path[k], sizeof path[k], FILE_A "%s", end);
    return path[k];
}

// ---- contexts whose memory is counted and may run out
typedef struct heap { long calls, fail_at, blocks; } heap;
static void *heap_alloc(void *user, size_t size) {
    heap *h = (heap *)user;
    void *p = ++h->calls == h->fail_at || size > (size_t)1 << 30 ? NULL : malloc(size);
    h->blocks += p != NULL;
    return p;
}
static void heap_release(void *user, void *p, size_t size) {
    (void)size;
    ((heap *)user)->blocks -= p != NULL;
    free(p);
}
static heap    counts;
static nn_ctx *ctx(int threads, uint64_t seed) {
    nn_config g = nn_config_defaults();
    g.quiet   = 1;
    g.threads = threads;
    g.seed    = seed;
    g.alloc   = heap_alloc; g.release = heap_release; g.alloc_user = &counts;
    return nn_begin(&g);
}
static int fails(nn_ctx *c, nn_status code, const char *part) {
    int ok = nn_error(c) == code && strstr(nn_error_text(c), part) != NULL;
    if (!ok) printf("   wanted %d '%s', got %d: %s\n", (int)code, part, (int)nn_error(c), nn_error_text(c));
    nn_error_clear(c);
    return ok;
}
#define FAILS(c, call, code, part) do { CHECK(!(call)); check(fails(c, code, part), #call, __LINE__); } while (0)
#define FINE(c) check(nn_error(c) == NN_OK, nn_error_text(c), __LINE__)

static uint32_t state = 1;
static uint32_t rnd(void) { return state = state * 1664525u + 1013904223u, state >> 8; }

// ---- bytes in and out of files
typedef struct bytes { unsigned char *p; size_t n; } bytes;
static bytes slurp(const char *path) {
    bytes b = {(unsigned char *)malloc(1 << 23), 0};
    FILE *f = fopen(path, "rb");
    b.n = f && b.p ? fread(b.p, 1, 1 << 23, f) : 0;
    if (f) fclose(f);
    return b;
}
static int spill(const char *path, const void *p, size_t n) {
    FILE *f = fopen(path, "wb");
    int   ok = f && fwrite(p, 1, n, f) == n;
    return f && fclose(f) == 0 && ok;
}

// ---- a PNG decoder: zlib with stored and fixed blocks, all five filters; checks everything that it meets
static const unsigned char *in_p; static size_t in_n, in_bit; static int in_bad;
static int bit(void) {
    int v = in_bit / 8 < in_n ? in_p[in_bit / 8] >> in_bit % 8 & 1 : 0;
    if (in_bit / 8 >= in_n) in_bad = 1;
    in_bit++;
    return v;
}
static int bits(int n) { int v = 0; for (int i = 0; i < n; i++) v |= bit() << i; return v; }
static int code(int n) { int v = 0; while (n--) v = v << 1 | bit(); return v; } // Huffman codes come highest bit first
static int fixed_symbol(void) { // RFC 1951, 3.2.6
    int v = code(7);
    if (v < 24) return 256 + v;
    v = v << 1 | bit();
    if (v >= 48 && v < 192) return v - 48;
    if (v >= 192 && v < 200) return 280 + v - 192;
    v = v << 1 | bit();
    return 144 + v - 400;
}
static size_t inflate_fixed(const unsigned char *p, size_t n, unsigned char *to, size_t room) { // one fixed block; bytes, or -1
    static const int lbase[29] = {3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258};
    static const int lmore[29] = {0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0};
    static const int dbase[30] = {1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33, 49, 65, 97, 129, 193, 257, 385, 513, 769, 1025, 1537, 2049, 3073, 4097, 6145, 8193, 12289, 16385, 24577};
    static const int dmore[30] = {0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 13};
    size_t out = 0;
    in_p = p; in_n = n; in_bit = 0; in_bad = 0;
    if (bit() != 1 || bits(2) != 1) return (size_t)-1;
    while (!in_bad) {
        int s = fixed_symbol();
        if (s == 256) return (in_bit + 7) / 8 == n ? out : (size_t)-1;
        if (s < 256) {
            if (out == room) return (size_t)-1;
            to[out++] = (unsigned char)s;
        } else {
            int length, k, d;
            if (s > 285) return (size_t)-1;
            length = lbase[s - 257] + bits(lmore[s - 257]);
            k      = code(5);
            if (k > 29) return (size_t)-1;
            d = dbase[k] + bits(dmore[k]);
            if ((size_t)d > out || (size_t)length > room - out || (s == 284 && length == 258)) return (size_t)-1;
            for (; length--; out++) to[out] = to[out - (size_t)d];
        }
    }
    return (size_t)-1;
}
static uint32_t big(const unsigned char *p) { return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3]; }
static uint32_t crc(const unsigned char *p, size_t n) {
    uint32_t r = 0xffffffffu;
    for (size_t i = 0; i < n; i++) {
        r ^= p[i];
        for (int b = 0; b < 8; b++) r = r & 1 ? r >> 1 ^ 0xedb88320u : r >> 1;
    }
    return ~r;
}
static unsigned char *png_pixels(bytes b, int *w, int *h, int *type) { // NULL: not a good PNG
    size_t         i = 8, row, raw, n = 0;
    unsigned char *to, *t;
    int            pixel, seen = 0;
    uint32_t       a1 = 1, a2 = 0;
    const unsigned char *idat = NULL;
    if (b.n < 57 || memcmp(b.p, "\x89PNG\r\n\x1a\n", 8)) return NULL;
    while (i + 12 <= b.n) {
        size_t k = big(b.p + i);
        if (k > b.n - i - 12 || crc(b.p + i + 4, k + 4) != big(b.p + i + 8 + k)) return NULL;
        if (!memcmp(b.p + i + 4, "IHDR", 4) && k == 13 && seen == 0) seen = 1;
        else if (!memcmp(b.p + i + 4, "IDAT", 4) && seen == 1) { seen = 2; idat = b.p + i + 8; n = k; }
        else if (!memcmp(b.p + i + 4, "IEND", 4) && seen == 2 && k == 0) seen = 3;
        else return NULL;
        i += 12 + k;
    }
    if (seen != 3 || i != b.n || b.p[24] != 8 || b.p[26] || b.p[27] || b.p[28]) return NULL;
    *w = (int)big(b.p + 16); *h = (int)big(b.p + 20); *type = b.p[25];
    pixel = *type == 0 ? 1 : *type == 2 ? 3 : *type == 4 ? 2 : *type == 6 ? 4 : 0;
    row   = (size_t)*w * (size_t)pixel;
    raw   = (row + 1) * (size_t)*h;
    to    = (unsigned char *)malloc(raw);
    t     = to;
    if (!pixel || !to || n < 6 || (idat[0] * 256 + idat[1]) % 31 || (idat[0] & 15) != 8 || (idat[1] & 32) || inflate_fixed(idat + 2, n - 6, to, raw) != raw) { free(to); return NULL; }
    for (size_t k = 0; k < raw; k++) { a1 = (a1 + to[k]) % 65521; a2 = (a2 + a1) % 65521; }
    if ((a2 << 16 | a1) != big(idat + n - 4)) { free(to); return NULL; }
    for (int y = 0; y < *h; y++) { // rows close up as their filters go
        unsigned char *from = to + (size_t)y * (row + 1), *up = t - row;
        int            f = *from++;
        for (size_t x = 0; x < row; x++) {
            int a = x >= (size_t)pixel ? t[x - (size_t)pixel] : 0, u = y ? up[x] : 0, c = y && x >= (size_t)pixel ? up[x - (size_t)pixel] : 0, p = a + u - c, v = 0;
            if (f == 1) v = a;
            else if (f == 2) v = u;
            else if (f == 3) v = (a + u) / 2;
            else if (f == 4) v = abs(p - a) <= abs(p - u) && abs(p - a) <= abs(p - c) ? a : abs(p - u) <= abs(p - c) ? u : c;
            else if (f) { free(to); return NULL; }
            t[x] = (unsigned char)(from[x] + v);
        }
        t += row;
    }
    return to;
}
static int png_is(const char *path, nn_tensor *x) { // the file has just x's bytes, u8 [H,W] or [C,H,W] of any strides
    static const int types[5] = {-1, 0, 4, 2, 6};
    bytes          b = slurp(path);
    int            w = 0, h = 0, type = -1, channels = nn_ndim(x) == 3 ? (int)nn_dim(x, 0) : 1;
    unsigned char *p = png_pixels(b, &w, &h, &type);
    int            ok = p && w == nn_dim(x, -1) && h == nn_dim(x, -2) && type == types[channels];
    for (int k = 0; ok && k < channels; k++)
        for (int y = 0; y < h; y++)
            for (int i = 0; i < w; i++) ok &= p[(y * w + i) * channels + k] == (nn_ndim(x) == 3 ? nn_get(x, NN_SHAPE(k, y, i)) : nn_get(x, NN_SHAPE(y, i)));
    free(p);
    free(b.p);
    return ok;
}
static nn_tensor *picture(nn_ctx *c, int kind, int64_t channels, int64_t h, int64_t w) { // noise, one colour, slopes, stripes, few colours, far repeats
    nn_tensor *x = nn_zeros(c, NN_U8, NN_SHAPE(channels, h, w));
    uint8_t   *p = (uint8_t *)nn_ptr(x);
    for (int64_t k = 0; k < channels; k++)
        for (int64_t y = 0; y < h; y++)
            for (int64_t i = 0; i < w; i++, p++)
                *p = (uint8_t)(kind == 0 ? rnd() : kind == 1 ? 200 : kind == 2 ? y * 3 + i + k * 50 : kind == 3 ? i % 7 * 30 + (y & 8) : kind == 4 ? (rnd() & 1) * 255 : (y % 5 * 7919 + i * 104729 + k * 31) >> 3);
    return x;
}

static void test_deflate(void) { // any bytes come back, in no more than 9 bits each
    enum { MOST = 100000 };
    unsigned char *p = (unsigned char *)malloc(MOST), *z = (unsigned char *)malloc(MOST * 9 / 8 + 64), *q = (unsigned char *)malloc(MOST + 1);
    uint32_t      *last = (uint32_t *)malloc(sizeof *last << 15);
    int            bad = 0;
    for (int round = 0; round < 600; round++) {
        size_t   n = round < 300 ? (size_t)round : rnd() % MOST, tail;
        int      kind = round % 6;
        nn__bits b;
        memset(&b, 0, sizeof b);
        for (size_t i = 0; i < n; i++)
            p[i] = (unsigned char)(kind == 0 ? rnd() : kind == 1 ? 0 : kind == 2 ? 255 - rnd() % 100 : kind == 3 ? (rnd() % 40 ? (i ? p[i - 1] : 7) : rnd()) : kind == 4 ? (i > 32768 + rnd() % 3 ? p[i - 32768] : rnd()) : (i > 300 && rnd() % 200 ? p[i - 259 - (rnd() % 100 == 0)] : rnd()));
        b.p = z;
        nn__deflate(&b, p, n, last);
        tail = inflate_fixed(z, b.n, q, n);
        bad += tail != n || memcmp(p, q, n) || b.n > n * 9 / 8 + 3;
        if (kind == 1 && n > 5000) bad += b.n > n / 90;
    }
    CHECK(bad == 0);
    free(p); free(z); free(q); free(last);
}
static void test_write(void) {
    nn_ctx    *c = ctx(1, 1);
    nn_tensor *x, *r;
    static const int64_t sizes[8][2] = {{1, 1}, {1, 9}, {9, 1}, {2, 2}, {5, 7}, {16, 16}, {33, 50}, {120, 300}};
    bytes      b;
    for (int kind = 0; kind < 6; kind++)
        for (int channels = 1; channels <= 4; channels++)
            for (int k = 0; k < 8; k++) {
                x = picture(c, kind, channels, sizes[k][0], sizes[k][1]);
                CHECK(nn_image_write(x, at(".png")) == 1 && png_is(at(".png"), x));
                nn_reset(c);
            }
    /* strides: turned, mirrored, every second, one grey shown as three */
    x = picture(c, 0, 3, 12, 17);
    r = nn_permute(x, NN_AXES(0, 2, 1)); CHECK(nn_image_write(r, at(".png")) && png_is(at(".png"), r));
    r = nn_slice(nn_slice(x, 2, NN_TO_END, NN_TO_END, -1), 1, 1, NN_TO_END, 2);
    nn_error_clear(c);
    r = nn_slice(x, 1, 1, NN_TO_END, 2); CHECK(nn_image_write(r, at(".png")) && png_is(at(".png"), r));
    r = nn_select(x, 0, 1); CHECK(nn_ndim(r) == 2 && nn_image_write(r, at(".png")) && png_is(at(".png"), r));
    r = nn_expand(nn_slice(x, 0, 2, 3, 1), NN_SHAPE(4, 12, 17)); CHECK(nn_image_write(r, at(".png")) && png_is(at(".png"), r));
    r = nn_permute(nn_contiguous(nn_permute(x, NN_AXES(1, 2, 0))), NN_AXES(2, 0, 1)); CHECK(!nn_is_contiguous(r) && nn_image_write(r, at(".png")) && png_is(at(".png"), r));
    FINE(c);
    /* reals */
    for (int d = 0; d < 4; d++) {
        static const nn_dtype types[4] = {NN_F32, NN_F64, NN_F16, NN_BF16};
        static const double   v[12] = {0, 1, -3, 7, NAN, INFINITY, -INFINITY, 0.5, 0.25, 1e-9, 0.9999, 2 / 255.0};
        static const double   want[12] = {0, 255, 0, 255, 0, 255, 0, 128, 64, 0, 255, 2};
        nn_tensor *y;
        x = nn_cast(nn_from(c, v, NN_F64, NN_SHAPE(3, 4)), types[d]);
        y = nn_cast(nn_from(c, want, NN_F64, NN_SHAPE(3, 4)), NN_U8);
        CHECK(nn_image_write(x, at(".png")) && png_is(at(".png"), y));
    }
    /* the plain formats, and back */
    for (int channels = 1; channels <= 3; channels += 2) {
        const char *end = channels == 1 ? ".pgm" : ".ppm";
        x = picture(c, 0, channels, 6, 5);
        CHECK(nn_image_write(x, at(end)) == 1);
        b = slurp(at(end));
        CHECK(b.n == 11 + 30 * (size_t)channels && !memcmp(b.p, channels == 1 ? "P5\n5 6\n255\n" : "P6\n5 6\n255\n", 11));
        for (int i = 0, ok = 1; i < 30 * channels; i++) {
            ok &= b.p[11 + i] == nn_get(x, NN_SHAPE(i % channels, i / channels / 5, i / channels % 5));
            if (i == 30 * channels - 1) CHECK(ok);
        }
        free(b.p);
        r = nn_image_read(c, at(end));
        CHECK(r && nn_dtype_of(r) == NN_U8 && nn_ndim(r) == 3 && nn_dim(r, 0) == channels && nn_item(nn_sum(nn_cast(nn_equal(r, x), NN_F32), NN_ALL, 0)) == 30 * channels);
    }
    FINE(c);
    /* what cannot be written */
    x = picture(c, 0, 3, 4, 4);
    FAILS(c, nn_image_write(x, NULL), NN_ERR_NULL, "path");
    FAILS(c, nn_image_write(x, at(".jpg")), NN_ERR_FILE, "ends neither");
    FAILS(c, nn_image_write(x, at(".pgm")), NN_ERR_FILE, "pgm 1");
    FAILS(c, nn_image_write(nn_select(x, 0, 0), at(".ppm")), NN_ERR_FILE, "ppm 3");
    FAILS(c, nn_image_write(picture(c, 0, 5, 2, 2), at(".png")), NN_ERR_FILE, "1 to 4 channels");
    FAILS(c, nn_image_write(nn_unsqueeze(x, 0), at(".png")), NN_ERR_SHAPE, "x [1,3,4,4] must have 2 or 3 dimensions");
    FAILS(c, nn_image_write(nn_zeros(c, NN_U8, NN_SHAPE(4)), at(".png")), NN_ERR_SHAPE, "must have 2 or 3");
    FAILS(c, nn_image_write(nn_zeros(c, NN_I32, NN_SHAPE(4, 4)), at(".png")), NN_ERR_DTYPE, "i32");
    FAILS(c, nn_image_write(nn_zeros(c, NN_U8, NN_SHAPE(0, 4)), at(".png")), NN_ERR_SHAPE, "image of nothing");
    FAILS(c, nn_image_write(x, "no such folder/x.png"), NN_ERR_FILE, "no such folder/x.png");
    FAILS(c, nn_image_write(nn_expand(nn_zeros(c, NN_U8, NN_SHAPE(1, 1)), NN_SHAPE(70000, 70000)), at(".png")), NN_ERR_FILE, "too large");
    FAILS(c, nn_image_write(nn_expand(nn_zeros(c, NN_U8, NN_SHAPE(1, 1)), NN_SHAPE(1, (int64_t)1 << 31)), at(".png")), NN_ERR_FILE, "too large");
    x = picture(c, 1, 1, 3, 3);
    r = picture(c, 0, 1, 3, 3);
    nn_image_write(x, at(".png"));
    for (long k = 1; k < 3; k++) { /* memory runs out: the old file stays */
        counts.calls = 0; counts.fail_at = k;
        FAILS(c, nn_image_write(r, at(".png")), NN_ERR_MEMORY, "out of memory");
        counts.fail_at = 0;
        CHECK(png_is(at(".png"), x));
    }
    nn_end(c);
    CHECK(counts.blocks == 0);
}

static int pixels_are(nn_tensor *x, int64_t channels, int64_t h, int64_t w, const int *want) { // [C,H,W]
    int ok = x && nn_dtype_of(x) == NN_U8 && nn_ndim(x) == 3 && nn_dim(x, 0) == channels && nn_dim(x, 1) == h && nn_dim(x, 2) == w;
    for (int64_t i = 0; ok && i < channels * h * w; i++) ok = ((const uint8_t *)nn_ptr(x))[i] == want[i];
    return ok;
}
static nn_tensor *text_image(nn_ctx *c, const char *s) {
    size_t     n = strlen(s);
    char      *p = (char *)malloc(n + 1); /* no 0 behind it, so that the sanitizer sees */
    nn_tensor *x;
    memcpy(p, s, n);
    p = (char *)realloc(p, n ? n : 1);
    x = nn_image_memory(c, p, n);
    free(p);
    return x;
}
static void cut_short(nn_ctx *c, const unsigned char *p, size_t n, size_t needed, int line) { // every beginning is refused
    int bad = 0;
    for (size_t k = 0; k < n; k++) {
        unsigned char *q = (unsigned char *)malloc(k ? k : 1);
        nn_tensor     *x;
        memcpy(q, p, k);
        x = nn_image_memory(c, q, k);
        if (k < needed ? x != NULL || nn_error(c) != NN_ERR_FORMAT : x == NULL) bad++;
        nn_error_clear(c);
        free(q);
    }
    check(bad == 0, "a picture cut short was read", line);
}
static void test_pnm(void) {
    nn_ctx *c = ctx(1, 1);
    static const int grey[6] = {0, 1, 2, 3, 4, 255}, colour[12] = {1, 4, 7, 10, 2, 5, 8, 11, 3, 6, 9, 12}, scaled[4] = {0, 64, 128, 255}, wide[4] = {0, 1, 128, 255}, few[3] = {0, 255, 0};
    CHECK(pixels_are(text_image(c, "P2\n3 2\n255\n0 1 2\n3 4 255\n"), 1, 2, 3, grey));
    CHECK(pixels_are(text_image(c, "P2 # a comment\n# another\r\n3\t2 255#and one\n0 1 2 3 4 255"), 1, 2, 3, grey));
    CHECK(pixels_are(text_image(c, "P3 2 2 255 1 2 3 4 5 6 7 8 9 10 11 12"), 3, 2, 2, colour));
    CHECK(pixels_are(text_image(c, "P2 4 1 4 0 1 2 4"), 1, 1, 4, scaled));
    CHECK(pixels_are(text_image(c, "P2 4 1 65535 0 257 32896 65535"), 1, 1, 4, wide));
    CHECK(pixels_are(text_image(c, "P2 3 1 1 0 1 0"), 1, 1, 3, few));
    CHECK(pixels_are(nn_image_memory(c, "P5 3 2 255\n\0\1\2\3\4\377", 17), 1, 2, 3, grey));
    CHECK(pixels_are(nn_image_memory(c, "P6\n2 2\n255\n\1\2\3\4\5\6\7\10\11\12\13\14", 23), 3, 2, 2, colour));
    CHECK(pixels_are(nn_image_memory(c, "P5 4 1 65535\n\0\0\1\1\200\200\377\377", 21), 1, 1, 4, wide));
    CHECK(pixels_are(nn_image_memory(c, "P5 4 1 4\n\0\1\2\4and another picture", 30), 1, 1, 4, scaled));
    FINE(c);
    {
        static const struct bad { const char *text, *part; } bad[] = {
            {"", "not a PPM"}, {"P", "not a PPM"}, {"P2", "not a PPM"}, {"P1 1 1 1", "not a PPM"}, {"P4 1 1 1", "not a PPM"}, {"P7 1 1 1", "not a PPM"}, {"\x89PNG\r\n", "not a PPM"}, {"P2 ", "header"}, {"P2 0 1 255 1", "header"},
            {"P2 1 0 255 1", "header"}, {"P2 1 1 0 0", "header"}, {"P2 1 1 65536 0", "header"}, {"P2 -1 1 255 0", "header"}, {"P2 1 x 255 0", "header"}, {"P2 1 1 255 x", "a pixel is not a number"}, {"P2 1 1 255 256", "above"},
            {"P2 2 1 255 1", "cut short"}, {"P2 2 1 255 1    ", "not a number"}, {"P2 1 1 255 1234567890", "not a number"}, {"P2 1234567890 1 255 1", "header"}, {"P2 999999999 999999999 255 1", "cut short"}, {"P3 999999999 999999999 255 1", "cut short"},
            {"P6 999999999 999999999 65535 1", "cut short"}, {"P5 1 1 254 \xff", "above"}, {"P5 1 1 255", "cut short"}, {"P5 1 1 255 ", "cut short"}, {"P5 1 1 256 a", "cut short"}, {"P2 1 1 #255 1", "header"}};
        for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
            check(text_image(c, bad[i].text) == NULL, bad[i].text, __LINE__);
            check(fails(c, NN_ERR_FORMAT, bad[i].part), bad[i].text, __LINE__);
        }
    }
    cut_short(c, (const unsigned char *)"P6\n2 2\n255\n\1\2\3\4\5\6\7\10\11\12\13\14", 23, 23, __LINE__);
    cut_short(c, (const unsigned char *)"P3 2 1 255 12 13 14 15 16 17", 28, 27, __LINE__);
    FAILS(c, nn_image_memory(c, NULL, 3), NN_ERR_NULL, "bytes");
    FAILS(c, nn_image_read(c, NULL), NN_ERR_NULL, "path");
    FAILS(c, nn_image_read(c, "no such folder/a.ppm"), NN_ERR_FILE, "no such folder/a.ppm");
    CHECK(spill(at(".ppm"), "P6 nothing", 10));
    FAILS(c, nn_image_read(c, at(".ppm")), NN_ERR_FORMAT, FILE_A ".ppm: its header");
    nn_end(c);
    CHECK(counts.blocks == 0);
    CHECK(!nn_image_read(NULL, "x") && !nn_image_memory(NULL, "P2", 2) && !nn_image_write(NULL, "x.png") && !nn_image_grid(NULL, 1, 1));
}

static void little(unsigned char *p, uint32_t v, int n) { for (int i = 0; i < n; i++) p[i] = (unsigned char)(v >> (8 * i)); }
/* A BMP of this depth from [3,H,W]: by a palette of the pixels' colours in their order below 16 bits. Bytes written */
static size_t make_bmp(unsigned char *b, int bits, const int *rgb, int h, int w, int down, int bitfields) {
    size_t row = (size_t)(w * bits + 31) / 32 * 4, head = bitfields == 2 ? 108 : 40, colours = bits <= 8 ? (size_t)(bits == 8 ? h * w : 1 << bits) : 0, data = 14 + head + (bitfields == 1 ? 12 : 0) + 4 * colours;
    memset(b, 0, data + row * (size_t)h);
    b[0] = 'B'; b[1] = 'M';
    little(b + 2, (uint32_t)(data + row * (size_t)h), 4); little(b + 10, (uint32_t)data, 4); little(b + 14, (uint32_t)head, 4);
    little(b + 18, (uint32_t)w, 4); little(b + 22, (uint32_t)(down ? -h : h), 4); little(b + 26, 1, 2); little(b + 28, (uint32_t)bits, 2); little(b + 30, bitfields ? 3 : 0, 4);
    if (bits == 8) little(b + 46, (uint32_t)colours, 4);
    if (bitfields) { little(b + 54, bits == 16 ? 0xf800 : 0xff, 4); little(b + 58, bits == 16 ? 0x7e0 : 0xff00, 4); little(b + 62, bits == 16 ? 0x1f : 0xff0000, 4); } /* 5, 6, 5 bits; or red first */
    for (size_t i = 0; i < colours; i++) /* 1 bit: the first two pixels' colours, 4: the first sixteen's */
        for (int k = 0; k < 3; k++) b[14 + head + 4 * i + (size_t)(2 - k)] = (unsigned char)rgb[k * h * w + (int)i % (h * w)];
    for (int y = 0; y < h; y++)
        for (int x = 0; x < w; x++) {
            unsigned char *to = b + data + row * (size_t)(down ? y : h - 1 - y);
            int            i = y * w + x, r = rgb[i], g = rgb[h * w + i], u = rgb[2 * h * w + i], index = bits == 1 ? i & 1 : bits == 4 ? i & 15 : i;
            if (bits == 1) to[x / 8] |= (unsigned char)(index << (7 - x % 8));
            if (bits == 4) to[x / 2] |= (unsigned char)(index << (x % 2 ? 0 : 4));
            if (bits == 8) to[x] = (unsigned char)index;
            if (bits == 16) little(to + 2 * x, bitfields ? (uint32_t)(r >> 3 << 11 | g >> 2 << 5 | u >> 3) : (uint32_t)(r >> 3 << 10 | g >> 3 << 5 | u >> 3), 2);
            if (bits == 24) { to[3 * x] = (unsigned char)u; to[3 * x + 1] = (unsigned char)g; to[3 * x + 2] = (unsigned char)r; }
            if (bits == 32) little(to + 4 * x, bitfields ? (uint32_t)(r | g << 8 | u << 16) | 0x55000000u : (uint32_t)(u | g << 8 | r << 16) | 0xaa000000u, 4);
        }
    return data + row * (size_t)h;
}
static void test_bmp(void) {
    enum { H = 5, W = 7 };
    nn_ctx       *c = ctx(1, 1);
    unsigned char b[2000];
    int           rgb[3 * H * W], want[3 * H * W];
    size_t        n;
    for (int i = 0; i < 3 * H * W; i++) rgb[i] = (int)(rnd() & 255);
    for (int down = 0; down < 2; down++)
        for (int k = 0; k < 9; k++) {
            static const int bits[9] = {1, 4, 8, 16, 24, 32, 16, 32, 32}, fields[9] = {0, 0, 0, 0, 0, 0, 1, 1, 2};
            for (int i = 0; i < 3 * H * W; i++) {
                int v = rgb[i], p = i % (H * W), plane = i - p, five = fields[k] && plane == H * W ? 63 : 31;
                want[i] = bits[k] == 1 ? rgb[plane + (p & 1)] : bits[k] == 4 ? rgb[plane + (p & 15)] : bits[k] == 16 ? ((v >> (five == 63 ? 2 : 3)) * 255 + five / 2) / five : v;
            }
            n = make_bmp(b, bits[k], rgb, H, W, down, fields[k]);
            CHECK(pixels_are(nn_image_memory(c, b, n), 3, H, W, want));
            FINE(c);
            cut_short(c, b, n, n, __LINE__);
        }
    /* numbers that lie */
    n = make_bmp(b, 8, rgb, H, W, 0, 0);
    {
        static const struct lie { int at; uint32_t v; int n; const char *part; } lies[] = {
            {18, 0, 4, "header"}, {18, 0xffffffffu, 4, "header"}, {18, 0x80000000u, 4, "header"}, {22, 0, 4, "header"}, {22, 0x80000000u, 4, "cut short"}, {22, 0x7fffffff, 4, "cut short"}, {18, 0x7fffffff, 4, "cut short"}, {14, 12, 4, "header"},
            {14, 0xffffffffu, 4, "header"}, {10, 0xffffffffu, 4, "cut short"}, {10, 100, 4, ""}, {28, 2, 2, "unusual"}, {28, 0, 2, "unusual"}, {28, 33, 2, "unusual"}, {30, 1, 4, "compressed"}, {30, 2, 4, "compressed"}, {30, 3, 4, "compressed"}, {30, 4, 4, "compressed"},
            {46, 1, 4, "palette has not"}, {46, 257, 4, "cut short"}, {46, 0xffffffffu, 4, "cut short"}, {46, 0, 4, ""}};
        for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
            unsigned char was[4];
            nn_tensor    *x;
            memcpy(was, b + lies[i].at, 4);
            little(b + lies[i].at, lies[i].v, lies[i].n);
            x = nn_image_memory(c, b, n);
            if (*lies[i].part) check(x == NULL && fails(c, NN_ERR_FORMAT, lies[i].part), lies[i].part, (int)i);
            nn_error_clear(c);
            memcpy(b + lies[i].at, was, 4);
        }
    }
    n = make_bmp(b, 32, rgb, H, W, 0, 1);
    little(b + 58, 0, 4);
    FAILS(c, nn_image_memory(c, b, n), NN_ERR_FORMAT, "a colour has no bits");
    little(b + 58, 0xffffffffu, 4); /* all of it: scaled down, in range */
    CHECK(nn_image_memory(c, b, n) != NULL);
    CHECK(spill(at(".bmp"), b, n) && nn_image_read(c, at(".bmp")) != NULL);
    nn_end(c);
    c = NULL;
    {
        nn_config g = nn_config_defaults();
        nn_tensor *x;
        g.shape_only = g.quiet = 1;
        c = nn_begin(&g);
        x = nn_image_memory(c, "P3 2 2 255 1 2 3 4 5 6 7 8 9 10 11 12", 37);
        CHECK(nn_dim(x, 0) == 3 && nn_dim(nn_image_grid(nn_expand(nn_unsqueeze(x, 0), NN_SHAPE(5, 3, 2, 2)), 2, 1), 1) == 8);
        FAILS(c, nn_image_write(x, at(".png")), NN_ERR_ARG, "no data");
        nn_end(c);
    }
    CHECK(counts.blocks == 0);
}

static void test_grid(void) {
    nn_ctx    *c = ctx(1, 1);
    for (int64_t n = 1; n <= 7; n++)
        for (int64_t columns = 0; columns <= 8; columns++)
            for (int64_t gap = 0; gap < 3; gap++) {
                int        bytes = (n + columns) & 1;
                nn_tensor *x = nn_add_scalar(nn_reshape(nn_arange(c, NN_F32, 0, (double)n * 3 * 2 * 4, 1), NN_SHAPE(n, 3, 2, 4)), 1), *y;
                int64_t    real = columns ? columns < n ? columns : n : (int64_t)ceil(sqrt((double)n)), rows = (n + real - 1) / real;
                int        ok;
                if (bytes) x = nn_cast(x, NN_U8);
                y  = nn_image_grid(x, columns, gap);
                ok = y && nn_ndim(y) == 3 && nn_dim(y, 0) == 3 && nn_dim(y, 1) == rows * (2 + gap) - gap && nn_dim(y, 2) == real * (4 + gap) - gap;
                for (int64_t k = 0; ok && k < 3; k++)
                    for (int64_t i = 0; i < nn_dim(y, 1); i++)
                        for (int64_t j = 0; j < nn_dim(y, 2); j++) {
                            int64_t which = i / (2 + gap) * real + j / (4 + gap), r = i % (2 + gap), s = j % (4 + gap);
                            ok &= nn_get(y, NN_SHAPE(k, i, j)) == (which < n && r < 2 && s < 4 ? nn_get(x, NN_SHAPE(which, k, r, s)) : 0);
                        }
                CHECK(ok);
                nn_reset(c);
            }
    {
        nn_tensor *x = nn_requires_grad(nn_ones(c, NN_F64, NN_SHAPE(3, 2, 2)));
        nn_backward(nn_sum(nn_square(nn_image_grid(x, 2, 1)), NN_ALL, 0)); /* it is made of ops */
        CHECK(nn_dim(nn_image_grid(x, 0, 0), 0) == 1 && nn_get(nn_grad(x), NN_SHAPE(2, 1, 1)) == 2);
        FAILS(c, nn_image_grid(x, 1, -1), NN_ERR_ARG, "gap cannot be -1");
        FAILS(c, nn_image_grid(x, -1, 1), NN_ERR_ARG, "columns cannot be -1");
        FAILS(c, nn_image_grid(x, 1, INT64_MAX), NN_ERR_ARG, "gap");
        FAILS(c, nn_image_grid(nn_zeros(c, NN_U8, NN_SHAPE(0, 2, 2)), 1, 1), NN_ERR_SHAPE, "image_grid of nothing");
        FAILS(c, nn_image_grid(nn_select(x, 0, 0), 1, 1), NN_ERR_SHAPE, "must have 3 or 4 dimensions");
        CHECK(nn_image_grid(x, INT64_MAX, 0) != NULL);
    }
    nn_end(c);
    CHECK(counts.blocks == 0);
}

static void test_cifar(void) {
    nn_ctx        *c = ctx(1, 1);
    unsigned char *r = (unsigned char *)malloc(5 * 3073);
    const char    *paths[3] = {FILE_A "1.bin", FILE_A "2.bin", "no such folder/b.bin"};
    nn_data       *d;
    nn_tensor     *x, *y;
    int            ok = 1;
    for (int i = 0; i < 5 * 3073; i++) r[i] = (unsigned char)(i % 3073 ? rnd() : (uint32_t)(9 - i / 3073));
    CHECK(spill(paths[0], r, 3 * 3073) && spill(paths[1], r + 3 * 3073, 2 * 3073));
    d = nn_data_cifar10(c, paths, 2);
    x = nn_data_x(d, 0, NN_TO_END);
    y = nn_data_y(d, 0, NN_TO_END);
    CHECK(nn_data_count(d) == 5 && nn_data_classes(d) == 10 && nn_ndim(x) == 4 && nn_dim(x, 1) == 3 && nn_dim(x, 2) == 32 && nn_dim(x, 3) == 32 && nn_dtype_of(x) == NN_F32 && nn_dtype_of(y) == NN_I32);
    for (int i = 0; i < 5; i++) {
        ok &= nn_i32(y)[i] == 9 - i;
        for (int k = 0; k < 3072; k++) ok &= nn_f32(x)[i * 3072 + k] == (float)r[i * 3073 + 1 + k] * (float)(1 / 255.0);
    }
    CHECK(ok);
    FINE(c);
    FAILS(c, nn_data_cifar10(c, paths, 3), NN_ERR_FILE, "no such folder/b.bin");
    FAILS(c, nn_data_cifar10(c, paths, 0), NN_ERR_ARG, "n cannot be 0");
    FAILS(c, nn_data_cifar10(c, NULL, 1), NN_ERR_NULL, "paths");
    r[3 * 3073] = 10;
    CHECK(spill(paths[1], r + 3 * 3073, 2 * 3073));
    FAILS(c, nn_data_cifar10(c, paths, 2), NN_ERR_FORMAT, "2.bin: a label is not 0 ... 9");
    for (int k = 0; k < 4; k++) {
        static const size_t sizes[4] = {0, 1, 3072, 2 * 3073 + 1};
        CHECK(spill(paths[0], r, sizes[k]));
        FAILS(c, nn_data_cifar10(c, paths, 1), NN_ERR_FORMAT, "3073");
    }
    paths[0] = NULL;
    FAILS(c, nn_data_cifar10(c, paths, 1), NN_ERR_NULL, "path");
    CHECK(nn_data_cifar10(NULL, paths, 1) == NULL);
    nn_end(c);
    CHECK(counts.blocks == 0);
    CHECK(spill(FILE_A "1.bin", r, 3073));
    for (long k = 1; k < 30; k++) { /* memory runs out anywhere */
        paths[0] = FILE_A "1.bin";
        c = ctx(1, 1);
        counts.calls = 0; counts.fail_at = k;
        d = nn_data_cifar10(c, paths, 1);
        counts.fail_at = 0;
        if (c) ok &= (d == NULL) == (nn_error(c) == NN_ERR_MEMORY);
        nn_end(c);
        ok &= counts.blocks == 0;
        if (d) break;
    }
    CHECK(ok);
    free(r);
}

// ---- augmentation
static nn_data *set(nn_ctx *c, int64_t n, int64_t channels, int64_t h, int64_t w, nn_dtype type) { // classes 0 1 2 0 1 2 ...
    nn_tensor *x = nn_zeros(c, type, channels ? NN_SHAPE(n, channels, h, w) : NN_SHAPE(n, h, w)), *y = nn_zeros(c, NN_I32, NN_SHAPE(n));
    state = 99;
    for (int64_t i = 0; i < nn_numel(x); i++) nn__store(type, nn_ptr(x), i, type == NN_U8 ? (double)(rnd() & 255) : (double)(rnd() & 1023) / 1024);
    for (int64_t i = 0; i < n; i++) nn_i32(y)[i] = (int32_t)(i % 3);
    return nn_data_new(x, y);
}
static double pixel(nn_tensor *x, int64_t n, int64_t k, int64_t y, int64_t i) { return nn_ndim(x) == 3 ? nn_get(x, NN_SHAPE(n, y, i)) : nn_get(x, NN_SHAPE(n, k, y, i)); }
/* Every picture of the epoch by its index, and the targets behind it; NULL on failure */
static double *epoch(nn_data *d, int64_t row, int64_t targets, int epochs) {
    double  *all = (double *)calloc((size_t)(nn_data_count(d) * (row + targets)), sizeof(double));
    nn_batch b;
    int64_t  n = 0;
    for (int e = 0; e < epochs; e++)
        for (n = 0; nn_data_next(d, &b); n += b.n)
            for (int64_t i = 0; i < b.n; i++) {
                double *to = all + b.index[i] * (row + targets);
                for (int64_t k = 0; k < row; k++) to[k] = nn__load(nn_dtype_of(b.x), nn_ptr(b.x), i * row + k);
                for (int64_t k = 0; k < targets; k++) to[row + k] = nn__load(nn_dtype_of(b.y), nn_ptr(b.y), i * targets + k);
            }
    CHECK(n == nn_data_count(d));
    return all;
}
static void test_moves(void) { // each option alone, against the plain picture
    nn_ctx *c = ctx(1, 5);
    for (int layout = 0; layout < 4; layout++) {
        static const nn_dtype types[4] = {NN_F32, NN_F64, NN_U8, NN_BF16};
        int64_t    channels = layout == 1 ? 0 : layout == 2 ? 2 : 3, planes = channels ? channels : 1, h = 5, w = 6, row = planes * h * w, N = 60;
        nn_data   *d = set(c, N, channels, h, w, types[layout]);
        nn_tensor *x = nn_data_x(d, 0, NN_TO_END);
        nn_augment a = nn_augment_defaults();
        double    *v;
        int        ok, moved[5][5], flips = 0;
        CHECK(nn_data_augment(d, &a) == 1 && nn_data_augment(d, NULL) == 1);
        v  = epoch(d, row, 1, 1);
        ok = 1;
        for (int64_t i = 0; i < N; i++)
            for (int64_t k = 0; k < row; k++) ok &= v[i * (row + 1) + k] == pixel(x, i, k / (h * w), k / w % h, k % w);
        CHECK(ok); /* off */
        free(v);
        for (int way = 0; way < 4; way++) {
            a = nn_augment_defaults();
            a.flip = (float)(way & 1); a.flip_vertical = (float)(way >> 1);
            CHECK(nn_data_augment(d, &a) == 1);
            v = epoch(d, row, 1, 1);
            for (int64_t i = 0; i < N; i++)
                for (int64_t k = 0; k < row; k++) ok &= v[i * (row + 1) + k] == pixel(x, i, k / (h * w), way & 2 ? h - 1 - k / w % h : k / w % h, way & 1 ? w - 1 - k % w : k % w);
            for (int64_t i = 0; i < N; i++) ok &= v[i * (row + 1) + row] == (double)(i % 3);
            CHECK(ok);
            free(v);
        }
        a = nn_augment_defaults();
        a.flip = 0.5f; a.shift = 2; a.fill = 0.25f;
        CHECK(nn_data_augment(d, &a) == 1);
        memset(moved, 0, sizeof moved);
        for (int e = 0; e < 3; e++) {
            v = epoch(d, row, 1, 1);
            for (int64_t i = 0; i < N; i++) {
                int found = 0;
                for (int f = 0; f < 2; f++)
                    for (int dy = -2; dy <= 2; dy++)
                        for (int dx = -2; dx <= 2; dx++) {
                            int same = 1;
                            for (int64_t k = 0; k < row && same; k++) {
                                int64_t y = k / w % h - dy, s = k % w - dx;
                                int     in = y >= 0 && y < h && s >= 0 && s < w;
                                if (f) s = w - 1 - s;
                                same = v[i * (row + 1) + k] == (in ? pixel(x, i, k / (h * w), y, s) : 0.25);
                            }
                            if (same) { found++; moved[dy + 2][dx + 2]++; flips += f; }
                        }
                ok &= found == 1;
            }
            free(v);
        }
        CHECK(ok && flips > 60 && flips < 120); /* of 180 */
        for (int i = 0; i < 25; i++) ok &= moved[i / 5][i % 5] > 0;
        CHECK(ok);
        a = nn_augment_defaults(); /* one square of 3 about any pixel, in all channels */
        a.cutout = 3; a.fill = -1;
        CHECK(nn_data_augment(d, &a) == 1);
        v = epoch(d, row, 1, 1);
        for (int64_t i = 0; i < N; i++) {
            int64_t y0 = 9, y1 = -1, x0 = 9, x1 = -1, cut = 0;
            for (int64_t k = 0; k < row; k++) {
                int64_t y = k / w % h, s = k % w;
                if (v[i * (row + 1) + k] == -1) { cut++; if (y < y0) y0 = y; if (y > y1) y1 = y; if (s < x0) x0 = s; if (s > x1) x1 = s; }
                else ok &= v[i * (row + 1) + k] == pixel(x, i, k / (h * w), y, s);
            }
            ok &= cut == planes * (y1 - y0 + 1) * (x1 - x0 + 1) && (y1 - y0 == 2 || ((y0 == 0 || y1 == h - 1) && y1 - y0 == 1)) && (x1 - x0 == 2 || ((x0 == 0 || x1 == w - 1) && x1 - x0 == 1));
        }
        CHECK(ok);
        free(v);
        a = nn_augment_defaults();
        a.noise = 0.1f;
        CHECK(nn_data_augment(d, &a) == 1);
        v = epoch(d, row, 1, 1);
        {
            double sum = 0, squares = 0, n = (double)(N * row);
            for (int64_t i = 0; i < N; i++)
                for (int64_t k = 0; k < row; k++) {
                    double e = v[i * (row + 1) + k] - pixel(x, i, k / (h * w), k / w % h, k % w);
                    sum += e; squares += e * e;
                }
            CHECK(fabs(sum / n) < 0.4 / sqrt(n) && fabs(sqrt(squares / n) - 0.1) < 0.005);
        }
        free(v);
        FINE(c);
        nn_reset(c);
    }
    nn_end(c);
    CHECK(counts.blocks == 0);
}
static void test_warp(void) { // turning and scaling of a slope, which lies between the pixels as it lies on them
    enum { H = 9, W = 12 };
    nn__augmenting g;
    nn_augment     a = nn_augment_defaults();
    double         from[2 * H * W], to[2 * H * W], u[NN__AUG_DRAWS], worst = 0;
    int            inside = 0, ok = 1;
    memset(&g, 0, sizeof g);
    g.channels = 2; g.h = H; g.w = W; g.row = 2 * H * W;
    for (int i = 0; i < 2 * H * W; i++) from[i] = 3 + 0.5 * (i / W % H) - 0.25 * (i % W) + 10 * (i / (H * W));
    a.rotate = 180; a.scale = 0.5f; a.shift = 3; a.fill = 1000;
    for (int round = 0; round < 200; round++) {
        double angle, s, cy = (H - 1) / 2.0, cx = (W - 1) / 2.0;
        int    dy, dx;
        for (int k = 0; k < NN__AUG_DRAWS; k++) u[k] = (double)(rnd() & 0xffff) / 65536;
        nn__augment_warp(&a, &g, u, from, to);
        angle = (2 * u[NN__AUG_ROTATE] - 1) * 3.14159265358979323846;
        s     = 1 + (2 * u[NN__AUG_SCALE] - 1) / 2;
        dy    = (int)(u[NN__AUG_Y] * 7) - 3;
        dx    = (int)(u[NN__AUG_X] * 7) - 3;
        for (int y = 0; y < H; y++)
            for (int x = 0; x < W; x++) { /* solve: where did the point go that is here now? a rotation's inverse is its transpose */
                double r = y - cy - dy, t = x - cx - dx, fy = (cos(angle) * r + sin(angle) * t) / s + cy, fx = (-sin(angle) * r + cos(angle) * t) / s + cx;
                for (int k = 0; k < 2; k++) {
                    double v = to[(k * H + y) * W + x];
                    if (fy >= 0 && fy <= H - 1 && fx >= 0 && fx <= W - 1) {
                        double e = fabs(v - (3 + 0.5 * fy - 0.25 * fx + 10 * k));
                        if (e > worst) worst = e;
                        inside++;
                    } else if (fy < -1 || fy > H || fx < -1 || fx > W) ok &= fabs(v - 1000) < 1e-9;
                    else ok &= v > 0 && v <= 1000.001;
                }
            }
    }
    CHECK(inside > 10000 && worst < 1e-9 && ok);
    a = nn_augment_defaults(); /* a quarter turn of a square is exact but for the angle's rounding */
    a.rotate = 90;
    g.channels = 1; g.h = g.w = 9;
    for (int k = 0; k < NN__AUG_DRAWS; k++) u[k] = 1 - 1e-12;
    nn__augment_warp(&a, &g, u, from, to);
    for (int y = 0; y < 9; y++)
        for (int x = 0; x < 9; x++) ok &= fabs(to[y * 9 + x] - from[x * 9 + (8 - y)]) < 1e-9;
    CHECK(ok);
}
static void test_bits(void) { // neither threads nor the batch matter; seed and epoch do; splits and files; what was there before is used again
    nn_augment a = nn_augment_defaults();
    double    *first[2] = {NULL, NULL}, *v;
    int        ok = 1;
    int64_t    N = 40, row = 3 * 17 * 19;
    a.flip = 0.5f; a.flip_vertical = 0.3f; a.rotate = 20; a.scale = 0.2f; a.shift = 3; a.noise = 0.1f; a.cutout = 5;
    for (int threads = 1; threads <= 8; threads += threads < 3 ? 1 : threads == 3 ? 2 : 3)
        for (int64_t batch = 1; batch <= 64; batch = batch * 3 + 1) {
            nn_ctx  *c = ctx(threads, 5);
            nn_data *d = set(c, N, 3, 17, 19, NN_U8);
            nn_data_batch(d, batch, 0);
            nn_data_augment(d, &a);
            for (int e = 0; e < 2; e++) {
                v = epoch(d, row, 1, 1);
                if (!first[e]) { first[e] = v; continue; }
                ok &= !memcmp(v, first[e], (size_t)(N * (row + 1)) * sizeof *v);
                free(v);
            }
            FINE(c);
            nn_end(c);
        }
    CHECK(ok);
    for (int64_t i = 0; i < N; i++) ok &= memcmp(first[0] + i * (row + 1), first[1] + i * (row + 1), (size_t)row * sizeof *v) != 0; /* another epoch */
    {
        nn_ctx   *c = ctx(2, 6);
        nn_data  *d = set(c, N, 3, 17, 19, NN_U8), *rest, *part;
        nn_batch  b;
        nn_tensor *plain = nn_data_x(d, 0, NN_TO_END);
        nn_data_augment(d, &a);
        v = epoch(d, row, 1, 1);
        for (int64_t i = 0; i < N; i++) ok &= memcmp(first[0] + i * (row + 1), v + i * (row + 1), (size_t)row * sizeof *v) != 0; /* another seed */
        free(v);
        CHECK(ok);
        CHECK(nn_item(nn_sum(nn_cast(nn_equal(plain, nn_data_x(d, 0, NN_TO_END)), NN_F64), NN_ALL, 0)) == (double)(N * row)); /* looking is plain */
        CHECK(nn_data_split(d, 0.25, &rest, &part) && nn_data_next(rest, &b));
        for (int64_t i = 0; i < b.n; i++) ok &= memcmp(nn_f32(b.x) + i * row, nn_f32(plain) + b.index[i] * row, (size_t)row * sizeof(float)) != 0;
        CHECK(ok && nn_data_next(part, &b));
        for (int64_t i = 0; i < b.n; i++) ok &= memcmp(nn_f32(b.x) + i * row, nn_f32(plain) + b.index[i] * row, (size_t)row * sizeof(float)) == 0;
        CHECK(ok);
        nn_end(c);
    }
    { /* a set on the disk */
        nn_ctx    *c = ctx(2, 5);
        nn_data   *d = set(c, N, 3, 17, 19, NN_U8), *s;
        const char *name = "x";
        nn_tensor *x = nn_cast(nn_data_x(d, 0, NN_TO_END), NN_U8), *y = nn_data_y(d, 0, NN_TO_END);
        double    *w;
        CHECK(nn_file_write(c, at("_x.npy"), &name, &x, 1) && nn_file_write(c, at("_y.npy"), &name, &y, 1));
        d = nn_data_files(c, FILE_A "_x.npy", FILE_A "_y.npy", 0);
        s = nn_data_files(c, FILE_A "_x.npy", FILE_A "_y.npy", 7);
        FINE(c);
        s->id = d->id; /* as if one stood in the other's place */
        nn_data_augment(d, &a);
        nn_data_augment(s, &a);
        v = epoch(d, row, 1, 1);
        w = epoch(s, row, 1, 1);
        CHECK(nn_error(c) == NN_OK && !memcmp(v, w, (size_t)(N * (row + 1)) * sizeof *v) && v[0] != v[1]);
        free(v); free(w);
        nn_end(c);
    }
    { /* steps call the allocator no more */
        nn_ctx  *c = ctx(1, 5);
        nn_data *d = set(c, N, 3, 17, 19, NN_U8);
        nn_batch b;
        int64_t  calls = 0;
        a.mixup = 0.4f;
        nn_data_batch(d, 8, 1);
        nn_data_augment(d, &a);
        for (int i = 0; i < 12; i++) {
            if (i == 6) calls = nn_memory(c).allocations;
            nn_data_next(d, &b);
            nn_reset(c);
        }
        CHECK(NN__SEPARATE_BLOCKS || (calls == nn_memory(c).allocations && nn_memory(c).step_now == 0)); /* the sanitizer has a block for each */
        nn_end(c);
    }
    free(first[0]); free(first[1]);
    CHECK(counts.blocks == 0);
}
static void test_mixup(void) {
    for (int kind = 0; kind < 3; kind++) { /* classes, real targets, halves */
        nn_ctx    *c = ctx(kind + 1, 5);
        int64_t    N = 90, row = 12, targets = kind == 1 ? 2 : 3;
        nn_dtype   type = kind == 2 ? NN_F16 : NN_F32;
        nn_tensor *x = nn_zeros(c, type, NN_SHAPE(N, row)), *y = kind == 1 ? nn_zeros(c, NN_F32, NN_SHAPE(N, 2)) : nn_zeros(c, NN_I32, NN_SHAPE(N));
        nn_data   *d;
        nn_augment a = nn_augment_defaults();
        nn_batch   b;
        int        ok = 1;
        double     squares = 0, others = 0, n = 0, least = 1, most = 0;
        for (int64_t i = 0; i < N; i++) { /* x: one of its own, so that a mixture can be taken apart */
            for (int64_t k = 0; k < row; k++) nn__store(type, nn_ptr(x), i * row + k, k == 0 ? 1 : k == 1 ? (double)i / 64 : (double)(rnd() & 63) / 64);
            if (kind == 1) { nn_f32(y)[2 * i] = (float)i; nn_f32(y)[2 * i + 1] = 1; }
            else nn_i32(y)[i] = (int32_t)(i % 3);
        }
        d = nn_data_new(x, y);
        a.mixup = 0.5f;
        CHECK(nn_data_augment(d, &a) == 1);
        nn_data_batch(d, 16, 0);
        for (int e = 0; e < 20; e++)
            while (nn_data_next(d, &b)) {
                ok &= nn_ndim(b.y) == 2 && nn_dim(b.y, 0) == b.n && nn_dim(b.y, 1) == targets && nn_dtype_of(b.y) == (kind == 1 ? NN_F32 : type);
                for (int64_t i = 0; i < b.n && ok; i++) {
                    double  sum = 0, share = -1;
                    int64_t with = -1;
                    for (int64_t j = 0; j < b.n && share < 0; j++) { /* which partner and share give this x? */
                        double s = 1, up = 0, down = 0, worst = 0;
                        for (int64_t k = 0; k < row; k++) {
                            double p = nn_get(x, NN_SHAPE(b.index[i], k)), q = nn_get(x, NN_SHAPE(b.index[j], k));
                            up += (nn_get(b.x, NN_SHAPE(i, k)) - q) * (p - q); down += (p - q) * (p - q);
                        }
                        if (i != j) s = up / down; /* least squares */
                        for (int64_t k = 0; k < row; k++) {
                            double w = fabs(nn_get(b.x, NN_SHAPE(i, k)) - s * nn_get(x, NN_SHAPE(b.index[i], k)) - (1 - s) * nn_get(x, NN_SHAPE(b.index[j], k)));
                            if (w > worst) worst = w;
                        }
                        if (worst < (kind == 2 ? 5e-3 : 1e-5)) { share = s; with = j; }
                    }
                    if (share < 0) { ok = 0; break; }
                    for (int64_t k = 0; k < targets; k++) {
                        double was = kind == 1 ? nn_get(y, NN_SHAPE(b.index[i], k)) : b.index[i] % 3 == k, other = kind == 1 ? nn_get(y, NN_SHAPE(b.index[with], k)) : b.index[with] % 3 == k;
                        sum += nn_get(b.y, NN_SHAPE(i, k));
                        if (kind == 1) ok &= fabs(nn_get(b.y, NN_SHAPE(i, k)) - share * was - (1 - share) * other) < 2e-3;
                        else if (with != i && kind == 0) ok &= fabs(nn_get(b.y, NN_SHAPE(i, k)) - share * was - (1 - share) * other) < 1e-3;
                    }
                    if (kind != 1) ok &= fabs(sum - 1) < 2e-3;
                    if (with != i) { n++; others += share; squares += share * share; if (share < least) least = share; if (share > most) most = share; }
                }
            }
        CHECK(ok && n > 1000 && least < 0.01 && most > 0.99);
        CHECK(fabs(others / n - 0.5) < 0.04 && fabs(squares / n - others * others / n / n - 0.125) < 0.015); /* Beta(1/2, 1/2): variance 1/8 */
        FINE(c);
        CHECK(nn_data_augment(d, NULL) && nn_data_next(d, &b) && nn_dtype_of(b.y) == (kind == 1 ? NN_F32 : NN_I32));
        nn_end(c);
    }
    { /* Beta(a, a) for small and large a: mean 1/2, variance 1 / (4 (2a + 1)); a tiny one is all or nothing */
        static const double alpha[5] = {0.05, 0.2, 1, 4, 50};
        for (int k = 0; k < 5; k++) {
            nn__dice d;
            double   sum = 0, squares = 0, n = 20000;
            memset(&d, 0, sizeof d);
            d.rng.seed = 77;
            for (int i = 0; i < (int)n; i++) {
                double p = nn__dice_gamma(&d, alpha[k]), q = nn__dice_gamma(&d, alpha[k]), v = p / (p + q);
                sum += v; squares += v * v;
            }
            sum /= n; squares = squares / n - sum * sum;
            CHECK(fabs(sum - 0.5) < 0.015 && fabs(squares * 4 * (2 * alpha[k] + 1) - 1) < 0.05);
        }
    }
    {
        nn_ctx    *c = ctx(1, 5);
        nn_data   *d = set(c, 10, 1, 4, 4, NN_F32);
        nn_augment a = nn_augment_defaults();
        nn_batch   b;
        int        ok = 1;
        a.mixup = 1e-30f; a.classes = 7;
        CHECK(nn_data_augment(d, &a) && nn_data_next(d, &b) && nn_dim(b.y, 1) == 7);
        for (int64_t i = 0; i < nn_numel(b.y); i++) ok &= nn_f32(b.y)[i] == 0 || nn_f32(b.y)[i] == 1;
        CHECK(ok);
        a.classes = 2; FAILS(c, nn_data_augment(d, &a), NN_ERR_ARG, "classes cannot be 2");
        a.classes = 0; a.flip = 1.5f; FAILS(c, nn_data_augment(d, &a), NN_ERR_ARG, "probability 1.5");
        a.flip = NAN; FAILS(c, nn_data_augment(d, &a), NN_ERR_ARG, "probability");
        a.flip = 0; a.flip_vertical = -1; FAILS(c, nn_data_augment(d, &a), NN_ERR_ARG, "probability -1");
        a.flip_vertical = 0; a.shift = -1; FAILS(c, nn_data_augment(d, &a), NN_ERR_ARG, "shift cannot be -1");
        a.shift = 0; a.rotate = 181; FAILS(c, nn_data_augment(d, &a), NN_ERR_ARG, "rotate");
        a.rotate = NAN; FAILS(c, nn_data_augment(d, &a), NN_ERR_ARG, "rotate");
        a.rotate = 0; a.scale = 1; FAILS(c, nn_data_augment(d, &a), NN_ERR_ARG, "scale cannot be 1");
        a.scale = 0; a.noise = INFINITY; FAILS(c, nn_data_augment(d, &a), NN_ERR_ARG, "noise");
        a.noise = 0; a.cutout = -3; FAILS(c, nn_data_augment(d, &a), NN_ERR_ARG, "cutout cannot be -3");
        a.cutout = 0; a.mixup = -1; FAILS(c, nn_data_augment(d, &a), NN_ERR_ARG, "mixup");
        a.mixup = 0; a.fill = INFINITY; FAILS(c, nn_data_augment(d, &a), NN_ERR_ARG, "fill");
        a.fill = 0; a.flip = 1; FAILS(c, nn_data_augment(nn_data_new(nn_zeros(c, NN_F32, NN_SHAPE(2, 3)), nn_zeros(c, NN_I32, NN_SHAPE(2))), &a), NN_ERR_SHAPE, "must have 3 or 4 dimensions");
        a.shift = INT_MAX; a.cutout = INT_MAX; /* nothing is left of the pictures */
        nn_data_rewind(d);
        CHECK(nn_data_augment(d, &a) && nn_data_next(d, &b) && nn_error(c) == NN_OK);
        CHECK(nn_data_augment(NULL, &a) == 0);
        nn_end(c);
        for (long k = 1; k < 60 && ok; k++) { /* memory runs out anywhere */
            int n = 0;
            c = ctx(1, 5);
            d = set(c, 10, 1, 4, 4, NN_F32);
            a = nn_augment_defaults();
            a.mixup = 1; a.flip = 0.5f;
            counts.calls = 0; counts.fail_at = k;
            nn_data_augment(d, &a);
            while (nn_data_next(d, &b)) n++;
            counts.fail_at = 0;
            ok = nn_error(c) == NN_ERR_MEMORY ? n == 0 : n == 1;
            if (nn_error(c) == NN_OK) k = 60;
            nn_end(c);
        }
        CHECK(ok);
    }
    CHECK(counts.blocks == 0);
}

static nn_tensor *net(nn_scope s, nn_tensor *x) {
    x = nn_relu(nn_layer_linear(s, "a", nn_reshape(x, NN_SHAPE(nn_dim(x, 0), -1)), 24));
    return nn_layer_linear(s, "b", x, 3);
}
static nn_data *easy(nn_ctx *c, int64_t n) { // three brightnesses in three corners
    nn_tensor *x = nn_zeros(c, NN_F32, NN_SHAPE(n, 1, 8, 8)), *y = nn_zeros(c, NN_I32, NN_SHAPE(n));
    state = 7;
    for (int64_t i = 0; i < n; i++) {
        nn_i32(y)[i] = (int32_t)(i % 3);
        for (int64_t k = 0; k < 64; k++) nn_f32(x)[i * 64 + k] = (float)(rnd() & 255) / 1024 + (k / 8 / 3 == i % 3 ? 0.75f : 0);
    }
    return nn_data_new(x, y);
}
static void weights(nn_model *m, nn_ctx *c, float *to) {
    for (int i = 0; i < nn_model_count(m); i++) {
        nn_tensor *x = nn_model_tensor(m, c, nn_model_name(m, i));
        memcpy(to, nn_ptr(x), (size_t)nn_numel(x) * 4);
        to += nn_numel(x);
    }
}
static int stop_in_second(void *user, int64_t step, double loss) { (void)user; (void)loss; return step < 13; }
static void test_fit(void) {
    enum { WEIGHTS = 64 * 24 + 24 + 24 * 3 + 3 };
    static float w[6][WEIGHTS];
    for (int run = 0; run < 6; run++) { /* 0 the measure; 1 three threads; 2 as written; 3, 4 begun, and gone on with in another context; 5 without */
        nn_ctx        *c = ctx(run == 1 ? 3 : 1, 11);
        nn_data       *d = easy(c, 240);
        nn_model      *m = nn_model_new(c, net, NULL);
        nn_augment     a = nn_augment_defaults();
        nn_fit_options f = nn_fit_defaults();
        nn_history     h;
        a.flip = 0.5f; a.shift = 1; a.rotate = 5; a.scale = 0.05f; a.noise = 0.02f; a.cutout = 2; a.mixup = 0.3f;
        if (run != 5) nn_data_augment(d, &a);
        f.epochs = 6; f.batch = 20; f.validation = 0.2f; f.quiet = 1; f.metrics = "accuracy, f1"; f.lr = 0.01f;
        f.eager = run == 2;
        if (run == 3) { f.checkpoint = at(".train"); f.checkpoint_every = 5; f.on_step = stop_in_second; remove(f.checkpoint); }
        if (run == 4) { f.checkpoint = at(".train"); f.resume = 1; }
        h = nn_fit(m, d, &f);
        FINE(c);
        weights(m, c, w[run]);
        if (run == 3) CHECK(h.epochs == 1);
        else {
            int e = h.epochs - 1;
            CHECK(h.epochs == 6 && h.valid_accuracy[e] > 0.95 && h.accuracy[e] > 0.6 && h.accuracy[e] <= 1 && h.metric[0][e] == h.valid_accuracy[e] && h.metric[1][e] > 0.9);
            CHECK(run == 5 ? h.loss[e] < 0.1 : h.loss[e] > 0.15 && h.loss[e] < 1); /* mixed classes are not certain */
        }
        if (run == 0) { /* its validation is what anyone computes on the plain part */
            nn_data *rest, *part;
            CHECK(nn_data_split(d, (double)0.2f * (1 + 1e-7), &rest, &part) && nn_evaluate(m, part, NULL).loss == h.valid_loss[5] && nn_evaluate(m, d, NULL).accuracy > 0.95);
        }
        nn_end(c);
    }
    CHECK(!memcmp(w[0], w[1], sizeof w[0]));
    CHECK(!memcmp(w[0], w[2], sizeof w[0]));
    CHECK(memcmp(w[0], w[3], sizeof w[0]) != 0 && !memcmp(w[0], w[4], sizeof w[0]));
    CHECK(memcmp(w[0], w[5], sizeof w[0]) != 0);
    { /* weighted classes, smoothing, no validation; and the caller's own loop */
        nn_ctx         *c = ctx(1, 11);
        nn_data        *d = easy(c, 60);
        nn_model       *m = nn_model_new(c, net, NULL);
        nn_augment      a = nn_augment_defaults();
        nn_fit_options  f = nn_fit_defaults();
        nn_loss_options lo;
        nn_history      h;
        nn_batch        b;
        memset(&lo, 0, sizeof lo);
        a.mixup = 1;
        lo.smoothing = 0.1f;
        nn_data_augment(d, &a);
        f.epochs = 2; f.quiet = 1; f.balance = 1; f.loss_options = &lo;
        h = nn_fit(m, d, &f);
        CHECK(h.epochs == 2 && h.accuracy[1] == h.accuracy[1] && nn_error(c) == NN_OK);
        while (nn_data_next(d, &b)) {
            nn_backward(nn_loss_named("cross_entropy", nn_forward(m, b.x), b.y, NULL));
            nn_step(nn_adam(m, 0.01f));
            nn_reset(c);
        }
        FINE(c);
        nn_end(c);
    }
    CHECK(counts.blocks == 0);
}

int main(int argc, char **argv) {
    if (argc == 3) { /* for tests/images.py */
        nn_ctx *c = nn_begin(NULL);
        int     fine = nn_image_write(nn_image_read(c, argv[1]), argv[2]);
        nn_end(c);
        return !fine;
    }
    if (argc == 2) { /* how long a picture of 512 x 512 takes: test_images time */
        nn_ctx *c = nn_begin(NULL);
        for (int kind = 0; kind < 6; kind++) {
            nn_tensor *x = picture(c, kind, 3, 512, 512);
            double     t = nn_time();
            for (int i = 0; i < 20; i++) nn_image_write(x, at(".png"));
            printf("kind %d: %.2f ms, %ld bytes\n", kind, (nn_time() - t) * 50, (long)slurp(at(".png")).n);
        }
        for (int k = 0; k < 3; k++) {
            nn_data   *d = nn_data_new(nn_zeros(c, NN_U8, NN_SHAPE(2048, 3, 32, 32)), nn_zeros(c, NN_I32, NN_SHAPE(2048)));
            nn_augment a = nn_augment_defaults();
            nn_batch   b;
            double     t;
            if (k) { a.flip = 0.5f; a.shift = 4; }
            if (k == 2) { a.rotate = 10; a.scale = 0.1f; a.noise = 0.1f; a.cutout = 8; a.mixup = 0.2f; }
            nn_data_augment(d, &a);
            t = nn_time();
            while (nn_data_next(d, &b)) {}
            printf("%s: %.1f us a sample of 3x32x32 on %d threads\n", k == 2 ? "everything" : k ? "flips and shifts" : "plain", (nn_time() - t) / 2048 * 1e6, nn_threads(c));
        }
        nn_end(c);
        return 0;
    }
    test_deflate();
    test_write();
    test_pnm();
    test_bmp();
    test_grid();
    test_cifar();
    test_moves();
    test_warp();
    test_bits();
    test_mixup();
    test_fit();
    {
        static const char *const ends[] = {".png", ".ppm", ".pgm", ".bmp", "1.bin", "2.bin", "_x.npy", "_y.npy", ".train"};
        for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) remove(at(ends[i]));
    }
    printf("images: %d passed, %d failed\n", passed, failed);
    return failed != 0;
}
