// How the numbers of all other layers came about.

// the window that has its middle at a spot of the input
function windowNear(g, layer, index, {map, u, v}) {
  const back = (place, pad, taps, stride, size) => Math.max(0, Math.min(size - 1, Math.round((place + pad - (taps - 1) / 2) / stride)));
  return indexIn(layer.out, [map, back(u, g.pr, g.R, g.tr, g.P), back(v, g.ps, g.S, g.ts, g.Q)]);
}

function poolFrame(layer) {
  const g = poolShape(layer);
  const after = [Math.max(0, (g.P - 1) * g.tr + g.R - g.pr - g.H), Math.max(0, (g.Q - 1) * g.ts + g.S - g.ps - g.W)];
  return {before: [g.pr, g.ps], after};
}

VIEWS.max_pool2d = {
  forward(layer, n) {
    const g = poolShape(layer), x = inputPanel(layer, n, {keepMaps: true, ...poolFrame(layer)}), y = outputPanel(layer, n);
    const explain = index => {
      const [c, i, j] = placeIn(layer.out, index);
      const pixels = windowPixels(g, i, j);
      const best = winner(layer, layer.x, (n * g.C + c) * g.H * g.W, n * sizeOf(layer.out) + index, pixels, g) - x.base;
      const cells = pixels.map(({m, q}) => ({map: c, u: m, v: q, won: indexIn(layer.in, [c, m, q]) === best}));
      const values = pixels.map(({m, q}) => show(numberAt(x, indexIn(layer.in, [c, m, q]))));
      return {
        name: `y[${c}, ${i}, ${j}]`, words: 'the largest of the window; the mask remembers where it was', value: numberAt(x, best), kernel: numberAt(y, index),
        parts: [], lines: [['y', `max(${values.join(', ')})`, numberAt(x, best)], ['mask', `the winner is at (${placeIn(layer.in, best).slice(1).join(', ')})`, null]],
        lit: {x: cells}, arrows: [{from: {panel: 'x', ...spotOf(x, best)}, to: {panel: 'y', ...spotOf(y, index)}}], origin: {side: 'x', index: best},
      };
    };
    const near = (view, panel, spot) => windowNear(g, layer, view.index, spot);
    return {panels: [x, y], signs: ['→'], target: 'y', explain, near, window: [g.R, g.S]};
  },

  // each gradient goes to the winner of its window; where windows overlap, a winner may get several
  input(layer, n) {
    const g = poolShape(layer), dy = deltaPanel(layer, n), dx = gradientPanel(layer, n);
    const winners = new Map();  // input -> outputs that it won
    const arrowsOf = [];
    for (let c = 0; c < g.C; c++)
      for (let i = 0; i < g.P; i++)
        for (let j = 0; j < g.Q; j++) {
          const from = indexIn(layer.out, [c, i, j]);
          const to = winner(layer, layer.x, (n * g.C + c) * g.H * g.W, n * sizeOf(layer.out) + from, windowPixels(g, i, j), g) - dx.base;
          winners.set(to, [...(winners.get(to) ?? []), from]);
          (arrowsOf[c] ??= []).push({from: {panel: 'dy', ...spotOf(dy, from)}, to: {panel: 'dx', ...spotOf(dx, to)}, index: to});
        }
    const explain = index => {
      const won = winners.get(index) ?? [];
      const parts = [part('windows that it won', spotOf(dx, index).map,
                          won.map(from => term([['delta', numberAt(dy, from)]], {dy: spotOf(dy, from)}, {side: 'dy', index: from})))];
      return total({
        name: `dL/dx[${dx.label(index)}]`, words: won.length ? 'the sum of the gradients of the windows that this pixel won' : 'this pixel won no window: no gradient comes here',
        kernel: numberAt(dx, index), parts, lines: [], lit: litBy(parts, 'dy'), follow: 'dy',
        arrows: arrowsOf[channelOf(layer.in, index)].map(a => ({...a, strong: a.index === index})),
      });
    };
    const near = (view, panel, spot) => {
      const from = indexAt(panel, spot);
      return from === null ? null : [...winners].find(([, outputs]) => outputs.includes(from))?.[0] ?? null;
    };
    return {panels: [dy, dx], signs: ['→'], target: 'dx', explain, near};
  },
};

