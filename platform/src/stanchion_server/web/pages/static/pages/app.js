// Small comforts. Every page works without this file.
"use strict";
(() => {
  const copy = async (button) => {
    const source = document.getElementById(button.dataset.copy);
    const text = button.dataset.copyText || (source ? source.textContent : "");
    const absolute = button.dataset.copyUrl ? new URL(button.dataset.copyUrl, location.href).href : text;
    const before = button.textContent;
    try {
      await navigator.clipboard.writeText(absolute);
      button.textContent = "Copied";
    } catch {
      button.textContent = "Press Ctrl+C";
      if (source) getSelection().selectAllChildren(source);
    }
    setTimeout(() => { button.textContent = before; }, 1600);
  };

  const localTime = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
  const dress = (root) => {
    for (const time of root.querySelectorAll("time[datetime]:not([title])")) {
      const moment = new Date(time.getAttribute("datetime"));
      if (!Number.isNaN(moment.getTime())) time.title = `${localTime.format(moment)} (your time)`;
    }
    for (const button of root.querySelectorAll("button[data-copy], button[data-copy-url]")) button.hidden = false;
  };

  document.addEventListener("click", (event) => {
    const button = event.target.closest("button[data-copy], button[data-copy-url]");
    if (button) copy(button);
    const tab = event.target.closest("a[data-tab]");
    if (tab) {
      event.preventDefault();
      for (const other of document.querySelectorAll("a[data-tab]")) {
        document.getElementById(`tab-${other.dataset.tab}`).hidden = other !== tab;
        if (other === tab) other.setAttribute("aria-current", "true"); else other.removeAttribute("aria-current");
      }
    }
    const row = event.target.closest("tr[data-href]");
    if (row && !event.target.closest("a, button, input, summary") && !String(getSelection())) {
      const link = row.querySelector("a.open");
      if (link) link.click();
    }
    for (const open of document.querySelectorAll("details.popover[open]")) {
      if (!open.contains(event.target)) open.open = false;
    }
  });

  // What ends in an ellipsis is told whole.
  document.addEventListener("pointerover", (event) => {
    const cut = event.target.closest && event.target.closest("th, td, .u-label, .clip, .preview div");
    if (cut && cut.scrollWidth > cut.clientWidth && !cut.title) cut.title = cut.textContent.trim().replace(/\s+/g, " ");
  });

  // On a phone the menu would fill the first screen: it opens when asked for.
  const menu = document.querySelector("button.menu");
  if (menu) {
    const nav = document.getElementById(menu.getAttribute("aria-controls"));
    nav.classList.add("shut");
    menu.hidden = false;
    menu.addEventListener("click", () => {
      menu.setAttribute("aria-expanded", String(!nav.classList.toggle("shut")));
    });
  }

  const typing = (target) => target.closest && target.closest("input, textarea, select, [contenteditable]");
  let afterG = 0;
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Escape") {
      for (const open of document.querySelectorAll("details.popover[open]")) { open.open = false; open.querySelector("summary").focus(); }
      return;
    }
    if (typing(event.target)) return;
    if (event.key === "/") {
      const search = document.querySelector("[data-search]");
      if (search) { event.preventDefault(); search.focus(); }
    } else if (event.key === "g") {
      afterG = Date.now();
    } else if (Date.now() - afterG < 1200) {
      const link = document.querySelector(`nav a[data-key="${CSS.escape(event.key)}"]`);
      if (link) link.click();
      afterG = 0;
    } else if (event.key === "j" || event.key === "k") {
      const rows = [...document.querySelectorAll("[data-rows] a.open")];
      const at = rows.indexOf(document.activeElement);
      const next = rows[at + (event.key === "j" ? 1 : -1)] || (at < 0 ? rows[0] : null);
      if (next) next.focus();
    }
  });

  // The selected row of a waterfall follows the panel that HTMX loads.
  document.addEventListener("htmx:afterSwap", (event) => {
    dress(event.target);
    const panel = event.target.querySelector("[data-span]");
    if (!panel) return;
    for (const row of document.querySelectorAll(".fall tr[aria-current]")) row.removeAttribute("aria-current");
    const row = document.getElementById(`row-${panel.dataset.span}`);
    if (row) row.setAttribute("aria-current", "true");
  });
  dress(document);
})();
