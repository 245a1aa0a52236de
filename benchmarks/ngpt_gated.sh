#!/usr/bin/env bash
# The table behind the claim of gated residuals, on a machine with GPUs: recipes/ngpt_gated.toml, 6 arms x 20 seeds x 300 updates of 155 M
# parameters, and its report.
#   benchmarks/ngpt_gated.sh BUILD [DATA]
# BUILD holds bin/assay and lib/ (for instance build/cuda); DATA is the directory of the GPT-2 shards, data/books_gpt2 by default. Python with
# PyTorch 2.11 for CUDA 13 is `python3` (or PYTHON); nothing is downloaded. WORKERS trainings share a GPU (3); BUDGET seconds (480) are for all:
# then the members that run save and stop, and the report says what is missing. The same command goes on. The campaign lies in RUN
# (runs/ngpt_gated); results go to $OUT (./ngpt-gated-results):
#   log.txt       what the campaign printed
#   summary.txt   machine, times, table        report.html, report.md   what was found
#   results.json  the same for programs        campaign.tar.gz          the campaign's directory, without checkpoints; a RUN that is
#                                              not there is taken from it
# RECIPE=file takes another recipe, for instance a small one.
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
if (($# < 1 || $# > 2)) || [[ $1 == -* ]]; then
  sed -n '2,15s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
  exit 2
fi
build=$(cd "$1" 2>/dev/null && pwd) || { echo "ngpt_gated: $1 is no directory" >&2 && exit 2; }
assay=$build/bin/assay
python=${PYTHON:-python3}
out=${OUT:-ngpt-gated-results}
budget=${BUDGET:-480}
workers=${WORKERS:-3}
recipe=${RECIPE:-recipes/ngpt_gated.toml}
run=${RUN:-runs/ngpt_gated}

[[ -x $assay ]] || { echo "ngpt_gated: $assay is not there; build it with the cuda preset" >&2 && exit 2; }
torch_lib=$("$python" -c 'import os, torch; print(os.path.join(os.path.dirname(torch.__file__), "lib"))') ||
  { echo "ngpt_gated: $python has no torch" >&2 && exit 2; }
export LD_LIBRARY_PATH=$torch_lib:$build/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
mkdir -p "$out"
out=$(cd "$out" && pwd)
data=
if (($# == 2)); then
  data=$(cd "$2" 2>/dev/null && pwd) || { echo "ngpt_gated: $2 is no directory" >&2 && exit 2; }
fi
root=$(cd "$here/.." && pwd)
[[ $recipe == /* ]] || recipe=$root/$recipe
[[ $run == /* ]] || run=$root/$run
place=$root
if [[ -n $data ]]; then # the recipe names its data by a path that every machine can have
  place=$(mktemp -d)
  trap 'rm -rf "$place"' EXIT
  mkdir "$place/data"
  ln -s "$data" "$place/data/books_gpt2"
fi
cd "$place" || exit 2
summary=$out/summary.txt
: >"$summary"
say() { printf '%s\n' "$*" | tee -a "$summary"; }

# As many as the program counts itself; one at a time on a machine without.
gpus=$("$assay" --version --json | "$python" -c 'import json, sys; print(len(json.load(sys.stdin).get("cuda") or []))') || gpus=0
jobs=$(((gpus > 0 ? gpus : 1) * workers))
"$assay" --version | tee -a "$summary"
say "$(nproc) cores, $gpus GPUs, $jobs trainings at a time"

if [[ ! -e $run/campaign.json && -e $out/campaign.tar.gz ]]; then
  mkdir -p "$run"
  tar -xzf "$out/campaign.tar.gz" -C "$run"
fi
begin=$SECONDS
timeout --signal=TERM --kill-after=60 "$((budget > 120 ? budget - 60 : budget))" \
  "$assay" campaign "$recipe" --out "$run" --jobs "$jobs" >"$out/log.txt" 2>&1
status=$?
say "campaign: exit code $status after $((SECONDS - begin)) s"
if [[ -e $run/campaign.json ]]; then
  "$assay" campaign status "$run" | tee -a "$summary"
  "$assay" report "$run" --out "$out/report.html" >>"$out/log.txt" 2>&1 || say "report.html was not written; see log.txt"
  "$assay" report "$run" --format markdown --out "$out/report.md" >>"$out/log.txt" 2>&1 || say "report.md was not written; see log.txt"
  cp "$run/results.json" "$out/" 2>/dev/null
  tar -czf "$out/campaign.tar.gz" -C "$run" --exclude=checkpoints .
fi
say "$SECONDS s in all"
exit $status
