// How the numbers of convolutions and dense layers came about.

// a panel of the filters as they lie over the window: turned by 180 degrees where `turned` says so
function tapsPanel(layer, turned, title) {
  const panel = parameterPanel(layer, 'weight', 'value', {title});
  if (!turned) return panel;
  const data = new Float64Array(panel.data.length);
  for (let i = 0; i < data.length; i++) data[i - (i % panel.count) + panel.count - 1 - (i % panel.count)] = panel.data[i];
  return {...panel, data};
}

VIEWS.conv2d = {
  forward(layer, n) {
    const g = convolutionShape(layer);
    const {before, after, rotated} = layer.settings;
    const x = inputPanel(layer, n, {keepMaps: true, before, after: reachAfter(g, after)});
    const w = tapsPanel(layer, rotated, rotated ? 'filter, rotated by 180°' : 'filter');
    const y = outputPanel(layer, n, {symbol: 'z', mapName: 'filter'});
    const {bias} = layer.parameters;
    const explain = index => {
      const [k, i, j] = placeIn(layer.out, index);
      const first = Math.floor(k / g.filtersPerGroup) * g.perGroup;
      const parts = [];
      for (let c = 0; c < g.perGroup; c++) {
        const terms = [];
        for (let r = 0; r < g.R; r++)
          for (let s = 0; s < g.S; s++) {
            const spot = {map: first + c, u: i * g.tr + r * g.dr - g.pr, v: j * g.ts + s * g.ds - g.ps};
            const at = indexAt(x, spot);
            const weight = layer.parameters.weight.value[tapIndex(layer, k, c, r, s)];
            const made = term([['weight', weight], ['value', at === null ? 0 : numberAt(x, at)]],
                              {x: spot, w: {map: k * g.perGroup + c, u: r, v: s}}, at === null ? null : {side: 'x', index: at});
            terms.push({...made, padding: at === null, over: {x: weight}});
          }
        parts.push(part(`channel ${first + c}`, first + c, terms));
      }
      return total({
        name: `z[${k}, ${i}, ${j}]`, words: 'z = b + Σ w·x over the window', kernel: numberAt(y, index), parts, lines: [],
        start: bias ? {label: 'b', kind: 'weight', value: bias.value[k]} : null, lit: litBy(parts, 'x', 'w'), arrows: [], follow: 'x',
      });
    };
    const near = (view, panel, {map, u, v}) => {
      const [k, i, j] = placeIn(layer.out, view.index);
      if (panel.id === 'w') return indexIn(layer.out, [Math.floor(map / g.perGroup), i, j]);
      const back = (place, pad, taps, dilation, stride, size) =>
        Math.max(0, Math.min(size - 1, Math.round((place + pad - (taps - 1) * dilation / 2) / stride)));
      return indexIn(layer.out, [k, back(u, g.pr, g.R, g.dr, g.tr, g.P), back(v, g.ps, g.S, g.ds, g.ts, g.Q)]);
    };
    return {panels: [x, w, y], signs: ['∗', '='], target: 'y', explain, near, window: [g.R, g.S]};
  },

  // the rotated filter slides over the delta, padded and spread by the stride
  input(layer, n) {
    const g = convolutionShape(layer);
    const turned = !layer.settings.rotated;
    const reach = [(g.R - 1) * g.dr, (g.S - 1) * g.ds], padding = [reach[0] - g.pr, reach[1] - g.ps];
    const ends = [g.H - 1 - padding[0] + reach[0] - (g.P - 1) * g.tr, g.W - 1 - padding[1] + reach[1] - (g.Q - 1) * g.ts];
    const dy = deltaPanel(layer, n, {keepMaps: true, before: padding.map(p => Math.max(p, 0)), after: ends.map(e => Math.max(e, 0)), spread: [g.tr, g.ts],
                                     mapName: 'filter', title: 'delta, padded'});
    const w = tapsPanel(layer, turned, turned ? 'filter, rotated by 180°' : 'filter');
    const dx = gradientPanel(layer, n);
    const explain = index => {
      const [c, m, q] = placeIn(layer.in, index);
      const group = Math.floor(c / g.perGroup);
      const parts = [];
      for (let k = group * g.filtersPerGroup; k < (group + 1) * g.filtersPerGroup; k++) {
        const terms = [];
        for (let r = 0; r < g.R; r++)
          for (let s = 0; s < g.S; s++) {
            const spot = {map: k, u: m - padding[0] + r * g.dr, v: q - padding[1] + s * g.ds};
            const at = indexAt(dy, spot);
            const weight = layer.parameters.weight.value[tapIndex(layer, k, c - group * g.perGroup, g.R - 1 - r, g.S - 1 - s)];
            const made = term([['weight', weight], ['delta', at === null ? 0 : numberAt(dy, at)]],
                              {dy: spot, w: {map: k * g.perGroup + c - group * g.perGroup, u: r, v: s}},
                              at === null ? null : {side: 'dy', index: at});
            terms.push({...made, padding: at === null, over: {dy: weight}});
          }
        parts.push(part(`filter ${k}`, k, terms));
      }
      return total({
        name: `dL/dx[${c}, ${m}, ${q}]`, words: 'the full convolution: Σ w·δ, the filter rotated by 180° over the padded delta',
        kernel: numberAt(dx, index), parts, lines: [], lit: litBy(parts, 'dy', 'w'), arrows: [], follow: 'dy', nothing: 'zeros around and between',
      });
    };
    const near = (view, panel, {map, u, v}) => {
      const [c, m, q] = placeIn(layer.in, view.index);
      if (panel.id === 'w') return indexIn(layer.in, [Math.floor(c / g.perGroup) * g.perGroup + (map % g.perGroup), m, q]);
      const back = (place, pad, far, size) => Math.max(0, Math.min(size - 1, Math.round(place + pad - far / 2)));
      return indexIn(layer.in, [c, back(u, padding[0], reach[0], g.H), back(v, padding[1], reach[1], g.W)]);
    };
    return {panels: [dy, w, dx], signs: ['∗', '='], target: 'dx', explain, near, window: [g.R, g.S]};
  },

  parameter(layer, n, name, trace) {
    return name === 'bias' ? biasView(layer, n, trace) : weightView(layer, n, trace);
  },
};

