#!/bin/sh
# make check: the wide matrix. Every step prints one line; closes with "N passed, N failed[, N skipped]".
# Needs gcc, g++, clang, clang++; the aarch64 cross compiler with qemu-user where there is one.
cd "$(dirname "$0")/.." || exit 1
B=build/check
mkdir -p $B
export NN_QUIET=1
passed=0 failed=0 skipped=0
strict="-Wall -Wextra -Wpedantic -Werror"
step() { # step "what" command...
    what=$1; shift
    if "$@" > $B/out 2>&1; then passed=$((passed + 1)); echo "ok      $what"
    else failed=$((failed + 1)); echo "FAILED  $what"; tail -n 15 $B/out | cut -c1-300; fi
}
# Compilers run two at a time: `later` takes a step down, whose last word stands for an object of its own, and `now` makes them all.
later() { what=$1; shift; printf '%s\t%s\n' "$what" "$*" >> $B/later; }
now() {
    awk -F '\t' -v b="$B" '{ f = b "/later." NR; print $1 > (f ".what"); printf "%s -c -o %s.o", $2, f > (f ".sh"); close(f ".what"); close(f ".sh"); print f }' $B/later > $B/later.list
    xargs -P 2 -I % sh -c 'sh %.sh > %.out 2>&1; echo $? > %.status' < $B/later.list
    while read -r f; do step "$(cat $f.what)" sh -c "cat $f.out; exit \$(cat $f.status)"; done < $B/later.list
    rm -f $B/later $B/later.*
}
rm -f $B/later $B/later.*
skip() { skipped=$((skipped + 1)); echo "skipped $1: $2"; }
have() { command -v "$1" > /dev/null 2>&1; }

# -- the compile matrix: every compiler and standard, the private half too; each NN_NO_ alone and all together
printf '#include <stdio.h>\n#include <stdlib.h>\n#include <math.h>\n#include <string.h>\n#define NN_IMPLEMENTATION\n#include "nn.h"\nint main(void) { nn_ctx *c = nn_begin(NULL); nn_end(c); return 0; }\n' > $B/all.c
cp $B/all.c $B/all.cpp
for cc in "gcc -std=c99" "gcc -std=c11" "gcc -std=c17" "clang -std=c99" "clang -std=c11" "clang -std=c17" "g++ -std=c++11" "g++ -std=c++17" "clang++ -std=c++11" "clang++ -std=c++17"; do
    have "${cc%% *}" || { skip "$cc" "not installed"; continue; }
    case $cc in *++*) src=$B/all.cpp ;; *) src=$B/all.c ;; esac
    later "compile $cc -O2" $cc -O2 $strict -I. $src
    later "compile $cc -O0, $(basename $src), all left out" $cc -O0 $strict -DNN_NO_THREADS -DNN_NO_SIMD -DNN_NO_F64 -DNN_NO_STDIO -I. $src
done
for d in NN_NO_THREADS NN_NO_SIMD NN_NO_AVX512 NN_NO_AMX NN_NO_AVX2 NN_NO_SSE2 NN_NO_F64 NN_NO_STDIO NN_DEBUG NN_STATIC "NN_API="; do
    later "gcc -D$d" gcc -std=c99 -O1 $strict -D$d -I. $B/all.c
    later "clang++ -D$d" clang++ -std=c++11 -O1 $strict "-D$d" -I. $B/all.cpp
done
later "gcc -O3 -march=native" gcc -std=gnu17 -O3 -march=native $strict -I. $B/all.c
now
cat > $B/fast.c << 'END'
#define NN_IMPLEMENTATION
#include "nn.h"
int main(void) { /* the elementary functions survive rearranged sums */
    nn_ctx *c = nn_begin(NULL);
    nn_tensor *x = nn_full(c, NN_F32, NN_SHAPE(37), 1);
    double e[5], want[5] = {2.718281828, 0.761594156, 0.731058579, 0.841470985, 1 / 37.0};
    e[0] = nn_get(nn_exp(x), NN_SHAPE(36)); e[1] = nn_get(nn_tanh(x), NN_SHAPE(36)); e[2] = nn_get(nn_sigmoid(x), NN_SHAPE(36));
    e[3] = nn_get(nn_sin(x), NN_SHAPE(36)); e[4] = nn_get(nn_softmax(x, -1), NN_SHAPE(36));
    for (int i = 0; i < 5; i++) if (fabs(e[i] - want[i]) > 1e-6) return printf("%s: function %d is %g\n", nn_isa(c), i, e[i]), 1;
    nn_end(c);
    return 0;
}
END
for cc in gcc clang; do
    step "build with $cc -ffast-math" $cc -O2 -ffast-math -I. -o $B/fast $B/fast.c -lm -lpthread
    for isa in scalar sse2 avx2 avx512; do
        if NN_ISA=$isa $B/fast > /dev/null 2>&1 || ! NN_ISA=$isa $B/fast 2>&1 | grep -q "not on this machine"; then step "$cc -ffast-math, $isa" env NN_ISA=$isa $B/fast; fi
    done
