// Handwritten digits: train a small network, say how well, draw a few digits, save the model.
//   cc -O2 -I. -o digits examples/digits.c -lm -lpthread && ./digits
// Data: 1,797 images of 8x8 pixels, see examples/data/README.md. Arguments: [csv file] [seed] [model file]
#define NN_IMPLEMENTATION
#include "nn.h"

static nn_tensor *net(nn_scope s, nn_tensor *x) {                    /* x [B,64] */
    x = nn_layer_linear_act(s, "fc1", x, 128, NN_ACT_RELU);          /*   [B,128] */
    x = nn_layer_dropout(s, x, 0.3);
    x = nn_layer_linear_act(s, "fc2", x, 64, NN_ACT_RELU);           /*   [B,64] */
    return nn_layer_linear(s, "fc3", x, 10);                         /*   [B,10] */
}

// Three digits side by side, two characters a pixel, darker ink for larger values
static void draw(nn_tensor *x, nn_tensor *logits, nn_tensor *labels) {
    const char *ink = " .:-=+*#%@";
    for (int64_t first = 0; first + 3 <= nn_dim(x, 0); first += 3) {
        for (int row = 0; row < 8; row++) {
            for (int64_t i = first; i < first + 3; i++) {
                for (int col = 0; col < 8; col++) {
                    int level = (int)(9 * nn_get(x, NN_SHAPE(i, row * 8 + col)));
                    printf("%c%c", ink[level], ink[level]);
                }
                printf("   |   ");
            }
            printf("\n");
        }
        for (int64_t i = first; i < first + 3; i++) {
            int best = 0, label = (int)nn_get(labels, NN_SHAPE(i));
            for (int k = 1; k < 10; k++)
                if (nn_get(logits, NN_SHAPE(i, k)) > nn_get(logits, NN_SHAPE(i, best))) best = k;
            printf("%d predicted, %d right%s   ", best, label, best == label ? "" : " !");
        }
        printf("\n\n");
    }
}

int main(int argc, char **argv) {
    nn_config      config = nn_config_defaults();
    nn_csv_options csv    = nn_csv_defaults();
    nn_fit_options fit    = nn_fit_defaults();
    nn_data       *all, *train, *test;
    nn_ctx        *c;
    nn_model      *m;
    int            failed;

    config.seed    = argc > 2 ? (uint64_t)atoi(argv[2]) : 1;
    csv.scale      = 1 / 16.0f;                                      /* pixels are 0 ... 16 */
    fit.epochs     = 60;
    fit.batch      = 32;
    fit.lr         = 0.003f;
    fit.validation = 0.1f;

    c   = nn_begin(&config);
    all = nn_data_csv(c, argc > 1 ? argv[1] : "examples/data/digits.csv", &csv);
    nn_data_split(all, 0.2, &train, &test);                          /* every fifth sample of each class is held out */
    m = nn_model_new(c, net, NULL);
    nn_model_build(m, NN_F32, NN_SHAPE(1, 64));
    nn_summary(m, NN_F32, NN_SHAPE(1, 64));
    nn_fit(m, train, &fit);

    if (!nn_error(c)) {
        nn_tensor *x = nn_data_x(test, 0, 6);
        draw(x, nn_predict(m, x), nn_data_y(test, 0, 6));
    }
    printf("test accuracy %.2f %%\n", 100 * nn_evaluate(m, test, NULL).accuracy);
    nn_save(m, argc > 3 ? argv[3] : "digits.safetensors");

    failed = nn_error(c) != NN_OK;                                   /* the reason was printed when it happened */
    nn_end(c);
    return failed;
}