// Zeros behind the image that the last window reaches; fewer than the padding where the stride leaves some over.
const reachAfter = (g, after) => [
  Math.max(0, Math.min(after[0], (g.P - 1) * g.tr + (g.R - 1) * g.dr - g.pr - g.H + 1)),
  Math.max(0, Math.min(after[1], (g.Q - 1) * g.ts + (g.S - 1) * g.ds - g.ps - g.W + 1)),
];

// dL/dw: the delta weighs the pixels that the tap has met
function weightView(layer, n, trace) {
  const g = convolutionShape(layer);
  const x = inputPanel(layer, n, {keepMaps: true, before: layer.settings.before, after: reachAfter(g, layer.settings.after)});
  const dy = deltaPanel(layer, n, {keepMaps: true, mapName: 'filter'});
  const dw = parameterPanel(layer, 'weight', 'gradient');
  const {shape} = layer.parameters.weight;
  const explain = index => {
    const [k, c, row, column] = placeIn(shape, index);
    const {rotated} = layer.settings;
    const r = rotated ? g.R - 1 - row : row, s = rotated ? g.S - 1 - column : column;
    const channel = Math.floor(k / g.filtersPerGroup) * g.perGroup + c;
    const parts = [];
    for (let image = 0; image < trace.images; image++) {
      const terms = [];
      for (let i = 0; i < g.P; i++)
        for (let j = 0; j < g.Q; j++) {
          const spot = {map: channel, u: i * g.tr + r * g.dr - g.pr, v: j * g.ts + s * g.ds - g.ps};
          const at = indexAt(x, spot), from = indexIn(layer.out, [k, i, j]);
          const value = at === null ? 0 : layer.x[image * sizeOf(layer.in) + at];
          const here = image === n ? {x: spot, dy: {map: k, u: i, v: j}} : {};
          terms.push({...term([['delta', layer.dy[image * sizeOf(layer.out) + from]], ['value', value]], here,
                              image === n ? {side: 'dy', index: from} : null), padding: at === null});
        }
      parts.push(part(`image ${image}`, image, terms));
    }
    return total({
      name: `dL/dw[${placeIn(shape, index).join(', ')}]`, words: 'a valid correlation: Σ δ·x over all places where the filter lay',
      kernel: numberAt(dw, index), parts, lines: [], lit: litBy(parts, 'x', 'dy'), arrows: [], follow: 'dy',
    });
  };
  const near = (view, panel, {map}) => {
    const [k, c, r, s] = placeIn(shape, view.index);
    const first = Math.floor(k / g.filtersPerGroup) * g.perGroup;
    if (panel.id === 'dy') return indexIn(shape, [map, c, r, s]);
    return map >= first && map < first + g.perGroup ? indexIn(shape, [k, map - first, r, s]) : null;
  };
  return {panels: [x, dy, dw], signs: ['∗', '='], target: 'dw', explain, near};
}

