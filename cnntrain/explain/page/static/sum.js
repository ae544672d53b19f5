// The chosen number as a sum of the numbers that it was made of.

const MOST_TERMS = 64,
  FEW_TERMS = 18;

function drawSum(page) {
  const {explanation, mode, tab} = page;
  const off = Math.abs(explanation.value - explanation.kernel) / Math.max(1, Math.abs(explanation.kernel));
  const agrees = off <= 1e-9 || (Number.isNaN(explanation.value) && Number.isNaN(explanation.kernel));
  const kind = mode === 'forward' ? 'value' : mode === 'backward' ? 'delta' : 'weight';
  const head = el(
    'div',
    {class: 'sum-head'},
    el(
      'h2',
      {class: kind},
      explanation.name,
      el('span', {class: 'equals'}, ' = '),
      el(
        'output',
        {id: 'result', 'data-value': String(explanation.value), 'data-kernel': String(explanation.kernel)},
        show(explanation.kernel, 6),
      ),
    ),
    el('p', {class: 'words'}, explanation.words),
  );
  const verdict = explanation.unknown
    ? null
    : el(
        'p',
        {class: agrees ? 'agrees' : 'differs', id: 'agrees'},
        agrees
          ? `The sum and the kernel agree (difference ${show(off, 2)}).`
          : `The sum gives ${explanation.value}, the kernel ${explanation.kernel}.`,
      );
  replace(
    byId('sum'),
    head,
    linesOf(explanation),
    windowTables(page),
    partsOf(page),
    verdict,
    mode === 'backward' ? differenceRow(page) : null,
  );
  announce(page);
}

function announce(page) {
  // for screen readers
  const {explanation} = page;
  const parts = explanation.parts
    .filter(p => p.terms.length)
    .slice(0, 6)
    .map(p => `${p.label} ${show(p.sum)}`);
  const lines = explanation.lines.map(([symbol, , value]) => (value === null ? symbol : `${symbol} ${show(value)}`));
  const pieces = [
    ...(explanation.start ? [`${explanation.start.label} ${show(explanation.start.value)}`] : []),
    ...lines,
    ...parts,
  ];
  byId('said').textContent =
    `${explanation.name} is ${show(explanation.kernel)}. ${explanation.words}. ${pieces.join(', ')}.`;
}

function linesOf({lines}) {
  if (lines.length === 0) return null;
  return el(
    'dl',
    {class: 'lines'},
    lines.map(([symbol, words, value]) => [
      el('dt', {}, symbol),
      el(
        'dd',
        {},
        words ? el('span', {class: 'how'}, words) : null,
        value === null ? null : el('span', {class: 'number'}, words ? ' = ' : '= ', show(value, 6)),
      ),
    ]),
  );
}

// The part in view: that of the map shown, or the first.
function partInView(page) {
  const {explanation} = page;
  return explanation.parts.find(p => p.map === page.focus) ?? explanation.parts[0];
}

// The window's numbers and the filter's, one table above the other where the pairs lie.
function windowTables(page) {
  const {view, explanation} = page;
  const part = partInView(page);
  if (
    !view.window ||
    !part ||
    part.terms.length !== view.window[0] * view.window[1] ||
    part.terms[0].factors.length < 2
  )
    return null;
  if (part.terms.length > 121 || part.terms.length < 2) return null;
  const table = (pick, kind, title) =>
    numbersTable(pick, kind, title, unitOf(Math.max(...part.terms.map(t => Math.abs(pick(t))))));
  const numbersTable = (pick, kind, title, unit) =>
    el(
      'table',
      {class: `numbers ${kind}`},
      el('caption', {}, title + unitText(unit)),
      el(
        'tbody',
        {},
        Array.from({length: view.window[0]}, (_, r) =>
          el(
            'tr',
            {},
            part.terms
              .slice(r * view.window[1], (r + 1) * view.window[1])
              .map(t => el('td', {class: t.padding ? 'padding' : null}, brief(pick(t), unit))),
          ),
        ),
      ),
    );
  const [, second] = part.terms[0].factors;
  const turned = page.mode === 'backward' ? !page.layer.settings.rotated : page.layer.settings.rotated;
  return el(
    'div',
    {class: 'tables'},
    table(
      t => t.factors[1][1],
      second[0],
      second[0] === 'delta' ? `delta under the window, ${part.label}` : `${part.label} under the window`,
    ),
    el('span', {class: 'sign'}, '⊙'),
    table(t => t.factors[0][1], 'weight', turned ? 'filter, rotated' : 'filter'),
    el('span', {class: 'sign'}, '→ Σ'),
    el('span', {class: 'partial'}, show(part.sum, 5)),
  );
}

function partsOf(page) {
  const {explanation} = page;
  const {parts, start, divisor} = explanation;
  const full = parts.filter(p => p.terms.length);
  if (full.length === 0) return null;
  const shown = partInView(page);
  const many = full.length > 1;
  const summary =
    many || start || divisor
      ? el(
          'p',
          {class: 'equation'},
          divisor ? '(' : null,
          start
            ? [
                el('span', {class: start.kind, title: start.label}, show(start.value)),
                many || full.length ? ' + ' : null,
              ]
            : null,
          many
            ? full.map((p, i) => [i ? ' + ' : null, partButton(page, p, p === shown)])
            : [el('span', {class: 'partial'}, factor(full[0].sum))],
          divisor ? `) / ${divisor}` : null,
          ` = `,
          el('strong', {}, show(explanation.value, 6)),
        )
      : null;
  return [summary, shown && shown.terms.length ? termsOf(page, shown, many) : null];
}

function partButton(page, part, chosen) {
  return el(
    'button',
    {
      type: 'button',
      class: 'partial',
      'aria-pressed': String(chosen),
      title: part.label,
      'aria-label': `${part.label}: ${show(part.sum)}`,
      onclick: () => page.focusPart(part),
    },
    factor(part.sum),
  );
}
