// Draws every [data-chart] from the JSON beside it, or in it where HTMX brings it: that takes scripts out, data too. The table twin under each chart carries the same numbers.
"use strict";
(() => {
  const probe = document.createElement("span");
  probe.hidden = true;
  document.body.append(probe);
  const colour = (name) => {
    probe.style.color = `var(${name})`;
    return getComputedStyle(probe).color;
  };
  const compact = new Intl.NumberFormat("en-GB", { notation: "compact", maximumFractionDigits: 1 });
  const number = new Intl.NumberFormat("en-GB", { maximumFractionDigits: 1 });
  const dollars = (value) => {
    if (value === 0) return "$0";
    const digits = Math.min(12, Math.max(2, 1 - Math.floor(Math.log10(Math.abs(value)))));
    return "$" + value.toFixed(digits);
  };
  const duration = (value) => (value >= 60000 ? `${number.format(value / 60000)} min` : value >= 1000 ? `${number.format(value / 1000)} s` : `${number.format(value)} ms`);
  const units = { count: (v) => compact.format(v), usd: dollars, ms: duration, percent: (v) => `${number.format(v * 100)} %`, ratio: (v) => v.toFixed(2), watt: (v) => `${number.format(v)} W`, celsius: (v) => `${number.format(v)} °C`, watthour: (v) => (v >= 1000 ? `${number.format(v / 1000)} kWh` : `${number.format(v)} Wh`) };

  const two = (n) => String(n).padStart(2, "0");
  const months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
  const tick = (seconds) => {
    const at = new Date(seconds * 1000);
    const isMidnight = at.getUTCHours() === 0 && at.getUTCMinutes() === 0;
    return isMidnight ? `${at.getUTCDate()} ${months[at.getUTCMonth()]}` : `${two(at.getUTCHours())}:${two(at.getUTCMinutes())}`;
  };

  // A value between two unknown ones has no line to be seen by.
  const alone = (values) => values.map((v, i) => (v != null && values[i - 1] == null && values[i + 1] == null ? i : -1)).filter((i) => i >= 0);

  // Stretches of time that mean something, such as when an alert fires: behind the lines, never narrower than can be seen.
  const shade = (u, data, fill) => {
    u.ctx.save();
    u.ctx.fillStyle = fill;
    for (const [from, to] of data.ranges || []) {
      const left = Math.max(u.valToPos(from, "x", true), u.bbox.left);
      const right = Math.min(u.valToPos(to, "x", true), u.bbox.left + u.bbox.width);
      if (right >= left) u.ctx.fillRect(left, u.bbox.top, Math.max(right - left, 2), u.bbox.height);
    }
    u.ctx.restore();
  };

  // Of a stack, each series reaches up to the sum of itself and those before it; the highest is drawn first.
  const layers = (data) => {
    if (!data.stacked) return data.series.map((item) => ({ ...item, tops: item.values }));
    const sums = data.times.map(() => 0);
    return data.series.map((item) => ({ ...item, tops: item.values.map((v, i) => (sums[i] += v || 0)) })).reverse();
  };

  const draw = (holder) => {
    const data = JSON.parse(holder.dataset.plot || document.getElementById(holder.dataset.chart).textContent);
    const marked = colour("--bad-mark");
    const show = units[data.unit] || units.count;
    const axis = { stroke: colour("--muted"), grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false }, font: "11.5px system-ui, sans-serif" };
    const pad = data.series[0].bars ? (data.step_s || 60) / 2 : 0;
    const bars = uPlot.paths.bars({ size: [0.7, 40, 1], align: 0 });
    const items = layers(data);
    const series = items.map((item) => ({
      label: item.label,
      stroke: colour(item.colour),
      width: item.bars ? 0 : 1.75,
      dash: item.dash ? [5, 4] : undefined,
      fill: item.bars ? colour(item.colour) : undefined,
      paths: item.bars ? bars : undefined,
      points: item.bars ? { show: false } : { show: true, size: 4, filter: (u, place) => alone(u.data[place]) },
      spanGaps: false,
      value: (u, v, _series, place) => (v == null || item.values[place] == null ? "–" : show(item.values[place])),
    }));
    const options = {
      width: Math.max(200, holder.clientWidth - 12),
      height: 178,
      tzDate: (ts) => uPlot.tzDate(new Date(ts * 1000), "UTC"),
      cursor: { drag: { x: true, y: false, setScale: false }, sync: { key: "page" } },
      legend: { live: true },
      axes: [{ ...axis, size: 30, space: 64, values: (u, splits) => splits.map(tick) }, { ...axis, size: 58, values: (u, values) => values.map((v) => (v == null ? "" : show(v))) }],
      scales: { x: { range: (u, min, max) => [min - pad, max + pad] }, y: { range: (u, min, max) => [0, max > 0 ? max * 1.1 : 1] } },
      series: [{ label: "UTC", value: "{YYYY}-{MM}-{DD} {HH}:{mm}" }, ...series],
      hooks: { drawClear: [(u) => shade(u, data, marked)], setSelect: [(u) => zoom(u, data)] },
    };
    holder.replaceChildren();
    return new uPlot(options, [data.times, ...items.map((item) => item.tops)], holder);
  };

  const zoom = (u, data) => {
    if (data.fixed || u.select.width < 8) return;
    const from = Math.floor(u.posToVal(u.select.left, "x"));
    const to = Math.ceil(u.posToVal(u.select.left + u.select.width, "x")) + (data.step_s || 0);
    const address = new URL(location.href);
    address.searchParams.set("from", new Date(from * 1000).toISOString().slice(0, 19) + "Z");
    address.searchParams.set("to", new Date(to * 1000).toISOString().slice(0, 19) + "Z");
    location.assign(address);
  };

  let plots = [];
  const drawAll = () => {
    for (const plot of plots) plot.destroy();
    plots = [...document.querySelectorAll("[data-chart]")].map(draw);
  };
  drawAll();
  document.addEventListener("htmx:load", () => {
    if ([...document.querySelectorAll("[data-chart]")].some((holder) => !holder.firstChild)) drawAll();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
  let width = innerWidth;
  addEventListener("resize", () => { if (innerWidth !== width) { width = innerWidth; drawAll(); } });
})();
