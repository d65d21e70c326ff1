"""The documents are true: what they say is run, and what there is is said."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

import click
import pytest

from tests import docs, reference

ALL = docs.documents()
RUN = [path for path in ALL if docs.read(path).steps]
REFERENCE = docs.ROOT / "docs" / "reference"


def _name(path: Path) -> str:
    return path.relative_to(docs.ROOT).as_posix()


@pytest.mark.parametrize("path", RUN, ids=_name)
def test_what_a_document_says_is_what_happens(path, tmp_path):
    for tool in re.findall(r"<!-- needs: (\S+) -->", path.read_text(encoding="utf-8")):
        if shutil.which(tool) is None:
            pytest.skip(f"there is no '{tool}' here")
    folder = tmp_path / docs.FOLDER
    folder.mkdir()
    document = docs.read(path)

    answers = docs.run(document, folder)

    commands = [step for step in document.steps if isinstance(step, docs.Command)]
    assert len(answers) == len(commands)
    for answer in answers:
        place = f"{_name(path)}:{answer.command.line}: $ {answer.command.text}"
        assert answer.status == 0 or answer.command.may_fail, f"{place}\n{answer.output}"
        assert docs.matches(answer.command.expected, answer.output), (
            f"{place}\nexpected:\n{answer.command.expected}\nfound:\n{answer.output}"
        )


def test_at_most_five_blocks_are_not_run_and_each_says_why(capsys):
    skipped = [
        f"{_name(path)}:{block.line}: not run: {block.reason}"
        for path in ALL
        for block in docs.read(path).skipped
    ]
    with capsys.disabled():
        sys.stdout.write("".join(f"\n{line}" for line in skipped))
    assert len(skipped) <= 5
    assert all(not line.endswith(": ") for line in skipped)


def test_a_block_that_nothing_runs_is_refused(tmp_path):
    for block in ("```\nassay repro\n```\n", "```python\nimport assay\n```\n"):
        (tmp_path / "new.md").write_text(f"# New\n\n{block}")
        with pytest.raises(ValueError, match=r"new\.md:3: .* is neither 'console' nor a file"):
            docs.read(tmp_path / "new.md")


@pytest.mark.parametrize(
    ("expected", "output", "same"),
    [
        ("Ran a in 1m05s.", "Ran a in 0.2s.", True),
        ("run 01a1fea4-2094: finished", "run 12345678-9abc: finished", True),
        ("run 01a1fea4-2094: finished", "run 12345678-9abc: failed", False),
        ("md5:b026324c  a", "md5:c37f8bc8  a", False),
        ("first\n...\nlast", "first\nlast", True),
        ("first\n...\nlast", "first\nsecond", False),
        ("error: a ... c", "error: a b c", True),
        ("", "warning: something", False),
    ],
)
def test_outputs_are_compared_by_the_rules_of_the_documents(expected, output, same):
    assert docs.matches(expected, output) == same


@pytest.mark.parametrize("path", ALL, ids=_name)
def test_the_generated_parts_are_current(path):
    text = path.read_text(encoding="utf-8")
    assert docs.generated(text) == text, "run 'make docs'"


@pytest.mark.parametrize("path", ALL, ids=_name)
def test_every_link_leads_somewhere(path):
    text = path.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)]+)\)", text):
        file, _, anchor = target.partition("#")
        place = (path.parent / file).resolve() if file else path
        assert place.exists(), target
        if anchor:
            titles = re.findall(r"^#+ (.*)$", place.read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor in {re.sub(r"[^\w -]", "", t).lower().replace(" ", "-") for t in titles}


def test_every_document_can_be_reached_from_the_readme():
    seen: set[Path] = set()
    waiting = [docs.ROOT / "README.md"]
    while waiting:
        path = waiting.pop()
        if path in seen:
            continue
        seen.add(path)
        targets = re.findall(r"\]\(([^)#]+\.md)", path.read_text(encoding="utf-8"))
        waiting += [(path.parent / target).resolve() for target in targets]
    assert set(ALL) <= seen


def test_every_command_and_option_is_in_the_reference():
    text = (REFERENCE / "cli.md").read_text(encoding="utf-8")
    sections = dict(re.findall(r"^## `([^`]+)`\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL))
    for name, command in reference.commands():
        assert name in sections
        for parameter in command.params:
            if isinstance(parameter, click.Option) and not parameter.hidden:
                missing = [option for option in parameter.opts if option not in sections[name]]
                assert not missing, f"{name} {missing}"
                assert parameter.help, f"{name} {parameter.opts} has no help"


def test_every_setting_is_in_the_reference():
    from assay.base.settings import SETTINGS, variable
    from assay.project.config import KEYS

    text = (REFERENCE / "settings.md").read_text(encoding="utf-8")
    for key in SETTINGS:
        assert f"`{key}`" in text
        assert f"`{variable(key)}`" in text
    for section, keys in KEYS.items():
        assert f"`{section}`" in text
        assert all(f"`{key}`" in text for key in keys)


def test_every_section_of_the_declaration_is_in_the_reference():
    from assay.project.declaration import Declaration

    text = (REFERENCE / "assay-yaml.md").read_text(encoding="utf-8")
    titles = re.findall(r"^## `(.*)`$", text, re.MULTILINE)
    assert titles == [*Declaration.__struct_fields__]
    assert titles == [*reference.SECTIONS, "settings"]  # the keys stand in generated parts
    for name in reference.SECTIONS:
        assert f"<!-- generated: section {name} -->" in text


def test_every_variable_that_the_code_reads_is_in_the_reference():
    source = "".join(path.read_text() for path in (docs.ROOT / "src").rglob("*.py"))
    text = (REFERENCE / "settings.md").read_text(encoding="utf-8")
    for variable in set(re.findall(r'"(ASSAY_[A-Z_]*[A-Z])"', source)):
        assert f"`{variable}`" in text


def test_every_exit_code_is_in_the_reference():
    from assay.base import errors

    text = (REFERENCE / "exit-codes.md").read_text(encoding="utf-8")
    kinds: list[type[errors.Error]] = [errors.Error, *errors.Error.__subclasses__()]
    for code in (0, 130, *(kind.exit_code for kind in kinds)):
        assert re.search(rf"^\| {code} \|", text, re.MULTILINE)


def test_a_sentence_has_a_line_of_its_own():
    for path in ALL:
        prose = re.sub(
            r"^```.*?^```", "", path.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE
        )
        prose = docs._GENERATED.sub("", prose)
        for line in prose.splitlines():
            if line[:1] not in {"|", "-", "<", "!", *"0123456789"}:
                assert not re.search(r"[a-z)`][.!?] [A-Z]", line), f"{_name(path)}: {line}"
