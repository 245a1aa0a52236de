#!/usr/bin/env bash
# The seventeen vocabulary-space architectures under the published comparison's protocol, three seeds each:
#   benchmarks/vocab_h100.sh BUILD DATA
# BUILD holds bin/assay and lib/ (for instance build/cuda); DATA is what `assay train --data` takes, such as a folder of shards. Each run: trainer
# defaults, Adam (0.9, 0.999, 1e-8) at 0.01 falling linearly to 0 without a ramp, gradients clipped to norm 1, 300 updates of 16 x 1024 tokens read in
# order from the first shard on, bf16 products, validation on every window. A seed changes the initial values (and noise) alone.
# Runs are a queue over the GPUs of CUDA_VISIBLE_DEVICES (all where it is unset), JOBS at a time on each (1; 2 fit 80 GB). Results in $OUT, by
# default ./vocab-results: results.md and results.json, a folder of each run without its weights. Called again, it does what is missing or failed.
# Environment: ARCHS, SEEDS="1 2 3", STEPS, BATCH, SEQ_LEN, PRECISION, ORDER (sequential), DEVICE, LIMIT seconds of a run, TRAIN (more KEY=VALUE).
set -uo pipefail
if (($# != 2)) || [[ $1 == -* ]]; then
  sed -n '2,10s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
  exit 2
fi
build=$(cd "$1" 2>/dev/null && pwd) || { echo "vocab_h100: $1 is no directory" >&2 && exit 2; }
export assay=$build/bin/assay data=$2 out=${OUT:-vocab-results} DEVICE=${DEVICE:-cuda} STEPS=${STEPS:-300} BATCH=${BATCH:-16}
export SEQ_LEN=${SEQ_LEN:-1024} PRECISION=${PRECISION:-bf16} ORDER=${ORDER:-sequential} LIMIT=${LIMIT:-420} TRAIN=${TRAIN:-}
[[ -x $assay ]] || { echo "vocab_h100: $assay is not there; build it with the cuda preset" >&2 && exit 2; }
mkdir -p "$out"
python=${PYTHON:-python3}
if [[ -z ${LD_LIBRARY_PATH:-} ]] && torch=$("$python" -c 'import os, torch; print(os.path.dirname(torch.__file__))' 2>/dev/null); then
  export LD_LIBRARY_PATH=$torch/lib:$build/lib
fi
gpus=${CUDA_VISIBLE_DEVICES:-$(nvidia-smi --query-gpu=index --format=csv,noheader 2>/dev/null | paste -sd,)}
export gpus=${gpus:-0}
count=$(tr ',' '\n' <<<"$gpus" | grep -c .)
# The slow ones first, so that the queue's end is short.
archs=${ARCHS:-v16_multi_branch v4_weight_shared v6_banded_fourier v7_soft_ops v14_data_dependent v11a_mixed_ops v3_fourier_linattn v8_lowrank_vv
  v2_conv v5_fft_linattn v1_shared_attn v11b_hard_routing v15_aux_loss v12_vocab_slice v13_with_embedding v10_state_cond_op v9_linattn}

# train_one ARCH SEED: on the GPU of this slot of the queue
train_one() {
  local run=$out/$1-s$2 list begin=$SECONDS status=0 options
  grep -q '"status": "done"' "$run/summary.json" 2>/dev/null && return 0
  rm -rf "$run"
  IFS=, read -ra list <<<"$gpus"
  read -ra options <<<"$TRAIN"
  CUDA_VISIBLE_DEVICES=${list[$((SLOT % ${#list[@]}))]} timeout --kill-after=10 "$LIMIT" "$assay" train --arch "$1" --preset trainer --data "$data" \
    --seed "$2" --steps "$STEPS" --batch "$BATCH" --seq-len "$SEQ_LEN" --device "$DEVICE" --precision "$PRECISION" --threads 2 --out "$run" \
    optim.name=adam optim.lr=0.01 optim.beta1=0.9 optim.beta2=0.999 optim.eps=1e-8 optim.weight_decay=0 optim.clip=1 \
    optim.schedule=linear optim.warmup_steps=0 optim.warmdown_steps="$STEPS" optim.min_lr_ratio=0 data.order="$ORDER" "${options[@]}" \
    >"$run.log" 2>&1 || status=$?
  rm -rf "$run/checkpoints"
  printf '%s seed %s: exit %d, %d s\n' "$1" "$2" $status $((SECONDS - begin))
}
export -f train_one

for arch in $archs; do
  for seed in ${SEEDS:-1 2 3}; do echo "$arch $seed"; done
done | env -u BASH_ENV xargs -P $((count * ${JOBS:-1})) -L 1 --process-slot-var=SLOT bash -c 'train_one "$@"' train_one

"$python" - "$out" "$archs" "${SEEDS:-1 2 3}" <<'PYTHON' | tee "$out/results.md"
import json, os, statistics, sys
out, archs, seeds = sys.argv[1], sys.argv[2].split(), sys.argv[3].split()
rows = []
for arch in archs:
    runs = []
    for seed in seeds:
        path = f"{out}/{arch}-s{seed}/summary.json"
        runs.append(json.load(open(path)) if os.path.exists(path) else {"status": "no result", "seed": int(seed)})
    done = [r for r in runs if r["status"] == "done" and r["val_loss"] is not None]
    row = {"arch": arch, "parameters": next((r["parameters"] for r in done), None), "runs": runs}
    row["mean"] = statistics.fmean(r["val_loss"] for r in done) if len(done) == len(seeds) else None
    row["spread"] = max(r["val_loss"] for r in done) - min(r["val_loss"] for r in done) if done else None
    rows.append(row)
rows.sort(key=lambda r: (r["mean"] is None, r["mean"]))
json.dump(rows, open(f"{out}/results.json", "w"), indent=1)
print("| architecture | parameters | mean | " + " | ".join(f"seed {s}" for s in seeds) + " | largest - smallest | tokens/s | GB at most |")
print("|---" * (len(seeds) + 6) + "|")
for row in rows:
    number = lambda v, form: "-" if v is None else form % v
    each = [number(r.get("val_loss"), "%.4f") if r["status"] == "done" else r["status"] for r in row["runs"]]
    best = lambda key: max((r[key] for r in row["runs"] if r["status"] == "done" and r[key] is not None), default=None)
    cells = [row["arch"], number(row["parameters"], "%d"), number(row["mean"], "%.4f"), *each, number(row["spread"], "%.4f")]
    print("| " + " | ".join(cells + [number(best("tokens_per_s"), "%.0f"), number(best("peak_bytes") and best("peak_bytes") / 1e9, "%.1f")]) + " |")
sys.exit(any(row["mean"] is None for row in rows))
PYTHON
