// nn_export_c: networks of all ops that have a C form, written as C files, compiled in one go without a warning, run and
// compared with nn_predict; what has no C form says so and leaves no file. NN_TEST_ALL=1: by every compiler
// there is, for other machines too.
#define NN_IMPLEMENTATION
#include "nn.h"

static int passed, failed;
static void check(int ok, const char *what, int line) {
    if (ok) passed++;
    else { failed++; printf("test_export.c:%d: %s\n", line, what); }
}
#define CHECK(x) check((x) != 0, #x, __LINE__)

static nn_ctx *quiet_ctx(uint64_t seed) {
    nn_config g = nn_config_defaults();
    g.quiet   = 1;
    g.threads = 1;
    g.seed    = seed;
    return nn_begin(&g);
}
static int failed_with(nn_ctx *c, nn_status code, const char *part) { /* and go on */
    int ok = nn_error(c) == code && strstr(nn_error_text(c), part) != NULL;
    if (!ok) printf("   got %d: %s\n", (int)nn_error(c), nn_error_text(c));
    nn_error_clear(c);
    return ok;
}

#if defined(NN_NO_STDIO)
static nn_tensor *net(nn_scope s, nn_tensor *x) { (void)s; return nn_relu(x); }
int main(void) {
    nn_ctx *c = quiet_ctx(0);
    CHECK(!nn_export_c(nn_model_new(c, net, NULL), nn_ones(c, NN_F32, NN_SHAPE(2)), "x.c") && failed_with(c, NN_ERR_FILE, "no files"));
    nn_end(c);
    printf("export: %d passed, %d failed\n", passed, failed);
    return failed != 0;
}
#else