// dL/db: the sum of the delta
function biasView(layer, n, trace) {
  const dy = deltaPanel(layer, n), db = parameterPanel(layer, 'bias', 'gradient');
  const pixels = layer.out[1] * layer.out[2];
  const explain = index => {
    const parts = [];
    for (let image = 0; image < trace.images; image++) {
      const terms = [];
      for (let i = 0; i < pixels; i++) {
        const at = index * pixels + i;
        terms.push(term([['delta', layer.dy[image * sizeOf(layer.out) + at]]], image === n ? {dy: spotOf(dy, at)} : {},
                        image === n ? {side: 'dy', index: at} : null));
      }
      parts.push(part(`image ${image}`, image, terms));
    }
    return total({name: `dL/db[${index}]`, words: 'Σ δ over all that the bias was added to', kernel: numberAt(db, index), parts,
                  lines: [], lit: litBy(parts, 'dy'), arrows: [], follow: 'dy'});
  };
  const near = (view, panel, {map, u, v}) => (pixels > 1 ? map : indexAt(dy, {map, u, v}));
  return {panels: [dy, db], signs: ['Σ →'], target: 'dw', explain, near};
}

VIEWS.dense = {
  forward(layer, n) {
    const x = inputPanel(layer, n), w = parameterPanel(layer, 'weight', 'value', {title: 'weights of the unit'});
    const y = outputPanel(layer, n, {symbol: 'z', mapName: 'unit'});
    const inputs = sizeOf(layer.in);
    const {weight, bias} = layer.parameters;
    const explain = k => {
      const parts = [];
      for (let map = 0; map < x.maps; map++) {
        const terms = [];
        for (let at = map * x.count; at < (map + 1) * x.count; at++)
          terms.push(term([['weight', weight.value[k * inputs + at]], ['value', numberAt(x, at)]],
                          {x: spotOf(x, at), w: spotOf(w, k * inputs + at)}, {side: 'x', index: at}));
        parts.push(part(x.maps > 1 ? `channel ${map}` : 'inputs', map, terms));
      }
      return total({name: `z[${k}]`, words: 'z = b + Σ w·x over all inputs', kernel: numberAt(y, k), parts, lines: [],
                    start: bias ? {label: 'b', kind: 'weight', value: bias.value[k]} : null, lit: litBy(parts, 'x', 'w'), arrows: [], follow: 'x'});
    };
    const near = (view, panel, {map}) => (panel.id === 'w' ? Math.floor(map / x.maps) : null);
    return {panels: [x, w, y], signs: ['·', '='], target: 'y', explain, near};
  },

  // W transposed: what each unit sends back to this input
  input(layer, n) {
    const dy = deltaPanel(layer, n), dx = gradientPanel(layer, n);
    const inputs = sizeOf(layer.in), units = layer.out[0];
    const column = new Float64Array(units);
    const w = panelOf('w', 'weights from the input', 'weight', column, 0, [units, 1, 1], {label: k => `${k}`, symbol: 'w'});
    const explain = index => {
      const terms = [];
      for (let k = 0; k < units; k++) {
        column[k] = layer.parameters.weight.value[k * inputs + index];
        terms.push(term([['weight', column[k]], ['delta', numberAt(dy, k)]], {dy: spotOf(dy, k), w: spotOf(w, k)}, {side: 'dy', index: k}));
      }
      delete w.largest;
      w.version = index;  // other numbers in the same panel
      const parts = [part('units', 0, terms)];
      return total({name: `dL/dx[${dx.label(index)}]`, words: 'the transposed matrix: Σ w·δ over all units', kernel: numberAt(dx, index), parts,
                    lines: [], lit: litBy(parts, 'dy', 'w'), arrows: [], follow: 'dy'});
    };
    return {panels: [dy, w, dx], signs: ['·', '='], target: 'dx', explain, near: () => null};
  },

  parameter(layer, n, name, trace) {
    if (name === 'bias') return biasView(layer, n, trace);
    const x = inputPanel(layer, n), dy = deltaPanel(layer, n), dw = parameterPanel(layer, 'weight', 'gradient');
    const inputs = sizeOf(layer.in), units = layer.out[0];
    const explain = index => {
      const k = Math.floor(index / inputs), at = index % inputs;
      const terms = [];
      for (let image = 0; image < trace.images; image++)
        terms.push(term([['delta', layer.dy[image * units + k]], ['value', layer.x[image * inputs + at]]],
                        image === n ? {dy: spotOf(dy, k), x: spotOf(x, at)} : {}, image === n ? {side: 'x', index: at} : null));
      const parts = [part('images', 0, terms)];
      return total({name: `dL/dw[${k}, ${at}]`, words: 'delta of the unit times the input, summed over the images', kernel: numberAt(dw, index),
                    parts, lines: [], lit: litBy(parts, 'x', 'dy'), arrows: [], follow: 'dy'});
    };
    const near = (view, panel, spot) => {
      const k = Math.floor(view.index / inputs), at = view.index % inputs;
      const index = indexAt(panel, spot);
      if (index === null) return null;
      return panel.id === 'dy' ? index * inputs + at : k * inputs + index;
    };
    return {panels: [x, dy, dw], signs: ['·', '='], target: 'dw', explain, near};
  },
};
