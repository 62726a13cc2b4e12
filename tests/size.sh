#!/bin/sh
# make size: lines a section, seconds to compile the XOR demo, bytes of the stripped binary.
cd "$(dirname "$0")/.." || exit 1
mkdir -p build
awk '/^(\/\*|  |\/\/) ?---- >>/ { s = $0; sub(/.*>>/, "", s); sub(/ -.*/, "", s); name[++n] = s } n { lines[n]++ } !n { head++ }
     END { printf "%6d  (head)\n", head; for (i = 1; i <= n; i++) { printf "%6d  %s\n", lines[i], name[i]; t += lines[i] } printf "%6d  nn.h\n", t + head }' nn.h
awk '/^[ \t]*(\/\/|\/\*|\*)/ { c++ } END { printf "%5.0f %%  comment-only lines\n", 100 * c / NR }' nn.h
for cc in gcc clang; do
    command -v $cc > /dev/null || continue
    for o in -O0 -O2; do
        start=$(date +%s%N)
        $cc $o -I. -o build/size_xor examples/xor.c -lm -lpthread || exit 1
        end=$(date +%s%N)
        strip build/size_xor
        echo "$cc $o: $(( (end - start) / 10000000 ))0 ms, $(wc -c < build/size_xor) bytes stripped"
    done
done
