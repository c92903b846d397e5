# SPDX-License-Identifier: Apache-2.0
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# Debian's su leaves root without the folders that ip and iptables-legacy are in.
export PATH := $(PATH):/usr/sbin:/sbin

bin := .venv/bin
run := PYTHONPATH=hack $(bin)/python
python_code := rules dataplane tests hack
agent_code := $(foreach folder,rules dataplane,$(folder)/*.py $(folder)/*/*.py) dataplane/serving/static/*
shell_code := .ci/run $(wildcard hack/*.sh hack/*/*.sh)
# Tests that build network namespaces, and so need root.
root_tests := $(wildcard tests/kernel tests/lab tests/command tests/faults tests/docs/node)
page_tests := tests/page
# Tests have all they change to themselves, and many wait more than they compute.
on_all_cores := --numprocesses=auto --dist=worksteal
# Two clusters at once; more of them would want more memory and cores than they save time.
on_own_clusters := --numprocesses=2 --dist=loadgroup
parts_of_test := lint unit kernel page-test image-test tools cluster-test e2e

.PHONY: help setup demo test lint unit kernel page-test image-test tools cluster-test e2e e2e-mutants kind-e2e bench bench-parts bench-whole pictures format machine clean

help: ## show this help
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: .venv/ready ## make .venv with the dataplane command in it, and what the system must have

.venv/ready: pyproject.toml hack/setup.sh hack/constraints.txt hack/constraints-build.txt
	hack/setup.sh
	@touch $@

demo: setup ## show the agent at work on real traffic between network namespaces (root)
	@$(run) -m demo

test: machine ## set all up and pass all checks: what CI runs (root)
	@TIMEFORMAT='make test took %lR'; time for part in $(parts_of_test); do \
	  (TIMEFORMAT="make $$part took %lR"; time $(MAKE) --no-print-directory $$part); \
	done

# Without root, fail at once and say so, rather than in each test.
machine: setup
	$(run) -m lab

lint: setup ## check format, style, types, import contracts and shell scripts
	$(bin)/ruff format --check
	$(bin)/ruff check
	$(bin)/mypy $(python_code)
	$(bin)/lint-imports
	$(bin)/shellcheck $(shell_code)

unit: setup ## run the tests that need nothing: unit, property and golden
	$(bin)/pytest $(on_all_cores) $(patsubst %,--ignore=%,$(root_tests) $(page_tests))

kernel: machine ## run the tests against the kernel, in network namespaces (root)
	$(bin)/pytest $(on_all_cores) $(root_tests)

page-test: machine ## click through the status page in headless Chromium (root)
	hack/setup.sh --browser
	$(bin)/pytest $(page_tests)

image-test: setup ## build the image as the documents tell, without Docker, and run it (root)
	hack/setup.sh --image
	hack/check-image.sh

tools: setup ## build the programs of Kubernetes and MetalLB that e2e runs, once: many minutes (Go)
	hack/tools/build.sh kubernetes
	hack/tools/build.sh metallb

cluster-test: machine tools ## run the agent in a real cluster and next to kube-proxy (root)
	$(bin)/pytest -m cluster tests/cluster

e2e: machine tools ## run the scenarios on a cluster; PROXY=kube-proxy, FLAGS=--..., K=expression (root)
	$(bin)/pytest -v $(on_own_clusters) -m 'cluster and not mutants' tests/e2e \
	  --proxy=$(or $(PROXY),dataplane) --proxy-flags='$(FLAGS)' \
	  --junit-xml=build/e2e/$(or $(PROXY),dataplane).xml -k '$(K)'

e2e-mutants: machine tools ## show that scenarios catch faults of the agent; K=expression (root)
	$(bin)/pytest -v -m mutants tests/e2e/mutants --junit-xml=build/e2e/mutants.xml -k '$(K)'

kind-e2e: setup ## run the scenarios on a kind cluster of its own; K=expression (Docker, kind)
	hack/kind/e2e.sh -k '$(K)'

bench: bench-parts bench-whole ## measure speed, by parts and side by side with kube-proxy: hours (root)

bench-parts: setup ## measure the agent's parts side by side with iptables-legacy-restore (root)
	$(run) -m bench

bench-whole: machine build/agent/ready ## measure side by side with kube-proxy; FLAGS='--sizes 1000x10' (root)
	hack/tools/build.sh kubernetes
	$(run) -m bench.cluster --agent build/agent/bin/dataplane $(FLAGS)

# The agent as it is shipped: with bytecode, which an installation that can be edited may lack, and
# without the tools of the tests, one of which makes the kubernetes package load more.
build/agent/ready: .venv/ready $(wildcard $(agent_code))
	.venv/bin/python -m venv --clear build/agent
	$(bin)/pip --python build/agent install --quiet --no-compile \
	  --constraint hack/constraints.txt --build-constraint hack/constraints-build.txt .
	build/agent/bin/python -W ignore -m compileall -q --invalidation-mode unchecked-hash \
	  build/agent/lib
	@touch $@

pictures: setup ## draw the pictures of hack/docs anew, from the rules that the code builds
	$(run) -m pictures

format: setup ## format the code and fix what can be fixed safely
	$(bin)/ruff format
	$(bin)/ruff check --fix

clean: ## remove .venv and what tools left in the tree
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
