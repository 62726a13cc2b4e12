// Automatic differentiation, looked at closely: what the tape holds, and how backward reads it.
//   cc -O2 -I. -o autodiff examples/autodiff.c -lm -lpthread && ./autodiff
#define NN_IMPLEMENTATION
#include "nn.h"

static nn_tensor *f(nn_ctx *c, nn_tensor **x, void *user) {          /* for the check below */
    (void)c; (void)user;
    return nn_mul(nn_tanh(x[0]), nn_exp(x[1]));
}

int main(void) {
    nn_ctx    *c = nn_begin(NULL);
    nn_tensor *a, *b, *p, *y, *g[1], *gg[1], *x[2];
    nn_plan   *plan;
    double     worst;
    float      values[2];

    printf("1. Ops run at once, and each one that a gradient may need is written down.\n");
    a = nn_requires_grad(nn_full(c, NN_F32, NN_SCALAR, 3));          /* leaves: tensors that nobody computed */
    b = nn_requires_grad(nn_full(c, NN_F32, NN_SCALAR, 4));
    p = nn_retain_grad(nn_mul(a, b));                                /* p = a b = 12 */
    y = nn_add(nn_square(p), a);                                     /* y = p^2 + a = 147 */
    printf("   y = (a b)^2 + a = %g with a = %g, b = %g\n\n", nn_item(y), nn_item(a), nn_item(b));

    printf("2. Backward walks that list from y to its start. Each op turns the gradient of its\n"
           "   output into gradients of its inputs, and what reaches one tensor twice is added.\n");
    nn_backward(y);
    printf("   dy/dp = 2 p           = %g   (an intermediate: kept because of nn_retain_grad)\n", nn_item(nn_grad(p)));
    printf("   dy/da = 2 p b + 1     = %g   (a is used twice)\n", nn_item(nn_grad(a)));
    printf("   dy/db = 2 p a         = %g\n\n", nn_item(nn_grad(b)));

    printf("3. A gradient rule is made of ordinary ops, so backward can be recorded too:\n");
    nn_grad_of(y, NULL, &a, 1, g, NN_CREATE_GRAPH);                  /* 2 a b^2 + 1, as a tensor with a history */
    nn_grad_of(g[0], NULL, &a, 1, gg, 0);
    printf("   d2y/da2 = 2 b^2       = %g\n\n", nn_item(gg[0]));

    printf("4. Broadcasting is undone by summing. x is [2,3], the row r is [3]:\n");
    {
        nn_tensor *m = nn_reshape(nn_arange(c, NN_F32, 0, 6, 1), NN_SHAPE(2, 3));
        nn_tensor *r = nn_requires_grad(nn_ones(c, NN_F32, NN_SHAPE(3)));
        nn_backward(nn_sum(nn_mul(m, r), NN_ALL, 0));
        printf("   d(sum x r)/dr = column sums of x: ");
        nn_print(nn_grad(r));
    }

    printf("\n5. Never trust a gradient that was not checked against differences:\n");
    x[0]  = nn_normal(c, NN_F64, NN_SHAPE(2, 3), 0, 1);
    x[1]  = nn_normal(c, NN_F64, NN_SHAPE(3), 0, 1);
    worst = nn_gradcheck(f, x, 2, 2, NULL);
    printf("   tanh(x) e^y, second order: largest relative error %.1e\n", worst);

    printf("\n6. The list can be written down without running it, backward and all, and then run again and again:\n");
    plan = nn_plan_begin(c, NULL);
    a    = nn_plan_input(plan, "a", a);
    b    = nn_plan_input(plan, "b", b);
    y    = nn_add(nn_square(nn_mul(a, b)), a);
    nn_grad_of(y, NULL, &a, 1, g, NN_CREATE_GRAPH);
    nn_grad_of(g[0], NULL, &a, 1, gg, 0);
    x[0] = y; x[1] = gg[0];
    nn_plan_end(plan, x, 2);
    for (int i = 3; i < 6; i++) {
        values[0] = (float)i; values[1] = (float)i + 1;
        nn_plan_bind_data(plan, "a", &values[0]);
        nn_plan_bind_data(plan, "b", &values[1]);
        nn_plan_run(plan);
        printf("   a = %d, b = %d:  y = %g, d2y/da2 = %g\n", i, i + 1, nn_item(x[0]), nn_item(x[1]));
    }
    nn_plan_passes(plan);

    if (nn_error(c)) return 1;
    nn_end(c);
    return !(worst < 1e-6);
}
