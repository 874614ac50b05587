"""Removers as ONNX files, and what runs them."""
