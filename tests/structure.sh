#!/bin/sh
# What the header promises about itself: contents, names, several ways of being included, the programs in its comments.
# Prints a line for each failed check and closes with "structure: N passed, M failed".
cd "$(dirname "$0")/.." || exit 1
CC=${CC:-cc} CXX=${CXX:-c++}
B=build/structure
rm -rf $B; mkdir -p $B
passed=0 failed=0
check() { # check "what" command...
    what=$1; shift
    if "$@" > $B/out 2>&1; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "structure: $what"; head -n 5 $B/out; fi
}
strict="-Wall -Wextra -Wpedantic -Werror"
small="-O0 -DNN_NO_SIMD -DNN_NO_F64" # where speed does not matter, the wait does
skipped=0
command -v "$CXX" > /dev/null 2>&1 || CXX=

# The table of contents has the sections, in the file's order.
awk '/^\/\/ ---- >>contents/ { on = 1; next } on && /^\/\/   >>/ { sub(/^\/\/   >>/, ""); sub(/  .*/, ""); print; next } on && !/^\/\// { exit }' nn.h > $B/contents
grep -oE '^(/\*|  ) ?---- >>[a-z ]+ -' nn.h | sed -E 's/.*>>//; s/ +-$//' > $B/sections
check "the contents differ from the sections" cmp $B/contents $B/sections

# No name outside nn_ and NN_: symbols of the object, macros of the public half.
printf '#define NN_IMPLEMENTATION\n#include "nn.h"\n' > $B/nn.c
$CC -O0 -c -I. -o $B/nn.o $B/nn.c
nm -g --defined-only $B/nn.o | awk '{ print $3 }' | grep -vE '^nn_' > $B/foreign
check "global symbols outside nn_" test ! -s $B/foreign
check "private symbols are exported" sh -c "! nm -g --defined-only $B/nn.o | grep -q ' nn__'"
printf '#include <stddef.h>\n#include <stdint.h>\n' > $B/before.c
printf '#include <stddef.h>\n#include <stdint.h>\n#include "nn.h"\n' > $B/after.c
$CC -dM -E $B/before.c | sort > $B/macros.before
$CC -I. -dM -E $B/after.c | sort > $B/macros.after
comm -13 $B/macros.before $B/macros.after | awk '{ print $2 }' | grep -vE '^(NN_|nn_)' > $B/foreign
check "macros outside NN_" test ! -s $B/foreign
check "nanomsg's names" sh -c "! grep -nE '\\b(NN_VERSION[A-Z_]*|NN_EXPORT|NN_MSG|nn_device|nn_close|nn_send|nn_recv|nn_bind|nn_connect|nn_shutdown|nn_term|nn_errno|nn_strerror|nn_symbol)\\b *(\\(|[0-9]|=)' nn.h"

# Two translation units, each including it twice; C and C++ together.
printf '#include <stdio.h>\n#include "nn.h"\n#include "nn.h"\nint other(void);\nint main(void) { nn_ctx *c = nn_begin(NULL); int bad = other() || nn_numel(nn_zeros(c, NN_F32, NN_SHAPE(2, 3))) != 6; nn_end(c); return bad; }\n' > $B/main.c
printf '#include "nn.h"\n#define NN_IMPLEMENTATION\n#include "nn.h"\n#include "nn.h"\nint other(void) { return nn_error(NULL) != NN_ERR_MEMORY; }\n' > $B/other.c
check "two translation units" sh -c "$CC $small -std=c99 $strict -I. -o $B/two $B/main.c $B/other.c -lm -lpthread && $B/two"
sed 's/int other/extern "C" int other/' $B/main.c > $B/main.cpp
if [ -n "$CXX" ]; then
    check "C++ using a C object" sh -c "$CC $small -c -I. -o $B/other.o $B/other.c && $CXX -O0 -std=c++11 $strict -I. -c -o $B/main.o $B/main.cpp && $CXX -o $B/mixed $B/main.o $B/other.o -lm -lpthread && $B/mixed"
    cp $B/other.c $B/other.cpp
    check "the code as C++" sh -c "$CXX $small -std=c++11 $strict -I. -c -o $B/other.o $B/other.cpp"
    printf '#include "nn.h"\nint main(void) { return NN_SHAPE(2, 3).ndim != 2; }\n' > $B/public.cpp
    check "public half, C++" sh -c "$CXX -std=c++11 $strict -Wshadow -Wconversion -Wundef -Wold-style-cast -I. -fsyntax-only $B/public.cpp"
else
    skipped=3
    echo "skipped: three checks of C++ (no C++ compiler)"
fi

# NN_STATIC: two private copies in one program; a context of one is refused by the other.
printf '#define NN_STATIC\n#define NN_IMPLEMENTATION\n#include "nn.h"\nvoid *theirs(void);\nint main(void) { nn_ctx *mine = nn_begin(NULL), *c = (nn_ctx *)theirs(); int bad = nn_zeros(c, NN_F32, NN_SHAPE(2)) != NULL || nn_error(c) != NN_ERR_CONTEXT; nn_end(mine); return bad; }\n' > $B/static1.c
printf '#define NN_STATIC\n#define NN_IMPLEMENTATION\n#include "nn.h"\nvoid *theirs(void) { return nn_begin(NULL); }\n' > $B/static2.c
sed 's/^void \*theirs/void *theirs(void);\n&/' $B/static2.c > $B/static3.c
check "two NN_STATIC copies" sh -c "$CC $small -std=c99 $strict -I. -o $B/static $B/static1.c $B/static3.c -lm -lpthread && NN_QUIET=1 $B/static"

