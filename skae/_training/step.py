"""One step of training, of one net or of several side by side."""

from dataclasses import dataclass

AVERAGING = 0.98


@dataclass
class Step:
    """Gradient, optimizer and the running average of the weights, in this order.

    ``gradient(inputs, target, weight)`` returns the loss and leaves its gradient where the optimizer
    looks for it.
    """

    gradient: object
    optimizer: object
    average: object

    def __call__(self, rate, inputs, target, weight):
        """Take a step at a learning rate; return the loss before it."""
        return self.take(rate, self.share(), inputs, target, weight)

    def share(self):
        """Return the share of the weights after the next step in their average."""
        return 0.0 if self.average is None else self.average.next_share()

    def take(self, rate, share, inputs, target, weight):
        """Do the same with rate and share as numbers or tensors: no Python number changes."""
        loss = self.gradient(inputs, target, weight)
        self.optimizer.step(rate)
        if self.average is not None:
            self.average.take_in(share)
        return loss


class AverageWeights:
    """The running average of some tensors (Polyak & Juditsky, 1992, DOI 10.1137/0330046)."""

    def __init__(self, tensors, memory=AVERAGING):
        self.memory = memory
        self.tensors = [t.detach() for t in tensors]
        self.average = [t.clone() for t in self.tensors]
        self.n_steps = 0

    def update(self):
        self.take_in(self.next_share())

    def next_share(self):
        """Return the share that the values of the next step have in the average."""
        self.n_steps += 1
        return 1 - min(self.memory, (1 + self.n_steps) / (10 + self.n_steps))

    def take_in(self, share):
        """Take in the present values, with a share."""
        for average, tensor in zip(self.average, self.tensors, strict=True):
            average.lerp_(tensor, share)

    def move(self, tensors, average):
        """Go on in other tensors, which have the values of the present ones, and averages."""
        for new, old in zip(average, self.average, strict=True):
            new.copy_(old)
        self.tensors, self.average = tensors, average

    def state_dict(self):
        return {"average": self.average, "n_steps": self.n_steps}

    def load_state_dict(self, state):
        self.n_steps = state["n_steps"]
        for average, value in zip(self.average, state["average"], strict=True):
            average.copy_(value)

    def swap(self):
        """Exchange the tensors' values with their averages."""
        for average, tensor in zip(self.average, self.tensors, strict=True):
            present = tensor.clone()
            tensor.copy_(average)
            average.copy_(present)
