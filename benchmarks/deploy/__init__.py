"""What an answer costs once a model is fitted: in Python, as ONNX, and in numpy alone."""
