// Font Awesome swaps every <i class="fa-..."> for an <svg>. A Play widget keeps hold of its <i> to change the icon, so
// what appears after the page has loaded must be left alone, or Play throws and the linked figure stops following.
window.FontAwesomeConfig = { ...window.FontAwesomeConfig, observeMutations: false };
// Its one sweep waits for a timer, and on a busy page that fires when the widgets have been drawn already. Icons with
// this attribute count as swapped; the widgets' own style sheet draws them.
new MutationObserver((changes) => {
  for (const { addedNodes } of changes) {
    for (const node of addedNodes) {
      const icons = node.querySelectorAll?.(".jupyter-widgets i.fa") ?? [];
      for (const icon of icons) icon.setAttribute("data-fa-i2svg", "");
    }
  }
}).observe(document.documentElement, { childList: true, subtree: true });
