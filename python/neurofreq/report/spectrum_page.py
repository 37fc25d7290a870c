"""Write the output of ``neurofreq spectrum``: spectrum of images or of a corruption."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from neurofreq import corruptions, plot
from neurofreq._shared.escapes import literal
from neurofreq._shared.files.storage import write_text
from neurofreq.measured import quantities
from neurofreq.plot import CMAP
from neurofreq.plot.colormaps import known_cmap
from neurofreq.report import _pictures
from neurofreq.report._tables import map_rows
from neurofreq.studies.measuring import perturbation_power
from neurofreq.studies.result import folder_for
from neurofreq.studies.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path

    from neurofreq.data import ImageSet
    from neurofreq.intervals import Estimate


def write(
    data: ImageSet,
    out: Path,
    *,
    corruption: str | None,
    severity: int,
    seed: int,
    cmap: str = CMAP,
) -> Estimate:
    """Write spectrum.csv, radial.csv and a picture to `out`; return f_0.5.

    With a corruption, the spectrum is of the change that it makes to the images.
    """
    import pandas as pd

    images = np.asarray(data.images)
    name = data.name
    if corruption is not None:
        worse = corruptions.corrupt(
            images, corruption, severity, seed=seed, layout="nchw"
        )
        images = np.asarray(worse, dtype=images.dtype) - images
        name = f"{corruption.replace('_', ' ')}, severity {severity}"
    cmap = known_cmap(cmap)
    folder = folder_for(out)
    spectra = perturbation_power(images, Settings().n_thresholds)
    profile = quantities.radial_profile(spectra.frequency, spectra.radial)
    curve = profile.curve()
    figure = _pictures.new_figure(9.0, 3.6)
    left, right = figure.subplots(1, 2)
    plot.plot_spectrum(spectra.power, left, cmap=cmap).set_title(
        literal(name), fontsize=10
    )
    plot.plot_radial_profiles({"": curve}, right)
    radial = pd.DataFrame(
        {
            "frequency": curve.x,
            "cumulative": curve.y,
            "low": curve.low,
            "high": curve.high,
        }
    )
    power = pd.DataFrame(map_rows(name, spectra.power)).drop(columns="model")
    write_text(folder / "spectrum.csv", power.to_csv(index=False))
    write_text(folder / "radial.csv", radial.to_csv(index=False))
    _pictures.save(figure, folder / "spectrum")
    return profile.crossing().estimate()
