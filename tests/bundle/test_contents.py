"""A bundle is whole or it is refused; a folder of one is written as a whole or not at all."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pytest

from assay.base.errors import Error, NotFound
from assay.bundle import contents
from assay.bundle.contents import NotWhole
from assay.bundle.load import Bundle, load
from tests.bundle import trained


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    trained.bundle(tmp_path / "bundle")
    return tmp_path / "bundle"


def document(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "bundle.json").read_bytes())
    return found


def test_the_id_is_the_hash_of_the_index_which_names_every_file(folder: Path):
    content = (folder / "bundle.json").read_bytes()
    assert load(folder).id == f"sha256:{hashlib.sha256(content).hexdigest()}"
    files = document(folder)["files"]
    assert {path.name for path in folder.iterdir()} == {*files, "bundle.json"}
    for name, file in files.items():
        found = (folder / name).read_bytes()
        assert file == {"sha256": hashlib.sha256(found).hexdigest(), "size": len(found)}
    canonical = json.dumps(document(folder), sort_keys=True, separators=(",", ":"))
    assert content.decode() == canonical + "\n"


@pytest.mark.parametrize("name", ["model.skops", "golden.json", "reference.json"])
def test_a_changed_file_is_refused(folder: Path, name: str):
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / name).write_bytes(content)
    with pytest.raises(NotWhole, match=f"'{name}' was changed"):
        load(folder)


def test_missing_and_extra_files_are_all_named(folder: Path):
    (folder / "model.skops").unlink()
    (folder / "run.py").write_text("")
    (folder / "deep").mkdir()
    (folder / "deep" / ".hidden").write_text("")
    with pytest.raises(NotWhole) as caught:
        load(folder)
    assert caught.value.what == (
        "the bundle is not whole: 'model.skops' is missing; 'deep/.hidden' is not in its index; "
        "'run.py' is not in its index"
    )


def test_the_record_of_an_export_may_lie_beside_it(folder: Path):
    (folder / "record.json").write_text("{}")
    assert load(folder).proof is not None


def test_a_link_or_a_pipe_is_no_file_of_a_bundle(folder: Path):
    (folder / "model.skops").rename(folder.parent / "model.skops")
    (folder / "model.skops").symlink_to(folder.parent / "model.skops")
    with pytest.raises(NotWhole, match=r"'model\.skops' is a link"):
        load(folder)
    (folder / "model.skops").unlink()
    os.mkfifo(folder / "model.skops")
    with pytest.raises(NotWhole, match=r"'model\.skops' is no file"):
        load(folder)


@pytest.mark.parametrize("name", ["../model.skops", "/etc/passwd", "a/../../b", ".", "", "a//b"])
def test_a_name_that_climbs_out_of_the_folder_is_refused(folder: Path, name: str):
    changed = document(folder)
    changed["files"][name] = changed["files"]["model.skops"]
    trained.write_index(folder, changed)
    with pytest.raises(Error, match="leaves its folder"):
        load(folder)


def test_a_formatted_index_is_refused(folder: Path):
    (folder / "bundle.json").write_text(json.dumps(document(folder), indent=2))
    with pytest.raises(Error, match="not in the form in which it was written"):
        load(folder)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        ({"bundle": 2}, "format 2, expected 1"),
        ({"more": 1}, "unknown field"),
        ({"signature": {}}, "missing required field"),
        ({"files": {}}, r"'model\.skops' is not in its index"),
    ],
)
def test_an_index_of_another_form_is_refused(folder: Path, edit: dict[str, Any], message: str):
    trained.write_index(folder, document(folder) | edit)
    with pytest.raises(Error, match=message):
        load(folder)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe", b'{"bundle":' * 3000])
def test_what_is_no_index_is_refused(folder: Path, content: bytes):
    (folder / "bundle.json").write_bytes(content)
    with pytest.raises(Error, match="not the index of a bundle"):
        load(folder)


def test_a_folder_without_an_index_is_no_bundle(tmp_path: Path):
    with pytest.raises(NotFound, match="no bundle"):
        load(tmp_path)
    with pytest.raises(NotFound, match="no such folder"):
        load(tmp_path / "none")


def test_writing_replaces_a_bundle_and_nothing_else(folder: Path, tmp_path: Path):
    bundle: Bundle = load(folder)
    (folder / "extra").write_text("")
    bundle.write(folder)
    assert load(folder).id == bundle.id
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "thesis.tex").write_text("x")
    with pytest.raises(Error, match="something else than a bundle"):
        bundle.write(tmp_path / "work")
    (tmp_path / "file").write_text("x")
    with pytest.raises(Error, match="something else than a bundle"):
        bundle.write(tmp_path / "file")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bundle", "file", "work"]


def test_a_failed_write_leaves_what_was_there(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    bundle = load(folder)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(contents, "sync_filesystem", full)
    with pytest.raises(Error, match="no space left"):
        bundle.write(folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        ({"python": "2.7"}, r"Python is .*, the bundle was made with 2\.7"),
        ({"packages": {"scikit-learn": "0.1"}}, r"scikit-learn is .*, the bundle was made with 0"),
        ({"packages": {"no-such": "1"}}, "no-such is not installed"),
    ],
)
def test_another_environment_is_refused_unless_it_is_only_to_be_looked_at(
    folder: Path, edit: dict[str, Any], message: str
):
    changed = document(folder)
    changed["environment"] |= edit
    trained.write_index(folder, changed)
    with pytest.raises(Error, match=message) as caught:
        load(folder)
    assert "pip install" in str(caught.value.hint)
    forced = load(folder, force=True)
    assert forced.proof is None
    assert forced.predict(trained.table()).shape == (trained.N_ROWS,)
