// The stage: the panels of a layer, the chosen number with where it came from, and the sum.

const BIGGEST = 46,
  SMALLEST = 3,
  ROOM = 350,
  MOST_CHOICES = 128,
  MOST_ARROWS = 40,
  NEAR = 3;

function cellSize(panel, room) {
  return Math.max(SMALLEST, Math.min(BIGGEST, Math.floor(room / panel.width), Math.floor(ROOM / panel.height)));
}

function roomOf(view) {
  const width = byId('stage').clientWidth || 360;
  const wide =
    width > 900
      ? Math.min(ROOM, (width - 70 * view.panels.length) / Math.min(view.panels.length, 3))
      : Math.min(ROOM, width - 8);
  return Math.max(120, wide);
}

// Which map of a panel is shown: the one that the explanation is about, unless another was asked for.
function mapShown(page, panel) {
  const {view, explanation} = page;
  if (panel.id === view.target) return spotOf(panel, page.index).map;
  const lit = explanation.lit[panel.id] ?? [];
  const chosen = page.chosen[panel.id];
  const maps = [...new Set(lit.map(spot => spot.map))];
  if (chosen !== undefined && chosen < panel.maps && (maps.length === 0 || maps.includes(chosen))) return chosen;
  if (maps.length === 0) return Math.min(chosen ?? 0, panel.maps - 1);
  if (maps.length > 1 && page.focus !== null) {
    // the map that belongs to the part of the sum in view
    const part = explanation.parts.find(each => each.map === page.focus);
    const first = part?.terms.find(each => each.at[panel.id]);
    if (first) return first.at[panel.id].map;
  }
  return maps[0];
}

function drawStage(page) {
  const {view} = page;
  if (view === null) {
    replace(
      byId('panels'),
      el(
        'p',
        {class: 'quiet'},
        page.mode === 'update'
          ? 'Nothing is learned here.'
          : 'Nothing before this layer needs its gradient, so it is not computed.',
      ),
    );
    replace(byId('sum'));
    drawArrows(byId('arrows'), []);
    return;
  }
  const room = roomOf(view);
  page.figures = new Map(view.panels.map(panel => [panel.id, figureOf(page, panel, cellSize(panel, room))]));
  const pieces = view.panels.flatMap((panel, i) => [
    page.figures.get(panel.id).element,
    view.signs[i] ? el('span', {class: 'sign', 'aria-hidden': 'true'}, view.signs[i]) : null,
  ]);
  replace(byId('panels'), pieces);
  drawSelection(page);
}

function figureOf(page, panel, cell) {
  const target = panel.id === page.view.target;
  const canvas = el('canvas', {
    class: `map ${panel.kind}`,
    tabindex: '0',
    role: 'application',
    'aria-roledescription': 'map of numbers',
    'data-panel': panel.id,
  });
  const figure = {panel, cell, canvas, kept: {}, map: null, caption: el('span', {class: 'caption-map'})};
  canvas.addEventListener('click', event => page.pick(panel, spotUnder(figure, event)));
  canvas.addEventListener('pointermove', event => hover(page, figure, event));
  canvas.addEventListener('keydown', event => mapKey(page, panel, event));
  figure.buttons =
    panel.maps < 2 || panel.maps > MOST_CHOICES
      ? []
      : Array.from({length: panel.maps}, (_, map) =>
          el('button', {
            type: 'button',
            class: 'map-choice',
            'aria-label': panel.nameMap(map),
            title: panel.nameMap(map),
            tabindex: panel.maps > 12 ? '-1' : null,
            onclick: () => page.chooseMap(panel, map),
          }),
        );
  figure.buttons.forEach((button, map) => button.append(thumbnail(panel, map, page.look, 24)));
  const stepper =
    panel.maps > MOST_CHOICES
      ? el('input', {
          type: 'number',
          min: '0',
          max: String(panel.maps - 1),
          class: 'map-number',
          'aria-label': `${panel.mapName}, 0 to ${panel.maps - 1}`,
          onchange: event =>
            page.chooseMap(panel, Math.max(0, Math.min(panel.maps - 1, Number(event.target.value) || 0))),
        })
      : null;
  figure.stepper = stepper;
  figure.element = el(
    'figure',
    {class: `panel ${panel.kind}${target ? ' target' : ''}`},
    el('figcaption', {}, el('strong', {}, panel.title), ' ', figure.caption),
    canvas,
    figure.buttons.length ? el('div', {class: 'choices'}, figure.buttons) : stepper,
  );
  figure.element.style.width = `${Math.max(panel.width * cell, 190) + 28}px`; // captions and choices break within it
  return figure;
}

