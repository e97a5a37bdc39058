// A few composites over steps: resolutions, or moments of training. See chairboard/browser.py for the data.
chairWidgets.define("steps", async (root, data) => {
  "use strict";
  const { element, slider, select, play, decode, crop, draw, maskOf, agreement, panels, iou, mean, percent } = chairWidgets;
  const all = (sources) => Promise.all(sources.map(decode));
  const [images, targets, levels] = await Promise.all([data.images, data.targets, data.levels].map(all));

  /** The composite of this number in the picture of a step; images and masks may be the same for all steps. */
  function part(pictures, step, number) {
    const whole = pictures[Math.min(step, pictures.length - 1)];
    const height = whole.height / data.count;
    return crop(whole, 0, number * height, whole.width, height);
  }
  const numbers = [...Array(data.count).keys()];
  const steps = data.names.map((_, step) => ({
    targets: numbers.map((number) => maskOf(part(targets, step, number))),
    masks: numbers.map((number) => maskOf(part(levels, step, number))),
  }));
  for (const step of steps) step.ious = step.masks.map((mask, number) => iou(mask, step.targets[number]));

  const titles = ["Composite", "True mask", "Probability of chair", "Mask, against the truth"];
  const { node: grid, parts } = panels(titles);
  const readOut = element("p", { class: "chair-read-out", "aria-live": "polite", style: "margin:8px 0" });

  let number = data.first;
  let step = data.names.length - 1;
  function show() {
    const { targets: truth, masks, ious } = steps[step];
    const [image, target, level] = [images, targets, levels].map((pictures) => part(pictures, step, number));
    const where = `composite ${number + 1} of ${data.count}, ${data.names[step]}`;
    const compared = agreement(masks[number], truth[number], level.width, data.colours);
    [image, target, level, compared].forEach((picture, at) => {
      const score = at === 3 ? `, IoU ${percent(ious[number])}` : "";
      draw(parts[at].canvas, picture, `${titles[at]}: ${where}${score}`);
    });
    const many = data.count > 1 ? `; mean of the ${data.count} composites ${percent(mean(ious))}` : "";
    readOut.textContent = `${data.names[step]}: IoU of this composite ${percent(ious[number])}${many}.`;
  }

  root.querySelector(".chair-first").replaceWith(grid, readOut);
  const moved = slider(root, {
    label: data.label,
    texts: data.names,
    start: step,
    change: (value) => {
      step = value;
      show();
    },
  });
  // On a phone it has a line to itself.
  moved.node.style.flexBasis = "340px";
  play(root, moved, { interval: 700, name: data.label });
  if (data.count > 1) {
    const texts = numbers.map((value) => `${value + 1} of ${data.count}`);
    const change = (value) => {
      number = value;
      show();
    };
    select(root, { label: "Composite", texts, start: number, change });
  }
  show();
});
