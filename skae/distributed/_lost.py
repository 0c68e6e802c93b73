"""Errors of a cluster that lost a worker or its scheduler."""


class SchedulerLost(ConnectionError):
    """The scheduler of a cluster is gone, or has not answered in time."""


class WorkerLost(RuntimeError):
    """Workers were lost more often than a fit may be restarted.

    Attributes
    ----------
    workers : list of str
        Addresses of the workers that were lost last; empty if none was known.
    epoch : int
        The epoch in which they were lost; 0 before the first one.
    """

    def __init__(self, message, workers=(), epoch=0):
        super().__init__(message, list(workers), epoch)
        self.workers, self.epoch = list(workers), epoch

    def __str__(self):
        return self.args[0]
