// Gaussian process regression: a distribution over functions, so that each prediction says how sure it is.
//   make gp, or: cc -O2 -I. -o gp examples/gp.c -lm -lpthread && ./gp                  a noisy sine
//   make gp DATA=folder (with timeseries/co2-mm-mlo.csv), or ./gp co2-mm-mlo.csv       carbon dioxide in the air, by months
// A kernel says how alike two places are. Its sizes are learnt: Adam climbs the likelihood of what was measured, through a
// Cholesky factorisation, all in f64 (Rasmussen and Williams 2006, chapters 2 and 5). Arguments: [csv file, - for none] [seed]
#define NN_IMPLEMENTATION
#include "nn.h"

enum { STEPS = 120, SHOWN = 6, ROWS = 2000 };
static const double PI = 3.14159265358979;

typedef struct series { int n, m, yearly; double *x, *y, room[2][ROWS]; } series; /* n known points, then m that are held out */

// Parameters are logarithms, which keeps sizes positive. The same name is the same parameter, wherever it is called. The likelihood
// has several hills, so where the sizes start matters: the measurements of CO2 are clean, those of the sine are not.
static nn_tensor *size(nn_scope s, const char *name, double start) {
    return nn_exp(nn_param(s, name, NN_SCALAR, nn_init_const(log(start))));
}
static nn_tensor *noise(nn_scope s, int yearly) { return nn_square(size(s, "noise", yearly ? 0.1 : 0.5)); }
static nn_tensor *rbf(nn_scope s, const char *name, nn_tensor *d, double height, double length) { /* h^2 exp(-d^2 / (2 l^2)) */
    nn_scope   l = nn_in(s, name);
    nn_tensor *k = nn_exp(nn_scale(nn_square(nn_div(d, size(l, "length", length))), -0.5));
    return nn_leave(l, nn_mul(k, nn_square(size(l, "height", height))));
}
static nn_tensor *kernel(nn_scope s, nn_tensor *a, nn_tensor *b, int yearly) { /* [n], [m] -> [n,m] */
    nn_tensor *d = nn_sub(nn_unsqueeze(a, 1), nn_unsqueeze(b, 0)), *k, *same;
    if (!yearly) return rbf(s, "smooth", d, 1, 1);
    k    = rbf(s, "trend", d, 2, 30);
    k    = nn_add(k, rbf(s, "weather", d, 0.1, 1));
    same = nn_square(nn_div(nn_sin(nn_scale(d, PI)), size(s, "shape", 1)));            /* 0 for whole years */
    return nn_add(k, nn_mul(nn_exp(nn_scale(same, -2)), rbf(s, "season", d, 0.5, 50)));
}
static nn_tensor *factor(nn_scope s, nn_tensor *x, int yearly) {     /* L [n,n] with L L^T = K + noise I */
    nn_tensor *k = kernel(s, x, x, yearly);
    return nn_cholesky(nn_add(k, nn_mul(nn_eye(s.ctx, NN_F64, nn_dim(x, 0)), noise(s, yearly))));
}
static nn_tensor *loss(nn_scope s, nn_tensor *x, nn_tensor *y, int yearly) { /* -ln p(y|x) = (y^T K^-1 y + ln det K + n ln 2 pi) / 2 */
    nn_tensor *l = factor(s, x, yearly), *fit = nn_sum(nn_mul(y, nn_cholesky_solve(y, l)), NN_ALL, 0);
    return nn_affine(nn_add(fit, nn_cholesky_logdet(l)), 0.5, 0.5 * (double)nn_dim(x, 0) * log(2 * PI));
}

static int sine(nn_ctx *c, series *d) {
    d->n = 60; d->m = 200; d->yearly = 0; d->x = d->room[0]; d->y = d->room[1];
    nn_read(nn_uniform(c, NN_F64, NN_SHAPE(d->n), 0, 10), d->x, (size_t)d->n * sizeof(double));
    nn_read(nn_linspace(c, NN_F64, 0, 10, d->m), d->x + d->n, (size_t)d->m * sizeof(double));
    nn_read(nn_normal(c, NN_F64, NN_SHAPE(d->n + d->m), 0, 0.3), d->y, (size_t)(d->n + d->m) * sizeof(double));
    for (int i = 0; i < d->n + d->m; i++) d->y[i] += sin(d->x[i]);
    return 1;
}
static int co2(const char *path, series *d) {                        /* lines of month, year as a fraction, ppm, ... */
    FILE *f = fopen(path, "r");
    char  line[200];
    int   rows = 0;
    d->n = 240; d->m = 48; d->yearly = 1;                            /* 20 years to learn from, the 4 after them to predict */
    while (f && rows < ROWS && fgets(line, sizeof line, f))
        rows += sscanf(line, "%*d-%*d,%lf,%lf", &d->room[0][rows], &d->room[1][rows]) == 2;
    if (f) fclose(f);
    if (rows < d->n + d->m) return fprintf(stderr, "gp: %s is not there or has fewer than %d months\n", path, d->n + d->m), 0;
    d->x = d->room[0] + rows - d->n - d->m;
    d->y = d->room[1] + rows - d->n - d->m;
    return 1;
}

