"""A few dozen photographs as PNG files in folders by class: CIFAR-10's where they are (the folder that is the first
argument), else smooth noise."""
import pathlib
import sys

import numpy
from PIL import Image

COUNT, SIDE = 48, 256


def main():
    cifar, folder = pathlib.Path(sys.argv[1]) / "data_batch_1.bin", pathlib.Path(sys.argv[2])
    generator = numpy.random.default_rng(0)
    for i in range(COUNT):
        if cifar.exists():
            record = numpy.fromfile(cifar, numpy.uint8, 3073, offset=3073 * i)
            label, pixels = record[0], record[1:].reshape(3, 32, 32).transpose(1, 2, 0)
        else:
            label, pixels = i % 10, generator.integers(0, 256, (8, 8, 3)).astype(numpy.uint8)
        path = folder / f"class{label}" / f"{i:03}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).resize((SIDE, SIDE), Image.BICUBIC).save(path)


main()
