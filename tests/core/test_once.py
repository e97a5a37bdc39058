from chairlib.core.once import look, looked_at_once


def test_what_was_found_is_found_again_only_within_the_moment():
    found = iter(range(9))
    assert [look("key", lambda: next(found)) for _ in range(2)] == [0, 1]
    with looked_at_once():
        assert [look(key, lambda: next(found)) for key in ("key", "key", "other", "key")] == [2, 2, 3, 2]
    with looked_at_once():
        assert look("key", lambda: next(found)) == 4
    assert look("key", lambda: next(found)) == 5