VIEWS.avg_pool2d = VIEWS.global_avg_pool2d = {
  forward(layer, n) {
    const g = poolShape(layer), x = inputPanel(layer, n, {keepMaps: true, ...poolFrame(layer)}), y = outputPanel(layer, n);
    const explain = index => {
      const [c, i, j] = placeIn(layer.out, index);
      const pixels = windowPixels(g, i, j), divisor = divisorOf(layer, g, i, j, pixels);
      const parts = [part(`channel ${c}`, c, pixels.map(({m, q}) => {
        const at = indexIn(layer.in, [c, m, q]);
        return term([['value', numberAt(x, at)]], {x: {map: c, u: m, v: q}}, {side: 'x', index: at});
      }))];
      return total({name: `y[${y.label(index)}]`, words: 'the mean of the window', kernel: numberAt(y, index), parts, divisor, lines: [],
                    lit: litBy(parts, 'x'), arrows: [], follow: 'x'});
    };
    return {panels: [x, y], signs: ['→'], target: 'y', explain, near: (view, panel, spot) => windowNear(g, layer, view.index, spot), window: [g.R, g.S]};
  },
  input(layer, n) {
    const g = poolShape(layer), dy = deltaPanel(layer, n), dx = gradientPanel(layer, n);
    const explain = index => {
      const [c, m, q] = placeIn(layer.in, index);
      const terms = [];
      for (let i = 0; i < g.P; i++)
        for (let j = 0; j < g.Q; j++) {
          const pixels = windowPixels(g, i, j);
          if (!pixels.some(pixel => pixel.m === m && pixel.q === q)) continue;
          const from = indexIn(layer.out, [c, i, j]), divisor = divisorOf(layer, g, i, j, pixels);
          const made = term([['delta', numberAt(dy, from)]], {dy: spotOf(dy, from)}, {side: 'dy', index: from});
          terms.push({...made, value: made.value / divisor, divisor});
        }
      const parts = [part('windows that it lies in', c, terms)];
      return total({name: `dL/dx[${c}, ${m}, ${q}]`, words: 'of each window that the pixel lies in, an equal share of the delta', kernel: numberAt(dx, index),
                    parts, lines: [], lit: litBy(parts, 'dy'), follow: 'dy',
                    arrows: terms.map(t => ({from: {panel: 'dy', ...t.at.dy}, to: {panel: 'dx', ...spotOf(dx, index)}, strong: true}))});
    };
    return {panels: [dy, dx], signs: ['→'], target: 'dx', explain, near: (view, panel, spot) => {
      const [c, i, j] = placeIn(layer.out, indexAt(panel, spot) ?? 0);
      return indexIn(layer.in, [c, Math.max(0, Math.min(g.H - 1, i * g.tr - g.pr)), Math.max(0, Math.min(g.W - 1, j * g.ts - g.ps))]);
    }};
  },
};

// y = f(z): lines(layer, z, y, index) says how, slope what dL/dy is multiplied with
function elementView(words, slopeWords, value, slope) {
  return {
    forward(layer, n) {
      const x = inputPanel(layer, n, {symbol: 'z'}), y = outputPanel(layer, n);
      const explain = index => ({
        name: `y[${y.label(index)}]`, words: `y = ${words(layer)}`, value: value(layer, numberAt(x, index), x.base + index), kernel: numberAt(y, index),
        parts: [], lines: [['z', null, numberAt(x, index)], ['y', words(layer), value(layer, numberAt(x, index), x.base + index)]],
        lit: {x: [spotOf(x, index)]}, arrows: [{from: {panel: 'x', ...spotOf(x, index)}, to: {panel: 'y', ...spotOf(y, index)}}], origin: {side: 'x', index},
      });
      return {panels: [x, y], signs: ['→'], target: 'y', explain, near: sameSpot};
    },
    input(layer, n) {
      const z = inputPanel(layer, n, {symbol: 'z'}), dy = deltaPanel(layer, n), dx = gradientPanel(layer, n, {symbol: 'dL/dz'});
      const explain = index => {
        const made = slope(layer, numberAt(z, index), z.base + index);
        return {
          name: `dL/dz[${dx.label(index)}]`, words: `δ · f′(z), f′ = ${slopeWords(layer)}`, value: numberAt(dy, index) * made, kernel: numberAt(dx, index),
          parts: [], lines: [['δ', null, numberAt(dy, index)], ['f′(z)', `at z = ${show(numberAt(z, index))}`, made], ['dL/dz', `${factor(numberAt(dy, index))} · ${factor(made)}`, numberAt(dy, index) * made]],
          lit: {x: [spotOf(z, index)], dy: [spotOf(dy, index)]}, arrows: [], origin: {side: 'dy', index},
        };
      };
      return {panels: [dy, z, dx], signs: ['⊙ f′', '='], target: 'dx', explain, near: sameSpot};
    },
  };
}

