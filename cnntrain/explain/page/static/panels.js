// What stands side by side on the stage: panels of maps. A view of a layer is
//   {panels, signs, target, explain(index), near(panel, spot)}
// where `target` is the panel whose numbers can be chosen, and `explain` tells how one of them came about:
//   {name, words, value, kernel, start, lines, parts, divisor, lit, arrows}
// A spot is {map, u, v}: a cell of a map, counted from its first number; the padding has numbers below zero.

function foldOf(count) {
  // how many numbers of a vector stand in a line
  return count <= 12 ? count : Math.ceil(Math.sqrt(count) * 1.3);
}

// A panel over shape [maps, rows, columns] of `data` from `base` on. With a frame there is room around the map
// (before, after), and `spread` cells from one number to the next.
function panelOf(id, title, kind, data, base, shape, more = {}) {
  const vector = shape[1] * shape[2] === 1 && shape[0] > 1 && !more.keepMaps;
  const maps = vector ? 1 : shape[0];
  const count = vector ? shape[0] : shape[1] * shape[2];
  const columns = vector ? foldOf(count) : shape[2];
  const {before = [0, 0], after = [0, 0], spread = [1, 1]} = more;
  const rows = Math.ceil(count / columns);
  return {
    id,
    title: more.title ?? title,
    kind,
    data,
    base,
    shape,
    maps,
    count,
    columns,
    rows,
    before,
    spread,
    label: more.label ?? (index => placeText(shape, index)),
    symbol: more.symbol ?? id,
    mapName: more.mapName ?? 'channel',
    nameMap: more.nameMap ?? (map => `${more.mapName ?? 'channel'} ${map} of ${maps}`),
    height: before[0] + (rows - 1) * spread[0] + 1 + after[0],
    width: before[1] + (columns - 1) * spread[1] + 1 + after[1],
  };
}

function spotOf(panel, index) {
  const within = index % panel.count;
  return {
    map: Math.floor(index / panel.count),
    u: Math.floor(within / panel.columns) * panel.spread[0],
    v: (within % panel.columns) * panel.spread[1],
  };
}

function indexAt(panel, {map, u, v}) {
  // null on the padding and between the numbers
  const row = u / panel.spread[0],
    column = v / panel.spread[1];
  if (!Number.isInteger(row) || !Number.isInteger(column)) return null;
  if (row < 0 || column < 0 || row >= panel.rows || column >= panel.columns) return null;
  const within = row * panel.columns + column;
  return within < panel.count ? map * panel.count + within : null;
}

const numberAt = (panel, index) => panel.data[panel.base + index];

function largestIn(panel) {
  if (panel.largest === undefined) {
    let largest = 0,
      low = Infinity,
      high = -Infinity;
    for (let i = panel.base; i < panel.base + panel.maps * panel.count; i++) {
      const value = panel.data[i];
      if (!Number.isFinite(value)) continue;
      largest = Math.max(largest, Math.abs(value));
      low = Math.min(low, value);
      high = Math.max(high, value);
    }
    Object.assign(panel, {largest, low, high});
  }
  return panel.largest;
}

// --- the panels that nearly every layer has ---

const isImage = layer => layer.parent === null && layer.position === 0;
const inputPanel = (layer, n, more) =>
  panelOf(
    'x',
    isImage(layer) ? 'image' : 'input',
    isImage(layer) ? 'image' : 'value',
    layer.x,
    n * sizeOf(layer.in),
    layer.in,
    more,
  );
const outputPanel = (layer, n, more) =>
  panelOf('y', 'output', 'value', layer.y, n * sizeOf(layer.out), layer.out, more);
const deltaPanel = (layer, n, more) =>
  panelOf('dy', 'delta of the output', 'delta', layer.dy, n * sizeOf(layer.out), layer.out, {symbol: 'δ', ...more});
const gradientPanel = (layer, n, more) =>
  panelOf(
    'dx',
    isImage(layer) ? 'gradient of the image' : 'delta of the input',
    'delta',
    layer.dx,
    n * sizeOf(layer.in),
    layer.in,
    {symbol: 'dL/dx', ...more},
  );

// a term of a sum: factors [kind, value], where they stand on the stage, and where the click on it leads
const term = (factors, at, go = null) => ({factors, value: factors.reduce((p, [, value]) => p * value, 1), at, go});
const part = (label, map, terms) => ({label, map, terms, sum: terms.reduce((sum, t) => sum + t.value, 0)});

function total(explanation) {
  const {parts, start, divisor = 1} = explanation;
  return {...explanation, value: ((start ? start.value : 0) + parts.reduce((sum, p) => sum + p.sum, 0)) / divisor};
}

