// Layers that contain layers, the image, the loss, and the update.

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
    const panels = ways.map((way, number) => panelOf(`p${number}`, way.name, 'value', way.y, n * sizeOf(way.shape), way.shape));
    const joins = layer.name === 'branches' && layer.settings.merge !== 'add';
    const padded = layer.name === 'residual' && layer.parts.length === 1;
    if (padded) panels.push({...inputPanel(layer, n), title: 'input, subsampled'});
    const explain = index => {
      const terms = [];
      ways.forEach((way, number) => {
        const own = joins ? ownIndex(layer, number, index) : index;
        if (own === null) return;
        const go = way.last ? {layer: way.last, index: own} : {side: 'x', index: own};
        terms.push({...term([['value', numberAt(panels[number], own)]], {[`p${number}`]: spotOf(panels[number], own)}, go), note: way.name});
      });
      if (padded) {
        const [c, i, j] = placeIn(layer.out, index), [tr, ts] = layer.settings.steps;
        if (c < layer.in[0]) {
          const at = indexIn(layer.in, [c, i * tr, j * ts]);
          terms.push({...term([['value', numberAt(lastOf(panels), at)]], {x: spotOf(lastOf(panels), at)}, {side: 'x', index: at}), note: 'shortcut'});
        }
      }
      const parts = [part(joins ? 'taken over from' : 'the ways', 0, terms)];
      const words = joins ? 'the channels of all sequences, one after the other' : layer.name === 'repeat' ? 'what the last layer inside gives' : 'the sum of all ways';
      return total({name: `y[${y.label(index)}]`, words, kernel: numberAt(y, index), parts, lines: [], lit: litBy(parts, ...panels.map(p => p.id)), arrows: []});
    };
    const signs = panels.map((_, i) => (i === panels.length - 1 ? '=' : joins ? ',' : '+'));
    return {panels: [...panels, y], signs, target: 'y', explain, near: (view, panel, spot) => {
      const index = indexAt(panel, spot);
      return index === null || padded && panel.id === 'x' ? null : joins ? wholeIndex(layer, Number(panel.id.slice(1)), index) : index;
    }};
  },

  // what comes back on all ways, added
  input(layer, n) {
    const dx = gradientPanel(layer, n), dy = deltaPanel(layer, n);
    const ways = layer.parts.map((_, number) => wayOf(layer, number));
    const panels = ways.map((way, number) => (way.first
      ? panelOf(`p${number}`, `back from ${way.name}`, 'delta', way.dx, n * sizeOf(layer.in), layer.in) : null));
    const explain = index => {
      const terms = ways.map((way, number) => {
        if (way.first) return {...term([['delta', numberAt(panels[number], index)]], {[`p${number}`]: spotOf(panels[number], index)}, {layer: way.first, index}), note: way.name};
        const own = layer.name === 'branches' && layer.settings.merge !== 'add' ? wholeIndex(layer, number, index) : index;
        return {...term([['delta', numberAt(dy, own)]], {dy: spotOf(dy, own)}, {side: 'dy', index: own}), note: way.name};
      });
      if (layer.name === 'residual' && layer.parts.length === 1) {
        const [c, m, q] = placeIn(layer.in, index), [tr, ts] = layer.settings.steps;
        if (m % tr === 0 && q % ts === 0) {
          const at = indexIn(layer.out, [c, m / tr, q / ts]);
          terms.push({...term([['delta', numberAt(dy, at)]], {dy: spotOf(dy, at)}, {side: 'dy', index: at}), note: 'shortcut'});
        }
      }
      const parts = [part('the ways', 0, terms)];
      return total({name: `dL/dx[${dx.label(index)}]`, words: 'the sum of what comes back on all ways', kernel: numberAt(dx, index), parts, lines: [],
                    lit: litBy(parts, 'dy', ...panels.filter(p => p).map(p => p.id)), arrows: []});
    };
    const inside = panels.filter(p => p);
    const shown = inside.length < ways.length || layer.parts.length === 1 && layer.name === 'residual' ? [...inside, dy] : inside;
    return {panels: [...shown, dx], signs: shown.map((_, i) => (i === shown.length - 1 ? '=' : '+')), target: 'dx', explain,
            near: (view, panel, spot) => (panel.id === 'dy' ? null : indexAt(panel, spot))};
  },
};
VIEWS.residual = VIEWS.branches = VIEWS.repeat = containerView;

