# Functions of the benchmark scripts; source it after setting `assay` (the program), `python` (with torch) and `here` (this folder).

# Appends one timing to $rounds: record SIDE ROUND MODEL PRECISION COMMAND...; a command that fails, or takes longer than $limit seconds,
# is named and leaves no line.
record() {
  local side=$1 round=$2 model=$3 precision=$4 document
  shift 4
  if ! document=$(timeout --kill-after=5 "${limit:-600}" "$@" 2>>"$errors"); then
    echo "failed: $*" >&2
    tail -n 3 "$errors" >&2
    return 1
  fi
  printf '%s' "$document" | "$python" -c '
import json, sys
document = json.load(sys.stdin)
side, number, model, precision = sys.argv[1:5]
fields = {"side": side, "round": int(number), "model": model, "precision": precision}
print(json.dumps(fields | {key: document.get(key) for key in ("device", "ms", "tokens_per_s", "peak_bytes", "spread")}))
' "$side" "$round" "$model" "$precision" >>"$rounds"
}

# The settings of a model, the same words for both programs; of a vocabulary-space model none: both have the published trainer's.
settings_of() {
  case $1 in
    gpt2) echo "model.n_layer=4 model.n_head=4 model.n_embd=256 model.max_seq_len=$seq_len" ;;
  esac
}

# One round: ours, then each peer: alternate ROUND MODEL PRECISION DEVICE STEPS [PEER_MODE ...]
alternate() {
  local round=$1 model=$2 precision=$3 device=$4 steps=$5 mode settings status=0
  shift 5
  read -ra settings <<<"$(settings_of "$model")"
  local shape=(--batch "$batch" --seq-len "$seq_len" --threads "$threads" --precision "$precision" --steps "$steps" --device "$device")
  record ours "$round" "$model" "$precision" \
    "$assay" bench "$model" "${shape[@]}" --json "model.vocab_size=$vocab" "${settings[@]}" || status=1
  for mode in "${@:-eager}"; do
    record "$mode" "$round" "$model" "$precision" \
      "$python" "$here/peers/speed.py" "$model" "${shape[@]}" --vocab "$vocab" --mode "$mode" "${settings[@]}" || status=1
  done
  return $status
}
