#!/usr/bin/env bash
# Everything that only a GPU machine can tell, in one go and within ten minutes: every kernel against its reference, under compute-sanitizer too;
# the recorded step; speed of ops alone and of training steps beside PyTorch eager and torch.compile; losses in both precisions.
#   benchmarks/gpu_suite.sh BUILD [DATA]
# BUILD holds bin/assay and lib/ (for instance build/cuda); DATA is what `assay train --data` takes, `grammar` by default. Python with
# PyTorch 2.11 for CUDA 13 is `python3` (or PYTHON); nothing is built or downloaded. Results go to $OUT, by default ./gpu-results:
#   summary.txt    one line a part, then the tables          log.txt      what every part printed
#   rounds.jsonl   each timing                               runs.tar.gz  the run directories, without checkpoints
# A part that fails or runs out of time is reported, and the next one starts. CASES: what to time beside the peers (compare_gpu.py), by default the
# seventeen vocabulary-space models and gpt2; COMPILE: models that are timed beside torch.compile too, such as v2_conv,v9_linattn, or all. The whole
# table takes most of the time, so that PARTS=speed runs it alone; PARTS is made of peers, parity, kernels, speed, training, sanitizers.
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
if (($# < 1 || $# > 2)) || [[ $1 == -* ]]; then
  sed -n '2,13s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
  exit 2
fi
build=$(cd "$1" 2>/dev/null && pwd) || { echo "gpu_suite: $1 is no directory" >&2 && exit 2; }
data=${2:-grammar}
assay=$build/bin/assay
python=${PYTHON:-python3}
out=${OUT:-gpu-results}
device=${DEVICE:-cuda}
budget=${BUDGET:-570} # seconds for everything
models="v8_lowrank_vv gpt2"
gpt2_124m=n_layer=12,n_embd=768,n_head=12,vocab_size=50257
vocabulary_space=$(cd "$here/peers" && printf '%s:16x1024:bf16 ' $(ls | sed -n 's/^\(v[0-9].*\)\.py$/\1/p' | sort -V))
cases=${CASES:-$vocabulary_space v8_lowrank_vv:2x256:bf16 gpt2:16x1024:bf16:$gpt2_124m gpt2:16x256:bf16:n_layer=4,n_embd=256,n_head=4}
compile=${COMPILE:-v8_lowrank_vv,gpt2}
parts=${PARTS:-peers parity kernels speed training sanitizers}
for name in $parts; do
  [[ " peers parity kernels speed training sanitizers " == *" $name "* ]] || { echo "gpu_suite: PARTS has no $name" >&2 && exit 2; }
done

[[ -x $assay ]] || { echo "gpu_suite: $assay is not there; build it with the cuda preset" >&2 && exit 2; }
torch_lib=$("$python" -c 'import os, torch; print(os.path.join(os.path.dirname(torch.__file__), "lib"))') ||
  { echo "gpu_suite: $python has no torch" >&2 && exit 2; }
export LD_LIBRARY_PATH=$torch_lib:$build/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
mkdir -p "$out"
out=$(cd "$out" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
log=$out/log.txt summary=$out/summary.txt rounds=$out/rounds.jsonl
: >"$log" >"$summary" >"$rounds"

left() { echo $((budget - SECONDS)); }
say() { printf '%s\n' "$*" | tee -a "$summary"; }

# part NAME LIMIT COMMAND...: runs it under its limit, or what is left of the whole; one line in the summary.
part() {
  local name=$1 limit=$2 begin=$SECONDS status=0 verdict
  shift 2
  (($(left) < limit)) && limit=$(left)
  if ((limit < 5)); then
    say "$(printf '%-34s %-10s' "$name" "no time")"
    return 1
  fi
  printf '\n=== %s: %s\n' "$name" "$*" >>"$log"
  timeout --kill-after=5 "$limit" "$@" >>"$log" 2>&1 || status=$?
  case $status in
    0) verdict=pass ;;
    124 | 137) verdict="over time" ;;
    *) verdict="exit $status" ;;
  esac
  say "$(printf '%-34s %-10s %4d s' "$name" "$verdict" $((SECONDS - begin)))"
  return $status
}

environment() {
  command -v nvidia-smi >/dev/null && nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader
  grep -m1 'model name' /proc/cpuinfo
  "$python" -c 'import torch; print("torch", torch.__version__, "cuda", torch.version.cuda)'
  "$assay" --version
}