# The public half under more warnings than a library can expect.
printf '#include "nn.h"\nint main(void) { return NN_SHAPE(2, 3).ndim != 2; }\n' > $B/public.c
check "public half, C" sh -c "$CC -std=c99 $strict -Wshadow -Wconversion -Wundef -Wstrict-prototypes -I. -fsyntax-only $B/public.c"
check "meeting nanomsg is explained" sh -c "printf '#define NN_H_INCLUDED\n#include \"nn.h\"\n' > $B/nano.c; ! $CC -I. -fsyntax-only $B/nano.c 2> $B/nano.err && grep -q nanomsg $B/nano.err"

# In an empty folder, strictly, with standard headers first.
mkdir -p $B/empty
cp nn.h $B/empty/
(printf '#include <stdio.h>\n#include <stdlib.h>\n#include <math.h>\n#include <string.h>\n'; cat examples/xor.c) > $B/empty/xor.c
check "xor in an empty folder" sh -c "cd $B/empty && $CC -std=c99 -O0 $strict -o xor xor.c -lm -lpthread && ./xor > out && awk '{ gsub(/[][]/, \"\"); v[NR] = \$1 } END { exit !(NR == 4 && v[1] < 0.1 && v[2] > 0.9 && v[3] > 0.9 && v[4] < 0.1) }' out"

# The three programs of the quickstart, and every snippet of the manual that is marked as one.
awk -v dir=$B '/>>quickstart/ { on = 1 } />>options/ { on = 0 } on && /#define NN_IMPLEMENTATION/ && /^    / { n++; file = dir "/snippet" n ".c" }
     file && /^    / { print substr($0, 5) > file } file && !/^    / && NF { file = "" }' nn.h
for f in $B/snippet*.c; do
    check "$(basename "$f") of the manual compiles" sh -c "$CC $small -std=c99 $strict -I. -o ${f%.c} $f -lm -lpthread"
    check "$(basename "$f") of the manual runs" sh -c "NN_QUIET=1 ${f%.c}"
done

# The short pieces of the manual, each in a function of its own (functions among them stay functions).
awk '/>>manual/ { on = 1 } />>options/ { on = 0 }
     BEGIN { print "#define NN_IMPLEMENTATION\n#include \"nn.h\"" }
     on && /^   [0-9]+\. / { if (code) { print "}" } code = 0; chapter = $1 + 0 }
     on && chapter == 4 { next }
     on && /^      [^ ]/ && !code && !/^      static / && !infunc { n++; code = 1; printf "void piece%d(nn_ctx *c, nn_model *m, nn_data *d, nn_scope s, nn_tensor *x, nn_tensor *y);\nvoid piece%d(nn_ctx *c, nn_model *m, nn_data *d, nn_scope s, nn_tensor *x, nn_tensor *y) { (void)c; (void)m; (void)d; (void)s; (void)x; (void)y;\n", n, n }
     on && /^      static / { infunc = 1 }
     on && (code || infunc) && /^      / { print substr($0, 7) }
     on && infunc && /^      }/ { infunc = 0 }
     on && code && /^   [A-Za-z0-9]/ { print "}"; code = 0 }
     END { if (code) print "}"; print "int main(void) { return 0; }" }' nn.h > $B/manual.c
check "the pieces of the manual compile" sh -c "$CC $small -std=c99 $strict -I. -o $B/manual $B/manual.c -lm -lpthread"
# What the manual prints of a plan's passes is what they print.
cat > $B/passes.c << 'END'
#define NN_IMPLEMENTATION
#include "nn.h"
int main(void) {
    nn_ctx         *c = nn_begin(NULL);
    nn_tensor      *x = nn_zeros(c, NN_F32, NN_SHAPE(4, 16)), *w = nn_zeros(c, NN_F32, NN_SHAPE(16, 8)), *b = nn_zeros(c, NN_F32, NN_SHAPE(8)), *y;
    nn_plan_options o = nn_plan_defaults();
    nn_plan        *p;
    o.trace = 1;
    p = nn_plan_begin(c, &o);
    x = nn_plan_input(p, "x", x); w = nn_plan_input(p, "w", w); b = nn_plan_input(p, "b", b);
    y = nn_tanh(nn_add(nn_matmul(x, w), b));
    nn_plan_end(p, &y, 1);
    nn_plan_passes(p);
    nn_end(c);
    return 0;
}
END
check "the passes example compiles" sh -c "$CC $small -std=c99 $strict -I. -o $B/passes $B/passes.c -lm -lpthread && $B/passes > $B/passes.out"
sed -n 's|^      // \(recorded: \)|\1|p; s|^      // \(  .*%[0-9].*\)|\1|p; s|^      // \([a-z ]* [0-9]* changes,.*\)|\1|p' nn.h | sed 's/^    \( *[0-9]  %\)/    \1/' > $B/passes.manual
check "the manual's passes differ from what is printed" sh -c "head -n \$(wc -l < $B/passes.manual) $B/passes.out | sed 's/^ *//' > $B/passes.a; sed 's/^ *//' $B/passes.manual > $B/passes.b; test -s $B/passes.b && diff $B/passes.a $B/passes.b"
check "all pieces of the manual were found" sh -c "test \$(grep -c '^void piece.*{' $B/manual.c) -ge 7"

printf 'structure: %d passed, %d failed' $passed $failed
[ $skipped -gt 0 ] && printf ', %d skipped' $skipped
echo
