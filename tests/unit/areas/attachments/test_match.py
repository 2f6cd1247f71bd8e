# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Matching: every wanted name has one outcome, whatever the order of folders, and no file is two names' without a word of it."""

from __future__ import annotations

import time
import unicodedata

import pytest
from ansible_collections.ops.remediation.plugins.module_utils._areas.attachments import inspect_files, outcomes
from ansible_collections.ops.remediation.plugins.module_utils._areas.attachments import looked as _looked
from ansible_collections.ops.remediation.plugins.module_utils._areas.attachments import match as a
from ansible_collections.ops.remediation.plugins.module_utils._areas.attachments import settings as _settings
from ansible_collections.ops.remediation.plugins.module_utils._areas.attachments.walk import Folder, Walk
from hypothesis import given, settings
from hypothesis import strategies as st


def looked(wanted, folders, rules=None, similar=True):
    """Return what a reading of such folders ({path: names}) would be judged from; nothing is read."""
    index = a.Index([a.Wanted(name) for name in dict.fromkeys(wanted)])
    crowd, listed = a.Crowd(1 << 20), []
    # The walk hands the folders on by path, in whatever order they were read.
    for number, (path, names) in enumerate(sorted(folders.items())):
        raw = [a.encoded(name) for name in names]
        listed.append(Folder(path.encode(), 0, 0, len(raw), "", index.exactly(raw)))
        crowd.add(number, raw)
    walk = Walk(listed, crowd)
    sightings = a.Sightings.of(index, walk.hits)
    sightings.add_variants(index, crowd)
    found = _looked.Looked(index.wanted, index, rules or a.Rules(), walk, sightings)
    if similar:
        inspect_files.find_similar(found, 60.0, time.monotonic() + 60)
    return found


def judged(wanted, folders, **more):
    return {row["name"]: row for row in outcomes.details_of(looked(wanted, folders, **more))}


def codes(wanted, folders, **more):
    return {name: row["code"].partition(".")[2] or row["outcome"] for name, row in judged(wanted, folders, **more).items()}


# --- single rules


def test_the_exact_name_is_found():
    assert codes(["A_1.pdf"], {"/r": ["A_1.pdf", "B_1.pdf"]}) == {"A_1.pdf": "FOUND"}


def test_a_missing_name_is_not_found():
    assert codes(["A_1.pdf"], {"/r": ["ZZZZ_9.csv"]}) == {"A_1.pdf": "not_found"}


def test_the_same_name_in_two_folders_is_a_duplicate_with_both_paths():
    row = judged(["A_1.pdf"], {"/r/x": ["A_1.pdf"], "/r/y": ["A_1.pdf"]})["A_1.pdf"]
    assert (row["outcome"], row["paths"]) == ("DUPLICATED", ["/r/x/A_1.pdf", "/r/y/A_1.pdf"])


@pytest.mark.parametrize(
    ("wanted", "there", "differs"),
    [
        ("A_1.pdf", "a_1.PDF", ["case"]),
        ("A_1.pdf", "A_1.pdf ", ["blanks"]),
        ("A_1.pdf", " A_1.pdf", ["blanks"]),
        ("A_1.pdf", "A_1 .pdf", ["blanks"]),
        ("A_1.pdf", "A_1.pdf\n", ["blanks"]),
        ("A_1.pdf", "\u3000A_1.pdf", ["blanks"]),
        ("A_1.pdf", "a_1.pdf\t", ["blanks", "case"]),
    ],
)
def test_a_name_that_differs_in_case_or_blanks(wanted, there, differs):
    row = judged([wanted], {"/r": [there]})[wanted]
    assert (row["outcome"], row["code"], row["differs"]) == ("NOT_FOUND", "attachments.case_differs", differs)
    assert row["candidates"] == [a.shown(f"/r/{there}")]
    assert row["move"] == ["/r", there, wanted]


def test_a_name_in_another_unicode_form_is_seen_and_not_renamed():
    wanted = "명세서_1.pdf"
    row = judged([wanted], {"/r": [unicodedata.normalize("NFD", wanted)]}, rules=_settings.rules_of(None, r"^[\w.-]+$"))[wanted]
    assert (row["code"], row["differs"]) == ("attachments.case_differs", ["normalisation"])
    assert "move" not in row


def test_an_exact_name_beside_one_in_another_case_is_found():
    assert codes(["A_1.pdf"], {"/r": ["A_1.pdf", "a_1.pdf"]}) == {"A_1.pdf": "FOUND"}


