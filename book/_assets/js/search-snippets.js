// Shows, below each page that the search found, the words around the first hit. Sphinx reads them from the page's file,
// which a browser forbids to a site opened from disk. Here they come from search-texts.js.
document.addEventListener("DOMContentLoaded", () => {
  const results = document.querySelector("#search-results");
  if (!results || typeof SEARCH_TEXTS === "undefined") return;
  const query = new URLSearchParams(window.location.search).get("q") ?? "";
  const words = query.toLowerCase().split(/\s+/).filter(Boolean);
  const add = (item) => {
    const link = item.querySelector("a");
    if (!link || item.dataset.snippet || item.children.length > 1) return;
    item.dataset.snippet = "yes";
    const text = SEARCH_TEXTS[link.getAttribute("href").replace(/[?#].*$/, "")];
    if (!text) return;
    const lower = text.toLowerCase();
    const at = Math.max(0, ...words.map((word) => lower.indexOf(word)));
    const start = at < 100 ? 0 : text.indexOf(" ", at - 100) + 1;
    const snippet = document.createElement("p");
    snippet.className = "context";
    snippet.textContent = `${start ? "… " : ""}${text.slice(start, start + 240).replace(/\S*$/, "")}…`;
    item.append(snippet);
    for (const word of words) _highlightText(snippet, word, "highlighted");
  };
  new MutationObserver(() => results.querySelectorAll("li").forEach(add)).observe(results, {
    childList: true,
    subtree: true,
  });
});
