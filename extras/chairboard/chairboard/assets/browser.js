// Test composites sorted, filtered and thresholded; two models on one of them. See chairboard/browser.py for the data.
chairWidgets.define("browser", async (root, data) => {
  "use strict";
  const { element, slider, select, decode, crop, draw, agreement, panels, iou, mean, percent } = chairWidgets;
  const [images] = await Promise.all(data.images.map(decode));
  const [targets] = await Promise.all(data.targets.map(decode));
  const sprites = await Promise.all(data.levels.map(decode));
  const numbers = [...Array(data.count).keys()];
  const width = images.width;
  const height = images.height / data.count;
  const size = width * height;

  /** The grey levels of every composite in a picture that holds one below the other. */
  function greys(sprite) {
    return numbers.map((number) => Uint8Array.from({ length: size }, (_, at) => sprite.data[4 * (number * size + at)]));
  }
  const truth = greys(targets).map((levels) => levels.map((level) => (level > 127 ? 1 : 0)));
  const levels = sprites.map(greys);
  const several = data.names.length > 1;
  const shares = truth.map((mask) => 100 * mean(mask));

  // What is chosen. Everything below is computed from it.
  const state = { number: data.first, models: several ? [0, 1] : [0], threshold: 0.5, sort: 0, ious: 0, sizes: 0 };
  /** By model and composite: masks at the threshold, and their IoU. */
  let masks = [];
  let ious = [];
  function cut() {
    const level = state.threshold * 255;
    masks = levels.map((model) => model.map((grey) => grey.map((value) => (value > level ? 1 : 0))));
    ious = masks.map((model) => model.map((mask, number) => iou(mask, truth[number])));
  }

  /** Per cent of a composite's pixels on which the two models differ. */
  function disagreement(number) {
    const [one, other] = state.models.map((model) => masks[model][number]);
    return (100 * one.reduce((count, value, at) => count + (value ^ other[at]), 0)) / size;
  }
  const scored = (number) => ious[state.models[0]][number];
  const sorts = [
    ["IoU of the model, lowest first", scored],
    ["IoU of the model, highest first", (number) => -scored(number)],
    ...(several ? [["disagreement, largest first", (number) => -disagreement(number)]] : []),
    ["share of chair, smallest first", (number) => shares[number]],
    ["share of chair, largest first", (number) => -shares[number]],
  ];
  const ranges = [
    ["any IoU", () => true],
    ["IoU below 50 %", (number) => scored(number) < 50],
    ["IoU 50 to 75 %", (number) => scored(number) >= 50 && scored(number) < 75],
    ["IoU 75 % or more", (number) => scored(number) >= 75],
  ];
  const ordered = [...shares].sort((a, b) => a - b);
  const [low, high] = [1, 2].map((third) => ordered[Math.floor((third * data.count) / 3)]);
  const sizes = [
    ["any size", () => true],
    [`small: below ${low.toFixed(1)} % of the pixels`, (number) => shares[number] < low],
    ["medium", (number) => shares[number] >= low && shares[number] < high],
    [`large: ${high.toFixed(1)} % or more`, (number) => shares[number] >= high],
  ];

  // The list of thumbnails: one button each. Tab goes to the chosen one, arrows go on from there.
  const list = element("div", {
    class: "chair-list",
    role: "group",
    "aria-label": "Composites in the chosen order",
    style: "display:flex;flex-wrap:wrap;gap:4px;max-height:245px;overflow-y:auto;padding:5px",
  });
  const none = element("p", {}, "No composite fits both filters.");
  const thumbnails = numbers.map((number) => {
    const canvas = element("canvas", { style: "border-radius:3px;display:block;width:52px" });
    const score = element("span", { style: "display:block;font-size:12px;line-height:1.4" });
    const node = element("button", { type: "button", style: "padding:2px;line-height:1" }, canvas, score);
    draw(canvas, crop(images, 0, number * height, width, height), "");
    canvas.removeAttribute("role");
    canvas.setAttribute("aria-hidden", "true");
    node.addEventListener("click", () => choose(number));
    return { node, score };
  });
  list.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    const place = listed.indexOf(state.number) + (step ?? 0);
    const end = { Home: 0, End: listed.length - 1 }[event.key];
    const next = listed[end ?? Math.max(0, Math.min(listed.length - 1, place))];
    if ((step === undefined && end === undefined) || next === undefined) return;
    event.preventDefault();
    choose(next);
    thumbnails[next].node.focus();
  });

  const titles = ["Composite", "True mask", ...state.models.map(() => "")];
  const { node: grid, parts } = panels(titles);
  const readOut = element("p", { class: "chair-read-out", "aria-live": "polite", style: "margin:8px 0" });

  let listed = [];
  function arrange() {
    const key = sorts[state.sort][1];
    const fits = (number) => ranges[state.ious][1](number) && sizes[state.sizes][1](number);
    const keys = numbers.map(key);
    const place = (number) => (Number.isNaN(keys[number]) ? Infinity : keys[number]);
    const next = numbers.filter(fits).sort((a, b) => place(a) - place(b) || a - b);
    // Moving a button would take the focus from it.
    if (next.join() !== listed.join() || !list.children.length) {
      list.replaceChildren(...(next.length ? next.map((number) => thumbnails[number].node) : [none]));
    }
    listed = next;
    if (listed.length && !listed.includes(state.number)) state.number = listed[0];
    numbers.forEach((number) => {
      const { node, score } = thumbnails[number];
      const chosen = number === state.number;
      score.textContent = Number.isNaN(scored(number)) ? "–" : scored(number).toFixed(1);
      node.setAttribute("aria-label", `Composite ${number + 1}: IoU ${percent(scored(number))}`);
      node.setAttribute("aria-pressed", chosen);
      node.tabIndex = chosen ? 0 : -1;
      node.style.boxShadow = chosen ? "0 0 0 3px var(--ink)" : "";
    });
  }

  function show() {
    const { number, models, threshold } = state;
    const rows = [0, number * height, width, height];
    const which = `composite ${number + 1} of ${data.count}`;
    draw(parts[0].canvas, crop(images, ...rows), `Composite: ${which}`);
    draw(parts[1].canvas, crop(targets, ...rows), `True mask of ${which}: ${shares[number].toFixed(1)} % is chair`);
    models.forEach((model, at) => {
      const panel = parts[2 + at];
      const told = `${data.names[model]}: IoU ${percent(ious[model][number])}`;
      const picture = agreement(masks[model][number], truth[number], width, data.colours);
      draw(panel.canvas, picture, `Prediction for ${which} at threshold ${threshold.toFixed(2)}. ${told}`);
      panel.caption.textContent = told;
    });
    const means = [...new Set(models)].map((model) => {
      return `${data.names[model]} ${percent(mean(listed.map((one) => ious[model][one])))}`;
    });
    const differ = several ? ` The two masks differ on ${disagreement(number).toFixed(1)} % of the pixels.` : "";
    readOut.textContent =
      `Threshold ${threshold.toFixed(2)}. Mean IoU of the ${listed.length} composites listed: ${means.join("; ")}. ` +
      `In the one shown, ${shares[number].toFixed(1)} % of the pixels are chair.${differ}`;
  }

  function choose(number) {
    state.number = number;
    arrange();
    show();
  }
  /** What a control does: change one part of the state. */
  function set(part) {
    return (value) => {
      const { threshold } = state;
      Object.assign(state, part(value));
      if (state.threshold !== threshold) cut();
      arrange();
      show();
    };
  }

  root.querySelector(".chair-first").replaceWith(list, grid, readOut);
  const texts = (choices) => choices.map(([text]) => text);
  const thresholds = Array.from({ length: 19 }, (_, number) => (number + 1) / 20);
  if (several) {
    const pair = (at) => set((model) => ({ models: state.models.map((old, place) => (place === at ? model : old)) }));
    select(root, { label: "Model", texts: data.names, start: 0, change: pair(0) });
    select(root, { label: "Compare with", texts: data.names, start: 1, change: pair(1) });
  }
  select(root, { label: "Sort by", texts: texts(sorts), change: set((sort) => ({ sort })) });
  select(root, { label: "Show", texts: texts(ranges), change: set((number) => ({ ious: number })) });
  select(root, { label: "Chairs of", texts: texts(sizes), change: set((number) => ({ sizes: number })) });
  slider(root, {
    label: "Threshold",
    texts: thresholds.map((value) => value.toFixed(2)),
    start: 9,
    change: set((number) => ({ threshold: thresholds[number] })),
  });
  for (const label of root.querySelectorAll(".chair-label")) label.style.whiteSpace = "nowrap";
  cut();
  arrange();
  show();
  // A filter that leaves few composites does not move what stands below.
  list.style.minHeight = `${list.offsetHeight}px`;
});
