// nn.h - neural networks in one C header                         public domain (MIT-0), see >>license
//
// Do this in ONE source file:            #define NN_IMPLEMENTATION
//                                        #include "nn.h"
// everywhere else:                       #include "nn.h"
// and compile:                           cc -O2 demo.c -lm -lpthread
// C99 or C++11, gcc or clang, no dependencies. New here? Read >>quickstart, then >>manual.
// To learn how it works, read the implementation from >>platform on: it is written to be read downwards.

// ---- >>contents -------------------------------------------------------------------------------------
//   >>quickstart       three complete programs
//   >>manual           numbered chapters, from three levels of use to threads and files
//   >>options          every macro that changes nn.h, in one table
//   >>config           compiler checks, NN_API
//   >>types            shapes, dtypes, tensors, ops, options
//   >>api              every public function, in order of use
//   >>platform         what differs between compilers and systems
//   >>error            one list of messages, the first failure is kept
//   >>memory           the allocator, the step arena, the pool of gradient blocks
//   >>rng              counter-based random numbers
//   >>shape            sizes, strides, broadcasting
//   >>tensor           headers over storage: create, read, write, print
//   >>threads          a small pool that never changes a result
//   >>dispatch         the instruction set is chosen once, at run time
//   >>gemm             cutting a matrix product for threads
//   >>tape             applying an op and writing it down
//   >>autodiff         walking the tape backwards
//   >>context          begin, fork, reset, end; the null backend
//   >>ops elementwise  one formula each
//   >>ops reduce       sums, extremes, running sums, sorting
//   >>ops linear       matmul, linear
//   >>ops norm         softmax, layer norm, losses, dropout
//   >>ops move         views, copies, gather, concat
//   >>ops matrix       small matrices: Cholesky, triangular solve, inverse, determinant
//   >>ops list         all of them
//   >>losses           losses by name, metrics
//   >>models           names, parameters, scopes, initial values, summary
//   >>layers           linear, dropout, layer norm
//   >>optim            SGD, Adam, AdamW, clipping, schedules
//   >>data             arrays, csv, idx, batches, splits
//   >>files            safetensors
//   >>train            fit, evaluate
//   >>profile          where the time goes, and how far from the machine's limits
//   >>plan             a step, recorded once: passes, memory, recomputation, running
//   >>export           a model as one C file without nn.h
//   >>kernels          the inner loops, compiled once per instruction set
//   >>license

#ifndef NN__PASS_ISA /* this file includes itself for >>kernels; everything up to there is skipped then */
#ifndef NN_NEURAL_H
#define NN_NEURAL_H
#define NN_NEURAL_VERSION 100 /* 0.1.00 */

/* ---- >>quickstart -----------------------------------------------------------------------------------

 1. The smallest training program (level 2: layers, and your own loop)

    #define NN_IMPLEMENTATION
    #include "nn.h"

    static nn_tensor *net(nn_scope s, nn_tensor *x) {               // a network is a function
        x = nn_tanh(nn_layer_linear(s, "hidden", x, 8));            // layers have names, input sizes are inferred
        return nn_layer_linear(s, "out", x, 1);
    }
    int main(void) {
        float     X[] = {0,0, 0,1, 1,0, 1,1}, Y[] = {0, 1, 1, 0};
        nn_ctx   *c = nn_begin(NULL);
        nn_model *m = nn_model_new(c, net, NULL);
        nn_optim *o = nn_adam(m, 0.05f);
        for (int i = 0; i < 500; i++) {
            nn_tensor *x = nn_wrap(c, X, NN_F32, NN_SHAPE(4, 2));
            nn_tensor *y = nn_wrap(c, Y, NN_F32, NN_SHAPE(4, 1));
            nn_backward(nn_mse(nn_forward(m, x), y));               // gradients of every parameter
            nn_step(o);                                             // use them up
            nn_reset(c);                                            // drop this step's tensors
        }
        nn_print(nn_predict(m, nn_wrap(c, X, NN_F32, NN_SHAPE(4, 2))));
        int failed = nn_error(c);                                   // one check for the whole program
        nn_end(c);
        return failed;
    }

 2. Train on a file, say how well, save (level 1: nn_fit)

    #define NN_IMPLEMENTATION
    #include "nn.h"

    static nn_tensor *net(nn_scope s, nn_tensor *x) {
        x = nn_relu(nn_layer_linear(s, "fc1", x, 128));
        return nn_layer_linear(s, "fc2", x, 10);
    }
    int main(void) {
        nn_ctx   *c = nn_begin(NULL);
        nn_data  *all = nn_data_csv(c, "examples/data/digits.csv", NULL), *train, *test;
        nn_data_split(all, 0.2, &train, &test);                     // the last column is the class
        nn_model *m = nn_model_new(c, net, NULL);
        nn_fit(m, train, NULL);                                     // NULL: good defaults
        printf("accuracy %.2f %%\n", 100 * nn_evaluate(m, test, NULL).accuracy);
        nn_save(m, "digits.safetensors");
        int failed = nn_error(c);
        nn_end(c);
        return failed;
    }

 3. Plain automatic differentiation (level 3: ops)

    #define NN_IMPLEMENTATION
    #include "nn.h"

    int main(void) {
        nn_ctx    *c = nn_begin(NULL);
        nn_tensor *w = nn_requires_grad(nn_full(c, NN_F32, NN_SHAPE(3), 2.0));
        nn_tensor *y = nn_sum(nn_mul(nn_exp(w), w), NN_ALL, 0);     // y = sum of w e^w
        nn_backward(y);
        nn_print(nn_grad(w));                                       // (1 + w) e^w = 22.167 each
        nn_end(c);
        return 0;
    }

   ---- >>manual ---------------------------------------------------------------------------------------
   Code in this manual is compiled by the tests. c is a context, m a model, s a scope, d a data set, x and y tensors.

   1. THREE LEVELS
   nn_fit trains a model on a data set. Below it: layers, whose parameters have names, in a loop of your own. Below
   those: ops on tensors, with gradients. Each level is built only from the one below, and all mix freely.

   2. CONTEXTS AND ERRORS
   Everything is made in a context: memory, thread pool, random numbers, the tape. Nothing in nn.h aborts, exits or is
   global. The first failure is kept, with the place, the op and the sizes, and printed as one line on stderr; every
   later call that would create or change something does nothing until nn_error_clear. All functions take NULL. So a
   program checks once, at the end, or wherever it likes:

      nn_config g = nn_config_defaults();
      g.threads = 2;                                   // or $NN_THREADS
      g.seed    = 42;
      nn_ctx *mine = nn_begin(&g);
      nn_tensor *z = nn_matmul(nn_ones(mine, NN_F32, NN_SHAPE(2, 3)), nn_ones(mine, NN_F32, NN_SHAPE(4, 5)));
      if (nn_error(mine)) puts(nn_error_text(mine));   // matmul: x [2,3], y [4,5]: 3 and 4 differ
      (void)z;                                         // NULL
      nn_end(mine);

   Option structs start as nn_config_defaults(), nn_fit_defaults(), ... , which are all zero ({0} in C, {} in C++ do the
   same): zero means default, and NN_ZERO asks for an exact zero where that is something else.

   3. TENSORS
   A tensor has up to 6 axes, row-major, of f32, f64, f16, bf16, i8, u8, i32 or i64. Sizes of 0 and 0-d tensors are
   legal. Views (reshape, permute, slice, select, expand) share the storage. Two operands broadcast as in NumPy; types
   are never converted silently: arithmetic is for real types (f16 and bf16 compute in f32), integers count and index.

      float      raw[6] = {1, 2, 3, 4, 5, 6};
      nn_tensor *a = nn_wrap(c, raw, NN_F32, NN_SHAPE(2, 3));      // your memory; nn_from copies
      nn_tensor *t = nn_transpose(a, 0, 1);                        // [3,2], no copy
      nn_tensor *e = nn_slice(a, 1, 0, NN_TO_END, 2);              // a[:, ::2]
      double     v = nn_get(t, NN_SHAPE(2, 0));                    // 3
      float     *p = nn_f32(nn_contiguous(t));                     // raw pointers need contiguous data
      nn_print(nn_sum(nn_mul(e, e), NN_AXES(0), 0));               // [17. 45.]
      (void)v; (void)p;

   4. MEMORY: EVERY OBJECT HAS ONE HOME AND ONE END
      object                            lives in                      ends
      activations, temporaries, tape    the step arena                nn_reset; nn_keep(x) copies one out
      gradients of parameters           the context that ran backward used up by nn_step; nn_zero_grad
      gradients inside backward         the pool                      after their last use
      kept tensors                      the context                   nn_drop, nn_end
      parameters, buffers               the model                     nn_model_free, nn_end
      optimiser state                   the optimiser                 nn_optim_free, nn_end
      run state (nn_state)              the context, by name          nn_state_clear, nn_end
      a batch                           the data object               the next nn_data_next
      scratch of kernels                the context, one a worker     nn_end
   nn_end frees all that was made in a context. Arenas grow by themselves and merge into one piece at nn_reset; after
   the first steps a training loop calls the allocator no more. nn_memory(c) reports. Call nn_reset once a step: without
   it memory only grows. Using a tensor after nn_reset is an error message where it can be recognised, and always with
   NN_DEBUG; without it, a stale pointer may show another tensor's values. Use after nn_drop is not recognised.

   5. GRADIENTS
   Ops run at once; those that a gradient may need are written on the tape. nn_backward walks it from the loss to its
   start and leaves gradients in the leaves: parameters, and tensors marked by nn_requires_grad. Several backwards
   before one step add up. An intermediate keeps its gradient if nn_retain_grad asked for it. nn_grad_of returns
   gradients instead, and NN_CREATE_GRAPH records the walk itself, for derivatives of any order:

      nn_tensor *w = nn_requires_grad(nn_full(c, NN_F64, NN_SCALAR, 3)), *dw, *ddw;
      nn_grad_of(nn_mul(nn_square(w), w), NULL, &w, 1, &dw, NN_CREATE_GRAPH);   // 3 w^2 = 27
      nn_grad_of(dw, NULL, &w, 1, &ddw, 0);                                     // 6 w   = 18

   nn_no_grad(c, 1) records nothing; nn_detach cuts one tensor off. A value that a gradient rule still needs may not be
   changed in place: backward notices and says which.

   6. MODELS, LAYERS AND NAMES
   A network is a function of a scope and a tensor. Layers ask the scope for parameters by name; sizes come from x.
   Names and shapes are PyTorch's ("h.3.fc.weight" [out,in]), so state dicts load by name.

      static nn_tensor *block(nn_scope l, nn_tensor *h) {                       // a layer of your own
          nn_tensor *z = nn_layer_linear(l, "fc", nn_layer_layernorm(l, "norm", h), nn_dim(h, -1));
          return nn_leave(l, nn_add(h, nn_gelu(z)));                            // later ops belong to the scope above
      }
      static nn_tensor *deep_net(nn_scope l, nn_tensor *h) {
          h = nn_layer_linear(l, "in", h, 32);
          for (int i = 0; i < 3; i++) h = block(nn_in_i(l, "h", i), h);         // "h.0", "h.1", "h.2"
          return nn_layer_linear(l, "out", nn_layer_dropout(l, h, 0.1), 10);
      }

   Before the first real run the network runs once on shapes alone; that declares all parameters, which are then made in
   one piece, each from hash(seed, name). After that the names are fixed. The same name twice shares a parameter.
   nn_forward is training mode, nn_predict evaluation without gradients. A network of any other signature is called by
   hand; its parameters are made as they are first named:

      nn_model  *pair = nn_model_new(c, NULL, NULL);
      nn_scope   top  = nn_enter(pair, c, NN_TRAIN);
      nn_tensor *both = nn_add(nn_layer_linear(top, "left", x, 4), nn_layer_linear(top, "right", y, 4));
      nn_backward(nn_mean(nn_square(both), NN_ALL, 0));
      nn_step(nn_sgd(pair, 0.1f, 0.9f));

   nn_buffer is saved but not trained (write it in training mode only); nn_state belongs to the context that runs.
   nn_summary prints layers, shapes, parameters and FLOPs without computing anything.

   7. TRAINING

      nn_fit_options f = nn_fit_defaults();
      f.epochs     = 3;
      f.validation = 0.1f;                               // a tenth is held out, the same share of each class
      f.clip       = 1.0f;                               // global gradient norm
      nn_history h = nn_fit(m, d, &f);                   // AdamW, warm-up and cosine decay unless told otherwise
      printf("%d epochs, last loss %g\n", h.epochs, h.epochs ? h.loss[h.epochs - 1] : NAN);

   is short for

      nn_optim *o = nn_adamw(m, 1e-3f, 0.01f);
      nn_batch  b;
      nn_set_lr(o, nn_lr_cosine(1e-3f, 100, 2000, 0));
      for (int epoch = 0; epoch < 3; epoch++)
          while (nn_data_next(d, &b)) {
              nn_backward(nn_cross_entropy(nn_forward(m, b.x), b.y));
              nn_clip_grad_norm(o, 1.0);
              nn_step(o);
              nn_reset(c);
          }

   Columns of different scale train badly. Subtract each column's mean and divide by its standard deviation; kept in
   buffers, both are saved with the model:

      static nn_tensor *scaled_net(nn_scope l, nn_tensor *h) {
          nn_tensor *mean = nn_buffer(l, "mean", NN_SHAPE(nn_dim(h, -1)), nn_init_zeros());
          nn_tensor *std  = nn_buffer(l, "std", NN_SHAPE(nn_dim(h, -1)), nn_init_const(1));
          return nn_layer_linear(l, "fc", nn_div(nn_sub(h, mean), std), 3);
      }

   and, once, with x all of the inputs:

      nn_model  *sm     = nn_model_new(c, scaled_net, NULL);
      nn_tensor *centre = nn_mean(x, NN_AXES(0), 0);
      nn_model_build(sm, NN_F32, nn_shape_of(x));
      nn_assign(nn_model_tensor(sm, c, "mean"), centre);
      nn_assign(nn_model_tensor(sm, c, "std"), nn_sqrt(nn_mean(nn_square(nn_sub(x, centre)), NN_AXES(0), 0)));

   Without a loss named, integer targets mean cross-entropy, real ones the mean squared error. Progress is a bar on a
   terminal, a line an epoch in a log, nothing with quiet.

   8. FILES
   nn_save writes safetensors to a file beside and renames it, so a crash leaves the old file whole. nn_load matches by
   name and says what is missing, left over or of another shape, before it changes anything. It may come before the
   first forward: the file then waits for the names. nn_optim_save adds the optimiser's state; nn_optim_load resumes.
   Load and run:

      nn_model *trained = nn_model_new(c, deep_net, NULL);
      nn_load(trained, "digits.safetensors");
      nn_tensor *out = nn_predict(trained, x);
      (void)out;

   Data: nn_data_csv (options: header, separator, regression, several targets; classes count from 0), nn_data_idx,
   nn_data_mnist, or two tensors with nn_data_new. All readers check every size.

   9. OPS OF YOUR OWN
   An op is a struct nn_op: name, shape rule, run, and a gradient rule made of ordinary ops (examples/custom_op.c). Its
   attributes are plain data copied into the node. Check it with nn_gradcheck. An element-wise op inside nn.h is its
   formula, its rule and one word in NN__UNARY_OPS.

   10. THREADS, AND THE SAME BITS
   Large ops use a small pool of threads; small ones run where they are called. A result never depends on the number of
   threads: sums are split by their shape alone. It may depend on the instruction set (fused multiply-add), and on the
   shape: a row of a batch and the same row alone can differ in the last bit. One context belongs to one thread at a
   time. For more, fork it: forks share pool and models, and nn_step_from adds their gradients in the order given
   (examples/threads.c). Build the model before sharing it.
   Random numbers are a function of (seed, op, step, element): the same seed gives the same run.

   11. WHERE THE TIME GOES
   nn_profile notes every op: calls, time, GFLOP/s, GB/s, its share, and how close it comes to what this machine can
   do, which is measured at the start.

      nn_profile(c, 1);
      for (int i = 0; i < 20; i++) {
          nn_backward(nn_cross_entropy(nn_forward(m, x), y));
          nn_reset(c);
      }
      nn_profile(c, 0);
      nn_profile_print(c);                             // a table, the dearest op first
      nn_profile_trace(c, "trace.json");               // for chrome://tracing or ui.perfetto.dev

   nn_cpu_info(c) says which instruction set was chosen. What usually helps: larger batches; nn_layer_linear_act in place
   of a layer and an activation; for prediction nn_model_pack(m, 1), which keeps the weights as the kernels read them;
   bf16 weights and inputs, half the memory and faster where the CPU has AMX. What hurts: a batch of one in a loop,
   reading values between ops, no nn_reset.

   12. FROM TAPE TO PLAN
   Eager code is for reading and debugging: each op runs when it is called. A step that repeats need not be built anew
   each time. Between nn_plan_begin and nn_plan_end the same lines are written down and not run; forward, backward and the
   optimiser's step become one list of nodes. nn_plan_run walks it: to the same bits, without a call of the allocator, with
   the values in one block, laid out by their lifetimes.

      nn_optim *opt = nn_adam(m, 1e-3f);
      nn_batch  batch;
      nn_data_batch(d, 32, 1);                         // whole batches only: a plan is made for one shape
      nn_data_next(d, &batch);
      nn_plan   *p    = nn_plan_begin(c, NULL);
      nn_tensor *px   = nn_plan_input(p, "x", batch.x), *py = nn_plan_input(p, "y", batch.y);
      nn_tensor *loss = nn_cross_entropy(nn_forward(m, px), py);
      nn_backward(loss);
      nn_step(opt);
      nn_plan_end(p, &loss, 1);                        // loss is the plan's now: the value of the last run
      while (nn_data_next(d, &batch)) {
          nn_plan_bind(p, "x", batch.x);               // or nn_plan_bind_data: an array of yours
          nn_plan_bind(p, "y", batch.y);
          nn_plan_run(p);
          nn_reset(c);
      }
      nn_plan_report(p);                               // nodes, FLOPs, bytes, memory, times

   nn_fit does this by itself: a step whose recordings at two different steps are equal runs as a plan from then on, one plan
   a shape; once an epoch it is recorded and compared again. A step that looks at values stays as written, and the log says
   so. nn_fit_options.eager, or NN_EAGER=1 in the environment, turns it off. For nn_predict, nn_model_plan(m, 1) turns
   it on: there nobody looks again, so the net must do the same each time.

   What a plan holds on to. Tensors named by nn_plan_input are bound anew; parameters, buffers, nn_state and kept tensors are
   read and written where they are; what is made of known values meanwhile (nn_full, nn_from) is a constant of the plan.
   Tensors of an earlier step are refused. Random ops draw on as they would eagerly. Gradients that no nn_step uses up
   end in nn_grad, first written, then added to; among the lines themselves nn_grad is what these lines have given. Values cannot be read while a plan is recorded: nn_item, nn_get, nn_print
   are errors there, and what nn_clip_grad_norm returns is NaN. When a model or another thing that a plan uses is freed,
   nn_plan_run says so.

   Passes. The list is a program, and a pass is a small function from list to list. nn_plan_passes shows what each did;
   with options.trace also the nodes. Of y = tanh(x w + b), from nn_matmul, nn_add and nn_tanh, it prints

      // recorded: 3 nodes
      //     0  %1[4,8] = matmul  x[4,16], w[16,8]
      //     1  %2[4,8] = add  %1[4,8], b[8]
      //     2  %3[4,8] = tanh  %2[4,8]
      // dead nodes                0 changes,       3 -> 3 nodes   whose results nobody reads
      // constants                 0 changes,       3 -> 3 nodes   computed now, once
      // views                     0 changes,       3 -> 3 nodes   resolved: headers over the same bytes; copies where an op needs them
      // common subexpressions     0 changes,       3 -> 3 nodes   computed once
      // softmax and loss          0 changes,       3 -> 3 nodes   cross-entropy and its gradient in one pass over the rows
      // epilogues                 2 changes,       3 -> 1 nodes   bias, activation, residual in the last store of a product
      //     0  %3[4,8] = product+bias+tanh  x[4,16], w[16,8], b[8]

   and no more changes: a matrix product knows the element of y last, in a register; there the bias is added and tanh taken,
   and %1 and %2 never exist. Of a training step the most is gained by chains (element-wise ops over a tile that stays in
   the first cache), by optimiser steps that run as soon as their gradients are there, and by memory: a value's room is free
   after its last reader. options.skip leaves passes out by name; all of them change no bit. The only thing that does is
   one row times a weight that nn_model_pack packed (to 1e-6), unless options.exact forbids it.

   Recomputation. Backward needs the values of forward, and so all of them live at once: most of a training step's memory. A plan can
   drop some and compute them again when their turn comes: nn_checkpoint(block, s, x) keeps of a segment its result only;
   options.checkpoint = k keeps every k-th numbered block's; options.budget computes again what it must for that many
   bytes, cheapest first. Gradients stay the same to the bit. Eagerly, activations stay until nn_reset in any case.

   Small independent nodes, such as the heads of a block, run side by side on several threads. nn_plan_dot and nn_plan_svg draw
   the list; nn_export_c writes a trained net as one C file that needs nothing, not even nn.h.

   13. NUMERICS
   f32 exp, log, tanh, erf, sigmoid, sin and cos are within 2 ulp; long sums are pairwise; softmax, log-softmax and cross-entropy
   are stable. Products of f16 and bf16 are summed in f32 and rounded once; those of int8 (nn_matmul_i8) are exact. Where
   the CPU has AMX, bf16 products use it, and then denormals count as zero. With -ffast-math, checks for NaN and infinity
   are off, and these promises with them.

   14. DEVICES
   A tensor's storage knows its device: 0 is the host, 1 the context's backend (nn_config.backend), eight functions.
   What a backend cannot run runs on the host, over copies. nn_backend_null counts its calls and tests the plumbing.

   15. WHAT nn.h DOES NOT DO
   No Python, no package, no build system, no automatic download. No training across machines, cloud services, model
   zoo or IDE. No dtype promotion. No sparse tensors. Big-endian machines and MSVC's own compiler are refused (clang-cl
   works). Nothing is lazy: an op runs when it is called, or, in a plan, when the plan is run. Plans run on the host only.

   ---- >>options --------------------------------------------------------------------------------------
   Define before including nn.h; those marked * matter only where NN_IMPLEMENTATION is defined.

   macro                  what it does                                                          default
   NN_IMPLEMENTATION      this file gets the code, not only the declarations                    off
   NN_STATIC              every function is static: a private copy, with NN_IMPLEMENTATION      off
   NN_API                 your own linkage, __declspec(dllexport) for example                   extern
   NN_HEADER_NAME       * how nn.h finds itself for the kernel passes                           "nn.h"
   NN_NO_THREADS        * no threads, no pthread                                                off
   NN_NO_SIMD           * the portable scalar kernels only                                      off
   NN_NO_AVX512         * leave out one instruction set (also NN_NO_AVX2, _SSE2, _NEON)         off
   NN_NO_AMX            * leave out the tile instructions for bf16 and int8 (part of avx512)    off
   NN_NO_F64            * leave out the float64 kernels: compiles faster; f64 is then an error  off
   NN_USE_CBLAS         * large matrix products by a BLAS: includes <cblas.h>, or what          off
                          NN_CBLAS_HEADER names; link it (-lopenblas). It has threads of its
                          own, and results that may depend on their number
   NN_NO_STDIO          * no printing and no file access; snprintf is still used                off
   NN_MALLOC, NN_FREE,  * your allocator, all three or none: NN_MALLOC(size),                   malloc
     NN_REALLOC             NN_REALLOC(p, size), NN_FREE(p)
   NN_DEBUG             * dropped tensors stay recognisable: use after nn_reset is a message    off
   environment NN_THREADS number of threads; nn_config.threads wins                             all cores
   environment NN_ISA     scalar, sse2, avx2, avx512, neon: this one, or an error               best
   environment NN_QUIET   1: the first error is not printed on stderr                           off
   environment NN_EAGER   1: nn_fit and nn_predict make no plans                                off
*/

/* ---- >>config --------------------------------------------------------------------------------------- */
#if defined(NN_H_INCLUDED)
#error "nn.h: nanomsg's nn.h is included in the same file; the two share the prefix nn_ and cannot meet"
#endif
#if defined(_MSC_VER) && !defined(__clang__)
#error "nn.h: this compiler is not supported; use gcc or clang (clang-cl on Windows)"
#endif
#include <stddef.h>
#include <stdint.h>

#if defined(NN_STATIC)
#  define NN_API static __attribute__((unused))
#elif !defined(NN_API)
#  if defined(__cplusplus)
#    define NN_API extern "C"
#  else
#    define NN_API extern
#  endif
#endif
#define NN_NODISCARD __attribute__((warn_unused_result))
#if defined(__MINGW32__)
#  define NN_PRINTF(f, a) __attribute__((format(gnu_printf, f, a)))
#else
#  define NN_PRINTF(f, a) __attribute__((format(printf, f, a)))
#endif

/* ---- >>types ---------------------------------------------------------------------------------------- */
typedef struct nn_ctx    nn_ctx;     /* memory, threads, random numbers, tape, first error */
typedef struct nn_tensor nn_tensor;  /* a header (shape, strides) over counted storage */
typedef struct nn_node   nn_node;    /* one op on the tape */
typedef struct nn_op     nn_op;      /* what an op is */
typedef struct nn_model  nn_model;   /* named parameters and the function that uses them */
typedef struct nn_optim  nn_optim;   /* an optimiser and its state */
typedef struct nn_data   nn_data;    /* samples, cut into batches */
typedef struct nn_file   nn_file;    /* the tensors of a safetensors file */
typedef struct nn_plan   nn_plan;    /* a recorded step, ready to be run again */

typedef enum { NN_F32, NN_F64, NN_F16, NN_BF16, NN_I8, NN_U8, NN_I32, NN_I64, NN_DTYPES } nn_dtype;

typedef enum {
    NN_OK = 0,
    NN_ERR_MEMORY,  /* an allocation failed */
    NN_ERR_NULL,    /* NULL where an object is needed */
    NN_ERR_SHAPE,   /* sizes, axes, ranks */
    NN_ERR_DTYPE,   /* wrong or differing element types */
    NN_ERR_RANGE,   /* an index or label outside its range, a size that overflows */
    NN_ERR_ARG,     /* any other argument */
    NN_ERR_CONTEXT, /* operands of two contexts, a dropped tensor, a foreign copy of nn.h */
    NN_ERR_GRAD,    /* nothing to differentiate, a saved value was changed */
    NN_ERR_NAME,    /* parameters and their names */
    NN_ERR_FILE,    /* the file cannot be opened, read or written */
    NN_ERR_FORMAT,  /* the file is not what it should be */
    NN_ERR_DEVICE,  /* the backend failed, or the data is not on the host */
    NN_ERR_PLAN     /* what a plan cannot do: values it has yet to compute, an input that does not fit, a budget too small */
} nn_status;

/* A shape, and just as well a list of axes or an index. */
#define NN_MAX_DIMS 6
typedef struct nn_shape {
    int     ndim;              /* more than NN_MAX_DIMS: every use of it is an error */
    int64_t dim[NN_MAX_DIMS];
} nn_shape;

/* NN_SHAPE(64, 784): a compound literal in C, a template in C++. NN_SCALAR has no dimension, NN_ALL means every axis. */
#if defined(__cplusplus)
template <class... Sizes> inline nn_shape nn__shape_of(Sizes... sizes) {
    const int64_t list[] = {static_cast<int64_t>(sizes)..., 0};
    nn_shape      s      = nn_shape();
    s.ndim               = static_cast<int>(sizeof...(Sizes));
    for (int i = 0; i < s.ndim && i < NN_MAX_DIMS; i++) s.dim[i] = list[i];
    return s;
}
#  define NN_SHAPE(...) nn__shape_of(__VA_ARGS__)
#else
static inline nn_shape nn__shape_of(size_t n, const int64_t *list) {
    nn_shape s = {0, {0, 0, 0, 0, 0, 0}};
    s.ndim     = (int)n;
    for (int i = 0; i < s.ndim && i < NN_MAX_DIMS; i++) s.dim[i] = list[i];
    return s;
}
#  define NN_SHAPE(...) nn__shape_of(sizeof((const int64_t[]){__VA_ARGS__}) / sizeof(int64_t), (const int64_t[]){__VA_ARGS__})
#endif
static inline nn_shape nn__shape_none(void) {
    nn_shape s;
    s.ndim = 0;
    for (int i = 0; i < NN_MAX_DIMS; i++) s.dim[i] = 0;
    return s;
}
#define NN_SCALAR nn__shape_none()
#define NN_ALL    nn__shape_none()
#define NN_AXES   NN_SHAPE

#define NN_TO_END INT64_MAX /* nn_slice: up to the end */
#define NN_ZERO (-1e-30f) /* an option that is to be exactly zero where zero means "default" */

/* ---- what an op is: see the manual's chapter on ops of your own ---- */
typedef struct nn_cost { double flops, bytes; } nn_cost; /* multiply-add = 2 flops; bytes read and written */

typedef struct nn_spec {       /* what a shape rule says of one output */
    nn_dtype dtype;
    nn_shape shape;
    int      view_of;          /* NN_OP_VIEW only: the input whose storage the output shows ... */
    int64_t  stride[NN_MAX_DIMS], offset; /* ... with these strides and offset, in elements */
} nn_spec;

struct nn_node {
    const nn_op *op;
    nn_ctx      *ctx;
    nn_tensor  **in, **out;
    const void  *attr;         /* the op's plain data, op->attr_size bytes */
    int          n_in, n_out;
    uint32_t     stream;       /* of a random op: which one of this step */
    uint32_t    *versions;     /* of the inputs' and outputs' storage when the op ran; NULL if the gradient rule reads none */
    nn_node     *prev;         /* on the tape */
    const void  *place;        /* the scope that it was called in */
    uint32_t     phase;        /* in a plan: NN_PHASE_...; above them the nn_checkpoint segment, 0 none */
};

typedef struct nn_sample {     /* one test case of an op, made by its sample function */
    nn_tensor *in[8];
    int        n_in;
    const void *attr;
    uint64_t   room[8];        /* space for attr */
    int        no_grad;        /* bit i: input i has no gradient (labels) */
} nn_sample;

enum { NN_PHASE_BACK = 1, NN_PHASE_NO_GRAD = 2, NN_PHASE_SUM = 4, NN_PHASE_SEGMENT = 8 }; /* called by backward; without gradients (nn_predict); adds up gradients of one tensor; 1 segment */

enum {                         /* nn_op.flags */
    NN_OP_MAP       = 1 << 0,  /* element-wise */
    NN_OP_VIEW      = 1 << 1,  /* outputs share the input's storage; run is not called */
    NN_OP_RANDOM    = 1 << 2,  /* draws from the node's stream */
    NN_OP_WRITES    = 1 << 3,  /* changes its inputs: state, optimisers */
    NN_OP_DYNAMIC   = 1 << 4,  /* the output's shape depends on data */
    NN_OP_STRIDED   = 1 << 5,  /* run takes any strides; without it inputs arrive contiguous */
    NN_OP_NO_GRAD   = 1 << 6,  /* constant where it is differentiable (counts, comparisons): no gradient flows */
    NN_OP_FLOAT     = 1 << 9,  /* computes in f32 or f64: f16 and bf16 operands arrive as f32, f32 outputs are narrowed */
    NN_OP_SAVES_IN  = 1 << 7,  /* the gradient rule reads inputs: changing them in place is refused */
    NN_OP_SAVES_OUT = 1 << 8   /* likewise outputs */
};

struct nn_op {
    const char *name;
    int         n_in, n_out;   /* n_in < 0: any number, at least -n_in */
    size_t      attr_size;     /* equal bytes mean equal attributes: clear padding */
    unsigned    flags;
    int       (*shape)(nn_node *n, nn_spec *out);                         /* check inputs, describe outputs; 0: failed, after nn_fail */
    void      (*run)(nn_node *n);                                         /* compute out from in */
    void      (*grad)(nn_node *n, nn_tensor **dy, nn_tensor **dx);        /* dx[i] for every nn_wants(n, i), out of ops */
    void      (*grad_fast)(nn_node *n, nn_tensor **dy, nn_tensor **dx);   /* the same as fused kernels, or NULL */
    nn_cost   (*cost)(const nn_node *n);                                  /* NULL: bytes only */
    int       (*sample)(nn_ctx *c, nn_dtype real, int k, nn_sample *s);   /* the k-th test case; 0: no more */
    size_t      kernel;        /* built-in ops: place in the kernel table; yours: 0 */
};

/* ---- backends: where tensors of another device live (nn_cuda.h is one) ---- */
typedef struct nn_backend {
    const char *name;
    void       *self;
    void     *(*alloc)(void *self, size_t bytes);                                   /* NULL when full */
    void      (*release)(void *self, void *p, size_t bytes);
    int       (*copy)(void *self, void *to, const void *from, size_t bytes, int way); /* way: 0 host to device, 1 back, 2 within; 0: failed */
    int       (*sync)(void *self);
    int       (*run)(void *self, nn_node *n);                                       /* 1 done, 0 has no such op: nn.h runs it on the host, -1 failed */
    int       (*run_plan)(void *self, void *plan);                                  /* reserved for plans; may be NULL */
    void      (*close)(void *self);
} nn_backend;
typedef struct nn_null_counts { int64_t allocs, frees, copies, syncs, runs, refused; int refuse_all; } nn_null_counts;

/* ---- options: zero means default ---- */
typedef enum { NN_LOG_INFO, NN_LOG_WARN, NN_LOG_ERROR } nn_log_level;

typedef struct nn_config {
    int         threads;       /* 0: $NN_THREADS, else one a core; 1: serial */
    uint64_t    seed;          /* of all random numbers; 0 is a seed like any other */
    const char *isa;           /* "scalar", "sse2", "avx2", "avx512", "neon"; NULL: $NN_ISA, else the best */
    int         shape_only;    /* 1: tensors have no data: shapes, errors, parameters and cost without computing */
    int         quiet;         /* 1: do not print the first error */
    void      (*log)(void *user, nn_log_level level, const char *line); /* instead of stderr */
    void       *log_user;
    void     *(*alloc)(void *user, size_t size);                        /* both or none */
    void      (*release)(void *user, void *p, size_t size);
    void       *alloc_user;
    void      (*parallel)(void *user, int jobs, void (*job)(void *arg, int index), void *arg); /* your own thread pool: run job(arg, 0 ... jobs-1), return when all are done */
    void       *parallel_user;
    const nn_backend *backend; /* device 1 */
} nn_config;

typedef struct nn_memory_report { /* bytes; "now" counts what is in use, "held" what was taken from the allocator */
    size_t  now, peak;            /* everything this context took from the allocator */
    size_t  step_now, step_peak, step_held;    /* the step arena: tape, activations */
    size_t  pool_now, pool_peak, pool_held;    /* gradients and temporaries of backward */
    size_t  kept_now;             /* nn_keep, run state, models, optimisers, data */
    int64_t allocations;          /* calls of the allocator since nn_begin */
} nn_memory_report;

typedef enum { NN_TRAIN = 1, NN_EVAL = 2, NN_TEST = 3 } nn_mode; /* scopes: TRAIN or EVAL; data files: TRAIN or TEST */

/* A scope is handed down through the network: where we are in the tree of names, and for whom. */
typedef struct nn_scope {
    nn_ctx   *ctx;
    nn_model *model;
    void     *at;              /* node in the tree of names; NULL after an error */
    int       mode;            /* NN_TRAIN or NN_EVAL */
    int       lost;            /* a name that the model did not have when it was made: no parameters here */
} nn_scope;
typedef nn_tensor *(*nn_net)(nn_scope s, nn_tensor *x);
typedef nn_tensor *(*nn_loss)(nn_tensor *prediction, nn_tensor *target);

typedef struct nn_init { int kind; double a, b; } nn_init; /* made by nn_init_... */

typedef enum {
    NN_ACT_NONE, NN_ACT_RELU, NN_ACT_SIGMOID, NN_ACT_TANH, NN_ACT_GELU, /* so far nn_linear_act fuses them with the product */
    NN_ACT_GELU_TANH, NN_ACT_SILU, NN_ACT_MISH, NN_ACT_SOFTPLUS, NN_ACT_SOFTSIGN, NN_ACT_LOG_SIGMOID, NN_ACT_ELU, NN_ACT_SELU, NN_ACT_CELU, NN_ACT_LEAKY_RELU,
    NN_ACT_RELU6, NN_ACT_HARD_SIGMOID, NN_ACT_HARD_SWISH, NN_ACT_HARD_TANH, NN_ACT_EXP, NN_ACT_SOFTMAX, NN_ACTS
} nn_act;

typedef enum { NN_MEAN, NN_SUM, NN_NONE } nn_reduction; /* of a loss: 0-d, 0-d, or one value an element or row */

typedef struct nn_loss_options { /* each loss reads those that it names */
    nn_reduction reduction;
    nn_tensor   *weight;        /* cross_entropy: [C], a factor for each class; bce_logits: of the positive class, broadcasts */
    float        smoothing;     /* cross_entropy: this much of the target is spread over all classes */
    int          ignores;       /* cross_entropy: 1: rows labelled `ignore` do not count */
    int64_t      ignore;
    float        delta;         /* huber, smooth_l1: where squares become lines; 0: 1 */
    float        gamma, alpha;  /* focal; 0: 2 and 0.25; alpha NN_ZERO: no balancing */
    float        margin;        /* 0: cosine 0, others 1 */
    int          full;          /* poisson, gaussian_nll: 1: with the terms that do not depend on the prediction */
} nn_loss_options;

enum { NN_LR_POINTS = 8 };
typedef struct nn_lr {         /* made by nn_lr_... */
    int     kind, n;
    float   base, last, a, b;
    int64_t warmup, total, at[NN_LR_POINTS];
    float   value[NN_LR_POINTS];
    const struct nn_lr *first, *second;
} nn_lr;

typedef enum { NN_SGD, NN_ADAM, NN_ADAMW, NN_AMSGRAD, NN_NADAM, NN_ADAMAX, NN_RMSPROP, NN_ADAGRAD, NN_ADADELTA, NN_LION, NN_MUON, NN_OPTIMS } nn_optim_kind;
typedef struct nn_optim_options {
    nn_optim_kind kind;
    float         lr;                  /* 0: SGD, RMSprop, Adagrad 0.01, Adam, AdamW, AMSGrad, Muon 0.001, Nadam, Adamax 0.002, Adadelta 1, Lion 0.0001 */
    float         momentum;            /* SGD, RMSprop: 0: none; Muon: 0: 0.95 */
    float         dampening;           /* SGD: what the momentum leaves out of a gradient */
    int           nesterov;            /* SGD: 1: look ahead by the momentum */
    int           centred;             /* RMSprop: 1: variance instead of mean square */
    float         beta1, beta2;        /* 0: 0.9, 0.999; Lion 0.9, 0.99. beta2 is also RMSprop's and Adadelta's decay: 0: 0.99, 0.9 */
    float         eps;                 /* 0: 1e-8; Adagrad 1e-10, Adadelta 1e-6 */
    float         weight_decay;        /* 0: AdamW 0.01, Muon 0.1, others none; NN_ZERO: none */
    float         average;             /* keep an average of the weights, see nn_optim_swap: 0 < d < 1 moves it by 1 - d a step (EMA), 1 is the plain mean (SWA) */
    int64_t       average_from, average_every; /* from this step on, every so many steps; 0: 0, 1 */
} nn_optim_options;

typedef struct nn_csv_options {
    int   header;              /* 1: the first line holds names */
    char  separator;           /* 0: ',' */
    int   target;              /* columns at the end that are targets; 0: 1 */
    int   regression;          /* 1: targets are real numbers; 0: one class number per line */
    float scale;               /* inputs are multiplied by this; 0: 1 */
    int   missing;             /* inputs that are empty, ?, NA or NaN: 0: an error, NN_CSV_NAN, NN_CSV_MEAN (of the column's others), NN_CSV_SKIP (the line) */
    int   text;                /* 1: classes are names, numbered in the order of the alphabet: nn_data_class */
} nn_csv_options;
enum { NN_CSV_NAN = 1, NN_CSV_MEAN, NN_CSV_SKIP };

typedef enum { NN_SCALE_STANDARD, NN_SCALE_MIN_MAX, NN_SCALE_ROBUST } nn_scaling; /* (x - mean) / std; to 0 ... 1; (x - median) / (quartile 3 - quartile 1) */

typedef struct nn_batch {
    nn_tensor     *x, *y;      /* [n, ...] and [n] (classes, i32) or [n, targets] (real); until the next nn_data_next */
    int64_t        n;
    const int64_t *index;      /* which samples these are */
} nn_batch;

typedef struct nn_plan_options {
    const char *skip;          /* names of passes to leave out, as nn_plan_passes prints them: "chains, in place"; "all": none runs */
    int         exact;         /* 1: the bits of the eager run; 0: also what rounds differently, to 1e-6 (packed weights for one row) */
    int         checkpoint;    /* k: of the numbered blocks ("h.0", "h.1", ...) only every k-th keeps its output, the others are computed again */
    size_t      budget;        /* bytes that the plan's block may take; what does not fit is computed again. 0: no limit */
    int         serial;        /* 1: no branches side by side */
    int         trace;         /* 1: nn_plan_passes shows the nodes after each pass */
} nn_plan_options;

typedef struct nn_plan_stats { /* bytes of the plan's block: values that live only within a run */
    int     recorded, nodes;   /* nodes as recorded, and as run */
    size_t  naive, peak, bound;/* every value its own room; as laid out; the most that is alive at once, which no layout beats */
    size_t  held;              /* all that the plan holds: block, constants, headers */
    double  flops, again;      /* of a run; of them, of what is computed again */
    int64_t runs;
} nn_plan_stats;

typedef struct nn_scores { double loss, accuracy; int64_t n; } nn_scores; /* accuracy: NaN unless targets are classes */

typedef struct nn_class_scores { double accuracy, precision, recall, f1; } nn_class_scores; /* the last three: means over the classes */
typedef struct nn_real_scores { double mse, rmse, mae, r2, explained_variance; } nn_real_scores;
typedef struct nn_advice { int batch; float lr; } nn_advice;

enum { NN_METRICS = 8 };
typedef struct nn_history {    /* one entry an epoch; lives until nn_end */
    int     epochs, best;      /* best: the epoch, from 0, with the least loss that was watched: of validation, where there is some */
    double *loss, *accuracy, *valid_loss, *valid_accuracy; /* NaN where there is none */
    int     metrics;           /* those asked for, on the held out samples, else on all */
    char    metric_name[NN_METRICS][32];
    double *metric[NN_METRICS];
    double  seconds;
} nn_history;

typedef struct nn_fit_options {
    int         epochs;        /* 0: 10 */
    int         batch;         /* 0: what nn_data_batch said, else nn_recommend */
    float       lr;            /* 0: nn_recommend; with cosine decay and 5 % warm-up unless schedule is set */
    float       weight_decay;  /* 0: 0.01; NN_ZERO: none */
    float       clip;          /* global gradient norm; 0: none */
    float       validation;    /* share of the samples held out, 0 ... 0.9; 0: none */
    nn_optim   *optim;         /* NULL: AdamW as above; one of yours keeps its own schedule */
    nn_loss     loss;          /* NULL: the one named; without a name cross-entropy for classes, mean squared error for real targets */
    const char *loss_name;     /* as nn_loss_named takes it: "huber" */
    const nn_loss_options *loss_options;
    int         balance;       /* 1: cross-entropy with each class weighted by the inverse of its share */
    const char *metrics;       /* "accuracy, f1": after each epoch, see nn_metric */
    int         accumulate;    /* batches that make one step; 0: 1 */
    float       clip_value;    /* each element of a gradient is held within +-this; 0: none */
    int         patience;      /* stop after so many epochs without a better loss (validation's, if there is some); 0: never */
    float       min_delta;     /* better means by more than this; 0: 1e-4; NN_ZERO: 0 */
    const char *best;          /* file for the best weights so far; after training the model has them */
    const char *checkpoint;    /* file for all that training needs to go on, after each epoch */
    int64_t     checkpoint_every; /* and after so many batches; 0: not */
    int         resume;        /* 1: go on from `checkpoint`, if it is there, to the bits of an uninterrupted run */
    const char *history;       /* JSON file, written after each epoch; */
    const char *curve;         /* SVG file with the losses */
    int         unwatched;     /* 1: no warnings of gradients that are large (a layer's norm above 10) or not finite */
    nn_lr       schedule;      /* nn_lr_...; all zero: cosine */
    int         eager;         /* 1: every step as written; 0: steps that repeat run as a plan, to the same bits */
    int         quiet;         /* 1: no progress */
    int       (*on_epoch)(void *user, const nn_history *h); /* after each epoch; 0 stops */
    int       (*on_step)(void *user, int64_t step, double loss); /* after each batch: steps so far, the batch's loss; 0 stops */
    void       *user;
} nn_fit_options;

enum { NN_CREATE_GRAPH = 1 };  /* backward writes itself down, for higher orders */

typedef void (*nn_hook)(void *user, const char *layer, nn_tensor *y); /* what a layer gives; nn_retain_grad(y) keeps its gradient for nn_grad */

/* ---- >>api ------------------------------------------------------------------------------------------
   Every function takes NULL where it takes an object, and then does nothing: a chain of calls needs one check at its
   end. What fails returns NULL (sizes -1, reals NaN, counts and flags 0), leaves the reason in the context (nn_error),
   and from then on whatever creates or changes something does nothing until nn_error_clear. */

/* -- contexts -- */
NN_API nn_config   nn_config_defaults(void);                      /* all zero; options start like this in C and C++ alike */
NN_API nn_ctx     *nn_begin(const nn_config *config);             /* NULL: defaults. NULL when out of memory */
NN_API void        nn_end(nn_ctx *c);                             /* frees all that was made in c: tensors, models, data, forks */
NN_API nn_ctx     *nn_fork(nn_ctx *c);                            /* a context for another thread: shares c's thread pool and settings */
NN_API nn_ctx     *nn_fork_shapes(nn_ctx *c);                     /* a context without data, for shapes, parameters and cost */
NN_API void        nn_reset(nn_ctx *c);                           /* drop the tensors and the tape of this step */
NN_API nn_status   nn_error(const nn_ctx *c);                     /* the first failure, NN_OK if none; nn_error(NULL) is NN_ERR_MEMORY */
NN_API const char *nn_error_text(const nn_ctx *c);                /* "fc1: linear: x [64,784], weight [128,700]: 784 and 700 differ" */
NN_API void        nn_error_clear(nn_ctx *c);
NN_API void        nn_fail(nn_ctx *c, nn_status code, const char *format, ...) NN_PRINTF(3, 4); /* for your own ops and layers */
NN_API void        nn_note(nn_ctx *c, nn_log_level level, const char *format, ...) NN_PRINTF(3, 4);
NN_API void        nn_seed(nn_ctx *c, uint64_t seed);             /* restart the random numbers of ops; data sets keep counting their epochs */
NN_API int         nn_no_grad(nn_ctx *c, int on);                 /* 1: record nothing; returns what it was */
NN_API nn_memory_report nn_memory(const nn_ctx *c);
NN_API const char *nn_isa(const nn_ctx *c);                       /* the instruction set in use */
NN_API const char *nn_cpu_info(nn_ctx *c);                        /* what was chosen: "avx512 vnni amx (16 floats a vector), 2 of 2 threads" */
NN_API int         nn_threads(const nn_ctx *c);
NN_API double      nn_time(void);                                 /* seconds, from some fixed moment */
/* Calls task(arg, begin, end, worker) until 0 ... n-1 are covered, on several threads if n * cost (nanoseconds) is worth it;
   worker is below nn_threads(c). Not from inside a task. */
NN_API void        nn_parallel_for(nn_ctx *c, int64_t n, double cost, void (*task)(void *arg, int64_t begin, int64_t end, int worker), void *arg);

/* -- tensors: created in the step, gone at nn_reset -- */
NN_API nn_tensor  *nn_zeros(nn_ctx *c, nn_dtype dtype, nn_shape shape);
NN_API nn_tensor  *nn_ones(nn_ctx *c, nn_dtype dtype, nn_shape shape);
NN_API nn_tensor  *nn_full(nn_ctx *c, nn_dtype dtype, nn_shape shape, double value);
NN_API nn_tensor  *nn_scalar_like(const nn_tensor *x, double value);  /* 0-d, x's type and context: nn_maximum(x, nn_scalar_like(x, 0.5)) */
NN_API nn_tensor  *nn_arange(nn_ctx *c, nn_dtype dtype, double start, double stop, double step); /* [ceil((stop-start)/step)] */
NN_API nn_tensor  *nn_linspace(nn_ctx *c, nn_dtype dtype, double first, double last, int64_t n); /* [n], both ends included */
NN_API nn_tensor  *nn_eye(nn_ctx *c, nn_dtype dtype, int64_t n);  /* [n,n] */
NN_API nn_tensor  *nn_uniform(nn_ctx *c, nn_dtype dtype, nn_shape shape, double low, double high); /* low <= x < high */
NN_API nn_tensor  *nn_normal(nn_ctx *c, nn_dtype dtype, nn_shape shape, double mean, double std);
NN_API nn_tensor  *nn_from(nn_ctx *c, const void *data, nn_dtype dtype, nn_shape shape); /* a copy of your array */
NN_API nn_tensor  *nn_wrap(nn_ctx *c, void *data, nn_dtype dtype, nn_shape shape);       /* your array itself; it must live until nn_reset */
NN_API nn_tensor  *nn_share(nn_ctx *c, nn_tensor *x);             /* x of another context, seen from c, without its history */
NN_API nn_tensor  *nn_keep(nn_tensor *x) NN_NODISCARD;            /* a copy that outlives nn_reset, without history; until nn_drop or nn_end */
NN_API void        nn_drop(nn_tensor *kept);
NN_API nn_tensor  *nn_to_device(nn_tensor *x, int device);        /* 0: host, 1: the context's backend */

/* -- looking at tensors -- */
NN_API int         nn_ndim(const nn_tensor *x);                   /* -1 for NULL */
NN_API int64_t     nn_dim(const nn_tensor *x, int axis);          /* size of an axis, -1 is the last; -1 on error */
NN_API nn_shape    nn_shape_of(const nn_tensor *x);
NN_API int64_t     nn_numel(const nn_tensor *x);
NN_API nn_dtype    nn_dtype_of(const nn_tensor *x);
NN_API int         nn_device_of(const nn_tensor *x);
NN_API nn_ctx     *nn_ctx_of(const nn_tensor *x);
NN_API int         nn_is_contiguous(const nn_tensor *x);
NN_API const char *nn_dtype_name(nn_dtype dtype);                 /* "f32" */
NN_API size_t      nn_dtype_size(nn_dtype dtype);                 /* bytes */
NN_API void       *nn_ptr(nn_tensor *x);                          /* contiguous data on the host, or NULL and an error */
NN_API float      *nn_f32(nn_tensor *x);                          /* the same, and the dtype must be this one */
NN_API double     *nn_f64(nn_tensor *x);
NN_API int32_t    *nn_i32(nn_tensor *x);
NN_API int64_t    *nn_i64(nn_tensor *x);
NN_API uint8_t    *nn_u8(nn_tensor *x);
NN_API double      nn_item(nn_tensor *x);                         /* the value of a tensor of one element */
NN_API double      nn_get(nn_tensor *x, nn_shape index);          /* nn_get(x, NN_SHAPE(i, j)); negative counts from the end */
NN_API int         nn_set(nn_tensor *x, nn_shape index, double value);
NN_API int         nn_fill(nn_tensor *x, double value);           /* in place; refused where backward would miss the old value */
NN_API int         nn_assign(nn_tensor *x, nn_tensor *from);      /* in place, same shape and dtype */
NN_API int         nn_read(nn_tensor *x, void *to, size_t bytes); /* copy out, row by row; bytes must be exact */
NN_API int         nn_write(nn_tensor *x, const void *from, size_t bytes);
NN_API int         nn_format(nn_tensor *x, char *text, size_t size); /* as NumPy prints it; the length it needs, like snprintf */
NN_API void        nn_print(nn_tensor *x);
NN_API void        nn_debug(const nn_tensor *x);                  /* one line about the header; for debuggers */

/* -- views: no copy -- */
NN_API nn_tensor  *nn_reshape(nn_tensor *x, nn_shape shape);      /* one size may be -1; copies only if no view can do it */
NN_API nn_tensor  *nn_permute(nn_tensor *x, nn_shape axes);       /* NN_AXES(2, 0, 1) */
NN_API nn_tensor  *nn_transpose(nn_tensor *x, int a, int b);
NN_API nn_tensor  *nn_slice(nn_tensor *x, int axis, int64_t start, int64_t stop, int64_t step); /* as x[start:stop:step]; step may be negative */
NN_API nn_tensor  *nn_select(nn_tensor *x, int axis, int64_t index); /* drops the axis */
NN_API nn_tensor  *nn_expand(nn_tensor *x, nn_shape shape);       /* repeats axes of size 1, adds axes in front */
NN_API nn_tensor  *nn_squeeze(nn_tensor *x, int axis);            /* the axis must have size 1 */
NN_API nn_tensor  *nn_unsqueeze(nn_tensor *x, int axis);
NN_API nn_tensor  *nn_flatten(nn_tensor *x, int from_axis);       /* [B,...] -> [B,n] with from_axis 1 */
NN_API nn_tensor  *nn_flip(nn_tensor *x, nn_shape axes);
NN_API nn_tensor  *nn_repeat(nn_tensor *x, int64_t n);            /* [...] -> [n,...], n times the same memory */
NN_API int         nn_split(nn_tensor *x, int axis, nn_shape sizes, nn_tensor **parts); /* up to 6 parts; one size may be -1 */
NN_API int         nn_chunk(nn_tensor *x, int axis, int n, nn_tensor **parts); /* n parts, the last may be smaller; how many there are */
NN_API nn_tensor  *nn_diagonal(nn_tensor *x, int64_t offset);     /* [...,n,m] -> [...,k]; offset > 0: above the main one */
NN_API int         nn_meshgrid(nn_tensor **axes, int n, nn_tensor **grids); /* n vectors -> n views of [n0,n1,...], indexed as matrices are ("ij") */
NN_API nn_tensor  *nn_detach(nn_tensor *x);                       /* same storage, no history */

/* -- copies -- */
NN_API nn_tensor  *nn_contiguous(nn_tensor *x);                   /* x itself where it already is */
NN_API nn_tensor  *nn_clone(nn_tensor *x);
NN_API nn_tensor  *nn_cast(nn_tensor *x, nn_dtype dtype);         /* reals to integers: towards zero, saturating, NaN is 0 */
NN_API nn_tensor  *nn_concat(nn_tensor **list, int n, int axis);
NN_API nn_tensor  *nn_gather(nn_tensor *x, int axis, nn_tensor *index); /* y[i][j] = x[i][index[i][j]]; index: i32, i64 or u8, x's rank */
NN_API nn_tensor  *nn_scatter_add(nn_tensor *x, int axis, nn_tensor *index, int64_t size); /* the reverse: sums x into zeros */
NN_API nn_tensor  *nn_scatter(nn_tensor *x, int axis, nn_tensor *index, nn_tensor *from); /* a copy of x, y[i][index[i][j]] = from[i][j]; of equal indices the last counts */
NN_API nn_tensor  *nn_take_along(nn_tensor *x, int axis, nn_tensor *index); /* nn_gather, but the other axes broadcast */
NN_API nn_tensor  *nn_index_select(nn_tensor *x, int axis, nn_tensor *index); /* rows by number: [..,n,..] and index [k] or [k,l] -> [..,k,..] or [..,k,l,..] */
NN_API nn_tensor  *nn_index_add(nn_tensor *x, int axis, nn_tensor *index, int64_t size); /* the reverse, index [k]: sums x's rows into zeros */
NN_API nn_tensor  *nn_one_hot(nn_tensor *index, int64_t classes, nn_dtype real); /* [...] -> [..., classes] */
NN_API nn_tensor  *nn_stack(nn_tensor **list, int n, int axis);   /* along a new axis */
NN_API nn_tensor  *nn_pad(nn_tensor *x, int axis, int64_t before, int64_t after, double value);
typedef enum { NN_PAD_REFLECT, NN_PAD_REPLICATE, NN_PAD_CIRCULAR } nn_padding; /* dcb|abcd|cba   aaa|abcd|ddd   bcd|abcd|abc */
NN_API nn_tensor  *nn_pad_with(nn_tensor *x, int axis, int64_t before, int64_t after, nn_padding how);
NN_API nn_tensor  *nn_roll(nn_tensor *x, int axis, int64_t by);   /* element i moves to i + by, round the end */
NN_API nn_tensor  *nn_tile(nn_tensor *x, int axis, int64_t n);    /* n copies one after another */
NN_API nn_tensor  *nn_tril(nn_tensor *x, int64_t k);              /* zero above diagonal k of the last two axes */
NN_API nn_tensor  *nn_triu(nn_tensor *x, int64_t k);              /* zero below */
NN_API nn_tensor  *nn_diag(nn_tensor *x, int64_t offset);         /* [...,n] -> [...,m,m] with x on a diagonal, m = n + |offset| */
NN_API nn_tensor  *nn_sort(nn_tensor *x, int axis, int descending, nn_tensor **index); /* stable, NaN last or first; index (NULL: not wanted): i64, where each came from */
NN_API nn_tensor  *nn_argsort(nn_tensor *x, int axis, int descending);
NN_API nn_tensor  *nn_topk(nn_tensor *x, int axis, int64_t k, nn_tensor **index); /* the k largest, in order */

/* -- element-wise; two operands broadcast as in NumPy -- */
NN_API nn_tensor  *nn_add(nn_tensor *x, nn_tensor *y);
NN_API nn_tensor  *nn_sub(nn_tensor *x, nn_tensor *y);
NN_API nn_tensor  *nn_mul(nn_tensor *x, nn_tensor *y);
NN_API nn_tensor  *nn_div(nn_tensor *x, nn_tensor *y);
NN_API nn_tensor  *nn_same(nn_tensor *x, nn_tensor *y);           /* 1 where equal, else 0 */
NN_API nn_tensor  *nn_maximum(nn_tensor *x, nn_tensor *y);        /* gradient: to the larger, half to each where equal; NaN wins */
NN_API nn_tensor  *nn_minimum(nn_tensor *x, nn_tensor *y);
NN_API nn_tensor  *nn_pow(nn_tensor *x, nn_tensor *y);
NN_API nn_tensor  *nn_fmod(nn_tensor *x, nn_tensor *y);           /* the remainder, with x's sign */
NN_API nn_tensor  *nn_atan2(nn_tensor *y, nn_tensor *x);
NN_API nn_tensor  *nn_hypot(nn_tensor *x, nn_tensor *y);          /* sqrt(x^2 + y^2), without overflow on the way */
NN_API nn_tensor  *nn_lerp(nn_tensor *x, nn_tensor *y, nn_tensor *weight); /* x + weight (y - x) */
NN_API nn_tensor  *nn_add_scalar(nn_tensor *x, double a);
NN_API nn_tensor  *nn_pow_scalar(nn_tensor *x, double p);
/* comparisons, of any type: masks, u8 of 0 and 1; a NaN is unequal to all */
NN_API nn_tensor  *nn_equal(nn_tensor *x, nn_tensor *y);
NN_API nn_tensor  *nn_not_equal(nn_tensor *x, nn_tensor *y);
NN_API nn_tensor  *nn_less(nn_tensor *x, nn_tensor *y);
NN_API nn_tensor  *nn_less_equal(nn_tensor *x, nn_tensor *y);
NN_API nn_tensor  *nn_greater(nn_tensor *x, nn_tensor *y);
NN_API nn_tensor  *nn_greater_equal(nn_tensor *x, nn_tensor *y);
NN_API nn_tensor  *nn_is_finite(nn_tensor *x);
NN_API nn_tensor  *nn_and(nn_tensor *x, nn_tensor *y);            /* of masks: what is not 0 is true */
NN_API nn_tensor  *nn_or(nn_tensor *x, nn_tensor *y);
NN_API nn_tensor  *nn_xor(nn_tensor *x, nn_tensor *y);
NN_API nn_tensor  *nn_not(nn_tensor *x);
NN_API nn_tensor  *nn_where(nn_tensor *mask, nn_tensor *x, nn_tensor *y); /* x where mask is not 0, else y; all three broadcast */
NN_API nn_tensor  *nn_masked_fill(nn_tensor *x, nn_tensor *mask, double value);
NN_API nn_tensor  *nn_affine(nn_tensor *x, double a, double b);   /* a x + b */
NN_API nn_tensor  *nn_scale(nn_tensor *x, double a);              /* a x */
NN_API nn_tensor  *nn_neg(nn_tensor *x);
NN_API nn_tensor  *nn_abs(nn_tensor *x);                          /* gradient 0 at 0 */
NN_API nn_tensor  *nn_exp(nn_tensor *x);
NN_API nn_tensor  *nn_log(nn_tensor *x);
NN_API nn_tensor  *nn_sqrt(nn_tensor *x);
NN_API nn_tensor  *nn_square(nn_tensor *x);
NN_API nn_tensor  *nn_relu(nn_tensor *x);
NN_API nn_tensor  *nn_sigmoid(nn_tensor *x);
NN_API nn_tensor  *nn_tanh(nn_tensor *x);
NN_API nn_tensor  *nn_erf(nn_tensor *x);
NN_API nn_tensor  *nn_gelu(nn_tensor *x);                         /* x Phi(x), exact; Hendrycks and Gimpel 2016 */
NN_API nn_tensor  *nn_gelu_tanh(nn_tensor *x);                    /* its usual approximation: x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))) */
NN_API nn_tensor  *nn_sin(nn_tensor *x);                          /* of radians */
NN_API nn_tensor  *nn_cos(nn_tensor *x);
NN_API nn_tensor  *nn_positive(nn_tensor *x);                     /* 1 where x > 0, else 0 */
NN_API nn_tensor  *nn_sign(nn_tensor *x);                         /* -1, 0, 1 */
NN_API nn_tensor  *nn_floor(nn_tensor *x);
NN_API nn_tensor  *nn_ceil(nn_tensor *x);
NN_API nn_tensor  *nn_round(nn_tensor *x);                        /* halves to the even neighbour */
NN_API nn_tensor  *nn_trunc(nn_tensor *x);
NN_API nn_tensor  *nn_rsqrt(nn_tensor *x);                        /* 1 / sqrt x */
NN_API nn_tensor  *nn_reciprocal(nn_tensor *x);
NN_API nn_tensor  *nn_expm1(nn_tensor *x);                        /* e^x - 1, exact near 0 */
NN_API nn_tensor  *nn_log1p(nn_tensor *x);                        /* ln(1 + x), exact near 0 */
NN_API nn_tensor  *nn_log2(nn_tensor *x);
NN_API nn_tensor  *nn_log_guarded(nn_tensor *x, double eps);      /* ln(max(x, eps)), gradient 0 below eps; eps 0: 1e-8 */
NN_API nn_tensor  *nn_tan(nn_tensor *x);
NN_API nn_tensor  *nn_asin(nn_tensor *x);
NN_API nn_tensor  *nn_acos(nn_tensor *x);
NN_API nn_tensor  *nn_atan(nn_tensor *x);
NN_API nn_tensor  *nn_sinh(nn_tensor *x);
NN_API nn_tensor  *nn_cosh(nn_tensor *x);
NN_API nn_tensor  *nn_erfc(nn_tensor *x);
NN_API nn_tensor  *nn_clamp(nn_tensor *x, double low, double high); /* gradient 1 within and at the ends, else 0 */
NN_API nn_tensor  *nn_leaky_relu(nn_tensor *x, double slope);     /* PyTorch's slope is 0.01 */
NN_API nn_tensor  *nn_elu(nn_tensor *x, double alpha);            /* x, below 0 alpha (e^x - 1); Clevert et al. 2016 */
NN_API nn_tensor  *nn_celu(nn_tensor *x, double alpha);           /* x, below 0 alpha (e^(x/alpha) - 1); Barron 2017 */
NN_API nn_tensor  *nn_selu(nn_tensor *x);                         /* Klambauer et al. 2017 */
NN_API nn_tensor  *nn_silu(nn_tensor *x);                         /* x sigmoid(x), also called swish; Ramachandran et al. 2017 */
NN_API nn_tensor  *nn_mish(nn_tensor *x);                         /* x tanh(softplus(x)); Misra 2019 */
NN_API nn_tensor  *nn_softplus(nn_tensor *x);                     /* ln(1 + e^x) */
NN_API nn_tensor  *nn_softsign(nn_tensor *x);                     /* x / (1 + |x|) */
NN_API nn_tensor  *nn_log_sigmoid(nn_tensor *x);
NN_API nn_tensor  *nn_logit(nn_tensor *x, double eps);            /* ln(x / (1-x)), x held within eps ... 1-eps */
NN_API nn_tensor  *nn_hard_sigmoid(nn_tensor *x);                 /* x/6 + 1/2 within 0 ... 1 */
NN_API nn_tensor  *nn_hard_swish(nn_tensor *x);                   /* x hard_sigmoid(x); Howard et al. 2019 */
NN_API nn_tensor  *nn_hard_tanh(nn_tensor *x);                    /* x within -1 ... 1 */
NN_API nn_tensor  *nn_relu6(nn_tensor *x);
NN_API nn_tensor  *nn_glu(nn_tensor *x, int axis, nn_act act);    /* halves a, b of the axis: a act(b). GLU with NN_ACT_SIGMOID, SwiGLU SILU, GeGLU GELU, ReGLU RELU; Shazeer 2020 */

/* -- over axes: NN_AXES(0, -1), or NN_ALL -- */
NN_API nn_tensor  *nn_sum(nn_tensor *x, nn_shape axes, int keepdims);
NN_API nn_tensor  *nn_mean(nn_tensor *x, nn_shape axes, int keepdims); /* of nothing: an error */
NN_API nn_tensor  *nn_max(nn_tensor *x, nn_shape axes, int keepdims);  /* gradient: equal shares to equal maxima */
NN_API nn_tensor  *nn_min(nn_tensor *x, nn_shape axes, int keepdims);
NN_API nn_tensor  *nn_prod(nn_tensor *x, nn_shape axes, int keepdims);
NN_API nn_tensor  *nn_var(nn_tensor *x, nn_shape axes, int keepdims, double correction); /* divided by n - correction: 1 for a sample's (PyTorch's default), 0 */
NN_API nn_tensor  *nn_std(nn_tensor *x, nn_shape axes, int keepdims, double correction);
NN_API nn_tensor  *nn_norm(nn_tensor *x, nn_shape axes, int keepdims, double p); /* (sum |x|^p)^(1/p); p may be INFINITY; gradient 0 where the norm is 0 */
NN_API nn_tensor  *nn_logsumexp(nn_tensor *x, nn_shape axes, int keepdims);
NN_API nn_tensor  *nn_count_nonzero(nn_tensor *x, nn_shape axes, int keepdims); /* i64; of any type, NaN counts */
NN_API nn_tensor  *nn_any(nn_tensor *x, nn_shape axes, int keepdims); /* masks; any of nothing is 0, */
NN_API nn_tensor  *nn_all(nn_tensor *x, nn_shape axes, int keepdims); /* all of nothing 1 */
NN_API nn_tensor  *nn_argmax(nn_tensor *x, int axis, int keepdims);   /* i64; the first of equals, a NaN before all */
NN_API nn_tensor  *nn_argmin(nn_tensor *x, int axis, int keepdims);
NN_API nn_tensor  *nn_median(nn_tensor *x, int axis, int keepdims);   /* of an even number the lower one, as PyTorch's */
NN_API nn_tensor  *nn_softmax(nn_tensor *x, int axis);
NN_API nn_tensor  *nn_log_softmax(nn_tensor *x, int axis);

/* -- along an axis -- */
NN_API nn_tensor  *nn_cumsum(nn_tensor *x, int axis);
NN_API nn_tensor  *nn_cumprod(nn_tensor *x, int axis);
NN_API nn_tensor  *nn_recur(nn_tensor *a, nn_tensor *b, int axis);    /* y[i] = a[i] y[i-1] + b[i], y[-1] = 0: discounted sums, linear state spaces */

/* -- linear -- */
NN_API nn_tensor  *nn_matmul(nn_tensor *x, nn_tensor *y);         /* [...,m,k] [...,k,n] -> [...,m,n], any strides; batches broadcast */
NN_API nn_tensor  *nn_linear(nn_tensor *x, nn_tensor *weight, nn_tensor *bias); /* [...,in] [out,in] [out] -> [...,out]; bias may be NULL */
NN_API nn_tensor  *nn_linear_act(nn_tensor *x, nn_tensor *weight, nn_tensor *bias, nn_act act);
/* f16 and bf16 (matmul, linear): summed in f32, rounded once at the end. With AMX, bf16 denormals count as zero. */
/* int8: [m,k] [k,n] -> i32 [m,n], exact; with scales (f32 [m], [n], either may be NULL) f32: x_scale[i] y_scale[j] sum. Any
   strides, so a weight [n,k] goes in as nn_transpose(w, 0, 1). No gradient. k is at most 131071: beyond, i32 could overflow. */
NN_API nn_tensor  *nn_matmul_i8(nn_tensor *x, nn_tensor *y, nn_tensor *x_scale, nn_tensor *y_scale);
NN_API nn_tensor  *nn_activate(nn_tensor *x, nn_act act);
NN_API int         nn_act_named(const char *name);                /* "relu", "swish" or "silu", "linear", ...; -1: unknown */
NN_API nn_tensor  *nn_dot(nn_tensor *x, nn_tensor *y);            /* [n] [n] -> 0-d */
NN_API nn_tensor  *nn_outer(nn_tensor *x, nn_tensor *y);          /* [n] [m] -> [n,m] */
NN_API nn_tensor  *nn_trace(nn_tensor *x);                        /* [...,n,m] -> [...] */
NN_API nn_tensor  *nn_einsum(const char *rule, nn_tensor *x, nn_tensor *y); /* "bij,bjk->bik"; each letter once an operand */
/* for matrices that are small, computed in f64: the last two axes; those in front are a batch */
NN_API nn_tensor  *nn_cholesky(nn_tensor *x);                     /* lower L, L L^T = x, taken as symmetric: (x + x^T) / 2 */
NN_API nn_tensor  *nn_triangular_solve(nn_tensor *l, nn_tensor *b, int upper, int transposed); /* y with l y = b, or l^T y = b; b [...,n,m]; the other triangle of l is not read */
NN_API nn_tensor  *nn_cholesky_solve(nn_tensor *b, nn_tensor *l); /* y with l l^T y = b */
NN_API nn_tensor  *nn_cholesky_logdet(nn_tensor *l);              /* ln det(l l^T) = 2 sum of ln of the diagonal */
NN_API nn_tensor  *nn_inverse(nn_tensor *x);                      /* singular: an error */
NN_API nn_tensor  *nn_det(nn_tensor *x);                          /* gradient: det x^-T, so of singular matrices none */

/* -- norms, losses, dropout -- */
NN_API nn_tensor  *nn_rmsnorm(nn_tensor *x, nn_tensor *weight, double eps); /* over the last axis; Zhang and Sennrich 2019 */
NN_API nn_tensor  *nn_groupnorm(nn_tensor *x, int groups, nn_tensor *weight, nn_tensor *bias, double eps); /* x [N,C,...], weight and bias [C], may be NULL; groups = C: instance norm; Wu and He 2018 */
/* x [N,C,...]; in training the batch's own mean and variance, which also move the running ones by momentum; else the running ones; Ioffe and Szegedy 2015 */
typedef struct nn_batchnorm_options { nn_tensor *weight, *bias, *mean, *var; double momentum, eps; int training; } nn_batchnorm_options; /* 0: 0.1, 1e-5 */
NN_API nn_tensor  *nn_batchnorm(nn_tensor *x, const nn_batchnorm_options *options);
NN_API nn_tensor  *nn_layernorm(nn_tensor *x, nn_tensor *weight, nn_tensor *bias, double eps); /* over the last axis; Ba et al. 2016 */
NN_API nn_tensor  *nn_cross_entropy(nn_tensor *logits, nn_tensor *classes); /* [...,C], [...] integers -> mean, 0-d */
NN_API nn_tensor  *nn_mse(nn_tensor *prediction, nn_tensor *target);       /* mean of squares, 0-d; equal shapes */
NN_API nn_tensor  *nn_dropout(nn_tensor *x, double p, int training);       /* zero with chance p, scale the rest by 1/(1-p) */
NN_API nn_tensor  *nn_dropout_spatial(nn_tensor *x, double p, int training); /* x [N,C,...]: whole channels; Tompson et al. 2015 */
NN_API nn_tensor  *nn_dropout_alpha(nn_tensor *x, double p, int training);   /* keeps mean and variance behind selu; Klambauer et al. 2017 */
NN_API nn_tensor  *nn_dropout_gaussian(nn_tensor *x, double p, int training); /* times N(1, p/(1-p)) */
NN_API nn_tensor  *nn_noise(nn_tensor *x, double std, int training);         /* plus N(0, std^2) */

/* Losses of a prediction and a target, each also in its plain form with defaults. Names: cross_entropy (rows of logits; classes or
   probabilities), mse, mae, huber, smooth_l1, log_cosh, kl (ln of probabilities; probabilities), poisson (ln of the rate; counts), hinge
   (score; -1 or 1), bce (probabilities; 0 ... 1), bce_logits, focal (logits; 0 or 1; Lin et al. 2017). kl's mean is over rows (PyTorch's batchmean). */
NN_API nn_tensor  *nn_loss_named(const char *name, nn_tensor *prediction, nn_tensor *target, const nn_loss_options *options); /* options NULL: mean */
NN_API nn_tensor  *nn_mae(nn_tensor *prediction, nn_tensor *target);
NN_API nn_tensor  *nn_huber(nn_tensor *prediction, nn_tensor *target);
NN_API nn_tensor  *nn_smooth_l1(nn_tensor *prediction, nn_tensor *target);
NN_API nn_tensor  *nn_log_cosh(nn_tensor *prediction, nn_tensor *target);
NN_API nn_tensor  *nn_kl(nn_tensor *log_prediction, nn_tensor *target);
NN_API nn_tensor  *nn_poisson(nn_tensor *log_rate, nn_tensor *target);
NN_API nn_tensor  *nn_hinge(nn_tensor *score, nn_tensor *target);
NN_API nn_tensor  *nn_bce(nn_tensor *probability, nn_tensor *target);
NN_API nn_tensor  *nn_bce_logits(nn_tensor *logit, nn_tensor *target);
NN_API nn_tensor  *nn_focal(nn_tensor *logit, nn_tensor *target);
/* and of more; options may be NULL */
NN_API nn_tensor  *nn_gaussian_nll(nn_tensor *mean, nn_tensor *var, nn_tensor *target, const nn_loss_options *options); /* var held above 1e-6 */
NN_API nn_tensor  *nn_kl_gaussian(nn_tensor *mean, nn_tensor *std, nn_tensor *mean2, nn_tensor *std2); /* KL(N || N2), one value an element; mean2 and std2 NULL: N(0, 1) */
NN_API nn_tensor  *nn_cosine_similarity(nn_tensor *x, nn_tensor *y, int axis);
NN_API nn_tensor  *nn_cosine_loss(nn_tensor *x, nn_tensor *y, nn_tensor *same, const nn_loss_options *options); /* rows; same [N]: 1 or -1 */
NN_API nn_tensor  *nn_triplet(nn_tensor *anchor, nn_tensor *like, nn_tensor *unlike, const nn_loss_options *options); /* rows, Euclidean */
NN_API nn_tensor  *nn_contrastive(nn_tensor *x, nn_tensor *y, nn_tensor *same, const nn_loss_options *options); /* rows; same [N]: 1 or 0; Hadsell et al. 2006 */

/* -- metrics: numbers, NaN on error -- */
NN_API double      nn_accuracy(nn_tensor *logits, nn_tensor *classes);     /* share of rows whose largest logit is the class */
NN_API double      nn_topk_accuracy(nn_tensor *logits, nn_tensor *classes, int k); /* share of rows with the class among the k largest */
NN_API nn_tensor  *nn_confusion(nn_tensor *logits, nn_tensor *classes);    /* [C,C] i64: row the class, column the largest logit */
NN_API nn_class_scores nn_class_scores_of(nn_tensor *logits, nn_tensor *classes);
NN_API double      nn_roc_auc(nn_tensor *score, nn_tensor *positive);      /* [n] reals, [n] 0 or else; NaN where there is one class only */
NN_API nn_real_scores nn_real_scores_of(nn_tensor *prediction, nn_tensor *target);
/* By name: accuracy, top5, precision, recall, f1, auc, perplexity (e^cross-entropy), mse, rmse, mae, r2, explained_variance */
NN_API double      nn_metric(const char *name, nn_tensor *prediction, nn_tensor *target);

/* -- autodiff -- */
NN_API nn_tensor  *nn_requires_grad(nn_tensor *x);                /* a leaf: backward leaves its gradient in nn_grad(x); returns x */
NN_API int         nn_backward(nn_tensor *loss);                  /* one element; gradients of all leaves, added to what is there */
NN_API int         nn_backward_from(nn_tensor *y, nn_tensor *dy, int flags); /* dy: the gradient of y, its shape; flags: 0 or NN_CREATE_GRAPH (parameters' gradients are copies; for derivatives of those use nn_grad_of) */
NN_API nn_tensor  *nn_grad(nn_tensor *x);                         /* NULL if there is none yet */
NN_API nn_tensor  *nn_retain_grad(nn_tensor *x);                  /* let an intermediate keep its gradient; returns x */
NN_API void        nn_zero_grad(nn_tensor *x);                    /* forget it */
/* dy/dx for n tensors x, leaving nn_grad alone; dx[i] is NULL where y does not depend on it. dy may be NULL for a y of one element. */
NN_API int         nn_grad_of(nn_tensor *y, nn_tensor *dy, nn_tensor **x, int n, nn_tensor **dx, int flags);
/* Largest difference between f's gradients and central differences, relative to max(1, |gradient|); NaN on error. x: f64. order: 1 or 2.
   The upstream gradient is fixed and uneven. n is at most 8. */
NN_API double      nn_gradcheck(nn_tensor *(*f)(nn_ctx *c, nn_tensor **x, void *user), nn_tensor **x, int n, int order, void *user);

/* -- ops of your own -- */
NN_API int         nn_apply(const nn_op *op, nn_tensor **in, int n_in, const void *attr, nn_tensor **out); /* 1, or 0 and out all NULL */
NN_API int         nn_wants(const nn_node *n, int i);             /* does input i need a gradient? */
NN_API const nn_op *const *nn_op_list(int *count);                /* all ops of nn.h */
NN_API void        nn_spec_like(nn_spec *out, const nn_tensor *x);/* same dtype and shape */

/* -- models -- */
NN_API nn_model   *nn_model_new(nn_ctx *c, nn_net net, void *user); /* parameters appear at the first forward, build or load */
NN_API void        nn_model_free(nn_model *m);
NN_API int         nn_model_dtype(nn_model *m, nn_dtype real);    /* NN_F64 for exact checks; before the parameters are made */
NN_API int         nn_model_build(nn_model *m, nn_dtype dtype, nn_shape x); /* make the parameters by running the net on a shape */
NN_API nn_tensor  *nn_forward(nn_model *m, nn_tensor *x);         /* training mode */
NN_API nn_tensor  *nn_predict(nn_model *m, nn_tensor *x);         /* evaluation mode, no gradients; only the result stays in memory */
NN_API int         nn_predict_f32(nn_model *m, const float *x, nn_shape shape, float *y, size_t n); /* from array to array of n floats; leaves nothing behind */
NN_API int         nn_model_pack(nn_model *m, int on);            /* 1: linear layers keep their weights as the kernels read them for runs without gradients (nn_predict): faster on
                                                                     batches of some 5 to 500 rows, for the weights' size in memory once more. Call it again after writing to a weight
                                                                     through a pointer; not while another context runs the model */
NN_API nn_scope    nn_enter(nn_model *m, nn_ctx *c, nn_mode mode);/* for a net of any signature: loss = my_net(nn_enter(m, c, NN_TRAIN), a, b) */
NN_API int         nn_model_freeze(nn_model *m);                  /* make storage for what nn_enter runs in nn_fork_shapes declared */
NN_API nn_scope    nn_in(nn_scope s, const char *name);           /* one level down */
NN_API nn_scope    nn_in_i(nn_scope s, const char *name, int64_t i); /* "h.3" */
NN_API nn_tensor  *nn_leave(nn_scope s, nn_tensor *y);            /* ends a layer: later ops are booked to the scope above s; returns y */
NN_API void       *nn_user(nn_scope s);                           /* what nn_model_new was given */
NN_API nn_tensor  *nn_param(nn_scope s, const char *name, nn_shape shape, nn_init init);
NN_API nn_tensor  *nn_buffer(nn_scope s, const char *name, nn_shape shape, nn_init init); /* saved with the model, not trained */
NN_API nn_tensor  *nn_state(nn_scope s, const char *name, nn_dtype dtype, nn_shape shape); /* of this context, zero at first, kept over nn_reset */
NN_API void        nn_state_clear(nn_ctx *c);
NN_API int         nn_model_count(const nn_model *m);             /* parameters and buffers (tensors, not elements) */
NN_API int64_t     nn_model_size(const nn_model *m);              /* elements of all parameters */
NN_API const char *nn_model_name(const nn_model *m, int i);       /* "fc1.weight" */
NN_API nn_tensor  *nn_model_tensor(nn_model *m, nn_ctx *c, const char *name); /* c's handle: read it, set it, ask for its nn_grad */
NN_API int         nn_model_train(nn_model *m, const char *pattern, int on); /* 0: freeze the parameters whose names fit ("enc.*", with * and ?); how many did. Models that are made */
NN_API int         nn_model_hook(nn_model *m, nn_hook hook, void *user); /* called with what each layer of this context gives (nn_leave); NULL: no more. Steps then run as written, not as plans */
NN_API int         nn_summary(nn_model *m, nn_dtype dtype, nn_shape x); /* layers, shapes, parameters, FLOPs on stdout */
NN_API int         nn_summary_text(nn_model *m, nn_dtype dtype, nn_shape x, char *text, size_t size); /* the length it needs, -1 on error */

NN_API nn_init     nn_init_zeros(void);
NN_API nn_init     nn_init_const(double value);
NN_API nn_init     nn_init_uniform(double low, double high);
NN_API nn_init     nn_init_normal(double mean, double std);
NN_API nn_init     nn_init_fan_in(int64_t in);                    /* uniform within 1/sqrt(in): PyTorch's default for linear layers */
NN_API nn_init     nn_init_xavier_uniform(int64_t in, int64_t out); /* Glorot and Bengio 2010 */
NN_API nn_init     nn_init_xavier_normal(int64_t in, int64_t out);
NN_API nn_init     nn_init_he_uniform(int64_t in);                /* He et al. 2015, for ReLU */
NN_API nn_init     nn_init_he_normal(int64_t in);
NN_API nn_init     nn_init_orthogonal(double gain);               /* rows (or columns) of the matrix [first axis, the rest] at right angles; Saxe et al. 2014 */

/* -- layers: parameters by name, PyTorch's names and shapes -- */
NN_API nn_tensor  *nn_layer_linear(nn_scope s, const char *name, nn_tensor *x, int64_t out);     /* [...,in] -> [...,out]; weight [out,in], bias [out] */
NN_API nn_tensor  *nn_layer_linear_act(nn_scope s, const char *name, nn_tensor *x, int64_t out, nn_act act); /* the same, fused with its activation */
NN_API nn_tensor  *nn_layer_layernorm(nn_scope s, const char *name, nn_tensor *x);                    /* over the last axis, eps 1e-5; weight, bias [n] */
NN_API nn_tensor  *nn_layer_dropout(nn_scope s, nn_tensor *x, double p);                         /* only in training mode */
NN_API nn_tensor  *nn_layer_embedding(nn_scope s, const char *name, nn_tensor *ids, int64_t count, int64_t size); /* [...] integers -> [...,size]; weight [count,size] */
NN_API nn_tensor  *nn_layer_rmsnorm(nn_scope s, const char *name, nn_tensor *x);                      /* weight [n], eps 1e-6 */
NN_API nn_tensor  *nn_layer_batchnorm(nn_scope s, const char *name, nn_tensor *x);                    /* [N,C,...]; weight, bias, running_mean, running_var [C] */
NN_API nn_tensor  *nn_layer_groupnorm(nn_scope s, const char *name, nn_tensor *x, int groups);        /* [N,C,...]; weight, bias [C] */
NN_API nn_tensor  *nn_layer_bilinear(nn_scope s, const char *name, nn_tensor *x, nn_tensor *y, int64_t out); /* x^T W y + b, [...,n] [...,m]; weight [out,n,m], bias [out] */
NN_API nn_tensor  *nn_layer_scale(nn_scope s, const char *name, nn_tensor *x, int back);              /* (x - shift) / scale by feature, or back; buffers shift, scale [n], see nn_scale_fit */
NN_API nn_tensor  *nn_weight_norm(nn_scope s, const char *name, nn_shape shape, nn_init init);        /* a parameter as g v / |v|, |v| over all axes but the first: name_g, name_v; Salimans and Kingma 2016 */
NN_API nn_tensor  *nn_sequential(nn_scope s, nn_tensor *x, const nn_net *blocks, int n);              /* one after another, in the scopes "0", "1", ... */
NN_API nn_tensor  *nn_residual(nn_scope s, nn_tensor *x, nn_net block);                               /* x + block(s, x) */
NN_API nn_tensor  *nn_tied(nn_scope s, const char *path);         /* the parameter of this full name, made before: nn_linear(x, nn_tied(s, "embed.weight"), NULL) */

/* -- optimisers -- */
NN_API nn_optim_options nn_optim_defaults(void);
NN_API nn_optim   *nn_optim_new(nn_model *m, const nn_optim_options *options);
NN_API nn_optim   *nn_sgd(nn_model *m, float lr, float momentum);
NN_API nn_optim   *nn_adam(nn_model *m, float lr);                /* Kingma and Ba 2015 */
NN_API nn_optim   *nn_adamw(nn_model *m, float lr, float weight_decay); /* Loshchilov and Hutter 2019 */
NN_API void        nn_optim_free(nn_optim *o);
NN_API int         nn_step(nn_optim *o);                          /* one update from the model's gradients; uses them up */
NN_API int         nn_step_from(nn_optim *o, nn_ctx **contexts, int n); /* the sum of several contexts' gradients, added in this order */
NN_API double      nn_clip_grad_norm(nn_optim *o, double max);    /* scale all gradients so that their common norm is at most max; the norm before */
NN_API double      nn_clip_grad_value(nn_optim *o, double max);   /* every element within +-max; the largest before */
NN_API double      nn_clip_grad_layers(nn_optim *o, double max);  /* each parameter's own norm at most max; the largest before */
NN_API int         nn_optim_group(nn_optim *o, const char *pattern, float lr_factor, float weight_decay); /* for parameters whose names fit: "*.bias"; the decay is theirs instead of the optimiser's; how many */
NN_API int         nn_optim_swap(nn_optim *o);                    /* weights and their averages change places; again: back */
NN_API int         nn_optim_metric(nn_optim *o, double value);    /* what nn_lr_plateau looks at: call it once an epoch */
NN_API int         nn_set_lr(nn_optim *o, nn_lr schedule);
NN_API double      nn_get_lr(const nn_optim *o);                  /* of the next step */
NN_API nn_lr       nn_lr_constant(float lr);
NN_API nn_lr       nn_lr_step(float lr, int64_t every, float factor);
NN_API nn_lr       nn_lr_multistep(float lr, const int64_t *at, int n, float factor); /* n <= 8: times factor at each of these steps */
NN_API nn_lr       nn_lr_piecewise(const int64_t *at, const float *lr, int n); /* n <= 8 steps at[] and the rate before each; lr[n] after the last */
NN_API nn_lr       nn_lr_exponential(float lr, float factor);     /* a step */
NN_API nn_lr       nn_lr_inverse_time(float lr, float rate, int64_t every); /* lr / (1 + rate step / every) */
NN_API nn_lr       nn_lr_linear(float lr, float last, int64_t total); /* from lr to last at step total */
NN_API nn_lr       nn_lr_polynomial(float lr, int64_t total, float power, float last);
NN_API nn_lr       nn_lr_one_cycle(float most, int64_t total, float warm); /* cosines: up from most/25 for the share `warm` (0: 0.3), down to most/250000; Smith and Topin 2018 */
NN_API nn_lr       nn_lr_restarts(float lr, int64_t first, float times, float last); /* cosines, each `times` as long as the one before; Loshchilov and Hutter 2017 */
NN_API nn_lr       nn_lr_plateau(float lr, float factor, int patience, float least); /* times factor after more than `patience` calls of nn_optim_metric without a better (smaller) value */
NN_API nn_lr       nn_lr_then(const nn_lr *first, int64_t steps, const nn_lr *second); /* first for so many steps, then second from its beginning; both must live on */
NN_API nn_lr       nn_lr_times(const nn_lr *first, const nn_lr *second); /* their product, second's as a share of its base: chained */
NN_API nn_lr       nn_lr_cosine(float lr, int64_t warmup, int64_t total, float last); /* linear from lr/warmup to lr, then a half cosine down to last at step total */
NN_API double      nn_lr_at(nn_lr schedule, int64_t step);        /* steps count from 0 */

/* -- data -- */
NN_API nn_data    *nn_data_new(nn_tensor *x, nn_tensor *y);       /* copies; x [n,...], y [n] integers (classes) or [n,...] reals */
NN_API nn_csv_options nn_csv_defaults(void);
NN_API nn_data    *nn_data_csv(nn_ctx *c, const char *path, const nn_csv_options *options);
NN_API nn_data    *nn_data_csv_text(nn_ctx *c, const char *text, size_t size, const nn_csv_options *options);
NN_API nn_data    *nn_data_idx(nn_ctx *c, const char *images, const char *labels); /* bytes become 0 ... 1 */
NN_API nn_data    *nn_data_mnist(nn_ctx *c, const char *folder, nn_mode part);     /* the four files of MNIST, unpacked; NN_TRAIN or NN_TEST */
NN_API nn_tensor  *nn_idx(nn_ctx *c, const void *bytes, size_t size);              /* one idx file in memory -> kept tensor */
NN_API nn_data    *nn_data_files(nn_ctx *c, const char *x, const char *y, int64_t window); /* npy or idx files; window 0: into memory; else x stays on the disk and is read so many
                                                                     samples at a time, shuffled as pieces and within them: memory does not grow with the file */
NN_API nn_data    *nn_data_toy(nn_ctx *c, const char *name, int64_t n, double noise); /* 2-d classes: xor, circles, moons, blobs (3), spiral (3), checkerboard; [n,3]: swiss_roll, target its angle; sines: y = sin x */
NN_API int         nn_data_fold(nn_data *d, int k, int i, nn_data **train, nn_data **valid); /* i-th of k folds, each class spread evenly */
NN_API int64_t     nn_data_classes(nn_data *d);                   /* 1 + the largest class; 0 for real targets */
NN_API const char *nn_data_class(const nn_data *d, int i);        /* the name that csv had for it, or NULL */
NN_API const char *nn_data_column(const nn_data *d, int i);       /* the csv header's i-th name, or NULL */
NN_API int         nn_scale_fit(nn_model *m, const char *name, nn_data *d, nn_scaling how); /* sets the buffers of nn_layer_scale at that name from d's inputs, */
NN_API int         nn_scale_fit_target(nn_model *m, const char *name, nn_data *d, nn_scaling how); /* or real targets */
NN_API nn_tensor  *nn_text_read(nn_ctx *c, const char *path);     /* kept u8 [bytes]; as an index into a table of 256: nn_index_select */
NN_API nn_tensor  *nn_text_lines(nn_tensor *text);                /* i64 [lines,2]: begin and end of each line, without \n and \r\n */
NN_API nn_tensor  *nn_text_table(nn_tensor *text, int *count);    /* i32 [256]: a number for each byte that occurs, in order, -1 for others: a character vocabulary */
NN_API void        nn_data_free(nn_data *d);
NN_API int         nn_data_split(nn_data *d, double share, nn_data **rest, nn_data **part); /* part gets this share: every k-th sample of each class, in order */
NN_API int         nn_data_batch(nn_data *d, int64_t size, int drop_last);
NN_API int         nn_data_shuffle(nn_data *d, int on);           /* default: on, another order each epoch from the context's seed */
NN_API int         nn_data_next(nn_data *d, nn_batch *b);         /* 0: the epoch is over (the next call begins another) */
NN_API void        nn_data_rewind(nn_data *d);                    /* begin the epoch again */
NN_API int64_t     nn_data_count(const nn_data *d);               /* samples */
NN_API nn_tensor  *nn_data_x(nn_data *d, int64_t from, int64_t n);/* samples in order, without shuffling: step tensors; n may be NN_TO_END */
NN_API nn_tensor  *nn_data_y(nn_data *d, int64_t from, int64_t n);

/* -- training -- */
NN_API nn_fit_options nn_fit_defaults(void);                      /* all zero; for C and C++ alike */
NN_API nn_history  nn_fit(nn_model *m, nn_data *d, const nn_fit_options *options); /* resets the context after each step */
NN_API nn_scores   nn_evaluate(nn_model *m, nn_data *d, nn_loss loss); /* NULL: as nn_fit */
NN_API nn_advice   nn_recommend(nn_model *m);                     /* by parameters: below 10 K 32 and 0.01, 100 K 64 and 0.003, 1 M 128 and 0.001, above 256 and 0.0003 */
NN_API int         nn_history_json(nn_ctx *c, const nn_history *h, const char *path);
NN_API int         nn_history_svg(nn_ctx *c, const nn_history *h, const char *path); /* losses by epoch */

/* -- plans: the lines of a step, recorded once and run many times -- */
NN_API nn_plan    *nn_plan_begin(nn_ctx *c, const nn_plan_options *options); /* from here to nn_plan_end ops are written down and not run. NULL: defaults */
NN_API nn_tensor  *nn_plan_input(nn_plan *p, const char *name, nn_tensor *x); /* stands for x, and for what nn_plan_bind puts in its place */
NN_API int         nn_plan_end(nn_plan *p, nn_tensor **outputs, int n);      /* puts the plan's own tensors, which hold the values of the last run, into outputs */
NN_API int         nn_plan_bind(nn_plan *p, const char *name, nn_tensor *x); /* x: the input's shape and dtype; it must live through the runs */
NN_API int         nn_plan_bind_data(nn_plan *p, const char *name, const void *data); /* your own array, contiguous */
NN_API int         nn_plan_run(nn_plan *p);
NN_API void        nn_plan_free(nn_plan *p);
NN_API nn_plan_options nn_plan_defaults(void);
NN_API nn_plan_stats nn_plan_stats_of(const nn_plan *p);
NN_API nn_tensor  *nn_checkpoint(nn_net segment, nn_scope s, nn_tensor *x);  /* segment(s, x); a plan keeps its result only, and computes what backward needs again (Chen et al. 2016) */
NN_API int         nn_plan_report(nn_plan *p);                    /* on stdout: memory, and of each node FLOPs, bytes, time predicted and, where nn_profile was on, measured */
NN_API int         nn_plan_report_text(nn_plan *p, char *text, size_t size);
NN_API int         nn_plan_passes(nn_plan *p);                    /* on stdout: what each pass did */
NN_API int         nn_plan_passes_text(nn_plan *p, char *text, size_t size);
NN_API int         nn_plan_dot(nn_plan *p, const char *path);     /* the graph for Graphviz, */
NN_API int         nn_plan_svg(nn_plan *p, const char *path);     /* and drawn */
NN_API int         nn_model_plan(nn_model *m, int on);            /* 1: nn_predict runs as a plan from the second time that a shape comes; for a net that always does the same. 0: no more */
NN_API int         nn_export_c(nn_model *m, nn_tensor *example, const char *path); /* nn_predict for example's shape as one C99 file: void NAME_run(const float *in, float *out), NAME the file's */

/* -- where the time goes -- */
NN_API int         nn_profile(nn_ctx *c, int on);                 /* 1: measure the machine (some 50 ms), forget what was noted and note every op; 0: stop */
NN_API int         nn_profile_text(nn_ctx *c, char *text, size_t size); /* a table, the dearest first; the length it needs, -1 on error */
NN_API int         nn_profile_print(nn_ctx *c);                   /* the same on stdout */
NN_API int         nn_profile_trace(nn_ctx *c, const char *path); /* JSON for chrome://tracing or ui.perfetto.dev: one bar a call (the first 2^18) */

/* -- files: safetensors, and NumPy's npy and npz (not compressed): read by what is in them, written by the end of the name; replaced whole or not at all -- */
NN_API int         nn_save(nn_model *m, const char *path);
NN_API int         nn_load(nn_model *m, const char *path);        /* by name; before the first forward it waits for the names */
NN_API int         nn_load_memory(nn_model *m, const void *bytes, size_t size);
NN_API int         nn_optim_save(nn_optim *o, const char *path);  /* the model and the optimiser's state: to go on training */
NN_API int         nn_optim_load(nn_optim *o, const char *path);
NN_API nn_file    *nn_file_open(nn_ctx *c, const char *path);
NN_API nn_file    *nn_file_memory(nn_ctx *c, const void *bytes, size_t size); /* a copy of the bytes */
NN_API void        nn_file_close(nn_file *f);
NN_API int         nn_file_count(const nn_file *f);
NN_API const char *nn_file_name(const nn_file *f, int i);
NN_API nn_shape    nn_file_shape(const nn_file *f, int i);
NN_API nn_dtype    nn_file_dtype(const nn_file *f, int i);
NN_API nn_tensor  *nn_file_tensor(nn_file *f, const char *name);  /* a step tensor with its values */
NN_API int         nn_file_write(nn_ctx *c, const char *path, const char *const *names, nn_tensor **tensors, int n);

/* -- backends -- */
NN_API nn_backend  nn_backend_null(nn_null_counts *counts);       /* counts its calls and keeps its memory on the host: tests the plumbing */

#endif /* NN_NEURAL_H */

/* =====================================================================================================
   The implementation. Read it downwards: each section uses only what stands above it (and the public API).
   ===================================================================================================== */
#if defined(NN_IMPLEMENTATION) && !defined(NN__IMPLEMENTED)
#define NN__IMPLEMENTED

/* ---- >>platform ------------------------------------------------------------------------------------- */
#include <float.h>
#include <limits.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#if !defined(NN_HEADER_NAME)
#  define NN_HEADER_NAME "nn.h"
#endif
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
#  error "nn.h: big-endian machines are not supported (files and kernels assume little-endian)"
#endif
#if (defined(NN_MALLOC) || defined(NN_REALLOC) || defined(NN_FREE)) && !(defined(NN_MALLOC) && defined(NN_REALLOC) && defined(NN_FREE))
#  error "nn.h: define all of NN_MALLOC, NN_REALLOC and NN_FREE, or none"
#endif
#if !defined(NN_MALLOC)
#  define NN_MALLOC(size) malloc(size)
#  define NN_REALLOC(p, size) realloc(p, size)
#  define NN_FREE(p) free(p)
#endif

#if defined(_WIN32)
#  ifndef WIN32_LEAN_AND_MEAN
#    define WIN32_LEAN_AND_MEAN
#  endif
#  ifndef NOMINMAX
#    define NOMINMAX
#  endif
#  include <windows.h>
#  include <io.h>
#else
#  include <sched.h>
#  include <sys/time.h>
#  include <unistd.h>
#  if !defined(NN_NO_THREADS)
#    include <pthread.h>
#  endif
#endif

#if defined(NN_USE_CBLAS)
#  if !defined(NN_CBLAS_HEADER)
#    define NN_CBLAS_HEADER <cblas.h>
#  endif
#  include NN_CBLAS_HEADER
#  define NN__BLAS_NAME ", BLAS"
#else
#  define NN__BLAS_NAME ""
#endif

/* Address sanitizer sees overruns between tensors only if each one is a block of its own. */
#if defined(__SANITIZE_ADDRESS__)
#  define NN__SEPARATE_BLOCKS 1
#elif defined(__has_feature)
#  if __has_feature(address_sanitizer)
#    define NN__SEPARATE_BLOCKS 1
#  endif
#endif
#if !defined(NN__SEPARATE_BLOCKS)
#  define NN__SEPARATE_BLOCKS 0
#endif

#define NN__UNUSED    __attribute__((unused))
#define NN__LIKELY(x) __builtin_expect(!!(x), 1)
#define NN__ALIGN     64

/* Atomics: the compilers' builtins work in C99 and C++11 alike, and thread sanitizer knows them. */
#define nn__atomic_load(p)     __atomic_load_n(p, __ATOMIC_ACQUIRE)
#define nn__atomic_store(p, v) __atomic_store_n(p, v, __ATOMIC_RELEASE)
#define nn__atomic_add(p, v)   __atomic_fetch_add(p, v, __ATOMIC_ACQ_REL)
#define nn__atomic_swap(p, v)  __atomic_exchange_n(p, v, __ATOMIC_ACQ_REL)

static int64_t nn__min64(int64_t a, int64_t b) { return a < b ? a : b; }
static int64_t nn__max64(int64_t a, int64_t b) { return a > b ? a : b; }
static int64_t nn__ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }
static size_t  nn__round_up(size_t n, size_t to) { return (n + to - 1) / to * to; }

NN_API double nn_time(void) {
#if defined(_WIN32)
    LARGE_INTEGER now, rate;
    QueryPerformanceCounter(&now);
    QueryPerformanceFrequency(&rate);
    return (double)now.QuadPart / (double)rate.QuadPart;
#else
    struct timeval t; /* clock_gettime is invisible under a strict -std=c99 */
    gettimeofday(&t, NULL);
    return (double)t.tv_sec + 1e-6 * (double)t.tv_usec;
#endif
}

static void nn__cpu_pause(void) {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static int nn__cpu_count(void) {
#if defined(_WIN32)
    SYSTEM_INFO info;
    GetSystemInfo(&info);
    return (int)info.dwNumberOfProcessors;
#elif defined(_SC_NPROCESSORS_ONLN)
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    return n < 1 ? 1 : n > 1024 ? 1024 : (int)n;
#else
    return 1;
#endif
}

#if !defined(NN_NO_THREADS) && defined(_WIN32)
typedef SRWLOCK            nn__mutex;
typedef CONDITION_VARIABLE nn__cond;
typedef HANDLE             nn__thread;
static void nn__mutex_init(nn__mutex *m) { InitializeSRWLock(m); }
static void nn__mutex_free(nn__mutex *m) { (void)m; }
static void nn__lock(nn__mutex *m) { AcquireSRWLockExclusive(m); }
static void nn__unlock(nn__mutex *m) { ReleaseSRWLockExclusive(m); }
static void nn__cond_init(nn__cond *c) { InitializeConditionVariable(c); }
static void nn__cond_free(nn__cond *c) { (void)c; }
static void nn__cond_wait(nn__cond *c, nn__mutex *m) { SleepConditionVariableSRW(c, m, INFINITE, 0); }
static void nn__cond_wake(nn__cond *c) { WakeAllConditionVariable(c); }
#  define NN__THREAD_MAIN(name, arg) static DWORD WINAPI name(LPVOID arg)
#  define NN__THREAD_DONE 0
static int  nn__thread_start(nn__thread *t, LPTHREAD_START_ROUTINE f, void *arg) { return (*t = CreateThread(NULL, 0, f, arg, 0, NULL)) != NULL; }
static void nn__thread_join(nn__thread t) { WaitForSingleObject(t, INFINITE); CloseHandle(t); }
#elif !defined(NN_NO_THREADS)
typedef pthread_mutex_t nn__mutex;
typedef pthread_cond_t  nn__cond;
typedef pthread_t       nn__thread;
static void nn__mutex_init(nn__mutex *m) { pthread_mutex_init(m, NULL); }
static void nn__mutex_free(nn__mutex *m) { pthread_mutex_destroy(m); }
static void nn__lock(nn__mutex *m) { pthread_mutex_lock(m); }
static void nn__unlock(nn__mutex *m) { pthread_mutex_unlock(m); }
static void nn__cond_init(nn__cond *c) { pthread_cond_init(c, NULL); }
static void nn__cond_free(nn__cond *c) { pthread_cond_destroy(c); }
static void nn__cond_wait(nn__cond *c, nn__mutex *m) { pthread_cond_wait(c, m); }
static void nn__cond_wake(nn__cond *c) { pthread_cond_broadcast(c); }
#  define NN__THREAD_MAIN(name, arg) static void *name(void *arg)
#  define NN__THREAD_DONE NULL
static int  nn__thread_start(nn__thread *t, void *(*f)(void *), void *arg) { return pthread_create(t, NULL, f, arg) == 0; }
static void nn__thread_join(nn__thread t) { pthread_join(t, NULL); }
#endif

/* The context. Its parts are explained in the sections that use them. */
typedef struct nn__kernels nn__kernels;
typedef struct nn__pool    nn__pool;
typedef struct nn__chunk   nn__chunk;
typedef struct nn__block   nn__block;
typedef struct nn__binding nn__binding;
typedef struct nn__name    nn__name;
typedef struct nn__object  nn__object;
typedef struct nn__state   nn__state;
typedef struct nn__profile nn__profile;

struct nn__object { /* the head of everything that nn_end frees: models, optimisers, data, files, forks */
    nn__object *next, *prev;
    void      (*destroy)(nn__object *);
};

enum { NN__POOL_CLASSES = 256, NN__TEXT = 640 };

struct nn_ctx {
    const void *copy;     /* which copy of nn.h made it; the first three fields never move */
    nn_status   error;
    char        error_text[NN__TEXT];

    nn_config   config;
    nn_ctx     *root;     /* itself, or the context it was forked from */
    nn__object  object;   /* its place in the parent's list, if it is a fork */
    nn__object  objects;  /* ring of what it owns */
    int         objects_busy; /* forks may end in their own threads: a spin lock over the ring */
    uint64_t    next_id, forks, data_sets;

    nn_memory_report memory;                       /* >>memory */
    nn__chunk  *chunk, *first_chunk;
    nn__block  *blocks;
    void       *pool_free[NN__POOL_CLASSES];
    nn_tensor  *temps;    /* made by the gradient rule that runs now */
    nn_tensor  *graded;   /* tensors that hold a gradient */
    nn_tensor  *kept;     /* persistent tensors: a list, NULL if none */
    nn_tensor  *debug_live, *debug_dead, *debug_dead_last;
    int64_t     debug_dead_count;
    uint32_t    epoch;    /* counts nn_reset: a step tensor of another epoch was dropped */

    nn_node    *tape;     /* the last node */
    int64_t     pending;  /* backward: intermediates whose gradient is still on its way */
    int         no_grad, in_backward, shape_only, summing; /* summing: nn_summary's own run */
    int         eager;    /* NN_EAGER: no plans but those that are asked for */
    nn_tensor **targets;  /* nn_grad_of: what is asked for */
    int         n_targets;

    uint64_t    step;     /* random numbers: the step's counter, and how many ops of it drew */
    uint32_t    streams;

    nn__pool          *pool;     /* >>threads */
    const nn__kernels *kernels;  /* >>dispatch */
    int                extras;
    void             **scratch;  /* one a worker */
    size_t            *scratch_size;
    int                workers;

    nn__binding *bindings;  /* this context's handles of models' parameters */
    nn__state   *states;    /* nn_state's tensors, by place and name */
    char         cpu_info[96];
    nn_plan     *plan;      /* being recorded: ops are written down, not run */
    nn_plan     *plans;     /* this context's, to be told when what they use ends */
    uint32_t     segment, segments; /* of nn_checkpoint: this one, and how many there were */
    nn__profile *profile;   /* NULL until nn_profile asks for one */
    int          profiling;
    const nn__name *place;
};

static const char nn__this_copy = 'n';

/* ---- >>error ----------------------------------------------------------------------------------------
   One list of all messages. nn__fail(c, NN__M_SIZES_DIFFER, ...) keeps the first in the context, with the
   scope and the op that it happened in. */
#define NN__MESSAGES(X) \
    X(MEMORY,          NN_ERR_MEMORY,  "out of memory (%llu bytes)") \
    X(OPERAND_NULL,    NN_ERR_NULL,    "operand %d is NULL") \
    X(ARG_NULL,        NN_ERR_NULL,    "%s is NULL") \
    X(OTHER_CONTEXT,   NN_ERR_CONTEXT, "operand %d belongs to another context; nn_share(c, x) shows it in this one") \
    X(DROPPED,         NN_ERR_CONTEXT, "operand %d (%s) was dropped by nn_reset, or a gradient used up by nn_step; nn_keep(x) keeps it") \
    X(FOREIGN_COPY,    NN_ERR_CONTEXT, "this context was made by another copy of nn.h (NN_STATIC); pass data, not objects, between them") \
    X(OBJECT_CONTEXT,  NN_ERR_CONTEXT, "%s belongs to another context") \
    X(RANK_LIMIT,      NN_ERR_SHAPE,   "%d dimensions; nn.h has at most %d") \
    X(NEGATIVE_SIZE,   NN_ERR_SHAPE,   "size %lld of axis %d is negative") \
    X(TOO_LARGE,       NN_ERR_RANGE,   "a tensor %s of %s does not fit into memory") \
    X(BROADCAST,       NN_ERR_SHAPE,   "x %s and y %s do not broadcast: %lld and %lld differ") \
    X(SHAPES_DIFFER,   NN_ERR_SHAPE,   "%s %s and %s %s must have equal shapes") \
    X(SIZES_DIFFER,    NN_ERR_SHAPE,   "x %s, %s %s: %lld and %lld differ") \
    X(RANK,            NN_ERR_SHAPE,   "%s %s must have %s dimensions") \
    X(AXIS,            NN_ERR_SHAPE,   "axis %lld is outside a tensor of %d dimensions") \
    X(AXIS_TWICE,      NN_ERR_SHAPE,   "axis %lld is named twice") \
    X(AXES_COUNT,      NN_ERR_SHAPE,   "%d axes for a tensor of %d dimensions") \
    X(RESHAPE,         NN_ERR_SHAPE,   "%s has %lld elements and cannot become %s") \
    X(RESHAPE_GUESS,   NN_ERR_SHAPE,   "%s cannot become %s: the size -1 is not determined") \
    X(EXPAND,          NN_ERR_SHAPE,   "%s cannot expand to %s") \
    X(SQUEEZE,         NN_ERR_SHAPE,   "axis %lld of %s has not size 1") \
    X(SLICE_STEP,      NN_ERR_ARG,     "a slice needs a step other than 0") \
    X(INDEX,           NN_ERR_RANGE,   "index %lld is outside axis %d of size %lld") \
    X(INDEX_VALUE,     NN_ERR_RANGE,   "index %lld (element %lld) is outside 0 ... %lld") \
    X(LABEL,           NN_ERR_RANGE,   "label %lld (row %lld) is outside 0 ... %lld; classes count from 0") \
    X(EMPTY,           NN_ERR_SHAPE,   "%s of nothing (x %s)") \
    X(NOT_ONE,         NN_ERR_SHAPE,   "%s has %lld elements; one is needed") \
    X(BYTES,           NN_ERR_SHAPE,   "%llu bytes given, %s of %s has %llu") \
    X(NOT_REAL,        NN_ERR_DTYPE,   "operand %d is %s; real numbers are needed: nn_cast(x, NN_F32)") \
    X(NOT_INTEGER,     NN_ERR_DTYPE,   "%s is %s; i32, i64 or u8 are needed: nn_cast(x, NN_I64)") \
    X(DTYPES_DIFFER,   NN_ERR_DTYPE,   "operands are %s and %s; nn.h does not promote: nn_cast one of them") \
    X(DTYPE_IS,        NN_ERR_DTYPE,   "the tensor is %s, not %s; nn_cast(x, ...) converts") \
    X(DTYPE_BAD,       NN_ERR_DTYPE,   "%d is no dtype") \
    X(NO_F64,          NN_ERR_DTYPE,   "f64 was left out of this build (NN_NO_F64)") \
    X(NOT_CONTIGUOUS,  NN_ERR_ARG,     "the tensor %s is a strided view; nn_contiguous(x) copies it") \
    X(NO_DATA,         NN_ERR_ARG,     "a shape-only context has no data to %s") \
    X(ORDER,           NN_ERR_ARG,     "%g to %g is no range") \
    X(RULE,            NN_ERR_ARG,     "'%s': %s") \
    X(SQUARE,          NN_ERR_SHAPE,   "x %s must be square matrices") \
    X(SINGULAR,        NN_ERR_ARG,     "matrix %lld is singular") \
    X(NOT_POSITIVE,    NN_ERR_ARG,     "matrix %lld is not positive definite") \
    X(PROBABILITY,     NN_ERR_ARG,     "probability %g is outside 0 ... 1") \
    X(ARANGE,          NN_ERR_ARG,     "arange from %g to %g by %g") \
    X(OPTION,          NN_ERR_ARG,     "%s cannot be %g") \
    X(ISA,             NN_ERR_ARG,     "instruction set '%s' is unknown or not on this machine") \
    X(OP_OUTPUT,       NN_ERR_ARG,     "the op's rules are incomplete: %s") \
    X(IN_PLACE,        NN_ERR_GRAD,    "in-place change of a tensor that needs a gradient; use nn_no_grad or nn_detach") \
    X(OVERWRITTEN,     NN_ERR_GRAD,    "%s %d of '%s' was changed in place after backward needed its old value") \
    X(NO_HISTORY,      NN_ERR_GRAD,    "nothing to differentiate: the tensor depends on no leaf that needs a gradient") \
    X(NOT_LEAF,        NN_ERR_GRAD,    "an intermediate's gradient is not kept; call nn_retain_grad(x) before nn_backward") \
    X(NO_GRAD_RULE,    NN_ERR_GRAD,    "op '%s' has no gradient rule") \
    X(NO_GRADIENTS,    NN_ERR_GRAD,    "no parameter has a gradient; call nn_backward before nn_step") \
    X(GRADCHECK_F64,   NN_ERR_DTYPE,   "nn_gradcheck needs f64 inputs and a real output") \
    X(SCOPE,           NN_ERR_NAME,    "the scope is empty: it came from a failed call") \
    X(NAME_BAD,        NN_ERR_NAME,    "'%s' is no name: letters, digits, '_' and '-' are") \
    X(NAME_UNKNOWN,    NN_ERR_NAME,    "no parameter '%s': names are fixed once the model is made") \
    X(NAME_SHAPE,      NN_ERR_NAME,    "parameter '%s' was %s and is now asked for as %s") \
    X(NAME_MISSING,    NN_ERR_NAME,    "the file has no tensor '%s'") \
    X(NAME_LEFT,       NN_ERR_NAME,    "the file's tensor '%s' belongs to no parameter") \
    X(NAME_FITS_NOT,   NN_ERR_NAME,    "the file's '%s' is %s, the parameter is %s") \
    X(MODEL_MADE,      NN_ERR_ARG,     "the model's parameters are already made") \
    X(MODEL_NOT_MADE,  NN_ERR_ARG,     "the model has no parameters yet; nn_forward, nn_model_build or nn_load a file first") \
    X(MODEL_THREADS,   NN_ERR_CONTEXT, "build the model in its own context before other contexts use it") \
    X(MODEL_NO_NET,    NN_ERR_ARG,     "the model has no network function; use nn_enter") \
    X(NET_NULL,        NN_ERR_NULL,    "the network returned NULL") \
    X(STATE_SHAPE,     NN_ERR_NAME,    "state '%s' was %s and is now asked for as %s") \
    X(SPLIT,           NN_ERR_ARG,     "a share of %g leaves one part of %lld samples empty") \
    X(SAMPLES,         NN_ERR_SHAPE,   "x has %lld samples, y has %lld") \
    X(FILE_OPEN,       NN_ERR_FILE,    "%s: %s") \
    X(FILE_READ,       NN_ERR_FILE,    "%s: cannot be read") \
    X(FILE_WRITE,      NN_ERR_FILE,    "%s: cannot be written (%s)") \
    X(FILE_NONE,       NN_ERR_FILE,    "this build has no files (NN_NO_STDIO)") \
    X(FORMAT,          NN_ERR_FORMAT,  "%s: %s") \
    X(CSV,             NN_ERR_FORMAT,  "%s: line %lld: %s") \
    X(PROFILE_NONE,    NN_ERR_ARG,     "nothing was profiled; nn_profile(c, 1) starts") \
    X(PLAN_HOST,       NN_ERR_PLAN,    "%s cannot be part of a plan: it needs values, and a plan computes none while it is recorded; do it before nn_plan_begin or after nn_plan_run") \
    X(PLAN_OUTSIDE,    NN_ERR_PLAN,    "operand %d (%s) was made before nn_plan_begin and ends with its step: nn_plan_input names it, or nn_keep keeps it") \
    X(PLAN_STATE,      NN_ERR_PLAN,    "%s") \
    X(PLAN_NAME,       NN_ERR_PLAN,    "the plan has no input '%s'") \
    X(PLAN_FITS_NOT,   NN_ERR_PLAN,    "input '%s' is %s %s, the tensor is %s %s; a plan is made for one shape") \
    X(PLAN_DROPPED,    NN_ERR_PLAN,    "input '%s' is bound to a tensor that was dropped (by nn_reset) or freed; nn_plan_bind it again") \
    X(PLAN_GONE,       NN_ERR_PLAN,    "the plan uses '%s', which was freed; record it again") \
    X(PLAN_CHANGED,    NN_ERR_PLAN,    "the plan was made for '%s' of %s, which is now %s; nn_plan_input names what changes") \
    X(PLAN_BUDGET,     NN_ERR_PLAN,    "a budget of %llu bytes cannot be met; the least found is %llu") \
    X(PLAN_BLOCKS,     NN_ERR_PLAN,    "no numbered blocks to checkpoint: enter them by nn_in_i(s, \"h\", i)") \
    X(EXPORT_OP,       NN_ERR_PLAN,    "export: op '%s' (%s) has no C form") \
    X(EXPORT_DTYPE,    NN_ERR_DTYPE,   "export: %s is %s; exported code knows no real type but f32") \
    X(DEVICE_NONE,     NN_ERR_DEVICE,  "device %d: this context has no such backend") \
    X(DEVICE_FAILED,   NN_ERR_DEVICE,  "backend '%s' failed to %s") \
    X(DEVICE_HOST,     NN_ERR_DEVICE,  "the data is on device %d; nn_to_device(x, 0) brings it to the host") \
    X(DEVICES_DIFFER,  NN_ERR_DEVICE,  "operands are on devices %d and %d; nn_to_device moves one")

typedef enum {
#define NN__X(id, code, text) NN__M_##id,
    NN__MESSAGES(NN__X)
#undef NN__X
    NN__M_COUNT
} nn__message;

static const struct nn__message_text { nn_status code; const char *text; } nn__messages[] = {
#define NN__X(id, code, text) {code, text},
    NN__MESSAGES(NN__X)
#undef NN__X
};

static size_t nn__place_text(const nn__name *place, char *text, size_t size); /* >>models */

NN_API nn_status nn_error(const nn_ctx *c) { return c ? c->error : NN_ERR_MEMORY; }

NN_API const char *nn_error_text(const nn_ctx *c) {
    return c ? c->error_text : "out of memory (no context)";
}

NN_API void nn_error_clear(nn_ctx *c) {
    if (!c) return;
    c->error         = NN_OK;
    c->error_text[0] = 0;
    c->place         = NULL; /* the layer that failed was not left */
}

static void nn__note_v(nn_ctx *c, nn_log_level level, const char *line) {
    if (c->config.log) c->config.log(c->config.log_user, level, line);
#if !defined(NN_NO_STDIO)
    else fprintf(stderr, level == NN_LOG_INFO ? "%s\n" : "nn.h: %s\n", line);
#endif
}

NN_API void nn_note(nn_ctx *c, nn_log_level level, const char *format, ...) {
    char    line[NN__TEXT];
    va_list args;
    if (!c) return;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    nn__note_v(c, level, line);
}

static void nn__fail_v(nn_ctx *c, nn_status code, const char *op, const char *format, va_list args) {
    size_t n = 0;
    if (c->error) return; /* the first failure explains; what follows is its echo */
    c->error = code;
    if (c->place) n = nn__place_text(c->place, c->error_text, sizeof c->error_text / 2);
    if (n) n += (size_t)snprintf(c->error_text + n, sizeof c->error_text - n, ": ");
    if (op) n += (size_t)snprintf(c->error_text + n, sizeof c->error_text - n, "%.60s: ", op);
    vsnprintf(c->error_text + n, sizeof c->error_text - n, format, args);
    if (!c->config.quiet) nn__note_v(c, NN_LOG_ERROR, c->error_text);
}

NN_API void nn_fail(nn_ctx *c, nn_status code, const char *format, ...) {
    va_list args;
    if (!c) return;
    va_start(args, format);
    nn__fail_v(c, code == NN_OK ? NN_ERR_ARG : code, NULL, format, args);
    va_end(args);
}

/* op: the name of the op or function, or NULL. Always 0, so that `return nn__fail(...)` reads well. */
static int nn__fail(nn_ctx *c, const char *op, int id, ...) { /* id: NN__M_..., an int since va_start wants one */
    va_list args;
    if (!c) return 0;
    va_start(args, id);
    nn__fail_v(c, nn__messages[id].code, op, nn__messages[id].text, args);
    va_end(args);
    return 0;
}

/* May this context still create and change things? */
static int nn__ok(nn_ctx *c) {
    if (!c || c->error) return 0;
    if (NN__LIKELY(c->copy == &nn__this_copy)) return 1;
    return nn__fail(c, NULL, NN__M_FOREIGN_COPY);
}

static int nn__ok_arg(nn_ctx *c, const char *function, const void *arg, const char *name) {
    if (!nn__ok(c)) return 0;
    return arg ? 1 : nn__fail(c, function, NN__M_ARG_NULL, name);
}

/* ---- >>memory ---------------------------------------------------------------------------------------
   Three homes, each with one end (the manual has the whole table):
     the step arena   bump allocation, dropped by nn_reset            activations, headers, the tape
     the pool         size-class lists, given back block by block     gradients, temporaries of backward
     kept             one block each                                  parameters, batches, kept tensors, state
   After the first steps none of them asks the allocator again: the arena has merged into one chunk of
   all its chunks' size, and the pool has a block of each class that a step needs. */
static void *nn__alloc(nn_ctx *c, size_t size) {
    char  *raw, *p;
    size_t total = size + NN__ALIGN + sizeof(void *);
    if (total < size) return nn__fail(c, NULL, NN__M_MEMORY, (unsigned long long)size), (void *)NULL;
    raw = (char *)(c->config.alloc ? c->config.alloc(c->config.alloc_user, total) : NN_MALLOC(total));
    if (!raw) return nn__fail(c, NULL, NN__M_MEMORY, (unsigned long long)size), (void *)NULL;
    p = raw + sizeof(void *);
    p += (NN__ALIGN - (uintptr_t)p % NN__ALIGN) % NN__ALIGN;
    memcpy(p - sizeof(void *), &raw, sizeof raw); /* remember where the block began */
    c->memory.allocations++;
    c->memory.now += size;
    if (c->memory.now > c->memory.peak) c->memory.peak = c->memory.now;
    return p;
}

static void nn__free(nn_ctx *c, void *p, size_t size) {
    void *raw;
    if (!p) return;
    memcpy(&raw, (char *)p - sizeof(void *), sizeof raw);
    c->memory.now -= size;
    if (c->config.release) c->config.release(c->config.alloc_user, raw, size + NN__ALIGN + sizeof(void *));
    else NN_FREE(raw);
}

static void *nn__alloc_zero(nn_ctx *c, size_t size) {
    void *p = nn__alloc(c, size);
    return p ? memset(p, 0, size) : NULL;
}

/* Grows an array: *capacity in elements. 1, or 0 and everything as before. */
static int nn__grow(nn_ctx *c, void *array, int64_t *capacity, int64_t need, size_t element) {
    void   *old, *grown;
    int64_t wide = nn__max64(need, nn__max64(16, *capacity * 2));
    if (need <= *capacity) return 1;
    memcpy(&old, array, sizeof old);
    grown = (uint64_t)wide > SIZE_MAX / 2 / element ? NULL : nn__alloc(c, (size_t)wide * element);
    if (!grown) return nn__fail(c, NULL, NN__M_MEMORY, (unsigned long long)wide * element);
    if (old) memcpy(grown, old, (size_t)*capacity * element);
    nn__free(c, old, (size_t)*capacity * element);
    memcpy(array, &grown, sizeof grown);
    *capacity = wide;
    return 1;
}

/* -- the step arena: chunks in a row; data begins NN__ALIGN bytes in -- */
struct nn__chunk { nn__chunk *next; size_t size, used; };
struct nn__block { nn__block *next; size_t size; }; /* NN__SEPARATE_BLOCKS: each piece on its own */
typedef struct nn__mark { nn__chunk *chunk; size_t used, now; nn__block *block; nn_tensor *debug, *temps; nn_node *tape; } nn__mark;

static nn__chunk *nn__chunk_new(nn_ctx *c, size_t size) {
    nn__chunk *k = (nn__chunk *)nn__alloc(c, NN__ALIGN + size);
    if (!k) return NULL;
    k->next = NULL;
    k->size = size;
    k->used = 0;
    c->memory.step_held += NN__ALIGN + size;
    return k;
}

static void nn__chunks_free(nn_ctx *c, nn__chunk *k) {
    while (k) {
        nn__chunk *next = k->next;
        c->memory.step_held -= NN__ALIGN + k->size;
        nn__free(c, k, NN__ALIGN + k->size);
        k = next;
    }
}

static void *nn__arena_slow(nn_ctx *c, size_t size, size_t bytes) {
    if (size == 0 || size >= SIZE_MAX / 2) return nn__fail(c, NULL, NN__M_MEMORY, (unsigned long long)bytes), (void *)NULL;
    if (NN__SEPARATE_BLOCKS) {
        nn__block *b = (nn__block *)nn__alloc(c, NN__ALIGN + size);
        if (!b) return NULL;
        b->next   = c->blocks;
        b->size   = size;
        c->blocks = b;
        return (char *)b + NN__ALIGN;
    }
    while (c->chunk && c->chunk->next) { /* chunks left over from an earlier, larger step */
        c->chunk       = c->chunk->next;
        c->chunk->used = 0;
        if (c->chunk->size >= size) { c->chunk->used = size; return (char *)c->chunk + NN__ALIGN; }
    }
    {
        size_t     wide = c->memory.step_held ? c->memory.step_held : 64 * 1024; /* doubling */
        nn__chunk *k    = nn__chunk_new(c, size > wide ? size : wide);
        if (!k) return NULL;
        if (c->chunk) c->chunk->next = k;
        else c->first_chunk = k;
        c->chunk = k;
        k->used  = size;
        return (char *)k + NN__ALIGN;
    }
}

static inline void *nn__arena(nn_ctx *c, size_t bytes) {
    nn__chunk *k = c->chunk;
    size_t     size = nn__round_up(bytes + !bytes, NN__ALIGN); /* 0 where it overflows */
    void      *p;
    if (!NN__SEPARATE_BLOCKS && NN__LIKELY(k && k->size - k->used >= size && size)) {
        p = (char *)k + NN__ALIGN + k->used;
        k->used += size;
    } else {
        p = nn__arena_slow(c, size, bytes);
        if (!p) return NULL;
    }
    c->memory.step_now += size;
    return p;
}

/* step_now only falls where the arena goes back: there its peak is noted. */
static void nn__arena_peak(nn_memory_report *r) {
    if (r->step_now > r->step_peak) r->step_peak = r->step_now;
}

static nn__mark nn__arena_mark(nn_ctx *c) {
    nn__mark m;
    m.chunk = c->chunk;
    m.used  = c->chunk ? c->chunk->used : 0;
    m.now   = c->memory.step_now;
    m.block = c->blocks;
    m.debug = c->debug_live;
    m.temps = c->temps;
    m.tape  = c->tape;
    return m;
}

static void nn__debug_bury(nn_ctx *c, nn_tensor *until);    /* >>tensor */
static void nn__temps_release(nn_ctx *c, nn_tensor *until); /* >>autodiff */

/* Everything since the mark is dropped; chunks made since stay chained for later. */
static void nn__arena_rewind(nn_ctx *c, nn__mark m) {
    nn__temps_release(c, m.temps);
    nn__debug_bury(c, m.debug);
    c->tape = m.tape;
    while (c->blocks != m.block) {
        nn__block *b = c->blocks;
        c->blocks = b->next;
        nn__free(c, b, NN__ALIGN + b->size);
    }
    c->chunk = m.chunk ? m.chunk : c->first_chunk;
    if (c->chunk) c->chunk->used = m.chunk ? m.used : 0;
    nn__arena_peak(&c->memory);
    c->memory.step_now = m.now;
}

/* Drops all, and merges several chunks into one of their common size, so that the next step only bumps. */
static void nn__arena_reset(nn_ctx *c) {
    nn__mark start = {NULL, 0, 0, NULL, NULL, NULL, NULL};
    nn__arena_rewind(c, start);
    if (c->first_chunk && c->first_chunk->next) {
        size_t    total = c->memory.step_held;
        nn_status error = c->error;
        nn__chunks_free(c, c->first_chunk);
        c->first_chunk = c->chunk = NULL;
        if (error == NN_OK) c->first_chunk = c->chunk = nn__chunk_new(c, total);
    }
}

/* -- the pool: classes 64, 80, 96, 112, 128, 160, ...: four a doubling, so above 64 bytes less than a quarter is wasted -- */
static int nn__pool_class(size_t size, size_t *rounded) {
    int    doublings = size <= 128 ? 0 : 57 - __builtin_clzll((unsigned long long)size - 1); /* above 64 */
    size_t step = (size_t)16 << doublings;
    *rounded = nn__round_up(size < 64 ? 64 : size, step);
    return 4 * doublings + (int)(*rounded / step) - 4;
}

static void *nn__pool_get(nn_ctx *c, size_t size) {
    size_t rounded;
    int    k = nn__pool_class(size, &rounded);
    void  *p = c->pool_free[k];
    if (p) memcpy(&c->pool_free[k], p, sizeof p); /* a free block holds the next one's address */
    else {
        p = nn__alloc(c, rounded);
        if (!p) return NULL;
        c->memory.pool_held += rounded;
    }
    c->memory.pool_now += rounded;
    if (c->memory.pool_now > c->memory.pool_peak) c->memory.pool_peak = c->memory.pool_now;
    return p;
}

static void nn__pool_put(nn_ctx *c, void *p, size_t size) {
    size_t rounded;
    int    k = nn__pool_class(size, &rounded);
    if (!p) return;
    c->memory.pool_now -= rounded;
    if (NN__SEPARATE_BLOCKS) {
        c->memory.pool_held -= rounded;
        nn__free(c, p, rounded);
        return;
    }
    memcpy(p, &c->pool_free[k], sizeof p);
    c->pool_free[k] = p;
}

static void nn__pool_free_all(nn_ctx *c) {
    for (int k = 0; k < NN__POOL_CLASSES; k++) {
        size_t size = ((size_t)(k % 4 + 4) * 16) << (k / 4);
        while (c->pool_free[k]) {
            void *p = c->pool_free[k];
            memcpy(&c->pool_free[k], p, sizeof p);
            c->memory.pool_held -= size;
            nn__free(c, p, size);
        }
    }
}

NN_API nn_memory_report nn_memory(const nn_ctx *c) {
    nn_memory_report r;
    memset(&r, 0, sizeof r);
    if (!c) return r;
    r          = c->memory;
    nn__arena_peak(&r);
    r.kept_now = r.now - r.step_held - r.pool_held;
    return r;
}

/* -- what nn_end frees -- */
static void nn__objects_lock(nn_ctx *c) { while (nn__atomic_swap(&c->objects_busy, 1)) nn__cpu_pause(); }
static void nn__objects_unlock(nn_ctx *c) { nn__atomic_store(&c->objects_busy, 0); }

static void nn__object_add(nn_ctx *c, nn__object *o, void (*destroy)(nn__object *)) {
    nn__objects_lock(c);
    o->destroy           = destroy;
    o->prev              = &c->objects;
    o->next              = c->objects.next;
    c->objects.next->prev = o;
    c->objects.next      = o;
    nn__objects_unlock(c);
}

static void nn__object_remove(nn_ctx *c, nn__object *o) {
    nn__objects_lock(c);
    o->prev->next = o->next;
    o->next->prev = o->prev;
    nn__objects_unlock(c);
}

/* ---- >>rng ------------------------------------------------------------------------------------------
   Philox4x32-10 (Salmon et al. 2011): a random number is a function of (seed, stream, step, element), so a
   tensor can be filled by any number of threads, and a step repeated, with the same result. The seed is the
   key; the counter is {block, block's high half, stream, step}. A block of 64 elements takes 16 counters:
   element i is word (i/16)%4 of counter 16*(i/64) + i%16, which suits vectors of any width up to 16. */
typedef struct nn__rng { uint64_t seed; uint32_t stream; uint32_t step; } nn__rng;

static uint64_t nn__mix(uint64_t x) { /* a 64-bit finaliser (splitmix64's): names and indices to seeds */
    x ^= x >> 30; x *= 0xbf58476d1ce4e5b9u;
    x ^= x >> 27; x *= 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

static void nn__philox(nn__rng r, uint64_t counter, uint32_t word[4]) {
    uint32_t x0 = (uint32_t)counter, x1 = (uint32_t)(counter >> 32), x2 = r.stream, x3 = r.step;
    uint32_t k0 = (uint32_t)r.seed, k1 = (uint32_t)(r.seed >> 32);
    for (int i = 0; i < 10; i++, k0 += 0x9E3779B9u, k1 += 0xBB67AE85u) {
        uint64_t p0 = (uint64_t)0xD2511F53u * x0, p1 = (uint64_t)0xCD9E8D57u * x2;
        x0 = (uint32_t)(p1 >> 32) ^ x1 ^ k0;
        x1 = (uint32_t)p1;
        x2 = (uint32_t)(p0 >> 32) ^ x3 ^ k1;
        x3 = (uint32_t)p0;
    }
    word[0] = x0; word[1] = x1; word[2] = x2; word[3] = x3;
}

NN_API void nn_seed(nn_ctx *c, uint64_t seed) {
    if (!nn__ok(c)) return;
    c->config.seed = seed;
    c->step        = 0;
    c->streams     = 0;
}

/* A permutation of 0 ... n-1 (Fisher and Yates). Modulo's bias is below 2^-32 for any n that fits in memory. */
static void nn__shuffle(nn__rng r, int64_t *list, int64_t n) {
    for (int64_t i = n - 1; i > 0; i--) {
        uint32_t w[4];
        int64_t  j, t;
        nn__philox(r, (uint64_t)i, w);
        j = (int64_t)((((uint64_t)w[0] << 32) | w[1]) % (uint64_t)(i + 1));
        t = list[i]; list[i] = list[j]; list[j] = t;
    }
}

/* ---- >>shape ----------------------------------------------------------------------------------------
   Row-major: the last axis is contiguous. A broadcast axis has stride 0. */
static const struct nn__dtype_info { const char *name; size_t size; } nn__dtypes[NN_DTYPES + 1] = { /* and one for no dtype at all */
    {"f32", 4}, {"f64", 8}, {"f16", 2}, {"bf16", 2}, {"i8", 1}, {"u8", 1}, {"i32", 4}, {"i64", 8}, {"?", 0}};

NN_API const char *nn_dtype_name(nn_dtype d) { return nn__dtypes[(unsigned)d < NN_DTYPES ? d : NN_DTYPES].name; }
NN_API size_t      nn_dtype_size(nn_dtype d) { return nn__dtypes[(unsigned)d < NN_DTYPES ? d : NN_DTYPES].size; }

/* "[64,784]" into one of a few buffers of the caller's */
typedef struct nn__text { char s[96]; } nn__text;
static const char *nn__shape_text(nn__text *t, int ndim, const int64_t *size) {
    size_t n = (size_t)snprintf(t->s, sizeof t->s, "[");
    for (int i = 0; i < ndim && i < NN_MAX_DIMS && n < sizeof t->s - 24; i++)
        n += (size_t)snprintf(t->s + n, sizeof t->s - n, i ? ",%lld" : "%lld", (long long)size[i]);
    snprintf(t->s + n, sizeof t->s - n, "]");
    return t->s;
}
static const char *nn__text_of(nn__text *t, nn_shape s) { return nn__shape_text(t, s.ndim, s.dim); }

static int64_t nn__count(int ndim, const int64_t *size) {
    int64_t n = 1;
    for (int i = 0; i < ndim; i++) n *= size[i];
    return n;
}

/* Sizes are sane, and the bytes fit; a size of 0 is legal. (Shapes go by pointer where every nanosecond of a small op
   counts: a structure just written number by number is slow to copy.) */
static inline int nn__shape_fine(nn_dtype dtype, const nn_shape *s) {
    uint64_t n = 1, limit = (uint64_t)(PTRDIFF_MAX / 8);
    if ((unsigned)dtype >= NN_DTYPES || (unsigned)s->ndim > NN_MAX_DIMS) return 0;
    for (int i = 0; i < s->ndim; i++) {
        uint64_t d = s->dim[i] ? (uint64_t)s->dim[i] : 1; /* 0 counts as one, so that strides fit too; what is negative is too large */
        if (__builtin_mul_overflow(n, d, &n) || n > limit) return 0;
    }
    return 1;
}
static int nn__check_shape(nn_ctx *c, const char *op, nn_dtype dtype, const nn_shape *s) {
    nn__text t;
    if (nn__shape_fine(dtype, s)) return 1;
    if ((unsigned)dtype >= NN_DTYPES) return nn__fail(c, op, NN__M_DTYPE_BAD, (int)dtype);
    if ((unsigned)s->ndim > NN_MAX_DIMS) return nn__fail(c, op, NN__M_RANK_LIMIT, s->ndim, NN_MAX_DIMS);
    for (int i = 0; i < s->ndim; i++)
        if (s->dim[i] < 0) return nn__fail(c, op, NN__M_NEGATIVE_SIZE, (long long)s->dim[i], i);
    return nn__fail(c, op, NN__M_TOO_LARGE, nn__text_of(&t, *s), nn_dtype_name(dtype));
}

/* -1 is the last axis; *axis becomes 0 ... ndim-1. */
static int nn__check_axis(nn_ctx *c, const char *op, int64_t *axis, int ndim) {
    int64_t a = *axis < 0 ? *axis + ndim : *axis;
    if (a < 0 || a >= ndim) return nn__fail(c, op, NN__M_AXIS, (long long)*axis, ndim);
    *axis = a;
    return 1;
}

/* ---- >>tensor ---------------------------------------------------------------------------------------
   A tensor is a header (what it looks like, which node made it) over storage (the bytes, counted and
   versioned). Views are further headers over the same storage. */
enum { NN__STEP, NN__POOL, NN__KEPT, NN__OUTSIDE, NN__PLANNED }; /* where a storage's bytes live; OUTSIDE: the user's, a model's, a batch's; PLANNED: a plan's block */

typedef struct nn__packed nn__packed; /* >>gemm */
typedef struct nn__storage {
    void    *data;     /* NULL in a shape-only context */
    size_t   bytes;
    uint32_t version;  /* counts in-place changes */
    uint32_t number;   /* PLANNED: its name in print, %1, %2, ...; 0: none yet */
    int32_t  uses;     /* POOL: pending gradients that hold it */
    int      home, device;
    nn__packed *packed; /* of a weight: its panels for nn_predict; NULL: not wanted */
} nn__storage;

struct nn_tensor {
    nn_ctx      *ctx;
    nn__storage *st;
    nn_node     *node;           /* the op that made it; NULL: a leaf, or nothing recorded */
    int64_t      offset;         /* in elements, as the strides */
    int64_t      size[NN_MAX_DIMS], stride[NN_MAX_DIMS];
    nn_dtype     dtype;
    int          ndim;
    uint32_t     epoch;          /* of a step tensor: which step; ~0: not a step tensor */
    uint8_t      needs_grad, retain, held, persistent; /* persistent: 1 not a step tensor, 2 the user's own (nn_keep) */
    nn_tensor   *pending;        /* backward: what has arrived of its gradient */
    nn_tensor   *grad;           /* what nn_grad shows */
    nn_tensor   *grad_room;      /* persistent tensors: the header that grad uses */
    nn_tensor   *next_temp, *next_graded;
    nn_tensor   *next, *prev;    /* kept tensors' list; debug lists */
    nn__storage  own;
};
#define NN__NO_EPOCH   0xffffffffu /* not a step tensor */
#define NN__DEAD_EPOCH 0xfffffffeu /* dropped: no step ever has this number */
#define NN__PLAN_EPOCH 0xfffffffdu /* c->epoch while a plan is recorded */

static void *nn__data(const nn_tensor *x) { return (char *)x->st->data + (x->offset ? (size_t)x->offset * nn__dtypes[x->dtype].size : 0); }
static int   nn__is_real(nn_dtype d) { return (unsigned)d <= NN_BF16; } /* the first four */

static int64_t nn__set_shape(nn_tensor *x, int ndim, const int64_t *size) { /* contiguous; returns how many elements */
    int64_t stride = 1, count = 1;
    x->ndim   = ndim;
    x->offset = 0;
    for (int i = ndim - 1; i >= 0; i--) {
        x->size[i]   = size[i];
        x->stride[i] = stride;
        stride *= size[i] ? size[i] : 1;
        count *= size[i];
    }
    return count;
}

static void nn__header_init(nn_ctx *c, nn_tensor *x, nn_dtype dtype) {
    x->ctx   = c;
    x->st    = &x->own;
    x->node  = NULL;
    x->dtype = dtype;
    x->epoch = c->epoch;
    x->needs_grad = x->retain = x->held = x->persistent = 0;
    x->pending = x->grad = x->grad_room = x->next_temp = x->next_graded = NULL;
    x->own.data    = NULL;
    x->own.bytes   = 0;
    x->own.version = 0;
    x->own.number  = 0;
    x->own.uses    = 0;
    x->own.home    = NN__OUTSIDE;
    x->own.device  = 0;
    x->own.packed  = NULL;
}

/* With NN_DEBUG headers outlive the arena, so that a dropped tensor can be told from a live one. */
static nn_tensor *nn__header_step(nn_ctx *c, nn_dtype dtype) {
    nn_tensor *x;
#if defined(NN_DEBUG)
    if (!c->plan) { /* a plan's headers are its own */
        x = (nn_tensor *)nn__alloc(c, sizeof *x);
        if (!x) return NULL;
        x->next       = c->debug_live;
        c->debug_live = x;
        nn__header_init(c, x, dtype);
        return x;
    }
#endif
    x = (nn_tensor *)nn__arena(c, sizeof *x);
    if (!x) return NULL;
    nn__header_init(c, x, dtype);
    return x;
}

static void nn__debug_bury(nn_ctx *c, nn_tensor *until) {
    while (c->debug_live != until) {
        nn_tensor *x  = c->debug_live;
        c->debug_live = x->next;
        x->epoch      = NN__DEAD_EPOCH;
        x->next       = NULL;
        if (c->debug_dead_last) c->debug_dead_last->next = x;
        else c->debug_dead = x;
        c->debug_dead_last = x;
        c->debug_dead_count++;
    }
    while (c->debug_dead_count > 50000) { /* the oldest graves are reused */
        nn_tensor *x  = c->debug_dead;
        c->debug_dead = x->next;
        nn__free(c, x, sizeof *x);
        if (--c->debug_dead_count == 0) c->debug_dead_last = NULL;
    }
}

static int nn__device_fail(nn_ctx *c, const char *verb) { return nn__fail(c, NULL, NN__M_DEVICE_FAILED, c->config.backend->name, verb); }

/* Bytes for a fresh contiguous step tensor: on its device, in the pool during backward, else in the arena. */
static int nn__tensor_bytes(nn_ctx *c, nn_tensor *x, int64_t count, int device) {
    nn__storage *st = x->st;
    st->bytes  = (size_t)count * nn__dtypes[x->dtype].size;
    st->device = device;
    st->home   = NN__STEP;
    if (c->shape_only) return 1;
    if ((c->in_backward && !c->plan) || device) { /* while a plan is recorded only constants have bytes, and they stay */
        st->home = NN__POOL;
        if (device) {
            const nn_backend *b = c->config.backend;
            st->data = b->alloc(b->self, st->bytes ? st->bytes : 1);
            if (!st->data) return nn__device_fail(c, "allocate");
        } else st->data = nn__pool_get(c, st->bytes);
        x->next_temp = c->temps;
        c->temps     = x;
    } else st->data = nn__arena(c, st->bytes);
    return st->data != NULL;
}

static nn_tensor *nn__tensor_on(nn_ctx *c, nn_dtype dtype, int ndim, const int64_t *size, int device) {
    nn_tensor *x = nn__header_step(c, dtype);
    if (!x) return NULL;
    return nn__tensor_bytes(c, x, nn__set_shape(x, ndim, size), device) ? x : NULL;
}

/* What a plan will compute: known by its shape, without bytes until the plan is laid out */
static nn_tensor *nn__tensor_planned(nn_ctx *c, nn_dtype dtype, int ndim, const int64_t *size) {
    nn_tensor *x = nn__header_step(c, dtype);
    if (!x) return NULL;
    x->own.bytes = (size_t)nn__set_shape(x, ndim, size) * nn__dtypes[dtype].size;
    x->own.home  = NN__PLANNED;
    return x;
}

static nn_tensor *nn__tensor(nn_ctx *c, const char *op, nn_dtype dtype, nn_shape s) {
    if (!nn__ok(c) || !nn__check_shape(c, op, dtype, &s)) return NULL;
    return nn__tensor_on(c, dtype, s.ndim, s.dim, 0);
}

/* A header that is not of the step: its own block, until it is dropped or the context ends. */
static nn_tensor *nn__kept_new(nn_ctx *c, nn_dtype dtype, int ndim, const int64_t *size, void *outside) {
    size_t     bytes = (size_t)nn__count(ndim, size) * nn__dtypes[dtype].size;
    nn_tensor *x     = (nn_tensor *)nn__alloc(c, sizeof *x);
    if (!x) return NULL;
    nn__header_init(c, x, dtype);
    nn__set_shape(x, ndim, size);
    x->epoch      = NN__NO_EPOCH;
    x->persistent = 1;
    x->own.bytes  = bytes;
    x->own.data   = outside;
    if (!outside && !c->shape_only) {
        x->own.home = NN__KEPT;
        x->own.data = nn__alloc_zero(c, bytes ? bytes : 1);
        if (!x->own.data) return nn__free(c, x, sizeof *x), (nn_tensor *)NULL;
    }
    x->prev = NULL;
    x->next = c->kept;
    if (c->kept) c->kept->prev = x;
    c->kept = x;
    return x;
}

static void nn__grad_release(nn_tensor *x);
static void nn__plans_forget(nn_ctx *c, const nn_tensor *x); /* >>plan */
static void nn__plans_forget_model(nn_ctx *root, const nn_model *m);

static void nn__kept_free(nn_tensor *x) {
    nn_ctx *c = x->ctx;
    if (c->plans) nn__plans_forget(c, x);
    nn__grad_release(x);
    if (x->next) x->next->prev = x->prev;
    if (x->prev) x->prev->next = x->next;
    else c->kept = x->next;
    if (x->own.home == NN__KEPT) nn__free(c, x->own.data, x->own.bytes ? x->own.bytes : 1);
    if (x->grad_room) nn__free(c, x->grad_room, sizeof *x);
    nn__free(c, x, sizeof *x);
}

/* -- operands: not NULL, of this context and of this step -- */
static int nn__operand_bad(nn_ctx *c, const char *op, const nn_tensor *x, int i) {
    nn__text t;
    if (!x) return nn__fail(c, op, NN__M_OPERAND_NULL, i + 1), 1;
    if (x->ctx != c) return nn__fail(c, op, NN__M_OTHER_CONTEXT, i + 1), 1;
    if (c->plan) return nn__fail(c, op, NN__M_PLAN_OUTSIDE, i + 1, nn__shape_text(&t, x->ndim, x->size)), 1;
    return nn__fail(c, op, NN__M_DROPPED, i + 1, nn__shape_text(&t, x->ndim, x->size)), 1;
}
static int nn__live(const nn_ctx *c, const nn_tensor *x) {
    return x && x->ctx == c && (x->epoch == NN__NO_EPOCH || x->epoch == c->epoch);
}
static int nn__ok_tensor(const char *op, const nn_tensor *x) { /* one operand, may be NULL after an earlier failure */
    if (!x || !nn__ok(x->ctx)) return 0;
    return nn__live(x->ctx, x) ? 1 : !nn__operand_bad(x->ctx, op, x, 0);
}
static int nn__ok_host(const char *op, const nn_tensor *x) {
    if (!nn__ok_tensor(op, x)) return 0;
    if (x->ctx->plan && (x->st->home != NN__STEP || !x->st->data)) return nn__fail(x->ctx, NULL, NN__M_PLAN_HOST, op); /* its own constants may be filled in */
    if (x->st->device) return nn__fail(x->ctx, op, NN__M_DEVICE_HOST, x->st->device);
    if (!x->st->data) return nn__fail(x->ctx, op, NN__M_NO_DATA, "read or write");
    return 1;
}

/* -- looking -- */
NN_API int      nn_ndim(const nn_tensor *x) { return x ? x->ndim : -1; }
NN_API nn_dtype nn_dtype_of(const nn_tensor *x) { return x ? x->dtype : NN_F32; }
NN_API int      nn_device_of(const nn_tensor *x) { return x ? x->st->device : 0; }
NN_API nn_ctx  *nn_ctx_of(const nn_tensor *x) { return x ? x->ctx : NULL; }
NN_API int64_t  nn_numel(const nn_tensor *x) { return x ? nn__count(x->ndim, x->size) : -1; }

NN_API int64_t nn_dim(const nn_tensor *x, int axis) {
    int64_t a = axis;
    if (!x) return -1;
    return nn__check_axis(x->ctx, "dim", &a, x->ndim) ? x->size[a] : -1;
}

NN_API nn_shape nn_shape_of(const nn_tensor *x) {
    nn_shape s = nn__shape_none();
    if (!x) return s;
    s.ndim = x->ndim;
    for (int i = 0; i < x->ndim; i++) s.dim[i] = x->size[i];
    return s;
}

NN_API int nn_is_contiguous(const nn_tensor *x) {
    int64_t stride = 1;
    if (!x) return 0;
    for (int i = x->ndim - 1; i >= 0; i--) {
        if (x->size[i] == 0) return 1;
        if (x->size[i] != 1 && x->stride[i] != stride) return 0;
        stride *= x->size[i];
    }
    return 1;
}

NN_API void *nn_ptr(nn_tensor *x) {
    nn__text t;
    if (!nn__ok_host("ptr", x)) return NULL;
    if (!nn_is_contiguous(x)) return nn__fail(x->ctx, "ptr", NN__M_NOT_CONTIGUOUS, nn__shape_text(&t, x->ndim, x->size)), (void *)NULL;
    return nn__data(x);
}
static void *nn__ptr_as(nn_tensor *x, nn_dtype dtype) {
    if (x && x->dtype != dtype && nn__ok(x->ctx)) nn__fail(x->ctx, "ptr", NN__M_DTYPE_IS, nn_dtype_name(x->dtype), nn_dtype_name(dtype));
    return nn_ptr(x);
}
NN_API float   *nn_f32(nn_tensor *x) { return (float *)nn__ptr_as(x, NN_F32); }
NN_API double  *nn_f64(nn_tensor *x) { return (double *)nn__ptr_as(x, NN_F64); }
NN_API int32_t *nn_i32(nn_tensor *x) { return (int32_t *)nn__ptr_as(x, NN_I32); }
NN_API int64_t *nn_i64(nn_tensor *x) { return (int64_t *)nn__ptr_as(x, NN_I64); }
NN_API uint8_t *nn_u8(nn_tensor *x) { return (uint8_t *)nn__ptr_as(x, NN_U8); }

/* -- half precision: widened on load, rounded to nearest even on store -- */
static float nn__bits_f32(uint32_t u) { float f; memcpy(&f, &u, sizeof f); return f; }
static uint32_t nn__f32_bits(float f) { uint32_t u; memcpy(&u, &f, sizeof u); return u; }

static float    nn__bf16_to_f32(uint16_t h) { return nn__bits_f32((uint32_t)h << 16); }
static uint16_t nn__f32_to_bf16(float f) {
    uint32_t u = nn__f32_bits(f);
    if ((u & 0x7fffffffu) > 0x7f800000u) return (uint16_t)((u >> 16) | 0x40); /* NaN stays NaN */
    return (uint16_t)((u + 0x7fffu + ((u >> 16) & 1)) >> 16);
}
static float nn__f16_to_f32(uint16_t h) {
    uint32_t sign = (uint32_t)(h & 0x8000) << 16, rest = h & 0x7fff;
    if (rest >= 0x7c00) return nn__bits_f32(sign | 0x7f800000u | ((rest & 0x3ff) << 13));
    if (rest < 0x400) { /* subnormal: exactly rest * 2^-24 */
        float f = (float)rest * 5.9604644775390625e-8f;
        return sign ? -f : f;
    }
    return nn__bits_f32(sign | ((rest << 13) + 0x38000000u));
}
static uint16_t nn__f32_to_f16(float f) {
    uint32_t u = nn__f32_bits(f), sign = (u >> 16) & 0x8000, a = u & 0x7fffffffu;
    if (a > 0x7f800000u) return (uint16_t)(sign | 0x7e00);
    if (a >= 0x477ff000u) return (uint16_t)(sign | 0x7c00); /* rounds to 65536 or more */
    if (a < 0x38800000u) { /* below 2^-14: adding 0.5 aligns the mantissa, and the FPU rounds */
        float m = nn__bits_f32(a) + 0.5f;
        return (uint16_t)(sign | (nn__f32_bits(m) - 0x3f000000u));
    }
    return (uint16_t)(sign | ((a - 0x38000000u + 0xfffu + ((a >> 13) & 1)) >> 13));
}

/* A double to f16 or bf16 must not round twice: f32 by round-to-odd first (the lost bits leave a mark in the last one). */
static float nn__f64_to_f32_odd(double d) {
    float f = (float)d;
    if ((double)f != d && d == d && fabs(d) < FLT_MAX) {
        uint32_t u = nn__f32_bits(f);
        if (fabs((double)f) > fabs(d)) u--; /* towards zero */
        return nn__bits_f32(u | 1);
    }
    return f;
}

/* One element of any dtype. Integers beyond 2^53 lose their last bits on the way through double. */
static double nn__load(nn_dtype d, const void *base, int64_t i) {
    switch (d) {
    case NN_F32: return ((const float *)base)[i];
    case NN_F64: return ((const double *)base)[i];
    case NN_F16: return nn__f16_to_f32(((const uint16_t *)base)[i]);
    case NN_BF16: return nn__bf16_to_f32(((const uint16_t *)base)[i]);
    case NN_I8: return ((const int8_t *)base)[i];
    case NN_U8: return ((const uint8_t *)base)[i];
    case NN_I32: return ((const int32_t *)base)[i];
    case NN_I64: return (double)((const int64_t *)base)[i];
    default: return NAN;
    }
}
static int64_t nn__saturate(double v, double low, double high) { /* towards zero; NaN is 0 */
    if (!(v == v)) return 0;
    if (v <= low) return (int64_t)low;
    if (v >= high) return high >= 9223372036854775807.0 ? INT64_MAX : (int64_t)high;
    return (int64_t)v;
}
static void nn__store(nn_dtype d, void *base, int64_t i, double v) {
    switch (d) {
    case NN_F32: ((float *)base)[i] = (float)v; break;
    case NN_F64: ((double *)base)[i] = v; break;
    case NN_F16: ((uint16_t *)base)[i] = nn__f32_to_f16(nn__f64_to_f32_odd(v)); break;
    case NN_BF16: ((uint16_t *)base)[i] = nn__f32_to_bf16(nn__f64_to_f32_odd(v)); break;
    case NN_I8: ((int8_t *)base)[i] = (int8_t)nn__saturate(v, -128, 127); break;
    case NN_U8: ((uint8_t *)base)[i] = (uint8_t)nn__saturate(v, 0, 255); break;
    case NN_I32: ((int32_t *)base)[i] = (int32_t)nn__saturate(v, -2147483648.0, 2147483647.0); break;
    case NN_I64: ((int64_t *)base)[i] = nn__saturate(v, -9223372036854775808.0, 9223372036854775807.0); break;
    default: break;
    }
}

/* An integer element, exactly: labels and indices. */
static int64_t nn__load_int(nn_dtype d, const void *base, int64_t i) {
    switch (d) {
    case NN_I8: return ((const int8_t *)base)[i];
    case NN_U8: return ((const uint8_t *)base)[i];
    case NN_I32: return ((const int32_t *)base)[i];
    case NN_I64: return ((const int64_t *)base)[i];
    default: return 0;
    }
}

/* n elements from one dtype and stride to another: the heart of casts, strided copies and half precision. */
static void nn__convert(nn_dtype to_type, void *to, int64_t to_stride, nn_dtype from_type, const void *from, int64_t from_stride, int64_t n) {
    if (to_type == from_type) {
        if (to_stride == 1 && from_stride == 1) {
            if (n) memcpy(to, from, (size_t)n * nn__dtypes[to_type].size);
            return;
        }
        switch (nn__dtypes[to_type].size) {
        case 1: for (int64_t i = 0; i < n; i++) ((uint8_t *)to)[i * to_stride] = ((const uint8_t *)from)[i * from_stride]; return;
        case 2: for (int64_t i = 0; i < n; i++) ((uint16_t *)to)[i * to_stride] = ((const uint16_t *)from)[i * from_stride]; return;
        case 4: for (int64_t i = 0; i < n; i++) ((uint32_t *)to)[i * to_stride] = ((const uint32_t *)from)[i * from_stride]; return;
        default: for (int64_t i = 0; i < n; i++) ((uint64_t *)to)[i * to_stride] = ((const uint64_t *)from)[i * from_stride]; return;
        }
    }
    if (to_type == NN_F32 && from_type == NN_BF16) {
        for (int64_t i = 0; i < n; i++) ((float *)to)[i * to_stride] = nn__bf16_to_f32(((const uint16_t *)from)[i * from_stride]);
    } else if (to_type == NN_BF16 && from_type == NN_F32) {
        for (int64_t i = 0; i < n; i++) ((uint16_t *)to)[i * to_stride] = nn__f32_to_bf16(((const float *)from)[i * from_stride]);
    } else if (to_type == NN_F32 && from_type == NN_F16) {
        for (int64_t i = 0; i < n; i++) ((float *)to)[i * to_stride] = nn__f16_to_f32(((const uint16_t *)from)[i * from_stride]);
    } else if (to_type == NN_F16 && from_type == NN_F32) {
        for (int64_t i = 0; i < n; i++) ((uint16_t *)to)[i * to_stride] = nn__f32_to_f16(((const float *)from)[i * from_stride]);
    } else if (nn__is_real(to_type) || nn__is_real(from_type)) {
        for (int64_t i = 0; i < n; i++) nn__store(to_type, to, i * to_stride, nn__load(from_type, from, i * from_stride));
    } else { /* between integers: the low bits, as in C */
        for (int64_t i = 0; i < n; i++) {
            uint64_t v = (uint64_t)nn__load_int(from_type, from, i * from_stride);
            if (to_type == NN_I64) ((uint64_t *)to)[i * to_stride] = v;
            else if (to_type == NN_I32) ((uint32_t *)to)[i * to_stride] = (uint32_t)v;
            else ((uint8_t *)to)[i * to_stride] = (uint8_t)v;
        }
    }
}

static int nn__convert_half(const nn_ctx *c, nn_dtype to_type, void *to, nn_dtype from_type, const void *from, int64_t n); /* >>dispatch */

/* Visits a tensor of any strides row by row: calls nn__convert between x and a contiguous buffer of dtype `type`. */
static void nn__copy_rows(const nn_tensor *x, nn_dtype type, void *buffer, int64_t from, int64_t to, int into_x) {
    size_t  xs = nn__dtypes[x->dtype].size, bs = nn__dtypes[type].size;
    int     d  = x->ndim;
    int64_t row = d ? x->size[d - 1] : 1, step = d ? x->stride[d - 1] : 1;
    while (d > 1 && x->stride[d - 2] == step * row) row *= x->size[--d - 1]; /* merge axes that follow each other */
    if (row <= 0) return;
    for (int64_t i = from; i < to;) {
        int64_t r = i / row, in = i % row, n = nn__min64(row - in, to - i), at = in * step;
        for (int k = d - 2; k >= 0; k--) {
            at += r % x->size[k] * x->stride[k];
            r /= x->size[k];
        }
        {
            char *px = (char *)nn__data(x) + at * (int64_t)xs, *pb = (char *)buffer + (size_t)i * bs;
            if (step == 1 && (into_x ? nn__convert_half(x->ctx, x->dtype, px, type, pb, n) : nn__convert_half(x->ctx, type, pb, x->dtype, px, n))) { /* done */ }
            else if (into_x) nn__convert(x->dtype, px, step, type, pb, 1, n);
            else nn__convert(type, pb, 1, x->dtype, px, step, n);
        }
        i += n;
    }
}

NN_API int nn_read(nn_tensor *x, void *to, size_t bytes) {
    nn__text t;
    size_t   have;
    if (!nn__ok_tensor("read", x) || !nn__ok_arg(x->ctx, "read", to, "to")) return 0;
    if (x->st->device) x = nn_to_device(x, 0);
    if (!nn__ok_host("read", x)) return 0;
    have = (size_t)nn_numel(x) * nn_dtype_size(x->dtype);
    if (bytes != have) return nn__fail(x->ctx, "read", NN__M_BYTES, (unsigned long long)bytes, nn_dtype_name(x->dtype), nn__shape_text(&t, x->ndim, x->size), (unsigned long long)have);
    nn__copy_rows(x, x->dtype, to, 0, nn_numel(x), 0);
    return 1;
}

/* -- in place: the storage's version tells backward that a saved value is gone -- */
static int nn__ok_change(const char *op, nn_tensor *x) {
    if (!nn__ok_host(op, x)) return 0;
    for (const nn_node *t = x->ctx->plan ? x->ctx->tape : NULL; t; t = t->prev) /* a plan's ops run later, and would see the new value */
        for (int k = 0; k < t->n_in; k++)
            if (t->in[k]->st == x->st) return nn__fail(x->ctx, NULL, NN__M_PLAN_HOST, op);
    if (x->needs_grad && !x->ctx->no_grad) return nn__fail(x->ctx, op, NN__M_IN_PLACE);
    x->st->version++;
    return 1;
}

NN_API int nn_write(nn_tensor *x, const void *from, size_t bytes) {
    nn__text t;
    size_t   have;
    if (!x || !nn__ok_arg(x->ctx, "write", from, "from")) return 0;
    have = (size_t)nn_numel(x) * nn_dtype_size(x->dtype);
    if (bytes != have) return nn__fail(x->ctx, "write", NN__M_BYTES, (unsigned long long)bytes, nn_dtype_name(x->dtype), nn__shape_text(&t, x->ndim, x->size), (unsigned long long)have);
    if (!nn__ok_change("write", x)) return 0;
    nn__copy_rows(x, x->dtype, (void *)(uintptr_t)from, 0, nn_numel(x), 1);
    return 1;
}

static void nn__fill_data(nn_tensor *x, double value) {
    double  tile[64];
    int64_t n = nn_numel(x);
    if (!x->st->data || n <= 0) return;
    if (nn_is_contiguous(x)) { /* one element, then doubling copies */
        size_t e = nn_dtype_size(x->dtype), total = (size_t)n * e, done = e;
        char  *p = (char *)nn__data(x);
        nn__store(x->dtype, p, 0, value);
        for (; done < total; done *= 2) memcpy(p + done, p, done * 2 <= total ? done : total - done);
        return;
    }
    for (int i = 0; i < 64; i++) nn__store(x->dtype, tile, i, value);
    for (int64_t i = 0; i < n; i += 64) /* the buffer is indexed by the element's number */
        nn__copy_rows(x, x->dtype, (char *)tile - (size_t)i * nn_dtype_size(x->dtype), i, nn__min64(n, i + 64), 1);
}

NN_API int nn_fill(nn_tensor *x, double value) {
    if (x && x->ctx->plan) return nn_assign(x, nn_full(x->ctx, x->dtype, nn_shape_of(x), value));
    if (!nn__ok_change("fill", x)) return 0;
    nn__fill_data(x, value);
    return 1;
}

static int nn__assign_later(nn_tensor *x, nn_tensor *from); /* >>ops move */

NN_API int nn_assign(nn_tensor *x, nn_tensor *from) {
    nn__text t, u;
    if (!nn__ok_tensor("assign", x) || !nn__ok_arg(x->ctx, "assign", from, "from") || (!x->ctx->plan && !x->ctx->shape_only && !nn__ok_host("assign", x))) return 0;
    if (!nn__live(x->ctx, from)) return !nn__operand_bad(x->ctx, "assign", from, 1);
    if (from->dtype != x->dtype) return nn__fail(x->ctx, "assign", NN__M_DTYPES_DIFFER, nn_dtype_name(x->dtype), nn_dtype_name(from->dtype));
    if (x->ndim != from->ndim || memcmp(x->size, from->size, (size_t)x->ndim * sizeof x->size[0]))
        return nn__fail(x->ctx, "assign", NN__M_SHAPES_DIFFER, "x", nn__shape_text(&t, x->ndim, x->size), "from", nn__shape_text(&u, from->ndim, from->size));
    if (x->ctx->shape_only) return 1; /* a network that writes its buffers has shapes too */
    from = from->st == x->st ? nn_clone(nn_detach(from)) : nn_contiguous(nn_detach(from)); /* overlapping views */
    if (x->ctx->plan) return nn__assign_later(x, from);
    return from && nn_write(x, nn_ptr(from), (size_t)nn_numel(x) * nn_dtype_size(x->dtype));
}

static int nn__element(const char *op, nn_tensor *x, nn_shape index, int64_t *at) {
    if (!nn__ok_host(op, x)) return 0;
    if (index.ndim != x->ndim) return nn__fail(x->ctx, op, NN__M_AXES_COUNT, index.ndim, x->ndim);
    *at = 0;
    for (int i = 0; i < x->ndim; i++) {
        int64_t k = index.dim[i] < 0 ? index.dim[i] + x->size[i] : index.dim[i];
        if (k < 0 || k >= x->size[i]) return nn__fail(x->ctx, op, NN__M_INDEX, (long long)index.dim[i], i, (long long)x->size[i]);
        *at += k * x->stride[i];
    }
    return 1;
}

NN_API double nn_get(nn_tensor *x, nn_shape index) {
    int64_t at = 0;
    return nn__element("get", x, index, &at) ? nn__load(x->dtype, nn__data(x), at) : NAN;
}

NN_API int nn_set(nn_tensor *x, nn_shape index, double value) {
    int64_t at = 0;
    if (!nn__element("set", x, index, &at) || !nn__ok_change("set", x)) return 0;
    nn__store(x->dtype, nn__data(x), at, value);
    return 1;
}

NN_API double nn_item(nn_tensor *x) {
    nn__text t;
    if (!nn__ok_tensor("item", x)) return NAN;
    if (nn_numel(x) != 1) return nn__fail(x->ctx, "item", NN__M_NOT_ONE, nn__shape_text(&t, x->ndim, x->size), (long long)nn_numel(x)), NAN;
    if (x->st->device) x = nn_to_device(x, 0);
    return nn__ok_host("item", x) ? nn__load(x->dtype, nn__data(x), 0) : NAN;
}

/* -- creating -- */
NN_API nn_tensor *nn_full(nn_ctx *c, nn_dtype dtype, nn_shape shape, double value) {
    nn_tensor *x = nn__tensor(c, "full", dtype, shape);
    if (x) nn__fill_data(x, value);
    return x;
}
NN_API nn_tensor *nn_zeros(nn_ctx *c, nn_dtype dtype, nn_shape shape) { return nn_full(c, dtype, shape, 0); }
NN_API nn_tensor *nn_ones(nn_ctx *c, nn_dtype dtype, nn_shape shape) { return nn_full(c, dtype, shape, 1); }

NN_API nn_tensor *nn_arange(nn_ctx *c, nn_dtype dtype, double start, double stop, double step) {
    double     n = ceil((stop - start) / step);
    nn_tensor *x;
    if (!nn__ok(c)) return NULL;
    if (!(step != 0) || !(n < 1e15) || n != n) return nn__fail(c, "arange", NN__M_ARANGE, start, stop, step), (nn_tensor *)NULL;
    x = nn__tensor(c, "arange", dtype, NN_SHAPE(n > 0 ? (int64_t)n : 0));
    if (x && x->st->data)
        for (int64_t i = 0; i < x->size[0]; i++) nn__store(dtype, x->st->data, i, start + (double)i * step);
    return x;
}

NN_API nn_tensor *nn_scalar_like(const nn_tensor *x, double value) { return x ? nn_full(x->ctx, x->dtype, NN_SCALAR, value) : NULL; }

NN_API nn_tensor *nn_linspace(nn_ctx *c, nn_dtype dtype, double first, double last, int64_t n) {
    nn_tensor *x = nn__ok(c) ? nn__tensor(c, "linspace", dtype, NN_SHAPE(n)) : NULL;
    if (x && x->st->data) /* from both ends, so that both are exact */
        for (int64_t i = 0; i < n; i++) nn__store(dtype, x->st->data, i, n == 1 ? first : 2 * i < n ? first + (last - first) / (double)(n - 1) * (double)i : last - (last - first) / (double)(n - 1) * (double)(n - 1 - i));
    return x;
}

NN_API nn_tensor *nn_eye(nn_ctx *c, nn_dtype dtype, int64_t n) {
    nn_tensor *x = nn_zeros(c, dtype, NN_SHAPE(n, n));
    if (x && x->st->data)
        for (int64_t i = 0; i < n; i++) nn__store(dtype, x->st->data, i * (n + 1), 1);
    return x;
}

NN_API nn_tensor *nn_from(nn_ctx *c, const void *data, nn_dtype dtype, nn_shape shape) {
    nn_tensor *x = nn__ok_arg(c, "from", data, "data") ? nn__tensor(c, "from", dtype, shape) : NULL;
    if (x && x->st->data && x->st->bytes) memcpy(x->st->data, data, x->st->bytes);
    return x;
}

NN_API nn_tensor *nn_wrap(nn_ctx *c, void *data, nn_dtype dtype, nn_shape shape) {
    nn_tensor *x;
    if (!nn__ok_arg(c, "wrap", data, "data") || !nn__check_shape(c, "wrap", dtype, &shape)) return NULL;
    x = nn__header_step(c, dtype);
    if (!x) return NULL;
    nn__set_shape(x, shape.ndim, shape.dim);
    x->own.bytes = (size_t)nn_numel(x) * nn_dtype_size(dtype);
    if (!c->shape_only) x->own.data = data;
    return x;
}

/* A header like x's over x's storage, without its history. */
static nn_tensor *nn__alias(nn_ctx *c, const nn_tensor *x) {
    nn_tensor *y = nn__header_step(c, x->dtype);
    if (!y) return NULL;
    y->st     = x->st;
    y->offset = x->offset;
    y->ndim   = x->ndim;
    for (int i = 0; i < x->ndim; i++) { y->size[i] = x->size[i]; y->stride[i] = x->stride[i]; }
    return y;
}

static nn_tensor *nn__detach_later(nn_tensor *x); /* >>ops move */

NN_API nn_tensor *nn_detach(nn_tensor *x) {
    if (!nn__ok_tensor("detach", x)) return NULL;
    return x->ctx->plan ? nn__detach_later(x) : nn__alias(x->ctx, x);
}

NN_API nn_tensor *nn_share(nn_ctx *c, nn_tensor *x) {
    nn__text   t;
    nn_tensor *y;
    if (!nn__ok_arg(c, "share", x, "x")) return NULL;
    if (c->plan || x->ctx->plan) return nn__fail(c->plan ? c : x->ctx, NULL, NN__M_PLAN_HOST, "share"), (nn_tensor *)NULL;
    if (!nn__live(x->ctx, x)) return nn__fail(c, "share", NN__M_DROPPED, 1, nn__shape_text(&t, x->ndim, x->size)), (nn_tensor *)NULL;
    y = nn__alias(c, x);
    if (y && c->shape_only) { /* only its shape can come along */
        y->st = &y->own;
        nn__set_shape(y, x->ndim, x->size);
    }
    return y;
}

NN_API nn_tensor *nn_keep(nn_tensor *x) {
    nn_tensor *k;
    if (!nn__ok_tensor("keep", x)) return NULL;
    if (x->ctx->plan) return nn__fail(x->ctx, NULL, NN__M_PLAN_HOST, "keep"), (nn_tensor *)NULL;
    if (x->st->device) x = nn_to_device(x, 0);
    k = x ? nn__kept_new(x->ctx, x->dtype, x->ndim, x->size, NULL) : NULL;
    if (!k) return NULL;
    k->persistent = 2;
    if (k->st->data) nn__copy_rows(x, x->dtype, k->st->data, 0, nn_numel(x), 0);
    return k;
}

NN_API void nn_drop(nn_tensor *x) {
    if (x && x->persistent == 2) nn__kept_free(x); /* not a parameter, a batch or state: they have other owners */
}

NN_API nn_tensor *nn_to_device(nn_tensor *x, int device) {
    const nn_backend *b;
    nn_tensor        *y;
    if (!nn__ok_tensor("to_device", x)) return NULL;
    b = x->ctx->config.backend;
    if (device < 0 || device > 1 || (device && !b)) return nn__fail(x->ctx, "to_device", NN__M_DEVICE_NONE, device), (nn_tensor *)NULL;
    if (x->st->device == device) return x;
    if (x->st->device && b->sync && !b->sync(b->self)) return nn__device_fail(x->ctx, "sync"), (nn_tensor *)NULL; /* the host is about to look */
    if (!x->st->device) x = nn_contiguous(nn_detach(x));
    if (!x) return NULL;
    if (!nn_is_contiguous(x)) { /* a strided view on the device: bring its whole storage over, keep the view */
        y = nn__alias(x->ctx, x);
        if (!y) return NULL;
        y->st       = &y->own;
        y->own.home = NN__STEP;
        y->own.data = nn__arena(x->ctx, x->st->bytes);
        y->own.bytes = x->st->bytes;
        if (!y->own.data) return NULL;
        if (!b->copy(b->self, y->own.data, x->st->data, x->st->bytes, 1)) return nn__device_fail(x->ctx, "copy"), (nn_tensor *)NULL;
        return y;
    }
    y = nn__tensor_on(x->ctx, x->dtype, x->ndim, x->size, device);
    if (!y || !x->st->data || !y->st->bytes) return y;
    if (!b->copy(b->self, nn__data(y), nn__data(x), y->st->bytes, device ? 0 : 1)) return nn__device_fail(x->ctx, "copy"), (nn_tensor *)NULL;
    return y;
}

/* -- printing as NumPy does: at most 8 digits after the point and no more than the type needs, columns
      aligned, exponents where the range asks for them, long axes cut to three at each end -- */
typedef struct nn__out { char *text; size_t size, n; } nn__out;

static void nn__put(nn__out *o, const char *format, ...) NN_PRINTF(2, 3);
static void nn__put(nn__out *o, const char *format, ...) {
    va_list args;
    int     n;
    va_start(args, format);
    n = vsnprintf(o->n < o->size ? o->text + o->n : NULL, o->n < o->size ? o->size - o->n : 0, format, args);
    va_end(args);
    if (n > 0) o->n += (size_t)n;
}

typedef struct nn__style {
    int    exponent;        /* write 1.5e+00 */
    int    digits, power;   /* then: digits after the point and of the exponent, the same for all */
    int    left, right;     /* widths up to and from the point on */
    int    special;         /* width of the widest nan or inf */
    int    cut, any;        /* show three at each end; there are numbers other than 0 */
    double low, high;       /* of these, the smallest and the largest */
} nn__style;

static double nn__round_to(nn_dtype d, double v) { /* v as the type would hold it */
    double room = 0;
    nn__store(d, &room, 0, v);
    return nn__load(d, &room, 0);
}

static void nn__point(char *s) { /* printf asks the locale, which may want a comma */
    s += strspn(s, "-0123456789");
    if (*s && *s != 'e') *s = '.';
}

/* Digits after the point in the shortest %e that reads back as v. */
static int nn__shortest(nn_dtype d, double v, int most) {
    char s[40];
    for (int p = 0; p < most; p++) {
        snprintf(s, sizeof s, "%.*e", p, v);
        if (nn__round_to(d, strtod(s, NULL)) == v) return p;
    }
    return most;
}

static int nn__exponent_of(double v, int digits) {
    char s[40];
    snprintf(s, sizeof s, "%.*e", digits, v);
    return atoi(strchr(s, 'e') + 1);
}

/* The number at p without its padding; real numbers end in "." rather than ".0", as NumPy's do. Returns the length up to
   the point, -1 for what has none. most: digits after the point. */
static int nn__number(char *s, size_t size, nn_dtype d, const nn__style *f, int most, const void *data, int64_t at) {
    char  *dot, *e, *end, *last;
    double v = nn__load(d, data, at);
    int    p, frac;
    if (d == NN_I64) return snprintf(s, size, "%lld", (long long)((const int64_t *)data)[at]); /* a double would round it */
    if (!nn__is_real(d)) return snprintf(s, size, "%.0f", v);
    if (v != v || v - v != 0) return snprintf(s, size, "%s", v != v ? "nan" : v > 0 ? "inf" : "-inf"), -1;
    if (f->exponent) {
        snprintf(s, size, "%#.*e", f->digits, v);
        nn__point(s);
        e = strchr(s, 'e') + 2;
        p = f->power - (int)strlen(e);
        if (p > 0) {
            memmove(e + p, e, strlen(e) + 1);
            memset(e, '0', (size_t)p);
        }
        return (int)(strchr(s, '.') - s);
    }
    p    = nn__shortest(d, v, 17);
    frac = v == 0 ? 0 : p - nn__exponent_of(v, p);
    snprintf(s, size, "%#.*f", frac < 0 ? 0 : frac > most ? most : frac, v);
    nn__point(s);
    dot = strchr(s, '.');
    end = last = s + strlen(s); /* zeros that rounding to 8 digits left */
    while (last > dot + 1 && last[-1] == '0') last--;
    memmove(last, end, strlen(end) + 1);
    return (int)(dot - s);
}

/* Takes every element that is shown into the style. */
static void nn__shown(nn_tensor *x, int axis, int64_t at, nn__style *f) {
    char s[420];
    if (axis == x->ndim) {
        double v = nn__load(x->dtype, nn__data(x), at);
        int    left, p, power;
        if (nn__is_real(x->dtype) && v - v == 0) {
            p = nn__shortest(x->dtype, v, 8);
            snprintf(s, sizeof s, "%.*e", p, v);
            power = (int)strlen(strchr(s, 'e')) - 2;
            for (char *e = strchr(s, 'e'); p > 0 && e[-1] == '0'; e--) p--; /* zeros that rounding to 8 digits left */
            if (p > f->digits) f->digits = p;
            if (power > f->power) f->power = power;
        }
        left = nn__number(s, sizeof s, x->dtype, f, 8, nn__data(x), at);
        if (left < 0) { f->special = (int)strlen(s) > f->special ? (int)strlen(s) : f->special; return; }
        if (v != 0) {
            if (!f->any || fabs(v) < f->low) f->low = fabs(v);
            if (!f->any || fabs(v) > f->high) f->high = fabs(v);
            f->any = 1;
        }
        if (left > f->left) f->left = left;
        if ((int)strlen(s) - left > f->right) f->right = (int)strlen(s) - left;
        return;
    }
    for (int64_t i = 0; i < x->size[axis]; i++) {
        if (f->cut && x->size[axis] > 6 && i == 3) i = x->size[axis] - 3;
        nn__shown(x, axis + 1, at + i * x->stride[axis], f);
    }
}

static void nn__show(nn__out *o, nn_tensor *x, int axis, int64_t at, const nn__style *f) {
    char s[420];
    int  cut = f->cut && x->size[axis] > 6, width = f->left + f->right, column = x->ndim, pad = 0;
    nn__put(o, "[");
    for (int64_t i = 0; i < x->size[axis]; i++) {
        int gap = cut && i == 3;
        if (gap) i = x->size[axis] - 3;
        if (axis < x->ndim - 1) {
            for (int k = axis; i && k < x->ndim - 1; k++) nn__put(o, "\n");
            if (gap) {
                nn__put(o, "%*s...", axis + 1, "");
                for (int k = axis; k < x->ndim - 1; k++) nn__put(o, "\n");
            }
            if (i) nn__put(o, "%*s", axis + 1, "");
            nn__show(o, x, axis + 1, at + i * x->stride[axis], f);
            continue;
        }
        for (int dots = gap; dots >= 0; dots--) { /* a line has 75 columns, one of them for each bracket at the end */
            int length = dots ? 3 : width;
            if (i && column + 1 + length > 75 - x->ndim) {
                nn__put(o, "\n%*s", x->ndim, "");
                column = x->ndim;
            } else if (i) {
                nn__put(o, "%*s", pad + 1, ""); /* held back until now: no line ends in spaces */
                column++;
            }
            column += length;
            pad = 0;
            if (dots) nn__put(o, "...");
            else {
                int left = nn__number(s, sizeof s, x->dtype, f, 8, nn__data(x), at + i * x->stride[axis]);
                int lead = left < 0 || !f->right ? width - (int)strlen(s) : f->left - left;
                nn__put(o, "%*s%s", lead, "", s);
                pad = width - lead - (int)strlen(s);
            }
        }
    }
    nn__put(o, "%*s]", pad, "");
}

NN_API int nn_format(nn_tensor *x, char *text, size_t size) {
    nn__out   o;
    nn__style f;
    char      s[420];
    o.text = text; o.size = size; o.n = 0;
    if (size) text[0] = 0;
    if (x && x->st->device) x = nn_to_device(x, 0);
    if (!nn__ok_host("format", x)) return -1;
    memset(&f, 0, sizeof f);
    if (nn_numel(x) == 0) {
        nn__put(&o, "[]");
    } else if (x->ndim == 0) { /* all its digits: 0.3333333333333333, 3.0, 1e+20 */
        double v = fabs(nn__load(x->dtype, nn__data(x), 0));
        if (nn__is_real(x->dtype) && v - v == 0 && v != 0 && (v >= 1e16 || v < 1e-4)) {
            v = nn__load(x->dtype, nn__data(x), 0);
            nn__put(&o, "%.*e", nn__shortest(x->dtype, v, 17), v);
        } else {
            int left = nn__number(s, sizeof s, x->dtype, &f, 24, nn__data(x), 0);
            nn__put(&o, "%s%s", s, nn__is_real(x->dtype) && left >= 0 && s[strlen(s) - 1] == '.' ? "0" : "");
        }
    } else {
        f.cut = nn_numel(x) > 1000;
        nn__shown(x, 0, 0, &f);
        if (nn__is_real(x->dtype) && f.any && (f.high >= 1e8 || f.low < nn__round_to(x->dtype, 1e-4) || nn__round_to(x->dtype, f.high / f.low) > 1000)) {
            f.left = f.right = 0;
            f.exponent = 1;
            nn__shown(x, 0, 0, &f);
        }
        if (f.special > f.left + f.right) f.left = f.special - f.right;
        nn__show(&o, x, 0, 0, &f);
    }
    return (int)o.n;
}

NN_API void nn_print(nn_tensor *x) {
#if !defined(NN_NO_STDIO)
    int   n = nn_format(x, NULL, 0);
    char *s = n >= 0 ? (char *)nn__alloc(x->ctx, (size_t)n + 1) : NULL;
    if (!s) return;
    nn_format(x, s, (size_t)n + 1);
    puts(s);
    nn__free(x->ctx, s, (size_t)n + 1);
#else
    (void)x;
#endif
}

NN_API void nn_debug(const nn_tensor *x) {
#if !defined(NN_NO_STDIO)
    nn__text t, u;
    if (!x) { fprintf(stderr, "nn_tensor NULL\n"); return; }
    fprintf(stderr, "nn_tensor %p: %s %s strides %s offset %lld device %d %s%s%s%s\n", (const void *)x, nn_dtype_name(x->dtype),
            nn__shape_text(&t, x->ndim, x->size), nn__shape_text(&u, x->ndim, x->stride), (long long)x->offset, x->st->device,
            x->node ? "from " : "leaf", x->node ? x->node->op->name : "", x->needs_grad ? ", needs gradient" : "",
            x->epoch != NN__NO_EPOCH && x->epoch != x->ctx->epoch ? ", DROPPED" : "");
#else
    (void)x;
#endif
}

/* ---- >>threads --------------------------------------------------------------------------------------
   A loop is offered as pieces behind one shared counter; the caller and the pool's workers take pieces until
   none is left. Which thread computes a piece never changes a bit of it: pieces write to separate places, and
   sums are split into parts by their shape alone (see >>ops reduce). Idle workers spin for a moment, then
   sleep. If the pool is busy with another context's loop, the caller simply does all pieces itself. */
typedef void (*nn__task)(void *arg, int64_t begin, int64_t end, int worker);
typedef struct nn__loop { nn__task task; void *arg; int64_t n, piece, next; } nn__loop;

static void nn__loop_work(void *loop, int worker) {
    nn__loop *l = (nn__loop *)loop;
    for (;;) {
        int64_t begin = nn__atomic_add(&l->next, l->piece);
        if (begin >= l->n) return;
        l->task(l->arg, begin, nn__min64(begin + l->piece, l->n), worker);
    }
}

#if !defined(NN_NO_THREADS)
#define NN__SPIN 100e-6 /* seconds before an idle worker sleeps */
typedef struct nn__worker { nn__pool *pool; int index; nn__thread thread; } nn__worker;
struct nn__pool {
    nn_ctx    *home;             /* whose allocator it uses */
    int        busy, quit, sleeping;
    uint32_t   turn;             /* counts loops: a worker sees a new one by it */
    int        left;             /* workers that have not finished this loop */
    int        helpers;          /* how many of the workers this loop wants */
    nn__loop  *loop;
    nn__mutex  mutex;
    nn__cond   wake;
    int        n;                /* workers, the caller not counted */
    nn__worker *worker;
};

NN__THREAD_MAIN(nn__worker_main, arg) {
    nn__worker *w    = (nn__worker *)arg;
    nn__pool   *p    = w->pool;
    uint32_t    seen = 0;
    for (;;) {
        double begun = nn_time(); /* the next op of a step usually comes soon; waking a sleeper takes some 50 microseconds */
        int    spins = 0;
        while (nn__atomic_load(&p->turn) == seen && (++spins % 64 || nn_time() - begun < NN__SPIN)) nn__cpu_pause();
        if (nn__atomic_load(&p->turn) == seen) {
            nn__lock(&p->mutex);
            nn__atomic_add(&p->sleeping, 1);
            while (nn__atomic_load(&p->turn) == seen) nn__cond_wait(&p->wake, &p->mutex);
            nn__atomic_add(&p->sleeping, -1);
            nn__unlock(&p->mutex);
        }
        seen = nn__atomic_load(&p->turn);
        if (nn__atomic_load(&p->quit)) return NN__THREAD_DONE;
        if (w->index < p->helpers) nn__loop_work(p->loop, w->index + 1);
        nn__atomic_add(&p->left, -1);
    }
}

static void nn__pool_stop(nn__pool *p) {
    nn_ctx *c;
    if (!p) return;
    c = p->home;
    nn__atomic_store(&p->quit, 1);
    nn__lock(&p->mutex);
    nn__atomic_add(&p->turn, 1);
    nn__cond_wake(&p->wake);
    nn__unlock(&p->mutex);
    for (int i = 0; i < p->n; i++) nn__thread_join(p->worker[i].thread);
    nn__mutex_free(&p->mutex);
    nn__cond_free(&p->wake);
    nn__free(c, p->worker, (size_t)c->workers * sizeof *p->worker);
    nn__free(c, p, sizeof *p);
}

/* Starts the workers; fewer than asked for is fine. */
static nn__pool *nn__pool_start(nn_ctx *c) {
    nn__pool *p = (nn__pool *)nn__alloc_zero(c, sizeof *p);
    if (!p) return NULL;
    p->worker = (nn__worker *)nn__alloc_zero(c, (size_t)c->workers * sizeof *p->worker);
    if (!p->worker) return nn__free(c, p, sizeof *p), (nn__pool *)NULL;
    p->home = c;
    nn__mutex_init(&p->mutex);
    nn__cond_init(&p->wake);
    for (; p->n < c->workers - 1; p->n++) {
        p->worker[p->n].pool  = p;
        p->worker[p->n].index = p->n;
        if (!nn__thread_start(&p->worker[p->n].thread, nn__worker_main, &p->worker[p->n])) break;
    }
    return p;
}

/* 1: the loop is done; 0: the pool is busy */
static int nn__pool_run(nn__pool *p, nn__loop *l, int helpers) {
    if (nn__atomic_swap(&p->busy, 1)) return 0;
    p->loop    = l;
    p->helpers = helpers;
    nn__atomic_store(&p->left, p->n);
    nn__lock(&p->mutex); /* so that no worker falls asleep between its last look and its wait */
    nn__atomic_add(&p->turn, 1);
    if (nn__atomic_load(&p->sleeping)) nn__cond_wake(&p->wake);
    nn__unlock(&p->mutex);
    nn__loop_work(l, 0);
    for (int spins = 0; nn__atomic_load(&p->left) > 0; spins++) {
        if (spins < 4000) nn__cpu_pause();
#if defined(_WIN32)
        else SwitchToThread();
#else
        else sched_yield();
#endif
    }
    nn__atomic_store(&p->busy, 0);
    return 1;
}
#else
struct nn__pool { int n; };
static void nn__pool_stop(nn__pool *p) { (void)p; }
#endif

NN_API int nn_threads(const nn_ctx *c) { return c ? c->workers : 0; }

/* Scratch of the first so many workers, which the next loop may use, `size` bytes each; 0 if memory ran out. It belongs to the
   context, not the pool, so that contexts never meet in it. */
static int nn__scratch(nn_ctx *c, int workers, size_t size) {
    for (int i = 0; i < workers; i++)
        if (c->scratch_size[i] < size) {
            nn__free(c, c->scratch[i], c->scratch_size[i]);
            c->scratch_size[i] = 0;
            c->scratch[i]      = nn__alloc(c, size);
            if (!c->scratch[i]) return 0;
            c->scratch_size[i] = size;
        }
    return 1;
}

typedef struct nn__hook { nn__loop *loop; } nn__hook;
static void nn__hook_job(void *arg, int index) { nn__loop_work(((nn__hook *)arg)->loop, index); }

enum { NN__WORTH_A_THREAD = 10000 }; /* nanoseconds of work below which waking another thread costs more than it saves */

static void nn__parallel(nn_ctx *c, int64_t n, double cost, nn__task task, void *arg) {
    double   total = (double)n * cost;
    int      wanted = c->workers;
    nn__loop l;
    if (n <= 0) return;
    if (total < (double)wanted * NN__WORTH_A_THREAD) wanted = (int)(total / NN__WORTH_A_THREAD);
    if (wanted > n) wanted = (int)n;
    if (wanted <= 1) { task(arg, 0, n, 0); return; }
    l.task  = task;
    l.arg   = arg;
    l.n     = n;
    l.piece = nn__max64(1, n / (wanted * 4)); /* several pieces a thread even out a disturbed one */
    l.next  = 0;
    if (c->config.parallel) {
        nn__hook h;
        h.loop = &l;
        c->config.parallel(c->config.parallel_user, wanted, nn__hook_job, &h);
        return;
    }
#if !defined(NN_NO_THREADS)
    if (!nn__atomic_load(&c->root->pool) && c == c->root) nn__atomic_store(&c->pool, nn__pool_start(c)); /* at the first large op */
    {
        nn__pool *p = nn__atomic_load(&c->root->pool);
        if (p && nn__pool_run(p, &l, wanted - 1)) return;
    }
#endif
    task(arg, 0, n, 0);
}

NN_API void nn_parallel_for(nn_ctx *c, int64_t n, double cost, void (*task)(void *, int64_t, int64_t, int), void *arg) {
    if (nn__ok(c) && task) nn__parallel(c, n, cost, task, arg);
}

/* ---- >>dispatch -------------------------------------------------------------------------------------
   The kernels at the end of this file are compiled once per instruction set and type; here is the table that
   each pass fills, and the choice. The lists name the element-wise ops: their formulas stand in >>ops elementwise. */
/* How a product is computed: tiles, with A or B packed or read where they lie; or dot products. 0: decide from the product
   itself, which is right for a whole one only (see "Determinism" at the kernel). PACKED_B, set by the caller: b is what gemm_pack
   made, b_row = gemm_columns, b_col = k. */
enum { NN__GEMM_KC_LEAST = 256 }; /* every set of kernels sums so many products at a time, or more */
enum { NN__GEMM_TILES = 1, NN__GEMM_PACK_A = 2, NN__GEMM_PACK_B = 4, NN__GEMM_DOT = 8, NN__GEMM_PACKED_B = 16 };
typedef void (*nn__unary_fn)(const void *x, void *y, int64_t n, const double *p);
typedef struct nn__gemm {                /* C[m,n] = activation(A[m,k] B[k,n] + bias[n]) + residual[m,n] */
    int64_t     m, n, k;
    const void *a; int64_t a_row, a_col; /* strides in elements, any */
    const void *b; int64_t b_row, b_col;
    void       *c; int64_t c_row;        /* c's columns follow each other */
    const void *bias;
    const void *residual; int64_t r_row; /* anything but C itself; NULL: none, as for bias */
    nn__unary_fn act;                    /* any element-wise kernel without parameters; NULL: none */
    int         accumulate;              /* on tile paths: what C holds is added, before bias */
    int         path;                    /* NN__GEMM_...: chosen from the whole problem, so that its pieces compute the same bits */
} nn__gemm;

/* The same in low precision (see "matrix product in low precision" in >>kernels): strides of A, B and C in elements of theirs. */
enum { NN__LOW_WIDE, NN__LOW_DOT, NN__LOW_MADD, NN__LOW_VNNI, NN__LOW_AMX };
typedef struct nn__low {
    nn__gemm     g;                      /* bias: of the operands' type; not used: residual, accumulate, path */
    nn_dtype     type;                   /* of A and B: f16, bf16, i8 */
    int          c_size;                 /* bytes of an element of C: f16, bf16; i32, or f32 where int8 is scaled */
    const float *a_scale, *b_scale;      /* of int8: factors of C's rows and columns, or NULL */
    int          path;
} nn__low;

/* op(name): unary y = f(x, p); binary z = f(x, y, p), each operand's stride 0 or 1. n < 0: -n values, stored past the caches. */
#define NN__UNARY_OPS(X) X(neg) X(exp) X(log) X(sqrt) X(square) X(relu) X(sigmoid) X(tanh) X(erf) X(gelu) X(gelu_tanh) X(sin) X(cos) X(affine) X(positive) X(abs) \
    X(sign) X(floor) X(ceil) X(round) X(trunc) X(reciprocal) X(rsqrt) X(expm1) X(log1p) X(log2) X(tan) X(asin) X(acos) X(atan) X(sinh) X(cosh) X(erfc) \
    X(clamp) X(leaky_relu) X(elu) X(silu) X(softplus) X(log_sigmoid) X(mish) X(softsign)
#define NN__BINARY_OPS(X) X(add) X(sub) X(mul) X(div) X(same) X(relu_back) X(sigmoid_back) X(tanh_back) X(gelu_back) X(gelu_tanh_back) \
    X(silu_back) X(mish_back) X(maximum) X(minimum) X(pow) X(fmod) X(atan2) X(hypot)

/* An optimiser's update of n elements: parameter, gradient, up to three moments, constants; their formulas stand in >>optim. sgd has a kernel of its own. */
enum { NN__U_CONSTANTS = 10 };
typedef void (*nn__optim_fn)(void *p, const void *g, void *const *moment, int64_t n, const double *h);
#define NN__OPTIM_KERNELS(X) X(adam, 2) X(amsgrad, 3) X(nadam, 2) X(adamax, 2) X(rmsprop, 3) X(adagrad, 1) X(adadelta, 2) X(lion, 1) X(average, 0)

typedef void (*nn__binary_fn)(const void *x, int x_step, const void *y, int y_step, void *z, int64_t n, const double *p);

typedef struct nn__kernel_set {
#define NN__X(name) nn__unary_fn name;
    NN__UNARY_OPS(NN__X)
#undef NN__X
#define NN__X(name) nn__binary_fn name;
    NN__BINARY_OPS(NN__X)
#undef NN__X
    void   (*sum)(const void *x, int64_t n, void *y);                              /* one row to one number, pairwise */
    void   (*max)(const void *x, int64_t n, void *y);
    double (*sum_squares)(const void *x, int64_t n);
    void   (*sum_columns)(const void *x, int64_t rows, int64_t row, int64_t n, void *y); /* y[n] = sum over rows of x[rows][n], row apart */
    void   (*max_columns)(const void *x, int64_t rows, int64_t row, int64_t n, void *y);
    void   (*softmax)(const void *x, void *y, int64_t n);
    void   (*log_softmax)(const void *x, void *y, int64_t n);
    void   (*softmax_back)(const void *dy, const void *y, void *dx, int64_t n);
    void   (*log_softmax_back)(const void *dy, const void *y, void *dx, int64_t n);
    void   (*log_sum_exp)(const void *x, int64_t n, void *y);
    void   (*cross_entropy_back)(const void *x, const void *lse, double scale, int64_t label, void *dx, int64_t n);
    void   (*layernorm)(const void *x, const void *w, const void *b, double eps, void *y, void *mean, void *rstd, int64_t n);
    void   (*layernorm_back)(const void *dy, const void *x, const void *w, const void *mean, const void *rstd, void *dx, void *dw, void *db, int64_t n); /* adds to dw, db */
    nn__optim_fn sgd;
#define NN__X(name, moments) nn__optim_fn name;
    NN__OPTIM_KERNELS(NN__X)
#undef NN__X
    void   (*uniform)(nn__rng r, int64_t block, void *x, int64_t n, const double *p);   /* elements from 64 block on; n < 0 as above, to mask */
    void   (*normal)(nn__rng r, int64_t block, void *x, int64_t n, const double *p);
    void   (*dropout)(nn__rng r, int64_t block, const void *x, void *y, uint8_t *mask, int64_t n, const double *p);
    void   (*mask)(const void *x, const uint8_t *mask, void *y, int64_t n, const double *p);
    void   (*gemm)(const nn__gemm *g, void *scratch);
    void   (*gemm_row)(const nn__gemm *g);         /* one row of A, B packed; sums in four parts, so other bits */
    int    (*gemm_small)(const nn__gemm *g);       /* without scratch, the same bits; 0: not a product for it */
    size_t (*gemm_scratch)(const nn__gemm *g);
    int    (*gemm_path)(const nn__gemm *g);
    size_t (*gemm_packed)(int64_t k, int64_t n);   /* bytes of a whole packed B */
    void   (*gemm_pack)(const nn__gemm *g, void *packed);
    int    gemm_rows, gemm_columns; /* of the microkernel: where C may be cut */
    double (*peak)(int64_t turns);  /* multiply-adds from registers, as fast as they come: how many FLOPs it did */
    void   (*widen)(const void *x, void *y, int64_t n, int f16);  /* rows of f16 or bf16 to f32; these four: f32 sets only */
    void   (*narrow)(const void *x, void *y, int64_t n, int f16);
    void   (*low)(const nn__low *g, void *scratch);
    size_t (*low_scratch)(const nn__low *g);
} nn__kernel_set;

struct nn__kernels { const char *name; int lanes; const nn__kernel_set *f32, *f64; }; /* lanes: floats of a vector */

enum { NN__ISA_SCALAR, NN__ISA_SSE2, NN__ISA_AVX2, NN__ISA_AVX512, NN__ISA_NEON, NN__ISAS };

#if !defined(NN_NO_SIMD) && defined(__x86_64__) && !defined(NN_NO_SSE2)
#  define NN__HAS_SSE2 1
#else
#  define NN__HAS_SSE2 0
#endif
#if !defined(NN_NO_SIMD) && defined(__x86_64__) && !defined(NN_NO_AVX2)
#  define NN__HAS_AVX2 1
#else
#  define NN__HAS_AVX2 0
#endif
#if !defined(NN_NO_SIMD) && defined(__x86_64__) && !defined(NN_NO_AVX512)
#  define NN__HAS_AVX512 1
#else
#  define NN__HAS_AVX512 0
#endif
#if !defined(NN_NO_SIMD) && defined(__aarch64__) && !defined(NN_NO_NEON)
#  define NN__HAS_NEON 1
#else
#  define NN__HAS_NEON 0
#endif

/* AMX needs an assembler that knows it, and an operating system that can be asked for it. */
#if NN__HAS_AVX512 && !defined(NN_NO_AMX) && defined(__linux__) && (defined(__clang__) ? __clang_major__ >= 12 : __GNUC__ >= 11)
#  define NN__HAS_AMX 1
#else
#  define NN__HAS_AMX 0
#endif

static const nn__kernels *nn__kernels_of(int isa); /* NULL: not in this build; stands at the end of >>kernels */

static int nn__cpu_has(int isa) {
    switch (isa) {
#if NN__HAS_SSE2 || NN__HAS_AVX2 || NN__HAS_AVX512 /* the compiler's support library asks cpuid once for the whole process */
    case NN__ISA_AVX2: return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    case NN__ISA_AVX512:
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
               __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("fma");
#endif
    default: return 1; /* scalar; SSE2 and NEON are part of their 64-bit architectures */
    }
}

/* What a machine with the set avx512 may have besides: instructions for products in low precision. */
enum { NN__EXTRA_VNNI = 1, NN__EXTRA_AMX = 2 };

#if NN__HAS_AMX
/* Tiles, bf16 and int8 in the CPU, tiles switched on by the system, and the permission to use them: Linux wants to be
   asked, once a process, since every thread's saved state then grows by 8 KiB. By instructions, since a strict
   -std=c99 declares neither syscall() nor its numbers. */
static int nn__amx_granted(void) {
    static int known; /* 1: no, 2: yes */
    int        answer = nn__atomic_load(&known);
    uint32_t   a = 7, b, c = 0, d, low, high;
    int64_t    result = 158; /* arch_prctl(ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) */
    if (answer) return answer == 2;
    answer = 1;
    __asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
    if ((d >> 22 & 1) && (d >> 24 & 1) && (d >> 25 & 1) && __builtin_cpu_supports("avx512bf16")) {
        __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
        if ((low >> 17 & 3) == 3) {
            __asm__ volatile("syscall" : "+a"(result) : "D"((int64_t)0x1023), "S"((int64_t)18) : "rcx", "r11", "memory");
            if (result == 0) answer = 2;
        }
    }
    nn__atomic_store(&known, answer);
    return answer == 2;
}
#endif

static int nn__cpu_extras(void) {
    int extras = 0;
#if NN__HAS_AVX512
    if (__builtin_cpu_supports("avx512vnni")) extras |= NN__EXTRA_VNNI;
#  if NN__HAS_AMX
    if (nn__amx_granted()) extras |= NN__EXTRA_AMX;
#  endif
#endif
    return extras;
}

/* The best set, or the best not above `limit`; a limit that this machine lacks is an error. */
static int nn__choose_isa(nn_ctx *c, const char *limit) {
    const nn__kernels *best = NULL;
    for (int i = 0; i < NN__ISAS; i++) {
        const nn__kernels *k = nn__cpu_has(i) ? nn__kernels_of(i) : NULL;
        if (k) best = k;
        if (k) c->extras = i == NN__ISA_AVX512 ? nn__cpu_extras() : 0;
        if (k && limit && !strcmp(k->name, limit)) { c->kernels = k; return 1; }
    }
    c->kernels = best;
    return limit ? nn__fail(c, "begin", NN__M_ISA, limit) : 1;
}

NN_API const char *nn_isa(const nn_ctx *c) { return c ? c->kernels->name : "none"; }

NN_API const char *nn_cpu_info(nn_ctx *c) {
    if (!c) return "none";
    snprintf(c->cpu_info, sizeof c->cpu_info, "%s%s%s (%d floats a vector), %d of %d threads%s", c->kernels->name, c->extras & NN__EXTRA_VNNI ? " vnni" : "", c->extras & NN__EXTRA_AMX ? " amx" : "",
             c->kernels->lanes, c->workers, nn__cpu_count(), NN__BLAS_NAME);
    return c->cpu_info;
}

static const nn__kernel_set *nn__kernels_for(const nn_ctx *c, nn_dtype real) { return real == NN_F64 ? c->kernels->f64 : c->kernels->f32; }

/* A row between f32 and f16 or bf16, by the kernels; 0: other types. */
static int nn__convert_half(const nn_ctx *c, nn_dtype to_type, void *to, nn_dtype from_type, const void *from, int64_t n) {
    const nn__kernel_set *k = c->kernels->f32;
    if (to_type == NN_F32 && (from_type == NN_F16 || from_type == NN_BF16)) k->widen(from, to, n, from_type == NN_F16);
    else if (from_type == NN_F32 && (to_type == NN_F16 || to_type == NN_BF16)) k->narrow(from, to, n, to_type == NN_F16);
    else return 0;
    return 1;
}

/* ---- >>gemm -----------------------------------------------------------------------------------------
   How a product is cut for threads; the kernel itself, with its five loops, stands in >>kernels. A batch of
   products, or the row or column blocks of one large product, are independent pieces: an element of C is one
   sum over k in one order, however C is cut. */
typedef struct nn__gemm_work {
    nn_ctx               *ctx;
    const nn__kernel_set *k;
    nn__gemm              g;
    size_t                element;
    int64_t               cut_rows, cut_columns; /* the size of a piece */
    int64_t               pieces_m, pieces_n;
    int64_t               batches;
    int                   ndim;                  /* batch axes */
    int64_t               size[NN_MAX_DIMS], a[NN_MAX_DIMS], b[NN_MAX_DIMS];
    int64_t               c;                     /* elements between products in C */
    int                   blas;                  /* NN_USE_CBLAS: not ours */
} nn__gemm_work;

#if defined(NN_USE_CBLAS)
/* Sizes and strides that a BLAS takes (one of the two must be 1), and enough work to be worth the call */
static int nn__blas_takes(nn_dtype real, const nn__gemm *g) {
    int64_t most = nn__max64(nn__max64(g->m, g->n), nn__max64(g->k, g->c_row));
    int     a = (g->a_col == 1 && g->a_row >= g->k) || (g->a_row == 1 && g->a_col >= g->m);
    int     b = (g->b_col == 1 && g->b_row >= g->n) || (g->b_row == 1 && g->b_col >= g->k);
    most = nn__max64(most, nn__max64(nn__max64(g->a_row, g->a_col), nn__max64(g->b_row, g->b_col)));
    return (real == NN_F32 || real == NN_F64) && a && b && !g->path && !g->accumulate && g->k > 0 && most < INT_MAX && (double)g->m * (double)g->n * (double)g->k > 32768;
}
static void nn__blas_run(const nn__kernel_set *k, size_t element, const nn__gemm *g) {
    int a_plain = g->a_col == 1 && g->a_row >= g->k, b_plain = g->b_col == 1 && g->b_row >= g->n;
    int m = (int)g->m, n = (int)g->n, steps = (int)g->k, lda = (int)(a_plain ? g->a_row : g->a_col), ldb = (int)(b_plain ? g->b_row : g->b_col);
    if (element == 8)
        cblas_dgemm(CblasRowMajor, a_plain ? CblasNoTrans : CblasTrans, b_plain ? CblasNoTrans : CblasTrans, m, n, steps, 1, (const double *)g->a, lda, (const double *)g->b, ldb, 0, (double *)g->c, (int)g->c_row);
    else
        cblas_sgemm(CblasRowMajor, a_plain ? CblasNoTrans : CblasTrans, b_plain ? CblasNoTrans : CblasTrans, m, n, steps, 1, (const float *)g->a, lda, (const float *)g->b, ldb, 0, (float *)g->c, (int)g->c_row);
    for (int64_t i = 0; i < g->m; i++) { /* what our kernels do in their last store */
        char *row = (char *)g->c + (size_t)(i * g->c_row) * element;
        if (g->bias) k->add(row, 1, g->bias, g->n > 1, row, g->n, NULL);
        if (g->act) g->act(row, row, g->n, NULL);
        if (g->residual) k->add(row, 1, (const char *)g->residual + (size_t)(i * g->r_row) * element, 1, row, g->n, NULL);
    }
}
#endif

static void nn__gemm_piece(void *arg, int64_t begin, int64_t end, int worker) {
    nn__gemm_work *w = (nn__gemm_work *)arg;
    for (int64_t i = begin; i < end; i++) {
        nn__gemm g = w->g;
        int64_t  piece = i % (w->pieces_m * w->pieces_n), batch = i / (w->pieces_m * w->pieces_n);
        int64_t  m0 = piece / w->pieces_n * w->cut_rows, n0 = piece % w->pieces_n * w->cut_columns, a = 0, b = 0, r = batch;
        for (int d = w->ndim - 1; d >= 0; d--) {
            a += r % w->size[d] * w->a[d];
            b += r % w->size[d] * w->b[d];
            r /= w->size[d];
        }
        a += m0 * g.a_row;
        b += n0 * g.b_col;
        g.a = (const char *)g.a + a * (int64_t)w->element;
        g.b = (const char *)g.b + b * (int64_t)w->element;
        g.c = (char *)g.c + (batch * w->c + m0 * g.c_row + n0) * (int64_t)w->element;
        if (g.bias) g.bias = (const char *)g.bias + n0 * (int64_t)w->element;
        if (g.residual) g.residual = (const char *)g.residual + (batch * w->c + m0 * g.r_row + n0) * (int64_t)w->element;
        g.m = nn__min64(w->cut_rows, g.m - m0);
        g.n = nn__min64(w->cut_columns, g.n - n0);
#if defined(NN_USE_CBLAS)
        if (w->blas) { nn__blas_run(w->k, w->element, &g); continue; }
#endif
        w->k->gemm(&g, w->ctx->scratch[worker]);
    }
}

/* Nanoseconds, roughly, of a piece of m x n: whole tiles of the microkernel, and the packing that every piece repeats (of B,
   only where it is transposed: else the microkernel does it on its way). */
static double nn__gemm_cost(const nn__gemm_work *w, int64_t m, int64_t n) {
    double tiles = (double)nn__ceil_div(m, w->k->gemm_rows) * (double)nn__ceil_div(n, w->k->gemm_columns);
    double pack  = (w->g.path & NN__GEMM_PACK_A ? (double)m : 0) + (w->g.path & NN__GEMM_PACK_B && w->g.b_col != 1 ? (double)n : 0);
    return (double)w->g.k * (tiles * w->k->gemm_rows * w->k->gemm_columns * 0.012 + pack * 0.2);
}

/* Bands of rows or of columns, whichever makes the slowest piece faster; whole where threads are not worth it. */
static void nn__gemm_cut(nn__gemm_work *w, int threads) {
    nn__gemm *g = &w->g;
    double    worth = nn__gemm_cost(w, g->m, g->n) / NN__WORTH_A_THREAD;
    int64_t   pieces = w->batches >= threads ? 1 : nn__min64(threads, (int64_t)(worth < 1e9 ? worth : 1e9)), rows, columns;
    w->cut_rows    = g->m;
    w->cut_columns = g->n;
    if (pieces <= 1) return;
    rows    = nn__ceil_div(nn__ceil_div(g->m, w->k->gemm_rows), pieces) * w->k->gemm_rows;
    columns = nn__ceil_div(nn__ceil_div(g->n, w->k->gemm_columns), pieces) * w->k->gemm_columns;
    if (nn__gemm_cost(w, rows, g->n) <= nn__gemm_cost(w, g->m, columns)) w->cut_rows = rows;
    else w->cut_columns = columns;
}

/* Runs w->batches products. 0 if memory ran out. */
static int nn__gemm_run(nn_ctx *c, nn_dtype real, nn__gemm_work *w) {
    nn__gemm *g    = &w->g;
    int64_t   pieces;
    if (g->m == 0 || g->n == 0 || w->batches == 0) return 1;
    w->ctx     = c;
    w->k       = nn__kernels_for(c, real);
    w->element = nn__dtypes[real].size;
#if defined(NN_USE_CBLAS)
    w->blas = nn__blas_takes(real, g);
    if (w->blas) {
        w->cut_rows    = g->m;
        w->cut_columns = g->n;
        w->pieces_m    = w->pieces_n = 1;
        nn__gemm_piece(w, 0, w->batches, 0);
        return 1;
    }
#endif
    g->path    = w->k->gemm_path(g);
    nn__gemm_cut(w, c->workers);
    w->pieces_m = nn__ceil_div(g->m, w->cut_rows);
    w->pieces_n = nn__ceil_div(g->n, w->cut_columns);
    if (!nn__scratch(c, c->workers, w->k->gemm_scratch(g))) return 0;
    pieces = w->batches * w->pieces_m * w->pieces_n;
    nn__parallel(c, pieces, nn__gemm_cost(w, w->cut_rows, w->cut_columns), nn__gemm_piece, w);
    return 1;
}

/* One product. A small one goes straight to the kernel: cutting it would take longer than computing it. */
static int nn__gemm_one(nn_ctx *c, nn_dtype real, nn__gemm *g) {
    const nn__kernel_set *k = nn__kernels_for(c, real);
    nn__gemm_work         w;
    if ((double)g->m * (double)g->n * (double)g->k < 32768) {
        if (k->gemm_small(g)) return 1;
        if (!nn__scratch(c, 1, k->gemm_scratch(g))) return 0;
        k->gemm(g, c->scratch[0]);
        return 1;
    }
    memset(&w, 0, sizeof w);
    w.g       = *g;
    w.batches = 1;
    return nn__gemm_run(c, real, &w);
}

/* -- a weight that is used again and again: its panels are kept (nn_model_pack) -- */
struct nn__packed {
    nn_ctx  *owner;    /* whose allocator, and the only one that packs */
    void    *data;
    size_t   size;
    uint64_t made_of;  /* 1 + the weight's version; 0: nothing yet */
    int64_t  k, n;     /* of B; another view of the same weight is not it */
};
static void nn__packed_free(nn__packed *p) {
    nn__free(p->owner, p->data, p->size);
    p->data    = NULL;
    p->made_of = 0;
}
/* Lets g read B, the whole of weight w, from its panels, which are made anew where the weight has changed. 0: not possible */
static int nn__gemm_use_panels(nn_ctx *c, nn_dtype real, nn__gemm *g, const nn_tensor *w) {
    const nn__kernel_set *k = nn__kernels_for(c, real);
    nn__packed           *p = w->st->packed;
    uint64_t              version = (uint64_t)w->st->version + 1;
    if (w->offset || (size_t)(g->k * g->n) * nn__dtypes[real].size != w->st->bytes) return 0;
    if (nn__atomic_load(&p->made_of) != version) {
        if (c != p->owner) return 0; /* its own context will */
        if (p->data && (p->k != g->k || p->n != g->n)) nn__packed_free(p);
        if (!p->data) {
            p->size = k->gemm_packed(g->k, g->n);
            p->data = nn__alloc(c, p->size);
            if (!p->data) return 0;
        }
        k->gemm_pack(g, p->data);
        p->k = g->k;
        p->n = g->n;
        nn__atomic_store(&p->made_of, version);
    }
    if (p->k != g->k || p->n != g->n) return 0;
    g->b     = p->data;
    g->b_row = k->gemm_columns;
    g->b_col = g->k;
    g->path  = NN__GEMM_PACKED_B;
    return 1;
}
/* The same where B would be packed anyway, so that no bit changes. */
static void nn__gemm_use_packed(nn_ctx *c, nn_dtype real, nn__gemm *g, const nn_tensor *w) {
    if (!(nn__kernels_for(c, real)->gemm_path(g) & NN__GEMM_PACK_B)) return;
#if defined(NN_USE_CBLAS)
    if (nn__blas_takes(real, g)) return;
#endif
    nn__gemm_use_panels(c, real, g, w);
}

/* -- the same in low precision -- */
typedef struct nn__low_work { nn__gemm_work w; nn__low g; int size; } nn__low_work; /* size: bytes of an element of A and B */

static void nn__low_piece(void *arg, int64_t begin, int64_t end, int worker) {
    nn__low_work  *l = (nn__low_work *)arg;
    nn__gemm_work *w = &l->w;
    for (int64_t i = begin; i < end; i++) {
        nn__low g = l->g;
        int64_t piece = i % (w->pieces_m * w->pieces_n), batch = i / (w->pieces_m * w->pieces_n);
        int64_t m0 = piece / w->pieces_n * w->cut_rows, n0 = piece % w->pieces_n * w->cut_columns, a = m0 * g.g.a_row, b = n0 * g.g.b_col, r = batch;
        for (int d = w->ndim - 1; d >= 0; d--) {
            a += r % w->size[d] * w->a[d];
            b += r % w->size[d] * w->b[d];
            r /= w->size[d];
        }
        g.g.a = (const char *)g.g.a + a * l->size;
        g.g.b = (const char *)g.g.b + b * l->size;
        g.g.c = (char *)g.g.c + (batch * w->c + m0 * g.g.c_row + n0) * g.c_size;
        if (g.g.bias) g.g.bias = (const char *)g.g.bias + n0 * l->size;
        if (g.a_scale) g.a_scale += m0;
        if (g.b_scale) g.b_scale += n0;
        g.g.m = nn__min64(w->cut_rows, g.g.m - m0);
        g.g.n = nn__min64(w->cut_columns, g.g.n - n0);
        w->k->low(&g, w->ctx->scratch[worker]);
    }
}

/* Which way, from the whole product: see >>kernels. */
static int nn__low_path(const nn_ctx *c, const nn__low *l) {
    const nn__gemm *g = &l->g;
    if (l->type == NN_I8) return c->extras & NN__EXTRA_AMX ? NN__LOW_AMX : c->extras & NN__EXTRA_VNNI ? NN__LOW_VNNI : NN__LOW_MADD;
    if (g->m <= 4 && g->b_row == 1 && g->k >= 32) return NN__LOW_DOT;
    return l->type == NN_BF16 && (c->extras & NN__EXTRA_AMX) ? NN__LOW_AMX : NN__LOW_WIDE;
}

/* Nanoseconds, roughly, of a piece of m x n: the products, and what every piece packs. */
static double nn__low_cost(const nn__low *g, int64_t m, int64_t n) {
    static const double product[] = {0.014, 0.03, 0.012, 0.003, 0.0007};
    return (double)g->g.k * ((double)nn__ceil_div(m, 32) * (double)nn__ceil_div(n, 32) * 1024 * product[g->path] + (double)m * 0.06 + (double)n * 0.12);
}

/* Runs w->batches products of elements of `type`, into C of c_size bytes each. 0 if memory ran out. */
static int nn__low_run(nn_ctx *c, const nn__gemm_work *work, nn_dtype type, int c_size, const float *a_scale, const float *b_scale) {
    nn__low_work   l;
    nn__gemm_work *w = &l.w;
    nn__low        cut;
    double         worth;
    int64_t        pieces, m = work->g.m, n = work->g.n, rows, columns;
    if (m == 0 || n == 0 || work->batches == 0) return 1;
    l.w = *work;
    l.g.g = work->g;
    l.g.type = type; l.g.c_size = c_size; l.g.a_scale = a_scale; l.g.b_scale = b_scale;
    l.g.path = nn__low_path(c, &l.g);
    l.size   = (int)nn__dtypes[type].size;
    w->ctx   = c;
    w->k     = c->kernels->f32;
    worth    = nn__low_cost(&l.g, m, n) / NN__WORTH_A_THREAD;
    pieces   = w->batches >= c->workers ? 1 : nn__min64(c->workers, (int64_t)(worth < 1e9 ? worth : 1e9));
    w->cut_rows = m; w->cut_columns = n;
    if (pieces > 1) { /* bands of rows or of columns, whichever makes the slowest piece faster */
        rows    = nn__ceil_div(nn__ceil_div(m, 32), pieces) * 32;
        columns = nn__ceil_div(nn__ceil_div(n, 32), pieces) * 32;
        if (nn__low_cost(&l.g, rows, n) < nn__low_cost(&l.g, m, columns)) w->cut_rows = nn__min64(m, rows);
        else w->cut_columns = nn__min64(n, columns);
    }
    w->pieces_m = nn__ceil_div(m, w->cut_rows);
    w->pieces_n = nn__ceil_div(n, w->cut_columns);
    cut = l.g;
    cut.g.m = w->cut_rows; cut.g.n = w->cut_columns;
    if (!nn__scratch(c, (int)nn__min64(c->workers, w->batches * w->pieces_m * w->pieces_n), w->k->low_scratch(&cut))) return 0;
    nn__parallel(c, w->batches * w->pieces_m * w->pieces_n, nn__low_cost(&l.g, w->cut_rows, w->cut_columns), nn__low_piece, &l);
    return 1;
}

/* ---- >>tape -----------------------------------------------------------------------------------------
   Applying an op: check the operands, ask the shape rule, make the outputs, run, and, where a gradient may be
   wanted, append the node to the tape. */
NN_API void nn_spec_like(nn_spec *out, const nn_tensor *x) {
    out->dtype      = x->dtype;
    out->shape.ndim = x->ndim;
    for (int i = 0; i < x->ndim; i++) out->shape.dim[i] = x->size[i];
}

NN_API int nn_wants(const nn_node *n, int i) {
    const nn_tensor *x = n->in[i];
    const nn_ctx    *c = n->ctx;
    if (!x->needs_grad) return 0;
    if (c->targets && !x->node) { /* nn_grad_of: only the leaves that it asks for */
        for (int k = 0; k < c->n_targets; k++)
            if (c->targets[k] == x) return 1;
        return 0;
    }
    return 1;
}

/* Runs a node whose inputs are contiguous where the op asks for it, and of a dtype that kernels know: half
   precision goes through f32 copies, so that no op needs to know of it. */
static int nn__run_prepared(nn_node *n) {
    nn_ctx    *c = n->ctx;
    nn_tensor *in_room[8], *out_room[4], **in = n->in, **out = n->out;
    int        widened = 0;
    if (n->op->flags & NN_OP_VIEW) return 1;
    for (int i = 0; i < n->n_in; i++) {
        nn_tensor *x    = n->in[i];
        int        half = (x->dtype == NN_F16 || x->dtype == NN_BF16) && (n->op->flags & NN_OP_FLOAT);
        if (!half && ((n->op->flags & NN_OP_STRIDED) || nn_is_contiguous(x))) continue;
        if (in == n->in) {
            in = n->n_in <= 8 ? in_room : (nn_tensor **)nn__arena(c, (size_t)n->n_in * sizeof *in);
            if (!in) return 0;
            memcpy(in, n->in, (size_t)n->n_in * sizeof *in);
        }
        in[i] = nn__tensor_on(c, half ? NN_F32 : x->dtype, x->ndim, x->size, 0);
        if (!in[i]) return 0;
        nn__copy_rows(x, in[i]->dtype, in[i]->st->data, 0, nn_numel(x), 0);
        widened |= half;
    }
    if (widened) {
        for (int i = 0; i < n->n_out; i++) {
            nn_tensor *y = out_room[i] = n->out[i];
            if (y->dtype != NN_F16 && y->dtype != NN_BF16) continue;
            out_room[i] = nn__tensor_on(c, NN_F32, y->ndim, y->size, 0);
            if (!out_room[i]) return 0;
        }
        out = out_room;
    }
    if (in == n->in) n->op->run(n);
    else {
        nn_node m = *n;
        m.in  = in;
        m.out = out;
        m.op->run(&m);
    }
    if (c->error) return 0;
    if (out != n->out)
        for (int i = 0; i < n->n_out; i++)
            if (out[i] != n->out[i]) nn__copy_rows(n->out[i], NN_F32, out[i]->st->data, 0, nn_numel(out[i]), 1);
    return 1;
}

/* A node with operands on the backend's device. What the backend lacks runs on the host, over copies. */
static int nn__run_on_device(nn_node *n) {
    nn_ctx           *c = n->ctx;
    const nn_backend *b = c->config.backend;
    nn_node           m = *n;
    int               done = b->run(b->self, n);
    if (done > 0) return 1;
    if (done < 0) return nn__fail(c, n->op->name, NN__M_DEVICE_FAILED, b->name, "run");
    m.in  = (nn_tensor **)nn__arena(c, (size_t)(n->n_in + n->n_out) * sizeof *m.in);
    if (!m.in) return 0;
    m.out = m.in + n->n_in;
    for (int i = 0; i < n->n_in; i++)
        if (!(m.in[i] = nn_to_device(n->in[i], 0))) return 0;
    for (int i = 0; i < n->n_out; i++)
        if (!(m.out[i] = nn__tensor_on(c, n->out[i]->dtype, n->out[i]->ndim, n->out[i]->size, 0))) return 0;
    if (!nn__run_prepared(&m)) return 0;
    for (int i = 0; i < n->n_out; i++)
        if (n->out[i]->st->bytes && !b->copy(b->self, n->out[i]->st->data, m.out[i]->st->data, n->out[i]->st->bytes, 0)) return nn__device_fail(c, "copy");
    if (n->op->flags & NN_OP_WRITES)
        for (int i = 0; i < n->n_in; i++)
            if (n->in[i]->st->device && n->in[i]->st->bytes && nn_is_contiguous(n->in[i]) &&
                !b->copy(b->self, nn__data(n->in[i]), nn__data(m.in[i]), m.in[i]->st->bytes, 0)) return nn__device_fail(c, "copy");
    return 1;
}

/* The outputs of a node, from what its shape rule said. */
static int nn__make_outputs(nn_node *n, const nn_spec *spec, int device) {
    nn_ctx *c = n->ctx;
    for (int i = 0; i < n->n_out; i++) {
        if (n->op->flags & NN_OP_VIEW) {
            nn_tensor *y = nn__header_step(c, spec[i].dtype), *x = n->in[spec[i].view_of];
            if (!y) return 0;
            y->st     = x->st;
            y->offset = spec[i].offset;
            y->ndim   = spec[i].shape.ndim;
            for (int d = 0; d < y->ndim; d++) { y->size[d] = spec[i].shape.dim[d]; y->stride[d] = spec[i].stride[d]; }
            n->out[i] = y;
        } else {
            if (!NN__LIKELY(nn__shape_fine(spec[i].dtype, &spec[i].shape))) return nn__check_shape(c, n->op->name, spec[i].dtype, &spec[i].shape);
            n->out[i] = c->plan ? nn__tensor_planned(c, spec[i].dtype, spec[i].shape.ndim, spec[i].shape.dim)
                                : nn__tensor_on(c, spec[i].dtype, spec[i].shape.ndim, spec[i].shape.dim, device);
            if (!n->out[i]) return 0;
        }
    }
    return 1;
}

enum { NN__MAX_OUT = 4 };

/* The node goes onto the tape: one piece of the arena holds it, its operand lists, attributes and, if the gradient rule
   reads operands, their versions. */
static int nn__record(const nn_node *draft) {
    const nn_op *op = draft->op;
    nn_ctx      *c  = draft->ctx;
    int          slots = draft->n_in + draft->n_out, saves = (op->flags & (NN_OP_SAVES_IN | NN_OP_SAVES_OUT)) != 0;
    size_t       attr_size = nn__round_up(op->attr_size, 8);
    nn_node     *n = (nn_node *)nn__arena(c, sizeof *n + (size_t)slots * (sizeof *n->in + (saves ? sizeof *n->versions : 0)) + attr_size);
    if (!n) return 0;
    n->op       = op;
    n->ctx      = c;
    n->n_in     = draft->n_in;
    n->n_out    = draft->n_out;
    n->stream   = draft->stream;
    n->place    = draft->place;
    n->in       = (nn_tensor **)(n + 1);
    n->out      = n->in + n->n_in;
    n->attr     = attr_size ? memcpy(n->in + slots, draft->attr, op->attr_size) : NULL;
    n->versions = saves ? (uint32_t *)((char *)(n->in + slots) + attr_size) : NULL;
    for (int i = 0; i < n->n_in; i++) n->in[i] = draft->in[i];
    for (int i = 0; i < n->n_out; i++) {
        n->out[i]       = draft->out[i];
        n->out[i]->node = n;
    }
    for (int i = 0; saves && i < slots; i++) n->versions[i] = n->in[i]->st->version; /* outputs follow the inputs */
    n->phase = (uint32_t)(c->in_backward ? (int)NN_PHASE_BACK : c->no_grad ? (int)NN_PHASE_NO_GRAD : 0) | c->segment * NN_PHASE_SEGMENT;
    n->prev = c->tape;
    c->tape = n;
    return 1;
}

static uint64_t nn__ticks(void); /* >>profile */
static int      nn__profile_note(const nn_node *n, uint64_t start);
static void     nn__profile_forget_places(nn_ctx *c);

static int nn__run(nn_node *n, int device, int half) {
    uint64_t start = n->ctx->profiling ? nn__ticks() : 0;
    if (n->op->flags & NN_OP_VIEW) return 1;
    if (!device && !half && n->op->flags & NN_OP_STRIDED) { /* nothing to prepare */
        n->op->run(n);
        if (n->ctx->error) return 0;
    } else if (!(device ? nn__run_on_device(n) : nn__run_prepared(n))) return 0;
    return n->ctx->profiling ? nn__profile_note(n, start) : 1;
}

static int nn__apply(nn_ctx *c, const nn_op *op, nn_tensor **in, int n_in, const void *attr, nn_tensor **out) {
    nn_spec    spec[NN__MAX_OUT];
    nn_tensor *made[NN__MAX_OUT] = {NULL, NULL, NULL, NULL};
    nn_node    n; /* here until it is clear that the tape wants it */
    int        wanted = 0, device = 0, half = 0;
    for (int i = 0; i < n_in; i++) { /* c is known to be fine */
        if (!NN__LIKELY(nn__live(c, in[i]))) return !nn__operand_bad(c, op->name, in[i], i);
        if (in[i]->st->device) device = in[i]->st->device;
        wanted |= in[i]->needs_grad;
        half |= in[i]->dtype == NN_F16 || in[i]->dtype == NN_BF16;
    }
    if (device)
        for (int i = 0; i < n_in; i++)
            if (in[i]->st->device != device && in[i]->ndim) return nn__fail(c, op->name, NN__M_DEVICES_DIFFER, in[i]->st->device, device);
    wanted = wanted && !c->no_grad && !(op->flags & (NN_OP_NO_GRAD | NN_OP_WRITES));
    n.op       = op;
    n.ctx      = c;
    n.in       = in;
    n.out      = made;
    n.n_in     = n_in;
    n.n_out    = op->n_out;
    n.attr     = op->attr_size ? attr : NULL;
    n.versions = NULL;
    n.stream   = op->flags & NN_OP_RANDOM ? c->streams++ : 0;
    n.place    = c->place;
    n.prev     = NULL;
    for (int i = 0; i < op->n_out; i++) spec[i].view_of = 0;

    if (!op->shape(&n, spec) || c->error) return nn__fail(c, op->name, NN__M_OP_OUTPUT, "its shape rule failed without a message"); /* kept only if it did */
    if (!nn__make_outputs(&n, spec, device)) return 0;
    if (c->plan || c->shape_only) { /* both write everything down: a plan to run it later; for cost and summary */
        if (device) return nn__fail(c, op->name, NN__M_PLAN_HOST, "an operand on a device");
        if (!nn__record(&n)) return 0;
    } else if (!nn__run(&n, device, half) || (wanted && !nn__record(&n))) return 0;
    for (int i = 0; i < op->n_out; i++) {
        made[i]->needs_grad = (uint8_t)(wanted && nn__is_real(made[i]->dtype));
        out[i]              = made[i];
    }
    return 1;
}

NN_API int nn_apply(const nn_op *op, nn_tensor **in, int n_in, const void *attr, nn_tensor **out) {
    nn_ctx *c = NULL;
    if (!op || !out || op->n_out < 0 || op->n_out > NN__MAX_OUT) return 0;
    for (int i = 0; i < op->n_out; i++) out[i] = NULL;
    for (int i = 0; i < n_in && !c; i++) c = in[i] ? in[i]->ctx : NULL;
    if (!nn__ok(c)) return 0;
    if (!op->shape || (!op->run && !(op->flags & NN_OP_VIEW))) return nn__fail(c, op->name, NN__M_OP_OUTPUT, "shape and run are needed");
    if (op->n_in >= 0 ? n_in != op->n_in : n_in < -op->n_in) return nn__fail(c, op->name, NN__M_OP_OUTPUT, "wrong number of inputs");
    if (op->attr_size && !attr) return nn__fail(c, op->name, NN__M_ARG_NULL, "attr");
    return nn__apply(c, op, in, n_in, attr, out);
}

/* The same for nn.h's own ops of one output or more, whose first is returned */
static nn_tensor *nn__apply_own(const nn_op *op, nn_tensor **in, int n_in, const void *attr) {
    nn_ctx    *c = NULL;
    nn_tensor *out[NN__MAX_OUT];
    for (int i = 0; i < n_in && !c; i++) c = in[i] ? in[i]->ctx : NULL;
    return nn__ok(c) && nn__apply(c, op, in, n_in, attr, out) ? out[0] : NULL;
}
static nn_tensor *nn__apply1(const nn_op *op, nn_tensor *x, const void *attr) { return nn__apply_own(op, &x, 1, attr); }
static nn_tensor *nn__apply2(const nn_op *op, nn_tensor *x, nn_tensor *y, const void *attr) {
    nn_tensor *in[2];
    in[0] = x; in[1] = y;
    return nn__apply_own(op, in, 2, attr);
}
static nn_tensor *nn__apply3(const nn_op *op, nn_tensor *x, nn_tensor *y, nn_tensor *z, const void *attr) {
    nn_tensor *in[3];
    in[0] = x; in[1] = y; in[2] = z;
    return nn__apply_own(op, in, 3, attr);
}

NN_API int nn_no_grad(nn_ctx *c, int on) {
    int was;
    if (!c) return 0;
    was        = c->no_grad;
    c->no_grad = on != 0;
    return was;
}

/* ---- >>autodiff -------------------------------------------------------------------------------------
   Backward walks the tape from the loss to its start. A tensor's `pending` collects the gradients that its
   users send; when the walk reaches the node that made it, all of them have arrived, and the node's rule turns
   them into gradients of its inputs (more of them than wanted do no harm). Rules are ordinary ops; unless NN_CREATE_GRAPH asks for higher orders they
   are not recorded, and their memory goes back to the pool as soon as nobody holds it: storage->uses counts holders. */
static void nn__storage_release(nn_ctx *c, nn__storage *st) {
    if (st->home != NN__POOL || !st->data) return;
    if (st->device) c->config.backend->release(c->config.backend->self, st->data, st->bytes ? st->bytes : 1);
    else nn__pool_put(c, st->data, st->bytes);
    st->data = NULL;
}
static void nn__hold(nn_tensor *g) { g->st->uses++; }
static void nn__unhold(nn_ctx *c, nn_tensor *g) {
    if (--g->st->uses <= 0) nn__storage_release(c, g->st);
}

/* Gives up a hold without releasing: for temporaries, which nn__temps_release looks at next. */
static void nn__unhold_later(nn_tensor *g) { g->st->uses--; }

/* Temporaries made since `until` that nobody holds */
static void nn__temps_release(nn_ctx *c, nn_tensor *until) {
    while (c->temps != until) {
        nn_tensor *t = c->temps;
        c->temps = t->next_temp;
        if (t->own.uses == 0) nn__storage_release(c, &t->own);
    }
}

static void nn__grad_release(nn_tensor *x) { /* x no longer holds a gradient */
    nn_ctx *c = x->ctx;
    if (x->grad) {
        nn__unhold(c, x->grad);
        if (!x->grad->st->data && !c->plan) x->grad->epoch = NN__DEAD_EPOCH; /* whoever still has it is told that it was dropped */
        x->grad = NULL;
    }
    if (x->held) {
        nn_tensor **p = &c->graded;
        while (*p && *p != x) p = &(*p)->next_graded;
        if (*p) *p = x->next_graded;
        x->held = 0;
    }
}

/* Lets x own g as its gradient; it stays valid as long as x does. A persistent x takes over g's block, or copies it; a
   step tensor keeps g itself, or a clone if somebody else has it too. */
static int nn__grad_own(nn_tensor *x, nn_tensor *g) {
    nn_ctx  *c = x->ctx;
    uint32_t version;
    if (x->persistent && !c->plan) { /* the header must outlive the step: the bytes move into one that does */
        int own = g->st == &g->own && g->own.home == NN__POOL && g->own.uses <= 1 && !g->own.device && nn_is_contiguous(g);
        if (x->grad) nn__unhold(c, x->grad); /* g is the sum that replaces it */
        x->grad = NULL;
        if (!x->grad_room) x->grad_room = (nn_tensor *)nn__alloc_zero(c, sizeof *x);
        if (!x->grad_room) return 0;
        version = x->grad_room->own.version + 1;
        nn__header_init(c, x->grad_room, g->dtype);
        x->grad_room->own.version = version;
        nn__set_shape(x->grad_room, g->ndim, g->size);
        x->grad_room->epoch     = NN__NO_EPOCH;
        x->grad_room->own.bytes = (size_t)nn_numel(g) * nn__dtypes[g->dtype].size;
        x->grad_room->own.home  = NN__POOL;
        if (own) {
            x->grad_room->own.data = g->own.data;
            g->own.data            = NULL;
        } else if (!c->shape_only) { /* a view, or somebody else needs it too: copy */
            if (g->st->device && !(g = nn_to_device(g, 0))) return 0;
            x->grad_room->own.data = nn__pool_get(c, x->grad_room->own.bytes);
            if (!x->grad_room->own.data) return 0;
            nn__copy_rows(g, g->dtype, x->grad_room->own.data, 0, nn_numel(g), 0);
        }
        g = x->grad_room;
    } else if (c->in_backward && (!nn_is_contiguous(g) || g->st->uses > 1)) { /* likewise: nn_grad shows a tensor of its own */
        g = nn_clone(g);
        if (!g) return 0;
    }
    nn__hold(g);
    if (x->grad) nn__unhold(c, x->grad);
    x->grad = g;
    if (!x->held) {
        x->held        = 1;
        x->next_graded = c->graded;
        c->graded      = x;
    }
    return 1;
}

static int nn__same_shape(const nn_tensor *x, const nn_tensor *y) {
    if (x->ndim != y->ndim) return 0;
    for (int i = 0; i < x->ndim; i++)
        if (x->size[i] != y->size[i]) return 0;
    return 1;
}

/* Undo broadcasting: sum g over the axes along which x was repeated. */
static nn_tensor *nn__sum_to(nn_tensor *g, const nn_tensor *x) {
    nn_shape axes = NN_SCALAR; /* none yet */
    int      extra = g->ndim - x->ndim;
    if (nn__same_shape(g, x)) return g;
    for (int i = 0; i < g->ndim; i++)
        if (i < extra || (x->size[i - extra] == 1 && g->size[i] != 1)) axes.dim[axes.ndim++] = i;
    if (axes.ndim) g = nn_sum(g, axes, 1);
    return g ? nn_reshape(g, nn_shape_of(x)) : NULL;
}

/* sum += g in place where sum's buffer is nobody else's; else a new tensor */
static nn_tensor *nn__accumulate(nn_ctx *c, nn_tensor *sum, nn_tensor *g, int create_graph) {
    if (!create_graph && sum->st->home == NN__POOL && sum->st->uses == 1 && sum->st != g->st && !sum->st->device &&
        !g->st->device && (sum->dtype == NN_F32 || sum->dtype == NN_F64) && nn__same_shape(sum, g) && nn_is_contiguous(sum) && nn_is_contiguous(g) && sum->st->data) {
        sum->st->version++;
        nn__kernels_for(c, sum->dtype)->add(nn__data(sum), 1, nn__data(g), 1, nn__data(sum), nn_numel(sum), NULL);
        return sum;
    }
    sum = nn_add(sum, g);
    if (sum && c->plan) sum->node->phase |= NN_PHASE_SUM;
    return sum;
}

static int nn__is_target(const nn_ctx *c, const nn_tensor *x) {
    for (int i = 0; i < c->n_targets; i++)
        if (c->targets[i] == x) return 1;
    return 0;
}

/* The gradient g has arrived at x. */
static int nn__contribute(nn_ctx *c, nn_tensor *x, nn_tensor *g, int flags) {
    nn_tensor *sum;
    int        graph = flags & NN_CREATE_GRAPH, leaf = !x->node && !c->targets; /* nn_grad_of leaves nn_grad alone: its leaves collect in pending */
    g = nn__sum_to(g, x);
    if (!g) return 0;
    sum = leaf ? x->grad : x->pending;
    if (sum) {
        g = nn__accumulate(c, sum, g, graph);
        if (!g) return 0;
        if (g == sum) return 1;
    }
    if (leaf) return nn__grad_own(x, g);
    nn__hold(g);
    if (sum) nn__unhold(c, sum);
    else if (x->node) c->pending++;
    x->pending = g;
    return 1;
}

/* May the rule still read what it needs? */
static int nn__check_versions(const nn_node *n) {
    for (int i = 0; i < n->n_in + n->n_out; i++) {
        int              input = i < n->n_in;
        const nn_tensor *x     = input ? n->in[i] : n->out[i - n->n_in];
        if (!(n->op->flags & (unsigned)(input ? NN_OP_SAVES_IN : NN_OP_SAVES_OUT)) || x->st->version == n->versions[i]) continue;
        return nn__fail(n->ctx, "backward", NN__M_OVERWRITTEN, input ? "input" : "output", (input ? i : i - n->n_in) + 1, n->op->name);
    }
    return 1;
}

/* One node of the walk. dx needs n_in slots. */
static int nn__back_node(nn_ctx *c, nn_node *n, nn_tensor **dx, int flags) {
    nn_tensor *dy[NN__MAX_OUT], *temps = c->temps;
    int        arrived = 0, wanted = 0, fine = 1;
    for (int i = 0; i < n->n_out; i++) arrived |= (dy[i] = n->out[i]->pending) != NULL;
    if (!arrived) return 1;
    for (int i = 0; i < n->n_in; i++) { dx[i] = NULL; wanted |= nn_wants(n, i); }
    if (wanted) {
        int fast = n->op->grad_fast && !(flags & NN_CREATE_GRAPH);
        if (!n->op->grad) return nn__fail(c, "backward", NN__M_NO_GRAD_RULE, n->op->name);
        if (!nn__check_versions(n)) return 0;
        c->place = (const nn__name *)n->place;
        (fast ? n->op->grad_fast : n->op->grad)(n, dy, dx);
        fine = !c->error;
        for (int i = 0; i < n->n_in; i++)
            if (dx[i]) nn__hold(dx[i]); /* so that nobody takes over a buffer that two inputs get */
        for (int i = 0; i < n->n_in && fine; i++)
            if (dx[i] && nn_wants(n, i)) fine = nn__contribute(c, n->in[i], dx[i], flags);
        for (int i = 0; i < n->n_in; i++)
            if (dx[i]) nn__unhold_later(dx[i]);
    }
    if (!(flags & NN_CREATE_GRAPH)) nn__temps_release(c, temps);
    for (int i = 0; i < n->n_out; i++) {
        nn_tensor *y = n->out[i];
        if (!y->pending) continue;
        c->pending--;
        if (y->retain && fine && !c->targets) fine = nn__grad_own(y, y->pending);
        if (nn__is_target(c, y)) continue; /* nn_grad_of collects it */
        nn__unhold(c, y->pending);
        y->pending = NULL;
    }
    return fine;
}

static int nn__walk_back(nn_tensor *y, nn_tensor *dy, int flags) {
    nn_ctx         *c = y->ctx;
    const nn__name *place = c->place;
    nn_tensor     **dx = NULL, *temps = c->temps;
    int64_t         room = 0;
    int             fine = 1, was_no_grad = c->no_grad, graph = flags & NN_CREATE_GRAPH;
    c->in_backward = !graph;
    c->no_grad     = !graph;
    c->pending     = 0;
    if (!dy) dy = nn_to_device(nn_full(c, y->dtype, nn_shape_of(y), 1.0), y->st->device);
    if (dy && !c->error) {
        nn__hold(dy);
        fine = nn__contribute(c, y, dy, flags);
        nn__unhold_later(dy);
    } else fine = 0;
    for (nn_node *n = y->node; n && fine && c->pending; n = n->prev) { /* no further than the oldest node that y needs */
        if (n->n_in > room) {
            room = n->n_in + 16;
            dx   = (nn_tensor **)nn__arena(c, (size_t)room * sizeof *dx);
            if (!dx) { fine = 0; break; }
        }
        fine = nn__back_node(c, n, dx, flags);
    }
    if (!fine) /* nothing may stay pending */
        for (nn_node *n = y->node; n; n = n->prev)
            for (int i = 0; i < n->n_out; i++)
                if (n->out[i]->pending) { nn__unhold(c, n->out[i]->pending); n->out[i]->pending = NULL; }
    if (!graph) nn__temps_release(c, temps);
    c->in_backward = 0;
    c->no_grad     = was_no_grad;
    c->place       = place;
    return fine && !c->error;
}

NN_API nn_tensor *nn_requires_grad(nn_tensor *x) {
    if (!nn__ok_tensor("requires_grad", x)) return NULL;
    if (!nn__is_real(x->dtype)) return nn__fail(x->ctx, "requires_grad", NN__M_NOT_REAL, 1, nn_dtype_name(x->dtype)), (nn_tensor *)NULL;
    x->needs_grad = 1;
    return x;
}

NN_API nn_tensor *nn_retain_grad(nn_tensor *x) {
    if (!nn__ok_tensor("retain_grad", x)) return NULL;
    if (!x->needs_grad) return nn__fail(x->ctx, "retain_grad", NN__M_NO_HISTORY), (nn_tensor *)NULL;
    x->retain = 1;
    return x;
}

NN_API int nn_backward_from(nn_tensor *y, nn_tensor *dy, int flags) {
    nn__text t, u;
    if (!nn__ok_tensor("backward", y)) return 0;
    if (!y->needs_grad) return nn__fail(y->ctx, "backward", NN__M_NO_HISTORY);
    if (!dy && nn_numel(y) != 1) return nn__fail(y->ctx, "backward", NN__M_NOT_ONE, nn__shape_text(&t, y->ndim, y->size), (long long)nn_numel(y));
    if (dy && !nn__live(y->ctx, dy)) return !nn__operand_bad(y->ctx, "backward", dy, 1);
    if (dy && dy->dtype != y->dtype) return nn__fail(y->ctx, "backward", NN__M_DTYPES_DIFFER, nn_dtype_name(y->dtype), nn_dtype_name(dy->dtype));
    if (dy && !nn__same_shape(dy, y))
        return nn__fail(y->ctx, "backward", NN__M_SHAPES_DIFFER, "y", nn__shape_text(&t, y->ndim, y->size), "dy", nn__shape_text(&u, dy->ndim, dy->size));
    if (dy && dy->st->home == NN__POOL && !dy->st->device) { /* a gradient, which this very walk may add to */
        dy = nn_clone(flags & NN_CREATE_GRAPH ? dy : nn_detach(dy));
        if (!dy) return 0;
    }
    return nn__walk_back(y, dy, flags);
}

NN_API int nn_backward(nn_tensor *loss) { return nn_backward_from(loss, NULL, 0); }

NN_API nn_tensor *nn_grad(nn_tensor *x) {
    if (!nn__ok_tensor("grad", x)) return NULL;
    if (!x->grad && x->node && !x->retain) return nn__fail(x->ctx, "grad", NN__M_NOT_LEAF), (nn_tensor *)NULL;
    return x->grad;
}

/* In a plan it is a node: what earlier runs left is forgotten where the line stands */
static int  nn__shape_forget(nn_node *n, nn_spec *out) { return (void)n, (void)out, 1; }
static void nn__run_forget(nn_node *n) {
    nn_tensor *x;
    memcpy(&x, n->attr, sizeof x);
    nn__grad_release(x);
}
static const nn_op nn__op_forget = {"zero_grad", 0, 0, sizeof(nn_tensor *), NN_OP_WRITES, nn__shape_forget, nn__run_forget, NULL, NULL, NULL, NULL, 0};

NN_API void nn_zero_grad(nn_tensor *x) {
    nn_tensor *none;
    if (!nn__ok_tensor("zero_grad", x)) return;
    nn__grad_release(x);
    if (x->ctx->plan && x->persistent) nn__apply(x->ctx, &nn__op_forget, NULL, 0, &x, &none);
}

NN_API int nn_grad_of(nn_tensor *y, nn_tensor *dy, nn_tensor **x, int n, nn_tensor **dx, int flags) {
    nn_ctx *c;
    int     fine;
    if (!nn__ok_tensor("grad_of", y)) return 0;
    c = y->ctx;
    if (!nn__ok_arg(c, "grad_of", x, "x") || !nn__ok_arg(c, "grad_of", dx, "dx")) return 0;
    for (int i = 0; i < n; i++) {
        dx[i] = NULL;
        if (!nn__live(c, x[i])) return !nn__operand_bad(c, "grad_of", x[i], i);
    }
    c->targets   = x;
    c->n_targets = n;
    fine         = nn_backward_from(y, dy, flags);
    for (int i = 0; i < n; i++) { /* a target may be named twice: look first, clean up after */
        dx[i] = fine ? x[i]->pending : NULL;
        if (dx[i] && dx[i]->st->home == NN__POOL) { /* out of the pool, into the step */
            dx[i] = nn_clone(nn_detach(dx[i]));
            fine  = dx[i] != NULL;
        }
    }
    for (int i = 0; i < n; i++)
        if (x[i]->pending) { nn__unhold(c, x[i]->pending); x[i]->pending = NULL; }
    if (y->pending) { nn__unhold(c, y->pending); y->pending = NULL; } /* y itself is a leaf */
    c->targets   = NULL;
    c->n_targets = 0;
    return fine;
}

/* -- checking gradients against central differences -- */
typedef nn_tensor *(*nn__function)(nn_ctx *c, nn_tensor **x, void *user);

/* The scalar that is differentiated: sum of f(x) * w with fixed uneven weights w; for order 2, the sum of its gradients, weighted again.
   0.618... steps through 0 ... 1 as evenly and irregularly as a step can (the golden ratio). */
static nn_tensor *nn__weighted(nn_ctx *c, nn_tensor *y, double phase) {
    nn_tensor *w = nn_arange(c, NN_F64, 0, (double)nn_numel(y), 1);
    if (w)
        for (int64_t i = 0; i < w->size[0]; i++) {
            double u = 0.6180339887498949 * (double)(i + 1) + phase;
            ((double *)w->st->data)[i] = 0.2 + (u - floor(u));
        }
    return nn_sum(nn_mul(y, w ? nn_reshape(w, nn_shape_of(y)) : NULL), NN_ALL, 0);
}

static nn_tensor *nn__check_value(nn_ctx *c, nn__function f, nn_tensor **x, int n, int order, void *user) {
    nn_tensor *dx[8], *s = nn__weighted(c, f(c, x, user), 0.3), *sum = NULL;
    if (order < 2 || !s) return s;
    if (!s->needs_grad || !nn_grad_of(s, NULL, x, n, dx, NN_CREATE_GRAPH)) return NULL;
    for (int i = 0; i < n; i++) {
        nn_tensor *part = dx[i] ? nn__weighted(c, dx[i], 1.1 + i) : NULL;
        if (part) sum = sum ? nn_add(sum, part) : part;
    }
    return sum;
}

NN_API double nn_gradcheck(nn_tensor *(*f)(nn_ctx *, nn_tensor **, void *), nn_tensor **x, int n, int order, void *user) {
    nn_ctx    *c;
    nn_tensor *leaf[8], *dx[8], *s;
    double     worst = 0;
    uint32_t   streams;
    if (!f || !x || n < 1 || !nn__ok_tensor("gradcheck", x[0])) return NAN;
    c = x[0]->ctx;
    if (n > 8) return nn__fail(c, "gradcheck", NN__M_OPTION, "n", (double)n), NAN;
    if (c->plan) return nn__fail(c, NULL, NN__M_PLAN_HOST, "gradcheck"), NAN;
    if (c->shape_only) return nn__fail(c, "gradcheck", NN__M_NO_DATA, "read"), NAN;
    for (int i = 0; i < n; i++) {
        leaf[i] = NULL;
        if (!nn__live(c, x[i])) return nn__operand_bad(c, "gradcheck", x[i], i), NAN;
        if (x[i]->dtype != NN_F64) return nn__fail(c, "gradcheck", NN__M_GRADCHECK_F64), NAN;
        leaf[i] = nn_requires_grad(nn_clone(nn_detach(x[i])));
    }
    streams = c->streams; /* so that dropout and the like draw the same numbers each time */
    s = nn__check_value(c, f, leaf, n, order, user);
    if (!s) return nn__fail(c, "gradcheck", NN__M_NO_HISTORY), NAN;
    if (s->dtype != NN_F64) return nn__fail(c, "gradcheck", NN__M_GRADCHECK_F64), NAN;
    if (s->needs_grad) { if (!nn_grad_of(s, NULL, leaf, n, dx, 0)) return NAN; }
    else for (int i = 0; i < n; i++) dx[i] = NULL; /* linear: the second derivative is zero */
    for (int i = 0; i < n; i++) {
        double *p = (double *)nn__data(leaf[i]), *g = dx[i] ? nn_f64(nn_contiguous(dx[i])) : NULL;
        for (int64_t k = 0; k < nn_numel(leaf[i]); k++) {
            double  old = p[k], h = 1e-5 * (fabs(old) > 1 ? fabs(old) : 1), value[4], difference, error;
            nn__mark mark = nn__arena_mark(c);
            for (int side = 0; side < 4; side++) { /* fourth order: h^4 */
                static const double at[4] = {-2, -1, 1, 2};
                nn_tensor *v;
                p[k]       = old + at[side] * h;
                c->streams = streams;
                v = nn__check_value(c, f, leaf, n, order, user);
                value[side] = v ? nn_item(v) : NAN;
                nn__arena_rewind(c, mark);
            }
            p[k] = old;
            difference = (value[0] - 8 * value[1] + 8 * value[2] - value[3]) / (12 * h);
            error = fabs((g ? g[k] : 0) - difference) / (fabs(difference) > 1 ? fabs(difference) : 1);
            if (!(error <= worst)) worst = error; /* also lets NaN through */
        }
    }
    return c->error ? NAN : worst;
}

/* ---- >>context --------------------------------------------------------------------------------------
   The life of a context: begin, fork, reset, end. */
static nn_ctx *nn__ctx_new(const nn_config *config, nn_ctx *parent) {
    nn_ctx  blank, *c;
    memset(&blank, 0, sizeof blank);
    if (config) blank.config = *config;
    c = (nn_ctx *)nn__alloc(&blank, sizeof *c);
    if (!c) return NULL;
    *c              = blank; /* the allocation is counted from the start */
    c->copy         = &nn__this_copy;
    c->root         = parent ? parent->root : c;
    c->objects.next = c->objects.prev = &c->objects;
    c->shape_only   = c->config.shape_only;
    return c;
}

static int nn__ctx_workers(nn_ctx *c) {
    const char *env = getenv("NN_THREADS");
    int         n   = c->config.threads;
    if (n <= 0 && env) n = atoi(env);
    if (n <= 0) n = nn__cpu_count();
    if (n > 256) n = 256;
#if defined(NN_NO_THREADS)
    if (!c->config.parallel) n = 1;
#endif
    c->scratch      = (void **)nn__alloc_zero(c, (size_t)n * sizeof *c->scratch);
    c->scratch_size = c->scratch ? (size_t *)nn__alloc_zero(c, (size_t)n * sizeof *c->scratch_size) : NULL;
    if (!c->scratch_size) return nn__free(c, c->scratch, (size_t)n * sizeof *c->scratch), c->scratch = NULL, 0;
    c->workers = n;
    return 1;
}

NN_API nn_config nn_config_defaults(void) {
    nn_config config;
    memset(&config, 0, sizeof config);
    return config;
}

NN_API nn_ctx *nn_begin(const nn_config *config) {
    const char *quiet = getenv("NN_QUIET"), *isa = getenv("NN_ISA"), *eager = getenv("NN_EAGER");
    nn_ctx     *c;
    if (config && (!config->alloc != !config->release)) return NULL;
    c = nn__ctx_new(config, NULL);
    if (!c) return NULL;
    if (quiet && *quiet && strcmp(quiet, "0")) c->config.quiet = 1;
    c->eager = eager && *eager && strcmp(eager, "0");
    if (c->config.isa) isa = c->config.isa;
    nn__choose_isa(c, isa && *isa ? isa : NULL);
    if (!nn__ctx_workers(c)) {
        nn_end(c);
        return NULL;
    }
    return c;
}

static void nn__fork_destroy(nn__object *o) { nn_end((nn_ctx *)((char *)o - offsetof(nn_ctx, object))); }

static nn_ctx *nn__fork(nn_ctx *c, int shape_only) {
    nn_ctx *f;
    if (!nn__ok(c)) return NULL;
    f = nn__ctx_new(&c->config, c);
    if (!f) return nn__fail(c, "fork", NN__M_MEMORY, (unsigned long long)sizeof *f), (nn_ctx *)NULL;
    f->shape_only     = shape_only || c->shape_only;
    f->kernels        = c->kernels;
    f->extras         = c->extras;
    f->config.threads = c->workers;
    f->config.seed    = nn__mix(c->config.seed + 0x9e3779b97f4a7c15u * (shape_only ? 0 : ++c->forks)); /* its own random numbers, by the order of forking */
    nn__object_add(c->root, &f->object, nn__fork_destroy);
    if (!nn__ctx_workers(f)) {
        nn_end(f);
        return nn__fail(c, "fork", NN__M_MEMORY, (unsigned long long)sizeof *f), (nn_ctx *)NULL;
    }
#if !defined(NN_NO_THREADS)
    if (!shape_only && c == c->root && !c->pool && !c->config.parallel && c->workers > 1) nn__atomic_store(&c->pool, nn__pool_start(c));
#endif
    return f;
}
NN_API nn_ctx *nn_fork(nn_ctx *c) { return nn__fork(c, 0); }
NN_API nn_ctx *nn_fork_shapes(nn_ctx *c) { return nn__fork(c, 1); }

NN_API void nn_reset(nn_ctx *c) {
    nn_tensor **p;
    if (!c) return;
    if (c->plan) { nn__fail(c, NULL, NN__M_PLAN_HOST, "reset"); return; }
    for (p = &c->graded; *p;) { /* step tensors lose their gradients, persistent ones keep them */
        nn_tensor *x = *p;
        if (x->persistent) { p = &x->next_graded; continue; }
        *p = x->next_graded;
        nn__unhold(c, x->grad);
    }
    c->place   = NULL;
    c->streams = 0;
    c->step++;
    nn__arena_reset(c);
    if (++c->epoch >= NN__PLAN_EPOCH) c->epoch = 0;
}

static void nn__bindings_free(nn_ctx *c);
static void nn__profile_free(nn_ctx *c);

NN_API void nn_end(nn_ctx *c) {
    if (!c) return;
    if (c->copy != &nn__this_copy) return;
    while (c->objects.next != &c->objects) c->objects.next->destroy(c->objects.next); /* each unlinks itself */
    nn_reset(c);
    nn__bindings_free(c);
    nn__profile_free(c);
    while (c->kept) nn__kept_free(c->kept);
    if (c->root == c) nn__pool_stop(c->pool);
    nn__pool_free_all(c);
    nn__chunks_free(c, c->first_chunk);
    while (c->debug_dead) {
        nn_tensor *x  = c->debug_dead;
        c->debug_dead = x->next;
        nn__free(c, x, sizeof *x);
    }
    for (int i = 0; i < c->workers; i++) nn__free(c, c->scratch[i], c->scratch_size[i]);
    nn__free(c, c->scratch, (size_t)c->workers * sizeof *c->scratch);
    nn__free(c, c->scratch_size, (size_t)c->workers * sizeof *c->scratch_size);
    if (c->root == c && c->config.backend && c->config.backend->close) c->config.backend->close(c->config.backend->self);
    if (c->root != c) nn__object_remove(c->root, &c->object);
    {
        nn_ctx last = *c; /* its own block goes through its own allocator */
        nn__free(&last, c, sizeof *c);
    }
}

/* -- the null backend: memory on the host, every call counted -- */
static void *nn__null_alloc(void *self, size_t bytes) { ((nn_null_counts *)self)->allocs++; return NN_MALLOC(bytes); }
static void  nn__null_release(void *self, void *p, size_t bytes) { (void)bytes; ((nn_null_counts *)self)->frees++; NN_FREE(p); }
static int   nn__null_copy(void *self, void *to, const void *from, size_t bytes, int way) {
    (void)way;
    ((nn_null_counts *)self)->copies++;
    memcpy(to, from, bytes);
    return 1;
}
static int nn__null_sync(void *self) { ((nn_null_counts *)self)->syncs++; return 1; }
static int nn__null_run(void *self, nn_node *n) { /* its memory is the host's: the host's kernels can run on it */
    nn_null_counts *counts = (nn_null_counts *)self;
    if (counts->refuse_all || (n->op->flags & NN_OP_WRITES)) { counts->refused++; return 0; }
    counts->runs++;
    return nn__run_prepared(n) ? 1 : -1;
}
NN_API nn_backend nn_backend_null(nn_null_counts *counts) {
    nn_backend b;
    memset(&b, 0, sizeof b);
    b.name    = "null";
    b.self    = counts;
    b.alloc   = nn__null_alloc;
    b.release = nn__null_release;
    b.copy    = nn__null_copy;
    b.sync    = nn__null_sync;
    b.run     = nn__null_run;
    return b;
}

/* ---- >>ops elementwise ------------------------------------------------------------------------------
   An element-wise op is a formula over vectors (see the words nn__v_... in >>kernels), its gradient rule, and
   its name in NN__UNARY_OPS or NN__BINARY_OPS. NN__F_name(x, p0, p1) is compiled for every instruction set: p0 and p1 are
   the op's attributes (only affine has some), NN__K(exp) is the exp of the set being compiled. */
#define NN__MAP (NN_OP_MAP | NN_OP_FLOAT)

static int nn__check_real(nn_node *n, int count) { /* the first `count` inputs: real, and of one dtype */
    for (int i = 0; i < count; i++) {
        if (!nn__is_real(n->in[i]->dtype)) return nn__fail(n->ctx, n->op->name, NN__M_NOT_REAL, i + 1, nn_dtype_name(n->in[i]->dtype));
        if (n->in[i]->dtype != n->in[0]->dtype) return nn__fail(n->ctx, n->op->name, NN__M_DTYPES_DIFFER, nn_dtype_name(n->in[0]->dtype), nn_dtype_name(n->in[i]->dtype));
    }
#if defined(NN_NO_F64)
    if (count && n->in[0]->dtype == NN_F64) return nn__fail(n->ctx, n->op->name, NN__M_NO_F64);
#endif
    return 1;
}

static int nn__is_shape(const nn_tensor *x, const nn_shape *s) { return x->ndim == s->ndim && !memcmp(x->size, s->dim, (size_t)x->ndim * sizeof x->size[0]); }
/* z: the common shape of the first xn axes of x and the first yn of y */
static int nn__broadcast(nn_ctx *c, const char *op, const nn_tensor *x, int xn, const nn_tensor *y, int yn, nn_shape *z) {
    nn__text t, u;
    z->ndim = xn > yn ? xn : yn;
    for (int i = 1; i <= z->ndim; i++) {
        int64_t a = i <= xn ? x->size[xn - i] : 1, b = i <= yn ? y->size[yn - i] : 1;
        if (a != b && a != 1 && b != 1) return nn__fail(c, op, NN__M_BROADCAST, nn__shape_text(&t, xn, x->size), nn__shape_text(&u, yn, y->size), (long long)a, (long long)b);
        z->dim[z->ndim - i] = a == 1 ? b : a;
    }
    return 1;
}

static int nn__shape_unary(nn_node *n, nn_spec *out) { return nn_spec_like(out, n->in[0]), nn__check_real(n, 1); }
static int nn__shape_binary(nn_node *n, nn_spec *out) {
    const nn_tensor *x = n->in[0], *y = n->in[1];
    if (!nn__check_real(n, 2)) return 0;
    nn_spec_like(out, x);
    return nn__same_shape(x, y) || nn__broadcast(n->ctx, n->op->name, x, x->ndim, y, y->ndim, &out->shape);
}

static nn_cost nn__cost_bytes(const nn_node *n) { /* every operand once, no arithmetic */
    nn_cost cost = {0, 0};
    for (int i = 0; i < n->n_in; i++) cost.bytes += (double)nn_numel(n->in[i]) * (double)nn_dtype_size(n->in[i]->dtype);
    for (int i = 0; i < n->n_out; i++) cost.bytes += (double)nn_numel(n->out[i]) * (double)nn_dtype_size(n->out[i]->dtype);
    return cost;
}
static nn_cost nn__cost_map(const nn_node *n) { /* one operation an element of the output */
    nn_cost cost = nn__cost_bytes(n);
    cost.flops   = (double)nn_numel(n->out[0]);
    return cost;
}
static nn_cost nn__cost_input(const nn_node *n) { /* one operation an element of the input */
    nn_cost cost = nn__cost_bytes(n);
    cost.flops   = (double)nn_numel(n->in[0]);
    return cost;
}

/* Test samples: distinct values in (low, high) that any program can compute again: low + (high-low) frac(0.5 + (i+1) g + 0.13 k). */
static nn_tensor *nn__sample_values(nn_ctx *c, nn_dtype real, nn_shape shape, int k, double low, double high) {
    nn_tensor *x = nn_zeros(c, real, shape);
    if (x && x->st->data)
        for (int64_t i = 0; i < nn_numel(x); i++) {
            double u = 0.5 + (double)(i + 1) * 0.6180339887498949 + 0.13 * k;
            nn__store(real, x->st->data, i, low + (high - low) * (u - floor(u)));
        }
    return x;
}
static const nn_shape nn__sample_shapes[6] = {{2, {3, 5, 0, 0, 0, 0}}, {1, {37, 0, 0, 0, 0, 0}}, {0, {0, 0, 0, 0, 0, 0}},
                                              {2, {0, 4, 0, 0, 0, 0}}, {3, {2, 1, 7, 0, 0, 0}},  {4, {2, 3, 1, 2, 0, 0}}};
static int nn__sample_range(nn_ctx *c, nn_dtype real, int k, nn_sample *s, double low, double high) {
    if (k >= 6) return 0;
    s->n_in  = 1;
    s->in[0] = nn__sample_values(c, real, nn__sample_shapes[k], k, low, high);
    return 1;
}
static int nn__sample_unary(nn_ctx *c, nn_dtype real, int k, nn_sample *s) { return nn__sample_range(c, real, k, s, -2.1, 2.3); }
static int nn__sample_positive(nn_ctx *c, nn_dtype real, int k, nn_sample *s) { return nn__sample_range(c, real, k, s, 0.2, 3.0); }
static int nn__sample_binary(nn_ctx *c, nn_dtype real, int k, nn_sample *s) { /* equal, scalar, row, column, both, empty */
    static const nn_shape x[6] = {{2, {3, 5, 0, 0, 0, 0}}, {0, {0, 0, 0, 0, 0, 0}}, {2, {3, 19, 0, 0, 0, 0}}, {2, {3, 5, 0, 0, 0, 0}}, {3, {2, 1, 3, 0, 0, 0}}, {2, {0, 3, 0, 0, 0, 0}}};
    static const nn_shape y[6] = {{2, {3, 5, 0, 0, 0, 0}}, {2, {2, 3, 0, 0, 0, 0}}, {1, {19, 0, 0, 0, 0, 0}},  {2, {3, 1, 0, 0, 0, 0}}, {2, {4, 1, 0, 0, 0, 0}},  {1, {1, 0, 0, 0, 0, 0}}};
    if (k >= 6) return 0;
    s->n_in  = 2;
    s->in[0] = nn__sample_values(c, real, x[k], k, -2.0, 2.2);
    s->in[1] = nn__sample_values(c, real, y[k], k + 3, 0.4, 2.9);
    return 1;
}

static nn_tensor *nn__sample_classes(nn_ctx *c, nn_dtype dtype, nn_shape shape, int64_t classes) {
    nn_tensor *y = nn_zeros(c, dtype, shape);
    if (y && y->st->data)
        for (int64_t i = 0; i < nn_numel(y); i++) nn__store(dtype, y->st->data, i, (double)((i * 5 + 2) % classes));
    return y;
}

/* Walks operands of any strides in the order of a contiguous output. Neighbouring axes that every operand walks
   evenly are merged, so that most calls are one row; rows of other strides go through a tile. */
enum { NN__TILE = 256 };

/* A result of this many bytes is stored past the caches: they could not keep it for the next op, and a plain store reads
   what it is going to overwrite. Rows shorter than NN__STREAM_ROW elements are not worth it. */
enum { NN__STREAM_BYTES = 48 << 20, NN__STREAM_ROW = 4096 };
static int nn__streams(const nn_tensor *y) { return (double)nn_numel(y) * (double)nn__dtypes[y->dtype].size >= (double)NN__STREAM_BYTES; }

typedef struct nn__map {
    const nn__kernel_set *k;
    size_t        kernel;
    nn_dtype      dtype;
    int           operands, ndim, stream;
    const double *p;
    const void   *x[2];
    void         *y;
    int64_t       size[NN_MAX_DIMS], stride[2][NN_MAX_DIMS];
} nn__map;

/* The kernel itself, on rows whose operands follow each other (step 1) or are one value (step 0) */
static void nn__map_call(const nn__map *m, const void *const *x, const int64_t *step, void *y, int64_t n) {
    const char *slot = (const char *)m->k + m->kernel;
    size_t      e = nn__dtypes[m->dtype].size;
    if (m->operands == 2) {
        nn__binary_fn f;
        memcpy(&f, slot, sizeof f);
        f(x[0], (int)step[0], x[1], (int)step[1], y, m->stream ? -n : n, m->p);
    } else {
        nn__unary_fn f;
        memcpy(&f, slot, sizeof f);
        f(x[0], y, !step[0] ? 1 : m->stream ? -n : n, m->p);
        if (!step[0]) /* one value, many places */
            for (int64_t j = 1; j < n; j++) memcpy((char *)y + (size_t)j * e, y, e);
    }
}

static void nn__map_row(nn__map *m, const char **x, char *y, int64_t n) {
    size_t  e = nn__dtypes[m->dtype].size;
    int     inner = m->ndim - 1;
    int64_t step[2] = {0, 0}, length;
    double  tile[2][NN__TILE];
    for (int64_t i = 0; i < n; i += length) {
        const void *from[2] = {NULL, NULL};
        length = n - i;
        for (int o = 0; o < m->operands; o++) {
            int64_t s = m->stride[o][inner];
            if (s != 0 && s != 1) length = nn__min64(length, NN__TILE);
        }
        for (int o = 0; o < m->operands; o++) {
            int64_t s = m->stride[o][inner];
            from[o] = x[o] + i * s * (int64_t)e;
            step[o] = s != 0;
            if (s == 0 || s == 1) continue;
            nn__convert(m->dtype, tile[o], 1, m->dtype, from[o], s, length);
            from[o] = tile[o];
        }
        nn__map_call(m, from, step, y + i * (int64_t)e, length);
    }
}

static void nn__map_part(void *arg, int64_t begin, int64_t end, int worker) {
    nn__map *m   = (nn__map *)arg;
    size_t   e   = nn__dtypes[m->dtype].size;
    int64_t  row = m->size[m->ndim - 1];
    (void)worker;
    for (int64_t i = begin; i < end;) {
        int64_t     r = i / row, in = i % row, n = nn__min64(row - in, end - i);
        const char *x[2] = {NULL, NULL};
        for (int o = 0; o < m->operands; o++) x[o] = (const char *)m->x[o] + in * m->stride[o][m->ndim - 1] * (int64_t)e;
        for (int d = m->ndim - 2; d >= 0; d--) {
            int64_t k = r % m->size[d];
            r /= m->size[d];
            for (int o = 0; o < m->operands; o++) x[o] += k * m->stride[o][d] * (int64_t)e;
        }
        nn__map_row(m, x, (char *)m->y + i * (int64_t)e, n);
        i += n;
    }
}

/* The common case: every operand is one contiguous row as long as y, or one value. */
static int nn__map_is_flat(const nn_node *n, int64_t total, int64_t *step) {
    const nn_tensor *y = n->out[0];
    for (int o = 0; o < n->n_in; o++) {
        const nn_tensor *x = n->in[o];
        int64_t          count;
        int              same = x->ndim == y->ndim; /* mostly x has y's shape and strides, and no more needs to be asked */
        for (int d = 0; same && d < y->ndim; d++) same = x->size[d] == y->size[d] && x->stride[d] == y->stride[d];
        step[o] = 1;
        if (same) continue;
        count = nn_numel(x);
        if (count != 1 && (count != total || !nn_is_contiguous(x))) return 0;
        step[o] = count != 1 || total == 1;
    }
    return 1;
}
static void nn__map_flat_part(void *arg, int64_t begin, int64_t end, int worker) {
    const nn__map *m = (const nn__map *)arg;
    size_t         e = nn__dtypes[m->dtype].size;
    const void    *x[2];
    int64_t        step[2];
    (void)worker;
    for (int o = 0; o < m->operands; o++) {
        step[o] = m->stride[o][0];
        x[o]    = (const char *)m->x[o] + (size_t)(begin * step[o]) * e;
    }
    nn__map_call(m, x, step, (char *)m->y + (size_t)begin * e, end - begin);
}

static void nn__map_axes(nn__map *m, const nn_node *n) {
    const nn_tensor *y = n->out[0];
    m->ndim    = 1;
    m->size[0] = 1;
    for (int o = 0; o < m->operands; o++) m->stride[o][0] = 1;
    for (int d = 0; d < y->ndim; d++) { /* append the axis, or merge it with the one before */
        int64_t stride[2] = {0, 0};
        int     last = m->ndim - 1, even = 1;
        if (y->size[d] == 1) continue;
        for (int o = 0; o < m->operands; o++) {
            const nn_tensor *x  = n->in[o];
            int              xd = d - (y->ndim - x->ndim);
            stride[o] = xd < 0 || x->size[xd] == 1 ? 0 : x->stride[xd];
            even &= m->stride[o][last] == stride[o] * y->size[d];
        }
        if (m->size[last] == 1) even = 0; /* nothing there yet: replace it */
        else if (!even) last = m->ndim++;
        m->size[last] = even ? m->size[last] * y->size[d] : y->size[d];
        for (int o = 0; o < m->operands; o++) m->stride[o][last] = stride[o];
    }
}

static void nn__run_map(nn_node *n) {
    nn_tensor *y = n->out[0];
    int64_t    total = nn_numel(y), step[2] = {0, 0};
    int        flat = nn__map_is_flat(n, total, step);
    nn__map    m;
    if (total == 0) return;
    m.k        = nn__kernels_for(n->ctx, y->dtype);
    m.kernel   = n->op->kernel;
    m.dtype    = y->dtype;
    m.operands = n->n_in;
    m.p        = (const double *)n->attr;
    m.y        = nn__data(y);
    m.x[0]     = nn__data(n->in[0]);
    if (m.operands == 2) m.x[1] = nn__data(n->in[1]);
    m.stream = 0;
    if (flat && total < 2048) { nn__map_call(&m, m.x, step, m.y, total); return; }
    m.stride[0][0] = step[0];
    m.stride[1][0] = step[1];
    if (!flat) nn__map_axes(&m, n);
    m.stream = nn__streams(y) && (flat || m.size[m.ndim - 1] >= NN__STREAM_ROW);
    nn__parallel(n->ctx, total, 0.5, flat ? nn__map_flat_part : nn__map_part, &m);
}

#define NN__UNARY(name, flags, grad, fast, sample) \
    static const nn_op nn__op_##name = {#name, 1, 1, 0, NN__MAP | NN_OP_STRIDED | (flags), nn__shape_unary, nn__run_map, grad, fast, nn__cost_map, sample, offsetof(nn__kernel_set, name)}
#define NN__BINARY(name, flags, grad, sample) \
    static const nn_op nn__op_##name = {#name, 2, 1, 0, NN__MAP | NN_OP_STRIDED | (flags), nn__shape_binary, nn__run_map, grad, NULL, nn__cost_map, sample, offsetof(nn__kernel_set, name)}

/* -- add:  z = x + y                                  dx = dz, dy = dz (the walk undoes broadcasting) -- */
#define NN__F_add(x, y, p0, p1) nn__v_add(x, y)
static void nn__grad_add(nn_node *n, nn_tensor **dy, nn_tensor **dx) { (void)n; dx[0] = dx[1] = dy[0]; }
NN__BINARY(add, 0, nn__grad_add, nn__sample_binary);
NN_API nn_tensor *nn_add(nn_tensor *x, nn_tensor *y) { return nn__apply2(&nn__op_add, x, y, NULL); }

/* -- sub:  z = x - y                                  dx = dz, dy = -dz -- */
#define NN__F_sub(x, y, p0, p1) nn__v_sub(x, y)
static void nn__grad_sub(nn_node *n, nn_tensor **dy, nn_tensor **dx) {
    dx[0] = dy[0];
    if (nn_wants(n, 1)) dx[1] = nn_neg(dy[0]);
}
NN__BINARY(sub, 0, nn__grad_sub, nn__sample_binary);
NN_API nn_tensor *nn_sub(nn_tensor *x, nn_tensor *y) { return nn__apply2(&nn__op_sub, x, y, NULL); }

/* -- mul:  z = x y                                    dx = dz y, dy = dz x -- */
#define NN__F_mul(x, y, p0, p1) nn__v_mul(x, y)
static void nn__grad_mul(nn_node *n, nn_tensor **dy, nn_tensor **dx) {
    if (nn_wants(n, 0)) dx[0] = nn_mul(dy[0], n->in[1]);
    if (nn_wants(n, 1)) dx[1] = nn_mul(dy[0], n->in[0]);
}
NN__BINARY(mul, NN_OP_SAVES_IN, nn__grad_mul, nn__sample_binary);
NN_API nn_tensor *nn_mul(nn_tensor *x, nn_tensor *y) { return nn__apply2(&nn__op_mul, x, y, NULL); }

/* -- div:  z = x / y                                  dx = dz / y, dy = -dz z / y -- */
#define NN__F_div(x, y, p0, p1) nn__v_div(x, y)
static void nn__grad_div(nn_node *n, nn_tensor **dy, nn_tensor **dx) {
    nn_tensor *g = nn_div(dy[0], n->in[1]);
    dx[0] = g;
    if (nn_wants(n, 1)) dx[1] = nn_neg(nn_mul(g, n->out[0]));
}
NN__BINARY(div, NN_OP_SAVES_IN | NN_OP_SAVES_OUT, nn__grad_div, nn__sample_binary);
NN_API nn_tensor *nn_div(nn_tensor *x, nn_tensor *y) { return nn__apply2(&nn__op_div, x, y, NULL); }

/* -- same:  z = 1 where x = y, else 0                 constant -- */
#define NN__F_same(x, y, p0, p1) nn__v_select(nn__v_eq(x, y), nn__v_set1(1), nn__v_zero())
NN__BINARY(same, NN_OP_NO_GRAD, NULL, nn__sample_binary);
NN_API nn_tensor *nn_same(nn_tensor *x, nn_tensor *y) { return nn__apply2(&nn__op_same, x, y, NULL); }

/* -- affine:  y = a x + b                             dx = a dy -- */
#define NN__F_affine(x, p0, p1) nn__v_fma(x, p0, p1)
static void nn__grad_affine(nn_node *n, nn_tensor **dy, nn_tensor **dx) { dx[0] = nn_scale(dy[0], ((const double *)n->attr)[0]); }
static int  nn__sample_affine(nn_ctx *c, nn_dtype real, int k, nn_sample *s) {
    double ab[2] = {-1.75, 0.625};
    memcpy(s->room, ab, sizeof ab);
    s->attr = s->room;
    return nn__sample_unary(c, real, k, s);
}
static const nn_op nn__op_affine = {"affine", 1, 1, 2 * sizeof(double), NN__MAP | NN_OP_STRIDED, nn__shape_unary, nn__run_map, nn__grad_affine, NULL,
                                    nn__cost_map, nn__sample_affine, offsetof(nn__kernel_set, affine)};
NN_API nn_tensor *nn_affine(nn_tensor *x, double a, double b) {
    double ab[2];
    ab[0] = a; ab[1] = b;
    return nn__apply1(&nn__op_affine, x, ab);
}
NN_API nn_tensor *nn_scale(nn_tensor *x, double a) { return nn_affine(x, a, 0); }

/* -- neg:  y = -x                                     dx = -dy -- */
#define NN__F_neg(x, p0, p1) nn__v_neg(x)
static void nn__grad_neg(nn_node *n, nn_tensor **dy, nn_tensor **dx) { (void)n; dx[0] = nn_neg(dy[0]); }
NN__UNARY(neg, 0, nn__grad_neg, NULL, nn__sample_unary);
NN_API nn_tensor *nn_neg(nn_tensor *x) { return nn__apply1(&nn__op_neg, x, NULL); }

/* -- exp:  y = e^x                                    dx = dy y -- */
#define NN__F_exp(x, p0, p1) NN__K(exp)(x)
static void nn__grad_exp(nn_node *n, nn_tensor **dy, nn_tensor **dx) { dx[0] = nn_mul(dy[0], n->out[0]); }
NN__UNARY(exp, NN_OP_SAVES_OUT, nn__grad_exp, NULL, nn__sample_unary);
NN_API nn_tensor *nn_exp(nn_tensor *x) { return nn__apply1(&nn__op_exp, x, NULL); }

/* -- log:  y = ln x                                   dx = dy / x -- */
#define NN__F_log(x, p0, p1) NN__K(log)(x)
static void nn__grad_log(nn_node *n, nn_tensor **dy, nn_tensor **dx) { dx[0] = nn_div(dy[0], n->in[0]); }
NN__UNARY(log, NN_OP_SAVES_IN, nn__grad_log, NULL, nn__sample_positive);
NN_API nn_tensor *nn_log(nn_tensor *x) { return nn__apply1(&nn__op_log, x, NULL); }

/* -- sqrt:  y = sqrt x                                dx = dy / (2 y) -- */
#define NN__F_sqrt(x, p0, p1) nn__v_sqrt(x)
static void nn__grad_sqrt(nn_node *n, nn_tensor **dy, nn_tensor **dx) { dx[0] = nn_div(dy[0], nn_scale(n->out[0], 2)); }
NN__UNARY(sqrt, NN_OP_SAVES_OUT, nn__grad_sqrt, NULL, nn__sample_positive);
NN_API nn_tensor *nn_sqrt(nn_tensor *x) { return nn__apply1(&nn__op_sqrt, x, NULL); }

/* -- square:  y = x^2                                 dx = 2 dy x -- */
#define NN__F_square(x, p0, p1) nn__v_mul(x, x)
static void nn__grad_square(nn_node *n, nn_tensor **dy, nn_tensor **dx) { dx[0] = nn_mul(nn_scale(dy[0], 2), n->in[0]); }
NN__UNARY(square, NN_OP_SAVES_IN, nn__grad_square, NULL, nn__sample_unary);
NN_API nn_tensor *nn_square(nn_tensor *x) { return nn__apply1(&nn__op_square, x, NULL); }

/* -- positive:  y = 1 where x > 0, else 0             constant -- */
#define NN__F_positive(x, p0, p1) nn__v_select(nn__v_gt(x, nn__v_zero()), nn__v_set1(1), nn__v_zero())
NN__UNARY(positive, NN_OP_NO_GRAD, NULL, NULL, nn__sample_unary);
NN_API nn_tensor *nn_positive(nn_tensor *x) { return nn__apply1(&nn__op_positive, x, NULL); }

/* -- abs:                                             dx = dy sign(x) -- */
#define NN__F_abs(x, p0, p1) nn__v_abs(x)
static void nn__grad_abs(nn_node *n, nn_tensor **dy, nn_tensor **dx) { dx[0] = nn_mul(dy[0], nn_sub(nn_positive(n->in[0]), nn_positive(nn_neg(n->in[0])))); }
NN__UNARY(abs, NN_OP_SAVES_IN, nn__grad_abs, NULL, nn__sample_unary);
NN_API nn_tensor *nn_abs(nn_tensor *x) { return nn__apply1(&nn__op_abs, x, NULL); }

/* Activations have a fused form of their gradient: one pass instead of two to five. It takes dy and what was
   saved, is used only where nobody differentiates it again, and so has no gradient of its own. */
#define NN__BACK(name, saved)                                                                                                                 \
    NN__BINARY(name##_back, 0, NULL, NULL);                                                                                                   \
    static void nn__grad_fast_##name(nn_node *n, nn_tensor **dy, nn_tensor **dx) { dx[0] = nn__apply2(&nn__op_##name##_back, dy[0], n->saved[0], NULL); }

/* -- relu:  y = max(x, 0)                             dx = dy where y > 0 -- */
#define NN__F_relu(x, p0, p1) nn__v_max(nn__v_zero(), x)
#define NN__F_relu_back(dy, y, p0, p1) nn__v_select(nn__v_gt(y, nn__v_zero()), dy, nn__v_zero())
static void nn__grad_relu(nn_node *n, nn_tensor **dy, nn_tensor **dx) { dx[0] = nn_mul(dy[0], nn_positive(n->out[0])); }
NN__BACK(relu, out)
NN__UNARY(relu, NN_OP_SAVES_OUT, nn__grad_relu, nn__grad_fast_relu, nn__sample_unary);
NN_API nn_tensor *nn_relu(nn_tensor *x) { return nn__apply1(&nn__op_relu, x, NULL); }

/* -- sigmoid:  y = 1 / (1 + e^-x)                     dx = dy y (1 - y) -- */
#define NN__F_sigmoid(x, p0, p1) NN__K(sigmoid)(x)
#define NN__F_sigmoid_back(dy, y, p0, p1) nn__v_mul(dy, nn__v_fnma(y, y, y))
static void nn__grad_sigmoid(nn_node *n, nn_tensor **dy, nn_tensor **dx) { dx[0] = nn_mul(dy[0], nn_sub(n->out[0], nn_square(n->out[0]))); }
NN__BACK(sigmoid, out)
NN__UNARY(sigmoid, NN_OP_SAVES_OUT, nn__grad_sigmoid, nn__grad_fast_sigmoid, nn__sample_unary);
NN_API nn_tensor *nn_sigmoid(nn_tensor *x) { return nn__apply1(&nn__op_sigmoid, x, NULL); }

/* -- tanh:                                            dx = dy (1 - y^2) -- */
#define NN__F_tanh(x, p0, p1) NN__K(tanh)(x)
#define NN__F_tanh_back(dy, y, p0, p1) nn__v_mul(dy, nn__v_fnma(y, y, nn__v_set1(1)))
static void nn__grad_tanh(nn_node *n, nn_tensor **dy, nn_tensor **dx) { dx[0] = nn_mul(dy[0], nn_affine(nn_square(n->out[0]), -1, 1)); }
NN__BACK(tanh, out)
NN__UNARY(tanh, NN_OP_SAVES_OUT, nn__grad_tanh, nn__grad_fast_tanh, nn__sample_unary);
NN_API nn_tensor *nn_tanh(nn_tensor *x) { return nn__apply1(&nn__op_tanh, x, NULL); }

/* -- erf:                                             dx = dy 2/sqrt(pi) e^(-x^2) -- */
#define NN__F_erf(x, p0, p1) NN__K(erf)(x)
static void nn__grad_erf(nn_node *n, nn_tensor **dy, nn_tensor **dx) { dx[0] = nn_mul(dy[0], nn_scale(nn_exp(nn_neg(nn_square(n->in[0]))), 1.1283791670955126)); }
NN__UNARY(erf, NN_OP_SAVES_IN, nn__grad_erf, NULL, nn__sample_unary);
NN_API nn_tensor *nn_erf(nn_tensor *x) { return nn__apply1(&nn__op_erf, x, NULL); }

/* -- gelu:  y = x P(x), P(x) = (1 + erf(x/sqrt 2))/2  dx = dy (P(x) + x p(x)), p(x) = e^(-x^2/2)/sqrt(2 pi) -- */
#define NN__GELU_CDF(x) nn__v_fma(NN__K(erf)(nn__v_mul(x, nn__v_set1(0.70710678118654752))), nn__v_set1(0.5), nn__v_set1(0.5))
#define NN__GELU_PDF(x) nn__v_mul(NN__K(exp)(nn__v_mul(nn__v_mul(x, x), nn__v_set1(-0.5))), nn__v_set1(0.39894228040143268))
#define NN__F_gelu(x, p0, p1) nn__v_mul(x, NN__GELU_CDF(x))
#define NN__F_gelu_back(dy, x, p0, p1) nn__v_mul(dy, nn__v_fma(x, NN__GELU_PDF(x), NN__GELU_CDF(x)))
static void nn__grad_gelu(nn_node *n, nn_tensor **dy, nn_tensor **dx) {
    nn_tensor *x   = n->in[0];
    nn_tensor *cdf = nn_affine(nn_erf(nn_scale(x, 0.70710678118654752)), 0.5, 0.5);
    nn_tensor *pdf = nn_scale(nn_exp(nn_scale(nn_square(x), -0.5)), 0.39894228040143268);
    dx[0] = nn_mul(dy[0], nn_add(cdf, nn_mul(x, pdf)));
}
NN__BACK(gelu, in)
NN__UNARY(gelu, NN_OP_SAVES_IN, nn__grad_gelu, nn__grad_fast_gelu, nn__sample_unary);
NN_API nn_tensor *nn_gelu(nn_tensor *x) { return nn__apply1(&nn__op_gelu, x, NULL); }

/* -- gelu_tanh:  y = x s, s = sigmoid(a x + b x^3), which is x/2 (1 + tanh((a x + b x^3)/2))   dx = dy (s + x s (1-s) (a + 3 b x^2)) -- */
#define NN__GELU_A 1.5957691216057308  /* 2 sqrt(2/pi) */
#define NN__GELU_B 0.07135481627260025 /* 0.044715 a */
#define NN__GELU_TANH_S(x) NN__K(sigmoid)(nn__v_mul(x, nn__v_fma(nn__v_mul(x, x), nn__v_set1(NN__GELU_B), nn__v_set1(NN__GELU_A))))
#define NN__F_gelu_tanh(x, p0, p1) nn__v_mul(x, NN__GELU_TANH_S(x))
#define NN__F_gelu_tanh_back(dy, x, p0, p1) nn__v_mul(dy, NN__K(gelu_tanh_slope)(x, NN__GELU_TANH_S(x)))
static void nn__grad_gelu_tanh(nn_node *n, nn_tensor **dy, nn_tensor **dx) {
    nn_tensor *x = n->in[0], *square = nn_square(x);
    nn_tensor *s = nn_sigmoid(nn_mul(x, nn_affine(square, NN__GELU_B, NN__GELU_A)));
    nn_tensor *slope = nn_mul(nn_sub(s, nn_square(s)), nn_affine(square, 3 * NN__GELU_B, NN__GELU_A));
    dx[0] = nn_mul(dy[0], nn_add(s, nn_mul(x, slope)));
}
NN__BACK(gelu_tanh, in)
NN__UNARY(gelu_tanh, NN_OP_SAVES_IN, nn__grad_gelu_tanh, nn__grad_fast_gelu_tanh, nn__sample_unary);
NN_API nn_tensor *nn_gelu_tanh(nn_tensor *x) { return nn__apply1(&nn__op_gelu_tanh, x, NULL); }

/* -- sin:                                             dx = dy cos(x) -- */
#define NN__F_sin(x, p0, p1) NN__K(sin)(x)
static void nn__grad_sin(nn_node *n, nn_tensor **dy, nn_tensor **dx) { dx[0] = nn_mul(dy[0], nn_cos(n->in[0])); }
NN__UNARY(sin, NN_OP_SAVES_IN, nn__grad_sin, NULL, nn__sample_unary);
NN_API nn_tensor *nn_sin(nn_tensor *x) { return nn__apply1(&nn__op_sin, x, NULL); }

/* -- cos:                                             dx = -dy sin(x) -- */
#define NN__F_cos(x, p0, p1) NN__K(cos)(x)
static void nn__grad_cos(nn_node *n, nn_tensor **dy, nn_tensor **dx) { dx[0] = nn_neg(nn_mul(dy[0], nn_sin(n->in[0]))); }
NN__UNARY(cos, NN_OP_SAVES_IN, nn__grad_cos, NULL, nn__sample_unary);
NN_API nn_tensor *nn_cos(nn_tensor *x) { return nn__apply1(&nn__op_cos, x, NULL); }

/* -- steps, constant where they can be differentiated; halves are rounded to the even neighbour -- */
#define NN__F_sign(x, p0, p1) nn__v_select(nn__v_gt(x, nn__v_zero()), nn__v_set1(1), nn__v_select(nn__v_lt(x, nn__v_zero()), nn__v_set1(-1), nn__v_zero()))
#define NN__F_floor(x, p0, p1) NN__K(floor)(x)
#define NN__F_ceil(x, p0, p1) nn__v_neg(NN__K(floor)(nn__v_neg(x)))
#define NN__F_round(x, p0, p1) NN__K(round)(x)
#define NN__F_trunc(x, p0, p1) nn__v_select(nn__v_lt(x, nn__v_zero()), NN__F_ceil(x, p0, p1), NN__K(floor)(x))
NN__UNARY(sign, NN_OP_NO_GRAD, NULL, NULL, nn__sample_unary);
NN__UNARY(floor, NN_OP_NO_GRAD, NULL, NULL, nn__sample_unary);
NN__UNARY(ceil, NN_OP_NO_GRAD, NULL, NULL, nn__sample_unary);
NN__UNARY(round, NN_OP_NO_GRAD, NULL, NULL, nn__sample_unary);
NN__UNARY(trunc, NN_OP_NO_GRAD, NULL, NULL, nn__sample_unary);
NN_API nn_tensor *nn_sign(nn_tensor *x) { return nn__apply1(&nn__op_sign, x, NULL); }
NN_API nn_tensor *nn_floor(nn_tensor *x) { return nn__apply1(&nn__op_floor, x, NULL); }
NN_API nn_tensor *nn_ceil(nn_tensor *x) { return nn__apply1(&nn__op_ceil, x, NULL); }
NN_API nn_tensor *nn_round(nn_tensor *x) { return nn__apply1(&nn__op_round, x, NULL); }
NN_API nn_tensor *nn_trunc(nn_tensor *x) { return nn__apply1(&nn__op_trunc, x, NULL); }

/* -- reciprocal:  y = 1 / x                           dx = -dy y^2 -- */
#define NN__F_reciprocal(x, p0, p1) nn__v_div(nn__v_set1(1), x)
static void nn__grad_reciprocal(nn_node *n, nn_tensor **dy, nn_tensor **dx) { dx[0] = nn_neg(nn_mul(dy[0], nn_square(n->out[0]))); }
NN__UNARY(reciprocal, NN_OP_SAVES_OUT, nn__grad_reciprocal, NULL, nn__sample_positive);
NN_API nn_tensor *nn_reciprocal(nn_tensor *x) { return nn__apply1(&nn__op_reciprocal, x, NULL); }

/* -- rsqrt:  y = 1 / sqrt x                           dx = -dy y^3 / 2 -- */
#define NN__F_rsqrt(x, p0, p1) nn__v_div(nn__v_set1(1), nn__v_sqrt(x))
static void nn__grad_rsqrt(nn_node *n, nn_tensor **dy, nn_tensor **dx) { dx[0] = nn_mul(nn_scale(dy[0], -0.5), nn_mul(n->out[0], nn_square(n->out[0]))); }
NN__UNARY(rsqrt, NN_OP_SAVES_OUT, nn__grad_rsqrt, NULL, nn__sample_positive);
NN_API nn_tensor *nn_rsqrt(nn_tensor *x) { return nn__apply1(&nn__op_rsqrt, x, NULL); }

/* -- expm1:  y = e^x - 1                              dx = dy (y + 1) -- */
#define NN__F_expm1(x, p0, p1) NN__K(expm1)(x)
static void nn__grad_expm1(nn_node *n, nn_tensor **dy, nn_tensor **dx) { dx[0] = nn_mul(dy[0], nn_affine(n->out[0], 1, 1)); }
NN__UNARY(expm1, NN_OP_SAVES_OUT, nn__grad_expm1, NULL, nn__sample_unary);
NN_API nn_tensor *nn_expm1(nn_tensor *x) { return nn__apply1(&nn__op_expm1, x, NULL); }

/* -- log1p:  y = ln(1 + x)                            dx = dy / (1 + x) -- */
#define NN__F_log1p(x, p0, p1) NN__K(log1p)(x)
static void nn__grad_log1p(nn_node *n, nn_tensor **dy, nn_tensor **dx) { dx[0] = nn_div(dy[0], nn_affine(n->in[0], 1, 1)); }
NN__UNARY(log1p, NN_OP_SAVES_IN, nn__grad_log1p, NULL, nn__sample_positive);
NN_API nn_tensor *nn_log1p(nn_tensor *x) { return nn__apply1(&nn__op_log1p, x, NULL); }

/* -- log2                                             dx = dy / (x ln 2) -- */
#define NN__F_log2(x, p0, p1) NN__K(each)(log2, x)
static void nn__grad_log2(nn_node *n, nn_tensor **dy, nn_tensor **dx) { dx[0] = nn_div(dy[0], nn_scale(n->in[0], 0.69314718055994531)); }
NN__UNARY(log2, NN_OP_SAVES_IN, nn__grad_log2, NULL, nn__sample_positive);
NN_API nn_tensor *nn_log2(nn_tensor *x) { return nn__apply1(&nn__op_log2, x, NULL); }

/* -- tan                                              dx = dy (1 + y^2) -- */
#define NN__F_tan(x, p0, p1) NN__K(each)(tan, x)
static void nn__grad_tan(nn_node *n, nn_tensor **dy, nn_tensor **dx) { dx[0] = nn_mul(dy[0], nn_affine(nn_square(n->out[0]), 1, 1)); }
static int  nn__sample_unit(nn_ctx *c, nn_dtype real, int k, nn_sample *s) { return nn__sample_range(c, real, k, s, -0.9, 0.95); }
NN__UNARY(tan, NN_OP_SAVES_OUT, nn__grad_tan, NULL, nn__sample_unit);
NN_API nn_tensor *nn_tan(nn_tensor *x) { return nn__apply1(&nn__op_tan, x, NULL); }

/* -- asin, acos                                       dx = +-dy / sqrt(1 - x^2) -- */
#define NN__F_asin(x, p0, p1) NN__K(each)(asin, x)
#define NN__F_acos(x, p0, p1) NN__K(each)(acos, x)
static void nn__grad_asin(nn_node *n, nn_tensor **dy, nn_tensor **dx) { dx[0] = nn_mul(dy[0], nn_rsqrt(nn_affine(nn_square(n->in[0]), -1, 1))); }
static void nn__grad_acos(nn_node *n, nn_tensor **dy, nn_tensor **dx) { nn__grad_asin(n, dy, dx); dx[0] = nn_neg(dx[0]); }
NN__UNARY(asin, NN_OP_SAVES_IN, nn__grad_asin, NULL, nn__sample_unit);
NN__UNARY(acos, NN_OP_SAVES_IN, nn__grad_acos, NULL, nn__sample_unit);
NN_API nn_tensor *nn_asin(nn_tensor *x) { return nn__apply1(&nn__op_asin, x, NULL); }
NN_API nn_tensor *nn_acos(nn_tensor *x) { return nn__apply1(&nn__op_acos, x, NULL); }

/* -- atan                                             dx = dy / (1 + x^2) -- */
#define NN__F_atan(x, p0, p1) NN__K(each)(atan, x)
static void nn__grad_atan(nn_node *n, nn_tensor **dy, nn_tensor **dx) { dx[0] = nn_div(dy[0], nn_affine(nn_square(n->in[0]), 1, 1)); }
NN__UNARY(atan, NN_OP_SAVES_IN, nn__grad_atan, NULL, nn__sample_unary);
NN_API nn_tensor *nn_atan(nn_tensor *x) { return nn__apply1(&nn__op_atan, x, NULL); }

/* -- sinh, cosh: each the other's slope -- */
#define NN__F_sinh(x, p0, p1) NN__K(each)(sinh, x)
#define NN__F_cosh(x, p0, p1) NN__K(each)(cosh, x)
static void nn__grad_sinh(nn_node *n, nn_tensor **dy, nn_tensor **dx) { dx[0] = nn_mul(dy[0], nn_cosh(n->in[0])); }
static void nn__grad_cosh(nn_node *n, nn_tensor **dy, nn_tensor **dx) { dx[0] = nn_mul(dy[0], nn_sinh(n->in[0])); }
NN__UNARY(sinh, NN_OP_SAVES_IN, nn__grad_sinh, NULL, nn__sample_unary);
NN__UNARY(cosh, NN_OP_SAVES_IN, nn__grad_cosh, NULL, nn__sample_unary);
NN_API nn_tensor *nn_sinh(nn_tensor *x) { return nn__apply1(&nn__op_sinh, x, NULL); }
NN_API nn_tensor *nn_cosh(nn_tensor *x) { return nn__apply1(&nn__op_cosh, x, NULL); }

/* -- erfc:  y = 1 - erf x                             dx = -dy 2/sqrt(pi) e^(-x^2) -- */
#define NN__F_erfc(x, p0, p1) NN__K(each)(erfc, x)
static void nn__grad_erfc(nn_node *n, nn_tensor **dy, nn_tensor **dx) { nn__grad_erf(n, dy, dx); dx[0] = nn_neg(dx[0]); }
NN__UNARY(erfc, NN_OP_SAVES_IN, nn__grad_erfc, NULL, nn__sample_unary);
NN_API nn_tensor *nn_erfc(nn_tensor *x) { return nn__apply1(&nn__op_erfc, x, NULL); }

/* An element-wise op with attributes p0, p1 */
#define NN__UNARY_P(name, flags, grad, sample) \
    static const nn_op nn__op_##name = {#name, 1, 1, 2 * sizeof(double), NN__MAP | NN_OP_STRIDED | (flags), nn__shape_unary, nn__run_map, grad, NULL, nn__cost_map, sample, offsetof(nn__kernel_set, name)}
static nn_tensor *nn__apply_p(const nn_op *op, nn_tensor *x, double p0, double p1) {
    double p[2];
    p[0] = p0; p[1] = p1;
    return nn__apply1(op, x, p);
}
static int nn__sample_p(nn_ctx *c, nn_dtype real, int k, nn_sample *s, double p0, double p1) {
    double p[2];
    p[0] = p0; p[1] = p1;
    memcpy(s->room, p, sizeof p);
    s->attr = s->room;
    return nn__sample_unary(c, real, k, s);
}

/* -- clamp:  y = min(max(x, low), high)               dx = dy where y = x -- */
#define NN__F_clamp(x, p0, p1) nn__v_min(p1, nn__v_max(p0, x))
static void nn__grad_clamp(nn_node *n, nn_tensor **dy, nn_tensor **dx) { dx[0] = nn_mul(dy[0], nn_same(n->in[0], n->out[0])); }
static int  nn__sample_clamp(nn_ctx *c, nn_dtype real, int k, nn_sample *s) { return nn__sample_p(c, real, k, s, -0.75, 1.25); }
NN__UNARY_P(clamp, NN_OP_SAVES_IN | NN_OP_SAVES_OUT, nn__grad_clamp, nn__sample_clamp);
NN_API nn_tensor *nn_clamp(nn_tensor *x, double low, double high) {
    if (x && !(low <= high)) return nn__fail(x->ctx, "clamp", NN__M_ORDER, low, high), (nn_tensor *)NULL;
    return nn__apply_p(&nn__op_clamp, x, low, high);
}

/* -- leaky_relu:  y = x, below 0 slope x              dx = dy (x > 0 ? 1 : slope) -- */
#define NN__F_leaky_relu(x, p0, p1) nn__v_select(nn__v_gt(x, nn__v_zero()), x, nn__v_mul(p0, x))
static void nn__grad_leaky_relu(nn_node *n, nn_tensor **dy, nn_tensor **dx) {
    double slope = *(const double *)n->attr;
    dx[0] = nn_mul(dy[0], nn_affine(nn_positive(n->in[0]), 1 - slope, slope));
}
static int nn__sample_leaky_relu(nn_ctx *c, nn_dtype real, int k, nn_sample *s) { return nn__sample_p(c, real, k, s, 0.0625, 0); }
NN__UNARY_P(leaky_relu, NN_OP_SAVES_IN, nn__grad_leaky_relu, nn__sample_leaky_relu);
NN_API nn_tensor *nn_leaky_relu(nn_tensor *x, double slope) { return nn__apply_p(&nn__op_leaky_relu, x, slope, 0); }

/* -- elu:  y = x, below 0 alpha (e^(b x) - 1)         dx = dy (x > 0 ? 1 : alpha b e^(b x)) -- */
#define NN__F_elu(x, p0, p1) nn__v_select(nn__v_gt(x, nn__v_zero()), x, nn__v_mul(p0, NN__K(expm1)(nn__v_mul(p1, x))))
static void nn__grad_elu(nn_node *n, nn_tensor **dy, nn_tensor **dx) { /* above, min(x, 0) is 0, and 1 - alpha b is missing to a slope of 1 */
    const double *p = (const double *)n->attr;
    nn_tensor    *below = nn_scale(nn_exp(nn_scale(nn_minimum(n->in[0], nn_scalar_like(n->in[0], 0)), p[1])), p[0] * p[1]);
    dx[0] = nn_mul(dy[0], p[0] * p[1] == 1 ? below : nn_add(below, nn_scale(nn_positive(n->in[0]), 1 - p[0] * p[1])));
}
static int nn__sample_elu(nn_ctx *c, nn_dtype real, int k, nn_sample *s) { return nn__sample_p(c, real, k, s, k & 1 ? 1 : 1.5, k & 1 ? 1 : 0.75); }
NN__UNARY_P(elu, NN_OP_SAVES_IN, nn__grad_elu, nn__sample_elu);
NN_API nn_tensor *nn_elu(nn_tensor *x, double alpha) { return nn__apply_p(&nn__op_elu, x, alpha, 1); }
NN_API nn_tensor *nn_celu(nn_tensor *x, double alpha) {
    if (x && alpha == 0) return nn__fail(x->ctx, "celu", NN__M_OPTION, "alpha", alpha), (nn_tensor *)NULL;
    return nn__apply_p(&nn__op_elu, x, alpha, 1 / alpha);
}
#define NN__SELU_SCALE 1.0507009873554804934193349852946
#define NN__SELU_ALPHA 1.6732632423543772848170429916717
NN_API nn_tensor *nn_selu(nn_tensor *x) { return nn_scale(nn_elu(x, NN__SELU_ALPHA), NN__SELU_SCALE); }

/* -- silu:  y = x s, s = sigmoid(x)                   dx = dy (s + x s (1-s)) -- */
#define NN__F_silu(x, p0, p1) nn__v_mul(x, NN__K(sigmoid)(x))
#define NN__F_silu_back(dy, x, p0, p1) nn__v_mul(dy, NN__K(silu_slope)(x, NN__K(sigmoid)(x)))
static void nn__grad_silu(nn_node *n, nn_tensor **dy, nn_tensor **dx) {
    nn_tensor *s = nn_sigmoid(n->in[0]);
    dx[0] = nn_mul(dy[0], nn_add(s, nn_mul(n->in[0], nn_sub(s, nn_square(s)))));
}
NN__BACK(silu, in)
NN__UNARY(silu, NN_OP_SAVES_IN, nn__grad_silu, nn__grad_fast_silu, nn__sample_unary);
NN_API nn_tensor *nn_silu(nn_tensor *x) { return nn__apply1(&nn__op_silu, x, NULL); }

/* -- softplus:  y = ln(1 + e^x)                       dx = dy sigmoid(x) -- */
#define NN__F_softplus(x, p0, p1) NN__K(softplus)(x)
static void nn__grad_softplus(nn_node *n, nn_tensor **dy, nn_tensor **dx) { dx[0] = nn_mul(dy[0], nn_sigmoid(n->in[0])); }
NN__UNARY(softplus, NN_OP_SAVES_IN, nn__grad_softplus, NULL, nn__sample_unary);
NN_API nn_tensor *nn_softplus(nn_tensor *x) { return nn__apply1(&nn__op_softplus, x, NULL); }

/* -- log_sigmoid:  y = -softplus(-x)                  dx = dy sigmoid(-x) -- */
#define NN__F_log_sigmoid(x, p0, p1) nn__v_neg(NN__K(softplus)(nn__v_neg(x)))
static void nn__grad_log_sigmoid(nn_node *n, nn_tensor **dy, nn_tensor **dx) { dx[0] = nn_mul(dy[0], nn_sigmoid(nn_neg(n->in[0]))); }
NN__UNARY(log_sigmoid, NN_OP_SAVES_IN, nn__grad_log_sigmoid, NULL, nn__sample_unary);
NN_API nn_tensor *nn_log_sigmoid(nn_tensor *x) { return nn__apply1(&nn__op_log_sigmoid, x, NULL); }

/* -- mish:  y = x t, t = tanh(softplus(x))            dx = dy (t + x (1-t^2) sigmoid(x)) -- */
#define NN__F_mish(x, p0, p1) nn__v_mul(x, NN__K(tanh)(NN__K(softplus)(x)))
#define NN__F_mish_back(dy, x, p0, p1) nn__v_mul(dy, NN__K(mish_slope)(x, NN__K(tanh)(NN__K(softplus)(x))))
static void nn__grad_mish(nn_node *n, nn_tensor **dy, nn_tensor **dx) {
    nn_tensor *x = n->in[0], *t = nn_tanh(nn_softplus(x));
    dx[0] = nn_mul(dy[0], nn_add(t, nn_mul(nn_mul(x, nn_sigmoid(x)), nn_affine(nn_square(t), -1, 1))));
}
NN__BACK(mish, in)
NN__UNARY(mish, NN_OP_SAVES_IN, nn__grad_mish, nn__grad_fast_mish, nn__sample_unary);
NN_API nn_tensor *nn_mish(nn_tensor *x) { return nn__apply1(&nn__op_mish, x, NULL); }

/* -- softsign:  y = x / (1 + |x|)                     dx = dy / (1 + |x|)^2 -- */
#define NN__F_softsign(x, p0, p1) nn__v_div(x, nn__v_add(nn__v_set1(1), nn__v_abs(x)))
static void nn__grad_softsign(nn_node *n, nn_tensor **dy, nn_tensor **dx) { dx[0] = nn_div(dy[0], nn_square(nn_affine(nn_abs(n->in[0]), 1, 1))); }
NN__UNARY(softsign, NN_OP_SAVES_IN, nn__grad_softsign, NULL, nn__sample_unary);
NN_API nn_tensor *nn_softsign(nn_tensor *x) { return nn__apply1(&nn__op_softsign, x, NULL); }

/* -- maximum, minimum                                 dx = dz where x wins, half where x = y -- */
#define NN__F_maximum(x, y, p0, p1) nn__v_select(nn__v_isnan(x), x, nn__v_max(x, y))
#define NN__F_minimum(x, y, p0, p1) nn__v_select(nn__v_isnan(x), x, nn__v_min(x, y))
static void nn__grad_wins(nn_node *n, nn_tensor **dy, nn_tensor **dx, nn_tensor *won) {
    nn_tensor *share = nn_add(nn_positive(won), nn_scale(nn_same(n->in[0], n->in[1]), 0.5));
    if (nn_wants(n, 0)) dx[0] = nn_mul(dy[0], share);
    if (nn_wants(n, 1)) dx[1] = nn_mul(dy[0], nn_affine(share, -1, 1));
}
static void nn__grad_maximum(nn_node *n, nn_tensor **dy, nn_tensor **dx) { nn__grad_wins(n, dy, dx, nn_sub(n->in[0], n->in[1])); }
static void nn__grad_minimum(nn_node *n, nn_tensor **dy, nn_tensor **dx) { nn__grad_wins(n, dy, dx, nn_sub(n->in[1], n->in[0])); }
NN__BINARY(maximum, NN_OP_SAVES_IN, nn__grad_maximum, nn__sample_binary);
NN__BINARY(minimum, NN_OP_SAVES_IN, nn__grad_minimum, nn__sample_binary);
NN_API nn_tensor *nn_maximum(nn_tensor *x, nn_tensor *y) { return nn__apply2(&nn__op_maximum, x, y, NULL); }
NN_API nn_tensor *nn_minimum(nn_tensor *x, nn_tensor *y) { return nn__apply2(&nn__op_minimum, x, y, NULL); }

/* -- pow:  z = x^y                                    dx = dz y x^(y-1), dy = dz z ln x (of x = 0: ln 1) -- */
#define NN__F_pow(x, y, p0, p1) NN__K(each2)(pow, x, y)
static void nn__grad_pow(nn_node *n, nn_tensor **dy, nn_tensor **dx) {
    nn_tensor *x = n->in[0], *y = n->in[1];
    nn_tensor *less = nn_add(nn_affine(y, 1, -1), nn_same(y, nn_scalar_like(y, 0))); /* where y is 0, 0 and not -1: 0 times infinity is no slope */
    if (nn_wants(n, 0)) dx[0] = nn_mul(dy[0], nn_mul(y, nn_pow(x, less)));
    if (nn_wants(n, 1)) dx[1] = nn_mul(dy[0], nn_mul(n->out[0], nn_log(nn_add(x, nn_same(x, nn_scalar_like(x, 0))))));
}
static int nn__sample_pow(nn_ctx *c, nn_dtype real, int k, nn_sample *s) {
    nn_shape y;
    if (!nn__sample_binary(c, real, k, s)) return 0;
    y = nn_shape_of(s->in[1]);
    s->in[0] = nn__sample_values(c, real, nn_shape_of(s->in[0]), k, 0.3, 2.2); /* real powers want a positive base */
    s->in[1] = nn__sample_values(c, real, y, k + 3, -1.5, 2.9);
    return 1;
}
NN__BINARY(pow, NN_OP_SAVES_IN | NN_OP_SAVES_OUT, nn__grad_pow, nn__sample_pow);
NN_API nn_tensor *nn_pow(nn_tensor *x, nn_tensor *y) { return nn__apply2(&nn__op_pow, x, y, NULL); }
NN_API nn_tensor *nn_pow_scalar(nn_tensor *x, double p) {
    return p == 0.5 ? nn_sqrt(x) : p == 1 ? nn_scale(x, 1) : p == 2 ? nn_square(x) : p == -1 ? nn_reciprocal(x) : nn_pow(x, nn_scalar_like(x, p));
}

/* -- fmod:  z = x - y trunc(x / y)                    dx = dz, dy = -dz trunc(x / y) -- */
#define NN__F_fmod(x, y, p0, p1) NN__K(each2)(fmod, x, y)
static void nn__grad_fmod(nn_node *n, nn_tensor **dy, nn_tensor **dx) {
    dx[0] = dy[0];
    if (nn_wants(n, 1)) dx[1] = nn_neg(nn_mul(dy[0], nn_trunc(nn_div(n->in[0], n->in[1]))));
}
NN__BINARY(fmod, NN_OP_SAVES_IN, nn__grad_fmod, nn__sample_binary);
NN_API nn_tensor *nn_fmod(nn_tensor *x, nn_tensor *y) { return nn__apply2(&nn__op_fmod, x, y, NULL); }

/* -- atan2:  the angle of (x, y)                      dy = dz x / (x^2 + y^2), dx = -dz y / (x^2 + y^2) -- */
#define NN__F_atan2(y, x, p0, p1) NN__K(each2)(atan2, y, x)
static void nn__grad_atan2(nn_node *n, nn_tensor **dy, nn_tensor **dx) {
    nn_tensor *h = nn_hypot(n->in[0], n->in[1]), *g;
    h = nn_add(h, nn_same(h, nn_scalar_like(h, 0))); /* at (0, 0) the gradient is 0 */
    g = nn_div(dy[0], h);
    if (nn_wants(n, 0)) dx[0] = nn_mul(g, nn_div(n->in[1], h));
    if (nn_wants(n, 1)) dx[1] = nn_neg(nn_mul(g, nn_div(n->in[0], h)));
}
NN__BINARY(atan2, NN_OP_SAVES_IN, nn__grad_atan2, nn__sample_binary);
NN_API nn_tensor *nn_atan2(nn_tensor *y, nn_tensor *x) { return nn__apply2(&nn__op_atan2, y, x, NULL); }

/* -- hypot:  z = sqrt(x^2 + y^2)                      dx = dz x / z, dy = dz y / z -- */
#define NN__F_hypot(x, y, p0, p1) NN__K(each2)(hypot, x, y)
static void nn__grad_hypot(nn_node *n, nn_tensor **dy, nn_tensor **dx) {
    nn_tensor *g = nn_div(dy[0], nn_add(n->out[0], nn_same(n->out[0], nn_scalar_like(n->out[0], 0)))); /* at (0, 0): 0 */
    if (nn_wants(n, 0)) dx[0] = nn_mul(g, n->in[0]);
    if (nn_wants(n, 1)) dx[1] = nn_mul(g, n->in[1]);
}
NN__BINARY(hypot, NN_OP_SAVES_IN | NN_OP_SAVES_OUT, nn__grad_hypot, nn__sample_binary);
NN_API nn_tensor *nn_hypot(nn_tensor *x, nn_tensor *y) { return nn__apply2(&nn__op_hypot, x, y, NULL); }

/* Made of those */
NN_API nn_tensor *nn_add_scalar(nn_tensor *x, double a) { return nn_affine(x, 1, a); }
NN_API nn_tensor *nn_lerp(nn_tensor *x, nn_tensor *y, nn_tensor *weight) { return nn_add(x, nn_mul(weight, nn_sub(y, x))); }
static int nn__is_half(const nn_tensor *x);
NN_API nn_tensor *nn_log_guarded(nn_tensor *x, double eps) {
    if (nn__is_half(x)) return nn_cast(nn_log_guarded(nn_cast(x, NN_F32), eps), x->dtype); /* where eps may be 0 */
    return nn_log(nn_clamp(x, eps == 0 ? 1e-8 : eps, INFINITY));
}
NN_API nn_tensor *nn_logit(nn_tensor *x, double eps) {
    nn_tensor *p = eps == 0 ? x : nn_clamp(x, eps, 1 - eps);
    return nn_sub(nn_log(p), nn_log1p(nn_neg(p)));
}
NN_API nn_tensor *nn_hard_sigmoid(nn_tensor *x) { return nn_clamp(nn_affine(x, 1.0 / 6, 0.5), 0, 1); }
NN_API nn_tensor *nn_hard_swish(nn_tensor *x) { return nn_mul(x, nn_hard_sigmoid(x)); }
NN_API nn_tensor *nn_hard_tanh(nn_tensor *x) { return nn_clamp(x, -1, 1); }
NN_API nn_tensor *nn_relu6(nn_tensor *x) { return nn_clamp(x, 0, 6); }
NN_API nn_tensor *nn_glu(nn_tensor *x, int axis, nn_act act) {
    nn__text   t;
    nn_tensor *half[2];
    int64_t    size = nn_dim(x, axis);
    if (size < 0) return NULL;
    if (size % 2) return nn__fail(x->ctx, "glu", NN__M_RESHAPE, nn__shape_text(&t, x->ndim, x->size), (long long)nn_numel(x), "two halves"), (nn_tensor *)NULL;
    for (int i = 0; i < 2; i++) half[i] = nn_slice(x, axis, i * (size / 2), (i + 1) * (size / 2), 1);
    return nn_mul(half[0], nn_activate(half[1], act));
}

/* -- compare, of any type: which of less 1, equal 2, greater 4 and unordered 8 (a NaN) make it true -- */
enum { NN__LESS = 1, NN__EQUAL = 2, NN__GREATER = 4, NN__UNORDERED = 8 };
static int nn__shape_mask_of(nn_node *n, nn_spec *out) {
    nn_spec_like(out, n->in[0]);
    out->dtype = NN_U8;
    return 1;
}
static void nn__compare_part(void *arg, int64_t begin, int64_t end, int worker) {
    nn_node    *n = (nn_node *)arg;
    const int   which = *(const int *)n->attr;
    const void *x = nn__data(n->in[0]), *y = nn__data(n->in[1]);
    uint8_t    *z = (uint8_t *)nn__data(n->out[0]);
    (void)worker;
#define NN__COMPARE(T)                                                                                                        \
    for (int64_t i = begin; i < end; i++) {                                                                                   \
        T a = ((const T *)x)[i], b = ((const T *)y)[i];                                                                       \
        z[i] = (which & (a < b ? NN__LESS : a > b ? NN__GREATER : a == b ? NN__EQUAL : NN__UNORDERED)) != 0;                  \
    }                                                                                                                         \
    break
    switch (n->in[0]->dtype) {
    case NN_F32: NN__COMPARE(float);
    case NN_F64: NN__COMPARE(double);
    case NN_I8: NN__COMPARE(int8_t);
    case NN_U8: NN__COMPARE(uint8_t);
    case NN_I32: NN__COMPARE(int32_t);
    case NN_I64: NN__COMPARE(int64_t);
    default: break; /* half precision came widened */
    }
#undef NN__COMPARE
}
static void nn__run_compare(nn_node *n) { nn__parallel(n->ctx, nn_numel(n->out[0]), 0.5, nn__compare_part, n); }
static int  nn__sample_compare(nn_ctx *c, nn_dtype real, int k, nn_sample *s) {
    static const int which[6] = {NN__LESS, NN__EQUAL, NN__GREATER | NN__EQUAL, NN__LESS, NN__GREATER, NN__LESS | NN__GREATER | NN__UNORDERED};
    nn_tensor       *y = NULL;
    if (!nn__sample_unary(c, real, k, s)) return 0;
    s->n_in = 2;
    y = nn__sample_values(c, real, nn_shape_of(s->in[0]), k + (k != 1), -2.1, 2.3); /* k = 1: equal all over */
    s->in[1] = y;
    s->attr  = &which[k];
    return 1;
}
static const nn_op nn__op_compare = {"compare", 2, 1, sizeof(int), NN_OP_NO_GRAD | NN_OP_FLOAT, nn__shape_mask_of, nn__run_compare, NULL, NULL, nn__cost_map, nn__sample_compare, 0};

/* x and y as views of their common shape */
static int nn__broadcast_both(const char *op, nn_tensor **x, nn_tensor **y) {
    nn_shape s;
    nn_ctx  *c = *x ? (*x)->ctx : *y ? (*y)->ctx : NULL;
    if (!nn__ok(c)) return 0;
    if (!*x || !*y) return nn__fail(c, op, NN__M_OPERAND_NULL, *x ? 2 : 1);
    if (!nn__live((*x)->ctx, *x) || !nn__live((*x)->ctx, *y)) return 1; /* the op will say so */
    if (!nn__broadcast((*x)->ctx, op, *x, (*x)->ndim, *y, (*y)->ndim, &s)) return 0;
    if (!nn__is_shape(*x, &s)) *x = nn_expand(*x, s);
    if (!nn__is_shape(*y, &s)) *y = nn_expand(*y, s);
    return *x && *y;
}
static nn_tensor *nn__compare(const char *name, nn_tensor *x, nn_tensor *y, int which) {
    if (!nn__broadcast_both(name, &x, &y)) return NULL;
    if (x->dtype != y->dtype) return nn__fail(x->ctx, name, NN__M_DTYPES_DIFFER, nn_dtype_name(x->dtype), nn_dtype_name(y->dtype)), (nn_tensor *)NULL;
    return nn__apply2(&nn__op_compare, x, y, &which);
}
NN_API nn_tensor *nn_equal(nn_tensor *x, nn_tensor *y) { return nn__compare("equal", x, y, NN__EQUAL); }
NN_API nn_tensor *nn_not_equal(nn_tensor *x, nn_tensor *y) { return nn__compare("not_equal", x, y, NN__LESS | NN__GREATER | NN__UNORDERED); }
NN_API nn_tensor *nn_less(nn_tensor *x, nn_tensor *y) { return nn__compare("less", x, y, NN__LESS); }
NN_API nn_tensor *nn_less_equal(nn_tensor *x, nn_tensor *y) { return nn__compare("less_equal", x, y, NN__LESS | NN__EQUAL); }
NN_API nn_tensor *nn_greater(nn_tensor *x, nn_tensor *y) { return nn__compare("greater", x, y, NN__GREATER); }
NN_API nn_tensor *nn_greater_equal(nn_tensor *x, nn_tensor *y) { return nn__compare("greater_equal", x, y, NN__GREATER | NN__EQUAL); }
NN_API nn_tensor *nn_is_finite(nn_tensor *x) { return x && !nn__is_real(x->dtype) ? nn_equal(x, x) : nn_less(nn_abs(x), nn_scalar_like(x, INFINITY)); }

/* -- logic, of masks: bit 2 x + y of the attribute is the answer for x and y -- */
static int nn__shape_logic(nn_node *n, nn_spec *out) {
    for (int i = 0; i < 2; i++)
        if (n->in[i]->dtype != NN_U8) return nn__fail(n->ctx, n->op->name, NN__M_DTYPE_IS, nn_dtype_name(n->in[i]->dtype), "u8");
    return nn__shape_mask_of(n, out);
}
static void nn__logic_part(void *arg, int64_t begin, int64_t end, int worker) {
    nn_node       *n = (nn_node *)arg;
    const int      table = *(const int *)n->attr;
    const uint8_t *x = (const uint8_t *)nn__data(n->in[0]), *y = (const uint8_t *)nn__data(n->in[1]);
    uint8_t       *z = (uint8_t *)nn__data(n->out[0]);
    (void)worker;
    for (int64_t i = begin; i < end; i++) z[i] = (uint8_t)(table >> ((x[i] != 0) * 2 + (y[i] != 0)) & 1);
}
static void nn__run_logic(nn_node *n) { nn__parallel(n->ctx, nn_numel(n->out[0]), 0.3, nn__logic_part, n); }
static int  nn__sample_logic(nn_ctx *c, nn_dtype real, int k, nn_sample *s) {
    static const int table[4] = {8, 14, 6, 1};
    (void)real;
    if (k >= 4) return 0;
    s->n_in  = 2;
    s->no_grad = 3;
    s->in[0] = nn__sample_classes(c, NN_U8, nn__sample_shapes[k], 2);
    s->in[1] = nn__sample_classes(c, NN_U8, nn__sample_shapes[k], 3);
    s->attr  = &table[k];
    return 1;
}
static const nn_op nn__op_logic = {"logic", 2, 1, sizeof(int), NN_OP_NO_GRAD, nn__shape_logic, nn__run_logic, NULL, NULL, nn__cost_map, nn__sample_logic, 0};
static nn_tensor *nn__logic(const char *name, nn_tensor *x, nn_tensor *y, int table) { return nn__broadcast_both(name, &x, &y) ? nn__apply2(&nn__op_logic, x, y, &table) : NULL; }
NN_API nn_tensor *nn_and(nn_tensor *x, nn_tensor *y) { return nn__logic("and", x, y, 8); }
NN_API nn_tensor *nn_or(nn_tensor *x, nn_tensor *y) { return nn__logic("or", x, y, 14); }
NN_API nn_tensor *nn_xor(nn_tensor *x, nn_tensor *y) { return nn__logic("xor", x, y, 6); }
NN_API nn_tensor *nn_not(nn_tensor *x) { return nn__logic("not", x, x, 1); }

/* -- where:  z = x where mask, else y                 dx = dz where mask, dy = dz elsewhere -- */
static int nn__shape_where(nn_node *n, nn_spec *out) {
    nn_tensor *m = n->in[0], *x = n->in[1], *y = n->in[2];
    if (m->dtype != NN_U8) return nn__fail(n->ctx, "where", NN__M_DTYPE_IS, nn_dtype_name(m->dtype), "u8");
    if (x->dtype != y->dtype) return nn__fail(n->ctx, "where", NN__M_DTYPES_DIFFER, nn_dtype_name(x->dtype), nn_dtype_name(y->dtype));
    nn_spec_like(out, x);
    return 1;
}
static void nn__where_part(void *arg, int64_t begin, int64_t end, int worker) {
    nn_node       *n = (nn_node *)arg;
    const uint8_t *m = (const uint8_t *)nn__data(n->in[0]);
    const void    *x = nn__data(n->in[1]), *y = nn__data(n->in[2]);
    void          *z = nn__data(n->out[0]);
    (void)worker;
#define NN__WHERE(T) for (int64_t i = begin; i < end; i++) ((T *)z)[i] = m[i] ? ((const T *)x)[i] : ((const T *)y)[i]
    switch (nn__dtypes[n->in[1]->dtype].size) {
    case 1: NN__WHERE(uint8_t); break;
    case 2: NN__WHERE(uint16_t); break;
    case 4: NN__WHERE(uint32_t); break;
    default: NN__WHERE(uint64_t); break;
    }
#undef NN__WHERE
}
static void nn__run_where(nn_node *n) { nn__parallel(n->ctx, nn_numel(n->out[0]), 0.5, nn__where_part, n); }
static nn_tensor *nn__mask_apply(nn_tensor *x, nn_tensor *mask, double scale);
static void nn__grad_where(nn_node *n, nn_tensor **dy, nn_tensor **dx) {
    if (nn_wants(n, 1)) dx[1] = nn__mask_apply(dy[0], n->in[0], 1);
    if (nn_wants(n, 2)) dx[2] = nn__mask_apply(dy[0], nn_not(n->in[0]), 1);
}
static int nn__sample_where(nn_ctx *c, nn_dtype real, int k, nn_sample *s) {
    if (!nn__sample_unary(c, real, k, s)) return 0;
    s->n_in    = 3;
    s->no_grad = 1;
    s->in[1]   = s->in[0];
    s->in[0]   = nn__sample_classes(c, NN_U8, nn_shape_of(s->in[1]), 2 + k % 2);
    s->in[2]   = nn__sample_values(c, real, nn_shape_of(s->in[1]), k + 2, -1, 1);
    return 1;
}
static const nn_op nn__op_where = {"where", 3, 1, 0, 0, nn__shape_where, nn__run_where, nn__grad_where, NULL, nn__cost_map, nn__sample_where, 0};
NN_API nn_tensor *nn_where(nn_tensor *mask, nn_tensor *x, nn_tensor *y) {
    if (x && !nn__ok_arg(x->ctx, "where", mask, "the mask")) return NULL;
    if (!nn__broadcast_both("where", &x, &y) || !nn__broadcast_both("where", &x, &mask) || !nn__broadcast_both("where", &x, &y)) return NULL;
    return nn__apply3(&nn__op_where, mask, x, y, NULL);
}
NN_API nn_tensor *nn_masked_fill(nn_tensor *x, nn_tensor *mask, double value) { return nn_where(mask, nn_scalar_like(x, value), x); }

/* ---- >>ops reduce -----------------------------------------------------------------------------------
   A reduction sees its (contiguous) input as [outer, n, inner], n the axes that go. With inner = 1 it reduces
   rows, else columns. A long n is split into parts by its length alone, the parts reduced in parallel and then
   reduced themselves: that order, and so every bit, is the same for any number of threads. */
typedef struct nn__axes { int32_t n, keep; int32_t axis[NN_MAX_DIMS]; } nn__axes;
typedef struct nn__reduce {
    void  (*row)(const void *x, int64_t n, void *y);
    void  (*columns)(const void *x, int64_t rows, int64_t row, int64_t n, void *y);
    const char *x;
    char  *y;
    size_t e;
    int64_t n, inner, part, parts;
} nn__reduce;

enum { NN__REDUCE_PART = 1 << 15 }; /* elements */

static void nn__reduce_piece(void *arg, int64_t begin, int64_t end, int worker) { /* piece: (outer, part) */
    nn__reduce *r = (nn__reduce *)arg;
    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        int64_t     o = i / r->parts, k = i % r->parts, n = nn__min64(r->part, r->n - k * r->part);
        const char *x = r->x + (o * r->n + k * r->part) * r->inner * (int64_t)r->e;
        char       *y = r->y + i * r->inner * (int64_t)r->e;
        if (r->inner == 1) r->row(x, n, y);
        else r->columns(x, n, r->inner, r->inner, y);
    }
}

static void nn__reduce_columns_piece(void *arg, int64_t begin, int64_t end, int worker) { /* a range of columns of one part */
    nn__reduce *r = (nn__reduce *)arg;
    (void)worker;
    r->columns(r->x + begin * (int64_t)r->e, r->n, r->inner, end - begin, r->y + begin * (int64_t)r->e);
}

static void nn__reduce_run(nn_ctx *c, nn__reduce *r, int64_t outer) {
    nn__reduce second = *r;
    r->part  = nn__max64(64, NN__REDUCE_PART / r->inner);
    r->parts = outer > 1 || r->inner >= 4096 || r->n < 2 * r->part ? 1 : nn__ceil_div(r->n, r->part); /* many columns are work enough */
    if (r->parts == 1) {
        r->part = r->n;
        if (outer == 1 && r->inner > 1) { /* few rows, many columns */
            nn__parallel(c, r->inner, 0.3 * (double)r->n, nn__reduce_columns_piece, r);
            return;
        }
    } else {
        r->y = (char *)nn__arena(c, (size_t)(r->parts * r->inner) * r->e);
        if (!r->y) return;
    }
    nn__parallel(c, outer * r->parts, 0.3 * (double)r->part * (double)r->inner, nn__reduce_piece, r);
    if (r->parts == 1) return;
    second.x = r->y;
    second.n = r->parts;
    nn__reduce_run(c, &second, 1);
}

/* y[n] = the sum of x's rows [rows,n] */
static void nn__sum_rows(nn_ctx *c, nn_dtype real, const void *x, int64_t rows, int64_t n, void *y) {
    const nn__kernel_set *k = nn__kernels_for(c, real);
    nn__reduce r;
    r.row = k->sum; r.columns = k->sum_columns;
    r.x = (const char *)x; r.y = (char *)y;
    r.e = nn__dtypes[real].size;
    r.n = rows; r.inner = n;
    if (n == 0) return;
    if (rows == 0) memset(y, 0, (size_t)n * r.e);
    else nn__reduce_run(c, &r, 1);
}

static int nn__shape_reduce(nn_node *n, nn_spec *out) {
    const nn__axes *a = (const nn__axes *)n->attr;
    nn_tensor      *x = n->in[0];
    int             gone[NN_MAX_DIMS] = {0, 0, 0, 0, 0, 0};
    out->dtype      = x->dtype;
    out->shape.ndim = 0;
    for (int i = 0; i < a->n; i++) gone[a->axis[i]] = 1;
    for (int i = 0; i < x->ndim; i++) {
        if (!gone[i]) out->shape.dim[out->shape.ndim++] = x->size[i];
        else if (a->keep) out->shape.dim[out->shape.ndim++] = 1;
    }
    return nn__check_real(n, 1);
}

/* Do the axes that go stand side by side (axes of size 1 apart)? Then [outer, n, inner]. */
static int nn__reduce_layout(const nn_tensor *x, const int *gone, int64_t *outer, int64_t *n, int64_t *inner) {
    int phase = 0;
    *outer = *n = *inner = 1;
    for (int i = 0; i < x->ndim; i++) {
        if (x->size[i] == 1) continue;
        if (gone[i]) {
            if (phase == 2) return 0;
            phase = 1;
            *n *= x->size[i];
        } else if (phase == 0) *outer *= x->size[i];
        else { phase = 2; *inner *= x->size[i]; }
    }
    return 1;
}

static void nn__run_reduce(nn_node *node, int is_max) {
    const nn__axes       *a = (const nn__axes *)node->attr;
    const nn__kernel_set *k = nn__kernels_for(node->ctx, node->in[0]->dtype);
    nn_tensor            *x = node->in[0], *y = node->out[0];
    int                   gone[NN_MAX_DIMS] = {0, 0, 0, 0, 0, 0};
    nn__reduce            r;
    int64_t               outer;
    for (int i = 0; i < a->n; i++) gone[a->axis[i]] = 1;
    if (nn_numel(y) == 0) return;
    if (nn_numel(x) == 0) { nn__fill_data(y, 0); return; }
    if (!nn__reduce_layout(x, gone, &outer, &r.n, &r.inner)) { /* bring the axes that go to the end */
        nn_tensor view = *x, *copy;
        int       d = 0;
        for (int pass = 0; pass < 2; pass++)
            for (int i = 0; i < x->ndim; i++)
                if (gone[i] == pass) { view.size[d] = x->size[i]; view.stride[d++] = x->stride[i]; }
        copy = nn__tensor_on(node->ctx, x->dtype, view.ndim, view.size, 0);
        if (!copy) return;
        nn__copy_rows(&view, x->dtype, copy->st->data, 0, nn_numel(x), 0);
        x       = copy;
        outer   = nn_numel(y);
        r.n     = nn_numel(x) / outer;
        r.inner = 1;
    }
    r.row     = is_max ? k->max : k->sum;
    r.columns = is_max ? k->max_columns : k->sum_columns;
    r.x       = (const char *)nn__data(x);
    r.y       = (char *)nn__data(y);
    r.e       = nn__dtypes[x->dtype].size;
    nn__reduce_run(node->ctx, &r, outer);
}

/* Axes as given to attributes: checked, 0 ... ndim-1, NN_ALL spelt out. */
static int nn__axes_of(const char *op, nn_tensor *x, nn_shape axes, int keep, nn__axes *a) {
    if (!nn__ok_tensor(op, x)) return 0;
    memset(a, 0, sizeof *a);
    a->keep = keep != 0;
    if (axes.ndim > NN_MAX_DIMS || axes.ndim < 0) return nn__fail(x->ctx, op, NN__M_RANK_LIMIT, axes.ndim, NN_MAX_DIMS);
    for (int i = 0; i < axes.ndim; i++) {
        int64_t axis = axes.dim[i];
        if (!nn__check_axis(x->ctx, op, &axis, x->ndim)) return 0;
        for (int j = 0; j < a->n; j++)
            if (a->axis[j] == axis) return nn__fail(x->ctx, op, NN__M_AXIS_TWICE, (long long)axes.dim[i]);
        a->axis[a->n++] = (int32_t)axis;
    }
    if (axes.ndim == 0)
        for (; a->n < x->ndim; a->n++) a->axis[a->n] = a->n;
    return 1;
}

/* A reduced tensor, with the lost axes back as size 1 */
static nn_tensor *nn__keepdims(const nn_node *n, nn_tensor *y) {
    const nn__axes *a = (const nn__axes *)n->attr;
    nn_shape        s = nn_shape_of(n->in[0]);
    for (int i = 0; i < a->n; i++) s.dim[a->axis[i]] = 1;
    return a->keep ? y : nn_reshape(y, s);
}

static int nn__sample_reduce(nn_ctx *c, nn_dtype real, int k, nn_sample *s) {
    static const nn_shape shapes[7] = {{2, {3, 5, 0, 0, 0, 0}}, {2, {3, 5, 0, 0, 0, 0}},  {2, {4, 33, 0, 0, 0, 0}}, {3, {2, 3, 4, 0, 0, 0}},
                                       {3, {2, 3, 4, 0, 0, 0}}, {1, {100, 0, 0, 0, 0, 0}}, {0, {0, 0, 0, 0, 0, 0}}};
    static const nn__axes axes[7]   = {{2, 0, {0, 1, 0, 0, 0, 0}}, {1, 0, {0, 0, 0, 0, 0, 0}}, {1, 1, {1, 0, 0, 0, 0, 0}}, {1, 0, {1, 0, 0, 0, 0, 0}},
                                       {2, 1, {0, 2, 0, 0, 0, 0}}, {1, 0, {0, 0, 0, 0, 0, 0}}, {0, 0, {0, 0, 0, 0, 0, 0}}};
    if (k >= 7) return 0;
    s->n_in  = 1;
    s->in[0] = nn__sample_values(c, real, shapes[k], k, -2, 2);
    s->attr  = &axes[k];
    return 1;
}

/* -- sum                                              dx = dy, repeated -- */
static void nn__run_sum(nn_node *n) { nn__run_reduce(n, 0); }
static void nn__grad_sum(nn_node *n, nn_tensor **dy, nn_tensor **dx) { dx[0] = nn_expand(nn__keepdims(n, dy[0]), nn_shape_of(n->in[0])); }
static const nn_op nn__op_sum = {"sum", 1, 1, sizeof(nn__axes), NN_OP_FLOAT, nn__shape_reduce, nn__run_sum, nn__grad_sum, NULL, nn__cost_input, nn__sample_reduce, 0};
NN_API nn_tensor *nn_sum(nn_tensor *x, nn_shape axes, int keepdims) {
    nn__axes a;
    return nn__axes_of("sum", x, axes, keepdims, &a) ? nn__apply1(&nn__op_sum, x, &a) : NULL;
}

/* -- mean: the sum, scaled -- */
NN_API nn_tensor *nn_mean(nn_tensor *x, nn_shape axes, int keepdims) {
    nn__text t;
    nn__axes a;
    int64_t  n = 1;
    if (!nn__axes_of("mean", x, axes, keepdims, &a)) return NULL;
    for (int i = 0; i < a.n; i++) n *= x->size[a.axis[i]];
    if (n == 0) return nn__fail(x->ctx, NULL, NN__M_EMPTY, "mean", nn__shape_text(&t, x->ndim, x->size)), (nn_tensor *)NULL;
    if (x->dtype == NN_F16 || x->dtype == NN_BF16) return nn_cast(nn_mean(nn_cast(x, NN_F32), axes, keepdims), x->dtype); /* the sum may not fit */
    return nn_scale(nn__apply1(&nn__op_sum, x, &a), 1.0 / (double)n);
}

/* -- max                                              dx = dy, in equal shares to all x equal to the maximum -- */
static int nn__shape_max(nn_node *n, nn_spec *out) {
    nn__text        t;
    const nn__axes *a = (const nn__axes *)n->attr;
    for (int i = 0; i < a->n; i++)
        if (n->in[0]->size[a->axis[i]] == 0) return nn__fail(n->ctx, NULL, NN__M_EMPTY, "max", nn__shape_text(&t, n->in[0]->ndim, n->in[0]->size));
    return nn__shape_reduce(n, out);
}
static void nn__run_max(nn_node *n) { nn__run_reduce(n, 1); }
static void nn__grad_max(nn_node *n, nn_tensor **dy, nn_tensor **dx) {
    nn_shape        axes = NN_ALL;
    const nn__axes *a    = (const nn__axes *)n->attr;
    nn_tensor      *hit  = nn_same(n->in[0], nn__keepdims(n, n->out[0]));
    for (int i = 0; i < a->n; i++) axes.dim[axes.ndim++] = a->axis[i];
    dx[0] = nn_mul(hit, nn_div(nn__keepdims(n, dy[0]), axes.ndim ? nn_sum(hit, axes, 1) : hit));
}
static const nn_op nn__op_max = {"max", 1, 1, sizeof(nn__axes), NN_OP_FLOAT | NN_OP_SAVES_IN | NN_OP_SAVES_OUT, nn__shape_max, nn__run_max, nn__grad_max, NULL,
                                 nn__cost_input, nn__sample_reduce, 0};
NN_API nn_tensor *nn_max(nn_tensor *x, nn_shape axes, int keepdims) {
    nn__axes a;
    return nn__axes_of("max", x, axes, keepdims, &a) ? nn__apply1(&nn__op_max, x, &a) : NULL;
}

/* What is made of several ops computes in f32 where x is f16 or bf16: its steps must not round, or overflow, on the way */
static int nn__is_half(const nn_tensor *x) { return x && (x->dtype == NN_F16 || x->dtype == NN_BF16); }

/* Below reductions are made of other ops, or of an op over the last axis: the axes that go are brought there, as one. */
static nn_tensor *nn__axes_last(nn_tensor *x, const nn__axes *a) { /* [kept..., n] */
    nn_shape order = nn__shape_none(), s = nn__shape_none();
    int      gone[NN_MAX_DIMS] = {0, 0, 0, 0, 0, 0};
    int64_t  n = 1;
    for (int i = 0; i < a->n; i++) { gone[a->axis[i]] = 1; n *= x->size[a->axis[i]]; }
    for (int pass = 0; pass < 2; pass++)
        for (int i = 0; i < x->ndim; i++)
            if (gone[i] == pass) order.dim[order.ndim++] = i;
    for (int i = 0; i < x->ndim; i++)
        if (!gone[i]) s.dim[s.ndim++] = x->size[i];
    if (s.ndim == NN_MAX_DIMS) return nn__fail(x->ctx, NULL, NN__M_RANK_LIMIT, s.ndim + 1, NN_MAX_DIMS), (nn_tensor *)NULL;
    s.dim[s.ndim++] = n;
    return nn_reshape(nn_permute(x, order), s);
}
static nn_tensor *nn__axes_kept(nn_tensor *y, const nn_tensor *x, const nn__axes *a) { /* y [kept...] with the axes that went as 1, if they are kept */
    nn_shape s = nn_shape_of(x);
    for (int i = 0; i < a->n; i++) s.dim[a->axis[i]] = 1;
    return a->keep ? nn_reshape(y, s) : y;
}

NN_API nn_tensor *nn_min(nn_tensor *x, nn_shape axes, int keepdims) { return nn_neg(nn_max(nn_neg(x), axes, keepdims)); }

NN_API nn_tensor *nn_var(nn_tensor *x, nn_shape axes, int keepdims, double correction) {
    nn_tensor *sum = nn__is_half(x) ? NULL : nn_sum(nn_square(nn_sub(x, nn_mean(x, axes, 1))), axes, keepdims);
    double     n = sum && nn_numel(sum) ? (double)nn_numel(x) / (double)nn_numel(sum) : 1;
    if (nn__is_half(x)) return nn_cast(nn_var(nn_cast(x, NN_F32), axes, keepdims, correction), x->dtype);
    if (sum && !(n > correction)) return nn__fail(x->ctx, "var", NN__M_OPTION, "correction", correction), (nn_tensor *)NULL;
    return nn_scale(sum, 1 / (n - correction));
}
/* A root whose slope at 0 is 0 instead of infinite: of 0 it is (0 + 1)^p - 1 with a constant 1 */
static nn_tensor *nn__root(nn_tensor *s, double p) {
    nn_tensor *zero = nn_same(s, nn_scalar_like(s, 0));
    return nn_sub(nn_pow_scalar(nn_add(s, zero), p), zero);
}
NN_API nn_tensor *nn_std(nn_tensor *x, nn_shape axes, int keepdims, double correction) {
    return nn__is_half(x) ? nn_cast(nn_std(nn_cast(x, NN_F32), axes, keepdims, correction), x->dtype) : nn__root(nn_var(x, axes, keepdims, correction), 0.5);
}
NN_API nn_tensor *nn_norm(nn_tensor *x, nn_shape axes, int keepdims, double p) {
    if (!x) return NULL;
    if (nn__is_half(x)) return nn_cast(nn_norm(nn_cast(x, NN_F32), axes, keepdims, p), x->dtype);
    if (p != p) return nn__fail(x->ctx, "norm", NN__M_OPTION, "p", p), (nn_tensor *)NULL;
    if (p == 0) return nn_sum(nn_affine(nn_same(x, nn_scalar_like(x, 0)), -1, 1), axes, keepdims);
    if (p == 1) return nn_sum(nn_abs(x), axes, keepdims);
    if (p == 2) return nn__root(nn_sum(nn_square(x), axes, keepdims), 0.5);
    if (p == INFINITY) return nn_max(nn_abs(x), axes, keepdims);
    if (p == -INFINITY) return nn_min(nn_abs(x), axes, keepdims);
    return nn__root(nn_sum(nn_pow_scalar(nn_abs(x), p), axes, keepdims), 1 / p);
}

NN_API nn_tensor *nn_logsumexp(nn_tensor *x, nn_shape axes, int keepdims) {
    nn__axes   a;
    double     most = x && x->dtype == NN_F64 ? DBL_MAX : FLT_MAX; /* infinities would be subtracted from each other */
    nn_shape   s = nn__shape_none();
    nn_tensor *m, *y;
    if (nn__is_half(x)) return nn_cast(nn_logsumexp(nn_cast(x, NN_F32), axes, keepdims), x->dtype);
    m = nn_clamp(nn_max(nn_detach(x), axes, 1), -most, most);
    y = nn_add(nn_log(nn_sum(nn_exp(nn_sub(x, m)), axes, 1)), m);
    if (!y || keepdims || !nn__axes_of("logsumexp", x, axes, 0, &a)) return y;
    for (int i = 0; i < x->ndim; i++) {
        int gone = 0;
        for (int k = 0; k < a.n; k++) gone |= a.axis[k] == i;
        if (!gone) s.dim[s.ndim++] = x->size[i];
    }
    return nn_reshape(y, s);
}

/* -- recur:  y[i] = a[i] y[i-1] + b[i] over the last axis; without a: the running sum.
      db = g with g[i] = dy[i] + a[i+1] g[i+1], which is recur backwards; da[i] = g[i] y[i-1]. Sums in f64. -- */
static int nn__shape_recur(nn_node *n, nn_spec *out) {
    nn__text t, u;
    nn_spec_like(out, n->in[0]);
    if (n->n_in > 2) return nn__fail(n->ctx, "recur", NN__M_OP_OUTPUT, "wrong number of inputs");
    if (n->n_in == 2 && !nn__same_shape(n->in[0], n->in[1]))
        return nn__fail(n->ctx, "recur", NN__M_SHAPES_DIFFER, "b", nn__shape_text(&t, n->in[0]->ndim, n->in[0]->size), "a", nn__shape_text(&u, n->in[1]->ndim, n->in[1]->size));
    return nn__check_real(n, n->n_in);
}
static void nn__recur_rows(void *arg, int64_t begin, int64_t end, int worker) {
    nn_node    *n = (nn_node *)arg;
    nn_dtype    d = n->out[0]->dtype;
    const void *b = nn__data(n->in[0]), *a = n->n_in == 2 ? nn__data(n->in[1]) : NULL;
    int64_t     row = n->in[0]->ndim ? n->in[0]->size[n->in[0]->ndim - 1] : 1;
    (void)worker;
    for (int64_t r = begin; r < end; r++) {
        double y = 0;
        for (int64_t i = r * row; i < (r + 1) * row; i++) {
            y = (a && i > r * row ? nn__load(d, a, i) : 1) * y + nn__load(d, b, i);
            nn__store(d, nn__data(n->out[0]), i, y);
            if (a) y = nn__load(d, nn__data(n->out[0]), i); /* as the gradient will see it */
        }
    }
}
static void nn__run_recur(nn_node *n) {
    int64_t row = n->in[0]->ndim ? n->in[0]->size[n->in[0]->ndim - 1] : 1;
    if (row) nn__parallel(n->ctx, nn_numel(n->in[0]) / row, 3.0 * (double)row, nn__recur_rows, n);
}
static nn_tensor *nn__recur_last(nn_tensor *b, nn_tensor *a);
static void nn__grad_recur(nn_node *n, nn_tensor **dy, nn_tensor **dx) {
    nn_tensor *a = n->n_in == 2 ? n->in[1] : NULL, *g;
    if (n->in[0]->ndim == 0) { dx[0] = dy[0]; if (a && nn_wants(n, 1)) dx[1] = nn_scale(dy[0], 0); return; }
    g = nn_flip(nn__recur_last(nn_flip(dy[0], NN_AXES(-1)), a ? nn_roll(nn_flip(a, NN_AXES(-1)), -1, 1) : NULL), NN_AXES(-1));
    dx[0] = g;
    if (a && nn_wants(n, 1)) dx[1] = nn_mul(g, nn_pad(nn_slice(n->out[0], -1, 0, -1, 1), -1, nn_dim(a, -1) > 0, 0, 0));
}
static int nn__sample_recur(nn_ctx *c, nn_dtype real, int k, nn_sample *s) {
    if (k >= 10 || !nn__sample_unary(c, real, k % 6, s)) return 0;
    if (k < 4) return 1;
    s->in[1] = nn__sample_values(c, real, nn_shape_of(s->in[0]), k + 1, -0.9, 1.1);
    s->n_in  = 2;
    return 1;
}
static const nn_op nn__op_recur = {"recur", -1, 1, 0, NN_OP_FLOAT | NN_OP_SAVES_IN | NN_OP_SAVES_OUT, nn__shape_recur, nn__run_recur, nn__grad_recur, NULL, nn__cost_map, nn__sample_recur, 0};
static nn_tensor *nn__recur_last(nn_tensor *b, nn_tensor *a) {
    nn_tensor *in[2];
    in[0] = b; in[1] = a;
    return nn__apply_own(&nn__op_recur, in, a ? 2 : 1, NULL);
}
NN_API nn_tensor *nn_recur(nn_tensor *a, nn_tensor *b, int axis) {
    int64_t at = axis;
    if (!nn__broadcast_both("recur", &a, &b)) return NULL;
    if (a->ndim == 0) return nn__recur_last(b, a);
    if (!nn__check_axis(a->ctx, "recur", &at, a->ndim)) return NULL;
    return nn_transpose(nn__recur_last(nn_transpose(b, (int)at, -1), nn_transpose(a, (int)at, -1)), (int)at, -1);
}
NN_API nn_tensor *nn_cumsum(nn_tensor *x, int axis) {
    int64_t at = axis;
    if (!nn__ok_tensor("cumsum", x)) return NULL;
    if (x->ndim == 0) return nn__recur_last(x, NULL);
    if (!nn__check_axis(x->ctx, "cumsum", &at, x->ndim)) return NULL;
    return nn_transpose(nn__recur_last(nn_transpose(x, (int)at, -1), NULL), (int)at, -1);
}
NN_API nn_tensor *nn_cumprod(nn_tensor *x, int axis) { /* a = x, b = the first x, then zeros */
    int64_t at = axis, n;
    if (!nn__ok_tensor("cumprod", x)) return NULL;
    if (x->ndim == 0) return nn_scale(x, 1);
    if (!nn__check_axis(x->ctx, "cumprod", &at, x->ndim)) return NULL;
    n = x->size[at];
    return nn_recur(x, n ? nn_pad(nn_slice(x, (int)at, 0, 1, 1), (int)at, 0, n - 1, 0) : x, (int)at);
}
NN_API nn_tensor *nn_prod(nn_tensor *x, nn_shape axes, int keepdims) { /* the last of the running products */
    nn__axes   a;
    nn_tensor *row, *y;
    if (nn__is_half(x)) return nn_cast(nn_prod(nn_cast(x, NN_F32), axes, keepdims), x->dtype);
    if (!nn__axes_of("prod", x, axes, keepdims, &a) || !(row = nn__axes_last(x, &a))) return NULL;
    y = nn_dim(row, -1) ? nn_select(nn_cumprod(row, -1), -1, -1) : nn_affine(nn_sum(row, NN_AXES(-1), 0), 0, 1);
    return nn__axes_kept(y, x, &a);
}

/* -- count_nonzero over the last axis -- */
static int nn__shape_last(nn_node *n, nn_spec *out) {
    nn_spec_like(out, n->in[0]);
    if (n->in[0]->ndim < 1) return nn__fail(n->ctx, n->op->name, NN__M_RANK, "x", "[]", "at least 1");
    out->dtype = NN_I64;
    out->shape.ndim--;
    return 1;
}
static void nn__run_count_nonzero(nn_node *n) {
    nn_tensor *x = n->in[0];
    int64_t   *y = (int64_t *)nn__data(n->out[0]), row = x->size[x->ndim - 1];
    for (int64_t r = 0; r < nn_numel(n->out[0]); r++) {
        y[r] = 0;
        for (int64_t i = r * row; i < (r + 1) * row; i++) y[r] += x->dtype == NN_U8 ? ((const uint8_t *)nn__data(x))[i] != 0 : nn__load(x->dtype, nn__data(x), i) != 0;
    }
}
static int nn__sample_last(nn_ctx *c, nn_dtype real, int k, nn_sample *s) {
    if (k >= 4) return 0;
    s->n_in  = 1;
    s->in[0] = nn_round(nn__sample_values(c, real, nn__sample_shapes[k < 2 ? k : k + 2], k, -2.1, 2.3));
    return 1;
}
static const nn_op nn__op_count_nonzero = {"count_nonzero", 1, 1, 0, NN_OP_NO_GRAD, nn__shape_last, nn__run_count_nonzero, NULL, NULL, nn__cost_input, nn__sample_last, 0};
NN_API nn_tensor *nn_count_nonzero(nn_tensor *x, nn_shape axes, int keepdims) {
    nn__axes a;
    return nn__axes_of("count_nonzero", x, axes, keepdims, &a) ? nn__axes_kept(nn__apply1(&nn__op_count_nonzero, nn__axes_last(x, &a), NULL), x, &a) : NULL;
}
NN_API nn_tensor *nn_any(nn_tensor *x, nn_shape axes, int keepdims) {
    nn_tensor *n = nn_count_nonzero(x, axes, keepdims);
    return nn_greater(n, nn_scalar_like(n, 0));
}
NN_API nn_tensor *nn_all(nn_tensor *x, nn_shape axes, int keepdims) {
    nn__axes   a;
    nn_tensor *n = nn_count_nonzero(x, axes, keepdims);
    double     all = 1;
    if (!n || !nn__axes_of("all", x, axes, keepdims, &a)) return NULL;
    for (int i = 0; i < a.n; i++) all *= (double)x->size[a.axis[i]];
    return nn_equal(n, nn_scalar_like(n, all));
}

/* -- argmax, argmin (attribute 1) over the last axis -- */
static int nn__shape_argmax(nn_node *n, nn_spec *out) {
    nn__text t;
    if (!nn__shape_last(n, out)) return 0;
    return n->in[0]->size[n->in[0]->ndim - 1] || nn__fail(n->ctx, NULL, NN__M_EMPTY, *(const int *)n->attr ? "argmin" : "argmax", nn__shape_text(&t, n->in[0]->ndim, n->in[0]->size));
}
static void nn__argmax_rows(void *arg, int64_t begin, int64_t end, int worker) {
    nn_node   *n = (nn_node *)arg;
    nn_tensor *x = n->in[0];
    double     sign = *(const int *)n->attr ? -1 : 1;
    int64_t    row = x->size[x->ndim - 1];
    (void)worker;
    for (int64_t r = begin; r < end; r++) {
        int64_t best = 0;
        double  most = sign * nn__load(x->dtype, nn__data(x), r * row);
        if (!nn__is_real(x->dtype)) { /* not by way of doubles, where neighbours far out are equal */
            for (int64_t i = 1; i < row; i++) {
                int64_t v = nn__load_int(x->dtype, nn__data(x), r * row + i), b = nn__load_int(x->dtype, nn__data(x), r * row + best);
                if (sign > 0 ? v > b : v < b) best = i;
            }
        } else for (int64_t i = 1; i < row && most == most; i++) {
            double v = sign * nn__load(x->dtype, nn__data(x), r * row + i);
            if (v > most || v != v) { best = i; most = v; }
        }
        ((int64_t *)nn__data(n->out[0]))[r] = best;
    }
}
static void nn__run_argmax(nn_node *n) { nn__parallel(n->ctx, nn_numel(n->out[0]), 2.0 * (double)nn_dim(n->in[0], -1), nn__argmax_rows, n); }
static int  nn__sample_argmax(nn_ctx *c, nn_dtype real, int k, nn_sample *s) {
    static const int least[2] = {0, 1};
    s->attr = &least[k & 1];
    return k < 3 && nn__sample_last(c, real, k, s);
}
static const nn_op nn__op_argmax = {"argmax", 1, 1, sizeof(int), NN_OP_NO_GRAD, nn__shape_argmax, nn__run_argmax, NULL, NULL, nn__cost_input, nn__sample_argmax, 0};
static nn_tensor *nn__argmax(const char *name, nn_tensor *x, int axis, int keepdims, int least) {
    int64_t    a = axis;
    nn_tensor *y;
    if (!nn__ok_tensor(name, x)) return NULL;
    if (x->ndim == 0) return nn__apply1(&nn__op_argmax, nn_reshape(x, NN_SHAPE(1)), &least);
    if (!nn__check_axis(x->ctx, name, &a, x->ndim)) return NULL;
    y = nn_unsqueeze(nn__apply1(&nn__op_argmax, nn_transpose(x, (int)a, -1), &least), -1);
    return keepdims ? nn_transpose(y, (int)a, -1) : nn_squeeze(nn_transpose(y, (int)a, -1), (int)a);
}
NN_API nn_tensor *nn_argmax(nn_tensor *x, int axis, int keepdims) { return nn__argmax("argmax", x, axis, keepdims, 0); }
NN_API nn_tensor *nn_argmin(nn_tensor *x, int axis, int keepdims) { return nn__argmax("argmin", x, axis, keepdims, 1); }

/* -- sort: the first k of the last axis, and where they came from       dx = scatter_add(dy)
      By merging, so that equal ones keep their order. Keys are integers in the values' order. -- */
typedef struct nn__sort { int64_t k, descending; } nn__sort;
typedef struct nn__key { int64_t key, from; } nn__key;
static int nn__shape_sort(nn_node *n, nn_spec *out) {
    const nn__sort *a = (const nn__sort *)n->attr;
    nn_tensor      *x = n->in[0];
    if (x->ndim < 1) return nn__fail(n->ctx, "sort", NN__M_RANK, "x", "[]", "at least 1");
    if (a->k < 0 || a->k > x->size[x->ndim - 1]) return nn__fail(n->ctx, "sort", NN__M_INDEX, (long long)a->k, x->ndim - 1, (long long)x->size[x->ndim - 1]);
    nn_spec_like(&out[0], x);
    out[0].shape.dim[x->ndim - 1] = a->k;
    out[1]       = out[0];
    out[1].dtype = NN_I64;
    return 1;
}
static int64_t nn__sort_key(nn_dtype dtype, const void *x, int64_t i) {
    double  v;
    int64_t bits;
    if (!nn__is_real(dtype)) return nn__load_int(dtype, x, i);
    v = nn__load(dtype, x, i) + 0.0; /* -0 is 0 */
    if (v != v) return INT64_MAX;
    memcpy(&bits, &v, sizeof bits);
    return bits >= 0 ? bits : INT64_MIN - bits;
}
static nn__key *nn__merge_sort(nn__key *from, nn__key *to, int64_t n) { /* the one of the two that ends up sorted */
    for (int64_t run = 1; run < n; run *= 2) {
        nn__key *t = from;
        for (int64_t i = 0; i < n; i += 2 * run) {
            int64_t a = i, b = nn__min64(i + run, n), middle = b, end = nn__min64(i + 2 * run, n);
            for (int64_t k = i; k < end; k++) to[k] = a < middle && (b >= end || from[a].key <= from[b].key) ? from[a++] : from[b++];
        }
        from = to;
        to   = t;
    }
    return from;
}
typedef struct nn__sort_work { nn_node *n; nn__key *room; } nn__sort_work;
static void nn__sort_rows(void *arg, int64_t begin, int64_t end, int worker) {
    nn__sort_work  *w = (nn__sort_work *)arg;
    const nn__sort *a = (const nn__sort *)w->n->attr;
    nn_tensor      *x = w->n->in[0];
    int64_t         row = x->size[x->ndim - 1];
    size_t          e = nn__dtypes[x->dtype].size;
    nn__key        *room = w->room + (int64_t)worker * 2 * row, *sorted;
    for (int64_t r = begin; r < end; r++) {
        for (int64_t i = 0; i < row; i++) {
            int64_t key = nn__sort_key(x->dtype, nn__data(x), r * row + i);
            room[i].key  = a->descending ? ~key : key;
            room[i].from = i;
        }
        sorted = nn__merge_sort(room, room + row, row);
        for (int64_t i = 0; i < a->k; i++) {
            memcpy((char *)nn__data(w->n->out[0]) + (size_t)(r * a->k + i) * e, (char *)nn__data(x) + (size_t)(r * row + sorted[i].from) * e, e);
            ((int64_t *)nn__data(w->n->out[1]))[r * a->k + i] = sorted[i].from;
        }
    }
}
static void nn__run_sort(nn_node *n) {
    int64_t       row = nn_dim(n->in[0], -1), rows = row ? nn_numel(n->in[0]) / row : 0;
    size_t        bytes = (size_t)nn_threads(n->ctx) * 2 * (size_t)row * sizeof(nn__key);
    nn__sort_work w;
    w.n    = n;
    w.room = rows ? (nn__key *)nn__pool_get(n->ctx, bytes) : NULL;
    if (!w.room) return;
    nn__parallel(n->ctx, rows, 30.0 * (double)row, nn__sort_rows, &w);
    nn__pool_put(n->ctx, w.room, bytes);
}
static void nn__grad_sort(nn_node *n, nn_tensor **dy, nn_tensor **dx) { dx[0] = nn_scatter_add(dy[0], -1, n->out[1], nn_dim(n->in[0], -1)); }
static int  nn__sample_sort(nn_ctx *c, nn_dtype real, int k, nn_sample *s) {
    static const nn_shape shapes[4] = {{2, {3, 5, 0, 0, 0, 0}}, {1, {37, 0, 0, 0, 0, 0}}, {3, {2, 1, 7, 0, 0, 0}}, {2, {3, 0, 0, 0, 0, 0}}};
    static const nn__sort how[4]    = {{5, 0}, {4, 1}, {7, 1}, {0, 0}};
    if (k >= 4) return 0;
    s->n_in  = 1;
    s->in[0] = nn__sample_values(c, real, shapes[k], k, -2.1, 2.3);
    s->attr  = &how[k];
    return 1;
}
static const nn_op nn__op_sort = {"sort", 1, 2, sizeof(nn__sort), NN_OP_SAVES_OUT, nn__shape_sort, nn__run_sort, nn__grad_sort, NULL, nn__cost_input, nn__sample_sort, 0};
static nn_tensor *nn__sorted(const char *name, nn_tensor *x, int axis, int64_t k, int descending, nn_tensor **index) { /* k < 0: all */
    nn__sort   a;
    int64_t    at = axis;
    nn_tensor *out[2], *row;
    if (index) *index = NULL;
    if (!nn__ok_tensor(name, x) || !nn__check_axis(x->ctx, name, &at, x->ndim ? x->ndim : 1)) return NULL;
    a.k          = k < 0 ? (x->ndim ? x->size[at] : 1) : k;
    a.descending = descending != 0;
    row = x->ndim ? nn_transpose(x, (int)at, -1) : nn_reshape(x, NN_SHAPE(1));
    if (!nn_apply(&nn__op_sort, &row, 1, &a, out)) return NULL;
    for (int i = 0; i < 2; i++) out[i] = x->ndim ? nn_transpose(out[i], (int)at, -1) : nn_reshape(out[i], NN_SCALAR);
    if (index) *index = out[1];
    return out[0];
}
NN_API nn_tensor *nn_sort(nn_tensor *x, int axis, int descending, nn_tensor **index) { return nn__sorted("sort", x, axis, -1, descending, index); }
NN_API nn_tensor *nn_topk(nn_tensor *x, int axis, int64_t k, nn_tensor **index) {
    if (x && k < 0) return nn__fail(x->ctx, "topk", NN__M_OPTION, "k", (double)k), (nn_tensor *)NULL;
    return nn__sorted("topk", x, axis, k, 1, index);
}
NN_API nn_tensor *nn_argsort(nn_tensor *x, int axis, int descending) {
    nn_tensor *index = NULL;
    nn_sort(x, axis, descending, &index);
    return index;
}
NN_API nn_tensor *nn_median(nn_tensor *x, int axis, int keepdims) {
    nn__text   t;
    nn_tensor *sorted = nn_sort(x, axis, 0, NULL), *y, *last;
    int64_t    n = nn_dim(x, axis);
    if (!sorted) return NULL;
    if (x->ndim == 0) return sorted;
    if (n == 0) return nn__fail(x->ctx, NULL, NN__M_EMPTY, "median", nn__shape_text(&t, x->ndim, x->size)), (nn_tensor *)NULL;
    y    = nn_slice(sorted, axis, (n - 1) / 2, (n - 1) / 2 + 1, 1);
    last = nn_slice(sorted, axis, n - 1, n, 1);
    if (nn__is_real(x->dtype)) y = nn_where(nn_equal(last, last), y, last); /* a NaN among them is the answer */
    return keepdims ? y : nn_squeeze(y, axis);
}

/* ---- >>ops linear ----------------------------------------------------------------------------------- */
/* -- matmul:  z = x y                                 dx = dz y^T, dy = x^T dz -- */
static int nn__shape_matmul(nn_node *n, nn_spec *out) {
    nn__text   t, u;
    nn_tensor *x = n->in[0], *y = n->in[1];
    int64_t    k, l;
    for (int i = 0; i < 2; i++)
        if (n->in[i]->ndim < 2) return nn__fail(n->ctx, "matmul", NN__M_RANK, i ? "y" : "x", nn__shape_text(&t, n->in[i]->ndim, n->in[i]->size), "at least 2");
    k = x->size[x->ndim - 1]; l = y->size[y->ndim - 2];
    if (k != l) return nn__fail(n->ctx, "matmul", NN__M_SIZES_DIFFER, nn__shape_text(&t, x->ndim, x->size), "y", nn__shape_text(&u, y->ndim, y->size), (long long)k, (long long)l);
    out->dtype = x->dtype;
    if (!nn__broadcast(n->ctx, "matmul", x, x->ndim - 2, y, y->ndim - 2, &out->shape)) return 0;
    out->shape.dim[out->shape.ndim++] = x->size[x->ndim - 2];
    out->shape.dim[out->shape.ndim++] = y->size[y->ndim - 1];
    return nn__check_real(n, 2);
}
static void nn__run_matmul(nn_node *n) {
    nn_tensor    *x = n->in[0], *y = n->in[1], *z = n->out[0];
    int           xd = x->ndim, yd = y->ndim, zd = z->ndim;
    nn__gemm_work w;
    memset(&w, 0, sizeof w);
    w.g.m = x->size[xd - 2]; w.g.k = x->size[xd - 1]; w.g.n = y->size[yd - 1];
    w.g.a = nn__data(x); w.g.a_row = x->stride[xd - 2]; w.g.a_col = x->stride[xd - 1];
    w.g.b = nn__data(y); w.g.b_row = y->stride[yd - 2]; w.g.b_col = y->stride[yd - 1];
    w.g.c = nn__data(z); w.g.c_row = w.g.n;
    w.c       = w.g.m * w.g.n;
    w.ndim    = zd - 2;
    w.batches = nn__count(w.ndim, z->size);
    for (int i = 0; i < w.ndim; i++) {
        int xi = i - (zd - xd), yi = i - (zd - yd);
        w.size[i] = z->size[i];
        w.a[i]    = xi < 0 || x->size[xi] == 1 ? 0 : x->stride[xi];
        w.b[i]    = yi < 0 || y->size[yi] == 1 ? 0 : y->stride[yi];
    }
    if (z->dtype == NN_F16 || z->dtype == NN_BF16) nn__low_run(n->ctx, &w, z->dtype, 2, NULL, NULL);
    else nn__gemm_run(n->ctx, z->dtype, &w);
}
static void nn__grad_matmul(nn_node *n, nn_tensor **dy, nn_tensor **dx) {
    if (nn_wants(n, 0)) dx[0] = nn_matmul(dy[0], nn_transpose(n->in[1], -1, -2));
    if (nn_wants(n, 1)) dx[1] = nn_matmul(nn_transpose(n->in[0], -1, -2), dy[0]);
}
static nn_cost nn__cost_matmul(const nn_node *n) {
    nn_cost cost = nn__cost_bytes(n);
    cost.flops   = 2.0 * (double)nn_numel(n->out[0]) * (double)nn_dim(n->in[0], -1);
    return cost;
}
static int nn__sample_matmul(nn_ctx *c, nn_dtype real, int k, nn_sample *s) {
    static const nn_shape x[6] = {{2, {3, 5, 0, 0, 0, 0}}, {2, {1, 7, 0, 0, 0, 0}}, {2, {17, 9, 0, 0, 0, 0}},  {3, {2, 3, 4, 0, 0, 0}}, {4, {2, 1, 2, 3, 0, 0}}, {2, {0, 3, 0, 0, 0, 0}}};
    static const nn_shape y[6] = {{2, {5, 2, 0, 0, 0, 0}}, {2, {7, 1, 0, 0, 0, 0}}, {2, {9, 35, 0, 0, 0, 0}}, {2, {4, 5, 0, 0, 0, 0}},  {3, {3, 3, 2, 0, 0, 0}},  {2, {3, 2, 0, 0, 0, 0}}};
    if (k >= 6) return 0;
    s->n_in  = 2;
    s->in[0] = nn__sample_values(c, real, x[k], k, -1, 1);
    s->in[1] = nn__sample_values(c, real, y[k], k + 2, -1, 1);
    return 1;
}
static const nn_op nn__op_matmul = {"matmul", 2, 1, 0, NN_OP_STRIDED | NN_OP_SAVES_IN, nn__shape_matmul, nn__run_matmul, nn__grad_matmul, NULL,
                                    nn__cost_matmul, nn__sample_matmul, 0};
NN_API nn_tensor *nn_matmul(nn_tensor *x, nn_tensor *y) { return nn__apply2(&nn__op_matmul, x, y, NULL); }

/* -- linear:  y = act(x w^T + b), one pass            dz = act'(y) dy, dx = dz w, dw = dz^T x, db = sum of dz -- */
static int nn__shape_linear(nn_node *n, nn_spec *out) {
    nn__text   t, u;
    nn_tensor *x = n->in[0], *w = n->in[1], *b = n->n_in > 2 ? n->in[2] : NULL;
    if (x->ndim < 1) return nn__fail(n->ctx, "linear", NN__M_RANK, "x", "[]", "at least 1");
    if (w->ndim != 2) return nn__fail(n->ctx, "linear", NN__M_RANK, "weight", nn__shape_text(&t, w->ndim, w->size), "2");
    if (x->size[x->ndim - 1] != w->size[1])
        return nn__fail(n->ctx, "linear", NN__M_SIZES_DIFFER, nn__shape_text(&t, x->ndim, x->size), "weight", nn__shape_text(&u, 2, w->size), (long long)x->size[x->ndim - 1], (long long)w->size[1]);
    if (b && (b->ndim != 1 || b->size[0] != w->size[0]))
        return nn__fail(n->ctx, "linear", NN__M_SHAPES_DIFFER, "bias", nn__shape_text(&t, b->ndim, b->size), "weight's rows", nn__shape_text(&u, 1, w->size));
    nn_spec_like(out, x);
    out->shape.dim[x->ndim - 1] = w->size[0];
    return nn__check_real(n, n->n_in);
}
static nn__unary_fn nn__act_kernel(const nn__kernel_set *k, int act) {
    switch (act) {
    case NN_ACT_RELU: return k->relu;
    case NN_ACT_SIGMOID: return k->sigmoid;
    case NN_ACT_TANH: return k->tanh;
    case NN_ACT_GELU: return k->gelu;
    default: return NULL;
    }
}
static void nn__run_linear(nn_node *n) {
    nn_tensor *x = n->in[0], *w = n->in[1], *y = n->out[0];
    nn__gemm   g;
    g.k = w->size[1]; g.n = w->size[0];
    g.m = g.n ? nn_numel(y) / g.n : 0;
    g.a = nn__data(x); g.a_row = g.k; g.a_col = 1;
    g.b = nn__data(w); g.b_row = 1; g.b_col = g.k;
    g.c = nn__data(y); g.c_row = g.n;
    g.bias = n->n_in > 2 ? nn__data(n->in[2]) : NULL;
    g.act  = nn__act_kernel(nn__kernels_for(n->ctx, y->dtype), *(const int *)n->attr);
    g.residual = NULL; g.r_row = 0; g.accumulate = 0; g.path = 0;
    if (y->dtype == NN_F16 || y->dtype == NN_BF16) {
        nn__gemm_work low;
        memset(&low, 0, sizeof low);
        low.g       = g;
        low.batches = 1;
        nn__low_run(n->ctx, &low, y->dtype, 2, NULL, NULL);
        return;
    }
    if (w->st->packed && n->ctx->no_grad) nn__gemm_use_packed(n->ctx, y->dtype, &g, w);
    nn__gemm_one(n->ctx, y->dtype, &g);
}
/* C[m,n] = A[m,k] B[k,n] + residual[m,n], which may be NULL, + C where it accumulates; strides in elements, the rows of C and residual follow each other */
static void nn__gemm_plain(nn_ctx *ctx, nn_dtype real, int64_t m, int64_t n, int64_t k, const void *a, int64_t a_row, int64_t a_col, const void *b, int64_t b_row, int64_t b_col,
                           const void *residual, int accumulate, void *c) {
    nn__gemm g;
    g.m = m; g.n = n; g.k = k;
    g.a = a; g.a_row = a_row; g.a_col = a_col;
    g.b = b; g.b_row = b_row; g.b_col = b_col;
    g.c = c; g.c_row = n;
    g.bias = NULL; g.act = NULL; g.residual = residual; g.r_row = n; g.accumulate = accumulate; g.path = 0;
    nn__gemm_one(ctx, real, &g);
}
static nn_tensor *nn__rows(nn_tensor *x) { /* [...,n] -> [rows,n] */
    int64_t n = nn_dim(x, -1);
    return nn_reshape(x, NN_SHAPE(n > 0 ? nn_numel(x) / n : nn__count(x ? x->ndim - 1 : 0, x ? x->size : NULL), n));
}
static void nn__linear_grad(nn_node *n, nn_tensor *dz, nn_tensor **dx) {
    nn_tensor *x = n->in[0], *w = n->in[1];
    if (nn_wants(n, 0)) dx[0] = nn_reshape(nn_matmul(nn__rows(dz), w), nn_shape_of(x));
    if (nn_wants(n, 1)) dx[1] = nn_matmul(nn_transpose(nn__rows(dz), 0, 1), nn__rows(x));
    if (n->n_in > 2 && nn_wants(n, 2)) dx[2] = nn_sum(nn__rows(dz), NN_AXES(0), 0);
}
static void nn__grad_linear(nn_node *n, nn_tensor **dy, nn_tensor **dx) {
    nn_tensor *y = n->out[0], *dz = dy[0];
    switch (*(const int *)n->attr) { /* GELU is not fused where a gradient is wanted, see nn_linear_act */
    case NN_ACT_RELU: dz = nn_mul(dz, nn_positive(y)); break;
    case NN_ACT_SIGMOID: dz = nn_mul(dz, nn_sub(y, nn_square(y))); break;
    case NN_ACT_TANH: dz = nn_mul(dz, nn_affine(nn_square(y), -1, 1)); break;
    default: break;
    }
    if (dz) nn__linear_grad(n, dz, dx);
}
/* linear_back: dy, y, x, w [, r] -> dx + r, dw, db in one node: those that attr wants, the others empty. A plan may have dw added to
   what its room holds (adds). */
typedef struct nn__linear_back { int32_t act, wants, adds; } nn__linear_back;
static int nn__shape_linear_back(nn_node *n, nn_spec *out) {
    const nn__linear_back *a = (const nn__linear_back *)n->attr;
    nn_spec_like(&out[0], n->in[2]);
    nn_spec_like(&out[1], n->in[3]);
    nn_spec_like(&out[2], n->in[3]);
    out[2].shape.ndim = 1;
    for (int i = 0; i < 3; i++)
        if (!(a->wants >> i & 1)) { out[i].shape.ndim = 1; out[i].shape.dim[0] = 0; }
    return 1;
}
static void nn__run_linear_back(nn_node *n) {
    const nn__linear_back *a = (const nn__linear_back *)n->attr;
    nn_tensor *dy = n->in[0], *x = n->in[2], *w = n->in[3];
    int64_t    out = w->size[0], in = w->size[1], rows = out ? nn_numel(dy) / out : 0;
    nn_dtype   dtype = dy->dtype;
    void      *dz = nn__data(dy), *room = NULL;
    double     few[64];
    size_t     bytes = (size_t)(rows * out) * nn__dtypes[dtype].size;
    if (a->act != NN_ACT_NONE && bytes) { /* dz = dy act'(y); of gelu, which only plans bring here, y is what it was applied to */
        nn__map m;
        room = bytes <= sizeof few ? few : nn__pool_get(n->ctx, bytes);
        if (!room) return;
        m.k      = nn__kernels_for(n->ctx, dtype);
        m.kernel = a->act == NN_ACT_RELU ? offsetof(nn__kernel_set, relu_back) : a->act == NN_ACT_TANH ? offsetof(nn__kernel_set, tanh_back)
                 : a->act == NN_ACT_GELU ? offsetof(nn__kernel_set, gelu_back) : offsetof(nn__kernel_set, sigmoid_back);
        m.dtype  = dtype; m.operands = 2; m.stream = 0; m.p = NULL;
        m.x[0]   = dz; m.x[1] = nn__data(n->in[1]); m.y = room;
        m.stride[0][0] = m.stride[1][0] = 1;
        nn__parallel(n->ctx, rows * out, 0.5, nn__map_flat_part, &m);
        dz = room;
    }
    if (a->wants & 1 && out == 0) nn__fill_data(n->out[0], 0);
    else if (a->wants & 1) nn__gemm_plain(n->ctx, dtype, rows, in, out, dz, out, 1, nn__data(w), in, 1, n->n_in > 4 ? nn__data(n->in[4]) : NULL, 0, nn__data(n->out[0]));
    if (a->wants & 2) nn__gemm_plain(n->ctx, dtype, out, in, rows, dz, 1, out, nn__data(x), in, 1, NULL, a->adds, nn__data(n->out[1]));
    if (a->wants & 4) nn__sum_rows(n->ctx, dtype, dz, rows, out, nn__data(n->out[2]));
    if (room != few) nn__pool_put(n->ctx, room, bytes);
}
static nn_cost nn__cost_linear_back(const nn_node *n) {
    nn_cost cost = nn__cost_bytes(n);
    double  rows = (double)nn_numel(n->in[0]), in = (double)nn_dim(n->in[3], 1);
    int     wants = ((const nn__linear_back *)n->attr)->wants;
    cost.flops = rows * ((wants & 1 ? 2 * in : 0) + (wants & 2 ? 2 * in : 0) + (wants >> 2 & 1));
    return cost;
}
static const nn_op nn__op_linear_back = {"linear_back", -4, 3, sizeof(nn__linear_back), NN_OP_FLOAT, nn__shape_linear_back, nn__run_linear_back, NULL, NULL, nn__cost_linear_back, NULL, 0};
static void nn__grad_fast_linear(nn_node *n, nn_tensor **dy, nn_tensor **dx) {
    nn__linear_back a;
    nn_tensor      *in[4], *out[3];
    a.act   = *(const int *)n->attr;
    a.adds  = 0;
    a.wants = nn_wants(n, 0) | nn_wants(n, 1) << 1 | (n->n_in > 2 && nn_wants(n, 2)) << 2;
    in[0] = dy[0]; in[1] = a.act == NN_ACT_NONE ? dy[0] : n->out[0]; in[2] = n->in[0]; in[3] = n->in[1]; /* without one, y is not needed */
    if (!nn_apply(&nn__op_linear_back, in, 4, &a, out)) return;
    for (int i = 0; i < n->n_in; i++) dx[i] = a.wants >> i & 1 ? out[i] : NULL;
}
static nn_cost nn__cost_linear(const nn_node *n) {
    nn_cost cost = nn__cost_bytes(n);
    cost.flops   = (2.0 * (double)nn_dim(n->in[1], 1) + (n->n_in > 2)) * (double)nn_numel(n->out[0]);
    return cost;
}
static int nn__sample_linear(nn_ctx *c, nn_dtype real, int k, nn_sample *s) {
    static const nn_shape x[6]   = {{2, {3, 5, 0, 0, 0, 0}}, {2, {7, 6, 0, 0, 0, 0}}, {3, {2, 3, 4, 0, 0, 0}}, {1, {5, 0, 0, 0, 0, 0}}, {2, {19, 33, 0, 0, 0, 0}}, {2, {0, 4, 0, 0, 0, 0}}};
    static const int64_t  out[6] = {4, 17, 3, 2, 35, 3};
    static const int      act[6] = {NN_ACT_NONE, NN_ACT_RELU, NN_ACT_TANH, NN_ACT_SIGMOID, NN_ACT_NONE, NN_ACT_NONE};
    int64_t               in;
    if (k >= 6) return 0;
    in       = x[k].dim[x[k].ndim - 1];
    s->n_in  = k == 4 ? 2 : 3;
    s->in[0] = nn__sample_values(c, real, x[k], k, -1, 1);
    s->in[1] = nn__sample_values(c, real, NN_SHAPE(out[k], in), k + 1, -1, 1);
    s->in[2] = nn__sample_values(c, real, NN_SHAPE(out[k]), k + 2, -1, 1);
    s->attr  = &act[k];
    return 1;
}
static const nn_op nn__op_linear = {"linear", -2, 1, sizeof(int), NN_OP_SAVES_IN | NN_OP_SAVES_OUT, nn__shape_linear, nn__run_linear, nn__grad_linear, nn__grad_fast_linear,
                                    nn__cost_linear, nn__sample_linear, 0};
NN_API nn_tensor *nn_linear_act(nn_tensor *x, nn_tensor *weight, nn_tensor *bias, nn_act act) {
    nn_tensor *in[3], *y;
    int        fused = act;
    in[0] = x; in[1] = weight; in[2] = bias;
    /* GELU's gradient needs what it was applied to, which the fused pass does not keep */
    if (act > NN_ACT_GELU) fused = NN_ACT_NONE; /* has no fused form */
    if (act == NN_ACT_GELU && x && weight && !x->ctx->no_grad && (x->needs_grad || weight->needs_grad || (bias && bias->needs_grad))) fused = NN_ACT_NONE;
    if ((unsigned)act >= NN_ACTS) return nn__fail(x ? x->ctx : NULL, "linear", NN__M_OPTION, "act", (double)act), (nn_tensor *)NULL;
    if (!nn_apply(&nn__op_linear, in, bias ? 3 : 2, &fused, &y)) return NULL;
    return fused == (int)act ? y : nn_activate(y, act);
}
NN_API nn_tensor *nn_linear(nn_tensor *x, nn_tensor *weight, nn_tensor *bias) { return nn_linear_act(x, weight, bias, NN_ACT_NONE); }

/* -- matmul_i8:  z[i][j] = sum of x[i][.] y[.][j], exactly in i32; or that times x_scale[i] y_scale[j] in f32 -- */
enum { NN__X_SCALE = 1, NN__Y_SCALE = 2, NN__I8_LONGEST = 131071 }; /* 131072 * (-128)^2 is 2^31 */

static int nn__shape_matmul_i8(nn_node *n, nn_spec *out) {
    nn__text   t, u;
    nn_tensor *x = n->in[0], *y = n->in[1];
    int        which = *(const int *)n->attr;
    for (int i = 0; i < 2; i++) {
        nn_tensor *a = n->in[i];
        if (a->dtype != NN_I8) return nn__fail(n->ctx, "matmul_i8", NN__M_DTYPE_IS, nn_dtype_name(a->dtype), "i8");
        if (a->ndim != 2) return nn__fail(n->ctx, "matmul_i8", NN__M_RANK, i ? "y" : "x", nn__shape_text(&t, a->ndim, a->size), "2");
    }
    if (x->size[1] != y->size[0])
        return nn__fail(n->ctx, "matmul_i8", NN__M_SIZES_DIFFER, nn__shape_text(&t, 2, x->size), "y", nn__shape_text(&u, 2, y->size), (long long)x->size[1], (long long)y->size[0]);
    if (x->size[1] > NN__I8_LONGEST) return nn__fail(n->ctx, "matmul_i8", NN__M_OPTION, "k", (double)x->size[1]);
    out->dtype = which ? NN_F32 : NN_I32;
    out->shape = NN_SHAPE(x->size[0], y->size[1]);
    for (int i = 2; i < n->n_in; i++) {
        nn_tensor *s = n->in[i];
        int        of_y = i == 3 || !(which & NN__X_SCALE);
        if (s->dtype != NN_F32) return nn__fail(n->ctx, "matmul_i8", NN__M_DTYPE_IS, nn_dtype_name(s->dtype), "f32");
        if (s->ndim != 1 || s->size[0] != out->shape.dim[of_y])
            return nn__fail(n->ctx, "matmul_i8", NN__M_SHAPES_DIFFER, of_y ? "y_scale" : "x_scale", nn__shape_text(&t, s->ndim, s->size), of_y ? "y's columns" : "x's rows",
                            nn__shape_text(&u, 1, &out->shape.dim[of_y]));
    }
    return 1;
}
static void nn__run_matmul_i8(nn_node *n) {
    nn_tensor    *x = n->in[0], *y = n->in[1], *z = n->out[0];
    int           which = *(const int *)n->attr;
    const float  *scale[2] = {NULL, NULL};
    nn__gemm_work w;
    memset(&w, 0, sizeof w);
    for (int i = 2; i < n->n_in; i++) {
        nn_tensor *s = n->in[i];
        float     *copy;
        scale[i == 3 || !(which & NN__X_SCALE)] = (const float *)nn__data(s);
        if (nn_is_contiguous(s)) continue;
        copy = (float *)nn__arena(n->ctx, (size_t)s->size[0] * sizeof *copy);
        if (!copy) return;
        nn__copy_rows(s, NN_F32, copy, 0, s->size[0], 0);
        scale[i == 3 || !(which & NN__X_SCALE)] = copy;
    }
    w.g.m = x->size[0]; w.g.k = x->size[1]; w.g.n = y->size[1];
    w.g.a = nn__data(x); w.g.a_row = x->stride[0]; w.g.a_col = x->stride[1];
    w.g.b = nn__data(y); w.g.b_row = y->stride[0]; w.g.b_col = y->stride[1];
    w.g.c = nn__data(z); w.g.c_row = w.g.n;
    w.batches = 1;
    nn__low_run(n->ctx, &w, NN_I8, 4, scale[0], scale[1]);
}
static const nn_op nn__op_matmul_i8 = {"matmul_i8", -2, 1, sizeof(int), NN_OP_STRIDED | NN_OP_NO_GRAD, nn__shape_matmul_i8, nn__run_matmul_i8, NULL, NULL, nn__cost_matmul, NULL, 0};
NN_API nn_tensor *nn_matmul_i8(nn_tensor *x, nn_tensor *y, nn_tensor *x_scale, nn_tensor *y_scale) {
    nn_tensor *in[4], *z;
    int        n = 2, which = (x_scale ? NN__X_SCALE : 0) | (y_scale ? NN__Y_SCALE : 0);
    in[0] = x; in[1] = y;
    if (x_scale) in[n++] = x_scale;
    if (y_scale) in[n++] = y_scale;
    return nn_apply(&nn__op_matmul_i8, in, n, &which, &z) ? z : NULL;
}

static nn_tensor *nn__act_none(nn_tensor *x) { return x; }
static nn_tensor *nn__act_elu(nn_tensor *x) { return nn_elu(x, 1); }
static nn_tensor *nn__act_celu(nn_tensor *x) { return nn_celu(x, 1); }
static nn_tensor *nn__act_leaky_relu(nn_tensor *x) { return nn_leaky_relu(x, 0.01); }
static nn_tensor *nn__act_softmax(nn_tensor *x) { return nn_softmax(x, -1); }
static const struct nn__act { const char *name, *other; nn_tensor *(*f)(nn_tensor *x); } nn__acts[NN_ACTS] = { /* in the order of nn_act */
    {"none", "linear", nn__act_none}, {"relu", "", nn_relu}, {"sigmoid", "", nn_sigmoid}, {"tanh", "", nn_tanh}, {"gelu", "", nn_gelu},
    {"gelu_tanh", "gelu_new", nn_gelu_tanh}, {"silu", "swish", nn_silu}, {"mish", "", nn_mish}, {"softplus", "", nn_softplus}, {"softsign", "", nn_softsign},
    {"log_sigmoid", "", nn_log_sigmoid}, {"elu", "", nn__act_elu}, {"selu", "", nn_selu}, {"celu", "", nn__act_celu}, {"leaky_relu", "", nn__act_leaky_relu},
    {"relu6", "", nn_relu6}, {"hard_sigmoid", "", nn_hard_sigmoid}, {"hard_swish", "", nn_hard_swish}, {"hard_tanh", "", nn_hard_tanh}, {"exp", "exponential", nn_exp},
    {"softmax", "", nn__act_softmax}};
NN_API nn_tensor *nn_activate(nn_tensor *x, nn_act act) {
    if ((unsigned)act < NN_ACTS) return nn__acts[act].f(x);
    return nn__fail(x ? x->ctx : NULL, "activate", NN__M_OPTION, "act", (double)act), (nn_tensor *)NULL;
}
NN_API int nn_act_named(const char *name) {
    for (int i = 0; name && i < NN_ACTS; i++)
        if (!strcmp(name, nn__acts[i].name) || (name[0] && !strcmp(name, nn__acts[i].other))) return i;
    return -1;
}

/* ---- >>ops norm -------------------------------------------------------------------------------------
   Ops over the rows of the last axis; each row is one call of a kernel. */
typedef struct nn__row_work {
    const nn__kernel_set *k;
    nn_node              *n;
    int64_t               row, rows;
    size_t                e;
    double               *partial;
} nn__row_work;

static int nn__row_prepare(nn_node *n, nn__row_work *w) {
    nn_tensor *x = n->in[0];
    w->k    = nn__kernels_for(n->ctx, x->dtype);
    w->n    = n;
    w->e    = nn__dtypes[x->dtype].size;
    w->row  = x->ndim ? x->size[x->ndim - 1] : 1;
    w->rows = w->row ? nn_numel(x) / w->row : 0;
    return w->rows > 0;
}
static char *nn__row_at(const nn__row_work *w, const nn_tensor *x, int64_t r) { return (char *)nn__data(x) + r * w->row * (int64_t)w->e; }

/* What kernels compute in, and so the type of saved statistics, which half precision would spoil */
static nn_dtype nn__kernel_dtype(nn_dtype real) { return real == NN_F64 ? NN_F64 : NN_F32; }
static int nn__shape_rows(nn_node *n, nn_spec *out) { nn_spec_like(out, n->in[0]); return nn__check_real(n, n->n_in); }
static nn_cost nn__cost_rows(const nn_node *n) {
    nn_cost cost = nn__cost_bytes(n);
    cost.flops   = 5.0 * (double)nn_numel(n->in[0]);
    return cost;
}
static int nn__sample_rows(nn_ctx *c, nn_dtype real, int k, nn_sample *s) { return nn__sample_range(c, real, k, s, -3, 3); }

/* Softmax over another axis: that axis is moved to the end, and back. */
static nn_tensor *nn__over_axis(const nn_op *op, nn_tensor *x, int axis) {
    int64_t a = axis;
    if (!nn__ok_tensor(op->name, x)) return NULL;
    if (x->ndim == 0 && (axis == 0 || axis == -1)) return nn__apply1(op, x, NULL);
    if (!nn__check_axis(x->ctx, op->name, &a, x->ndim)) return NULL;
    if (a == x->ndim - 1) return nn__apply1(op, x, NULL);
    return nn_transpose(nn__apply1(op, nn_transpose(x, (int)a, -1), NULL), (int)a, -1);
}

/* A row op with one input, and the fused form of its gradient, which takes dy and y */
#define NN__ROW_OP(name)                                                                                                                        \
    static void nn__##name##_rows(void *arg, int64_t begin, int64_t end, int worker) {                                                          \
        nn__row_work *w = (nn__row_work *)arg;                                                                                                  \
        (void)worker;                                                                                                                           \
        for (int64_t r = begin; r < end; r++) w->k->name(nn__row_at(w, w->n->in[0], r), nn__row_at(w, w->n->out[0], r), w->row);                \
    }                                                                                                                                           \
    static void nn__run_##name(nn_node *n) {                                                                                                    \
        nn__row_work w;                                                                                                                         \
        if (nn__row_prepare(n, &w)) nn__parallel(n->ctx, w.rows, 1.5 * (double)w.row, nn__##name##_rows, &w);                                   \
    }                                                                                                                                           \
    static void nn__##name##_back_rows(void *arg, int64_t begin, int64_t end, int worker) {                                                     \
        nn__row_work *w = (nn__row_work *)arg;                                                                                                  \
        (void)worker;                                                                                                                           \
        for (int64_t r = begin; r < end; r++)                                                                                                   \
            w->k->name##_back(nn__row_at(w, w->n->in[0], r), nn__row_at(w, w->n->in[1], r), nn__row_at(w, w->n->out[0], r), w->row);            \
    }                                                                                                                                           \
    static void nn__run_##name##_back(nn_node *n) {                                                                                             \
        nn__row_work w;                                                                                                                         \
        if (nn__row_prepare(n, &w)) nn__parallel(n->ctx, w.rows, 1.0 * (double)w.row, nn__##name##_back_rows, &w);                              \
    }                                                                                                                                           \
    static const nn_op nn__op_##name##_back = {#name "_back", 2, 1, 0, NN_OP_FLOAT, nn__shape_rows, nn__run_##name##_back, NULL, NULL, nn__cost_rows, NULL, 0}; \
    static void nn__grad_fast_##name(nn_node *n, nn_tensor **dy, nn_tensor **dx) { dx[0] = nn__apply2(&nn__op_##name##_back, dy[0], n->out[0], NULL); } \
    static const nn_op nn__op_##name = {#name, 1, 1, 0, NN_OP_FLOAT | NN_OP_SAVES_OUT, nn__shape_rows, nn__run_##name, nn__grad_##name, nn__grad_fast_##name, nn__cost_rows, nn__sample_rows, 0}; \
    NN_API nn_tensor *nn_##name(nn_tensor *x, int axis) { return nn__over_axis(&nn__op_##name, x, axis); }

static nn_tensor *nn__sum_last(nn_tensor *x) { return x && x->ndim ? nn_sum(x, NN_AXES(-1), 1) : x; }

/* -- softmax:  y = e^x / sum of e^x                   dx = y (dy - sum of dy y) -- */
static void nn__grad_softmax(nn_node *n, nn_tensor **dy, nn_tensor **dx) {
    nn_tensor *y = n->out[0];
    dx[0] = nn_mul(y, nn_sub(dy[0], nn__sum_last(nn_mul(dy[0], y))));
}
NN__ROW_OP(softmax)

/* -- log_softmax:  y = x - ln(sum of e^x)             dx = dy - e^y sum of dy -- */
static void nn__grad_log_softmax(nn_node *n, nn_tensor **dy, nn_tensor **dx) { dx[0] = nn_sub(dy[0], nn_mul(nn_exp(n->out[0]), nn__sum_last(dy[0]))); }
NN__ROW_OP(log_softmax)

/* -- layernorm:  y = (x - mean) rstd w + b            h = dy w, dx = rstd (h - mean(h) - xhat mean(h xhat))
      Outputs 2 and 3 are the saved mean and 1/sqrt(var + eps) of each row. -- */
static int nn__shape_layernorm(nn_node *n, nn_spec *out) {
    nn__text   t, u;
    nn_tensor *x = n->in[0];
    if (x->ndim < 1 || x->size[x->ndim - 1] == 0) return nn__fail(n->ctx, NULL, NN__M_EMPTY, "layernorm", nn__shape_text(&t, x->ndim, x->size));
    for (int i = 1; i < 3; i++)
        if (n->in[i]->ndim != 1 || n->in[i]->size[0] != x->size[x->ndim - 1])
            return nn__fail(n->ctx, "layernorm", NN__M_SHAPES_DIFFER, i == 1 ? "weight" : "bias", nn__shape_text(&t, n->in[i]->ndim, n->in[i]->size), "x's last axis",
                            nn__shape_text(&u, 1, &x->size[x->ndim - 1]));
    for (int i = 0; i < 3; i++) nn_spec_like(&out[i], x);
    out[1].shape.ndim = out[2].shape.ndim = x->ndim - 1;
    out[1].dtype = out[2].dtype = nn__kernel_dtype(x->dtype);
    return nn__check_real(n, 3);
}
static void nn__layernorm_rows(void *arg, int64_t begin, int64_t end, int worker) {
    nn__row_work *w = (nn__row_work *)arg;
    nn_node      *n = w->n;
    (void)worker;
    for (int64_t r = begin; r < end; r++)
        w->k->layernorm(nn__row_at(w, n->in[0], r), nn__data(n->in[1]), nn__data(n->in[2]), *(const double *)n->attr, nn__row_at(w, n->out[0], r),
                        (char *)nn__data(n->out[1]) + (size_t)r * w->e, (char *)nn__data(n->out[2]) + (size_t)r * w->e, w->row);
}
static void nn__run_layernorm(nn_node *n) {
    nn__row_work w;
    if (nn__row_prepare(n, &w)) nn__parallel(n->ctx, w.rows, 0.5 * (double)w.row, nn__layernorm_rows, &w);
}
static void nn__grad_layernorm(nn_node *n, nn_tensor **dy, nn_tensor **dx) { /* the statistics are computed again, as ops, so that they can be differentiated too */
    nn_tensor *x = n->in[0], *w = n->in[1];
    nn_tensor *centred = nn_sub(x, nn_mean(x, NN_AXES(-1), 1));
    nn_tensor *deviation = nn_sqrt(nn_affine(nn_mean(nn_square(centred), NN_AXES(-1), 1), 1, *(const double *)n->attr));
    nn_tensor *xhat = nn_div(centred, deviation);
    if (nn_wants(n, 0)) {
        nn_tensor *h = nn_mul(dy[0], w);
        nn_tensor *mean = nn_mean(h, NN_AXES(-1), 1), *along = nn_mul(xhat, nn_mean(nn_mul(h, xhat), NN_AXES(-1), 1));
        dx[0] = nn_div(nn_sub(nn_sub(h, mean), along), deviation);
    }
    if (nn_wants(n, 1)) dx[1] = nn_mul(dy[0], xhat); /* the walk sums over the rows */
    if (nn_wants(n, 2)) dx[2] = dy[0];
}
/* layernorm_back: dy, x, w, mean, rstd -> dx, dw, db. Rows are taken in parts of a fixed length, each with its own
   dw and db; these are then summed in order. */
enum { NN__NORM_PART = 64 };
static int nn__shape_layernorm_back(nn_node *n, nn_spec *out) {
    nn_spec_like(&out[0], n->in[1]);
    nn_spec_like(&out[1], n->in[2]);
    nn_spec_like(&out[2], n->in[2]);
    return 1;
}
static void nn__layernorm_back_parts(void *arg, int64_t begin, int64_t end, int worker) {
    nn__row_work *w = (nn__row_work *)arg;
    nn_tensor   **in = w->n->in;
    (void)worker;
    for (int64_t p = begin; p < end; p++) {
        char *dw = (char *)w->partial + p * 2 * w->row * (int64_t)w->e, *db = dw + w->row * (int64_t)w->e;
        memset(dw, 0, (size_t)(2 * w->row) * w->e);
        for (int64_t r = p * NN__NORM_PART; r < nn__min64(w->rows, (p + 1) * NN__NORM_PART); r++)
            w->k->layernorm_back(nn__row_at(w, in[0], r), nn__row_at(w, in[1], r), nn__data(in[2]), (char *)nn__data(in[3]) + (size_t)r * w->e,
                                 (char *)nn__data(in[4]) + (size_t)r * w->e, nn__row_at(w, w->n->out[0], r), dw, db, w->row);
    }
}
static void nn__run_layernorm_back(nn_node *n) {
    nn__row_work w;
    int64_t      parts;
    nn__fill_data(n->out[1], 0);
    nn__fill_data(n->out[2], 0);
    if (!nn__row_prepare(n, &w)) return;
    parts     = nn__ceil_div(w.rows, NN__NORM_PART);
    w.partial = (double *)nn__pool_get(n->ctx, (size_t)(parts * 2 * w.row) * w.e);
    if (!w.partial) return;
    nn__parallel(n->ctx, parts, 1.0 * NN__NORM_PART * (double)w.row, nn__layernorm_back_parts, &w);
    w.k->sum_columns(w.partial, parts, 2 * w.row, w.row, nn__data(n->out[1]));
    w.k->sum_columns((char *)w.partial + w.row * (int64_t)w.e, parts, 2 * w.row, w.row, nn__data(n->out[2]));
    nn__pool_put(n->ctx, w.partial, (size_t)(parts * 2 * w.row) * w.e);
}
static const nn_op nn__op_layernorm_back = {"layernorm_back", 5, 3, 0, NN_OP_FLOAT, nn__shape_layernorm_back, nn__run_layernorm_back, NULL, NULL, nn__cost_rows, NULL, 0};
static void nn__grad_fast_layernorm(nn_node *n, nn_tensor **dy, nn_tensor **dx) {
    nn_tensor *in[5];
    in[0] = dy[0]; in[1] = n->in[0]; in[2] = n->in[1]; in[3] = n->out[1]; in[4] = n->out[2];
    nn_apply(&nn__op_layernorm_back, in, 5, NULL, dx);
}
static int nn__sample_layernorm(nn_ctx *c, nn_dtype real, int k, nn_sample *s) {
    static const nn_shape x[4]   = {{2, {3, 5, 0, 0, 0, 0}}, {3, {2, 3, 17, 0, 0, 0}}, {1, {8, 0, 0, 0, 0, 0}}, {2, {70, 3, 0, 0, 0, 0}}};
    static const double   eps[1] = {1e-5};
    if (k >= 4) return 0;
    s->n_in  = 3;
    s->in[0] = nn__sample_values(c, real, x[k], k, -2, 3);
    s->in[1] = nn__sample_values(c, real, NN_SHAPE(x[k].dim[x[k].ndim - 1]), k + 1, 0.5, 1.5);
    s->in[2] = nn__sample_values(c, real, NN_SHAPE(x[k].dim[x[k].ndim - 1]), k + 2, -1, 1);
    s->attr  = eps;
    return 1;
}
static const nn_op nn__op_layernorm = {"layernorm", 3, 3, sizeof(double), NN_OP_FLOAT | NN_OP_SAVES_IN | NN_OP_SAVES_OUT, nn__shape_layernorm, nn__run_layernorm, nn__grad_layernorm,
                                       nn__grad_fast_layernorm, nn__cost_rows, nn__sample_layernorm, 0};
NN_API nn_tensor *nn_layernorm(nn_tensor *x, nn_tensor *weight, nn_tensor *bias, double eps) { return nn__apply3(&nn__op_layernorm, x, weight, bias, &eps); }

/* -- cross_entropy:  mean of ln(sum of e^x) - x[class]          dx = (softmax(x) - onehot) dy / rows
      Output 2 is the saved log-sum-exp of each row. -- */
static int nn__check_integer(nn_node *n, int i, const char *name) {
    nn_dtype d = n->in[i]->dtype;
    if (d == NN_I32 || d == NN_I64 || d == NN_U8) return 1;
    return nn__fail(n->ctx, n->op->name, NN__M_NOT_INTEGER, name, nn_dtype_name(d));
}
/* All integers of x within 0 ... limit-1? id: NN__M_LABEL or NN__M_INDEX_VALUE */
static int nn__check_within(nn_ctx *c, const char *op, int id, const nn_tensor *x, int64_t limit) {
    int64_t n = nn_numel(x);
    for (int64_t i = 0; i < n; i++) {
        int64_t v = nn__load_int(x->dtype, nn__data(x), i);
        if (v < 0 || v >= limit) return nn__fail(c, op, id, (long long)v, (long long)i, (long long)limit - 1);
    }
    return 1;
}
static int nn__shape_cross_entropy(nn_node *n, nn_spec *out) {
    nn__text   t, u;
    nn_tensor *x = n->in[0], *y = n->in[1];
    if (!nn__check_real(n, 1) || !nn__check_integer(n, 1, "the classes")) return 0;
    if (nn_numel(x) == 0 || x->ndim < 1) return nn__fail(n->ctx, NULL, NN__M_EMPTY, "cross_entropy", nn__shape_text(&t, x->ndim, x->size));
    if (y->ndim != x->ndim - 1 || (y->ndim && memcmp(x->size, y->size, (size_t)y->ndim * sizeof x->size[0])))
        return nn__fail(n->ctx, "cross_entropy", NN__M_SHAPES_DIFFER, "the rows of x", nn__shape_text(&t, x->ndim - 1, x->size), "the classes", nn__shape_text(&u, y->ndim, y->size));
    nn_spec_like(&out[0], x);
    nn_spec_like(&out[1], x);
    out[0].shape.ndim = 0;
    out[1].shape.ndim = x->ndim - 1;
    out[1].dtype      = nn__kernel_dtype(x->dtype);
    return 1;
}
static void nn__lse_rows(void *arg, int64_t begin, int64_t end, int worker) {
    nn__row_work *w = (nn__row_work *)arg;
    (void)worker;
    for (int64_t r = begin; r < end; r++) w->k->log_sum_exp(nn__row_at(w, w->n->in[0], r), w->row, (char *)nn__data(w->n->out[1]) + (size_t)r * w->e);
}
static void nn__run_cross_entropy(nn_node *n) {
    nn_tensor   *x = n->in[0], *y = n->in[1];
    nn__row_work w;
    double       sum = 0;
    if (!nn__row_prepare(n, &w)) return;
    if (!nn__check_within(n->ctx, "cross_entropy", NN__M_LABEL, y, w.row)) return;
    nn__parallel(n->ctx, w.rows, 1.5 * (double)w.row, nn__lse_rows, &w);
    for (int64_t r = 0; r < w.rows; r++)
        sum += nn__load(x->dtype, nn__data(n->out[1]), r) - nn__load(x->dtype, nn__data(x), r * w.row + nn__load_int(y->dtype, nn__data(y), r));
    nn__store(n->out[0]->dtype, nn__data(n->out[0]), 0, sum / (double)w.rows);
}
static void nn__grad_cross_entropy(nn_node *n, nn_tensor **dy, nn_tensor **dx) {
    nn_tensor *x = n->in[0];
    int64_t    classes = nn_dim(x, -1);
    nn_tensor *difference = nn_sub(nn_softmax(x, -1), nn_one_hot(n->in[1], classes, x->dtype));
    dx[0] = nn_mul(nn_scale(difference, (double)classes / (double)nn_numel(x)), dy[0]);
}
/* cross_entropy_back: x, classes, lse, dy -> dx */
static int nn__shape_first(nn_node *n, nn_spec *out) { nn_spec_like(out, n->in[0]); return 1; }
static void nn__cross_entropy_back_rows(void *arg, int64_t begin, int64_t end, int worker) {
    nn__row_work *w = (nn__row_work *)arg;
    nn_tensor   **in = w->n->in;
    double        scale = nn__load(in[3]->dtype, nn__data(in[3]), 0) / (double)w->rows;
    (void)worker;
    for (int64_t r = begin; r < end; r++)
        w->k->cross_entropy_back(nn__row_at(w, in[0], r), (char *)nn__data(in[2]) + (size_t)r * w->e, scale, nn__load_int(in[1]->dtype, nn__data(in[1]), r), nn__row_at(w, w->n->out[0], r), w->row);
}
static void nn__run_cross_entropy_back(nn_node *n) {
    nn__row_work w;
    if (nn__row_prepare(n, &w)) nn__parallel(n->ctx, w.rows, 1.5 * (double)w.row, nn__cross_entropy_back_rows, &w);
}
static const nn_op nn__op_cross_entropy_back = {"cross_entropy_back", 4, 1, 0, NN_OP_FLOAT, nn__shape_first, nn__run_cross_entropy_back, NULL, NULL, nn__cost_rows, NULL, 0};
static void nn__grad_fast_cross_entropy(nn_node *n, nn_tensor **dy, nn_tensor **dx) {
    nn_tensor *in[4];
    in[0] = n->in[0]; in[1] = n->in[1]; in[2] = n->out[1]; in[3] = dy[0];
    nn_apply(&nn__op_cross_entropy_back, in, 4, NULL, dx);
}
static int nn__sample_cross_entropy(nn_ctx *c, nn_dtype real, int k, nn_sample *s) {
    static const nn_shape x[3] = {{2, {3, 5, 0, 0, 0, 0}}, {3, {2, 3, 17, 0, 0, 0}}, {1, {7, 0, 0, 0, 0, 0}}};
    static const nn_dtype d[3] = {NN_I32, NN_I64, NN_U8};
    nn_shape              rows;
    if (k >= 3) return 0;
    rows = x[k];
    rows.ndim--;
    s->n_in    = 2;
    s->in[0]   = nn__sample_values(c, real, x[k], k, -2, 3);
    s->in[1]   = nn__sample_classes(c, d[k], rows, x[k].dim[rows.ndim]);
    s->no_grad = 2;
    return 1;
}
static const nn_op nn__op_cross_entropy = {"cross_entropy", 2, 2, 0, NN_OP_FLOAT | NN_OP_SAVES_IN | NN_OP_SAVES_OUT, nn__shape_cross_entropy, nn__run_cross_entropy, nn__grad_cross_entropy,
                                           nn__grad_fast_cross_entropy, nn__cost_rows, nn__sample_cross_entropy, 0};
NN_API nn_tensor *nn_cross_entropy(nn_tensor *logits, nn_tensor *classes) { return nn__apply2(&nn__op_cross_entropy, logits, classes, NULL); }

/* -- mse:  mean of d^2, d = x - y                     dx = 2 d dz / n, dy = -dx; output 2 is d
      Unlike sub it refuses to broadcast, which in a loss is nearly always a mistake. -- */
static int nn__shape_mse(nn_node *n, nn_spec *out) {
    nn__text   t, u;
    nn_tensor *x = n->in[0], *y = n->in[1];
    if (!nn__check_real(n, 2)) return 0;
    if (!nn__same_shape(x, y))
        return nn__fail(n->ctx, "mse", NN__M_SHAPES_DIFFER, "the prediction", nn__shape_text(&t, x->ndim, x->size), "the target", nn__shape_text(&u, y->ndim, y->size));
    if (nn_numel(x) == 0) return nn__fail(n->ctx, NULL, NN__M_EMPTY, "mse", nn__shape_text(&t, x->ndim, x->size));
    nn_spec_like(&out[1], x);
    out[1].dtype      = nn__kernel_dtype(x->dtype);
    out[0].dtype      = x->dtype;
    out[0].shape.ndim = 0;
    return 1;
}
static void nn__mse_parts(void *arg, int64_t begin, int64_t end, int worker) {
    nn__row_work *w = (nn__row_work *)arg;
    (void)worker;
    for (int64_t p = begin; p < end; p++) {
        int64_t n = nn__min64(NN__REDUCE_PART, w->row - p * NN__REDUCE_PART);
        size_t  at = (size_t)(p * NN__REDUCE_PART) * w->e;
        char   *d = (char *)nn__data(w->n->out[1]) + at;
        w->k->sub((char *)nn__data(w->n->in[0]) + at, 1, (char *)nn__data(w->n->in[1]) + at, 1, d, n, NULL);
        w->partial[p] = w->k->sum_squares(d, n);
    }
}
static void nn__run_mse(nn_node *n) {
    nn__row_work w;
    double       sum = 0, few[8];
    int64_t      parts;
    nn__row_prepare(n, &w);
    w.row     = nn_numel(n->in[0]); /* all of x is one row here */
    parts     = nn__ceil_div(w.row, NN__REDUCE_PART);
    w.partial = parts <= 8 ? few : (double *)nn__arena(n->ctx, (size_t)parts * sizeof *w.partial);
    if (!w.partial) return;
    nn__parallel(n->ctx, parts, 1.0 * NN__REDUCE_PART, nn__mse_parts, &w);
    for (int64_t p = 0; p < parts; p++) sum += w.partial[p];
    nn__store(n->out[0]->dtype, nn__data(n->out[0]), 0, sum / (double)w.row);
}
static void nn__grad_mse(nn_node *n, nn_tensor **dy, nn_tensor **dx) {
    nn_tensor *g = nn_mul(nn_scale(nn_sub(n->in[0], n->in[1]), 2.0 / (double)nn_numel(n->out[1])), dy[0]);
    dx[0] = g;
    if (nn_wants(n, 1)) dx[1] = nn_neg(g);
}
/* mse_back: d, dz -> dx */
static void nn__run_mse_back(nn_node *n) {
    nn_tensor *d = n->in[0], *dx = n->out[0];
    double     dz = nn__load(n->in[1]->dtype, nn__data(n->in[1]), 0), ab[2];
    nn__map    m;
    ab[0] = 2 * dz / (double)nn_numel(d); ab[1] = 0;
    m.k        = nn__kernels_for(n->ctx, dx->dtype);
    m.kernel   = offsetof(nn__kernel_set, affine);
    m.dtype    = dx->dtype;
    m.operands = 1;
    m.p        = ab;
    m.stream   = nn__streams(dx);
    m.x[0]     = nn__data(d);
    m.y        = nn__data(dx);
    m.stride[0][0] = 1;
    nn__parallel(n->ctx, nn_numel(d), 0.5, nn__map_flat_part, &m);
}
static const nn_op nn__op_mse_back = {"mse_back", 2, 1, 0, NN_OP_FLOAT, nn__shape_first, nn__run_mse_back, NULL, NULL, nn__cost_map, NULL, 0};
static void nn__grad_fast_mse(nn_node *n, nn_tensor **dy, nn_tensor **dx) {
    nn_tensor *g = nn__apply2(&nn__op_mse_back, n->out[1], dy[0], NULL);
    dx[0] = g = n->out[0]->dtype == n->out[1]->dtype ? g : nn_cast(g, n->out[0]->dtype);
    if (nn_wants(n, 1)) dx[1] = nn_neg(g);
}
static int nn__sample_mse(nn_ctx *c, nn_dtype real, int k, nn_sample *s) {
    if (k >= 6 || k == 3) return 0; /* the fourth shape is empty */
    s->n_in  = 2;
    s->in[0] = nn__sample_values(c, real, nn__sample_shapes[k], k, -2.1, 2.3);
    s->in[1] = nn__sample_values(c, real, nn__sample_shapes[k], k + 1, -1.1, 1.9);
    return 1;
}
static const nn_op nn__op_mse = {"mse", 2, 2, 0, NN_OP_FLOAT | NN_OP_SAVES_IN | NN_OP_SAVES_OUT, nn__shape_mse, nn__run_mse, nn__grad_mse, nn__grad_fast_mse, nn__cost_rows, nn__sample_mse, 0};
NN_API nn_tensor *nn_mse(nn_tensor *x, nn_tensor *y) {
    if (x && !nn__ok_arg(x->ctx, "mse", y, "the target")) return NULL;
    return nn__apply2(&nn__op_mse, x, y, NULL);
}

/* -- dropout:  y = x mask / (1-p)                     dx = dy mask / (1-p); output 2 is the mask (Srivastava et al. 2014) -- */
typedef struct nn__fill_work { const nn__kernel_set *k; nn_node *n; nn__rng rng; int64_t total; const double *p; int stream; } nn__fill_work;
static int64_t nn__fill_count(const nn__fill_work *w, int64_t begin, int64_t end) { /* elements of these blocks of 64; negative: past the caches */
    int64_t n = nn__min64(end * 64, w->total) - begin * 64;
    return w->stream ? -n : n;
}

static nn__rng nn__node_rng(const nn_node *n) {
    nn__rng r;
    r.seed = n->ctx->config.seed; r.stream = n->stream; r.step = (uint32_t)n->ctx->step;
    return r;
}
static int nn__shape_mask(nn_node *n, nn_spec *out) {
    nn_spec_like(out, n->in[0]);
    return nn__check_real(n, 1);
}
static void nn__mask_part(void *arg, int64_t begin, int64_t end, int worker) {
    nn_node *n = ((nn__fill_work *)arg)->n;
    size_t   e = nn__dtypes[n->in[0]->dtype].size;
    int64_t  count = ((nn__fill_work *)arg)->stream ? begin - end : end - begin;
    (void)worker;
    ((nn__fill_work *)arg)->k->mask((char *)nn__data(n->in[0]) + (size_t)begin * e, (uint8_t *)nn__data(n->in[1]) + begin, (char *)nn__data(n->out[0]) + (size_t)begin * e, count,
                                    (const double *)n->attr);
}
static void nn__run_mask(nn_node *n) {
    nn__fill_work w;
    memset(&w, 0, sizeof w);
    w.k = nn__kernels_for(n->ctx, n->in[0]->dtype);
    w.n = n;
    w.stream = nn__streams(n->out[0]);
    nn__parallel(n->ctx, nn_numel(n->out[0]), 0.5, nn__mask_part, &w);
}
static void       nn__grad_mask(nn_node *n, nn_tensor **dy, nn_tensor **dx) { dx[0] = nn__mask_apply(dy[0], n->in[1], *(const double *)n->attr); }
static int        nn__sample_mask(nn_ctx *c, nn_dtype real, int k, nn_sample *s) {
    static const double scale[1] = {1.25};
    if (!nn__sample_unary(c, real, k, s)) return 0;
    s->n_in    = 2;
    s->in[1]   = nn__sample_classes(c, NN_U8, nn_shape_of(s->in[0]), 2);
    s->attr    = scale;
    s->no_grad = 2;
    return 1;
}
static const nn_op nn__op_mask = {"mask", 2, 1, sizeof(double), NN__MAP, nn__shape_mask, nn__run_mask, nn__grad_mask, NULL, nn__cost_map, nn__sample_mask, 0};
static nn_tensor *nn__mask_apply(nn_tensor *x, nn_tensor *mask, double scale) { return nn__apply2(&nn__op_mask, x, mask, &scale); }

static int nn__shape_dropout(nn_node *n, nn_spec *out) {
    nn_spec_like(&out[0], n->in[0]);
    nn_spec_like(&out[1], n->in[0]);
    out[1].dtype = NN_U8;
    return nn__check_real(n, 1);
}
static void nn__dropout_part(void *arg, int64_t begin, int64_t end, int worker) { /* in blocks of 64 elements */
    nn__fill_work *w = (nn__fill_work *)arg;
    size_t         e = nn__dtypes[w->n->in[0]->dtype].size, at = (size_t)begin * 64;
    (void)worker;
    w->k->dropout(w->rng, begin, (char *)nn__data(w->n->in[0]) + at * e, (char *)nn__data(w->n->out[0]) + at * e, (uint8_t *)nn__data(w->n->out[1]) + at, nn__fill_count(w, begin, end), w->p);
}
static void nn__run_dropout(nn_node *n) {
    nn__fill_work w;
    w.k = nn__kernels_for(n->ctx, n->in[0]->dtype);
    w.n = n; w.rng = nn__node_rng(n); w.total = nn_numel(n->in[0]); w.p = (const double *)n->attr; w.stream = nn__streams(n->out[0]);
    nn__parallel(n->ctx, nn__ceil_div(w.total, 64), 100, nn__dropout_part, &w);
}
static void nn__grad_dropout(nn_node *n, nn_tensor **dy, nn_tensor **dx) {
    double p = *(const double *)n->attr;
    dx[0] = nn__mask_apply(dy[0], n->out[1], p < 1 ? 1 / (1 - p) : 0);
}
static int nn__sample_dropout(nn_ctx *c, nn_dtype real, int k, nn_sample *s) {
    static const double p[1] = {0.4};
    s->attr = p;
    return nn__sample_unary(c, real, k, s);
}
static const nn_op nn__op_dropout = {"dropout", 1, 2, sizeof(double), NN__MAP | NN_OP_RANDOM | NN_OP_SAVES_OUT, nn__shape_dropout, nn__run_dropout, nn__grad_dropout, NULL, nn__cost_map, nn__sample_dropout, 0};
NN_API nn_tensor *nn_dropout(nn_tensor *x, double p, int training) {
    if (!nn__ok_tensor("dropout", x)) return NULL;
    if (!(p >= 0 && p <= 1)) return nn__fail(x->ctx, "dropout", NN__M_PROBABILITY, p), (nn_tensor *)NULL;
    return training && p > 0 ? nn__apply1(&nn__op_dropout, x, &p) : x;
}

/* -- uniform, normal: no input; the attributes say what to make -- */
typedef struct nn__fill_attr { double p[2]; nn_shape shape; int64_t dtype; } nn__fill_attr;
static int nn__shape_fill(nn_node *n, nn_spec *out) {
    const nn__fill_attr *a = (const nn__fill_attr *)n->attr;
    out->dtype = (nn_dtype)a->dtype;
    out->shape = a->shape;
    return 1;
}
static void nn__uniform_part(void *arg, int64_t begin, int64_t end, int worker) {
    nn__fill_work *w = (nn__fill_work *)arg;
    nn_tensor     *y = w->n->out[0];
    (void)worker;
    w->k->uniform(w->rng, begin, (char *)nn__data(y) + (size_t)begin * 64 * nn__dtypes[y->dtype].size, nn__fill_count(w, begin, end), w->p);
}
static void nn__normal_part(void *arg, int64_t begin, int64_t end, int worker) {
    nn__fill_work *w = (nn__fill_work *)arg;
    nn_tensor     *y = w->n->out[0];
    (void)worker;
    w->k->normal(w->rng, begin, (char *)nn__data(y) + (size_t)begin * 64 * nn__dtypes[y->dtype].size, nn__fill_count(w, begin, end), w->p);
}
static void nn__run_fill(nn_node *n, nn__task part) {
    nn__fill_work w;
    w.k = nn__kernels_for(n->ctx, n->out[0]->dtype);
    w.n = n; w.rng = nn__node_rng(n); w.total = nn_numel(n->out[0]); w.p = ((const nn__fill_attr *)n->attr)->p; w.stream = nn__streams(n->out[0]);
    nn__parallel(n->ctx, nn__ceil_div(w.total, 64), 150, part, &w);
}
static void nn__run_uniform(nn_node *n) { nn__run_fill(n, nn__uniform_part); }
static void nn__run_normal(nn_node *n) { nn__run_fill(n, nn__normal_part); }
static const nn_op nn__op_uniform = {"uniform", 0, 1, sizeof(nn__fill_attr), NN_OP_RANDOM | NN_OP_FLOAT, nn__shape_fill, nn__run_uniform, NULL, NULL, nn__cost_map, NULL, 0};
static const nn_op nn__op_normal  = {"normal", 0, 1, sizeof(nn__fill_attr), NN_OP_RANDOM | NN_OP_FLOAT, nn__shape_fill, nn__run_normal, NULL, NULL, nn__cost_map, NULL, 0};

static nn_tensor *nn__fill_random(nn_ctx *c, const nn_op *op, nn_dtype dtype, nn_shape shape, double p, double q) {
    nn__fill_attr a;
    nn_tensor    *y;
    nn_dtype      made = dtype == NN_F64 ? NN_F64 : NN_F32;
    if (!nn__ok(c) || !nn__check_shape(c, op->name, dtype, &shape)) return NULL;
#if defined(NN_NO_F64)
    if (dtype == NN_F64) return nn__fail(c, op->name, NN__M_NO_F64), (nn_tensor *)NULL;
#endif
    memset(&a, 0, sizeof a);
    a.p[0] = p; a.p[1] = q; a.dtype = made; a.shape.ndim = shape.ndim;
    for (int i = 0; i < shape.ndim; i++) a.shape.dim[i] = shape.dim[i];
    if (!nn__apply(c, op, NULL, 0, &a, &y)) return NULL;
    return made == dtype ? y : nn_cast(y, dtype);
}
NN_API nn_tensor *nn_uniform(nn_ctx *c, nn_dtype dtype, nn_shape shape, double low, double high) { return nn__fill_random(c, &nn__op_uniform, dtype, shape, low, high); }
NN_API nn_tensor *nn_normal(nn_ctx *c, nn_dtype dtype, nn_shape shape, double mean, double std) { return nn__fill_random(c, &nn__op_normal, dtype, shape, mean, std); }

/* -- other ways to drop out, made of ops; each keeps the mean (Tompson et al. 2015; Klambauer et al. 2017; Srivastava et al. 2014) -- */
static int nn__dropout_wanted(nn_tensor *x, double p, int training) { /* -1: an error */
    if (!nn__ok_tensor("dropout", x)) return -1;
    if (!(p >= 0 && p < 1)) return nn__fail(x->ctx, "dropout", NN__M_PROBABILITY, p), -1;
    return training && p > 0;
}
static nn_tensor *nn__ones_of(const nn_tensor *x, nn_shape s) { return nn_contiguous(nn_expand(nn_scalar_like(x, 1), s)); }
NN_API nn_tensor *nn_dropout_spatial(nn_tensor *x, double p, int training) {
    nn__text t;
    nn_shape s = nn_shape_of(x);
    int      wanted = nn__dropout_wanted(x, p, training);
    if (wanted <= 0) return wanted ? NULL : x;
    if (s.ndim < 2) return nn__fail(x->ctx, "dropout", NN__M_RANK, "x", nn__text_of(&t, s), "at least 2"), (nn_tensor *)NULL;
    for (int i = 2; i < s.ndim; i++) s.dim[i] = 1;
    return nn_mul(x, nn_dropout(nn__ones_of(x, s), p, 1));
}
NN_API nn_tensor *nn_dropout_alpha(nn_tensor *x, double p, int training) { /* what is dropped becomes selu's limit at -infinity */
    double     limit = -NN__SELU_SCALE * NN__SELU_ALPHA, a;
    int        wanted = nn__dropout_wanted(x, p, training);
    nn_tensor *keep;
    if (wanted <= 0) return wanted ? NULL : x;
    a    = 1 / sqrt((1 - p) * (1 + p * limit * limit));
    keep = nn_scale(nn_dropout(nn__ones_of(x, nn_shape_of(x)), p, 1), 1 - p); /* 1 or 0 */
    return nn_affine(nn_add(nn_mul(x, keep), nn_affine(keep, -limit, limit)), a, -a * limit * p);
}
NN_API nn_tensor *nn_dropout_gaussian(nn_tensor *x, double p, int training) {
    int wanted = nn__dropout_wanted(x, p, training);
    return wanted <= 0 ? (wanted ? NULL : x) : nn_mul(x, nn_normal(x->ctx, x->dtype, nn_shape_of(x), 1, sqrt(p / (1 - p))));
}
NN_API nn_tensor *nn_noise(nn_tensor *x, double std, int training) {
    return x && training && std != 0 ? nn_add(x, nn_normal(x->ctx, x->dtype, nn_shape_of(x), 0, std)) : x;
}

/* -- norms made of ops -- */
NN_API nn_tensor *nn_rmsnorm(nn_tensor *x, nn_tensor *weight, double eps) {
    if (nn__is_half(x)) return nn_cast(nn_rmsnorm(nn_cast(x, NN_F32), nn_cast(weight, NN_F32), eps), x->dtype);
    nn_tensor *y = nn_mul(x, nn_rsqrt(nn_add_scalar(nn_mean(nn_square(x), NN_AXES(-1), 1), eps)));
    return weight ? nn_mul(y, weight) : y;
}
static nn_tensor *nn__by_channel(const char *op, nn_tensor *x, nn_tensor *v, const char *name) { /* [C] -> [C,1,...], to broadcast with x [N,C,...] */
    nn__text t, u;
    nn_shape s = nn__shape_none();
    if (v->ndim != 1 || v->size[0] != x->size[1])
        return nn__fail(x->ctx, op, NN__M_SHAPES_DIFFER, name, nn__shape_text(&t, v->ndim, v->size), "x's channels", nn__shape_text(&u, 1, x->size + 1)), (nn_tensor *)NULL;
    s.ndim   = x->ndim - 1;
    s.dim[0] = x->size[1];
    for (int i = 1; i < s.ndim; i++) s.dim[i] = 1;
    return nn_reshape(v, s);
}
static nn_tensor *nn__channel_affine(const char *op, nn_tensor *x, nn_tensor *y, nn_tensor *weight, nn_tensor *bias) {
    if (weight) y = nn_mul(y, nn__by_channel(op, x, weight, "weight"));
    return bias ? nn_add(y, nn__by_channel(op, x, bias, "bias")) : y;
}
static int nn__has_channels(const char *op, nn_tensor *x) {
    nn__text t;
    return nn__ok_tensor(op, x) && (x->ndim >= 2 || nn__fail(x->ctx, op, NN__M_RANK, "x", nn__shape_text(&t, x->ndim, x->size), "at least 2"));
}
NN_API nn_tensor *nn_groupnorm(nn_tensor *x, int groups, nn_tensor *weight, nn_tensor *bias, double eps) {
    nn_tensor *g, *centred;
    if (!nn__has_channels("groupnorm", x)) return NULL;
    if (nn__is_half(x)) return nn_cast(nn_groupnorm(nn_cast(x, NN_F32), groups, nn_cast(weight, NN_F32), nn_cast(bias, NN_F32), eps), x->dtype);
    if (groups < 1 || x->size[1] % groups) return nn__fail(x->ctx, "groupnorm", NN__M_OPTION, "groups", (double)groups), (nn_tensor *)NULL;
    g       = nn_reshape(x, NN_SHAPE(x->size[0], groups, x->size[0] ? -1 : nn__count(x->ndim - 1, x->size + 1) / groups));
    centred = nn_sub(g, nn_mean(g, NN_AXES(-1), 1));
    g       = nn_mul(centred, nn_rsqrt(nn_add_scalar(nn_mean(nn_square(centred), NN_AXES(-1), 1), eps)));
    return nn__channel_affine("groupnorm", x, nn_reshape(g, nn_shape_of(x)), weight, bias);
}
static void nn__running(nn_tensor *kept, nn_tensor *now, double momentum, double factor) { /* kept += momentum (factor now - kept) */
    nn_tensor *moved;
    if (!kept || !now) return;
    moved = nn_add(nn_scale(nn_cast(kept, now->dtype), 1 - momentum), nn_scale(nn_reshape(nn_detach(now), nn_shape_of(kept)), momentum * factor));
    nn_assign(kept, nn_cast(moved, kept->dtype));
}
NN_API nn_tensor *nn_batchnorm(nn_tensor *x, const nn_batchnorm_options *options) {
    nn__text             t;
    nn_batchnorm_options o;
    nn_shape             axes = nn__shape_none();
    nn_tensor           *mean, *var, *centred;
    if (!nn__has_channels("batchnorm", x) || !nn__ok_arg(x->ctx, "batchnorm", options, "options")) return NULL;
    o = *options;
    if (nn__is_half(x)) {
        o.weight = nn_cast(o.weight, NN_F32);
        o.bias   = nn_cast(o.bias, NN_F32);
        return nn_cast(nn_batchnorm(nn_cast(x, NN_F32), &o), x->dtype);
    }
    if (o.momentum == 0) o.momentum = 0.1;
    if (o.eps == 0) o.eps = 1e-5;
    if (!(o.momentum > 0 && o.momentum <= 1)) return nn__fail(x->ctx, "batchnorm", NN__M_OPTION, "momentum", o.momentum), (nn_tensor *)NULL;
    for (int i = 0; i < x->ndim; i++)
        if (i != 1) axes.dim[axes.ndim++] = i;
    if (o.training) {
        double n = x->size[1] ? (double)nn_numel(x) / (double)x->size[1] : 0;
        int    was;
        if (n < 2) return nn__fail(x->ctx, NULL, NN__M_EMPTY, "the variance of one value a channel, or", nn__shape_text(&t, x->ndim, x->size)), (nn_tensor *)NULL;
        mean    = nn_mean(x, axes, 1);
        centred = nn_sub(x, mean);
        var     = nn_mean(nn_square(centred), axes, 1);
        was     = nn_no_grad(x->ctx, 1);
        nn__running(o.mean, mean, o.momentum, 1);
        nn__running(o.var, var, o.momentum, n / (n - 1)); /* the sample's variance */
        nn_no_grad(x->ctx, was);
    } else {
        if (!nn__ok_arg(x->ctx, "batchnorm", o.mean, "the running mean") || !nn__ok_arg(x->ctx, "batchnorm", o.var, "the running variance")) return NULL;
        var     = nn__by_channel("batchnorm", x, nn_cast(o.var, x->dtype), "var");
        mean    = nn__by_channel("batchnorm", x, nn_cast(o.mean, x->dtype), "mean");
        centred = mean ? nn_sub(x, mean) : NULL;
    }
    return nn__channel_affine("batchnorm", x, nn_mul(centred, nn_rsqrt(nn_add_scalar(var, o.eps))), o.weight, o.bias);
}

/* ---- >>ops move -------------------------------------------------------------------------------------
   Views first: their shape rules set strides and offset, and nothing runs. Attributes are the target shape, the
   axes, or the slice; a view's gradient is the view backwards. */
typedef struct nn__list { int32_t n, pad; int64_t at[NN_MAX_DIMS]; } nn__list; /* a shape or axes, as attributes: no stray bytes */

static nn__list nn__list_of(nn_shape s) {
    nn__list l;
    memset(&l, 0, sizeof l);
    l.n = s.ndim;
    for (int i = 0; i < s.ndim; i++) l.at[i] = s.dim[i];
    return l;
}
static nn_shape nn__shape_from(const void *list) {
    const nn__list *l = (const nn__list *)list;
    nn_shape        s = nn__shape_none();
    s.ndim = l->n;
    for (int i = 0; i < l->n; i++) s.dim[i] = l->at[i];
    return s;
}

/* The strides with which a view of x has shape s; 0 if only a copy can. Axes are matched group by group: [2,6] as
   [2,3,2] splits one, [2,3,2] as [6,2] joins two, if the joined ones follow each other in memory. */
static int nn__view_strides(const nn_tensor *x, nn_shape s, int64_t *stride) {
    int     xi = 0, si = 0;
    int64_t next = 1;
    if (nn_numel(x) == 0 || nn_is_contiguous(x)) {
        for (int i = s.ndim - 1; i >= 0; i--) { stride[i] = next; next *= s.dim[i] ? s.dim[i] : 1; }
        return 1;
    }
    while (xi < x->ndim || si < s.ndim) {
        int64_t xn = xi < x->ndim ? x->size[xi] : 1, sn = si < s.ndim ? s.dim[si] : 1;
        int     xe = xi < x->ndim ? xi + 1 : xi, se = si < s.ndim ? si + 1 : si, last;
        while (xn != sn) {
            if (xn < sn) xn *= x->size[xe++];
            else sn *= s.dim[se++];
        }
        for (last = xi; last < xe; last++) { /* x's axes xi ... xe-1 must be evenly spaced, those of size 1 apart */
            int after = last + 1;
            if (x->size[last] == 1) continue;
            while (after < xe && x->size[after] == 1) after++;
            if (after < xe && x->stride[last] != x->stride[after] * x->size[after]) return 0;
            next = x->stride[last];
        }
        if (xn == 1) next = 1;
        for (int i = se - 1; i >= si; i--) { stride[i] = next; next *= s.dim[i]; }
        xi = xe; si = se;
    }
    return 1;
}

/* -- reshape                                          dx = dy, reshaped back -- */
static int nn__shape_reshape(nn_node *n, nn_spec *out) {
    nn__text t;
    out->dtype  = n->in[0]->dtype;
    out->offset = n->in[0]->offset;
    out->shape  = nn__shape_from(n->attr);
    if (nn__view_strides(n->in[0], out->shape, out->stride)) return 1;
    return nn__fail(n->ctx, "reshape", NN__M_NOT_CONTIGUOUS, nn__shape_text(&t, n->in[0]->ndim, n->in[0]->size)); /* nn_reshape copied; a direct nn_apply did not */
}
static void nn__grad_reshape(nn_node *n, nn_tensor **dy, nn_tensor **dx) { dx[0] = nn_reshape(dy[0], nn_shape_of(n->in[0])); }
static int  nn__sample_reshape(nn_ctx *c, nn_dtype real, int k, nn_sample *s) {
    static const nn_shape to[3] = {{3, {5, 1, 3, 0, 0, 0}}, {1, {15, 0, 0, 0, 0, 0}}, {2, {3, 5, 0, 0, 0, 0}}};
    nn__list              l;
    if (k >= 3) return 0;
    l = nn__list_of(to[k]);
    memcpy(s->room, &l, sizeof l);
    s->attr  = s->room;
    s->n_in  = 1;
    s->in[0] = nn__sample_values(c, real, NN_SHAPE(3, 5), k, -1, 1);
    return 1;
}
static const nn_op nn__op_reshape = {"reshape", 1, 1, sizeof(nn__list), NN_OP_VIEW | NN_OP_STRIDED, nn__shape_reshape, NULL, nn__grad_reshape, NULL, NULL, nn__sample_reshape, 0};
NN_API nn_tensor *nn_reshape(nn_tensor *x, nn_shape s) {
    nn__text t, u;
    int      guess = -1;
    int64_t  n = 1, stride[NN_MAX_DIMS];
    nn__list l;
    if (!nn__ok_tensor("reshape", x)) return NULL;
    if (s.ndim < 0 || s.ndim > NN_MAX_DIMS) return nn__fail(x->ctx, "reshape", NN__M_RANK_LIMIT, s.ndim, NN_MAX_DIMS), (nn_tensor *)NULL;
    for (int i = 0; i < s.ndim; i++) {
        if (s.dim[i] == -1 && guess < 0) guess = i;
        else if (s.dim[i] < 0) return nn__fail(x->ctx, "reshape", NN__M_NEGATIVE_SIZE, (long long)s.dim[i], i), (nn_tensor *)NULL;
        else if (s.dim[i] && n > INT64_MAX / s.dim[i]) n = INT64_MAX / 2; /* overflows: cannot match */
        else n *= s.dim[i];
    }
    if (guess >= 0) {
        if (n == 0 || nn_numel(x) % n) return nn__fail(x->ctx, "reshape", NN__M_RESHAPE_GUESS, nn__shape_text(&t, x->ndim, x->size), nn__text_of(&u, s)), (nn_tensor *)NULL;
        s.dim[guess] = nn_numel(x) / n;
        n *= s.dim[guess];
    }
    if (n != nn_numel(x)) return nn__fail(x->ctx, "reshape", NN__M_RESHAPE, nn__shape_text(&t, x->ndim, x->size), (long long)nn_numel(x), nn__text_of(&u, s)), (nn_tensor *)NULL;
    if (!nn__check_shape(x->ctx, "reshape", x->dtype, &s)) return NULL; /* zero elements, and still sizes beyond all strides */
    if (!nn__view_strides(x, s, stride)) x = nn_contiguous(x);
    l = nn__list_of(s);
    return nn__apply1(&nn__op_reshape, x, &l);
}
/* What a plan knows of x must come by a node */
static nn_tensor *nn__detach_later(nn_tensor *x) {
    nn__list   l = nn__list_of(nn_shape_of(x));
    int        was = nn_no_grad(x->ctx, 1);
    nn_tensor *y = nn__apply1(&nn__op_reshape, x, &l);
    nn_no_grad(x->ctx, was);
    return y;
}
NN_API nn_tensor *nn_squeeze(nn_tensor *x, int axis) {
    nn__text t;
    int64_t  a = axis;
    nn_shape s = nn_shape_of(x);
    if (!nn__ok_tensor("squeeze", x) || !nn__check_axis(x->ctx, "squeeze", &a, x->ndim)) return NULL;
    if (s.dim[a] != 1) return nn__fail(x->ctx, "squeeze", NN__M_SQUEEZE, (long long)axis, nn__text_of(&t, s)), (nn_tensor *)NULL;
    s.ndim--;
    for (int i = (int)a; i < s.ndim; i++) s.dim[i] = s.dim[i + 1];
    return nn_reshape(x, s);
}
NN_API nn_tensor *nn_unsqueeze(nn_tensor *x, int axis) {
    int64_t  a = axis;
    nn_shape s = nn_shape_of(x);
    if (!nn__ok_tensor("unsqueeze", x) || !nn__check_axis(x->ctx, "unsqueeze", &a, x->ndim + 1)) return NULL;
    if (x->ndim == NN_MAX_DIMS) return nn__fail(x->ctx, "unsqueeze", NN__M_RANK_LIMIT, x->ndim + 1, NN_MAX_DIMS), (nn_tensor *)NULL;
    for (int i = s.ndim++; i > a; i--) s.dim[i] = s.dim[i - 1];
    s.dim[a] = 1;
    return nn_reshape(x, s);
}
NN_API nn_tensor *nn_flatten(nn_tensor *x, int from) {
    int64_t  a = from;
    nn_shape s = nn_shape_of(x);
    if (!nn__ok_tensor("flatten", x)) return NULL;
    if (x->ndim == 0) return nn_reshape(x, NN_SHAPE(1));
    if (!nn__check_axis(x->ctx, "flatten", &a, x->ndim)) return NULL;
    s.dim[a] = nn__count(x->ndim - (int)a, x->size + a);
    s.ndim   = (int)a + 1;
    return nn_reshape(x, s);
}

/* -- permute                                          dx = dy with the inverse permutation -- */
static int nn__shape_permute(nn_node *n, nn_spec *out) {
    nn_shape axes = nn__shape_from(n->attr);
    out->dtype      = n->in[0]->dtype;
    out->offset     = n->in[0]->offset;
    out->shape.ndim = axes.ndim;
    for (int i = 0; i < axes.ndim; i++) {
        out->shape.dim[i] = n->in[0]->size[axes.dim[i]];
        out->stride[i]    = n->in[0]->stride[axes.dim[i]];
    }
    return 1;
}
static void nn__grad_permute(nn_node *n, nn_tensor **dy, nn_tensor **dx) {
    nn_shape axes = nn__shape_from(n->attr), back = axes;
    for (int i = 0; i < axes.ndim; i++) back.dim[axes.dim[i]] = i;
    dx[0] = nn_permute(dy[0], back);
}
static int nn__sample_permute(nn_ctx *c, nn_dtype real, int k, nn_sample *s) {
    static const nn_shape axes[2] = {{3, {2, 0, 1, 0, 0, 0}}, {3, {1, 0, 2, 0, 0, 0}}};
    nn__list              l;
    if (k >= 2) return 0;
    l = nn__list_of(axes[k]);
    memcpy(s->room, &l, sizeof l);
    s->attr  = s->room;
    s->n_in  = 1;
    s->in[0] = nn__sample_values(c, real, NN_SHAPE(2, 3, 4), k, -1, 1);
    return 1;
}
static const nn_op nn__op_permute = {"permute", 1, 1, sizeof(nn__list), NN_OP_VIEW | NN_OP_STRIDED, nn__shape_permute, NULL, nn__grad_permute, NULL, NULL, nn__sample_permute, 0};
NN_API nn_tensor *nn_permute(nn_tensor *x, nn_shape axes) {
    nn__axes a;
    nn__list l;
    if (!nn__ok_tensor("permute", x)) return NULL;
    if (axes.ndim != x->ndim) return nn__fail(x->ctx, "permute", NN__M_AXES_COUNT, axes.ndim, x->ndim), (nn_tensor *)NULL;
    if (!nn__axes_of("permute", x, axes, 0, &a)) return NULL;
    for (int i = 0; i < axes.ndim; i++) axes.dim[i] = a.axis[i];
    l = nn__list_of(axes);
    return nn__apply1(&nn__op_permute, x, &l);
}
NN_API nn_tensor *nn_transpose(nn_tensor *x, int a, int b) {
    int64_t  i = a, j = b;
    nn_shape axes = nn__shape_none();
    if (!nn__ok_tensor("transpose", x) || !nn__check_axis(x->ctx, "transpose", &i, x->ndim) || !nn__check_axis(x->ctx, "transpose", &j, x->ndim)) return NULL;
    for (axes.ndim = 0; axes.ndim < x->ndim; axes.ndim++) axes.dim[axes.ndim] = axes.ndim;
    axes.dim[i] = j;
    axes.dim[j] = i;
    return nn_permute(x, axes);
}

/* -- slice                                            dx = zeros with dy in the slice's place -- */
typedef struct nn__slice { int64_t axis, start, step, count, size; } nn__slice; /* size: of the axis that was sliced */
static nn_tensor *nn__unslice(nn_tensor *dy, const nn__slice *a) ;
static int nn__shape_slice(nn_node *n, nn_spec *out) {
    const nn__slice *a = (const nn__slice *)n->attr;
    nn_tensor       *x = n->in[0];
    nn_spec_like(out, x);
    for (int i = 0; i < x->ndim; i++) out->stride[i] = x->stride[i];
    out->shape.dim[a->axis] = a->count;
    out->stride[a->axis]    = x->stride[a->axis] * a->step;
    out->offset             = x->offset + (a->count ? x->stride[a->axis] * a->start : 0);
    return 1;
}
static void nn__grad_slice(nn_node *n, nn_tensor **dy, nn_tensor **dx) { dx[0] = nn__unslice(dy[0], (const nn__slice *)n->attr); }
static int  nn__sample_slice(nn_ctx *c, nn_dtype real, int k, nn_sample *s) {
    static const nn__slice a[4] = {{1, 1, 1, 3, 5}, {0, 2, -1, 3, 3}, {1, 0, 2, 3, 5}, {0, 0, 1, 0, 3}};
    if (k >= 4) return 0;
    s->n_in  = 1;
    s->attr  = &a[k];
    s->in[0] = nn__sample_values(c, real, NN_SHAPE(3, 5), k, -1, 1);
    return 1;
}
static const nn_op nn__op_slice = {"slice", 1, 1, sizeof(nn__slice), NN_OP_VIEW | NN_OP_STRIDED, nn__shape_slice, NULL, nn__grad_slice, NULL, NULL, nn__sample_slice, 0};
NN_API nn_tensor *nn_slice(nn_tensor *x, int axis, int64_t start, int64_t stop, int64_t step) { /* Python's rules: out of range is clipped */
    int64_t   a = axis, n, low, high;
    nn__slice s;
    if (!nn__ok_tensor("slice", x) || !nn__check_axis(x->ctx, "slice", &a, x->ndim)) return NULL;
    if (step == 0 || step == INT64_MIN) return nn__fail(x->ctx, "slice", NN__M_SLICE_STEP), (nn_tensor *)NULL;
    n    = x->size[a];
    low  = step > 0 ? 0 : -1;
    high = step > 0 ? n : n - 1;
    if (step < 0 && stop == NN_TO_END) stop = -1; /* to the end of the walk, which is the front */
    else if (stop < 0) stop = nn__max64(stop + n, low);
    else if (stop > high) stop = high;
    if (start < 0) start = nn__max64(start + n, low);
    else if (start > high) start = high;
    memset(&s, 0, sizeof s);
    s.axis  = a;
    s.start = start;
    s.step  = step;
    s.size  = n;
    s.count = step > 0 ? (stop > start ? (stop - start - 1) / step + 1 : 0) : (start > stop ? (start - stop - 1) / -step + 1 : 0);
    if (s.count <= 1) s.step = 1; /* which step does not matter, and x's strides times a huge one would overflow */
    return nn__apply1(&nn__op_slice, x, &s);
}
NN_API nn_tensor *nn_select(nn_tensor *x, int axis, int64_t index) {
    int64_t a = axis, i = index;
    if (!nn__ok_tensor("select", x) || !nn__check_axis(x->ctx, "select", &a, x->ndim)) return NULL;
    if (i < 0) i += x->size[a];
    if (i < 0 || i >= x->size[a]) return nn__fail(x->ctx, "select", NN__M_INDEX, (long long)index, (int)a, (long long)x->size[a]), (nn_tensor *)NULL;
    return nn_squeeze(nn_slice(x, (int)a, i, i + 1, 1), (int)a);
}

/* -- unslice: the gradient of slice                   its own gradient is the slice -- */
static int nn__shape_unslice(nn_node *n, nn_spec *out) {
    const nn__slice *a = (const nn__slice *)n->attr;
    nn_spec_like(out, n->in[0]);
    out->shape.dim[a->axis] = a->size;
    return 1;
}
static void nn__run_unslice(nn_node *n) {
    const nn__slice *a = (const nn__slice *)n->attr;
    nn_tensor        place = *n->out[0];
    nn__fill_data(n->out[0], 0);
    place.size[a->axis] = a->count;
    place.offset += a->count ? place.stride[a->axis] * a->start : 0;
    place.stride[a->axis] *= a->step;
    nn__copy_rows(&place, place.dtype, nn__data(n->in[0]), 0, nn_numel(n->in[0]), 1);
}
static void nn__grad_unslice(nn_node *n, nn_tensor **dy, nn_tensor **dx) { dx[0] = nn__apply1(&nn__op_slice, dy[0], n->attr); }
static int  nn__sample_unslice(nn_ctx *c, nn_dtype real, int k, nn_sample *s) {
    static const nn__slice a[2] = {{1, 1, 2, 2, 5}, {0, 4, -2, 3, 6}};
    if (k >= 2) return 0;
    s->n_in  = 1;
    s->attr  = &a[k];
    s->in[0] = nn__sample_values(c, real, NN_SHAPE(3, 2), k, -1, 1);
    return 1;
}
static const nn_op nn__op_unslice = {"unslice", 1, 1, sizeof(nn__slice), 0, nn__shape_unslice, nn__run_unslice, nn__grad_unslice, NULL, NULL, nn__sample_unslice, 0};
static nn_tensor *nn__unslice(nn_tensor *dy, const nn__slice *a) { return nn__apply1(&nn__op_unslice, dy, a); }

/* -- expand                                           dx = dy; the walk sums it -- */
static int nn__shape_expand(nn_node *n, nn_spec *out) {
    nn_tensor *x = n->in[0];
    int        extra;
    out->dtype  = x->dtype;
    out->offset = x->offset;
    out->shape  = nn__shape_from(n->attr);
    extra       = out->shape.ndim - x->ndim;
    for (int i = 0; i < out->shape.ndim; i++) out->stride[i] = i < extra || x->size[i - extra] != out->shape.dim[i] ? 0 : x->stride[i - extra];
    return 1;
}
static void nn__grad_expand(nn_node *n, nn_tensor **dy, nn_tensor **dx) { (void)n; dx[0] = dy[0]; }
static int  nn__sample_expand(nn_ctx *c, nn_dtype real, int k, nn_sample *s) {
    nn__list l;
    if (k >= 2) return 0;
    l = nn__list_of(k ? NN_SHAPE(2, 4) : NN_SHAPE(2, 3, 4));
    memcpy(s->room, &l, sizeof l);
    s->attr  = s->room;
    s->n_in  = 1;
    s->in[0] = nn__sample_values(c, real, k ? NN_SHAPE(4) : NN_SHAPE(3, 1), k, -1, 1);
    return 1;
}
static const nn_op nn__op_expand = {"expand", 1, 1, sizeof(nn__list), NN_OP_VIEW | NN_OP_STRIDED, nn__shape_expand, NULL, nn__grad_expand, NULL, NULL, nn__sample_expand, 0};
NN_API nn_tensor *nn_expand(nn_tensor *x, nn_shape s) {
    nn__text t, u;
    nn__list l;
    int      extra = x ? s.ndim - x->ndim : 0;
    if (!nn__ok_tensor("expand", x) || !nn__check_shape(x->ctx, "expand", x->dtype, &s)) return NULL;
    for (int i = 0; i < x->ndim; i++)
        if (extra < 0 || (x->size[i] != s.dim[i + extra] && x->size[i] != 1)) return nn__fail(x->ctx, "expand", NN__M_EXPAND, nn__shape_text(&t, x->ndim, x->size), nn__text_of(&u, s)), (nn_tensor *)NULL;
    l = nn__list_of(s);
    return nn__apply1(&nn__op_expand, x, &l);
}

/* -- copy (a contiguous copy)                         dx = dy -- */
typedef struct nn__copy_work { nn_tensor *x, *y; } nn__copy_work;
static void nn__copy_part(void *arg, int64_t begin, int64_t end, int worker) {
    nn__copy_work *w = (nn__copy_work *)arg;
    (void)worker;
    nn__copy_rows(w->x, w->y->dtype, nn__data(w->y), begin, end, 0);
}
static void nn__run_copy(nn_node *n) {
    nn__copy_work w;
    w.x = n->in[0];
    w.y = n->out[0];
    nn__parallel(n->ctx, nn_numel(w.y), 0.5, nn__copy_part, &w);
}
static int  nn__shape_copy(nn_node *n, nn_spec *out) { nn_spec_like(out, n->in[0]); return 1; }
static void nn__grad_copy(nn_node *n, nn_tensor **dy, nn_tensor **dx) { (void)n; dx[0] = dy[0]; }
static const nn_op nn__op_copy = {"copy", 1, 1, 0, NN_OP_STRIDED, nn__shape_copy, nn__run_copy, nn__grad_copy, NULL, NULL, nn__sample_unary, 0};
NN_API nn_tensor *nn_clone(nn_tensor *x) { return nn__apply1(&nn__op_copy, x, NULL); }
NN_API nn_tensor *nn_contiguous(nn_tensor *x) { return x && nn__ok(x->ctx) && nn_is_contiguous(x) ? x : nn_clone(x); }

/* -- assign: x = y in place; an op only while a plan is recorded, for nn_assign runs at once -- */
static int  nn__shape_assign(nn_node *n, nn_spec *out) { return (void)n, (void)out, 1; }
static void nn__run_assign(nn_node *n) {
    nn_tensor *x = n->in[0], *y = n->in[1];
    x->st->version++;
    nn__copy_rows(x, x->dtype, nn__data(y), 0, nn_numel(x), 1);
}
static const nn_op nn__op_assign = {"assign", 2, 0, 0, NN_OP_WRITES | NN_OP_STRIDED, nn__shape_assign, nn__run_assign, NULL, NULL, NULL, NULL, 0};
static int nn__assign_later(nn_tensor *x, nn_tensor *from) { /* from: contiguous; checked by nn_assign */
    nn_tensor *in[2], *none;
    if (x->needs_grad && !x->ctx->no_grad) return nn__fail(x->ctx, "assign", NN__M_IN_PLACE);
    x->st->version++; /* as the run will: backward notices while it is recorded */
    in[0] = x; in[1] = from;
    return nn_apply(&nn__op_assign, in, 2, NULL, &none);
}

/* -- cast                                             dx = dy, cast back -- */
static int nn__shape_cast(nn_node *n, nn_spec *out) {
    nn_spec_like(out, n->in[0]);
    out->dtype = (nn_dtype) * (const int *)n->attr;
    return (unsigned)out->dtype < NN_DTYPES || nn__fail(n->ctx, "cast", NN__M_DTYPE_BAD, (int)out->dtype);
}
static void nn__grad_cast(nn_node *n, nn_tensor **dy, nn_tensor **dx) { dx[0] = nn_cast(dy[0], n->in[0]->dtype); }
static int  nn__sample_cast(nn_ctx *c, nn_dtype real, int k, nn_sample *s) { /* the op test's own dtype: a cast to f32 would lose what finite differences need */
    int to = (int)real;
    memcpy(s->room, &to, sizeof to);
    s->attr = s->room;
    return nn__sample_unary(c, real, k, s);
}
static const nn_op nn__op_cast = {"cast", 1, 1, sizeof(int), NN_OP_STRIDED, nn__shape_cast, nn__run_copy, nn__grad_cast, NULL, NULL, nn__sample_cast, 0};
NN_API nn_tensor *nn_cast(nn_tensor *x, nn_dtype dtype) {
    int d = (int)dtype;
    return x && nn__ok(x->ctx) && x->dtype == dtype ? x : nn__apply1(&nn__op_cast, x, &d);
}

/* -- concat                                           dx[i] = dy's slice -- */
static int nn__shape_concat(nn_node *n, nn_spec *out) {
    nn__text t, u;
    int      axis = *(const int *)n->attr;
    nn_spec_like(out, n->in[0]);
    for (int i = 1; i < n->n_in; i++) {
        nn_tensor *x = n->in[i];
        if (x->dtype != n->in[0]->dtype) return nn__fail(n->ctx, "concat", NN__M_DTYPES_DIFFER, nn_dtype_name(n->in[0]->dtype), nn_dtype_name(x->dtype));
        for (int d = 0; d < x->ndim || d < n->in[0]->ndim; d++)
            if (x->ndim != n->in[0]->ndim || (d != axis && x->size[d] != n->in[0]->size[d]))
                return nn__fail(n->ctx, "concat", NN__M_SHAPES_DIFFER, "but for the axis, operand 1", nn__shape_text(&t, n->in[0]->ndim, n->in[0]->size), "a later one", nn__shape_text(&u, x->ndim, x->size));
        out->shape.dim[axis] += x->size[axis];
    }
    return 1;
}
static void nn__run_concat(nn_node *n) {
    int     axis  = *(const int *)n->attr;
    size_t  e     = nn__dtypes[n->out[0]->dtype].size;
    int64_t outer = nn__count(axis, n->out[0]->size), row = nn__count(n->out[0]->ndim - axis, n->out[0]->size + axis), at = 0;
    for (int i = 0; i < n->n_in; i++) {
        int64_t part = nn__count(n->in[i]->ndim - axis, n->in[i]->size + axis);
        for (int64_t o = 0; o < outer && part; o++) memcpy((char *)nn__data(n->out[0]) + (size_t)(o * row + at) * e, (char *)nn__data(n->in[i]) + (size_t)(o * part) * e, (size_t)part * e);
        at += part;
    }
}
static void nn__grad_concat(nn_node *n, nn_tensor **dy, nn_tensor **dx) {
    int     axis = *(const int *)n->attr;
    int64_t at = 0;
    for (int i = 0; i < n->n_in; i++) {
        int64_t size = nn_dim(n->in[i], axis);
        if (nn_wants(n, i)) dx[i] = nn_slice(dy[0], axis, at, at + size, 1);
        at += size;
    }
}
static int nn__sample_concat(nn_ctx *c, nn_dtype real, int k, nn_sample *s) {
    static const int axis[2] = {1, 0};
    if (k >= 2) return 0;
    s->n_in  = 3;
    s->attr  = &axis[k];
    s->in[0] = nn__sample_values(c, real, NN_SHAPE(2, 3), k, -1, 1);
    s->in[1] = nn__sample_values(c, real, k ? NN_SHAPE(1, 3) : NN_SHAPE(2, 1), k + 1, -1, 1);
    s->in[2] = nn__sample_values(c, real, k ? NN_SHAPE(0, 3) : NN_SHAPE(2, 4), k + 2, -1, 1);
    return 1;
}
static const nn_op nn__op_concat = {"concat", -1, 1, sizeof(int), 0, nn__shape_concat, nn__run_concat, nn__grad_concat, NULL, NULL, nn__sample_concat, 0};
NN_API nn_tensor *nn_concat(nn_tensor **list, int n, int axis) {
    nn_tensor *y;
    int64_t    a = axis;
    int        at;
    if (!list || n < 1) return NULL;
    if (list[0] && (!nn__ok_tensor("concat", list[0]) || !nn__check_axis(list[0]->ctx, "concat", &a, list[0]->ndim))) return NULL;
    at = (int)a;
    return nn_apply(&nn__op_concat, list, n, &at, &y) ? y : NULL;
}

/* -- gather:  y[o][j][i] = x[o][index[o][j][i]][i]     dx = scatter_add(dy) -- */
static int nn__shape_indexed(nn_node *n, nn_spec *out, int axis) { /* x and index: equal shapes but for the axis */
    nn__text   t, u;
    nn_tensor *x = n->in[0], *k = n->in[1];
    if (!nn__check_integer(n, 1, "the index")) return 0;
    for (int d = 0; d < x->ndim || d < k->ndim; d++)
        if (x->ndim != k->ndim || (d != axis && x->size[d] != k->size[d]))
            return nn__fail(n->ctx, n->op->name, NN__M_SHAPES_DIFFER, "but for the axis, x", nn__shape_text(&t, x->ndim, x->size), "the index", nn__shape_text(&u, k->ndim, k->size));
    nn_spec_like(out, x);
    return 1;
}
static int nn__shape_gather(nn_node *n, nn_spec *out) {
    int axis = *(const int *)n->attr;
    if (!nn__shape_indexed(n, out, axis)) return 0;
    out->shape.dim[axis] = n->in[1]->size[axis];
    return 1;
}
static void nn__run_gather(nn_node *n) {
    nn_tensor *x = n->in[0], *k = n->in[1], *y = n->out[0];
    int        axis  = *(const int *)n->attr;
    size_t     e     = nn__dtypes[x->dtype].size;
    int64_t    inner = nn__count(x->ndim - axis - 1, x->size + axis + 1), from = x->size[axis], to = k->size[axis], total = nn_numel(y);
    if (!nn__check_within(n->ctx, "gather", NN__M_INDEX_VALUE, k, from)) return;
    for (int64_t i = 0; i < total; i++)
        memcpy((char *)nn__data(y) + (size_t)i * e, (char *)nn__data(x) + (size_t)((i / (inner * to) * from + nn__load_int(k->dtype, nn__data(k), i)) * inner + i % inner) * e, e);
}
static void nn__grad_gather(nn_node *n, nn_tensor **dy, nn_tensor **dx) {
    int axis = *(const int *)n->attr;
    dx[0] = nn_scatter_add(dy[0], axis, n->in[1], nn_dim(n->in[0], axis));
}
static int nn__sample_gather(nn_ctx *c, nn_dtype real, int k, nn_sample *s) {
    static const int axis[2] = {1, 0};
    if (k >= 2) return 0;
    s->n_in    = 2;
    s->attr    = &axis[k];
    s->no_grad = 2;
    s->in[0]   = nn__sample_values(c, real, NN_SHAPE(3, 5), k, -1, 1);
    s->in[1]   = nn__sample_classes(c, k ? NN_U8 : NN_I64, k ? NN_SHAPE(4, 5) : NN_SHAPE(3, 2), k ? 3 : 5);
    return 1;
}
static const nn_op nn__op_gather = {"gather", 2, 1, sizeof(int), NN_OP_SAVES_IN, nn__shape_gather, nn__run_gather, nn__grad_gather, NULL, NULL, nn__sample_gather, 0};
NN_API nn_tensor *nn_gather(nn_tensor *x, int axis, nn_tensor *index) {
    int64_t a = axis;
    int     at;
    if (!nn__ok_tensor("gather", x) || !nn__check_axis(x->ctx, "gather", &a, x->ndim)) return NULL;
    at = (int)a;
    return nn__apply2(&nn__op_gather, x, index, &at);
}

/* -- scatter_add:  y = zeros, y[o][index[o][j][i]][i] += x[o][j][i]            dx = gather(dy) -- */
typedef struct nn__scatter { int64_t axis, size; } nn__scatter;
static int nn__shape_scatter(nn_node *n, nn_spec *out) {
    const nn__scatter *a = (const nn__scatter *)n->attr;
    nn__text           t, u;
    if (!nn__check_real(n, 1) || !nn__shape_indexed(n, out, (int)a->axis)) return 0;
    if (!nn__same_shape(n->in[0], n->in[1]))
        return nn__fail(n->ctx, "scatter_add", NN__M_SHAPES_DIFFER, "x", nn__shape_text(&t, n->in[0]->ndim, n->in[0]->size), "the index", nn__shape_text(&u, n->in[1]->ndim, n->in[1]->size));
    out->shape.dim[a->axis] = a->size;
    return 1;
}
static void nn__run_scatter(nn_node *n) {
    const nn__scatter *a = (const nn__scatter *)n->attr;
    nn_tensor         *x = n->in[0], *k = n->in[1], *y = n->out[0];
    int64_t            inner = nn__count(x->ndim - (int)a->axis - 1, x->size + a->axis + 1), from = x->size[a->axis], total = nn_numel(x);
    nn__fill_data(y, 0);
    if (!nn__check_within(n->ctx, "scatter_add", NN__M_INDEX_VALUE, k, a->size)) return;
    for (int64_t i = 0; i < total; i++) { /* in order, so that equal indices always add up alike */
        int64_t at = (i / (inner * from) * a->size + nn__load_int(k->dtype, nn__data(k), i)) * inner + i % inner;
        nn__store(y->dtype, nn__data(y), at, nn__load(y->dtype, nn__data(y), at) + nn__load(x->dtype, nn__data(x), i));
    }
}
static void nn__grad_scatter(nn_node *n, nn_tensor **dy, nn_tensor **dx) { dx[0] = nn_gather(dy[0], (int)((const nn__scatter *)n->attr)->axis, n->in[1]); }
static int  nn__sample_scatter(nn_ctx *c, nn_dtype real, int k, nn_sample *s) {
    static const nn__scatter a[2] = {{1, 3}, {0, 4}};
    if (k >= 2) return 0;
    s->n_in    = 2;
    s->attr    = &a[k];
    s->no_grad = 2;
    s->in[0]   = nn__sample_values(c, real, NN_SHAPE(3, 5), k, -1, 1);
    s->in[1]   = nn__sample_classes(c, NN_I32, NN_SHAPE(3, 5), a[k].size);
    return 1;
}
static const nn_op nn__op_scatter_add = {"scatter_add", 2, 1, sizeof(nn__scatter), NN_OP_FLOAT | NN_OP_SAVES_IN, nn__shape_scatter, nn__run_scatter, nn__grad_scatter, NULL, nn__cost_input, nn__sample_scatter, 0};
NN_API nn_tensor *nn_scatter_add(nn_tensor *x, int axis, nn_tensor *index, int64_t size) {
    nn__scatter s;
    int64_t     a = axis;
    if (!nn__ok_tensor("scatter_add", x) || !nn__check_axis(x->ctx, "scatter_add", &a, x->ndim)) return NULL;
    s.axis = a;
    s.size = size;
    return nn__apply2(&nn__op_scatter_add, x, index, &s);
}

/* -- one_hot:  [...] -> [..., classes]                constant -- */
typedef struct nn__one_hot { int64_t classes, dtype; } nn__one_hot;
static int nn__shape_one_hot(nn_node *n, nn_spec *out) {
    const nn__one_hot *a = (const nn__one_hot *)n->attr;
    nn_spec_like(out, n->in[0]);
    if (!nn__check_integer(n, 0, "the index")) return 0;
    if (out->shape.ndim == NN_MAX_DIMS) return nn__fail(n->ctx, "one_hot", NN__M_RANK_LIMIT, NN_MAX_DIMS + 1, NN_MAX_DIMS);
    out->dtype = (nn_dtype)a->dtype;
    out->shape.dim[out->shape.ndim++] = a->classes;
    return 1;
}
static void nn__run_one_hot(nn_node *n) {
    const nn__one_hot *a = (const nn__one_hot *)n->attr;
    nn__fill_data(n->out[0], 0);
    if (!nn__check_within(n->ctx, "one_hot", NN__M_INDEX_VALUE, n->in[0], a->classes)) return;
    for (int64_t i = 0; i < nn_numel(n->in[0]); i++) nn__store(n->out[0]->dtype, nn__data(n->out[0]), i * a->classes + nn__load_int(n->in[0]->dtype, nn__data(n->in[0]), i), 1);
}
static const nn_op nn__op_one_hot = {"one_hot", 1, 1, sizeof(nn__one_hot), NN_OP_NO_GRAD, nn__shape_one_hot, nn__run_one_hot, NULL, NULL, NULL, NULL, 0};
NN_API nn_tensor *nn_one_hot(nn_tensor *index, int64_t classes, nn_dtype real) {
    nn__one_hot a;
    a.classes = classes;
    a.dtype   = (int64_t)real;
    return nn__apply1(&nn__op_one_hot, index, &a);
}

/* -- scatter:  y = x but y[o][index[o][j][i]][i] = from[o][j][i]        dx = dy with zeros there, dfrom = gather(dy) where from won -- */
static int nn__shape_scatter_set(nn_node *n, nn_spec *out) {
    nn__text   t, u;
    nn_tensor *x = n->in[0], *k = n->in[1], *from = n->in[2];
    if (x->dtype != from->dtype) return nn__fail(n->ctx, "scatter", NN__M_DTYPES_DIFFER, nn_dtype_name(x->dtype), nn_dtype_name(from->dtype));
    if (!nn__same_shape(k, from))
        return nn__fail(n->ctx, "scatter", NN__M_SHAPES_DIFFER, "from", nn__shape_text(&t, from->ndim, from->size), "the index", nn__shape_text(&u, k->ndim, k->size));
    return nn__shape_indexed(n, out, *(const int *)n->attr);
}
static void nn__run_scatter_set(nn_node *n) {
    nn_tensor *x = n->in[0], *k = n->in[1], *y = n->out[0];
    int        axis = *(const int *)n->attr;
    size_t     e = nn__dtypes[x->dtype].size;
    int64_t    inner = nn__count(x->ndim - axis - 1, x->size + axis + 1), from = k->size[axis], to = x->size[axis];
    memcpy(nn__data(y), nn__data(x), (size_t)nn_numel(x) * e);
    if (!nn__check_within(n->ctx, "scatter", NN__M_INDEX_VALUE, k, to)) return;
    for (int64_t i = 0; i < nn_numel(k); i++)
        memcpy((char *)nn__data(y) + (size_t)((i / (inner * from) * to + nn__load_int(k->dtype, nn__data(k), i)) * inner + i % inner) * e, (char *)nn__data(n->in[2]) + (size_t)i * e, e);
}
static void nn__grad_scatter_set(nn_node *n, nn_tensor **dy, nn_tensor **dx) {
    nn_tensor *k = n->in[1], *from = n->in[2];
    int        axis = *(const int *)n->attr;
    if (nn_wants(n, 0)) dx[0] = nn_scatter(dy[0], axis, k, nn_expand(nn_scalar_like(from, 0), nn_shape_of(from)));
    if (nn_wants(n, 2)) { /* of several that meet in one place, the one whose number is read back won */
        nn_tensor *number = nn_reshape(nn_arange(n->ctx, NN_I64, 0, (double)nn_numel(k), 1), nn_shape_of(k));
        nn_tensor *none = nn_expand(nn_full(n->ctx, NN_I64, NN_SCALAR, -1), nn_shape_of(n->in[0]));
        dx[2] = nn__mask_apply(nn_gather(dy[0], axis, k), nn_equal(nn_gather(nn_scatter(none, axis, k, number), axis, k), number), 1);
    }
}
static int nn__sample_scatter_set(nn_ctx *c, nn_dtype real, int k, nn_sample *s) {
    static const int axis[2] = {1, 0};
    if (k >= 2) return 0;
    s->n_in    = 3;
    s->attr    = &axis[k];
    s->no_grad = 2;
    s->in[0]   = nn__sample_values(c, real, NN_SHAPE(3, 5), k, -1, 1);
    s->in[1]   = nn__sample_classes(c, k ? NN_I32 : NN_I64, k ? NN_SHAPE(4, 5) : NN_SHAPE(3, 2), k ? 3 : 5);
    s->in[2]   = nn__sample_values(c, real, nn_shape_of(s->in[1]), k + 1, -1, 1);
    return 1;
}
static const nn_op nn__op_scatter = {"scatter", 3, 1, sizeof(int), NN_OP_SAVES_IN, nn__shape_scatter_set, nn__run_scatter_set, nn__grad_scatter_set, NULL, NULL, nn__sample_scatter_set, 0};
NN_API nn_tensor *nn_scatter(nn_tensor *x, int axis, nn_tensor *index, nn_tensor *from) {
    int64_t a = axis;
    int     at;
    if (!nn__ok_tensor("scatter", x) || !nn__check_axis(x->ctx, "scatter", &a, x->ndim)) return NULL;
    at = (int)a;
    return nn__apply3(&nn__op_scatter, x, index, from, &at);
}
NN_API nn_tensor *nn_take_along(nn_tensor *x, int axis, nn_tensor *index) {
    nn_shape xs, ks;
    int64_t  a = axis;
    if (!nn__ok_tensor("take_along", x) || !nn__ok_arg(x->ctx, "take_along", index, "the index") || !nn__check_axis(x->ctx, "take_along", &a, x->ndim)) return NULL;
    xs = nn_shape_of(x);
    ks = nn_shape_of(index);
    for (int i = 0; i < xs.ndim && xs.ndim == ks.ndim; i++) {
        if (i == a) continue;
        if (xs.dim[i] == 1) xs.dim[i] = ks.dim[i];
        if (ks.dim[i] == 1) ks.dim[i] = xs.dim[i];
    }
    return nn_gather(nn_expand(x, xs), axis, nn_expand(index, ks));
}

/* -- index_select:  y[o][j][i] = x[o][index[j]][i]     dx = index_add(dy) -- */
static int nn__check_vector(nn_node *n, int i, const char *name) {
    nn__text t;
    return nn__check_integer(n, i, name) && (n->in[i]->ndim == 1 || nn__fail(n->ctx, n->op->name, NN__M_RANK, name, nn__shape_text(&t, n->in[i]->ndim, n->in[i]->size), "1"));
}
static int nn__shape_index_select(nn_node *n, nn_spec *out) {
    if (!nn__check_vector(n, 1, "the index")) return 0;
    nn_spec_like(out, n->in[0]);
    out->shape.dim[*(const int64_t *)n->attr] = n->in[1]->size[0];
    return 1;
}
static void nn__index_select_rows(void *arg, int64_t begin, int64_t end, int worker) { /* rows of the output: (outer, j) */
    nn_node   *n = (nn_node *)arg;
    nn_tensor *x = n->in[0], *k = n->in[1];
    int        axis = (int)*(const int64_t *)n->attr;
    int64_t    count = k->size[0], size = x->size[axis];
    size_t     row = (size_t)nn__count(x->ndim - axis - 1, x->size + axis + 1) * nn__dtypes[x->dtype].size;
    (void)worker;
    for (int64_t r = begin; r < end; r++)
        memcpy((char *)nn__data(n->out[0]) + (size_t)r * row, (char *)nn__data(x) + (size_t)(r / count * size + nn__load_int(k->dtype, nn__data(k), r % count)) * row, row);
}
static void nn__run_index_select(nn_node *n) {
    nn_tensor *x = n->in[0], *k = n->in[1];
    int        axis = (int)*(const int64_t *)n->attr;
    if (!nn__check_within(n->ctx, "index_select", NN__M_INDEX_VALUE, k, x->size[axis]) || nn_numel(n->out[0]) == 0) return;
    nn__parallel(n->ctx, nn__count(axis, x->size) * k->size[0], 5 + 0.3 * (double)nn__count(x->ndim - axis - 1, x->size + axis + 1), nn__index_select_rows, n);
}
static void nn__grad_index_select(nn_node *n, nn_tensor **dy, nn_tensor **dx) {
    int axis = (int)*(const int64_t *)n->attr;
    dx[0] = nn_index_add(dy[0], axis, n->in[1], nn_dim(n->in[0], axis));
}
static int nn__sample_index_select(nn_ctx *c, nn_dtype real, int k, nn_sample *s) {
    static const int64_t axis[3] = {1, 0, 1};
    if (k >= 3) return 0;
    s->n_in    = 2;
    s->attr    = &axis[k];
    s->no_grad = 2;
    s->in[0]   = nn__sample_values(c, real, k ? NN_SHAPE(3, 5) : NN_SHAPE(2, 3, 4), k, -1, 1);
    s->in[1]   = nn__sample_classes(c, k ? NN_I64 : NN_U8, NN_SHAPE(k == 2 ? 0 : 7), 3);
    return 1;
}
static const nn_op nn__op_index_select = {"index_select", 2, 1, sizeof(int64_t), NN_OP_SAVES_IN, nn__shape_index_select, nn__run_index_select, nn__grad_index_select, NULL, NULL, nn__sample_index_select, 0};
NN_API nn_tensor *nn_index_select(nn_tensor *x, int axis, nn_tensor *index) {
    int64_t    a = axis;
    nn_shape   s = nn__shape_none();
    nn_tensor *y;
    if (!nn__ok_tensor("index_select", x) || !nn__check_axis(x->ctx, "index_select", &a, x->ndim) || !nn__ok_arg(x->ctx, "index_select", index, "the index")) return NULL;
    if (x->ndim - 1 + index->ndim > NN_MAX_DIMS) return nn__fail(x->ctx, "index_select", NN__M_RANK_LIMIT, x->ndim - 1 + index->ndim, NN_MAX_DIMS), (nn_tensor *)NULL;
    y = nn__apply2(&nn__op_index_select, x, index->ndim == 1 ? index : nn_reshape(index, NN_SHAPE(nn_numel(index))), &a);
    for (int i = 0; i < x->ndim; i++)
        if (i != a) s.dim[s.ndim++] = x->size[i];
        else for (int k = 0; k < index->ndim; k++) s.dim[s.ndim++] = index->size[k];
    return index->ndim == 1 ? y : nn_reshape(y, s);
}

/* -- index_add:  y = zeros, y[o][index[j]][i] += x[o][j][i]              dx = index_select(dy) -- */
static int nn__shape_index_add(nn_node *n, nn_spec *out) {
    const nn__scatter *a = (const nn__scatter *)n->attr;
    nn__text           t, u;
    nn_tensor         *x = n->in[0], *k = n->in[1];
    if (!nn__check_real(n, 1) || !nn__check_vector(n, 1, "the index")) return 0;
    if (x->size[a->axis] != k->size[0])
        return nn__fail(n->ctx, "index_add", NN__M_SIZES_DIFFER, nn__shape_text(&t, x->ndim, x->size), "the index", nn__shape_text(&u, 1, k->size), (long long)x->size[a->axis], (long long)k->size[0]);
    nn_spec_like(out, x);
    out->shape.dim[a->axis] = a->size;
    return 1;
}
static void nn__index_add_columns(void *arg, int64_t begin, int64_t end, int worker) { /* the rows in order, so that equal indices always add up alike */
    nn_node           *n = (nn_node *)arg;
    const nn__scatter *a = (const nn__scatter *)n->attr;
    nn_tensor         *x = n->in[0], *k = n->in[1], *y = n->out[0];
    size_t             e = nn__dtypes[x->dtype].size;
    int64_t            inner = nn__count(x->ndim - (int)a->axis - 1, x->size + a->axis + 1), count = k->size[0];
    nn__binary_fn      add = nn__kernels_for(n->ctx, x->dtype)->add;
    (void)worker;
    for (int64_t r = 0; r < nn__count((int)a->axis, x->size) * count; r++) {
        char *to = (char *)nn__data(y) + (size_t)((r / count * a->size + nn__load_int(k->dtype, nn__data(k), r % count)) * inner + begin) * e;
        add(to, 1, (char *)nn__data(x) + (size_t)(r * inner + begin) * e, 1, to, end - begin, NULL);
    }
}
static void nn__run_index_add(nn_node *n) {
    const nn__scatter *a = (const nn__scatter *)n->attr;
    nn_tensor         *x = n->in[0];
    int64_t            inner = nn__count(x->ndim - (int)a->axis - 1, x->size + a->axis + 1);
    nn__fill_data(n->out[0], 0);
    if (nn__check_within(n->ctx, "index_add", NN__M_INDEX_VALUE, n->in[1], a->size) && nn_numel(x)) nn__parallel(n->ctx, inner, 0.5 * (double)(nn_numel(x) / inner), nn__index_add_columns, n);
}
static void nn__grad_index_add(nn_node *n, nn_tensor **dy, nn_tensor **dx) { dx[0] = nn_index_select(dy[0], (int)((const nn__scatter *)n->attr)->axis, n->in[1]); }
static int  nn__sample_index_add(nn_ctx *c, nn_dtype real, int k, nn_sample *s) {
    static const nn__scatter a[3] = {{1, 4}, {0, 5}, {1, 6}};
    if (k >= 3) return 0;
    s->n_in    = 2;
    s->attr    = &a[k];
    s->no_grad = 2;
    s->in[0]   = nn__sample_values(c, real, k ? NN_SHAPE(3, 5) : NN_SHAPE(2, 3, 4), k, -1, 1);
    s->in[1]   = nn__sample_classes(c, NN_I32, NN_SHAPE(k == 2 ? 5 : 3), 3);
    return 1;
}
static const nn_op nn__op_index_add = {"index_add", 2, 1, sizeof(nn__scatter), NN_OP_FLOAT | NN_OP_SAVES_IN, nn__shape_index_add, nn__run_index_add, nn__grad_index_add, NULL, nn__cost_input, nn__sample_index_add, 0};
NN_API nn_tensor *nn_index_add(nn_tensor *x, int axis, nn_tensor *index, int64_t size) {
    nn__scatter s;
    int64_t     a = axis;
    if (!nn__ok_tensor("index_add", x) || !nn__check_axis(x->ctx, "index_add", &a, x->ndim)) return NULL;
    s.axis = a;
    s.size = size;
    return nn__apply2(&nn__op_index_add, x, index, &s);
}

/* -- made of those above -- */
NN_API nn_tensor *nn_flip(nn_tensor *x, nn_shape axes) {
    nn__axes a;
    if (!nn__axes_of("flip", x, axes, 0, &a)) return NULL;
    for (int i = 0; i < a.n; i++) x = nn_slice(x, a.axis[i], NN_TO_END, NN_TO_END, -1);
    return x;
}
NN_API nn_tensor *nn_repeat(nn_tensor *x, int64_t n) {
    nn_shape s = nn_shape_of(x);
    if (!nn__ok_tensor("repeat", x)) return NULL;
    if (s.ndim == NN_MAX_DIMS) return nn__fail(x->ctx, "repeat", NN__M_RANK_LIMIT, s.ndim + 1, NN_MAX_DIMS), (nn_tensor *)NULL;
    for (int i = s.ndim++; i > 0; i--) s.dim[i] = s.dim[i - 1];
    s.dim[0] = n;
    return nn_expand(x, s);
}
NN_API int nn_split(nn_tensor *x, int axis, nn_shape sizes, nn_tensor **parts) {
    nn__text t, u;
    int64_t  a = axis, sum = 0, at = 0;
    int      guess = -1;
    if (!nn__ok_tensor("split", x) || !nn__ok_arg(x->ctx, "split", parts, "the result") || !nn__check_axis(x->ctx, "split", &a, x->ndim)) return 0;
    for (int i = 0; i < sizes.ndim && i < NN_MAX_DIMS; i++) {
        parts[i] = NULL;
        if (sizes.dim[i] == -1 && guess < 0) guess = i;
        else if (sizes.dim[i] < 0 || sizes.dim[i] > x->size[a] - sum) sum = INT64_MAX / 2;
        else sum += sizes.dim[i];
    }
    if (guess >= 0 && sum <= x->size[a]) { sizes.dim[guess] = x->size[a] - sum; sum = x->size[a]; }
    if (sum != x->size[a] || sizes.ndim > NN_MAX_DIMS)
        return nn__fail(x->ctx, "split", NN__M_SIZES_DIFFER, nn__shape_text(&t, x->ndim, x->size), "sizes", nn__text_of(&u, sizes), (long long)x->size[a], (long long)sum);
    for (int i = 0; i < sizes.ndim; i++) {
        parts[i] = nn_slice(x, (int)a, at, at + sizes.dim[i], 1);
        at += sizes.dim[i];
    }
    return !x->ctx->error;
}
NN_API int nn_chunk(nn_tensor *x, int axis, int n, nn_tensor **parts) {
    int64_t a = axis, each;
    int     made = 0;
    if (!nn__ok_tensor("chunk", x) || !nn__ok_arg(x->ctx, "chunk", parts, "the result") || !nn__check_axis(x->ctx, "chunk", &a, x->ndim)) return 0;
    if (n < 1) return nn__fail(x->ctx, "chunk", NN__M_OPTION, "n", (double)n);
    each = nn__max64(1, nn__ceil_div(x->size[a], n));
    for (int i = 0; i < n; i++) parts[i] = NULL;
    for (int64_t at = 0; at < x->size[a] || !made; at += each) parts[made++] = nn_slice(x, (int)a, at, nn__min64(at + each, x->size[a]), 1);
    return x->ctx->error ? 0 : made;
}
NN_API nn_tensor *nn_stack(nn_tensor **list, int n, int axis) {
    nn_tensor *room[8], **made = room, *y;
    if (!list || n < 1 || !list[0] || !nn__ok(list[0]->ctx)) return NULL;
    if (n > 8 && !(made = (nn_tensor **)nn__arena(list[0]->ctx, (size_t)n * sizeof *made))) return NULL;
    for (int i = 0; i < n; i++) {
        if (!list[i]) return nn__fail(list[0]->ctx, "stack", NN__M_OPERAND_NULL, i + 1), (nn_tensor *)NULL;
        made[i] = nn_unsqueeze(list[i], axis);
    }
    y = nn_concat(made, n, axis);
    return y;
}
NN_API nn_tensor *nn_pad(nn_tensor *x, int axis, int64_t before, int64_t after, double value) {
    int64_t    a = axis;
    nn_tensor *list[3];
    nn_shape   s;
    if (!nn__ok_tensor("pad", x) || !nn__check_axis(x->ctx, "pad", &a, x->ndim)) return NULL;
    if (before < 0 || after < 0) return nn__fail(x->ctx, "pad", NN__M_OPTION, before < 0 ? "before" : "after", (double)(before < 0 ? before : after)), (nn_tensor *)NULL;
    if (before > INT64_MAX / 8 || after > INT64_MAX / 8) return nn__fail(x->ctx, "pad", NN__M_OPTION, "padding", (double)nn__max64(before, after)), (nn_tensor *)NULL;
    if (value == 0 && x->size[a]) {
        nn__slice place;
        memset(&place, 0, sizeof place);
        place.axis = a; place.start = before; place.step = 1; place.count = x->size[a]; place.size = before + x->size[a] + after;
        return nn__unslice(x, &place);
    }
    s = nn_shape_of(x);
    for (int i = 0; i < 3; i += 2) {
        s.dim[a] = i ? after : before;
        list[i]  = nn_expand(nn_scalar_like(x, value), s);
    }
    list[1] = x;
    return nn_concat(list, 3, (int)a);
}
NN_API nn_tensor *nn_pad_with(nn_tensor *x, int axis, int64_t before, int64_t after, nn_padding how) {
    int64_t    a = axis, n;
    nn_tensor *index;
    if (!nn__ok_tensor("pad", x) || !nn__check_axis(x->ctx, "pad", &a, x->ndim)) return NULL;
    if ((unsigned)how > NN_PAD_CIRCULAR) return nn__fail(x->ctx, "pad", NN__M_OPTION, "how", (double)how), (nn_tensor *)NULL;
    n = x->size[a];
    for (int i = 0; i < 2; i++) {
        int64_t by = i ? after : before, most = how == NN_PAD_REFLECT ? n - 1 : how == NN_PAD_CIRCULAR ? n : n ? INT64_MAX / 8 : 0;
        if (by < 0 || by > most) return nn__fail(x->ctx, "pad", NN__M_OPTION, i ? "after" : "before", (double)by), (nn_tensor *)NULL;
    }
    index = nn__tensor(x->ctx, "pad", NN_I64, NN_SHAPE(before + n + after));
    if (index && index->st->data)
        for (int64_t i = 0; i < before + n + after; i++) {
            int64_t j = i - before;
            if (j < 0) j = how == NN_PAD_REFLECT ? -j : how == NN_PAD_CIRCULAR ? j + n : 0;
            if (j >= n) j = how == NN_PAD_REFLECT ? 2 * (n - 1) - j : how == NN_PAD_CIRCULAR ? j - n : n - 1;
            ((int64_t *)index->st->data)[i] = j;
        }
    return nn_index_select(x, (int)a, index);
}
NN_API nn_tensor *nn_roll(nn_tensor *x, int axis, int64_t by) {
    int64_t    a = axis, n;
    nn_tensor *list[2];
    if (!nn__ok_tensor("roll", x) || !nn__check_axis(x->ctx, "roll", &a, x->ndim)) return NULL;
    n = x->size[a];
    if (n == 0) return x;
    by = ((by % n) + n) % n;
    if (by == 0) return x;
    list[0] = nn_slice(x, (int)a, n - by, n, 1);
    list[1] = nn_slice(x, (int)a, 0, n - by, 1);
    return nn_concat(list, 2, (int)a);
}
NN_API nn_tensor *nn_tile(nn_tensor *x, int axis, int64_t n) {
    int64_t    a = axis;
    nn_tensor *y;
    nn_shape   s;
    if (!nn__ok_tensor("tile", x) || !nn__check_axis(x->ctx, "tile", &a, x->ndim) || !(y = nn_unsqueeze(x, (int)a))) return NULL;
    s        = nn_shape_of(y);
    s.dim[a] = n;
    y        = nn_expand(y, s);
    s        = nn_shape_of(x);
    s.dim[a] *= n < 0 ? 0 : n;
    return y ? nn_reshape(y, s) : NULL;
}
static nn_tensor *nn__triangle(const char *name, nn_tensor *x, int64_t k, int upper) {
    nn__text   t;
    nn_tensor *row, *column;
    if (!nn__ok_tensor(name, x)) return NULL;
    if (x->ndim < 2) return nn__fail(x->ctx, name, NN__M_RANK, "x", nn__shape_text(&t, x->ndim, x->size), "at least 2"), (nn_tensor *)NULL;
    row    = nn_unsqueeze(nn_arange(x->ctx, NN_I64, (double)k, (double)(k + nn_dim(x, -2)), 1), 1); /* row + k, column: [n,1], [m] */
    column = nn_arange(x->ctx, NN_I64, 0, (double)nn_dim(x, -1), 1);
    return nn_where(upper ? nn_greater_equal(column, row) : nn_less_equal(column, row), x, nn_scalar_like(x, 0));
}
NN_API nn_tensor *nn_tril(nn_tensor *x, int64_t k) { return nn__triangle("tril", x, k, 0); }
NN_API nn_tensor *nn_triu(nn_tensor *x, int64_t k) { return nn__triangle("triu", x, k, 1); }
NN_API nn_tensor *nn_diagonal(nn_tensor *x, int64_t offset) { /* every (m+1)-th element of the matrix as one row */
    nn__text t;
    int64_t  n, m, count, start;
    if (!nn__ok_tensor("diagonal", x)) return NULL;
    if (x->ndim < 2) return nn__fail(x->ctx, "diagonal", NN__M_RANK, "x", nn__shape_text(&t, x->ndim, x->size), "at least 2"), (nn_tensor *)NULL;
    n     = nn_dim(x, -2);
    m     = nn_dim(x, -1);
    count = offset >= m || offset <= -n ? 0 : offset >= 0 ? nn__min64(n, m - offset) : nn__min64(n + offset, m);
    start = count == 0 ? 0 : offset >= 0 ? offset : -offset * m;
    return nn_slice(nn_flatten(x, -2), -1, start, count ? start + (count - 1) * (m + 1) + 1 : start, m + 1);
}
NN_API nn_tensor *nn_diag(nn_tensor *x, int64_t offset) {
    nn__text  t;
    nn__slice place;
    int64_t   n = nn_dim(x, -1), m, by = offset < 0 ? -offset : offset;
    nn_shape  s = nn_shape_of(x);
    if (!nn__ok_tensor("diag", x)) return NULL;
    if (x->ndim < 1 || x->ndim == NN_MAX_DIMS) return nn__fail(x->ctx, "diag", NN__M_RANK, "x", nn__shape_text(&t, x->ndim, x->size), "1 to 5"), (nn_tensor *)NULL;
    if (by < 0 || by > INT32_MAX || n > INT32_MAX) return nn__fail(x->ctx, "diag", NN__M_OPTION, "offset", (double)offset), (nn_tensor *)NULL;
    m = n + by;
    memset(&place, 0, sizeof place);
    place.axis = x->ndim - 1; place.start = offset >= 0 ? by : by * m; place.step = m + 1; place.count = n; place.size = m * m;
    s.dim[s.ndim - 1] = m;
    s.dim[s.ndim++]   = m;
    return nn_reshape(nn__unslice(x, &place), s);
}
NN_API int nn_meshgrid(nn_tensor **axes, int n, nn_tensor **grids) {
    nn__text t;
    nn_shape s = nn__shape_none();
    nn_ctx  *c = axes && n > 0 && axes[0] ? axes[0]->ctx : NULL;
    if (!nn__ok(c) || !nn__ok_arg(c, "meshgrid", grids, "the result")) return 0;
    if (n > NN_MAX_DIMS) return nn__fail(c, "meshgrid", NN__M_RANK_LIMIT, n, NN_MAX_DIMS);
    for (int i = 0; i < n; i++) {
        grids[i] = NULL;
        if (!nn__ok_arg(c, "meshgrid", axes[i], "an axis")) return 0;
        if (axes[i]->ndim != 1) return nn__fail(c, "meshgrid", NN__M_RANK, "an axis", nn__shape_text(&t, axes[i]->ndim, axes[i]->size), "1");
        s.dim[s.ndim++] = axes[i]->size[0];
    }
    for (int i = 0; i < n; i++) {
        nn_shape one = s;
        for (int k = 0; k < n; k++) one.dim[k] = k == i ? s.dim[i] : 1;
        grids[i] = nn_expand(nn_reshape(axes[i], one), s);
    }
    return !c->error;
}

NN_API nn_tensor *nn_dot(nn_tensor *x, nn_tensor *y) {
    nn__text t, u;
    if (!nn__ok_tensor("dot", x) || !nn__ok_arg(x->ctx, "dot", y, "y")) return NULL;
    if (x->ndim != 1 || !nn__same_shape(x, y))
        return nn__fail(x->ctx, "dot", NN__M_SHAPES_DIFFER, "x", nn__shape_text(&t, x->ndim, x->size), "y", nn__shape_text(&u, y->ndim, y->size)), (nn_tensor *)NULL;
    return nn_reshape(nn_matmul(nn_unsqueeze(x, 0), nn_unsqueeze(y, 1)), NN_SCALAR);
}
NN_API nn_tensor *nn_outer(nn_tensor *x, nn_tensor *y) {
    nn__text t;
    if (!nn__ok_tensor("outer", x) || !nn__ok_arg(x->ctx, "outer", y, "y")) return NULL;
    if (x->ndim != 1 || y->ndim != 1) return nn__fail(x->ctx, "outer", NN__M_RANK, x->ndim != 1 ? "x" : "y", x->ndim != 1 ? nn__shape_text(&t, x->ndim, x->size) : nn__shape_text(&t, y->ndim, y->size), "1"), (nn_tensor *)NULL;
    return nn_mul(nn_unsqueeze(x, 1), y);
}
NN_API nn_tensor *nn_trace(nn_tensor *x) { return nn_sum(nn_diagonal(x, 0), NN_AXES(-1), 0); }

/* Letters of both operands and the result are a batch, those of both only are summed by the product, those of one and the
   result are its rows or columns, those of one only are summed first. */
typedef struct nn__letters { char at[NN_MAX_DIMS + 1]; int n; } nn__letters;
static const char *nn__letters_read(const char *s, nn__letters *l) { /* NULL: too many, twice the same, or something else */
    l->n = 0;
    for (; *s && *s != ',' && *s != '-'; s++) {
        if (*s == ' ') continue;
        if (!((*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z')) || l->n == NN_MAX_DIMS || memchr(l->at, *s, (size_t)l->n)) return NULL;
        l->at[l->n++] = *s;
    }
    return s;
}
static int nn__letter(const nn__letters *l, char ch) {
    for (int i = 0; i < l->n; i++)
        if (l->at[i] == ch) return i;
    return -1;
}
NN_API nn_tensor *nn_einsum(const char *rule, nn_tensor *x, nn_tensor *y) {
    nn__letters l[2], out;
    nn_tensor  *in[2], *z;
    const char *s;
    char        order[4][NN_MAX_DIMS + 1]; /* batch, rows, summed, columns */
    int         n[4] = {0, 0, 0, 0};
    nn_shape    shape = nn__shape_none(), back = nn__shape_none();
    if (!nn__ok_tensor("einsum", x) || !nn__ok_arg(x->ctx, "einsum", y, "y") || !nn__ok_arg(x->ctx, "einsum", rule, "the rule")) return NULL;
    in[0] = x; in[1] = y;
    s = nn__letters_read(rule, &l[0]);
    s = s && *s == ',' ? nn__letters_read(s + 1, &l[1]) : NULL;
    s = s && s[0] == '-' && s[1] == '>' ? nn__letters_read(s + 2, &out) : NULL;
    if (!s || *s || l[0].n != x->ndim || l[1].n != y->ndim)
        return nn__fail(x->ctx, "einsum", NN__M_RULE, rule, "it must be like \"bij,bjk->bik\", with a letter for each axis, none twice in an operand"), (nn_tensor *)NULL;
    for (int i = 0; i < out.n; i++)
        if (nn__letter(&l[0], out.at[i]) < 0 && nn__letter(&l[1], out.at[i]) < 0) return nn__fail(x->ctx, "einsum", NN__M_RULE, rule, "a letter of the result is in no operand"), (nn_tensor *)NULL;
    for (int o = 0; o < 2; o++)
        for (int i = l[o].n - 1; i >= 0; i--) /* letters of one operand only */
            if (nn__letter(&l[1 - o], l[o].at[i]) < 0 && nn__letter(&out, l[o].at[i]) < 0) {
                in[o] = nn_sum(in[o], NN_AXES(i), 0);
                memmove(l[o].at + i, l[o].at + i + 1, (size_t)(l[o].n - i));
                l[o].n--;
            }
    if (!in[0] || !in[1]) return NULL;
    for (int i = 0; i < l[0].n; i++) {
        int at = nn__letter(&l[1], l[0].at[i]), kind = at < 0 ? 1 : nn__letter(&out, l[0].at[i]) >= 0 ? 0 : 2;
        if (at >= 0 && in[0]->size[i] != in[1]->size[at]) return nn__fail(x->ctx, "einsum", NN__M_RULE, rule, "a letter stands for two different sizes"), (nn_tensor *)NULL;
        order[kind][n[kind]++] = l[0].at[i];
    }
    for (int i = 0; i < l[1].n; i++)
        if (nn__letter(&l[0], l[1].at[i]) < 0) order[3][n[3]++] = l[1].at[i];
    for (int o = 0; o < 2; o++) { /* x: batch, rows, summed; y: batch, summed, columns; each kind but the batch as one axis */
        nn_shape axes = nn__shape_none(), to = nn__shape_none();
        for (int k = 0; k < 3; k++) {
            int     kind = k + (o && k > 0);
            int64_t size = 1;
            for (int i = 0; i < n[kind]; i++) {
                int at = nn__letter(&l[o], order[kind][i]);
                axes.dim[axes.ndim++] = at;
                size *= in[o]->size[at];
                if (k == 0) to.dim[to.ndim++] = in[o]->size[at];
            }
            if (k == 0 && n[0] > NN_MAX_DIMS - 2) return nn__fail(x->ctx, "einsum", NN__M_RANK_LIMIT, n[0] + 2, NN_MAX_DIMS), (nn_tensor *)NULL;
            if (k) to.dim[to.ndim++] = size;
        }
        if (o == 0) for (int i = 0; i < n[0] + n[1]; i++) shape.dim[shape.ndim++] = in[0]->size[axes.dim[i]];
        else for (int i = n[0] + n[2]; i < axes.ndim && shape.ndim < NN_MAX_DIMS; i++) shape.dim[shape.ndim++] = in[1]->size[axes.dim[i]];
        in[o] = nn_reshape(axes.ndim ? nn_permute(in[o], axes) : in[o], to);
    }
    if (n[0] + n[1] + n[3] > NN_MAX_DIMS) return nn__fail(x->ctx, "einsum", NN__M_RANK_LIMIT, n[0] + n[1] + n[3], NN_MAX_DIMS), (nn_tensor *)NULL;
    z = nn_reshape(nn_matmul(in[0], in[1]), shape); /* batch, rows, columns; now in the result's order */
    for (int i = 0; i < out.n; i++)
        for (int k = 0, at = 0; k < 4; k++)
            for (int j = 0; k != 2 && j < n[k]; j++, at++)
                if (order[k][j] == out.at[i]) back.dim[back.ndim++] = at;
    return back.ndim ? nn_permute(z, back) : z;
}

/* ---- >>ops matrix -----------------------------------------------------------------------------------
   What learning wants of linear algebra: small matrices [...,n,n], each computed in f64 by the textbook's way, a batch
   of them in parallel. */
typedef struct nn__matrices { nn_node *n; int64_t rows; double *room; int64_t each; int *bad; void (*one)(struct nn__matrices *w, int64_t i, double *room); } nn__matrices;
static void nn__matrix_get(const nn_tensor *x, int64_t i, int64_t count, double *to) {
    for (int64_t k = 0; k < count; k++) to[k] = nn__load(x->dtype, nn__data(x), i * count + k);
}
static void nn__matrix_put(nn_tensor *x, int64_t i, int64_t count, const double *from) {
    for (int64_t k = 0; k < count; k++) nn__store(x->dtype, nn__data(x), i * count + k, from[k]);
}
static void nn__matrix_part(void *arg, int64_t begin, int64_t end, int worker) {
    nn__matrices *w = (nn__matrices *)arg;
    for (int64_t i = begin; i < end; i++) w->one(w, i, w->room + (int64_t)worker * w->each);
}
/* Runs `one` for each matrix with room for `matrices` of n x n and `more` numbers; message: of what makes w->bad. */
static void nn__run_matrices(nn_node *n, int matrices, int64_t more, int message, void (*one)(nn__matrices *w, int64_t i, double *room)) {
    nn__matrices w;
    int64_t      batch;
    size_t       bytes;
    w.n     = n;
    w.rows  = nn_dim(n->in[0], -1);
    batch   = w.rows ? nn_numel(n->in[0]) / (w.rows * w.rows) : nn__count(n->in[0]->ndim - 2, n->in[0]->size);
    w.each  = matrices * w.rows * w.rows + more;
    w.one   = one;
    if (batch == 0) return;
    bytes  = (size_t)nn_threads(n->ctx) * (size_t)w.each * sizeof(double) + (size_t)batch * sizeof(int);
    w.room = (double *)nn__pool_get(n->ctx, bytes);
    if (!w.room) return;
    w.bad = (int *)(void *)(w.room + (int64_t)nn_threads(n->ctx) * w.each);
    memset(w.bad, 0, (size_t)batch * sizeof(int));
    nn__parallel(n->ctx, batch, 0.5 * (double)w.rows * (double)w.each + 1, nn__matrix_part, &w);
    for (int64_t i = 0; i < batch; i++)
        if (w.bad[i]) { nn__fail(n->ctx, n->op->name, message, (long long)i); break; }
    nn__pool_put(n->ctx, w.room, bytes);
}
static int nn__check_square(nn_node *n) {
    nn__text   t;
    nn_tensor *x = n->in[0];
    if (x->ndim < 2) return nn__fail(n->ctx, n->op->name, NN__M_RANK, "x", nn__shape_text(&t, x->ndim, x->size), "at least 2");
    return nn_dim(x, -1) == nn_dim(x, -2) || nn__fail(n->ctx, n->op->name, NN__M_SQUARE, nn__shape_text(&t, x->ndim, x->size));
}
static int nn__shape_square(nn_node *n, nn_spec *out) { return nn__shape_unary(n, out) && nn__check_square(n); }
static nn_cost nn__cost_cube(const nn_node *n) {
    nn_cost cost = nn__cost_bytes(n);
    cost.flops   = (double)nn_numel(n->in[0]) * (double)nn_dim(n->in[0], -1);
    return cost;
}
static int nn__sample_square(nn_ctx *c, nn_dtype real, int k, nn_sample *s) { /* a strong diagonal: far from singular, and positive definite */
    static const nn_shape shapes[4] = {{2, {3, 3, 0, 0, 0, 0}}, {3, {2, 4, 4, 0, 0, 0}}, {2, {1, 1, 0, 0, 0, 0}}, {3, {0, 2, 2, 0, 0, 0}}};
    if (k >= 4) return 0;
    s->n_in  = 1;
    s->in[0] = nn_add(nn__sample_values(c, real, shapes[k], k, -0.4, 0.4), nn_scale(nn_eye(c, real, shapes[k].dim[shapes[k].ndim - 1]), 1.7));
    return 1;
}

/* -- cholesky:  L L^T = (x + x^T) / 2                 dx = (S + S^T) / 2, S = L^-T P L^-1, P = the lower half of L^T dL (Murray 2016) -- */
static void nn__cholesky_one(nn__matrices *w, int64_t which, double *l) {
    int64_t n = w->rows;
    nn__matrix_get(w->n->in[0], which, n * n, l);
    for (int64_t i = 0; i < n; i++) {
        for (int64_t j = 0; j <= i; j++) {
            double s = 0.5 * (l[i * n + j] + l[j * n + i]); /* what is right of the diagonal in rows i and below has not been written yet */
            for (int64_t k = 0; k < j; k++) s -= l[i * n + k] * l[j * n + k];
            if (j < i) l[i * n + j] = s / l[j * n + j];
            else {
                if (!(s > 0)) { w->bad[which] = 1; return; }
                l[i * n + i] = sqrt(s);
            }
        }
    }
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = i + 1; j < n; j++) l[i * n + j] = 0;
    nn__matrix_put(w->n->out[0], which, n * n, l);
}
static void nn__run_cholesky(nn_node *n) { nn__run_matrices(n, 1, 0, NN__M_NOT_POSITIVE, nn__cholesky_one); }
static void nn__grad_cholesky(nn_node *n, nn_tensor **dy, nn_tensor **dx) {
    nn_tensor *l = n->out[0], *p = nn_matmul(nn_transpose(l, -1, -2), dy[0]), *s;
    p = nn_scale(nn_add(nn_tril(p, 0), nn_tril(p, -1)), 0.5);
    s = nn_triangular_solve(l, nn_transpose(nn_triangular_solve(l, p, 0, 1), -1, -2), 0, 1);
    dx[0] = nn_scale(nn_add(s, nn_transpose(s, -1, -2)), 0.5);
}
static const nn_op nn__op_cholesky = {"cholesky", 1, 1, 0, NN_OP_FLOAT | NN_OP_SAVES_OUT, nn__shape_square, nn__run_cholesky, nn__grad_cholesky, NULL, nn__cost_cube, nn__sample_square, 0};
NN_API nn_tensor *nn_cholesky(nn_tensor *x) { return nn__apply1(&nn__op_cholesky, x, NULL); }

/* -- triangular_solve:  y with l y = b, or l^T y = b  db = the solve of the other kind with dy, dl = -db y^T or -y db^T, its triangle -- */
typedef struct nn__solve { int32_t upper, transposed; } nn__solve;
static int nn__shape_triangular_solve(nn_node *n, nn_spec *out) {
    nn__text   t, u;
    nn_tensor *l = n->in[0], *b = n->in[1];
    if (!nn__check_square(n)) return 0;
    if (b->ndim != l->ndim || memcmp(b->size, l->size, (size_t)(l->ndim - 1) * sizeof *l->size))
        return nn__fail(n->ctx, n->op->name, NN__M_SHAPES_DIFFER, "the rows of l", nn__shape_text(&t, l->ndim, l->size), "b", nn__shape_text(&u, b->ndim, b->size));
    nn_spec_like(out, b);
    return nn__check_real(n, 2);
}
static void nn__triangular_one(nn__matrices *w, int64_t which, double *l) {
    const nn__solve *a = (const nn__solve *)w->n->attr;
    int64_t          n = w->rows, m = nn_dim(w->n->in[1], -1), row = a->transposed ? 1 : n, column = a->transposed ? n : 1;
    double          *y = l + n * n;
    int              down = !a->upper == !a->transposed; /* from the first row on */
    nn__matrix_get(w->n->in[0], which, n * n, l);
    nn__matrix_get(w->n->in[1], which, n * m, y);
    for (int64_t k = 0; k < n; k++) {
        int64_t i = down ? k : n - 1 - k;
        for (int64_t q = 0; q < k; q++) {
            int64_t j = down ? q : n - 1 - q;
            double  f = l[i * row + j * column];
            for (int64_t x = 0; x < m; x++) y[i * m + x] -= f * y[j * m + x];
        }
        if (l[i * n + i] == 0) w->bad[which] = 1;
        for (int64_t x = 0; x < m; x++) y[i * m + x] /= l[i * n + i];
    }
    nn__matrix_put(w->n->out[0], which, n * m, y);
}
static void nn__run_triangular_solve(nn_node *n) { nn__run_matrices(n, 1, nn_dim(n->in[1], -1) * nn_dim(n->in[1], -2), NN__M_SINGULAR, nn__triangular_one); }
static void nn__grad_triangular_solve(nn_node *n, nn_tensor **dy, nn_tensor **dx) {
    const nn__solve *a = (const nn__solve *)n->attr;
    nn_tensor       *db = nn_triangular_solve(n->in[0], dy[0], a->upper, !a->transposed), *y = n->out[0], *dl;
    dx[1] = db;
    if (!nn_wants(n, 0)) return;
    dl = a->transposed ? nn_matmul(y, nn_transpose(db, -1, -2)) : nn_matmul(db, nn_transpose(y, -1, -2));
    dx[0] = nn_neg(a->upper ? nn_triu(dl, 0) : nn_tril(dl, 0));
}
static int nn__sample_triangular(nn_ctx *c, nn_dtype real, int k, nn_sample *s) {
    static const nn__solve how[4] = {{0, 0}, {1, 0}, {0, 1}, {1, 1}};
    nn_shape               b;
    if (!nn__sample_square(c, real, k, s)) return 0;
    b = nn_shape_of(s->in[0]);
    b.dim[b.ndim - 1] = 1 + k;
    s->in[1] = nn__sample_values(c, real, b, k + 1, -1, 1);
    s->n_in  = 2;
    s->attr  = &how[k];
    return 1;
}
static const nn_op nn__op_triangular_solve = {"triangular_solve", 2, 1, sizeof(nn__solve), NN_OP_FLOAT | NN_OP_SAVES_IN | NN_OP_SAVES_OUT, nn__shape_triangular_solve, nn__run_triangular_solve,
                                              nn__grad_triangular_solve, NULL, nn__cost_cube, nn__sample_triangular, 0};
NN_API nn_tensor *nn_triangular_solve(nn_tensor *l, nn_tensor *b, int upper, int transposed) {
    nn__solve a;
    nn_shape  batch, s;
    a.upper      = upper != 0;
    a.transposed = transposed != 0;
    if (l && b && l->ndim >= 2 && b->ndim >= 2 && (l->ndim != b->ndim || l->ndim > 2)) {
        if (!nn__broadcast(l->ctx, "triangular_solve", l, l->ndim - 2, b, b->ndim - 2, &batch)) return NULL;
        for (int i = 0; i < 2; i++) {
            nn_tensor **x = i ? &b : &l;
            s = batch;
            for (int k = 2; k > 0; k--) s.dim[s.ndim++] = (*x)->size[(*x)->ndim - k];
            if (!nn__is_shape(*x, &s)) *x = nn_expand(*x, s);
        }
    }
    return nn__apply2(&nn__op_triangular_solve, l, b, &a);
}
NN_API nn_tensor *nn_cholesky_solve(nn_tensor *b, nn_tensor *l) { return nn_triangular_solve(l, nn_triangular_solve(l, b, 0, 0), 0, 1); }
NN_API nn_tensor *nn_cholesky_logdet(nn_tensor *l) { return nn_scale(nn_sum(nn_log(nn_diagonal(l, 0)), NN_AXES(-1), 0), 2); }

/* Gauss's elimination with the largest pivot of each column: [a | b] -> [1 | a^-1 b], b [n,m]. Returns the determinant; *singular: a pivot is 0 or NaN. */
static double nn__eliminate(double *a, double *b, int64_t n, int64_t m, int *singular) {
    double det = 1;
    for (int64_t i = 0; i < n; i++) {
        int64_t p = i;
        for (int64_t r = i + 1; r < n; r++)
            if (fabs(a[r * n + i]) > fabs(a[p * n + i])) p = r;
        det *= p == i ? a[p * n + i] : -a[p * n + i];
        if (!(fabs(a[p * n + i]) > 0)) { *singular = 1; return det; }
        for (int64_t k = 0; k < n && p != i; k++) { double t = a[i * n + k]; a[i * n + k] = a[p * n + k]; a[p * n + k] = t; }
        for (int64_t k = 0; k < m && p != i; k++) { double t = b[i * m + k]; b[i * m + k] = b[p * m + k]; b[p * m + k] = t; }
        for (int64_t r = m ? 0 : i + 1; r < n; r++) { /* for the determinant alone the rows below are enough */
            double f = a[r * n + i] / a[i * n + i];
            if (r == i || f == 0) continue;
            for (int64_t k = i; k < n; k++) a[r * n + k] -= f * a[i * n + k];
            for (int64_t k = 0; k < m; k++) b[r * m + k] -= f * b[i * m + k];
        }
    }
    for (int64_t i = 0; i < n; i++)
        for (int64_t k = 0; k < m; k++) b[i * m + k] /= a[i * n + i];
    return det;
}

/* -- inverse                                          dx = -y^T dy y^T -- */
static void nn__inverse_one(nn__matrices *w, int64_t which, double *a) {
    int64_t n = w->rows;
    double *b = a + n * n;
    nn__matrix_get(w->n->in[0], which, n * n, a);
    for (int64_t i = 0; i < n * n; i++) b[i] = i % (n + 1) == 0;
    nn__eliminate(a, b, n, n, &w->bad[which]);
    nn__matrix_put(w->n->out[0], which, n * n, b);
}
static void nn__run_inverse(nn_node *n) { nn__run_matrices(n, 2, 0, NN__M_SINGULAR, nn__inverse_one); }
static void nn__grad_inverse(nn_node *n, nn_tensor **dy, nn_tensor **dx) {
    nn_tensor *t = nn_transpose(n->out[0], -1, -2);
    dx[0] = nn_neg(nn_matmul(t, nn_matmul(dy[0], t)));
}
static const nn_op nn__op_inverse = {"inverse", 1, 1, 0, NN_OP_FLOAT | NN_OP_SAVES_OUT, nn__shape_square, nn__run_inverse, nn__grad_inverse, NULL, nn__cost_cube, nn__sample_square, 0};
NN_API nn_tensor *nn_inverse(nn_tensor *x) { return nn__apply1(&nn__op_inverse, x, NULL); }

/* -- det                                              dx = dy det x^-T -- */
static int nn__shape_det(nn_node *n, nn_spec *out) {
    if (!nn__shape_square(n, out)) return 0;
    out->shape.ndim -= 2;
    return 1;
}
static void nn__det_one(nn__matrices *w, int64_t which, double *a) {
    double det;
    int    singular = 0; /* its determinant is 0 */
    nn__matrix_get(w->n->in[0], which, w->rows * w->rows, a);
    det = nn__eliminate(a, NULL, w->rows, 0, &singular);
    nn__matrix_put(w->n->out[0], which, 1, &det);
}
static void nn__run_det(nn_node *n) { nn__run_matrices(n, 1, 0, NN__M_SINGULAR, nn__det_one); }
static void nn__grad_det(nn_node *n, nn_tensor **dy, nn_tensor **dx) {
    nn_tensor *g = nn_unsqueeze(nn_unsqueeze(nn_mul(dy[0], n->out[0]), -1), -1);
    dx[0] = nn_mul(g, nn_transpose(nn_inverse(n->in[0]), -1, -2));
}
static const nn_op nn__op_det = {"det", 1, 1, 0, NN_OP_FLOAT | NN_OP_SAVES_IN | NN_OP_SAVES_OUT, nn__shape_det, nn__run_det, nn__grad_det, NULL, nn__cost_cube, nn__sample_square, 0};
NN_API nn_tensor *nn_det(nn_tensor *x) { return nn__apply1(&nn__op_det, x, NULL); }

/* ---- >>ops list -------------------------------------------------------------------------------------
   Every op of this file. The op test walks this list: values, gradients, second order, instruction sets, threads. */
#define NN__OTHER_OPS(X) \
    X(sum) X(max) X(matmul) X(linear) X(linear_back) X(matmul_i8) X(softmax) X(softmax_back) X(log_softmax) X(log_softmax_back) X(layernorm) X(layernorm_back) \
    X(cross_entropy) X(cross_entropy_back) X(mse) X(mse_back) X(mask) X(dropout) X(uniform) X(normal) X(reshape) X(permute) X(slice) X(unslice) \
    X(expand) X(copy) X(assign) X(cast) X(concat) X(gather) X(scatter_add) X(one_hot) X(compare) X(logic) X(where) \
    X(recur) X(count_nonzero) X(argmax) X(sort) X(scatter) X(index_select) X(index_add) X(cholesky) X(triangular_solve) X(inverse) X(det)

static const nn_op *const nn_ops[] = {
#define NN__X(name) &nn__op_##name,
    NN__UNARY_OPS(NN__X) NN__BINARY_OPS(NN__X) NN__OTHER_OPS(NN__X)
#undef NN__X
};
NN_API const nn_op *const *nn_op_list(int *count) {
    if (count) *count = (int)(sizeof nn_ops / sizeof *nn_ops);
    return nn_ops;
}

/* ---- >>losses ---------------------------------------------------------------------------------------
   Losses give one value an element or row, out of ops, which one place reduces. */
static nn_tensor *nn__reduced(nn_tensor *each, const nn_loss_options *o) {
    return o->reduction == NN_NONE ? each : o->reduction == NN_SUM ? nn_sum(each, NN_ALL, 0) : nn_mean(each, NN_ALL, 0);
}
static nn_tensor *nn__huber_of(nn_tensor *p, nn_tensor *t, double delta) { /* d^2/2 within delta, then a line: with c = min(|d|, delta), c (|d| - c/2) */
    nn_tensor *d = nn_abs(nn_sub(p, t)), *c = nn_clamp(d, 0, delta);
    return nn_mul(c, nn_sub(d, nn_scale(c, 0.5)));
}
static nn_tensor *nn__bce_of(nn_tensor *x, nn_tensor *t, nn_tensor *weight) { /* of logits: t w softplus(-x) + (1-t) softplus(x) */
    nn_tensor *up = nn_softplus(nn_neg(x)), *down = nn_softplus(x);
    return nn_add(nn_mul(weight ? nn_mul(t, weight) : t, up), nn_mul(nn_affine(t, -1, 1), down));
}
static nn_tensor *nn__each_mse(nn_tensor *p, nn_tensor *t, const nn_loss_options *o) { return (void)o, nn_square(nn_sub(p, t)); }
static nn_tensor *nn__each_mae(nn_tensor *p, nn_tensor *t, const nn_loss_options *o) { return (void)o, nn_abs(nn_sub(p, t)); }
static nn_tensor *nn__each_huber(nn_tensor *p, nn_tensor *t, const nn_loss_options *o) { return nn__huber_of(p, t, o->delta == 0 ? 1 : (double)o->delta); }
static nn_tensor *nn__each_smooth_l1(nn_tensor *p, nn_tensor *t, const nn_loss_options *o) {
    double beta = o->delta == 0 ? 1 : (double)o->delta;
    return nn_scale(nn__huber_of(p, t, beta), 1 / beta);
}
static nn_tensor *nn__each_log_cosh(nn_tensor *p, nn_tensor *t, const nn_loss_options *o) { /* ln cosh d = |d| + ln(1 + e^(-2|d|)) - ln 2; even, so d will do for |d| */
    nn_tensor *d = nn_sub(p, t);
    return (void)o, nn_affine(nn_add(d, nn_softplus(nn_scale(d, -2))), 1, -0.69314718055994531);
}
static nn_tensor *nn__each_kl(nn_tensor *p, nn_tensor *t, const nn_loss_options *o) { /* t (ln t - p), where t is 0: 0 */
    nn_tensor *zero = nn_same(t, nn_scalar_like(t, 0)), *each = nn_mul(t, nn_sub(nn_log(nn_add(t, zero)), p));
    return o->reduction == NN_MEAN && p && p->ndim ? nn_sum(each, NN_AXES(-1), 0) : each;
}
static nn_tensor *nn__each_poisson(nn_tensor *p, nn_tensor *t, const nn_loss_options *o) { /* full: with Stirling's ln t!, for t > 1 */
    nn_tensor *each = nn_sub(nn_exp(p), nn_mul(t, p)), *safe;
    if (!o->full) return each;
    safe = nn_maximum(t, nn_scalar_like(t, 1));
    safe = nn_add(nn_sub(nn_mul(safe, nn_log(safe)), safe), nn_scale(nn_log(nn_scale(safe, 6.2831853071795865)), 0.5));
    return nn_add(each, nn_mul(safe, nn_positive(nn_affine(t, 1, -1))));
}
static nn_tensor *nn__each_hinge(nn_tensor *p, nn_tensor *t, const nn_loss_options *o) { return nn_relu(nn_affine(nn_mul(p, t), -1, o->margin == 0 ? 1 : (double)o->margin)); }
static nn_tensor *nn__each_bce(nn_tensor *p, nn_tensor *t, const nn_loss_options *o) { /* logarithms held above -100, as in PyTorch */
    nn_tensor *up = nn_maximum(nn_log(p), nn_scalar_like(p, -100)), *down = nn_maximum(nn_log1p(nn_neg(p)), nn_scalar_like(p, -100));
    return (void)o, nn_neg(nn_add(nn_mul(t, up), nn_mul(nn_affine(t, -1, 1), down)));
}
static nn_tensor *nn__each_bce_logits(nn_tensor *p, nn_tensor *t, const nn_loss_options *o) { return nn__bce_of(p, t, o->weight); }
static nn_tensor *nn__each_focal(nn_tensor *p, nn_tensor *t, const nn_loss_options *o) { /* bce (1 - p_t)^gamma, times alpha or 1 - alpha; 1 - p_t = p + t - 2 p t */
    double     gamma = o->gamma == 0 ? 2 : o->gamma == NN_ZERO ? 0 : (double)o->gamma, alpha = o->alpha == 0 ? 0.25 : (double)o->alpha;
    nn_tensor *q = nn_sigmoid(p), *miss = nn_sub(nn_add(q, t), nn_scale(nn_mul(q, t), 2)), *each = nn_mul(nn__bce_of(p, t, NULL), nn_pow_scalar(miss, gamma));
    return o->alpha == NN_ZERO ? each : nn_mul(each, nn_affine(t, 2 * alpha - 1, 1 - alpha));
}

static int nn__fits_type(nn_dtype integer, int64_t v) { return integer == NN_I64 || (integer == NN_I32 ? v == (int32_t)v : integer == NN_U8 ? v == (uint8_t)v : v == (int8_t)v); }

/* Rows of logits [...,C]; classes [...] or probabilities [...,C]. With smoothing e a target of 1 becomes 1 - e + e/C, others e/C. The
   mean is by the rows' weights, those of their classes; of probabilities by the number of rows. */
static nn_tensor *nn__cross_entropy_with(nn_tensor *x, nn_tensor *y, const nn_loss_options *o) {
    nn__text   t, u;
    int64_t    classes = nn_dim(x, -1);
    double     e = (double)o->smoothing;
    nn_tensor *log_p, *each, *weight, *counts = NULL;
    if (classes < 1) return x->ndim < 1 ? NULL : (nn__fail(x->ctx, NULL, NN__M_EMPTY, "cross_entropy", nn__shape_text(&t, x->ndim, x->size)), (nn_tensor *)NULL);
    if (!(e >= 0 && e <= 1)) return nn__fail(x->ctx, "cross_entropy", NN__M_OPTION, "smoothing", e), (nn_tensor *)NULL;
    if (o->weight && (o->weight->ndim != 1 || o->weight->size[0] != classes))
        return nn__fail(x->ctx, "cross_entropy", NN__M_SHAPES_DIFFER, "weight", nn__shape_text(&t, o->weight->ndim, o->weight->size), "x's classes", nn__shape_text(&u, 1, &classes)), (nn_tensor *)NULL;
    if (!nn__is_real(y->dtype) && !o->weight && e == 0 && !o->ignores && o->reduction == NN_MEAN) return nn_cross_entropy(x, y);
    log_p = nn_log_softmax(x, -1);
    if (nn__is_real(y->dtype)) { /* mse's rule: it refuses to broadcast */
        if (!nn__same_shape(x, y)) return nn__fail(x->ctx, "cross_entropy", NN__M_SHAPES_DIFFER, "x", nn__shape_text(&t, x->ndim, x->size), "the probabilities", nn__shape_text(&u, y->ndim, y->size)), (nn_tensor *)NULL;
        each = nn_mul(e > 0 ? nn_affine(y, 1 - e, e / (double)classes) : y, log_p);
        if (o->weight) each = nn_mul(each, o->weight);
        return nn__reduced(nn_neg(nn_sum(each, NN_AXES(-1), 0)), o);
    }
    if (y->ndim != x->ndim - 1 || (y->ndim && memcmp(x->size, y->size, (size_t)y->ndim * sizeof x->size[0])))
        return nn__fail(x->ctx, "cross_entropy", NN__M_SHAPES_DIFFER, "the rows of x", nn__shape_text(&t, x->ndim - 1, x->size), "the classes", nn__shape_text(&u, y->ndim, y->size)), (nn_tensor *)NULL;
    if (o->ignores && nn__fits_type(y->dtype, o->ignore)) { /* they count 0 times, as class 0 */
        nn_tensor *ignored = nn_equal(y, nn_scalar_like(y, (double)o->ignore));
        counts = nn_cast(nn_not(ignored), x->dtype);
        y      = nn_masked_fill(y, ignored, 0);
    }
    weight = o->weight ? nn_index_select(o->weight, 0, y) : NULL;
    weight = weight && counts ? nn_mul(weight, counts) : weight ? weight : counts;
    each = nn_neg(nn_squeeze(nn_gather(log_p, -1, nn_unsqueeze(y, -1)), -1));
    if (weight) each = nn_mul(each, weight);
    if (e > 0) {
        nn_tensor *all = nn_neg(nn_sum(o->weight ? nn_mul(log_p, o->weight) : log_p, NN_AXES(-1), 0));
        if (counts) all = nn_mul(all, counts);
        each = nn_add(nn_scale(each, 1 - e), nn_scale(all, e / (double)classes));
    }
    if (o->reduction != NN_MEAN || !weight) return nn__reduced(each, o);
    weight = nn_sum(weight, NN_ALL, 0);
    return nn_div(nn_sum(each, NN_ALL, 0), nn_add(weight, nn_same(weight, nn_scalar_like(weight, 0)))); /* of nothing but ignored rows: 0 */
}

static const struct nn__loss_entry { const char *name; nn_tensor *(*each)(nn_tensor *p, nn_tensor *t, const nn_loss_options *o); } nn__losses[] = {
    {"mse", nn__each_mse}, {"mae", nn__each_mae}, {"huber", nn__each_huber}, {"smooth_l1", nn__each_smooth_l1}, {"log_cosh", nn__each_log_cosh}, {"kl", nn__each_kl},
    {"poisson", nn__each_poisson}, {"hinge", nn__each_hinge}, {"bce", nn__each_bce}, {"bce_logits", nn__each_bce_logits}, {"focal", nn__each_focal}};
static int nn__loss_known(const char *name) {
    for (size_t i = 0; i < sizeof nn__losses / sizeof *nn__losses; i++)
        if (!strcmp(name, nn__losses[i].name)) return (int)i;
    return strcmp(name, "cross_entropy") ? -1 : (int)(sizeof nn__losses / sizeof *nn__losses);
}
NN_API nn_tensor *nn_loss_named(const char *name, nn_tensor *p, nn_tensor *t, const nn_loss_options *options) {
    nn__text        a, b;
    nn_loss_options o;
    int             i;
    if (!nn__ok_tensor("loss", p) || !nn__ok_arg(p->ctx, "loss", name, "name") || !nn__ok_arg(p->ctx, name, t, "the target")) return NULL;
    if (!nn__live(p->ctx, p) || !nn__live(p->ctx, t)) return nn__operand_bad(p->ctx, name, nn__live(p->ctx, p) ? t : p, nn__live(p->ctx, p)), (nn_tensor *)NULL;
    memset(&o, 0, sizeof o);
    if (options) o = *options;
    if ((unsigned)o.reduction > NN_NONE) return nn__fail(p->ctx, "loss", NN__M_OPTION, "reduction", (double)o.reduction), (nn_tensor *)NULL;
    if (!(o.delta >= 0)) return nn__fail(p->ctx, "loss", NN__M_OPTION, "delta", (double)o.delta), (nn_tensor *)NULL;
    i = nn__loss_known(name);
    if (i < 0) return nn__fail(p->ctx, "loss", NN__M_RULE, name, "no such loss"), (nn_tensor *)NULL;
    if (i == (int)(sizeof nn__losses / sizeof *nn__losses)) return nn__cross_entropy_with(p, t, &o);
    if (nn__is_half(p) && o.weight) o.weight = nn_cast(o.weight, NN_F32);
    if (nn__is_half(p)) return nn_cast(nn_loss_named(name, nn_cast(p, NN_F32), nn__is_real(t->dtype) ? nn_cast(t, NN_F32) : t, &o), p->dtype);
    if (!nn__is_real(t->dtype)) t = nn_cast(t, p->dtype);
    if (t && p->ndim == t->ndim + 1 && p->size[t->ndim] == 1) t = nn_unsqueeze(t, -1); /* [n,1] and [n] */
    if (!t) return NULL;
    if (!nn__same_shape(p, t)) return nn__fail(p->ctx, name, NN__M_SHAPES_DIFFER, "the prediction", nn__shape_text(&a, p->ndim, p->size), "the target", nn__shape_text(&b, t->ndim, t->size)), (nn_tensor *)NULL;
    return i == 0 && o.reduction == NN_MEAN ? nn_mse(p, t) : nn__reduced(nn__losses[i].each(p, t, &o), &o);
}
NN_API nn_tensor *nn_mae(nn_tensor *p, nn_tensor *t) { return nn_loss_named("mae", p, t, NULL); }
NN_API nn_tensor *nn_huber(nn_tensor *p, nn_tensor *t) { return nn_loss_named("huber", p, t, NULL); }
NN_API nn_tensor *nn_smooth_l1(nn_tensor *p, nn_tensor *t) { return nn_loss_named("smooth_l1", p, t, NULL); }
NN_API nn_tensor *nn_log_cosh(nn_tensor *p, nn_tensor *t) { return nn_loss_named("log_cosh", p, t, NULL); }
NN_API nn_tensor *nn_kl(nn_tensor *p, nn_tensor *t) { return nn_loss_named("kl", p, t, NULL); }
NN_API nn_tensor *nn_poisson(nn_tensor *p, nn_tensor *t) { return nn_loss_named("poisson", p, t, NULL); }
NN_API nn_tensor *nn_hinge(nn_tensor *p, nn_tensor *t) { return nn_loss_named("hinge", p, t, NULL); }
NN_API nn_tensor *nn_bce(nn_tensor *p, nn_tensor *t) { return nn_loss_named("bce", p, t, NULL); }
NN_API nn_tensor *nn_bce_logits(nn_tensor *p, nn_tensor *t) { return nn_loss_named("bce_logits", p, t, NULL); }
NN_API nn_tensor *nn_focal(nn_tensor *p, nn_tensor *t) { return nn_loss_named("focal", p, t, NULL); }

/* Losses refuse to broadcast what should pair up */
static int nn__pair_up(const char *op, nn_tensor *x, nn_tensor *y, const char *name) {
    nn__text t, u;
    if (!nn__ok_tensor(op, x) || !nn__ok_arg(x->ctx, op, y, name)) return 0;
    return nn__same_shape(x, y) || nn__fail(x->ctx, op, NN__M_SHAPES_DIFFER, "x", nn__shape_text(&t, x->ndim, x->size), name, nn__shape_text(&u, y->ndim, y->size));
}
static nn_loss_options nn__loss_options(const nn_loss_options *given) {
    nn_loss_options o;
    memset(&o, 0, sizeof o);
    return given ? *given : o;
}
NN_API nn_tensor *nn_gaussian_nll(nn_tensor *mean, nn_tensor *var, nn_tensor *target, const nn_loss_options *options) {
    nn_loss_options o = nn__loss_options(options);
    nn_tensor      *v, *each;
    if (!nn__pair_up("gaussian_nll", mean, target, "the target")) return NULL;
    v    = nn_clamp(var, 1e-6, INFINITY);
    each = nn_scale(nn_add(nn_log(v), nn_div(nn_square(nn_sub(mean, target)), v)), 0.5);
    return nn__reduced(o.full ? nn_add_scalar(each, 0.91893853320467274) : each, &o);
}
NN_API nn_tensor *nn_kl_gaussian(nn_tensor *mean, nn_tensor *std, nn_tensor *mean2, nn_tensor *std2) { /* ln(s2/s) + (s^2 + (m - m2)^2) / (2 s2^2) - 1/2 */
    nn_tensor *d, *ratio, *logs;
    if (mean && !mean2 != !std2) return nn__fail(mean->ctx, "kl_gaussian", NN__M_ARG_NULL, mean2 ? "std2" : "mean2"), (nn_tensor *)NULL;
    d     = mean2 ? nn_sub(mean, mean2) : mean;
    ratio = nn_add(nn_square(std), nn_square(d));
    logs  = std2 ? nn_sub(nn_log(std2), nn_log(std)) : nn_neg(nn_log(std));
    return nn_affine(nn_add(logs, nn_scale(std2 ? nn_div(ratio, nn_square(std2)) : ratio, 0.5)), 1, -0.5);
}
NN_API nn_tensor *nn_cosine_similarity(nn_tensor *x, nn_tensor *y, int axis) { /* lengths held above 1e-8 */
    nn_tensor *xx, *yy;
    if (nn__is_half(x)) return nn_cast(nn_cosine_similarity(nn_cast(x, NN_F32), nn_cast(y, NN_F32), axis), x->dtype);
    xx = nn_clamp(nn_norm(x, NN_AXES(axis), 0, 2), 1e-8, INFINITY);
    yy = nn_clamp(nn_norm(y, NN_AXES(axis), 0, 2), 1e-8, INFINITY);
    return nn_div(nn_sum(nn_mul(x, y), NN_AXES(axis), 0), nn_mul(xx, yy));
}
NN_API nn_tensor *nn_cosine_loss(nn_tensor *x, nn_tensor *y, nn_tensor *same, const nn_loss_options *options) { /* 1 - cos of pairs, max(0, cos - margin) of others */
    nn_loss_options o = nn__loss_options(options);
    nn_tensor      *cosine, *pair, *apart;
    if (!nn__pair_up("cosine_loss", x, y, "y") || !nn__ok_arg(x->ctx, "cosine_loss", same, "same")) return NULL;
    cosine = nn_cosine_similarity(x, y, -1);
    pair   = nn_positive(nn__is_real(same->dtype) ? same : nn_cast(same, x->dtype));
    if (!cosine || !nn__pair_up("cosine_loss", cosine, pair, "same")) return NULL;
    apart = nn_relu(nn_affine(cosine, 1, -(double)o.margin));
    return nn__reduced(nn_add(nn_mul(pair, nn_affine(cosine, -1, 1)), nn_mul(nn_affine(pair, -1, 1), apart)), &o);
}
static nn_tensor *nn__distance(nn_tensor *x, nn_tensor *y) { return nn_norm(nn_add_scalar(nn_sub(x, y), 1e-6), NN_AXES(-1), 0, 2); } /* as PyTorch's, so never 0 */
NN_API nn_tensor *nn_triplet(nn_tensor *anchor, nn_tensor *like, nn_tensor *unlike, const nn_loss_options *options) {
    nn_loss_options o = nn__loss_options(options);
    if (!nn__pair_up("triplet", anchor, like, "like") || !nn__pair_up("triplet", anchor, unlike, "unlike")) return NULL;
    return nn__reduced(nn_relu(nn_add_scalar(nn_sub(nn__distance(anchor, like), nn__distance(anchor, unlike)), o.margin == 0 ? 1 : (double)o.margin)), &o);
}
NN_API nn_tensor *nn_contrastive(nn_tensor *x, nn_tensor *y, nn_tensor *same, const nn_loss_options *options) { /* d^2/2 of pairs, max(0, margin - d)^2/2 of others */
    nn_loss_options o = nn__loss_options(options);
    nn_tensor      *d, *apart;
    if (!nn__pair_up("contrastive", x, y, "y") || !nn__ok_arg(x->ctx, "contrastive", same, "same")) return NULL;
    if (!nn__is_real(same->dtype)) same = nn_cast(same, x->dtype);
    d = nn__distance(x, y);
    if (!d || !nn__pair_up("contrastive", d, same, "same")) return NULL;
    apart = nn_square(nn_relu(nn_affine(d, -1, o.margin == 0 ? 1 : (double)o.margin)));
    return nn__reduced(nn_scale(nn_add(nn_mul(same, nn_square(d)), nn_mul(nn_affine(same, -1, 1), apart)), 0.5), &o);
}

/* -- metrics: numbers for people, computed on the host -- */
/* Contiguous, of this context and with equally many rows? classes: integers */
static int nn__metric_pair(const char *op, nn_tensor **x, nn_tensor **y, int classes) {
    nn__text t, u;
    nn_ctx  *c;
    if (!nn__ok_host(op, *x) || !nn__ok_arg((*x)->ctx, op, *y, classes ? "classes" : "the target")) return 0;
    c = (*x)->ctx;
    if (!nn__live(c, *y)) return !nn__operand_bad(c, op, *y, 1);
    if (!nn__ok_host(op, *y)) return 0;
    if (classes && (*y)->dtype != NN_I32 && (*y)->dtype != NN_I64 && (*y)->dtype != NN_U8) return nn__fail(c, op, NN__M_NOT_INTEGER, "the classes", nn_dtype_name((*y)->dtype));
    if ((classes && (*x)->ndim < 1) || nn_numel(*x) == 0) return nn__fail(c, NULL, NN__M_EMPTY, op, nn__shape_text(&t, (*x)->ndim, (*x)->size));
    if (nn_numel(*y) != (classes ? nn_numel(*x) / (*x)->size[(*x)->ndim - 1] : nn_numel(*x)))
        return nn__fail(c, op, NN__M_SHAPES_DIFFER, classes ? "the rows of x" : "the prediction", nn__shape_text(&t, (*x)->ndim - classes, (*x)->size), classes ? "the classes" : "the target", nn__shape_text(&u, (*y)->ndim, (*y)->size));
    *x = nn_contiguous(nn_detach(*x));
    *y = nn_contiguous(nn_detach(*y));
    return *x && *y;
}
/* How many of the row's values come before its value at `label`, the largest first: 0 is the top. -1: a NaN is among them, or the label is none */
static int64_t nn__rank(const nn_tensor *x, int64_t r, int64_t row, int64_t label) {
    double  mine;
    int64_t before = 0;
    if (label < 0 || label >= row) return -1;
    mine = nn__load(x->dtype, nn__data(x), r * row + label);
    for (int64_t i = 0; i < row; i++) {
        double v = nn__load(x->dtype, nn__data(x), r * row + i);
        if (v != v) return -1;
        before += v > mine || (v == mine && i < label);
    }
    return before;
}
NN_API double nn_topk_accuracy(nn_tensor *logits, nn_tensor *classes, int k) {
    int64_t row, rows, hits = 0;
    if (!nn__metric_pair("accuracy", &logits, &classes, 1)) return NAN;
    if (k < 1) return nn__fail(logits->ctx, "accuracy", NN__M_OPTION, "k", (double)k), NAN;
    row  = logits->size[logits->ndim - 1];
    if (!nn__check_within(logits->ctx, "accuracy", NN__M_LABEL, classes, row)) return NAN;
    rows = nn_numel(logits) / row;
    for (int64_t r = 0; r < rows; r++) {
        int64_t rank = nn__rank(logits, r, row, nn__load_int(classes->dtype, nn__data(classes), r));
        hits += rank >= 0 && rank < k;
    }
    return (double)hits / (double)rows;
}
NN_API double nn_accuracy(nn_tensor *logits, nn_tensor *classes) { return nn_topk_accuracy(logits, classes, 1); }

NN_API nn_tensor *nn_confusion(nn_tensor *logits, nn_tensor *classes) {
    nn_tensor *m;
    int64_t    row;
    if (!nn__metric_pair("confusion", &logits, &classes, 1)) return NULL;
    row = logits->size[logits->ndim - 1];
    if (!nn__check_within(logits->ctx, "confusion", NN__M_LABEL, classes, row)) return NULL;
    m = nn_zeros(logits->ctx, NN_I64, NN_SHAPE(row, row));
    for (int64_t r = 0; m && r < nn_numel(classes); r++) {
        int64_t best = 0;
        for (int64_t i = 1; i < row; i++)
            if (nn__load(logits->dtype, nn__data(logits), r * row + i) > nn__load(logits->dtype, nn__data(logits), r * row + best)) best = i;
        ((int64_t *)nn__data(m))[nn__load_int(classes->dtype, nn__data(classes), r) * row + best]++;
    }
    return m;
}
NN_API nn_class_scores nn_class_scores_of(nn_tensor *logits, nn_tensor *classes) { /* means over the classes that occur, as label or prediction */
    nn_class_scores s = {NAN, NAN, NAN, NAN};
    nn_tensor      *m = nn_confusion(logits, classes);
    const int64_t  *at;
    int64_t         n, seen = 0, hits = 0, all = 0;
    if (!m) return s;
    n  = m->size[0];
    at = (const int64_t *)nn__data(m);
    s.precision = s.recall = s.f1 = 0;
    for (int64_t k = 0; k < n; k++) {
        int64_t labelled = 0, predicted = 0, hit = at[k * n + k];
        for (int64_t i = 0; i < n; i++) { labelled += at[k * n + i]; predicted += at[i * n + k]; }
        all += labelled;
        hits += hit;
        if (!labelled && !predicted) continue;
        seen++;
        s.precision += predicted ? (double)hit / (double)predicted : 0;
        s.recall += labelled ? (double)hit / (double)labelled : 0;
        s.f1 += 2.0 * (double)hit / (double)(labelled + predicted);
    }
    s.accuracy = (double)hits / (double)all;
    s.precision /= (double)seen;
    s.recall /= (double)seen;
    s.f1 /= (double)seen;
    return s;
}
NN_API double nn_roc_auc(nn_tensor *score, nn_tensor *positive) { /* the chance that a positive's score is above a negative's, equal ones counting half */
    nn_tensor *sorted, *index = NULL;
    double     below = 0, sum = 0, positives = 0;
    int64_t    n;
    if (!nn__metric_pair("roc_auc", &score, &positive, 0)) return NAN;
    n      = nn_numel(score);
    sorted = nn_contiguous(nn_sort(nn_reshape(score, NN_SHAPE(n)), 0, 0, &index));
    if (!sorted) return NAN;
    for (int64_t i = 0, end; i < n; i = end) { /* equal scores together */
        double value = nn__load(sorted->dtype, nn__data(sorted), i), here = 0;
        if (value != value) return NAN;
        for (end = i; end < n && nn__load(sorted->dtype, nn__data(sorted), end) == value; end++)
            here += nn__load(positive->dtype, nn__data(positive), ((const int64_t *)nn__data(index))[end]) != 0;
        sum += here * (below + 0.5 * ((double)(end - i) - here));
        below += (double)(end - i) - here;
        positives += here;
    }
    return positives > 0 && below > 0 ? sum / (positives * below) : NAN;
}
NN_API nn_real_scores nn_real_scores_of(nn_tensor *prediction, nn_tensor *target) {
    nn_real_scores s = {NAN, NAN, NAN, NAN, NAN};
    double         mean = 0, bias = 0, spread = 0, left = 0;
    int64_t        n;
    if (!nn__metric_pair("real_scores", &prediction, &target, 0)) return s;
    n     = nn_numel(target);
    s.mse = s.mae = 0;
    for (int64_t i = 0; i < n; i++) {
        double t = nn__load(target->dtype, nn__data(target), i), d = nn__load(prediction->dtype, nn__data(prediction), i) - t;
        mean += t; bias += d; s.mse += d * d; s.mae += fabs(d);
    }
    mean /= (double)n; bias /= (double)n; s.mse /= (double)n; s.mae /= (double)n;
    for (int64_t i = 0; i < n; i++) {
        double t = nn__load(target->dtype, nn__data(target), i), d = nn__load(prediction->dtype, nn__data(prediction), i) - t - bias;
        spread += (t - mean) * (t - mean);
        left += d * d;
    }
    s.rmse = sqrt(s.mse);
    s.r2 = spread > 0 ? 1 - s.mse * (double)n / spread : NAN;
    s.explained_variance = spread > 0 ? 1 - left / spread : NAN;
    return s;
}
static const char *const nn__metrics[] = {"accuracy", "top5", "precision", "recall", "f1", "auc", "perplexity", "mse", "rmse", "mae", "r2", "explained_variance"};
static int nn__metric_known(const char *name, size_t length) {
    for (size_t i = 0; i < sizeof nn__metrics / sizeof *nn__metrics; i++)
        if (strlen(nn__metrics[i]) == length && !memcmp(name, nn__metrics[i], length)) return (int)i;
    return -1;
}
NN_API double nn_metric(const char *name, nn_tensor *p, nn_tensor *t) {
    nn_class_scores k;
    nn_real_scores  r;
    int             which;
    if (!nn__ok_tensor("metric", p) || !nn__ok_arg(p->ctx, "metric", name, "name")) return NAN;
    which = nn__metric_known(name, strlen(name));
    switch (which) {
    case -1: return nn__fail(p->ctx, "metric", NN__M_RULE, name, "no such metric"), NAN;
    case 0: return nn_accuracy(p, t);
    case 1: return nn_topk_accuracy(p, t, 5);
    case 2: case 3: case 4:
        k = nn_class_scores_of(p, t);
        return which == 2 ? k.precision : which == 3 ? k.recall : k.f1;
    case 5: /* of two logits a row, of one, or of scores */
        if (p->ndim == 2 && p->size[1] == 2) p = nn_sub(nn_select(p, 1, 1), nn_select(p, 1, 0));
        return nn_roc_auc(p, t);
    case 6: return exp(nn_item(nn_cross_entropy(p, t)));
    default:
        r = nn_real_scores_of(p, t);
        return which == 7 ? r.mse : which == 8 ? r.rmse : which == 9 ? r.mae : which == 10 ? r.r2 : r.explained_variance;
    }
}

/* ---- >>models ---------------------------------------------------------------------------------------
   A model is a tree of names, its parameters at the leaves. A scope points into the tree. Before the first real
   forward the network runs once in a shape-only context, which declares every name and size; then storage is made
   in one piece, each parameter's first values drawn from (seed, its name), and the tree is frozen. From then on a
   name is a look-up without locks, and many threads may run the model, each with its own context. */
struct nn__name {
    nn__name   *parent, *child, *next;
    const char *name;
    int64_t     index; /* of "h.3"; -1: none */
    int         param; /* place in the model's list; -1: a scope */
};

typedef struct nn__param {
    nn__name   *at;
    const char *path;  /* "h.3.attn.weight" */
    size_t      path_size;
    nn_shape    shape;
    nn_init     init;
    int         buffer, frozen, asked; /* asked: how often a summary's run wanted it */
    nn__storage st;
    nn__packed  packed;
    void       *block; /* its own, if it was made after the others; */
    size_t      block_size;
} nn__param;

struct nn_model {
    nn__object  object;
    nn_ctx     *ctx;
    nn_net      net;
    void       *user;
    uint64_t    id;    /* never used again, unlike an address */
    nn_dtype    dtype;
    int         made, pack; /* pack: nn_predict keeps weights packed */
    nn__name    root;
    nn__param **param;
    int64_t     n, room;
    void       *block;
    size_t      block_size;
    nn_file    *waiting; /* loaded before the names were known */
    struct nn__plans *plans; /* of nn_predict; NULL: it runs eagerly */
    nn_hook     hook;
    void       *hook_user;
};

struct nn__binding { /* one context's handles of one model's parameters */
    nn__binding *next;
    uint64_t     id;
    nn_tensor  **handle;
    int64_t      n;
};

struct nn__state {
    nn__state      *next;
    const nn__name *at;
    uint64_t        model; /* addresses come again, this does not */
    nn_tensor      *x;
    char            name[64];
};

static size_t nn__place_text(const nn__name *place, char *text, size_t size) {
    size_t n = place->parent ? nn__place_text(place->parent, text, size) : 0;
    if (!place->parent) { if (size) text[0] = 0; return 0; }
    if (n < size) snprintf(text + n, size - n, "%s%s", n ? "." : "", place->name);
    n = size ? strlen(text) : 0;
    if (place->index >= 0 && n < size) snprintf(text + n, size - n, ".%lld", (long long)place->index);
    return size ? strlen(text) : 0;
}

static nn__name *nn__name_find(nn__name *parent, const char *name, int64_t index) {
    for (nn__name *k = parent->child; k; k = k->next)
        if (k->index == index && k->name[0] == name[0] && !strcmp(k->name, name)) return k;
    return NULL;
}

static int nn__name_valid(const char *name) {
    size_t n = strlen(name);
    for (size_t i = 0; i < n; i++) {
        char ch = name[i];
        if (!((ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') || (ch >= '0' && ch <= '9') || ch == '_' || ch == '-')) return 0;
    }
    return n > 0 && n < 60;
}

/* Does a name fit a pattern? * is anything, ? any one character. */
static int nn__fits(const char *pattern, const char *name) {
    const char *star = NULL, *from = name;
    while (*name) {
        if (*pattern == '*') { star = pattern++; from = name; }
        else if (*pattern == *name || *pattern == '?') { pattern++; name++; }
        else if (star) { pattern = star + 1; name = ++from; }
        else return 0;
    }
    while (*pattern == '*') pattern++;
    return !*pattern;
}

static nn__name *nn__name_add(nn_ctx *c, nn_model *m, nn__name *parent, const char *name, int64_t index) {
    nn__name *k, **last = &parent->child;
    size_t    n = strlen(name) + 1;
    if (!nn__name_valid(name)) return nn__fail(c, NULL, NN__M_NAME_BAD, name), (nn__name *)NULL;
    k = (nn__name *)nn__alloc_zero(m->ctx, sizeof *k + n);
    if (!k) return nn__fail(c, NULL, NN__M_MEMORY, (unsigned long long)n), (nn__name *)NULL;
    k->name   = (char *)memcpy(k + 1, name, n);
    k->index  = index;
    k->param  = -1;
    k->parent = parent;
    while (*last) last = &(*last)->next; /* in the order of first use */
    *last = k;
    return k;
}

static void nn__names_free(nn_ctx *c, nn__name *k) {
    while (k) {
        nn__name *next = k->next;
        nn__names_free(c, k->child);
        nn__free(c, k, sizeof *k + strlen(k->name) + 1);
        k = next;
    }
}

/* -- scopes -- */
NN_API nn_scope nn_enter(nn_model *m, nn_ctx *c, nn_mode mode) {
    nn_scope s = {NULL, NULL, NULL, 0, 0};
    if (!nn__ok_arg(c, "enter", m, "the model")) return s;
    s.ctx   = c;
    s.model = m;
    s.at    = &m->root;
    s.mode  = mode == NN_EVAL ? NN_EVAL : NN_TRAIN;
    c->place = &m->root;
    return s;
}

NN_API nn_scope nn_in_i(nn_scope s, const char *name, int64_t i) {
    nn__name *k;
    if (!nn__ok(s.ctx) || !s.at || !nn__ok_arg(s.ctx, "in", name, "name")) { s.at = NULL; return s; }
    if (s.lost) return s;
    k = nn__name_find((nn__name *)s.at, name, i);
    if (!k && !s.model->made) s.at = k = nn__name_add(s.ctx, s.model, (nn__name *)s.at, name, i);
    else if (k) s.at = k;
    else s.lost = 1; /* ops may run here, booked to the parent */
    if (s.at) s.ctx->place = (nn__name *)s.at;
    return s;
}
NN_API nn_scope   nn_in(nn_scope s, const char *name) { return nn_in_i(s, name, -1); }
NN_API void      *nn_user(nn_scope s) { return s.model ? s.model->user : NULL; }
NN_API nn_tensor *nn_leave(nn_scope s, nn_tensor *y) {
    if (y && s.at && s.model && s.model->hook && s.ctx == s.model->ctx && !s.ctx->plan && !s.ctx->error) {
        char name[512];
        nn__place_text((const nn__name *)s.at, name, sizeof name);
        s.model->hook(s.model->hook_user, name, y);
    }
    if (s.ctx && s.at && !s.ctx->error) s.ctx->place = s.lost ? (nn__name *)s.at : ((nn__name *)s.at)->parent; /* an error keeps its place */
    return y;
}

/* -- initial values -- */
enum { NN__INIT_CONST, NN__INIT_UNIFORM, NN__INIT_NORMAL, NN__INIT_ORTHOGONAL, NN__INIT_LENGTHS };
static nn_init nn__init(int kind, double a, double b) {
    nn_init i;
    i.kind = kind; i.a = a; i.b = b;
    return i;
}
static double  nn__fan(int64_t n) { return n > 0 ? (double)n : 1; }
NN_API nn_init nn_init_zeros(void) { return nn__init(NN__INIT_CONST, 0, 0); }
NN_API nn_init nn_init_const(double v) { return nn__init(NN__INIT_CONST, v, 0); }
NN_API nn_init nn_init_uniform(double low, double high) { return nn__init(NN__INIT_UNIFORM, low, high); }
NN_API nn_init nn_init_normal(double mean, double std) { return nn__init(NN__INIT_NORMAL, mean, std); }
static nn_init nn__init_within(double bound) { return nn__init(NN__INIT_UNIFORM, -bound, bound); }
NN_API nn_init nn_init_fan_in(int64_t in) { return nn__init_within(1 / sqrt(nn__fan(in))); }
NN_API nn_init nn_init_xavier_uniform(int64_t in, int64_t out) { return nn__init_within(sqrt(6 / nn__fan(in + out))); }
NN_API nn_init nn_init_xavier_normal(int64_t in, int64_t out) { return nn__init(NN__INIT_NORMAL, 0, sqrt(2 / nn__fan(in + out))); }
NN_API nn_init nn_init_he_uniform(int64_t in) { return nn__init_within(sqrt(6 / nn__fan(in))); }
NN_API nn_init nn_init_he_normal(int64_t in) { return nn__init(NN__INIT_NORMAL, 0, sqrt(2 / nn__fan(in))); }

NN_API nn_init nn_init_orthogonal(double gain) { return nn__init(NN__INIT_ORTHOGONAL, gain, 0); }

/* The shorter side's vectors of a normal matrix, made orthogonal one after another (twice, which is as exact as Householder's QR) */
static void nn__init_orthogonalise(nn_model *m, nn__param *p) {
    int64_t n = nn__count(p->shape.ndim, p->shape.dim), rows = p->shape.ndim ? p->shape.dim[0] : 1, columns = rows ? n / rows : 0;
    int64_t count = nn__min64(rows, columns), length = nn__max64(rows, columns), step = rows <= columns ? 1 : columns, next = rows <= columns ? columns : 1;
    double *v = (double *)nn__alloc(m->ctx, (size_t)n * sizeof *v);
    if (!v) return;
    for (int64_t i = 0; i < count; i++)
        for (int64_t k = 0; k < length; k++) v[i * length + k] = nn__load(m->dtype, p->st.data, i * next + k * step);
    for (int64_t i = 0; i < count; i++) {
        double *a = v + i * length, norm = 0;
        for (int64_t j = 0; j < 2 * i; j++) {
            const double *b = v + (j % i) * length;
            double        dot = 0;
            for (int64_t k = 0; k < length; k++) dot += a[k] * b[k];
            for (int64_t k = 0; k < length; k++) a[k] -= dot * b[k];
        }
        for (int64_t k = 0; k < length; k++) norm += a[k] * a[k];
        for (int64_t k = 0; k < length; k++) a[k] /= sqrt(norm);
        for (int64_t k = 0; k < length; k++) nn__store(m->dtype, p->st.data, i * next + k * step, p->init.a * a[k]);
    }
    nn__free(m->ctx, v, (size_t)n * sizeof *v);
}
/* Of name_g: the lengths of name_v, which is there already */
static void nn__init_lengths(nn_model *m, nn__param *p) {
    size_t n = strlen(p->at->name);
    for (int64_t i = 0; i < m->n; i++) {
        const nn__param *v = m->param[i];
        int64_t          rows = p->shape.dim[0], columns = rows ? nn__count(v->shape.ndim, v->shape.dim) / rows : 0;
        if (v->at->parent != p->at->parent || strncmp(v->at->name, p->at->name, n - 1) || strcmp(v->at->name + n - 1, "v") || !v->st.data) continue;
        for (int64_t r = 0; r < rows; r++) {
            double sum = 0;
            for (int64_t k = 0; k < columns; k++) sum += nn__load(m->dtype, v->st.data, r * columns + k) * nn__load(m->dtype, v->st.data, r * columns + k);
            nn__store(m->dtype, p->st.data, r, sqrt(sum));
        }
    }
}

static void nn__init_values(nn_model *m, nn__param *p) {
    const nn__kernel_set *k = nn__kernels_for(m->ctx, m->dtype);
    int64_t  n = nn__count(p->shape.ndim, p->shape.dim);
    uint64_t h = 1469598103934665603u;
    double   ab[2];
    nn__rng  r;
    for (const char *s = p->path; *s; s++) h = (h ^ (unsigned char)*s) * 1099511628211u; /* FNV-1a */
    r.seed   = nn__mix(m->ctx->config.seed ^ h);
    r.stream = 0xffffffffu;
    r.step   = 0;
    ab[0] = p->init.a; ab[1] = p->init.b;
    if (n == 0) return;
    if (p->init.kind == NN__INIT_UNIFORM) k->uniform(r, 0, p->st.data, n, ab);
    else if (p->init.kind == NN__INIT_NORMAL) k->normal(r, 0, p->st.data, n, ab);
    else if (p->init.kind == NN__INIT_ORTHOGONAL) {
        ab[0] = 0; ab[1] = 1;
        k->normal(r, 0, p->st.data, n, ab);
        nn__init_orthogonalise(m, p);
    } else if (p->init.kind == NN__INIT_LENGTHS) nn__init_lengths(m, p);
    else for (int64_t i = 0; i < n; i++) nn__store(m->dtype, p->st.data, i, p->init.a);
}

/* -- parameters -- */
static int  nn__model_fill(nn_model *m, nn_file *f, int only); /* >>files */
static void nn__file_free(nn_file *f);

static void nn__param_make(nn_model *m, nn__param *p, void *data) {
    p->st.data = data;
    p->st.home = NN__OUTSIDE;
    nn__init_values(m, p);
}

/* A new name: declared now; its storage comes with the others', or at once in a model that is run by hand. */
static nn__param *nn__declare(nn_ctx *c, nn_model *m, nn__name *at, nn_shape shape, nn_init init, int buffer) {
    char       path[512];
    size_t     n;
    nn__param *p;
    if (!nn__check_shape(c, at->name, m->dtype, &shape)) return NULL;
    if (c != m->ctx && !c->shape_only) return nn__fail(c, "param", NN__M_MODEL_THREADS), (nn__param *)NULL;
    n = nn__place_text(at, path, sizeof path) + 1;
    if (!nn__grow(m->ctx, &m->param, &m->room, m->n + 1, sizeof *m->param)) return NULL;
    p = (nn__param *)nn__alloc_zero(m->ctx, sizeof *p + n);
    if (!p) return nn__fail(c, NULL, NN__M_MEMORY, (unsigned long long)n), (nn__param *)NULL;
    p->path      = (char *)memcpy(p + 1, path, n);
    p->path_size = n;
    p->at        = at;
    p->shape     = shape;
    p->init      = init;
    p->buffer    = buffer;
    p->st.bytes  = (size_t)nn__count(shape.ndim, shape.dim) * nn__dtypes[m->dtype].size;
    p->packed.owner = m->ctx;
    p->st.packed    = m->pack ? &p->packed : NULL;
    if (!c->shape_only) {
        p->block_size = p->st.bytes ? p->st.bytes : 1;
        p->block      = nn__alloc(m->ctx, p->block_size);
        if (!p->block) return nn__free(m->ctx, p, sizeof *p + n), (nn__param *)NULL;
        nn__param_make(m, p, p->block);
    }
    m->param[m->n] = p;
    at->param      = (int)m->n++;
    if (!c->shape_only && m->waiting && !nn__model_fill(m, m->waiting, at->param)) return NULL;
    return p;
}

static nn__binding *nn__bind(nn_ctx *c, nn_model *m) {
    nn__binding *b = c->bindings;
    while (b && b->id != m->id) b = b->next;
    if (!b) {
        b = (nn__binding *)nn__alloc_zero(c, sizeof *b);
        if (!b) return NULL;
        b->id       = m->id;
        b->next     = c->bindings;
        c->bindings = b;
    }
    return nn__grow(c, &b->handle, &b->n, m->n, sizeof *b->handle) ? b : NULL;
}

static nn_tensor *nn__handle(nn_ctx *c, nn_model *m, int i) {
    nn__binding *b = c->bindings && c->bindings->id == m->id && i < c->bindings->n ? c->bindings : NULL;
    nn__param   *p = m->param[i];
    int64_t      had;
    if (!b) {
        nn__binding *old = c->bindings;
        while (old && old->id != m->id) old = old->next;
        had = old ? old->n : 0;
        b   = nn__bind(c, m);
        if (!b) return NULL;
        for (int64_t k = had; k < b->n; k++) b->handle[k] = NULL;
    }
    if (!b->handle[i]) {
        nn_tensor *x = nn__kept_new(c, m->dtype, p->shape.ndim, p->shape.dim, p->st.data);
        if (!x) return NULL;
        x->st         = &p->st; /* the model's: contexts see each other's versions */
        b->handle[i]  = x;
    }
    b->handle[i]->needs_grad = !p->buffer && !p->frozen;
    return b->handle[i];
}

static void nn__bindings_free(nn_ctx *c) {
    while (c->bindings) {
        nn__binding *b = c->bindings;
        c->bindings = b->next;
        nn__free(c, b->handle, (size_t)b->n * sizeof *b->handle);
        nn__free(c, b, sizeof *b);
    }
    nn_state_clear(c);
}

/* Parameter i in c: its handle, or, where there is no data, a tensor of its shape */
static nn_tensor *nn__param_here(nn_ctx *c, nn_model *m, int i) {
    nn__param *p = m->param[i];
    if (c->shape_only) {
        nn_tensor *x = nn__tensor_on(c, m->dtype, p->shape.ndim, p->shape.dim, 0);
        if (x) x->needs_grad = !p->buffer && !p->frozen;
        if (c->summing) p->asked++;
        return x;
    }
    return p->st.data ? nn__handle(c, m, i) : (nn__fail(c, "param", NN__M_MODEL_NOT_MADE), (nn_tensor *)NULL);
}

static nn_tensor *nn__param_of(const nn_scope *s, const char *name, const nn_shape *shape, const nn_init *init, int buffer) {
    nn__text   t, u;
    nn_ctx    *c = s->ctx;
    nn_model  *m = s->model;
    nn__name  *k;
    nn__param *p;
    int        same;
    if (!nn__ok(c)) return NULL;
    if (!s->at) return nn__fail(c, "param", NN__M_SCOPE), (nn_tensor *)NULL;
    if (!nn__ok_arg(c, "param", name, "name")) return NULL;
    k = s->lost ? NULL : nn__name_find((nn__name *)s->at, name, -1);
    if (!k && !m->made) k = nn__name_add(c, m, (nn__name *)s->at, name, -1);
    if (!k || (k->param < 0 && m->made)) return nn__fail(c, NULL, NN__M_NAME_UNKNOWN, name), (nn_tensor *)NULL;
    p = k->param < 0 ? nn__declare(c, m, k, *shape, *init, buffer) : m->param[k->param];
    if (!p) return NULL;
    same = shape->ndim == p->shape.ndim;
    for (int i = 0; same && i < shape->ndim; i++) same = shape->dim[i] == p->shape.dim[i];
    if (!same) return nn__fail(c, NULL, NN__M_NAME_SHAPE, name, nn__text_of(&t, p->shape), nn__text_of(&u, *shape)), (nn_tensor *)NULL;
    return nn__param_here(c, m, k->param);
}
NN_API nn_tensor *nn_tied(nn_scope s, const char *path) {
    if (!nn__ok(s.ctx)) return NULL;
    if (!s.at) return nn__fail(s.ctx, "tied", NN__M_SCOPE), (nn_tensor *)NULL;
    if (!nn__ok_arg(s.ctx, "tied", path, "the name")) return NULL;
    for (int i = 0; i < s.model->n; i++)
        if (!strcmp(s.model->param[i]->path, path)) return nn__param_here(s.ctx, s.model, i);
    return nn__fail(s.ctx, NULL, NN__M_NAME_UNKNOWN, path), (nn_tensor *)NULL;
}
NN_API int nn_model_train(nn_model *m, const char *pattern, int on) {
    int count = 0;
    if (!m || !nn__ok_arg(m->ctx, "model_train", pattern, "the pattern")) return 0;
    if (!m->n) return nn__fail(m->ctx, "model_train", NN__M_MODEL_NOT_MADE);
    for (int i = 0; i < m->n; i++) {
        if (m->param[i]->buffer || !nn__fits(pattern, m->param[i]->path)) continue;
        m->param[i]->frozen = !on;
        if (m->param[i]->st.data && nn__handle(m->ctx, m, i)) count++; /* which also tells the handle */
    }
    return count || nn__fail(m->ctx, "model_train", NN__M_RULE, pattern, "no parameter's name fits") ? count : 0;
}
NN_API int nn_model_hook(nn_model *m, nn_hook hook, void *user) {
    if (!m || !nn__ok(m->ctx)) return 0;
    m->hook      = hook;
    m->hook_user = user;
    return 1;
}
NN_API nn_tensor *nn_param(nn_scope s, const char *name, nn_shape shape, nn_init init) { return nn__param_of(&s, name, &shape, &init, 0); }
NN_API nn_tensor *nn_buffer(nn_scope s, const char *name, nn_shape shape, nn_init init) { return nn__param_of(&s, name, &shape, &init, 1); }

NN_API nn_tensor *nn_state(nn_scope s, const char *name, nn_dtype dtype, nn_shape shape) {
    nn__text   t, u;
    nn_ctx    *c = s.ctx;
    nn__state *k;
    if (!nn__ok(c)) return NULL;
    if (!s.at) return nn__fail(c, "state", NN__M_SCOPE), (nn_tensor *)NULL;
    if (!nn__ok_arg(c, "state", name, "name")) return NULL;
    if (s.lost) return nn__fail(c, "state", NN__M_NAME_UNKNOWN, name), (nn_tensor *)NULL;
    if (!nn__name_valid(name)) return nn__fail(c, "state", NN__M_NAME_BAD, name), (nn_tensor *)NULL;
    if (!nn__check_shape(c, "state", dtype, &shape)) return NULL;
    for (k = c->states; k; k = k->next)
        if (k->at == s.at && k->model == s.model->id && !strcmp(k->name, name)) break;
    if (!k) {
        k = (nn__state *)nn__alloc_zero(c, sizeof *k);
        if (!k) return NULL;
        k->x = nn__kept_new(c, dtype, shape.ndim, shape.dim, NULL);
        if (!k->x) return nn__free(c, k, sizeof *k), (nn_tensor *)NULL;
        k->at    = (const nn__name *)s.at;
        k->model = s.model->id;
        strcpy(k->name, name);
        k->next   = c->states;
        c->states = k;
    }
    if (k->x->dtype != dtype || k->x->ndim != shape.ndim || (shape.ndim && memcmp(k->x->size, shape.dim, (size_t)shape.ndim * sizeof shape.dim[0])))
        return nn__fail(c, "state", NN__M_STATE_SHAPE, name, nn__shape_text(&t, k->x->ndim, k->x->size), nn__text_of(&u, shape)), (nn_tensor *)NULL;
    return k->x;
}
static void nn__states_free(nn_ctx *c, uint64_t model) { /* of one model; 0: of all */
    nn__state **p = &c->states;
    while (*p) {
        nn__state *k = *p;
        if (model && k->model != model) { p = &k->next; continue; }
        *p = k->next;
        nn__kept_free(k->x);
        nn__free(c, k, sizeof *k);
    }
}
NN_API void nn_state_clear(nn_ctx *c) {
    if (c) nn__states_free(c, 0);
}

/* -- the model's life -- */
static void nn__params_free(nn_model *m) {
    for (int64_t i = 0; i < m->n; i++) {
        nn__packed_free(&m->param[i]->packed);
        nn__free(m->ctx, m->param[i]->block, m->param[i]->block_size);
        nn__free(m->ctx, m->param[i], sizeof *m->param[i] + m->param[i]->path_size);
    }
    m->n = 0;
    nn__names_free(m->ctx, m->root.child);
    m->root.child = NULL;
}

static void nn__model_destroy(nn__object *o) { nn_model_free((nn_model *)((char *)o - offsetof(nn_model, object))); }

NN_API nn_model *nn_model_new(nn_ctx *c, nn_net net, void *user) {
    nn_model *m;
    if (!nn__ok(c)) return NULL;
    m = (nn_model *)nn__alloc_zero(c, sizeof *m);
    if (!m) return NULL;
    m->ctx        = c;
    m->net        = net;
    m->user       = user;
    m->dtype      = NN_F32;
    m->root.name  = "";
    m->root.index = -1;
    m->root.param = -1;
    m->id         = nn__atomic_add(&c->root->next_id, 1) + 1;
    nn__object_add(c, &m->object, nn__model_destroy);
    return m;
}

NN_API void nn_model_free(nn_model *m) {
    nn_ctx       *c;
    nn__binding **b;
    if (!m) return;
    c = m->ctx;
    for (b = &c->bindings; *b; b = &(*b)->next)
        if ((*b)->id == m->id) {
            nn__binding *old = *b;
            for (int64_t i = 0; i < old->n && i < m->n; i++)
                if (old->handle[i]) nn__kept_free(old->handle[i]);
            *b = old->next;
            nn__free(c, old->handle, (size_t)old->n * sizeof *old->handle);
            nn__free(c, old, sizeof *old);
            break;
        }
    nn__states_free(c, m->id);
    nn_model_plan(m, 0);
    nn__plans_forget_model(c->root, m);
    nn__profile_forget_places(c); /* they may come again as another model's */
    if (m->waiting) nn__file_free(m->waiting);
    nn__params_free(m);
    nn__free(c, m->param, (size_t)m->room * sizeof *m->param);
    nn__free(c, m->block, m->block_size);
    c->place = NULL;
    nn__object_remove(c, &m->object);
    nn__free(c, m, sizeof *m);
}

NN_API int nn_model_dtype(nn_model *m, nn_dtype real) {
    if (!m || !nn__ok(m->ctx)) return 0;
    if (m->n) return nn__fail(m->ctx, "model_dtype", NN__M_MODEL_MADE);
    if (real != NN_F32 && real != NN_F64) return nn__fail(m->ctx, "model_dtype", NN__M_NOT_REAL, 2, nn_dtype_name(real));
#if defined(NN_NO_F64)
    if (real == NN_F64) return nn__fail(m->ctx, "model_dtype", NN__M_NO_F64);
#endif
    m->dtype = real;
    return 1;
}

NN_API int nn_model_freeze(nn_model *m) {
    nn_ctx *c = m ? m->ctx : NULL;
    size_t  total = 0, at = 0;
    if (!m || !nn__ok(c)) return 0;
    if (m->made) return 1;
    for (int64_t i = 0; i < m->n; i++)
        if (!m->param[i]->st.data) total += nn__round_up(m->param[i]->st.bytes, NN__ALIGN);
    if (total) {
        m->block = nn__alloc(c, total);
        if (!m->block) return 0;
        m->block_size = total;
    }
    for (int64_t i = 0; i < m->n; i++) {
        nn__param *p = m->param[i];
        if (p->st.data) continue;
        nn__param_make(m, p, m->block ? (char *)m->block + at : (char *)m + 0);
        at += nn__round_up(p->st.bytes, NN__ALIGN);
    }
    m->made = 1;
    if (m->waiting) {
        nn_file *f = m->waiting;
        int      fine;
        m->waiting = NULL;
        fine = nn__model_fill(m, f, -1);
        nn__file_free(f);
        return fine;
    }
    return 1;
}

/* After a run on shapes alone that failed: what it declared is half a model, and is forgotten. The names stay, since
   scopes point to them; parameters with data were run by hand before, and are real. */
static void nn__undeclare(nn_model *m) {
    while (m->n && !m->param[m->n - 1]->st.data) {
        nn__param *p = m->param[--m->n];
        p->at->param = -1;
        nn__free(m->ctx, p, sizeof *p + p->path_size);
    }
}

/* Declares the parameters by running the network on a shape alone. */
static int nn__model_make(nn_model *m, nn_ctx *c, nn_dtype dtype, nn_shape x) {
    nn_ctx *f;
    nn_tensor *y;
    if (!nn__ok_arg(c, "model", m, "the model")) return 0;
    if (m->made) return 1;
    if (!m->net) return nn__fail(c, "model", NN__M_MODEL_NO_NET);
    if (c != m->ctx) return c->shape_only ? 1 : nn__fail(c, "model", NN__M_MODEL_THREADS);
    f = nn_fork_shapes(c);
    if (!f) return 0;
    y = m->net(nn_enter(m, f, NN_TRAIN), nn__tensor(f, "model", dtype, x));
    if (!y && !f->error) nn__fail(f, "model", NN__M_NET_NULL);
    if (f->error) nn__undeclare(m);
    if (f->error && !c->error) { /* it was reported there */
        c->error = f->error;
        memcpy(c->error_text, f->error_text, sizeof c->error_text);
    }
    nn_end(f);
    return !c->error && nn_model_freeze(m);
}
NN_API int nn_model_build(nn_model *m, nn_dtype dtype, nn_shape x) { return m && nn__model_make(m, m->ctx, dtype, x); }

static nn_tensor *nn__model_run(nn_model *m, nn_tensor *x, nn_mode mode) {
    nn_ctx    *c = x->ctx;
    nn_tensor *y;
    if (!m->made && !nn__model_make(m, c, x->dtype, nn_shape_of(x))) return NULL;
    if (!m->net) return nn__fail(c, "model", NN__M_MODEL_NO_NET), (nn_tensor *)NULL;
    y = m->net(nn_enter(m, c, mode), x);
    if (!y) nn__fail(c, "model", NN__M_NET_NULL);
    c->place = NULL;
    return c->error ? NULL : y;
}
NN_API nn_tensor *nn_forward(nn_model *m, nn_tensor *x) {
    return nn__ok_tensor("forward", x) && nn__ok_arg(x->ctx, "forward", m, "the model") ? nn__model_run(m, x, NN_TRAIN) : NULL;
}

static nn_plan *nn__predict_plan(nn_model *m, nn_tensor *x); /* >>plan */
static nn_tensor *nn__plan_result(nn_plan *p);

NN_API nn_tensor *nn_predict(nn_model *m, nn_tensor *x) {
    nn_ctx    *c;
    nn_tensor *y, *result = NULL;
    nn__mark   mark;
    int        was;
    if (!nn__ok_tensor("predict", x) || !nn__ok_arg(x->ctx, "predict", m, "the model")) return NULL;
    c = x->ctx;
    if (!m->made && !nn__model_make(m, c, x->dtype, nn_shape_of(x))) return NULL;
    if (m->plans && !m->hook && !c->eager && c == m->ctx && !c->plan && !c->shape_only) {
        nn_plan *p = nn__predict_plan(m, x);
        if (p) return nn_plan_run(p) ? nn_clone(nn__plan_result(p)) : NULL;
    }
    mark = nn__arena_mark(c);
    was  = nn_no_grad(c, 1);
    y    = nn__model_run(m, x, NN_EVAL);
    if (y && (c->shape_only || c->plan)) result = y;
    else if (y) { /* only the result survives: it waits here, or in the pool, while the arena goes back to where it was */
        nn_dtype dtype = y->dtype;
        int      ndim  = y->ndim;
        int64_t  n = nn_numel(y), size[NN_MAX_DIMS];
        size_t   bytes = (size_t)n * nn__dtypes[dtype].size;
        double   small[32];
        void    *room;
        for (int i = 0; i < ndim; i++) size[i] = y->size[i];
        if (y->st->device) y = nn_to_device(y, 0);
        room = !y ? NULL : bytes <= sizeof small ? small : nn__pool_get(c, bytes);
        if (room) nn__copy_rows(y, dtype, room, 0, n, 0);
        nn__arena_rewind(c, mark);
        result = room ? nn__tensor_on(c, dtype, ndim, size, 0) : NULL;
        if (result && bytes) memcpy(result->st->data, room, bytes);
        if (room && room != small) nn__pool_put(c, room, bytes);
    }
    nn_no_grad(c, was);
    return result;
}

NN_API int nn_predict_f32(nn_model *m, const float *x, nn_shape shape, float *y, size_t n) {
    nn_ctx  *c = m ? m->ctx : NULL;
    nn__mark mark;
    int      fine;
    if (!nn__ok_arg(c, "predict", m, "the model") || !nn__ok_arg(c, "predict", x, "x") || !nn__ok_arg(c, "predict", y, "y")) return 0;
    if (c->plan) return nn__fail(c, NULL, NN__M_PLAN_HOST, "predict_f32");
    mark = nn__arena_mark(c);
    fine = nn_read(nn_cast(nn_predict(m, nn_from(c, x, NN_F32, shape)), NN_F32), y, n * sizeof *y);
    nn__arena_rewind(c, mark);
    return fine;
}

NN_API int nn_model_pack(nn_model *m, int on) {
    if (!m || !nn__ok(m->ctx)) return 0;
    m->pack = on != 0;
    for (int64_t i = 0; i < m->n; i++) {
        nn__packed_free(&m->param[i]->packed);
        m->param[i]->st.packed = on ? &m->param[i]->packed : NULL;
    }
    return 1;
}

NN_API int     nn_model_count(const nn_model *m) { return m ? (int)m->n : 0; }
NN_API int64_t nn_model_size(const nn_model *m) {
    int64_t n = 0;
    for (int64_t i = 0; m && i < m->n; i++)
        if (!m->param[i]->buffer) n += nn__count(m->param[i]->shape.ndim, m->param[i]->shape.dim);
    return n;
}
NN_API const char *nn_model_name(const nn_model *m, int i) { return m && i >= 0 && i < m->n ? m->param[i]->path : NULL; }
NN_API nn_tensor  *nn_model_tensor(nn_model *m, nn_ctx *c, const char *name) {
    if (!nn__ok_arg(c, "model_tensor", m, "the model") || !nn__ok_arg(c, "model_tensor", name, "name")) return NULL;
    for (int i = 0; i < m->n; i++)
        if (!strcmp(m->param[i]->path, name)) {
            if (!m->param[i]->st.data) return nn__fail(c, "model_tensor", NN__M_MODEL_NOT_MADE), (nn_tensor *)NULL;
            return nn__handle(c, m, i);
        }
    return nn__fail(c, "model_tensor", m->n ? NN__M_NAME_UNKNOWN : NN__M_MODEL_NOT_MADE, name), (nn_tensor *)NULL;
}

/* -- summary: the nodes of a shape-only run, those of one scope in one line -- */
static nn_node *nn__tape_reversed(nn_node *last) { /* only for a tape that is thrown away */
    nn_node *first = NULL;
    while (last) {
        nn_node *prev = last->prev;
        last->prev = first;
        first      = last;
        last       = prev;
    }
    return first;
}
static int64_t nn__scope_size(const nn_model *m, const nn__name *place) {
    int64_t n = 0;
    for (int64_t i = 0; i < m->n; i++)
        if (m->param[i]->at->parent == place && !m->param[i]->buffer) n += nn__count(m->param[i]->shape.ndim, m->param[i]->shape.dim);
    return n;
}
static int nn__is_shared(const nn_model *m, const nn__name *place) { /* one name, used several times */
    for (int64_t i = 0; i < m->n; i++)
        if (m->param[i]->at->parent == place && m->param[i]->asked > 1) return 1;
    return 0;
}
NN_API int nn_summary_text(nn_model *m, nn_dtype dtype, nn_shape shape, char *text, size_t size) {
    nn_ctx    *c = m ? m->ctx : NULL, *f;
    nn_tensor *x;
    nn__out    o;
    double     flops = 0;
    o.text = text; o.size = size; o.n = 0;
    if (size) text[0] = 0;
    if (!nn__ok_arg(c, "summary", m, "the model")) return -1;
    f = nn_fork_shapes(c);
    if (!f) return -1;
    f->config.quiet = 1;
    f->summing      = 1;
    for (int64_t i = 0; i < m->n; i++) m->param[i]->asked = 0;
    x = nn__tensor(f, "summary", dtype, shape);
    if (!m->net) nn__fail(f, "summary", NN__M_MODEL_NO_NET);
    else if (x && !m->net(nn_enter(m, f, NN_TRAIN), x)) nn__fail(f, "summary", NN__M_NET_NULL);
    if (f->error) {
        if (!m->made) nn__undeclare(m);
        nn_fail(c, f->error, "%s", f->error_text);
        nn_end(f);
        return -1;
    }
    nn__put(&o, "%-28s %-18s %12s %16s\n", "layer", "output", "parameters", "flops");
    for (nn_node *n = nn__tape_reversed(f->tape); n;) {
        const nn__name *place = (const nn__name *)n->place;
        const nn_op    *op = n->op;
        nn_node        *last = n;
        nn__text        t;
        char            name[200];
        double          here = 0;
        int             scoped = place && place->parent;
        do { /* the run of nodes in one scope; at the top, each op by itself */
            if (n->op->cost) here += n->op->cost(n).flops;
            last = n;
            n    = n->prev;
        } while (scoped && n && n->place == place);
        flops += here;
        if (!scoped && (op->flags & NN_OP_VIEW)) continue;
        if (scoped) snprintf(name + nn__place_text(place, name, sizeof name / 2), sizeof name / 2, "%s", nn__is_shared(m, place) ? " (shared)" : "");
        else snprintf(name, sizeof name, "%s", op->name);
        nn__put(&o, "%-28s %-18s %12lld %16.0f\n", name, nn__shape_text(&t, last->out[0]->ndim, last->out[0]->size), (long long)(scoped ? nn__scope_size(m, place) : 0), here);
    }
    nn__put(&o, "%-28s %-18s %12lld %16.0f\n", "total", "", (long long)nn_model_size(m), flops);
    nn_end(f);
    return (int)o.n;
}
NN_API int nn_summary(nn_model *m, nn_dtype dtype, nn_shape x) {
    int n = nn_summary_text(m, dtype, x, NULL, 0);
#if !defined(NN_NO_STDIO)
    char *s = n >= 0 ? (char *)nn__alloc(m->ctx, (size_t)n + 1) : NULL;
    if (!s) return 0;
    nn_summary_text(m, dtype, x, s, (size_t)n + 1);
    fputs(s, stdout);
    nn__free(m->ctx, s, (size_t)n + 1);
#endif
    return n >= 0;
}

/* ---- >>layers ---------------------------------------------------------------------------------------
   A layer asks for its parameters by name and applies an op; that is all there is to it. */
NN_API nn_tensor *nn_layer_linear_act(nn_scope s, const char *name, nn_tensor *x, int64_t out, nn_act act) {
    int64_t    in = nn_dim(x, -1); /* x [...,in] -> [...,out] */
    nn_scope   l  = nn_in(s, name);
    nn_shape   shape = NN_SHAPE(out, in);
    nn_init    init = nn_init_fan_in(in);
    nn_tensor *w = nn__param_of(&l, "weight", &shape, &init, 0), *b; /* as nn_param, by pointer: a tiny layer costs no more than its look-ups */
    shape.ndim = 1;
    b = nn__param_of(&l, "bias", &shape, &init, 0);
    return b ? nn_leave(l, nn_linear_act(x, w, b, act)) : NULL;
}
NN_API nn_tensor *nn_layer_linear(nn_scope s, const char *name, nn_tensor *x, int64_t out) { return nn_layer_linear_act(s, name, x, out, NN_ACT_NONE); }

NN_API nn_tensor *nn_layer_layernorm(nn_scope s, const char *name, nn_tensor *x) {
    int64_t    n = nn_dim(x, -1);
    nn_scope   l = nn_in(s, name);
    nn_tensor *w = nn_param(l, "weight", NN_SHAPE(n), nn_init_const(1));
    nn_tensor *b = nn_param(l, "bias", NN_SHAPE(n), nn_init_zeros());
    return nn_leave(l, nn_layernorm(x, w, b, 1e-5));
}

NN_API nn_tensor *nn_layer_dropout(nn_scope s, nn_tensor *x, double p) { return nn_dropout(x, p, s.mode == NN_TRAIN); }

NN_API nn_tensor *nn_layer_embedding(nn_scope s, const char *name, nn_tensor *ids, int64_t count, int64_t size) {
    nn_scope l = nn_in(s, name);
    return nn_leave(l, nn_index_select(nn_param(l, "weight", NN_SHAPE(count, size), nn_init_normal(0, 1)), 0, ids)); /* [...] -> [...,size] */
}

NN_API nn_tensor *nn_layer_rmsnorm(nn_scope s, const char *name, nn_tensor *x) {
    nn_scope l = nn_in(s, name);
    return nn_leave(l, nn_rmsnorm(x, nn_param(l, "weight", NN_SHAPE(nn_dim(x, -1)), nn_init_const(1)), 1e-6));
}

NN_API nn_tensor *nn_layer_batchnorm(nn_scope s, const char *name, nn_tensor *x) {
    int64_t              n = nn_dim(x, 1); /* x [N,C,...] */
    nn_scope             l = nn_in(s, name);
    nn_batchnorm_options o;
    memset(&o, 0, sizeof o);
    o.weight   = nn_param(l, "weight", NN_SHAPE(n), nn_init_const(1));
    o.bias     = nn_param(l, "bias", NN_SHAPE(n), nn_init_zeros());
    o.mean     = nn_buffer(l, "running_mean", NN_SHAPE(n), nn_init_zeros());
    o.var      = nn_buffer(l, "running_var", NN_SHAPE(n), nn_init_const(1));
    o.training = s.mode == NN_TRAIN;
    if (!o.var) return NULL;
    if (o.training && s.ctx != s.model->ctx) o.mean = o.var = NULL; /* one writer: the model's own context */
    return nn_leave(l, nn_batchnorm(x, &o));
}

NN_API nn_tensor *nn_layer_groupnorm(nn_scope s, const char *name, nn_tensor *x, int groups) {
    int64_t    n = nn_dim(x, 1); /* x [N,C,...] */
    nn_scope   l = nn_in(s, name);
    nn_tensor *w = nn_param(l, "weight", NN_SHAPE(n), nn_init_const(1)), *b = nn_param(l, "bias", NN_SHAPE(n), nn_init_zeros());
    return b ? nn_leave(l, nn_groupnorm(x, groups, w, b, 1e-5)) : NULL;
}

NN_API nn_tensor *nn_layer_bilinear(nn_scope s, const char *name, nn_tensor *x, nn_tensor *y, int64_t out) {
    int64_t    n = nn_dim(x, -1), m = nn_dim(y, -1);
    nn_scope   l = nn_in(s, name);
    nn_tensor *w = nn_param(l, "weight", NN_SHAPE(out, n, m), nn_init_fan_in(n)), *b = nn_param(l, "bias", NN_SHAPE(out), nn_init_fan_in(n)), *t;
    nn_shape   split = nn_shape_of(x);
    if (!b) return NULL;
    if (split.ndim == NN_MAX_DIMS) return nn__fail(s.ctx, "bilinear", NN__M_RANK_LIMIT, split.ndim + 1, NN_MAX_DIMS), (nn_tensor *)NULL;
    split.dim[split.ndim - 1] = out;
    split.dim[split.ndim++]   = m;
    t = nn_linear(x, nn_reshape(nn_permute(w, NN_AXES(0, 2, 1)), NN_SHAPE(out * m, n)), NULL); /* x^T W: [...,out*m] */
    return nn_leave(l, nn_add(nn_sum(nn_mul(nn_reshape(t, split), nn_unsqueeze(y, -2)), NN_AXES(-1), 0), b));
}

NN_API nn_tensor *nn_layer_scale(nn_scope s, const char *name, nn_tensor *x, int back) {
    int64_t    n = nn_dim(x, -1);
    nn_scope   l = nn_in(s, name);
    nn_tensor *shift = nn_buffer(l, "shift", NN_SHAPE(n), nn_init_zeros()), *scale = nn_buffer(l, "scale", NN_SHAPE(n), nn_init_const(1));
    return nn_leave(l, back ? nn_add(nn_mul(x, scale), shift) : nn_div(nn_sub(x, shift), scale));
}

NN_API nn_tensor *nn_weight_norm(nn_scope s, const char *name, nn_shape shape, nn_init init) {
    char       part[64];
    nn_shape   one = shape, rest = nn__shape_none();
    nn_tensor *v, *g;
    if (!nn__ok_arg(s.ctx, "weight_norm", name, "name")) return NULL;
    if (shape.ndim < 2 || shape.ndim > NN_MAX_DIMS) return nn__fail(s.ctx, "weight_norm", NN__M_RANK, "the weight", "", "2 to 6"), (nn_tensor *)NULL;
    for (int i = 1; i < shape.ndim; i++) { one.dim[i] = 1; rest.dim[rest.ndim++] = i; }
    snprintf(part, sizeof part, "%.57s_v", name);
    v = nn_param(s, part, shape, init);
    snprintf(part, sizeof part, "%.57s_g", name);
    g = nn_param(s, part, one, nn__init(NN__INIT_LENGTHS, 0, 0));
    return nn_mul(v, nn_div(g, nn_norm(v, rest, 1, 2)));
}

NN_API nn_tensor *nn_sequential(nn_scope s, nn_tensor *x, const nn_net *blocks, int n) {
    char name[16];
    if (!nn__ok_arg(s.ctx, "sequential", blocks, "blocks")) return NULL;
    for (int i = 0; i < n && x; i++) {
        nn_scope l;
        snprintf(name, sizeof name, "%d", i);
        if (!nn__ok_arg(s.ctx, "sequential", (const void *)(uintptr_t)blocks[i], "a block")) return NULL;
        l = nn_in(s, name);
        x = nn_leave(l, blocks[i](l, x));
    }
    return x;
}
NN_API nn_tensor *nn_residual(nn_scope s, nn_tensor *x, nn_net block) { return block ? nn_add(x, block(s, x)) : x; }

/* ---- >>optim ----------------------------------------------------------------------------------------
   An update is an op like any other, one node for all parameters. What changes from step to step is in tensors that it
   reads: hyper, which the schedule fills before each step, and each parameter's own {steps, factor of the learning rate,
   weight decay or NaN for the optimiser's, Nadam's product}. That, up to three moments, and nothing else is the optimiser's state. */
enum { NN__H_LR, NN__H_BETA1, NN__H_BETA2, NN__H_EPS, NN__H_DECAY, NN__H_DECOUPLED, NN__H_MOMENTUM, NN__H_DAMPENING, NN__H_FLAG, NN__H_AVERAGE, NN__H_SIZE = 12 };
enum { NN__OWN_STEPS, NN__OWN_LR, NN__OWN_DECAY, NN__OWN_PRODUCT, NN__OWN_SIZE };
enum { NN__MOMENTS = 3, NN__UPDATES_FEW = 8 };

/* What an optimiser is: its formula NN__U_name (below), how many moments that has, the numbers it takes, and its defaults */
typedef struct nn__rule {
    const nn_op *op;
    int          moments;
    size_t       kernel;
    void       (*constants)(const double *hyper, double *own, double *h); /* from the third on; the first two are weight decay */
    float        lr, beta1, beta2, eps, decay;
} nn__rule;
static const nn__rule *nn__rule_of(const nn_op *op); /* NULL: not an update */

/* Inputs, all contiguous by their making: for each parameter p, gradient, moments ..., own; at the end hyper. */
typedef struct nn__update { void *p, *moment[NN__MOMENTS]; const void *g; int64_t begin; double h[NN__U_CONSTANTS]; } nn__update;
typedef struct nn__updates { nn__optim_fn f; nn__update *list; int64_t n, total; size_t e; } nn__updates;
static int nn__update_each(const nn_op *op) { /* operands of one parameter; 0: not an update */
    const nn__rule *r = nn__rule_of(op);
    return r ? 3 + r->moments : 0;
}
static int nn__shape_update(nn_node *n, nn_spec *out) { return (void)out, (void)n, 1; }

static void nn__update_part(void *arg, int64_t begin, int64_t end, int worker) { /* elements of all parameters, end to end */
    nn__updates *u = (nn__updates *)arg;
    int64_t      i = 0, above = u->n;
    (void)worker;
    while (above - i > 1) { /* the parameter that `begin` lies in */
        int64_t middle = (i + above) / 2;
        if (u->list[middle].begin <= begin) i = middle;
        else above = middle;
    }
    for (; begin < end; i++) {
        const nn__update *p = &u->list[i];
        int64_t           next = i + 1 < u->n ? u->list[i + 1].begin : u->total, n = nn__min64(next, end) - begin;
        size_t            at = (size_t)(begin - p->begin) * u->e;
        void             *moment[NN__MOMENTS] = {NULL, NULL, NULL};
        if (n <= 0) continue; /* a parameter without elements, or one that is done */
        for (int k = 0; k < NN__MOMENTS; k++)
            if (p->moment[k]) moment[k] = (char *)p->moment[k] + at;
        u->f((char *)p->p + at, (const char *)p->g + at, moment, n, p->h);
        begin += n;
    }
}
static int nn__muon(nn_ctx *c, nn_tensor **in, const double *hyper);
static void nn__run_update(nn_node *n) {
    const nn__rule *rule = nn__rule_of(n->op);
    int             each = 3 + rule->moments;
    double          hyper[NN__H_SIZE], common_lr, common_decay, last = 0, *own, *before = NULL;
    nn__updates     u;
    nn__update      few[NN__UPDATES_FEW];
    memcpy(hyper, nn__data(n->in[n->n_in - 1]), sizeof hyper);
    common_lr    = hyper[NN__H_LR];
    common_decay = hyper[NN__H_DECAY];
    memcpy(&u.f, (const char *)nn__kernels_for(n->ctx, n->in[0]->dtype) + rule->kernel, sizeof u.f);
    u.e     = nn__dtypes[n->in[0]->dtype].size;
    u.n     = n->n_in / each;
    u.total = 0;
    u.list  = u.n <= NN__UPDATES_FEW ? few : (nn__update *)nn__arena(n->ctx, (size_t)u.n * sizeof *u.list);
    if (!u.list) return;
    for (int64_t i = 0; i < u.n; i++, before = own) {
        nn_tensor **in = n->in + i * each;
        nn__update *p  = &u.list[i];
        own = (double *)nn__data(in[each - 1]);
        own[NN__OWN_STEPS]++;
        hyper[NN__H_LR]    = common_lr * own[NN__OWN_LR];
        hyper[NN__H_DECAY] = own[NN__OWN_DECAY] == own[NN__OWN_DECAY] ? own[NN__OWN_DECAY] : common_decay;
        memset(p, 0, sizeof *p);
        p->p = nn__data(in[0]); p->g = nn__data(in[1]);
        for (int k = 0; k < rule->moments; k++) p->moment[k] = nn__data(in[2 + k]);
        p->begin = u.total;
        for (int k = 0; k < each; k++)
            if (k != 1) in[k]->st->version++;
        if (!strcmp(n->op->name, "muon") && in[0]->ndim == 2) {
            if (!nn__muon(n->ctx, in, hyper)) return;
            last = 0; /* it has no constants to copy */
            continue;
        }
        u.total += nn_numel(in[0]);
        if (before && own[NN__OWN_STEPS] == last && !memcmp(own + 1, before + 1, (NN__OWN_SIZE - 1) * sizeof *own)) memcpy(p->h, p[-1].h, sizeof p->h);
        else { /* weight decay is added to the gradient, or shrinks the weight by itself */
            p->h[0] = hyper[NN__H_DECOUPLED] != 0 ? 0 : hyper[NN__H_DECAY];
            p->h[1] = hyper[NN__H_DECOUPLED] != 0 ? 1 - hyper[NN__H_LR] * hyper[NN__H_DECAY] : 1;
            rule->constants(hyper, own, p->h);
        }
        last = own[NN__OWN_STEPS];
    }
    nn__parallel(n->ctx, u.total, 0.5 + 0.25 * rule->moments, nn__update_part, &u);
}

/* The formulas, over vectors: from d, the gradient with weight decay, to the weight w and the moments a, b, c; H(k) is constant k. */

/* -- sgd:  a = momentum a + (1 - dampening) d, the first time d; w -= lr a, or, looking ahead (Nesterov), lr (momentum a + d) -- */
#define NN__U_sgd                                                            \
    a = nn__v_fma(H(3), a, nn__v_mul(H(4), d));                              \
    w = nn__v_fnma(H(2), nn__v_fma(H(5), a, nn__v_mul(H(6), d)), w);
static void nn__sgd_constants(const double *hyper, double *own, double *h) {
    int ahead = hyper[NN__H_FLAG] != 0;
    h[2] = hyper[NN__H_LR]; h[3] = hyper[NN__H_MOMENTUM]; h[4] = own[NN__OWN_STEPS] == 1 ? 1 : 1 - hyper[NN__H_DAMPENING];
    h[5] = ahead ? hyper[NN__H_MOMENTUM] : 1; h[6] = ahead;
}

/* -- adam:  a = b1 a + (1-b1) d, b = b2 b + (1-b2) d^2, w -= lr (a / (1-b1^t)) / (sqrt(b / (1-b2^t)) + eps);
      amsgrad divides by the largest b so far, c (Reddi et al. 2018) -- */
#define NN__U_ADAM_MOMENTS                                                   \
    a = nn__v_fma(H(4), a, nn__v_mul(H(5), d));                              \
    b = nn__v_fma(H(6), b, nn__v_mul(H(7), nn__v_mul(d, d)));
#define NN__U_adam                                                           \
    NN__U_ADAM_MOMENTS                                                       \
    w = nn__v_sub(w, nn__v_div(nn__v_mul(H(2), a), nn__v_fma(nn__v_sqrt(b), H(3), H(8))));
#define NN__U_amsgrad                                                        \
    NN__U_ADAM_MOMENTS                                                       \
    c = nn__v_max(c, b);                                                     \
    w = nn__v_sub(w, nn__v_div(nn__v_mul(H(2), a), nn__v_fma(nn__v_sqrt(c), H(3), H(8))));
static void nn__adam_constants(const double *hyper, double *own, double *h) {
    double t = own[NN__OWN_STEPS];
    h[2] = hyper[NN__H_LR] / (1 - pow(hyper[NN__H_BETA1], t));
    h[3] = 1 / sqrt(1 - pow(hyper[NN__H_BETA2], t));
    h[4] = hyper[NN__H_BETA1]; h[5] = 1 - h[4];
    h[6] = hyper[NN__H_BETA2]; h[7] = 1 - h[6];
    h[8] = hyper[NN__H_EPS];
}

/* -- nadam:  Adam that looks ahead, with a momentum mu that grows towards b1 (Dozat 2016):
      w -= (lr (1-mu_t) / (1 - product of mu) d + lr mu_t+1 / (1 - product up to t+1) a) / (sqrt(b / (1-b2^t)) + eps) -- */
#define NN__U_nadam                                                          \
    NN__U_ADAM_MOMENTS                                                       \
    w = nn__v_sub(w, nn__v_div(nn__v_fma(H(9), a, nn__v_mul(H(2), d)), nn__v_fma(nn__v_sqrt(b), H(3), H(8))));
static double nn__nadam_mu(double beta1, double t) { return beta1 * (1 - 0.5 * pow(0.96, t * 0.004)); }
static void   nn__nadam_constants(const double *hyper, double *own, double *h) {
    double t = own[NN__OWN_STEPS], beta1 = hyper[NN__H_BETA1], mu = nn__nadam_mu(beta1, t), next = nn__nadam_mu(beta1, t + 1);
    if (own[NN__OWN_PRODUCT] == 0) /* the first step, or the first after loading */
        for (double k = own[NN__OWN_PRODUCT] = 1; k < t; k++) own[NN__OWN_PRODUCT] *= nn__nadam_mu(beta1, k);
    own[NN__OWN_PRODUCT] *= mu;
    nn__adam_constants(hyper, own, h);
    h[2] = hyper[NN__H_LR] * (1 - mu) / (1 - own[NN__OWN_PRODUCT]);
    h[9] = hyper[NN__H_LR] * next / (1 - own[NN__OWN_PRODUCT] * next);
}

/* -- adamax:  Adam with the largest gradient, fading, for its second moment (Kingma and Ba 2015) -- */
#define NN__U_adamax                                                         \
    a = nn__v_fma(H(4), a, nn__v_mul(H(5), d));                              \
    b = nn__v_max(nn__v_mul(H(6), b), nn__v_add(nn__v_abs(d), H(8)));        \
    w = nn__v_sub(w, nn__v_div(nn__v_mul(H(2), a), b));

/* -- rmsprop:  b = mean of d^2, c = mean of d if centred, a = momentum a + d / (sqrt(b - c^2) + eps), w -= lr a (Tieleman and Hinton 2012) -- */
#define NN__U_rmsprop                                                        \
    b = nn__v_fma(H(4), b, nn__v_mul(H(5), nn__v_mul(d, d)));                \
    c = nn__v_mul(H(6), nn__v_fma(H(4), c, nn__v_mul(H(5), d)));             \
    a = nn__v_fma(H(3), a, nn__v_div(d, nn__v_add(nn__v_sqrt(nn__v_max(nn__v_zero(), nn__v_fnma(c, c, b))), H(8)))); \
    w = nn__v_fnma(H(2), a, w);
static void nn__rmsprop_constants(const double *hyper, double *own, double *h) { /* Adagrad and Adadelta read some of the same */
    (void)own;
    h[2] = hyper[NN__H_LR]; h[3] = hyper[NN__H_MOMENTUM];
    h[4] = hyper[NN__H_BETA2]; h[5] = 1 - h[4];
    h[6] = hyper[NN__H_FLAG]; h[8] = hyper[NN__H_EPS];
}

/* -- adagrad:  a += d^2, w -= lr d / (sqrt(a) + eps) (Duchi et al. 2011) -- */
#define NN__U_adagrad                                                        \
    a = nn__v_fma(d, d, a);                                                  \
    w = nn__v_sub(w, nn__v_div(nn__v_mul(H(2), d), nn__v_add(nn__v_sqrt(a), H(8))));

/* -- adadelta:  a = mean of d^2, u = d sqrt(b + eps) / sqrt(a + eps), b = mean of u^2, w -= lr u (Zeiler 2012) -- */
#define NN__U_adadelta                                                       \
    a = nn__v_fma(H(4), a, nn__v_mul(H(5), nn__v_mul(d, d)));                \
    d = nn__v_mul(d, nn__v_div(nn__v_sqrt(nn__v_add(b, H(8))), nn__v_sqrt(nn__v_add(a, H(8))))); \
    b = nn__v_fma(H(4), b, nn__v_mul(H(5), nn__v_mul(d, d)));                \
    w = nn__v_fnma(H(2), d, w);

/* -- lion:  w -= lr sign(b1 a + (1-b1) d), then a = b2 a + (1-b2) d (Chen et al. 2023) -- */
#define NN__U_lion                                                           \
    c = nn__v_fma(H(4), a, nn__v_mul(H(5), d));                              \
    w = nn__v_fnma(H(2), NN__F_sign(c, , ), w);                              \
    a = nn__v_fma(H(6), a, nn__v_mul(H(7), d));
static void nn__lion_constants(const double *hyper, double *own, double *h) {
    nn__adam_constants(hyper, own, h);
    h[2] = hyper[NN__H_LR];
}

#define NN__OPTIM(name) static const nn_op nn__op_##name = {#name, -4, 0, 0, NN_OP_WRITES | NN_OP_STRIDED, nn__shape_update, nn__run_update, NULL, NULL, NULL, NULL, 0}
NN__OPTIM(sgd);
NN__OPTIM(adam);
NN__OPTIM(amsgrad);
NN__OPTIM(nadam);
NN__OPTIM(adamax);
NN__OPTIM(rmsprop);
NN__OPTIM(adagrad);
NN__OPTIM(adadelta);
NN__OPTIM(lion);
NN__OPTIM(muon);
#undef NN__OPTIM
#define NN__SET(name) offsetof(nn__kernel_set, name)
static const nn__rule nn__rules[NN_OPTIMS] = { /* in the order of nn_optim_kind */
    {&nn__op_sgd, 1, NN__SET(sgd), nn__sgd_constants, 0.01f, 0.9f, 0.999f, 1e-8f, 0},
    {&nn__op_adam, 2, NN__SET(adam), nn__adam_constants, 0.001f, 0.9f, 0.999f, 1e-8f, 0},
    {&nn__op_adam, 2, NN__SET(adam), nn__adam_constants, 0.001f, 0.9f, 0.999f, 1e-8f, 0.01f},
    {&nn__op_amsgrad, 3, NN__SET(amsgrad), nn__adam_constants, 0.001f, 0.9f, 0.999f, 1e-8f, 0},
    {&nn__op_nadam, 2, NN__SET(nadam), nn__nadam_constants, 0.002f, 0.9f, 0.999f, 1e-8f, 0},
    {&nn__op_adamax, 2, NN__SET(adamax), nn__adam_constants, 0.002f, 0.9f, 0.999f, 1e-8f, 0},
    {&nn__op_rmsprop, 3, NN__SET(rmsprop), nn__rmsprop_constants, 0.01f, 0.9f, 0.99f, 1e-8f, 0},
    {&nn__op_adagrad, 1, NN__SET(adagrad), nn__rmsprop_constants, 0.01f, 0.9f, 0.99f, 1e-10f, 0},
    {&nn__op_adadelta, 2, NN__SET(adadelta), nn__rmsprop_constants, 1.0f, 0.9f, 0.9f, 1e-6f, 0},
    {&nn__op_lion, 1, NN__SET(lion), nn__lion_constants, 0.0001f, 0.9f, 0.99f, 1e-8f, 0},
    {&nn__op_muon, 2, NN__SET(adam), nn__adam_constants, 0.001f, 0.9f, 0.999f, 1e-8f, 0.1f}};
#undef NN__SET
static const nn__rule *nn__rule_of(const nn_op *op) {
    for (int i = 0; i < NN_OPTIMS; i++)
        if (nn__rules[i].op == op) return &nn__rules[i];
    return NULL;
}

/* -- muon, for matrices (others: AdamW):  a = momentum a + (1 - momentum) g, u = (1 - momentum) g + momentum a, made nearly orthogonal by
      five steps of X <- 3.4445 X - 4.775 (X X^T) X + 2.0315 (X X^T)^2 X, w -= lr sqrt(max(1, rows / columns)) u (Jordan et al. 2024) -- */
static int nn__muon(nn_ctx *c, nn_tensor **in, const double *hyper) {
    const nn__kernel_set *k = nn__kernels_for(c, in[0]->dtype);
    nn_dtype real = in[0]->dtype;
    int64_t  rows = in[0]->size[0], columns = in[0]->size[1], n = rows * columns, few = nn__min64(rows, columns);
    int      tall = rows > columns; /* then by X (X^T X): the smaller square */
    double   m = hyper[NN__H_MOMENTUM], lr = hyper[NN__H_LR] * (tall ? sqrt((double)rows / (double)columns) : 1), p[2], norm;
    size_t   e = nn__dtypes[real].size, bytes = (size_t)(3 * n + 3 * few * few) * e;
    char    *x = n ? (char *)nn__pool_get(c, bytes) : NULL, *y, *z, *square, *fourth, *sum;
    void    *w = nn__data(in[0]), *g = nn__data(in[1]), *a = nn__data(in[2]);
    if (!n) return 1;
    if (!x) return 0;
    y = x + (size_t)n * e; z = y + (size_t)n * e; square = z + (size_t)n * e; fourth = square + (size_t)(few * few) * e; sum = fourth + (size_t)(few * few) * e;
    p[0] = m; p[1] = 0; k->affine(a, a, n, p);
    p[0] = 1 - m; k->affine(g, y, n, p);
    k->add(a, 1, y, 1, a, n, NULL);
    p[0] = m; k->affine(a, x, n, p);
    k->add(x, 1, y, 1, x, n, NULL);
    norm = sqrt(k->sum_squares(x, n));
    p[0] = 1 / (norm > 1e-7 ? norm : 1e-7); k->affine(x, x, n, p);
    for (int i = 0; i < 5; i++) {
        nn__gemm_plain(c, real, few, few, tall ? rows : columns, x, tall ? 1 : columns, tall ? columns : 1, x, tall ? columns : 1, tall ? 1 : columns, NULL, 0, square);
        nn__gemm_plain(c, real, few, few, few, square, few, 1, square, few, 1, NULL, 0, fourth);
        p[0] = -4.7750; k->affine(square, square, few * few, p);
        p[0] = 2.0315; k->affine(fourth, fourth, few * few, p);
        k->add(square, 1, fourth, 1, sum, few * few, NULL);
        p[0] = 3.4445; k->affine(x, y, n, p);
        if (tall) nn__gemm_plain(c, real, rows, columns, few, x, columns, 1, sum, few, 1, y, 0, z);
        else nn__gemm_plain(c, real, rows, columns, few, sum, few, 1, x, columns, 1, y, 0, z);
        { char *t = x; x = z; z = t; }
    }
    p[0] = 1 - hyper[NN__H_LR] * hyper[NN__H_DECAY]; k->affine(w, w, n, p);
    p[0] = -lr; k->affine(x, x, n, p);
    k->add(w, 1, x, 1, w, n, NULL);
    nn__pool_put(c, x < z ? x : z, bytes); /* five swaps: z is where the room begins */
    return 1;
}

/* -- average:  a += r (w - a); r comes with the step, 0: not at this one. Inputs: a, w of each parameter; at the end hyper -- */
#define NN__U_average w = nn__v_fma(H(2), nn__v_sub(d, w), w);
typedef struct nn__average_work { nn_node *n; int64_t i; double h[NN__U_CONSTANTS]; } nn__average_work;
static void nn__average_part(void *arg, int64_t begin, int64_t end, int worker) {
    nn__average_work *w = (nn__average_work *)arg;
    nn_tensor       **in = w->n->in + 2 * w->i;
    size_t            e = nn__dtypes[in[0]->dtype].size;
    (void)worker;
    nn__kernels_for(w->n->ctx, in[0]->dtype)->average((char *)nn__data(in[0]) + (size_t)begin * e, (char *)nn__data(in[1]) + (size_t)begin * e, NULL, end - begin, w->h);
}
static void nn__run_average(nn_node *n) {
    nn__average_work w;
    memset(&w, 0, sizeof w);
    w.n    = n;
    w.h[1] = 1;
    w.h[2] = ((const double *)nn__data(n->in[n->n_in - 1]))[NN__H_AVERAGE];
    for (w.i = 0; w.h[2] != 0 && 2 * w.i + 1 < n->n_in; w.i++) {
        n->in[2 * w.i]->st->version++;
        if (w.h[2] == 1) memcpy(nn__data(n->in[2 * w.i]), nn__data(n->in[2 * w.i + 1]), n->in[2 * w.i]->st->bytes);
        else nn__parallel(n->ctx, nn_numel(n->in[2 * w.i]), 0.7, nn__average_part, &w);
    }
}
static const nn_op nn__op_average = {"average", -3, 0, 0, NN_OP_WRITES | NN_OP_STRIDED, nn__shape_update, nn__run_average, NULL, NULL, NULL, NULL, 0};

/* -- clip: holds gradients within a bound. The output: what was measured of all, and of each gradient, before: norms, of NN__CLIP_VALUE the largest elements -- */
typedef enum { NN__CLIP_NORM, NN__CLIP_VALUE, NN__CLIP_LAYERS, NN__CLIP_WATCH } nn__clip_way; /* the last only measures */
typedef struct nn__clip { double max; int64_t way; } nn__clip;
static int nn__shape_clip(nn_node *n, nn_spec *out) {
    out->dtype = NN_F64;
    out->shape = NN_SHAPE(n->n_in + 1);
    return 1;
}
static double nn__largest(const nn_tensor *x) {
    double  most = 0;
    int64_t n = nn_numel(x);
#define NN__LARGEST(T) for (int64_t i = 0; i < n; i++) { T v = ((const T *)nn__data(x))[i], a = v < 0 ? -v : v; if (!(a <= (T)most)) most = (double)a; }
    if (x->dtype == NN_F64) NN__LARGEST(double) else NN__LARGEST(float)
#undef NN__LARGEST
    return most;
}
static void nn__run_clip(nn_node *n) {
    const nn__clip *a = (const nn__clip *)n->attr;
    double         *norm = (double *)nn__data(n->out[0]), all = 0, p[2] = {1, 0};
    for (int i = 0; i < n->n_in; i++) {
        double v = a->way == NN__CLIP_VALUE ? nn__largest(n->in[i]) : nn__kernels_for(n->ctx, n->in[i]->dtype)->sum_squares(nn__data(n->in[i]), nn_numel(n->in[i]));
        norm[i + 1] = a->way == NN__CLIP_VALUE ? v : sqrt(v);
        if (a->way == NN__CLIP_NORM || a->way == NN__CLIP_WATCH) all += v;
        else if (!(all >= norm[i + 1])) all = norm[i + 1];
    }
    norm[0] = a->way == NN__CLIP_NORM || a->way == NN__CLIP_WATCH ? sqrt(all) : all;
    for (int i = 0; i < n->n_in && a->way != NN__CLIP_WATCH; i++) {
        const nn__kernel_set *k = nn__kernels_for(n->ctx, n->in[i]->dtype);
        double                v = a->way == NN__CLIP_NORM ? norm[0] : norm[i + 1];
        if (!(v + (a->way == NN__CLIP_VALUE ? 0 : 1e-6) > a->max)) continue;
        n->in[i]->st->version++;
        if (a->way == NN__CLIP_VALUE) { p[0] = -a->max; p[1] = a->max; k->clamp(nn__data(n->in[i]), nn__data(n->in[i]), nn_numel(n->in[i]), p); }
        else { p[0] = a->max / (v + 1e-6); k->affine(nn__data(n->in[i]), nn__data(n->in[i]), nn_numel(n->in[i]), p); }
    }
}
static const nn_op nn__op_clip = {"clip", -1, 1, sizeof(nn__clip), NN_OP_WRITES, nn__shape_clip, nn__run_clip, NULL, NULL, NULL, NULL, 0};

typedef struct nn__slot { nn_tensor *moment[NN__MOMENTS], *own, *average; } nn__slot; /* one a parameter, made at its first step */
struct nn_optim {
    nn__object       object;
    nn_ctx          *ctx;
    nn_model        *model;
    nn_optim_options options;
    nn_lr            lr;
    int64_t          step;
    double           plateau[3]; /* nn_lr_plateau: the factor so far, the best value, calls without a better one */
    nn_tensor       *hyper;
    nn__slot        *slot;
    int64_t          slots;
};

static void nn__optim_destroy(nn__object *o) { nn_optim_free((nn_optim *)((char *)o - offsetof(nn_optim, object))); }

/* -- schedules: the rate is a function of the step -- */
enum { NN__LR_CONSTANT, NN__LR_COSINE, NN__LR_STEP, NN__LR_POINTS, NN__LR_PIECES, NN__LR_EXPONENTIAL, NN__LR_INVERSE, NN__LR_POLYNOMIAL, NN__LR_CYCLE, NN__LR_RESTARTS, NN__LR_PLATEAU, NN__LR_THEN,
       NN__LR_TIMES };
static nn_lr nn__lr(int kind, float lr, float a, float b, int64_t total, float last) {
    nn_lr s;
    memset(&s, 0, sizeof s);
    s.kind = kind; s.base = lr; s.a = a; s.b = b; s.total = total; s.last = last;
    return s;
}
NN_API nn_lr nn_lr_constant(float lr) { return nn__lr(NN__LR_CONSTANT, lr, 0, 0, 0, 0); }
NN_API nn_lr nn_lr_cosine(float lr, int64_t warmup, int64_t total, float last) {
    nn_lr s  = nn__lr(NN__LR_COSINE, lr, 0, 0, total, last);
    s.warmup = warmup;
    return s;
}
NN_API nn_lr nn_lr_step(float lr, int64_t every, float factor) { return nn__lr(NN__LR_STEP, lr, factor, 0, every, 0); }
static nn_lr nn__lr_at_points(nn_lr s, const int64_t *at, int n) { /* n < 0 or too large: nn_set_lr refuses it */
    s.n = at ? n : -1;
    for (int i = 0; i < s.n && i < NN_LR_POINTS; i++) s.at[i] = at[i];
    return s;
}
NN_API nn_lr nn_lr_multistep(float lr, const int64_t *at, int n, float factor) { return nn__lr_at_points(nn__lr(NN__LR_POINTS, lr, factor, 0, 0, 0), at, n); }
NN_API nn_lr nn_lr_piecewise(const int64_t *at, const float *lr, int n) {
    nn_lr s = nn__lr_at_points(nn__lr(NN__LR_PIECES, lr ? lr[0] : -1, 0, 0, 0, 0), at, n);
    for (int i = 0; lr && i < s.n && i < NN_LR_POINTS; i++) s.value[i] = lr[i];
    if (lr && n >= 0 && n <= NN_LR_POINTS) s.last = lr[n];
    return s;
}
NN_API nn_lr nn_lr_exponential(float lr, float factor) { return nn__lr(NN__LR_EXPONENTIAL, lr, factor, 0, 0, 0); }
NN_API nn_lr nn_lr_inverse_time(float lr, float rate, int64_t every) { return nn__lr(NN__LR_INVERSE, lr, rate, 0, every, 0); }
NN_API nn_lr nn_lr_linear(float lr, float last, int64_t total) { return nn__lr(NN__LR_POLYNOMIAL, lr, 1, 0, total, last); }
NN_API nn_lr nn_lr_polynomial(float lr, int64_t total, float power, float last) { return nn__lr(NN__LR_POLYNOMIAL, lr, power, 0, total, last); }
NN_API nn_lr nn_lr_one_cycle(float most, int64_t total, float warm) { return nn__lr(NN__LR_CYCLE, most, warm == 0 ? 0.3f : warm, 0, total, 0); }
NN_API nn_lr nn_lr_restarts(float lr, int64_t first, float times, float last) { return nn__lr(NN__LR_RESTARTS, lr, times, 0, first, last); }
NN_API nn_lr nn_lr_plateau(float lr, float factor, int patience, float least) { return nn__lr(NN__LR_PLATEAU, lr, factor, 0, patience, least); }
NN_API nn_lr nn_lr_then(const nn_lr *first, int64_t steps, const nn_lr *second) {
    nn_lr s = nn__lr(NN__LR_THEN, first ? first->base : -1, 0, 0, steps, 0);
    s.first = first; s.second = second;
    return s;
}
NN_API nn_lr nn_lr_times(const nn_lr *first, const nn_lr *second) {
    nn_lr s = nn_lr_then(first, 0, second);
    s.kind  = NN__LR_TIMES;
    return s;
}
static double nn__lr_cosine_at(double from, double to, double share) { return to + (from - to) * 0.5 * (1 + cos(3.14159265358979323846 * share)); }
NN_API double nn_lr_at(nn_lr s, int64_t step) {
    double base = (double)s.base, last = (double)s.last, a = (double)s.a, t = (double)step, total = (double)s.total, up, length;
    int    passed = 0;
    while (passed < s.n && passed < NN_LR_POINTS && step >= s.at[passed]) passed++;
    switch (s.kind) {
    case NN__LR_COSINE:
        if (step < s.warmup) return base * (t + 1) / (double)s.warmup;
        return step >= s.total ? last : nn__lr_cosine_at(base, last, (double)(step - s.warmup) / (double)(s.total - s.warmup));
    case NN__LR_STEP: return base * pow(a, floor(t / total));
    case NN__LR_POINTS: return base * pow(a, passed);
    case NN__LR_PIECES: return passed < s.n ? (double)s.value[passed] : last;
    case NN__LR_EXPONENTIAL: return base * pow(a, t);
    case NN__LR_INVERSE: return base / (1 + a * t / total);
    case NN__LR_POLYNOMIAL: return last + (base - last) * pow(1 - (t < total ? t : total) / total, a);
    case NN__LR_CYCLE:
        up = a * total - 1;
        return t <= up ? nn__lr_cosine_at(base / 25, base, up > 0 ? t / up : 1) : nn__lr_cosine_at(base, base / 250000, t < total - 1 ? (t - up) / (total - 1 - up) : 1);
    case NN__LR_RESTARTS:
        for (length = total; t >= length && length >= 1; length *= a) {
            t -= length;
            if (a == 1) t = fmod(t, length);
        }
        return nn__lr_cosine_at(base, last, length >= 1 ? t / length : 1);
    case NN__LR_THEN: return !s.first || !s.second ? NAN : step < s.total ? nn_lr_at(*s.first, step) : nn_lr_at(*s.second, step - s.total);
    case NN__LR_TIMES: return !s.first || !s.second ? NAN : nn_lr_at(*s.first, step) * nn_lr_at(*s.second, step) / (double)s.second->base;
    default: return base;
    }
}
static int nn__lr_check(nn_ctx *c, const nn_lr *s, int depth) {
    if (!s || depth > 8) return nn__fail(c, "set_lr", NN__M_ARG_NULL, "a schedule in it");
    if (!(s->base >= 0 && s->base < 1e30f)) return nn__fail(c, "set_lr", NN__M_OPTION, "lr", (double)s->base);
    if (!(s->last >= 0 && s->last < 1e30f)) return nn__fail(c, "set_lr", NN__M_OPTION, "last", (double)s->last);
    if (s->kind == NN__LR_PLATEAU && depth) return nn__fail(c, "set_lr", NN__M_RULE, "plateau", "it cannot be a part of another schedule");
    for (int i = 0; i < s->n && i < NN_LR_POINTS; i++)
        if (!(s->value[i] >= 0 && s->value[i] < 1e30f)) return nn__fail(c, "set_lr", NN__M_OPTION, "a rate", (double)s->value[i]);
    if (s->n < 0 || s->n > NN_LR_POINTS) return nn__fail(c, "set_lr", NN__M_OPTION, "n", (double)s->n);
    for (int i = 1; i < s->n; i++)
        if (s->at[i] <= s->at[i - 1]) return nn__fail(c, "set_lr", NN__M_OPTION, "a point before the one before it", (double)s->at[i]);
    if ((s->kind == NN__LR_COSINE && (s->warmup < 0 || s->total < s->warmup)) || s->total < 0) return nn__fail(c, "set_lr", NN__M_OPTION, "total", (double)s->total);
    if (s->total < 1 && (s->kind == NN__LR_STEP || s->kind == NN__LR_INVERSE || s->kind == NN__LR_POLYNOMIAL || s->kind == NN__LR_CYCLE || s->kind == NN__LR_RESTARTS)) return nn__fail(c, "set_lr", NN__M_OPTION, "total", (double)s->total);
    if (!(s->a >= 0 && s->a < 1e30f) || (s->kind == NN__LR_CYCLE && s->a > 1) || (s->kind == NN__LR_RESTARTS && s->a < 1) || (s->kind == NN__LR_PLATEAU && s->a >= 1)) return nn__fail(c, "set_lr", NN__M_OPTION, "factor", (double)s->a);
    if (s->kind == NN__LR_TIMES && s->second && s->second->base == 0) return nn__fail(c, "set_lr", NN__M_OPTION, "second's lr", 0.0);
    return s->kind < NN__LR_THEN || (nn__lr_check(c, s->first, depth + 1) && nn__lr_check(c, s->second, depth + 1));
}

static float nn__option(float given, float otherwise) { return given == 0 ? otherwise : given == NN_ZERO ? 0 : given; }

NN_API nn_optim_options nn_optim_defaults(void) {
    nn_optim_options o;
    memset(&o, 0, sizeof o);
    return o;
}

NN_API nn_optim *nn_optim_new(nn_model *m, const nn_optim_options *options) {
    nn_ctx          *c = m ? m->ctx : NULL;
    nn_optim_options o = nn_optim_defaults();
    nn_optim        *p;
    int64_t          size = NN__H_SIZE;
    const nn__rule  *rule;
    if (!m || !nn__ok(c)) return NULL;
    if (options) o = *options;
    if ((unsigned)o.kind >= NN_OPTIMS) return nn__fail(c, "optim", NN__M_OPTION, "kind", (double)o.kind), (nn_optim *)NULL;
    rule           = &nn__rules[o.kind];
    o.lr           = nn__option(o.lr, rule->lr);
    o.momentum     = nn__option(o.momentum, o.kind == NN_MUON ? 0.95f : 0);
    o.beta1        = nn__option(o.beta1, rule->beta1);
    o.beta2        = nn__option(o.beta2, rule->beta2);
    o.eps          = nn__option(o.eps, rule->eps);
    o.weight_decay = nn__option(o.weight_decay, rule->decay);
    if (!o.average_every) o.average_every = 1;
    if (!(o.lr >= 0 && o.lr < 1e30f)) return nn__fail(c, "optim", NN__M_OPTION, "lr", (double)o.lr), (nn_optim *)NULL;
    if (!(o.momentum >= 0 && o.momentum < 1)) return nn__fail(c, "optim", NN__M_OPTION, "momentum", (double)o.momentum), (nn_optim *)NULL;
    if (!(o.dampening >= 0 && o.dampening <= 1)) return nn__fail(c, "optim", NN__M_OPTION, "dampening", (double)o.dampening), (nn_optim *)NULL;
    if (o.nesterov && (o.momentum == 0 || o.dampening != 0)) return nn__fail(c, "optim", NN__M_RULE, "nesterov", "it needs a momentum and no dampening"), (nn_optim *)NULL;
    if (!(o.beta1 >= 0 && o.beta1 < 1)) return nn__fail(c, "optim", NN__M_OPTION, "beta1", (double)o.beta1), (nn_optim *)NULL;
    if (!(o.beta2 >= 0 && o.beta2 < 1)) return nn__fail(c, "optim", NN__M_OPTION, "beta2", (double)o.beta2), (nn_optim *)NULL;
    if (!(o.eps >= 0 && o.eps < 1)) return nn__fail(c, "optim", NN__M_OPTION, "eps", (double)o.eps), (nn_optim *)NULL;
    if (!(o.weight_decay >= 0 && o.weight_decay < 1e30f)) return nn__fail(c, "optim", NN__M_OPTION, "weight_decay", (double)o.weight_decay), (nn_optim *)NULL;
    if (!(o.average >= 0 && o.average <= 1)) return nn__fail(c, "optim", NN__M_OPTION, "average", (double)o.average), (nn_optim *)NULL;
    if (o.average_from < 0) return nn__fail(c, "optim", NN__M_OPTION, "average_from", (double)o.average_from), (nn_optim *)NULL;
    if (o.average_every < 1) return nn__fail(c, "optim", NN__M_OPTION, "average_every", (double)o.average_every), (nn_optim *)NULL;
    p = (nn_optim *)nn__alloc_zero(c, sizeof *p);
    if (!p) return NULL;
    p->hyper = nn__kept_new(c, NN_F64, 1, &size, NULL);
    if (!p->hyper) return nn__free(c, p, sizeof *p), (nn_optim *)NULL;
    p->ctx     = c;
    p->model   = m;
    p->options = o;
    p->lr      = nn_lr_constant(o.lr);
    p->plateau[0] = 1;
    p->plateau[1] = INFINITY;
    nn__object_add(c, &p->object, nn__optim_destroy);
    return p;
}
static nn_optim *nn__optim_short(nn_model *m, nn_optim_kind kind, float lr, float momentum, float decay) {
    nn_optim_options o = nn_optim_defaults();
    o.kind = kind; o.lr = lr == 0 ? NN_ZERO : lr; o.momentum = momentum; o.weight_decay = decay == 0 ? NN_ZERO : decay;
    return nn_optim_new(m, &o);
}
NN_API nn_optim *nn_sgd(nn_model *m, float lr, float momentum) { return nn__optim_short(m, NN_SGD, lr, momentum, 0); }
NN_API nn_optim *nn_adam(nn_model *m, float lr) { return nn__optim_short(m, NN_ADAM, lr, 0, 0); }
NN_API nn_optim *nn_adamw(nn_model *m, float lr, float weight_decay) { return nn__optim_short(m, NN_ADAMW, lr, 0, weight_decay); }

NN_API void nn_optim_free(nn_optim *o) {
    nn_ctx *c;
    if (!o) return;
    c = o->ctx;
    for (int64_t i = 0; i < o->slots; i++) {
        for (int k = 0; k < NN__MOMENTS; k++)
            if (o->slot[i].moment[k]) nn__kept_free(o->slot[i].moment[k]);
        if (o->slot[i].own) nn__kept_free(o->slot[i].own);
        if (o->slot[i].average) nn__kept_free(o->slot[i].average);
    }
    nn__free(c, o->slot, (size_t)o->slots * sizeof *o->slot);
    nn__kept_free(o->hyper);
    nn__object_remove(c, &o->object);
    nn__free(c, o, sizeof *o);
}

NN_API int nn_set_lr(nn_optim *o, nn_lr schedule) {
    if (!o || !nn__ok(o->ctx) || !nn__lr_check(o->ctx, &schedule, 0)) return 0;
    o->lr = schedule;
    o->plateau[0] = 1; o->plateau[1] = INFINITY; o->plateau[2] = 0;
    return 1;
}
NN_API double nn_get_lr(const nn_optim *o) {
    double lr = o ? nn_lr_at(o->lr, o->step) : NAN, lower = o ? lr * o->plateau[0] : NAN;
    if (!o || o->lr.kind != NN__LR_PLATEAU || lr <= (double)o->lr.last) return lr;
    return lower > (double)o->lr.last ? lower : (double)o->lr.last;
}
NN_API int nn_optim_metric(nn_optim *o, double value) { /* better: by more than one in 10,000, as in PyTorch */
    if (!o || !nn__ok(o->ctx)) return 0;
    if (value < o->plateau[1] * (1 - 1e-4) || (o->plateau[1] == INFINITY && value < INFINITY)) { o->plateau[1] = value; o->plateau[2] = 0; }
    else if (++o->plateau[2] > (double)o->lr.total && o->lr.kind == NN__LR_PLATEAU) {
        o->plateau[0] *= (double)o->lr.a;
        o->plateau[2] = 0;
    }
    return 1;
}

/* The state of parameter i, made on first use. 0 if memory ran out. */
static int nn__slot_make(nn_optim *o, int i) {
    nn__param *p = o->model->param[i];
    nn__slot  *s;
    int64_t    had = o->slots, size = NN__OWN_SIZE;
    if (!nn__grow(o->ctx, &o->slot, &o->slots, o->model->n, sizeof *o->slot)) return 0;
    if (o->slots > had) memset(o->slot + had, 0, (size_t)(o->slots - had) * sizeof *o->slot);
    s = &o->slot[i];
    for (int k = 0; k < nn__rules[o->options.kind].moments; k++)
        if (!s->moment[k] && !(s->moment[k] = nn__kept_new(o->ctx, o->model->dtype, p->shape.ndim, p->shape.dim, NULL))) return 0;
    if (o->options.average > 0 && !s->average) { /* one that joins late begins with itself */
        s->average = nn__kept_new(o->ctx, o->model->dtype, p->shape.ndim, p->shape.dim, NULL);
        if (!s->average) return 0;
        if (p->st.bytes) memcpy(nn__data(s->average), p->st.data, p->st.bytes);
    }
    if (s->own) return 1;
    s->own = nn__kept_new(o->ctx, NN_F64, 1, &size, NULL);
    if (!s->own) return 0;
    ((double *)nn__data(s->own))[NN__OWN_LR]    = 1;
    ((double *)nn__data(s->own))[NN__OWN_DECAY] = NAN;
    return 1;
}
NN_API int nn_optim_group(nn_optim *o, const char *pattern, float lr_factor, float weight_decay) {
    int count = 0;
    if (!o || !nn__ok_arg(o->ctx, "optim_group", pattern, "the pattern")) return 0;
    if (!o->model->n || !nn_model_freeze(o->model)) return nn__fail(o->ctx, "optim_group", NN__M_MODEL_NOT_MADE);
    if (!(lr_factor >= 0 && lr_factor < 1e30f) && lr_factor != NN_ZERO) return nn__fail(o->ctx, "optim_group", NN__M_OPTION, "lr_factor", (double)lr_factor);
    if (!(weight_decay >= 0 && weight_decay < 1e30f) && weight_decay != NN_ZERO) return nn__fail(o->ctx, "optim_group", NN__M_OPTION, "weight_decay", (double)weight_decay);
    for (int i = 0; i < o->model->n; i++) {
        if (o->model->param[i]->buffer || !nn__fits(pattern, o->model->param[i]->path)) continue;
        if (!nn__slot_make(o, i)) return 0;
        ((double *)nn__data(o->slot[i].own))[NN__OWN_LR]    = lr_factor == NN_ZERO ? 0 : (double)lr_factor;
        ((double *)nn__data(o->slot[i].own))[NN__OWN_DECAY] = weight_decay == NN_ZERO ? 0 : (double)weight_decay;
        count++;
    }
    return count || nn__fail(o->ctx, "optim_group", NN__M_RULE, pattern, "no parameter's name fits") ? count : 0;
}
NN_API int nn_optim_swap(nn_optim *o) {
    int some = 0;
    if (!o || !nn__ok(o->ctx)) return 0;
    for (int64_t i = 0; i < o->slots && i < o->model->n && o->step > o->options.average_from; i++) {
        nn__param *p = o->model->param[i];
        char      *a = o->slot[i].average ? (char *)nn__data(o->slot[i].average) : NULL, *w = (char *)p->st.data;
        if (!a) continue;
        for (size_t k = 0; k < p->st.bytes; k++) { char t = a[k]; a[k] = w[k]; w[k] = t; }
        p->st.version++;
        some = 1;
    }
    return some || nn__fail(o->ctx, "optim_swap", NN__M_RULE, "average", "there are no averages: nn_optim_options.average, and a step or more");
}

/* Parameter i's operands of the update, appended to in; 0 if memory ran out */
static int nn__step_operands(nn_optim *o, int i, nn_tensor *g, nn_tensor **in, int *n) {
    nn_tensor *p = nn__handle(o->ctx, o->model, i);
    int        at = *n;
    if (!p || !g || !nn__slot_make(o, i)) return 0;
    in[at++] = p;
    in[at++] = g;
    for (int k = 0; k < nn__rules[o->options.kind].moments; k++) in[at++] = o->slot[i].moment[k];
    in[at++] = o->slot[i].own;
    *n = at;
    return 1;
}

/* What the coming step takes from the optimiser, into hyper */
static void nn__schedule(nn_optim *o) {
    const nn_optim_options *f = &o->options;
    double *h = (double *)nn__data(o->hyper);
    int64_t since = o->step - f->average_from;
    h[NN__H_LR]        = nn_get_lr(o);
    h[NN__H_BETA1]     = f->beta1;
    h[NN__H_BETA2]     = f->beta2;
    h[NN__H_EPS]       = f->eps;
    h[NN__H_DECAY]     = f->weight_decay;
    h[NN__H_DECOUPLED] = f->kind == NN_ADAMW || f->kind == NN_LION || f->kind == NN_MUON;
    h[NN__H_MOMENTUM]  = f->momentum;
    h[NN__H_DAMPENING] = f->dampening;
    h[NN__H_FLAG]      = f->kind == NN_SGD ? f->nesterov != 0 : f->centred != 0;
    h[NN__H_AVERAGE]   = f->average <= 0 || since < 0 || since % f->average_every ? 0 : since == 0 ? 1 : f->average < 1 ? 1 - (double)f->average : 1 / (double)(since / f->average_every + 1);
}
/* The same as a node, for plans */
static void nn__run_schedule(nn_node *n) {
    nn_optim *o;
    memcpy(&o, n->attr, sizeof o);
    nn__schedule(o);
    o->step++;
}
static const nn_op nn__op_schedule = {"schedule", 1, 0, sizeof(nn_optim *), NN_OP_WRITES | NN_OP_STRIDED, nn__shape_update, nn__run_schedule, NULL, NULL, NULL, NULL, 0};

/* After the update: all that has a state moves its average */
static int nn__step_average(nn_optim *o, nn_tensor **in) {
    int        n = 0;
    nn_tensor *none;
    for (int i = 0; i < o->slots && i < o->model->n; i++)
        if (o->slot[i].average) { in[n++] = o->slot[i].average; in[n++] = nn__handle(o->ctx, o->model, i); }
    if (!n) return 1;
    in[n++] = o->hyper;
    return nn_apply(&nn__op_average, in, n, NULL, &none);
}

NN_API int nn_step_from(nn_optim *o, nn_ctx **contexts, int n) {
    nn_ctx *c = o ? o->ctx : NULL;
    nn_tensor **in;
    int     inputs = 0, fine = 1;
    if (!o || !nn__ok_arg(c, "step", contexts, "contexts")) return 0;
    for (int k = 0; k < n; k++) {
        if (!nn__ok_arg(c, "step", contexts[k], "a context")) return 0;
        if (contexts[k]->error) return nn_fail(c, contexts[k]->error, "%s", contexts[k]->error_text), 0;
    }
    if (c->shape_only) return 1;
    if (o->model->n == 0) return nn__fail(c, "step", NN__M_NO_GRADIENTS);
    if (!nn_model_freeze(o->model)) return 0;
    for (int k = 0; k < n && c->plan; k++)
        if (contexts[k] != c) return nn__fail(c, NULL, NN__M_PLAN_HOST, "a step from several contexts");
    in = (nn_tensor **)nn__arena(c, (size_t)(o->model->n * (3 + NN__MOMENTS) + 2) * sizeof *in);
    if (!in) return 0;
    for (int i = 0; i < o->model->n && fine; i++) {
        nn_tensor *sum = NULL;
        if (o->model->param[i]->buffer) continue;
        for (int k = 0; k < n; k++) { /* added into the first, in the order given */
            nn_tensor *x = nn__handle(contexts[k], o->model, i);
            if (!x || !x->grad) continue;
            if (!sum) sum = x->grad;
            else nn__kernels_for(c, sum->dtype)->add(nn__data(sum), 1, nn__data(x->grad), 1, nn__data(sum), nn_numel(sum), NULL);
        }
        if (sum) fine = nn__step_operands(o, i, sum->ctx == c ? sum : nn_share(c, sum), in, &inputs);
    }
    if (!fine) return 0;
    if (!inputs) return nn__fail(c, "step", NN__M_NO_GRADIENTS);
    in[inputs++] = o->hyper;
    if (!c->plan) nn__schedule(o);
    else if (!nn_apply(&nn__op_schedule, &o->hyper, 1, &o, in + inputs)) return 0;
    if (!nn_apply(nn__rules[o->options.kind].op, in, inputs, NULL, in)) return 0;
    for (int i = 0, each = 3 + nn__rules[o->options.kind].moments; c->plan && i + 1 < inputs; i++)
        if (i % each != 1) in[i]->st->version++; /* as the run will: backward notices while a plan is recorded */
    if (!nn__step_average(o, in)) return 0;
    for (int i = 0; i < o->model->n; i++)
        for (int k = 0; k < n; k++) {
            nn_tensor *x = o->model->param[i]->buffer ? NULL : nn__handle(contexts[k], o->model, i);
            if (x) nn__grad_release(x);
        }
    if (!c->plan) o->step++;
    return 1;
}
NN_API int nn_step(nn_optim *o) { return o ? nn_step_from(o, &o->ctx, 1) : 0; }

/* What was measured of all gradients; *each: of each, in the order of the parameters that have one, f64 [n+1] with it in front */
static double nn__clip_grads(nn_optim *o, const char *name, double max, nn__clip_way way, nn_tensor **each) {
    nn_ctx     *c = o ? o->ctx : NULL;
    nn_tensor **g, *norm;
    nn__clip    a;
    int         n = 0;
    if (!o || !nn__ok(c) || c->shape_only) return NAN;
    if (!(max > 0)) return nn__fail(c, name, NN__M_OPTION, "max", max), NAN;
    g = (nn_tensor **)nn__arena(c, (size_t)o->model->n * sizeof *g);
    if (!g) return NAN;
    for (int i = 0; i < o->model->n; i++) {
        nn_tensor *x = o->model->param[i]->st.data ? nn__handle(c, o->model, i) : NULL;
        if (x && x->grad) g[n++] = x->grad;
    }
    if (!n) return 0;
    a.max = max;
    a.way = way;
    if (!nn_apply(&nn__op_clip, g, n, &a, &norm)) return NAN;
    if (each) *each = norm;
    return c->plan ? NAN : *(const double *)nn__data(norm);
}
NN_API double nn_clip_grad_norm(nn_optim *o, double max) { return nn__clip_grads(o, "clip_grad_norm", max, NN__CLIP_NORM, NULL); }
NN_API double nn_clip_grad_value(nn_optim *o, double max) { return nn__clip_grads(o, "clip_grad_value", max, NN__CLIP_VALUE, NULL); }
NN_API double nn_clip_grad_layers(nn_optim *o, double max) { return nn__clip_grads(o, "clip_grad_layers", max, NN__CLIP_LAYERS, NULL); }

/* ---- >>data -----------------------------------------------------------------------------------------
   Samples stay as they came (images as bytes); a batch gathers rows of them as real numbers. Splits share the
   samples and hold lists of indices. */
typedef struct nn__stream nn__stream;
typedef struct nn__samples {
    nn_ctx      *ctx;
    int          uses;
    nn_tensor   *x, *y;  /* of a stream x is the window */
    double       scale;  /* of x */
    nn__stream  *stream; /* NULL: x has all samples */
    const char **names;  /* of the columns, then of the classes, in one block with their text */
    size_t       names_size;
    int64_t      columns, classes;
} nn__samples;

struct nn_data {
    nn__object   object;
    nn_ctx      *ctx;
    nn__samples *samples;
    int64_t     *index, *order, n;   /* index: which samples; order: of this epoch */
    int64_t      batch, at;
    int          drop_last, shuffle, running, batch_set; /* batch_set: nn_data_batch was called */
    uint64_t     id, epoch;
    nn_tensor   *bx, *by;
};

static int nn__is_class(const nn_tensor *y) { return !nn__is_real(y->dtype) && y->ndim == 1; }
static int64_t nn__row_size(const nn_tensor *x) { return nn__count(x->ndim - 1, x->size + 1); }

static void nn__stream_free(nn_ctx *c, nn__stream *s);
static void nn__samples_release(nn__samples *s) {
    if (--s->uses) return;
    if (s->x) nn__kept_free(s->x);
    if (s->y) nn__kept_free(s->y);
    nn__stream_free(s->ctx, s->stream);
    nn__free(s->ctx, (void *)s->names, s->names_size);
    nn__free(s->ctx, s, sizeof *s);
}

NN_API void nn_data_free(nn_data *d) {
    nn_ctx *c;
    if (!d) return;
    c = d->ctx;
    if (d->bx) nn__kept_free(d->bx);
    if (d->by) nn__kept_free(d->by);
    nn__free(c, d->index, (size_t)d->n * sizeof *d->index);
    nn__free(c, d->order, (size_t)d->n * sizeof *d->order);
    nn__samples_release(d->samples);
    nn__object_remove(c, &d->object);
    nn__free(c, d, sizeof *d);
}
static void nn__data_destroy(nn__object *o) { nn_data_free((nn_data *)((char *)o - offsetof(nn_data, object))); }

/* Takes over one use of `s`; frees it on failure. */
static nn_data *nn__data_over(nn_ctx *c, nn__samples *s, int64_t n) {
    nn_data *d = (nn_data *)nn__alloc_zero(c, sizeof *d);
    if (d) {
        d->index = (int64_t *)nn__alloc(c, (size_t)n * sizeof *d->index);
        d->order = d->index ? (int64_t *)nn__alloc(c, (size_t)n * sizeof *d->order) : NULL;
    }
    if (!d || !d->order) {
        if (d) nn__free(c, d->index, (size_t)n * sizeof *d->index);
        nn__free(c, d, sizeof *d);
        nn__samples_release(s);
        return NULL;
    }
    d->ctx     = c;
    d->samples = s;
    d->n       = n;
    d->batch   = 32;
    d->shuffle = 1;
    d->id      = ++c->data_sets;
    for (int64_t i = 0; i < n; i++) d->index[i] = d->order[i] = i;
    nn__object_add(c, &d->object, nn__data_destroy);
    return d;
}

/* Takes over two kept tensors, x [n,...] and y [n,...]. */
static nn_data *nn__data_take(nn_ctx *c, nn_tensor *x, nn_tensor *y, double scale) {
    nn__samples *s = x && y && !c->error ? (nn__samples *)nn__alloc_zero(c, sizeof *s) : NULL;
    if (!s) {
        if (x) nn__kept_free(x);
        if (y) nn__kept_free(y);
        return NULL;
    }
    s->ctx = c; s->uses = 1; s->x = x; s->y = y; s->scale = scale;
    return nn__data_over(c, s, x->size[0]);
}

static int nn__check_samples(nn_ctx *c, const nn_tensor *x, const nn_tensor *y) {
    nn__text t;
    if (x->ndim < 1 || y->ndim < 1) return nn__fail(c, "data", NN__M_RANK, x->ndim < 1 ? "x" : "y", nn__shape_text(&t, 0, NULL), "at least 1");
    if (x->size[0] != y->size[0]) return nn__fail(c, "data", NN__M_SAMPLES, (long long)x->size[0], (long long)y->size[0]);
    if (x->size[0] == 0) return nn__fail(c, NULL, NN__M_EMPTY, "data", nn__shape_text(&t, x->ndim, x->size));
    return 1;
}

NN_API nn_data *nn_data_new(nn_tensor *x, nn_tensor *y) {
    nn_ctx    *c = x ? x->ctx : NULL;
    nn_tensor *kx, *ky;
    if (!nn__ok_tensor("data", x) || !nn__ok_arg(c, "data", y, "y")) return NULL;
    if (!nn__live(c, y)) return nn__operand_bad(c, "data", y, 1), (nn_data *)NULL;
    if (!nn__check_samples(c, x, y)) return NULL;
    kx = nn_keep(x);
    ky = nn_keep(y);
    if (ky && ky->st->data && nn__is_class(ky)) nn__check_within(c, "data", NN__M_LABEL, ky, INT32_MAX);
    return nn__data_take(c, kx, ky, 1); /* nobody else knows kx and ky */
}

/* -- reading files whole: the readers below work on memory -- */
static void *nn__read_file(nn_ctx *c, const char *path, size_t *size) { /* with a 0 after its end; *size is without it */
#if !defined(NN_NO_STDIO)
    FILE *f;
    char *p = NULL;
    long  n;
    if (!nn__ok_arg(c, "file", path, "path")) return NULL;
    f = fopen(path, "rb");
    if (!f) return nn__fail(c, NULL, NN__M_FILE_OPEN, path, "cannot be opened"), (void *)NULL;
    if (fseek(f, 0, SEEK_END) || (n = ftell(f)) < 0 || (uint64_t)n >= SIZE_MAX / 2 || fseek(f, 0, SEEK_SET)) nn__fail(c, NULL, NN__M_FILE_READ, path);
    else if ((p = (char *)nn__alloc(c, (size_t)n + 1)) != NULL) {
        *size = (size_t)n;
        if (fread(p, 1, (size_t)n, f) != (size_t)n) {
            nn__free(c, p, (size_t)n + 1);
            nn__fail(c, NULL, NN__M_FILE_READ, path);
            p = NULL;
        } else p[n] = 0;
    }
    fclose(f);
    return p;
#else
    (void)path; (void)size;
    return nn__fail(c, NULL, NN__M_FILE_NONE), (void *)NULL;
#endif
}
static void nn__file_forget(nn_ctx *c, void *p, size_t size) { nn__free(c, p, size + 1); }

/* -- npy: "\x93NUMPY", version, length of the header, the header as a Python dict, the elements -- */
static const struct nn__npy_type { char name[4]; nn_dtype dtype; } nn__npy_types[] = {
    {"f4", NN_F32}, {"f8", NN_F64}, {"f2", NN_F16}, {"i1", NN_I8}, {"u1", NN_U8}, {"i4", NN_I32}, {"i8", NN_I64}, {"b1", NN_U8}};
typedef struct nn__npy { nn_dtype dtype; nn_shape shape; int fortran, swap; size_t data; } nn__npy; /* swap: big-endian (idx); data: where the elements begin */

static const char *nn__npy_string(const char *s, const char *end, const char *want) { /* 'want', after spaces; what follows it, or NULL */
    size_t n = strlen(want);
    while (s < end && *s == ' ') s++;
    if ((size_t)(end - s) < n + 2 || (*s != '\'' && *s != '"') || memcmp(s + 1, want, n) || s[n + 1] != *s) return NULL;
    return s + n + 2;
}
static const char *nn__npy_skip(const char *s, const char *end, char ch) { /* ch, after spaces */
    while (s && s < end && *s == ' ') s++;
    return s && s < end && *s == ch ? s + 1 : NULL;
}
/* (3, 4), (3,), () */
static const char *nn__npy_shape(const char *s, const char *end, nn_shape *shape) {
    const char *t;
    *shape = nn__shape_none();
    s = nn__npy_skip(s, end, '(');
    while (s && !(t = nn__npy_skip(s, end, ')'))) {
        uint64_t n = 0;
        int      digits = 0;
        while (s < end && *s == ' ') s++;
        for (; s < end && *s >= '0' && *s <= '9' && digits < 18; s++, digits++) n = n * 10 + (uint64_t)(*s - '0');
        if (s < end && *s == 'L') s++;
        if (!digits || shape->ndim == NN_MAX_DIMS) return NULL;
        shape->dim[shape->ndim++] = (int64_t)n;
        t = nn__npy_skip(s, end, ',');
        if (!t && (shape->ndim == 1 || !nn__npy_skip(s, end, ')'))) return NULL; /* (3) is no tuple */
        if (t) s = t;
    }
    return s ? nn__npy_skip(s, end, ')') : NULL;
}
static const char *nn__npy_parse(const char *p, size_t size, nn__npy *y) { /* NULL or what is wrong; size: of what is there of the file */
    const unsigned char *u = (const unsigned char *)p;
    const char *s, *t = NULL, *end;
    size_t      length, head;
    int         seen = 0, big;
    memset(y, 0, sizeof *y);
    if (size < 10 || memcmp(p, "\x93NUMPY", 6) || u[6] < 1 || u[6] > 3) return "not an npy file";
    head   = u[6] == 1 ? 10 : 12;
    if (size < head) return "its header is cut short";
    length = u[8] | (size_t)u[9] << 8;
    if (head == 12) length |= (size_t)u[10] << 16 | (size_t)u[11] << 24;
    if (length > size - head) return "its header is cut short";
    y->data = head + length;
    s       = p + head;
    end     = s + length;
    s       = nn__npy_skip(s, end, '{');
    while (s && !(t = nn__npy_skip(s, end, '}'))) {
        if ((t = nn__npy_string(s, end, "descr")) != NULL) {
            t = nn__npy_skip(t, end, ':');
            while (t && t < end && *t == ' ') t++;
            if (!t || end - t < 5 || (*t != '\'' && *t != '"')) return "its header is not what it should be";
            y->dtype = NN_DTYPES;
            for (size_t i = 0; i < sizeof nn__npy_types / sizeof *nn__npy_types; i++)
                if (t[1] && !memcmp(t + 2, nn__npy_types[i].name, 2) && t[4] == *t) y->dtype = nn__npy_types[i].dtype;
            big = t[1] == '>';
            if (y->dtype == NN_DTYPES || !memchr("<=|>", t[1], 4) || (big && nn__dtypes[y->dtype].size > 1)) return "its elements are of a type that nn.h does not have";
            t += 5;
            seen |= 1;
        } else if ((t = nn__npy_string(s, end, "fortran_order")) != NULL) {
            t = nn__npy_skip(t, end, ':');
            while (t && t < end && *t == ' ') t++;
            if (t && end - t >= 5 && !memcmp(t, "False", 5)) t += 5;
            else if (t && end - t >= 4 && !memcmp(t, "True", 4)) { t += 4; y->fortran = 1; }
            else return "its header is not what it should be";
            seen |= 2;
        } else if ((t = nn__npy_string(s, end, "shape")) != NULL) {
            t = nn__npy_shape(nn__npy_skip(t, end, ':'), end, &y->shape);
            seen |= 4;
        }
        if (!t) return "its header is not what it should be";
        s = nn__npy_skip(t, end, ',');
        if (!s) s = nn__npy_skip(t, end, '}') ? t : NULL;
    }
    for (s = t; s && s < end; s++)
        if (*s != ' ' && *s != '\n') s = end;
    if (!s || s != end || seen != 7) return "its header is not what it should be";
    return nn__shape_fine(y->dtype, &y->shape) ? NULL : "its tensor does not fit into memory";
}
static size_t nn__npy_bytes(const nn__npy *y) { return (size_t)nn__count(y->shape.ndim, y->shape.dim) * nn__dtypes[y->dtype].size; }


/* The first axis fastest becomes the last axis fastest. 0: out of memory */
static int nn__npy_turn(nn_ctx *c, const nn__npy *y, char *data) {
    size_t  e = nn__dtypes[y->dtype].size, bytes = nn__npy_bytes(y);
    int64_t at[NN_MAX_DIMS] = {0, 0, 0, 0, 0, 0};
    char   *copy = bytes ? (char *)nn__alloc(c, bytes) : NULL;
    if (!bytes || !copy) return !bytes;
    memcpy(copy, data, bytes);
    for (size_t i = 0; i < bytes; i += e) {
        int64_t from = 0;
        for (int d = y->shape.ndim - 1; d >= 0; d--) from = from * y->shape.dim[d] + at[d];
        memcpy(data + i, copy + (size_t)from * e, e);
        for (int d = y->shape.ndim - 1; d >= 0 && ++at[d] == y->shape.dim[d]; d--) at[d] = 0;
    }
    nn__free(c, copy, bytes);
    return 1;
}

/* -- idx, the format of MNIST: 0, 0, type, rank, big-endian sizes, data -- */
static const char *nn__idx_parse(const unsigned char *p, size_t size, nn__npy *y) { /* NULL or what is wrong; size: of what is there of the file */
    static const struct { int code; nn_dtype dtype; } types[] = {{8, NN_U8}, {9, NN_I8}, {12, NN_I32}, {13, NN_F32}, {14, NN_F64}};
    memset(y, 0, sizeof *y);
    y->dtype = NN_DTYPES;
    if (size >= 4)
        for (size_t i = 0; i < sizeof types / sizeof *types; i++)
            if (p[2] == types[i].code) y->dtype = types[i].dtype;
    if (size < 4 || p[0] || p[1] || y->dtype == NN_DTYPES) return "not an idx file (unpack it first if it ends in .gz)";
    y->swap       = 1;
    y->shape.ndim = p[3];
    y->data       = 4 + 4 * (size_t)p[3];
    if (y->shape.ndim < 1 || y->shape.ndim > NN_MAX_DIMS || size < y->data) return "its header is cut short";
    for (int i = 0; i < y->shape.ndim; i++) {
        const unsigned char *q = p + 4 + 4 * i;
        y->shape.dim[i] = (int64_t)(((uint32_t)q[0] << 24) | ((uint32_t)q[1] << 16) | ((uint32_t)q[2] << 8) | q[3]);
    }
    return NULL;
}
static void nn__swap_bytes(char *p, size_t bytes, size_t e) { /* of elements of e bytes */
    for (size_t k = 0; e > 1 && k < bytes; k += e)
        for (size_t b = 0; b < e / 2; b++) { char t = p[k + b]; p[k + b] = p[k + e - 1 - b]; p[k + e - 1 - b] = t; }
}
static nn_tensor *nn__idx_read(nn_ctx *c, const char *path, const unsigned char *p, size_t size) {
    nn__npy     y;
    nn_tensor  *x;
    const char *wrong = nn__idx_parse(p, size, &y);
    if (wrong) return nn__fail(c, "idx", NN__M_FORMAT, path, wrong), (nn_tensor *)NULL;
    if (!nn__check_shape(c, "idx", y.dtype, &y.shape)) return NULL;
    if (size - y.data != nn__npy_bytes(&y)) return nn__fail(c, "idx", NN__M_FORMAT, path, "its length is not what its header says"), (nn_tensor *)NULL;
    x = nn__kept_new(c, y.dtype, y.shape.ndim, y.shape.dim, NULL);
    if (!x || !x->st->data || !x->st->bytes) return x;
    memcpy(x->st->data, p + y.data, x->st->bytes);
    nn__swap_bytes((char *)x->st->data, x->st->bytes, nn__dtypes[y.dtype].size);
    return x;
}
NN_API nn_tensor *nn_idx(nn_ctx *c, const void *bytes, size_t size) {
    nn_tensor *x = nn__ok_arg(c, "idx", bytes, "bytes") ? nn__idx_read(c, "idx data", (const unsigned char *)bytes, size) : NULL;
    if (x) x->persistent = 2;
    return x;
}

static nn_tensor *nn__idx_file(nn_ctx *c, const char *path) {
    size_t     size = 0;
    void      *p = nn__read_file(c, path, &size);
    nn_tensor *x = p ? nn__idx_read(c, path, (const unsigned char *)p, size) : NULL;
    if (p) nn__file_forget(c, p, size);
    return x;
}

NN_API nn_data *nn_data_idx(nn_ctx *c, const char *images, const char *labels) {
    nn_tensor *x, *y;
    if (!nn__ok(c)) return NULL;
    x = nn__idx_file(c, images);
    y = x ? nn__idx_file(c, labels) : NULL;
    if (x && y) nn__check_samples(c, x, y);
    return nn__data_take(c, x, y, x && x->dtype == NN_U8 ? 1 / 255.0 : 1);
}

NN_API nn_data *nn_data_mnist(nn_ctx *c, const char *folder, nn_mode part) {
    char        images[1024], labels[1024];
    const char *stem = part == NN_TRAIN ? "train" : "t10k";
    if (!nn__ok_arg(c, "mnist", folder, "folder")) return NULL;
    snprintf(images, sizeof images, "%.900s/%s-images-idx3-ubyte", folder, stem);
    snprintf(labels, sizeof labels, "%.900s/%s-labels-idx1-ubyte", folder, stem);
    return nn_data_idx(c, images, labels);
}

/* -- csv -- */
/* A decimal number; the locale, on which strtod depends, does not matter here. NULL if there is none. */
static const char *nn__parse_number(const char *s, const char *end, double *value) {
    uint64_t mantissa = 0;
    int      exponent = 0, negative = 0, point = 0, any = 0;
    if (s < end && (*s == '-' || *s == '+')) negative = *s++ == '-';
    for (; s < end; s++) {
        if (*s == '.' && !point) { point = 1; continue; }
        if (*s < '0' || *s > '9') break;
        any = 1;
        if (mantissa < 1000000000000000000u / 10) { mantissa = mantissa * 10 + (uint64_t)(*s - '0'); exponent -= point; }
        else if (exponent < 100000) exponent += !point; /* digits that no double can show */
    }
    if (!any) return NULL;
    if (s < end && (*s == 'e' || *s == 'E')) {
        const char *t = s + 1;
        int         sign = 1, e = 0;
        if (t < end && (*t == '-' || *t == '+')) sign = *t++ == '-' ? -1 : 1;
        if (t < end && *t >= '0' && *t <= '9') {
            for (; t < end && *t >= '0' && *t <= '9'; t++)
                if (e < 100000) e = e * 10 + (*t - '0');
            exponent += sign * e;
            s = t;
        }
    }
    *value = (double)mantissa;
    if (mantissa && exponent > 0) *value *= pow(10, exponent < 400 ? exponent : 400);
    for (; mantissa && exponent < 0; exponent += 300) { /* in two steps where 10^-exponent is beyond a double */
        *value /= pow(10, exponent < -300 ? 300 : -exponent);
        if (exponent < -900) *value = 0;
        if (exponent >= -300 || *value == 0) break;
    }
    if (negative) *value = -*value;
    return s;
}

/* One field, perhaps in quotes, with spaces around; returns what follows it, or NULL. */
static const char *nn__csv_field(const char *s, const char *end, char separator, double *value) {
    int quoted;
    while (s < end && (*s == ' ' || *s == '\t') && *s != separator) s++;
    quoted = s < end && *s == '"';
    s = nn__parse_number(s + quoted, end, value);
    if (!s || (quoted && (s >= end || *s++ != '"'))) return NULL;
    while (s < end && (*s == ' ' || *s == '\t' || *s == '\r') && *s != separator) s++;
    return s;
}

static int64_t nn__csv_columns(const char *s, const char *end, char separator) {
    int64_t n = 1;
    for (int quoted = 0; s < end && (*s != '\n' || quoted); s++) {
        if (*s == '"') quoted = !quoted;
        else if (*s == separator && !quoted) n++;
    }
    return n;
}

/* One field as text, without the spaces around it; in quotes it may hold separators, and "" for a quote. Returns what follows it. */
typedef struct nn__word { const char *s; size_t n; int quoted, open; } nn__word; /* open: the quote is not closed */
static const char *nn__csv_word(const char *s, const char *end, char separator, nn__word *w) {
    while (s < end && (*s == ' ' || *s == '\t') && *s != separator) s++;
    w->quoted = s < end && *s == '"';
    w->s      = s + w->quoted;
    if (w->quoted) {
        for (s++; s < end && (*s != '"' || (s + 1 < end && s[1] == '"')); s += *s == '"' ? 2 : 1) {}
        if (s > end) s = end;
        w->n    = (size_t)(s - w->s);
        w->open = s >= end;
        if (s < end) s++;
        while (s < end && *s != separator) s++;
    } else {
        while (s < end && *s != separator) s++;
        w->n = (size_t)(s - w->s);
        while (w->n && (w->s[w->n - 1] == ' ' || w->s[w->n - 1] == '\r' || w->s[w->n - 1] == '\t')) w->n--;
    }
    return s;
}
static int nn__csv_is_missing(const nn__word *w) {
    static const char *const signs[] = {"", "?", "NA", "N/A", "NaN", "nan", "NULL", "null"};
    for (size_t i = 0; i < sizeof signs / sizeof *signs; i++)
        if (strlen(signs[i]) == w->n && !memcmp(signs[i], w->s, w->n)) return 1;
    return 0;
}
static size_t nn__word_copy(const nn__word *w, char *to) { /* with its 0, "" as "; the length */
    size_t n = 0;
    for (size_t i = 0; i < w->n; i++) {
        to[n++] = w->s[i];
        if (w->quoted && w->s[i] == '"' && i + 1 < w->n && w->s[i + 1] == '"') i++;
    }
    to[n] = 0;
    return n + 1;
}
static int nn__by_word(const void *a, const void *b) {
    const nn__word *x = (const nn__word *)a, *y = (const nn__word *)b;
    int             d = memcmp(x->s, y->s, x->n < y->n ? x->n : y->n);
    return d ? d : x->n < y->n ? -1 : x->n > y->n;
}

/* What a walk over the lines knows. x == NULL: check, count, and gather the classes' names; else fill x and y. */
typedef struct nn__csv {
    nn_ctx        *ctx;
    const char    *path, *s, *end;
    nn_csv_options o;
    int64_t        columns, rows, words_room, classes;
    nn__word      *words;     /* of each row's class; later the classes, sorted */
    nn_tensor     *x, *y;
} nn__csv;
static int nn__csv_target(nn__csv *w, const char **s, const char *stop, int64_t row, int64_t to, const char **wrong) {
    double      v = 0;
    const char *after;
    if (w->o.text) {
        nn__word word, *found;
        *s = nn__csv_word(*s, stop, w->o.separator, &word);
        if (!word.n || (word.quoted && word.open)) { *wrong = word.n ? "a quote is not closed" : "the class has no name"; return 0; }
        if (!w->x) {
            if (!nn__grow(w->ctx, &w->words, &w->words_room, row + 1, sizeof *w->words)) return 0;
            w->words[row] = word;
            return 1;
        }
        found = (nn__word *)bsearch(&word, w->words, (size_t)w->classes, sizeof word, nn__by_word);
        nn__store(w->y->dtype, w->y->st->data, row, (double)(found - w->words));
        return 1;
    }
    after = nn__csv_field(*s, stop, w->o.separator, &v);
    if (!after) *wrong = "a field is not a number (a line of names? set header = 1; classes with names? text = 1)";
    else if (!w->o.regression && (v != floor(v) || v < 0 || v > 2147483647.0)) *wrong = "the class is not a whole number from 0 on (real targets? set regression = 1)";
    else if (w->x) nn__store(w->y->dtype, w->y->st->data, row * w->o.target + to, v);
    *s = after ? after : *s;
    return !*wrong;
}
static int nn__csv_line(nn__csv *w, const char *s, const char *stop, int64_t row, const char **wrong) { /* 1: a sample; 0: wrong; -1: left out */
    int64_t inputs = w->columns - w->o.target;
    int     missing = 0;
    for (int64_t k = 0; k < w->columns; k++) {
        double      v = NAN;
        const char *after;
        nn__word    word;
        if (missing && w->o.missing == NN_CSV_SKIP) s = nn__csv_word(s, stop, w->o.separator, &word); /* only counted */
        else if (k >= inputs) {
            if (!nn__csv_target(w, &s, stop, row, k - inputs, wrong)) return 0;
        } else {
            after = nn__csv_field(s, stop, w->o.separator, &v);
            if (!after || (after < stop && *after != w->o.separator)) {
                after = nn__csv_word(s, stop, w->o.separator, &word);
                v     = NAN;
                if (!w->o.missing || !nn__csv_is_missing(&word)) *wrong = nn__csv_is_missing(&word) ? "a value is missing (set missing)" : "a field is not a number (a line of names? set header = 1)";
                if (*wrong) return 0;
                missing = 1;
            }
            s = after;
            if (w->x) nn__store(w->x->dtype, w->x->st->data, row * inputs + k, v * (double)w->o.scale);
        }
        if (k < w->columns - 1 ? s >= stop || *s++ != w->o.separator : s != stop) { *wrong = "another number of columns than the first line"; return 0; }
    }
    return missing && w->o.missing == NN_CSV_SKIP ? -1 : 1;
}
static int nn__csv_walk(nn__csv *w) {
    const char *s = w->s, *wrong = NULL;
    int64_t     row = 0, line = 1;
    if (w->o.header)
        while (s < w->end && *s++ != '\n') {}
    line += w->o.header != 0;
    for (; s < w->end; line++) {
        const char *stop = (const char *)memchr(s, '\n', (size_t)(w->end - s)), *next = stop ? stop + 1 : w->end;
        int         kept;
        stop = stop ? stop : w->end;
        while (stop > s && stop[-1] == '\r') stop--;
        while (s < stop && (*s == ' ' || *s == '\t') && *s != w->o.separator) s++;
        if (s == stop) { s = next; continue; } /* an empty line */
        kept = nn__csv_line(w, s, stop, row, &wrong);
        if (!kept) return wrong ? nn__fail(w->ctx, "csv", NN__M_CSV, w->path, (long long)line, wrong) : 0;
        row += kept > 0;
        s = next;
    }
    w->rows = row;
    return row > 0 || nn__fail(w->ctx, "csv", NN__M_CSV, w->path, (long long)line, "no line has a sample");
}
/* The rows' classes become the list of different ones, in order */
static void nn__csv_classes(nn__csv *w) {
    qsort(w->words, (size_t)w->rows, sizeof *w->words, nn__by_word);
    w->classes = 0;
    for (int64_t i = 0; i < w->rows; i++)
        if (!w->classes || nn__by_word(&w->words[i], &w->words[w->classes - 1])) w->words[w->classes++] = w->words[i];
}
/* Names that are kept with the samples: the columns' of the header, then the classes' */
static int nn__csv_names(nn__csv *w, nn__samples *samples) {
    const char *s = w->s, *stop = (const char *)memchr(s, '\n', (size_t)(w->end - s));
    size_t      bytes = 1, n = 0;
    int64_t     columns = w->o.header ? nn__csv_columns(s, w->end, w->o.separator) : 0, count = columns + w->classes;
    nn__word    word;
    const char *t = s;
    char       *text;
    if (!count) return 1;
    stop = stop ? stop : w->end;
    for (int64_t i = 0; i < columns; i++, t += t < stop) { t = nn__csv_word(t, stop, w->o.separator, &word); bytes += word.n + 1; }
    for (int64_t i = 0; i < w->classes; i++) bytes += w->words[i].n + 1;
    samples->names_size = (size_t)count * sizeof *samples->names + bytes;
    samples->names      = (const char **)nn__alloc(w->ctx, samples->names_size);
    if (!samples->names) return 0;
    samples->columns = columns;
    samples->classes = w->classes;
    text = (char *)(samples->names + count);
    for (int64_t i = 0; i < count; i++) {
        if (i < columns) { s = nn__csv_word(s, stop, w->o.separator, &word); s += s < stop; }
        else word = w->words[i - columns];
        samples->names[i] = text + n;
        n += nn__word_copy(&word, text + n);
    }
    return 1;
}
static void nn__csv_means(nn_tensor *x) { /* what is missing becomes the mean of what is not */
    int64_t rows = x->size[0], columns = x->size[1];
    float  *v = (float *)x->st->data;
    for (int64_t k = 0; k < columns; k++) {
        double  sum = 0;
        int64_t n = 0;
        for (int64_t i = 0; i < rows; i++)
            if (v[i * columns + k] == v[i * columns + k]) { sum += (double)v[i * columns + k]; n++; }
        for (int64_t i = 0; i < rows; i++)
            if (v[i * columns + k] != v[i * columns + k]) v[i * columns + k] = n ? (float)(sum / (double)n) : 0;
    }
}

NN_API nn_csv_options nn_csv_defaults(void) {
    nn_csv_options o;
    memset(&o, 0, sizeof o);
    return o;
}

static nn_data *nn__csv_read(nn_ctx *c, const char *path, const char *text, size_t size, const nn_csv_options *options) {
    nn__csv     w;
    const char *first;
    nn_shape    xs, ys;
    nn_data    *d = NULL;
    if (!nn__ok_arg(c, "csv", text, "text")) return NULL;
    memset(&w, 0, sizeof w);
    w.ctx = c; w.path = path; w.s = text; w.end = text + size;
    if (size >= 3 && !memcmp(text, "\xef\xbb\xbf", 3)) w.s += 3; /* some editors' byte order mark */
    if (options) w.o = *options;
    if (!w.o.separator) w.o.separator = ',';
    if (!w.o.target) w.o.target = 1;
    if (w.o.scale == 0) w.o.scale = 1;
    if (w.o.target < 1 || (w.o.target > 1 && !w.o.regression)) return nn__fail(c, "csv", NN__M_OPTION, "target", (double)w.o.target), (nn_data *)NULL;
    if ((unsigned)w.o.missing > NN_CSV_SKIP) return nn__fail(c, "csv", NN__M_OPTION, "missing", (double)w.o.missing), (nn_data *)NULL;
    if (w.o.text && w.o.regression) return nn__fail(c, "csv", NN__M_RULE, "text", "real targets have no names"), (nn_data *)NULL;
    first = w.s;
    if (w.o.header)
        while (first < w.end && *first++ != '\n') {}
    while (first < w.end && (*first == '\n' || *first == '\r' || *first == ' ' || *first == '\t') && *first != w.o.separator) first++;
    w.columns = nn__csv_columns(first, w.end, w.o.separator);
    if (first >= w.end || w.columns <= w.o.target) return nn__fail(c, "csv", NN__M_CSV, path, 1LL + w.o.header, "too few columns (another separator?)"), (nn_data *)NULL;
    if (nn__csv_walk(&w)) {
        if (w.o.text) nn__csv_classes(&w);
        xs = NN_SHAPE(w.rows, w.columns - w.o.target);
        ys = w.o.regression ? NN_SHAPE(w.rows, w.o.target) : NN_SHAPE(w.rows);
        if (nn__check_shape(c, "csv", NN_F32, &xs) && nn__check_shape(c, "csv", NN_F32, &ys)) {
            nn_tensor *x = nn__kept_new(c, NN_F32, xs.ndim, xs.dim, NULL), *y = x ? nn__kept_new(c, w.o.regression ? NN_F32 : NN_I32, ys.ndim, ys.dim, NULL) : NULL;
            if (y && y->st->data) {
                w.x = x;
                w.y = y;
                nn__csv_walk(&w);
                if (w.o.missing == NN_CSV_MEAN) nn__csv_means(x);
            }
            d = nn__data_take(c, x, y, 1);
        }
        if (d && !nn__csv_names(&w, d->samples)) {
            nn_data_free(d);
            d = NULL;
        }
    }
    nn__free(c, w.words, (size_t)w.words_room * sizeof *w.words);
    return d;
}
NN_API nn_data *nn_data_csv_text(nn_ctx *c, const char *text, size_t size, const nn_csv_options *options) { return nn__csv_read(c, "text", text, size, options); }
NN_API nn_data *nn_data_csv(nn_ctx *c, const char *path, const nn_csv_options *options) {
    size_t   size = 0;
    char    *p = nn__ok(c) ? (char *)nn__read_file(c, path, &size) : NULL;
    nn_data *d = p ? nn__csv_read(c, path, p, size, options) : NULL;
    if (p) nn__file_forget(c, p, size);
    return d;
}

/* -- samples on the disk: a window of them is in memory; each epoch takes the pieces in another order, and shuffles within each -- */
struct nn__stream {
    void    *f;                        /* FILE */
    char     path[200];
    int64_t  n, window, pieces, piece; /* samples; of a piece; pieces; the one in memory, -1: none */
    int64_t *first, *turn;             /* of each piece its first place in an index, and the order of an epoch */
    size_t   begin, row;               /* where the samples begin, and bytes of one */
    int      swap;                     /* idx: the bytes of an element come the other way round */
};
static void nn__stream_free(nn_ctx *c, nn__stream *s) {
    if (!s) return;
#if !defined(NN_NO_STDIO)
    if (s->f) fclose((FILE *)s->f);
#endif
    nn__free(c, s->first, (size_t)(s->pieces + 1) * sizeof *s->first);
    nn__free(c, s->turn, (size_t)s->pieces * sizeof *s->turn);
    nn__free(c, s, sizeof *s);
}
#if !defined(NN_NO_STDIO)
/* The piece that sample i lies in, into the window */
static int nn__stream_load(nn__samples *a, int64_t i) {
    nn__stream *s = a->stream;
    int64_t     piece = i / s->window, count = nn__min64(s->window, s->n - piece * s->window);
    size_t      at = s->begin + (size_t)(piece * s->window) * s->row;
    if (piece == s->piece) return 1;
    s->piece = -1;
    if (at > (size_t)LONG_MAX || fseek((FILE *)s->f, (long)at, SEEK_SET) || (s->row && fread(a->x->st->data, s->row, (size_t)count, (FILE *)s->f) != (size_t)count)) return nn__fail(a->ctx, NULL, NN__M_FILE_READ, s->path);
    if (s->swap) nn__swap_bytes((char *)a->x->st->data, (size_t)count * s->row, nn__dtypes[a->x->dtype].size);
    s->piece = piece;
    return 1;
}
/* What the file holds, and where it begins */
static int nn__stream_head(nn_ctx *c, FILE *f, const char *path, nn__npy *y) {
    nn__text    t;
    char        head[4096];
    size_t      n = fread(head, 1, sizeof head, f);
    long        size;
    int         npy = n >= 6 && !memcmp(head, "\x93NUMPY", 6);
    const char *wrong = npy ? nn__npy_parse(head, n, y) : nn__idx_parse((const unsigned char *)head, n, y);
    if (!wrong && y->fortran && y->shape.ndim > 1) wrong = "its samples do not lie one after another (fortran_order)";
    if (!wrong && (!nn__shape_fine(y->dtype, &y->shape) || fseek(f, 0, SEEK_END) || (size = ftell(f)) < 0 || (size_t)size - y->data != nn__npy_bytes(y))) wrong = "its length is not what its header says";
    if (wrong) return nn__fail(c, npy ? "npy" : "idx", NN__M_FORMAT, path, wrong);
    if (y->shape.ndim < 1) return nn__fail(c, "data", NN__M_RANK, "x", nn__shape_text(&t, 0, NULL), "at least 1");
    return y->shape.dim[0] > 0 || nn__fail(c, NULL, NN__M_EMPTY, "data", nn__text_of(&t, y->shape));
}
static nn_data *nn__data_stream(nn_ctx *c, const char *path, nn_tensor *labels, int64_t window) { /* takes labels over */
    nn__samples *a = (nn__samples *)nn__alloc_zero(c, sizeof *a);
    nn__stream  *s = a ? (nn__stream *)nn__alloc_zero(c, sizeof *s) : NULL;
    nn__npy      y;
    if (!s) {
        if (a) nn__free(c, a, sizeof *a);
        nn__kept_free(labels);
        return NULL;
    }
    a->ctx = c; a->uses = 1; a->y = labels; a->stream = s;
    s->piece = -1;
    snprintf(s->path, sizeof s->path, "%.190s", path);
    s->f = fopen(path, "rb");
    if (s->f) setvbuf((FILE *)s->f, NULL, _IONBF, 0); /* pieces are read whole */
    if (!s->f) nn__fail(c, NULL, NN__M_FILE_OPEN, path, "cannot be opened");
    else if (nn__stream_head(c, (FILE *)s->f, path, &y)) {
        s->n      = y.shape.dim[0];
        s->window = nn__min64(window, s->n);
        s->pieces = nn__ceil_div(s->n, s->window);
        s->begin  = y.data;
        s->row    = nn__npy_bytes(&y) / (size_t)s->n;
        s->swap   = y.swap;
        a->scale  = y.dtype == NN_U8 ? 1 / 255.0 : 1;
        y.shape.dim[0] = s->window;
        a->x      = nn__kept_new(c, y.dtype, y.shape.ndim, y.shape.dim, NULL);
        s->first  = (int64_t *)nn__alloc(c, (size_t)(s->pieces + 1) * sizeof *s->first);
        s->turn   = (int64_t *)nn__alloc(c, (size_t)s->pieces * sizeof *s->turn);
        if (a->x && s->first && s->turn) {
            if (labels->ndim >= 1 && labels->size[0] == s->n) return nn__data_over(c, a, s->n);
            nn__fail(c, "data", NN__M_SAMPLES, (long long)s->n, (long long)nn_dim(labels, 0));
        }
    }
    nn__samples_release(a);
    return NULL;
}
#endif
/* The order of an epoch: pieces shuffled, and the samples of each */
static void nn__stream_order(nn_data *d, nn__rng r) {
    nn__stream *s = d->samples->stream;
    int64_t     at = 0, p = 0;
    for (int64_t i = 0; i <= d->n; i++) /* an index grows, so that each piece has its samples side by side */
        for (; p <= s->pieces && (i == d->n || d->index[i] / s->window >= p); p++) s->first[p] = i;
    for (int64_t i = 0; i < s->pieces; i++) s->turn[i] = i;
    nn__shuffle(r, s->turn, s->pieces);
    for (int64_t i = 0; i < s->pieces; i++) {
        int64_t from = s->first[s->turn[i]], n = s->first[s->turn[i] + 1] - from;
        memcpy(d->order + at, d->index + from, (size_t)n * sizeof *d->order);
        r.stream = 0xfffffffcu;
        r.seed   = nn__mix(r.seed + (uint64_t)s->turn[i] + 1);
        nn__shuffle(r, d->order + at, n);
        at += n;
    }
}

static nn_tensor *nn__array_file(nn_ctx *c, const char *path) { /* idx, or what nn_file_open reads and has one tensor: npy */
    size_t     size = 0;
    char      *p = (char *)nn__read_file(c, path, &size);
    nn_tensor *x = NULL;
    if (p && size >= 6 && !memcmp(p, "\x93NUMPY", 6)) {
        nn__npy     y;
        const char *wrong = nn__npy_parse(p, size, &y);
        if (!wrong && size - y.data != nn__npy_bytes(&y)) wrong = "its length is not what its header says";
        if (wrong) nn__fail(c, "npy", NN__M_FORMAT, path, wrong);
        else if (!y.fortran || nn__npy_turn(c, &y, p + y.data)) x = nn__kept_new(c, y.dtype, y.shape.ndim, y.shape.dim, NULL);
        if (x && x->st->data && x->st->bytes) memcpy(x->st->data, p + y.data, x->st->bytes);
    } else if (p) x = nn__idx_read(c, path, (const unsigned char *)p, size);
    if (p) nn__file_forget(c, p, size);
    return x;
}
NN_API nn_data *nn_data_files(nn_ctx *c, const char *x, const char *y, int64_t window) {
    nn_tensor *tx, *ty;
    if (!nn__ok_arg(c, "data_files", x, "x") || !nn__ok_arg(c, "data_files", y, "y")) return NULL;
    if (window < 0) return nn__fail(c, "data_files", NN__M_OPTION, "window", (double)window), (nn_data *)NULL;
    ty = nn__array_file(c, y);
#if !defined(NN_NO_STDIO)
    if (ty && window && ty->st->data && nn__is_class(ty) && !nn__check_within(c, "data", NN__M_LABEL, ty, INT32_MAX)) return nn__kept_free(ty), (nn_data *)NULL;
    if (ty && window) return nn__data_stream(c, x, ty, window);
#endif
    tx = ty ? nn__array_file(c, x) : NULL;
    if (tx) nn__check_samples(c, tx, ty);
    if (tx && !c->error && ty->st->data && nn__is_class(ty)) nn__check_within(c, "data", NN__M_LABEL, ty, INT32_MAX);
    return nn__data_take(c, tx, ty, tx && tx->dtype == NN_U8 ? 1 / 255.0 : 1);
}

NN_API nn_tensor *nn_text_read(nn_ctx *c, const char *path) {
    size_t     size = 0;
    char      *p = nn__ok(c) ? (char *)nn__read_file(c, path, &size) : NULL;
    int64_t    n = (int64_t)size;
    nn_tensor *x = p ? nn__kept_new(c, NN_U8, 1, &n, NULL) : NULL;
    if (x && x->st->data && n) memcpy(x->st->data, p, size);
    if (p) nn__file_forget(c, p, size);
    if (x) x->persistent = 2; /* nn_drop may free it */
    return x;
}
static const uint8_t *nn__text_of_tensor(const char *op, nn_tensor *text, int64_t *n) {
    nn__text t;
    if (!nn__ok_host(op, text)) return NULL;
    if (text->dtype != NN_U8) return nn__fail(text->ctx, op, NN__M_DTYPE_IS, nn_dtype_name(text->dtype), "u8"), (const uint8_t *)NULL;
    if (text->ndim != 1) return nn__fail(text->ctx, op, NN__M_RANK, "text", nn__shape_text(&t, text->ndim, text->size), "1"), (const uint8_t *)NULL;
    *n = text->size[0];
    return (const uint8_t *)nn_ptr(text);
}
NN_API nn_tensor *nn_text_lines(nn_tensor *text) {
    int64_t        n = 0, lines = 0;
    const uint8_t *p = nn__text_of_tensor("text_lines", text, &n);
    nn_tensor     *y = NULL;
    if (!p) return NULL;
    for (int pass = 0; pass < 2; pass++) {
        int64_t begin = 0, line = 0;
        for (int64_t i = 0; i <= n; i++) {
            int64_t end = i;
            if (i < n ? p[i] != '\n' : begin == n) continue;
            if (i < n && end > begin && p[end - 1] == '\r') end--;
            if (pass) { nn_i64(y)[2 * line] = begin; nn_i64(y)[2 * line + 1] = end; }
            line++;
            begin = i + 1;
        }
        lines = line;
        if (!pass && !(y = nn_zeros(text->ctx, NN_I64, NN_SHAPE(lines, 2)))) return NULL;
    }
    return y;
}
NN_API nn_tensor *nn_text_table(nn_tensor *text, int *count) {
    int64_t        n = 0;
    int            seen[256], next = 0;
    const uint8_t *p = nn__text_of_tensor("text_table", text, &n);
    nn_tensor     *y = p ? nn_zeros(text->ctx, NN_I32, NN_SHAPE(256)) : NULL;
    if (count) *count = 0;
    if (!y || !y->st->data) return NULL;
    memset(seen, 0, sizeof seen);
    for (int64_t i = 0; i < n; i++) seen[p[i]] = 1;
    for (int i = 0; i < 256; i++) ((int32_t *)y->st->data)[i] = seen[i] ? next++ : -1;
    if (count) *count = next;
    return y;
}

/* -- sets made by a formula, to try things on: u is a stream of random numbers of the set's own -- */
typedef struct nn__dice { nn__rng rng; uint64_t at; } nn__dice;
static double nn__dice_uniform(nn__dice *d) { /* within (0, 1) */
    uint32_t w[4];
    nn__philox(d->rng, d->at++, w);
    return ((double)w[0] + 0.5) / 4294967296.0;
}
static double nn__dice_normal(nn__dice *d) {
    double r = sqrt(-2 * log(nn__dice_uniform(d)));
    return r * cos(6.283185307179586 * nn__dice_uniform(d));
}
static const char *const nn__toys[] = {"xor", "circles", "moons", "blobs", "spiral", "checkerboard", "swiss_roll", "sines"};
static double nn__toy_point(int kind, int64_t i, int64_t n, nn__dice *d, double *p) { /* its target */
    const double pi = 3.14159265358979323846;
    double       u = nn__dice_uniform(d), v = nn__dice_uniform(d);
    int64_t      k = i % (kind == 3 || kind == 4 ? 3 : 2);
    switch (kind) {
    case 0: p[0] = 2 * u - 1; p[1] = 2 * v - 1; return p[0] * p[1] < 0;
    case 1: p[0] = (k ? 0.5 : 1) * cos(2 * pi * u); p[1] = (k ? 0.5 : 1) * sin(2 * pi * u); return (double)k;
    case 2: p[0] = k ? 1 - cos(pi * u) : cos(pi * u); p[1] = k ? 0.5 - sin(pi * u) : sin(pi * u); return (double)k;
    case 3: p[0] = 2 * cos(2 * pi * (double)k / 3); p[1] = 2 * sin(2 * pi * (double)k / 3); return (double)k;
    case 4: p[0] = sqrt(u) * cos(2 * pi * (double)k / 3 + 4 * sqrt(u)); p[1] = sqrt(u) * sin(2 * pi * (double)k / 3 + 4 * sqrt(u)); return (double)k;
    case 5: p[0] = 4 * u - 2; p[1] = 4 * v - 2; return fmod(floor(p[0]) + floor(p[1]) + 8, 2);
    case 6: u = 1.5 * pi * (1 + 2 * u); p[0] = u * cos(u); p[1] = 21 * v; p[2] = u * sin(u); return u;
    default: p[0] = n > 1 ? pi * (2 * (double)i / (double)(n - 1) - 1) : 0; return sin(p[0]);
    }
}
NN_API nn_data *nn_data_toy(nn_ctx *c, const char *name, int64_t n, double noise) {
    nn_tensor *x, *y;
    nn__dice   dice;
    int        kind = 0, real, width;
    nn_shape   xs, ys;
    if (!nn__ok_arg(c, "data_toy", name, "name")) return NULL;
    while (kind < 8 && strcmp(name, nn__toys[kind])) kind++;
    if (kind == 8) return nn__fail(c, "data_toy", NN__M_RULE, name, "no such set"), (nn_data *)NULL;
    if (n < 1) return nn__fail(c, "data_toy", NN__M_OPTION, "n", (double)n), (nn_data *)NULL;
    if (!(noise >= 0)) return nn__fail(c, "data_toy", NN__M_OPTION, "noise", noise), (nn_data *)NULL;
    real  = kind >= 6;
    width = kind == 6 ? 3 : kind == 7 ? 1 : 2;
    xs    = NN_SHAPE(n, width);
    ys    = real ? NN_SHAPE(n, 1) : NN_SHAPE(n);
    if (!nn__check_shape(c, "data_toy", NN_F32, &xs)) return NULL;
    x = nn__kept_new(c, NN_F32, xs.ndim, xs.dim, NULL);
    y = x ? nn__kept_new(c, real ? NN_F32 : NN_I32, ys.ndim, ys.dim, NULL) : NULL;
    memset(&dice, 0, sizeof dice);
    dice.rng.seed   = nn__mix(c->config.seed + (c->data_sets + 1) * 0x9e3779b97f4a7c15u);
    dice.rng.stream = 0xfffffffdu;
    if (y && y->st->data)
        for (int64_t i = 0; i < n; i++) {
            double p[3] = {0, 0, 0}, t = nn__toy_point(kind, i, n, &dice, p);
            for (int k = 0; k < width; k++) nn__store(NN_F32, x->st->data, i * width + k, p[k] + (kind == 7 ? 0 : noise * nn__dice_normal(&dice)));
            nn__store(y->dtype, y->st->data, i, t + (kind == 7 ? noise * nn__dice_normal(&dice) : 0));
        }
    return nn__data_take(c, x, y, 1);
}

/* -- splits and batches -- */

/* Sample j of its class goes into the part where j * share steps up or, of k folds, in fold `fold`. */
static int nn__data_divide(nn_data *d, double share, int folds, int fold, nn_data **rest, nn_data **part) {
    nn_ctx  *c = d ? d->ctx : NULL;
    int64_t  n[2] = {0, 0}, *seen, classes = 1;
    nn_data *out[2] = {NULL, NULL};
    int      stratify;
    if (rest) *rest = NULL;
    if (part) *part = NULL;
    if (!d || !nn__ok(c)) return 0;
    if (!rest || !part) return nn__fail(c, "split", NN__M_ARG_NULL, "the result");
    stratify = nn__is_class(d->samples->y) && !c->shape_only;
    if (stratify)
        for (int64_t i = 0; i < d->n; i++) {
            int64_t k = nn__load_int(d->samples->y->dtype, d->samples->y->st->data, d->index[i]);
            if (k < 0 || k > 1000000) { stratify = 0; classes = 1; break; }
            classes = nn__max64(classes, k + 1);
        }
    seen = (int64_t *)nn__alloc_zero(c, (size_t)(classes + 1) * sizeof *seen);
    if (!seen) return 0;
    for (int pass = 0; pass < 2; pass++) { /* count, then hand out: of each class, sample j goes where j * share steps up */
        memset(seen, 0, (size_t)(classes + 1) * sizeof *seen);
        if (folds) { /* counted on from class to class, so that small classes do not all fall into the first folds */
            for (int64_t i = 0; i < d->n; i++) seen[stratify ? nn__load_int(d->samples->y->dtype, d->samples->y->st->data, d->index[i]) + 1 : 1]++;
            for (int64_t k = 1; k <= classes; k++) seen[k] += seen[k - 1];
        }
        for (int64_t i = 0, at[2] = {0, 0}; i < d->n; i++) {
            int64_t k = stratify ? nn__load_int(d->samples->y->dtype, d->samples->y->st->data, d->index[i]) : 0, j = seen[k]++;
            int     to = folds ? j % folds == fold : floor((double)(j + 1) * share + 1e-9) > floor((double)j * share + 1e-9);
            if (pass == 0) n[to]++;
            else out[to]->index[at[to]++] = d->index[i];
        }
        if (pass) break;
        if ((!folds && !(share > 0 && share < 1)) || !n[0] || !n[1]) { nn__fail(c, "split", NN__M_SPLIT, share, (long long)d->n); break; }
        for (int k = 0; k < 2 && !c->error; k++) {
            d->samples->uses++;
            out[k] = nn__data_over(c, d->samples, n[k]);
        }
        if (c->error) break;
    }
    nn__free(c, seen, (size_t)(classes + 1) * sizeof *seen);
    if (c->error) {
        nn_data_free(out[0]);
        nn_data_free(out[1]);
        return 0;
    }
    for (int k = 0; k < 2; k++) { out[k]->batch = d->batch; out[k]->batch_set = d->batch_set; out[k]->drop_last = d->drop_last; out[k]->shuffle = d->shuffle; }
    *rest = out[0];
    *part = out[1];
    return 1;
}

NN_API int nn_data_split(nn_data *d, double share, nn_data **rest, nn_data **part) { return nn__data_divide(d, share, 0, 0, rest, part); }
NN_API int nn_data_fold(nn_data *d, int k, int i, nn_data **train, nn_data **valid) {
    if (d && (k < 2 || i < 0 || i >= k)) return nn__fail(d->ctx, "fold", NN__M_OPTION, k < 2 ? "k" : "i", (double)(k < 2 ? k : i));
    return nn__data_divide(d, 1.0 / (k > 0 ? k : 1), k, i, train, valid);
}
NN_API int64_t nn_data_classes(nn_data *d) {
    int64_t most = -1;
    if (!d || !nn__is_class(d->samples->y) || !d->samples->y->st->data) return 0;
    if (d->samples->classes) return d->samples->classes;
    for (int64_t i = 0; i < nn_numel(d->samples->y); i++) most = nn__max64(most, nn__load_int(d->samples->y->dtype, d->samples->y->st->data, i));
    return most + 1;
}
NN_API const char *nn_data_class(const nn_data *d, int i) { return d && i >= 0 && i < d->samples->classes ? d->samples->names[d->samples->columns + i] : NULL; }
NN_API const char *nn_data_column(const nn_data *d, int i) { return d && i >= 0 && i < d->samples->columns ? d->samples->names[i] : NULL; }

NN_API int nn_data_batch(nn_data *d, int64_t size, int drop_last) {
    if (!d || !nn__ok(d->ctx)) return 0;
    if (size < 1) return nn__fail(d->ctx, "batch", NN__M_OPTION, "size", (double)size);
    d->batch     = size;
    d->batch_set = 1;
    d->drop_last = drop_last;
    if (d->bx) nn__kept_free(d->bx);
    if (d->by) nn__kept_free(d->by);
    d->bx = d->by = NULL;
    return 1;
}
NN_API int nn_data_shuffle(nn_data *d, int on) {
    if (!d || !nn__ok(d->ctx)) return 0;
    d->shuffle = on != 0;
    return 1;
}
NN_API void    nn_data_rewind(nn_data *d) { if (d) d->running = 0; }
NN_API int64_t nn_data_count(const nn_data *d) { return d ? d->n : 0; }

/* Rows of `from` as elements of `to`'s dtype */
static void nn__gather_rows(nn_tensor *to, const nn_tensor *from, const int64_t *index, int64_t n, double scale) {
    int64_t row = nn__row_size(from);
    size_t  e = nn__dtypes[from->dtype].size, te = nn__dtypes[to->dtype].size;
    for (int64_t i = 0; i < n; i++) {
        const char *src = (const char *)from->st->data + (size_t)(index[i] * row) * e;
        char       *dst = (char *)to->st->data + (size_t)(i * row) * te;
        if (from->dtype == NN_U8 && to->dtype == NN_F32) { /* images */
            float s = (float)scale;
            for (int64_t k = 0; k < row; k++) ((float *)(void *)dst)[k] = (float)((const uint8_t *)src)[k] * s;
        } else {
            nn__convert(to->dtype, dst, 1, from->dtype, src, 1, row);
            if (scale != 1 && nn__is_real(to->dtype))
                for (int64_t k = 0; k < row; k++) nn__store(to->dtype, dst, k, nn__load(to->dtype, dst, k) * scale);
        }
    }
}
/* Rows of the samples' x */
static int nn__gather_x(nn_data *d, nn_tensor *to, const int64_t *index, int64_t n) {
    nn__samples *a = d->samples;
    if (!a->stream) return nn__gather_rows(to, a->x, index, n, a->scale), 1;
#if !defined(NN_NO_STDIO)
    for (int64_t i = 0; i < n; i++) { /* the window's rows, one by one */
        nn_tensor one = *to;
        int64_t   at = index[i] % a->stream->window;
        nn__storage st = *to->st;
        if (!nn__stream_load(a, index[i])) return 0;
        st.data = (char *)to->st->data + (size_t)(i * nn__row_size(to)) * nn__dtypes[to->dtype].size;
        one.st  = &st;
        nn__gather_rows(&one, a->x, &at, 1, a->scale);
    }
#endif
    return 1;
}
static nn_dtype nn__batch_dtype(const nn_tensor *x, int target) {
    if (nn__is_real(x->dtype)) return x->dtype;
    return target && nn__is_class(x) ? NN_I32 : NN_F32;
}
static nn_tensor *nn__batch_room(nn_data *d, const nn_tensor *from, int target) {
    nn_shape s = nn_shape_of(from);
    s.dim[0] = nn__min64(d->batch, d->n);
    return nn__kept_new(d->ctx, nn__batch_dtype(from, target), s.ndim, s.dim, NULL);
}

/* The header and the bytes stay, but it is another tensor now: of another size perhaps, and without a gradient. */
static void nn__new_batch(nn_tensor *x, int64_t n) {
    nn__grad_release(x);
    x->needs_grad = x->retain = 0;
    x->size[0]    = n;
    x->st->version++;
}

/* A new epoch: its order is a function of seed, data set and epoch */
static void nn__epoch_begin(nn_data *d) {
    nn__rng r;
    r.seed = nn__mix(d->ctx->config.seed + d->id * 0x9e3779b97f4a7c15u); r.stream = 0xfffffffeu; r.step = (uint32_t)d->epoch++;
    for (int64_t i = 0; i < d->n; i++) d->order[i] = d->index[i];
    if (d->shuffle && d->samples->stream) nn__stream_order(d, r);
    else if (d->shuffle) nn__shuffle(r, d->order, d->n);
    d->at      = 0;
    d->running = 1;
}
NN_API int nn_data_next(nn_data *d, nn_batch *b) {
    nn_ctx *c = d ? d->ctx : NULL;
    int64_t n;
    if (b) memset(b, 0, sizeof *b);
    if (!d || !nn__ok_arg(c, "data_next", b, "the batch")) return 0;
    if (c->plan) return nn__fail(c, NULL, NN__M_PLAN_HOST, "data_next");
    if (c->shape_only) return nn__fail(c, "data_next", NN__M_NO_DATA, "read");
    if (!d->running) nn__epoch_begin(d);
    n = nn__min64(d->batch, d->n - d->at);
    if (n <= 0 || (d->drop_last && n < d->batch)) {
        d->running = 0;
        return 0;
    }
    if (!d->bx) d->bx = nn__batch_room(d, d->samples->x, 0);
    if (!d->by && d->bx) d->by = nn__batch_room(d, d->samples->y, 1);
    if (!d->by) return 0;
    nn__new_batch(d->bx, n);
    nn__new_batch(d->by, n);
    if (!nn__gather_x(d, d->bx, d->order + d->at, n)) return 0;
    nn__gather_rows(d->by, d->samples->y, d->order + d->at, n, 1);
    b->x     = d->bx;
    b->y     = d->by;
    b->n     = n;
    b->index = d->order + d->at;
    d->at += n;
    return 1;
}

static nn_tensor *nn__data_rows(nn_data *d, int64_t from, int64_t n, int target) {
    const nn_tensor *all = d ? (target ? d->samples->y : d->samples->x) : NULL;
    nn_tensor       *x;
    nn_shape         s;
    if (!d || !nn__ok(d->ctx)) return NULL;
    if (n == NN_TO_END && from >= 0 && from <= d->n) n = d->n - from;
    if (from < 0 || n < 0 || n > d->n - from) return nn__fail(d->ctx, "data", NN__M_INDEX, (long long)(from < 0 || from > d->n || n < 0 || n > d->n ? from : from + n), 0, (long long)d->n), (nn_tensor *)NULL;
    s        = nn_shape_of(all);
    s.dim[0] = n;
    x        = nn__tensor(d->ctx, "data", nn__batch_dtype(all, target), s);
    if (x && x->st->data && target) nn__gather_rows(x, all, d->index + from, n, 1);
    else if (x && x->st->data && !nn__gather_x(d, x, d->index + from, n)) return NULL;
    return x;
}
NN_API nn_tensor *nn_data_x(nn_data *d, int64_t from, int64_t n) { return nn__data_rows(d, from, n, 0); }
NN_API nn_tensor *nn_data_y(nn_data *d, int64_t from, int64_t n) { return nn__data_rows(d, from, n, 1); }

/* -- scaling: two buffers of a model, from data -- */
static int nn__by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}
static double nn__quantile(const double *sorted, int64_t n, double q) { /* between neighbours in proportion, as NumPy's */
    double  at = q * (double)(n - 1);
    int64_t i = (int64_t)at;
    return i + 1 < n ? sorted[i] + (at - (double)i) * (sorted[i + 1] - sorted[i]) : sorted[n - 1];
}
static void nn__scale_of(double *v, int64_t n, nn_scaling how, double *shift, double *scale) {
    double low = v[0], high = v[0], mean = 0, var = 0;
    for (int64_t i = 0; i < n; i++) { mean += v[i]; low = v[i] < low ? v[i] : low; high = v[i] > high ? v[i] : high; }
    mean /= (double)n;
    for (int64_t i = 0; i < n; i++) var += (v[i] - mean) * (v[i] - mean);
    *shift = how == NN_SCALE_STANDARD ? mean : low;
    *scale = how == NN_SCALE_STANDARD ? sqrt(var / (double)n) : high - low;
    if (how == NN_SCALE_ROBUST) {
        qsort(v, (size_t)n, sizeof *v, nn__by_value);
        *shift = nn__quantile(v, n, 0.5);
        *scale = nn__quantile(v, n, 0.75) - nn__quantile(v, n, 0.25);
    }
    if (!(*scale > 0)) *scale = 1; /* a feature that is always the same */
}
static nn_tensor *nn__scale_buffer(nn_model *m, const char *name, const char *part, int64_t features) {
    nn__text t, u;
    char     path[600];
    nn_tensor *x;
    snprintf(path, sizeof path, "%.500s.%s", name, part);
    x = nn_model_tensor(m, m->ctx, path);
    if (x && (x->ndim != 1 || x->size[0] != features)) return nn__fail(m->ctx, NULL, NN__M_NAME_SHAPE, path, nn__shape_text(&t, x->ndim, x->size), nn__shape_text(&u, 1, &features)), (nn_tensor *)NULL;
    return x;
}
static int nn__scale_fit(nn_model *m, const char *name, nn_data *d, nn_scaling how, int target) {
    nn_ctx    *c = m ? m->ctx : NULL;
    nn_tensor *all, *shift, *scale, *row;
    int64_t    features, each, n;
    double    *v;
    size_t     bytes;
    if (!m || !nn__ok_arg(c, "scale_fit", name, "name") || !nn__ok_arg(c, "scale_fit", d, "the data")) return 0;
    if (d->ctx != c) return nn__fail(c, "scale_fit", NN__M_OBJECT_CONTEXT, "the data");
    if ((unsigned)how > NN_SCALE_ROBUST) return nn__fail(c, "scale_fit", NN__M_OPTION, "how", (double)how);
    if (!m->n || !nn_model_freeze(m)) return nn__fail(c, "scale_fit", NN__M_MODEL_NOT_MADE);
    all      = target ? d->samples->y : d->samples->x;
    if (target && nn__is_class(all)) return nn__fail(c, "scale_fit", NN__M_RULE, name, "the targets are classes");
    features = all->ndim > 1 ? all->size[all->ndim - 1] : 1;
    shift    = nn__scale_buffer(m, name, "shift", features);
    scale    = shift ? nn__scale_buffer(m, name, "scale", features) : NULL;
    if (!scale || c->shape_only) return scale != NULL;
    each  = features ? nn__row_size(all) / features : 0; /* values of a feature in one sample */
    n     = d->n * each;
    bytes = (size_t)(n * features + 1) * sizeof *v;
    v     = (double *)nn__alloc(c, bytes);
    if (!v) return 0;
    for (int64_t i = 0, k = 0; i < d->n && !c->error; i++) { /* feature by feature */
        nn__mark mark = nn__arena_mark(c);
        row = nn__data_rows(d, i, 1, target);
        for (int64_t e = 0; row && e < each; e++, k++)
            for (int64_t j = 0; j < features; j++) v[j * n + k] = nn__load(row->dtype, row->st->data, e * features + j);
        nn__arena_rewind(c, mark);
    }
    for (int64_t j = 0; j < features && n && !c->error; j++) {
        double  a, b;
        int64_t known = 0;
        for (int64_t k = 0; k < n; k++)
            if (v[j * n + k] == v[j * n + k]) v[j * n + known++] = v[j * n + k]; /* NaN: missing */
        if (!known) continue;
        nn__scale_of(v + j * n, known, how, &a, &b);
        nn__store(shift->dtype, nn__data(shift), j, a);
        nn__store(scale->dtype, nn__data(scale), j, b);
    }
    shift->st->version++;
    scale->st->version++;
    nn__free(c, v, bytes);
    return !c->error;
}
NN_API int nn_scale_fit(nn_model *m, const char *name, nn_data *d, nn_scaling how) { return nn__scale_fit(m, name, d, how, 0); }
NN_API int nn_scale_fit_target(nn_model *m, const char *name, nn_data *d, nn_scaling how) { return nn__scale_fit(m, name, d, how, 1); }

/* ---- >>files ----------------------------------------------------------------------------------------
   safetensors: 8 bytes length of the header, the header as JSON ({"name": {"dtype": "F32", "shape": [2,3],
   "data_offsets": [0,24]}, ...}), the data. The reader trusts nothing: every length is checked before it is used. */
typedef struct nn__entry { const char *name; nn_dtype dtype; nn_shape shape; size_t begin; int used; } nn__entry;
struct nn_file {
    nn__object object;
    nn_ctx    *ctx;
    char      *bytes; /* a copy; names are decoded in place */
    size_t     size, data; /* of the whole, and where the tensors' bytes begin */
    uint64_t   used;       /* bytes that tensors lay claim to */
    nn__entry *entry;
    int64_t    n, room;
    char      *names; /* npz: its list's, apart */
    size_t     names_size;
    char       path[200];
};
static const struct nn__file_dtype { const char *name; nn_dtype dtype; } nn__file_dtypes[] = {
    {"F32", NN_F32}, {"F64", NN_F64}, {"F16", NN_F16}, {"BF16", NN_BF16}, {"I8", NN_I8}, {"U8", NN_U8}, {"I32", NN_I32}, {"I64", NN_I64}, {"BOOL", NN_U8}};

typedef struct nn__json { char *p, *end; } nn__json;

static void nn__json_space(nn__json *j) {
    while (j->p < j->end && (*j->p == ' ' || *j->p == '\n' || *j->p == '\t' || *j->p == '\r')) j->p++;
}

static int nn__json_at(nn__json *j, char ch) { /* skips spaces; takes ch if it is next */
    nn__json_space(j);
    if (j->p >= j->end || *j->p != ch) return 0;
    j->p++;
    return 1;
}

static int nn__json_hex(const char *s, unsigned *value) {
    *value = 0;
    for (int i = 0; i < 4; i++) {
        char ch = s[i];
        int  d = ch >= '0' && ch <= '9' ? ch - '0' : ch >= 'a' && ch <= 'f' ? ch - 'a' + 10 : ch >= 'A' && ch <= 'F' ? ch - 'A' + 10 : -1;
        if (d < 0) return 0;
        *value = *value * 16 + (unsigned)d;
    }
    return 1;
}

/* A string, decoded in place (it never grows) and closed by a 0 in the place of its quote. */
static char *nn__json_string(nn__json *j) {
    char *out, *start;
    if (!nn__json_at(j, '"')) return NULL;
    start = out = j->p;
    while (j->p < j->end && *j->p != '"') {
        unsigned u, low;
        if ((unsigned char)*j->p < 0x20) return NULL;
        if (*j->p != '\\') { *out++ = *j->p++; continue; }
        if (j->end - j->p < 2) return NULL;
        j->p++;
        switch (*j->p++) {
        case '"': *out++ = '"'; break;
        case '\\': *out++ = '\\'; break;
        case '/': *out++ = '/'; break;
        case 'b': *out++ = '\b'; break;
        case 'f': *out++ = '\f'; break;
        case 'n': *out++ = '\n'; break;
        case 'r': *out++ = '\r'; break;
        case 't': *out++ = '\t'; break;
        case 'u':
            if (j->end - j->p < 4 || !nn__json_hex(j->p, &u)) return NULL;
            j->p += 4;
            if (u >= 0xd800 && u < 0xdc00) { /* a surrogate pair */
                if (j->end - j->p < 6 || j->p[0] != '\\' || j->p[1] != 'u' || !nn__json_hex(j->p + 2, &low) || low < 0xdc00 || low > 0xdfff) return NULL;
                j->p += 6;
                u = 0x10000 + ((u - 0xd800) << 10) + (low - 0xdc00);
            }
            else if (u == 0 || (u >= 0xdc00 && u < 0xe000)) return NULL;
            if (u < 0x80) *out++ = (char)u;
            else {
                if (u < 0x800) *out++ = (char)(0xc0 | (u >> 6));
                else {
                    if (u < 0x10000) *out++ = (char)(0xe0 | (u >> 12));
                    else { *out++ = (char)(0xf0 | (u >> 18)); *out++ = (char)(0x80 | ((u >> 12) & 63)); }
                    *out++ = (char)(0x80 | ((u >> 6) & 63));
                }
                *out++ = (char)(0x80 | (u & 63));
            }
            break;
        default: return NULL;
        }
    }
    if (j->p >= j->end) return NULL;
    j->p++;
    *out = 0;
    return start;
}

static int nn__json_size(nn__json *j, uint64_t *value) { /* a whole number from 0 on */
    int any = 0;
    nn__json_space(j);
    *value = 0;
    for (; j->p < j->end && *j->p >= '0' && *j->p <= '9'; j->p++, any = 1) {
        if (*value > (UINT64_MAX >> 1) / 10 - 1) return 0;
        *value = *value * 10 + (uint64_t)(*j->p - '0');
    }
    return any;
}

static int nn__json_sizes(nn__json *j, uint64_t *list, int most, int *n) { /* [1, 2, 3] */
    *n = 0;
    if (!nn__json_at(j, '[')) return 0;
    if (nn__json_at(j, ']')) return 1;
    do {
        if (*n == most || !nn__json_size(j, &list[*n])) return 0;
        ++*n;
    } while (nn__json_at(j, ','));
    return nn__json_at(j, ']');
}

static int nn__json_map_of_strings(nn__json *j) { /* __metadata__ */
    if (!nn__json_at(j, '{')) return 0;
    if (nn__json_at(j, '}')) return 1;
    do {
        if (!nn__json_string(j) || !nn__json_at(j, ':') || !nn__json_string(j)) return 0;
    } while (nn__json_at(j, ','));
    return nn__json_at(j, '}');
}

/* {"dtype": ..., "shape": ..., "data_offsets": ...}, and the entry added; NULL or what is wrong */
static const char *nn__file_entry(nn_file *f, nn__json *j, char *name) {
    uint64_t  shape[NN_MAX_DIMS], offsets[2] = {0, 0}, bytes = 1;
    int       ndim = -1, n_offsets = 0;
    nn_dtype  dtype = NN_DTYPES;
    nn__entry e;
    if (!nn__json_at(j, '{')) return "its header is not what it should be";
    do {
        char *key = nn__json_string(j), *type;
        if (!key || !nn__json_at(j, ':')) return "its header is not what it should be";
        if (!strcmp(key, "dtype")) {
            if (!(type = nn__json_string(j))) return "its header is not what it should be";
            for (size_t i = 0; i < sizeof nn__file_dtypes / sizeof *nn__file_dtypes; i++)
                if (!strcmp(type, nn__file_dtypes[i].name)) dtype = nn__file_dtypes[i].dtype;
            if (dtype == NN_DTYPES) return "it has a tensor of a dtype that nn.h does not know";
        } else if (!strcmp(key, "shape")) {
            if (!nn__json_sizes(j, shape, NN_MAX_DIMS, &ndim)) return "it has a tensor with a shape that nn.h cannot hold";
        } else if (!strcmp(key, "data_offsets")) {
            if (!nn__json_sizes(j, offsets, 2, &n_offsets)) return "its header is not what it should be";
        } else return "its header is not what it should be";
    } while (nn__json_at(j, ','));
    if (!nn__json_at(j, '}') || dtype == NN_DTYPES || ndim < 0 || n_offsets != 2) return "its header is not what it should be";
    memset(&e, 0, sizeof e);
    e.name       = name;
    e.dtype      = dtype;
    e.shape.ndim = ndim;
    for (int i = 0; i < ndim; i++) {
        if (shape[i] && bytes > (uint64_t)PTRDIFF_MAX / 16 / shape[i]) return "it has a tensor that is larger than memory";
        bytes *= shape[i];
        if (shape[i] > (uint64_t)PTRDIFF_MAX / 16) return "it has a tensor that is larger than memory";
        e.shape.dim[i] = (int64_t)shape[i];
    }
    bytes *= nn_dtype_size(dtype);
    if (offsets[0] > offsets[1] || offsets[1] > f->size - f->data || offsets[1] - offsets[0] != bytes) return "a tensor's place or length does not fit the file";
    e.begin = f->data + (size_t)offsets[0];
    f->used += bytes;
    for (int64_t i = 0; i < f->n && f->n < 4096; i++)
        if (!strcmp(f->entry[i].name, name)) return "it has two tensors of one name";
    if (!nn__grow(f->ctx, &f->entry, &f->room, f->n + 1, sizeof *f->entry)) return "out of memory";
    f->entry[f->n++] = e;
    return NULL;
}

static const char *nn__file_parse(nn_file *f) { /* NULL or what is wrong */
    nn__json j;
    uint64_t length = 0;
    if (f->size < 8) return "not a safetensors file";
    for (int i = 7; i >= 0; i--) length = length << 8 | (unsigned char)f->bytes[i];
    if (length > f->size - 8) return "not a safetensors file, or cut short";
    f->data = 8 + (size_t)length;
    j.p     = f->bytes + 8;
    j.end   = f->bytes + f->data;
    if (!nn__json_at(&j, '{')) return "its header is not what it should be";
    if (!nn__json_at(&j, '}')) {
        do {
            char       *name = nn__json_string(&j);
            const char *wrong;
            if (!name || !nn__json_at(&j, ':')) return "its header is not what it should be";
            if (!strcmp(name, "__metadata__")) {
                if (!nn__json_map_of_strings(&j)) return "its header is not what it should be";
            } else if ((wrong = nn__file_entry(f, &j, name)) != NULL) return wrong;
        } while (nn__json_at(&j, ','));
        if (!nn__json_at(&j, '}')) return "its header is not what it should be";
    }
    nn__json_space(&j);
    if (j.p != j.end) return "its header is not what it should be";
    return f->used == f->size - f->data ? NULL : "its tensors leave gaps, overlap, or end before the file does";
}

static nn__entry *nn__file_find(nn_file *f, const char *name) {
    for (int64_t i = 0; i < f->n; i++)
        if (!strcmp(f->entry[i].name, name)) return &f->entry[i];
    return NULL;
}
/* -- npy, and npz: a zip archive of npy files -- */
/* One npy of n bytes at `at` becomes an entry. NULL or what is wrong */
static const char *nn__npy_entry(nn_file *f, size_t at, size_t n, const char *name) {
    nn__npy     y;
    const char *wrong = nn__npy_parse(f->bytes + at, n, &y);
    nn__entry  *e;
    if (wrong) return wrong;
    if (n - y.data != nn__npy_bytes(&y)) return "its length is not what its header says";
    if (nn__file_find(f, name)) return "two tensors have one name";
    if (!nn__grow(f->ctx, &f->entry, &f->room, f->n + 1, sizeof *f->entry)) return "out of memory";
    if (y.fortran && !nn__npy_turn(f->ctx, &y, f->bytes + at + y.data)) return "out of memory";
    e = &f->entry[f->n++];
    memset(e, 0, sizeof *e);
    e->name = name; e->dtype = y.dtype; e->shape = y.shape; e->begin = at + y.data;
    return NULL;
}
static uint64_t nn__little(const char *p, int n) {
    uint64_t v = 0;
    while (n--) v = v << 8 | (unsigned char)p[n];
    return v;
}
static uint32_t nn__crc32(uint32_t crc, const void *data, size_t n) { /* of zip; four bits at a time */
    static const uint32_t table[16] = {0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4, 0x4db26158, 0x5005713c,
                                       0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c, 0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c};
    const unsigned char *p = (const unsigned char *)data;
    crc = ~crc;
    for (size_t i = 0; i < n; i++) {
        crc ^= p[i];
        crc = crc >> 4 ^ table[crc & 15];
        crc = crc >> 4 ^ table[crc & 15];
    }
    return ~crc;
}
/* The list of a zip archive stands at its end; names become strings in place, over the lengths that were read before them. */
static const char *nn__npz_parse(nn_file *f) {
    char    *p = f->bytes, *names;
    size_t   end, at, size, count, taken = 0;
    if (f->size < 22) return "not a zip archive";
    for (end = f->size - 22; memcmp(p + end, "PK\5\6", 4) || end + 22 + nn__little(p + end + 20, 2) != f->size; end--)
        if (end == 0 || f->size - end > 22 + 65535) return "the list of the zip archive is missing: cut short?";
    count = (size_t)nn__little(p + end + 10, 2);
    size  = (size_t)nn__little(p + end + 12, 4);
    at    = (size_t)nn__little(p + end + 16, 4);
    if (at > end || size > end - at) return "the list of the zip archive is not where it should be";
    f->names = (char *)nn__alloc(f->ctx, size + 1);
    if (!f->names) return "out of memory";
    f->names_size = size + 1;
    names = f->names;
    for (size_t i = 0, left = size; i < count; i++) {
        size_t      name, more, local, n;
        char       *own;
        const char *wrong;
        if (left < 46 || memcmp(p + at, "PK\1\2", 4)) return "the list of the zip archive is broken";
        name  = (size_t)nn__little(p + at + 28, 2);
        more  = (size_t)nn__little(p + at + 30, 2) + (size_t)nn__little(p + at + 32, 2);
        n     = (size_t)nn__little(p + at + 24, 4);
        local = (size_t)nn__little(p + at + 42, 4);
        if (left - 46 < name + more) return "the list of the zip archive is broken";
        if (nn__little(p + at + 8, 2) & 1) return "the archive is encrypted";
        if (nn__little(p + at + 10, 2) != 0) return "the archive is compressed: numpy.savez writes one that is not";
        if (nn__little(p + at + 20, 4) != n || n == 0xffffffffu || local == 0xffffffffu) return "arrays of 4 GB and more in a zip archive are not read";
        if (local > f->size || f->size - local < 30 || memcmp(p + local, "PK\3\4", 4)) return "an array of the zip archive is not where it should be";
        local += 30 + (size_t)nn__little(p + local + 26, 2) + (size_t)nn__little(p + local + 28, 2);
        if (local > f->size || n > f->size - local) return "an array of the zip archive is cut short";
        f->used += n;
        if (f->used > f->size) return "arrays of the zip archive overlap";
        if (nn__crc32(0, p + local, n) != (uint32_t)nn__little(p + at + 16, 4)) return "an array of the zip archive is damaged: its check sum is wrong";
        own = names + taken;
        memcpy(own, p + at + 46, name);
        taken += name + 1; /* there is room: each name has 46 bytes before it */
        own[name >= 4 && !memcmp(own + name - 4, ".npy", 4) ? name - 4 : name] = 0;
        wrong = nn__npy_entry(f, local, n, own);
        if (wrong) return wrong;
        at += 46 + name + more;
        left -= 46 + name + more;
    }
    return NULL;
}
static const char *nn__file_parse_any(nn_file *f) {
    if (f->size >= 6 && !memcmp(f->bytes, "\x93NUMPY", 6)) return nn__npy_entry(f, 0, f->size, "arr_0"); /* as NumPy names what has no name */
    if (f->size >= 4 && (!memcmp(f->bytes, "PK\3\4", 4) || !memcmp(f->bytes, "PK\5\6", 4))) return nn__npz_parse(f);
    return nn__file_parse(f);
}

static void nn__file_free(nn_file *f) { /* one that is in no ring: a model's waiting file */
    nn__file_forget(f->ctx, f->bytes, f->size);
    nn__free(f->ctx, f->names, f->names_size);
    nn__free(f->ctx, f->entry, (size_t)f->room * sizeof *f->entry);
    nn__free(f->ctx, f, sizeof *f);
}
NN_API void nn_file_close(nn_file *f) {
    if (!f) return;
    nn__object_remove(f->ctx, &f->object);
    nn__file_free(f);
}
static void nn__file_destroy(nn__object *o) { nn_file_close((nn_file *)((char *)o - offsetof(nn_file, object))); }

static nn_file *nn__file_take(nn_ctx *c, char *bytes, size_t size, const char *path) { /* takes bytes over */
    nn_file    *f = bytes ? (nn_file *)nn__alloc_zero(c, sizeof *f) : NULL;
    const char *wrong;
    if (!f) {
        if (bytes) nn__file_forget(c, bytes, size);
        return NULL;
    }
    f->ctx = c; f->bytes = bytes; f->size = size;
    snprintf(f->path, sizeof f->path, "%.190s", path);
    nn__object_add(c, &f->object, nn__file_destroy);
    wrong = nn__file_parse_any(f);
    if (!wrong) return f;
    nn__fail(c, "load", NN__M_FORMAT, f->path, wrong);
    nn_file_close(f);
    return NULL;
}
NN_API nn_file *nn_file_open(nn_ctx *c, const char *path) {
    size_t size = 0;
    char  *bytes = nn__ok(c) ? (char *)nn__read_file(c, path, &size) : NULL;
    return bytes ? nn__file_take(c, bytes, size, path) : NULL;
}
NN_API nn_file *nn_file_memory(nn_ctx *c, const void *bytes, size_t size) {
    char *copy;
    if (!nn__ok_arg(c, "file", bytes, "bytes")) return NULL;
    copy = (char *)nn__alloc(c, size < SIZE_MAX ? size + 1 : size);
    if (!copy) return NULL;
    memcpy(copy, bytes, size);
    copy[size] = 0;
    return nn__file_take(c, copy, size, "safetensors data");
}
NN_API int         nn_file_count(const nn_file *f) { return f ? (int)f->n : 0; }
NN_API const char *nn_file_name(const nn_file *f, int i) { return f && i >= 0 && i < f->n ? f->entry[i].name : NULL; }
NN_API nn_shape    nn_file_shape(const nn_file *f, int i) { return f && i >= 0 && i < f->n ? f->entry[i].shape : nn__shape_none(); }
NN_API nn_dtype    nn_file_dtype(const nn_file *f, int i) { return f && i >= 0 && i < f->n ? f->entry[i].dtype : NN_F32; }

NN_API nn_tensor *nn_file_tensor(nn_file *f, const char *name) {
    nn__entry *e;
    nn_tensor *x;
    if (!f || !nn__ok_arg(f->ctx, "file_tensor", name, "name")) return NULL;
    e = nn__file_find(f, name);
    if (!e) return nn__fail(f->ctx, "file_tensor", NN__M_NAME_MISSING, name), (nn_tensor *)NULL;
    x = nn__tensor(f->ctx, "file_tensor", e->dtype, e->shape);
    if (x && x->st->data && x->st->bytes) memcpy(x->st->data, f->bytes + e->begin, x->st->bytes);
    return x;
}

/* -- writing -- */
typedef struct nn__named { const char *prefix, *name, *suffix; nn_tensor *x; } nn__named;

#if !defined(NN_NO_STDIO)
static void nn__json_put(nn__out *o, const char *s) {
    for (; *s; s++) {
        if (*s == '"' || *s == '\\') nn__put(o, "\\%c", *s);
        else if ((unsigned char)*s < 0x20) nn__put(o, "\\u%04x", (unsigned)(unsigned char)*s);
        else nn__put(o, "%c", *s);
    }
}
static void nn__file_header(nn__out *o, const nn__named *list, int64_t n) {
    size_t at = 0;
    nn__put(o, "{");
    for (int64_t i = 0; i < n; i++) {
        nn_tensor *x = list[i].x;
        size_t     bytes = (size_t)nn_numel(x) * nn_dtype_size(x->dtype);
        nn__put(o, i ? ",\"" : "\"");
        nn__json_put(o, list[i].prefix);
        nn__json_put(o, list[i].name);
        nn__json_put(o, list[i].suffix);
        nn__put(o, "\":{\"dtype\":\"%s\",\"shape\":[", nn__file_dtypes[x->dtype].name);
        for (int d = 0; d < x->ndim; d++) nn__put(o, d ? ",%lld" : "%lld", (long long)x->size[d]);
        nn__put(o, "],\"data_offsets\":[%llu,%llu]}", (unsigned long long)at, (unsigned long long)(at + bytes));
        at += bytes;
    }
    nn__put(o, "}");
    while (o->n % 8) nn__put(o, " ");
}
static int nn__ends_with(const char *s, const char *end) { return strlen(s) >= strlen(end) && !strcmp(s + strlen(s) - strlen(end), end); }
/* The header of an npy file, as NumPy pads it; its length, always below 256 */
static size_t nn__npy_header(const nn_tensor *x, char *to) {
    char   text[256];
    size_t n, i = 0;
    while (nn__npy_types[i].dtype != x->dtype) i++;
    n = (size_t)snprintf(text, sizeof text, "{'descr': '%c%s', 'fortran_order': False, 'shape': (", nn__dtypes[x->dtype].size == 1 ? '|' : '<', nn__npy_types[i].name);
    for (int d = 0; d < x->ndim; d++) n += (size_t)snprintf(text + n, sizeof text - n, d ? " %lld%s" : "%lld%s", (long long)x->size[d], d + 1 < x->ndim || x->ndim == 1 ? "," : "");
    n += (size_t)snprintf(text + n, sizeof text - n, "), }");
    if (x->ndim) n += (size_t)snprintf(text + n, sizeof text - n, "%*s", 21 - snprintf(NULL, 0, "%lld", (long long)x->size[0]), ""); /* room for the first size to grow */
    while ((10 + n + 1) % 64) text[n++] = ' ';
    text[n++] = '\n';
    memcpy(to, "\x93NUMPY\1\0", 8);
    to[8] = (char)(n & 255); to[9] = (char)(n >> 8);
    memcpy(to + 10, text, n);
    return 10 + n;
}
static void nn__little_put(char *p, uint64_t v, int n) {
    for (int i = 0; i < n; i++) p[i] = (char)(v >> (8 * i) & 255);
}
/* A zip archive, not compressed: each array with a head of its own, the same heads again as the list, the list's place. One array without all that: npy. */
static int nn__npz_put(nn_ctx *c, FILE *f, const nn__named *list, int64_t n, int zip) {
    uint64_t at = 0, start;
    size_t   bytes = (size_t)n * sizeof(uint64_t) * 2 + 1;
    uint64_t *where = (uint64_t *)nn__alloc(c, bytes); /* of each: place, check sum */
    int      fine = where != NULL;
    for (int pass = 0; pass < 1 + zip && fine; pass++) {
        start = at;
        for (int64_t i = 0; i < n && fine; i++) {
            nn_tensor *x = nn_contiguous(nn_detach(list[i].x));
            char       head[256], local[46];
            size_t     data = x ? (size_t)nn_numel(x) * nn_dtype_size(x->dtype) : 0, size, h = pass ? 46 : 30, name = strlen(list[i].prefix) + strlen(list[i].name) + strlen(list[i].suffix) + 4;
            if (!x) { fine = 0; break; }
            size = nn__npy_header(x, head);
            if (zip) {
                if (!pass) where[2 * i] = at;
                if (!pass) where[2 * i + 1] = nn__crc32(nn__crc32(0, head, size), nn__data(x), data);
                memset(local, 0, sizeof local);
                memcpy(local, pass ? "PK\1\2\24\0\24" : "PK\3\4\24", pass ? 7 : 5);
                nn__little_put(local + h - (pass ? 32 : 18), (1 << 5) + 1, 2); /* the first of January 1980 */
                nn__little_put(local + h - (pass ? 30 : 16), where[2 * i + 1], 4);
                nn__little_put(local + h - (pass ? 26 : 12), size + data, 4);
                nn__little_put(local + h - (pass ? 22 : 8), size + data, 4);
                nn__little_put(local + h - (pass ? 18 : 4), name, 2);
                if (pass) nn__little_put(local + 42, where[2 * i], 4);
                fine = name < 65536 && at + size + data < 0xffffffffu && fwrite(local, 1, h, f) == h && fputs(list[i].prefix, f) >= 0 && fputs(list[i].name, f) >= 0 && fputs(list[i].suffix, f) >= 0 &&
                       fputs(".npy", f) >= 0;
                at += h + name;
            }
            if (pass) continue;
            fine = fine && fwrite(head, 1, size, f) == size && (!data || fwrite(nn__data(x), 1, data, f) == data);
            at += size + data;
        }
        if (pass && fine) {
            char end[22] = {'P', 'K', 5, 6, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
            nn__little_put(end + 8, (uint64_t)n, 2);
            nn__little_put(end + 10, (uint64_t)n, 2);
            nn__little_put(end + 12, at - start, 4);
            nn__little_put(end + 16, start, 4);
            fine = n < 65536 && fwrite(end, 1, 22, f) == 22;
        }
    }
    nn__free(c, where, bytes);
    return fine;
}
typedef struct nn__file_job { nn_ctx *ctx; const nn__out *header; const nn__named *list; int64_t n; int zip; } nn__file_job; /* zip: 1 npz, -1 npy, 0 safetensors */
static int nn__file_put(FILE *f, void *arg) {
    nn__file_job *job = (nn__file_job *)arg;
    char          length[8];
    if (job->zip) return nn__npz_put(job->ctx, f, job->list, job->n, job->zip > 0);
    nn__little_put(length, job->header->n, 8);
    if (fwrite(length, 1, 8, f) != 8 || fwrite(job->header->text, 1, job->header->n, f) != job->header->n) return 0;
    for (int64_t i = 0; i < job->n; i++) {
        nn_tensor *x = nn_contiguous(nn_detach(job->list[i].x));
        size_t     bytes = x ? (size_t)nn_numel(x) * nn_dtype_size(x->dtype) : 0;
        if (!x || (bytes && fwrite(nn__data(x), 1, bytes, f) != bytes)) return 0;
    }
    return 1;
}
/* To a file beside the old one, which then takes its place in one step: whatever happens, one of the two is there and whole. */
static int nn__replace_file(nn_ctx *c, const char *op, const char *path, int (*put)(FILE *f, void *arg), void *arg) {
    size_t length = strlen(path) + 16;
    char  *beside = (char *)nn__alloc(c, length);
    FILE  *f;
    int    fine = 0;
    if (!beside) return 0;
    snprintf(beside, length, "%s.partial", path);
    f = fopen(beside, "wb");
    if (!f) nn__fail(c, op, NN__M_FILE_WRITE, path, "the folder is missing or not writable");
    else {
        fine = put(f, arg) && fflush(f) == 0 && !ferror(f);
        fine = fclose(f) == 0 && fine;
#if defined(_WIN32)
        if (fine) remove(path); /* there, rename does not replace */
#endif
        fine = fine && rename(beside, path) == 0;
        if (!fine) {
            remove(beside);
            nn__fail(c, op, NN__M_FILE_WRITE, path, "no space, or the file is protected");
        }
    }
    nn__free(c, beside, length);
    return fine;
}
static int nn__put_text(FILE *f, void *arg) { return fwrite(((nn__out *)arg)->text, 1, ((nn__out *)arg)->n, f) == ((nn__out *)arg)->n; }
#endif

static int nn__file_write(nn_ctx *c, const char *path, const nn__named *list, int64_t n) {
#if !defined(NN_NO_STDIO)
    nn__out      header = {NULL, 0, 0};
    nn__file_job job;
    int          fine;
    job.ctx = c; job.header = &header; job.list = list; job.n = n; job.zip = nn__ends_with(path, ".npz");
    if (!job.zip && nn__ends_with(path, ".npy")) {
        if (n != 1) return nn__fail(c, "save", NN__M_FORMAT, path, "an npy file holds one tensor; npz several");
        job.zip = -1;
    }
    for (int64_t i = 0; i < n; i++)
        if (job.zip && list[i].x->dtype == NN_BF16) return nn__fail(c, "save", NN__M_FORMAT, path, "NumPy has no bf16");
    nn__file_header(&header, list, n); /* first only to know how long it is */
    header.size = header.n + 1;
    header.text = (char *)nn__alloc(c, header.size);
    header.n    = 0;
    if (!header.text) return 0;
    nn__file_header(&header, list, n);
    fine = nn__replace_file(c, "save", path, nn__file_put, &job);
    nn__free(c, header.text, header.size);
    return fine;
#else
    (void)path; (void)list; (void)n;
    return nn__fail(c, "save", NN__M_FILE_NONE);
#endif
}

NN_API int nn_file_write(nn_ctx *c, const char *path, const char *const *names, nn_tensor **tensors, int n) {
    nn__named *list;
    int        fine = 1;
    if (!nn__ok_arg(c, "save", path, "path") || !nn__ok_arg(c, "save", names, "names") || !nn__ok_arg(c, "save", tensors, "tensors")) return 0;
    list = (nn__named *)nn__alloc(c, (size_t)(n > 0 ? n : 1) * sizeof *list);
    if (!list) return 0;
    for (int i = 0; i < n && fine; i++) {
        list[i].prefix = list[i].suffix = "";
        list[i].name   = names[i];
        list[i].x      = tensors[i];
        fine = nn__ok_arg(c, "save", names[i], "a name") && nn__ok_arg(c, "save", tensors[i], "a tensor") && nn__ok_host("save", tensors[i]);
        for (int k = 0; k < i && fine; k++)
            if (!strcmp(names[k], names[i])) fine = nn__fail(c, "save", NN__M_FORMAT, path, "two tensors would have one name");
    }
    fine = fine && nn__file_write(c, path, list, n);
    nn__free(c, list, (size_t)(n > 0 ? n : 1) * sizeof *list);
    return fine;
}

/* The model's tensors, and, with an optimiser, its state: "optim.fc1.weight.m", ".v", ".steps", and "optim.step". */
static int nn__save(nn_model *m, nn_optim *o, const char *path, const nn__named *more, int64_t more_n) { /* more: other tensors, beside them */
    nn_ctx    *c = m->ctx;
    nn__named *list;
    int64_t    room = m->n * 6 + 2 + more_n, n = 0;
    int        fine = 1;
    if (m->n == 0) return nn__fail(c, "save", NN__M_MODEL_NOT_MADE);
    if (!nn_model_freeze(m)) return 0;
    list = (nn__named *)nn__alloc_zero(c, (size_t)room * sizeof *list);
    if (!list) return 0;
    for (int i = 0; i < m->n && fine; i++) {
        nn__slot   none = {{NULL, NULL, NULL}, NULL, NULL}, *s = o && i < o->slots ? &o->slot[i] : &none;
        nn_tensor *part[6];
        static const char *const suffix[6] = {"", ".m", ".v", ".w", ".average", ".steps"};
        part[0] = nn__handle(c, m, i); part[4] = s->average; part[5] = s->own ? nn_slice(s->own, 0, NN__OWN_STEPS, NN__OWN_STEPS + 1, 1) : NULL;
        for (int k = 0; k < NN__MOMENTS; k++) part[1 + k] = s->moment[k];
        fine    = part[0] != NULL;
        for (int k = 0; k < 6; k++)
            if (part[k]) {
                list[n].prefix = k ? "optim." : "";
                list[n].name   = m->param[i]->path;
                list[n].suffix = suffix[k];
                list[n++].x    = part[k];
            }
    }
    if (o && fine) {
        double step = (double)o->step;
        list[n].prefix = "optim."; list[n].name = "step"; list[n].suffix = "";
        list[n].x = nn_from(c, &step, NN_F64, NN_SHAPE(1));
        fine = list[n++].x != NULL;
        if (o->lr.kind == NN__LR_PLATEAU && fine) {
            list[n].prefix = "optim."; list[n].name = "plateau"; list[n].suffix = "";
            list[n].x = nn_from(c, o->plateau, NN_F64, NN_SHAPE(3));
            fine = list[n++].x != NULL;
        }
    }
    for (int64_t i = 0; i < more_n; i++) list[n++] = more[i];
    fine = fine && nn__file_write(c, path, list, n);
    nn__free(c, list, (size_t)room * sizeof *list);
    return fine;
}
NN_API int nn_save(nn_model *m, const char *path) { return m && nn__ok_arg(m->ctx, "save", path, "path") && nn__save(m, NULL, path, NULL, 0); }
NN_API int nn_optim_save(nn_optim *o, const char *path) { return o && nn__ok_arg(o->ctx, "save", path, "path") && nn__save(o->model, o, path, NULL, 0); }

static int nn__entry_fits(nn_ctx *c, const nn__entry *e, const char *path, nn_shape s) {
    nn__text t, u;
    if (!nn__is_real(e->dtype)) return nn__fail(c, "load", NN__M_NAME_FITS_NOT, path, nn_dtype_name(e->dtype), "real");
    if (e->shape.ndim == s.ndim && (s.ndim == 0 || !memcmp(e->shape.dim, s.dim, (size_t)s.ndim * sizeof s.dim[0]))) return 1;
    return nn__fail(c, "load", NN__M_NAME_FITS_NOT, path, nn__text_of(&t, e->shape), nn__text_of(&u, s));
}
/* A file's data may lie at any address: through a small aligned buffer. */
static void nn__entry_copy(const nn_file *f, const nn__entry *e, nn_dtype to_type, void *to) {
    double  tile[128];
    size_t  es = nn__dtypes[e->dtype].size, ts = nn__dtypes[to_type].size;
    int64_t n = nn__count(e->shape.ndim, e->shape.dim), step = (int64_t)(sizeof tile / es);
    for (int64_t i = 0; i < n; i += step) {
        int64_t k = nn__min64(step, n - i);
        memcpy(tile, f->bytes + e->begin + (size_t)i * es, (size_t)k * es);
        nn__convert(to_type, (char *)to + (size_t)i * ts, 1, e->dtype, tile, 1, k);
    }
}
/* All parameters from the file, or the one named by `only`. Everything is checked before anything is changed. */
static int nn__model_fill(nn_model *m, nn_file *f, int only) {
    nn_ctx *c = m->ctx;
    for (int pass = 0; pass < 2; pass++) {
        for (int i = 0; i < m->n; i++) {
            nn__param *p = m->param[i];
            nn__entry *e = only < 0 || only == i ? nn__file_find(f, p->path) : NULL;
            if (only >= 0 && only != i) continue;
            if (!e) return nn__fail(c, "load", NN__M_NAME_MISSING, p->path);
            if (!nn__entry_fits(c, e, p->path, p->shape)) return 0;
            e->used = 1;
            if (!pass || !p->st.data) continue;
            nn__entry_copy(f, e, m->dtype, p->st.data);
            p->st.version++;
        }
        if (only < 0)
            for (int64_t i = 0; i < f->n; i++)
                if (!f->entry[i].used && strncmp(f->entry[i].name, "optim.", 6) && strncmp(f->entry[i].name, "fit.", 4) && !nn__fits("*num_batches_tracked", f->entry[i].name)) return nn__fail(c, "load", NN__M_NAME_LEFT, f->entry[i].name);
    }
    return 1;
}
static int nn__model_load(nn_model *m, nn_file *f) { /* takes f over */
    int fine;
    if (!f) return 0;
    if (!m->made) { /* the names are not known yet: wait for them */
        for (int pass = 0; pass < 2; pass++) /* run by hand: some are there already; check all of them first */
            for (int i = 0; i < m->n; i++) {
                nn__entry *e = nn__file_find(f, m->param[i]->path);
                if (!e) nn__fail(m->ctx, "load", NN__M_NAME_MISSING, m->param[i]->path);
                if (!e || !nn__entry_fits(m->ctx, e, m->param[i]->path, m->param[i]->shape)) return nn_file_close(f), 0;
                if (pass && m->param[i]->st.data) nn__model_fill(m, f, i);
            }
        if (m->waiting) nn__file_free(m->waiting);
        nn__object_remove(m->ctx, &f->object); /* the model's from now on */
        m->waiting = f;
        return 1;
    }
    fine = nn__model_fill(m, f, -1);
    nn_file_close(f);
    return fine;
}
NN_API int nn_load(nn_model *m, const char *path) { return m && nn__ok(m->ctx) && nn__model_load(m, nn_file_open(m->ctx, path)); }
NN_API int nn_load_memory(nn_model *m, const void *bytes, size_t size) { return m && nn__ok(m->ctx) && nn__model_load(m, nn_file_memory(m->ctx, bytes, size)); }

/* Parameter i's part of the optimiser: pass 0 checks, pass 1 copies. */
static int nn__slot_load(nn_optim *o, int i, nn_file *f, int pass) {
    static const char *const suffix[5] = {".m", ".v", ".w", ".average", ".steps"};
    char       name[600];
    nn_tensor *part[5];
    double    *own;
    snprintf(name, sizeof name, "optim.%s.steps", o->model->param[i]->path);
    if (!nn__slot_make(o, i)) return 0;
    own = (double *)nn__data(o->slot[i].own);
    for (int k = 0; k < NN__MOMENTS; k++) part[k] = o->slot[i].moment[k];
    part[3] = o->slot[i].average; part[4] = o->slot[i].own;
    if (pass) own[NN__OWN_STEPS] = own[NN__OWN_PRODUCT] = 0;
    if (!nn__file_find(f, name)) { /* it never had a gradient */
        for (int k = 0; k < 4; k++)
            if (pass && part[k]) nn__fill_data(part[k], 0);
        return 1;
    }
    for (int k = 0; k < 5; k++) {
        nn__entry *e;
        int64_t    one = 1;
        if (!part[k]) continue;
        snprintf(name, sizeof name, "optim.%s%s", o->model->param[i]->path, suffix[k]);
        e = nn__file_find(f, name);
        if (!e) return nn__fail(o->ctx, "load", NN__M_NAME_MISSING, name);
        if (!nn__entry_fits(o->ctx, e, name, k == 4 ? NN_SHAPE(one) : nn_shape_of(part[k]))) return 0;
        if (pass) nn__entry_copy(f, e, part[k]->dtype, part[k]->st->data);
        else if (k == 4) {
            double steps;
            nn__entry_copy(f, e, NN_F64, &steps);
            if (!(steps >= 0 && steps < 9e15)) return nn__fail(o->ctx, "load", NN__M_OPTION, name, steps);
        }
    }
    return 1;
}

NN_API int nn_optim_load(nn_optim *o, const char *path) {
    nn_ctx    *c = o ? o->ctx : NULL;
    nn_file   *f;
    nn__entry *e;
    int64_t    one = 1;
    int        fine;
    if (!o || !nn__ok(c)) return 0;
    if (!o->model->n || !nn_model_freeze(o->model)) return nn__fail(c, "load", NN__M_MODEL_NOT_MADE);
    f = nn_file_open(c, path);
    if (!f) return 0;
    e    = nn__file_find(f, "optim.step");
    fine = e ? nn__entry_fits(c, e, "optim.step", NN_SHAPE(one)) : nn__fail(c, "load", NN__M_NAME_MISSING, "optim.step");
    for (int pass = 0; pass < 2 && fine; pass++) { /* check all, then change */
        for (int i = 0; i < o->model->n && fine; i++) fine = nn__slot_load(o, i, f, pass);
        if (pass == 0) fine = fine && nn__model_fill(o->model, f, -1);
    }
    if (fine) {
        double step;
        nn__entry_copy(f, nn__file_find(f, "optim.step"), NN_F64, &step);
        o->step = step >= 0 && step < 9e15 ? (int64_t)step : 0;
        e = nn__file_find(f, "optim.plateau");
        if (e && e->dtype == NN_F64 && nn__count(e->shape.ndim, e->shape.dim) == 3) nn__entry_copy(f, e, NN_F64, o->plateau);
    }
    nn_file_close(f);
    return fine;
}

/* ---- >>train ----------------------------------------------------------------------------------------
   nn_fit is the loop that anyone could write with the functions above, with its reporting. */
NN_API nn_fit_options nn_fit_defaults(void) {
    nn_fit_options o;
    memset(&o, 0, sizeof o);
    return o;
}

/* What is compared with the targets: a function of the user's, or a loss by name */
typedef struct nn__criterion { nn_loss loss; const char *name; const nn_loss_options *options; } nn__criterion;
static int nn__of_classes(const nn__criterion *k) { return !k->name || !strcmp(k->name, "cross_entropy"); } /* a prediction has a logit for each, so there is an accuracy */
static nn_tensor *nn__criterion_of(const nn__criterion *k, nn_tensor *prediction, nn_tensor *target) {
    if (!prediction || !target) return NULL;
    return k->loss ? k->loss(prediction, target) : nn_loss_named(k->name ? k->name : nn__is_real(target->dtype) ? "mse" : "cross_entropy", prediction, target, k->options);
}

static nn_scores nn__evaluate(nn_model *m, nn_data *d, const nn__criterion *k) {
    nn_scores s = {0, 0, 0};
    nn_ctx   *c = d ? d->ctx : NULL;
    int       classes;
    s.loss = s.accuracy = NAN;
    if (!m || !d || !nn__ok(c)) return s;
    classes = nn__is_class(d->samples->y) && nn__of_classes(k);
    s.loss  = 0;
    s.accuracy = classes ? 0 : NAN;
    for (int64_t at = 0; at < d->n && !c->error; at += 256) { /* in order; the arena goes back after each piece */
        int64_t   n    = nn__min64(256, d->n - at);
        nn__mark  mark = nn__arena_mark(c);
        int       was  = nn_no_grad(c, 1);
        nn_tensor *y = nn_data_y(d, at, n), *p = nn_predict(m, nn_data_x(d, at, n)), *l = nn__criterion_of(k, p, y);
        s.loss += nn_item(l) * (double)n;
        if (classes && p) s.accuracy += nn_accuracy(p, y) * (double)n;
        nn_no_grad(c, was);
        nn__arena_rewind(c, mark);
    }
    s.n = d->n;
    s.loss /= (double)d->n;
    s.accuracy /= (double)d->n;
    if (c->error) s.loss = s.accuracy = NAN;
    return s;
}
NN_API nn_scores nn_evaluate(nn_model *m, nn_data *d, nn_loss loss) {
    nn__criterion k = {NULL, NULL, NULL};
    k.loss = loss;
    return nn__evaluate(m, d, &k);
}

NN_API nn_advice nn_recommend(nn_model *m) {
    nn_advice a = {0, 0};
    int64_t   n = nn_model_size(m);
    if (!m) return a;
    a.batch = n < 10000 ? 32 : n < 100000 ? 64 : n < 1000000 ? 128 : 256;
    a.lr    = n < 10000 ? 0.01f : n < 100000 ? 0.003f : n < 1000000 ? 0.001f : 0.0003f;
    return a;
}

/* -- the history: numbers an epoch, for the user, as JSON and as a picture -- */
enum { NN__CURVES = 4 };
typedef struct nn__history { nn__object object; nn_ctx *ctx; size_t size; } nn__history; /* followed by its numbers */
static void nn__history_destroy(nn__object *o) {
    nn__history *h = (nn__history *)((char *)o - offsetof(nn__history, object));
    nn__object_remove(h->ctx, &h->object);
    nn__free(h->ctx, h, h->size);
}
static double *nn__history_curve(const nn_history *h, int i) { return i == 0 ? h->loss : i == 1 ? h->accuracy : i == 2 ? h->valid_loss : i == 3 ? h->valid_accuracy : h->metric[i - NN__CURVES]; }
static const char *nn__history_name(const nn_history *h, int i) {
    static const char *const names[NN__CURVES] = {"loss", "accuracy", "valid_loss", "valid_accuracy"};
    return i < NN__CURVES ? names[i] : h->metric_name[i - NN__CURVES];
}
static int nn__history_new(nn_ctx *c, int epochs, nn_history *h) {
    int          curves = NN__CURVES + h->metrics;
    size_t       size = sizeof(nn__history) + (size_t)epochs * (size_t)curves * sizeof(double);
    nn__history *own  = (nn__history *)nn__alloc(c, size);
    double      *p;
    if (!own) return 0;
    own->ctx  = c;
    own->size = size;
    nn__object_add(c, &own->object, nn__history_destroy);
    p = (double *)(void *)(own + 1);
    h->loss = p; h->accuracy = p + epochs; h->valid_loss = p + 2 * epochs; h->valid_accuracy = p + 3 * epochs;
    for (int i = 0; i < h->metrics; i++) h->metric[i] = p + (NN__CURVES + i) * epochs;
    for (int i = 0; i < epochs * curves; i++) p[i] = NAN;
    return 1;
}
#if !defined(NN_NO_STDIO)
static void nn__put_json(nn__out *o, const nn_history *h) {
    nn__put(o, "{\"epochs\": %d, \"best\": %d, \"seconds\": %.3f", h->epochs, h->best, h->seconds);
    for (int i = 0; i < NN__CURVES + h->metrics; i++) {
        const double *v = nn__history_curve(h, i);
        int           any = 0;
        for (int e = 0; e < h->epochs; e++) any |= v[e] == v[e];
        if (!any && i) continue;
        nn__put(o, ",\n \"%s%s\": [", i < NN__CURVES ? "" : "metric_", nn__history_name(h, i));
        for (int e = 0; e < h->epochs; e++) nn__put(o, v[e] - v[e] == 0 ? "%s%.9g" : "%snull", e ? ", " : "", v[e]); /* JSON has no NaN */
        nn__put(o, "]");
    }
    nn__put(o, "}\n");
}
static void nn__put_curves(nn__out *o, const nn_history *h) { /* the losses over the epochs; the axis of losses is logarithmic where they span decades */
    enum { WIDTH = 640, HEIGHT = 360, LEFT = 64, RIGHT = 16, TOP = 28, BOTTOM = 36 };
    static const char *const colour[2] = {"#2468b4", "#c8502a"};
    double low = INFINITY, high = -INFINITY;
    int    logs;
    for (int i = 0; i < 4; i += 2)
        for (int e = 0; e < h->epochs; e++) {
            double v = nn__history_curve(h, i)[e];
            if (!(v - v == 0)) continue;
            if (v < low) low = v;
            if (v > high) high = v;
        }
    if (!(low <= high)) { low = 0; high = 1; }
    if (high - low < 1e-12 * (fabs(high) + 1)) high = low + 1;
    logs = low > 0 && high / low > 20;
    nn__put(o, "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n", WIDTH, HEIGHT);
    for (int k = 0; k <= 4; k++) {
        double y = HEIGHT - BOTTOM - k * (HEIGHT - TOP - BOTTOM) / 4.0, v = logs ? low * pow(high / low, k / 4.0) : low + (high - low) * k / 4.0;
        nn__put(o, "<path d=\"M%d %.1fH%d\" stroke=\"#ddd\"/><text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%.3g</text>\n", LEFT, y, WIDTH - RIGHT, LEFT - 6, y + 4, v);
    }
    for (int i = 0; i < 4; i += 2) {
        const double *v = nn__history_curve(h, i);
        int           drawn = 0;
        for (int e = 0; e < h->epochs; e++) {
            double share = logs ? log(v[e] / low) / log(high / low) : (v[e] - low) / (high - low);
            if (!(share - share == 0)) continue;
            nn__put(o, "%s%.1f,%.1f", drawn++ ? " " : "<polyline fill=\"none\" stroke-width=\"2\" points=\"", LEFT + (WIDTH - LEFT - RIGHT) * (h->epochs > 1 ? (double)e / (h->epochs - 1) : 0.5),
                    HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * share);
        }
        if (drawn) nn__put(o, "\" stroke=\"%s\"/><text x=\"%d\" y=\"18\" fill=\"%s\">%s</text>\n", colour[i / 2], i ? 160 : LEFT, colour[i / 2], i ? "validation loss" : "training loss");
    }
    nn__put(o, "<text x=\"%d\" y=\"%d\">epoch 1</text><text x=\"%d\" y=\"%d\" text-anchor=\"end\">%d</text>\n</svg>\n", LEFT, HEIGHT - 12, WIDTH - RIGHT, HEIGHT - 12, h->epochs);
}
static int nn__history_write(nn_ctx *c, const char *name, const nn_history *h, const char *path, void (*put)(nn__out *o, const nn_history *h)) {
    nn__out o = {NULL, 0, 0};
    int     fine;
    if (!nn__ok_arg(c, name, h, "the history") || !nn__ok_arg(c, name, path, "path")) return 0;
    put(&o, h); /* first only to know how long it is */
    o.size = o.n + 1;
    o.text = (char *)nn__alloc(c, o.size);
    o.n    = 0;
    if (!o.text) return 0;
    put(&o, h);
    fine = nn__replace_file(c, name, path, nn__put_text, &o);
    nn__free(c, o.text, o.size);
    return fine;
}
NN_API int nn_history_json(nn_ctx *c, const nn_history *h, const char *path) { return nn__history_write(c, "history_json", h, path, nn__put_json); }
NN_API int nn_history_svg(nn_ctx *c, const nn_history *h, const char *path) { return nn__history_write(c, "history_svg", h, path, nn__put_curves); }
#else
NN_API int nn_history_json(nn_ctx *c, const nn_history *h, const char *path) { return (void)h, (void)path, nn__fail(c, "history_json", NN__M_FILE_NONE); }
NN_API int nn_history_svg(nn_ctx *c, const nn_history *h, const char *path) { return (void)h, (void)path, nn__fail(c, "history_svg", NN__M_FILE_NONE); }
#endif

/* -- progress: a bar on a terminal, a line an epoch in a log -- */
typedef struct nn__progress { nn_ctx *ctx; int on, bar, epoch, epochs; int64_t done, all; double begin, last; } nn__progress;

static int nn__is_terminal(void) {
#if defined(NN_NO_STDIO)
    return 0;
#elif defined(_WIN32)
    return _isatty(2);
#else
    return isatty(2);
#endif
}
static void nn__progress_bar(nn__progress *p, double loss, int64_t n) {
#if !defined(NN_NO_STDIO)
    double now, rate, share;
    p->done += n;
    if (!p->on || !p->bar) return;
    now = nn_time();
    if (now - p->last < 0.1 && p->done < p->all) return;
    p->last = now;
    rate    = now > p->begin ? (double)(p->all * p->epoch + p->done) / (now - p->begin) : 0;
    share   = (double)p->done / (double)p->all;
    fprintf(stderr, "\repoch %d/%d [%-10.*s] %3.0f %%  loss %.4f  %.0f samples/s  ETA %.0f s  ", p->epoch + 1, p->epochs, (int)(10 * share), "==========", 100 * share, loss, rate,
            rate > 0 ? ((double)p->all * p->epochs - (double)(p->all * p->epoch + p->done)) / rate : 0);
    fflush(stderr);
#else
    (void)p; (void)loss; (void)n;
#endif
}
static void nn__progress_line(nn__progress *p, const char *line) {
    if (!p->on) return;
#if !defined(NN_NO_STDIO)
    if (p->bar) fprintf(stderr, "\r%79s\r", "");
#endif
    nn__note_v(p->ctx, NN_LOG_INFO, line);
}
static void nn__progress_epoch(nn__progress *p, const nn_history *h, int e) {
    char   line[300];
    size_t n;
    if (!p->on) return;
    n = (size_t)snprintf(line, sizeof line, "epoch %d/%d  loss %.4f", e + 1, p->epochs, h->loss[e]);
    if (h->accuracy[e] == h->accuracy[e]) n += (size_t)snprintf(line + n, sizeof line - n, "  accuracy %.4f", h->accuracy[e]);
    if (h->valid_loss[e] == h->valid_loss[e]) n += (size_t)snprintf(line + n, sizeof line - n, "  valid %.4f", h->valid_loss[e]);
    if (h->valid_accuracy[e] == h->valid_accuracy[e]) n += (size_t)snprintf(line + n, sizeof line - n, "  %.4f", h->valid_accuracy[e]);
    for (int i = 0; i < h->metrics && n < sizeof line - 60; i++) n += (size_t)snprintf(line + n, sizeof line - n, "  %s %.4f", h->metric_name[i], h->metric[i][e]);
    snprintf(line + n, sizeof line - n, "  %.1f s", nn_time() - p->begin);
    nn__progress_line(p, line);
}

/* -- steps that repeat run as plans: a cache by shape, for whole batches and the last short one. A step (of several batches: its
      first half, since what a recording knows of gradients is its own) is trusted once two recordings of it, made at different steps, are the same; it is recorded
      again once an epoch, and if it has changed, or cannot be recorded (it looks at values), it stays as written. -- */
enum { NN__STEP_OUTS = 3 }; /* loss, prediction, norms of the gradients */
typedef struct nn__cached {
    nn_plan   *plan;
    nn_dtype   dtype;
    nn_shape   x, y;
    int64_t    seen;          /* how often this shape came */
    int        eager, looked; /* never a plan; the epoch in which it was recorded last */
    uint64_t   signature;     /* of that recording */
    nn_tensor *out[NN__STEP_OUTS];
} nn__cached;
enum { NN__CACHED = 4 };
typedef struct nn__plans { nn__cached at[NN__CACHED]; } nn__plans;
typedef struct nn__fit {
    nn_model             *m;
    nn_optim             *o;
    const nn_fit_options *f;
    nn__criterion         criterion;
    nn__plans             plans;
    nn__progress         *progress;
    nn_history           *h;
    nn_data              *train, *valid;
    int                   update;         /* this batch ends a step */
    int                  *watched, count; /* the parameters that had gradients, as their norms come */
    int                   told_large, told_bad;
    double                loss_sum, accuracy_sum, best; /* of the epoch so far; the least loss that was watched */
    int64_t               samples, batches, since;      /* of the epoch so far; batches since the last update */
    int                   epoch, rest;    /* rest: epochs since the best */
    char                 *kept;           /* the best weights */
    size_t                kept_size;
} nn__fit;

/* One step as anyone would write it, in two halves. In out what they computed; while a plan is recorded, what it will. */
static void nn__fit_gradients(nn__fit *t, nn_tensor *x, nn_tensor *target, nn_tensor **out) {
    out[1] = nn_forward(t->m, x);
    out[0] = nn__criterion_of(&t->criterion, out[1], target);
    out[2] = out[0];
    nn_backward(t->f->accumulate > 1 ? nn_scale(out[0], 1.0 / t->f->accumulate) : out[0]);
}
static void nn__fit_update(nn__fit *t, nn_tensor **out) {
    const nn_fit_options *f = t->f;
    if (!out[0]) return;
    t->count = 0;
    for (int i = 0; i < t->m->n && t->watched; i++) {
        nn_tensor *p = t->m->param[i]->st.data ? nn__handle(t->m->ctx, t->m, i) : NULL;
        if (p && p->grad) t->watched[t->count++] = i;
    }
    if (f->clip_value > 0) nn_clip_grad_value(t->o, f->clip_value);
    if (f->clip > 0 || t->watched) nn__clip_grads(t->o, "fit", f->clip > 0 ? (double)f->clip : 1, f->clip > 0 ? NN__CLIP_NORM : NN__CLIP_WATCH, &out[2]);
    nn_step(t->o);
}

static nn__cached *nn__cached_for(nn__plans *p, const nn_tensor *x, const nn_tensor *y) { /* y may be NULL; NULL: no place left */
    for (int i = 0; i < NN__CACHED; i++) {
        nn__cached *k = &p->at[i];
        if (!k->seen) {
            k->dtype = x->dtype;
            k->x     = nn_shape_of(x);
            if (y) k->y = nn_shape_of(y);
            return k;
        }
        if (k->dtype == x->dtype && nn__is_shape(x, &k->x) && (!y || nn__is_shape(y, &k->y))) return k;
    }
    return NULL;
}
/* What `step` records for x and y; make: into a plan that can run. An error in there is no error, but keeps the step eager. */
static nn_plan *nn__record_quietly(nn_ctx *c, nn__cached *k, int make, void (*step)(void *arg, nn_tensor *x, nn_tensor *y, nn_tensor **out), void *arg, int outs, nn_tensor *x, nn_tensor *y);

static void nn__fit_record(void *arg, nn_tensor *x, nn_tensor *y, nn_tensor **out) {
    nn__fit_gradients((nn__fit *)arg, x, y, out);
    if (((nn__fit *)arg)->f->accumulate == 1) nn__fit_update((nn__fit *)arg, out);
}
/* The plan for this batch, bound to it; NULL: run it as written */
static nn__cached *nn__fit_plan(nn__fit *t, nn_batch *b, int epoch) {
    nn_ctx     *c = t->m->ctx;
    nn__cached *k = t->f->eager || c->eager || !t->m->made || t->m->hook ? NULL : nn__cached_for(&t->plans, b->x, b->y);
    if (!k || k->eager || c->error) return NULL;
    if (++k->seen < 3) { /* the first of its shape, and the second, which is recorded beside */
        if (k->seen == 2) nn_plan_free(nn__record_quietly(c, k, 0, nn__fit_record, t, NN__STEP_OUTS, b->x, b->y));
        k->looked = epoch;
        return NULL;
    }
    if (!k->plan) {
        uint64_t was = k->signature;
        k->plan = nn__record_quietly(c, k, 1, nn__fit_record, t, NN__STEP_OUTS, b->x, b->y);
        if (k->plan && k->signature != was) k->eager = 1;
        if (k->plan && !k->eager && k == t->plans.at) {
            nn_plan_stats s = nn_plan_stats_of(k->plan);
            char          line[160];
            snprintf(line, sizeof line, "steps run as a plan: %d ops in %d nodes, %.1f KB for its values instead of %.1f", s.recorded, s.nodes, (double)s.peak / 1e3, (double)s.naive / 1e3);
            nn__progress_line(t->progress, line);
        }
    } else if (k->looked != epoch) {
        uint64_t was = k->signature;
        nn_plan_free(nn__record_quietly(c, k, 0, nn__fit_record, t, NN__STEP_OUTS, b->x, b->y));
        if (k->signature != was) k->eager = 1;
    }
    k->looked = epoch;
    if (k->eager) {
        nn__progress_line(t->progress, "steps run as written: the network does not do the same each time, or looks at values");
        nn_plan_free(k->plan);
        k->plan = NULL;
        return NULL;
    }
    return nn_plan_bind(k->plan, "x", b->x) && nn_plan_bind(k->plan, "y", b->y) ? k : NULL;
}

/* Says once that a gradient is large, and once that one, or the loss, is no number: where, and in which step */
static void nn__fit_watch(nn__fit *t, double loss, nn_tensor *norms) {
    const double *norm = norms && norms->ndim == 1 && norms->size[0] == t->count + 1 ? (const double *)nn__data(norms) : NULL;
    int           bad = !(loss - loss == 0), large = 0;
    const char   *at = NULL;
    for (int i = 1; norm && i <= t->count; i++) {
        if (!(norm[i] - norm[i] == 0) && !at) at = t->m->param[t->watched[i - 1]]->path;
        if (norm[i] > norm[large ? large : i] || (norm[i] > 10 && !large)) large = i;
    }
    if ((bad || at) && !t->told_bad++)
        nn_note(t->m->ctx, NN_LOG_WARN, "step %lld: the loss is %g, and the gradient of %s not finite", (long long)t->o->step, loss, at ? at : "no parameter");
    else if (large && norm[large] > 10 && !t->told_large++)
        nn_note(t->m->ctx, NN_LOG_WARN, "step %lld: the gradient of %s is large, its norm is %.3g (nn_fit_options.clip holds it)", (long long)t->o->step, t->m->param[t->watched[large - 1]]->path, norm[large]);
}

/* -- what training needs to go on: model, optimiser, and these tensors beside them in one file -- */
enum { NN__FIT_STATE = 20 };
static int nn__fit_save(nn__fit *t, const char *path) {
    nn_ctx    *c = t->m->ctx;
    nn_history *h = t->h;
    nn__mark   mark = nn__arena_mark(c);
    double     s[NN__FIT_STATE] = {0};
    nn__named  more[4 + NN_METRICS + 1];
    nn_tensor *x;
    int64_t    size = (int64_t)(t->kept_size / nn__dtypes[t->m->dtype].size);
    int        n = 0, fine = 1;
    s[0] = 1; s[1] = t->epoch; s[2] = (double)t->batches; s[3] = t->loss_sum; s[4] = t->accuracy_sum; s[5] = (double)t->samples; s[6] = t->best; s[7] = t->rest; s[8] = h->best;
    s[9] = (double)(c->config.seed >> 32); s[10] = (double)(c->config.seed & 0xffffffffu); s[11] = (double)c->step; s[12] = (double)t->train->id; s[13] = (double)t->train->epoch; s[14] = (double)t->train->at;
    s[15] = t->train->running; s[16] = h->seconds; s[17] = h->epochs;
    memset(more, 0, sizeof more);
    for (int i = -1; i < NN__CURVES + h->metrics + (t->kept != NULL) && fine; i++, n++) {
        more[n].prefix = i >= NN__CURVES && i < NN__CURVES + h->metrics ? "fit.metric_" : "fit."; more[n].suffix = "";
        more[n].name = i < 0 ? "state" : i < NN__CURVES + h->metrics ? nn__history_name(h, i) : "best_weights";
        x = i < 0 ? nn_from(c, s, NN_F64, NN_SHAPE(NN__FIT_STATE)) : i < NN__CURVES + h->metrics ? nn_from(c, nn__history_curve(h, i), NN_F64, NN_SHAPE(h->epochs)) : nn_from(c, t->kept, t->m->dtype, NN_SHAPE(size));
        more[n].x = x;
        fine = x != NULL;
    }
    fine = fine && nn__save(t->m, t->o, path, more, n);
    nn__arena_rewind(c, mark);
    return fine;
}
static int nn__fit_get(nn_ctx *c, nn_file *f, const char *name, int metric, double *to, int64_t n) { /* a curve or the state */
    char       full[64];
    nn__entry *e;
    snprintf(full, sizeof full, "fit.%s%s", metric ? "metric_" : "", name);
    e = nn__file_find(f, full);
    if (!e) return nn__fail(c, "resume", NN__M_NAME_MISSING, full);
    if (!nn__entry_fits(c, e, full, NN_SHAPE(n))) return 0;
    nn__entry_copy(f, e, NN_F64, to);
    return 1;
}
static void nn__epoch_begin(nn_data *d);
static int nn__fit_resume(nn__fit *t, const char *path) {
    nn_ctx    *c = t->m->ctx;
    double     s[NN__FIT_STATE];
    nn_file   *f = nn_file_open(c, path);
    nn__entry *e;
    int        fine, done;
    if (!f) return 0;
    fine = nn__fit_get(c, f, "state", 0, s, NN__FIT_STATE);
    for (int i = 0; i < NN__FIT_STATE && fine; i++)
        if (i != 3 && i != 4 && i != 6 && i != 16 && !(s[i] >= 0 && s[i] < 9e15)) fine = nn__fail(c, "resume", NN__M_FORMAT, path, "its state of training is not what it should be"); /* losses may be anything */
    done = fine ? (int)nn__min64((int64_t)s[17], t->f->epochs) : 0;
    if (fine && s[17] > t->f->epochs) fine = nn__fail(c, "resume", NN__M_FORMAT, path, "it has more epochs than are wanted");
    if (fine && s[14] > (double)t->train->n) fine = nn__fail(c, "resume", NN__M_FORMAT, path, "it belongs to another data set");
    for (int i = 0; i < NN__CURVES + t->h->metrics && fine; i++) fine = nn__fit_get(c, f, nn__history_name(t->h, i), i >= NN__CURVES, nn__history_curve(t->h, i), done);
    e = fine ? nn__file_find(f, "fit.best_weights") : NULL;
    if (e && t->kept && e->dtype == t->m->dtype && (size_t)nn__count(e->shape.ndim, e->shape.dim) * nn__dtypes[e->dtype].size == t->kept_size) memcpy(t->kept, f->bytes + e->begin, t->kept_size);
    nn_file_close(f);
    if (!fine || !nn_optim_load(t->o, path)) return 0;
    t->h->epochs = done; t->h->best = (int)s[8]; t->h->seconds = s[16];
    t->epoch = (int)s[1]; t->batches = (int64_t)s[2]; t->loss_sum = s[3]; t->accuracy_sum = s[4]; t->samples = (int64_t)s[5]; t->best = s[6]; t->rest = (int)s[7];
    c->config.seed  = (uint64_t)s[9] << 32 | (uint64_t)s[10];
    c->step         = (uint64_t)s[11];
    t->train->id    = (uint64_t)s[12];
    t->train->epoch = (uint64_t)s[13];
    if (s[15] != 0 && t->train->epoch) { /* in the middle of an epoch: its order again */
        t->train->epoch--;
        nn__epoch_begin(t->train);
        t->train->at = (int64_t)s[14];
    }
    return 1;
}

/* The weights as one piece: from the model, or back into it */
static void nn__fit_copy(nn__fit *t, int back) {
    char *at = t->kept;
    for (int i = 0; i < t->m->n; i++) {
        nn__param *p = t->m->param[i];
        if (p->st.bytes) memcpy(back ? p->st.data : at, back ? at : p->st.data, p->st.bytes);
        at += p->st.bytes;
        p->st.version += back != 0;
    }
}

/* One pass over the training part: the mean loss and accuracy */
static int nn__fit_epoch(nn__fit *t) {
    nn_ctx  *c = t->m->ctx;
    nn_data *d = t->train;
    nn_batch b;
    int      classes = nn__is_class(d->samples->y) && nn__of_classes(&t->criterion), e = t->epoch;
    t->progress->epoch = e;
    t->progress->done  = t->samples;
    while (nn_data_next(d, &b)) {
        nn_tensor  *out[NN__STEP_OUTS] = {NULL, NULL, NULL};
        nn__cached *k;
        double      loss;
        int64_t     left = d->n - d->at;
        t->update = ++t->since >= t->f->accumulate || left <= 0 || (d->drop_last && left < d->batch);
        k = nn__fit_plan(t, &b, e);
        if (k) {
            nn_plan_run(k->plan);
            memcpy(out, k->out, sizeof out);
        } else nn__fit_gradients(t, b.x, b.y, out);
        if (t->update && (!k || t->f->accumulate > 1)) nn__fit_update(t, out);
        loss = nn_item(out[0]);
        if (t->update && !t->f->unwatched && !t->f->quiet && out[0]) nn__fit_watch(t, loss, out[2]);
        t->loss_sum += loss * (double)b.n;
        if (classes && out[1]) t->accuracy_sum += nn_accuracy(out[1], b.y) * (double)b.n;
        t->samples += b.n;
        t->batches++;
        if (t->update) t->since = 0;
        nn_reset(c);
        if (c->error) return 0;
        nn__progress_bar(t->progress, t->loss_sum / (double)t->samples, b.n);
        if (t->f->checkpoint && t->f->checkpoint_every && t->update && t->batches % t->f->checkpoint_every == 0 && left > 0 && !nn__fit_save(t, t->f->checkpoint)) return 0;
        if (t->f->on_step && !t->f->on_step(t->f->user, t->o->step, loss)) return 0;
    }
    t->h->loss[e] = t->samples ? t->loss_sum / (double)t->samples : NAN;
    if (classes && t->samples) t->h->accuracy[e] = t->accuracy_sum / (double)t->samples;
    t->loss_sum = t->accuracy_sum = 0;
    t->samples = t->batches = 0;
    return !c->error;
}

/* The metrics asked for, of all predictions together */
static void nn__fit_metrics(nn__fit *t, nn_data *d) {
    nn_ctx    *c = t->m->ctx;
    nn__mark   mark = nn__arena_mark(c);
    int        was = nn_no_grad(c, 1);
    nn_tensor *y = t->h->metrics ? nn_data_y(d, 0, NN_TO_END) : NULL, *all = NULL;
    nn_shape   s;
    for (int64_t at = 0; y && at < d->n && !c->error; at += 256) {
        int64_t    n = nn__min64(256, d->n - at);
        nn__mark   piece;
        nn_tensor *p;
        if (!at) { /* one row more, to see how large a prediction is */
            p = nn_predict(t->m, nn_data_x(d, 0, 1));
            s = nn_shape_of(p);
            if (!p || !s.ndim || s.dim[0] != 1) break;
            s.dim[0] = d->n;
            all      = nn_zeros(c, p->dtype, s);
        }
        piece = nn__arena_mark(c);
        p     = nn_predict(t->m, nn_data_x(d, at, n));
        if (p && all) nn_assign(nn_slice(all, 0, at, at + n, 1), p);
        nn__arena_rewind(c, piece);
    }
    for (int i = 0; i < t->h->metrics && all && !c->error; i++) t->h->metric[i][t->epoch] = nn_metric(t->h->metric_name[i], all, y);
    nn_no_grad(c, was);
    nn__arena_rewind(c, mark);
}

/* After an epoch: validation, metrics, the best so far, files. 0: stop */
static int nn__fit_epoch_end(nn__fit *t) {
    const nn_fit_options *f = t->f;
    nn_ctx     *c = t->m->ctx;
    nn_history *h = t->h;
    double      least = f->min_delta == 0 ? 1e-4 : f->min_delta == NN_ZERO ? 0 : (double)f->min_delta, value;
    int         e = t->epoch, stop = 0;
    if (t->valid) {
        nn_scores s = nn__evaluate(t->m, t->valid, &t->criterion);
        h->valid_loss[e]     = s.loss;
        h->valid_accuracy[e] = s.accuracy;
    }
    nn__fit_metrics(t, t->valid ? t->valid : t->train);
    h->epochs  = e + 1;
    h->seconds = nn_time() - t->progress->begin;
    nn__progress_epoch(t->progress, h, e);
    value = t->valid ? h->valid_loss[e] : h->loss[e];
    t->rest++;
    if (value < t->best - least || (t->best == INFINITY && value < INFINITY)) {
        t->best = value;
        t->rest = 0;
        h->best = e;
        if (t->kept) nn__fit_copy(t, 0);
        if (f->best && !c->error) nn_save(t->m, f->best);
    } else if (f->patience && t->rest >= f->patience) stop = 1;
    nn_optim_metric(t->o, value);
    if (f->history && !c->error) nn_history_json(c, h, f->history);
    if (f->curve && !c->error) nn_history_svg(c, h, f->curve);
    t->epoch++;
    if (f->checkpoint && !c->error) nn__fit_save(t, f->checkpoint);
    if (stop) nn__progress_line(t->progress, "no better for as long as nn_fit_options.patience: training ends");
    return !stop && !c->error && (!f->on_epoch || f->on_epoch(f->user, h));
}

static int nn__fit_check(nn_ctx *c, const nn_fit_options *f, const nn_data *d, nn_history *h) {
    if (f->epochs < 0 || f->epochs > INT_MAX / 64) return nn__fail(c, "fit", NN__M_OPTION, "epochs", (double)f->epochs);
    if (f->batch < 0) return nn__fail(c, "fit", NN__M_OPTION, "batch", (double)f->batch);
    if (!(f->lr >= 0)) return nn__fail(c, "fit", NN__M_OPTION, "lr", (double)f->lr);
    if (!(f->clip >= 0)) return nn__fail(c, "fit", NN__M_OPTION, "clip", (double)f->clip);
    if (!(f->clip_value >= 0)) return nn__fail(c, "fit", NN__M_OPTION, "clip_value", (double)f->clip_value);
    if (!(f->validation >= 0 && f->validation <= 0.9f)) return nn__fail(c, "fit", NN__M_OPTION, "validation", (double)f->validation);
    if (f->accumulate < 0) return nn__fail(c, "fit", NN__M_OPTION, "accumulate", (double)f->accumulate);
    if (f->patience < 0) return nn__fail(c, "fit", NN__M_OPTION, "patience", (double)f->patience);
    if (f->checkpoint_every < 0) return nn__fail(c, "fit", NN__M_OPTION, "checkpoint_every", (double)f->checkpoint_every);
    if (f->resume && !f->checkpoint) return nn__fail(c, "fit", NN__M_RULE, "resume", "no checkpoint is named");
    if (f->loss_name && nn__loss_known(f->loss_name) < 0) return nn__fail(c, "fit", NN__M_RULE, f->loss_name, "no such loss");
    if (f->balance && (!nn__is_class(d->samples->y) || f->loss || f->loss_name || (f->loss_options && f->loss_options->weight))) return nn__fail(c, "fit", NN__M_RULE, "balance", "it is for classes and their own cross-entropy");
    for (const char *s = f->metrics; s && *s;) { /* "accuracy, f1" */
        size_t n = strcspn(s, ", ");
        char   name[40];
        snprintf(name, sizeof name, "%.*s", (int)(n < 39 ? n : 39), s);
        if (n && nn__metric_known(name, n) < 0) return nn__fail(c, "fit", NN__M_RULE, name, "no such metric");
        if (n && h->metrics == NN_METRICS) return nn__fail(c, "fit", NN__M_OPTION, "metrics", (double)(NN_METRICS + 1));
        if (n) snprintf(h->metric_name[h->metrics++], sizeof h->metric_name[0], "%.31s", name);
        s += n + (s[n] != 0);
    }
    return 1;
}
/* Each class by the inverse of its share of d's samples; a kept tensor, or NULL */
static nn_tensor *nn__fit_balance(nn_model *m, nn_data *d) {
    int64_t    classes = nn_data_classes(d), *count;
    nn_tensor *w;
    nn_ctx    *c = m->ctx;
    nn_tensor *y = d->samples->y;
    count = (int64_t *)nn__alloc_zero(c, (size_t)(classes + 1) * sizeof *count);
    w     = count ? nn__kept_new(c, m->dtype, 1, &classes, NULL) : NULL;
    for (int64_t i = 0; w && i < d->n; i++) count[nn__load_int(y->dtype, y->st->data, d->index[i])]++;
    for (int64_t k = 0; w && k < classes; k++) nn__store(m->dtype, w->st->data, k, count[k] ? (double)d->n / (double)(classes * count[k]) : 0);
    nn__free(c, count, (size_t)(classes + 1) * sizeof *count);
    return w;
}

/* The options are checked and filled, the data split, the model made: everything up to the first batch, and the epochs */
static void nn__fit_run(nn__fit *t, nn_fit_options *f) {
    nn_ctx     *c = t->m->ctx;
    int64_t     steps;
    nn_loss_options weighted;
    nn_tensor  *weight = NULL;
    if (f->balance) {
        memset(&weighted, 0, sizeof weighted);
        if (f->loss_options) weighted = *f->loss_options;
        weighted.weight = weight = nn__fit_balance(t->m, t->train);
        t->criterion.options = &weighted;
    }
    if (!f->unwatched && !f->quiet) t->watched = (int *)nn__alloc(c, (size_t)t->m->n * sizeof *t->watched);
    if (f->patience || f->best) { /* the best weights are put back at the end */
        for (int i = 0; i < t->m->n; i++) t->kept_size += t->m->param[i]->st.bytes;
        t->kept = (char *)nn__alloc(c, t->kept_size);
    }
    steps = nn__ceil_div(nn__ceil_div(t->train->n, t->train->batch), f->accumulate) * f->epochs;
    if (!f->optim) nn_set_lr(t->o, f->schedule.base > 0 ? f->schedule : nn_lr_cosine(f->lr, steps / 20, steps, 0));
    nn_data_rewind(t->train);
    t->best  = INFINITY;
#if !defined(NN_NO_STDIO)
    if (f->resume && !c->error) {
        FILE *there = fopen(f->checkpoint, "rb");
        if (there) fclose(there);
        if (there) nn__fit_resume(t, f->checkpoint);
    }
#endif
    while (!c->error && t->epoch < f->epochs && !(f->patience && t->rest >= f->patience) && nn__fit_epoch(t) && nn__fit_epoch_end(t)) {}
    if (t->kept && t->best < INFINITY) nn__fit_copy(t, 1);
    nn__free(c, t->kept, t->kept_size);
    if (t->watched) nn__free(c, t->watched, (size_t)t->m->n * sizeof *t->watched);
    if (weight) nn__kept_free(weight);
}

NN_API nn_history nn_fit(nn_model *m, nn_data *d, const nn_fit_options *options) {
    nn_ctx        *c = m ? m->ctx : NULL;
    nn_fit_options f = nn_fit_defaults();
    nn_history     h;
    nn__progress   p;
    nn__fit        t;
    nn_shape       shape;
    int64_t        batch;
    int            drop_last, batch_set;
    memset(&h, 0, sizeof h);
    memset(&t, 0, sizeof t);
    memset(&p, 0, sizeof p);
    if (!m || !nn__ok_arg(c, "fit", d, "the data")) return h;
    batch     = d->batch; /* as they were, afterwards */
    drop_last = d->drop_last;
    batch_set = d->batch_set;
    if (d->ctx != c) return nn__fail(c, "fit", NN__M_OBJECT_CONTEXT, "the data"), h;
    if (options) f = *options;
    if (!nn__fit_check(c, &f, d, &h)) return h;
    if (!f.epochs) f.epochs = 10;
    if (!f.accumulate) f.accumulate = 1;
    shape        = nn_shape_of(d->samples->x);
    shape.dim[0] = nn__min64(f.batch ? f.batch : d->batch, d->n);
    if (!m->made && m->net && !nn__model_make(m, c, nn__batch_dtype(d->samples->x, 0), shape)) return h;
    if (f.lr == 0) f.lr = nn_recommend(m).lr;
    if (!f.batch && !d->batch_set) f.batch = nn_recommend(m).batch;
    t.train = d;
    if (f.validation > 0 && !nn_data_split(d, f.validation, &t.train, &t.valid)) return h;
    t.o = f.optim ? f.optim : nn__optim_short(m, NN_ADAMW, f.lr, 0, f.weight_decay == 0 ? 0.01f : f.weight_decay == NN_ZERO ? 0 : f.weight_decay);
    if (t.o && (!f.batch || nn_data_batch(t.train, f.batch, drop_last)) && nn__history_new(c, f.epochs, &h)) {
        t.m = m; t.f = &f; t.h = &h; t.progress = &p;
        t.criterion.loss = f.loss; t.criterion.name = f.loss_name; t.criterion.options = f.loss_options;
        p.ctx = c; p.on = !f.quiet; p.bar = nn__is_terminal() && !c->config.log; p.epochs = f.epochs; p.all = t.train->n; p.begin = nn_time();
        nn__fit_run(&t, &f);
    }
    for (int i = 0; i < NN__CACHED; i++) nn_plan_free(t.plans.at[i].plan);
    if (!f.optim) nn_optim_free(t.o);
    if (t.valid) { nn_data_free(t.train); nn_data_free(t.valid); }
    else if (d->batch != batch || d->batch_set != batch_set) {
        nn_data_batch(d, batch, drop_last);
        d->batch_set = batch_set;
    }
    return h;
}

/* ---- >>profile --------------------------------------------------------------------------------------
   Every op that runs is noted with its time, and added to the line of its op and layer. Two numbers measured at the
   start say what the machine can do: multiply-adds from registers, and bytes between memory and cores. An op with f
   FLOPs and b bytes takes at least max(f / peak, b / bandwidth): the roofline (Williams et al. 2009). Bytes count every
   operand once, so an op whose operands are still in the caches may pass the memory's limit. */
typedef struct nn__profile_line {
    const nn_op *op;
    const void  *place;
    int          back;                /* called by a gradient rule */
    char         where[64];
    int64_t      calls, ticks;
    double       flops, bytes;
} nn__profile_line;
typedef struct nn__profile_call { int64_t line; uint64_t start, ticks; } nn__profile_call;

enum { NN__PROFILE_CALLS = 1 << 18 };
struct nn__profile {
    nn__profile_line *line;
    nn__profile_call *call;
    int64_t  lines, line_room, calls, call_room, calls_lost, last;
    double   peak, bandwidth;         /* FLOP/s of f32, bytes/s */
    double   began, started, stopped; /* seconds: ticks are measured against them */
    uint64_t began_ticks, started_ticks;
};

/* A counter that is cheap to read; its rate is found by comparing it with nn_time */
static uint64_t nn__ticks(void) {
#if defined(__x86_64__) || defined(__i386__)
    return __builtin_ia32_rdtsc();
#elif defined(__aarch64__)
    uint64_t t;
    __asm__ volatile("mrs %0, cntvct_el0" : "=r"(t));
    return t;
#else
    return (uint64_t)(nn_time() * 1e6);
#endif
}
static double nn__tick_seconds(const nn__profile *p) {
    double ticks = (double)(nn__ticks() - p->began_ticks);
    return ticks > 0 ? (nn_time() - p->began) / ticks : 0;
}

static void nn__profile_free(nn_ctx *c) {
    nn__profile *p = c->profile;
    if (!p) return;
    nn__free(c, p->line, (size_t)p->line_room * sizeof *p->line);
    nn__free(c, p->call, (size_t)p->call_room * sizeof *p->call);
    nn__free(c, p, sizeof *p);
    c->profile   = NULL;
    c->profiling = 0;
}

static void nn__profile_forget_places(nn_ctx *c) {
    for (int64_t i = 0; c->profile && i < c->profile->lines; i++)
        if (c->profile->line[i].place) c->profile->line[i].place = c->profile; /* no scope has this address */
}

/* 0: no memory for it */
static int nn__profile_note(const nn_node *n, uint64_t start) {
    nn_ctx           *c = n->ctx;
    nn__profile      *p = c->profile;
    uint64_t          ticks = nn__ticks() - start;
    nn_cost           cost = n->op->cost ? n->op->cost(n) : nn__cost_bytes(n);
    nn__profile_line *l = p->lines ? &p->line[p->last] : NULL;
    if (!l || l->op != n->op || l->place != n->place || l->back != c->in_backward) {
        for (p->last = 0; p->last < p->lines; p->last++) {
            l = &p->line[p->last];
            if (l->op == n->op && l->place == n->place && l->back == c->in_backward) break;
        }
        if (p->last == p->lines) {
            if (!nn__grow(c, &p->line, &p->line_room, p->lines + 1, sizeof *p->line)) return p->last = 0, 0;
            l = &p->line[p->lines++];
            memset(l, 0, sizeof *l);
            l->op    = n->op;
            l->place = n->place;
            l->back  = c->in_backward;
            if (n->place) nn__place_text((const nn__name *)n->place, l->where, sizeof l->where);
        }
    }
    l->calls++;
    l->ticks += (int64_t)ticks;
    l->flops += cost.flops;
    l->bytes += cost.bytes;
    if (p->calls >= NN__PROFILE_CALLS) p->calls_lost++;
    else if (!nn__grow(c, &p->call, &p->call_room, p->calls + 1, sizeof *p->call)) return 0;
    else {
        nn__profile_call *k = &p->call[p->calls++];
        k->line = p->last; k->start = start; k->ticks = ticks;
    }
    return 1;
}

/* -- the machine: each worker multiplies and adds in registers, then copies memory; the best of some runs -- */
typedef struct nn__probe { const nn__kernel_set *k; int64_t turns; double flops; char *from, *to; size_t piece; } nn__probe;
static void nn__probe_peak(void *arg, int64_t begin, int64_t end, int worker) {
    nn__probe *p = (nn__probe *)arg;
    (void)worker;
    for (; begin < end; begin++) {
        double flops = p->k->peak(p->turns); /* the same for all */
        if (begin == 0) p->flops = flops;
    }
}
static void nn__probe_copy(void *arg, int64_t begin, int64_t end, int worker) {
    nn__probe *p = (nn__probe *)arg;
    (void)worker;
    for (; begin < end; begin++) memcpy(p->to + (size_t)begin * p->piece, p->from + (size_t)begin * p->piece, p->piece);
}
static int nn__profile_probe(nn_ctx *c, nn__profile *p) {
    const int64_t pieces = 64;
    size_t        size = (size_t)32 << 20;
    nn__probe     b;
    b.k     = c->kernels->f32;
    b.turns = 20000;
    b.piece = size / (size_t)pieces;
    b.from  = (char *)nn__alloc_zero(c, size);
    b.to    = b.from ? (char *)nn__alloc_zero(c, size) : NULL;
    for (int i = 0; i < 4 && b.to; i++) {
        double   tick, rate;
        uint64_t t = nn__ticks();
        nn__parallel(c, c->workers * 4, 1e9, nn__probe_peak, &b);
        t    = nn__ticks() - t;
        tick = nn__tick_seconds(p);
        rate = t && tick > 0 ? b.flops * c->workers * 4 / ((double)t * tick) : 0;
        if (rate > p->peak) p->peak = rate;
        t = nn__ticks();
        nn__parallel(c, pieces, 1e9, nn__probe_copy, &b);
        t    = nn__ticks() - t;
        rate = t && tick > 0 ? 2.0 * (double)size / ((double)t * tick) : 0;
        if (rate > p->bandwidth) p->bandwidth = rate;
    }
    nn__free(c, b.from, size);
    if (!b.to) return 0;
    nn__free(c, b.to, size);
    return 1;
}

NN_API int nn_profile(nn_ctx *c, int on) {
    nn__profile *p;
    if (!nn__ok(c)) return 0;
    if (!on) {
        if (c->profiling) c->profile->stopped = nn_time();
        c->profiling = 0;
        return 1;
    }
    nn__profile_free(c);
    p = (nn__profile *)nn__alloc_zero(c, sizeof *p);
    if (!p) return 0;
    c->profile     = p;
    p->began       = nn_time();
    p->began_ticks = nn__ticks();
    if (!nn__profile_probe(c, p)) { nn__profile_free(c); return 0; }
    p->started       = nn_time();
    p->started_ticks = nn__ticks();
    c->profiling     = 1;
    return 1;
}

static int nn__profile_order(const void *x, const void *y) { /* the dearest first */
    const nn__profile_line *a = *(const nn__profile_line *const *)x, *b = *(const nn__profile_line *const *)y;
    return a->ticks < b->ticks ? 1 : a->ticks > b->ticks ? -1 : a < b ? -1 : a > b;
}
static int nn__profile_ok(nn_ctx *c, const char *function) {
    if (!nn__ok(c)) return 0;
    return c->profile ? 1 : nn__fail(c, function, NN__M_PROFILE_NONE);
}

NN_API int nn_profile_text(nn_ctx *c, char *text, size_t size) {
    const nn__profile       *p = c ? c->profile : NULL;
    const nn__profile_line **list;
    nn__mark mark;
    nn__out  o;
    double   tick, total = 0, all;
    int64_t  calls = 0;
    o.text = text; o.size = size; o.n = 0;
    if (size) text[0] = 0;
    if (!nn__profile_ok(c, "profile_text")) return -1;
    mark = nn__arena_mark(c);
    list = (const nn__profile_line **)nn__arena(c, (size_t)p->lines * sizeof *list);
    if (!list) return -1;
    tick = nn__tick_seconds(p);
    for (int64_t i = 0; i < p->lines; i++) {
        list[i] = &p->line[i];
        total += (double)p->line[i].ticks * tick;
        calls += p->line[i].calls;
    }
    qsort(list, (size_t)p->lines, sizeof *list, nn__profile_order);
    nn__put(&o, "%-24s %-20s %8s %10s %6s %10s %8s %7s %7s %-12s\n", "op", "layer", "calls", "total ms", "share", "us/call", "GFLOP/s", "GB/s", "FLOP/B", "limit");
    for (int64_t i = 0; i < p->lines; i++) {
        const nn__profile_line *l = list[i];
        double seconds = (double)l->ticks * tick, compute = l->flops / p->peak, memory = l->bytes / p->bandwidth;
        char   name[80];
        if (!(seconds > 0)) continue;
        snprintf(name, sizeof name, l->back ? "%.60s (backward)" : "%.60s", l->op->name);
        nn__put(&o, "%-24s %-20s %8lld %10.3f %5.1f%% %10.3f %8.1f %7.1f %7.1f ", name, l->where, (long long)l->calls, seconds * 1e3, 100 * seconds / total, seconds / (double)l->calls * 1e6,
                l->flops / seconds * 1e-9, l->bytes / seconds * 1e-9, l->bytes > 0 ? l->flops / l->bytes : 0.0);
        nn__put(&o, "%-7s %3.0f%%\n", compute > memory ? "compute" : "memory", 100 * (compute > memory ? compute : memory) / seconds);
    }
    all = (c->profiling ? nn_time() : p->stopped) - p->started;
    nn__put(&o, "%lld calls, %.3f of %.3f ms in ops; limits: %.1f GFLOP/s, %.1f GB/s (%s, %d thread%s)\n", (long long)calls, total * 1e3, all * 1e3, p->peak * 1e-9, p->bandwidth * 1e-9,
            nn_isa(c), nn_threads(c), nn_threads(c) == 1 ? "" : "s");
    nn__arena_rewind(c, mark);
    return (int)o.n;
}

NN_API int nn_profile_print(nn_ctx *c) {
#if !defined(NN_NO_STDIO)
    int   n = nn_profile_text(c, NULL, 0);
    char *s = n >= 0 ? (char *)nn__alloc(c, (size_t)n + 80) : NULL; /* the numbers still change a little */
    if (!s) return 0;
    nn_profile_text(c, s, (size_t)n + 80);
    fputs(s, stdout);
    nn__free(c, s, (size_t)n + 80);
    return 1;
#else
    return nn__profile_ok(c, "profile_print");
#endif
}

NN_API int nn_profile_trace(nn_ctx *c, const char *path) {
    if (!nn__profile_ok(c, "profile_trace") || !nn__ok_arg(c, "profile_trace", path, "path")) return 0;
#if defined(NN_NO_STDIO)
    return nn__fail(c, "profile_trace", NN__M_FILE_NONE);
#else
    {
        const nn__profile *p = c->profile;
        double             tick = nn__tick_seconds(p);
        FILE              *f = fopen(path, "wb");
        int                fine;
        if (!f) return nn__fail(c, "profile_trace", NN__M_FILE_OPEN, path, "cannot be opened");
        fprintf(f, "{\"traceEvents\":[\n{\"name\":\"process_name\",\"ph\":\"M\",\"pid\":1,\"args\":{\"name\":\"nn.h\"}}");
        for (int64_t i = 0; i < p->calls; i++) { /* layers' names need no escapes; your own op's may */
            const nn__profile_call *k = &p->call[i];
            const nn__profile_line *l = &p->line[k->line];
            char                    name[80];
            snprintf(name, sizeof name, "%s", l->op->name);
            for (char *ch = name; *ch; ch++)
                if (*ch == '"' || *ch == '\\' || (unsigned char)*ch < 32) *ch = '_';
            fprintf(f, ",\n{\"name\":\"%s\",\"cat\":\"%s\",\"ph\":\"X\",\"pid\":1,\"tid\":1,\"ts\":%.3f,\"dur\":%.3f,\"args\":{\"layer\":\"%s\"}}", name, l->back ? "backward" : "forward",
                    (double)(k->start - p->started_ticks) * tick * 1e6, (double)k->ticks * tick * 1e6, l->where);
        }
        fprintf(f, "\n],\"displayTimeUnit\":\"ns\",\"otherData\":{\"calls_left_out\":\"%lld\"}}\n", (long long)p->calls_lost);
        fine = !ferror(f);
        if (fclose(f) || !fine) return nn__fail(c, "profile_trace", NN__M_FILE_WRITE, path, "the disk is full?");
        return 1;
    }
#endif
}

/* ---- >>plan -----------------------------------------------------------------------------------------
   A plan is the tape, frozen. Between nn_plan_begin and nn_plan_end the context writes ops down without running them:
   forward, backward (whose rules are ops too) and the optimiser's step become one list of nodes. Passes make the list
   shorter; then every value that lives only within a run gets its place in one block, two of them the same place where
   their lives do not meet. nn_plan_run walks the list: no op is built, no memory asked for.

   Recording puts two things aside: the step arena, so that what is recorded lies in the plan's own memory, and the
   gradients that tensors hold, so that the recorded backward starts from none. Tensors get headers of the plan's own
   (the user's may change, as a batch's does); storage is shared, so parameters are read and written where they are. */
typedef struct nn__value { /* a storage whose bytes live only within a run */
    nn__storage *st;
    int64_t      def, last;    /* nodes: where it is made, where it is used last; last == n: after the run */
    int          uses;         /* operands that read it; an output of the plan counts as one */
    size_t       size, offset;
} nn__value;

typedef struct nn__use { /* a tensor of outside */
    const nn_tensor *live;     /* the user's header, */
    nn_tensor       *own;      /* and the plan's */
    const char      *name;
    int              check;    /* may its shape change? */
} nn__use;

typedef struct nn__plan_in {
    char             name[60];
    nn_tensor       *x;        /* the header that nn_plan_input returned */
    const nn_tensor *from;     /* what is bound to it, if that outlives steps; */
    uint32_t         epoch;    /* if not, of which step it is */
    nn_tensor        view;     /* of one that is copied into the room before each run */
    void            *room;
} nn__plan_in;

typedef struct nn__branch { int64_t begin, end, lanes; } nn__branch; /* nodes begin ... end-1, cut into lanes that run side by side */

struct nn_plan {
    nn__object       object;
    nn_ctx          *ctx;
    nn_plan         *next;     /* of the context's plans */
    nn_plan_options  options;
    nn_plan_stats    stats;
    uint64_t         signature; /* of what was recorded: ops, attributes, shapes, who reads what, the constants' values */
    nn_plan        **owner;    /* who else points to it */
    uint32_t         numbers;  /* values that have a number */
    int              recording, ready;
    const char      *gone;     /* what was freed under it */

    nn__chunk       *chunk, *first_chunk; /* its own arena; while recording, the context's, put aside */
    nn__block       *blocks;
    size_t           held;
    struct { nn_node *tape; nn_tensor **leaf, **grad; int64_t leaves; const nn__name *place; uint32_t epoch, streams; nn_memory_report memory; } aside;

    nn_node        **node;     /* in the order they run */
    int64_t          n, room;
    nn__value       *value;
    int64_t          values, value_room;
    nn__use         *use;
    int64_t          uses, use_room;
    nn__plan_in    **input;
    int64_t          inputs, input_room;
    nn_tensor      **output;
    int              outputs;

    char            *block;    /* the values' bytes */
    nn_tensor      **loose;    /* gradients that leaves take over, from the pool */
    int64_t          loose_n, loose_room;
    uint32_t         stream_base, streams; /* as in the nodes now; how many a run draws from */
    nn__branch      *branch;
    int64_t          branches, branch_room;
    nn_ctx         **lane;     /* contexts for all lanes but the first */
    int              lanes;
    int64_t         *lane_of;  /* within a branch: the lane of each node */
    int64_t         *ticks;    /* of each node, under nn_profile */
    int64_t          timed;
    char            *text;     /* what the passes did */
    size_t           text_size, text_room;
};

/* The plan's arena takes the place of the context's, and back */
static void nn__plan_swap(nn_plan *p) {
    nn_ctx   *c = p->ctx;
    nn__chunk *chunk = c->chunk, *first = c->first_chunk;
    nn__block *blocks = c->blocks;
    nn_memory_report was = c->memory;
    c->chunk = p->chunk; c->first_chunk = p->first_chunk; c->blocks = p->blocks;
    p->chunk = chunk; p->first_chunk = first; p->blocks = blocks;
    c->memory.step_now  = p->aside.memory.step_now;
    c->memory.step_peak = p->aside.memory.step_peak;
    c->memory.step_held = p->aside.memory.step_held;
    p->aside.memory = was;
}

NN_API nn_plan_options nn_plan_defaults(void) {
    nn_plan_options o;
    memset(&o, 0, sizeof o);
    return o;
}

static void nn__plan_destroy(nn__object *o) { nn_plan_free((nn_plan *)((char *)o - offsetof(nn_plan, object))); }

NN_API nn_plan *nn_plan_begin(nn_ctx *c, const nn_plan_options *options) {
    nn_plan *p;
    int64_t  n = 0;
    if (!nn__ok(c)) return NULL;
    if (c->plan) return nn__fail(c, NULL, NN__M_PLAN_STATE, "a plan is already being recorded; nn_plan_end comes first"), (nn_plan *)NULL;
    p = (nn_plan *)nn__alloc_zero(c, sizeof *p);
    if (!p) return NULL;
    p->ctx       = c;
    p->recording = 1;
    if (options) p->options = *options;
    nn__object_add(c, &p->object, nn__plan_destroy);
    p->next  = c->plans;
    c->plans = p;
    nn__plan_swap(p);
    p->aside.tape = c->tape; p->aside.place = c->place; p->aside.epoch = c->epoch; p->aside.streams = c->streams;
    for (nn_tensor *x = c->graded; x; x = x->next_graded) n++;
    p->aside.leaf = (nn_tensor **)nn__arena(c, (size_t)n * 2 * sizeof *p->aside.leaf);
    p->aside.grad = p->aside.leaf ? p->aside.leaf + n : NULL;
    for (nn_tensor *x = c->graded; x && p->aside.leaf; x = x->next_graded) {
        p->aside.leaf[p->aside.leaves]   = x;
        p->aside.grad[p->aside.leaves++] = x->grad;
        x->grad = NULL;
        x->held = 0;
    }
    if (!p->aside.leaf) { /* nothing has happened yet */
        p->recording = 0;
        nn__plan_swap(p);
        nn_plan_free(p);
        return NULL;
    }
    c->tape     = NULL;
    c->graded   = NULL;
    c->epoch    = NN__PLAN_EPOCH;
    c->streams  = 0;
    c->segment  = c->segments = 0;
    c->plan     = p;
    return p;
}

/* Back to the context's own state; what leaves hold now are recorded gradients, which plan_end has looked at */
static void nn__plan_stop(nn_plan *p) {
    nn_ctx *c = p->ctx;
    for (nn_tensor *x = c->graded, *next; x; x = next) { next = x->next_graded; x->grad = NULL; x->held = 0; }
    c->graded = NULL;
    for (int64_t i = p->aside.leaves - 1; i >= 0; i--) {
        nn_tensor *x = p->aside.leaf[i];
        if (!x) continue; /* freed meanwhile */
        x->grad        = p->aside.grad[i];
        x->held        = 1;
        x->next_graded = c->graded;
        c->graded      = x;
    }
    c->tape   = p->aside.tape;
    c->place  = p->aside.place;
    c->epoch  = p->aside.epoch;
    p->streams = c->streams;
    c->streams = p->aside.streams;
    c->segment = 0;
    c->plan    = NULL;
    p->recording = 0;
}

NN_API void nn_plan_free(nn_plan *p) {
    nn_ctx   *c = p ? p->ctx : NULL;
    nn_plan **at;
    if (!p) return;
    if (p->recording) {
        nn__plan_stop(p);
        nn__plan_swap(p);
    }
    if (p->owner) *p->owner = NULL;
    for (at = &c->plans; *at && *at != p;) at = &(*at)->next;
    if (*at) *at = p->next;
    for (int k = 0; k < p->outputs; k++) nn__plans_forget(c, p->output[k]); /* another plan may read it */
    for (int64_t i = 0; i < p->inputs; i++)
        if (p->input[i]->x) {
            nn__plans_forget(c, p->input[i]->x);
            nn__grad_release(p->input[i]->x);
            nn__free(c, p->input[i]->x->grad_room, sizeof(nn_tensor));
        }
    for (int64_t i = 0; i < p->loose_n; i++) nn__pool_put(c, p->loose[i]->own.data, p->loose[i]->own.bytes);
    nn__free(c, p->loose, (size_t)p->loose_room * sizeof *p->loose);
    for (int i = 1; i < p->lanes; i++) nn_end(p->lane[i]);
    while (p->blocks) {
        nn__block *b = p->blocks;
        p->blocks = b->next;
        nn__free(c, b, NN__ALIGN + b->size);
    }
    c->memory.step_held += p->aside.memory.step_held; /* nn__chunks_free takes it off again */
    nn__chunks_free(c, p->first_chunk);
    nn__free(c, p->node, (size_t)p->room * sizeof *p->node);
    nn__free(c, p->value, (size_t)p->value_room * sizeof *p->value);
    nn__free(c, p->use, (size_t)p->use_room * sizeof *p->use);
    nn__free(c, p->input, (size_t)p->input_room * sizeof *p->input);
    nn__free(c, p->branch, (size_t)p->branch_room * sizeof *p->branch);
    nn__free(c, p->text, p->text_room);
    nn__free(c, p->block, p->block ? p->stats.peak : 0);
    nn__object_remove(c, &p->object);
    nn__free(c, p, sizeof *p);
}

/* x ends: plans that use it can no longer run. Models may belong to another context than a plan of theirs. */
static void nn__plans_forget(nn_ctx *c, const nn_tensor *x) {
    for (nn_plan *p = c->plans; p; p = p->next) {
        for (nn_node *t = p->recording ? c->tape : NULL; t; t = t->prev)
            for (int k = 0; k < t->n_in; k++)
                if (t->in[k] == x) p->gone = "a tensor freed while it was recorded";
        for (int64_t i = 0; p->recording && i < p->aside.leaves; i++)
            if (p->aside.leaf[i] == x) {
                nn__unhold(c, p->aside.grad[i]);
                p->aside.leaf[i] = NULL;
            }
        for (int64_t i = 0; i < p->uses; i++)
            if (p->use[i].live == x || p->use[i].own->st == x->st) { p->use[i].live = NULL; p->gone = p->use[i].name; }
        for (int64_t i = 0; i < p->inputs; i++)
            if (p->input[i]->from == x) { p->input[i]->from = NULL; p->input[i]->epoch = NN__DEAD_EPOCH; }
    }
}
static void nn__plans_forget_model(nn_ctx *root, const nn_model *m) {
    for (nn__object *o = root->objects.next; o != &root->objects; o = o->next) {
        nn_ctx *f = o->destroy == nn__fork_destroy ? (nn_ctx *)((char *)o - offsetof(nn_ctx, object)) : root;
        for (nn_plan *p = f->plans; p; p = p->next)
            for (int64_t i = 0; i < p->uses; i++)
                for (int64_t k = 0; k < m->n; k++)
                    if (p->use[i].own->st == &m->param[k]->st) p->gone = p->use[i].name;
    }
}

/* -- inputs -- */
static int nn__plan_bind(nn_plan *p, nn__plan_in *in, const nn_tensor *x) {
    nn__text t, u;
    if (x->dtype != in->x->dtype || !nn__same_shape(x, in->x))
        return nn__fail(p->ctx, NULL, NN__M_PLAN_FITS_NOT, in->name, nn_dtype_name(in->x->dtype), nn__shape_text(&t, in->x->ndim, in->x->size), nn_dtype_name(x->dtype), nn__shape_text(&u, x->ndim, x->size));
    if (x->st->device) return nn__fail(p->ctx, "plan_bind", NN__M_DEVICE_HOST, x->st->device);
    in->from    = x->persistent ? x : NULL;
    in->epoch   = x->epoch;
    if (nn_is_contiguous(x) && x->st->home != NN__PLANNED) {
        in->x->own.data = nn__data(x);
        return 1;
    }
    in->view = *x; /* strided, or a plan's own result, whose room holds other values while that runs */
    if (!in->room) {
        if (!p->recording) nn__plan_swap(p);
        in->room = nn__arena(p->ctx, in->x->own.bytes);
        if (!p->recording) nn__plan_swap(p);
        if (!in->room) return 0;
    }
    in->x->own.data = in->room;
    return 1;
}

static nn__plan_in *nn__plan_find(nn_plan *p, const char *function, const char *name) {
    if (!p || !nn__ok_arg(p->ctx, function, name, "name")) return NULL;
    for (int64_t i = 0; i < p->inputs; i++)
        if (!strcmp(p->input[i]->name, name)) return p->input[i];
    return nn__fail(p->ctx, function, NN__M_PLAN_NAME, name), (nn__plan_in *)NULL;
}

NN_API nn_tensor *nn_plan_input(nn_plan *p, const char *name, nn_tensor *x) {
    nn_ctx      *c = p ? p->ctx : NULL;
    nn__plan_in *in;
    if (!nn__ok_arg(c, "plan_input", name, "name") || !nn__ok_arg(c, "plan_input", x, "x")) return NULL;
    if (!p->recording) return nn__fail(c, "plan_input", NN__M_PLAN_STATE, "inputs are named between nn_plan_begin and nn_plan_end"), (nn_tensor *)NULL;
    if (!nn__name_valid(name)) return nn__fail(c, "plan_input", NN__M_NAME_BAD, name), (nn_tensor *)NULL;
    for (int64_t i = 0; i < p->inputs; i++)
        if (!strcmp(p->input[i]->name, name)) return nn__fail(c, "plan_input", NN__M_PLAN_STATE, "two inputs have one name"), (nn_tensor *)NULL;
    if (x->ctx != c || (x->epoch != NN__NO_EPOCH && x->epoch != p->aside.epoch)) {
        nn__text t;
        return nn__fail(c, "plan_input", x->ctx != c ? NN__M_OTHER_CONTEXT : NN__M_DROPPED, 1, nn__shape_text(&t, x->ndim, x->size)), (nn_tensor *)NULL;
    }
    if (!nn__grow(c, &p->input, &p->input_room, p->inputs + 1, sizeof *p->input)) return NULL;
    in = (nn__plan_in *)nn__arena(c, sizeof *in);
    if (!in) return NULL;
    memset(in, 0, sizeof *in);
    strcpy(in->name, name);
    in->x = nn__header_step(c, x->dtype);
    if (!in->x) return NULL;
    in->x->own.bytes = (size_t)nn__set_shape(in->x, x->ndim, x->size) * nn__dtypes[x->dtype].size;
    in->x->needs_grad = x->needs_grad && !x->node;
    in->x->persistent = 1; /* nn_grad shows its gradient after a run */
    if (!nn__plan_bind(p, in, x)) return NULL;
    p->input[p->inputs++] = in;
    return in->x;
}

NN_API int nn_plan_bind(nn_plan *p, const char *name, nn_tensor *x) {
    nn__plan_in *in = nn__plan_find(p, "plan_bind", name);
    if (!in || !nn__ok_arg(p->ctx, "plan_bind", x, "x")) return 0;
    if (!nn__live(p->ctx, x)) return !nn__operand_bad(p->ctx, "plan_bind", x, 0);
    return nn__plan_bind(p, in, x);
}
NN_API int nn_plan_bind_data(nn_plan *p, const char *name, const void *data) {
    nn__plan_in *in = nn__plan_find(p, "plan_bind_data", name);
    nn_tensor    x;
    if (!in || !nn__ok_arg(p->ctx, "plan_bind_data", data, "data")) return 0;
    x          = *in->x;
    x.st       = &x.own;
    x.epoch    = NN__NO_EPOCH;
    x.persistent = 0;
    x.own.data = (void *)(uintptr_t)data;
    return nn__plan_bind(p, in, &x);
}

NN_API nn_tensor *nn_checkpoint(nn_net segment, nn_scope s, nn_tensor *x) {
    nn_ctx    *c = s.ctx;
    uint32_t   was = c ? c->segment : 0;
    nn_tensor *y;
    if (!nn__ok(c) || !segment) return NULL;
    c->segment = ++c->segments;
    y = segment(s, x);
    c->segment = was;
    return y;
}

/* -- looking at the list -- */
static int nn__is_planned(const nn__storage *st) { return st->home == NN__PLANNED; }
static nn__value *nn__value_of(nn_plan *p, const nn_tensor *x) { return nn__is_planned(x->st) ? &p->value[x->st->uses] : NULL; }

/* Who makes and who uses each value, for the list as it is now. 0 if memory ran out. */
static int nn__plan_values(nn_plan *p) {
    int64_t most = 0;
    for (int64_t i = 0; i < p->n; i++) {
        for (int k = 0; k < p->node[i]->n_out; k++) p->node[i]->out[k]->st->uses = -1;
        most += p->node[i]->n_out;
    }
    p->values = 0;
    if (!nn__grow(p->ctx, &p->value, &p->value_room, most, sizeof *p->value)) return 0;
    for (int64_t i = 0; i < p->n; i++) {
        nn_node *n = p->node[i];
        for (int k = 0; k < n->n_in; k++) {
            nn__value *v = nn__value_of(p, n->in[k]);
            if (v) { v->last = i; v->uses++; }
        }
        for (int k = 0; k < n->n_out; k++) {
            nn__storage *st = n->out[k]->st;
            if (!nn__is_planned(st)) continue;
            if (st->uses < 0) {
                nn__value *v = &p->value[p->values];
                st->uses = (int32_t)p->values++;
                v->st = st; v->def = v->last = i; v->uses = 0; v->offset = 0;
                v->size = nn__round_up(st->bytes + !st->bytes, NN__ALIGN);
            } else if (p->value[st->uses].last < i) p->value[st->uses].last = i; /* a view, or in place */
        }
    }
    for (int k = 0; k < p->outputs; k++) {
        nn__value *v = nn__value_of(p, p->output[k]);
        if (v) { v->last = p->n; v->uses++; }
    }
    return 1;
}

/* Everything that shows `from` shows `to` from now on. */
static void nn__plan_redirect(nn_plan *p, nn__storage *from, nn__storage *to) {
    for (int64_t i = 0; i < p->n; i++) {
        nn_node *n = p->node[i];
        for (int k = 0; k < n->n_in; k++)
            if (n->in[k]->st == from) n->in[k]->st = to;
        for (int k = 0; k < n->n_out; k++)
            if (n->out[k]->st == from) n->out[k]->st = to;
    }
    for (int k = 0; k < p->outputs; k++)
        if (p->output[k]->st == from) p->output[k]->st = to;
}

static int nn__node_touches(const nn_node *n, const nn__storage *st) {
    for (int k = 0; k < n->n_in; k++)
        if (n->in[k]->st == st) return 1;
    return 0;
}
/* Does a node between i and j (neither included) change what x shows? */
static int nn__is_written(const nn_plan *p, const nn_tensor *x, int64_t i, int64_t j) {
    for (i++; i < j; i++)
        if (p->node[i]->op->flags & NN_OP_WRITES && nn__node_touches(p->node[i], x->st)) return 1;
    return 0;
}
static int nn__inputs_are_written(const nn_plan *p, const nn_node *n, int64_t i, int64_t j) {
    for (int k = 0; k < n->n_in; k++)
        if (nn__is_written(p, n->in[k], i, j)) return 1;
    return 0;
}
/* The place of the node that makes x; -1 if none in the plan does, or if something shows only part of it */
static int64_t nn__maker(nn_plan *p, const nn_tensor *x) {
    const nn__value *v = nn__value_of(p, x);
    return v && nn_is_contiguous(x) && !x->offset && (size_t)nn_numel(x) * nn__dtypes[x->dtype].size == x->st->bytes ? v->def : -1;
}
static void nn__plan_remove_marked(nn_plan *p) { /* nodes that a pass set to NULL */
    int64_t n = 0;
    for (int64_t i = 0; i < p->n; i++)
        if (p->node[i]) p->node[n++] = p->node[i];
    p->n = n;
}
static nn_node *nn__node_new(nn_plan *p, const nn_op *op, int n_in, int n_out, const void *attr, const nn_node *like) {
    nn_node *n = (nn_node *)nn__arena(p->ctx, sizeof *n + (size_t)(n_in + n_out) * sizeof *n->in + op->attr_size);
    if (!n) return NULL;
    memset(n, 0, sizeof *n);
    n->op = op; n->ctx = p->ctx; n->n_in = n_in; n->n_out = n_out;
    n->in   = (nn_tensor **)(n + 1);
    n->out  = n->in + n_in;
    n->attr = op->attr_size ? memcpy(n->in + n_in + n_out, attr, op->attr_size) : NULL;
    n->place = like->place;
    n->phase = like->phase;
    return n;
}
static nn_node *nn__node_like(nn_plan *p, const nn_node *t, int n_in, const void *attr) { /* t with n_in operands, those past its own still to be set */
    nn_node *n = nn__node_new(p, t->op, n_in, t->n_out, attr, t);
    if (!n) return NULL;
    n->stream = t->stream;
    memcpy(n->in, t->in, (size_t)(n_in < t->n_in ? n_in : t->n_in) * sizeof *n->in);
    memcpy(n->out, t->out, (size_t)t->n_out * sizeof *n->out);
    return n;
}
static nn_tensor *nn__plan_header(nn_plan *p, nn_dtype dtype) { /* headers that nodes run with */
    nn_tensor *y = (nn_tensor *)nn__arena(p->ctx, sizeof *y);
    if (!y) return NULL;
    nn__header_init(p->ctx, y, dtype);
    y->epoch      = NN__NO_EPOCH;
    y->persistent = 1;
    return y;
}
static nn_tensor *nn__own_header(nn_plan *p, const nn_tensor *x) { /* over x's storage */
    nn_tensor *y = nn__plan_header(p, x->dtype);
    if (!y) return NULL;
    y->st     = x->st;
    y->offset = x->offset;
    y->ndim   = x->ndim;
    for (int i = 0; i < x->ndim; i++) { y->size[i] = x->size[i]; y->stride[i] = x->stride[i]; }
    return y;
}
static nn_tensor *nn__planned_like(nn_plan *p, const nn_tensor *x, nn_dtype dtype) { /* a new value of x's shape */
    nn_tensor *y = nn__plan_header(p, dtype);
    if (!y) return NULL;
    y->own.bytes = (size_t)nn__set_shape(y, x->ndim, x->size) * nn__dtypes[dtype].size;
    y->own.home  = NN__PLANNED;
    return y;
}

/* -- what was recorded becomes the list -- */
static const char *nn__use_name(nn_plan *p, const nn_tensor *x) { /* a parameter's own goes with its model: a copy */
    const char *path;
    size_t      n;
    char       *copy;
    if (x->st->home == NN__PLANNED) return "another plan's result";
    if (x->st == &x->own || x->st->home != NN__OUTSIDE) return x->persistent == 2 ? "kept" : "state";
    path = ((const nn__param *)((const char *)x->st - offsetof(nn__param, st)))->path; /* only models' handles have a storage elsewhere */
    n    = strlen(path) + 1;
    copy = (char *)nn__arena(p->ctx, n);
    return copy ? (const char *)memcpy(copy, path, n) : "parameter";
}
static nn_tensor *nn__plan_own(nn_plan *p, nn_tensor *x) {
    nn_tensor *y;
    if (x->epoch == NN__PLAN_EPOCH && x->persistent) return x; /* an input */
    if (x->epoch == NN__PLAN_EPOCH && x->grad_room) return x->grad_room; /* recorded headers point to what stands for them */
    for (int64_t i = 0; i < p->uses; i++)
        if (p->use[i].live == x) return p->use[i].own;
    if (x->st->home == NN__POOL) { /* a gradient, which nn_step uses up */
        nn__text t;
        return nn__fail(p->ctx, NULL, NN__M_PLAN_OUTSIDE, 1, nn__shape_text(&t, x->ndim, x->size)), (nn_tensor *)NULL;
    }
    y = nn__own_header(p, x);
    if (!y) return NULL;
    if (x->epoch == NN__PLAN_EPOCH) return x->grad_room = y;
    if (x->st->home == NN__PLANNED) { /* another plan's result: not a value of this one, but memory of outside */
        y->own.data  = x->st->data;
        y->own.bytes = x->st->bytes;
        y->st        = &y->own;
    }
    if (!nn__grow(p->ctx, &p->use, &p->use_room, p->uses + 1, sizeof *p->use)) return NULL;
    p->use[p->uses].live  = x;
    p->use[p->uses].own   = y;
    p->use[p->uses].check = 0;
    p->use[p->uses].name  = nn__use_name(p, x);
    p->uses++;
    return y;
}

/* A gradient that a leaf holds at the end of a run: the first writes, later ones add, as in eager mode. The leaf is no operand:
   it is the user's own header that gets it. */
static int  nn__shape_leave(nn_node *n, nn_spec *out) { return (void)n, (void)out, 1; }
static void nn__run_leave(nn_node *n) {
    nn_tensor *x, *g = n->in[0];
    memcpy(&x, n->attr, sizeof x);
    if (x->grad) {
        g = nn__accumulate(n->ctx, x->grad, g, 0);
        if (!g || g == x->grad) return;
    }
    nn__grad_own(x, g);
}
static const nn_op nn__op_leave = {"gradient", 1, 0, sizeof(nn_tensor *), NN_OP_WRITES, nn__shape_leave, nn__run_leave, NULL, NULL, NULL, NULL, 0};

/* The contributions of which g is the sum, as they arrived: a leaf gets one after the other, since in eager mode each is added to
   what earlier backwards left there. A sum that was changed since, by clipping say, is one. Returns how many; list may be NULL. */
static int nn__contributions(nn_tensor *g, nn_tensor **list) {
    const nn_node *n = g->epoch == NN__PLAN_EPOCH ? g->node : NULL;
    int            before;
    for (const nn_node *t = n ? g->ctx->tape : NULL; t && n; t = t->prev)
        if (t->op->flags & NN_OP_WRITES && nn__node_touches(t, g->st)) n = NULL;
    before = n && n->op == &nn__op_add && n->phase & NN_PHASE_SUM ? nn__contributions(n->in[0], list) : 0;
    if (list) list[before] = before ? n->in[1] : g;
    return before + 1;
}
static int nn__plan_collect(nn_plan *p, nn_tensor **outputs, int n_outputs) {
    nn_ctx *c = p->ctx;
    int64_t n = 0, tape = 0;
    for (nn_node *t = c->tape; t; t = t->prev) tape++;
    n = tape;
    for (nn_tensor *x = c->graded; x; x = x->next_graded) n += x->persistent ? nn__contributions(x->grad, NULL) : 0;
    if (!nn__grow(c, &p->node, &p->room, n + 1, sizeof *p->node)) return 0;
    p->n = n;
    n    = tape;
    for (nn_tensor *x = c->graded; x; x = x->next_graded) { /* leaves' gradients, after all else */
        nn_node     like;
        int         count;
        nn_tensor **list;
        if (!x->persistent) continue; /* a constant's: nobody can ask for it */
        count = nn__contributions(x->grad, NULL);
        list  = (nn_tensor **)nn__arena(c, (size_t)count * sizeof *list);
        if (!list || !nn__plan_own(p, x)) return 0;
        nn__contributions(x->grad, list);
        memset(&like, 0, sizeof like);
        like.phase = NN_PHASE_BACK;
        for (int k = 0; k < count; k++) {
            nn_node *g = nn__node_new(p, &nn__op_leave, 1, 0, &x, &like);
            if (!g || !(g->in[0] = nn__plan_own(p, list[k]))) return 0;
            p->node[n++] = g;
        }
    }
    n = tape;
    for (nn_node *t = c->tape; t; t = t->prev) {
        if (t->op == &nn__op_forget) { /* its leaf is an operand that is not in the list of them */
            nn_tensor *x;
            memcpy(&x, t->attr, sizeof x);
            if (!nn__plan_own(p, x)) return 0;
        }
        for (int k = 0; k < t->n_in; k++)
            if (!(t->in[k] = nn__plan_own(p, t->in[k]))) return 0;
        for (int k = 0; k < t->n_out; k++)
            if (!(t->out[k] = nn__plan_own(p, t->out[k]))) return 0;
        p->node[--n] = t;
    }
    p->output = (nn_tensor **)nn__arena(c, (size_t)n_outputs * sizeof *p->output);
    if (!p->output) return 0;
    for (; p->outputs < n_outputs; p->outputs++)
        if (!(p->output[p->outputs] = nn__plan_own(p, outputs[p->outputs]))) return 0;
    for (int64_t i = 0; i < p->inputs; i++) p->input[i]->x->epoch = NN__NO_EPOCH;
    for (int64_t i = 0; i < p->uses; i++)
        if (p->use[i].own->st == &p->use[i].own->own) nn__plan_redirect(p, p->use[i].live->st, p->use[i].own->st); /* views of another plan's result, too */
    for (int64_t i = 0; i < p->n; i++) /* of what is read, may the shape change? */
        for (int k = 0; k < p->node[i]->n_in && !(p->node[i]->op->flags & NN_OP_WRITES); k++)
            for (int64_t u = 0; u < p->uses; u++)
                if (p->use[u].own == p->node[i]->in[k] && p->use[u].live->st == &p->use[u].live->own) p->use[u].check = 1;
    for (int64_t i = 0; i < p->n; i++)
        for (int k = 0; k < p->node[i]->n_in && p->node[i]->op->flags & NN_OP_WRITES; k++)
            for (int64_t u = 0; u < p->uses; u++)
                if (p->use[u].own == p->node[i]->in[k] && !strcmp(p->use[u].name, "state") && !p->use[u].check) p->use[u].name = "the optimiser";
    p->stats.recorded = (int)p->n;
    return 1;
}

/* -- passes: each a small function over the list; how many changes it made, or -1 after an error -- */
static int nn__pass_dead(nn_plan *p) { /* nodes whose results nobody reads, and that change nothing */
    int64_t before = p->n;
    for (int64_t i = 0; i < p->n; i++)
        for (int k = 0; k < p->node[i]->n_out; k++) p->node[i]->out[k]->st->uses = 0;
    for (int k = 0; k < p->outputs; k++)
        if (nn__is_planned(p->output[k]->st)) p->output[k]->st->uses = 1;
    for (int64_t i = p->n - 1; i >= 0; i--) {
        nn_node *n = p->node[i];
        int      needed = (n->op->flags & NN_OP_WRITES) || n->n_out == 0;
        for (int k = 0; k < n->n_out; k++) needed |= nn__is_planned(n->out[k]->st) && n->out[k]->st->uses;
        if (!needed) p->node[i] = NULL;
        for (int k = 0; k < n->n_in && needed; k++)
            if (nn__is_planned(n->in[k]->st)) n->in[k]->st->uses = 1;
    }
    nn__plan_remove_marked(p);
    return (int)(before - p->n);
}

static int nn__is_constant(const nn_plan *p, const nn_tensor *x) { /* made while the plan was recorded, from values known then, and never written */
    const nn_tensor *owner;
    if (x->st->home != NN__STEP || !x->st->data) return 0;
    owner = (const nn_tensor *)((const char *)x->st - offsetof(nn_tensor, own)); /* a step tensor's storage lies in a header */
    if (owner->ctx != p->ctx || (owner->epoch != NN__PLAN_EPOCH && owner->epoch != NN__NO_EPOCH)) return 0;
    for (int64_t i = 0; i < p->n; i++)
        if (p->node[i] && p->node[i]->op->flags & NN_OP_WRITES && nn__node_touches(p->node[i], x->st)) return 0;
    return 1;
}
static int nn__pass_constants(nn_plan *p) { /* what depends on constants only is computed now */
    int changes = 0;
    for (int64_t i = 0; i < p->n; i++) {
        nn_node *n = p->node[i];
        int      constant = !(n->op->flags & (NN_OP_RANDOM | NN_OP_WRITES | NN_OP_DYNAMIC | NN_OP_VIEW)) && n->n_in > 0;
        for (int k = 0; k < n->n_in && constant; k++) constant = nn__is_constant(p, n->in[k]);
        for (int k = 0; k < n->n_out && constant; k++)
            for (int64_t j = i + 1; j < p->n && constant; j++) constant = !(p->node[j]->op->flags & NN_OP_WRITES && nn__node_touches(p->node[j], n->out[k]->st));
        if (!constant) continue;
        for (int k = 0; k < n->n_out; k++) {
            n->out[k]->st->data = nn__arena(p->ctx, n->out[k]->st->bytes);
            n->out[k]->st->home = NN__STEP;
            if (!n->out[k]->st->data) return -1;
        }
        if (!nn__run_prepared(n)) return -1;
        p->node[i] = NULL;
        nn__plan_remove_marked(p);
        i--;
        changes++;
    }
    return changes;
}

/* Views are headers already. What the eager run would prepare for each op (contiguous copies, half precision widened) becomes
   nodes of its own here, so that every node can run as it stands. */
static int nn__list_add(nn_plan *p, nn_node ***list, int64_t *n, int64_t *room, nn_node *node) {
    if (!nn__grow(p->ctx, list, room, *n + 1, sizeof **list)) return 0;
    (*list)[(*n)++] = node;
    return 1;
}
static void nn__list_take(nn_plan *p, nn_node **list, int64_t n, int64_t room) { /* the plan's list from now on */
    nn__free(p->ctx, p->node, (size_t)p->room * sizeof *p->node);
    p->node = list;
    p->n    = n;
    p->room = room;
}
static nn_node *nn__copy_node(nn_plan *p, nn_tensor *x, nn_tensor *y, const nn_node *like) { /* y = x, made contiguous, of y's type */
    int      to = (int)y->dtype;
    nn_node *n  = nn__node_new(p, x->dtype == y->dtype ? &nn__op_copy : &nn__op_cast, 1, 1, &to, like);
    if (!n) return NULL;
    n->in[0]  = x;
    n->out[0] = y;
    return n;
}
static int nn__pass_views(nn_plan *p) {
    nn_node **list = NULL;
    int64_t   n = 0, room = 0;
    int       changes = 0, fine = 1;
    for (int64_t i = 0; i < p->n && fine; i++) {
        nn_node  *t = p->node[i], *after[NN__MAX_OUT];
        int       widened = 0, late = 0;
        if (t->op->flags & NN_OP_VIEW) { changes++; continue; }
        for (int k = 0; k < t->n_in && fine; k++) {
            nn_tensor *x = t->in[k], *y;
            nn_node   *copy;
            int        half = (x->dtype == NN_F16 || x->dtype == NN_BF16) && (t->op->flags & NN_OP_FLOAT);
            if (!half && ((t->op->flags & NN_OP_STRIDED) || nn_is_contiguous(x))) continue;
            y    = nn__planned_like(p, x, half ? NN_F32 : x->dtype);
            copy = y ? nn__copy_node(p, x, y, t) : NULL;
            fine = copy && nn__list_add(p, &list, &n, &room, copy);
            t->in[k] = y;
            widened |= half;
        }
        for (int k = 0; k < t->n_out && fine && widened; k++) {
            nn_tensor *y = t->out[k], *wide;
            if (y->dtype != NN_F16 && y->dtype != NN_BF16) continue;
            wide = nn__planned_like(p, y, NN_F32);
            fine = wide && (after[late++] = nn__copy_node(p, wide, y, t)) != NULL;
            t->out[k] = wide;
        }
        fine = fine && nn__list_add(p, &list, &n, &room, t);
        for (int k = 0; k < late && fine; k++) fine = nn__list_add(p, &list, &n, &room, after[k]);
    }
    if (!fine) return nn__free(p->ctx, list, (size_t)room * sizeof *list), -1;
    nn__list_take(p, list, n, room);
    return changes;
}

static int nn__same_operand(const nn_tensor *x, const nn_tensor *y) {
    return x->st == y->st && x->offset == y->offset && x->dtype == y->dtype && nn__same_shape(x, y) && !memcmp(x->stride, y->stride, (size_t)x->ndim * sizeof x->stride[0]);
}
static int nn__pass_common(nn_plan *p) { /* the same op on the same operands twice: the second is the first */
    int changes = 0;
    for (int64_t j = 0; j < p->n; j++) {
        nn_node *b = p->node[j];
        if (b->op->flags & (NN_OP_RANDOM | NN_OP_WRITES) || b->n_in == 0) continue;
        for (int64_t i = 0; i < j; i++) {
            nn_node *a = p->node[i];
            int      same = a->op == b->op && a->n_in == b->n_in && (!a->op->attr_size || !memcmp(a->attr, b->attr, a->op->attr_size));
            for (int k = 0; k < b->n_in && same; k++) same = nn__same_operand(a->in[k], b->in[k]);
            for (int k = 0; k < b->n_out && same; k++) same = !nn__is_written(p, a->out[k], 0, p->n) && !nn__is_written(p, b->out[k], 0, p->n);
            if (!same || nn__inputs_are_written(p, a, i, j)) continue;
            for (int k = 0; k < b->n_out; k++) nn__plan_redirect(p, b->out[k]->st, a->out[k]->st);
            for (int64_t k = j; k + 1 < p->n; k++) p->node[k] = p->node[k + 1];
            p->n--;
            j--;
            changes++;
            break;
        }
    }
    return changes;
}

/* Is the value that x shows made by a node of op, and read only here? Its place, else -1 */
static int64_t nn__sole_maker(nn_plan *p, const nn_tensor *x, const nn_op *op) {
    int64_t i = nn__maker(p, x);
    return i >= 0 && p->node[i]->op == op && p->value[x->st->uses].uses == 1 ? i : -1;
}
/* Can the node that makes y at j be made at i < j? Its other operands must be there, and unchanged between. */
static int nn__is_ready(nn_plan *p, const nn_tensor *x, int64_t i, int64_t j) {
    return (!nn__is_planned(x->st) || p->value[x->st->uses].def < i) && !nn__is_written(p, x, i - 1, j);
}
static void nn__node_drop(nn_plan *p, int64_t i) {
    for (; i + 1 < p->n; i++) p->node[i] = p->node[i + 1];
    p->n--;
}

/* A pattern: given the node at j, finds one at *i < j with which it makes one node, which takes the place *at, one of the two. NULL: none */
typedef nn_node *(*nn__pattern)(nn_plan *p, int64_t j, int64_t *i, int64_t *at);
static int nn__fuse(nn_plan *p, const nn__pattern *patterns, int count) {
    int changes = 0;
    if (!nn__plan_values(p)) return -1;
    for (int64_t j = 0; j < p->n; j++)
        for (int k = 0; k < count; k++) {
            int64_t  i = -1, at = -1;
            nn_node *n = patterns[k](p, j, &i, &at);
            if (p->ctx->error) return -1;
            if (!n) continue;
            p->node[at] = n;
            nn__node_drop(p, at == i ? j : i);
            if (!nn__plan_values(p)) return -1;
            changes++;
            j = i - 1; /* look again: more may follow */
            break;
        }
    return changes;
}

/* -- softmax and cross-entropy: loss and gradient of a row while it is in the first cache.  x, classes, dy -> loss, lse, dx -- */
static void nn__loss_rows(void *arg, int64_t begin, int64_t end, int worker) {
    nn__row_work *w  = (nn__row_work *)arg;
    nn_tensor   **in = w->n->in, **out = w->n->out;
    double        scale = nn__load(in[2]->dtype, nn__data(in[2]), 0) / (double)w->rows;
    (void)worker;
    for (int64_t r = begin; r < end; r++) {
        char *lse = (char *)nn__data(out[1]) + (size_t)r * w->e;
        w->k->log_sum_exp(nn__row_at(w, in[0], r), w->row, lse);
        w->k->cross_entropy_back(nn__row_at(w, in[0], r), lse, scale, nn__load_int(in[1]->dtype, nn__data(in[1]), r), nn__row_at(w, out[2], r), w->row);
    }
}
static void nn__run_loss(nn_node *n) {
    nn_tensor   *x = n->in[0], *y = n->in[1];
    nn__row_work w;
    double       sum = 0;
    if (!nn__row_prepare(n, &w)) return;
    if (!nn__check_within(n->ctx, "cross_entropy", NN__M_LABEL, y, w.row)) return;
    nn__parallel(n->ctx, w.rows, 3.0 * (double)w.row, nn__loss_rows, &w);
    for (int64_t r = 0; r < w.rows; r++)
        sum += nn__load(x->dtype, nn__data(n->out[1]), r) - nn__load(x->dtype, nn__data(x), r * w.row + nn__load_int(y->dtype, nn__data(y), r));
    nn__store(n->out[0]->dtype, nn__data(n->out[0]), 0, sum / (double)w.rows);
}
static const nn_op nn__op_loss = {"cross_entropy+back", 3, 3, 0, 0, nn__shape_update, nn__run_loss, NULL, NULL, nn__cost_rows, NULL, 0};

static nn_node *nn__fuse_loss(nn_plan *p, int64_t j, int64_t *i, int64_t *at) {
    nn_node *b = p->node[j], *a, *n;
    if (b->op != &nn__op_cross_entropy_back || (*i = nn__maker(p, b->in[2])) < 0) return NULL;
    a = p->node[*at = *i];
    if (a->op != &nn__op_cross_entropy || !nn__same_operand(a->in[0], b->in[0]) || !nn__same_operand(a->in[1], b->in[1]) || a->out[0]->dtype != b->out[0]->dtype) return NULL;
    if (!nn__is_ready(p, b->in[3], *i, j) || nn__inputs_are_written(p, b, *i, j)) return NULL; /* its dy must be known by then */
    n = nn__node_new(p, &nn__op_loss, 3, 3, NULL, a);
    if (!n) return NULL;
    n->in[0] = b->in[0]; n->in[1] = b->in[1]; n->in[2] = b->in[3];
    n->out[0] = a->out[0]; n->out[1] = a->out[1]; n->out[2] = b->out[0];
    return n;
}

/* -- product: linear and matmul of matrices, with what follows them done in the last store of the kernel, and a layer norm before.
      x [m,k], w [k,n] of any strides (a norm's x: contiguous rows) and, where the attributes say so, bias [n], residual [m,n], the
      norm's weight and bias [k].  y = act(norm(x) w + bias) + residual -- */
typedef struct nn__product { double eps, flops; int64_t act; int32_t bias, residual, norm, packs; } nn__product; /* places among the operands; -1: none. act: a kernel's place; -1: none. packs: a packed weight may be used, 2: in another order */

enum { NN__ROW_MOST = 1 << 16 }; /* elements of a packed weight that one row is multiplied with on one thread */

static nn__unary_fn nn__kernel_at(const nn__kernel_set *k, int64_t place) {
    nn__unary_fn f = NULL;
    if (place >= 0) memcpy(&f, (const char *)k + place, sizeof f);
    return f;
}
static void nn__product_gemm(const nn_node *n, nn__gemm *g) {
    const nn__product *a = (const nn__product *)n->attr;
    const nn_tensor   *x = n->in[0], *w = n->in[1];
    g->m = x->size[0]; g->k = x->size[1]; g->n = w->size[1];
    g->a = nn__data(x); g->a_row = x->stride[0]; g->a_col = x->stride[1];
    g->b = nn__data(w); g->b_row = w->stride[0]; g->b_col = w->stride[1];
    g->c = nn__data(n->out[0]); g->c_row = g->n;
    g->bias = a->bias < 0 ? NULL : nn__data(n->in[a->bias]);
    g->residual = a->residual < 0 ? NULL : nn__data(n->in[a->residual]);
    g->r_row = g->n;
    g->act = nn__kernel_at(nn__kernels_for(n->ctx, x->dtype), a->act);
    g->accumulate = 0;
    g->path = 0;
}
static void nn__run_product(nn_node *n) {
    nn__gemm g;
    nn__product_gemm(n, &g);
    if (((const nn__product *)n->attr)->packs == 2 && n->in[1]->st->packed && g.m == 1 && g.n * g.k <= NN__ROW_MOST && nn__gemm_use_panels(n->ctx, n->in[0]->dtype, &g, n->in[1])) {
        nn__kernels_for(n->ctx, n->in[0]->dtype)->gemm_row(&g);
        return;
    }
    if (((const nn__product *)n->attr)->packs && n->in[1]->st->packed) nn__gemm_use_packed(n->ctx, n->in[0]->dtype, &g, n->in[1]);
    nn__gemm_one(n->ctx, n->in[0]->dtype, &g);
}
static nn_cost nn__cost_product(const nn_node *n) {
    nn_cost cost = nn__cost_bytes(n);
    cost.flops   = ((const nn__product *)n->attr)->flops;
    return cost;
}
static const nn_op nn__op_product = {"product", -2, 1, sizeof(nn__product), NN_OP_STRIDED, nn__shape_update, nn__run_product, NULL, NULL, nn__cost_product, NULL, 0};

/* Blocks of rows are normalised into scratch and multiplied while they are in the caches. */
enum { NN__NORM_ROWS = 64 };
typedef struct nn__norm_product { nn_node *n; nn__gemm g; const nn__kernel_set *k; size_t e, rows; } nn__norm_product; /* rows: bytes of a block */
static void nn__norm_product_part(void *arg, int64_t begin, int64_t end, int worker) {
    nn__norm_product  *w = (nn__norm_product *)arg;
    const nn__product *a = (const nn__product *)w->n->attr;
    char              *room = (char *)w->n->ctx->scratch[worker];
    for (int64_t b = begin; b < end; b++) {
        nn__gemm g = w->g;
        int64_t  first = b * NN__NORM_ROWS;
        double   mean, rstd;
        g.m = nn__min64(NN__NORM_ROWS, w->g.m - first);
        for (int64_t r = 0; r < g.m; r++)
            w->k->layernorm((const char *)w->g.a + (size_t)((first + r) * g.k) * w->e, nn__data(w->n->in[a->norm]), nn__data(w->n->in[a->norm + 1]), a->eps, room + (size_t)(r * g.k) * w->e, &mean, &rstd, g.k);
        g.a = room;
        g.c = (char *)g.c + (size_t)(first * g.c_row) * w->e;
        if (g.residual) g.residual = (const char *)g.residual + (size_t)(first * g.r_row) * w->e;
        w->k->gemm(&g, room + w->rows);
    }
}
static void nn__run_norm_product(nn_node *n) {
    nn__norm_product w;
    nn_dtype         real = n->in[0]->dtype;
    nn__product_gemm(n, &w.g);
    if (w.g.m == 0 || w.g.n == 0) return;
    w.n = n;
    w.k = nn__kernels_for(n->ctx, real);
    w.e = nn__dtypes[real].size;
    w.g.path = w.k->gemm_path(&w.g);
    if (((const nn__product *)n->attr)->packs && n->in[1]->st->packed) { w.g.path = 0; nn__gemm_use_packed(n->ctx, real, &w.g, n->in[1]); if (!w.g.path) w.g.path = w.k->gemm_path(&w.g); }
    w.rows = nn__round_up((size_t)(NN__NORM_ROWS * w.g.k) * w.e, NN__ALIGN);
    if (!nn__scratch(n->ctx, n->ctx->workers, w.rows + w.k->gemm_scratch(&w.g))) return;
    nn__parallel(n->ctx, nn__ceil_div(w.g.m, NN__NORM_ROWS), (double)(NN__NORM_ROWS * w.g.k) * (0.012 * (double)w.g.n + 0.5), nn__norm_product_part, &w);
}
static const nn_op nn__op_norm_product = {"norm+product", -2, 1, sizeof(nn__product), 0, nn__shape_update, nn__run_norm_product, NULL, NULL, nn__cost_product, NULL, 0};

/* A header over x's storage as the matrix [m,n] */
static nn_tensor *nn__as_matrix(nn_plan *p, const nn_tensor *x, int64_t m, int64_t n, int64_t row, int64_t column) {
    nn_tensor *y = nn__own_header(p, x);
    if (!y) return NULL;
    y->ndim = 2;
    y->size[0] = m; y->size[1] = n; y->stride[0] = row; y->stride[1] = column;
    return y;
}
/* linear, or matmul of matrices, in f32 or f64, as a product; NULL: not one, or no memory */
static nn_node *nn__as_product(nn_plan *p, const nn_node *t) {
    int         linear = t->op == &nn__op_linear;
    nn_tensor  *x = t->in[0], *w = t->in[1], *y = t->out[0];
    nn__product a;
    nn_node    *n;
    int64_t     k;
    if ((!linear && t->op != &nn__op_matmul) || (y->dtype != NN_F32 && y->dtype != NN_F64)) return NULL;
    if (!linear && (w->ndim != 2 || (x->ndim != 2 && !nn_is_contiguous(x)))) return NULL;
    memset(&a, 0, sizeof a);
    a.act = -1;
    a.bias = linear && t->n_in > 2 ? 2 : -1;
    a.residual = a.norm = -1;
    a.packs = linear && t->phase & NN_PHASE_NO_GRAD && !nn__is_written(p, w, -1, p->n) ? 1 + !p->options.exact : 0;
    a.flops = t->op->cost(t).flops;
    if (linear)
        switch (*(const int *)t->attr) {
        case NN_ACT_RELU: a.act = (int64_t)offsetof(nn__kernel_set, relu); break;
        case NN_ACT_SIGMOID: a.act = (int64_t)offsetof(nn__kernel_set, sigmoid); break;
        case NN_ACT_TANH: a.act = (int64_t)offsetof(nn__kernel_set, tanh); break;
        case NN_ACT_GELU: a.act = (int64_t)offsetof(nn__kernel_set, gelu); break;
        default: break;
        }
    n = nn__node_new(p, &nn__op_product, t->n_in, 1, &a, t);
    if (!n) return NULL;
    k = x->size[x->ndim - 1];
    n->in[0] = nn__as_matrix(p, x, x->ndim == 2 ? x->size[0] : nn__count(x->ndim - 1, x->size), k, x->ndim == 2 ? x->stride[0] : k, x->ndim == 2 ? x->stride[1] : 1);
    n->in[1] = linear ? nn__as_matrix(p, w, w->size[1], w->size[0], w->stride[1], w->stride[0]) : w;
    if (a.bias > 0) n->in[2] = t->in[2];
    n->out[0] = y;
    return n->in[0] && n->in[1] ? n : NULL;
}
static nn_node *nn__product_with(nn_plan *p, const nn_node *t, nn_tensor *more, nn_tensor *y, const nn__product *a) { /* with other attributes, another result, one operand more */
    nn_node *n = nn__node_like(p, t, t->n_in + (more != NULL), a);
    if (!n) return NULL;
    if (more) n->in[t->n_in] = more;
    n->out[0] = y;
    return n;
}

static nn_node *nn__fuse_activation(nn_plan *p, int64_t j, int64_t *i, int64_t *at) { /* an element-wise op on a product */
    nn_node    *t = p->node[j];
    nn__product a;
    if (t->op->run != nn__run_map || t->n_in != 1 || t->op->attr_size || (*i = nn__sole_maker(p, t->in[0], &nn__op_product)) < 0) return NULL;
    a = *(const nn__product *)p->node[*i]->attr;
    if (a.act >= 0 || a.residual >= 0) return NULL;
    a.act = (int64_t)t->op->kernel;
    a.flops += (double)nn_numel(t->out[0]);
    *at = *i;
    return nn__product_with(p, p->node[*i], NULL, t->out[0], &a);
}
static nn_node *nn__fuse_add(nn_plan *p, int64_t j, int64_t *i, int64_t *at) { /* a bias or a residual; which operand is the product? */
    nn_node   *t = p->node[j];
    nn_tensor *y;
    if (t->op != &nn__op_add) return NULL;
    y = t->out[0];
    for (int k = 0; k < 2; k++) {
        nn_tensor  *other = t->in[1 - k];
        nn__product a;
        int         bias;
        if ((*i = nn__sole_maker(p, t->in[k], &nn__op_product)) < 0 || !nn__same_shape(t->in[k], y) || !nn_is_contiguous(other) || other->st == t->in[k]->st) continue;
        a    = *(const nn__product *)p->node[*i]->attr;
        bias = other->ndim == 1 && y->ndim > 1 && other->size[0] == y->size[y->ndim - 1] && a.bias < 0 && a.act < 0 && a.residual < 0;
        if (!bias && (a.residual >= 0 || !nn__same_shape(other, y))) continue;
        if (nn__is_ready(p, other, *i, j)) *at = *i;
        else if (!nn__inputs_are_written(p, p->node[*i], *i, j)) *at = j;
        else continue;
        a.flops += (double)nn_numel(y);
        if (bias) a.bias = p->node[*i]->n_in;
        else a.residual = p->node[*i]->n_in;
        return nn__product_with(p, p->node[*i], other, y, &a);
    }
    return NULL;
}
static nn_node *nn__fuse_activation_back(nn_plan *p, int64_t j, int64_t *i, int64_t *at) { /* dz = dy act'(y) before a linear layer's gradient */
    static const struct { const nn_op *op; int act; } backs[] = {{&nn__op_relu_back, NN_ACT_RELU}, {&nn__op_tanh_back, NN_ACT_TANH}, {&nn__op_sigmoid_back, NN_ACT_SIGMOID}, {&nn__op_gelu_back, NN_ACT_GELU}};
    nn_node *t = p->node[j], *b, *n;
    if (t->op != &nn__op_linear_back || ((const nn__linear_back *)t->attr)->act != NN_ACT_NONE || (*i = nn__maker(p, t->in[0])) < 0) return NULL;
    b   = p->node[*i];
    *at = j;
    for (int k = 0; k < 4; k++) {
        nn__linear_back a = *(const nn__linear_back *)t->attr;
        if (b->op != backs[k].op || p->value[t->in[0]->st->uses].uses != 2 || nn__inputs_are_written(p, b, *i, j)) continue; /* dz stands for dy and y here */
        if (!nn__same_shape(b->in[0], b->out[0]) || !nn__same_shape(b->in[1], b->out[0]) || !nn_is_contiguous(b->in[0]) || !nn_is_contiguous(b->in[1])) continue;
        a.act = backs[k].act;
        n = nn__node_like(p, t, t->n_in, &a);
        if (n) { n->in[0] = b->in[0]; n->in[1] = b->in[1]; }
        return n;
    }
    return NULL;
}
static nn_node *nn__fuse_add_back(nn_plan *p, int64_t j, int64_t *i, int64_t *at) { /* dx of a linear layer, and what came along beside it */
    nn_node *t = p->node[j], *b, *n;
    if (t->op != &nn__op_add) return NULL;
    for (int k = 0; k < 2; k++) {
        nn_tensor *other = t->in[1 - k];
        if ((*i = nn__sole_maker(p, t->in[k], &nn__op_linear_back)) < 0 || (b = p->node[*i])->n_in != 4 || b->out[0]->st != t->in[k]->st || b->in[3]->size[0] == 0) continue;
        if (!nn__same_shape(t->in[k], t->out[0]) || !nn__same_shape(other, t->out[0]) || !nn_is_contiguous(other) || !nn__is_ready(p, other, *i, j)) continue;
        *at = *i;
        n   = nn__node_like(p, b, 5, b->attr);
        if (n) { n->in[4] = other; n->out[0] = t->out[0]; }
        return n;
    }
    return NULL;
}
static int nn__pass_epilogues(nn_plan *p) {
    static const nn__pattern patterns[] = {nn__fuse_activation, nn__fuse_add, nn__fuse_activation_back, nn__fuse_add_back};
    for (int64_t i = 0; i < p->n; i++) {
        nn_node *n = nn__as_product(p, p->node[i]);
        if (p->ctx->error) return -1;
        if (n) p->node[i] = n;
    }
    return nn__fuse(p, patterns, 4);
}

static nn_node *nn__fuse_norm(nn_plan *p, int64_t j, int64_t *i, int64_t *at) { /* a layer norm whose only reader is a product */
    nn_node    *t = p->node[j], *b, *n;
    nn__product a;
    if (t->op != &nn__op_product || !nn_is_contiguous(t->in[0]) || (*i = nn__sole_maker(p, t->in[0], &nn__op_layernorm)) < 0) return NULL;
    b   = p->node[*i];
    *at = j;
    if (b->out[0]->st != t->in[0]->st || nn__value_of(p, b->out[1])->uses || nn__value_of(p, b->out[2])->uses || b->in[0]->size[b->in[0]->ndim - 1] != t->in[0]->size[1]) return NULL;
    if (nn__inputs_are_written(p, b, *i, j)) return NULL;
    a = *(const nn__product *)t->attr;
    a.norm = t->n_in;
    a.eps  = *(const double *)b->attr;
    a.flops += b->op->cost(b).flops;
    n = nn__node_new(p, &nn__op_norm_product, t->n_in + 2, 1, &a, t);
    if (!n) return NULL;
    memcpy(n->in, t->in, (size_t)t->n_in * sizeof *n->in);
    n->in[0] = nn__as_matrix(p, b->in[0], t->in[0]->size[0], t->in[0]->size[1], t->in[0]->size[1], 1);
    n->in[t->n_in]     = b->in[1];
    n->in[t->n_in + 1] = b->in[2];
    n->out[0] = t->out[0];
    return n->in[0] ? n : NULL;
}
static const nn__pattern nn__loss_patterns[] = {nn__fuse_loss}, nn__norm_patterns[] = {nn__fuse_norm};
static int nn__pass_loss(nn_plan *p) { return nn__fuse(p, nn__loss_patterns, 1); }
static int nn__pass_norms(nn_plan *p) { return nn__fuse(p, nn__norm_patterns, 1); }

/* -- chain: element-wise ops one after the other, tile by tile: what lies between them stays in the first cache -- */
enum { NN__CHAIN_STEPS = 16, NN__CHAIN_IN = 8, NN__CHAIN_OUT = 4, NN__CHAIN_ROOMS = 6, NN__CHAIN_TILE = 4096, NN__CHAIN_ROW = 64 }; /* tile: bytes */
enum { NN__CHAIN_FULL, NN__CHAIN_ONE, NN__CHAIN_ALONG }; /* an operand: as long as the output, one value, or a row for every row */
typedef struct nn__chain_step { int64_t kernel; int32_t operands, from[2], to; double p[2]; } nn__chain_step; /* from: an input, or NN__CHAIN_IN + a room; to: a room, or NN__CHAIN_ROOMS + an output. An output serves as a room: from NN__CHAIN_IN + NN__CHAIN_ROOMS + it */
typedef struct nn__chain { int64_t row; int32_t steps, n_in, n_out; int32_t kind[NN__CHAIN_IN]; nn__chain_step step[NN__CHAIN_STEPS]; } nn__chain;
typedef struct nn__chain_work { const nn__chain *chain; const nn__kernel_set *k; const char *in[NN__CHAIN_IN]; char *out[NN__CHAIN_OUT]; size_t e; } nn__chain_work;

static void nn__chain_part(void *arg, int64_t begin, int64_t end, int worker) {
    const nn__chain_work *w = (const nn__chain_work *)arg;
    const nn__chain      *c = w->chain;
    double                room[NN__CHAIN_ROOMS][NN__CHAIN_TILE / sizeof(double)];
    int64_t               tile = NN__CHAIN_TILE / (int64_t)w->e;
    (void)worker;
    while (begin < end) {
        int64_t column = c->row ? begin % c->row : 0, n = nn__min64(tile, (c->row ? nn__min64(end, begin - column + c->row) : end) - begin);
        for (int i = 0; i < c->steps; i++) {
            const nn__chain_step *s = &c->step[i];
            const void *x[2] = {NULL, NULL};
            int64_t     step[2] = {1, 1};
            void       *y = s->to < NN__CHAIN_ROOMS ? (void *)room[s->to] : (void *)(w->out[s->to - NN__CHAIN_ROOMS] + (size_t)begin * w->e);
            nn__map     m;
            for (int o = 0; o < s->operands; o++) {
                int f = s->from[o];
                if (f >= NN__CHAIN_IN + NN__CHAIN_ROOMS) x[o] = w->out[f - NN__CHAIN_IN - NN__CHAIN_ROOMS] + (size_t)begin * w->e;
                else if (f >= NN__CHAIN_IN) x[o] = room[f - NN__CHAIN_IN];
                else {
                    x[o]    = w->in[f] + (size_t)(c->kind[f] == NN__CHAIN_FULL ? begin : c->kind[f] == NN__CHAIN_ALONG ? column : 0) * w->e;
                    step[o] = c->kind[f] != NN__CHAIN_ONE;
                }
            }
            m.k = w->k; m.kernel = (size_t)s->kernel; m.operands = s->operands; m.stream = 0; m.p = s->p;
            m.dtype = w->e == 8 ? NN_F64 : NN_F32;
            nn__map_call(&m, x, step, y, n);
        }
        begin += n;
    }
}
static void nn__run_chain(nn_node *n) {
    nn__chain_work w;
    w.chain = (const nn__chain *)n->attr;
    w.k     = nn__kernels_for(n->ctx, n->out[0]->dtype);
    w.e     = nn__dtypes[n->out[0]->dtype].size;
    for (int i = 0; i < n->n_in; i++) w.in[i] = (const char *)nn__data(n->in[i]);
    for (int i = 0; i < n->n_out; i++) w.out[i] = (char *)nn__data(n->out[i]);
    nn__parallel(n->ctx, nn_numel(n->out[0]), 0.3 * w.chain->steps, nn__chain_part, &w);
}
static nn_cost nn__cost_chain(const nn_node *n) {
    nn_cost cost = nn__cost_bytes(n);
    cost.flops   = (double)nn_numel(n->out[0]) * ((const nn__chain *)n->attr)->steps;
    return cost;
}
static const nn_op nn__op_chain = {"chain", -1, -1, sizeof(nn__chain), NN_OP_STRIDED, nn__shape_update, nn__run_chain, NULL, NULL, nn__cost_chain, NULL, 0};

/* How a chain over y's elements would see x; -1: not at all */
static int nn__chain_kind(const nn_tensor *x, const nn_tensor *y) {
    int64_t total = nn_numel(y), n = nn_numel(x);
    if (!nn_is_contiguous(x)) return -1;
    if (n == total) return NN__CHAIN_FULL;
    if (n == 1) return NN__CHAIN_ONE;
    return x->ndim && y->ndim && n == y->size[y->ndim - 1] && x->size[x->ndim - 1] == n && n >= NN__CHAIN_ROW ? NN__CHAIN_ALONG : -1;
}
/* A chain of the nodes i ... j-1 whose values are still to be given rooms: 0 if they are none. */
typedef struct nn__chain_draft { nn__chain c; nn_tensor *in[NN__CHAIN_IN], *out[NN__CHAIN_OUT], *made[NN__CHAIN_STEPS]; } nn__chain_draft;
static int nn__chain_draft_of(nn_plan *p, int64_t i, int64_t j, nn__chain_draft *d) {
    int     last[NN__CHAIN_STEPS], where[NN__CHAIN_STEPS], taken[NN__CHAIN_ROOMS] = {0, 0, 0, 0, 0, 0}, steps = (int)(j - i);
    memset(d, 0, sizeof *d);
    if (steps > NN__CHAIN_STEPS) return 0;
    for (int s = 0; s < steps; s++) { /* operands */
        nn_node   *n = p->node[i + s];
        nn_tensor *y = n->out[0];
        int        linked = s == 0;
        nn__chain_step *t = &d->c.step[s];
        if (n->op->run != nn__run_map || (y->dtype != NN_F32 && y->dtype != NN_F64) || !nn__is_planned(y->st)) return 0;
        if (s && (nn_numel(y) != nn_numel(d->made[0]) || y->dtype != d->made[0]->dtype || n->phase != p->node[i]->phase)) return 0;
        if (nn_numel(y) == 0) return 0;
        d->made[s]  = y;
        last[s]     = -1;
        t->kernel   = (int64_t)n->op->kernel;
        t->operands = n->n_in;
        if (n->attr) memcpy(t->p, n->attr, sizeof t->p);
        for (int o = 0; o < n->n_in; o++) {
            nn_tensor *x = n->in[o];
            int        k = 0, kind = nn__chain_kind(x, y);
            for (k = 0; k < s && d->made[k]->st != x->st; k++) {}
            if (k < s) { /* made in the chain */
                if (kind != NN__CHAIN_FULL || x->offset || nn_numel(x) != nn_numel(d->made[k])) return 0;
                t->from[o] = -1 - k;
                last[k]    = s;
                linked     = 1;
                continue;
            }
            if (kind < 0 || (kind == NN__CHAIN_ALONG && d->c.row && d->c.row != nn_numel(x))) return 0;
            if (kind == NN__CHAIN_ALONG) d->c.row = nn_numel(x);
            for (k = 0; k < d->c.n_in && !(d->in[k]->st == x->st && d->in[k]->offset == x->offset && d->c.kind[k] == kind); k++) {}
            if (k == NN__CHAIN_IN) return 0;
            if (k == d->c.n_in) { d->in[k] = x; d->c.kind[k] = kind; d->c.n_in++; }
            t->from[o] = k;
        }
        if (!linked) return 0;
    }
    for (int s = 0; s < steps; s++) { /* rooms */
        nn__chain_step  *t = &d->c.step[s];
        const nn__value *v = &p->value[d->made[s]->st->uses];
        int              stays = v->last >= j;
        for (int o = 0; o < t->operands; o++)
            if (t->from[o] < 0) t->from[o] = NN__CHAIN_IN + where[-1 - t->from[o]];
        for (int k = 0; k < s; k++)
            if (last[k] == s && where[k] < NN__CHAIN_ROOMS) taken[where[k]] = 0; /* read for the last time: the result may take its room */
        if (stays) {
            if (d->c.n_out == NN__CHAIN_OUT) return 0;
            d->out[d->c.n_out] = d->made[s];
            where[s] = NN__CHAIN_ROOMS + d->c.n_out++;
        } else {
            int r = 0;
            while (r < NN__CHAIN_ROOMS && taken[r]) r++;
            if (r == NN__CHAIN_ROOMS) return 0;
            taken[r] = 1;
            where[s] = r;
        }
        t->to = where[s];
    }
    d->c.steps = steps;
    return d->c.n_out > 0;
}
static int nn__pass_chains(nn_plan *p) {
    int changes = 0;
    for (int64_t i = 0; i < p->n; i++) {
        nn__chain_draft best, d;
        nn_node        *n;
        int64_t         j = i + 1;
        if (!nn__plan_values(p)) return -1;
        if (!nn__chain_draft_of(p, i, j, &best)) continue;
        for (int64_t more = i + 2; more <= p->n && more - i <= NN__CHAIN_STEPS; more++)
            if (nn__chain_draft_of(p, i, more, &d)) { best = d; j = more; }
            else if (more > j + 4) break;
        if (j - i < 2) continue;
        n = nn__node_new(p, &nn__op_chain, best.c.n_in, best.c.n_out, &best.c, p->node[i]);
        if (!n) return -1;
        for (int k = 0; k < n->n_in; k++) n->in[k] = best.in[k];
        for (int k = 0; k < n->n_out; k++) n->out[k] = best.out[k];
        p->node[i] = n;
        for (int64_t k = i + 1; k < j; k++) p->node[k] = NULL;
        nn__plan_remove_marked(p);
        changes++;
    }
    return changes;
}

/* -- gradients: what a leaf will hold is made in the block that it will hold, not copied there; and where a weight is used several
      times, later contributions are added by the product's last store. (Only sums short enough for one block of k, which
      are the same to the bit then.) -- */
static nn_node *nn__fuse_sum(nn_plan *p, int64_t j, int64_t *i, int64_t *at) { /* an add of a weight's gradient to what came before */
    nn_node *t = p->node[j], *b, *n;
    for (int k = 0; k < 2 && t->op == &nn__op_add; k++) {
        nn_tensor      *dw = t->in[k], *sum = t->in[1 - k];
        int64_t         first = nn__maker(p, sum);
        nn__linear_back a;
        if ((*i = nn__sole_maker(p, dw, &nn__op_linear_back)) < 0 || first < 0 || first >= *i || p->value[sum->st->uses].uses != 1 || !nn__same_shape(dw, sum) || !nn__same_shape(dw, t->out[0])) continue;
        b = p->node[*at = *i];
        a = *(const nn__linear_back *)b->attr;
        if (b->out[1]->st != dw->st || a.adds || dw->ndim != 2 || dw->size[0] < 2 || dw->size[1] < 2 || nn_numel(b->in[0]) / dw->size[0] > NN__GEMM_KC_LEAST) continue;
        a.adds = 1;
        n = nn__node_like(p, b, b->n_in, &a);
        if (!n) return NULL;
        n->out[1] = t->out[0];
        nn__plan_redirect(p, t->out[0]->st, sum->st);
        return n;
    }
    return NULL;
}
static const nn__pattern nn__sum_patterns[] = {nn__fuse_sum};
static int nn__pass_gradients(nn_plan *p) {
    int changes = nn__fuse(p, nn__sum_patterns, 1);
    if (changes < 0) return -1;
    for (int64_t j = 0; j < p->n; j++) { /* as soon as it is there, after what the same leaf got before */
        nn_node *t = p->node[j];
        int64_t  i = t->op == &nn__op_leave ? nn__maker(p, t->in[0]) : -1;
        if (i < 0 || nn__is_written(p, t->in[0], i, j)) continue;
        for (int64_t k = i + 1; k < j; k++)
            if (p->node[k]->op == &nn__op_leave && !memcmp(p->node[k]->attr, t->attr, sizeof(nn_tensor *))) i = k;
        for (int64_t k = j; k > i + 1; k--) p->node[k] = p->node[k - 1];
        p->node[i + 1] = t;
        if (!nn__plan_values(p)) return -1;
    }
    for (int64_t j = 0; j < p->n; j++) {
        nn_tensor   *g = p->node[j]->n_in ? p->node[j]->in[0] : NULL;
        nn__storage *st;
        if (p->node[j]->op != &nn__op_leave || nn__maker(p, g) < 0 || nn__value_of(p, g)->uses != 1) continue;
        st = g->st;
        if (!nn__grow(p->ctx, &p->loose, &p->loose_room, p->loose_n + 1, sizeof *p->loose)) return -1;
        p->loose[p->loose_n++] = g;
        g->own.bytes   = st->bytes;
        g->own.home    = NN__POOL;
        g->own.number  = st->number;
        nn__plan_redirect(p, st, &g->own);
        if (!nn__plan_values(p)) return -1;
        changes++;
    }
    return changes;
}

/* -- recomputation: a value that backward needs need not wait for it; what made it can run again (Chen et al. 2016). A set of values
      is dropped after its last use by a forward node; at the first backward node that wants one of them, clones of the nodes
      that made it, and of what those need in turn, are put before it. Clones compute the same bits: same kernels, same operands,
      same random streams. Nodes that write are never cloned, nor those whose operands are written meanwhile. -- */
typedef struct nn__again { /* one attempt */
    nn_plan   *p;
    char      *drop;           /* of each value */
    int64_t   *early;          /* its last use by a forward node */
    nn__storage **now;         /* where a dropped value is from its recomputation on */
    nn_node  **list;
    int64_t    n, room, at;    /* at: the node that is being placed */
    int64_t    blocked;        /* a value that cannot be made again there, -1: none */
    double     flops;
} nn__again;

static int nn__is_late(const nn_node *n) { return n->phase & NN_PHASE_BACK; }

static nn_tensor *nn__moved(nn_plan *p, const nn_tensor *x, nn__storage *st) {
    nn_tensor *y = nn__own_header(p, x);
    if (y) y->st = st;
    return y;
}
static int nn__again_make(nn__again *a, int64_t v);
static nn_node *nn__again_node(nn__again *a, nn_node *t, int clone) { /* t with its dropped operands made again; a clone gets results of its own */
    nn_plan *p = a->p;
    nn_node *n = NULL;
    for (int k = 0; k < t->n_in; k++) {
        int64_t v = nn__is_planned(t->in[k]->st) ? t->in[k]->st->uses : -1;
        if (v >= 0 && a->drop[v] && a->at > a->early[v] && !nn__again_make(a, v)) return NULL;
    }
    for (int k = 0; k < t->n_in || (clone && !n); k++) {
        int64_t v = k < t->n_in && nn__is_planned(t->in[k]->st) ? t->in[k]->st->uses : -1;
        if (!clone && !(v >= 0 && a->now[v])) continue;
        if (!n) {
            n = nn__node_like(p, t, t->n_in, t->attr);
            if (!n) return NULL;
        }
        if (v >= 0 && a->now[v] && !(n->in[k] = nn__moved(p, t->in[k], a->now[v]))) return NULL;
    }
    for (int k = 0; k < t->n_out && clone; k++)
        if (!(n->out[k] = nn__planned_like(p, t->out[k], t->out[k]->dtype))) return NULL;
    return n ? n : t;
}
static int nn__again_make(nn__again *a, int64_t v) {
    nn_plan *p = a->p;
    nn_node *t = p->node[p->value[v].def], *n;
    if (a->now[v]) return 1;
    if (nn__inputs_are_written(p, t, p->value[v].def, a->at)) return a->blocked = v, 0;
    n = nn__again_node(a, t, 1);
    if (!n) return 0;
    n->phase |= NN_PHASE_BACK; /* it belongs to the backward part now */
    if (t->op->cost) a->flops += t->op->cost(t).flops;
    for (int k = 0; k < t->n_out; k++)
        if (a->drop[t->out[k]->st->uses]) a->now[t->out[k]->st->uses] = n->out[k]->st;
    return nn__list_add(p, &a->list, &a->n, &a->room, n);
}
static size_t nn__plan_place(nn_plan *p); /* below: the peak of a layout */

/* The list with a->drop dropped; the most alive at once in *bound, if asked for. 0: no memory, or a->blocked says what cannot be */
static int nn__again_try(nn__again *a, size_t *bound);

static int nn__again_begin(nn_plan *p, nn__again *a) {
    memset(a, 0, sizeof *a);
    a->p = p;
    if (!nn__plan_values(p)) return 0;
    a->drop  = (char *)nn__arena(p->ctx, (size_t)p->values);
    a->early = (int64_t *)nn__arena(p->ctx, (size_t)p->values * sizeof *a->early);
    a->now   = (nn__storage **)nn__arena(p->ctx, (size_t)p->values * sizeof *a->now);
    if (!a->drop || !a->early || !a->now) return 0;
    memset(a->drop, 0, (size_t)p->values);
    for (int64_t v = 0; v < p->values; v++) a->early[v] = p->value[v].def;
    for (int64_t i = 0; i < p->n; i++)
        for (int k = 0; k < p->node[i]->n_in && !nn__is_late(p->node[i]); k++)
            if (nn__is_planned(p->node[i]->in[k]->st)) a->early[p->node[i]->in[k]->st->uses] = i;
    return 1;
}
/* May value v be made again late? Forward, not an output, never written, and the same then as now */
static int nn__again_may(const nn__again *a, int64_t v) {
    const nn_plan   *p = a->p;
    const nn__value *w = &p->value[v];
    const nn_node   *n = p->node[w->def];
    if (nn__is_late(n) || n->op->flags & NN_OP_WRITES || w->last >= p->n || w->last <= a->early[v]) return 0;
    for (int64_t i = w->def + 1; i <= w->last; i++) {
        if (!(p->node[i]->op->flags & NN_OP_WRITES)) continue;
        for (int k = 0; k < n->n_in; k++)
            if (nn__node_touches(p->node[i], n->in[k]->st)) return 0;
        for (int k = 0; k < n->n_out; k++)
            if (nn__node_touches(p->node[i], n->out[k]->st)) return 0;
    }
    return 1;
}
static size_t nn__plan_bound(const nn_plan *p) { /* the most that is alive at once */
    size_t now = 0, most = 0, *ends;
    nn_ctx  *c = p->ctx;
    nn__mark mark = nn__arena_mark(c);
    ends = (size_t *)nn__arena(c, (size_t)(p->n + 1) * 2 * sizeof *ends);
    if (!ends) return SIZE_MAX;
    memset(ends, 0, (size_t)(p->n + 1) * 2 * sizeof *ends);
    for (int64_t v = 0; v < p->values; v++) {
        ends[2 * p->value[v].def] += p->value[v].size;
        if (p->value[v].last < p->n) ends[2 * p->value[v].last + 1] += p->value[v].size;
    }
    for (int64_t i = 0; i < p->n; i++) {
        now += ends[2 * i];
        if (now > most) most = now;
        now -= ends[2 * i + 1];
    }
    nn__arena_rewind(c, mark);
    return most;
}
static size_t nn__plan_need(nn_plan *p) { /* the bound; where that fits the budget, what a layout really takes */
    size_t bound = nn__plan_bound(p);
    return p->options.budget && bound <= p->options.budget ? nn__plan_place(p) : bound;
}
static int nn__again_try(nn__again *a, size_t *bound) {
    nn_plan *p = a->p;
    a->list = NULL; a->n = a->room = 0; a->flops = 0; a->blocked = -1;
    memset(a->now, 0, (size_t)p->values * sizeof *a->now);
    for (a->at = 0; a->at < p->n; a->at++) {
        nn_node *n = nn__is_late(p->node[a->at]) ? nn__again_node(a, p->node[a->at], 0) : p->node[a->at];
        if (!n || !nn__list_add(p, &a->list, &a->n, &a->room, n)) return nn__free(p->ctx, a->list, (size_t)a->room * sizeof *a->list), 0;
    }
    if (bound) { /* of the new list, in place of the old one for a moment */
        nn_node **was = p->node;
        int64_t   n = p->n, fine;
        p->node = a->list; p->n = a->n;
        fine    = nn__plan_values(p);
        *bound  = fine ? nn__plan_need(p) : SIZE_MAX;
        p->node = was; p->n = n;
        nn__free(p->ctx, a->list, (size_t)a->room * sizeof *a->list);
        return fine && nn__plan_values(p);
    }
    return 1;
}

/* A node's segment: by nn_checkpoint, or its numbered block's, every k of which make one; 0: none */
static int64_t nn__segment_of(const nn_node *n, int every) {
    int64_t block = -1;
    if (n->phase / NN_PHASE_SEGMENT) return (int64_t)(n->phase / NN_PHASE_SEGMENT) + (every ? 1 << 20 : 0);
    for (const nn__name *k = (const nn__name *)n->place; every && k && k->parent; k = k->parent)
        if (k->index >= 0) block = k->index; /* the outermost */
    return block < 0 ? 0 : block / every + 1;
}
/* Drops what is made and used within a segment only, but for backward. How many values */
static int nn__again_segments(nn__again *a, int every) {
    nn_plan *p = a->p;
    int64_t  last = 0;
    int      dropped = 0;
    for (int64_t i = 0; i < p->n; i++)
        if (!nn__is_late(p->node[i]) && nn__segment_of(p->node[i], every) > last) last = nn__segment_of(p->node[i], every);
    memset(a->drop, 0, (size_t)p->values);
    for (int64_t v = 0; v < p->values; v++) {
        int64_t segment = nn__segment_of(p->node[p->value[v].def], every);
        a->drop[v] = segment && nn__again_may(a, v) && !(every && segment == last); /* the last one's backward begins at once */
    }
    for (int64_t i = 0; i < p->n; i++) /* what another segment's forward nodes read stays */
        for (int k = 0; k < p->node[i]->n_in && !nn__is_late(p->node[i]); k++) {
            nn__value *v = nn__value_of(p, p->node[i]->in[k]);
            if (v && nn__segment_of(p->node[i], every) != nn__segment_of(p->node[v->def], every)) a->drop[v->st->uses] = 0;
        }
    for (int64_t v = 0; v < p->values; v++) dropped += a->drop[v];
    return dropped;
}

typedef struct nn__candidate { int64_t v; double price; } nn__candidate;
static int nn__by_price(const void *x, const void *y) {
    const nn__candidate *a = (const nn__candidate *)x, *b = (const nn__candidate *)y;
    return a->price < b->price ? -1 : a->price > b->price ? 1 : a->v < b->v ? -1 : a->v > b->v;
}
static double nn__again_price(const nn__again *a, int64_t v, int depth) { /* FLOPs to make v late, with what of its operands is dropped */
    const nn_node *n = a->p->node[a->p->value[v].def];
    double         price = n->op->cost ? n->op->cost(n).flops : nn__cost_bytes(n).bytes;
    for (int k = 0; k < n->n_in && depth < 32; k++)
        if (nn__is_planned(n->in[k]->st) && a->drop[n->in[k]->st->uses]) price += nn__again_price(a, n->in[k]->st->uses, depth + 1);
    return price;
}
/* Until the budget holds: of the values alive where most is, that whose recomputation costs least for its size. 1: it holds */
static int nn__again_greedy(nn__again *a, size_t budget, size_t *best) {
    nn_plan       *p = a->p;
    nn__candidate *list = (nn__candidate *)nn__arena(p->ctx, (size_t)p->values * sizeof *list);
    nn__mark       mark;
    if (!list) return 0;
    memset(a->drop, 0, (size_t)p->values);
    *best = nn__plan_need(p);
    while (*best > budget && !p->ctx->error) {
        int64_t n = 0;
        int     better = 0;
        for (int64_t v = 0; v < p->values; v++) {
            if (a->drop[v] || !nn__again_may(a, v)) continue;
            list[n].v       = v;
            list[n++].price = (nn__again_price(a, v, 0) + 1) / (double)p->value[v].size;
        }
        qsort(list, (size_t)n, sizeof *list, nn__by_price);
        for (int64_t k = 0; k < n && !better && !p->ctx->error; k++) {
            size_t bound;
            mark = nn__arena_mark(p->ctx);
            a->drop[list[k].v] = 1;
            better = nn__again_try(a, &bound) && bound < *best;
            nn__arena_rewind(p->ctx, mark);
            if (better) *best = bound;
            else a->drop[list[k].v] = 0;
        }
        if (!better) return 0;
    }
    return !p->ctx->error;
}

static int nn__pass_recompute(nn_plan *p) {
    nn__again a;
    int       changes = 0;
    size_t    best = 0;
    if (!nn__again_begin(p, &a)) return -1;
    if (p->options.checkpoint || !p->options.budget) {
        changes = nn__again_segments(&a, p->options.checkpoint);
        if (p->options.checkpoint && !changes) {
            int blocks = 0;
            for (int64_t i = 0; i < p->n; i++) blocks |= nn__segment_of(p->node[i], 1) != 0;
            if (!blocks) return nn__fail(p->ctx, NULL, NN__M_PLAN_BLOCKS), -1;
        }
    } else {
        int64_t n = p->values;
        if (nn__plan_need(p) <= p->options.budget) return 0;
        if (!nn__again_greedy(&a, p->options.budget, &best) && !p->ctx->error) { /* or in segments, the fewest FLOPs that do */
            char  *keep = (char *)nn__arena(p->ctx, (size_t)n);
            double flops = -1;
            if (!keep) return -1;
            for (int every = 1; every <= 64; every++) {
                nn__mark mark = nn__arena_mark(p->ctx);
                size_t   bound = SIZE_MAX;
                int      fine  = nn__again_segments(&a, every) && nn__again_try(&a, &bound);
                nn__arena_rewind(p->ctx, mark);
                if (p->ctx->error) return -1;
                if (fine && bound < best) best = bound;
                if (!fine || bound > p->options.budget || (flops >= 0 && a.flops >= flops)) continue;
                flops = a.flops;
                memcpy(keep, a.drop, (size_t)n);
            }
            if (flops < 0) return nn__fail(p->ctx, NULL, NN__M_PLAN_BUDGET, (unsigned long long)p->options.budget, (unsigned long long)best), -1;
            memcpy(a.drop, keep, (size_t)n);
        }
        for (int64_t v = 0; v < n; v++) changes += a.drop[v];
    }
    while (changes && !p->ctx->error && !nn__again_try(&a, NULL)) { /* what cannot be made again stays */
        if (a.blocked < 0) break;
        a.drop[a.blocked] = 0;
        changes--;
    }
    if (p->ctx->error) return -1;
    if (!changes) return 0;
    p->stats.again = a.flops;
    nn__list_take(p, a.list, a.n, a.room);
    return changes;
}

/* -- an optimiser's step, cut by parameters: each part runs as soon as its gradients are there and nobody reads its parameters any
      more, while both are in the caches, and the gradients' rooms are free again. Small ones stay together: a node costs more. -- */
enum { NN__UPDATE_PART = 1 << 17 }; /* bytes of parameters from which on a part is worth a node */
typedef struct nn__early { int64_t at; int i; } nn__early;
static int nn__by_place(const void *x, const void *y) {
    const nn__early *a = (const nn__early *)x, *b = (const nn__early *)y;
    return a->at < b->at ? -1 : a->at > b->at ? 1 : a->i - b->i;
}
static int64_t nn__update_ready(const nn_plan *p, const nn_node *t, int64_t at, int i, int each) { /* the last node before t that has to do with parameter i */
    int64_t ready = -1;
    for (int64_t j = 0; j < at; j++)
        for (int k = 0; k < each; k++)
            if (nn__node_touches(p->node[j], t->in[i * each + k]->st)) ready = j;
            else for (int m = 0; m < p->node[j]->n_out; m++)
                if (p->node[j]->out[m]->st == t->in[i * each + k]->st) ready = j;
    for (int64_t j = 0; j < at; j++)
        if (nn__node_touches(p->node[j], t->in[t->n_in - 1]->st) && j > ready) ready = j; /* hyper */
    return ready;
}
static int nn__pass_updates(nn_plan *p) {
    int changes = 0;
    for (int64_t at = 0; at < p->n; at++) { /* hyper is set first, so that it holds nobody up */
        nn_node *t = p->node[at];
        int      first = 1;
        if (t->op != &nn__op_schedule) continue;
        for (int64_t j = 0; j < at; j++) first &= !nn__node_touches(p->node[j], t->in[0]->st);
        if (!first) continue;
        for (int64_t j = at; j > 0; j--) p->node[j] = p->node[j - 1];
        p->node[0] = t;
    }
    for (int64_t at = 0; at < p->n; at++) {
        nn_node   *t = p->node[at], **list = NULL;
        int        each = nn__update_each(t->op), count = each ? (t->n_in - 1) / each : 0, parts = 0;
        int64_t    n = 0, room = 0, moved = 0;
        nn__early *order;
        nn_node  **part;
        int64_t   *when;
        size_t     bytes = 0;
        if (!each) continue;
        order = (nn__early *)nn__arena(p->ctx, (size_t)count * sizeof *order);
        part  = (nn_node **)nn__arena(p->ctx, (size_t)count * sizeof *part);
        when  = (int64_t *)nn__arena(p->ctx, (size_t)count * sizeof *when);
        if (!order || !part || !when) return -1;
        for (int i = 0; i < count; i++) { order[i].i = i; order[i].at = nn__update_ready(p, t, at, i, each); }
        qsort(order, (size_t)count, sizeof *order, nn__by_place);
        for (int i = 0, from = 0; i < count; i++) { /* parts in the order in which they can run */
            nn_node *u;
            bytes += t->in[order[i].i * each]->st->bytes;
            if (i + 1 < count && (bytes < NN__UPDATE_PART || order[i + 1].at == order[i].at)) continue;
            u = nn__node_new(p, t->op, (i + 1 - from) * each + 1, 0, NULL, t);
            if (!u) return -1;
            for (int k = from; k <= i; k++) memcpy(u->in + (k - from) * each, t->in + order[k].i * each, (size_t)each * sizeof *u->in);
            u->in[u->n_in - 1] = t->in[t->n_in - 1];
            part[parts]   = u;
            when[parts++] = order[i].at;
            from  = i + 1;
            bytes = 0;
        }
        if (!nn__grow(p->ctx, &list, &room, p->n + parts, sizeof *list)) return -1;
        for (int64_t i = 0, k = 0; i < p->n; i++) {
            if (i != at) list[n++] = p->node[i];
            for (; k < parts && (when[k] <= i || i == at); k++) {
                moved += i < at - 1;
                list[n++] = part[k];
            }
        }
        nn__list_take(p, list, n, room);
        at += parts - 1;
        changes += (int)moved;
    }
    return changes;
}

/* -- branches: nodes that do not need each other, each too small for all threads, run side by side. A lane is a list of nodes that
      runs in order on one thread, with a context of its own for scratch; the values of a branch all live until its end. -- */
enum { NN__BRANCH_NODES = 64, NN__BRANCH_LEAST = 8000, NN__BRANCH_MOST = 60000 }; /* nanoseconds: of a lane that is worth it, of a node that is better cut itself */
static double nn__node_time(const nn_node *n) { /* nanoseconds on one thread, roughly */
    nn_cost cost = n->op->cost ? n->op->cost(n) : nn__cost_bytes(n);
    return 40 + cost.flops * 0.02 + cost.bytes * 0.05;
}
static int nn__nodes_meet(const nn_node *a, const nn_node *b) { /* must a run before b? Both may read a value, but not if one makes or changes it */
    for (int k = 0; k < a->n_out; k++) {
        for (int m = 0; m < b->n_in; m++)
            if (a->out[k]->st == b->in[m]->st) return 1;
        for (int m = 0; m < b->n_out; m++)
            if (a->out[k]->st == b->out[m]->st) return 1;
    }
    for (int k = 0; k < a->n_in && (a->op->flags | b->op->flags) & NN_OP_WRITES; k++)
        if (nn__node_touches(b, a->in[k]->st)) return 1;
    return 0;
}
static int nn__branch_lanes(const nn_plan *p, int64_t begin, int64_t end, int most, int *lane, double *longest) { /* lanes by connection, evened out; how many */
    double time[NN__BRANCH_NODES];
    int    group[NN__BRANCH_NODES], to[NN__BRANCH_NODES], groups = 0, n = (int)(end - begin), lanes = 0;
    double load[16];
    for (int i = 0; i < n; i++) {
        group[i] = groups;
        time[groups++] = nn__node_time(p->node[begin + i]);
        for (int j = 0; j < i; j++) {
            int old = group[j];
            if (old == group[i] || !nn__nodes_meet(p->node[begin + j], p->node[begin + i])) continue;
            time[group[i]] += time[old];
            time[old] = 0;
            for (int k = 0; k < i; k++) if (group[k] == old) group[k] = group[i];
        }
    }
    for (int k = 0; k < most; k++) load[k] = 0;
    for (int turn = 0; turn < groups; turn++) { /* the longest first, each to the lane with least */
        int g = 0, l = 0;
        for (int k = 1; k < groups; k++) if (time[k] > time[g]) g = k;
        if (!(time[g] > 0)) break;
        for (int k = 1; k < most; k++) if (load[k] < load[l]) l = k;
        load[l] += time[g];
        time[g] = -1;
        to[g]   = l;
        if (l + 1 > lanes) lanes = l + 1;
    }
    for (int i = 0; i < n; i++) lane[i] = to[group[i]];
    *longest = 0;
    for (int k = 0; k < lanes; k++) if (load[k] > *longest) *longest = load[k];
    return lanes;
}
static int nn__is_own_op(const nn_op *op) { /* of nn.h: what a user's op does is not known to be safe beside others */
    for (size_t i = 0; i < sizeof nn_ops / sizeof *nn_ops; i++)
        if (nn_ops[i] == op) return 1;
    return op == &nn__op_product || op == &nn__op_norm_product || op == &nn__op_chain || op == &nn__op_loss || nn__update_each(op);
}
static nn_ctx *nn__lane_new(nn_ctx *c) { /* scratch, arena and pool for one lane: a fork that the context does not own */
    nn_ctx *f = nn__ctx_new(&c->config, c);
    if (!f) return nn__fail(c, "plan", NN__M_MEMORY, (unsigned long long)sizeof *f), (nn_ctx *)NULL;
    f->kernels = c->kernels;
    f->extras  = c->extras;
    f->config.threads = 1; /* a lane is one thread */
    f->object.next = f->object.prev = &f->object;
    if (nn__ctx_workers(f)) return f;
    nn_end(f);
    return nn__fail(c, "plan", NN__M_MEMORY, (unsigned long long)sizeof *f), (nn_ctx *)NULL;
}
/* While a branch runs nothing of it ends or begins: its values live from its first node to its last. */
static void nn__plan_widen(nn_plan *p) {
    for (int64_t v = 0; v < p->values; v++)
        for (int64_t b = 0; b < p->branches; b++) {
            nn__value *w = &p->value[v];
            if (w->def >= p->branch[b].begin && w->def < p->branch[b].end) w->def = p->branch[b].begin;
            if (w->last >= p->branch[b].begin && w->last < p->branch[b].end) w->last = p->branch[b].end - 1;
        }
}
static int nn__pass_branches(nn_plan *p) {
    nn_ctx *c = p->ctx;
    int     most = c->workers < 16 ? c->workers : 16, changes = 0;
    size_t  bound;
    if (p->options.serial || most < 2 || c->config.parallel) return 0; /* a user's pool may not be entered from its own jobs */
    p->lane_of = (int64_t *)nn__arena(c, (size_t)p->n * sizeof *p->lane_of);
    if (!p->lane_of || !nn__plan_values(p)) return -1;
    bound = nn__plan_bound(p);
    if (!p->options.checkpoint && !p->options.budget) bound += bound / 20; /* where memory is short, none of it for speed */
    for (int64_t i = 0; i < p->n; i++) {
        double  total = 0, best = 0;
        int     lane[NN__BRANCH_NODES], kept[NN__BRANCH_NODES], lanes = 0;
        int64_t end = i;
        for (int64_t j = i; j < p->n && j - i < NN__BRANCH_NODES && nn__node_time(p->node[j]) < NN__BRANCH_MOST && nn__is_own_op(p->node[j]->op); j++) {
            double longest, saved;
            int    k;
            total += nn__node_time(p->node[j]);
            k     = nn__branch_lanes(p, i, j + 1, most, lane, &longest);
            saved = total - longest;
            if (k < 2 || saved < NN__BRANCH_LEAST || saved <= best) continue; /* the longer only if it saves more */
            best  = saved;
            lanes = k;
            end   = j + 1;
            memcpy(kept, lane, sizeof kept);
        }
        if (!lanes) continue;
        if (!nn__grow(c, &p->branch, &p->branch_room, p->branches + 1, sizeof *p->branch)) return -1;
        p->branch[p->branches].begin = i;
        p->branch[p->branches].end   = end;
        p->branch[p->branches++].lanes = lanes;
        nn__plan_widen(p);
        if (nn__plan_bound(p) > bound) { p->branches--; if (!nn__plan_values(p)) return -1; nn__plan_widen(p); continue; }
        for (int64_t j = i; j < end; j++) p->lane_of[j] = kept[j - i];
        if (lanes > p->lanes) p->lanes = lanes;
        i = end - 1;
        changes++;
    }
    if (p->lanes) {
        p->lane = (nn_ctx **)nn__arena(c, (size_t)p->lanes * sizeof *p->lane);
        if (!p->lane) return p->lanes = 0, -1;
        for (int k = 0; k < p->lanes; k++) p->lane[k] = k ? NULL : c;
        for (int k = 1; k < p->lanes; k++)
            if (!(p->lane[k] = nn__lane_new(c))) return -1;
        for (int64_t b = 0; b < p->branches; b++)
            for (int64_t j = p->branch[b].begin; j < p->branch[b].end; j++) p->node[j]->ctx = p->lane[p->lane_of[j]];
    }
    return changes;
}
/* -- in place: an element-wise result takes the room of an operand that is read for the last time -- */
static int nn__dies_into(nn_plan *p, const nn_node *n, int k, int64_t i, const nn_tensor *y) {
    nn__value *v = nn__value_of(p, n->in[k]);
    int        times = 0;
    if (!v || v->last != i || nn__maker(p, n->in[k]) < 0 || n->in[k]->st->bytes != y->st->bytes) return 0;
    for (int m = 0; m < n->n_in; m++) times += n->in[m]->st == v->st;
    return times == 1;
}
static int nn__chain_frees(const nn_node *n, int in, int out) { /* is input `in` of a chain read before output `out` is written? */
    const nn__chain *c = (const nn__chain *)n->attr;
    int              read = -1, written = -1;
    if (c->kind[in] != NN__CHAIN_FULL) return 0;
    for (int s = 0; s < c->steps; s++) {
        for (int o = 0; o < c->step[s].operands; o++) if (c->step[s].from[o] == in) read = s;
        if (c->step[s].to == NN__CHAIN_ROOMS + out) written = s;
    }
    return read <= written;
}
static int nn__pass_in_place(nn_plan *p) {
    int changes = 0;
    for (int64_t i = 0; i < p->n; i++) {
        nn_node *n = p->node[i];
        int      chain = n->op == &nn__op_chain, found = 0, crossed = 0;
        if ((n->op->run != nn__run_map && !chain) || !nn__plan_values(p)) continue;
        for (int64_t b = 0; b < p->branches; b++) crossed |= i >= p->branch[b].begin && i < p->branch[b].end; /* another lane may still read it */
        for (int o = 0; o < n->n_out && !crossed; o++)
            for (int k = 0; k < n->n_in && !found; k++) {
                if (!nn__dies_into(p, n, k, i, n->out[o]) || (chain && !nn__chain_frees(n, k, o)) || (!chain && nn_numel(n->in[k]) != nn_numel(n->out[o]))) continue;
                nn__plan_redirect(p, n->out[o]->st, n->in[k]->st);
                found = 1;
                changes++;
            }
    }
    return changes;
}

/* -- the layout: the largest value first, each at the lowest place that is free as long as it lives -- */
static int nn__by_size(const void *x, const void *y) {
    const nn__value *a = *(nn__value *const *)x, *b = *(nn__value *const *)y;
    return a->size > b->size ? -1 : a->size < b->size ? 1 : a < b ? -1 : a > b;
}
static int nn__by_life(const void *x, const void *y) { /* the longest lived first */
    const nn__value *a = *(nn__value *const *)x, *b = *(nn__value *const *)y;
    int64_t          k = a->last - a->def, l = b->last - b->def;
    return k > l ? -1 : k < l ? 1 : a < b ? -1 : a > b;
}
static int nn__by_birth(const void *x, const void *y) {
    const nn__value *a = *(nn__value *const *)x, *b = *(nn__value *const *)y;
    return a->def < b->def ? -1 : a->def > b->def ? 1 : a->size > b->size ? -1 : a->size < b->size ? 1 : a < b ? -1 : a > b;
}
static size_t nn__place_values(nn__value **order, int64_t n, nn__value **placed) { /* placed: room for n, kept in the order of offsets */
    size_t peak = 0;
    for (int64_t i = 0; i < n; i++) {
        nn__value *v  = order[i];
        size_t     at = 0;
        int64_t    k;
        for (k = 0; k < i; k++) {
            nn__value *w = placed[k];
            if (w->last < v->def || w->def > v->last) continue;
            if (w->offset >= at + v->size) break;
            if (w->offset + w->size > at) at = w->offset + w->size;
        }
        v->offset = at;
        for (k = i; k > 0 && placed[k - 1]->offset > at; k--) placed[k] = placed[k - 1];
        placed[k] = v;
        if (at + v->size > peak) peak = at + v->size;
    }
    return peak;
}
/* The smallest peak that some orders and some repair give: what ends highest is placed first next time. Offsets into p->value. SIZE_MAX: no memory */
static size_t nn__plan_place(nn_plan *p) {
    static int (*const orders[])(const void *, const void *) = {nn__by_size, nn__by_life, nn__by_birth};
    nn_ctx     *c = p->ctx;
    nn__mark    mark = nn__arena_mark(c);
    int64_t     n = p->values, turns = n ? nn__min64(200, 40000000 / (n * n)) : 0;
    nn__value **order = (nn__value **)nn__arena(c, (size_t)n * 2 * sizeof *order);
    size_t     *best = (size_t *)nn__arena(c, (size_t)n * sizeof *best), least = SIZE_MAX, bound = nn__plan_bound(p);
    for (int k = 0; k < 3 && order && best && least > bound; k++) {
        for (int64_t v = 0; v < n; v++) order[v] = &p->value[v];
        qsort(order, (size_t)n, sizeof *order, orders[k]);
        for (int64_t turn = 0; turn <= turns && least > bound; turn++) {
            size_t  peak = nn__place_values(order, n, order + n);
            int64_t top = 0;
            if (peak < least) {
                least = peak;
                for (int64_t v = 0; v < n; v++) best[v] = p->value[v].offset;
            }
            while (top < n && order[top]->offset + order[top]->size != peak) top++;
            if (top >= n || top == 0) break;
            order[n] = order[top]; /* what ends highest goes to the front */
            memmove(order + 1, order, (size_t)top * sizeof *order);
            order[0] = order[n];
        }
    }
    for (int64_t v = 0; v < n && least < SIZE_MAX; v++) p->value[v].offset = best[v];
    nn__arena_rewind(c, mark);
    return n ? least : 0;
}
static int nn__plan_layout(nn_plan *p) {
    nn_ctx *c = p->ctx;
    nn__plan_widen(p);
    p->stats.bound = nn__plan_bound(p);
    p->stats.peak  = nn__plan_place(p);
    if (p->stats.peak == SIZE_MAX) return 0;
    if (p->options.budget && p->stats.peak > p->options.budget) return nn__fail(c, NULL, NN__M_PLAN_BUDGET, (unsigned long long)p->options.budget, (unsigned long long)p->stats.peak);
    if (c->shape_only || !p->values) return 1;
    if (NN__SEPARATE_BLOCKS) { /* so that overruns are seen */
        for (int64_t v = 0; v < p->values; v++) {
            p->value[v].st->data = nn__arena(c, p->value[v].st->bytes);
            if (!p->value[v].st->data) return 0;
            memset(p->value[v].st->data, 0, p->value[v].st->bytes);
        }
        return 1;
    }
    p->block = (char *)nn__alloc_zero(c, p->stats.peak);
    if (!p->block) return 0;
    for (int64_t v = 0; v < p->values; v++) p->value[v].st->data = p->block + p->value[v].offset;
    return 1;
}

/* -- all passes, in order. A pattern of your own, attention say, is one more function and one more line. -- */
typedef struct nn__pass { const char *name, *what; int (*run)(nn_plan *p); int optional; } nn__pass;
static const nn__pass nn__passes[] = {
    {"dead nodes", "whose results nobody reads", nn__pass_dead, 1},
    {"constants", "computed now, once", nn__pass_constants, 1},
    {"views", "resolved: headers over the same bytes; copies where an op needs them", nn__pass_views, 0},
    {"common subexpressions", "computed once", nn__pass_common, 1},
    {"softmax and loss", "cross-entropy and its gradient in one pass over the rows", nn__pass_loss, 1},
    {"epilogues", "bias, activation, residual in the last store of a product", nn__pass_epilogues, 1},
    {"norm and product", "rows normalised where they are multiplied", nn__pass_norms, 1},
    {"chains", "element-wise ops tile by tile in the first cache", nn__pass_chains, 1},
    {"gradients", "made and summed where they will be held", nn__pass_gradients, 1},
    {"updates", "optimiser steps moved to where their gradients are ready", nn__pass_updates, 1},
    {"recompute", "computed again for backward instead of kept", nn__pass_recompute, 0},
    {"branches", "independent nodes side by side", nn__pass_branches, 1},
    {"in place", "results in the room of an operand that dies", nn__pass_in_place, 1}};

static int nn__plan_skips(const nn_plan *p, const nn__pass *pass) { /* is it named in options.skip? */
    const char *s = p->options.skip;
    size_t      n = strlen(pass->name);
    if (!s || !pass->optional) return 0;
    if (!strcmp(s, "all")) return 1;
    while (*s) {
        size_t k = strcspn(s, ",");
        if (k == n && !strncmp(s, pass->name, n)) return 1;
        s += k;
        while (*s == ',' || *s == ' ') s++;
    }
    return 0;
}

/* Text of a tensor: an input's name, a parameter's path, "const", or %4: the value that node made */
static void nn__put_tensor(nn__out *o, const nn_plan *p, const nn_tensor *x) {
    nn__text t;
    const char *name = NULL;
    for (int64_t i = 0; i < p->inputs && !nn__is_planned(x->st); i++)
        if (p->input[i]->x->st == x->st) name = p->input[i]->name;
    for (int64_t i = 0; i < p->uses && !nn__is_planned(x->st) && !name; i++)
        if (p->use[i].own->st == x->st) name = p->use[i].name;
    if (nn__is_planned(x->st) || x->st->home == NN__POOL) nn__put(o, "%%%u", (unsigned)x->st->number);
    else nn__put(o, "%s", name ? name : x->st->home == NN__STEP ? "const" : "outside");
    nn__put(o, "%s", nn__shape_text(&t, x->ndim, x->size));
    if (x->dtype != NN_F32) nn__put(o, " %s", nn_dtype_name(x->dtype));
}
static const char *nn__kernel_name(int64_t place, int operands) {
    for (size_t i = 0; i < sizeof nn_ops / sizeof *nn_ops; i++)
        if ((int64_t)nn_ops[i]->kernel == place && nn_ops[i]->n_in == operands && nn_ops[i]->run == nn__run_map) return nn_ops[i]->name;
    return "?";
}
static void nn__put_op(nn__out *o, const nn_node *n) { /* the op, and what was fused into it */
    static const char *const acts[] = {"", "+relu", "+sigmoid", "+tanh", "+gelu"};
    nn__put(o, "%s", n->op->name);
    if (n->op == &nn__op_linear) nn__put(o, "%s", acts[*(const int *)n->attr]);
    if (n->op == &nn__op_linear_back && ((const nn__linear_back *)n->attr)->act) nn__put(o, "%s", acts[((const nn__linear_back *)n->attr)->act]);
    if (n->op == &nn__op_linear_back && n->n_in > 4) nn__put(o, "+add");
    if (n->op == &nn__op_product || n->op == &nn__op_norm_product) {
        const nn__product *a = (const nn__product *)n->attr;
        if (a->bias >= 0) nn__put(o, "+bias");
        if (a->act >= 0) nn__put(o, "+%s", nn__kernel_name(a->act, 1));
        if (a->residual >= 0) nn__put(o, "+residual");
    }
    if (n->op == &nn__op_chain)
        for (int s = 0; s < ((const nn__chain *)n->attr)->steps; s++) nn__put(o, "%s%s", s ? "," : " ", nn__kernel_name(((const nn__chain *)n->attr)->step[s].kernel, ((const nn__chain *)n->attr)->step[s].operands));
}
static void nn__put_node(nn__out *o, const nn_plan *p, const nn_node *n, int64_t i) {
    char where[64];
    nn__put(o, "  %3lld  ", (long long)i);
    for (int k = 0; k < n->n_out; k++) {
        if (n->out[k]->ndim == 1 && n->out[k]->size[0] == 0) { nn__put(o, "%s-", k ? ", " : ""); continue; } /* not wanted */
        nn__put(o, "%s", k ? ", " : "");
        nn__put_tensor(o, p, n->out[k]);
    }
    nn__put(o, "%s", n->n_out ? " = " : "");
    nn__put_op(o, n);
    for (int k = 0; k < n->n_in && k < 12; k++) {
        nn__put(o, "%s", k ? ", " : "  ");
        nn__put_tensor(o, p, n->in[k]);
    }
    if (n->n_in > 12) nn__put(o, ", ... (%d)", n->n_in);
    if (n->place && nn__place_text((const nn__name *)n->place, where, sizeof where)) nn__put(o, "   @%s", where);
    nn__put(o, "%s\n", n->phase & NN_PHASE_BACK ? "   (backward)" : "");
}
static void nn__put_list(nn__out *o, const nn_plan *p) {
    for (int64_t i = 0; i < p->n; i++) nn__put_node(o, p, p->node[i], i);
}
/* Appends to the plan's text what `write` writes. 0: no memory */
static int nn__plan_log(nn_plan *p, const nn__pass *pass, int changes, int64_t before) {
    for (int turn = 0; turn < 2; turn++) {
        nn__out o;
        o.text = p->text ? p->text + p->text_size : NULL; o.size = p->text_room - p->text_size; o.n = 0;
        if (pass) nn__put(&o, "%-22s %4d change%s  %5lld -> %lld nodes   %s\n", pass->name, changes, changes == 1 ? ",  " : "s, ", (long long)before, (long long)p->n, pass->what);
        else nn__put(&o, "recorded: %lld nodes\n", (long long)p->n);
        if (p->options.trace && (!pass || changes)) nn__put_list(&o, p);
        if (o.n < o.size) { p->text_size += o.n; return 1; }
        if (!turn) {
            int64_t room = (int64_t)p->text_room;
            if (!nn__grow(p->ctx, &p->text, &room, (int64_t)(p->text_size + o.n + 1), 1)) return 0;
            p->text_room = (size_t)room;
        }
    }
    return 0;
}

static void nn__plan_number(nn_plan *p) { /* values are known by the order in which they are made */
    for (int64_t i = 0; i < p->n; i++)
        for (int k = 0; k < p->node[i]->n_out; k++)
            if (nn__is_planned(p->node[i]->out[k]->st) && !p->node[i]->out[k]->st->number) p->node[i]->out[k]->st->number = ++p->numbers;
}

/* A constant that the step itself writes is made anew in each run: a copy of what it was becomes the list's first node. */
static int nn__plan_renew(nn_plan *p) {
    for (int64_t i = 0; i < p->n; i++)
        for (int k = 0; k < p->node[i]->n_in && p->node[i]->op->flags & NN_OP_WRITES; k++) {
            nn_tensor *x = p->node[i]->in[k], *was, *now;
            nn_node   *copy, like;
            int64_t    n = (int64_t)(x->st->bytes / nn__dtypes[x->dtype].size);
            if (x->st->home != NN__STEP || !x->st->data) continue;
            memset(&like, 0, sizeof like);
            was = nn__plan_header(p, x->dtype);
            now = nn__own_header(p, x);
            if (!was || !now || !nn__grow(p->ctx, &p->node, &p->room, p->n + 1, sizeof *p->node)) return 0;
            nn__set_shape(was, 1, &n);
            nn__set_shape(now, 1, &n);
            was->own.data  = x->st->data;
            was->own.bytes = x->st->bytes;
            was->own.home  = NN__STEP;
            x->st->data    = NULL;
            x->st->home    = NN__PLANNED;
            if (!(copy = nn__copy_node(p, was, now, &like))) return 0;
            memmove(p->node + 1, p->node, (size_t)p->n++ * sizeof *p->node);
            p->node[0] = copy;
            i++;
        }
    return 1;
}
/* The list becomes what it will be, and gets its memory. The plan's arena is in place. */
static int nn__plan_make(nn_plan *p) {
    nn_ctx *c = p->ctx;
    if (!nn__plan_renew(p)) return 0;
    nn__plan_number(p);
    if (!nn__plan_log(p, NULL, 0, 0)) return 0;
    for (size_t k = 0; k < sizeof nn__passes / sizeof *nn__passes; k++) {
        int64_t before = p->n;
        int     changes;
        if (nn__plan_skips(p, &nn__passes[k])) continue;
        changes = nn__passes[k].run(p);
        if (changes < 0 || c->error) return 0;
        if (nn__passes[k].run == nn__pass_views) { /* what the eager run would hold: every value its own room */
            if (!nn__plan_values(p)) return 0;
            for (int64_t v = 0; v < p->values; v++) p->stats.naive += p->value[v].size;
        }
        nn__plan_number(p);
        if (!nn__plan_log(p, &nn__passes[k], changes, before)) return 0;
    }
    if (!nn__plan_values(p) || !nn__plan_layout(p)) return 0;
    for (int64_t i = 0; i < p->n; i++) {
        nn_node *n = p->node[i];
        if (n->op->cost) p->stats.flops += n->op->cost(n).flops;
        if (n->op->flags & NN_OP_RANDOM) p->streams = p->streams > n->stream + 1 ? p->streams : n->stream + 1;
    }
    p->stats.nodes = (int)p->n;
    p->ticks = (int64_t *)nn__arena(c, (size_t)p->n * sizeof *p->ticks);
    if (!p->ticks) return 0;
    memset(p->ticks, 0, (size_t)p->n * sizeof *p->ticks);
    return 1;
}

static uint64_t nn__hash(uint64_t h, const void *p, size_t n) { /* FNV-1a */
    for (size_t i = 0; i < n; i++) h = (h ^ ((const unsigned char *)p)[i]) * 1099511628211u;
    return h;
}
static uint64_t nn__hash_tensor(const nn_plan *p, uint64_t h, const nn_tensor *x) {
    const void *st = x->st;
    if (nn__is_planned(x->st)) h = nn__hash(h, &x->st->number, sizeof x->st->number);
    else if (x->st->home == NN__STEP && x->st->data) h = nn__hash(h, x->st->data, x->st->bytes);
    else {
        for (int64_t i = 0; i < p->inputs; i++)
            if (p->input[i]->x->st == x->st) st = (const void *)(uintptr_t)(i + 1);
        h = nn__hash(h, &st, sizeof st);
    }
    h = nn__hash(h, &x->dtype, sizeof x->dtype);
    h = nn__hash(h, &x->offset, sizeof x->offset);
    h = nn__hash(h, x->size, (size_t)x->ndim * sizeof x->size[0]);
    return nn__hash(h, x->stride, (size_t)x->ndim * sizeof x->stride[0]);
}
static uint64_t nn__plan_signature(const nn_plan *p) { /* values are numbered */
    uint64_t h = 1469598103934665603u;
    for (int64_t i = 0; i < p->n; i++) {
        const nn_node *n = p->node[i];
        h = nn__hash(h, &n->op, sizeof n->op);
        h = nn__hash(h, &n->stream, sizeof n->stream);
        if (n->op->attr_size) h = nn__hash(h, n->attr, n->op->attr_size);
        for (int k = 0; k < n->n_in; k++) h = nn__hash_tensor(p, h, n->in[k]);
        for (int k = 0; k < n->n_out; k++) h = nn__hash_tensor(p, h, n->out[k]);
    }
    for (int k = 0; k < p->outputs; k++) h = nn__hash_tensor(p, h, p->output[k]);
    return h;
}

static int nn__plan_end(nn_plan *p, nn_tensor **outputs, int n, int make);
NN_API int nn_plan_end(nn_plan *p, nn_tensor **outputs, int n) { return nn__plan_end(p, outputs, n, 1); }
static int nn__plan_end(nn_plan *p, nn_tensor **outputs, int n, int make) { /* make: 0, only what was recorded is of interest */
    nn_ctx *c = p ? p->ctx : NULL;
    int     fine;
    if (!p || c->copy != &nn__this_copy) return 0;
    if (!p->recording) return nn__ok(c) && nn__fail(c, "plan_end", NN__M_PLAN_STATE, "the plan is made already");
    fine = nn__ok(c) && (n == 0 || nn__ok_arg(c, "plan_end", outputs, "outputs"));
    if (fine && p->gone) fine = nn__fail(c, "plan_end", NN__M_PLAN_GONE, p->gone);
    for (int k = 0; k < n && fine; k++)
        if (!nn__live(c, outputs[k])) fine = !nn__operand_bad(c, "plan_end", outputs[k], k);
    fine = fine && nn__plan_collect(p, outputs, n);
    nn__plan_stop(p);
    if (fine) {
        nn__plan_number(p);
        p->signature = nn__plan_signature(p);
        fine = make && nn__plan_make(p);
    }
    nn__plan_swap(p);
    for (int k = 0; k < n && outputs; k++) outputs[k] = fine ? p->output[k] : NULL;
    p->ready = fine;
    p->stats.held = p->stats.peak + p->aside.memory.step_held + (size_t)p->room * sizeof *p->node + (size_t)p->value_room * sizeof *p->value + (size_t)p->use_room * sizeof *p->use + p->text_room;
    for (int k = 1; k < p->lanes; k++) p->stats.held += p->lane[k]->memory.now;
    return fine;
}

/* -- running -- */
typedef struct nn__lane_work { nn_plan *p; const nn__branch *b; } nn__lane_work;
static void nn__lane_part(void *arg, int64_t begin, int64_t end, int worker) {
    nn__lane_work *w = (nn__lane_work *)arg;
    (void)worker;
    for (int64_t l = begin; l < end; l++)
        for (int64_t i = w->b->begin; i < w->b->end; i++)
            if (w->p->lane_of[i] == l && !w->p->node[i]->ctx->error) w->p->node[i]->op->run(w->p->node[i]);
}
static void nn__plan_run_branch(nn_plan *p, const nn__branch *b) {
    nn_ctx       *c = p->ctx;
    nn__lane_work w;
    w.p = p; w.b = b;
    for (int k = 1; k < p->lanes; k++) { /* the same random numbers as in c */
        p->lane[k]->config.seed = c->config.seed;
        p->lane[k]->step        = c->step;
    }
    nn__parallel(c, b->lanes, 1e6, nn__lane_part, &w);
    for (int k = 1; k < p->lanes; k++) {
        nn_ctx *f = p->lane[k];
        if (f->error && !c->error) { c->error = f->error; memcpy(c->error_text, f->error_text, sizeof c->error_text); }
        nn_error_clear(f);
        nn__arena_reset(f);
    }
}
static int64_t nn__plan_run_noted(nn_plan *p) { /* under nn_profile: node by node; how many ran */
    nn_ctx *c = p->ctx;
    int64_t i;
    for (i = 0; i < p->n && !c->error; i++) {
        nn_node *n = p->node[i];
        nn_ctx  *was = n->ctx;
        uint64_t start = nn__ticks();
        n->ctx = c;
        n->op->run(n);
        p->ticks[i] += (int64_t)(nn__ticks() - start);
        c->in_backward = n->phase & NN_PHASE_BACK;
        nn__profile_note(n, start);
        c->in_backward = 0;
        n->ctx = was;
    }
    p->timed++;
    return i;
}
static void nn__plan_uncount(nn_plan *p, int64_t end) { /* a run broke off: optimiser steps that were counted but not made */
    for (int64_t i = 0; i < end; i++) {
        int made = 0;
        if (p->node[i]->op != &nn__op_schedule) continue;
        for (int64_t j = i + 1; j < end; j++) made |= nn__node_touches(p->node[j], p->node[i]->in[0]->st);
        if (!made) {
            nn_optim *o;
            memcpy(&o, p->node[i]->attr, sizeof o);
            o->step--;
        }
    }
}
static int nn__plan_check(nn_plan *p) { /* is all that it uses still there, and as it was? */
    nn_ctx  *c = p->ctx;
    nn__text t, u;
    if (c->plan) return nn__fail(c, NULL, NN__M_PLAN_HOST, "plan_run");
    if (!p->ready) return nn__fail(c, "plan_run", NN__M_PLAN_STATE, "the plan was not made; nn_plan_end comes first");
    if (p->gone) return nn__fail(c, "plan_run", NN__M_PLAN_GONE, p->gone);
    if (c->shape_only) return nn__fail(c, "plan_run", NN__M_NO_DATA, "run a plan on");
    for (int64_t i = 0; i < p->inputs; i++) {
        nn__plan_in *in = p->input[i];
        if (in->epoch != NN__NO_EPOCH && in->epoch != c->epoch) return nn__fail(c, "plan_run", NN__M_PLAN_DROPPED, in->name);
        if (in->from && !nn__same_shape(in->from, in->x))
            return nn__fail(c, "plan_run", NN__M_PLAN_CHANGED, in->name, nn__shape_text(&t, in->x->ndim, in->x->size), nn__shape_text(&u, in->from->ndim, in->from->size));
        if (in->x->own.data == in->room && in->room) nn__copy_rows(&in->view, in->view.dtype, in->room, 0, nn_numel(&in->view), 0);
    }
    for (int64_t i = 0; i < p->uses; i++) {
        const nn__use *k = &p->use[i];
        if (k->check && !nn__same_shape(k->live, k->own))
            return nn__fail(c, "plan_run", NN__M_PLAN_CHANGED, k->name, nn__shape_text(&t, k->own->ndim, k->own->size), nn__shape_text(&u, k->live->ndim, k->live->size));
    }
    for (int64_t i = 0; i < p->loose_n; i++) {
        nn__storage *st = &p->loose[i]->own;
        st->uses = 0;
        if (!st->data && !(st->data = nn__pool_get(c, st->bytes))) return 0;
    }
    if (p->streams && p->stream_base != c->streams) { /* random ops draw on from where this step is */
        for (int64_t i = 0; i < p->n; i++)
            if (p->node[i]->op->flags & NN_OP_RANDOM) p->node[i]->stream += c->streams - p->stream_base;
        p->stream_base = c->streams;
    }
    return 1;
}
NN_API int nn_plan_run(nn_plan *p) {
    nn_ctx  *c = p ? p->ctx : NULL;
    int64_t  i = 0, b = 0;
    nn__mark mark;
    if (!nn__ok(c) || !nn__plan_check(p)) return 0;
    mark = nn__arena_mark(c);
    if (c->profiling) i = nn__plan_run_noted(p);
    else
        while (i < p->n && !c->error) {
            if (b < p->branches && p->branch[b].begin == i) {
                nn__plan_run_branch(p, &p->branch[b]);
                i = p->branch[b++].end;
            } else {
                p->node[i]->op->run(p->node[i]);
                i++;
            }
        }
    if (c->error) nn__plan_uncount(p, i);
    c->streams += p->streams;
    if (c->memory.step_now != mark.now) nn__arena_rewind(c, mark); /* scratch of ops */
    if (c->error) return 0;
    for (int k = 0; k < p->outputs; k++)
        if (nn__is_planned(p->output[k]->st)) p->output[k]->st->version++;
    p->stats.runs++;
    return 1;
}
NN_API nn_plan_stats nn_plan_stats_of(const nn_plan *p) {
    nn_plan_stats s;
    memset(&s, 0, sizeof s);
    return p ? p->stats : s;
}

/* -- plans that nn_fit and nn_predict make by themselves -- */
static nn_plan *nn__record_quietly(nn_ctx *c, nn__cached *k, int make, void (*step)(void *arg, nn_tensor *x, nn_tensor *y, nn_tensor **out), void *arg, int outs, nn_tensor *x, nn_tensor *y) {
    nn_plan_options options = nn_plan_defaults();
    nn_plan        *p;
    nn_tensor      *out[NN__STEP_OUTS] = {NULL, NULL, NULL};
    int             quiet = c->config.quiet, fine;
    c->config.quiet = 1;
    options.exact   = 1;
    p = nn_plan_begin(c, &options);
    if (p) {
        x = nn_plan_input(p, "x", x);
        if (y) y = nn_plan_input(p, "y", y);
        step(arg, x, y, out);
        fine = nn__plan_end(p, out, outs, make);
        k->signature = p->signature;
        if (make) memcpy(k->out, out, sizeof out);
        if ((make && !fine) || c->error) {
            k->eager = 1;
            nn_plan_free(p);
            p = NULL;
        }
    }
    if (c->error && c->error != NN_ERR_MEMORY) nn_error_clear(c);
    c->config.quiet = quiet;
    return p;
}
static void nn__predict_record(void *arg, nn_tensor *x, nn_tensor *y, nn_tensor **out) {
    (void)y;
    out[0] = nn_predict((nn_model *)arg, x);
}
static nn_plan *nn__predict_plan(nn_model *m, nn_tensor *x) {
    nn__cached *k = nn__cached_for(m->plans, x, NULL);
    if (!k || k->eager || x->st->device) return NULL;
    if (++k->seen < 2) return NULL;
    if (!k->plan) {
        k->plan = nn__record_quietly(m->ctx, k, 1, nn__predict_record, m, 1, x, NULL);
        if (k->plan) k->plan->owner = &k->plan;
    }
    return k->plan && !k->plan->gone && nn_plan_bind(k->plan, "x", x) ? k->plan : NULL;
}
static nn_tensor *nn__plan_result(nn_plan *p) { return p->output[0]; }

NN_API int nn_model_plan(nn_model *m, int on) {
    if (!m || (on && !nn__ok(m->ctx))) return 0;
    for (int i = 0; m->plans && i < NN__CACHED; i++) nn_plan_free(m->plans->at[i].plan);
    nn__free(m->ctx, m->plans, sizeof *m->plans);
    m->plans = on ? (nn__plans *)nn__alloc_zero(m->ctx, sizeof *m->plans) : NULL;
    return !on || m->plans;
}

/* -- reports -- */
static int nn__text_out(nn_ctx *c, const char *text, char *to, size_t size) {
    size_t n = strlen(text);
    (void)c;
    if (size) { size_t k = n < size ? n : size - 1; memcpy(to, text, k); to[k] = 0; }
    return (int)n;
}
static int nn__plan_made(nn_plan *p, const char *function) {
    if (!p || !nn__ok(p->ctx)) return 0;
    if (p->gone) return nn__fail(p->ctx, function, NN__M_PLAN_GONE, p->gone); /* the names of its layers may be gone too */
    return p->ready ? 1 : nn__fail(p->ctx, function, NN__M_PLAN_STATE, "the plan was not made; nn_plan_end comes first");
}
NN_API int nn_plan_passes_text(nn_plan *p, char *text, size_t size) {
    if (size && text) text[0] = 0;
    return nn__plan_made(p, "plan_passes") ? nn__text_out(p->ctx, p->text, text, size) : -1;
}
NN_API int nn_plan_report_text(nn_plan *p, char *text, size_t size) {
    nn_ctx     *c = p ? p->ctx : NULL;
    nn__profile own, *m;
    nn__out     o;
    double      tick = 0, predicted = 0, measured = 0;
    o.text = text; o.size = size; o.n = 0;
    if (size) text[0] = 0;
    if (!nn__plan_made(p, "plan_report")) return -1;
    m = c->profile;
    if (m) tick = nn__tick_seconds(m);
    else { /* the machine's limits, measured for this report */
        memset(&own, 0, sizeof own);
        own.began = nn_time(); own.began_ticks = nn__ticks();
        m = &own;
        if (!nn__profile_probe(c, m)) return -1;
    }
    nn__put(&o, "plan: %d nodes recorded, %d run; %.0f FLOPs", p->stats.recorded, p->stats.nodes, p->stats.flops);
    if (p->stats.again > 0) nn__put(&o, ", %.0f of them computed again (%.1f %%)", p->stats.again, 100 * p->stats.again / (p->stats.flops - p->stats.again));
    nn__put(&o, "\nmemory: %zu bytes if every value had its own room, %zu as laid out, %zu the least possible (largest set alive at once)\n", p->stats.naive, p->stats.peak, p->stats.bound);
    nn__put(&o, "%-5s %-28s %-20s %12s %12s %10s %10s %10s\n", "node", "op", "layer", "FLOPs", "bytes", "offset", "least us", p->timed ? "us" : "");
    for (int64_t i = 0; i < p->n; i++) {
        const nn_node *n = p->node[i];
        nn_cost        cost = n->op->cost ? n->op->cost(n) : nn__cost_bytes(n);
        double         least = nn__max64((int64_t)(cost.flops / m->peak * 1e12), (int64_t)(cost.bytes / m->bandwidth * 1e12)) * 1e-6, took = p->timed ? (double)p->ticks[i] * tick / (double)p->timed * 1e6 : 0;
        char           op[64], where[64];
        nn__out        k;
        k.text = op; k.size = sizeof op; k.n = 0;
        op[0] = where[0] = 0;
        nn__put_op(&k, n);
        if (n->place) nn__place_text((const nn__name *)n->place, where, sizeof where);
        nn__put(&o, "%-5lld %-28.28s %-20.20s %12.0f %12.0f ", (long long)i, op, where, cost.flops, cost.bytes);
        if (n->n_out && nn__is_planned(n->out[0]->st)) nn__put(&o, "%10zu ", p->value[n->out[0]->st->uses].offset);
        else nn__put(&o, "%10s ", "-");
        nn__put(&o, "%10.3f", least);
        if (p->timed) nn__put(&o, " %10.3f", took);
        nn__put(&o, "%s\n", n->phase & NN_PHASE_BACK ? "  backward" : "");
        predicted += least;
        measured += took;
    }
    nn__put(&o, "sum: %.3f us at least", predicted);
    if (p->timed) nn__put(&o, ", %.3f us measured (mean of %lld runs)", measured, (long long)p->timed);
    nn__put(&o, "; limits: %.1f GFLOP/s, %.1f GB/s\n", m->peak * 1e-9, m->bandwidth * 1e-9);
    return (int)o.n;
}
static int nn__print_text(nn_plan *p, int (*write)(nn_plan *p, char *text, size_t size)) {
    int n = write(p, NULL, 0);
#if !defined(NN_NO_STDIO)
    char *s = n >= 0 ? (char *)nn__alloc(p->ctx, (size_t)n + 200) : NULL; /* measured numbers may grow */
    if (!s) return 0;
    write(p, s, (size_t)n + 200);
    fputs(s, stdout);
    nn__free(p->ctx, s, (size_t)n + 200);
#endif
    return n >= 0;
}
NN_API int nn_plan_report(nn_plan *p) { return nn__print_text(p, nn_plan_report_text); }
NN_API int nn_plan_passes(nn_plan *p) { return nn__print_text(p, nn_plan_passes_text); }

/* -- pictures: the list as a graph in columns: forward runs down, backward up beside it, each node next to the one whose gradient it is part
      of; what the optimiser does stands on the right. nn_plan_dot leaves the drawing to Graphviz, nn_plan_svg draws: rows by the longest
      path, in a row each in the lane of what it needs, or the next that is free. Whole pixels: printf's decimal point is the locale's. -- */
#if !defined(NN_NO_STDIO)
enum { NN__DRAW_INPUT, NN__DRAW_PARAM, NN__DRAW_CONST, NN__DRAW_PRODUCT, NN__DRAW_MAP, NN__DRAW_NORM, NN__DRAW_LOSS, NN__DRAW_MOVE, NN__DRAW_OPTIM, NN__DRAW_OWN, NN__DRAW_KINDS };
enum { NN__DRAW_TEXT = 160, NN__DRAW_MOST = 38, NN__DRAW_LINES = 4 }; /* bytes and characters of a line, lines of a box */
static const struct nn__draw_kind { const char *name, *fill, *pale, *line; } nn__draw_kinds[] = { /* pale: of backward */
    {"input", "#d3f0d4", "#d3f0d4", "#3f8f4a"}, {"parameter", "#fff0c9", "#fff0c9", "#b98516"}, {"constant, kept", "#f1f3f5", "#f1f3f5", "#868e96"}, {"product", "#cfe3fa", "#eaf3fd", "#2f6db5"},
    {"element-wise", "#cdeeea", "#e8f8f6", "#1f8a80"}, {"norm, softmax, sum", "#e3d9f7", "#f3eefc", "#7650b8"}, {"loss", "#fad4d4", "#fdecec", "#c23f3f"}, {"move", "#e4e7eb", "#f3f4f6", "#69737f"},
    {"optimiser, gradient", "#ffdfc4", "#ffdfc4", "#c8681d"}, {"op of your own", "#fbd3ea", "#fdebf6", "#b83f86"}, {"output of the plan", "#ffffff", "#ffffff", "#4a5563"}, {"kept for backward", "#ffffff", "#ffffff", "#9aa7b8"}};
static int nn__draw_kind_of(const nn_op *op) {
    static const char *const begins[] = {"linear", "matmul", "product", "norm+product", "conv", "softmax", "log_softmax", "layernorm", "sum", "max", "cross_entropy", "mse"};
    if (nn__update_each(op) || op == &nn__op_average || op == &nn__op_clip || op == &nn__op_schedule || op == &nn__op_leave) return NN__DRAW_OPTIM;
    if (op->flags & NN_OP_MAP || op == &nn__op_chain) return NN__DRAW_MAP;
    if (!nn__is_own_op(op)) return NN__DRAW_OWN;
    for (int i = 0; i < 12; i++)
        if (!strncmp(op->name, begins[i], strlen(begins[i]))) return i < 5 ? NN__DRAW_PRODUCT : i < 10 ? NN__DRAW_NORM : NN__DRAW_LOSS;
    return NN__DRAW_MOVE;
}

typedef struct nn__box { /* an op, or a tensor from outside */
    const nn_node   *node;                /* NULL: x, known by name */
    const nn_tensor *x;
    const char      *name;
    int kind, column, output;             /* column 0: forward, 1: backward, 2: the optimiser; output: of the plan */
    int cluster, owner, pair;             /* -1: none. owner: the op that a parameter stands beside; pair: the forward op of a backward one, and back */
    int met, edge, needs;                 /* met: the op last reached from here, by this edge; needs: how many edges lead here */
    int row, lane, mid, top, w, h, chips, left; /* mid: its middle across; chips, left: the parameters beside it, and room for them */
} nn__box;
typedef struct nn__edge { int from, to, more, way; const nn_tensor *x; } nn__edge; /* more: tensors than x; way: 0 changes lanes at once, -1 at last, else round its column, this far out */
typedef struct nn__cluster { const nn__name *at; int up, column, boxes, depth, hidden, first, last, above, below, x0, x1; } nn__cluster; /* a scope; first, last: rows */
typedef struct nn__drawing {
    nn_plan     *p;
    int          dot, boxes, edges, clusters, rows, left[3], right[3], way0[3]; /* of columns: where they begin and end, and the ways round them begin */
    nn__box     *box;
    nn__edge    *edge;                            /* sorted by where they lead */
    nn__cluster *cluster;                         /* a scope stands before those in it */
    int         *row_top, *row_high, *row_gap, *used; /* row_gap: the middle of what is free above a row; used: lanes, of each column and row */
} nn__drawing;

/* -- the graph -- */
static int nn__draw_cluster(nn__drawing *d, const nn__name *at, int column) {
    nn__cluster *k;
    int          up;
    if (!at || !at->parent || column == 2) return -1;
    for (int i = d->clusters - 1; i >= 0; i--)
        if (d->cluster[i].at == at && d->cluster[i].column == column) return i;
    up = nn__draw_cluster(d, at->parent, column);
    k  = (nn__cluster *)memset(&d->cluster[d->clusters], 0, sizeof *k);
    k->at = at; k->up = up; k->column = column; k->depth = up < 0 ? 1 : d->cluster[up].depth + 1;
    return d->clusters++;
}
static int nn__draw_box(nn__drawing *d, const nn_node *node, int kind, int column, int cluster) {
    nn__box *b = (nn__box *)memset(&d->box[d->boxes], 0, sizeof *b);
    b->node = node; b->kind = kind; b->column = column; b->cluster = cluster;
    b->owner = b->pair = b->met = b->lane = -1;
    for (int k = cluster; k >= 0; k = d->cluster[k].up) d->cluster[k].boxes++;
    return d->boxes++;
}
/* The box that x comes from. -1: none: what backward and the optimiser read of outside goes without saying, and so does what is too much */
static int nn__draw_source(nn__drawing *d, const int *maker, const nn_tensor *x, int to) {
    nn_plan       *p = d->p;
    const nn__use *use = NULL;
    nn__box       *b;
    int            column = d->box[to].column, inputs = (int)p->inputs;
    if (nn__is_planned(x->st)) return maker[x->st->uses];
    for (int i = 0; i < inputs; i++)
        if (p->input[i]->x->st == x->st) return i;
    if (column == 2 || (column == 1 && x->st->home != NN__STEP)) return -1;
    for (int i = inputs; i < d->boxes; i++)
        if (!d->box[i].node && d->box[i].x->st == x->st) return d->box[i].column == column ? i : -1;
    if (d->box[to].chips == 4) return -1;
    for (int64_t u = 0; u < p->uses && !use; u++)
        if (p->use[u].own->st == x->st) use = &p->use[u];
    b        = &d->box[nn__draw_box(d, NULL, use && strcmp(use->name, "kept") && strcmp(use->name, "state") ? NN__DRAW_PARAM : NN__DRAW_CONST, column, d->box[to].cluster)];
    b->x     = use ? use->own : x;
    b->name  = use ? use->name : NULL;
    b->owner = to;
    d->box[to].chips++;
    return d->boxes - 1;
}
static void nn__draw_edge(nn__drawing *d, int from, int to, const nn_tensor *x) {
    nn__edge *e = &d->edge[d->edges], *was = from < 0 ? NULL : &d->edge[d->box[from].edge];
    if (from < 0) return;
    if (d->box[from].met == to) { was->more += was->x->st != x->st; return; }
    d->box[from].met  = to;
    d->box[from].edge = d->edges++;
    d->box[to].needs += d->box[from].owner < 0;
    e->from = from; e->to = to; e->x = x; e->more = e->way = 0;
}
static int nn__draw_graph(nn__drawing *d) {
    nn_plan *p = d->p;
    nn_ctx  *c = p->ctx;
    size_t   operands = 0, depth = 0;
    int     *maker;
    for (int64_t i = 0; i < p->n; i++) {
        operands += (size_t)p->node[i]->n_in;
        for (const nn__name *k = (const nn__name *)p->node[i]->place; k; k = k->parent) depth++;
    }
    d->box     = (nn__box *)nn__arena(c, ((size_t)(p->n + p->inputs) + operands) * sizeof *d->box);
    d->edge    = (nn__edge *)nn__arena(c, (operands + 1) * sizeof *d->edge);
    d->cluster = (nn__cluster *)nn__arena(c, depth * sizeof *d->cluster);
    maker      = (int *)nn__arena(c, (size_t)p->values * sizeof *maker);
    if (!d->box || !d->edge || !d->cluster || !maker) return 0;
    for (int64_t v = 0; v < p->values; v++) maker[v] = -1;
    for (int64_t i = 0; i < p->inputs; i++) {
        nn__box *b = &d->box[nn__draw_box(d, NULL, NN__DRAW_INPUT, 0, -1)];
        b->x    = p->input[i]->x;
        b->name = p->input[i]->name;
    }
    for (int64_t i = 0; i < p->n; i++) {
        const nn_node *n = p->node[i];
        int kind = nn__draw_kind_of(n->op), column = kind == NN__DRAW_OPTIM ? 2 : (n->phase & NN_PHASE_BACK) != 0;
        int b = nn__draw_box(d, n, kind, column, nn__draw_cluster(d, (const nn__name *)n->place, column));
        for (int k = 0; k < n->n_in; k++) nn__draw_edge(d, nn__draw_source(d, maker, n->in[k], b), b, n->in[k]);
        for (int k = 0; k < n->n_in + n->n_out; k++) { /* what it changes comes from here, too */
            const nn_tensor *x = k < n->n_in ? n->in[k] : n->out[k - n->n_in];
            if (nn__is_planned(x->st) && (k >= n->n_in || (n->op->flags & NN_OP_WRITES && (n->op != &nn__op_assign || k == 0)))) maker[x->st->uses] = b;
        }
    }
    for (int k = 0; k < p->outputs; k++)
        if (nn__is_planned(p->output[k]->st) && maker[p->output[k]->st->uses] >= 0) d->box[maker[p->output[k]->st->uses]].output = 1;
    return 1;
}

/* -- text -- */
static int  nn__draw_length(const char *s) { return (int)(strlen(s) < NN__DRAW_MOST ? strlen(s) : NN__DRAW_MOST + 3); }
static void nn__put_escaped(nn__out *o, const char *s, int most, int dot) { /* Graphviz reads &lt; as XML does; what is not ASCII may be no text at all */
    for (; *s && most-- > 0; s++) {
        if (*s < 32 || *s > 126) nn__put(o, "?");
        else if (*s == '\\' && dot) nn__put(o, "\\\\");
        else if (strchr("<>&\"", *s)) nn__put(o, "&%s;", *s == '<' ? "lt" : *s == '>' ? "gt" : *s == '&' ? "amp" : "quot");
        else nn__put(o, "%c", *s);
    }
    if (*s) nn__put(o, "...");
}
static void nn__put_size(nn__out *o, const nn_tensor *x) {
    nn__text t;
    nn__put(o, "%s", x->ndim ? nn__shape_text(&t, x->ndim, x->size) : "scalar");
    if (x->dtype != NN_F32) nn__put(o, " %s", nn_dtype_name(x->dtype));
}
static void nn__put_scope(nn__out *o, const nn__name *at) {
    nn__put(o, "%s", at->name);
    if (at->index >= 0) nn__put(o, ".%lld", (long long)at->index);
}
static int nn__draw_framed(const nn__drawing *d, int k) { return d->dot || (d->cluster[k].boxes > 1 && !d->cluster[k].hidden); }
static int nn__put_layer(nn__out *o, const nn__drawing *d, int k) { /* as far as no frame says it */
    if (k < 0 || nn__draw_framed(d, k)) return 0;
    if (nn__put_layer(o, d, d->cluster[k].up)) nn__put(o, ".");
    nn__put_scope(o, d->cluster[k].at);
    return 1;
}
/* What stands in a box: the op or name; beside it its layer, or what of; more about it; shapes. Empty lines are left out. */
static void nn__draw_lines(const nn__drawing *d, const nn__box *b, char (*line)[NN__DRAW_TEXT]) {
    const nn_node *n = b->node;
    nn__out        o[NN__DRAW_LINES];
    int            count = n && nn__update_each(n->op) ? n->n_in / nn__update_each(n->op) : 0;
    char           where[64] = "", *blank;
    size_t         k = b->owner >= 0 && b->cluster >= 0 ? nn__place_text(d->cluster[b->cluster].at, where, sizeof where) : 0;
    for (int i = 0; i < NN__DRAW_LINES; i++) { o[i].text = line[i]; o[i].size = NN__DRAW_TEXT; o[i].n = 0; line[i][0] = 0; }
    if (!n && !b->name && b->x->ndim == 0 && b->x->st->data) nn__put(&o[0], "%g", nn__load(b->x->dtype, nn__data(b->x), 0));
    else if (!n) { /* a parameter's name needs no layer's */
        nn__put(&o[0], "%s", !b->name ? "const" : k && !strncmp(b->name, where, k) && b->name[k] == '.' ? b->name + k + 1 : b->name);
        nn__put_size(&o[3], b->x);
    }
    if (!n) return;
    nn__put_op(&o[0], n);
    blank = n->op == &nn__op_chain ? strchr(line[0], ' ') : NULL;
    if (blank) { *blank = 0; nn__put(&o[2], "%s", blank + 1); }
    nn__put_layer(&o[1], d, b->cluster);
    if (count) nn__put(&o[1], "%d parameter%s", count, count > 1 ? "s" : "");
    if (n->op == &nn__op_clip) nn__put(&o[1], "%d gradient%s", n->n_in, n->n_in > 1 ? "s" : "");
    if (n->op == &nn__op_schedule) nn__put(&o[1], "learning rate");
    for (int64_t u = 0; u < d->p->uses && n->op == &nn__op_leave; u++)
        if (!memcmp(n->attr, &d->p->use[u].live, sizeof d->p->use[u].live)) nn__put(&o[1], "of %s", d->p->use[u].name);
    for (int i = 0; i < n->n_out && b->column < 2 && (i == 0 || b->column == 1); i++) { /* forward: the others are there for backward */
        if (n->out[i]->ndim == 1 && n->out[i]->size[0] == 0) continue; /* not wanted */
        if (o[3].n) nn__put(&o[3], "  ");
        nn__put_size(&o[3], n->out[i]);
    }
}

/* -- rows: forward each below what it needs, backward each above; a backward op beside its forward one, if that can be had -- */
static void nn__draw_pairs(nn__drawing *d) { /* in one layer: the last forward op goes with the first backward one, relu with relu_back, any product with linear_back */
    for (int i = 0; i < d->boxes; i++) {
        nn__box *b = &d->box[i];
        for (int k = i - 1; k >= 0 && b->node && b->column == 1 && b->pair < 0; k--) {
            nn__box *f = &d->box[k];
            if (f->column || f->pair >= 0 || f->kind != b->kind || !f->node || f->node->place != b->node->place || f->node->op == b->node->op) continue;
            if (b->kind != NN__DRAW_PRODUCT && strncmp(b->node->op->name, f->node->op->name, strlen(f->node->op->name))) continue;
            b->pair = k;
            f->pair = i;
        }
    }
}
static int nn__draw_push(int *row, int least) { return *row < least ? *row = least, 1 : 0; }
static void nn__draw_pull(int *row, int most, int turn) { *row = turn ? most < *row ? most : *row : INT32_MAX; }
static void nn__draw_rows(nn__drawing *d) {
    nn__box *box = d->box;
    nn__draw_pairs(d);
    for (int turn = 0, changed = 1; changed && turn < 16; turn++) { /* few turns are enough, unless pairs cross: forward down, then backward from above */
        int back = turn & 1;
        changed  = !back;
        for (int i = 0; i < d->boxes; i++)
            if ((box[i].column > 0) == back && box[i].pair >= 0) changed |= nn__draw_push(&box[i].row, box[box[i].pair].row);
        for (int i = 0; i < d->edges; i++) {
            nn__edge *e = &d->edge[back ? d->edges - 1 - i : i];
            nn__box  *a = &box[e->from], *b = &box[e->to];
            if (a->owner >= 0) continue;
            if (!back && !b->column) changed |= nn__draw_push(&b->row, a->row + 1);
            if (back && a->column) changed |= nn__draw_push(&a->row, b->row + (a->column == b->column));
        }
    }
    for (int turn = 0; turn < 2; turn++) /* the optimiser: as soon as it can; what needs nothing: beside who needs it */
        for (int i = 0; i < d->edges; i++) {
            nn__box *a = &box[d->edge[i].from], *b = &box[d->edge[i].to];
            if (b->column == 2) nn__draw_pull(&b->row, a->row - (a->column == 2), turn);
            else if (!a->needs && !a->column && !b->column) nn__draw_pull(&a->row, b->row - 1, turn);
        }
    for (int i = 0; i < d->boxes; i++) {
        if (box[i].owner >= 0) box[i].row = box[box[i].owner].row;
        if (box[i].row >= d->rows) d->rows = box[i].row + 1;
    }
}

/* -- places -- */
static void nn__draw_sizes(nn__drawing *d) { /* by the mean width of a letter */
    for (int i = 0; i < d->boxes; i++) {
        nn__box *b = &d->box[i];
        char     line[NN__DRAW_LINES][NN__DRAW_TEXT];
        int      title, more, size;
        nn__draw_lines(d, b, line);
        title = nn__draw_length(line[0]) + nn__draw_length(line[1]) + 1; more = nn__draw_length(line[2]); size = nn__draw_length(line[3]);
        b->w = (int)nn__max64(104, 20 + nn__max64(77 * title, 63 * nn__max64(more, size)) / 10);
        b->h = 28 + 15 * ((more > 0) + (size > 0));
        b->left = 0;
        if (b->owner < 0) continue;
        b->w = 16 + (title + size) * 6; /* one line, smaller; stands after its op */
        b->h = 18;
        d->box[b->owner].left = (int)nn__max64(d->box[b->owner].left, b->w + 22);
    }
}
static int nn__draw_begin(const nn__box *b) { return b->mid - b->w / 2 - b->left; } /* across */
static int nn__draw_end(const nn__box *b) { return b->mid + b->w / 2; }
static int nn__draw_lanes(nn__drawing *d) { /* first ops, then inputs, where there is room */
    size_t rows = (size_t)d->rows;
    d->row_top = (int *)nn__arena(d->p->ctx, (6 * rows + 3) * sizeof *d->row_top);
    if (!d->row_top) return 0;
    memset(d->row_top, 0, (6 * rows + 3) * sizeof *d->row_top);
    d->row_high = d->row_top + rows + 1; d->row_gap = d->row_high + rows + 1; d->used = d->row_gap + rows + 1;
    for (int turn = 0; turn < 2; turn++)
        for (int i = 0, e = 0; i < d->boxes; i++) {
            nn__box *b = &d->box[i];
            int      lane = INT32_MAX, *used = &d->used[b->column * d->rows + b->row];
            for (; e < d->edges && d->edge[e].to == i; e++) {
                const nn__box *a = &d->box[d->edge[e].from];
                if (a->column == b->column && a->lane >= 0) nn__draw_pull(&lane, a->lane, 1);
            }
            if (b->owner >= 0 || (b->node == NULL) != turn) continue;
            b->lane = lane < INT32_MAX && lane > *used && b->column < 2 ? lane : *used;
            *used   = b->lane + 1;
        }
    return 1;
}
static void nn__draw_heights(nn__drawing *d) { /* frames need room above their first row and below their last */
    int y = 16;
    for (int k = 0; k < d->clusters; k++) { nn__cluster *c = &d->cluster[k]; c->first = INT32_MAX; c->last = -1; c->above = c->below = 0; }
    memset(d->row_high, 0, (size_t)d->rows * sizeof *d->row_high);
    for (int i = 0; i < d->boxes; i++) {
        nn__box *b = &d->box[i];
        nn__draw_push(&d->row_high[b->row], b->column < 2 ? nn__max64(b->h, 21 * b->chips) : 36 * d->used[2 * d->rows + b->row] - 8); /* the optimiser's stand one above the other */
        if (b->column) y = 40; /* captions */
        for (int k = b->cluster; k >= 0; k = d->cluster[k].up) { nn__draw_pull(&d->cluster[k].first, b->row, 1); nn__draw_push(&d->cluster[k].last, b->row); }
    }
    for (int k = d->clusters - 1; k >= 0; k--) { /* what is inside comes first */
        nn__cluster *c = &d->cluster[k], *up = c->up < 0 ? c : &d->cluster[c->up];
        if (nn__draw_framed(d, k)) { c->above += 20; c->below += 8; }
        if (up->first == c->first) nn__draw_push(&up->above, c->above);
        if (up->last == c->last) nn__draw_push(&up->below, c->below);
    }
    for (int r = 0; r <= d->rows; y += r < d->rows ? d->row_high[r] : 0, r++) {
        int above = 0, below = 0;
        for (int k = 0; k < d->clusters; k++) {
            if (d->cluster[k].first == r) nn__draw_push(&above, d->cluster[k].above);
            if (d->cluster[k].last == r - 1) nn__draw_push(&below, d->cluster[k].below);
        }
        d->row_gap[r] = y + below + 14;
        d->row_top[r] = y += above + below + (r && r < d->rows ? 28 : 0);
    }
}
static int nn__draw_ways(nn__drawing *d, int column) { /* edges that would cross boxes run round their column, each where it meets no other. How many ways */
    int ways = 0;
    for (int i = 0; i < d->edges; i++) {
        nn__edge *e = &d->edge[i];
        nn__box  *a = &d->box[e->from], *b = &d->box[e->to];
        int       low = a->row < b->row ? a->row : b->row, high = a->row + b->row - low, most = 0;
        uint64_t  taken = 0;
        if (a->column != column || b->column != column) continue;
        for (int r = low + 1; r < high; r++) nn__draw_push(&most, d->used[column * d->rows + r]);
        e->way = b->lane >= most ? 0 : -1;
        if (b->lane >= most || a->lane >= most) continue;
        for (int k = 0; k < i; k++) {
            const nn__box *from = &d->box[d->edge[k].from], *to = &d->box[d->edge[k].to];
            if (to->column == column && d->edge[k].way > 0 && nn__max64(from->row, to->row) > low && nn__min64(from->row, to->row) < high) taken |= (uint64_t)1 << (d->edge[k].way - 1);
        }
        for (e->way = 1; e->way < 40 && taken >> (e->way - 1) & 1;) e->way++;
        nn__draw_push(&ways, e->way);
    }
    return ways;
}
static int nn__draw_columns(nn__drawing *d) { /* side by side, the ways round forward to its left, round backward to its right */
    int x = 16, lanes = 0, *begin, *end;
    for (int i = 0; i < d->boxes; i++) nn__draw_push(&lanes, d->box[i].lane + 1);
    begin = (int *)nn__arena(d->p->ctx, (size_t)lanes * 2 * sizeof *begin);
    if (!begin) return 0;
    end = begin + lanes;
    for (int column = 0; column < 3; column++) {
        int any = 0, ways = 12 * nn__draw_ways(d, column), space = 24;
        for (int k = 0; k < d->clusters; k++) if (d->cluster[k].column == column && nn__draw_framed(d, k)) nn__draw_push(&space, 8 + 20 * d->cluster[k].depth);
        memset(begin, 0, (size_t)lanes * 2 * sizeof *begin);
        for (int i = 0; i < d->boxes; i++) { /* how far boxes reach to both sides of their lane's middle */
            const nn__box *b = &d->box[i];
            int            lane = column < 2 ? b->lane : 0;
            if (b->column != column || b->owner >= 0) continue;
            any = 1;
            nn__draw_push(&begin[lane], b->w / 2 + b->left);
            nn__draw_push(&end[lane], b->w / 2);
        }
        if (!any) continue;
        d->left[column] = x += x > 16 ? 84 : 0;
        d->way0[column] = x += column ? 0 : ways;
        for (int k = 0; k < lanes; k++) if (end[k]) { x += space / 2 + begin[k]; begin[k] = x; x += end[k] + space / 2; }
        for (int i = 0; i < d->boxes; i++) if (d->box[i].column == column && d->box[i].owner < 0) d->box[i].mid = begin[column < 2 ? d->box[i].lane : 0];
        if (column) { d->way0[column] = x; x += ways; }
        d->right[column] = x;
    }
    for (int i = 0, beside = 0; i < d->boxes; i++) { /* parameters stand in a pile beside their op */
        nn__box *b = &d->box[i], *op = b->owner < 0 ? b : &d->box[b->owner];
        int      middle = d->row_top[b->row] + d->row_high[b->row] / 2;
        beside = b->owner < 0 ? 0 : beside + 1;
        if (b->owner >= 0) { b->top = middle - op->chips * 21 / 2 + (beside - 1) * 21 + 1; b->mid = op->mid - op->w / 2 - 22 - b->w / 2; }
        else b->top = middle - (b->column < 2 ? b->h / 2 : 18 * d->used[2 * d->rows + b->row] - 4 - 36 * b->lane);
    }
    return 1;
}
static void nn__draw_frames(nn__drawing *d) { /* round the boxes of each scope; none where another box would be inside */
    for (int k = 0; k < d->clusters; k++) { d->cluster[k].x0 = INT32_MAX; d->cluster[k].x1 = INT32_MIN; }
    for (int i = 0; i < d->boxes; i++)
        if (d->box[i].cluster >= 0) { nn__draw_pull(&d->cluster[d->box[i].cluster].x0, nn__draw_begin(&d->box[i]), 1); nn__draw_push(&d->cluster[d->box[i].cluster].x1, nn__draw_end(&d->box[i])); }
    for (int k = d->clusters - 1; k >= 0; k--) {
        nn__cluster *c = &d->cluster[k];
        for (int i = 0; i < d->boxes && nn__draw_framed(d, k); i++) {
            const nn__box *b = &d->box[i];
            int            in = b->cluster;
            while (in > k) in = d->cluster[in].up;
            c->hidden |= in != k && b->column == c->column && b->row >= c->first && b->row <= c->last && nn__draw_end(b) > c->x0 && nn__draw_begin(b) < c->x1;
        }
        if (nn__draw_framed(d, k)) { c->x0 -= 10; c->x1 += 10; }
        if (c->up >= 0) { nn__draw_pull(&d->cluster[c->up].x0, c->x0, 1); nn__draw_push(&d->cluster[c->up].x1, c->x1); }
    }
}
static int nn__draw_layout(nn__drawing *d) {
    nn__draw_rows(d);
    if (!nn__draw_lanes(d)) return 0;
    for (int turn = 0; turn < 2; turn++) { /* again without the frames that cannot be: their names go into the boxes */
        nn__draw_sizes(d);
        nn__draw_heights(d);
        if (!nn__draw_columns(d)) return 0;
        nn__draw_frames(d);
    }
    return 1;
}

/* -- SVG -- */
static void nn__put_svg_edge(nn__out *o, const nn__drawing *d, const nn__edge *e) {
    const nn__box *a = &d->box[e->from], *b = &d->box[e->to];
    int            down = a->row < b->row, x0 = a->mid, y0 = down ? a->top + a->h : a->top, x1 = b->mid, y1 = down ? b->top : b->top + b->h;
    int            side, r = down ? 8 : -8, g0 = d->row_gap[a->row + down], g1 = d->row_gap[b->row + !down], x = d->way0[a->column] + (a->column ? 12 * e->way - 4 : 4 - 12 * e->way);
    if (e->way > 0) { /* out, along, and back */
        side = x < x0 ? -8 : 8;
        x0 += side * a->w / 32;
        x1 += side * b->w / 32;
        nn__put(o, "<path d=\"M%d %dV%dQ%d %d %d %dH%dQ%d %d %d %dV%dQ%d %d %d %dH%dQ%d %d %d %dV%d\"/>\n", x0, y0, g0 - r, x0, g0, x0 + side, g0, x - side, x, g0, x, g0 + r, g1 - r, x, g1, x - side, g1, x1 + side, x1, g1, x1, g1 + r, y1);
    } else if (a->column == b->column && a->row != b->row && e->way)
        nn__put(o, "<path d=\"M%d %dV%dC%d %d %d %d %d %d\"/>\n", x0, y0, 2 * g1 - y1, x0, g1, x1, g1, x1, y1);
    else if (a->column == b->column && a->row != b->row)
        nn__put(o, "<path d=\"M%d %dC%d %d %d %d %d %dV%d\"/>\n", x0, y0, x0, g0, x1, g0, x1, g0 == g1 ? y1 : 2 * g0 - y0, y1);
    else {
        int across = a->column != b->column, out, in;
        x0 += a->w / 2;
        x1 -= b->w / 2;
        y0  = a->top + a->h / 2;
        y1  = b->top + (b->chips && a->owner < 0 ? b->h - 5 : b->h / 2); /* not through a parameter */
        out = across ? d->right[a->column] : x0;
        in  = across ? d->left[b->column] : x1;
        if (a->kind == NN__DRAW_LOSS && b->row < a->row) nn__put(o, "<path d=\"M%d %dH%dQ%d %d %d %dV%d\"/>\n", x0, y0, b->mid - 12, b->mid, y0, b->mid, y0 - 12, b->top + b->h); /* the turn at the bottom */
        else nn__put(o, "<path d=\"M%d %dH%dC%d %d %d %d %d %dH%d\"/>\n", x0, y0, out, (out + in) / 2, y0, (out + in) / 2, y1, in, y1, x1);
    }
}
static void nn__put_svg_box(nn__out *o, const nn__drawing *d, const nn__box *b) {
    const struct nn__draw_kind *k = &nn__draw_kinds[b->kind];
    char line[NN__DRAW_LINES][NN__DRAW_TEXT];
    int  chip = b->owner >= 0, y = b->top + (chip ? 13 : 19);
    nn__draw_lines(d, b, line);
    nn__put(o, "<g><rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" rx=\"%d\" fill=\"%s\" stroke=\"%s\"%s%s/>", b->mid - b->w / 2, b->top, b->w, b->h, b->node ? 7 : b->h / 2, b->column == 1 ? k->pale : k->fill, k->line,
            b->column == 1 ? " stroke-dasharray=\"5 3\"" : "", b->output ? " stroke-width=\"3\"" : "");
    nn__put(o, "<text x=\"%d\" y=\"%d\" font-size=\"%d\"><tspan%s>", b->mid, y, chip ? 10 : 13, chip ? "" : " font-weight=\"bold\"");
    nn__put_escaped(o, line[0], NN__DRAW_MOST, 0);
    nn__put(o, "</tspan><tspan fill=\"#6b7480\" dx=\"5\">");
    nn__put_escaped(o, line[chip ? 3 : 1], NN__DRAW_MOST, 0);
    nn__put(o, "</tspan></text>");
    for (int i = 2; i < NN__DRAW_LINES && !chip; i++) {
        if (!line[i][0]) continue;
        nn__put(o, "<text x=\"%d\" y=\"%d\">", b->mid, y += 15);
        nn__put_escaped(o, line[i], NN__DRAW_MOST, 0);
        nn__put(o, "</text>");
    }
    nn__put(o, "</g>\n");
}
static int nn__put_svg_legend(nn__out *o, const nn__drawing *d, int wide) { /* returns where it ends */
    int x = 16, y = d->row_top[d->rows] + 18, used[NN__DRAW_KINDS + 2];
    memset(used, 0, sizeof used);
    for (int i = 0; i < d->boxes; i++) { used[d->box[i].kind] = 1; used[NN__DRAW_KINDS] |= d->box[i].output; used[NN__DRAW_KINDS + 1] |= d->box[i].column == 1; }
    for (int k = 0; k < NN__DRAW_KINDS + 2; k++) {
        int w = 38 + (int)strlen(nn__draw_kinds[k].name) * 6;
        if (!used[k]) continue;
        if (x > 16 && x + w > wide) { x = 16; y += 20; }
        if (k > NN__DRAW_KINDS) nn__put(o, "<path d=\"M%d %dh16\" stroke=\"%s\" stroke-dasharray=\"4 3\" fill=\"none\"/>", x, y + 6, nn__draw_kinds[k].line);
        else nn__put(o, "<rect x=\"%d\" y=\"%d\" width=\"16\" height=\"12\" rx=\"4\" fill=\"%s\" stroke=\"%s\"%s/>", x, y, nn__draw_kinds[k].fill, nn__draw_kinds[k].line, k < NN__DRAW_KINDS ? "" : " stroke-width=\"3\"");
        nn__put(o, "<text x=\"%d\" y=\"%d\" text-anchor=\"start\">%s</text>\n", x + 22, y + 10, nn__draw_kinds[k].name);
        x += w;
    }
    return y + 28;
}
static void nn__put_svg(nn__out *o, const nn__drawing *d) {
    static const char *const captions[] = {"forward &#8595;", "backward &#8593;", "optimiser"};
    nn__out none = {NULL, 0, 0};
    int     wide = 420, high;
    for (int k = 0; k < 3; k++) nn__draw_push(&wide, d->right[k] + 16);
    high = nn__put_svg_legend(&none, d, wide);
    nn__put(o, "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" viewBox=\"0 0 %d %d\" font-family=\"sans-serif\" font-size=\"11\" fill=\"#1f2733\" text-anchor=\"middle\">\n<defs>", wide, high, wide, high);
    for (int k = 0; k < 2; k++) nn__put(o, "<marker id=\"nn-%d\" viewBox=\"0 0 8 8\" refX=\"7\" refY=\"4\" markerWidth=\"6\" markerHeight=\"6\" orient=\"auto\"><path d=\"M0 0L8 4L0 8z\" fill=\"%s\"/></marker>", k, nn__draw_kinds[NN__DRAW_KINDS + k].line);
    nn__put(o, "</defs>\n<rect width=\"%d\" height=\"%d\" fill=\"#ffffff\"/>\n", wide, high);
    for (int k = 0; k < 3; k++)
        if (d->right[k] && (d->right[1] || d->right[2])) nn__put(o, "<text x=\"%d\" y=\"22\" font-size=\"13\" fill=\"#6b7480\">%s</text>\n", (d->left[k] + d->right[k]) / 2, captions[k]);
    for (int k = 0; k < d->clusters; k++) {
        const nn__cluster *c = &d->cluster[k];
        int                y0 = d->row_top[c->first] - c->above, y1 = d->row_top[c->last] + d->row_high[c->last] + c->below;
        if (!nn__draw_framed(d, k)) continue;
        nn__put(o, "<rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" rx=\"10\" fill=\"#64748b\" fill-opacity=\"0.05\" stroke=\"#8a97a8\" stroke-dasharray=\"3 3\"/><text x=\"%d\" y=\"%d\" text-anchor=\"start\" fill=\"#566273\">", c->x0, y0, c->x1 - c->x0, y1 - y0, c->x0 + 9, y0 + 14);
        nn__put_scope(o, c->at);
        nn__put(o, "</text>\n");
    }
    for (int kept = 1; kept >= 0; kept--) { /* what is kept from forward to backward lies under the rest */
        nn__put(o, "<g fill=\"none\" stroke=\"%s\"%s marker-end=\"url(#nn-%d)\">\n", nn__draw_kinds[NN__DRAW_KINDS + kept].line, kept ? " stroke-dasharray=\"4 3\"" : " stroke-width=\"1.3\"", kept);
        for (int i = 0; i < d->edges; i++)
            if (kept == (d->box[d->edge[i].from].column == 0 && d->box[d->edge[i].to].column == 1 && d->box[d->edge[i].from].kind != NN__DRAW_LOSS)) nn__put_svg_edge(o, d, &d->edge[i]);
        nn__put(o, "</g>\n");
    }
    for (int i = 0; i < d->boxes; i++) nn__put_svg_box(o, d, &d->box[i]);
    nn__put_svg_legend(o, d, wide);
    nn__put(o, "</svg>\n");
}

/* -- DOT: edges of backward point up, so that Graphviz, too, lets it run beside forward -- */
static int nn__put_dot_scope(nn__out *o, const nn__drawing *d, int k) { /* opens the clusters down to k; one that was open before goes on. How many */
    int n = k < 0 ? 0 : nn__put_dot_scope(o, d, d->cluster[k].up);
    if (k < 0) return 0;
    nn__put(o, "subgraph cluster_%d { label=\"", k);
    nn__put_scope(o, d->cluster[k].at);
    nn__put(o, "\"; ");
    return n + 1;
}
static void nn__put_dot(nn__out *o, const nn__drawing *d) {
    static const char *const columns[] = {"forward", "backward", "optimiser"};
    nn__put(o, "digraph plan {\n  graph [fontname=\"sans-serif\", fontsize=11, style=\"rounded,dashed\", color=\"#8a97a8\", nodesep=0.3, ranksep=0.35];\n");
    nn__put(o, "  node [fontname=\"sans-serif\", fontsize=11, height=0.3];\n  edge [fontname=\"sans-serif\", fontsize=9, color=\"#4a5563\", fontcolor=\"#4a5563\", arrowsize=0.7];\n");
    for (int i = 0; i < d->boxes; i++) {
        const nn__box *b = &d->box[i];
        const struct nn__draw_kind *k = &nn__draw_kinds[b->kind];
        char line[NN__DRAW_LINES][NN__DRAW_TEXT];
        int  open;
        nn__draw_lines(d, b, line);
        nn__put(o, "  subgraph cluster_%s { label=\"%s\"; ", columns[b->column], columns[b->column]);
        open = nn__put_dot_scope(o, d, b->cluster);
        nn__put(o, "n%d [shape=%s, style=\"filled%s%s\", fillcolor=\"%s\", color=\"%s\"%s, label=\"", i, b->node ? "box" : b->owner < 0 ? "ellipse" : "note", b->node ? ",rounded" : "", b->column == 1 ? ",dashed" : "", b->column == 1 ? k->pale : k->fill, k->line, b->output ? ", penwidth=3" : "");
        for (int m = 0, any = 0; m < NN__DRAW_LINES; m++) {
            if (line[m][0] && any++) nn__put(o, "\\n");
            nn__put_escaped(o, line[m], NN__DRAW_MOST, 1);
        }
        nn__put(o, "\"]; }");
        while (open--) nn__put(o, " }");
        nn__put(o, "\n");
    }
    for (int i = 0; i < d->edges; i++) {
        const nn__edge *e = &d->edge[i];
        const nn__box  *a = &d->box[e->from], *b = &d->box[e->to];
        int             chip = a->owner >= 0, up = a->column && !chip, across = a->column == 0 && b->column == 1;
        nn__put(o, "  n%d -> n%d [%s=\"", up ? e->to : e->from, up ? e->from : e->to, across ? "xlabel" : "label"); /* labels across confuse its routing */
        if (!chip) nn__put_size(o, e->x); /* a parameter's stands in it */
        if (e->more) nn__put(o, " +%d", e->more);
        nn__put(o, "\"%s%s%s];\n", up ? ", dir=back" : "", across ? ", constraint=false" : a->column == b->column && !chip ? ", weight=8" : "", across && a->kind != NN__DRAW_LOSS ? ", style=dashed, color=\"#9aa7b8\"" : "");
    }
    nn__put(o, "}\n");
}

static int nn__draw_write(nn_plan *p, const char *function, const char *path, int dot) {
    nn_ctx     *c = p ? p->ctx : NULL;
    nn__mark    mark;
    nn__drawing d;
    nn__out     o = {NULL, 0, 0};
    int         fine;
    if (!nn__plan_made(p, function) || !nn__ok_arg(c, function, path, "path")) return 0;
    if (p->gone) return nn__fail(c, function, NN__M_PLAN_GONE, p->gone); /* and with it, maybe, names of layers */
    mark = nn__arena_mark(c);
    memset(&d, 0, sizeof d);
    d.p   = p;
    d.dot = dot;
    fine  = nn__draw_graph(&d) && (dot || nn__draw_layout(&d));
    for (int turn = 0; turn < 2 && fine; turn++) { /* first only to know how long it is */
        if (turn) { o.size = o.n + 1; o.text = (char *)nn__alloc(c, o.size); o.n = 0; fine = o.text != NULL; }
        if (fine) (dot ? nn__put_dot : nn__put_svg)(&o, &d);
    }
    fine = fine && nn__replace_file(c, function, path, nn__put_text, &o);
    nn__free(c, o.text, o.size);
    nn__arena_rewind(c, mark);
    return fine;
}
#else
static int nn__draw_write(nn_plan *p, const char *function, const char *path, int dot) {
    (void)path; (void)dot;
    return nn__plan_made(p, function) && nn__fail(p->ctx, function, NN__M_FILE_NONE);
}
#endif
NN_API int nn_plan_dot(nn_plan *p, const char *path) { return nn__draw_write(p, "plan_dot", path, 1); }
NN_API int nn_plan_svg(nn_plan *p, const char *path) { return nn__draw_write(p, "plan_svg", path, 0); }

/* ---- >>export ---------------------------------------------------------------------------------------
   A model as one C file. nn_predict is recorded as a plan, without the passes that fuse; each node becomes a nest of loops
   over the places that the plan laid out. All is written twice: first to nowhere, which shows what constants and functions
   the file needs. A linear layer's weights are stored [in][out], rows padded to whole vectors: the inner loop runs over
   neighbouring outputs, eight inputs at a time, which compilers turn into vectors at -O2. No pointer of the file needs
   `restrict`: weights are constants, and nobody outside can point into the arena. Sums are plain loops of floats. */
#if !defined(NN_NO_STDIO)
enum { NN__C_TERMS = 8, NN__C_VECTOR = 4 };
typedef struct nn__c_constant { const nn_tensor *x; const char *name; int64_t in, out; } nn__c_constant; /* in, out: of a weight that is stored transposed; 0: as it is */
typedef struct nn__c_text { char s[400]; } nn__c_text;
typedef struct nn__c_file {
    nn_plan        *plan;
    FILE           *f;         /* NULL: to nowhere */
    nn__c_constant *list;
    int64_t         n, room;
    int64_t         arena;     /* floats that the ops use of the plan's block */
    int             math, in;  /* is math.h needed, is `in` read? */
    const nn__storage *result; /* what is called `out`: the value of the last op, or `own`, to which the output is copied */
    nn__storage     own;
    char            name[200];
} nn__c_file;

static void nn__c_line(nn__c_file *e, int indent, const char *format, ...) NN_PRINTF(3, 4);
static void nn__c_line(nn__c_file *e, int indent, const char *format, ...) {
    va_list args;
    if (!e->f) return;
    va_start(args, format);
    fprintf(e->f, "%*s", indent, "");
    vfprintf(e->f, format, args);
    putc('\n', e->f);
    va_end(args);
}
static const char *nn__c_type(nn_dtype d) { /* NULL: none */
    static const char *const types[NN_DTYPES] = {"float", NULL, NULL, NULL, "signed char", "unsigned char", "int", "long long"};
    return types[d];
}
static const char *nn__c_number(nn__c_file *e, nn__c_text *t, nn_dtype d, const void *data, int64_t i) { /* reads back as the same value */
    double  v = d == NN_F32 ? nn__load(d, data, i) : 0;
    int64_t k = d == NN_F32 ? 0 : nn__load_int(d, data, i);
    if (v - v != 0) return e->math = 1, v != v ? "NAN" : v > 0 ? "INFINITY" : "-INFINITY";
    if (!e->f) return "";
    if (d != NN_F32) snprintf(t->s, sizeof t->s, k == INT64_MIN ? "-%lldLL - 1" : d == NN_I64 ? "%lldLL" : "%lld", (long long)(k == INT64_MIN ? INT64_MAX : k));
    else {
        snprintf(t->s, sizeof t->s, "%.9g", v);
        nn__point(t->s);
        strcat(t->s, strpbrk(t->s, ".e") ? "f" : ".0f");
    }
    return t->s;
}

/* -- constants: parameters, and whatever else the plan reads and does not make -- */
static int nn__c_is_constant(const nn__c_file *e, const nn_tensor *x) { return !nn__is_planned(x->st) && x->st != e->plan->input[0]->x->st && x->st != &e->own; }
static const char *nn__c_constant_of(nn__c_file *e, nn__c_text *t, const nn_tensor *x, int64_t in, int64_t out) { /* its name; the number in it makes it unique */
    nn_plan *p = e->plan;
    int64_t  i = 0;
    size_t   n;
    while (i < e->n && !(e->list[i].x->st == x->st && e->list[i].in == in && e->list[i].out == out && (!in || e->list[i].x->offset == x->offset))) i++;
    if (i == e->n) {
        if (!nn__grow(p->ctx, &e->list, &e->room, e->n + 1, sizeof *e->list)) return "";
        e->list[i].x = x; e->list[i].name = "const"; e->list[i].in = in; e->list[i].out = out;
        for (int64_t u = 0; u < p->uses; u++)
            if (p->use[u].own->st == x->st) e->list[i].name = p->use[u].name;
        e->n++;
    }
    n = (size_t)snprintf(t->s, sizeof t->s, "w%lld_%.60s", (long long)i, e->list[i].name);
    while (n-- > 0) if (strchr(".- ", t->s[n])) t->s[n] = '_';
    return t->s;
}
static int64_t nn__c_padded(int64_t out) { return out > 1 && out < 1024 ? (int64_t)nn__round_up((size_t)out, NN__C_VECTOR) : out; } /* a padded row is summed on the stack */
static void nn__c_constants(nn__c_file *e) {
    for (int64_t i = 0; i < e->n; i++) {
        const nn__c_constant k = e->list[i];
        nn_dtype   d = k.x->dtype;
        int64_t    row = nn__c_padded(k.out), n = k.in ? k.in * row : (int64_t)(k.x->st->bytes / nn__dtypes[d].size);
        nn__c_text t;
        nn__c_line(e, 0, "static const %s %s[%lld] = {%s", nn__c_type(d), nn__c_constant_of(e, &t, k.x, k.in, k.out), (long long)nn__max64(n, 1), n ? "" : "0");
        for (int64_t j = 0; j < n; j++) {
            const char *number = k.in && j % row >= k.out ? "0" : nn__c_number(e, &t, d, k.in ? nn__data(k.x) : k.x->st->data, k.in ? j % row * k.in + j / row : j);
            if (e->f) fprintf(e->f, "%s%s%s", j % 10 ? " " : "    ", number, j + 1 == n ? "\n" : j % 10 == 9 ? ",\n" : ",");
        }
        nn__c_line(e, 0, "};");
    }
}

/* -- loops and what stands in them. The nest is a nn__map: axes that operands walk evenly are merged already -- */
/* x[what operand o of the loops adds, times scale, + last]; a pointer if last is NULL. o < 0: in order, as what is contiguous */
static const char *nn__c_ref(nn__c_file *e, nn__c_text *t, const nn_tensor *x, const nn__map *m, int o, int64_t scale, const char *last) {
    const nn__value *v = nn__value_of(e->plan, x);
    const char      *sign = last ? "[" : " + ";
    int64_t          at = x->offset;
    nn__out          s;
    s.text = t->s; s.size = sizeof t->s; s.n = 0;
    if (x->st == e->result) nn__put(&s, "out");
    else if (nn__c_is_constant(e, x)) s.n = strlen(nn__c_constant_of(e, t, x, 0, 0));
    else if (!v) { nn__put(&s, "in"); e->in = 1; }
    else if (x->dtype != NN_F32) nn__put(&s, "v%d", (int)x->st->uses); /* integers lie apart: an array has one type */
    else {
        nn__put(&s, "arena");
        at += (int64_t)v->offset / 4;
        e->arena = nn__max64(e->arena, (int64_t)(v->offset + v->st->bytes + !v->st->bytes * 4) / 4); /* an empty one too: a loop that does not turn may name it */
    }
    if (at) { nn__put(&s, "%s%lld", sign, (long long)at); sign = " + "; }
    for (int d = 0; d < m->ndim; d++) {
        int64_t step = scale * (o < 0 ? nn__count(m->ndim - d - 1, m->size + d + 1) : m->stride[o][d]);
        if (m->size[d] == 1 || step == 0) continue;
        nn__put(&s, step == 1 ? "%si%d" : "%si%d * %lld", sign, d, (long long)step);
        sign = " + ";
    }
    if (last && *last) { nn__put(&s, "%s%s", sign, last); sign = " + "; }
    if (last) nn__put(&s, *sign == '[' ? "[0]" : "]");
    return t->s;
}
static int nn__c_open(nn__c_file *e, const nn__map *m) { /* the loops' heads; the indentation within */
    int in = 0, left = 0;
    for (int d = 0; d < m->ndim; d++) left += m->size[d] != 1;
    if (!left) nn__c_line(e, in += 4, "{");
    for (int d = 0; d < m->ndim; d++)
        if (m->size[d] != 1) nn__c_line(e, in += 4, "for (int i%d = 0; i%d < %lld; i%d++)%s", d, d, (long long)m->size[d], d, --left ? "" : " {");
    return in + 4;
}
static void nn__c_axes(nn__map *m, nn_tensor *x, nn_tensor *y, nn_tensor *z) { /* the nest over z's elements, x and y its operands */
    nn_tensor *in[2];
    nn_node    n;
    memset(&n, 0, sizeof n);
    in[0] = x; in[1] = y;
    n.in = in; n.out = &z;
    m->operands = 2;
    nn__map_axes(m, &n);
}

/* -- the ops: each writes its loops. Element-wise ones differ in their formula of a and b only -- */
static const struct nn__c_formula { const nn_op *op; const char *text; } nn__c_formulas[] = {
    {&nn__op_add, "a + b"}, {&nn__op_sub, "a - b"}, {&nn__op_mul, "a * b"}, {&nn__op_div, "a / b"}, {&nn__op_same, "a == b ? 1 : 0"},
    {&nn__op_neg, "-a"}, {&nn__op_abs, "fabsf(a)"}, {&nn__op_square, "a * a"}, {&nn__op_sqrt, "sqrtf(a)"}, {&nn__op_positive, "a > 0 ? 1 : 0"}, {&nn__op_copy, "a"},
    {&nn__op_exp, "expf(a)"}, {&nn__op_log, "logf(a)"}, {&nn__op_sin, "sinf(a)"}, {&nn__op_cos, "cosf(a)"}, {&nn__op_erf, "erff(a)"},
    {&nn__op_relu, "a < 0 ? 0 : a"}, {&nn__op_sigmoid, "1 / (1 + expf(-a))"}, {&nn__op_tanh, "tanhf(a)"}, {&nn__op_gelu, "0.5f * a * (1 + erff(a * 0.707106781f))"},
    {&nn__op_gelu_tanh, "a / (1 + expf(-a * (1.59576912f + 0.0713548163f * a * a)))"}};
static const char *nn__c_formula_of(nn__c_file *e, const nn_op *op) { /* NULL: none */
    for (size_t i = 0; i < sizeof nn__c_formulas / sizeof *nn__c_formulas; i++)
        if (nn__c_formulas[i].op == op) return e->math |= strstr(nn__c_formulas[i].text, "f(") != NULL, nn__c_formulas[i].text;
    return NULL;
}
/* y = formula of a and b; without b, or with y for b, y may have any strides, even of 0 */
static void nn__c_map(nn__c_file *e, nn_tensor *y, nn_tensor *a, nn_tensor *b, const char *formula) {
    nn__c_text s, t;
    nn__map    m;
    int        in;
    nn__c_axes(&m, a ? a : y, b ? b : y, y);
    in = nn__c_open(e, &m);
    if (!strcmp(formula, "a")) formula = nn__c_ref(e, &t, a, &m, 0, 1, "");
    else if (a) nn__c_line(e, in, "const %s a = %s%s%s;", nn__c_type(a->dtype), nn__c_ref(e, &s, a, &m, 0, 1, ""), b ? ", b = " : "", b ? nn__c_ref(e, &t, b, &m, 1, 1, "") : "");
    nn__c_line(e, in, "%s = %s;", nn__c_ref(e, &s, y, &m, b && b != y ? -1 : 1, 1, ""), formula);
    nn__c_line(e, in - 4, "}");
}
static void nn__c_affine(nn__c_file *e, const nn_node *n) {
    nn__c_text a, b;
    char       formula[120];
    float      ab[2];
    for (int k = 0; k < 2; k++) ab[k] = (float)((const double *)n->attr)[k];
    snprintf(formula, sizeof formula, ab[1] != 0 ? "a * %.50s + %.50s" : "a * %.50s", nn__c_number(e, &a, NN_F32, ab, 0), nn__c_number(e, &b, NN_F32, ab, 1));
    nn__c_map(e, n->out[0], n->in[0], NULL, formula);
}
static void nn__c_cast(nn__c_file *e, const nn_node *n) { /* to integers: the nearest that there is, NaN is 0 */
    static const char *const ends[NN_DTYPES][2] = {{"", ""}, {"", ""}, {"", ""}, {"", ""}, {"-128", "127"}, {"0", "255"}, {"-2147483647 - 1", "2147483647"}, {"-9223372036854775807LL - 1", "9223372036854775807LL"}};
    nn_dtype           to = n->out[0]->dtype;
    const char *const *end = ends[to];
    char               formula[200];
    if (n->in[0]->dtype != NN_F32 || to == NN_F32) snprintf(formula, sizeof formula, "(%s)a", nn__c_type(to));
    else snprintf(formula, sizeof formula, "a != a ? 0 : a <= (float)(%s) ? %s : a >= (float)%s ? %s : (%s)a", end[0], end[0], end[1], end[1], nn__c_type(to));
    nn__c_map(e, n->out[0], n->in[0], NULL, formula);
}
static void nn__c_reduce(nn__c_file *e, const nn_node *n) { /* sum and max: y is shown in x's shape, with strides of 0 along the axes that go */
    const nn__axes *a = (const nn__axes *)n->attr;
    nn_tensor       y = *n->in[0], first_x = y, first_y;
    int64_t         step = 1;
    int             max = n->op == &nn__op_max;
    for (int d = y.ndim - 1; d >= 0; d--) {
        int gone = 0;
        for (int k = 0; k < a->n; k++) gone |= a->axis[k] == d;
        y.stride[d] = gone ? 0 : step;
        if (gone) first_x.size[d] = 1;
        step *= first_x.size[d];
    }
    y.st = n->out[0]->st; y.offset = n->out[0]->offset;
    first_y = y;
    memcpy(first_y.size, first_x.size, sizeof first_x.size);
    nn__c_map(e, &first_y, max ? &first_x : NULL, NULL, max ? "a" : "0");
    nn__c_map(e, &y, n->in[0], &y, max ? "b < a ? a : b" : "b + a");
}
static const char *nn__c_step(nn__c_text *t, int plus, int64_t step) { /* (k + plus) * step */
    char add[24];
    snprintf(add, sizeof add, plus ? "k + %d" : "k", plus);
    snprintf(t->s, sizeof t->s, step == 1 ? "%s" : plus ? "(%s) * %lld" : "%s * %lld", add, (long long)step);
    return t->s;
}
/* The sums of a row's products, eight terms at a time: in every s[j] or, where w's columns do not follow each other, for one j in s0 ... s7 */
static void nn__c_terms(nn__c_file *e, int in, const char *sum, int64_t k, int64_t columns, int64_t x_col, int64_t w_row, int64_t w_col) {
    int64_t    whole = k - k % NN__C_TERMS;
    nn__c_text a, b, line;
    for (int64_t from = 0; from < k; from = from < whole ? whole : k) {
        int     terms = from < whole ? (int)NN__C_TERMS : (int)(k - whole);
        nn__out o;
        o.text = line.s; o.size = sizeof line.s; o.n = 0;
        nn__c_line(e, in, "for (int k = %lld; k < %lld; k += %d) {", (long long)from, (long long)(from < whole ? whole : k), terms);
        for (int t = 0; t < terms && w_col != 1; t++) nn__c_line(e, in + 4, "s%d += x[%s] * w[%s + j * %lld];", t, nn__c_step(&a, t, x_col), nn__c_step(&b, t, w_row), (long long)w_col);
        if (w_col == 1) {
            nn__put(&o, "const float *b = w + %s", nn__c_step(&b, 0, w_row));
            for (int t = 0; t < terms; t++) nn__put(&o, ", a%d = x[%s]", t, nn__c_step(&a, t, x_col));
            nn__c_line(e, in + 4, "%s;", line.s);
            o.n = 0;
            nn__put(&o, "for (int j = 0; j < %lld; j++) %s += a0 * b[j]", (long long)columns, sum);
            for (int t = 1; t < terms; t++) nn__put(&o, " + a%d * b[%lld + j]", t, (long long)(t * w_row));
            nn__c_line(e, in + 4, "%s;", line.s);
        }
        nn__c_line(e, in, "}");
    }
}
static void nn__c_product(nn__c_file *e, const nn_node *n) { /* linear and matmul, row by row of y */
    static const nn_op *const acts[] = {&nn__op_copy, &nn__op_relu, &nn__op_sigmoid, &nn__op_tanh, &nn__op_gelu};
    nn_tensor  *x = n->in[0], *w = n->in[1], *y = n->out[0], xs = *x, ws = *w, ys = *y; /* these: without the axis that is summed or filled */
    int         linear = n->op == &nn__op_linear, act = linear ? *(const int *)n->attr : 0, in;
    int64_t     k = x->size[x->ndim - 1], columns = y->size[y->ndim - 1], padded = columns;
    int64_t     w_row = w->stride[w->ndim - (linear ? 1 : 2)], w_col = columns == 1 ? 1 : w->stride[w->ndim - (linear ? 2 : 1)];
    int         stored = linear && k && nn__c_is_constant(e, w);
    const char *bias = "", *sum = "y[j]";
    nn__c_text  a, b, c;
    nn__map     m;
    if (stored) { padded = w_row = nn__c_padded(columns); w_col = 1; }
    xs.ndim--; ys.ndim--; ws.ndim--;
    ws.size[ws.ndim - 1] = 1;
    if (linear) ws.ndim = 0;
    nn__c_axes(&m, &xs, &ws, &ys);
    in = nn__c_open(e, &m);
    if (k) nn__c_line(e, in, "const float *x = %s, *w = %s;", nn__c_ref(e, &a, x, &m, 0, 1, NULL), stored ? nn__c_constant_of(e, &b, w, k, columns) : nn__c_ref(e, &b, w, &m, 1, 1, NULL));
    nn__c_line(e, in, "float *y = %s;", nn__c_ref(e, &a, y, &m, -1, columns, NULL));
    m.ndim = 0;
    if (linear && n->n_in > 2) bias = nn__c_ref(e, &c, n->in[2], &m, 0, 1, "j");
    if (padded != columns) nn__c_line(e, in, "float s[%lld];", (long long)padded), sum = "s[j]";
    if (w_col == 1) {
        nn__c_line(e, in, "for (int j = 0; j < %lld; j++) %s = 0;", (long long)padded, sum);
        nn__c_terms(e, in, sum, k, padded, x->stride[x->ndim - 1], w_row, w_col);
        if (!act && (*bias || padded != columns)) nn__c_line(e, in, "for (int j = 0; j < %lld; j++) y[j] = %s%s%s;", (long long)columns, sum, *bias ? " + " : "", bias);
    }
    if (act || w_col != 1) {
        nn__c_line(e, in, "for (int j = 0; j < %lld; j++) {", (long long)columns);
        if (w_col != 1) {
            nn__c_line(e, in + 4, "float s0 = 0, s1 = 0, s2 = 0, s3 = 0, s4 = 0, s5 = 0, s6 = 0, s7 = 0;");
            nn__c_terms(e, in + 4, NULL, k, columns, x->stride[x->ndim - 1], w_row, w_col);
            sum = "s0 + s1 + s2 + s3 + (s4 + s5 + s6 + s7)";
        }
        nn__c_line(e, in + 4, "const float a = %s%s%s;", sum, *bias ? " + " : "", bias);
        nn__c_line(e, in + 4, "y[j] = %s;", nn__c_formula_of(e, acts[act]));
        nn__c_line(e, in, "}");
    }
    nn__c_line(e, in - 4, "}");
}
static void nn__c_rows(nn__c_file *e, const nn_node *n) { /* softmax, log_softmax, layernorm: over the last axis */
    nn_tensor *x = n->in[0];
    int        row = (int)(x->ndim ? x->size[x->ndim - 1] : 1), in;
    nn__c_text s, t;
    nn__map    m;
    m.ndim = 1; m.size[0] = nn_numel(x) / row; m.stride[0][0] = row;
    in = nn__c_open(e, &m);
    nn__c_line(e, in, "const float *x = %s;", nn__c_ref(e, &s, x, &m, 0, 1, NULL));
    nn__c_line(e, in, "float *y = %s;", nn__c_ref(e, &s, n->out[0], &m, 0, 1, NULL));
    e->math = 1;
    m.ndim  = 0;
    if (n->op == &nn__op_layernorm) {
        float eps = (float)*(const double *)n->attr;
        nn__c_line(e, in, "float mean = 0, square = 0;");
        nn__c_line(e, in, "for (int j = 0; j < %d; j++) mean += x[j];", row);
        nn__c_line(e, in, "mean /= %d;", row);
        nn__c_line(e, in, "for (int j = 0; j < %d; j++) square += (x[j] - mean) * (x[j] - mean);", row);
        nn__c_line(e, in, "const float scale = 1 / sqrtf(square / %d + %s);", row, nn__c_number(e, &s, NN_F32, &eps, 0));
        nn__c_line(e, in, "for (int j = 0; j < %d; j++) y[j] = (x[j] - mean) * scale * %s + %s;", row, nn__c_ref(e, &s, n->in[1], &m, 0, 1, "j"), nn__c_ref(e, &t, n->in[2], &m, 0, 1, "j"));
    } else {
        int log = n->op == &nn__op_log_softmax;
        nn__c_line(e, in, "float most = x[0], sum = 0;");
        nn__c_line(e, in, "for (int j = 1; j < %d; j++) most = x[j] > most ? x[j] : most;", row);
        nn__c_line(e, in, "for (int j = 0; j < %d; j++) sum += %sexpf(x[j] - most);", row, log ? "" : "y[j] = ");
        if (log) nn__c_line(e, in, "sum = most + logf(sum);");
        nn__c_line(e, in, "for (int j = 0; j < %d; j++) y[j] %s sum;", row, log ? "= x[j] -" : "/=");
    }
    nn__c_line(e, in - 4, "}");
}
static void nn__c_concat(nn__c_file *e, const nn_node *n) {
    int       axis = *(const int *)n->attr;
    nn_tensor y = *n->out[0]; /* each part of it by turns */
    for (int i = 0; i < n->n_in; i++) {
        y.size[axis] = n->in[i]->size[axis];
        if (nn_numel(&y)) nn__c_map(e, &y, n->in[i], NULL, "a");
        y.offset += y.size[axis] * y.stride[axis];
    }
}
static void nn__c_gather(nn__c_file *e, const nn_node *n) { /* and one_hot; an index outside counts as the nearest within, for the file has no errors */
    nn_tensor *x = n->in[0], *y = n->out[0], *index = n->in[n->n_in - 1];
    int        hot = n->op == &nn__op_one_hot, axis = hot ? 0 : *(const int *)n->attr, in;
    int64_t    from = hot ? y->size[y->ndim - 1] : x->size[axis];
    nn__c_text s, t, k;
    nn__map    m; /* gather: [outer, indices, inner]; one_hot: [indices, classes, 1] */
    m.ndim = 3;
    m.size[0] = hot ? nn_numel(index) : nn__count(axis, x->size);
    m.size[1] = hot ? from : index->size[axis];
    m.size[2] = hot ? 1 : nn__count(x->ndim - axis - 1, x->size + axis + 1);
    m.stride[0][0] = hot ? 1 : from * m.size[2]; m.stride[0][1] = 0; m.stride[0][2] = 1;
    in = nn__c_open(e, &m);
    nn__c_line(e, in, "const long long a = %s;", nn__c_ref(e, &s, index, &m, hot ? 0 : -1, 1, ""));
    nn__c_line(e, in, "const int k = a < 0 ? 0 : a >= %lld ? %lld : (int)a;", (long long)from, (long long)from - 1);
    nn__c_ref(e, &s, y, &m, -1, 1, "");
    if (hot) nn__c_line(e, in, "%s = k == %s ? 1 : 0;", s.s, from > 1 ? "i1" : "0");
    else nn__c_line(e, in, "%s = %s;", s.s, nn__c_ref(e, &t, x, &m, 0, 1, nn__c_step(&k, 0, m.size[2])));
    nn__c_line(e, in - 4, "}");
}
static const struct nn__c_form { const nn_op *op; void (*write)(nn__c_file *e, const nn_node *n); } nn__c_forms[] = {
    {&nn__op_linear, nn__c_product}, {&nn__op_matmul, nn__c_product}, {&nn__op_affine, nn__c_affine}, {&nn__op_cast, nn__c_cast}, {&nn__op_sum, nn__c_reduce}, {&nn__op_max, nn__c_reduce},
    {&nn__op_softmax, nn__c_rows}, {&nn__op_log_softmax, nn__c_rows}, {&nn__op_layernorm, nn__c_rows}, {&nn__op_concat, nn__c_concat}, {&nn__op_gather, nn__c_gather}, {&nn__op_one_hot, nn__c_gather}};

static int nn__c_node(nn__c_file *e, const nn_node *n) { /* 0: after nn__fail */
    const char *formula = nn__c_formula_of(e, n->op);
    char        text[1000];
    nn__out     o;
    size_t      k = 0;
    o.text = text; o.size = sizeof text; o.n = 0;
    text[0] = 0;
    if (n->place) o.n = nn__place_text((const nn__name *)n->place, text, sizeof text / 4);
    while (!formula && k < sizeof nn__c_forms / sizeof *nn__c_forms && nn__c_forms[k].op != n->op) k++;
    if (k == sizeof nn__c_forms / sizeof *nn__c_forms) return nn__fail(e->plan->ctx, NULL, NN__M_EXPORT_OP, n->op->name, *text ? text : "outside of layers");
    for (int i = 0; i < n->n_in + n->n_out; i++) {
        nn_dtype d = (i < n->n_in ? n->in[i] : n->out[i - n->n_in])->dtype;
        if (!nn__c_type(d)) return nn__fail(e->plan->ctx, NULL, NN__M_EXPORT_DTYPE, n->op->name, nn_dtype_name(d));
    }
    if (nn_numel(n->out[0]) == 0) return 1;
    nn__put(&o, "%s", o.n ? ": " : "");
    nn__put_op(&o, n);
    for (int i = 0; i <= n->n_in; i++) {
        nn__put(&o, i == n->n_in ? " -> " : i ? ", " : "  ");
        nn__put_tensor(&o, e->plan, i < n->n_in ? n->in[i] : n->out[0]);
    }
    nn__c_line(e, 0, "%s    /* %s */", n == e->plan->node[0] ? "" : "\n", text);
    if (formula) nn__c_map(e, n->out[0], n->in[0], n->n_in > 1 ? n->in[1] : NULL, formula);
    else nn__c_forms[k].write(e, n);
    return 1;
}
static int nn__c_write(nn__c_file *e) { /* the whole file */
    nn_plan   *p = e->plan;
    nn_tensor *x = p->input[0]->x, *y = p->output[0], out = *y;
    long long  nx = (long long)nn_numel(x), ny = (long long)nn_numel(y);
    nn__text   t, u;
    nn__c_line(e, 0, "/* A network, written by nn.h (nn_export_c) for inputs of one shape.\n     in  %s, %lld floats, row-major\n     out %s, %lld floats, apart from in", nn__shape_text(&t, x->ndim, x->size), nx, nn__shape_text(&u, y->ndim, y->size), ny);
    nn__c_line(e, 0, "   What lies between ops (%%1, %%2 ... below) is in static memory: one thread at a time. */%s", e->math ? "\n#include <math.h>" : "");
    nn__c_line(e, 0, "enum { %s_inputs = %lld, %s_outputs = %lld };\nvoid %s_run(const float *in, float *out);\n", e->name, nx, e->name, ny, e->name);
    nn__c_constants(e);
    for (int64_t i = 0; i < p->values; i++) {
        const nn_tensor *v = p->node[p->value[i].def]->out[0];
        if (v->dtype != NN_F32 && nn_numel(v)) nn__c_line(e, 0, "static %s v%lld[%lld];", nn__c_type(v->dtype), (long long)i, (long long)nn_numel(v));
    }
    if (e->arena) nn__c_line(e, 0, "static float arena[%lld]; /* %llu bytes, if values did not share places */", (long long)e->arena, (unsigned long long)p->stats.naive);
    nn__c_line(e, 0, "\nvoid %s_run(const float *in, float *out) {%s%s", e->name, e->in ? "" : "\n    (void)in;", ny ? "" : "\n    (void)out;");
    for (int64_t i = 0; i < p->n; i++)
        if (!nn__c_node(e, p->node[i])) return 0;
    if (e->result == &e->own && ny) { /* no op made the output as it is to be */
        nn__set_shape(&out, y->ndim, y->size);
        out.st = &e->own;
        nn__c_line(e, 0, "\n    /* the output */");
        nn__c_map(e, &out, y, NULL, "a");
    }
    nn__c_line(e, 0, "}");
    return !p->ctx->error;
}
static void nn__c_name(const char *path, char *name, size_t size) { /* "models/digits-2.c" -> digits_2 */
    const char *base = path, *dot;
    size_t      n = 0, length;
    for (const char *s = path; *s; s++)
        if (*s == '/' || *s == '\\') base = s + 1;
    dot    = strrchr(base, '.');
    length = dot ? (size_t)(dot - base) : strlen(base);
    if (length == 0 || (*base >= '0' && *base <= '9')) n = (size_t)snprintf(name, size, "model_");
    for (size_t i = 0; i < length && n + 1 < size; i++) {
        char ch = base[i];
        name[n++] = (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') || (ch >= '0' && ch <= '9') ? ch : '_';
    }
    name[n] = 0;
}
static int nn__c_put(FILE *f, void *arg) {
    nn__c_file *e = (nn__c_file *)arg;
    e->f = f;
    return nn__c_write(e);
}
static int nn__c_save(nn__c_file *e, const char *path) { return nn__replace_file(e->plan->ctx, "export", path, nn__c_put, e); }
#endif

NN_API int nn_export_c(nn_model *m, nn_tensor *example, const char *path) {
    nn_ctx *c = example ? example->ctx : m ? m->ctx : NULL;
#if !defined(NN_NO_STDIO)
    nn_plan_options o = nn_plan_defaults();
    nn__c_file      e;
    nn_tensor      *y;
    int             fine;
    if (!nn__ok_arg(c, "export", m, "the model") || !nn__ok_arg(c, "export", example, "the example") || !nn__ok_arg(c, "export", path, "path") || !nn__ok_host("export", example)) return 0;
    if (example->dtype != NN_F32) return nn__fail(c, NULL, NN__M_EXPORT_DTYPE, "the input", nn_dtype_name(example->dtype));
    if (!nn__model_make(m, c, NN_F32, nn_shape_of(example))) return 0; /* while no plan is recorded */
    o.skip   = "softmax and loss, epilogues, norm and product, chains, branches";
    o.serial = 1;
    memset(&e, 0, sizeof e);
    e.plan = nn_plan_begin(c, &o);
    if (!e.plan) return 0;
    y    = nn_predict(m, nn_plan_input(e.plan, "in", example));
    fine = nn_plan_end(e.plan, &y, 1);
    if (fine && y->dtype != NN_F32) fine = nn__fail(c, NULL, NN__M_EXPORT_DTYPE, "the output", nn_dtype_name(y->dtype));
    if (fine) {
        e.result = nn__maker(e.plan, y) >= 0 ? y->st : &e.own;
        nn__c_name(path, e.name, sizeof e.name);
        fine = nn__c_write(&e);
        nn__c_constants(&e); /* to nowhere too: infinities need math.h */
        fine = fine && nn__c_save(&e, path);
    }
    nn__free(c, e.list, (size_t)e.room * sizeof *e.list);
    nn_plan_free(e.plan);
    return fine;
#else
    (void)m; (void)path;
    return nn__ok(c) && nn__fail(c, "export", NN__M_FILE_NONE);
#endif
}

/* ---- >>kernels --------------------------------------------------------------------------------------
   The inner loops, written once over a small vocabulary of vector words and compiled once for each instruction
   set and type: this file includes itself, and what follows the passes is all that the inner inclusions see. */
#if defined(__x86_64__) && !defined(NN_NO_SIMD)
#  include <immintrin.h>
#elif defined(__aarch64__) && !defined(NN_NO_SIMD)
#  include <arm_neon.h>
#endif
/* Where floats are computed in a wider format (x87), or sums may be rearranged (-ffast-math), roundings that a formula relies
   on go through memory. */
#if FLT_EVAL_METHOD == 0 && !defined(__FAST_MATH__)
#  define NN__ROUNDED
#else
#  define NN__ROUNDED volatile
#endif

/* Bytes that element-wise loops and optimisers, which read several streams, prefetch ahead; elements from which on the former do */
enum { NN__AHEAD = 4096, NN__OPTIM_AHEAD = 1024, NN__FAR = 16384 };

// Asks for what lies `ahead` bytes on: as an integer, since that may be past the end, where prefetching is harmless but a pointer is not.
static inline NN__UNUSED void nn__fetch(const void *p, int64_t ahead) { __builtin_prefetch((const void *)((uintptr_t)p + (uintptr_t)ahead)); }

// ---- what all passes of the matrix product share --------------------------------------------------------
#define NN__GEMM_INLINE static inline __attribute__((always_inline, unused))
// Before a loop whose bound is known once the function is inlined: unroll it all, early enough that the arrays inside
// become registers. (clang takes a count literally: with "unroll 16", 14 turns would unroll only after that point.)
#if defined(__clang__)
#define NN__GEMM_UNROLL _Pragma("clang loop unroll(full)")
#else
#define NN__GEMM_UNROLL _Pragma("GCC unroll 16")
#endif
#define NN__GEMM_NOINLINE static __attribute__((noinline, unused))

// Steps of k in a block, for 512-bit and for smaller vectors; rows of B fetched ahead. KC is part of the results' bits.
enum { NN__GEMM_KC512 = 384, NN__GEMM_KC256 = NN__GEMM_KC_LEAST, NN__GEMM_AHEAD = 8 };

// One tile of C as the microkernels see it: at most MR rows, and one strip of columns.
typedef struct nn__gemm_tile {
    int64_t k;
    const void *a; int64_t a_row, a_col;
    const void *b; int64_t b_row;
    void *packed;                           // where a tile that packs B on its way leaves it
    void *c; int64_t c_row;
    const void *bias;                       // NULL unless this is the last k block, nor activation or residual
    const void *residual; int64_t r_row;
    int add;                                // to C
    nn__unary_fn act;
    int rows, cols;                         // what of the tile is real
} nn__gemm_tile;

// Cuts `total` into equal blocks of at most `most`, each a multiple of `unit` (but for the last): the block's size.
static inline int64_t nn__gemm_even(int64_t total, int64_t most, int64_t unit) {
    if (total <= most) return total;
    int64_t blocks = (total + most - 1) / most, size = (total + blocks - 1) / blocks;
    return (size + unit - 1) / unit * unit;
}

// ---- what all passes of the product in low precision share ------------------------------------------------
// Words of k in a block; what a word holds; rows that the dot products take.
enum { NN__LOW_KC = 256, NN__LOW_KC_AMX = 512, NN__LOW_HALVES = 0, NN__LOW_BYTES, NN__LOW_SPREAD, NN__LOW_DOT_ROWS = 4 };

typedef struct nn__low_tile {
    const void *a; int64_t a_row, a_step;   // bytes from row to row and, amx, from tile to tile along k
    const uint32_t *b;
    void *c; int64_t c_row;                 // a whole tile of sums; bytes from row to row
    int64_t steps;                          // words of k
    int rows, add;                          // rows that are real; add to C
} nn__low_tile;

typedef struct nn__low_plan {               // in words, but for the numbers of rows and columns
    int mr, nr, head;                       // tile; rows before a panel of B
    int64_t per, depth, kc, blocks, mc, nc; // elements in a word, words of k, blocks of k, rows and columns in a block
    int64_t room_a, room_b, room_c;
} nn__low_plan;

#if defined(__has_builtin)
#if __has_builtin(__builtin_shufflevector)
#define NN__GEMM_SHUFFLE 1
#endif
#endif
// Four rows of words, `lane` bytes apart, `count` words each, to out[count][4], where steps lie `width` words apart.
typedef uint32_t nn__low_u4 __attribute__((vector_size(16), aligned(1), may_alias));
NN__GEMM_INLINE void nn__low_turn(uint32_t *out, int64_t width, const char *x, int64_t lane, int64_t count) {
    const char *x0 = x, *x1 = x0 + lane, *x2 = x1 + lane, *x3 = x2 + lane;
    int64_t p = 0;
#ifdef NN__GEMM_SHUFFLE
    for (; p + 4 <= count; p += 4, out += 4 * width) {
        const nn__low_u4 r0 = *(const nn__low_u4 *)(x0 + 4 * p), r1 = *(const nn__low_u4 *)(x1 + 4 * p);
        const nn__low_u4 r2 = *(const nn__low_u4 *)(x2 + 4 * p), r3 = *(const nn__low_u4 *)(x3 + 4 * p);
        const nn__low_u4 s0 = __builtin_shufflevector(r0, r1, 0, 4, 1, 5), s1 = __builtin_shufflevector(r2, r3, 0, 4, 1, 5);
        const nn__low_u4 s2 = __builtin_shufflevector(r0, r1, 2, 6, 3, 7), s3 = __builtin_shufflevector(r2, r3, 2, 6, 3, 7);
        *(nn__low_u4 *)out = __builtin_shufflevector(s0, s1, 0, 1, 4, 5);
        *(nn__low_u4 *)(out + width) = __builtin_shufflevector(s0, s1, 2, 3, 6, 7);
        *(nn__low_u4 *)(out + 2 * width) = __builtin_shufflevector(s2, s3, 0, 1, 4, 5);
        *(nn__low_u4 *)(out + 3 * width) = __builtin_shufflevector(s2, s3, 2, 3, 6, 7);
    }
#endif
    for (; p < count; p++, out += width) {
        memcpy(out, x0 + 4 * p, 4); memcpy(out + 1, x1 + 4 * p, 4);
        memcpy(out + 2, x2 + 4 * p, 4); memcpy(out + 3, x3 + 4 * p, 4);
    }
}

#define NN__PASS_ISA 0
#define NN__PASS_F64 0
#define NN__K(name) nn__scalar_f32_##name
#include NN_HEADER_NAME
#if !defined(NN_NO_F64)
#define NN__PASS_ISA 0
#define NN__PASS_F64 1
#define NN__K(name) nn__scalar_f64_##name
#include NN_HEADER_NAME
#endif
#if NN__HAS_SSE2
#define NN__PASS_ISA 1
#define NN__PASS_F64 0
#define NN__K(name) nn__sse2_f32_##name
#include NN_HEADER_NAME
#endif
#if NN__HAS_AVX2
#define NN__PASS_ISA 2
#define NN__PASS_F64 0
#define NN__K(name) nn__avx2_f32_##name
#include NN_HEADER_NAME
#if !defined(NN_NO_F64)
#define NN__PASS_ISA 2
#define NN__PASS_F64 1
#define NN__K(name) nn__avx2_f64_##name
#include NN_HEADER_NAME
#endif
#endif
#if NN__HAS_AVX512
#define NN__PASS_ISA 3
#define NN__PASS_F64 0
#define NN__K(name) nn__avx512_f32_##name
#include NN_HEADER_NAME
#if !defined(NN_NO_F64)
#define NN__PASS_ISA 3
#define NN__PASS_F64 1
#define NN__K(name) nn__avx512_f64_##name
#include NN_HEADER_NAME
#endif
#endif
#if NN__HAS_NEON
#define NN__PASS_ISA 4
#define NN__PASS_F64 0
#define NN__K(name) nn__neon_f32_##name
#include NN_HEADER_NAME
#if !defined(NN_NO_F64)
#define NN__PASS_ISA 4
#define NN__PASS_F64 1
#define NN__K(name) nn__neon_f64_##name
#include NN_HEADER_NAME
#endif
#endif

#define nn__sse2_f64_set nn__scalar_f64_set
#if defined(NN_NO_F64)
#  define NN__SETS(isa) {#isa, nn__##isa##_f32_lanes, &nn__##isa##_f32_set, NULL}
#else
#  define NN__SETS(isa) {#isa, nn__##isa##_f32_lanes, &nn__##isa##_f32_set, &nn__##isa##_f64_set}
#endif
static const nn__kernels *nn__kernels_of(int isa) {
    static const nn__kernels scalar = NN__SETS(scalar);
#if NN__HAS_SSE2
    static const nn__kernels sse2 = NN__SETS(sse2); /* two lanes of f64 gain little: the scalar set serves */
    if (isa == NN__ISA_SSE2) return &sse2;
#endif
#if NN__HAS_AVX2
    static const nn__kernels avx2 = NN__SETS(avx2);
    if (isa == NN__ISA_AVX2) return &avx2;
#endif
#if NN__HAS_AVX512
    static const nn__kernels avx512 = NN__SETS(avx512);
    if (isa == NN__ISA_AVX512) return &avx512;
#endif
#if NN__HAS_NEON
    static const nn__kernels neon = NN__SETS(neon);
    if (isa == NN__ISA_NEON) return &neon;
#endif
    return isa == NN__ISA_SCALAR ? &scalar : NULL;
}
#undef NN__SETS

#endif /* NN_IMPLEMENTATION */
#else  /* NN__PASS_ISA: one pass of the kernels */

// ---- the vocabulary ----------------------------------------------------------------------------------------
// NN__R scalar, NN__V vector of NN__W scalars, NN__M mask, NN__VI int32 lanes (float passes only).
//   min, max     as x86 does: the second operand if either is NaN, so clamp(x) = min(hi, max(lo, x))
//                lets a NaN x through
//   fma, fnma    a*b+c, c-a*b; one rounding on avx2, avx512 and neon, two on the others
//   load_n ..    the first n lanes, 0 <= n <= NN__W; the rest reads as 0 and is never touched
//   toint        to the nearest int32, ties to even, |a| < 2^22
//   isnan        as a mask; lt, gt, eq are false where an operand is NaN
//   stream       store past the caches, p aligned to the vector; fence once after the last one
//   load_mask    true where the byte is not 0
// Words of integers, float passes only (store_mask, 1 or 0 a byte, and any too): iota is 0, 1, 2 ..., shr shifts zeros in, gt
// compares with sign, mul gives both halves of the unsigned products.
// Words that would evaluate an argument twice, or need a statement, are functions: NN__K(v_xxx).

// The region in which the compiler may use the set; closed after the table of the pass.
#if NN__PASS_ISA == 2 && defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#elif NN__PASS_ISA == 2
#pragma GCC push_options
#pragma GCC target("avx2,fma")
#elif NN__PASS_ISA == 3 && defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma"))), apply_to = function)
#elif NN__PASS_ISA == 3
#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")
#endif

#if NN__PASS_F64
#define NN__R double
#else
#define NN__R float
#endif

// ---- scalar: one lane, both types -------------------------------------------------------------
#if NN__PASS_ISA == 0

#define NN__V NN__R
#define NN__M int
#define NN__W 1
#define nn__v_load(p)           (*(p))
#define nn__v_store(p, v)       ((void)(*(p) = (v)))
#define nn__v_load_n(p, n)      ((n) ? *(p) : (NN__R)0)
#define nn__v_store_n(p, v, n)  ((void)((n) ? (*(p) = (v)) : (NN__R)0))
#define nn__v_set1(x)           ((NN__R)(x))
#define nn__v_zero()            ((NN__R)0)
#define nn__v_add(a, b)         ((a) + (b))
#define nn__v_sub(a, b)         ((a) - (b))
#define nn__v_mul(a, b)         ((a) * (b))
#define nn__v_div(a, b)         ((a) / (b))
#define nn__v_fma(a, b, c)      ((a) * (b) + (c))
#define nn__v_fnma(a, b, c)     ((c) - (a) * (b))
#define nn__v_neg(a)            (-(a))
#define nn__v_min(a, b)         NN__K(v_min)(a, b)
#define nn__v_max(a, b)         NN__K(v_max)(a, b)
#define nn__v_lt(a, b)          ((a) < (b))
#define nn__v_gt(a, b)          ((a) > (b))
#define nn__v_eq(a, b)          ((a) == (b))
#define nn__v_isnan(a)          NN__K(v_isnan)(a)
#define nn__v_or(m, k)          ((m) | (k))
#define nn__v_select(m, a, b)   ((m) ? (a) : (b))
#define nn__v_hsum(v)           (v)
#define nn__v_stream(p, v)      nn__v_store(p, v)
#define nn__v_fence()           ((void)0)
#define nn__v_load_mask(p)      (*(p) != 0)

static inline NN__UNUSED NN__R NN__K(v_min)(NN__R a, NN__R b) { return a < b ? a : b; }
static inline NN__UNUSED NN__R NN__K(v_max)(NN__R a, NN__R b) { return a > b ? a : b; }
static inline NN__UNUSED int NN__K(v_isnan)(NN__R a) { return a != a; }

#if NN__PASS_F64
#define nn__v_sqrt(a)           sqrt(a)
#define nn__v_abs(a)            fabs(a)
#else
#define nn__v_sqrt(a)           sqrtf(a)
#define nn__v_abs(a)            fabsf(a)
#define NN__VI uint32_t // unsigned: wraps
#define nn__v_toint(v)          (nn__v_bits((v) + 12582912.0f) - 0x4b400000u) // 1.5 * 2^23 leaves no room for a fraction
#define nn__v_fromint(i)        ((float)(int32_t)(i))
#define nn__v_bits(v)           NN__K(v_bits)(v)
#define nn__v_frombits(i)       NN__K(v_frombits)(i)
#define nn__vi_set1(x)          ((uint32_t)(x))
#define nn__vi_add(a, b)        ((a) + (b))
#define nn__vi_sub(a, b)        ((a) - (b))
#define nn__vi_and(a, b)        ((a) & (b))
#define nn__vi_or(a, b)         ((a) | (b))
#define nn__vi_shl(i, k)        ((i) << (k))
#define nn__vi_sar(i, k)        ((uint32_t)((int32_t)(i) >> (k)))
#define nn__vi_shr(i, k)        ((i) >> (k))
#define nn__vi_xor3(a, b, c)    ((a) ^ (b) ^ (c))
#define nn__vi_gt(a, b)         ((int32_t)(a) > (int32_t)(b))
#define nn__v_any(m)            (m)
#define nn__vi_load(p)          NN__K(vi_load)(p)
#define nn__vi_store(p, i)      NN__K(vi_store)(p, i)
#define nn__vi_iota()           0u
#define nn__v_store_mask(p, m)  ((void)(*(p) = (uint8_t)(m)))
static inline NN__UNUSED uint32_t NN__K(vi_load)(const void *p) { uint32_t v; memcpy(&v, p, sizeof v); return v; }
static inline NN__UNUSED void NN__K(vi_store)(void *p, uint32_t v) { memcpy(p, &v, sizeof v); }
static inline NN__UNUSED uint32_t NN__K(vi_mul)(uint32_t a, uint32_t b, uint32_t *high)
{
    const uint64_t p = (uint64_t)a * b;
    *high = (uint32_t)(p >> 32);
    return (uint32_t)p;
}
static inline NN__UNUSED uint32_t NN__K(v_bits)(float a)
{
    NN__ROUNDED float f = a;
    float g = f;
    uint32_t i;
    memcpy(&i, &g, 4);
    return i;
}
static inline NN__UNUSED float NN__K(v_frombits)(uint32_t i)
{
    float f;
    memcpy(&f, &i, 4);
    return f;
}
#endif

// ---- sse2 (the x86-64 baseline: nothing later) --------------------------------------------------
#elif NN__PASS_ISA == 1

#define NN__V  __m128
#define NN__VI __m128i
#define NN__M  __m128
#define NN__W  4
#define nn__v_load(p)           _mm_loadu_ps(p)
#define nn__v_store(p, v)       _mm_storeu_ps(p, v)
#define nn__v_load_n(p, n)      NN__K(v_load_n)(p, n)
#define nn__v_store_n(p, v, n)  NN__K(v_store_n)(p, v, n)
#define nn__v_set1(x)           _mm_set1_ps(x)
#define nn__v_zero()            _mm_setzero_ps()
#define nn__v_add(a, b)         _mm_add_ps(a, b)
#define nn__v_sub(a, b)         _mm_sub_ps(a, b)
#define nn__v_mul(a, b)         _mm_mul_ps(a, b)
#define nn__v_div(a, b)         _mm_div_ps(a, b)
#define nn__v_fma(a, b, c)      _mm_add_ps(_mm_mul_ps(a, b), c)
#define nn__v_fnma(a, b, c)     _mm_sub_ps(c, _mm_mul_ps(a, b))
#define nn__v_min(a, b)         _mm_min_ps(a, b)
#define nn__v_max(a, b)         _mm_max_ps(a, b)
#define nn__v_sqrt(a)           _mm_sqrt_ps(a)
#define nn__v_abs(a)            _mm_andnot_ps(_mm_set1_ps(-0.0f), a)
#define nn__v_neg(a)            _mm_xor_ps(_mm_set1_ps(-0.0f), a)
#define nn__v_lt(a, b)          _mm_cmplt_ps(a, b)
#define nn__v_gt(a, b)          _mm_cmpgt_ps(a, b)
#define nn__v_eq(a, b)          _mm_cmpeq_ps(a, b)
#define nn__v_isnan(a)          _mm_cmpunord_ps(a, _mm_setzero_ps())
#define nn__v_or(m, k)          _mm_or_ps(m, k)
#define nn__v_select(m, a, b)   NN__K(v_select)(m, a, b)
#define nn__v_hsum(v)           NN__K(v_hsum)(v)
#define nn__v_toint(v)          _mm_cvtps_epi32(v)
#define nn__v_fromint(i)        _mm_cvtepi32_ps(i)
#define nn__v_bits(v)           _mm_castps_si128(v)
#define nn__v_frombits(i)       _mm_castsi128_ps(i)
#define nn__vi_set1(x)          _mm_set1_epi32((int)(x))
#define nn__vi_add(a, b)        _mm_add_epi32(a, b)
#define nn__vi_sub(a, b)        _mm_sub_epi32(a, b)
#define nn__vi_and(a, b)        _mm_and_si128(a, b)
#define nn__vi_or(a, b)         _mm_or_si128(a, b)
#define nn__vi_shl(i, k)        _mm_slli_epi32(i, k)
#define nn__vi_sar(i, k)        _mm_srai_epi32(i, k)
#define nn__vi_shr(i, k)        _mm_srli_epi32(i, k)
#define nn__vi_xor3(a, b, c)    _mm_xor_si128(_mm_xor_si128(a, b), c)
#define nn__v_any(m)            (_mm_movemask_ps(m) != 0)
#define nn__vi_gt(a, b)         _mm_castsi128_ps(_mm_cmpgt_epi32(a, b))
#define nn__vi_load(p)          _mm_loadu_si128((const __m128i *)(const void *)(p))
#define nn__vi_store(p, i)      _mm_storeu_si128((__m128i *)(void *)(p), i)
#define nn__vi_iota()           _mm_setr_epi32(0, 1, 2, 3)
#define nn__v_stream(p, v)      _mm_stream_ps(p, v)
#define nn__v_fence()           _mm_sfence()
#define nn__v_load_mask(p)      NN__K(v_load_mask)(p)
#define nn__v_store_mask(p, m)  NN__K(v_store_mask)(p, m)

static inline NN__UNUSED __m128 NN__K(v_select)(__m128 m, __m128 a, __m128 b)
{
    return _mm_or_ps(_mm_and_ps(m, a), _mm_andnot_ps(m, b));
}
static inline NN__UNUSED __m128 NN__K(v_load_mask)(const uint8_t *p)
{
    const __m128i zero = _mm_setzero_si128();
    int i;
    memcpy(&i, p, 4);
    return _mm_castsi128_ps(_mm_cmpgt_epi32(_mm_unpacklo_epi16(_mm_unpacklo_epi8(_mm_cvtsi32_si128(i), zero), zero), zero));
}
static inline NN__UNUSED void NN__K(v_store_mask)(uint8_t *p, __m128 m)
{
    const __m128i h = _mm_packs_epi32(_mm_castps_si128(m), _mm_setzero_si128());
    const int i = _mm_cvtsi128_si32(_mm_packs_epi16(h, h)) & 0x01010101;
    memcpy(p, &i, 4);
}
static inline NN__UNUSED __m128i NN__K(vi_mul)(__m128i a, __m128i b, __m128i *high) // even lanes, then odd ones
{
    const __m128i low = _mm_set_epi32(0, -1, 0, -1), e = _mm_mul_epu32(a, b), o = _mm_mul_epu32(_mm_srli_epi64(a, 32), b);
    *high = _mm_or_si128(_mm_srli_epi64(e, 32), _mm_andnot_si128(low, o));
    return _mm_or_si128(_mm_and_si128(e, low), _mm_slli_epi64(o, 32));
}
static inline NN__UNUSED float NN__K(v_hsum)(__m128 v)
{
    v = _mm_add_ps(v, _mm_movehl_ps(v, v));
    return _mm_cvtss_f32(_mm_add_ss(v, _mm_shuffle_ps(v, v, 1)));
}

// ---- avx2 + fma ---------------------------------------------------------------------------------
#elif NN__PASS_ISA == 2 && !NN__PASS_F64

#define NN__V  __m256
#define NN__VI __m256i
#define NN__M  __m256
#define NN__W  8
#define nn__v_load(p)           _mm256_loadu_ps(p)
#define nn__v_store(p, v)       _mm256_storeu_ps(p, v)
#define nn__v_load_n(p, n)      _mm256_maskload_ps(p, NN__K(v_first)((int)(n)))
#define nn__v_store_n(p, v, n)  _mm256_maskstore_ps(p, NN__K(v_first)((int)(n)), v)
#define nn__v_set1(x)           _mm256_set1_ps(x)
#define nn__v_zero()            _mm256_setzero_ps()
#define nn__v_add(a, b)         _mm256_add_ps(a, b)
#define nn__v_sub(a, b)         _mm256_sub_ps(a, b)
#define nn__v_mul(a, b)         _mm256_mul_ps(a, b)
#define nn__v_div(a, b)         _mm256_div_ps(a, b)
#define nn__v_fma(a, b, c)      _mm256_fmadd_ps(a, b, c)
#define nn__v_fnma(a, b, c)     _mm256_fnmadd_ps(a, b, c)
#define nn__v_min(a, b)         _mm256_min_ps(a, b)
#define nn__v_max(a, b)         _mm256_max_ps(a, b)
#define nn__v_sqrt(a)           _mm256_sqrt_ps(a)
#define nn__v_abs(a)            _mm256_andnot_ps(_mm256_set1_ps(-0.0f), a)
#define nn__v_neg(a)            _mm256_xor_ps(_mm256_set1_ps(-0.0f), a)
#define nn__v_lt(a, b)          _mm256_cmp_ps(a, b, _CMP_LT_OQ)
#define nn__v_gt(a, b)          _mm256_cmp_ps(a, b, _CMP_GT_OQ)
#define nn__v_eq(a, b)          _mm256_cmp_ps(a, b, _CMP_EQ_OQ)
#define nn__v_isnan(a)          _mm256_cmp_ps(a, _mm256_setzero_ps(), _CMP_UNORD_Q)
#define nn__v_or(m, k)          _mm256_or_ps(m, k)
#define nn__v_select(m, a, b)   _mm256_blendv_ps(b, a, m)
#define nn__v_hsum(v)           NN__K(v_hsum)(v)
#define nn__v_toint(v)          _mm256_cvtps_epi32(v)
#define nn__v_fromint(i)        _mm256_cvtepi32_ps(i)
#define nn__v_bits(v)           _mm256_castps_si256(v)
#define nn__v_frombits(i)       _mm256_castsi256_ps(i)
#define nn__vi_set1(x)          _mm256_set1_epi32((int)(x))
#define nn__vi_add(a, b)        _mm256_add_epi32(a, b)
#define nn__vi_sub(a, b)        _mm256_sub_epi32(a, b)
#define nn__vi_and(a, b)        _mm256_and_si256(a, b)
#define nn__vi_or(a, b)         _mm256_or_si256(a, b)
#define nn__vi_shl(i, k)        _mm256_slli_epi32(i, k)
#define nn__vi_sar(i, k)        _mm256_srai_epi32(i, k)
#define nn__vi_shr(i, k)        _mm256_srli_epi32(i, k)
#define nn__vi_xor3(a, b, c)    _mm256_xor_si256(_mm256_xor_si256(a, b), c)
#define nn__v_any(m)            (_mm256_movemask_ps(m) != 0)
#define nn__vi_gt(a, b)         _mm256_castsi256_ps(_mm256_cmpgt_epi32(a, b))
#define nn__vi_load(p)          _mm256_loadu_si256((const __m256i *)(const void *)(p))
#define nn__vi_store(p, i)      _mm256_storeu_si256((__m256i *)(void *)(p), i)
#define nn__vi_iota()           _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7)
#define nn__v_stream(p, v)      _mm256_stream_ps(p, v)
#define nn__v_fence()           _mm_sfence()
#define nn__v_load_mask(p)      NN__K(v_load_mask)(p)
#define nn__v_store_mask(p, m)  NN__K(v_store_mask)(p, m)

static inline NN__UNUSED __m256i NN__K(v_first)(int n)
{
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
static inline NN__UNUSED __m256 NN__K(v_load_mask)(const uint8_t *p)
{
    const __m256i i = _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)p));
    return _mm256_castsi256_ps(_mm256_cmpgt_epi32(i, _mm256_setzero_si256()));
}
static inline NN__UNUSED void NN__K(v_store_mask)(uint8_t *p, __m256 m)
{
    const __m256i i = _mm256_castps_si256(m);
    const __m128i h = _mm_packs_epi32(_mm256_castsi256_si128(i), _mm256_extracti128_si256(i, 1));
    _mm_storel_epi64((__m128i *)(void *)p, _mm_and_si128(_mm_packs_epi16(h, h), _mm_set1_epi8(1)));
}
static inline NN__UNUSED __m256i NN__K(vi_mul)(__m256i a, __m256i b, __m256i *high) // even lanes, then odd ones
{
    const __m256i e = _mm256_mul_epu32(a, b), o = _mm256_mul_epu32(_mm256_srli_epi64(a, 32), b);
    *high = _mm256_blend_epi32(_mm256_srli_epi64(e, 32), o, 0xaa);
    return _mm256_blend_epi32(e, _mm256_slli_epi64(o, 32), 0xaa);
}
static inline NN__UNUSED float NN__K(v_hsum)(__m256 v)
{
    __m128 h = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    h = _mm_add_ps(h, _mm_movehl_ps(h, h));
    return _mm_cvtss_f32(_mm_add_ss(h, _mm_shuffle_ps(h, h, 1)));
}

#elif NN__PASS_ISA == 2

#define NN__V __m256d
#define NN__M __m256d
#define NN__W 4
#define nn__v_load(p)           _mm256_loadu_pd(p)
#define nn__v_store(p, v)       _mm256_storeu_pd(p, v)
#define nn__v_load_n(p, n)      _mm256_maskload_pd(p, NN__K(v_first)((int)(n)))
#define nn__v_store_n(p, v, n)  _mm256_maskstore_pd(p, NN__K(v_first)((int)(n)), v)
#define nn__v_set1(x)           _mm256_set1_pd(x)
#define nn__v_zero()            _mm256_setzero_pd()
#define nn__v_add(a, b)         _mm256_add_pd(a, b)
#define nn__v_sub(a, b)         _mm256_sub_pd(a, b)
#define nn__v_mul(a, b)         _mm256_mul_pd(a, b)
#define nn__v_div(a, b)         _mm256_div_pd(a, b)
#define nn__v_fma(a, b, c)      _mm256_fmadd_pd(a, b, c)
#define nn__v_fnma(a, b, c)     _mm256_fnmadd_pd(a, b, c)
#define nn__v_min(a, b)         _mm256_min_pd(a, b)
#define nn__v_max(a, b)         _mm256_max_pd(a, b)
#define nn__v_sqrt(a)           _mm256_sqrt_pd(a)
#define nn__v_abs(a)            _mm256_andnot_pd(_mm256_set1_pd(-0.0), a)
#define nn__v_neg(a)            _mm256_xor_pd(_mm256_set1_pd(-0.0), a)
#define nn__v_lt(a, b)          _mm256_cmp_pd(a, b, _CMP_LT_OQ)
#define nn__v_gt(a, b)          _mm256_cmp_pd(a, b, _CMP_GT_OQ)
#define nn__v_eq(a, b)          _mm256_cmp_pd(a, b, _CMP_EQ_OQ)
#define nn__v_isnan(a)          _mm256_cmp_pd(a, _mm256_setzero_pd(), _CMP_UNORD_Q)
#define nn__v_or(m, k)          _mm256_or_pd(m, k)
#define nn__v_select(m, a, b)   _mm256_blendv_pd(b, a, m)
#define nn__v_stream(p, v)      _mm256_stream_pd(p, v)
#define nn__v_fence()           _mm_sfence()
#define nn__v_load_mask(p)      NN__K(v_load_mask)(p)
#define nn__v_hsum(v)           NN__K(v_hsum)(v)

static inline NN__UNUSED __m256i NN__K(v_first)(int n)
{
    return _mm256_cmpgt_epi64(_mm256_set1_epi64x(n), _mm256_setr_epi64x(0, 1, 2, 3));
}
static inline NN__UNUSED __m256d NN__K(v_load_mask)(const uint8_t *p)
{
    int i;
    memcpy(&i, p, 4);
    return _mm256_castsi256_pd(_mm256_cmpgt_epi64(_mm256_cvtepu8_epi64(_mm_cvtsi32_si128(i)), _mm256_setzero_si256()));
}
static inline NN__UNUSED double NN__K(v_hsum)(__m256d v)
{
    __m128d h = _mm_add_pd(_mm256_castpd256_pd128(v), _mm256_extractf128_pd(v, 1));
    return _mm_cvtsd_f64(_mm_add_sd(h, _mm_unpackhi_pd(h, h)));
}

// ---- avx512 f, bw, dq, vl -----------------------------------------------------------------------
// The maskz forms with all lanes on compile to the plain instruction; the plain intrinsics start from
// an undefined vector inside g++ 12's own headers, which warns under -Wall.
#elif NN__PASS_ISA == 3 && !NN__PASS_F64

#define NN__V  __m512
#define NN__VI __m512i
#define NN__M  __mmask16
#define NN__W  16
#define NN__ALL ((__mmask16)0xffff)
#define nn__v_load(p)           _mm512_loadu_ps(p)
#define nn__v_store(p, v)       _mm512_storeu_ps(p, v)
#define nn__v_load_n(p, n)      _mm512_maskz_loadu_ps((__mmask16)((1u << (n)) - 1), p)
#define nn__v_store_n(p, v, n)  _mm512_mask_storeu_ps(p, (__mmask16)((1u << (n)) - 1), v)
#define nn__v_set1(x)           _mm512_set1_ps(x)
#define nn__v_zero()            _mm512_setzero_ps()
#define nn__v_add(a, b)         _mm512_add_ps(a, b)
#define nn__v_sub(a, b)         _mm512_sub_ps(a, b)
#define nn__v_mul(a, b)         _mm512_mul_ps(a, b)
#define nn__v_div(a, b)         _mm512_div_ps(a, b)
#define nn__v_fma(a, b, c)      _mm512_fmadd_ps(a, b, c)
#define nn__v_fnma(a, b, c)     _mm512_fnmadd_ps(a, b, c)
#define nn__v_min(a, b)         _mm512_maskz_min_ps(NN__ALL, a, b)
#define nn__v_max(a, b)         _mm512_maskz_max_ps(NN__ALL, a, b)
#define nn__v_sqrt(a)           _mm512_maskz_sqrt_ps(NN__ALL, a)
#define nn__v_abs(a)            _mm512_abs_ps(a)
#define nn__v_neg(a)            _mm512_castsi512_ps(_mm512_xor_si512(_mm512_castps_si512(a), _mm512_set1_epi32(INT32_MIN)))
#define nn__v_lt(a, b)          _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ)
#define nn__v_gt(a, b)          _mm512_cmp_ps_mask(a, b, _CMP_GT_OQ)
#define nn__v_eq(a, b)          _mm512_cmp_ps_mask(a, b, _CMP_EQ_OQ)
#define nn__v_isnan(a)          _mm512_cmp_ps_mask(a, _mm512_setzero_ps(), _CMP_UNORD_Q)
#define nn__v_or(m, k)          ((__mmask16)((m) | (k)))
#define nn__v_select(m, a, b)   _mm512_mask_blend_ps(m, b, a)
#define nn__v_hsum(v)           NN__K(v_hsum)(v)
#define nn__v_toint(v)          _mm512_maskz_cvtps_epi32(NN__ALL, v)
#define nn__v_fromint(i)        _mm512_maskz_cvtepi32_ps(NN__ALL, i)
#define nn__v_bits(v)           _mm512_castps_si512(v)
#define nn__v_frombits(i)       _mm512_castsi512_ps(i)
#define nn__v_ldexp(v, f)       _mm512_maskz_scalef_ps(NN__ALL, v, f)
#define nn__vi_set1(x)          _mm512_set1_epi32((int)(x))
#define nn__vi_add(a, b)        _mm512_add_epi32(a, b)
#define nn__vi_sub(a, b)        _mm512_sub_epi32(a, b)
#define nn__vi_and(a, b)        _mm512_and_si512(a, b)
#define nn__vi_or(a, b)         _mm512_or_si512(a, b)
#define nn__vi_shl(i, k)        _mm512_maskz_slli_epi32(NN__ALL, i, k)
#define nn__vi_sar(i, k)        _mm512_maskz_srai_epi32(NN__ALL, i, k)
#define nn__vi_shr(i, k)        _mm512_maskz_srli_epi32(NN__ALL, i, k)
#define nn__vi_xor3(a, b, c)    _mm512_ternarylogic_epi32(a, b, c, 0x96)
#define nn__v_any(m)            ((m) != 0)
#define nn__vi_gt(a, b)         _mm512_cmpgt_epi32_mask(a, b)
#define nn__vi_load(p)          _mm512_loadu_si512(p)
#define nn__vi_store(p, i)      _mm512_storeu_si512(p, i)
#define nn__vi_iota()           _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)
#define nn__v_stream(p, v)      _mm512_stream_ps(p, v)
#define nn__v_fence()           _mm_sfence()
#define nn__v_load_mask(p)      NN__K(v_load_mask)(p)
#define nn__v_store_mask(p, m)  _mm_storeu_si128((__m128i *)(void *)(p), _mm_maskz_set1_epi8(m, 1))

static inline NN__UNUSED __mmask16 NN__K(v_load_mask)(const uint8_t *p)
{
    const __m128i i = _mm_loadu_si128((const __m128i *)(const void *)p);
    return _mm_test_epi8_mask(i, i);
}
static inline NN__UNUSED __m512i NN__K(vi_mul)(__m512i a, __m512i b, __m512i *high) // even lanes, then odd ones
{
    const __m512i e = _mm512_maskz_mul_epu32(0xff, a, b), o = _mm512_maskz_mul_epu32(0xff, _mm512_maskz_srli_epi64(0xff, a, 32), b);
    *high = _mm512_mask_shuffle_epi32(o, 0x5555, e, (_MM_PERM_ENUM)0xf5);
    return _mm512_mask_shuffle_epi32(e, 0xaaaa, o, (_MM_PERM_ENUM)0xa0);
}

static inline NN__UNUSED float NN__K(v_hsum)(__m512 v)
{
    __m256 q = _mm256_add_ps(_mm512_maskz_extractf32x8_ps(0xff, v, 0), _mm512_maskz_extractf32x8_ps(0xff, v, 1));
    __m128 h = _mm_add_ps(_mm256_castps256_ps128(q), _mm256_extractf128_ps(q, 1));
    h = _mm_add_ps(h, _mm_movehl_ps(h, h));
    return _mm_cvtss_f32(_mm_add_ss(h, _mm_shuffle_ps(h, h, 1)));
}

#elif NN__PASS_ISA == 3

#define NN__V __m512d
#define NN__M __mmask8
#define NN__W 8
#define NN__ALL ((__mmask8)0xff)
#define nn__v_load(p)           _mm512_loadu_pd(p)
#define nn__v_store(p, v)       _mm512_storeu_pd(p, v)
#define nn__v_load_n(p, n)      _mm512_maskz_loadu_pd((__mmask8)((1u << (n)) - 1), p)
#define nn__v_store_n(p, v, n)  _mm512_mask_storeu_pd(p, (__mmask8)((1u << (n)) - 1), v)
#define nn__v_set1(x)           _mm512_set1_pd(x)
#define nn__v_zero()            _mm512_setzero_pd()
#define nn__v_add(a, b)         _mm512_add_pd(a, b)
#define nn__v_sub(a, b)         _mm512_sub_pd(a, b)
#define nn__v_mul(a, b)         _mm512_mul_pd(a, b)
#define nn__v_div(a, b)         _mm512_div_pd(a, b)
#define nn__v_fma(a, b, c)      _mm512_fmadd_pd(a, b, c)
#define nn__v_fnma(a, b, c)     _mm512_fnmadd_pd(a, b, c)
#define nn__v_min(a, b)         _mm512_maskz_min_pd(NN__ALL, a, b)
#define nn__v_max(a, b)         _mm512_maskz_max_pd(NN__ALL, a, b)
#define nn__v_sqrt(a)           _mm512_maskz_sqrt_pd(NN__ALL, a)
#define nn__v_abs(a)            _mm512_abs_pd(a)
#define nn__v_neg(a)            _mm512_castsi512_pd(_mm512_xor_si512(_mm512_castpd_si512(a), _mm512_set1_epi64(INT64_MIN)))
#define nn__v_lt(a, b)          _mm512_cmp_pd_mask(a, b, _CMP_LT_OQ)
#define nn__v_gt(a, b)          _mm512_cmp_pd_mask(a, b, _CMP_GT_OQ)
#define nn__v_eq(a, b)          _mm512_cmp_pd_mask(a, b, _CMP_EQ_OQ)
#define nn__v_isnan(a)          _mm512_cmp_pd_mask(a, _mm512_setzero_pd(), _CMP_UNORD_Q)
#define nn__v_or(m, k)          ((__mmask8)((m) | (k)))
#define nn__v_select(m, a, b)   _mm512_mask_blend_pd(m, b, a)
#define nn__v_stream(p, v)      _mm512_stream_pd(p, v)
#define nn__v_fence()           _mm_sfence()
#define nn__v_load_mask(p)      NN__K(v_load_mask)(p)
#define nn__v_hsum(v)           NN__K(v_hsum)(v)

static inline NN__UNUSED __mmask8 NN__K(v_load_mask)(const uint8_t *p)
{
    const __m128i i = _mm_loadl_epi64((const __m128i *)(const void *)p);
    return (__mmask8)_mm_test_epi8_mask(i, i);
}
static inline NN__UNUSED double NN__K(v_hsum)(__m512d v)
{
    __m256d q = _mm256_add_pd(_mm512_maskz_extractf64x4_pd(0xf, v, 0), _mm512_maskz_extractf64x4_pd(0xf, v, 1));
    __m128d h = _mm_add_pd(_mm256_castpd256_pd128(q), _mm256_extractf128_pd(q, 1));
    return _mm_cvtsd_f64(_mm_add_sd(h, _mm_unpackhi_pd(h, h)));
}

// ---- neon, aarch64 ------------------------------------------------------------------------------
// FMIN and FMAX return NaN for a NaN in either operand: compare and select has the x86 meaning.
#elif NN__PASS_ISA == 4 && !NN__PASS_F64

#define NN__V  float32x4_t
#define NN__VI int32x4_t
#define NN__M  uint32x4_t
#define NN__W  4
#define nn__v_load(p)           vld1q_f32(p)
#define nn__v_store(p, v)       vst1q_f32(p, v)
#define nn__v_load_n(p, n)      NN__K(v_load_n)(p, n)
#define nn__v_store_n(p, v, n)  NN__K(v_store_n)(p, v, n)
#define nn__v_set1(x)           vdupq_n_f32(x)
#define nn__v_zero()            vdupq_n_f32(0)
#define nn__v_add(a, b)         vaddq_f32(a, b)
#define nn__v_sub(a, b)         vsubq_f32(a, b)
#define nn__v_mul(a, b)         vmulq_f32(a, b)
#define nn__v_div(a, b)         vdivq_f32(a, b)
#define nn__v_fma(a, b, c)      vfmaq_f32(c, a, b)
#define nn__v_fnma(a, b, c)     vfmsq_f32(c, a, b)
#define nn__v_min(a, b)         NN__K(v_min)(a, b)
#define nn__v_max(a, b)         NN__K(v_max)(a, b)
#define nn__v_sqrt(a)           vsqrtq_f32(a)
#define nn__v_abs(a)            vabsq_f32(a)
#define nn__v_neg(a)            vnegq_f32(a)
#define nn__v_lt(a, b)          vcltq_f32(a, b)
#define nn__v_gt(a, b)          vcgtq_f32(a, b)
#define nn__v_eq(a, b)          vceqq_f32(a, b)
#define nn__v_isnan(a)          NN__K(v_isnan)(a)
#define nn__v_or(m, k)          vorrq_u32(m, k)
#define nn__v_select(m, a, b)   vbslq_f32(m, a, b)
#define nn__v_hsum(v)           NN__K(v_hsum)(v)
#define nn__v_toint(v)          vcvtnq_s32_f32(v)
#define nn__v_fromint(i)        vcvtq_f32_s32(i)
#define nn__v_bits(v)           vreinterpretq_s32_f32(v)
#define nn__v_frombits(i)       vreinterpretq_f32_s32(i)
#define nn__vi_set1(x)          vdupq_n_s32((int)(x))
#define nn__vi_add(a, b)        vreinterpretq_s32_u32(vaddq_u32(vreinterpretq_u32_s32(a), vreinterpretq_u32_s32(b))) // unsigned: wraps
#define nn__vi_sub(a, b)        vreinterpretq_s32_u32(vsubq_u32(vreinterpretq_u32_s32(a), vreinterpretq_u32_s32(b)))
#define nn__vi_and(a, b)        vandq_s32(a, b)
#define nn__vi_or(a, b)         vorrq_s32(a, b)
#define nn__vi_shl(i, k)        vshlq_n_s32(i, k)
#define nn__vi_sar(i, k)        vshrq_n_s32(i, k)
#define nn__vi_shr(i, k)        vreinterpretq_s32_u32(vshrq_n_u32(vreinterpretq_u32_s32(i), k))
#define nn__vi_xor3(a, b, c)    veorq_s32(veorq_s32(a, b), c)
#define nn__v_any(m)            (vmaxvq_u32(m) != 0)
#define nn__vi_gt(a, b)         vcgtq_s32(a, b)
#define nn__vi_load(p)          vld1q_s32((const int32_t *)(const void *)(p))
#define nn__vi_store(p, i)      vst1q_s32((int32_t *)(void *)(p), i)
#define nn__vi_iota()           NN__K(vi_iota)()
#define nn__v_stream(p, v)      vst1q_f32(p, v)
#define nn__v_fence()           ((void)0)
#define nn__v_load_mask(p)      NN__K(v_load_mask)(p)
#define nn__v_store_mask(p, m)  NN__K(v_store_mask)(p, m)

static inline NN__UNUSED float32x4_t NN__K(v_min)(float32x4_t a, float32x4_t b) { return vbslq_f32(vcltq_f32(a, b), a, b); }
static inline NN__UNUSED float32x4_t NN__K(v_max)(float32x4_t a, float32x4_t b) { return vbslq_f32(vcgtq_f32(a, b), a, b); }
static inline NN__UNUSED uint32x4_t NN__K(v_isnan)(float32x4_t a) { return vmvnq_u32(vceqq_f32(a, a)); }
static inline NN__UNUSED int32x4_t NN__K(vi_iota)(void)
{
    static const int32_t i[4] = {0, 1, 2, 3};
    return vld1q_s32(i);
}
static inline NN__UNUSED uint32x4_t NN__K(v_load_mask)(const uint8_t *p)
{
    uint32_t i;
    memcpy(&i, p, 4);
    return vcgtq_u32(vmovl_u16(vget_low_u16(vmovl_u8(vreinterpret_u8_u32(vdup_n_u32(i))))), vdupq_n_u32(0));
}
static inline NN__UNUSED void NN__K(v_store_mask)(uint8_t *p, uint32x4_t m)
{
    const uint16x4_t h = vmovn_u32(m);
    const uint32_t i = vget_lane_u32(vreinterpret_u32_u8(vmovn_u16(vcombine_u16(h, h))), 0) & 0x01010101u;
    memcpy(p, &i, 4);
}
static inline NN__UNUSED int32x4_t NN__K(vi_mul)(int32x4_t a, int32x4_t b, int32x4_t *high) // lower lanes, then upper ones
{
    const uint32x4_t x = vreinterpretq_u32_s32(a), y = vreinterpretq_u32_s32(b);
    const uint32x4_t l = vreinterpretq_u32_u64(vmull_u32(vget_low_u32(x), vget_low_u32(y)));
    const uint32x4_t u = vreinterpretq_u32_u64(vmull_u32(vget_high_u32(x), vget_high_u32(y)));
    *high = vreinterpretq_s32_u32(vuzp2q_u32(l, u));
    return vreinterpretq_s32_u32(vuzp1q_u32(l, u));
}
static inline NN__UNUSED float NN__K(v_hsum)(float32x4_t v)
{
    float32x2_t h = vadd_f32(vget_low_f32(v), vget_high_f32(v));
    return vget_lane_f32(h, 0) + vget_lane_f32(h, 1);
}

#elif NN__PASS_ISA == 4

#define NN__V float64x2_t
#define NN__M uint64x2_t
#define NN__W 2
#define nn__v_load(p)           vld1q_f64(p)
#define nn__v_store(p, v)       vst1q_f64(p, v)
#define nn__v_load_n(p, n)      NN__K(v_load_n)(p, n)
#define nn__v_store_n(p, v, n)  NN__K(v_store_n)(p, v, n)
#define nn__v_set1(x)           vdupq_n_f64(x)
#define nn__v_zero()            vdupq_n_f64(0)
#define nn__v_add(a, b)         vaddq_f64(a, b)
#define nn__v_sub(a, b)         vsubq_f64(a, b)
#define nn__v_mul(a, b)         vmulq_f64(a, b)
#define nn__v_div(a, b)         vdivq_f64(a, b)
#define nn__v_fma(a, b, c)      vfmaq_f64(c, a, b)
#define nn__v_fnma(a, b, c)     vfmsq_f64(c, a, b)
#define nn__v_min(a, b)         NN__K(v_min)(a, b)
#define nn__v_max(a, b)         NN__K(v_max)(a, b)
#define nn__v_sqrt(a)           vsqrtq_f64(a)
#define nn__v_abs(a)            vabsq_f64(a)
#define nn__v_neg(a)            vnegq_f64(a)
#define nn__v_lt(a, b)          vcltq_f64(a, b)
#define nn__v_gt(a, b)          vcgtq_f64(a, b)
#define nn__v_eq(a, b)          vceqq_f64(a, b)
#define nn__v_isnan(a)          NN__K(v_isnan)(a)
#define nn__v_or(m, k)          vorrq_u64(m, k)
#define nn__v_select(m, a, b)   vbslq_f64(m, a, b)
#define nn__v_hsum(v)           vpaddd_f64(v)
#define nn__v_stream(p, v)      vst1q_f64(p, v)
#define nn__v_fence()           ((void)0)
#define nn__v_load_mask(p)      vcgtq_u64(vcombine_u64(vcreate_u64((p)[0]), vcreate_u64((p)[1])), vdupq_n_u64(0))

static inline NN__UNUSED float64x2_t NN__K(v_min)(float64x2_t a, float64x2_t b) { return vbslq_f64(vcltq_f64(a, b), a, b); }
static inline NN__UNUSED float64x2_t NN__K(v_max)(float64x2_t a, float64x2_t b) { return vbslq_f64(vcgtq_f64(a, b), a, b); }
static inline NN__UNUSED uint64x2_t NN__K(v_isnan)(float64x2_t a)
{
    return vreinterpretq_u64_u32(vmvnq_u32(vreinterpretq_u32_u64(vceqq_f64(a, a))));
}

#endif

// Sets without masked moves go through a small array at the ends of rows.
#if NN__PASS_ISA == 1 || NN__PASS_ISA == 4
static inline NN__UNUSED NN__V NN__K(v_load_n)(const NN__R *p, size_t n)
{
    NN__R t[NN__W] = {0};
    for (size_t i = 0; i < n && i < NN__W; ++i) t[i] = p[i];
    return nn__v_load(t);
}
static inline NN__UNUSED void NN__K(v_store_n)(NN__R *p, NN__V v, size_t n)
{
    NN__R t[NN__W];
    nn__v_store(t, v);
    for (size_t i = 0; i < n && i < NN__W; ++i) p[i] = t[i];
}
#endif

// ---- elementary functions ------------------------------------------------------------------------------------
// Float: branch-free, within 2 ulp of the correctly rounded result for every input, in every
// instruction set, with and without fma (tests/fit.py makes the fits, tests/test_ops.c tries a dense sample).
// They assume round to nearest and working denormals, and no -ffast-math.
// Each polynomial is our own minimax fit: a Remez exchange in 40-digit arithmetic, weighted so that
// the error of the *result* is what is levelled, the coefficients rounded to float one after another
// from the lowest, the rest fitted again after each.  "u" below is 2^-24, half an ulp of 1.
// Double: the C library, lane by lane.

#if !NN__PASS_F64

#define NN__C(x) nn__v_set1(x)
#define NN__SIGN nn__vi_set1(INT32_MIN)

// Now this is a float, and made in the order written: see NN__ROUNDED.
static inline NN__UNUSED NN__V NN__K(rounded)(NN__V v)
{
    NN__ROUNDED NN__V f = v;
    return f;
}

// An integer n, |n| < 2^22, is carried as the float 1.5 * 2^23 + n: so large a sum has no room for a fraction, it is
// rounded by the addition that makes it, and n stands in its lowest bits.
#define NN__BIAS NN__C(12582912.0f)
#define NN__BIASED(t) nn__vi_sub(nn__v_bits(t), nn__v_bits(NN__BIAS)) // n as an integer

// v * 2^n, -252 <= n <= 254, rounding once where the result is denormal.  One power of two cannot span
// the way from 1 to the least denormal, so n is taken in two halves.
static inline NN__UNUSED NN__V NN__K(ldexp)(NN__V v, NN__V t)
{
#ifdef nn__v_ldexp
    return nn__v_ldexp(v, NN__K(rounded)(nn__v_sub(t, NN__BIAS)));
#else
    NN__VI one = nn__v_bits(NN__C(1.0f)), i = NN__BIASED(t), h = nn__vi_sar(i, 1);
    NN__V a = nn__v_frombits(nn__vi_add(nn__vi_shl(h, 23), one));
    NN__V b = nn__v_frombits(nn__vi_add(nn__vi_shl(nn__vi_sub(i, h), 23), one));
    return nn__v_mul(nn__v_mul(v, a), b);
#endif
}

// x = n ln2 + r, |r| <= ln2/2 (and a little); t carries n.  ln2 is split: the high part has 16 bits, so that n times
// it is exact and so is the first difference, with or without fma.
static inline NN__UNUSED NN__V NN__K(exp_reduce)(NN__V x, NN__V *t)
{
    NN__V f;
    *t = NN__K(rounded)(nn__v_fma(x, NN__C(1.44269504f), NN__BIAS));
    f = NN__K(rounded)(nn__v_sub(*t, NN__BIAS));
    x = nn__v_fnma(f, NN__C(0.693145752f), x);
    return nn__v_fnma(f, NN__C(1.42860682e-6f), x);
}

// (e^r - 1 - r) / r^2; the error of the e^r made from it is 0.05 u.
static inline NN__UNUSED NN__V NN__K(exp_poly)(NN__V r)
{
    NN__V q = NN__C(0.00138380087f);
    q = nn__v_fma(q, r, NN__C(0.00836916547f));
    q = nn__v_fma(q, r, NN__C(0.0416681021f));
    q = nn__v_fma(q, r, NN__C(0.166665167f));
    return nn__v_fma(q, r, NN__C(0.49999994f));
}

// e^x = 2^n e^r.  The clamp keeps n small; its ends are past the least denormal and past infinity.
static inline NN__UNUSED NN__V NN__K(exp)(NN__V x)
{
    NN__V t, r, y;
    x = nn__v_min(NN__C(89.0f), nn__v_max(NN__C(-104.0f), x));
    r = NN__K(exp_reduce)(x, &t);
    y = nn__v_fma(NN__K(exp_poly)(r), r, NN__C(1.0f));
    y = nn__v_fma(y, r, NN__C(1.0f));
    return NN__K(ldexp)(y, t);
}

// With e^-x = 2^n e^r: 1 / (1 + e^-x) = 2^-n / (2^-n + e^r), where the last step of e^r adds 1 + 2^-n
// instead of 1, so that the sum is rounded once.  2^-n is kept above 2^-100, which is nothing beside 1; the denormal
// results of x < -87 remain.
static inline NN__UNUSED NN__V NN__K(sigmoid)(NN__V x)
{
    NN__V t, r, p, down, one = NN__C(1.0f);
    x = nn__v_min(NN__C(104.0f), nn__v_max(NN__C(-87.0f), nn__v_neg(x)));
    r = NN__K(exp_reduce)(x, &t);
    p = nn__v_fma(NN__K(exp_poly)(r), r, one);
    down = nn__v_min(NN__C(12582912.0f + 100), t);
    down = nn__v_frombits(nn__vi_sub(nn__v_bits(one), nn__vi_shl(nn__v_bits(down), 23))); // of the bias no bit is left
    x = NN__K(rounded)(nn__v_add(one, down));
    down = nn__v_sub(down, nn__v_sub(x, one)); // what that addition lost, if n >= 24
    p = nn__v_add(x, nn__v_fma(p, r, down));
    return NN__K(ldexp)(nn__v_div(one, p), nn__v_sub(NN__C(2 * 12582912.0f), t));
}

// Odd: of |x|, and the sign put back, which keeps -0.  |x| < 0.625: x + x^3 P(x^2), error 0.08 u.  Beyond:
// 1 - 2 / (e^2|x| + 1), where the quotient is below half of 1, so that one part of ln2 is enough.  (One formula for
// all x, t / (t + 2) with t = e^2|x| - 1, is a little shorter and an ulp worse.)  From 9.02 on the result is 1.
static inline NN__UNUSED NN__V NN__K(tanh)(NN__V x)
{
    NN__VI sign = nn__vi_and(nn__v_bits(x), NN__SIGN);
    NN__V a = nn__v_abs(x), z = nn__v_mul(x, x), one = NN__C(1.0f), p, t, r, y;
    p = NN__C(-0.0056922962f);
    p = nn__v_fma(p, z, NN__C(0.0206281673f));
    p = nn__v_fma(p, z, NN__C(-0.0537365153f));
    p = nn__v_fma(p, z, NN__C(0.133314058f));
    p = nn__v_fma(p, z, NN__C(-0.333332807f));
    p = nn__v_fma(nn__v_mul(p, z), a, a);
    y = nn__v_min(NN__C(9.125f), a);
    y = nn__v_add(y, y);
    t = NN__K(rounded)(nn__v_fma(y, NN__C(1.44269504f), NN__BIAS));
    r = nn__v_fnma(NN__K(rounded)(nn__v_sub(t, NN__BIAS)), NN__C(0.693147182f), y);
    y = nn__v_fma(nn__v_fma(NN__K(exp_poly)(r), r, one), r, one);
    y = nn__v_fma(y, nn__v_frombits(nn__vi_add(nn__vi_shl(nn__v_bits(t), 23), nn__v_bits(one))), one); // of the bias no bit is left
    y = nn__v_sub(one, nn__v_div(NN__C(2.0f), y));
    y = nn__v_select(nn__v_lt(a, NN__C(0.625f)), p, y);
    return nn__v_frombits(nn__vi_or(nn__v_bits(y), sign));
}

// x = 2^e m, sqrt(1/2) <= m < sqrt(2): subtracting the bits of sqrt(1/2) makes the exponent field
// step there.  f = m - 1 is exact, log(1 + f) = f - f^2/2 + f^3 P(f), error of the result 0.1 u.
static inline NN__UNUSED NN__V NN__K(log)(NN__V x)
{
    const NN__V inf = NN__C(INFINITY);
    NN__M tiny = nn__v_lt(x, NN__C(1.17549435e-38f));
    NN__V v = nn__v_select(tiny, nn__v_mul(x, NN__C(16777216.0f)), x); // denormals, up by 2^24
    NN__VI k = nn__vi_sar(nn__vi_sub(nn__v_bits(v), nn__vi_set1(0x3f3504f3)), 23);
    NN__V f = nn__v_frombits(nn__vi_sub(nn__v_bits(v), nn__vi_shl(k, 23)));
    NN__V e = nn__v_fromint(k), f2, p;
    e = nn__v_select(tiny, nn__v_sub(e, NN__C(24.0f)), e);
    f = nn__v_sub(f, NN__C(1.0f));
    f2 = nn__v_mul(f, f);
    p = NN__C(-0.0764311403f);
    p = nn__v_fma(p, f, NN__C(0.127669424f));
    p = nn__v_fma(p, f, NN__C(-0.13159509f));
    p = nn__v_fma(p, f, NN__C(0.142009497f));
    p = nn__v_fma(p, f, NN__C(-0.166233346f));
    p = nn__v_fma(p, f, NN__C(0.200012609f));
    p = nn__v_fma(p, f, NN__C(-0.250008225f));
    p = nn__v_fma(p, f, NN__C(0.333333313f));
    p = nn__v_fma(p, f, NN__C(-0.5f));
    p = nn__v_fma(p, f2, nn__v_mul(e, NN__C(1.42860682e-6f)));
    p = nn__v_fma(e, NN__C(0.693145752f), nn__v_add(f, p));
    // 0 -> -inf, below 0 -> NaN; inf and NaN are their own logarithms.
    v = nn__v_select(nn__v_eq(x, nn__v_zero()), nn__v_neg(inf), NN__C(NAN));
    p = nn__v_select(nn__v_gt(x, nn__v_zero()), p, v);
    return nn__v_select(nn__v_lt(x, inf), p, x);
}

// Odd as well.  |x| < 1: x + x P(x^2), error 0.03 u.  Beyond: 1 - q^4 with q fitted to erfc^(1/4) about 1.5.
// A root of erfc is so much flatter that degree 8 does (0.17 u) where erfc itself needs 14, and since q^4
// is small, the error that the power multiplies is small beside 1.  From 3.92 on the result is 1.
static inline NN__UNUSED NN__V NN__K(erf)(NN__V x)
{
    NN__VI sign = nn__vi_and(nn__v_bits(x), NN__SIGN);
    NN__V a = nn__v_abs(x), z = nn__v_mul(x, x), t, p, q;
    p = NN__C(7.80690316e-05f);
    p = nn__v_fma(p, z, NN__C(-0.00079978531f));
    p = nn__v_fma(p, z, NN__C(0.0051871622f));
    p = nn__v_fma(p, z, NN__C(-0.0268533472f));
    p = nn__v_fma(p, z, NN__C(0.112835787f));
    p = nn__v_fma(p, z, NN__C(-0.37612626f));
    p = nn__v_fma(p, z, NN__C(0.128379166f));
    p = nn__v_fma(p, a, a);
    t = nn__v_sub(nn__v_min(NN__C(4.25f), a), NN__C(1.5f));
    q = NN__C(-2.28988974e-05f);
    q = nn__v_fma(q, t, NN__C(-8.56274419e-05f));
    q = nn__v_fma(q, t, NN__C(0.00123577844f));
    q = nn__v_fma(q, t, NN__C(-0.00156620983f));
    q = nn__v_fma(q, t, NN__C(-0.0124957673f));
    q = nn__v_fma(q, t, NN__C(0.0329462029f));
    q = nn__v_fma(q, t, NN__C(0.0693297312f));
    q = nn__v_fma(q, t, NN__C(-0.376384526f));
    q = nn__v_fma(q, t, NN__C(0.429075241f));
    q = nn__v_mul(q, q);
    q = nn__v_fnma(q, q, NN__C(1.0f));
    q = nn__v_select(nn__v_lt(a, NN__C(1.0f)), p, q);
    return nn__v_frombits(nn__vi_or(nn__v_bits(q), sign));
}

// x = q pi/2 + r, |r| <= pi/4 (and a little), |x| < 2^17; only the lowest two bits of q are right.  With fma pi/2 in three
// parts, of which all but the last keep the differences exact; they are rounded down, so that -0 stays -0.  Without,
// in double, lane by lane.
static inline NN__UNUSED NN__V NN__K(quarters)(NN__V x, NN__VI *q)
{
#if NN__PASS_ISA >= 2
    NN__V t = NN__K(rounded)(nn__v_fma(x, NN__C(0.636619772f), NN__BIAS)), f = NN__K(rounded)(nn__v_sub(t, NN__BIAS));
    *q = nn__v_bits(t);
    x = nn__v_fnma(f, NN__C(1.57079625f), x);
    x = nn__v_fnma(f, NN__C(7.54978942e-08f), x);
    return nn__v_fnma(f, NN__C(5.39030286e-15f), x);
#else
    float    r[NN__W];
    uint32_t n[NN__W];
    nn__v_store(r, x);
    for (int i = 0; i < NN__W; i++) {
        const double  v = fabsf(r[i]) < 131072.0f ? r[i] : 0;
        const int32_t k = (int32_t)(v * 0.6366197723675814 + (v < 0 ? -0.5 : 0.5));
        n[i] = (uint32_t)k;
        r[i] = (float)((v - k * 1.57079632673412561417) - k * 6.07710050650619224932e-11);
    }
    *q = nn__vi_load(n);
    return nn__v_load(r);
#endif
}

// sin(x + quarter pi/2).  An odd quarter takes the cosine of r, the second bit is the sign.  r + r^3 P(r^2), error 0.07 u;
// 1 - r^2/2 + r^4 P(r^2), error 0.01 u.  Lanes beyond 2^17, infinities and NaN go to the C library.
static inline NN__UNUSED NN__V NN__K(wave)(NN__V x, uint32_t quarter)
{
    NN__VI q;
    NN__V r = NN__K(quarters)(x, &q), z = nn__v_mul(r, r), a, b;
    const NN__M outside = nn__v_or(nn__v_gt(nn__v_abs(x), NN__C(131071.99f)), nn__v_isnan(x));
    q = nn__vi_add(q, nn__vi_set1(quarter));
    a = nn__v_fma(NN__C(-0.000195180954f), z, NN__C(0.00833218824f));
    a = nn__v_fma(a, z, NN__C(-0.166666552f));
    a = nn__v_fma(nn__v_mul(a, z), r, r);
    a = nn__v_frombits(nn__vi_or(nn__v_bits(a), nn__vi_and(nn__v_bits(r), NN__SIGN))); // of -0
    b = nn__v_fma(NN__C(2.44323273e-05f), z, NN__C(-0.00138873095f));
    b = nn__v_fma(b, z, NN__C(0.0416666456f));
    b = nn__v_fma(nn__v_mul(b, z), z, nn__v_fma(z, NN__C(-0.5f), NN__C(1.0f)));
    a = nn__v_select(nn__vi_gt(nn__vi_and(q, nn__vi_set1(1)), nn__vi_set1(0)), b, a);
    a = nn__v_frombits(nn__vi_add(nn__v_bits(a), nn__vi_shl(nn__vi_and(q, nn__vi_set1(2)), 30)));
    if (nn__v_any(outside)) {
        float from[NN__W], to[NN__W];
        nn__v_store(from, x);
        nn__v_store(to, a);
        for (int i = 0; i < NN__W; i++)
            if (!(fabsf(from[i]) < 131072.0f)) to[i] = (float)(quarter ? cos((double)from[i]) : sin((double)from[i]));
        a = nn__v_load(to);
    }
    return a;
}
static inline NN__UNUSED NN__V NN__K(sin)(NN__V x) { return NN__K(wave)(x, 0); }
static inline NN__UNUSED NN__V NN__K(cos)(NN__V x) { return NN__K(wave)(x, 1); }

// Near 0, where 1 + x or e^x - 1 lose digits, what they lose is put right by how x itself was lost (Kahan's way):
// ln(1 + x) = ln u * x / (u - 1) with u = 1 + x as rounded; e^x - 1 = (u - 1) x / ln u with u = e^x.
static inline NN__UNUSED NN__V NN__K(log1p)(NN__V x)
{
    const NN__V u = NN__K(rounded)(nn__v_add(NN__C(1.0f), x)), d = nn__v_sub(u, NN__C(1.0f)), y = NN__K(log)(u);
    const NN__V near0 = nn__v_select(nn__v_eq(d, nn__v_zero()), x, nn__v_mul(y, nn__v_div(x, d)));
    return nn__v_select(nn__v_lt(x, NN__C(8388608.0f)), near0, y);
}
static inline NN__UNUSED NN__V NN__K(expm1)(NN__V x)
{
    const NN__V u = NN__K(exp)(x), d = NN__K(rounded)(nn__v_sub(u, NN__C(1.0f)));
    const NN__V near0 = nn__v_select(nn__v_eq(d, nn__v_zero()), x, nn__v_mul(d, nn__v_div(x, NN__K(log)(u))));
    return nn__v_select(nn__v_lt(nn__v_abs(x), NN__C(16.0f)), near0, d);
}

// sin and cos of 2 pi u, 0 <= u < 1.  u = q/4 + r with |r| <= 1/8, exactly; an odd quarter swaps the two,
// the second bit of q and of q + 1 is the sign.  Absolute error below 2^-23 (errors of the fits 0.5 u).
static inline NN__UNUSED void NN__K(sincos2pi)(NN__V u, NN__V *s, NN__V *c)
{
    const NN__VI one = nn__vi_set1(1), two = nn__vi_set1(2);
    NN__VI q = nn__v_toint(nn__v_mul(u, NN__C(4.0f)));
    NN__V r = nn__v_fnma(nn__v_fromint(q), NN__C(0.25f), u), z = nn__v_mul(r, r), a, b;
    NN__M swap = nn__v_eq(nn__v_fromint(nn__vi_and(q, one)), NN__C(1.0f));
    a = nn__v_fma(NN__C(-76.8652267f), z, NN__C(81.627449f));
    a = nn__v_fma(a, z, NN__C(-41.3418732f));
    a = nn__v_mul(nn__v_fma(a, z, NN__C(6.28318548f)), r);
    b = nn__v_fma(NN__C(58.5612144f), z, NN__C(-85.4231186f));
    b = nn__v_fma(b, z, NN__C(64.9391403f));
    b = nn__v_fma(b, z, NN__C(-19.7392082f));
    b = nn__v_fma(b, z, NN__C(1.0f));
    z = nn__v_select(swap, b, a);
    b = nn__v_select(swap, a, b);
    u = nn__v_frombits(nn__vi_shl(nn__vi_and(q, two), 30));
    r = nn__v_frombits(nn__vi_shl(nn__vi_and(nn__vi_add(q, one), two), 30));
    *s = nn__v_mul(z, nn__v_frombits(nn__vi_or(nn__v_bits(u), nn__v_bits(NN__C(1.0f)))));
    *c = nn__v_mul(b, nn__v_frombits(nn__vi_or(nn__v_bits(r), nn__v_bits(NN__C(1.0f)))));
}

#undef NN__C
#undef NN__SIGN
#undef NN__BIAS
#undef NN__BIASED

#else // double

#define NN__LANES(name, expr)                                            \
    static inline NN__UNUSED NN__V NN__K(name)(NN__V v)                  \
    {                                                                    \
        double t[NN__W];                                                 \
        nn__v_store(t, v);                                               \
        for (int i = 0; i < NN__W; ++i) { double x = t[i]; t[i] = expr; } \
        return nn__v_load(t);                                            \
    }
NN__LANES(exp, exp(x))
NN__LANES(log, log(x))
NN__LANES(tanh, tanh(x))
NN__LANES(erf, erf(x))
NN__LANES(expm1, expm1(x))
NN__LANES(log1p, log1p(x))
NN__LANES(sin, sin(x))
NN__LANES(cos, cos(x))
NN__LANES(sigmoid, (x < 0 ? exp(x) : 1.0) / (1.0 + exp(-fabs(x))))
NN__LANES(sin2pi, sin(6.283185307179586 * x))
NN__LANES(cos2pi, cos(6.283185307179586 * x))
#undef NN__LANES
static inline NN__UNUSED void NN__K(sincos2pi)(NN__V u, NN__V *s, NN__V *c)
{
    *s = NN__K(sin2pi)(u);
    *c = NN__K(cos2pi)(u);
}

#endif

// What is not worth a formula: the C library, in double, lane by lane
static inline NN__UNUSED NN__V NN__K(each)(double (*f)(double), NN__V v)
{
    NN__R t[NN__W];
    nn__v_store(t, v);
    for (int i = 0; i < NN__W; i++) t[i] = (NN__R)f((double)t[i]);
    return nn__v_load(t);
}
static inline NN__UNUSED NN__V NN__K(each2)(double (*f)(double, double), NN__V a, NN__V b)
{
    NN__R t[NN__W], u[NN__W];
    nn__v_store(t, a);
    nn__v_store(u, b);
    for (int i = 0; i < NN__W; i++) t[i] = (NN__R)f((double)t[i], (double)u[i]);
    return nn__v_load(t);
}

// To integers: adding and taking away 2^23 or 2^52 rounds away what is behind the point
static inline NN__UNUSED NN__V NN__K(round)(NN__V x)
{
    const NN__V far = nn__v_set1((NN__R)(sizeof(NN__R) == 4 ? 8388608.0 : 4503599627370496.0)), a = nn__v_abs(x);
    NN__ROUNDED NN__V sum = nn__v_add(a, far);
    NN__V r = nn__v_sub(sum, far);
    r = nn__v_select(nn__v_lt(nn__v_div(nn__v_set1(1), x), nn__v_zero()), nn__v_neg(r), r); // -0 and what becomes it keep their sign
    return nn__v_select(nn__v_lt(a, far), r, x);
}
static inline NN__UNUSED NN__V NN__K(floor)(NN__V x)
{
    const NN__V r = NN__K(round)(x);
    return nn__v_select(nn__v_gt(r, x), nn__v_sub(r, nn__v_set1(1)), r);
}

// ln(1 + e^x) = max(x, 0) + ln(1 + e^-|x|)
static inline NN__UNUSED NN__V NN__K(softplus)(NN__V x) { return nn__v_add(nn__v_max(nn__v_zero(), x), NN__K(log1p)(NN__K(exp)(nn__v_neg(nn__v_abs(x))))); }

// The derivatives of x s and x t, s = sigmoid(x), t = tanh(softplus(x))
static inline NN__UNUSED NN__V NN__K(silu_slope)(NN__V x, NN__V s) { return nn__v_fma(x, nn__v_fnma(s, s, s), s); }
static inline NN__UNUSED NN__V NN__K(mish_slope)(NN__V x, NN__V t) { return nn__v_fma(nn__v_mul(x, NN__K(sigmoid)(x)), nn__v_fnma(t, t, nn__v_set1(1)), t); }

// The derivative of x s for s = sigmoid(a x + b x^3); x^2 is kept finite, for infinity times the 0 of s (1-s) is NaN
static inline NN__UNUSED NN__V NN__K(gelu_tanh_slope)(NN__V x, NN__V s)
{
    const NN__V z = nn__v_min(nn__v_set1(1e30), nn__v_mul(x, x)), u = nn__v_fma(z, nn__v_set1(3 * NN__GELU_B), nn__v_set1(NN__GELU_A));
    return nn__v_fma(nn__v_mul(x, nn__v_fnma(s, s, s)), u, s);
}

// ---- element-wise: the formulas of >>ops elementwise, over whole rows -----------------------------------
// The processor's own prefetch stops at the ends of pages and lags behind stores that go past the caches, so a long row
// asks for what it needs NN__AHEAD bytes later. A part is less than a vector: the head of a streamed row, up to where its vectors are aligned, or the tail.
static inline NN__UNUSED int64_t NN__K(head)(const NN__R *y, int64_t n)
{
    const int64_t head = (int64_t)((0 - (uintptr_t)y) % (NN__W * sizeof *y) / sizeof *y);
    return head < n ? head : n;
}
#define NN__X(name)                                                                                        \
    static void NN__K(map_##name)(const void *from, void *to, int64_t n, const double *p) {                \
        const NN__R *x = (const NN__R *)from;                                                              \
        NN__R       *y = (NN__R *)to;                                                                      \
        const NN__V  p0 = nn__v_set1((NN__R)(p ? p[0] : 0)), p1 = nn__v_set1((NN__R)(p ? p[1] : 0));       \
        const int    stream = n < 0;                                                                       \
        int64_t      i = 0, part;                                                                          \
        int          is_long;                                                                              \
        (void)p0; (void)p1;                                                                                \
        if (stream) n = -n;                                                                                \
        is_long = n >= NN__FAR;                                                                            \
        for (part = stream ? NN__K(head)(y, n) : 0;; part = n - i) {                                       \
            if (part) {                                                                                    \
                const NN__V v = nn__v_load_n(x + i, (int)part);                                            \
                nn__v_store_n(y + i, NN__F_##name(v, p0, p1), (int)part);                                  \
                i += part;                                                                                 \
            }                                                                                              \
            if (i == n) break;                                                                             \
            for (; i + NN__W <= n; i += NN__W) {                                                           \
                const NN__V v = nn__v_load(x + i), f = NN__F_##name(v, p0, p1);                            \
                if (is_long) nn__fetch(x + i, NN__AHEAD);                                                  \
                if (stream) nn__v_stream(y + i, f);                                                        \
                else nn__v_store(y + i, f);                                                                \
            }                                                                                              \
        }                                                                                                  \
        if (stream) nn__v_fence();                                                                         \
    }
NN__UNARY_OPS(NN__X)
#undef NN__X

#define NN__X(name)                                                                                                                     \
    static void NN__K(map_##name)(const void *xs, int x_step, const void *ys, int y_step, void *zs, int64_t n, const double *p) {       \
        const NN__R *x = (const NN__R *)xs, *y = (const NN__R *)ys;                                                                     \
        NN__R       *z = (NN__R *)zs;                                                                                                   \
        NN__V        a = nn__v_set1(x[0]), b = nn__v_set1(y[0]); /* a step of 0: one value for the whole row */                         \
        const int    stream = n < 0;                                                                                                    \
        int64_t      i = 0, part;                                                                                                       \
        int          is_long;                                                                                                           \
        (void)p;                                                                                                                        \
        if (stream) n = -n;                                                                                                             \
        is_long = n >= NN__FAR;                                                                                                         \
        for (part = stream ? NN__K(head)(z, n) : 0;; part = n - i) {                                                                    \
            if (part) {                                                                                                                 \
                if (x_step) a = nn__v_load_n(x + i, (int)part);                                                                         \
                if (y_step) b = nn__v_load_n(y + i, (int)part);                                                                         \
                nn__v_store_n(z + i, NN__F_##name(a, b, p0, p1), (int)part);                                                            \
                i += part;                                                                                                              \
            }                                                                                                                           \
            if (i == n) break;                                                                                                          \
            for (; i + NN__W <= n; i += NN__W) {                                                                                        \
                if (x_step) a = nn__v_load(x + i);                                                                                      \
                if (y_step) b = nn__v_load(y + i);                                                                                      \
                if (is_long) {                                                                                                          \
                    if (x_step) nn__fetch(x + i, NN__AHEAD);                                                                            \
                    if (y_step) nn__fetch(y + i, NN__AHEAD);                                                                            \
                }                                                                                                                       \
                if (stream) nn__v_stream(z + i, NN__F_##name(a, b, p0, p1));                                                            \
                else nn__v_store(z + i, NN__F_##name(a, b, p0, p1));                                                                    \
            }                                                                                                                           \
        }                                                                                                                               \
        if (stream) nn__v_fence();                                                                                                      \
    }
NN__BINARY_OPS(NN__X)
#undef NN__X

// ---- rows: sums, maxima, softmax, layer norm --------------------------------------------------------------
// A row is walked by full vectors and once over the masked rest, whose missing lanes read as 0.
#define NN__ROW(n, ...)                                                               \
    do {                                                                              \
        int64_t i = 0;                                                                \
        for (; i + NN__W <= (n); i += NN__W) { const int left = NN__W; __VA_ARGS__ }  \
        if (i < (n)) { const int left = (int)((n) - i); __VA_ARGS__ }                 \
    } while (0)
#define NN__LOAD(p) (left == NN__W ? nn__v_load(p) : nn__v_load_n(p, left))
#define NN__STORE(p, v) do { if (left == NN__W) nn__v_store(p, v); else nn__v_store_n(p, v, left); } while (0)

// Pairwise: halves down to blocks, a block in four chains. The error grows with log n, not with n.
enum { NN__K(sum_block) = 256 * NN__W };
static NN__R NN__K(sum_range)(const NN__R *x, int64_t n) {
    NN__V   s0 = nn__v_zero(), s1 = s0, s2 = s0, s3 = s0;
    int64_t i = 0;
    if (n > NN__K(sum_block)) {
        int64_t half = (n / 2 + NN__K(sum_block) - 1) / NN__K(sum_block) * NN__K(sum_block);
        return NN__K(sum_range)(x, half) + NN__K(sum_range)(x + half, n - half);
    }
    for (; i + 4 * NN__W <= n; i += 4 * NN__W) {
        s0 = nn__v_add(s0, nn__v_load(x + i));
        s1 = nn__v_add(s1, nn__v_load(x + i + NN__W));
        s2 = nn__v_add(s2, nn__v_load(x + i + 2 * NN__W));
        s3 = nn__v_add(s3, nn__v_load(x + i + 3 * NN__W));
    }
    for (; i < n; i += NN__W) {
        const int left = n - i < NN__W ? (int)(n - i) : NN__W;
        s0 = nn__v_add(s0, NN__LOAD(x + i));
    }
    s0 = nn__v_add(nn__v_add(s0, s1), nn__v_add(s2, s3));
    return nn__v_hsum(s0);
}
static void NN__K(sum)(const void *x, int64_t n, void *y) { *(NN__R *)y = NN__K(sum_range)((const NN__R *)x, n); }

static double NN__K(sum_squares)(const void *from, int64_t n) { // blocks in the type, their sums in double
    const NN__R *x = (const NN__R *)from;
    double       total = 0;
    for (int64_t at = 0; at < n; at += NN__K(sum_block)) {
        const int64_t m = nn__min64(n - at, NN__K(sum_block));
        NN__V         s = nn__v_zero();
        NN__ROW(m, { const NN__V v = NN__LOAD(x + at + i); s = nn__v_fma(v, v, s); });
        total += (double)nn__v_hsum(s);
    }
    return total;
}

// The larger, and NaN as soon as there is one. Four chains, as for sums, since each step waits for the one before.
#define NN__MAX(a, v) nn__v_select(nn__v_or(nn__v_gt(v, a), nn__v_isnan(v)), v, a)
static void NN__K(max)(const void *from, int64_t n, void *y) {
    const NN__R *x = (const NN__R *)from;
    NN__R        lanes[NN__W], best = x[0];
    NN__V        m0 = nn__v_set1(x[0]), m1 = m0, m2 = m0, m3 = m0;
    int64_t      i = 0;
    for (; i + 4 * NN__W <= n; i += 4 * NN__W) {
        const NN__V v0 = nn__v_load(x + i), v1 = nn__v_load(x + i + NN__W), v2 = nn__v_load(x + i + 2 * NN__W), v3 = nn__v_load(x + i + 3 * NN__W);
        m0 = NN__MAX(m0, v0); m1 = NN__MAX(m1, v1); m2 = NN__MAX(m2, v2); m3 = NN__MAX(m3, v3);
    }
    m0 = NN__MAX(m0, m1); m2 = NN__MAX(m2, m3); m0 = NN__MAX(m0, m2);
    for (; i + NN__W <= n; i += NN__W) {
        const NN__V v = nn__v_load(x + i);
        m0 = NN__MAX(m0, v);
    }
    nn__v_store(lanes, m0);
    for (int k = 0; k < NN__W; k++)
        if (lanes[k] > best || lanes[k] != lanes[k]) best = lanes[k];
    for (; i < n; i++)
        if (x[i] > best || x[i] != x[i]) best = x[i];
    *(NN__R *)y = best;
}

// The largest that is not NaN, and at least the least finite number: what e^x is taken relative to, where NaN comes through anyway
static NN__R NN__K(shift)(const NN__R *x, int64_t n) {
    NN__R   lanes[NN__W], best = (NN__R)(NN__PASS_F64 ? -DBL_MAX : -FLT_MAX);
    NN__V   m0 = nn__v_set1(best), m1 = m0, m2 = m0, m3 = m0;
    int64_t i = 0;
    for (; i + 4 * NN__W <= n; i += 4 * NN__W) { // max gives its second operand where the first is NaN
        m0 = nn__v_max(nn__v_load(x + i), m0);
        m1 = nn__v_max(nn__v_load(x + i + NN__W), m1);
        m2 = nn__v_max(nn__v_load(x + i + 2 * NN__W), m2);
        m3 = nn__v_max(nn__v_load(x + i + 3 * NN__W), m3);
    }
    for (; i + NN__W <= n; i += NN__W) m0 = nn__v_max(nn__v_load(x + i), m0);
    nn__v_store(lanes, nn__v_max(nn__v_max(m0, m1), nn__v_max(m2, m3)));
    for (int k = 0; k < NN__W; k++)
        if (lanes[k] > best) best = lanes[k];
    for (; i < n; i++)
        if (x[i] > best) best = x[i];
    return best;
}

// y[n] from rows of x, `row` apart: four vectors of columns at a time; sums in blocks of 64 rows
static void NN__K(sum_columns)(const void *from, int64_t rows, int64_t row, int64_t n, void *to) {
    const NN__R *x = (const NN__R *)from;
    NN__R       *y = (NN__R *)to;
    int64_t      i = 0;
    for (; i + 4 * NN__W <= n; i += 4 * NN__W) {
        NN__V t0 = nn__v_zero(), t1 = t0, t2 = t0, t3 = t0;
        for (int64_t at = 0; at < rows; at += 64) {
            NN__V s0 = nn__v_zero(), s1 = s0, s2 = s0, s3 = s0;
            for (int64_t r = at; r < rows && r < at + 64; r++) {
                const NN__R *p = x + r * row + i;
                s0 = nn__v_add(s0, nn__v_load(p));
                s1 = nn__v_add(s1, nn__v_load(p + NN__W));
                s2 = nn__v_add(s2, nn__v_load(p + 2 * NN__W));
                s3 = nn__v_add(s3, nn__v_load(p + 3 * NN__W));
            }
            t0 = nn__v_add(t0, s0); t1 = nn__v_add(t1, s1); t2 = nn__v_add(t2, s2); t3 = nn__v_add(t3, s3);
        }
        nn__v_store(y + i, t0);
        nn__v_store(y + i + NN__W, t1);
        nn__v_store(y + i + 2 * NN__W, t2);
        nn__v_store(y + i + 3 * NN__W, t3);
    }
    for (; i < n; i += NN__W) {
        const int left = n - i < NN__W ? (int)(n - i) : NN__W;
        NN__V     t = nn__v_zero();
        for (int64_t at = 0; at < rows; at += 64) {
            NN__V s = nn__v_zero();
            for (int64_t r = at; r < rows && r < at + 64; r++) s = nn__v_add(s, NN__LOAD(x + r * row + i));
            t = nn__v_add(t, s);
        }
        NN__STORE(y + i, t);
    }
}
static void NN__K(max_columns)(const void *from, int64_t rows, int64_t row, int64_t n, void *to) {
    const NN__R *x = (const NN__R *)from;
    NN__R       *y = (NN__R *)to;
    int64_t      i = 0;
    for (; i + 4 * NN__W <= n; i += 4 * NN__W) {
        const NN__R *p = x + i;
        NN__V        m0 = nn__v_load(p), m1 = nn__v_load(p + NN__W), m2 = nn__v_load(p + 2 * NN__W), m3 = nn__v_load(p + 3 * NN__W);
        for (int64_t r = 1; r < rows; r++) {
            p += row;
            const NN__V v0 = nn__v_load(p), v1 = nn__v_load(p + NN__W), v2 = nn__v_load(p + 2 * NN__W), v3 = nn__v_load(p + 3 * NN__W);
            m0 = NN__MAX(m0, v0); m1 = NN__MAX(m1, v1); m2 = NN__MAX(m2, v2); m3 = NN__MAX(m3, v3);
        }
        nn__v_store(y + i, m0);
        nn__v_store(y + i + NN__W, m1);
        nn__v_store(y + i + 2 * NN__W, m2);
        nn__v_store(y + i + 3 * NN__W, m3);
    }
    for (; i < n; i += NN__W) {
        const int left = n - i < NN__W ? (int)(n - i) : NN__W;
        NN__V     m = NN__LOAD(x + i);
        for (int64_t r = 1; r < rows; r++) {
            const NN__V v = NN__LOAD(x + r * row + i);
            m = NN__MAX(m, v);
        }
        NN__STORE(y + i, m);
    }
}

// Sum of e^(x - shift), and, with y, those values. The rest's missing lanes count e^-inf = 0.
static NN__R NN__K(exp_sum)(const NN__R *x, NN__R shift, NN__R *y, int64_t n) {
    const NN__V s = nn__v_set1(shift);
    NN__R       total = 0;
    for (int64_t at = 0; at < n; at += NN__K(sum_block)) {
        const int64_t end = nn__min64(n, at + NN__K(sum_block));
        NN__V         sum = nn__v_zero();
        int64_t       i = at;
        for (; i + NN__W <= end; i += NN__W) {
            const NN__V e = NN__K(exp)(nn__v_sub(nn__v_load(x + i), s));
            nn__fetch(x + i, n * (int64_t)sizeof *x); // while this computes: the next block, or row
            sum = nn__v_add(sum, e);
            if (y) nn__v_store(y + i, e);
        }
        total += nn__v_hsum(sum);
        if (i < end) {
            NN__R     lanes[NN__W];
            const int left = (int)(end - i);
            nn__v_store(lanes, NN__K(exp)(nn__v_sub(nn__v_load_n(x + i, left), s)));
            for (int k = 0; k < left; k++) {
                total += lanes[k];
                if (y) y[i + k] = lanes[k];
            }
        }
    }
    return total;
}

// A long row is taken in blocks that stay in the first cache between two passes over them; each has its own largest, its
// e^(x - largest) and their sum, so that the row itself is read twice, by softmax, or once.
enum { NN__K(exp_block) = 2048, NN__K(exp_blocks) = 128 };
typedef struct NN__K(blocks) {
    int64_t size;                                  // of a block, by the row's length
    NN__R   shift[NN__K(exp_blocks)], largest;
    double  total;                                 // of e^(x - largest)
} NN__K(blocks);

static void NN__K(exp_blocks_of)(const NN__R *x, NN__R *y, int64_t n, NN__K(blocks) *b) {
    NN__R sums[NN__K(exp_blocks)];
    int   count = 0;
    b->size    = nn__max64(NN__K(exp_block), n / NN__K(exp_blocks) / NN__W * NN__W + NN__W);
    b->largest = (NN__R)(NN__PASS_F64 ? -DBL_MAX : -FLT_MAX);
    b->total   = 0;
    for (int64_t at = 0; at < n; at += b->size, count++) {
        const int64_t m = nn__min64(b->size, n - at);
        b->shift[count] = NN__K(shift)(x + at, m);
        sums[count]     = NN__K(exp_sum)(x + at, b->shift[count], y ? y + at : NULL, m);
        if (b->shift[count] > b->largest) b->largest = b->shift[count];
    }
    if (count == 1) { b->total = (double)sums[0]; return; }
    for (int i = 0; i < count; i++) b->total += (double)sums[i] * (b->shift[i] == b->largest ? 1 : exp((double)b->shift[i] - (double)b->largest));
}

static void NN__K(softmax)(const void *from, void *to, int64_t n) {
    NN__R *y = (NN__R *)to;
    NN__K(blocks) b;
    NN__K(exp_blocks_of)((const NN__R *)from, y, n, &b);
    for (int64_t at = 0, k = 0; at < n; at += b.size, k++, y += b.size) {
        const double part = b.shift[k] == b.largest ? 1 : exp((double)b.shift[k] - (double)b.largest);
        const NN__V  scale = nn__v_set1((NN__R)(part / b.total));
        NN__ROW(nn__min64(b.size, n - at), { NN__STORE(y + i, nn__v_mul(NN__LOAD(y + i), scale)); });
    }
}
static void NN__K(log_softmax)(const void *from, void *to, int64_t n) {
    const NN__R *x = (const NN__R *)from;
    NN__R       *y = (NN__R *)to;
    NN__K(blocks) b;
    NN__K(exp_blocks_of)(x, NULL, n, &b);
    const NN__V m = nn__v_set1(b.largest), l = nn__v_set1((NN__R)log(b.total));
    NN__ROW(n, { NN__STORE(y + i, nn__v_sub(nn__v_sub(NN__LOAD(x + i), m), l)); });
}
static void NN__K(log_sum_exp)(const void *from, int64_t n, void *to) {
    NN__K(blocks) b;
    NN__K(exp_blocks_of)((const NN__R *)from, NULL, n, &b);
    if (b.largest - b.largest != 0) NN__K(max)(from, n, to); // infinite: that, unless a NaN is there too
    else *(NN__R *)to = (NN__R)((double)b.largest + log(b.total));
}
static void NN__K(softmax_back)(const void *dys, const void *ys, void *dxs, int64_t n) { // dx = y (dy - sum of dy y)
    const NN__R *dy = (const NN__R *)dys, *y = (const NN__R *)ys;
    NN__R       *dx = (NN__R *)dxs;
    NN__V        s = nn__v_zero(), s1 = s;
    int64_t      k = 0;
    for (; k + 2 * NN__W <= n; k += 2 * NN__W) {
        s  = nn__v_fma(nn__v_load(dy + k), nn__v_load(y + k), s);
        s1 = nn__v_fma(nn__v_load(dy + k + NN__W), nn__v_load(y + k + NN__W), s1);
    }
    NN__ROW(n - k, { s = nn__v_fma(NN__LOAD(dy + k + i), NN__LOAD(y + k + i), s); });
    s = nn__v_set1(nn__v_hsum(nn__v_add(s, s1)));
    NN__ROW(n, { NN__STORE(dx + i, nn__v_mul(NN__LOAD(y + i), nn__v_sub(NN__LOAD(dy + i), s))); });
}
static void NN__K(log_softmax_back)(const void *dys, const void *ys, void *dxs, int64_t n) { // dx = dy - e^y sum of dy
    const NN__R *dy = (const NN__R *)dys, *y = (const NN__R *)ys;
    NN__R       *dx = (NN__R *)dxs;
    const NN__V  s = nn__v_set1(NN__K(sum_range)(dy, n));
    NN__ROW(n, { NN__STORE(dx + i, nn__v_fnma(NN__K(exp)(NN__LOAD(y + i)), s, NN__LOAD(dy + i))); });
}
static void NN__K(cross_entropy_back)(const void *from, const void *lse, double scale, int64_t label, void *to, int64_t n) {
    const NN__R *x = (const NN__R *)from;
    NN__R       *dx = (NN__R *)to;
    const NN__V  l = nn__v_set1(*(const NN__R *)lse), s = nn__v_set1((NN__R)scale);
    NN__ROW(n, { NN__STORE(dx + i, nn__v_mul(NN__K(exp)(nn__v_sub(NN__LOAD(x + i), l)), s)); });
    dx[label] -= (NN__R)scale;
}

// Sum of (x - centre)^2
static NN__R NN__K(squares_about)(const NN__R *x, NN__R centre, int64_t n) {
    NN__V   m = nn__v_set1(centre), s0 = nn__v_zero(), s1 = s0, s2 = s0, s3 = s0;
    int64_t k = 0;
    for (; k + 4 * NN__W <= n; k += 4 * NN__W) {
        const NN__V d0 = nn__v_sub(nn__v_load(x + k), m), d1 = nn__v_sub(nn__v_load(x + k + NN__W), m);
        const NN__V d2 = nn__v_sub(nn__v_load(x + k + 2 * NN__W), m), d3 = nn__v_sub(nn__v_load(x + k + 3 * NN__W), m);
        s0 = nn__v_fma(d0, d0, s0);
        s1 = nn__v_fma(d1, d1, s1);
        s2 = nn__v_fma(d2, d2, s2);
        s3 = nn__v_fma(d3, d3, s3);
    }
    for (; k + NN__W <= n; k += NN__W) {
        const NN__V d = nn__v_sub(nn__v_load(x + k), m);
        s0 = nn__v_fma(d, d, s0);
    }
    if (k < n) { // the rest, with the centre behind it
        NN__R end[NN__W];
        for (int i = 0; i < NN__W; i++) end[i] = k + i < n ? x[k + i] : centre;
        const NN__V d = nn__v_sub(nn__v_load(end), m);
        s1 = nn__v_fma(d, d, s1);
    }
    return nn__v_hsum(nn__v_add(nn__v_add(s0, s1), nn__v_add(s2, s3)));
}
// Mean and variance in one pass over memory: of blocks that stay in the first cache, merged (Chan et al. 1979)
static void NN__K(moments)(const NN__R *x, int64_t n, double *mean, double *variance) {
    double centre = 0, squares = 0;
    for (int64_t at = 0; at < n; at += NN__K(exp_block)) {
        const int64_t m = nn__min64(NN__K(exp_block), n - at);
        const NN__R   c = NN__K(sum_range)(x + at, m) / (NN__R)m;
        const double  apart = (double)c - centre, share = (double)m / (double)(at + m);
        squares = fma(apart * apart * (double)at, share, squares + (double)NN__K(squares_about)(x + at, c, m));
        centre  = fma(apart, share, centre);
    }
    *mean     = centre;
    *variance = squares / (double)n;
}
static void NN__K(layernorm)(const void *xs, const void *ws, const void *bs, double eps, void *ys, void *mean, void *rstd, int64_t n) {
    const NN__R *x = (const NN__R *)xs, *w = (const NN__R *)ws, *b = (const NN__R *)bs;
    NN__R       *y = (NN__R *)ys;
    double       centre, variance;
    NN__V        m, r;
    NN__K(moments)(x, n, &centre, &variance);
    *(NN__R *)mean = (NN__R)centre;
    *(NN__R *)rstd = (NN__R)(1 / sqrt(variance + eps));
    m = nn__v_set1(*(NN__R *)mean);
    r = nn__v_set1(*(NN__R *)rstd);
    NN__ROW(n, { NN__STORE(y + i, nn__v_fma(nn__v_mul(nn__v_sub(NN__LOAD(x + i), m), r), NN__LOAD(w + i), NN__LOAD(b + i))); });
}
static void NN__K(layernorm_back)(const void *dys, const void *xs, const void *ws, const void *mean, const void *rstd, void *dxs, void *dws, void *dbs, int64_t n) {
    const NN__R *dy = (const NN__R *)dys, *x = (const NN__R *)xs, *w = (const NN__R *)ws;
    NN__R       *dx = (NN__R *)dxs, *dw = (NN__R *)dws, *db = (NN__R *)dbs;
    const NN__V  m = nn__v_set1(*(const NN__R *)mean), r = nn__v_set1(*(const NN__R *)rstd);
    NN__V        s1 = nn__v_zero(), s2 = s1; // sums of h and of h xhat; in the rest's missing lanes h is 0
    NN__ROW(n, {
        const NN__V g = NN__LOAD(dy + i), h = nn__v_mul(g, NN__LOAD(w + i)), xhat = nn__v_mul(nn__v_sub(NN__LOAD(x + i), m), r);
        s1 = nn__v_add(s1, h);
        s2 = nn__v_fma(h, xhat, s2);
        NN__STORE(dw + i, nn__v_fma(g, xhat, NN__LOAD(dw + i)));
        NN__STORE(db + i, nn__v_add(NN__LOAD(db + i), g));
    });
    s1 = nn__v_set1(nn__v_hsum(s1) / (NN__R)n);
    s2 = nn__v_set1(nn__v_hsum(s2) / (NN__R)n);
    NN__ROW(n, {
        const NN__V h = nn__v_mul(NN__LOAD(dy + i), NN__LOAD(w + i)), xhat = nn__v_mul(nn__v_sub(NN__LOAD(x + i), m), r);
        NN__STORE(dx + i, nn__v_mul(r, nn__v_sub(nn__v_sub(h, s1), nn__v_mul(xhat, s2))));
    });
}

// ---- optimisers: one pass over parameter, gradient and moments (>>optim says what h holds) ------------------
#define H(k) H##k
#define NN__CONSTANTS                                                                                                                                    \
    const NN__V H0 = nn__v_set1((NN__R)h[0]), H1 = nn__v_set1((NN__R)h[1]), H2 = nn__v_set1((NN__R)h[2]), H3 = nn__v_set1((NN__R)h[3]), H4 = nn__v_set1((NN__R)h[4]);  \
    const NN__V H5 = nn__v_set1((NN__R)h[5]), H6 = nn__v_set1((NN__R)h[6]), H7 = nn__v_set1((NN__R)h[7]), H8 = nn__v_set1((NN__R)h[8]), H9 = nn__v_set1((NN__R)h[9]);  \
    (void)H0; (void)H1; (void)H2; (void)H3; (void)H4; (void)H5; (void)H6; (void)H7; (void)H8; (void)H9
static void NN__K(sgd)(void *ps, const void *gs, void *const *ms, int64_t n, const double *h) {
    NN__R       *p = (NN__R *)ps, *m = (NN__R *)ms[0];
    const NN__R *g = (const NN__R *)gs;
    NN__CONSTANTS;
    if (h[3] == 0) { // nothing to remember: two streams fewer
        NN__ROW(n, {
            nn__fetch(p + i, NN__OPTIM_AHEAD);
            nn__fetch(g + i, NN__OPTIM_AHEAD);
            const NN__V w = NN__LOAD(p + i);
            NN__STORE(p + i, nn__v_fnma(H2, nn__v_fma(H0, w, NN__LOAD(g + i)), w));
        });
        return;
    }
    NN__ROW(n, {
        nn__fetch(p + i, NN__OPTIM_AHEAD);
        nn__fetch(g + i, NN__OPTIM_AHEAD);
        nn__fetch(m + i, NN__OPTIM_AHEAD);
        NN__V w = NN__LOAD(p + i), a = NN__LOAD(m + i);
        const NN__V d = nn__v_fma(H0, w, NN__LOAD(g + i));
        NN__U_sgd
        NN__STORE(m + i, a);
        NN__STORE(p + i, w);
    });
}
#define NN__X(name, moments)                                                                                                        \
    static void NN__K(name)(void *ps, const void *gs, void *const *ms, int64_t n, const double *h) {                                \
        NN__R       *p = (NN__R *)ps, *pa = moments > 0 ? (NN__R *)ms[0] : p, *pb = moments > 1 ? (NN__R *)ms[1] : p;               \
        NN__R       *pc = moments > 2 ? (NN__R *)ms[2] : p;                                                                         \
        const NN__R *g = (const NN__R *)gs;                                                                                         \
        NN__CONSTANTS;                                                                                                              \
        NN__ROW(n, {                                                                                                                \
            nn__fetch(p + i, NN__OPTIM_AHEAD);                                                                                      \
            nn__fetch(g + i, NN__OPTIM_AHEAD);                                                                                      \
            NN__V w = NN__LOAD(p + i), d = nn__v_fma(H0, w, NN__LOAD(g + i)), a = nn__v_zero(), b = nn__v_zero(), c = nn__v_zero(); \
            if (moments > 0) { nn__fetch(pa + i, NN__OPTIM_AHEAD); a = NN__LOAD(pa + i); }                                          \
            if (moments > 1) { nn__fetch(pb + i, NN__OPTIM_AHEAD); b = NN__LOAD(pb + i); }                                          \
            if (moments > 2) { nn__fetch(pc + i, NN__OPTIM_AHEAD); c = NN__LOAD(pc + i); }                                          \
            w = nn__v_mul(w, H1);                                                                                                   \
            NN__U_##name                                                                                                            \
            if (moments > 0) NN__STORE(pa + i, a);                                                                                  \
            if (moments > 1) NN__STORE(pb + i, b);                                                                                  \
            if (moments > 2) NN__STORE(pc + i, c);                                                                                  \
            (void)b; (void)c;                                                                                                       \
            NN__STORE(p + i, w);                                                                                                    \
        });                                                                                                                         \
    }
NN__OPTIM_KERNELS(NN__X)
#undef NN__X
#undef NN__CONSTANTS
#undef H

// ---- random numbers: 16 counters at a time, see >>rng --------------------------------------------------------
#if NN__PASS_F64 && NN__PASS_ISA == 0
#define NN__PHILOX16 nn__scalar_f32_philox16
#elif NN__PASS_F64 && NN__PASS_ISA == 2
#define NN__PHILOX16 nn__avx2_f32_philox16
#elif NN__PASS_F64 && NN__PASS_ISA == 3
#define NN__PHILOX16 nn__avx512_f32_philox16
#elif NN__PASS_F64
#define NN__PHILOX16 nn__neon_f32_philox16
#else
#define NN__PHILOX16 NN__K(philox16)
static void NN__K(philox16)(nn__rng r, uint64_t first, uint32_t word[4][16]) { // first: a multiple of 16
    uint32_t key[20] = {(uint32_t)r.seed, (uint32_t)(r.seed >> 32)};
    for (int i = 2; i < 20; i += 2) {
        key[i]     = key[i - 2] + 0x9E3779B9u;
        key[i + 1] = key[i - 1] + 0xBB67AE85u;
    }
    for (int i = 0; i < 16; i += NN__W) {
        NN__VI x0 = nn__vi_add(nn__vi_set1((uint32_t)first + (uint32_t)i), nn__vi_iota()), x1 = nn__vi_set1((uint32_t)(first >> 32));
        NN__VI x2 = nn__vi_set1(r.stream), x3 = nn__vi_set1(r.step);
        for (int k = 0; k < 20; k += 2) {
            NN__VI       high0, high1;
            const NN__VI low0 = NN__K(vi_mul)(x0, nn__vi_set1(0xD2511F53u), &high0), low1 = NN__K(vi_mul)(x2, nn__vi_set1(0xCD9E8D57u), &high1);
            x0 = nn__vi_xor3(high1, x1, nn__vi_set1(key[k]));
            x1 = low1;
            x2 = nn__vi_xor3(high0, x3, nn__vi_set1(key[k + 1]));
            x3 = low0;
        }
        nn__vi_store(word[0] + i, x0);
        nn__vi_store(word[1] + i, x1);
        nn__vi_store(word[2] + i, x2);
        nn__vi_store(word[3] + i, x3);
    }
}
#endif

// 64 numbers 0 <= u < 1: a float takes a word (24 bits), a double two (53 bits, and 32 counters)
static void NN__K(uniform64)(nn__rng r, int64_t block, NN__R u[64]) {
    uint32_t word[4][16];
#if NN__PASS_F64
    for (int half = 0; half < 2; half++) {
        NN__PHILOX16(r, (uint64_t)(block * 2 + half) * 16, word);
        for (int i = 0; i < 32; i++)
            u[half * 32 + i] = (double)((((uint64_t)word[i / 16 * 2][i % 16] << 32) | word[i / 16 * 2 + 1][i % 16]) >> 11) * 1.1102230246251565e-16;
    }
#else
    NN__PHILOX16(r, (uint64_t)block * 16, word);
    for (int i = 0; i < 64; i += NN__W) nn__v_store(u + i, nn__v_mul(nn__v_fromint(nn__vi_shr(nn__vi_load(&word[i / 16][i % 16]), 8)), nn__v_set1(5.9604644775390625e-8f)));
#endif
}
// A block that was made aside: its first n numbers to x, which is aligned if it is to be streamed
static inline NN__UNUSED void NN__K(put64)(NN__R *x, const NN__R *room, int64_t n, int stream) {
    if (n < 64 || !stream) { memcpy(x, room, (size_t)(n < 64 ? n : 64) * sizeof *x); return; }
    for (int i = 0; i < 64; i += NN__W) nn__v_stream(x + i, nn__v_load(room + i));
}
#define NN__STREAMS(n, y) ((n) < 0 && (uintptr_t)(y) % (NN__W * sizeof *(y)) == 0)
static void NN__K(uniform)(nn__rng r, int64_t block, void *to, int64_t n, const double *p) {
    NN__R      *x = (NN__R *)to, room[64];
    const NN__V low = nn__v_set1((NN__R)p[0]), high = nn__v_set1((NN__R)p[1]), span = nn__v_set1((NN__R)(p[1] - p[0]));
    const int   stream = NN__STREAMS(n, x);
    for (n = n < 0 ? -n : n; n > 0; n -= 64, x += 64, block++) {
        NN__R *u = n < 64 || stream ? room : x;
        NN__K(uniform64)(r, block, u);
        for (int i = 0; i < 64; i += NN__W) {
            NN__V v = nn__v_fma(span, nn__v_load(u + i), low);
            if (p[0] < p[1]) v = nn__v_select(nn__v_lt(v, high), v, low); /* rounding can reach the end, which does not belong to it */
            nn__v_store(u + i, v);
        }
        if (u == room) NN__K(put64)(x, u, n, stream);
    }
    if (stream) nn__v_fence();
}
// Box and Muller 1958: two uniform numbers make two normal ones. In a block 0-15 go with 16-31, 32-47 with 48-63.
static void NN__K(normal)(nn__rng r, int64_t block, void *to, int64_t n, const double *p) {
    NN__R      *x = (NN__R *)to, room[64];
    const NN__V mean = nn__v_set1((NN__R)p[0]), std = nn__v_set1((NN__R)p[1]), one = nn__v_set1(1);
    const int   stream = NN__STREAMS(n, x);
    for (n = n < 0 ? -n : n; n > 0; n -= 64, x += 64, block++) {
        NN__R *u = n < 64 || stream ? room : x;
        NN__K(uniform64)(r, block, u);
        for (int i = 0; i < 64; i += i % 32 + NN__W == 16 ? 16 + NN__W : NN__W) {
            const NN__V radius = nn__v_mul(std, nn__v_sqrt(nn__v_mul(nn__v_set1(-2), NN__K(log)(nn__v_sub(one, nn__v_load(u + i))))));
            NN__V s, c;
            NN__K(sincos2pi)(nn__v_load(u + i + 16), &s, &c);
            nn__v_store(u + i, nn__v_fma(radius, c, mean));
            nn__v_store(u + i + 16, nn__v_fma(radius, s, mean));
        }
        if (u == room) NN__K(put64)(x, u, n, stream);
    }
    if (stream) nn__v_fence();
}
static void NN__K(mask)(const void *from, const uint8_t *mask, void *to, int64_t n, const double *p) {
    const NN__R *x = (const NN__R *)from, scale = (NN__R)p[0];
    NN__R       *y = (NN__R *)to;
    const NN__V  s = nn__v_set1(scale);
    const int    stream = n < 0;
    int64_t      i = 0, head;
    if (stream) n = -n;
    for (head = stream ? NN__K(head)(y, n) : 0; i < head; i++) y[i] = mask[i] ? x[i] * scale : 0;
    for (; i + NN__W <= n; i += NN__W) {
        const NN__V v = nn__v_select(nn__v_load_mask(mask + i), nn__v_mul(nn__v_load(x + i), s), nn__v_zero());
        nn__fetch(x + i, NN__AHEAD);
        if (stream) nn__v_stream(y + i, v);
        else nn__v_store(y + i, v);
    }
    for (; i < n; i++) y[i] = mask[i] ? x[i] * scale : 0;
    if (stream) nn__v_fence();
}
/* A word below the threshold drops its element. */
static void NN__K(dropout)(nn__rng r, int64_t block, const void *from, void *to, uint8_t *mask, int64_t n, const double *p) {
    const NN__R   *x = (const NN__R *)from;
    NN__R         *y = (NN__R *)to;
    const double   scale = p[0] < 1 ? 1 / (1 - p[0]) : 0;
    const uint64_t threshold = (uint64_t)(p[0] * 4294967296.0);
    uint32_t       word[4][16];
#if NN__PASS_F64
    n = n < 0 ? -n : n;
#else
    const int    stream = NN__STREAMS(n, y);
    const NN__VI sign = nn__vi_set1(INT32_MIN), last = nn__vi_add(nn__vi_set1((uint32_t)threshold - 1), sign); // gt compares with sign
    const NN__V  s = nn__v_set1(scale), zero = nn__v_zero();
    for (n = n < 0 ? -n : n; n >= 64 && threshold > 0; n -= 64, x += 64, y += 64, mask += 64, block++) {
        NN__PHILOX16(r, (uint64_t)block * 16, word);
        for (int i = 0; i < 64; i += NN__W) {
            const NN__M keep = nn__vi_gt(nn__vi_add(nn__vi_load(&word[i / 16][i % 16]), sign), last);
            const NN__V v = nn__v_select(keep, nn__v_mul(nn__v_load(x + i), s), zero);
            if (i % 16 == 0) nn__fetch(x + i, NN__AHEAD);
            if (stream) nn__v_stream(y + i, v);
            else nn__v_store(y + i, v);
            nn__v_store_mask(mask + i, keep);
        }
    }
    if (stream) nn__v_fence();
#endif
    for (; n > 0; n -= 64, x += 64, y += 64, mask += 64, block++) {
        NN__PHILOX16(r, (uint64_t)block * 16, word);
        for (int i = 0; i < 64 && i < n; i++) mask[i] = word[i / 16][i % 16] >= threshold;
        NN__K(mask)(x, mask, y, n < 64 ? n : 64, &scale);
    }
}
#undef NN__PHILOX16
#undef NN__STREAMS
#undef NN__ROW
#undef NN__LOAD
#undef NN__STORE
#undef NN__MAX

// ---- matrix product --------------------------------------------------------------------------------------------
//
// C[m,n] (+)= A[m,k] B[k,n], nearly the way of Goto and of BLIS: five loops cut the product until what is left fits the
// registers, and each loop is there to keep one operand in one level of the memory.
//
//                        n                                      what stays where while the loops inside run
//          jc:   +----- nc -----+-- ..      columns of C and B
//          pc:   k in blocks of kc          B[kc,nc], packed in panels of NR columns ........ L2
//          ir:   one panel of A             A[MR,kc], packed ................................ L1
//          jr:   one panel of B             B[kc,NR] ................ streams from L2 through L1
//          p:    the microkernel            C[MR,NR] ........................................ registers
//
//                      NR = NV vectors of W lanes
//                     +--------+--------+     b = row p of the panel of B: NV vector loads
//                 +-+ +--------+--------+
//              MR |a| |   C[MR][NR] in  |     for each of the MR rows: broadcast one element of A,
//                 | | |   MR*NV vectors |     then NV fused multiply-adds. MR*NV independent sums hide the
//                 +-+ +-----------------+     latency of the fma (about 8 are needed, registers allow 12 to 28).
//
// A packed panel lies in the order in which the microkernel reads it, so strides, transposes and pages cost only the
// packing. A panel of A is packed when its turn comes, once per nc columns. A panel of B is packed when the first panel of A
// needs it; where its columns are adjacent the microkernel does that on its way, at no cost. Too much for small or skinny
// products all the same: the microkernel reads through strides, so A or B (if its columns are adjacent) may also be read
// where it lies; NN__K(gemm_path) decides. Where B is transposed and C has but a few rows (or columns), each element is a
// dot product along k instead.
//
// Determinism: an element of C is, on every path but the last, the same sum: for each block of k, one chain of fma's
// from zero in the order of k; the blocks added to C in order; then bias, activation, residual. The blocks depend on k alone.
// It does not matter where tiles begin or which microkernel computes them, so C may be cut anywhere (as threads do)
// without changing a bit. Only the dot products sum in another order, so it is the whole problem which decides on them:
// pieces carry the path of the whole in g->path.

// Tile shapes, by the size of the vector. MR*NV sums + NV of B + 1 of A must fit the registers (32, or 16).
#if defined(__aarch64__)
#define NN__GEMM_MR16 8     // 128-bit vectors, 32 registers
#else
#define NN__GEMM_MR16 6     // 128-bit vectors, 16 registers
#endif
enum {
    NN__K(gemm_bytes) = (int)(NN__W * sizeof(NN__R)),
    NN__K(gemm_mr) = NN__W == 1 ? 4 : NN__K(gemm_bytes) == 64 ? 14 : NN__K(gemm_bytes) == 32 ? 6 : NN__GEMM_MR16,
    NN__K(gemm_mh) = NN__K(gemm_mr) == 14 ? 8 : 4,      // fewer rows, for the edge and for small m
    NN__K(gemm_mq) = NN__K(gemm_mr) == 14 ? 4 : 2,
    NN__K(gemm_nv) = NN__W == 1 ? 3 : 2,
    NN__K(gemm_pair) = NN__K(gemm_bytes) == 64 ? 8 : 4, // columns of the dot products of two rows
    NN__K(gemm_wv) = 4,                                 // vectors of the one-row kernel
    NN__K(gemm_nr) = NN__K(gemm_nv) * NN__W,
    NN__K(gemm_pr) = (NN__K(gemm_mr) + NN__W - 1) / NN__W * NN__W,   // elements of a step of a packed panel of A
    NN__K(gemm_kc) = NN__K(gemm_bytes) == 64 ? NN__GEMM_KC512 : NN__GEMM_KC256,     // A[MR,kc] is half of L1, or less
    // B[kc,nc] is 1.5 MiB; 1 MiB where vectors are smaller
    NN__K(gemm_nc) = (NN__K(gemm_bytes) == 64 ? 3 << 19 : 1 << 20) / (int)sizeof(NN__R) / NN__K(gemm_kc) / NN__K(gemm_nr) * NN__K(gemm_nr)
};

// What is left to do for a piece of a row of C.
static void NN__K(gemm_finish)(NN__R *c, int64_t n, nn__unary_fn act, const NN__R *residual) {
    if (act) act(c, c, n, NULL);
    if (residual) NN__K(map_add)(c, 1, residual, 1, c, n, NULL);
}

// The microkernel: C[rows,cols] (+)= A[rows,k] B[k,cols], with mr, nv and the flags known to the compiler: it becomes straight
// code with acc in registers. nv vectors of columns, all full, except that nv == 1 may be partial. Rows past t->rows
// are computed from the last real row and not stored. unit: A's elements of one step are adjacent (a_row == 1) and
// all mr rows real. keep: leave B packed in t->packed.
NN__GEMM_INLINE void NN__K(gemm_micro)(const nn__gemm_tile *t, const int mr, const int nv, const int unit, const int keep) {
    const NN__R *a = (const NN__R *)t->a, *b = (const NN__R *)t->b;
    const int64_t a_col = t->a_col, b_row = t->b_row;
    const int rows = t->rows, cols = t->cols;
    const NN__R *row[NN__K(gemm_mr)];
    NN__V acc[NN__K(gemm_mr)][NN__K(gemm_wv)], bv[NN__K(gemm_wv)];
    NN__GEMM_UNROLL
    for (int i = 0; i < mr; i++) {
        row[i] = a + (i < rows ? i : rows - 1) * t->a_row;
        NN__GEMM_UNROLL
        for (int j = 0; j < nv; j++) acc[i][j] = nn__v_zero();
    }
    if (t->k >= 192) {                                  // C comes to the cache while the sums are made
        const NN__R *line = (const NN__R *)t->c;
        for (int i = 0; i < rows; i++, line += t->c_row) {
            __builtin_prefetch(line, 1);
            __builtin_prefetch(line + cols - 1, 1);
        }
    }
    // Rows of an unpacked B lie a page or so apart, which the machine does not foresee: ask for them some steps ahead.
    // (As integers, since the address may lie past the end of B, where prefetching is harmless but a pointer is not.)
    const uintptr_t ahead = (uintptr_t)(NN__GEMM_AHEAD * b_row * (int64_t)sizeof(NN__R));
    NN__R *packed = (NN__R *)t->packed;
    int64_t q = 0;
    for (int64_t p = t->k; p > 0; p--, q += a_col, b += b_row) {
        NN__GEMM_UNROLL
        for (int j = 0; j < nv; j++) {
            if (j * NN__K(gemm_bytes) % 64 == 0) __builtin_prefetch((const void *)((uintptr_t)(b + j * NN__W) + ahead));
            bv[j] = nv == 1 ? nn__v_load_n(b, cols) : nn__v_load(b + j * NN__W);
            if (keep) nn__v_store(packed + j * NN__W, bv[j]);
        }
        if (keep) packed += nv * NN__W;
        NN__GEMM_UNROLL
        for (int i = 0; i < mr; i++) {
            const NN__V av = nn__v_set1(unit ? a[q + i] : row[i][q]);
            NN__GEMM_UNROLL
            for (int j = 0; j < nv; j++) acc[i][j] = nn__v_fma(av, bv[j], acc[i][j]);
        }
    }
    NN__R *c = (NN__R *)t->c;
    const NN__R *const bias = (const NN__R *)t->bias;
    const int64_t c_row = t->c_row;
    const int add = t->add;
    NN__GEMM_UNROLL
    for (int i = 0; i < mr; i++) {
        NN__GEMM_UNROLL                                 // (no break at i == rows: clang would not unroll such a loop)
        for (int j = 0; j < nv; j++) {
            if (!unit && i >= rows) continue;
            NN__V v = acc[i][j];
            if (add) v = nn__v_add(nv == 1 ? nn__v_load_n(c, cols) : nn__v_load(c + j * NN__W), v);
            if (bias) v = nn__v_add(v, nv == 1 ? nn__v_load_n(bias, cols) : nn__v_load(bias + j * NN__W));
            if (nv == 1) nn__v_store_n(c, v, cols);
            else nn__v_store(c + j * NN__W, v);
        }
        c += c_row;
    }
    const NN__R *residual = (const NN__R *)t->residual;
    if (t->act || residual)
        for (int i = 0; i < rows; i++) NN__K(gemm_finish)((NN__R *)t->c + i * c_row, cols, t->act, residual ? residual + i * t->r_row : NULL);
}

#define NN__GEMM_MICRO(name, mr, nv, unit, keep) \
    NN__GEMM_NOINLINE void NN__K(name)(const nn__gemm_tile *t) { NN__K(gemm_micro)(t, mr, nv, unit, keep); }
NN__GEMM_MICRO(gemm_micro_packed, NN__K(gemm_mr), NN__K(gemm_nv), 1, 0)
NN__GEMM_MICRO(gemm_micro_keep, NN__K(gemm_mr), NN__K(gemm_nv), 0, 1)
NN__GEMM_MICRO(gemm_micro_r, NN__K(gemm_mr), NN__K(gemm_nv), 0, 0)
NN__GEMM_MICRO(gemm_micro_h, NN__K(gemm_mh), NN__K(gemm_nv), 0, 0)
NN__GEMM_MICRO(gemm_micro_q, NN__K(gemm_mq), NN__K(gemm_nv), 0, 0)
NN__GEMM_MICRO(gemm_micro_1, 1, NN__K(gemm_nv), 0, 0)
NN__GEMM_MICRO(gemm_micro_wide, 1, NN__K(gemm_wv), 0, 0)
NN__GEMM_MICRO(gemm_edge_r, NN__K(gemm_mr), 1, 0, 0)
NN__GEMM_MICRO(gemm_edge_h, NN__K(gemm_mh), 1, 0, 0)
NN__GEMM_MICRO(gemm_edge_q, NN__K(gemm_mq), 1, 0, 0)
NN__GEMM_MICRO(gemm_edge_1, 1, 1, 0, 0)
#undef NN__GEMM_MICRO

// One tile of up to MR rows and NR columns: picks the smallest microkernel which covers the rows; columns which do not
// fill NR go one vector at a time.
static void NN__K(gemm_tile)(nn__gemm_tile *t) {
    const int rows = t->rows, cols = t->cols;
    if (cols == NN__K(gemm_nr)) {
        if (rows == NN__K(gemm_mr) && t->a_row == 1) NN__K(gemm_micro_packed)(t);
        else if (rows > NN__K(gemm_mh)) NN__K(gemm_micro_r)(t);
        else if (rows > NN__K(gemm_mq)) NN__K(gemm_micro_h)(t);
        else if (rows > 1) NN__K(gemm_micro_q)(t);
        else NN__K(gemm_micro_1)(t);
        return;
    }
    nn__gemm_tile e = *t;
    for (int j = 0; j < cols; j += NN__W) {
        e.cols = cols - j < NN__W ? cols - j : NN__W;
        e.b = (const NN__R *)t->b + j;
        e.c = (NN__R *)t->c + j;
        e.bias = t->bias ? (const NN__R *)t->bias + j : NULL;
        e.residual = t->residual ? (const NN__R *)t->residual + j : NULL;
        if (rows > NN__K(gemm_mh)) NN__K(gemm_edge_r)(&e);
        else if (rows > NN__K(gemm_mq)) NN__K(gemm_edge_h)(&e);
        else if (rows > 1) NN__K(gemm_edge_q)(&e);
        else NN__K(gemm_edge_1)(&e);
    }
}

// Words for packing. pieces(x, p): the 16 bytes at x[0] + p, and those of every further row that L numbers (16 bytes) of lanes
// lead to, in one vector. zip1, zip2: the lower and the upper halves of a and b in turns, within each 16 bytes. fold: the
// sum of a vector's pieces, stored.
#if NN__PASS_ISA == 1
#define nn__v_fold(p, v)        _mm_storeu_ps(p, v)
#define nn__v_pieces(x, p)      _mm_loadu_ps((x)[0] + (p))
#define nn__v_zip1(a, b)        _mm_unpacklo_ps(a, b)
#define nn__v_zip2(a, b)        _mm_unpackhi_ps(a, b)
#elif NN__PASS_ISA == 2 && !NN__PASS_F64
#define nn__v_fold(p, v)        _mm_storeu_ps(p, _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1)))
#define nn__v_pieces(x, p)      _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps((x)[0] + (p))), _mm_loadu_ps((x)[4] + (p)), 1)
#define nn__v_zip1(a, b)        _mm256_unpacklo_ps(a, b)
#define nn__v_zip2(a, b)        _mm256_unpackhi_ps(a, b)
#elif NN__PASS_ISA == 2
#define nn__v_fold(p, v)        _mm_storeu_pd(p, _mm_add_pd(_mm256_castpd256_pd128(v), _mm256_extractf128_pd(v, 1)))
#define nn__v_pieces(x, p)      _mm256_insertf128_pd(_mm256_castpd128_pd256(_mm_loadu_pd((x)[0] + (p))), _mm_loadu_pd((x)[2] + (p)), 1)
#define nn__v_zip1(a, b)        _mm256_unpacklo_pd(a, b)
#define nn__v_zip2(a, b)        _mm256_unpackhi_pd(a, b)
#elif NN__PASS_ISA == 3 && !NN__PASS_F64
#define nn__v_pieces(x, p)      NN__K(v_pieces)(x, p)
#define nn__v_zip1(a, b)        _mm512_maskz_unpacklo_ps(NN__ALL, a, b)
#define nn__v_zip2(a, b)        _mm512_maskz_unpackhi_ps(NN__ALL, a, b)
#define nn__v_fold(p, v)        NN__K(v_fold)(p, v)
static inline NN__UNUSED void NN__K(v_fold)(float *p, __m512 v) {
    const __m256 q = _mm256_add_ps(_mm512_maskz_extractf32x8_ps(0xff, v, 0), _mm512_maskz_extractf32x8_ps(0xff, v, 1));
    _mm_storeu_ps(p, _mm_add_ps(_mm256_castps256_ps128(q), _mm256_extractf128_ps(q, 1)));
}
static inline NN__UNUSED __m512 NN__K(v_pieces)(const float *const *x, int64_t p) {
    __m512 v = _mm512_zextps128_ps512(_mm_loadu_ps(x[0] + p));
    v = _mm512_maskz_insertf32x4(NN__ALL, v, _mm_loadu_ps(x[4] + p), 1);
    v = _mm512_maskz_insertf32x4(NN__ALL, v, _mm_loadu_ps(x[8] + p), 2);
    return _mm512_maskz_insertf32x4(NN__ALL, v, _mm_loadu_ps(x[12] + p), 3);
}
#elif NN__PASS_ISA == 3
#define nn__v_pieces(x, p)      NN__K(v_pieces)(x, p)
#define nn__v_zip1(a, b)        _mm512_maskz_unpacklo_pd(NN__ALL, a, b)
#define nn__v_zip2(a, b)        _mm512_maskz_unpackhi_pd(NN__ALL, a, b)
#define nn__v_fold(p, v)        NN__K(v_fold)(p, v)
static inline NN__UNUSED void NN__K(v_fold)(double *p, __m512d v) {
    const __m256d q = _mm256_add_pd(_mm512_maskz_extractf64x4_pd(0xf, v, 0), _mm512_maskz_extractf64x4_pd(0xf, v, 1));
    _mm_storeu_pd(p, _mm_add_pd(_mm256_castpd256_pd128(q), _mm256_extractf128_pd(q, 1)));
}
static inline NN__UNUSED __m512d NN__K(v_pieces)(const double *const *x, int64_t p) {
    __m512d v = _mm512_zextpd128_pd512(_mm_loadu_pd(x[0] + p));
    v = _mm512_maskz_insertf64x2(NN__ALL, v, _mm_loadu_pd(x[2] + p), 1);
    v = _mm512_maskz_insertf64x2(NN__ALL, v, _mm_loadu_pd(x[4] + p), 2);
    return _mm512_maskz_insertf64x2(NN__ALL, v, _mm_loadu_pd(x[6] + p), 3);
}
#elif NN__PASS_ISA == 4 && !NN__PASS_F64
#define nn__v_fold(p, v)        vst1q_f32(p, v)
#define nn__v_pieces(x, p)      vld1q_f32((x)[0] + (p))
#define nn__v_zip1(a, b)        vzip1q_f32(a, b)
#define nn__v_zip2(a, b)        vzip2q_f32(a, b)
#elif NN__PASS_ISA == 4
#define nn__v_fold(p, v)        vst1q_f64(p, v)
#define nn__v_pieces(x, p)      vld1q_f64((x)[0] + (p))
#define nn__v_zip1(a, b)        vzip1q_f64(a, b)
#define nn__v_zip2(a, b)        vzip2q_f64(a, b)
#endif

// Turns the rows x[0..W) over, for packing: out[step][0..W), two steps `width` apart. A vector is made of 16-byte pieces
// of every L-th row, so that L vectors hold L steps of all rows; what is left to do is to transpose blocks of L x L within
// the pieces, which zips do. Returns the steps done.
NN__GEMM_INLINE int64_t NN__K(gemm_turn)(NN__R *out, int64_t width, const NN__R *const *x, int64_t k) {
    int64_t p = 0;
#if NN__W > 1
    enum { L = 16 / (int)sizeof(NN__R) };
    for (; p + L <= k; p += L) {
        NN__V r[L], *const t = r;
        NN__GEMM_UNROLL
        for (int q = 0; q < L; q++) r[q] = nn__v_pieces(x + q, p);
#if !NN__PASS_F64
        const NN__V r0 = r[0], r1 = r[1];
        t[0] = nn__v_zip1(r0, r[2]); t[2] = nn__v_zip2(r0, r[2]);
        t[1] = nn__v_zip1(r1, r[3]); t[3] = nn__v_zip2(r1, r[3]);
#endif
        NN__GEMM_UNROLL
        for (int q = 0; q < L; q += 2) {
            nn__v_store(out + (p + q) * width, nn__v_zip1(t[q], t[q + 1]));
            nn__v_store(out + (p + q + 1) * width, nn__v_zip2(t[q], t[q + 1]));
        }
    }
#else
    (void)out; (void)width; (void)x; (void)k;
#endif
    return p;
}

// Packs `count` lanes (rows of A or columns of B) by k steps into panels of `width` lanes: out[panel][k][width rounded up to
// whole vectors]. lane and step are the strides of the source between two lanes and between two steps of k. Lanes past the
// panel's width, or past `count`, hold anything.
NN__GEMM_NOINLINE void NN__K(gemm_panels)(NN__R *out, const NN__R *in, int64_t count, int64_t k, int64_t lane, int64_t step, int width) {
    const int64_t full = (width + NN__W - 1) / NN__W * NN__W;
    for (int64_t i = 0; i < count; i += width, out += full * k)
        for (int64_t j = 0; j < width && i + j < count; j += NN__W) {
            const int64_t end = i + width < count ? i + width : count;
            const int left = end - i - j < NN__W ? (int)(end - i - j) : NN__W;
            const NN__R *x[NN__W];
            NN__R *o = out + j;
            int64_t p = 0;
            x[0] = in + (i + j) * lane;
            for (int q = 1; q < NN__W; q++) x[q] = q < left ? x[q - 1] + lane : x[q - 1];
            if (lane == 1 && left == NN__W)
                for (; p < k; p++, o += full) nn__v_store(o, nn__v_load(x[0] + p * step));
            else if (lane == 1)
                for (; p < k; p++, o += full) nn__v_store(o, nn__v_load_n(x[0] + p * step, left));
            else if (step == 1)
                o += full * (p = NN__K(gemm_turn)(o, full, x, k));
            for (; p < k; p++, o += full)
                for (int q = 0; q < left; q++) o[q] = x[q][p * step];
        }
}

// out[s] = the sum of v[s]'s lanes, s < 4: four at once, since zips add up two vectors for the price of one.
NN__GEMM_INLINE void NN__K(gemm_sums)(NN__R *out, const NN__V *v) {
#if NN__W == 1
    for (int s = 0; s < 4; s++) out[s] = v[s];
#elif NN__PASS_F64
    nn__v_fold(out, nn__v_add(nn__v_zip1(v[0], v[1]), nn__v_zip2(v[0], v[1])));
    nn__v_fold(out + 2, nn__v_add(nn__v_zip1(v[2], v[3]), nn__v_zip2(v[2], v[3])));
#else
    const NN__V even = nn__v_add(nn__v_zip1(v[0], v[2]), nn__v_zip2(v[0], v[2]));
    const NN__V odd = nn__v_add(nn__v_zip1(v[1], v[3]), nn__v_zip2(v[1], v[3]));
    nn__v_fold(out, nn__v_add(nn__v_zip1(even, odd), nn__v_zip2(even, odd)));
#endif
}

// out[i][s] = x[i] . y[s] for i < mr and s < nr (a multiple of 4), rows of out out_row apart: one chain of fma's a lane, along k.
NN__GEMM_INLINE void NN__K(gemm_dots)(NN__R *out, int64_t out_row, const NN__R *x, int64_t x_row, const NN__R *const *y, int64_t k, const int mr, const int nr) {
    NN__V acc[2][8], xv[2];
    int64_t p = 0;
    NN__GEMM_UNROLL
    for (int s = 0; s < mr * nr; s++) acc[s / nr][s % nr] = nn__v_zero();
    for (; p + NN__W <= k; p += NN__W) {
        NN__GEMM_UNROLL
        for (int i = 0; i < mr; i++) xv[i] = nn__v_load(x + i * x_row + p);
        NN__GEMM_UNROLL
        for (int s = 0; s < mr * nr; s++) acc[s % mr][s / mr] = nn__v_fma(xv[s % mr], nn__v_load(y[s / mr] + p), acc[s % mr][s / mr]);
    }
    if (p < k) {
        const int left = (int)(k - p);
        NN__GEMM_UNROLL
        for (int i = 0; i < mr; i++) xv[i] = nn__v_load_n(x + i * x_row + p, left);
        NN__GEMM_UNROLL
        for (int s = 0; s < mr * nr; s++) acc[s % mr][s / mr] = nn__v_fma(xv[s % mr], nn__v_load_n(y[s / mr] + p, left), acc[s % mr][s / mr]);
    }
    NN__GEMM_UNROLL
    for (int s = 0; s < mr * nr; s += 4) NN__K(gemm_sums)(out + s / nr * out_row + s % nr, &acc[s / nr][s % nr]);
}

// C by dot products: A's rows and B's columns are adjacent along k (a_col == 1 and b_row == 1). Eight columns of B at a time
// stay in L1 while the rows of A go by in pairs. Where B has fewer columns than A rows, the two change places.
static void NN__K(gemm_dot)(const nn__gemm *g) {
    const int swap = g->n < 4 && g->n < g->m;
    const NN__R *x = (const NN__R *)(swap ? g->b : g->a), *y = (const NN__R *)(swap ? g->a : g->b);
    const NN__R *bias = (const NN__R *)g->bias, *residual = (const NN__R *)g->residual;
    const int64_t x_row = swap ? g->b_col : g->a_row, y_row = swap ? g->a_row : g->b_col, m = swap ? g->n : g->m, n = swap ? g->m : g->n;
    for (int64_t j = 0; j < n; j += 8) {
        const int cols = n - j < 8 ? (int)(n - j) : 8, whole = cols == 8 && !swap;
        const NN__R *row[8] = {y + j * y_row};
        for (int s = 1; s < 8; s++) row[s] = s < cols ? row[s - 1] + y_row : row[s - 1];
        for (int64_t i = 0; i < m; i += 2, x += 2 * x_row) {
            const int rows = m - i < 2 ? 1 : 2;
            NN__R d[16], *c = (NN__R *)g->c + i * g->c_row + j, *const out = whole ? c : d;
            const int64_t out_row = whole ? g->c_row : 8;
            if (rows == 1) NN__K(gemm_dots)(out, 8, x, 0, row, g->k, 1, 8);
            else
                for (int s = 0; s < cols; s += NN__K(gemm_pair)) NN__K(gemm_dots)(out + s, out_row, x, x_row, row + s, g->k, 2, NN__K(gemm_pair));
            for (int r = 0; r < rows && !whole; r++)
                for (int s = 0; s < cols; s++) {
                    if (swap) ((NN__R *)g->c)[(j + s) * g->c_row + i + r] = d[8 * r + s];
                    else c[r * g->c_row + s] = d[8 * r + s];
                }
        }
        x -= (m + 1) / 2 * 2 * x_row;
    }
    for (int64_t i = 0; i < g->m && (bias || residual || g->act); i++) {
        NN__R *c = (NN__R *)g->c + i * g->c_row;
        if (bias && g->n == 1) *c += *bias;
        else if (bias) NN__K(map_add)(c, 1, bias, 1, c, g->n, NULL);
        NN__K(gemm_finish)(c, g->n, g->act, residual ? residual + i * g->r_row : NULL);
    }
}

// Which way to go, from the whole problem. Packing an element costs half a cycle or so, but for a B that the microkernel packs
// on its way; without it an element of B is used for m/NR cycles, one of A for n/NR: hence the bounds, found by measurement.
NN__UNUSED static int NN__K(gemm_path)(const nn__gemm *g) {
    const int unit = g->b_col == 1 || g->n == 1;        // the columns of B are adjacent: it may stay where it is
    int path = NN__GEMM_TILES | (g->path & NN__GEMM_PACKED_B);
    if (g->m > NN__K(gemm_mr) && g->n >= 12 * NN__K(gemm_nr)) path |= NN__GEMM_PACK_A;
    if (g->path & NN__GEMM_PACKED_B) return path;
    if (g->a_col == 1 && g->b_row == 1 && (g->n == 1 || !unit) &&
        ((g->m <= 4 && (g->k >= NN__W || g->m == 1)) || g->n <= 4 || (g->m <= 16 && g->k >= 16 * NN__W)))
        return NN__GEMM_DOT;
    if (!unit || (g->m >= 10 * NN__K(gemm_mr) && g->n > NN__K(gemm_nr))) path |= NN__GEMM_PACK_B;
    return path;
}

// Elements of a packed panel of A and of a packed block of B, rounded up to whole cache lines: no less for a problem than for
// any piece of it.
NN__GEMM_INLINE void NN__K(gemm_room)(const nn__gemm *g, int path, int64_t *pa, int64_t *pb) {
    const int64_t nr = NN__K(gemm_nr), kc = nn__gemm_even(g->k > 0 ? g->k : 1, NN__K(gemm_kc), 4);
    const int64_t nc = nn__min64((g->n + nr - 1) / nr * nr, NN__K(gemm_nc));
    *pa = path & NN__GEMM_PACK_A ? (NN__K(gemm_pr) * kc + 15) / 16 * 16 : 0;
    *pb = path & NN__GEMM_PACK_B ? (nc * kc + 15) / 16 * 16 : 0;
}

NN__UNUSED static size_t NN__K(gemm_scratch)(const nn__gemm *g) {
    int64_t pa, pb;
    NN__K(gemm_room)(g, g->path & ~NN__GEMM_PACKED_B ? g->path : NN__K(gemm_path)(g), &pa, &pb);
    return (size_t)(pa + pb) * sizeof(NN__R);
}

// Asks for steps [from,to) of the next panel of A, while this one is worked on: its short rows are no stream to the machine.
static void NN__K(gemm_ahead)(const NN__R *a, int64_t rows, int64_t a_row, int64_t a_col, int64_t from, int64_t to) {
    if (a_col == 1)
        for (int64_t i = 0; i < rows; i++)
            for (int64_t p = from; p < to; p += 64 / (int64_t)sizeof(NN__R)) __builtin_prefetch(a + i * a_row + p, 0, 2);
    else if (a_row == 1)
        for (int64_t p = from; p < to; p++) __builtin_prefetch(a + p * a_col, 0, 2);
}

// The loops ir and jr: C[m,nb] (+)= A[m,kb] B[kb,nb] for one block of B. pa, pb: where to pack; NULL: not.
static void NN__K(gemm_block)(const nn__gemm *g, nn__gemm_tile t, int64_t jc, int64_t nb, int64_t pc, NN__R *pa, NN__R *pb) {
    const int64_t m = g->m, kb = t.k, mr = NN__K(gemm_mr), mh = NN__K(gemm_mh), nr = NN__K(gemm_nr);
    const int64_t wide = m == 1 && g->b_col == 1 && !pb ? (int64_t)(NN__K(gemm_wv) * NN__W) : nr;
    const NN__R *b = (const NN__R *)g->b + pc * g->b_row + jc * g->b_col, *bias = t.bias ? (const NN__R *)t.bias + jc : NULL;
    const NN__R *residual = t.residual ? (const NN__R *)t.residual + jc : NULL;
    for (int64_t ir = 0; ir < m; ir += t.rows) {
        const NN__R *a = (const NN__R *)g->a + ir * g->a_row + pc * g->a_col;
        NN__R *c = (NN__R *)g->c + ir * g->c_row + jc;
        t.rows = (int)nn__min64(m - ir, m - ir > mr && m - ir <= 2 * mh ? mh : mr); // 8 + 8 rows beat 14 + 2
        t.a = pa ? pa : a;
        if (pa) NN__K(gemm_panels)(pa, a, t.rows, kb, g->a_row, g->a_col, NN__K(gemm_mr));
        for (int64_t jr = 0, step; jr < nb; jr += step) {
            step = nb - jr >= wide ? wide : nr;
            t.cols = (int)(nb - jr < step ? nb - jr : step);
            t.b = pb && ir ? pb + jr * kb : b + jr * g->b_col;
            t.b_row = pb && ir ? nr : g->b_row;
            t.bias = bias ? bias + jr : NULL;
            t.residual = residual ? residual + ir * t.r_row + jr : NULL;
            t.c = c + jr;
            if (pa && m - ir > mr)
                NN__K(gemm_ahead)(a + t.rows * g->a_row, nn__min64(mr, m - ir - t.rows), g->a_row, g->a_col, kb * jr / nb, kb * (jr + t.cols) / nb);
            if (pb && ir == 0) {                        // the first to need this panel of B packs it
                t.packed = pb + jr * kb;
                if (g->b_col == 1 && t.rows == mr && t.cols == nr) { NN__K(gemm_micro_keep)(&t); continue; }
                NN__K(gemm_panels)(pb + jr * kb, b + jr * g->b_col, t.cols, kb, g->b_col, g->b_row, NN__K(gemm_nr));
                t.b = pb + jr * kb;
                t.b_row = nr;
            }
            if (step > nr) NN__K(gemm_micro_wide)(&t);
            else NN__K(gemm_tile)(&t);
        }
    }
}

// A whole B, packed once and kept: panels of NR columns, each with all of k, so that a step of k is NR elements on and a column
// k elements on; what cuts C for threads need not know.
NN__UNUSED static size_t NN__K(gemm_packed)(int64_t k, int64_t n) {
    return (size_t)((n + NN__K(gemm_nr) - 1) / NN__K(gemm_nr) * NN__K(gemm_nr) * k) * sizeof(NN__R);
}
NN__UNUSED static void NN__K(gemm_pack)(const nn__gemm *g, void *packed) {
    NN__K(gemm_panels)((NN__R *)packed, (const NN__R *)g->b, g->n, g->k, g->b_col, g->b_row, NN__K(gemm_nr));
}

NN__UNUSED static void NN__K(gemm)(const nn__gemm *g, void *scratch) {
    const int path = g->path & ~NN__GEMM_PACKED_B ? g->path : NN__K(gemm_path)(g), pack_a = path & NN__GEMM_PACK_A, pack_b = path & NN__GEMM_PACK_B;
    const int64_t n = g->n, k = g->k, kc = nn__gemm_even(k, NN__K(gemm_kc), 4), nc = nn__gemm_even(n, NN__K(gemm_nc), NN__K(gemm_nr));
    int64_t room_a, room_b;
    nn__gemm_tile t;
    if (g->m <= 0 || n <= 0) return;
    if (path & NN__GEMM_DOT) { NN__K(gemm_dot)(g); return; }
    NN__K(gemm_room)(g, path, &room_a, &room_b);
    NN__R *const pa = pack_a ? (NN__R *)scratch : NULL, *const pb = pack_b ? (NN__R *)scratch + room_a : NULL;
    memset(&t, 0, sizeof t);
    t.a_row = pack_a ? 1 : g->a_row;
    t.a_col = pack_a ? (int64_t)NN__K(gemm_pr) : g->a_col;
    t.c_row = g->c_row;
    t.r_row = g->r_row;
    for (int64_t jc = 0; jc < n; jc += nc) {
        int64_t pc = 0;
        do {                                            // once also when k is 0
            const int last = k - pc <= kc;
            t.k = last ? k - pc : kc;
            t.add = pc > 0 || g->accumulate;
            t.bias = last ? g->bias : NULL;
            t.residual = last ? g->residual : NULL;
            t.act = last ? g->act : NULL;
            NN__K(gemm_block)(g, t, jc, nn__min64(nc, n - jc), pc, pa, pb);
            pc += kc;
        } while (pc < k);
    }
}

// One row times a packed B. A single chain of multiply-adds would wait for each of them; four run side by side.
NN__UNUSED static void NN__K(gemm_row)(const nn__gemm *g) {
    const NN__R *a = (const NN__R *)g->a, *bias = (const NN__R *)g->bias;
    const int64_t k = g->k, nr = NN__K(gemm_nr);
    NN__R *c = (NN__R *)g->c;
    for (int64_t j = 0; j < g->n; j += NN__W) { // the vectors of a panel one after the other: it stays in the first cache
        const NN__R *b = (const NN__R *)g->b + j / nr * nr * k + j % nr;
        const int64_t left = g->n - j < NN__W ? g->n - j : NN__W;
        NN__V sum[4] = {nn__v_zero(), nn__v_zero(), nn__v_zero(), nn__v_zero()};
        int64_t p = 0;
        for (; p + 4 <= k; p += 4, b += 4 * nr)
            for (int s = 0; s < 4; s++) sum[s] = nn__v_fma(nn__v_set1(a[(p + s) * g->a_col]), nn__v_load(b + s * nr), sum[s]);
        for (; p < k; p++, b += nr) sum[0] = nn__v_fma(nn__v_set1(a[p * g->a_col]), nn__v_load(b), sum[0]);
        sum[0] = nn__v_add(nn__v_add(sum[0], sum[1]), nn__v_add(sum[2], sum[3]));
        if (left == NN__W) nn__v_store(c + j, bias ? nn__v_add(sum[0], nn__v_load(bias + j)) : sum[0]);
        else nn__v_store_n(c + j, bias ? nn__v_add(sum[0], nn__v_load_n(bias + j, left)) : sum[0], left);
    }
    NN__K(gemm_finish)(c, g->n, g->act, (const NN__R *)g->residual);
}

// Products that are over before the loops above have begun: a vector along C's rows, or, where C is narrow, along its columns.
// An element is the same chain of multiply-adds as in the microkernel, so the bits are the same.
enum { NN__K(gemm_tiny) = 1024 };                       // elements of the vectors' operand, which may be packed on the stack
NN__UNUSED static int NN__K(gemm_small)(const nn__gemm *g) {
    const int64_t m = g->m, n = g->n, k = g->k;
    const int flip = n < m && n * 4 <= NN__W;           // C^T = B^T A^T: few columns, many rows
    const int64_t rows = flip ? n : m, cols = flip ? m : n, full = (cols + NN__W - 1) / NN__W * NN__W;
    const NN__R *a = (const NN__R *)(flip ? g->b : g->a), *b = (const NN__R *)(flip ? g->a : g->b), *bias = (const NN__R *)g->bias;
    const int64_t a_row = flip ? g->b_col : g->a_row, a_col = flip ? g->b_row : g->a_col, b_col = flip ? g->a_row : g->b_col;
    int64_t b_row = flip ? g->a_col : g->b_row;
    NN__R packed[NN__K(gemm_tiny)], turned[NN__K(gemm_tiny)], *c = (NN__R *)g->c;
    if (g->path || g->accumulate) return 0;
    if (NN__K(gemm_path)(g) & NN__GEMM_DOT) { NN__K(gemm_dot)(g); return 1; }
    if (k > NN__K(gemm_kc) || (b_col != 1 && k * full > NN__K(gemm_tiny)) || m * n * k > 4096 || (flip && m * n > NN__K(gemm_tiny))) return 0;
    if (b_col != 1) {
        for (int64_t p = 0; p < k; p++)
            for (int64_t j = 0; j < cols; j++) packed[p * full + j] = b[p * b_row + j * b_col];
        b = packed;
        b_row = full;
    }
    for (int64_t i = 0; i < rows; i++) {
        int64_t j = 0;
        for (; j + 4 * NN__W <= cols && !flip; j += 4 * NN__W) {
            const NN__R *x = a + i * a_row, *y = b + j;
            NN__R *z = c + i * g->c_row + j;
            NN__V sum[4] = {nn__v_zero(), nn__v_zero(), nn__v_zero(), nn__v_zero()};
            for (int64_t p = 0; p < k; p++, x += a_col, y += b_row) {
                const NN__V av = nn__v_set1(*x);
                NN__GEMM_UNROLL
                for (int v = 0; v < 4; v++) sum[v] = nn__v_fma(av, nn__v_load(y + v * NN__W), sum[v]);
            }
            NN__GEMM_UNROLL
            for (int v = 0; v < 4; v++) nn__v_store(z + v * NN__W, bias ? nn__v_add(sum[v], nn__v_load(bias + j + v * NN__W)) : sum[v]);
        }
        for (; j < cols; j += NN__W) {
            const int64_t left = cols - j;
            const NN__R *x = a + i * a_row, *y = b + j;
            NN__V sum = nn__v_zero();
            if (left >= NN__W)
                for (int64_t p = 0; p < k; p++, x += a_col, y += b_row) sum = nn__v_fma(nn__v_set1(*x), nn__v_load(y), sum);
            else
                for (int64_t p = 0; p < k; p++, x += a_col, y += b_row) sum = nn__v_fma(nn__v_set1(*x), nn__v_load_n(y, left), sum);
            if (flip) {
                if (bias) sum = nn__v_add(sum, nn__v_set1(bias[i]));
                nn__v_store_n(turned + i * m + j, sum, left < NN__W ? left : NN__W);
            } else if (left >= NN__W) nn__v_store(c + i * g->c_row + j, bias ? nn__v_add(sum, nn__v_load(bias + j)) : sum);
            else nn__v_store_n(c + i * g->c_row + j, bias ? nn__v_add(sum, nn__v_load_n(bias + j, left)) : sum, left);
        }
    }
    if (flip)
        for (int64_t j = 0; j < m; j++)
            for (int64_t i = 0; i < n; i++) c[j * g->c_row + i] = turned[i * m + j];
    if (g->act && g->c_row == n && !g->residual) g->act(c, c, m * n, NULL);
    else if (g->act || g->residual)
        for (int64_t i = 0; i < m; i++) NN__K(gemm_finish)(c + i * g->c_row, n, g->act, g->residual ? (const NN__R *)g->residual + i * g->r_row : NULL);
    return 1;
}
#undef NN__GEMM_MR16
#undef nn__v_fold
#undef nn__v_pieces
#undef nn__v_zip1
#undef nn__v_zip2

// ---- what the machine can do, for >>profile ------------------------------------------------------------------
// Twelve independent chains: more than the latency of a multiply-add times its units.
static double NN__K(peak)(int64_t turns) {
    NN__V a[12], x = nn__v_set1((NN__R)0.999), y = nn__v_set1((NN__R)0.001);
    volatile NN__R sink;
    for (int k = 0; k < 12; k++) a[k] = nn__v_set1((NN__R)k);
    for (int64_t i = 0; i < turns; i++) {
        NN__GEMM_UNROLL
        for (int k = 0; k < 12; k++) a[k] = nn__v_fma(a[k], x, y);
    }
    for (int k = 1; k < 12; k++) a[0] = nn__v_add(a[0], a[k]);
    sink = nn__v_hsum(a[0]);
    (void)sink;
    return 2.0 * 12 * NN__W * (double)turns;
}

// ---- matrix product in low precision ----------------------------------------------------------------
//
// C = A B with operands of 16 or 8 bits, summed in f32 (f16, bf16) or i32 (int8, exactly). Which way, nn__low_path says:
//
//   amx    tiles of 16 rows by 64 bytes in eight registers of the CPU: 2x2 of C, 2 of A, 2 of B; one instruction adds
//          the product of two tiles. A's rows may stay where they are, B is packed.
//   vnni   one instruction for four products of int8 in each 32-bit lane; unsigned by signed: A gets 128 added, and
//          128 times the column's sum taken off.
//   madd   int8 widened to 16 bits while it is packed, two products in each 32-bit lane
//   wide   f16 and bf16 widened to f32 block by block, for the f32 kernels
//   dot    f16 and bf16, few rows by a transposed B: each element a dot product, B widened as it is read
//
// What follows k in one 32-bit lane is called a word: 2 halves, 4 bytes, or 2 bytes widened. A panel of B (and of A, but
// for amx) holds the words of NR columns (MR rows) of one step side by side: [steps][NR], padded with zeros.
//
//         B, two columns of bf16             its panel                  row p of the panel times a word of A:
//         b00 b01                            |b00 b10|b01 b11|          lane j gets a[2p] b[2p][j] + a[2p+1] b[2p+1][j]
//         b10 b11                            |b20 b30|b21 b31|
//         b20 b21 ..
//
// Long sums are cut into blocks of k, whose partial tiles lie in the scratch; a finished tile goes through low_store,
// which adds the bias, scales, rounds once. Every choice is made from the whole problem, so pieces of it compute the
// same bits.
#if !NN__PASS_F64

// More words of the vocabulary, on int lanes: load16 and load8 fill the upper bits with zeros, store16
// drops them; madd(c, a, b) adds to each lane the two products of its signed 16-bit halves.
#if NN__PASS_ISA == 0
#define nn__vi_load16(p)        ((uint32_t)*(p))
#define nn__vi_store16(p, v)    ((void)(*(p) = (uint16_t)(v)))
#define nn__vi_load8(p)         ((uint32_t)*(p))
#define nn__vi_madd(c, a, b)    NN__K(vi_madd)(c, a, b)
static inline uint32_t NN__K(vi_madd)(uint32_t c, uint32_t a, uint32_t b) {
    return c + (uint32_t)((int32_t)(int16_t)a * (int16_t)b) + (uint32_t)((int32_t)(int16_t)(a >> 16) * (int16_t)(b >> 16));
}
#elif NN__PASS_ISA == 1
#define nn__vi_load16(p)        _mm_unpacklo_epi16(_mm_loadl_epi64((const __m128i *)(p)), _mm_setzero_si128())
#define nn__vi_store16(p, v)    NN__K(vi_store16)(p, v)
#define nn__vi_load8(p)         NN__K(vi_load8)(p)
#define nn__vi_madd(c, a, b)    _mm_add_epi32(c, _mm_madd_epi16(a, b))
static inline void NN__K(vi_store16)(uint16_t *p, __m128i v) {
    v = _mm_srai_epi32(_mm_slli_epi32(v, 16), 16); // so that the pack, which saturates, keeps the bits
    _mm_storel_epi64((__m128i *)p, _mm_packs_epi32(v, v));
}
static inline __m128i NN__K(vi_load8)(const uint8_t *p) {
    int v;
    memcpy(&v, p, sizeof v);
    return _mm_unpacklo_epi16(_mm_unpacklo_epi8(_mm_cvtsi32_si128(v), _mm_setzero_si128()), _mm_setzero_si128());
}
#elif NN__PASS_ISA == 2
#define nn__vi_load16(p)        _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)(p)))
#define nn__vi_store16(p, v)    NN__K(vi_store16)(p, v)
#define nn__vi_load8(p)         _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(p)))
#define nn__vi_madd(c, a, b)    _mm256_add_epi32(c, _mm256_madd_epi16(a, b))
static inline void NN__K(vi_store16)(uint16_t *p, __m256i v) {
    v = _mm256_and_si256(v, _mm256_set1_epi32(0xffff)); // the pack saturates, in each half
    _mm_storeu_si128((__m128i *)p, _mm256_castsi256_si128(_mm256_permute4x64_epi64(_mm256_packus_epi32(v, v), 0x08)));
}
#elif NN__PASS_ISA == 3
#define nn__vi_load16(p)        _mm512_maskz_cvtepu16_epi32(NN__ALL, _mm256_loadu_si256((const __m256i *)(p)))
#define nn__vi_store16(p, v)    _mm256_storeu_si256((__m256i *)(p), _mm512_maskz_cvtepi32_epi16(NN__ALL, v))
#define nn__vi_load8(p)         _mm512_maskz_cvtepu8_epi32(NN__ALL, _mm_loadu_si128((const __m128i *)(p)))
#define nn__vi_madd(c, a, b)    _mm512_add_epi32(c, _mm512_maskz_madd_epi16(NN__ALL, a, b))
#else
#define nn__vi_load16(p)        vreinterpretq_s32_u32(vmovl_u16(vld1_u16(p)))
#define nn__vi_store16(p, v)    vst1_u16(p, vmovn_u32(vreinterpretq_u32_s32(v)))
#define nn__vi_load8(p)         NN__K(vi_load8)(p)
#define nn__vi_madd(c, a, b)    NN__K(vi_madd)(c, a, b)
static inline int32x4_t NN__K(vi_load8)(const uint8_t *p) {
    uint32_t v;
    memcpy(&v, p, sizeof v);
    return vreinterpretq_s32_u32(vmovl_u16(vget_low_u16(vmovl_u8(vcreate_u8(v)))));
}
static inline int32x4_t NN__K(vi_madd)(int32x4_t c, int32x4_t a, int32x4_t b) {
    const int16x8_t x = vreinterpretq_s16_s32(a), y = vreinterpretq_s16_s32(b);
    return vaddq_s32(c, vpaddq_s32(vmull_s16(vget_low_s16(x), vget_low_s16(y)), vmull_s16(vget_high_s16(x), vget_high_s16(y))));
}
#endif
#define NN__PICK(m, a, b) nn__v_bits(nn__v_select(m, nn__v_frombits(a), nn__v_frombits(b)))

// One vector of halves, widened exactly: the same bits as nn__f16_to_f32 and nn__bf16_to_f32.
NN__GEMM_INLINE NN__V NN__K(low_widen)(NN__VI h, const int f16) {
    if (!f16) return nn__v_frombits(nn__vi_shl(h, 16));
    const NN__VI rest = nn__vi_and(h, nn__vi_set1(0x7fff)), sign = nn__vi_shl(nn__vi_and(h, nn__vi_set1(0x8000)), 16), up = nn__vi_shl(rest, 13);
    const NN__V size = nn__v_fromint(rest), lowest = nn__v_frombits(nn__vi_set1(0x38800000)); // 2^-14, the least normal
    const NN__VI normal = nn__vi_add(up, nn__vi_set1(0x38000000)), special = nn__vi_or(up, nn__vi_set1(0x7f800000));
    const NN__VI small = nn__v_bits(nn__v_sub(nn__v_frombits(nn__vi_add(up, nn__vi_set1(0x38800000))), lowest));
    NN__VI v = NN__PICK(nn__v_lt(size, nn__v_set1(1024)), small, normal);
    v = NN__PICK(nn__v_lt(size, nn__v_set1(31744)), v, special);
    return nn__v_frombits(nn__vi_or(v, sign));
}
// And back, to nearest even, as nn__f32_to_f16 and nn__f32_to_bf16 do, in the lower halves of the lanes.
NN__GEMM_INLINE NN__VI NN__K(low_narrow)(NN__V x, const int f16) {
    const NN__VI u = nn__v_bits(x), one = nn__vi_set1(1), high = nn__vi_sar(u, 16);
    if (!f16) {
        const NN__VI v = nn__vi_add(u, nn__vi_add(nn__vi_set1(0x7fff), nn__vi_and(high, one)));
        return NN__PICK(nn__v_isnan(x), nn__vi_or(high, nn__vi_set1(0x40)), nn__vi_sar(v, 16));
    }
    const NN__VI a = nn__vi_and(u, nn__vi_set1(0x7fffffff));
    const NN__V size = nn__v_frombits(a);
    NN__VI v = nn__vi_add(nn__vi_sub(a, nn__vi_set1(0x38000000 - 0xfff)), nn__vi_and(nn__vi_sar(a, 13), one));
    v = nn__vi_sar(v, 13);
    v = NN__PICK(nn__v_lt(size, nn__v_frombits(nn__vi_set1(0x38800000))), nn__vi_sub(nn__v_bits(nn__v_add(size, nn__v_set1(0.5f))), nn__vi_set1(0x3f000000)), v);
    v = NN__PICK(nn__v_lt(size, nn__v_frombits(nn__vi_set1(0x477ff000))), v, nn__vi_set1(0x7c00));
    v = NN__PICK(nn__v_isnan(x), nn__vi_set1(0x7e00), v);
    return nn__vi_or(v, nn__vi_and(high, nn__vi_set1(0x8000)));
}

NN__GEMM_INLINE void NN__K(low_widen_row)(const uint16_t *x, float *y, int64_t n, const int f16) {
    for (; n >= NN__W; n -= NN__W, x += NN__W, y += NN__W) nn__v_store(y, NN__K(low_widen)(nn__vi_load16(x), f16));
    if (n > 0) {
        uint16_t room[NN__W] = {0};
        memcpy(room, x, (size_t)n * sizeof *x);
        nn__v_store_n(y, NN__K(low_widen)(nn__vi_load16(room), f16), (int)n);
    }
}
NN__GEMM_INLINE void NN__K(low_narrow_row)(const float *x, uint16_t *y, int64_t n, const int f16) {
    for (; n >= NN__W; n -= NN__W, x += NN__W, y += NN__W) nn__vi_store16(y, NN__K(low_narrow)(nn__v_load(x), f16));
    if (n > 0) {
        uint16_t room[NN__W];
        nn__vi_store16(room, NN__K(low_narrow)(nn__v_load_n(x, (int)n), f16));
        memcpy(y, room, (size_t)n * sizeof *y);
    }
}
static void NN__K(widen)(const void *x, void *y, int64_t n, int f16) {
    if (f16) NN__K(low_widen_row)((const uint16_t *)x, (float *)y, n, 1);
    else NN__K(low_widen_row)((const uint16_t *)x, (float *)y, n, 0);
}
static void NN__K(narrow)(const void *x, void *y, int64_t n, int f16) {
    if (f16) NN__K(low_narrow_row)((const float *)x, (uint16_t *)y, n, 1);
    else NN__K(low_narrow_row)((const float *)x, (uint16_t *)y, n, 0);
}

// Rows and columns of a tile of the microkernels: on vectors, and of amx.
enum {
    NN__K(low_mr) = NN__W == 16 ? 14 : NN__W == 8 ? 6 : NN__W == 4 ? 6 : 4,
    NN__K(low_nr) = 2 * NN__W,
    NN__K(low_tiles) = 32
};

// ---- packing
// One vector of words from `per` rows of the source.
NN__GEMM_INLINE NN__VI NN__K(low_word)(const uint8_t *const *row, const int kind) {
    if (kind == NN__LOW_HALVES) {
        const NN__VI high = nn__vi_load16((const uint16_t *)(const void *)row[1]);
        return nn__vi_or(nn__vi_load16((const uint16_t *)(const void *)row[0]), nn__vi_shl(high, 16));
    }
    const NN__VI a = nn__vi_load8(row[0]), b = nn__vi_load8(row[1]);
    if (kind == NN__LOW_SPREAD) // the sign, spread over 16 bits
        return nn__vi_or(nn__vi_and(nn__vi_sar(nn__vi_shl(a, 24), 24), nn__vi_set1(0xffff)), nn__vi_shl(nn__vi_sar(nn__vi_shl(b, 24), 24), 16));
    const NN__VI c = nn__vi_load8(row[2]), d = nn__vi_load8(row[3]);
    return nn__vi_or(nn__vi_or(a, nn__vi_shl(b, 8)), nn__vi_or(nn__vi_shl(c, 16), nn__vi_shl(d, 24)));
}
// The words of `steps` steps of at most `width` adjacent lanes (columns of B, or rows of A) into out[steps][width].
// left: elements of k that are real; step: from one to the next in the source. What is missing is zero.
NN__GEMM_INLINE void NN__K(low_pack_across)(uint32_t *out, const char *from, const int kind, int lanes, int64_t steps, int64_t left, int64_t step, int width) {
    const int per = kind == NN__LOW_BYTES ? 4 : 2, size = kind == NN__LOW_HALVES ? 2 : 1;
    const uint8_t *row[4];
    int64_t s = 0;
    if (lanes == width && width % NN__W == 0)
        for (; s < steps && left >= per; s++, left -= per, from += per * step * size, out += width)
            for (int j = 0; j < width; j += NN__W) {
                for (int q = 0; q < per; q++) row[q] = (const uint8_t *)from + (q * step + j) * size;
                nn__vi_store(out + j, NN__K(low_word)(row, kind));
            }
    for (; s < steps; s++, left -= per, from += per * step * size, out += width)
        for (int j = 0; j < width; j += NN__W) { // the edges, through a padded room: not a byte behind them is read
            const int n = lanes - j < NN__W ? lanes - j : NN__W;
            uint8_t room[4][2 * NN__W];
            uint32_t words[NN__W];
            memset(room, 0, sizeof room);
            for (int q = 0; q < per; q++) {
                row[q] = room[q];
                if (q < left && n > 0) memcpy(room[q], from + (q * step + j) * size, (size_t)(n * size));
            }
            nn__vi_store(words, NN__K(low_word)(row, kind));
            memcpy(out + j, words, (size_t)(width - j < NN__W ? width - j : NN__W) * sizeof *out);
        }
}
// The same with lanes `lane` apart.
NN__GEMM_NOINLINE void NN__K(low_pack)(uint32_t *out, const void *source, int kind, int lanes, int64_t steps, int64_t left, int64_t lane, int64_t step, int width) {
    const char *from = (const char *)source;
    const int per = kind == NN__LOW_BYTES ? 4 : 2, size = kind == NN__LOW_HALVES ? 2 : 1;
    if (lane == 1) {
        if (kind == NN__LOW_HALVES) NN__K(low_pack_across)(out, from, NN__LOW_HALVES, lanes, steps, left, step, width);
        else if (kind == NN__LOW_BYTES) NN__K(low_pack_across)(out, from, NN__LOW_BYTES, lanes, steps, left, step, width);
        else NN__K(low_pack_across)(out, from, NN__LOW_SPREAD, lanes, steps, left, step, width);
        return;
    }
    int64_t whole = step == 1 && kind != NN__LOW_SPREAD ? left / per < steps ? left / per : steps : 0;
    int ready = lanes / 4 * 4; // four lanes with adjacent steps are turned over; in blocks which stay in L1
    if (!whole) ready = 0;
    for (int64_t s = 0; s < whole; s += 64)
        for (int j = 0; j < ready; j += 4)
            nn__low_turn(out + s * width + j, width, from + j * lane * size + s * 4, lane * size, whole - s < 64 ? whole - s : 64);
    for (int j = 0; j < width; j++)
        for (int64_t s = j < ready ? whole : 0; s < steps; s++) {
            uint32_t word = 0;
            for (int q = 0; q < per && j < lanes && s * per + q < left; q++) {
                const char *at = from + (j * lane + (s * per + q) * step) * size;
                if (kind == NN__LOW_HALVES) word |= (uint32_t)*(const uint16_t *)(const void *)at << 16 * q;
                else if (kind == NN__LOW_BYTES) word |= (uint32_t)*(const uint8_t *)at << 8 * q;
                else word |= (uint32_t)(uint16_t)(int16_t)*(const int8_t *)at << 16 * q;
            }
            out[s * width + j] = word;
        }
}

// ---- microkernels on vectors
#if NN__PASS_ISA == 3
NN__GEMM_INLINE __m512i NN__K(vnni)(__m512i sum, __m512i a, __m512i b) { // as assembly: the region does not ask for VNNI
    __asm__("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(a), "v"(b));
    return sum;
}
#endif

// C[MR,NR] (+)= A's panel by B's, in 32-bit integers; the first row of B's panel is what the sums begin with.
NN__GEMM_INLINE void NN__K(low_micro)(const nn__low_tile *t, const int vnni) {
    const int32_t *a = (const int32_t *)t->a;
    const uint32_t *b = t->b;
    uint32_t *c = (uint32_t *)t->c;
    NN__VI sum[NN__K(low_mr)][2];
    NN__GEMM_UNROLL
    for (int i = 0; i < NN__K(low_mr); i++) {
        sum[i][0] = nn__vi_load(b);
        sum[i][1] = nn__vi_load(b + NN__W);
    }
    b += NN__K(low_nr);
    for (int64_t s = 0; s < t->steps; s++, a += NN__K(low_mr), b += NN__K(low_nr)) {
        const NN__VI b0 = nn__vi_load(b), b1 = nn__vi_load(b + NN__W);
        NN__GEMM_UNROLL
        for (int i = 0; i < NN__K(low_mr); i++) {
            const NN__VI x = nn__vi_set1(a[i]);
#if NN__PASS_ISA == 3
            if (vnni) {
                sum[i][0] = NN__K(vnni)(sum[i][0], x, b0);
                sum[i][1] = NN__K(vnni)(sum[i][1], x, b1);
                continue;
            }
#endif
            sum[i][0] = nn__vi_madd(sum[i][0], x, b0);
            sum[i][1] = nn__vi_madd(sum[i][1], x, b1);
        }
    }
    (void)vnni;
    NN__GEMM_UNROLL
    for (int i = 0; i < NN__K(low_mr); i++, c += NN__K(low_nr)) {
        if (t->add) {
            sum[i][0] = nn__vi_add(sum[i][0], nn__vi_load(c));
            sum[i][1] = nn__vi_add(sum[i][1], nn__vi_load(c + NN__W));
        }
        nn__vi_store(c, sum[i][0]);
        nn__vi_store(c + NN__W, sum[i][1]);
    }
}
NN__GEMM_NOINLINE void NN__K(low_micro_madd)(const nn__low_tile *t) { NN__K(low_micro)(t, 0); }

// What the sums of a panel begin with: zero, or for vnni -128 times the sums of the columns.
static void NN__K(low_head)(uint32_t *panel, int64_t steps, int vnni) {
    NN__VI head[2];
    head[0] = head[1] = nn__vi_set1(0);
#if NN__PASS_ISA == 3
    for (int64_t s = 1; s <= steps && vnni; s++)
        for (int j = 0; j < 2; j++) head[j] = NN__K(vnni)(head[j], nn__vi_set1(INT32_MIN | 0x00808080), nn__vi_load(panel + s * NN__K(low_nr) + j * NN__W));
#endif
    (void)steps; (void)vnni;
    for (int j = 0; j < 2; j++) nn__vi_store(panel + j * NN__W, nn__vi_sub(nn__vi_set1(0), head[j]));
}

#if NN__PASS_ISA == 3
NN__GEMM_NOINLINE void NN__K(low_micro_vnni)(const nn__low_tile *t) { NN__K(low_micro)(t, 1); }
#endif

// ---- amx
#if NN__PASS_ISA == 3 && NN__HAS_AMX
// All eight tiles: 16 rows of 64 bytes. Given back (release) so that the system need not save them at every switch.
static void NN__K(amx_begin)(void) {
    uint8_t config[64] = {0};
    config[0] = 1; // the palette
    for (int i = 0; i < 8; i++) {
        config[16 + 2 * i] = 64;
        config[48 + i]     = 16;
    }
    __asm__ volatile("ldtilecfg %0" : : "m"(config));
}
static void NN__K(amx_end)(void) { __asm__ volatile("tilerelease" : : : "memory"); }

// C (two by two tiles) (+)= A B over t->steps words of k. dot: the instruction. As assembly, so that
// it needs nothing of the compiler but its assembler.
#define NN__AMX_LOAD(tile, at, row) "tileloadd (" at "," row ",1), %%tmm" tile "\n\t"
#define NN__AMX_DOT(dot, b, a, c) dot " %%tmm" b ", %%tmm" a ", %%tmm" c "\n\t"
// The next step of B: its panel comes from L2 and is no stream to the machine, since tile loads skip from row to row.
NN__GEMM_INLINE void NN__K(low_ahead)(const char *b) {
    NN__GEMM_UNROLL
    for (int i = 0; i < 2048; i += 128) { __builtin_prefetch(b + i); __builtin_prefetch(b + i + 64); }
}
#define NN__AMX_MICRO(name, dot)                                                                                          \
    NN__GEMM_NOINLINE void NN__K(name)(const nn__low_tile *t) {                                                           \
        const char *a0 = (const char *)t->a, *a1 = a0 + 16 * t->a_row, *b0 = (const char *)t->b, *b1 = b0 + 64;           \
        char *c0 = (char *)t->c, *c1 = c0 + 64, *c2 = c0 + 16 * t->c_row, *c3 = c2 + 64;                                  \
        if (t->add)                                                                                                       \
            __asm__ volatile(NN__AMX_LOAD("0", "%0", "%4") NN__AMX_LOAD("1", "%1", "%4") NN__AMX_LOAD("2", "%2", "%4")    \
                             NN__AMX_LOAD("3", "%3", "%4") : : "r"(c0), "r"(c1), "r"(c2), "r"(c3), "r"(t->c_row) : "memory"); \
        else __asm__ volatile("tilezero %%tmm0\n\ttilezero %%tmm1\n\ttilezero %%tmm2\n\ttilezero %%tmm3" : : : "memory"); \
        if (t->rows > 16)                                                                                                 \
            for (int64_t s = 0; s < t->steps; s += 16, a0 += t->a_step, a1 += t->a_step, b0 += 2048, b1 += 2048) {        \
                NN__K(low_ahead)(b0 + 2048);                                                                              \
                __asm__ volatile(NN__AMX_LOAD("6", "%2", "%5") NN__AMX_LOAD("4", "%0", "%4") NN__AMX_DOT(dot, "6", "4", "0") \
                                 NN__AMX_LOAD("7", "%3", "%5") NN__AMX_DOT(dot, "7", "4", "1")                            \
                                 NN__AMX_LOAD("5", "%1", "%4") NN__AMX_DOT(dot, "6", "5", "2") NN__AMX_DOT(dot, "7", "5", "3") \
                                 : : "r"(a0), "r"(a1), "r"(b0), "r"(b1), "r"(t->a_row), "r"((int64_t)128) : "memory");    \
            }                                                                                                             \
        else                                                                                                              \
            for (int64_t s = 0; s < t->steps; s += 16, a0 += t->a_step, b0 += 2048, b1 += 2048)                           \
                __asm__ volatile(NN__AMX_LOAD("6", "%1", "%4") NN__AMX_LOAD("4", "%0", "%3") NN__AMX_DOT(dot, "6", "4", "0") \
                                 NN__AMX_LOAD("7", "%2", "%4") NN__AMX_DOT(dot, "7", "4", "1")                            \
                                 : : "r"(a0), "r"(b0), "r"(b1), "r"(t->a_row), "r"((int64_t)128) : "memory");             \
        __asm__ volatile("tilestored %%tmm0, (%0,%4,1)\n\ttilestored %%tmm1, (%1,%4,1)\n\ttilestored %%tmm2, (%2,%4,1)\n\t" \
                         "tilestored %%tmm3, (%3,%4,1)" : : "r"(c0), "r"(c1), "r"(c2), "r"(c3), "r"(t->c_row) : "memory");     \
    }
NN__AMX_MICRO(low_micro_bf16, "tdpbf16ps")
NN__AMX_MICRO(low_micro_i8, "tdpbssd")
#undef NN__AMX_LOAD
#undef NN__AMX_DOT
#undef NN__AMX_MICRO

// A for tiles: out[steps / 16][32 rows][16 words]. Where rows lie adjacent along k they are copied, else packed across and
// turned over.
static void NN__K(low_pack_rows)(uint32_t *out, const void *source, int kind, int rows, int64_t steps, int64_t left, int64_t row, int64_t col) {
    const char *from = (const char *)source;
    const int size = kind == NN__LOW_HALVES ? 2 : 1;
    uint32_t room[16 * 32];
    for (int64_t s = 0; s < steps; s += 16, out += 32 * 16, from += 64 * col, left -= 64 / size) {
        if (col == 1) {
            const int64_t real = left * size < 64 ? left * size : 64;
            for (int i = 0; i < 32; i++) {
                if (i >= rows || real < 64) memset(out + i * 16, 0, 64);
                if (i < rows && real > 0) memcpy(out + i * 16, from + i * row * size, real == 64 ? 64 : (size_t)real);
            }
            continue;
        }
        NN__K(low_pack)(room, from, kind, rows, 16, left, row, col, 32);
        for (int q = 0; q < 16; q += 4) nn__low_turn(out + q, 16, (const char *)(room + q * 32), 128, 32);
    }
}
#endif

// ---- from finished sums to C
// rows by cols sums, `apart` words between rows, go to C from (i, j) on. bias: widened, from column j on, or NULL.
NN__GEMM_INLINE void NN__K(low_store_halves)(const nn__low *g, float *sums, int64_t apart, uint16_t *c, int64_t rows, int64_t cols, const float *bias, const int f16) {
    for (int64_t r = 0; r < rows; r++, sums += apart, c += g->g.c_row) {
        for (int64_t q = 0; q < cols && bias; q += NN__W) {
            const int n = cols - q < NN__W ? (int)(cols - q) : NN__W;
            nn__v_store_n(sums + q, nn__v_add(nn__v_load_n(sums + q, n), nn__v_load_n(bias + q, n)), n);
        }
        if (g->g.act) g->g.act(sums, sums, cols, NULL);
        NN__K(low_narrow_row)(sums, c, cols, f16);
    }
}
static void NN__K(low_store_bytes)(const nn__low *g, const char *sums, int64_t apart, int64_t i, int64_t j, int64_t rows, int64_t cols) {
    for (int64_t r = 0; r < rows; r++, sums += apart * 4) {
        char *c = (char *)g->g.c + ((i + r) * g->g.c_row + j) * g->c_size;
        const NN__V scale = nn__v_set1(g->a_scale ? g->a_scale[i + r] : 1.0f);
        if (!g->a_scale && !g->b_scale) {
            if (cols == 2 * NN__W) {
                nn__vi_store(c, nn__vi_load(sums));
                nn__vi_store(c + 4 * NN__W, nn__vi_load(sums + 4 * NN__W));
            } else memcpy(c, sums, (size_t)cols * 4);
            continue;
        }
        for (int64_t q = 0; q < cols; q += NN__W) { // the sums are padded to whole vectors
            const int n = cols - q < NN__W ? (int)(cols - q) : NN__W;
            NN__V v = nn__v_mul(nn__v_fromint(nn__vi_load(sums + q * 4)), scale);
            if (g->b_scale) v = nn__v_mul(v, nn__v_load_n(g->b_scale + j + q, n));
            nn__v_store_n((float *)(void *)c + q, v, n);
        }
    }
}
#if NN__PASS_ISA == 3 && NN__HAS_AMX
// Tiles of amx, by the instruction for it: denormals become zero, as they do in the tiles.
static void NN__K(low_store_amx)(const nn__low *g, float *sums, uint16_t *c, int64_t rows, int64_t cols, const float *bias) {
    for (int64_t r = 0; r < rows; r++, sums += 32, c += g->g.c_row) {
        __m512 low = nn__v_load(sums), high = nn__v_load(sums + 16);
        __m512i both;
        if (bias) {
            low  = nn__v_add(low, nn__v_load(bias));
            high = nn__v_add(high, nn__v_load(bias + 16));
        }
        if (g->g.act) {
            nn__v_store(sums, low);
            nn__v_store(sums + 16, high);
            g->g.act(sums, sums, 32, NULL);
            low  = nn__v_load(sums);
            high = nn__v_load(sums + 16);
        }
        __asm__("vcvtne2ps2bf16 %1, %2, %0" : "=v"(both) : "v"(low), "v"(high));
        if (cols == 32) nn__vi_store(c, both);
        else {
            nn__vi_store(sums, both);
            memcpy(c, sums, (size_t)cols * sizeof *c);
        }
    }
}
#endif
static void NN__K(low_store)(const nn__low *g, void *sums, int64_t apart, int64_t i, int64_t j, int64_t rows, int64_t cols, const float *bias) {
    uint16_t *c = (uint16_t *)g->g.c + i * g->g.c_row + j;
#if NN__PASS_ISA == 3 && NN__HAS_AMX
    if (g->path == NN__LOW_AMX && g->type == NN_BF16) { NN__K(low_store_amx)(g, (float *)sums, c, rows, cols, bias); return; }
#endif
    if (g->type == NN_I8) NN__K(low_store_bytes)(g, (const char *)sums, apart, i, j, rows, cols);
    else if (g->type == NN_F16) NN__K(low_store_halves)(g, (float *)sums, apart, c, rows, cols, bias, 1);
    else NN__K(low_store_halves)(g, (float *)sums, apart, c, rows, cols, bias, 0);
}

// ---- amx, vnni, madd: the loops
static nn__low_plan NN__K(low_plan_of)(const nn__low *g) {
    nn__low_plan p;
    const int amx = g->path == NN__LOW_AMX;
    const int64_t unit = amx ? 16 : 1;
    p.mr     = amx ? NN__K(low_tiles) : NN__K(low_mr);
    p.nr     = amx ? NN__K(low_tiles) : NN__K(low_nr);
    p.head   = !amx;
    p.per    = g->path == NN__LOW_MADD || g->type != NN_I8 ? 2 : 4;
    p.depth  = (g->g.k + p.per * unit - 1) / (p.per * unit) * unit;
    p.kc     = nn__gemm_even(p.depth, amx ? NN__LOW_KC_AMX : NN__LOW_KC, 16);
    p.blocks = p.kc ? (p.depth + p.kc - 1) / p.kc : 1;
    const int64_t most_m = p.mr * (amx ? 8 : 16), most_n = nn__max64(128, nn__min64(512, (1 << 20) / (p.depth + 1) / p.nr * p.nr)); // B: 4 MiB, unless k is very long
    p.nc     = nn__gemm_even(g->g.n, most_n, p.nr);
    p.mc     = nn__gemm_even(g->g.m, most_m, p.mr);
    // Rooms: no less for a problem than for any piece of it, whose blocks may be larger, since nn__gemm_even levels them.
    const int64_t rows = nn__min64((g->g.m + p.mr - 1) / p.mr * p.mr, most_m), cols = nn__min64((g->g.n + p.nr - 1) / p.nr * p.nr, most_n);
    p.room_a = (p.mr * p.kc + 15) / 16 * 16;
    p.room_b = ((p.depth + p.head * p.blocks) * cols + 15) / 16 * 16;
    p.room_c = ((p.blocks > 1 ? rows * cols : (int64_t)p.mr * p.nr) + 15) / 16 * 16;
    return p;
}

// B, columns jc .. jc + nb, all of k: block after block, panel after panel. Where B's rows lie adjacent, 16 steps of all
// panels come before the next 16: long pieces of few rows, which the machine foresees.
static void NN__K(low_pack_b)(const nn__low *g, const nn__low_plan *p, uint32_t *out, int64_t jc, int64_t nb) {
    const int kind = g->type != NN_I8 ? NN__LOW_HALVES : g->path == NN__LOW_MADD ? NN__LOW_SPREAD : NN__LOW_BYTES;
    const int64_t size = g->type == NN_I8 ? 1 : 2, panels = (nb + p->nr - 1) / p->nr;
    int64_t pc = 0;
    do {
        const int64_t kb = nn__min64(p->kc, p->depth - pc), panel = (kb + p->head) * p->nr, part = g->g.b_col == 1 ? 16 : kb;
        for (int64_t s = 0; s < kb; s += part)
            for (int64_t jr = 0; jr < panels; jr++) {
                const int64_t from = (pc + s) * p->per, j = jr * p->nr;
                NN__K(low_pack)(out + jr * panel + (p->head + s) * p->nr, (const char *)g->g.b + (from * g->g.b_row + (jc + j) * g->g.b_col) * size, kind,
                                (int)nn__min64(p->nr, nb - j), nn__min64(part, kb - s), g->g.k - from, g->g.b_col, g->g.b_row, p->nr);
            }
        for (int64_t jr = 0; jr < panels && p->head; jr++) NN__K(low_head)(out + jr * panel, kb, g->path == NN__LOW_VNNI);
        out += panels * panel;
        pc += kb;
    } while (pc < p->depth);
}

// One panel of A: where it lies, or packed into `room`.
static void NN__K(low_panel_a)(const nn__low *g, const nn__low_plan *p, nn__low_tile *t, uint32_t *room, int64_t i, int64_t pc) {
    const int64_t size = g->type == NN_I8 ? 1 : 2, left = g->g.k - pc * p->per;
    const char *from = (const char *)g->g.a + (i * g->g.a_row + pc * p->per * g->g.a_col) * size;
    t->a      = room;
    t->a_row  = 0;
    t->a_step = 0;
#if NN__PASS_ISA == 3 && NN__HAS_AMX
    if (g->path == NN__LOW_AMX) {
        t->a_row  = 64;
        t->a_step = 64 * 32;
        if (g->g.a_col == 1 && t->rows % 16 == 0 && left >= t->steps * p->per) {
            t->a      = from;
            t->a_row  = g->g.a_row * size;
            t->a_step = 64;
        } else NN__K(low_pack_rows)(room, from, g->type == NN_I8 ? NN__LOW_BYTES : NN__LOW_HALVES, t->rows, t->steps, left, g->g.a_row, g->g.a_col);
        return;
    }
#endif
    NN__K(low_pack)(room, from, g->path == NN__LOW_MADD ? NN__LOW_SPREAD : NN__LOW_BYTES, t->rows, t->steps, left, g->g.a_row, g->g.a_col, p->mr);
    if (g->path == NN__LOW_VNNI)
        for (int64_t s = 0; s < t->steps * p->mr; s++) room[s] ^= 0x80808080u; // + 128
}

static void NN__K(low_tile)(const nn__low *g, const nn__low_tile *t) {
#if NN__PASS_ISA == 3 && NN__HAS_AMX
    if (g->path == NN__LOW_AMX) {
        if (g->type == NN_I8) NN__K(low_micro_i8)(t);
        else NN__K(low_micro_bf16)(t);
        return;
    }
#endif
#if NN__PASS_ISA == 3
    if (g->path == NN__LOW_VNNI) { NN__K(low_micro_vnni)(t); return; }
#endif
    (void)g;
    NN__K(low_micro_madd)(t);
}

static void NN__K(low_loops)(const nn__low *g, uint32_t *scratch) {
    const nn__low_plan p = NN__K(low_plan_of)(g);
    uint32_t *const tiles = scratch, *const pa = tiles + p.room_c, *const pb = pa + p.room_a;
    float *const bias = (float *)(void *)(pb + p.room_b);
    const int straight = g->path == NN__LOW_AMX && g->type == NN_I8 && !g->a_scale && !g->b_scale && g->g.c_row != p.nr;
    nn__low_tile t;
    if (g->g.bias) NN__K(widen)(g->g.bias, bias, g->g.n, g->type == NN_F16);
    for (int64_t jc = 0; jc < g->g.n; jc += p.nc) {
        const int64_t nb = nn__min64(p.nc, g->g.n - jc);
        NN__K(low_pack_b)(g, &p, pb, jc, nb);
        for (int64_t ic = 0; ic < g->g.m; ic += p.mc) {
            const int64_t mb = nn__min64(p.mc, g->g.m - ic), across = (nb + p.nr - 1) / p.nr;
            const uint32_t *b = pb;
            int64_t pc = 0;
            do { // once also when k is 0
                const int64_t kb = nn__min64(p.kc, p.depth - pc), panel = (kb + p.head) * p.nr;
                for (int64_t ir = 0; ir < mb; ir += p.mr) {
                    t.rows  = (int)nn__min64(p.mr, mb - ir);
                    t.steps = kb;
                    t.add   = pc > 0;
                    NN__K(low_panel_a)(g, &p, &t, pa, ic + ir, pc);
                    for (int64_t jr = 0; jr < across; jr++) {
                        const int64_t cols = nn__min64(p.nr, nb - jr * p.nr);
                        t.b     = b + jr * panel;
                        t.c     = p.blocks > 1 ? tiles + (ir / p.mr * across + jr) * p.mr * p.nr : tiles;
                        t.c_row = p.nr * 4;
                        if (straight && t.rows == p.mr && cols == p.nr) { // a whole tile of the result: no detour
                            t.c     = (uint32_t *)g->g.c + (ic + ir) * g->g.c_row + jc + jr * p.nr;
                            t.c_row = g->g.c_row * 4;
                        }
                        NN__K(low_tile)(g, &t);
                        if (pc + kb < p.depth || t.c_row != p.nr * 4) continue;
                        NN__K(low_store)(g, t.c, p.nr, ic + ir, jc + jr * p.nr, t.rows, cols, g->g.bias ? bias + jc + jr * p.nr : NULL);
                    }
                }
                pc += kb;
                b += across * panel;
            } while (pc < p.depth);
        }
    }
}

// ---- wide: blocks of f32 for the product in f32
// A block of a matrix, widened: in the order of its rows or its columns, whichever lie adjacent. row and col: the strides,
// on return those of the copy.
static void NN__K(low_widen_block)(float *out, const uint16_t *x, int64_t rows, int64_t cols, int64_t *row, int64_t *col, int f16) {
    if (*col != 1 && *row == 1) {
        NN__K(low_widen_block)(out, x, cols, rows, col, row, f16);
        return;
    }
    for (int64_t i = 0; i < rows; i++, x += *row, out += cols) {
        if (*col == 1) NN__K(widen)(x, out, cols, f16);
        else
            for (int64_t j = 0; j < cols; j++) out[j] = f16 ? nn__f16_to_f32(x[j * *col]) : nn__bf16_to_f32(x[j * *col]);
    }
    *row = cols;
    *col = 1;
}

enum { NN__K(low_wide_m) = 384, NN__K(low_wide_n) = 256, NN__K(low_wide_k) = 768 };
static void NN__K(low_wide_piece)(const nn__low *g, nn__gemm *f) { // the largest block, for its room
    *f       = g->g;
    f->m     = nn__min64(g->g.m, NN__K(low_wide_m));
    f->n     = nn__min64(g->g.n, NN__K(low_wide_n));
    f->k     = nn__min64(g->g.k, NN__K(low_wide_k));
    f->c_row = f->n;
    f->bias  = NULL;
    f->act   = NULL;
    f->path  = NN__GEMM_TILES | NN__GEMM_PACK_B | (f->m > NN__K(gemm_mr) ? NN__GEMM_PACK_A : 0);
}
static void NN__K(low_wide)(const nn__low *g, float *scratch) {
    nn__gemm f;
    const int f16 = g->type == NN_F16;
    NN__K(low_wide_piece)(g, &f);
    const int64_t mc = f.m, nc = f.n, kc = f.k;
    float *const c = scratch, *const a = c + mc * nc, *const b = a + mc * kc, *const bias = b + kc * nc, *const room = bias + (g->g.n + 15) / 16 * 16;
    if (g->g.bias) NN__K(widen)(g->g.bias, bias, g->g.n, f16);
    f.a = a;
    f.b = b;
    f.c = c;
    for (int64_t jc = 0; jc < g->g.n; jc += nc)
        for (int64_t ic = 0; ic < g->g.m; ic += mc) {
            int64_t pc = 0;
            f.m = nn__min64(mc, g->g.m - ic);
            f.n = nn__min64(nc, g->g.n - jc);
            do { // once also when k is 0
                f.k = nn__min64(kc, g->g.k - pc);
                f.a_row = g->g.a_row; f.a_col = g->g.a_col; f.b_row = g->g.b_row; f.b_col = g->g.b_col;
                NN__K(low_widen_block)(a, (const uint16_t *)g->g.a + ic * f.a_row + pc * f.a_col, f.m, f.k, &f.a_row, &f.a_col, f16);
                NN__K(low_widen_block)(b, (const uint16_t *)g->g.b + pc * f.b_row + jc * f.b_col, f.k, f.n, &f.b_row, &f.b_col, f16);
                f.accumulate = pc > 0;
                NN__K(gemm)(&f, room);
                pc += f.k;
            } while (pc < g->g.k);
            NN__K(low_store)(g, c, nc, ic, jc, f.m, f.n, g->g.bias ? bias + jc : NULL);
        }
}

// ---- dot: few rows by a transposed B (b_row is 1); four columns at a time
NN__GEMM_INLINE void NN__K(low_dots)(float *out, const float *x, const uint16_t *y, int64_t y_row, int64_t k, const int f16) {
    NN__V sum[4][2];
    int64_t p = 0;
    NN__GEMM_UNROLL
    for (int s = 0; s < 4; s++) sum[s][0] = sum[s][1] = nn__v_zero();
    for (; p + 2 * NN__W <= k; p += 2 * NN__W) {
        const NN__V x0 = nn__v_load(x + p), x1 = nn__v_load(x + p + NN__W);
        NN__GEMM_UNROLL
        for (int s = 0; s < 4; s++) {
            sum[s][0] = nn__v_fma(x0, NN__K(low_widen)(nn__vi_load16(y + s * y_row + p), f16), sum[s][0]);
            sum[s][1] = nn__v_fma(x1, NN__K(low_widen)(nn__vi_load16(y + s * y_row + p + NN__W), f16), sum[s][1]);
        }
    }
    NN__GEMM_UNROLL
    for (int s = 0; s < 4; s++) {
        for (int64_t q = p; q < k; q += NN__W) {        // the rest, with zeros behind it
            const int left = k - q < NN__W ? (int)(k - q) : NN__W;
            uint16_t end[NN__W] = {0};
            memcpy(end, y + s * y_row + q, (size_t)left * sizeof *end);
            sum[s][0] = nn__v_fma(nn__v_load_n(x + q, left), NN__K(low_widen)(nn__vi_load16(end), f16), sum[s][0]);
        }
        out[s] = nn__v_hsum(nn__v_add(sum[s][0], sum[s][1]));
    }
}
static void NN__K(low_dot)(const nn__low *g, float *scratch) {
    const int f16 = g->type == NN_F16;
    const int64_t m = g->g.m, n = g->g.n, k = g->g.k, least = n < 4 ? 1 : 4, apart = n < 4 ? 0 : g->g.b_col;
    float *const a = scratch, *const bias = a + m * k, sums[NN__LOW_DOT_ROWS][64];
    for (int64_t i = 0; i < m; i++) {
        int64_t row = g->g.a_row, col = g->g.a_col;
        NN__K(low_widen_block)(a + i * k, (const uint16_t *)g->g.a + i * row, 1, k, &row, &col, f16);
    }
    if (g->g.bias) NN__K(widen)(g->g.bias, bias, n, f16);
    for (int64_t j = 0; j < n; j += 64) {
        const int64_t cols = nn__min64(64, n - j);
        for (int64_t q = 0; q < cols; q += least) {
            const int64_t from = nn__min64(j + q, n - least); // the last four: some once more
            const uint16_t *y = (const uint16_t *)g->g.b + from * g->g.b_col;
            for (int64_t i = 0; i < m; i++) {
                float d[4];
                if (f16) NN__K(low_dots)(d, a + i * k, y, apart, k, 1);
                else NN__K(low_dots)(d, a + i * k, y, apart, k, 0);
                for (int64_t s = j + q - from; s < least; s++) sums[i][from + s - j] = d[s];
            }
        }
        NN__K(low_store)(g, sums, 64, 0, j, m, cols, g->g.bias ? bias + j : NULL);
    }
}

static size_t NN__K(low_scratch)(const nn__low *g) {
    const size_t bias = ((size_t)g->g.n + 31) / 32 * 32;
    if (g->path == NN__LOW_DOT) return ((size_t)(g->g.m * g->g.k) + bias) * sizeof(float);
    if (g->path == NN__LOW_WIDE) {
        nn__gemm f;
        NN__K(low_wide_piece)(g, &f);
        return (size_t)(f.m * f.n + f.m * f.k + f.k * f.n) * sizeof(float) + bias * sizeof(float) + NN__K(gemm_scratch)(&f);
    }
    const nn__low_plan p = NN__K(low_plan_of)(g);
    return (size_t)(p.room_a + p.room_b + p.room_c) * sizeof(uint32_t) + bias * sizeof(float);
}
static void NN__K(low)(const nn__low *g, void *scratch) {
    if (g->path == NN__LOW_WIDE) { NN__K(low_wide)(g, (float *)scratch); return; }
    if (g->path == NN__LOW_DOT) { NN__K(low_dot)(g, (float *)scratch); return; }
#if NN__PASS_ISA == 3 && NN__HAS_AMX
    if (g->path == NN__LOW_AMX) NN__K(amx_begin)();
#endif
    NN__K(low_loops)(g, (uint32_t *)scratch);
#if NN__PASS_ISA == 3 && NN__HAS_AMX
    if (g->path == NN__LOW_AMX) NN__K(amx_end)();
#endif
}
#undef NN__PICK
#undef nn__vi_load16
#undef nn__vi_store16
#undef nn__vi_load8
#undef nn__vi_madd
#endif // !NN__PASS_F64

// ---- the table of this pass ------------------------------------------------------------------------------
enum { NN__K(lanes) = NN__W };
static const nn__kernel_set NN__K(set) = {
#define NN__X(name) NN__K(map_##name),
    NN__UNARY_OPS(NN__X) NN__BINARY_OPS(NN__X)
#undef NN__X
    NN__K(sum), NN__K(max), NN__K(sum_squares), NN__K(sum_columns), NN__K(max_columns), NN__K(softmax), NN__K(log_softmax), NN__K(softmax_back),
    NN__K(log_softmax_back), NN__K(log_sum_exp), NN__K(cross_entropy_back), NN__K(layernorm), NN__K(layernorm_back), NN__K(sgd),
#define NN__X(name, moments) NN__K(name),
    NN__OPTIM_KERNELS(NN__X)
#undef NN__X
    NN__K(uniform),
    NN__K(normal), NN__K(dropout), NN__K(mask), NN__K(gemm), NN__K(gemm_row), NN__K(gemm_small), NN__K(gemm_scratch), NN__K(gemm_path), NN__K(gemm_packed), NN__K(gemm_pack), NN__K(gemm_mr), NN__K(gemm_nr), NN__K(peak),
#if NN__PASS_F64
    NULL, NULL, NULL, NULL};
#else
    NN__K(widen), NN__K(narrow), NN__K(low), NN__K(low_scratch)};
#endif

// The region and the words end here.
#if (NN__PASS_ISA == 2 || NN__PASS_ISA == 3) && defined(__clang__)
#pragma clang attribute pop
#elif NN__PASS_ISA == 2 || NN__PASS_ISA == 3
#pragma GCC pop_options
#endif
#undef NN__R
#undef NN__V
#undef NN__M
#undef NN__W
#undef nn__v_load
#undef nn__v_store
#undef nn__v_load_n
#undef nn__v_store_n
#undef nn__v_set1
#undef nn__v_zero
#undef nn__v_add
#undef nn__v_sub
#undef nn__v_mul
#undef nn__v_div
#undef nn__v_fma
#undef nn__v_fnma
#undef nn__v_neg
#undef nn__v_min
#undef nn__v_max
#undef nn__v_lt
#undef nn__v_gt
#undef nn__v_eq
#undef nn__v_isnan
#undef nn__v_or
#undef nn__v_select
#undef nn__v_hsum
#undef nn__v_sqrt
#undef nn__v_abs
#undef NN__VI
#undef nn__v_toint
#undef nn__v_fromint
#undef nn__v_bits
#undef nn__v_frombits
#undef nn__vi_set1
#undef nn__vi_add
#undef nn__vi_sub
#undef nn__vi_and
#undef nn__vi_or
#undef nn__vi_shl
#undef nn__vi_sar
#undef nn__v_stream
#undef nn__v_fence
#undef nn__v_load_mask
#undef nn__v_store_mask
#undef nn__vi_shr
#undef nn__vi_xor3
#undef nn__vi_gt
#undef nn__v_any
#undef nn__vi_load
#undef nn__vi_store
#undef nn__vi_iota
#undef NN__ALL
#undef nn__v_ldexp
#undef NN__PASS_ISA
#undef NN__PASS_F64
#undef NN__K

#endif /* NN__PASS_ISA */

/* ---- >>license --------------------------------------------------------------------------------------
   MIT No Attribution (MIT-0)

   Copyright (c) 2026 the nn.h authors

   Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated
   documentation files (the "Software"), to deal in the Software without restriction, including without limitation the
   rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and to permit
   persons to whom the Software is furnished to do so.

   THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE
   WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR
   COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR
   OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE. */
