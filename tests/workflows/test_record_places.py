"""Folders for records on their way: of several commands at once, and of those that were killed."""

from __future__ import annotations

import os
from pathlib import Path

from assay.workflows import record_places


def test_a_folder_that_another_command_takes_away_meanwhile_is_no_failure(tmp_path: Path):
    place = record_places.of_hub(tmp_path, create=True)
    place.folder.mkdir()
    (place.folder / ".gone").symlink_to(tmp_path / "nowhere")  # listed, and not there
    with record_places.temporary(place) as folder:
        assert Path(folder).parent == place.folder


def test_what_a_killed_process_left_goes_after_a_day(tmp_path: Path):
    place = record_places.of_hub(tmp_path, create=True)
    old, fresh = place.folder / ".old", place.folder / ".fresh"
    for left in (old, fresh):
        left.mkdir(parents=True)
    os.utime(old, (1_000_000, 1_000_000))
    with record_places.temporary(place):
        assert fresh.exists()
        assert not old.exists()
