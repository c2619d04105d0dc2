// Tables: sorting designs by a figure, and the table of groups.

// Designs stand in columns: a click on a figure puts the best first, the next one the worst, then as declared.
const designs = document.getElementById('designs');
if (designs) {
  const rows = [...designs.rows].filter((row) => row.cells.length === data.designs.length + 1);
  const declared = rows.map((row) => [...row.cells]);
  designs.addEventListener('click', (event) => {
    const button = event.target.closest('button.sort');
    if (!button) return;
    const head = button.parentElement, row = head.parentElement, chosen = rows.indexOf(row);
    const higher = row.dataset.better === 'higher';
    const turns = [higher ? 'descending' : 'ascending', higher ? 'ascending' : 'descending', null];
    const turn = turns[(turns.indexOf(head.getAttribute('aria-sort')) + 1) % 3];
    const value = (at) => { const v = declared[chosen][at].dataset.value; return v === undefined ? null : Number(v); };
    const order = data.designs.map((_, at) => at + 1);
    if (turn) {
      order.sort((a, b) => value(a) === null || value(b) === null ? (value(a) === null) - (value(b) === null)
        : turn === 'ascending' ? value(a) - value(b) : value(b) - value(a));
    }
    rows.forEach((line, at) => line.append(...order.map((cell) => declared[at][cell])));
    designs.querySelectorAll('[aria-sort]').forEach((cell) => cell.removeAttribute('aria-sort'));
    if (turn) head.setAttribute('aria-sort', turn);
  });
}

const GROUP_FIGURES = [['Wait, mean', span], ['Wait, median', span], ['Wait, p95', span], ['Wait, p99', span], ['Wait, longest', span],
  ['Bounded slowdown, mean', (v) => v === null ? '-' : v.toFixed(2)], ['GPU-hours run', grouped], ['CPU-hours run', grouped], ['Jobs started', grouped]];
const ways = ['Class', 'Size', 'User', 'Account', 'Partition'].filter((way) => data.groups[way]);
let groupBy = ways[0], groupFigure = 0;

function drawGroups() {
  const where = fresh('groups');
  const found = data.groups[groupBy];
  if (!found) return nothing(where, 'There are no jobs.');
  const [name, word] = GROUP_FIGURES[groupFigure];
  const table = element('table', { class: 'plain groups' });
  const head = table.createTHead().insertRow();
  head.append(element('th', { scope: 'col' }, groupBy), element('th', { scope: 'col', class: 'number', title: 'Jobs submitted' }, 'Jobs'));
  data.designs.forEach((design) => head.append(element('th', { scope: 'col', class: 'number', title: `${name}: ${design.label}` }, design.label)));
  const body = table.createTBody();
  found.rows.forEach(([label, jobs, figures], at) => {
    const row = body.insertRow();
    row.append(element('th', groupBy === 'Size' ? { scope: 'row', 'data-value': at } : { scope: 'row' }, label));
    row.append(element('td', { class: 'number', 'data-value': jobs }, grouped(jobs)));
    figures.forEach((values) => {
      const value = values === null ? null : values[groupFigure];
      row.append(element('td', { class: 'number', 'data-value': value === null ? '' : value, title: `${name}${word === span && value !== null ? `: ${value} s` : ''}` }, value === null ? '-' : word(value)));
    });
  });
  makeSortable(table);
  const scroll = element('div', { class: 'scroll', tabindex: 0, role: 'region', 'aria-label': 'Figures by group' });
  scroll.append(table);
  where.append(scroll);
  const left = found.all - found.rows.length;
  if (left > 0) where.append(element('p', { class: 'note' }, `The ${found.rows.length} groups with the most jobs; ${grouped(left)} more are in summary.json.`));
}
if (groupBy) {
  choice('groups', 'By', ways.map((g) => [g, g.toLowerCase()]), (value) => { groupBy = value; drawGroups(); });
  const shown = GROUP_FIGURES.map(([name], at) => [at, name]).filter(([, name]) => data.device === 'GPU' || name !== 'GPU-hours run');
  choice('groups', 'Figure', shown, (value) => { groupFigure = Number(value); drawGroups(); });
}
drawGroups();

drawAll();
let waiting = 0;
addEventListener('resize', () => { clearTimeout(waiting); waiting = setTimeout(drawAll, 150); });
