"""From parameters to modules: sizes, activations, encoder and decoder, and the linear model they start at."""

import math
import threading
from contextlib import contextmanager
from copy import deepcopy

import numpy as np
import torch
from torch import nn
from torch.nn.functional import pad

from skae.nn.autoencoders import Autoencoder, OrderedVariationalAutoencoder
from skae.nn.layers import ACTIVATIONS, MLP, Confined, Gate, Linear, PrefixDecoder, Residual

_global_generator = threading.RLock()


@contextmanager
def global_generator(seed, device="cpu"):
    """Seed torch's global generators for a while, for modules that know no other; restore them.

    One thread at a time: the generators are the process's.
    """
    cuda = torch.device(device).type == "cuda"
    with _global_generator, torch.random.fork_rng(devices=[device] if cuda else []):
        torch.default_generator.manual_seed(seed)
        if cuda:
            with torch.cuda.device(device):
                torch.cuda.manual_seed(seed)
        yield


@contextmanager
def repeatable(device):
    """Let convolutions on a GPU give the same bits every time, in the float32 that they are asked for."""
    if torch.device(device).type != "cuda":
        yield
        return
    cudnn = torch.backends.cudnn
    before = cudnn.deterministic, cudnn.allow_tf32
    cudnn.deterministic, cudnn.allow_tf32 = True, False
    try:
        yield
    finally:
        cudnn.deterministic, cudnn.allow_tf32 = before


def global_generators(device):
    """Return torch's global generators, as far as a device uses them."""
    device = torch.device(device)
    if device.type != "cuda":
        return [torch.default_generator]
    return [torch.default_generator, torch.cuda.default_generators[device.index or 0]]


def draws_from_global(activation, custom):
    """Return whether the modules may draw from torch's global generators."""
    built_in = isinstance(activation, str) or activation in ACTIVATIONS.values()
    return not built_in or any(make is not None for make in custom)


def activation_class(activation):
    """Return what makes an activation module, given its name or that itself."""
    activation = ACTIVATIONS[activation] if isinstance(activation, str) else activation
    if isinstance(activation, nn.Module) or not isinstance(activation(), nn.Module):
        raise ValueError(
            f"activation={activation!r} makes no torch.nn.Module: pass a name or a class such as "
            "torch.nn.ELU."
        )
    return activation


def new_autoencoder(
    widths,
    n_components,
    hidden,
    activation,
    generator,
    linear_path,
    custom=(None, None),
    offset=False,
    kind=Autoencoder,
    ordered=False,
    n_labels=0,
):
    """Return an autoencoder with new weights, of a ``kind``.

    ``widths`` are columns of the encoder's input and of the decoder's output, which also gets ``n_labels``
    beside the code; the decoder mirrors the ``hidden`` units. A ``generator`` of None leaves the nonlinear parts
    out; with ``linear_path`` they start at zero. ``custom`` are functions ``(n_inputs, n_outputs) -> nn.Module``
    in place of the encoder's and the decoder's MLP. ``offset`` lets the encoder's linear map add a constant.
    ``ordered`` is for codes that are cut: with hidden layers of skae's own the decoder is a `PrefixDecoder`.
    """
    activation = activation_class(activation)

    def half(n_inputs, n_outputs, hidden, custom, bias=False):
        straight = Linear(n_inputs, n_outputs, bias) if linear_path else None
        bent = None
        if generator is not None and custom is not None:
            bent = _custom(custom, n_inputs, n_outputs)
            bent = Gate(bent, n_outputs) if linear_path else bent
        elif generator is not None and (hidden or not linear_path):
            bent = MLP([n_inputs, *hidden, n_outputs], activation, generator, linear_path)
        return Residual(straight, bent)

    encoder = half(widths[0], kind.WIDTH * n_components, hidden, custom[0], offset)
    decoder = half(n_components + n_labels, widths[1], hidden[::-1], custom[1])
    if ordered and hidden and isinstance(decoder.nonlinear, MLP):
        decoder = PrefixDecoder(decoder.linear, decoder.nonlinear)
    return kind(encoder, decoder)