# The peers compute the right function, so that a ratio compares like with like.
peers() {
  local golden=$here/../tests/golden
  part "peers against the vectors" 60 "$python" "$here/peers/check.py" "$golden"/vocab-space/*.safetensors "$golden"/extra/{v,gpt2}*.safetensors
}

parity() {
  local files
  mapfile -t files < <(find "$here/../tests/golden" -name '*.safetensors' | sort)
  part "parity on $device, ${#files[@]} files" 90 "$assay" parity --device "$device" "${files[@]}"
  # Which file failed is worth more than that one did.
  grep -a -i -E 'FAIL' "$log" | head -n 20 | tee -a "$summary"
}

# A part that needs a program of the build's tests.
tests() { # NAME LIMIT PROGRAM ARGUMENTS...
  local name=$1 limit=$2 program=$build/bin/$3
  shift 3
  if [[ -x $program ]]; then
    part "$name" "$limit" "$program" "$@"
  else
    say "$(printf '%-34s %-10s' "$name" "skipped: no $program")"
  fi
}

kernels() {
  tests "op tests on $device" 120 test_ops '--test-case=*CUDA*'
  tests "uploads on $device" 60 test_tensor '--test-case=*CUDA*'
  tests "recorded = launched, bit for bit" 120 test_train '--test-case=*CUDA*'
}

sanitizers() {
  if ! command -v compute-sanitizer >/dev/null; then
    say "$(printf '%-34s %-10s' "compute-sanitizer" "skipped: not installed")"
  elif [[ ! -x $build/bin/test_ops ]]; then
    say "$(printf '%-34s %-10s' "compute-sanitizer" "skipped: no $build/bin/test_ops")"
  else
    part "compute-sanitizer memcheck" 150 compute-sanitizer --tool memcheck --error-exitcode 9 "$build/bin/test_ops" --test-case='*CUDA*'
    # Without the cases whose products are a library's: racecheck reports hazards inside cuBLAS, and takes minutes over it.
    part "compute-sanitizer racecheck" 240 compute-sanitizer --tool racecheck --error-exitcode 9 "$build/bin/test_ops" --test-case='*CUDA*' \
      --test-case-exclude='*attention*,*behind its own product*'
  fi
}

# Three seeds of each model in both precisions: the difference that a precision makes, beside the one that a seed makes.
training() {
  local model seed precision
  for model in $models; do
    for seed in 1 2 3; do
      for precision in fp32 bf16; do
        part "train $model $precision, seed $seed" 60 "$assay" train --arch "$model" --data "$data" --device "$device" --steps 500 --seed "$seed" \
          --precision "$precision" --quiet --out "$work/runs/$model-$precision-$seed" train.val_every=500 train.keep_checkpoints=0
      done
    done
  done
  "$python" - "$work/runs" $models >>"$work/tables" <<'PYTHON'
import json, pathlib, statistics, sys
print("\nvalidation loss after 500 updates, three seeds\nmodel            fp32                        bf16                        largest difference of a pair   sd of a seed")
for model in sys.argv[2:]:
    losses = {}
    for precision in ("fp32", "bf16"):
        files = [pathlib.Path(sys.argv[1], f"{model}-{precision}-{seed}", "summary.json") for seed in (1, 2, 3)]
        losses[precision] = [json.loads(f.read_text())["val_loss"] for f in files if f.exists()]
    if min(map(len, losses.values())) < 3:
        print(f"{model:16} not all runs ended")
        continue
    texts = ["  ".join(f"{x:.4f}" for x in losses[p]) for p in losses]
    apart = max(abs(a - b) for a, b in zip(*losses.values()))
    print(f"{model:16} {texts[0]:27} {texts[1]:27} {apart:28.4f} {statistics.stdev(losses['fp32']):14.4f}")
PYTHON
  [[ -d $work/runs ]] && tar -czf "$out/runs.tar.gz" -C "$work" --exclude=checkpoints runs
}

# table TITLE PATTERN LIMIT COMMAND...: a part whose lines with the pattern are results.
table() {
  local title=$1 pattern=$2 limit=$3 from
  shift 3
  from=$(wc -l <"$log")
  part "$title" "$limit" "$@"
  { printf '\n%s\n' "$title" && tail -n "+$((from + 1))" "$log" | grep -E "$pattern"; } >>"$work/tables"
}

speed() {
  table "ops alone" ' GB/s|ms' 60 "$assay" bench --ops --device "$device"
  [[ $device == cpu ]] && return
  table "banded product by density" 'fc|bandwidth|GB/s|[0-9]%' 60 "$assay" bench --banded --device "$device" --precision bf16
  table "training steps beside the peers" 'tokens/s|rounds|Error|ours:' "$([[ $parts == speed ]] && left || echo 400)" \
    "$python" "$here/compare_gpu.py" "$assay" $cases --rounds 3 --compile "$compile" --out "$rounds"
}

environment 2>&1 | tee -a "$summary"
say ""
for name in $parts; do "$name"; done
[[ -s $work/tables ]] && cat "$work/tables" | tee -a "$summary"
say ""
say "$SECONDS s in all; $(grep -c -E ' (pass) ' "$summary") parts passed, $(grep -c -E ' (exit [0-9]+|over time|no time|[0-9]+ failed)( |$)' "$summary") did not"
# 1 tells a script that something did not pass; everything was run all the same.
! grep -q -E ' (exit [0-9]+|over time|no time|[0-9]+ failed)( |$)' "$summary"
