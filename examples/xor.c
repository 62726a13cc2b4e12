#define NN_IMPLEMENTATION
#include "nn.h"

static nn_tensor *net(nn_scope s, nn_tensor *x) {
    return nn_layer_linear(s, "out", nn_tanh(nn_layer_linear(s, "hidden", x, 8)), 1);
}
int main(void) {
    float     X[] = {0, 0, 0, 1, 1, 0, 1, 1}, Y[] = {0, 1, 1, 0};
    nn_ctx   *c = nn_begin(NULL);
    nn_model *m = nn_model_new(c, net, NULL);
    nn_optim *o = nn_adam(m, 0.05f);
    for (int step = 0; step < 500; step++) {
        nn_tensor *x = nn_wrap(c, X, NN_F32, NN_SHAPE(4, 2)), *y = nn_wrap(c, Y, NN_F32, NN_SHAPE(4, 1));
        nn_backward(nn_mse(nn_forward(m, x), y));
        nn_step(o);
        nn_reset(c);
    }
    nn_print(nn_predict(m, nn_wrap(c, X, NN_F32, NN_SHAPE(4, 2))));
    nn_end(c);
}
