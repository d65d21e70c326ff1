"""What the truth of an endpoint can be, where the declaration says which model answers there."""

from __future__ import annotations

import msgspec

from assay.base.errors import Error, did_you_mean
from assay.project.declaration import FILE, Declaration, Task
from assay.traffic.record import Value

_SHOWN = 10  # classes that an error lists


class Targets(msgspec.Struct, frozen=True, kw_only=True):
    """What a declared model answers: numbers, or one of its classes."""

    task: Task
    classes: tuple[str | int, ...] = ()

    def checked(self, target: Value) -> Value:
        """Return a truth that the model could have answered.

        The text of a class that is a number is that number, and the other way round; all else
        stays as it is given.

        Raises
        ------
        assay.Error
            If it is no number or no class; with the classes.

        Examples
        --------
        >>> Targets(task="binary", classes=(0, 1)).checked("1")
        1
        """
        if self.task == "regression":
            _check_number(target)
            return target
        for name in self.classes:
            if _is(target, name):
                return name if isinstance(target, str) != isinstance(name, str) else target
        shown = ", ".join(map(repr, self.classes[:_SHOWN]))
        more = ", ..." if len(self.classes) > _SHOWN else ""
        near = did_you_mean(target, map(str, self.classes)) if isinstance(target, str) else None
        raise Error(
            f"{target!r} is none of the classes {shown}{more}",
            where=f"{FILE}: model.classes",
            hint=near or "give one of them",
        )


def declared(declaration: Declaration, endpoint: str) -> Targets | None:
    """Return what the truth of an endpoint can be; None where no declared model answers there."""
    model, deploy = declaration.model, declaration.deploy
    if model is None or deploy is None or deploy.endpoint != endpoint:
        return None
    if model.task != "regression" and not model.classes:
        return None
    return Targets(task=model.task, classes=tuple(model.classes))


def _check_number(target: Value) -> None:
    if isinstance(target, list):
        for one in target:
            _check_number(one)
    elif isinstance(target, bool) or not isinstance(target, int | float):
        raise Error(
            f"the truth of a regression is a number, not {target!r}",
            where=f"{FILE}: model.task",
            hint="give the number that the prediction should have been",
        )


def _is(target: Value, name: str | int) -> bool:
    """Tell whether a truth is a class: 1.0 and true are the class 1, as in an evaluation."""
    if isinstance(target, str) or not isinstance(target, int | float):
        return target == str(name)
    whole = int(target) if target == int(target) else target
    return str(whole) == str(name)
