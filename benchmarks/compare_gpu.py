"""Training steps of this program and of its PyTorch peers, alternated on one GPU: `compare_gpu.py ASSAY CASE ... [--rounds N]`.

A case is MODEL:BATCHxLENGTH:PRECISION[:KEY=VALUE,...], for instance v8_lowrank_vv:16x1024:bf16:num_hops=8. Each peer (eager, compile,
reduce-overhead) is built once and stays; in a round each side takes its turn, ours as `assay bench`. Compiling takes up to minutes a model:
--compile says for which. That both sides compute the same function, the suite checks by the conformance vectors beforehand. Prints a table and, with --out FILE, one JSON line a timing.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "peers"))
import torch  # noqa: E402

import models  # noqa: E402
import speed  # noqa: E402


class Case:
    def __init__(self, text):
        parts = text.split(":")
        if len(parts) not in (3, 4) or "x" not in parts[1]:
            raise SystemExit(f"{text!r} is no case; wanted MODEL:BATCHxLENGTH:PRECISION[:KEY=VALUE,...]")
        self.text, self.model, self.precision = text, parts[0], parts[2]
        self.batch, self.length = (int(word) for word in parts[1].split("x"))
        self.settings = parts[3].split(",") if len(parts) == 4 else []

    def vocab(self):
        return int(models.parse_settings(self.settings).get("vocab_size", 1024))


class Peer:
    """One way of running the peer; compiled and warmed up when made."""

    def __init__(self, case, mode, vocab):
        settings = [word for word in case.settings if not word.startswith("vocab_size=")]
        options = argparse.Namespace(
            model=case.model, settings=settings, batch=case.batch, seq_len=case.length, vocab=vocab, precision=case.precision, device="cuda", mode=mode, clip=0.0
        )
        torch.manual_seed(0)
        torch.cuda.reset_peak_memory_stats()
        base = torch.cuda.memory_allocated()
        begin = time.perf_counter()
        self.step = speed.make_step(options)
        speed.time_steps(self.step, 5, "cuda")
        self.build_seconds = time.perf_counter() - begin
        self.peak_bytes = torch.cuda.max_memory_allocated() - base

    def time(self, steps):
        speed.time_steps(self.step, 2, "cuda")
        return statistics.median(speed.time_steps(self.step, steps, "cuda"))


def ours(assay, case, vocab, steps):
    command = [assay, "bench", case.model, "--batch", str(case.batch), "--seq-len", str(case.length), "--precision", case.precision, "--device", "cuda"]
    command += ["--steps", str(steps), "--warmup", "10", "--json", f"model.vocab_size={vocab}"]
    command += [f"model.{word}" for word in case.settings if not word.startswith("vocab_size=")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=180)
    if done.returncode != 0:
        raise RuntimeError(done.stderr.strip()[-400:])
    return json.loads(done.stdout)


def compare(assay, case, rounds, steps, modes, write):
    vocab, peers, times, problems = case.vocab(), {}, {}, []
    for mode in modes:
        try:
            peers[mode] = Peer(case, mode, vocab)
        except Exception as error:  # a peer that does not run is a line of the table, not the end
            problems.append(f"{mode}: {type(error).__name__}: {str(error).splitlines()[0][:160]}")
    memory = {mode: peer.peak_bytes for mode, peer in peers.items()}
    for number in range(rounds):
        try:
            document = ours(assay, case, vocab, steps)
            times.setdefault("ours", []).append(document["ms"])
            memory["ours"] = document["peak_bytes"]
            write({"case": case.text, "side": "ours", "round": number, "ms": document["ms"], "phases": document["phases"], "captured": document["captured"]})
        except Exception as error:
            problems.append(f"ours: {str(error)[:300]}")
            break
        for mode, peer in peers.items():
            milliseconds = peer.time(steps)
            times.setdefault(mode, []).append(milliseconds)
            write({"case": case.text, "side": mode, "round": number, "ms": milliseconds})
    tokens = case.batch * case.length
    for side, values in times.items():
        median = statistics.median(values)
        line = f"{case.text:58} {side:16} {median:9.3f} ms {tokens / median * 1000:12,.0f} tokens/s {memory.get(side, 0) / 1e9:7.2f} GB"
        if side != "ours" and "ours" in times:
            ratios = [theirs / mine for theirs, mine in zip(values, times["ours"])]
            line += f"   ours is {statistics.median(ratios):5.2f} x ({min(ratios):.2f}-{max(ratios):.2f})"
        print(line, flush=True)
    for problem in problems:
        print(f"{case.text:58} {problem}", flush=True)
    del peers
    torch.cuda.empty_cache()
    torch._dynamo.reset()
    return bool(problems)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("assay")
    parser.add_argument("cases", nargs="+")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--modes", default="eager,reduce-overhead", help="of eager, compile, reduce-overhead")
    parser.add_argument("--compile", default="all", metavar="MODEL,...", help="models whose compiled modes run too; all, or none")
    parser.add_argument("--out")
    options = parser.parse_args()
    out = open(options.out, "a", encoding="utf-8") if options.out else None

    def write(line):
        if out:
            print(json.dumps(line), file=out, flush=True)

    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}, {options.rounds} rounds, {options.steps} steps a timing, alternated", flush=True)
    failed = False
    chosen = options.compile.split(",")
    for text in options.cases:
        case = Case(text)
        modes = [mode for mode in options.modes.split(",") if mode == "eager" or options.compile == "all" or case.model in chosen]
        failed |= compare(options.assay, case, options.rounds, options.steps, modes, write)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
