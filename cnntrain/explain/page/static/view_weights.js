// The gradients of a convolution's filters and of biases.

// Zeros behind the image that the last window reaches; fewer than the padding where the stride leaves some over.
const reachAfter = (g, after) => [
  Math.max(0, Math.min(after[0], (g.P - 1) * g.tr + (g.R - 1) * g.dr - g.pr - g.H + 1)),
  Math.max(0, Math.min(after[1], (g.Q - 1) * g.ts + (g.S - 1) * g.ds - g.ps - g.W + 1)),
];

// dL/dw: the delta weighs the pixels that the tap has met
function weightView(layer, n, trace) {
  const g = convolutionShape(layer);
  const x = inputPanel(layer, n, {
    keepMaps: true,
    before: layer.settings.before,
    after: reachAfter(g, layer.settings.after),
  });
  const dy = deltaPanel(layer, n, {keepMaps: true, mapName: 'filter'});
  const dw = parameterPanel(layer, 'weight', 'gradient');
  const {shape} = layer.parameters.weight;
  const explain = index => {
    const [k, c, row, column] = placeIn(shape, index);
    const {rotated} = layer.settings;
    const r = rotated ? g.R - 1 - row : row,
      s = rotated ? g.S - 1 - column : column;
    const channel = Math.floor(k / g.filtersPerGroup) * g.perGroup + c;
    const parts = [];
    for (let image = 0; image < trace.images; image++) {
      const terms = [];
      for (let i = 0; i < g.P; i++)
        for (let j = 0; j < g.Q; j++) {
          const spot = {map: channel, u: i * g.tr + r * g.dr - g.pr, v: j * g.ts + s * g.ds - g.ps};
          const at = indexAt(x, spot),
            from = indexIn(layer.out, [k, i, j]);
          const value = at === null ? 0 : layer.x[image * sizeOf(layer.in) + at];
          const here = image === n ? {x: spot, dy: {map: k, u: i, v: j}} : {};
          terms.push({
            ...term(
              [
                ['delta', layer.dy[image * sizeOf(layer.out) + from]],
                ['value', value],
              ],
              here,
              image === n ? {side: 'dy', index: from} : null,
            ),
            padding: at === null,
          });
        }
      parts.push(part(`image ${image}`, image, terms));
    }
    return total({
      name: `dL/dw[${placeIn(shape, index).join(', ')}]`,
      words: 'a valid correlation: Σ δ·x over all places where the filter lay',
      kernel: numberAt(dw, index),
      parts,
      lines: [],
      lit: litBy(parts, 'x', 'dy'),
      arrows: [],
      follow: 'dy',
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
  const dy = deltaPanel(layer, n),
    db = parameterPanel(layer, 'bias', 'gradient');
  const pixels = layer.out[1] * layer.out[2];
  const explain = index => {
    const parts = [];
    for (let image = 0; image < trace.images; image++) {
      const terms = [];
      for (let i = 0; i < pixels; i++) {
        const at = index * pixels + i;
        terms.push(
          term(
            [['delta', layer.dy[image * sizeOf(layer.out) + at]]],
            image === n ? {dy: spotOf(dy, at)} : {},
            image === n ? {side: 'dy', index: at} : null,
          ),
        );
      }
      parts.push(part(`image ${image}`, image, terms));
    }
    return total({
      name: `dL/db[${index}]`,
      words: 'Σ δ over all that the bias was added to',
      kernel: numberAt(db, index),
      parts,
      lines: [],
      lit: litBy(parts, 'dy'),
      arrows: [],
      follow: 'dy',
    });
  };
  const near = (view, panel, {map, u, v}) => (pixels > 1 ? map : indexAt(dy, {map, u, v}));
  return {panels: [dy, db], signs: ['Σ →'], target: 'dw', explain, near};
}