def test_two_names_that_differ_in_case_have_each_their_own_file():
    assert codes(["A_1.pdf", "a_1.pdf"], {"/r": ["A_1.pdf", "a_1.pdf"]}) == {"A_1.pdf": "FOUND", "a_1.pdf": "FOUND"}
    assert codes(["A_1.pdf", "a_1.pdf"], {"/r": ["A_1.pdf"]}) == {"A_1.pdf": "FOUND", "a_1.pdf": "not_found"}


def test_one_file_that_two_names_could_mean_is_told_and_renamed_for_neither():
    rows = judged(["A_1.pdf", "a_1.pdf"], {"/r": ["A_1.PDF"]})
    assert all(row["shared"] and row["code"] == "attachments.case_differs" and "move" not in row for row in rows.values())


def test_several_candidates_are_not_renamed():
    row = judged(["A_1.pdf"], {"/r": ["a_1.pdf", "A_1.PDF"]})["A_1.pdf"]
    assert len(row["candidates"]) == 2
    assert "move" not in row


@pytest.mark.parametrize(
    ("there", "is_near"),
    [
        ("BAC04V403R_MERSTAT_GID_20001024_20261121_1.xlsx", True),
        ("BAC04V403R_MERSTAT_GID_20001024_20261121_2.xls", True),
        ("BAC04V403R-MERSTAT-GID-20001024-20261121-1.xls", True),
        ("BAC04V403R_MERSTAT_GID_2OOO1O24_20261121_1.xls", True),
        ("BAC04V403R_MERSTAT_GID_20001024_20261121_1.xls.part", True),
        ("ВАС04V403R_MERSTAT_GID_20001024_20261121_1.xls", True),  # Cyrillic letters in front
        ("ANOTHER_THING_ALTOGETHER_77.xls", False),
    ],
)
def test_similar_names(there, is_near):
    wanted = "BAC04V403R_MERSTAT_GID_20001024_20261121_1.xls"
    others = [f"BAC04V403R_MERSTAT_GID_2000{number}_20261121_1.xls" for number in range(2000, 2100)]
    row = judged([wanted], {"/r": [there, *others]})[wanted]
    assert row["outcome"] == "NOT_FOUND"
    assert (row["code"] == "attachments.near_name") is is_near, row
    if is_near:
        assert row["candidates"][0] == f"/r/{there}"


def test_the_file_of_another_customer_is_no_candidate():
    """It differs in one digit, and is nobody else's on this list; still it is not a misspelling."""
    names = [f"BAC04V403R_MERSTAT_GID_{number}_20261121_1.xls" for number in range(20001000, 20001100)]
    assert codes([names[50]], {"/r": names[:50] + names[51:]}) == {names[50]: "not_found"}


def test_a_file_that_another_name_has_is_no_candidate():
    assert codes(["A_1.pdf", "A_l.pdf"], {"/r": ["A_1.pdf"]}) == {"A_1.pdf": "FOUND", "A_l.pdf": "not_found"}


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("", "no_name"),
        ("   ", "no_name"),
        ("../../etc/passwd", "bad_name"),
        ("..", "bad_name"),
        ("A_1.pdf\0.xls", "bad_name"),
        ("A_1.pdf\n", "bad_name"),
        ("$(reboot).pdf", "bad_name"),
        ("a;b.pdf", "bad_name"),
        ("a b.pdf", "bad_name"),
        ("x" * 300 + ".pdf", "bad_name"),
        ("명세서.pdf", "bad_name"),
        ("\ud800.pdf", "bad_name"),
        ("A_1.exe", "extension"),
        ("A_1", "extension"),
        ("A_1.PDF", ""),
    ],
)
def test_names_that_are_not_allowed(name, code):
    assert a.Rules().broken_by(name).partition(".")[2] == code


def test_a_wanted_name_that_is_not_allowed_is_never_looked_up_as_a_path():
    rows = judged(["../r/A_1.pdf", "A_1.pdf "], {"/r": ["A_1.pdf"]})
    assert rows["../r/A_1.pdf"]["paths"] == rows["../r/A_1.pdf"]["candidates"] == []
    assert rows["A_1.pdf "]["candidates"] == ["/r/A_1.pdf"]


def test_names_with_control_characters_are_shown_escaped():
    assert a.shown("a\x1b[31m\nb\u202e.pdf") == "a\\x1b[31m\\nb\\u202e.pdf"


def test_bytes_that_are_no_text_are_kept_apart():
    index = a.Index([a.Wanted("A_1.pdf")])
    names = [b"\xff\xfe.pdf", b"A_1.pdf", b"a_1.PDF"]
    assert index.exactly(names) == [b"A_1.pdf"]
    assert index.nearly(names, b"\0".join(names)) == [b"A_1.pdf", b"a_1.PDF"]


