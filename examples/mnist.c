// MNIST: 60,000 training and 10,000 test images of 28x28 pixels.
//   make mnist MNIST=folder        (with the four files, packed or not)
// or: cc -O2 -I. -o mnist examples/mnist.c -lm -lpthread && ./mnist folder [epochs] [seed] [model file]
#define NN_IMPLEMENTATION
#include "nn.h"

static nn_tensor *net(nn_scope s, nn_tensor *x) {                    /* x [B,28,28] */
    x = nn_flatten(x, 1);                                            /*   [B,784] */
    x = nn_layer_linear_act(s, "fc1", x, 256, NN_ACT_RELU);
    x = nn_layer_dropout(s, x, 0.2);
    x = nn_layer_linear_act(s, "fc2", x, 128, NN_ACT_RELU);
    return nn_layer_linear(s, "fc3", x, 10);                         /*   [B,10] */
}

int main(int argc, char **argv) {
    nn_config      config = nn_config_defaults();
    nn_fit_options fit    = nn_fit_defaults();
    nn_data       *train, *test;
    nn_ctx        *c;
    nn_model      *m;
    nn_scores      scores;
    int            failed;
    if (argc < 2) {
        fprintf(stderr, "usage: mnist folder [epochs] [seed] [model file]   (the folder with train-images-idx3-ubyte and its three companions)\n");
        return 2;
    }
    config.seed = argc > 3 ? (uint64_t)atoi(argv[3]) : 1;
    fit.epochs  = argc > 2 ? atoi(argv[2]) : 8;
    fit.batch   = 128;
    fit.lr      = 0.002f;

    c      = nn_begin(&config);
    train  = nn_data_mnist(c, argv[1], NN_TRAIN);
    test   = nn_data_mnist(c, argv[1], NN_TEST);
    m      = nn_model_new(c, net, NULL);
    nn_fit(m, train, &fit);
    scores = nn_evaluate(m, test, NULL);
    nn_save(m, argc > 4 ? argv[4] : "mnist.safetensors");
    failed = nn_error(c) != NN_OK;
    if (!failed) printf("test accuracy %.2f %%\n", 100 * scores.accuracy);
    nn_end(c);
    return failed;
}