function spotUnder({panel, canvas, cell}, event) {
  const box = canvas.getBoundingClientRect();
  const column = Math.floor(((event.clientX - box.left) / box.width) * panel.width),
    row = Math.floor(((event.clientY - box.top) / box.height) * panel.height);
  return {
    map: null,
    u: Math.max(0, Math.min(panel.height - 1, row)) - panel.before[0],
    v: Math.max(0, Math.min(panel.width - 1, column)) - panel.before[1],
  };
}

function hover(page, figure, event) {
  const {panel} = figure;
  const index = indexAt(panel, {...spotUnder(figure, event), map: figure.map});
  figure.canvas.title = index === null ? 'zero' : `${panel.symbol}[${panel.label(index)}] = ${numberAt(panel, index)}`;
}

// What changes with the chosen number: lights, cursor, captions, the sum.
function drawSelection(page) {
  const {view, explanation, look} = page;
  for (const figure of page.figures.values()) {
    const {panel, canvas, cell} = figure;
    const map = mapShown(page, panel);
    const target = panel.id === view.target;
    const lit = explanation.lit[panel.id] ?? [];
    const cursor = target || page.mode === 'update' ? spotOf(panel, page.index) : null;
    const small = lit.filter(spot => spot.map === map).length;
    drawMap(canvas, panel, map, cell, look, {
      lit: target ? [] : lit,
      cursor,
      outline: !target && small > 0 && small < panel.count ? lit : null,
      kept: figure.kept,
    });
    const moved = figure.map !== map;
    figure.map = map;
    const size = panel.shape.length === 3 && panel.maps === panel.shape[0] ? panel.shape.slice(1).join('×') : '';
    figure.caption.textContent =
      panel.maps > 1 ? `${panel.nameMap(map)}${size && panel.count > 1 ? `, ${size}` : ''}` : size;
    if (cell >= 24)
      figure.caption.textContent += unitText(unitOf(largestIn(panel))).replace(
        /^, (?=in)/,
        figure.caption.textContent ? ', ' : '',
      );
    if (moved) figure.buttons.forEach((button, i) => button.setAttribute('aria-pressed', String(i === map)));
    if (moved && figure.buttons.length > 0) showChoiceIn(figure.buttons[map].parentElement, figure.buttons[map]);
    if (figure.stepper) figure.stepper.value = String(map);
    canvas.setAttribute(
      'aria-label',
      target
        ? `${panel.title}: ${explanation.name} = ${show(explanation.kernel)}. Arrows choose another number.`
        : `${panel.title}, ${panel.nameMap(map)}, ${panel.rows} by ${panel.columns}`,
    );
  }
  drawSum(page);
  requestAnimationFrame(() => placeArrows(page));
}

function placeArrows(page) {
  if (page.view === null) return;
  const stage = byId('stage').getBoundingClientRect();
  const middle = ({panel, map, u, v}) => {
    const figure = page.figures.get(panel);
    if (!figure || figure.map !== map) return null;
    const box = figure.canvas.getBoundingClientRect();
    return {
      x: box.left - stage.left + (v + figure.panel.before[1] + 0.5) * figure.cell,
      y: box.top - stage.top + (u + figure.panel.before[0] + 0.5) * figure.cell,
    };
  };
  const {u, v} = spotOf(page.target, page.index);
  const {arrows} = page.explanation;
  const crowd = arrows.length > MOST_ARROWS; // then only those that end near the chosen number
  const all = arrows
    .filter(({to, strong}) => !crowd || strong || Math.max(Math.abs(to.u - u), Math.abs(to.v - v)) <= NEAR)
    .map(arrow => ({strong: arrow.strong ?? true, from: middle(arrow.from), to: middle(arrow.to)}))
    .filter(a => a.from && a.to);
  const faint = all.every(arrow => arrow.strong) ? null : all;
  const key =
    faint === null
      ? 'none'
      : [
          page.path,
          page.number,
          page.n,
          stage.width,
          crowd ? page.index : '',
          ...[...page.figures.values()].map(figure => figure.map),
        ].join(' ');
  drawArrows(byId('arrows'), faint ?? all.filter(arrow => arrow.strong), key, faint !== null);
}
