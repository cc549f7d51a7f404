"""Every number that a user may write has a range: fields of a config, settings of spaces, methods and data sets."""

import dataclasses
import inspect
import math
from typing import Annotated, get_args

import pytest

from dnas import find
from dnas.config import Config, from_dict
from dnas.errors import UserError
from dnas.ranges import Acts, Range, range_of

TRIED = (0, -1, 1, 1e-300, -1e-300, 10**12, -(10**12), 10**400, 0.5, 1e300, -1e300, math.nan, math.inf, -math.inf)
SETTINGS = [
    (what, name, parameter)
    for what in find.PACKAGES
    for name, factory in find.available(what).items()
    for parameter in inspect.signature(factory).parameters.values()
    if isinstance(parameter.default, (int, float)) and not isinstance(parameter.default, bool)
]


def fields(kind=Config, path=()):
    for item in dataclasses.fields(kind):
        if isinstance(item.default_factory, type) or callable(item.default_factory):
            yield from fields(type(item.default_factory()), (*path, item.name))
        elif isinstance(item.default, (int, float)) and not isinstance(item.default, bool):
            yield (*path, item.name), item


FIELDS = dict(fields())


def refused(value, whole):
    """Whether a value cannot be of any range: too large, too small for float32, not a number, or a part where whole
    numbers are wanted."""
    return value != value or abs(value) > 1e11 or 0 < abs(value) < 1e-38 or (whole and value != int(value))


@pytest.mark.parametrize("path", FIELDS, ids=".".join)
def test_every_field_of_a_config_has_a_range(path):
    allowed = range_of(FIELDS[path].type)
    assert allowed is not None, "give its type a range: see dnas/ranges.py"
    assert FIELDS[path].default in allowed
    for value in TRIED:
        values = value
        for name in reversed(path):
            values = {name: values}
        whole = isinstance(FIELDS[path].default, int)
        if value in allowed and not (whole and isinstance(value, float)):
            from_dict(values)
            assert not refused(value, whole)
        else:
            with pytest.raises(UserError, match=".".join(path)):
                from_dict(values)


@pytest.mark.slow
@pytest.mark.parametrize("what, name, parameter", SETTINGS, ids=lambda p: getattr(p, "name", p))
def test_every_setting_has_a_range(what, name, parameter, monkeypatch):
    allowed = range_of(parameter.annotation)
    assert allowed is not None, "give its type a range: see dnas/ranges.py"
    assert parameter.default in allowed
    taken = {}

    def factory(**settings):
        taken.update(settings)

    of_the_number = parameter.replace(annotation=Annotated[float, allowed])  # whatever it acts with
    factory.__signature__ = inspect.Signature([of_the_number])
    monkeypatch.setattr(find, "_factory", lambda *_: factory)
    for value in TRIED:
        whole = isinstance(parameter.default, int)
        text = f"{name}:{parameter.name}={value!r}"
        if value in allowed and not (whole and isinstance(value, float)):
            find.resolve(what, text)
            assert taken.pop(parameter.name) == value
            assert not refused(value, whole)
        else:
            with pytest.raises(UserError, match=f"'{parameter.name}' of {what} '{name}'"):
                find.resolve(what, text)


def test_a_number_that_is_none_in_float32_is_refused():
    with pytest.raises(UserError, match="radius' .* at least 1e-06 .*, not 1e-300, which is as good as 0"):
        find.resolve("method", "darts:order=finite_difference,radius=1e-300")
    with pytest.raises(UserError, match="learning_rate must be at least 0 and .*, not 1e-40, which is as good as 0"):
        from_dict({"search": {"weights": {"learning_rate": 1e-40}}})


def test_there_are_settings_to_test():
    assert len(SETTINGS) > 50 and len(FIELDS) > 30
    without = {"table", "check"}  # tables are as they were measured, checks have no settings
    assert {what for what, *_ in SETTINGS} == set(find.PACKAGES) - without


