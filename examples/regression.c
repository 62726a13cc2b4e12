// Regression on a table: a small network beside least squares and beside the mean, on rows that none of them has seen.
//   make regression DATA=folder        (with tabular/winequality-red.csv)
// or: cc -O2 -I. -o regression examples/regression.c -lm -lpthread && ./regression file.csv [seed]
// The file: a line of names, then numbers; the last column is what is to be predicted.
#define NN_IMPLEMENTATION
#include "nn.h"

static nn_tensor *net(nn_scope s, nn_tensor *x) {                    /* x [B,k], as it stands in the file */
    x = nn_layer_scale(s, "in", x, 0);                               /*   columns of mean 0 and deviation 1 */
    x = nn_layer_linear_act(s, "fc1", x, 64, NN_ACT_RELU);           /*   [B,64] */
    x = nn_layer_dropout(s, x, 0.2);
    x = nn_layer_linear_act(s, "fc2", x, 32, NN_ACT_RELU);           /*   [B,32] */
    x = nn_layer_linear(s, "fc3", x, 1);                             /*   [B,1] */
    return nn_layer_scale(s, "out", x, 1);                           /*   back to the target's own units */
}

// Least squares, w = (X^T X)^-1 X^T y, in f64: raw columns make X^T X ill-conditioned. A column of ones is the intercept, and a
// trace of the identity keeps columns that never change from making it singular.
static nn_tensor *columns(nn_tensor *x) { return nn_pad(nn_cast(x, NN_F64), 1, 0, 1, 1); } /* [n,k] -> [n,k+1] */
static nn_tensor *least_squares(nn_tensor *x, nn_tensor *y) {        /* x [n,k], y [n,1] -> [k+1,1] */
    nn_tensor *X = columns(x), *Xt = nn_transpose(X, 0, 1);
    nn_tensor *trace = nn_scale(nn_eye(nn_ctx_of(x), NN_F64, nn_dim(X, 1)), 1e-9);
    return nn_cholesky_solve(nn_matmul(Xt, nn_cast(y, NN_F64)), nn_cholesky(nn_add(nn_matmul(Xt, X), trace)));
}

static void row(const char *name, nn_tensor *prediction, nn_tensor *target) {
    nn_real_scores r = nn_real_scores_of(prediction, target);
    printf("%-16s %8.4f %8.4f %8.4f\n", name, r.rmse, r.mae, r.r2);
}

int main(int argc, char **argv) {
    nn_config      config = nn_config_defaults();
    nn_csv_options csv    = nn_csv_defaults();
    nn_fit_options fit    = nn_fit_defaults();
    nn_data       *all, *train, *test;
    nn_tensor     *x, *y, *X, *Y;
    nn_ctx        *c;
    nn_model      *m;
    nn_history     h;
    int            failed;
    if (argc < 2) {
        fprintf(stderr, "usage: regression file.csv [seed]\n");
        return 2;
    }
    config.seed      = argc > 2 ? (uint64_t)atoi(argv[2]) : 1;
    csv.header       = 1;
    csv.regression   = 1;
    fit.epochs       = 300;
    fit.batch        = 64;
    fit.lr           = 0.002f;
    fit.weight_decay = 0.1f;
    fit.validation   = 0.15f;                                        /* of the training part: says when to stop */
    fit.patience     = 40;                                           /* epochs without a better one; the best weights are put back */
    fit.quiet        = 1;

    c   = nn_begin(&config);
    all = nn_data_csv(c, argv[1], &csv);
    nn_data_split(all, 0.2, &train, &test);                          /* every fifth row is held out */
    m = nn_model_new(c, net, NULL);
    nn_model_build(m, NN_F32, nn_shape_of(nn_data_x(train, 0, 1)));
    nn_scale_fit(m, "in", train, NN_SCALE_STANDARD);                 /* from the training part alone: nothing of the test may leak */
    nn_scale_fit_target(m, "out", train, NN_SCALE_STANDARD);
    h = nn_fit(m, train, &fit);

    x = nn_data_x(train, 0, NN_TO_END); y = nn_data_y(train, 0, NN_TO_END);
    X = nn_data_x(test, 0, NN_TO_END);   Y = nn_data_y(test, 0, NN_TO_END);
    if (!nn_error(c)) {
        const char *name = nn_data_column(all, (int)nn_dim(x, 1));
        printf("%s from %d columns: %d rows to learn from, %d to test on; the best of %d epochs was %d\n", name ? name : "target",
               (int)nn_dim(x, 1), (int)nn_data_count(train), (int)nn_data_count(test), h.epochs, h.best + 1);
        printf("%-16s %8s %8s %8s\n", "", "RMSE", "MAE", "R2");
        row("mean", nn_expand(nn_mean(y, NN_AXES(0), 1), nn_shape_of(Y)), Y);
        row("least squares", nn_cast(nn_matmul(columns(X), least_squares(x, y)), NN_F32), Y);
        row("network", nn_predict(m, X), Y);
    }
    failed = nn_error(c) != NN_OK;                                   /* the reason was printed when it happened */
    nn_end(c);
    return failed;
}
