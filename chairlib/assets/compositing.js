// The compositing explorer: a segment, a background and a threshold are chosen; composite and mask are made here, pixel
// by pixel, from the pictures of the segments and backgrounds alone.
chairWidgets.define("compositing", async (root, data) => {
  const ui = window.chairWidgets;
  const side = data.side;
  const panels = {};
  for (const panel of root.querySelectorAll("[data-panel]")) {
    const canvas = ui.canvasFor(panel.querySelector("img"));
    panels[panel.dataset.panel] = { canvas, note: panel.querySelector(".chair-note") };
  }
  // Colour and opacity are two opaque pictures: a canvas would round the colours of half-transparent pixels.
  const sheets = Promise.all([data.colours, data.opacities, data.backgrounds].map((source) => ui.decode(source)));
  const cell = (sheet, number) => ui.crop(sheet, number * side, 0, side, side);

  const fill = (text, values) => text.replace(/\{(\w+)\}/g, (_, name) => values[name]);

  function show(name, image, values = {}) {
    const all = { ...chosen(), ...values };
    ui.draw(panels[name].canvas, image, fill(data.words[name], all));
    panels[name].note.textContent = fill(data.notes[name] ?? "", all);
  }

  /** What the sliders say, for the texts. */
  const chosen = () => ({
    segment: segment.value + 1,
    segments: segments.length,
    background: background.value + 1,
    backgrounds: backgrounds.length,
    threshold: data.thresholds[threshold.value],
  });

  /** The share of an image's pixels whose level fits, in per cent. */
  function share(image, fits, digits) {
    let count = 0;
    for (let at = 0; at < side * side; at += 1) count += fits(image.data[4 * at]) ? 1 : 0;
    return `${((100 * count) / (side * side)).toFixed(digits)} %`;
  }

  /** A picture in which every pixel is what make(number of the pixel) gives: [red, green, blue, opacity]. */
  function picture(make) {
    const image = new ImageData(side, side);
    for (let at = 0; at < side * side; at += 1) image.data.set(make(at), 4 * at);
    return image;
  }

  async function update() {
    const [colours, opacities, rooms] = await sheets;
    const front = cell(colours, segment.value);
    const opacity = cell(opacities, segment.value);
    const behind = cell(rooms, background.value);
    const level = data.thresholds[threshold.value] * 255;
    const at = (number) => 4 * number;
    // Over 255 the sum is never half-way between two levels, so this rounds as chairlib's blending does.
    const blended = (n) =>
      [0, 1, 2].map((c) => {
        const cover = opacity.data[at(n)];
        return Math.round((cover * front.data[at(n) + c] + (255 - cover) * behind.data[at(n) + c]) / 255);
      });
    show("background", behind);
    show("segment", picture((n) => [...front.data.subarray(at(n), at(n) + 3), opacity.data[at(n)]]));
    show("opacity", opacity, { share: share(opacity, (found) => found > 0 && found < 255, 1) });
    show("composite", picture((n) => [...blended(n), 255]));
    const mask = picture((n) => [0, 0, 0].fill(opacity.data[at(n)] > level ? 255 : 0).concat(255));
    show("mask", mask, { share: share(opacity, (found) => found > level, 2) });
  }

  const slider = (label, texts, start) => ui.slider(root, { label, texts, start, change: update });
  const [, opacities, rooms] = await sheets;
  const numbered = (count) => Array.from({ length: count }, (_, number) => `${number + 1} of ${count}`);
  const segments = numbered(opacities.width / side);
  const backgrounds = numbered(rooms.width / side);
  const segment = slider("segment", segments, 0);
  const background = slider("background", backgrounds, 0);
  const levels = data.thresholds.map((level, number) => `${level}${number === data.released ? " (released)" : ""}`);
  const threshold = slider("opacity >", levels, data.start);
  await update();
});
