// How the numbers of layers came about that contain layers.

const lastOf = layers => layers[layers.length - 1];

// What part `number` of a container gives and gets: arrays over all images, with their shape.
function wayOf(layer, number) {
  const {layers, label} = layer.parts[number];
  const name = label === '' ? 'layers' : layer.name === 'branches' ? `sequence ${label}` : label;
  return layers.length
    ? {name, y: lastOf(layers).y, shape: lastOf(layers).out, dx: layers[0].dx, last: lastOf(layers), first: layers[0]}
    : {name: `${name} (identity)`, y: layer.x, shape: layer.in, dx: null, last: null, first: null};
}

const containerView = {
  forward(layer, n) {
    const y = outputPanel(layer, n);
    const ways = layer.parts.map((_, number) => wayOf(layer, number));
    const panels = ways.map((way, number) =>
      panelOf(`p${number}`, way.name, 'value', way.y, n * sizeOf(way.shape), way.shape),
    );
    const joins = layer.name === 'branches' && layer.settings.merge !== 'add';
    const padded = layer.name === 'residual' && layer.parts.length === 1;
    if (padded) panels.push({...inputPanel(layer, n), title: 'input, subsampled'});
    const explain = index => {
      const terms = [];
      ways.forEach((way, number) => {
        const own = joins ? ownIndex(layer, number, index) : index;
        if (own === null) return;
        const go = way.last ? {layer: way.last, index: own} : {side: 'x', index: own};
        terms.push({
          ...term([['value', numberAt(panels[number], own)]], {[`p${number}`]: spotOf(panels[number], own)}, go),
          note: way.name,
        });
      });
      if (padded) {
        const [c, i, j] = placeIn(layer.out, index),
          [tr, ts] = layer.settings.steps;
        if (c < layer.in[0]) {
          const at = indexIn(layer.in, [c, i * tr, j * ts]);
          terms.push({
            ...term([['value', numberAt(lastOf(panels), at)]], {x: spotOf(lastOf(panels), at)}, {side: 'x', index: at}),
            note: 'shortcut',
          });
        }
      }
      const parts = [part(joins ? 'taken over from' : 'the ways', 0, terms)];
      const words = joins
        ? 'the channels of all sequences, one after the other'
        : layer.name === 'repeat'
          ? 'what the last layer inside gives'
          : 'the sum of all ways';
      return total({
        name: `y[${y.label(index)}]`,
        words,
        kernel: numberAt(y, index),
        parts,
        lines: [],
        lit: litBy(parts, ...panels.map(p => p.id)),
        arrows: [],
      });
    };
    const signs = panels.map((_, i) => (i === panels.length - 1 ? '=' : joins ? ',' : '+'));
    return {
      panels: [...panels, y],
      signs,
      target: 'y',
      explain,
      near: (view, panel, spot) => {
        const index = indexAt(panel, spot);
        return index === null || (padded && panel.id === 'x')
          ? null
          : joins
            ? wholeIndex(layer, Number(panel.id.slice(1)), index)
            : index;
      },
    };
  },

  // what comes back on all ways, added
  input(layer, n) {
    const dx = gradientPanel(layer, n),
      dy = deltaPanel(layer, n);
    const ways = layer.parts.map((_, number) => wayOf(layer, number));
    const panels = ways.map((way, number) =>
      way.first
        ? panelOf(`p${number}`, `back from ${way.name}`, 'delta', way.dx, n * sizeOf(layer.in), layer.in)
        : null,
    );
    const explain = index => {
      const terms = ways.map((way, number) => {
        if (way.first)
          return {
            ...term(
              [['delta', numberAt(panels[number], index)]],
              {[`p${number}`]: spotOf(panels[number], index)},
              {layer: way.first, index},
            ),
            note: way.name,
          };
        const own =
          layer.name === 'branches' && layer.settings.merge !== 'add' ? wholeIndex(layer, number, index) : index;
        return {
          ...term([['delta', numberAt(dy, own)]], {dy: spotOf(dy, own)}, {side: 'dy', index: own}),
          note: way.name,
        };
      });
      if (layer.name === 'residual' && layer.parts.length === 1) {
        const [c, m, q] = placeIn(layer.in, index),
          [tr, ts] = layer.settings.steps;
        if (m % tr === 0 && q % ts === 0) {
          const at = indexIn(layer.out, [c, m / tr, q / ts]);
          terms.push({
            ...term([['delta', numberAt(dy, at)]], {dy: spotOf(dy, at)}, {side: 'dy', index: at}),
            note: 'shortcut',
          });
        }
      }
      const parts = [part('the ways', 0, terms)];
      return total({
        name: `dL/dx[${dx.label(index)}]`,
        words: 'the sum of what comes back on all ways',
        kernel: numberAt(dx, index),
        parts,
        lines: [],
        lit: litBy(parts, 'dy', ...panels.filter(p => p).map(p => p.id)),
        arrows: [],
      });
    };
    const inside = panels.filter(p => p);
    const shown =
      inside.length < ways.length || (layer.parts.length === 1 && layer.name === 'residual') ? [...inside, dy] : inside;
    return {
      panels: [...shown, dx],
      signs: shown.map((_, i) => (i === shown.length - 1 ? '=' : '+')),
      target: 'dx',
      explain,
      near: (view, panel, spot) => (panel.id === 'dy' ? null : indexAt(panel, spot)),
    };
  },
};
VIEWS.residual = VIEWS.branches = VIEWS.repeat = containerView;

// Between a channel of the joined output and the same channel in its own sequence.
function ownIndex(layer, number, index) {
  const {first, channels} = partChannels(layer)[number];
  const pixels = layer.out[1] * layer.out[2],
    channel = Math.floor(index / pixels);
  return channel >= first && channel < first + channels ? index - first * pixels : null;
}
const wholeIndex = (layer, number, index) => index + partChannels(layer)[number].first * layer.out[1] * layer.out[2];