// ---- networks, each about one thing; concat shows several results at once
static nn_tensor *side_by_side(nn_tensor **list, int n) { /* flattened */
    for (int i = 0; i < n; i++) list[i] = nn_reshape(list[i], NN_SHAPE(-1));
    return nn_concat(list, n, 0);
}
static nn_tensor *net_mlp(nn_scope s, nn_tensor *x) { /* every fused activation; sizes that are no multiples of anything */
    x = nn_layer_linear_act(s, "fc1", x, 33, NN_ACT_RELU);
    x = nn_layer_linear_act(s, "fc2", x, 64, NN_ACT_SIGMOID);
    x = nn_layer_linear_act(s, "fc3", x, 18, NN_ACT_TANH);
    x = nn_layer_dropout(s, x, 0.5);
    x = nn_layer_linear_act(s, "fc-4", x, 3, NN_ACT_GELU);
    return nn_layer_linear(s, "out", x, 10);
}
static nn_tensor *net_relu(nn_scope s, nn_tensor *x) { return nn_layer_linear(s, "out", nn_relu(nn_layer_linear(s, "hidden", x, 16)), 1); } /* needs no libm */
static nn_tensor *net_wide(nn_scope s, nn_tensor *x) { return nn_layer_linear(s, "fc", x, 1031); }
static nn_tensor *net_acts(nn_scope s, nn_tensor *x) { /* as ops of their own, in place of each other */
    for (int i = 0; i < 3; i++) {
        nn_scope l = nn_in_i(s, "h", i);
        x = nn_layer_linear(l, "fc", x, 24);
        x = nn_leave(l, i == 0 ? nn_gelu_tanh(x) : i == 1 ? nn_gelu(nn_tanh(x)) : nn_sigmoid(nn_scale(nn_relu(x), -1.5)));
    }
    return x;
}
static nn_tensor *net_residual(nn_scope s, nn_tensor *x) {
    x = nn_layer_linear(s, "in", x, 32);
    for (int i = 0; i < 2; i++) {
        nn_scope   l = nn_in_i(s, "h", i);
        nn_tensor *z = nn_layer_linear_act(l, "fc", nn_layer_layernorm(l, "norm", x), 40, NN_ACT_GELU);
        x = nn_leave(l, nn_add(x, nn_layer_linear(l, "proj", z, 32)));
    }
    return nn_softmax(nn_layer_linear(s, "out", nn_layer_layernorm(s, "norm", x), 5), -1);
}
static nn_tensor *net_norms(nn_scope s, nn_tensor *x) { /* [2,4,3,2], in both layouts */
    nn_batchnorm_options o;
    nn_tensor           *list[10];
    for (int last = 0; last < 2; last++) {
        nn_tensor *z = last ? nn_channels_last(x) : x;
        memset(&o, 0, sizeof o);
        o.training = 1;
        list[5 * last]     = nn_layer_batchnorm(s, "batch", z);
        list[5 * last + 1] = nn_layer_groupnorm(s, "group", z, 2);
        list[5 * last + 2] = nn_layer_instancenorm(s, "instance", z);
        list[5 * last + 3] = nn_groupnorm(z, 1, NULL, NULL, 1e-3);
        list[5 * last + 4] = nn_batchnorm(nn_affine(z, 0.01, 100), &o);
    }
    return side_by_side(list, 10);
}
static nn_tensor *net_softmax(nn_scope s, nn_tensor *x) {
    nn_tensor *list[5];
    (void)s;
    list[0] = nn_softmax(x, -1);
    list[1] = nn_softmax(nn_scale(x, 50), 0);
    list[2] = nn_log_softmax(x, -1);
    list[3] = nn_log_softmax(x, 0);
    list[4] = nn_softmax(nn_sum(x, NN_ALL, 0), -1);
    return side_by_side(list, 5);
}
static nn_tensor *net_unary(nn_scope s, nn_tensor *x) {
    nn_tensor *list[16], *positive = nn_affine(nn_square(x), 0.5, 0.25);
    (void)s;
    list[0] = nn_exp(x);       list[1] = nn_log(positive); list[2] = nn_sqrt(positive); list[3] = nn_square(x);
    list[4] = nn_relu(x);      list[5] = nn_sigmoid(x);    list[6] = nn_tanh(x);        list[7] = nn_erf(x);
    list[8] = nn_gelu(x);      list[9] = nn_gelu_tanh(x);  list[10] = nn_sin(x);        list[11] = nn_cos(x);
    list[12] = nn_positive(x); list[13] = nn_abs(x);       list[14] = nn_neg(x);        list[15] = nn_affine(x, -1e-7, 3);
    return side_by_side(list, 16);
}
static nn_tensor *net_binary(nn_scope s, nn_tensor *x) { /* [3,4]: rows, columns, scalars, both ways, strided operands */
    nn_tensor *list[9], *row = nn_slice(x, 0, 1, 2, 1), *column = nn_slice(x, 1, 2, 3, 1), *one = nn_sum(x, NN_ALL, 0);
    (void)s;
    list[0] = nn_add(x, row);
    list[1] = nn_sub(column, x);
    list[2] = nn_mul(one, x);
    list[3] = nn_div(x, nn_affine(nn_square(column), 1, 1));
    list[4] = nn_mul(nn_reshape(column, NN_SHAPE(3, 1, 1)), x);
    list[5] = nn_sub(column, row);
    list[6] = nn_same(x, nn_expand(row, NN_SHAPE(3, 4)));
    list[7] = nn_add(nn_transpose(x, 0, 1), nn_square(nn_reshape(x, NN_SHAPE(4, 3))));
    list[8] = nn_add(nn_slice(x, 1, NN_TO_END, -10, -2), nn_slice(x, 1, 0, NN_TO_END, 2));
    return side_by_side(list, 9);
}
static nn_tensor *net_reduce(nn_scope s, nn_tensor *x) { /* [2,3,4] */
    nn_tensor *list[10], *t = nn_permute(x, NN_AXES(2, 0, 1));
    (void)s;
    list[0] = nn_sum(x, NN_AXES(0), 0);
    list[1] = nn_sum(x, NN_AXES(1), 1);
    list[2] = nn_mean(x, NN_AXES(-1), 0);
    list[3] = nn_sum(x, NN_AXES(0, 2), 0);
    list[4] = nn_max(x, NN_ALL, 0);
    list[5] = nn_max(nn_neg(x), NN_AXES(1), 0);
    list[6] = nn_max(t, NN_AXES(0, 2), 1);
    list[7] = nn_sum(t, NN_AXES(1), 0);
    list[8] = nn_sum(nn_slice(x, 1, 0, 0, 1), NN_AXES(1), 0); /* of nothing */
    list[9] = nn_max(nn_max(x, NN_AXES(0), 1), NN_AXES(0), 0);
    return side_by_side(list, 10);
}
static nn_tensor *net_matmul(nn_scope s, nn_tensor *x) { /* [2,3,5,11] */
    nn_tensor *list[6], *w = nn_param(s, "w", NN_SHAPE(11, 6), nn_init_normal(0, 1)), *t = nn_transpose(x, -1, -2);
    list[0] = nn_matmul(x, w);
    list[1] = nn_matmul(x, t);
    list[2] = nn_matmul(t, nn_slice(x, 1, 1, 2, 1)); /* broadcast over an axis */
    list[3] = nn_matmul(nn_select(nn_select(x, 0, 1), 0, 2), nn_select(t, 0, 0));
    list[4] = nn_matmul(nn_transpose(w, 0, 1), t);
    list[5] = nn_matmul(nn_slice(x, -1, NN_TO_END, -20, -3), nn_slice(t, -2, 0, 4, 1));
    return side_by_side(list, 6);
}
static nn_tensor *net_attention(nn_scope s, nn_tensor *x) { /* [T,16], 2 heads, causal: a constant with infinities */
    int64_t    n = nn_dim(x, 0);
    nn_tensor *mask = nn_zeros(s.ctx, NN_F32, NN_SHAPE(n, n)), *q, *k, *v;
    nn_tensor *h = nn_reshape(nn_layer_linear(s, "qkv", x, 48), NN_SHAPE(n, 3, 2, 8));
    if (nn_error(s.ctx)) return NULL;
    for (int64_t i = 0; i < n && mask->st->data; i++)
        for (int64_t j = i + 1; j < n; j++) ((float *)mask->st->data)[i * n + j] = -INFINITY;
    q = nn_transpose(nn_select(h, 1, 0), 0, 1);
    k = nn_transpose(nn_select(h, 1, 1), 0, 1);
    v = nn_transpose(nn_select(h, 1, 2), 0, 1);
    h = nn_matmul(nn_softmax(nn_add(nn_scale(nn_matmul(q, nn_transpose(k, 1, 2)), 0.35), mask), -1), v); /* [2,T,8] */
    return nn_layer_linear(s, "proj", nn_reshape(nn_transpose(h, 0, 1), NN_SHAPE(n, 16)), 16);
}
static nn_tensor *net_indices(nn_scope s, nn_tensor *x) { /* [4,3]: values to classes, to one-hot and to rows of a table */
    nn_tensor *table = nn_param(s, "table", NN_SHAPE(5, 3), nn_init_normal(0, 1)), *list[6];
    nn_tensor *k = nn_cast(nn_affine(nn_sigmoid(x), 4.999, 0), NN_I32), *hot = nn_one_hot(k, 5, NN_F32);
    list[0] = nn_matmul(nn_reshape(hot, NN_SHAPE(-1, 5)), table);
    list[1] = nn_gather(table, 0, k);
    list[2] = nn_cast(nn_cast(nn_scale(x, 200), NN_U8), NN_F32);
    list[3] = nn_cast(nn_cast(nn_cast(nn_scale(x, 1e9), NN_I64), NN_I8), NN_F32);
    list[4] = nn_gather(nn_transpose(table, 0, 1), 1, nn_cast(nn_slice(nn_transpose(k, 0, 1), 1, 0, 2, 1), NN_U8));
    list[5] = nn_one_hot(nn_cast(nn_positive(x), NN_I64), 2, NN_F32);
    return side_by_side(list, 6);
}
static nn_tensor *net_concat(nn_scope s, nn_tensor *x) { /* [2,3,4] */
    nn_tensor *list[3];
    (void)s;
    list[0] = nn_transpose(x, 0, 2);
    list[1] = nn_square(list[0]);
    list[2] = nn_slice(list[1], 1, 0, 0, 1);
    return nn_concat(list, 3, 1);
}
static nn_tensor *net_scaled(nn_scope s, nn_tensor *x) { /* buffers, and a weight that two layers and another op share */
    nn_tensor *mean = nn_buffer(s, "mean", NN_SHAPE(6), nn_init_const(0.25)), *std = nn_buffer(s, "std", NN_SHAPE(6), nn_init_const(3)), *w = nn_param(s, "w", NN_SHAPE(6, 6), nn_init_fan_in(6));
    x = nn_div(nn_sub(x, mean), std);
    x = nn_linear(nn_linear_act(x, w, NULL, NN_ACT_TANH), w, nn_select(w, 0, 2));
    return nn_matmul(nn_linear(x, nn_slice(w, 0, 2, 5, 1), NULL), nn_linear(nn_slice(w, 0, 0, 3, 1), nn_exp(w), NULL)); /* weights that are part of one, and computed */
}
static nn_tensor *net_vector(nn_scope s, nn_tensor *x) { return nn_layer_linear(s, "fc", x, 2); } /* without a batch axis */
static nn_tensor *net_identity(nn_scope s, nn_tensor *x) { return (void)s, x; }
static nn_tensor *net_view(nn_scope s, nn_tensor *x) { return nn_slice(nn_transpose(nn_layer_linear(s, "fc", x, 6), 0, 1), 0, NN_TO_END, -10, -2); }
static nn_tensor *net_of_in(nn_scope s, nn_tensor *x) { return (void)s, nn_slice(x, 1, 1, 3, 1); }
static nn_tensor *net_nothing(nn_scope s, nn_tensor *x) { return (void)s, nn_relu(nn_slice(x, 1, 3, 3, 1)); }
static nn_tensor *net_empty(nn_scope s, nn_tensor *x) { /* [2,3]: sums of no products */
    nn_tensor *list[4], *none = nn_slice(x, 1, 0, 0, 1);
    list[0] = nn_matmul(none, nn_transpose(none, 0, 1));
    list[1] = nn_layer_linear_act(s, "fc", none, 5, NN_ACT_SIGMOID);
    list[2] = nn_matmul(nn_transpose(none, 0, 1), x);
    list[3] = nn_exp(none);
    return side_by_side(list, 4);
}
static nn_tensor *net_constant(nn_scope s, nn_tensor *x) { return (void)x, nn_param(s, "w", NN_SHAPE(3, 2), nn_init_normal(0, 1)); }
static nn_tensor *net_early(nn_scope s, nn_tensor *x) { /* the output is made before the last op that is needed for it, and used again */
    nn_tensor *h = nn_layer_linear(s, "fc", x, 4), *list[2];
    list[0] = h;
    list[1] = nn_exp(h);
    return nn_mul(nn_add(h, list[1]), nn_concat(list, 1, 0));
}
static nn_tensor *net_numbers(nn_scope s, nn_tensor *x) {
    const float hard[15] = {0.0f, -0.0f, 1e-45f, 1.17549435e-38f, 3.40282347e+38f, -3.40282347e+38f, 1e-7f, 16777216.0f, 0.1f, -1.0f / 3, 1e10f, 123456.789f, INFINITY, -INFINITY, NAN};
    return nn_mul(x, nn_from(s.ctx, hard, NN_F32, NN_SHAPE(15)));
}
static nn_tensor *net_integers(nn_scope s, nn_tensor *x) { /* [3]: constants of every type */
    const int64_t wide[3] = {INT64_MIN, INT64_MAX, 7};
    const int32_t word[3] = {INT32_MIN, INT32_MAX, -7};
    const int8_t  small[3] = {-128, 127, 0};
    const uint8_t at[4] = {2, 0, 2, 1};
    nn_tensor    *list[5], *pair[2];
    pair[1] = nn_from(s.ctx, wide, NN_I64, NN_SHAPE(3));
    pair[0] = nn_cast(x, NN_I64);
    list[0] = nn_cast(nn_concat(pair, 2, 0), NN_F32);
    pair[0] = nn_from(s.ctx, word, NN_I32, NN_SHAPE(3));
    pair[1] = nn_cast(nn_scale(x, 1e20), NN_I32); /* the ends of the range */
    list[1] = nn_cast(nn_concat(pair, 2, 0), NN_F32);
    pair[0] = nn_cast(nn_scale(x, 300), NN_I8);
    pair[1] = nn_from(s.ctx, small, NN_I8, NN_SHAPE(3));
    list[2] = nn_cast(nn_concat(pair, 2, 0), NN_F32);
    list[3] = nn_gather(x, 0, nn_from(s.ctx, at, NN_U8, NN_SHAPE(4)));
    list[4] = nn_cast(nn_cast(nn_log(x), NN_I64), NN_F32); /* some of them NaN */
    return side_by_side(list, 5);
}

