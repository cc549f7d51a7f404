"""Images per second that the input of a training reads, decodes and crops from a folder: python scripts/input_speed.py

    python scripts/input_speed.py                                   # 512 generated JPEGs of 500x375 pixels, to 224
    python scripts/input_speed.py --folder imagenet --workers 0 8   # a folder of one's own
    python scripts/input_speed.py --hosts 4                         # what one of four hosts has to read

Needs grain: pip install "dnas[grain]".
"""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from dnas.data import _stream  # noqa: E402
from dnas.errors import run_script  # noqa: E402

CLASSES, EACH, SIDES = 8, 64, (375, 500)  # usual sides of ImageNet's images
WARM = 2  # batches before the clock starts: the workers are processes that have to begin


def main() -> int:
    options = arguments()
    with tempfile.TemporaryDirectory() as made:
        path = options.folder or generated(Path(made), options.images)
        for workers in options.workers:
            print(json.dumps(measured(path, workers, options)), flush=True)
    return 0


def measured(path: Path, workers: int, options: argparse.Namespace) -> dict:
    """Images per second of this host, by so many worker processes."""
    steps, host = WARM + options.steps, _stream.Host(0, options.hosts)
    part = _stream.folder(path).train
    source = _stream.examples(part, options.size, options.batch, steps=steps, host=host)
    read, began, spent = 0, 0.0, 0.0
    for step, (images, _) in enumerate(_stream.batches(source, workers)):
        if step == WARM:
            began, spent = time.perf_counter(), time.process_time()
        read += len(images) if step >= WARM else 0
    rate = read / (time.perf_counter() - began)
    found = {"workers": workers, "size": options.size, "batch": options.batch, "images_per_second": round(rate, 1)}
    if not workers:  # of other processes nothing is known
        found["cpu_ms_per_image"] = round(1000 * (time.process_time() - spent) / read, 2)
    return found


def generated(root: Path, images: int) -> Path:
    """A folder of JPEGs as large as those of ImageNet, about 100 KB each: noise of several scales."""
    from PIL import Image

    random = np.random.default_rng(0)
    for i in range(images):
        folder = root / f"class{i % CLASSES}"
        folder.mkdir(exist_ok=True)
        layers = [random.normal(0, 12, (SIDES[0] // s + 1, SIDES[1] // s + 1, 3)) for s in (1, 8, 64)]
        grown = [
            np.kron(x, np.ones((s, s, 1)))[: SIDES[0], : SIDES[1]] for x, s in zip(layers, (1, 8, 64), strict=True)
        ]
        pixels = np.clip(128 + sum(grown), 0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{i}.jpg", quality=90)
    return root


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, help="a folder of images by class; default: generated ones")
    parser.add_argument("--images", type=int, default=CLASSES * EACH, help="how many are generated")
    parser.add_argument("--workers", type=int, nargs="+", default=[0, 1, 2], help="processes; 0: threads of this one")
    parser.add_argument("--size", type=int, default=224, help="side of what is read")
    parser.add_argument("--batch", type=int, default=64, help="images of a batch, of all hosts")
    parser.add_argument("--steps", type=int, default=12, help="batches that are timed")
    parser.add_argument("--hosts", type=int, default=1, help="how many share a batch")
    return parser.parse_args()


if __name__ == "__main__":
    run_script(main)
