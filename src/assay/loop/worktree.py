"""The loop's own work tree, `.assay/worktrees/loop-ENDPOINT`, on the branch `assay/ENDPOINT`.

A person's work tree, index, stash and HEAD are never touched. Whatever is killed, and whenever:
the branch has the old tip or the new one, and the next start puts the work tree right.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from assay.base.errors import Error
from assay.loop import tree_git
from assay.pipeline import kept
from assay.project import definition, dvcfile, git, gitignore, linked, tracking
from assay.project.definition import Definition
from assay.project.workspace import Project

_TRAILER = "Assay-Decision"
_LOCK = "dvc.lock"


def branch_of(endpoint: str) -> str:
    """Return the branch on which the loop commits for an endpoint."""
    return f"assay/{endpoint}"


def open_worktree(project: Project, endpoint: str, *, branch: str) -> Project:
    """Return the project in the loop's work tree of an endpoint, made where it is not there.

    Parameters
    ----------
    branch : str
        Where the code comes from; the loop's branch begins at its tip.

    Raises
    ------
    assay.Error
        If the loop's branch is checked out in another work tree, or its name cannot be had.
    """
    ours = branch_of(endpoint)
    folder = _folder(project, endpoint)
    common = tree_git.common_folder(project)
    _refuse_name(project, common, ours, branch)
    tree_git.on_repository(project, common, "worktree", "prune")
    _refuse_elsewhere(project, common, ours, folder)
    admin = tree_git.find_admin(folder)
    tree_git.remove_stale_locks(folder, common, admin, ours)
    ref = f"refs/heads/{ours}"
    if not tree_git.on_repository(
        project, common, "rev-parse", "--verify", "-q", ref, accept=(0, 1)
    ):
        start = git.resolve(project.git_root, branch)
        tree_git.on_repository(project, common, "update-ref", ref, start, "0" * len(start))
    if admin is None or not tree_git.is_whole(folder, admin, ref):
        tree_git.remove(project, common, folder)
        tree_git.on_repository(
            project, common, "worktree", "add", "--no-checkout", "-q", str(folder), ours
        )
    root = folder / project.root.relative_to(project.git_root)
    if not (root / ".dvc").is_dir():
        _put(folder, ref)
    if not (root / ".dvc").is_dir():
        raise Error(
            f"the branch '{ours}' has no project in it, expected '.dvc'",
            where=project.root,
            hint=f"commit '.dvc' on '{branch}', then remove the loop's: git branch -D {ours}",
        )
    tree = Project(root)
    linked.configure(project, tree)
    return tree


def find(project: Project, endpoint: str) -> Project | None:
    """Return the project in the loop's work tree as it stands, or None where there is none."""
    root = _folder(project, endpoint) / project.root.relative_to(project.git_root)
    return (
        Project(root) if (root / ".dvc").is_dir() and git.top(root) != project.git_root else None
    )


def start(tree: Project, *, source: str, decision: str, keep: Sequence[str] = ()) -> str | None:
    """Put the code of a commit into the work tree, with the loop's own files of its branch.

    Those are the files of `keep`, and every `dvc.lock` with the outputs in git that it records,
    unless the commit holds all that the branch has. Nothing else is left over but outputs that a
    record names, which save work.

    Parameters
    ----------
    source : str
        The commit that the code comes from.
    decision : str
        The id of the decision that this is for.
    keep : sequence of str
        Paths relative to the project's root, such as the `.dvc` file of the growing table.

    Returns
    -------
    str or None
        The commit of the decision where there is one already: then the work tree has the
        branch's tip.

    Raises
    ------
    assay.Error
        If the commit has no project, or data that its records name is gone.
    """
    prefix = tree.root.relative_to(tree.git_root)
    if not tree_git.in_tree(
        tree.git_root, "ls-tree", source, "--", f"{(prefix / '.dvc').as_posix()}/"
    ):
        raise Error(
            f"the commit {source[:12]} has no project in it, expected '.dvc'",
            where=tree.root,
            hint="name a branch that has one in 'assay.yaml: retrain.branch'",
        )
    found = find_commit(tree, decision)
    _put(tree.git_root, tip(tree) if found else _combined(tree, source, keep))
    for name in ("config", "cache", "ignore"):
        tree.__dict__.pop(name, None)  # they were read from other files
    linked.configure(Project(tree.home), tree)
    declared = definition.read(tree)
    _clean(tree, [item.path for item in declared.tracked if item.row])
    kept.restore(tree, _oids(declared))
    tracking.checkout(tree, [i for i in declared.tracked if i.stage.is_data], force=True)
    return found


