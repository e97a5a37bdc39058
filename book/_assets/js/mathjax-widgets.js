// The widgets' html-manager typesets its labels through MathJax 2's queue; the page carries MathJax 3. This answers the
// one call it makes, MathJax.Hub.Queue(["Typeset", MathJax.Hub, element]).
document.addEventListener("DOMContentLoaded", () => {
  const mathjax = window.MathJax;
  if (!mathjax || mathjax.Hub) return;
  mathjax.Hub = {
    Queue(...calls) {
      for (const [command, , element] of calls) {
        if (command !== "Typeset") continue;
        Promise.resolve(mathjax.startup?.promise)
          .then(() => mathjax.typesetPromise([element]))
          .catch((error) => console.warn("MathJax could not typeset a widget:", error));
      }
    },
  };
});
