#!/bin/sh
# examples.sh NAME [FOLDER]: make regression, spiral, vae, gp, resnet, with FOLDER the folder of the data. Where the example needs a file
# that is not there: one line, and status 77.
# examples.sh check [FOLDER]: runs them all and sees each beat its plain baseline; closes with "examples: N passed, N failed, N skipped".
cd "$(dirname "$0")/.." || exit 1
name=$1 folder=$2

find_file() { # find_file subfolder/file: with or without the subfolder; status 77
    for file in "$folder/$1" "$folder/${1#*/}"; do [ -n "$folder" ] && [ -f "$file" ] && return 0; done
    echo "make $name: needs $1: make $name DATA=folder, with the folder that holds it" >&2
    return 77
}
run() {
    case $1 in
    regression) find_file tabular/winequality-red.csv || return; build/regression "$file" ;;
    spiral) mkdir -p build/spiral_pictures && build/spiral build/spiral_pictures ;;
    vae) build/vae examples/data/digits.csv 1 build/vae.pgm ;;
    resnet)
        find_file cifar10-subset/cifar10-train2000.bin 2> /dev/null || find_file cifar10-subset/cifar10-train2000.bin.gz || return
        case $file in *.gz) gzip -dc "$file" > build/cifar10-train2000.bin || return; file=build/cifar10-train2000.bin ;; esac
        build/resnet "${epochs:-40}" 1 "$file" ;;
    cnn) sh tests/mnist.sh cnn "${folder:+$folder/mnist}" 1 ;; # these three: in the check only, see mnist.sh
    autoencoder | conv_viz) sh tests/mnist.sh "$1" ;;
    gp) if [ -z "$folder" ]; then build/gp; else find_file timeseries/co2-mm-mlo.csv || return; build/gp "$file"; fi ;;
    *) echo "examples.sh: there is no example $1" >&2; return 2 ;;
    esac
}
[ "$name" != check ] && { run "$name"; exit; }

passed=0 failed=0 skipped=0
try() { # try NAME 'awk program that exits 0 if the figures are good'
    name=$1
    run "$name" > build/example.out 2>&1
    status=$?
    if [ $status = 77 ]; then skipped=$((skipped + 1)); echo "skipped: $name: its data is not there"
    elif [ $status = 0 ] && awk "$2" build/example.out; then passed=$((passed + 1))
    else failed=$((failed + 1)); echo "examples: $name (status $status)"; tail -n 8 build/example.out; fi
}
try regression '/^mean/ { mean = $2 } /^least squares/ { line = $3 } /^network/ { net = $2 } END { exit !(net > 0 && net < line && line < mean) }'
try spiral '/^test accuracy/ { line = $6; net = $11 } END { exit !(net > 90 && net > line + 20) }'
try vae '/^held-out/ { plain = $5; net = $13 } END { exit !(net > 0 && net < 0.8 * plain) }'
try autoencoder '/^mean squared/ { plain = $7; net = $12 } END { exit !(net > 0 && net < 0.3 * plain) }'
try conv_viz '/^accuracy/ { net = $7 } END { exit !(net > 95) }'
try cnn '/^test accuracy/ { net = $3 } END { exit !(net > 98) }'
epochs=12
try resnet '/^test accuracy/ { line = $10; net = $15 } END { exit !(net > line) }'
gp='/RMSE/ { if (n++ && (!least || rmse < least)) least = rmse; rmse = $NF } /bands hold/ { share = $6 } END { exit !(rmse > 0 && rmse < least && share >= 80) }'
try gp "$gp"                                  # the last RMSE is its own, those before are the baselines
[ -z "$folder" ] || { folder=; try gp "$gp"; } # the sine as well
echo "examples: $passed passed, $failed failed, $skipped skipped"
[ $failed = 0 ]
