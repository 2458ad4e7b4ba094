# The front door. Each target does all the set-up it needs; `make help` lists them.
SHELL := /bin/bash
BAZEL := bazel
DATA ?=
RUN_DATA ?= ./data
ROUNDS ?= 100
MINUTES ?= 30
OPERATIONS ?= 1000000
LISTEN ?= 127.0.0.1:50051
PREFIX ?= /usr/local
SANITIZER ?=
DESTDIR ?=

.DEFAULT_GOAL := help
.PHONY: help setup setup-test build run test sanitize fuzz soak soak-load demo bench crash torture torture-proof
.PHONY: nth-fault attack fix image install uninstall docs clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup:
	@tools/setup

setup-test:
	@tools/setup test

build: setup ## the daemon, the command, the generator, into bazel-bin/, and what `make install` takes
	@$(BAZEL) build //service:daybookd //sdk/cli:daybook //sdk/plugin:protoc-gen-grpc-c //deploy/install:daybook.tar

install: ## what `make build` has built, into PREFIX (/usr/local): programs, libraries, headers, protos; DESTDIR=dir before it
	@tools/install --destdir '$(DESTDIR)' '$(PREFIX)'

uninstall: ## takes it away again
	@tools/install --uninstall --destdir '$(DESTDIR)' '$(PREFIX)'

run: build ## builds and starts daybookd on ./data, and says how to talk to it
	@tools/run $(LISTEN) $(RUN_DATA)

test: setup-test ## every test
	@tools/test

sanitize: setup-test ## all tests that can under ASan + UBSan and under TSan; most of it is a part of `make test`
	@tools/sanitize --all $(SANITIZER)

fuzz: ## libFuzzer on requests, records, filters and certificates, FUZZ_SECONDS (60) each
	@tools/setup fuzz
	@tools/fuzz

soak: setup-test ## a million random operations of the whole API against a reference (OPERATIONS=n)
	@$(BAZEL) build //tests/model:api_model_test
	@DAYBOOK_API_OPERATIONS=$(OPERATIONS) tools/soak

soak-load: build setup-test ## MINUTES (30) of mixed load: memory, descriptors, threads and the log's growth stay as they should
	@tests/support/python.sh tests/soak/soak.py $(MINUTES)

demo: setup ## the shop: a catalog sells, an inventory reacts; DATA=path takes a CSV of real sales
	@$(BAZEL) build //service:daybookd //examples/shop/...
	@examples/shop/demo.sh $(DATA)

bench: setup ## speed against gRPC echo, UmaDB and Redis, in one run; SUITE=core|model|sdk|overload|all
	@tests/bench/run.sh

crash: setup-test ## kill -9 a hundred times under load; every acknowledged event must be there
	@$(BAZEL) build //tests/torture:all //service:daybookd
	@tests/support/python.sh tests/torture/torture.py --only kill --rounds $(ROUNDS)

torture: setup-test ## kills, failing disks, power cuts, damaged files for MINUTES (30); nothing acknowledged may be lost
	@$(BAZEL) build $(if $(SANITIZER),--config=$(SANITIZER)) //tests/torture:all //service:daybookd
	@tests/support/python.sh tests/torture/torture.py --minutes $(MINUTES) $(if $(SANITIZER),--sanitizer $(SANITIZER))

torture-proof: setup-test ## breaks the daemon's promises on purpose: torture must notice each
	@$(BAZEL) build //tests/torture:all //service:daybookd
	@tests/support/python.sh tests/torture/torture.py --prove

nth-fault: setup-test ## each call on a file and each allocation of the daemon fails, once and for ever, one after the other
	@$(BAZEL) build //tests/torture:all //service:daybookd
	@tests/support/python.sh tests/torture/nth_fault.py

attack: build setup-test ## hostile clients of every kind: memory stays within its bounds, others are served, the daemon recovers
	@tests/support/python.sh tests/attack/attack.py

image: build ## the container image, with buildah
	@deploy/image/build.sh

docs: setup-test ## the reference of the C SDK, into reference/html
	@tools/docs

fix: setup-test ## formats the sources
	@git ls-files -co --exclude-standard '*.c' '*.h' | grep -v '^tests/golden/out/' | xargs clang-format -i

clean: ## removes what was built
	@$(BAZEL) clean
