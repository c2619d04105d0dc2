// Rows of any other table: numbers by value, texts by letter; what has no value stays last.
function sortRows(table, column, head) {
  const body = table.tBodies[0];
  const up = head.getAttribute('aria-sort') !== 'ascending';
  const key = (row) => {
    const cell = row.cells[column], given = cell.dataset.value;
    if (given === '') return null;
    return given === undefined ? cell.textContent.trim().toLowerCase() : Number(given);
  };
  const compare = (a, b) => {
    const [x, y] = [key(a), key(b)];
    if (x === null || y === null) return (x === null) - (y === null);
    const order = typeof x === 'number' && typeof y === 'number' ? x - y : String(x) < String(y) ? -1 : String(x) > String(y) ? 1 : 0;
    return up ? order : -order;
  };
  body.append(...[...body.rows].sort(compare));
  table.querySelectorAll('[aria-sort]').forEach((cell) => cell.removeAttribute('aria-sort'));
  head.setAttribute('aria-sort', up ? 'ascending' : 'descending');
}

function makeSortable(table) {
  [...table.tHead.rows[0].cells].forEach((head, column) => {
    const button = element('button', { type: 'button', class: 'sort' }, ...head.childNodes);
    head.append(button);
    button.addEventListener('click', () => sortRows(table, column, head));
  });
}
document.querySelectorAll('table.sortable').forEach(makeSortable);
