// Assumptions as a tornado: the decisive figure between the low and the high value of each.
function drawTornado() {
  const where = fresh('tornado');
  const { figure, now, text, rows } = data.tornado;
  const row = 26, top = 6, bottom = top + rows.length * row;
  const svg = plot(where, bottom + 40, `${figure} at the low and the high value of each assumption`);
  const left = 190, right = svg.plotWidth - 24;
  const ends = rows.flatMap((r) => [r.low, r.high]).concat(now);
  const from = Math.min(...ends), to = Math.max(...ends), pad = (to - from || Math.abs(now) || 1) * 0.22;
  const x = (v) => left + (v - from + pad) / (to - from + 2 * pad) * (right - left);
  rows.forEach((r, at) => {
    const y = top + at * row, low = Math.min(r.low, r.high), high = Math.max(r.low, r.high);
    const lowText = r.low <= r.high ? r.texts[0] : r.texts[1], highText = r.low <= r.high ? r.texts[1] : r.texts[0];
    const colour = r.flips ? 'var(--d1)' : 'var(--d0)';
    svg.append(shape('text', { x: left - 8, y: y + 16, 'text-anchor': 'end' }, cut(r.name, left - 16)));
    const rect = shape('rect', { class: 'bar', x: x(low), y: y + 4, width: Math.max(1.5, x(high) - x(low)), height: row - 9, style: `fill:${colour}`, tabindex: 0 });
    const words = `${r.name} from ${r.values[0]} to ${r.values[2]}: ${r.texts[0]} to ${r.texts[1]}`;
    rect.append(shape('title', {}, words));
    rect.addEventListener('pointermove', (event) => showTip(event, [{ colour, text: words }, r.flips ? 'Another design would be chosen.' : 'The verdict stands.']));
    rect.addEventListener('pointerleave', hideTip);
    svg.append(rect, shape('text', { class: 'soft', x: x(low) - 5, y: y + 16, 'text-anchor': 'end' }, lowText), shape('text', { class: 'soft', x: x(high) + 5, y: y + 16 }, highText));
  });
  svg.append(shape('line', { x1: x(now), x2: x(now), y1: top, y2: bottom, stroke: 'var(--ink)', 'stroke-dasharray': '3 3' }));
  svg.append(shape('text', { class: 'soft', x: x(now), y: bottom + 18, 'text-anchor': 'middle' }, `${figure} now: ${text}`));
}
if (data.tornado) chart(drawTornado);
