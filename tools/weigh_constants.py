#!/usr/bin/env python3
"""What each constant of wse2 weighs: halved and raised by half, the change of a decode layer and of a prefill layer (docs/cost-model.md).

    tools/weigh_constants.py [CONSTANT ...]

Without arguments: all those without a measurement of their own. Runs build/waferllm from the project's folder.
"""
import json
import re
import subprocess
import sys
import tempfile

WEIGHED = """exp_cycles reciprocal_cycles exchange_step_cycles map_iteration_cycles descriptor_load_cycles descriptor_edit_cycles
background_wavelet_cycles sincos_cycles rsqrt_cycles route_change_cycles forward_f16_cycles""".split()
RUNS = {
    "decode": ["--mesh", "360x360", "--context", "4096"],
    "prefill": ["--mesh", "660x660", "--tokens", "4096"],
}


def cycles(device):
    out = {}
    for what, options in RUNS.items():
        words = ["build/waferllm", "bench", what, "-m", "models/llama3-8b.toml", "--device", device, "--json", *options]
        out[what] = json.loads(subprocess.run(words, capture_output=True, text=True, check=True).stdout)["cycles"]
    return out


def main():
    with open("devices/wse2.toml") as f:
        device = f.read()
    before = cycles("wse2")
    print(f"{'of ' + str(before):<60}")
    for name in sys.argv[1:] or WEIGHED:
        line = re.search(rf"^{name} = {{ value = ([0-9.e]+)", device, re.M)
        if line is None:
            sys.exit(f"{name}: not in devices/wse2.toml")
        value, changes = float(line.group(1)), []
        for factor in (0.5, 1.5):
            new = value * factor
            if "." not in line.group(1):
                new = int(new + 0.5)
            with tempfile.NamedTemporaryFile("w", suffix=".toml") as other:
                other.write(device.replace(line.group(0), f"{name} = {{ value = {new}"))
                other.flush()
                after = cycles(other.name)
            changes.append(", ".join(f"{what} {100 * (after[what] / before[what] - 1):+.2f} %" for what in RUNS))
        print(f"{name:<28} {value:>6g}   halved: {changes[0]:<36} raised: {changes[1]}", flush=True)


if __name__ == "__main__":
    main()
