/* The C half of tests/interop.py:     interop weights.safetensors outputs.txt saved.safetensors
 *
 * Loads a file that PyTorch wrote, before the network ever ran, predicts on an input made by the formula that interop.py
 * knows too, and saves the model again. */
#include <math.h>
#include <stdio.h>
#define NN_IMPLEMENTATION
#include "nn.h"

static nn_tensor *net(nn_scope s, nn_tensor *x) {
    x = nn_layer_linear(s, "fc1", x, 32);
    x = nn_relu(nn_layer_layernorm(s, "norm", x));
    return nn_layer_linear(s, "fc2", x, 4);
}

int main(int argc, char **argv) {
    float      input[7 * 10];
    nn_ctx    *c = nn_begin(NULL);
    nn_model  *m = nn_model_new(c, net, NULL);
    nn_tensor *y;
    FILE      *f;
    int        error;
    if (argc != 4) {
        fprintf(stderr, "usage: interop weights.safetensors outputs.txt saved.safetensors\n");
        return 2;
    }
    for (int i = 0; i < 7 * 10; i++) {
        double u = 0.5 + (i + 1) * 0.6180339887498949 + 0.13;
        input[i] = (float)(-2 + 4 * (u - floor(u)));
    }
    nn_load(m, argv[1]); /* the model has no parameters yet: the file's wait for their names */
    y = nn_predict(m, nn_wrap(c, input, NN_F32, NN_SHAPE(7, 10)));
    if (!y || !(f = fopen(argv[2], "w"))) {
        fprintf(stderr, "interop: %s\n", nn_error(c) ? nn_error_text(c) : argv[2]);
        return 1;
    }
    for (int i = 0; i < 7 * 4; i++) fprintf(f, "%.9g\n", (double)nn_f32(y)[i]);
    fclose(f);
    nn_save(m, argv[3]);
    error = nn_error(c);
    nn_end(c);
    return error != 0;
}
