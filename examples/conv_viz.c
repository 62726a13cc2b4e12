// What a convolutional network sees: its kernels, what they answer to a digit, and where it looks.
//   make conv_viz, or with MNIST=folder, or: cc -O2 -I. -o conv_viz examples/conv_viz.c -lm -lpthread && ./conv_viz
// Writes filters.png, activations.png and occlusion.png. Arguments: [folder for the pictures] [seed] [folder with MNIST's four
// files, else the small digits in examples/data] [model file that cnn.c wrote, else a network is trained briefly]
#define NN_IMPLEMENTATION
#include "nn.h"

enum { SHOWN = 12, CELL = 56, GAP = 4 };                             /* digits or channels in a row, pixels of each */

static nn_tensor *block(nn_scope s, const char *name, nn_tensor *x, int64_t out, int pool) { /* as in cnn.c */
    nn_conv_options o = nn_conv_defaults();
    nn_scope        l = nn_in(s, name);
    o.padding = NN_SHAPE(1);
    o.no_bias = 1;
    x = nn_layer_conv_with(l, "conv", x, out, NN_SHAPE(3, 3), &o);
    if (pool) x = nn_max_pool(x, 2, 2, 0);
    return nn_leave(l, nn_relu(nn_layer_batchnorm(l, "norm", x)));
}
static nn_tensor *net(nn_scope s, nn_tensor *x) {                    /* x [B,H,W] */
    x = nn_unsqueeze(x, 1);
    x = block(s, "block1", x, 32, 1);                                /*   [B,32,H/2,W/2] */
    x = block(s, "block2", x, 64, 0);
    x = block(s, "block3", x, 64, 1);                                /*   [B,64,H/4,W/4] */
    x = block(s, "block4", x, 128, 1);                               /*   [B,128,H/8,W/8] */
    return nn_layer_linear(s, "fc", nn_layer_dropout(s, nn_flatten(x, 1), 0.3), 10);
}

static nn_tensor *cells(nn_tensor *x) { return nn_resize(x, NN_SHAPE(CELL, CELL), NN_NEAREST, 0); } /* [n,C,h,w] -> [n,C,CELL,CELL] */

static void save(nn_tensor *x, int64_t columns, const char *folder, const char *name, const char *what) { /* x [n,C,CELL,CELL] */
    char path[300];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    if (nn_image_write(nn_image_grid(x, columns, GAP), path)) printf("%s: %s\n", path, what);
}

// The 3x3 kernels of the first layer: grey is 0, white the largest weight of all, black its negative
static void filters(nn_ctx *c, nn_model *m, const char *folder) {
    nn_tensor *w = nn_model_tensor(m, c, "block1.conv.weight");      /* [32,1,3,3] */
    double     most = nn_item(nn_max(nn_abs(w), NN_ALL, 0));
    save(cells(nn_affine(w, 0.5 / most, 0.5)), 8, folder, "filters.png", "the 32 kernels of the first layer, each a small picture of what it looks for");
}

// A hook sees what every layer gives. Of each block, one row: its first channels, from nothing (white) to the most there is
typedef struct rows { nn_tensor *row[8]; int n; } rows;
static void watch(void *user, const char *layer, nn_tensor *y) {
    rows *r = (rows *)user;
    if (strncmp(layer, "block", 5) || strchr(layer, '.') || r->n == 8) return; /* "block1.conv" and "block1.norm" are parts of "block1" */
    y = nn_slice(nn_select(y, 0, 0), 0, 0, SHOWN, 1);                /* of the first picture [SHOWN,h,w] */
    y = nn_div(y, nn_add_scalar(nn_max(y, NN_ALL, 0), 1e-6));
    r->row[r->n++] = nn_keep(cells(nn_unsqueeze(y, 1)));             /* [SHOWN,1,CELL,CELL] */
}
static void activations(nn_model *m, nn_tensor *x, const char *folder) { /* x [n,H,W] */
    rows       r = {{0}, 0};
    nn_tensor *digit = nn_reshape(nn_slice(x, 0, 0, 1, 1), NN_SHAPE(1, 1, nn_dim(x, 1), nn_dim(x, 2)));
    r.row[r.n++] = nn_pad(cells(digit), 0, 0, SHOWN - 1, 0);         /* the digit alone in its row */
    nn_model_hook(m, watch, &r);
    nn_predict(m, nn_slice(x, 0, 0, 1, 1));
    nn_model_hook(m, NULL, NULL);
    save(nn_affine(nn_concat(r.row, r.n, 0), -1, 1), SHOWN, folder, "activations.png", "a digit, and below it what channels of the four blocks answer to it");
    for (int i = 1; i < r.n; i++) nn_drop(r.row[i]);
}

