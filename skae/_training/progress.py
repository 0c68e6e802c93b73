"""Progress of a fit: printed lines, a bar, and scikit-learn's callbacks."""


class Progress:
    """Tells whoever wants to know that an epoch is over.

    Parameters
    ----------
    estimator : estimator
        Its ``verbose`` says what is shown: 0 nothing, 1 a line an epoch, 2 a bar.
        Callbacks given to its ``set_callbacks`` are called.
    X : array-like
        The training rows, for those callbacks.
    """

    def __init__(self, estimator, X):
        self.estimator, self.X = estimator, X
        self.bar = self.context = None

    def begin(self, max_iter):
        """Announce a training of at most ``max_iter`` epochs."""
        if self.context is None and getattr(self.estimator, "_skl_callbacks", None):
            self.context = self.estimator._init_callback_context(max_subtasks=max_iter)
            self.context.call_on_fit_task_begin(estimator=self.estimator, X=self.X, y=None)
        if self.estimator.verbose >= 2 and self.bar is None:
            from tqdm import tqdm

            self.bar = tqdm(total=max_iter, unit="epoch", desc=type(self.estimator).__name__)

    def epoch(self, number, loss, score=None):
        """Show the loss of an epoch, and the held-out score where there is one."""
        if self.bar is not None:
            self.bar.set_postfix(score=f"{1 - loss if score is None else score:.4f}", refresh=False)
            self.bar.update()
        elif self.estimator.verbose:
            held_out = "" if score is None else f", validation score: {score:.6f}"
            print(f"Iteration {number}, loss = {loss:.8f}{held_out}", flush=True)
        if self.context is not None:
            task = self.context.subcontext(task_name="epoch")
            task.call_on_fit_task_begin(estimator=self.estimator, X=self.X, y=None)
            task.call_on_fit_task_end(estimator=self.estimator, X=self.X, y=None)

    def end(self):
        """Close what is open."""
        if self.bar is not None:
            self.bar.close()
        if self.context is not None:
            self.context.call_on_fit_task_end(estimator=self.estimator, X=self.X, y=None)
