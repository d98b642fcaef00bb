# make mnist   train LeNet-5 on MNIST and save it, on the CPU or with DEVICE=gpu      make test    every check
# make bench   cargo bench                                 make peers   compare with other engines
# make peers-gpu  the same on a GPU, with PyTorch on CUDA where there is one; make peers-gpu GPU_ARGS=--count without
# make accuracy  ResNet-18 on MNIST with and without Winograd convolutions
# make pairs     two builds of cnnrs step by step: changes smaller than a shared machine's noise
# make threads   how training shares processors: 2 threads against 1, two processes against one
# make figures   README's table and chart, of the results that make peers saved
# make test-avx2, test-scalar, test-arm64, test-asan       kernels on other instruction sets; memory errors
# make test-gpu  the GPU backend, on a driver that computes on the processor or on the machine's own GPU
# make test-report  reports and the live page in a headless Chromium, which is installed where it can be (about 400 MB)
# make test-long   property tests and random graphs with many more cases, and others each time
# make faults    kills, full disks, damaged files and the like, at length; see docs/reliability.md
# make fuzz-targets  the file readers and the graph builder on any bytes, by libFuzzer (nightly Rust)
# make additions  a sample of each kind of addition, and the files that it touches, against CONTRIBUTING's table
# make bits    what cnnrs computes, bit for bit, before and after a change: make bits BITS_ARGS='--record build/bits.json'
# make tf-compare  cnnrs.compat.tf against TensorFlow
# make keras-compare  every function, layer, loss, metric and optimizer against Keras; make edge  what single calls cost
# make keras-examples KERAS_IO=/path  Keras's own examples: names, and runs to the end on stand-in data
# make keras-files  files that are written here, read by Keras
# make fuzz    random programs against float64: make fuzz FUZZ_ARGS='--programs 20000 --seed 1'
# make instructions  instructions of the main kernels under callgrind, compared with a table
# Needs Python >= 3.10, Rust (rust-version in Cargo.toml) and the package registries, nothing else.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PEERS := benches/peers
PIP := -m pip install --quiet --disable-pip-version-check
SOURCES := $(shell find src python -type f -not -path '*/__pycache__/*' -not -name '*.so') \
	Cargo.toml Cargo.lock pyproject.toml README.md
# Python packages take the checked-in configuration, not the user's site packages.
export PYTHONNOUSERSITE := 1

.PHONY: keras-compare networks-compare edge mnist test test-rust test-gpu test-python test-long test-avx2 test-scalar test-arm64 test-asan additions names bits faults fuzz fuzz-targets instructions wheel develop bench accuracy threads pairs peers peers-gpu figures fixtures clean tf-data tf-compare keras-examples keras-files pictures test-report
.DELETE_ON_ERROR:

# The trained model lies in build/, which git ignores.
DEVICE := $(or $(CNNRS_DEVICE),cpu)

mnist: $(VENV)/.wheel
	@mkdir -p build
	$(BIN)/cnnrs train mnist --device $(DEVICE) --output build/mnist.safetensors

wheel: $(VENV)/.wheel

test: test-rust test-gpu test-python

test-rust:
	cargo fmt --check
	cargo clippy --all-targets -- -D warnings
	cargo clippy --all-targets --features python -- -D warnings
	RUSTDOCFLAGS='-D warnings' cargo doc --no-deps
	@# Fuzz targets run by a command of their own; that they still compile is seen here.
	CARGO_TARGET_DIR=target cargo check --quiet --manifest-path fuzz/Cargo.toml
	cargo test

# The GPU backend on a driver that computes on the processor (lavapipe), which is installed where it can be, or with
# GPU_ADAPTER= on the machine's own GPU. Where there is neither, this part does not run, and says so; GPU_REQUIRED=1 makes
# that an error.
GPU_ADAPTER := software
GPU_REQUIRED := 0
HAS_LAVAPIPE := ls /usr/share/vulkan/icd.d/lvp_icd* >/dev/null 2>&1

