from chairlib.show.boxes import ABSENT, absent, in_short


def test_the_answer_is_one_box_of_escaped_sentences():
    shown = in_short("A < B.", "It holds.").data
    assert "In short." in shown
    assert "In short.</strong> A &lt; B.</p><p>It holds.</p>" in shown


def test_what_is_absent_is_a_line_that_the_site_finds():
    assert absent("More & more.").data == f'<p class="{ABSENT}">More &amp; more.</p>'