for (const [name, curve] of Object.entries(CURVES))
  VIEWS[name] = elementView(() => curve.words, () => curve.slopeWords, (layer, z) => curve.value(z, layer.settings),
                            (layer, z, at) => curve.slope(curve.kink ? sideOf(layer, z, at) : z, layer.settings));
const identity = elementView(() => 'x', () => '1', (layer, x) => x, () => 1);
VIEWS.flatten = identity;
VIEWS.dropout = elementView(
  layer => `x / ${show(1 - layer.settings.rate)} where it is kept, 0 where it is dropped`,
  layer => `1 / ${show(1 - layer.settings.rate)} where it was kept, 0 where it was dropped`,
  (layer, x, at) => x * dropoutFactor(layer, at), (layer, x, at) => dropoutFactor(layer, at));
VIEWS.prelu = {
  ...elementView(() => 'z where z > 0, else slope·z', () => '1 where z > 0, else slope',
                 (layer, z, at) => (z > 0 ? z : slopeAt(layer, channelOf(layer.in, at)) * z),
                 (layer, z, at) => (sideOf(layer, z, at) > 0 ? 1 : slopeAt(layer, channelOf(layer.in, at)))),
  parameter: (layer, n, name, trace) => channelSum(layer, n, name, trace, 'Σ δ·z where z is not above 0', i =>
    (sideOf(layer, layer.x[i], i) > 0 ? null : [['delta', layer.dy[i]], ['value', layer.x[i]]])),
};

// a learned number per channel: the sum over its pixels of what `factors(index)` gives
function channelSum(layer, n, name, trace, words, factors) {
  const x = inputPanel(layer, n), dy = deltaPanel(layer, n), target = parameterPanel(layer, name, 'gradient');
  const shared = layer.parameters[name].value.length === 1;
  const explain = index => {
    const parts = [];
    for (let image = 0; image < trace.images; image++) {
      const terms = [];
      for (let i = 0; i < sizeOf(layer.in); i++) {
        const at = image * sizeOf(layer.in) + i;
        const made = shared || channelOf(layer.in, i) === index ? factors(at) : null;
        if (made !== null) terms.push(term(made, image === n ? {x: spotOf(x, i), dy: spotOf(dy, i)} : {}, image === n ? {side: 'dy', index: i} : null));
      }
      parts.push(part(`image ${image}`, image, terms));
    }
    return total({name: `dL/d${name}[${index}]`, words, kernel: numberAt(target, index), parts, lines: [], lit: litBy(parts, 'x', 'dy'), arrows: [], follow: 'dy'});
  };
  return {panels: [x, dy, target], signs: ['·', '='], target: target.id, explain,
          near: (view, panel, spot) => (shared ? 0 : channelOf(layer.in, indexAt(panel, spot) ?? 0))};
}

