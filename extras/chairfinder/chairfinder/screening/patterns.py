"""Finds backdrops painted into the pixels: the checkerboard that editors show for transparency, and panels."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy import fft, ndimage
from scipy.spatial import ConvexHull, QhullError

from chairfinder.screening.thresholds import Thresholds
from chairfinder.screening.views import SegmentView, channel_range, grown, shrunk
from chairlib.collection.opacity import MASK_OPACITY

Array = NDArray[np.float32]

#: Squares of a checkerboard, in pixels, that are looked for; and how far a colour may be from grey.
_SQUARES = (3, 64)
_GREYNESS = 16
#: Least difference of the two tones, of 255.
_TONE_STEP = 5
#: With fewer pixels just inside its outline, an object is too small or thin to tell what it stands on.
_RIM_PIXELS = 40
#: Of 255: how far a colour may be from the backdrop's (a smooth gradient) and still be the backdrop.
_PANEL_TOLERANCE = 7
#: Least share of the panel's border that is plain; the object may cover the rest.
_PANEL_BORDER = 0.5
#: An object on a panel has a step of colour of at least so much, of 255, along at least this share of its border. The
#: highlight of a sphere looks like a panel as well, but it fades out.
_SHARP_STEP, _SHARP_BORDER = 20, 0.5
#: The rim of a patterned object has at most so many smooth colours, and a pixel differs by at most so much, of 255,
#: from one of them.
_RIM_COLOURS, _RIM_TOLERANCE = 3, 12
#: The rim's depth in pixels, and the largest difference, of 255, among neighbours that are of one colour.
_EDGE_WIDTH, _MAX_RIM_STEP = 6, 40


def painted_checkerboard(view: SegmentView, limits: Thresholds) -> str | None:
    """Grey and white squares that stand for transparency, as opaque pixels."""
    copies = [view.fine]
    if max(view.image.size) > max(view.fine.shape):
        # Small squares are averaged away in a small copy, or look like larger ones: parts as they are come first.
        side = max(view.fine.shape)
        copies = [
            np.asarray(view.image.crop((0, top, side, top + side))) for top in (0, view.image.height // 2)
        ] + copies
    for pixels in copies:
        match, share, square = checkerboard_match(pixels)
        if match >= limits.checkerboard_match and share >= limits.checkerboard_share:
            if pixels is view.fine:
                square *= view.image.width / pixels.shape[1]
            return (
                f"{share:.0%} of the image fits a grid of squares of {square:.0f} pixels to {match:.0%} "
                f"(below {limits.checkerboard_match:.0%} it is none); save it with real transparency"
            )
    return None


def checkerboard_match(pixels: NDArray[np.uint8]) -> tuple[float, float, float]:
    """How well the greyish pixels of [H, W, 4] fit a checkerboard: (match up to 1, share of the image, square's side).

    The two commonest tones get the signs +1 and -1. On a board with squares of s pixels the autocorrelation of the
    signs is near +1 at a shift of 2 s along a row or column, near -1 at s, and near +1 at the diagonal shift (s, s).
    Shifts are whole pixels, so the side that is looked for is half of a whole period. Where the period p is odd,
    squares of two lengths alternate, and even a perfect board reaches only 1 - 2 / p at half of it: figures are
    relative to that.
    """
    signs = _two_tones(pixels)
    share = float((signs != 0).mean())
    if share < 0.01:
        return 0.0, share, 0.0
    across, down = _autocorrelation(signs), _autocorrelation(signs.T)
    longest = min(2 * _SQUARES[1], len(across), len(down)) - 2
    best, period, half = 0.0, 0, 0
    for shift in range(2 * _SQUARES[0], longest + 1):
        sides = (shift // 2, (shift + 1) // 2)
        least, middle = min((float(max(across[side], down[side])), side) for side in sides)
        opposite = -least / _largest_opposite(shift)
        score = min(opposite, across[shift], down[shift])
        if score > best + 0.02:  # three times the period fits as well
            best, period, half = float(score), shift, middle
    if best < 0.3:
        return best, share, period / 2
    diagonal = signs[half:, half:] * signs[:-half, :-half]
    mean = float(diagonal.sum()) / max(1, int(np.count_nonzero(diagonal)))
    along_diagonal: float = mean / _largest_opposite(period) ** 2
    return min(best, along_diagonal), share, period / 2


def _largest_opposite(period: int) -> float:
    """What the negative autocorrelation of a perfect board is at most, at a shift of half of ``period`` pixels."""
    return 1 - 2 / period if period % 2 else 1.0


def _two_tones(pixels: NDArray[np.uint8]) -> Array:
    """+1 and -1 for the two commonest greys of [H, W, 4], 0 for everything else."""
    colours = pixels[..., :3]
    low, high = channel_range(colours)
    grey = (high - low <= _GREYNESS) & (pixels[..., 3] > MASK_OPACITY)
    signs = np.zeros(grey.shape, np.float32)
    counts = np.bincount(colours[..., 1][grey], minlength=256).astype(float)
    if counts.sum() < 0.02 * grey.size:
        return signs
    smooth = np.convolve(counts, [1, 2, 3, 2, 1], mode="same")
    first = int(smooth.argmax())
    away = np.abs(np.arange(256) - first) >= _TONE_STEP
    # A tone is a peak, not the slope of the first one's.
    peaks = (smooth >= np.roll(smooth, 1)) & (smooth >= np.roll(smooth, -1))
    peaks[[0, 255]] = smooth[[0, 255]] >= smooth[[1, 254]]
    second = int(np.where(away & peaks, smooth, 0).argmax())
    if smooth[second] < 0.1 * smooth[first]:
        return signs
    reach = max(2, min(12, int(0.4 * abs(first - second))))
    tone = colours[..., 1].astype(np.int16)
    signs[grey & (np.abs(tone - first) <= reach)] = 1
    signs[grey & (np.abs(tone - second) <= reach)] = -1
    counted = np.count_nonzero(signs)
    if counted < 0.01 * signs.size or abs(signs.sum()) > 0.85 * counted:
        signs[:] = 0
    return signs


def _autocorrelation(signs: Array) -> Array:
    """Autocorrelation along the rows of [H, W], at shifts from 0 up: [shifts].

    Each value is the mean product of pixels that both have a sign, or 0 where too few have.
    """
    step = max(1, signs.shape[0] // 192)
    rows = signs[::step]
    shifts = min(2 * _SQUARES[1], rows.shape[1])
    length = fft.next_fast_len(rows.shape[1] + shifts, real=True)

    def correlate(values: Array) -> Array:
        power = np.abs(fft.rfft(values, length, axis=1)) ** 2
        result: Array = fft.irfft(power.sum(axis=0), length)[:shifts].astype(np.float32)
        return result

    together = correlate(np.abs(rows))
    return np.where(together > 0.05 * together[0], correlate(rows) / np.maximum(together, 1), 0).astype(np.float32)


def painted_panel(view: SegmentView, limits: Thresholds) -> str | None:
    """An opaque rectangle, rounded rectangle or disc with the object painted on it, or a photograph.

    The alpha channel outlines the panel, not the object.
    """
    return _plain_panel(view, limits) or _photograph(view, limits)


def _plain_panel(view: SegmentView, limits: Thresholds) -> str | None:
    """The panel's colour, flat or a smooth gradient, is fitted to the object's rim; what has that colour must have a
    convex outline of one of these shapes, must be filled, and something else must stand on it, with a sharp border.
    """
    opaque = view.mask
    rim = _rim(opaque, 3)
    if np.count_nonzero(rim) < _RIM_PIXELS:
        return None
    backdrop = _coloured_like_rim(view, rim)
    if np.count_nonzero(backdrop & rim) < 0.35 * np.count_nonzero(rim):
        return None
    if np.count_nonzero(backdrop) < 0.15 * view.area:
        return None
    backdrop = grown(shrunk(backdrop))
    hull = _hull(backdrop)
    size = np.count_nonzero(hull)
    if size < 0.5 * view.area or np.count_nonzero(hull & opaque) < 0.97 * size:
        return None
    inner = shrunk(hull, 4)
    border = hull & ~inner
    if np.count_nonzero(backdrop & border) < _PANEL_BORDER * np.count_nonzero(border):
        return None
    other = 1 - np.count_nonzero(backdrop & hull) / size
    if other < limits.panel_object or not _has_sharp_border(view, inner & ~backdrop, backdrop):
        return None
    shape, fit = _shape_fit(hull)
    if fit < limits.panel_fit:
        return None
    return (
        f"a plain area with the outline of {shape} (to {fit:.0%}; below {limits.panel_fit:.0%} it is none), "
        f"{other:.0%} of it covered by something else: a panel, not an object"
    )


def _has_sharp_border(view: SegmentView, area: NDArray[np.bool_], backdrop: NDArray[np.bool_]) -> bool:
    """Whether colours change abruptly along most of the area's border, by more than the backdrop's own grain."""
    steps = ndimage.maximum_filter(view.variation, 5)
    border = steps[area & ~shrunk(area)]
    abrupt = border >= _SHARP_STEP + np.median(steps[backdrop])
    return np.count_nonzero(abrupt) >= _SHARP_BORDER * border.size


def _photograph(view: SegmentView, limits: Thresholds) -> str | None:
    """A strictly regular outline with many different things along it.

    Objects of such a shape have few colours along their outline, shaded or in a pattern.
    """
    rim = _rim(view.mask, _EDGE_WIDTH) & (view.variation <= _MAX_RIM_STEP)
    if np.count_nonzero(rim) < _RIM_PIXELS:
        return None
    shape, fit = _shape_fit(view.mask)
    if fit < limits.photo_fit:
        return None
    motley = _share_unlike_any_colour(view, rim)
    if motley <= limits.photo_rim:
        return None
    return (
        f"its outline is {shape} (to {fit:.1%}; below {limits.photo_fit:.1%} it is none), "
        f"and {motley:.0%} of its rim has none of "
        f"{_RIM_COLOURS} smooth colours (at most {limits.photo_rim:.0%}): a photograph with its backdrop, not an object"
    )


def _share_unlike_any_colour(view: SegmentView, rim: NDArray[np.bool_]) -> float:
    """The share of the rim's pixels that are far from all of :data:`_RIM_COLOURS` smooth colours.

    Each colour is a quadratic function of place. Assigning pixels and fitting colours alternate, as in k-means.
    """
    places, colours = _sample(view, rim)
    at = _quadratic_terms(places, rim.shape)
    brightness = colours.mean(axis=-1)
    nearest = np.digitize(brightness, np.quantile(brightness, np.arange(1, _RIM_COLOURS) / _RIM_COLOURS))
    for _ in range(8):
        members = [nearest == number for number in range(_RIM_COLOURS)]
        fitted = [at @ np.linalg.lstsq(at[own], colours[own], rcond=None)[0] for own in members]
        away = np.abs(np.stack(fitted) - colours).max(axis=-1)
        nearest = away.argmin(axis=0)
    return float((away.min(axis=0) > _RIM_TOLERANCE).mean())


def _rim(mask: NDArray[np.bool_], width: int) -> NDArray[np.bool_]:
    """A band just inside the outline, which may be blended, down to a depth of ``width`` pixels."""
    return shrunk(mask) & ~shrunk(mask, width)


def _sample(view: SegmentView, area: NDArray[np.bool_]) -> tuple[NDArray[np.intp], Array]:
    """About 600 of the area's pixels: flat indices [N] and colours [N, 3]."""
    places = np.flatnonzero(area)
    places = places[:: max(1, len(places) // 600)]
    return places, view.coarse[..., :3].reshape(-1, 3)[places].astype(np.float32)


def _coloured_like_rim(view: SegmentView, rim: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The opaque pixels whose colour fits the rim's, as a quadratic function of place, without its outliers."""
    places, values = _sample(view, rim)
    at = _quadratic_terms(places, rim.shape)
    near = np.abs(values - np.median(values, axis=0)).max(axis=-1)
    kept = near <= max(_PANEL_TOLERANCE, float(np.quantile(near, 0.5)))
    for _ in range(3):
        fitted = np.linalg.lstsq(at[kept], values[kept], rcond=None)[0]
        kept = np.abs(at @ fitted - values).max(axis=-1) <= _PANEL_TOLERANCE
        if kept.mean() < 0.3:
            return np.zeros_like(rim)
    inside = np.flatnonzero(view.mask)
    colours = view.coarse[..., :3].reshape(-1, 3)
    alike = np.abs(_quadratic_terms(inside, rim.shape) @ fitted - colours[inside]).max(axis=-1) <= _PANEL_TOLERANCE
    found = np.zeros(rim.size, bool)
    found[inside[alike]] = True
    return found.reshape(rim.shape)


def _quadratic_terms(places: NDArray[np.intp], shape: tuple[int, ...]) -> Array:
    """The terms of a quadratic function at flat indices into [H, W]: [N, 6]."""
    y, x = np.divmod(places, shape[1])
    y, x = (2 * y / shape[0] - 1).astype(np.float32), (2 * x / shape[1] - 1).astype(np.float32)
    return np.stack([np.ones_like(x), x, y, x * y, x * x, y * y], axis=-1)


def _hull(area: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The convex hull's pixels; none where the area has no extent."""
    rows = np.flatnonzero(area.any(axis=1))
    empty = np.zeros_like(area)
    if len(rows) < 3:
        return empty
    left = area[rows].argmax(axis=1)
    right = area.shape[1] - 1 - area[rows][:, ::-1].argmax(axis=1)
    points = np.concatenate([np.stack([left, rows], axis=1), np.stack([right, rows], axis=1)])
    try:
        corners = points[ConvexHull(points).vertices]
    except QhullError:
        return empty
    canvas = Image.new("1", area.shape[::-1])
    ImageDraw.Draw(canvas).polygon([(int(px), int(py)) for px, py in corners], fill=1)
    return np.asarray(canvas)


def _shape_fit(area: NDArray[np.bool_]) -> tuple[str, float]:
    """The best of rectangle, rounded rectangle and ellipse in the area's box, and its IoU with the area."""
    rows, columns = np.flatnonzero(area.any(axis=1)), np.flatnonzero(area.any(axis=0))
    part = area[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    height, width = part.shape
    radius = int(np.sqrt(max(0.0, (part.size - np.count_nonzero(part)) / (4 - np.pi))))
    shapes = {}
    for name in ("a rectangle", "a rounded rectangle", "an ellipse"):
        canvas = Image.new("1", (width, height))
        pen, frame = ImageDraw.Draw(canvas), (0, 0, width - 1, height - 1)
        if name == "an ellipse":
            pen.ellipse(frame, fill=1)
        else:
            pen.rounded_rectangle(frame, radius if name == "a rounded rectangle" else 0, fill=1)
        shape = np.asarray(canvas)
        shapes[name] = np.count_nonzero(shape & part) / np.count_nonzero(shape | part)
    best = max(shapes, key=lambda name: shapes[name])
    return best, shapes[best]