@torch.no_grad()
def _custom(make, n_inputs, n_outputs):
    """Make a user's module, one of our own, and try it."""
    if isinstance(make, nn.Module):
        raise ValueError(
            f"encoder and decoder are functions that make modules, since a fit trains several, but "
            f"{type(make).__name__}(...) is a module: pass, for example, lambda n_inputs, n_outputs: "
            "nn.Sequential(nn.Linear(n_inputs, 64), nn.ELU(), nn.Linear(64, n_outputs))."
        )
    made = make(n_inputs, n_outputs)
    if not isinstance(made, nn.Module):
        raise ValueError(
            f"encoder and decoder must be callables (n_inputs, n_outputs) -> torch.nn.Module, "
            f"got {make!r}: pass a class or a function, such as torch.nn.Linear."
        )
    made = deepcopy(made).float().eval()
    shape = tuple(made(torch.zeros(2, n_inputs, dtype=torch.float32)).shape)
    if shape != (2, n_outputs):
        raise ValueError(
            f"{make!r} gave a module that maps (2, {n_inputs}) to {shape}: "
            f"expected (2, {n_outputs})."
        )
    return made.train()


@torch.no_grad()
def start_at(module, baseline):
    """Set the linear maps to a `LinearModel`, in the units of standardised rows and whitened code."""
    start_encoder_at(module, baseline)
    module.decoder.linear.weight.copy_(linear_maps(baseline)[1])


@torch.no_grad()
def keep_constants(module, constant):
    """Let a decoder of skae's own perceptrons give zeros in some columns: their value, standardised."""
    perceptron = getattr(module.decoder, "nonlinear", module.decoder)
    if isinstance(perceptron, MLP):
        perceptron[-1].weight[: len(constant)][constant] = 0.0
        perceptron[-1].bias[: len(constant)][constant] = 0.0


@torch.no_grad()
def start_encoder_at(module, baseline):
    """Set the encoder's linear map to a `LinearModel`."""
    encoder, weight = linear_maps(baseline)[0], module.encoder.linear.weight
    weight.zero_()  # also where inputs say which cells are missing
    weight[:, : encoder.shape[1]].copy_(encoder)
    if module.encoder.linear.bias is not None:
        module.encoder.linear.bias.copy_(torch.from_numpy(baseline.offset / baseline.deviations))


@torch.no_grad()
def start_probabilistic(module, baseline, unit):
    """Set a variational autoencoder to a `ProbabilisticModel`; ``unit`` is what its noise is in."""
    encoder, decoder = linear_maps(baseline)
    k, linear = len(encoder), module.encoder.linear
    linear.weight.zero_()
    linear.weight[:k, : encoder.shape[1]].copy_(encoder)
    linear.bias[:k].zero_()
    linear.bias[k:].copy_(torch.from_numpy(baseline.log_variance))
    module.decoder.linear.weight.copy_(decoder)
    if not isinstance(module, OrderedVariationalAutoencoder):
        module.log_noise.fill_(math.log(baseline.noise_variance / unit))
        return
    module.log_noise.copy_(torch.from_numpy(np.log(baseline.noises / unit)))
    if _is_our_own(module):
        module.log_spread.copy_(torch.from_numpy(np.log(baseline.spread / unit)))


def _is_our_own(module):
    """Return whether neither encoder nor decoder holds a user's module."""
    return all(isinstance(_inside(half).nonlinear, MLP | None) for half in module.halves)


def divide_code(module, spread):
    """Divide the code of a variational autoencoder by ``spread``; its decoder undoes that.

    An encoder or decoder that holds a user's module is left as it is.
    """
    _rescale(module, spread, -2 * spread.log(), spread)


@torch.no_grad()
def _rescale(module, divisor, log_factor, factor):
    """Divide means, add to log-variances, and multiply what the decoder makes of the code."""
    if not _is_our_own(module):
        return
    (encoder, decoder), k = map(_inside, module.halves), len(divisor)
    outputs = [encoder.linear, encoder.nonlinear and encoder.nonlinear[-1]]
    outputs = [layer for layer in outputs if layer is not None]
    for layer in outputs:
        layer.weight[:k] /= divisor[:, None]
        layer.bias[:k] /= divisor
    outputs[0].bias[k:] += log_factor
    for layer in [decoder.linear, decoder.nonlinear and decoder.nonlinear[0]]:
        if layer is not None:
            layer.weight[:, : len(factor)] *= factor
    if isinstance(module.encoder, Confined):
        module.encoder.beyond[:k] /= divisor[:, None]
        module.decoder.beyond[:, : len(factor)] *= factor


