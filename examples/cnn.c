// A convolutional network on MNIST, or on anything in its four files: Fashion-MNIST is clothes instead of digits.
//   make cnn MNIST=folder          (with the four files, packed or not)
// or: cc -O2 -I. -o cnn examples/cnn.c -lm -lpthread && ./cnn folder [epochs] [seed] [model file] [chance of a mirror image]
#define NN_IMPLEMENTATION
#include "nn.h"

// A kernel of 3x3 looks at a pixel and its neighbours, everywhere with the same weights: a stroke is a stroke wherever it is.
// Pooling keeps the largest of 2x2: the picture shrinks, what a kernel sees of it grows. Batch norm keeps the values in a range
// that trains fast; it has a bias of its own, so the convolution needs none, and behind the pooling a quarter of the work.
static nn_tensor *block(nn_scope s, const char *name, nn_tensor *x, int64_t out, int pool) { /* x [B,in,H,W] */
    nn_conv_options o = nn_conv_defaults();
    nn_scope        l = nn_in(s, name);
    o.padding = NN_SHAPE(1);                                         /* the picture keeps its size */
    o.no_bias = 1;
    x = nn_layer_conv_with(l, "conv", x, out, NN_SHAPE(3, 3), &o);   /* [B,out,H,W] */
    if (pool) x = nn_max_pool(x, 2, 2, 0);                           /* [B,out,H/2,W/2] */
    return nn_leave(l, nn_relu(nn_layer_batchnorm(l, "norm", x)));
}

static nn_tensor *net(nn_scope s, nn_tensor *x) {                    /* x [B,28,28] */
    x = nn_unsqueeze(x, 1);                                          /*   [B,1,28,28] */
    x = block(s, "block1", x, 32, 1);                                /*   [B,32,14,14]: strokes */
    x = block(s, "block2", x, 64, 0);                                /*   [B,64,14,14]: corners, arcs */
    x = block(s, "block3", x, 64, 1);                                /*   [B,64,7,7] */
    x = block(s, "block4", x, 128, 1);                               /*   [B,128,3,3]: parts of digits, and about where */
    x = nn_layer_dropout(s, nn_flatten(x, 1), 0.3);                  /*   [B,1152] */
    return nn_layer_linear(s, "fc", x, 10);                          /*   [B,10] */
}

int main(int argc, char **argv) {
    nn_config      config  = nn_config_defaults();
    nn_fit_options fit     = nn_fit_defaults();
    nn_augment     augment = nn_augment_defaults();
    nn_data       *train, *test;
    nn_ctx        *c;
    nn_model      *m;
    nn_scores      scores;
    int            failed;
    if (argc < 2) {
        fprintf(stderr, "usage: cnn folder [epochs] [seed] [model file] [chance of a mirror image]   (as make cnn MNIST=folder)\n");
        return 77;
    }
    config.seed   = argc > 3 ? (uint64_t)atoi(argv[3]) : 1;
    fit.epochs    = argc > 2 ? atoi(argv[2]) : 4;                    /* by default AdamW, and a rate that falls along a cosine */
    fit.batch     = 128;
    fit.lr        = 0.003f;
    augment.shift = 2;                                               /* other pictures each epoch: moved a little, */
    augment.flip  = argc > 5 ? (float)atof(argv[5]) : 0;             /* and seen in a mirror, which clothes survive and digits do not */

    c      = nn_begin(&config);
    train  = nn_data_mnist(c, argv[1], NN_TRAIN);
    test   = nn_data_mnist(c, argv[1], NN_TEST);
    nn_data_augment(train, &augment);
    m      = nn_model_new(c, net, NULL);
    nn_fit(m, train, &fit);
    scores = nn_evaluate(m, test, NULL);
    nn_save(m, argc > 4 ? argv[4] : "cnn.safetensors");
    failed = nn_error(c) != NN_OK;                                   /* the reason was printed when it happened */
    if (!failed) printf("test accuracy %.2f %%\n", 100 * scores.accuracy);
    nn_end(c);
    return failed;
}
