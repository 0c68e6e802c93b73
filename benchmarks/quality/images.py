"""Images: PCA, the dense and the convolutional autoencoder on raw pixels.

Run by ``python -m benchmarks.quality.images``; the split is that of the
quality benchmark. Seconds are of the processor.
"""

import argparse
import time
from functools import partial

import numpy as np
from sklearn.decomposition import PCA
from sklearn.model_selection import train_test_split
from sklearn.svm import SVC

from benchmarks.data import DATA_SETS
from skae import AutoencoderTransformer, ConvolutionalAutoencoder
from skae.metrics import reconstruction_score

IMAGES = "digits", "mnist_5k"
N_COMPONENTS = 16
RIVALS = {
    "PCA": lambda k, random_state: PCA(k),
    "dense": AutoencoderTransformer,
    "convolutional": ConvolutionalAutoencoder,
    "convolutional (8, 16)": partial(ConvolutionalAutoencoder, channels=(8, 16)),
}


def figures(model, train, test, y_train, y_test):
    """Return unexplained variance, accuracy of an SVC on the code, and seconds."""
    began = time.process_time()
    model.fit(train)
    seconds = time.process_time() - began
    accuracy = SVC().fit(model.transform(train), y_train).score(model.transform(test), y_test)
    return 1 - reconstruction_score(model, test), accuracy, seconds


def main(argv=None):
    """Print the table: means over the seeds."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--data", nargs="*", default=IMAGES)
    arguments = parser.parse_args(argv)
    print("| images | model | unexplained | SVC | seconds |\n" + "|---" * 5 + "|")
    for data_set in (d for d in DATA_SETS if d.name in arguments.data):
        X, y = data_set.load()
        splits = [train_test_split(X, y, random_state=seed) for seed in range(arguments.seeds)]
        for name, make in RIVALS.items():
            models = [make(N_COMPONENTS, random_state=seed) for seed in range(len(splits))]
            runs = [figures(model, *split) for model, split in zip(models, splits, strict=True)]
            lost, accuracy, seconds = np.mean(runs, axis=0)
            print(f"| {data_set.name} | {name} | {lost:.3f} ", end="")
            print(f"| {accuracy:.3f} | {seconds:.1f} |", flush=True)


if __name__ == "__main__":
    main()
