"""RandAugment against Pillow, operation by operation."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageOps

from dnas.errors import UserError
from dnas.tasks.rand_augment import LARGEST, in_turns, made, rand_augment, together

NEAREST = Image.Resampling.NEAREST


def enhanced(kind):
    return lambda image, share, sign: kind(image).enhance(1 + 0.9 * share * sign)


def moved(matrix):
    def apply(image, share, sign):
        return image.transform(image.size, Image.Transform.AFFINE, matrix(image, share, sign), NEAREST)

    return apply


PILLOW = {
    "identity": lambda image, share, sign: image,
    "auto_contrast": lambda image, share, sign: ImageOps.autocontrast(image),
    "equalise": lambda image, share, sign: ImageOps.equalize(image),
    "rotate": lambda image, share, sign: image.rotate(sign * 30 * share, NEAREST),
    "posterise": lambda image, share, sign: ImageOps.posterize(image, 8 - round(4 * share)),
    "solarise": lambda image, share, sign: ImageOps.solarize(image, 255 * (1 - share)),
    "colour": enhanced(ImageEnhance.Color),
    "contrast": enhanced(ImageEnhance.Contrast),
    "brightness": enhanced(ImageEnhance.Brightness),
    "sharpness": enhanced(ImageEnhance.Sharpness),
    "shear_x": moved(lambda image, share, sign: (1, sign * 0.3 * share, 0, 0, 1, 0)),
    "shear_y": moved(lambda image, share, sign: (1, 0, 0, sign * 0.3 * share, 1, 0)),
    "translate_x": moved(lambda image, share, sign: (1, 0, sign * int(150 / 331 * image.width * share), 0, 1, 0)),
    "translate_y": moved(lambda image, share, sign: (1, 0, 0, 0, 1, sign * int(150 / 331 * image.height * share))),
}


def images():
    """Noise, a dark ramp, few colours, one colour, one pixel of another; of several sizes, in colour and grey."""
    random = np.random.default_rng(0)
    ramp = np.arange(17 * 23).reshape(17, 23, 1) // 5 + np.array([0, 20, 60])
    odd = np.full((17, 23, 3), 77)
    odd[4, 4] = 200
    found = [random.integers(0, 256, (32, 32, 3)), ramp, random.integers(100, 104, ramp.shape), odd]
    found += [np.full((28, 28, 1), 9), random.integers(0, 256, (28, 28, 1)), random.integers(0, 256, (2, 2, 3))]
    return [np.asarray(image, np.uint8) for image in found]


def by_pillow(name, image, magnitude, sign):
    own = Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image)
    return np.asarray(PILLOW[name](own, magnitude / LARGEST, sign)).reshape(image.shape)


@pytest.mark.slow
@pytest.mark.parametrize("name", PILLOW)
def test_the_pixels_are_those_of_pillow(name):
    for image in images():
        for magnitude in (0, 9, 30):
            operation = made(magnitude, *image.shape[:2])[name]
            for sign in (1, -1):
                ours = np.asarray(operation(jnp.asarray(image), jnp.asarray(sign < 0)))
                theirs = by_pillow(name, image, magnitude, sign)
                assert ours.dtype == np.uint8
                if name == "auto_contrast":  # where the exact value is whole, Pillow's may be just below
                    assert set(np.unique(ours.astype(int) - theirs)) <= {0, 1}
                    assert (ours == theirs).mean() > 0.9
                else:
                    np.testing.assert_array_equal(ours, theirs, err_msg=f"{image.shape} {magnitude} {sign}")


def test_every_operation_is_compared_and_changes_something():
    assert list(PILLOW) == list(made(9, 32, 32))
    for name in set(PILLOW) - {"identity"}:
        image = images()[0] // 2
        assert (by_pillow(name, image, 20, 1) != image).any(), name


def test_a_batch_is_drawn_image_by_image_inside_jit():
    image = images()[0] // 2
    batch = jnp.broadcast_to(image, (40, *image.shape))
    out = np.asarray(jax.jit(rand_augment(1, 20))(jax.random.key(0), batch))
    assert out.dtype == np.uint8 and out.shape == batch.shape
    possible = {
        (name, sign): np.asarray(operation(jnp.asarray(image), jnp.asarray(sign < 0)))
        for name, operation in made(20, 32, 32).items()
        for sign in (1, -1)
    }
    found = [{name for (name, _), one in possible.items() if (one == result).all()} for result in out]
    assert all(len(names) == 1 for names in found)
    assert len(set().union(*found)) > 9
    signs = {sign for (name, sign), one in possible.items() if name == "rotate" and (one == out).all((1, 2, 3)).any()}
    other = np.asarray(jax.jit(rand_augment(1, 20))(jax.random.key(1), batch))
    assert (other != out).any() and signs


def test_images_in_turns_are_images_together():
    image = images()[1]
    branches, choices = tuple(made(20, *image.shape[:2]).values()), jnp.tile(jnp.arange(14), 2)
    rows = jnp.broadcast_to(image, (28, *image.shape)), choices, jnp.arange(28) < 14
    np.testing.assert_array_equal(
        jax.jit(partial(in_turns, branches))(*rows), jax.jit(partial(together, branches))(*rows)
    )


def test_operations_follow_each_other():
    """Two identities are none, two others differ from each alone."""
    image = images()[0] // 2
    batch = jnp.broadcast_to(image, (60, *image.shape))
    once, twice = (np.asarray(jax.jit(rand_augment(n, 20))(jax.random.key(0), batch)) for n in (1, 2))
    assert (twice != image).any((1, 2, 3)).mean() > (once != image).any((1, 2, 3)).mean() - 0.1
    known = {result.tobytes() for result in once}
    assert sum(result.tobytes() not in known for result in twice) > 30


@pytest.mark.parametrize(
    "magnitude, channels, says",
    [(31, 3, "0 to 30, not 31"), (-1, 3, "0 to 30, not -1"), (9, 4, "1 or 3 channels, not of 4")],
)
def test_what_there_is_not_is_refused(magnitude, channels, says):
    with pytest.raises(UserError, match=says):
        rand_augment(2, magnitude)(jax.random.key(0), jnp.zeros((2, 8, 8, channels), jnp.uint8))
