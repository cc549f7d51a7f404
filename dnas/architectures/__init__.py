"""Architectures as data: cells, genotypes, their texts, and published ones. No network is built here."""

from dnas import modules_of

__getattr__ = modules_of(__name__)