// ---- grids
static nn_conv_options conv_options(nn_shape stride, nn_shape padding, nn_shape dilation, int64_t groups, nn_act act) {
    nn_conv_options o = nn_conv_defaults();
    o.stride = stride; o.padding = padding; o.dilation = dilation; o.groups = groups; o.act = act;
    return o;
}
static nn_tensor *conv(nn_scope s, const char *name, nn_tensor *x, int64_t out, nn_shape kernel, nn_shape stride, nn_shape padding, nn_shape dilation, int64_t groups, nn_act act) {
    nn_conv_options o = conv_options(stride, padding, dilation, groups, act);
    return nn_layer_conv_with(s, name, x, out, kernel, &o);
}
static nn_tensor *deconv(nn_scope s, const char *name, nn_tensor *x, int64_t out, nn_shape kernel, nn_shape stride, nn_shape padding, nn_shape more, nn_shape dilation, int64_t groups) {
    nn_conv_options o = conv_options(stride, padding, dilation, groups, NN_ACT_NONE);
    o.output_padding = more;
    return nn_layer_conv_transposed(s, name, x, out, kernel, &o);
}
static nn_tensor *norm(nn_scope s, const char *name, nn_tensor *x) { /* as after training: mean and variance of the channels are anything */
    int64_t              n = nn_dim(x, 1);
    nn_scope             l = nn_in(s, name);
    nn_batchnorm_options o;
    memset(&o, 0, sizeof o);
    o.weight = nn_param(l, "weight", NN_SHAPE(n), nn_init_uniform(0.5, 1.5));
    o.bias   = nn_param(l, "bias", NN_SHAPE(n), nn_init_normal(0, 0.3));
    o.mean   = nn_buffer(l, "running_mean", NN_SHAPE(n), nn_init_normal(0, 0.3));
    o.var    = nn_buffer(l, "running_var", NN_SHAPE(n), nn_init_uniform(0.5, 2));
    return o.var ? nn_leave(l, nn_batchnorm(x, &o)) : NULL;
}
static nn_tensor *net_lenet(nn_scope s, nn_tensor *x) { /* [N,1,28,28] */
    x = nn_max_pool(nn_relu(nn_layer_conv(s, "conv1", x, 6, 5, 1, 2)), 2, 2, 0);
    x = nn_max_pool(nn_relu(nn_layer_conv(s, "conv2", x, 16, 5, 1, 0)), 2, 2, 0);
    x = nn_reshape(x, NN_SHAPE(nn_dim(x, 0), -1));
    return nn_layer_linear(s, "fc2", nn_layer_linear_act(s, "fc1", x, 84, NN_ACT_RELU), 10);
}
static nn_tensor *net_resnet(nn_scope s, nn_tensor *x) { /* [N,3,32,24] */
    nn_shape none = NN_SHAPE(0);
    none.ndim = 0;
    x = nn_relu(norm(s, "bn1", conv(s, "conv1", x, 16, NN_SHAPE(7), NN_SHAPE(2), NN_SHAPE(3), none, 0, NN_ACT_NONE)));
    x = nn_max_pool(x, 3, 2, 1);
    for (int i = 0; i < 3; i++) {
        nn_scope   l = nn_in_i(s, "block", i);
        int64_t    out = 16 << i, stride = i ? 2 : 1;
        nn_tensor *h = nn_relu(norm(l, "bn1", nn_layer_conv(l, "conv1", x, out, 3, stride, 1)));
        h = norm(l, "bn2", nn_layer_conv(l, "conv2", h, out, 3, 1, 1));
        x = nn_leave(l, nn_relu(nn_add(h, i ? norm(l, "bn3", nn_layer_conv(l, "down", x, out, 1, stride, 0)) : x)));
    }
    return nn_softmax(nn_layer_linear(s, "fc", nn_global_avg_pool(x), 10), -1);
}
static nn_tensor *net_resnet_last(nn_scope s, nn_tensor *x) { return net_resnet(s, nn_channels_last(x)); }
static nn_tensor *net_line(nn_scope s, nn_tensor *x) { /* [2,4,700]: rows of several blocks; on one place in the end */
    x = nn_layer_conv(s, "a", x, 6, 9, 1, 4);
    x = conv(s, "b", nn_tanh(x), 6, NN_SHAPE(5), NN_SHAPE(3), NN_SHAPE(1, 7), NN_SHAPE(4), 2, NN_ACT_TANH);
    x = nn_layer_groupnorm(s, "norm", x, 3);
    x = nn_avg_pool(x, 3, 2, 1);
    x = deconv(s, "c", x, 4, NN_SHAPE(6), NN_SHAPE(4), NN_SHAPE(1), NN_SHAPE(3), NN_SHAPE(1), 1);
    x = nn_layer_conv(s, "d", x, 5, 12, 40, 0);
    return nn_layer_conv(s, "e", x, 3, nn_dim(x, 2), 1, 0);
}
static nn_tensor *net_volume(nn_scope s, nn_tensor *x) { /* [2,3,6,7,9] */
    nn_pool_options o = nn_pool_defaults();
    x = conv(s, "a", x, 6, NN_SHAPE(3, 2, 3), NN_SHAPE(1, 1, 2), NN_SHAPE(1, 1, 0, 1, 2, 1), NN_SHAPE(1, 2, 1), 3, NN_ACT_GELU);
    x = nn_layer_conv(s, "b", x, 5, 1, 1, 0);
    o.kernel = NN_SHAPE(2, 3, 2); o.stride = NN_SHAPE(2, 1, 2); o.padding = NN_SHAPE(1, 1, 1); o.ceil = 1;
    x = nn_max_pool_with(x, &o, NULL);
    x = deconv(s, "c", x, 4, NN_SHAPE(3, 2, 3), NN_SHAPE(2, 3, 2), NN_SHAPE(1, 0, 1), NN_SHAPE(1, 0, 1), NN_SHAPE(1, 2, 1), 1);
    return nn_global_max_pool(nn_resize(x, NN_SHAPE(5, 4, 17), NN_LINEAR, 0));
}
static nn_tensor *net_autoencoder(nn_scope s, nn_tensor *x) { /* [N,3,16,20] */
    x = nn_relu(nn_layer_conv(s, "down1", x, 8, 3, 2, 1));
    x = nn_relu(nn_layer_conv(s, "down2", x, 12, 3, 2, 1));
    x = nn_relu(deconv(s, "up1", x, 8, NN_SHAPE(4), NN_SHAPE(2), NN_SHAPE(1), NN_SHAPE(0), NN_SHAPE(1), 1));
    x = nn_resize(x, NN_SHAPE(2 * nn_dim(x, 2), 2 * nn_dim(x, 3)), NN_LINEAR, 0);
    x = nn_layer_instancenorm(s, "norm", x);
    return nn_sigmoid(nn_layer_conv(s, "out", x, 3, 3, 1, 1));
}
static nn_tensor *net_autoencoder_last(nn_scope s, nn_tensor *x) { return net_autoencoder(s, nn_channels_last(x)); }
static nn_tensor *net_convs(nn_scope s, nn_tensor *x) { /* [2,6,9,11]: what convolutions can be told, in both layouts */
    nn_tensor *list[22];
    for (int i = 0; i < 2; i++) {
        nn_scope    l = nn_in_i(s, "layout", i);
        nn_tensor **to = list + 11 * i;
        to[0] = conv(l, "grouped", x, 9, NN_SHAPE(3), NN_SHAPE(1), NN_SHAPE(1), NN_SHAPE(1), 3, NN_ACT_RELU);
        to[1] = conv(l, "depthwise", x, 12, NN_SHAPE(3, 5), NN_SHAPE(2, 1), NN_SHAPE(1, 2), NN_SHAPE(1), 6, NN_ACT_SIGMOID);
        to[2] = conv(l, "dilated", x, 4, NN_SHAPE(3, 2), NN_SHAPE(1, 2), NN_SHAPE(3, 1), NN_SHAPE(2, 3), 1, NN_ACT_NONE);
        to[3] = conv(l, "pointwise", x, 7, NN_SHAPE(1), NN_SHAPE(1), NN_SHAPE(0), NN_SHAPE(1), 1, NN_ACT_TANH);
        to[4] = conv(l, "apart", x, 2, NN_SHAPE(1, 2), NN_SHAPE(3, 4), NN_SHAPE(0), NN_SHAPE(1), 1, NN_ACT_NONE);
        to[5] = conv(l, "roomy", x, 2, NN_SHAPE(2), NN_SHAPE(2), NN_SHAPE(5, 4), NN_SHAPE(1), 2, NN_ACT_NONE);
        to[6] = conv(l, "whole", x, 5, NN_SHAPE(9, 11), NN_SHAPE(1), NN_SHAPE(0), NN_SHAPE(1), 1, NN_ACT_NONE);
        to[7] = deconv(l, "up", x, 8, NN_SHAPE(3), NN_SHAPE(2), NN_SHAPE(1), NN_SHAPE(1), NN_SHAPE(1), 2);
        to[8] = deconv(l, "wide", x, 3, NN_SHAPE(2, 4), NN_SHAPE(3, 1), NN_SHAPE(0, 2), NN_SHAPE(2, 0), NN_SHAPE(2, 1), 3);
        to[9] = deconv(l, "holes", x, 2, NN_SHAPE(1), NN_SHAPE(2, 3), NN_SHAPE(0), NN_SHAPE(0), NN_SHAPE(1), 1);
        to[10] = deconv(l, "cut", x, 2, NN_SHAPE(3, 6), NN_SHAPE(1, 2), NN_SHAPE(2, 5), NN_SHAPE(0), NN_SHAPE(1), 1);
        x = nn_leave(l, nn_channels_last(x));
    }
    return side_by_side(list, 22);
}
static nn_tensor *net_places(nn_scope s, nn_tensor *x) { /* [2,3,1,9] and [2,3,9,1]: axes of one place */
    nn_tensor *list[5], *t = nn_transpose(x, 2, 3);
    list[0] = conv(s, "a", x, 4, NN_SHAPE(1, 3), NN_SHAPE(1), NN_SHAPE(0, 1), NN_SHAPE(1), 1, NN_ACT_NONE);
    list[1] = conv(s, "b", t, 4, NN_SHAPE(3, 1), NN_SHAPE(1), NN_SHAPE(1, 0), NN_SHAPE(1), 1, NN_ACT_NONE);
    list[2] = conv(s, "c", nn_slice(x, 3, 0, 1, 1), 4, NN_SHAPE(1), NN_SHAPE(1), NN_SHAPE(0), NN_SHAPE(1), 1, NN_ACT_NONE);
    list[3] = deconv(s, "d", nn_slice(x, 3, 0, 1, 1), 4, NN_SHAPE(2, 3), NN_SHAPE(2, 3), NN_SHAPE(0), NN_SHAPE(0), NN_SHAPE(1), 1);
    list[4] = conv(s, "e", nn_slice(x, 3, 0, 1, 1), 4, NN_SHAPE(3), NN_SHAPE(2), NN_SHAPE(1), NN_SHAPE(1), 1, NN_ACT_NONE);
    return side_by_side(list, 5);
}
static nn_tensor *net_pools(nn_scope s, nn_tensor *x) { /* [2,3,8,11], in both layouts */
    nn_tensor *list[20];
    (void)s;
    for (int i = 0; i < 2; i++) {
        nn_pool_options o = nn_pool_defaults();
        nn_tensor     **to = list + 10 * i;
        o.kernel = NN_SHAPE(3, 2); o.stride = NN_SHAPE(2, 3); o.ceil = 1;
        to[0] = nn_max_pool_with(x, &o, NULL);
        to[1] = nn_avg_pool_with(x, &o);
        o.padding = NN_SHAPE(1);
        to[2] = nn_avg_pool_with(x, &o);
        o.exclude_padding = 1; o.dilation = NN_SHAPE(1, 2);
        to[3] = nn_avg_pool_with(x, &o);
        o.divisor = 2.5;
        to[4] = nn_avg_pool_with(x, &o);
        to[5] = nn_max_pool_with(x, &o, NULL);
        to[6] = nn_adaptive_max_pool(x, NN_SHAPE(3, 4), NULL);
        to[7] = nn_adaptive_avg_pool(x, NN_SHAPE(3, 1));
        to[8] = nn_global_max_pool(x);
        o = nn_pool_defaults();
        o.kernel = NN_SHAPE(3); o.stride = NN_SHAPE(1); o.same = 1;
        to[9] = nn_avg_pool_with(x, &o);
        x = nn_channels_last(x);
    }
    return side_by_side(list, 20);
}
static nn_tensor *net_resizes(nn_scope s, nn_tensor *x) { /* [2,4,5,6], in both layouts: sizes, borders, pixels, norms */
    nn_tensor *list[24];
    for (int i = 0; i < 2; i++) {
        nn_scope    l = nn_in_i(s, "layout", i);
        nn_tensor **to = list + 12 * i;
        to[0] = nn_resize(x, NN_SHAPE(7, 3), NN_NEAREST, 0);
        to[1] = nn_resize(x, NN_SHAPE(3, 11), NN_LINEAR, 1);
        to[2] = nn_resize(x, NN_SHAPE(9, 1), NN_CUBIC, 0);
        to[3] = nn_pixel_shuffle(x, 2);
        to[4] = nn_pixel_unshuffle(nn_slice(x, 2, 0, 4, 1), 2);
        to[5] = nn_pad_sides(x, NN_SHAPE(1, 2, -1, 3), 0);
        to[6] = nn_pad_sides(x, NN_SHAPE(1, 0, 2, -2), 1.5);
        to[7] = nn_pad_sides_with(x, NN_SHAPE(2, 1), NN_PAD_REFLECT);
        to[8] = nn_pad_sides_with(x, NN_SHAPE(1), NN_PAD_CIRCULAR);
        to[9] = norm(l, "norm", x);
        to[10] = nn_layer_groupnorm(l, "groups", x, 2);
        to[11] = nn_layer_groupnorm(l, "rows", nn_layer_conv(l, "one", x, 4, 5, 2, 0), 2);
        x = nn_leave(l, nn_channels_last(x));
    }
    return side_by_side(list, 24);
}

