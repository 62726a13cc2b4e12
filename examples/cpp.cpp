// nn.h from C++11: the same functions, NN_SHAPE as a template, options that start from their defaults.
//   c++ -O2 -I. -o cpp examples/cpp.cpp -lm -lpthread && ./cpp
#define NN_IMPLEMENTATION
#include "nn.h"
#include <cstdio>
#include <memory>
#include <vector>

// Ends with its scope, like any C++ object
struct context_end { void operator()(nn_ctx *c) const { nn_end(c); } };
using context = std::unique_ptr<nn_ctx, context_end>;

static nn_tensor *net(nn_scope s, nn_tensor *x) {
    x = nn_gelu(nn_layer_layernorm(s, "norm", nn_layer_linear(s, "fc1", x, 32)));
    return nn_layer_linear(s, "fc2", x, 3);
}

int main() {
    context   c(nn_begin(nullptr));
    nn_model *m = nn_model_new(c.get(), net, nullptr);

    // Three classes: which third of the circle a point lies in
    std::vector<float>   points;
    std::vector<int32_t> classes;
    for (int i = 0; i < 900; i++) {
        const double angle = i * 2.399963, radius = 0.2 + (i % 9) * 0.1;
        points.push_back(static_cast<float>(radius * std::cos(angle)));
        points.push_back(static_cast<float>(radius * std::sin(angle)));
        classes.push_back(static_cast<int32_t>(std::fmod(angle, 6.283185307179586) / 2.0944));
    }
    nn_data *data = nn_data_new(nn_wrap(c.get(), points.data(), NN_F32, NN_SHAPE(classes.size(), 2)),
                                nn_wrap(c.get(), classes.data(), NN_I32, NN_SHAPE(classes.size())));
    nn_data *train = nullptr, *test = nullptr;
    nn_data_split(data, 0.25, &train, &test);

    nn_fit_options fit{};
    fit.epochs = 40;
    fit.lr     = 0.01f;
    fit.quiet  = 1;
    nn_fit(m, train, &fit);
    const nn_scores scores = nn_evaluate(m, test, nullptr);
    std::printf("test accuracy %.2f %%\n", 100 * scores.accuracy);
    return nn_error(c.get()) != NN_OK || !(scores.accuracy > 0.95);
}
