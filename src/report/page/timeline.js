// Use and queue over time: means as lines, peaks as a pale band; zoom by dragging.

let zoom = null; // [from, to] in seconds, or the whole
const stepS = data.timeline.step_s;
const lengthS = Math.max(1, ...data.timeline.designs.map((d) => d.wait.length)) * stepS;

// One value per pixel column: time-weighted mean and the largest peak inside, so that no peak is lost.
function columns(mean, peak, from, to, width) {
  const found = [];
  const first = Math.max(0, Math.floor(from / stepS)), last = Math.min(mean.length, Math.ceil(to / stepS));
  const each = Math.max(1, Math.ceil((last - first) / width));
  for (let at = first; at < last; at += each) {
    let sum = 0, most = 0, n = 0;
    for (let k = at; k < Math.min(at + each, last); k += 1) { sum += mean[k]; most = Math.max(most, peak[k]); n += 1; }
    found.push([at * stepS, Math.min(to, (at + n) * stepS), sum / n, most]);
  }
  return found;
}

// `only` is the one design to draw, or undefined for all of them.
function seriesPlot(where, options, only) {
  const [from, to] = zoom || [0, lengthS];
  where.append(element('p', { class: 'title' }, options.title));
  const low = only !== undefined, height = low ? 112 : 220;
  const svg = plot(where, height, options.title);
  const left = 78, right = svg.plotWidth - 24, top = 10, bottom = height - (low ? 24 : 44);
  const x = (s) => left + (s - from) / (to - from) * (right - left);
  const lines = data.timeline.designs.map((d, at) => columns(d[options.mean], d[options.peak], from, to, Math.floor((right - left) / 2.5))
    .filter(() => !low || at === only)
    .map(([a, b, mean, peak]) => [a, b, mean / options.whole(at), peak / options.whole(at)]));
  const most = Math.max(options.least, ...lines.flat().map((row) => row[3]));
  const ticks = low ? [0, 0.5, 1] : options.share ? [0, 0.25, 0.5, 0.75, 1] : steps(most, 4);
  const end = options.share ? 1 : ticks[ticks.length - 1];
  const y = (v) => bottom - Math.min(v, end) / end * (bottom - top);
  for (const tick of ticks) {
    svg.append(shape('line', { class: 'grid', x1: left, x2: right, y1: y(tick), y2: y(tick) }));
    svg.append(shape('text', { class: 'soft', x: left - 8, y: y(tick) + 4, 'text-anchor': 'end' }, options.share ? Math.round(tick * 100) + ' %' : number(tick)));
  }
  for (const [s, label] of timeTicks(from, to, Math.floor((right - left) / 62))) {
    svg.append(shape('line', { class: 'grid', x1: x(s), x2: x(s), y1: top, y2: bottom }));
    svg.append(shape('text', { class: 'soft', x: x(s), y: bottom + 16, 'text-anchor': 'middle' }, label));
  }
  svg.append(shape('line', { class: 'axis', x1: left, x2: right, y1: bottom, y2: bottom }));
  if (!low) svg.append(shape('text', { class: 'soft', x: (left + right) / 2, y: bottom + 36, 'text-anchor': 'middle' }, 'time since the first submission'));
  svg.append(shape('text', { class: 'soft', x: 14, y: (top + bottom) / 2, 'text-anchor': 'middle', transform: `rotate(-90 14 ${(top + bottom) / 2})` }, options.axis));
  lines.forEach((rows, at) => {
    if (!rows.length) return;
    const along = (pick) => rows.map(([a, b, ...v]) => `${x(Math.max(a, from)).toFixed(1)} ${y(v[pick]).toFixed(1)}H${x(b).toFixed(1)}`);
    const back = rows.map(([a, b, mean]) => `${x(b).toFixed(1)} ${y(mean).toFixed(1)}H${x(Math.max(a, from)).toFixed(1)}`).reverse();
    const means = along(0);
    svg.append(shape('path', { class: 'band', d: `M${along(1).join('L')}L${back.join('L')}Z`, fill: colour(at), opacity: 0.28 }));
    svg.append(shape('path', { class: 'curve', d: 'M' + means.join('L'), fill: 'none', stroke: colour(at), 'stroke-width': 1.6, 'stroke-dasharray': (!low && DASHES[at % 8]) || 'none' }));
  });
  drag(svg, { from, to, left, right, top, bottom, lines, options });
}