// Between a channel of the joined output and the same channel in its own sequence.
function ownIndex(layer, number, index) {
  const {first, channels} = partChannels(layer)[number];
  const pixels = layer.out[1] * layer.out[2], channel = Math.floor(index / pixels);
  return channel >= first && channel < first + channels ? index - first * pixels : null;
}
const wholeIndex = (layer, number, index) => index + partChannels(layer)[number].first * layer.out[1] * layer.out[2];

// --- the image ---

function imageView(trace, mode, n) {
  const first = trace.layers[0];
  if (mode === 'backward') {
    if (first.dx === null) return null;
    const dx = gradientPanel(first, n);
    return {panels: [inputPanel(first, n), dx], signs: [''], target: 'dx', near: sameSpot, explain: index => ({
      name: `dL/d(image)[${dx.label(index)}]`, words: 'how the loss changes with this pixel (normalised)', value: numberAt(dx, index), kernel: numberAt(dx, index),
      parts: [], lines: [], lit: {x: [spotOf(dx, index)]}, arrows: [], origin: {layer: first, index}})};
  }
  const x = inputPanel(first, n);
  return {panels: [x], signs: [], target: 'x', near: sameSpot, explain: index => ({
    name: `image[${x.label(index)}]`, words: 'a pixel, normalised', value: numberAt(x, index), kernel: numberAt(x, index), parts: [], lines: [], lit: {}, arrows: []})};
}

// --- the loss ---

function lossView(trace, mode, n) {
  const {classes, labels, loss: {name, settings, known}} = trace;
  const shape = [classes, 1, 1], label = labels[n], base = n * classes;
  const className = index => (trace.classNames[index] === undefined ? String(index) : trace.classNames[index]);
  const options = {label: index => `${index}`, mapName: 'class'};
  const logits = panelOf('x', 'outputs', 'value', trace.logits, base, shape, {...options, symbol: 'y'});
  const {p} = softmax(trace.logits, base, classes);
  const probabilities = panelOf('p', 'probabilities', 'value', p, 0, shape, {...options, symbol: 'p'});
  const gradients = panelOf('dx', 'dL/d(outputs)', 'delta', trace.gradLogits, base, shape, {...options, symbol: 'δ'});
  const rule = known ? LOSSES[name] : undefined;
  const softmaxed = name === 'cross_entropy' && known;
  const weight = rule && rule.weight ? rule.weight(settings, labels) : labels.length;
  const lit = index => ({x: [spotOf(logits, index)], p: [spotOf(logits, index)]});
  const gradient = new Float64Array(trace.logits.length);
  const own = rule ? rule.image(trace.logits, base, classes, label, settings, gradient) : trace.loss.value;
  const mean = rule ? lossOf(trace, trace.logits).value : trace.loss.value;
  const said = `label: ${className(label)}`;
  const common = {parts: [], arrows: [], unknown: rule === undefined};
  if (mode === 'forward') {
    const last = softmaxed ? probabilities : logits;
    const explain = index => ({
      ...common, name: 'L', words: LOSS_WORDS[name] ?? name, value: mean, kernel: trace.loss.value, lit: lit(index), origin: {side: 'logits', index},
      lines: [...(softmaxed ? [[`p[${className(index)}]`, `e^${factor(trace.logits[base + index])} / Σ e^y`, p[index]]] : []),
              [`L of image ${n}`, softmaxed && !settings.label_smoothing && !settings.class_weights ? `−log ${show(p[label])}, ${said}` : said, own],
              ...(labels.length > 1 ? [['L', `mean over ${labels.length} images`, mean]] : [])],
    });
    return {panels: softmaxed ? [logits, probabilities] : [logits], signs: ['→'], target: last.id, explain, near: sameSpot};
  }
  const explain = index => {
    const target = softmaxed ? targetOf(settings, classes, label, index) : index === label ? 1 : 0;
    const value = rule ? gradient[base + index] / weight : numberAt(gradients, index);
    return {
      ...common, name: `dL/dy[${className(index)}]`, words: LOSS_SLOPES[name] ?? name, value, kernel: numberAt(gradients, index), lit: lit(index),
      lines: softmaxed ? [['p', `softmax of ${show(trace.logits[base + index])}`, p[index]], ['t', index === label ? `${className(index)} is the label` : 'not the label', target],
                          ['dL/dy', `(p − t)${weight === 1 ? '' : ` / ${show(weight)}`}`, value]]
        : [['y', null, trace.logits[base + index]], ['t', index === label ? 'the label' : 'not the label', target], ['dL/dy', null, value]],
    };
  };
  return {panels: softmaxed ? [logits, probabilities, gradients] : [logits, gradients], signs: ['→', '→'], target: 'dx', explain, near: sameSpot};
}