// Cells to light: those of the terms, on the panel that they name.
function litBy(parts, ...panels) {
  const lit = {};
  for (const id of panels)
    lit[id] = parts.flatMap(p =>
      p.terms.filter(t => t.at[id]).map(t => ({...t.at[id], weight: t.over ? t.over[id] : undefined})),
    );
  return lit;
}

const sameSpot = (view, panel, spot) => {
  // for layers that keep each number in its place
  const index = indexAt(panel, spot);
  return index === null ? null : index;
};

// --- the views: VIEWS[layer name] = {forward, input, parameter}; what is missing is here ---

const VIEWS = {};

function viewOf(trace, layer, mode, tab, n) {
  if (mode === 'update') return updateView(trace, layer, tab);
  const own = layer.known ? (VIEWS[layer.name] ?? {}) : {};
  if (mode === 'forward') return (own.forward ?? plainView)(layer, n, trace);
  if (tab === 'input')
    return layer.dy === null || layer.dx === null ? null : (own.input ?? plainBackView)(layer, n, trace);
  return (own.parameter ?? plainParameterView)(layer, n, tab, trace);
}

function plainView(layer, n) {
  const y = outputPanel(layer, n);
  return {
    panels: [inputPanel(layer, n), y],
    signs: ['→'],
    target: 'y',
    explain: index => given('y', y, index, layer),
    near: sameSpot,
  };
}

function plainBackView(layer, n) {
  const dx = gradientPanel(layer, n);
  return {
    panels: [deltaPanel(layer, n), dx],
    signs: ['→'],
    target: 'dx',
    explain: index => given('dL/dx', dx, index, layer),
    near: sameSpot,
  };
}

function plainParameterView(layer, n, name) {
  const target = parameterPanel(layer, name, 'gradient');
  return {
    panels: [target],
    signs: [],
    target: target.id,
    explain: index => given(`dL/d${name}`, target, index, layer),
    near: sameSpot,
  };
}

function given(symbol, panel, index, layer) {
  return {
    name: `${symbol}[${panel.label(index)}]`,
    value: numberAt(panel, index),
    kernel: numberAt(panel, index),
    parts: [],
    lit: {},
    arrows: [],
    words: `"${layer.name}" is a layer of your own: the kernels' numbers, of which this page knows no formula`,
    lines: [],
    unknown: true,
  };
}

// A learned array as maps: filters of a convolution, or the rows of a dense layer in the form of its input.
function parameterPanel(layer, name, which, more = {}) {
  const parameter = layer.parameters[name];
  const {shape} = parameter;
  const data =
    which === 'step' ? stepOf(parameter) : Array.isArray(which) ? parameter.kept[which[0]][which[1]] : parameter[which];
  const symbol = {weight: 'w', bias: 'b'}[name] ?? name;
  const label = index => placeIn(shape, index).join(', ');
  const kind = which === 'gradient' ? 'delta' : 'weight';
  const perFilter = shape.length === 4 ? shape[1] : shape.length === 2 ? layer.in[0] : 1;
  const nameMap = map =>
    perFilter === 1
      ? `filter ${map} of ${shape[0]}`
      : `filter ${Math.floor(map / perFilter)}, channel ${map % perFilter}`;
  const options = {label, symbol: which === 'gradient' ? `dL/d${symbol}` : symbol, mapName: 'filter', nameMap, ...more};
  const title = more.title ?? {value: name, gradient: `gradient of the ${name}`}[which] ?? which;
  const id = more.id ?? (which === 'gradient' ? 'dw' : 'w');
  if (shape.length === 4)
    return panelOf(id, title, kind, data, 0, [shape[0] * shape[1], shape[2], shape[3]], {keepMaps: true, ...options});
  if (shape.length === 2) {
    const [C, H, W] = layer.in;
    if (H * W > 1)
      return panelOf(id, title, kind, data, 0, [shape[0] * C, H, W], {
        ...options,
        nameMap: map => nameMap(map).replace('filter', 'unit'),
      });
    const panel = panelOf(id, title, kind, data, 0, [C, 1, 1], {
      ...options,
      nameMap: map => `unit ${map} of ${shape[0]}`,
    });
    return Object.assign(panel, {maps: shape[0], shape: [shape[0], C]});
  }
  return panelOf(id, title, kind, data, 0, [sizeOf(shape), 1, 1], options);
}

function stepOf(parameter) {
  return parameter.updated.map((value, i) => value - parameter.value[i]);
}
