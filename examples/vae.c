// A variational autoencoder: learns what handwritten digits look like, and then writes some of its own.
//   make vae, or: cc -O2 -I. -o vae examples/vae.c -lm -lpthread && ./vae
// Each image x gets a distribution over codes z, N(mean, std), and each code a distribution over images. Trained is a bound
// on the likelihood of the images, the ELBO: ln p(x) >= E ln p(x|z) - KL(q(z|x) || N(0,1)); Kingma and Welling 2014.
// Writes digits_vae.pgm. Arguments: [csv file] [seed] [picture]
#define NN_IMPLEMENTATION
#include "nn.h"

enum { PIXELS = 64, CODE = 10, EPOCHS = 150, DRAWS = 20, COLUMNS = 16, ROWS = 10, ZOOM = 4 };

static void encode(nn_scope s, nn_tensor *x, nn_tensor **mean, nn_tensor **std) { /* x [B,64], black or white */
    nn_scope l = nn_in(s, "encoder");
    x     = nn_layer_linear_act(l, "fc", x, 128, NN_ACT_RELU);       /* [B,128] */
    *mean = nn_layer_linear(l, "mean", x, CODE);                     /* [B,CODE] */
    *std  = nn_exp(nn_layer_linear(l, "log_std", x, CODE));
    nn_leave(l, *std);
}
static nn_tensor *decode(nn_scope s, nn_tensor *z) {                 /* z [B,CODE] -> logits of the pixels [B,64] */
    nn_scope l = nn_in(s, "decoder");
    z = nn_layer_linear_act(l, "fc", z, 128, NN_ACT_RELU);
    return nn_leave(l, nn_layer_linear(l, "pixels", z, PIXELS));
}

// -ELBO in nats an image. Drawing z as mean + std * noise lets the gradient pass: the noise depends on no parameter.
static nn_tensor *loss(nn_scope s, nn_tensor *x) {
    nn_tensor *mean, *std, *noise, *unlike, *kl;
    encode(s, x, &mean, &std);
    noise  = nn_normal(s.ctx, NN_F32, nn_shape_of(mean), 0, 1);
    unlike = nn_scale(nn_bce_logits(decode(s, nn_add(mean, nn_mul(std, noise))), x), PIXELS);   /* mean over pixels -> sum */
    kl     = nn_scale(nn_mean(nn_kl_gaussian(mean, std, NULL, NULL), NN_ALL, 0), CODE);
    return nn_add(unlike, kl);
}

// The same without a network: each pixel black as often as in the training images, whatever the others are
static double baseline(nn_tensor *train, nn_tensor *x) {
    double     n = (double)nn_dim(train, 0);
    nn_tensor *p = nn_affine(nn_sum(train, NN_AXES(0), 1), 1 / (n + 2), 1 / (n + 2)); /* [1,64], never 0 or 1 */
    return PIXELS * nn_item(nn_bce(nn_expand(p, nn_shape_of(x)), x));
}

// Images side by side in one grey picture; two rows of given images and what becomes of them, below it what is made up
static int sheet(const char *path, nn_tensor *pixels) {              /* [ROWS*COLUMNS,64] */
    const float *p = nn_f32(pixels);
    FILE        *f = p ? fopen(path, "wb") : NULL;
    const int    side = 8 * ZOOM + 2;
    if (!f) return 0;
    fprintf(f, "P5 %d %d 255\n", COLUMNS * side, ROWS * side);
    for (int y = 0; y < ROWS * side; y++) {
        for (int x = 0; x < COLUMNS * side; x++) {
            int image = y / side * COLUMNS + x / side, row = y % side / ZOOM, col = x % side / ZOOM;
            fputc(row < 8 && col < 8 ? (int)(255.5f - 255 * p[image * PIXELS + row * 8 + col]) : 200, f);
        }
    }
    return fclose(f) == 0;
}

int main(int argc, char **argv) {
    const char    *picture = argc > 3 ? argv[3] : "digits_vae.pgm";
    nn_config      config = nn_config_defaults();
    nn_csv_options csv    = nn_csv_defaults();
    nn_data       *all, *train, *test;
    nn_ctx        *c;
    nn_model      *m;
    nn_optim      *o;
    nn_batch       b;
    nn_tensor     *x, *mean, *std, *part[3];
    nn_scope       s;
    double         bound = 0;
    int            failed;

    config.seed = argc > 2 ? (uint64_t)atoi(argv[2]) : 1;
    csv.scale   = 1 / 16.0f;                                         /* pixels are 0 ... 16 */
    c   = nn_begin(&config);
    all = nn_data_csv(c, argc > 1 ? argv[1] : "examples/data/digits.csv", &csv);
    x   = nn_data_x(all, 0, NN_TO_END);
    all = nn_data_new(nn_cast(nn_greater_equal(x, nn_scalar_like(x, 0.5)), NN_F32), nn_data_y(all, 0, NN_TO_END));
    nn_data_split(all, 0.2, &train, &test);
    nn_data_batch(train, 64, 1);
    m = nn_model_new(c, NULL, NULL);                                 /* no net: encoder and decoder are called by hand */
    o = nn_adam(m, 0.002f);

    for (int epoch = 1; epoch <= EPOCHS && !nn_error(c); epoch++) {
        double sum = 0;
        int    steps = 0;
        for (; nn_data_next(train, &b); steps++) {
            nn_tensor *l = loss(nn_enter(m, c, NN_TRAIN), b.x);
            nn_backward(l);
            nn_step(o);
            sum += nn_item(l);
            nn_reset(c);
        }
        if (epoch % 30 == 0) printf("epoch %d, -ELBO %.2f\n", epoch, sum / steps);
    }

    nn_no_grad(c, 1);
    x = nn_data_x(test, 0, NN_TO_END);
    s = nn_enter(m, c, NN_EVAL);
    for (int i = 0; i < DRAWS; i++) bound += nn_item(loss(s, x)) / DRAWS;
    if (!nn_error(c))
        printf("held-out images, nats each: %.2f with every pixel by itself, at most %.2f by the network\n",
               baseline(nn_data_x(train, 0, NN_TO_END), x), bound);

    part[0] = nn_slice(x, 0, 0, COLUMNS, 1);                         /* given */
    encode(s, part[0], &mean, &std);
    part[1] = nn_sigmoid(decode(s, mean));                           /* there and back */
    part[2] = nn_sigmoid(decode(s, nn_normal(c, NN_F32, NN_SHAPE((ROWS - 2) * COLUMNS, CODE), 0, 1))); /* made up */
    if (!sheet(picture, nn_concat(part, 3, 0))) nn_fail(c, NN_ERR_FILE, "cannot write %s", picture);
    else printf("%s: a row of held-out digits, the same through the network, and below what it makes of random codes\n", picture);

    failed = nn_error(c) != NN_OK;                                   /* the reason was printed when it happened */
    nn_end(c);
    return failed;
}
