// genann's side of bench/peers.py: our own driver, nothing of genann. Built with the genann.c and genann.h of a folder that its user
// names. Reads lines "row seconds", answers each with one line of JSON, and measures as bench.c does. genann computes in double.
#if !defined(_GNU_SOURCE)
#  define _GNU_SOURCE /* clock_gettime */
#endif
#include "genann.h"
#include <stdlib.h>
#include <string.h>
#include <time.h>

static genann         *net;
static double          input[16];
static volatile double read_out;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* plan_tiny_infer: 16-32-10, one sample, one output read. genann's own activations, sigmoid by its table: its fastest but for relu. */
static void start_infer(void) {
    net = genann_init(16, 1, 32, 10);
    for (int i = 0; i < 16; i++) input[i] = i * 0.125 - 1;
}
static void run_infer(void) { read_out = genann_run(net, input)[0]; }

/* plan_xor_train: 2-16-1, the four samples one after the other: genann knows no batches. */
static void start_train(void) { net = genann_init(2, 1, 16, 1); }
static void run_train(void) {
    static const double x[4][2] = {{0, 0}, {0, 1}, {1, 0}, {1, 1}}, y[4] = {0, 1, 1, 0};
    for (int k = 0; k < 4; k++) genann_train(net, x[k], y + k, 0.1);
}

static const struct { const char *name; void (*start)(void), (*run)(void); } rows[] = {
    {"plan_tiny_infer", start_infer, run_infer}, {"plan_xor_train", start_train, run_train}};

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

int main(void) {
    enum { MOST = 100000, LEAST = 5, WARM = 3 };
    static double times[MOST];
    char          line[128], name[64];
    double        limit;
    printf("[\"plan_tiny_infer\", \"plan_xor_train\"]\n");
    fflush(stdout);
    while (fgets(line, sizeof line, stdin)) {
        size_t i = 0, rows_n = sizeof rows / sizeof *rows;
        int    n = 0, repeat;
        double start, once;
        if (sscanf(line, "%63s %lf", name, &limit) != 2) continue;
        while (i < rows_n && strcmp(rows[i].name, name)) i++;
        srand(1);
        if (i < rows_n) rows[i].start();
        if (i == rows_n || !net) {
            printf("{\"name\": \"%s\", \"failed\": true}\n", name);
            fflush(stdout);
            continue;
        }
        for (int k = 0; k < WARM; k++) rows[i].run();
        start = now();
        rows[i].run();
        once   = now() - start;
        repeat = once < 20e-6 ? (int)(20e-6 / (once > 1e-8 ? once : 1e-8)) + 1 : 1;
        for (start = now(); n < MOST && (n < LEAST || now() - start < limit); n++) {
            double from = now();
            for (int k = 0; k < repeat; k++) rows[i].run();
            times[n] = (now() - from) / repeat;
        }
        qsort(times, (size_t)n, sizeof *times, by_value);
        printf("{\"name\": \"%s\", \"median\": %.9g, \"min\": %.9g}\n", name, times[n / 2], times[0]);
        fflush(stdout);
        genann_free(net);
        net = NULL;
    }
    return 0;
}
