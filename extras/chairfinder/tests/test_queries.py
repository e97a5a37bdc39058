from collections import Counter

import pytest

from chairfinder.queries import Query, default_queries, read_queries
from chairlib.core.errors import ParameterError


def test_those_of_the_package():
    queries = default_queries()
    counts = Counter(query.kind for query in queries)
    assert counts["segment"] >= 60
    assert counts["background"] >= 40
    assert all(len(query.text.split()) == 2 for query in queries if query.kind == "segment")
    for named in ("arm chair", "accent chair", "swivel chair", "office chair", "dining chair"):
        assert Query(named, "segment") in queries


def test_a_file(tmp_path):
    file = tmp_path / "q.txt"
    file.write_bytes(
        "\ufeff# mine\r\n[ Segment ]\r\n  arm   chair # good\r\n\r\n[background]\r\narm chair\r\nKüche\r\n".encode()
    )
    assert read_queries(file) == [
        Query("arm chair", "segment"),
        Query("arm chair", "background"),
        Query("Küche", "background"),
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "holds no query"),
        (b"[segment]\n# x\n", "holds no query"),
        (b"arm chair\n", "line 1: 'arm chair' stands before any section"),
        (b"[chair]\nx\n", r"line 1: section \[chair\] is unknown"),
        (b"[segment]\na b\nc\nA  B\n", r"line 4: 'A B' stands twice \(first in line 2\)"),
        (b"[segment]\n" + b"x" * 101, "line 2: .* at most 100"),
        (b"[segment]\na\x07b\n", "line 2"),
        (b"[segment]\narm chair\n???\n", r"line 3: '\?\?\?' holds no letter or digit"),
        (b"[background]\n_\n", "line 2: '_' holds no letter or digit"),
        (b"[segment]\nK\xfcche\n", r"not text in UTF-8 \(byte 11\)"),
    ],
)
def test_files_that_are_none(tmp_path, content, message):
    file = tmp_path / "q.txt"
    file.write_bytes(content)
    with pytest.raises(ParameterError, match=message) as caught:
        read_queries(file)
    assert str(file) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_missing(tmp_path):
    with pytest.raises(ParameterError, match="cannot be read"):
        read_queries(tmp_path / "none.txt")