def commit(
    tree: Project, message: str, *, decision: str | None = None, parents: Sequence[str] = ()
) -> str:
    """Commit records, parameters and locks to the loop's branch, and return its tip.

    What is tracked by git and changed goes in, and of new files those of DVC's. The data that
    the commit names go into the second store, which a `dvc gc` elsewhere does not empty.

    Parameters
    ----------
    decision : str, optional
        The id of the decision; becomes the trailer `Assay-Decision`. Without one, or where the
        decision has a commit already, nothing is committed where nothing changed.
    parents : sequence of str
        Commits that are parents beside the branch's tip: where the code comes from.
    """
    before, folder = tip(tree), tree.git_root
    tree_git.in_tree(folder, "add", "-u", "--", ".")
    others = tree_git.in_tree(folder, "ls-files", "--others", "--exclude-standard", "-z").split(
        b"\0"
    )
    new = [name for name in map(os.fsdecode, others) if _is_record(name)]
    if new:
        tree_git.in_tree(folder, "add", "-f", "--", *(f":(literal){name}" for name in new))
    made = _text(tree_git.in_tree(folder, "write-tree"))
    is_done = decision is None or find_commit(tree, decision) is not None
    if is_done and made == _text(tree_git.in_tree(folder, "rev-parse", f"{before}^{{tree}}")):
        return before
    kept.keep(tree, _oids(definition.read(tree)))
    text = message.rstrip() + ("" if decision is None else f"\n\n{_TRAILER}: {decision}") + "\n"
    options = [option for parent in dict.fromkeys([before, *parents]) for option in ("-p", parent)]
    after = _text(tree_git.in_tree(folder, "commit-tree", made, *options, stdin=text.encode()))
    ref = _text(tree_git.in_tree(folder, "symbolic-ref", "HEAD"))
    tree_git.in_tree(
        folder, "update-ref", "-m", f"assay: {message.splitlines()[0]}", ref, after, before
    )
    return after


def find_commit(tree: Project, decision: str) -> str | None:
    """Return the first commit of a decision on the loop's branch, or None."""
    options = ("--first-parent", "--fixed-strings", f"--grep={_TRAILER}: {decision}")
    found = _text(tree_git.in_tree(tree.git_root, "rev-list", *options, "HEAD")).split()
    return found[-1] if found else None


def tip(tree: Project) -> str:
    """Return the commit at the tip of the loop's branch."""
    return _text(tree_git.in_tree(tree.git_root, "rev-parse", "--verify", "HEAD"))


def _folder(project: Project, endpoint: str) -> Path:
    return project.assay_dir / "worktrees" / f"loop-{endpoint}"


def _combined(tree: Project, source: str, keep: Sequence[str]) -> str:
    """Return the tree of a commit with the loop's own files of the branch's tip."""
    folder, before = tree.git_root, tip(tree)
    index = Path(tree_git.read_admin(folder)) / "assay-index"
    index.unlink(missing_ok=True)
    try:
        tree_git.in_tree(folder, "read-tree", source, index=index)
        if not _holds(folder, source, before):
            own = {tree.root / path for path in keep} | _recorded(tree, source)
            entries = [
                entry
                for entry in tree_git.in_tree(folder, "ls-tree", "-r", "-z", before).split(b"\0")
                for path in [folder / os.fsdecode(entry.partition(b"\t")[2])]
                if entry and not own.isdisjoint([path, *path.parents])
            ]
            stdin = b"\0".join([*entries, b""])
            tree_git.in_tree(
                folder, "update-index", "-z", "--index-info", stdin=stdin, index=index
            )
        return _text(tree_git.in_tree(folder, "write-tree", index=index))
    finally:
        index.unlink(missing_ok=True)