static void row(const char *name, const double *p, const series *d) {
    double sum = 0;
    for (int i = 0; i < d->m; i++) sum += (p[i] - d->y[d->n + i]) * (p[i] - d->y[d->n + i]);
    printf("%-36s RMSE %7.3f\n", name, sqrt(sum / d->m));
}
static void baselines(const series *d) {
    double p[ROWS], mx = 0, my = 0, xx = 0, xy = 0;
    for (int i = 0; i < d->n; i++) { mx += d->x[i] / d->n; my += d->y[i] / d->n; }
    for (int i = 0; i < d->n; i++) { xx += (d->x[i] - mx) * (d->x[i] - mx); xy += (d->x[i] - mx) * (d->y[i] - my); }
    for (int i = 0; i < d->m; i++) p[i] = my + xy / xx * (d->x[d->n + i] - mx);
    row("a straight line", p, d);
    if (!d->yearly) return;
    for (int i = 0; i < d->m; i++) p[i] = d->y[d->n - 12 + i % 12];
    row("the last known year again", p, d);
    for (int i = 0; i < d->m; i++) p[i] += (i / 12 + 1) * (d->y[d->n - 1] - d->y[d->n - 121]) / 10;
    row("the same, growing as in 10 years", p, d);
}

int main(int argc, char **argv) {
    nn_config     config = nn_config_defaults();
    nn_ctx       *c;
    nn_model     *m;
    nn_optim     *o;
    nn_tensor    *x, *y, *l, *k, *zero, *mean, *std;
    nn_scope      s;
    static series d;
    double        shift = 0, scale = 0;
    int           inside = 0, failed;

    config.seed = argc > 2 ? (uint64_t)atoi(argv[2]) : 1;
    c = nn_begin(&config);
    m = nn_model_new(c, NULL, NULL);                                 /* no net: its parameters appear as they are named */
    nn_model_dtype(m, NN_F64);
    o = nn_adam(m, 0.1f);
    if (!(argc > 1 && strcmp(argv[1], "-") ? co2(argv[1], &d) : sine(c, &d))) return nn_end(c), 2;
    for (int i = 0; i < d.n; i++) shift += d.y[i] / d.n;
    for (int i = 0; i < d.n; i++) scale += (d.y[i] - shift) * (d.y[i] - shift) / d.n;
    scale = sqrt(scale);
    x = nn_keep(nn_from(c, d.x, NN_F64, NN_SHAPE(d.n)));             /* kept: they outlive nn_reset */
    y = nn_keep(nn_affine(nn_from(c, d.y, NN_F64, NN_SHAPE(d.n, 1)), 1 / scale, -shift / scale));

    for (int i = 1; i <= STEPS && !nn_error(c); i++) {
        nn_tensor *value = loss(nn_enter(m, c, NN_TRAIN), x, y, d.yearly);
        nn_backward(value);
        nn_step(o);
        if (i == 1 || i % 40 == 0) printf("step %d, -ln p %.2f\n", i, nn_item(value));
        nn_reset(c);
    }
    for (int i = 0; i < nn_model_count(m); i++) {
        const char *name = nn_model_name(m, i);
        printf("  %s %.3g", name, exp(nn_item(nn_model_tensor(m, c, name))));
    }

    nn_no_grad(c, 1);
    s    = nn_enter(m, c, NN_EVAL);
    zero = nn_zeros(c, NN_F64, NN_SHAPE(1));
    l    = factor(s, x, d.yearly);
    k    = kernel(s, x, nn_from(c, d.x + d.n, NN_F64, NN_SHAPE(d.m)), d.yearly); /* [n,m] */
    mean = nn_matmul(nn_transpose(k, 0, 1), nn_cholesky_solve(y, l));            /* k^T K^-1 y */
    std  = nn_sum(nn_square(nn_triangular_solve(l, k, 0, 0)), NN_AXES(0), 0);    /* k^T K^-1 k = |L^-1 k|^2 */
    std  = nn_sqrt(nn_sub(nn_add(nn_reshape(kernel(s, zero, zero, d.yearly), NN_SCALAR), noise(s, d.yearly)), std));
    mean = nn_affine(mean, scale, shift);
    std  = nn_scale(std, scale);
    if (!nn_error(c)) {
        const double *p = nn_f64(mean), *e = nn_f64(std), *x1 = d.x + d.n, *y1 = d.y + d.n;
        printf("\n%10s %10s %22s\n", "x", "measured", "predicted, +- 1.96 std");
        for (int i = 0; i < d.m; i += d.m / SHOWN) printf("%10.2f %10.2f %12.2f +- %.2f\n", x1[i], y1[i], p[i], 1.96 * e[i]);
        for (int i = 0; i < d.m; i++) inside += fabs(p[i] - y1[i]) < 1.96 * e[i];
        baselines(&d);
        row("Gaussian process", p, &d);
        printf("its 95 %% bands hold %.0f %% of the %d points that it had not seen\n", 100.0 * inside / d.m, d.m);
    }
    failed = nn_error(c) != NN_OK;                                   /* the reason was printed when it happened */
    nn_end(c);
    return failed;
}
