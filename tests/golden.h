/* What golden_conv.py and the tests that read its files agree on: numbers by formula, and results of which only some are in the file. Included after nn.h and math.h. */
enum { SMALL = 12, SAMPLES = 2, SUMS = 3, VALUES = 16 };
typedef struct golden { nn_shape shape; int n; double v[VALUES]; } golden; /* n 0: there is none */

/* 32 bits for element i of tensor k, and a number in -1 ... 1 that f32 holds exactly. */
static uint32_t mix(uint32_t i, uint32_t k, uint32_t seed) {
    uint32_t v = i * 0x9E3779B1u + k * 0x85EBCA77u + seed * 0xC2B2AE3Du;
    v = (v ^ v >> 15) * 0x2C1B3C6Du;
    v = (v ^ v >> 12) * 0x297A2D39u;
    return v ^ v >> 15;
}
static double formula(int64_t i, uint32_t k, uint32_t seed) { return (mix((uint32_t)i, k, seed) >> 8) / 8388608.0 - 1; }

static int64_t numel(nn_shape s) {
    int64_t n = 1;
    for (int i = 0; i < s.ndim; i++) n *= s.dim[i];
    return n;
}
static int same_shape(nn_shape a, nn_shape b) {
    int ok = a.ndim == b.ndim;
    for (int i = 0; ok && i < a.ndim; i++) ok = a.dim[i] == b.dim[i];
    return ok;
}
static nn_shape read_shape(const char *text) { /* 3,4 or . */
    nn_shape s = NN_SCALAR;
    char    *end;
    if (*text == '.') return s;
    for (;; text = end + 1) {
        s.dim[s.ndim++] = strtol(text, &end, 10);
        if (*end != ',') return s;
    }
}
static golden read_golden(void) { /* the rest of the line that strtok is in: SHAPE VALUES... */
    golden g;
    g.shape = read_shape(strtok(NULL, " "));
    g.n     = 0;
    for (char *w; g.n < VALUES && (w = strtok(NULL, " ")); g.n++) g.v[g.n] = strtod(w, NULL);
    return g;
}
/* Is x, row by row, what the file says, within `most` an element? If not, text says what is wrong. */
static int is_golden(const golden *g, const double *x, double most, char *text, size_t size) {
    int64_t n = numel(g->shape);
    for (int j = 0; j < g->n; j++) {
        int64_t at = n <= SMALL ? j : j == 0 ? 0 : j == 1 ? n - 1 : j < 2 + SAMPLES ? (int64_t)(mix((uint32_t)(j - 2), 20, 0) % (uint32_t)n) : -1;
        double  is = at < 0 ? 0 : x[at];
        for (int64_t i = 0; i < n && at < 0; i++) is += x[i] * formula(i, (uint32_t)(10 + j - 2 - SAMPLES), 0);
        if (fabs(is - g->v[j]) <= most * (at < 0 ? sqrt((double)n) : 1)) continue;
        snprintf(text, size, "%s %ld is %.13g, expected %.13g", at < 0 ? "sum" : "element", (long)(at < 0 ? j - 2 - SAMPLES : at), is, g->v[j]);
        return 0;
    }
    return 1;
}

static double *values_of(nn_tensor *x) { /* row by row; free it */
    int64_t n = nn_numel(x);
    double *v = (double *)calloc((size_t)(n > 0 ? n : 0) + 1, sizeof *v);
    if (!v) exit(2);
    if (n > 0) nn_read(nn_cast(x, NN_F64), v, (size_t)n * sizeof *v);
    return v;
}
