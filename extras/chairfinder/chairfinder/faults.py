"""Puts the faults of real downloads onto good segments, to test the screening rules and to show what they refuse.

A fault takes an RGBA image (8 bits, straight alpha), a random generator and a severity from 0 (barely there) to 1
(plain to see), and returns an RGBA image with that one fault. :data:`FAULTS` holds them by name, :data:`REASONS` the
rule that should refuse each.
"""

import io
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageFont, ImageOps
from scipy import ndimage

from chairfinder.boxes import object_box
from chairfinder.screening import screen_segment
from chairlib.collection.opacity import MASK_OPACITY
from chairlib.core.errors import ParameterError

Fault = Callable[[Image.Image, np.random.Generator, float], Image.Image]

_WHITE = (255, 255, 255)


def apply_fault(name: str, segment: Image.Image, seed: int = 0, severity: float = 1.0) -> Image.Image:
    """``segment`` (any mode, any size from 32 x 32 on) with the fault ``name``; the same seed gives the same image.

    Raises ParameterError for an unknown name or a severity outside 0 to 1.
    """
    if name not in FAULTS:
        raise ParameterError(f"there is no fault {name!r}; there are: {', '.join(FAULTS)}.")
    if not 0 <= severity <= 1:
        raise ParameterError(f"severity is {severity!r}; it lies between 0 (barely there) and 1 (plain to see).")
    return FAULTS[name](segment.convert("RGBA"), np.random.default_rng(seed), severity)


