"""`json_keys.py ASSAY PAGE RECIPE`: runs the commands of docs/json.md and compares the keys of what they print with the page's sections."""

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

def is_free(key, value):
    """A map whose keys are names of options."""
    return isinstance(value, dict) and key in ("config", "options")


def keys_of(value):
    if isinstance(value, dict):
        for key, inner in value.items():
            yield key
            if not is_free(key, inner):
                yield from keys_of(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from keys_of(inner)


def sections_of(page):
    parts = re.split(r"^## (.+)$", page, flags=re.M)
    return {name.strip(): set(re.findall(r"`([a-z_0-9]+)(?:\[\])?`", text)) for name, text in zip(parts[1::2], parts[2::2])}


def main():
    assay, page, recipe = (str(Path(word).resolve()) for word in sys.argv[1:4])
    sections, problems = sections_of(Path(page).read_text()), []
    with tempfile.TemporaryDirectory() as folder:
        def run(*words, allowed=(0,)):
            done = subprocess.run([assay, *words, "--json"], cwd=folder, capture_output=True, text=True, timeout=240)
            if done.returncode not in allowed:
                sys.exit(f"assay {' '.join(words)}: exit code {done.returncode}\n{done.stderr}")
            return json.loads(done.stdout)

        train = ["train", "--arch", "v8", "--data", "grammar", "--steps", "4", "--batch", "2", "--seq-len", "32", "--threads", "1", "--quiet"]
        train += ["data.corpus_tokens=4000", "data.corpus_val_tokens=1000"]
        documents = {
            "train": run(*train, "--out", "r"),
            "train --dry-run": run(*train, "--out", "dry", "--dry-run"),
            "list": run("list"),
            "show ARCHITECTURE": run("show", "v8"),
            "show COMPONENT": run("show", "rmsnorm"),
            "eval": run("eval", "r"),
            "generate": run("generate", "r", "--tokens", "4"),
            "inspect": run("inspect", "r", "--text", "the"),
            "inspect --sharpness": run("inspect", "r", "--sharpness"),
            "audit": run("audit", "v8", "--level", "quick", "--threads", "1", "--no-cache", allowed=(0, 1)),
            "plan": run("plan", recipe, "--sd", "0.05"),
            "calibrate": run("calibrate", "--campaigns", "20", allowed=(0, 1)),
            "--version": run("--version"),
        }
    summary = Path(page).with_name("run-directory.md").read_text()
    sections["train"] |= set(re.findall(r"`([a-z_0-9]+)`", summary))
    for name, document in documents.items():
        if not isinstance(document, dict):
            problems.append(f"{name}: the document is no object")
        written = sections.get(name)
        if written is None:
            problems.append(f"{name}: the page has no such section")
            continue
        for key in sorted(set(keys_of(document)) - written):
            problems.append(f"{name}: the key '{key}' is printed and not on the page")
    print("\n".join(problems) or f"{len(documents)} documents have the keys of {page}")
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
