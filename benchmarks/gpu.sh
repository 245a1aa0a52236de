#!/usr/bin/env bash
# Everything that only a GPU machine can tell, in one go and within eight minutes:
#   benchmarks/gpu.sh BUILD [DATA]
# BUILD holds bin/assay and lib/ (for instance build/cuda); DATA is what `assay train --data` takes, `grammar` by default. Python with
# PyTorch 2.11 for CUDA 13 is `python3` (or PYTHON); nothing is downloaded. Results go to $OUT, by default ./gpu-results:
#   summary.txt    one line a part, then the tables          log.txt      what every part printed
#   rounds.jsonl   each timing                               runs.tar.gz  the run directories, without checkpoints
# A part that fails or runs out of time is reported, and the next one starts. COMPILE=1 also times the peers under torch.compile.
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$here/lib.sh"
if (($# < 1 || $# > 2)) || [[ $1 == -* ]]; then
  sed -n '2,9s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
  exit 2
fi
build=$(cd "$1" 2>/dev/null && pwd) || { echo "gpu: $1 is no directory" >&2 && exit 2; }
data=${2:-grammar}
assay=$build/bin/assay
python=${PYTHON:-python3}
out=${OUT:-gpu-results}
device=${DEVICE:-cuda}
budget=${BUDGET:-465} # seconds for everything
batch=${BATCH:-4} seq_len=${SEQ_LEN:-256} vocab=1024 threads=2
models="v8_lowrank_vv gpt2"

[[ -x $assay ]] || { echo "gpu: $assay is not there; build it with the cuda preset" >&2 && exit 2; }
torch_lib=$("$python" -c 'import os, torch; print(os.path.join(os.path.dirname(torch.__file__), "lib"))') ||
  { echo "gpu: $python has no torch" >&2 && exit 2; }
export LD_LIBRARY_PATH=$torch_lib:$build/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
mkdir -p "$out"
out=$(cd "$out" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
log=$out/log.txt summary=$out/summary.txt rounds=$out/rounds.jsonl errors=$work/errors
: >"$log" >"$summary" >"$rounds" >"$errors"

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

parity() {
  local files
  mapfile -t files < <(find "$here/../tests/golden" -name '*.safetensors' | sort)
  part "parity on $device, ${#files[@]} files" 90 "$assay" parity --device "$device" "${files[@]}"
  # Which file failed is worth more than that one did.
  grep -a -i -E 'FAIL' "$log" | head -n 20 | tee -a "$summary"
}

# train_run MODEL DEVICE PRECISION
train_run() {
  part "train $1 $2 $3" 90 "$assay" train --arch "$1" --data "$data" --device "$2" --steps 300 --seed 1 \
    --out "$work/runs/$1-$2-$3" "train.precision=$3"
}

training() {
  local model curves run
  for model in $models; do
    train_run "$model" cpu fp32
    train_run "$model" "$device" fp32
    train_run "$model" "$device" bf16
    curves=()
    for run in cpu-fp32 "$device-fp32" "$device-bf16"; do
      [[ -s $work/runs/$model-$run/metrics.jsonl ]] && curves+=("$run=$work/runs/$model-$run/metrics.jsonl")
    done
    if ((${#curves[@]} > 1)); then
      printf '\nloss of %s\n' "$model" >>"$work/tables"
      "$python" "$here/plot_curves.py" --kind train --table-only --rows 13 "${curves[@]}" >>"$work/tables" 2>&1
    fi
  done
  [[ -d $work/runs ]] && tar -czf "$out/runs.tar.gz" -C "$work" --exclude=checkpoints runs
}

# Rounds until the time is over: three are wanted, one is something; the sanitizers keep their share of the whole.
speed() {
  local until=$((SECONDS + 170)) limit=60 round model precision modes=(eager) failures=0 begin=$SECONDS
  [[ ${COMPILE:-} == 1 ]] && modes+=(compile)
  for round in 1 2 3; do
    for model in $models; do
      for precision in fp32 bf16; do
        if ((SECONDS > until || $(left) < 130)); then
          break 3
        fi
        alternate "$round" "$model" "$precision" "$device" 50 "${modes[@]}" >>"$log" 2>&1 || failures=$((failures + 1))
      done
    done
  done
  say "$(printf '%-34s %-10s %4d s' "speed on $device, alternated" "$( ((failures)) && echo "$failures failed" || echo pass)" $((SECONDS - begin)))"
  printf '\ntime of a training step, batch %d, sequence %d, vocabulary %d\n' $batch $seq_len $vocab >>"$work/tables"
  "$python" "$here/ratio_table.py" "$rounds" >>"$work/tables" 2>&1
}

sanitizers() {
  local program=$build/bin/test_ops tool
  if [[ ! -x $program ]]; then
    say "$(printf '%-34s %-10s' "compute-sanitizer" "skipped: no $program")"
  elif ! command -v compute-sanitizer >/dev/null; then
    say "$(printf '%-34s %-10s' "compute-sanitizer" "skipped: not installed")"
  else
    part "op tests on $device" 60 "$program"
    for tool in memcheck racecheck; do
      part "compute-sanitizer $tool" 70 compute-sanitizer --tool "$tool" --error-exitcode 9 "$program" --test-case='*CUDA*'
    done
  fi
}

environment 2>&1 | tee -a "$summary"
say ""
parity
training
speed
sanitizers
[[ -s $work/tables ]] && cat "$work/tables" | tee -a "$summary"
say ""
say "$SECONDS s in all; $(grep -c -E ' (pass) ' "$summary") parts passed, $(grep -c -E ' (exit [0-9]+|over time|no time|[0-9]+ failed)( |$)' "$summary") did not"
# 1 tells a script that something did not pass; everything was run all the same.
! grep -q -E ' (exit [0-9]+|over time|no time|[0-9]+ failed)( |$)' "$summary"
