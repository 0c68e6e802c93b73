"""The demo: PCA beside the autoencoder on data that scikit-learn ships. ``make demo`` runs it."""

import argparse
import time
from dataclasses import dataclass

import numpy as np
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.decomposition import PCA
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from tqdm import tqdm

from benchmarks.quality import main_job
from skae import (
    AutoencoderTransformer,
    ConditionalVAE,
    DenoisingAutoencoder,
    SupervisedAutoencoder,
    VAETransformer,
)
from skae.inspection import ComponentCurveDisplay
from skae.metrics import reconstruction_score

COMPONENTS = (2, 4, 8, 16)
MAIN_JOB = "digits", "breast_cancer", "leaf_flavia", "car_prices", "hpc_data"
PCA_COLOUR, AE_COLOUR = "#6b7280", "#d1495b"


@dataclass
class Row:
    """Figures of one reduction at one number of components."""

    unexplained: float
    accuracy: float
    seconds: float


def measure(reducer, X_train, X_test, y_train, y_test):
    """Return the held-out figures of a reducer in a pipeline with an SVC."""
    scaler = StandardScaler().fit(X_train)
    Z_train, Z_test = scaler.transform(X_train), scaler.transform(X_test)
    began = time.perf_counter()
    reducer.fit(Z_train)
    seconds = time.perf_counter() - began
    svc = SVC().fit(reducer.transform(Z_train), y_train)
    accuracy = svc.score(reducer.transform(Z_test), y_test)
    return Row(1 - reconstruction_score(reducer, Z_test), accuracy, seconds)


def compare(X, y):
    """Return, for every number of components, the rows of PCA and of the autoencoder."""
    split = train_test_split(X, y, random_state=0)
    table = {}
    for k in tqdm(COMPONENTS, desc="PCA and autoencoder", unit="size"):
        reducers = PCA(k), AutoencoderTransformer(k, random_state=0)
        table[k] = [measure(reducer, *split) for reducer in reducers]
    return table


def search(X, y):
    """Search one grid over PCA and the autoencoder, and over their size."""
    X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
    pipeline = Pipeline(
        [
            ("scale", StandardScaler()),
            ("ae", AutoencoderTransformer(random_state=0)),
            ("clf", SVC()),
        ]
    )
    grid = {
        "ae": [PCA(), AutoencoderTransformer(random_state=0)],
        "ae__n_components": [4, 8],
    }
    result = GridSearchCV(pipeline, grid, cv=3, verbose=2).fit(X_train, y_train)
    return result, result.score(X_test, y_test)


def print_main_job():
    """Print what three judges make of the code, with everything at its defaults."""
    print("\nIn one Pipeline, as they come: held-out accuracy (R2 of car_prices) of an SVM, of")
    print("5 neighbours and of a linear model behind the code; hpc_data has categories")
    print(f"{'table':>15}{'':>11}{'components':>12}{'SVM':>8}{'neighbours':>12}{'linear':>8}")
    for table in main_job.named(MAIN_JOB):
        codes = main_job.reducers(table, seed=0)
        for method in ("PCA(0.95)", "skae"):
            made = list(main_job.lines(table, 0, method, codes[method]))
            svm, neighbours, linear = (float(line[5]) for line in made)
            scores = f"{svm:>8.3f}{neighbours:>12.3f}{linear:>8.3f}"
            print(f"{table.name:>15}{method:>11}{made[0][6]:>12}{scores}")


def print_table(name, table):
    """Print the comparison of one data set."""
    print(f"\n{name}: held-out rows")
    print(f"{'':>12}{'unexplained variance':>24}{'SVC accuracy':>18}{'fit, seconds':>18}")
    print(f"{'components':>12}" + f"{'PCA':>12}{'AE':>12}" + 2 * f"{'PCA':>9}{'AE':>9}")
    for k, (pca, ae) in table.items():
        print(
            f"{k:>12}{pca.unexplained:>12.4f}{ae.unexplained:>12.4f}"
            f"{pca.accuracy:>9.3f}{ae.accuracy:>9.3f}{pca.seconds:>9.3f}{ae.seconds:>9.2f}"
        )


