#!/bin/sh
# make mnist MNIST=folder: unpacks the four files if they are packed, and trains.
dir=$1
if [ -z "$dir" ]; then
    echo "make mnist: say where the data is: make mnist MNIST=folder (train-images-idx3-ubyte[.gz] and its three companions)" >&2
    exit 2
fi
plain=build/mnist-data
mkdir -p "$plain"
for name in train-images-idx3-ubyte train-labels-idx1-ubyte t10k-images-idx3-ubyte t10k-labels-idx1-ubyte; do
    if [ -f "$dir/$name" ]; then
        cp "$dir/$name" "$plain/$name"
    elif [ -f "$dir/$name.gz" ]; then
        gzip -dc "$dir/$name.gz" > "$plain/$name" || exit 1
    else
        echo "make mnist: $dir has no $name, nor $name.gz" >&2
        exit 2
    fi
done
exec build/mnist "$plain" 8 1 build/mnist.safetensors
