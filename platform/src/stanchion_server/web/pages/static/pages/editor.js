// Line numbers beside the editor follow the text; a problem's link puts the cursor on its line.
"use strict";
(() => {
  const area = document.getElementById("draft-text");
  const gutter = document.querySelector(".gutter");
  if (!area || !gutter) return;
  let shown = 0;
  const number = () => {
    const lines = area.value.split("\n").length;
    if (lines === shown) return;
    shown = lines;
    gutter.textContent = Array.from({ length: lines }, (_, place) => place + 1).join("\n");
    area.rows = Math.min(Math.max(lines, 12), 600);
  };
  area.addEventListener("input", number);
  area.addEventListener("scroll", () => { gutter.scrollTop = area.scrollTop; });
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-line]");
    if (!link) return;
    event.preventDefault();
    const before = area.value.split("\n").slice(0, Number(link.dataset.line) - 1);
    const start = before.reduce((sum, line) => sum + line.length + 1, 0);
    const end = area.value.indexOf("\n", start);
    area.focus();
    area.setSelectionRange(start, end < 0 ? area.value.length : end);
  });
  number();
})();
