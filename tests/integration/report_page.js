// Uses the page as a reader does: hovers, sorts, zooms, chooses; writes what it saw into the document.
const seen = { problems: window.problems };
const all = (what) => [...document.querySelectorAll(what)];
const tipText = () => { const tip = document.getElementById('tip'); return tip && !tip.hidden ? tip.textContent : ''; };

function point(target, kind, part = 0.5) {
  if (!target) return;
  const box = target.getBoundingClientRect();
  target.dispatchEvent(new PointerEvent(kind, { bubbles: true, cancelable: true, clientX: box.left + box.width * part, clientY: box.top + box.height * 0.4 }));
}

function hover(what) {
  const target = document.querySelector(what);
  point(target, 'pointermove');
  const text = tipText();
  point(target, 'pointerleave');
  return text.length > 0 && !/NaN|undefined|Infinity/.test(text);
}

function choose(name, at) {
  const select = document.querySelector(`select[name="${name}"]`);
  if (!select || select.options.length <= at) return;
  select.selectedIndex = at;
  select.dispatchEvent(new Event('change'));
}

// Texts of one plot that lie on each other, as [plot, text, text].
function overlaps() {
  const found = [];
  for (const svg of all('svg.plot')) {
    const boxes = [...svg.querySelectorAll('text')].map((text) => [text.textContent, text.getBoundingClientRect()]);
    const edge = svg.getBoundingClientRect();
    boxes.forEach(([a, p], at) => {
      if (p.left < edge.left - 1 || p.right > edge.right + 1) found.push([svg.getAttribute('aria-label'), a, 'edge']);
      for (const [b, q] of boxes.slice(at + 1)) {
        if (p.left < q.right - 1 && q.left < p.right - 1 && p.top < q.bottom - 3 && q.top < p.bottom - 3) found.push([svg.getAttribute('aria-label'), a, b]);
      }
    });
  }
  return found;
}

try {
  seen.bars = all('[data-chart=hours] rect.bar').length;
  seen.wait_curves = all('[data-chart=waits] path.curve').length;
  seen.time_curves = all('[data-chart=time] path.curve').length;
  seen.heat = all('[data-chart=nodes] path.heat').length;
  seen.overlaps = overlaps();
  seen.wide = document.documentElement.scrollWidth > innerWidth + 1;
  seen.bar_tip = hover('[data-chart=hours] rect.bar');
  seen.wait_tip = hover('[data-chart=waits] svg.plot');
  seen.time_tip = hover('[data-chart=time] svg.plot');
  seen.heat_tip = hover('[data-chart=nodes] path.heat');

  const curve = () => (document.querySelector('[data-chart=time] path.curve') || { getAttribute: () => '' }).getAttribute('d');
  const before = curve();
  const dragged = document.querySelector('[data-chart=time] svg.plot');
  point(dragged, 'pointerdown', 0.3); point(dragged, 'pointermove', 0.5); point(dragged, 'pointerup', 0.5);
  seen.zoomed = curve() !== before;
  const whole = document.querySelector('[data-controls=time] button[name=all]');
  if (whole) whole.click();
  seen.unzoomed = curve() === before;

  const values = (row) => [...row.cells].slice(1).map((cell) => Number(cell.dataset.value));
  const rising = (list) => list.every((v, at) => at === 0 || list[at - 1] <= v);
  const row = all('#designs tr').find((r) => r.cells[0].textContent === 'Wait, mean');
  const button = row && row.querySelector('button.sort');
  if (button) {
    const declared = values(row).join();
    button.click();
    const first = rising(values(row)) && row.cells[0].getAttribute('aria-sort') === 'ascending';
    button.click();
    const second = rising(values(row).reverse());
    button.click();
    seen.designs_sorted = first && second && values(row).join() === declared;
  }
  const table = () => document.querySelector('table.groups');
  if (table()) {
    const jobs = () => [...table().tBodies[0].rows].map((r) => Number(r.cells[1].dataset.value));
    table().tHead.rows[0].cells[1].querySelector('button').click();
    const up = rising(jobs());
    table().tHead.rows[0].cells[1].querySelector('button').click();
    seen.groups_sorted = up && rising(jobs().reverse());
  }
  for (const select of all('select')) for (let at = select.options.length - 1; at >= 0; at -= 1) choose(select.name, at);
  seen.overlaps.push(...overlaps());
} catch (error) {
  seen.problems.push(String(error.stack || error));
}
seen.stolen = window.stolen !== undefined;
const pre = document.createElement('pre');
pre.id = 'found';
pre.textContent = JSON.stringify(seen).replace(/[<>&]/g, '?');
document.body.append(pre);
