// What this machine can do at most: multiply-adds a second, and bytes a second through memory, by loops that do nothing else.
// Measured when asked for, over nn_parallel_for of the context given, so with its threads and its instruction set.
#if defined(__x86_64__)
#  include <cpuid.h>
#  include <immintrin.h>
#endif
#if defined(__linux__)
#  include <sys/syscall.h>
#endif
#if defined(__clang__)
#  pragma STDC FP_CONTRACT ON /* a * b + c below is meant to be one instruction where there is one */
#endif

// ---- clock -----------------------------------------------------------------------------------------
static double now(void) {
#if defined(_WIN32)
    return nn_time();
#else
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
#endif
}

// ---- kinds of limits -------------------------------------------------------------------------------
enum peak { NO_PEAK, F32, F64, BF16, I8, PEAKS };                /* which arithmetic limits it */
enum pattern { NO_MEMORY, READ, WRITE, COPY, TRIAD, UPDATE, PATTERNS }; /* which stream its memory traffic is most like */
static const char *const peak_names[]    = {"", "f32", "f64", "bf16", "int8"};
static const char *const pattern_names[] = {"", "read", "write", "copy", "triad", "update"};

// ---- the loops --------------------------------------------------------------------------------------
// For each instruction set: multiply-adds on twelve independent accumulators, and streams through memory with plain and with
// non-temporal stores. n counts floats (a multiple of 16) or rounds. update is what an optimiser does: it reads one array and
// changes three (the fourth array lies as far behind z as z behind y).
typedef void (*loop)(float *x, float *y, float *z, int64_t n);
enum { CHAINS = 12, KERNELS = 3 };
#define KEEP(v)      __asm__ volatile("" : : "r"(&(v)) : "memory") /* the compiler must believe that v is used */
#define EACH(STEP)   STEP(0) STEP(1) STEP(2) STEP(3) STEP(4) STEP(5) STEP(6) STEP(7) STEP(8) STEP(9) STEP(10) STEP(11)
#define MAKE(i)      V a##i = zero + (float)i;
#define FMA(i)       a##i = a##i * scale + add;
#define USE(i)       KEEP(a##i);

#define PEAK_LOOP(NAME, TARGET, TYPE, WIDTH)                                                                \
    TARGET static void NAME(float *x, float *y, float *z, int64_t n) {                                      \
        typedef TYPE V __attribute__((vector_size(WIDTH)));                                                 \
        V zero = {0}, scale = zero + (TYPE)0.5, add = zero + (TYPE)0.25;                                    \
        EACH(MAKE)                                                                                          \
        (void)x; (void)y; (void)z;                                                                          \
        KEEP(scale); KEEP(add);                                                                             \
        for (int64_t i = 0; i < n; i++) { EACH(FMA) }                                                       \
        EACH(USE)                                                                                           \
    }
#define STREAM_LOOP(NAME, TARGET, WIDTH, BODY)                                                              \
    TARGET static void NAME(float *x, float *y, float *z, int64_t n) {                                      \
        typedef float V __attribute__((vector_size(WIDTH), may_alias));                                     \
        V scale = {0}; int64_t step = WIDTH / 4;                                                            \
        (void)y; (void)z; scale = scale + 0.5f;                                                             \
        for (int64_t i = 0; i < n; i += step) { BODY; }                                                     \
    }
