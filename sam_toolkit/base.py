"""What every component has: a kind, a name, hyperparameters, and settings that are computed in groups."""

from __future__ import annotations

from abc import ABC
from typing import Any, ClassVar, Generic, TypeVar, get_args, get_origin

from pydantic import ValidationError

from sam_toolkit.errors import ComponentError
from sam_toolkit.types import Params, problems

P = TypeVar("P", bound=Params)


class Component(ABC, Generic[P]):
    """Base of everything a plugin adds; `Component[SomeParams]` declares the hyperparameters.

    An instance holds one setting, for one-off use; the group methods of the subclasses read their `settings` only.
    """

    kind: ClassVar[str]
    """What it is, in a word; set by the contracts below."""
    name: ClassVar[str]
    """Unique within its kind, kebab-case; what a study file says."""
    version: ClassVar[str] = "1"
    """Part of every key: raise it when the same settings give other numbers."""
    reference: ClassVar[str] = ""
    """The paper or text that defines it."""
    Params: ClassVar[type[Params]] = Params

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Read `Params` from the type argument of the base class."""
        super().__init_subclass__(**kwargs)
        for base in cls.__dict__.get("__orig_bases__", ()):
            arguments = get_args(base) if isinstance(get_origin(base), type) else ()
            if arguments and isinstance(arguments[0], type) and issubclass(arguments[0], Params):
                cls.Params = arguments[0]

    def __init__(self, params: P | None = None, /, **fields: Any) -> None:
        """Hold one setting, given whole or by field; raises ComponentError where a field breaks its rule."""
        self.params: P = self.setting(**fields) if params is None else params

    @classmethod
    def setting(cls, **fields: Any) -> P:
        """Return validated hyperparameters; raises ComponentError that names the field, the rule and the value."""
        try:
            return cls.Params(**fields)  # type: ignore[return-value]
        except ValidationError as error:
            raise ComponentError(f"{cls.__name__}: {'; '.join(problems(error, cls.Params))}") from None

    def __repr__(self) -> str:
        """Return the call that makes this component."""
        return f"{type(self).__name__}({', '.join(f'{key}={value!r}' for key, value in self.params)})"


class Grouped(Component[P]):
    """A component that is computed for a group of settings at once."""

    tolerance: ClassVar[float] = 1e-4
    """Largest difference that grouping, batching and chunking may make, relative to the largest |value|."""

    def shares(self, params: P) -> frozenset[str]:
        """Return the fields along which one computation serves many settings; a group agrees in all others."""
        return frozenset()

    def reruns(self, params: P, count: int) -> list[P]:
        """Return `count` settings that differ from `params` in nothing but the draw; empty when nothing is drawn.

        The default adds to the field `seed`, where there is one.
        """
        seed = getattr(params, "seed", None)
        return [] if seed is None else [params.varied(seed=seed + 1 + i) for i in range(count)]
