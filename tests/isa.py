"""Run the numeric part of the suite with the instructions of other x86-64 CPUs: `make test-isa`.

    python tests/isa.py [--only NAME] [PYTEST ARGUMENTS]

PyTorch, oneDNN, MKL, numpy, OpenBLAS and numba choose their code by the CPU; each reads a variable that makes it choose
as on an older one. A table at the end says how many tests passed and failed with each setting; the exit code is 1 if
any failed.
"""

import argparse
import os
import re
import subprocess
import sys
import time

import numpy as np
from places import ROOT

NUMERIC = ["ops", "models", "engine", "evaluation", "datasets", "apis", "reference", "cli", "test_golden.py"]
COUNTS = re.compile(r"(\d+) (passed|failed|errors?|skipped)")


def settings():
    """{name: environment variables}; the last two are whole machines: Haswell stands for AMD's CPUs up to Zen 3 too."""
    newer = np.show_config(mode="dicts")["SIMD Extensions"].get("found", [])  # what numpy has code for, and this CPU
    wide = [name for name in newer if "AVX512" in name or name == "X86_V4"]
    no_avx2 = {"NPY_DISABLE_CPU_FEATURES": " ".join(newer)}
    haswell = {"NPY_DISABLE_CPU_FEATURES": " ".join(wide), "OPENBLAS_CORETYPE": "Haswell"}
    return {
        "this CPU": {},
        "ATen default": {"ATEN_CPU_CAPABILITY": "default"},
        "ATen AVX2": {"ATEN_CPU_CAPABILITY": "avx2"},
        "oneDNN SSE4.1": {"ONEDNN_MAX_CPU_ISA": "SSE41"},
        "oneDNN AVX2": {"ONEDNN_MAX_CPU_ISA": "AVX2"},
        "numpy baseline": no_avx2,
        "as Haswell": haswell
        | {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2", "MKL_ENABLE_INSTRUCTIONS": "AVX2"},
        "as Nehalem": no_avx2
        | {"ATEN_CPU_CAPABILITY": "default", "ONEDNN_MAX_CPU_ISA": "SSE41", "MKL_CBWR": "COMPATIBLE"}
        | {"OPENBLAS_CORETYPE": "Nehalem", "NUMBA_CPU_NAME": "generic"},
    }


def run(variables, arguments):
    """Run pytest and pass its output on; returns ({"passed": number, ...}, names of failed tests, exit code)."""
    words = [sys.executable, "-m", "pytest", "-n", "2", "--dist", "loadfile", *arguments]
    process = subprocess.Popen(words, cwd=ROOT, env=os.environ | variables, stdout=subprocess.PIPE, text=True)
    lines = []
    for line in process.stdout:
        sys.stdout.write(line)
        lines.append(line)
    code = process.wait()
    counts = {kind.rstrip("s"): int(number) for number, kind in COUNTS.findall(lines[-1] if lines else "")}
    return counts, [line.split()[1] for line in lines if line.startswith(("FAILED ", "ERROR "))], code


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--only", action="append", choices=settings(), help="this setting alone; may be repeated")
    args, rest = parser.parse_known_args(argv)
    rest = rest or [f"tests/{folder}" for folder in NUMERIC]
    rows, failures = [], []
    for name, variables in settings().items():
        if args.only and name not in args.only:
            continue
        shown = " ".join(f'{key}="{value}"' for key, value in variables.items())
        print(f"\n== {name}: {shown}", flush=True)
        began = time.monotonic()
        counts, failed, code = run(variables, rest)
        bad = counts.get("failed", 0) + counts.get("error", 0)
        rows.append((name, counts.get("passed", 0), bad or code, f"{time.monotonic() - began:.0f} s", shown))
        failures += [(name, test) for test in failed] or ([(name, f"pytest ended with {code}")] if code else [])
    print(f"\n{'setting':<16}{'passed':>7}{'failed':>7}{'time':>8}  variables")
    for name, passed, bad, seconds, shown in rows:
        print(f"{name:<16}{passed:>7}{bad:>7}{seconds:>8}  {shown}")
    for name, test in failures:
        print(f"{name}: {test}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
