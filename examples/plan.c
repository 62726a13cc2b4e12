// A plan: one training step is recorded, improved, laid out in memory, drawn, and then run a few thousand times.
//   cc -O2 -I. -o plan examples/plan.c -lm -lpthread && ./plan
// Writes plan.svg (for a browser) and plan.dot (for Graphviz). Arguments: [folder for the pictures] [csv file]
#define NN_IMPLEMENTATION
#include "nn.h"

enum { BATCH = 64, EPOCHS = 40 };

static nn_tensor *net(nn_scope s, nn_tensor *x) {                    /* x [B,64] */
    x = nn_layer_linear_act(s, "fc1", x, 128, NN_ACT_RELU);          /*   [B,128] */
    x = nn_layer_dropout(s, x, 0.3);
    x = nn_layer_linear_act(s, "fc2", x, 64, NN_ACT_RELU);           /*   [B,64] */
    return nn_layer_linear(s, "fc3", x, 10);                         /*   [B,10] */
}

// The lines of a training loop. Between begin and end they compute nothing: what they would do is written down.
static nn_plan *record(nn_ctx *c, nn_model *m, nn_optim *o, nn_batch b, nn_tensor **loss) {
    nn_plan   *p = nn_plan_begin(c, NULL);
    nn_tensor *x = nn_plan_input(p, "x", b.x);                       /* stands for every batch to come */
    nn_tensor *y = nn_plan_input(p, "y", b.y);
    *loss = nn_cross_entropy(nn_forward(m, x), y);
    nn_backward(*loss);
    nn_step(o);
    nn_plan_end(p, loss, 1);                                         /* the passes run, memory is laid out */
    return p;
}

int main(int argc, char **argv) {
    const char    *folder = argc > 1 ? argv[1] : ".";
    nn_config      config = nn_config_defaults();
    nn_csv_options csv    = nn_csv_defaults();
    nn_data       *all, *train, *test;
    nn_ctx        *c;
    nn_model      *m;
    nn_optim      *o;
    nn_plan       *p;
    nn_tensor     *loss = NULL;
    nn_batch       b;
    char           path[300];
    int            failed;

    config.seed = 1;
    csv.scale   = 1 / 16.0f;                                         /* pixels are 0 ... 16 */
    c   = nn_begin(&config);
    all = nn_data_csv(c, argc > 2 ? argv[2] : "examples/data/digits.csv", &csv);
    nn_data_split(all, 0.2, &train, &test);
    nn_data_batch(train, BATCH, 1);                                  /* a plan has one shape: the last, short batch is left out */
    m = nn_model_new(c, net, NULL);
    o = nn_adam(m, 0.003f);
    nn_model_build(m, NN_F32, NN_SHAPE(BATCH, 64));                  /* parameters exist before the plan that uses them */

    if (nn_data_next(train, &b)) {
        p = record(c, m, o, b, &loss);
        nn_plan_passes(p);                                           /* what each pass did to the list */
        nn_plan_report(p);                                           /* memory, and of each node its cost */
        snprintf(path, sizeof path, "%s/plan.svg", folder);
        nn_plan_svg(p, path);
        snprintf(path, sizeof path, "%s/plan.dot", folder);
        nn_plan_dot(p, path);

        for (int epoch = 1; epoch <= EPOCHS && !nn_error(c); epoch++) {
            double sum = 0;
            int    steps = 0;
            while (nn_data_next(train, &b)) {
                nn_plan_bind(p, "x", b.x);                           /* no copy: the plan reads the batch where it is */
                nn_plan_bind(p, "y", b.y);
                if (!nn_plan_run(p)) break;
                sum += nn_item(loss);                                /* the plan's own tensor, new after each run */
                steps++;
                nn_reset(c);
            }
            if (epoch % 10 == 0) printf("epoch %d, loss %.4f\n", epoch, sum / steps);
        }
    }
    printf("test accuracy %.2f %%\n", 100 * nn_evaluate(m, test, NULL).accuracy);

    failed = nn_error(c) != NN_OK;                                   /* the reason was printed when it happened */
    nn_end(c);
    return failed;
}
