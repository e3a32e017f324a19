"""Models as ONNX graphs, for other languages and the browser."""
