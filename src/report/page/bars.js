// Stacked bars: the GPU-hour ledger and the costs.

// bars: [{label, parts: [{name, what, colour, value}]}]; text(value, whole) words a part.
function stackedBars(where, bars, options) {
  const used = bars[0].parts.filter((_, at) => bars.some((bar) => bar.parts[at].value > 0));
  legend(where, used.map((part) => ({ name: part.name, what: part.what, colour: part.colour })));
  const row = 46, top = 4, foot = 40;
  const svg = plot(where, top + bars.length * row + foot, options.title);
  const left = 8, right = svg.plotWidth - 24, bottom = top + bars.length * row;
  const wholes = bars.map((bar) => bar.parts.reduce((sum, part) => sum + part.value, 0));
  const ticks = options.share ? [0, 0.25, 0.5, 0.75, 1] : steps(Math.max(...wholes), 6);
  const end = options.share ? 1 : Math.max(ticks[ticks.length - 1], 1e-9);
  const x = (v) => left + v / end * (right - left);
  for (const tick of ticks) {
    svg.append(shape('line', { class: 'grid', x1: x(tick), x2: x(tick), y1: top, y2: bottom }));
    const anchor = tick === 0 ? 'start' : x(tick) > right - 30 ? 'end' : 'middle';
    svg.append(shape('text', { class: 'soft', x: x(tick), y: bottom + 14, 'text-anchor': anchor }, options.share ? Math.round(tick * 100) + ' %' : number(tick)));
  }
  svg.append(shape('text', { class: 'soft', x: (left + right) / 2, y: bottom + 32, 'text-anchor': 'middle' }, options.axis));
  bars.forEach((bar, at) => {
    const y = top + at * row, whole = wholes[at];
    const right_text = options.whole(whole, at);
    svg.append(shape('text', { x: left, y: y + 14, 'font-weight': 600 }, cut(bar.label, right - left - right_text.length * 7)));
    svg.append(shape('text', { class: 'soft', x: right, y: y + 14, 'text-anchor': 'end' }, right_text));
    let from = 0;
    for (const part of bar.parts) {
      if (!(part.value > 0)) continue;
      const value = options.share ? part.value / whole : part.value;
      const rect = shape('rect', { class: 'bar', x: x(from), y: y + 19, width: Math.max(0.6, x(from + value) - x(from)), height: 20, style: `fill:${part.colour};stroke:var(--paper)`, 'stroke-width': 1, tabindex: 0 });
      rect.append(shape('title', {}, `${bar.label}: ${part.name} ${options.text(part.value, whole, at)}`));
      const lines = () => [{ colour: part.colour, text: `${part.name}: ${options.text(part.value, whole, at)}` }, part.what, bar.label].filter(Boolean);
      rect.addEventListener('pointermove', (event) => showTip(event, lines()));
      rect.addEventListener('pointerleave', hideTip);
      svg.append(rect);
      from += value;
    }
  });
}

let hoursScale = 'share';
function drawHours() {
  const where = fresh('hours');
  const bars = data.designs.map((design) => ({
    label: design.label,
    parts: data.categories.map((c, at) => ({ name: c.name, what: c.what, colour: `var(--${c.key})`, value: design.hours[at] })),
  }));
  if (!bars.some((bar) => bar.parts.some((part) => part.value > 0))) return nothing(where, 'The horizon has no length: there are no hours to split.');
  if (hoursScale === 'waterfall') {
    return waterfall(where, bars, {
      title: `${data.device}-hours of each design, from installed to productive`,
      text: (value, whole) => `${grouped(value)} h, ${percent(value / whole)}`,
    });
  }
  stackedBars(where, bars, {
    title: `${data.device}-hours of each design by use`,
    share: hoursScale === 'share',
    axis: hoursScale === 'share' ? `share of the installed ${data.device}-hours` : `${data.device}-hours`,
    whole: (whole, at) => `${grouped(whole)} ${data.device}-hours, ${grouped(data.designs[at].devices)} ${data.device}s`,
    text: (value, whole) => `${grouped(value)} ${data.device}-hours, ${percent(value / whole)}`,
  });
}
choice('hours', 'Scale', [['share', 'share of what is installed'], ['hours', `${data.device}-hours`], ['waterfall', 'a waterfall from installed to productive']], (value) => { hoursScale = value; drawHours(); });
chart(drawHours);

let costSplit = 'kind';
const priced = data.designs.filter((design) => design.cost);
const oneCurrency = priced.every((design) => design.currency === priced[0].currency);
function drawCost() {
  const where = fresh('cost');
  if (!oneCurrency) return nothing(where, 'The designs are paid in different currencies, and nothing is converted: see the table.');
  const total = (design) => design.cost.reduce((sum, part) => sum + part, 0);
  const bars = priced.map((design) => {
    const hours = design.hours.reduce((sum, part) => sum + part, 0);
    const byUse = (c, at) => ({ name: c.name, what: c.what, colour: `var(--${c.key})`, value: hours > 0 ? total(design) * design.hours[at] / hours : 0 });
    const byKind = (kind, at) => ({ name: kind.name, what: kind.what, colour: `var(--${kind.key})`, value: design.cost[at] });
    return { label: design.label, parts: costSplit === 'kind' ? data.kinds.map(byKind) : data.categories.map(byUse) };
  });
  if (!bars.some((bar) => bar.parts.some((part) => part.value > 0))) return nothing(where, 'Nothing costs anything.');
  const code = priced[0].currency;
  stackedBars(where, bars, {
    title: 'Cost of each design over the horizon',
    share: false,
    axis: `${code} over the horizon`,
    whole: (whole) => `${grouped(whole)} ${code}`,
    text: (value, whole) => `${grouped(value)} ${code}, ${percent(value / whole)}`,
  });
}
if (priced.length) {
  choice('cost', 'Split', [['kind', 'by what is paid for'], ['use', `by what became of the ${data.device}-hours`]], (value) => { costSplit = value; drawCost(); });
  chart(drawCost);
}