const LOSS_WORDS = {
  cross_entropy: 'L = −Σ t·log p, p = softmax of the outputs', mse: 'L = ½ Σ (y − t)²', hinge: 'L = Σ max(0, 1 − s·y), s = ±1',
  multi_margin: 'L = 1/classes · Σ max(0, margin − y(label) + y)',
};
const LOSS_SLOPES = {
  cross_entropy: 'probability minus target, by the number of images', mse: 'y − t, by the number of images',
  hinge: '−s where the margin is missed, else 0', multi_margin: '1/classes where the margin is missed; the label gets minus their sum',
};

// --- the update ---

function updateView(trace, layer, tab) {
  if (trace.optimizer === null || layer.parameters === undefined || layer.parameters[tab] === undefined) return null;
  const parameter = layer.parameters[tab];
  const value = parameterPanel(layer, tab, 'value', {id: 'w'}), gradient = parameterPanel(layer, tab, 'gradient');
  const kept = Object.keys(parameter.kept).filter(slot => slot !== 'average')
    .map(slot => parameterPanel(layer, tab, [slot, 1], {id: slot, title: `${slot}, after`}));
  const step = parameterPanel(layer, tab, 'step', {id: 'step', title: 'step: w′ − w'});
  const updated = parameterPanel(layer, tab, 'updated', {id: 'updated', title: `${tab} after the step`});
  const panels = [value, gradient, ...kept, step, updated];
  const scale = canUpdate(trace) ? clipScale(trace, (owner, name) => owner.parameters[name].gradient) : 1;
  const explain = index => {
    const lit = Object.fromEntries(panels.filter(p => p !== updated).map(p => [p.id, [spotOf(p, index)]]));
    const common = {name: `${value.symbol}′[${value.label(index)}]`, kernel: parameter.updated[index], parts: [], lit, arrows: []};
    if (!canUpdate(trace))
      return {...common, value: parameter.updated[index], words: `"${trace.optimizer.name}" is an optimiser of which this page knows no formula`, lines: [], unknown: true};
    const made = updateOne(trace, parameter, parameter.gradient[index], index, scale);
    return {...common, value: made.updated, words: updateWords(trace, parameter), lines: updateLines(trace, parameter, index, made)};
  };
  return {panels, signs: panels.map(() => ''), target: 'updated', explain, near: sameSpot};
}

function updateWords(trace, parameter) {
  if (parameter.rate === 0) return 'this array does not learn: its rate is 0';
  return `${trace.optimizer.name}: ${lastOf(RULES[trace.optimizer.name].words({settings: trace.optimizer.settings, decoupled: trace.optimizer.name === 'adamw'}))[1]}`;
}

function updateLines(trace, parameter, index, made) {
  const {settings, name} = trace.optimizer;
  const lines = [['w', null, made.w], ['dL/dw', null, made.raw]];
  if (parameter.rate === 0) return lines;
  if (made.clipped !== made.raw) lines.push(['clipped', settings.clip_norm ? 'by the norm of all gradients' : `to ±${show(settings.clip_value)}`, made.clipped]);
  if (made.pulled !== 0) lines.push([name === 'adamw' ? 'decay' : 'g', name === 'adamw' ? 'apart from the gradient' : `gradient + decay·w = ${show(made.clipped)} + ${factor(made.pulled)}`, name === 'adamw' ? made.pulled : made.g]);
  lines.push(['rate', null, made.own.rate]);
  const before = Object.entries(parameter.kept).filter(([slot]) => slot !== 'average');
  for (const [slot, [old]] of before) lines.push([slot, 'before', old[index]]);
  for (const [symbol, words, slot] of RULES[name].words(made.own)) lines.push([symbol, words, slot === null ? made.updated : made.kept[slot]]);
  return lines;
}