test-gpu:
	@[ "$(GPU_ADAPTER)" != software ] || $(HAS_LAVAPIPE) || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null \
		&& apt-get update -qq && apt-get install -y -qq mesa-vulkan-drivers libvulkan1; } || true
	@if [ "$(GPU_ADAPTER)" = software ] && ! $(HAS_LAVAPIPE); then \
		echo "test-gpu DID NOT RUN: install mesa-vulkan-drivers and libvulkan1, or set GPU_ADAPTER= for the machine's own GPU"; \
		[ "$(GPU_REQUIRED)" = 0 ]; \
	else \
		NODEVICE_SELECT=1 CNNRS_ADAPTER=$(GPU_ADAPTER) CNNRS_DEVICE=gpu \
			cargo test --test gpu --test gpu_kernels --test ops --test plans --test random_graphs --test lazy --test batches \
		&& NODEVICE_SELECT=1 CNNRS_ADAPTER=$(GPU_ADAPTER) CNNRS_DEVICE=gpu \
			CNNRS_GPU_BINDING_BYTES=10496 CNNRS_RANDOM_GRAPHS=20 cargo test --test random_graphs plans_agree; \
	fi

# Tests of a file run in one process, one behind the other. Most of their time is Python's, on one core.
IN_PARALLEL := -n auto --maxprocesses 4 --dist loadfile

# Type checks and tests run against the installed wheel: what is tested is what is shipped.
test-python: $(VENV)/.wheel $(VENV)/.dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/python -m mypy.stubtest cnnrs._core --mypy-config-file pyproject.toml
	$(BIN)/pytest $(IN_PARALLEL)
	@# Beside the bridge, tensors print types as TensorFlow does: its examples run in a process of their own.
	$(BIN)/pytest $(IN_PARALLEL) --doctest-modules --pyargs cnnrs --ignore-glob='*/cnnrs/compat/tf/*'
	$(BIN)/pytest --doctest-modules --pyargs cnnrs.compat.tf

# The page of a run in a browser: 400 MB that `make test` should not ask for, which reads the page with html.parser.
CHROMIUM = $(or $(shell command -v chromium || command -v chromium-browser || command -v google-chrome),/usr/bin/chromium)

test-report: $(VENV)/.wheel $(VENV)/.dev
	@[ -x "$(CHROMIUM)" ] || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null \
		&& apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core; } \
		|| { echo "test-report: no Chromium; install it, or set CHROMIUM="; exit 1; }
	$(BIN)/python $(PIP) 'playwright>=1.50'
	CHROMIUM=$(CHROMIUM) $(BIN)/pytest tests/browser

# Cases that no run before has seen; `make test` runs the same few each time.
test-long:
	seed=$$(od -An -N4 -tu4 /dev/urandom | tr -d ' '); echo "PROPTEST_RNG_SEED=$$seed"; \
		PROPTEST_CASES=2000 PROPTEST_RNG_SEED=$$seed CNNRS_RANDOM_GRAPHS=2000 cargo test

# Campaigns that look for faults at length, one after the other; `make test` runs a few cases of each.
FAULTS := kills full_disk read_only mutations containers forks signals threads surroundings

faults: $(VENV)/.wheel
	@failed=; for campaign in $(FAULTS); do \
		$(BIN)/python tests/faults/$$campaign.py || failed="$$failed $$campaign"; done; \
		[ -z "$$failed" ] || { echo "findings:$$failed"; exit 1; }

# Samples of what can be added, made in a git worktree, and the files that they touch; see tests/additions.py.
additions: $(VENV)/.wheel
	$(BIN)/python tests/additions.py $(ADDITIONS_ARGS)

# The table of Keras's names, each with works or why not: docs/keras-names.md.
names: $(VENV)/.wheel
	$(BIN)/python tests/keras_names.py --write

# Hashes of what networks and random programs compute, for changes that must not alter a bit: recorded before them,
# compared after them.
bits: $(VENV)/.wheel
	$(BIN)/python tests/bits.py $(BITS_ARGS)