#define AT(p) (*(V *)((p) + i))
#define LOOPS(ISA, TARGET, WIDTH, STORE)                                                                    \
    PEAK_LOOP(ISA##_f32, TARGET, float, WIDTH)                                                              \
    PEAK_LOOP(ISA##_f64, TARGET, double, WIDTH)                                                             \
    TARGET static void ISA##_read(float *x, float *y, float *z, int64_t n) {                                \
        typedef unsigned V __attribute__((vector_size(WIDTH), may_alias)); /* integers add in one cycle */  \
        V a = {0}, b = a; int64_t step = WIDTH / 4, i = 0;                                                  \
        (void)y; (void)z;                                                                                   \
        for (; i + 2 * step <= n; i += 2 * step) { a += AT(x); b += AT(x + step); }                         \
        if (i < n) a += AT(x);                                                                              \
        a += b; KEEP(a);                                                                                    \
    }                                                                                                       \
    TARGET static void ISA##_read_four(float *x, float *y, float *z, int64_t n) { /* four places at once */ \
        typedef unsigned V __attribute__((vector_size(WIDTH), may_alias));                                  \
        V a = {0}, b = a, d = a, e = a; int64_t step = WIDTH / 4, q = n / 4 / step * step, i = 0;           \
        (void)y; (void)z;                                                                                   \
        for (; i < q; i += step) { a += AT(x); b += AT(x + q); d += AT(x + 2 * q); e += AT(x + 3 * q); }    \
        for (i = 4 * q; i < n; i += step) a += AT(x);                                                       \
        a += b + d + e; KEEP(a);                                                                            \
    }                                                                                                       \
    STREAM_LOOP(ISA##_read_ahead, TARGET, WIDTH, V a = AT(x); __builtin_prefetch(x + i + 512); KEEP(a))     \
    STREAM_LOOP(ISA##_write, TARGET, WIDTH, AT(x) = scale)                                                  \
    STREAM_LOOP(ISA##_write_past, TARGET, WIDTH, STORE(x + i, scale))                                       \
    STREAM_LOOP(ISA##_copy, TARGET, WIDTH, AT(y) = AT(x))                                                   \
    STREAM_LOOP(ISA##_copy_past, TARGET, WIDTH, STORE(y + i, AT(x)))                                        \
    STREAM_LOOP(ISA##_triad, TARGET, WIDTH, AT(z) = AT(y) * scale + AT(x))                                  \
    STREAM_LOOP(ISA##_triad_past, TARGET, WIDTH, STORE(z + i, AT(y) * scale + AT(x)))                       \
    STREAM_LOOP(ISA##_update, TARGET, WIDTH, float *w = z + (z - y); V g = AT(x); AT(y) = AT(y) * scale + g; AT(z) = AT(z) * scale + g; AT(w) = AT(w) * scale + g)

static void by_memset(float *x, float *y, float *z, int64_t n) { (void)y; (void)z; memset(x, 0, (size_t)n * sizeof *x); }
static void by_memcpy(float *x, float *y, float *z, int64_t n) { (void)z; memcpy(y, x, (size_t)n * sizeof *x); }

typedef struct loop_set {
    const char *isa;
    int         width;                       /* bytes */
    loop        f32, f64, stream[PATTERNS][KERNELS];
} loop_set;
#define LOOP_SET(NAME, ISA, WIDTH)                                                                          \
    {NAME, WIDTH, ISA##_f32, ISA##_f64,                                                                     \
     {{NULL, NULL, NULL}, {ISA##_read, ISA##_read_four, ISA##_read_ahead}, {ISA##_write, ISA##_write_past, by_memset},             \
      {ISA##_copy, ISA##_copy_past, by_memcpy}, {ISA##_triad, ISA##_triad_past, NULL}, {ISA##_update, NULL, NULL}}}
#if defined(__x86_64__)
#  define STORE16(p, v) _mm_stream_ps(p, (__m128)(v))
#  define STORE32(p, v) _mm256_stream_ps(p, (__m256)(v))
#  define STORE64(p, v) _mm512_stream_ps(p, (__m512)(v))
LOOPS(sse, , 16, STORE16)
LOOPS(avx2, __attribute__((target("avx2,fma"))), 32, STORE32)
LOOPS(avx512, __attribute__((target("avx512f,fma"))), 64, STORE64)
static const loop_set loop_sets[] = {LOOP_SET("scalar", sse, 16), LOOP_SET("sse2", sse, 16), LOOP_SET("avx2", avx2, 32), LOOP_SET("avx512", avx512, 64)};
#else
#  define STORE16(p, v) (*(V *)(p) = (v))
LOOPS(plain, , 16, STORE16)
static const loop_set loop_sets[] = {LOOP_SET("scalar", plain, 16), LOOP_SET("neon", plain, 16)};
#endif

/* The narrow types: tiles where the processor has them (AMX), else the dot products of AVX-512, else they are no faster than f32. */
#if defined(__x86_64__) && defined(__linux__)
typedef struct tile_config { uint8_t palette, start, reserved[14]; uint16_t row_bytes[16]; uint8_t rows[16]; } tile_config;
#define TILE_LOOP(NAME, TYPE, STEP)                                                                         \
    __attribute__((target("amx-tile,amx-" TYPE))) static void NAME(float *x, float *y, float *z, int64_t n) {\
        tile_config g;                                                                                      \
        (void)x; (void)y; (void)z;                                                                          \
        memset(&g, 0, sizeof g);                                                                            \
        g.palette = 1;                                                                                      \
        for (int i = 0; i < 8; i++) { g.row_bytes[i] = 64; g.rows[i] = 16; }                                \
        KEEP(g); /* gcc 12 takes only the first 8 bytes as read */                                          \
        _tile_loadconfig(&g);                                                                               \
        _tile_zero(0); _tile_zero(1); _tile_zero(2); _tile_zero(3); _tile_zero(4); _tile_zero(5);           \
        for (int64_t i = 0; i < n; i++) { STEP(0, 4, 5); STEP(1, 4, 5); STEP(2, 4, 5); STEP(3, 4, 5); }     \
        _tile_release();                                                                                    \
    }
TILE_LOOP(tile_bf16, "bf16", _tile_dpbf16ps)
TILE_LOOP(tile_i8, "int8", _tile_dpbssd)
#define MAKE_DOT(i) __m512  a##i = _mm512_setzero_ps();
#define STEP_DOT(i) a##i = _mm512_dpbf16_ps(a##i, v, v);
#define MAKE_VNNI(i) __m512i a##i = _mm512_setzero_si512();
#define STEP_VNNI(i) a##i = _mm512_dpbusd_epi32(a##i, v, v);
#define DOT_LOOP(NAME, TARGET, MAKE_IT, STEP, VALUE)                                                        \
    __attribute__((target(TARGET))) static void NAME(float *x, float *y, float *z, int64_t n) {             \
        VALUE; EACH(MAKE_IT)                                                                                \
        (void)x; (void)y; (void)z;                                                                          \
        for (int64_t i = 0; i < n; i++) { EACH(STEP) }                                                      \
        EACH(USE)                                                                                           \
    }
DOT_LOOP(dot_bf16, "avx512f,avx512bw,avx512bf16", MAKE_DOT, STEP_DOT, __m512bh v = (__m512bh)_mm512_setzero_si512())
DOT_LOOP(dot_i8, "avx512f,avx512bw,avx512vnni", MAKE_VNNI, STEP_VNNI, __m512i v = _mm512_setzero_si512())

static loop narrow_loop(enum peak p, double *ops) {
    unsigned a = 0, b = 0, ecx = 0, edx = 0, a1 = 0, x;
    if (!__get_cpuid_count(7, 0, &a, &b, &ecx, &edx)) return NULL;
    if (a >= 1) __get_cpuid_count(7, 1, &a1, &b, &x, &x);
    if ((edx >> 24 & 1) && (edx >> (p == BF16 ? 22 : 25) & 1) && syscall(SYS_arch_prctl, 0x1023 /* ARCH_REQ_XCOMP_PERM */, 18 /* tiles */) == 0)
        return *ops = 4 * 2 * 16 * 16 * (p == BF16 ? 32 : 64), p == BF16 ? tile_bf16 : tile_i8;
    if (p == BF16 && (a1 >> 5 & 1)) return *ops = CHAINS * 2 * 32, dot_bf16;
    if (p == I8 && (ecx >> 11 & 1)) return *ops = CHAINS * 2 * 64, dot_i8;
    return NULL;
}
#else
static loop narrow_loop(enum peak p, double *ops) { (void)p; (void)ops; return NULL; }
#endif

// ---- measuring --------------------------------------------------------------------------------------
enum { PIECE = 1024 }; /* floats: what a thread takes at a time */
typedef struct stream { loop f; float *x, *y, *z; int64_t n; } stream;
static void stream_task(void *arg, int64_t from, int64_t to, int worker) {
    stream *s = (stream *)arg;
    int64_t a = from * PIECE, n = nn__min64(to * PIECE, s->n) - a;
    (void)worker;
    s->f(s->x + a, s->y + a, s->z + a, n);
}
static void peak_task(void *arg, int64_t from, int64_t to, int worker) {
    (void)worker;
    for (; from < to; from++) ((stream *)arg)->f(NULL, NULL, NULL, ((stream *)arg)->n);
}

/* Seconds of the fastest of several runs; wide: by all threads. */
static double fastest(nn_ctx *lc, stream *s, int wide) {
    int64_t pieces = (s->n + PIECE - 1) / PIECE, repeat = 1 + 500000 / (s->n + 500);
    double  best = 1e30, end = now() + 0.03, start;
    for (int i = 0; i < 5 || now() < end; i++) {
        start = now();
        for (int64_t k = 0; k < repeat; k++) {
            if (wide) nn_parallel_for(lc, pieces, 1e6, stream_task, s);
            else stream_task(s, 0, pieces, 0);
        }
        if (now() - start < best) best = now() - start;
    }
    return best / (double)repeat;
}

static const loop_set *loops_of(nn_ctx *lc) {
    for (size_t i = 0; i < sizeof loop_sets / sizeof *loop_sets; i++)
        if (!strcmp(loop_sets[i].isa, nn_isa(lc))) return &loop_sets[i];
    return &loop_sets[0];
}

/* Operations a second: the best of 40 ms, in pieces of some 50 us that the threads share. */
static double peak_rate(nn_ctx *lc, enum peak p) {
    const loop_set *set = loops_of(lc);
    double          ops = CHAINS * 2.0 * set->width / (p == F64 ? 8 : 4), best = 0, end, start;
    loop            narrow = (p == BF16 || p == I8) && !strcmp(set->isa, "avx512") ? narrow_loop(p, &ops) : NULL;
    stream          s;
    int64_t         pieces = 16 * nn_threads(lc);
    s.f = narrow ? narrow : p == F64 ? set->f64 : set->f32;
    s.n = 20000;
    for (end = now() + 0.04; now() < end;) {
        double rate;
        start = now();
        nn_parallel_for(lc, pieces, 1e6, peak_task, &s);
        rate = ops * (double)s.n * (double)pieces / (now() - start);
        if (rate > best) best = rate;
    }
    return best;
}

/* Bytes a second of the best stream of this pattern whose arrays hold footprint bytes together. */
static double bandwidth(nn_ctx *lc, enum pattern p, double footprint) {
    static const int arrays[] = {0, 1, 1, 2, 3, 4}, moved[] = {0, 4, 4, 8, 12, 28}; /* arrays, and bytes moved for each of n */
    const loop_set  *set = loops_of(lc);
    int64_t          n = ((int64_t)(footprint / arrays[p] / 4) + 15) / 16 * 16;
    size_t           room = (size_t)(n + 64) * 4;
    char            *block = (char *)malloc(4 * room + 64);
    double           best = 0;
    if (!block) return 0;
    memset(block, 0, (size_t)arrays[p] * room + 64);
    for (int k = 0; k < KERNELS; k++)
        for (int wide = 0; wide < (nn_threads(lc) > 1 ? 2 : 1); wide++) {
            stream s;
            double time;
            s.f = set->stream[p][k];
            s.n = n;
            s.x = (float *)(((uintptr_t)block + 63) / 64 * 64);
            s.y = s.x + room / 4 / 16 * 16;
            s.z = s.y + room / 4 / 16 * 16;
            time = s.f ? fastest(lc, &s, wide) : 1e30;
            if (moved[p] * (double)n / time > best) best = moved[p] * (double)n / time;
        }
    free(block);
    return best;
}
