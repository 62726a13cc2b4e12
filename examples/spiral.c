// Three spiral arms that no straight line parts: watch a small network bend its boundaries round them.
//   make spiral, or: cc -O2 -I. -o spiral examples/spiral.c -lm -lpthread && ./spiral
// Writes spiral.svg and, as it learns, spiral_000.svg, spiral_010.svg, ... Arguments: [folder for the pictures] [seed]
#define NN_IMPLEMENTATION
#include "nn.h"

enum { EPOCHS = 100, EVERY = 10, GRID = 100 };

static nn_tensor *bent(nn_scope s, nn_tensor *x) {                   /* x [B,2] */
    x = nn_layer_linear_act(s, "fc1", x, 32, NN_ACT_TANH);           /*   [B,32] */
    x = nn_layer_linear_act(s, "fc2", x, 32, NN_ACT_TANH);
    return nn_layer_linear(s, "fc3", x, 3);                          /*   [B,3] */
}
static nn_tensor *straight(nn_scope s, nn_tensor *x) { return nn_layer_linear(s, "fc", x, 3); } /* softmax regression */

typedef struct show { nn_model *m; nn_data *d; const char *folder; } show;

// What the network says of every place, and the points: one rectangle for a run of equal cells
static void picture(const show *w, const char *name) {
    static const char *const shade[3][3] = {{"#fbe3d6", "#f5bf9f", "#ec9464"}, {"#dcebf7", "#a9cdea", "#6aa7d8"},
                                            {"#e0f0d9", "#b3d9a1", "#7dbb63"}}; /* of each class: hardly, rather, very sure */
    static const char *const ink[3]      = {"#b5420d", "#12568f", "#2f6d17"};
    nn_tensor *x = nn_data_x(w->d, 0, NN_TO_END), *y = nn_data_y(w->d, 0, NN_TO_END);
    nn_ctx    *c = nn_ctx_of(x);
    double     edge = 1.1 * nn_item(nn_max(nn_abs(x), NN_ALL, 0)), cell = 2 * edge / GRID;
    nn_tensor *axis[2], *grid[2], *xy[2], *p, *sure, *best;
    char       path[300];
    FILE      *f;
    axis[0] = axis[1] = nn_linspace(c, NN_F32, -edge + cell / 2, edge - cell / 2, GRID);
    nn_meshgrid(axis, 2, grid);                                      /* grid[0] counts rows, grid[1] columns: [GRID,GRID] */
    xy[0] = grid[1]; xy[1] = grid[0];
    p    = nn_predict(w->m, nn_reshape(nn_stack(xy, 2, 2), NN_SHAPE(-1, 2)));
    p    = nn_softmax(p, 1);                                         /* [GRID*GRID,3] */
    best = nn_argmax(p, 1, 0);
    sure = nn_max(p, NN_AXES(1), 0);
    snprintf(path, sizeof path, "%s/%s.svg", w->folder, name);
    f = nn_error(c) ? NULL : fopen(path, "w");
    if (!f) {
        nn_fail(c, NN_ERR_FILE, "cannot write %s", path);
        return;
    }
    fprintf(f, "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"500\">\n<g shape-rendering=\"crispEdges\">\n", GRID, GRID);
    for (int row = 0; row < GRID; row++) {
        for (int from = 0, to; from < GRID; from = to) {
            const char *colour = NULL;
            for (to = from; to < GRID; to++) {
                int    at  = row * GRID + to;
                double pr  = nn_f32(sure)[at];
                const char *own = shade[nn_i64(best)[at]][pr < 0.6 ? 0 : pr < 0.9 ? 1 : 2];
                if (colour && own != colour) break;
                colour = own;
            }
            fprintf(f, "<rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"1\" fill=\"%s\"/>\n", from, row, to - from, colour);
        }
    }
    fprintf(f, "</g>\n");
    for (int64_t i = 0; i < nn_dim(x, 0); i++)
        fprintf(f, "<circle cx=\"%.2f\" cy=\"%.2f\" r=\"0.7\" fill=\"%s\"/>\n", (nn_get(x, NN_SHAPE(i, 0)) + edge) / cell,
                (nn_get(x, NN_SHAPE(i, 1)) + edge) / cell, ink[(int)nn_get(y, NN_SHAPE(i))]);
    fprintf(f, "</svg>\n");
    fclose(f);
}

static int frame(void *user, const nn_history *h) {                  /* nn_fit calls it after each epoch */
    char name[32];
    snprintf(name, sizeof name, "spiral_%03d", h->epochs);
    if (h->epochs % EVERY == 0) picture((const show *)user, name);
    return 1;                                                        /* go on */
}

int main(int argc, char **argv) {
    nn_config      config = nn_config_defaults();
    nn_fit_options fit    = nn_fit_defaults();
    nn_data       *all, *train, *test;
    nn_model      *line, *m;
    nn_ctx        *c;
    show           w;
    int            failed;

    config.seed = argc > 2 ? (uint64_t)atoi(argv[2]) : 1;
    c   = nn_begin(&config);
    all = nn_data_toy(c, "spiral", 900, 0.04);
    nn_data_split(all, 0.33, &train, &test);
    fit.epochs = EPOCHS;
    fit.batch  = 32;
    fit.lr     = 0.006f;
    fit.quiet  = 1;

    line = nn_model_new(c, straight, NULL);
    nn_fit(line, train, &fit);

    m        = nn_model_new(c, bent, NULL);
    w.m      = m;
    w.d      = train;
    w.folder = argc > 1 ? argv[1] : ".";
    picture(&w, "spiral_000");
    fit.on_epoch = frame;
    fit.user     = &w;
    nn_fit(m, train, &fit);
    w.d = test;
    picture(&w, "spiral");

    if (!nn_error(c))
        printf("test accuracy of softmax regression %.1f %%, of the network %.1f %%; pictures in %s\n",
               100 * nn_evaluate(line, test, NULL).accuracy, 100 * nn_evaluate(m, test, NULL).accuracy, w.folder);
    failed = nn_error(c) != NN_OK;                                   /* the reason was printed when it happened */
    nn_end(c);
    return failed;
}