static struct { const char *name; nn_net net; nn_shape in; float *x, *y; size_t n_in, n_out; } nets[48];
static int n_nets;
static void add_net(const char *name, nn_net net, nn_shape in) {
    nets[n_nets].name  = name;
    nets[n_nets].net   = net;
    nets[n_nets++].in  = in;
}
static void add_nets(void) {
    add_net("mlp1", net_mlp, NN_SHAPE(1, 20));        add_net("mlp7", net_mlp, NN_SHAPE(7, 20));
    add_net("relu1", net_relu, NN_SHAPE(1, 2));       add_net("relu7", net_relu, NN_SHAPE(7, 9));
    add_net("acts", net_acts, NN_SHAPE(7, 8));        add_net("wide", net_wide, NN_SHAPE(2, 8));
    add_net("residual1", net_residual, NN_SHAPE(1, 10)); add_net("residual7", net_residual, NN_SHAPE(7, 10));
    add_net("softmax", net_softmax, NN_SHAPE(3, 5));  add_net("unary", net_unary, NN_SHAPE(3, 7));
    add_net("binary", net_binary, NN_SHAPE(3, 4));    add_net("reduce", net_reduce, NN_SHAPE(2, 3, 4));
    add_net("matmul", net_matmul, NN_SHAPE(2, 3, 5, 11)); add_net("attention", net_attention, NN_SHAPE(6, 16));
    add_net("indices", net_indices, NN_SHAPE(4, 3));  add_net("concat", net_concat, NN_SHAPE(2, 3, 4));
    add_net("scaled", net_scaled, NN_SHAPE(3, 6));    add_net("vector", net_vector, NN_SHAPE(5));
    add_net("norms", net_norms, NN_SHAPE(2, 4, 3, 2));
    add_net("identity", net_identity, NN_SHAPE(2, 3)); add_net("view", net_view, NN_SHAPE(2, 3));
    add_net("of-in", net_of_in, NN_SHAPE(2, 4));      add_net("nothing", net_nothing, NN_SHAPE(2, 4));
    add_net("constant", net_constant, NN_SHAPE(1));   add_net("early", net_early, NN_SHAPE(2, 4));
    add_net("empty", net_empty, NN_SHAPE(2, 3));
    add_net("numbers", net_numbers, NN_SHAPE(2, 15)); add_net("integers", net_integers, NN_SHAPE(3));
    add_net("lenet1", net_lenet, NN_SHAPE(1, 1, 28, 28)); add_net("lenet3", net_lenet, NN_SHAPE(3, 1, 28, 28));
    add_net("resnet", net_resnet, NN_SHAPE(2, 3, 32, 24)); add_net("resnet-last", net_resnet_last, NN_SHAPE(1, 3, 32, 24));
    add_net("line", net_line, NN_SHAPE(2, 4, 700));   add_net("volume", net_volume, NN_SHAPE(2, 3, 6, 7, 9));
    add_net("autoencoder", net_autoencoder, NN_SHAPE(1, 3, 16, 20)); add_net("autoencoder-last", net_autoencoder_last, NN_SHAPE(2, 3, 16, 20));
    add_net("convs", net_convs, NN_SHAPE(2, 6, 9, 11)); add_net("places", net_places, NN_SHAPE(2, 3, 1, 9));
    add_net("pools", net_pools, NN_SHAPE(2, 3, 8, 11)); add_net("resizes", net_resizes, NN_SHAPE(2, 4, 5, 6));
}

