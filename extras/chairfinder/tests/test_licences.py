"""What counts as a licence, and which licences forbid what a composite does."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chairfinder.licences import forbids_changes, is_stated, licence_at

CC = "https://creativecommons.org"


@pytest.mark.parametrize(
    ("address", "name"),
    [
        (f"{CC}/licenses/by/4.0/", "CC BY 4.0"),
        ("http://www.creativecommons.org/licenses/by-nc-sa/2.0/de/deed.en", "CC BY-NC-SA 2.0"),
        ("//creativecommons.org/licenses/by/4.0", "CC BY 4.0"),
        (f"{CC}/publicdomain/zero/1.0/", "CC0"),
        (f"{CC}/publicdomain/mark/1.0/", "PDM"),
        (f"{CC}/licenses/publicdomain/", "PDM"),
        (f"{CC}/licenses/nc-sampling+/1.0/", "CC NC-SAMPLING+ 1.0"),
    ],
)
def test_names_of_deeds(address, name):
    assert licence_at(address) == name
    assert is_stated("", address)
    assert is_stated(address)


@pytest.mark.parametrize(
    "address",
    [
        "https://shop.example/terms",
        f"https://shop.example/?{CC}/licenses/by/4.0/",
        "https://notcreativecommons.org/licenses/by/4.0/",
        f"{CC}/about/",
        f"{CC}/licenses/by/4.0.evil",
        "see https://shop.example/terms",
    ],
)
def test_other_addresses_are_no_licence(address):
    assert licence_at(address) == ""
    assert not is_stated("", address)
    assert not is_stated(address)
    assert is_stated("CC BY 4.0", address)  # the name is one


def test_a_name_is_a_licence_and_nothing_is_none():
    assert is_stated("own photograph")
    assert not is_stated("  ", "")
    assert is_stated(f"see {CC}/licenses/by/4.0/")


@pytest.mark.parametrize(
    "licence",
    [
        *("All rights reserved", "© 2020 A. Person. All Rights Reserved.", "all-rights-reserved", "Unknown"),
        "unknown licence",
        *("none", "None.", "n/a", "N.A.", "NaN", "null", "no license", "not stated", "not applicable", "unlicensed"),
        *("fair use", "Fair use (logo)", "fair dealing", "editorial use only", "For editorial purposes", "non-free"),
        *("©", "© A. Person", "(c) 2019 A. Person", "Copyright", "Copyright 2021", "Copyright A. Person", "-", "?"),
        *("4.0", "…"),
    ],
)  # fmt: skip
def test_what_stands_in_a_licences_place_and_is_none(licence):
    assert not is_stated(licence)
    assert not is_stated(f"  {licence.upper()} ", "https://shop.example/terms")
    assert is_stated(licence, f"{CC}/licenses/by/4.0/")  # the address is one


@pytest.mark.parametrize(
    "licence",
    [
        *("CC BY 4.0", "CC0", "PDM", "Public domain", "GFDL", "MIT", "No restrictions", "No rights reserved"),
        *("Copyrighted free use", "© A. Person, CC BY-SA 3.0", "Copyright A. Person, licensed under the GFDL", "FAL"),
        *("Attribution", "自由", "Nonesuch Licence", "Licence Ouverte", "OGL-C 2.0", "Unsplash licence"),
    ],
)
def test_names_of_licences(licence):
    assert is_stated(licence)


NAMES = [
    "CC BY-ND 4.0",
    "cc by-nc-nd",
    "BY-ND",
    "CC-BY-NC-ND-3.0",
    "CC BY NC ND",
    "CCBYNCND",
    "CC BY\u2013ND 2.0",
    "by-nd2.0",
]
WORDS = [
    "Attribution-NoDerivs 2.0",
    "Attribution-NonCommercial-NoDerivatives",
    "No Derivative Works",
    "no modifications",
]


@pytest.mark.parametrize("licence", [*NAMES, *WORDS, f"see {CC}/licenses/by-nd/4.0/", f"{CC}/licenses/by-nc-nd/2.5/"])
def test_licences_that_forbid_changes(licence):
    assert forbids_changes(licence)


@pytest.mark.parametrize("code", ["by-nd", "by-nc-nd", "nd", "nd-nc", "BY-ND"])
def test_addresses_of_licences_that_forbid_changes(code):
    assert forbids_changes("", f"{CC}/licenses/{code}/2.0/")
    assert forbids_changes("CC BY 4.0", f"{CC}/licenses/{code}/2.0/")


@pytest.mark.parametrize(
    "licence",
    [
        "",
        "CC BY 4.0",
        "CC BY-NC-SA 2.0",
        "CC0",
        "PDM",
        "Public domain",
        "The Land Trust",
        "indoor licence",
        "Anderson",
        "GFDL",
    ],
)
def test_licences_that_allow_changes(licence):
    assert not forbids_changes(licence, f"{CC}/licenses/by-sa/4.0/")


@given(st.text(), st.text())
def test_any_text_is_judged(licence, address):
    if is_stated(licence):
        assert any(sign.isalpha() for sign in licence)
        assert is_stated(licence, address)  # no address takes a stated licence back
        assert not is_stated(f"{licence}, all rights reserved") or licence_at(re.sub(r"^see\s+", "", licence.strip()))
    assert is_stated("", address) >= bool(licence_at(address))
    assert forbids_changes(f"{licence} CC BY-ND 4.0", address)