# Random programs over the Python API against float64, on each instruction set of this machine; a failing one
# is shrunk and printed.
fuzz: $(VENV)/.wheel $(VENV)/.dev
	PYTHONPATH=tests $(BIN)/python -m fuzz $(FUZZ_ARGS)

# The crate's readers of files and its graph builder on any bytes, each for FUZZ_SECONDS; needs a nightly toolchain. What
# is found goes to fuzz/artifacts; inputs that reach new code to fuzz/work, beside the small corpus that is kept and the fixtures.
FUZZ_SECONDS := 3600
FUZZ_TARGETS := safetensors hdf5 images graph

fuzz-targets:
	@cargo fuzz --version >/dev/null 2>&1 || cargo install --locked cargo-fuzz
	@for target in $(FUZZ_TARGETS); do \
		mkdir -p fuzz/work/$$target fuzz/corpus/$$target; \
		CNNRS_NUM_THREADS=1 cargo +nightly fuzz run $$target fuzz/work/$$target fuzz/corpus/$$target \
			$$(ls -d tests/fixtures/$$target 2>/dev/null) -- \
			-max_total_time=$(FUZZ_SECONDS) -max_len=4096 -rss_limit_mb=3000 -timeout=20 || exit 1; done

# All Rust tests on the narrower instruction sets of this machine.
test-avx2 test-scalar: test-%:
	CNNRS_ISA=$* cargo test

# The kernels on AArch64, emulated. The emulator runs one thread reliably, so tests that start the
# pool stay out.
ARM64 := aarch64-unknown-linux-gnu
ARM64_ENV = CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc \
	CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUSTFLAGS='-C target-feature=+crt-static' \
	CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER=qemu-aarch64
KERNEL_TESTS := $(addprefix backend::cpu::,simd kernels exec::subnormals)

test-arm64: target/arm64/.tools
	$(ARM64_ENV) $$(cat $<) cargo test --target $(ARM64) --target-dir target/arm64 --no-default-features --lib -- \
		--test-threads=1 $(KERNEL_TESTS)

# The standard library for AArch64 comes from rustup, or else from Debian's packages, whose compiler
# is then the one to run: the file says so.
target/arm64/.tools:
	@mkdir -p $(@D)
	@{ command -v qemu-aarch64 && command -v aarch64-linux-gnu-gcc; } >/dev/null || { \
		[ "$$(id -u)" = 0 ] && apt-get update -qq \
		&& apt-get install -y -qq qemu-user gcc-aarch64-linux-gnu libc6-dev-arm64-cross; }
	@rustup target add $(ARM64) && : >$@ || { \
		[ "$$(id -u)" = 0 ] && dpkg --add-architecture arm64 && apt-get update -qq \
		&& apt-get install -y -qq rustc-web libstd-rust-web-dev libstd-rust-web-dev:arm64 \
		&& echo RUSTC=/usr/bin/rustc >$@; }

# All tests of the crate with out-of-bounds and use-after-free accesses trapped; needs a nightly toolchain.
test-asan:
	ASAN_OPTIONS=allocator_may_return_null=1 RUSTFLAGS=-Zsanitizer=address \
		cargo +nightly test --target x86_64-unknown-linux-gnu --target-dir target/asan --no-default-features --lib

# An editable install for development: Python changes act at once, Rust changes after `make develop`.
develop: $(VENV)/.build
	$(BIN)/maturin develop --release
	rm -f $(VENV)/.wheel

bench:
	cargo bench

# Instructions that the main kernels execute, against benches/instructions.txt: a slowdown that no clock
# needs to see. After a change that is meant: cargo bench --bench instructions -- write
instructions:
	@command -v valgrind >/dev/null || { [ "$$(id -u)" = 0 ] && apt-get update -qq && apt-get install -y -qq valgrind; }
	cargo bench --bench instructions -- check