def linear_maps(baseline):
    """Return the weights of a linear model's encoder and decoder, between standardised rows and whitened code."""
    encoder, decoder = baseline.maps
    return torch.from_numpy(encoder), torch.from_numpy(decoder.T.copy())


def confined(module):
    """Return the autoencoder with encoder and decoder `Confined`, their ranges not yet set."""
    module.encoder, module.decoder = Confined(module.encoder), Confined(module.decoder)
    return module


def released(module):
    """Return the autoencoder without `Confined`, to be trained further."""
    if isinstance(module.encoder, Confined):
        module.encoder, module.decoder = module.encoder.inside, module.decoder.inside
    return module


def take_prefix(module, wide, n_inputs, k):
    """Fill a module with that part of a wider one that makes the first ``k`` units of its code."""
    weights = wide.state_dict()
    try:
        module.load_state_dict(
            {
                name: _beginning(weights[name], part.shape, *_blocks(name, module))
                for name, part in module.state_dict().items()
            }
        )
        same = _is_prefix(module, wide, n_inputs, k)
    except (KeyError, RuntimeError):
        same = False
    if not same:
        raise ValueError(
            f"The code of these own modules cannot be cut to {k} components: only the first layer "
            "of a decoder and the last layer of an encoder may depend on their number. Make them "
            f"so, or fit with n_components={k}."
        )
    if isinstance(wide, OrderedVariationalAutoencoder):
        factor, log_factor = (values[:k] for values in wide.factors(k))
        _rescale(module, 1 / factor, log_factor, factor)


def _blocks(name, module):
    """Return how many blocks of rows a weight has, and how many last columns are of labels."""
    if name.startswith("encoder."):
        return module.WIDTH, 0
    return 1, module.n_labels if name.startswith("decoder.") else 0


def _beginning(weight, shape, n_blocks, n_last):
    """Return the first rows and columns of a tensor, and the last; of cut rows those of each block."""
    if n_last and weight.shape[-1] != shape[-1]:
        weight = torch.cat([weight[..., : shape[-1] - n_last], weight[..., -n_last:]], dim=-1)
    if weight.shape[:1] != shape[:1]:
        weight = weight.unflatten(0, (n_blocks, -1))[:, : shape[0] // n_blocks].flatten(0, 1)
    return weight[tuple(map(slice, shape))]


@torch.no_grad()
def _is_prefix(module, wide, n_inputs, k):
    """Return whether a module's code is the wider one's beginning, and is decoded like that."""
    like = next(wide.parameters())
    x = torch.linspace(-1, 1, 2 * n_inputs, dtype=like.dtype, device=like.device)
    x = x.view(2, n_inputs)
    code, wide_code = (_inside(m.encoder)(x).unflatten(1, (m.WIDTH, -1)) for m in (module, wide))
    if not torch.allclose(code, wide_code[..., :k]):
        return False
    code, wide_code = code[:, 0], wide_code[:, 0]
    mask = (torch.arange(wide_code.shape[1], device=like.device) < k).to(like.dtype).expand(2, -1)
    cut, mask = (pad(part, (0, wide.n_labels), value=1.0) for part in (wide_code * mask, mask))
    rows = _inside(module.decoder)(pad(code, (0, wide.n_labels), value=1.0))
    return torch.allclose(rows, _inside(wide.decoder)(cut, mask))


def _inside(half):
    return half.inside if isinstance(half, Confined) else half


def widen(module, before):
    """Let no range of a `Confined` module be narrower than it was before."""
    for half, earlier in zip(module.halves, before.halves, strict=True):
        if isinstance(half, Confined) and isinstance(earlier, Confined):
            torch.minimum(half.low, earlier.low, out=half.low)
            torch.maximum(half.high, earlier.high, out=half.high)
