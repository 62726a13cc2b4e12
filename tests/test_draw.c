// Pictures of plans: both files are whole, the SVG is balanced XML, the DOT has its brackets and quotes, every node is there,
// any name is escaped, drawing leaves nothing behind, and what cannot be drawn or written is an error.
#define NN_IMPLEMENTATION
#include "nn.h"

static int passed, failed;
static void check(int ok, const char *what, int line) {
    if (ok) passed++;
    else { failed++; printf("test_draw.c:%d: %s\n", line, what); }
}
#define CHECK(x) check((x) != 0, #x, __LINE__)

#define SVG "build/draw.svg"
#define DOT "build/draw.dot"

// ---- an allocator that counts, and fails once
typedef struct heap { long calls, fail_at, blocks; } heap;
static void *heap_alloc(void *user, size_t size) {
    heap *h = (heap *)user;
    void *p = ++h->calls == h->fail_at ? NULL : malloc(size);
    h->blocks += p != NULL;
    return p;
}
static void heap_release(void *user, void *p, size_t size) {
    (void)size;
    ((heap *)user)->blocks -= p != NULL;
    free(p);
}
static nn_ctx *heap_ctx(heap *h) {
    nn_config g = nn_config_defaults();
    memset(h, 0, sizeof *h);
    g.quiet   = 1;
    g.threads = 1;
    g.alloc   = heap_alloc; g.release = heap_release; g.alloc_user = h;
    return nn_begin(&g);
}
static int failed_with(nn_ctx *c, nn_status code, const char *part) { /* and go on */
    int ok = nn_error(c) == code && strstr(nn_error_text(c), part) != NULL;
    if (!ok) printf("   got %d: %s\n", (int)nn_error(c), nn_error_text(c));
    nn_error_clear(c);
    return ok;
}