// ---- files: in build/, or here where there is no such folder
static const char *folder = "";
typedef struct path { char s[100]; } path;
static const char *in_folder(path *p, const char *name, const char *ending) { return snprintf(p->s, sizeof p->s, "%sexport_test_%s%s", folder, name, ending), p->s; }
static char *get_file(const char *name) { /* as a string; NULL: there is none */
    FILE *f = fopen(name, "rb");
    char *s = f ? (char *)malloc(1 << 20) : NULL;
    if (s) s[fread(s, 1, (1 << 20) - 1, f)] = 0;
    if (f) fclose(f);
    return s;
}
static int has_file(const char *name) {
    FILE *f = fopen(name, "rb");
    if (f) fclose(f);
    return f != NULL;
}
static int put_floats(FILE *f, const float *x, size_t n) { return fwrite(x, sizeof *x, n, f) == n; }

// ---- every network is exported, and what nn_predict says of it noted
static int is_clean(const char *text) { /* no allocation, and nothing included but math.h */
    if (!text || strstr(text, "alloc")) return 0;
    while ((text = strstr(text, "#include")) != NULL)
        if (strncmp(text++, "#include <math.h>\n", 18)) return 0;
    return 1;
}
static void test_files(void) {
    for (int i = 0; i < n_nets; i++) {
        nn_ctx    *c = quiet_ctx((uint64_t)i + 1);
        nn_model  *m = nn_model_new(c, nets[i].net, NULL);
        nn_tensor *x = nn_keep(nn_normal(c, NN_F32, nets[i].in, 0, 1)), *y = nn_predict(m, x);
        path       p, beside;
        char      *text, *again;
        size_t     n = (size_t)nn_numel(x), k = (size_t)nn_numel(y), kept = nn_memory(c).kept_now;
        nets[i].n_in  = n;
        nets[i].n_out = k;
        nets[i].x = (float *)malloc(n * sizeof(float) + 1);
        nets[i].y = (float *)malloc(k * sizeof(float) + 1);
        CHECK(nn_read(x, nets[i].x, n * sizeof(float)) && nn_read(y, nets[i].y, k * sizeof(float)));
        CHECK(nn_export_c(m, x, in_folder(&p, nets[i].name, ".c")) && nn_memory(c).kept_now == kept);
        if (nn_error(c)) printf("   %s: %s\n", nets[i].name, nn_error_text(c));
        text = get_file(p.s);
        CHECK(is_clean(text) && !has_file(in_folder(&beside, nets[i].name, ".c.partial")));
        CHECK(text && (nets[i].net != net_relu || !strstr(text, "#include")));
        CHECK(nn_export_c(m, x, p.s)); /* over the old one, and the same */
        again = get_file(p.s);
        CHECK(text && again && !strcmp(text, again));
        free(text);
        free(again);
        nn_end(c);
    }
}

