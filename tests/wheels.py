"""Wheels of one small module, to be installed without a network."""

from __future__ import annotations

import csv
import io
import zipfile
from pathlib import Path


def wheel(folder: Path, version: str, *, name: str = "tinydep") -> Path:
    """Make a wheel of one module, which says its version."""
    info = f"{name}-{version}.dist-info"
    files = {
        f"{name}/__init__.py": f"VERSION = {version!r}\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    rows = io.StringIO()
    csv.writer(rows).writerows([(file, "", "") for file in (*files, f"{info}/RECORD")])
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for file, text in {**files, f"{info}/RECORD": rows.getvalue()}.items():
            archive.writestr(file, text)
    return path
