#!/usr/bin/python3
"""Training simple-cnn: Octavo beside PyTorch, in turns in one run. (Inference: scripts/bench-peers.)

  bench/compare_training.py --octavo build/release/apps/octavo/octavo [--data FOLDER]

Needs Debian's python3-torch. Each round times one after the other, so a machine that changes speed changes both; the
ratio of the medians is what to quote.
"""
import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time

try:
    import torch
    from torch import nn
except ImportError as error:
    sys.exit(f"compare_training.py: {error} (apt-get install python3-torch, and run it with /usr/bin/python3)")


def simple_cnn(channels, classes):
    layers, width = [], channels
    for out in (64, 128, 256, 512):
        layers += [nn.Conv2d(width, out, 3, padding=1), nn.BatchNorm2d(out), nn.ReLU(), nn.MaxPool2d(2)]
        width = out
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, classes))


def timed(function, warmup, runs):
    for _ in range(warmup):
        function()
    samples = []
    for _ in range(runs):
        start = time.perf_counter()
        function()
        samples.append((time.perf_counter() - start) * 1e3)
    return samples


def pytorch_training_speed(steps, channels_last):
    model = simple_cnn(3, 10)
    x, y = torch.randn(128, 3, 32, 32), torch.randint(0, 10, (128,))
    if channels_last:
        model, x = model.to(memory_format=torch.channels_last), x.to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, nesterov=True, weight_decay=5e-4)

    def step():
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x), y, label_smoothing=0.1).backward()
        optimizer.step()

    return 128e3 / statistics.median(timed(step, 2, steps))


def octavo_training_speed(arguments, images):
    with tempfile.TemporaryDirectory() as out:
        command = [arguments.octavo, "train", "--model", "simple-cnn", "--epochs", "1", "--train-limit", str(images),
                   "--test-limit", "100", "--threads", str(arguments.threads), "--out", f"{out}/run"]
        if arguments.data:
            command += ["--data", arguments.data]
        try:
            finished = subprocess.run(command, check=False, capture_output=True, text=True)
        except OSError as error:
            sys.exit(f"compare_training.py: {arguments.octavo}: {error.strerror} (give the program with --octavo)")
        if finished.returncode != 0:
            said = finished.stderr.strip().splitlines() or ["no message"]
            hint = "" if arguments.data else " (give CIFAR-10's folder with --data or in OCTAVO_DATA)"
            sys.exit(f"compare_training.py: octavo train ended with {finished.returncode}: {said[-1]}{hint}")
        with open(f"{out}/run/log.jsonl", encoding="utf-8") as log:
            lines = [json.loads(line) for line in log]
    return [line["images_per_second"] for line in lines if "images_per_second" in line][-1]


def compare_training(arguments):
    peer = {True: [], False: []}
    own = []
    for _ in range(arguments.rounds):
        own.append(octavo_training_speed(arguments, 12800))
        for channels_last in peer:
            peer[channels_last].append(pytorch_training_speed(6, channels_last))
    best = max(statistics.median(values) for values in peer.values())
    mine = statistics.median(own)
    print(f"training, images/s: PyTorch fp32 {statistics.median(peer[False]):.0f} (NCHW), "
          f"{statistics.median(peer[True]):.0f} (channels last); Octavo {mine:.0f}, loader included; "
          f"Octavo/PyTorch {mine / best:.2f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--octavo", required=True, help="the program")
    parser.add_argument("--data", help="CIFAR-10 folder")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    print(f"PyTorch {torch.__version__}, {arguments.threads} threads, {arguments.rounds} rounds")
    compare_training(arguments)


if __name__ == "__main__":
    sys.exit(main())
