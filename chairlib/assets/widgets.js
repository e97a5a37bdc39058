// What the widgets of a page share. chairlib/show/widgets.py puts this file, and the file of one kind of widget, into
// each output that shows one. No library, no network, no kernel: everything a widget shows is in its own HTML.
//
// A kind registers itself:  chairWidgets.define("scrubber", async (root, data) => { ... });
//   root  the widget's element (div.chair-widget), which holds its first state as pictures and words
//   data  what Python gave it
// Controls are made here, by the script, so that a page whose scripts don't run has none that do nothing.
window.chairWidgets ??= (() => {
  "use strict";
  const kinds = {};

  /** Make an element: attributes by name, then its children (elements or texts). */
  function element(tag, attributes = {}, ...children) {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (value !== undefined && value !== false) made.setAttribute(name, value === true ? "" : value);
    }
    made.append(...children);
    return made;
  }

  /** Where the controls go: the widget's own div.chair-controls, or a new one at its top. */
  function controls(root) {
    const found = root.querySelector(".chair-controls");
    if (found) return found;
    const made = element("div", { class: "chair-controls" });
    root.prepend(made);
    return made;
  }

  /**
   * A slider over the numbers 0 to texts.length - 1, with a read-out that shows the text of its number.
   *
   * bubble: the read-out follows the handle, instead of standing behind the slider.
   * Gives { node, input, value, set(number) }; change(number) is called whenever the number becomes another.
   */
  function slider(root, { label, texts, start = 0, bubble = false, change }) {
    const range = { min: 0, max: texts.length - 1, step: 1, value: start };
    const input = element("input", { type: "range", ...range, "aria-label": label });
    // Browsers tell the slider's own text when it moves, so the read-out is for the eye.
    const readOut = element("output", { class: bubble ? "chair-bubble" : "chair-value", "aria-hidden": true });
    const track = element("span", { class: "chair-track" }, input);
    const node = element("label", { class: "chair-slider" }, element("span", { class: "chair-label" }, label), track);
    (bubble ? track : node).append(readOut);
    // The widest text reserves the room, so that nothing moves while one slides.
    if (!bubble) readOut.style.minWidth = `${Math.max(...texts.map((text) => text.length))}ch`;
    const made = { node, input, value: start, set };
    function tell() {
      readOut.textContent = texts[made.value];
      input.setAttribute("aria-valuetext", texts[made.value]);
      track.style.setProperty("--share", texts.length > 1 ? made.value / (texts.length - 1) : 0);
    }
    function set(number) {
      const next = Math.max(0, Math.min(texts.length - 1, Number(number)));
      input.value = next;
      if (next === made.value) return;
      made.value = next;
      tell();
      change(next);
    }
    input.addEventListener("input", () => set(input.value));
    tell();
    controls(root).append(node);
    return made;
  }

  /** A list to choose from. Gives { node, input, value, set(number) } as a slider does. */
  function select(root, { label, texts, start = 0, change }) {
    const options = texts.map((text, number) => element("option", { value: number, selected: number === start }, text));
    const input = element("select", { "aria-label": label }, ...options);
    const node = element("label", { class: "chair-select" }, element("span", { class: "chair-label" }, label), input);
    const made = { node, input, value: start, set };
    function set(number) {
      input.value = number;
      if (Number(number) === made.value) return;
      made.value = Number(number);
      change(made.value);
    }
    input.addEventListener("change", () => set(input.value));
    controls(root).append(node);
    return made;
  }

  /** A button with a text. */
  function button(root, text, press) {
    const made = element("button", { type: "button", class: "chair-button" }, text);
    made.addEventListener("click", press);
    controls(root).append(made);
    return made;
  }

  /**
   * A Play button that moves a slider on every so many milliseconds, and stops at its end; from there it begins anew.
   * It never starts by itself, so it moves nothing for a reader who has asked for less motion.
   */
  function play(root, moved, { interval = 400, name = "" } = {}) {
    let timer = 0;
    const live = [...root.querySelectorAll("[aria-live]")].map((node) => [node, node.getAttribute("aria-live")]);
    const last = () => Number(moved.input.max);
    const made = button(root, "", () => (timer ? stop() : run()));
    function show() {
      made.textContent = timer ? "❚❚ Pause" : "▶ Play";
      made.setAttribute("aria-label", `${timer ? "Pause" : "Play"} ${name}`.trim());
      // A screen reader would be told every frame.
      for (const [node, before] of live) node.setAttribute("aria-live", timer ? "off" : before);
    }
    function stop() {
      clearInterval(timer);
      timer = 0;
      show();
    }
    function run() {
      if (moved.value >= last()) moved.set(0);
      timer = setInterval(() => {
        if (!root.isConnected) return stop();
        moved.set(moved.value + 1);
        if (moved.value >= last()) stop();
      }, interval);
      show();
    }
    // Whoever takes the handle wants it to stay.
    for (const event of ["pointerdown", "keydown"]) moved.input.addEventListener(event, () => timer && stop());
    show();
    return made;
  }

  /** The pixels of a picture, given as a data URI: a promise of its ImageData. Opaque pictures come out exactly. */
  async function decode(source) {
    const image = new Image();
    image.src = source;
    await image.decode();
    const canvas = element("canvas", { width: image.naturalWidth, height: image.naturalHeight });
    const context = canvas.getContext("2d", { willReadFrequently: true });
    context.drawImage(image, 0, 0);
    return context.getImageData(0, 0, canvas.width, canvas.height);
  }

  /** The part of an ImageData that begins at (x, y), so many pixels wide and high. */
  function crop(image, x, y, width, height) {
    const part = new ImageData(width, height);
    for (let row = 0; row < height; row += 1) {
      const from = 4 * ((y + row) * image.width + x);
      part.data.set(image.data.subarray(from, from + 4 * width), 4 * row * width);
    }
    return part;
  }

  /** Put a canvas in the place of a picture of the first state; its text stays. */
  function canvasFor(image) {
    const canvas = element("canvas", { class: image.className, style: image.getAttribute("style") ?? "", role: "img" });
    canvas.setAttribute("aria-label", image.alt);
    canvas.width = image.naturalWidth || 1;
    canvas.height = image.naturalHeight || 1;
    if (image.complete) canvas.getContext("2d").drawImage(image, 0, 0);
    image.replaceWith(canvas);
    return canvas;
  }

  /** Show an ImageData on a canvas, pixel by pixel, and say in words what it shows. */
  function draw(canvas, image, words) {
    if (canvas.width !== image.width) canvas.width = image.width;
    if (canvas.height !== image.height) canvas.height = image.height;
    canvas.getContext("2d").putImageData(image, 0, 0);
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", words);
  }

  /** A mask of an ImageData: one byte a pixel, 1 where its red is above the level (0 to 255). */
  function maskOf(image, level = 127) {
    return Uint8Array.from({ length: image.width * image.height }, (_, at) => (image.data[4 * at] > level ? 1 : 0));
  }

  /** A picture of two masks of a width; colours: [[r, g, b], ...] of found, false alarm, missed and nothing. */
  function agreement(predicted, target, width, colours) {
    const image = new ImageData(width, predicted.length / width);
    for (let at = 0; at < predicted.length; at += 1) {
      const colour = colours[predicted[at] ? (target[at] ? 0 : 1) : target[at] ? 2 : 3];
      image.data.set([...colour, 255], 4 * at);
    }
    return image;
  }

  /** IoU of two masks in per cent; NaN where both are empty. */
  function iou(a, b) {
    let both = 0;
    let either = 0;
    for (let at = 0; at < a.length; at += 1) {
      both += a[at] & b[at];
      either += a[at] | b[at];
    }
    return either ? (100 * both) / either : NaN;
  }

  /** The mean of values that may be NaN, over those that are not; NaN where none is. */
  function mean(values) {
    const defined = values.filter((value) => !Number.isNaN(value));
    return defined.reduce((sum, value) => sum + value, 0) / defined.length;
  }

  /** A value in words: "77.4 %". */
  const percent = (value) => (Number.isNaN(value) ? "undefined" : `${value.toFixed(1)} %`);

  /** Canvases side by side, as many in a row as fit, each with its title below: { node, parts: [{ canvas, caption }] }. */
  function panels(titles) {
    const columns = "display:grid;gap:8px;grid-template-columns:repeat(auto-fit,minmax(min(140px,45%),1fr))";
    const node = element("div", { class: "chair-panels", style: `${columns};margin-top:8px;max-width:760px` });
    const parts = titles.map((title) => {
      const canvas = element("canvas", { class: "chair-frame chair-pixels", role: "img" });
      const caption = element("div", { style: "line-height:1.35" }, title);
      node.append(element("div", { style: "min-width:0" }, canvas, caption));
      return { canvas, caption };
    });
    return { node, parts };
  }

  /** Start every widget of the page that waits for its script. */
  function scan() {
    for (const root of document.querySelectorAll(".chair-widget:not([data-live])")) {
      const start = kinds[root.dataset.kind];
      const data = root.querySelector(".chair-data");
      // A widget's script is its last part: where it is, a page that is still being read has all of the widget.
      if (!start || !data || !root.querySelector(".chair-script")) continue;
      root.dataset.live = "starting";
      // Notebooks have shortcuts on arrows and letters: keys that a control uses are its own.
      root.addEventListener("keydown", (event) => {
        if (!event.ctrlKey && !event.metaKey && !event.altKey) event.stopPropagation();
      });
      const started = async () => start(root, JSON.parse(data.textContent)); // async: an error at once comes here too
      started().then(
        () => (root.dataset.live = "ready"),
        (error) => {
          // The first state is still a picture: better that than controls that do nothing.
          controls(root).remove();
          root.dataset.live = "failed";
          console.error("a widget could not start:", error);
        },
      );
    }
  }

  /** Register a kind of widget: start(root, data), which may be async. */
  function define(kind, start) {
    kinds[kind] = start;
    scan();
    // Some notebooks run the script just before they put the output on the page.
    setTimeout(scan, 0);
  }

  const controlling = { controls, slider, select, button, play };
  const pictures = { decode, crop, canvasFor, draw, maskOf, agreement, panels };
  return { define, element, ...controlling, ...pictures, iou, mean, percent };
})();