// ---- what a browser would accept, and what dot would
static char *slurp(const char *path) { /* NULL: not there */
    FILE  *f = fopen(path, "rb");
    char  *s = (char *)malloc(1 << 24);
    size_t n = f && s ? fread(s, 1, (1 << 24) - 1, f) : 0;
    if (f) fclose(f);
    if (!f || !s || strlen(memset(s + n, 0, 1) ? s : "") != n) { free(s); return NULL; } /* no zero bytes either */
    return s;
}
static int count(const char *s, const char *what) {
    int n = 0;
    for (; s && (s = strstr(s, what)) != NULL; s++) n++;
    return n;
}
static const char *entity(const char *s) { /* after a good one at s; NULL: a bad one */
    static const char *const good[] = {"&lt;", "&gt;", "&amp;", "&quot;", "&#8595;", "&#8593;"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        if (!strncmp(s, good[i], strlen(good[i]))) return s + strlen(good[i]);
    return NULL;
}
static const char *text_until(const char *s, char end) { /* text or an attribute's value up to `end`; NULL: not well-formed */
    while (s && *s && *s != end) {
        if (*s == '<' || (*s < 32 && *s != '\n') || *s > 126) return NULL;
        s = *s == '&' ? entity(s) : s + 1;
    }
    return s && *s == end ? s : NULL;
}
static int is_xml(const char *s) { /* one element, all tags closed in order, attributes quoted and named once */
    const char *open[64];
    int         depth = 0, roots = 0;
    if (!s) return 0;
    while ((s = text_until(s, depth || *s == '<' ? '<' : '\n')) != NULL) {
        size_t n;
        if (*s == '\n') return depth == 0 && roots == 1 && s[1] == 0;
        if (*++s == '/') {
            n = strcspn(++s, ">");
            if (!depth || strncmp(open[--depth], s, n) || strcspn(open[depth], " />") != n) return 0;
            s += n + 1;
            continue;
        }
        n = strcspn(s, " />");
        if (!n || depth == 64) return 0;
        roots += depth == 0;
        open[depth++] = s;
        for (s += n; *s == ' ';) {
            const char *name = ++s;
            n = strcspn(s, "= />");
            for (const char *k = open[depth - 1]; k < name; k++) /* twice? */
                if (k[0] == ' ' && !strncmp(k + 1, name, n + 2) && k + 1 != name) return 0;
            if (s[n] != '=' || s[n + 1] != '"' || (s = text_until(s + n + 2, '"')) == NULL) return 0;
            s++;
        }
        if (*s == '/') { depth--; s++; }
        if (*s++ != '>') return 0;
    }
    return 0;
}
static int is_dot(const char *s) { /* brackets and quotes close, nothing but ASCII */
    int braces = 0, brackets = 0, quoted = 0;
    if (!s || strncmp(s, "digraph ", 8)) return 0;
    for (; *s; s++) {
        if ((*s < 32 && *s != '\n') || *s > 126 || (quoted && *s == '\n')) return 0;
        if (quoted && *s == '\\') { if (!*++s) return 0; continue; }
        if (*s == '"') quoted = !quoted;
        if (quoted) continue;
        braces += (*s == '{') - (*s == '}');
        brackets += (*s == '[') - (*s == ']');
        if (braces < 0 || brackets < 0 || brackets > 1) return 0;
    }
    return !braces && !brackets && !quoted;
}
// Draws both; how many boxes they hold, -1 if they differ or are no pictures
static int boxes_of(nn_plan *p) {
    char *svg, *dot;
    int   n = -1, m = -1;
    remove(SVG);
    remove(DOT);
    if (!nn_plan_svg(p, SVG) || !nn_plan_dot(p, DOT)) return -1;
    svg = slurp(SVG);
    dot = slurp(DOT);
    if (is_xml(svg)) n = count(svg, "<g><rect");
    if (is_dot(dot)) m = count(dot, " [shape=");
    free(svg);
    free(dot);
    return n == m ? n : -1;
}
static int holds(const char *path, const char *what) {
    char *s = slurp(path);
    int   n = count(s, what);
    free(s);
    return n;
}

// ---- networks
static nn_tensor *mlp(nn_scope s, nn_tensor *x) {
    x = nn_layer_linear_act(s, "fc1", x, 8, NN_ACT_RELU);
    return nn_layer_linear(s, "fc2", nn_layer_dropout(s, x, 0.2), 3);
}
static int        blocks = 3;
static nn_tensor *residual(nn_scope s, nn_tensor *x) {
    x = nn_layer_linear(s, "in", x, 8);
    for (int i = 0; i < blocks; i++) {
        nn_scope   h = nn_in_i(s, "h", i);
        nn_tensor *z = nn_gelu(nn_layer_linear(h, "up", nn_layer_layernorm(h, "norm", x), 16));
        x = nn_leave(h, nn_add(x, nn_layer_linear(h, "down", z, 8)));
    }
    return nn_layer_linear(s, "out", x, 3);
}
// A training step (2), forward and backward (1), or forward only (0), as a plan
static nn_plan *step_of(nn_ctx *c, nn_net net, const char *skip, int how) {
    nn_model       *m = nn_model_new(c, net, NULL);
    nn_optim       *o = nn_adam(m, 0.01f);
    nn_tensor      *x = nn_keep(nn_ones(c, NN_F32, NN_SHAPE(5, 4))), *y = nn_keep(nn_zeros(c, NN_I32, NN_SHAPE(5))), *loss;
    nn_plan_options options = nn_plan_defaults();
    nn_plan        *p;
    options.skip = skip;
    nn_model_build(m, NN_F32, NN_SHAPE(5, 4));
    p    = nn_plan_begin(c, &options);
    x    = nn_plan_input(p, "x", x);
    y    = nn_plan_input(p, "y", y);
    loss = nn_cross_entropy(nn_forward(m, x), y);
    if (how) nn_backward(loss);
    if (how == 2) nn_step(o);
    nn_plan_end(p, &loss, 1);
    return p;
}

// ---- an op of the user's, of any name
static int  shape_own(nn_node *n, nn_spec *out) { nn_spec_like(out, n->in[0]); return 1; }
static void run_own(nn_node *n) { memcpy(nn_f32(n->out[0]), nn_f32(n->in[0]), (size_t)nn_numel(n->in[0]) * sizeof(float)); }
static nn_op own_op(const char *name) {
    nn_op op;
    memset(&op, 0, sizeof op);
    op.name = name; op.n_in = 1; op.n_out = 1;
    op.shape = shape_own; op.run = run_own;
    return op;
}

static void test_nodes(void) {
    static const struct { nn_net net; const char *skip; int how, others; } cases[] = { /* others: inputs, parameters, the gradient that backward begins with */
        {mlp, NULL, 0, 2 + 4}, {mlp, NULL, 1, 2 + 4 + 1}, {mlp, NULL, 2, 2 + 4 + 1}, {mlp, "all", 2, 2 + 4 + 1},
        {residual, NULL, 0, 2 + 4 + 18}, {residual, "all", 1, 2 + 4 + 18 + 1}, {residual, NULL, 2, 2 + 4 + 18 + 1}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        heap     h;
        nn_ctx  *c = heap_ctx(&h);
        nn_plan *p = step_of(c, cases[i].net, cases[i].skip, cases[i].how);
        CHECK(boxes_of(p) == nn_plan_stats_of(p).nodes + cases[i].others);
        CHECK(holds(SVG, ">backward &#8593;<") == (cases[i].how > 0) && holds(SVG, ">optimiser<") == (cases[i].how > 0));
        CHECK((holds(DOT, "dir=back") > 0) == (cases[i].how > 0) && (holds(DOT, "label=\"backward\"") > 0) == (cases[i].how > 0));
        CHECK(holds(SVG, cases[i].net == mlp ? ">fc2</text>" : ">h.2</text>") >= 1); /* a frame, with its name */
        CHECK(nn_error(c) == NN_OK);
        nn_end(c);
        CHECK(h.blocks == 0);
    }
    remove(SVG);
    remove(DOT);
}

static void test_names(void) {
    heap       h;
    nn_ctx    *c = heap_ctx(&h);
    nn_op      first = own_op("a<b>&\"c\""), second = own_op("d\\n\n\x80]};--"), third = own_op("a name that is much longer than the forty letters that a box is wide");
    nn_tensor *x = nn_keep(nn_ones(c, NN_F32, NN_SHAPE(2, 3))), *y, *out[3];
    nn_plan   *p = nn_plan_begin(c, NULL);
    x = nn_plan_input(p, "x", x);
    nn_apply(&first, &x, 1, NULL, &out[0]);
    nn_apply(&second, &out[0], 1, NULL, &out[1]);
    nn_apply(&third, &out[1], 1, NULL, &out[2]);
    y = nn_mul(out[2], nn_full(c, NN_F32, NN_SCALAR, 3));
    nn_plan_end(p, &y, 1);
    CHECK(nn_plan_run(p) && nn_get(y, NN_SHAPE(1, 1)) == 3);
    CHECK(boxes_of(p) == 4 + 2);
    CHECK(holds(SVG, ">a&lt;b&gt;&amp;&quot;c&quot;<") == 1 && holds(DOT, "\"a&lt;b&gt;&amp;&quot;c&quot;\\n[2,3]\"") == 1);
    CHECK(holds(SVG, ">d\\n??]};--<") == 1 && holds(DOT, "\"d\\\\n??]};--\\n[2,3]\"") == 1);
    CHECK(holds(SVG, ">a name that is much longer than the fo...<") == 1);
    CHECK(holds(SVG, ">op of your own<") == 1 && holds(SVG, ">3<") == 1); /* the constant's value */
    nn_end(c);
    CHECK(h.blocks == 0);
    remove(SVG);
    remove(DOT);
}

static void test_errors(void) {
    heap     h;
    nn_ctx  *c = heap_ctx(&h);
    nn_plan *p = step_of(c, mlp, NULL, 2), *q;
    CHECK(!nn_plan_svg(p, "build/no/such/folder/x.svg") && failed_with(c, NN_ERR_FILE, "build/no/such/folder/x.svg"));
    CHECK(!nn_plan_dot(p, "build/no/such/folder/x.dot") && failed_with(c, NN_ERR_FILE, "plan_dot"));
    CHECK(!nn_plan_svg(p, NULL) && failed_with(c, NN_ERR_NULL, "path is NULL"));
    CHECK(!nn_plan_svg(NULL, SVG) && !nn_plan_dot(NULL, DOT) && nn_error(c) == NN_OK);
    q = nn_plan_begin(c, NULL);
    CHECK(!nn_plan_svg(q, SVG) && failed_with(c, NN_ERR_PLAN, "nn_plan_end comes first"));
    CHECK(!nn_plan_dot(q, DOT) && failed_with(c, NN_ERR_PLAN, "nn_plan_end comes first"));
    CHECK(slurp(SVG) == NULL && slurp(DOT) == NULL); /* what fails leaves no file */
    CHECK(nn_plan_end(q, NULL, 0) && boxes_of(q) == 0); /* a plan of nothing */
    nn_fail(c, NN_ERR_ARG, "an error before");
    CHECK(!nn_plan_svg(p, SVG) && failed_with(c, NN_ERR_ARG, "an error before"));
    nn_end(c);
    CHECK(h.blocks == 0);
}

static void test_freed_model(void) { /* its names are gone */
    heap       h;
    nn_ctx    *c = heap_ctx(&h);
    nn_model  *m = nn_model_new(c, mlp, NULL);
    nn_tensor *x = nn_keep(nn_ones(c, NN_F32, NN_SHAPE(5, 4))), *y;
    nn_plan   *p;
    nn_model_build(m, NN_F32, NN_SHAPE(5, 4));
    p = nn_plan_begin(c, NULL);
    y = nn_forward(m, nn_plan_input(p, "x", x));
    nn_plan_end(p, &y, 1);
    nn_model_free(m);
    CHECK(!nn_plan_svg(p, SVG) && failed_with(c, NN_ERR_PLAN, "freed"));
    nn_end(c);
    CHECK(h.blocks == 0);
}

static void test_memory(void) { /* each allocation of the drawing fails once */
    blocks = 40; /* more than the arena has room for */
    for (int dot = 0; dot < 2; dot++) {
        long calls = 1;
        for (long k = 0; k <= calls; k++) {
            heap     h;
            nn_ctx  *c = heap_ctx(&h);
            nn_plan *p = step_of(c, residual, NULL, 2);
            long     before = h.calls;
            size_t   step = nn_memory(c).step_now;
            int      drawn;
            h.fail_at = k ? before + k : 0;
            drawn     = dot ? nn_plan_dot(p, DOT) : nn_plan_svg(p, SVG);
            if (!k) calls = h.calls - before; /* how many there are */
            CHECK(drawn == !k && (!k || failed_with(c, NN_ERR_MEMORY, "out of memory")) && nn_memory(c).step_now == step);
            CHECK(boxes_of(p) > 0); /* again, with memory */
            nn_end(c);
            CHECK(h.blocks == 0);
        }
        CHECK(calls >= 2);
    }
    blocks = 3;
}

static void test_same(void) { /* drawing changes nothing: the same picture again, after runs, and the same values */
    heap     h;
    nn_ctx  *c = heap_ctx(&h);
    nn_plan *p = step_of(c, residual, NULL, 2);
    char    *first, *second;
    CHECK(boxes_of(p) > 0);
    first = slurp(SVG);
    CHECK(nn_plan_run(p) && boxes_of(p) > 0);
    second = slurp(SVG);
    CHECK(first && second && !strcmp(first, second));
    free(first);
    free(second);
    CHECK(nn_plan_run(p) && nn_error(c) == NN_OK);
    nn_end(c);
}

static void test_large(void) { /* thousands of nodes: a long chain, and a row that is wide */
    heap            h;
    nn_ctx         *c = heap_ctx(&h);
    nn_tensor      *x = nn_keep(nn_ones(c, NN_F32, NN_SHAPE(2, 2))), *y, *wide[400];
    nn_plan_options options = nn_plan_defaults();
    nn_plan        *p;
    options.skip = "all";
    p = nn_plan_begin(c, &options);
    y = x = nn_plan_input(p, "x", x);
    for (int i = 0; i < 2000; i++) y = i % 7 ? nn_tanh(y) : nn_add(y, x);
    for (int i = 0; i < 400; i++) wide[i] = nn_exp(y);
    y = nn_concat(wide, 400, 0);
    nn_plan_end(p, &y, 1);
    CHECK(boxes_of(p) == 2401 + 1);
    nn_end(c);
    remove(SVG);
    remove(DOT);
}

int main(void) {
    CHECK(is_xml("<a b=\"1\"><c/></a>\n") && !is_xml("<a><b></a></b>\n") && !is_xml("<a>&</a>\n") && !is_xml("<a b=1/>\n") && !is_xml("<a b=\"1\" b=\"2\"/>\n") && !is_xml("<a/><a/>\n"));
    CHECK(is_dot("digraph a { b [c=\"}\\\"\"]; }\n") && !is_dot("digraph a { b [c=\"}]; }\n") && !is_dot("digraph a { { }\n"));
    test_nodes();
    test_names();
    test_errors();
    test_freed_model();
    test_memory();
    test_same();
    test_large();
    printf("draw: %d passed, %d failed\n", passed, failed);
    return failed != 0;
}
