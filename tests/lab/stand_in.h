#pragma once
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include "core/scratch.h"

namespace assay::lab_tests {

// A directory of its own for a test, with a shell script in the place of the program that members run.
//
// The script answers `train ... --dry-run --json`, and otherwise writes a summary at once whose val_loss is fake.base + seed / 100. The
// option fake.mode of an arm makes it misbehave. Every start is a line of `starts`: the words it got.
class StandIn {
 public:
  StandIn() {
    write("program", script());
    std::filesystem::permissions(program(), std::filesystem::perms::owner_all);
  }

  std::string program() const { return directory_ / "program"; }
  std::string at(const std::string& name) const { return directory_ / name; }
  std::string write(const std::string& name, const std::string& text) const {
    std::ofstream(at(name), std::ios::binary) << text;
    return at(name);
  }
  std::string read(const std::string& name) const {
    std::ostringstream out;
    out << std::ifstream(at(name), std::ios::binary).rdbuf();
    return out.str();
  }
  bool exists(const std::string& name) const { return std::filesystem::exists(at(name)); }
  // Lines of `starts` that hold `word`.
  int starts(const std::string& word) const {
    std::istringstream in(read("starts"));
    int n = 0;
    for (std::string line; std::getline(in, line);) n += line.find(word) != std::string::npos;
    return n;
  }

  const std::string& path() const { return directory_.path(); }

 private:
  test::Scratch directory_;

  std::string script() const {
    return R"sh(#!/bin/sh
here=)sh" + path() +
           R"sh(
echo "$* device=${CUDA_VISIBLE_DEVICES-all}" >> "$here/starts"
env > "$here/environment"
arch= seed= out= resume= dry= mode=ok base=2 tokens=0 width= flops=12.5 lr=1 best= salt= config=null
accuracy=null task=
read_words() {
  while [ $# -gt 0 ]; do
    case "$1" in
      --arch) arch=$2; shift;; --seed) seed=$2; shift;; --out) out=$2; shift;; --resume) resume=$2; shift;;
      --dry-run) dry=1;; fake.mode=*) mode=${1#*=};; fake.base=*) base=${1#*=};; train.tokens=*) tokens=${1#*=};;
      fake.width=*) width=${1#*=};; fake.flops=*) flops=${1#*=};; fake.best=*) best=${1#*=};; train.init_salt=*) salt=${1#*=};; optim.lr=*) lr=${1#*=};;
      fake.accuracy=*) accuracy=${1#*=};; data.path=*) task=${1#*=};;
      fake.clip=*) config="{\"optim\": {\"clip\": ${1#*=}}}";;
    esac
    shift
  done
}
read_words "$@"
[ -n "$resume" ] && read_words $(cat "$resume/words")  # a run keeps what it began with
if [ "$1" = audit ]; then
  finding='{"check":"causality","pass":false,"note":"","skipped":false,"seconds":0,"findings":[{"where":"hops.0","message":"sees the future"}]}'
  case $mode in
    leaky) echo "{\"name\":\"x\",\"level\":\"quick\",\"fingerprint\":\"f\",\"pass\":false,\"seconds\":0,\"checks\":[$finding]}"; exit 1;;
    audit_crash) echo "[audit] cannot" >&2; exit 4;;
  esac
  echo '{"name":"x","level":"quick","fingerprint":"f","pass":true,"seconds":0,"checks":[]}'
  exit 0
