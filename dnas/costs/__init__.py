"""What networks cost: parameters, multiply-adds, activations, milliseconds; of architectures and of mixes."""

from dnas import modules_of

__getattr__ = modules_of(__name__)