peers: $(VENV)/.wheel $(PEERS)/.venv/.installed
	$(PEERS)/.venv/bin/python $(PEERS)/run.py --cnnrs-python $(BIN)/python $(PEERS_ARGS)

# On a machine with a GPU, by an interpreter that has numpy, and PyTorch if there is to be a peer. A machine without
# Rust takes a wheel that was made elsewhere: python benches/peers/gpu.py --wheel DIR.
GPU_PYTHON := $(BIN)/python

peers-gpu: $(VENV)/.wheel
	$(GPU_PYTHON) $(PEERS)/gpu.py --wheel dist --out build/peers-gpu $(GPU_ARGS)

# README's table and docs/peers.svg, of what make peers PEERS_ARGS=--save left in benches/results.
figures: $(PEERS)/.venv/.installed
	$(PEERS)/.venv/bin/python $(PEERS)/figure.py

# ResNet-18 on MNIST under set_precision("fast") and ("strict"), several seeds.
accuracy: $(VENV)/.wheel
	$(BIN)/python benches/accuracy.py $(ACCURACY_ARGS)

# Two builds, each a directory with the package; see benches/pairs.py.
pairs: $(VENV)/.wheel
	$(BIN)/python benches/pairs.py $(PAIRS_ARGS)

# ResNet-18 training with 1 and 2 threads, and two processes at once.
threads: $(VENV)/.wheel
	$(BIN)/python benches/threads.py $(THREADS_ARGS)

# What tests compare with, computed by Keras itself: figures, and the table of promotion.
fixtures: $(PEERS)/.venv/.installed
	$(PEERS)/.venv/bin/python tests/fixtures/make_keras_fixtures.py
	$(PEERS)/.venv/bin/python tests/fixtures/make_keras_images.py
	$(PEERS)/.venv/bin/python tests/fixtures/make_keras_promotion.py
	$(PEERS)/.venv/bin/python tests/fixtures/make_keras_precision.py
	$(PEERS)/.venv/bin/python tests/fixtures/make_keras_rules.py
	$(PEERS)/.venv/bin/python tests/fixtures/make_keras_sequences.py
	$(PEERS)/.venv/bin/python tests/fixtures/make_keras_texts.py
	$(PEERS)/.venv/bin/python tests/fixtures/make_keras_names.py
	$(PEERS)/.venv/bin/python tests/fixtures/make_hdf5_files.py
	$(PEERS)/.venv/bin/python tests/fixtures/make_keras_networks.py
	$(PEERS)/.venv/bin/python -m pip install --quiet torchvision
	$(PEERS)/.venv/bin/python tests/fixtures/make_torchvision_networks.py
	$(PEERS)/.venv/bin/python -m pip install --quiet pillow scipy
	$(PEERS)/.venv/bin/python tests/fixtures/make_keras_data.py
	$(PEERS)/.venv/bin/python tests/fixtures/make_keras_operations.py
	$(PEERS)/.venv/bin/python tests/fixtures/make_keras_files.py

# Models of each kind are written here and read by Keras, which compares weights, outputs and further training.
keras-files: $(PEERS)/.venv/.installed $(VENV)/.wheel
	PYTHONPATH=tests $(BIN)/python -m keras_files write build/keras-files
	PYTHONPATH=tests $(PEERS)/.venv/bin/python -m keras_files read build/keras-files

# Values, gradients, dtypes and shapes of both libraries on the same calls; the summary goes to docs/keras.md with
# KERAS_ARGS=--write, and KERAS_ARGS=--list prints each difference.
keras-compare: $(PEERS)/.venv/.installed $(VENV)/.wheel
	PYTHONPATH=tests $(BIN)/python -m keras_compare --keras $(PEERS)/.venv/bin/python $(KERAS_ARGS)

# Logits and features of Keras's networks with the same weights in both libraries; NETWORKS_ARGS=--write puts the table
# into docs/keras.md, and NETWORKS_ARGS='VGG16 NASNetMobile' takes these alone.
networks-compare: $(PEERS)/.venv/.installed $(VENV)/.wheel
	$(BIN)/python tests/network_numbers.py --keras $(PEERS)/.venv/bin/python $(NETWORKS_ARGS)