fi
if [ -n "$dry" ]; then
  [ "$arch" = unknown ] && { echo "noise" >&2; echo "[registry] unknown architecture 'unknown'" >&2; exit 2; }
  [ "$arch" = nodevice ] && { echo "[device] no CUDA device" >&2; exit 5; }
  [ $mode = poor ] && { echo "[train] train.tokens=$tokens does not pay for one update of 4096 tokens" >&2; exit 2; }
  [ $mode = odd ] && { echo "[options] fake.mode is 'odd'; wanted another" >&2; exit 2; }
  [ $mode = even ] && [ $((width % 2)) = 1 ] && { echo "[options] fake.width is odd" >&2; exit 2; }
  scored="[0, 8]"
  [ -n "$task" ] && scored="[4, 5]" && config="{\"data\": {\"path\": \"$task\"}, \"train\": {\"seq_len\": 8}}"
  parameters=7
  [ -n "$width" ] && parameters=$((width * width * 10 + 7))
  echo "{\"product_backend\": \"onednn\", \"vocab_size\": 100, \"parameters\": $parameters, \"training_flops_per_token\": $flops,
    \"tokens_per_step\": 10, \"total_steps\": $((tokens / 10)), \"measures\": [\"val_loss\", \"train_loss\", \"accuracy\"], \"scored\": $scored, \"config\": $config}"
  exit 0
fi
mkdir -p "$out"
[ -z "$resume" ] && echo "$*" > "$out/words"
summary() {  # status exit_code error val_loss
  printf '{"status":"%s","exit_code":%s,"error":"%s","arch":"%s","name":"","fingerprint":"0","data_hash":"0","seed":%s,"steps":1,"tokens":%s,
"train_loss":null,"val_loss":%s,"val_bits_per_byte":null,"accuracy":%s,"parameters":1,"seconds":1.5,"tokens_per_s":1.0,"peak_bytes":1,"device":"cpu",
"precision":"fp32","threads":1,"product_backend":"onednn","entropy":%s}\n' "$1" "$2" "$3" "$arch" "$seed" "$tokens" "$4" "$accuracy" "$entropy" > "$out/summary.json"
}
entropy=null
[ -n "$best" ] && base=$(awk "BEGIN { d = log($lr / $best); print $base + d * d / 10 }")  # as if the learning rate mattered
[ $accuracy != null ] && accuracy=$(awk "BEGIN { print $accuracy + sin($seed * 12.9898) / 100 + ($accuracy > 0.5 ? cos($seed * 78.233) / 100 : 0) }")
case $mode in
  beats) entropy='{"symbols":100,"model_nats":100,"generator_nats":200,"threshold":13.8,"entropy":2,"refuted":true}';;
  noisy2) base=$(awk "BEGIN { print $base + sin($seed * 78.233) / 3 }");;
  plateau) base=$(awk "BEGIN { print 1 + $base + sin($seed * 37.719) / 20 }");;
  salted) summary done 0 "" "$(awk "BEGIN { print 2.5 + sin($seed * 78.233 + (\"$salt\" == \"b\" ? 40 : 0)) / 20 }")"; exit 0;;
  diverge_late) [ $seed -lt 20 ] && { summary failed 3 "[train] step 7: loss is not finite" null; exit 3; };;
  noisy) base=$(awk "BEGIN { print $base + sin($seed * 12.9898) / 3 }");;
  diverge) summary failed 3 "[train] step 7: loss is not finite" null; exit 3;;
  crash) kill -SEGV $$;;
  crash_once) [ -e "$here/crashed-$arch-$seed" ] || { touch "$here/crashed-$arch-$seed"; mkdir -p "$out/checkpoints/1"; kill -SEGV $$; };;
  mute) echo "[train] disk full" >&2; exit 4;;
  liar) exit 0;;
  unmeasured) summary done 0 "" null; exit 0;;
  self_stop) mkdir -p "$out/checkpoints/1"; summary interrupted 6 "stopped" null; exit 6;;
  slow)
    if [ -z "$resume" ]; then
      trap 'mkdir -p "$out/checkpoints/1"; summary interrupted 6 stopped null; exit 6' TERM
      touch "$here/ready"
      while :; do sleep 0.05; done
    fi;;
esac
summary done 0 "" "$(awk "BEGIN { print $base + $seed / 100 + ($base < 2 ? $seed * $seed / 1000 : 0) }")"
)sh";
  }
};

}  // namespace assay::lab_tests
