"""The trained pipeline as an ONNX graph: converted, proven equal on every test row, measured, and served."""
