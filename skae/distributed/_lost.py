"""What is raised where a cluster is no longer whole."""


class SchedulerLost(ConnectionError):
    """The scheduler of a cluster is gone, or does not answer."""


class WorkerLost(RuntimeError):
    """Workers were lost, more often than a fit may begin anew.

    Attributes
    ----------
    workers : list of str
        Addresses of those that were lost last; empty where there was none left.
    epoch : int
        The epoch in which they were lost; 0 before the first one.
    """

    def __init__(self, message, workers=(), epoch=0):
        super().__init__(message, list(workers), epoch)
        self.workers, self.epoch = list(workers), epoch

    def __str__(self):
        return self.args[0]
