// Draws the charts with the colours of the page, one after the other while nothing else is to do, and anew when the colours change.
(() => {
  "use strict";
  const root = document.documentElement;
  const read = (id) => JSON.parse(document.getElementById(id).textContent);
  const charts = read("charts"), themes = read("themes");
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const idle = window.requestIdleCallback || ((f) => setTimeout(f, 1));
  const remembered = () => { try { return localStorage.getItem("assay-theme"); } catch { return null; } };
  const remember = (theme) => { try { localStorage.setItem("assay-theme", theme); } catch { /* not kept */ } };

  function themeFor(width) {
    const theme = structuredClone(themes[root.dataset.theme]);
    theme.legend.columns = Math.max(1, Math.min(6, Math.floor(width / 150)));
    if (width < 480) {
      theme.axis.labelFontSize = theme.axis.titleFontSize = 11;
      theme.axis.labelLimit = Math.round(width * 0.36);
      theme.style.name.labelFontSize = 12;
    }
    return theme;
  }

  const options = (box) => ({
    renderer: "svg", ast: true, config: themeFor(box.clientWidth), tooltip: { theme: root.dataset.theme },
    actions: { export: true, source: false, compiled: false, editor: false }, downloadFileName: box.id,
  });

  const drawn = new Map();
  async function draw(box) {
    drawn.get(box)?.finalize();
    try {
      drawn.set(box, await vegaEmbed(box, structuredClone(charts[box.id]), options(box)));
      // The picture is described by the box; its parts say nothing more.
      box.querySelector("svg")?.setAttribute("aria-hidden", "true");
      box.querySelector("summary")?.setAttribute("aria-label", "Save this chart");
    } catch (error) {
      box.textContent = "This chart could not be drawn; its numbers are in the table below.";
      console.error(box.id, error);
    }
  }

  let round = 0;
  async function drawAll() {
    const mine = ++round;
    delete root.dataset.ready;
    for (const box of document.querySelectorAll(".chart")) {
      await new Promise((next) => idle(next));
      if (mine !== round) return;
      await draw(box);
    }
    root.dataset.ready = "true";
  }

  function show(theme) {
    root.dataset.theme = theme;
    const toggle = document.getElementById("theme");
    toggle.setAttribute("aria-pressed", String(theme === "dark"));
    drawAll();
  }

  document.getElementById("theme").addEventListener("click", () => {
    const theme = root.dataset.theme === "dark" ? "light" : "dark";
    remember(theme);
    show(theme);
  });
  dark.addEventListener("change", () => { if (!remembered()) show(dark.matches ? "dark" : "light"); });

  for (const button of document.querySelectorAll("button.copy"))
    button.addEventListener("click", async () => {
      const code = button.parentElement.querySelector("code");
      try {
        await navigator.clipboard.writeText(code.textContent);
        button.textContent = "Copied";
      } catch {
        getSelection().selectAllChildren(code);
        button.textContent = "Selected";
      }
      setTimeout(() => { button.textContent = "Copy"; }, 2000);
    });

  // On paper everything is open.
  let opened = [];
  window.addEventListener("beforeprint", () => {
    opened = [...document.querySelectorAll("main details:not([open]):not(.vega-embed details)")];
    for (const d of opened) d.open = true;
  });
  window.addEventListener("afterprint", () => { for (const d of opened) d.open = false; });

  let width = window.innerWidth;
  window.addEventListener("resize", () => {
    if ((width < 560) !== (window.innerWidth < 560)) drawAll();  // within a size the charts follow by themselves
    width = window.innerWidth;
  });
  const kept = remembered();
  show(kept === "dark" || kept === "light" ? kept : dark.matches ? "dark" : "light");
})();