# The pictures of docs/toolbox, made by the programs beside them.
pictures: $(VENV)/.wheel $(VENV)/.dev
	for program in docs/toolbox/pictures/*.py; do $(BIN)/python $$program || exit 1; done

# Names of tf, one by one and in small programs: make tf-compare TF_ARGS=--write keeps what TensorFlow gives.
tf-compare: $(PEERS)/.venv/.installed $(VENV)/.wheel
	PYTHONPATH=tests $(BIN)/python -m tf_compare --tensorflow $(PEERS)/.venv/bin/python $(TF_ARGS)

# The same calls of tf.data and tf.io in cnnrs and in TensorFlow.
tf-data: $(PEERS)/.venv/.installed $(VENV)/.wheel
	$(BIN)/python tests/tf_data.py --tensorflow $(PEERS)/.venv/bin/python $(TF_ARGS)

# Keras's own example scripts, from a source tree of keras-team/keras-io: their names, and runs to the end on stand-in
# data; those that do not end here run with Keras, too. The table goes to docs/keras.md with EXAMPLES_ARGS=--write.
EXAMPLES := build/keras-examples-packages

keras-examples: $(PEERS)/.venv/.installed $(VENV)/.wheel $(VENV)/.dev $(EXAMPLES)/.installed
	@[ -n "$(KERAS_IO)" ] || { echo "name the tree of keras-team/keras-io: make keras-examples KERAS_IO=/path"; exit 1; }
	PYTHONPATH=tests $(BIN)/python -m keras_examples $(KERAS_IO) --packages $(EXAMPLES) \
		--keras $(PEERS)/.venv/bin/python $(EXAMPLES_ARGS)

$(EXAMPLES)/.installed: $(VENV)/.created tests/keras_examples/requirements.txt
	$(BIN)/python $(PIP) --target $(EXAMPLES) -r tests/keras_examples/requirements.txt
	@touch $@

# What single calls cost, beside Keras on TensorFlow.
edge: $(PEERS)/.venv/.installed $(VENV)/.wheel
	$(BIN)/python benches/edge.py --keras $(PEERS)/.venv/bin/python

$(VENV)/.created:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
		{ echo "cnnrs needs Python >= 3.10; choose one with PYTHON=..."; exit 1; }
	@command -v cargo >/dev/null || { echo "cnnrs needs Rust: no cargo on the PATH"; exit 1; }
	@# Debian and Ubuntu ship Python without ensurepip.
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		[ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null \
		&& apt-get update -qq && apt-get install -y -qq python3-venv; } || \
		{ echo "Python has no venv module; install it (python3-venv)"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python $(PIP) --upgrade 'pip>=25.1'
	@touch $@

$(VENV)/.build: $(VENV)/.created pyproject.toml
	$(BIN)/python $(PIP) --group build
	@touch $@

$(VENV)/.dev: $(VENV)/.build
	$(BIN)/python $(PIP) --group dev
	@touch $@

$(VENV)/.wheel: $(VENV)/.build $(SOURCES)
	rm -rf dist
	@echo "Compiling the Rust core and building the wheel: about three minutes on two cores the first time."
	$(BIN)/maturin build --release --locked --out dist --interpreter $(BIN)/python
	$(BIN)/python $(PIP) dist/*.whl
	$(BIN)/python $(PIP) --force-reinstall --no-deps dist/*.whl
	@touch $@

$(PEERS)/.venv/.installed: $(VENV)/.created $(PEERS)/requirements.txt
	$(PYTHON) -m venv $(PEERS)/.venv
	$(PEERS)/.venv/bin/python $(PIP) -r $(PEERS)/requirements.txt
	@touch $@

clean:
	rm -rf $(VENV) $(PEERS)/.venv dist target .pytest_cache .mypy_cache .ruff_cache
