#!/bin/sh
# make check: the wide matrix. Every step prints one line; closes with "N passed, N failed[, N skipped]".
# Needs gcc, g++, clang, clang++; the aarch64 cross compiler with qemu-user where there is one.
cd "$(dirname "$0")/.." || exit 1
B=build/check
mkdir -p $B
export NN_QUIET=1
passed=0 failed=0 skipped=0
strict="-Wall -Wextra -Wpedantic -Werror"
# A step is timed, and its output shown if it fails. Those that may run beside another wait in a list (`later`) until `now` runs them, two at a time.
report() { # report "what" status seconds file
    if [ "$2" = 0 ]; then passed=$((passed + 1)); echo "ok      $1 ($3 s)"
    else failed=$((failed + 1)); echo "FAILED  $1 ($3 s)"; tail -n 15 "$4" | cut -c1-300; fi
}
step() { # step "what" command...
    what=$1; shift
    begun=$(date +%s)
    "$@" > $B/out 2>&1
    report "$what" $? $(($(date +%s) - begun)) $B/out
}
jobs=0
later() { # later "what" 'shell text'
    jobs=$((jobs + 1))
    echo "$1" > $B/job.$jobs.what
    echo "$2" > $B/job.$jobs.sh
}
now() {
    for j in $(seq $jobs); do echo $B/job.$j; done | xargs -P 2 -I @ sh -c 's=$(date +%s); sh @.sh > @.out 2>&1; echo $? $(($(date +%s) - s)) > @.status'
    for j in $(seq $jobs); do report "$(cat $B/job.$j.what)" $(cat $B/job.$j.status) $B/job.$j.out; done
    rm -f $B/job.*
    jobs=0
}
rm -f $B/job.*
skip() { skipped=$((skipped + 1)); echo "skipped $1: $2"; }
have() { command -v "$1" > /dev/null 2>&1; }

# -- the compile matrix: every compiler and standard, the private half too; each NN_NO_ alone and all together
printf '#include <stdio.h>\n#include <stdlib.h>\n#include <math.h>\n#include <string.h>\n#define NN_IMPLEMENTATION\n#include "nn.h"\nint main(void) { nn_ctx *c = nn_begin(NULL); nn_end(c); return 0; }\n' > $B/all.c
cp $B/all.c $B/all.cpp
compile() { # compile "what" compiler, flags and source
    what=$1; shift
    later "$what" "$* $strict -I. -c -o $B/compile.$jobs.o"
}
for cc in "gcc -std=c99" "gcc -std=c11" "gcc -std=c17" "clang -std=c99" "clang -std=c11" "clang -std=c17" "g++ -std=c++11" "g++ -std=c++17" "clang++ -std=c++11" "clang++ -std=c++17"; do
    have "${cc%% *}" || { skip "$cc" "not installed"; continue; }
    case $cc in *++*) src=$B/all.cpp ;; *) src=$B/all.c ;; esac
    case $cc in *c99 | *++11) o=-O2 ;; *) o=-O0 ;; esac # a minute each; what a standard changes shows without
    compile "compile $cc $o" $cc $o $src
    compile "compile $cc -O0, all left out" $cc -O0 -DNN_NO_THREADS -DNN_NO_SIMD -DNN_NO_F64 -DNN_NO_STDIO $src
done
for d in NN_NO_THREADS NN_NO_SIMD NN_NO_AVX512 NN_NO_AMX NN_NO_AVX2 NN_NO_SSE2 NN_NO_F64 NN_NO_STDIO NN_DEBUG NN_STATIC "NN_API="; do
    compile "gcc -D$d" gcc -std=c99 -O1 -D$d $B/all.c
    compile "clang++ -D$d" clang++ -std=c++11 -O0 "-D$d" $B/all.cpp
done
compile "gcc -O3 -march=native" gcc -std=gnu17 -O3 -march=native $B/all.c
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
isas=
for isa in scalar sse2 avx2 avx512; do
    case $isa in sse2) flag=sse2 ;; avx2) flag=avx2 ;; avx512) flag=avx512dq ;; *) flag=fpu ;; esac
    if grep -q "\\b$flag\\b" /proc/cpuinfo; then isas="$isas $isa"; else skip "NN_ISA=$isa" "not on this machine"; fi
done
isas=${isas:-scalar}
each_isa() { echo "for isa in $isas; do echo NN_ISA=\$isa; NN_ISA=\$isa $1 || exit 1; done"; } # each_isa "command": as shell text
for cc in gcc clang; do
    later "$cc -ffast-math, each instruction set" "$cc -O2 -ffast-math -I. -o $B/fast.$cc $B/fast.c -lm -lpthread && $(each_isa $B/fast.$cc)"
done
now
step "FMA instructions in a -std=c99 object" sh -c "test \$(objdump -d $B/compile.0.o | grep -c vfmadd) -gt 500" # of the matrix's first

