// The terms of a sum, and the difference quotient beside a gradient.

function termsOf(page, part, named) {
  const inside = part.terms.filter(t => !t.padding);
  const real = inside.length > 9 ? inside.filter(t => t.value !== 0) : inside;
  const all = page.allTerms || real.length <= MOST_TERMS;
  const terms = all ? real : [...real].sort((a, b) => Math.abs(b.value) - Math.abs(a.value)).slice(0, FEW_TERMS);
  const rest = real.length - terms.length,
    padded = part.terms.length - inside.length,
    zeros = inside.length - real.length;
  const remaining = part.sum - terms.reduce((sum, t) => sum + t.value, 0);
  return el(
    'div',
    {class: 'terms', 'data-terms': String(real.length), 'data-sum': String(part.sum)},
    el('span', {class: 'terms-name'}, named || part.label ? `${part.label}: ` : ''),
    terms.length ? terms.map((t, i) => [i ? ' + ' : null, termButton(page, t)]) : '0',
    rest
      ? [
          ' + ',
          el(
            'button',
            {type: 'button', class: 'rest', onclick: () => page.showAllTerms()},
            `${show(remaining)} (${rest.toLocaleString('en')} smaller terms)`,
          ),
        ]
      : null,
    ' = ',
    el('strong', {}, show(part.sum, 6)),
    padded || zeros
      ? el(
          'span',
          {class: 'quiet'},
          ` (${[padded ? `${padded} ${page.explanation.nothing ?? 'on the padding'}` : null, zeros ? `${zeros} that ${zeros > 1 ? 'are' : 'is'} 0` : null].filter(Boolean).join(', ')})`,
        )
      : null,
  );
}

function termButton(page, t) {
  const content = [
    t.factors.map(([kind, value], i) => [i ? '·' : null, el('span', {class: kind}, factor(value))]),
    t.divisor ? `/${t.divisor}` : null,
    t.note ? el('span', {class: 'quiet'}, ` ${t.note}`) : null,
  ];
  if (t.go === null) return el('span', {class: 'term'}, content);
  return el(
    'button',
    {
      type: 'button',
      class: 'term',
      title: `${t.value} — click to see where it came from`,
      onclick: () => page.follow(t.go),
    },
    content,
  );
}

// The gradient once more, by two forward passes of this page.
function differenceRow(page) {
  const row = el('div', {class: 'difference'});
  const unknown = page.trace.all.find(layer => !layer.known);
  const reason = unknown ? `${unknown.path} has no formula here` : null;
  const button = el(
    'button',
    {
      type: 'button',
      id: 'difference',
      disabled: Boolean(unknown),
      title: reason,
      onclick: () => {
        const made = page.difference();
        replace(
          row,
          button,
          el(
            'p',
            {id: 'difference-result', role: 'status', 'data-value': String(made.value)},
            `(L(v + h) − L(v − h)) / 2h = (${show(made.above, 12)} − ${show(made.below, 12)}) / ${show(2 * made.h)} = `,
            el('strong', {}, show(made.value, 6)),
            `, the gradient is ${show(page.explanation.kernel, 6)}`,
            made.corner
              ? `. A corner lies here: the slopes of its two sides are ${show(made.left)} and ${show(made.right)}.`
              : null,
          ),
        );
      },
    },
    'Check by a finite difference',
  );
  replace(row, button);
  return row;
}