def _recorded(tree: Project, source: str) -> set[Path]:
    """Return the locks of a commit's stages, and the outputs in git that go with them."""
    stages = definition.read_at(tree, source).stages
    in_git = {s.path(out.path) for s in stages for out in s.outs if not out.cache}
    return {stage.file.with_suffix(".lock") for stage in stages} | in_git


def _holds(folder: Path, other: str, one: str) -> bool:
    """Say whether a commit holds all that another one has."""
    base = _text(tree_git.in_tree(folder, "merge-base", one, other, accept=(0, 1)))
    return base == _text(tree_git.in_tree(folder, "rev-parse", one))


def _put(folder: Path, tree: str) -> None:
    """Make index and files those of a tree, whatever is there."""
    tree_git.in_tree(
        folder, "read-tree", "--reset", "-u", "--no-recurse-submodules", f"{tree}^{{tree}}"
    )


def _clean(tree: Project, outputs: Sequence[Path]) -> None:
    """Remove what git does not track, but for outputs and what the tools keep in `.dvc`."""
    folder = tree.git_root
    spared = [path for path in outputs if folder in path.parents]
    spared += [tree.dvc_dir / "config.local", tree.dvc_dir / "tmp"]
    names = [path.relative_to(folder).as_posix() for path in spared]
    patterns = [f"-e/{gitignore.escape(name)}" for name in names]
    tree_git.in_tree(tree.git_root, "clean", "-ffdxq", *patterns)


def _oids(declared: Definition) -> list[str]:
    """Return the contents that the records name."""
    rows = [item.row for item in declared.tracked if item.row is not None]
    return [row.oid for row in rows if row.oid is not None]


def _is_record(path: str) -> bool:
    name = path.rpartition("/")[2]
    return name in {_LOCK, ".gitignore"} or (
        name.endswith(dvcfile.SUFFIX) and name != dvcfile.SUFFIX
    )


def _refuse_name(project: Project, common: Path, ours: str, branch: str) -> None:
    if branch in {ours, f"refs/heads/{ours}"}:
        raise Error(
            f"the code cannot come from '{ours}', which the loop itself commits to",
            where="assay.yaml: retrain.branch",
            hint="check out the branch that people work on, or name it there",
        )
    try:
        tree_git.on_repository(project, common, "check-ref-format", f"refs/heads/{ours}")
    except git.Failed as error:
        raise Error(
            f"git takes no branch '{ours}'",
            where="assay.yaml: deploy.endpoint",
            hint="choose a name without '..', and not ending in '.' or '.lock'",
        ) from error
    if tree_git.on_repository(
        project, common, "rev-parse", "--verify", "-q", "refs/heads/assay", accept=(0, 1)
    ):
        raise Error(
            f"there is a branch 'assay', so git can have none that is called '{ours}'",
            where=project.root,
            hint="give it another name: git branch -m assay NAME",
        )


def _refuse_elsewhere(project: Project, common: Path, ours: str, folder: Path) -> None:
    """Raise where a person has the loop's branch checked out."""
    place = ""
    for line in os.fsdecode(
        tree_git.on_repository(project, common, "worktree", "list", "--porcelain")
    ).split("\n"):
        if line.startswith("worktree "):
            place = line.removeprefix("worktree ")
        if line == f"branch refs/heads/{ours}" and Path(place) != folder:
            raise Error(
                f"the branch '{ours}' is checked out in {place}, and the loop commits to it",
                where=place,
                hint="check out another branch there; 'git log' and 'git show' read this one",
            )


def _text(out: bytes) -> str:
    return out.decode().strip()
