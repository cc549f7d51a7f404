"""What is written beside an exported network as `predict.py`, whole and as it is: one for each kind of inputs.

They need JAX, NumPy and flatbuffers, with which JAX reads programs (pieces.py tokenizers, too), and nothing of this
library. Whatever differs they
read from model.json, so that no name of a class or a file can become code.
"""
