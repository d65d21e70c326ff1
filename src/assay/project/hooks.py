"""Git hooks and the merge driver: written once, and never over what a person has there.

Source: DVC 3.67's `install`: the same hooks at the same moments, and `merge=dvc` as the name that
`.gitattributes` gives to `.dvc` files.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import msgspec

from assay.base.errors import Error, Negative
from assay.base.files import explain, write_atomic
from assay.project import git
from assay.project.workspace import Project

HOOKS = ("pre-commit", "post-checkout", "pre-push")

DRIVER = "assay git-hook merge-driver --ancestor %O --our %A --their %B --path %P"
_DRIVER_NAME = "Assay merge driver for .dvc files"
_LOCK_ATTRIBUTE = "dvc.lock merge=assay"
_PRE_COMMIT = ".pre-commit-config.yaml"


class Installed(msgspec.Struct, frozen=True, kw_only=True):
    """What was written: files, and whether the merge driver was.

    Attributes
    ----------
    attributes : bool
        Whether `.gitattributes` names the driver for `.dvc` files.
    """

    files: list[Path]
    driver: bool
    attributes: bool


def install(project: Project) -> Installed:
    """Write the hooks and the merge driver into the clone.

    Raises
    ------
    Negative
        If one of the hooks, or another driver, is there already; then nothing is written.
    """
    root = _needs_git(project)
    folder = _hooks_folder(root)
    texts = {folder / n: f'#!/bin/sh\nexec {_call(project, n)} "$@"\n' for n in HOOKS}
    for path, text in texts.items():
        if os.path.lexists(path) and _read(path) != text:
            raise Negative(
                f"there is a '{path.name}' hook already, and it is left as it is",
                where=path,
                hint=f"add the line '{_call(project, path.name)} \"$@\"' to it, or move it away",
            )
    _refuse_other_driver(root)
    written = [path for path in texts if not path.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise explain(error, folder) from error
    for path in written:
        write_atomic(path, texts[path], mode=0o755)
    return Installed(
        files=written, driver=install_driver(project), attributes=has_attributes(project)
    )


def install_driver(project: Project) -> bool:
    """Tell git how to merge `.dvc` files; returns whether that was new."""
    root = _needs_git(project)
    _refuse_other_driver(root)
    _merge_locks_by_stage(root)
    if _configured(root, "merge.dvc.driver") == DRIVER:
        return False
    git.git("config", "merge.dvc.name", _DRIVER_NAME, cwd=root)
    git.git("config", "merge.dvc.driver", DRIVER, cwd=root)
    return True


def _merge_locks_by_stage(root: Path) -> None:
    """Give `dvc.lock` a driver of its own in this clone: real DVC's `dvc` cannot merge it."""
    git.git("config", "merge.assay.name", "Assay merge driver for dvc.lock", cwd=root)
    git.git("config", "merge.assay.driver", DRIVER, cwd=root)
    out = git.git("rev-parse", "--path-format=absolute", "--git-path", "info/attributes", cwd=root)
    path = Path(os.fsdecode(out.rstrip(b"\n")))
    text = _read(path) or ""
    if _LOCK_ATTRIBUTE not in text.splitlines():
        path.parent.mkdir(parents=True, exist_ok=True)
        gap = "" if not text or text.endswith("\n") else "\n"
        write_atomic(path, f"{text}{gap}{_LOCK_ATTRIBUTE}\n")


def install_for_tool(project: Project) -> Installed:
    """Add the hooks to the configuration of the tool `pre-commit`, and the merge driver to git."""
    from assay.project import edit, yaml12

    root = _needs_git(project)
    path = root / _PRE_COMMIT
    data = yaml12.load(path.read_text(encoding="utf-8"), where=path) if path.exists() else {}
    if not isinstance(data or {}, dict) or not isinstance((data or {}).get("repos", []), list):
        raise Error(
            "the file is not a configuration of pre-commit: it has no list 'repos'",
            where=path,
            hint="correct it; nothing was written",
        )
    data = data or {}
    known = [hook for repo in data.get("repos", []) for hook in _ids(repo)]
    missing = [_tool_hook(project, name) for name in HOOKS if f"assay-{name}" not in known]
    written = []
    if missing:
        data.setdefault("repos", []).append({"repo": "local", "hooks": missing})
        edit.write(path, data)
        written.append(path)
    return Installed(
        files=written, driver=install_driver(project), attributes=has_attributes(project)
    )


def has_attributes(project: Project) -> bool:
    """Say whether git would merge a `.dvc` file with the driver."""
    out = git.git("check-attr", "-z", "merge", "--", "a.dvc", cwd=project.git_root)
    return out.split(b"\0")[2:3] == [b"dvc"]


def _needs_git(project: Project) -> Path:
    if not project.uses_git:
        raise Error(
            "hooks are git's, and this project does without git",
            where=project.root,
            hint="run 'git init', then 'assay config --unset core.no_scm'",
        )
    return project.git_root


def _hooks_folder(root: Path) -> Path:
    out = git.git("rev-parse", "--path-format=absolute", "--git-path", "hooks", cwd=root)
    return Path(os.fsdecode(out.rstrip(b"\n")))


def _call(project: Project, name: str) -> str:
    """Return what a hook runs; git starts it in the root of the work tree."""
    import shlex

    below = project.root.relative_to(project.git_root).as_posix()
    return f"assay {'' if below == '.' else f'--cd {shlex.quote(below)} '}git-hook {name}"


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None


def _configured(root: Path, key: str) -> str:
    return git.git("config", "--get", key, cwd=root, accept=(0, 1)).decode().strip()


def _refuse_other_driver(root: Path) -> None:
    there = _configured(root, "merge.dvc.driver")
    if there and there != DRIVER:
        raise Negative(
            f"git has another merge driver for '.dvc' files: {there}",
            where=root / ".git" / "config",
            hint="to have this one, run 'git config --remove-section merge.dvc' first",
        )


def _ids(repo: Any) -> list[str]:
    hooks = repo.get("hooks", []) if isinstance(repo, dict) else []
    return [hook["id"] for hook in hooks if isinstance(hook, dict) and "id" in hook]


def _tool_hook(project: Project, name: str) -> dict[str, Any]:
    return {
        "id": f"assay-{name}",
        "name": f"Assay {name}",
        "entry": _call(project, name),
        "language": "system",
        "always_run": True,
        "pass_filenames": False,
        "verbose": True,
        "stages": [name],
    }
