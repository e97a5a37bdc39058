// Pictures of which sliders (or lists) choose one. They lie in sheets, one for each value of the first slider. In a
// sheet, the second slider chooses the row and the third the column.
chairWidgets.define("frames", async (root, data) => {
  const ui = window.chairWidgets;
  const canvas = ui.canvasFor(root.querySelector("img"));
  const note = root.querySelector(".chair-note");
  const opened = {};

  async function update() {
    const [sheet, row, column] = sliders.map((slider) => slider.value);
    opened[sheet] ??= ui.decode(data.sheets[sheet]);
    const pictures = await opened[sheet];
    // While a sheet was being opened, the sliders may have gone on.
    if (sliders[0].value !== sheet || sliders[1].value !== row || sliders[2].value !== column) return;
    const { width, height } = data;
    ui.draw(canvas, ui.crop(pictures, column * width, row * height, width, height), data.words[sheet][row][column]);
    note.textContent = data.notes[sheet][row][column];
  }

  const make = ({ list, ...asked }) => ui[list ? "select" : "slider"](root, { ...asked, change: update });
  const sliders = data.sliders.map(make);
  await update();
});