// ---- they are compiled together with a program that reads inputs and writes outputs
static int put_program(void) {
    path   p;
    FILE  *f = fopen(in_folder(&p, "main", ".c"), "w");
    size_t most = 1;
    int    fine;
    if (!f) return 0;
    fprintf(f, "#include <stdio.h>\n");
    for (int i = 0; i < n_nets; i++) {
        if (nets[i].n_in > most) most = nets[i].n_in;
        if (nets[i].n_out > most) most = nets[i].n_out;
        nn__c_name(nets[i].name, p.s, sizeof p.s);
        fprintf(f, "void export_test_%s_run(const float *in, float *out);\n", p.s);
    }
    fprintf(f, "static float in[%d], out[%d];\nstatic int run(void (*f)(const float *, float *), FILE *from, FILE *to, size_t n, size_t m) {\n", (int)most, (int)most + 1);
    fprintf(f, "    int fine = fread(in, sizeof *in, n, from) == n;\n    out[m] = 12345;\n    f(in, out);\n    f(in, out);\n");
    fprintf(f, "    return fine && out[m] == 12345 && fwrite(out, sizeof *out, m, to) == m;\n}\n");
    fprintf(f, "int main(int argc, char **argv) {\n    FILE *from = argc > 2 ? fopen(argv[1], \"rb\") : NULL, *to = from ? fopen(argv[2], \"wb\") : NULL;\n    int fine = to != NULL;\n");
    for (int i = 0; i < n_nets; i++) {
        nn__c_name(nets[i].name, p.s, sizeof p.s);
        fprintf(f, "    fine = fine && run(export_test_%s_run, from, to, %d, %d);\n", p.s, (int)nets[i].n_in, (int)nets[i].n_out);
    }
    fprintf(f, "    return !(fine && fclose(to) == 0);\n}\n");
    if (fclose(f)) return 0;
    f    = fopen(in_folder(&p, "in", ".bin"), "wb");
    fine = f != NULL;
    for (int i = 0; i < n_nets && fine; i++) fine = put_floats(f, nets[i].x, nets[i].n_in);
    return f && fclose(f) == 0 && fine;
}
static void compare(const char *compiler) {
    path   p;
    FILE  *f = fopen(in_folder(&p, "out", ".bin"), "rb");
    CHECK(f);
    for (int i = 0; i < n_nets && f; i++) {
        float  y = 0;
        size_t bad = 0, at = 0;
        for (size_t k = 0; k < nets[i].n_out; k++) {
            float want = nets[i].y[k];
            int   near = fread(&y, sizeof y, 1, f) == 1 && (y == want || (y != y && want != want) || fabsf(y - want) <= 1e-5f * (fabsf(want) > 1 ? fabsf(want) : 1));
            if (!near && !bad++) { at = k; printf("   %s, %s: element %d is %.9g, nn_predict says %.9g\n", compiler, nets[i].name, (int)at, (double)y, (double)want); }
        }
        check(bad == 0, nets[i].name, __LINE__);
    }
    if (f) fclose(f);
}
static int command(const char *format, const char *compiler, const char *runner) { /* %C the compiler, %R what runs its programs, %F the folder, %S all sources */
    char   line[8000];
    size_t n = 0;
    path   p;
    for (; *format && n < sizeof line - 200; format++)
        if (*format != '%') line[n++] = *format;
        else switch (*++format) {
            case 'C': n += (size_t)snprintf(line + n, sizeof line - n, "%s", compiler); break;
            case 'R': n += (size_t)snprintf(line + n, sizeof line - n, "%s", runner); break;
            case 'F': n += (size_t)snprintf(line + n, sizeof line - n, "%s", folder[0] ? folder : "./"); break;
            default:
                for (int i = 0; i < n_nets; i++) n += (size_t)snprintf(line + n, sizeof line - n, "%s ", in_folder(&p, nets[i].name, ".c"));
        }
    line[n] = 0;
    return system(line) == 0;
}
static void test_compiled(const char *compiler, const char *runner) {
    int fine = command("%C -Wall -Wextra -Wpedantic -Werror -o %Fexport_test_run %Fexport_test_main.c %S -lm", compiler, runner);
    check(fine, compiler, __LINE__);
    fine = fine && command("%R%Fexport_test_run %Fexport_test_in.bin %Fexport_test_out.bin", compiler, runner);
    CHECK(fine);
    if (fine) compare(compiler);
}
static int test_compilers(void) { /* how many were there */
    static const char *const all[][2] = {{"gcc -std=c99 -O2", ""}, {"gcc -O3 -march=native", ""}, {"clang -std=c99 -O2", ""}, {"clang -std=c99 -g -O0 -fsanitize=address,undefined -fno-sanitize-recover=all", ""},
        {"g++ -x c++ -std=c++11 -O1", ""}, {"clang++ -x c++ -std=c++11 -O1", ""}, {"aarch64-linux-gnu-gcc -std=c99 -O2 -static", "qemu-aarch64 "}, {"i686-linux-gnu-gcc -std=c99 -O2 -static", ""}};
    const char *cc = getenv("CC"), *every = getenv("NN_TEST_ALL");
    char        line[300];
    int         count = 0;
    if (!cc || !*cc) cc = "cc";
    if (!system(NULL) || !command("command -v %C > /dev/null 2>&1", cc, "")) return 0;
    snprintf(line, sizeof line, "%.200s -std=c99 -O1", cc);
    test_compiled(line, "");
    for (size_t i = 0; every && *every && i < sizeof all / sizeof *all; i++) {
        snprintf(line, sizeof line, "%.*s", (int)strcspn(all[i][0], " "), all[i][0]);
        if (!command("command -v %C > /dev/null 2>&1", line, "") || (*all[i][1] && !command("command -v %C > /dev/null 2>&1", all[i][1], ""))) { printf("skipped: %s (not installed)\n", all[i][0]); continue; }
        test_compiled(all[i][0], all[i][1]);
        count++;
    }
    return count + 1;
}

