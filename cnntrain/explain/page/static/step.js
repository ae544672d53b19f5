// The whole step once more, by the formulas above: forward, backward, update; how far the kernels' numbers are from it;
// and central differences.

// Puts an array in the place of its number when it is first asked for.
function lazy(owner, key, get) {
  const number = owner[key];
  Object.defineProperty(owner, key, {
    configurable: true,
    enumerable: true,
    get() {
      const value = get(number);
      Object.defineProperty(owner, key, {value, writable: true, configurable: true, enumerable: true});
      return value;
    },
  });
}

// Turns the numbers of arrays into the arrays, and lays out what is asked for often.
function openTrace(trace, arrays) {
  trace.all = [];
  trace.parameters = [];
  const get = number => arrays.get(number);
  const open = (layers, parent, part) =>
    layers.forEach((layer, position) => {
      for (const key of ['x', 'y', 'dy', 'dx', 'decisions']) layer[key] = get(layer[key]);
      Object.assign(layer, {parent, part, position, siblings: layers, known: layer.known && layer.name in FORMULAS});
      trace.all.push(layer);
      for (const [name, parameter] of Object.entries(layer.parameters)) {
        for (const key of ['value', 'gradient', 'updated']) lazy(parameter, key, get);
        for (const slot of Object.keys(parameter.kept))
          for (const when of [0, 1]) lazy(parameter.kept[slot], when, get);
        trace.parameters.push({layer, name, parameter});
      }
      for (const name of Object.keys(layer.statistics)) layer.statistics[name] = layer.statistics[name].map(get);
      layer.parts.forEach((inner, number) => open(inner.layers, layer, number));
    });
  open(trace.layers, null, 0);
  trace.byPath = new Map(trace.all.map(layer => [layer.path, layer]));
  for (const key of ['x', 'logits', 'gradLogits']) trace[key] = get(trace[key]);
  trace.loss.value = Number(trace.loss.value); // "NaN" is no JSON
  if (trace.optimizer !== null) trace.optimizer.rate = Number(trace.optimizer.rate);
  return trace;
}

// Forward and backward through lists of layers. `disturb(layer, x)` may return another input for a layer.
class Run {
  constructor(trace, disturb = null) {
    this.trace = trace;
    this.disturb = disturb;
    this.made = new Map(); // layer -> {x, y, dy, dx, parameters}
  }

  forward(layers, x) {
    for (const layer of layers) {
      const input = this.disturb === null ? x : this.disturb(layer, x);
      const y = layer.known ? FORMULAS[layer.name].forward(layer, input, this.trace.images, this) : layer.y;
      this.made.set(layer, {x: input, y});
      x = y;
    }
    return x;
  }

  backward(layers, delta) {
    for (const layer of [...layers].reverse()) {
      const made = this.made.get(layer);
      const back = layer.known
        ? FORMULAS[layer.name].backward(layer, made.x, made.y, delta, this.trace.images, this)
        : {dx: layer.dx ?? new Float64Array(layer.x.length), parameters: {}};
      Object.assign(made, {dy: delta, ...back});
      delta = back.dx;
    }
    return delta;
  }

  loss() {
    const logits = this.forward(this.trace.layers, this.trace.x);
    return {logits, ...lossOf(this.trace, logits)};
  }
}

// The largest difference; numbers above one count relative to their size.
function difference(ours, theirs) {
  let worst = 0;
  for (let i = 0; i < theirs.length; i++) {
    const off = Math.abs(ours[i] - theirs[i]) / Math.max(1, Math.abs(theirs[i]));
    if (off > worst || Number.isNaN(off)) worst = Number.isNaN(ours[i]) && Number.isNaN(theirs[i]) ? worst : off;
  }
  return worst;
}

// Repeats the step and compares every number. Layers without a formula count as given.
function repeatStep(trace) {
  const run = new Run(trace);
  const {logits, value, gradient} = run.loss();
  run.backward(trace.layers, gradient);
  const report = {worst: 0, where: '', numbers: 0, byPass: {forward: 0, backward: 0, update: 0}, run};
  const compare = (pass, where, ours, theirs) => {
    if (theirs === null || ours === null || ours === undefined) return;
    const off = difference(ours, theirs);
    report.numbers += theirs.length;
    if (!(off <= report.byPass[pass])) report.byPass[pass] = off;
    if (!(off <= report.worst)) Object.assign(report, {worst: off, where});
  };
  compare('forward', 'logits', logits, trace.logits);
  compare('forward', 'loss', [value], [trace.loss.value]);
  compare('backward', 'dL/d(logits)', gradient, trace.gradLogits);
  for (const layer of trace.all) {
    if (!layer.known) continue;
    const made = run.made.get(layer);
    compare('forward', layer.path, made.y, layer.y);
    compare('backward', layer.path, made.dx, layer.dx);
    for (const [name, parameter] of Object.entries(layer.parameters))
      if (!parameter.frozen) compare('backward', `${layer.path}.${name}`, made.parameters[name], parameter.gradient);
  }
  if (canUpdate(trace)) compareUpdates(trace, run, compare);
  return report;
}

const canUpdate = trace => trace.optimizer !== null && trace.optimizer.known && trace.optimizer.name in RULES;

function compareUpdates(trace, run, compare) {
  const gradientOf = (layer, name) =>
    layer.known && !layer.parameters[name].frozen
      ? run.made.get(layer).parameters[name]
      : layer.parameters[name].gradient;
  const scale = clipScale(trace, gradientOf);
  for (const {layer, name, parameter} of trace.parameters) {
    const gradient = gradientOf(layer, name);
    const updated = new Float64Array(gradient.length);
    const kept = Object.fromEntries(Object.keys(parameter.kept).map(slot => [slot, new Float64Array(gradient.length)]));
    for (let i = 0; i < gradient.length; i++) {
      const made = updateOne(trace, parameter, gradient[i], i, scale);
      updated[i] = made.updated;
      for (const slot of Object.keys(kept)) kept[slot][i] = made.kept[slot];
    }
    compare('update', `${layer.path}.${name}`, updated, parameter.updated);
    for (const [slot, values] of Object.entries(kept))
      compare('update', `${slot} of ${layer.path}.${name}`, values, parameter.kept[slot][1]);
  }
}

// (L(v + h) - L(v - h)) / 2h for one number: of a parameter (`name`), or of what a layer takes in (`name` null).
function centralDifference(trace, layer, name, index) {
  const array = name === null ? layer.x : layer.parameters[name].value;
  const h = 1e-5 * Math.max(1, Math.abs(array[index]));
  const lossAt = by => {
    if (name !== null) {
      const kept = array[index];
      array[index] = kept + by;
      try {
        return new Run(trace).loss().value;
      } finally {
        array[index] = kept;
      }
    }
    const disturb = (which, x) => {
      if (which !== layer) return x;
      const moved = x.slice();
      moved[index] += by;
      return moved;
    };
    return new Run(trace, disturb).loss().value;
  };
  return slopes(lossAt, h);
}

// The central difference, and the slopes of both sides: at a corner (ReLU at 0, two equal maxima) they are not the same,
// and no difference says what the gradient is.
function slopes(lossAt, h) {
  const above = lossAt(h),
    here = lossAt(0),
    below = lossAt(-h);
  const right = (above - here) / h,
    left = (here - below) / h;
  return {
    h,
    above,
    below,
    left,
    right,
    value: (above - below) / (2 * h),
    corner: Math.abs(right - left) > 1e-3 * Math.max(Math.abs(right), Math.abs(left)) + 1e-7,
  };
}
