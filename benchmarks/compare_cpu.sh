#!/usr/bin/env bash
# Times a training step of this program and of its PyTorch peer alternately on the CPU and prints the ratio table.
#   benchmarks/compare_cpu.sh [--rounds N] [--steps N] [--threads N] [--models "v8_lowrank_vv gpt2"] [--precisions "fp32 bf16"] [--out FILE]
# One uncounted round goes first. ASSAY names the program, PYTHON a Python with PyTorch.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$here/lib.sh"
assay=${ASSAY:-$here/../build/release/bin/assay}
python=${PYTHON:-${XDG_CACHE_HOME:-$HOME/.cache}/assay/torch-2.11.0/bin/python}
rounds_wanted=5 steps=20 threads=2 batch=4 seq_len=256 vocab=1024
models="v8_lowrank_vv gpt2" precisions="fp32 bf16" out=""

while (($#)); do
  case $1 in
    --rounds) rounds_wanted=$2 ;;
    --steps) steps=$2 ;;
    --threads) threads=$2 ;;
    --batch) batch=$2 ;;
    --seq-len) seq_len=$2 ;;
    --vocab) vocab=$2 ;;
    --models) models=$2 ;;
    --precisions) precisions=$2 ;;
    --out) out=$2 ;;
    --help | -h) sed -n '2,4s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" && exit 0 ;;
    *) echo "compare_cpu: unknown option $1 (--help lists them)" >&2 && exit 2 ;;
  esac
  [[ $# -ge 2 ]] || { echo "compare_cpu: $1 wants a value" >&2 && exit 2; }
  shift 2
done
for program in "$assay" "$python"; do
  [[ -x $program ]] || { echo "compare_cpu: $program is not there; build first, or set ASSAY and PYTHON" >&2 && exit 2; }
done

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
errors=$work/errors
load=$(cut -d' ' -f1 /proc/loadavg)
echo "batch $batch, sequence $seq_len, vocabulary $vocab, $threads threads, $steps steps a timing, load $load before the start" >&2

status=0
for round in $(seq 0 "$rounds_wanted"); do
  # Round 0 loads files and wakes the clocks; its timings are thrown away.
  rounds=$([[ $round == 0 ]] && echo "$work/warmup" || echo "${out:-$work/rounds}")
  for model in $models; do
    for precision in $precisions; do
      alternate "$round" "$model" "$precision" cpu "$steps" eager || status=1
    done
  done
  echo "round $round of $rounds_wanted done" >&2
done
"$python" "$here/ratio_table.py" "${out:-$work/rounds}"
exit $status
