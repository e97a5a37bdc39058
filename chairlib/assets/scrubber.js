// The alpha scrubber: one drawing of the curves whose marks move, and masks that are coloured here.
chairWidgets.define("scrubber", async (root, data) => {
  const ui = window.chairWidgets;
  const { side, gap, count } = data;
  const find = (selector) => root.querySelector(selector);
  const pairs = Object.keys(data.treatments[0].pairs);
  const canvases = pairs.map((pair) => ui.canvasFor(find(`[data-masks="${pair}"] img`)));
  const cells = (sheet, row, step) =>
    Array.from({ length: count }, (_, cell) => ui.maskOf(ui.crop(sheet, cell * step, row * side, side, side)));
  // The true masks are read off the picture that shows them.
  const targets = ui.decode(find(".alpha-truth img").src).then((strip) => cells(strip, 0, side + gap));
  const sheets = Promise.all(
    data.treatments.map((treatment) => Promise.all(pairs.map((pair) => ui.decode(treatment.pairs[pair].sheet)))),
  );

  function figures(treatment, frame) {
    for (const now of root.querySelectorAll(".alpha-now")) now.textContent = data.labels[frame];
    find(".alpha-place").textContent = data.places[frame];
    const curve = find(".alpha-curve");
    curve.setAttribute("aria-label", treatment.words[frame]);
    curve.querySelector(".alpha-line").setAttribute("transform", `translate(${data.xs[frame]} 0)`);
    for (const pair of pairs) {
      const { points, ys, texts, ious } = treatment.pairs[pair];
      const place = `translate(${data.xs[frame]} ${ys[frame]})`;
      curve.querySelector(`polyline[data-pair="${pair}"]`).setAttribute("points", points);
      curve.querySelector(`g[data-pair="${pair}"]`).setAttribute("transform", place);
      const shown = root.querySelectorAll(`.alpha-read-out [data-pair="${pair}"] [role="cell"]`);
      shown.forEach((cell, number) => (cell.textContent = texts[frame][number]));
      root.querySelectorAll(`[data-masks="${pair}"] .alpha-ious span`).forEach((span, number) => {
        span.textContent = ious[frame][number];
      });
    }
  }

  async function update() {
    const [frame, number] = [alpha.value, ways ? ways.value : 0];
    const treatment = data.treatments[number];
    figures(treatment, frame);
    const [truth, opened] = await Promise.all([targets, sheets]);
    // Opening the pictures takes a moment, in which the slider may have gone on.
    if (frame !== alpha.value || number !== (ways ? ways.value : 0)) return;
    pairs.forEach((pair, row) => {
      const context = canvases[row].getContext("2d");
      canvases[row].width = count * (side + gap) - gap;
      canvases[row].height = side;
      cells(opened[number][row], frame, side).forEach((mask, cell) => {
        context.putImageData(ui.agreement(mask, truth[cell], side, data.colours), cell * (side + gap), 0);
      });
      canvases[row].setAttribute("aria-label", treatment.pairs[pair].words[frame]);
    });
  }

  const alpha = ui.slider(root, { label: "α", texts: data.labels, start: data.start, bubble: true, change: update });
  ui.play(root, alpha, { interval: data.interval, name: "alpha" });
  const titles = data.treatments.map((treatment) => treatment.title);
  const ways = titles.length > 1 && ui.select(root, { label: "BatchNorm", texts: titles, change: update });
  await update();
});
