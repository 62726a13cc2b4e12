// A trained network as one C file that needs neither nn.h nor an allocator: train on the digits, export, compile the file
// with the system's compiler, and let both judge the same test digits.
//   cc -O2 -I. -o export examples/export.c -lm -lpthread && ./export
// Arguments: [csv file] [folder for the files, default "."]. The compiler is $CC, or cc.
#define NN_IMPLEMENTATION
#include "nn.h"

enum { PIXELS = 64, CLASSES = 10 };

static nn_tensor *net(nn_scope s, nn_tensor *x) {                    /* x [B,64] */
    x = nn_layer_linear_act(s, "fc1", x, 128, NN_ACT_RELU);          /*   [B,128] */
    x = nn_layer_dropout(s, x, 0.3);
    x = nn_layer_linear_act(s, "fc2", x, 64, NN_ACT_RELU);           /*   [B,64] */
    return nn_layer_linear(s, "fc3", x, CLASSES);                    /*   [B,10] */
}

// What a program around an exported network looks like: this one reads digits and writes what the network makes of them
static const char *program =
    "#include <stdio.h>\n"
    "void digits_net_run(const float *in, float *out);\n"
    "int main(int argc, char **argv) {\n"
    "    static float in[64], out[10];\n"
    "    FILE *from = argc > 2 ? fopen(argv[1], \"rb\") : NULL, *to = from ? fopen(argv[2], \"wb\") : NULL;\n"
    "    if (!to) return 1;\n"
    "    while (fread(in, sizeof *in, 64, from) == 64) {\n"
    "        digits_net_run(in, out);\n"
    "        if (fwrite(out, sizeof *out, 10, to) != 10) return 1;\n"
    "    }\n"
    "    return fclose(to) != 0;\n"
    "}\n";

static int put_file(const char *path, const void *bytes, size_t size) {
    FILE *f = fopen(path, "wb");
    int   fine = f && fwrite(bytes, 1, size, f) == size;
    return f && fclose(f) == 0 && fine;
}
static int get_file(const char *path, void *bytes, size_t size) {
    FILE *f = fopen(path, "rb");
    int   fine = f && fread(bytes, 1, size, f) == size;
    if (f) fclose(f);
    return fine;
}

// Compiles folder/digits_net.c with the program and runs it on x [n,64], which gives y [n,10]
static int run_exported(const char *folder, const float *x, float *y, size_t n) {
    const char *cc = getenv("CC");
    char        line[2000], path[400];
    if (!cc || !*cc) cc = "cc";
    snprintf(path, sizeof path, "%.300s/digits_main.c", folder);
    if (!put_file(path, program, strlen(program))) return fprintf(stderr, "%s cannot be written\n", path), 0;
    snprintf(line, sizeof line, "%.300s -O2 -o \"%.300s/digits_run\" \"%.300s/digits_main.c\" \"%.300s/digits_net.c\" -lm", cc, folder, folder, folder);
    if (system(line)) return fprintf(stderr, "no program from: %s\n", line), 0;
    snprintf(path, sizeof path, "%.300s/digits_in.bin", folder);
    if (!put_file(path, x, n * PIXELS * sizeof *x)) return fprintf(stderr, "%s cannot be written\n", path), 0;
    snprintf(line, sizeof line, "\"%.300s/digits_run\" \"%.300s/digits_in.bin\" \"%.300s/digits_out.bin\"", folder, folder, folder);
    if (system(line)) return fprintf(stderr, "failed: %s\n", line), 0;
    snprintf(path, sizeof path, "%.300s/digits_out.bin", folder);
    return get_file(path, y, n * CLASSES * sizeof *y) || (fprintf(stderr, "%s is too short\n", path), 0);
}

// Shares of right answers, and how far the two are apart beside the largest value of all
static int compare(nn_tensor *ours, nn_tensor *exported, nn_tensor *labels) {
    const float *a = nn_f32(ours), *b = nn_f32(exported);
    double       apart = 0, most = 0, mine = 100 * nn_accuracy(ours, labels), theirs = 100 * nn_accuracy(exported, labels);
    for (int64_t i = 0; a && b && i < nn_numel(ours); i++) {
        apart = fmax(apart, fabs((double)a[i] - (double)b[i]));
        most  = fmax(most, fabs((double)a[i]));
    }
    printf("largest difference %.2g, of values up to %.3g\n", apart, most);
    printf("nn.h     test accuracy %.2f %%\n", mine);
    printf("exported test accuracy %.2f %%\n", theirs);
    return a && b && mine == theirs && apart <= 1e-5 * most;
}

int main(int argc, char **argv) {
    const char    *folder = argc > 2 ? argv[2] : ".";
    nn_config      config = nn_config_defaults();
    nn_csv_options csv    = nn_csv_defaults();
    nn_fit_options fit    = nn_fit_defaults();
    nn_data       *all, *train, *test;
    nn_ctx        *c;
    nn_model      *m;
    int64_t        n;
    char           path[400];
    int            same = 0;

    config.seed = 1;
    csv.scale   = 1 / 16.0f;                                         /* pixels are 0 ... 16 */
    fit.epochs  = 15;
    fit.lr      = 0.003f;
    fit.quiet   = 1;

    c   = nn_begin(&config);
    all = nn_data_csv(c, argc > 1 ? argv[1] : "examples/data/digits.csv", &csv);
    nn_data_split(all, 0.2, &train, &test);                          /* every fifth sample of each class is held out */
    m = nn_model_new(c, net, NULL);
    nn_fit(m, train, &fit);
    n = nn_data_count(test);

    snprintf(path, sizeof path, "%.300s/digits_net.c", folder);      /* digits_net_run, for one digit at a time */
    if (nn_export_c(m, nn_data_x(test, 0, 1), path)) {
        nn_tensor *x = nn_data_x(test, 0, n), *y = nn_zeros(c, NN_F32, NN_SHAPE(n, CLASSES));
        printf("%s: %lld parameters\n", path, (long long)nn_model_size(m));
        if (x && y && run_exported(folder, nn_f32(x), nn_f32(y), (size_t)n)) same = compare(nn_predict(m, x), y, nn_data_y(test, 0, n));
    }
    same = same && nn_error(c) == NN_OK;                             /* the reason was printed when it happened */
    nn_end(c);
    return !same;
}
