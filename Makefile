# make          the examples, into build/
# make demo     train on the digits in examples/data
# make test     the tests, under a minute
# make check    the wide matrix: compilers, standards, sanitizers, instruction sets, fuzzing (needs gcc and clang)
# make export   train, write the network as a C file, compile that and compare the two
# make mnist MNIST=folder    train on MNIST, packed or unpacked
# make cnn MNIST=folder    the same with a convolutional network; EPOCHS=4, and for a folder named ...fashion... mirror images too
# make resnet DATA=folder  a residual network on colour pictures, from cifar10-train2000.bin, packed or not
# make autoencoder         digits squeezed through a few numbers and back, into build/autoencoder.png; MNIST=folder: those of MNIST
# make conv_viz            what a convolutional network sees, as pictures in build/conv_viz_pictures; MNIST=folder: of MNIST, as make cnn left it
# make regression DATA=folder    wine quality from tabular/winequality-red.csv, beside the mean and least squares
# make spiral   three arms learnt, with pictures of the learning in build/spiral_pictures
# make vae      a variational autoencoder on the digits in examples/data, samples in build/vae.pgm
# make gp       a Gaussian process on a noisy sine; DATA=folder: on CO2 from timeseries/co2-mm-mlo.csv
# make coverage the share of nn.h's lines that the tests run, and which they do not (needs gcc, gcov and Python)
# make bench    timings, one line a workload, beside the least possible; BENCH="--threads 1 gemm" for some of them
# make bench-peers    the same by turns with PyTorch, ONNX Runtime and OpenBLAS, into bench/RESULTS.md (needs Python and the network);
#                     GENANN=folder: also with the genann.c and genann.h in that folder
# make bench-check    fails if a row has become much slower than bench/baseline.json; make bench-baseline writes that
# make ulp      the largest errors of exp, log, tanh, erf ...; minutes
# make size     lines a section, seconds to compile, bytes of the demo
CC      ?= cc
CXX     ?= c++
CFLAGS  ?= -O2
WARN     = -Wall -Wextra -Wpedantic
LIBS     = -lm -lpthread
EXAMPLES = xor autodiff digits plan mnist custom_op threads export regression spiral vae gp cnn resnet autoencoder conv_viz
TESTS    = ops golden breadth plan errors memory core optim data fit more export draw images conv pool nets
B        = build

all: $(EXAMPLES:%=$(B)/%) $(B)/cpp

$(B)/%: examples/%.c nn.h
	@mkdir -p $(B)
	$(CC) $(CFLAGS) $(WARN) -I. -o $@ $< $(LIBS)

$(B)/cpp: examples/cpp.cpp nn.h
	@mkdir -p $(B)
	$(CXX) -std=c++11 $(CFLAGS) $(WARN) -I. -o $@ $< $(LIBS)

demo: $(B)/digits
	$(B)/digits examples/data/digits.csv 1 $(B)/digits.safetensors

export: $(B)/export
	@CC="$(CC)" $(B)/export examples/data/digits.csv $(B)

# The tests are compiled with less optimisation than users will: it halves the wait, and make check does the rest.
TEST_CFLAGS ?= -O1
$(B)/test_%: tests/test_%.c nn.h
	@mkdir -p $(B)
	$(CC) $(TEST_CFLAGS) $(WARN) -I. -o $@ $< $(LIBS)

test:
	@CC="$(CC)" CXX="$(CXX)" TEST_CFLAGS="$(TEST_CFLAGS)" sh tests/run.sh $(TESTS)

check:
	@sh tests/check.sh

mnist cnn autoencoder conv_viz: %: $(B)/%
	@sh tests/mnist.sh $@ "$(MNIST)" $(EPOCHS)

regression spiral vae gp resnet: %: $(B)/%
	@sh tests/examples.sh $@ "$(DATA)"

coverage:
	@sh tests/coverage.sh $(TESTS)

bench: $(B)/bench
	$(B)/bench $(BENCH)

bench-peers: $(B)/bench
	python3 bench/peers.py $(PEERS)

bench-check: $(B)/bench
	python3 bench/check.py $(CHECK)

bench-baseline: $(B)/bench
	python3 bench/check.py --write

$(B)/bench: bench/bench.c bench/machine.h nn.h
	@mkdir -p $(B)
	$(CC) -O2 $(WARN) -I. -o $@ $< $(LIBS) -ldl

ulp: $(B)/ulp
	$(B)/ulp

$(B)/ulp: tests/ulp.c nn.h
	@mkdir -p $(B)
	$(CC) -O2 $(WARN) -I. -o $@ $< $(LIBS)

size:
	@sh tests/size.sh

clean:
	rm -rf $(B)

.PHONY: all demo export test check mnist cnn autoencoder conv_viz regression spiral vae gp resnet coverage bench bench-peers bench-check bench-baseline ulp size clean
