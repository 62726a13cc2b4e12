// An op of your own, outside nn.h: y = x / (1 + |x|), known as softsign.
//   cc -O2 -I. -o custom_op examples/custom_op.c -lm -lpthread && ./custom_op
// With the argument "plan" the training step runs as a plan: same numbers, sooner.
#define NN_IMPLEMENTATION
#include "nn.h"

// What the output looks like. Inputs arrive contiguous; this op takes f32 and f64.
static int softsign_shape(nn_node *n, nn_spec *out) {
    nn_dtype d = nn_dtype_of(n->in[0]);
    nn_spec_like(out, n->in[0]);
    if (d == NN_F32 || d == NN_F64) return 1;
    nn_fail(n->ctx, NN_ERR_DTYPE, "softsign: x is %s; f32 or f64 is needed", nn_dtype_name(d));
    return 0;
}

// The values
static void softsign_run(nn_node *n) {
    int64_t count = nn_numel(n->in[0]);
    if (nn_dtype_of(n->in[0]) == NN_F32) {
        const float *x = nn_f32(n->in[0]);
        float       *y = nn_f32(n->out[0]);
        for (int64_t i = 0; i < count; i++) y[i] = x[i] / (1 + fabsf(x[i]));
    } else {
        const double *x = nn_f64(n->in[0]);
        double       *y = nn_f64(n->out[0]);
        for (int64_t i = 0; i < count; i++) y[i] = x[i] / (1 + fabs(x[i]));
    }
}

// The gradient, out of ops: dx = dy / (1 + |x|)^2 = dy (1 - |y|)^2
static void softsign_grad(nn_node *n, nn_tensor **dy, nn_tensor **dx) {
    dx[0] = nn_mul(dy[0], nn_square(nn_affine(nn_abs(n->out[0]), -1, 1)));
}

static const nn_op softsign_op = {"softsign", 1, 1, 0, NN_OP_SAVES_OUT, softsign_shape, softsign_run, softsign_grad, NULL, NULL, NULL, 0};

static nn_tensor *softsign(nn_tensor *x) {
    nn_tensor *y;
    return nn_apply(&softsign_op, &x, 1, NULL, &y) ? y : NULL;
}

static nn_tensor *checked(nn_ctx *c, nn_tensor **x, void *user) {
    (void)c; (void)user;
    return softsign(x[0]);
}

static nn_tensor *net(nn_scope s, nn_tensor *x) {
    return nn_layer_linear(s, "out", softsign(nn_layer_linear(s, "hidden", x, 16)), 1);
}

static nn_tensor *step(nn_ctx *c, nn_model *m, nn_optim *o) { /* fit y = x^3 on -1 ... 1; the loss */
    nn_tensor *in = nn_uniform(c, NN_F32, NN_SHAPE(64, 1), -1, 1);
    nn_tensor *loss = nn_mse(nn_forward(m, in), nn_mul(in, nn_square(in)));
    nn_backward(loss);
    nn_step(o);
    return loss;
}

int main(int argc, char **argv) {
    nn_ctx    *c = nn_begin(NULL);
    nn_model  *m = nn_model_new(c, net, NULL);
    nn_optim  *o = nn_adam(m, 0.02f);
    nn_tensor *x = nn_normal(c, NN_F64, NN_SHAPE(3, 4), 0, 2);
    double     error = nn_gradcheck(checked, &x, 1, 1, NULL), loss = 0;
    nn_plan   *p = NULL;
    nn_tensor *l = NULL;
    int        failed;
    printf("gradient against differences: %.1e\n", error);
    nn_reset(c);
    if (argc > 1 && !strcmp(argv[1], "plan")) {
        p = nn_plan_begin(c, NULL);
        l = step(c, m, o);
        nn_plan_end(p, &l, 1);
    }
    for (int i = 0; i < 1000; i++) {
        if (p) nn_plan_run(p);
        else l = step(c, m, o);
        loss = nn_item(l);
        nn_reset(c);
    }
    printf("a network with it learns x^3: loss %.6f\n", loss);
    failed = nn_error(c) || !(error < 1e-6) || !(loss < 1e-3);
    nn_end(c);
    return failed;
}
