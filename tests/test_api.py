"""What is public: nothing appears or vanishes unnoticed."""

import importlib
import inspect
import re
from pathlib import Path

import pytest

import skae

NETWORK = ["hidden_layer_sizes", "activation", "linear_path"]
OWN = ["encoder", "decoder"]
TRAINING = [
    "batch_size",
    "learning_rate_init",
    "alpha",
    "optimizer",
    "max_iter",
    "early_stopping",
    "validation_fraction",
    "n_iter_no_change",
    "tol",
    "warm_start",
    "callbacks",
    "skorch_params",
    "checkpoint",
    "device",
    "verbose",
    "random_state",
]
TABLES = ["categorical_features", "min_frequency", "column_weights"]
USUAL = [*NETWORK, "whiten", *OWN, "ordered", *TABLES, *TRAINING]

ESTIMATORS = {
    "AdversarialAutoencoder": [
        "adversarial_weight", *NETWORK, *OWN, "ordered", *TABLES, *TRAINING
    ],
    "AutoencoderTransformer": [
        *NETWORK, "tied_weights", "pretraining", "whiten", *OWN, "ordered", *TABLES, *TRAINING
    ],
    "BiGANTransformer": [
        "image_shape", "hidden_layer_sizes", "channels", "activation", "gradient_penalty",
        "reconstruction_weight", "loss", "replay", "minibatch_features", "batch_size", "learning_rate_init", "optimizer", "max_iter",
        "warm_start", "callbacks", "skorch_params", "checkpoint", "device", "verbose", "random_state",
    ],
    "ConditionalVAE": ["beta", "kl_warmup", *NETWORK, "ordered", *TABLES, *TRAINING],
    "ContrastiveEncoder": [
        "noise_level", "temperature", *NETWORK, "whiten", *TABLES[:2], *TRAINING
    ],
    "ContractiveAutoencoder": ["penalty_weight", *USUAL],
    "ConvolutionalAutoencoder": [
        "image_shape", "channels", "activation", "linear_path", "whiten", "ordered", *TRAINING
    ],
    "DenoisingAutoencoder": ["noise", "noise_level", *USUAL],
    "RecurrentAutoencoder": [
        "sequence_shape", "hidden_layer_sizes", "linear_path", "whiten", "ordered", *TRAINING
    ],
    "SparseAutoencoder": ["penalty", "penalty_weight", "sparsity", *USUAL],
    "StyleBiGAN": [
        "image_shape", "channels", "activation", "growing", "style_mixing", "gradient_penalty",
        "reconstruction_weight", "loss", "replay", "minibatch_features", "batch_size",
        "learning_rate_init", "optimizer", "max_iter", "warm_start", "callbacks", "skorch_params",
        "checkpoint", "device", "verbose", "random_state",
    ],
    "SupervisedAutoencoder": ["mixing", "unlabeled", *USUAL],
    "VAETransformer": ["beta", "likelihood", "kl_warmup", "noise", *NETWORK, *OWN, "ordered", *TABLES, *TRAINING],
}  # fmt: skip
TUNING = [
    "batch_size",
    "learning_rate_init",
    "alpha",
    "max_iter",
    "validation_fraction",
    "n_iter_no_change",
    "verbose",
    "random_state",
]
SUPERVISED = {
    "AutoencoderClassifier": ["head", "fine_tune", "unlabeled", "class_weight", *TUNING],
    "AutoencoderRegressor": ["head", "fine_tune", "unlabeled", *TUNING],
}
OUTLIERS = ["autoencoder", "calibration_fraction", "contamination", "random_state"]
FUNCTIONS = {
    "save": ["estimator", "path"],
    "load": ["path", "engine"],
    "show_versions": [],
    "stream": ["source", "block", "cache", "cache_limit", "weight"],
}
SUBMODULES = {
    "skae.corruption": """Draws GaussianNoise Hiding Jitter Leading MaskingNoise Moments OwnNoise SaltAndPepperNoise
        Sparing SwapNoise Views""",
    "skae.distributed": "SchedulerLost WorkerLost fit",
    "skae.inspection": """AdversarialCurveDisplay BiplotDisplay ComponentCurveDisplay LatentSpaceDisplay LossCurveDisplay OutlierDisplay
        ReconstructionDisplay SynthesisDisplay TraversalDisplay component_report""",
    "skae.losses": """ActivationRate BernoulliLikelihood Contraction ContrastiveError Deception DrawnDivergence GaussianLikelihood
        LabelError Objective RelativeSize SquaredError""",
    "skae.metrics": "explained_share frechet_distance mode_coverage precision_recall reconstruction_score synthesis_report",
    "skae.nn": """AdversarialAutoencoder AdversarialOutputs Autoencoder ConditionalAutoencoder Confined ContrastiveNetwork Gate Linear MLP OrderedConditionalAutoencoder OrderedVariationalAutoencoder Outputs PredictingAutoencoder PredictingOutputs PrefixDecoder Projections Residual ShrunkResidual
        SlopedAutoencoder SlopedOutputs VariationalAutoencoder VariationalOutputs code_and_slopes""",
}


def test_names():
    others = ["AutoencoderOutlierDetector", "LoadError", "TableEncoder", *SUPERVISED]
    assert sorted(skae.__all__) == sorted([*ESTIMATORS, *FUNCTIONS, *others])
    assert issubclass(skae.LoadError, ValueError)


@pytest.mark.parametrize("name", ESTIMATORS)
def test_parameters(name):
    first, *others = inspect.signature(getattr(skae, name)).parameters.values()
    assert first.name == "n_components"
    assert sorted(p.name for p in others) == sorted(ESTIMATORS[name])
    assert {p.kind for p in others} == {inspect.Parameter.KEYWORD_ONLY}


def test_one_default_of_the_decay():
    signatures = [inspect.signature(getattr(skae, name)) for name in (*ESTIMATORS, *SUPERVISED)]
    defaults = [s.parameters["alpha"].default for s in signatures if "alpha" in s.parameters]
    assert len(defaults) == len(signatures) - 2  # the two GANs have none
    assert set(defaults) == {"auto"}


@pytest.mark.parametrize("name", SUPERVISED)
def test_parameters_of_the_supervised(name):
    first, *others = inspect.signature(getattr(skae, name)).parameters
    assert first == "autoencoder"
    assert sorted(others) == sorted(SUPERVISED[name])


def test_parameters_of_the_detector():
    first, *others = inspect.signature(skae.AutoencoderOutlierDetector).parameters
    assert [first, *sorted(others)] == OUTLIERS


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions(name):
    assert list(inspect.signature(getattr(skae, name)).parameters) == FUNCTIONS[name]


@pytest.mark.parametrize("name", SUBMODULES)
def test_submodules(name):
    module = importlib.import_module(name)
    public = [
        key
        for key, value in vars(module).items()
        if key[0] != "_"
        and (inspect.isclass(value) or inspect.isfunction(value))
        and value.__module__.startswith(name)
    ]
    assert sorted(public) == SUBMODULES[name].split()


def test_the_promises_name_tests_that_exist():
    tests = "".join(path.read_text() for path in Path(__file__).parent.rglob("test_*.py"))
    promises = (Path(__file__).parents[1] / "docs" / "reliability.md").read_text()
    named = set(re.findall(r"\b(test_\w+)(?!\w*\.py)\b", promises))
    named = {name for name in named if f"`{name}.py" not in promises}
    assert len(named) > 30
    assert [name for name in sorted(named) if f"def {name}(" not in tests] == []
