"""ONNX: the operations of a graph, the columns of a table as inputs, and the check of the result."""