def screened_examples(segments: Sequence[Image.Image], each: int = 4, side: int = 128) -> tuple[np.ndarray, list[str]]:
    """Segments without and with each fault, and the screening's refusals: (uint8 [N, side, side, 4], reasons).

    ``each`` examples without a fault, then as many with each fault. Segments are taken in turn, enlarged to at least
    256 pixels for the screening. The reason of an accepted image is empty.
    """
    pictures, reasons = [], []
    for turn, name in enumerate(["", *FAULTS]):
        for number in range(each):
            segment = segments[(turn * each + number) % len(segments)].convert("RGBA")
            scale = max(1, -(-256 // max(segment.size)))
            segment = segment.resize((segment.width * scale, segment.height * scale), Image.Resampling.LANCZOS)
            image = apply_fault(name, segment, seed=number) if name else segment
            reasons.append(screen_segment(image) or "")
            pictures.append(np.asarray(ImageOps.pad(image, (side, side), color=(0, 0, 0, 0))))
    return np.stack(pictures), reasons


def opaque(segment: Image.Image, rng: np.random.Generator, severity: float) -> Image.Image:
    """Pasted on a plain light backdrop: the alpha channel is there and says nothing. Severity parts it from white."""
    shade = int(255 - severity * rng.integers(0, 60))
    return _composite_over(Image.new("RGBA", segment.size, (shade, shade, shade, 255)), segment)


def checkerboard(segment: Image.Image, rng: np.random.Generator, severity: float) -> Image.Image:
    """Opaque squares as editors show for transparency, softened as by a JPEG. Severity is their contrast."""
    return _composite_over(_draw_checkerboard(segment.size, rng, severity), segment)


def checkerboard_islands(segment: Image.Image, rng: np.random.Generator, severity: float) -> Image.Image:
    """The same squares left around the object, with real transparency further out."""
    segment = _padded(segment, 0.15)
    board = _draw_checkerboard(segment.size, rng, severity)
    near = _alpha(segment) > MASK_OPACITY
    near = ndimage.binary_dilation(near, iterations=max(4, round(0.09 * max(segment.size))))
    board.putalpha(Image.fromarray((near * 255).astype(np.uint8)))
    return _composite_over(board, segment)


def panel(segment: Image.Image, rng: np.random.Generator, severity: float) -> Image.Image:
    """An opaque rectangle, sharp or rounded, behind the object, in one colour or a gradient, on a clear canvas."""
    segment = _padded(segment, 0.2)
    left, top, right, bottom = _box(segment)
    gap = round((0.02 + 0.08 * severity) * max(right - left, bottom - top))
    frame = (left - gap, top - gap, right + gap, bottom + gap)
    radius = int(rng.choice([0, 0.1, 0.2]) * min(frame[2] - frame[0], frame[3] - frame[1]))
    return _put_panel_behind(
        segment, lambda pen, scale: pen.rounded_rectangle(_scaled(frame, scale), radius * scale, fill=255), rng
    )


def disc(segment: Image.Image, rng: np.random.Generator, severity: float) -> Image.Image:
    """An opaque coloured disc behind the object, as in shop banners; at severity 1 it holds all of it."""
    segment = _padded(segment, 0.5)
    left, top, right, bottom = _box(segment)
    radius = (0.42 + 0.12 * severity) * float(np.hypot(right - left, bottom - top))
    x, y = (left + right) / 2, (top + bottom) / 2
    frame = (x - radius, y - radius, x + radius, y + radius)
    return _cropped(_put_panel_behind(segment, lambda pen, scale: pen.ellipse(_scaled(frame, scale), fill=255), rng))


def halo(segment: Image.Image, rng: np.random.Generator, severity: float) -> Image.Image:
    """A fringe of the old white backdrop along the outline. Severity is its width, up to 1 % of the longer side."""
    segment = _padded(segment, 0.05)
    opacity = _alpha(segment)
    width = max(1, round(severity * 0.01 * max(segment.size)))
    fringe = ndimage.grey_dilation(opacity, footprint=_disc(width + 1))
    shade = int(rng.integers(238, 256))
    backdrop = Image.new("RGBA", segment.size, (shade, shade, shade, 255))
    backdrop.putalpha(Image.fromarray(fringe))
    return _composite_over(backdrop, segment)


def white_remnant(segment: Image.Image, rng: np.random.Generator, severity: float) -> Image.Image:
    """The white backdrop left between legs, slats and arms: the gaps that a closing of the outline fills."""
    inside = _alpha(segment) > MASK_OPACITY
    steps = max(2, round((0.05 + 0.25 * severity) * max(segment.size)))
    room = np.pad(inside, steps)
    spans = ndimage.binary_closing(room, np.ones((1, 2 * steps + 1)))[steps:-steps, steps:-steps]
    filled = ndimage.binary_fill_holes(inside) | spans
    shade = int(rng.integers(246, 256))
    paper = Image.new("RGBA", segment.size, (shade, shade, shade, 255))
    paper.putalpha(Image.fromarray((filled * 255).astype(np.uint8)))
    return _composite_over(paper, segment)


def translucent(segment: Image.Image, rng: np.random.Generator, severity: float) -> Image.Image:
    """The whole body lets the background through. At severity 1 its opacity is 0.45 to 0.7."""
    opacity = 1 - severity * (1 - rng.uniform(0.45, 0.7))
    return _with_alpha(segment, (_alpha(segment) * opacity).round())


def faded(segment: Image.Image, rng: np.random.Generator, severity: float) -> Image.Image:
    """Its lower part fades out to nothing. Severity is how much of the height that takes, up to two thirds."""
    _, top, _, bottom = _box(segment)
    length = max(1.0, severity * 0.67 * (bottom - top))
    ramp = np.clip((bottom - np.arange(segment.height)) / length, 0, 1)
    return _with_alpha(segment, (_alpha(segment) * ramp[:, None]).round())


def shadow(segment: Image.Image, rng: np.random.Generator, severity: float) -> Image.Image:
    """A dark shadow on the floor, dense enough to count as object."""
    segment = _padded(segment, 0.12)
    left, top, right, bottom = _box(segment)
    scale, span = max(segment.size), right - left
    x = (left + right) / 2 + rng.uniform(-0.1, 0.1) * span
    reach, height = (0.4 + 0.3 * severity) * span, (0.08 + 0.1 * severity) * (bottom - top)
    layer = Image.new("L", segment.size)
    strength = int(255 * (0.3 + 0.5 * severity))
    ImageDraw.Draw(layer).ellipse((x - reach, bottom - height, x + reach, bottom + 0.5 * height), fill=strength)
    layer = layer.filter(ImageFilter.GaussianBlur(0.015 * scale))
    dark = Image.new("RGBA", segment.size, (int(rng.integers(0, 30)),) * 3 + (255,))
    dark.putalpha(layer)
    return _composite_over(dark, segment)


def haze(segment: Image.Image, rng: np.random.Generator, severity: float) -> Image.Image:
    """A faint glow or studio floor around the object, where nothing should be."""
    segment = _padded(segment, 0.15)
    blur = (0.04 + 0.16 * severity) * max(segment.size)
    glow = Image.fromarray(np.where(_alpha(segment) > MASK_OPACITY, 255, 0).astype(np.uint8))
    glow = glow.filter(ImageFilter.GaussianBlur(blur))
    most = max(1, int(np.asarray(glow).max()))
    strength = rng.uniform(0.25, 0.38) * 255 / most
    light = Image.new("RGBA", segment.size, (int(rng.integers(0, 120)),) * 3 + (255,))
    light.putalpha(glow.point(lambda value: int(value * strength)))
    return _composite_over(light, segment)


def watermark(segment: Image.Image, rng: np.random.Generator, severity: float) -> Image.Image:
    """Faint lettering repeated over the whole image, over what should be transparent too."""
    segment = _padded(segment, 0.15)
    side = max(segment.size)
    word = "".join(rng.choice(list("abcdeghkmnoprstuvwz"), 8))
    font = ImageFont.load_default(size=max(9, round(0.08 * side)))
    text = Image.new("L", (2 * side, 2 * side))
    pen = ImageDraw.Draw(text)
    step = round(0.17 * side)
    for row, y in enumerate(range(0, 2 * side, step)):
        for x in range(-step * (row % 2) * 2, 2 * side, round(0.55 * side)):
            pen.text((x, y), word, font=font, fill=round(18 + 62 * severity))
    text = text.rotate(rng.uniform(-35, 35), Image.Resampling.BILINEAR)
    left, top = (2 * side - segment.width) // 2, (2 * side - segment.height) // 2
    mark = Image.new("RGBA", segment.size, (*_WHITE, 255))
    mark.putalpha(text.crop((left, top, left + segment.width, top + segment.height)))
    return Image.alpha_composite(segment, mark)


def cut(segment: Image.Image, rng: np.random.Generator, severity: float) -> Image.Image:
    """The frame cuts through it, where it is broad. Severity is how far in, up to almost half."""
    left, top, right, bottom = _box(segment)
    inside = _alpha(segment) > MASK_OPACITY
    depth = 0.05 + 0.4 * severity
    width, height = right - left, bottom - top
    # Of the places near that depth, on each side, the broadest: a cut through thin legs leaves no trace in the figure.
    rows, columns = inside.sum(axis=1), inside.sum(axis=0)
    reach = [round(depth * part * length) for part in (0.5, 1.0) for length in (height, width)]
    y = top + reach[0] + int(rows[top + reach[0] : top + reach[2] + 1].argmax())
    x = left + reach[1] + int(columns[left + reach[1] : left + reach[3] + 1].argmax())
    if rng.random() < 0.5:
        return segment.crop((0, y, segment.width, segment.height))
    return segment.crop((x, 0, segment.width, segment.height))


def two_objects(segment: Image.Image, rng: np.random.Generator, severity: float) -> Image.Image:
    """A second one beside it, at severity 1 of the same size."""
    one = segment.crop(_box(segment))
    scale = 0.3 + 0.7 * severity
    other = one.resize((max(1, round(scale * one.width)), max(1, round(scale * one.height))))
    if rng.random() < 0.5:
        other = other.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    gap = max(4, round(0.08 * max(one.size)))
    canvas = Image.new("RGBA", (one.width + other.width + 3 * gap, one.height + 2 * gap))
    canvas.paste(one, (gap, gap))
    canvas.paste(other, (one.width + 2 * gap, gap + one.height - other.height))
    return canvas


def tiny(segment: Image.Image, rng: np.random.Generator, severity: float) -> Image.Image:
    """A thumbnail. At severity 1 its longer side has 24 to 48 pixels."""
    side = round(100 - severity * (100 - int(rng.integers(24, 49))))
    small = segment.copy()
    small.thumbnail((side, side))
    return small


def speck(segment: Image.Image, rng: np.random.Generator, severity: float) -> Image.Image:
    """A few pixels of object in a large empty canvas."""
    small = tiny(segment.crop(_box(segment)), rng, severity)
    canvas = Image.new("RGBA", (max(256, segment.width), max(256, segment.height)))
    place = rng.integers(0, (canvas.width - small.width, canvas.height - small.height))
    canvas.paste(small, (int(place[0]), int(place[1])))
    return canvas


def flat_drawing(segment: Image.Image, rng: np.random.Generator, severity: float) -> Image.Image:
    """A flat drawing of it: its colours reduced to a handful, each area one tone."""
    inside = _alpha(segment) > MASK_OPACITY
    smooth = segment.convert("RGB").filter(ImageFilter.MedianFilter(5))
    few = smooth.quantize(round(10 - 5 * severity), kmeans=2)
    palette = rng.integers(70, 230, (256, 3), dtype=np.uint8)
    colours = palette[np.asarray(few)]
    return Image.fromarray(np.dstack([colours, (inside * 255).astype(np.uint8)]))


def empty(segment: Image.Image, rng: np.random.Generator, severity: float) -> Image.Image:
    """Its alpha channel nearly or wholly empty."""
    return _with_alpha(segment, _alpha(segment) * (1 - severity) * 0.4)


#: By name, in the order in which a page shows them.
FAULTS: dict[str, Fault] = {
    function.__name__: function
    for function in (
        opaque,
        checkerboard,
        checkerboard_islands,
        panel,
        disc,
        halo,
        white_remnant,
        translucent,
        faded,
        shadow,
        haze,
        watermark,
        cut,
        two_objects,
        tiny,
        speck,
        flat_drawing,
        empty,
    )
}

#: By fault, the names of the rules that may refuse it for what it is.
REASONS: dict[str, tuple[str, ...]] = {
    "opaque": ("no real alpha",),
    "checkerboard": ("painted checkerboard",),
    "checkerboard_islands": ("painted checkerboard",),
    "panel": ("painted panel",),
    "disc": ("painted panel",),
    "halo": ("halo",),
    "white_remnant": ("white remnant",),
    "translucent": ("translucent",),
    "faded": ("translucent",),
    "shadow": ("soft shadow",),
    "haze": ("soft shadow",),
    "watermark": ("watermark",),
    "cut": ("object cut",),
    "two_objects": ("several objects",),
    "tiny": ("image too small", "object too small"),
    "speck": ("object too small",),
    "flat_drawing": ("drawing",),
    "empty": ("nothing opaque", "no real alpha"),
}


def _alpha(image: Image.Image) -> NDArray[np.uint8]:
    return np.asarray(image.getchannel("A"))


def _box(image: Image.Image) -> tuple[int, int, int, int]:
    box = object_box(_alpha(image))
    return box if box[2] > box[0] else (0, 0, image.width, image.height)


def _with_alpha(image: Image.Image, opacity: NDArray[np.floating]) -> Image.Image:
    changed = image.copy()
    changed.putalpha(Image.fromarray(np.clip(opacity, 0, 255).astype(np.uint8)))
    return changed


def _composite_over(backdrop: Image.Image, segment: Image.Image) -> Image.Image:
    return Image.alpha_composite(backdrop, segment)


def _padded(image: Image.Image, share: float) -> Image.Image:
    margin = round(share * max(image.size))
    canvas = Image.new("RGBA", (image.width + 2 * margin, image.height + 2 * margin))
    canvas.paste(image, (margin, margin))
    return canvas


def _cropped(image: Image.Image) -> Image.Image:
    """To what is visible, with a margin of 4 %."""
    left, top, right, bottom = _box(image)
    margin = round(0.04 * max(right - left, bottom - top))
    return image.crop((left - margin, top - margin, right + margin, bottom + margin))


def _scaled(frame: tuple[float, float, float, float], scale: int) -> tuple[float, float, float, float]:
    return (frame[0] * scale, frame[1] * scale, frame[2] * scale, frame[3] * scale)


def _disc(radius: int) -> NDArray[np.bool_]:
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    found: NDArray[np.bool_] = x * x + y * y <= radius * radius
    return found


def _put_panel_behind(
    segment: Image.Image, draw: Callable[[ImageDraw.ImageDraw, int], None], rng: np.random.Generator
) -> Image.Image:
    """``segment`` on a shape in one light colour or a gentle gradient.

    The shape is drawn at four times the size, so that its outline is blended.
    """
    shape = Image.new("L", (segment.width * 4, segment.height * 4))
    draw(ImageDraw.Draw(shape), 4)
    top = rng.integers(150, 256, 3) if rng.random() < 0.6 else np.full(3, 255)
    bottom = top - (rng.integers(0, 25, 3) if rng.random() < 0.4 else 0)
    ramp = np.linspace(top, bottom, segment.height).round().astype(np.uint8)
    backdrop = Image.fromarray(np.repeat(ramp[:, None], segment.width, axis=1)).convert("RGBA")
    backdrop.putalpha(shape.resize(segment.size, Image.Resampling.BOX))
    return _composite_over(backdrop, segment)


def _draw_checkerboard(size: tuple[int, int], rng: np.random.Generator, severity: float) -> Image.Image:
    """White and grey squares, or two greys, through a JPEG."""
    largest = max(5, min(40, min(size) // 7))
    square = rng.uniform(4, largest)
    shift = rng.uniform(0, square, 2)
    light = int(rng.choice([255, 255, 254, 204, 153]))
    dark = light - round((0.25 + 0.75 * severity) * rng.integers(14, 52))
    x, y = np.meshgrid(np.arange(size[0]), np.arange(size[1]))
    odd = (((x + shift[0]) // square + (y + shift[1]) // square) % 2).astype(bool)
    board = Image.fromarray(np.where(odd, light, dark).astype(np.uint8)).convert("RGB")
    board = board.filter(ImageFilter.GaussianBlur(rng.uniform(0, 0.6)))
    return _through_jpeg(board, int(rng.integers(70, 96))).convert("RGBA")


def _through_jpeg(image: Image.Image, quality: int) -> Image.Image:
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=quality)
    with Image.open(stream) as opened:
        return opened.convert("RGB")