# -- the tests: on every instruction set, by every compiler, with things left out, with the sanitizers
try() { # try "how" suffix "tests" compiler and flags: each test compiled so and run
    how=$1 suffix=$2 tests=$3; shift 3
    for t in $tests; do later "$t, $how" "$* -I. -o $B/t_$t$suffix tests/test_$t.c $libs -lm -lpthread && $B/t_$t$suffix"; done
}
libs=
for t in core golden plan breadth optim conv pool nets; do
    later "$t, each instruction set" "gcc -std=c99 -O2 $strict -I. -o $B/t_$t tests/test_$t.c -lm -lpthread && $(each_isa $B/t_$t)"
done
now
step "build ops, gcc -O2" gcc -std=c99 -O2 $strict -I. -o $B/t_ops tests/test_ops.c -lm -lpthread
later "ops on every instruction set, equal bits on 1, 2, 3, 5 and 8 threads" "NN_TEST_ALL=1 $B/t_ops"
later "ops through plans on every instruction set" "NN_TEST_PLAN=1 $B/t_ops"
later "random programs, eager and planned" "$B/t_plan --fuzz 300 5000"
now
try "clang" .clang "core golden" clang -std=c99 -O2 $strict
try "without threads" .nothreads "core golden" gcc -std=c99 -O1 $strict -DNN_NO_THREADS
try "without threads" .nothreads "ops" gcc -std=c99 -O1 $strict -DNN_NO_THREADS -DNN_NO_AVX2 -DNN_NO_SSE2
try "without SIMD" .nosimd "ops" gcc -std=c99 -O1 $strict -DNN_NO_SIMD
try "C++" .cpp "core golden" g++ -x c++ -std=c++11 -O1 $strict
try "C++" .cpp "breadth optim data fit images nets" g++ -x c++ -std=c++11 -O0 $strict -DNN_NO_SIMD
try "C++ without threads" .cpp "plan" g++ -x c++ -std=c++11 -O1 $strict -DNN_NO_THREADS -DNN_NO_SIMD
try "NN_DEBUG" .debug "memory" gcc -std=c99 -O1 $strict -DNN_DEBUG
try "NN_DEBUG" .debug "plan" gcc -std=c99 -O1 $strict -DNN_DEBUG -DNN_NO_SIMD
later "exported files, every compiler" "gcc -std=c99 -O2 $strict -I. -o $B/t_export tests/test_export.c -lm -lpthread && NN_TEST_ALL=1 $B/t_export"
if printf '#include <cblas.h>\nint main(void) { return 0; }\n' | gcc -x c - -lopenblas -o $B/blas > /dev/null 2>&1; then
    libs=-lopenblas
    try "with a BLAS" .blas "core golden ops" gcc -std=c99 -O1 $strict -DNN_USE_CBLAS
    libs=
else skip "tests with a BLAS" "no OpenBLAS to link"; fi
now
asan="clang -std=c99 -g -fsanitize=address,undefined -fno-sanitize-recover=all"
try "ASan and UBSan" .asan "ops" $asan -O0 # the vector kernels are ops' matter
export ASAN_OPTIONS=allocator_may_return_null=1 # the tests ask for sizes that nobody has
try "ASan and UBSan" .asan "core golden breadth errors memory plan optim data fit more export draw images conv pool nets" $asan -O0 -DNN_NO_SIMD
now
unset ASAN_OPTIONS
tsan="clang -std=c99 -g -O0 -DNN_NO_SIMD -fsanitize=thread"
try "TSan" .tsan "core fit" $tsan
later "random programs, TSan" "$tsan -I. -o $B/t_plan.tsan tests/test_plan.c -lm -lpthread && $B/t_plan.tsan --fuzz 0 300"
later "threads example, TSan" "$tsan -I. -o $B/threads.tsan examples/threads.c -lm -lpthread && $B/threads.tsan"
now
step "build fuzz target" clang -g -O0 -DNN_NO_SIMD -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all -I. -o $B/fuzz tests/fuzz_files.c -lm -lpthread
for r in $(seq 0 13); do later "fuzz reader $r for 20 s" "FUZZ_READER=$r $B/fuzz -max_total_time=20 -max_len=4096 -rss_limit_mb=2048"; done
now

# -- other machines
if have aarch64-linux-gnu-gcc && have qemu-aarch64; then
    arm="aarch64-linux-gnu-gcc -std=c99 -O1 $strict -static -I."
    for t in core golden; do later "$t on aarch64" "$arm -o $B/t_$t.arm tests/test_$t.c -lm -lpthread && qemu-aarch64 $B/t_$t.arm"; done
    later "ops on aarch64, equal bits on 1, 2, 3, 5 and 8 threads" "$arm -o $B/t_ops.arm tests/test_ops.c -lm -lpthread && NN_TEST_ALL=1 qemu-aarch64 $B/t_ops.arm"
    now
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
