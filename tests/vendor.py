"""Write the vendored JavaScript of `assay.render` again: `make vendor`, at a release.

The bundle is made by vl-convert, offline; the licence texts of what is in it come from the
packages of the same versions, by npm. Nothing of this is needed to install or to test.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import re
import subprocess
import tempfile
from pathlib import Path

VENDOR = Path(__file__).parents[1] / "src/assay/render/static/vendor"
SNIPPET = "window.vegaEmbed=vegaEmbed;"
COMMAND_LINE_ONLY = {"commander", "iconv-lite", "rw", "safer-buffer", "yargs"}  # not in the bundle


def bundle() -> tuple[bytes, dict[str, str]]:
    """Return Vega, Vega-Lite and vega-embed as one module, and the version of each."""
    import vl_convert

    content = vl_convert.javascript_bundle(SNIPPET)
    minor = vl_convert.get_vegalite_versions()[-1]
    found = re.search(rf'"({re.escape(minor)}\.\d+)"', content)
    if found is None:
        raise SystemExit(f"the bundle does not say which {minor} of Vega-Lite it holds")
    versions = {
        "vega": vl_convert.get_vega_version(),
        "vega-lite": found[1],
        "vega-embed": vl_convert.get_vega_embed_version(),
    }
    return content.encode(), versions


def licences(versions: dict[str, str]) -> str:
    """Return the licence texts of the packages and all that they bring, equal texts once."""
    with tempfile.TemporaryDirectory() as folder:
        wanted = [f"{name}@{version}" for name, version in versions.items()]
        (Path(folder) / "package.json").write_text("{}")
        subprocess.run(
            ["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--silent", *wanted],
            cwd=folder,
            check=True,
        )
        modules = Path(folder) / "node_modules"
        texts: dict[str, list[str]] = {}
        for name in _closure(modules, list(versions)):
            texts.setdefault(_licence(modules / name), []).append(name)
    blocks = [f"{', '.join(sorted(names))}\n\n{text}" for text, names in texts.items()]
    return f"\n{'-' * 72}\n\n".join(blocks)


def _closure(modules: Path, names: list[str]) -> list[str]:
    seen: list[str] = []
    while names:
        name = names.pop(0)
        if name in seen or name in COMMAND_LINE_ONLY or name.startswith("@types/"):
            continue
        seen.append(name)
        package = json.loads((modules / name / "package.json").read_text())
        names += package.get("dependencies", {})
    return seen


def _licence(folder: Path) -> str:
    files = sorted(path for path in folder.iterdir() if path.name.upper().startswith("LICEN"))
    if files:
        return files[0].read_text().strip() + "\n"
    package = json.loads((folder / "package.json").read_text())
    return f"Licence: {package['license']} (the package holds no text of it)\n"


def main() -> None:
    """Write bundle, licences and `vendor.toml`."""
    content, versions = bundle()
    texts = licences(versions).encode()
    made_by = f"vl-convert-python@{importlib.metadata.version('vl-convert-python')}"
    packages = ", ".join(f'"{name}@{version}"' for name, version in versions.items())
    index = f"""\
# Written by `make vendor`; a test holds names, versions and SHA-256 to what lies here.

["vega-bundle.js"]
packages = [{packages}]
made_by = "{made_by}"
snippet = "{SNIPPET}"
sha256 = "{hashlib.sha256(content).hexdigest()}"
license = "BSD-3-Clause AND ISC AND MIT AND 0BSD AND Unlicense"

["vega-bundle.LICENSES.txt"]
sha256 = "{hashlib.sha256(texts).hexdigest()}"
"""
    VENDOR.mkdir(parents=True, exist_ok=True)
    (VENDOR / "vega-bundle.js").write_bytes(content)
    (VENDOR / "vega-bundle.LICENSES.txt").write_bytes(texts)
    (VENDOR / "vendor.toml").write_text(index)


if __name__ == "__main__":
    main()
