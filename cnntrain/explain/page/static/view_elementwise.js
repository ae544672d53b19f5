// How the numbers of layers came about that work on each value alone.

// y = f(z): value and slope compute f and f', the words say the same
function elementView(words, slopeWords, value, slope) {
  return {
    forward(layer, n) {
      const x = inputPanel(layer, n, {symbol: 'z'}),
        y = outputPanel(layer, n);
      const explain = index => ({
        name: `y[${y.label(index)}]`,
        words: `y = ${words(layer)}`,
        value: value(layer, numberAt(x, index), x.base + index),
        kernel: numberAt(y, index),
        parts: [],
        lines: [
          ['z', null, numberAt(x, index)],
          ['y', words(layer), value(layer, numberAt(x, index), x.base + index)],
        ],
        lit: {x: [spotOf(x, index)]},
        arrows: [{from: {panel: 'x', ...spotOf(x, index)}, to: {panel: 'y', ...spotOf(y, index)}}],
        origin: {side: 'x', index},
      });
      return {panels: [x, y], signs: ['→'], target: 'y', explain, near: sameSpot};
    },
    input(layer, n) {
      const z = inputPanel(layer, n, {symbol: 'z'}),
        dy = deltaPanel(layer, n),
        dx = gradientPanel(layer, n, {symbol: 'dL/dz'});
      const explain = index => {
        const made = slope(layer, numberAt(z, index), z.base + index);
        return {
          name: `dL/dz[${dx.label(index)}]`,
          words: `δ · f′(z), f′ = ${slopeWords(layer)}`,
          value: numberAt(dy, index) * made,
          kernel: numberAt(dx, index),
          parts: [],
          lines: [
            ['δ', null, numberAt(dy, index)],
            ['f′(z)', `at z = ${show(numberAt(z, index))}`, made],
            ['dL/dz', `${factor(numberAt(dy, index))} · ${factor(made)}`, numberAt(dy, index) * made],
          ],
          lit: {x: [spotOf(z, index)], dy: [spotOf(dy, index)]},
          arrows: [],
          origin: {side: 'dy', index},
        };
      };
      return {panels: [dy, z, dx], signs: ['⊙ f′', '='], target: 'dx', explain, near: sameSpot};
    },
  };
}

for (const [name, curve] of Object.entries(CURVES))
  VIEWS[name] = elementView(
    () => curve.words,
    () => curve.slopeWords,
    (layer, z) => curve.value(z, layer.settings),
    (layer, z, at) => curve.slope(curve.kink ? sideOf(layer, z, at) : z, layer.settings),
  );
const identity = elementView(
  () => 'x',
  () => '1',
  (layer, x) => x,
  () => 1,
);
VIEWS.flatten = identity;
VIEWS.dropout = elementView(
  layer => `x / ${show(1 - layer.settings.rate)} where it is kept, 0 where it is dropped`,
  layer => `1 / ${show(1 - layer.settings.rate)} where it was kept, 0 where it was dropped`,
  (layer, x, at) => x * dropoutFactor(layer, at),
  (layer, x, at) => dropoutFactor(layer, at),
);
VIEWS.prelu = {
  ...elementView(
    () => 'z where z > 0, else slope·z',
    () => '1 where z > 0, else slope',
    (layer, z, at) => (z > 0 ? z : slopeAt(layer, channelOf(layer.in, at)) * z),
    (layer, z, at) => (sideOf(layer, z, at) > 0 ? 1 : slopeAt(layer, channelOf(layer.in, at))),
  ),
  parameter: (layer, n, name, trace) =>
    channelSum(layer, n, name, trace, 'Σ δ·z where z is not above 0', i =>
      sideOf(layer, layer.x[i], i) > 0
        ? null
        : [
            ['delta', layer.dy[i]],
            ['value', layer.x[i]],
          ],
    ),
};

// a learned number per channel: the sum over its pixels of what `factors(index)` gives
function channelSum(layer, n, name, trace, words, factors) {
  const x = inputPanel(layer, n),
    dy = deltaPanel(layer, n),
    target = parameterPanel(layer, name, 'gradient');
  const shared = layer.parameters[name].value.length === 1;
  const explain = index => {
    const parts = [];
    for (let image = 0; image < trace.images; image++) {
      const terms = [];
      for (let i = 0; i < sizeOf(layer.in); i++) {
        const at = image * sizeOf(layer.in) + i;
        const made = shared || channelOf(layer.in, i) === index ? factors(at) : null;
        if (made !== null)
          terms.push(
            term(
              made,
              image === n ? {x: spotOf(x, i), dy: spotOf(dy, i)} : {},
              image === n ? {side: 'dy', index: i} : null,
            ),
          );
      }
      parts.push(part(`image ${image}`, image, terms));
    }
    return total({
      name: `dL/d${name}[${index}]`,
      words,
      kernel: numberAt(target, index),
      parts,
      lines: [],
      lit: litBy(parts, 'x', 'dy'),
      arrows: [],
      follow: 'dy',
    });
  };
  return {
    panels: [x, dy, target],
    signs: ['·', '='],
    target: target.id,
    explain,
    near: (view, panel, spot) => (shared ? 0 : channelOf(layer.in, indexAt(panel, spot) ?? 0)),
  };
}
