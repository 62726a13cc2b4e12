#define NN_IMPLEMENTATION
#include "nn.h"

static nn_tensor *net(nn_scope s, nn_tensor *x) {
    return nn_layer_linear(s, "out", nn_tanh(nn_layer_linear(s, "hidden", x, 8)), 1);
}
static void step(nn_model *m, nn_optim *o, nn_tensor *x, nn_tensor *y) {
    nn_backward(nn_mse(nn_forward(m, x), y));
    nn_step(o);
}
int main(int argc, char **argv) {
    float      X[] = {0, 0, 0, 1, 1, 0, 1, 1}, Y[] = {0, 1, 1, 0};
    nn_ctx    *c = nn_begin(NULL);
    nn_model  *m = nn_model_new(c, net, NULL);
    nn_optim  *o = nn_adam(m, 0.05f);
    nn_tensor *x = nn_keep(nn_from(c, X, NN_F32, NN_SHAPE(4, 2))), *y = nn_keep(nn_from(c, Y, NN_F32, NN_SHAPE(4, 1)));
    nn_plan   *p = NULL;
    if (argc > 1 && !strcmp(argv[1], "plan")) { /* write the step down once, and run that */
        p = nn_plan_begin(c, NULL);
        step(m, o, x, y);
        nn_plan_end(p, NULL, 0);
    }
    for (int i = 0; i < 500; i++) {
        if (p) nn_plan_run(p);
        else step(m, o, x, y);
        nn_reset(c);
    }
    nn_print(nn_predict(m, x));
    nn_end(c);
}
