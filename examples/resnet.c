// A residual network on the little colour pictures of CIFAR-10: ten kinds of animals and vehicles, 32x32 pixels.
//   make resnet DATA=folder        (with cifar10-train2000.bin, packed or not)
// or: cc -O2 -I. -o resnet examples/resnet.c -lm -lpthread && ./resnet 40 1 data_batch_1.bin data_batch_2.bin ...
// Arguments: epochs, seed, the binary files. The last fifth of their pictures is held back.
#define NN_IMPLEMENTATION
#include "nn.h"

static nn_tensor *conv_norm(nn_scope s, const char *conv, const char *norm, nn_tensor *x, int64_t out, int64_t kernel, int64_t stride) {
    nn_conv_options o = nn_conv_defaults();
    o.stride  = NN_SHAPE(stride);
    o.padding = NN_SHAPE(kernel / 2);
    o.no_bias = 1;                                                   /* the norm has one */
    return nn_layer_batchnorm(s, norm, nn_layer_conv_with(s, conv, x, out, NN_SHAPE(kernel, kernel), &o));
}

// y = relu(x + f(x)): a block starts as little more than a wire and learns what to add. The gradient takes the wire too, so
// that deep stacks train (He et al. 2016). Where the picture shrinks or gets channels, a 1x1 convolution fits x to f(x).
static nn_tensor *block(nn_scope s, nn_tensor *x, int64_t out, int64_t stride) { /* [B,in,H,W] -> [B,out,H/stride,W/stride] */
    nn_tensor *f = nn_relu(conv_norm(s, "conv1", "bn1", x, out, 3, stride));
    f = conv_norm(s, "conv2", "bn2", f, out, 3, 1);
    if (stride != 1 || nn_dim(x, 1) != out) {
        nn_scope l = nn_in(s, "downsample");
        x = nn_leave(l, conv_norm(l, "0", "1", x, out, 1, stride));
    }
    return nn_leave(s, nn_relu(nn_add(x, f)));
}

enum { STAGES = 3, BLOCKS = 1, WIDTH = 32 };                         /* 8 layers with weights; 3 blocks a stage: ResNet-20 */

static nn_tensor *net(nn_scope s, nn_tensor *x) {                    /* x [B,3,32,32]; names as in torchvision: layer1.0.conv1.weight */
    char stage[16];
    x = nn_relu(conv_norm(s, "conv1", "bn1", x, WIDTH, 3, 1));       /*   [B,WIDTH,32,32] */
    for (int i = 0; i < STAGES; i++) {                               /*   half the side and twice the channels: [B,2 WIDTH,16,16], [B,4 WIDTH,8,8] */
        snprintf(stage, sizeof stage, "layer%d", i + 1);
        for (int k = 0; k < BLOCKS; k++) x = block(nn_in_i(s, stage, k), x, (int64_t)WIDTH << i, i && !k ? 2 : 1);
    }
    return nn_layer_linear(s, "fc", nn_global_avg_pool(x), 10);      /*   [B,4 WIDTH] -> [B,10] */
}
static nn_tensor *straight(nn_scope s, nn_tensor *x) {               /* softmax regression: one template a class */
    return nn_layer_linear(s, "fc", nn_flatten(nn_affine(x, 2, -1), 1), 10);
}

int main(int argc, char **argv) {
    nn_config      config  = nn_config_defaults();
    nn_fit_options fit     = nn_fit_defaults();
    nn_augment     augment = nn_augment_defaults();
    nn_data       *all, *train, *test;
    nn_model      *line, *m;
    nn_ctx        *c;
    int64_t        n;
    int            failed;
    if (argc < 4) {
        fprintf(stderr, "usage: resnet epochs seed files   (.bin files of CIFAR-10; or make resnet DATA=folder)\n");
        return 77;
    }
    config.seed = (uint64_t)atoi(argv[2]);
    c     = nn_begin(&config);
    all   = nn_data_cifar10(c, (const char *const *)argv + 3, argc - 3);
    n     = nn_data_count(all) * 4 / 5;
    train = nn_data_new(nn_data_x(all, 0, n), nn_data_y(all, 0, n));
    test  = nn_data_new(nn_data_x(all, n, NN_TO_END), nn_data_y(all, n, NN_TO_END));
    nn_data_free(all);
    nn_reset(c);

    fit.epochs = 20;
    fit.batch  = 64;
    fit.lr     = 0.0005f;
    fit.quiet  = 1;
    line = nn_model_new(c, straight, NULL);
    nn_fit(line, train, &fit);

    augment.flip  = 0.5f;                                            /* a car in the mirror is a car, */
    augment.shift = 4;                                               /* and so is one a little to the left: few pictures become many */
    nn_data_augment(train, &augment);
    fit.epochs = atoi(argv[1]);
    fit.lr     = 0.003f;
    fit.weight_decay = 0.05f;
    fit.quiet  = 0;
    m = nn_model_new(c, net, NULL);
    nn_fit(m, train, &fit);

    if (!nn_error(c))
        printf("test accuracy by chance 10 %%, of softmax regression %.1f %%, of the network %.1f %% (%lld pictures to learn from, %lld held back)\n",
               100 * nn_evaluate(line, test, NULL).accuracy, 100 * nn_evaluate(m, test, NULL).accuracy, (long long)n, (long long)nn_data_count(test));
    failed = nn_error(c) != NN_OK;                                   /* the reason was printed when it happened */
    nn_end(c);
    return failed;
}