def draw(tables, X, y, path):
    """Draw the curves and the two 2-D codes of digits."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    plt.rcParams.update({"font.size": 10, "axes.spines.top": False, "axes.spines.right": False})
    figure, axes = plt.subplots(2, 2, figsize=(10, 8.5), layout="constrained")
    for ax, (name, table) in zip(axes[0], tables.items(), strict=True):
        _curves(ax, name, table)
    Z = StandardScaler().fit_transform(X)
    codes = {
        "PCA": PCA(2).fit_transform(Z),
        "AutoencoderTransformer": AutoencoderTransformer(2, random_state=0).fit_transform(Z),
    }
    for ax, (name, code) in zip(axes[1], codes.items(), strict=True):
        _scatter(ax, name, code, y)
    figure.savefig(path, dpi=130)
    plt.close(figure)


def _curves(ax, name, table):
    k = list(table)
    for i, (label, colour) in enumerate([("PCA", PCA_COLOUR), ("autoencoder", AE_COLOUR)]):
        share = [rows[i].unexplained for rows in table.values()]
        ax.plot(k, share, "o-", color=colour, lw=2, label=label)
    ax.legend(frameon=False)
    ax.set_xscale("log", base=2)
    ax.set_xticks(k, map(str, k))
    ax.set_ylim(0, None)
    ax.set(title=f"{name}: what is lost", xlabel="components")
    ax.set_ylabel("held-out unexplained variance")


def _scatter(ax, name, code, y):
    import matplotlib.pyplot as plt

    colours = plt.get_cmap("tab10").colors
    low, high = np.percentile(code, [0.5, 99.5], axis=0)
    margin = 0.06 * (high - low)
    for digit in range(10):
        points = code[y == digit]
        ax.scatter(*points.T, s=7, color=colours[digit], alpha=0.6, linewidths=0)
        ax.text(
            *np.median(points, axis=0), str(digit), fontsize=10, weight="bold", ha="center",
            va="center", bbox={"boxstyle": "circle,pad=0.1", "fc": "white", "ec": colours[digit]},
        )  # fmt: skip
    ax.set_xlim(low[0] - margin[0], high[0] + margin[0])
    ax.set_ylim(low[1] - margin[1], high[1] + margin[1])
    ax.set(title=f"digits in 2 components: {name}", xlabel="component 1", ylabel="component 2")


def draw_supervised(X, y, path):
    """Draw the codes of held-out digits: of PCA, and of autoencoders without and with labels."""
    import matplotlib.pyplot as plt

    train, test, y_train, y_test = train_test_split(X, y, random_state=0)
    scaler = StandardScaler().fit(train)
    train, test = scaler.transform(train), scaler.transform(test)
    figure, axes = plt.subplots(1, 3, figsize=(13, 4.6), layout="constrained")
    for ax, reducer in zip(
        axes,
        [
            PCA(2),
            AutoencoderTransformer(2, random_state=0),
            SupervisedAutoencoder(2, random_state=0),
        ],
        strict=True,
    ):
        reducer.fit(train, y_train)
        code = reducer.transform(test)
        accuracy = SVC().fit(reducer.transform(train), y_train).score(code, y_test)
        explained = reconstruction_score(reducer, test)
        _scatter(ax, type(reducer).__name__, code, y_test)
        ax.set_title(
            f"{type(reducer).__name__}\nSVC {accuracy:.2f}, explains {explained:.2f} of the pixels",
            fontsize=10,
        )
    figure.savefig(path, dpi=110)
    plt.close(figure)


def draw_denoising(X, path):
    """Draw ten held-out digits: clean, with a third of their pixels masked, and cleaned."""
    import matplotlib.pyplot as plt

    train, test = train_test_split(X, random_state=0)
    masked = np.random.default_rng(0).random(test.shape) < 1 / 3
    noisy = np.where(masked, train.mean(axis=0), test)
    model = DenoisingAutoencoder(16, noise="masking", noise_level=1 / 3, random_state=0).fit(train)
    rows = {"clean": test, "masked": noisy, "denoised": model.denoise(noisy)}
    figure, axes = plt.subplots(3, 10, figsize=(10, 3.4), layout="constrained")
    for line, (name, images) in zip(axes, rows.items(), strict=True):
        _images(line, images)
        line[0].set_ylabel(name, fontsize=11)
    figure.savefig(path, dpi=130)
    plt.close(figure)


def draw_traversal(X, path):
    """Draw what each unit of a variational code stands for, and new digits."""
    import matplotlib.pyplot as plt

    model = VAETransformer(6, random_state=0).fit(X)
    steps = np.linspace(-2.5, 2.5, 9)
    order = np.argsort(-model.kl_per_component_)
    figure = plt.figure(figsize=(10, 4.8), layout="constrained")
    left, right = figure.subfigures(1, 2, width_ratios=(9, 6))
    for line, unit in zip(left.subplots(6, 9), order, strict=True):
        codes = np.zeros((9, 6))
        codes[:, unit] = steps
        _images(line, model.inverse_transform(codes))
        nats = model.kl_per_component_[unit]
        line[0].set_ylabel(f"unit {unit}\n{nats:.1f} nats", rotation=0, ha="right", va="center")
    for ax, step in zip(left.axes[-9:], steps, strict=True):
        ax.set_xlabel(f"{step:+.1f}" if step else "0")
    left.suptitle("one unit of the code moves, the others stay at 0", fontsize=11)
    prior = np.random.default_rng(0).normal(size=(36, 6))
    _images(right.subplots(6, 6).ravel(), model.inverse_transform(prior))
    right.suptitle("new digits: codes drawn from the prior", fontsize=11)
    figure.savefig(path, dpi=130)
    plt.close(figure)


def draw_components(X, path):
    """Draw how much of held-out digits each number of components explains."""
    import matplotlib.pyplot as plt

    train, test = train_test_split(X, random_state=0)
    scaler = StandardScaler().fit(train)
    model = AutoencoderTransformer(0.9, ordered=True, random_state=0).fit(scaler.transform(train))
    figure, ax = plt.subplots(figsize=(6.5, 4.2), layout="constrained")
    ComponentCurveDisplay.from_estimator(model, scaler.transform(test), ax=ax)
    ax.set_title("digits, held-out rows: n_components=0.9")
    figure.savefig(path, dpi=130)
    plt.close(figure)


def draw_interpolation(X, y, path):
    """Draw digits that turn into one another: their pixels mixed, and on both paths between codes."""
    import matplotlib.pyplot as plt

    model = VAETransformer(8, random_state=0).fit(X)
    share = np.linspace(0, 1, 9)[:, None]
    pairs = [(0, 7), (4, 1), (3, 8)]
    figure, axes = plt.subplots(9, 9, figsize=(7.5, 8), layout="constrained")
    for (first, last), lines in zip(pairs, axes.reshape(3, 3, 9), strict=True):
        a, b = X[y == first][0], X[y == last][0]
        ways = {"pixels": (1 - share) * a + share * b}
        for kind in ("linear", "spherical"):
            ways[kind] = model.interpolate(a, b, 9, path=kind)
        for line, (name, images) in zip(lines, ways.items(), strict=True):
            _images(line, images)
            line[0].set_ylabel(name, rotation=0, ha="right", va="center", fontsize=9)
    figure.savefig(path, dpi=130)
    plt.close(figure)


def draw_conditional(X, y, path):
    """Draw the styles of some digits in all ten digits."""
    import matplotlib.pyplot as plt

    model = ConditionalVAE(8, random_state=0).fit(X, y)
    some = [np.flatnonzero(y == digit)[1] for digit in (1, 4, 7, 3, 5)]
    figure, axes = plt.subplots(len(some), 11, figsize=(7.5, 3.7), layout="constrained")
    for line, i in zip(axes, some, strict=True):
        style = model.transform(X[[i]], y[[i]]).repeat(10, axis=0)
        _images(line, [X[i], *model.inverse_transform(style, np.arange(10))])
    axes[0, 0].set_title("style of", fontsize=9)
    for digit, ax in enumerate(axes[0, 1:]):
        ax.set_title(f"as a {digit}", fontsize=9)
    figure.savefig(path, dpi=130)
    plt.close(figure)


def _images(axes, rows):
    for ax, row in zip(axes, rows, strict=False):
        ax.imshow(row.reshape(8, 8), cmap="gray_r", vmin=0, vmax=16)
        ax.set(xticks=[], yticks=[])
        ax.spines[:].set_visible(False)


def main(argv=None):
    """Run the demo."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--picture", default="demo.png", help="where the picture goes")
    parser.add_argument("--denoising", default="denoising.png", help="where the second one goes")
    parser.add_argument("--traversal", default="vae.png", help="where the third one goes")
    parser.add_argument("--components", default="components.png", help="where the fourth one goes")
    parser.add_argument("--interpolation", default="interpolation.png", help="and the fifth one")
    parser.add_argument("--conditional", default="conditional.png", help="and the sixth one")
    parser.add_argument("--supervised", default="supervised.png", help="and the seventh one")
    arguments = parser.parse_args(argv)
    X, y = load_digits(return_X_y=True)
    tables = {"digits": compare(X, y)}
    tables["breast cancer"] = compare(*load_breast_cancer(return_X_y=True))
    print("\nOne grid over PCA and AutoencoderTransformer (digits, 3 folds):")
    result, accuracy = search(X, y)
    best = result.best_params_
    print(f"best: {best['ae']} with {best['ae__n_components']} components")
    print(f"cross-validated accuracy {result.best_score_:.3f}, on held-out rows {accuracy:.3f}")
    for name, table in tables.items():
        print_table(name, table)
    print_main_job()
    draw(tables, X, y, arguments.picture)
    draw_denoising(X, arguments.denoising)
    draw_traversal(X, arguments.traversal)
    draw_components(X, arguments.components)
    draw_interpolation(X, y, arguments.interpolation)
    draw_conditional(X, y, arguments.conditional)
    draw_supervised(X, y, arguments.supervised)
    names = "picture", "denoising", "traversal", "components", "interpolation", "conditional"
    pictures = ", ".join(getattr(arguments, name) for name in names)
    print(f"\nThe pictures are in {pictures} and {arguments.supervised}.")


if __name__ == "__main__":
    main()
