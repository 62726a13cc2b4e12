/* Two networks of convolutions, for tests: golden_nets.py has them in PyTorch, with the same names. */

/* x [N,1,28,28] -> [N,10]; after LeCun et al. 1998 */
static nn_tensor *lenet(nn_scope s, nn_tensor *x) {
    x = nn_relu(nn_layer_conv(s, "conv1", x, 6, 5, 1, 2));
    x = nn_max_pool(x, 2, 2, 0); /* [N,6,14,14] */
    x = nn_relu(nn_layer_conv(s, "conv2", x, 16, 5, 1, 0));
    x = nn_avg_pool(x, 2, 2, 0); /* [N,16,5,5] */
    x = nn_relu(nn_layer_linear(s, "fc1", nn_flatten(x, 1), 120));
    x = nn_relu(nn_layer_linear(s, "fc2", x, 84));
    return nn_layer_linear(s, "fc3", x, 10);
}

static nn_tensor *conv_norm(nn_scope s, const char *conv, const char *norm, nn_tensor *x, int64_t out, int64_t kernel, int64_t stride) {
    nn_conv_options o = nn_conv_defaults();
    o.stride  = NN_SHAPE(stride);
    o.padding = NN_SHAPE(kernel / 2);
    o.no_bias = 1;
    return nn_layer_batchnorm(s, norm, nn_layer_conv_with(s, conv, x, out, NN_SHAPE(kernel), &o));
}
static nn_tensor *block(nn_scope s, nn_tensor *x, int64_t out, int64_t stride) { /* a stage of one block: names like layer2.0.conv1 */
    nn_scope   b = nn_in(s, "0"), d;
    nn_tensor *y = nn_relu(conv_norm(b, "conv1", "bn1", x, out, 3, stride));
    y = conv_norm(b, "conv2", "bn2", y, out, 3, 1);
    if (stride > 1) {
        d = nn_in(b, "downsample");
        x = nn_leave(d, conv_norm(d, "0", "1", x, out, 1, stride));
    }
    return nn_leave(s, nn_leave(b, nn_relu(nn_add(y, x))));
}
/* x [N,3,H,W] -> [N,10]; He et al. 2016, of one block a stage */
static nn_tensor *resnet(nn_scope s, nn_tensor *x) {
    x = nn_relu(conv_norm(s, "conv1", "bn1", x, 8, 3, 1));
    x = block(nn_in(s, "layer1"), x, 8, 1);
    x = block(nn_in(s, "layer2"), x, 16, 2);
    x = block(nn_in(s, "layer3"), x, 32, 2);
    return nn_layer_linear(s, "fc", nn_global_avg_pool(x), 10);
}
