#!/bin/sh
# make test: compiles and runs the test programs named, and the checks of tests/structure.sh. Closes with one line of totals.
cd "$(dirname "$0")/.." || exit 1
CC=${CC:-cc} CXX=${CXX:-c++} TEST_CFLAGS=${TEST_CFLAGS:--O1}
export CC CXX TEST_CFLAGS NN_QUIET=1
mkdir -p build
log=build/test.log
: > "$log"
# Two at a time, each compiled and run. The kernels of every instruction set are compiled for ops and golden only; for the others the scalar
# ones will do, and compile fastest (make check runs more of them on all).
flags() { case $1 in ops | golden) echo "$TEST_CFLAGS" ;; *) echo "-O0 -DNN_NO_SIMD" ;; esac; }
for t in "$@"; do rm -f "build/test_$t" "build/test_$t.out" "build/test_$t.status"; done
for t in "$@"; do echo "$t $(flags "$t")"; done | xargs -P 2 -L 1 sh -c 't=$0; $CC "$@" -Wall -Wextra -Wpedantic -I. -o build/test_$t tests/test_$t.c -lm -lpthread 2> build/test_$t.err && { build/test_$t > build/test_$t.out 2>&1; echo $? > build/test_$t.status; }'
for t in "$@"; do
    cat "build/test_$t.err"
    if [ ! -f "build/test_$t.status" ]; then
        echo "$t: 0 passed, 1 failed (does not compile)" | tee -a "$log"
        continue
    fi
    cat "build/test_$t.out"
    if ! tail -n 1 "build/test_$t.out" | grep -qE '^[a-z]+: [0-9]+ passed, [0-9]+ failed'; then
        echo "$t: 0 passed, 1 failed (ended with status $(cat "build/test_$t.status"))" | tee -a "$log"
    else
        tail -n 1 "build/test_$t.out" >> "$log"
    fi
done
sh tests/structure.sh 2>&1 | tee build/structure.out
tail -n 1 build/structure.out >> "$log"
awk '{ for (i = 1; i < NF; i++) { if ($(i+1) ~ /^passed/) p += $i; if ($(i+1) ~ /^failed/) f += $i; if ($(i+1) ~ /^skipped/) s += $i } }
     END { printf "%d passed, %d failed", p, f; if (s) printf ", %d skipped", s; print ""; exit f != 0 || p == 0 }' "$log"