// A black square slides over a digit: where the probability of its class falls, the network had been looking (Zeiler and Fergus 2014)
static nn_tensor *looks_at(nn_model *m, nn_tensor *digit, int64_t label, double *sure, double *least) { /* [H,W] -> [H,W], 0 ... 1 */
    nn_ctx    *c = nn_ctx_of(digit);
    int64_t    h = nn_dim(digit, 0), w = nn_dim(digit, 1), half = h / 8;
    nn_tensor *row = nn_arange(c, NN_F32, 0, (double)h, 1), *col = nn_arange(c, NN_F32, 0, (double)w, 1), *far_y, *far_x, *p;
    far_y = nn_abs(nn_sub(nn_reshape(row, NN_SHAPE(h, 1, 1, 1)), nn_reshape(row, NN_SHAPE(h, 1))));   /* [H,1,H,1]: from the square's middle */
    far_x = nn_abs(nn_sub(nn_reshape(col, NN_SHAPE(w, 1, 1)), col));                                  /*   [W,1,W] */
    p     = nn_cast(nn_greater(nn_maximum(far_y, far_x), nn_scalar_like(row, (double)half)), NN_F32); /* [H,W,H,W]: 0 in the square */
    p     = nn_predict(m, nn_reshape(nn_mul(p, digit), NN_SHAPE(h * w, h, w)));                       /* one picture a place: [H*W,10] */
    p     = nn_select(nn_softmax(p, 1), 1, label);
    *sure  = nn_get(nn_softmax(nn_predict(m, nn_unsqueeze(digit, 0)), 1), NN_SHAPE(0, label));
    *least = nn_item(nn_min(p, NN_ALL, 0));
    return nn_clamp(nn_affine(nn_reshape(p, NN_SHAPE(h, w)), -1, *sure), 0, 1);
}
static void occlusion(nn_model *m, nn_tensor *x, nn_tensor *y, const char *folder) { /* x [n,H,W], y [n] */
    nn_tensor *picture[SHOWN], *rgb[3];
    for (int i = 0; i < SHOWN; i++) {
        nn_tensor *digit = nn_select(x, 0, i), *fall, *paper;
        int        label = (int)nn_get(y, NN_SHAPE(i));
        double     sure, least;
        fall  = looks_at(m, digit, label, &sure, &least);
        paper = nn_affine(digit, -0.6, 1);                          /* grey ink, and over it red */
        rgb[1] = rgb[2] = nn_mul(paper, nn_affine(fall, -1, 1));
        rgb[0] = nn_add(rgb[1], fall);
        picture[i] = nn_stack(rgb, 3, 0);                            /* [3,H,W] */
        if (!nn_error(nn_ctx_of(x))) printf("a %d: probability %.3f, with the square at its worst place %.3f\n", label, sure, least);
    }
    save(cells(nn_stack(picture, SHOWN, 0)), SHOWN / 2, folder, "occlusion.png", "red is where a black square makes the digit's own class less probable");
}

int main(int argc, char **argv) {
    const char    *folder = argc > 1 ? argv[1] : ".", *mnist = argc > 3 ? argv[3] : NULL, *file = argc > 4 ? argv[4] : NULL;
    nn_config      config = nn_config_defaults();
    nn_csv_options csv    = nn_csv_defaults();
    nn_fit_options fit    = nn_fit_defaults();
    nn_data       *all, *train, *test;
    nn_tensor     *x, *y;
    nn_ctx        *c;
    nn_model      *m;
    int64_t        side = mnist ? 28 : 8;
    int            failed;

    config.seed = argc > 2 ? (uint64_t)atoi(argv[2]) : 1;
    csv.scale   = 1 / 16.0f;                                         /* pixels are 0 ... 16 */
    c    = nn_begin(&config);                                        /* half of these digits to learn from, half to look at */
    all  = mnist ? nn_data_mnist(c, mnist, NN_TEST) : nn_data_csv(c, "examples/data/digits.csv", &csv);
    x    = nn_reshape(nn_data_x(all, 0, NN_TO_END), NN_SHAPE(-1, side, side));
    nn_data_split(nn_data_new(x, nn_data_y(all, 0, NN_TO_END)), 0.5, &train, &test);
    m    = nn_model_new(c, net, NULL);
    fit.epochs = mnist ? 2 : 10;
    fit.batch  = 64;
    if (file) nn_load(m, file);
    else      nn_fit(m, train, &fit);

    x = nn_data_x(test, 0, SHOWN);
    y = nn_data_y(test, 0, SHOWN);
    if (!nn_error(c)) printf("accuracy on digits not trained on: %.1f %%\n", 100 * nn_evaluate(m, test, NULL).accuracy);
    nn_no_grad(c, 1);
    filters(c, m, folder);
    activations(m, x, folder);
    occlusion(m, x, y, folder);
    failed = nn_error(c) != NN_OK;                                   /* the reason was printed when it happened */
    nn_end(c);
    return failed;
}