done
step "FMA instructions in a -std=c99 object" sh -c "gcc -std=c99 -O2 -I. -c -o $B/all.o $B/all.c && test \$(objdump -d $B/all.o | grep -c vfmadd) -gt 500"

# -- the tests, on every instruction set, without threads, with the sanitizers
core() { sh -c "$1 $B/t_core$2 && $1 $B/t_golden$2"; }
build() { # build suffix compiler flags...
    suffix=$1; shift
    for t in core golden; do "$@" -I. -o $B/t_$t$suffix tests/test_$t.c $LIBS -lm -lpthread || return 1; done
}
step "build tests, gcc -O2" build "" gcc -std=c99 -O2 $strict
for isa in scalar sse2 avx2 avx512; do
    case $isa in sse2) flag=sse2 ;; avx2) flag=avx2 ;; avx512) flag=avx512dq ;; *) flag=fpu ;; esac
    if grep -q "\\b$flag\\b" /proc/cpuinfo; then step "tests with NN_ISA=$isa" core "NN_ISA=$isa" ""; else skip "tests with NN_ISA=$isa" "not on this machine"; fi
done
step "build ops, gcc -O2" gcc -std=c99 -O2 $strict -I. -o $B/t_ops tests/test_ops.c -lm -lpthread
step "ops on every instruction set, equal bits on 1, 2, 3, 5 and 8 threads" env NN_TEST_ALL=1 $B/t_ops
step "ops through plans on every instruction set" env NN_TEST_PLAN=1 $B/t_ops
step "build plan, gcc -O2" gcc -std=c99 -O2 $strict -I. -o $B/t_plan tests/test_plan.c -lm -lpthread
for isa in scalar sse2 avx2 avx512; do
    case $isa in sse2) flag=sse2 ;; avx2) flag=avx2 ;; avx512) flag=avx512dq ;; *) flag=fpu ;; esac
    if grep -q "\\b$flag\\b" /proc/cpuinfo; then step "plans with NN_ISA=$isa" env NN_ISA=$isa $B/t_plan; else skip "plans with NN_ISA=$isa" "not on this machine"; fi
done
step "random programs, eager and planned" $B/t_plan --fuzz 300 5000
for t in breadth optim; do # their formulas are kernels
    step "build $t with all kernels" gcc -std=c99 -O1 $strict -I. -o $B/t_$t tests/test_$t.c -lm -lpthread
    for isa in scalar sse2 avx2 avx512; do
        case $isa in sse2) flag=sse2 ;; avx2) flag=avx2 ;; avx512) flag=avx512dq ;; *) flag=fpu ;; esac
        if grep -q "\\b$flag\\b" /proc/cpuinfo; then step "$t with NN_ISA=$isa" env NN_ISA=$isa $B/t_$t; else skip "$t with NN_ISA=$isa" "not on this machine"; fi
    done
done
for t in conv pool nets; do
    step "build $t, gcc -O2" gcc -std=c99 -O2 $strict -I. -o $B/t_$t tests/test_$t.c -lm -lpthread
    for isa in scalar sse2 avx2 avx512; do
        case $isa in sse2) flag=sse2 ;; avx2) flag=avx2 ;; avx512) flag=avx512dq ;; *) flag=fpu ;; esac
        if grep -q "\\b$flag\\b" /proc/cpuinfo; then step "$t with NN_ISA=$isa" env NN_ISA=$isa $B/t_$t; else skip "$t with NN_ISA=$isa" "not on this machine"; fi
    done
done
for t in breadth optim data fit images nets; do
    step "build $t as C++" g++ -x c++ -std=c++11 -O0 $strict -DNN_NO_SIMD -I. -o $B/t_$t.cpp tests/test_$t.c -lm -lpthread
    step "$t as C++" $B/t_$t.cpp
