"""All benchmarks that need no GPU, one after the other: python benchmarks/run.py [NAME ...] (docs/benchmarks.md)."""

import argparse
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
NAMES = ("evaluation", "detector", "vit", "data", "reverse", "memory", "detect", "features", "text_tower", "clips",
         "frame_encoder", "structure")  # fmt: skip


def main():
    """Run each in a process of its own, so that neither caches nor memory of one touch the next."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help=f"which ones: {', '.join(NAMES)} (all)")
    names = parser.parse_args().names or NAMES
    if unknown := sorted(set(names) - set(NAMES)):
        parser.error(f"no benchmark is called {', '.join(unknown)}; known: {', '.join(NAMES)}")
    failed = []
    for name in names:
        print(f"\n== {name}", flush=True)
        code = subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], cwd=HERE.parent, check=False).returncode
        failed += [name] if code else []
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