// ---- what has no C form
static nn_tensor *net_noisy(nn_scope s, nn_tensor *x) {
    nn_scope l = nn_in(s, "noise");
    return nn_leave(l, nn_dropout(x, 0.5, 1));
}
static nn_tensor *net_random(nn_scope s, nn_tensor *x) { return nn_add(x, nn_uniform(s.ctx, NN_F32, NN_SHAPE(3), 0, 1)); }
static nn_tensor *net_counts(nn_scope s, nn_tensor *x) { return s.mode == NN_TRAIN || nn_assign(nn_state(s, "last", NN_F32, NN_SHAPE(2, 3)), x) ? nn_relu(x) : NULL; }
static nn_tensor *net_half(nn_scope s, nn_tensor *x) { return (void)s, nn_cast(nn_relu(nn_cast(x, NN_BF16)), NN_F32); }
static nn_tensor *net_classes(nn_scope s, nn_tensor *x) { return (void)s, nn_cast(x, NN_I32); }
static nn_tensor *net_fails(nn_scope s, nn_tensor *x) { return (void)s, nn_add(x, nn_transpose(x, 0, 1)); }
static void test_refusals(void) {
    static const struct { nn_net net; nn_status code; const char *part; } cases[] = {{net_noisy, NN_ERR_PLAN, "export: op 'dropout' (noise) has no C form"},
        {net_random, NN_ERR_PLAN, "op 'uniform' (outside of layers)"}, {net_counts, NN_ERR_PLAN, "op 'assign'"}, {net_half, NN_ERR_DTYPE, "export: cast is bf16"},
        {net_classes, NN_ERR_DTYPE, "export: the output is i32"}, {net_fails, NN_ERR_SHAPE, "do not broadcast"}};
    nn_ctx     *c = quiet_ctx(1), *shapes, *fork;
    nn_tensor  *x = nn_keep(nn_ones(c, NN_F32, NN_SHAPE(2, 3))), *y;
    nn_model   *m, *wide;
    nn_plan    *plan;
    path        p, beside;
    char       *text;
    FILE       *f = fopen(in_folder(&p, "refused", ".c"), "w");
    if (f) { fputs("old", f); fclose(f); }
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        m = nn_model_new(c, cases[i].net, NULL);
        CHECK(!nn_export_c(m, x, p.s) && failed_with(c, cases[i].code, cases[i].part));
        text = get_file(p.s);
        CHECK(text && !strcmp(text, "old") && !has_file(in_folder(&beside, "refused", ".c.partial"))); /* an older file stays */
        free(text);
        remove(p.s);
        CHECK(!nn_export_c(m, x, p.s) && failed_with(c, cases[i].code, cases[i].part) && !has_file(p.s) && !has_file(beside.s));
        f = fopen(p.s, "w");
        if (f) { fputs("old", f); fclose(f); }
    }
    m = nn_model_new(c, net_relu, NULL);
    CHECK(!nn_export_c(m, nn_cast(x, NN_F64), p.s) && failed_with(c, NN_ERR_DTYPE, "export: the input is f64"));
    wide = nn_model_new(c, net_relu, NULL);
    nn_model_dtype(wide, NN_F64);
    CHECK(!nn_export_c(wide, x, p.s) && failed_with(c, NN_ERR_DTYPE, "does not promote"));
    CHECK(!nn_export_c(NULL, x, p.s) && failed_with(c, NN_ERR_NULL, "the model is NULL"));
    CHECK(!nn_export_c(m, NULL, p.s) && failed_with(c, NN_ERR_NULL, "the example is NULL"));
    CHECK(!nn_export_c(m, x, NULL) && failed_with(c, NN_ERR_NULL, "path is NULL"));
    CHECK(!nn_export_c(NULL, NULL, NULL));
    CHECK(!nn_export_c(m, x, "no such folder/net.c") && failed_with(c, NN_ERR_FILE, "cannot be written"));
    CHECK(!nn_export_c(nn_model_new(c, NULL, NULL), x, p.s) && failed_with(c, NN_ERR_ARG, "no network function"));
    y = nn_ones(c, NN_F32, NN_SHAPE(2, 3));
    nn_reset(c);