function drag(svg, view) {
  const { from, to, left, right, top, bottom, lines, options } = view;
  const line = shape('line', { class: 'axis', y1: top, y2: bottom, visibility: 'hidden' });
  const box = shape('rect', { y: top, height: bottom - top, fill: 'var(--link)', opacity: 0.18, visibility: 'hidden' });
  svg.append(box, line);
  const time = (px) => from + (Math.min(Math.max(px, left), right) - left) / (right - left) * (to - from);
  let start = null;
  svg.addEventListener('pointerdown', (event) => { start = inside(svg, event)[0]; event.preventDefault(); });
  svg.addEventListener('pointermove', (event) => {
    const [px] = inside(svg, event);
    if (px < left || px > right) { line.setAttribute('visibility', 'hidden'); return hideTip(); }
    line.setAttribute('x1', px); line.setAttribute('x2', px); line.setAttribute('visibility', 'visible');
    if (start !== null) {
      box.setAttribute('x', Math.min(start, px)); box.setAttribute('width', Math.abs(px - start)); box.setAttribute('visibility', 'visible');
    }
    const s = time(px);
    showTip(event, [since(s), ...lines.map((rows, at) => {
      const row = rows.find(([a, b]) => s >= a && s <= b);
      return row && { colour: colour(at), text: `${options.text(row[2], row[3])}  ${data.designs[at].label}` };
    }).filter(Boolean)]);
  });
  const release = (event) => {
    const px = inside(svg, event)[0];
    box.setAttribute('visibility', 'hidden');
    if (start !== null && Math.abs(px - start) > 6) zoomTo(time(Math.min(start, px)), time(Math.max(start, px)));
    start = null;
  };
  svg.addEventListener('pointerup', release);
  svg.addEventListener('pointerleave', () => { line.setAttribute('visibility', 'hidden'); box.setAttribute('visibility', 'hidden'); start = null; hideTip(); });
  svg.addEventListener('dblclick', () => zoomTo(0, lengthS));
}

function zoomTo(from, to) {
  const least = Math.min(lengthS, 4 * stepS), middle = (from + to) / 2;
  if (to - from < least) { from = middle - least / 2; to = middle + least / 2; }
  if (from < 0) { to -= from; from = 0; }
  if (to > lengthS) { from = Math.max(0, from - (to - lengthS)); to = lengthS; }
  zoom = to - from >= lengthS * 0.999 ? null : [from, to];
  drawTime();
}

function drawTime() {
  const where = fresh('time');
  zoomButtons.forEach((button) => { button.disabled = zoom === null && button.name !== 'in'; });
  if (!data.timeline.designs.some((d) => d.wait.length)) return nothing(where, 'Nothing was submitted.');
  designLegend(where);
  const used = {
    title: `Allocated ${data.device}s`, axis: `share of all ${data.device}s`, mean: 'used', peak: 'used_max', share: true, least: 1,
    whole: (at) => Math.max(1, data.designs[at].devices),
    text: (mean, peak) => `${percent(mean)}, peak ${percent(peak)}`,
  };
  // More than two such lines in one plot cannot be told apart: each design gets its own.
  if (data.designs.length <= 2) seriesPlot(where, used);
  else data.designs.forEach((d, at) => seriesPlot(where, { ...used, title: `Allocated ${data.device}s, ${d.label}`, axis: 'share' }, at));
  seriesPlot(where, {
    title: 'Waiting jobs', axis: 'jobs', mean: 'wait', peak: 'wait_max', share: false, least: 4, whole: () => 1,
    text: (mean, peak) => `${number(mean)} jobs, peak ${number(peak)}`,
  });
}

const zoomBy = (scale, shift) => () => {
  const [from, to] = zoom || [0, lengthS], width = (to - from) * scale, middle = (from + to) / 2 + shift * (to - from);
  zoomTo(middle - width / 2, middle + width / 2);
};
const zoomButtons = [['in', 'Zoom in', zoomBy(0.5, 0)], ['out', 'Zoom out', zoomBy(2, 0)], ['earlier', '\u2190 Earlier', zoomBy(1, -0.5)],
  ['later', 'Later \u2192', zoomBy(1, 0.5)], ['all', 'Whole horizon', () => zoomTo(0, lengthS)]].map(([name, text, clicked]) => {
  const button = element('button', { type: 'button', name }, text);
  button.addEventListener('click', clicked);
  document.querySelector('[data-controls="time"]').append(button);
  return button;
});
chart(drawTime);
