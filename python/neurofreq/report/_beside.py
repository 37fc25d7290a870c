"""Models of finished studies that a report shows beside the models it measures.

These models are not measured again. Therefore everything that decides a number must
agree. Settings that the user does not give are taken from the study, and all settings
are compared before any work.
"""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from neurofreq._shared import runtime
from neurofreq._shared.files import storage
from neurofreq.data import ImageSet
from neurofreq.studies import result
from neurofreq.studies.measuring import N_EXAMPLES
from neurofreq.studies.plan import Plan
from neurofreq.studies.settings import (
    MEASUREMENTS,
    USUAL,
    agreeing,
    differences,
    make_settings,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from neurofreq.measured import Measured
    from neurofreq.studies.plan import Identity
    from neurofreq.studies.specification import Study


@dataclasses.dataclass(frozen=True)
class Beside:
    """A study whose models are shown, in the order of its plan."""

    folder: Path
    plan: Plan
    measured: list[Measured]

    def identities(self) -> list[tuple[Identity, Measured]]:
        """Return the identity of each model with its measurements."""
        return list(zip(self.plan.models, self.measured, strict=True))


def read(
    folders: Sequence[str | os.PathLike[str]], out_dir: str | os.PathLike[str]
) -> list[Beside]:
    """Read finished studies from folders other than the report's folder.

    Raises TypeError if `folders` is a single path, FileNotFoundError if a folder holds
    no study, and ValueError if a folder is the report's folder.
    """
    if isinstance(folders, (str, os.PathLike)):
        raise TypeError(f"beside: got {folders!r}, expected a list of folders")
    found = []
    for folder in map(Path, folders):
        # The report would overwrite the study's plan.
        if folder.resolve() == Path(out_dir).resolve():
            raise ValueError(
                f"beside: got {folder}, expected a folder other than out_dir"
            )
        measured = result.load(folder).measured
        found.append(Beside(folder, Plan.read(folder), measured))
    return found


def settings(found: Sequence[Beside], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the given settings, with None replaced by the first study's value."""
    kept: dict[str, Any] = {}
    if found:
        theirs = found[0].plan.settings
        names = [name for one in MEASUREMENTS for name in agreeing(one)]
        kept = {name: getattr(theirs, name) for name in names}
    return kept | {name: value for name, value in given.items() if value is not None}


def measurements(found: Sequence[Beside], asked: Sequence[str] | None) -> Sequence[str]:
    """Return the requested measurements, by default the measurements of all studies.

    Raises ValueError if the studies have no measurement in common.
    """
    if asked is not None:
        return asked
    common = [
        name
        for name in (MEASUREMENTS if found else USUAL)
        if all(name in one.plan.measurements for one in found)
    ]
    if not common:
        folders = ", ".join(str(one.folder) for one in found)
        raise ValueError(f"beside: got no measurement that all of {folders} have")
    return common


def check(found: Sequence[Beside], study: Study) -> None:
    """Check that the numbers of the studies can be compared with the report's.

    Raises ValueError if a name occurs twice, a measurement is missing, or the data, a
    setting that decides a number or the release of neurofreq differs.
    """
    if not found:
        return
    _check_names(found, [entry.name for entry in study.models])
    for one in found:
        _check_complete(one, study.measurements)
    assert isinstance(study.data, ImageSet)
    digest = storage.data_digest(study.data.images, study.data.labels)
    for one in found:
        _check_origin(one, study.data, digest)
    ours = make_settings(study.data, **study.settings)
    for one in found:
        apart = differences(ours, one.plan.settings, study.measurements)
        for name, (got, expected) in apart.items():
            raise ValueError(
                f"{name}: got {got}, expected {expected} as in {one.folder}, "
                "whose models are shown too"
            )


def models(found: Sequence[Beside], wanted: Sequence[str]) -> list[Measured]:
    """Return the models with the measurements that the report wants."""
    return [model.only(wanted) for one in found for model in one.measured]


def images(found: Sequence[Beside], data: ImageSet) -> dict[str, NDArray[Any]]:
    """Return the images that each model was shown; for gray models only examples."""
    colour = np.asarray(data.images)
    # A gray version of a large data set would need as much memory again.
    first = data.take(range(min(N_EXAMPLES, len(data))))
    return {
        model.name: first.gray().images if model.is_gray else colour
        for one in found
        for model in one.plan.models
    }


def _check_names(found: Sequence[Beside], names: Sequence[str]) -> None:
    owners = dict.fromkeys(names, "the models to be measured")
    for one in found:
        for model in one.plan.models:
            if model.name in owners:
                raise ValueError(
                    f"beside: got {model.name!r} of {one.folder} and of "
                    f"{owners[model.name]}, expected different names"
                )
            owners[model.name] = str(one.folder)


def _check_complete(one: Beside, wanted: Sequence[str]) -> None:
    """Require every measurement of every model."""
    for identity, model in one.identities():
        keys = [
            key
            for measurement in wanted
            for key in one.plan.keys(measurement)
            if measurement not in one.plan.measurements or not model.has(key)
        ]
        if keys:
            why = " (it could not be loaded)" if identity.traceback else ""
            missing = ", ".join(key.removeprefix("corruption/") for key in keys)
            raise ValueError(
                f"beside: got {identity.name!r} of {one.folder} without {missing}"
                f"{why}, expected a study that has measured it"
            )


def _check_origin(one: Beside, data: ImageSet, digest: str) -> None:
    """Require the same images, labels and release."""
    if one.plan.data_digest != digest:
        sizes = [len(m.clean.correct) for m in one.measured if m.has("clean")][:1]
        theirs = ", ".join([one.plan.data, *(f"{size} images" for size in sizes)])
        raise ValueError(
            f"data: got other images or labels ({data.name}, {len(data)} images), "
            f"expected the images and labels of {one.folder} ({theirs})"
        )
    if one.plan.version != runtime.VERSION:
        raise ValueError(
            f"beside: got {one.folder} measured by neurofreq {one.plan.version}, "
            f"expected {runtime.VERSION}, the installed release"
        )
