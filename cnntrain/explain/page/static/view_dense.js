// How the numbers of dense layers came about.

VIEWS.dense = {
  forward(layer, n) {
    const x = inputPanel(layer, n),
      w = parameterPanel(layer, 'weight', 'value', {title: 'weights of the unit'});
    const y = outputPanel(layer, n, {symbol: 'z', mapName: 'unit'});
    const inputs = sizeOf(layer.in);
    const {weight, bias} = layer.parameters;
    const explain = k => {
      const parts = [];
      for (let map = 0; map < x.maps; map++) {
        const terms = [];
        for (let at = map * x.count; at < (map + 1) * x.count; at++)
          terms.push(
            term(
              [
                ['weight', weight.value[k * inputs + at]],
                ['value', numberAt(x, at)],
              ],
              {x: spotOf(x, at), w: spotOf(w, k * inputs + at)},
              {side: 'x', index: at},
            ),
          );
        parts.push(part(x.maps > 1 ? `channel ${map}` : 'inputs', map, terms));
      }
      return total({
        name: `z[${k}]`,
        words: 'z = b + Σ w·x over all inputs',
        kernel: numberAt(y, k),
        parts,
        lines: [],
        start: bias ? {label: 'b', kind: 'weight', value: bias.value[k]} : null,
        lit: litBy(parts, 'x', 'w'),
        arrows: [],
        follow: 'x',
      });
    };
    const near = (view, panel, {map}) => (panel.id === 'w' ? Math.floor(map / x.maps) : null);
    return {panels: [x, w, y], signs: ['·', '='], target: 'y', explain, near};
  },

  // W transposed: what each unit sends back to this input
  input(layer, n) {
    const dy = deltaPanel(layer, n),
      dx = gradientPanel(layer, n);
    const inputs = sizeOf(layer.in),
      units = layer.out[0];
    const column = new Float64Array(units);
    const w = panelOf('w', 'weights from the input', 'weight', column, 0, [units, 1, 1], {
      label: k => `${k}`,
      symbol: 'w',
    });
    const explain = index => {
      const terms = [];
      for (let k = 0; k < units; k++) {
        column[k] = layer.parameters.weight.value[k * inputs + index];
        terms.push(
          term(
            [
              ['weight', column[k]],
              ['delta', numberAt(dy, k)],
            ],
            {dy: spotOf(dy, k), w: spotOf(w, k)},
            {side: 'dy', index: k},
          ),
        );
      }
      delete w.largest;
      w.version = index; // other numbers in the same panel
      const parts = [part('units', 0, terms)];
      return total({
        name: `dL/dx[${dx.label(index)}]`,
        words: 'the transposed matrix: Σ w·δ over all units',
        kernel: numberAt(dx, index),
        parts,
        lines: [],
        lit: litBy(parts, 'dy', 'w'),
        arrows: [],
        follow: 'dy',
      });
    };
    return {panels: [dy, w, dx], signs: ['·', '='], target: 'dx', explain, near: () => null};
  },

  parameter(layer, n, name, trace) {
    if (name === 'bias') return biasView(layer, n, trace);
    const x = inputPanel(layer, n),
      dy = deltaPanel(layer, n),
      dw = parameterPanel(layer, 'weight', 'gradient');
    const inputs = sizeOf(layer.in),
      units = layer.out[0];
    const explain = index => {
      const k = Math.floor(index / inputs),
        at = index % inputs;
      const terms = [];
      for (let image = 0; image < trace.images; image++)
        terms.push(
          term(
            [
              ['delta', layer.dy[image * units + k]],
              ['value', layer.x[image * inputs + at]],
            ],
            image === n ? {dy: spotOf(dy, k), x: spotOf(x, at)} : {},
            image === n ? {side: 'x', index: at} : null,
          ),
        );
      const parts = [part('images', 0, terms)];
      return total({
        name: `dL/dw[${k}, ${at}]`,
        words: 'delta of the unit times the input, summed over the images',
        kernel: numberAt(dw, index),
        parts,
        lines: [],
        lit: litBy(parts, 'x', 'dy'),
        arrows: [],
        follow: 'dy',
      });
    };
    const near = (view, panel, spot) => {
      const k = Math.floor(view.index / inputs),
        at = view.index % inputs;
      const index = indexAt(panel, spot);
      if (index === null) return null;
      return panel.id === 'dy' ? index * inputs + at : k * inputs + index;
    };
    return {panels: [x, dy, dw], signs: ['·', '='], target: 'dw', explain, near};
  },
};
