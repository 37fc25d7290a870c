"""Image files that a test opens."""

from pathlib import Path

from PIL import Image


def opened_images(monkeypatch):
    """Return a list to which every image file that is opened from now on is added."""
    real, paths = Image.open, []

    def noting(file, *arguments, **keywords):
        paths.append(Path(file))
        return real(file, *arguments, **keywords)

    monkeypatch.setattr(Image, "open", noting)
    return paths
