// The largest errors of the elementary functions on floats, in ulp: exp, log, tanh and erf for all 2^32 inputs, the others for
// a dense sample, against the C library in double. Uses all processors; the exit status is 1 where an error exceeds 2 ulp.
//   ulp [sample] [name...]    sample: take one input of so many (1: every one)
#define NN_IMPLEMENTATION
#include "nn.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static double x_sigmoid(double x) { return x < 0 ? exp(x) / (1 + exp(x)) : 1 / (1 + exp(-x)); }
static double x_gelu(double x) { return x * (0.5 * erfc(-x * 0.70710678118654752440)); }
static double x_gelu_tanh(double x) { return x * x_sigmoid(1.5957691216057308 * (x + 0.044715 * x * x * x)); }

// near: the unit is never less than an ulp of |x|. A gelu goes to 0 through a sum or a large exponent: absolutely exact, not relatively.
typedef struct function { const char *name; double (*exact)(double); nn_tensor *(*f)(nn_tensor *); int step, near; } function;
static const function functions[] = {{"exp", exp, nn_exp, 1, 0},   {"log", log, nn_log, 1, 0}, {"tanh", tanh, nn_tanh, 1, 0},           {"erf", erf, nn_erf, 1, 0},
                                     {"sigmoid", x_sigmoid, nn_sigmoid, 61, 0}, {"sin", sin, nn_sin, 61, 0}, {"cos", cos, nn_cos, 61, 0},
                                     {"gelu", x_gelu, nn_gelu, 61, 1}, {"gelu_tanh", x_gelu_tanh, nn_gelu_tanh, 61, 1}};
enum { BLOCK = 1 << 20, WORKERS = 256 };

typedef struct work {
    const function *f;
    const float    *x, *y;
    double          worst[WORKERS];
    float           where[WORKERS];
} work;

static double ulp(double v) { // the distance of floats at v
    int e;
    v = fabs(v);
    if (!(v < FLT_MAX)) v = FLT_MAX;
    if (v < FLT_MIN) return ldexp(1, -149);
    frexp(v, &e);
    return ldexp(1, e - 24);
}

static void compare(void *arg, int64_t begin, int64_t end, int worker) {
    work *w = (work *)arg;
    for (int64_t i = begin; i < end; i++) {
        const double x = w->x[i], want = w->f->exact(x), got = w->y[i];
        double       error;
        if (want != want || got != got) error = want != want && got != got ? 0 : (double)INFINITY;
        else if ((float)want == w->y[i]) error = 0;
        else if (got - got != 0 || want - want != 0) error = fabs(want) >= FLT_MAX - 2 * ulp(FLT_MAX) && fabs(got) >= FLT_MAX - 2 * ulp(FLT_MAX) && (got > 0) == (want > 0) ? 0 : (double)INFINITY;
        else {
            double unit = ulp(want);
            if (w->f->near && ulp(x) > unit) unit = ulp(x);
            error = fabs(got - want) / unit;
        }
        if (error > w->worst[worker]) { w->worst[worker] = error; w->where[worker] = w->x[i]; }
    }
}

static double measure(nn_ctx *c, const function *f, uint32_t step, float *x) {
    static work w; // large
    uint64_t    next = 0;
    int         worst = 0;
    memset(&w, 0, sizeof w);
    w.f = f;
    w.x = x;
    while (next <= UINT32_MAX) {
        int64_t n = 0;
        for (; n < BLOCK && next <= UINT32_MAX; n++, next += step) {
            uint32_t bits = (uint32_t)next;
            memcpy(&x[n], &bits, 4);
        }
        w.y = nn_f32(f->f(nn_wrap(c, x, NN_F32, NN_SHAPE(n))));
        if (!w.y) return INFINITY;
        nn_parallel_for(c, n, 30, compare, &w);
        nn_reset(c);
    }
    for (int i = 1; i < WORKERS; i++)
        if (w.worst[i] > w.worst[worst]) worst = i;
    printf("%-10s %-7s 1 of %-4lu largest error %.4f ulp at %.9g\n", f->name, nn_isa(c), (unsigned long)step, w.worst[worst], (double)w.where[worst]);
    fflush(stdout);
    return w.worst[worst];
}

int main(int argc, char **argv) {
    nn_ctx *c = nn_begin(NULL);
    float  *x = (float *)malloc(BLOCK * sizeof *x);
    int     bad = 0;
    if (!c || !x || nn_threads(c) > WORKERS) return 2;
    for (size_t k = 0; k < sizeof functions / sizeof *functions; k++) {
        uint32_t step = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : (uint32_t)functions[k].step;
        int      wanted = argc < 3;
        for (int i = 2; i < argc; i++) wanted |= !strcmp(argv[i], functions[k].name);
        if (wanted) bad |= !(measure(c, &functions[k], step ? step : 1, x) <= 2);
    }
    free(x);
    nn_end(c);
    return bad;
}
