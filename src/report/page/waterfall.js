// The hours as a waterfall: from what is installed, loss by loss, to what did work.
function waterfall(where, bars, options) {
  const used = bars[0].parts.map((_, at) => at).filter((at) => at > 0 && bars.some((bar) => bar.parts[at].value > 0));
  const row = 20, gap = 30, rows = used.length + 2;
  const high = bars.length * (rows * row + gap);
  const svg = plot(where, high + 8, options.title);
  const left = 178, right = svg.plotWidth - 170;
  const whole = (bar) => bar.parts.reduce((sum, part) => sum + part.value, 0);
  const most = Math.max(...bars.map(whole), 1e-9);
  const x = (v) => left + v / most * (right - left);
  bars.forEach((bar, at) => {
    let y = at * (rows * row + gap) + 4;
    const all = whole(bar);
    svg.append(shape('text', { x: 8, y: y + 14, 'font-weight': 600 }, cut(bar.label, svg.plotWidth - 24)));
    y += gap - 6;
    const line = (name, from, to, part) => {
      const amount = to - from;
      svg.append(shape('text', { class: 'soft', x: left - 8, y: y + 13, 'text-anchor': 'end' }, cut(name, left - 16)));
      const rect = shape('rect', { class: 'bar', x: x(from), y: y + 2, width: Math.max(0.8, x(to) - x(from)), height: row - 6, style: `fill:${part.colour}`, tabindex: 0 });
      const text = `${name}: ${options.text(amount, all)}`;
      rect.append(shape('title', {}, `${bar.label}: ${text}`));
      rect.addEventListener('pointermove', (event) => showTip(event, [{ colour: part.colour, text }, part.what, bar.label].filter(Boolean)));
      rect.addEventListener('pointerleave', hideTip);
      svg.append(rect, shape('text', { class: 'soft', x: x(to) + 6, y: y + 13 }, options.text(amount, all)));
      y += row;
    };
    line('Installed', 0, all, { colour: 'var(--line)', what: 'Capacity x horizon.' });
    let rest = all;
    for (const index of used) {
      const part = bar.parts[index];
      line(part.name, rest - part.value, rest, part);
      rest -= part.value;
    }
    line(bar.parts[0].name, 0, bar.parts[0].value, bar.parts[0]);
  });
}
