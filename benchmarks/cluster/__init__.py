"""What more processes give: ``python -m benchmarks.cluster``, and the model of docs/lab/scale-clusters.md."""