#if !NN__SEPARATE_BLOCKS
    CHECK(!nn_export_c(m, y, p.s) && failed_with(c, NN_ERR_CONTEXT, "dropped"));
#else
    (void)y;
#endif
    shapes = nn_fork_shapes(c);
    CHECK(!nn_export_c(m, nn_ones(shapes, NN_F32, NN_SHAPE(2, 3)), p.s) && failed_with(shapes, NN_ERR_ARG, "no data"));
    plan = nn_plan_begin(c, NULL);
    CHECK(!nn_export_c(m, x, p.s) && nn_error(c));
    nn_error_clear(c);
    nn_plan_free(plan);
    fork = nn_fork(c); /* from a context that shares the model */
    nn_error_clear(c);
    CHECK(nn_export_c(m, x, p.s) && nn_export_c(m, nn_transpose(nn_ones(fork, NN_F32, NN_SHAPE(3, 4)), 0, 1), p.s)); /* a strided example */
    remove(p.s);
    CHECK(nn_error(c) == NN_OK && nn_error(fork) == NN_OK);
    nn_end(c);
}
static void test_names(void) {
    static const char *const names[][2] = {{"model.c", "model"}, {"a.b/digits-2.c", "digits_2"}, {"/x/3rd net.c", "model_3rd_net"}, {"x\\y.v2.c", "y_v2"}, {"plain", "plain"}, {"folder/.c", "model_"}, {"", "model_"}};
    char room[200], few[8];
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        nn__c_name(names[i][0], room, sizeof room);
        check(!strcmp(room, names[i][1]), names[i][0], __LINE__);
    }
    nn__c_name("something long.c", few, sizeof few);
    CHECK(!strcmp(few, "somethi"));
}

// ---- memory runs out at every call
typedef struct counted { int64_t blocks, left; } counted; /* left < 0: no end */
static void *counted_alloc(void *user, size_t size) {
    counted *h = (counted *)user;
    if (h->left == 0) return NULL;
    if (h->left > 0) h->left--;
    h->blocks++;
    return malloc(size ? size : 1);
}
static void counted_free(void *user, void *p, size_t size) {
    (void)size;
    if (p) ((counted *)user)->blocks--;
    free(p);
}
static void test_memory(void) {
    int64_t at = 0;
    for (int done = 0; !done && at < 2000; at++) {
        counted    heap = {0, -1};
        nn_config  g = nn_config_defaults();
        nn_ctx    *c;
        nn_model  *m;
        nn_tensor *x;
        path       p, beside;
        g.quiet = 1; g.threads = 1; g.alloc = counted_alloc; g.release = counted_free; g.alloc_user = &heap;
        c = nn_begin(&g);
        m = nn_model_new(c, net_residual, NULL);
        x = nn_keep(nn_ones(c, NN_F32, NN_SHAPE(2, 3)));
        nn_model_build(m, NN_F32, NN_SHAPE(2, 3));
        in_folder(&p, "memory", ".c");
        heap.left = at;
        done      = nn_export_c(m, x, p.s);
        heap.left = -1;
        if (!done && (nn_error(c) != NN_ERR_MEMORY || has_file(p.s) || has_file(in_folder(&beside, "memory", ".c.partial")))) { CHECK(!"out of memory was not noticed"); done = 1; }
        remove(p.s);
        nn_error_clear(c);
        if (!nn_predict(m, x)) { CHECK(!"the context cannot go on"); done = 1; }
        nn_end(c);
        if (heap.blocks) { CHECK(!"memory is left"); done = 1; }
    }
    CHECK(at > 3 && at < 2000);
}

int main(void) {
    FILE *f = fopen("build/export_test_in.bin", "wb");
    int   compilers;
    if (f) { fclose(f); folder = "build/"; }
    add_nets();
    test_files();
    CHECK(put_program());
    compilers = test_compilers();
    if (!compilers) printf("skipped: what was exported is not compiled (no C compiler, or programs cannot be called)\n");
    test_refusals();
    test_names();
    test_memory();
    for (int i = 0; i < n_nets; i++) { free(nets[i].x); free(nets[i].y); }
    printf("export: %d passed, %d failed%s\n", passed, failed, compilers ? "" : ", 1 skipped");
    return failed != 0;
}
#endif
