// A convolutional autoencoder: squeezes a picture of a digit through a few numbers and draws it again from them.
//   make autoencoder, or with MNIST=folder, or: cc -O2 -I. -o autoencoder examples/autoencoder.c -lm -lpthread && ./autoencoder
// Writes a picture: rows of held-out digits, each above what became of it. Arguments: [picture] [seed] [folder with MNIST's four
// files, else the small digits in examples/data]
#define NN_IMPLEMENTATION
#include "nn.h"

enum { CODE = 12, COLUMNS = 16 };

// Down by convolutions of stride 2; up by transposed ones, each of which spreads a pixel over 4x4, overlapping by half
static nn_tensor *net(nn_scope s, nn_tensor *x) {                    /* x [B,1,H,W], H and W multiples of 4 */
    nn_conv_options o = nn_conv_defaults();
    nn_shape        shape;
    o.stride  = NN_SHAPE(2);
    o.padding = NN_SHAPE(1);
    o.act     = NN_ACT_RELU;
    x = nn_layer_conv_with(s, "down1", x, 16, NN_SHAPE(3, 3), &o);   /*   [B,16,H/2,W/2] */
    x = nn_layer_conv_with(s, "down2", x, 32, NN_SHAPE(3, 3), &o);   /*   [B,32,H/4,W/4] */
    shape = nn_shape_of(x);
    x = nn_flatten(x, 1);
    x = nn_layer_linear(s, "code", x, CODE);                         /*   [B,CODE]: all that gets through */
    x = nn_layer_linear_act(s, "uncode", x, shape.dim[1] * shape.dim[2] * shape.dim[3], NN_ACT_RELU);
    x = nn_reshape(x, shape);                                        /*   [B,32,H/4,W/4] */
    x = nn_layer_conv_transposed(s, "up1", x, 16, NN_SHAPE(4, 4), &o); /* [B,16,H/2,W/2] */
    o.act = NN_ACT_SIGMOID;
    return nn_layer_conv_transposed(s, "up2", x, 1, NN_SHAPE(4, 4), &o); /* [B,1,H,W], 0 ... 1 */
}

// The digits of one part as [n,1,H,W], each its own target
static nn_data *pictures(nn_data *d) {
    nn_tensor *x    = nn_data_x(d, 0, NN_TO_END);
    int64_t    n    = nn_dim(x, 0), side = nn_dim(x, 1) == 64 ? 8 : 28;
    nn_data   *both;
    x    = nn_reshape(x, NN_SHAPE(n, 1, side, side));
    both = nn_data_new(x, x);
    nn_data_free(d);
    return both;
}

int main(int argc, char **argv) {
    const char    *picture = argc > 1 ? argv[1] : "autoencoder.png", *folder = argc > 3 ? argv[3] : NULL;
    nn_config      config = nn_config_defaults();
    nn_csv_options csv    = nn_csv_defaults();
    nn_fit_options fit    = nn_fit_defaults();
    nn_data       *all, *train, *test;
    nn_tensor     *x, *y, *mean, *rows[4];
    nn_ctx        *c;
    nn_model      *m;
    int            failed;

    config.seed = argc > 2 ? (uint64_t)atoi(argv[2]) : 1;
    c = nn_begin(&config);
    if (folder) {
        train = nn_data_mnist(c, folder, NN_TRAIN);
        test  = nn_data_mnist(c, folder, NN_TEST);
    } else {
        csv.scale = 1 / 16.0f;                                       /* pixels are 0 ... 16 */
        all = nn_data_csv(c, "examples/data/digits.csv", &csv);
        nn_data_split(all, 0.2, &train, &test);
    }
    train = pictures(train);
    test  = pictures(test);
    nn_reset(c);
    fit.epochs = folder ? 3 : 60;
    fit.batch  = 64;
    fit.lr     = 0.003f;
    m = nn_model_new(c, net, NULL);
    nn_fit(m, train, &fit);                                          /* targets are real numbers: the mean squared error */

    nn_no_grad(c, 1);
    mean = nn_mean(nn_data_x(train, 0, NN_TO_END), NN_AXES(0), 1);   /* [1,1,H,W] */
    x    = nn_data_x(test, 0, NN_TO_END);
    y    = nn_predict(m, x);
    if (!nn_error(c))
        printf("mean squared error of held-out pixels: %.4f by the mean image, %.4f through %d numbers instead of %lld\n",
               nn_item(nn_mse(nn_expand(mean, nn_shape_of(x)), x)), nn_item(nn_mse(y, x)), CODE, (long long)nn_numel(mean));

    for (int i = 0; i < 4; i++) rows[i] = nn_slice(i % 2 ? y : x, 0, i / 2 * COLUMNS, (i / 2 + 1) * COLUMNS, 1);
    x = nn_affine(nn_concat(rows, 4, 0), -1, 1);                     /* ink on paper; [4 COLUMNS,1,H,W] */
    nn_image_write(nn_image_grid(nn_resize(x, NN_SHAPE(56, 56), NN_NEAREST, 0), COLUMNS, 2), picture);
    failed = nn_error(c) != NN_OK;                                   /* the reason was printed when it happened */
    if (!failed) printf("%s: held-out digits, each above what the network makes of it\n", picture);
    nn_end(c);
    return failed;
}
