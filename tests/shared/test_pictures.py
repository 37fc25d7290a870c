"""Image files are opened by the decoders that their suffix allows, and no others."""

import pytest

from neurofreq import data
from neurofreq._shared.files import pictures


def test_postscript_starts_no_program(tmp_path, monkeypatch):
    tools, mark = tmp_path / "bin", tmp_path / "ran"
    tools.mkdir()
    (tools / "gs").write_text(f"#!/bin/sh\ntouch {mark}\nexit 1\n")
    (tools / "gs").chmod(0o755)
    monkeypatch.setenv("PATH", str(tools), prepend=":")
    text = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 32 32\nshowpage\n%%EOF\n"
    for suffix in sorted(pictures.SUFFIXES):
        path = tmp_path / "set" / suffix[1:] / "only" / f"a{suffix}"
        path.parent.mkdir(parents=True)
        path.write_bytes(text)
        with pytest.raises(ValueError, match=f"a{suffix} is no complete image"):
            data.open_folder(path.parents[1])
    assert not mark.exists()
