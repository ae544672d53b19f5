// How the numbers of pooling layers came about.

// the window that has its middle at a spot of the input
function windowNear(g, layer, index, {map, u, v}) {
  const back = (place, pad, taps, stride, size) =>
    Math.max(0, Math.min(size - 1, Math.round((place + pad - (taps - 1) / 2) / stride)));
  return indexIn(layer.out, [map, back(u, g.pr, g.R, g.tr, g.P), back(v, g.ps, g.S, g.ts, g.Q)]);
}

function poolFrame(layer) {
  const g = poolShape(layer);
  const after = [Math.max(0, (g.P - 1) * g.tr + g.R - g.pr - g.H), Math.max(0, (g.Q - 1) * g.ts + g.S - g.ps - g.W)];
  return {before: [g.pr, g.ps], after};
}

VIEWS.max_pool2d = {
  forward(layer, n) {
    const g = poolShape(layer),
      x = inputPanel(layer, n, {keepMaps: true, ...poolFrame(layer)}),
      y = outputPanel(layer, n);
    const explain = index => {
      const [c, i, j] = placeIn(layer.out, index);
      const pixels = windowPixels(g, i, j);
      const best = winner(layer, layer.x, (n * g.C + c) * g.H * g.W, n * sizeOf(layer.out) + index, pixels, g) - x.base;
      const cells = pixels.map(({m, q}) => ({map: c, u: m, v: q, won: indexIn(layer.in, [c, m, q]) === best}));
      const values = pixels.map(({m, q}) => show(numberAt(x, indexIn(layer.in, [c, m, q]))));
      return {
        name: `y[${c}, ${i}, ${j}]`,
        words: 'the largest of the window; the mask remembers where it was',
        value: numberAt(x, best),
        kernel: numberAt(y, index),
        parts: [],
        lines: [
          ['y', `max(${values.join(', ')})`, numberAt(x, best)],
          ['mask', `the winner is at (${placeIn(layer.in, best).slice(1).join(', ')})`, null],
        ],
        lit: {x: cells},
        arrows: [{from: {panel: 'x', ...spotOf(x, best)}, to: {panel: 'y', ...spotOf(y, index)}}],
        origin: {side: 'x', index: best},
      };
    };
    const near = (view, panel, spot) => windowNear(g, layer, view.index, spot);
    return {panels: [x, y], signs: ['→'], target: 'y', explain, near, window: [g.R, g.S]};
  },

  // each gradient goes to the winner of its window; where windows overlap, a winner may get several
  input(layer, n) {
    const g = poolShape(layer),
      dy = deltaPanel(layer, n),
      dx = gradientPanel(layer, n);
    const winners = new Map(); // input -> outputs that it won
    const arrowsOf = [];
    for (let c = 0; c < g.C; c++)
      for (let i = 0; i < g.P; i++)
        for (let j = 0; j < g.Q; j++) {
          const from = indexIn(layer.out, [c, i, j]);
          const to =
            winner(layer, layer.x, (n * g.C + c) * g.H * g.W, n * sizeOf(layer.out) + from, windowPixels(g, i, j), g) -
            dx.base;
          winners.set(to, [...(winners.get(to) ?? []), from]);
          (arrowsOf[c] ??= []).push({
            from: {panel: 'dy', ...spotOf(dy, from)},
            to: {panel: 'dx', ...spotOf(dx, to)},
            index: to,
          });
        }
    const explain = index => {
      const won = winners.get(index) ?? [];
      const parts = [
        part(
          'windows that it won',
          spotOf(dx, index).map,
          won.map(from => term([['delta', numberAt(dy, from)]], {dy: spotOf(dy, from)}, {side: 'dy', index: from})),
        ),
      ];
      return total({
        name: `dL/dx[${dx.label(index)}]`,
        words: won.length
          ? 'the sum of the gradients of the windows that this pixel won'
          : 'this pixel won no window: no gradient comes here',
        kernel: numberAt(dx, index),
        parts,
        lines: [],
        lit: litBy(parts, 'dy'),
        follow: 'dy',
        arrows: arrowsOf[channelOf(layer.in, index)].map(a => ({...a, strong: a.index === index})),
      });
    };
    const near = (view, panel, spot) => {
      const from = indexAt(panel, spot);
      return from === null ? null : ([...winners].find(([, outputs]) => outputs.includes(from))?.[0] ?? null);
    };
    return {panels: [dy, dx], signs: ['→'], target: 'dx', explain, near};
  },
};

VIEWS.avg_pool2d = VIEWS.global_avg_pool2d = {
  forward(layer, n) {
    const g = poolShape(layer),
      x = inputPanel(layer, n, {keepMaps: true, ...poolFrame(layer)}),
      y = outputPanel(layer, n);
    const explain = index => {
      const [c, i, j] = placeIn(layer.out, index);
      const pixels = windowPixels(g, i, j),
        divisor = divisorOf(layer, g, i, j, pixels);
      const parts = [
        part(
          `channel ${c}`,
          c,
          pixels.map(({m, q}) => {
            const at = indexIn(layer.in, [c, m, q]);
            return term([['value', numberAt(x, at)]], {x: {map: c, u: m, v: q}}, {side: 'x', index: at});
          }),
        ),
      ];
      return total({
        name: `y[${y.label(index)}]`,
        words: 'the mean of the window',
        kernel: numberAt(y, index),
        parts,
        divisor,
        lines: [],
        lit: litBy(parts, 'x'),
        arrows: [],
        follow: 'x',
      });
    };
    return {
      panels: [x, y],
      signs: ['→'],
      target: 'y',
      explain,
      near: (view, panel, spot) => windowNear(g, layer, view.index, spot),
      window: [g.R, g.S],
    };
  },
  input(layer, n) {
    const g = poolShape(layer),
      dy = deltaPanel(layer, n),
      dx = gradientPanel(layer, n);
    const explain = index => {
      const [c, m, q] = placeIn(layer.in, index);
      const terms = [];
      for (let i = 0; i < g.P; i++)
        for (let j = 0; j < g.Q; j++) {
          const pixels = windowPixels(g, i, j);
          if (!pixels.some(pixel => pixel.m === m && pixel.q === q)) continue;
          const from = indexIn(layer.out, [c, i, j]),
            divisor = divisorOf(layer, g, i, j, pixels);
          const made = term([['delta', numberAt(dy, from)]], {dy: spotOf(dy, from)}, {side: 'dy', index: from});
          terms.push({...made, value: made.value / divisor, divisor});
        }
      const parts = [part('windows that it lies in', c, terms)];
      return total({
        name: `dL/dx[${c}, ${m}, ${q}]`,
        words: 'of each window that the pixel lies in, an equal share of the delta',
        kernel: numberAt(dx, index),
        parts,
        lines: [],
        lit: litBy(parts, 'dy'),
        follow: 'dy',
        arrows: terms.map(t => ({
          from: {panel: 'dy', ...t.at.dy},
          to: {panel: 'dx', ...spotOf(dx, index)},
          strong: true,
        })),
      });
    };
    return {
      panels: [dy, dx],
      signs: ['→'],
      target: 'dx',
      explain,
      near: (view, panel, spot) => {
        const [c, i, j] = placeIn(layer.out, indexAt(panel, spot) ?? 0);
        return indexIn(layer.in, [
          c,
          Math.max(0, Math.min(g.H - 1, i * g.tr - g.pr)),
          Math.max(0, Math.min(g.W - 1, j * g.ts - g.ps)),
        ]);
      },
    };
  },
};