VIEWS.batch_norm2d = {
  forward(layer, n, trace) {
    const x = inputPanel(layer, n), y = outputPanel(layer, n);
    const explain = index => {
      const c = channelOf(layer.in, index), {count, mean, variance, root} = moments(layer, layer.x, trace.images, c);
      const scale = ofChannel(layer, 'scale', c, 1), shift = ofChannel(layer, 'shift', c, 0), value = numberAt(x, index);
      const normal = (value - mean) / root;
      const whose = layer.settings.frozen ? 'the running one' : `over the ${count} values of channel ${c} in the batch`;
      return {
        name: `y[${y.label(index)}]`, words: 'y = scale · (x − mean) / √(variance + ε) + shift', value: scale * normal + shift, kernel: numberAt(y, index), parts: [],
        lines: [['mean', whose, mean], ['variance', whose, variance], ['x̂', `(${show(value)} − ${factor(mean)}) / √(${show(variance)} + ${show(layer.settings.epsilon)})`, normal],
                ['y', `${factor(scale)} · ${factor(normal)} + ${factor(shift)}`, scale * normal + shift]],
        lit: {x: [{...spotOf(x, index), whole: true}]}, arrows: [], origin: {side: 'x', index},
      };
    };
    return {panels: [x, y], signs: ['→'], target: 'y', explain, near: sameSpot};
  },
  input(layer, n, trace) {
    const x = inputPanel(layer, n), dy = deltaPanel(layer, n), dx = gradientPanel(layer, n);
    const explain = index => {
      const c = channelOf(layer.in, index), {count, mean, root} = moments(layer, layer.x, trace.images, c);
      const scale = ofChannel(layer, 'scale', c, 1), {frozen} = layer.settings;
      let sum = 0, product = 0;
      eachOfChannel(layer, trace.images, c, i => { sum += layer.dy[i]; product += layer.dy[i] * (layer.x[i] - mean) / root; });
      const g = numberAt(dy, index), normal = (numberAt(x, index) - mean) / root;
      const first = frozen ? 0 : sum / count, second = frozen ? 0 : normal * product / count;
      return {
        name: `dL/dx[${dx.label(index)}]`, words: frozen ? 'scale / √(variance + ε) · δ: the statistics are constants' : 'scale / √(variance + ε) · (δ − mean of δ − x̂ · mean of δ x̂)',
        value: scale / root * (g - first - second), kernel: numberAt(dx, index), parts: [],
        lines: [['δ', null, g], ['by the mean', `Σδ / ${count}`, first], ['by the variance', `x̂ · Σδx̂ / ${count}`, second],
                ['dL/dx', `${factor(scale)} / ${show(root)} · (${show(g)} − ${factor(first)} − ${factor(second)})`, scale / root * (g - first - second)]],
        lit: {x: [{...spotOf(x, index), whole: true}], dy: [{...spotOf(dy, index), whole: true}]}, arrows: [], origin: {side: 'dy', index},
      };
    };
    return {panels: [dy, x, dx], signs: ['⊙', '='], target: 'dx', explain, near: sameSpot};
  },
  parameter(layer, n, name, trace) {
    const stats = Array.from({length: layer.in[0]}, (_, c) => moments(layer, layer.x, trace.images, c));
    if (name === 'shift') return channelSum(layer, n, name, trace, 'Σ δ over the channel', i => [['delta', layer.dy[i]]]);
    return channelSum(layer, n, name, trace, 'Σ δ·x̂ over the channel, x̂ the normalised input', i => {
      const {mean, root} = stats[channelOf(layer.in, i)];
      return [['delta', layer.dy[i]], ['value', (layer.x[i] - mean) / root]];
    });
  },
};

VIEWS.local_response_norm = {
  forward(layer, n) {
    const x = inputPanel(layer, n), y = outputPanel(layer, n), {beta, k} = layer.settings;
    const explain = index => {
      const near = neighbours(layer, x.base + index).map(i => i - x.base);
      const parts = [part('squares of the neighbours', spotOf(x, index).map, near.map(i =>
        term([['value', numberAt(x, i)], ['value', numberAt(x, i)]], {x: spotOf(x, i)}, {side: 'x', index: i})))];
      const scale = responseScale(layer, layer.x, x.base + index), value = numberAt(x, index) * scale ** -beta;
      return {
        name: `y[${y.label(index)}]`, words: 'y = x / (k + α/n · Σ x² of the neighbours)^β', value, kernel: numberAt(y, index), parts,
        lines: [['scale', `${show(k)} + ${show(responseShare(layer))} · ${show(parts[0].sum)}`, scale], ['y', `${factor(numberAt(x, index))} · ${show(scale)}^${factor(-beta)}`, value]],
        lit: litBy(parts, 'x'), arrows: [], origin: {side: 'x', index}, partial: true,
      };
    };
    return {panels: [x, y], signs: ['→'], target: 'y', explain, near: sameSpot};
  },
  input(layer, n) {
    const x = inputPanel(layer, n), dy = deltaPanel(layer, n), dx = gradientPanel(layer, n), {beta} = layer.settings;
    const explain = index => {
      const near = neighbours(layer, x.base + index).map(i => i - x.base);
      const scaleAt = i => responseScale(layer, layer.x, x.base + i);
      const parts = [part('δ·y / scale of the neighbours', spotOf(x, index).map, near.map(i =>
        term([['delta', numberAt(dy, i)], ['value', layer.y[x.base + i] / scaleAt(i)]], {x: spotOf(x, i), dy: spotOf(dy, i)}, {side: 'dy', index: i})))];
      const direct = numberAt(dy, index) * scaleAt(index) ** -beta;
      const through = -2 * responseShare(layer) * beta * numberAt(x, index) * parts[0].sum;
      return {
        name: `dL/dx[${dx.label(index)}]`, words: 'δ · scale^−β − 2 α β / n · x · Σ δ y / scale', value: direct + through, kernel: numberAt(dx, index), parts,
        lines: [['direct', `δ · ${show(scaleAt(index))}^${factor(-beta)}`, direct], ['by the scale', 'through all neighbours', through], ['dL/dx', null, direct + through]],
        lit: litBy(parts, 'x', 'dy'), arrows: [], origin: {side: 'dy', index}, partial: true,
      };
    };
    return {panels: [dy, x, dx], signs: ['⊙', '='], target: 'dx', explain, near: sameSpot};
  },
};
