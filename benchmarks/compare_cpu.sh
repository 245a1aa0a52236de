#!/usr/bin/env bash
# Times a training step of this program and of its PyTorch peer alternately on the CPU and prints the ratio table.
#   benchmarks/compare_cpu.sh [MODEL ...] [--modes "eager compile"] [--precisions "fp32 bf16"] [--rounds N] [--steps N] [--threads N]
#                             [--batch N] [--seq-len N] [--vocab N] [--out FILE] [--quick]
# Without a name: every model that has a peer. One uncounted round goes first, in which a compiled peer is also compiled (minutes; later rounds
# find the result in the compiler's cache). --quick: one round of few steps, beside eager alone, fp32: is everything in order, not how fast it
# is. ASSAY names the program, PYTHON a Python with PyTorch.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$here/lib.sh"
assay=${ASSAY:-$here/../build/release/bin/assay}
python=${PYTHON:-${XDG_CACHE_HOME:-$HOME/.cache}/assay/torch-2.11.0/bin/python}
first=0 rounds_wanted=5 steps=20 threads=2 batch=4 seq_len=256 vocab=1024
models="" modes="eager compile" precisions="fp32 bf16" out=""

while (($#)); do
  case $1 in
    --quick)
      first=1 rounds_wanted=1 steps=3 modes=eager precisions=fp32
      shift
      continue
      ;;
    --help | -h) sed -n '2,7s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" && exit 0 ;;
    -*) ;;
    *)
      models+=" $1"
      shift
      continue
      ;;
  esac
  case $1 in
    --rounds) rounds_wanted=$2 ;;
    --steps) steps=$2 ;;
    --threads) threads=$2 ;;
    --batch) batch=$2 ;;
    --seq-len) seq_len=$2 ;;
    --vocab) vocab=$2 ;;
    --modes) modes=$2 ;;
    --precisions) precisions=$2 ;;
    --out) out=$2 ;;
    *) echo "compare_cpu: unknown option $1 (--help lists them)" >&2 && exit 2 ;;
  esac
  [[ $# -ge 2 ]] || { echo "compare_cpu: $1 wants a value" >&2 && exit 2; }
  shift 2
done
for program in "$assay" "$python"; do
  [[ -x $program ]] || { echo "compare_cpu: $program is not there; build first, or set ASSAY and PYTHON" >&2 && exit 2; }
done
peers=$(cd "$here/peers" && "$python" -c 'import models; print(*models.MODELS)')
models=${models:-$peers}
for model in $models; do
  [[ " $peers " == *" $model "* ]] || { echo "compare_cpu: no peer named $model; there are $peers" >&2 && exit 2; }
done

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
errors=$work/errors
load=$(cut -d' ' -f1 /proc/loadavg)
echo "batch $batch, sequence $seq_len, vocabulary $vocab, $threads threads, $steps steps a timing, load $load before the start" >&2

status=0
for round in $(seq "$first" "$rounds_wanted"); do
  # Round 0 loads files and wakes the clocks; its timings are thrown away.
  rounds=$([[ $round == 0 ]] && echo "$work/warmup" || echo "${out:-$work/rounds}")
  for model in $models; do
    for precision in $precisions; do
      alternate "$round" "$model" "$precision" cpu "$steps" $modes || status=1
    done
  done
  echo "round $round of $rounds_wanted done" >&2
done
"$python" "$here/ratio_table.py" "${out:-$work/rounds}"
exit $status
