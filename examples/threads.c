// One model, several threads: each has its own context (nn_fork) and so its own tape and gradients; the model is shared.
// The sum of their gradients, added in a fixed order, is the gradient of the whole batch.
//   cc -O2 -I. -o threads examples/threads.c -lm -lpthread && ./threads
// With the argument "plan" each thread's forward and backward are a plan of its own: same numbers, sooner.
#define NN_IMPLEMENTATION
#include "nn.h"
#include <pthread.h>

enum { THREADS = 4, SHARD = 32 };

static nn_tensor *net(nn_scope s, nn_tensor *x) {
    x = nn_tanh(nn_layer_linear(s, "fc1", x, 32));
    return nn_layer_linear(s, "fc2", x, 1);
}

typedef struct worker {
    nn_ctx    *ctx;
    nn_model  *model;
    nn_plan   *plan;
    nn_tensor *planned_loss;
    float      x[SHARD][2], y[SHARD];
    double     loss;
} worker;

static nn_tensor *step(worker *w) { /* forward and backward of one shard */
    nn_tensor *x = nn_wrap(w->ctx, w->x, NN_F32, NN_SHAPE(SHARD, 2)), *y = nn_wrap(w->ctx, w->y, NN_F32, NN_SHAPE(SHARD, 1));
    nn_tensor *loss = nn_mse(nn_forward(w->model, x), y);
    nn_backward(nn_scale(loss, 1.0 / THREADS)); /* so that the sum over shards is the mean over the batch */
    return loss;
}

static void *run(void *arg) {
    worker    *w    = (worker *)arg;
    nn_tensor *loss = w->plan ? w->planned_loss : step(w);
    if (w->plan) nn_plan_run(w->plan);
    w->loss = nn_item(loss);
    nn_reset(w->ctx);                           /* parameters' gradients stay until nn_step_from takes them */
    return NULL;
}

int main(int argc, char **argv) {
    nn_ctx   *c = nn_begin(NULL), *forks[THREADS];
    nn_model *m = nn_model_new(c, net, NULL);
    nn_optim *o = nn_adam(m, 0.01f);
    worker    w[THREADS];
    double    loss = 0;
    int       failed;
    nn_model_build(m, NN_F32, NN_SHAPE(SHARD, 2)); /* parameters must exist before several threads ask for them */
    for (int t = 0; t < THREADS; t++) {
        forks[t]   = nn_fork(c);
        w[t].ctx   = forks[t];
        w[t].model = m;
        for (int i = 0; i < SHARD; i++) { /* learn x0 * x1 */
            w[t].x[i][0] = (float)((i * 7 + t) % 16) / 8 - 1;
            w[t].x[i][1] = (float)((i * 3 + t * 5) % 16) / 8 - 1;
            w[t].y[i]    = w[t].x[i][0] * w[t].x[i][1];
        }
        w[t].plan = NULL;
        if (argc > 1 && !strcmp(argv[1], "plan")) {
            w[t].plan         = nn_plan_begin(forks[t], NULL);
            w[t].planned_loss = step(&w[t]);
            nn_plan_end(w[t].plan, &w[t].planned_loss, 1);
        }
    }
    for (int step = 0; step < 500; step++) {
        pthread_t thread[THREADS];
        for (int t = 0; t < THREADS; t++) pthread_create(&thread[t], NULL, run, &w[t]);
        loss = 0;
        for (int t = 0; t < THREADS; t++) {
            pthread_join(thread[t], NULL);
            loss += w[t].loss / THREADS;
        }
        nn_step_from(o, forks, THREADS);
        if (step % 100 == 99) printf("step %3d  loss %.5f\n", step + 1, loss);
    }
    failed = nn_error(c) || !(loss < 0.01);
    nn_end(c);
    return failed;
}