done
step "build tests, clang" build .clang clang -std=c99 -O2 $strict
step "tests, clang" core "" .clang
step "build tests without threads" build .nothreads gcc -std=c99 -O1 $strict -DNN_NO_THREADS
step "tests without threads" core "" .nothreads
if printf '#include <cblas.h>\nint main(void) { return 0; }\n' | gcc -x c - -lopenblas -o $B/blas > /dev/null 2>&1; then
    LIBS=-lopenblas
    step "build tests with a BLAS" build .blas gcc -std=c99 -O1 $strict -DNN_USE_CBLAS
    LIBS=
    step "build ops with a BLAS" gcc -std=c99 -O1 $strict -DNN_USE_CBLAS -I. -o $B/t_ops.blas tests/test_ops.c -lopenblas -lm -lpthread
    step "tests with a BLAS" core "" .blas
    step "ops with a BLAS" $B/t_ops.blas
else skip "tests with a BLAS" "no OpenBLAS to link"; fi
step "build ops without SIMD" gcc -std=c99 -O1 $strict -DNN_NO_SIMD -I. -o $B/t_ops.nosimd tests/test_ops.c -lm -lpthread
step "ops without SIMD" $B/t_ops.nosimd
step "build ops without threads" gcc -std=c99 -O1 $strict -DNN_NO_THREADS -DNN_NO_AVX2 -DNN_NO_SSE2 -I. -o $B/t_ops.nothreads tests/test_ops.c -lm -lpthread
step "ops without threads" $B/t_ops.nothreads
step "build tests as C++" build .cpp g++ -x c++ -std=c++11 -O1 $strict
step "tests as C++" core "" .cpp
for t in core golden breadth ops errors memory plan optim data fit more export draw images nets; do
    case $t in ops) small= ;; *) small=-DNN_NO_SIMD ;; esac # the vector kernels are ops' matter
    step "build $t under ASan and UBSan" clang -std=c99 -g -O0 $small -fsanitize=address,undefined -fno-sanitize-recover=all -I. -o $B/asan_$t tests/test_$t.c -lm -lpthread
    step "$t under ASan and UBSan" $B/asan_$t
done
step "build export, gcc -O2" gcc -std=c99 -O2 $strict -I. -o $B/t_export tests/test_export.c -lm -lpthread
step "exported files, every compiler" env NN_TEST_ALL=1 $B/t_export
step "build memory with NN_DEBUG" gcc -std=c99 -O1 $strict -DNN_DEBUG -I. -o $B/debug_memory tests/test_memory.c -lm -lpthread
step "memory with NN_DEBUG" $B/debug_memory
step "build plan with NN_DEBUG" gcc -std=c99 -O1 $strict -DNN_DEBUG -DNN_NO_SIMD -I. -o $B/debug_plan tests/test_plan.c -lm -lpthread
step "plan with NN_DEBUG" $B/debug_plan
step "build plan as C++, without threads" g++ -x c++ -std=c++11 -O1 $strict -DNN_NO_THREADS -DNN_NO_SIMD -I. -o $B/t_plan.cpp tests/test_plan.c -lm
step "plan as C++, without threads" $B/t_plan.cpp
step "build plan under TSan" clang -std=c99 -g -O0 -DNN_NO_SIMD -fsanitize=thread -I. -o $B/tsan_plan tests/test_plan.c -lm -lpthread
step "random programs under TSan" $B/tsan_plan --fuzz 0 300
step "build core under TSan" clang -std=c99 -g -O0 -DNN_NO_SIMD -fsanitize=thread -I. -o $B/tsan_core tests/test_core.c -lm -lpthread
step "core under TSan" $B/tsan_core
step "build fit under TSan" clang -std=c99 -g -O0 -DNN_NO_SIMD -fsanitize=thread -I. -o $B/tsan_fit tests/test_fit.c -lm -lpthread
step "fit under TSan" $B/tsan_fit
step "build threads example under TSan" clang -std=c99 -g -O0 -DNN_NO_SIMD -fsanitize=thread -I. -o $B/tsan_threads examples/threads.c -lm -lpthread
step "threads example under TSan" $B/tsan_threads
step "build fuzz target" clang -g -O0 -DNN_NO_SIMD -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all -I. -o $B/fuzz tests/fuzz_files.c -lm -lpthread
for r in 0 1 2 3 4 5 6 7 8 9 10 11 12 13; do echo $r; done | xargs -P 2 -I % sh -c "FUZZ_READER=% $B/fuzz -max_total_time=20 -max_len=4096 -rss_limit_mb=2048 > $B/fuzz.% 2>&1; echo \$? > $B/fuzz.%.status"
for r in 0 1 2 3 4 5 6 7 8 9 10 11 12 13; do step "fuzz reader $r for 20 s" sh -c "tail -n 15 $B/fuzz.$r; exit \$(cat $B/fuzz.$r.status)"; done