# --- properties

_names = st.text(st.sampled_from("aAbB1lO0_-. \té\u0301가"), min_size=1, max_size=6).map(lambda stem: stem + ".pdf")
_folders = st.dictionaries(st.sampled_from(["/r", "/r/x", "/r/y"]), st.sets(_names, max_size=6), max_size=3)


@given(st.lists(_names, max_size=6), _folders)
@settings(max_examples=400, deadline=None)
def test_every_wanted_name_has_exactly_one_outcome(wanted, folders):
    rows = outcomes.details_of(looked(wanted, folders))
    assert [row["name"] for row in rows] == [a.shown(name) for name in dict.fromkeys(wanted)]
    assert all(row["outcome"] in a.OUTCOMES and row["outcome"] != "UNKNOWN" for row in rows)
    assert all(bool(row["code"]) is (row["outcome"] != "FOUND") for row in rows)


@given(st.lists(_names, max_size=6), _folders, st.randoms(use_true_random=False))
@settings(max_examples=200, deadline=None)
def test_the_order_of_the_walk_does_not_matter(wanted, folders, random):
    def told(order):
        shuffled = {path: random.sample(sorted(folders[path]), len(folders[path])) for path in order}
        rows = judged(wanted, shuffled)
        return {name: (row["outcome"], row["code"], sorted(row["paths"]), sorted(row["candidates"])) for name, row in rows.items()}

    # Not only the folders: the names of one come as the file system has them.
    assert told(sorted(folders)) == told(sorted(folders, reverse=True))


@given(st.lists(_names, max_size=6), _folders)
@settings(max_examples=400, deadline=None)
def test_a_file_is_two_names_only_where_that_is_told(wanted, folders):
    rules = _settings.rules_of(None, ".*")
    rows = list(judged(wanted, folders, rules=rules).values())
    owners = {}
    for row in rows:
        for path in row["paths"] if row["outcome"] in ("FOUND", "DUPLICATED") else row["candidates"]:
            owners.setdefault(path, []).append(row)
    for path, sharing in owners.items():
        if len(sharing) > 1:
            assert all(row.get("shared") for row in sharing), (path, sharing)
    moves = [tuple(row["move"]) for row in rows if "move" in row]
    assert len({move[:2] for move in moves}) == len(moves) == len({(move[0], move[2]) for move in moves})


@given(st.lists(_names, max_size=6), _folders)
@settings(max_examples=300, deadline=None)
def test_outcomes_are_those_of_a_naive_comparison(wanted, folders):
    for name, row in judged(wanted, folders, rules=_settings.rules_of(None, ".*"), similar=False).items():
        exact = sum(name in map(a.shown, names) for names in folders.values())
        if row["outcome"] != "INVALID":
            assert row["outcome"] == ("FOUND" if exact == 1 else "DUPLICATED" if exact else "NOT_FOUND")


@given(st.text(max_size=12).map(a.encoded).filter(lambda name: b"\0" not in name))
@settings(max_examples=500, deadline=None)
def test_folding_is_the_same_one_by_one_and_all_together_and_twice(name):
    assert a.fold_all([name, b"plain.pdf"], name + b"\0plain.pdf") == [a.fold(name), b"plain.pdf"]
    assert a.fold(a.fold(name)) == a.fold(name)


def test_a_file_that_looks_like_two_missing_names_is_told_as_such():
    rows = judged(["MERSTAT_2O_1.pdf", "MERSTAT_20_l.pdf", "OTHER_7.csv"], {"/r": ["MERSTAT_20_1.pdf", "OTHER_7.CSV"]})
    assert {name: (row["code"], row.get("shared")) for name, row in rows.items()} == {
        "MERSTAT_2O_1.pdf": ("attachments.near_name", True),
        "MERSTAT_20_l.pdf": ("attachments.near_name", True),
        "OTHER_7.csv": ("attachments.case_differs", None),
    }


def test_looking_for_similar_names_ends_in_time():
    crowd = a.Crowd(1 << 26)
    crowd.add(0, [f"BAC_{number:08}.xls".encode() for number in range(200_000)])
    started = time.monotonic()
    _found, looked_at = a.alike([f"XYZ_{number:08}.pdf" for number in range(500)], crowd, [], started + 0.3)
    assert time.monotonic() - started < 2
    assert looked_at < 500


def test_a_crowd_that_is_too_large_says_so():
    crowd = a.Crowd(20)
    crowd.add(0, [b"a.pdf"])
    assert crowd.whole
    crowd.add(1, [b"a_very_long_name_indeed.pdf"])
    assert not crowd.whole
    assert crowd.folders == [(0, b"a.pdf")]
