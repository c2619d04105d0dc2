// Wait distributions: share of jobs that waited longer, on a logarithmic axis of time that starts at zero.

const WAIT_TICKS = [[1, '1 s'], [10, '10 s'], [60, '1 min'], [600, '10 min'], [3600, '1 h'], [21600, '6 h'], [86400, '1 d'],
  [604800, '7 d'], [2592000, '30 d'], [31536000, '1 y']];
let waitGroup = 0, waitScale = 'log';

function drawWaits() {
  const where = fresh('waits');
  const group = data.waits.groups[waitGroup];
  if (!group) return nothing(where, 'No job started, so there are no waits.');
  designLegend(where);
  const svg = plot(where, 360, `Wait distribution of ${group.name}`);
  const left = 78, right = svg.plotWidth - 24, top = 12, bottom = 304;
  const longest = Math.max(...group.w.map((w) => w.length ? w[w.length - 1] : 0), 60);
  const zero = 34; // pixels for waits below one second
  const reach = Math.log10(Math.max(longest, 10)) * 1.02;
  const x = (s) => s < 1 ? left + zero * s : left + zero + Math.log10(s) / reach * (right - left - zero);
  const fewest = 1 / Math.max(...group.n, 10);
  const decades = Math.min(5, Math.max(1, Math.ceil(-Math.log10(fewest) - 1e-9)));
  const floor = Math.pow(10, -decades);
  const y = (share) => waitScale === 'log'
    ? top + Math.min(1, -Math.log10(Math.max(share, floor)) / decades) * (bottom - top)
    : bottom - share * (bottom - top);
  const shares = waitScale === 'log' ? Array.from({ length: decades + 1 }, (_, k) => Math.pow(10, -k)) : [0, 0.25, 0.5, 0.75, 1];
  for (const share of shares) {
    svg.append(shape('line', { class: 'grid', x1: left, x2: right, y1: y(share), y2: y(share) }));
    svg.append(shape('text', { class: 'soft', x: left - 8, y: y(share) + 4, 'text-anchor': 'end' }, Number((share * 100).toPrecision(6)) + ' %'));
  }
  svg.append(shape('line', { class: 'axis', x1: left, x2: right, y1: bottom, y2: bottom }));
  let lastLabel = -99;
  for (const [s, label] of [[0, '0'], ...WAIT_TICKS]) {
    if (x(s) > right) break;
    svg.append(shape('line', { class: 'grid', x1: x(s), x2: x(s), y1: top, y2: bottom }));
    if (x(s) - lastLabel > 30) {
      svg.append(shape('text', { class: 'soft', x: x(s), y: bottom + 16, 'text-anchor': 'middle' }, label));
      lastLabel = x(s);
    }
  }
  svg.append(shape('text', { class: 'soft', x: (left + right) / 2, y: bottom + 38, 'text-anchor': 'middle' }, 'wait from submission to start (logarithmic, from 0)'));
  svg.append(shape('text', { class: 'soft', x: 14, y: (top + bottom) / 2, 'text-anchor': 'middle', transform: `rotate(-90 14 ${(top + bottom) / 2})` }, 'share of jobs that waited longer'));
  group.w.forEach((w, at) => {
    if (w.length) svg.append(shape('path', { class: 'curve', d: survival(w, group.n[at], x, y, floor), fill: 'none', stroke: colour(at), 'stroke-width': 2.2, 'stroke-dasharray': DASHES[at % 8] || 'none', 'stroke-linejoin': 'round' }));
  });
  hoverWaits(svg, group, x, left, right, top, bottom);
}

// Down in steps: past the wait of quantile p, a share of 1 - p is left.
function survival(w, n, x, y, floor) {
  let path = '', level = null;
  data.waits.p.forEach((p, at) => {
    if (1 - p < 1 / n - 1e-12 && at > 0) return;
    const px = x(w[at]).toFixed(1), py = y(1 - p).toFixed(1);
    path += level === null ? `M${x(0).toFixed(1)} ${y(1).toFixed(1)}H${px}V${py}` : `L${px} ${py}`;
    level = py;
  });
  const end = x(w[w.length - 1]).toFixed(1);
  return path + `L${end} ${y(Math.max(1 / n, floor)).toFixed(1)}V${y(waitScale === 'log' ? floor : 0).toFixed(1)}`;
}

// Share of a design's jobs that waited longer than s.
function longer(w, n, s) {
  if (!w.length) return null;
  if (s >= w[w.length - 1]) return 0;
  let at = data.waits.p.length - 1;
  while (at >= 0 && w[at] > s) at -= 1;
  return at < 0 ? 1 : Math.max(1 - (data.waits.p[at + 1] || data.waits.p[at]), 1 / n);
}

function hoverWaits(svg, group, x, left, right, top, bottom) {
  const line = shape('line', { class: 'axis', y1: top, y2: bottom, visibility: 'hidden' });
  svg.append(line);
  svg.addEventListener('pointermove', (event) => {
    const [px] = inside(svg, event);
    if (px < left || px > right) { line.setAttribute('visibility', 'hidden'); return hideTip(); }
    let low = -1, high = 9;
    for (let k = 0; k < 40; k += 1) {
      const mid = (low + high) / 2;
      if (x(Math.pow(10, mid)) < px) low = mid; else high = mid;
    }
    const s = px < x(1) ? 0 : Math.pow(10, low);
    line.setAttribute('x1', px); line.setAttribute('x2', px); line.setAttribute('visibility', 'visible');
    showTip(event, [`longer than ${span(s)}:`, ...group.w.map((w, at) => {
      const share = longer(w, group.n[at], s);
      return { colour: colour(at), text: `${share === null ? 'no jobs' : percent(share)}  ${data.designs[at].label}` };
    })]);
  });
  svg.addEventListener('pointerleave', () => { line.setAttribute('visibility', 'hidden'); hideTip(); });
}

if (data.waits.groups.length) {
  const named = (g, at) => [at, g.kind === 'all' ? g.name : `${g.kind}: ${g.name} (${grouped(Math.max(...g.n))} jobs)`];
  choice('waits', 'Jobs', data.waits.groups.map(named), (value) => { waitGroup = Number(value); drawWaits(); });
  choice('waits', 'Scale', [['log', 'logarithmic: shows the tail'], ['linear', 'linear']], (value) => { waitScale = value; drawWaits(); });
}
chart(drawWaits);