@pytest.mark.parametrize(
    "allowed, inside, outside, says",
    [
        (Range(1, 1_000_000), (1, 1_000_000), (0, 1_000_001), "at least 1 and at most 1,000,000"),
        (Range(0, 1, below=True), (0, 0.999), (1, -0.1), "at least 0 and below 1"),
        (Range(0, 1e9, above=True), (1e-30, 1e9), (0, 1e10), "above 0 and at most 1,000,000,000"),
        (Range(1e-4, 1), (1e-4, 1), (0, 9e-5), "at least 0.0001 and at most 1"),
    ],
)
def test_ranges(allowed, inside, outside, says):
    assert str(allowed) == says
    assert all(value in allowed for value in inside)
    assert not any(value in allowed for value in (*outside, math.nan, math.inf, -math.inf))


IDLE = {  # settings that do nothing beside the others -> what makes them act
    "darts:radius=0.1": "darts:radius=0.1,order=finite_difference",
    "darts:order=second,radius=0.1": "darts:order=finite_difference,radius=0.1",
    "drnas:scale=1": "drnas:scale=1,distance=kl",
    "drnas:keep=3,partial=4": "drnas:keep=3,partial=4+2",
    "p_darts:keep=3,deeper=0,dropout=0": "p_darts:keep=3,deeper=0+1,dropout=0+0",
    "fair_darts:rule=darts,threshold=0.5": "fair_darts:rule=threshold_edge,threshold=0.5",
    "fair_darts:weight=0,distance=l1": "fair_darts:weight=0.1,distance=l1",
    "gaea:edge_rate=1": "gaea:edges=true,edge_rate=1",
    "idarts:damping=1": "idarts:damping=1,solver=cg",
    "sdarts:attack=random,steps=3": "sdarts:attack=adversarial,steps=3",
    "sgas:history=3": "sgas:history=3,criterion=2",
    "snas:penalty=0,resource=parameters": "snas:resource=parameters",
    "snas:penalty=0,rule=linear": "snas:penalty=1,rule=linear",
    "proxyless_nas:target=9,weight=1": "proxyless_nas:cost=parameters,target=9,weight=1",
    "once_for_all:rule=sandwich,soft=2": "once_for_all:soft=2",
    "proxyless_nas:rule=log": "proxyless_nas:cost=parameters,target=9,rule=log",
    "proxyless_nas:cost=parameters,target=9,rule=linear,power=2": "proxyless_nas:cost=parameters,target=9,power=2",
    "robust_darts:multiplier=2": "robust_darts:multiplier=2,adaptive=true",
    "robust_darts:largest=20": "robust_darts:largest=20,adaptive=true",
    "fairnas:generations=1,parents=3": "fairnas:generations=2,parents=3",
    "fairnas:population=1,mutation=0.5": "fairnas:population=2,mutation=0.5",
    "spos:generations=1,parents=3": "spos:generations=2,parents=3",
    "spos:population=1,mutation=0.5": "spos:population=2,mutation=0.5",
}


@pytest.mark.parametrize("idle", IDLE)
def test_a_setting_that_does_nothing_is_refused(idle):
    with pytest.raises(UserError, match="^The setting '[a-z_]+' of method '[a-z_]+' acts with .* only: set that too"):
        find.resolve("method", idle)
    find.resolve("method", IDLE[idle])


def test_every_setting_that_acts_beside_others_is_tested():
    conditional = {
        (name, parameter.name)
        for name, factory in find.available("method").items()
        for parameter in inspect.signature(factory).parameters.values()
        if any(isinstance(item, Acts) for item in get_args(parameter.annotation))
    }
    tried = {(name, key) for name, settings in map(find.parse_choice, IDLE) for key in settings}
    assert conditional and conditional <= tried


@pytest.mark.parametrize(
    "choice, says",
    [
        ("darts_plus:skips=0,still=0", "never stops"),
        ("sdarts:start=0,end=0", "perturbs nothing"),
        ("robust_darts:adaptive=true,multiplier=50,largest=2", "never goes back"),
        ("random_nas:samples=5,finalists=6", "6 finalists of 5 samples"),
        ("asap:coldest=2", "at most hottest and below grace"),
        ("snas:resource=foo,penalty=0", "acts with a penalty above 0"),
        ("snas:resource=foo", "Unknown resource 'foo'"),
    ],
)
def test_settings_that_cannot_act_together_are_refused(choice, says):
    with pytest.raises(UserError, match=says):
        find.resolve("method", choice)
