// Heat maps: how full each node was. One path per shade keeps the page light.

const LEVELS = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const SHADES = 10;
let nodesView = 0;

function heatMap(where, design, map, view) {
  const rowHeight = Math.max(9, Math.min(18, 200 / map.rows.length)), top = 4;
  const bottom = top + rowHeight * map.rows.length;
  where.append(element('p', { class: 'title' }, data.designs[design].label));
  const svg = plot(where, bottom + 38, `Allocation by node of ${data.designs[design].label}`);
  const longest = Math.max(...map.names.map((name) => name.length));
  const left = Math.min(150, 16 + longest * 7), right = svg.plotWidth - 24;
  const steps = map.rows[0].length, width = (right - left) / steps;
  const shades = Array.from({ length: SHADES + 1 }, () => '');
  map.rows.forEach((line, row) => {
    let from = 0;
    for (let at = 1; at <= steps; at += 1) {
      const shade = (k) => { const level = LEVELS.indexOf(line[k]); return level === 0 ? 0 : Math.max(1, Math.round(level / 61 * SHADES)); };
      if (at === steps || shade(at) !== shade(from)) {
        shades[shade(from)] += `M${(left + from * width).toFixed(1)} ${(top + row * rowHeight).toFixed(1)}h${((at - from) * width).toFixed(1)}v${(rowHeight - 1).toFixed(1)}h${(-(at - from) * width).toFixed(1)}z`;
        from = at;
      }
    }
    const every = Math.ceil(13 / rowHeight);
    if (row % every === 0) svg.append(shape('text', { class: 'soft', x: left - 6, y: top + row * rowHeight + Math.min(rowHeight, 13) - 2, 'text-anchor': 'end', 'font-size': 11 }, cut(map.names[row], left - 8, 11)));
  });
  shades.forEach((d, shade) => {
    if (d) svg.append(shape('path', { class: 'heat', d, style: shade === 0 ? 'fill:var(--grid)' : `fill:rgba(var(--heat),${0.12 + 0.88 * shade / SHADES})` }));
  });
  const end = view.from_s + steps * view.step_s;
  const x = (s) => left + (s - view.from_s) / (end - view.from_s) * (right - left);
  for (const [s, label] of timeTicks(view.from_s, end, Math.floor((right - left) / 62))) {
    svg.append(shape('line', { class: 'axis', x1: x(s), x2: x(s), y1: bottom, y2: bottom + 4 }));
    svg.append(shape('text', { class: 'soft', x: x(s), y: bottom + 16, 'text-anchor': 'middle' }, label));
  }
  svg.append(shape('text', { class: 'soft', x: (left + right) / 2, y: bottom + 33, 'text-anchor': 'middle' }, 'time since the first submission'));
  svg.addEventListener('pointermove', (event) => {
    const [px, py] = inside(svg, event);
    const at = Math.floor((px - left) / width), row = Math.floor((py - top) / rowHeight);
    if (at < 0 || at >= steps || row < 0 || row >= map.rows.length) return hideTip();
    const share = LEVELS.indexOf(map.rows[row][at]) / 61;
    showTip(event, [`${map.names[row]}: ${Math.round(share * 100)} % of its ${data.device}s allocated`, `from ${since(view.from_s + at * view.step_s)}, for ${span(view.step_s)}`]);
  });
  svg.addEventListener('pointerleave', hideTip);
}

function drawNodes() {
  const where = fresh('nodes');
  const view = data.nodes[nodesView];
  if (!view || !view.designs.some(Boolean)) return nothing(where, 'No job held a node, or the allocations were not kept.');
  const shade = (share) => `rgba(var(--heat),${0.12 + 0.88 * share})`;
  legend(where, [{ name: 'free', colour: 'var(--grid)' }, { name: '10 %', colour: shade(0.1) }, { name: '50 %', colour: shade(0.5) }, { name: '100 % allocated', colour: shade(1) }]);
  view.designs.forEach((map, design) => { if (map) heatMap(where, design, map, view); });
}
if (data.nodes.length > 1) {
  choice('nodes', 'Window', data.nodes.map((view, at) => [at, view.name]), (value) => { nodesView = Number(value); drawNodes(); });
}
chart(drawNodes);
