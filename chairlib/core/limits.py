"""The limits that decide which words a report may say. They are fixed before the results that they judge are seen.

They were fixed on 2026-11-27, before any result of the profile ``evening`` was seen. One had been lowered once after
its result had been seen: LEAST_VALIDATION_PHOTOS, from 30 to 25, as the stand-in then had only 28. It is 30 again. To
change one: before a build, in a commit of its own that says why. Limits that decide numbers in records stand in the
code that makes these: CONVERGENCE_MARGIN in ``benchmark.training``, MIN_CHAIR_PIXELS in ``benchmark.metrics``.
"""

#: The level of the intervals of differences. Without a true difference, at most 1 - CONFIDENCE of them leave out 0.
CONFIDENCE = 0.95
#: The smallest gain that can be found is the one that is found in this share of studies.
POWER = 0.80
#: With fewer seeds that both sides have, the verdict is ``one seed``.
LEAST_SEEDS = 2
#: With fewer validation photos that hold the object, a curve does not tell when it crosses a line.
LEAST_VALIDATION_PHOTOS = 30
