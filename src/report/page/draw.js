// Words, scales and small SVG tools that every chart uses.
const data = JSON.parse(document.getElementById('data').textContent);
const DASHES = ['', '7 3', '2 3', '9 3 2 3', '12 4', '4 2', '1 3', '8 2 2 2'];
const colour = (at) => `var(--d${at % 8})`;

function shape(name, attributes, text) {
  const made = document.createElementNS('http://www.w3.org/2000/svg', name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

// An empty plot as wide as its place; numbers are pixels.
function plot(place, height, label) {
  const width = Math.max(480, Math.min(1200, place.clientWidth || 960));
  const svg = shape('svg', { class: 'plot', viewBox: `0 0 ${width} ${height}`, role: 'img', 'aria-label': label });
  svg.plotWidth = width;
  place.append(svg);
  return svg;
}

const grouped = (n) => String(Math.round(n)).replace(/\B(?=(\d{3})+(?!\d))/g, ',');
const number = (v) => Math.abs(v) >= 100 ? grouped(v) : String(Number(v.toPrecision(3)));
const percent = (v) => {
  const p = v * 100;
  return (p === 0 || p >= 10 ? p.toFixed(1) : String(Number(p.toPrecision(2)))) + ' %';
};

function span(s) {
  if (s === null || s === undefined) return '-';
  if (s < 120) return Number(s.toPrecision(3)) + ' s';
  if (s < 7200) return (s / 60).toFixed(1) + ' min';
  if (s < 172800) return (s / 3600).toFixed(1) + ' h';
  return (s / 86400).toFixed(1) + ' d';
}

// Round steps: at most `most` of them up to `top`.
function steps(top, most) {
  if (!(top > 0)) return [0, 1];
  const raw = top / most;
  const power = Math.pow(10, Math.floor(Math.log10(raw)));
  const step = [1, 2, 2.5, 5, 10].map((m) => m * power).find((s) => s >= raw * 0.999);
  const found = [];
  for (let at = 0; at < top + step * 0.999; at += step) found.push(Number(at.toPrecision(12)));
  return found;
}

// Ticks of time: [seconds, label], days since the first submission counted from 0.
function timeTicks(from, to, most) {
  const STEPS = [60, 300, 600, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 172800, 432000, 604800, 1209600,
    2592000, 7776000, 31536000, 157680000];
  const step = STEPS.find((s) => (to - from) / s <= most) || STEPS[STEPS.length - 1];
  const ticks = [];
  for (let at = Math.ceil(from / step) * step; at <= to; at += step) {
    const day = Math.floor(at / 86400), rest = at - day * 86400;
    const clock = `${String(Math.floor(rest / 3600)).padStart(2, '0')}:${String(Math.floor(rest % 3600 / 60)).padStart(2, '0')}`;
    ticks.push([at, step >= 86400 ? `day ${day}` : rest === 0 ? `day ${day}` : clock]);
  }
  return ticks;
}

const since = (s) => {
  const day = Math.floor(s / 86400), rest = Math.round(s - day * 86400);
  return `day ${day}, ${String(Math.floor(rest / 3600)).padStart(2, '0')}:${String(Math.floor(rest % 3600 / 60)).padStart(2, '0')}`;
};

// Cuts a label to a width in pixels; the whole of it stays in the tip and the legend.
function cut(text, width, size = 12) {
  const fits = Math.max(3, Math.floor(width / (size * 0.56)));
  return text.length > fits ? text.slice(0, fits - 1) + '\u2026' : text;
}

function legend(place, entries) {
  const list = element('ul', { class: 'legend' });
  for (const entry of entries) {
    const svg = shape('svg', { width: 26, height: 12, 'aria-hidden': 'true' });
    if (entry.line) {
      svg.append(shape('line', { x1: 0, x2: 26, y1: 6, y2: 6, stroke: entry.colour, 'stroke-width': 2.5, 'stroke-dasharray': entry.dash || 'none' }));
    } else {
      svg.append(shape('rect', { x: 6, y: 0, width: 14, height: 12, rx: 2, fill: entry.colour }));
    }
    const item = element('li', entry.what ? { title: entry.what } : {}, entry.name);
    item.prepend(svg);
    list.append(item);
  }
  place.append(list);
}

const designLegend = (place) => {
  if (data.designs.length > 1) {
    legend(place, data.designs.map((d, at) => ({ name: d.label, colour: colour(at), dash: DASHES[at % 8], line: true })));
  }
};

const tip = element('div', { id: 'tip', hidden: '', role: 'status' });
document.body.append(tip);

// Shows lines of text (or {colour, text}) beside the pointer.
function showTip(event, lines) {
  tip.replaceChildren(...lines.map((line) => {
    const row = element('div', {});
    if (line.colour) {
      const key = element('i', { class: 'key' });
      key.style.background = line.colour;
      row.append(key);
    }
    row.append(line.text || line);
    return row;
  }));
  tip.hidden = false;
  const box = tip.getBoundingClientRect();
  const x = event.clientX + 14 + box.width > innerWidth ? event.clientX - box.width - 14 : event.clientX + 14;
  tip.style.left = Math.max(4, x) + 'px';
  tip.style.top = Math.max(4, Math.min(event.clientY + 14, innerHeight - box.height - 4)) + 'px';
}
const hideTip = () => { tip.hidden = true; };

// Where the pointer is inside an SVG, in its own units.
function inside(svg, event) {
  const box = svg.getBoundingClientRect();
  return [(event.clientX - box.left) * svg.plotWidth / box.width, (event.clientY - box.top) * svg.plotWidth / box.width];
}

function choice(id, name, options, changed) {
  const select = element('select', { name: `${id}-${name}` });
  for (const [value, text] of options) select.append(element('option', { value }, text));
  select.addEventListener('change', () => changed(select.value));
  document.querySelector(`[data-controls="${id}"]`).append(element('label', {}, name, select));
  return select;
}

const place = (id) => document.querySelector(`[data-chart="${id}"]`);
function fresh(id) {
  const found = place(id);
  found.replaceChildren();
  return found;
}
const nothing = (where, why) => where.append(element('p', { class: 'empty' }, why));

// Every chart draws itself again when the width changes.
const charts = [];
function chart(draw) { charts.push(draw); }
let drawnWidth = 0;
function drawAll() {
  if (drawnWidth === document.documentElement.clientWidth) return;
  drawnWidth = document.documentElement.clientWidth;
  charts.forEach((draw) => draw());
}