# -- other machines
if have aarch64-linux-gnu-gcc && have qemu-aarch64; then
    step "build tests for aarch64" build .arm aarch64-linux-gnu-gcc -std=c99 -O1 $strict -static
    step "core on aarch64" qemu-aarch64 $B/t_core.arm
    step "golden on aarch64" qemu-aarch64 $B/t_golden.arm
    step "build ops for aarch64" aarch64-linux-gnu-gcc -std=c99 -O1 $strict -static -I. -o $B/t_ops.arm tests/test_ops.c -lm -lpthread
    step "ops on aarch64, equal bits on 1, 2, 3, 5 and 8 threads" env NN_TEST_ALL=1 qemu-aarch64 $B/t_ops.arm
else skip "aarch64" "no cross compiler or no qemu-user"; fi
if have x86_64-w64-mingw32-gcc; then
    step "Windows, C" x86_64-w64-mingw32-gcc -std=c99 -O0 $strict -I. -c -o $B/all.o $B/all.c
else skip "Windows" "no x86_64-w64-mingw32-gcc"; fi

# -- the examples, on real input
step "examples compile" make -s -j2 all
step "xor" build/xor
for e in autodiff custom_op threads cpp; do step "$e" build/$e; done
step "plan reaches 96 %" sh -c "build/plan $B | awk '/^test accuracy/ { a = \$3 } END { exit !(a >= 96) }'"
if have dot; then step "Graphviz reads plan.dot" dot -Tsvg -o $B/plan.dot.svg $B/plan.dot; else skip "Graphviz reads plan.dot" "no dot"; fi
for e in xor custom_op threads; do step "$e: the same as a plan" sh -c "build/$e > $B/eager && build/$e plan > $B/plan && cmp $B/eager $B/plan"; done
step "cpp: the same without plans" sh -c "build/cpp > $B/plan && NN_EAGER=1 build/cpp > $B/eager && cmp $B/eager $B/plan"
step "digits: the same without plans" sh -c "for e in 0 1; do NN_EAGER=\$e build/digits examples/data/digits.csv 1 $B/digits.e\$e > /dev/null 2>&1 || exit 1; done; cmp $B/digits.e0 $B/digits.e1"
step "demo reaches 97 %" sh -c "make -s demo 2> /dev/null | awk '/^test accuracy/ { a = \$3 } END { exit !(a >= 97) }'"
step "demo: equal files for 1, 2 and 3 threads" sh -c "for t in 1 2 3; do NN_THREADS=\$t make -s demo > /dev/null 2>&1 && cp build/digits.safetensors $B/digits.\$t || exit 1; done; cmp $B/digits.1 $B/digits.2 && cmp $B/digits.1 $B/digits.3"
step "export: equal accuracy" make -s export
step "examples beat their plain baselines" sh tests/examples.sh check "${NN_DATA:-../shared/data}"
step "make mnist says what it needs" sh -c "! make -s mnist MNIST= 2> $B/mnist.err && grep -q 'say where the data is' $B/mnist.err && ! make -s mnist MNIST=/nonexistent 2> $B/mnist.err && grep -q 'has no train-images' $B/mnist.err"
data=${NN_DATA:-../shared/data}
if [ -d "$data/mnist" ]; then
    step "mnist reaches 98 %" sh -c "make -s mnist MNIST=$data/mnist 2> /dev/null | awk '/^test accuracy/ { a = \$3 } END { exit !(a >= 98) }'"
    step "mnist: the same without plans" sh -c "for e in 0 1; do NN_EAGER=\$e build/mnist build/mnist-data 2 1 $B/mnist.e\$e > /dev/null 2>&1 || exit 1; done; cmp $B/mnist.e0 $B/mnist.e1"
    step "mnist: equal files for 1, 2 and 3 threads" sh -c "for t in 1 2 3; do NN_THREADS=\$t build/mnist build/mnist-data 2 1 $B/mnist.\$t > /dev/null 2>&1 || exit 1; done; cmp $B/mnist.1 $B/mnist.2 && cmp $B/mnist.1 $B/mnist.3"
else skip "mnist" "no data at $data/mnist"; fi

printf '%d passed, %d failed' $passed $failed
[ $skipped -gt 0 ] && printf ', %d skipped' $skipped
echo
[ $failed -eq 0 ]
