"""Networks of sequences."""

import pytest
import torch

from skae.nn.sequences import MOST_READS, Recurrence, SequenceDecoder, SequenceEncoder, draw


def test_what_is_missing_is_not_read():
    """Reads without a cell change nothing, whatever they hold."""
    encoder = SequenceEncoder((64, 3), (5, 4), 2)
    draw(encoder, torch.Generator().manual_seed(0), zero_output=False)
    rows = torch.randn(7, 192, generator=torch.Generator().manual_seed(1))
    missing = torch.zeros(7, 192)
    missing[:, 96:] = 1
    other = rows.clone()
    other[:, 96:] = 9
    with torch.no_grad():
        code, same = (encoder(torch.cat([x, missing], dim=1)) for x in (rows, other))
        whole = encoder(torch.cat([rows, 0 * missing], dim=1))
    assert torch.equal(code, same)
    assert not torch.allclose(code, whole)


@pytest.mark.parametrize("n_steps", [1, 2, 16, 17, 50, 100])
def test_decoders_write_every_step(n_steps):
    decoder = SequenceDecoder((n_steps, 3), (6, 5), 4)
    draw(decoder, torch.Generator().manual_seed(0), zero_output=False)
    rows = decoder(torch.ones(2, 4))
    assert rows.shape == (2, 3 * n_steps)
    assert (rows != 0).all()
    assert -(-n_steps // decoder.at_once) <= MOST_READS


@pytest.mark.parametrize("first", [None, torch.ones(7, 5)])
def test_read_by_read_the_states_are_the_same(first):
    """On CUDA they are taken so."""
    layer, generator = Recurrence(3, 5), torch.Generator().manual_seed(0)
    for parameter in layer.parameters():
        torch.nn.init.normal_(parameter, generator=generator)
    x = torch.randn(7, 4, 3, generator=generator)
    torch.testing.assert_close(layer.one_by_one(x, first), layer(x, first))
