// Paper cannot be unfolded: what a page folds is open while it is printed.
let opened = [];
window.addEventListener("beforeprint", () => {
  // Browsers may say so twice before the first "afterprint": what is open by then stays in the list.
  for (const details of document.querySelectorAll(".bd-article details:not([open])")) {
    opened.push(details);
    details.open = true;
  }
});
window.addEventListener("afterprint", () => {
  for (const details of opened) details.open = false;
  opened = [];
});
