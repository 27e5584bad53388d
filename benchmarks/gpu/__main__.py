"""`python -m benchmarks.gpu [--tiny] [--out FILE]`: the shares of a GPU's peaks that Qwen3-VL's arithmetic reaches.

Needs one NVIDIA GPU that does nothing else, and PyTorch; no model is downloaded. It prints a line of JSON a
measurement, keeps them in a file named after the card, and ends with the entry for `service/tools/planning/gpus.py`
that lets `modstream engine plan` calculate with them. `--tiny` rehearses it on a CPU.
"""

import argparse
import json
import re
from dataclasses import asdict
from pathlib import Path

import torch

from benchmarks.gpu.shares import measurements, rehearsal, subject, summary
from service.tools.planning.gpus import Gpu, GpuNameError, find_gpu

_FOLDER = Path(__file__).parent


def main() -> None:
    """Measure, and say what to do with it."""
    options = _options()
    if not options.tiny and not torch.cuda.is_available():
        raise SystemExit("no NVIDIA GPU is seen by PyTorch; --tiny rehearses the measurement on a CPU")
    name = "cpu, rehearsal" if options.tiny else torch.cuda.get_device_name()
    of = rehearsal(find_gpu("H100")) if options.tiny else subject(_known(name))
    found = []
    lines = [json.dumps({"card": name, "torch": torch.__version__})]
    print(lines[0], flush=True)
    for each in measurements(of):
        found.append(each)
        lines.append(json.dumps(asdict(each)))
        print(lines[-1], flush=True)
    file = options.out or _FOLDER / f"{re.sub(r'[^a-z0-9]+', '-', name.lower()).strip('-')}.jsonl"
    file.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    shares = ", ".join(f"{name}={share}" for name, share in summary(found).items())
    print(f"kept in {file}; for the card's entry in service/tools/planning/gpus.py:")
    print(f'measured=MeasuredShares({shares}, source="{file.name}, {name}")')


def _known(name: str) -> Gpu:
    try:
        return find_gpu(name)
    except GpuNameError as error:
        raise SystemExit(f"{error}: add the card to service/tools/planning/gpus.py first") from None


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__)
    parser.add_argument("--tiny", action="store_true", help="rehearse on a CPU, with a tiny model")
    parser.add_argument("--out", type=Path, help="the file for the lines")
    return parser.parse_args()


if __name__ == "__main__":
    main()
