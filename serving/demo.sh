#!/usr/bin/env bash
# The way of the data, one command after the other, each as a user would type it.
set -euo pipefail
python=${MRI_PYTHON:?names the interpreter}
started=$SECONDS

step() {
  printf '\n\033[1m== %s\033[0m (%d s)\n$ %s -m %s\n' "$1" $((SECONDS - started)) "$python" "${*:2}"
  "$python" -m "${@:2}"
}

step "1/6 Simulate heads and cut them into shards" \
  pipeline.shards --phantom "${DEMO_SUBJECTS:-90}" --out data/shards/demo --replace
step "2/6 Train" \
  pipeline.train --shards data/shards/demo --run runs/train/demo --epochs "${DEMO_EPOCHS:-8}" --restart
step "3/6 Evaluate on heads it never saw" \
  pipeline.evaluate --run runs/train/demo --hard-wanted 500
step "4/6 Export, gate and publish" \
  serving.export --run runs/train/demo --allow-unmeasured \
  --override "the demo: a few heads and minutes of training"
step "5/6 Simulate fresh heads as files" \
  pipeline.phantom --out data/demo/fresh --subjects 1 --seed 77
step "6/6 Serve and identify over gRPC" \
  serving.demo
printf '\nDemo done in %d s.\n' $((SECONDS - started))
