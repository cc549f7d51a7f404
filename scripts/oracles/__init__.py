"""Comparisons with numbers of the original codes, one module per oracle: `compare(oracle)` yields them."""
