/* The C half of tests/interop.py:     interop mlp|lenet|resnet weights.safetensors outputs.txt saved.safetensors
 *
 * Loads a file that PyTorch wrote, before the network ever ran, predicts on an input made by the formula that interop.py
 * knows too, runs once more in training mode, and saves the model again. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#define NN_IMPLEMENTATION
#include "nn.h"
#include "nets.h"

static nn_tensor *mlp(nn_scope s, nn_tensor *x) {
    x = nn_layer_linear(s, "fc1", x, 32);
    x = nn_relu(nn_layer_layernorm(s, "norm", x));
    return nn_layer_linear(s, "fc2", x, 4);
}

int main(int argc, char **argv) {
    struct { const char *name; nn_net f; nn_shape x; } nets[] = {{"mlp", mlp, NN_SHAPE(7, 10)}, {"lenet", lenet, NN_SHAPE(4, 1, 28, 28)}, {"resnet", resnet, NN_SHAPE(4, 3, 16, 16)}};
    static float input[4 * 28 * 28];
    nn_ctx      *c = nn_begin(NULL);
    nn_model    *m;
    nn_tensor   *x, *y;
    FILE        *f;
    int          k = 0, error;
    while (argc == 5 && k < 3 && strcmp(nets[k].name, argv[1])) k++;
    if (argc != 5 || k == 3) {
        fprintf(stderr, "usage: interop mlp|lenet|resnet weights.safetensors outputs.txt saved.safetensors\n");
        return 2;
    }
    for (int i = 0; i < 4 * 28 * 28; i++) {
        double u = 0.5 + (i + 1) * 0.6180339887498949 + 0.13;
        input[i] = (float)(-2 + 4 * (u - floor(u)));
    }
    m = nn_model_new(c, nets[k].f, NULL);
    nn_load(m, argv[2]); /* the model has no parameters yet: the file's wait for their names */
    x = nn_wrap(c, input, NN_F32, nets[k].x);
    f = fopen(argv[3], "w");
    for (int train = 0; train < 2 && f; train++) {
        y = train ? nn_forward(m, x) : nn_predict(m, x);
        for (int64_t i = 0; i < nn_numel(y); i++) fprintf(f, "%.9g\n", (double)nn_f32(y)[i]);
    }
    if (!f || nn_error(c)) {
        fprintf(stderr, "interop: %s\n", nn_error(c) ? nn_error_text(c) : argv[3]);
        return 1;
    }
    fclose(f);
    nn_save(m, argv[4]);
    error = nn_error(c);
    nn_end(c);
    return error != 0;
}
