// How the numbers of convolutions and dense layers came about.

// a panel of the filters as they lie over the window: turned by 180 degrees where `turned` says so
function tapsPanel(layer, turned, title) {
  const panel = parameterPanel(layer, 'weight', 'value', {title});
  if (!turned) return panel;
  const data = new Float64Array(panel.data.length);
  for (let i = 0; i < data.length; i++)
    data[i - (i % panel.count) + panel.count - 1 - (i % panel.count)] = panel.data[i];
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
            const made = term(
              [
                ['weight', weight],
                ['value', at === null ? 0 : numberAt(x, at)],
              ],
              {x: spot, w: {map: k * g.perGroup + c, u: r, v: s}},
              at === null ? null : {side: 'x', index: at},
            );
            terms.push({...made, padding: at === null, over: {x: weight}});
          }
        parts.push(part(`channel ${first + c}`, first + c, terms));
      }
      return total({
        name: `z[${k}, ${i}, ${j}]`,
        words: 'z = b + Σ w·x over the window',
        kernel: numberAt(y, index),
        parts,
        lines: [],
        start: bias ? {label: 'b', kind: 'weight', value: bias.value[k]} : null,
        lit: litBy(parts, 'x', 'w'),
        arrows: [],
        follow: 'x',
      });
    };
    const near = (view, panel, {map, u, v}) => {
      const [k, i, j] = placeIn(layer.out, view.index);
      if (panel.id === 'w') return indexIn(layer.out, [Math.floor(map / g.perGroup), i, j]);
      const back = (place, pad, taps, dilation, stride, size) =>
        Math.max(0, Math.min(size - 1, Math.round((place + pad - ((taps - 1) * dilation) / 2) / stride)));
      return indexIn(layer.out, [k, back(u, g.pr, g.R, g.dr, g.tr, g.P), back(v, g.ps, g.S, g.ds, g.ts, g.Q)]);
    };
    return {panels: [x, w, y], signs: ['∗', '='], target: 'y', explain, near, window: [g.R, g.S]};
  },

  // the rotated filter slides over the delta, padded and spread by the stride
  input(layer, n) {
    const g = convolutionShape(layer);
    const turned = !layer.settings.rotated;
    const reach = [(g.R - 1) * g.dr, (g.S - 1) * g.ds],
      padding = [reach[0] - g.pr, reach[1] - g.ps];
    const ends = [
      g.H - 1 - padding[0] + reach[0] - (g.P - 1) * g.tr,
      g.W - 1 - padding[1] + reach[1] - (g.Q - 1) * g.ts,
    ];
    const dy = deltaPanel(layer, n, {
      keepMaps: true,
      before: padding.map(p => Math.max(p, 0)),
      after: ends.map(e => Math.max(e, 0)),
      spread: [g.tr, g.ts],
      mapName: 'filter',
      title: 'delta, padded',
    });
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
            const weight =
              layer.parameters.weight.value[tapIndex(layer, k, c - group * g.perGroup, g.R - 1 - r, g.S - 1 - s)];
            const made = term(
              [
                ['weight', weight],
                ['delta', at === null ? 0 : numberAt(dy, at)],
              ],
              {dy: spot, w: {map: k * g.perGroup + c - group * g.perGroup, u: r, v: s}},
              at === null ? null : {side: 'dy', index: at},
            );
            terms.push({...made, padding: at === null, over: {dy: weight}});
          }
        parts.push(part(`filter ${k}`, k, terms));
      }
      return total({
        name: `dL/dx[${c}, ${m}, ${q}]`,
        words: 'the full convolution: Σ w·δ, the filter rotated by 180° over the padded delta',
        kernel: numberAt(dx, index),
        parts,
        lines: [],
        lit: litBy(parts, 'dy', 'w'),
        arrows: [],
        follow: 'dy',
        nothing: 'zeros around and between',
      });
    };
    const near = (view, panel, {map, u, v}) => {
      const [c, m, q] = placeIn(layer.in, view.index);
      if (panel.id === 'w')
        return indexIn(layer.in, [Math.floor(c / g.perGroup) * g.perGroup + (map % g.perGroup), m, q]);
      const back = (place, pad, far, size) => Math.max(0, Math.min(size - 1, Math.round(place + pad - far / 2)));
      return indexIn(layer.in, [c, back(u, padding[0], reach[0], g.H), back(v, padding[1], reach[1], g.W)]);
    };
    return {panels: [dy, w, dx], signs: ['∗', '='], target: 'dx', explain, near, window: [g.R, g.S]};
  },

  parameter(layer, n, name, trace) {
    return name === 'bias' ? biasView(layer, n, trace) : weightView(layer, n, trace);
  },
};
