#!/bin/sh
# mnist.sh NAME [FOLDER] [EPOCHS]: make mnist, cnn, autoencoder, conv_viz, with FOLDER the one with MNIST's four files: unpacks them if
# they are packed. Without it autoencoder and conv_viz take the digits in examples/data, the others say what they need: status 77.
cd "$(dirname "$0")/.." || exit 1
name=$1 dir=$2 epochs=$3
plain= set=digits
if [ -n "$dir" ]; then
    plain=build/mnist-data set=$(basename "$dir")
    mkdir -p "$plain"
    for file in train-images-idx3-ubyte train-labels-idx1-ubyte t10k-images-idx3-ubyte t10k-labels-idx1-ubyte; do
        if [ -f "$dir/$file" ]; then
            cp "$dir/$file" "$plain/$file"
        elif [ -f "$dir/$file.gz" ]; then
            gzip -dc "$dir/$file.gz" > "$plain/$file" || exit 1
        else
            echo "make $name: $dir has no $file, nor $file.gz" >&2
            exit 77
        fi
    done
elif [ "$name" = mnist ] || [ "$name" = cnn ]; then
    echo "make $name: say where the data is: make $name MNIST=folder (train-images-idx3-ubyte[.gz] and its three companions)" >&2
    exit 77
fi
model=build/cnn-$set.safetensors # what cnn leaves for conv_viz
case $name in
mnist) exec build/mnist "$plain" "${epochs:-8}" 1 build/mnist.safetensors ;;
cnn)
    case $set in # clothes are harder than digits, and mirror images of clothes are clothes
    *fashion*) exec build/cnn "$plain" "${epochs:-10}" 1 "$model" 0.5 ;;
    *) exec build/cnn "$plain" "${epochs:-4}" 1 "$model" ;;
    esac ;;
autoencoder) exec build/autoencoder build/autoencoder.png 1 $plain ;;
conv_viz)
    [ -f "$model" ] || model=
    mkdir -p build/conv_viz_pictures && exec build/conv_viz build/conv_viz_pictures 1 $plain $model ;;
*) echo "mnist.sh: there is no example $name" >&2; exit 2 ;;
esac
