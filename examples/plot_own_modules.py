"""
May I bring my own torch network, and stop it when I like?
==========================================================

Yes. ``encoder`` and ``decoder`` are functions that make a module; they stand beside PCA's linear maps. ``callbacks`` takes those of skorch.
Here a residual network codes breast tumours, and a callback of our own watches it learn.
"""

from sklearn.datasets import load_breast_cancer
from sklearn.decomposition import PCA
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import scale
from skorch.callbacks import Callback
from torch import nn

from skae import AutoencoderTransformer
from skae.inspection import LossCurveDisplay
from skae.metrics import reconstruction_score

X = scale(load_breast_cancer().data)
X_train, X_test = train_test_split(X, random_state=0)


class Block(nn.Module):
    """A layer that adds to what it gets."""

    def __init__(self, width):
        super().__init__()
        self.layers = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width), nn.GELU())

    def forward(self, x):
        return x + self.layers(x)


def residual(n_inputs, n_outputs):
    return nn.Sequential(nn.Linear(n_inputs, 32), Block(32), Block(32), nn.Linear(32, n_outputs))


class Watch(Callback):
    """Print what skorch records, every 20th epoch."""

    def on_epoch_end(self, net, **kwargs):
        epoch = net.history[-1]
        if epoch["epoch"] % 20 == 0:
            print(f"epoch {epoch['epoch']:>3}: training loss {epoch['train_loss']:.3f}")


# %%
# A fit of few rows trains five networks, one a fold, so modules are made anew for each: hence functions. We hold rows out ourselves
# with ``X_val``, so there is one training to watch.

ae = AutoencoderTransformer(
    4, encoder=residual, decoder=residual, callbacks=[Watch()], max_iter=100, random_state=0
)
ae.fit(X_train[:340], X_val=X_train[340:])
own = reconstruction_score(ae, X_test)
usual = AutoencoderTransformer(4, random_state=0).fit(X_train)
print("own modules:", round(own, 3), " default:", round(usual.score(X_test), 3))
print("PCA:", round(reconstruction_score(PCA(4).fit(X_train), X_test), 3))

# %%
# **The answer**, beside PCA's level, which is where training starts:

display = LossCurveDisplay.from_estimator(ae)
display.ax_.set_title("Own residual network")

# %%
# **Where it loses.** The default network is hard to beat on tables, and faster: its gradients are derived by hand. Own modules cannot be
# kept by ``skae.save`` (pickle works), nor do they profit from training side by side.
