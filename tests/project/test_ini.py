"""The text of a configuration is edited in place: what a person wrote stays."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from assay.project import ini

TEXT = """\
# the team's
[core]
    remote = st  # since May
    # slow machines
    checksum_jobs = 2

# where the data lies
['remote "st"']  # fast
    url = /store
    # see the wiki
    jobs = 4
['remote "other"']
    url = /other
"""


def comments(text: str) -> list[str]:
    return [line.partition("#")[2] for line in text.splitlines() if "#" in line]


def test_a_section_that_is_renamed_keeps_place_and_comments():
    renamed = ini.renamed_section(TEXT, 'remote "st"', 'remote "new one"')
    assert renamed == TEXT.replace("""['remote "st"']""", """['remote "new one"']""")


def test_a_section_that_is_removed_leaves_the_comments_on_lines_of_their_own():
    removed = ini.without_section(TEXT, 'remote "st"')
    assert ini.parse(removed, where="") == {
        "core": {"remote": "st", "checksum_jobs": "2"},
        'remote "other"': {"url": "/other"},
    }
    assert comments(removed) == [c for c in comments(TEXT) if c != " fast"]


def test_a_section_that_stands_twice_is_removed_twice():
    text = f"{TEXT}['remote \"st\"']\n    verify = true\n"
    assert 'remote "st"' not in ini.parse(ini.without_section(text, 'remote "st"'), where="")


def test_an_emptied_section_stays_where_it_holds_a_comment():
    text = "[core]\n    # mine\n    remote = st\n"
    assert ini.without_option(text, "core", "remote") == "[core]\n    # mine\n"
    assert ini.without_option("[core]\n    remote = st\n", "core", "remote") == ""


NAMES = st.sampled_from(["core", "cache", 'remote "a"', 'remote "b c"', 'remote "ü"'])
KEYS = st.sampled_from(["url", "jobs", "type"])
EDITS = st.lists(
    st.one_of(
        st.tuples(st.just("set"), NAMES, KEYS, st.sampled_from(["1", "a b", "x,y", "#", ""])),
        st.tuples(st.just("unset"), NAMES, KEYS, st.just("")),
        st.tuples(st.just("remove"), NAMES, KEYS, st.just("")),
    )
)


@given(EDITS)
def test_after_any_edits_the_text_says_what_a_dictionary_would(edits):
    text = TEXT
    model = ini.parse(text, where="")
    before = [c for c in comments(text) if c not in {" fast", " since May"}]
    for action, section, key, value in edits:
        if action == "set":
            text = ini.with_option(text, section, key, value)
            model.setdefault(section, {})[key] = value
        elif action == "unset":
            text = ini.without_option(text, section, key)
            model.get(section, {}).pop(key, None)
        else:
            text = ini.without_section(text, section)
            model.pop(section, None)
        found = ini.parse(text, where="")
        assert {s: o for s, o in found.items() if o} == {s: o for s, o in model.items() if o}
    assert all(comment in comments(text) for comment in before)
